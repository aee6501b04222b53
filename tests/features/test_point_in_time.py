"""Nothing that was not known before a cutoff moves a feature there; and each planted fault is found by what says so."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.features.faults import LEAKS, plant
from tests.features.generated import (
    CUTOFFS_US,
    EVERY_OPERATION,
    LATE,
    MEMBERS,
    Row,
    World,
    assert_equal,
    busy,
    events,
    examples,
    observations,
    persons,
    worlds,
)

import leadlight.community.repeats as repeats_module
from leadlight.behaviours import Count, Peers, Recency, Tenure
from leadlight.community import Community
from leadlight.community.members import Members
from leadlight.community.tables import time_us, visible_from
from leadlight.features import build_features
from leadlight.moments import DAY_US, moment_us
from leadlight.observations import observe
from leadlight.observations.outcomes import Outcomes
from leadlight.observations.windows import Windows

NEWCOMER = "aaron"
"""Nobody had heard of him: his code comes before everybody else's."""

later_sales = st.lists(st.tuples(st.sampled_from(MEMBERS), st.integers(0, 90 * DAY_US)), max_size=3)


def known_us(event: Row) -> int:
    return max(event["occurred_at"], event["known_at"] or event["occurred_at"])


def with_ids(world: World) -> World:
    """Return the world with an event_id for every other row, so that a correction may name one."""
    log = ({**e, "event_id": f"e{i}" if i % 2 else None} for i, e in enumerate(world.events))
    return replace(world, events=tuple(log))


def with_another_future(world: World, cutoff: int, log: list[Row], people: list[Row]) -> World:
    """Delete everything that was not known before the cutoff, and add rows that were not known either.

    Some of them name the event_id of a row that was known, as a correction would.
    """
    kept = [e for e in world.events if known_us(e) < cutoff]
    ids = [e["event_id"] for e in kept if e["event_id"]]
    added = [
        {
            **e,
            "member_id": NEWCOMER if e["member_id"] == "ghost" else e["member_id"],
            "known_at": e["known_at"] if known_us(e) >= cutoff else cutoff + i % 2,
            "event_id": ids[i % len(ids)] if ids and i % 3 == 0 else None,
        }
        for i, e in enumerate(log)
    ]
    # Today's rows may stand before yesterday's: order says nothing.
    told = [p for p in world.people if p["valid_from"] is None or p["valid_from"] < cutoff]
    told += [{**p, "valid_from": max(p["valid_from"], cutoff)} for p in people]
    return World((*added, *kept), tuple(told))


def check(world: World, cutoff: int, log: list[Row], people: list[Row], sales: list) -> None:
    """Assert that plan and features before and at a cutoff are the same whatever became known from then on."""
    world = with_ids(world)
    before = world.community()
    after = with_another_future(world, cutoff, log, people).community(
        deals=[{"member_id": m, "outcome": "won", "closed_at": stamp(cutoff + us)} for m, us in sales]
        or None,
        contacts=[{"member_id": m, "contacted_at": stamp(cutoff + us)} for m, us in sales] or None,
    )
    plan = EVERY_OPERATION.compile(before, cutoff, min_members=1)
    assert EVERY_OPERATION.compile(after, cutoff, min_members=1).digest == plan.digest, "another plan"
    rows = observations(before, tuple(c for c in CUTOFFS_US if c <= cutoff), MEMBERS)
    assert_equal(build_features(after, rows, plan), build_features(before, rows, plan), plan)


def stamp(us: int) -> pd.Timestamp:
    return pd.Timestamp(us, unit="us", tz="UTC")


@examples(60)
@given(
    worlds,
    st.sampled_from(CUTOFFS_US),
    st.lists(events, max_size=10),
    st.lists(persons, max_size=5),
    later_sales,
)
def test_nothing_that_was_not_known_before_a_cutoff_moves_a_feature(
    kernels, world, cutoff, log, people, sales
):
    for kernel in kernels:
        with kernel():
            check(world, cutoff, log, people, sales)


