"""Margins and SHAP values of boosted trees against LightGBM and shap, one thread, as ratios beside what was promised.

Run: make bench, or python benchmarks/bench_trees.py [--rows 10000]. Every rival's numbers equal ours before it is timed. Rows
on their own are timed twice: all of them different, as members are, and one again and again, which a processor learns by heart.
"""

import argparse
import os
import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

os.environ["OMP_NUM_THREADS"] = "1"

from peers import by_lightgbm, measure
from peers.by_lightgbm import Floats, Size

from leadlight.kernels.native import native_kernels
from leadlight.kernels.tree_shap import prepare, shap
from leadlight.kernels.trees import margin
from leadlight.runtime.lightgbm_text import parse_lightgbm
from leadlight.runtime.model import Calibration, Linear, Model

DEFAULT, LARGE, BLEND = Size(160, 8, 245), Size(500, 31, 245), Size(160, 8, 325)
SINGLE, ROUNDS = 1_000, 7
ADDED = 100_000
"""Rows over which contributions must add up."""


class Bench:
    """One run: rows of the first table as they come, rows of the second at the end."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.held: list[str] = []

    def show(self, what: str, size: Size, rows: str, microseconds: float, runs: int) -> None:
        """Print one line of the first table."""
        print(f"| {what} | {size} | {rows} | {microseconds:.2f} | {runs} |", flush=True)

    def ratio(self, what: str, value: float, target: str, *, held: bool) -> None:
        """Keep one line of the second table."""
        self.held.append(f"| {what} | {value:.3g} | {target} | {'yes' if held else 'no'} |")

    def size(self, size: Size) -> None:
        """Measure everything that is measured for a size."""
        booster = by_lightgbm.booster(size)
        trees = parse_lightgbm(booster.model_to_string())
        tables = prepare(trees)
        X = by_lightgbm.table(size, self.rows, 3)
        check("Booster.predict", margin(trees, X), booster.predict(X, raw_score=True))
        few = X[:200]
        contributions = booster.predict(few, pred_contrib=True)
        check("pred_contrib", shap(trees, few, tables)[0], contributions[:, :-1], tolerance=1e-12)

        fast = by_lightgbm.SingleRow(booster, size.columns)
        rows = [X[i : i + 1].copy() for i in range(min(SINGLE, len(X)))]
        places = [by_lightgbm.pointer(row) for row in rows]
        check("SingleRowFast", margin(trees, X[: len(rows)]), np.array([fast(place) for place in places]))
        for what, some, where in (
            ("rows of their own", rows, places),
            ("the same row", rows[:1] * len(rows), places[:1] * len(rows)),
        ):
            found = in_turns(
                {
                    "leadlight, margin": each(lambda row: margin(trees, row), some),
                    "LightGBM, SingleRowFast": each(fast, where),
                    "LightGBM, Booster.predict": each(
                        lambda row: booster.predict(row, raw_score=True), some[:100]
                    ),
                    "leadlight, shap": each(lambda row: shap(trees, row, tables), some[:200]),
                    "LightGBM, pred_contrib": each(
                        lambda row: booster.predict(row, pred_contrib=True), some[:20]
                    ),
                }
            )
            for name, microseconds in found.items():
                self.show(name, size, f"one, {what}", microseconds, ROUNDS)
            ratio = found["leadlight, margin"] / found["LightGBM, SingleRowFast"]
            self.ratio(f"{size}, {what}: leadlight / SingleRowFast", ratio, "at most 1.4", held=ratio <= 1.4)
            limit = 600 if size == LARGE else 100
            one = found["leadlight, shap"]
            self.ratio(
                f"{size}, {what}: microseconds to explain one", one, f"at most {limit}", held=one <= limit
            )
        self.batch(size, booster, trees, tables, X)

    def batch(self, size: Size, booster: Any, trees: Any, tables: Any, X: Floats) -> None:
        import shap as shap_package

        # It tells of a change of its output long ago.
        warnings.filterwarnings("ignore", message="LightGBM binary classifier", category=UserWarning)
        margins = {
            "leadlight": lambda: margin(trees, X),
            "LightGBM": lambda: booster.predict(X, raw_score=True),
        }
        times = self.batches(size, "margin", margins, enough=20.0)
        ratio = times["LightGBM"] / times["leadlight"]
        self.ratio(f"{size}: Booster.predict / leadlight", ratio, "at least 1", held=ratio >= 1)
        explainer = shap_package.TreeExplainer(booster)  # it asks LightGBM for pred_contrib
        rivals = {
            "leadlight": lambda: shap(trees, X, tables),
            "LightGBM": lambda: booster.predict(X, pred_contrib=True),
            "shap.TreeExplainer": lambda: explainer.shap_values(X, check_additivity=False),
        }
        times = self.batches(size, "SHAP", rivals, enough=100.0)
        for name in ("LightGBM", "shap.TreeExplainer"):
            ratio = times[name] / times["leadlight"]
            what = f"{size}: {'pred_contrib' if name == 'LightGBM' else name} / leadlight"
            self.ratio(what, ratio, "at least 8", held=ratio >= 8)

    def batches(
        self, size: Size, what: str, rivals: dict[str, Callable[[], Any]], *, enough: float
    ) -> dict[str, float]:
        found = measure.take_turns(rivals, enough=enough, warm=False)
        for name, measured in found.items():
            self.show(
                f"{name}, {what}", size, f"{self.rows:,}", measured.cpu / self.rows * 1e6, measured.runs
            )
        return {name: measured.cpu for name, measured in found.items()}

    def additivity(self, size: Size) -> None:
        """Compare base and contributions of trees, linear half and calibration with the calibrated log-odds."""
        model, furthest = blended(size), 0.0
        for seed in range(ADDED // 10_000):
            X = by_lightgbm.table(size, 10_000, 100 + seed)
            values, base = model.contributions(X)
            furthest = max(furthest, float(np.abs(base + values.sum(axis=1) - model.log_odds(X)).max()))
        what = f"{size}, linear half and calibration, {ADDED:,} rows: sum of contributions, furthest from the log-odds"
        self.ratio(what, furthest, "at most 1e-12", held=furthest <= 1e-12)

    def blend(self) -> None:
        """Measure a calibrated probability of one row: trees and a linear half."""
        model = blended(BLEND)
        rows = [row[None] for row in by_lightgbm.table(BLEND, SINGLE, 3)]
        calls = {
            "leadlight, calibrated probability": each(model.probability, rows),
            "leadlight, contributions": each(model.contributions, rows),
        }
        found = in_turns(calls)
        for name, microseconds in found.items():
            self.show(name, BLEND, "one, trees and linear half", microseconds, ROUNDS)
        one = found["leadlight, calibrated probability"]
        self.ratio("microseconds of one calibrated probability", one, "at most 50", held=one <= 50)


def blended(size: Size) -> Model:
    """Return a model of trees, a linear half and a calibration."""
    linear = Linear(*np.random.default_rng(4).uniform(0.1, 0.9, (5, size.columns)), -0.3)
    names = tuple(f"f{j}" for j in range(size.columns))
    trees = parse_lightgbm(by_lightgbm.booster(size).model_to_string())
    return Model(names, trees, linear, 0.6, 0.4, Calibration(1.1, -0.2), np.zeros(0), 0.5)


def each(call: Callable[[Any], Any], rows: list[Any]) -> Callable[[], float]:
    """Return a call that goes through the rows one at a time and returns microseconds of CPU a row."""

    def run() -> float:
        began = time.process_time()
        for row in rows:
            call(row)
        return (time.process_time() - began) / len(rows) * 1e6

    return run


def in_turns(calls: dict[str, Callable[[], float]]) -> dict[str, float]:
    """Return medians of calls that took turns, after one round that does not count."""
    seen: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(ROUNDS + 1):
        for name, call in calls.items():
            microseconds = call()
            if turn:
                seen[name].append(microseconds)
    return {name: statistics.median(found) for name, found in seen.items()}


def check(name: str, ours: Floats, theirs: Floats, tolerance: float = 0.0) -> None:
    """Stop unless a rival computes what we compute: nothing else is worth timing."""
    furthest = float(np.abs(ours - theirs).max())
    if not furthest <= tolerance * max(1.0, float(np.abs(theirs).max())):
        raise SystemExit(f"{name}: numbers are {furthest:.2g} from ours.")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000, help="rows of a batch")
    bench = Bench(parser.parse_args().rows)
    kernel = "NumPy reference" if native_kernels() is None else "native kernel"
    print(measure.machine(("numpy", "lightgbm", "shap")) + f"; {kernel}, one thread\n")
    print(
        "| what | model: trees x leaves | rows | CPU microseconds a row | runs |\n|---|---|---|---|---|",
        flush=True,
    )
    bench.size(DEFAULT)
    bench.size(LARGE)
    bench.blend()
    for size in (DEFAULT, LARGE):
        bench.additivity(size)
    print("\n| what | ratio or value | must be | held |\n|---|---|---|---|")
    print("\n".join(bench.held))


if __name__ == "__main__":
    main()
