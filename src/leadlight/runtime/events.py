"""One member's events, in whatever form an application holds them -> the integer log that the sweep reads.

The batch path encodes a whole community; this one must give the same features for the same facts. What is not given
stays out of the log, and the sweep then says missing instead of zero.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from leadlight.errors import ColumnTypeError, InputError, SchemaError, closest
from leadlight.kernels.log import EncodedLog
from leadlight.moments import Moment, moment_us
from leadlight.plan import Plan
from leadlight.runtime.facts import as_domain, as_id, as_number, as_tags, as_text, as_time_us
from leadlight.runtime.frames import named_columns, to_array

Codes = NDArray[np.int64]

MEMBER: Final = 0
"""The code of the member; everybody else is `OTHERS`."""

OTHERS: Final = 1
NOBODY: Final = -1
NEVER: Final = int(np.iinfo(np.int64).min)

REQUIRED: Final[tuple[str, ...]] = ("occurred_at", "action")
OPTIONAL: Final[tuple[str, ...]] = (
    "event_id",
    "member_id",
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
_FACTS: Final = ("member_id", "email_domain", "joined_at")
_NEEDS: Final = {
    "tag": "tags",
    "group": "group_id",
    "role": "other_role",
    "job_function": "other_job_function",
    "same_domain": "other_domain",
    "field": "field",
}


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
class _Rows:
    """Events of the member as lists of canonical values; a column that was not given is not a key."""

    columns: Mapping[str, list[Any]]
    actor: Codes
    other: Codes | None

    def __len__(self) -> int:
        return len(self.actor)

    def has(self, name: str) -> bool:
        # Without any event nothing happened: every column is known to be empty.
        return name in self.columns or not len(self)

    def get(self, name: str) -> list[Any]:
        return self.columns.get(name, [])


def encode_events(
    events: Any, plan: Plan, member: Mapping[str, Any] | None = None, at: Moment | None = None
) -> tuple[EncodedLog, Codes, EventInfo]:
    """Encode one member's events.

    Parameters
    ----------
    events : list of dicts, dict of arrays, pandas, polars or Arrow table
        occurred_at and action, and any of event_id, member_id, known_at, tags, group_id, other_member_id, other_role,
        other_job_function, other_domain, duration_s, field, value; other keys are ignored. Times are datetimes, ISO text,
        datetime64 or integer microseconds; naive ones are UTC, a day alone is that day's last microsecond. Rows of other
        members count if their other_member_id is the member (what the member received), else they are ignored. Empty: no
        history.
    plan : Plan
    member : mapping, optional
        member_id (needed if the events name several members), email_domain, joined_at. None as a value means that the
        fact is known to be unknown; a fact that is left out is missing.
    at : moment, optional
        The cutoff; events known at it or later are not used. Default: one microsecond after the newest event.

    Returns
    -------
    log : EncodedLog
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
    facts = _facts(member)
    rows = _select(_columns(events), facts)
    time = _times(rows, "occurred_at")
    visible = time
    if "known_at" in rows.columns:
        visible = np.maximum(time, _times(rows, "known_at", missing=NEVER))
    if at is None and not len(rows):
        raise InputError("There are no events, so there is no latest one; say for which moment with at=.")
    at_us = int(visible.max()) + 1 if at is None else moment_us(at, name="at")
    log = _encode(rows, facts, time, visible)
    joined = as_time_us(facts["joined_at"], "joined_at") if facts.get("joined_at") is not None else NEVER
    own = bool(((log.actor == MEMBER) & (visible < at_us)).any())
    unknown = _unknown(plan, log)
    info = EventInfo(
        at_us, np.array([joined], np.int64), not own, _missing(plan, log, rows, facts, unknown), unknown
    )
    return log, np.array([MEMBER], np.int64), info


def _facts(member: Mapping[str, Any] | None) -> dict[str, Any]:
    if member is None:
        return {}
    if not isinstance(member, Mapping):
        raise InputError(f"member is a {type(member).__name__}; give a dict with any of {', '.join(_FACTS)}.")
    for name in member:
        if name not in _FACTS and closest(str(name), _FACTS):
            raise InputError(f"member has {name!r}, which is no fact{closest(str(name), _FACTS)}.")
    return {name: member[name] for name in _FACTS if name in member}


