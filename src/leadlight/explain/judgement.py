"""Plots of an evaluation beyond gains: lift, profit, views of the population, weeks of warning; each with its data twin."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from leadlight.errors import InputError
from leadlight.explain.canvas import (
    BLUE,
    MARKS,
    MODELS,
    SERIES,
    VIEWS,
    Evaluation,
    axes,
    buyers,
    columns_of,
    curve,
    ink,
    mark_capacity,
    name_lines,
    plain,
    room_for,
    rows_axis,
    tidy,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def lift_data(report: Evaluation) -> pd.DataFrame:
    """Return what `plot_lift` draws: model, decile (1 is called first), lift, low, high (95 %), cumulative."""
    return curve(report, "lift", ("model", "decile", "lift", "low", "high", "cumulative"))


def plot_lift(report: Evaluation, ax: Axes | None = None) -> Axes:
    """Draw how many times the average share of buyers each tenth of the calls holds, one line per model.

    Parameters
    ----------
    report : Report
        Tenths are pooled over the test dates and count rows. The band is the 95% interval of this model.
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    data = lift_data(report)
    ax = axes(ax)
    ends = {}
    for i, (model, rows) in enumerate(data.groupby("model", sort=False)):
        line = ax.plot(rows["decile"], rows["lift"], markersize=5, **SERIES[i % len(SERIES)])[0]
        line.set_label(MODELS.get(str(model), str(model)))
        ends[str(model)] = (1.0, float(rows["lift"].iloc[0]))
        if i == 0:
            # A tenth of the rows cannot hold more than all buyers.
            high = np.minimum(rows["high"], 10.0)
            ax.fill_between(rows["decile"], rows["low"], high, color=BLUE, alpha=0.14, linewidth=0)
            ax.plot(rows["decile"], high, rows["decile"], rows["low"], color=BLUE, linewidth=0.6)
    ax.hlines(1, 0.7, 10.3, color=ink(), linewidth=0.8, linestyle=(0, (4, 3)))
    top = np.nanmax(np.minimum(data[["lift", "high"]].to_numpy(float), 10.0), initial=1.0)
    room = room_for(ax, ends)
    ax.set(xlim=(0.35 - 9.95 * room / (1 - room), 10.3), ylim=(0, 1.06 * float(top)))
    ax.set_xticks(range(1, 11))
    ax.annotate("chance", (10.3, 1), (3, 0), textcoords="offset points", fontsize=10, va="center")
    ax.set(xlabel="tenth of the members, the best first", ylabel="buyers' rows, times the average")
    name_lines(ax, ends, at=0.35, near=0.6)
    return tidy(ax, grid="y")


def profit_data(report: Evaluation) -> pd.DataFrame:
    """Return what `plot_profit` draws: model, called (share, 0 to 1), buyers, wasted, profit, best.

    Raises
    ------
    InputError
        If no costs were given to `evaluate`.
    """
    if "profit" not in report.curves:
        raise InputError("The report knows no costs; pass costs=Costs(...) to evaluate.")
    return curve(report, "profit", ("model", "called", "buyers", "wasted", "profit", "best"))


