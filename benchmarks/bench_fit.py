"""What LeadClassifier's fit costs, folds, blend and calibration apart, beside LightGBM's own time for the same trees.

Run: python benchmarks/bench_fit.py. On one side the whole of `fit` with the choices made beforehand: the table is checked and encoded,
the boosters of each kind are grown, their trees read into arrays. On the other LightGBM for each of these boosters, with
the same parameters on rows that are encoded already; sorted into bins once where boosters read the same rows. The trees are the
same, or the run stops. One thread; CPU seconds; medians of alternating runs. Then the fits of `leadlight demo` as they are, with
folds, blend and calibration, on two cores.
"""

import argparse
import contextlib
import io
import os
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import lightgbm as lgb
import numpy as np
import pandas as pd
from peers.measure import machine

from leadlight.cli.main import main as leadlight
from leadlight.estimators import LeadClassifier, classifier, learner
from leadlight.estimators.folds import Measured
from leadlight.estimators.forest import KINDS, Grower
from leadlight.estimators.learner import Recipe
from leadlight.estimators.parts import Mixture, prior_weights

ROUNDS = 160
MOST = 1.15
"""What the design allows."""

LONGEST = 30.0
"""Seconds that a fit of the demo may take."""

TRAVEL = Path(__file__).parents[1] / "data" / "travel"

ENOUGH = 20.0
"""CPU seconds after which a table that takes little time has had enough turns."""


