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
"""Trees and ridge see at most this many negative rows, or so many for each positive, whichever is more."""


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
            thinned(coded[known], weight[known], seed),
            group_codes[known],
            None if time is None else time[known],
            calibrated[known],
            classes,
            known,
            rows,
            int((~known).sum()),
        )


def thinned(y: Values, weight: Values, seed: int) -> Values:
    """Return weights in which a random part of very many negatives stands for all of them."""
    negatives = np.flatnonzero((y == 0) & (weight > 0))
    keep = max(ENOUGH_NEGATIVES, NEGATIVES_A_POSITIVE * int(y[weight > 0].sum()))
    if len(negatives) <= keep:
        return weight
    chosen = np.random.default_rng(seed).choice(negatives, keep, replace=False)
    result = np.where(y > 0, weight, 0.0)
    result[chosen] = weight[chosen] * (weight[negatives].sum() / weight[chosen].sum())
    return result
