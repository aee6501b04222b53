"""Training rows: checked, those without a label dropped, very many negatives thinned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leadlight.errors import InputError
from leadlight.estimators.inputs import Infinite, index_level, labels, matrix, per_row, shares, weights
from leadlight.runtime.encoding import Levels

Values = NDArray[np.float64]

ENOUGH_NEGATIVES, NEGATIVES_A_POSITIVE = 20_000, 200
"""Trees and ridge see at most this many negative rows, or so many for each positive group, whichever is more."""


@dataclass(frozen=True)
class Rows:
    """Checked training rows that have a label."""

    X: Values
    y: Values
    weight: Values
    fit_weight: Values
    groups: NDArray[Any]
    times: NDArray[Any] | None
    calibrate_on: Values
    classes: NDArray[Any]
    kept: NDArray[np.bool_]
    rows: int
    dropped: int

    @classmethod
    def checked(
        cls,
        X: Any,
        y: Any,
        sample_weight: Any,
        groups: Any,
        times: Any,
        calibrate_on: Any,
        *,
        names: tuple[str, ...] | None,
        levels: tuple[Levels | None, ...],
        infinite: Infinite,
        seed: int,
    ) -> Rows:
        """Check what `fit` was given; parameters and errors as there."""
        values = matrix(X, names, infinite, levels, quiet=True)
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
        calibrated = (
            np.ones(rows)
            if calibrate_on is None
            else shares(per_row(calibrate_on, rows, "calibrate_on"), "calibrate_on")
        )
        _, group_codes = np.unique(group.astype(str) if group.dtype == object else group, return_inverse=True)
        return cls(
            values[known],
            coded[known],
            weight[known],
            thinned(coded[known], weight[known], group_codes[known], seed),
            group_codes[known],
            None if time is None else time[known],
            calibrated[known],
            classes,
            known,
            rows,
            int((~known).sum()),
        )


def thinned(y: Values, weight: Values, groups: NDArray[Any], seed: int) -> Values:
    """Return weights in which a random part of very many negatives stands for all of them.

    How many are needed follows the won accounts: rows of one account say the same again. Each negative is drawn with a
    chance in proportion to its weight, so that those drawn weigh the same: who counts for a tenth of a no is a tenth as often there.
    """
    negatives = np.flatnonzero((y == 0) & (weight > 0))
    won = len(np.unique(groups[(y > 0) & (weight > 0)]))
    keep = max(ENOUGH_NEGATIVES, NEGATIVES_A_POSITIVE * won)
    if len(negatives) <= keep:
        return weight
    chance = _chances(weight[negatives], keep)
    rng = np.random.default_rng(seed)
    # In a random order every so-manyth on the scale of summed chances: just so many rows, each with its chance.
    order = rng.permutation(len(negatives))
    passed = np.floor(np.cumsum(chance[order]) + rng.random())
    chosen = order[np.diff(passed, prepend=0.0) > 0]
    result = np.where(y > 0, weight, 0.0)
    drawn = weight[negatives[chosen]] / chance[chosen]
    result[negatives[chosen]] = drawn * (weight[negatives].sum() / drawn.sum())
    return result


def _chances(weight: Values, keep: int) -> Values:
    """Return chances in proportion to weight, none above 1, that sum to `keep`."""
    certain = np.zeros(len(weight), bool)
    while True:
        scale = (keep - certain.sum()) / weight[~certain].sum()
        above = ~certain & (weight * scale >= 1.0)
        if not above.any():
            return np.where(certain, 1.0, weight * scale)
        certain |= above
