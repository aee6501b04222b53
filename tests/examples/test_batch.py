"""The nightly batch: what the table says after it ran once, twice, on another day, and after it failed."""

from __future__ import annotations

import csv
import json
import sqlite3
import subprocess
import sys
from contextlib import closing

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.examples.conftest import EXAMPLES, new_scorer

LOG = [
    ("ann", "2024-03-01T10:00:00", "question", "bob"),
    ("ann", "2024-03-09T10:00:00", "question", ""),
    ("bob", "2024-03-20T10:00:00", "answer", "ann"),
    ("ann", "2024-04-02T10:00:00", "question", ""),
]
NAMES = ("member_id", "occurred_at", "action", "other_member_id")


def write_log(path, rows=LOG):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([NAMES, *rows])
    return path


def table(database):
    with closing(sqlite3.connect(database)) as connection:
        connection.row_factory = sqlite3.Row
        found = connection.execute("SELECT * FROM lead_score ORDER BY scored_for, member_id")
        return [dict(row) for row in found]


@pytest.fixture
def run(score_daily, bundle, tmp_path):
    log = write_log(tmp_path / "log.csv")

    def call(*more, at="2024-04-01"):
        arguments = {"--model": bundle, "--log": log, "--database": tmp_path / "scores.sqlite", "--at": at}
        arguments |= dict(zip(more[::2], more[1::2], strict=True))
        code = score_daily.main([str(part) for pair in arguments.items() for part in pair])
        return code, table(tmp_path / "scores.sqlite") if (tmp_path / "scores.sqlite").exists() else []

    return call


def test_every_member_has_the_answer_of_predict(run, scorer):
    code, rows = run()
    assert code == 0
    assert [row["member_id"] for row in rows] == ["ann", "bob"]
    events = [
        {name: cell or None for name, cell in zip(NAMES, row, strict=True)} for row in LOG if "ann" in row
    ]
    alone = scorer.predict(events, {"member_id": "ann"}, at="2024-04-01")
    assert rows[0]["probability"] == alone.probability
    assert json.loads(rows[0]["reasons"]) == [reason.text for reason in alone.reasons]
    assert json.loads(rows[0]["missing"]) == list(alone.missing) == ["joined_at"]
    assert rows[0]["model_version"] == scorer.version


def test_twice_the_same_day_leaves_the_same_rows(run):
    _, once = run()
    _, twice = run()
    assert once == twice
    assert len(once) == 2


def test_a_new_day_adds_rows_and_leaves_the_old_ones(run):
    _, first = run()
    _, both = run(at="2024-04-03")
    assert both[:2] == first
    assert [row["scored_for"] for row in both[2:]] == ["2024-04-03", "2024-04-03"]
    assert both[2]["probability"] != first[0]["probability"]


def test_another_model_replaces_the_rows_of_its_day(run, tmp_path):
    _, before = run()
    new_scorer(threshold=0.01).save(tmp_path / "other")
    _, after = run("--model", tmp_path / "other")
    assert len(after) == len(before)
    assert {row["model_version"] for row in after}.isdisjoint(row["model_version"] for row in before)
    assert all(row["qualified"] for row in after)


def test_who_left_the_log_leaves_the_rows_of_the_day(run, tmp_path):
    run()
    write_log(tmp_path / "log.csv", [row for row in LOG if row[0] == "ann"])
    _, rows = run()
    assert [row["member_id"] for row in rows] == ["ann"]


def test_members_without_events_are_scored_as_cold_starts(run, tmp_path):
    members = tmp_path / "members.csv"
    members.write_text("member_id,joined_at\ncid,2024-03-01\nann,2024-01-01\n")
    _, rows = run("--members", members)
    assert [(row["member_id"], row["cold_start"]) for row in rows] == [("ann", 0), ("cid", 1)]
    assert json.loads(rows[0]["missing"]) == []


def test_parquet_gives_the_rows_of_the_csv(run, tmp_path):
    _, from_csv = run()
    columns = zip(*LOG, strict=True)
    log = pa.table({n: [cell or None for cell in cells] for n, cells in zip(NAMES, columns, strict=True)})
    pq.write_table(log, tmp_path / "log.parquet")
    _, from_parquet = run("--log", tmp_path / "log.parquet")
    assert from_parquet == from_csv


def test_a_failure_leaves_the_table_as_it_was(score_daily, run, tmp_path):
    _, before = run()
    rows = [tuple(row.values()) for row in before]
    broken = [(*rows[0][:2], 0.99, *rows[0][3:]), (*rows[1][:2], None, *rows[1][3:])]
    with closing(sqlite3.connect(tmp_path / "scores.sqlite")) as connection:
        day = score_daily.date.fromisoformat("2024-04-01")
        with pytest.raises(sqlite3.IntegrityError):
            score_daily.write(connection, broken, day)
    assert table(tmp_path / "scores.sqlite") == before


def test_a_missing_model_is_one_line_and_code_two(run, capsys, tmp_path):
    code, rows = run("--model", tmp_path / "nothing")
    assert (code, rows) == (2, [])
    assert "There is no bundle" in capsys.readouterr().err


def test_a_csv_needs_numpy_alone(bundle, tmp_path):
    log = write_log(tmp_path / "log.csv")
    program = (
        "import sys; import score_daily\n"
        f"code = score_daily.main(['--model', {str(bundle)!r}, '--log', {str(log)!r}, '--at', '2024-04-01',"
        f" '--database', {str(tmp_path / 'scores.sqlite')!r}])\n"
        "assert code == 0\n"
        "print([n for n in ('pandas', 'pyarrow', 'sklearn', 'lightgbm', 'shap') if n in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=EXAMPLES / "batch", capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"