def event_log(rows: int, columns: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Return counts, mostly 0, as catalogues make them, and a rare label."""
    rng = np.random.default_rng(0)
    X = rng.poisson(rng.gamma(0.2, 2.0, (rows, columns))).astype(float)
    score = np.log1p(X[:, :8]).sum(axis=1)
    y = rng.random(rows) < 1 / (1 + np.exp(6 - score))
    return pd.DataFrame(X, columns=[f"c{j}" for j in range(columns)]), y.astype(float)


def lead_table(rows: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Return ten columns of text and five of numbers, a tenth of both missing, and a label of a sixth."""
    rng = np.random.default_rng(0)
    score, columns = np.full(rows, -2.0), {}
    for j, size in enumerate((3, 5, 5, 8, 12, 20, 40, 80, 150, 400)):
        code = rng.choice(size, rows, p=rng.dirichlet(np.ones(size)))
        score += rng.normal(0, 0.4, size)[code]
        columns[f"t{j}"] = np.where(rng.random(rows) < 0.1, None, np.char.add("v", code.astype(str)))
    for j in range(5):
        value = rng.normal(size=rows)
        score += 0.3 * value
        columns[f"n{j}"] = np.where(rng.random(rows) < 0.1, np.nan, value)
    return pd.DataFrame(columns), (rng.random(rows) < 1 / (1 + np.exp(-score))).astype(float)


def cpu(work: Callable[[], object]) -> float:
    """Return the CPU seconds of one call."""
    start = time.process_time()
    work()
    return time.process_time() - start


def taking_turns(first: Callable[[], object], second: Callable[[], object], runs: int) -> np.ndarray:
    """Return the CPU seconds of both, a row each turn: at least `runs`, ten times so many if they are short."""
    pairs: list[tuple[float, float]] = []
    while len(pairs) < runs or (len(pairs) < 10 * runs and np.sum(pairs) < ENOUGH):
        pairs.append((cpu(first), cpu(second)))
    return np.array(pairs)


def chosen(data: Any, recipe: Recipe, **_: Any) -> Measured:
    """Return what folds would choose, without folds."""
    weights = prior_weights([*(kind in recipe.kinds for kind in KINDS), False])
    return Measured(Mixture((ROUNDS,) * len(recipe.kinds), 0.1, weights), None, None)


def fitted(frame: pd.DataFrame, y: np.ndarray) -> LeadClassifier:
    """Return a fit without folds, blend and calibration."""
    with patch.object(classifier, "measure", chosen):
        return LeadClassifier(blend=False, calibration=None).fit(frame, y)


def grown(frame: pd.DataFrame, y: np.ndarray) -> list[lgb.Booster]:
    """Return the boosters that a fit grows; each knows its parameters, and its `train_set` the rows."""
    growers = []

    def kept(*given: Any) -> Grower:
        growers.append(Grower(*given))
        return growers[-1]

    with patch.object(learner, "Grower", kept):
        fitted(frame, y)
    return [grower.booster for grower in growers]


def trained(boosters: list[lgb.Booster]) -> list[lgb.Booster]:
    """Train the same boosters by LightGBM alone."""
    found, known, data = [], None, None
    for booster in boosters:
        if booster.train_set is not known:
            known = booster.train_set
            data = lgb.Dataset(known.data, known.label, weight=known.weight, params=known.params)
        found.append(lgb.train(booster.params, data, ROUNDS))
    return found


def texts(boosters: list[lgb.Booster]) -> list[str]:
    """Return the trees of boosters as LightGBM writes them."""
    return [
        booster.model_to_string().partition("Tree=0")[2].partition("end of trees")[0] for booster in boosters
    ]


def demo_fits() -> list[tuple[int, int, float, float]]:
    """Run the demo; return rows, columns, CPU and wall seconds of each of its fits."""
    fit, found = LeadClassifier.fit, []

    def timed(model: LeadClassifier, X: pd.DataFrame, *given: Any, **named: Any) -> LeadClassifier:
        spent, begun = time.process_time(), time.perf_counter()
        fitted_ = fit(model, X, *given, **named)
        found.append((*X.shape, time.process_time() - spent, time.perf_counter() - begun))
        return fitted_

    with (
        tempfile.TemporaryDirectory() as folder,
        patch.object(LeadClassifier, "fit", timed),
        contextlib.redirect_stdout(io.StringIO()),
    ):
        if leadlight(["demo", "--data", str(TRAVEL), "--out", folder]):
            raise SystemExit("The demo failed.")
    return found


def main() -> None:
    given = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    given.add_argument("--runs", type=int, default=5)
    given.add_argument("--only", choices=("trees", "demo"))
    asked = given.parse_args()
    print(machine(("lightgbm", "numpy")))
    if asked.only != "demo":
        show_trees(asked.runs)
    if asked.only != "trees":
        show_demo()


def show_trees(runs: int) -> None:
    print(
        f"\n| table | boosters of {ROUNDS} trees | LightGBM alone, CPU s | ours, CPU s | ratio | at most {MOST} |"
    )
    print("|---|---|---|---|---|---|")
    for name, (frame, y) in {
        "counts, 30,000 rows x 180 columns": event_log(30_000, 180),
        "lead table, 6,000 rows x 15 columns": lead_table(6_000),
        "lead table, 400 rows x 15 columns": lead_table(400),
    }.items():
        boosters = grown(frame, y)
        if texts(trained(boosters)) != texts(boosters):
            raise SystemExit(f"{name}: LightGBM alone grows other trees; nothing to compare.")
        pairs = taking_turns(partial(trained, boosters), partial(fitted, frame, y), runs)
        alone, ours = np.median(pairs, axis=0)
        ratio = float(np.median(pairs[:, 1] / pairs[:, 0]))
        held = "held" if ratio <= MOST else "missed"
        print(f"| {name} | {len(boosters)} | {alone:.2f} | {ours:.2f} | {ratio:.2f} | {held} |", flush=True)


def show_demo() -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])
    print(f"\n| fit of the demo | CPU s | wall s | at most {LONGEST:.0f} s |\n|---|---|---|---|")
    for rows, columns, spent, wall in demo_fits():
        held = "held" if wall <= LONGEST else "missed"
        print(f"| {rows:,} rows x {columns} columns | {spent:.1f} | {wall:.1f} | {held} |", flush=True)


if __name__ == "__main__":
    main()
