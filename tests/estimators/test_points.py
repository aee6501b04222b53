"""Hand-set points, computed by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest

from leadlight.errors import InputError, NotFittedError, SchemaError
from leadlight.estimators import PointsScorer
from leadlight.estimators.points import worth
from leadlight.plan import HandSetPoints

RULES = {
    "asks": HandSetPoints(2.0, (("question_7d", 0.4), ("question_30d", 0.3), ("question_90d", 0.3)), 10.0),
    "reads": HandSetPoints(0.5, (("view_30d", 1.0),), 20.0),
}
ROWS = pd.DataFrame(
    {
        "question_7d": [1.0, 0.0, 0.0, 100.0],
        "question_30d": [1.0, 1.0, 0.0, 100.0],
        "question_90d": [1.0, 1.0, 1.0, 100.0],
        "view_30d": [0.0, 4.0, np.nan, 100.0],
        "tenure_days": [3.0, 3.0, 3.0, 3.0],
    }
)


def test_points_decay_and_stop_at_the_cap():
    by_hand = [2 * 1.0 + 0, 2 * 0.6 + 0.5 * 4, 2 * 0.3 + 0, 2 * 10 + 0.5 * 20]
    assert PointsScorer(RULES).points_for(ROWS).tolist() == pytest.approx(by_hand)


def test_the_columns_share_the_points_of_a_behaviour_as_they_do_its_units():
    scorer = PointsScorer(RULES)
    found = scorer.contributions(ROWS)
    assert found.sum(axis=1).to_numpy() == pytest.approx(scorer.points_for(ROWS))
    assert found.iloc[0].to_dict() == pytest.approx(
        {"question_7d": 0.8, "question_30d": 0.6, "question_90d": 0.6, "view_30d": 0.0}
    )
    # Beyond the cap of ten units, twenty points are divided .4 : .3 : .3.
    assert found.iloc[3].to_dict() == pytest.approx(
        {"question_7d": 8.0, "question_30d": 6.0, "question_90d": 6.0, "view_30d": 10.0}
    )
    assert found.shape == (4, 4)
    assert PointsScorer({}).contributions(ROWS).shape == (4, 0)


def test_own_points_replace_the_rules():
    assert PointsScorer(RULES, {"asks": 7}).points_for(ROWS)[0] == pytest.approx(7.0)


def test_points_for_an_unknown_behaviour_name_the_nearest():
    with pytest.raises(InputError, match=r"'ask'.*did you mean 'asks'"):
        PointsScorer(RULES, {"ask": 7}).points_for(ROWS)


def test_points_without_rules_go_by_column():
    X = np.tile(np.arange(40.0), (2, 1)).T
    scorer = PointsScorer(points={"f0": 3.0}).fit(X, np.arange(40) % 2)
    assert scorer.points_for(X[:2]).tolist() == [0.0, 4.0]
    with pytest.raises(InputError, match="no column"):
        PointsScorer(points={"f9": 3.0}).fit(X, np.arange(40) % 2)


def test_without_rules_points_need_a_fit():
    with pytest.raises(NotFittedError):
        PointsScorer().points_for(ROWS)


def test_other_columns_are_no_news(recwarn):
    for X in (ROWS, pl.from_pandas(ROWS), ROWS.to_dict("list")):
        assert len(PointsScorer(RULES).points_for(X)) == 4
    assert not recwarn.list


def test_a_missing_column_is_named():
    with pytest.raises(SchemaError, match="view_30d"):
        PointsScorer(RULES).points_for(ROWS.drop(columns="view_30d"))


def test_no_rules_at_all_give_nobody_points():
    assert PointsScorer({}).points_for(ROWS).tolist() == [0.0] * 4


def test_infinite_units_are_refused():
    with pytest.raises(InputError, match="infinite"):
        PointsScorer(RULES).points_for(ROWS.assign(view_30d=np.inf))


def table(n=4000, seed=3):
    rng = np.random.default_rng(seed)
    X = pd.DataFrame({c: rng.poisson(1.0, n).astype(float) for c in ("a", "b", "c", "never")})
    X["never"] = 0.0
    log_odds = 0.9 * X["a"] + 0.3 * X["b"] - 0.6 * X["c"] - 1.5
    return X, (rng.random(n) < 1 / (1 + np.exp(-log_odds))).astype(int), np.arange(n) // 2


PLANTED = {c: HandSetPoints(1.0, ((c, 1.0),), 50.0) for c in ("a", "b", "c", "never")}


def test_worth_recovers_what_was_planted():
    X, y, groups = table()
    found = worth(PointsScorer(PLANTED), X, y, groups)
    assert found.loc["a", "deals_say"] / found.loc["b", "deals_say"] == pytest.approx(3.0, rel=0.25)
    assert found.loc["c", "deals_say"] < 0 < found.loc["a", "deals_say"]
    assert ((found["low"] <= found["deals_say"]) & (found["deals_say"] <= found["high"]))[
        ["a", "b", "c"]
    ].all()
    assert found.loc["a", "low"] > found.loc["b", "high"]
    assert np.isnan(found.loc["never", "deals_say"])
    assert found.loc["a", "members"] == pytest.approx((X["a"] > 0).mean())


def test_worth_scales_to_the_spread_of_the_points():
    X, y, groups = table()
    found = worth(PointsScorer(PLANTED), X, y, groups, rounds=5).iloc[:3]
    spread = X[["a", "b", "c"]].std(ddof=0).to_numpy()
    assert np.hypot.reduce(found["deals_say"] * spread) == pytest.approx(
        np.hypot.reduce(found["hand_set"] * spread)
    )


def test_weights_count():
    X, y, _ = table(600)
    doubled = PointsScorer(PLANTED).fit(X, y, sample_weight=1.0 + y).predict_proba(X)[:, 1]
    assert doubled.mean() > PointsScorer(PLANTED).fit(X, y).predict_proba(X)[:, 1].mean() + 0.05


def test_the_chance_rises_with_the_points():
    X, y, _ = table(600)
    scorer = PointsScorer({"a": PLANTED["a"]}).fit(X, y)
    order = np.argsort(scorer.points_for(X), kind="stable")
    assert (np.diff(scorer.predict_proba(X)[order, 1]) >= 0).all()
