"""Small communities that Hypothesis draws, where everything falls on an edge: windows, cutoffs, visits, ties."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

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
from leadlight.moments import DAY_US, moment_us
from leadlight.observations import Observations
from leadlight.plan import Plan

Row = dict[str, Any]

EVERY_OPERATION = Catalogue(
    [
        Behaviour(
            "everything",
            (
                Count(window=("12h", "2d", "all")),
                Count("view", window=("2d", "7d")),
                Count(("view", "question"), window="7d"),
                Count("never done", window="7d"),
                Count("question", window=("2d", "all"), side="received"),
                Count(by="tag", window=("2d", "all")),
                Count(window="7d", side="received", by="tag"),
                Count("view", by="group", window="7d"),
                Count(by="group", window="all", side="received"),
                Count("connect", by="role", window=("7d", "all")),
                Count(by="role", window="all", side="received"),
                Count("connect", by="job_function", window="7d", side="received"),
                Count(by="job_function", window="2d"),
                Count(by="field", window="7d"),
                Count(by="field", window="all", side="received"),
                Count("connect", window="7d", same_domain=True),
                Count(("connect", "view"), window="all", same_domain=True, side="received"),
                Sum(window=("2d", "all")),
                Sum("view", window="7d"),
                Recency(),
                Recency("question"),
                Recency("view", side="received"),
                FirstTime("question", window="2d"),
                FirstTime(("view", "connect"), window="7d", side="received"),
                Trend(window=("12h", "2d")),
                Trend("view", window="2d", side="received"),
                Surprise(window="2d"),
                Surprise("view", window="12h", side="received"),
                Ratio(Count("view", window="7d"), Count(window="all")),
                Ratio(Count("view", window="2d", side="received"), Count("question", window="2d")),
                Distinct("tag", window=("2d", "all")),
                Distinct("role", window="7d", action="connect"),
                Entropy("tag", window=("7d", "all")),
                Entropy("group", window="all", action="view"),
                Visits(window=("12h", "2d", "all")),
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

START = datetime(2024, 1, 1, tzinfo=UTC)
CUTOFFS_US = tuple(moment_us(START + timedelta(days=d)) for d in (10, 10.5, 12, 40))
HALF_HOUR_US = 30 * 60 * 1_000_000
BACK_US = (0, HALF_HOUR_US, 2 * HALF_HOUR_US, *(d * DAY_US // 2 for d in (1, 2, 4, 8, 14, 28)))
"""Windows of the catalogue and twice them, and the gap that ends a visit: what lies this far back is on an edge."""

BASE = (
    {"member_id": "ann", "account_id": "acme", "email_domain": "a.example", "role": None},
    {"member_id": "bob", "account_id": "acme", "email_domain": "WWW.A.example", "role": "prospect"},
    {"member_id": "cid", "account_id": "bolt", "email_domain": "b.example", "role": None},
    {"member_id": "dee", "account_id": None, "email_domain": None, "role": "customer"},
    {"member_id": "eve", "account_id": "acme", "email_domain": "a.example", "role": "employee"},
)
MEMBERS = ("ann", "bob", "cid", "dee", "eve")
ANYBODY = (*MEMBERS, "late", "ghost")
"""`late` enters the members table on some day, if at all; `ghost` never does."""

TIMES = ("occurred_at", "known_at", "valid_from", "joined_at", "closed_at", "contacted_at")
UTC_US = pa.timestamp("us", tz="UTC")
OPTIONAL = (
    "known_at",
    "tags",
    "group_id",
    "other_member_id",
    "other_role",
    "other_job_function",
    "other_domain",
    "duration_s",
    "field",
    "value",
)

EVENT: dict[str, tuple[Any, ...]] = {
    "member_id": ("ann", "ann", *ANYBODY),
    "action": ("view", "view", "question", "connect", "profile_update"),
    "tags": (None, [], ["visa"], ["visa", "tax"], ["tax", "tax", "ünï;'\""]),
    "group_id": (None, "", "beta", "Q & A"),
    "other_member_id": (None, "ann", *ANYBODY),
    "other_role": (None, "buyer", "user"),
    "other_job_function": (None, "it", "hr"),
    "other_domain": (None, None, "https://a.example/x", "else.example", "none"),
    # Of .0625 s half a thousandth is left: NumPy rounds it to even, SQL's round() away from zero.
    "duration_s": (None, 0.0, 0.0625, 1.5, -3.0, 600.0, 4000.001),
    "field": (None, "photo", "title"),
    "value": (None, "", "x"),
}
PERSON: dict[str, tuple[Any, ...]] = {
    "member_id": (*MEMBERS, "late"),
    "account_id": ("acme", "bolt", None),
    "email_domain": ("a.example", "b.example", None),
    "role": (None, "prospect", "employee"),
}
SHIFTS_US = (-1, 0, 0, 1)

moments = st.builds(
    lambda cutoff, back, us: cutoff - back + us,
    st.sampled_from(CUTOFFS_US),
    st.sampled_from(BACK_US),
    st.sampled_from(SHIFTS_US),
)
events = st.fixed_dictionaries(
    {
        **{name: st.sampled_from(values) for name, values in EVENT.items()},
        "occurred_at": moments,
        "known_at": st.one_of(st.none(), st.none(), moments),
    }
)
persons = st.fixed_dictionaries(
    {**{name: st.sampled_from(values) for name, values in PERSON.items()}, "valid_from": moments}
)
joined = st.lists(st.one_of(st.none(), moments), min_size=len(BASE), max_size=len(BASE))


@dataclass(frozen=True)
class World:
    """What a community is made of; times are UTC microseconds."""

    events: tuple[Row, ...]
    people: tuple[Row, ...]

    def community(self, without: frozenset[str] = frozenset(), **tables: Any) -> Community:
        """Return the community, its tables without some of their columns."""
        people = table(self.people, PEOPLE, without)
        return Community(table(self.events, ACTIVITY, without), people, **tables)


def world_of(log: list[Row], dates: list[int | None], later: list[Row]) -> World:
    """Return the world of a log, of dates of joining for `BASE`, and of what was known later of members."""
    base = ({**p, "joined_at": at, "valid_from": None} for p, at in zip(BASE, dates, strict=True))
    return World(tuple(log), (*base, *({**p, "joined_at": None} for p in later)))


worlds = st.builds(world_of, st.lists(events, min_size=1, max_size=40), joined, st.lists(persons, max_size=8))


LATE = (0.0, 0.01, 0.2)
"""Shares of rows that are known late: kernels have another path for members who have such rows."""


def busy(seed: int, late: float, rows: int = 300) -> World:
    """Return a world with more rows than Hypothesis likes to draw, for faults that one look must find."""
    rng = np.random.default_rng(seed)

    def one(values: tuple[Any, ...]) -> Any:
        return values[int(rng.integers(len(values)))]

    def moment() -> int:
        return int(one(CUTOFFS_US) - one(BACK_US) + one(SHIFTS_US))

    def row(values: dict[str, tuple[Any, ...]], **more: Any) -> Row:
        return {**{name: one(choices) for name, choices in values.items()}, **more}

    log = [
        row(EVENT, occurred_at=moment(), known_at=moment() if rng.random() < late else None)
        for _ in range(rows)
    ]
    dates = [None if rng.random() < 0.3 else moment() for _ in BASE]
    return world_of(log, dates, [row(PERSON, valid_from=moment()) for _ in range(8)])


_TEXT = dict.fromkeys(
    ("member_id", "action", "group_id", "other_member_id", "other_role", "other_job_function"), pa.string()
)
ACTIVITY = pa.schema(
    {
        **_TEXT,
        "occurred_at": UTC_US,
        "known_at": UTC_US,
        "event_id": pa.string(),
        "tags": pa.list_(pa.string()),
        "other_domain": pa.string(),
        "duration_s": pa.float64(),
        "field": pa.string(),
        "value": pa.string(),
    }
)
PEOPLE = pa.schema(
    {
        "member_id": pa.string(),
        "valid_from": UTC_US,
        "joined_at": UTC_US,
        "account_id": pa.string(),
        "email_domain": pa.string(),
        "role": pa.string(),
    }
)


def table(rows: tuple[Row, ...], schema: pa.Schema, without: frozenset[str] = frozenset()) -> pa.Table:
    """Return rows as a typed table, so that a column of nulls has a type too."""
    columns = {f.name: pa.array([r.get(f.name) for r in rows], f.type) for f in schema}
    return pa.table({name: values for name, values in columns.items() if name not in without})


def observations(
    community: Community, cutoffs_us: tuple[int, ...] = CUTOFFS_US, members: tuple[str, ...] | None = None
) -> Observations:
    """Return members, by default all, at every cutoff."""
    pairs = [(m, c) for c in cutoffs_us for m in (community.members.ids if members is None else members)]
    frame = pd.DataFrame(
        {
            "member_id": [m for m, _ in pairs],
            "cutoff": pd.to_datetime([c for _, c in pairs], unit="us", utc=True),
        }
    )
    return Observations.from_frame(frame)


def assert_equal(found: pd.DataFrame, expected: pd.DataFrame, plan: Plan) -> None:
    """Assert that features are equal, missing ones alike; entropies to one unit in the last place."""
    assert found.index.equals(expected.index)
    assert list(found.columns) == list(expected.columns) == list(plan.column_names)
    left, right = found.to_numpy(), expected.to_numpy()
    assert left.dtype == right.dtype == np.float32
    alike = (left == right) | (np.isnan(left) & np.isnan(right))
    entropy = np.array([c.operation == "entropy" for c in plan.columns], bool)
    with np.errstate(invalid="ignore"):
        alike |= entropy & (np.abs(left - right) <= np.spacing(np.maximum(np.abs(left), np.abs(right))))
    if alike.all():
        return
    i, j = map(int, np.argwhere(~alike)[0])
    raise AssertionError(
        f"{plan.columns[j]} of {found.index[i]}: {left[i, j]!r}, expected {right[i, j]!r}; {int((~alike).sum())} values differ."
    )


def examples(most: int) -> settings:
    """Return settings: the same examples each time, no clock, no long search for why one failed."""
    return settings(
        derandomize=True,
        deadline=None,
        max_examples=most,
        phases=(Phase.explicit, Phase.generate, Phase.shrink),
        suppress_health_check=[HealthCheck.too_slow],
    )


def settled(world: World) -> World:
    """Return the world with one domain for each member: an application knows today's alone."""
    domains = {p["member_id"]: p["email_domain"] for p in BASE}
    people = tuple({**p, "email_domain": domains.get(p["member_id"], "b.example")} for p in world.people)
    return replace(world, people=people)
