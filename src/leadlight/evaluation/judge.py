"""Every figure of every model in every draw, and the curves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits

from leadlight.evaluation.metrics import (
    Bools,
    Ranking,
    best_first,
    log_loss_rows,
    redrawn_slopes,
)
from leadlight.evaluation.redraws import Codes, Redraws, Values, effective, interval, union

Figures = dict[str, Values]
T = TypeVar("T")
OWN = "leadlight"

SCALES = {
    "average_precision": "odds",
    "auc": "odds",
    "missed_share": "share",
    "base_rate": "share",
    "false_negatives": "count",
    "false_positives": "count",
    "buyers_reached": "count",
    "buyers_missed": "count",
    "false_positives_at_recall": "count",
    "observed_expected": "count",
}
"""On which scale a figure is nearly normal; all others "plain"."""

BY_BUYER = ("buyers_reached", "buyers_missed", "profit", "lead_weeks")
"""Figures in which each buyer counts once, however many rows it has."""

UNSEEN = ("precision_of_others", "precision_by_account")
"""What the interval of average precision is made of: no figures of their own."""

FEW_BUYERS = 20
"""Below so many, whether intervals hold as often as they say has not been measured."""

LARGE_ACCOUNT = 0.15
"""From this share of the positive rows on, an account decides what is counted by rows."""

COLUMNS = ["value", "low", "high", "difference", "difference_low", "difference_high"]


class Prices(Protocol):
    """What a profit needs of `leadlight.Costs`."""

    @property
    def false_positive(self) -> float:
        """Cost of an approach that had no chance."""

    @property
    def false_negative(self) -> float:
        """Cost of a buyer nobody approached."""


class Judge:
    """Rows with labels, the models' scores of them, and draws of their accounts.

    Parameters
    ----------
    y : float64 array of shape (n,)
    redraws : Redraws
    scores : dict of str to float64 array of shape (n,)
        "leadlight" among them.
    chosen : dict of str to bool array of shape (n,)
        The rows that each model calls.
    probability : float64 array of shape (n,)
        Of "leadlight".
    tie : int64 array of shape (n,)
        Breaks ties.
    costs : Prices, optional
    n_jobs : int
        Models judged at once.
    """

    def __init__(
        self,
        y: Values,
        redraws: Redraws,
        scores: dict[str, Values],
        chosen: dict[str, Bools],
        probability: Values,
        tie: Codes,
        costs: Prices | None = None,
        n_jobs: int = 1,
    ) -> None:
        self.n_jobs = n_jobs
        self.y, self.redraws, self.scores, self.chosen = y, redraws, scores, chosen
        self.probability, self.tie, self.costs = probability, tie, costs
        self.rankings = {name: Ranking(score, y) for name, score in scores.items()}
        self.ones = np.ones(len(y))

    def each(self, of: Callable[[str], T]) -> dict[str, T]:
        """Return something of each model, by name."""
        # One thread of BLAS: more would add in another order, and the models share the cores already.
        with threadpool_limits(1, "blas"):
            found = Parallel(self.n_jobs, prefer="threads")(delayed(of)(name) for name in self.scores)
        return dict(zip(self.scores, found, strict=True))

    def accounts(self, rows: Bools) -> Values:
        """Return 1 for each account with one of the rows, else 0."""
        return (self.redraws.per_account(rows.astype(float)) > 0).astype(float)

    def buyers(self, rows: Bools | None = None) -> Values:
        """Return the number of accounts with a positive row among `rows` in each draw."""
        return self.redraws.of_accounts(self.accounts((self.y > 0) & (True if rows is None else rows)))

    def evidence(self, weight: Values | None = None) -> float:
        """Return how many equal accounts the positive rows are worth."""
        positives = self.y if weight is None else self.y * weight
        return effective(self.redraws.per_account(positives))

    def cautions(self) -> tuple[str, ...]:
        """Return where these rows are too few for their intervals to be believed."""
        by_account = self.redraws.per_account(self.y)
        buyers, largest = int((by_account > 0).sum()), float(by_account.max() / by_account.sum())
        found = []
        if buyers < FEW_BUYERS:
            found.append(
                f"The test rows hold {buyers} buyers: with fewer than {FEW_BUYERS} the intervals may be too narrow. "
                "Test on more cutoffs, or wait for more deals."
            )
        if largest >= LARGE_ACCOUNT:
            found.append(
                f"One account holds {largest:.0%} of the positive rows, and no interval can know of such accounts that the "
                "test rows do not hold: trust figures per buyer more than average precision, AUC and missed rows."
            )
        return tuple(found)

    def figures(self) -> dict[str, Figures]:
        """Return every metric of every model in each draw, and what the interval of average precision needs."""
        recall = None
        total = self.redraws.sums(self.y)
        if "points" in self.scores:
            with np.errstate(divide="ignore", invalid="ignore"):
                recall = self.redraws.sums(self.y * self.chosen["points"]) / total
        return self.each(lambda name: self._figures(name, recall, total))

    def _figures(self, name: str, recall: Values | None, total: Values) -> Figures:
        chosen, y, redraws = self.chosen[name], self.y, self.redraws
        areas = self.rankings[name].redrawn(redraws, recall=recall)
        reached, wasted = self.buyers(chosen), redraws.sums((1 - y) * chosen)
        found = {
            "average_precision": areas["average_precision"],
            "auc": areas["auc"],
            **{name: areas[name] for name in UNSEEN},
            "false_negatives": redraws.sums(y * ~chosen),
            "false_positives": wasted,
            "buyers_reached": reached,
            "buyers_missed": self.buyers() - reached,
        }
        if recall is not None:
            found["false_positives_at_recall"] = areas["false_positives_at_recall"]
        if self.costs is not None:
            found["profit"] = self.costs.false_negative * reached - self.costs.false_positive * wasted
        if name == OWN:
            expected, rows = redraws.sums(self.probability), redraws.sums(self.ones)
            with np.errstate(divide="ignore", invalid="ignore"):
                found["log_loss"] = redraws.sums(log_loss_rows(self.probability, y)) / rows
                found["observed_expected"] = np.where(expected > 0, total / expected, np.nan)
            found["calibration_slope"] = redrawn_slopes(self.probability, y, redraws)
        return found

    def gains(self) -> pd.DataFrame:
        """Return the share of positive rows reached by share of rows called, in 101 steps; ties count together."""
        gains = []
        for name, ranking in self.rankings.items():
            hits, alarms = ranking.curve(self.ones)
            called = np.concatenate([[0.0], (hits + alarms) / len(self.y)])
            reached = np.concatenate([[0.0], hits / hits[-1]])
            grid = np.linspace(0, 1, 101)
            gains.append(
                pd.DataFrame({"model": name, "called": grid, "reached": np.interp(grid, called, reached)})
            )
        return pd.concat(gains, ignore_index=True)

    def lift(self) -> pd.DataFrame:
        """Return per tenth of the rows, best first, how many times the base rate it holds, with 95 % intervals.

        Returns
        -------
        DataFrame
            model, decile (1 is called first), rows, positives, lift, low, high, cumulative (lift of this tenth and those
            before it).
        """
        frames = []
        decile = np.arange(len(self.y)) * 10 // len(self.y)
        base = self.redraws.sums(self.y) / np.maximum(self.redraws.sums(self.ones), 1)
        for name, score in self.scores.items():
            order = best_first(score, self.tie)
            place = np.empty(len(order), np.int64)
            place[order] = decile
            positives, rows = np.bincount(place, self.y, 10), np.bincount(place, minlength=10)
            spans = []
            for k in range(10):
                inside = (place == k).astype(float)
                with np.errstate(divide="ignore", invalid="ignore"):
                    draws = self.redraws.sums(self.y * inside) / self.redraws.sums(inside) / base
                    # Of a tenth without positives the interval reaches to what few of them would be.
                    spread = float(1 / rows[k] / base[0])
                spans.append(interval(draws, "count", self.evidence(), spread))
            low, high = np.array(spans).T
            with np.errstate(divide="ignore", invalid="ignore"):
                lift = positives / rows / base[0]
                cumulative = np.cumsum(positives) / np.cumsum(rows) / base[0]
            columns = {"decile": np.arange(1, 11), "rows": rows, "positives": positives, "lift": lift}
            columns |= {"low": low, "high": high, "cumulative": cumulative}
            frames.append(pd.DataFrame(columns).assign(model=name))
        found = pd.concat(frames, ignore_index=True)
        return found[["model", *found.columns.drop("model")]]

    def profit(self, costs: Prices) -> pd.DataFrame:
        """Return the profit against the share of rows called, best first; a buyer counts once, a call each time.

        Returns
        -------
        DataFrame
            model, called (share), buyers (reached), wasted (calls), profit, best (True at the model's most profitable
            share, which is chosen on these rows and so flatters a little).
        """
        frames = []
        steps = np.unique(np.round(np.linspace(0, len(self.y), 1001)).astype(np.int64))
        for name, score in self.scores.items():
            order = best_first(score, self.tie)
            positive, account = self.y[order] > 0, self.redraws.codes[order]
            first = np.zeros(len(order))
            first[np.flatnonzero(positive)[np.unique(account[positive], return_index=True)[1]]] = 1.0
            buyers = np.concatenate([[0.0], np.cumsum(first)])[steps]
            wasted = np.concatenate([[0.0], np.cumsum(~positive)])[steps]
            profit = costs.false_negative * buyers - costs.false_positive * wasted
            frame = pd.DataFrame({"model": name, "called": steps / len(order), "buyers": buyers})
            frames.append(
                frame.assign(wasted=wasted, profit=profit, best=np.arange(len(steps)) == np.argmax(profit))
            )
        return pd.concat(frames, ignore_index=True)

    def calibration(self) -> pd.DataFrame:
        """Return the observed share in bands of predicted probability that hold equal expected positives.

        Returns
        -------
        DataFrame
            predicted, observed, low, high (95 %), rows.
        """
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
            with np.errstate(divide="ignore", invalid="ignore"):
                observed = self.redraws.sums(self.y * inside) / self.redraws.sums(inside.astype(float))
            low, high = interval(observed, "share", self.evidence(inside.astype(float)))
            if observed[0] == 0 and np.isfinite(high):
                # The exact binomial bound for accounts of which none bought.
                high = float(1 - 0.025 ** (1 / self.accounts(inside).sum()))
            rows.append(
                {
                    "predicted": float(p[inside].mean()),
                    "observed": float(observed[0]),
                    "low": low,
                    "high": high,
                    "rows": int(inside.sum()),
                }
            )
        return pd.DataFrame(rows)


def tabulate(figures: dict[str, Figures], accounts: float, buyers: float, each: float) -> pd.DataFrame:
    """Return one row per model and metric: value, its interval, the difference of "leadlight" to it, and that interval.

    The interval of average precision holds both that of the figure itself and that of the precision among others
    (`Ranking.redrawn`). A difference of two is decided by the few accounts that rank high in one of them: its Student's t
    is for as many as the accounts' differences are worth, at least 4.

    Parameters
    ----------
    figures : dict of str to dict of str to float64 array of shape (rounds + 1,)
    accounts : float
        Effective number of accounts with positives.
    buyers : float
        Number of accounts with positives.
    each : float
        Positive rows of one such account, on average over positive rows.
    """
    rows: list[dict[str, Any]] = []
    for model, found in figures.items():
        for metric, draws in found.items():
            if metric in UNSEEN:
                continue
            worth = buyers if metric in BY_BUYER else accounts
            scale = SCALES.get(metric, "plain")
            spread = (
                0.0
                if scale != "count" or metric == "observed_expected"
                else 1.0
                if metric in BY_BUYER
                else each
            )
            versions = [metric, UNSEEN[0]] if metric == "average_precision" else [metric]
            low, high = union(interval(found[v], scale, worth, spread) for v in versions)
            row = {
                "model": model,
                "metric": metric,
                "value": float(draws[0]),
                "low": low,
                "high": high,
            }
            if model != OWN and metric in figures[OWN]:
                own = figures[OWN]
                if metric == "average_precision":
                    worth = max(effective(np.abs(own[UNSEEN[1]] - found[UNSEEN[1]])), 4.0)
                row["difference"] = float(own[metric][0] - draws[0])
                row["difference_low"], row["difference_high"] = union(
                    interval(own[v] - found[v], "plain", worth, spread) for v in versions
                )
            rows.append(row)
    return pd.DataFrame(rows).set_index(["model", "metric"]).reindex(columns=COLUMNS)
