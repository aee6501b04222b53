"""What a run holds: parameters, metrics, tables and files, as plain values; and the file that keeps them while MLflow fails."""

from __future__ import annotations

import base64
import io
import json
import math
import os
import re
import secrets
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from leadlight.errors import InputError
from leadlight.moments import DAY_US, moment_text

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from leadlight.evaluation import Report
    from leadlight.qualifier import LeadQualifier, Scores

PENDING_FORMAT: Final = 1

_LONGEST: Final = 6000  # MLflow's limit for the value of a parameter
_SECRET: Final = re.compile(r"(?<=//)[^/@\s]+@")


@dataclass(frozen=True)
class Record:
    """All that a run holds but the bundle."""

    tracking_uri: str
    artifact_root: str | None
    experiment: str
    run_name: str | None
    started_ms: int
    model_digest: str
    parameters: dict[str, str]
    metrics: dict[str, float]
    tags: dict[str, str]
    tables: dict[str, dict[str, list[Any]]] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that JSON can hold; files as base64, and no password of the tracking URI."""
        files = {name: base64.b64encode(data).decode("ascii") for name, data in self.files.items()}
        return {**asdict(self), "tracking_uri": redacted(self.tracking_uri), "files": files}


def gather(
    qualifier: LeadQualifier,
    *,
    report: Report | None,
    scores: Scores | None,
    tracking_uri: str,
    artifact_root: str | None,
    experiment: str,
    run_name: str | None,
    parameters: Mapping[str, Any],
    note: str,
    include_members: bool,
) -> Record:
    """Return the record of a fitted qualifier, beginning now; the arguments are those of `log_run`.

    Raises
    ------
    InputError
        `parameters` repeat a name that is logged anyway.
    """
    info = qualifier.scorer_.info
    return Record(
        tracking_uri=tracking_uri,
        artifact_root=artifact_root,
        experiment=experiment,
        run_name=run_name,
        started_ms=time.time_ns() // 1_000_000,
        model_digest=qualifier.scorer_.digest,
        parameters=_parameters(qualifier, report, parameters),
        metrics=_metrics(info["metrics"], report),
        tags={
            "simulated": str(bool(info["simulated"])).lower(),
            "estimand": qualifier.scorer_.estimand,
            "model_version": qualifier.scorer_.version,
            **({"mlflow.note.content": note} if note else {}),
        },
        tables=_tables(report),
        files=_files(report, scores, note, include_members=include_members),
    )


def _parameters(qualifier: LeadQualifier, report: Report | None, more: Mapping[str, Any]) -> dict[str, str]:
    info, classifier = qualifier.scorer_.info, qualifier.classifier_
    windows = info["windows"]
    active = windows["active_within_us"]
    found: dict[str, Any] = {
        "plan_digest": qualifier.plan_.digest,
        "data_fingerprint": info["data_fingerprint"],
        "library_version": info["library_version"],
        "catalogue": qualifier.catalogue.name,
        "horizon": _days(windows["horizon_us"]),
        "gap": _days(windows["gap_us"]),
        "active_within": "all" if active is None else _days(active),
        "enters_on": ", ".join(windows["enters_on"]) or "joining",
        "trained_until": moment_text(windows["trained_until_us"]),
        "decision": info["decision"]["text"],
        "threshold": info["decision"]["threshold"],
        "selection": info["selection"],
        "selection_why": info.get("selection_why", ""),
        "blend_weight": classifier.blend_weight_,
        **{f"trees.{name}": value for name, value in classifier.settings_.items()},
    }
    if report is not None:
        found |= {
            f"test.{name}": v for name, v in report.settings.items() if name.endswith(("_cutoff", "_until"))
        }
    again = sorted(set(found) & {str(name) for name in more})
    if again:
        raise InputError(
            f"parameters= repeats {', '.join(again)}, which every run has; name yours differently."
        )
    text = {str(name): str(value) for name, value in (found | dict(more)).items()}
    return {n: v if len(v) <= _LONGEST else f"{v[: _LONGEST - 4]} ..." for n, v in text.items()}


def _days(us: int) -> str:
    return f"{us / DAY_US:g}d"


def _metrics(training: Mapping[str, Any], report: Report | None) -> dict[str, float]:
    """Return finite figures: of training, of the test rows, and of every model with its interval."""
    found: dict[str, Any] = dict(training)
    if report is not None:
        found |= {f"test.{name}": value for name, value in report.settings.items()}
        for (model, metric), row in report.bounded().iterrows():
            name = f"{model}.{metric}"
            found |= {name: row["value"], f"{name}_low": row["low"], f"{name}_high": row["high"]}
    return {name: float(value) for name, value in found.items() if _is_number(value)}


def _is_number(value: Any) -> bool:
    # NumPy's float64 is a float; its integers are not int, and have item().
    value = value.item() if hasattr(value, "item") else value
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _tables(report: Report | None) -> dict[str, dict[str, list[Any]]]:
    if report is None:
        return {}
    tables = {"counts.json": _table(report.counts)}
    if report.worth is not None:
        tables["worth.json"] = _table(report.worth)
    return tables


def _table(frame: pd.DataFrame) -> dict[str, list[Any]]:
    plain = json.loads(frame.reset_index().to_json(orient="split", date_format="iso", index=False))
    rows = plain["data"]
    return {str(name): [row[j] for row in rows] for j, name in enumerate(plain["columns"])}


def _files(
    report: Report | None, scores: Scores | None, note: str, *, include_members: bool
) -> dict[str, bytes]:
    from leadlight import explain
    from leadlight.explain.figures import has_views

    files: dict[str, bytes] = {}
    if report is not None or scores is not None:
        with tempfile.TemporaryDirectory() as folder:
            page = Path(folder, "report.html")
            explain.write_report(page, report=report, scores=scores, aggregate=not include_members, note=note)
            files["report.html"] = page.read_bytes()
    if report is None:
        return files
    plots = {"gains": explain.plot_gains, "calibration": explain.plot_calibration, "lift": explain.plot_lift}
    if "profit" in report.curves:
        plots["profit"] = explain.plot_profit
    if has_views(report):
        plots["views"] = explain.plot_views
    if report.warning is not None:
        plots["warning"] = explain.plot_warning
    if report.worth is not None and len(report.worth):
        plots["worth"] = explain.plot_worth
    for name, plot in plots.items():
        buffer = io.BytesIO()
        figure = cast("Figure", plot(report).figure)
        figure.savefig(buffer, format="png", dpi=120, bbox_inches="tight")
        files[f"plots/{name}.png"] = buffer.getvalue()
    if report.audit is not None:
        lines = [str(report.audit), *(f"{column}: {why}" for column, why in report.audit.suspects.items())]
        files["leakage_audit.txt"] = "\n".join([*lines, ""]).encode()
    return files


def redacted(text: str) -> str:
    """Return the text without the user and password of any URI in it."""
    return _SECRET.sub("***@", text)


def _pending_path(bundle: Path) -> Path:
    return bundle.with_name(f"{bundle.name}.pending.json")


def write_pending(bundle: Path, record: Record, run_id: str | None, problem: str) -> str:
    """Write what MLflow should have got beside the bundle; return a sentence that says so."""
    path = _pending_path(bundle)
    content = {
        "format": PENDING_FORMAT,
        "bundle": bundle.name,
        "run_id": run_id,
        "problem": problem,
        **record.to_dict(),
    }
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        temporary.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        return f"what MLflow should have got could not be written to {path}: {error}."
    return f"what MLflow should have got is in {path}, to be sent later."


def clear_pending(bundle: Path, model_digest: str) -> None:
    """Remove what an earlier failure left for this model: it is logged now."""
    path = _pending_path(bundle)
    with suppress(OSError, ValueError):
        if json.loads(path.read_text(encoding="utf-8")).get("model_digest") == model_digest:
            path.unlink()
