"""No deal: points, and no probability. Few deals: an interval that says so."""

from __future__ import annotations

import warnings

import joblib
import numpy as np
import pandas as pd
import pytest

from leadlight import (
    Behaviour,
    Capacity,
    Catalogue,
    Costs,
    Count,
    LeadQualifier,
    MissRate,
    build_features,
)
from leadlight.errors import InputError, LeadlightWarning
from leadlight.evaluation import evaluate
from leadlight.explain import drivers
from leadlight.observations import population_at
from leadlight.plan import HandSetPoints
from leadlight.qualifier.sureness import SLOPE_VARIANCE


def without_deals(observations):
    rows = observations.take(np.ones(len(observations), bool))
    rows.frame["label"] = 0
    return rows


@pytest.fixture(scope="module", name="unsold")
def _unsold(community, observations, catalogue):
    with pytest.warns(LeadlightWarning, match="No deal to learn from: hand-set points, and no probability"):
        return LeadQualifier(catalogue, decision=Capacity(n=20)).fit(community, without_deals(observations))


@pytest.fixture(scope="module", name="list_of_points")
def _list_of_points(unsold, community, at):
    return unsold.score(community, at)


def test_points_are_those_of_the_rules_and_no_probability_is_made_up(unsold, list_of_points, community, at):
    X = build_features(community, population_at(community, at, unsold.windows_), unsold.plan_)
    by_hand = 0.2 * np.minimum(X["view_count_30d"], 50) + 3 * np.minimum(X["question_count_30d"], 20)
    assert list_of_points.frame["points"].to_numpy() == pytest.approx(by_hand.to_numpy(), rel=1e-6)
    assert list_of_points.frame[["probability", "low", "high"]].isna().all(axis=None)
    assert "points" in list_of_points.to_pandas()


def test_grades_percentiles_and_the_capacity_go_by_points(list_of_points, unsold):
    frame = list_of_points.frame.sort_values("points", ascending=False)
    assert frame["grade"].is_monotonic_increasing
    assert frame["percentile"].is_monotonic_decreasing
    assert (frame["qualified"] == (frame["points"] >= unsold.threshold_)).all()
    assert 10 <= frame["qualified"].sum() <= 60


def test_the_list_is_ranked_by_points_with_reasons_in_points(list_of_points):
    called = list_of_points.top(30)
    assert called.frame["points"].is_monotonic_decreasing
    for points, reasons in zip(called.frame["points"], called.frame["reasons"], strict=True):
        assert sum(reason.contribution for reason in reasons) == pytest.approx(points)
    assert "No deal to learn from" in str(called)
    assert "points" in str(called).splitlines()[1]


def test_one_member_alone_gets_the_points_of_the_batch(unsold, list_of_points, community, at):
    X = build_features(community, population_at(community, at, unsold.windows_), unsold.plan_)
    alone, line = unsold.scorer_.predict_rows(X.iloc[[7]])[0], list_of_points.frame.iloc[7]
    for name in ("percentile", "grade", "qualified", "cold_start", "reasons", "model_version"):
        assert getattr(alone, name) == line[name]


def test_one_member_is_served_from_events(unsold):
    events = [{"occurred_at": f"2025-01-0{d}", "action": "question"} for d in (1, 2, 3)]
    found = unsold.scorer_.predict(events, at="2025-01-05")
    assert np.isnan(found.probability)
    assert (found.reasons[0].behaviour, found.reasons[0].contribution) == ("asks questions", 9.0)


def test_an_explanation_in_points_adds_up(unsold, list_of_points, community, at):
    explanation = unsold.explain(community, at)
    assert explanation.values.sum(axis=1) == pytest.approx(list_of_points.frame["points"].to_numpy())
    assert not explanation.base_values.any()


def test_reasons_in_points_have_evidence(unsold, list_of_points, community, at):
    called = list_of_points.top(5)
    found = unsold.evidence(community, at, members=called.frame["member_id"].tolist())
    assert set(found["member_id"]) == set(called.frame["member_id"])


def test_what_needs_deals_says_so(unsold, list_of_points, community, at):
    with pytest.raises(InputError, match="no probability to divide"):
        unsold.explain(community, at).probability_points()
    with pytest.raises(InputError, match="learned nothing"):
        drivers(unsold)
    with pytest.raises(InputError, match="all alike"):
        unsold.points_table()
    with pytest.raises(InputError, match="hand-set points rank the members"):
        unsold.over_the_line(community, at, list_of_points.frame["member_id"].iloc[0])


def test_who_earns_no_points_is_not_qualified(community, observations):
    rare = Catalogue(
        [
            Behaviour(
                "refers",
                (Count("refer", window="7d"),),
                reason="referred",
                points=HandSetPoints(5, (("refer_count_7d", 1.0),), 5),
            )
        ]
    )
    with pytest.warns(LeadlightWarning):
        fitted = LeadQualifier(rare, decision=Capacity(share=1.0)).fit(community, without_deals(observations))
    frame = fitted.score(community, community.frozen_us + 1).frame
    assert (frame["qualified"] == (frame["points"] > 0)).all()