def _columns(events: Any) -> dict[str, list[Any]]:
    """Return the canonical columns as lists of equal length."""
    if isinstance(events, Sequence) and not isinstance(events, str | bytes):
        return _columns_of_dicts(events)
    table = named_columns(events)
    if table is None:
        raise ColumnTypeError(
            f"events is a {type(events).__name__}; give a list of dicts, a dict of arrays or a table."
        )
    found = {name: list(_values(table[name])) for name in (*REQUIRED, *OPTIONAL) if name in table}
    lengths = sorted({len(values) for values in found.values()})
    if len(lengths) > 1:
        raise SchemaError(f"The columns of the events have different lengths: {lengths}.")
    if lengths != [0]:
        _require(set(table))
    return found if lengths != [0] else {}


def _values(column: Any) -> Any:
    # Lists stay lists: tags are lists inside.
    return column if isinstance(column, list | tuple) else to_array(column)


def _columns_of_dicts(events: Sequence[Any]) -> dict[str, list[Any]]:
    seen: set[str] = set()
    for i, event in enumerate(events):
        if not isinstance(event, Mapping):
            raise ColumnTypeError(
                f"Event {i} is a {type(event).__name__}; give a dict such as {{'occurred_at': ..., 'action': ...}}."
            )
        seen.update(event)
    if not events:
        return {}
    _require(seen)
    return {name: [event.get(name) for event in events] for name in (*REQUIRED, *OPTIONAL) if name in seen}


def _require(names: set[str]) -> None:
    missing = [f"{name!r}{closest(name, names)}" for name in REQUIRED if name not in names]
    if missing:
        raise SchemaError(
            f"The events lack {', '.join(missing)}; they have {', '.join(sorted(map(repr, names)))}."
        )


def _select(columns: dict[str, list[Any]], facts: Mapping[str, Any]) -> _Rows:
    """Keep the rows that the member gave or received, one for each event_id."""
    n = len(columns.get("action", ()))
    actor = np.full(n, MEMBER, np.int64)
    other: Codes | None = np.empty(0, np.int64) if not n else None
    keep = np.ones(n, bool)
    if "member_id" in columns:
        who = [as_id(value, "member_id") for value in columns["member_id"]]
        me = _identity(who, facts)
        actor = np.array([MEMBER if i == me else OTHERS if i is not None else NOBODY for i in who], np.int64)
        keep = actor == MEMBER
        if "other_member_id" in columns:
            theirs = [as_id(value, "other_member_id") for value in columns["other_member_id"]]
            other = np.array(
                [MEMBER if i == me else OTHERS if i is not None else NOBODY for i in theirs], np.int64
            )
            keep = keep | ((actor == OTHERS) & (other == MEMBER))
        if n and not keep.any():
            raise InputError(
                f"None of the {n} events is given or received by the member; compare member['member_id'] with theirs."
            )
    rows = _Rows(columns, actor, other)
    keep &= _first_of_event(rows)
    if keep.all():
        return rows
    at = np.flatnonzero(keep)
    kept = {name: [values[i] for i in at] for name, values in columns.items()}
    return _Rows(kept, actor[at], None if other is None else other[at])


def _identity(who: list[str | None], facts: Mapping[str, Any]) -> str:
    given = as_id(facts.get("member_id"), "member_id")
    if given is not None:
        return given
    found = sorted({i for i in who if i is not None})
    if len(found) != 1:
        raise InputError(
            f"The events name {len(found)} members; say whose features are asked for: member={{'member_id': ...}}."
        )
    return found[0]


def _first_of_event(rows: _Rows) -> NDArray[np.bool_]:
    """Of rows with one event_id keep the one that was known earliest, the first of equals."""
    keep = np.ones(len(rows), bool)
    if "event_id" not in rows.columns:
        return keep
    visible = _times(rows, "occurred_at")
    if "known_at" in rows.columns:
        visible = np.maximum(visible, _times(rows, "known_at", missing=NEVER))
    best: dict[str, int] = {}
    for i, value in enumerate(rows.columns["event_id"]):
        event = as_id(value, "event_id")
        if event is None:
            continue
        first = best.setdefault(event, i)
        if visible[i] < visible[first]:
            best[event] = i
            keep[first] = False
        elif first != i:
            keep[i] = False
    return keep


def _times(rows: _Rows, name: str, missing: int | None = None) -> Codes:
    return np.array(
        [as_time_us(v, f"{name} of event {i}", missing) for i, v in enumerate(rows.get(name))], np.int64
    )


