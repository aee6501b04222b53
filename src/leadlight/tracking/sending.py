"""How a record reaches MLflow. Only `MlflowClient` is used: no run is ever active, and no tracking URI is set."""

from __future__ import annotations

import logging
import os
import tempfile
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from leadlight.runtime import load
from leadlight.tracking import pyfunc
from leadlight.tracking.record import Record

MODEL_NAME: Final = "leadlight"

_BATCH: Final = 100  # MLflow's limit for parameters in one request
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


class Sender:
    """Brings a record and its bundle to MLflow; `run_id` says how far it came."""

    def __init__(self, record: Record, bundle: Path) -> None:
        self.record, self.bundle = record, bundle
        self.run_id: str | None = None

    def send(self) -> str:
        """Return the URI of the model once the run is complete; whatever MLflow raises passes through."""
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
        return uri

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
def environment() -> Iterator[None]:
    """Switch telemetry off and bound the waiting, for the length of a call, one thread at a time."""
    with _LOCK:
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
