"""From margin to probability: a logistic line on out-of-fold margins, with an honest covariance."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from leadlight.kernels.linear import sigmoid
from leadlight.runtime.model import Calibration

Values = NDArray[np.float64]

FEW_POSITIVES = 20
"""Below this many positive groups the slope stays 1 and only the intercept is fitted."""

ENOUGH_POSITIVES = 100
"""The latest cutoffs that hold this many positive rows are calibrated on, or half of them where that is fewer."""

SMALLEST_SLOPE = 0.05

NONE = Calibration(1.0, 0.0, ((0.0, 0.0), (0.0, 0.0)))


def latest_rows(
    times: NDArray[Any] | None, y: Values, groups: NDArray[Any], enough: int = ENOUGH_POSITIVES
) -> NDArray[np.bool_]:
    """Mark the rows of the latest times that hold `enough` positives and enough positive groups for a slope, or all.

    A hundred rows may belong to five accounts, and five accounts cannot say what the slope is. Where there are fewer than
    twice `enough` positives, half of them are enough: margins drift as histories grow, and all times together would say
    what the level was in between.
    """
    if times is None or not len(y):
        return np.ones(len(y), bool)
    order = np.argsort(times, kind="stable")[::-1]
    hits = np.flatnonzero(y[order] > 0)
    fresh = np.zeros(len(hits))
    fresh[np.unique(groups[order[hits]], return_index=True)[1]] = 1.0
    enough = min(enough, int(np.ceil(y.sum() / 2)))
    enough_at = np.flatnonzero((np.cumsum(y[order[hits]]) >= enough) & (np.cumsum(fresh) >= FEW_POSITIVES))
    if not len(enough_at):
        return np.ones(len(y), bool)
    result: NDArray[np.bool_] = times >= times[order[hits[enough_at[0]]]]
    return result


def fit_sigmoid(
    margin: Values, y: Values, weight: Values, groups: NDArray[Any], most: float = np.inf
) -> Calibration:
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
    most : float, optional
        The slope is no larger: what later rows bear, see `slope_in_time`.

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
    beta = climb(beta, design, y, weight, free)
    # Margins that rank no better than chance out of fold keep their order and say almost nothing; the mean stays right.
    held = beta[0] if few else max(min(beta[0], most), SMALLEST_SLOPE)
    if held != beta[0]:
        beta = climb(np.array([held, beta[1]]), design, y, weight, np.array([False, True]))
    p = sigmoid(design @ beta)
    scores = design * (weight * (y - p))[:, None]
    _, codes = np.unique(groups, return_inverse=True)
    summed = np.zeros((codes.max() + 1, 2))
    np.add.at(summed, codes, scores)
    hessian = (design * (weight * p * (1 - p))[:, None]).T @ design + 1e-9 * np.eye(2)
    covariance = np.zeros((2, 2))
    inverse = np.linalg.inv(hessian[np.ix_(free, free)])
    # As a sum of squares: multiplied out, rounding makes it no covariance where the classes are all but separated.
    moved = summed[:, free] @ inverse
    covariance[np.ix_(free, free)] = moved.T @ moved
    cross = float(covariance[0, 1])
    return Calibration(
        float(beta[0]), float(beta[1]), ((float(covariance[0, 0]), cross), (cross, float(covariance[1, 1])))
    )


def slope_in_time(
    margin: Values, y: Values, weight: Values, groups: NDArray[Any], block: NDArray[np.int64]
) -> float:
    """Return the slope that margins of later rows bear, each period with a level of its own.

    Margins of folds at random know the periods that they are judged in, and are trusted too far where periods differ.

    Parameters
    ----------
    margin : float64 array of shape (n,)
        By fits on earlier rows.
    y, weight : float64 arrays of shape (n,)
        Rows without weight do not count.
    groups, block : arrays of shape (n,)
        Accounts and periods.

    Returns
    -------
    float
        Infinity where fewer than 20 positive groups are left to say so.
    """
    there = weight > 0
    for one in np.unique(block):
        own = there & (block == one)
        if not 0 < y[own].sum() < own.sum():
            there &= block != one
    if len(np.unique(groups[there & (y > 0)])) < FEW_POSITIVES:
        return float(np.inf)
    margin, y, weight = margin[there], y[there], weight[there]
    level = (block[there, None] == np.unique(block[there])).astype(np.float64)
    design = np.column_stack([margin, level])
    start = np.r_[1.0, np.zeros(level.shape[1])]
    return float(climb(start, design, y, weight, np.ones(len(start), bool))[0])


LONGEST_STEP = 5.0


def climb(start: Values, design: Values, y: Values, weight: Values, free: NDArray[np.bool_]) -> Values:
    """Maximise the logistic likelihood over the free coefficients: Newton steps, halved until they climb.

    Parameters
    ----------
    start : float64 array of shape (k,)
    design : float64 array of shape (n, k)
    y, weight : float64 arrays of shape (n,)
    free : bool array of shape (k,)

    Returns
    -------
    float64 array of shape (k,)
        Finite where the classes are separated, too: there it stops once nothing more is gained.
    """
    beta = start.copy()
    height = _likelihood(design @ beta, y, weight)
    for _ in range(200):
        p = sigmoid(design @ beta)
        gradient = design.T @ (weight * (y - p))
        hessian = (design * (weight * p * (1 - p))[:, None]).T @ design + 1e-9 * np.eye(len(beta))
        step = np.zeros(len(beta))
        step[free] = np.linalg.solve(hessian[np.ix_(free, free)], gradient[free])
        # Full Newton steps from a poor start overshoot and come back, for ever.
        step *= min(1.0, LONGEST_STEP / max(float(np.abs(step).max()), 1e-300))
        for _ in range(60):
            reached = _likelihood(design @ (beta + step), y, weight)
            if reached >= height:
                break
            step /= 2
        else:
            break
        beta, gained, height = beta + step, reached - height, reached
        # A gain falls with the square of the error, so the step that was just taken left none to speak of.
        if gained <= 1e-13 * float(weight.sum()):
            break
    return beta


def _likelihood(log_odds: Values, y: Values, weight: Values) -> float:
    return float(weight @ (y * log_odds - np.logaddexp(0.0, log_odds)))
