"""Four plots, each beside a function that returns what it draws.

No plot touches pyplot's global state. Colours are those of Okabe and Ito; every series also has its own dash, marker or
hatch, so that a black-and-white print and a colour-blind reader lose nothing.
"""

from __future__ import annotations

import textwrap
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
    "recency": "most recently active first",
    "logistic": "logistic regression",
    "lightgbm": "LightGBM as it comes",
    "random": "drawn at random",
}
"""Models of an evaluation in the words of a reader."""

SERIES: Final[tuple[dict[str, Any], ...]] = (
    {"color": BLUE, "linestyle": "-", "linewidth": 2.6},
    {"color": VERMILION, "linestyle": "--", "marker": "D"},
    {"color": "#009e73", "linestyle": "-.", "marker": "^"},
    {"color": "#cc79a7", "linestyle": ":", "marker": "s"},
    {"color": "#e69f00", "linestyle": (0, (6, 2, 1, 2, 1, 2)), "marker": "o"},
    {"color": "#999999", "linestyle": "-", "linewidth": 1.0},
)


class Evaluation(Protocol):
    """What the plots ask of a report: the parts of `leadlight.evaluation.Report` that they draw."""

    @property
    def curves(self) -> dict[str, pd.DataFrame]:
        """Frames "gains" and "calibration"."""

    @property
    def settings(self) -> dict[str, Any]:
        """Capacity share and others."""

    @property
    def worth(self) -> pd.DataFrame | None:
        """Hand-set points beside what the deals say."""


def gains_data(report: Evaluation) -> pd.DataFrame:
    """Return what `plot_gains` draws: model, called and reached, both shares from 0 to 1."""
    return _curve(report, "gains", ("model", "called", "reached"))


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
    ax = _axes(ax)
    for i, (model, rows) in enumerate(data.groupby("model", sort=False)):
        style = SERIES[i % len(SERIES)]
        # Markers start at different places: lines that lie on each other stay distinguishable.
        line = ax.plot(100 * rows["called"], 100 * rows["reached"], markersize=5, **style)[0]
        line.set_markevery((4 + 3 * i, 20))
        line.set_label(MODELS.get(str(model), str(model)))
    share = report.settings.get("share")
    if share is not None:
        ax.axvline(100 * share, color=_ink(), linewidth=0.8, linestyle=(0, (2, 3)))
        ax.annotate(
            f"capacity {share:.0%}", (100 * share, 1), (4, 3), textcoords="offset points", fontsize="small"
        )
    ax.set(xlim=(0, 100), ylim=(0, 102), xlabel="members called, %", ylabel="of the buyers' rows reached, %")
    legend = ax.legend(loc="lower right", frameon=False, handlelength=4)
    _plain(*legend.get_texts())
    return _tidy(ax)


def calibration_data(report: Evaluation) -> pd.DataFrame:
    """Return what `plot_calibration` draws: predicted, observed, low, high (95 %) and rows, one row per band."""
    return _curve(report, "calibration", ("predicted", "observed", "low", "high", "rows"))


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
    ax = _axes(ax)
    top = 1.08 * float(np.nanmax(data[["predicted", "observed", "high"]].to_numpy(), initial=0.01))
    for scale in (ax.set_xscale, ax.set_yscale):
        # Most members have a small chance: a square root keeps their bands apart, and keeps zero.
        scale("function", functions=(_root, np.square))
    ax.plot([0, top], [0, top], color=_ink(), linewidth=0.8, linestyle=(0, (4, 3)), label="perfect")
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
    return _tidy(ax)


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
    ax = _axes(ax, rows=len(data))
    place = np.arange(len(data))
    ax.axvline(0, color=_ink(), linewidth=0.8)
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
    _behaviours(ax, data.index)
    ax.set_xlabel("points per unit")
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, frameon=False, borderaxespad=0.2)
    return _tidy(ax, grid="x")


def importance_data(importance: pd.DataFrame) -> pd.DataFrame:
    """Return what `plot_importance` draws: behaviours with mean_absolute and direction, the most important first.

    Raises
    ------
    InputError
        If the frame is not one that `importance` returns.
    """
    return _columns(importance, ("mean_absolute", "direction"), "importance").sort_values(
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
    ax = _axes(ax, rows=len(data))
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
    _behaviours(ax, data.index)
    ax.set_xlabel("mean absolute contribution, log-odds")
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False, borderaxespad=0.2)
    return _tidy(ax, grid="x")


def _curve(report: Evaluation, name: str, columns: tuple[str, ...]) -> pd.DataFrame:
    if name not in report.curves:
        raise InputError(f"The report has no curve {name!r}; it has {sorted(report.curves)}.")
    return _columns(report.curves[name], columns, name)


def _columns(frame: pd.DataFrame, columns: tuple[str, ...], name: str) -> pd.DataFrame:
    missing = [c for c in columns if c not in frame.columns]
    if missing:
        raise InputError(f"The {name} table lacks {missing}; it has {list(map(str, frame.columns))}.")
    return frame[list(columns)].copy()


def _axes(ax: Axes | None, rows: int | None = None) -> Axes:
    if ax is not None:
        return ax
    from matplotlib.figure import Figure

    height = 4.2 if rows is None else 1.3 + 0.42 * rows
    return Figure(figsize=(7.2, height), layout="constrained").add_subplot()


def _behaviours(ax: Axes, names: pd.Index) -> None:
    ax.set_yticks(np.arange(len(names)), [textwrap.fill(str(name), 26) for name in names])
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.tick_params(axis="y", length=0)
    _plain(*ax.get_yticklabels())


def _plain(*texts: Text) -> None:
    """Keep the dollar signs of a name dollar signs."""
    for text in texts:
        text.set_parse_math(False)


def _root(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.sqrt(np.maximum(values, 0.0))


def _ink() -> Any:
    from matplotlib import rcParams

    return rcParams["text.color"]


def _tidy(ax: Axes, grid: str = "both") -> Axes:
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(visible=True, axis=grid, linewidth=0.5, alpha=0.35)  # type: ignore[arg-type]
    ax.set_axisbelow(True)
    return ax
