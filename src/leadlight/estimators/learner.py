"""Trees and ridge on some of the rows: what a fold fits, and what the whole fits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier

from leadlight.estimators.encoder import Encoder, TrainingRows
from leadlight.estimators.forest import KINDS, Forest, Grower, bags, dataset
from leadlight.estimators.hist import HistGrower
from leadlight.estimators.parts import Mixture
from leadlight.estimators.ridge import fit_ridges
from leadlight.estimators.rows import Rows
from leadlight.estimators.time_level import time_level
from leadlight.kernels.trees import Trees
from leadlight.runtime.model import Linear

Values = NDArray[np.float64]

BAGS_IN_A_FOLD = 2
"""Of each kind, where a fit only judges rows."""


@dataclass(frozen=True)
class Recipe:
    """What all fits share.

    Attributes
    ----------
    booster : {"lightgbm", "hist_gradient_boosting"}
    settings : dict
        Of `leadlight.estimators.forest.tree_settings`.
    encoder : Encoder or None
        None where every column is a number.
    signs : int64 array of shape (columns,)
        Direction that each raw column must keep, 0 for any.
    stumps : bool
        Whether there are trees with a single split.
    ridge : bool
        Whether there is a linear part.
    seed, threads : int
    levels : bool, default=False
        Whether fits start from the level of each row's time, see `leadlight.estimators.time_level`.
    """

    booster: str
    settings: dict[str, Any]
    encoder: Encoder | None
    signs: NDArray[np.int64]
    stumps: bool
    ridge: bool
    seed: int
    threads: int
    levels: bool = False

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kinds of boosters."""
        if self.booster != "lightgbm":
            return KINDS[:1]
        return KINDS if self.stumps else KINDS[:2]


