"""The arithmetic of a model: blend, calibration, interval, contributions, bands."""

from __future__ import annotations

import math
import pickle
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from leadlight.errors import BundleError, InputError
from leadlight.kernels.linear import linear_margin, sigmoid
from leadlight.kernels.trees import margin
from leadlight.runtime import Calibration, Model


def test_the_margin_blends_trees_and_the_linear_half(model, X):
    expected = 0.7 * margin(model.trees, X) + 0.3 * linear_margin(X, *model.linear.arrays, -0.7)
    np.testing.assert_array_equal(model.margin(X), expected)
    np.testing.assert_array_equal(model.log_odds(X), 0.9 * expected - 0.4)
    np.testing.assert_array_equal(model.probability(X), sigmoid(0.9 * expected - 0.4))


def test_contributions_sum_to_the_calibrated_log_odds(model, X):
    values, base = model.contributions(X)
    np.testing.assert_allclose(base + values.sum(axis=1), model.log_odds(X), rtol=0, atol=1e-12)


@pytest.mark.parametrize("part", ["trees", "linear"])
def test_one_half_alone_is_a_model(model, X, part):
    gone = {"trees": {"linear": None, "linear_weight": 0.0}, "linear": {"trees": None, "tree_weight": 0.0}}[
        part
    ]
    half = replace(model, **gone)
    half.validate()
    values, base = half.contributions(X)
    np.testing.assert_allclose(base + values.sum(axis=1), half.log_odds(X), rtol=0, atol=1e-12)


def test_a_row_alone_gives_the_bits_that_it_gives_in_a_batch(model, X):
    p, (low, high), (values, _) = model.probability(X), model.interval(X), model.contributions(X)
    for i in range(len(X)):
        one = X[i : i + 1]
        assert model.probability(one)[0] == p[i]
        assert [bound[0] for bound in model.interval(one)] == [low[i], high[i]]
        np.testing.assert_array_equal(model.contributions(one)[0][0], values[i])


def test_the_interval_follows_the_delta_method(model, X):
    m, s = model.margin(X), model.log_odds(X)
    half = 1.96 * np.sqrt(0.04 * m**2 + 2 * 0.01 * m + 0.02)
    low, high = model.interval(X)
    np.testing.assert_allclose(low, sigmoid(s - half), rtol=1e-12)
    np.testing.assert_allclose(high, sigmoid(s + half), rtol=1e-12)


def test_an_unknown_covariance_gives_no_interval(model, X):
    low, high = replace(model, calibration=Calibration(1.0, 0.0)).interval(X)
    assert np.isnan(low).all()
    assert np.isnan(high).all()


@pytest.fixture(scope="module")
def banded(model):
    return replace(model, quantiles=np.arange(1, 101) / 1000, threshold=0.096)


@pytest.mark.parametrize(
    ("p", "percentile", "grade"),
    [
        (0.0, 0, "D"),
        (0.050, 50, "D"),
        (0.051, 51, "C"),
        (0.080, 80, "C"),
        (0.081, 81, "B"),
        (0.095, 95, "B"),
        (0.096, 96, "A"),
        (1.0, 100, "A"),
        (np.nan, np.nan, ""),
    ],
)
def test_bands_come_from_the_stored_scores(banded, p, percentile, grade):
    np.testing.assert_equal(float(banded.percentile(p)), percentile)
    assert banded.grade(np.array([p])).tolist() == [grade]


def test_tied_scores_do_not_all_get_the_best_grade(model):
    assert replace(model, quantiles=np.full(100, 0.2)).grade([0.2, 0.3]).tolist() == ["D", "A"]


def test_without_stored_scores_there_is_no_band(model):
    bare = replace(model, quantiles=np.zeros(0))
    bare.validate()
    assert bare.grade([0.5]).tolist() == [""]
    assert np.isnan(bare.percentile([0.5])).all()


def test_a_member_at_the_threshold_is_qualified(banded):
    assert banded.qualified([0.0959, 0.096, np.nan]).tolist() == [False, True, False]


def test_a_missing_threshold_qualifies_nobody(model):
    assert not replace(model, threshold=float("nan")).qualified([0.0, 1.0]).any()


def test_no_rows_give_no_answers(model, plan):
    empty = np.zeros((0, len(plan.columns)))
    assert model.probability(empty).shape == (0,)
    assert model.contributions(empty)[0].shape == empty.shape


@pytest.mark.parametrize("bad", [np.inf, -np.inf])
def test_infinities_are_refused(model, X, bad):
    row = X[:1].copy()
    row[0, 3] = bad
    with pytest.raises(InputError, match="infinities"):
        model.probability(row)


