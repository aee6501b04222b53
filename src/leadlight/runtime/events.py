"""One member's events, in whatever form an application holds them -> the integer log that the sweep reads.

The batch path encodes a whole community; this one must give the same features for the same facts. What is not given
stays out of the log, and the sweep then says missing instead of zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import repeat
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from leadlight.errors import InputError, closest
from leadlight.kernels.log import EncodedLog
from leadlight.moments import Moment, moment_us
from leadlight.plan import Plan
from leadlight.runtime.event_needs import COLUMN_OF, Needs, needs_of
from leadlight.runtime.event_table import EventTable, Repeated, read_events, spread, with_actions
from leadlight.runtime.fact_columns import codes, filled, ids, in_domain, numbers, tag_codes, times_us
from leadlight.runtime.facts import as_domain, as_id, as_time_us, check_unit

Codes = NDArray[np.int64]

MEMBER: Final = 0
"""The code of the member; everybody else is `OTHERS`."""

OTHERS: Final = 1
NOBODY: Final = -1
NEVER: Final = int(np.iinfo(np.int64).min)

FACTS: Final = ("member_id", "email_domain", "joined_at")
"""What can be said of a member beside the events."""


@dataclass(frozen=True)
class EventInfo:
    """What the log alone does not tell.

    Attributes
    ----------
    at_us : int
        The cutoff, UTC microseconds.
    joined : int64 array of shape (1,)
        When the member joined; the smallest int64 means unknown.
    cold_start : bool
        The member had done nothing that was known before the cutoff.
    missing : tuple of str
        Facts that the plan uses and that were not given.
    unknown : tuple of int
        Positions of plan columns whose value the log cannot give although it looks as if.
    """

    at_us: int
    joined: Codes
    cold_start: bool
    missing: tuple[str, ...]
    unknown: tuple[int, ...]


@dataclass(frozen=True)
class Rows:
    """Events that the member gave or received, one for each event_id, with the members' codes and the times."""

    table: EventTable
    actor: Codes
    other: Codes | None
    time: Codes
    visible: Codes

    def __len__(self) -> int:
        return len(self.actor)


def encode_events(
    events: Any, plan: Plan, member: Mapping[str, Any] | None = None, at: Moment | None = None
) -> tuple[EncodedLog, Codes, EventInfo]:
    """Encode one member's events.

    Parameters
    ----------
    events : list of dicts, dict of arrays, pandas, polars or Arrow table
        occurred_at and action, and any of event_id, member_id, known_at, tags, group_id, other_member_id, other_role,
        other_job_function, other_domain, duration_s, field, value; other keys are ignored, and so are the values, sound
        or not, of columns that no column of the plan reads. Times are datetimes, ISO text, datetime64 or integer
        microseconds; naive ones are UTC, a day alone is that day's last microsecond. Rows of other members count if their
        other_member_id is the member (what the member received), else they are ignored. Empty: no history.
    plan : Plan
    member : mapping, optional
        member_id (needed if the events name several members), email_domain, joined_at. None as a value means that the
        fact is known to be unknown; a fact that is left out is missing.
    at : moment, optional
        The cutoff; events known at it or later are not used. Default: one microsecond after the newest event.

    Returns
    -------
    log : EncodedLog
        Its dictionaries hold what the plan names, and are one object for all calls with this plan; any other value is -1.
    entity : int64 array of shape (1,)
        The member's code in it.
    info : EventInfo

    Raises
    ------
    SchemaError
        A required column is missing.
    InputError
        A value cannot be read, no event is the member's, or there is no event and no `at`.
    """
    return encode_table(read_events(events), plan, member, at)


