"""The parts of the learner: ridges along a path, boosters joined to one, scikit-learn's trees, choices out of fold."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from leadlight.estimators import LeadClassifier
from leadlight.estimators.forest import KINDS, Forest, Grower, dataset, tree_settings
from leadlight.estimators.hist import HistGrower
from leadlight.estimators.parts import PRIOR, best_rounds, best_weights, log_loss
from leadlight.estimators.ridge import fit_linear, fit_ridges
from leadlight.kernels.linear import signed_log
from leadlight.kernels.trees import margin
from leadlight.runtime.lightgbm_text import parse_lightgbm


@pytest.fixture(scope="module", name="rows")
def _rows():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(500, 4)) * 3
    X[rng.random(X.shape) < 0.1] = np.nan
    y = (np.nan_to_num(X[:, 0]) + rng.normal(size=500) > 1).astype(float)
    return X, y, rng.uniform(0.5, 2, 500)


def test_the_ridge_is_scikit_learns(rows):
    X, y, weight = rows
    z = signed_log(X)
    z = np.nan_to_num((z - np.nanmean(z, axis=0)) / np.nanstd(z, axis=0))
    gaps = np.isnan(X) - np.isnan(X).mean(axis=0)
    expected = LogisticRegression(C=0.1, tol=1e-10, max_iter=1000).fit(
        np.hstack([z, gaps]), y, sample_weight=weight
    )
    found = fit_linear(X, y, weight, 0.1)
    np.testing.assert_allclose(found.coef, expected.coef_[0, :4], atol=1e-4)
    np.testing.assert_allclose(found.missing_coef, expected.coef_[0, 4:], atol=1e-4)
    assert found.intercept == pytest.approx(expected.intercept_[0], abs=1e-4)


def test_several_strengths_give_what_each_gives_alone(rows):
    for found, strength in zip(fit_ridges(*rows, [0.5, 0.01]), [0.5, 0.01], strict=True):
        np.testing.assert_allclose(found.coef, fit_linear(*rows, strength).coef, atol=1e-3)


def test_signs_bound_the_coefficients(rows):
    signs = np.array([-1, 1, 0, 0])
    bound, free = fit_ridges(*rows, [0.5], signs=signs)[0], fit_linear(*rows, 0.5)
    assert free.coef[0] > 0
    assert bound.coef[0] == 0
    assert bound.coef[1] >= 0


def test_the_line_keeps_the_range_of_training(rows):
    found = fit_linear(*rows, 0.1)
    np.testing.assert_array_equal(found.high, np.nanmax(rows[0], axis=0))
    np.testing.assert_array_equal(found.low, np.nanmin(rows[0], axis=0))


@pytest.fixture(name="growers")
def _growers(rows):
    X, y, weight = rows
    settings = tree_settings(100, len(y), 4)
    data = dataset(X, y, weight, settings["max_bin"])
    growers = [Grower(data, settings, kind, 7, 1) for kind in KINDS]
    for grower, rounds in zip(growers, (5, 3, 2), strict=True):
        grower.grow(rounds)
    return growers


def test_joined_boosters_add_up_by_weight(rows, growers):
    X, shares = rows[0], [0.25, 0.5, 0.25]
    forest = Forest([grower.booster for grower in growers], shares)
    expected = sum(share * grower.margin(X) for share, grower in zip(shares, growers, strict=True))
    np.testing.assert_allclose(forest.booster.predict(X, raw_score=True), expected, atol=1e-12)
    assert forest.booster.num_trees() == 10


def test_the_trees_that_serve_are_those_of_the_joined_booster(growers):
    forest = Forest([grower.booster for grower in growers], [0.1, 0.3, 0.6])
    joined = parse_lightgbm(forest.booster.model_to_string()).to_arrays()
    for name, array in forest.trees().to_arrays().items():
        np.testing.assert_array_equal(array, joined[name])


def test_a_booster_without_weight_is_left_out(growers):
    forest = Forest([grower.booster for grower in growers], [0.5, 0.0, 0.5])
    assert len(forest.trees().root) == forest.booster.num_trees() == 7


def test_one_booster_is_made_when_it_is_asked_for_and_is_not_pickled(growers):
    forest = Forest([grower.booster for grower in growers], [0.25, 0.5, 0.25])
    before = pickle.dumps(forest)
    assert "booster" not in vars(forest)
    assert forest.booster is forest.booster
    assert pickle.dumps(forest) == before
    assert pickle.loads(before).booster.model_to_string() == forest.booster.model_to_string()


def test_a_booster_grown_in_steps_is_the_one_grown_at_once(rows):
    X, y, weight = rows
    settings = tree_settings(100, len(y), 4)
    steps, once = (Grower(dataset(X, y, weight, 63), settings, "extra", 1, 1) for _ in range(2))
    for rounds in (2, 6):
        steps.grow(rounds)
        steps.margin(X)
    once.grow(6)
    assert steps.booster.model_to_string() == once.booster.model_to_string()
    np.testing.assert_allclose(steps.margin(X), once.margin(X), atol=1e-12)


def test_scikit_learns_trees_serve_bit_for_bit(rows):
    X, y, weight = rows
    grower = HistGrower(X, y, weight, tree_settings(100, len(y), 4), 0)
    grower.grow(4)
    grower.grow(20)
    late = np.vstack([X, np.full((1, 4), np.nan), np.zeros((1, 4)), np.full((1, 4), 1e9)])
    assert np.array_equal(margin(grower.trees(), late), grower.margin(late))


def test_the_classifier_takes_scikit_learns_booster(rows):
    X, y, _ = rows
    model = LeadClassifier(booster="hist_gradient_boosting").fit(X, y)
    assert type(model.booster_).__name__ == "HistGradientBoostingClassifier"
    assert np.array_equal(margin(model.model_.trees, X), model.booster_.decision_function(X))
    assert model.weights_[1:3] == (0, 0)


@pytest.mark.parametrize("known", ["nothing", "what weighs nothing"])
def test_scikit_learns_booster_takes_a_column_without_a_value(rows, known):
    X, y, weight = rows
    X, weight = X.copy(), weight.copy()
    X[:, 2] = np.nan
    if known != "nothing":
        X[0, 2], weight[0] = 7.0, 0.0
    grower = HistGrower(X, y, weight, tree_settings(100, len(y), 4), 0)
    grower.grow(4)
    late = np.vstack([X, np.zeros((1, 4)), np.full((1, 4), 1e9)])
    assert np.array_equal(margin(grower.trees(), late), grower.margin(late))
    assert not (grower.trees().feature == 2).any()


def test_growing_stops_once_more_trees_are_worse():
    asked = []

    def grow(mark):
        asked.append(mark)
        return np.full(2, {1: 0.5, 2: 1.0, 4: -3.0}[mark])

    rounds, found = best_rounds(grow, (1, 2, 4, 8), np.ones(2), np.ones(2))
    assert (rounds, found.tolist(), asked) == (2, [1.0, 1.0], [1, 2, 4])


@pytest.mark.parametrize(("worth", "near"), [(0, PRIOR), (10**9, (0.0, 0.0, 0.0, 1.0))])
def test_weights_follow_the_measurement_as_far_as_won_accounts_allow(worth, near):
    y = np.array([0.0, 1.0])
    margins = [np.zeros(2), np.zeros(2), np.zeros(2), np.array([-1.0, 1.0])]
    assert best_weights(margins, y, np.ones(2), worth) == pytest.approx(near, abs=1e-6)


def test_a_loss_that_is_flat_leaves_the_weights_where_they_were():
    rng = np.random.default_rng(0)
    y = (rng.random(4_000) < 0.1).astype(float)
    margins = [np.full(4_000, -2.2) + 0.01 * rng.normal(size=4_000) for _ in range(4)]
    assert best_weights(margins, y, np.ones(4_000), 1.0) == pytest.approx(PRIOR, abs=0.06)


def test_rows_that_say_the_same_again_move_the_weights_no_further():
    rng = np.random.default_rng(1)
    y = (rng.random(200) < 0.3).astype(float)
    margins = [(y - 0.5) * scale + rng.normal(size=200) for scale in (0.2, 0.4, 0.6, 0.8)]
    once = best_weights(margins, y, np.ones(200), 1.0)
    again = [np.tile(margin, 10) for margin in margins]
    assert best_weights(again, np.tile(y, 10), np.ones(2_000), 0.1) == pytest.approx(once, abs=1e-9)
    assert best_weights(again, np.tile(y, 10), np.ones(2_000), 1.0)[3] > once[3] + 0.05


def test_a_part_that_is_not_there_weighs_nothing():
    weights = best_weights(
        [np.zeros(2), None, np.zeros(2), np.zeros(2)], np.array([0.0, 1.0]), np.ones(2), 50
    )
    assert weights[1] == 0
    assert sum(weights) == pytest.approx(1)


def test_the_weights_lose_no_more_than_any_other_choice():
    rng = np.random.default_rng(3)
    y = (rng.random(300) < 0.3).astype(float)
    margins = [(y - 0.5) * scale + rng.normal(size=300) for scale in (0.5, 1.0, 1.5, 0.2)]
    weight = rng.uniform(0.5, 2.0, 300)
    found = log_loss(np.array(best_weights(margins, y, weight, 10**9)) @ np.stack(margins), y, weight)
    others = rng.dirichlet(np.ones(4), 2_000)
    assert found <= min(log_loss(other @ np.stack(margins), y, weight) for other in others) + 1e-4


def test_stumps_join_no_columns(rows):
    X, y, weight = rows
    settings = tree_settings(100, len(y), 4)
    grower = Grower(dataset(X, y, weight, settings["max_bin"]), settings, "stumps", 0, 1)
    grower.grow(20)
    assert all(tree["num_leaves"] <= 2 for tree in grower.booster.dump_model()["tree_info"])


def test_a_bounded_coefficient_does_not_leave_its_side_as_the_penalty_weakens():
    rng = np.random.default_rng(1)
    x = rng.normal(size=400)
    X = np.column_stack([x, x + 0.5 * rng.normal(size=400)])
    y = (1.5 * X[:, 0] - 0.4 * X[:, 1] + rng.logistic(size=400) > 0).astype(float)
    strong, weak = fit_ridges(X, y, np.ones(400), [1e-4, 10.0], signs=np.array([0, 1]))
    assert strong.coef[1] > 0 > fit_linear(X, y, np.ones(400), 10.0).coef[1]
    assert weak.coef[1] == 0
