"""A points table: rules in words, whole points, nothing that names a member."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from leadlight.errors import InputError, SchemaError
from leadlight.estimators.points_table import PointsTable, _fit, learn_points
from leadlight.estimators.simple_rules import SimpleRule, simple_rules
from leadlight.plan import Column, HandSetPoints, Key, Plan, PlannedBehaviour

COLUMNS = {
    "question_count_30d": "count",
    "question_recency_days": "recency",
    "question_first_time_30d": "first_time",
    "question_surprise_30d": "surprise",
    "tag.visa_count_90d": "count",
    "tag.c%2B%2B_count_90d": "count",
    "group.beta_joined_all": "count",
    "last_visit_s": "last_visit",
    "profile_completeness": "completeness",
}
PLAN = Plan(
    (Key(),),
    tuple(Column(name, op, (0,), () if op == "recency" else (1,)) for name, op in COLUMNS.items()),
    (
        PlannedBehaviour(
            "asks",
            tuple(COLUMNS)[:4],
            (
                "asked {question_count_30d:question|questions} in 30 days, more than usual{question_surprise_30d:more}",
                "asked {question_count_30d:question|questions} in 30 days",
                "last asked {question_recency_days:ago}",
                "asked the first question{question_first_time_30d:if}",
            ),
            HandSetPoints(3.0, (("question_count_30d", 1.0),), 4.0),
        ),
        PlannedBehaviour(
            "reads",
            tuple(COLUMNS)[4:7],
            ("looked into {tag.*} {tag.*_count_90d:time|times} in 90 days", "joined the group {group.*}"),
        ),
        PlannedBehaviour(
            "stays",
            tuple(COLUMNS)[7:],
            ("stayed {last_visit_s:duration}", "profile {profile_completeness:percent} complete"),
        ),
    ),
)


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    n = 4_000
    X = pd.DataFrame({name: rng.poisson(0.4, n).astype(np.float32) for name in COLUMNS})
    X["question_recency_days"] = np.where(X["question_count_30d"] > 0, rng.uniform(0, 30, n), np.nan)
    X["last_visit_s"] = rng.exponential(400, n)
    X["profile_completeness"] = rng.uniform(0, 1, n)
    margin = -3 + 1.5 * (X["question_count_30d"] >= 1) + 0.8 * (X["tag.visa_count_90d"] >= 1)
    y = (rng.random(n) < 1 / (1 + np.exp(-margin))).astype(float).to_numpy()
    return X, y, np.ones(n)


def test_rules_are_the_sentences_of_the_plan_with_thresholds(data):
    X = data[0].to_numpy(float)
    texts = {r.text: (r.column, r.at_least, r.at_most) for r in simple_rules(PLAN, X, np.ones(len(X), bool))}
    inf = float("inf")
    for text, expected in {
        "asked at least 1 question in 30 days": ("question_count_30d", 1, inf),
        "asked at least 2 questions in 30 days": ("question_count_30d", 2, inf),
        "last asked less than 7 days ago": ("question_recency_days", -inf, 7),
        "asked the first question": ("question_first_time_30d", 1, inf),
        "looked into c++ at least once in 90 days": ("tag.c%2B%2B_count_90d", 1, inf),
        "looked into visa at least 2 times in 90 days": ("tag.visa_count_90d", 2, inf),
        "joined the group beta": ("group.beta_joined_all", 1, inf),
        "stayed at least 10 minutes": ("last_visit_s", 600, inf),
        "profile at least 50 % complete": ("profile_completeness", 0.5, inf),
    }.items():
        assert texts[text] == expected
    # What needs two columns is no simple rule.
    assert not any("more than usual" in text for text in texts)


@pytest.mark.parametrize(
    ("low", "high", "met"),
    [(1.0, float("inf"), [False, True, True, False]), (-float("inf"), 1.0, [True, True, False, False])],
)
def test_a_missing_value_meets_no_rule(low, high, met):
    rule = SimpleRule("b", "c", "", low, high)
    assert rule.met(np.array([0.0, 1.0, 2.0, np.nan])).tolist() == met


def test_what_tells_deals_gets_the_points(data):
    table = learn_points(PLAN, *data, most=4)
    assert table.frame["rule"].iloc[0] == "asked at least 1 question in 30 days"
    assert "looked into visa at least once in 90 days" in table.frame["rule"].tolist()
    assert table.frame["points"].is_monotonic_decreasing
    assert abs(sum(table.points) - 100) <= len(table)
    assert table.frame.groupby("behaviour").size().max() <= 2


def test_hand_set_points_stand_beside(data):
    X, y, weight = data
    frame = learn_points(PLAN, X, y, weight, most=4).frame.set_index("rule")
    asked = X["question_count_30d"] >= 1
    row = frame.loc["asked at least 1 question in 30 days"]
    assert row["hand_set"] == pytest.approx(3 * np.minimum(X["question_count_30d"], 4)[asked].mean())
    assert row["members"] == pytest.approx(asked.mean())
    assert row["deals"] == pytest.approx(asked[y > 0].mean())
    assert frame.loc[frame["behaviour"] == "reads", "hand_set"].isna().all()


def test_a_behaviour_has_two_rules_at_most(data):
    """However many of them speak for a deal."""
    X, _, weight = data
    margin = -4 + sum(
        (X[c] >= 1).astype(float) * 2 for c in ("question_count_30d", "question_first_time_30d")
    )
    margin = margin + 2 * (X["question_recency_days"] <= 7) + 0.5 * (X["tag.visa_count_90d"] >= 1)
    y = (np.random.default_rng(1).random(len(X)) < 1 / (1 + np.exp(-margin))).to_numpy(float)
    table = learn_points(PLAN, X, y, weight, most=8)
    assert (table.frame["behaviour"] == "asks").sum() == 2
    place = {r.text: r for r in table.rules}
    for row in table.frame.itertuples():
        met = place[row.rule].met(X[row.column].to_numpy(float))
        assert (row.members, row.deals) == pytest.approx((met.mean(), met[y > 0].mean()))


def test_nothing_speaks_against_a_member():
    rng = np.random.default_rng(0)
    met = (rng.random((2_000, 2)) < 0.5).astype(float)
    y = (rng.random(2_000) < 1 / (1 + np.exp(1 - 2 * met[:, 0] + 2 * met[:, 1]))).astype(float)
    good, bad = _fit(met, y, np.ones(2_000))
    assert good > 1
    assert bad == 0


def test_points_of_rows_add_up(data):
    X = data[0]
    table = learn_points(PLAN, *data, most=3)
    first = X.iloc[:50]
    expected = [
        sum(
            p
            for r, p in zip(table.rules, table.points, strict=True)
            if r.at_least <= row[r.column] <= r.at_most
        )
        for row in first.to_dict("records")
    ]
    assert table.points_for(first).tolist() == expected
    with pytest.raises(SchemaError, match="lack"):
        table.points_for(first.drop(columns=table.rules[0].column))


def test_a_rule_that_few_meet_is_none(data):
    """It could name somebody."""
    X, y, weight = data
    X = X.assign(**{"tag.visa_count_90d": 0.0})
    X.loc[:18, "tag.visa_count_90d"] = 1.0
    y = y.copy()
    y[:19] = 1
    assert "tag.visa_count_90d" not in learn_points(PLAN, X, y, weight).frame["column"].tolist()


@pytest.mark.parametrize(("members", "kept"), [(19, False), (20, True)])
def test_a_rule_that_many_rows_of_few_members_meet_is_none(data, members, kept):
    X, y, weight = data
    X = X.assign(**{"tag.visa_count_90d": 0.0})
    X.loc[:199, "tag.visa_count_90d"] = 1.0
    y = y.copy()
    y[:100] = 1
    who = np.where(np.arange(len(X)) < 200, np.arange(len(X)) % members, np.arange(len(X)))
    X.index = pd.MultiIndex.from_arrays([who, np.arange(len(X))], names=["member_id", "cutoff"])
    assert ("tag.visa_count_90d" in learn_points(PLAN, X, y, weight).frame["column"].tolist()) == kept


def test_rows_without_weight_teach_nothing(data):
    X, y, weight = data
    half = np.arange(len(y)) < 2_000
    noise = np.where(half, y, 1 - y)
    pd.testing.assert_frame_equal(
        learn_points(PLAN, X, noise, half.astype(float)).frame,
        learn_points(PLAN, X[half], y[half], weight[half]).frame,
    )


def test_the_file_is_read_back_and_runs_nothing(tmp_path):
    rule = SimpleRule("b", "c", "=cmd()", 1.0, float("inf"))
    frame = pd.DataFrame([{"behaviour": "b", "rule": "=cmd()", "points": 5, "at_most": float("inf")}])
    PointsTable((rule,), (5,), frame).to_csv(tmp_path / "p.csv")
    assert (tmp_path / "p.csv").read_text() == "behaviour,rule,points,at_most\nb,'=cmd(),5,\n"
    assert str(PointsTable((rule,), (5,), frame)) == "  +5  =cmd()"


@pytest.mark.parametrize("most", [0, True])
def test_a_table_has_a_rule_at_least(data, most):
    with pytest.raises(InputError, match="at least one rule"):
        learn_points(PLAN, *data, most=most)


def test_without_deals_there_is_nothing_to_learn(data):
    X, y, weight = data
    with pytest.raises(InputError, match="all alike"):
        learn_points(PLAN, X, 0 * y, weight)


def test_sentences_that_say_nothing_make_no_rule(data):
    plan = Plan(PLAN.keys, PLAN.columns, (PlannedBehaviour("asks", tuple(COLUMNS), ()),))
    with pytest.raises(InputError, match="make no simple rule"):
        learn_points(plan, *data)


def test_where_nothing_speaks_for_a_deal_it_is_said(data):
    X, _, weight = data
    never = (X["question_count_30d"] + X["tag.visa_count_90d"] == 0).to_numpy(float)
    plan = Plan(PLAN.keys, PLAN.columns, PLAN.behaviours[:1])
    with pytest.raises(InputError, match="No simple rule speaks for a deal"):
        learn_points(plan, X, never, weight)
