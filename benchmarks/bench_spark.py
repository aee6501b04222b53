"""What a Spark cluster does for each event: bytes shuffled and CPU seconds, measured on local[2] at two sizes, and on paper at any.

Run: python benchmarks/bench_spark.py [--events 1000000,3000000] [--paper-events 1e11] [--paper-members 1e8]. Needs pyspark and Java.
The last sizes' difference gives the constants, so that what Spark costs however small the work is left out.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from bench_sources import make_log

import leadlight as ll
from leadlight.observations import observe

PHASES = ("read", "members", "observe", "plan", "features")
SAYS = {
    "read": "canonical form, kept by Spark",
    "members": "who there is, first and last rows, fingerprint, repeats",
    "observe": "rows that decide who was active at each cutoff",
    "plan": "vocabularies",
    "features": "two shuffles, by member and by account",
}
EVENTS_PER_MEMBER, MEMBERS_PER_ACCOUNT = 100, 5
EVERY = "90d"


@dataclass
class Run:
    """What one size took, by phase."""

    events: int
    rows: int = 0
    columns: int = 0
    cpu: dict[str, float] = field(default_factory=dict)
    wall: dict[str, float] = field(default_factory=dict)
    shuffled: dict[str, int] = field(default_factory=dict)
    spilled: dict[str, int] = field(default_factory=dict)
    collected: dict[str, int] = field(default_factory=dict)
    worker: int = 0


def processes() -> list[int]:
    """Return this process and all that it started, and they (Linux)."""
    parents: dict[int, list[int]] = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            after = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents.setdefault(int(after[1]), []).append(int(status.parent.name))
    found, waiting = [], [os.getpid()]
    while waiting:
        found.append(waiting.pop())
        waiting += parents.get(found[-1], [])
    return found


def cpu_seconds() -> float:
    """Return the CPU time of all of them, of those that have ended too."""
    ticks = 0
    for process in processes():
        try:
            after = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        ticks += sum(map(int, after[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def most_held(process: int) -> int:
    """Return the most memory that a process held, in bytes."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


HERE = """
import sys
import pyarrow as pa
import leadlight as ll
count = int(sys.argv[1])
ids = [f"m{i}" for i in range(count)]
time = pa.array([1704067200000000] * count).cast(pa.timestamp("us", tz="UTC"))
log = pa.table({"member_id": ids, "occurred_at": time, "known_at": time, "action": ["view"] * count})
members = pa.table({"member_id": ids, "account_id": [f"a{i // 5}" for i in range(count)]})
ll.Community(log, members)
print(next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) * 1024)
"""


def bytes_per_member() -> float:
    """Return what a member more takes of the driver's memory: its row of the log's outline and its facts, at their peak."""
    counts = (200_000, 600_000)
    peaks = [
        int(
            subprocess.run(
                [sys.executable, "-c", HERE, str(n)], check=True, capture_output=True, text=True
            ).stdout
        )
        for n in counts
    ]
    return (peaks[1] - peaks[0]) / (counts[1] - counts[0])


def workers() -> list[int]:
    """Return the processes that run Python for Spark."""
    found = []
    for process in processes():
        try:
            if b"pyspark.daemon" in Path(f"/proc/{process}/cmdline").read_bytes():
                found.append(process)
        except OSError:
            continue
    return found


def session(folder: Path) -> Any:
    from pyspark.sql import SparkSession

    os.environ["PYSPARK_PYTHON"] = sys.executable
    options = {
        "spark.ui.enabled": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.memory": "4g",
        "spark.driver.maxResultSize": "4g",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": "8",
        "spark.eventLog.enabled": "true",
        "spark.eventLog.compress": "false",
        "spark.eventLog.rolling.enabled": "false",
        "spark.eventLog.dir": folder.as_uri(),
    }
    builder = SparkSession.builder.master("local[2]").appName("bench")
    for name, value in options.items():
        builder = builder.config(name, value)
    found = builder.getOrCreate()
    found.sparkContext.setLogLevel("ERROR")
    return found


