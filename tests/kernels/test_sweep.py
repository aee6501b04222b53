"""The sweep against definitions written out as loops over rows."""

from __future__ import annotations

import dataclasses
import math
import types
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import leadlight.kernels.columns as columns_module
import leadlight.kernels.sweep_reference as reference_module
from leadlight.behaviours import (
    Behaviour,
    Catalogue,
    Completeness,
    Count,
    Distinct,
    Entropy,
    FirstTime,
    Peers,
    Ratio,
    Recency,
    Sum,
    Surprise,
    Tenure,
    Trend,
    Visits,
)
from leadlight.community import Community
from leadlight.features import build_features
from leadlight.kernels.native import VARIABLE, extension
from leadlight.moments import ALL, DAY_US, moment_us
from leadlight.observations import Observations

START = datetime(2024, 1, 1, tzinfo=UTC)
MEMBERS = {
    "ann": ("acme", "a.example"),
    "bob": ("acme", "a.example"),
    "cid": ("bolt", "b.example"),
    "dee": (None, None),
}
ACTIONS = ("view", "question", "connect", "profile_update")
CATALOGUE = Catalogue(
    [
        Behaviour(
            "everything",
            (
                Count(window=("12h", "2d", "all")),
                Count("view", window=("2d", "7d")),
                Count(("view", "question"), window="7d"),
                Count("question", window=("2d", "all"), side="received"),
                Count(window="7d", side="received", by="tag"),
                Count(by="tag", window=("2d", "all")),
                Count("view", by="group", window="7d"),
                Count("connect", by="role", window="all"),
                Count("connect", by="job_function", window="7d", side="received"),
                Count("connect", window="7d", same_domain=True),
                Sum(window=("2d", "all")),
                Sum("view", window="7d"),
                Recency(),
                Recency("question"),
                Recency("view", side="received"),
                FirstTime("question", window="2d"),
                Trend(window=("12h", "2d")),
                Trend("view", window="2d", side="received"),
                Surprise(window="2d"),
                Surprise("view", window="12h", side="received"),
                Ratio(Count("view", window="7d"), Count(window="all")),
                Ratio(Count("view", window="2d", side="received"), Count("question", window="2d")),
                Distinct("tag", window=("2d", "all")),
                Entropy("tag", window=("7d", "all")),
                Entropy("group", window="all", action="view"),
                Visits(window=("2d", "all")),
                Visits(measure="per_month"),
                Visits(measure="last_visit"),
                Completeness(),
                Peers(Count(window=("2d", "all"))),
                Peers(Count("view", window="7d", by="tag")),
                Tenure(),
            ),
            reason="",
        )
    ]
)

