"""Figures of the contestants of one case, with 95 % intervals over accounts and paired differences to ours."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd
from quality.case import Case
from quality.environments import OURS
from quality.runs import Run

from leadlight.evaluation.metrics import Ranking
from leadlight.evaluation.redraws import Redraws, effective, interval

ROUNDS = 500
FLOOR = 1e-6
"""Log loss keeps probabilities this far from 0 and 1, so that a rival's certainty of a few rows does not decide."""

METRICS = {"average_precision": ("odds", 1), "auc": ("odds", 1), "log_loss": ("plain", -1)}
"""Scale of the interval, and whether more is better."""


@dataclass(frozen=True)
class Figure:
    """Value with interval, and the difference to another contestant with interval (NaN against itself)."""

    value: float
    low: float
    high: float
    difference: float = float("nan")
    difference_low: float = float("nan")
    difference_high: float = float("nan")

    @property
    def text(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"

    @property
    def difference_text(self) -> str:
        if np.isnan(self.difference):
            return ""
        return f"{self.difference:+.3f} ({self.difference_low:+.3f} to {self.difference_high:+.3f})"


class Judgement:
    """One case: for each contestant the mean of its figures over the draws, in the sample and in redraws of accounts.

    The redraws are the same for all contestants and for draws that share their test rows.
    """

    def __init__(self, case: Case, runs: dict[str, list[Run]]) -> None:
        self.case, self.runs = case, runs
        self.failed = {
            n: next(r.failed for r in found if r.failed)
            for n, found in runs.items()
            if any(r.failed for r in found)
        }
        self.names = [name for name in runs if name not in self.failed]
        truths = [_Truth.of(str(d.table.folder)) for d in case.draws]
        self.accounts = sum({id(t): t.accounts for t in truths}.values())
        self.draws: dict[str, dict[str, np.ndarray]] = {}
        for name in self.names:
            each = [truth.figures(run.probability()) for truth, run in zip(truths, runs[name], strict=True)]
            self.draws[name] = {m: np.mean([e[m] for e in each], axis=0) for m in METRICS}

    def figure(self, name: str, metric: str, against: str = OURS) -> Figure:
        """Return one figure; the difference is this contestant minus `against`."""
        scale, _ = METRICS[metric]
        mine = self.draws[name][metric]
        low, high = interval(mine, scale, self.accounts)
        if name == against or against not in self.draws:
            return Figure(float(mine[0]), low, high)
        difference = mine - self.draws[against][metric]
        return Figure(
            float(mine[0]), low, high, float(difference[0]), *interval(difference, "plain", self.accounts)
        )

    def ranked(self, metric: str) -> list[str]:
        """Return the contestants, best first."""
        sign = METRICS[metric][1]
        return sorted(self.names, key=lambda name: -sign * self.draws[name][metric][0])

    def within_first(self, name: str, metric: str) -> bool:
        """Return whether a contestant is first, or the interval of its difference to the first holds 0."""
        first = self.ranked(metric)[0]
        if name == first:
            return True
        found = self.figure(name, metric, against=first)
        return found.difference_low <= 0 <= found.difference_high

    def seconds(self, name: str) -> tuple[float, float]:
        """Return CPU and wall seconds of a fit, medians over the draws."""
        return (
            float(np.median([run.cpu for run in self.runs[name]])),
            float(np.median([run.wall for run in self.runs[name]])),
        )


class _Truth:
    """What one table's test rows are scored on, and redraws of its accounts."""

    def __init__(self, folder: str) -> None:
        truth = pd.read_parquet(f"{folder}/truth.parquet")
        self.y = truth["label"].to_numpy(float)
        self.redraws = Redraws(truth["group"].to_numpy(object), ROUNDS, seed=0)
        positives = self.redraws.per_account(self.y)
        self.accounts = effective(positives[positives > 0])

    @staticmethod
    @lru_cache(maxsize=12)
    def of(folder: str) -> "_Truth":
        return _Truth(folder)

    def figures(self, probability: pd.Series) -> dict[str, np.ndarray]:
        """Return each metric in the sample and in every redraw."""
        p = probability.to_numpy(float)
        areas = Ranking(p, self.y).redrawn(self.redraws)
        p = np.clip(p, FLOOR, 1 - FLOOR)
        loss = -(self.y * np.log(p) + (1 - self.y) * np.log1p(-p))
        mean = self.redraws.sums(loss) / self.redraws.sums(np.ones(len(p)))
        return {"average_precision": areas["average_precision"], "auc": areas["auc"], "log_loss": mean}