def tables(events: int, folder: Path) -> dict[str, Path]:
    """Write a log, and members in accounts."""
    log = make_log(events)
    members = log["member_id"].unique().to_pylist()
    account = pa.array([f"a{i // MEMBERS_PER_ACCOUNT}" for i in range(len(members))])
    paths = {name: folder / f"{name}-{events}.parquet" for name in ("activity", "members")}
    pq.write_table(log, paths["activity"], row_group_size=1 << 18)
    pq.write_table(pa.table({"member_id": members, "account_id": account}), paths["members"])
    return paths


def measure(spark: Any, events: int, folder: Path, *, counts: bool = True) -> Run:
    """Go the road of `leadlight train --engine spark` up to the features; every phase is a job group."""
    from leadlight.features.cluster import SparkCommunity
    from leadlight.features.spark_log import SparkLog, read_log

    run, paths = Run(events), tables(events, folder)
    held: dict[str, Any] = {}

    def read() -> None:
        held["log"] = read_log(spark, paths["activity"])
        held["log"].rows.count()

    def members() -> None:
        # Rows that are canonical already pass through once more, which costs what reading costs: they are handed over.
        kept: SparkLog = held["log"]
        from leadlight.features import cluster

        cluster.read_log = lambda *_, **__: kept
        held["community"] = SparkCommunity(
            spark, paths["activity"], paths["members"], events_per_task=400_000
        )
        cluster.read_log = read_log

    def observed() -> None:
        held["rows"] = observe(held["community"], every=EVERY, horizon="30d", censored=True)

    def plan() -> None:
        held["plan"] = ll.CORPORATE_COMMUNITY.compile(held["community"], before="2025-01-15")

    def features() -> None:
        held["X"] = ll.build_features(held["community"], held["rows"], held["plan"])

    for name, work in zip(PHASES, (read, members, observed, plan, features), strict=True):
        spark.sparkContext.setJobGroup(f"{events if counts else 'warming'} {name}", name)
        began, cpu = time.perf_counter(), cpu_seconds()
        work()
        run.wall[name], run.cpu[name] = time.perf_counter() - began, cpu_seconds() - cpu
    run.worker = max(most_held(process) for process in workers())
    run.rows, run.columns = held["X"].shape
    spark.catalog.clearCache()
    return run


