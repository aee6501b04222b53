"""train: the whole job from a configuration, from tables to a bundle and a run."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sklearn.base import clone

from leadlight.errors import InputError, LeadlightError, warn
from leadlight.evaluation import evaluate
from leadlight.qualifier import deal_parts
from leadlight.tracking.config import TrainConfig
from leadlight.tracking.delivery import LoggedRun
from leadlight.tracking.inputs import costs_of, open_community, qualifier_of, rows_of
from leadlight.tracking.progress import Progress
from leadlight.tracking.run import default_uri, log_run
from leadlight.tracking.surroundings import peak_memory_mb
from leadlight.tracking.tuning import check_tuning, tuned_on_earlier, with_provenance

if TYPE_CHECKING:
    from leadlight.community import Community
    from leadlight.evaluation import Report
    from leadlight.observations import Observations
    from leadlight.qualifier import LeadQualifier, Tuning


@dataclass(frozen=True)
class TrainedRun:
    """What `train` returns.

    Attributes
    ----------
    qualifier : LeadQualifier
        Fitted on all training windows.
    community : Community
    observations : Observations
        What it was fitted on.
    report : Report or None
        How well a model of the earlier windows told the later ones; None where that was not asked for or impossible.
    bundle : Path
    run : LoggedRun or None
        None where no run was to be logged.
    seconds : float
        Without the logging.
    logging_seconds : float
    peak_memory_mb : float
    tuning : Tuning or None
        None where there was none.
    """

    qualifier: LeadQualifier
    community: Community
    observations: Observations
    report: Report | None
    bundle: Path
    run: LoggedRun | None
    seconds: float
    logging_seconds: float
    peak_memory_mb: float
    tuning: Tuning | None = None


def train(
    config: TrainConfig | Mapping[str, Any] | str | os.PathLike[str] | None = None,
    *,
    overrides: list[str] | None = None,
    community: Community | None = None,
    show_progress: bool = True,
) -> TrainedRun:
    """Read, observe, tune if asked to, judge on later windows, fit on all, save the bundle, log the run.

    Parameters
    ----------
    config : path of a YAML file, mapping or TrainConfig, optional
        See `docs/training.md` for the keys.
    overrides : list of str, optional
        "labels.horizon=120d", applied in order.
    community : Community, optional
        Instead of the tables that the configuration names.
    show_progress : bool
        A bar in a terminal or notebook, else a line a step, on standard error.

    Returns
    -------
    TrainedRun
        Equal data, configuration and versions give byte-identical bundles.

    Raises
    ------
    InputError
        The configuration cannot be used, or there is no won deal to learn from.
    KeyboardInterrupt
        Ctrl-C, also while it tunes; the same job goes on from the trials that are done.
    OSError
        The bundle cannot be written.

    Warns
    -----
    LeadlightWarning
        The model could not be tuned or judged, or MLflow did not take the run, which is then pending.
    """
    settings = TrainConfig.of(config, overrides)
    began, started_ms = time.monotonic(), time.time_ns() // 1_000_000
    tracked = settings.tracking
    # First, so that a wrong share is said before the tables are read.
    qualifier = qualifier_of(settings)
    if settings.tuning.enabled:
        check_tuning(settings, qualifier)
    measured: dict[str, float] = {}
    # They are for the page of the run.
    refits = settings.evaluation.refits if settings.evaluation.enabled and tracked.enabled else 0
    steps = 4 + settings.tuning.enabled + settings.evaluation.enabled + tracked.enabled + (refits > 0)
    with Progress(steps, show=show_progress) as progress:
        progress.step("reading the tables")
        community = open_community(settings.data) if community is None else community
        progress.step("pairing members with cutoffs")
        rows = rows_of(settings, community)
        measured["seconds.read"] = time.monotonic() - began
        tuned = None
        if settings.tuning.enabled:
            progress.step(f"tuning, {settings.tuning.trials} trials")
            tuned = tuned_on_earlier(settings, qualifier, community, rows, progress.say)
            qualifier = tuned.qualifier
            measured["seconds.tune"] = time.monotonic() - began - sum(measured.values())
        report = None
        if settings.evaluation.enabled:
            progress.step("judging on later windows")
            report = _judge(settings, qualifier, community, rows)
            measured["seconds.evaluate"] = time.monotonic() - began - sum(measured.values())
        progress.step("fitting on all windows")
        qualifier.fit(community, rows)
        if tuned is not None:
            with_provenance(qualifier, tuned, settings.tuning)
        measured["seconds.fit"] = time.monotonic() - began - sum(measured.values())
        progress.step("saving the bundle")
        bundle = Path(settings.bundle)
        qualifier.save(bundle)
        parts = None
        if refits and report is not None:
            progress.step("asking what drives deals")
            parts = deal_parts(qualifier, refits=refits, n_jobs=settings.model.n_jobs)
            measured["seconds.drivers"] = time.monotonic() - began - sum(measured.values())
        seconds, peak = time.monotonic() - began, peak_memory_mb()
        measured |= {"seconds.total": seconds, "peak_memory_mb": peak}
        run = None
        if tracked.enabled:
            progress.step("logging the run")
            # Where a search was asked for and impossible, the run says so all the same.
            untuned = {} if tuned is None else tuned.unsearched
            run = log_run(
                qualifier,
                report=report,
                observations=rows,
                tuning=None if tuned is None else tuned.tuning,
                bundle=bundle,
                tracking_uri=default_uri(tracked.uri),
                experiment=tracked.experiment,
                run_name=tracked.run_name,
                parameters={"config_digest": settings.digest, **untuned},
                config=settings,
                measured=measured,
                started_ms=started_ms,
                note="\n\n".join(filter(None, (tracked.note, untuned.get("tuning.why")))),
                tags=tracked.tags | ({"tuning": untuned["tuning.kept"]} if untuned else {}),
                artifact_root=tracked.artifact_root,
                registered_model=tracked.registered_model,
                parts=parts,
                include_members=tracked.include_members,
                patience=tracked.patience,
            )
    logging_seconds = time.monotonic() - began - seconds
    tuning = None if tuned is None else tuned.tuning
    return TrainedRun(qualifier, community, rows, report, bundle, run, seconds, logging_seconds, peak, tuning)


def _judge(
    settings: TrainConfig, qualifier: LeadQualifier, community: Community, rows: Observations
) -> Report | None:
    """Evaluate a clone on the later part of the rows; None, with a warning, where that is impossible."""
    try:
        labelled = rows.labelled()
        if not (labelled.frame["label"] == 1).any():
            raise InputError("there is no won deal.")
        return evaluate(
            clone(qualifier),
            community,
            labelled,
            settings.evaluation.baselines,
            share=_share(settings, labelled),
            rounds=settings.evaluation.rounds,
            costs=costs_of(settings.decision),
            excuse=settings.evaluation.excuse,
        )
    except LeadlightError as error:
        warn(f"The model is not evaluated: {error}")
        return None


def _share(settings: TrainConfig, rows: Observations) -> float:
    """Return the capacity as a share of a date's members."""
    decision = settings.decision
    if decision.n is None:
        return decision.share or 0.05
    per_date = len(rows) / max(int(rows.frame["cutoff"].nunique()), 1)
    return min(1.0, max(decision.n / max(per_date, 1.0), 1e-9))