def encode_table(
    table: EventTable, plan: Plan, member: Mapping[str, Any] | None = None, at: Moment | None = None
) -> tuple[EncodedLog, Codes, EventInfo]:
    """Encode one member's events that `read_events` has read; else as `encode_events`."""
    facts, needs = member_facts(member), needs_of(plan)
    rows = select_rows(with_actions(table, needs.own_actions), facts)
    if at is None and not len(rows):
        raise InputError("There are no events, so there is no latest one; say for which moment with at=.")
    at_us = int(rows.visible.max()) + 1 if at is None else moment_us(at, name="at")
    log = encode_rows(rows, facts, needs)
    joined = as_time_us(facts["joined_at"], "joined_at") if facts.get("joined_at") is not None else NEVER
    own = bool(((rows.actor == MEMBER) & (rows.visible < at_us)).any())
    # The domain of the one who acted is no column of an event.
    unknown = needs.received_by_domain if len(rows) and _any_received(rows) else ()
    missing = [*missing_facts(needs, rows.table, facts), *(plan.columns[j].name for j in unknown)]
    info = EventInfo(at_us, np.array([joined], np.int64), not own, tuple(dict.fromkeys(missing)), unknown)
    return log, np.array([MEMBER], np.int64), info


def member_facts(member: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the member's own facts, as they were given; InputError where they are none."""
    if member is None:
        return {}
    if not isinstance(member, Mapping):
        raise InputError(f"member is a {type(member).__name__}; give a dict with any of {', '.join(FACTS)}.")
    for name in member:
        if name not in FACTS and closest(str(name), FACTS):
            raise InputError(f"member has {name!r}, which is no fact{closest(str(name), FACTS)}.")
    return {name: member[name] for name in FACTS if name in member}


def select_rows(table: EventTable, facts: Mapping[str, Any]) -> Rows:
    """Keep the rows that the member gave or received, one for each event_id."""
    n = len(table)
    actor = np.full(n, MEMBER, np.int64)
    other: Codes | None = np.empty(0, np.int64) if not n else None
    keep = np.ones(n, bool)
    if "member_id" in table.names:
        who = ids(table.column("member_id"), "member_id")
        me = identity_of(who, facts)
        actor = _sides(who, me)
        keep = actor == MEMBER
        if "other_member_id" in table.names:
            other = _sides(ids(table.column("other_member_id"), "other_member_id"), me)
            keep = keep | ((actor == OTHERS) & (other == MEMBER))
        if n and not keep.any():
            raise InputError(
                f"None of the {n} events is given or received by the member; compare member['member_id'] with theirs."
            )
    time = visible = None
    if "event_id" in table.names:
        time, visible = times(table)
        keep &= _first_of_event(list(spread(ids(table.column("event_id"), "event_id"))), table, time, visible)
    if not keep.all():
        at = np.flatnonzero(keep)
        table, actor, other = table.take(at), actor[at], None if other is None else other[at]
        time = visible = None
    if time is None or visible is None:
        time, visible = times(table)
    if len(time):
        check_unit(int(time.max()))
    return Rows(table, actor, other, time, visible)


def identity_of(who: list[str | None] | Repeated, facts: Mapping[str, Any]) -> str:
    """Return the member's identifier: the one among the facts, else the only one that the events name."""
    given = as_id(facts.get("member_id"), "member_id")
    if given is not None:
        return given
    entries = who.entries if isinstance(who, Repeated) else who
    found = sorted({i for i in entries if i is not None})
    if len(found) != 1:
        raise InputError(
            f"The events name {len(found)} members; say whose features are asked for: member={{'member_id': ...}}."
        )
    return found[0]


def _sides(who: list[str | None] | Repeated, me: str) -> Codes:
    if isinstance(who, Repeated):
        return _sides(who.entries, me)[who.at]
    if who.count(me) == len(who):
        return np.full(len(who), MEMBER, np.int64)
    return np.fromiter(map({me: MEMBER, None: NOBODY}.get, who, repeat(OTHERS)), np.int64, len(who))


def times(table: EventTable) -> tuple[Codes, Codes]:
    """Return when events happened, and since when they are visible."""
    time = times_us(table.column("occurred_at"), "occurred_at")
    if "known_at" not in table.names:
        return time, time
    return time, np.maximum(time, times_us(table.column("known_at"), "known_at", missing=NEVER))


def _first_of_event(
    events: list[str | None], table: EventTable, time: Codes, visible: Codes
) -> NDArray[np.bool_]:
    """Of rows with one event_id keep the one that was known earliest; equals go by time, then action, as in a batch."""
    keep = np.ones(len(events), bool)
    if len(set(events)) == len(events):
        return keep
    actions = [str(action) for action in spread(table.column("action"))]
    rank = list(zip(visible.tolist(), time.tolist(), actions, strict=True))
    best: dict[str, int] = {}
    for i, event in enumerate(events):
        if event is None:
            continue
        first = best.setdefault(event, i)
        if rank[i] < rank[first]:
            best[event] = i
            keep[first] = False
        elif first != i:
            keep[i] = False
    return keep


def encode_rows(rows: Rows, facts: Mapping[str, Any], needs: Needs) -> EncodedLog:
    """Encode the columns that the plan reads; the log does without the others."""
    table = rows.table

    def coded(attribute: str) -> NDArray[np.int32] | None:
        name = COLUMN_OF[attribute]
        if attribute not in needs.attributes or not table.has(name):
            return None
        return codes(table.column(name), name, needs.codes[attribute])

    action = _actions(table, needs)
    offsets, tags = None, None
    if "tag" in needs.attributes and table.has("tags"):
        offsets, tags = tag_codes(table.column("tags"), needs.codes["tag"])
    field, given = coded("field"), None
    if needs.filled and table.has("field"):
        given = np.ones(len(rows), bool)
        if "value" in table.names:
            given = filled(table.column("value"), "value")
    duration = None
    if (needs.duration or needs.filled) and table.has("duration_s"):
        # Of NaN and zero, fmax takes zero.
        seconds = np.fmax(numbers(table.column("duration_s"), "duration_s"), 0.0)
        duration = np.rint(np.minimum(seconds, 1e9) * 1000).astype(np.int64)
    late = rows.visible is not rows.time and bool((rows.visible > rows.time).any())
    return EncodedLog(
        actor=rows.actor,
        time=rows.time,
        action=action,
        visible_from=rows.visible if late else None,
        other=rows.other,
        group=coded("group"),
        role=coded("role"),
        job_function=coded("job_function"),
        field_code=field,
        filled=given,
        same_domain=_same_domain(rows, facts) if "same_domain" in needs.attributes else None,
        duration_ms=duration,
        tag_offsets=offsets,
        tag_codes=tags,
        dictionaries=needs.dictionaries,
    )


def _actions(table: EventTable, needs: Needs) -> NDArray[np.int32]:
    values = table.column("action")
    found = codes(values, "action", needs.codes["action"])
    if (found < 0).any():
        # An action that no key names, or none at all?
        named = filled(values, "action")
        if not named.all():
            raise InputError(f"Event {int(np.argmin(named))} has no action; give a verb such as 'view'.")
    return found


def _same_domain(rows: Rows, facts: Mapping[str, Any]) -> NDArray[np.bool_] | None:
    """Whether the other party has the member's domain; None where either side was not given."""
    if not len(rows):
        return np.empty(0, bool)
    if "email_domain" not in facts or "other_domain" not in rows.table.names:
        return None
    own = as_domain(facts["email_domain"], "email_domain")
    if own is None:
        return np.zeros(len(rows), bool)
    theirs = in_domain(rows.table.column("other_domain"), "other_domain", own)
    own_rows: NDArray[np.bool_] = theirs & (rows.actor == MEMBER)
    return own_rows


def _any_received(rows: Rows) -> bool:
    return rows.other is not None and bool((rows.actor != MEMBER).any())


def missing_facts(needs: Needs, table: EventTable, facts: Mapping[str, Any]) -> list[str]:
    """Name the facts that the plan uses and that were not given with the member's events."""
    lacking = [
        name for attribute, name in COLUMN_OF.items() if attribute in needs.attributes and not table.has(name)
    ]
    if "same_domain" in needs.attributes and len(table) and "email_domain" not in facts:
        lacking.append("email_domain")
    if needs.received and len(table):
        lacking += [name for name in ("member_id", "other_member_id") if name not in table.names]
    if needs.duration and not table.has("duration_s"):
        lacking.append("duration_s")
    if needs.tenure and "joined_at" not in facts:
        lacking.append("joined_at")
    return lacking
