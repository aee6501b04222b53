"""The plots of the page as inline SVG."""

from __future__ import annotations

import io
import re
import threading
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from leadlight.explain.canvas import BLUE, MODELS, SERIES, VIEWS, Evaluation
from leadlight.explain.drivers import drivers_data, plot_drivers
from leadlight.explain.judgement import (
    lift_data,
    plot_lift,
    plot_profit,
    plot_views,
    plot_warning,
    profit_data,
    views_data,
    warning_data,
)
from leadlight.explain.plots import (
    calibration_data,
    gains_data,
    importance_data,
    plot_calibration,
    plot_gains,
    plot_importance,
    plot_worth,
)
from leadlight.explain.points import plot_points, points_data
from leadlight.explain.reached import draw_reached, reached_data
from leadlight.explain.words import number, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK: Final = "#010203"
"""Drawn in place of black and replaced by the page's own text colour, so that plots follow light and dark."""

PAINTS: Final = {INK: "currentColor", BLUE: "var(--series)", "#ffffff": "var(--card)"} | {
    style["color"]: f"var(--series-{i})" for i, style in enumerate(SERIES) if i
}
"""Colours of the plots and the page's own in their place, which stand out from light and dark."""

_DRAWING = threading.Lock()  # matplotlib's settings belong to the process


def draw_figures(
    report: Any,
    worth: pd.DataFrame | None,
    importance: pd.DataFrame | None,
    *,
    drivers: pd.DataFrame | None = None,
    points: pd.DataFrame | None = None,
    lost: pd.DataFrame | None = None,
) -> dict[str, Any]:
    """Return the plots as inline SVG, each with a description for those who do not see it."""
    found: dict[str, Any] = {}
    if report is not None:
        data = reached_data(report)
        found["reached"] = _svg(
            "reached", lambda: draw_reached(data), "Buyers reached", f"Bars: {_reached(data)}."
        )
        at = gains_table(report).iloc[0]
        parts = ", ".join(f"{MODELS.get(model, model)} {percent(value)}" for model, value in at.items())
        gains = f"Lines from no members called to all. Of the buyers' rows, {at.name:.0%} of calls reach: {parts}."
        found["gains"] = _svg("gains", lambda: plot_gains(report), "Buyers reached by members called", gains)
        bands = calibration_data(report)
        text = "; ".join(
            f"predicted {percent(b['predicted'])}, observed {percent(b['observed'])}"
            for _, b in bands.iterrows()
        )
        found["calibration"] = _svg(
            "calibration",
            lambda: plot_calibration(report),
            "Observed against predicted",
            f"Points by band: {text}.",
        )
        found |= _more(report)
        if worth is not None:
            text = "Two marks per behaviour, the points set by hand and what the deals say. The table holds the figures."
            found["worth"] = _svg("worth", lambda: plot_worth(report), "Points by behaviour", text)
    if importance is not None:
        first = ", ".join(map(str, importance_data(importance).index[:3]))
        text = f"Bars, longest first: {first} move the scores most. The table holds the figures."
        found["importance"] = _svg(
            "importance", lambda: plot_importance(importance), "Importance by behaviour", text
        )
    if drivers is not None:
        effects = "; ".join(
            f"{name}, {row['speaks']}, {number(row['effect'])}"
            for name, row in drivers_data(drivers).iterrows()
        )
        text = f"Marks with intervals, the largest effect first: {effects}."
        found["drivers"] = _svg("drivers", lambda: plot_drivers(drivers), "What drives deals", text)
    if points is not None:
        worths = "; ".join(f"{row.rule}, {row.points}" for row in points_data(points).itertuples())
        text = f"Bars, the most points first: {worths}."
        found["points"] = _svg("points", lambda: plot_points(points), "Learned points", text)
    if lost is not None:
        text = f"Bars: {_reached(lost)}."
        found["lost"] = _svg("lost", lambda: draw_reached(lost), "Buyers reached by points", text)
    return found


def _reached(data: pd.DataFrame) -> str:
    return "; ".join(
        f"{_model(row.Index)} reaches {number(row.reached)} and misses {number(row.missed)}"
        for row in data.itertuples()
    )


