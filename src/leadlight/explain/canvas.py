"""What the plots share: a report's parts, axes, and marks that differ in more than their colour."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np
import pandas as pd

from leadlight.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Text
    from numpy.typing import NDArray

BLUE: Final = "#0072b2"
VERMILION: Final = "#d55e00"

MODELS: Final = {
    "leadlight": "this model",
    "points": "your points",
    "learned_points": "the learned points",
    "recency": "most recently active first",
    "logistic": "logistic regression",
    "lightgbm": "LightGBM as it comes",
    "random": "drawn at random",
}
"""Models of an evaluation in the words of a reader."""

VIEWS: Final = {
    "all labels": "everybody, as the deals stand",
    "contacted": "approached by sales",
    "explored": "approached at random",
    "inbound": "asked for sales themselves",
}
"""Views of the population in the words of a reader."""

SERIES: Final[tuple[dict[str, Any], ...]] = (
    {"color": BLUE, "linestyle": "-", "linewidth": 2.6},
    {"color": VERMILION, "linestyle": "--", "marker": "D"},
    {"color": "#009e73", "linestyle": "-.", "marker": "^"},
    {"color": "#cc79a7", "linestyle": ":", "marker": "s"},
    {"color": "#e69f00", "linestyle": (0, (6, 2, 1, 2, 1, 2)), "marker": "v"},
    {"color": "#999999", "linestyle": "-", "linewidth": 1.0, "marker": "x"},
    {"color": "#56b4e9", "linestyle": (0, (9, 3)), "marker": "P"},
)
"""A style for each of `MODELS`: without its colour, no two have the same dash and marker."""

MARKS: Final = ("o", *(str(style["marker"]) for style in SERIES[1:]))
"""Marker of each series where there is no line to tell it by."""


def buyers(count: float) -> str:
    """Return "1 buyer" or "12 buyers"; of a count that is not known, "buyers"."""
    return "buyers" if not np.isfinite(count) else f"{count:,.0f} {'buyer' if count == 1 else 'buyers'}"


class Evaluation(Protocol):
    """What the plots ask of a report: the parts of `leadlight.evaluation.Report` that they draw."""

    @property
    def curves(self) -> dict[str, pd.DataFrame]:
        """Frames "gains", "calibration" and, where they were made, "lift" and "profit"."""

    @property
    def settings(self) -> dict[str, Any]:
        """Capacity share and others."""

    @property
    def worth(self) -> pd.DataFrame | None:
        """Hand-set points beside what the deals say."""

    @property
    def views(self) -> pd.DataFrame | None:
        """Figures of every model in each view of the population."""

    @property
    def warning(self) -> pd.DataFrame | None:
        """Weeks of warning by model."""


def curve(report: Evaluation, name: str, columns: tuple[str, ...]) -> pd.DataFrame:
    """Return a copy of a curve of the report."""
    if name not in report.curves:
        raise InputError(f"The report has no curve {name!r}; it has {sorted(report.curves)}.")
    return columns_of(report.curves[name], columns, name)


def columns_of(frame: pd.DataFrame, columns: tuple[str, ...], name: str) -> pd.DataFrame:
    """Return a copy of the columns; an error names those that are missing."""
    missing = [c for c in columns if c not in frame.columns]
    if missing:
        raise InputError(f"The {name} table lacks {missing}; it has {list(map(str, frame.columns))}.")
    return frame[list(columns)].copy()


def axes(ax: Axes | None, height: float = 4.2) -> Axes:
    """Return the axes given, or new ones of a figure of their own, `height` inches high."""
    if ax is not None:
        return ax
    from matplotlib.figure import Figure

    return Figure(figsize=(7.2, height), layout="constrained").add_subplot()


def rows_axis(ax: Axes, names: Sequence[str], width: int = 26) -> None:
    """Name one row after the other on the vertical axis, the first on top."""
    ax.set_yticks(np.arange(len(names)), [textwrap.fill(name, width) for name in names])
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.tick_params(axis="y", length=0)
    plain(*ax.get_yticklabels())


def mark_capacity(ax: Axes, share: float | None) -> None:
    """Draw the capacity as a vertical line at its share of the members, in percent."""
    if share is None:
        return
    ax.axvline(100 * share, color=ink(), linewidth=0.8, linestyle=(0, (2, 3)))
    ax.annotate(
        f"capacity {share:.0%}",
        (100 * share, 1),
        (4, 3),
        xycoords=ax.get_xaxis_transform(),
        textcoords="offset points",
        fontsize="small",
        va="top",
    )


def spread(places: Sequence[float], gap: float, low: float, high: float) -> NDArray[np.float64]:
    """Return the places moved as little as needed to lie `gap` apart between `low` and `high`, in their order."""
    from scipy.optimize import isotonic_regression

    wanted = np.asarray(places, float)
    order = np.argsort(wanted, kind="stable")
    steps = gap * np.arange(len(wanted))
    apart = isotonic_regression(wanted[order] - steps).x
    # Where there is no room for all, they start at the bottom.
    kept = np.maximum(np.minimum(apart, high - gap * (len(wanted) - 1)), low) + steps
    found = np.empty(len(wanted))
    found[order] = kept
    return found


def room_for(ax: Axes, names: Iterable[str], size: float = 10.0) -> float:
    """Return the share of the width of the axes that the longest name takes, from 0.2 to 0.5."""
    inches = ax.get_window_extent().width / ax.figure.dpi
    # A letter of the bold face is some 0.62 of its size wide.
    wide = max((len(MODELS.get(name, name)) for name in names), default=0) * 0.62 * size / 72
    return float(np.clip(wide / max(inches, 0.1), 0.2, 0.5))


def name_lines(ax: Axes, ends: Mapping[str, tuple[float, float]], at: float, near: float) -> None:
    """Write each model's name beside the end of its line, with a thin line where it had to give way.

    Parameters
    ----------
    ax : Axes
        With its limits set.
    ends : mapping of str to (x, y)
        Model and where its line ends.
    at : float
        Where the names stand: to the left of it if that is left of the ends, else to the right.
    near : float
        Where the thin lines turn towards the names.
    """
    low, high = ax.get_ylim()
    size = 10.0
    inches = ax.get_window_extent().height / ax.figure.dpi
    gap = 1.35 * size / 72 / max(inches, 0.1) * (high - low)
    places = spread([y for _, y in ends.values()], gap, low + gap / 2, high - gap / 2)
    for i, ((model, (x, y)), place) in enumerate(zip(ends.items(), places, strict=True)):
        style = SERIES[i % len(SERIES)]
        ax.plot([x, near, at], [y, place, place], color=style["color"], linewidth=0.7, zorder=1)
        side = "right" if at < x else "left"
        label = ax.annotate(
            MODELS.get(model, model),
            (at, place),
            (-3 if side == "right" else 3, 0),
            textcoords="offset points",
            ha=side,
            va="center",
            fontsize=size,
            fontweight="bold" if i == 0 else "normal",
        )
        plain(label)


def plain(*texts: Text) -> None:
    """Keep the dollar signs of a name dollar signs."""
    for text in texts:
        text.set_parse_math(False)


def ink() -> Any:
    """Return the colour of text."""
    from matplotlib import rcParams

    return rcParams["text.color"]


def tidy(ax: Axes, grid: str = "both") -> Axes:
    """Take away what carries no data."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(visible=True, axis=grid, linewidth=0.5, alpha=0.35)  # type: ignore[arg-type]
    ax.set_axisbelow(True)
    return ax
