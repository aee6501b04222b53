"""The canonical tables: which columns, of which kind, and how raw values become them. Bad rows are counted, never hidden."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from leadlight.community.advice import for_unreadable, named, suggested
from leadlight.community.values import CONVERTERS, Notation
from leadlight.errors import InputError, SchemaError, closest, warn

Schema = Mapping[str, str]
Bools = np.ndarray[Any, np.dtype[np.bool_]]
Save = Callable[[str, int, pa.Table, NDArray[np.object_]], None]

SCHEMAS: dict[str, Schema] = {
    "activity": {
        "member_id": "id",
        "occurred_at": "time",
        "action": "text",
        "event_id": "id",
        "known_at": "time",
        "tags": "tags",
        "group_id": "text",
        "other_member_id": "id",
        "other_role": "text",
        "other_job_function": "text",
        "other_domain": "text",
        "duration_s": "number",
        "source": "text",
        "content_id": "id",
        "field": "text",
        "value": "text",
        "email": "text",
    },
    "members": {
        "member_id": "id",
        "joined_at": "time",
        "valid_from": "time",
        "account_id": "id",
        "email": "text",
        "email_domain": "text",
        "role": "role",
        "job_function": "text",
        "consent": "flag",
    },
    "deals": {
        "deal_id": "id",
        "member_id": "id",
        "account_id": "id",
        "email": "text",
        "domain": "text",
        "outcome": "outcome",
        "opened_at": "time",
        "closed_at": "time",
        "known_at": "time",
        "amount": "money",
    },
    "deal_contacts": {"deal_id": "id", "member_id": "id", "email": "text"},
    "contacts": {
        "member_id": "id",
        "contacted_at": "time",
        "chosen_by": "text",
        "propensity": "number",
        "email": "text",
    },
}

REQUIRED: dict[str, tuple[str, ...]] = {
    "activity": ("member_id", "occurred_at", "action"),
    "members": ("member_id",),
    "deals": ("outcome",),
    "deal_contacts": ("deal_id",),
    "contacts": ("contacted_at",),
}
"""Columns that must be there, and whose nulls reject the row (an open deal's outcome excepted)."""

_SHARED = frozenset(
    c
    for name, schema in SCHEMAS.items()
    for c in schema
    if any(c in s for n, s in SCHEMAS.items() if n != name)
)
"""Columns of more than one table."""

ALIASES = {"deals": {"company_domain": "domain", "email_domain": "domain"}}
SAMPLE = 5
MANY_SHARE = 0.05
MANY_ROWS = 10
"""From both on, rows that cannot be used are more than dirt, and a warning says so."""

SHOWN = 3
MANY_SEEN = 200
LONGEST = 40


@dataclass
class Rejects:
    """Rows that could not be used, by table and reason, with a sample of row numbers."""

    rows: list[dict[str, Any]] = field(default_factory=list)

    def add(self, table: str, reason: str, bad: np.ndarray[Any, Any], strict: bool) -> None:
        """Count the rows marked in `bad`; raise instead if `strict`."""
        at = np.flatnonzero(bad)
        if not len(at):
            return
        self.count(table, reason, len(at), [int(i) for i in at[:SAMPLE]], strict)

    def count(self, table: str, reason: str, rows: int, sample: list[int], strict: bool) -> None:
        """Take over a count of rows; raise instead if `strict`."""
        if strict:
            raise InputError(f"{rows} rows of the {table} table: {reason}; the first are rows {sample}.")
        self.rows.append({"table": table, "reason": reason, "rows": rows, "sample": sample})

    def to_pandas(self) -> pd.DataFrame:
        """Return table, reason, rows (a count) and sample (row numbers in the source, from 0)."""
        return pd.DataFrame(self.rows, columns=["table", "reason", "rows", "sample"])


class RowCheck:
    """Bad rows of one table, counted over its batches.

    Parameters
    ----------
    name : str
        Of the table.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.rows = 0
        self.found: dict[tuple[int, str], tuple[int, list[int]]] = {}
        self.seen: dict[tuple[int, str], list[str]] = {}
        """Some values that could not be read; none that may hold an address."""
        self.marked: list[tuple[str, Bools]] = []
        """What is wrong with rows of the present batch, each row once."""

    def mark(self, place: int, reason: str, bad: Bools) -> None:
        """Count the rows of the present batch that are bad for a reason; `place` orders the reasons."""
        at = np.flatnonzero(bad)
        if not len(at):
            return
        count, sample = self.found.get((place, reason), (0, []))
        more = [self.rows + int(i) for i in at[: SAMPLE - len(sample)]]
        self.found[place, reason] = (count + len(at), sample + more)
        self.marked.append((reason, bad))

    def show(self, place: int, reason: str, values: list[pa.Scalar]) -> None:
        """Keep some different values that could not be read, for the message."""
        seen = self.seen.setdefault((place, reason), [])
        for text in dict.fromkeys(str(value) for value in values):
            if len(seen) < SHOWN and text not in seen and len(text) <= LONGEST and "@" not in text:
                seen.append(text)

    def reasons(self, rows: int) -> NDArray[np.object_]:
        """Return why each row of the present batch was refused, None where it was not."""
        found = np.full(rows, None, object)
        for reason, bad in self.marked:
            found[bad] = reason
        return found

    def report(self, rejects: Rejects, strict: bool) -> None:
        """Hand the counts over; raise for the first instead if `strict`.

        Raises
        ------
        InputError
            If no row of the log can be used.

        Warns
        -----
        LeadlightWarning
            If many rows of a table cannot be used.
        """
        for (place, reason), (count, sample) in sorted(self.found.items()):
            if strict:
                raise InputError(
                    f"{count:,} rows of the {self.name} table: {self._told(place, reason)}; the first are rows {sample}."
                )
            rejects.count(self.name, reason, count, sample, strict)
        bad = sum(count for count, _ in self.found.values())
        if self.name == "activity" and bad and bad == self.rows:
            raise InputError(
                f"None of the {self.rows:,} rows of the activity table can be used: {self._why()}"
            )
        nothing = self.name == "deals" and bad == self.rows > 0
        if nothing or (bad >= MANY_ROWS and bad > MANY_SHARE * self.rows):
            warn(f"{bad:,} of {self.rows:,} rows of the {self.name} table cannot be used: {self._why()}")

    def _why(self) -> str:
        """Return the reasons, the most frequent first, with some values and what to do."""
        most = sorted(self.found.items(), key=lambda item: -item[1][0])
        told = [f"{self._told(place, reason)} ({count:,} rows)" for (place, reason), (count, _) in most]
        return "; ".join(told) + "."

    def _told(self, place: int, reason: str) -> str:
        """Return a reason with some values, and what to do about them."""
        seen = self.seen.get((place, reason), [])
        column = reason.split(maxsplit=1)[0]
        advice = for_unreadable(column, SCHEMAS[self.name].get(column, ""), seen)
        shown = f", such as {', '.join(map(repr, seen))}" if seen else ""
        return f"{reason}{shown}{f': {advice}' if advice else ''}"


def canonical(
    raw: pa.Table, name: str, *, notation: Notation, rejects: Rejects, strict: bool, save: Save | None = None
) -> pa.Table:
    """Return the table with canonical columns and types; columns that it does not know are left out.

    `save` gets the table's name, the number of the first row, the rows, and why each was refused, if any was.

    Raises
    ------
    SchemaError
        If a required column is missing.
    """
    require(raw.column_names, name)
    check = RowCheck(name)
    table, _ = canonical_batch(raw, check, notation)
    check.report(rejects, strict)
    if save is not None and check.marked:
        save(name, 0, raw, check.reasons(raw.num_rows))
    return table


def canonical_batch(
    raw: pa.Table, check: RowCheck, notation: Notation
) -> tuple[pa.Table, dict[str, pa.Array]]:
    """Return some rows of a table with canonical columns and types, and all columns before bad rows left them.

    Each value is read by itself; only an identifier's type depends on the others (see `Kind`).
    """
    name = check.name
    raw = raw.rename_columns(canonical_names(raw.column_names, name))
    bad = np.zeros(raw.num_rows, bool)
    check.marked = []
    columns: dict[str, pa.Array] = {}
    for place, (column, kind) in enumerate(SCHEMAS[name].items()):
        if column not in raw.column_names:
            continue
        values = raw[column].combine_chunks()
        if isinstance(values, pa.ChunkedArray):
            values = pa.concat_arrays(values.chunks) if values.num_chunks else pa.array([], values.type)
        values = notation.in_our_words(values, column)
        converted, unreadable = CONVERTERS[kind](values, notation, f"{name}.{column}")
        if unreadable.any():
            reason = f"{column} cannot be read"
            check.mark(2 * place, reason, unreadable & ~bad)
            check.show(
                2 * place, reason, [values[int(i)] for i in np.flatnonzero(unreadable & ~bad)[:MANY_SEEN]]
            )
            bad |= unreadable
        if column in REQUIRED[name] and kind != "outcome" and converted.null_count:
            null = converted.is_null().to_numpy(zero_copy_only=False)
            check.mark(2 * place + 1, f"{column} is null", null & ~bad)
            bad |= null
        columns[column] = converted
    if name in ("deal_contacts", "contacts"):
        nobody = ~np.logical_or.reduce([_held(columns.get(c), raw.num_rows) for c in ("member_id", "email")])
        reason = "member_id is null" if "email" not in columns else "member_id and email are null"
        check.mark(2 * len(SCHEMAS[name]), reason, nobody & ~bad)
        bad |= nobody
    check.rows += raw.num_rows
    table = pa.table(columns)
    return (table.filter(pa.array(~bad)) if bad.any() else table), columns


def _held(values: pa.Array | None, rows: int) -> Bools:
    if values is None:
        return np.zeros(rows, bool)
    found: Bools = values.is_valid().to_numpy(zero_copy_only=False)
    return found


def canonical_names(names: list[str], table: str) -> list[str]:
    """Return the names with aliases replaced."""
    aliases: dict[str, str] = {}
    for alias, column in ALIASES.get(table, {}).items():
        if alias in names and column not in (*names, *aliases.values()):
            aliases[alias] = column
    return [aliases.get(c, c) for c in names]


def require(names: list[str], name: str) -> None:
    """Raise `SchemaError` unless a table with columns of these names can be read."""
    names = canonical_names(names, name)
    missing = [c for c in REQUIRED[name] if c not in names]
    if missing:
        perhaps = suggested([*missing, *_lacking_besides(names, name)], names, name, _SHARED)
        raise SchemaError(
            f"The {name} table lacks {named(missing, names)}; it has {names}."
            f"{perhaps or ' Name your own columns with columns={canonical: own}.'}"
        )
    if name in ("deal_contacts", "contacts") and not {"member_id", "email"} & set(names):
        perhaps = suggested(("member_id", "email"), names, name, _SHARED)
        raise SchemaError(
            f"The {name} table needs member_id{closest('member_id', names)} or email to say whom it is about; it has {names}.{perhaps}"
        )
    if name == "deals":
        if not {"opened_at", "closed_at"} & set(names):
            raise SchemaError(
                "The deals table needs closed_at or opened_at, since a deal without a date teaches nothing; it has "
                f"{names}.{suggested(('closed_at',), names, name, _SHARED)}"
            )
        if not {"member_id", "account_id", "email", "domain"} & set(names):
            perhaps = suggested(("email", "domain", "member_id"), names, name, _SHARED)
            raise SchemaError(
                "The deals table needs one of member_id, account_id, email or domain to find the buyer, and the name of a "
                f"company is none of them; it has {names}.{perhaps}"
            )


def _lacking_besides(names: list[str], name: str) -> list[str]:
    """Return what a table of deals needs beside its outcome, so that one message says all."""
    if name != "deals":
        return []
    dated, told = (
        {"opened_at", "closed_at"} & set(names),
        {"member_id", "account_id", "email", "domain"} & set(names),
    )
    return [*([] if dated else ["closed_at"]), *([] if told else ["email"])]


def same_identifiers(tables: dict[str, pa.Table], columns: tuple[str, ...]) -> dict[str, pa.Table]:
    """Give an identifier one type in all tables: int64 where every table holds whole numbers, else string."""
    found = [(t, c) for t, table in tables.items() for c in columns if c in table.column_names]
    # A column without a value has no type of its own; it takes that of the others.
    held = [tables[t][c].type for t, c in found if tables[t][c].null_count < len(tables[t][c])]
    wanted = pa.int64() if held and not any(pa.types.is_string(kind) for kind in held) else pa.string()
    result = dict(tables)
    for t, c in found:
        table = result[t]
        if table[c].type != wanted:
            result[t] = table.set_column(table.column_names.index(c), c, pc.cast(table[c], wanted))
    return result


def repeated_events(activity: pa.Table) -> Bools:
    """Return which rows repeat an event_id of another row; of each event_id the row known earliest is none of them.

    Equals go by time, action, member and then by all else that is there, so that the order of rows does not matter.
    """
    ids = activity["event_id"].to_pandas()
    known = visible_from(activity)
    last = ("member_id", "action")
    known_by_time = (*last, "event_id", "occurred_at", "known_at")
    ties = [c for c in activity.column_names if c not in known_by_time and activity[c].type != pa.null()]
    ranks = [pc.rank(activity[c], tiebreaker="dense").to_numpy() for c in (*ties, *last)]
    order = np.lexsort((*ranks, time_us(activity, "occurred_at", 0), known))
    ordered = ids.iloc[order]
    found = np.zeros(activity.num_rows, bool)
    found[order] = (ordered.duplicated() & ordered.notna()).to_numpy(bool)
    return found


def time_us(table: pa.Table, column: str, missing: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return a time column as int64 microseconds, `missing` where it is null or absent."""
    if column not in table.column_names:
        return np.full(table.num_rows, missing, np.int64)
    found: np.ndarray[Any, np.dtype[np.int64]] = pc.fill_null(
        pc.cast(table[column], pa.int64()), missing
    ).to_numpy()
    return found


def visible_from(table: pa.Table, at: str = "occurred_at") -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return max(at, known_at) in microseconds."""
    occurred = time_us(table, at, np.iinfo(np.int64).min)
    found: np.ndarray[Any, np.dtype[np.int64]] = np.maximum(
        occurred, time_us(table, "known_at", np.iinfo(np.int64).min)
    )
    return found
