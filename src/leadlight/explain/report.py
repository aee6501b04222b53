"""The page for a sales manager: one HTML file that loads nothing, says how sure it is, and what it must not be used for.

The rooms that make reports and scores lie beside and above this one; the protocols below name what is asked of them.
"""

from __future__ import annotations

import math
import os
import secrets
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any, Protocol, Self

import pandas as pd

from leadlight.errors import InputError
from leadlight.explain.canvas import MODELS, VIEWS, Evaluation, buyers
from leadlight.explain.figures import draw_figures, gains_table, has_views, lift_table, profit_table
from leadlight.explain.judgement import warning_data
from leadlight.explain.plots import calibration_data, importance_data, worth_data
from leadlight.explain.words import (
    ERRS,
    UNDECIDED,
    UNSEEN,
    loss,
    more_or_fewer,
    number,
    percent,
    profit_says,
    span,
    trust,
    verdict,
    warning_says,
    worth_verdict,
)


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

    def bounded(self) -> pd.DataFrame:
        """Return the figures, no bound of a count above what there is to count."""

    def bounded_views(self) -> pd.DataFrame | None:
        """Return the views likewise."""

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
        verdict="" if report is None else verdict(report.bounded(), report.settings["buyers"]),
        trust="" if report is None else trust(report.table),
        losses=[] if report is None else [loss(text) for text in report.losses()],
        wide=None if report is None else report.wide().rename(index=MODELS).T,
        scored=None if scores is None else _scored(scores),
        calls=None if scores is None or aggregate else list(_calls(scores.top(top).frame)),
        worth=None if worth is None else list(_worth(worth)),
        importance=None if importance is None else importance_data(importance),
        gains=None if report is None else gains_table(report),
        lift=None if report is None or "lift" not in report.curves else lift_table(report),
        profit=None if report is None or "profit" not in report.curves else profit_table(report),
        profit_says="" if report is None else _profit_says(report),
        views=[] if report is None else list(_views(report)),
        unseen="" if report is None else _unseen(report),
        views_judged=report is not None and has_views(report),
        warning=None if report is None or report.warning is None else _warning(report),
        bands=None if report is None else calibration_data(report),
        figures=draw_figures(report, worth, importance),
        number=number,
        percent=percent,
        span=span,
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
            "chance": percent(row["probability"]),
            "span": span(row["low"], row["high"], percent),
            "grade": _text(row["grade"]),
            "reasons": [(bool(reason.contribution < 0), reason.text) for reason in row["reasons"]],
        }


def _reached(report: Judged) -> Iterator[dict[str, Any]]:
    """Yield what each model reaches, misses and wastes at capacity, and how that differs from this model."""
    table, held = report.bounded(), report.settings["buyers"]
    for model in dict.fromkeys(table.index.get_level_values("model")):
        reached, wasted = table.loc[(model, "buyers_reached")], table.loc[(model, "false_positives")]
        gap = reached["difference"]
        yield {
            "model": model,
            "reached": number(reached["value"]),
            "reached_span": span(reached["low"], reached["high"]),
            "missed": number(held - reached["value"]),
            "missed_span": _span_of(table, model, "buyers_missed"),
            "wasted": number(wasted["value"]),
            "wasted_span": span(wasted["low"], wasted["high"]),
            "gap": "" if not math.isfinite(gap) else more_or_fewer(gap),
            "gap_span": span(reached["difference_low"], reached["difference_high"]),
        }


def _span_of(table: pd.DataFrame, model: str, metric: str) -> str:
    return span(*table.loc[(model, metric), ["low", "high"]]) if (model, metric) in table.index else ""


def _profit_says(report: Judged) -> str:
    s = report.settings
    return profit_says(report.table, s.get("profit_best_share", math.nan), s.get("profit_best", math.nan))


def _views(report: Judged) -> Iterator[dict[str, Any]]:
    """Yield what each view is, whom it holds, which way it errs, and what every model misses in it."""
    views = report.bounded_views()
    if views is None:
        return
    for view, lines in views.groupby("view", sort=False):
        held = lines[lines["model"] == "population"].set_index("metric")["value"]
        models = lines[lines["model"] != "population"].set_index(["model", "metric"])
        yield {
            "name": VIEWS.get(str(view), str(view)),
            "key": str(view),
            "rows": number(held["rows"]),
            "buyers": buyers(held["buyers"]),
            "rate": percent(held["base_rate"]),
            "note": lines["note"].iloc[0],
            "errs": ERRS.get(str(view), "") if held["rows"] else "",
            "models": [
                _in_view(models, str(m)) for m in dict.fromkeys(models.index.get_level_values("model"))
            ],
        }


def _unseen(report: Judged) -> str:
    """What is not known because nobody was approached at random, or nobody wrote down who was."""
    views = report.views
    notes = [] if views is None else views.loc[views["view"] == "explored", "note"].unique()
    return str(notes[0]) if len(notes) else ""


def _in_view(models: pd.DataFrame, model: str) -> dict[str, str]:
    cells = {"model": model}
    for metric, form in (("missed_share", percent), ("buyers_missed", number), ("auc", _auc)):
        row = models.loc[(model, metric)] if (model, metric) in models.index else None
        cells[metric] = "" if row is None else form(row["value"])
        cells[f"{metric}_span"] = "" if row is None else span(row["low"], row["high"], form)
    return cells


def _auc(value: float) -> str:
    return f"{value:.2f}" if math.isfinite(value) else number(value)


def _warning(report: Judged) -> dict[str, Any]:
    data = warning_data(report)
    return {
        "says": warning_says(data),
        "budget": number(float(data["budget"].iloc[0])),
        "gain": number(data.loc["leadlight", "excess"]),
        "gain_span": span(data.loc["leadlight", "low"], data.loc["leadlight", "high"]),
        "lines": [
            {
                "model": str(model),
                "alerted": percent(row["alerted"]),
                "weeks": number(row["weeks"]),
                "random": number(row["random"]),
                "gain": number(row["excess"]),
                "gain_span": span(row["low"], row["high"]),
            }
            for model, row in data.iterrows()
        ],
    }


def _worth(data: pd.DataFrame) -> Iterator[dict[str, Any]]:
    for name, row in data.iterrows():
        finding = worth_verdict(row["hand_set"], row["deals_say"], row["low"], row["high"])
        yield {
            "behaviour": str(name),
            "hand_set": number(row["hand_set"]),
            "deals_say": number(row["deals_say"]),
            "span": span(row["low"], row["high"]),
            "members": percent(row["members"]),
            "verdict": finding,
            # What the deals have decided is read first.
            "doubt": finding in (UNDECIDED, UNSEEN),
        }


def _text(value: Any) -> str:
    return "" if pd.isna(value) else str(value)
