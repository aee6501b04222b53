"""Out of fold: number of trees and strength of the ridge chosen within accounts, weights of the parts in time, too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

from leadlight.estimators.forest import KINDS, MARKS
from leadlight.estimators.later import Later, judged_later
from leadlight.estimators.learner import BAGS_IN_A_FOLD, Learner, Recipe, linear_margins
from leadlight.estimators.parts import (
    STRENGTHS,
    Mixture,
    best_rounds,
    best_weights,
    log_loss,
    mixed,
    prior_weights,
)
from leadlight.estimators.rows import Rows

Values = NDArray[np.float64]
Split = tuple[NDArray[np.int64], NDArray[np.int64]]

USUAL_ROUNDS, USUAL_STRENGTH = 160, 0.1
"""Where there are too few won accounts for folds."""


class Measured(NamedTuple):
    """What was chosen, and what it rests on.

    Attributes
    ----------
    mixture : Mixture
    margin : float64 array of shape (n,) or None
        Margins of the mixture, each row by a fit that saw nobody of its group; None where folds are impossible.
    later : Later or None
        Rows of later periods by fits on earlier ones; None without several times.
    """

    mixture: Mixture
    margin: Values | None
    later: Later | None


def measure(
    data: Rows, recipe: Recipe, *, n_folds: int, won: int, strength: float | None, n_jobs: int
) -> Measured:
    """Choose trees, ridge and weights by out-of-fold log loss; the weights by later rows where there are times.

    Parameters
    ----------
    data : Rows
    recipe : Recipe
    n_folds : int
        At most; fewer where groups are few.
    won : int
        Positive groups.
    strength : float or None
        Of the ridge; None chooses one of `STRENGTHS`.
    n_jobs : int
        Folds fitted at once.

    """
    splits = folds_of(data, n_folds, won, recipe.seed)
    strengths = STRENGTHS if strength is None else (strength,)
    there = (*(kind in recipe.kinds for kind in KINDS), recipe.ridge)
    if not splits:
        rounds = (USUAL_ROUNDS,) * len(recipe.kinds)
        usual = Mixture(rounds, USUAL_STRENGTH if strength is None else strength, prior_weights(there))
        return Measured(usual, None, None)
    # Threads: LightGBM and BLAS release the lock, and processes would copy the rows.
    with Parallel(n_jobs=n_jobs, prefer="threads") as parallel:
        folds = parallel(delayed(_fold)(data, train, test, recipe) for train, test in splits)

        def gathered(read: Callable[[_Fold], Values], *width: int) -> Values:
            margins = np.empty((len(data.y), *width))
            for (_, test), part in zip(splits, parallel(delayed(read)(fold) for fold in folds), strict=True):
                margins[test] = part
            return margins

        rounds, found = (), list[Values | None]([None] * len(there))
        for k, kind in enumerate(recipe.kinds):

            def grow(mark: int, kind: str = kind) -> Values:
                return gathered(lambda fold: fold.trees(kind, mark))

            chosen, found[k] = best_rounds(grow, MARKS, data.y, data.weight)
            rounds = (*rounds, chosen)
        best = strengths[0]
        if recipe.ridge:
            ridges = gathered(lambda fold: fold.ridges(strengths), len(strengths))
            losses = [log_loss(ridges[:, k], data.y, data.weight) for k in range(len(strengths))]
            best, found[-1] = strengths[int(np.argmin(losses))], ridges[:, int(np.argmin(losses))]
        # One part alone has nothing to share weight with.
        later = judged_later(data, recipe, rounds, best, parallel) if sum(there) > 1 else None
    worth = won / float(data.weight @ data.y)
    if later is None:
        weights = best_weights(found, data.y, data.weight, worth)
    else:
        at = later.rows
        weights = best_weights(later.margins, data.y[at], data.weight[at], worth, later.block)
    return Measured(Mixture(rounds, best, weights), mixed(found, weights), later)


def folds_of(data: Rows, n_folds: int, won: int, seed: int) -> list[Split]:
    """Return training and test rows of each fold, no group on both sides; none where folds are impossible."""
    # Drawn among the rows that teach, so that rows without weight cannot move them; the others follow their group.
    used = np.flatnonzero(data.fit_weight)
    y, groups = data.y[used], data.groups[used]
    folds = min(n_folds, won, len(np.unique(groups[y == 0])))
    if folds < 2:
        return []
    fold_of_group = np.arange(int(data.groups.max()) + 1) % folds
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    for fold, (train, test) in enumerate(splitter.split(np.zeros(len(used)), y, groups)):
        if not 0 < y[train].sum() < len(train):
            return []
        fold_of_group[groups[test]] = fold
    fold_of_row = fold_of_group[data.groups]
    return [
        (np.flatnonzero(fold_of_row != fold), np.flatnonzero(fold_of_row == fold)) for fold in range(folds)
    ]


class _Fold:
    """What one fold learned, and the rows that it judges."""

    def __init__(self, learner: Learner, rows: Values) -> None:
        self._learner = learner
        self._rows = learner.encode(rows)

    def trees(self, kind: str, rounds: int) -> Values:
        return self._learner.tree_margin(kind, rounds, self._rows)

    def ridges(self, strengths: Sequence[float]) -> Values:
        return linear_margins(self._learner.ridges(strengths), self._rows)


def _fold(data: Rows, train: NDArray[np.int64], test: NDArray[np.int64], recipe: Recipe) -> _Fold:
    train = train[data.fit_weight[train] > 0]
    return _Fold(Learner.of(recipe, data, train, BAGS_IN_A_FOLD), data.X[test])
