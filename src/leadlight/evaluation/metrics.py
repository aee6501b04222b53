"""Ranking metrics for weighted rows, fast enough to bootstrap."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leadlight.estimators.calibration import climb

Values = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Ranking:
    """Rows sorted by score, once, so that each redraw only sums weights.

    Attributes
    ----------
    score : float64 array of shape (n,)
        Higher is likelier; NaN ranks last.
    y : float64 array of shape (n,)
        0 or 1.
    """

    score: Values
    y: Values

    @cached_property
    def _order(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        score = np.nan_to_num(self.score, nan=-np.inf)
        order = np.argsort(-score, kind="stable")
        ordered = score[order]
        # The last position of each run of equal scores: ties count together.
        ends = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))
        return order, ends

    def curve(self, weight: Values) -> tuple[Values, Values]:
        """Return cumulative (true, false) positives at each distinct score, highest first."""
        order, ends = self._order
        y, w = self.y[order], weight[order]
        return np.cumsum(w * y)[ends], np.cumsum(w * (1 - y))[ends]

    def average_precision(self, weight: Values) -> float:
        """Sum of precision times the step in recall."""
        hits, alarms = self.curve(weight)
        if not len(hits) or hits[-1] <= 0:
            return float("nan")
        called = hits + alarms
        precision = np.divide(hits, called, out=np.zeros_like(hits), where=called > 0)
        return float(np.sum(np.diff(hits, prepend=0.0) * precision) / hits[-1])

    def auc(self, weight: Values) -> float:
        """Area under the ROC curve; ties count one half."""
        hits, alarms = self.curve(weight)
        if not len(hits) or hits[-1] <= 0 or alarms[-1] <= 0:
            return float("nan")
        area = np.sum(np.diff(alarms, prepend=0.0) * (hits + np.concatenate([[0.0], hits[:-1]])) / 2)
        return float(area / (hits[-1] * alarms[-1]))

    def false_positives_at_recall(self, weight: Values, recall: float) -> float:
        """False alarms when just so many are called that `recall` of the positives is reached."""
        hits, alarms = self.curve(weight)
        if not len(hits) or hits[-1] <= 0 or np.isnan(recall):
            return float("nan")
        if recall <= 0:
            return 0.0
        at = int(np.searchsorted(hits, recall * hits[-1] - 1e-9))
        return float(alarms[min(at, len(alarms) - 1)])


def top_share(score: Values, cutoff: NDArray[Any], share: float) -> Bools:
    """Mark the best-scored `share` of the rows of each cutoff, at least one; ties go by position."""
    chosen = np.zeros(len(score), bool)
    clean = np.nan_to_num(score, nan=-np.inf)
    for rows in _groups(cutoff):
        count = max(1, round(share * len(rows)))
        chosen[rows[np.argsort(-clean[rows], kind="stable")[:count]]] = True
    return chosen


def _groups(keys: NDArray[Any]) -> list[NDArray[np.int64]]:
    codes = np.unique(keys, return_inverse=True)[1]
    order = np.argsort(codes, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(codes[order])) + 1) if len(order) else []


def log_loss(probability: Values, y: Values, weight: Values) -> float:
    """Mean negative log likelihood; probabilities are kept 1e-12 away from 0 and 1."""
    p = np.clip(probability, 1e-12, 1 - 1e-12)
    return float(np.average(-(y * np.log(p) + (1 - y) * np.log1p(-p)), weights=weight))


def calibration_slope(probability: Values, y: Values) -> float:
    """Slope of a logistic regression of the outcome on the predicted log-odds; 1 is right, below 1 overconfident."""
    p = np.clip(probability, 1e-9, 1 - 1e-9)
    z = np.log(p / (1 - p))
    if y.sum() < 2 or z.std() < 1e-9:
        return float("nan")
    design = np.stack([z, np.ones_like(z)], axis=1)
    beta = climb(np.array([1.0, 0.0]), design, y, np.ones(len(y)), np.array([True, True]))
    return float(beta[0])


def account_draws(groups: NDArray[Any], rounds: int, seed: int) -> list[Values]:
    """Return row weights of `rounds` bootstrap draws of whole accounts."""
    codes = np.unique(groups.astype(str), return_inverse=True)[1]
    count = int(codes.max()) + 1 if len(codes) else 0
    rng = np.random.default_rng(seed)
    return [
        np.bincount(rng.integers(0, count, count), minlength=count)[codes].astype(float)
        for _ in range(rounds if count else 0)
    ]
