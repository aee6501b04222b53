"""One log through every source: the same features with `==`, and a CSV larger than the memory that is allowed.

Run: python benchmarks/bench_sources.py [--events 5000000] [--memory-events 20000000] [--dump-gb 2] [--only csv,parquet]. PostgreSQL is started
where its programs are installed; Spark takes part where pyspark is.
"""

import argparse
import gzip
import hashlib
import json
import os
import shutil
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

SOURCES = ("csv", "parquet", "postgresql", "segment", "spark", "memory", "dump")
APART = {"memory", "dump"}
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


DUMP = """
import sys
import leadlight as ll
community = ll.read_stackexchange(sys.argv[1])
held = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) * 1024
print(f"{community}, {held / 1e9:.2f} GB held at most")
"""
BODY = "&lt;p&gt;" + "lorem ipsum dolor sit amet &amp; consectetur " * 35 + "&lt;/p&gt;"


def write_dump(gigabytes: float, folder: Path) -> int:
    """Write a Stack Exchange dump of about so many gigabytes, bodies included; return its bytes."""
    random = np.random.default_rng(1)
    users, posts, comments, votes, badges = (
        int(n * gigabytes / 2) for n in (300_000, 600_000, 2_000_000, 4_000_000, 1_000_000)
    )
    names = ("Student", "Editor", "Supporter", "Yearling", "Popular Question")

    def days(count: int) -> list[str]:
        drawn = np.datetime64("2012-01-01", "ms") + random.integers(0, 4_000 * 86_400_000, count)
        return drawn.astype(str).tolist()

    def people(count: int) -> list[int]:
        return random.integers(1, users, count).tolist()

    def post(i: int, day: str, owner: int) -> str:
        kind = (
            f'PostTypeId="2" ParentId="{i - i % 3}"'
            if i % 3
            else 'PostTypeId="1" Tags="&lt;c#&gt;&lt;visas&gt;"'
        )
        return f'<row Id="{i}" {kind} CreationDate="{day}" OwnerUserId="{owner}" Body="{BODY}" />\n'

    about = random.integers(3, posts, comments + votes).tolist()
    tables = {
        "Users": (f'<row Id="{i}" CreationDate="{day}" />\n' for i, day in enumerate(days(users), 1)),
        "Posts": (post(i, d, o) for i, (d, o) in enumerate(zip(days(posts), people(posts), strict=True), 3)),
        "Comments": (
            f'<row PostId="{p}" Text="{"some text of a comment " * 6}" CreationDate="{d}" UserId="{u}" />\n'
            for p, d, u in zip(about[:comments], days(comments), people(comments), strict=True)
        ),
        "Votes": (
            f'<row Id="{i}" PostId="{p}" VoteTypeId="{(1, 2, 2, 2, 2, 3, 5, 2)[i % 8]}" CreationDate="{d[:10]}T00:00:00.000" />\n'
            for i, (p, d) in enumerate(zip(about[comments:], days(votes), strict=True))
        ),
        "Badges": (
            f'<row UserId="{u}" Name="{names[i % 5]}" Date="{d}" TagBased="False" />\n'
            for i, (u, d) in enumerate(zip(people(badges), days(badges), strict=True))
        ),
    }
    folder.mkdir()
    for name, rows in tables.items():
        with (folder / f"{name}.xml").open("w", encoding="utf-8") as file:
            file.write(f"<{name.lower()}>\n")
            file.writelines(rows)
            file.write(f"</{name.lower()}>")
    return sum(file.stat().st_size for file in folder.iterdir())


def dump(gigabytes: float, folder: Path) -> bool:
    """Read a dump in XML in a process of its own; whether it held less than half of the dump's size."""
    place = folder / "dump"
    size = write_dump(gigabytes, place)
    child = subprocess.run(
        [sys.executable, "-c", DUMP, str(place)], check=False, capture_output=True, text=True
    )
    shutil.rmtree(place)
    said = (child.stdout or child.stderr).strip().splitlines()[-1]
    print(f"\nA Stack Exchange dump of {size / 1e9:.2f} GB: {said}", flush=True)
    return child.returncode == 0 and float(said.split(" GB held")[0].split()[-1]) < size / 2e9


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
    parser.add_argument("--dump-gb", default="2")
    parser.add_argument("--only", default=",".join(SOURCES))
    arguments = parser.parse_args()
    wanted = arguments.only.split(",")
    held = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if set(wanted) - APART:
            bench = Bench(arguments.events, folder)
            digest = hashlib.sha256(bench.expected.tobytes()).hexdigest()[:12]
            print(f"{arguments.events / 1e6:g}M events, features {bench.expected.shape}, digest {digest}\n")
            print("| source | MB | seconds | CPU seconds here | same features |\n|---|---|---|---|---|")
            held += [
                getattr(bench, source)() for source in SOURCES if source in wanted and source not in APART
            ]
            del bench
        if "memory" in wanted:
            held.append(memory(arguments.memory_events, folder))
        if "dump" in wanted:
            held += [dump(float(size), folder) for size in arguments.dump_gb.split(",")]
    sys.exit(not all(held))


if __name__ == "__main__":
    main()
