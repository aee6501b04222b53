"""Columns of values -> canonical arrays: a whole column at once where its values are plain, one by one where they are not.

`leadlight.runtime.facts` says what each single value means; nothing here may say anything else. A column takes the short
path only where all its values have exactly the types that it was written for, so that odd values, and errors, come from
there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from itertools import chain, repeat
from operator import attrgetter
from types import NoneType
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from leadlight.kernels.native import native_kernels
from leadlight.moments import DAY_US, EPOCH
from leadlight.runtime.event_table import Lists, Repeated, Values, spread
from leadlight.runtime.facts import as_domain, as_id, as_number, as_tags, as_text, as_time_us, names_a_day

Codes = NDArray[np.int64]
T = TypeVar("T")

_TEXT: Final = frozenset({str, NoneType})
# Types that may share a table of conversions: among them, equal values mean the same. 1 and True do not.
_ALIKE: Final = (
    frozenset({str, np.str_, NoneType, int}),
    frozenset({str, np.str_, NoneType, float, np.float64}),
)
_NUMBERS: Final = frozenset({float, np.float64, int, NoneType})
_LISTS: Final = frozenset({list, tuple, NoneType})
_NAIVE_EPOCH: Final = EPOCH.replace(tzinfo=None)
_EPOCH_DAY: Final = EPOCH.toordinal()
_EDGE: Final = timedelta(days=2)
_FIRST: Final = datetime.min.replace(tzinfo=UTC) - EPOCH + _EDGE
_LAST: Final = datetime.max.replace(tzinfo=UTC) - EPOCH - _EDGE
_DAYS, _SECONDS, _MICROSECONDS = map(attrgetter, ("days", "seconds", "microseconds"))


def times_us(values: Values, name: str, missing: int | None = None) -> Codes:
    """Return UTC microseconds, as `as_time_us` reads them; null is `missing`.

    Raises
    ------
    InputError
        A value is no time, or null without a `missing`; the message names the event by its position.
    """
    each = spread(values)
    found = _times_of_array(each, missing) if isinstance(each, np.ndarray) else _times(each, missing)
    if found is None:
        found = np.array(
            [as_time_us(v, f"{name} of event {i}", missing) for i, v in enumerate(each)], np.int64
        )
    return found


def ids(values: Values, name: str) -> list[str | None] | Repeated:
    """Return identifiers as text, as `as_id` reads them."""
    if isinstance(values, Repeated):
        return Repeated([as_id(entry, name) for entry in values.entries], values.at)
    plain, kinds = _plain(spread(values))
    if kinds <= _TEXT and "" not in plain:
        return plain
    return _each(plain, kinds, lambda value: as_id(value, name))


def codes(values: Values, name: str, code: Mapping[str | None, int]) -> NDArray[np.int32]:
    """Return the code of each text, as `as_text` reads it; -1 for null and for what has no code."""
    if isinstance(values, Repeated):
        return codes(values.entries, name, code)[values.at]
    each = spread(values)
    found = _text_codes(each, code)
    if found is not None:
        return found
    plain, kinds = _plain(each)
    if not kinds <= _TEXT:
        plain = _each(plain, kinds, lambda value: as_text(value, name))
    return np.fromiter(map(code.get, plain, repeat(-1)), np.int32, len(plain))


def _text_codes(values: Any, code: Mapping[str | None, int]) -> NDArray[np.int32] | None:
    """Return the codes of a list that holds text and None alone, as the extension finds them; else None."""
    native = native_kernels()
    if native is None or type(values) is not list or type(code) is not dict or None in code:
        return None
    out = np.empty(len(values), np.int32)
    return out if native.text_codes(values, code, out) else None


def filled(values: Values, name: str) -> NDArray[np.bool_]:
    """Return where there is a text, as `as_text` reads it."""
    if isinstance(values, Repeated):
        return filled(values.entries, name)[values.at]
    plain, kinds = _plain(spread(values))
    if not kinds <= _TEXT:
        plain = _each(plain, kinds, lambda value: as_text(value, name))
    return np.fromiter(map(bool, plain), np.bool_, len(plain))


def numbers(values: Values, name: str) -> NDArray[np.float64]:
    """Return finite numbers, as `as_number` reads them; NaN for null.

    Raises
    ------
    InputError
        A value is no number, or infinite.
    """
    singles = spread(values)
    if isinstance(singles, np.ndarray) and singles.dtype.kind == "O":
        singles = singles.tolist()
    found = None
    if isinstance(singles, np.ndarray):
        found = singles.astype(np.float64) if singles.dtype.kind in "iuf" else None
    elif set(map(type, singles)) <= _NUMBERS:
        try:
            found = np.array(singles, np.float64)
        except OverflowError:
            found = None
    if found is None or np.isinf(found).any():
        found = np.array([as_number(value, name) for value in singles], np.float64)
    return found


def tag_codes(values: Values, code: Mapping[str | None, int]) -> tuple[Codes, NDArray[np.int32]]:
    """Return offsets of rows, shape (rows + 1,), and the codes of their tags, each at most once in a row.

    Tags are read as `as_tags` reads them; those without a code are left out.
    """
    if isinstance(values, Lists):
        lengths = values.lengths
        entries = [code.get(entry, -1) for entry in values.flat.entries]
        found = np.array(entries, np.int64)[values.flat.at]
    else:
        singles = spread(values)
        coded = _list_codes(singles, code)
        if coded is not None:
            return coded
        lists, tags = _lists(singles)
        lengths = np.fromiter(map(len, lists), np.int64, len(lists))
        found = np.fromiter(map(code.get, tags, repeat(-1)), np.int64, len(tags))
    width = len(code) + 1
    begins = np.arange(len(lengths) + 1) * width
    held = (np.repeat(begins[:-1], lengths) + found)[found >= 0]
    held.sort()
    if len(held):
        held = held[np.append(True, held[1:] != held[:-1])]
    return np.searchsorted(held, begins), (held % width).astype(np.int32)


def _list_codes(values: Any, code: Mapping[str | None, int]) -> tuple[Codes, NDArray[np.int32]] | None:
    """Return `tag_codes` of a list that holds lists of text and None alone, as the extension finds them; else None."""
    native = native_kernels()
    if native is None or type(values) is not list or type(code) is not dict or None in code:
        return None
    offsets = np.empty(len(values) + 1, np.int64)
    try:
        out = np.empty(sum(map(len, filter(None, values))), np.int32)
    except (TypeError, ValueError):  # a number has no length, and an array neither truth nor falsehood
        return None
    size = native.list_codes(values, code, offsets, out)
    return None if size is None else (offsets, out[:size])


def _lists(values: list[Any] | NDArray[Any]) -> tuple[list[Any], list[Any]]:
    """Return lists of tags, and their entries one after the other; None among them is no tag."""
    lists = values if isinstance(values, list) else values.tolist()
    kinds = set(map(type, lists))
    if kinds <= _LISTS:
        if NoneType in kinds:
            lists = [entries or () for entries in lists]
        tags = list(chain.from_iterable(lists))
        if set(map(type, tags)) <= _TEXT:
            return lists, tags
    lists = _each(list(values), kinds, as_tags)
    return lists, list(chain.from_iterable(lists))


def in_domain(values: Values, name: str, own: str) -> NDArray[np.bool_]:
    """Return where a domain, as `as_domain` reads it, is `own`."""

    def is_own(value: Any) -> bool:
        # Of plain ASCII text as_domain keeps a part, so what does not hold the domain need not be read.
        if type(value) is str and value.isascii() and own not in value.lower():
            return False
        return as_domain(value, name) == own

    if isinstance(values, Repeated):
        return np.array([is_own(entry) for entry in values.entries], np.bool_)[values.at]
    plain, kinds = _plain(spread(values))
    return np.fromiter(_each(plain, kinds, is_own), np.bool_, len(plain))


def _plain(values: list[Any] | NDArray[Any]) -> tuple[list[Any], set[type]]:
    """Return a list and the types in it."""
    if isinstance(values, np.ndarray):
        kind = values.dtype.kind
        if kind == "U":
            return values.tolist(), {str}
        # Other items may print differently as Python's own.
        values = values.tolist() if kind in "Oiu" or values.dtype == np.float64 else list(values)
    return values, set(map(type, values))


def _each(values: list[Any], kinds: set[type], convert: Callable[[Any], T]) -> list[T]:
    """Convert values; equal ones once, where equal means the same."""
    if any(kinds <= alike for alike in _ALIKE):
        # In the order of the rows, so that of two errors it is always the first that is raised.
        table = {value: convert(value) for value in dict.fromkeys(values)}
        return list(map(table.__getitem__, values))
    return [convert(value) for value in values]


def _times_of_array(values: NDArray[Any], missing: int | None) -> Codes | None:
    if values.dtype.kind == "i":
        return values.astype(np.int64)
    if values.dtype.kind != "M":
        return _times(values.tolist() if values.dtype.kind in "OU" else list(values), missing)
    unit = np.datetime_data(values.dtype)[0]
    if unit == "generic":
        return None
    null = np.isnat(values)
    if null.any() and missing is None:
        return None
    us = values.astype("datetime64[us]").astype(np.int64)
    if unit in "YMWD":
        us += DAY_US - 1
    if missing is not None:
        us[null] = missing
    return us


def _times(values: list[Any], missing: int | None) -> Codes | None:
    kinds = set(map(type, values))
    if NoneType in kinds and missing is not None:
        there = np.array([value is not None for value in values], np.bool_)
        known = _times([value for value in values if value is not None], None)
        if known is None:
            return None
        us = np.full(len(values), missing, np.int64)
        us[there] = known
        return us
    if not kinds:
        return np.empty(0, np.int64)
    if len(kinds) > 1:
        return None
    kind = kinds.pop()
    if kind is datetime:
        return _of_datetimes(values)
    if kind is str:
        return _of_texts(values)
    if kind is date:
        days = np.fromiter(map(date.toordinal, values), np.int64, len(values))
        return (days - _EPOCH_DAY) * DAY_US + (DAY_US - 1)
    if kind is int:
        try:
            return np.array(values, np.int64)
        except OverflowError:
            return None
    if kind is np.datetime64:
        return _times_of_array(np.array(values), missing) if len({v.dtype for v in values}) == 1 else None
    if issubclass(kind, datetime) and hasattr(kind, "to_datetime64"):  # pandas
        # pandas' missing time is one of these types, too.
        return _times_of_array(np.array([v.to_datetime64() for v in values], "datetime64[us]"), missing)
    return None


def _of_datetimes(values: list[datetime]) -> Codes | None:
    try:
        since = [value - EPOCH for value in values]
    except TypeError:
        if set(map(attrgetter("tzinfo"), values)) != {None}:
            return None
        since = [value - _NAIVE_EPOCH for value in values]
    # An offset may carry the first and last day out of the calendar, which single values report.
    if min(since) < _FIRST or max(since) > _LAST:
        return None
    n = len(since)
    days = np.fromiter(map(_DAYS, since), np.int64, n)
    seconds = np.fromiter(map(_SECONDS, since), np.int64, n)
    return days * DAY_US + seconds * 1_000_000 + np.fromiter(map(_MICROSECONDS, since), np.int64, n)


def _of_texts(values: list[str]) -> Codes | None:
    texts = list(map(str.strip, values))
    if "W" in "".join(texts):
        return None
    try:
        us = _of_datetimes(list(map(datetime.fromisoformat, texts)))
    except ValueError:
        return None
    if us is not None and min(map(len, texts)) <= len("2016-03-01"):
        us += np.fromiter(map(names_a_day, texts), np.int64, len(texts)) * (DAY_US - 1)
    return us
