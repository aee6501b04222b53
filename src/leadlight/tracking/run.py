"""log_run: one training run in MLflow, from a record that is complete before MLflow is asked.

Everything that the run will hold is gathered first, in memory. MLflow then gets it, or a file beside the bundle does, so
that the run can be completed later. Only `MlflowClient` is used: no run is ever active, and no tracking URI is set.
"""

from __future__ import annotations

import base64
import io
import json
import logging
import math
import os
import re
import secrets
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from leadlight.errors import InputError, LeadlightWarning, NotFittedError
from leadlight.moments import DAY_US, moment_text
from leadlight.runtime import Scorer, load
from leadlight.tracking import pyfunc

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from leadlight.evaluation import Report
    from leadlight.qualifier import LeadQualifier, Scores

PENDING_FORMAT: Final = 1
MODEL_NAME: Final = "leadlight"

_LONGEST: Final = 6000  # MLflow's limit for the value of a parameter
_BATCH: Final = 100  # and for parameters in one request
_SECRET: Final = re.compile(r"(?<=//)[^/@\s]+@")
_DATABASES: Final = ("sqlite", "postgresql", "mysql", "mssql")
_LOCK: Final = threading.RLock()
_LOGGERS: Final = ("alembic", "mlflow")

_ALWAYS: Final = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    # In a folder with uv.lock MLflow would start uv and put the lock file into the model.
    "MLFLOW_UV_AUTO_DETECT": "false",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER": "false",
}
_UNLESS_SET: Final = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
}


@dataclass(frozen=True)
class LoggedRun:
    """What became of a run.

    Attributes
    ----------
    run_id : str or None
        None where MLflow could not even begin it.
    model_uri : str or None
        For `mlflow.pyfunc.load_model`; None while the run is pending.
    pending : bool
        MLflow failed; what it should have got is in ``<bundle>.pending.json``.
    """

    run_id: str | None
    model_uri: str | None
    pending: bool


@dataclass(frozen=True)
class _Record:
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
        return {**asdict(self), "tracking_uri": _redacted(self.tracking_uri), "files": files}


