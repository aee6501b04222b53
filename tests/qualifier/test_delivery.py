"""Scores in a database and in files for Salesforce and HubSpot."""

from __future__ import annotations

import csv
import json
import sqlite3
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest

from leadlight.decision import Capacity
from leadlight.errors import InputError
from leadlight.qualifier.scores import Scores
from leadlight.runtime import Reason

FORMULA = "=cmd('x');--\""


def scores(
    at: str = "2024-03-01", probability: float = 0.25, ids: tuple[Any, ...] = ("ann", FORMULA)
) -> Scores:
    """Return scores of two members."""
    frame = pd.DataFrame(
        {
            "member_id": pd.Series(ids, dtype=object),
            "account_id": pd.Series(["acme", None], dtype=object),
            "at": pd.Timestamp(at, tz="UTC"),
            "probability": [probability, np.nan],
            "low": 0.1,
            "high": 0.4,
            "percentile": 99.0,
            "grade": ["A", "D"],
            "qualified": [True, False],
            "cold_start": [False, True],
            "reasons": pd.Series([(Reason("asks", 1.5, "asked 3 questions" + "!" * 300),), ()], dtype=object),
            "model_version": "1-abc",
            "customer": False,
            "open_deal": False,
            "recently_contacted": False,
        }
    )
    return Scores(frame, Capacity(share=0.05))


def content(connection: Any, table: str = '"scores"') -> list[tuple[Any, ...]]:
    """Return member, day and probability of each row."""
    cursor = connection.cursor()
    cursor.execute(
        f"SELECT member_id, CAST(scored_at AS VARCHAR(10)), probability FROM {table} ORDER BY 2, 1 DESC"
    )
    rows = [tuple(row) for row in cursor.fetchall()]
    cursor.close()
    return [(member, str(at)[:10], p) for member, at, p in rows]


@pytest.fixture(params=["sqlite", "duckdb", "psycopg", "adbc"])
def connection(request: pytest.FixtureRequest) -> Any:
    if request.param == "sqlite":
        opened = sqlite3.connect(":memory:")
    elif request.param == "duckdb":
        opened = duckdb.connect(":memory:")
    else:
        opened = request.getfixturevalue("postgresql").connect(request.param)
        with opened.cursor() as cursor:
            cursor.execute('DROP TABLE IF EXISTS "scores"')
        opened.commit()
    yield opened
    opened.close()


def test_the_same_scores_twice_are_there_once(connection):
    assert scores().to_sql(connection, "scores") == 2
    before = content(connection)
    scores().to_sql(connection, "scores")
    assert content(connection) == before == [("ann", "2024-03-01", 0.25), (FORMULA, "2024-03-01", None)]


def test_a_correction_replaces_and_another_day_is_added(connection):
    scores().to_sql(connection, "scores")
    scores(probability=0.5).to_sql(connection, "scores")
    scores("2024-04-01").to_sql(connection, "scores")
    assert [row for row in content(connection) if row[0] == "ann"] == [
        ("ann", "2024-03-01", 0.5),
        ("ann", "2024-04-01", 0.25),
    ]


def test_an_error_in_the_middle_writes_nothing(connection):
    broken = scores()
    broken.frame["account_id"] = pd.Series(["acme", object()], dtype=object)
    with pytest.raises(Exception, match=r".+"):  # each driver has its own
        broken.to_sql(connection, "scores")
    scores().to_sql(connection, "scores")
    assert len(content(connection)) == 2


def test_a_hostile_name_is_a_name():
    with sqlite3.connect(":memory:") as connection:
        scores().to_sql(connection, 'x"; DROP TABLE y; --')
        assert len(content(connection, '"x""; DROP TABLE y; --"')) == 2
    connection.close()


def test_large_numbers_stay_whole_and_reasons_are_json():
    with sqlite3.connect(":memory:") as connection:
        scores(ids=(2**53 + 1, 2**53)).to_sql(connection, "scores")
        found = connection.execute("SELECT member_id, reasons FROM scores ORDER BY 1 DESC").fetchall()
        assert [member for member, _ in found] == [2**53 + 1, 2**53]
        assert json.loads(found[0][1])[0]["behaviour"] == "asks"
    connection.close()


def read(path: Any) -> list[list[str]]:
    """Return the cells of a CSV file."""
    with path.open(newline="") as file:
        return list(csv.reader(file))


def test_salesforce_takes_the_file(tmp_path):
    scores().to_csv(tmp_path / "s.csv", layout="salesforce", keys={"ann": "00Q000000000001AAA"})
    header, *rows = read(tmp_path / "s.csv")
    assert header[:2] == ["Id", "Leadlight_Probability__c"]
    assert len(rows) == 1
    assert rows[0][:4] == ["00Q000000000001AAA", "25.00", "A", "TRUE"]
    assert len(rows[0][4]) == 255
    assert rows[0][7] == "2024-03-01T00:00:00.000Z"


def test_hubspot_takes_the_file_by_address(tmp_path):
    keys = {"ann": "ann@acme.com", FORMULA: "=bo@acme.com"}
    scores().to_csv(tmp_path / "s.csv", layout="hubspot", keys=keys)
    header, first, second = read(tmp_path / "s.csv")
    assert header[0] == "Email"
    assert first[0] == "ann@acme.com"
    assert first[7] == "2024-03-01"
    assert second[:2] == ["'=bo@acme.com", ""]


@pytest.mark.parametrize(
    ("options", "said"), [({"layout": "sap"}, "layout is 'sap'"), ({"layout": "hubspot"}, "needs keys=")]
)
def test_what_is_missing_is_said(tmp_path, options, said):
    with pytest.raises(InputError, match=said):
        scores().to_csv(tmp_path / "s.csv", **options)
