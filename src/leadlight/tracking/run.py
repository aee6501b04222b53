"""log_run: one training run in MLflow, from a record that is complete before MLflow is asked.

Everything that the run will hold is gathered first, in memory. MLflow then gets it, or a file beside the bundle does, so
that the run can be completed later.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leadlight.errors import InputError, LeadlightWarning, NotFittedError
from leadlight.runtime import Scorer, load
from leadlight.tracking.record import clear_pending, gather, redacted, write_pending
from leadlight.tracking.sending import Sender, environment

if TYPE_CHECKING:
    from leadlight.evaluation import Report
    from leadlight.qualifier import LeadQualifier, Scores


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
    record = gather(
        qualifier,
        report=report,
        scores=scores,
        tracking_uri=uri,
        artifact_root=root,
        experiment=experiment,
        run_name=run_name,
        parameters=parameters or {},
        note=note,
        include_members=include_members,
    )
    sender = Sender(record, target)
    with environment():
        try:
            model_uri = sender.send()
        except Exception as error:  # noqa: BLE001  whatever MLflow raises, the training has succeeded
            problem = redacted(f"{type(error).__name__}: {error}")
        else:
            clear_pending(target, record.model_digest)
            return LoggedRun(sender.run_id, model_uri, pending=False)
    kept = write_pending(target, record, sender.run_id, problem)
    warnings.warn(
        f"MLflow at {redacted(uri)} did not take the run ({problem[:500]}). The model is saved at {target}; {kept}",
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
