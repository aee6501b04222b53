"""Where one fact gives two values: each is expected to fail, strictly, so that its mark goes with its cause."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from leadlight.behaviours import Behaviour, Catalogue, Count, Peers, Recency, Tenure
from leadlight.community import Community
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


def gap(column, why):
    return pytest.mark.xfail(strict=True, raises=AssertionError, reason=f"{column}: {why}")


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
        pytest.param(LOG, people(joined_at=None), {"member_id": "ann", "joined_at": "2024-01-01"}, Tenure(),
                     marks=gap("joined_at", "it is taken from any row, whatever its valid_from"), id="joined"),
        pytest.param(LOG, people(account_id=None, email_domain="acme.example"), {"member_id": "zed", "account_id": "acme"}, Peers(Count()),
                     marks=gap("account_id", "the first that is ever known ends domains standing for accounts"), id="account"),
        pytest.param(LOG, people(email_domain=None), {"member_id": "zed", "email_domain": "z.example"}, Count(same_domain=True),
                     marks=gap("email_domain", "the first that is ever known turns missing into 0"), id="domain"),
        pytest.param(MAILS, people(), {"member_id": "zed"}, Peers(Count()),
                     marks=gap("email of the log", "dated members lose the domain that it gave them"), id="mail"),
    ],
)  # fmt: skip
def test_what_is_known_later_of_members_moves_nothing(same, activity, members, more, feature):
    # The table of members is longer by one row, which begins to hold in three months.
    told = [*members, {"valid_from": FUTURE, **more}]
    assert same(ann(activity, members, feature), ann(activity, told, feature))


@pytest.mark.parametrize(
    ("activity", "feature"),
    [
        pytest.param([*MAILS, {**MAILS[0], "email": "ann@other.example"}], Peers(Count()),
                     marks=gap("email of the log", "the first row of the table names the domain"), id="mail"),
        pytest.param([{**LOG[0], "event_id": "1", "tags": [t]} for t in "ab"], Count(by="tag", only=("a", "b")),
                     marks=gap("event_id", "of equals by time, action and member the first row stays"), id="tags"),
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
        pytest.param(TWICE, marks=gap("event_id", "online the first of those known at once stays, not the earliest"), id="twice"),
        pytest.param([{**LOG[0], "occurred_at": "20240229"}],
                     marks=gap("20240301", "online it is midnight, in a batch the day's last microsecond"), id="day"),
        pytest.param([LOG[0], {**LOG[0], "occurred_at": "2024-W08-1"}],
                     marks=gap("2024-W08-1", "online it is a day, in a batch it cannot be read"), id="week"),
    ],
)  # fmt: skip
def test_one_member_online_has_the_features_of_the_batch(same, activity):
    assert same(online(activity, Recency("view")), ann(activity, None, Recency("view")))


@pytest.mark.xfail(
    strict=True, raises=IndexError, reason="an empty mapping is aligned as a table without rows"
)
def test_no_peers_may_be_given_as_an_empty_mapping(value):
    community = Community(pd.DataFrame(LOG))
    plan = Catalogue([Behaviour("b", (Count("view"),), reason="")]).compile(community, AT)
    nothing = Linear(*np.zeros((1, 1)), np.ones(1), *np.zeros((3, 1)), intercept=0.0)
    model = Model(plan.column_names, None, nothing, 0.0, 1.0, Calibration(1.0, 0.0), np.zeros(0), 0.5)
    assert Scorer(model, plan).features(LOG, {"member_id": "ann"}, peers={}, at=AT).tolist() == [1.0]
