"""The learned points table beside the hand-set points: a plot and its data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from leadlight.explain.canvas import BLUE, VERMILION, axes, columns_of, rows_axis, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DRAWN: Final = ("rule", "points", "hand_set")


def points_data(table: pd.DataFrame) -> pd.DataFrame:
    """Return what `plot_points` draws: rule, points and hand_set, the most points first.

    Parameters
    ----------
    table : DataFrame
        `PointsTable.frame`.

    Raises
    ------
    InputError
        If the frame is none of a points table.
    """
    return columns_of(table, DRAWN, "points").sort_values("points", ascending=False, kind="stable")


def plot_points(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw what each rule is worth as learned, and what the hand-set points give to those who meet it.

    The two have scales of their own (all learned rules together are 100 points): compare the order, not the lengths.

    Parameters
    ----------
    table : DataFrame
        `PointsTable.frame`.
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    data = points_data(table)
    ax = axes(ax, 1.3 + 0.46 * len(data))
    place = np.arange(len(data))
    ax.barh(place, data["points"], height=0.56, color=BLUE, label="learned")
    near = 0.08 * float(data["points"].max())
    for y, points, hand in zip(place.tolist(), data["points"], data["hand_set"], strict=True):
        # A mark just beyond the bar would stand on the figure.
        at, gap = (hand, 8) if 0 <= hand - points < near else (points, 3)
        ax.annotate(f"+{points}", (at, y), (gap, 0), textcoords="offset points", va="center", fontsize=10)
    ax.plot(
        data["hand_set"],
        place,
        color=VERMILION,
        marker="D",
        markersize=8,
        markerfacecolor="white",
        markeredgewidth=1.8,
        linestyle="",
        label="set by hand, on average",
    )
    rows_axis(ax, list(map(str, data["rule"])), width=44)
    ax.set_xlabel("points")
    # The names of rules take half of the figure: from the right the legend has room above them.
    ax.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, frameon=False, borderaxespad=0.2)
    return tidy(ax, grid="x")
