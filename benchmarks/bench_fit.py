"""What the trees of LeadClassifier cost beside LightGBM's own training of the same trees.

Run: python benchmarks/bench_fit.py. Folds, blend and calibration are left out: on one side the part of a fit that grows the
forest that serves (encoding, sorting into bins, boosters of each kind, joined and read into arrays), on the other
`lightgbm.train` for each of these boosters, with the same parameters, rows and numbers of trees, on a set of bins that it
makes once where the rows are the same. One thread; CPU seconds; the median of alternating runs.
"""

import argparse
import time
from collections.abc import Callable

import lightgbm as lgb
import numpy as np
import pandas as pd
from peers.measure import machine

from leadlight.estimators.classifier import MOST_BAGS
from leadlight.estimators.encoder import Encoder, learn_levels
from leadlight.estimators.forest import OF_KIND, bags, tree_settings
from leadlight.estimators.inputs import matrix
from leadlight.estimators.learner import Learner, Recipe
from leadlight.estimators.parts import PRIOR, Mixture

ROUNDS = 160
MOST = 1.15
"""What the design allows."""


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


class Trees:
    """The forest of one table, grown by us and by LightGBM alone."""

    def __init__(self, frame: pd.DataFrame, y: np.ndarray) -> None:
        self.y, self.weight, self.groups = y, np.ones(len(y)), np.arange(len(y))
        names, levels = tuple(frame), learn_levels(frame)
        self.X = matrix(frame, names, "error", levels, quiet=True)
        encoder = Encoder(levels, self.X) if any(found is not None for found in levels) else None
        columns = self.X.shape[1] if encoder is None else len(encoder.tree_columns)
        statistics = encoder is not None and encoder.has_statistics
        settings = tree_settings(int(y.sum()), len(y), columns, statistics)
        signs = np.zeros(self.X.shape[1], np.int64)
        self.recipe = Recipe("lightgbm", settings, encoder, signs, stumps=True, ridge=True, seed=0, threads=1)
        self.mixture = Mixture((ROUNDS,) * len(self.recipe.kinds), 0.1, PRIOR)
        self.count = min(bags(len(y), statistics), MOST_BAGS)
        self.rows = [self.X] * self.count * len(self.recipe.kinds)
        if encoder is not None and statistics:
            served = encoder.encoding(self.X, y, self.weight).encode(self.X)
            self.rows = [
                encoder.training(self.X, served, y, self.weight, self.groups, k)
                for k in range(len(self.rows))
            ]
        self.shared = not statistics

    def ours(self) -> None:
        """Grow, join and read the forest as a fit does."""
        Learner(self.recipe, self.X, self.y, self.weight, self.groups, MOST_BAGS).trees(self.mixture)

    def lightgbms(self) -> None:
        """Train the same boosters on rows that are encoded already."""
        data = None
        for k, rows in enumerate(self.rows):
            if data is None or not self.shared:
                fixed = {"verbosity": -1, "num_threads": 1, "max_bin": self.recipe.settings["max_bin"]}
                data = lgb.Dataset(rows, self.y, params=fixed)
            parameters = {
                "objective": "binary",
                "verbosity": -1,
                "seed": k,
                "deterministic": True,
                "force_row_wise": True,
                "num_threads": 1,
                **self.recipe.settings,
                **OF_KIND[self.recipe.kinds[k % len(self.recipe.kinds)]],
            }
            lgb.train(parameters, data, ROUNDS)


def main() -> None:
    given = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    given.add_argument("--runs", type=int, default=5)
    runs = given.parse_args().runs
    print(machine(("lightgbm", "numpy")))
    print(
        f"\n| table | boosters of {ROUNDS} trees | LightGBM alone, CPU s | ours, CPU s | ratio | at most {MOST} |"
    )
    print("|---|---|---|---|---|---|")
    for name, (frame, y) in {
        "counts, 30,000 rows x 180 columns": event_log(30_000, 180),
        "lead table, 6,000 rows x 15 columns": lead_table(6_000),
        "lead table, 400 rows x 15 columns": lead_table(400),
    }.items():
        trees = Trees(frame, y)
        trees.ours()
        pairs = np.array([(cpu(trees.lightgbms), cpu(trees.ours)) for _ in range(runs)])
        alone, ours = np.median(pairs, axis=0)
        ratio = float(np.median(pairs[:, 1] / pairs[:, 0]))
        held = "held" if ratio <= MOST else "missed"
        print(f"| {name} | {len(trees.rows)} | {alone:.2f} | {ours:.2f} | {ratio:.2f} | {held} |", flush=True)


if __name__ == "__main__":
    main()
