"""The level of each time in a lead table: what a fit starts from, so that it learns who stands above whom at one time.

A column that moves with time (an interest rate, the month, a channel opened in summer) can lower the loss by naming the time. What
it then says of the level is repaired by calibration; what it says of ranks is an accident of the years that were seen.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Codes = NDArray[np.int64]

STEPS = 10
"""Periods of as many positive rows each that have a level of their own."""

MOST_ROWS = 1.5
"""Rows of an account, on average, up to which a table is one of leads. In an event log the same accounts come again: whether
many of them are old or asleep moves the level, which their own columns tell rightly."""


def periods(times: NDArray[Any], y: Values, count: int) -> Codes:
    """Return the period of each row, `count` in the order of time: as many positive rows in each as ties allow."""
    order = np.argsort(times, kind="stable")
    won = np.cumsum(y[order])
    ends = np.searchsorted(won, won[-1] * np.arange(1, count) / count)
    return np.searchsorted(times[order[ends]], times, side="right").astype(np.int64)


def has_levels(times: NDArray[Any] | None, groups: NDArray[Any], weight: Values) -> bool:
    """Return whether levels of times are set apart: in a table of leads with several times."""
    if times is None:
        return False
    there = weight > 0
    return bool(
        np.any(times[there] != times[there][0]) and there.sum() <= MOST_ROWS * len(np.unique(groups[there]))
    )


def time_level(times: NDArray[Any], y: Values, weight: Values) -> Values | None:
    """Return the log-odds of each row's period, shrunk to their mean as far as chance explains that they differ.

    The variance between periods is estimated by moments (DerSimonian and Laird, 1986): where it is no larger than that of
    their noise the level does not move.

    Parameters
    ----------
    times : array of shape (n,)
    y, weight : float64 arrays of shape (n,)
        Both classes.

    Returns
    -------
    float64 array of shape (n,) or None
        None where the level does not move.
    """
    period = np.unique(periods(times, y, STEPS), return_inverse=True)[1]
    # A positive row is one piece of evidence, whatever unit the weights have.
    counted = weight / weight[y > 0].mean()
    won, lost = np.bincount(period, counted * y) + 0.5, np.bincount(period, counted * (1 - y)) + 0.5
    level, noise = np.log(won / lost), 1 / won + 1 / lost
    precision = 1 / noise
    mean = float(np.average(level, weights=precision))
    excess = float(precision @ (level - mean) ** 2) - (len(level) - 1)
    if len(level) < 2 or excess <= 0:
        return None
    moves = excess / float(precision.sum() - precision @ precision / precision.sum())
    shrunk: Values = mean + (level - mean) * moves / (moves + noise)
    return shrunk[period]
