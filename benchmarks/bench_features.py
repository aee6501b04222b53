"""CPU time of the sweep beside DuckDB's SQL on the same windowed counts, interleaved in one run.

Run: make bench, or python benchmarks/bench_features.py. Prints medians of CPU seconds and their ratio; the counts must be
equal. The sweep is the NumPy reference: the native kernel is a later step.
"""

import statistics
import time

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa

import leadlight as ll

MEMBERS, WEEKS, CUTOFFS, REPEATS = 6_000, 130, 12, 3
ACTIONS = ("view", "search", "post", "question", "answer", "comment", "connect", "forward")
WINDOWS = (7, 30, 90, 365)


def sql() -> str:
    """Return one query with a conditional count for each action and window."""
    counts = ", ".join(
        f"count(*) FILTER (a.action = '{action}' AND a.occurred_at >= o.cutoff - INTERVAL {days} DAY) AS {action}_count_{days}d"
        for action in ACTIONS
        for days in WINDOWS
    )
    return (
        f"SELECT o.row, {counts} FROM observations o LEFT JOIN activity a ON a.member_id = o.member_id "
        "AND a.occurred_at < o.cutoff AND a.known_at < o.cutoff GROUP BY o.row ORDER BY o.row"
    )


def main() -> None:
    """Print medians and their ratio."""
    community, _ = ll.simulate_community(members=MEMBERS, weeks=WEEKS, seed=21)
    rows = ll.observe(community, every="30d", horizon="90d")
    rows = rows.take(np.isin(rows.cutoff_us, np.unique(rows.cutoff_us)[-CUTOFFS:]))
    windows = tuple(f"{days}d" for days in WINDOWS)
    catalogue = ll.Catalogue(
        [ll.Behaviour("acts", tuple(ll.Count(a, window=windows) for a in ACTIONS), reason="acts")]
    )
    plan = catalogue.compile(community)
    activity = community.activity.select(["member_id", "occurred_at", "action", "known_at"])
    filled = pa.compute.coalesce(activity["known_at"], activity["occurred_at"])
    activity = activity.set_column(3, "known_at", filled)
    observed = pa.Table.from_pandas(
        rows.frame[["member_id", "cutoff"]].assign(row=range(len(rows))), preserve_index=False
    )
    connection = duckdb.connect()
    connection.execute("SET threads = 2")
    connection.register("activity", activity)
    connection.register("observations", observed)
    seconds: dict[str, list[float]] = {"sweep": [], "duckdb": []}
    for _ in range(REPEATS):
        began = time.process_time()
        ours = ll.build_features(community, rows, plan)
        seconds["sweep"].append(time.process_time() - began)
        began = time.process_time()
        theirs = connection.sql(sql()).to_arrow_table().to_pandas()
        seconds["duckdb"].append(time.process_time() - began)
    pd.testing.assert_frame_equal(ours.reset_index(drop=True), theirs[list(ours.columns)].astype(np.float32))
    sweep, peer = (statistics.median(seconds[name]) for name in ("sweep", "duckdb"))
    print(
        f"{len(community.activity)} events, {len(rows)} observations, {ours.shape[1]} counts, equal in both"
    )
    print(f"sweep (NumPy reference) {sweep:.2f} CPU s, DuckDB SQL {peer:.2f} CPU s: {peer / sweep:.1f} times")


if __name__ == "__main__":
    main()
