"""A community from a database: any that has an ADBC or DB-API driver, and DuckDB."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pyarrow as pa

from leadlight.community import Community
from leadlight.community.matching import Match
from leadlight.errors import ColumnTypeError, InputError
from leadlight.moments import Moment

BATCH_ROWS = 1 << 16


@dataclass(frozen=True)
class Table:
    """All columns of a table, by its name, whatever the name holds.

    Parameters
    ----------
    name : str
    schema : str, optional
    quote : str, default='"'
        What the database puts around identifiers; one inside a name is doubled. MySQL: a backtick.

    Examples
    --------
    >>> str(Table("the `log`", schema="shop", quote="`"))
    'SELECT * FROM `shop`.`the ``log```'
    """

    name: str
    schema: str | None = None
    quote: str = '"'

    def __str__(self) -> str:
        parts = [part for part in (self.schema, self.name) if part is not None]
        if any("\0" in part for part in parts):
            raise InputError(f"{self.name!r} holds a null character; no database allows that in a name.")
        quoted = (self.quote + part.replace(self.quote, 2 * self.quote) + self.quote for part in parts)
        return f"SELECT * FROM {'.'.join(quoted)}"  # noqa: S608 - an identifier takes no bound value


def read_sql(
    connection: Any,
    activity: str | Table,
    *,
    members: str | Table | Any = None,
    deals: str | Table | Any = None,
    deal_contacts: str | Table | Any = None,
    contacts: str | Table | Any = None,
    columns: Mapping[str, str] | None = None,
    match: Match = "email",
    tz: str = "UTC",
    strict: bool = False,
    frozen_at: Moment | None = None,
) -> Community:
    """Read a community from the tables of a database.

    Parameters
    ----------
    connection : connection
        Open, and yours to close: DuckDB, ADBC (``adbc_driver_postgresql.dbapi.connect(uri)``; fastest, rows stay in Arrow), or any
        DB-API 2 driver (psycopg, pg8000, sqlite3, mysqlclient, ...). Nothing is written; with psycopg the rows
        come through a cursor on the server, so that memory stays bounded.
    activity : str or Table
        A query whose columns are those of the canonical table (``SELECT user_id AS member_id, ...``), or `Table` for all
        of one. Read in batches, as `Community` does.
    members, deals, deal_contacts, contacts : str, Table, or frame, optional
        Text is a query here, not a path; frames are taken as they are.
    columns, match, tz, strict, frozen_at
        As in `Community`. Times without a zone are in `tz`; dates count as their last microsecond.

    Returns
    -------
    Community

    Raises
    ------
    InputError
        If the database refuses a query; its own message follows.
    ColumnTypeError
        If a column holds bytes.

    Notes
    -----
    Names and values of the data never become part of a query: what you pass is sent as it is, and `Table` quotes.

    Examples
    --------
    >>> import sqlite3
    >>> with sqlite3.connect(":memory:") as connection:
    ...     _ = connection.execute("CREATE TABLE log (member_id, occurred_at, action)")
    ...     _ = connection.execute("INSERT INTO log VALUES ('ann', '2024-03-01T10:00:00', 'question')")
    ...     read_sql(connection, "SELECT * FROM log")
    Community(1 events of 1 members, 2024-03-01 to 2024-03-01, 0 deals)
    """
    others = {"members": members, "deals": deals, "deal_contacts": deal_contacts, "contacts": contacts}
    # First and whole: one connection may serve one reader at a time.
    read = {
        name: _stream(connection, str(source), name).read_all()
        if isinstance(source, (str, Table))
        else source
        for name, source in others.items()
    }
    return Community(
        activity=_stream(connection, str(activity), "activity"),
        **read,
        columns=columns,
        match=match,
        tz=tz,
        strict=strict,
        frozen_at=frozen_at,
    )


def _stream(connection: Any, query: str, name: str) -> pa.RecordBatchReader:
    """Return the rows of a query, read as they are asked for."""
    try:
        if type(connection).__module__.lstrip("_").startswith("duckdb"):
            return connection.cursor().sql(query).to_arrow_reader(BATCH_ROWS)
        cursor = _cursor(connection)
        cursor.execute(query)
        if hasattr(cursor, "fetch_record_batch"):
            reader = cursor.fetch_record_batch()
            return pa.RecordBatchReader.from_batches(reader.schema, _arrow(cursor, reader))
        rows = cursor.fetchmany(BATCH_ROWS)  # some drivers describe the columns once rows have come
        names = [column[0] for column in cursor.description or ()]
    except Exception as error:
        # Each driver has a family of its own, and none of them is ours to import.
        if type(error).__module__ == "builtins" and not isinstance(error, (ValueError, TypeError)):
            raise
        raise InputError(f"The database refuses the query for the {name} table: {error}") from error
    if not names:
        raise InputError(f"The query for the {name} table returns no columns; give a SELECT.")
    schema = pa.schema([(column, pa.string()) for column in names])
    return pa.RecordBatchReader.from_batches(schema, _batches(cursor, rows, schema, name))


def _cursor(connection: Any) -> Any:
    """Return a cursor; of psycopg one that lives on the server, for a plain one fetches the whole result first."""
    if type(connection).__module__.split(".")[0] in ("psycopg", "psycopg2"):
        return connection.cursor("leadlight", withhold=True)
    return connection.cursor()


def _arrow(cursor: Any, reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    # The rows end with their cursor: it lives as long as they are read.
    try:
        yield from reader
    finally:
        cursor.close()


def _batches(cursor: Any, rows: Any, schema: pa.Schema, name: str) -> Iterator[pa.RecordBatch]:
    try:
        while rows:
            columns = zip(*rows, strict=True)
            arrays = [
                pa.array([_text(value, f"{name}.{field.name}") for value in column], pa.string())
                for field, column in zip(schema, columns, strict=True)
            ]
            yield pa.record_batch(arrays, schema=schema)
            rows = cursor.fetchmany(BATCH_ROWS)
    finally:
        cursor.close()


def _text(value: Any, name: str) -> str | None:
    """Return a value as a CSV file would hold it: drivers differ in types, texts do not."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if isinstance(value, (bool, int, float, Decimal, UUID)):
        return str(value)
    if isinstance(value, (list, tuple)):
        return json.dumps([v for v in value if v is not None])
    raise ColumnTypeError(
        f"{name} holds {type(value).__name__} values; select text, numbers, times or lists of text."
    )
