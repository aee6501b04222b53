"""The same hostile names and values through every source: the same features with `==`, and nothing is run or lost."""

from __future__ import annotations

import csv
import gzip
import json
import sqlite3
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.postgres import serve

from leadlight.behaviours import CORPORATE_COMMUNITY
from leadlight.community import Community
from leadlight.features import build_features
from leadlight.observations import Observations
from leadlight.sources import Table, read_segment, read_sql

TEXTS = [
    "plain",
    "quote \" and 'both'",
    '""',
    '"',
    "'; DROP TABLE log; --",
    "$(rm -rf .) `id` ${HOME} %s %(x)s {0}",
    "semi;colon|bar,comma\ttab",
    "two\nlines",
    "\r\nthree\rkinds\u2028of\u2029ends\u0085",
    " leads and trails ",
    "bell\x07 escape\x1b[31m delete\x7f",
    "right\u202eto left\u200f \u2066mark\u2069",
    "\ufeffmark of order",
    "e\u0301 and \u00e9 \U0001f4a9 日本",
    '=HYPERLINK("http://x")',
    "NULL",
    "nan",
    '\\N \\" \\',
    "-1",
    "007",
    "1e5",
    "#not a comment",
    "\u0000before".replace("\u0000", "no "),
    "x" * 70_000,
]
NUL = "nul\x00inside"
DAY = "2024-03-{:02}T{:02}:00:00.000001Z"
CUTOFF = "2024-05-01"


def make_rows(*more: str) -> list[dict[str, Any]]:
    """Return a log in which every text is a member, an action, a tag, a group, a counterpart and an event."""
    texts = [*TEXTS, *more]
    found = []
    for i, text in enumerate(texts):
        other = texts[(i + 1) % len(texts)]
        found += [
            {
                "member_id": text,
                "occurred_at": DAY.format(1 + i % 28, hour),
                "action": action,
                "event_id": f"{text}{hour}",
                "tags": [text, other],
                "group_id": other,
                "other_member_id": other,
                "other_role": text,
                "field": text if action == "profile_update" else None,
                "value": other if action == "profile_update" else None,
                "duration_s": 1.5 + hour,
            }
            for hour, action in enumerate((text, "question", "view", "join_group", "profile_update"))
        ]
    return found


ROWS = make_rows()
NAMES = list(ROWS[0])


def by_frame(rows, folder):
    return Community(pd.DataFrame(rows))


def by_polars(rows, folder):
    return Community(pl.DataFrame(rows))


def by_arrow(rows, folder):
    return Community(pa.Table.from_pylist(rows))


def by_parquet(rows, folder):
    pq.write_table(pa.Table.from_pylist(rows), folder / "lo'g; --[1].parquet")
    return Community(folder / "lo'g; --[1].parquet")


def by_csv(rows, folder):
    with (folder / "lo'g.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, NAMES, quoting=csv.QUOTE_ALL)
        writer.writeheader()
        writer.writerows({**row, "tags": json.dumps(row["tags"])} for row in rows)
    return Community(folder / "lo'g.csv")


def flat(rows):
    return [tuple(json.dumps(v) if isinstance(v, list) else v for v in row.values()) for row in rows]


def by_sqlite(rows, folder):
    connection = sqlite3.connect(folder / "log.db")
    connection.execute(f'CREATE TABLE "lo""g; --" ({", ".join(NAMES)})')
    connection.executemany(f'INSERT INTO "lo""g; --" VALUES ({", ".join("?" * len(NAMES))})', flat(rows))
    community = read_sql(connection, Table('lo"g; --'))
    connection.close()
    return community


def by_duckdb(rows, folder):
    with duckdb.connect(str(folder / "log.duckdb")) as connection:
        table = pa.Table.from_pylist(rows)
        connection.register("given", table)
        connection.execute('CREATE TABLE "lo""g; --" AS SELECT * FROM given')
        return read_sql(connection, Table('lo"g; --'))


def by_postgresql(rows, folder):
    with serve() as server, server.connect("psycopg") as connection:
        kinds = {"tags": "text[]", "duration_s": "double precision"}
        columns = ", ".join(f"{n} {kinds.get(n, 'text')}" for n in NAMES)
        connection.execute(f'CREATE TABLE "lo""g; --" ({columns})')
        with connection.cursor() as cursor:
            cursor.executemany(
                f'INSERT INTO "lo""g; --" VALUES ({", ".join(["%s"] * len(NAMES))})',
                [tuple(row.values()) for row in rows],
            )
        return read_sql(connection, Table('lo"g; --'))


def by_segment(rows, folder):
    path = folder / "calls.jsonl.gz"
    with gzip.open(path, "wt", encoding="utf-8") as file:
        for row in rows:
            told = {k: v for k, v in row.items() if v is not None}
            call = {
                "type": "track",
                "userId": told.pop("member_id"),
                "event": told.pop("action"),
                "timestamp": told.pop("occurred_at"),
                "messageId": told.pop("event_id"),
                "properties": told,
            }
            file.write(json.dumps(call) + "\n")
    # Names of calls are read without the spaces around them.
    return read_segment(path, actions={row["action"].strip(): row["action"] for row in rows})


SOURCES = {
    "pandas": by_frame,
    "polars": by_polars,
    "parquet": by_parquet,
    "csv": by_csv,
    "sqlite": by_sqlite,
    "duckdb": by_duckdb,
    "postgresql": by_postgresql,
    "segment": by_segment,
}


def features(community: Community) -> tuple[Any, pd.DataFrame]:
    rows = Observations.from_frame(
        {"member_id": list(community.members.ids), "cutoff": [CUTOFF] * len(community.members)}
    )
    plan = CORPORATE_COMMUNITY.compile(community, before=CUTOFF, min_members=1)
    return plan, build_features(community, rows, plan)


def same(found: Community, expected: Community) -> None:
    assert list(found.members.ids) == list(expected.members.ids)
    (plan, X), (wanted, Y) = features(found), features(expected)
    assert plan == wanted
    np.testing.assert_array_equal(X.to_numpy(), Y.to_numpy())
    assert found.rejects.empty


@pytest.mark.parametrize("source", SOURCES)
def test_hostile_texts_give_the_features_of_a_frame(source, tmp_path):
    same(SOURCES[source](ROWS, tmp_path), by_arrow(ROWS, tmp_path))


@pytest.mark.parametrize("source", [name for name in SOURCES if name != "postgresql"])
def test_a_nul_in_a_text_stays_where_the_format_holds_one(source, tmp_path):
    """PostgreSQL holds none."""
    rows = make_rows(NUL)
    found = SOURCES[source](rows, tmp_path)
    assert NUL in set(found.members.ids)
    same(found, by_arrow(rows, tmp_path))


def test_hostile_names_of_columns_are_names(tmp_path):
    own = {name: f'{name}"; DROP TABLE x; --\n\u202e' for name in NAMES}
    rows = [{own[name]: value for name, value in row.items()} for row in ROWS]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "log.parquet")
    for source in (pd.DataFrame(rows), tmp_path / "log.parquet"):
        same(Community(source, columns=own), by_arrow(ROWS, tmp_path))
