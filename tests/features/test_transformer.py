"""CommunityFeatures as scikit-learn's tools meet it."""

from __future__ import annotations

import pickle

import joblib
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from leadlight import Behaviour, Catalogue, CommunityFeatures, Count, Observations, Recency

ASKS = Catalogue([Behaviour("asks", (Count("question", window="30d"), Recency("question")), reason="")])
ROWS = pd.DataFrame(
    {"member_id": ["bob", "ann", "ann"], "cutoff": pd.to_datetime(["2024-03-01", "2024-03-05", "2024-02-02"])}
)


@pytest.fixture(name="features")
def _features(table):
    return CommunityFeatures(table("ann question 2024-02-01; bob question 2024-02-20"), ASKS)


@pytest.mark.parametrize(
    "rows",
    [
        ROWS,
        pl.from_pandas(ROWS),
        pa.Table.from_pandas(ROWS, preserve_index=False),
        ROWS.to_dict("records"),
        ROWS.to_dict("list"),
        Observations.from_frame(ROWS),
    ],
    ids=["pandas", "polars", "arrow", "records", "columns", "observations"],
)
def test_rows_may_come_from_any_library(features, rows):
    found = features.fit(rows).transform(rows)
    assert found["question_count_30d"].tolist() == [1.0, 0.0, 1.0]
    assert found.index.get_level_values("member_id").tolist() == ["bob", "ann", "ann"]


def test_pandas_output_keeps_the_index_that_the_classifier_needs(features):
    told = clone(features).set_output(transform="pandas").fit(ROWS)
    pd.testing.assert_frame_equal(told.transform(ROWS), features.fit(ROWS).transform(ROWS))


def test_polars_output_has_the_same_columns(features):
    plain = features.fit(ROWS).transform(ROWS)
    found = features.set_output(transform="polars").transform(ROWS)
    assert isinstance(found, pl.DataFrame)
    assert found.columns == list(plain.columns)
    assert found["question_count_30d"].to_list() == plain["question_count_30d"].tolist()


def test_a_clone_keeps_the_output_that_was_asked_for(features):
    pipeline = clone(Pipeline([("features", features)]).set_output(transform="polars"))
    assert isinstance(pipeline.fit_transform(ROWS), pl.DataFrame)
    assert isinstance(clone(CommunityFeatures(features.community, ASKS)).fit_transform(ROWS), pd.DataFrame)


def test_pickle_and_joblib_keep_it(features, tmp_path):
    expected = features.fit(ROWS).transform(ROWS)
    joblib.dump(features, tmp_path / "features")
    for copy in (pickle.loads(pickle.dumps(features)), joblib.load(tmp_path / "features")):
        pd.testing.assert_frame_equal(copy.transform(ROWS), expected)
