"""The linear part of the learner: a ridge logistic regression on signed logs, for several strengths at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from leadlight.estimators.ascent import Ascent
from leadlight.kernels.linear import signed_log
from leadlight.runtime.model import Linear

Values = NDArray[np.float64]

BLOCK_CELLS = 1 << 17
"""Values whose logarithms are taken at once, a MB."""

_LOG_2 = float(np.log(2.0))


def fit_linear(X: Values, y: Values, weight: Values, strength: float) -> Linear:
    """Fit one ridge, with one thread of BLAS; see `fit_ridges`."""
    with threadpool_limits(1, "blas"):
        return fit_ridges(X, y, weight, [strength])[0]


def fit_ridges(
    X: Values,
    y: Values,
    weight: Values,
    strengths: Sequence[float],
    indicator: NDArray[np.bool_] | None = None,
    signs: NDArray[np.int64] | None = None,
    offset: Values | None = None,
) -> list[Linear]:
    """Fit a ridge logistic regression on standardised signed logs, with an indicator for what is missing.

    Parameters
    ----------
    X : float64 array of shape (n, columns)
        NaN is missing.
    y, weight : float64 arrays of shape (n,)
    strengths : sequence of float
        Inverse strengths of the penalty; each fit starts from the one before, so that several cost little more than one.
    indicator : bool array of shape (columns,), optional
        Columns of 0 and 1 for one value of a category. They are centred and not scaled: the penalty then shrinks rare values
        more, as a random effect would.
    signs : int array of shape (columns,), optional
        -1 or 1 for a coefficient that may not have the other sign.
    offset : float64 array of shape (n,), optional
        Log-odds that each row starts from, and that the fit leaves out; they average to 0.

    Returns
    -------
    list of Linear
        In the order of `strengths`.
    """
    columns = X.shape[1]
    step = max(1, BLOCK_CELLS // max(1, columns))
    blocks = [slice(at, at + step) for at in range(0, len(X), step)]
    present, mean, spread, low, high = _seen(X, blocks)
    rate = (len(X) - present) / len(X)
    varies = spread > 1e-9 * np.maximum(1.0, np.abs(mean))
    scale = np.where(varies, spread, 1.0)
    if indicator is not None:
        scale = np.where(indicator, _LOG_2, scale)
    number, gap = np.flatnonzero(varies), np.flatnonzero((present > 0) & (present < len(X)))
    numbers = len(number)
    # The one array as large as X: logarithms are taken twice, block by block, rather than kept.
    design = np.empty((len(X), numbers + len(gap) + 1))
    for block in blocks:
        logs, missing = signed_log(X[block]), np.isnan(X[block])
        logs -= mean
        logs /= scale
        np.copyto(logs, 0.0, where=missing)
        design[block, :numbers] = logs if numbers == columns else np.take(logs, number, axis=1)
        design[block, numbers:-1] = missing[:, gap] - rate[gap]
    design[:, -1] = 1.0
    wanted = np.zeros(design.shape[1], dtype=np.int64)
    if signs is not None:
        wanted[:numbers] = signs[number]
    share = float(np.average(y, weights=weight))
    beta = np.zeros(design.shape[1])
    beta[-1] = np.log(share / (1 - share))
    ascent, found = Ascent(design, y, weight, wanted, offset), {}
    # From the strongest penalty on: its solution lies nearest to the start, and each next one near the last.
    for strength in sorted(set(strengths)):
        beta = ascent.climb(strength, beta)
        coef, missing_coef = np.zeros(columns), np.zeros(columns)
        coef[number] = beta[:numbers]
        missing_coef[gap] = beta[numbers:-1]
        found[strength] = Linear(mean, scale, coef, missing_coef, rate, float(beta[-1]), low, high)
    return [found[strength] for strength in strengths]


def _seen(X: Values, blocks: Sequence[slice]) -> tuple[Values, Values, Values, Values, Values]:
    """Return of each column how many values are present, mean and spread of their logarithms, and the smallest and the largest value.

    0 where none is present. Blocks are joined by their means, so that a large mean costs the spread no digits.
    """
    columns = X.shape[1]
    present, mean, squares = np.zeros(columns), np.zeros(columns), np.zeros(columns)
    low, high = np.full(columns, np.inf), np.full(columns, -np.inf)
    for block in blocks:
        rows = X[block]
        missing, logs = np.isnan(rows), signed_log(rows)
        np.copyto(logs, 0.0, where=missing)
        count = len(rows) - missing.sum(axis=0)
        own = logs.sum(axis=0) / np.maximum(count, 1)
        logs -= own
        np.copyto(logs, 0.0, where=missing)
        both = np.maximum(present + count, 1)
        squares += np.einsum("ij,ij->j", logs, logs) + (own - mean) ** 2 * present * count / both
        mean += (own - mean) * count / both
        present += count
        low, high = np.fmin(low, np.fmin.reduce(rows)), np.fmax(high, np.fmax.reduce(rows))
    some = present > 0
    spread = np.sqrt(squares / np.maximum(present, 1))
    return present, mean, spread, np.where(some, low, 0.0), np.where(some, high, 0.0)
