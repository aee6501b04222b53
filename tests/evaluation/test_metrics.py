"""Metrics against scikit-learn and against counting."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.metrics import log_loss as sklearn_log_loss

from leadlight.evaluation.metrics import (
    Ranking,
    account_draws,
    calibration_slope,
    log_loss,
    tie_order,
    top_share,
)


def sample(seed, ties):
    rng = np.random.default_rng(seed)
    y = (rng.random(300) < 0.2).astype(float)
    score = rng.normal(size=300) + y
    return np.round(score, 0) if ties else score, y, rng.integers(0, 4, 300).astype(float)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_average_precision_and_auc_are_those_of_scikit_learn(seed, ties):
    score, y, weight = sample(seed, ties)
    ranking = Ranking(score, y)
    for w in (np.ones(300), weight):
        assert ranking.average_precision(w) == pytest.approx(
            average_precision_score(y, score, sample_weight=w)
        )
        assert ranking.auc(w) == pytest.approx(roc_auc_score(y, score, sample_weight=w))


def test_an_integer_weight_is_a_row_that_often():
    score, y, weight = sample(1, True)
    often = np.repeat(np.arange(300), weight.astype(int))
    copied = Ranking(score[often], y[often])
    assert Ranking(score, y).auc(weight) == pytest.approx(copied.auc(np.ones(len(often))))


@pytest.mark.parametrize("recall", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_false_positives_at_a_recall_are_those_of_counting(recall):
    score, y, _ = sample(2, True)
    least = min(
        int(((score >= line) & (y == 0)).sum())
        for line in np.unique(score)
        if y[score >= line].sum() >= recall * y.sum() - 1e-9
    )
    found = Ranking(score, y).false_positives_at_recall(np.ones(300), recall)
    assert found == (least if recall > 0 else 0)


def test_no_recall_costs_no_call():
    assert (
        Ranking(np.array([3.0, 2.0, 1.0]), np.array([0.0, 1.0, 0.0])).false_positives_at_recall(
            np.ones(3), 0.0
        )
        == 0
    )


def test_metrics_without_positives_are_undefined():
    ranking = Ranking(np.arange(4.0), np.zeros(4))
    assert np.isnan([ranking.auc(np.ones(4)), ranking.average_precision(np.ones(4))]).all()


def test_a_missing_score_ranks_last():
    assert Ranking(np.array([np.nan, 0.0]), np.array([0.0, 1.0])).auc(np.ones(2)) == 1.0


def test_the_best_share_is_taken_at_each_cutoff():
    score, cutoff = np.arange(60.0), np.repeat([1, 2, 3], [40, 10, 10])
    chosen = top_share(score, cutoff, 0.05)
    assert np.flatnonzero(chosen).tolist() == [38, 39, 49, 59]


def test_ties_at_the_line_do_not_widen_the_share():
    assert top_share(np.ones(40), np.zeros(40), 0.1).sum() == 4


def test_ties_at_the_line_go_by_name_and_not_by_place():
    names = np.array([f"m{i}" for i in range(40)], object)
    first = names[top_share(np.ones(40), np.zeros(40), 0.1, tie_order(names))]
    mixed = names[::-1]
    again = mixed[top_share(np.ones(40), np.zeros(40), 0.1, tie_order(mixed))]
    assert set(first) == set(again)
    assert set(first) != {"m0", "m1", "m2", "m3"}


def test_log_loss_is_that_of_scikit_learn():
    score, y, weight = sample(3, False)
    p = 1 / (1 + np.exp(-score))
    assert log_loss(p, y, weight) == pytest.approx(sklearn_log_loss(y, p, sample_weight=weight))
    assert np.isfinite(log_loss(1 - y, y, np.ones(300)))


@pytest.mark.parametrize("steepness", [0.3, 0.5, 1.0, 3.0])
def test_the_calibration_slope_is_that_of_a_logistic_regression(steepness):
    rng = np.random.default_rng(0)
    z = rng.normal(size=4000) - 2
    y = (rng.random(4000) < 1 / (1 + np.exp(-z))).astype(float)
    p = 1 / (1 + np.exp(-z / steepness))
    expected = LogisticRegression(C=1e9, tol=1e-8).fit(np.log(p / (1 - p))[:, None], y).coef_[0, 0]
    assert calibration_slope(p, y) == pytest.approx(expected, rel=1e-3)
    assert calibration_slope(p, y) == pytest.approx(steepness, rel=0.15)


def test_the_slope_of_a_constant_is_undefined():
    assert np.isnan(calibration_slope(np.full(50, 0.2), np.arange(50) % 2 * 1.0))


def test_draws_take_whole_accounts():
    groups = np.repeat([f"a{i}" for i in range(20)], 5).astype(object)
    for weight in account_draws(groups, 20, 0):
        assert (weight.reshape(20, 5) == weight.reshape(20, 5)[:, :1]).all()
        assert weight.sum() == 100


def test_draws_by_account_vary_more_than_draws_by_row():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(60), 20)
    y = (rng.random(60) < 0.3)[groups].astype(float)
    ranking = Ranking(y + rng.normal(size=60)[groups], y)
    spread = {}
    for name, keys in (("account", groups), ("row", np.arange(1200))):
        spread[name] = np.std([ranking.auc(w) for w in account_draws(keys, 200, 1)])
    assert spread["account"] > 2 * spread["row"]