def check_crowds() -> None:
    """The same of three communities that are full of edges."""
    cutoff = CUTOFFS_US[2]
    for seed, late in enumerate(LATE):
        other = busy(seed + 10, late, 100)
        log = [e for e in other.events if late or known_us(e) >= cutoff]
        check(busy(seed, late), cutoff, log, list(other.people[len(MEMBERS) :]), [("ann", 0), ("bob", 1)])


def test_nothing_that_was_not_known_moves_a_feature_of_a_crowd(kernels):
    for kernel in kernels:
        with kernel():
            check_crowds()


AT = "2024-03-01"
DAY_BEFORE = moment_us("2024-02-29")


def at(us: int) -> str:
    return f"{stamp(moment_us(AT) + us):%Y-%m-%dT%H:%M:%S.%f}"


def colleagues(*rows: dict) -> dict:
    people = [{"member_id": m, "valid_from": None, "account_id": a, "email_domain": f"{a}.example", "role": None, "joined_at": None}
              for m, a in (("ann", "acme"), ("bob", "bolt"))]  # fmt: skip
    return {"members": pd.DataFrame([*people, *({**people[1], **row} for row in rows)])}


VIEWS = "ann view 2024-02-01; bob view 2024-02-01; bob view 2024-02-02"
CASES = {
    "an event": (lambda us: (f"ann view {at(us)}; ann post 2024-02-01", {}), Count("view"), (1, 0, 0)),
    "an event known late": (
        lambda us: (f"ann view 2024-02-01 known={at(us)}; ann post 2024-02-01", {}),
        Count("view"),
        (1, 0, 0),
    ),
    "a received event": (
        lambda us: (f"bob view {at(us)} to=ann; ann post 2024-02-01", {}),
        Count("view", side="received"),
        (1, 0, 0),
    ),
    "a colleague's event": (
        lambda us: (f"bob view {at(us)}", colleagues({"account_id": "acme"})),
        Peers(Count("view")),
        (1, 0, 0),
    ),
    "a correction": (
        lambda us: (
            f"ann view 2024-02-01 id=1 known=2024-03-09; ann view 2024-02-20 id=1 known={at(us)}",
            {},
        ),
        Recency("view"),
        (10, np.nan, np.nan),
    ),
    "a colleague who comes": (
        lambda us: (VIEWS, colleagues({"account_id": "acme", "valid_from": at(us)})),
        Peers(Count("view")),
        (2, 0, 0),
    ),
    "a colleague who becomes an employee": (
        lambda us: (
            VIEWS,
            colleagues(
                {"account_id": "acme"}, {"account_id": "acme", "role": "employee", "valid_from": at(us)}
            ),
        ),
        Peers(Count("view")),
        (0, 2, 2),
    ),
    "a date of joining": (
        lambda us: (VIEWS, colleagues({"member_id": "ann", "account_id": "acme", "joined_at": at(us)})),
        Tenure(),
        (np.float32(1 / DAY_US), np.nan, np.nan),
    ),
    # The domain is that of the event, not that of the cutoff.
    "a domain since an event": (
        lambda us: (
            f"ann invite {at(-DAY_US)} to=bob",
            colleagues({"email_domain": "acme.example", "valid_from": at(us - DAY_US)}),
        ),
        Count("invite", same_domain=True),
        (1, 1, 0),
    ),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("us", "which"), [(-1, 0), (0, 1), (1, 2)])
def test_a_fact_counts_from_the_microsecond_after_it_was_known(kernels, table, value, same, case, us, which):
    write, feature, expected = CASES[case]
    log, more = write(us)
    for kernel in kernels:
        with kernel():
            assert same(value(table(log, **more), feature, cutoff=AT), expected[which])


def reads_vocabularies_from_the_future(patch):
    original = Community.vocabulary

    def vocabulary(self, attribute, *, before=None, **more):
        return original(self, attribute, **more)

    patch.setattr(Community, "vocabulary", vocabulary)


def takes_accounts_as_of_today(patch):
    patch.setattr(Community, "peer_account_at", lambda self, at: self.peer_account)


