"""Explanation: what each column, and each behaviour, adds to scores; plain arrays, and shap's own object on demand."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leadlight.errors import MissingDependencyError
from leadlight.plan import Plan

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Explanation:
    """Contributions in calibrated log-odds: ``base + values.sum(axis=1)`` is the score, to 1e-12.

    Attributes
    ----------
    values : float64 array of shape (n, columns)
        What each column adds.
    base : float
        The score before anything is known.
    data : float64 array of shape (n, columns)
        The features; NaN is missing.
    names : tuple of str
        Of the columns.
    plan : Plan
        Says which columns measure which behaviour; of a plain lead table it is empty.
    """

    values: Floats
    base: float
    data: Floats
    names: tuple[str, ...]
    plan: Plan

    def __len__(self) -> int:
        return len(self.values)

    @property
    def log_odds(self) -> Floats:
        """The calibrated log-odds that are explained, shape (n,)."""
        return np.asarray(self.base + self.values.sum(axis=1))

    @property
    def behaviours(self) -> tuple[str, ...]:
        """Names of the behaviours, in the order of `by_behaviour`."""
        return tuple(b.name for b in self.plan.behaviours)

    def by_behaviour(self) -> Floats:
        """Return the sums over the columns of each behaviour, shape (n, behaviours)."""
        place = {name: j for j, name in enumerate(self.names)}
        sums = np.zeros((len(self.values), len(self.plan.behaviours)))
        for b, behaviour in enumerate(self.plan.behaviours):
            sums[:, b] = self.values[:, [place[name] for name in behaviour.columns]].sum(axis=1)
        return sums

    def to_shap(self) -> Any:
        """Return a `shap.Explanation`, which all of shap's plots take.

        Raises
        ------
        MissingDependencyError
            shap is not installed.
        """
        with warnings.catch_warnings():
            # Its import makes colour maps in a way that the newest matplotlib frowns upon.
            warnings.simplefilter("ignore", DeprecationWarning)
            warnings.simplefilter("ignore", PendingDeprecationWarning)
            try:
                # By name, since serving must not depend on it.
                shap = import_module("shap")
            except ImportError as error:
                raise MissingDependencyError(
                    "to_shap() needs the package shap, which is not installed here. Install it (pip install shap), or use "
                    "the arrays: values, base, data and names."
                ) from error
        return shap.Explanation(
            values=self.values,
            base_values=np.full(len(self.values), self.base),
            data=self.data,
            feature_names=list(self.names),
        )
