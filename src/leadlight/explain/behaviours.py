"""Contributions of columns, added up to the behaviours that a salesperson knows."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from leadlight.errors import InputError
from leadlight.plan import Plan


def by_behaviour(plan: Plan, values: ArrayLike) -> pd.DataFrame:
    """Sum the contributions of columns to behaviours.

    Parameters
    ----------
    plan : Plan
    values : array of shape (n, columns)
        Contributions in calibrated log-odds, columns in the order of the plan: `LeadQualifier.explain(...).values`.

    Returns
    -------
    DataFrame
        Shape (n, behaviours), in the order of the plan. A compiled plan gives every column to one behaviour, so that a
        row's sum stays what it was.

    Raises
    ------
    InputError
        If the values have another shape, or are not finite.
    """
    contributions = _checked(plan, values)
    position = {name: j for j, name in enumerate(plan.column_names)}
    sums = np.zeros((len(contributions), len(plan.behaviours)))
    for b, behaviour in enumerate(plan.behaviours):
        # Added from the first column to the last, as the reasons are, so that both show the same figure.
        for column in behaviour.columns:
            sums[:, b] += contributions[:, position[column]]
    return pd.DataFrame(sums, columns=pd.Index([b.name for b in plan.behaviours], name="behaviour"))


def importance(plan: Plan, values: ArrayLike) -> pd.DataFrame:
    """Say how much each behaviour moves the scores, and which way it pushes hardest.

    Parameters
    ----------
    plan : Plan
    values : array of shape (n, columns)
        As in `by_behaviour`; n is at least 1.

    Returns
    -------
    DataFrame
        Index behaviour, the most important first; ties in the order of the plan.

        mean_absolute
            Mean of the absolute contribution, in log-odds.
        direction
            1 where the strongest contributions raise the score (the mean of their cubes is positive), -1 where they
            lower it, 0 where the behaviour does nothing. Cubes, because contributions average to about zero: what
            distinguishes a behaviour is whether few members gain much by it or few lose much.
        raised
            Share of the rows whose score it raises, 0 to 1.

    Raises
    ------
    InputError
        If the values have another shape, are not finite, or hold no row.
    """
    sums = by_behaviour(plan, values)
    if not len(sums):
        raise InputError("There are no rows to say what is important in; explain at least one member.")
    found = pd.DataFrame(
        {
            "mean_absolute": sums.abs().mean(),
            "direction": np.sign((sums**3).mean()).astype(int),
            "raised": (sums > 0).mean(),
        }
    )
    return found.sort_values("mean_absolute", ascending=False, kind="stable")


def _checked(plan: Plan, values: ArrayLike) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 2 or array.shape[1] != len(plan.columns):
        raise InputError(
            f"values have shape {array.shape}, but the plan has {len(plan.columns)} columns; give shape "
            f"(n, {len(plan.columns)}), such as explain(...).values."
        )
    bad = int((~np.isfinite(array)).sum())
    if bad:
        raise InputError(
            f"{bad} of the contributions are not finite; pass contributions, not feature values."
        )
    return array
