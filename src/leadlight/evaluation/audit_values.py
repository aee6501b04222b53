"""Values that settle the outcome: a category, a placeholder, or that a column is filled in at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import bdtr, betaincinv

PLACEHOLDERS: Final = frozenset(
    ("", "-", "?", ".", "select", "unknown", "none", "null", "nan", "n/a", "na", "nonexistent", "not set")
)
"""Words that forms and exports write where nothing was filled in."""

MOSTLY: Final = 0.9
"""A class of more than this share cannot be given away: most honest values point to it."""

CONFIDENCE: Final = 0.99
WRITTEN: Final = (0.05, 10.0)
"""Something written settles the outcome if exceptions are below this share, and so many times rarer than in the table."""

RARE: Final = (0.2, 100.0)
"""So does something written if the odds against it are a hundred times worse: 30 rows of 30 where one in 100 is usual."""

EMPTY: Final = (0.01, 20.0)
"""Nothing there (missing, placeholder, zero, the lowest number) must be stricter: who does nothing seldom buys, honestly."""

NEARLY: Final = (0.05, 5.0)
"""What is seen, without a bound, and beyond chance: a suspect."""

FEWEST_ROWS: Final = 20
BANDS: Final = 20
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Counted:
    """How often each state of a column occurs, in independent units (groups, else rows), and with which class.

    Attributes
    ----------
    names : list of str
    kinds : list of {"written", "empty", "band"}
    total, positive, negative : int64 array of shape (states,)
        Units in the state, and those among them with a row of the class.
    """

    names: list[str]
    kinds: list[str]
    total: Ints
    positive: Ints
    negative: Ints


@dataclass(frozen=True)
class States:
    """The values of a column as codes.

    Attributes
    ----------
    keys : int64 array of shape (n,)
        Code of the row's value.
    values : list
        The value of each code.
    missing : int
        Code of all that is missing or a placeholder; beyond the codes where nothing is.
    bands : int64 array of shape (n,) or None
        Twentieths of a column of numbers, the last code for missing.
    empty : frozenset of int
        Codes that mean "nothing there".
    """

    keys: Ints
    values: list[Any]
    missing: int
    bands: Ints | None
    empty: frozenset[int]

    def count(self, y: NDArray[np.float64], groups: Ints | None) -> Counted:
        """Count every value, the filled-in rows, the rows beside a value that most share, and the bands."""
        size = len(self.values) + 1
        often = np.bincount(self.keys, minlength=size)
        parts: list[tuple[Ints, dict[int, str], str]] = [
            (self.keys, {int(k): self._name(int(k)) for k in np.flatnonzero(often >= FEWEST_ROWS)}, "")
        ]
        if often[self.missing] >= 1:
            filled = (self.keys != self.missing).astype(np.int64)
            parts.append((filled, {1: "being filled in"}, "written"))
        common = int(np.argmax(often))
        if common != self.missing and often[common] >= len(y) / 2:
            other = ((self.keys != common) & (self.keys != self.missing)).astype(np.int64)
            parts.append((other, {1: f"anything but {self._name(common)}"}, "written"))
        if self.bands is not None and len(self.values) > BANDS:
            parts.append((self.bands, {k: f"twentieth {k + 1} of {BANDS}" for k in range(BANDS)}, "band"))
        names: list[str] = []
        kinds: list[str] = []
        counts: list[NDArray[np.int64]] = []
        for keys, wanted, kind in parts:
            units = np.stack([_units(keys, rows, groups) for rows in (y >= 0, y > 0, y <= 0)])
            for k, name in wanted.items():
                if k < units.shape[1] and units[0, k] >= FEWEST_ROWS:
                    names.append(name)
                    kinds.append(kind or ("empty" if k in self.empty else "written"))
                    counts.append(units[:, k])
        total, positive, negative = np.array(counts, np.int64).reshape(-1, 3).T
        return Counted(names, kinds, total, positive, negative)

    @property
    def ordinal(self) -> Ints:
        """Twentieths of a column of numbers, values of any other."""
        return self.keys if self.bands is None else self.bands

    def _name(self, key: int) -> str:
        return "being empty" if key == self.missing else repr(str(self.values[key]))


def numeric(column: pd.Series[Any]) -> bool:
    """Whether a column holds numbers; truth values are categories."""
    return bool(pd.api.types.is_numeric_dtype(column)) and not pd.api.types.is_bool_dtype(column)


def value_states(column: pd.Series[Any]) -> States:
    """Return the values of a column as codes; text is compared without regard to case and outer spaces for placeholders."""
    if numeric(column):
        numbers = column.to_numpy(float, na_value=np.nan)
        codes, values = pd.factorize(numbers, use_na_sentinel=True)
        found = list(values)
        lowest = {int(np.argmin(values))} if len(values) else set()
        empty = lowest | {int(k) for k in np.flatnonzero(np.asarray(values) == 0)}
        ranks = pd.Series(numbers).rank(method="average", pct=True).to_numpy(float)
        # The last code is for missing; the highest rank belongs to the last band.
        bands = np.where(
            np.isnan(ranks), BANDS, np.minimum(np.floor(np.nan_to_num(ranks) * BANDS), BANDS - 1)
        )
        missing = len(found)
        keys = np.where(codes < 0, missing, codes).astype(np.int64)
        return States(keys, found, missing, bands.astype(np.int64), frozenset(empty | {missing}))
    texts = column.astype(object).where(column.notna().to_numpy(), None).map(str, na_action="ignore")
    codes, values = pd.factorize(texts, use_na_sentinel=True)
    found = list(values)
    missing = len(found)
    blank = np.array([v.strip().lower() in PLACEHOLDERS for v in found] + [True], bool)
    keys = np.where(blank[codes], missing, codes).astype(np.int64)
    falsy = {k for k, v in enumerate(found) if v.strip().lower() in ("false", "no", "0")}
    return States(keys, found, missing, None, frozenset(falsy | {missing}))


def settled(counted: Counted, base: float) -> str:
    """Return the states that settle the outcome, "" for none.

    The Clopper-Pearson bound at .99 of the share of exceptions lies below `WRITTEN` or `RARE` (below `EMPTY` for
    nothing there), for a class of at most `MOSTLY` of the rows. A band of numbers settles nothing: an honest strong number has such bands.
    """
    written = np.array([kind == "written" for kind in counted.kinds], bool)
    possible = np.array([kind != "band" for kind in counted.kinds], bool)
    found: list[str] = []
    for word, exceptions, usual in _sides(counted, base):
        # The bound of n exceptions in n is 1.
        highest = betaincinv(exceptions + 1.0, np.maximum(counted.total - exceptions, 1e-9), CONFIDENCE)
        rare = min(RARE[0], _with_odds(usual, RARE[1]))
        limit = np.where(written, max(_limit(WRITTEN, usual), rare), _limit(EMPTY, usual))
        hit = possible & (highest < limit)
        found += _said(counted, hit, exceptions, word)
    return ", ".join(found[:3]) + (f" and {len(found) - 3} more" if len(found) > 3 else "")


def nearly_settled(counted: Counted, base: float, chance: float) -> str:
    """Return the states that nearly settle the outcome and are beyond chance, "" for none."""
    found: list[str] = []
    for word, exceptions, usual in _sides(counted, base):
        luck = bdtr(exceptions.astype(float), counted.total, usual) * max(2 * len(counted.total), 1)
        seen = exceptions / np.maximum(counted.total, 1)
        hit = (seen <= _limit(NEARLY, usual)) & (luck < chance)
        found += _said(counted, hit, exceptions, word)
    return ", ".join(found[:3]) + (f" and {len(found) - 3} more" if len(found) > 3 else "")


def _limit(rule: tuple[float, float], usual: float) -> float:
    return min(rule[0], usual / rule[1])


def _with_odds(usual: float, factor: float) -> float:
    """Share of exceptions whose odds are `factor` times worse than the usual ones."""
    return usual / (usual + factor * (1 - usual))


def _sides(counted: Counted, base: float) -> list[tuple[str, Ints, float]]:
    sides = [("positive", counted.negative, 1 - base), ("negative", counted.positive, base)]
    return [side for side in sides if 1 - side[2] <= MOSTLY]


def _said(counted: Counted, hit: NDArray[np.bool_], exceptions: Ints, word: str) -> list[str]:
    order = [int(k) for k in np.argsort(-counted.total, kind="stable") if hit[k]]
    return [
        f"{counted.names[k]} is {word} in {counted.total[k] - exceptions[k]} of {counted.total[k]}"
        for k in order
    ]


def _units(keys: Ints, rows: NDArray[np.bool_], groups: Ints | None) -> Ints:
    size = int(keys.max()) + 1 if len(keys) else 1
    if groups is None:
        return np.bincount(keys[rows], minlength=size)
    # One for each group that has such a row.
    pairs = pd.unique(keys[rows] * (int(groups.max()) + 1) + groups[rows])
    return np.bincount(pairs // (int(groups.max()) + 1), minlength=size)
