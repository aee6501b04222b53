"""Raw values of one column -> canonical values, and which of them could not be read."""

from __future__ import annotations

import ast
import json
import re
import zoneinfo
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from leadlight.errors import ColumnTypeError, InputError
from leadlight.moments import DAY_US

Bools = np.ndarray[Any, np.dtype[np.bool_]]
Converted = tuple[pa.Array, Bools]

UTC = pa.timestamp("us", tz="UTC")
DAY_ONLY = r"^(?:\d{4}-\d{2}-\d{2}|\d{8})$"
NAMES_A_DAY = r"^(?:\d{4}-\d{2}-\d{2}|\d{8})(?:\D|$)"
ORDERED_DATE = (
    r"^(?P<first>\d{1,2})[/.-](?P<second>\d{1,2})[/.-](?P<year>\d{4}|\d{2})"
    r"(?:,?[ T]+(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<s>\d{2})(?:\.\d+)?)?\s*(?P<half>[AaPp])?\.?(?:[Mm]\.?)?)?$"
)
"""A date whose first two numbers are day and month, in an order that it does not tell itself."""
NAMED_UTC = r"(:\d{2}(?:\.\d+)?)\s*(?:UTC|GMT)$"
OFFSET = r"(?:Z|[+-]\d{2}:?\d{2}|[+-]\d{2})$"
BEYOND_US = r"(\.\d{6})\d+"
INTEGER = r"^(?:0|-?[1-9]\d{0,18})$"
OUTCOMES = {
    "won": "won",
    "closed won": "won",
    "closedwon": "won",
    "lost": "lost",
    "closed lost": "lost",
    "closedlost": "lost",
    "open": None,
    "": None,
}
TRUE, FALSE = {"true", "yes", "y", "1", "1.0", "granted"}, {"false", "no", "n", "0", "0.0", "refused"}


ROLES = ("prospect", "customer", "partner", "employee")


@dataclass(frozen=True)
class Notation:
    """How the text of a table is to be read.

    Attributes
    ----------
    tz : str
        Zone of times that name none.
    day_first : bool or None
        Which number comes first in a date such as 03/04/2025; None: such dates cannot be read.
    tag_separator : str or None
        What stands between tags in one text; None: | or ;.
    values : mapping
        Column to (the table's word to ours).
    """

    tz: str = "UTC"
    day_first: bool | None = None
    tag_separator: str | None = None
    values: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def in_our_words(self, values: pa.Array, column: str) -> pa.Array:
        """Return a column with the words that `values` names replaced, others as they are."""
        words = self.values.get(column.rpartition(".")[2])
        if not words or not len(values):
            return values
        encoded = _as_text(values).dictionary_encode()
        entries = [words.get(entry.strip(), entry) for entry in encoded.dictionary.to_pylist()]
        return pa.array(entries, pa.string()).take(encoded.indices)


def check_zone(tz: str) -> None:
    """Raise `InputError` unless the zone is one that this machine knows."""
    try:
        zoneinfo.ZoneInfo(tz)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError, TypeError) as error:
        raise InputError(
            f"tz is {tz!r}; give the name of a zone such as 'Europe/Berlin' or 'UTC'."
        ) from error


def _is_text(kind: pa.DataType) -> bool:
    found: bool = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    return found


def _as_text(values: pa.Array) -> pa.Array:
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    return values.cast(pa.string())


def _none_bad(values: pa.Array) -> Bools:
    return np.zeros(len(values), bool)


