"""Who was approached decides which labels mean no: training weights, calibration rows and the estimand's sentence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from leadlight.community import Community
from leadlight.errors import InputError
from leadlight.estimators.calibration import FEW_POSITIVES
from leadlight.evaluation.redraws import account_codes, effective
from leadlight.evaluation.views import propensity_weights
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


@dataclass(frozen=True)
class Calibrated:
    """Rows that calibration may be fitted on, and with that what the probability is of.

    Attributes
    ----------
    weight : float64 array of shape (n,), or None
        0 for a row that is left out; None for all rows.
    approached, weighted : bool
        Approached rows alone; and by the inverse of their propensity.
    told : str
        Why, in one sentence; empty where nothing is known of approaches.
    """

    weight: NDArray[np.float64] | None
    approached: bool = False
    weighted: bool = False
    told: str = ""

    def estimand(self, horizon_days: float) -> str:
        """Return what the probability is of, in one sentence."""
        if not self.approached:
            return f"P(won within {horizon_days:g} days) under present sales practice"
        told = f"P(won within {horizon_days:g} days | approached), "
        if self.weighted:
            return told + "weighted by the inverse of the logged chance of each approach"
        return told + "assuming that who is approached is ignorable given the features"


def calibrated_on(
    selection: Selection,
    community: Community,
    rows: Observations,
    label: NDArray[np.float64],
    whole: NDArray[np.bool_],
) -> Calibrated:
    """Return the rows to calibrate on: approached ones where it is known who was, and a deal among them was won.

    They weigh 1 / propensity where every approach of these rows has one: then they stand for everybody who could have
    been approached. Otherwise all weigh the same, for a row whose chance is unknown cannot be set against one that stands
    for hundreds. So they do where the weights leave fewer than 20 equal buyers, who could not say what the slope is.

    Parameters
    ----------
    selection : {"auto", "none", "discount", "contacted-only"}
        As it was asked for: where "auto" compared, the probability is of the same thing whichever it kept.
    community : Community
    rows : Observations
        n training rows.
    label : float64 array of shape (n,)
    whole : bool array of shape (n,)
        Rows with a label of their own, of a whole window.

    Raises
    ------
    InputError
        If a propensity is not in (0, 1].
    """
    asked = contacted(rows) & whole
    if choose(selection, rows) == "none" or not label[asked].any():
        return Calibrated(None if whole.all() else whole.astype(np.float64))
    alike = asked.astype(np.float64)
    stands_for = np.where(asked, propensity_weights(community, rows), 0.0)
    if not (stands_for[asked] > 0).all():
        told = "Approached rows are calibrated on alike: not all approaches have a logged propensity."
        return Calibrated(alike, approached=True, told=told)
    bought = np.bincount(account_codes(rows.groups), stands_for * (label > 0))
    equal = effective(bought.astype(np.float64))
    if equal < FEW_POSITIVES:
        told = (
            f"Approached rows are calibrated on alike: by inverse propensity their buyers carry as much as {equal:.1f} equal "
            f"ones, and fewer than {FEW_POSITIVES} cannot tell."
        )
        return Calibrated(alike, approached=True, told=told)
    told = "Approached rows are calibrated on by the inverse of their logged propensity."
    return Calibrated(stands_for, approached=True, weighted=True, told=told)
