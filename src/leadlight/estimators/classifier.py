"""LeadClassifier: small trees of three kinds and a ridge, blended in log-odds and calibrated out of fold."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from threadpoolctl import ThreadpoolController

from leadlight.errors import InputError, SchemaError, closest, warn
from leadlight.estimators.calibration import FEW_POSITIVES, NONE, fit_sigmoid, latest_rows, slope_in_time
from leadlight.estimators.encoder import Encoder, learn_levels
from leadlight.estimators.folds import measure
from leadlight.estimators.forest import FEW_ROWS, Forest, tree_settings
from leadlight.estimators.inputs import (
    Infinite,
    check_fitted,
    column_names,
    matrix,
)
from leadlight.estimators.later import Later
from leadlight.estimators.learner import Learner, Recipe
from leadlight.estimators.parts import Mixture, mixed
from leadlight.estimators.rows import Rows
from leadlight.estimators.time_level import has_levels
from leadlight.kernels.linear import sigmoid
from leadlight.runtime.encoding import Levels
from leadlight.runtime.model import Model

Values = NDArray[np.float64]
Booster = Literal["lightgbm", "hist_gradient_boosting"]

MOST_BAGS = 4


@cache
def _libraries() -> ThreadpoolController:
    """Return the libraries with threads, looked for once: the imports above loaded the one that multiplies."""
    return ThreadpoolController()


class LeadClassifier(ClassifierMixin, BaseEstimator):
    """Score members by the calibrated chance that a deal is won.

    Parameters
    ----------
    blend : bool, default=True
        Blend the trees with a ridge logistic regression by a weighted mean of log-odds; the weights are chosen by
        out-of-fold log loss, with `times` by that of later rows, and shrunk towards .3 for the ridge where won accounts are
        few. False keeps the trees alone.
    calibration : {"sigmoid", None}, default="sigmoid"
        Map from margin to log-odds, fitted on out-of-fold margins of the latest times that hold 100 positive rows,
        or half of the positive rows where that is fewer; with `times` the slope is at most what fits on earlier rows bear on
        later ones. Below 20 positive groups only its intercept is fitted.
    ridge : float, optional
        Inverse strength of the ridge penalty; None chooses one of six by out-of-fold log loss.
    booster : {"lightgbm", "hist_gradient_boosting"}, default="lightgbm"
        What grows the trees; the second is scikit-learn's.
    monotone : mapping of column to -1 or 1, optional
        Columns of numbers whose rise may never lower (1) or never raise (-1) the score, in trees and ridge. What a missing
        value means stays free.
    n_folds : int, default=5
        Folds by group: no account stands on both sides.
    infinite : {"error", "missing"}, default="error"
        What infinite values in X do.
    random_state : int, default=0
    n_jobs : int, default=1
        Folds fitted at once; each fit uses one thread.

    Notes
    -----
    Columns of text or of a categorical type are encoded: trees read target statistics in which no row sees its own label
    or one of its group, the ridge reads indicators of frequent values. Values that were seen once, or never, count as one
    value, "other"; a missing one is a value of its own. Explanations are by original column.

    With `times`, and at most 1.5 rows an account on average, fits start from the level of each row's period and learn who
    stands above whom within it: a column that only tells the time earns little. The level that is predicted is that of the
    rows calibrated on; without calibration it is the mean one.

    Beyond 20,000 negative rows and 200 for each won account, trees and ridge see a random part of the negatives, drawn by
    weight and weighted back to their sum; blend and calibration always see all rows.

    Attributes
    ----------
    classes_ : ndarray of shape (2,)
        The second is the positive class.
    booster_ : lightgbm.Booster
        The trees of all kinds in one, on columns f0..fn; with columns of categories, on those of `tree_features`.
        scikit-learn's HistGradientBoostingClassifier where that was asked for. Made when it is first read: `model_` serves.
    model_ : leadlight.runtime.Model
        The arithmetic that serves: predict_proba delegates to it.
    blend_weight_ : float
        Weight of the linear part.
    settings_ : dict
        Size and number of the trees and strength of the ridge, as they were chosen.
    weights_ : tuple of four floats
        Weights of plain trees, of trees with random thresholds, of trees with a single split (only in tables with
        categories, or of few rows), and of the ridge.
    levels_ : tuple
        The known values of each column of categories, None for a column of numbers.
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
        ridge: float | None = None,
        booster: Booster = "lightgbm",
        monotone: Mapping[str, int] | None = None,
        n_folds: int = 5,
        infinite: Infinite = "error",
        random_state: int = 0,
        n_jobs: int = 1,
    ) -> None:
        self.blend = blend
        self.calibration = calibration
        self.ridge = ridge
        self.booster = booster
        self.monotone = monotone
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
            Numbers, text or categories; NaN and None are missing.
        y : array of shape (n,)
            Two classes; rows without a label are dropped and counted.
        sample_weight : array of shape (n,), optional
            Training weights; calibration does not know them.
        groups, times : array of shape (n,), optional
            Account and time of each row; default to the index levels member_id and cutoff of a frame.
        calibrate_on : bool or float array of shape (n,), optional
            Rows on which calibration may be fitted, such as those that sales approached. A number is the weight of its row
            there, such as 1 / propensity of the approach; 0 leaves it out.

        Raises
        ------
        InputError
            One class, bad weights, infinite values.
        ColumnTypeError
            A column holds times or nested values.
        SchemaError
            `monotone` names a column that is not there.
        """
        if self.booster not in ("lightgbm", "hist_gradient_boosting"):
            raise InputError(f"booster is {self.booster!r}; use 'lightgbm' or 'hist_gradient_boosting'.")
        if self.calibration not in ("sigmoid", None):
            raise InputError(f"calibration is {self.calibration!r}; use 'sigmoid' or None.")
        if not isinstance(self.n_folds, (int, np.integer)) or self.n_folds < 2:
            raise InputError(f"n_folds is {self.n_folds!r}; give a whole number of at least 2.")
        names = column_names(X)
        self.columns_ = None if names is None else tuple(names)
        self.levels_: tuple[Levels | None, ...] = learn_levels(X)
        data = Rows.checked(
            X,
            y,
            sample_weight,
            groups,
            times,
            calibrate_on,
            names=self.columns_,
            levels=self.levels_,
            infinite=self.infinite,
            seed=self.random_state,
        )
        if names is not None:
            self.feature_names_in_ = np.array(names, dtype=object)
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_
        self.n_features_in_ = data.X.shape[1]
        self.levels_ = self.levels_ or (None,) * self.n_features_in_
        self.classes_ = data.classes
        self.n_positive_groups_ = len(np.unique(data.groups[(data.y > 0) & (data.weight > 0)]))
        self.n_unlabelled_ = data.dropped
        if self.calibration is not None and self.n_positive_groups_ < FEW_POSITIVES:
            few = "account or member is" if self.n_positive_groups_ == 1 else "accounts or members are"
            warn(
                f"Only {self.n_positive_groups_} {few} positive: probabilities are rough, and at most "
                "their mean level is calibrated. Look at the interval."
            )
        # Rows without weight are not there for the trees, so they must not count towards the size of a leaf.
        used = np.flatnonzero(data.fit_weight)
        recipe = self._recipe(data, used)
        # The ridge solves small systems: threads of BLAS wait for each other longer than one needs, and add in another order.
        with _libraries().limit(limits=1, user_api="blas"):
            return self._fit(data, recipe, used)

    def _fit(self, data: Rows, recipe: Recipe, used: NDArray[np.int64]) -> Self:
        mixture, margin, later = measure(
            data,
            recipe,
            n_folds=self.n_folds,
            won=self.n_positive_groups_,
            strength=self.ridge,
            n_jobs=self.n_jobs,
        )
        whole = Learner.of(recipe, data, used, MOST_BAGS)
        self.settings_ = {**recipe.settings, "rounds": dict(zip(recipe.kinds, mixture.rounds, strict=False))}
        self.settings_["ridge"] = mixture.strength if self.blend else None
        self.weights_ = mixture.weights
        self.blend_weight_ = mixture.weights[-1]
        self._forest, trees = whole.trees(mixture)
        linear = whole.ridges([mixture.strength])[0] if self.blend else None
        self.calibration_ = NONE
        log_odds = np.full(len(data.y), np.nan)
        if margin is not None:
            self._calibrate(data, margin, mixture, later)
            log_odds = self.calibration_.slope * margin + self.calibration_.intercept
        self.oof_log_odds_ = np.full(data.rows, np.nan)
        self.oof_log_odds_[data.kept] = log_odds
        self._tree_columns = whole.tree_columns
        self.model_ = Model(
            columns=self.columns_ or tuple(f"f{j}" for j in range(self.n_features_in_)),
            trees=trees,
            linear=linear,
            tree_weight=1.0 - self.blend_weight_,
            linear_weight=self.blend_weight_,
            calibration=self.calibration_,
            quantiles=np.empty(0),
            threshold=float("nan"),
            encoding=whole.encoding,
        )
        return self

    def _recipe(self, data: Rows, used: NDArray[np.int64]) -> Recipe:
        encoder = None
        if any(levels is not None for levels in self.levels_):
            encoder = Encoder(self.levels_, data.X[used])
        columns = self.n_features_in_ if encoder is None else len(encoder.tree_columns)
        statistics = encoder is not None and encoder.has_statistics
        return Recipe(
            booster=self.booster,
            settings=tree_settings(self.n_positive_groups_, len(used), columns, statistics),
            encoder=encoder,
            signs=self._signs(),
            stumps=encoder is not None or len(used) <= FEW_ROWS,
            ridge=self.blend,
            seed=self.random_state,
            threads=1,
            levels=has_levels(data.times, data.groups, data.weight),
        )

    def _signs(self) -> NDArray[np.int64]:
        names = self.columns_ or tuple(f"f{j}" for j in range(self.n_features_in_))
        signs = np.zeros(len(names), dtype=np.int64)
        for name, sign in (self.monotone or {}).items():
            if name not in names:
                raise SchemaError(
                    f"monotone names {name!r}, which X does not have{closest(str(name), names)}."
                )
            if sign not in (-1, 0, 1):
                raise InputError(f"monotone[{name!r}] is {sign!r}; use 1 for rising, -1 for falling.")
            at = names.index(name)
            if sign and self.levels_[at] is not None:
                raise InputError(
                    f"monotone names {name!r}, which holds categories; they neither rise nor fall."
                )
            signs[at] = sign
        return signs

    def _calibrate(self, data: Rows, margin: Values, mixture: Mixture, later: Later | None) -> None:
        if self.calibration is None:
            return
        weight, asked = data.calibrate_on, data.calibrate_on > 0
        rows = asked & latest_rows(data.times, np.where(asked, data.y, 0.0), data.groups)
        if not 0 < data.y[rows].sum() < rows.sum():
            weight, rows = np.ones(len(data.y)), np.ones(len(data.y), bool)
        found = len(np.unique(data.groups[rows & (data.y > 0)]))
        if found < FEW_POSITIVES <= self.n_positive_groups_:
            warn(
                f"Only {found} of the {self.n_positive_groups_} positive accounts or members may be calibrated on: only the "
                "mean level of the probabilities is calibrated."
            )
        most = np.inf
        if later is not None:
            at = later.rows
            found_later = mixed(later.margins, mixture.weights)
            most = slope_in_time(found_later, data.y[at], weight[at], data.groups[at], later.block)
        self.calibration_ = fit_sigmoid(
            margin[rows], data.y[rows], weight[rows] / weight[rows].mean(), data.groups[rows], most
        )

    @property
    def booster_(self) -> Any:
        """What grew the trees; see the class."""
        check_fitted(self)
        return self._forest.booster if isinstance(self._forest, Forest) else self._forest

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

    def tree_features(self, X: Any) -> Values:
        """Return the columns that `booster_` reads, shape (n, tree columns): X itself where every column is a number."""
        check_fitted(self)
        values = self._matrix(X)
        encoding = self.model_.encoding
        return values if encoding is None else encoding.encode(values)[:, self._tree_columns]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a bundle that scores feature rows by name: `leadlight.load(path).predict_proba(X)`, without this class.

        Raises
        ------
        InputError
            The path holds something that is no bundle.
        """
        from leadlight.plan import Plan
        from leadlight.runtime.scorer import Scorer

        check_fitted(self)
        info = {"estimand": "P(positive label) of a row like those of training."}
        Scorer(self.model_, Plan((), (), ()), info).save(path)

    def _matrix(self, X: Any) -> Values:
        values = matrix(X, self.columns_, self.infinite, self.levels_)
        if values.shape[1] != self.n_features_in_:
            raise InputError(
                f"X has {values.shape[1]} features, but LeadClassifier is expecting {self.n_features_in_} features as input."
            )
        return values

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.classifier_tags.multi_class = False
        return tags