def _encode(rows: _Rows, facts: Mapping[str, Any], time: Codes, visible: Codes) -> EncodedLog:
    dictionaries: dict[str, tuple[str, ...]] = {}
    action = _codes(rows, "action", "action", dictionaries)
    if action is None:
        raise InputError("The events have no actions.")
    if (action < 0).any():
        raise InputError(f"Event {int(np.argmax(action < 0))} has no action; give a verb such as 'view'.")
    offsets, tags = _tags(rows, dictionaries)
    field = _codes(rows, "field", "field", dictionaries)
    filled = None
    if field is not None:
        filled = np.ones(len(rows), bool)
        if "value" in rows.columns:
            filled = np.array([as_text(v, "value") is not None for v in rows.get("value")], bool)
    duration = None
    if rows.has("duration_s"):
        seconds = np.array([as_number(v, "duration_s") for v in rows.get("duration_s")], np.float64)
        duration = np.rint(np.clip(np.nan_to_num(seconds, nan=0.0), 0.0, 1e9) * 1000).astype(np.int64)
    return EncodedLog(
        actor=rows.actor,
        time=time,
        action=action,
        visible_from=visible if bool((visible > time).any()) else None,
        other=rows.other,
        group=_codes(rows, "group_id", "group", dictionaries),
        role=_codes(rows, "other_role", "role", dictionaries),
        job_function=_codes(rows, "other_job_function", "job_function", dictionaries),
        field_code=field,
        filled=filled,
        same_domain=_same_domain(rows, facts),
        duration_ms=duration,
        tag_offsets=offsets,
        tag_codes=tags,
        dictionaries=dictionaries,
    )


def _codes(
    rows: _Rows, name: str, dictionary: str, dictionaries: dict[str, tuple[str, ...]]
) -> NDArray[np.int32] | None:
    if not rows.has(name):
        return None
    texts = [as_text(value, name) for value in rows.get(name)]
    return _dictionary(texts, dictionary, dictionaries)


def _dictionary(
    texts: Sequence[str | None], dictionary: str, dictionaries: dict[str, tuple[str, ...]]
) -> NDArray[np.int32]:
    entries = tuple(sorted({t for t in texts if t is not None}))
    code: dict[str | None, int] = {entry: i for i, entry in enumerate(entries)}
    dictionaries[dictionary] = entries
    return np.array([code.get(t, -1) for t in texts], np.int32)


def _tags(
    rows: _Rows, dictionaries: dict[str, tuple[str, ...]]
) -> tuple[Codes | None, NDArray[np.int32] | None]:
    if not rows.has("tags"):
        return None, None
    lists = [sorted(set(as_tags(value))) for value in rows.get("tags")]
    offsets = np.zeros(len(lists) + 1, np.int64)
    np.cumsum([len(tags) for tags in lists], out=offsets[1:])
    return offsets, _dictionary([tag for tags in lists for tag in tags], "tag", dictionaries)


def _same_domain(rows: _Rows, facts: Mapping[str, Any]) -> NDArray[np.bool_] | None:
    """Whether the other party has the member's domain; None where either side was not given."""
    if not len(rows):
        return np.empty(0, bool)
    if "email_domain" not in facts or "other_domain" not in rows.columns:
        return None
    own = as_domain(facts["email_domain"], "email_domain")
    if own is None:
        return np.zeros(len(rows), bool)
    theirs = [as_domain(value, "other_domain") == own for value in rows.get("other_domain")]
    own_rows: NDArray[np.bool_] = np.array(theirs, bool) & (rows.actor == MEMBER)
    return own_rows


def _unknown(plan: Plan, log: EncodedLog) -> tuple[int, ...]:
    """Columns over received rows by same domain: the domain of the one who acted is no column of an event."""
    if not len(log) or log.other is None or not (log.actor != MEMBER).any():
        return ()
    keys = {i for i, key in enumerate(plan.keys) if key.side == "received" and key.attribute == "same_domain"}
    return tuple(j for j, column in enumerate(plan.columns) if keys.intersection(column.keys))


def _missing(
    plan: Plan, log: EncodedLog, rows: _Rows, facts: Mapping[str, Any], unknown: tuple[int, ...]
) -> tuple[str, ...]:
    """Name the facts that the plan uses and that were not given."""
    used = [plan.keys[k] for column in plan.columns if column.operation != "peers" for k in column.keys]
    operations = {column.operation for column in plan.columns}
    attributes = {key.attribute for key in used if key.attribute is not None}
    lacking = [name for attribute, name in _NEEDS.items() if attribute in attributes and not rows.has(name)]
    if "same_domain" in attributes and len(rows) and "email_domain" not in facts:
        lacking.append("email_domain")
    if log.other is None and any(key.side == "received" for key in used):
        lacking += [name for name in ("member_id", "other_member_id") if name not in rows.columns]
    if operations & {"sum_duration", "last_visit"} and not rows.has("duration_s"):
        lacking.append("duration_s")
    if "tenure" in operations and "joined_at" not in facts:
        lacking.append("joined_at")
    return tuple(dict.fromkeys([*lacking, *(plan.columns[j].name for j in unknown)]))
