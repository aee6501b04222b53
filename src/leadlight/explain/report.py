"""The page for a sales manager: one HTML file that loads nothing, says how sure it is, and what it must not be used for.

The rooms that make reports and scores lie beside and above this one; the protocols below name what is asked of them.
"""

from __future__ import annotations

import io
import math
import os
import re
import secrets
import threading
import warnings
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, Self

import numpy as np
import pandas as pd

from leadlight.errors import InputError
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
    worth_data,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK: Final = "#010203"
"""Drawn in place of black and replaced by the page's own text colour, so that plots follow light and dark."""

DASH: Final = "\u2013"
MINUS: Final = "\u2212"

UNDECIDED: Final = "cannot tell yet"
UNSEEN: Final = "never seen, so nothing is known"

_DRAWING = threading.Lock()  # matplotlib's settings belong to the process


class Judged(Evaluation, Protocol):
    """What the page asks of a `leadlight.evaluation.Report`."""

    @property
    def table(self) -> pd.DataFrame:
        """Figures by model and metric."""

    @property
    def counts(self) -> pd.DataFrame:
        """Rows per test date."""

    @property
    def audit(self) -> Any:
        """Findings of the leakage audit, or None."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What else is to be known."""

    @property
    def sentence(self) -> str:
        """The result in one sentence."""

    def wide(self) -> pd.DataFrame:
        """Return one row per model, one column per metric, as text."""

    def losses(self) -> list[str]:
        """Return the baselines that are better."""


class Ranked(Protocol):
    """What the page asks of `leadlight.qualifier.Scores`."""

    frame: pd.DataFrame
    simulated: bool

    def top(self, n: int | None = None) -> Self:
        """Return the call list."""


def write_report(
    path: str | Path,
    *,
    report: Judged | None = None,
    scores: Ranked | None = None,
    importance: pd.DataFrame | None = None,
    title: str = "leadlight",
    aggregate: bool = False,
    generated_for: str | None = None,
    note: str | None = None,
    top: int = 40,
) -> Path:
    """Write one self-contained HTML page: whom to approach and why, how sure we are, what was checked.

    The page runs no script and loads nothing. All text is escaped. Equal inputs give equal bytes: no clock is read.

    Parameters
    ----------
    path : str or Path
        A file there is replaced whole or not at all.
    report : Report, optional
        From `evaluate`; without one the page says that nothing is proven.
    scores : Scores, optional
        From `LeadQualifier.score`; the call list is its `top(top)`.
    importance : DataFrame, optional
        From `leadlight.explain.importance`.
    title : str
    aggregate : bool
        Leave out whatever speaks of a single member or account.
    generated_for : str, optional
        The reader, such as "Sales, region north".
    note : str, optional
        Shown near the top: what a reader has to know first, such as "The outcome is a proxy: first accepted answer".
    top : int
        Length of the call list.

    Returns
    -------
    Path
        Where the page was written.

    Raises
    ------
    InputError
        If there is nothing to report, or no folder to write to.
    """
    if report is None and scores is None and importance is None:
        raise InputError("There is nothing to report; give report=, scores= or importance=.")
    target = Path(path)
    if not target.parent.is_dir():
        raise InputError(f"The folder {str(target.parent)!r} does not exist; make it first.")
    worth = None if report is None or report.worth is None or not len(report.worth) else worth_data(report)
    page = _template().render(
        title=title,
        generated_for=generated_for,
        note=note,
        aggregate=aggregate,
        simulated=_simulated(report, scores),
        report=report,
        settings={} if report is None else report.settings,
        reached=[] if report is None else list(_reached(report)),
        verdict="" if report is None else _verdict(report),
        trust="" if report is None else _trust(report),
        losses=[] if report is None else [_loss(text) for text in report.losses()],
        wide=None if report is None else report.wide().rename(index=MODELS).T,
        scored=None if scores is None else _scored(scores),
        calls=None if scores is None or aggregate else list(_calls(scores.top(top).frame)),
        worth=None if worth is None else list(_worth(worth)),
        importance=None if importance is None else importance_data(importance),
        gains=None if report is None else _gains_table(report),
        bands=None if report is None else calibration_data(report),
        figures=_figures(report, worth, importance),
        number=_number,
        percent=_percent,
        span=_span,
        models=MODELS,
    )
    _replace(target, page)
    return target


