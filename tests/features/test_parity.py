"""One plan, many ways: every kernel in a batch, SQL over the tables, and one member at a time, with `==`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.features.faults import MISCOUNTS, plant
from tests.features.generated import (
    CUTOFFS_US,
    EVERY_OPERATION,
    LATE,
    OPTIONAL,
    assert_equal,
    busy,
    examples,
    observations,
    settled,
    worlds,
)
from tests.features.sql_oracle import oracle

from leadlight.behaviours import CORPORATE_COMMUNITY, QUESTION_COMMUNITY
from leadlight.community import Community
from leadlight.features import build_features
from leadlight.observations import Observations
from leadlight.plan import ATTRIBUTES, OPERATIONS, SIDES
from leadlight.runtime import Calibration, Linear, MemberState, Model, Scorer
from leadlight.simulate import simulate_community
from leadlight.sources.stackexchange import read_stackexchange

DATA = Path(__file__).parents[2] / "data"
NEVER = np.iinfo(np.int64).min
dropped = st.one_of(
    st.just(frozenset()),
    st.frozensets(
        st.sampled_from((*OPTIONAL, "account_id", "email_domain", "joined_at", "valid_from")), max_size=3
    ),
)


@examples(40)
@given(worlds, dropped, st.booleans())
def test_generated_logs_have_the_features_that_sql_finds(kernels, world, without, compiled_on_all):
    community = world.community(without)
    # A plan of a log that has all columns may meet one that lacks some: what it never says is missing.
    plan = EVERY_OPERATION.compile(world.community() if compiled_on_all else community, None, min_members=1)
    rows = observations(community)
    expected = oracle(community, rows, plan)
    for kernel in kernels:
        with kernel():
            assert_equal(build_features(community, rows, plan), expected, plan)


@pytest.fixture(scope="module")
def crowds():
    """Communities where everything falls on an edge, their rows and plans, and the features that SQL finds."""
    found = []
    for seed, late in enumerate(LATE):
        community = busy(seed, late).community()
        plan = EVERY_OPERATION.compile(community, None, min_members=1)
        rows = observations(community)
        found.append((community, rows, plan, oracle(community, rows, plan)))
    return found


def check_crowds(kernel, crowds) -> None:
    for community, rows, plan, expected in crowds:
        with kernel():
            assert_equal(build_features(community, rows, plan), expected, plan)


def test_the_generated_plan_asks_for_every_operation_of_every_kind_of_key(crowds):
    for _, _, plan, expected in crowds:
        assert {column.operation for column in plan.columns} == set(OPERATIONS)
        assert {(key.side, key.attribute) for key in plan.keys} >= {(s, a) for s in SIDES for a in ATTRIBUTES}
        # A comparison of columns that are all zero or missing would show little.
        idle = expected.columns[(expected.fillna(0) == 0).all()]
        assert set(idle) <= {"never done_count_7d", "view_or_connect_received_first_time_7d"}


def test_a_crowd_has_the_features_that_sql_finds(kernels, crowds):
    for kernel in kernels:
        check_crowds(kernel, crowds)


@pytest.mark.parametrize("fault", MISCOUNTS)
def test_sql_kills_a_planted_fault(kernels, crowds, monkeypatch, fault):
    plant(monkeypatch, MISCOUNTS[fault])
    for kernel in kernels:
        with pytest.raises(AssertionError, match="values differ"):
            check_crowds(kernel, crowds)


def test_the_order_of_rows_and_the_company_of_other_cutoffs_change_nothing(kernels, crowds):
    for community, rows, plan, together in crowds:
        log = community.activity
        turned = Community(log.take(pa.array(range(log.num_rows)[::-1])), community._tables["members"])
        for kernel in kernels:
            with kernel():
                alone = [build_features(community, observations(community, (c,)), plan) for c in CUTOFFS_US]
                again = build_features(turned, rows, plan)
            assert_equal(pd.concat(alone), together, plan)
            assert_equal(again, together, plan)


def scorer_of(plan) -> Scorer:
    """A model that says nothing: its features are what is asked for."""
    width = len(plan.columns)
    nothing = Linear(*np.zeros((1, width)), np.ones(width), *np.zeros((3, width)), intercept=0.0)
    return Scorer(
        Model(plan.column_names, None, nothing, 0.0, 1.0, Calibration(1.0, 0.0), np.zeros(0), 0.5), plan
    )


def own_events(log: pa.Table, member, domains: dict) -> list[dict]:
    """The member's rows as an application holds them, the other party's domain written into each."""
    chosen = pc.equal(log["member_id"], pa.scalar(member, log["member_id"].type))
    if "other_member_id" in log.column_names:
        theirs = pc.equal(log["other_member_id"], pa.scalar(member, log["other_member_id"].type))
        chosen = pc.or_(chosen, pc.fill_null(theirs, False))
    events = log.filter(chosen).to_pylist()
    for event in events:
        if event.get("other_domain") is None:
            event["other_domain"] = domains.get(event.get("other_member_id"))
    return events


def folded(state: MemberState, cutoff) -> MemberState:
    """The state after a round trip through bytes, its older events as sums."""
    state.compact(cutoff)
    return MemberState.from_bytes(state.to_bytes(), state.plan)


def assert_online_is(expected: pd.DataFrame, community: Community, plan, domains: dict) -> None:
    """Compute each row of a batch from its member's events and facts alone."""
    scorer = scorer_of(plan)
    # The domain of whoever invited the member is not among the member's facts: online such columns are missing.
    hidden = {i for i, key in enumerate(plan.keys) if key.side == "received" and key.attribute == "same_domain"}  # fmt: skip
    shown = np.array([not hidden.intersection(column.keys) for column in plan.columns])
    peers = [(j, c.name) for j, c in enumerate(plan.columns) if c.operation == "peers"]
    joined = dict(zip(community.members.ids, community.members.joined_us.tolist(), strict=True))
    known = {m: own_events(community.activity, m, domains) for m in expected.index.unique("member_id")}
    for (member, cutoff), row in zip(expected.index, expected.to_numpy(), strict=True):
        facts = {"member_id": member, "email_domain": domains.get(member)}
        if joined[member] != NEVER:
            facts["joined_at"] = moment(joined[member])
        colleagues = {name: row[j] for j, name in peers}
        found = scorer.features(known[member], facts, colleagues or None, at=cutoff)
        differing = shown & ~((found == row) | (np.isnan(found) & np.isnan(row)))
        names = np.array(plan.column_names)[differing]
        assert not differing.any(), f"{member} {cutoff}: {names}, {found[differing]}, {row[differing]}"
        state = scorer.state(facts, keep=None)
        for event in sorted(known[member], key=lambda event: event["occurred_at"]):
            state.update(event)
        for stored in (state, folded(state, cutoff)):
            again = scorer.features(stored, None, colleagues or None, at=cutoff)
            np.testing.assert_array_equal(again, found)


