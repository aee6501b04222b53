"""Scoring inside an application: one calibrated score, batches, reasons, raw events, start and growth, as ratios.

Run: make bench, or python benchmarks/bench_serving.py [--rows 10000] [--only single,batch,reasons,start,growth]. Rivals take
turns; one thread but where threads are counted; CPU time but for threads, where it is wall time.
"""

import argparse
import gc
import hashlib
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

os.environ["OMP_NUM_THREADS"] = "1"

from bench_trees import DEFAULT, LARGE, check, each, in_turns
from peers import by_lightgbm, measure
from peers.by_lightgbm import Floats, Size

from leadlight.kernels.linear import sigmoid
from leadlight.kernels.native import native_kernels
from leadlight.plan import Plan
from leadlight.runtime.lightgbm_text import parse_lightgbm
from leadlight.runtime.model import Calibration, Linear, Model
from leadlight.runtime.scorer import Scorer

PARTS = ("single", "batch", "reasons", "start", "growth")
SINGLE, EVENTS, ROUNDS = 1_000, 500, 5
PIPELINE_ROWS, PIPELINE_CALLS = 4_000, 5
LEAN_START = Path(__file__).with_name("lean_start.py")
LEAN = Path(__file__).parents[1] / "build" / "lean"


class Bench:
    """One run: rows of the first table as they come, rows of the second at the end."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.held: list[str] = []

    def show(self, what: str, size: object, rows: str, microseconds: float) -> None:
        """Print one line of the first table."""
        print(f"| {what} | {size} | {rows} | {microseconds:.2f} |", flush=True)

    def ratio(self, what: str, value: float, target: str, *, held: bool) -> None:
        """Keep one line of the second table."""
        self.held.append(f"| {what} | {value:.3g} | {target} | {'yes' if held else 'no'} |")

    def models(self, size: Size, *, single: bool, batch: bool) -> None:
        """Measure what is measured for a size: trees alone, and with the linear half that LightGBM does not have."""
        booster = by_lightgbm.booster(size)
        scorers = {
            "trees": _scorer(booster, size, blend=False),
            "trees and linear half": _scorer(booster, size, blend=True),
        }
        X = by_lightgbm.table(size, self.rows, 3)
        few = X[:SINGLE]
        raw = booster.predict(few, raw_score=True)
        check(
            "Booster.predict",
            scorers["trees"].predict_proba(few)[:, 1],
            sigmoid(1.1 * raw - 0.2),
            tolerance=1e-12,
        )
        if single:
            self.single(size, booster, scorers, few)
        if batch:
            self.batch(size, booster, scorers, X)

    def single(self, size: Size, booster: Any, scorers: dict[str, Scorer], X: Floats) -> None:
        """Measure one calibrated score from an array, beside LightGBM's fastest call and beside a pipeline."""
        fast = by_lightgbm.SingleRow(booster, size.columns)
        rows = [row[None].copy() for row in X]
        places = [by_lightgbm.pointer(row) for row in rows]
        check("SingleRowFast", np.array([fast(p) for p in places]), booster.predict(X, raw_score=True))
        pipeline = _pipeline(size)
        calls = {f"leadlight, {name}": each(s.predict_proba, rows) for name, s in scorers.items()}
        calls["LightGBM, SingleRowFast"] = each(fast, places)
        calls["Pipeline, CalibratedClassifierCV"] = each(pipeline.predict_proba, rows[:PIPELINE_CALLS])
        found = in_turns(calls)
        for name, microseconds in found.items():
            self.show(name, size, "one, from an array", microseconds)
        for name in scorers:
            one = found[f"leadlight, {name}"]
            self.ratio(f"{size}, {name}: microseconds of one score", one, "at most 50", held=one <= 50)
            ratio = found["Pipeline, CalibratedClassifierCV"] / one
            self.ratio(f"{size}, {name}: Pipeline / leadlight", ratio, "at least 200", held=ratio >= 200)
            ratio = one / found["LightGBM, SingleRowFast"]
            self.ratio(f"{size}, {name}: leadlight / SingleRowFast", ratio, "at most 1.4", held=ratio <= 1.4)

    def batch(self, size: Size, booster: Any, scorers: dict[str, Scorer], X: Floats) -> None:
        """Measure probabilities of many rows, and what a second thread brings."""
        calls: dict[str, Callable[[], Any]] = {
            f"leadlight, {name}": lambda s=scorer: s.predict_proba(X) for name, scorer in scorers.items()
        }
        calls["LightGBM, Booster.predict"] = lambda: booster.predict(X, num_threads=1)
        found = measure.take_turns(calls, runs=ROUNDS)
        for name, measured in found.items():
            self.show(name, size, f"{len(X):,}", measured.cpu / len(X) * 1e6)
        for name in scorers:
            ratio = found["LightGBM, Booster.predict"].cpu / found[f"leadlight, {name}"].cpu
            self.ratio(f"{size}, {name}: Booster.predict / leadlight", ratio, "at least 1", held=ratio >= 1)
        scorer = scorers["trees and linear half"]
        large = np.concatenate([X] * 10)
        threads = {f"{n} threads": lambda n=n: scorer.predict_proba(large, threads=n) for n in (1, 2)}
        check("two threads", *(call()[:, 1] for call in threads.values()))
        walls = {name: m.wall for name, m in measure.take_turns(threads, runs=ROUNDS).items()}
        for name, wall in walls.items():
            self.show(f"leadlight, {name} (wall)", size, f"{len(large):,}", wall / len(large) * 1e6)
        ratio = walls["1 threads"] / walls["2 threads"]
        # Where other work fills the machine, a second thread brings nobody anything: hashing says what it brings now.
        most = _two_threads_of_hashing()
        what = f"{size}: two threads, times as fast (wall); hashing: {most:.2f}"
        self.ratio(what, ratio, "at least .85 of hashing", held=ratio >= 0.85 * most)

    def reasons(self) -> None:
        """Measure a score with three reasons, of members of a simulated community, by the model that learns from it."""
        scorer, rows, events, at = _community()
        size = f"{len(scorer.model.trees.root)} trees and linear half, {len(scorer.columns)} columns"
        found = in_turns(
            {
                "leadlight, score and three reasons": each(scorer.predict, rows),
                "leadlight, the same from events": each(lambda _: scorer.predict(events, at=at), rows[:200]),
                "leadlight, features alone": each(lambda _: scorer.features(events, at=at), rows[:200]),
            }
        )
        several = ("one, from an array", *[f"one, {EVENTS} events in columns"] * 2)
        for (name, microseconds), how in zip(found.items(), several, strict=True):
            self.show(name, size, how, microseconds)
        for (name, one), limit in zip(found.items(), (150, 400), strict=False):
            self.ratio(f"microseconds, {name.partition(', ')[2]}", one, f"at most {limit}", held=one <= limit)

    def start(self) -> None:
        """Print what a process with NumPy alone needs for import, load and first score."""
        if not (LEAN_START.exists() and LEAN.is_dir()):
            print(f"(start is not measured: {LEAN_START.name} needs what `make lean` leaves in build/lean)")
            return
        command = [sys.executable, LEAN_START, LEAN / "bundle", "--python", LEAN / "venv" / "bin" / "python"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        print(f"\n{done.stdout or done.stderr}")
        self.ratio("limits of lean_start.py passed", done.returncode, "0", held=done.returncode == 0)

    def growth(self) -> None:
        """Measure by how much the process grows over a million predictions, rows and single ones."""
        scorer = _scorer(by_lightgbm.booster(DEFAULT), DEFAULT, blend=True)
        X = by_lightgbm.table(DEFAULT, 1_000, 3)
        for _ in range(20):
            scorer.predict_proba(X)
        gc.collect()
        before = measure._status_gb("VmRSS")
        for _ in range(900):
            scorer.predict_proba(X)
        row = X[:1].copy()
        for _ in range(100_000):
            scorer.predict_proba(row)
        gc.collect()
        grown = (measure._status_gb("VmRSS") - before) * 1000
        self.ratio("MB that a million predictions leave", grown, "below 5", held=grown < 5)


def _two_threads_of_hashing() -> float:
    data = bytes(100_000_000)
    walls = {}
    for threads in (1, 2):
        with ThreadPoolExecutor(threads) as pool:
            began = time.perf_counter()
            list(pool.map(lambda _: hashlib.sha256(data).digest(), range(2)))
            walls[threads] = time.perf_counter() - began
    return walls[1] / walls[2]


def _scorer(booster: Any, size: Size, *, blend: bool) -> Scorer:
    rng, width = np.random.default_rng(4), size.columns
    linear = Linear(*rng.uniform(0.1, 0.9, (5, width)), -0.3) if blend else None
    names = tuple(f"f{j}" for j in range(width))
    trees = parse_lightgbm(booster.model_to_string())
    weights = (0.6, 0.4) if blend else (1.0, 0.0)
    calibration = Calibration(1.1, -0.2)
    model = Model(names, trees, linear, *weights, calibration, np.linspace(0.01, 0.9, 1_000), 0.5)
    return Scorer(model, Plan((), (), ()))


def _pipeline(size: Size) -> Any:
    """What one would write with scikit-learn: missing values filled, LightGBM, calibrated by five folds, as is the default."""
    from lightgbm import LGBMClassifier
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline

    warnings.filterwarnings("ignore", message="X does not have valid feature names", category=UserWarning)
    X = by_lightgbm.table(size, PIPELINE_ROWS, 2)
    y = np.nan_to_num(X[:, :20]).sum(axis=1) + np.random.default_rng(1).normal(size=len(X)) > 0
    learner = LGBMClassifier(n_estimators=size.trees, num_leaves=size.leaves, n_jobs=1, verbosity=-1)
    return make_pipeline(SimpleImputer(), CalibratedClassifierCV(learner)).fit(X, y)


def _community() -> tuple[Scorer, list[Floats], dict[str, Any], int]:
    """Return a scorer as `fit` makes it, feature rows of members, and a log of 500 events in columns with its cutoff."""
    import leadlight as ll
    from leadlight.simulate import simulate_tables

    sizes: dict[str, int] = {"members": 1_000, "weeks": 80, "seed": 5}
    community, _ = ll.simulate_community(**sizes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # few deals: speed is measured, not sense
        observations = ll.observe(community, every="30d", horizon="90d")
        qualifier = ll.LeadQualifier().fit(community, observations)
    X = ll.build_features(community, observations, qualifier.plan_).to_numpy(np.float64)
    chosen = np.random.default_rng(0).permutation(len(X))[:SINGLE]
    log = simulate_tables(**sizes)[0]["activity"]
    part = log.slice(log.num_rows // 2, EVENTS)
    # As a service holds them: times and numbers as arrays, text as lists. Nothing is late, so known_at is left out.
    left_out = ("member_id", "event_id", "known_at", "content_id", "source")
    events = {name: part[name].to_pylist() for name in part.column_names if name not in left_out}
    events["occurred_at"] = np.array(part["occurred_at"].cast("timestamp[us]").to_numpy(), "datetime64[us]")
    events["duration_s"] = part["duration_s"].cast("float64").to_numpy()
    at = int(events["occurred_at"].astype(np.int64).max()) + 1
    return qualifier.scorer_, [row[None].copy() for row in X[chosen]], events, at


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000, help="rows of a batch")
    parser.add_argument("--only", default=",".join(PARTS), help=f"parts, of {','.join(PARTS)}")
    arguments = parser.parse_args()
    parts = arguments.only.split(",")
    if unknown := set(parts) - set(PARTS):
        parser.error(f"there is no part {sorted(unknown)[0]!r}")
    bench = Bench(arguments.rows)
    kernel = "NumPy reference" if native_kernels() is None else "native kernel"
    print(measure.machine(("numpy", "lightgbm", "scikit-learn")) + f"; {kernel}\n")
    print("| what | model | rows | microseconds a row |\n|---|---|---|---|", flush=True)
    for size in (DEFAULT, LARGE):
        if "single" in parts or "batch" in parts:
            bench.models(size, single="single" in parts, batch="batch" in parts)
    for name in ("reasons", "start", "growth"):
        if name in parts:
            getattr(bench, name)()
    print("\n| what | ratio or value | must be | held |\n|---|---|---|---|")
    print("\n".join(bench.held))


if __name__ == "__main__":
    main()
