"""The rows behind a reason are those that the features counted, and no others."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from tests.features.generated import CUTOFFS_US, EVERY_OPERATION, LATE, busy, observations

from leadlight.behaviours import Behaviour, Catalogue, Completeness, Count, Peers, Recency, Tenure, Visits
from leadlight.community import Community
from leadlight.errors import InputError
from leadlight.explain.behind import Behind, Rows
from leadlight.explain.evidence import COLUMNS, evidence, evidence_of, sampled
from leadlight.features import build_features
from leadlight.moments import DAY_US
from leadlight.plan import Column, Plan
from leadlight.runtime import Reason

AT = "2024-04-01"


class Scored:
    """A call list made by hand: (member, reasons)."""

    def __init__(self, *rows, at=AT):
        self.frame = pd.DataFrame(
            {
                "member_id": pd.Series([m for m, _ in rows], dtype=object),
                "at": pd.to_datetime([at] * len(rows), utc=True),
                "reasons": pd.Series([r for _, r in rows], dtype=object),
            }
        )


def plan_of(community, *features, name="tested"):
    return Catalogue([Behaviour(name, features, reason="")]).compile(community, AT, min_members=1)


def behind(community, feature, member="ann", column=None, at=AT):
    plan = plan_of(community, feature)
    return evidence_of(community, plan, member, column or plan.column_names[0], at)


@pytest.fixture(scope="module")
def worlds():
    """Communities where everything falls on an edge, with a plan that asks for everything, and the features."""
    found = []
    for seed, late in enumerate(LATE):
        community = busy(seed, late).community()
        plan = EVERY_OPERATION.compile(community, None, min_members=1)
        X = build_features(community, observations(community), plan)
        everybody = np.arange(len(community.members))
        seen = {cutoff: Behind(community, plan, everybody, cutoff) for cutoff in CUTOFFS_US}
        found.append((community, plan, X, seen))
    return found


class Case(NamedTuple):
    """One feature of one member at one cutoff, and the rows behind it."""

    community: Community
    plan: Plan
    column: Column
    member: str
    cutoff: int
    value: float
    inside: Behind
    rows: Rows


def cases(worlds, *operations):
    """Yield each feature that is known of columns of some operations."""
    for community, plan, X, seen in worlds:
        shown = ~(community.members.employee | community.members.refused)
        for column in plan.columns:
            if column.operation not in operations:
                continue
            for (member, at), value in X[column.name].items():
                code, cutoff = int(community.codes([member])[0]), int(at.value // 1000)
                if shown[code] and np.isfinite(value):
                    inside = seen[cutoff]
                    rows = inside.rows(code, column)
                    yield Case(community, plan, column, member, cutoff, float(value), inside, rows)


def test_the_rows_behind_a_count_add_up_to_it(worlds):
    seen = 0
    for case in cases(worlds, "count", "peers"):
        assert case.rows.times.sum() == case.value, case[2:6]
        seen += case.value > 0
    assert seen > 500


def test_a_visit_shows_the_row_that_began_it(worlds):
    for case in cases(worlds, "visits"):
        assert len(case.rows.row) == case.value, case[2:6]


def test_a_recency_shows_the_newest_row(worlds):
    for case in cases(worlds, "recency"):
        (time,) = set(case.inside.log.time[case.rows.row].tolist())
        assert np.float32((case.cutoff - time) / DAY_US) == np.float32(case.value), case[2:6]


def test_the_rows_behind_a_sum_hold_its_seconds(worlds):
    for case in cases(worlds, "sum_duration"):
        seconds = case.inside.log.duration_ms[case.rows.row].sum() / 1000
        assert np.float32(seconds) == np.float32(case.value), case[2:6]


def test_there_are_rows_just_where_there_is_something(worlds):
    for case in cases(worlds, "distinct", "ratio", "completeness"):
        assert (len(case.rows.row) > 0) == (case.value > 0), case[2:6]
    for case in cases(worlds, "entropy", "last_visit"):
        assert len(case.rows.row) > 0, case[2:6]


def test_a_profile_shows_a_row_for_each_field_that_is_filled(worlds):
    for case in cases(worlds, "completeness"):
        assert len(case.rows.row) == pytest.approx(case.value * len(case.column.keys), abs=1e-4)


def test_no_row_is_shown_that_was_not_visible(worlds):
    for community, _, _, seen in worlds:
        log = community.log
        visible = log.time if log.visible_from is None else log.visible_from
        for cutoff, inside in seen.items():
            assert (visible[inside.source] < cutoff).all()


def test_without_the_rows_behind_a_count_it_is_zero(worlds):
    """Deleting the evidence changes the column that it is evidence of."""
    found = [case for case in cases(worlds, "count", "peers") if case.value > 0]
    checked = 0
    for i in np.random.default_rng(0).choice(len(found), 15, replace=False):
        case = found[i]
        keep = np.ones(len(case.community.log), bool)
        keep[case.inside.source[case.rows.row]] = False
        left = Community(case.community.activity.filter(pa.array(keep)), case.community._tables["members"])
        if case.member not in left.members.ids:
            continue  # everything that was known of the member is gone
        one = observations(left, (case.cutoff,), (case.member,))
        value = build_features(left, one, case.plan)[case.column.name].iloc[0]
        assert value == 0 or np.isnan(value), case[2:6]
        checked += 1
    assert checked > 10


def test_a_row_says_what_happened_when_to_whom(table):
    community = table(
        "ann view 2024-03-01T10:00:00 tags=visa|tax for=40; ann connect 2024-03-05 to=bob role=buyer group=beta;"
        "bob view 2024-03-01"
    )
    found = behind(community, Count(window="90d"))
    assert list(found.columns) == COLUMNS
    assert found["text"].tolist() == [
        "connect, with the role buyer, in the group beta",
        "view: tax, visa, for 40 seconds",
    ]
    assert found["occurred_at"].tolist() == [
        pd.Timestamp("2024-03-05", tz="UTC"),
        pd.Timestamp("2024-03-01T10", tz="UTC"),
    ]
    assert found["tags"].tolist() == [(), ("tax", "visa")]
    assert found["other_member_id"].tolist() == ["bob", None]
    assert found["group_id"].tolist() == ["beta", None]
    assert found["duration_s"].tolist()[1] == 40
    assert found[["times", "rows", "left_out"]].to_numpy().tolist() == [[1, 2, 0]] * 2


def test_what_others_did_towards_the_member_names_them():
    community = Community(
        [
            {"member_id": "bob", "action": "answer", "occurred_at": "2024-03-01", "other_member_id": "ann"},
            {"member_id": "eve", "action": "answer", "occurred_at": "2024-03-02", "other_member_id": "ann"},
            {"member_id": "cid", "action": "answer", "occurred_at": "2024-03-03", "other_member_id": "ann"},
        ],
        members=[
            {"member_id": m, "role": role, "consent": consent}
            for m, role, consent in (
                ("ann", None, True), ("bob", "customer", True), ("eve", "employee", True), ("cid", None, None)
            )
        ],
    )  # fmt: skip
    found = behind(community, Count("answer", side="received", window="90d"))
    assert found["side"].tolist() == ["received"] * 3
    # Cid has not consented, Eve works for the host.
    assert found["other_member_id"].tolist() == [None, None, "bob"]
    assert found["text"].tolist()[1:] == [
        "answer received, by the role employee",
        "answer received, by the role customer",
    ]


def test_colleagues_are_shown_and_who_refused_is_not_named():
    community = Community(
        [
            {"member_id": m, "action": "view", "occurred_at": "2024-03-01"}
            for m in ("ann", "bob", "cid", "eve", "fay")
        ],
        members=[
            {"member_id": "ann", "account_id": "acme", "consent": True},
            {"member_id": "bob", "account_id": "acme", "consent": True},
            {"member_id": "cid", "account_id": "acme", "consent": False},
            {"member_id": "eve", "account_id": "acme", "role": "employee", "consent": True},
            {"member_id": "fay", "account_id": "bolt", "consent": True},
        ],
    )
    found = behind(community, Peers(Count("view", window="90d")))
    assert sorted(found["other_member_id"].tolist(), key=str) == [None, "bob"]
    assert set(found["text"]) == {"view by a colleague"}


def test_what_became_known_at_the_cutoff_is_not_shown(table):
    community = table(
        "ann view 2024-03-01 known=2024-04-01; ann view 2024-03-02 known=2024-03-31; ann view 2024-04-01"
    )
    assert behind(community, Count("view"))["occurred_at"].dt.day.tolist() == [2]


def test_a_long_history_shows_the_newest_and_some_of_the_older_rows(table):
    text = "; ".join(f"ann view 2024-03-{day:02d}" for day in range(1, 32))
    community = table(text)
    plan = plan_of(community, Count("view", window="90d"))
    reason = Reason("tested", 1.0, "", ("view_count_90d",))
    found = evidence(community, plan, Scored(("ann", (reason,))), most=6)
    assert found["occurred_at"].dt.day.tolist() == [31, 30, 29, 28, 15, 1]
    assert found[["rows", "left_out"]].drop_duplicates().to_numpy().tolist() == [[31, 25]]


@pytest.mark.parametrize(("count", "most"), [(1, 1), (2, 1), (21, 20), (40, 20), (1000, 7), (3, 2)])
def test_a_sample_has_the_size_asked_for_and_no_row_twice(count, most):
    found = sampled(count, most)
    assert len(found) == len(set(found)) == min(count, most)
    assert found == sorted(found)
    assert max(found) < count


def test_a_reason_without_a_sentence_shows_all_columns_of_its_behaviour(table):
    community = table("ann view 2024-03-01; ann question 2024-03-02; ann post 2024-03-03")
    plan = plan_of(community, Count("view", window="90d"), Recency("question"), Tenure())
    found = evidence(community, plan, Scored(("ann", (Reason("tested", -1.0, "little sign of: tested"),))))
    assert found["action"].tolist() == ["question", "view"]


def test_reasons_come_in_the_order_of_the_scores(table):
    community = table("ann view 2024-03-01; bob view 2024-03-02; bob question 2024-03-03")
    plan = Catalogue(
        [
            Behaviour("reads", (Count("view", window="90d"),), ""),
            Behaviour("asks", (Visits(window="90d"),), ""),
        ]
    ).compile(community, AT, min_members=1)
    both = (Reason("asks", 2.0, ""), Reason("reads", 1.0, ""))
    found = evidence(community, plan, Scored(("bob", both), ("ann", both[1:])))
    assert found[["member_id", "behaviour", "rows"]].to_numpy().tolist() == [
        ["bob", "asks", 2], ["bob", "asks", 2], ["bob", "reads", 1], ["ann", "reads", 1]
    ]  # fmt: skip


def test_two_tags_that_are_counted_together_count_a_row_twice(table):
    community = table("ann view 2024-03-01 tags=visa|tax; ann view 2024-03-02 tags=visa")
    found = behind(community, Count("view", by="tag", only=("visa", "tax"), total="official", window="90d"))
    assert found["times"].tolist() == [1, 2]


def test_a_profile_shows_the_row_that_filled_each_field(table):
    community = table(
        "ann profile_update 2024-03-01 field=photo value=x; ann profile_update 2024-03-02 field=photo value=y;"
        "ann profile_update 2024-03-03 field=title"
    )
    found = behind(community, Completeness())
    assert found["occurred_at"].dt.day.tolist() == [2]


def test_large_identifiers_come_back_unchanged():
    big = 2**60 + 1
    community = Community([{"member_id": big, "action": "view", "occurred_at": "2024-03-01"}])
    assert behind(community, Count("view"), member=big)["member_id"].tolist() == [big]


def test_nobody_has_no_evidence(table):
    community = table("ann view 2024-03-01")
    found = evidence(community, plan_of(community, Count("view")), Scored())
    assert list(found.columns) == COLUMNS
    assert not len(found)


@pytest.mark.parametrize("most", [0, -1, True])
def test_at_least_one_row_is_asked_for(table, most):
    community = table("ann view 2024-03-01")
    with pytest.raises(InputError, match="at least one row"):
        evidence(community, plan_of(community, Count("view")), Scored(), most=most)


def test_who_is_never_scored_is_never_shown():
    community = Community(
        [{"member_id": "eve", "action": "view", "occurred_at": "2024-03-01"}],
        members=[{"member_id": "eve", "role": "employee"}],
    )
    with pytest.raises(InputError, match="never scored nor shown"):
        behind(community, Count("view"), member="eve")


def test_a_reason_of_another_plan_is_refused(table):
    community = table("ann view 2024-03-01")
    with pytest.raises(InputError, match="not of this plan"):
        evidence(community, plan_of(community, Count("view")), Scored(("ann", (Reason("else", 1.0, ""),))))


def test_an_unknown_column_is_refused(table):
    community = table("ann view 2024-03-01")
    with pytest.raises(InputError, match="no column 'view_count_al'"):
        evidence_of(community, plan_of(community, Count("view")), "ann", "view_count_al", AT)
