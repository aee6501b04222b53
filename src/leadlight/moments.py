"""Durations, windows and moments: "30d", "all", "2016-03-01", always as integer UTC microseconds."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import numpy as np

from leadlight.errors import InputError

DAY_US: Final = 86_400_000_000
"""Microseconds in a day."""

ALL: Final = 0
"""The window that reaches back to the first event."""

UNITS_US: Final = {"h": DAY_US // 24, "d": DAY_US, "w": 7 * DAY_US}
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

Duration = str | timedelta
Moment = str | int | date | datetime | np.datetime64


def duration_us(duration: Duration, *, name: str = "duration", zero: bool = False) -> int:
    """Return a duration in microseconds.

    Raises
    ------
    InputError
        If it is not "Nh", "Nd", "Nw" or a timedelta, or is not positive (`zero=True` allows zero).
    """
    if isinstance(duration, timedelta):
        us = duration // timedelta(microseconds=1)
    else:
        match = re.fullmatch(r"(\d{1,5})([hdw])", duration) if isinstance(duration, str) else None
        if match is None:
            raise InputError(
                f"{name} is {duration!r}; give a number with h, d or w, such as '30d', or a timedelta."
            )
        us = int(match[1]) * UNITS_US[match[2]]
    if us < 0 or (us == 0 and not zero):
        raise InputError(f"{name} is {duration!r}; it must be longer than nothing.")
    return us


def window_us(window: Duration) -> int:
    """Return a window in microseconds; "all" is `ALL`."""
    return ALL if window == "all" else duration_us(window, name="window")


def window_name(window: Duration) -> str:
    """Return the suffix that column names carry: "30d", "all"."""
    if isinstance(window, str):
        window_us(window)
        return window
    us = window_us(window)
    for unit in ("d", "h"):
        if us % UNITS_US[unit] == 0:
            return f"{us // UNITS_US[unit]}{unit}"
    raise InputError(f"window is {window!r}; a timedelta must be a whole number of hours.")


def moment_us(moment: Any, *, name: str = "moment") -> int:
    """Return a moment as UTC microseconds; a naive one is read as UTC, a date as its first microsecond.

    Parameters
    ----------
    moment : str, date, datetime, numpy.datetime64, pandas.Timestamp or int
        ISO 8601 text such as "2016-03-01" or "2016-03-01T12:30:00+02:00"; an int is taken as microseconds.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    try:
        if isinstance(moment, (bool, float)) or moment is None:
            raise ValueError("not a moment")
        if isinstance(moment, (int, np.integer)):
            return int(moment)
        if isinstance(moment, np.datetime64):
            if np.isnat(moment):
                raise ValueError("not a time")
            return int(moment.astype("datetime64[us]").astype(np.int64))
        when = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
        if not isinstance(when, datetime):
            when = datetime(when.year, when.month, when.day, tzinfo=UTC)
        if when != when:  # a missing time is unequal to itself
            raise ValueError("not a time")
        when = when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
        return (when - EPOCH) // timedelta(microseconds=1)
    except (ValueError, TypeError, AttributeError, OverflowError) as error:
        raise InputError(f"{name} is {moment!r}; give a date such as '2016-03-01' or a datetime.") from error


def moment_text(us: int) -> str:
    """Return microseconds as ISO text in UTC: the day alone at midnight, "never" outside the years 1 to 9999."""
    try:
        when = EPOCH + timedelta(microseconds=us)
    except OverflowError:
        return "never"
    return when.strftime("%Y-%m-%d") if us % DAY_US == 0 else when.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
