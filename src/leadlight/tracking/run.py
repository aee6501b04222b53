"""log_run: one training run in MLflow, from a record that is complete, and on disk, before MLflow is asked."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leadlight.errors import InputError, NotFittedError
from leadlight.moments import moment_text
from leadlight.runtime import Scorer, load
from leadlight.tracking.delivery import LoggedRun, deliver
from leadlight.tracking.gathering import gather
from leadlight.tracking.sending import PATIENCE_S

if TYPE_CHECKING:
    from leadlight.evaluation import Report
    from leadlight.observations import Observations
    from leadlight.qualifier import LeadQualifier, Scores, Tuning
    from leadlight.tracking.config import TrainConfig


def log_run(
    qualifier: LeadQualifier,
    *,
    report: Report | None = None,
    scores: Scores | None = None,
    observations: Observations | None = None,
    tuning: Tuning | None = None,
    bundle: str | os.PathLike[str],
    tracking_uri: str = "sqlite:///mlflow.db",
    experiment: str = "leadlight",
    run_name: str | None = None,
    parameters: Mapping[str, Any] | None = None,
    config: TrainConfig | None = None,
    measured: Mapping[str, float] | None = None,
    started_ms: int | None = None,
    note: str = "",
    tags: Mapping[str, str] | None = None,
    artifact_root: str | os.PathLike[str] | None = None,
    registered_model: str | None = None,
    parts: Mapping[str, Any] | None = None,
    include_members: bool = False,
    patience: float = PATIENCE_S,
) -> LoggedRun:
    """Log a fitted qualifier to MLflow: parameters, metrics with intervals, plots, report, and the bundle as a model.

    A failing MLflow costs a warning and some seconds, never the training: the bundle, and then all that the run will hold,
    are on disk before it is called. The caller's active run, tracking URI and environment are as before afterwards; for
    the length of the call the process has telemetry switched off, and a timeout of 10 s with one retry where the
    environment names none.

    Parameters
    ----------
    qualifier : LeadQualifier
        Fitted. Each of its folds becomes a child run.
    report : Report, optional
        From `evaluate`: metrics, plots, counts per cutoff, worth of points and the leakage audit.
    scores : Scores, optional
        For the page; only their totals enter it.
    observations : Observations, optional
        The training rows: counts per cutoff.
    tuning : Tuning, optional
        From `tune`: what was decided, and each trial as a child run.
    bundle : path
        Where the model is saved, a folder or a .zip; saved here first if nothing is.
    tracking_uri : str
        By default a SQLite database in the current directory.
    experiment : str
        Created if need be.
    run_name : str, optional
        By default it says until when the model was trained.
    parameters : mapping, optional
        More parameters of the run; their values are logged as text.
    config : TrainConfig, optional
        What the job was told: parameters ``config.*`` and the file config.yaml.
    measured : mapping, optional
        More metrics, such as seconds.
    started_ms : int, optional
        When the work began, Unix milliseconds; by default now.
    note : str
        Description of the run, Markdown.
    tags : mapping, optional
        More tags.
    artifact_root : path, optional
        Folder of a new experiment's artifacts. By default ``mlartifacts`` beside a SQLite database, else the server's.
    registered_model : str, optional
        Register the model as a version of this one; the newest version gets the alias `challenger`.
    parts : mapping, optional
        What the page says of deals, from `leadlight.qualifier.deal_parts`. By default the points, and no refits for what
        drives deals.
    include_members : bool
        Whether the page may name members. By default nothing of a member leaves this machine.
    patience : float
        Seconds after which no further call to MLflow is begun.

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
    now = time.time_ns() // 1_000_000
    _save_first(qualifier.scorer_, target)
    uri, root = places(tracking_uri, artifact_root)
    record = gather(
        qualifier,
        report=report,
        scores=scores,
        observations=observations,
        tuning=tuning,
        config={} if config is None else config.flat(),
        config_text="" if config is None else _shown(config),
        parameters=parameters or {},
        measured=measured or {},
        note=note,
        tags=tags or {},
        parts=parts,
        include_members=include_members,
        tracking_uri=uri,
        artifact_root=root,
        experiment=experiment,
        run_name=run_name
        or f"trained until {moment_text(qualifier.scorer_.info['windows']['trained_until_us'])[:10]}",
        started_ms=now if started_ms is None else started_ms,
        ended_ms=now,
        registered_model=registered_model,
    )
    return deliver(record, target, target, patience)


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


def _shown(config: TrainConfig) -> str:
    from leadlight.tracking.record import redacted

    return redacted(config.to_yaml())


def places(tracking_uri: str, artifact_root: str | os.PathLike[str] | None = None) -> tuple[str, str | None]:
    """Return the tracking URI with an absolute path, and where a new experiment's artifacts go."""
    root = None if artifact_root is None else Path(artifact_root).absolute()
    scheme, slashes, name = tracking_uri.partition(":///")
    file, mark, query = name.partition("?")
    if slashes and scheme.partition("+")[0] == "sqlite" and file not in ("", ":memory:"):
        database = Path(file).absolute()
        tracking_uri = f"{scheme}:///{database.as_posix()}{mark}{query}"
        root = root or database.parent / "mlartifacts"
    return tracking_uri, None if root is None else root.as_uri()


def default_uri(uri: str | None) -> str:
    """Return a tracking URI: the one given, that of the environment, or a SQLite database in the current directory."""
    return uri or os.environ.get("MLFLOW_TRACKING_URI") or "sqlite:///mlflow.db"