def takes_roles_as_of_today(patch):
    patch.setattr(Members, "employee_at", lambda self, at: self.employee)


def takes_domains_as_of_today(patch):
    patch.setattr(Members, "domain_at", lambda self, code, at: self.domain[code])


def lets_the_last_correction_win(patch):
    def last(activity):
        known = visible_from(activity)
        order = np.lexsort((time_us(activity, "occurred_at", 0), known))[::-1]
        ids = activity["event_id"].to_pandas().iloc[order]
        repeated = np.zeros(activity.num_rows, bool)
        repeated[order] = (ids.duplicated() & ids.notna()).to_numpy()
        return repeated

    patch.setattr(repeats_module, "repeated_events", last)


FAULTS = {
    **{name: lambda patch, change=change: plant(patch, change) for name, change in LEAKS.items()},
    **{f.__name__.replace("_", " "): f for f in (
        reads_vocabularies_from_the_future, takes_accounts_as_of_today, takes_roles_as_of_today,
        takes_domains_as_of_today, lets_the_last_correction_win)},
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found(kernels, monkeypatch, fault):
    FAULTS[fault](monkeypatch)
    for kernel in kernels:
        with kernel(), pytest.raises(AssertionError, match=r"values differ|another plan"):
            check_crowds()


HORIZON, GAP = 20 * DAY_US, 2 * DAY_US
START = moment_us("2024-02-01")
EDGES = [
    START + back + us for back in (-1, 0, GAP, 10 * DAY_US, GAP + HORIZON, 60 * DAY_US) for us in (-1, 0, 1)
]


def check_labels() -> None:
    """A label is what was won in `[cutoff + gap, cutoff + gap + horizon)`, and training knows what was known by then."""
    log = [
        {"member_id": f"m{i}", "action": "view", "occurred_at": stamp(START - DAY_US)}
        for i in range(len(EDGES))
    ]
    log += [{"member_id": "last", "action": "view", "occurred_at": stamp(START + 200 * DAY_US)}]
    deals = [{"member_id": f"m{i}", "outcome": "won", "closed_at": stamp(t)} for i, t in enumerate(EDGES)]
    won = {f"m{i}": t for i, t in enumerate(EDGES)}
    rows = observe(Community(log, deals=deals), every="10d", horizon="20d", gap="2d", start=stamp(START), end=stamp(START + 60 * DAY_US), cool_off="0d")  # fmt: skip
    until = START + 30 * DAY_US
    train, _ = rows.split(stamp(until).to_pydatetime(), stamp(until).to_pydatetime())
    for part in (rows, train):
        opens = part.cutoff_us + GAP
        closed = part.frame["member_id"].map(won).to_numpy()
        label = part.frame["label"].to_numpy()
        assert (label == ((closed >= opens) & (closed < opens + HORIZON))).all(), "labels differ"
        assert label.any()
        assert not label.all()
    assert (train.cutoff_us + GAP + HORIZON <= until).all(), "labels differ: training reaches into the test"


def test_label_windows_begin_after_the_gap_and_end_before_the_test():
    check_labels()


def label_windows_begin_before_the_cutoff(patch):
    columns = Outcomes.columns
    patch.setattr(
        Outcomes, "columns", lambda s, member, at, opens, closes: columns(s, member, at, at - DAY_US, closes)
    )


def label_windows_include_their_end(patch):
    columns = Outcomes.columns
    patch.setattr(
        Outcomes, "columns", lambda s, member, at, opens, closes: columns(s, member, at, opens, closes + 1)
    )


def training_windows_overlap_the_test(patch):
    patch.setattr(Windows, "reach_us", property(lambda self: 0))


@pytest.mark.parametrize(
    "fault",
    [
        label_windows_begin_before_the_cutoff,
        label_windows_include_their_end,
        training_windows_overlap_the_test,
    ],
)
def test_a_planted_overlap_of_windows_is_found(monkeypatch, fault):
    fault(monkeypatch)
    with pytest.raises(AssertionError, match="labels differ"):
        check_labels()
