"""Population stability by column and behaviour: today's rows against the profile that the bundle keeps of training."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from leadlight.qualifier.profile import EDGES, shares
from leadlight.runtime import Scorer

Values = NDArray[np.float64]

MOVED: Final = 0.1
DRIFTED: Final = 0.25
"""The usual bounds of the index: below the first a population is stable, above the second it is another one."""

SURE: Final = 0.999
"""An index that chance alone reaches once in a thousand columns is no drift."""


def stability(before: Values, now: Values, rows_before: float, rows_now: float) -> tuple[float, float]:
    """Return the population stability index of two sets of shares, and what chance alone reaches.

    Sum over bins of (now - before) * log(now / before), half a row added to each bin. Where nothing changed, it is
    chi-squared with one degree of freedom less than bins, times 1/n + 1/m (Yurdakul 2018).
    """
    from scipy.stats import chi2

    used = (before > 0) | (now > 0)
    bins = int(used.sum())
    if bins < 2:
        return 0.0, 0.0
    p = (before[used] * rows_before + 0.5) / (rows_before + 0.5 * bins)
    q = (now[used] * rows_now + 0.5) / (rows_now + 0.5 * bins)
    index = float(np.sum((q - p) * np.log(q / p)))
    return index, float(chi2.ppf(SURE, bins - 1)) * (1 / max(rows_before, 1) + 1 / max(rows_now, 1))


def grade(index: float, chance: float) -> str:
    """Return "stable", "moved" or "drifted"."""
    if index <= max(MOVED, chance):
        return "stable"
    return "drifted" if index > max(DRIFTED, chance) else "moved"


def column_drift(scorer: Scorer, X: Values) -> pd.DataFrame:
    """Compare each column with the profile.

    Parameters
    ----------
    scorer : Scorer
        Its model has a profile.
    X : float64 array of shape (n, columns)

    Returns
    -------
    DataFrame
        Index column; behaviour, psi, chance (what it may be where nothing changed), verdict, missing_before, missing_now.
    """
    profile = scorer.model.profile
    assert profile is not None  # the caller asked
    rows_before = float(scorer.info["profile"]["rows"])
    lines = []
    for name, line, column in zip(scorer.columns, profile, X.T, strict=True):
        now = shares(line[:EDGES], column)
        index, chance = stability(line[EDGES:], now, rows_before, len(X))
        lines.append(
            {
                "column": name,
                "behaviour": scorer.plan.behaviour_of.get(name, ""),
                "psi": index,
                "chance": chance,
                "verdict": grade(index, chance),
                "missing_before": float(line[-1]),
                "missing_now": float(now[-1]),
            }
        )
    return pd.DataFrame(lines).set_index("column")


def behaviour_drift(scorer: Scorer, X: Values, columns: pd.DataFrame) -> pd.DataFrame:
    """Sum columns up to behaviours.

    Returns
    -------
    DataFrame
        Index behaviour, in the order of the plan; psi (of its column that drifted most), column (which), columns,
        drifted (how many of them), importance (its part of the mean absolute contributions now, 0 to 1), verdict.
    """
    values = np.abs(scorer.model.contributions(X)[0]).mean(axis=0) if len(X) else np.zeros(X.shape[1])
    weight = pd.Series(values, index=list(scorer.columns))
    lines: list[dict[str, Any]] = []
    for behaviour in scorer.plan.behaviours:
        own = columns.loc[list(behaviour.columns)]
        if not len(own):
            continue
        order = {"stable": 0, "moved": 1, "drifted": 2}
        worst = own.iloc[np.lexsort((-own["psi"].to_numpy(), -own["verdict"].map(order).to_numpy()))[0]]
        lines.append(
            {
                "behaviour": behaviour.name,
                "psi": float(worst["psi"]),
                "column": str(worst.name),
                "columns": len(own),
                "drifted": int((own["verdict"] == "drifted").sum()),
                "importance": float(weight.loc[own.index].sum() / max(weight.sum(), 1e-300)),
                "drifted_importance": float(
                    weight.loc[own.index[own["verdict"] == "drifted"]].sum() / max(weight.sum(), 1e-300)
                ),
                "verdict": str(worst["verdict"]),
            }
        )
    return pd.DataFrame(lines).set_index("behaviour")


def score_drift(scorer: Scorer, p: Values) -> tuple[float, float]:
    """Return the stability index of the scores over tenths of those of training, and what chance alone reaches.

    NaN where the bundle keeps no quantiles.
    """
    kept = scorer.model.quantiles
    if not len(kept) or not len(p):
        return float("nan"), float("nan")
    edges = np.unique(np.quantile(kept, np.arange(1, 10) / 10, method="inverted_cdf"))
    padded = np.append(edges, np.full(EDGES - len(edges), np.nan))
    rows = float(scorer.info.get("profile", {}).get("members") or len(kept))
    return stability(shares(padded, kept), shares(padded, p), rows, len(p))


def plot_drift(columns: pd.DataFrame, behaviours: pd.DataFrame) -> Any:
    """Draw the stability index of every column, by behaviour; the two bounds as lines. Returns matplotlib axes."""
    from leadlight.explain.canvas import BLUE, VERMILION, axes, ink, rows_axis, tidy

    ax = axes(None, 1.6 + 0.42 * len(behaviours))
    places = {name: i for i, name in enumerate(behaviours.index)}
    for verdict, color, marker in (
        ("stable", "#999999", "o"),
        ("moved", BLUE, "^"),
        ("drifted", VERMILION, "D"),
    ):
        some = columns[columns["verdict"] == verdict]
        at = [places[b] for b in some["behaviour"]]
        ax.plot(
            np.maximum(some["psi"], 1e-4),
            at,
            color=color,
            marker=marker,
            markersize=6,
            linestyle="",
            label=verdict,
        )
    ax.set_xscale("log")
    for bound in (MOVED, DRIFTED):
        ax.axvline(bound, color=ink(), linewidth=0.8, linestyle=(0, (4, 3)))
    rows_axis(ax, list(behaviours.index))
    ax.set_xlabel("stability index of each column (0.1: moved, 0.25: drifted)")
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, frameon=False)
    return tidy(ax, grid="x")


def plot_scores(scorer: Scorer, p: Values) -> Any:
    """Draw how the scores were spread at the latest training date and are now. Returns matplotlib axes."""
    from leadlight.explain.canvas import BLUE, VERMILION, axes, ink, tidy

    ax = axes(None)
    rank = np.linspace(0, 100, 201)
    for values, name, color, style in (
        (scorer.model.quantiles, "training", BLUE, "-"),
        (np.sort(p), "now", VERMILION, "--"),
    ):
        if len(values):
            ax.plot(
                rank,
                100 * np.quantile(values, rank / 100),
                color=color,
                linestyle=style,
                label=name,
                linewidth=2,
            )
    ax.axhline(100 * scorer.model.threshold, color=ink(), linewidth=0.8, linestyle=(0, (2, 3)))
    ax.annotate(
        "qualified", (0, 100 * scorer.model.threshold), (2, 3), textcoords="offset points", fontsize=10
    )
    ax.set_yscale("log")
    ax.set(xlabel="members, the lowest scores first, %", ylabel="probability, %")
    ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    ax.legend(frameon=False)
    return tidy(ax)


def log_odds(p: Values) -> Values:
    """Return log-odds, kept finite."""
    clipped = np.clip(p, 1e-12, 1 - 1e-12)
    found: Values = np.log(clipped / (1 - clipped))
    return found