class Learner:
    """Trees and ridge on the given rows.

    Parameters
    ----------
    recipe : Recipe
    X : float64 array of shape (n, columns)
        Raw rows of positive weight: numbers, and codes of categories.
    y, weight : float64 arrays of shape (n,)
    groups : array of shape (n,)
    most_bags : int
        Of each kind.
    offset : float64 array of shape (n,), optional
        Log-odds that each row starts from. Margins hold their mean in place of them; scikit-learn's trees know none.
    """

    def __init__(
        self,
        recipe: Recipe,
        X: Values,
        y: Values,
        weight: Values,
        groups: NDArray[Any],
        most_bags: int,
        offset: Values | None = None,
    ) -> None:
        self.recipe = recipe
        self.X, self.y, self.weight = X, y, weight
        level = 0.0 if offset is None else float(np.average(offset, weights=weight))
        self._above = None if offset is None else offset - level
        encoder = recipe.encoder
        self.encoding = None if encoder is None else encoder.encoding(X, y, weight)
        self.tree_columns = np.arange(X.shape[1]) if encoder is None else encoder.tree_columns
        self.linear_columns = np.arange(X.shape[1]) if encoder is None else encoder.linear_columns
        source = np.arange(X.shape[1]) if encoder is None else encoder.source
        self._signs = recipe.signs[source]
        statistics = encoder is not None and encoder.has_statistics
        count = min(bags(len(y), statistics), most_bags) if recipe.booster == "lightgbm" else 1
        self._growers: dict[str, list[Any]] = {kind: [] for kind in recipe.kinds}
        rows, data = self._encoded(self.tree_columns), None
        ordered = None
        if encoder is not None and statistics:
            ordered = TrainingRows(encoder, X, rows, y, weight, groups)
        for bag in range(count):
            for k, kind in enumerate(recipe.kinds):
                seed = recipe.seed + 1_000 * bag + 100_000 * k
                if ordered is not None:
                    rows, data = ordered.rows(seed), None
                if recipe.booster != "lightgbm":
                    self._growers[kind].append(HistGrower(rows, y, weight, self._settings(), seed))
                    continue
                # Without statistics every bag reads the same rows: they are sorted into bins once.
                if data is None:
                    bins = recipe.settings["max_bin"]
                    # Trees that read a quarter of many counts grow twice as fast from columns of their own.
                    data = dataset(rows, y, weight, bins, recipe.threads, offset, bundle=recipe.stumps)
                grower = Grower(data, self._settings(), kind, seed, recipe.threads, level)
                self._growers[kind].append(grower)

    def _encoded(self, at: NDArray[np.int64]) -> Values:
        """Return some encoded columns of the own rows, C order: trees and ridge read few in common."""
        return self.X if self.encoding is None else self.encoding.encode(self.X, at)

    @classmethod
    def of(cls, recipe: Recipe, data: Rows, at: NDArray[np.int64], most_bags: int) -> Learner:
        """Fit on some of the rows, by position; all of them have a weight."""
        y, weight, offset = data.y[at], data.fit_weight[at], None
        if recipe.levels and data.times is not None:
            offset = time_level(data.times[at], y, weight)
        return cls(recipe, data.X[at], y, weight, data.groups[at], most_bags, offset)

    def _settings(self) -> dict[str, Any]:
        signs = self._signs[self.tree_columns]
        return {**self.recipe.settings, **({"monotone_constraints": signs.tolist()} if signs.any() else {})}

    def encode(self, X: Values) -> Values:
        """Return other raw rows as this fit encodes them."""
        return X if self.encoding is None else self.encoding.encode(X)

    def tree_margin(self, kind: str, rounds: int, encoded: Values) -> Values:
        """Return the mean margin of one kind grown to so many trees; `encoded` is the same at each call."""
        rows = encoded if self.encoding is None else np.take(encoded, self.tree_columns, axis=1)
        total = np.zeros(len(encoded))
        for grower in self._growers[kind]:
            grower.grow(rounds)
            total += grower.margin(rows)
        return total / len(self._growers[kind])

    def ridges(self, strengths: Sequence[float]) -> list[Linear]:
        """Return the ridge on the encoded columns at each strength."""
        encoder, at = self.recipe.encoder, self.linear_columns
        indicator = None if encoder is None else encoder.indicator[at]
        signs = self._signs[at] if self._signs.any() else None
        found = fit_ridges(self._encoded(at), self.y, self.weight, strengths, indicator, signs, self._above)
        if encoder is None:
            return found
        return [self._spread(linear) for linear in found]

    def _spread(self, linear: Linear) -> Linear:
        """Return a ridge on its own columns as one on all encoded columns, with nothing for the others."""
        width, at = len(self._signs), self.linear_columns
        parts = []
        held = [np.zeros(len(at)) if bound is None else bound for bound in (linear.low, linear.high)]
        for array, empty in zip((*linear.arrays, *held), (0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0), strict=True):
            wide = np.full(width, empty)
            wide[at] = array
            parts.append(wide)
        mean, scale, coef, missing_coef, rate, low, high = parts
        return Linear(mean, scale, coef, missing_coef, rate, linear.intercept, low, high)

    def trees(self, mixture: Mixture) -> tuple[Forest | HistGradientBoostingClassifier, Trees]:
        """Return what grew the trees, and the trees on the encoded columns, grown and mixed as chosen."""
        weights, boosters = [], []
        share = sum(mixture.weights[: len(self._growers)])
        for kind, rounds, weight in zip(self._growers, mixture.rounds, mixture.weights, strict=False):
            for grower in self._growers[kind]:
                grower.grow(rounds)
                boosters.append(grower.booster)
                # A ridge that takes all leaves no shares to divide by.
                equal = 1.0 / len(self._growers)
                weights.append((weight / share if share > 0 else equal) / len(self._growers[kind]))
        forest: Forest | HistGradientBoostingClassifier
        if self.recipe.booster != "lightgbm":
            forest, found = boosters[0], self._growers[self.recipe.kinds[0]][0].trees()
        else:
            forest = Forest(boosters, weights)
            found = forest.trees()
        if self.encoding is None:
            return forest, found
        feature = self.tree_columns[found.feature].astype(np.int32)
        return forest, replace(found, feature=feature, n_features=self.encoding.width)


def linear_margins(linears: Sequence[Linear], encoded: Values) -> Values:
    """Return the margins of several ridges, shape (n, ridges)."""
    rows = np.ascontiguousarray(encoded)
    return np.stack([part.margin(rows) for part in linears], axis=1)
