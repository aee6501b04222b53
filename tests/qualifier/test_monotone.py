"""Directions by behaviour: what they reach, and that scores obey."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn.base import clone

from leadlight import Behaviour, Catalogue, Count, LeadClassifier, LeadQualifier, build_features, load
from leadlight.behaviours import (
    CORPORATE_COMMUNITY,
    Completeness,
    Distinct,
    Entropy,
    FirstTime,
    Peers,
    Ratio,
    Recency,
    Share,
    Sum,
    Surprise,
    Tenure,
    Trend,
    Visits,
)
from leadlight.errors import InputError, LeadlightWarning
from leadlight.plan import OPERATIONS
from leadlight.qualifier.directions import DIRECTIONS, column_signs

UP = Catalogue(
    [
        Behaviour(
            "asks",
            (
                Count("question", window=("30d", "90d")),
                Sum("question", window="30d"),
                Visits(window="30d"),
                Visits(measure="per_month"),
                Distinct("tag"),
                Peers(Count("question", window="30d")),
                Completeness(),
            ),
            reason="",
        ),
        Behaviour("came lately", (Recency("question"), Recency("answer", side="received")), reason=""),
        Behaviour(
            "changes",
            (
                Trend("question"),
                Surprise("question"),
                FirstTime("question"),
                Share("question"),
                Ratio(Count("answer", window="all"), Count("question", window="all")),
                Entropy("tag"),
                Visits(measure="last_visit"),
                Tenure(),
            ),
            reason="",
        ),
    ]
)


@pytest.fixture(scope="module", name="plan")
def _plan(community):
    return UP.compile(community)


def columns(plan, behaviour):
    return next(b.columns for b in plan.behaviours if b.name == behaviour)


def test_amounts_rise_with_their_behaviour(plan):
    assert column_signs({"asks": 1}, plan) == dict.fromkeys(columns(plan, "asks"), 1)
    assert column_signs({"asks": -1}, plan) == dict.fromkeys(columns(plan, "asks"), -1)


def test_more_of_a_behaviour_is_a_smaller_recency(plan):
    assert column_signs({"came lately": 1}, plan) == {
        "question_recency_days": -1,
        "answer_received_recency_days": -1,
    }


def test_a_behaviour_that_only_compares_has_no_direction(plan):
    with pytest.raises(InputError, match="question_trend_30d"):
        column_signs({"changes": 1}, plan)


def test_whoever_names_a_column_means_it(plan):
    signs = column_signs({"question_trend_30d": 1, "question_count_30d": 0, "asks": -1}, plan)
    assert signs["question_trend_30d"] == 1
    assert signs["question_count_30d"] == 0
    assert signs["question_count_90d"] == -1


def test_a_recency_named_by_column_keeps_the_sign_it_was_given(plan):
    assert column_signs({"question_recency_days": 1}, plan) == {"question_recency_days": 1}


def test_directions_speak_of_operations_that_exist():
    assert set(DIRECTIONS) <= set(OPERATIONS)


@pytest.mark.parametrize("name", ["ask", "asks "])
def test_an_unknown_behaviour_is_an_error_that_names_the_closest(plan, name):
    with pytest.raises(InputError, match="did you mean 'asks'"):
        column_signs({name: 1}, plan)


@pytest.mark.parametrize("sign", [2, 0.5, "up", True])
def test_a_sign_is_minus_one_nothing_or_one(plan, sign):
    with pytest.raises(InputError, match=r"monotone\['asks'\]"):
        column_signs({"asks": sign}, plan)


def test_every_behaviour_of_the_corporate_catalogue_has_a_direction(community):
    plan = CORPORATE_COMMUNITY.compile(community)
    for behaviour in CORPORATE_COMMUNITY:
        assert column_signs({behaviour.name: 1}, plan)


def fit(community, observations, catalogue, monotone, classifier=None):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LeadlightWarning)
        qualifier = LeadQualifier(catalogue, classifier, selection="discount", monotone=monotone)
        return qualifier.fit(community, observations)


def least_steps(qualifier, community, observations, column):
    """Return how much the score falls and rises most where a column rises, all else equal."""
    X = build_features(community, observations, qualifier.plan_).iloc[::50]
    score = []
    for value in (0, 1, 2, 3, 5, 8, 13, 40, 200):
        X[column] = np.float32(value)
        score.append(qualifier.predict_proba(X)[:, 1])
    steps = np.diff(score, axis=0)
    return steps.min(), steps.max()


@pytest.mark.parametrize("sign", [1, -1])
def test_scores_follow_the_direction_of_a_behaviour(community, observations, catalogue, sign):
    qualifier = fit(community, observations, catalogue, {"reads": sign, "looks around": -sign})
    for column, way in {
        "view_count_30d": sign,
        "view_count_90d": sign,
        "view_recency_days": -sign,
        "visit_count_90d": -sign,
        "search_or_download_count_90d": -sign,
        "peers_view_count_90d": -sign,
    }.items():
        falls, rises = least_steps(qualifier, community, observations, column)
        assert (falls if way > 0 else -rises) >= -1e-12, column


def test_without_a_direction_some_score_falls_where_a_count_rises(community, observations, catalogue):
    qualifier = fit(community, observations, catalogue, None)
    assert least_steps(qualifier, community, observations, "view_count_90d")[0] < -1e-6


def test_the_classifiers_own_directions_stay(community, observations, catalogue):
    classifier = LeadClassifier(monotone={"view_count_30d": -1})
    qualifier = fit(community, observations, catalogue, {"reads": 1}, classifier)
    assert qualifier.classifier_.monotone == {
        "view_count_30d": -1,
        "view_count_90d": 1,
        "view_recency_days": -1,
    }
    assert classifier.monotone == {"view_count_30d": -1}


def test_the_parameter_survives_cloning(catalogue):
    qualifier = LeadQualifier(catalogue, monotone={"asks questions": 1})
    assert qualifier.get_params()["monotone"] == {"asks questions": 1}
    assert clone(qualifier).set_params(monotone={"reads": 1}).monotone == {"reads": 1}
    assert clone(qualifier).monotone == qualifier.monotone


def test_the_bundle_says_which_directions_were_set(community, observations, catalogue, tmp_path):
    fit(community, observations, catalogue, {"asks questions": 1}).save(tmp_path / "model")
    assert load(tmp_path / "model").info["monotone"] == {"asks questions": 1}
