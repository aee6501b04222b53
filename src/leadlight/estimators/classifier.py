"""LeadClassifier: small trees and a ridge, blended in log-odds and calibrated out of fold."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, Literal, Self

import lightgbm as lgb
import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.model_selection import StratifiedGroupKFold

from leadlight.errors import InputError, LeadlightWarning
from leadlight.estimators.calibration import FEW_POSITIVES, NONE, fit_sigmoid, latest_rows
from leadlight.estimators.inputs import (
    Infinite,
    check_fitted,
    column_names,
    index_level,
    labels,
    matrix,
    per_row,
    weights,
)
from leadlight.estimators.parts import fit_linear, fit_trees, tree_settings
from leadlight.kernels.linear import linear_margin, sigmoid
from leadlight.runtime.lightgbm_text import parse_lightgbm
from leadlight.runtime.model import Model

Values = NDArray[np.float64]

SHRINK = 100.0
"""Won accounts at which the blend trusts what was measured as much as one half."""

ENOUGH_NEGATIVES, NEGATIVES_A_POSITIVE = 20_000, 200
"""Trees and ridge see at most this many negative rows, or so many for each positive, whichever is more."""


class LeadClassifier(ClassifierMixin, BaseEstimator):
    """Score members by the calibrated chance that a deal is won.

    Parameters
    ----------
    blend : bool, default=True
        Blend the trees with a ridge logistic regression by a weighted mean of log-odds; the weight is chosen by
        out-of-fold log loss, shrunk towards one half where won accounts are few. False keeps the trees alone.
    calibration : {"sigmoid", None}, default="sigmoid"
        Map from margin to log-odds, fitted on out-of-fold margins of the latest times that hold 100 positive rows.
        Below 20 positive groups only its intercept is fitted.
    ridge : float, default=0.02
        Inverse strength of the ridge penalty.
    n_folds : int, default=5
        Folds by group: no account stands on both sides.
    infinite : {"error", "missing"}, default="error"
        What infinite values in X do.
    random_state : int, default=0
    n_jobs : int, default=1
        Folds fitted at once; each fit uses one thread.

    Notes
    -----
    Beyond 20,000 negative rows and 200 for each positive one, trees and ridge see a random part of the negatives, weighted
    back to their number; blend and calibration always see all rows.

    Attributes
    ----------
    classes_ : ndarray of shape (2,)
        The second is the positive class.
    booster_ : lightgbm.Booster
        The trees, on columns f0..fn.
    model_ : leadlight.runtime.Model
        The arithmetic that serves: predict_proba delegates to it.
    blend_weight_ : float
        Weight of the linear part.
    settings_ : dict
        Size of the trees that was chosen.
    oof_log_odds_ : ndarray of shape (n,)
        Calibrated out-of-fold log-odds of the training rows; NaN for rows without a label, or where there were too few
        positive groups for folds.
    n_positive_groups_ : int
        Accounts (or members) with at least one positive row.

    Examples
    --------
    >>> import numpy as np, leadlight as ll
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(400, 3))
    >>> y = X[:, 0] + rng.normal(size=400) > 1
    >>> ll.LeadClassifier().fit(X, y).predict_proba(X[:2]).shape
    (2, 2)
    """

    def __init__(
        self,
        *,
        blend: bool = True,
        calibration: Literal["sigmoid"] | None = "sigmoid",
        ridge: float = 0.02,
        n_folds: int = 5,
        infinite: Infinite = "error",
        random_state: int = 0,
        n_jobs: int = 1,
    ) -> None:
        self.blend = blend
        self.calibration = calibration
        self.ridge = ridge
        self.n_folds = n_folds
        self.infinite = infinite
        self.random_state = random_state
        self.n_jobs = n_jobs

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        groups: Any = None,
        times: Any = None,
        calibrate_on: Any = None,
    ) -> Self:
        """Fit trees, ridge, blend and calibration.

        Parameters
        ----------
        X : frame or array of shape (n, columns)
            Numbers; NaN is missing.
        y : array of shape (n,)
            Two classes; rows without a label are dropped and counted.
        sample_weight : array of shape (n,), optional
            Training weights; calibration is unweighted.
        groups, times : array of shape (n,), optional
            Account and time of each row; default to the index levels member_id and cutoff of a frame.
        calibrate_on : bool array of shape (n,), optional
            Rows on which calibration may be fitted, such as those that sales approached.

        Raises
        ------
        InputError
            One class, bad weights, infinite values.
        """
        if self.calibration not in ("sigmoid", None):
            raise InputError(f"calibration is {self.calibration!r}; use 'sigmoid' or None.")
        if not isinstance(self.n_folds, (int, np.integer)) or self.n_folds < 2:
            raise InputError(f"n_folds is {self.n_folds!r}; give a whole number of at least 2.")
        names = column_names(X)
        self.columns_ = None if names is None else tuple(names)
        data = _Rows.checked(self, X, y, sample_weight, groups, times, calibrate_on)
        if names is not None:
            self.feature_names_in_ = np.array(names, dtype=object)
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_
        self.n_features_in_ = data.X.shape[1]
        self.classes_ = data.classes
        self.n_positive_groups_ = len(np.unique(data.groups[(data.y > 0) & (data.weight > 0)]))
        self.n_unlabelled_ = data.dropped
        if self.calibration is not None and self.n_positive_groups_ < FEW_POSITIVES:
            few = "account or member is" if self.n_positive_groups_ == 1 else "accounts or members are"
            warnings.warn(
                f"Only {self.n_positive_groups_} {few} positive: probabilities are rough, and at most "
                "their mean level is calibrated. Look at the interval.",
                LeadlightWarning,
                stacklevel=2,
            )
        # Rows without weight are not there for the trees, so they must not count towards the size of a leaf.
        settings, rounds = tree_settings(self.n_positive_groups_, int(np.count_nonzero(data.fit_weight)))
        self.settings_ = {**settings, "rounds": rounds}
        oof = self._out_of_fold(data, settings, rounds)
        self.blend_weight_ = self._choose_blend(data, oof)
        used = np.flatnonzero(data.fit_weight)
        X_used, y_used, weight_used = data.X[used], data.y[used], data.fit_weight[used]
        self.booster_ = fit_trees(X_used, y_used, weight_used, settings, rounds, self.random_state, 1)
        linear = fit_linear(X_used, y_used, weight_used, self.ridge) if self.blend else None
        self.calibration_ = NONE
        log_odds = np.full(len(data.y), np.nan)
        if oof is not None:
            margin = (1 - self.blend_weight_) * oof[:, 0] + self.blend_weight_ * oof[:, 1]
            self._calibrate(data, margin)
            log_odds = self.calibration_.slope * margin + self.calibration_.intercept
        self.oof_log_odds_ = np.full(data.rows, np.nan)
        self.oof_log_odds_[data.kept] = log_odds
        self.model_ = Model(
            columns=self.columns_ or tuple(f"f{j}" for j in range(self.n_features_in_)),
            trees=parse_lightgbm(self.booster_.model_to_string()),
            linear=linear,
            tree_weight=1.0 - self.blend_weight_,
            linear_weight=self.blend_weight_,
            calibration=self.calibration_,
            quantiles=np.empty(0),
            threshold=float("nan"),
        )
        return self

    def _out_of_fold(self, data: _Rows, settings: dict[str, Any], rounds: int) -> Values | None:
        """Margins of both parts, each row by a model that saw nobody of its group; None where folds are impossible."""
        folds = min(self.n_folds, self.n_positive_groups_, len(np.unique(data.groups[data.y == 0])))
        if folds < 2:
            return None
        splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=self.random_state)
        splits = [
            (train, test)
            for train, test in splitter.split(data.X, data.y, data.groups)
            if 0 < data.y[train[data.fit_weight[train] > 0]].sum() < np.count_nonzero(data.fit_weight[train])
        ]
        # Threads: LightGBM and BLAS release the lock, and processes would copy the rows.
        parts = Parallel(n_jobs=self.n_jobs, prefer="threads")(
            delayed(_fold)(
                data, train, test, settings, rounds, self.ridge if self.blend else None, self.random_state
            )
            for train, test in splits
        )
        margins = np.full((len(data.y), 2), np.nan)
        for (_, test), part in zip(splits, parts, strict=True):
            margins[test] = part
        return None if np.isnan(margins).any() else margins

    def _choose_blend(self, data: _Rows, oof: Values | None) -> float:
        if not self.blend:
            return 0.0
        if oof is None:
            return 0.5
        grid = np.linspace(0.0, 1.0, 21)
        loss = [_log_loss((1 - w) * oof[:, 0] + w * oof[:, 1], data.y, data.weight) for w in grid]
        measured = float(grid[int(np.argmin(loss))])
        trust = self.n_positive_groups_ / (self.n_positive_groups_ + SHRINK)
        return trust * measured + (1 - trust) * 0.5

    def _calibrate(self, data: _Rows, margin: Values) -> None:
        if self.calibration is None:
            return
        asked = np.where(data.calibrate_on, data.y, 0.0)
        rows = data.calibrate_on & latest_rows(data.times, asked, data.groups)
        if not 0 < data.y[rows].sum() < rows.sum():
            rows = np.ones(len(data.y), bool)
        found = len(np.unique(data.groups[rows & (data.y > 0)]))
        if found < FEW_POSITIVES <= self.n_positive_groups_:
            warnings.warn(
                f"Only {found} of the {self.n_positive_groups_} positive accounts or members may be calibrated on: only the "
                "mean level of the probabilities is calibrated.",
                LeadlightWarning,
                stacklevel=3,
            )
        self.calibration_ = fit_sigmoid(
            margin[rows], data.y[rows], np.ones(int(rows.sum())), data.groups[rows]
        )

    def decision_function(self, X: Any) -> Values:
        """Return calibrated log-odds, shape (n,)."""
        check_fitted(self)
        return self.model_.log_odds(self._matrix(X))

    def predict_proba(self, X: Any) -> Values:
        """Return probabilities, shape (n, 2), in the order of `classes_`."""
        p = sigmoid(self.decision_function(X))
        return np.stack([1.0 - p, p], axis=1)

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the likelier class; for whom to approach see the decisions of `LeadQualifier`."""
        positive = self.decision_function(X) > 0
        result: NDArray[Any] = self.classes_[positive.astype(int)]
        return result

    def _matrix(self, X: Any) -> Values:
        values = matrix(X, self.columns_, self.infinite)
        if values.shape[1] != self.n_features_in_:
            raise InputError(
                f"X has {values.shape[1]} features, but LeadClassifier is expecting {self.n_features_in_} features as input."
            )
        return values

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.classifier_tags.multi_class = False
        return tags


