"""Who was approached decides which labels mean no: training weights, calibration rows and the estimand's sentence."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from leadlight.errors import InputError
from leadlight.observations import Observations

Selection = Literal["auto", "none", "discount", "contacted-only"]

DISCOUNT = 0.1
"""Weight of a member whom nobody approached and who did not buy: unlabelled rather than negative."""


def choose(selection: Selection, observations: Observations) -> Selection:
    """Return the selection that applies: "auto" discounts where a contacts table says who was approached.

    Whether "auto" keeps the discount is for `leadlight.qualifier.comparison` to say.

    Raises
    ------
    InputError
        If a selection needs contacts that the observations do not have.
    """
    if selection not in ("auto", "none", "discount", "contacted-only"):
        raise InputError(f"selection is {selection!r}; use 'auto', 'none', 'discount' or 'contacted-only'.")
    known = observations.frame["contacted"].notna().all() and len(observations) > 0
    if selection == "auto":
        return "discount" if known else "none"
    if selection != "none" and not known:
        raise InputError(f"selection={selection!r} needs a contacts table: who was approached, and when.")
    return selection


def training_weight(
    selection: Selection,
    observations: Observations,
    label: NDArray[np.float64] | None = None,
    share: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """Return each row's training weight: its account share, discounted where nobody asked and nobody bought.

    `label` and `share` replace the observations' own, where open windows or colleagues teach.
    """
    weight: NDArray[np.float64] = (observations.weight if share is None else share).copy()
    if selection == "none":
        return weight
    bought = (observations.frame["label"].to_numpy() if label is None else label) == 1
    ignored = ~contacted(observations) & ~bought
    weight[ignored] *= DISCOUNT if selection == "discount" else 0.0
    return weight


def contacted(observations: Observations) -> NDArray[np.bool_]:
    """Return which rows were approached in their window; False where that is unknown."""
    known: NDArray[np.bool_] = (observations.frame["contacted"] == True).to_numpy(bool)  # noqa: E712 - None is not True
    return known


def estimand(horizon_days: float, *, approached: bool) -> str:
    """Return what the probability is of, in one sentence; `approached`: it was calibrated on approached rows."""
    if not approached:
        return f"P(won within {horizon_days:g} days) under present sales practice"
    return f"P(won within {horizon_days:g} days | approached), assuming that who is approached is ignorable given the features"
