"""Refits: the same learner on accounts drawn again."""

from __future__ import annotations

import numpy as np
import pytest

from leadlight.errors import InputError
from leadlight.estimators import LeadClassifier
from leadlight.estimators.refits import refits


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(600, 4))
    groups = np.arange(600) // 3
    y = (X[:, 0] + rng.normal(size=600) > 1.4).astype(float)
    return LeadClassifier(random_state=0).fit(X, y, groups=groups), X, y, np.ones(600), groups


def test_a_refit_has_not_seen_whole_accounts(data):
    classifier, X, y, weight, groups = data
    for refit in refits(classifier, X, y, weight, groups, rounds=3):
        seen = np.setdiff1d(np.arange(len(y)), refit.unseen)
        assert not set(groups[seen]) & set(groups[refit.unseen])
        assert 0.2 < len(refit.unseen) / len(y) < 0.55


def test_rows_without_weight_are_not_among_the_unseen(data):
    classifier, X, y, weight, groups = data
    half = weight * (groups % 2)
    for refit in refits(classifier, X, y, half, groups, rounds=2):
        assert (half[refit.unseen] > 0).all()


def test_size_weights_and_calibration_stay(data):
    classifier, X, y, weight, groups = data
    (refit,) = refits(classifier, X, y, weight, groups, rounds=1)
    assert refit.model.calibration == classifier.calibration_
    assert refit.model.linear_weight == classifier.blend_weight_
    rounds = sum(classifier.settings_["rounds"].values())
    assert 0 < len(refit.model.trees.root) <= rounds
    # It has learned what there is to learn.
    assert np.corrcoef(refit.model.margin(X), X[:, 0])[0, 1] > 0.7


def test_equal_seeds_give_equal_refits_whatever_the_jobs(data):
    one, two = (
        [r.model.margin(data[1]) for r in refits(*data, rounds=3, seed=5, n_jobs=jobs)] for jobs in (1, 2)
    )
    assert np.array_equal(one, two)
    other = next(refits(*data, rounds=1, seed=6)).model.margin(data[1])
    assert not np.array_equal(one[0], other)


def test_few_won_accounts_cannot_be_drawn(data):
    classifier, X, y, weight, groups = data
    few = np.where(groups < np.unique(groups[y > 0])[4], y, 0.0)
    with pytest.raises(InputError, match="4 won accounts"):
        list(refits(classifier, X, few, weight, groups))
