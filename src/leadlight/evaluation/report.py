"""The result of an evaluation: numbers with intervals, and the one sentence that a manager needs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

METRICS = {
    "average_precision": "average precision",
    "auc": "AUC",
    "false_negatives": "missed buyers (rows)",
    "false_positives": "wasted calls (rows)",
    "buyers_reached": "buyers reached",
    "false_positives_at_recall": "wasted calls at the points' recall",
    "log_loss": "log loss",
    "observed_expected": "observed / expected",
}

COUNTS = ("false_negatives", "false_positives", "buyers_reached", "false_positives_at_recall")
"""Metrics that count rows or buyers, shown without decimals."""


@dataclass(frozen=True)
class Report:
    """What `evaluate` found on rows that the model did not see, later in time.

    Attributes
    ----------
    table : DataFrame
        One row per model and metric: value, low, high (95 %, accounts redrawn), and difference to "leadlight" with its
        own interval (the same draws for both).
    curves : dict of str to DataFrame
        Twins of the plots: "gains" (share called, share of buyers reached, per model), "calibration" (mean predicted,
        observed, low, high, rows).
    counts : DataFrame
        Test rows per cutoff.
    settings : dict
        Capacity share, number of rows, positives, accounts, buyers, dates, estimand.
    worth : DataFrame or None
        Hand-set points beside what the deals say.
    audit : object or None
        Findings of the leakage audit.
    """

    table: pd.DataFrame
    curves: dict[str, pd.DataFrame]
    counts: pd.DataFrame
    settings: dict[str, Any]
    worth: pd.DataFrame | None = None
    audit: Any = None
    notes: tuple[str, ...] = field(default=())

    def metric(self, name: str, model: str = "leadlight") -> float:
        """Return one figure."""
        return float(self.table.loc[(model, name), "value"])

    def interval(self, name: str, model: str = "leadlight") -> tuple[float, float]:
        """Return its 95 % interval."""
        row = self.table.loc[(model, name)]
        return float(row["low"]), float(row["high"])

    @property
    def sentence(self) -> str:
        """With so many calls, how many buyers points reach and how many this reaches."""
        s = self.settings
        reached = self.metric("buyers_reached")
        text = f"Calling the best {s['share']:.0%} at each of {s['cutoffs']} dates (about {s['calls']:.0f} calls each), "
        if ("points", "buyers_reached") in self.table.index:
            text += (
                f"your points reach {self.metric('buyers_reached', 'points'):.0f} of {s['buyers']} buyers, "
            )
            text += f"this reaches {reached:.0f}."
        else:
            text += f"this reaches {reached:.0f} of {s['buyers']} buyers."
        return ("Simulated: " if s.get("simulated") else "") + text

    def wide(self) -> pd.DataFrame:
        """Return one row per model, one column per metric, as text with intervals."""

        def cell(row: pd.Series[Any]) -> str:
            if not np.isfinite(row["value"]):
                return "-"
            digits = 0 if row.name[1] in COUNTS else 3
            text = f"{row['value']:.{digits}f}"
            return (
                text
                if not np.isfinite(row["low"])
                else f"{text} [{row['low']:.{digits}f}, {row['high']:.{digits}f}]"
            )

        cells = self.table.apply(cell, axis=1).unstack("metric")
        models = list(dict.fromkeys(self.table.index.get_level_values("model")))
        metrics = [m for m in METRICS if m in cells.columns]
        return cells.loc[models, metrics].rename(columns=METRICS)

    def losses(self) -> list[str]:
        """Return the baselines to which the model loses by more than the interval, per metric that ranks."""
        lost = []
        for (model, metric), row in self.table.iterrows():
            if model != "leadlight" and metric in ("average_precision", "auc") and row["difference_high"] < 0:
                lost.append(f"{model} on {metric}")
        return lost

    def __str__(self) -> str:
        table = self.wide()[
            [
                METRICS[m]
                for m in ("average_precision", "auc", "buyers_reached", "false_negatives", "false_positives")
            ]
        ]
        return f"{self.sentence}\n\n{table.to_string()}"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        import html

        return f"<p>{html.escape(self.sentence)}</p>{self.wide().to_html(escape=True)}"
