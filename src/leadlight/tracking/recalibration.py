"""recalibrate: a new line from margin to probability on what has matured since; the ranking stays."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from leadlight.errors import InputError
from leadlight.estimators.calibration import FEW_POSITIVES, fit_sigmoid
from leadlight.features import build_features
from leadlight.kernels.linear import sigmoid
from leadlight.moments import Duration, moment_text
from leadlight.qualifier import LeadQualifier
from leadlight.runtime import Scorer
from leadlight.tracking.comparison import meant, unseen_rows
from leadlight.tracking.drift import log_odds

if TYPE_CHECKING:
    from leadlight.community import Community
    from leadlight.observations import Observations


def recalibrate(qualifier: LeadQualifier, community: Community, *, every: Duration = "30d") -> LeadQualifier:
    """Fit the calibration anew on the windows that have ended since training; trees, ridge and plan stay.

    Quantiles and threshold follow, so that grades, percentiles and who is qualified stay what they were; a `Costs`
    threshold is a probability and stays one. Training now reaches to the end of the windows that were used: a later
    verdict needs later ones.

    Parameters
    ----------
    qualifier : LeadQualifier
    community : Community
    every : duration
        Distance of the cutoffs.

    Returns
    -------
    LeadQualifier
        As loaded from a bundle; `save` writes it.

    Raises
    ------
    ImmatureLabelError
        No window has ended since training.
    InputError
        The rows hold one outcome only.
    """
    rows = unseen_rows(community, [qualifier], every)
    rows = rows.take(meant(qualifier, rows))
    y = rows.label.to_numpy(float)
    if not 0 < y.sum() < len(y):
        raise InputError(
            f"The windows since training hold {int(y.sum())} positives of {len(y)} rows: there is nothing to calibrate on."
        )
    old = qualifier.scorer_
    margin = old.model.margin(build_features(community, rows, qualifier.plan_).to_numpy(float))
    made = fit_sigmoid(margin, y, np.ones(len(y)), rows.groups)
    if len(np.unique(rows.groups[y > 0])) < FEW_POSITIVES:
        # Few buyers tell the level; the slope stays the old one, and its uncertainty too.
        before = old.model.calibration
        moved = fit_sigmoid(before.slope * margin, y, np.ones(len(y)), rows.groups)
        (aa, ab), (ba, bb) = before.covariance
        bb = max(bb, moved.covariance[1][1])
        made = replace(before, intercept=moved.intercept, covariance=((aa, ab), (ba, bb)))

    def follow(p: Any) -> Any:
        m = (log_odds(np.asarray(p, float)) - old.model.calibration.intercept) / old.model.calibration.slope
        return sigmoid(made.slope * m + made.intercept)

    threshold = old.model.threshold
    if old.info["decision"]["kind"] != "costs" and np.isfinite(threshold):
        # A little lower, so that rounding does not lose the member who stands at the threshold.
        threshold = float(follow([threshold])[0]) * (1 - 1e-9)
    model = replace(
        old.model, calibration=made, quantiles=np.sort(follow(old.model.quantiles)), threshold=threshold
    )
    return _loaded(qualifier, Scorer(model, old.plan, _info(qualifier, old, rows, threshold)))


def _info(qualifier: LeadQualifier, old: Scorer, rows: Observations, threshold: float) -> dict[str, Any]:
    info = dict(old.info)
    end = int(rows.cutoff_us.max()) + rows.windows.reach_us
    info["windows"] = {**info["windows"], "trained_until_us": end}
    text = qualifier.decision_.describe(threshold)
    decision = {n: v for n, v in info["decision"].items() if n not in ("threshold", "price")}
    info["decision"] = {**decision, "text": text}
    info["recalibrated"] = {
        "from_version": old.version,
        "rows": len(rows),
        "positives": int(rows.label.sum()),
        "first_cutoff": moment_text(int(rows.cutoff_us.min())),
        "last_cutoff": moment_text(int(rows.cutoff_us.max())),
    }
    return info


def _loaded(qualifier: LeadQualifier, scorer: Scorer) -> LeadQualifier:
    made = LeadQualifier(qualifier.catalogue, decision=qualifier.decision_)
    made.scorer_, made.plan_, made.windows_ = scorer, scorer.plan, qualifier.windows_
    made.trained_until_us_ = int(scorer.info["windows"]["trained_until_us"])
    made.decision_, made.threshold_ = qualifier.decision_, scorer.model.threshold
    made.estimand_ = qualifier.estimand_
    return made
