"""Features against their rivals in one run: CPU seconds with two threads, as ratios beside what was promised.

Run: make bench, or python benchmarks/bench_features.py [--size small|full] [--only scan,pandas] [--data FOLDER]. See README.md
beside this file for the parts, and `peers/` for what the rivals do.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from json import loads
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from peers import by_duckdb, by_pandas, cases, community_log, featuretools_env, measure, online
from peers.cases import Case
from peers.measure import Measured

import leadlight as ll
from leadlight.plan import Plan

PEERS = ("pandas", "polars", "duckdb")
PARTS = ("scan", *PEERS, "featuretools", "cutoffs", "growth", "online", "community", "memory")
EVENTS = {"small": 1_000_000, "full": 10_000_000}
EVENTS_A_MEMBER, CUTOFFS = 100, 12
FAST_S = 0.2
"""A sweep that needs less CPU time than this for 100,000 rows is the native kernel, and does the full size in minutes."""


class Bench:
    """One run: the case that the parts share, rows of the first table as they come, rows of the second at the end."""

    def __init__(self, size: str, folder: Path) -> None:
        self.size, self.folder = size, folder
        self.case = Case(EVENTS[size], EVENTS[size] // EVENTS_A_MEMBER, CUTOFFS, folder)
        self.enough = 150.0 if size == "full" else 60.0
        self.held: list[str] = []

    def show(self, what: str, on: object, m: Measured) -> None:
        """Print one line of the first table."""
        peak = "" if m.peak is None else f"{m.peak:.2f}"
        print(f"| {what} | {on} | {m.cpu:.3f} | {m.wall:.3f} | {peak} | {m.runs} |", flush=True)

    def ratio(self, what: str, value: float, target: str, *, held: bool) -> None:
        """Keep one line of the second table."""
        self.held.append(f"| {what} | {value:.3g} | {target} | {'yes' if held else 'no'} |")

    def bound(self, what: str, value: float) -> None:
        """Keep a line of the second table that says what no program can go below."""
        self.held.append(f"| {what} | {value:.3g} | the least there can be | |")

    def note(self, text: str) -> None:
        """Keep a line of the second table that has no figure."""
        self.held.append(f"| {text} | | | not measured |")

    def scan(self) -> None:
        rivals = by_duckdb.scans(self.case.parquet)
        plan = cases.full_plan()
        found = measure.take_turns({"ours": self.case.ours(plan), **rivals}, enough=self.enough)
        self.show(f"leadlight, {len(plan.columns)} columns", self.case, found["ours"])
        for name in rivals:
            self.show(f"DuckDB, {name}", self.case, found[name])
            times = found["ours"].cpu / found[name].cpu
            self.ratio(f"leadlight / DuckDB's {name}", times, "at most 6, aim 4", held=times <= 6)

    def peers(self, wanted: set[str]) -> None:
        case, plan = self.case, cases.shared_plan()
        rivals: dict[str, Callable[[], object]] = {}
        if "pandas" in wanted:
            rivals |= by_pandas.prepare(case)
        if "polars" in wanted:
            os.environ["POLARS_MAX_THREADS"] = str(cases.THREADS)
            from peers import by_polars

            rivals["Polars"] = by_polars.prepare(case)
        if "duckdb" in wanted:
            rivals["DuckDB SQL"] = by_duckdb.prepare(case)
        ours = case.ours(plan)
        expected = ours()
        for name, call in rivals.items():
            result = call()
            result = by_duckdb.matrix(result) if isinstance(result, dict) else result
            check(name, expected, result, plan.column_names)
            del result
        del expected
        # The check was the warm-up.
        found = measure.take_turns({"ours": ours, **rivals}, enough=self.enough, warm=False)
        self.show(f"leadlight, {len(plan.columns)} columns", case, found["ours"])
        for name in rivals:
            self.show(name, case, found[name])
            times = found[name].cpu / found["ours"].cpu
            self.ratio(
                f"{name} / leadlight, same {len(plan.columns)} columns", times, "at least 8", held=times >= 8
            )

    def featuretools(self) -> None:
        case, plan = Case(200_000, 2_000, 1, self.folder), cases.counts_plan()
        ours = case.ours(plan)
        runs = []
        for _ in range(3):
            try:
                printed, theirs = featuretools_env.run(case)
            except (OSError, subprocess.CalledProcessError) as error:
                reason = (getattr(error, "stderr", "") or str(error)).strip().splitlines()[-1]
                self.note(f"featuretools: {reason}")
                return
            runs.append((printed["cpu"], printed["wall"], None, *measure.once(ours)))
        expected = ours()
        counts, names = cases.COUNTS, plan.column_names
        check("featuretools", expected[:, :counts], theirs[:, :counts], names[:counts])
        # It reckons hours in floats.
        if not np.allclose(expected[:, counts:], theirs[:, counts:], rtol=1e-5, atol=1e-5, equal_nan=True):
            raise SystemExit("featuretools: other recencies than ours.")
        columns = np.array([r[:2] + r[3:5] for r in runs])
        cpu, wall, our_cpu, our_wall = np.median(columns, axis=0)
        self.show(f"leadlight, {len(names)} columns", case, Measured(our_cpu, our_wall, runs[-1][5], 3))
        versions = ", ".join(f"{n} {v}" for n, v in printed["versions"].items())
        self.show(f"{versions}, one thread", case, Measured(cpu, wall, None, 3))
        times = cpu / our_cpu
        self.ratio(
            f"featuretools / leadlight, same {len(names)} columns", times, "at least 100", held=times >= 100
        )

    def cutoffs(self) -> None:
        plan = cases.full_plan()
        one, many = self.case.at(1), self.case.at(24)
        shape = len(many.entity), len(plan.columns)
        kept = np.zeros(shape, np.float32)
        rivals = {
            "one": one.ours(plan),
            "many": many.ours(plan),
            "kept": many.ours(plan, kept),
            # No sweep can do with less: the cells have to be written.
            "ones": lambda: np.full(shape, 1.0, np.float32),
            "ones kept": lambda: kept.fill(1.0),
        }
        found = measure.take_turns(rivals, enough=self.enough)
        self.show("leadlight", one, found["one"])
        self.show("leadlight", many, found["many"])
        self.show("leadlight, into an array that is there", many, found["kept"])
        self.show("NumPy, ones of the same shape", many, found["ones"])
        self.show("NumPy, ones into an array that is there", many, found["ones kept"])
        for name, ones, where in (
            ("many", "ones", ""),
            ("kept", "ones kept", ", into an array that is there"),
        ):
            times, writing = found[name].cpu / found["one"].cpu, found[ones].cpu / found["one"].cpu
            self.ratio(f"24 cutoffs / one{where}", times, "at most 1.5", held=times <= 1.5)
            self.bound(f"one cutoff and writing 24 / one{where}", 1 + writing)

    def growth(self) -> None:
        plan = cases.full_plan()
        for events, what in ((self.case.events, "events alone"), (0, "members growing with events")):
            sizes = [
                Case(c := self.case.events // part, (events or c) // EVENTS_A_MEMBER, CUTOFFS, self.folder)
                for part in (8, 4, 2)
            ]
            sizes.append(self.case)
            for kept in (False, True):
                # A new result costs more, the larger it is: pages of a small one are still in the caches when they are cleared.
                outs = [
                    np.zeros((len(c.entity), len(plan.columns)), np.float32) if kept else None for c in sizes
                ]
                calls = {str(c): c.ours(plan, out) for c, out in zip(sizes, outs, strict=True)}
                found = measure.take_turns(calls, enough=self.enough)
                there = ", into an array that is there" if kept else ""
                for case in sizes:
                    self.show(f"leadlight{there}", case, found[str(case)])
                logs = np.log([[c.events, found[str(c)].cpu] for c in sizes])
                slope = float(np.polyfit(logs[:, 0], logs[:, 1], 1)[0])
                self.ratio(f"exponent of growth, {what}{there}", slope, "at most 1.1", held=slope <= 1.1)
                del outs, calls

    def online(self) -> None:
        for name, call in online.calls().items():
            us, calls = online.microseconds(call)
            print(
                f"| leadlight, from {name} | {online.EVENTS} events of one member | | {us / 1e6:.6f} | | {calls} |"
            )
            self.ratio(
                f"microseconds of 500 events, {name}", us, f"at most {call.limit:,}", held=us <= call.limit
            )

    def community(self) -> None:
        plan, spent = cases.full_plan(), {}
        self.user(Case(100_000, 1_000, 1, self.folder), plan)  # imports
        for case in (self.case.at(1), self.case, self.case.at(24)):
            began = measure.once(lambda case=case: self.user(case, plan))
            self.show(f"from Parquet to {len(plan.columns)} columns", case, Measured(*began, 1))
            spent[str(case)] = began[0]
        one, _, many = spent.values()
        self.ratio(
            "24 cutoffs / one, from Parquet to features", many / one, "at most 1.5", held=many / one <= 1.5
        )
        case = self.case
        check("Community", case.ours(plan)(), self.user(case, plan).to_numpy(), plan.column_names)

    @staticmethod
    def user(case: Case, plan: Plan) -> pd.DataFrame:
        """Return the features by the road of a user."""
        community = ll.Community(activity=case.parquet, members=community_log.members_table(case.people))
        cutoff = pd.to_datetime(case.cutoff, unit="us", utc=True)
        rows = ll.Observations.from_frame(pd.DataFrame({"member_id": case.entity, "cutoff": cutoff}))
        return ll.build_features(community, rows, plan)

    def memory(self) -> None:
        if self.size != "full":
            self.note("peak memory of 100M events (--size full)")
            return
        command = [sys.executable, str(Path(__file__).parent / "peers" / "memory.py"), "100000000", "1000000"]
        found = loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        on = f"100M events, 1M members, one cutoff, log of {found['log_gb']:.1f} GB"
        self.show(
            "leadlight", on, Measured(found["cpu"], found["wall"], found["peak_gb"] - found["log_gb"], 1)
        )
        self.ratio(
            "peak GB of 100M events, log and result in it",
            found["peak_gb"],
            "at most 10",
            held=found["peak_gb"] <= 10,
        )


def check(name: str, ours: np.ndarray, theirs: np.ndarray, names: tuple[str, ...]) -> None:
    """Stop unless a rival computes what we compute: nothing else is worth timing."""
    wrong = cases.differences(ours, theirs, names)
    if wrong:
        raise SystemExit(f"{name}: {len(wrong)} columns are not ours: {', '.join(wrong[:5])}.")


def fitting_size(folder: Path) -> str:
    """Return the largest size that this kernel does in minutes."""
    call = Case(100_000, 1_000, CUTOFFS, folder).ours(cases.full_plan())
    call()
    return "full" if measure.once(call)[0] < FAST_S else "small"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--size", choices=("small", "full"), help="1M or 10M events; default: what the kernel does in minutes"
    )
    parser.add_argument("--only", default=",".join(PARTS), help=f"parts, of {','.join(PARTS)}")
    parser.add_argument(
        "--data", type=Path, default=Path(tempfile.gettempdir()) / "leadlight-bench", help="for logs"
    )
    options = parser.parse_args()
    wanted = options.only.split(",")
    if unknown := sorted(set(wanted) - set(PARTS)):
        parser.error(f"--only names {', '.join(unknown)}; the parts are {', '.join(PARTS)}")
    pa.set_cpu_count(cases.THREADS)
    print(measure.machine(("numpy", "pandas", "polars", "duckdb", "pyarrow")))
    bench = Bench(options.size or fitting_size(options.data), options.data)
    threads = f"{cases.THREADS} threads" if cases.has_threads() else "one thread (this sweep takes no more)"
    print(
        f"Rivals with {cases.THREADS} threads, leadlight with {threads}; every rival's columns equal ours.\n"
    )
    print("| what | on | CPU s | wall s | memory + GB | runs |\n|---|---|---|---|---|---|", flush=True)
    for part in PARTS:
        if part in wanted and part not in PEERS:
            getattr(bench, part)()
        elif part == PEERS[0] and set(PEERS) & set(wanted):
            bench.peers(set(PEERS) & set(wanted))
    print("\n| what | ratio or value | must be | held |\n|---|---|---|---|")
    print("\n".join(bench.held))


if __name__ == "__main__":
    main()