def shuffled(folder: Path, runs: list[Run]) -> None:
    """Read from Spark's own event log what each phase wrote to shuffles, spilled, and sent to the driver."""
    (file,) = (path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    group: dict[int, str] = {}
    for line in file.read_text().splitlines():
        said = json.loads(line)
        if said["Event"] == "SparkListenerStageSubmitted":
            group[said["Stage Info"]["Stage ID"]] = said["Properties"].get("spark.jobGroup.id", "")
        if said["Event"] == "SparkListenerTaskEnd" and said.get("Task Metrics"):
            events, _, phase = group.get(said["Stage ID"], "").partition(" ")
            metrics = said["Task Metrics"]
            for run in runs:
                if events == str(run.events):
                    for store, value in (
                        (run.shuffled, metrics["Shuffle Write Metrics"]["Shuffle Bytes Written"]),
                        (run.spilled, metrics["Disk Bytes Spilled"]),
                        (run.collected, metrics["Result Size"]),
                    ):
                        store[phase] = store.get(phase, 0) + value


def show(runs: list[Run]) -> dict[str, tuple[float, float]]:
    """Print what was measured; return by phase bytes shuffled for an event and CPU seconds for a million."""
    print("| phase | what | events | seconds | CPU seconds | MB shuffled | MB spilled | MB to the driver |")
    print("|---|---|---|---|---|---|---|---|")
    for phase in PHASES:
        for run in runs:
            mb = [store.get(phase, 0) / 1e6 for store in (run.shuffled, run.spilled, run.collected)]
            print(
                f"| {phase} | {SAYS[phase]} | {run.events / 1e6:g}M | {run.wall[phase]:.1f} | {run.cpu[phase]:.1f} | "
                + " | ".join(f"{value:.1f}" for value in mb)
                + " |"
            )
    small, large = runs[-2:]
    more = large.events - small.events
    constants = {
        p: (
            (large.shuffled.get(p, 0) - small.shuffled.get(p, 0)) / more,
            max(large.cpu[p] - small.cpu[p], 0.0) / more * 1e6,
        )
        for p in PHASES
    }
    print(
        f"\nFrom {small.events / 1e6:g}M to {large.events / 1e6:g}M events ({large.rows} rows of {large.columns} columns at the end)\n"
    )
    print("| phase | bytes shuffled for an event | CPU seconds for a million events |\n|---|---|---|")
    for phase, (size, cpu) in constants.items():
        print(f"| {phase} | {size:.1f} | {cpu:.1f} |")
    print(
        f"| all | {sum(c[0] for c in constants.values()):.1f} | {sum(c[1] for c in constants.values()):.1f} |"
    )
    print(f"\nA Python worker held {large.worker / 1e6:.0f} MB at most, with 400,000 events to a task.")
    return constants


def paper(runs: list[Run], constants: dict[str, tuple[float, float]], events: float, members: float) -> None:
    """Print what the constants come to at another size."""
    small, large = runs[-2:]
    size, cpu = (sum(c[i] for c in constants.values()) for i in (0, 1))
    people = (large.events - small.events) / EVENTS_PER_MEMBER
    told = sum(large.collected.get(p, 0) - small.collected.get(p, 0) for p in ("members", "observe")) / people
    held = bytes_per_member()
    tasks = events / 2_000_000
    result = members * large.columns * 4
    lines = [
        ("bytes shuffled", f"{events:.0e} events x {size:.0f} B", f"{events * size / 1e12:.1f} TB"),
        (
            "CPU",
            f"{events / 1e6:.0e} million events x {cpu:.1f} s",
            f"{events / 1e6 * cpu / 3600:.0f} core hours",
        ),
        ("on 1,000 cores", "CPU / 1000, no skew and no waiting", f"{events / 1e6 * cpu / 3.6e6:.1f} hours"),
        ("tasks of 2M events", f"{events:.0e} / 2e6", f"{tasks:,.0f}"),
        (
            "sent to the driver for members and labels",
            f"{members:.0e} members x {told:.0f} B",
            f"{members * told / 1e9:.0f} GB",
        ),
        (
            "memory of the driver for members",
            f"{members:.0e} members x {held:.0f} B",
            f"{members * held / 1e9:.0f} GB",
        ),
        (
            "features of one cutoff",
            f"{members:.0e} x {large.columns} columns x 4 B",
            f"{result / 1e9:.0f} GB",
        ),
    ]
    print(
        f"\nOn paper: {events:.0e} events of {members:.0e} members\n\n| what | arithmetic | |\n|---|---|---|"
    )
    for what, how, much in lines:
        print(f"| {what} | {how} | {much} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", default="1000000,3000000")
    parser.add_argument("--paper-events", type=float, default=1e11)
    parser.add_argument("--paper-members", type=float, default=1e8)
    arguments = parser.parse_args()
    sizes = [int(float(text)) for text in arguments.events.split(",")]
    if len(sizes) < 2 or sizes != sorted(set(sizes)):
        parser.error("--events takes two sizes or more, the smaller first")
    try:
        import pyspark
    except ImportError:
        print("pyspark is not installed: pip install leadlight[spark]")
        return
    with tempfile.TemporaryDirectory() as name:
        folder, told = Path(name), Path(name) / "events"
        told.mkdir()
        spark = session(told)
        print(f"Spark {pyspark.__version__}, local[2], {os.cpu_count()} cores, numpy {np.__version__}\n")
        # The first run warms the virtual machine up and is thrown away.
        measure(spark, sizes[0], folder, counts=False)
        runs = [measure(spark, events, folder) for events in sizes]
        spark.stop()
        shuffled(told, runs)
        paper(runs, show(runs), arguments.paper_events, arguments.paper_members)


if __name__ == "__main__":
    main()