def to_id(values: pa.Array, notation: Notation, name: str) -> Converted:
    """Identifiers: int64 where all are whole numbers in their plain form, else string; empty text is null."""
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if pa.types.is_integer(values.type):
        try:
            return values.cast(pa.int64()), _none_bad(values)
        except pa.ArrowInvalid:
            return values.cast(pa.string()), _none_bad(values)
    if pa.types.is_floating(values.type):
        # pandas turns a column of integers with a null into floats; beyond 2^53 it may already have lost digits.
        numbers = values.to_numpy(zero_copy_only=False)
        whole = np.isnan(numbers) | ((numbers == np.floor(numbers)) & (np.abs(numbers) <= 2.0**53))
        if not whole.all():
            raise ColumnTypeError(
                f"{name} holds fractions or numbers beyond 2^53 as floats; give identifiers as integers or text."
            )
        whole_numbers = np.where(np.isnan(numbers), 0, numbers).astype(np.int64)
        return pa.array(whole_numbers, mask=np.isnan(numbers)), _none_bad(values)
    if pa.types.is_null(values.type):
        return values.cast(pa.string()), _none_bad(values)
    if not _is_text(values.type):
        raise ColumnTypeError(f"{name} is of type {values.type}; identifiers are integers or text.")
    text = values.cast(pa.string())
    text = pc.if_else(pc.equal(text, ""), pa.scalar(None, pa.string()), text)
    plain = pc.all(pc.match_substring_regex(text, INTEGER), skip_nulls=True).as_py()
    if plain and text.null_count < len(text):
        try:
            return text.cast(pa.int64()), _none_bad(values)
        except pa.ArrowInvalid:
            return text, _none_bad(values)
    return text, _none_bad(values)


def to_text(values: pa.Array, notation: Notation, name: str) -> Converted:
    """Text as it is; empty text is null."""
    if pa.types.is_nested(values.type):
        raise ColumnTypeError(f"{name} is of type {values.type}; give text.")
    text = _as_text(values)
    return pc.if_else(pc.equal(text, ""), pa.scalar(None, pa.string()), text), _none_bad(values)


def to_number(values: pa.Array, notation: Notation, name: str) -> Converted:
    """Finite float64; what is no number is unreadable."""
    if _is_text(values.type):
        series = values.cast(pa.string()).to_pandas()
        numbers = pd.to_numeric(series.where(series != ""), errors="coerce").to_numpy(float)
        bad = np.isnan(numbers) & series.notna().to_numpy() & (series != "").to_numpy(bool)
    else:
        try:
            numbers = values.cast(pa.float64()).to_numpy(zero_copy_only=False)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise ColumnTypeError(f"{name} is of type {values.type}; give numbers.") from error
        bad = np.isinf(numbers)
    return pa.array(numbers, pa.float64(), mask=np.isnan(numbers) | bad), bad


def to_money(values: pa.Array, notation: Notation, name: str) -> Converted:
    """Amounts, currency signs and thousands left out; null where none can be read, since a deal is one without it."""
    if not _is_text(values.type) and not pa.types.is_dictionary(values.type):
        return to_number(values, notation, name)
    text = pc.replace_substring_regex(_as_text(values), r"[^\d.,\-]", "")
    # Of a point and a comma the later one is decimal; a comma alone is, unless three digits follow it.
    text = pc.if_else(
        pc.match_substring_regex(text, r"\..*,|^\d+,\d{1,2}$"),
        pc.replace_substring(pc.replace_substring(text, ".", ""), ",", "."),
        pc.replace_substring(text, ",", ""),
    )
    amounts, _ = to_number(text, notation, name)
    return amounts, _none_bad(values)


def to_role(values: pa.Array, notation: Notation, name: str) -> Converted:
    """Text; the roles that mean something here whatever their case."""
    text, bad = to_text(values, notation, name)
    plain = pc.utf8_lower(pc.utf8_trim_whitespace(text))
    return pc.if_else(pc.is_in(plain, pa.array(ROLES)), plain, text), bad


def to_flag(values: pa.Array, notation: Notation, name: str) -> Converted:
    """Yes or no; null stays null (for consent: refused)."""
    if pa.types.is_boolean(values.type):
        return values, _none_bad(values)
    text = [None if v is None else str(v).strip().lower() for v in values.to_pylist()]
    flags = [True if v in TRUE else False if v in FALSE else None for v in text]
    bad = np.array([v not in (None, "") and f is None for v, f in zip(text, flags, strict=True)], bool)
    return pa.array(flags, pa.bool_()), bad


def to_outcome(values: pa.Array, notation: Notation, name: str) -> Converted:
    """Won, lost, or null for open; other words are unreadable."""
    if pa.types.is_boolean(values.type):
        return pc.if_else(values, "won", "lost"), _none_bad(values)
    text = [
        None if v is None else re.sub(r"[\s_-]+", " ", str(v)).strip().lower() for v in values.to_pylist()
    ]
    bad = np.array([v is not None and v not in OUTCOMES for v in text], bool)
    return pa.array([None if v is None else OUTCOMES.get(v) for v in text], pa.string()), bad


