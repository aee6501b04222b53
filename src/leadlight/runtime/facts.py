"""Single values as an application hands them over -> the canonical form that the batch path gives its columns."""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Iterable
from datetime import date, datetime
from typing import Any, Final

import numpy as np

from leadlight.errors import ColumnTypeError, InputError
from leadlight.moments import DAY_US, moment_us
from leadlight.runtime.frames import is_null

_DAY_ONLY = re.compile(r"\s*(?:\d{4}-\d{2}-\d{2}|\d{8})\s*")
_EXACT = 2.0**53


_SECONDS: Final = range(900_000_000, 5_000_000_000)
_MILLISECONDS: Final = range(900_000_000_000, 5_000_000_000_000)
"""From 1998 on, read as microseconds."""


def as_time_us(value: Any, name: str, missing: int | None = None) -> int:
    """Return UTC microseconds; a day alone is its last microsecond, null is `missing`.

    Raises
    ------
    InputError
        The value is no time, or null without a `missing`.
    """
    if is_null(value) or (isinstance(value, str) and not value):
        if missing is None:
            raise InputError(f"{name} is empty; every event needs the time at which it happened.")
        return missing
    if isinstance(value, str):
        value = value.strip()
        if "W" in value:
            # The batch path takes no weeks of the year, which the standard library reads.
            raise InputError(f"{name} is {value!r}; give a date such as '2016-03-01' or a datetime.")
    day = isinstance(value, str) and names_a_day(value)
    day = day or (isinstance(value, date) and not isinstance(value, datetime))
    day = day or (isinstance(value, np.datetime64) and np.datetime_data(value.dtype)[0] in "YMWD")
    return moment_us(value, name=name) + (DAY_US - 1 if day else 0)


def check_unit(newest_us: int) -> None:
    """Raise `InputError` where the newest event happened early in 1970: its time was counted in seconds or milliseconds."""
    unit = "seconds" if _SECONDS.start <= newest_us < _SECONDS.stop else ""
    unit = "milliseconds" if _MILLISECONDS.start <= newest_us < _MILLISECONDS.stop else unit
    if unit:
        raise InputError(
            f"The newest event has occurred_at={newest_us}, which as microseconds is early in 1970; it looks like {unit}. "
            "Give datetimes, ISO text or integer microseconds."
        )


def names_a_day(text: str) -> bool:
    """Whether ISO text names a day and no time of it."""
    return _DAY_ONLY.fullmatch(text) is not None


def as_id(value: Any, name: str) -> str | None:
    """Return an identifier as text, so that 7 and "7" are one; None for null and empty text.

    Raises
    ------
    ColumnTypeError
        It is a fraction, a float too large to be exact, or no identifier at all.
    """
    if is_null(value):
        return None
    if isinstance(value, float | np.floating):
        if not _is_whole(float(value)):
            raise ColumnTypeError(f"{name} holds fractions or floats beyond 2^53; give integers or text.")
        return str(int(value))
    if isinstance(value, bool | np.bool_) or not isinstance(value, str | int | np.integer):
        raise ColumnTypeError(f"{name} holds a {type(value).__name__}; identifiers are integers or text.")
    return str(value) or None


def as_text(value: Any, name: str) -> str | None:
    """Return text; None for null and empty text.

    Raises
    ------
    ColumnTypeError
        It is nested.
    """
    if is_null(value):
        return None
    if isinstance(value, float | np.floating) and _is_whole(float(value)):
        # pandas turns integers with a null among them into floats.
        return str(int(value))
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if not isinstance(value, str | int | float | np.integer | np.floating):
        raise ColumnTypeError(f"{name} holds a {type(value).__name__}; give text.")
    return str(value) or None


def as_number(value: Any, name: str) -> float:
    """Return a finite number, NaN for null and empty text.

    Raises
    ------
    InputError
        It is no number, or infinite.
    """
    if is_null(value) or (isinstance(value, str) and not value):
        return math.nan
    try:
        found = float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{name} holds a {type(value).__name__} that is no number; give seconds.") from error
    if not math.isfinite(found):
        raise InputError(f"{name} holds an infinite number; give seconds, or None.")
    return found


def as_tags(value: Any) -> list[str]:
    """Return a list of tags: of a list, of a JSON list as text, or of text with entries separated by | or ;.

    Raises
    ------
    ColumnTypeError
        It is none of these.
    """
    if is_null(value):
        return []
    if isinstance(value, str):
        stripped = value.strip()
        if stripped.startswith("["):
            return [tag for tag in _json_list(stripped) if tag]
        return [tag.strip() for tag in re.split(r"[|;]", stripped) if tag.strip()]
    if not isinstance(value, Iterable) or isinstance(value, bytes):
        raise ColumnTypeError(
            f"tags holds a {type(value).__name__}; give a list of text, or text such as 'a|b'."
        )
    return [str(tag) for tag in value if not is_null(tag)]


def as_domain(value: Any, name: str) -> str | None:
    """Return a host name in one form: "https://www.Acme.example/x" is "acme.example"; None for what is none."""
    raw = as_text(value, name)
    if raw is None:
        return None
    text = unicodedata.normalize("NFKC", raw).strip().lower()
    text = re.sub(r"^[a-z]+://", "", text).split("/")[0].split(":")[0].removeprefix("www.").rstrip(".")
    return text if "." in text and "@" not in text and " " not in text else None


def _is_whole(value: float) -> bool:
    return value.is_integer() and abs(value) <= _EXACT


def _json_list(text: str) -> list[str]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, list) or not all(isinstance(tag, str) for tag in found):
        raise ColumnTypeError("tags holds text that begins with [ and is no JSON list of text; give a list.")
    return found
