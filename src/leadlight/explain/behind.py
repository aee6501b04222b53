"""Which rows of the log a column of the plan was computed from, for some members as of a cutoff.

The rows are chosen as the reference of the sweep chooses them, by the same streams and masks: what is shown is what was
counted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from leadlight.community import Community
from leadlight.features.batch import some_of
from leadlight.kernels.start import NEVER
from leadlight.kernels.stream import Stream
from leadlight.moments import ALL
from leadlight.plan import Column, Plan

Codes = NDArray[np.int64]
Bools = NDArray[np.bool_]


class Rows(NamedTuple):
    """Rows behind a column.

    Attributes
    ----------
    side : {"given", "received", "colleague"}
    row : int64 array of shape (k,)
        Positions in `Behind.log`, oldest first.
    times : int64 array of shape (k,)
        How often the column counts each: twice where it counts two tags together and the row has both.
    """

    side: str
    row: Codes
    times: Codes


class Behind:
    """The visible rows of some members, and of their colleagues.

    Parameters
    ----------
    community : Community
    plan : Plan
    members : int64 array of shape (m,)
        Codes of the members asked for.
    at_us : int
        The cutoff: rows with max(occurred_at, known_at) at or after it do not exist.

    Attributes
    ----------
    log : EncodedLog
        Those rows alone, with the community's dictionaries.
    source : int64 array
        Where they stand in the community's log.
    """

    def __init__(self, community: Community, plan: Plan, members: Codes, at_us: int) -> None:
        self.plan, self.at_us = plan, at_us
        log, count = community.log, len(community.members)
        asked = np.zeros(count + 1, bool)  # the last place is that of nobody, code -1
        asked[members] = True
        actors = asked.copy()
        self._account_of: Codes | None = None
        if community.has_accounts and any(column.operation == "peers" for column in plan.columns):
            self._account_of = np.append(community.peer_account_at(at_us), -1)
            theirs = self._account_of[members]
            actors |= (self._account_of >= 0) & np.isin(self._account_of, theirs[theirs >= 0])
        visible = log.time if log.visible_from is None else log.visible_from
        wanted = actors[log.actor] if log.other is None else actors[log.actor] | asked[log.other]
        self.source = np.flatnonzero(wanted & (visible < at_us))
        self.log = some_of(log, self.source)
        actor = np.asarray(self.log.actor, np.int64)
        self._streams = {"given": self._stream(np.where(asked[actor], actor, -1))}
        if self.log.other is not None:
            # What one does to oneself is not received.
            other = np.where(self.log.other == actor, -1, self.log.other)
            self._streams["received"] = self._stream(np.where(asked[other], other, -1))
        if self._account_of is not None:
            self._streams["colleague"] = self._stream(self._account_of[actor])
        self._masks: dict[tuple[int, str], Bools | None] = {}
        self._begins: Bools | None = None

    def rows(self, member: int, column: Column) -> Rows:
        """Return the rows behind one column of one member; none where it has no rows, such as tenure."""
        return _OPERATIONS[column.operation](self, member, column)

    def _stream(self, entity: Codes) -> Stream:
        rows = np.flatnonzero(entity >= 0)
        return Stream.of_rows(self.log, entity[rows].astype(np.int64), rows)

    def _mask(self, key: int, side: str) -> Bools | None:
        if (key, side) not in self._masks:
            self._masks[key, side] = self._streams[side].mask(self.plan.keys[key])
        return self._masks[key, side]

    def _span(self, side: str, member: int, window: int) -> slice:
        """Positions of an entity's rows in the window."""
        stream = self._streams[side]
        entity = member
        if side == "colleague" and self._account_of is not None:
            entity = int(self._account_of[member])
        begin, end = (int(np.searchsorted(stream.entity, entity, s)) for s in ("left", "right"))
        if window != ALL:
            begin += int(np.searchsorted(stream.time[begin:end], self.at_us - window, "left"))
        return slice(begin, end)

    def _of(self, member: int, keys: tuple[int, ...], window: int, side: str | None = None) -> Rows:
        """Rows that any of the keys counts in the window."""
        side = side or (self.plan.keys[keys[0]].side if keys else "given")
        if side not in self._streams:
            return _nothing(side)
        span = self._span(side, member, window)
        times = np.zeros(span.stop - span.start, np.int64)
        for key in keys:
            mask = self._mask(key, side)
            if mask is not None:
                times += mask[span]
        row = self._streams[side].row[span]
        if side == "colleague":
            times[self.log.actor[row] == member] = 0
        return Rows(side, row[times > 0], times[times > 0])

    def _windowed(self, member: int, column: Column) -> Rows:
        return self._of(member, column.keys, column.windows[0])

    def _twice(self, member: int, column: Column) -> Rows:
        """Two windows: a trend compares the newest with the one before it."""
        return self._of(member, column.keys, 2 * column.windows[0])

    def _above(self, member: int, column: Column) -> Rows:
        """Rows of the numerator."""
        return self._of(member, column.keys[: column.split], column.windows[0])

    def _newest(self, member: int, column: Column) -> Rows:
        return self._last(self._of(member, column.keys[:1], ALL))

    def _filled(self, member: int, column: Column) -> Rows:
        """The newest row of each field that it left filled."""
        found: list[int] = []
        for key in column.keys:
            # Of rows at one time the stream's last one says what the field holds.
            last = self._of(member, (key,), ALL).row[-1:]
            if self.log.filled is not None and len(last) and self.log.filled[last[0]]:
                found.append(int(last[0]))
        row = np.array(found, np.int64)
        row = row[np.argsort(self.log.time[row], kind="stable")]
        return Rows("given", row, np.ones(len(row), np.int64))

    def _peers(self, member: int, column: Column) -> Rows:
        if self._account_of is None or self._account_of[member] < 0:
            return _nothing("colleague")
        return self._of(member, column.keys, column.windows[0], "colleague")

    def _visits(self, member: int, column: Column) -> Rows:
        """The rows that begin a visit."""
        if self._begins is None:
            self._begins = self._streams["given"].gaps(NEVER) > self.plan.session_gap_us
        span = self._span("given", member, column.windows[0] if column.windows else ALL)
        row = self._streams["given"].row[span][self._begins[span]]
        return Rows("given", row, np.ones(len(row), np.int64))

    def _last_visit(self, member: int, column: Column) -> Rows:
        begun = self._visits(member, Column("", "visits", windows=(ALL,)))
        if not len(begun.row):
            return begun
        row = self._streams["given"].row[self._span("given", member, ALL)]
        row = row[int(np.flatnonzero(row == begun.row[-1])[0]) :]
        return Rows("given", row, np.ones(len(row), np.int64))

    def _none(self, member: int, column: Column) -> Rows:
        return _nothing("given")

    def _last(self, rows: Rows) -> Rows:
        """The newest of the rows; all of them where several happened at one time."""
        if not len(rows.row):
            return rows
        time = self.log.time[rows.row]
        newest: Any = time == time.max()
        return Rows(rows.side, rows.row[newest], rows.times[newest])


def _nothing(side: str) -> Rows:
    return Rows(side, np.empty(0, np.int64), np.empty(0, np.int64))


_OPERATIONS: Final[dict[str, Callable[[Behind, int, Column], Rows]]] = {
    "count": Behind._windowed,
    "sum_duration": Behind._windowed,
    "recency": Behind._newest,
    "first_time": Behind._windowed,
    "trend": Behind._twice,
    "ratio": Behind._above,
    "distinct": Behind._windowed,
    "entropy": Behind._windowed,
    "visits": Behind._visits,
    "visits_per_month": Behind._visits,
    "last_visit": Behind._last_visit,
    "completeness": Behind._filled,
    "surprise": Behind._windowed,
    "peers": Behind._peers,
    "tenure": Behind._none,
}
