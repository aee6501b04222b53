"""Folds in time: later rows are judged by fits on earlier rows of other accounts, and say how much each part weighs."""

from __future__ import annotations

import numpy as np
import pytest

from leadlight.estimators import LeadClassifier
from leadlight.estimators.calibration import fit_sigmoid, latest_rows, slope_in_time
from leadlight.estimators.later import FEWEST_WON, PERIODS, Split, later_splits
from leadlight.estimators.parts import log_loss, ranking_loss
from leadlight.estimators.rows import Rows
from leadlight.estimators.time_level import periods


def checked(y, groups, times, weight=None):
    return Rows.checked(
        np.zeros((len(y), 1)), y, weight, groups, times, None, names=None, levels=(), infinite="error", seed=0
    )


@pytest.fixture(name="leads")
def _leads():
    """Return labels, accounts and times: 400 leads of 20 days, each an account of its own, in any order."""
    rng = np.random.default_rng(0)
    return (rng.random(400) < 0.3).astype(int), np.arange(400), rng.integers(0, 20, 400)


@pytest.fixture(name="log")
def _log():
    """Return the same of 60 members seen at each of 12 cutoffs."""
    rng = np.random.default_rng(1)
    groups, times = np.tile(np.arange(60), 12), np.repeat(np.arange(12), 60)
    return (rng.random(60) < 0.4)[groups] & (rng.random(720) < 0.5), groups, times


@pytest.mark.parametrize("table", ["leads", "log"])
def test_a_fit_sees_earlier_rows_of_other_accounts_only(table, request):
    y, groups, times = request.getfixturevalue(table)
    splits = later_splits(checked(y.astype(int), groups, times), 0)
    assert len(splits) == {"leads": 3, "log": 9}[table]
    for split in splits:
        assert times[split.train].max() < times[split.test].min()
        assert not set(groups[split.train]) & set(groups[split.test])


@pytest.mark.parametrize("table", ["leads", "log"])
def test_each_later_row_is_judged_once(table, request):
    y, groups, times = request.getfixturevalue(table)
    splits = later_splits(checked(y.astype(int), groups, times), 0)
    judged = np.concatenate([split.test for split in splits])
    first = min(times[split.test].min() for split in splits)
    assert np.array_equal(np.sort(judged), np.flatnonzero(times >= first))


def test_rows_of_one_time_are_in_one_period(leads):
    y, _, times = leads
    found = periods(times, y, PERIODS)
    assert all(len(set(found[times == time])) == 1 for time in set(times))
    assert sorted(set(found)) == [0, 1, 2, 3, 4]


def test_periods_hold_as_many_positive_rows_as_ties_allow(leads):
    y, _, times = leads
    won = np.bincount(periods(times, y, PERIODS), y)
    assert abs(won - y.sum() / 5).max() <= np.bincount(times, y).max()


def test_rows_without_weight_are_in_no_split_and_move_none(leads):
    y, groups, times = leads
    plain = later_splits(checked(y, groups, times), 0)
    extra = (np.r_[y, np.ones(50, int)], np.r_[groups, np.arange(-30, 20)], np.r_[times, np.full(50, 2)])
    found = later_splits(checked(*extra, weight=np.r_[np.ones(400), np.zeros(50)]), 0)
    assert same(found, plain)


def same(one: list[Split], other: list[Split]) -> bool:
    return len(one) == len(other) and all(
        np.array_equal(a.train, b.train) and np.array_equal(a.test, b.test)
        for a, b in zip(one, other, strict=True)
    )


def test_a_few_accounts_that_come_again_cost_no_more_fits(leads):
    y, groups, times = leads
    groups = np.where(groups % 20 == 0, 0, groups)
    splits = later_splits(checked(y, groups, times), 0)
    assert len(splits) == 3
    assert all(0 not in groups[split.train] for split in splits)


def test_too_few_won_accounts_before_a_period_judge_nothing():
    won = np.arange(100) % 25 == 0
    assert won.sum() < FEWEST_WON
    assert later_splits(checked(won.astype(int), np.arange(100), np.arange(100)), 0) == []


def test_a_period_without_both_classes_is_left_out(leads):
    y, groups, times = leads
    last = periods(times, y, PERIODS) == 4
    y = np.where(last, 1, y)
    splits = later_splits(checked(y, groups, periods(times, y, PERIODS)), 0)
    assert all(0 < y[split.test].sum() < len(split.test) for split in splits)
    assert len(splits) < 3


