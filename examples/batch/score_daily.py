"""Score all members of a log once a day and upsert the answers into a table of a database.

python score_daily.py --model models/mine --log log.parquet --database scores.sqlite --at 2026-06-28

Running it twice for one day leaves the same rows. The SQL is that of SQLite and of PostgreSQL.
"""

from __future__ import annotations

import argparse
import csv
import json
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from leadlight.errors import LeadlightError
from leadlight.runtime import Scorer, load

CREATE = """
CREATE TABLE IF NOT EXISTS lead_score (
    member_id TEXT NOT NULL,
    scored_for DATE NOT NULL,
    probability DOUBLE PRECISION NOT NULL,
    low DOUBLE PRECISION,
    high DOUBLE PRECISION,
    percentile DOUBLE PRECISION,
    grade TEXT NOT NULL,
    qualified BOOLEAN NOT NULL,
    cold_start BOOLEAN NOT NULL,
    reasons TEXT NOT NULL,
    missing TEXT NOT NULL,
    model_version TEXT NOT NULL,
    PRIMARY KEY (member_id, scored_for)
)
"""
COLUMNS = (
    "member_id",
    "scored_for",
    "probability",
    "low",
    "high",
    "percentile",
    "grade",
    "qualified",
    "cold_start",
    "reasons",
    "missing",
    "model_version",
)
# Both databases read this; only the mark of a parameter differs: ? in SQLite, %s in PostgreSQL.
UPSERT = (
    f"INSERT INTO lead_score ({', '.join(COLUMNS)}) VALUES ({', '.join(['{mark}'] * len(COLUMNS))}) "
    "ON CONFLICT (member_id, scored_for) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in COLUMNS[2:])
)
# Who was scored for the day in an earlier run and is not any more, such as a member who was erased from the log.
DELETE = "DELETE FROM lead_score WHERE scored_for = {mark} AND member_id = {mark}"
SCORED = "SELECT member_id FROM lead_score WHERE scored_for = {mark}"


def read_table(path: Path) -> Any:
    """Return a CSV file as columns of text, with None for empty cells, or a Parquet file as an Arrow table."""
    if path.suffix == ".parquet":
        import pyarrow.parquet

        return pyarrow.parquet.read_table(path)
    with path.open(newline="", encoding="utf-8") as file:
        rows = csv.reader(file)
        names = next(rows, [])
        columns = list(zip(*rows, strict=True)) or [()] * len(names)
    return {name: [cell or None for cell in cells] for name, cells in zip(names, columns, strict=True)}


def answers(scorer: Scorer, log: Any, members: Any, day: date) -> Iterator[tuple[Any, ...]]:
    """Yield a row for each member, scored from all that was known before the day began (UTC)."""
    found = scorer.predict_many(
        events=log, members=members, at=datetime(day.year, day.month, day.day, tzinfo=UTC)
    )
    for member, answer in zip(found.member_id or (), found, strict=True):
        plain = answer.to_dict()
        yield (
            member,
            day.isoformat(),
            *(plain[name] for name in COLUMNS[2:9]),
            json.dumps([reason["text"] for reason in plain["reasons"]], ensure_ascii=False),
            json.dumps(plain["missing"]),
            plain["model_version"],
        )


def write(connection: Any, rows: list[tuple[Any, ...]], day: date, mark: str = "?") -> None:
    """Make the table say for this day what the rows say: all of it, or nothing where it fails."""
    cursor = connection.cursor()
    try:
        cursor.execute(CREATE)
        cursor.execute(SCORED.format(mark=mark), (day.isoformat(),))
        gone = {member for (member,) in cursor.fetchall()} - {row[0] for row in rows}
        cursor.executemany(DELETE.format(mark=mark), [(day.isoformat(), member) for member in sorted(gone)])
        cursor.executemany(UPSERT.format(mark=mark), rows)
        connection.commit()
    except BaseException:
        connection.rollback()
        raise
    finally:
        cursor.close()


def connect(database: str) -> tuple[Any, str]:
    """Return a connection and the mark of its parameters: PostgreSQL for a URL, else a file of SQLite."""
    if database.startswith(("postgresql://", "postgres://")):
        import psycopg

        return psycopg.connect(database), "%s"
    return sqlite3.connect(database), "?"


def main(argv: list[str] | None = None) -> int:
    """Run once."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", required=True, help="folder or .zip of a bundle")
    parser.add_argument("--digest", help="what the bundle's digest must be, or its first 12 digits")
    parser.add_argument("--log", required=True, type=Path, help="activity, CSV or Parquet")
    parser.add_argument(
        "--members", type=Path, help="who is scored, CSV or Parquet: member_id, joined_at, email_domain"
    )
    parser.add_argument("--database", required=True, help="SQLite file, or postgresql://...")
    parser.add_argument("--at", type=date.fromisoformat, help="day, UTC; default: today")
    arguments = parser.parse_args(argv)
    day = arguments.at or datetime.now(UTC).date()
    try:
        scorer = load(arguments.model, digest=arguments.digest)
        members = read_table(arguments.members) if arguments.members else None
        rows = list(answers(scorer, read_table(arguments.log), members, day))
    except (LeadlightError, OSError) as error:
        print(f"score_daily: {error}", file=sys.stderr)
        return 2
    connection, mark = connect(arguments.database)
    with closing(connection):
        write(connection, rows, day, mark)
    known_until = day - timedelta(days=1)
    qualified = sum(bool(row[COLUMNS.index("qualified")]) for row in rows)
    print(
        f"{len(rows)} members scored with what was known until {known_until}, {qualified} qualified, model {scorer.version}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