@dataclass(frozen=True)
class _Rows:
    """Checked training rows that have a label."""

    X: Values
    y: Values
    weight: Values
    fit_weight: Values
    groups: NDArray[Any]
    times: NDArray[Any] | None
    calibrate_on: NDArray[np.bool_]
    classes: NDArray[Any]
    kept: NDArray[np.bool_]
    rows: int
    dropped: int

    @classmethod
    def checked(
        cls,
        owner: LeadClassifier,
        X: Any,
        y: Any,
        sample_weight: Any,
        groups: Any,
        times: Any,
        calibrate_on: Any,
    ) -> _Rows:
        values = matrix(X, owner.columns_, owner.infinite)
        coded, classes, known = labels(y)
        if len(coded) != len(values):
            raise InputError(f"X has {len(values)} rows and y {len(coded)}.")
        weight = weights(sample_weight, len(values))
        if len(np.unique(coded[known & (weight > 0)])) < 2:
            raise InputError(
                "sample_weight leaves rows of one class only; there is nothing to learn to tell apart."
            )
        rows = len(values)
        group = index_level(X, "member_id") if groups is None else per_row(groups, rows, "groups")
        group = np.arange(rows) if group is None else group
        time = index_level(X, "cutoff") if times is None else per_row(times, rows, "times")
        mask = (
            np.ones(rows, bool)
            if calibrate_on is None
            else per_row(calibrate_on, rows, "calibrate_on").astype(bool)
        )
        _, group_codes = np.unique(group.astype(str) if group.dtype == object else group, return_inverse=True)
        return cls(
            values[known],
            coded[known],
            weight[known],
            _thinned(coded[known], weight[known], owner.random_state),
            group_codes[known],
            None if time is None else time[known],
            mask[known],
            classes,
            known,
            rows,
            int((~known).sum()),
        )