moments = st.one_of(
    # A coarse grid makes ties, and windows that end on an event.
    st.integers(0, 20).map(lambda n: n * 12 * 60),
    st.integers(0, 10 * 24 * 6).map(lambda n: n * 10),
)
row = st.fixed_dictionaries(
    {
        "member_id": st.sampled_from(list(MEMBERS)),
        "minute": moments,
        "us": st.sampled_from([-1, 0, 0, 0, 1]),
        "late": st.sampled_from([None, None, None, 0, 1, 24 * 60, 5 * 24 * 60]),
        "action": st.sampled_from(ACTIONS),
        "other_member_id": st.sampled_from([None, *MEMBERS]),
        "other_role": st.sampled_from([None, "buyer", "user"]),
        "other_job_function": st.sampled_from([None, "it", "hr"]),
        "other_domain": st.sampled_from([None, None, "a.example", "else.example"]),
        "group_id": st.sampled_from([None, "beta", "Q & A"]),
        "tags": st.sampled_from([None, [], ["visa"], ["visa", "tax"], ["tax", "tax", "ünï;'\""]]),
        "duration_s": st.sampled_from([None, 0.0, 1.5, 600.0, 4000.001]),
        "field": st.sampled_from([None, "photo", "title"]),
        "value": st.sampled_from([None, "x"]),
    }
)
logs = st.lists(row, min_size=1, max_size=30)
CUTOFFS = [START + timedelta(hours=h) for h in (0, 12, 24, 60, 72, 168, 240, 400)]
THOROUGH = settings(
    derandomize=True,
    deadline=None,
    max_examples=60,
    # The kernel is chosen by a variable of the environment, the same for all examples of a test.
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
QUICK = settings(THOROUGH, max_examples=20)


def us(when: datetime | None) -> int:
    return np.iinfo(np.int64).min if when is None else moment_us(when)


def events(drawn: list[dict]) -> list[dict]:
    found = []
    for one in drawn:
        kept = {k: v for k, v in one.items() if k not in ("minute", "us", "late")}
        kept["occurred_at"] = START + timedelta(minutes=one["minute"], microseconds=one["us"])
        late = one["late"]
        kept["known_at"] = None if late is None else kept["occurred_at"] + timedelta(minutes=late)
        found.append(kept)
    return found


def community_of(log: list[dict]) -> Community:
    typed = [{k: log[0].get(k) for k in log[0]}, *log[1:]]
    people = [
        {
            "member_id": m,
            "account_id": a,
            "email_domain": d,
            "joined_at": START + timedelta(hours=6) if a else None,
        }
        for m, (a, d) in MEMBERS.items()
    ]
    return Community(typed, people)


def observations(cutoffs: list[datetime] = CUTOFFS) -> Observations:
    return Observations.from_frame([{"member_id": m, "cutoff": c} for c in cutoffs for m in MEMBERS])


class Definition:
    """One observation: what each operation means, over rows in a list."""

    def __init__(self, plan, log, member, cutoff):
        self.plan, self.member, self.cutoff = plan, member, us(cutoff)
        self.known = [r for r in log if max(us(r["occurred_at"]), us(r["known_at"])) < self.cutoff]

    def holds(self, key, r):
        if key.action is not None and r["action"] != key.action:
            return False
        if key.attribute is None:
            return True
        if key.attribute == "tag":
            return key.value in (r["tags"] or [])
        if key.attribute == "same_domain":
            mine = MEMBERS[r["member_id"]][1]
            theirs = r["other_domain"] or (MEMBERS[r["other_member_id"]][1] if r["other_member_id"] else None)
            return mine is not None and mine == theirs
        column = {
            "group": "group_id",
            "role": "other_role",
            "job_function": "other_job_function",
            "field": "field",
        }
        return r[column[key.attribute]] == key.value

    def side(self, side):
        if side == "given":
            found = [r for r in self.known if r["member_id"] == self.member]
        else:
            found = [
                r for r in self.known if r["other_member_id"] == self.member and r["member_id"] != self.member
            ]
        return sorted(found, key=lambda r: us(r["occurred_at"]))

    def inside(self, r, window):
        return window == ALL or us(r["occurred_at"]) >= self.cutoff - window

    def rows(self, k, window=ALL):
        key = self.plan.keys[k]
        return [r for r in self.side(key.side) if self.holds(key, r) and self.inside(r, window)]

    def count(self, keys, window):
        return sum(len(self.rows(k, window)) for k in keys) if keys else math.nan

    def sum_duration(self, c):
        return sum(round((r["duration_s"] or 0) * 1000) for r in self.rows(c.keys[0], c.windows[0])) / 1000

    def recency(self, c):
        found = self.rows(c.keys[0])
        return (self.cutoff - us(found[-1]["occurred_at"])) / DAY_US if found else math.nan

    def first_time(self, c):
        ever = [r for k in c.keys for r in self.rows(k)]
        return float(bool(ever) and all(self.inside(r, c.windows[0]) for r in ever))

    def trend(self, c):
        recent = self.count(c.keys, c.windows[0])
        return (recent + 1) / (self.count(c.keys, 2 * c.windows[0]) - recent + 1)

    def ratio(self, c):
        above = self.count(c.keys[: c.split], c.windows[0])
        below = self.count(c.keys[c.split :], c.windows[-1])
        return above / below if below else math.nan

    def distinct(self, c):
        return sum(bool(self.rows(k, c.windows[0])) for k in c.keys)

    def entropy(self, c):
        counts = [n for k in c.keys if (n := len(self.rows(k, c.windows[0])))]
        return -sum(n / sum(counts) * math.log2(n / sum(counts)) for n in counts) if counts else math.nan

    def visit_list(self):
        visits = []
        for r in self.side("given"):
            if not visits or us(r["occurred_at"]) - us(visits[-1][-1]["occurred_at"]) > 30 * 60_000_000:
                visits.append([])
            visits[-1].append(r)
        return visits

    def visits(self, c):
        return sum(self.inside(v[0], c.windows[0]) for v in self.visit_list())

    def visits_per_month(self, c):
        found = self.visit_list()
        if not found:
            return 0.0
        return len(found) / max((self.cutoff - us(found[0][0]["occurred_at"])) / (30.0 * DAY_US), 1.0)

    def last_visit(self, c):
        if not self.visit_list():
            return math.nan
        visit = self.visit_list()[-1]
        last = us(visit[-1]["occurred_at"])
        stay = max(round((r["duration_s"] or 0) * 1000) for r in visit if us(r["occurred_at"]) == last)
        return (min(last + stay * 1000, self.cutoff) - us(visit[0]["occurred_at"])) / 1e6

    def completeness(self, c):
        if not c.keys:
            return math.nan
        newest = [
            max(f, key=lambda r: (us(r["occurred_at"]), r["duration_s"] or 0, r["value"] is not None))
            if (f := self.rows(k))
            else {"value": None}
            for k in c.keys
        ]
        return sum(r["value"] is not None for r in newest) / len(c.keys)

    def surprise(self, c):
        window, side = c.windows[0], self.side(self.plan.keys[c.keys[0]].side)
        if not side or (before := (self.cutoff - us(side[0]["occurred_at"])) / window - 1.0) <= 0:
            return math.nan
        recent = self.count(c.keys, window)
        expected = (self.count(c.keys, ALL) - recent) / before
        return (recent - expected) / math.sqrt(expected + 1.0)

    def peers(self, c):
        account = MEMBERS[self.member][0]
        if account is None:
            return math.nan
        colleagues = [m for m, (a, _) in MEMBERS.items() if a == account and m != self.member]
        return sum(
            self.holds(self.plan.keys[k], r) and self.inside(r, c.windows[0])
            for k in c.keys
            for r in self.known
            if r["member_id"] in colleagues
        )

    def tenure(self, c):
        joined = us(START + timedelta(hours=6))
        known = MEMBERS[self.member][0] is not None and joined < self.cutoff
        return (self.cutoff - joined) / DAY_US if known else math.nan

    def value(self, c):
        if c.operation == "count":
            return self.count(c.keys, c.windows[0])
        return getattr(self, c.operation)(c)


def check_against_definitions(drawn: list[dict]) -> None:
    log = events(drawn)
    community = community_of(log)
    plan = CATALOGUE.compile(community, None, min_members=1)
    found = build_features(community, observations(), plan)
    for i, (member, cutoff) in enumerate(found.index):
        definition = Definition(plan, log, member, cutoff.to_pydatetime())
        for j, column in enumerate(plan.columns):
            expected, got = np.float32(definition.value(column)), found.iat[i, j]
            if column.operation == "entropy" and not np.isnan(expected):
                assert abs(expected - got) <= np.spacing(max(expected, got)), (
                    column,
                    member,
                    cutoff,
                    expected,
                    got,
                )
            else:
                assert expected == got or (np.isnan(expected) and np.isnan(got)), (
                    column,
                    member,
                    cutoff,
                    expected,
                    got,
                )


def features(log: list[dict], cutoffs: list[datetime] = CUTOFFS):
    community = community_of(log)
    return build_features(community, observations(cutoffs), CATALOGUE.compile(community, None, min_members=1))


@pytest.fixture(params=["native", "reference"])
def kernel(request, monkeypatch):
    if request.param == "native" and extension() is None:
        pytest.skip("the extension was not built")
    monkeypatch.setenv(VARIABLE, request.param)


@pytest.fixture
def reference(monkeypatch):
    monkeypatch.setenv(VARIABLE, "reference")


@pytest.mark.usefixtures("kernel")
@THOROUGH
@given(logs)
def test_every_column_is_what_its_definition_says(drawn):
    check_against_definitions(drawn)


@pytest.mark.usefixtures("kernel")
@QUICK
@given(logs, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(same, drawn, random):
    log = events(drawn)
    shuffled = random.sample(log, len(log))
    assert same(features(log), features(shuffled))


@pytest.mark.usefixtures("kernel")
@QUICK
@given(logs)
def test_all_cutoffs_at_once_equal_one_at_a_time(same, drawn):
    log = events(drawn)
    apart = np.concatenate([features(log, [c]).to_numpy() for c in CUTOFFS])
    assert same(features(log), apart)


@pytest.mark.usefixtures("reference")
@QUICK
@given(logs)
def test_small_blocks_equal_one_block(same, drawn):
    log = events(drawn)
    whole = features(log)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reference_module, "BLOCK_ROWS", 3)
        patch.setattr(reference_module, "LATE_PAIRS", 5)
        assert same(whole, features(log))


@pytest.mark.usefixtures("reference")
@QUICK
@given(logs)
def test_the_exact_path_for_late_rows_equals_the_quick_one_where_nothing_is_late(same, drawn):
    log = events([{**one, "late": None} for one in drawn])
    whole = features(log)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Community, "log", property(_all_late))
        patch.setattr(reference_module, "_late", lambda log, entity, *rest: np.ones(len(entity), bool))
        assert same(whole, features(log))


