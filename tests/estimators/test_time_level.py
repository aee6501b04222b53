"""The level of each time in a lead table is set apart: what only names the time earns little."""

from __future__ import annotations

import numpy as np
import pytest

from leadlight.estimators import LeadClassifier
from leadlight.estimators.forest import KINDS, Grower, dataset, tree_settings
from leadlight.estimators.ridge import fit_ridges
from leadlight.estimators.time_level import STEPS, has_levels, time_level
from leadlight.kernels.trees import margin


def moving(n=2000, seed=0):
    """Return a column that names one of ten times and one that ranks within them, labels, times and their log-odds."""
    rng = np.random.default_rng(seed)
    times = np.sort(rng.integers(0, 10, n))
    level = np.linspace(-3.0, 0.5, 10)[times]
    steady = rng.normal(size=n)
    y = (rng.random(n) < 1 / (1 + np.exp(-level - steady))).astype(float)
    return np.column_stack([times + 0.01 * rng.normal(size=n), steady]), y, times, level


def test_each_time_has_the_level_of_its_rows():
    _, y, times, level = moving(20_000)
    found = time_level(times, y, np.ones(len(y)))
    assert np.corrcoef(found, level)[0, 1] > 0.95
    assert len(set(found.tolist())) <= STEPS


def test_a_level_that_does_not_move_is_none():
    y = np.tile([1.0, 0.0, 0.0, 0.0], 200)
    assert time_level(np.arange(800), y, np.ones(800)) is None


def test_one_time_has_no_level_of_its_own():
    y = np.arange(50) % 7 == 0
    assert time_level(np.zeros(50), y.astype(float), np.full(50, 1 / 3)) is None


def test_few_positives_say_less_of_the_level():
    _, y, times, _ = moving(20_000)
    few = np.random.default_rng(1).choice(20_000, 200, replace=False)
    spread = [np.ptp(time_level(times[at], y[at], np.ones(len(at)))) for at in (few, np.arange(20_000))]
    assert 0 < spread[0] < 0.95 * spread[1]


def test_the_unit_of_weights_does_not_matter():
    _, y, times, _ = moving(300)
    once = time_level(times, y, np.ones(300))
    np.testing.assert_allclose(time_level(times, y, np.full(300, 50.0)), once)


@pytest.mark.parametrize(
    ("times", "groups", "expected"),
    [
        (np.arange(40), np.arange(40), True),
        (np.repeat(np.arange(2), 20), np.tile(np.arange(20), 2), False),
        (np.zeros(40), np.arange(40), False),
        (None, np.arange(40), False),
    ],
    ids=["leads", "event log", "one time", "no times"],
)
def test_only_leads_of_several_times_have_levels(times, groups, expected):
    assert has_levels(times, groups, np.ones(40)) is expected


def test_rows_without_weight_do_not_make_several_times():
    assert not has_levels(np.r_[np.zeros(39), 1], np.arange(40), np.r_[np.ones(39), 0])


def test_a_ridge_from_the_level_leaves_it_out():
    X, y, times, _ = moving()
    offset = time_level(times, y, np.ones(len(y)))
    rows = (X, y, np.ones(len(y)), [0.05])
    plain, apart = fit_ridges(*rows)[0], fit_ridges(*rows, offset=offset - offset.mean())[0]
    assert abs(apart.coef[0]) < 0.2 * plain.coef[0]
    assert apart.coef[1] > 0.8 * plain.coef[1]
    assert apart.intercept == pytest.approx(plain.intercept, abs=0.3)


@pytest.mark.parametrize("kind", KINDS)
def test_trees_from_the_level_return_its_mean_where_columns_say_nothing(kind):
    X, y, times, _ = moving()
    offset = time_level(times, y, np.ones(len(y)))
    data = dataset(X[:, :1], y, np.ones(len(y)), 63, offset=offset)
    settings = tree_settings(400, len(y), 1)
    plain = Grower(dataset(X[:, :1], y, np.ones(len(y)), 63), settings, kind, 0, 1)
    apart = Grower(data, settings, kind, 0, 1, offset.mean())
    for grower in (plain, apart):
        grower.grow(40)
    assert apart.margin(X[:, :1]).mean() == pytest.approx(offset.mean(), abs=0.1)
    assert np.std(apart.margin(X[:, :1])) < 0.5 * np.std(plain.margin(X[:, :1]))


def test_one_grown_in_steps_has_the_level_once():
    X, y, times, _ = moving(400)
    offset = time_level(times, y, np.ones(len(y)))
    growers = [
        Grower(
            dataset(X, y, np.ones(400), 63, offset=offset), tree_settings(100, 400, 2), "plain", 0, 1, -1.5
        )
        for _ in range(2)
    ]
    growers[0].grow(5)
    for grower in growers:
        grower.grow(10)
    np.testing.assert_array_equal(growers[0].margin(X), growers[1].margin(X))


@pytest.fixture(scope="module", name="fits")
def _fits():
    X, y, times, _ = moving()
    return X, y, times, LeadClassifier().fit(X, y), LeadClassifier().fit(X, y, times=times)


def test_a_column_that_names_the_time_ranks_few(fits):
    X, *_, blind, timed = fits
    late = X.copy()
    late[:, 0] = X[:, 0].min()
    moved = [np.abs(m.decision_function(X) - m.decision_function(late)).mean() for m in (blind, timed)]
    assert moved[1] < 0.3 * moved[0]


def test_the_level_is_that_of_the_latest_rows(fits):
    X, y, times, _, timed = fits
    latest = times == times.max()
    assert timed.predict_proba(X[latest])[:, 1].mean() == pytest.approx(y[latest].mean(), abs=0.1)


def test_without_calibration_the_level_is_the_usual_one():
    X, y, times, _ = moving()
    found = LeadClassifier(calibration=None).fit(X, y, times=times).predict_proba(X)[:, 1].mean()
    assert found == pytest.approx(y.mean(), abs=0.06)


def test_the_booster_that_is_shown_scores_as_the_model_does(fits):
    X, *_, timed = fits
    np.testing.assert_array_equal(timed.booster_.predict(X, raw_score=True), margin(timed.model_.trees, X))
