"""The arithmetic of a trained model: trees and a linear half, blended, calibrated, with exact contributions.

Everything is float64. Every row is computed by itself in one fixed order, so a row alone gives the same bits as in a batch.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from leadlight.errors import BundleError, InputError
from leadlight.kernels.linear import (
    linear_contributions,
    linear_margin,
    native_contributions,
    native_margin,
    sigmoid,
    sigmoid_of,
    tabulated,
)
from leadlight.kernels.native import native_kernels
from leadlight.kernels.tree_shap import ShapTables, prepare, shap
from leadlight.kernels.trees import Trees, margin
from leadlight.kernels.trees_native import native_margin as trees_margin
from leadlight.runtime.encoding import Encoding, Levels

Floats = NDArray[np.float64]
M = TypeVar("M", float, Floats)

_ROWS: Final = 512
_NORMAL_95: Final = 1.96
_LARGEST_LOG: Final = 710.0  # signed_log of the largest float
_BOUND: Final = 1e60  # margins and covariances below it cannot overflow in the interval

GRADES: Final = (("A", 20), ("B", 5), ("C", 2))
"""Grade and the part of the stored scores that it may hold: one in 20, in 5, in 2. The rest is "D"."""


PROFILE_WIDTH: Final = 20
"""Numbers that a profile keeps of each column: nine edges, ten shares, the share that is missing."""


@dataclass(frozen=True, eq=False)
class Linear:
    """The linear half: ``intercept + sum_j coef_j z_j + missing_coef_j (isnan(x_j) - missing_rate_j)``.

    ``z = (sign(x) log1p(|x|) - mean) / scale``, and 0 where x is missing.

    Attributes
    ----------
    mean, scale, coef, missing_coef, missing_rate : float64 arrays of shape (columns,)
        See `leadlight.kernels.linear.linear_margin`.
    intercept : float
    low, high : float64 arrays of shape (columns,), optional
        Smallest and largest training value: x is held between them, for a line knows nothing beyond. None: it is not held.
    """

    mean: Floats
    scale: Floats
    coef: Floats
    missing_coef: Floats
    missing_rate: Floats
    intercept: float
    low: Floats | None = None
    high: Floats | None = None

    def margin(self, X: Floats) -> Floats:
        """Return the margin of rows of shape (n, columns), NaN is missing."""
        native = native_kernels()
        if native is None:
            return linear_margin(self.held(X), *self.arrays, self.intercept)
        return native_margin(native, self.tabulated, self.intercept, X)

    def contributions(self, X: Floats) -> Floats:
        """Return what each column adds to the margin, shape (n, columns); the intercept is the base."""
        native = native_kernels()
        if native is None:
            return linear_contributions(self.held(X), *self.arrays)
        return native_contributions(native, self.tabulated, X)

    def held(self, X: Floats) -> Floats:
        """Return X between `low` and `high`; NaN stays NaN."""
        if self.low is None or self.high is None:
            return X
        return np.asarray(np.minimum(np.maximum(X, self.low), self.high))

    @property
    def arrays(self) -> tuple[Floats, Floats, Floats, Floats, Floats]:
        """The five arrays in the order of the kernel's parameters."""
        return self.mean, self.scale, self.coef, self.missing_coef, self.missing_rate

    @cached_property
    def tabulated(self) -> Floats:
        """The numbers of each column as the native kernel reads them."""
        # Two threads may both make it: the results are equal, and the last one stays.
        return tabulated(*self.arrays, self.low, self.high)

    def __getstate__(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)}


@dataclass(frozen=True)
class Calibration:
    """Margin m to log-odds: ``slope * m + intercept``.

    Attributes
    ----------
    slope, intercept : float
    covariance : 2 x 2 nested tuple of float
        Of (slope, intercept); all zero means unknown.
    """

    slope: float
    intercept: float
    covariance: tuple[tuple[float, float], tuple[float, float]] = ((0.0, 0.0), (0.0, 0.0))

    @property
    def known(self) -> bool:
        """Whether the uncertainty is known."""
        return any(value != 0.0 for row in self.covariance for value in row)


