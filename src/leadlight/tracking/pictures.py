"""Plots and the page of a run, as files."""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from leadlight.evaluation import Report
    from leadlight.qualifier import Scores


def files_of(
    report: Report | None,
    scores: Scores | None,
    importance: pd.DataFrame | None,
    note: str,
    *,
    parts: Mapping[str, Any],
    include_members: bool,
) -> dict[str, bytes]:
    """Return the page, the plots and the leakage audit; nothing of a member unless asked for.

    `parts` are drivers, points and left_out for the page: see `leadlight.qualifier.deal_parts`.
    """
    from leadlight import explain
    from leadlight.explain.figures import has_views

    files: dict[str, bytes] = {}
    if report is not None or scores is not None:
        with tempfile.TemporaryDirectory() as folder:
            page = Path(folder, "report.html")
            explain.write_report(
                page,
                report=report,
                scores=scores,
                importance=importance,
                aggregate=not include_members,
                note=note,
                **parts,
            )
            files["report.html"] = page.read_bytes()
    if importance is not None:
        drivers = importance
        files["plots/importance.png"] = png(lambda: explain.plot_importance(drivers))
    if report is None:
        return files
    plots: dict[str, Callable[[Any], Axes]] = {
        "gains": explain.plot_gains,
        "calibration": explain.plot_calibration,
        "lift": explain.plot_lift,
    }
    if "profit" in report.curves:
        plots["profit"] = explain.plot_profit
    if has_views(report):
        plots["views"] = explain.plot_views
    if report.warning is not None:
        plots["warning"] = explain.plot_warning
    if report.worth is not None and len(report.worth):
        plots["worth"] = explain.plot_worth
    for name, plot in plots.items():
        files[f"plots/{name}.png"] = png(lambda plot=plot: plot(report))  # type: ignore[misc]
    if report.audit is not None:
        audit = report.audit
        lines = [str(audit), *(f"{column}: {why}" for column, why in audit.suspects.items())]
        files["leakage_audit.txt"] = "\n".join([*lines, ""]).encode()
        found = {
            "clean": audit.clean,
            "checked": audit.checked,
            "flagged": audit.columns_flagged,
            "suspects": audit.suspects,
            "excused": list(audit.excused),
        }
        files["leakage_audit.json"] = (json.dumps(found, indent=1) + "\n").encode()
    return files


def png(draw: Callable[[], Axes]) -> bytes:
    """Return a plot as PNG."""
    buffer = io.BytesIO()
    figure = cast("Figure", draw().figure)
    figure.savefig(buffer, format="png", dpi=110, bbox_inches="tight")
    return buffer.getvalue()
