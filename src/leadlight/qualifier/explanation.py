"""What `LeadQualifier.explain` returns: a shap.Explanation that knows behaviours. Importing this module imports shap."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from leadlight.errors import InputError
from leadlight.explain.behaviours import by_behaviour
from leadlight.explain.probability import probability_points
from leadlight.plan import Plan

with warnings.catch_warnings():
    # Its import makes colour maps in a way that the newest matplotlib frowns upon.
    warnings.simplefilter("ignore", DeprecationWarning)
    warnings.simplefilter("ignore", PendingDeprecationWarning)
    warnings.filterwarnings("ignore", message="IProgress not found")  # tqdm, in a notebook without ipywidgets
    import shap


class LeadExplanation(shap.Explanation):
    """A `shap.Explanation` of scores: all of shap's plots and slices work on it.

    Attributes
    ----------
    values, data : float64 arrays of shape (members, columns)
        What each column adds to the calibrated log-odds (without a deal to learn from, to the points), and its value.
    base_values : float64 array of shape (members,)
        ``base_values + values.sum(axis=1)`` is the score, to 1e-12.
    plan : Plan
        Which columns measure which behaviour.
    unit : {"log-odds", "points"}
    """

    plan: Plan
    unit: str

    @classmethod
    def of(
        cls, plan: Plan, X: pd.DataFrame, values: NDArray[np.float64], base: float, unit: str
    ) -> LeadExplanation:
        """Return the explanation of feature rows from their contributions and the base."""
        found = cls(
            values=values,
            base_values=np.full(len(X), base),
            data=X.to_numpy(float),
            feature_names=list(plan.column_names),
        )
        found.plan, found.unit = plan, unit
        return found

    def __copy__(self) -> LeadExplanation:
        # shap copies what it slices as an Explanation of its own; a slice knows behaviours, too.
        found = LeadExplanation.__new__(LeadExplanation)
        found.__dict__.update(super().__copy__().__dict__)
        found.plan, found.unit = self.plan, self.unit
        return found

    def by_behaviour(self) -> shap.Explanation:
        """Sum the contributions of columns to behaviours.

        Returns
        -------
        shap.Explanation
            values of shape (members, behaviours), or (behaviours,) of one member; the base is the same, and so is the sum.
            A behaviour has many columns and no value of its own: data is None, so that `shap.plots.scatter` does not apply.

        Raises
        ------
        InputError
            If columns were sliced away.
        """
        sums = by_behaviour(self.plan, np.atleast_2d(self.values))
        values = sums.to_numpy()
        return shap.Explanation(
            values=values if np.ndim(self.values) == 2 else values[0],
            base_values=self.base_values,
            feature_names=list(sums.columns),
        )

    def probability_points(self, digits: int | None = None) -> pd.DataFrame:
        """Divide each probability among base and behaviours, in percentage points that add up to it.

        The rule is that of `leadlight.explain.probability_points`.

        Parameters
        ----------
        digits : int, optional
            Round so that the sum stays right.

        Returns
        -------
        DataFrame
            One row per member, in order: "base", then the behaviours.

        Raises
        ------
        InputError
            If columns were sliced away, or there is no probability.
        """
        if self.unit != "log-odds":
            raise InputError(
                "There is no probability to divide: no deal has been won, and the members are ranked by hand-set points."
            )
        base = np.atleast_1d(self.base_values)
        start = float(base[0]) if len(base) else 0.0
        return probability_points(self.plan, np.atleast_2d(self.values), start, digits)
