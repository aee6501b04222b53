"""One line of a Segment export -> one call: who, when, what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from leadlight.errors import InputError
from leadlight.moments import DAY_US, EPOCH
from leadlight.sources.lines import Line, Refused

TYPES = ("identify", "track", "page", "screen", "group", "alias")
TIMES = ("timestamp", "originalTimestamp", "sentAt", "receivedAt")
"""Where a call says when it happened, best first; `timestamp` is the one that Segment has corrected for wrong clocks."""

MICROSECOND = timedelta(microseconds=1)
NOTHING: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Call:
    """A call that can be used.

    Attributes
    ----------
    type : str
        One of `TYPES`.
    user, anonymous, previous, group : str or None
        userId, anonymousId, previousId, and the groupId of the call or of its context.
    time_us, known_us : int
        When it happened and when it arrived, UTC microseconds. What arrived within `late` of its time counts as known
        at once.
    event : str
        Name of a track call, else empty.
    body : mapping
        The whole call.
    """

    type: str
    user: str | None
    anonymous: str | None
    previous: str | None
    group: str | None
    time_us: int
    known_us: int
    event: str
    body: Mapping[str, Any]

    @property
    def properties(self) -> Mapping[str, Any]:
        """Properties of a track, page or screen call."""
        return _mapping(self.body.get("properties"))

    @property
    def traits(self) -> Mapping[str, Any]:
        """Traits of an identify or group call."""
        return _mapping(self.body.get("traits"))


def read_calls(
    lines: Iterator[Line], late_us: int, refused: Refused | None = None
) -> Iterator[tuple[Line, Call]]:
    """Yield the calls; lines that are none go to `refused`, or nowhere if another reading counts them."""
    for line in lines:
        call: Call | str = line.fault if line.call is None else parse_call(line.call, late_us)
        if isinstance(call, Call):
            yield line, call
        elif refused is not None:
            refused.add(line, call)


def parse_call(body: Mapping[str, Any], late_us: int) -> Call | str:
    """Return the call, or why it cannot be used."""
    kind = body.get("type")
    if kind not in TYPES:
        return "no type" if kind is None else "unknown type"
    try:
        user, anonymous = identifier(body.get("userId")), identifier(body.get("anonymousId"))
        previous = identifier(body.get("previousId"))
        group = identifier(body.get("groupId"), _mapping(body.get("context")).get("groupId"))
    except InputError:
        return "an identifier is neither text nor a whole number"
    if user is None and anonymous is None:
        return "neither userId nor anonymousId"
    said = next((body[name] for name in TIMES if body.get(name) not in (None, "")), None)
    if said is None:
        return "no timestamp"
    time = time_us(said)
    received = body.get("receivedAt")
    known = time if received in (None, "") else time_us(received)
    if time is None or known is None:
        return "timestamp cannot be read"
    event = body.get("event")
    if kind == "track" and not (isinstance(event, str) and event.strip()):
        return "track without event"
    return Call(
        kind,
        user,
        anonymous,
        previous,
        group,
        time,
        known if known - time > late_us else time,
        event.strip() if kind == "track" and isinstance(event, str) else "",
        body,
    )


def identifier(*values: Any) -> str | None:
    """Return the first that is given, as text; whole numbers keep all their digits."""
    for value in values:
        if value is None or value == "":
            continue
        if isinstance(value, str):
            return value
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        raise InputError(f"{value!r} is no identifier; give text or a whole number.")
    return None


def time_us(said: Any) -> int | None:
    """Return ISO 8601 text as UTC microseconds, a day alone as its last one; None if it cannot be read."""
    if not isinstance(said, str):
        return None
    try:
        when = datetime.fromisoformat(said)
    except ValueError:
        return None
    when = when.replace(tzinfo=UTC) if when.tzinfo is None else when
    us = (when - EPOCH) // MICROSECOND
    return us + DAY_US - 1 if len(said) <= len("2024-03-01") else us


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else NOTHING
