"""What logging a training run costs beyond training: a local MLflow server and a SQLite file, with and without trials.

Run: make bench, or python benchmarks/bench_logging.py [--trials 0,20,50] [--runs 3]. Each run is `log_run` in a process of its own, so
that the import of MLflow is in it; five folds are child runs, and so are the trials. The trials are made up: what they say does not
change what they cost. Wall seconds, and of them the CPU seconds of the process that logs.
"""

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
import warnings
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from peers.measure import machine

TARGET = 10.0
START_S = 240


def fitted(bundle: Path):
    """Return a qualifier that was fitted on a small simulated community, its report, and its rows."""
    import leadlight as ll

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        community, _ = ll.simulate_community(members=1_000, weeks=60, seed=1)
        rows = ll.observe(community).labelled()
        train, test = ll.evaluation.earlier_and_later(rows)
        qualifier = ll.LeadQualifier().fit(community, train)
        report = ll.evaluate(qualifier, community, test, rounds=50)
    qualifier.save(bundle)
    return qualifier, report, train


def made_up(trials: int):
    """Return a tuning with so many trials beside the default."""
    import pandas as pd

    from leadlight import LeadClassifier
    from leadlight.qualifier import Tuning
    from leadlight.qualifier.tuning import Attempt

    at = datetime(2026, 1, 1, tzinfo=UTC)
    settings = {"blend": True, "booster": "lightgbm", "n_folds": 5, "ridge": 0.1}
    states = ["default", *["complete"] * trials]
    table = pd.DataFrame({"state": states, **settings})
    for name in ("log_loss", "average_precision", "gain", "low", "high"):
        table[name] = 0.1
    attempts = tuple(Attempt(k, state, settings, 0.1, 3, at, 1.0) for k, state in enumerate(states))
    gain = (0.1, -0.1, 0.3)
    return Tuning(LeadClassifier(), False, "Made up.", gain, table, table, attempts=attempts)


def child(uri: str, trials: list[int], runs: int) -> None:
    """Fit once; then log in forked processes, which have not imported MLflow; print seconds as JSON."""
    with tempfile.TemporaryDirectory() as folder:
        bundle = Path(folder, "bundle")
        qualifier, report, rows = fitted(bundle)
        from leadlight.tracking import log_run

        for _ in range(runs):
            for count in trials:
                tuning = made_up(count) if count else None
                sys.stdout.flush()
                if (pid := os.fork()) == 0:
                    began, cpu = time.perf_counter(), time.process_time()
                    run = log_run(
                        qualifier,
                        report=report,
                        observations=rows,
                        tuning=tuning,
                        bundle=bundle,
                        tracking_uri=uri,
                        registered_model="leadlight",
                    )
                    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
                    print(json.dumps([count, seconds, cpu, run.pending]), flush=True)
                    os._exit(0)
                os.waitpid(pid, 0)


def measured(uri: str, trials: list[int], runs: int) -> list[list[float]]:
    """Return what `child` printed."""
    text = ",".join(map(str, trials))
    command = [
        sys.executable,
        "-W",
        "ignore",
        __file__,
        "--child",
        uri,
        "--trials",
        text,
        "--runs",
        str(runs),
    ]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[")]
    if any(pending for *_, pending in found) or len(found) != runs * len(trials):
        raise SystemExit(f"A run was not logged: {done.stdout}")
    return found


class Server:
    """`mlflow server` on a SQLite database, for the length of a block."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.folder = folder

    def __enter__(self) -> str:
        arguments = [
            "server", "--backend-store-uri", f"sqlite:///{self.folder / 'server.db'}",
            "--artifacts-destination", str(self.folder / "artifacts"),
            "--host", "127.0.0.1", "--port", str(self.port), "--workers", "1",
        ]  # fmt: skip
        off = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        with (self.folder / "server.log").open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "mlflow", *arguments],
                stdout=log,
                stderr=log,
                env=os.environ | off,
                start_new_session=True,
            )
        uri, until = f"http://127.0.0.1:{self.port}", time.monotonic() + START_S
        while time.monotonic() < until and self.process.poll() is None:
            try:
                with urllib.request.urlopen(f"{uri}/health", timeout=5):
                    return uri
            except OSError:
                time.sleep(0.2)
        self.__exit__()
        raise SystemExit((self.folder / "server.log").read_text()[-3000:])

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(30)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", default="0,20,50")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    trials = [int(count) for count in arguments.trials.split(",")]
    if arguments.child:
        child(arguments.child, trials, arguments.runs)
        return
    print(f"{machine(('mlflow', 'leadlight'))}\n")
    print(
        "| to | trials | child runs | first, s | median, s | CPU, s | promised | held |\n|---|---|---|---|---|---|---|---|"
    )
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        # A database of its own has its tables made by the first run.
        found = {"SQLite file": measured(f"sqlite:///{place / 'mlflow.db'}", trials, arguments.runs)}
        with Server(place) as uri:
            found["local server"] = measured(uri, trials, arguments.runs)
    for where, lines in found.items():
        for count in trials:
            seconds = [spent for each, spent, _, _ in lines if each == count]
            cpu = median(spent for each, _, spent, _ in lines if each == count)
            below = 5 + (count + 1 if count else 0)
            held = "yes" if max(seconds) < TARGET else "no"
            print(
                f"| {where} | {count} | {below} | {seconds[0]:.1f} | {median(seconds):.1f} | {cpu:.1f} | below {TARGET:g} | {held} |"
            )
    load = os.getloadavg()[0]
    print(
        f"\nLoad of the machine at the end: {load:.1f} on {os.cpu_count()} cores. Above 1 a core, wall seconds are of waiting too."
    )


if __name__ == "__main__":
    main()