def to_tags(values: pa.Array, notation: Notation, name: str) -> Converted:
    """A list of text; from text: a JSON list, or entries separated by | or ;."""
    kind = values.type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return values.cast(pa.list_(pa.string())), _none_bad(values)
    if pa.types.is_null(kind):
        return values.cast(pa.list_(pa.string())), _none_bad(values)
    if not _is_text(kind) and not pa.types.is_dictionary(kind):
        try:
            return values.cast(pa.list_(pa.string())), _none_bad(values)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise ColumnTypeError(
                f"{name} is of type {kind}; give lists of text, or text such as 'a|b'."
            ) from error
    encoded = _as_text(values).dictionary_encode()
    entries = pc.utf8_trim_whitespace(encoded.dictionary)
    listed = pc.starts_with(entries, "[").to_numpy(zero_copy_only=False)
    lists = _split(entries, notation.tag_separator)
    unreadable = np.zeros(len(entries) + 1, bool)
    if listed.any():
        parsed = [_json_tags(entry) for entry in entries.filter(pa.array(listed)).to_pylist()]
        unreadable[np.flatnonzero(listed)] = [tags is None for tags in parsed]
        # Lists and split texts one after the other, and for each entry its place among them.
        place = np.arange(len(entries))
        place[listed] = len(entries) + np.arange(len(parsed))
        lists = pa.concat_arrays([lists, pa.array(parsed, lists.type)]).take(pa.array(place))
    codes = pc.fill_null(encoded.indices, len(entries)).to_numpy(zero_copy_only=False)
    return lists.take(encoded.indices), unreadable[codes]


def _split(texts: pa.Array, separator: str | None) -> pa.Array:
    """Split at the separator, by default | and ;, drop the spaces around entries and entries that are empty."""
    pieces = (
        pc.split_pattern_regex(texts, "[|;]") if separator is None else pc.split_pattern(texts, separator)
    )
    entries = pc.utf8_trim_whitespace(pieces.flatten())
    held = pc.not_equal(entries, "").to_numpy(zero_copy_only=False)
    before = np.append(0, np.cumsum(held))
    ends = np.append(0, np.cumsum(pieces.value_lengths().to_numpy(zero_copy_only=False)))
    return pa.ListArray.from_arrays(pa.array(before[ends], pa.int32()), entries.filter(pa.array(held)))


def _json_tags(entry: str) -> list[str] | None:
    try:
        found = json.loads(entry)
    except ValueError:
        try:
            # A list as Python writes it, which is what pandas puts into a CSV file.
            found = ast.literal_eval(entry)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return None
    return [t for t in found if t] if all(isinstance(t, str) for t in found) else None


def to_time(values: pa.Array, notation: Notation, name: str) -> Converted:
    """UTC microseconds. Naive times are in `tz`; a day alone is its last microsecond."""
    kind = values.type
    if pa.types.is_timestamp(kind):
        if kind.tz is not None:
            return values.cast(UTC, safe=False), _none_bad(values)
        naive = values.cast(pa.timestamp("us"), safe=False)
        if notation.tz == "UTC":
            return naive.cast(UTC), _none_bad(values)
        return _localise(naive.to_pandas(), notation.tz)
    if pa.types.is_date(kind):
        ends = values.cast(pa.timestamp("us")).to_pandas() + pd.Timedelta(DAY_US - 1, unit="us")
        return _localise(ends, notation.tz)
    if pa.types.is_null(kind):
        return values.cast(UTC), _none_bad(values)
    if not _is_text(kind) and not pa.types.is_dictionary(kind):
        raise ColumnTypeError(
            f"{name} is of type {kind}; give timestamps, dates or ISO 8601 text, not numbers."
        )
    return _parse(_as_text(values), notation)


