"""Whole columns against the same values one by one: whatever types are mixed, the answer or the error is the same."""

from __future__ import annotations

import enum
from datetime import UTC, date, datetime, timedelta, timezone
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadlight.errors import InputError, LeadlightError
from leadlight.moments import DAY_US
from leadlight.runtime.event_table import Repeated, read_events
from leadlight.runtime.fact_columns import codes, filled, ids, in_domain, numbers, tag_codes, times_us
from leadlight.runtime.facts import as_domain, as_id, as_number, as_tags, as_text, as_time_us


class Verb(str, enum.Enum):  # noqa: UP042 - its text is not its value, which is the point
    """A text that equals another and prints differently."""

    VIEW = "view"


NEVER = -1
NULLS = [None, "", float("nan"), pd.NA, pd.NaT]
WORDS = ["view", "post", "7", "é", *NULLS, 7, 1, True, False, 7.0, -0.0, 2**60, float(2**60), 1e300]
WORDS += [
    Verb.VIEW,
    np.str_("view"),
    np.int64(7),
    np.bool_(True),
    np.float64(7.5),
    np.float32(0.1),
    ["view"],
    b"view",
]
NUMBERS = [
    1.5,
    0,
    -3,
    True,
    "12.5",
    "long",
    np.float64(2.5),
    np.float32(0.1),
    2**70,
    10**400,
    float("inf"),
    [1],
]
NUMBERS += NULLS
DOMAINS = [
    "acme.example",
    "https://www.Acme.example/x",
    "xacme.example",
    "acme.example.org",
    "\uff41cme.example",
    "acme",
]
DOMAINS += [Verb.VIEW, 7, ["acme.example"], *NULLS]
CODE = {"view": 0, "7": 1, "true": 2, "1": 3, "0.1": 4, "Verb.VIEW": 5}
TAG_CODE = {"visa": 0, "c++": 1, "": 2, "7": 3, "view": 4}
CODE_OF = {**CODE, None: -1}

moments = st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1))  # noqa: DTZ001
zones = st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30)), ZoneInfo("Europe/Berlin")])
aware = st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1), timezones=zones)  # noqa: DTZ001
TIMES = [
    moments,
    aware,
    moments.map(datetime.isoformat),
    aware.map(datetime.isoformat),
    moments.map(lambda when: f" {when.isoformat()}Z"),
    moments.map(lambda when: when.date().isoformat()),
    moments.map(lambda when: when.strftime("%Y%m%d")),
    st.just("2024-W05-3"),
    moments.map(datetime.date),
    st.integers(-(10**15), 10**16),
    moments.map(np.datetime64),
    moments.map(lambda when: np.datetime64(when, "ns")),
    moments.map(lambda when: np.datetime64(when.date())),
    st.builds(
        lambda when, ns: pd.Timestamp(when).as_unit("ns") + pd.Timedelta(ns, "ns"),
        moments,
        st.integers(0, 999),
    ),
    aware.map(pd.Timestamp),
    st.sampled_from([datetime.max.replace(tzinfo=zone) for zone in (UTC, timezone(timedelta(hours=-5)))]),
    st.sampled_from([date.min, "soon", "2024-03", 1.5, True, np.int64(5), np.datetime64("NaT"), [1]]),
]
TIMES += [st.just(null) for null in NULLS]


def mixes(strategies):
    """Columns of one kind of value, of two, or of any: short paths are for columns of one."""
    kinds = st.lists(st.sampled_from(range(len(strategies))), min_size=1, max_size=3)
    return kinds.flatmap(
        lambda chosen: st.lists(st.one_of([strategies[i] for i in chosen]), max_size=6)
    ).flatmap(lambda values: st.sampled_from([values, objects(values)]))


def mixed(values):
    """As above; half of them of text and nulls alone, as most columns are."""
    plain = [st.just(value) for value in values if value is None or type(value) is str]
    return st.one_of(mixes(plain), mixes([st.just(value) for value in values]))


def objects(values):
    array = np.empty(len(values), object)
    for i, value in enumerate(values):
        array[i] = value
    return array


def outcome(call):
    """What a call returns, as plain lists, or its error."""
    try:
        found = call()
    except LeadlightError as error:
        return type(error), str(error)
    return found.tolist() if isinstance(found, np.ndarray) else found


@given(mixes(TIMES), st.sampled_from([None, NEVER]))
def test_times_are_those_of_single_values(values, missing):
    expected = outcome(
        lambda: [as_time_us(v, f"known_at of event {i}", missing) for i, v in enumerate(values)]
    )
    assert outcome(lambda: times_us(values, "known_at", missing)) == expected


@pytest.mark.parametrize("unit", ["D", "h", "s", "us", "ns"])
def test_an_array_of_times_is_read_as_its_items(unit):
    times = np.array(["1969-12-31T23", "2024-03-01T10", "NaT"], f"datetime64[{unit}]")
    assert times_us(times, "x", NEVER).tolist() == [as_time_us(v, "x", NEVER) for v in times]
    assert times_us(times[:2], "x").tolist() == [as_time_us(v, "x") for v in times[:2]]


