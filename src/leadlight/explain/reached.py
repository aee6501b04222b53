"""Buyers reached and missed with the same number of calls, by who chooses them: a plot and its data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np
import pandas as pd

from leadlight.errors import InputError
from leadlight.explain.canvas import BLUE, MODELS, axes, ink, plain, rows_axis, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes

QUIET: Final = "#999999"
"""Bars of the models beside this one: their names stand at the axis, so they need no colour of their own."""


class Counted(Protocol):
    """What this asks of a `leadlight.evaluation.Report`."""

    @property
    def settings(self) -> dict[str, Any]:
        """Number of buyers and others."""

    def bounded(self) -> pd.DataFrame:
        """Return the figures, no bound of a count above what there is to count."""


def reached_data(report: Counted) -> pd.DataFrame:
    """Return what `plot_reached` draws: index model; reached, low, high (95 %), missed: accounts, at the same number of calls."""
    return reached_of(report.bounded(), float(report.settings["buyers"]))


def reached_of(table: pd.DataFrame, held: float) -> pd.DataFrame:
    """Return the same of figures by model and metric, such as `leadlight.evaluation.compare_points` returns.

    Parameters
    ----------
    table : DataFrame
        Index (model, metric); value, low, high.
    held : float
        Buyers that there were. No interval goes beyond them.

    Raises
    ------
    InputError
        If no model has the metric "buyers_reached".
    """
    rows = table[table.index.get_level_values("metric") == "buyers_reached"].droplevel("metric")
    if not len(rows):
        raise InputError("The figures hold no buyers_reached; take them from evaluate or compare_points.")
    found = rows[["value", "low", "high"]].astype(float).rename(columns={"value": "reached"})
    found["high"] = found["high"].clip(upper=held)
    return found.assign(missed=held - found["reached"]).rename_axis("model")


def plot_reached(report: Counted, ax: Axes | None = None) -> Axes:
    """Draw how many buyers each model's calls reach, of all there were, with 95% intervals.

    Parameters
    ----------
    report : Report
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    return draw_reached(reached_data(report), ax)


def draw_reached(data: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw what `reached_data` or `reached_of` returns: filled what is reached, empty what is missed."""
    from matplotlib.ticker import MaxNLocator

    ax = axes(ax, 1.1 + 0.42 * len(data))
    held = float((data["reached"] + data["missed"]).iloc[0])
    place = np.arange(len(data))
    color = [BLUE if i == 0 else QUIET for i in place]
    ax.barh(
        place, data["reached"] + data["missed"], height=0.58, facecolor="none", edgecolor=ink(), linewidth=0.6
    )
    ax.barh(place, data["reached"], height=0.58, color=color, alpha=0.85)
    ax.hlines(place, data["low"], data["high"], color=ink(), linewidth=1.6)
    for i, row in enumerate(data.itertuples()):
        label = ax.annotate(
            f"{row.reached:,.0f} of {held:,.0f}",
            (1.01, i),
            xycoords=ax.get_yaxis_transform(),
            va="center",
            fontsize=10,
            fontweight="bold" if i == 0 else "normal",
            annotation_clip=False,
        )
        plain(label)
    rows_axis(ax, [MODELS.get(str(model), str(model)) for model in data.index])
    ax.set(xlim=(0, max(held, 1.0)), xlabel="buyers reached; the line is the 95% interval")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    return tidy(ax, grid="x")
