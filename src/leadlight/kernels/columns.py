"""From counts to columns: the table of operations that a plan may ask for, each a few lines of NumPy."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from leadlight.kernels.log import EncodedLog
from leadlight.kernels.start import NEVER, Start
from leadlight.kernels.stream import Stream
from leadlight.moments import ALL, DAY_US
from leadlight.plan import Column, Plan

Codes = NDArray[np.int64]
Values = NDArray[np.float64]

ENTROPY_SCALE = float(1 << 24)


def fill_columns(
    plan: Plan,
    log: EncodedLog,
    streams: Mapping[str, Stream | None],
    entity: Codes,
    account: Codes | None,
    cutoff: Codes,
    joined: Codes | None,
    out: NDArray[np.float32],
    rows: Codes,
    start: Start | None = None,
) -> None:
    """Compute every column of the plan for a block of observations into `out[rows]`."""
    start = Start.empty(plan) if start is None else start
    block = _Block(plan, log, streams, entity, account, cutoff, joined, start)
    for j, column in enumerate(plan.columns):
        out[rows, j] = _OPERATIONS[column.operation](block, column)


class _Block:
    """Counts of a block of observations, computed when a column first asks for them."""

    def __init__(
        self,
        plan: Plan,
        log: EncodedLog,
        streams: Mapping[str, Stream | None],
        entity: Codes,
        account: Codes | None,
        cutoff: Codes,
        joined: Codes | None,
        start: Start,
    ) -> None:
        self.plan, self.log, self.streams, self.start = plan, log, streams, start
        self.cutoff, self.joined, self.account = cutoff, joined, account
        self.entities = {"given": entity, "received": entity, "account": account}
        self._positions: dict[tuple[str, int], Codes] = {}
        self._counts: dict[tuple[int, int, str], Codes | None] = {}
        self._sums: dict[tuple[int, str], Codes | None] = {}

    def missing(self) -> Values:
        return np.full(len(self.cutoff), np.nan)

    def position(self, side: str, window: int) -> Codes:
        """Position of the window's oldest entry; window -1 asks for the end, at the cutoff."""
        found = self._positions.get((side, window))
        if found is None:
            stream, entity = self.streams[side], self.entities[side]
            if stream is None or entity is None:
                raise ValueError(f"no stream of side {side}")
            if window == ALL:
                found = stream.start(entity)
            else:
                found = stream.position(entity, self.cutoff if window == -1 else self.cutoff - window)
            self._positions[side, window] = found
        return found

    def side(self, key: int, account: bool = False) -> str:
        return "account" if account else self.plan.keys[key].side

    def count(self, key: int, window: int, *, account: bool = False) -> Codes | None:
        """Rows that the key counts in the window; None where the log cannot say."""
        side = self.side(key, account)
        if (key, window, side) not in self._counts:
            running = self._running(key, side)
            value = None
            if running is not None:
                value = running[self.position(side, -1)] - running[self.position(side, window)]
                if window == ALL and not account:
                    value = value + self.start.count[key]
            self._counts[key, window, side] = value
        return self._counts[key, window, side]

    def _running(self, key: int, side: str) -> Codes | None:
        if (key, side) not in self._sums:
            stream = self.streams[side]
            mask = None if stream is None else stream.mask(self.plan.keys[key])
            self._sums[key, side] = None if mask is None else _running_sum(mask)
        return self._sums[key, side]

    def total(self, keys: tuple[int, ...], window: int) -> Codes | None:
        """Sum of the counts of several keys."""
        counts = [self.count(key, window) for key in keys]
        known = [c for c in counts if c is not None]
        return None if len(known) < len(counts) or not known else np.sum(known, axis=0)

    def last(self, key: int) -> tuple[Codes, NDArray[np.bool_]] | None:
        """When the newest row that the key counts happened, `NEVER` for none, and whether it left its field filled."""
        side = self.side(key)
        stream = self.streams[side]
        mask = None if stream is None else stream.mask(self.plan.keys[key])
        if stream is None or mask is None:
            return None
        time, filled = self.start.last[key], self.start.filled[key]
        at, there = self._last(mask, side)
        if not len(stream.time):
            return np.full(len(at), time), np.full(len(at), filled)
        kept = there if self.log.filled is None else self.log.filled[stream.row[at]]
        return np.where(there, stream.time[at], time), np.where(there, kept, filled)

    def _last(self, mask: NDArray[np.bool_], side: str) -> tuple[Codes, NDArray[np.bool_]]:
        newest = np.maximum.accumulate(np.where(mask, np.arange(len(mask)), -1))
        end, start = self.position(side, -1), self.position(side, ALL)
        if not len(newest):
            return np.zeros(len(end), np.int64), np.zeros(len(end), bool)
        at = np.where(end > start, newest[np.maximum(end - 1, 0)], -1)
        return np.maximum(at, 0), at >= start

    def given(self) -> Stream:
        stream = self.streams["given"]
        if stream is None:
            raise ValueError("the given side is always there")
        return stream

    def first_time(self, side: str) -> Codes:
        """When the entity's first row happened, `NEVER` where it has none."""
        stream = self.streams[side]
        begin, end = self.position(side, ALL), self.position(side, -1)
        before = self.start.first[side == "received"]
        if before != NEVER or stream is None or not len(stream.time):
            return np.full(len(self.cutoff), before)
        return np.where(end > begin, stream.time[np.minimum(begin, len(stream.time) - 1)], NEVER)

    def visit_mask(self) -> NDArray[np.bool_]:
        """Which entries begin a visit."""
        return self.given().gaps(self.start.newest) > self.plan.session_gap_us


