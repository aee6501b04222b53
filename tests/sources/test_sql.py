"""Databases: SQLite and DuckDB here, PostgreSQL through three drivers where its server is installed."""

from __future__ import annotations

import json
import sqlite3
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import duckdb
import pytest

from leadlight.community import Community
from leadlight.errors import ColumnTypeError, InputError
from leadlight.sources import read_sql
from leadlight.sources.sql import Table, _text

HOSTILE = "x'; DROP TABLE log; --\""
LOG = [
    ("ann", datetime(2024, 3, 1, 10, 0, 0, 123456, tzinfo=UTC), "question", ["visa", HOSTILE], 1.5),
    ("bob", datetime(2024, 3, 2, 10, tzinfo=UTC), "view", None, None),
    (HOSTILE, datetime(2024, 3, 3, 10, tzinfo=UTC), HOSTILE, [], 0.0),
]
NAMES = ("member_id", "occurred_at", "action", "tags", "duration_s")
DEALS = [(1, "ann", "won", "2024-04-01"), (2, "bob", None, None)]


def expected() -> Community:
    """Return the community of the same rows as frames."""
    log = [dict(zip(NAMES, row, strict=True)) for row in LOG]
    deals = [dict(zip(("deal_id", "member_id", "outcome", "closed_at"), row, strict=True)) for row in DEALS]
    return Community(log, deals=[deal | {"opened_at": "2024-03-05"} for deal in deals])


def content(community: Community) -> list[dict[str, Any]]:
    """Return the log as Python values, in the order of time."""
    return community.activity.select(list(NAMES)).sort_by("occurred_at").to_pylist()


@pytest.fixture
def sqlite() -> Any:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE log (member_id, occurred_at, action, tags, duration_s)")
    rows = [(m, t.isoformat(), a, None if g is None else json.dumps(g), d) for m, t, a, g, d in LOG]
    connection.executemany("INSERT INTO log VALUES (?, ?, ?, ?, ?)", rows)
    connection.execute("CREATE TABLE deals (deal_id, member_id, outcome, closed_at)")
    connection.executemany("INSERT INTO deals VALUES (?, ?, ?, ?)", DEALS)
    yield connection
    connection.close()


DEAL_QUERY = "SELECT *, '2024-03-05' AS opened_at FROM deals"


def test_sqlite_gives_what_frames_give(sqlite):
    community = read_sql(sqlite, Table("log"), deals=DEAL_QUERY)
    assert content(community) == content(expected())
    assert community.fingerprint == expected().fingerprint


def test_a_file_of_duckdb_gives_what_frames_give(tmp_path):
    path = str(tmp_path / "community.duckdb")
    with duckdb.connect(path) as connection:
        connection.execute(
            "CREATE TABLE log (member_id TEXT, occurred_at TIMESTAMPTZ, action TEXT, tags TEXT[], duration_s DOUBLE)"
        )
        connection.executemany("INSERT INTO log VALUES (?, ?, ?, ?, ?)", LOG)
        connection.execute("CREATE TABLE deals (deal_id INT, member_id TEXT, outcome TEXT, closed_at DATE)")
        connection.executemany("INSERT INTO deals VALUES (?, ?, ?, ?)", DEALS)
    with duckdb.connect(path, read_only=True) as connection:
        community = read_sql(connection, Table("log"), deals=DEAL_QUERY)
    assert content(community) == content(expected())
    assert community.fingerprint == expected().fingerprint


def test_frames_may_stand_beside_queries(sqlite):
    members = [{"member_id": "ann", "account_id": "acme"}]
    assert read_sql(sqlite, "SELECT * FROM log", members=members).has_accounts


def test_a_name_of_a_table_is_quoted(sqlite):
    sqlite.execute(f'CREATE TABLE "{HOSTILE.replace(chr(34), 2 * chr(34))}" AS SELECT * FROM log')
    assert content(read_sql(sqlite, Table(HOSTILE))) == content(expected())
    assert len(sqlite.execute("SELECT * FROM log").fetchall()) == len(LOG)
    assert str(Table("a`b", schema="s", quote="`")) == "SELECT * FROM `s`.`a``b`"


def test_batches_are_joined(sqlite, monkeypatch):
    monkeypatch.setattr("leadlight.sources.sql.BATCH_ROWS", 2)
    assert content(read_sql(sqlite, Table("log"))) == content(expected())


def test_values_become_the_text_of_a_file():
    told = [date(2024, 3, 1), datetime(2024, 3, 1, 2, tzinfo=UTC), Decimal("12.50"), True, 2**60, ["a", None]]
    assert [_text(value, "x") for value in told] == [
        "2024-03-01",
        "2024-03-01T02:00:00+00:00",
        "12.50",
        "True",
        str(2**60),
        '["a"]',
    ]


def test_bytes_are_refused_by_name():
    with pytest.raises(ColumnTypeError, match=r"activity\.action holds bytes values"):
        _text(b"x", "activity.action")


@pytest.mark.parametrize(
    ("query", "said"),
    [("SELEC", "refuses the query for the activity table"), ("CREATE TABLE t (x)", "returns no columns")],
)
def test_a_query_that_fails_is_said(sqlite, query, said):
    with pytest.raises(InputError, match=said):
        read_sql(sqlite, query)


def test_a_name_with_a_null_character_is_refused():
    with pytest.raises(InputError, match="null character"):
        str(Table("a\0b"))


@pytest.mark.parametrize("driver", ["adbc", "psycopg"])
def test_postgresql_gives_what_frames_give(postgresql, driver):
    with postgresql.connect("psycopg") as connection:
        connection.execute("DROP TABLE IF EXISTS log, deals")
        connection.execute(
            "CREATE TABLE log (member_id TEXT, occurred_at TIMESTAMPTZ, action TEXT, tags TEXT[], duration_s FLOAT8)"
        )
        connection.cursor().executemany("INSERT INTO log VALUES (%s, %s, %s, %s, %s)", LOG)
        connection.execute("CREATE TABLE deals (deal_id INT, member_id TEXT, outcome TEXT, closed_at DATE)")
        connection.cursor().executemany("INSERT INTO deals VALUES (%s, %s, %s, %s)", DEALS)
    with postgresql.connect(driver) as connection:
        community = read_sql(connection, Table("log", schema="public"), deals=DEAL_QUERY)
    assert content(community) == content(expected())
    assert community.fingerprint == expected().fingerprint
