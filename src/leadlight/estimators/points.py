"""Hand-set points: what a community scores with before its first deal, and what the deals say each point is worth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.utils.validation import check_is_fitted

from leadlight.errors import InputError, closest
from leadlight.estimators.calibration import fit_sigmoid
from leadlight.estimators.inputs import column_names, labels, matrix
from leadlight.kernels.linear import sigmoid
from leadlight.plan import HandSetPoints, Plan

Values = NDArray[np.float64]


class PointsScorer(ClassifierMixin, BaseEstimator):
    """Add up hand-set points for each behaviour, capped and decaying.

    Parameters
    ----------
    rules : mapping of str to HandSetPoints, optional
        Behaviour to its rule; None gives every column of X one point a unit, capped at its 95th percentile.
    points : mapping of str to float, optional
        Behaviour to points a unit, in place of the rule's own: `points={"forwards content": 3}`.

    Attributes
    ----------
    classes_ : ndarray of shape (2,)
    calibration_ : Calibration
        Log-odds of a deal as a line in the points.

    Notes
    -----
    `points_for` needs no fit and no deal.
    """

    def __init__(
        self, rules: Mapping[str, HandSetPoints] | None = None, points: Mapping[str, float] | None = None
    ) -> None:
        self.rules = rules
        self.points = points

    @classmethod
    def from_plan(cls, plan: Plan, points: Mapping[str, float] | None = None) -> PointsScorer:
        """Return a scorer with the rules of a plan's behaviours."""
        return cls({b.name: b.points for b in plan.behaviours if b.points is not None}, points)

    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> Self:
        """Learn how points translate to the chance of a deal; the points themselves stay as set."""
        names = column_names(X)
        self.columns_ = None if names is None else tuple(names)
        if names is not None:
            self.feature_names_in_ = np.array(names, dtype=object)
        values = matrix(X, self.columns_, "missing")
        self.n_features_in_ = values.shape[1]
        coded, self.classes_, known = labels(y)
        if len(coded) != len(values):
            raise InputError(f"X has {len(values)} rows and y {len(coded)}.")
        if self.rules is None:
            self.caps_ = np.nan_to_num(np.nanpercentile(np.nan_to_num(values), 95, axis=0))
        total = self.units(X).to_numpy() @ self._each()
        group = np.arange(len(total)) if groups is None else np.asarray(groups)
        self.scale_ = float(total[known].std()) or 1.0
        scaled = total[known] / self.scale_
        self.calibration_ = fit_sigmoid(scaled, coded[known], np.ones(len(scaled)), group[known])
        return self

    def units(self, X: Any) -> pd.DataFrame:
        """Return capped, decayed units per behaviour, shape (n, behaviours)."""
        if self.rules is None:
            values = np.nan_to_num(matrix(X, getattr(self, "columns_", None), "missing"))
            names = column_names(X) or [f"f{j}" for j in range(values.shape[1])]
            return pd.DataFrame(np.clip(values, 0, getattr(self, "caps_", np.inf)), columns=pd.Index(names))
        self._check()
        wanted = sorted({column for rule in self.rules.values() for column, _ in rule.units})
        names = column_names(X)
        if names is None:
            raise InputError("Points are set on named columns; give a frame.")
        # Points read a few columns of a wide frame: leaving the others out is no news to the user.
        narrow = X[wanted] if isinstance(X, pd.DataFrame) and set(wanted) <= set(names) else X
        values = np.maximum(np.nan_to_num(matrix(narrow, tuple(wanted), "missing")), 0.0)
        at = {column: j for j, column in enumerate(wanted)}
        units = {
            name: np.minimum(sum(weight * values[:, at[column]] for column, weight in rule.units), rule.cap)
            for name, rule in self.rules.items()
        }
        return pd.DataFrame(units)

    def points_for(self, X: Any) -> Values:
        """Return the points of each row, shape (n,)."""
        result: Values = self.units(X).to_numpy(float) @ self._each()
        return result

    def _each(self) -> Values:
        if self.rules is None:
            return np.ones(self.n_features_in_)
        own = self.points or {}
        return np.array([float(own.get(name, rule.each)) for name, rule in self.rules.items()])

    def _check(self) -> None:
        unknown = [name for name in self.points or {} if name not in (self.rules or {})]
        if unknown:
            raise InputError(f"points= names {unknown[0]!r}, which has no rule{closest(unknown[0], self.rules or {})}.")

    def decision_function(self, X: Any) -> Values:
        """Return log-odds, shape (n,)."""
        check_is_fitted(self)
        return self.calibration_.slope * self.points_for(X) / self.scale_ + self.calibration_.intercept

    def predict_proba(self, X: Any) -> Values:
        """Return probabilities, shape (n, 2)."""
        p = sigmoid(self.decision_function(X))
        return np.stack([1.0 - p, p], axis=1)

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the likelier class."""
        result: NDArray[Any] = self.classes_[(self.decision_function(X) > 0).astype(int)]
        return result


def worth(scorer: PointsScorer, X: Any, y: Any, groups: Any, *, rounds: int = 100, seed: int = 0) -> pd.DataFrame:
    """Compare hand-set points with what the deals say each behaviour is worth.

    A logistic regression on the same capped, decayed units gives a coefficient per unit; they are scaled so that the
    learned points spread the members as widely as the hand-set ones do, and can be pasted in their place.

    Parameters
    ----------
    scorer : PointsScorer
    X, y : frame of shape (n, columns), labels of shape (n,)
    groups : array of shape (n,)
        Accounts; the interval redraws them with replacement.

    Returns
    -------
    DataFrame
        Index behaviour; hand_set, deals_say, low, high (95 % interval), members (share of rows with any unit).
    """
    units = scorer.units(X)
    coded, _, known = labels(y)
    values, target = units.to_numpy(float)[known], coded[known]
    each = scorer._each()
    spread = values.std(axis=0)
    seen = spread > 0
    group_codes = np.unique(np.asarray(groups)[known].astype(str), return_inverse=True)[1]
    order = np.argsort(group_codes, kind="stable")
    starts = np.searchsorted(group_codes[order], np.arange(group_codes.max() + 2))

    def learned(weight: Values) -> Values:
        result = np.full(len(each), np.nan)
        rows = weight > 0
        if not 0 < target[rows].sum() < rows.sum():
            return result
        model = LogisticRegression(C=1.0, solver="newton-cholesky", max_iter=100)
        model.fit(values[rows][:, seen] / spread[seen], target[rows], sample_weight=weight[rows])
        coef = model.coef_[0] / spread[seen]
        size = float(np.sqrt(((coef * spread[seen]) ** 2).sum()))
        wanted = float(np.sqrt(((each[seen] * spread[seen]) ** 2).sum()))
        result[seen] = coef * (wanted / size if size > 0 else 0.0)
        return result

    point = learned(np.ones(len(target)))
    rng = np.random.default_rng(seed)
    draws = []
    for _ in range(rounds):
        times = np.bincount(rng.integers(0, len(starts) - 1, len(starts) - 1), minlength=len(starts) - 1)
        draws.append(learned(times[group_codes].astype(float)))
    stacked = np.array(draws)
    low, high = np.full(len(each), np.nan), np.full(len(each), np.nan)
    if seen.any():
        low[seen], high[seen] = np.nanpercentile(stacked[:, seen], [2.5, 97.5], axis=0)
    return pd.DataFrame(
        {"hand_set": each, "deals_say": point, "low": low, "high": high, "members": (values > 0).mean(axis=0)},
        index=pd.Index(units.columns, name="behaviour"),
    )
