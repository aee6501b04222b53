"""Events as columns of integers that grow by a row at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from leadlight.kernels.log import EncodedLog
from leadlight.runtime.event_needs import COLUMN_OF, Needs

Ints = NDArray[Any]

CODED: Final = ("group", "role", "job_function", "field")
_ROOM: Final = 16


def columns_of(needs: Needs) -> dict[str, np.dtype[Any]]:
    """Return the columns that a plan asks for, in one order, and their types."""
    found = {"actor": "i8", "other": "i8", "time": "i8", "visible": "i8", "event": "u8", "action": "i4"}
    found |= {name: "i4" for name in CODED if name in needs.attributes}
    if "same_domain" in needs.attributes:
        found["same_domain"] = "?"
    if needs.filled:
        found["filled"] = "?"
    if needs.duration or needs.filled:
        found["duration_ms"] = "i8"
    return {name: np.dtype(kind) for name, kind in found.items()}


class HeldRows:
    """Rows of one member, in the order in which they came.

    Attributes
    ----------
    columns : dict of str to array
        Longer than `n`; what lies beyond is no row. `event` is a number for the event_id, 0 for none.
    offsets, tags : int64 and int32 array
        Tags of row i are `tags[offsets[i]:offsets[i + 1]]`.
    n : int
    """

    def __init__(self, needs: Needs) -> None:
        self._needs = needs
        self.columns: dict[str, Ints] = {
            name: np.zeros(_ROOM, kind) for name, kind in columns_of(needs).items()
        }
        self.offsets = np.zeros(_ROOM + 1, np.int64)
        self.tags = np.zeros(_ROOM, np.int32)
        self.n = 0

    def __len__(self) -> int:
        return self.n

    def column(self, name: str) -> Ints:
        """Return the rows of a column, as a view."""
        return self.columns[name][: self.n]

    def copy(self) -> HeldRows:
        """Return rows that share nothing with these."""
        return self.take(np.arange(self.n))

    def append(self, row: Mapping[str, int], tags: Sequence[int]) -> None:
        """Add one row."""
        n, from_, to = self.n, int(self.offsets[self.n]), int(self.offsets[self.n]) + len(tags)
        self._make_room(n + 1, to)
        for name, values in self.columns.items():
            values[n] = row[name]
        if tags:
            self.tags[from_:to] = tags
        self.offsets[n + 1] = to
        self.n = n + 1

    def extend(self, rows: HeldRows) -> None:
        """Add the rows of another."""
        n, more, from_ = self.n, rows.n, int(self.offsets[self.n])
        to = from_ + int(rows.offsets[more])
        self._make_room(n + more, to)
        for name, values in self.columns.items():
            values[n : n + more] = rows.columns[name][:more]
        self.tags[from_:to] = rows.tags[: to - from_]
        self.offsets[n + 1 : n + more + 1] = rows.offsets[1 : more + 1] + from_
        self.n = n + more

    def take(self, at: NDArray[np.int64]) -> HeldRows:
        """Return some of the rows, in the order asked for."""
        found = HeldRows.__new__(HeldRows)
        found._needs, found.n = self._needs, len(at)
        found.columns = {name: values[at] for name, values in self.columns.items()}
        begins, lengths = self.offsets[at], self.offsets[at + 1] - self.offsets[at]
        found.offsets = np.zeros(len(at) + 1, np.int64)
        np.cumsum(lengths, out=found.offsets[1:])
        within = np.arange(found.offsets[-1]) - np.repeat(found.offsets[:-1], lengths)
        found.tags = self.tags[np.repeat(begins, lengths) + within]
        return found

    def log(self, names: frozenset[str], *, all_known: bool = False, late: bool = True) -> EncodedLog:
        """Return the rows as the sweep reads them.

        Parameters
        ----------
        names : frozenset of str
            Columns of events that were given; the log does without what they lack.
        all_known : bool
            There was no event at all, so that every column is known to be empty.
        late : bool
            Some row may have become known after it happened.
        """
        needs, n, columns = self._needs, self.n, self.columns

        def given(name: str, column: str, also: bool = True) -> Ints | None:
            return columns[name][:n] if also and name in columns and (all_known or column in names) else None

        coded = {name: given(name, COLUMN_OF[name]) for name in CODED}
        tagged = "tag" in needs.attributes and (all_known or "tags" in names)
        filled = given("filled", "field")
        if filled is not None and "value" not in names:
            filled = np.ones(n, np.bool_)
        return EncodedLog(
            actor=columns["actor"][:n],
            time=columns["time"][:n],
            action=columns["action"][:n],
            visible_from=columns["visible"][:n] if late else None,
            other=given("other", "other_member_id", all_known or "member_id" in names),
            group=coded["group"],
            role=coded["role"],
            job_function=coded["job_function"],
            field_code=coded["field"],
            filled=filled,
            same_domain=given("same_domain", COLUMN_OF["same_domain"]),
            duration_ms=given("duration_ms", "duration_s"),
            tag_offsets=self.offsets[: n + 1] if tagged else None,
            tag_codes=self.tags[: int(self.offsets[n])] if tagged else None,
            dictionaries=needs.dictionaries,
        )

    def _make_room(self, rows: int, tags: int) -> None:
        # Longer arrays are new ones: logs that were handed out keep theirs.
        if rows > len(self.columns["time"]):
            room = max(rows, len(self.columns["time"]) * 2)
            self.columns = {name: _longer(values, room) for name, values in self.columns.items()}
        if rows + 1 > len(self.offsets):
            self.offsets = _longer(self.offsets, max(rows, (len(self.offsets) - 1) * 2) + 1)
        if tags > len(self.tags):
            self.tags = _longer(self.tags, max(tags, len(self.tags) * 2))


def _longer(values: Ints, room: int) -> Ints:
    found = np.zeros(room, values.dtype)
    found[: len(values)] = values
    return found
