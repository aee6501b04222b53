"""What a member's history before the rows of a log amounts to: counts for all time, and what came first and last.

A window sees rows only until it has passed them. From then on a row matters by what it added to all time, and that is the
same few numbers however many rows there were. A sweep that starts from them gives what a sweep over all rows gives.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from leadlight.kernels.log import EncodedLog
from leadlight.kernels.program import Remembered, windows_of
from leadlight.plan import SIDES, Plan

Codes = NDArray[np.int64]

NEVER: Final = int(np.iinfo(np.int64).min)
_LONG_AGO: Final = int(np.iinfo(np.int64).max)
_CODED: Final = ("group", "role", "job_function", "field")


@dataclass(frozen=True)
class Start:
    """A member's folded rows. Arrays have shape (keys of the plan,) and are not changed.

    Attributes
    ----------
    rows : int
        How many rows were folded.
    count, duration_ms : int64 array
        Rows that each key counts, and the sum of their durations in thousandths of a second.
    last : int64 array
        When the newest of them happened, UTC microseconds; `NEVER` for none.
    filled : bool array
        Whether that row left its field filled.
    first : tuple of int
        When the first row happened, given and received; `NEVER` for none.
    newest, newest_duration_ms : int
        When the newest row that the member gave happened (`NEVER` for none), and how long it took.
    visits, visit : int
        How many visits there were, and when the newest of them began; `NEVER` for none.
    """

    rows: int
    count: Codes
    duration_ms: Codes
    last: Codes
    filled: NDArray[np.bool_]
    first: tuple[int, int] = (NEVER, NEVER)
    newest: int = NEVER
    newest_duration_ms: int = 0
    visits: int = 0
    visit: int = NEVER

    @classmethod
    def empty(cls, plan: Plan) -> Start:
        """Nothing was folded."""
        zeros, never = np.zeros(len(plan.keys), np.int64), np.full(len(plan.keys), NEVER)
        return cls(0, zeros, zeros, never, np.zeros(len(plan.keys), np.bool_))


def longest_window(plan: Plan) -> int:
    """Return how long before a cutoff, in microseconds, a row still matters by its time, but for all-time columns."""
    own = (column for column in plan.columns if column.operation != "peers")
    return max((window for column in own for window in windows_of(column)), default=0)


def fold(plan: Plan, start: Start, log: EncodedLog, entity: int) -> Start:
    """Add a member's rows to a start.

    Parameters
    ----------
    plan : Plan
    start : Start
    log : EncodedLog
        All rows of the member are folded, whenever they became known. They happened after those that `start` holds. What
        the log does not say counts as none.
    entity : int
        The member's code in it.

    Returns
    -------
    Start
    """
    given = log.actor == entity
    side = np.where(given, 0, 1)
    received = np.zeros(len(log), np.bool_) if log.other is None else log.other == entity
    chosen = np.flatnonzero(given | received)
    if not len(chosen):
        return start
    zeros = np.zeros(len(log), np.int64)
    filled = zeros.astype(np.bool_) if log.filled is None else log.filled
    duration = zeros if log.duration_ms is None else log.duration_ms
    # The order of Stream, which decides what is the newest of rows at one time.
    order = chosen[np.lexsort((filled[chosen], duration[chosen], log.time[chosen]))]
    rank = np.full(len(log), -1)
    rank[order] = np.arange(len(order))
    row, key = _emitted(plan, log, side)
    row, key = row[rank[row] >= 0], key[rank[row] >= 0]
    added = np.zeros(len(plan.keys), np.int64)
    np.add.at(added, key, duration[row])
    newest = np.full(len(plan.keys), -1)
    np.maximum.at(newest, key, rank[row])
    there, at = newest >= 0, order[np.maximum(newest, 0)]
    first = [
        int(times[0]) if known == NEVER and len(times) else known
        for known, times in zip(start.first, (log.time[order[side[order] == s]] for s in (0, 1)), strict=True)
    ]
    own = order[given[order]]
    visits = _visits(start, log.time[own], plan.session_gap_us)
    return Start(
        rows=start.rows + len(order),
        count=start.count + np.bincount(key, minlength=len(plan.keys)),
        duration_ms=start.duration_ms + added,
        last=np.where(there, log.time[at], start.last),
        filled=np.where(there, filled[at], start.filled),
        first=(first[0], first[1]),
        newest=int(log.time[own[-1]]) if len(own) else start.newest,
        newest_duration_ms=int(duration[own[-1]]) if len(own) else start.newest_duration_ms,
        visits=start.visits + len(visits),
        visit=int(visits[-1]) if len(visits) else start.visit,
    )


def _visits(start: Start, time: Codes, gap: int) -> Codes:
    """Return when visits began, of a member's own rows in order."""
    since = np.diff(time, prepend=start.newest)
    if start.newest == NEVER and len(since):
        since[0] = _LONG_AGO
    return time[since > gap]