def test_a_missing_time_in_an_array_is_named():
    with pytest.raises(InputError, match="occurred_at of event 1 is empty"):
        times_us(np.array(["2024-03-01", "NaT"], "datetime64[us]"), "occurred_at")


def test_a_day_stays_a_day_among_finer_units():
    values = [np.datetime64("2024-03-01"), np.datetime64("2024-03-01", "ns")]
    assert times_us(values, "x").tolist() == [as_time_us(v, "x") for v in values]


def test_equal_numbers_that_print_differently_stay_apart():
    assert codes([2**60, float(2**60)], "x", {str(2**60): 0, str(float(2**60)): 1}).tolist() == [0, 1]


def test_nanoseconds_before_1970_are_not_rounded_up():
    times = np.array([-1, -1001], "datetime64[ns]")
    assert times_us(times, "x").tolist() == [-1, -2]
    assert times_us([pd.Timestamp(t) for t in times], "x").tolist() == [-1, -2]


@given(mixed(WORDS))
def test_codes_are_those_of_single_texts(values):
    expected = outcome(lambda: [CODE_OF.get(as_text(v, "action"), -1) for v in values])
    assert outcome(lambda: codes(values, "action", CODE)) == expected


@given(mixed(WORDS))
def test_a_text_is_filled_as_a_single_one_is(values):
    expected = outcome(lambda: [as_text(v, "value") is not None for v in values])
    assert outcome(lambda: filled(values, "value")) == expected


@given(mixed(WORDS))
def test_identifiers_are_those_of_single_values(values):
    assert outcome(lambda: ids(values, "member_id")) == outcome(
        lambda: [as_id(v, "member_id") for v in values]
    )


@given(mixed(NUMBERS))
def test_numbers_are_those_of_single_values(values):
    found = outcome(lambda: numbers(values, "duration_s"))
    expected = outcome(lambda: [as_number(v, "duration_s") for v in values])
    assert repr(found) == repr(expected)


@given(mixed(DOMAINS))
def test_domains_are_those_of_single_values(values):
    expected = outcome(lambda: [as_domain(v, "other_domain") == "acme.example" for v in values])
    assert outcome(lambda: in_domain(values, "other_domain", "acme.example")) == expected


TAGS = ["visa", "c++", "", "other", None, 7, Verb.VIEW, float("nan"), np.str_("visa")]
TAG_LISTS = st.lists(st.sampled_from(TAGS[:4]), max_size=4)
TAG_COLUMNS = [
    TAG_LISTS,
    TAG_LISTS.map(tuple),
    st.lists(st.sampled_from(TAGS), max_size=4),
    st.sampled_from(["visa|c++;visa", '["visa", "visa"]', "[visa", "visa", None, float("nan"), 5, {"visa"}]),
    st.just(np.array(["visa", "c++"])),
]


def codes_of_single_tags(values):
    return [sorted({TAG_CODE[t] for t in as_tags(v) if t in TAG_CODE}) for v in values]


def codes_of_rows(values):
    offsets, found = tag_codes(values, TAG_CODE)
    return [found[a:b].tolist() for a, b in pairwise(offsets)]


@given(mixes(TAG_COLUMNS))
def test_tags_are_those_of_single_values(values):
    assert outcome(lambda: codes_of_rows(values)) == outcome(lambda: codes_of_single_tags(values))


@given(st.lists(st.sampled_from(["view", "post", "", None]), min_size=1, max_size=6), st.data())
def test_text_of_arrow_is_read_as_its_items(values, data):
    frames = [
        pd.Series(values, dtype=pd.StringDtype("pyarrow")),
        pd.array(values, dtype=pd.StringDtype("pyarrow")),
        pa.array(values, pa.string()),
        pa.chunked_array([values[:1], values[1:]], pa.large_string()),
    ]
    table = read_events({"occurred_at": [1] * len(values), "action": data.draw(st.sampled_from(frames))})
    column = table.column("action")
    assert isinstance(column, Repeated)
    assert codes(column, "action", CODE).tolist() == codes(values, "action", CODE).tolist()
    assert filled(column, "action").tolist() == filled(values, "action").tolist()
    some = data.draw(st.lists(st.sampled_from(range(len(values))), min_size=1))
    taken = table.take(np.array(some)).column("action")
    assert codes(taken, "action", CODE).tolist() == codes([values[i] for i in some], "action", CODE).tolist()


@given(
    st.lists(st.one_of(st.none(), st.lists(st.sampled_from([*TAG_CODE, "other", None]))), min_size=1),
    st.data(),
)
def test_lists_of_arrow_are_read_as_their_items(values, data):
    some = data.draw(st.lists(st.sampled_from(range(len(values))), min_size=1))
    chunks = pa.chunked_array([values[:1], values[1:]], pa.list_(pa.string()))
    table = read_events({"occurred_at": [1] * len(values), "action": ["view"] * len(values), "tags": chunks})
    assert codes_of_rows(table.column("tags")) == codes_of_rows(values)
    taken = table.take(np.array(some)).column("tags")
    assert codes_of_rows(taken) == codes_of_rows([values[i] for i in some])


def test_a_day_among_moments_is_its_last_microsecond():
    assert np.diff(times_us(["2024-03-01T00:00:00", "2024-03-01"], "x")).tolist() == [DAY_US - 1]
