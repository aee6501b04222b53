"""DuckDB: the scan of the log's columns, and the shared columns by hand in SQL.

The scan is an aggregate over every column that the full plan reads, so that each value is decoded: lengths of texts, the
first tag of each list, sums of numbers. It runs on the Parquet file, and on a table in memory that was made from it.

The SQL, generated, one statement: for each cutoff the rows before it are grouped by (member, action) with one filtered count
a window and the newest time; the few groups are then turned into columns, the cutoffs put under each other and joined to
the observations. (A range join with one filtered aggregate for each column reads better and takes eight times as long.)
Visits come from `lag` over members. Not timed: loading the tables, whose codes are integers and whose tags are unnested.
"""

from collections.abc import Callable
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
from peers import cases
from peers.cases import Case

from leadlight.moments import DAY_US

SCAN = """SELECT sum(member_id), sum(epoch_us(occurred_at)), sum(strlen(action)), sum(len(tags)), sum(strlen(tags[1])),
sum(strlen(group_id)), sum(other_member_id), sum(strlen(other_role)), sum(strlen(other_job_function)), sum(duration_s),
sum(strlen(field)), sum(strlen(value)) FROM """


def connect() -> duckdb.DuckDBPyConnection:
    """Return a connection to a database in memory with two threads."""
    connection = duckdb.connect()
    connection.execute(f"SET threads = {cases.THREADS}")
    connection.execute("SET preserve_insertion_order = false")
    return connection


def scans(path: Path) -> dict[str, Callable[[], object]]:
    """Return the scan of the file and that of the table."""
    connection = connect()
    connection.execute(f"CREATE TABLE activity AS SELECT * FROM read_parquet('{path}')")
    return {
        "scan of Parquet": lambda: connection.execute(f"{SCAN} read_parquet('{path}')").fetchall(),
        "scan of a table": lambda: connection.execute(f"{SCAN} activity").fetchall(),
    }


def prepare(case: Case) -> Callable[[], dict[str, np.ndarray]]:
    """Return the call that computes the columns; its rows come in any order, with k and member to sort them by."""
    log, connection = case.log, connect()
    tags_a_row = np.diff(log.tag_offsets)
    wanted = log.tag_codes < len(cases.TAGS)
    tables = {
        "rows": {"member": log.actor, "time": log.time, "code": log.action},
        "tags": {
            "member": np.repeat(log.actor, tags_a_row)[wanted],
            "time": np.repeat(log.time, tags_a_row)[wanted],
            "code": log.tag_codes[wanted],
        },
        "observations": {
            "k": np.repeat(np.arange(case.cutoffs), case.members),
            "member": case.entity,
        },
    }
    for name, columns in tables.items():
        connection.register("arrow", pa.table(columns))
        kinds = ", ".join(f"{c}::{'BIGINT' if c == 'time' else 'INTEGER'} AS {c}" for c in columns)
        connection.execute(f"CREATE TABLE {name} AS SELECT {kinds} FROM arrow")
    query = _query(case)
    return lambda: connection.execute(query).fetchnumpy()


def matrix(found: dict[str, np.ndarray]) -> np.ndarray:
    """Return the result as a matrix in the order of the observations."""
    order = np.lexsort((found["member"], found["k"]))
    out = np.empty((len(order), cases.SHARED_COLUMNS), np.float32)
    for j in range(cases.SHARED_COLUMNS):
        out[:, j] = np.ma.filled(found[f"c{j}"], np.nan)[order]
    return out


def _grouped(source: str, windows: tuple[int, ...], k: int, cutoff: int) -> str:
    counts = ", ".join(
        f"count(*) FILTER (time >= {cutoff - w})::FLOAT AS n{j}" for j, w in enumerate(windows)
    )
    return (
        f"SELECT {k} AS k, member, code, {counts}, count(*)::FLOAT AS n{len(windows)}, max(time) AS newest "
        f"FROM {source} WHERE time < {cutoff} GROUP BY member, code"
    )


def _wide(source: str, windows: tuple[int, ...], codes: int, k: int, cutoff: int, first: int) -> str:
    # max(if(...)) takes a fifth of the time of an aggregate with FILTER; a group holds at most one row for each code.
    names = iter(range(first, first + codes * (len(windows) + 1)))
    columns = ", ".join(
        f"max(if(code = {code}, n{j}, 0)) AS c{next(names)}"
        for code in range(codes)
        for j in range(len(windows) + 1)
    )
    newest = ""
    if source == "rows":
        totals = ", ".join(f"sum(n{j})::FLOAT AS c{j}" for j in range(len(windows) + 1))
        newest = f", {totals}, " + ", ".join(
            f"(({cutoff} - max({which})) / {float(DAY_US)})::FLOAT AS c{cases.COUNTS + i}"
            for i, which in enumerate(
                ("newest", *(f"if(code = {code}, newest, NULL)" for code in range(codes)))
            )
        )
    return f"SELECT {k} AS k, member, {columns}{newest} FROM ({_grouped(source, windows, k, cutoff)}) GROUP BY member"


def _query(case: Case) -> str:
    cutoffs = list(enumerate(case.cutoffs_us.tolist()))
    visits, tags = cases.COUNTS + cases.RECENCIES, cases.SHARED_COLUMNS - cases.TAG_COUNTS
    parts = {
        "by_action": [
            _wide("rows", cases.FINITE_US, len(cases.ACTIONS), k, c, len(cases.WINDOWS)) for k, c in cutoffs
        ],
        "by_visit": [_wide("begins", cases.FINITE_US, 1, k, c, visits) for k, c in cutoffs],
        "by_tag": [_wide("tags", cases.TAG_FINITE_US, len(cases.TAGS), k, c, tags) for k, c in cutoffs],
    }
    tables = ",\n".join(f"{name} AS ({' UNION ALL BY NAME '.join(p)})" for name, p in parts.items())
    first = cases.COUNTS
    final = ", ".join(
        f"c{i}" if first <= i < first + cases.RECENCIES else f"coalesce(c{i}, 0) AS c{i}"
        for i in range(cases.SHARED_COLUMNS)
    )
    return f"""
WITH begins AS MATERIALIZED (SELECT member, time, 0 AS code FROM rows
    QUALIFY coalesce(time - lag(time) OVER (PARTITION BY member ORDER BY time) > {cases.VISIT_GAP_US}, true)),
{tables}
SELECT k, member, {final} FROM observations LEFT JOIN by_action USING (k, member)
LEFT JOIN by_visit USING (k, member) LEFT JOIN by_tag USING (k, member)"""