def drifting(n=1500, seed=0):
    """Return a table in which what a number says turns with the time, which a column tells, and a line that holds."""
    rng = np.random.default_rng(seed)
    times = np.sort(rng.integers(0, 15, n))
    rate = rng.permutation(15)[times] + rng.normal(size=n) * 0.01
    turning = rng.normal(size=n)
    steady = rng.normal(size=n)
    log_odds = 0.7 * steady + 2.0 * turning * rng.choice([-1, 1], 15)[times] - 1
    y = (rng.random(n) < 1 / (1 + np.exp(-log_odds))).astype(int)
    return np.column_stack([rate, turning, steady]), y, times


@pytest.fixture(scope="module", name="drift")
def _drift():
    X, y, times = drifting()
    return X, y, times, LeadClassifier().fit(X, y), LeadClassifier().fit(X, y, times=times)


def test_the_parts_that_hold_later_get_the_weight(drift):
    *_, blind, timed = drift
    assert sum(blind.weights_[:2]) > 0.8, "trees that join columns look best where each time is known"
    assert sum(timed.weights_[:2]) < 0.6
    assert timed.blend_weight_ > 3 * blind.blend_weight_


def test_the_slope_is_no_larger_than_what_later_rows_bear(drift):
    _, y, times, _, timed = drift
    line, accounts = timed.calibration_, np.arange(len(y))
    margin = (timed.oof_log_odds_ - line.intercept) / line.slope
    late = latest_rows(times, y, accounts)
    assert line.slope < 0.9 * fit_sigmoid(margin[late], y[late], np.ones(late.sum()), accounts[late]).slope


def test_one_time_is_as_none(drift):
    X, y, _, blind, _ = drift
    one = LeadClassifier().fit(X, y, times=np.zeros(len(y)))
    assert np.array_equal(one.decision_function(X), blind.decision_function(X))


def test_folds_fitted_at_once_give_the_same(drift):
    X, y, times, _, timed = drift
    again = LeadClassifier(n_jobs=2).fit(X, y, times=times)
    assert np.array_equal(again.decision_function(X), timed.decision_function(X))


def test_a_level_of_its_own_costs_a_period_nothing():
    rng = np.random.default_rng(2)
    y, block = (rng.random(300) < 0.3).astype(float), np.repeat([0, 1, 2], 100)
    margin, weight = rng.normal(size=300), rng.uniform(0.5, 2, 300)
    found = ranking_loss(margin, y, weight, block)
    moved = np.array([4.0, -3.0, 0.5])[block]
    assert ranking_loss(margin + moved, y, weight, block) == pytest.approx(found, abs=1e-10)
    levels = [np.linspace(-6, 3, 901) + 0 * k for k in range(3)]
    best = 0.0
    for k, tried in enumerate(levels):
        own = block == k
        best += weight[own].sum() * min(log_loss(margin[own] + level, y[own], weight[own]) for level in tried)
    assert found == pytest.approx(best / weight.sum(), abs=1e-4)


def test_the_slope_in_time_knows_no_level():
    rng = np.random.default_rng(3)
    block, margin = np.repeat([0, 1, 2], 1000), rng.normal(size=3000) * 2
    y = (rng.random(3000) < 1 / (1 + np.exp(-(0.4 * margin + np.array([-2, 1, 0])[block])))).astype(float)
    ones, groups = np.ones(3000), np.arange(3000)
    assert slope_in_time(margin, y, ones, groups, block) == pytest.approx(0.4, abs=0.06)
    moved = margin + np.array([5, 0, -5])[block]
    assert slope_in_time(moved, y, ones, groups, block) == pytest.approx(
        slope_in_time(margin, y, ones, groups, block), abs=1e-6
    )


def test_below_twenty_positive_groups_later_rows_say_nothing_of_the_slope():
    margin, y = np.arange(100.0), np.tile([0.0, 1.0], 50)
    assert slope_in_time(margin, y, np.ones(100), np.arange(100) % 38, np.zeros(100, int)) == np.inf


def test_a_bound_on_the_slope_keeps_the_mean_right():
    rng = np.random.default_rng(4)
    margin = rng.normal(size=2000)
    y = (rng.random(2000) < 1 / (1 + np.exp(-margin + 1))).astype(float)
    found = fit_sigmoid(margin, y, np.ones(2000), np.arange(2000), 0.3)
    assert found.slope == 0.3
    assert (1 / (1 + np.exp(-(0.3 * margin + found.intercept)))).mean() == pytest.approx(y.mean(), abs=1e-6)
    assert fit_sigmoid(margin, y, np.ones(2000), np.arange(2000), 5.0).slope == pytest.approx(1.0, abs=0.15)
