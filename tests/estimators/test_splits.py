"""Cross-validation in time."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from leadlight.errors import InputError
from leadlight.estimators import TemporalSplit

DAYS = pd.date_range("2024-01-01", periods=12, freq="30D", tz="UTC")
FRAME = pd.DataFrame({"member_id": np.tile(["a", "b"], 12), "cutoff": np.repeat(DAYS, 2)})
NAIVE = FRAME.assign(cutoff=FRAME["cutoff"].dt.tz_convert(None))


def test_training_windows_end_before_the_first_test_cutoff():
    for train, test in TemporalSplit(3, "90d").split(FRAME):
        gap = FRAME["cutoff"].iloc[test].min() - FRAME["cutoff"].iloc[train].max()
        assert gap == pd.Timedelta("90D")


def test_every_later_cutoff_is_tested_once():
    tested = np.concatenate([test for _, test in TemporalSplit(2, "30d").split(FRAME)])
    assert sorted(tested) == list(range(8, 24))


def test_the_index_level_serves_as_well():
    indexed = FRAME.assign(x=1.0).set_index(["member_id", "cutoff"])
    for left, right in zip(TemporalSplit(2).split(indexed), TemporalSplit(2).split(FRAME), strict=True):
        assert np.array_equal(left[0], right[0])
        assert np.array_equal(left[1], right[1])


@pytest.mark.parametrize(
    "other", [pl.from_pandas, pa.Table.from_pandas, dict], ids=["polars", "arrow", "dict"]
)
def test_tables_of_other_libraries_serve_as_well(other):
    for left, right in zip(TemporalSplit(2).split(other(NAIVE)), TemporalSplit(2).split(FRAME), strict=True):
        assert np.array_equal(left[0], right[0])
        assert np.array_equal(left[1], right[1])


@pytest.mark.parametrize(
    ("splitter", "frame", "what"),
    [
        (TemporalSplit(), FRAME[["member_id"]], "cutoff"),
        (TemporalSplit(12), FRAME, "12 cutoffs"),
        (TemporalSplit(3, "400d"), FRAME, "no training rows"),
        (TemporalSplit(3, "soon"), FRAME, "embargo"),
        (TemporalSplit(0), FRAME, "n_splits"),
    ],
)
def test_what_cannot_be_split_is_an_error(splitter, frame, what):
    with pytest.raises(InputError, match=what):
        list(splitter.split(frame))


def test_grid_search_over_a_pipeline_takes_five_lines(table):
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import Pipeline

    from leadlight import Behaviour, Catalogue, CommunityFeatures, Count, LeadClassifier

    rng = np.random.default_rng(1)
    asks = Catalogue([Behaviour("asks", (Count("question", window="30d"),), reason="asked")])
    text = "; ".join(
        f"m{m} question {d.date()}T01:00:00" for m in range(60) for d in DAYS if m < 20 or rng.random() < 0.2
    )
    community = table(text)
    frame = pd.DataFrame({"member_id": [f"m{m}" for m in range(60)] * 12, "cutoff": np.repeat(DAYS, 60)})
    known = {str(m) for m in community.members.ids}
    frame = frame[frame["member_id"].isin(known)].reset_index(drop=True)
    y = ((frame["member_id"].str[1:].astype(int) < 20) & (rng.random(len(frame)) < 0.9)).astype(int)

    pipeline = Pipeline([("features", CommunityFeatures(community, asks)), ("model", LeadClassifier())])
    search = GridSearchCV(
        pipeline, {"model__ridge": [0.02, 1.0]}, cv=TemporalSplit(2, "90d"), scoring="roc_auc"
    )
    search.fit(frame, y)
    best = search.best_estimator_.predict_proba(frame)[:, 1]
    assert search.best_score_ > 0.7
    assert best[y == 1].mean() > best[y == 0].mean()
