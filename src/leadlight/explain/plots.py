"""Four plots, each beside a function that returns what it draws.

No plot touches pyplot's global state. Colours are those of Okabe and Ito; every series also has its own dash, marker or
hatch, so that a black-and-white print and a colour-blind reader lose nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from leadlight.errors import InputError
from leadlight.explain.canvas import (
    BLUE,
    MODELS,
    SERIES,
    VERMILION,
    Evaluation,
    axes,
    columns_of,
    curve,
    ink,
    mark_capacity,
    plain,
    rows_axis,
    tidy,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray


def gains_data(report: Evaluation) -> pd.DataFrame:
    """Return what `plot_gains` draws: model, called and reached, both shares from 0 to 1."""
    return curve(report, "gains", ("model", "called", "reached"))


def plot_gains(report: Evaluation, ax: Axes | None = None) -> Axes:
    """Draw the share of buyers reached against the share of members called, one line per model.

    Parameters
    ----------
    report : Report
        Its gains are pooled over the test dates and count rows; the vertical line is the capacity.
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    data = gains_data(report)
    ax = axes(ax)
    for i, (model, rows) in enumerate(data.groupby("model", sort=False)):
        style = SERIES[i % len(SERIES)]
        # Markers start at different places: lines that lie on each other stay distinguishable.
        line = ax.plot(100 * rows["called"], 100 * rows["reached"], markersize=5, **style)[0]
        line.set_markevery((4 + 3 * i, 20))
        line.set_label(MODELS.get(str(model), str(model)))
    ax.set(xlim=(0, 100), ylim=(0, 102), xlabel="members called, %", ylabel="of the buyers' rows reached, %")
    mark_capacity(ax, report.settings.get("share"))
    legend = ax.legend(loc="lower right", frameon=False, handlelength=4)
    plain(*legend.get_texts())
    return tidy(ax)


def calibration_data(report: Evaluation) -> pd.DataFrame:
    """Return what `plot_calibration` draws: predicted, observed, low, high (95 %) and rows, one row per band."""
    return curve(report, "calibration", ("predicted", "observed", "low", "high", "rows"))


def plot_calibration(report: Evaluation, ax: Axes | None = None) -> Axes:
    """Draw the observed share of buyers against the predicted chance, with 95% intervals; the diagonal is perfect.

    Both axes have a square-root scale.

    Parameters
    ----------
    report : Report
        Its bands hold equal numbers of expected buyers.
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    data = calibration_data(report) * 100
    ax = axes(ax)
    top = 1.08 * float(np.nanmax(data[["predicted", "observed", "high"]].to_numpy(), initial=0.01))
    for scale in (ax.set_xscale, ax.set_yscale):
        # Most members have a small chance: a square root keeps their bands apart, and keeps zero.
        scale("function", functions=(_root, np.square))
    ax.plot([0, top], [0, top], color=ink(), linewidth=0.8, linestyle=(0, (4, 3)), label="perfect")
    ax.vlines(data["predicted"], data["low"], data["high"], color=BLUE, linewidth=1.4, label="95% interval")
    ax.plot(
        data["predicted"],
        data["observed"],
        color=BLUE,
        marker="o",
        markersize=7,
        linestyle="",
        label="observed",
    )
    ax.set(
        xlim=(0, top),
        ylim=(0, top),
        xlabel="predicted chance of a deal, %",
        ylabel="observed share of deals, %",
    )
    ax.legend(loc="upper left", frameon=False)
    return tidy(ax)


def worth_data(report: Evaluation) -> pd.DataFrame:
    """Return what `plot_worth` draws: index behaviour; hand_set, deals_say, low, high (95 %), members.

    Raises
    ------
    InputError
        If the report compares no points.
    """
    if report.worth is None or not len(report.worth):
        raise InputError(
            "The report compares no points: the behaviours of its catalogue have none set by hand."
        )
    return report.worth.copy()


def plot_worth(report: Evaluation, ax: Axes | None = None) -> Axes:
    """Draw the points that were set by hand beside what the deals say, with 95% intervals, one row per behaviour.

    Parameters
    ----------
    report : Report
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    data = worth_data(report)
    ax = axes(ax, 1.3 + 0.42 * len(data))
    place = np.arange(len(data))
    ax.axvline(0, color=ink(), linewidth=0.8)
    ax.hlines(place, data["low"], data["high"], color=BLUE, linewidth=1.8, label="95% interval")
    ax.plot(
        data["deals_say"], place, color=BLUE, marker="o", markersize=8, linestyle="", label="the deals say"
    )
    ax.plot(
        data["hand_set"],
        place,
        color=VERMILION,
        marker="D",
        markersize=8,
        markerfacecolor="none",
        markeredgewidth=1.8,
        linestyle="",
        label="set by hand",
    )
    rows_axis(ax, list(map(str, data.index)))
    ax.set_xlabel("points per unit")
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, frameon=False, borderaxespad=0.2)
    return tidy(ax, grid="x")


def importance_data(importance: pd.DataFrame) -> pd.DataFrame:
    """Return what `plot_importance` draws: behaviours with mean_absolute and direction, the most important first.

    Raises
    ------
    InputError
        If the frame is not one that `importance` returns.
    """
    return columns_of(importance, ("mean_absolute", "direction"), "importance").sort_values(
        "mean_absolute", ascending=False, kind="stable"
    )


def plot_importance(importance: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw how much each behaviour moves the scores; a hatched bar pushes hardest downwards.

    Parameters
    ----------
    importance : DataFrame
        From `leadlight.explain.importance`.
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    data = importance_data(importance)
    ax = axes(ax, 1.3 + 0.42 * len(data))
    up = (data["direction"] >= 0).to_numpy()
    place = np.arange(len(data))
    styles = (
        (up, BLUE, BLUE, "", "pushes up hardest"),
        (~up, "none", VERMILION, "///", "pushes down hardest"),
    )
    for rows, face, edge, hatch, label in styles:
        if rows.any():
            size = data["mean_absolute"].to_numpy()[rows]
            ax.barh(place[rows], size, height=0.62, color=face, edgecolor=edge, hatch=hatch, label=label)
    rows_axis(ax, list(map(str, data.index)))
    ax.set_xlabel("mean absolute contribution, log-odds")
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False, borderaxespad=0.2)
    return tidy(ax, grid="x")


def _root(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.sqrt(np.maximum(values, 0.0))
