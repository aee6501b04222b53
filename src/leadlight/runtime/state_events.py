"""Events as an application gives them -> rows that a member's state holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final, NamedTuple

import numpy as np

from leadlight.errors import InputError
from leadlight.kernels.log import EncodedLog
from leadlight.runtime.event_needs import COLUMN_OF, Needs
from leadlight.runtime.event_table import read_events, spread, with_actions
from leadlight.runtime.events import (
    MEMBER,
    NEVER,
    NOBODY,
    OTHERS,
    Rows,
    encode_rows,
    identity_of,
    select_rows,
)
from leadlight.runtime.fact_columns import ids
from leadlight.runtime.facts import as_domain, as_id, as_number, as_tags, as_text, as_time_us, check_unit
from leadlight.runtime.state_rows import CODED, HeldRows

FURTHEST_US: Final = 1 << 62
"""Moments stay this close, so that windows can be added to them."""


class OneEvent(NamedTuple):
    """One event.

    Attributes
    ----------
    row : dict
        A value for each column of `HeldRows`.
    tags : list of int
        Codes of its tags, ascending.
    action : str
    """

    row: dict[str, int]
    tags: list[int]
    action: str


@dataclass(frozen=True)
class ManyEvents:
    """Events of one call.

    Attributes
    ----------
    rows : HeldRows
        Those of the member, one for each event_id.
    actions : list of str
    facts : dict
        The member's facts, with the member_id that the events name if there was none.
    names : frozenset of str
        The columns that were given.
    """

    rows: HeldRows
    actions: list[str]
    facts: dict[str, Any]
    names: frozenset[str]


def is_event(events: Any) -> bool:
    """Whether this is one event, and no table."""
    if not isinstance(events, Mapping):
        return False
    one = events.get("occurred_at", events.get("action"))
    return isinstance(one, str) or not hasattr(one, "__len__")


def read_one(event: Mapping[str, Any], facts: Mapping[str, Any], needs: Needs) -> OneEvent | None:
    """Return one event as `read_many` reads it, many times faster; None where it is not plain, or not the member's.

    Raises
    ------
    ColumnTypeError, InputError
        A value cannot be read.
    """
    side = _side(event, facts.get("member_id"))
    action = _text(event.get("action"), "action")
    action = None if action is None else needs.own_actions.get(action, action)
    if side is None or action is None or "occurred_at" not in event:
        return None
    time = visible = as_time_us(event["occurred_at"], "occurred_at of event 0")
    check_unit(time)
    if (known := event.get("known_at")) is not None:
        visible = max(time, as_time_us(known, "known_at of event 0", NEVER))
    if not -FURTHEST_US < time <= visible < FURTHEST_US:
        return None
    received = side != MEMBER
    row: dict[str, int] = {
        "actor": side,
        "other": MEMBER if received else NOBODY,
        "time": time,
        "visible": visible,
        "event": _number_of(as_id(event.get("event_id"), "event_id")),
        "action": needs.codes["action"].get(action, -1),
    }
    for name in CODED:
        if name in needs.attributes:
            text = _text(event.get(COLUMN_OF[name]), COLUMN_OF[name])
            row[name] = -1 if text is None else needs.codes[name].get(text, -1)
    if "same_domain" in needs.attributes:
        row["same_domain"] = not received and _in_domain(event.get("other_domain"), facts.get("email_domain"))
    if needs.filled:
        row["filled"] = "field" in event and _text(event.get("value"), "value") is not None
    if needs.filled or needs.duration:
        row["duration_ms"] = _milliseconds(event.get("duration_s"))
    tags: list[int] = []
    if "tag" in needs.attributes and (value := event.get("tags")) is not None:
        code = needs.codes["tag"]
        tags = sorted({code[tag] for tag in as_tags(value) if tag in code})
    return OneEvent(row, tags, action)


def read_many(events: Any, facts: dict[str, Any], needs: Needs) -> ManyEvents | None:
    """Return the events of the member; None for none at all.

    Raises
    ------
    SchemaError, ColumnTypeError, InputError
        As in `leadlight.runtime.events.encode_events`; or an event lies too far away.
    """
    table = with_actions(read_events(events), needs.own_actions)
    if not len(table):
        return None
    if facts.get("member_id") is None and "member_id" in table.names:
        facts = {**facts, "member_id": identity_of(ids(table.column("member_id"), "member_id"), facts)}
    rows = select_rows(table, facts)
    if rows.time.min() <= -FURTHEST_US or rows.visible.max() >= FURTHEST_US:
        raise InputError(
            "An event lies more than 100,000 years away; give UTC microseconds, datetimes or ISO text."
        )
    actions = [str(value) for value in spread(rows.table.column("action"))]
    return ManyEvents(_held(rows, encode_rows(rows, facts, needs), needs), actions, facts, table.names)


def _held(rows: Rows, log: EncodedLog, needs: Needs) -> HeldRows:
    """Return encoded events as rows to hold; what was not given is none."""
    found = HeldRows(needs)
    n = found.n = len(rows)
    codes = (log.group, log.role, log.job_function, log.field_code)
    events = np.zeros(n, np.uint64)
    if "event_id" in rows.table.names:
        named = spread(ids(rows.table.column("event_id"), "event_id"))
        events = np.array([_number_of(one) for one in named], np.uint64)
    columns: dict[str, Any] = {
        "actor": log.actor,
        "other": np.where(log.actor == MEMBER, NOBODY, MEMBER),
        "time": log.time,
        "visible": rows.visible,
        "event": events,
        "action": log.action,
        **{
            name: np.full(n, -1) if values is None else values
            for name, values in zip(CODED, codes, strict=True)
        },
        "same_domain": log.same_domain,
        # Whether a value was given: where no event ever has one, fields count as filled.
        "filled": log.filled if "value" in rows.table.names else None,
        "duration_ms": log.duration_ms,
    }
    for name, values in found.columns.items():
        given = columns[name]
        found.columns[name] = np.zeros(n, values.dtype) if given is None else given.astype(values.dtype)
    found.offsets = np.zeros(n + 1, np.int64) if log.tag_offsets is None else log.tag_offsets
    found.tags = np.empty(0, np.int32) if log.tag_codes is None else log.tag_codes
    return found


def _side(event: Mapping[str, Any], me: str | None) -> int | None:
    """Return who acted: the member, or another on the member; None where that needs a closer look."""
    if "member_id" not in event:
        return MEMBER
    who = as_id(event["member_id"], "member_id")
    if me is None or who is None:
        return None
    if who == me:
        return MEMBER
    return OTHERS if as_id(event.get("other_member_id"), "other_member_id") == me else None


def _text(value: Any, name: str) -> str | None:
    if value is None:
        return None
    return value or None if type(value) is str else as_text(value, name)


def _in_domain(value: Any, own: str | None) -> bool:
    return value is not None and own is not None and as_domain(value, "other_domain") == own


def _milliseconds(value: Any) -> int:
    seconds = 0.0 if value is None else as_number(value, "duration_s")
    return round(min(max(seconds, 0.0), 1e9) * 1000) if seconds == seconds else 0


def _number_of(event: str | None) -> int:
    """Return a number for an event_id, 0 for none. Two of a million get the same once in 30 million times."""
    if event is None:
        return 0
    digest = blake2b(event.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little") or 1