def check_online(kernels, world) -> None:
    community = settled(world).community()
    plan = EVERY_OPERATION.compile(community, None, min_members=1)
    domains = {p["member_id"]: p["email_domain"] for p in settled(world).people}
    for kernel in kernels:
        with kernel():
            batch = build_features(community, observations(community), plan)
            assert_online_is(batch, community, plan, domains)


@examples(25)
@given(worlds)
def test_one_member_online_has_the_features_of_the_batch(kernels, world):
    check_online(kernels, world)


@pytest.mark.parametrize("late", LATE)
def test_one_of_a_crowd_online_has_the_features_of_the_batch(kernels, late):
    check_online(kernels, busy(3, late))


def sample(community: Community, members: int, cutoffs: list, seed: int = 0) -> Observations:
    """The busiest and some drawn from all, who may never have done anything, at each cutoff."""
    ids = community.members.ids
    busy = np.argsort(-np.bincount(community.log.actor, minlength=len(ids)), kind="stable")[: members // 10]
    drawn = np.random.default_rng(seed).choice(len(ids), members, replace=False)
    chosen = [ids[i] for i in dict.fromkeys([*busy.tolist(), *drawn.tolist()])]
    return Observations.from_frame([{"member_id": m, "cutoff": c} for c in cutoffs for m in chosen])


def moment(us: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=us)


def of_questions(name: str):
    if not (DATA / name).exists():
        pytest.skip("the sample of the real community is not here")
    community = read_stackexchange(DATA / name)
    middle = int(np.median(community.log.time))
    cutoffs = ["2014-12-01", moment(middle), moment(middle + 1), "2017-02-28T12:34:56.789"]
    return community, QUESTION_COMMUNITY, sample(community, 150, cutoffs)


def of_companies(name: str):
    community, _ = simulate_community(members=400, weeks=60, seed=3)
    middle = int(np.median(community.log.time))
    cutoffs = ["2024-03-01", moment(middle), "2025-01-15"]
    return community, CORPORATE_COMMUNITY, sample(community, 120, cutoffs)


@pytest.mark.parametrize(
    ("read", "name"), [(of_questions, "travel"), (of_questions, "beer"), (of_companies, "simulated")]
)
def test_a_whole_community_has_the_features_that_sql_and_one_member_online_find(kernels, read, name):
    community, catalogue, rows = read(name)
    plan = catalogue.compile(community, "2015-01-01" if name != "simulated" else "2024-10-01", min_members=5)
    domains = {i: d for i, d in community.members.facts["email_domain"].items() if d == d}
    expected = oracle(community, rows, plan)
    # A comparison of columns that are all zero or missing would show little.
    assert (np.nan_to_num(expected.to_numpy()) != 0).any(axis=0).mean() > 0.9
    few = sorted(
        rows.frame["member_id"].unique(), key=lambda m: (community.log.actor == community.codes([m])).sum()
    )
    online = rows.frame["member_id"].isin(few[:: len(few) // 25][:-2]).to_numpy()
    for kernel in kernels:
        with kernel():
            found = build_features(community, rows, plan)
            assert_equal(found, expected, plan)
            assert_online_is(found[online], community, plan, domains)
