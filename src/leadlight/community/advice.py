"""What to do about a table that cannot be read as it is: the column that may be meant, what a value lacks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from leadlight.errors import closest

_OTHER_NAMES: Final = {
    "member_id": ("userid", "user", "uid", "authorid", "actorid", "personid", "customerid", "contactid", "id"),
    "occurred_at": ("timestamp", "datetime", "createdat", "eventtime", "time", "created", "date", "eventdate", "ts"),
    "action": ("event", "eventname", "eventtype", "actiontype", "activitytype", "activity", "verb", "type"),
    "outcome": ("stage", "dealstage", "stagename", "opportunitystage", "dealstatus", "status", "result"),
    "closed_at": ("closedate", "dateclosed", "closedon", "closed", "wondate"),
    "email": ("emailaddress", "contactemail", "useremail", "primaryemail", "buyeremail", "mail"),
    "domain": ("companydomain", "website", "companywebsite", "companydomainname"),
    "deal_id": ("dealid", "opportunityid", "recordid", "id"),
    "contacted_at": ("timestamp", "datetime", "date", "createdat", "activitydate", "time"),
}  # fmt: skip
"""Names that exports give to our columns, in small letters and without signs between; the likeliest first."""

_DATE_WITHOUT_ORDER: Final = re.compile(r"^\s*(\d{1,2})[/.-](\d{1,2})[/.-]\d{2}(?:\d{2})?\b")


def suggested(wanted: Sequence[str], names: Sequence[str], table: str, shared: Iterable[str]) -> str:
    """Return `` Perhaps columns={...}.`` for the wanted columns that a table may hold under other names, or nothing.

    Parameters
    ----------
    wanted : sequence of str
        Our columns that it lacks.
    names : sequence of str
        Its own.
    table : str
    shared : iterable of str
        Columns that other tables have too: these are named for this table alone.
    """
    plain = {re.sub(r"[^a-z0-9]", "", name.lower()): name for name in reversed(names)}
    found: dict[str, str] = {}
    for column in wanted:
        own = next((plain[other] for other in _OTHER_NAMES.get(column, ()) if other in plain), None)
        own = own or plain.get(column.replace("_", ""))
        if own is not None and own not in found.values():
            found[f"{table}.{column}" if column in shared else column] = own
    return f" Perhaps columns={found}." if found else ""


def named(wanted: Sequence[str], names: Sequence[str]) -> str:
    """Return the columns that are lacking, each with the name that looks like a slip of it."""
    return ", ".join(f"{column!r}{closest(column, names)}" for column in wanted)


def for_unreadable(column: str, kind: str, seen: Sequence[str]) -> str:
    """Return what to do about values of a column that cannot be read, or nothing.

    Parameters
    ----------
    column : str
    kind : str
        As in `SCHEMAS`.
    seen : sequence of str
        Some of the values.
    """
    if kind == "outcome" and seen:
        meant = ", ".join(f"{word!r}: 'open'" for word in seen[:2])
        return f"say which words mean won, lost or open: values={{'outcome': {{{meant}}}}}"
    if kind == "flag" and seen:
        return f"say which words mean yes or no: values={{{column!r}: {{{seen[0]!r}: 'yes'}}}}"
    if kind != "time" or not seen:
        return ""
    ordered = [(int(m[1]), int(m[2])) for m in map(_DATE_WITHOUT_ORDER.match, seen) if m]
    if any(second > 12 for _, second in ordered):
        return "their second number is the day: day_first=False"
    if any(first > 12 for first, _ in ordered):
        return "their first number is the day: day_first=True"
    if ordered:
        return "say whether the day comes first (day_first=True) or the month (day_first=False)"
    if any(re.fullmatch(r"\d+(?:\.\d+)?", text.strip()) for text in seen):
        return "numbers of seconds or of days are no dates; make dates of them, as pandas.to_datetime(..., unit='s') does"
    return "write dates as 2025-03-14 or 2025-03-14 21:05:00"
