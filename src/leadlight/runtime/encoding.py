"""Columns of text as numbers: what the encoder learned, applied by looking it up.

A raw row is one float64 number a column. A column of categories stands there as codes: the position of its value in the
learned levels, their number for every other value, NaN where it is missing. Trees and linear half read *encoded* columns:
a raw column of numbers as it is, or what a table says of each code.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import repeat
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from leadlight.errors import BundleError, ColumnTypeError
from leadlight.runtime.frames import is_null

Floats = NDArray[np.float64]
Levels = tuple[str, ...]

NUMBER: Final = -1
"""`Encoding.start` of an encoded column that passes on a raw column of numbers."""

_LARGEST: Final = 1e30


@dataclass(frozen=True, eq=False)
class Encoding:
    """How raw columns become encoded ones.

    Attributes
    ----------
    levels : tuple, one entry for each raw column
        The values that were frequent enough in training to be told apart, None for a column of numbers.
    source : int64 array of shape (encoded columns,)
        Raw column that each encoded column comes from.
    start : int64 array of shape (encoded columns,)
        Where its table begins in `values`, -1 for a number that is passed on. A table holds one value for each level, one
        for all other values and one for a missing value.
    values : float64 array
    """

    levels: tuple[Levels | None, ...]
    source: NDArray[np.int64]
    start: NDArray[np.int64]
    values: Floats

    @property
    def width(self) -> int:
        """Number of encoded columns."""
        return len(self.source)

    def encode(self, X: Floats, columns: NDArray[np.int64] | None = None) -> Floats:
        """Return the encoded columns of raw rows, or some of them by position, shape (n, width), C order.

        A code that is none, such as 0.5, counts as another value.
        """
        source, begin = self.source, self.start
        if columns is not None:
            source, begin = source[columns], begin[columns]
        out = np.empty((len(X), len(source)))
        places: dict[int, NDArray[np.int64]] = {}
        for j, (column, start) in enumerate(zip(source.tolist(), begin.tolist(), strict=True)):
            if start == NUMBER:
                out[:, j] = X[:, column]
                continue
            if column not in places:
                places[column] = code_places(X[:, column], len(self.levels[column] or ()))
            out[:, j] = self.values[start + places[column]]
        return out

    def gather(self, contributions: Floats) -> Floats:
        """Return contributions by raw column from those by encoded column: each is the sum of its own, in order."""
        out = np.zeros((len(contributions), len(self.levels)))
        for j, column in enumerate(self.source.tolist()):
            out[:, column] += contributions[:, j]
        return out

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays, for storage beside `levels`."""
        return {name: getattr(self, name) for name in ARRAYS}

    def validate(self, width: int) -> None:
        """Check that every row of `width` raw columns can be encoded, and finitely.

        Raises
        ------
        BundleError
            A part has another shape or type, or a table is out of bounds.
        """
        _require(
            isinstance(self.levels, tuple) and len(self.levels) == width, "it does not name every column"
        )
        for levels in self.levels:
            if levels is not None:
                _require(
                    isinstance(levels, tuple) and all(isinstance(v, str) for v in levels),
                    "a level is not text",
                )
                _require(len(set(levels)) == len(levels), "a level is there twice")
        for name, kind in (("source", np.int64), ("start", np.int64), ("values", np.float64)):
            array = getattr(self, name)
            sound = isinstance(array, np.ndarray) and array.dtype == kind and array.ndim == 1
            _require(sound, f"{name} is no list of numbers")
        _require(len(self.source) == len(self.start) > 0, "it has no encoded columns, or not of one number")
        _require(bool((np.abs(self.values) <= _LARGEST).all()), "a value is not finite or too large")
        for column, start in zip(self.source.tolist(), self.start.tolist(), strict=True):
            _require(0 <= column < width, "it reads a column that is not there")
            levels = self.levels[column]
            if levels is None:
                _require(start == NUMBER, "it looks a number up")
            else:
                _require(0 <= start <= len(self.values) - len(levels) - 2, "a table is out of bounds")


ARRAYS: Final = tuple(field.name for field in fields(Encoding) if field.name != "levels")


def code_places(codes: Floats, levels: int) -> NDArray[np.int64]:
    """Return the place of each code in a table: its level, then one for all other values, then one for missing."""
    # Compared before the cast: a number beyond int64 has no integer.
    level = (codes >= 0) & (codes < levels) & (codes == np.floor(codes))
    places = np.full(len(codes), levels, dtype=np.int64)
    places[level] = codes[level].astype(np.int64)
    places[np.isnan(codes)] = levels + 1
    return places


def category_codes(array: NDArray[Any], name: str, levels: Sequence[str]) -> tuple[Floats, int]:
    """Return one raw column of categories as codes, and how many values are of no level.

    Parameters
    ----------
    array : array of shape (n,)
        Text, flags or numbers; None, NaN and NA are missing.
    name : str
        For the error.
    levels : sequence of str

    Raises
    ------
    ColumnTypeError
        The column holds times or nested values.
    """
    other = len(levels)
    place: dict[str | None, float] = {level: code for code, level in enumerate(levels)} | {None: np.nan}
    words = category_words(array, name)
    codes = np.fromiter(map(place.get, words, repeat(other)), np.float64, len(words))
    return codes, int(np.count_nonzero(codes == other))


def category_words(array: NDArray[Any], name: str) -> list[str | None]:
    """Return the values of a column as text, None where they are missing; 1, 1.0 and "1" are one value.

    Raises
    ------
    ColumnTypeError
        As in `category_codes`.
    """
    if array.ndim > 1:
        raise ColumnTypeError(
            f"Column {name!r} holds nested values (shape {array.shape}); a feature is one a row."
        )
    if array.dtype.kind in "Mm":
        raise _no_category(name, f"times ({array.dtype})")
    checked: set[type] = set()
    values = np.atleast_1d(array).tolist()
    return [value if type(value) is str else _word(value, name, checked) for value in values]


def _word(value: Any, name: str, checked: set[type]) -> str | None:
    if is_null(value):
        return None
    if type(value) not in checked:
        _check_kind(value, name)
        checked.add(type(value))
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _check_kind(value: Any, name: str) -> None:
    if isinstance(value, str | bytes | bool | int | float | np.generic):
        return
    if hasattr(value, "isoformat") or hasattr(value, "total_seconds"):
        raise _no_category(name, "times")
    if hasattr(value, "__len__") or not hasattr(value, "__float__"):
        raise _no_category(name, f"a {type(value).__name__}")


def _no_category(name: str, what: str) -> ColumnTypeError:
    return ColumnTypeError(
        f"Column {name!r} holds {what}; a feature is a number or a category. Turn times into numbers, such as days before "
        "the cutoff, and spread nested values over columns of their own."
    )


def encoding_from(levels: Sequence[Sequence[str] | None], arrays: Mapping[str, NDArray[Any]]) -> Encoding:
    """Rebuild an encoding from what a bundle holds; `validate` says whether it is sound."""
    return Encoding(levels=tuple(None if v is None else tuple(v) for v in levels), **dict(arrays))


def _require(sound: bool, problem: str) -> None:
    if not sound:
        raise BundleError(
            f"The encoding of the model is not valid: {problem}. It is damaged; train it again."
        )
