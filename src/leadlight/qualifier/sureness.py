"""How sure a model of few deals is: an interval that covers what the deals could not say, and a sentence."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from leadlight.estimators import LeadClassifier
from leadlight.kernels.linear import sigmoid
from leadlight.runtime.model import Calibration

Values = NDArray[np.float64]

SLOPE_VARIANCE = 0.25
"""Prior variance of a slope that was fixed at 1: from next to nothing to twice as sharp, with 95 %.

On 48 drawn tables of 1,500 rows with some 12 positives the interval covered P(won | score) in 93 % of all rows and 94 % of
the best 5 % (without it in 91 and 87 %). A row's own chance, which so few deals cannot learn, it covered in 77 and 86 %."""

VENDORS_NEED = 120
"""Deals below which others refuse (from 40 to so many); below it the list says how far its first score may be off."""


def widened(
    classifier: LeadClassifier, label: Values, groups: NDArray[np.object_], asked: Values | None
) -> Calibration:
    """Return the calibration with an honest covariance where there were too few deals to fit its slope.

    Below 20 buyers the slope stays 1 and the fit knows the noise of the intercept alone. Here the slope varies as
    `SLOPE_VARIANCE` says and the intercept follows it, so that the mean probability stays what was observed; and the
    intercept varies by at least 1/buyers, as a count does: summed over few accounts its own estimate is too small.

    Parameters
    ----------
    classifier : LeadClassifier
        Fitted.
    label, groups : arrays of shape (n,)
        Of its training rows.
    asked : float64 array of shape (n,), optional
        Rows on which it was calibrated; 0 for one that it was not.
    """
    calibration = classifier.calibration_
    (aa, _), (_, bb) = calibration.covariance
    if not calibration.known or aa > 0:
        return calibration
    log_odds = classifier.oof_log_odds_
    rows = np.isfinite(log_odds)
    if asked is not None and 0 < label[rows & (asked > 0)].sum() < (rows & (asked > 0)).sum():
        rows &= asked > 0
    margin = (log_odds[rows] - calibration.intercept) / calibration.slope
    p = sigmoid(log_odds[rows])
    # Where the slope moves by one, the intercept moves by this the other way.
    centre = float(np.average(margin, weights=p * (1.0 - p)))
    buyers = len(np.unique(groups[rows][label[rows] > 0].astype(str)))
    aa, ab = SLOPE_VARIANCE, -centre * SLOPE_VARIANCE
    bb = max(bb, 1.0 / max(buyers, 1)) + centre * centre * SLOPE_VARIANCE
    return Calibration(calibration.slope, calibration.intercept, ((aa, ab), (ab, bb)))


def sureness(buyers: int | None, probability: float, low: float, high: float) -> str:
    """Return how many deals the scores come from and how far the first may be off; empty where that is not known.

    Parameters
    ----------
    buyers : int or None
        Accounts (or members without one) with a won deal in training.
    probability, low, high : float
        Of the first row of the list, with its 95 % interval.
    """
    if buyers is None:
        return ""
    if buyers == 0:
        return "No deal to learn from: ranked by hand-set points. Nobody measured a probability, so there is none."
    told = f"Learned from {buyers} account{'s' if buyers != 1 else ''} that won"
    if buyers >= VENDORS_NEED:
        return f"{told}."
    if not np.isfinite([low, high]).all():
        return f"{told}: too few to say how sure the scores are."
    return (
        f"{told}, so the first may be anything from {low:.1%} to {high:.1%} where it says {probability:.1%}."
    )
