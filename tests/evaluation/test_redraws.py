"""Draws of accounts, and the intervals from them."""

from __future__ import annotations

import numpy as np
import pytest

from leadlight.evaluation.judge import Judge, tabulate
from leadlight.evaluation.metrics import Ranking, account_draws, calibration_slope, redrawn_slopes
from leadlight.evaluation.redraws import Redraws, effective, interval, union


def sample(seed, accounts=60, levels=None):
    rng = np.random.default_rng(seed)
    groups = rng.integers(0, accounts, 400)
    y = (rng.random(400) < 0.1).astype(float)
    score = rng.normal(size=400) + y
    return groups, y, score if levels is None else np.round(score * levels)


@pytest.mark.parametrize("levels", [None, 2])
def test_redrawn_figures_are_those_of_weighted_rows(levels):
    groups, y, score = sample(0, levels=levels)
    ranking, redraws = Ranking(score, y), Redraws(groups, 30, 3)
    recall = np.linspace(0, 1, 31)
    found = ranking.redrawn(redraws, recall=recall)
    weights = [np.ones(400), *account_draws(groups, 30, 3)]
    for k, weight in enumerate(weights):
        assert found["average_precision"][k] == pytest.approx(ranking.average_precision(weight))
        assert found["auc"][k] == pytest.approx(ranking.auc(weight))
        assert found["false_positives_at_recall"][k] == pytest.approx(
            ranking.false_positives_at_recall(weight, recall[k])
        )


def test_row_weights_leave_rows_out():
    groups, y, score = sample(1)
    inside = np.arange(400) % 2 == 0
    found = Ranking(score, y).redrawn(Redraws(groups, 0, 0), inside.astype(float))
    assert found["auc"][0] == pytest.approx(Ranking(score[inside], y[inside]).auc(np.ones(200)))


def test_draws_in_parts_are_the_draws_as_a_whole(monkeypatch):
    groups, y, score = sample(2)
    redraws = Redraws(groups, 40, 0)
    whole = Ranking(score, y).redrawn(redraws)["auc"], redraws.sums(y)
    monkeypatch.setattr("leadlight.evaluation.redraws.CELLS", 200)
    parts = Ranking(score, y).redrawn(redraws)["auc"], redraws.sums(y)
    for a, b in zip(whole, parts, strict=True):
        np.testing.assert_allclose(a, b)


def precision_of_others(groups, y, score, weight):
    """The long way round: precision at each positive row among the rows of other accounts."""
    found, told = 0.0, 0.0
    for row in np.flatnonzero(y * weight):
        others = weight * (groups != groups[row]) * (score >= score[row])
        share = others.sum() / (weight * (score >= score[row])).sum()
        told += weight[row] * share
        found += weight[row] * share * (others @ y) / max(others.sum(), 1e-12)
    return found / told


@pytest.mark.parametrize("levels", [None, 2])
def test_precision_of_others_leaves_the_own_account_out_however_often_it_is_drawn(levels):
    groups, y, score = sample(4, accounts=40, levels=levels)
    found = Ranking(score, y).redrawn(Redraws(groups, 12, 3))
    weights = [np.ones(400), *account_draws(groups, 12, 3)]
    expected = [precision_of_others(groups, y, score, weight) for weight in weights]
    np.testing.assert_allclose(found["precision_of_others"], expected)


def test_precision_of_others_counts_weights_of_rows():
    groups, y, score = sample(5, accounts=40)
    weight = np.random.default_rng(0).integers(0, 4, 400).astype(float)
    found = Ranking(score, y).redrawn(Redraws(groups, 0, 0), weight)["precision_of_others"][0]
    assert found == pytest.approx(precision_of_others(groups, y, score, weight))


