"""The same learner on other draws of its accounts: how much of what it found would be found again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from leadlight.errors import InputError
from leadlight.estimators.classifier import LeadClassifier
from leadlight.estimators.inputs import check_fitted
from leadlight.estimators.learner import Learner, Recipe
from leadlight.estimators.parts import Mixture
from leadlight.estimators.rows import thinned
from leadlight.runtime.model import Model

Values = NDArray[np.float64]

FEWEST_BUYERS = 5
"""Below so many won accounts a draw leaves one or none out, and nothing can be said of unseen ones."""


class Refit(NamedTuple):
    """One refit.

    Attributes
    ----------
    model : Model
    unseen : int64 array
        Rows with weight of the accounts that it was not fitted on.
    """

    model: Model
    unseen: NDArray[np.int64]


def refits(
    classifier: LeadClassifier,
    X: Any,
    y: Values,
    weight: Values,
    groups: NDArray[Any],
    *,
    rounds: int = 20,
    seed: int = 0,
    n_jobs: int = 1,
) -> Iterator[Refit]:
    """Fit the classifier again on accounts drawn with replacement, won and other accounts each as often as they are.

    A refit is cheap: number of trees, strength of the ridge, weights of the parts and calibration stay as the classifier
    chose them, and there is one bag of each kind. What varies is what trees and ridge learn.

    Parameters
    ----------
    classifier : LeadClassifier
        Fitted, on columns of numbers.
    X : frame or array of shape (n, columns)
    y, weight : float64 arrays of shape (n,)
    groups : array of shape (n,)
        Accounts.
    rounds, seed : int
    n_jobs : int
        Refits at once; each uses one thread.

    Raises
    ------
    InputError
        If there are fewer than 5 won accounts or 2 others, or columns of categories.
    """
    check_fitted(classifier)
    if any(levels is not None for levels in classifier.levels_):
        raise InputError("Refits need columns of numbers; this classifier reads categories.")
    values = np.ascontiguousarray(classifier._matrix(X))
    account = np.unique(np.asarray(groups).astype(str), return_inverse=True)[1]
    won = np.unique(account[(y > 0) & (weight > 0)])
    other = np.setdiff1d(np.unique(account[weight > 0]), won)
    if len(won) < FEWEST_BUYERS or len(other) < 2:
        raise InputError(
            f"{len(won)} won accounts and {len(other)} others are too few to draw again; at least {FEWEST_BUYERS} won ones are "
            "needed."
        )
    rng = np.random.default_rng(seed)
    drawn = []
    for _ in range(rounds):
        chosen = [rng.choice(some, len(some)) for some in (won, other)]
        drawn.append(np.bincount(np.concatenate(chosen), minlength=int(account.max()) + 1)[account])
    fit = delayed(_refit)
    # Threads: LightGBM and BLAS release the lock, and processes would copy the rows.
    parallel = Parallel(n_jobs=n_jobs, prefer="threads", return_as="generator")
    with threadpool_limits(1, "blas"):
        yield from parallel(
            fit(classifier, values, y, weight, times, account, seed + 1 + k) for k, times in enumerate(drawn)
        )


def _refit(
    classifier: LeadClassifier,
    X: Values,
    y: Values,
    weight: Values,
    times: NDArray[np.int64],
    account: NDArray[Any],
    seed: int,
) -> Refit:
    fewer = thinned(y, weight * times, account, seed)
    used = np.flatnonzero(fewer)
    settings = {k: v for k, v in classifier.settings_.items() if k not in ("rounds", "ridge")}
    recipe = Recipe(
        booster=classifier.booster,
        settings=settings,
        encoder=None,
        signs=classifier._signs(),
        stumps="stumps" in classifier.settings_["rounds"],
        ridge=classifier.blend,
        seed=seed,
        threads=1,
    )
    rounds = tuple(classifier.settings_["rounds"].values())
    mixture = Mixture(rounds, classifier.settings_["ridge"] or 1.0, classifier.weights_)
    learner = Learner(recipe, X[used], y[used], fewer[used], account[used], 1)
    _, trees = learner.trees(mixture)
    model = Model(
        columns=classifier.model_.columns,
        trees=trees,
        linear=learner.ridges([mixture.strength])[0] if classifier.blend else None,
        tree_weight=1.0 - classifier.blend_weight_,
        linear_weight=classifier.blend_weight_,
        calibration=classifier.calibration_,
        quantiles=np.empty(0),
        threshold=float("nan"),
    )
    return Refit(model, np.flatnonzero((times == 0) & (weight > 0)))
