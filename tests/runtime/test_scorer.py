"""Scorer: events and rows in, predictions out."""

from __future__ import annotations

import json
import math
import pickle
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from leadlight.errors import BundleError, InputError, LeadlightWarning, SchemaError
from leadlight.runtime import Calibration, Prediction, Reason, Scorer

EVENTS = [
    {
        "member_id": "ann",
        "occurred_at": f"2024-03-{day:02d}T10:00:00",
        "action": action,
        "tags": tags,
        "other_member_id": None,
    }
    for day, action, tags in ((1, "question", ["visa"]), (9, "view", ["visa", "c++"]), (20, "question", []))
]
ANN = {"member_id": "ann", "joined_at": "2024-01-01"}
PEERS = {"peers_view_count_30d": 4}


def test_a_prediction_is_the_models_answer_to_the_features(scorer):
    found = scorer.predict(EVENTS, ANN, PEERS, at="2024-04-01")
    row = scorer.features(EVENTS, ANN, PEERS, at="2024-04-01")
    X = row.astype(np.float64)[None]
    assert row.dtype == np.float32
    assert found.probability == scorer.model.probability(X)[0] == scorer.predict_proba(X)[0, 1]
    assert (found.low, found.high) == tuple(bound[0] for bound in scorer.model.interval(X))
    assert found.grade == scorer.model.grade([found.probability])[0]
    assert found.qualified == (found.probability >= 0.3)
    assert found.model_version == scorer.version
    assert found.missing == ()
    assert not found.cold_start
    assert scorer.predict_rows(X) == [found]


def test_reasons_are_those_of_the_exact_contributions(scorer):
    found = scorer.predict(EVENTS, ANN, PEERS, at="2024-04-01", reasons=2)
    X = scorer.features(EVENTS, ANN, PEERS, at="2024-04-01").astype(float)[None]
    values, _ = scorer.explain_rows(X)
    sums = {
        b.name: sum(values[0, scorer.columns.index(c)] for c in b.columns) for b in scorer.plan.behaviours
    }
    heaviest = sorted(sums, key=lambda name: -abs(sums[name]))[:2]
    assert [r.behaviour for r in found.reasons] == heaviest
    assert [r.contribution for r in found.reasons] == pytest.approx([sums[name] for name in heaviest])
    assert scorer.predict(EVENTS, ANN, PEERS, at="2024-04-01", reasons=0).reasons == ()


def test_peers_that_are_not_given_are_missing_and_named(scorer):
    found = scorer.predict(EVENTS, ANN, at="2024-04-01")
    j = scorer.columns.index("peers_view_count_30d")
    assert found.missing == ("peers_view_count_30d",)
    assert np.isnan(scorer.features(EVENTS, ANN, at="2024-04-01")[j])
    assert scorer.features(EVENTS, ANN, PEERS, at="2024-04-01")[j] == 4


def test_an_unknown_peers_column_is_an_error(scorer):
    with pytest.raises(SchemaError, match="did you mean 'peers_view_count_30d'"):
        scorer.predict(EVENTS, ANN, {"peers_views_count_30d": 1})


def test_a_member_without_history_is_scored_as_a_cold_start(scorer):
    found = scorer.predict([], ANN, PEERS, at="2024-04-01")
    assert found.cold_start
    assert 0 < found.probability < 1
    assert found.missing == ()


def test_a_member_without_history_needs_a_cutoff(scorer):
    with pytest.raises(InputError, match="at="):
        scorer.predict([])


def test_rows_are_aligned_by_name(scorer, X):
    frame = pd.DataFrame(X, columns=list(scorer.columns))
    np.testing.assert_array_equal(scorer.predict_proba(frame[frame.columns[::-1]]), scorer.predict_proba(X))


def test_probabilities_have_two_columns_that_sum_to_one(scorer, X):
    p = scorer.predict_proba(X)
    assert p.shape == (len(X), 2)
    np.testing.assert_allclose(p.sum(axis=1), 1.0, rtol=1e-15)


def test_no_rows_give_no_predictions(scorer, X):
    assert scorer.predict_rows(X[:0]) == []
    assert scorer.predict_proba(X[:0]).shape == (0, 2)


def test_an_extra_column_warns_at_the_callers_line(scorer, X):
    frame = pd.DataFrame(X, columns=list(scorer.columns)).assign(extra=1)
    with pytest.warns(LeadlightWarning, match="'extra'"):
        scorer.predict_proba(frame)


def test_rows_without_own_activity_are_cold_starts(scorer):
    row = dict.fromkeys(scorer.columns, 0.0) | {"question_recency_days": math.nan, "tenure_days": 12.0}
    busy = row | {"visit_count_30d": 1.0}
    assert [p.cold_start for p in scorer.predict_rows(pd.DataFrame([row, busy]))] == [True, False]


def test_a_prediction_becomes_plain_json(model, plan):
    bare = Scorer(replace(model, calibration=Calibration(1.0, 0.0), quantiles=np.zeros(0)), plan)
    found = bare.predict(EVENTS, ANN, at="2024-04-01").to_dict()
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["low"] is None
    assert found["percentile"] is None
    assert found["grade"] == ""
    assert set(found["reasons"][0]) == {"behaviour", "contribution", "text"}


def test_predictions_and_reasons_are_frozen():
    prediction = Prediction(0.5, 0.4, 0.6, "A", True, (Reason("a", 1.0, "b"),), False, "v")
    with pytest.raises(AttributeError):
        prediction.grade = "B"
    with pytest.raises(AttributeError):
        prediction.reasons[0].text = "c"


def test_the_estimand_and_the_metrics_are_kept(scorer):
    assert scorer.estimand == "The chance that a deal is won within 90 days."
    assert scorer.info["metrics"] == {"average_precision": 0.25, "undefined": None}
    assert scorer.info["decision"]["threshold"] == 0.3


def test_the_repr_is_one_line(scorer):
    assert (
        repr(scorer) == f"Scorer({scorer.version}: 10 columns, 15 trees + linear, threshold 0.3, simulated)"
    )


def test_a_plan_of_other_columns_is_refused(model, plan):
    with pytest.raises(BundleError, match="Train the model on the features of this plan"):
        Scorer(replace(model, columns=model.columns[::-1]), plan)


@pytest.mark.parametrize(
    "info", [{"metrics": {"x": object()}}, {"columns": []}, {"metrics": 5}, {"decision": "all"}]
)
def test_info_that_cannot_be_kept_is_refused(model, plan, info):
    with pytest.raises(InputError, match="info"):
        Scorer(model, plan, info)


def test_translated_templates_are_used(model, plan):
    german = Scorer(model, plan, templates={b.name: ("deutsch",) for b in plan.behaviours})
    assert {r.text for r in german.predict(EVENTS, ANN, at="2024-04-01").reasons} == {"deutsch"}


def test_a_pickled_scorer_answers_alike(scorer, X):
    copy = pickle.loads(pickle.dumps(scorer))
    assert copy.version == scorer.version
    np.testing.assert_array_equal(copy.predict_proba(X), scorer.predict_proba(X))
