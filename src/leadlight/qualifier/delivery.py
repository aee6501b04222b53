"""Scores to where sales works: a table of a database, files that Salesforce and HubSpot import."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np
import pandas as pd

from leadlight.errors import InputError

Layout = Literal["plain", "salesforce", "hubspot"]

TYPES = {
    "member_id": "VARCHAR(255)",
    "scored_at": "TIMESTAMP",
    "account_id": "VARCHAR(255)",
    "probability": "DOUBLE PRECISION",
    "low": "DOUBLE PRECISION",
    "high": "DOUBLE PRECISION",
    "percentile": "DOUBLE PRECISION",
    "grade": "VARCHAR(8)",
    "qualified": "BOOLEAN",
    "cold_start": "BOOLEAN",
    "customer": "BOOLEAN",
    "open_deal": "BOOLEAN",
    "reasons": "TEXT",
    "model_version": "VARCHAR(255)",
}
"""Columns of the table; a member and a time are its key. Whole-number identifiers are BIGINT."""

KEY = ("member_id", "scored_at")
LONGEST_TEXT = 255
"""What a text field of these systems takes."""


def upsert(frame: pd.DataFrame, connection: Any, table: str, schema: str | None = None) -> int:
    """Write scores into a table, made where it is missing; see `Scores.to_sql`."""
    names = list(TYPES)
    rows = _rows(frame, connection)
    numbers = {name for name in ("member_id", "account_id") if _whole(frame[name])}
    types = {name: "BIGINT" if name in numbers else kind for name, kind in TYPES.items()}
    target = ".".join(_quoted(part) for part in (schema, table) if part is not None)
    columns = ", ".join(f"{_quoted(name)} {kind}" for name, kind in types.items())
    key = ", ".join(map(_quoted, KEY))
    changed = ", ".join(f"{_quoted(n)} = excluded.{_quoted(n)}" for n in names if n not in KEY)
    # Identifiers cannot be bound; they are quoted, and every value is bound.
    make = f"CREATE TABLE IF NOT EXISTS {target} ({columns}, PRIMARY KEY ({key}))"
    write = (
        f"INSERT INTO {target} ({', '.join(map(_quoted, names))}) VALUES ({', '.join(_marks(connection, len(names)))}) "  # noqa: S608
        f"ON CONFLICT ({key}) DO UPDATE SET {changed}"
    )
    cursor = connection.cursor()
    own = _is_duckdb(connection)
    try:
        if own:
            cursor.begin()
        cursor.execute(make)
        if rows:
            cursor.executemany(write, rows)
        (cursor if own else connection).commit()
    except BaseException:
        (cursor if own else connection).rollback()
        raise
    finally:
        cursor.close()
    return len(rows)


def _rows(frame: pd.DataFrame, connection: Any) -> list[tuple[Any, ...]]:
    columns = []
    for name in TYPES:
        values = frame["at" if name == "scored_at" else name].tolist()
        if name == "reasons":
            values = [
                json.dumps(
                    [{"behaviour": r.behaviour, "contribution": r.contribution, "text": r.text} for r in told]
                )
                for told in values
            ]
        elif name == "scored_at":
            values = [pd.Timestamp(v).tz_localize(None).to_pydatetime() for v in values]
            if type(connection).__module__.startswith("sqlite3"):  # it has no times, and adapts none any more
                values = [v.isoformat(sep=" ") for v in values]
        columns.append([_plain(v) for v in values])
    return list(zip(*columns, strict=True))


def _plain(value: Any) -> Any:
    if value is None or value is pd.NA or (isinstance(value, float) and np.isnan(value)):
        return None
    return value.item() if isinstance(value, np.generic) else value


def _whole(values: pd.Series[Any]) -> bool:
    held = values.dropna()
    return len(held) > 0 and all(isinstance(v, (int, np.integer)) for v in held)


def _quoted(name: str) -> str:
    if not name or "\0" in name:
        raise InputError(f"{name!r} is no name of a table.")
    return '"' + name.replace('"', '""') + '"'


def _is_duckdb(connection: Any) -> bool:
    return type(connection).__module__.lstrip("_").startswith("duckdb")


def _marks(connection: Any, count: int) -> list[str]:
    """Return the places of values in a statement, as the driver of the connection writes them."""
    room = type(connection).__module__.split(".")[0]
    if room.startswith("adbc"):
        return [f"${place}" for place in range(1, count + 1)]
    style = getattr(sys.modules.get(room), "paramstyle", "qmark")
    if style not in ("qmark", "format", "pyformat"):
        raise InputError(
            f"{room} takes values as {style!r}; use a driver with 'qmark', 'format' or 'pyformat', or `to_csv`."
        )
    return ["?" if style == "qmark" else "%s"] * count


def shaped(
    frame: pd.DataFrame, layout: Layout, keys: Mapping[Any, str] | None
) -> tuple[list[str], list[list[str]]]:
    """Return the header and the rows of an import file; see `Scores.to_csv`."""
    if layout not in LAYOUTS:
        raise InputError(f"layout is {layout!r}; choose from 'plain', {', '.join(map(repr, LAYOUTS))}.")
    if keys is None:
        raise InputError(
            f"layout={layout!r} needs keys=, a mapping of member_id to the record's Id or e-mail address: a community "
            "keeps no addresses."
        )
    key, header = LAYOUTS[layout]
    known = frame[frame["member_id"].isin(list(keys))]
    rows = [[keys[row["member_id"]], *_CELLS[layout](row)] for row in known.to_dict("records")]
    by_address = any("@" in row[0] for row in rows)
    return ["Email" if by_address else key, *header], rows


def _salesforce(row: Mapping[str, Any]) -> list[str]:
    at = pd.Timestamp(row["at"]).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    yes = "TRUE" if row["qualified"] else "FALSE"
    return [_percent(row["probability"]), str(row["grade"]), yes, *_reasons(row), at, row["model_version"]]


def _hubspot(row: Mapping[str, Any]) -> list[str]:
    day = pd.Timestamp(row["at"]).strftime("%Y-%m-%d")
    yes = "true" if row["qualified"] else "false"
    return [_percent(row["probability"]), str(row["grade"]), yes, *_reasons(row), day, row["model_version"]]


def _percent(probability: float) -> str:
    return "" if np.isnan(probability) else f"{100 * probability:.2f}"


def _reasons(row: Mapping[str, Any]) -> list[str]:
    texts = [reason.text[:LONGEST_TEXT] for reason in row["reasons"][:3]]
    return texts + [""] * (3 - len(texts))


LAYOUTS: dict[str, tuple[str, list[str]]] = {
    "salesforce": (
        "Id",
        [
            "Leadlight_Probability__c",
            "Leadlight_Grade__c",
            "Leadlight_Qualified__c",
            "Leadlight_Reason_1__c",
            "Leadlight_Reason_2__c",
            "Leadlight_Reason_3__c",
            "Leadlight_Scored_At__c",
            "Leadlight_Model__c",
        ],
    ),
    "hubspot": (
        "Record ID",
        [
            "Leadlight probability",
            "Leadlight grade",
            "Leadlight qualified",
            "Leadlight reason 1",
            "Leadlight reason 2",
            "Leadlight reason 3",
            "Leadlight scored on",
            "Leadlight model",
        ],
    ),
}
_CELLS: dict[str, Callable[[Mapping[str, Any]], list[str]]] = {"salesforce": _salesforce, "hubspot": _hubspot}