def _running_sum(values: NDArray[np.bool_] | Codes) -> Codes:
    running = np.zeros(len(values) + 1, np.int64)
    np.cumsum(values, out=running[1:])
    return running


def _divide(numerator: Values | Codes, denominator: Values | Codes) -> Values:
    safe = np.where(denominator == 0, 1, denominator)
    return np.where(denominator == 0, np.nan, numerator / safe)


def _count(block: _Block, column: Column) -> Values | Codes:
    total = block.total(column.keys, column.windows[0])
    return block.missing() if total is None else total


def _sum_duration(block: _Block, column: Column) -> Values:
    """Seconds, from integer thousandths."""
    key = column.keys[0]
    side = block.side(key)
    stream = block.streams[side]
    mask = None if stream is None else stream.mask(block.plan.keys[key])
    if stream is None or mask is None or block.log.duration_ms is None:
        return block.missing()
    running = _running_sum(np.where(mask, block.log.duration_ms[stream.row], 0))
    sums = running[block.position(side, -1)] - running[block.position(side, column.windows[0])]
    if column.windows[0] == ALL:
        sums = sums + block.start.duration_ms[key]
    return sums / 1000.0


def _recency(block: _Block, column: Column) -> Values:
    """Days since the newest row; missing where there is none."""
    found = block.last(column.keys[0])
    if found is None:
        return block.missing()
    time, _ = found
    return np.where(time != NEVER, (block.cutoff - time) / DAY_US, np.nan)


def _first_time(block: _Block, column: Column) -> Values:
    """1 where the first row ever lies in the window, else 0."""
    ever, recent = block.total(column.keys, ALL), block.total(column.keys, column.windows[0])
    if ever is None or recent is None:
        return block.missing()
    found: Values = ((ever > 0) & (ever == recent)).astype(float)
    return found


def _trend(block: _Block, column: Column) -> Values:
    """(count + 1) of the window over (count + 1) of the one before it."""
    window = column.windows[0]
    recent, both = block.total(column.keys, window), block.total(column.keys, 2 * window)
    if recent is None or both is None:
        return block.missing()
    return (recent + 1) / (both - recent + 1)


def _ratio(block: _Block, column: Column) -> Values:
    """Missing where the denominator is zero."""
    above = block.total(column.keys[: column.split], column.windows[0])
    below = block.total(column.keys[column.split :], column.windows[-1])
    return block.missing() if above is None or below is None else _divide(above, below)


def _distinct(block: _Block, column: Column) -> Values | Codes:
    found = np.zeros(len(block.cutoff), np.int64)
    for key in column.keys:
        count = block.count(key, column.windows[0])
        if count is None:
            return block.missing()
        found += count > 0
    return found


def _entropy(block: _Block, column: Column) -> Values:
    """Shannon entropy in bits over the vocabulary, exactly 0 where all rows hold one entry."""
    total = np.zeros(len(block.cutoff), np.int64)
    weighted = np.zeros(len(block.cutoff), np.int64)
    for key in column.keys:
        count = block.count(key, column.windows[0])
        if count is None:
            return block.missing()
        total += count
        weighted += x_log2_x(count)
    return np.where(total > 0, (x_log2_x(total) - weighted) / ENTROPY_SCALE / np.maximum(total, 1), np.nan)


