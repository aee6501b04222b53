"""From margin to probability: a logistic line on out-of-fold margins, with an honest covariance."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from leadlight.runtime.model import Calibration

Values = NDArray[np.float64]

FEW_POSITIVES = 20
"""Below this many positive groups the slope stays 1 and only the intercept is fitted."""

ENOUGH_POSITIVES = 100
"""The latest cutoffs that hold this many positive rows are calibrated on; all, where there are fewer."""

SMALLEST_SLOPE = 0.05

NONE = Calibration(1.0, 0.0, ((0.0, 0.0), (0.0, 0.0)))


def latest_rows(
    times: NDArray[Any] | None, y: Values, groups: NDArray[Any], enough: int = ENOUGH_POSITIVES
) -> NDArray[np.bool_]:
    """Mark the rows of the latest times that hold `enough` positives and enough positive groups for a slope, or all.

    A hundred rows may belong to five accounts, and five accounts cannot say what the slope is.
    """
    if times is None or not len(y):
        return np.ones(len(y), bool)
    order = np.argsort(times, kind="stable")[::-1]
    hits = np.flatnonzero(y[order] > 0)
    fresh = np.zeros(len(hits))
    fresh[np.unique(groups[order[hits]], return_index=True)[1]] = 1.0
    enough_at = np.flatnonzero((np.cumsum(y[order[hits]]) >= enough) & (np.cumsum(fresh) >= FEW_POSITIVES))
    if not len(enough_at):
        return np.ones(len(y), bool)
    result: NDArray[np.bool_] = times >= times[order[hits[enough_at[0]]]]
    return result


def fit_sigmoid(margin: Values, y: Values, weight: Values, groups: NDArray[Any]) -> Calibration:
    """Fit log-odds = slope * margin + intercept by maximum likelihood.

    Parameters
    ----------
    margin : float64 array of shape (n,)
        Out-of-fold margins.
    y : float64 array of shape (n,)
        0 or 1.
    weight : float64 array of shape (n,)
    groups : array of shape (n,)
        Accounts: rows of one are not independent, so the covariance sums scores within each (the sandwich estimate).

    Returns
    -------
    Calibration
        With the covariance of (slope, intercept). With fewer than 20 positive groups the slope is fixed at 1.
    """
    positive_groups = len(np.unique(groups[y > 0]))
    few = positive_groups < FEW_POSITIVES
    design = np.stack([margin, np.ones_like(margin)], axis=1)
    beta = np.array([1.0, 0.0])
    free = np.array([not few, True])
    beta = _climb(beta, design, y, weight, free)
    if beta[0] < SMALLEST_SLOPE:
        # Margins that rank no better than chance out of fold keep their order and say almost nothing; the mean stays right.
        beta = _climb(np.array([SMALLEST_SLOPE, beta[1]]), design, y, weight, np.array([False, True]))
    p = 1.0 / (1.0 + np.exp(-np.clip(design @ beta, -500, 500)))
    scores = design * (weight * (y - p))[:, None]
    _, codes = np.unique(groups, return_inverse=True)
    summed = np.zeros((codes.max() + 1, 2))
    np.add.at(summed, codes, scores)
    meat = summed.T @ summed
    hessian = (design * (weight * p * (1 - p))[:, None]).T @ design + 1e-9 * np.eye(2)
    covariance = np.zeros((2, 2))
    inverse = np.linalg.inv(hessian[np.ix_(free, free)])
    covariance[np.ix_(free, free)] = inverse @ meat[np.ix_(free, free)] @ inverse
    cross = float(covariance[0, 1])
    return Calibration(
        float(beta[0]), float(beta[1]), ((float(covariance[0, 0]), cross), (cross, float(covariance[1, 1])))
    )


def _climb(beta: Values, design: Values, y: Values, weight: Values, free: NDArray[np.bool_]) -> Values:
    """Newton steps to the maximum of the likelihood over the free coefficients."""
    beta = beta.copy()
    for _ in range(100):
        p = 1.0 / (1.0 + np.exp(-np.clip(design @ beta, -500, 500)))
        gradient = design.T @ (weight * (y - p))
        hessian = (design * (weight * p * (1 - p))[:, None]).T @ design + 1e-9 * np.eye(2)
        step = np.zeros(2)
        step[free] = np.linalg.solve(hessian[np.ix_(free, free)], gradient[free])
        # Long first steps from a poor start overshoot; a bound keeps the iteration where the likelihood is concave.
        beta += np.clip(step, -2.0, 2.0)
        if np.abs(step).max() < 1e-10:
            break
    return beta