def test_another_width_is_refused(model, X):
    with pytest.raises(InputError, match="the model needs"):
        model.probability(X[:, :3])


def test_extreme_values_stay_finite(model, plan):
    X = np.full((2, len(plan.columns)), 1e308)
    X[1] *= -1
    assert np.isfinite(model.log_odds(X)).all()
    assert np.isfinite(model.contributions(X)[0]).all()


def test_threads_share_one_model(model, X):
    fresh = replace(model)
    expected = model.contributions(X)[0]
    with ThreadPoolExecutor(8) as pool:
        for values, _ in pool.map(lambda _: fresh.contributions(X), range(16)):
            np.testing.assert_array_equal(values, expected)


def test_a_pickled_model_leaves_its_tables_behind(model, X):
    model.contributions(X)
    copy = pickle.loads(pickle.dumps(model))
    assert "_shap_tables" not in vars(copy)
    np.testing.assert_array_equal(copy.probability(X), model.probability(X))


def broken_linear(model, **changes):
    return {"linear": replace(model.linear, **changes)}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: {"columns": ()}, "no columns"),
        (lambda m: {"columns": (*m.columns[:-1], m.columns[0])}, "twice"),
        (lambda m: {"columns": (*m.columns, "more")}, "columns"),
        (lambda m: {"trees": None}, "weighs trees"),
        (lambda m: {"linear": None}, "weighs a linear half"),
        (lambda m: {"trees": None, "linear": None}, "neither"),
        (lambda m: {"tree_weight": float("nan")}, "not a finite number"),
        (lambda m: {"calibration": Calibration(float("inf"), 0.0)}, "not a finite number"),
        (lambda m: {"calibration": Calibration(1.0, 0.0, ((1.0, 0.0), (0.5, 1.0)))}, "covariance"),
        (lambda m: {"calibration": Calibration(1.0, 0.0, ((-1.0, 0.0), (0.0, 1.0)))}, "covariance"),
        (lambda m: {"calibration": Calibration(1.0, 0.0, ((1.0, 5.0), (5.0, 1.0)))}, "covariance"),
        (lambda m: {"calibration": Calibration(1e70, 0.0)}, "not bounded"),
        (lambda m: {"quantiles": np.array([0.2, 0.1])}, "not sorted"),
        (lambda m: {"quantiles": np.array([0.2, np.nan])}, "not sorted"),
        (lambda m: {"quantiles": np.array([1.5])}, "not sorted"),
        (lambda m: {"threshold": float("inf")}, "threshold"),
        (lambda m: broken_linear(m, scale=np.zeros_like(m.linear.scale)), "not positive"),
        (lambda m: broken_linear(m, coef=m.linear.coef[:-1]), "finite numbers"),
        (lambda m: broken_linear(m, mean=m.linear.mean * np.nan), "finite numbers"),
        (lambda m: broken_linear(m, missing_rate=m.linear.missing_rate + 2), "missing rate"),
        (lambda m: broken_linear(m, intercept=float("nan")), "intercept"),
        (
            lambda m: broken_linear(m, coef=m.linear.coef * 1e300, scale=m.linear.scale * 1e-300),
            "not bounded",
        ),
    ],
    ids=map(str, range(22)),
)
def test_an_invalid_model_is_refused(model, change, message):
    with pytest.raises(BundleError, match=message):
        replace(model, **change(model)).validate()


def test_the_model_of_the_tests_is_valid(model):
    assert isinstance(model, Model)
    model.validate()


def test_one_row_has_the_bits_that_it_has_among_others(model, X):
    p, low, high = model.scores(X)
    for i, row in enumerate(X):
        assert model.score(row[None]) == (p[i], low[i], high[i])
        assert model.probability_of(row[None]) == p[i] == model.probability(row[None])[0]


def test_the_standing_of_one_probability_is_that_of_the_arrays(model):
    stored = model.quantiles
    for p in (
        0.0,
        1.0,
        math.nan,
        *stored,
        *np.nextafter(stored, 0),
        *np.nextafter(stored, 1),
        model.threshold,
    ):
        grade, percentile, qualified = model.standing(p)
        assert grade == model.grade(p)
        assert qualified == model.qualified(p)
        np.testing.assert_equal(percentile, float(model.percentile(p)))


def test_without_stored_scores_there_is_no_standing(model):
    bare = replace(model, quantiles=np.zeros(0))
    assert bare.standing(0.9)[0] == ""
    assert math.isnan(bare.standing(0.9)[1])


@pytest.mark.parametrize("threads", [0, -1, True, 1.5])
def test_a_number_of_threads_that_is_none_is_refused(model, X, threads):
    with pytest.raises(InputError, match="threads is"):
        model.probability(X, threads)