def _template() -> Any:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(
        files("leadlight.explain").joinpath("report.html.j2").read_text(encoding="utf-8")
    )


def _simulated(report: Judged | None, scores: Ranked | None) -> bool:
    judged = report is not None and bool(report.settings.get("simulated"))
    return judged or (scores is not None and bool(scores.simulated))


def _replace(target: Path, page: str) -> None:
    """Write beside the target and rename: a reader sees the old page or the new one."""
    beside = target.with_name(f".{target.name}.{secrets.token_hex(6)}")
    try:
        with beside.open("x", encoding="utf-8", errors="replace", newline="\n") as file:
            file.write(page)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, target)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


# Numbers as words ---------------------------------------------------------------------------------------------------


def _number(value: float) -> str:
    """Return at most two digits after the point, fewer for larger numbers; a true minus sign."""
    if not math.isfinite(value):
        return DASH
    digits = 0 if abs(value) >= 9.95 else 1 if abs(value) >= 0.995 else 2
    text = f"{value:,.{digits}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in ("-0", "") else text.replace("-", MINUS)


def _percent(value: float) -> str:
    if not math.isfinite(value):
        return DASH
    if 0 < value < 0.0005:
        return "below 0.1%"
    return f"{value:.1%}" if value < 0.0995 else f"{value:.0%}"


def _span(low: float, high: float, form: Callable[[float], str] = _number) -> str:
    """Return an interval in brackets; nothing where it is unknown."""
    return f"({form(low)} to {form(high)})" if math.isfinite(low) and math.isfinite(high) else ""


def _text(value: Any) -> str:
    return "" if pd.isna(value) else str(value)


# Sections -----------------------------------------------------------------------------------------------------------


def _scored(scores: Ranked) -> dict[str, Any]:
    frame = scores.frame
    grades = frame["grade"].value_counts()
    at = frame["at"].max() if len(frame) else None
    return {
        "members": len(frame),
        "qualified": int(frame["qualified"].sum()),
        "grades": {grade: int(grades.get(grade, 0)) for grade in ("A", "B", "C", "D")},
        "at": "" if at is None or pd.isna(at) else f"{at:%Y-%m-%d %H:%M} UTC",
        "versions": ", ".join(sorted(set(map(str, frame["model_version"])))),
    }


def _calls(frame: pd.DataFrame) -> Iterator[dict[str, Any]]:
    for place, row in enumerate(frame.to_dict("records"), 1):
        yield {
            "place": place,
            "member": _text(row["member_id"]),
            "account": _text(row["account_id"]),
            "chance": _percent(row["probability"]),
            "span": _span(row["low"], row["high"], _percent),
            "grade": _text(row["grade"]),
            "reasons": [(bool(reason.contribution < 0), reason.text) for reason in row["reasons"]],
        }


def _reached(report: Judged) -> Iterator[dict[str, Any]]:
    """Yield what each model reaches, misses and wastes at capacity, and how that differs from this model."""
    table, buyers = report.table, report.settings["buyers"]
    for model in dict.fromkeys(table.index.get_level_values("model")):
        reached, wasted = table.loc[(model, "buyers_reached")], table.loc[(model, "false_positives")]
        gap = reached["difference"]
        yield {
            "model": model,
            "reached": _number(reached["value"]),
            "reached_span": _span(reached["low"], reached["high"]),
            "missed": _number(buyers - reached["value"]),
            "wasted": _number(wasted["value"]),
            "wasted_span": _span(wasted["low"], wasted["high"]),
            "gap": "" if not math.isfinite(gap) else _more(gap),
            "gap_span": _span(reached["difference_low"], reached["difference_high"]),
        }


def _more(gap: float) -> str:
    return "as many" if gap == 0 else f"{_number(abs(gap))} {'more' if gap > 0 else 'fewer'}"


