"""What the sections of the page show, as plain text and numbers in words; the template escapes all of it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol, Self

import pandas as pd

from leadlight.explain.canvas import VIEWS, Evaluation, buyers, columns_of
from leadlight.explain.drivers import UNSURE, drivers_data
from leadlight.explain.judgement import warning_data
from leadlight.explain.reached import reached_of
from leadlight.explain.words import (
    ERRS,
    UNDECIDED,
    UNSEEN,
    more_or_fewer,
    number,
    percent,
    profit_says,
    span,
    warning_says,
    worth_verdict,
)

if TYPE_CHECKING:
    from leadlight.explain.over_the_line import OverTheLine

MOST_ACTIONS: Final = 3
"""Actions shown of a member below the line; those that come after reach it with more, or not at all."""


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


def scored(scores: Ranked) -> dict[str, Any]:
    """Return how many members were scored and qualify, by grade, when and by which model."""
    frame = scores.frame
    grades = frame["grade"].value_counts()
    at = frame["at"].max() if len(frame) else None
    return {
        "members": len(frame),
        "qualified": int(frame["qualified"].sum()),
        "grades": {grade: int(grades.get(grade, 0)) for grade in ("A", "B", "C", "D")},
        "at": "" if at is None or pd.isna(at) else f"{at:%Y-%m-%d %H:%M} UTC",
        "versions": ", ".join(sorted(set(map(str, frame["model_version"])))),
        "points": "points" in frame,
    }


def calls(frame: pd.DataFrame, evidence: pd.DataFrame | None) -> Iterator[dict[str, Any]]:
    """Yield the call list: each member with its reasons, each reason with the rows behind it."""
    behind = {} if evidence is None else _behind(evidence)
    by_points = "points" in frame
    for place, row in enumerate(frame.to_dict("records"), 1):
        chance = row["points"] if by_points else row["probability"]
        yield {
            "place": place,
            "member": _text(row["member_id"]),
            "account": _text(row["account_id"]),
            "chance": number(chance) if by_points else percent(chance),
            "key": "" if pd.isna(chance) else repr(float(chance)),
            "span": "" if by_points else span(row["low"], row["high"], percent),
            "grade": _text(row["grade"]),
            "reasons": [
                {
                    "against": bool(reason.contribution < 0),
                    "text": reason.text,
                    "behind": behind.get((row["member_id"], reason.behaviour)),
                }
                for reason in row["reasons"]
            ],
        }


def _behind(evidence: pd.DataFrame) -> dict[tuple[Any, str], dict[str, Any]]:
    """Return the rows behind each reason, by member and behaviour; equal rows of one day are one line.

    The other party is told by its role alone, which stands in the text: the page names those to call and nobody else.
    """
    columns = ("member_id", "behaviour", "occurred_at", "times", "text", "rows", "left_out")
    found: dict[tuple[Any, str], dict[str, Any]] = {}
    for row in columns_of(evidence, columns, "evidence").to_dict("records"):
        reason = found.setdefault(
            (row["member_id"], str(row["behaviour"])),
            {"lines": {}, "rows": number(row["rows"]), "left_out": int(row["left_out"])},
        )
        line = f"{row['occurred_at']:%Y-%m-%d}", _text(row["text"])
        reason["lines"][line] = reason["lines"].get(line, 0) + int(row["times"])
    for reason in found.values():
        reason["lines"] = [(day, text, times) for (day, text), times in reason["lines"].items()]
    return found


def reached(report: Judged) -> Iterator[dict[str, Any]]:
    """Yield what each model reaches, misses and wastes at capacity, and how that differs from this model."""
    table, held = report.bounded(), report.settings["buyers"]
    for model in dict.fromkeys(table.index.get_level_values("model")):
        found, wasted = table.loc[(model, "buyers_reached")], table.loc[(model, "false_positives")]
        gap = found["difference"]
        yield {
            "model": model,
            "reached": number(found["value"]),
            "reached_span": span(found["low"], found["high"]),
            "missed": number(held - found["value"]),
            "missed_span": _span_of(table, model, "buyers_missed"),
            "wasted": number(wasted["value"]),
            "wasted_span": span(wasted["low"], wasted["high"]),
            "gap": "" if not math.isfinite(gap) else more_or_fewer(gap),
            "gap_span": span(found["difference_low"], found["difference_high"]),
        }


def _span_of(table: pd.DataFrame, model: str, metric: str) -> str:
    return span(*table.loc[(model, metric), ["low", "high"]]) if (model, metric) in table.index else ""


def profit(report: Judged) -> str:
    """Say what the calls bring in."""
    s = report.settings
    return profit_says(report.table, s.get("profit_best_share", math.nan), s.get("profit_best", math.nan))


def views(report: Judged) -> Iterator[dict[str, Any]]:
    """Yield what each view is, whom it holds, which way it errs, and what every model misses in it."""
    found = report.bounded_views()
    if found is None:
        return
    for view, lines in found.groupby("view", sort=False):
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


def unseen(report: Judged) -> str:
    """What is not known because nobody was approached at random, or nobody wrote down who was."""
    found = report.views
    notes = [] if found is None else found.loc[found["view"] == "explored", "note"].unique()
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


def warning(report: Judged) -> dict[str, Any]:
    """Return the weeks of warning of each model, and the gain of this one."""
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


def worth(data: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Yield the hand-set points of each behaviour beside what the deals say."""
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