def _more(report: Evaluation) -> dict[str, Any]:
    """The plots for which not every report has data."""
    found: dict[str, Any] = {}
    if "lift" in report.curves:
        first = lift_data(report).query("decile == 1")
        parts = ", ".join(f"{_model(row.model)} {number(row.lift)}" for row in first.itertuples())
        text = f"Lines over ten tenths of the members, falling from left to right. In the first tenth, times the average: {parts}."
        found["lift"] = _svg("lift", lambda: plot_lift(report), "Lift by tenth of the members", text)
    if "profit" in report.curves:
        best = profit_data(report).query("best")
        parts = ", ".join(
            f"{_model(r.model)} {number(r.profit)} at {percent(r.called)}" for r in best.itertuples()
        )
        text = f"Lines of profit by share of members called. Each model's most: {parts}."
        found["profit"] = _svg("profit", lambda: plot_profit(report), "Profit by members called", text)
    if has_views(report):
        data = views_data(report)
        parts = "; ".join(
            f"{VIEWS.get(view, view)}: "
            + ", ".join(f"{_model(row.model)} {percent(row.missed)}" for row in rows.itertuples())
            for view, rows in data.groupby("view", sort=False)
        )
        text = f"Marks with intervals, by view. Of the buyers' rows the calls miss, {parts}."
        found["views"] = _svg("views", lambda: plot_views(report), "Buyers missed in each view", text)
    if report.warning is not None and len(report.warning):
        parts = ", ".join(
            f"{_model(row.Index)} {number(row.excess)}" for row in warning_data(report).itertuples()
        )
        text = f"Marks with intervals around zero, which random alerts give. Weeks more than those: {parts}."
        found["warning"] = _svg("warning", lambda: plot_warning(report), "Weeks of warning by model", text)
    return found


def has_views(report: Evaluation) -> bool:
    """Whether there is more than one view to look at: without contacts there is only that of all labels."""
    return report.views is not None and set(views_data(report)["view"]) - {"all labels"} != set()


def _model(name: Any) -> str:
    return MODELS.get(str(name), str(name))


def gains_table(report: Evaluation) -> pd.DataFrame:
    """Share of the buyers' rows reached when so many are called: the plot in figures."""
    data = gains_data(report)
    shares = sorted({float(report.settings.get("share", 0.05)), 0.1, 0.2, 0.3, 0.5})
    models = {
        str(model): np.interp(shares, rows["called"], rows["reached"])
        for model, rows in data.groupby("model", sort=False)
    }
    return pd.DataFrame(models, index=pd.Index(shares, name="called"))


def lift_table(report: Evaluation) -> pd.DataFrame:
    """Lift of each tenth of the members (rows) by model (columns): the plot in figures."""
    data = lift_data(report)
    return data.pivot(index="decile", columns="model", values="lift")[list(dict.fromkeys(data["model"]))]


def profit_table(report: Evaluation) -> pd.DataFrame:
    """Profit when so many are called, by model: the plot in figures."""
    data = profit_data(report)
    shares = sorted({0.005, 0.01, 0.02, float(report.settings.get("share", 0.05)), 0.1, 0.2})
    models = {
        str(model): np.interp(shares, rows["called"], rows["profit"])
        for model, rows in data.groupby("model", sort=False)
    }
    return pd.DataFrame(models, index=pd.Index(shares, name="called"))


def _svg(key: str, draw: Callable[[], Axes], title: str, description: str) -> Any:
    """Return a plot as an SVG element that can stand in the page beside others."""
    import matplotlib as mpl
    from markupsafe import Markup, escape

    ink = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color", "grid.color")
    clear = ("figure.facecolor", "axes.facecolor", "savefig.facecolor")
    style: Any = dict.fromkeys(ink, INK) | dict.fromkeys(clear, "none")
    style |= {"svg.hashsalt": "leadlight", "svg.fonttype": "none", "font.size": 11}
    buffer = io.StringIO()
    with _DRAWING, mpl.rc_context(), warnings.catch_warnings():
        # Text stays text: the reader's fonts draw what ours cannot measure.
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        mpl.rcdefaults()
        mpl.rcParams.update(style)
        figure: Any = draw().figure
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    drawn = buffer.getvalue()
    box = re.search(r'viewBox="([\d. ]+)"', drawn)
    start = drawn.index(">", drawn.index("<svg")) + 1
    body = re.sub(
        r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", drawn[start:], flags=re.DOTALL
    )
    # Identifiers must differ between the figures of one page; HTML needs no namespace for its links.
    body = re.sub(r'(?<= )id="', f'id="{key}-', body).replace("url(#", f"url(#{key}-")
    body = body.replace('xlink:href="#', f'href="#{key}-')
    # Only what paints: a name may be a colour, too.
    body = re.sub(r"(?<=(?:fill|roke): )#[0-9a-f]{6}", lambda found: PAINTS.get(found[0], found[0]), body)
    return Markup(  # noqa: S704 - matplotlib escapes the text in its SVG, and the rest is escaped here
        f'<svg role="img" viewBox="{box.group(1) if box else "0 0 518 302"}" aria-labelledby="{key}-title {key}-desc">'
        f'<title id="{key}-title">{escape(title)}</title><desc id="{key}-desc">{escape(description)}</desc>{body}'
    )
