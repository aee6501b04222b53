"""Judge a qualifier on later rows, beside its baselines, with intervals over accounts."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import clone

from leadlight.community import Community
from leadlight.errors import InputError, LeakageError
from leadlight.estimators import PointsScorer
from leadlight.estimators.points import worth
from leadlight.evaluation.audit import audit_leakage
from leadlight.evaluation.baselines import BASELINES, baseline_score
from leadlight.evaluation.metrics import Ranking, account_draws, calibration_slope, log_loss, top_share
from leadlight.evaluation.report import Report
from leadlight.features import build_features
from leadlight.moments import moment_text
from leadlight.observations import Observations
from leadlight.plan import Plan

Values = NDArray[np.float64]
Draws = dict[str, Values]


class Qualifier(Protocol):
    """What `evaluate` asks of a qualifier."""

    plan_: Plan
    trained_until_us_: int
    training_: Any

    def fit(self, community: Community, observations: Observations) -> Any:
        """Fit on training rows."""

    def predict_proba(self, X: pd.DataFrame) -> Values:
        """Return probabilities of feature rows."""


def evaluate(
    qualifier: Any,
    community: Community,
    test: Observations,
    baselines: tuple[str, ...] = BASELINES,
    *,
    share: float = 0.05,
    rounds: int = 500,
    seed: int = 0,
) -> Report:
    """Measure a qualifier on rows later than its training.

    Parameters
    ----------
    qualifier : LeadQualifier
        Fitted on earlier rows. An unfitted one is cloned and fitted on the earlier part of `test`, and judged on the rest.
    community : Community
    test : Observations
        Labelled rows; rows without a label are left out.
    baselines : tuple of str
        From "points", "recency", "logistic", "lightgbm", "random"; trained on the qualifier's own training rows.
    share : float
        Capacity: the best share of each cutoff is called.
    rounds : int
        Bootstrap draws of whole accounts, the same for every model.

    Returns
    -------
    Report

    Raises
    ------
    LeakageError
        If a test cutoff lies before the end of a training window.
    """
    unknown = [name for name in baselines if name not in BASELINES]
    if unknown or isinstance(baselines, str):
        raise InputError(f"baselines is {baselines!r}; give a tuple of names from {BASELINES}.")
    if not 0 < share <= 1:
        raise InputError(f"share is {share}; it must be in (0, 1], such as .05.")
    if hasattr(qualifier, "plan_") and not hasattr(qualifier, "training_"):
        raise InputError(
            "This qualifier was loaded from a bundle, which keeps no training rows for the baselines. "
            "Fit it again, or judge the one that was fitted."
        )
    if not hasattr(qualifier, "plan_"):
        qualifier, test = _fit_on_earlier(qualifier, community, test)
    test = test.labelled()
    _check_later(qualifier, test)
    y = test.label.to_numpy(float)
    if not 0 < y.sum() < len(y):
        raise InputError(
            f"The test rows hold {int(y.sum())} positives of {len(y)}; there is nothing to rank."
        )
    X = build_features(community, test, qualifier.plan_)
    probability = qualifier.predict_proba(X)[:, 1]
    scores: dict[str, Values] = {"leadlight": probability}
    X_train, y_train, weight, train_groups = qualifier.training_
    points = PointsScorer.from_plan(qualifier.plan_)
    notes: tuple[str, ...] = ()
    if "points" in baselines and not points.rules:
        baselines = tuple(name for name in baselines if name != "points")
        notes = ("No behaviour of this catalogue has hand-set points, so there are none to compare with.",)
    for name in baselines:
        scores[name] = baseline_score(name, qualifier.plan_, (X_train, y_train, weight), X)
    cutoff, groups = test.cutoff_us, test.groups
    chosen = {name: top_share(score, cutoff, share) for name, score in scores.items()}
    draws = account_draws(groups, rounds, seed)
    judge = _Judge(y, groups, chosen, scores, probability)
    table = judge.table(draws)
    cutoffs = np.unique(cutoff)
    settings = {
        "share": share,
        "rows": len(y),
        "positives": int(y.sum()),
        "accounts": len(np.unique(groups.astype(str))),
        "buyers": int(judge.buyers(np.ones(len(y)))),
        "cutoffs": len(cutoffs),
        "calls": float(chosen["leadlight"].sum() / len(cutoffs)),
        "base_rate": float(y.mean()),
        "first_cutoff": moment_text(int(cutoffs[0])),
        "last_cutoff": moment_text(int(cutoffs[-1])),
        "trained_until": moment_text(qualifier.trained_until_us_),
        "calibration_slope": calibration_slope(probability, y),
        "simulated": community.simulated,
        "estimand": getattr(qualifier, "estimand_", ""),
    }
    learned = worth(points, X_train, y_train, train_groups) if points.rules else None
    audit = audit_leakage(X_train, pd.Series(y_train, index=X_train.index))
    return Report(table, judge.curves(draws), test_counts(test), settings, learned, audit, notes)


def test_counts(test: Observations) -> pd.DataFrame:
    """Return rows, won, lost, open and contacted per cutoff."""
    frame = test.frame
    grouped = frame.groupby("cutoff")
    counts = pd.DataFrame({"rows": grouped.size(), "positive": grouped["label"].sum()})
    for outcome in ("won", "lost", "open"):
        counts[outcome] = (frame["outcome"] == outcome).groupby(frame["cutoff"]).sum()
    contacted = (frame["contacted"] == True).astype(bool)  # noqa: E712 - None is not True
    counts["contacted"] = contacted.groupby(frame["cutoff"]).sum()
    return counts


test_counts.__test__ = False  # type: ignore[attr-defined]


def _fit_on_earlier(qualifier: Any, community: Community, rows: Observations) -> tuple[Any, Observations]:
    rows = rows.labelled()
    cutoffs = np.unique(rows.cutoff_us)
    if len(cutoffs) < 4:
        raise InputError(
            f"{len(cutoffs)} cutoffs are too few to train on the earlier and test on the later ones."
        )
    start = int(cutoffs[int(len(cutoffs) * 0.7)])
    train, test = rows.split(start, start)
    return clone(qualifier).fit(community, train), test


def _check_later(qualifier: Any, test: Observations) -> None:
    cutoffs = test.cutoff_us
    early = cutoffs < qualifier.trained_until_us_
    if early.any():
        raise LeakageError(
            f"{int(early.sum())} test rows have cutoffs before {moment_text(qualifier.trained_until_us_)}, when the last "
            "training window ended: the model has seen part of their future. Test on later cutoffs."
        )


class _Judge:
    """All metrics of all models for one vector of row weights."""

    def __init__(
        self,
        y: Values,
        groups: NDArray[Any],
        chosen: dict[str, NDArray[np.bool_]],
        scores: dict[str, Values],
        p: Values,
    ) -> None:
        self.y, self.chosen, self.probability = y, chosen, p
        self.rankings = {name: Ranking(score, y) for name, score in scores.items()}
        self.codes = np.unique(groups.astype(str), return_inverse=True)[1]
        self.positive = y > 0

    def buyers(self, weight: Values, rows: NDArray[np.bool_] | None = None) -> float:
        """Number of accounts with a positive row (among `rows`), each as often as it was drawn."""
        mask = self.positive if rows is None else self.positive & rows
        times = np.zeros(self.codes.max() + 1)
        times[self.codes[mask]] = weight[mask]
        return float(times.sum())

    def figures(self, name: str, weight: Values) -> dict[str, float]:
        ranking, chosen = self.rankings[name], self.chosen[name]
        found = {
            "average_precision": ranking.average_precision(weight),
            "auc": ranking.auc(weight),
            "false_negatives": float((weight * self.y)[~chosen].sum()),
            "false_positives": float((weight * (1 - self.y))[chosen].sum()),
            "buyers_reached": self.buyers(weight, chosen),
        }
        if "points" in self.chosen:
            positives = float((weight * self.y).sum())
            reached = float((weight * self.y)[self.chosen["points"]].sum())
            recall = reached / positives if positives > 0 else float("nan")
            found["false_positives_at_recall"] = ranking.false_positives_at_recall(weight, recall)
        if name == "leadlight":
            expected = float((weight * self.probability).sum())
            found["log_loss"] = log_loss(self.probability, self.y, weight)
            found["observed_expected"] = (
                float((weight * self.y).sum()) / expected if expected > 0 else float("nan")
            )
        return found

    def table(self, draws: list[Values]) -> pd.DataFrame:
        ones = np.ones(len(self.y))
        point = {name: self.figures(name, ones) for name in self.rankings}
        redrawn = {name: pd.DataFrame([self.figures(name, w) for w in draws]) for name in self.rankings}
        rows = []
        for name, figures in point.items():
            for metric, value in figures.items():
                row = {
                    "model": name,
                    "metric": metric,
                    "value": value,
                    **_interval(redrawn[name], metric, ""),
                }
                if name != "leadlight":
                    row["difference"] = point["leadlight"][metric] - value
                    gap = redrawn["leadlight"] - redrawn[name] if len(draws) else redrawn[name]
                    row |= _interval(gap, metric, "difference_")
                rows.append(row)
        columns = ["value", "low", "high", "difference", "difference_low", "difference_high"]
        return pd.DataFrame(rows).set_index(["model", "metric"]).reindex(columns=columns)

    def curves(self, draws: list[Values]) -> dict[str, pd.DataFrame]:
        ones = np.ones(len(self.y))
        gains = []
        for name, ranking in self.rankings.items():
            hits, alarms = ranking.curve(ones)
            called = np.concatenate([[0.0], (hits + alarms) / len(self.y)])
            reached = np.concatenate([[0.0], hits / hits[-1]])
            grid = np.linspace(0, 1, 101)
            gains.append(
                pd.DataFrame({"model": name, "called": grid, "reached": np.interp(grid, called, reached)})
            )
        return {"gains": pd.concat(gains, ignore_index=True), "calibration": self._calibration(draws)}

    def _calibration(self, draws: list[Values]) -> pd.DataFrame:
        """Observed share in bands of predicted probability that hold equal expected positives."""
        p, order = self.probability, np.argsort(self.probability, kind="stable")
        bands = max(2, min(10, int(self.y.sum() // 15) or 2))
        mass = np.cumsum(p[order]) / p.sum()
        band = np.empty(len(p), np.int64)
        band[order] = np.minimum((mass * bands).astype(np.int64), bands - 1)
        rows = []
        for k in range(bands):
            inside = band == k
            if not inside.any():
                continue
            observed = [
                float(np.average(self.y[inside], weights=w[inside])) for w in draws if w[inside].sum() > 0
            ]
            low, high = np.percentile(observed, [2.5, 97.5]) if observed else (np.nan, np.nan)
            rows.append(
                {
                    "predicted": float(p[inside].mean()),
                    "observed": float(self.y[inside].mean()),
                    "low": float(low),
                    "high": float(high),
                    "rows": int(inside.sum()),
                }
            )
        return pd.DataFrame(rows)


def _interval(frame: pd.DataFrame, metric: str, prefix: str) -> dict[str, float]:
    values = frame[metric].dropna().to_numpy() if metric in frame else np.empty(0)
    low, high = np.percentile(values, [2.5, 97.5]) if len(values) else (np.nan, np.nan)
    return {f"{prefix}low": float(low), f"{prefix}high": float(high)}
