"""Events of several members in one frame get the scores that the Scorer and the batch path give."""

from __future__ import annotations

import mlflow
import numpy as np
import pandas as pd
import pytest

from leadlight.errors import InputError, SchemaError
from leadlight.tracking.pyfunc import LeadModel

AT = "2024-11-01"


@pytest.fixture(scope="module")
def model(logged):
    name = logged.run.model_uri.removeprefix("models:/")
    return mlflow.pyfunc.load_model(str(next((logged.folder / "mlartifacts").rglob(f"{name}/artifacts"))))


@pytest.fixture(scope="module")
def events(community):
    frame = community.activity.to_pandas()
    frame = frame[frame["occurred_at"] < pd.Timestamp(AT, tz="UTC")]
    return frame[frame["member_id"].isin(frame["member_id"].unique()[:12])].reset_index(drop=True)


def test_each_member_gets_what_the_scorer_says_of_its_events(model, events, trained):
    found = model.predict(events, params={"at": AT})
    assert found["member_id"].tolist() == list(dict.fromkeys(events["member_id"]))
    for row in found.to_dict("records"):
        mine = row["member_id"]
        own = events[(events["member_id"] == mine) | (events["other_member_id"] == mine)]
        expected = trained.qualifier.scorer_.predict(own, {"member_id": mine}, at=AT)
        assert abs(row["probability"] - expected.probability) <= 1e-12
        assert (row["grade"], row["qualified"]) == (expected.grade, expected.qualified)
        assert row["reasons"] == [reason.text for reason in expected.reasons]


def test_times_as_text_say_the_same(model, events):
    text = events.assign(occurred_at=events["occurred_at"].map(lambda t: t.isoformat()))
    expected = model.predict(events, params={"at": AT})["probability"]
    assert (model.predict(text, params={"at": AT})["probability"] == expected).all()


def test_without_at_the_moment_is_just_after_the_newest_event_of_anybody(model, events):
    us = int(events["occurred_at"].max().value // 1000) + 1
    exact = model.predict(events, params={"at": pd.Timestamp(us, unit="us", tz="UTC").isoformat()})
    assert (model.predict(events)["probability"] == exact["probability"]).all()


def test_an_event_at_the_moment_is_not_used(trained):
    scorer = trained.qualifier.scorer_
    rows = [("ann", "2024-03-01", "view"), ("ann", "2024-03-05T00:00:00", "question")]
    frame = pd.DataFrame(rows, columns=["member_id", "occurred_at", "action"])
    both = LeadModel(scorer).predict(frame, {"at": "2024-03-05"})
    first = LeadModel(scorer).predict(frame.head(1), {"at": "2024-03-05"})
    assert both["probability"].tolist() == first["probability"].tolist()


def test_facts_of_the_member_are_read_from_its_rows(trained):
    scorer = trained.qualifier.scorer_
    frame = pd.DataFrame(
        {"member_id": [7, 7], "occurred_at": ["2024-03-01", "2024-03-02"], "action": "view",
         "joined_at": [None, "2023-01-01"]}
    )  # fmt: skip
    found = LeadModel(scorer).predict(frame, {"at": "2024-04-01"})
    facts = {"member_id": 7, "joined_at": "2023-01-01"}
    expected = scorer.predict(frame.drop(columns="joined_at"), facts, at="2024-04-01")
    assert found["probability"].tolist() == [expected.probability]
    assert "joined_at" not in found["missing"][0]


def test_reasons_are_as_many_as_asked_for(model, events):
    assert model.predict(events, params={"at": AT, "reasons": 1})["reasons"].map(len).max() == 1


def test_events_without_member_id_are_an_error(model):
    with pytest.raises(SchemaError, match="member_id"):
        model.predict(pd.DataFrame({"occurred_at": ["2024-01-01"], "action": ["view"]}))


def test_an_event_of_nobody_is_an_error(trained):
    frame = pd.DataFrame({"member_id": [None], "occurred_at": ["2024-01-01"], "action": ["view"]})
    with pytest.raises(InputError, match="null in 1 events"):
        LeadModel(trained.qualifier.scorer_).predict(frame)


def test_a_moment_for_feature_rows_is_an_error(trained):
    with pytest.raises(InputError, match="at is for events"):
        LeadModel(trained.qualifier.scorer_).predict(trained.X.head(1), {"at": AT})


def test_no_events_give_an_empty_result(model, events):
    found = model.predict(events.head(0), params={"at": AT})
    assert (len(found), found["probability"].dtype) == (0, np.float64)


@pytest.mark.filterwarnings("ignore")  # MLflow's own, of pandas and scikit-learn
def test_mlflow_evaluates_the_model(logged, trained, tmp_path):
    """`mlflow.models.evaluate` scores feature rows against their labels."""
    rows = trained.X.head(400).reset_index(drop=True)
    rows["bought"] = np.arange(400) % 7 == 0
    mlflow.set_tracking_uri(logged.uri)
    try:
        with mlflow.start_run(experiment_id=mlflow.create_experiment("judged")):
            found = mlflow.models.evaluate(
                logged.run.model_uri,
                rows,
                targets="bought",
                model_type="classifier",
                model_config={"output": "qualified"},
                evaluator_config={"log_model_explainability": False},
            )
    finally:
        mlflow.set_tracking_uri(None)
    qualified = trained.qualifier.scorer_.model.qualified(
        trained.qualifier.predict_proba(trained.X.head(400))[:, 1]
    )
    assert found.metrics["accuracy_score"] == pytest.approx((qualified == rows["bought"]).mean())
