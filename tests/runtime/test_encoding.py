"""Columns of categories in the serving half: codes, tables, contributions, bundles."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from leadlight.errors import BundleError, ColumnTypeError, LeadlightWarning
from leadlight.plan import Plan
from leadlight.runtime import Calibration, Model
from leadlight.runtime.align import align
from leadlight.runtime.bundle import pack, unpack
from leadlight.runtime.encoding import Encoding
from leadlight.runtime.model import Linear

LEVELS = (None, ("web", "fair"))


@pytest.fixture(name="encoding")
def _encoding():
    """A number; for the category a table of (web, fair, other, missing) and an indicator of fair."""
    values = np.array([0.5, -1.0, 0.1, 0.2, 0.0, 1.0, 0.0, 0.0])
    return Encoding(LEVELS, np.array([0, 1, 1]), np.array([-1, 0, 4]), values)


@pytest.fixture(name="model")
def _model(encoding):
    coef = np.array([0.3, 0.7, -0.2])
    linear = Linear(np.zeros(3), np.ones(3), coef, np.zeros(3), np.zeros(3), 0.4)
    calibration = Calibration(0.9, -0.1)
    return Model(("age", "source"), None, linear, 0.0, 1.0, calibration, np.empty(0), float("nan"), encoding)


def test_each_code_is_looked_up_and_everything_else_is_other(encoding):
    codes = np.array([0.0, 1.0, 2.0, np.nan, 0.5, -1.0, 1e300])
    found = encoding.encode(np.column_stack([np.arange(7.0), codes]))
    assert found[:, 0].tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert found[:, 1].tolist() == [0.5, -1.0, 0.1, 0.2, 0.1, 0.1, 0.1]
    assert found[:, 2].tolist() == [0, 1, 0, 0, 0, 0, 0]


@pytest.mark.parametrize(
    "make",
    [
        pd.DataFrame,
        lambda t: pd.DataFrame(t).astype({"source": "category"}),
        pl.DataFrame,
        lambda t: pl.DataFrame(t).with_columns(pl.col("source").cast(pl.Categorical)),
        pa.table,
        lambda t: pa.table({**t, "source": pa.array(t["source"]).dictionary_encode()}),
        dict,
    ],
    ids=["pandas", "pandas category", "polars", "polars category", "arrow", "arrow dictionary", "dict"],
)
def test_text_of_every_library_becomes_the_same_codes(make):
    table = make({"source": ["fair", "web", None], "age": [1.0, 2.0, 3.0]})
    np.testing.assert_array_equal(
        align(table, ["age", "source"], levels=LEVELS), [[1, 1], [2, 0], [3, np.nan]]
    )


def test_unseen_values_are_other_and_counted_once():
    table = {"age": [1, 2, 3], "source": ["fair", "moon", "sun"]}
    with pytest.warns(
        LeadlightWarning, match="2 values were unseen or rare in training, in 'source'"
    ) as caught:
        found = align(table, ["age", "source"], levels=LEVELS)
    assert len(caught) == 1
    assert found[:, 1].tolist() == [1, 2, 2]


@pytest.mark.parametrize(
    ("values", "what"), [([date(2024, 1, 1)], "times"), ([["web"]], "list"), ([{}], "dict")]
)
def test_times_and_nested_values_in_a_column_of_text_are_named(values, what):
    with pytest.raises(ColumnTypeError, match=f"'source' holds.*{what}"):
        align({"age": [1.0], "source": values}, ["age", "source"], levels=LEVELS)


def test_text_in_a_column_of_numbers_is_still_an_error():
    with pytest.raises(ColumnTypeError, match="'age' holds text"):
        align({"age": ["old"], "source": ["web"]}, ["age", "source"], levels=LEVELS)


def test_whole_numbers_are_the_text_that_they_look_like():
    found = align({"zip": np.array([10.0, 20.0, np.nan])}, ["zip"], levels=[("20", "10")])
    np.testing.assert_array_equal(found, [[1], [0], [np.nan]])


def test_contributions_are_by_raw_column_and_sum_to_the_log_odds(model):
    X = np.array([[3.0, 0.0], [0.0, 1.0], [1.0, np.nan], [2.0, 9.0]])
    values, base = model.contributions(X)
    assert values.shape == (4, 2)
    np.testing.assert_allclose(base + values.sum(axis=1), model.log_odds(X), rtol=0, atol=1e-12)
    assert values[1, 1] == pytest.approx(0.9 * (0.7 * np.log1p(1.0) * -1.0 - 0.2 * np.log1p(1.0)))


def test_a_bundle_keeps_the_encoding(model, encoding):
    files = pack(model, Plan((), (), ()), {})
    back = unpack(files).model
    assert back.levels == LEVELS
    X = np.array([[3.0, 0.0], [0.0, 5.0], [np.nan, np.nan]])
    assert np.array_equal(back.log_odds(X), model.log_odds(X))
    assert pack(back, Plan((), (), ()), {}) == files


@pytest.mark.parametrize(
    "damage",
    [
        {"start": np.array([-1, 0, 5])},
        {"start": np.array([0, 0, 4])},
        {"source": np.array([0, 1, 2])},
        {"source": np.array([0, 1])},
        {"values": np.full(8, np.nan)},
        {"levels": (None, ("web", "web"))},
        {"levels": (None,)},
        {"levels": (None, ("web", 3))},
    ],
)
def test_a_damaged_encoding_is_no_model(model, encoding, damage):
    with pytest.raises(BundleError):
        replace(model, encoding=replace(encoding, **damage)).validate()


def test_the_line_holds_values_between_those_of_training(model):
    line = replace(model.linear, low=np.array([0.0, -9, -9]), high=np.array([2.0, 9, 9]))
    held = replace(model, linear=line)
    far, edge = np.array([[1e6, 0.0], [-5.0, 0.0]]), np.array([[2.0, 0.0], [0.0, 0.0]])
    assert np.array_equal(held.log_odds(far), held.log_odds(edge))
    assert np.isfinite(held.log_odds(np.array([[np.nan, 0.0]]))).all()
    assert np.array_equal(unpack(pack(held, Plan((), (), ()), {})).model.log_odds(far), held.log_odds(far))
    with pytest.raises(BundleError, match="held between"):
        replace(model, linear=replace(line, low=np.full(3, 99.0))).validate()
