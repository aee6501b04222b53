"""From a record to MLflow, or to a folder that waits: what training, monitoring and `sync` have in common."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from leadlight.errors import BundleError, warn
from leadlight.tracking.pending import Pending, clear, find, held, note, pending_folder, read, write_pending
from leadlight.tracking.quiet import environment
from leadlight.tracking.record import Record, redacted
from leadlight.tracking.sending import PATIENCE_S, Sender

SYNC_PATIENCE_S = 600.0


@dataclass(frozen=True)
class LoggedRun:
    """What became of a run.

    Attributes
    ----------
    run_id : str or None
        None where MLflow could not even begin it.
    model_uri : str or None
        For `mlflow.pyfunc.load_model`; None while the run is pending, or where it has no model.
    pending : bool
        MLflow failed; what it should have got is in ``<bundle>.pending``, for `sync`.
    version : str or None
        Version of the registered model, if it was registered.
    """

    run_id: str | None
    model_uri: str | None
    pending: bool
    version: str | None = None


def deliver(record: Record, beside: Path, bundle: Path | None, patience: float = PATIENCE_S) -> LoggedRun:
    """Write the record to disk, send it, and remove it from the disk once MLflow has it.

    Parameters
    ----------
    record : Record
    beside : Path
        The record waits in ``<beside>.pending``.
    bundle : Path or None
    patience : float
        Seconds.

    Warns
    -----
    LeadlightWarning
        MLflow failed; the run is pending.
    """
    kept: Pending | None = None
    lost = ""
    try:
        kept = write_pending(beside, record, bundle)
    except OSError as error:
        lost = f"what MLflow should get could not be written beside it: {error}."
    source = bundle if kept is None else kept.bundle
    sender = Sender(record, source, patience)
    with environment():
        try:
            uri = sender.send()
        except Exception as error:  # noqa: BLE001  whatever MLflow raises, the work has succeeded
            problem = redacted(f"{type(error).__name__}: {error}")
        else:
            if kept is not None:
                clear(kept)
            _clear_earlier(beside, record)
            return LoggedRun(sender.run_id, uri, pending=False, version=sender.version)
    if kept is not None:
        try:
            note(kept, sender.run_id, problem)
        except OSError as error:
            lost = f"why could not be noted: {error}."
    waits = (
        ""
        if kept is None
        else f"What MLflow should have got is in {pending_folder(beside)}, for `leadlight sync`."
    )
    model = f"The model is saved at {beside}. " if bundle is not None else ""
    warn(
        f"MLflow at {redacted(record.tracking_uri)} did not take the run ({problem[:500]}). "
        f"{' '.join((model + waits + ' ' + lost).split())}"
    )
    return LoggedRun(sender.run_id, None, pending=True)


def _clear_earlier(beside: Path, record: Record) -> None:
    """Remove what an earlier try left for the same model and the same run: it is logged now."""
    for folder in find(beside) if pending_folder(beside).is_dir() else []:
        with held(folder) as mine, suppress(BundleError):
            if not mine:
                continue
            other = read(folder)
            old, new = (
                (r.model_digest, r.experiment, r.run_name, r.parameters) for r in (other.record, record)
            )
            if record.model_digest is not None and old == new:
                clear(other)


@dataclass(frozen=True)
class Synced:
    """What became of one pending record: `problem` is empty where MLflow has it now."""

    folder: Path
    run: LoggedRun
    problem: str = ""


def sync(
    *places: str | os.PathLike[str],
    tracking_uri: str | None = None,
    patience: float = SYNC_PATIENCE_S,
) -> list[Synced]:
    """Complete what is pending, once: a run that MLflow has in part is completed, not made again.

    Parameters
    ----------
    *places : paths
        Bundles, or folders that hold them; by default the current directory.
    tracking_uri : str, optional
        By default each record's own; one whose password was left out needs it, or MLFLOW_TRACKING_URI.
    patience : float
        Seconds for each record.

    Returns
    -------
    list of Synced
        The oldest first. A record that another process is sending is left to it.
    """
    found: list[Synced] = []
    for place in [Path(p) for p in places] or [Path()]:
        for folder in find(place):
            with held(folder) as mine:
                if mine:
                    found.append(_send_again(folder, tracking_uri, patience))
    return found


def _send_again(folder: Path, tracking_uri: str | None, patience: float) -> Synced:
    try:
        pending = read(folder)
    except ValueError as error:
        return Synced(folder, LoggedRun(None, None, pending=True), str(error))
    record, uri = pending.record, tracking_uri
    if uri is None and "***@" in record.tracking_uri:
        uri = os.environ.get("MLFLOW_TRACKING_URI")
        if uri is None:
            problem = f"the password of {record.tracking_uri} was left out; give the address with it, or MLFLOW_TRACKING_URI"
            return Synced(folder, LoggedRun(pending.run_id, None, pending=True), problem)
    if uri is not None:
        record = replace(record, tracking_uri=uri)
    sender = Sender(record, pending.bundle, patience)
    with environment():
        try:
            model_uri = sender.send()
        except Exception as error:  # noqa: BLE001  the next record may go to another server
            problem = redacted(f"{type(error).__name__}: {error}")
            note(pending, sender.run_id or pending.run_id, problem)
            return Synced(folder, LoggedRun(sender.run_id, None, pending=True), problem)
    clear(pending)
    return Synced(folder, LoggedRun(sender.run_id, model_uri, pending=False, version=sender.version))
