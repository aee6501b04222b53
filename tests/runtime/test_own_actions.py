"""Events under the names that the source has for its actions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import leadlight as ll
from leadlight.errors import InputError
from leadlight.kernels.sweep import sweep
from leadlight.plan import Plan
from leadlight.runtime.events import encode_events
from leadlight.runtime.state import MemberState

WORDS = {"topic_viewed": "view", "topic_created": "question"}
DAYS = ("2025-03-01", "2025-03-02", "2025-03-03")
OURS = [{"occurred_at": day, "action": a} for day, a in zip(DAYS, ("view", "question", "view"), strict=True)]
YOURS = [row | {"action": {v: k for k, v in WORDS.items()}[row["action"]]} for row in OURS]
ASKS = ll.Catalogue([ll.Behaviour("asks", (ll.Count("question"), ll.Count("view")), reason="asked")])


@pytest.fixture(scope="module")
def plan():
    log = [row | {"member_id": "ann"} for row in YOURS]
    return ASKS.compile(ll.Community(log, values={"action": WORDS}))


def features(plan, events):
    log, entity, info = encode_events(events, plan, None, "2025-03-10")
    return sweep(plan, log, entity, np.array([info.at_us]), joined=info.joined)[0].tolist()


def test_a_plan_keeps_the_names_and_survives_json(plan):
    assert plan.own_actions == WORDS
    assert Plan.from_dict(plan.to_dict()) == plan


def test_a_plan_without_them_reads_as_before(plan):
    assert "own_actions" not in replace(plan, own_actions={}).to_dict()


@pytest.mark.parametrize(
    "form", [list, pd.DataFrame, pa.Table.from_pylist, lambda rows: pd.DataFrame(rows).to_dict("list")]
)
def test_an_event_counts_under_either_name(plan, form):
    assert features(plan, form(YOURS)) == features(plan, OURS)
    assert sum(features(plan, OURS)) > 0


@pytest.mark.parametrize("at_once", [True, False])
def test_a_state_reads_either_name(plan, at_once):
    yours, ours = MemberState(plan), MemberState(plan)
    ours.update(OURS)
    for some in [YOURS] if at_once else YOURS:
        yours.update(some)
    assert yours.to_bytes() == ours.to_bytes()


def test_a_log_that_was_read_without_the_names_is_refused(plan):
    community = ll.Community([row | {"member_id": "ann"} for row in YOURS])
    rows = ll.Observations.from_frame([{"member_id": "ann", "cutoff": "2025-03-10"}])
    with pytest.raises(InputError, match=r"calls the log's action 'topic_created' 'question'.*values="):
        ll.build_features(community, rows, plan)


def test_a_log_in_our_names_is_not(plan):
    community = ll.Community([row | {"member_id": "ann"} for row in OURS])
    rows = ll.Observations.from_frame([{"member_id": "ann", "cutoff": "2025-03-10"}])
    assert ll.build_features(community, rows, plan).to_numpy().sum() > 0


@pytest.mark.parametrize(("time", "unit"), [(1_718_870_400, "seconds"), (1_718_870_400_000, "milliseconds")])
def test_seconds_are_not_taken_for_microseconds(plan, time, unit):
    event = {"occurred_at": time, "action": "view"}
    with pytest.raises(InputError, match=f"it looks like {unit}"):
        features(plan, [event])
    with pytest.raises(InputError, match=f"it looks like {unit}"):
        MemberState(plan).update(event)
