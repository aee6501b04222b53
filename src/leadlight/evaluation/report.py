"""The result of an evaluation: numbers with intervals, and the one sentence that a manager needs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from leadlight.evaluation.showing import report_html

METRICS = {
    "average_precision": "average precision",
    "auc": "AUC",
    "false_negatives": "missed buyers (rows)",
    "false_positives": "wasted calls (rows)",
    "buyers_reached": "buyers reached",
    "buyers_missed": "buyers missed",
    "false_positives_at_recall": "wasted calls at the points' recall",
    "log_loss": "log loss",
    "observed_expected": "observed / expected",
    "calibration_slope": "calibration slope",
    "profit": "profit at capacity",
    "lead_weeks": "weeks of warning above chance",
}

FIRST = (
    "average_precision",
    "auc",
    "buyers_reached",
    "false_negatives",
    "false_positives",
    "lead_weeks",
)
"""Metrics that are shown first."""

VIEW_METRICS = {
    "average_precision": "average precision",
    "auc": "AUC",
    "false_negatives": "missed (rows)",
    "missed_share": "missed, share",
    "buyers_missed": "buyers missed",
}

COUNTS = (
    "false_negatives",
    "false_positives",
    "buyers_reached",
    "buyers_missed",
    "false_positives_at_recall",
    "profit",
    "rows",
    "positives",
    "buyers",
)
"""Metrics that count rows or buyers, shown without decimals."""


@dataclass(frozen=True)
class Report:
    """What `evaluate` found on rows that the model did not see, later in time.

    Attributes
    ----------
    table : DataFrame
        One row per model and metric: value, low, high (95 %, accounts redrawn), and difference to "leadlight" with its
        own interval (the same draws for both). Rows are (member, cutoff); a buyer is an account, or a member without one.
    curves : dict of str to DataFrame
        Twins of the plots: "gains" (share called, share of buyers' rows reached, per model), "lift" (per tenth of the
        calls), "calibration" (mean predicted, observed, low, high, rows), "calibration_table" (observed_expected and
        slope), and where costs are known "profit" (by share called).
    counts : DataFrame
        Test rows per cutoff.
    settings : dict
        Capacity share, number of rows, positives, accounts, buyers, dates, estimand, and why whom nobody approached
        counts as it does (`selection_why`).
    worth : DataFrame or None
        Hand-set points beside what the deals say.
    audit : object or None
        Findings of the leakage audit.
    notes : tuple of str
        What else is to be known.
    views : DataFrame or None
        All labels, contacted, explored and inbound members: view, model, metric, value, low, high, difference, its
        bounds, note.
    warning : DataFrame or None
        Weeks of warning per model, above random alerts; None where no deal allows it.
    """

    table: pd.DataFrame
    curves: dict[str, pd.DataFrame]
    counts: pd.DataFrame
    settings: dict[str, Any]
    worth: pd.DataFrame | None = None
    audit: Any = None
    notes: tuple[str, ...] = field(default=())
    views: pd.DataFrame | None = None
    warning: pd.DataFrame | None = None

    def metric(self, name: str, model: str = "leadlight") -> float:
        """Return one figure."""
        return float(self.table.loc[(model, name), "value"])

    def interval(self, name: str, model: str = "leadlight") -> tuple[float, float]:
        """Return its 95 % interval; a count goes no further than what there is to count, as in `bounded`."""
        row = self.bounded().loc[(model, name)]
        return float(row["low"]), float(row["high"])

    def bounded(self) -> pd.DataFrame:
        """Return `table` with no bound of a count above what there is to count: a reader has so many buyers and no more.

        The bounds in `table` are those of another sample of as many accounts, which may hold more buyers than this one.
        """
        s = self.settings
        buyers, positives = s.get("buyers", np.nan), s.get("positives", np.nan)
        calm = s.get("rows", np.nan) - positives
        most = {"buyers_reached": buyers, "buyers_missed": buyers, "false_negatives": positives}
        return _bounded(self.table, most | {"false_positives": calm, "false_positives_at_recall": calm})

    def bounded_views(self) -> pd.DataFrame | None:
        """Return `views` with no bound of the buyers missed above the buyers of that view."""
        if self.views is None:
            return None
        parts = []
        for _, lines in self.views.groupby("view", sort=False):
            held = lines.loc[(lines["model"] == "population") & (lines["metric"] == "buyers"), "value"]
            most = {"buyers_missed": float(held.iloc[0])} if len(held) else {}
            parts.append(_bounded(lines.set_index(["model", "metric"]), most).reset_index())
        return pd.concat(parts, ignore_index=True)[list(self.views.columns)] if parts else self.views.copy()

    def summary(self) -> dict[str, Any]:
        """Return the settings, the sentence, and every model's figures with intervals, as plain values for a bundle."""
        figures = [
            {"model": str(model), "metric": str(metric)}
            | {part: float(row[part]) for part in ("value", "low", "high")}
            for (model, metric), row in self.bounded().iterrows()
        ]
        return {"settings": dict(self.settings), "sentence": self.sentence, "figures": figures}

    @property
    def sentence(self) -> str:
        """With so many calls, how many buyers points reach and how many this reaches."""
        s = self.settings
        own, buyers = f"{self.metric('buyers_reached'):.0f}", f"of {s['buyers']} buyers"
        reaches = f"this reaches {own} {buyers}"
        if ("points", "buyers_reached") in self.table.index:
            points = f"{self.metric('buyers_reached', 'points'):.0f}"
            reaches = f"your points reach {points} {buyers}, this reaches {own}"
        best = f"the best {s['share']:.0%} at each of {s['cutoffs']} dates"
        weekly = s.get("calls_per_week")
        if weekly is None:
            text = f"With {_calls(s['calls'])} at each of {s['cutoffs']} dates {reaches}. (Calling {best}.)"
        else:
            text = f"With {_calls(weekly)} a week {reaches}. (Calling {best}, {_calls(s['calls'])} each.)"
        return ("Simulated: " if s.get("simulated") else "") + text

    def views_text(self) -> str:
        """Return the views as text: what each is, how many it holds, and every model's figures in it."""
        views = self.bounded_views()
        if views is None:
            return "The views were not made."
        parts = []
        for view, lines in views.groupby("view", sort=False):
            held = lines[lines["model"] == "population"].set_index("metric")["value"]
            head = f"{view}: {held['rows']:.0f} rows, {held['positives']:.0f} positive, {held['buyers']:.0f} buyers"
            rate = f", base rate {held['base_rate']:.2%}" if np.isfinite(held["base_rate"]) else ""
            parts.append(f"{head}{rate}. {lines['note'].iloc[0]}")
            models = lines[lines["model"] != "population"]
            if len(models):
                parts.append(_cells(models.set_index(["model", "metric"]), VIEW_METRICS).to_string())
        return "\n\n".join(parts)

    def wide(self) -> pd.DataFrame:
        """Return one row per model, one column per metric, as text with intervals."""
        return _cells(self.bounded(), METRICS)

    def first(self) -> pd.DataFrame:
        """Return the columns of `wide` that `print` shows."""
        return self.wide()[[METRICS[name] for name in FIRST if ("leadlight", name) in self.table.index]]

    def losses(self) -> list[str]:
        """Return the baselines to which the model loses by more than the interval, per metric that ranks."""
        lost = []
        for (model, metric), row in self.table.iterrows():
            if model != "leadlight" and metric in ("average_precision", "auc") and row["difference_high"] < 0:
                lost.append(f"{model} on {metric}")
        return lost

    def __str__(self) -> str:
        return f"{self.sentence}\n\n{self.first().to_string()}"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return report_html(self)


