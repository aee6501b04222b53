"""Durations and moments, always as integer microseconds."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadlight.errors import InputError
from leadlight.moments import ALL, DAY_US, duration_us, moment_text, moment_us, window_name, window_us

FIRST_OF_MARCH = 1_709_251_200_000_000


@pytest.mark.parametrize(
    ("text", "us"),
    [("1h", DAY_US // 24), ("30d", 30 * DAY_US), ("4w", 28 * DAY_US), (timedelta(microseconds=5), 5)],
)
def test_a_duration_is_a_number_of_microseconds(text, us):
    assert duration_us(text) == us


@pytest.mark.parametrize(
    "bad", ["", "d", "3", "3m", "-3d", "3 d", "0d", "1.5d", None, 3.0, timedelta(0), timedelta(-1)]
)
def test_what_is_no_duration_is_an_error_that_quotes_it(bad):
    with pytest.raises(InputError, match="horizon is"):
        duration_us(bad, name="horizon")


def test_a_gap_may_be_nothing():
    assert duration_us("0d", zero=True) == 0


def test_the_window_all_reaches_back_to_the_beginning():
    assert window_us("all") == ALL


@pytest.mark.parametrize(
    ("window", "name"),
    [("4w", "4w"), ("all", "all"), (timedelta(days=28), "28d"), (timedelta(hours=36), "36h")],
)
def test_a_window_names_its_columns(window, name):
    assert window_name(window) == name


def test_a_window_of_minutes_has_no_name():
    with pytest.raises(InputError, match="whole number of hours"):
        window_name(timedelta(minutes=90))


@pytest.mark.parametrize(
    "moment",
    [
        "2024-03-01",
        "2024-03-01T00:00:00",
        "2024-03-01T02:00:00+02:00",
        "2024-03-01T00:00Z",
        date(2024, 3, 1),
        datetime(2024, 3, 1),  # noqa: DTZ001 - a naive time is what this reads
        datetime(2024, 3, 1, 1, tzinfo=timezone(timedelta(hours=1))),
        np.datetime64("2024-03-01"),
        np.datetime64("2024-03-01T00:00:00", "ns"),
        pd.Timestamp("2024-03-01"),
        pd.Timestamp("2024-03-01", tz="UTC"),
        FIRST_OF_MARCH,
        np.int64(FIRST_OF_MARCH),
    ],
    ids=repr,
)
def test_every_way_to_say_a_moment_is_the_same_number(moment):
    assert moment_us(moment) == FIRST_OF_MARCH


@pytest.mark.parametrize(
    "bad", ["", "yesterday", "2024-13-01", None, True, 1.5, pd.NaT, np.datetime64("NaT"), [], "2024"]
)
def test_what_is_no_moment_is_an_error_that_quotes_it(bad):
    with pytest.raises(InputError, match="cutoff is"):
        moment_us(bad, name="cutoff")


@settings(derandomize=True, deadline=None)
@given(st.datetimes(timezones=st.just(UTC)))
def test_a_moment_survives_its_text(when):
    us = (when - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    assert moment_us(when) == us
    if when.year >= 1000:
        assert moment_us(moment_text(us)) == us


def test_midnight_is_written_as_a_day():
    assert moment_text(FIRST_OF_MARCH) == "2024-03-01"


@pytest.mark.parametrize("far", [np.iinfo(np.int64).min, np.iinfo(np.int64).max])
def test_a_time_outside_the_calendar_is_never(far):
    assert moment_text(int(far)) == "never"
