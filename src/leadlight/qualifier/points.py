"""Before the first deal: hand-set points in the place of a model, and no probability, since nobody measured one."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cached_property
from typing import Any, NoReturn

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from leadlight.errors import InputError
from leadlight.estimators import PointsScorer
from leadlight.plan import Plan
from leadlight.runtime import Scorer
from leadlight.runtime.align import Infinite
from leadlight.runtime.bundle import Parts
from leadlight.runtime.model import Calibration, Model

Values = NDArray[np.float64]

ESTIMAND = "No probability: hand-set points, since there is no deal to learn from"
UNMEASURED = (
    "There is no probability: no deal has been won, so the members are ranked by hand-set points. Use score(), or fit "
    "again once a deal is won."
)


class PointsOnly(Scorer):
    """What `LeadQualifier.scorer_` is without a deal: points, percentiles and reasons in points.

    Its predictions hold NaN for probability, low and high. Percentile, grade and `qualified` compare points with
    those of the latest cutoff that it was fitted on. A contribution is in points: units of a behaviour times its points,
    capped. There is no bundle of it: points travel with every plan and need no fit.

    Parameters
    ----------
    plan : Plan
        Behaviours without points add none.
    latest : float64 array of shape (k,)
        Points of the members at the latest cutoff, sorted.
    threshold : float
        Points from which a member is qualified.
    info : mapping
        As a bundle's: estimand, windows, decision, metrics, simulated.
    """

    def __init__(self, plan: Plan, latest: Values, threshold: float, info: Mapping[str, Any]) -> None:
        # The bands of a model without parts, on points in the place of probabilities.
        bands = Model(plan.column_names, None, None, 0.0, 0.0, Calibration(1.0, 0.0), latest, threshold)
        self._start(Parts(bands, plan, dict(info)), None)
        self.points_scorer = PointsScorer.from_plan(plan)

    @cached_property
    def digest(self) -> str:
        """Sha256 of the plan, the bands and the threshold, so that equal lists have equal versions."""
        parts = (
            self.plan.digest.encode(),
            self.model.quantiles.tobytes(),
            repr(self.model.threshold).encode(),
        )
        return hashlib.sha256(b"|".join(parts)).hexdigest()

    @property
    def version(self) -> str:
        """`points-` and the first 12 digits of the digest."""
        return f"points-{super().version}"

    def points(self, X: Any) -> Values:
        """Return the points of feature rows, aligned by name, shape (n,)."""
        return self.points_scorer.points_for(X)

    def predict_proba(self, X: Any, *, infinite: Infinite = "error", threads: int = 1) -> NoReturn:
        """Raise `InputError`: nobody measured a probability."""
        raise InputError(UNMEASURED)

    def save(self, path: Any) -> NoReturn:
        """Raise `InputError`: a bundle keeps a probability, and there is none."""
        raise InputError(f"Hand-set points are not saved: a bundle holds a probability. {UNMEASURED}")

    def _contributions(self, X: Values, threads: int = 1) -> tuple[Values, float]:
        """Return what each column adds in points, shape (n, columns), and 0: nobody starts with points."""
        found = self.points_scorer.contributions(pd.DataFrame(X, columns=list(self.columns)))
        at = {name: j for j, name in enumerate(self.columns)}
        values = np.zeros(X.shape)
        values[:, [at[column] for column in found.columns]] = found.to_numpy(float)
        return values, 0.0

    def _scored(self, X: Values, threads: int = 1) -> tuple[Values, Values, Values, Values]:
        unmeasured = np.full(len(X), np.nan)
        return unmeasured, unmeasured, unmeasured, self.points(pd.DataFrame(X, columns=list(self.columns)))

    def __repr__(self) -> str:
        return f"PointsOnly({self.version}: {len(self.points_scorer.rules or {})} behaviours with points)"