def _parse(values: pa.Array, notation: Notation) -> Converted:
    trimmed = pc.replace_substring_regex(pc.utf8_trim_whitespace(values), NAMED_UTC, r"\1Z")
    given = pc.fill_null(pc.not_equal(trimmed, ""), False).to_numpy(zero_copy_only=False)
    # A month or a year alone names no day: read as its first, it would be known too early.
    named = _matches(trimmed, NAMES_A_DAY)
    # The end of a day alone looks like an offset.
    zoned = _matches(trimmed, OFFSET) & _matches(trimmed, ":") & named
    day = _matches(trimmed, DAY_ONLY)
    # One finer time in a column would make pandas read all in nanoseconds, which do not reach to the year 2300.
    text = pc.replace_substring_regex(trimmed, BEYOND_US, r"\1").to_pandas()
    utc = pd.to_datetime(text.where(zoned), errors="coerce", format="ISO8601", utc=True)
    naive = pd.to_datetime(text.where(named & ~zoned), errors="coerce", format="ISO8601")
    naive = naive.astype("datetime64[us]") + pd.to_timedelta(np.where(day, DAY_US - 1, 0), unit="us")
    if notation.day_first is not None:
        naive = naive.fillna(pd.Series(_in_order(trimmed, notation.day_first)))
    local, ambiguous = _localise(naive, notation.tz)
    merged = pc.coalesce(local, _utc(utc.astype("datetime64[us, UTC]")))
    return merged, (merged.is_null().to_numpy(zero_copy_only=False) & given) | ambiguous


def _in_order(texts: pa.Array, day_first: bool) -> np.ndarray[Any, np.dtype[np.datetime64]]:
    """Return dates such as 03/04/2025 and 3/4/25 9:05 PM, NaT for every other text; a day alone is its end."""
    found = pc.extract_regex(texts, ORDERED_DATE)
    here = found.is_valid().to_numpy(zero_copy_only=False)
    times = np.full(len(texts), np.datetime64("NaT", "us"))
    parts = dict(zip(found.type.names, found.filter(pa.array(here)).flatten(), strict=True))

    def number(name: str) -> np.ndarray[Any, np.dtype[np.int64]]:
        text = pc.if_else(pc.equal(parts[name], ""), "0", parts[name])
        # A copy: what Arrow shows is not to be written to.
        return np.array(text.cast(pa.int64()).to_numpy(), np.int64)

    day, month = (number(name) for name in (("first", "second") if day_first else ("second", "first")))
    year, hour = number("year"), number("hour")
    year += np.where(year < 100, 2000, 0)
    half = pc.utf8_upper(parts["half"]).to_numpy(zero_copy_only=False)
    sound = (month >= 1) & (month <= 12) & (day >= 1) & (number("minute") < 60) & (number("s") < 60)
    sound &= np.where(half == "", hour <= 23, (hour >= 1) & (hour <= 12))
    hour = np.where(half == "", hour, hour % 12 + np.where(half == "P", 12, 0))
    begin = ((year - 1970) * 12 + np.where(sound, month, 1) - 1).astype("datetime64[M]")
    days = begin.astype("datetime64[D]") + (day - 1)
    sound &= days.astype("datetime64[M]") == begin
    us = ((hour * 60 + number("minute")) * 60 + number("s")) * 1_000_000
    us += np.where(pc.equal(parts["minute"], "").to_numpy(zero_copy_only=False), DAY_US - 1, 0)
    stamps = days.astype("datetime64[us]") + us.astype("timedelta64[us]")
    times[here] = np.where(sound, stamps, np.datetime64("NaT", "us"))
    return times


def _matches(values: pa.Array, pattern: str) -> Bools:
    found: Bools = pc.fill_null(pc.match_substring_regex(values, pattern), False).to_numpy(
        zero_copy_only=False
    )
    return found


def _localise(naive: pd.Series[Any], tz: str) -> Converted:
    """Read naive times in a zone; times that the zone skips or repeats take the later reading, never an earlier one."""
    series = pd.Series(naive).astype("datetime64[us]")
    if tz == "UTC":
        aware = series.dt.tz_localize("UTC")
    else:
        aware = series.dt.tz_localize(tz, ambiguous=np.zeros(len(series), bool), nonexistent="shift_forward")
    return _utc(aware), np.zeros(len(series), bool)


def _utc(aware: pd.Series[Any]) -> pa.Array:
    naive = aware.dt.tz_convert(None).to_numpy("datetime64[us]")
    return pa.array(naive, pa.timestamp("us"), mask=np.isnat(naive)).cast(UTC)


CONVERTERS: dict[str, Callable[[pa.Array, Notation, str], Converted]] = {
    "id": to_id,
    "text": to_text,
    "number": to_number,
    "money": to_money,
    "role": to_role,
    "flag": to_flag,
    "outcome": to_outcome,
    "tags": to_tags,
    "time": to_time,
}