def _bounded(table: pd.DataFrame, most: dict[str, float]) -> pd.DataFrame:
    """Cut the bounds of counts to [0, most], those of their differences to as much on either side of 0."""
    found = table.copy()
    upper = pd.Series(most, dtype=float).reindex(found.index.get_level_values("metric")).to_numpy(float)
    for column in ("low", "high", "difference_low", "difference_high"):
        values = found[column].to_numpy(float)
        lowest = np.zeros(len(values)) if column in ("low", "high") else -upper
        inside = np.where(values > upper, upper, np.where(values < lowest, lowest, values))
        found[column] = np.where(np.isfinite(upper), inside, values)
    return found


def _calls(count: float) -> str:
    text = f"{count:.0f}" if count >= 9.95 else f"{count:.1f}".removesuffix(".0")
    return f"{text} {'call' if text == '1' else 'calls'}"


def _cells(table: pd.DataFrame, names: dict[str, str]) -> pd.DataFrame:
    """One row per model, one column per metric, as text with intervals."""

    def cell(row: pd.Series[Any]) -> str:
        if not np.isfinite(row["value"]):
            return "-"
        digits = 0 if row.name[1] in COUNTS else 1 if row.name[1] == "lead_weeks" else 3
        text = f"{row['value']:.{digits}f}"
        return (
            text
            if not np.isfinite(row["low"])
            else f"{text} [{row['low']:.{digits}f}, {row['high']:.{digits}f}]"
        )

    cells = table.apply(cell, axis=1).unstack("metric")
    models = list(dict.fromkeys(table.index.get_level_values("model")))
    metrics = [m for m in names if m in cells.columns]
    return cells.loc[models, metrics].rename(columns=names)
