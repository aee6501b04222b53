"""What the verbs around MLflow do: train, promote, rollback, monitor, recalibrate, sync."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from leadlight.cli.commands import open_community
from leadlight.cli.own_words import DAY_FIRST, columns_of, values_of
from leadlight.tracking import monitor as look
from leadlight.tracking import promote as judge
from leadlight.tracking import recalibrate as calibrate
from leadlight.tracking import rollback as take_back
from leadlight.tracking import sync as send
from leadlight.tracking import train as run_job
from leadlight.tracking.config import TrainConfig
from leadlight.tracking.inputs import TABLES
from leadlight.tracking.registry import opened
from leadlight.tracking.run import default_uri, log_run

FLAGS = {
    **{
        name: f"data.{name}"
        for name in ("community", "stackexchange", "tz", "engine", "tag_separator", *TABLES)
    },
    **{name: f"labels.{name}" for name in ("every", "horizon", "gap", "active_within", "enters_on", "until")},
    "catalogue": "model.catalogue",
    "share": "decision.share",
    "tracking_uri": "tracking.uri",
    "out": "bundle",
}
"""Flags of `train` and the keys of the configuration that they set."""


def train(arguments: argparse.Namespace) -> int:
    """Run the training job of a configuration; flags and --set go before its keys."""
    config = TrainConfig.of(arguments.config)
    values = config.to_dict()
    for flag, dotted in FLAGS.items():
        given = getattr(arguments, flag)
        if given is not None:
            _put(values, dotted, given)
    values["data"]["columns"].update(columns_of(arguments.columns))
    for column, words in values_of(arguments.values).items():
        values["data"]["values"].setdefault(column, {}).update(words)
    if arguments.first is not None:
        values["data"]["day_first"] = DAY_FIRST[arguments.first]
    if arguments.no_mlflow:
        values["tracking"]["enabled"] = False
    if arguments.no_evaluation:
        values["evaluation"]["enabled"] = False
    if arguments.tune:
        values["tuning"]["enabled"] = True
    done = run_job(values, overrides=arguments.set, show_progress=not arguments.quiet)
    qualifier = done.qualifier
    print(f"{done.community}\n{done.observations}\n{qualifier.decision_.describe(qualifier.threshold_)}")
    print(f"{qualifier.decision_report_}\n{qualifier.estimand_}.")
    if done.tuning is not None:
        print(done.tuning)
    if done.report is not None:
        print(f"\n{done.report}\n\n{done.report.audit}\n")
    print(f"Saved {done.bundle}, version {qualifier.scorer_.version}")
    if done.run is not None:
        version = "" if done.run.version is None else f", version {done.run.version}"
        said = "pending" if done.run.pending else f"{done.run.run_id}, {done.run.model_uri}{version}"
        print(f"MLflow run: {said}")
    return 0


def _put(values: dict[str, Any], dotted: str, value: Any) -> None:
    *above, last = dotted.split(".")
    for name in above:
        values = values[name]
    values[last] = value


def promote(arguments: argparse.Namespace) -> int:
    """Judge a version; 0 where it is the champion now, 1 where a gate failed."""
    verdict = judge(
        open_community(arguments),
        registered_model=arguments.name,
        version=arguments.version,
        tracking_uri=arguments.tracking_uri,
        share=arguments.share,
        every=arguments.every,
        rounds=arguments.rounds,
        excuse=tuple(arguments.excuse),
    )
    print(verdict)
    return 0 if verdict.promoted else 1


def rollback(arguments: argparse.Namespace) -> int:
    """Give the alias champion back to the version before."""
    before, after = take_back(registered_model=arguments.name, tracking_uri=arguments.tracking_uri)
    print(f"{arguments.name}: version {after} is the champion again, not version {before}.")
    return 0


def monitor(arguments: argparse.Namespace) -> int:
    """Compare with training; the exit code is the advice."""
    community = open_community(arguments)
    with opened(arguments.model, arguments.tracking_uri, arguments.name) as (qualifier, _):
        found = look(
            qualifier,
            community,
            arguments.at,
            every=arguments.every,
            rounds=arguments.rounds,
            log=not arguments.no_mlflow,
            beside=_beside(arguments.model),
            tracking_uri=arguments.tracking_uri,
            experiment=arguments.experiment,
        )
    print(found)
    return found.exit_code


def _beside(model: str) -> Path:
    return (
        Path("monitoring")
        if model.startswith("@")
        else Path(model).with_name(f"{Path(model).name}-monitoring")
    )


def recalibrate(arguments: argparse.Namespace) -> int:
    """Write a bundle with a new calibration; log it as a challenger."""
    community = open_community(arguments)
    with opened(arguments.model, arguments.tracking_uri, arguments.name) as (qualifier, name):
        made = calibrate(qualifier, community, every=arguments.every)
    made.save(arguments.out)
    used = made.scorer_.info["recalibrated"]
    old, new = qualifier.scorer_.model.calibration, made.scorer_.model.calibration
    print(
        f"{name}: slope {old.slope:.3f} becomes {new.slope:.3f}, intercept {old.intercept:.3f} becomes {new.intercept:.3f}, "
        f"on {used['rows']:,} rows from {used['first_cutoff']} to {used['last_cutoff']}, {used['positives']} positive."
    )
    print(f"Saved {arguments.out}, version {made.scorer_.version}")
    if not arguments.no_mlflow:
        run = log_run(
            made,
            bundle=arguments.out,
            tracking_uri=default_uri(arguments.tracking_uri),
            experiment=arguments.experiment,
            run_name="recalibration",
            tags={"recalibrated_from": qualifier.scorer_.version},
            registered_model=arguments.name,
        )
        print(f"MLflow run: {'pending' if run.pending else run.run_id}")
    return 0


def sync(arguments: argparse.Namespace) -> int:
    """Send what is pending; 0 where nothing is left, 1 where something is."""
    found = send(*arguments.places, tracking_uri=arguments.tracking_uri, patience=arguments.patience)
    for one in found:
        print(f"{one.folder}: {one.problem or f'sent, run {one.run.run_id}'}")
    left = sum(bool(one.problem) for one in found)
    print(f"{len(found) - left} sent, {left} still pending." if found else "Nothing is pending.")
    return 1 if left else 0
