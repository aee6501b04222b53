"""The line from margin to log-odds."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from leadlight.estimators.calibration import SMALLEST_SLOPE, fit_sigmoid, latest_rows


def sample(n=3000, slope=0.4, intercept=-2.0, seed=4):
    rng = np.random.default_rng(seed)
    groups = rng.integers(0, n // 3, n)
    margin = rng.normal(size=n) * 2 + rng.normal(size=n // 3)[groups]
    y = (rng.random(n) < 1 / (1 + np.exp(-(slope * margin + intercept)))).astype(float)
    return margin, y, groups


def test_the_line_is_that_of_maximum_likelihood():
    margin, y, groups = sample()
    weight = np.random.default_rng(0).random(len(y))

    def loss(b):
        s = b[0] * margin + b[1]
        return np.sum(weight * (np.logaddexp(0, s) - y * s))

    best = minimize(loss, [1.0, 0.0], method="BFGS").x
    found = fit_sigmoid(margin, y, weight, groups)
    assert [found.slope, found.intercept] == pytest.approx(best, abs=1e-4)


def test_the_covariance_sums_scores_within_each_group():
    margin, y, groups = sample(600)
    ones = np.ones(len(y))
    found = fit_sigmoid(margin, y, ones, groups)
    bread, meat = np.zeros((2, 2)), np.zeros((2, 2))
    p = 1 / (1 + np.exp(-(found.slope * margin + found.intercept)))
    for m, q in zip(margin, p, strict=True):
        x = np.array([m, 1.0])
        bread += q * (1 - q) * np.outer(x, x)
    for group in set(groups.tolist()):
        total = np.zeros(2)
        for i in np.flatnonzero(groups == group):
            total += (y[i] - p[i]) * np.array([margin[i], 1.0])
        meat += np.outer(total, total)
    slow = np.linalg.inv(bread) @ meat @ np.linalg.inv(bread)
    assert np.array(found.covariance) == pytest.approx(slow, rel=1e-6)


def test_rows_that_come_in_copies_of_one_account_widen_the_interval():
    margin, y, _ = sample(400)
    copies = [np.repeat(v, 4) for v in (margin, y)]
    ones, accounts = np.ones(1600), np.repeat(np.arange(400), 4)
    honest = fit_sigmoid(*copies, ones, accounts)
    naive = fit_sigmoid(*copies, ones, np.arange(1600))
    assert honest.covariance[0][0] == pytest.approx(4 * naive.covariance[0][0], rel=1e-6)


def test_a_margin_that_is_too_steep_is_flattened():
    margin, y, groups = sample(slope=0.3)
    assert fit_sigmoid(margin, y, np.ones(len(y)), groups).slope == pytest.approx(0.3, abs=0.06)


def test_below_twenty_positive_groups_the_slope_stays_one_and_the_mean_is_right():
    margin, y, _ = sample()
    found = fit_sigmoid(margin, y, np.ones(len(y)), np.arange(len(y)) % 19)
    p = 1 / (1 + np.exp(-(margin + found.intercept)))
    assert found.slope == 1.0
    assert p.mean() == pytest.approx(y.mean(), abs=1e-8)
    assert found.covariance[0] == (0.0, 0.0)
    assert found.covariance[1][1] > 0


def test_margins_that_rank_backwards_keep_the_mean_right():
    margin, y, groups = sample(slope=-1.0, intercept=-1.0)
    found = fit_sigmoid(margin, y, np.ones(len(y)), groups)
    p = 1 / (1 + np.exp(-(found.slope * margin + found.intercept)))
    assert found.slope == SMALLEST_SLOPE
    assert p.mean() == pytest.approx(y.mean(), abs=1e-6)


def test_margins_that_separate_give_finite_numbers():
    y = np.repeat([0.0, 1.0], 50)
    found = fit_sigmoid(y * 10 - 5, y, np.ones(100), np.arange(100))
    assert np.isfinite([found.slope, found.intercept, *np.ravel(found.covariance)]).all()


@pytest.mark.parametrize("wrong", [0, 1, 3])
def test_the_covariance_is_one_where_almost_all_is_separated(wrong):
    from leadlight.runtime.model import _check_covariance

    rng = np.random.default_rng(wrong)
    y = np.repeat([0.0, 1.0], [900, 60])
    margin = np.where(y > 0, 6.9, -5.8) + rng.normal(size=960) * 1e-3
    margin[:wrong] = 6.9
    _check_covariance(fit_sigmoid(margin, y, np.ones(960), np.arange(960) // 3).covariance)


def test_calibration_reads_the_latest_times_that_hold_enough_positives():
    times = np.repeat(np.arange(10), 50)
    y = np.tile(np.repeat([1.0, 0.0], [25, 25]), 10)
    assert set(times[latest_rows(times, y, np.arange(500))]) == {6, 7, 8, 9}


def test_calibration_goes_back_until_enough_accounts_won():
    times = np.repeat(np.arange(10), 50)
    y = np.tile(np.repeat([1.0, 0.0], [25, 25]), 10)
    five_at_each_time = times * 5 + np.arange(500) % 5
    assert set(times[latest_rows(times, y, five_at_each_time)]) == {6, 7, 8, 9}
    two_at_each_time = times * 2 + np.arange(500) % 2
    assert set(times[latest_rows(times, y, two_at_each_time)]) == set(range(10))


def test_half_of_fewer_than_two_hundred_positives_are_enough():
    times = np.repeat(np.arange(10), 50)
    y = np.tile(np.repeat([1.0, 0.0], [12, 38]), 10)
    assert set(times[latest_rows(times, y, np.arange(500))]) == {5, 6, 7, 8, 9}


def test_with_few_positives_all_times_are_read():
    times = np.arange(50)
    assert latest_rows(times, (times % 5 == 0).astype(float), times).all()
