"""The linear part of the learner: a ridge logistic regression on signed logs, for several strengths at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from leadlight.kernels.linear import sigmoid, signed_log
from leadlight.runtime.model import Linear

Values = NDArray[np.float64]

MOST_STEPS, ENOUGH = 50, 1e-7
BLOCK_ROWS = 1 << 13
"""Newton steps a strength at most; it stops once a step gains less than this for each unit of weight."""

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

    Returns
    -------
    list of Linear
        In the order of `strengths`.
    """
    columns = X.shape[1]
    missing = np.isnan(X)
    low, high = _range(X, missing)
    rate = missing.mean(axis=0)
    present = np.maximum((~missing).sum(axis=0), 1)
    # One array from here on, changed in place: the rows of a large community fill much of a memory.
    logs = signed_log(X)
    logs[missing] = 0.0
    mean = logs.sum(axis=0) / present
    logs -= mean
    logs[missing] = 0.0
    spread = np.sqrt(np.einsum("ij,ij->j", logs, logs) / present)
    varies = spread > 1e-9 * np.maximum(1.0, np.abs(mean))
    scale = np.where(varies, spread, 1.0)
    if indicator is not None:
        scale = np.where(indicator, _LOG_2, scale)
    logs /= scale
    usable = (rate > 0) & (rate < 1)
    numbers = int(varies.sum())
    design = np.empty((len(X), numbers + int(usable.sum()) + 1))
    design[:, :numbers] = logs[:, varies]
    del logs
    design[:, numbers:-1] = missing[:, usable]
    design[:, numbers:-1] -= rate[usable]
    design[:, -1] = 1.0
    wanted = np.zeros(design.shape[1], dtype=np.int64)
    if signs is not None:
        wanted[:numbers] = signs[varies]
    share = float(np.average(y, weights=weight))
    beta = np.zeros(design.shape[1])
    beta[-1] = np.log(share / (1 - share))
    found = {}
    # From the strongest penalty on: its solution lies nearest to the start, and each next one near the last.
    for strength in sorted(set(strengths)):
        beta = _climb(design, y, weight, strength, beta, wanted)
        coef, missing_coef = np.zeros(columns), np.zeros(columns)
        coef[varies] = beta[:numbers]
        missing_coef[usable] = beta[numbers:-1]
        found[strength] = Linear(mean, scale, coef, missing_coef, rate, float(beta[-1]), low, high)
    return [found[strength] for strength in strengths]


def _range(X: Values, missing: NDArray[np.bool_]) -> tuple[Values, Values]:
    """Return the smallest and the largest present value of each column, 0 and 0 where there is none."""
    there = ~missing.all(axis=0)
    low = np.where(there, np.where(missing, np.inf, X).min(axis=0, initial=np.inf), 0.0)
    high = np.where(there, np.where(missing, -np.inf, X).max(axis=0, initial=-np.inf), 0.0)
    return low, high


def _climb(
    design: Values, y: Values, weight: Values, strength: float, start: Values, wanted: NDArray[np.int64]
) -> Values:
    """Maximise the penalised likelihood by Newton's method; the last coefficient is the intercept, without penalty."""
    penalty = np.full(design.shape[1], 1.0 / strength)
    penalty[-1] = 0.0
    beta = start.copy()
    free = np.ones(len(beta), bool)
    height = _height(design @ beta, y, weight) - 0.5 * float(penalty @ beta**2)
    for _ in range(MOST_STEPS):
        p = sigmoid(design @ beta)
        gradient = design.T @ (weight * (y - p)) - penalty * beta
        # A coefficient at its bound stays there while the slope points out of it.
        free = (wanted == 0) | (beta != 0.0) | (gradient * wanted > 0)
        step: Values = np.zeros(len(beta))
        if free.all():
            step[:] = np.linalg.solve(_hessian(design, weight * p * (1 - p), penalty), gradient)
        else:
            step[free] = np.linalg.solve(
                _hessian(design[:, free], weight * p * (1 - p), penalty[free]), gradient[free]
            )
        for _ in range(40):
            trial = beta + step
            trial[trial * wanted < 0] = 0.0
            reached = _height(design @ trial, y, weight) - 0.5 * float(penalty @ trial**2)
            if reached >= height:
                break
            step /= 2
        else:
            break
        gained, beta, height = reached - height, trial, reached
        if gained <= ENOUGH * float(weight.sum()):
            break
    return beta


def _hessian(design: Values, curvature: Values, penalty: Values) -> Values:
    found: Values = np.zeros((design.shape[1], design.shape[1]))
    root = np.sqrt(curvature)[:, None]
    # Block by block: a weighted copy of a large design would take as much memory as the design.
    for at in range(0, len(design), BLOCK_ROWS):
        rows = design[at : at + BLOCK_ROWS] * root[at : at + BLOCK_ROWS]
        # A matrix times its own transpose is half the work.
        found += rows.T @ rows
    found[np.diag_indices_from(found)] += penalty + 1e-9
    return found


def _height(log_odds: Values, y: Values, weight: Values) -> float:
    return float(weight @ (y * log_odds - np.logaddexp(0.0, log_odds)))