def _all_late(community: Community):
    from leadlight.community.encode import encode_activity

    log = encode_activity(community.activity, community.members)
    return dataclasses.replace(log, visible_from=log.time)


@pytest.mark.usefixtures("reference")
def test_late_blocks_bound_their_pairs_by_what_members_receive_too(monkeypatch):
    received = [
        {
            "member_id": "bob",
            "other_member_id": "ann",
            "action": "view",
            "occurred_at": START + timedelta(hours=h),
        }
        for h in range(10)
    ]
    received[0]["known_at"] = START + timedelta(days=5)
    community = Community(received)
    sizes = []
    original = reference_module._known_pairs

    def counting(log, code, wanted, cutoff):
        pairs = original(log, code, wanted, cutoff)
        sizes.append(len(pairs[0]))
        return pairs

    monkeypatch.setattr(reference_module, "_known_pairs", counting)
    monkeypatch.setattr(reference_module, "LATE_PAIRS", 12)
    ann = [{"member_id": "ann", "cutoff": START + timedelta(days=1 + d)} for d in range(4)]
    asked = Catalogue([Behaviour("b", (Count("view", side="received"),), reason="")])
    found = build_features(community, Observations.from_frame(ann), asked)
    assert found["view_received_count_all"].tolist() == [9.0] * 4
    assert max(sizes) <= 12