def plot_profit(report: Evaluation, ax: Axes | None = None) -> Axes:
    """Draw the profit over no call at all against the share of members called, one line per model.

    Parameters
    ----------
    report : Report
        Evaluated with costs. The plot ends a little after the last share at which any model but chance gains, or after
        the capacity; the data do not. There is no interval: a curve is drawn by the same rows at every share.
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    data = profit_data(report)
    ax = axes(ax)
    share = report.settings.get("share")
    gains = data.loc[(data["profit"] > 0) & (data["model"] != "random"), "called"].max()
    end = min(1.0, 1.3 * float(np.nanmax([1.2 * (share or 0.0), gains, 0.02])))
    shown = data[data["called"] <= end]
    ends = {}
    for i, (model, rows) in enumerate(shown.groupby("model", sort=False)):
        style = SERIES[i % len(SERIES)]
        line = ax.plot(100 * rows["called"], rows["profit"], markersize=5, **style)[0]
        every = max(1, len(rows) // 6)
        line.set_markevery((every * (i + 1) // 7, every))
        line.set_label(MODELS.get(str(model), str(model)))
        ends[str(model)] = (100 * float(rows["called"].iloc[-1]), float(rows["profit"].iloc[-1]))
    low, high = float(shown["profit"].min()), float(shown["profit"].max())
    pad = 0.08 * max(high - low, 1.0)
    # The lines end at 100 * end; to the right of 106 stand their names.
    ax.set(xlim=(0, 106 * end / (1 - room_for(ax, ends))), ylim=(low - pad, high + 1.5 * pad))
    ax.set_xticks([tick for tick in ax.get_xticks() if tick <= 100 * end])
    ax.axhline(0, color=ink(), linewidth=0.8)
    mark_capacity(ax, share)
    own = shown[(shown["model"] == shown["model"].iloc[0]) & shown["best"]]
    if len(own) and float(own["profit"].iloc[0]) > 0:
        place = 100 * float(own["called"].iloc[0]), float(own["profit"].iloc[0])
        ax.plot(*place, marker="o", markersize=9, markerfacecolor="none", markeredgecolor=ink())
        ax.annotate(f"most: {place[1]:,.0f}", place, (7, 6), textcoords="offset points", fontsize=10)
    ax.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}".replace("-", "\u2212"))
    ax.set(xlabel="members called, %", ylabel="profit over no call at all")
    name_lines(ax, ends, at=106 * end, near=102 * end)
    return tidy(ax)


def views_data(report: Evaluation) -> pd.DataFrame:
    """Return what `plot_views` draws: view, buyers, model, missed, low, high (95 %), the share of the buyers' rows not called.

    Views that hold no buyer, or nobody else, are left out: they rank nothing.

    Raises
    ------
    InputError
        If the report has no views.
    """
    if report.views is None:
        raise InputError("The report has no views of its population; make it with evaluate.")
    found = columns_of(report.views, ("view", "model", "metric", "value", "low", "high"), "views")
    held = found[(found["model"] == "population") & (found["metric"] == "buyers")].set_index("view")["value"]
    missed = found[found["metric"] == "missed_share"].rename(columns={"value": "missed"})
    missed["buyers"] = missed["view"].map(held)
    return missed[["view", "buyers", "model", "missed", "low", "high"]].reset_index(drop=True)


def plot_views(report: Evaluation, ax: Axes | None = None) -> Axes:
    """Draw the share of the buyers' rows that each model's calls miss in each view, with 95% intervals.

    Parameters
    ----------
    report : Report
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    data = views_data(report)
    lines = len(data) + 1.4 * data["view"].nunique()
    ax = axes(ax, 1.0 + 0.26 * lines)
    models = list(dict.fromkeys(data["model"]))
    place, ticks, names = 0.0, [], []
    for view, rows in data.groupby("view", sort=False):
        heading = ax.annotate(
            f"{VIEWS.get(str(view), str(view))}: {buyers(rows['buyers'].iloc[0])}",
            (0, place),
            (2, 0),
            textcoords="offset points",
            va="center",
            fontsize=10,
            fontweight="bold",
        )
        plain(heading)
        for row in rows.itertuples(index=False):
            place += 1
            i = models.index(row.model)
            color = SERIES[i % len(SERIES)]["color"]
            ax.hlines(place, 100 * row.low, 100 * row.high, color=color, linewidth=2.4 if i == 0 else 1.2)
            ax.plot(
                100 * row.missed, place, color=color, marker=MARKS[i % len(MARKS)], markersize=7, linestyle=""
            )
            ax.annotate(f"{row.missed:.0%}", (104, place), va="center", fontsize=10, annotation_clip=False)
            ticks.append(place)
            names.append(MODELS.get(str(row.model), str(row.model)))
        place += 1.4
    ax.set_yticks(ticks, names, fontsize=10)
    plain(*ax.get_yticklabels())
    ax.tick_params(axis="y", length=0)
    ax.set(xlim=(0, 112), ylim=(place - 0.8, -0.7), xlabel="of the buyers' rows missed, %")
    ax.set_xticks(range(0, 101, 20))
    return tidy(ax, grid="x")


def warning_data(report: Evaluation) -> pd.DataFrame:
    """Return what `plot_warning` draws: index model; weeks, random, excess, low, high (95 %), alerted, buyers, budget.

    Raises
    ------
    InputError
        If no won deal could be warned of.
    """
    if report.warning is None:
        raise InputError(
            "The report has no weeks of warning: no deal was won that its test rows could warn of."
        )
    return columns_of(
        report.warning, ("weeks", "random", "excess", "low", "high", "alerted", "buyers", "budget"), "warning"
    )


def plot_warning(report: Evaluation, ax: Axes | None = None) -> Axes:
    """Draw how many weeks earlier than random alerts each model alerts of a buyer, with 95% intervals.

    Parameters
    ----------
    report : Report
        A buyer who is never alerted counts as no weeks.
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    data = warning_data(report)
    ax = axes(ax, 1.3 + 0.42 * len(data))
    ax.axvline(0, color=ink(), linewidth=1.0)
    for i, (row, style) in enumerate(zip(data.itertuples(), SERIES * len(data), strict=False)):
        color = style["color"]
        ax.hlines(i, row.low, row.high, color=color, linewidth=2.4 if i == 0 else 1.4)
        ax.plot(row.excess, i, color=color, marker=MARKS[i % len(MARKS)], markersize=8, linestyle="")
        ax.annotate(
            f"{row.weeks:.1f} weeks, {row.alerted:.0%} alerted",
            (1.01, i),
            xycoords=ax.get_yaxis_transform(),
            va="center",
            fontsize=10,
            fontweight="bold" if i == 0 else "normal",
            annotation_clip=False,
        )
    rows_axis(ax, [MODELS.get(str(model), str(model)) for model in data.index])
    ax.annotate(
        f"random alerts: {data['random'].iloc[0]:.1f} weeks",
        (0, 1),
        (0, 4),
        xycoords=ax.get_xaxis_transform(),
        textcoords="offset points",
        ha="center",
        fontsize=10,
    )
    ax.set_xlabel("weeks of warning more than random alerts give")
    return tidy(ax, grid="x")
