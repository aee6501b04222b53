"""How a record reaches MLflow. Only `MlflowClient` is used: no run is ever active, and no tracking URI is set.

Everything that is made bears the record's id as a tag and is looked for before it is made, so that sending a record
again completes what is there.
"""

from __future__ import annotations

import json
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from leadlight.runtime import load
from leadlight.tracking import pyfunc
from leadlight.tracking.quiet import quiet
from leadlight.tracking.record import Record

MODEL_NAME: Final = "leadlight"
RECORD_TAG: Final = "leadlight.record"
STARTED_TAG: Final = "leadlight.started_ms"
CHALLENGER: Final = "challenger"
CHAMPION: Final = "champion"
PATIENCE_S: Final = 60.0

_KIND: Final = {"mlflow.experimentKind": "custom_model_development"}
"""Else MLflow's pages are those for agents and prompts."""

_BATCH: Final = 100  # MLflow's limit for parameters in one request
_DATABASES: Final = ("sqlite", "postgresql", "mysql", "mssql")


class Sender:
    """Brings a record and its bundle to MLflow; `run_id` says how far it came.

    Parameters
    ----------
    record : Record
    bundle : path or None
        None for a run without a model.
    patience : float
        Seconds after which no further call is begun; with a timeout of 10 s and one retry a call ends soon after.
    """

    def __init__(self, record: Record, bundle: Path | None, patience: float = PATIENCE_S) -> None:
        self.record, self.bundle = record, bundle
        self.run_id: str | None = None
        self.version: str | None = None
        self._patience = patience

    def send(self) -> str | None:
        """Return the URI of the model once the run is complete; whatever MLflow raises passes through."""
        record = self.record
        until = time.monotonic() + self._patience
        with quiet():
            from mlflow import MlflowClient

            check_database(record.tracking_uri)
            client = MlflowClient(tracking_uri=record.tracking_uri, registry_uri=record.tracking_uri)
            timed = Timed(client, until, self._patience)
            experiment = self._experiment(timed)
            self.run_id = self._run(timed, experiment)
            try:
                uri = self._fill(timed, client, experiment, self.run_id)
                timed.set_terminated(self.run_id, "FINISHED", end_time=record.ended_ms)
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
                return str(
                    client.create_experiment(name, artifact_location=self.record.artifact_root, tags=_KIND)
                )
            except Exception:
                # Another job may have created it in between.
                found = client.get_experiment_by_name(name)
                if found is None:
                    raise
        return str(found.experiment_id)

    def _run(self, client: Any, experiment: str) -> str:
        """Return the record's run, made unless it is there."""
        record = self.record
        there = client.search_runs([experiment], f"tags.`{RECORD_TAG}` = '{record.record_id}'", max_results=1)
        if there:
            return str(there[0].info.run_id)
        made = client.create_run(
            experiment,
            start_time=record.started_ms,
            tags={**record.tags, RECORD_TAG: record.record_id},
            run_name=record.run_name,
        )
        return str(made.info.run_id)

    def _fill(self, client: Any, plain: Any, experiment: str, run_id: str) -> str | None:
        record = self.record
        _log(client, run_id, record.parameters, {}, record.started_ms)
        self._datasets(client, run_id)
        self._files(client, run_id)
        self._children(client, experiment, run_id)
        if self.bundle is None:
            _log(client, run_id, {}, record.metrics, record.started_ms)
            return None
        model_id = self._model(client, plain, experiment, run_id)
        if record.registered_model is not None:
            self.version = self._register(client, record.registered_model, model_id, run_id)
        return f"models:/{model_id}"

    def _children(self, client: Any, experiment: str, run_id: str) -> None:
        """Make what is lacking of the runs below: one look-up for all, and three calls for each."""
        record = self.record
        if not record.children:
            return
        there = _below(client, experiment, run_id)
        # A description of the whole belongs to the run above.
        common = {name: value for name, value in record.tags.items() if name != "mlflow.note.content"}
        for child in record.children:
            own = f"{record.record_id}.{child['name']}"
            made, ended = there.get(own, ("", False))
            if ended:
                continue
            began = int(child.get("started_ms", record.started_ms))
            tags = {**common, **child.get("tags", {}), "mlflow.parentRunId": run_id, RECORD_TAG: own}
            if not made:
                created = client.create_run(experiment, start_time=began, tags=tags, run_name=child["name"])
                made = str(created.info.run_id)
            _log(client, made, child["parameters"], child["metrics"], began)
            status = child.get("status", "FINISHED")
            client.set_terminated(made, status, end_time=int(child.get("ended_ms", record.ended_ms)))

    def _datasets(self, client: Any, run_id: str) -> None:
        from mlflow.entities import Dataset, DatasetInput, InputTag

        made = []
        for one in self.record.datasets:
            # There is no source to name but the data themselves, whose fingerprint is the digest.
            source = json.dumps({"fingerprint": one["fingerprint"]})
            dataset = Dataset(one["name"], one["digest"], "code", source, one["schema"], one["profile"])
            made.append(DatasetInput(dataset, [InputTag("mlflow.data.context", one["context"])]))
        if made:
            client.log_inputs(run_id, datasets=made)

    def _files(self, client: Any, run_id: str) -> None:
        record = self.record
        # Not log_table, which adds to a table that is there already.
        tables = {
            name: json.dumps(
                {"columns": list(table), "data": [list(row) for row in zip(*table.values(), strict=True)]}
            ).encode()
            for name, table in record.tables.items()
        }
        with tempfile.TemporaryDirectory() as folder:
            for name, data in {**record.files, **tables}.items():
                path = Path(folder, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
                above = Path(name).parent.as_posix()
                client.log_artifact(run_id, str(path), None if above == "." else above)
        if tables:
            shown = json.dumps([{"path": name, "type": "table"} for name in tables])
            client.set_tag(run_id, "mlflow.loggedArtifacts", shown)

    def _model(self, client: Any, plain: Any, experiment: str, run_id: str) -> str:
        from mlflow.entities import LoggedModelOutput

        record = self.record
        found = client.search_logged_models([experiment], f"tags.`{RECORD_TAG}` = '{record.record_id}'")
        model = next(iter(found), None)
        if model is None:
            model = client.create_logged_model(
                experiment,
                name=MODEL_NAME,
                source_run_id=run_id,
                tags={**record.tags, RECORD_TAG: record.record_id},
                params=record.parameters,
            )
        try:
            if str(model.status) != "READY":
                self._upload(client, model, run_id)
                client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=0)])
            _log(client, run_id, {}, record.metrics, record.started_ms, model.model_id)
        except BaseException:
            with suppress(Exception):
                plain.finalize_logged_model(model.model_id, "FAILED")
            raise
        client.finalize_logged_model(model.model_id, "READY")
        return str(model.model_id)

    def _upload(self, client: Any, model: Any, run_id: str) -> None:
        from mlflow.models import Model

        assert self.bundle is not None
        described = Model(
            artifact_path=model.artifact_location,
            run_id=run_id,
            model_uuid=model.model_id,
            model_id=model.model_id,
        )
        with tempfile.TemporaryDirectory() as folder:
            # MLflow copies the bundle under its own name, which may tell something.
            plain, made = Path(folder, "bundle"), Path(folder, "model")
            load(self.bundle, digest=self.record.model_digest).save(plain)
            pyfunc.save(plain, made, described)
            for path in sorted(p for p in made.rglob("*") if p.is_file()):
                above = path.parent.relative_to(made).as_posix()
                client.log_model_artifact(model.model_id, str(path), None if above == "." else above)

    def _register(self, client: Any, name: str, model_id: str, run_id: str) -> str:
        """Return the version of the model, made unless it is there; the newest becomes the challenger."""
        from mlflow.exceptions import MlflowException

        record = self.record
        with suppress(MlflowException):  # it is there already, or the next call says what is wrong
            client.create_registered_model(name, description="Made by leadlight; see its alias `champion`.")
        quoted = name.replace("'", "''")
        found = client.search_model_versions(
            f"name = '{quoted}' and tags.`{RECORD_TAG}` = '{record.record_id}'"
        )
        version = next(iter(found), None)
        if version is None:
            tags: dict[str, Any] = {
                RECORD_TAG: record.record_id,
                STARTED_TAG: str(record.started_ms),
                "model_digest": str(record.model_digest),
                **{n: record.tags[n] for n in ("simulated", "estimand", "trained_until") if n in record.tags},
            }
            source = f"models:/{model_id}"
            if _is_database(record.tracking_uri):
                # A registry in a database would look for the model at the process's tracking URI, which is not ours.
                source = client.get_logged_model(model_id).artifact_location
            version = client.create_model_version(
                name, source, run_id, tags=tags, await_creation_for=10, model_id=model_id
            )
        present: Any = None
        with suppress(MlflowException):
            present = client.get_model_version_by_alias(name, CHALLENGER)
        # A record that waited for days must not push a newer challenger aside.
        if present is None or int(present.tags.get(STARTED_TAG, 0)) <= record.started_ms:
            client.set_registered_model_alias(name, CHALLENGER, version.version)
        return str(version.version)