def drives(found: pd.DataFrame) -> dict[str, Any]:
    """Return what tells buyers from others, what is not sure, and the figures."""
    data = drivers_data(found)
    sure = data[data["speaks"] != UNSURE]
    return {
        "sure": [(str(name), str(row["speaks"])) for name, row in sure.iterrows()],
        "unsure": len(data) - len(sure),
        "refits": int(found["refits"].max()) if "refits" in found and len(found) else 0,
        "lines": [
            {
                "behaviour": str(name),
                "speaks": str(row["speaks"]),
                "effect": number(row["effect"]),
                "span": span(row["low"], row["high"]),
            }
            for name, row in data.iterrows()
        ],
    }


def rules(frame: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Yield the rules of a points table, the most points first."""
    columns = ("rule", "points", "hand_set", "members", "deals")
    for row in columns_of(frame, columns, "points").to_dict("records"):
        yield {
            "rule": str(row["rule"]),
            "points": f"+{row['points']:d}",
            "hand_set": number(row["hand_set"]),
            "members": percent(row["members"]),
            "deals": percent(row["deals"]),
        }


def lost(figures: pd.DataFrame) -> dict[str, Any]:
    """Return what learned points reach beside the full model, from `leadlight.evaluation.compare_points`."""
    held = figures.loc[[("leadlight", "buyers_reached"), ("leadlight", "buyers_missed")], "value"].sum()
    data = reached_of(figures, float(held))
    gaps = figures.loc[("learned_points", "buyers_reached")]
    low, high = gaps["difference_low"], gaps["difference_high"]
    sure = math.isfinite(low) and math.isfinite(high)
    return {
        "data": data,
        "held": number(held),
        "points": number(data.loc["learned_points", "reached"]),
        "full": number(data.loc["leadlight", "reached"]),
        "gap": more_or_fewer(gaps["difference"]),
        "gap_span": span(low, high),
        "undecided": sure and low <= 0 <= high,
        "lines": [
            {
                "model": str(model),
                "reached": number(row["reached"]),
                "span": span(row["low"], row["high"]),
                "precision": number(figures.loc[(model, "average_precision"), "value"]),
                "auc": _auc(figures.loc[(model, "auc"), "value"]),
            }
            for model, row in data.iterrows()
        ],
    }


def below(found: Sequence[OverTheLine]) -> Iterator[dict[str, Any]]:
    """Yield members just below the line, and the actions that would move them most."""
    for one in found:
        yield {
            "member": _text(one.member_id),
            "now": percent(one.probability),
            "going_on": percent(one.going_on),
            "until": f"{one.until:%Y-%m-%d}",
            "line": percent(one.threshold),
            "note": one.note,
            "actions": [
                {
                    "action": str(row["action"]),
                    "times": "once" if row["times"] == 1 else f"{row['times']:,d} times",
                    "chance": percent(row["probability"]),
                    "reaches": bool(row["reaches"]),
                }
                for row in one.frame.head(MOST_ACTIONS).to_dict("records")
            ],
        }


def _text(value: Any) -> str:
    return "" if pd.isna(value) else str(value)
