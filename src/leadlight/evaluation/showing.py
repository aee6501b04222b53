"""A report and an audit in a notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from leadlight.runtime.showing import folded, heading, paragraph, table

if TYPE_CHECKING:
    from leadlight.evaluation.audit import Audit
    from leadlight.evaluation.report import Report


def report_html(report: Report) -> str:
    """Return a report as HTML: the sentence, the first figures of every model, the rest behind a click."""
    first, every = report.first(), report.wide()
    rest = every[[name for name in every.columns if name not in first.columns]]
    lost = report.losses()
    told = [
        f"It loses to {', '.join(lost)} by more than the interval." if lost else "",
        "In brackets: 95 % intervals, accounts redrawn.",
        *report.notes,
        "" if report.audit is None else str(report.audit),
    ]
    return (
        heading("Report", "simulated" if report.settings.get("simulated") else "")
        + paragraph(report.sentence)
        + _table(first)
        + "".join(map(paragraph, told))
        + (folded("More figures", _table(rest)) if rest.shape[1] else "")
    )


def audit_html(audit: Audit) -> str:
    """Return an audit as HTML: every column that it flags or suspects, with the evidence."""
    found = [(name, "flagged", why) for name, why in audit.columns_flagged.items()]
    found += [(name, "suspect", why) for name, why in audit.suspects.items()]
    shown = heading("Leakage audit", f"{audit.checked:,} columns, {len(audit.columns_flagged)} flagged")
    return shown + table(("column", "verdict", "evidence"), found) if found else shown


def _table(frame: pd.DataFrame) -> str:
    names = [str(name) for name in frame.columns]
    rows = [(str(model), *cells) for model, cells in zip(frame.index, frame.to_numpy(), strict=True)]
    own = [str(model) for model in frame.index].index("leadlight") if "leadlight" in frame.index else -1
    return table(("model", *names), rows, numbers=names, strong=own)
