"""Rows of the log sorted by entity and time, and the positions of windows in them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from leadlight.kernels.log import EncodedLog
from leadlight.plan import Key

Codes = NDArray[np.int64]


@dataclass(frozen=True)
class Stream:
    """Rows of one side, sorted by entity, then time; ties in an order that the table's own order cannot change.

    Attributes
    ----------
    log : EncodedLog
    entity, row, time : int64 arrays of shape (m,)
        The entity of each entry, its row in the log, and when it happened.
    """

    log: EncodedLog
    entity: Codes
    row: Codes
    time: Codes
    _kept: dict[str, tuple[Codes, Codes]] = field(default_factory=dict, init=False, repr=False, compare=False)

    @classmethod
    def of_rows(cls, log: EncodedLog, entity: Codes, row: Codes) -> Stream:
        """Sort the given (entity, row) pairs."""
        time = log.time[row]
        # Ties: by duration, then by whether a field was filled, so that the last entry does not depend on row order.
        ties = [] if log.filled is None else [log.filled[row]]
        if log.duration_ms is not None:
            ties.append(log.duration_ms[row])
        order = np.lexsort((*ties, time, entity))
        return cls(log, entity[order], row[order], time[order])

    def _ranks(self) -> tuple[Codes, Codes]:
        # No cached_property: Python 3.11's takes a lock, for which a child would wait that was forked meanwhile.
        found = self._kept.get("ranks")
        if found is None:
            # entity * span + time would overflow; the rank of a time among the distinct times does not.
            times = np.unique(self.time)
            ranks = self.entity * (len(times) + 1) + np.searchsorted(times, self.time)
            found = self._kept["ranks"] = (times, ranks)
        return found

    def position(self, entity: Codes, before: Codes) -> Codes:
        """Position of the first entry of `entity` at or after `before`; entries ahead of it are strictly earlier."""
        times, composite = self._ranks()
        return np.searchsorted(composite, entity * (len(times) + 1) + np.searchsorted(times, before), "left")

    def start(self, entity: Codes) -> Codes:
        """Position of the first entry of each entity."""
        return np.searchsorted(self.entity, entity, "left")

    def mask(self, key: Key) -> NDArray[np.bool_] | None:
        """Which entries the key counts; None where the log does not hold the attribute."""
        chosen = np.ones(len(self.row), bool)
        if key.action is not None:
            chosen = self.log.action[self.row] == self.log.code("action", key.action)
        if key.attribute is None:
            return chosen
        matches = _attribute_rows(self.log, key)
        return None if matches is None else chosen & matches[self.row]

    def gaps(self, before: int) -> Codes:
        """Microseconds since the entity's entry before, which for its first is the moment `before`.

        Where that is the smallest int64 there was none, and the gap is the largest.
        """
        gap = np.diff(self.time, prepend=0)
        first = np.diff(self.entity, prepend=-1) != 0
        ends = np.iinfo(np.int64)
        return np.where(first, ends.max if before == ends.min else self.time - before, gap)


def _attribute_rows(log: EncodedLog, key: Key) -> NDArray[np.bool_] | None:
    """Which rows of the log hold the key's attribute value."""
    if key.attribute == "same_domain":
        return log.same_domain
    if key.attribute == "tag":
        if log.tag_codes is None or log.tag_offsets is None:
            return None
        found = np.zeros(len(log), bool)
        hits = np.flatnonzero(log.tag_codes == log.code("tag", str(key.value)))
        found[np.searchsorted(log.tag_offsets, hits, "right") - 1] = True
        return found
    name = str(key.attribute)
    codes = {
        "group": log.group,
        "role": log.role,
        "job_function": log.job_function,
        "field": log.field_code,
    }[name]
    return None if codes is None else codes == log.code(name, str(key.value))