def test_a_lone_buyer_at_the_top_has_no_precision_among_others():
    y = np.array([1.0, 0, 0, 0])
    found = Ranking(np.arange(4.0)[::-1], y).redrawn(Redraws(np.arange(4), 0, 0))
    assert found["average_precision"][0] == 1
    assert found["precision_of_others"][0] == pytest.approx(1 + 3 * np.log(0.75))


def test_what_accounts_add_is_the_average_precision():
    groups, y, score = sample(6, levels=1)
    found = Ranking(score, y).redrawn(Redraws(groups, 3, 0))
    assert found["precision_by_account"].shape == (60,)
    assert found["precision_by_account"].sum() == pytest.approx(found["average_precision"][0])


def test_a_union_leaves_unknown_intervals_out():
    assert union([(np.nan, np.nan), (0.2, 0.4), (0.1, 0.3)]) == (0.1, 0.4)
    assert np.isnan(union([(np.nan, np.nan)])).all()


def judge_of(y, groups, rounds=50):
    scores = {"leadlight": np.arange(len(y), dtype=float), "points": np.zeros(len(y))}
    chosen = dict.fromkeys(scores, np.arange(len(y)) >= len(y) - 3)
    return Judge(y, Redraws(groups, rounds, 0), scores, chosen, np.full(len(y), 0.1), np.arange(len(y)))


def test_few_buyers_and_a_dominant_account_are_said():
    y = np.repeat([0.0, 1.0], [60, 30])
    assert judge_of(y, np.arange(90)).cautions() == ()
    (few,) = judge_of(y[45:75], np.arange(30)).cautions()
    assert "15 buyers" in few
    (large,) = judge_of(y, np.minimum(np.arange(90), 80)).cautions()
    assert "33%" in large


def test_the_parts_of_an_interval_are_no_figures():
    y = np.repeat([0.0, 1.0], [60, 30])
    judge = judge_of(y, np.arange(90))
    table = tabulate(judge.figures(), judge.evidence(), 30.0, 1.0)
    assert not [metric for _, metric in table.index if metric.startswith("precision_")]


def test_the_first_draw_is_the_sample():
    groups, y, _ = sample(3)
    assert Redraws(groups, 5, 0).sums(y)[0] == y.sum()


def test_redrawn_slopes_are_near_those_of_a_full_fit():
    rng = np.random.default_rng(0)
    z = rng.normal(size=3000) - 1
    y, p = (rng.random(3000) < 1 / (1 + np.exp(-z))).astype(float), 1 / (1 + np.exp(-2 * z))
    groups = np.arange(3000)
    found = redrawn_slopes(p, y, Redraws(groups, 20, 0))
    assert found[0] == pytest.approx(calibration_slope(p, y))
    full = [
        calibration_slope(np.repeat(p, w.astype(int)), np.repeat(y, w.astype(int)))
        for w in account_draws(groups, 20, 0)
    ]
    np.testing.assert_allclose(found[1:], full, atol=0.01)


def test_one_giant_account_is_worth_little():
    assert effective(np.array([1.0, 1, 1, 1])) == 4
    assert effective(np.array([40.0, 1, 1, 1])) < 1.2
    assert effective(np.zeros(3)) == 0


@pytest.mark.parametrize("scale", ["odds", "share", "count", "plain"])
def test_a_figure_lies_within_its_interval(scale):
    draws = np.concatenate([[0.3], np.random.default_rng(0).beta(3, 7, 200)])
    low, high = interval(draws, scale, 30)
    assert low < 0.3 < high


def test_fewer_accounts_make_a_wider_interval():
    draws = np.concatenate([[0.3], np.random.default_rng(0).beta(3, 7, 200)])
    few, many = (np.diff(interval(draws, "odds", n))[0] for n in (5, 50))
    assert few > 1.2 * many


def test_none_seen_does_not_mean_none():
    low, high = interval(np.zeros(100), "count", 50)
    assert low == 0
    assert 2 < high < 6
    low, high = interval(np.zeros(100), "share", 50)
    assert low == 0
    assert 0.05 < high < 0.12


