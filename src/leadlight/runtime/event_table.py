"""Events in whatever form an application holds them, read a column at a time and only when somebody asks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from operator import itemgetter
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from leadlight.errors import ColumnTypeError, SchemaError, closest
from leadlight.runtime.frames import named_columns, to_array


@dataclass(frozen=True)
class Repeated:
    """A column of text as its distinct values, text or None, and the position of each row's among them."""

    entries: list[Any]
    at: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.at)


@dataclass(frozen=True)
class Lists:
    """A column of lists of text: how many entries each row has, and all of them one after the other."""

    lengths: NDArray[np.int64]
    flat: Repeated

    def __len__(self) -> int:
        return len(self.lengths)


Values = list[Any] | NDArray[Any] | Repeated | Lists
"""A column: a list or an array of one dimension, or text that its library had already encoded."""

REQUIRED: Final = ("occurred_at", "action")
OPTIONAL: Final = (
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
TIMES: Final = ("occurred_at", "known_at")
_NUMBERS: Final = ("duration_s",)
_ARROW_TEXT: Final = ("string", "large_string")
_ARROW_LISTS: Final = tuple(
    f"{kind}<{name}: {text}>"
    for kind in ("list", "large_list")
    for name in ("item", "element")
    for text in _ARROW_TEXT
)


def spread(values: Values) -> list[Any] | NDArray[Any]:
    """Return a value for each row."""
    if isinstance(values, Repeated):
        return list(map(values.entries.__getitem__, values.at.tolist()))
    if isinstance(values, Lists):
        flat = iter(spread(values.flat))
        return [list(islice(flat, length)) for length in values.lengths.tolist()]
    return values


@dataclass(frozen=True)
class EventTable:
    """Columns of equal length.

    Attributes
    ----------
    names : frozenset of str
        The canonical columns that were given; none where there are no rows.
    rows : int
    read : callable
        Name of a given column to its values.
    """

    names: frozenset[str]
    rows: int
    read: Callable[[str], Values]

    def __len__(self) -> int:
        return self.rows

    def has(self, name: str) -> bool:
        """Whether a column is known: without any event nothing happened, and every column is known to be empty."""
        return name in self.names or not self.rows

    def column(self, name: str) -> Values:
        """Return a column; an empty one where it was not given."""
        return self.read(name) if name in self.names else []

    def take(self, at: NDArray[np.int64]) -> EventTable:
        """Return some of the rows."""
        return EventTable(self.names, len(at), lambda name: _taken(self.read(name), at))


def with_actions(table: EventTable, own: Mapping[str, str]) -> EventTable:
    """Return a table whose actions have the plan's names, where `own` gives one for the source's."""
    if not own or "action" not in table.names:
        return table

    def read(name: str) -> Values:
        values = table.read(name)
        if name != "action" or isinstance(values, Lists):
            return values
        entries = values.entries if isinstance(values, Repeated) else values
        ours = [own.get(entry, entry) if isinstance(entry, str) else entry for entry in entries]
        return Repeated(ours, values.at) if isinstance(values, Repeated) else ours

    return EventTable(table.names, table.rows, read)


def _taken(values: Values, at: NDArray[np.int64]) -> Values:
    if isinstance(values, np.ndarray):
        return values[at]
    if isinstance(values, Repeated):
        return Repeated(values.entries, values.at[at])
    if isinstance(values, Lists):
        begins = np.cumsum(values.lengths) - values.lengths
        lengths = values.lengths[at]
        within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        flat = values.flat.at[np.repeat(begins[at], lengths) + within]
        return Lists(lengths, Repeated(values.flat.entries, flat))
    return [values[i] for i in at.tolist()]


def read_events(events: Any) -> EventTable:
    """Return the columns of a list of dicts, a dict of arrays, or a table.

    Raises
    ------
    ColumnTypeError
        It is none of these, or an event or a column is no such thing.
    SchemaError
        A required column is missing, or columns differ in length.
    """
    if isinstance(events, Sequence) and not isinstance(events, str | bytes):
        return _of_dicts(events if isinstance(events, list) else list(events))
    # Asking a frame for one column by its name is cheaper than asking for all.
    table = _frame_columns(events) if hasattr(type(events), "iloc") else named_columns(events)
    if table is None:
        raise ColumnTypeError(
            f"events is a {type(events).__name__}; give a list of dicts, a dict of arrays or a table."
        )
    found: dict[str, Any] = {
        name: _sized(table[name], name) for name in (*REQUIRED, *OPTIONAL) if name in table
    }
    lengths = sorted({len(column) for column in found.values()})
    if len(lengths) > 1:
        raise SchemaError(f"The columns of the events have different lengths: {lengths}.")
    if lengths == [0]:
        return _EMPTY
    _require(set(table))
    return EventTable(frozenset(found), lengths[0], lambda name: _values(found[name], name))


def _frame_columns(frame: Any) -> dict[str, Any]:
    labels = {str(label): label for label in frame.columns}
    if len(labels) < len(frame.columns):
        return named_columns(frame) or {}
    wanted = {*REQUIRED, *OPTIONAL}
    return {name: frame[label] if name in wanted else None for name, label in labels.items()}


def _sized(column: Any, name: str) -> Any:
    if isinstance(column, str | bytes) or not hasattr(column, "__len__"):
        raise ColumnTypeError(
            f"The column {name!r} of the events is a {type(column).__name__}; give a list or an array, "
            "and one event as a list of one dict."
        )
    return column


def _values(column: Any, name: str) -> Values:
    if isinstance(column, list | tuple):
        # Lists stay lists: tags are lists inside. Nobody changes them, so they need not be copied.
        return column if type(column) is list else list(column)
    if name in TIMES:
        unit = getattr(getattr(column, "dtype", None), "unit", None)
        if unit is not None and hasattr(column, "iloc"):
            # pandas would make an object of each time with a zone; asked for an array, it gives UTC.
            return np.asarray(column.to_numpy(f"datetime64[{unit}]"))
    elif name not in _NUMBERS:
        found = _of_arrow(column, lists=name == "tags")
        if found is not None:
            return found
        if name == "tags" and str(getattr(column, "dtype", "")).startswith("List("):
            return list(column.to_list())  # polars would make an array of each list
    array = to_array(column)
    return array if array.ndim == 1 else list(array)


def _of_arrow(column: Any, lists: bool) -> Repeated | Lists | None:
    """Return what Arrow, or pandas by way of Arrow, can encode by itself: text, and lists of text."""
    if getattr(getattr(column, "dtype", None), "storage", None) == "pyarrow":
        # Text of pandas, which lies in memory as Arrow does.
        column = getattr(column, "array", column).__arrow_array__()
    if not hasattr(column, "dictionary_encode"):
        return None
    kind = str(column.type)
    if kind not in _ARROW_TEXT and not (lists and kind in _ARROW_LISTS):
        return None
    array = column.combine_chunks() if hasattr(column, "combine_chunks") else column
    if kind in _ARROW_TEXT:
        return _encoded(array)
    # A null is no list; its length is null too.
    lengths = np.nan_to_num(array.value_lengths().to_numpy(zero_copy_only=False)).astype(np.int64)
    return Lists(lengths, _encoded(array.flatten()))


def _encoded(array: Any) -> Repeated:
    found = array.dictionary_encode(null_encoding="encode")
    return Repeated(found.dictionary.to_pylist(), found.indices.to_numpy())


def _of_dicts(events: list[Any]) -> EventTable:
    if not events:
        return _EMPTY
    plain = set(map(type, events)) == {dict}
    if not plain:
        for i, event in enumerate(events):
            if not isinstance(event, Mapping):
                raise ColumnTypeError(
                    f"Event {i} is a {type(event).__name__}; give a dict such as {{'occurred_at': ..., 'action': ...}}."
                )
    seen = set().union(*events)
    _require(seen)

    def read(name: str) -> Values:
        if plain:
            try:
                return list(map(itemgetter(name), events))
            except KeyError:
                pass
        return [event.get(name) for event in events]

    return EventTable(frozenset(seen.intersection((*REQUIRED, *OPTIONAL))), len(events), read)


def _require(names: set[Any]) -> None:
    missing = [f"{name!r}{closest(name, names)}" for name in REQUIRED if name not in names]
    if missing:
        raise SchemaError(
            f"The events lack {', '.join(missing)}; they have {', '.join(sorted(map(repr, names)))}."
        )


_EMPTY: Final = EventTable(frozenset(), 0, lambda name: [])
