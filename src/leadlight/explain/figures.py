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

from leadlight.explain.plots import (
    BLUE,
    MODELS,
    Evaluation,
    calibration_data,
    gains_data,
    importance_data,
    plot_calibration,
    plot_gains,
    plot_importance,
    plot_worth,
)
from leadlight.explain.words import percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK: Final = "#010203"
"""Drawn in place of black and replaced by the page's own text colour, so that plots follow light and dark."""

_DRAWING = threading.Lock()  # matplotlib's settings belong to the process


def draw_figures(
    report: Evaluation | None, worth: pd.DataFrame | None, importance: pd.DataFrame | None
) -> dict[str, Any]:
    """Return the plots as inline SVG, each with a description for those who do not see it."""
    found: dict[str, Any] = {}
    if report is not None:
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
        if worth is not None:
            text = "Two marks per behaviour, the points set by hand and what the deals say. The table holds the figures."
            found["worth"] = _svg("worth", lambda: plot_worth(report), "Points by behaviour", text)
    if importance is not None:
        first = ", ".join(map(str, importance_data(importance).index[:3]))
        text = f"Bars, longest first: {first} move the scores most. The table holds the figures."
        found["importance"] = _svg(
            "importance", lambda: plot_importance(importance), "Importance by behaviour", text
        )
    return found


def gains_table(report: Evaluation) -> pd.DataFrame:
    """Share of the buyers' rows reached when so many are called: the plot in figures."""
    data = gains_data(report)
    shares = sorted({float(report.settings.get("share", 0.05)), 0.1, 0.2, 0.3, 0.5})
    models = {
        str(model): np.interp(shares, rows["called"], rows["reached"])
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
    body = (
        body.replace('xlink:href="#', f'href="#{key}-')
        .replace(INK, "currentColor")
        .replace(BLUE, "var(--series)")
    )
    return Markup(  # noqa: S704 - matplotlib escapes the text in its SVG, and the rest is escaped here
        f'<svg role="img" viewBox="{box.group(1) if box else "0 0 518 302"}" aria-labelledby="{key}-title {key}-desc">'
        f'<title id="{key}-title">{escape(title)}</title><desc id="{key}-desc">{escape(description)}</desc>{body}'
    )