def _verdict(report: Judged) -> str:
    """Say whether the difference to the points could be chance."""
    if ("points", "buyers_reached") not in report.table.index:
        return ""
    row = report.table.loc[("points", "buyers_reached")]
    low, high = row["difference_low"], row["difference_high"]
    if not (math.isfinite(low) and math.isfinite(high)):
        return ""
    difference = (
        f"{_more(row['difference'])} than your points" if row["difference"] else "as many as your points"
    )
    text = (
        f"This reaches {difference}; the 95% interval of the difference is {_number(low)} to {_number(high)}"
    )
    if low > 0:
        return f"{text}, so chance is an unlikely explanation."
    if high < 0:
        return f"{text}: your points are better. Do not use this model."
    return f"{text}: with {report.settings['buyers']} buyers, the deals cannot tell yet which of the two is better."


def _trust(report: Judged) -> str:
    """Say whether the chances are too high or too low on the whole."""
    if ("leadlight", "observed_expected") not in report.table.index:
        return ""
    row = report.table.loc[("leadlight", "observed_expected")]
    low, high = row["low"], row["high"]
    if not (math.isfinite(low) and math.isfinite(high)):
        return ""
    text = f"For each deal predicted, {_number(row['value'])} {_span(low, high)} came about"
    if high < 1:
        return f"{text}: take the chances as too high; their order is not affected."
    if low > 1:
        return f"{text}: take the chances as too low; their order is not affected."
    return f"{text}: on the whole the chances are about right, as far as so many deals can tell."


def _loss(text: str) -> str:
    model, _, metric = text.partition(" on ")
    return f"{MODELS.get(model, model)}, by {metric.replace('average_precision', 'average precision').replace('auc', 'AUC')}"


def _worth(data: pd.DataFrame) -> Iterator[dict[str, Any]]:
    for name, row in data.iterrows():
        verdict = _worth_verdict(row["hand_set"], row["deals_say"], row["low"], row["high"])
        yield {
            "behaviour": str(name),
            "hand_set": _number(row["hand_set"]),
            "deals_say": _number(row["deals_say"]),
            "span": _span(row["low"], row["high"]),
            "members": _percent(row["members"]),
            "verdict": verdict,
            # What the deals have decided is read first.
            "doubt": verdict in (UNDECIDED, UNSEEN),
        }


def _worth_verdict(hand_set: float, deals_say: float, low: float, high: float) -> str:
    if not all(map(math.isfinite, (deals_say, low, high))):
        return UNSEEN
    if low <= hand_set <= high:
        return UNDECIDED if low <= 0 <= high and hand_set else "agrees"
    if high < 0 <= hand_set:
        return "speaks against a deal"
    if high < hand_set:
        return "worth less, perhaps nothing" if low <= 0 else "worth less"
    return "worth more"


def _gains_table(report: Judged) -> pd.DataFrame:
    """Share of the buyers' rows reached when so many are called: the plot in figures."""
    data = gains_data(report)
    shares = sorted({float(report.settings.get("share", 0.05)), 0.1, 0.2, 0.3, 0.5})
    models = {
        str(model): np.interp(shares, rows["called"], rows["reached"])
        for model, rows in data.groupby("model", sort=False)
    }
    return pd.DataFrame(models, index=pd.Index(shares, name="called"))


# Figures ------------------------------------------------------------------------------------------------------------


def _figures(
    report: Judged | None, worth: pd.DataFrame | None, importance: pd.DataFrame | None
) -> dict[str, Any]:
    """Return the plots as inline SVG, each with a description for those who do not see it."""
    found: dict[str, Any] = {}
    if report is not None:
        at = _gains_table(report).iloc[0]
        parts = ", ".join(f"{MODELS.get(model, model)} {_percent(value)}" for model, value in at.items())
        gains = f"Lines from no members called to all. Of the buyers' rows, {at.name:.0%} of calls reach: {parts}."
        found["gains"] = _svg("gains", lambda: plot_gains(report), "Buyers reached by members called", gains)
        bands = calibration_data(report)
        text = "; ".join(
            f"predicted {_percent(b['predicted'])}, observed {_percent(b['observed'])}"
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
