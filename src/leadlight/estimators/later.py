"""In time: rows of later periods, judged by fits that saw only earlier rows of other accounts.

Folds at random let a fit see rows of the time that it judges. What moves with time (an interest rate, a price list, the month)
then tells it the level of that time, and trees that learn such columns by heart look better than they will.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray

from leadlight.estimators.forest import KINDS
from leadlight.estimators.learner import BAGS_IN_A_FOLD, Learner, Recipe, linear_margins
from leadlight.estimators.rows import Rows
from leadlight.estimators.time_level import periods

Values = NDArray[np.float64]
Codes = NDArray[np.int64]

PERIODS, JUDGED = 5, 3
"""Periods of as many positive rows each, and how many of the latest are judged: a fit on less would say little."""

ACCOUNT_FOLDS = 3
"""Where accounts go on from period to period, as in an event log, each is judged by fits without a third of them."""

FEWEST_WON = 5
"""Won accounts that a fit on earlier rows needs."""


class Split(NamedTuple):
    """Rows to learn from, rows to judge, and the period of those."""

    train: Codes
    test: Codes
    period: int


class Later(NamedTuple):
    """What was judged.

    Attributes
    ----------
    rows : int64 array of shape (judged,)
    block : int64 array of shape (judged,)
        Period of each.
    margins : list of four float64 arrays of shape (judged,) or None
        Of plain trees, extra trees, stumps and ridge.
    """

    rows: Codes
    block: Codes
    margins: list[Values | None]


def judged_later(
    data: Rows, recipe: Recipe, rounds: tuple[int, ...], strength: float, parallel: Parallel
) -> Later | None:
    """Return margins of later rows by fits on earlier ones, None where times or won accounts are too few.

    Parameters
    ----------
    data : Rows
    recipe : Recipe
    rounds : tuple of int
        Trees of each kind.
    strength : float
        Of the ridge.
    parallel : joblib.Parallel
    """
    splits = later_splits(data, recipe.seed)
    if not splits:
        return None
    parts = parallel(delayed(_judge)(data, split, recipe, rounds, strength) for split in splits)
    return Later(
        np.concatenate([split.test for split in splits]),
        np.concatenate([np.full(len(split.test), split.period) for split in splits]),
        [None if part[0] is None else np.concatenate(part) for part in zip(*parts, strict=True)],
    )


def later_splits(data: Rows, seed: int) -> list[Split]:
    """Return the splits in time: no account on both sides, rows of one time in one period.

    Rows without weight are in none and decide nothing. A period without both classes, or with too few won accounts before
    it, is left out.
    """
    if data.times is None:
        return []
    there = np.flatnonzero(data.weight > 0)
    period = periods(data.times[there], data.y[there], PERIODS)
    fold = _account_folds(data.groups[there], data.y[there], seed)
    found = []
    for later in range(PERIODS - JUDGED, PERIODS):
        test, before = there[period == later], there[(period < later) & (data.fit_weight[there] > 0)]
        splits = _apart(data.groups, fold, test, before, later)
        trains = [data.y[split.train] for split in splits]
        if 0 < data.y[test].sum() < len(test) and all(
            (y == 0).any() and len(np.unique(data.groups[split.train][y > 0])) >= FEWEST_WON
            for split, y in zip(splits, trains, strict=True)
        ):
            found += splits
    return found


def _account_folds(groups: NDArray[Any], y: Values, seed: int) -> Codes:
    """Return the fold of each account, won and other ones dealt apart."""
    fold = np.zeros(int(groups.max()) + 1, dtype=np.int64)
    rng, won = np.random.default_rng(seed), np.unique(groups[y > 0])
    for some in (won, np.setdiff1d(groups, won)):
        fold[rng.permutation(some)] = np.arange(len(some)) % ACCOUNT_FOLDS
    return fold


def _apart(groups: NDArray[Any], fold: Codes, test: Codes, before: Codes, period: int) -> list[Split]:
    known = np.isin(groups[before], groups[test])
    # Without all accounts of the period one fit does, unless that takes more rows than a fold would.
    if known.sum() * ACCOUNT_FOLDS <= len(before):
        return [Split(before[~known], test, period)]
    splits = [
        Split(before[fold[groups[before]] != k], test[fold[groups[test]] == k], period)
        for k in range(ACCOUNT_FOLDS)
    ]
    return [split for split in splits if len(split.test)]


def _judge(
    data: Rows, split: Split, recipe: Recipe, rounds: tuple[int, ...], strength: float
) -> list[Values | None]:
    learner = Learner.of(recipe, data, split.train, BAGS_IN_A_FOLD)
    rows = learner.encode(data.X[split.test])
    grown = dict(zip(recipe.kinds, rounds, strict=True))
    trees = [learner.tree_margin(kind, grown[kind], rows) if kind in grown else None for kind in KINDS]
    return [*trees, linear_margins(learner.ridges([strength]), rows)[:, 0] if recipe.ridge else None]
