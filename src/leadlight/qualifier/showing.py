"""A qualifier and its scores in a notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from leadlight.moments import DAY_US, moment_text
from leadlight.runtime.showing import chance, facts, heading, paragraph, table

if TYPE_CHECKING:
    from leadlight.qualifier.qualifier import LeadQualifier
    from leadlight.qualifier.scores import Scores

MOST_ROWS = 20


def qualifier_html(qualifier: LeadQualifier) -> str:
    """Return a qualifier as HTML: what it was asked for and, once fitted, what it learned from and what it costs."""
    # A bundle keeps the plan, not the name of the catalogue that it came from.
    loaded = hasattr(qualifier, "scorer_") and not hasattr(qualifier, "training_")
    told: dict[str, Any] = {"catalogue": None if loaded else qualifier.catalogue.name}
    if not hasattr(qualifier, "scorer_"):
        told |= {
            "decision": repr(qualifier.decision) if qualifier.decision is not None else None,
            "selection": qualifier.selection,
        }
        return heading("LeadQualifier", "not fitted yet") + facts(told)
    info = qualifier.scorer_.info
    metrics = info["metrics"]
    windows = qualifier.windows_
    gap = f", after a gap of {windows.gap_us / DAY_US:g} days" if windows.gap_us else ""
    told |= {
        "version": qualifier.scorer_.version,
        "measures": f"{len(qualifier.plan_.behaviours)} behaviours in {len(qualifier.plan_.columns):,} columns",
        "learned from": _learned(metrics),
        "training ended": moment_text(qualifier.trained_until_us_)[:10],
        "the probability is of": qualifier.estimand_,
        "label window": f"{windows.horizon_us / DAY_US:g} days{gap}",
        "decision": info["decision"]["text"],
        "what it costs": str(getattr(qualifier, "decision_report_", "")),
        "whom nobody approached": qualifier.selection_report_.get("why", ""),
    }
    return heading("LeadQualifier", "of a simulated community" if info["simulated"] else "") + facts(told)


def _learned(metrics: Any) -> str:
    rows, buyers = metrics.get("training_rows"), metrics.get("positive_groups")
    told = "" if rows is None else f"{rows:,} rows"
    if buyers is None:
        return told
    return f"{told}, {buyers:,} account{'' if buyers == 1 else 's'} (or members without one) that won"


def scores_html(scores: Scores) -> str:
    """Return the first rows of scores as HTML: who, how likely with the interval, and why."""
    points = "points" in scores.frame
    if not len(scores):
        return heading("Scores", "no members")
    qualified = int(scores.frame["qualified"].sum())
    at = scores.frame["at"].max()
    stamp = "simulated community, " if scores.simulated else ""
    note = f"{stamp}{len(scores):,} members as of {at:%Y-%m-%d}, {qualified:,} qualified"
    accounts = bool(scores.frame["account_id"].notna().any())
    worth = "points" if points else "probability (95 % interval)"
    head = ["", "member", *(["account"] * accounts), worth, "grade", "qualified", "reasons"]
    rows = []
    shown = scores.frame.head(MOST_ROWS).to_dict("records")
    for place, (row, text) in enumerate(zip(shown, scores.texts(), strict=False), 1):
        account = "" if pd.isna(row["account_id"]) else str(row["account_id"])
        value = f"{row['points']:.1f}" if points else chance(row["probability"], row["low"], row["high"])
        called = "yes" if row["qualified"] else "no"
        rows.append(
            (place, str(row["member_id"]), *([account] * accounts), value, row["grade"], called, text)
        )
    more = f"... and {len(scores) - MOST_ROWS:,} more" if len(scores) > MOST_ROWS else ""
    return (
        heading("Scores", note)
        + table(head, rows, numbers=("", worth))
        + paragraph(more)
        + paragraph(scores.sureness)
    )
