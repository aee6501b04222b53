"""Feature tables of every library become one matrix, or an error that names the column."""

from __future__ import annotations

import math
from datetime import date, datetime

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from leadlight.errors import ColumnTypeError, InputError, LeadlightWarning, SchemaError
from leadlight.runtime.align import align


class Stream:
    """A table of which nothing is known but that it speaks Arrow."""

    def __init__(self, table):
        self.table = table

    def __arrow_c_stream__(self, schema=None):
        return self.table.__arrow_c_stream__(schema)


MAKERS = {
    "dict": dict,
    "pandas": pd.DataFrame,
    "polars": lambda c: pl.DataFrame(c, strict=False),
    "arrow": pa.table,
    "stream": lambda c: Stream(pa.table(c)),
}
EACH = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)


@EACH
def test_columns_are_found_by_name(make):
    X = align(make({"b": [3, 4], "a": [1.5, None]}), ["a", "b"])
    np.testing.assert_array_equal(X, [[1.5, 3], [np.nan, 4]])
    assert X.dtype == np.float64
    assert X.flags.c_contiguous


@EACH
def test_integers_and_flags_with_gaps_are_numbers(make):
    X = align(make({"a": [1, None], "b": [True, None]}), ["a", "b"])
    np.testing.assert_array_equal(X, [[1, 1], [np.nan, np.nan]])


@EACH
def test_no_rows_are_fine(make):
    assert align(make({"a": np.zeros(0), "b": np.zeros(0)}), ["a", "b"]).shape == (0, 2)


@EACH
def test_a_missing_column_is_named_with_the_closest(make):
    with pytest.raises(
        SchemaError, match=r"lacks 1 of the model's 2 columns: 'visits' \(did you mean 'visit'\?\)"
    ):
        align(make({"a": [1.0], "visit": [2.0]}), ["a", "visits"])


@EACH
def test_an_extra_column_is_ignored_with_one_warning(make):
    with pytest.warns(
        LeadlightWarning, match="2 columns that the model does not know; ignored: 'b', 'c'"
    ) as caught:
        X = align(make({"c": ["x"], "a": [1.0], "b": [2.0]}), ["a"])
    assert len(caught) == 1
    assert X.tolist() == [[1.0]]


@EACH
@pytest.mark.parametrize(
    ("values", "what"),
    [
        (["x", "1"], "text"),
        ([datetime(2024, 1, 1), None], "times"),  # noqa: DTZ001
        ([date(2024, 1, 1), None], "times"),
        ([[1.0], [2.0]], "a|nested"),
    ],
)
def test_a_column_that_is_no_number_is_named(make, values, what):
    with pytest.raises(ColumnTypeError, match=f"Column 'bad' holds ({what})"):
        align(make({"a": [1, 2], "bad": values}), ["a", "bad"])


def test_a_text_value_is_not_repeated_in_the_message():
    with pytest.raises(ColumnTypeError) as caught:
        align({"a": np.array(["ann@example.com"], dtype=object)}, ["a"])
    assert "ann" not in str(caught.value)


@EACH
def test_infinity_is_an_error_unless_it_means_missing(make):
    table = make({"a": [1.0, math.inf], "b": [-math.inf, 2.0]})
    with pytest.raises(InputError, match="2 values are infinite, in 'a', 'b'"):
        align(table, ["a", "b"])
    np.testing.assert_array_equal(align(table, ["a", "b"], "missing"), [[1, np.nan], [np.nan, 2]])


def test_infinite_takes_two_words():
    with pytest.raises(InputError, match="'error' or 'missing'"):
        align(np.zeros((1, 1)), ["a"], "zero")


@pytest.mark.parametrize(
    "table",
    [
        pd.DataFrame([[1, 2]], columns=["a", "a"]),
        pa.Table.from_arrays([pa.array([1]), pa.array([2])], ["a", "a"]),
    ],
    ids=["pandas", "arrow"],
)
def test_a_repeated_name_is_an_error(table):
    with pytest.raises(SchemaError, match="more than one column 'a'"):
        align(table, ["a"])


@pytest.mark.parametrize(
    "X", [np.zeros((2, 2)), np.zeros((2, 4)), np.zeros(3), [[1, 2], [1, 2, 3]], np.zeros((1, 3, 1))]
)
def test_an_array_without_names_must_have_the_width_of_the_model(X):
    with pytest.raises(SchemaError, match=r"\(n, 3\)"):
        align(X, ["a", "b", "c"])


def test_arrays_without_names_are_taken_in_order():
    assert align([[1, None], [2, 3.5]], ["a", "b"])[1].tolist() == [2, 3.5]
    assert align(np.float32([[0.5, 2]]), ["a", "b"]).tolist() == [[0.5, 2]]
    assert align([], ["a", "b"]).shape == (0, 2)


def test_the_callers_array_is_not_changed():
    X = np.array([[np.inf, 1.0]])
    align(X, ["a", "b"], "missing")
    assert X[0, 0] == np.inf


def test_columns_of_different_lengths_are_an_error():
    with pytest.raises(SchemaError, match="different lengths"):
        align({"a": [1, 2], "b": [1]}, ["a", "b"])


def test_a_structured_array_has_names():
    assert align(np.array([(1, 2.0)], dtype=[("b", int), ("a", float)]), ["a", "b"]).tolist() == [[2, 1]]


def test_nullable_columns_of_pandas_are_numbers():
    frame = pd.DataFrame(
        {"a": pd.array([1, None], dtype="Int64"), "b": pd.array([None, 0.5], dtype="Float64")}
    )
    np.testing.assert_array_equal(align(frame, ["a", "b"]), [[1, np.nan], [np.nan, 0.5]])


@pytest.mark.parametrize("X", ["abc", 5, None, object()])
def test_what_is_no_table_is_refused_by_type(X):
    with pytest.raises(ColumnTypeError, match="give a table"):
        align(X, ["a"])
