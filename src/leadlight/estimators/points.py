"""Hand-set points: what a community scores with before its first deal, and what the deals say each point is worth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression

from leadlight.errors import InputError, closest
from leadlight.estimators.calibration import fit_sigmoid
from leadlight.estimators.inputs import (
    UnfittedError,
    check_fitted,
    column_names,
    labels,
    matrix,
    per_row,
    weights,
)
from leadlight.kernels.linear import sigmoid
from leadlight.plan import HandSetPoints, Plan
from leadlight.runtime.frames import named_columns

Values = NDArray[np.float64]


class PointsScorer(ClassifierMixin, BaseEstimator):
    """Add up hand-set points for each behaviour, capped and decaying.

    Parameters
    ----------
    rules : mapping of str to HandSetPoints, optional
        Behaviour to its rule; None gives every column of X one point a unit, capped at its 95th percentile.
    points : mapping of str to float, optional
        Behaviour (or column, without rules) to points a unit, in place of the rule's own: `points={"forwards content": 3}`.

    Attributes
    ----------
    classes_ : ndarray of shape (2,)
    calibration_ : Calibration
        Log-odds of a deal as a line in the points.

    Notes
    -----
    With rules, `points_for` needs no fit and no deal. Missing values and values below zero are no units.

    Examples
    --------
    >>> import leadlight as ll
    >>> import pandas as pd
    >>> X = pd.DataFrame({"questions": [0, 1, 4], "visits": [2, 0, 9]})
    >>> points = ll.PointsScorer(points={"questions": 3}).fit(X, [0, 0, 1])
    >>> points.points_for(X).round(1).tolist()
    [2.0, 3.0, 21.0]
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
        """Learn how points translate to the chance of a deal; the points themselves stay as set.

        Parameters
        ----------
        X : frame or array of shape (n, columns)
            NaN is missing.
        y : array of shape (n,)
            Two classes; rows without a label are dropped.
        sample_weight : array of shape (n,), optional
        groups : array of shape (n,), optional
            Accounts, for the covariance.

        Raises
        ------
        InputError
            One class, bad weights, infinite values, or `points` that name no behaviour.
        """
        names = column_names(X)
        self.columns_ = None if names is None else tuple(names)
        values = matrix(X, self.columns_, "error")
        if names is not None:
            self.feature_names_in_ = np.array(names, dtype=object)
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_
        self.n_features_in_ = values.shape[1]
        coded, classes, known = labels(y)
        if len(coded) != len(values):
            raise InputError(f"X has {len(values)} rows and y {len(coded)}.")
        weight = weights(sample_weight, len(values))
        used = known & (weight > 0)
        if len(np.unique(coded[used])) < 2:
            raise InputError(
                "sample_weight leaves rows of one class only; there is nothing to learn to tell apart."
            )
        if self.rules is None:
            ordinary = np.maximum(np.nan_to_num(values), 0.0)
            self.caps_ = np.quantile(
                ordinary[used], 0.95, axis=0, weights=weight[used], method="inverted_cdf"
            )
        total = self.points_for(X)
        group = np.arange(len(total)) if groups is None else per_row(groups, len(total), "groups")
        self.scale_ = float(np.sqrt(np.cov(total[used], aweights=weight[used], ddof=0))) or 1.0
        self.calibration_ = fit_sigmoid(total[used] / self.scale_, coded[used], weight[used], group[used])
        self.classes_ = classes
        return self

    def units(self, X: Any) -> pd.DataFrame:
        """Return capped, decayed units per behaviour, shape (n, behaviours)."""
        self._check()
        if self.rules is None:
            values = np.nan_to_num(matrix(X, self.columns_, "error"))
            if values.shape[1] != self.n_features_in_:
                raise InputError(
                    f"X has {values.shape[1]} features, but PointsScorer is expecting {self.n_features_in_} features as input."
                )
            return pd.DataFrame(np.clip(values, 0, self.caps_), columns=pd.Index(self._names()))
        values, at = self._columns_of_rules(X)
        units = {
            name: np.minimum(sum(weight * values[:, at[column]] for column, weight in rule.units), rule.cap)
            for name, rule in self.rules.items()
        }
        return pd.DataFrame(units, index=range(len(values)))

    def contributions(self, X: Any) -> pd.DataFrame:
        """Return how many points each column brings, shape (n, columns of the rules); a row's sum is its points.

        A behaviour's points are divided among its columns as its units are before the cap.

        Raises
        ------
        InputError
            Without rules: there `units` is by column already.
        """
        if self.rules is None:
            raise InputError("contributions() divides the points of rules; without rules see units().")
        values, at = self._columns_of_rules(X)
        found = np.zeros(values.shape)
        for rule, each in zip(self.rules.values(), self._each(), strict=True):
            parts = {column: weight * values[:, at[column]] for column, weight in rule.units}
            total = sum(parts.values(), np.zeros(len(values)))
            kept = np.divide(np.minimum(total, rule.cap), total, out=np.zeros(len(values)), where=total != 0)
            for column, part in parts.items():
                found[:, at[column]] += each * kept * part
        return pd.DataFrame(found, columns=pd.Index(list(at)))

    def _columns_of_rules(self, X: Any) -> tuple[Values, dict[str, int]]:
        """Return the values that the rules read, none below zero, and where each column stands."""
        rules = self.rules or {}
        wanted = sorted({column for rule in rules.values() for column, _ in rule.units})
        table = named_columns(X)
        if table is None:
            raise InputError("Points are set on named columns; give a frame.")
        # Points read a few columns of a wide frame: leaving the others out is no news to the user.
        if not wanted:
            return np.zeros((len(next(iter(table.values()), ())), 0)), {}
        narrow = {c: table[c] for c in wanted} if set(wanted) <= set(table) else X
        values = np.maximum(np.nan_to_num(matrix(narrow, tuple(wanted), "error")), 0.0)
        return values, {column: j for j, column in enumerate(wanted)}

    def points_for(self, X: Any) -> Values:
        """Return the points of each row, shape (n,)."""
        result: Values = self.units(X).to_numpy(float) @ self._each()
        return result

    def _each(self) -> Values:
        own = self.points or {}
        if self.rules is None:
            return np.array([float(own.get(name, 1.0)) for name in self._names()])
        return np.array([float(own.get(name, rule.each)) for name, rule in self.rules.items()])

    def _names(self) -> tuple[str, ...]:
        return self.columns_ or tuple(f"f{j}" for j in range(self.n_features_in_))

    def _check(self) -> None:
        if self.rules is None and not hasattr(self, "caps_"):
            raise UnfittedError(
                "A PointsScorer without rules learns its caps; call fit(X, y) first, or give rules."
            )
        known = self._names() if self.rules is None else tuple(self.rules)
        unknown = [name for name in self.points or {} if name not in known]
        if unknown:
            what = "column" if self.rules is None else "rule"
            raise InputError(
                f"points= names {unknown[0]!r}, which has no {what}{closest(unknown[0], known)}."
            )

    def decision_function(self, X: Any) -> Values:
        """Return log-odds, shape (n,)."""
        check_fitted(self)
        return self.calibration_.slope * self.points_for(X) / self.scale_ + self.calibration_.intercept

    def predict_proba(self, X: Any) -> Values:
        """Return probabilities, shape (n, 2)."""
        p = sigmoid(self.decision_function(X))
        return np.stack([1.0 - p, p], axis=1)

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the likelier class."""
        positive = self.decision_function(X) > 0
        result: NDArray[Any] = self.classes_[positive.astype(int)]
        return result

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.classifier_tags.multi_class = False
        # Points count units; below zero there are none, so data centred on zero tell it little.
        tags.classifier_tags.poor_score = True
        return tags


def worth(
    scorer: PointsScorer, X: Any, y: Any, groups: Any, *, rounds: int = 100, seed: int = 0
) -> pd.DataFrame:
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
        {
            "hand_set": each,
            "deals_say": point,
            "low": low,
            "high": high,
            "members": (values > 0).mean(axis=0),
        },
        index=pd.Index(units.columns, name="behaviour"),
    )