def x_log2_x(count: Codes) -> Codes:
    """Return x log2 x in 2^24 fixed point, of which the native kernel reads a table.

    Sums of integers do not depend on their order.
    """
    positive = np.maximum(count, 1)
    return np.rint(positive * np.log2(positive) * ENTROPY_SCALE).astype(np.int64)


def _visits(block: _Block, column: Column) -> Codes:
    running = _running_sum(block.visit_mask())
    found = running[block.position("given", -1)] - running[block.position("given", column.windows[0])]
    return found + block.start.visits if column.windows[0] == ALL else found


def _visits_per_month(block: _Block, column: Column) -> Values:
    """Visits per 30 days since the first; a member younger than 30 days counts as 30 days old."""
    visits = _visits(block, Column("", "visits", windows=(ALL,)))
    months = np.maximum((block.cutoff - block.first_time("given")) / (30.0 * DAY_US), 1.0)
    return np.where(visits > 0, visits / months, 0.0)


def _last_visit(block: _Block, column: Column) -> Values:
    """Seconds from the first row of the newest visit to the end of its last, never beyond the cutoff."""
    stream, before = block.given(), block.start
    at, there = block._last(block.visit_mask(), "given")
    end = np.full(len(at), before.newest)
    begin = np.full(len(at), before.visit)
    duration = np.full(len(at), before.newest_duration_ms)
    if len(stream.time):
        last = np.maximum(block.position("given", -1) - 1, 0)
        newer = block.position("given", -1) > block.position("given", ALL)
        begin, end = np.where(there, stream.time[at], begin), np.where(newer, stream.time[last], end)
        if block.log.duration_ms is not None:
            duration = np.where(newer, block.log.duration_ms[stream.row[last]], duration)
    if block.log.duration_ms is not None:
        end = np.minimum(end + duration * 1000, block.cutoff)
    return np.where(begin != NEVER, (end - begin) / 1e6, np.nan)


def _completeness(block: _Block, column: Column) -> Values:
    """Share of the vocabulary's fields whose newest value before the cutoff is not empty."""
    if block.log.filled is None or not column.keys:
        return block.missing()
    count = np.zeros(len(block.cutoff), np.int64)
    for key in column.keys:
        found = block.last(key)
        if found is None:
            return block.missing()
        time, filled = found
        count += (time != NEVER) & filled
    return count / len(column.keys)


def _surprise(block: _Block, column: Column) -> Values:
    """(count - expected) / sqrt(expected + 1), expected from the member's own rate before the window."""
    window = column.windows[0]
    recent, ever = block.total(column.keys, window), block.total(column.keys, ALL)
    if recent is None or ever is None:
        return block.missing()
    side = block.side(column.keys[0])
    first = block.first_time(side)
    before = (block.cutoff - first) / window - 1.0
    known = (first != NEVER) & (before > 0)
    expected = (ever - recent) / np.where(known, before, 1.0)
    return np.where(known, (recent - expected) / np.sqrt(np.maximum(expected, 0.0) + 1.0), np.nan)


def _peers(block: _Block, column: Column) -> Values:
    """Count of the account less the member's own; missing without an account."""
    if block.account is None or block.streams["account"] is None:
        return block.missing()
    total = np.zeros(len(block.cutoff), np.int64)
    for key in column.keys:
        everyone = block.count(key, column.windows[0], account=True)
        own = block.count(key, column.windows[0])
        if everyone is None or own is None:
            return block.missing()
        total += everyone - own
    return np.where(block.account >= 0, total, np.nan)


def _tenure(block: _Block, column: Column) -> Values:
    """Days since joining, missing where that is unknown or not yet."""
    if block.joined is None:
        return block.missing()
    known = (block.joined != NEVER) & (block.joined < block.cutoff)
    return np.where(known, (block.cutoff - np.where(known, block.joined, 0)) / DAY_US, np.nan)


_OPERATIONS: dict[str, Callable[[_Block, Column], Values | Codes]] = {
    "count": _count,
    "sum_duration": _sum_duration,
    "recency": _recency,
    "first_time": _first_time,
    "trend": _trend,
    "ratio": _ratio,
    "distinct": _distinct,
    "entropy": _entropy,
    "visits": _visits,
    "visits_per_month": _visits_per_month,
    "last_visit": _last_visit,
    "completeness": _completeness,
    "surprise": _surprise,
    "peers": _peers,
    "tenure": _tenure,
}
