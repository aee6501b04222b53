"""The page for a sales manager: one HTML file that loads nothing, says how sure it is, and what it must not be used for.

The rooms that make reports and scores lie beside and above this one; protocols name what is asked of them.
"""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pandas as pd

from leadlight.errors import InputError
from leadlight.explain import report_rows as rows
from leadlight.explain.canvas import MODELS
from leadlight.explain.figures import draw_figures, gains_table, has_views, lift_table, profit_table
from leadlight.explain.plots import calibration_data, importance_data, worth_data
from leadlight.explain.report_rows import Judged, Ranked
from leadlight.explain.words import loss, number, percent, span, trust, verdict

if TYPE_CHECKING:
    from leadlight.estimators.points_table import PointsTable
    from leadlight.explain.over_the_line import OverTheLine


def write_report(
    path: str | Path,
    *,
    report: Judged | None = None,
    scores: Ranked | None = None,
    importance: pd.DataFrame | None = None,
    evidence: pd.DataFrame | None = None,
    drivers: pd.DataFrame | None = None,
    points: PointsTable | None = None,
    points_loss: pd.DataFrame | None = None,
    below: Sequence[OverTheLine] = (),
    left_out: Sequence[str] = (),
    title: str = "leadlight",
    aggregate: bool = False,
    generated_for: str | None = None,
    note: str | None = None,
    top: int = 40,
) -> Path:
    """Write one self-contained HTML page: whom to approach and why, how sure we are, what was checked.

    The page loads nothing. Its only script sorts and unfolds the call list, and the page permits no other; without it
    the page says the same. All text is escaped. Equal inputs give equal bytes: no clock is read.

    Parameters
    ----------
    path : str or Path
        A file there is replaced whole or not at all.
    report : Report, optional
        From `evaluate`; without one the page says that nothing is proven.
    scores : Scores, optional
        From `LeadQualifier.score`, of everybody; the call list is its `top(top)`.
    importance : DataFrame, optional
        From `leadlight.explain.importance`.
    evidence : DataFrame, optional
        From `leadlight.explain.evidence`, of the call list: each reason unfolds to its rows. The other party is told by
        its role, never by name.
    drivers : DataFrame, optional
        From `leadlight.explain.drivers`.
    points : PointsTable, optional
        From `LeadQualifier.points_table`; the page offers it as CSV.
    points_loss : DataFrame, optional
        From `leadlight.evaluation.compare_points`: what learned points lose.
    below : sequence of OverTheLine
        Members just below the line.
    left_out : sequence of str
        What is not on the page, and why; shown where it says what was checked.
    title : str
    aggregate : bool
        Leave out whatever speaks of a single member or account: call list, evidence, members below the line.
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
    if all(part is None for part in (report, scores, importance, drivers, points)):
        raise InputError(
            "There is nothing to report; give report=, scores=, importance=, drivers= or points=."
        )
    target = Path(path)
    if not target.parent.is_dir():
        raise InputError(f"The folder {str(target.parent)!r} does not exist; make it first.")
    if aggregate:
        evidence, below = None, ()
    calls = None if scores is None or aggregate else list(rows.calls(scores.top(top).frame, evidence))
    worth = None if report is None or report.worth is None or not len(report.worth) else worth_data(report)
    lost = None if points_loss is None else rows.lost(points_loss)
    csv_text = "" if points is None else points.csv_text()
    script = _text("page.js") if calls else ""
    page = _template().render(
        title=title,
        generated_for=generated_for,
        note=note,
        aggregate=aggregate,
        simulated=_simulated(report, scores),
        policy=_policy(script),
        style=_markup(_text("page.css")),
        script=_markup(script),
        left_out=list(left_out),
        scored=None if scores is None else rows.scored(scores),
        calls=calls,
        evidence=evidence is not None,
        below=list(rows.below(below)),
        worth=None if worth is None else list(rows.worth(worth)),
        importance=None if importance is None else importance_data(importance),
        drives=None if drivers is None else rows.drives(drivers),
        rules=None if points is None else list(rows.rules(points.frame)),
        points_csv=csv_text,
        # Half a character, which no file holds, becomes a question mark, as it does in the page.
        points_href=f"data:text/csv;charset=utf-8,{quote(csv_text, errors='replace')}",
        lost=lost,
        figures=draw_figures(
            report,
            worth,
            importance,
            drivers=drivers,
            points=None if points is None else points.frame,
            lost=None if lost is None else lost["data"],
        ),
        number=number,
        percent=percent,
        span=span,
        models=MODELS,
        **_judged(report),
    )
    _replace(target, page)
    return target


def _judged(report: Judged | None) -> dict[str, Any]:
    """Return what the page tells of an evaluation."""
    if report is None:
        return {
            "report": None,
            "settings": {},
            "views_judged": False,
            "warning": None,
            "losses": [],
            "unseen": "",
        }
    curves = report.curves
    return {
        "report": report,
        "settings": report.settings,
        "reached": list(rows.reached(report)),
        "verdict": verdict(report.bounded(), report.settings["buyers"]),
        "trust": trust(report.table),
        "losses": [loss(text) for text in report.losses()],
        "wide": report.wide().rename(index=MODELS).T,
        "gains": gains_table(report),
        "lift": lift_table(report) if "lift" in curves else None,
        "profit": profit_table(report) if "profit" in curves else None,
        "profit_says": rows.profit(report),
        "views": list(rows.views(report)),
        "unseen": rows.unseen(report),
        "views_judged": has_views(report),
        "warning": None if report.warning is None else rows.warning(report),
        "bands": calibration_data(report),
    }


def _template() -> Any:
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=FunctionLoader(_text),
    )
    return environment.get_template("page.html.j2")


def _text(name: str) -> str:
    return files("leadlight.explain").joinpath("page", name).read_text(encoding="utf-8")


def _markup(text: str) -> Any:
    from markupsafe import Markup

    return Markup(text)  # noqa: S704 - our own files, in which nothing is filled in


def _policy(script: str) -> str:
    """Return what the browser is told: load nothing, and run this one script, known by its digest."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    runs = f"; script-src 'sha256-{digest}'" if script else ""
    return f"default-src 'none'; style-src 'unsafe-inline'; img-src data:{runs}; base-uri 'none'; form-action 'none'"


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