@dataclass(frozen=True)
class _Table:
    """The keys that a row emits for one attribute: those at [begin[cell], begin[cell + 1]), a cell for (side, action, value)."""

    values: int
    begin: Codes
    key: Codes


class _Tables:
    """Tables of a plan for the dictionaries that came last: a caller with fixed ones pays for them once."""

    def __init__(self, plan: Plan) -> None:
        # The owner of this value must not be kept alive by it.
        self._keys = plan.keys
        self._made: tuple[Any, dict[str | None, _Table]] | None = None

    def of(self, dictionaries: Mapping[str, tuple[str, ...]]) -> dict[str | None, _Table]:
        made = self._made
        if made is None or made[0] is not dictionaries:
            made = self._made = (dictionaries, self._make(dictionaries))
        return made[1]

    def _make(self, dictionaries: Mapping[str, tuple[str, ...]]) -> dict[str | None, _Table]:
        code = {name: {entry: i for i, entry in enumerate(found)} for name, found in dictionaries.items()}
        actions = len(code.get("action", ())) + 1
        found = {}
        for attribute in dict.fromkeys(key.attribute for key in self._keys):
            coded = attribute is not None and attribute != "same_domain"
            entries = code.get(str(attribute), {}) if coded else {}
            values = max(len(entries), 1)
            cells, keys = [], []
            for k, key in enumerate(self._keys):
                if key.attribute != attribute:
                    continue
                value = entries.get(str(key.value), -1) if coded else 0
                action = code.get("action", {}).get(str(key.action), -1) + 1
                if value < 0 or (key.action is not None and not action):
                    continue  # No row can hold it.
                # An action that the dictionary lacks is coded -1, the first.
                for one in range(actions) if key.action is None else (action,):
                    cells.append((SIDES.index(key.side) * actions + one) * values + value)
                    keys.append(k)
            order = np.argsort(np.array(cells, np.int64), kind="stable")
            sizes = np.bincount(np.array(cells, np.int64), minlength=len(SIDES) * actions * values)
            begin = np.concatenate([[0], np.cumsum(sizes)])
            found[attribute] = _Table(values, begin, np.array(keys, np.int64)[order])
        return found


_tables: Final = Remembered(_Tables)


def _emitted(plan: Plan, log: EncodedLog, side: Codes) -> tuple[Codes, Codes]:
    """Return (row, key) for each key that counts a row."""
    actions = len(log.dictionaries.get("action", ())) + 1
    cell_of_row = side * actions + log.action + 1
    rows, keys = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for attribute, table in _tables(plan).of(log.dictionaries).items():
        row, value = _values(log, attribute)
        cell = cell_of_row[row] * table.values + value
        begin, many = table.begin[cell], table.begin[cell + 1] - table.begin[cell]
        within = np.arange(many.sum()) - np.repeat(np.cumsum(many) - many, many)
        rows.append(np.repeat(row, many))
        keys.append(table.key[np.repeat(begin, many) + within])
    return np.concatenate(rows), np.concatenate(keys)


def _values(log: EncodedLog, attribute: str | None) -> tuple[Codes, Codes]:
    """Return (row, code) for each value of the attribute that a row holds."""
    none = np.empty(0, np.int64)
    if attribute is None:
        return np.arange(len(log)), np.zeros(len(log), np.int64)
    if attribute == "same_domain":
        row = none if log.same_domain is None else np.flatnonzero(log.same_domain)
        return row, np.zeros(len(row), np.int64)
    if attribute == "tag":
        if log.tag_codes is None or log.tag_offsets is None:
            return none, none
        row, value = np.repeat(np.arange(len(log)), np.diff(log.tag_offsets)), log.tag_codes
    else:
        of = dict(zip(_CODED, (log.group, log.role, log.job_function, log.field_code), strict=True))
        codes = of[attribute]
        if codes is None:
            return none, none
        row, value = np.arange(len(log)), codes
    return row[value >= 0], value[value >= 0].astype(np.int64)
