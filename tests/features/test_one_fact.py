"""One fact gives one value: whatever is known later, in whatever order, online as in a batch."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from leadlight.behaviours import Behaviour, Catalogue, Count, Peers, Recency, Tenure
from leadlight.community import Community
from leadlight.errors import InputError
from leadlight.features import build_features
from leadlight.kernels.sweep import sweep
from leadlight.observations import Observations
from leadlight.runtime import Calibration, Linear, Model, Scorer
from leadlight.runtime.events import encode_events

AT = "2024-03-01"
FUTURE = "2024-06-01T00:00:00"
LOG = [
    {"member_id": m, "occurred_at": f"2024-02-0{d}T00:00:00", "action": "view", "other_member_id": "bob"}
    for d, m in ((1, "ann"), (2, "bob"))
]
MAILS = [{**row, "email": f"{row['member_id']}@acme.example"} for row in LOG]


def ann(activity, members, feature):
    """The feature of ann at the cutoff."""
    community = Community(pd.DataFrame(activity), None if members is None else pd.DataFrame(members))
    plan = Catalogue([Behaviour("b", (feature,), reason="")]).compile(community, AT, min_members=1)
    rows = Observations.from_frame([{"member_id": "ann", "cutoff": AT}])
    return build_features(community, rows, plan).iloc[0].tolist()


def people(*more, **facts):
    return [*({"member_id": m, "valid_from": None, **facts} for m in ("ann", "bob")), *more]


@pytest.mark.parametrize(
    ("activity", "members", "more", "feature"),
    [
        pytest.param(LOG, people(joined_at=None), {"member_id": "ann", "joined_at": "2024-01-01"}, Tenure(), id="joined"),
        pytest.param(LOG, people(account_id=None, email_domain="acme.example"), {"member_id": "zed", "account_id": "acme"}, Peers(Count()), id="account"),
        pytest.param(LOG, people(email_domain=None), {"member_id": "zed", "email_domain": "z.example"}, Count(same_domain=True), id="domain"),
        pytest.param(MAILS, people(), {"member_id": "zed"}, Peers(Count()), id="mail"),
    ],
)  # fmt: skip
def test_what_is_known_later_of_members_moves_nothing(same, activity, members, more, feature):
    # The table of members is longer by one row, which begins to hold in three months.
    told = [*members, {"valid_from": FUTURE, **more}]
    assert same(ann(activity, members, feature), ann(activity, told, feature))


@pytest.mark.parametrize(
    ("activity", "feature"),
    [
        pytest.param([*MAILS, {**MAILS[0], "email": "ann@other.example"}], Peers(Count()), id="mail"),
        pytest.param([{**LOG[0], "event_id": "1", "tags": [t]} for t in "ab"], Count(by="tag", only=("a", "b")), id="tags"),
    ],
)  # fmt: skip
def test_the_order_of_rows_moves_nothing(same, activity, feature):
    assert same(ann(activity, None, feature), ann(activity[::-1], None, feature))


def online(activity, feature):
    community = Community(pd.DataFrame(activity))
    plan = Catalogue([Behaviour("b", (feature,), reason="")]).compile(community, AT, min_members=1)
    log, entity, info = encode_events(activity, plan, {"member_id": "ann"}, at=AT)
    return sweep(plan, log, entity, np.array([info.at_us]), joined=info.joined)[0]


TWICE = [
    {"member_id": "ann", "occurred_at": f"{day}T00:00:00", "known_at": "2024-02-10T00:00:00", "event_id": "1", "action": "view"}
    for day in ("2024-02-03", "2024-01-01")
]  # fmt: skip


@pytest.mark.parametrize(
    "activity",
    [
        pytest.param(TWICE, id="twice"),
        pytest.param([{**LOG[0], "occurred_at": "20240229"}], id="day"),
    ],
)  # fmt: skip
def test_one_member_online_has_the_features_of_the_batch(same, activity):
    assert same(online(activity, Recency("view")), ann(activity, None, Recency("view")))


@pytest.mark.parametrize("week", ["2024-W08-1", "2024W081", "2024-W08"])
def test_a_week_is_no_time_online_as_in_a_batch(week):
    told = [LOG[0], {**LOG[0], "occurred_at": week}]
    assert len(Community(pd.DataFrame(told)).rejects) == 1
    with pytest.raises(InputError, match=f"occurred_at of event 1 is '{week}'"):
        online(told, Recency("view"))


def test_no_peers_may_be_given_as_an_empty_mapping():
    community = Community(pd.DataFrame(LOG))
    plan = Catalogue([Behaviour("b", (Count("view"),), reason="")]).compile(community, AT)
    nothing = Linear(*np.zeros((1, 1)), np.ones(1), *np.zeros((3, 1)), intercept=0.0)
    model = Model(plan.column_names, None, nothing, 0.0, 1.0, Calibration(1.0, 0.0), np.zeros(0), 0.5)
    assert Scorer(model, plan).features(LOG, {"member_id": "ann"}, peers={}, at=AT).tolist() == [1.0]