def _thinned(y: Values, weight: Values, seed: int) -> Values:
    """Return weights in which a random part of very many negatives stands for all of them."""
    negatives = np.flatnonzero((y == 0) & (weight > 0))
    keep = max(ENOUGH_NEGATIVES, NEGATIVES_A_POSITIVE * int(y[weight > 0].sum()))
    if len(negatives) <= keep:
        return weight
    chosen = np.random.default_rng(seed).choice(negatives, keep, replace=False)
    result = np.where(y > 0, weight, 0.0)
    result[chosen] = weight[chosen] * (weight[negatives].sum() / weight[chosen].sum())
    return result


def _fold(
    data: _Rows,
    train: NDArray[np.int64],
    test: NDArray[np.int64],
    settings: dict[str, Any],
    rounds: int,
    ridge: float | None,
    seed: int,
) -> Values:
    train = train[data.fit_weight[train] > 0]
    X, y, weight = data.X[train], data.y[train], data.fit_weight[train]
    booster = fit_trees(X, y, weight, settings, rounds, seed, 1)
    margins = np.zeros((len(test), 2))
    margins[:, 0] = _raw(booster, data.X[test])
    if ridge is not None:
        part = fit_linear(X, y, weight, ridge)
        margins[:, 1] = linear_margin(data.X[test], *part.arrays, part.intercept)
    return margins


def _raw(booster: lgb.Booster, X: Values) -> Values:
    return np.asarray(booster.predict(X, raw_score=True, num_threads=1), float)


def _log_loss(margin: Values, y: Values, weight: Values) -> float:
    losses = np.logaddexp(0.0, margin) - y * margin
    return float(np.average(losses, weights=weight))
