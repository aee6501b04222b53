"""From raw columns to what trees and ridge read: ordered target statistics, and indicators of frequent values.

A target statistic is the log-odds of a value, shrunk to those of all rows. In training a row sees only the statistic of rows
that come before it in a random order of the groups, so that no label reaches its own row, or another row of its group
(ordered target statistics: Prokhorenkova et al., "CatBoost: unbiased boosting with categorical features", 2018).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from leadlight.runtime.encoding import NUMBER, Encoding, Levels, category_words, code_places
from leadlight.runtime.frames import named_columns, to_array

Values = NDArray[np.float64]
Codes = NDArray[np.integer[Any]]

SMOOTHING = 5.0
"""Rows of the base rate that each statistic is mixed with."""

FEW_LEVELS = 4
"""Up to so many values, trees read indicators alone: a statistic would add noise to what they can split by themselves."""

FREQUENT = 0.05
"""Share of the rows from which on a value has an indicator for the trees beside the statistic."""

SEEN_TWICE, SEEN_OFTEN = 2, 5
"""Rows that a value needs for a level of its own, and for an indicator of its own in the ridge."""

MOST_LEVELS, MOST_INDICATORS = 2_000, 100


def learn_levels(X: Any) -> tuple[Levels | None, ...]:
    """Return the values of each column of categories, most frequent first, and None for each column of numbers.

    A column is one of categories if it holds text, or if its library says that it is one. Numbers as text are text; flags are
    numbers. Values seen once are left out: in serving they count as "other", as unseen ones do.

    Raises
    ------
    ColumnTypeError
        A column of categories holds times or nested values.
    """
    return tuple(_levels(column, name) for name, column in _columns(X))


def _columns(X: Any) -> Iterator[tuple[str, Any]]:
    table = named_columns(X)
    if table is not None:
        yield from table.items()
        return
    array = np.asarray(X)
    if array.ndim == 2 and array.dtype.kind in "OUT":
        yield from ((f"f{j}", array[:, j]) for j in range(array.shape[1]))


def _levels(column: Any, name: str) -> Levels | None:
    array = to_array(column)
    if not (_declared(column) or array.dtype.kind in "UST" or _has_text(array)):
        return None
    found = Counter(category_words(array, name))
    often = sorted(
        (-count, word) for word, count in found.items() if word is not None and count >= SEEN_TWICE
    )
    return tuple(word for _, word in often[:MOST_LEVELS])


def _declared(column: Any) -> bool:
    dtype = getattr(column, "dtype", None)
    return dtype is not None and hasattr(dtype, "categories")


def _has_text(array: NDArray[Any]) -> bool:
    return array.dtype.kind == "O" and any(isinstance(value, str | bytes) for value in array.ravel())


@dataclass(frozen=True)
class _Part:
    """One encoded column."""

    source: int
    kind: Literal["number", "indicator", "statistic"]
    place: int = 0
    trees: bool = True
    linear: bool = True


class Encoder:
    """Columns that trees and ridge read, fixed on all training rows; statistics are learned on the rows of each fit.

    Parameters
    ----------
    levels : tuple, one entry for each raw column
    raw : float64 array of shape (n, columns)
        Numbers and codes.

    Attributes
    ----------
    tree_columns, linear_columns : int arrays
        Positions among the encoded columns.
    indicator : bool array of shape (encoded columns,)
        Which hold 0 or 1 for one value of a category.
    statistics : int array
        Positions of the target statistics among the tree columns.
    has_statistics : bool
        Whether there are any.
    """

    def __init__(self, levels: tuple[Levels | None, ...], raw: Values) -> None:
        self.levels = levels
        self._parts = [part for j in range(len(levels)) for part in self._planned(j, raw)]
        if not self._parts:
            # Every column holds one value; the model still needs one to read.
            self._parts = [_Part(0, "indicator" if levels[0] is not None else "number")]
        self.source = np.array([part.source for part in self._parts], dtype=np.int64)
        self.tree_columns = np.flatnonzero([part.trees for part in self._parts])
        self.linear_columns = np.flatnonzero([part.linear for part in self._parts])
        self.indicator = np.array([part.kind == "indicator" for part in self._parts])
        kinds = np.array([part.kind for part in self._parts])
        self.statistics = np.flatnonzero(kinds[self.tree_columns] == "statistic")
        self.has_statistics = len(self.statistics) > 0

    def _planned(self, column: int, raw: Values) -> Iterator[_Part]:
        levels = self.levels[column]
        if levels is None:
            yield _Part(column, "number")
            return
        counts = np.bincount(self.places(raw, column), minlength=len(levels) + 2)
        places = np.argsort(-counts, kind="stable")
        places = places[counts[places] > 0]
        if len(places) < 2:
            return
        few = len(places) <= FEW_LEVELS
        if not few:
            yield _Part(column, "statistic", linear=False)
        for rank, place in enumerate(places[:MOST_INDICATORS].tolist()):
            linear = bool(counts[place] >= SEEN_OFTEN)
            trees = rank > 0 if few else linear and bool(counts[place] >= FREQUENT * len(raw))
            if trees or linear:
                yield _Part(column, "indicator", place, trees, linear)

    def places(self, raw: Values, column: int) -> Codes:
        """Return the place of each row in the tables of a raw column of categories; see `code_places`."""
        levels = len(self.levels[column] or ())
        # NumPy sorts integers of one or two bytes by counting.
        return code_places(raw[:, column], levels).astype(np.min_scalar_type(levels + 1))

    def encoding(self, raw: Values, y: Values, weight: Values) -> Encoding:
        """Return the encoding that serves, with the statistics of all these rows."""
        start, tables, at = [], [], 0
        for part in self._parts:
            levels = self.levels[part.source]
            if levels is None:
                start.append(NUMBER)
                continue
            size = len(levels) + 2
            if part.kind == "indicator":
                table = (np.arange(size) == part.place).astype(np.float64)
            else:
                table = _statistics(self.places(raw, part.source), y, weight, size)
            start.append(at)
            tables.append(table)
            at += size
        values = np.concatenate(tables) if tables else np.zeros(0)
        return Encoding(self.levels, self.source, np.array(start, dtype=np.int64), values)


class TrainingRows:
    """Training rows as the trees of each bag read them: as they are served, but with ordered statistics.

    Parameters
    ----------
    encoder : Encoder
    raw : float64 array of shape (n, columns)
    served : float64 array of shape (n, tree columns)
        The same rows, encoded as in serving.
    y, weight : float64 arrays of shape (n,)
    groups : array of shape (n,)
        Rows of one group see none of each other's labels.
    """

    def __init__(
        self, encoder: Encoder, raw: Values, served: Values, y: Values, weight: Values, groups: NDArray[Any]
    ) -> None:
        self._y, self._weight = y, weight
        self._group = np.unique(groups, return_inverse=True)[1]
        self._served = served
        self._statistics = encoder.statistics
        source = encoder.source[encoder.tree_columns[encoder.statistics]]
        self._codes = [encoder.places(raw, column) for column in source.tolist()]

    def rows(self, seed: int) -> Values:
        """Return the tree columns, shape (n, tree columns), C order; `seed` draws the order of the groups."""
        rows = self._served.copy()
        count = int(self._group.max()) + 1
        # As small integers, as the codes: the sort by place is most of the work.
        place = np.random.default_rng(seed).permutation(count).astype(np.min_scalar_type(count))
        order = place[self._group]
        found = ordered_statistics(self._codes, self._y, self._weight, order)
        for column, statistic in zip(self._statistics, found, strict=True):
            rows[:, column] = statistic
        return rows


def _statistics(codes: Codes, y: Values, weight: Values, size: int) -> Values:
    """Return the log-odds of each code against those of all rows, shrunk; 0 for a code without rows."""
    base = float(np.average(y, weights=weight))
    rows = np.bincount(codes, weight, size)
    won = np.bincount(codes, weight * y, size)
    return _log_odds((won + SMOOTHING * base) / (rows + SMOOTHING)) - _log_odds(np.array([base]))


def ordered_statistics(columns: Sequence[Codes], y: Values, weight: Values, order: Codes) -> Iterator[Values]:
    """Return for each row the statistic of its code among the rows of groups that come before its own.

    Parameters
    ----------
    columns : sequence of int arrays of shape (n,)
        Codes.
    y, weight : float64 arrays of shape (n,)
    order : int64 array of shape (n,)
        Place of the row's group.

    Yields
    ------
    float64 array of shape (n,)
        Of each column: log-odds against those of all rows; 0 where no row comes before. The base rate is that of all rows:
        one without the own row would be lower for each positive one and so tell the label.
    """
    base = float(np.average(y, weights=weight))
    start = float(_log_odds(np.array([base]))[0])
    # Sorted by place once; each column then needs no more than a stable sort by code.
    by_place = np.argsort(order, kind="stable")
    place, won, number = order[by_place], (weight * y)[by_place], np.arange(len(y))
    weight = weight[by_place]
    first, block = np.ones((2, len(y)), bool)
    rows_so_far, won_so_far = np.zeros((2, len(y) + 1))
    for codes in columns:
        code = codes[by_place]
        by_code = np.argsort(code, kind="stable")
        code, at = code[by_code], place[by_code]
        first[1:] = code[1:] != code[:-1]
        block[1:] = first[1:] | (at[1:] != at[:-1])
        starts = np.maximum.accumulate(np.where(first, number, 0))
        blocks = np.maximum.accumulate(np.where(block, number, 0))
        np.cumsum(weight[by_code], out=rows_so_far[1:])
        np.cumsum(won[by_code], out=won_so_far[1:])
        # A difference of sums may fall below zero by rounding.
        rows_before = np.maximum(rows_so_far[blocks] - rows_so_far[starts], 0.0)
        won_before = np.clip(won_so_far[blocks] - won_so_far[starts], 0.0, rows_before)
        found = np.empty(len(codes))
        found[by_place[by_code]] = _log_odds((won_before + SMOOTHING * base) / (rows_before + SMOOTHING))
        yield found - start


def _log_odds(p: Values) -> Values:
    return np.asarray(np.log(p) - np.log1p(-p))
