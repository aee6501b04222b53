"""One log through every source: the same features with `==`, and a CSV larger than the memory that is allowed.

Run: python benchmarks/bench_sources.py [--events 5000000] [--memory-events 20000000] [--only csv,parquet]. PostgreSQL is started
where its programs are installed; Spark takes part where pyspark is.
"""

import argparse
import gzip
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

import leadlight as ll
from leadlight.observations import Observations
from leadlight.sources import Table, read_segment, read_sql

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

SOURCES = ("csv", "parquet", "postgresql", "segment", "spark", "memory")
FIRST, SPAN = np.datetime64("2024-01-01", "us"), 400 * 86_400_000_000
CUTOFF = "2025-01-15"
ACTIONS = ["view", "question", "answer", "join_group", "connect", "forward", "search"]
TAGS = [
    "visa",
    "pricing",
    "c#",
    "it's",
    '"quoted"',
    "a;b\tc".replace(";", ","),
    "größe",
    "日本",
    "x'); DROP TABLE log; --",
]
ALLOWED_BYTES = 2_000_000_000


def make_log(events: int, seed: int = 11) -> pa.Table:
    """Return a log of `events` rows, in which a hundred belong to each member, some known late."""
    random = np.random.default_rng(seed)
    members = max(events // 100, 10)
    at = FIRST + random.integers(0, SPAN, events)
    late = random.random(events) < 0.01
    two = random.integers(0, len(TAGS), (events, 2))
    tags = np.array(TAGS, dtype=object)
    lists = pa.ListArray.from_arrays(
        pa.array(np.arange(0, 2 * events + 1, 2), pa.int32()),
        pa.array(tags[two].ravel().tolist(), pa.string()),
    )
    ids = np.char.add("m", random.integers(0, members, events).astype(str))
    others = np.char.add("m", random.integers(0, members, events).astype(str))
    some = random.random(events)
    return pa.table(
        {
            "member_id": pa.array(ids, pa.string()),
            "occurred_at": pa.array(at).cast(pa.timestamp("us", tz="UTC")),
            "action": pa.array(np.array(ACTIONS)[random.integers(0, len(ACTIONS), events)], pa.string()),
            "event_id": pa.array(np.char.add("e", np.arange(events).astype(str)), pa.string()),
            "known_at": pa.array(at + 3_600_000_000, mask=~late).cast(pa.timestamp("us", tz="UTC")),
            "tags": lists,
            "group_id": pa.array(
                np.char.add("g", random.integers(0, 20, events).astype(str)), pa.string(), mask=some < 0.7
            ),
            "other_member_id": pa.array(others, pa.string(), mask=some > 0.3),
            "duration_s": pa.array(np.round(random.random(events) * 500, 3), pa.float64(), mask=some < 0.5),
        }
    )


class Bench:
    """The features by way of a frame, and what each source makes of the same log."""

    def __init__(self, events: int, folder: Path) -> None:
        self.log, self.folder = make_log(events), folder
        community = ll.Community(activity=self.log)
        self.rows = Observations.from_frame(
            {"member_id": list(community.members.ids), "cutoff": [CUTOFF] * len(community.members)}
        )
        self.plan = ll.CORPORATE_COMMUNITY.compile(community, before=CUTOFF)
        self.expected = ll.build_features(community, self.rows, self.plan).to_numpy()

    def show(self, name: str, read: Callable[[], Any], size: int) -> bool:
        """Print one line; the last word is whether every value is the same."""
        began, cpu = time.perf_counter(), time.process_time()
        found = read()
        if isinstance(found, ll.Community):
            found = ll.build_features(found, self.rows, self.plan).to_numpy()
        same = np.array_equal(found, self.expected, equal_nan=True)
        wall, used = time.perf_counter() - began, time.process_time() - cpu
        print(
            f"| {name} | {size / 1e6:.0f} | {wall:.1f} | {used:.1f} | {'yes' if same else 'NO'} |", flush=True
        )
        return same

    def csv(self) -> bool:
        path = self.folder / "log.csv"
        write_csv(self.log, path)
        return self.show("CSV", lambda: ll.Community(activity=str(path)), path.stat().st_size)

    def parquet(self) -> bool:
        path = self.folder / "log.parquet"
        pq.write_table(self.log, path)
        return self.show("Parquet", lambda: ll.Community(activity=str(path)), path.stat().st_size)

    def postgresql(self) -> bool:
        from tests.postgres import programs, serve

        if programs() is None:
            print("| PostgreSQL | | | | not installed |")
            return True
        with serve() as server, server.connect("adbc") as connection:
            with connection.cursor() as cursor:
                cursor.adbc_ingest("log", self.log, mode="create")
            connection.commit()
            return self.show("PostgreSQL, ADBC", lambda: read_sql(connection, Table("log")), self.log.nbytes)

    def segment(self) -> bool:
        path = self.folder / "log.jsonl.gz"
        write_segment(self.log, path)
        return self.show("Segment, gzipped JSON lines", lambda: read_segment(path), path.stat().st_size)

    def spark(self) -> bool:
        try:
            from pyspark.sql import SparkSession
        except ImportError:
            print("| Spark | | | | not installed |")
            return True
        from leadlight.features.spark import build_features_spark

        os.environ["PYSPARK_PYTHON"] = sys.executable
        builder = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
        builder = builder.config("spark.driver.host", "127.0.0.1").config(
            "spark.driver.bindAddress", "127.0.0.1"
        )
        builder = builder.config("spark.driver.memory", "6g").config("spark.sql.shuffle.partitions", "8")
        builder = builder.config("spark.sql.session.timeZone", "UTC").config(
            "spark.driver.maxResultSize", "4g"
        )
        session = builder.getOrCreate()
        session.sparkContext.setLogLevel("ERROR")
        path = self.folder / "log.parquet"
        pq.write_table(self.log, path)
        asked = session.createDataFrame(
            pa.Table.from_pandas(self.rows.frame[["member_id", "cutoff"]], preserve_index=False)
        )

        def read() -> np.ndarray[Any, np.dtype[np.float32]]:
            found = build_features_spark(
                session.read.parquet(str(path)), asked, self.plan, events_per_task=700_000
            )
            frame = found.toArrow().to_pandas().set_index("member_id").reindex(self.rows.frame["member_id"])
            return frame.drop(columns="cutoff").to_numpy(np.float32)

        same = self.show("Spark, local[2]", read, path.stat().st_size)
        session.stop()
        return same


def write_csv(log: pa.Table, path: Path) -> None:
    """Write a log as CSV; tags as JSON, for one holds a separator."""
    at = log.column_names.index("tags")
    values = np.array([json.dumps(pair, ensure_ascii=False) for pair in pairs()], dtype=object)
    flat = log["tags"].combine_chunks().flatten().dictionary_encode()
    place = {tag: i for i, tag in enumerate(TAGS)}
    code = np.array([place[t] for t in flat.dictionary.to_pylist()])[flat.indices.to_numpy()].reshape(-1, 2)
    texts = pa.DictionaryArray.from_arrays(
        pa.array(code[:, 0] * len(TAGS) + code[:, 1], pa.int32()), pa.array(values.tolist())
    ).dictionary_decode()
    table = log.set_column(at, "tags", texts)
    for name in ("occurred_at", "known_at"):
        text = pc.strftime(table[name].cast(pa.timestamp("us")), "%Y-%m-%dT%H:%M:%SZ")
        table = table.set_column(table.column_names.index(name), name, text)
    pa_csv.write_csv(table, path)


def pairs() -> list[list[str]]:
    """Return every pair of tags, in the order of their codes."""
    return [[one, other] for one in TAGS for other in TAGS]


def write_segment(log: pa.Table, path: Path) -> None:
    """Write a log as Segment's track calls."""
    with gzip.open(path, "wt", compresslevel=1, encoding="utf-8") as file:
        for batch in log.to_batches(100_000):
            for row in batch.to_pylist():
                told = {k: v for k, v in row.items() if v is not None}
                call = {
                    "type": "track",
                    "userId": told.pop("member_id"),
                    "event": told.pop("action"),
                    "timestamp": told.pop("occurred_at").isoformat(),
                    "messageId": told.pop("event_id"),
                    "properties": told,
                }
                if "known_at" in told:
                    told["known_at"] = told["known_at"].isoformat()
                file.write(json.dumps(call) + "\n")


READ = """
import sys
import leadlight as ll
from leadlight.observations import Observations
community = ll.Community(activity=sys.argv[1])
plan = ll.CORPORATE_COMMUNITY.compile(community, before=sys.argv[2])
some = list(community.members.ids[:20_000])
rows = Observations.from_frame({"member_id": some, "cutoff": [sys.argv[2]] * len(some)})
print(len(community.log), ll.build_features(community, rows, plan).shape)
"""


def memory(events: int, folder: Path) -> bool:
    """Read a CSV that is larger than the memory that the process may hold: it is killed when it holds more (RssAnon)."""
    path = folder / "large.csv"
    with path.open("wb") as file:
        for part in range(max(events // 2_000_000, 1)):
            piece = folder / "part.csv"
            log = make_log(min(events, 2_000_000), seed=part)
            wide = pa.array(
                np.char.add(f"https://community.example/{part}/" + "x" * 60, np.arange(len(log)).astype(str))
            )
            write_csv(log.drop_columns(["event_id"]).append_column("content_id", wide), piece)
            whole = piece.read_bytes()
            file.write(whole if part == 0 else whole[whole.index(b"\n") + 1 :])
            piece.unlink()
    size = path.stat().st_size
    began = time.perf_counter()
    child = subprocess.Popen(
        [sys.executable, "-c", READ, str(path), CUTOFF],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    held = 0
    while child.poll() is None:
        held = max(held, held_bytes(child.pid))
        if held > ALLOWED_BYTES:
            child.kill()
        time.sleep(0.02)
    said = child.communicate()[0].strip()[-200:]
    print(
        f"\nA CSV of {events / 1e6:g}M events and {size / 1e9:.2f} GB, {ALLOWED_BYTES / 1e9:g} GB of memory allowed, "
        f"{held / 1e9:.2f} held at most: {said or 'killed'}; {time.perf_counter() - began:.0f} s"
    )
    return child.returncode == 0 and size > ALLOWED_BYTES


def held_bytes(process: int) -> int:
    """Return the memory of a process that no file stands behind (Linux)."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(("RssAnon", "VmSwap")))


def main() -> None:
    """Print the table; the exit code says whether all is equal."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=5_000_000)
    parser.add_argument("--memory-events", type=int, default=20_000_000)
    parser.add_argument("--only", default=",".join(SOURCES))
    arguments = parser.parse_args()
    wanted = arguments.only.split(",")
    held = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if set(wanted) - {"memory"}:
            bench = Bench(arguments.events, folder)
            digest = hashlib.sha256(bench.expected.tobytes()).hexdigest()[:12]
            print(f"{arguments.events / 1e6:g}M events, features {bench.expected.shape}, digest {digest}\n")
            print("| source | MB | seconds | CPU seconds here | same features |\n|---|---|---|---|---|")
            held += [
                getattr(bench, source)() for source in SOURCES if source in wanted and source != "memory"
            ]
            del bench
        if "memory" in wanted:
            held.append(memory(arguments.memory_events, folder))
    sys.exit(not all(held))


if __name__ == "__main__":
    main()
