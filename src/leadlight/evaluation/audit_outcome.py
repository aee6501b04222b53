"""What the outcome tells the audit: one column at a time, out of fold, and against chance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtr

from leadlight.errors import InputError
from leadlight.evaluation.audit_values import States, nearly_settled, numeric, settled, value_states
from leadlight.evaluation.metrics import Ranking

ALONE: Final = 0.95
"""One column that alone ranks this well out of fold is no behaviour; it is the answer."""

STRONG: Final = 0.85
"""One column that alone ranks this well is worth a look at when it is filled in."""

MISSING: Final = 0.8
"""Being filled in or not should not tell the outcome this well."""

FEWEST: Final = 5
"""With fewer rows of either class some honest column of many always ranks them all."""

CHANCE: Final = 0.01
"""Chance of any alarm at all in a table that knows nothing, divided among the columns."""

LUCK: Final = 0.05
"""How far below its threshold the bound (.99) of an AUC may lie: luck alone lifts an honest .88 to .95 with 25 deals."""

BOUND: Final = 2.326
FOLDS: Final = 5
SHRINK: Final = 10.0


@dataclass(frozen=True)
class Finding:
    """One rule's word on one column.

    Attributes
    ----------
    rule : str
        "auc", "missing", "value", "late", "snapshot", "undated", "strong", "nearly" or "name".
    text : str
        The evidence, with its figures.
    fails : bool
        Whether it fails the run, or only makes a suspect.
    """

    rule: str
    text: str
    fails: bool


class Outcome:
    """The labels of a table, its folds, and what may happen by chance.

    Parameters
    ----------
    y : float64 array of shape (n,)
    groups : array of shape (n,) or None
        Rows of a group stay together in the folds and count once.
    columns : int
        Number of columns that are looked at, for the multiplicity.
    seed : int
    """

    def __init__(self, y: NDArray[np.float64], groups: NDArray[Any] | None, columns: int, seed: int) -> None:
        self.y = y
        self.codes = None if groups is None else pd.factorize(pd.Series(groups).astype(str))[0]
        self.chance = CHANCE / max(columns, 1)
        positive, negative = self._independent(y > 0), self._independent(y <= 0)
        self.sizes = positive, negative
        self.enough = min(positive, negative) >= FEWEST
        # Standard error of an AUC under no relation (Mann and Whitney).
        self.error = np.sqrt((positive + negative + 1) / (12 * max(positive, 1) * max(negative, 1)))
        self.folds = self._split(seed) if self.enough else []

    def findings(self, column: pd.Series[Any]) -> list[Finding]:
        """Return what one column shows about the outcome; nothing where there are too few of either class."""
        if not self.enough:
            return []
        found = []
        states = value_states(column)
        missing = states.keys == states.missing
        if 0 < missing.sum() < len(missing):
            auc = self._two_sided(missing.astype(float))
            if self._proves(auc, MISSING):
                found.append(
                    Finding("missing", f"being filled in alone reaches an AUC of {auc:.3f}", fails=True)
                )
        auc = self._auc(column, states)
        if self._proves(auc, ALONE):
            found.append(Finding("auc", f"alone it reaches an AUC of {auc:.3f}", fails=True))
        elif auc > STRONG and self._real(auc):
            text = f"alone it reaches an AUC of {auc:.3f}; look at when it is filled in"
            found.append(Finding("strong", text, fails=False))
        counted = states.count(self.y, self.codes)
        base = float(self.y.mean())
        text = settled(counted, base)
        if text:
            found.append(Finding("value", text, fails=True))
        else:
            text = nearly_settled(counted, base, self.chance)
            if text:
                found.append(Finding("nearly", text, fails=False))
        return found

    def together(self, columns: list[pd.Series[Any]]) -> float | None:
        """AUC of the sum of the columns' out-of-fold log-odds; None below two columns or without folds."""
        if len(columns) < 2 or not self.enough:
            return None
        total = np.zeros(len(self.y))
        for column in columns:
            share = np.clip(self._encoded(value_states(column).ordinal), 1e-6, 1 - 1e-6)
            total += np.log(share / (1 - share))
        return float(Ranking(total, self.y).auc(np.ones(len(self.y))))

    def _auc(self, column: pd.Series[Any], states: States) -> float:
        score = self._encoded(states.ordinal)
        auc = float(Ranking(score, self.y).auc(np.ones(len(self.y))))
        if numeric(column) and not column.isna().any():
            auc = max(auc, self._two_sided(column.to_numpy(float)))
        return auc

    def _encoded(self, keys: NDArray[np.int64]) -> NDArray[np.float64]:
        """Out-of-fold share of positives in the row's category or band, shrunk to the base rate."""
        prior = self.y.mean()
        score = np.full(len(self.y), prior)
        size = int(keys.max()) + 1
        for train, test in self.folds:
            total = np.bincount(keys[train], minlength=size)
            won = np.bincount(keys[train], weights=self.y[train], minlength=size)
            score[test] = ((won + SHRINK * prior) / (total + SHRINK))[keys[test]]
        return score

    def _two_sided(self, score: NDArray[np.float64]) -> float:
        auc = float(Ranking(score, self.y).auc(np.ones(len(self.y))))
        return max(auc, 1 - auc)

    def _real(self, auc: float) -> bool:
        """Whether chance would not do this in any of the columns, on either side."""
        return bool(2 * ndtr(-(auc - 0.5) / self.error) < self.chance)

    def _proves(self, auc: float, threshold: float) -> bool:
        """Whether an AUC is above a threshold by more than luck; its error after Hanley and McNeil (1982)."""
        m, n = self.sizes
        square = auc * auc
        spread = (m - 1) * (auc / (2 - auc) - square) + (n - 1) * (2 * square / (1 + auc) - square)
        error = np.sqrt((auc - square + spread) / (m * n))
        return auc > threshold and bool(auc - BOUND * error > threshold - LUCK) and self._real(auc)

    def _independent(self, rows: NDArray[np.bool_]) -> int:
        return int(rows.sum()) if self.codes is None else len(np.unique(self.codes[rows]))

    def _split(self, seed: int) -> list[Any]:
        units = np.arange(len(self.y)) if self.codes is None else self.codes
        count = int(units.max()) + 1
        if count < 2:
            raise InputError("All rows are of one group; the audit needs folds by group.")
        fold = (np.random.default_rng(seed).permutation(count) % min(FOLDS, count))[units]
        return [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(min(FOLDS, count))]
