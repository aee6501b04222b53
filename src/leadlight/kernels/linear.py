"""The linear half of the model: logarithms, standardised columns and missing indicators.

Sums run from the first column to the last, so a row alone and the same row in a batch give the same bits. The native kernel
takes its logarithms from NumPy, so that it gives the same bits as the reference.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from leadlight.errors import InputError
from leadlight.kernels.native import native_kernels

Floats = NDArray[np.float64]

_BLOCK_CELLS: Final = 1 << 18  # a few MB of scratch


def signed_log(X: ArrayLike) -> Floats:
    """Return ``sign(x) * log1p(|x|)`` of every value; NaN stays NaN."""
    X = np.asarray(X, dtype=np.float64)
    return np.asarray(np.copysign(np.log1p(np.abs(X)), X))


def linear_margin(
    X: Floats,
    mean: Floats,
    scale: Floats,
    coef: Floats,
    missing_coef: Floats,
    missing_rate: Floats,
    intercept: float,
) -> Floats:
    """Return the intercept plus the contributions of all columns.

    Parameters
    ----------
    X : float64 array of shape (n, n_features)
        Raw features; NaN is missing.
    mean, scale : float64 arrays of shape (n_features,)
        Of ``signed_log`` of the present training values.
    coef : float64 array of shape (n_features,)
        Log-odds per standardised unit.
    missing_coef, missing_rate : float64 arrays of shape (n_features,)
        Log-odds of a missing value and the share of missing training values.
    intercept : float

    Returns
    -------
    float64 array of shape (n,)
        Finite for finite parameters and for features without infinities.

    Raises
    ------
    InputError
        Shapes disagree.
    """
    X, parameters = _matched(X, mean, scale, coef, missing_coef, missing_rate)
    native = native_kernels()
    if native is not None:
        return native_margin(native, tabulated(*parameters), intercept, X)
    out = np.empty(len(X))
    width = X.shape[1] + 1
    rows = max(1, _BLOCK_CELLS // width)
    for start in range(0, len(X), rows):
        block = X[start : start + rows]
        terms = np.empty((len(block), width))
        terms[:, 0] = intercept
        terms[:, 1:] = _terms(block, parameters)
        out[start : start + rows] = np.add.accumulate(terms, axis=1)[:, -1]
    return out


def tabulated(
    mean: Floats,
    scale: Floats,
    coef: Floats,
    missing_coef: Floats,
    missing_rate: Floats,
    low: Floats | None = None,
    high: Floats | None = None,
) -> Floats:
    """Return what `native_margin` reads of each column, shape (n_features, 9); `low` and `high` hold values between them."""
    bounds = (
        np.full(len(mean), end) if held is None else held for end, held in ((-np.inf, low), (np.inf, high))
    )
    low, high = bounds
    present = missing_coef * (0.0 - missing_rate)
    missing = coef * 0.0 + missing_coef * (1.0 - missing_rate)
    return np.column_stack(
        [low, high, signed_log(low), signed_log(high), mean, scale, coef, present, missing]
    ).astype(np.float64)


def native_margin(native: Any, columns: Floats, intercept: float, X: Floats) -> Floats:
    """Return `linear_margin` of a C-contiguous X; `columns` are `tabulated`."""
    out = np.empty(len(X))
    _native(native.linear_margin, columns, intercept, X, out)
    return out


def native_contributions(native: Any, columns: Floats, X: Floats) -> Floats:
    """Return `linear_contributions` of a C-contiguous X; `columns` are `tabulated`."""
    out = np.empty(X.shape)
    _native(native.linear_terms, columns, 0.0, X, out)
    return out


def _native(call: Any, columns: Floats, intercept: float, X: Floats, out: Floats) -> None:
    rows = max(1, _BLOCK_CELLS // max(1, X.shape[1]))
    for start in range(0, len(X), rows):
        block = X[start : start + rows]
        call(columns, intercept, block, np.log1p(np.abs(block)), out[start : start + rows])


def linear_contributions(
    X: Floats, mean: Floats, scale: Floats, coef: Floats, missing_coef: Floats, missing_rate: Floats
) -> Floats:
    """Return each column's share of `linear_margin`, shape (n, n_features); the intercept is the base.

    A column gives ``coef * z + missing_coef * (isnan(x) - missing_rate)`` with
    ``z = (signed_log(x) - mean) / scale``, and ``z = 0`` where x is missing. Parameters and errors are those
    of `linear_margin`.
    """
    X, parameters = _matched(X, mean, scale, coef, missing_coef, missing_rate)
    native = native_kernels()
    if native is not None:
        return native_contributions(native, tabulated(*parameters), X)
    out = np.empty(X.shape)
    rows = max(1, _BLOCK_CELLS // max(1, X.shape[1]))
    for start in range(0, len(X), rows):
        out[start : start + rows] = _terms(X[start : start + rows], parameters)
    return out


def sigmoid(s: ArrayLike) -> Floats:
    """Return ``1 / (1 + exp(-s))`` without overflow, exact in relative terms for very negative s too."""
    s = np.asarray(s, dtype=np.float64)
    small = np.exp(-np.abs(s))
    return np.asarray(np.where(s < 0.0, small, 1.0) / (1.0 + small))


def sigmoid_of(s: float) -> float:
    """Return `sigmoid` of one number, with the bits that it has in an array; several times faster."""
    small = float(np.exp(-abs(s)))
    return (small if s < 0.0 else 1.0) / (1.0 + small)


def _terms(X: Floats, parameters: tuple[Floats, ...]) -> Floats:
    mean, scale, coef, missing_coef, missing_rate = parameters
    missing = np.isnan(X)
    z = np.where(missing, 0.0, (signed_log(X) - mean) / scale)
    return coef * z + missing_coef * (missing - missing_rate)


def _matched(X: Floats, *parameters: Floats) -> tuple[Floats, tuple[Floats, ...]]:
    X = np.ascontiguousarray(X, dtype=np.float64)
    arrays = tuple(np.asarray(parameter, dtype=np.float64) for parameter in parameters)
    shapes = sorted({array.shape for array in arrays})
    if X.ndim != 2 or shapes != [(X.shape[1],)]:
        raise InputError(
            f"X has shape {X.shape} and the parameters have shapes {shapes}. "
            "Pass X of shape (n, n_features) and one value of each parameter per feature."
        )
    return X, arrays
