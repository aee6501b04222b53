"""Training rows: very many negatives are thinned."""

from __future__ import annotations

import numpy as np
import pytest

from leadlight.estimators import rows


@pytest.fixture(autouse=True)
def _few(monkeypatch):
    monkeypatch.setattr(rows, "ENOUGH_NEGATIVES", 300)
    monkeypatch.setattr(rows, "NEGATIVES_A_POSITIVE", 10)


Y = np.r_[np.ones(40), np.zeros(3000)]
ONE_ACCOUNT, EACH = np.r_[np.zeros(40), np.arange(1, 3001)], np.arange(3040)


def test_very_many_negatives_are_thinned_and_keep_their_weight():
    weight = np.random.default_rng(0).random(len(Y)) + 0.5
    thin = rows.thinned(Y, weight, ONE_ACCOUNT, 0)
    assert np.count_nonzero(thin[Y == 0]) == 300
    assert thin[Y == 0].sum() == pytest.approx(weight[Y == 0].sum())
    assert np.array_equal(thin[Y > 0], weight[Y > 0])


@pytest.mark.parametrize(("groups", "kept"), [(ONE_ACCOUNT, 300), (EACH, 400)])
def test_how_many_are_kept_follows_the_won_accounts_and_not_their_rows(groups, kept):
    assert np.count_nonzero(rows.thinned(Y, np.ones(3040), groups, 0)[Y == 0]) == kept


def test_few_negatives_stay_as_they_are():
    y, weight = np.r_[np.ones(5), np.zeros(200)], np.linspace(1.0, 2.0, 205)
    assert rows.thinned(y, weight, np.arange(205), 0) is weight


def test_rows_are_drawn_in_proportion_to_their_weight_and_then_weigh_the_same():
    weight = np.where(np.arange(len(Y)) < 1040, 1.0, 0.1)
    thin = rows.thinned(Y, weight, ONE_ACCOUNT, 0)[40:]
    drawn = thin > 0
    assert np.ptp(thin[drawn]) == pytest.approx(0.0)
    assert drawn[:1000].sum() == pytest.approx(300 * 1000 / 1200, abs=20)
    assert drawn[1000:].sum() == pytest.approx(300 * 200 / 1200, abs=20)


def test_a_row_that_outweighs_many_is_kept_as_it_is():
    weight = np.ones(len(Y))
    weight[50] = 500.0
    thin = rows.thinned(Y, weight, ONE_ACCOUNT, 3)
    assert thin[50] == pytest.approx(500.0, rel=0.02)
    assert np.count_nonzero(thin[40:]) == 300


def test_over_many_draws_each_row_has_the_weight_that_it_had():
    weight = np.where(np.arange(len(Y)) % 3, 0.3, 1.0)
    mean = np.mean([rows.thinned(Y, weight, ONE_ACCOUNT, seed)[40:] for seed in range(400)], axis=0)
    for part in (slice(0, 1500), slice(1500, 3000)):
        assert mean[part].sum() == pytest.approx(weight[40:][part].sum(), rel=0.02)


def test_the_same_seed_draws_the_same_rows():
    first, again, other = (rows.thinned(Y, np.ones(3040), ONE_ACCOUNT, seed) for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