def log_run(
    qualifier: LeadQualifier,
    *,
    report: Report | None = None,
    scores: Scores | None = None,
    bundle: str | os.PathLike[str],
    tracking_uri: str = "sqlite:///mlflow.db",
    experiment: str = "leadlight",
    run_name: str | None = None,
    parameters: Mapping[str, Any] | None = None,
    note: str = "",
    artifact_root: str | os.PathLike[str] | None = None,
    include_members: bool = False,
) -> LoggedRun:
    """Log a fitted qualifier to MLflow: parameters, metrics with intervals, plots, report, and the bundle as a model.

    A failing MLflow costs a warning and some seconds, never the training. The caller's active run, tracking URI and
    environment are as before afterwards; for the length of the call the process has telemetry switched off, and a
    timeout of 10 s with one retry where the environment names none.

    Parameters
    ----------
    qualifier : LeadQualifier
        Fitted.
    report : Report, optional
        From `evaluate`: metrics, plots, counts per cutoff, worth of points and the leakage audit.
    scores : Scores, optional
        For the page; only their totals enter it.
    bundle : path
        Where the model is saved, a folder or a .zip; saved here first if nothing is.
    tracking_uri : str
        By default a SQLite database in the current directory.
    experiment : str
        Created if need be.
    run_name : str, optional
    parameters : mapping, optional
        More parameters of the run; their values are logged as text.
    note : str
        Description of the run, Markdown.
    artifact_root : path, optional
        Folder of a new experiment's artifacts. By default ``mlartifacts`` beside a SQLite database, else the server's.
    include_members : bool
        Whether the page may name members. By default nothing of a member leaves this machine.

    Returns
    -------
    LoggedRun

    Raises
    ------
    NotFittedError
        The qualifier is not fitted.
    InputError
        Another model is saved at `bundle`, or `parameters` repeat a name that is logged anyway.
    OSError
        The bundle cannot be written.

    Warns
    -----
    LeadlightWarning
        MLflow failed; the run is pending.
    """
    if not hasattr(qualifier, "scorer_"):
        raise NotFittedError("This LeadQualifier is not fitted yet; call fit(community, observations) first.")
    target = Path(bundle)
    _save_first(qualifier.scorer_, target)
    uri, root = _places(tracking_uri, artifact_root)
    info = qualifier.scorer_.info
    record = _Record(
        tracking_uri=uri,
        artifact_root=root,
        experiment=experiment,
        run_name=run_name,
        started_ms=time.time_ns() // 1_000_000,
        model_digest=qualifier.scorer_.digest,
        parameters=_parameters(qualifier, report, parameters or {}),
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
    sender = _Sender(record, target)
    with _LOCK, _environment():
        try:
            logged = sender.send()
        except Exception as error:  # noqa: BLE001  whatever MLflow raises, the training has succeeded
            problem = _redacted(f"{type(error).__name__}: {error}")
        else:
            _clear_pending(target, record.model_digest)
            return logged
    kept = _write_pending(target, record, sender.run_id, problem)
    warnings.warn(
        f"MLflow at {_redacted(uri)} did not take the run ({problem[:500]}). The model is saved at {target}; {kept}",
        LeadlightWarning,
        stacklevel=2,
    )
    return LoggedRun(sender.run_id, None, pending=True)


def _save_first(scorer: Scorer, target: Path) -> None:
    if not target.exists():
        scorer.save(target)
        return
    found = load(target).digest
    if found != scorer.digest:
        raise InputError(
            f"{target} holds model {found[:12]}, the qualifier is {scorer.version}. Call qualifier.save() with this "
            "path first, or give another path."
        )


def _places(tracking_uri: str, artifact_root: str | os.PathLike[str] | None) -> tuple[str, str | None]:
    """Return the tracking URI with an absolute path, and where a new experiment's artifacts go."""
    root = None if artifact_root is None else Path(artifact_root).absolute()
    scheme, slashes, name = tracking_uri.partition(":///")
    file, mark, query = name.partition("?")
    if slashes and scheme.partition("+")[0] == "sqlite" and file not in ("", ":memory:"):
        database = Path(file).absolute()
        tracking_uri = f"{scheme}:///{database.as_posix()}{mark}{query}"
        root = root or database.parent / "mlartifacts"
    return tracking_uri, None if root is None else root.as_uri()


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
        for (model, metric), row in report.table.iterrows():
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
    from leadlight.explain import plot_calibration, plot_gains, plot_worth, write_report

    files: dict[str, bytes] = {}
    if report is not None or scores is not None:
        with tempfile.TemporaryDirectory() as folder:
            page = Path(folder, "report.html")
            write_report(page, report=report, scores=scores, aggregate=not include_members, note=note)
            files["report.html"] = page.read_bytes()
    if report is None:
        return files
    plots = {"gains": plot_gains, "calibration": plot_calibration}
    if report.worth is not None and len(report.worth):
        plots["worth"] = plot_worth
    for name, plot in plots.items():
        buffer = io.BytesIO()
        figure = cast("Figure", plot(report).figure)
        figure.savefig(buffer, format="png", dpi=120, bbox_inches="tight")
        files[f"plots/{name}.png"] = buffer.getvalue()
    if report.audit is not None:
        lines = [str(report.audit), *(f"{column}: {why}" for column, why in report.audit.suspects.items())]
        files["leakage_audit.txt"] = "\n".join([*lines, ""]).encode()
    return files


class _Sender:
    """Brings a record and its bundle to MLflow; `run_id` says how far it came."""

    def __init__(self, record: _Record, bundle: Path) -> None:
        self.record, self.bundle = record, bundle
        self.run_id: str | None = None

    def send(self) -> LoggedRun:
        record = self.record
        with _quiet():
            from mlflow import MlflowClient

            _check_database(record.tracking_uri)
            client = MlflowClient(tracking_uri=record.tracking_uri, registry_uri=record.tracking_uri)
            experiment = self._experiment(client)
            run = client.create_run(
                experiment, start_time=record.started_ms, tags=record.tags, run_name=record.run_name
            )
            self.run_id = run.info.run_id
            try:
                uri = self._fill(client, experiment, self.run_id)
                client.set_terminated(self.run_id, "FINISHED")
            except BaseException:
                with suppress(Exception):
                    client.set_terminated(self.run_id, "FAILED")
                raise
        return LoggedRun(self.run_id, uri, pending=False)

    def _experiment(self, client: Any) -> str:
        name = self.record.experiment
        found = client.get_experiment_by_name(name)
        if found is None:
            try:
                return str(client.create_experiment(name, artifact_location=self.record.artifact_root))
            except Exception:
                # Another job may have created it in between.
                found = client.get_experiment_by_name(name)
                if found is None:
                    raise
        return str(found.experiment_id)

    def _fill(self, client: Any, experiment: str, run_id: str) -> str:
        from mlflow.entities import LoggedModelOutput, Metric, Param

        record = self.record
        items = list(record.parameters.items())
        for start in range(0, len(items), _BATCH):
            client.log_batch(run_id, params=[Param(n, v) for n, v in items[start : start + _BATCH]])
        with tempfile.TemporaryDirectory() as folder:
            for name, data in record.files.items():
                path = Path(folder, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
            if record.files:
                client.log_artifacts(run_id, folder)
        for name, table in record.tables.items():
            client.log_table(run_id, table, name)
        model = client.create_logged_model(
            experiment, name=MODEL_NAME, source_run_id=run_id, tags=record.tags, params=record.parameters
        )
        try:
            self._upload(client, model, run_id)
            client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=0)])
            metrics = list(record.metrics.items())
            for start in range(0, len(metrics), _BATCH):
                part = metrics[start : start + _BATCH]
                made = [Metric(n, v, record.started_ms, 0, model_id=model.model_id) for n, v in part]
                client.log_batch(run_id, metrics=made)
        except BaseException:
            with suppress(Exception):
                client.finalize_logged_model(model.model_id, "FAILED")
            raise
        client.finalize_logged_model(model.model_id, "READY")
        return f"models:/{model.model_id}"

    def _upload(self, client: Any, model: Any, run_id: str) -> None:
        from mlflow.models import Model

        described = Model(
            artifact_path=model.artifact_location,
            run_id=run_id,
            model_uuid=model.model_id,
            model_id=model.model_id,
        )
        with tempfile.TemporaryDirectory() as folder:
            # MLflow copies the bundle under its own name, which may tell something.
            plain = Path(folder, f"bundle{'.zip' if self.bundle.suffix.lower() == '.zip' else ''}")
            load(self.bundle, digest=self.record.model_digest).save(plain)
            made = Path(folder, "model")
            pyfunc.save(plain, made, described)
            client.log_model_artifacts(model.model_id, str(made))


