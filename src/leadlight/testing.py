"""Checks for your own behaviours: that no feature knows what was not known yet."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from leadlight.behaviours import Behaviour, Catalogue
from leadlight.community import Community
from leadlight.community.tables import time_us, visible_from
from leadlight.errors import InputError, LeadlightWarning
from leadlight.features import build_features
from leadlight.moments import DAY_US, Moment, moment_text, moment_us
from leadlight.observations import Observations
from leadlight.plan import Plan

UTC = pa.timestamp("us", tz="UTC")
NEVER = np.iinfo(np.int64).min
MOST_MEMBERS = 200
MOST_ROWS = 2_000

Row = dict[str, Any]


def assert_point_in_time(
    community: Community,
    catalogue_or_behaviour: Catalogue | Behaviour,
    cutoffs: Iterable[Moment] | None = None,
    members: Sequence[Any] | None = None,
    seed: int = 0,
) -> None:
    """Assert that features stay identical when everything that was not known before a cutoff is changed.

    For each cutoff, rows that were not known before it are deleted and changed, and new ones are added: events at the
    cutoff and after it, earlier ones that became known at the cutoff or later, events by others towards the members and by
    their colleagues, later facts about members, later deals. Vocabularies compiled before the cutoff must not change
    either.

    Parameters
    ----------
    community : Community
        It is not changed.
    catalogue_or_behaviour : Catalogue or Behaviour
    cutoffs : moments, optional
        By default three at which something happened, spread over the log.
    members : sequence of member ids, optional
        By default 200 drawn from those who acted.
    seed : int
        Of what is drawn; equal seeds draw alike.

    Raises
    ------
    AssertionError
        Naming the behaviour, the column, the member and the cutoff of the first feature that changed.
    InputError
        If there is nothing to check.

    Examples
    --------
    >>> import leadlight as ll
    >>> from leadlight.testing import assert_point_in_time
    >>> log = [
    ...     {"member_id": "ann", "occurred_at": f"2024-03-0{d}T10:00", "action": "question"}
    ...     for d in (1, 2, 3)
    ... ]
    >>> asks = ll.Behaviour(
    ...     "asks", (ll.Count("question", window="28d"), ll.Recency("question")), reason="asked"
    ... )
    >>> assert_point_in_time(ll.Community(log), asks)
    """
    catalogue = catalogue_or_behaviour
    if isinstance(catalogue, Behaviour):
        catalogue = Catalogue([catalogue])
    if not isinstance(catalogue, Catalogue):
        raise InputError(
            f"catalogue_or_behaviour is a {type(catalogue).__name__}; give a Catalogue or a Behaviour."
        )
    if not community.activity.num_rows:
        raise InputError("The community has no activity; there is nothing to check.")
    rng = np.random.default_rng(seed)
    chosen = list(_actors(community, rng) if members is None else members)
    for cutoff in _cutoffs(community) if cutoffs is None else [moment_us(c, name="cutoff") for c in cutoffs]:
        changed = perturbed(community, cutoff, chosen, rng)
        plan = catalogue.compile(community, cutoff, min_members=1)
        other = catalogue.compile(changed, cutoff, min_members=1)
        _assert_same_plan(plan, other, cutoff)
        rows = pd.DataFrame({"member_id": chosen, "cutoff": pd.Timestamp(cutoff, unit="us", tz="UTC")})
        before = build_features(community, Observations.from_frame(rows), plan)
        after = build_features(changed, Observations.from_frame(rows), plan)
        _assert_same_values(plan, before, after, cutoff)


def small_community() -> Community:
    """Return a made-up community that is learned in a second: for examples, and for tests of your own code.

    360 members, each active once a month of 2024. Every third one asks, the others read. Half of those who ask buy, in
    March, May, July or September.

    Examples
    --------
    >>> import leadlight as ll
    >>> ll.testing.small_community()
    Community(simulated, 4320 events of 360 members, 2024-01-10 to 2024-12-10, 60 deals)
    """
    log = [
        {
            "member_id": member,
            "occurred_at": f"2024-{month:02}-10",
            "action": "question" if member % 3 == 0 else "view",
            "source": "simulated",
        }
        for member in range(360)
        for month in range(1, 13)
    ]
    deals = [
        {"member_id": member, "outcome": "won", "closed_at": f"2024-{3 + member % 8:02}-20"}
        for member in range(0, 360, 6)
    ]
    return Community(log, deals=deals)


def perturbed(
    community: Community, cutoff: Moment, members: Sequence[Any], rng: np.random.Generator
) -> Community:
    """Return a copy of a community in which everything not known before the cutoff is different."""
    at = moment_us(cutoff, name="cutoff")
    tables = dict(community._tables)
    log = tables["activity"]
    actions = [*community.log.dictionaries["action"], "never seen before"]
    new = [_new_event(community, at, member, actions, rng) for member in members for _ in range(3)]
    new += [{**_new_event(community, at, m, actions, rng), "member_id": _stranger(members)} for m in members]
    new = [_within(log.column_names, row) for row in new]
    activity = _replace(
        log, visible_from(log), at, new, rng, change=lambda row: {**row, "action": str(rng.choice(actions))}
    )
    people = tables.get("members")
    if people is None:
        people = pa.table({"member_id": community.activity["member_id"].unique()})
    facts = [_new_fact(community, at, member, rng) for member in members]
    people = _replace(people, time_us(people, "valid_from", NEVER), at, facts, rng)
    deals = tables.get("deals")
    if deals is None:
        deals = pa.table({"member_id": log["member_id"][:0]})
    sold = [{"member_id": m, "outcome": "won", "closed_at": at + _later(rng)} for m in members]
    deals = _replace(deals, visible_from(deals, "closed_at"), at, sold, rng)
    with warnings.catch_warnings():
        # That all of its future is strange is what it is for.
        warnings.simplefilter("ignore", LeadlightWarning)
        return Community(activity, people, deals, match=community.match)


def _actors(community: Community, rng: np.random.Generator) -> list[Any]:
    actors = community.activity["member_id"].unique().to_pylist()
    chosen = rng.choice(len(actors), min(len(actors), MOST_MEMBERS), replace=False)
    return [actors[i] for i in sorted(chosen.tolist())]


def _cutoffs(community: Community) -> list[int]:
    visible = np.sort(visible_from(community.activity))
    return sorted({int(visible[len(visible) * q // 4]) for q in (1, 2, 3)})


def _stranger(members: Sequence[Any]) -> Any:
    return max(members) + 1 if all(isinstance(m, (int, np.integer)) for m in members) else "a stranger"


def _later(rng: np.random.Generator) -> int:
    return int(rng.choice([0, 1, 60_000_000, DAY_US, int(rng.integers(1, 400 * DAY_US))]))


def _new_event(
    community: Community, at: int, member: Any, actions: list[str], rng: np.random.Generator
) -> Row:
    """One event at the cutoff or after it, or from before it and known too late."""
    log = community.log
    late = bool(rng.random() < 0.5)
    row: Row = {
        "member_id": member,
        "occurred_at": at - int(rng.integers(1, 90 * DAY_US)) if late else at + _later(rng),
        "known_at": at + _later(rng) if late else None,
        "action": str(rng.choice(actions)),
        "other_member_id": community.members.ids.to_list()[int(rng.integers(len(community.members)))],
        "duration_s": float(rng.integers(1, 4_000)),
        "value": str(rng.choice(["", "filled"])),
    }
    entries = {
        "group_id": "group",
        "other_role": "role",
        "other_job_function": "job_function",
        "field": "field",
    }
    for column, name in entries.items():
        row[column] = str(rng.choice([*log.dictionaries.get(name, ()), "never seen before"]))
    row["tags"] = [str(t) for t in rng.choice([*log.dictionaries.get("tag", ()), "never seen before"], 2)]
    row["other_domain"] = str(rng.choice([*map(str, community.members.domains), "elsewhere.example"]))
    return row


def _new_fact(community: Community, at: int, member: Any, rng: np.random.Generator) -> Row:
    accounts = community.members.account_ids
    account = accounts[int(rng.integers(len(accounts)))] if len(accounts) else None
    role = str(rng.choice(["prospect", "customer", "employee"]))
    row: Row = {"member_id": member, "valid_from": at + _later(rng), "role": role, "account_id": account}
    if len(community.members.domains):
        row["email_domain"] = str(rng.choice(list(community.members.domains)))
    return row


def _replace(
    table: pa.Table,
    known: NDArray[np.int64],
    at: int,
    new: list[Row],
    rng: np.random.Generator,
    change: Any = None,
) -> pa.Table:
    """Keep what was known before `at`, delete and change the rest, add rows."""
    kept = table.filter(pa.array(known < at))
    rest = np.flatnonzero(known >= at)
    rest = rest[rng.random(len(rest)) < 0.5][:MOST_ROWS]
    rows = table.take(pa.array(rest)).to_pylist() if change is not None else []
    rows = [change(row) for row in rows] + new
    # A repeated event_id would be a correction of a row that was known.
    rows = [{k: v for k, v in row.items() if k != "event_id"} for row in rows]
    names = list(dict.fromkeys([*table.column_names, *(key for row in rows for key in row)]))
    added = {}
    for name in names:
        values = [row.get(name) for row in rows]
        kind = table.schema.field(name).type if name in table.column_names else None
        if name.endswith("_at") or name == "valid_from":
            kind, values = UTC, [_stamp(v) for v in values]
        added[name] = pa.array(values, kind)
    return pa.concat_tables([kept, pa.table(added)], promote_options="permissive")


def _within(columns: list[str], row: Row) -> Row:
    """Leave out columns that the log does not have: what it never says is missing, not zero."""
    return {k: v for k, v in row.items() if k in columns or k == "known_at"}


def _stamp(value: Any) -> Any:
    return None if value is None else moment_us(value)


def _assert_same_plan(plan: Plan, other: Plan, cutoff: int) -> None:
    if plan.digest == other.digest:
        return
    for behaviour, again in zip(plan.behaviours, other.behaviours, strict=True):
        differing = sorted(set(behaviour.columns) ^ set(again.columns))
        if differing:
            raise AssertionError(
                f"Behaviour {behaviour.name!r}: column {differing[0]!r} comes or goes with rows that were not known "
                f"before the cutoff {moment_text(cutoff)}; its vocabulary reads the future."
            )
    raise AssertionError(
        f"The plan changes with rows that were not known before the cutoff {moment_text(cutoff)}."
    )


def _assert_same_values(plan: Plan, before: pd.DataFrame, after: pd.DataFrame, cutoff: int) -> None:
    old, new = before.to_numpy(), after.to_numpy()
    differing = np.argwhere(~((old == new) | (np.isnan(old) & np.isnan(new))))
    if not len(differing):
        return
    row, column = map(int, differing[0])
    name = plan.column_names[column]
    member = before.index[row][0]
    shown = member.item() if isinstance(member, np.generic) else member
    raise AssertionError(
        f"Behaviour {plan.behaviour_of.get(name)!r}: column {name!r} of member {shown!r} at the cutoff "
        f"{moment_text(cutoff)} was {old[row, column]:g} and is {new[row, column]:g} after changes to rows that were not "
        f"known before it; {len(differing)} values differ."
    )
