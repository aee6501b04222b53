"""Contributions in log-odds -> points of the probability, which a reader can add up."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from leadlight.errors import InputError
from leadlight.explain.behaviours import by_behaviour
from leadlight.kernels.linear import sigmoid
from leadlight.plan import Plan

Floats = NDArray[np.float64]

BASE = "base"
"""The column of where everybody starts; no behaviour may have this name."""

MOST_DIGITS = 6


def probability_points(plan: Plan, values: ArrayLike, base: float, digits: int | None = None) -> pd.DataFrame:
    """Divide each probability among base and behaviours, in percentage points that add up to it.

    The rule: let s0 be the base and s the score in log-odds, p0 and p their probabilities. Everybody starts at p0. A
    behaviour with the contribution phi gets ``phi * (p - p0) / (s - s0)``. That is what it gains on the straight way from
    s0 to s, on which all behaviours arrive at the same pace (Aumann and Shapley's division; integrated gradients). Since the
    factor is positive, points have the sign of the contribution, equal contributions earn equal points, and nothing earns
    nothing. Where s = s0 the factor is its limit, p0 (1 - p0). The same contribution earns more points for a member whose
    score is in the middle than for one at the end: points compare behaviours of one member, not members.

    Parameters
    ----------
    plan : Plan
    values : array of shape (n, columns)
        Contributions in calibrated log-odds, columns in the order of the plan.
    base : float
        In log-odds: what completes their sum to the score.
    digits : int, optional
        Round so that the rounded points add up to the rounded probability: what is left goes to those who lost most by
        rounding down (largest remainders), ties in the order of the columns. 0 to 6.

    Returns
    -------
    DataFrame
        Shape (n, 1 + behaviours): "base", then the behaviours in the order of the plan. Percentage points: a row's sum is
        100 times the probability, to 1e-10 without `digits`.

    Raises
    ------
    InputError
        If the values have another shape or are not finite, the base is not, or `digits` is out of range.
    """
    sums = by_behaviour(plan, values)
    if BASE in sums.columns:
        raise InputError(
            f"A behaviour is named {BASE!r}, like the column of where everybody starts; rename it."
        )
    if not np.isfinite(base):
        raise InputError(f"base is {base}; give the base of the contributions, in log-odds.")
    if digits is not None and (isinstance(digits, bool) or not 0 <= digits <= MOST_DIGITS):
        raise InputError(f"digits is {digits!r}; give a whole number from 0 to {MOST_DIGITS}, or None.")
    parts = sums.to_numpy()
    start = np.full(len(parts), float(base))
    points = np.column_stack(
        [100.0 * sigmoid(start), 100.0 * parts * _pace(start, start + parts.sum(axis=1))[:, None]]
    )
    if digits is not None:
        points = _rounded(points, digits)
    return pd.DataFrame(points, columns=pd.Index([BASE, *sums.columns], name="behaviour"))


def _pace(start: Floats, end: Floats) -> Floats:
    """Return (p(end) - p(start)) / (end - start), without the cancellation of near ends."""
    low, high = np.minimum(start, end), np.maximum(start, end)
    way = high - low
    # p(high) - p(low) = p(high) p(-low) (1 - exp(-way)).
    ratio = np.divide(-np.expm1(-way), way, out=np.ones_like(way), where=way > 0)
    pace: Floats = sigmoid(high) * sigmoid(-low) * ratio
    return pace


def _rounded(points: Floats, digits: int) -> Floats:
    scaled = points * 10.0**digits
    whole = np.floor(scaled)
    left = np.rint(scaled.sum(axis=1)) - whole.sum(axis=1)
    # Remainders that differ by rounding errors alone are ties.
    remainder = np.round(scaled - whole, 9)
    place = np.argsort(np.argsort(-remainder, axis=1, kind="stable"), axis=1)
    result: Floats = (whole + (place < left[:, None])) / 10.0**digits
    return result