def _check_database(uri: str) -> None:
    """Connect once to a database: MLflow would try ten times, for a minute and a half."""
    if uri.partition(":")[0].partition("+")[0] not in _DATABASES:
        return
    import sqlalchemy

    scheme, slashes, name = uri.partition(":///")
    file = name.partition("?")[0]
    if slashes and scheme.startswith("sqlite") and file not in ("", ":memory:"):
        Path(file).parent.mkdir(parents=True, exist_ok=True)
    engine = sqlalchemy.create_engine(uri)
    try:
        sqlalchemy.inspect(engine).get_table_names()
    finally:
        engine.dispose()


@contextmanager
def _environment() -> Iterator[None]:
    """Switch telemetry off and bound the waiting, for the length of a call."""
    wanted = _ALWAYS | {name: value for name, value in _UNLESS_SET.items() if name not in os.environ}
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the making of database tables out of the log, and warnings among other people's packages to themselves.

    Where warnings are errors, one of them would otherwise cost the run.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import mlflow  # noqa: F401  it sets the level of its loggers, so it comes first

        loggers = [logging.getLogger(name) for name in _LOGGERS]
        before = [logger.level for logger in loggers]
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, before, strict=True):
                logger.setLevel(level)


def _redacted(text: str) -> str:
    return _SECRET.sub("***@", text)


def _pending_path(bundle: Path) -> Path:
    return bundle.with_name(f"{bundle.name}.pending.json")


def _write_pending(bundle: Path, record: _Record, run_id: str | None, problem: str) -> str:
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


def _clear_pending(bundle: Path, model_digest: str) -> None:
    """Remove what an earlier failure left for this model: it is logged now."""
    path = _pending_path(bundle)
    with suppress(OSError, ValueError):
        if json.loads(path.read_text(encoding="utf-8")).get("model_digest") == model_digest:
            path.unlink()