def test_no_observations_give_no_rows(table):
    plan = CATALOGUE.compile(table("ann view 2024-01-01"), None, min_members=1)
    empty = Observations.from_frame({"member_id": [], "cutoff": []})
    assert build_features(table("ann view 2024-01-01"), empty, plan).shape == (0, len(plan.columns))


def test_a_member_without_history_counts_zero_and_has_no_recency(value, table):
    community = table("bob view 2024-01-01", members=[{"member_id": "ann"}])
    assert value(community, Count("view"), cutoff="2024-02-01") == 0
    assert math.isnan(value(community, Recency("view"), cutoff="2024-02-01"))


FAULTS = {
    "peers count the member itself": ("peers", lambda op: lambda block, c: columns_module._count(block, c) * 0 + sum(
        block.count(k, c.windows[0], account=True) for k in c.keys) if block.account is not None else block.missing()),
    "a ratio uses one window for both": ("ratio", lambda op: lambda block, c: op(block, dataclasses.replace(
        c, windows=c.windows[:1]))),
    "a trend compares with the whole past": ("trend", lambda op: lambda block, c: (
        block.total(c.keys, c.windows[0]) + 1) / (block.total(c.keys, ALL) - block.total(c.keys, c.windows[0]) + 1)),
    "a count forgets its window": ("count", lambda op: lambda block, c: op(block, dataclasses.replace(c, windows=(ALL,)))),
    "a visit is any row": ("visits", lambda op: lambda block, c: (
        block.position("given", -1) - block.position("given", c.windows[0]))),
    "a stay goes on beyond the cutoff": ("last_visit", lambda op: lambda block, c: op(types.SimpleNamespace(
        **{**vars(block), "cutoff": block.cutoff + DAY_US}, given=block.given, _last=block._last,
        visit_mask=block.visit_mask, position=block.position, missing=block.missing), c)),
}  # fmt: skip


@pytest.mark.usefixtures("reference")
@pytest.mark.parametrize("fault", FAULTS)
def test_the_definitions_kill_a_planted_fault(monkeypatch, fault):
    operation, plant = FAULTS[fault]
    original = columns_module._OPERATIONS[operation]
    monkeypatch.setitem(columns_module._OPERATIONS, operation, plant(original))
    quick = settings(
        THOROUGH, max_examples=200, phases=[Phase.generate], report_multiple_bugs=False, database=None
    )
    killed = quick(given(logs)(check_against_definitions))
    with pytest.raises(AssertionError):
        killed()
