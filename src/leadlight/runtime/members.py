"""A log of many members -> the events of each, in one pass; every member is then encoded as if alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from itertools import repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leadlight.errors import ColumnTypeError, InputError, LeadlightError, SchemaError, closest
from leadlight.kernels.log import EncodedLog
from leadlight.kernels.start import Start
from leadlight.moments import Moment
from leadlight.plan import Plan
from leadlight.runtime.event_table import EventTable, read_events, spread
from leadlight.runtime.events import FACTS, EventInfo, encode_table, times
from leadlight.runtime.fact_columns import ids
from leadlight.runtime.facts import as_id
from leadlight.runtime.frames import is_null, named_columns, to_array
from leadlight.runtime.state import MemberState

Encoded = tuple[EncodedLog, NDArray[np.int64], EventInfo, Start | None]
Each = Iterator[tuple[str, Callable[[], Encoded]]]
"""Who is scored, and what makes the log that the sweep reads."""


def of_log(plan: Plan, events: Any, members: Any = None, at: Moment | None = None) -> Each:
    """Yield the members of one log, each with the events that the member gave or received.

    Parameters
    ----------
    plan : Plan
    events : list of dicts, dict of arrays, or table
        As for one member, with member_id.
    members : list of dicts or table with member_id, email_domain, joined_at, or list of member_ids; optional
        Who is scored, in this order, and what is known of them. Default: all who act in the log, in the order of their
        first row.
    at : moment, optional
        Default: one microsecond after the newest event of the log.

    Raises
    ------
    SchemaError
        The events, or a table of members, have no member_id.
    InputError
        A member has no identifier or is there twice, a value cannot be read, or there is no event and no `at`.
    """
    table = read_events(events)
    if len(table) and "member_id" not in table.names:
        raise SchemaError(
            f"Events of many members need a column 'member_id'; they have {', '.join(sorted(table.names))}."
        )
    who = spread(ids(table.column("member_id"), "member_id"))
    facts = {name: {} for name in who if name is not None} if members is None else _facts(members)
    if at is None and facts:
        if not len(table):
            raise InputError("There are no events, so there is no latest one; say for which moment with at=.")
        at = int(times(table)[1].max()) + 1
    rows = _rows(table, who, facts)
    nothing = read_events([])
    for name, own in facts.items():
        part = table.take(np.array(rows[name], np.int64)) if rows[name] else nothing
        facts_of = {**own, "member_id": name}
        yield name, lambda part=part, own=facts_of: (*encode_table(part, plan, own, at), None)  # type: ignore[misc]


def of_states(plan: Plan, states: Any, at: Moment | None = None) -> Each:
    """Yield the members of states: a mapping by member_id, or a sequence, whose members are called by their place."""
    named = isinstance(states, Mapping)
    if not named and (isinstance(states, str | bytes) or not isinstance(states, Iterable)):
        raise ColumnTypeError(
            f"states is a {type(states).__name__}; give a dict of member_id and MemberState, or a list of states."
        )
    for name, state in states.items() if named else enumerate(states):
        if not isinstance(state, MemberState):
            raise ColumnTypeError(f"The state of {name!r} is a {type(state).__name__}; give a MemberState.")
        yield str(name), partial(state.encoded, plan, at)


@contextmanager
def naming(member: str) -> Iterator[None]:
    """Say of which member an error is."""
    try:
        yield
    except LeadlightError as error:
        raise type(error)(f"Member {member!r}: {error}") from error


def _rows(table: EventTable, who: Iterable[Any], facts: Mapping[str, Any]) -> dict[str, list[int]]:
    """Return the rows that each member gave or received, in the order of the log."""
    rows: dict[str, list[int]] = {name: [] for name in facts}
    others: Iterable[Any] = repeat(None)
    if "other_member_id" in table.names:
        others = spread(ids(table.column("other_member_id"), "other_member_id"))
    for i, (actor, other) in enumerate(zip(who, others, strict=False)):
        if actor in rows:
            rows[actor].append(i)
        # What nobody gave, nobody received.
        if other in rows and other != actor and actor is not None:
            rows[other].append(i)
    return rows


def _facts(members: Any) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for i, record in enumerate(_records(members)):
        own = record if isinstance(record, Mapping) else {"member_id": record}
        name = as_id(own.get("member_id"), f"member_id of member {i}")
        if name is None:
            raise InputError(f"Member {i} has no member_id; give one to each.")
        if name in found:
            raise InputError(f"Member {name!r} is there twice among the members; give each once.")
        found[name] = {fact: None if is_null(own[fact]) else own[fact] for fact in FACTS if fact in own}
    return found


def _records(members: Any) -> Iterable[Any]:
    if isinstance(members, list | tuple) or (isinstance(members, np.ndarray) and members.dtype.names is None):
        return members if isinstance(members, list | tuple) else members.tolist()
    table = named_columns(members)
    if table is None:
        raise ColumnTypeError(
            f"members is a {type(members).__name__}; give a list of dicts or of identifiers, or a table with member_id."
        )
    if "member_id" not in table:
        raise SchemaError(f"The members have no column 'member_id'{closest('member_id', table)}.")
    columns = {name: _plain(to_array(table[name])) for name in FACTS if name in table}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _plain(values: np.ndarray[Any, np.dtype[Any]]) -> list[Any]:
    # tolist() would turn times of nanoseconds into whole numbers.
    return list(values) if values.dtype.kind == "M" else list(values.tolist())