def test_there_is_no_probability_to_ask_for_save_or_judge(unsold, community, observations, tmp_path):
    with pytest.raises(InputError, match="no probability"):
        unsold.predict_proba(pd.DataFrame())
    with pytest.raises(InputError, match=r"not saved.*no probability"):
        unsold.save(tmp_path / "model")
    assert not (tmp_path / "model").exists()
    early, late = observations.split("2025-03-01", "2025-03-01")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LeadlightWarning)
        points = LeadQualifier(unsold.catalogue).fit(community, without_deals(early))
    with pytest.raises(InputError, match="no probability"):
        evaluate(points, community, late, rounds=2)


def test_joblib_keeps_the_points(unsold, list_of_points, community, at, tmp_path):
    joblib.dump(unsold, tmp_path / "q")
    pd.testing.assert_frame_equal(
        joblib.load(tmp_path / "q").score(community, at).frame, list_of_points.frame
    )


def test_what_it_says_of_itself(unsold):
    assert "hand-set points" in unsold.estimand_
    assert "hand-scored" in str(unsold)
    assert unsold.decision_report_.buyers == 0
    assert 0 < unsold.decision_report_.flagged < 0.2


def test_decisions_that_need_deals_say_how_many(community, observations, catalogue):
    rows = without_deals(observations)
    with pytest.raises(InputError, match=r"0 buyers .* at least 22"):
        LeadQualifier(catalogue, decision=MissRate(0.1)).fit(community, rows)
    with pytest.raises(InputError, match=rf"Costs need a probability.*{len(rows)} rows"):
        LeadQualifier(catalogue, decision=Costs(1, 9)).fit(community, rows)


def test_without_points_no_deal_is_an_error_with_counts(community, observations):
    plain = Catalogue([Behaviour("reads", (Count("view", window="30d"),), reason="read")], "plain")
    rows = without_deals(observations)
    with pytest.raises(
        InputError, match=rf"{len(rows)} rows, {len(rows)} of them labelled, none positive.*'plain'"
    ):
        LeadQualifier(plain).fit(community, rows)


def test_all_won_is_an_error_with_counts(community, observations, catalogue):
    won = observations.take((observations.frame["label"] == 1).to_numpy())
    with pytest.raises(InputError, match=f"{len(won)} labels, all 1"):
        LeadQualifier(catalogue).fit(community, won)


def test_a_fit_with_deals_leaves_the_points_behind(community, observations, catalogue):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LeadlightWarning)
        both = (
            LeadQualifier(catalogue).fit(community, without_deals(observations)).fit(community, observations)
        )
        assert both.score(community, community.frozen_us + 1).frame["probability"].notna().all()
        again = both.fit(community, without_deals(observations))
    assert not hasattr(again, "classifier_")


@pytest.fixture(scope="module", name="ten")
def _ten(community, observations, catalogue):
    """A fit on ten accounts that won."""
    rows = observations.take(np.ones(len(observations), bool))
    won = pd.unique(rows.groups[(rows.frame["label"] == 1).to_numpy()])
    rows.frame.loc[~pd.Series(rows.groups).isin(won[:10]).to_numpy(), "label"] = 0
    with pytest.warns(LeadlightWarning, match="Only 10 accounts"):
        return LeadQualifier(catalogue, decision=Capacity(n=20), selection="none").fit(community, rows)


def test_ten_deals_give_a_wide_and_finite_interval(ten, community, at):
    frame = ten.score(community, at).frame
    assert np.isfinite(frame[["probability", "low", "high"]]).all(axis=None)
    odds = lambda p: np.log(p / (1 - p))  # noqa: E731
    half = (odds(frame["high"]) - odds(frame["low"])) / 2 / 1.96
    # The noise of counting ten, everywhere; and away from the mean what the slope may be.
    assert half.min() >= np.sqrt(1 / 10) * 0.999
    assert half.max() > half.min() * 1.2


def test_the_slope_of_few_deals_varies_as_documented_and_the_mean_stays(ten):
    (aa, ab), (_, bb) = ten.scorer_.model.calibration.covariance
    assert aa == SLOPE_VARIANCE
    assert ab * ab <= aa * bb
    centre = -ab / aa
    known = ten.classifier_.oof_log_odds_
    p = 1 / (1 + np.exp(-known))
    moved = known + 0.1 * ((known - ten.calibration_.intercept) - centre)
    assert (1 / (1 + np.exp(-moved))).mean() == pytest.approx(p.mean(), rel=0.05)


def test_many_deals_keep_the_interval_that_was_fitted(community, observations, catalogue):
    fitted = LeadQualifier(catalogue, selection="none").fit(community, observations)
    assert fitted.classifier_.n_positive_groups_ >= 20
    assert fitted.scorer_.model.calibration == fitted.classifier_.calibration_
    assert fitted.scorer_.model.calibration.covariance[0][0] > 0