class Timed:
    """A client that begins no call after its time."""

    def __init__(self, client: Any, until: float, patience: float) -> None:
        self._client, self._until, self._patience = client, until, patience

    def __getattr__(self, name: str) -> Any:
        if time.monotonic() > self._until:
            raise TimeoutError(f"MLflow took longer than {self._patience:g} s before {name}")
        return getattr(self._client, name)


def _log(
    client: Any,
    run_id: str,
    parameters: dict[str, str],
    metrics: dict[str, float],
    at_ms: int,
    model_id: str | None = None,
) -> None:
    """Log parameters and metrics; a second time changes nothing, since a metric's time is the record's."""
    from mlflow.entities import Metric, Param

    params = [Param(n, v) for n, v in parameters.items()]
    made = [Metric(n, v, at_ms, 0, model_id=model_id) for n, v in metrics.items()]
    for start in range(0, max(len(params), len(made)), _BATCH):
        stop = start + _BATCH
        client.log_batch(run_id, metrics=made[start:stop], params=params[start:stop])


def _below(client: Any, experiment: str, run_id: str) -> dict[str, tuple[str, bool]]:
    """Return the runs below a run by their record tag: id, and whether they are complete."""
    found: dict[str, tuple[str, bool]] = {}
    token = None
    while True:
        page = client.search_runs(
            [experiment], f"tags.`mlflow.parentRunId` = '{run_id}'", max_results=1000, page_token=token
        )
        for run in page:
            ended = run.info.status in ("FINISHED", "FAILED")
            found[run.data.tags.get(RECORD_TAG, "")] = (str(run.info.run_id), ended)
        token = page.token
        if not token:
            return found


def _is_database(uri: str) -> bool:
    return uri.partition(":")[0].partition("+")[0] in _DATABASES


def check_database(uri: str) -> None:
    """Connect once to a database: MLflow would try ten times, for a minute and a half."""
    if not _is_database(uri):
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