def test_without_draws_there_is_no_interval():
    assert np.isnan(interval(np.array([0.4]), "odds", 10)).all()


def test_intervals_hold_the_figure_of_the_population_as_often_as_they_say():
    """Redraws of accounts of one population: AUC, average precision and missed rows."""
    rng = np.random.default_rng(7)
    size = rng.geometric(0.4, 6000)
    account = np.repeat(np.arange(6000), size)
    y = ((rng.random(6000) < 0.05)[account] & (rng.random(len(account)) < 0.7)).astype(float)
    score = rng.normal(size=6000)[account] + rng.normal(size=len(account)) + y
    line = np.quantile(score, 0.95)
    starts = np.concatenate([[0], np.cumsum(size)])

    def figures(rows, groups, rounds, seed):
        redraws, ranking = Redraws(groups, rounds, seed), Ranking(score[rows], y[rows])
        missed = redraws.sums(y[rows] * (score[rows] < line))
        return {**ranking.redrawn(redraws), "missed": missed}, effective(redraws.per_account(y[rows]))

    truth = figures(np.arange(len(y)), account, 0, 0)[0]
    held = dict.fromkeys(truth, 0)
    for k in range(200):
        drawn = rng.integers(0, 6000, 900)
        rows = np.concatenate([np.arange(starts[a], starts[a + 1]) for a in drawn])
        found, evidence = figures(rows, np.repeat(np.arange(900), size[drawn]), 100, k)
        for name, draws in found.items():
            low, high = interval(draws, "count" if name == "missed" else "odds", evidence)
            held[name] += low <= truth[name][0] * (0.15 if name == "missed" else 1) <= high
    assert all(180 <= times <= 198 for times in held.values()), held


def test_average_precision_of_few_buyers_is_held_as_often_as_promised():
    """Thirty positive accounts at a base rate of two per cent, one score three times as noisy as the other."""
    rng = np.random.default_rng(11)
    accounts, drawn = 60_000, 1200
    size = rng.geometric(0.5, accounts)
    account, starts = np.repeat(np.arange(accounts), size), np.concatenate([[0], np.cumsum(size)])
    y = ((rng.random(accounts) < 0.033)[account] & (rng.random(len(account)) < 0.6)).astype(float)
    shared = rng.normal(size=accounts)[account] + y
    scores = {"leadlight": shared + rng.normal(size=len(y)), "points": shared + 3 * rng.normal(size=len(y))}
    own, points = (Ranking(score, y).average_precision(np.ones(len(y))) for score in scores.values())
    held, high = np.zeros(3), np.zeros(3)
    for k in range(200):
        chosen = rng.integers(0, accounts, drawn)
        at = np.concatenate([np.arange(starts[a], starts[a + 1]) for a in chosen])
        redraws, inside = Redraws(np.repeat(np.arange(drawn), size[chosen]), 100, k), np.zeros(len(at), bool)
        judge = Judge(
            y[at],
            redraws,
            {name: score[at] for name, score in scores.items()},
            dict.fromkeys(scores, inside),
            np.full(len(at), 0.02),
            np.arange(len(at)),
        )
        figures = {name: ranking.redrawn(redraws) for name, ranking in judge.rankings.items()}
        table = tabulate(figures, judge.evidence(), float(judge.buyers()[0]), 1.0)
        spans = [
            table.loc[("leadlight", "average_precision"), ["low", "high"]],
            table.loc[("points", "average_precision"), ["low", "high"]],
            table.loc[("points", "average_precision"), ["difference_low", "difference_high"]],
        ]
        for i, ((low, up), target) in enumerate(zip(spans, (own, points, own - points), strict=True)):
            held[i] += low <= target <= up
            high[i] += low > target
    assert ((held >= 180) & (held <= 198)).all(), (held, high)
    # Where each positive row counts itself in both bounds, one in twenty lies too high.
    assert (high <= 6).all(), high
