"""scikit-learn's searches over the features and the classifier, in the order of time."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from joblib import parallel_config
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import Pipeline

from leadlight import (
    Behaviour,
    Catalogue,
    CommunityFeatures,
    Count,
    LeadClassifier,
    Observations,
    TemporalSplit,
)
from leadlight.estimators import rows as rows_module
from leadlight.estimators.folds import folds_of

DAYS = pd.date_range("2024-01-01", periods=10, freq="30D", tz="UTC")
MEMBERS = [f"m{m}" for m in range(120)]
ASKS = Catalogue([Behaviour("asks", (Count("question", window="30d"),), reason="asked")])


@pytest.fixture(scope="module", name="asking")
def _asking(table):
    """Members 0 to 39 ask before every cutoff, the others seldom; all were seen once before."""
    rng = np.random.default_rng(1)
    seen = [f"{m} view 2023-12-01" for m in MEMBERS]
    asked = [
        f"{m} question {(day - pd.Timedelta('2D')).date()}T01:00:00"
        for k, m in enumerate(MEMBERS)
        for day in DAYS
        if k < 40 or rng.random() < 0.1
    ]
    return table("; ".join(seen + asked))


@pytest.fixture(scope="module", name="bought")
def _bought():
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"member_id": MEMBERS * len(DAYS), "cutoff": np.repeat(DAYS, len(MEMBERS))})
    asked = frame["member_id"].str[1:].astype(int) < 40
    frame["label"] = (rng.random(len(frame)) < np.where(asked, 0.6, 0.05)).astype(int)
    return Observations.from_frame(frame)


@pytest.fixture(name="pipeline")
def _pipeline(asking):
    return Pipeline([("features", CommunityFeatures(asking, ASKS)), ("model", LeadClassifier(n_folds=2))])


@pytest.mark.parametrize(
    "table_of",
    [
        lambda rows: rows.to_pandas(),
        lambda rows: rows.frame,
        lambda rows: rows.frame[["member_id", "cutoff"]],
        lambda rows: pd.DataFrame(index=rows.index),
        lambda rows: rows.label.to_frame(),
    ],
    ids=["to_pandas", "frame", "two columns", "index", "index and label"],
)
def test_every_frame_of_observations_can_be_searched(pipeline, bought, table_of):
    X = table_of(bought)
    search = GridSearchCV(
        pipeline, {"model__ridge": [0.02, 1.0]}, cv=TemporalSplit(2), scoring="neg_log_loss", n_jobs=1
    )
    search.fit(X, bought.label)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    same = clone(pipeline).set_params(**search.best_params_).fit(bought.to_pandas(), bought.label)
    assert np.array_equal(
        search.predict_proba(X)[:, 1], same.predict_proba(bought.to_pandas())[:, 1]
    )  # refitted on all rows


def test_two_workers_find_what_one_finds(pipeline, bought):
    X, y = bought.to_pandas(), bought.label
    grid, found = {"model__blend": [True, False]}, []
    for n_jobs in (1, 2):
        search = GridSearchCV(pipeline, grid, cv=TemporalSplit(2), scoring="neg_log_loss", n_jobs=n_jobs)
        # Threads: new processes import for seconds. What they are sent is the next test's.
        with parallel_config("threading"):
            found.append(search.fit(X, y))
    one, two = found
    assert np.array_equal(one.cv_results_["mean_test_score"], two.cv_results_["mean_test_score"])
    assert one.best_params_ == two.best_params_
    assert np.array_equal(one.predict_proba(X), two.predict_proba(X))


def test_a_worker_gets_a_community_that_makes_the_same_features(pipeline, bought):
    fitted = pipeline.named_steps["features"].fit(bought)
    copied = pickle.loads(pickle.dumps(fitted))
    pd.testing.assert_frame_equal(copied.transform(bought), fitted.transform(bought))


def test_a_clone_shares_the_community_and_keeps_the_parameters(pipeline, asking):
    copied = clone(pipeline)
    assert copied.named_steps["features"].community is asking
    assert copied.named_steps["features"] is not pipeline.named_steps["features"]
    assert copied.get_params()["model__n_folds"] == 2
    assert clone(pipeline.set_params(features__catalogue=ASKS)).named_steps["features"].catalogue is ASKS


def test_a_catalogue_can_be_searched_too(pipeline, bought):
    none = Catalogue([Behaviour("downloads", (Count("download", window="30d"),), reason="downloaded")])
    search = GridSearchCV(
        pipeline, {"features__catalogue": [none, ASKS]}, cv=TemporalSplit(2), scoring="roc_auc"
    )
    assert search.fit(bought.to_pandas(), bought.label).best_params_ == {"features__catalogue": ASKS}


def test_inside_a_pipeline_no_member_stands_on_both_sides_of_a_fold(pipeline, bought, monkeypatch):
    seen = []
    original = rows_module.Rows.checked.__func__

    def spy(cls, *args, **given):
        seen.append((args[0].index, original(cls, *args, **given)))
        return seen[-1][1]

    monkeypatch.setattr(rows_module.Rows, "checked", classmethod(spy))
    GridSearchCV(pipeline, {"model__ridge": [0.1]}, cv=TemporalSplit(2)).fit(bought.to_pandas(), bought.label)
    assert len(seen) == 3  # two windows and all rows
    for index, data in seen:
        member = index.get_level_values("member_id").to_numpy()
        assert np.array_equal(data.times, index.get_level_values("cutoff").to_numpy())
        assert len(np.unique(data.groups)) == len(set(member)) == len(MEMBERS)
        folds = folds_of(data, 2, len(MEMBERS), 0)
        assert len(folds) == 2
        for train, test in folds:
            assert not set(member[train]) & set(member[test])
            assert len(test) > len(set(member[test]))  # members have several rows


def test_training_rows_of_a_search_end_an_embargo_before_the_test_rows(pipeline, bought, monkeypatch):
    spans = []
    usual = CommunityFeatures.fit

    def spy(self, X, y=None):
        spans.append(X["cutoff"].max())
        return usual(self, X, y)

    monkeypatch.setattr(CommunityFeatures, "fit", spy)
    cross_val_score(pipeline, bought.to_pandas(), bought.label, cv=TemporalSplit(2, "90d"))
    first = [DAYS[len(part)] for part in ([0] * 4, [0] * 7)]
    assert [start - end for start, end in zip(first, spans, strict=True)] == [pd.Timedelta("90D")] * 2