@dataclass(frozen=True, eq=False)
class Model:
    """Trees and a linear half, blended and calibrated. Read only, so threads may share it.

    Attributes
    ----------
    columns : tuple of str
        Feature names; boosters know them as f0..fn, or the encoded ones where there is an encoding.
    trees : Trees or None
    linear : Linear or None
    tree_weight, linear_weight : float
        The margin is ``tree_weight * trees + linear_weight * linear``; the weight of a part that is None is 0.
    calibration : Calibration
    quantiles : float64 array of shape (k,)
        Sorted out-of-fold probabilities at the latest training cutoff; may be empty.
    threshold : float
        A member is qualified from this probability on; NaN: nobody is.
    encoding : Encoding or None
        What trees and linear half read in place of columns of categories; None: every column is a number.
    profile : float64 array of shape (columns, 20) or None
        How the training rows were spread, for monitoring; see `leadlight.tracking.profile`. No answer depends on it.
    """

    columns: tuple[str, ...]
    trees: Trees | None
    linear: Linear | None
    tree_weight: float
    linear_weight: float
    calibration: Calibration
    quantiles: Floats
    threshold: float
    encoding: Encoding | None = None
    profile: Floats | None = None

    @property
    def levels(self) -> tuple[Levels | None, ...] | None:
        """The known values of each column of categories; None where every column is a number."""
        return None if self.encoding is None else self.encoding.levels

    def margin(self, X: ArrayLike) -> Floats:
        """Return the blended margin.

        Parameters
        ----------
        X : array of shape (n, columns)
            NaN is missing; categories are codes, as `leadlight.runtime.align.align` gives them.

        Returns
        -------
        float64 array of shape (n,)

        Raises
        ------
        InputError
            X has another width or holds an infinity.
        """
        return self._margin(self._matrix(X))

    def log_odds(self, X: ArrayLike) -> Floats:
        """Return calibrated log-odds, shape (n,); parameters and errors as in `margin`."""
        return self._log_odds_of(self.margin(X))

    def probability(self, X: ArrayLike, threads: int = 1) -> Floats:
        """Return calibrated probabilities, shape (n,); rows are shared out to so many threads; else as in `margin`."""
        X = self._matrix(X, native_kernels())
        if len(X) == 1:
            return np.array([self.probability_of(X)])
        (p,) = in_parts(lambda rows: (sigmoid(self._log_odds_of(self._margin(X[rows]))),), len(X), threads)
        return p

    def probability_of(self, row: ArrayLike) -> float:
        """Return what `probability` does for one row, of shape (1, columns); the fastest way to ask for one."""
        native = native_kernels()
        X = self._row(row, native)
        return sigmoid_of(self._log_odds_of(self._margin_of(X, native)))

    def interval(self, X: ArrayLike) -> tuple[Floats, Floats]:
        """Return the 95 % interval of the probability from the uncertainty of the calibration.

        Log-odds +- 1.96 standard errors by the delta method with gradient (margin, 1).

        Returns
        -------
        low, high : float64 arrays of shape (n,)
            NaN where the covariance is unknown.
        """
        return self.scores(X)[1:]

    def scores(self, X: ArrayLike, threads: int = 1) -> tuple[Floats, Floats, Floats]:
        """Return `probability` and both ends of `interval`, from one margin; parameters and errors as there."""
        X = self._matrix(X, native_kernels())
        if len(X) == 1:
            one = self.score(X)
            return np.array([one[0]]), np.array([one[1]]), np.array([one[2]])
        p, low, high = in_parts(lambda rows: self._scores(X[rows]), len(X), threads)
        return p, low, high

    def score(self, row: ArrayLike) -> tuple[float, float, float]:
        """Return what `scores` does for one row, of shape (1, columns), as numbers."""
        native = native_kernels()
        X = self._row(row, native)
        # As `_scores`, number by number: arrays of one item take most of the time of a single row.
        m = self._margin_of(X, native)
        s = self._log_odds_of(m)
        if not self.calibration.known:
            return sigmoid_of(s), math.nan, math.nan
        (aa, ab), (_, bb) = self.calibration.covariance
        half = _NORMAL_95 * math.sqrt(max(m * m * aa + 2.0 * m * ab + bb, 0.0))
        return sigmoid_of(s), sigmoid_of(s - half), sigmoid_of(s + half)

    def _scores(self, X: Floats) -> tuple[Floats, Floats, Floats]:
        m = self._margin(X)
        s = self._log_odds_of(m)
        if not self.calibration.known:
            return sigmoid(s), np.full(len(m), np.nan), np.full(len(m), np.nan)
        (aa, ab), (_, bb) = self.calibration.covariance
        half = _NORMAL_95 * np.sqrt(np.maximum(m * m * aa + 2.0 * m * ab + bb, 0.0))
        return sigmoid(s), sigmoid(s - half), sigmoid(s + half)

    def _log_odds_of(self, m: M) -> M:
        return self.calibration.slope * m + self.calibration.intercept

    def contributions(self, X: ArrayLike, threads: int = 1) -> tuple[Floats, float]:
        """Return what each column adds to the calibrated log-odds.

        Exact path-dependent SHAP values of the trees, on so many threads, plus the terms of the linear half.

        Returns
        -------
        values : float64 array of shape (n, columns)
        base : float
            ``base + values.sum(axis=1)`` is `log_odds`, up to rounding.
        """
        X = self._encoded(self._matrix(X, native_kernels()))
        values, base = np.zeros(X.shape), 0.0
        if self.trees is not None:
            part, expected = shap(self.trees, X, self._shap_tables, threads)
            values += self.tree_weight * part
            base += self.tree_weight * expected
        if self.linear is not None:
            values += self.linear_weight * self.linear.contributions(X)
            base += self.linear_weight * self.linear.intercept
        if self.encoding is not None:
            values = self.encoding.gather(values)
        return self.calibration.slope * values, self.calibration.slope * base + self.calibration.intercept

    def percentile(self, p: ArrayLike) -> Floats:
        """Return 100 times the share of stored probabilities that are at most `p`; NaN without any."""
        p = np.asarray(p, dtype=np.float64)
        if not len(self.quantiles):
            return np.full(p.shape, np.nan)
        share = np.searchsorted(self.quantiles, p, "right") / len(self.quantiles)
        return np.where(np.isnan(p), np.nan, 100.0 * share)

    def grade(self, p: ArrayLike) -> NDArray[np.str_]:
        """Return "A" (top 5 %), "B" (to 20 %), "C" (to 50 %) or "D"; "" without stored probabilities.

        The share counts stored probabilities at or above `p`: however many are tied, no grade holds more than its share.
        """
        p = np.asarray(p, dtype=np.float64)
        grades = np.full(p.shape, "D" if len(self.quantiles) else "")
        above = len(self.quantiles) - np.searchsorted(self.quantiles, p, "left")
        for grade, part in reversed(GRADES):
            if len(self.quantiles):
                grades = np.where(above * part <= len(self.quantiles), grade, grades)
        return np.where(np.isnan(p), "", grades)

    def qualified(self, p: ArrayLike) -> NDArray[np.bool_]:
        """Return whether each probability reaches the threshold."""
        return np.asarray(np.asarray(p, dtype=np.float64) >= self.threshold)

    def standing(self, p: float) -> tuple[str, float, bool]:
        """Return `grade`, `percentile` and `qualified` of one probability, as they are there."""
        stored, n = self._stored, len(self.quantiles)
        if not n or math.isnan(p):
            return "", math.nan, p >= self.threshold
        above = n - bisect_left(stored, p)
        grade = next((grade for grade, part in GRADES if above * part <= n), "D")
        return grade, 100.0 * (bisect_right(stored, p) / n), p >= self.threshold

    def prepare(self) -> None:
        """Make now what else the first call would make, so that threads and forked children find it made."""
        row = np.zeros((1, len(self.columns)))
        self.standing(self.score(row)[0])
        self.contributions(row)

    def validate(self) -> None:
        """Check that every answer is defined and finite for every row of finite or missing values.

        Raises
        ------
        BundleError
            A part is missing, of the wrong shape, not finite or out of its range.
        """
        width = len(self.columns)
        _require(
            width > 0 and all(isinstance(c, str) and c for c in self.columns),
            "it has no columns or one without a name",
        )
        _require(len(set(self.columns)) == width, "it names a column twice")
        _require(self.trees is not None or self.linear is not None, "it has neither trees nor a linear half")
        numbers = (self.tree_weight, self.linear_weight, self.calibration.slope, self.calibration.intercept)
        _require(all(_is_number(v) for v in numbers), "a weight or the calibration is not a finite number")
        if self.encoding is not None:
            self.encoding.validate(width)
            width = self.encoding.width
        bound = 0.0
        if self.trees is None:
            _require(self.tree_weight == 0.0, "it weighs trees that it does not have")
        else:
            self.trees.validate()
            _require(
                self.trees.n_features == width, f"its trees read {self.trees.n_features} of {width} columns"
            )
            bound += abs(self.tree_weight) * float(np.abs(self.trees.leaf_value).sum())
        if self.linear is None:
            _require(self.linear_weight == 0.0, "it weighs a linear half that it does not have")
        else:
            bound += abs(self.linear_weight) * _linear_bound(self.linear, width)
        _require(bound * (1.0 + abs(self.calibration.slope)) <= _BOUND, "its margin is not bounded")
        _require(abs(self.calibration.intercept) <= _BOUND, "its calibration is not bounded")
        _check_covariance(self.calibration.covariance)
        q = self.quantiles
        _require(
            isinstance(q, np.ndarray) and q.dtype == np.float64 and q.ndim == 1,
            "its quantiles are no list of numbers",
        )
        _require(
            bool(((q >= 0.0) & (q <= 1.0)).all() and (q[1:] >= q[:-1]).all()),
            "its quantiles are not sorted in 0..1",
        )
        _require(
            isinstance(self.threshold, float) and not math.isinf(self.threshold), "its threshold is no number"
        )
        if self.profile is not None:
            sound = self.profile.dtype == np.float64 and self.profile.shape == (
                len(self.columns),
                PROFILE_WIDTH,
            )
            _require(sound, f"its profile is no table of {PROFILE_WIDTH} numbers a column")

    @cached_property
    def _shap_tables(self) -> ShapTables:
        # Two threads may both compute it: the results are equal, and the last one stays.
        if self.trees is None:
            raise InputError("This model has no trees to explain.")
        return prepare(self.trees)

    @cached_property
    def _stored(self) -> list[float]:
        stored: list[float] = self.quantiles.tolist()
        return stored

    def __getstate__(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def _encoded(self, X: Floats) -> Floats:
        return X if self.encoding is None else self.encoding.encode(X)

    def _margin(self, X: Floats) -> Floats:
        X = self._encoded(X)
        m = np.zeros(len(X))
        if self.trees is not None:
            m = m + self.tree_weight * margin(self.trees, X)
        if self.linear is not None:
            m = m + self.linear_weight * self.linear.margin(X)
        return m

    def _margin_of(self, X: Floats, native: Any) -> float:
        if native is None:
            return float(self._margin(X)[0])
        X = self._encoded(X)
        m = 0.0
        # The kernels themselves: what lies around them is checked already, or is for many rows.
        if self.trees is not None:
            m += self.tree_weight * trees_margin(native, self.trees, X, 1).item()
        if self.linear is not None:
            m += (
                self.linear_weight
                * native_margin(native, self.linear.tabulated, self.linear.intercept, X).item()
            )
        return m

    def _row(self, row: ArrayLike, native: Any) -> Floats:
        X = self._matrix(row, native)
        if len(X) != 1:
            raise InputError(f"row has shape {X.shape}; give one row, of shape (1, {len(self.columns)}).")
        return X

    def _matrix(self, X: ArrayLike, native: Any = None) -> Floats:
        X = np.ascontiguousarray(X, dtype=np.float64)
        if X.ndim != 2 or X.shape[1] != len(self.columns):
            raise InputError(f"X has shape {X.shape}; the model needs (n, {len(self.columns)}).")
        if native.has_infinity(X) if native is not None else np.isinf(X).any():
            raise InputError(
                "X holds infinities; replace them by numbers, or by NaN where the value is missing."
            )
        return X


def in_parts(call: Callable[[slice], tuple[Floats, ...]], n: int, threads: int = 1) -> tuple[Floats, ...]:
    """Return arrays made by `call` of parts of n rows, on so many threads, put together in the order of the rows.

    Raises
    ------
    InputError
        `threads` is no positive number.
    """
    if isinstance(threads, bool) or not isinstance(threads, int | np.integer) or threads < 1:
        raise InputError(f"threads is {threads!r}; give 1 or more.")
    # A part fits a processor's cache, and there are enough of them that threads end at about the same time.
    parts = [slice(start, start + _ROWS) for start in range(0, max(n, 1), _ROWS)]
    if len(parts) == 1:
        return call(parts[0])
    if threads == 1:
        found = list(map(call, parts))
    else:
        with ThreadPoolExecutor(int(threads)) as pool:
            found = list(pool.map(call, parts))
    return tuple(np.concatenate(columns) for columns in zip(*found, strict=True))


def _linear_bound(linear: Linear, width: int) -> float:
    """Return the largest margin that the linear half can give, after checking it."""
    held = () if linear.low is None and linear.high is None else (linear.low, linear.high)
    for array in (*linear.arrays, *held):
        sound = isinstance(array, np.ndarray) and array.dtype == np.float64 and array.shape == (width,)
        _require(
            sound and bool(np.isfinite(array).all()),
            f"its linear half does not hold {width} finite numbers of each kind",
        )
    _require(
        linear.low is None or linear.high is None or bool((linear.low <= linear.high).all()),
        "a column of its linear half is held between a larger and a smaller value",
    )
    _require(bool((linear.scale > 0.0).all()), "a scale of its linear half is not positive")
    _require(
        bool(((linear.missing_rate >= 0.0) & (linear.missing_rate <= 1.0)).all()),
        "a missing rate is not in 0..1",
    )
    _require(_is_number(linear.intercept), "the intercept of its linear half is not a finite number")
    with np.errstate(over="ignore", invalid="ignore"):
        terms = np.abs(linear.coef) * ((_LARGEST_LOG + np.abs(linear.mean)) / linear.scale) + np.abs(
            linear.missing_coef
        )
        total = float(terms.sum()) + abs(linear.intercept)
    _require(math.isfinite(total), "its linear half is not bounded")
    return total


def _check_covariance(covariance: Any) -> None:
    sound = isinstance(covariance, tuple) and len(covariance) == 2
    sound = sound and all(
        isinstance(row, tuple) and len(row) == 2 and all(map(_is_number, row)) for row in covariance
    )
    _require(sound, "the covariance of its calibration is not 2 x 2 numbers")
    (aa, ab), (ba, bb) = covariance
    _require(
        ab == ba and min(aa, bb) >= 0.0 and max(aa, bb) <= _BOUND, "the covariance of its calibration is none"
    )
    _require(ab * ab <= aa * bb * (1.0 + 1e-6), "the covariance of its calibration is none")


def _is_number(value: Any) -> bool:
    return isinstance(value, float | int) and not isinstance(value, bool) and math.isfinite(value)


def _require(sound: bool, problem: str) -> None:
    if not sound:
        raise BundleError(f"The model is not valid: {problem}. It is damaged; train it again.")
