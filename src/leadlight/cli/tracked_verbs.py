"""The parsers of the verbs around MLflow."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

CATALOGUES = ("corporate", "question", "candidate")
MODULE = "tracked"
Verb = Callable[..., argparse.ArgumentParser]
Tables = Callable[[argparse.ArgumentParser], None]


def add_train(verbs: Any, verb: Verb, tables: Tables) -> None:
    """Add `train`; its flags have no defaults, so that only those given go before the configuration."""
    parser = verb(
        verbs,
        "train",
        "Judge on later windows, fit on all mature ones, save the bundle that an application loads, log the run.",
        "leadlight train --config examples/train.yaml --community community --set labels.horizon=120d",
        "train",
        MODULE,
    )
    parser.add_argument("--config", metavar="YAML", help="keys and values; docs/training.md has them all")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="set any key, such as labels.horizon=120d",
    )
    tables(parser)
    parser.add_argument(
        "--engine", choices=("local", "spark"), help="where features are made (default: local)"
    )
    parser.set_defaults(tz=None)
    group = parser.add_argument_group("labels")
    group.add_argument(
        "--catalogue", choices=CATALOGUES, help="default: corporate; question for --stackexchange"
    )
    group.add_argument("--every", help="distance of cutoffs (default: 30d)")
    group.add_argument("--horizon", help="length of the label window (default: 90d)")
    group.add_argument("--gap", help="between cutoff and label window (default: 0d)")
    group.add_argument("--active-within", help="population: active in this time (default: 180d)")
    group.add_argument("--enters-on", metavar="ACTION", help="population: members enter with this action")
    group.add_argument("--share", type=float, help="share of members that sales can approach (default: .05)")
    group.add_argument("--until", metavar="DATE", help="use windows that had ended by this date only")
    parser.add_argument("--out", metavar="BUNDLE", help="where the model goes (default: models/leadlight)")
    parser.add_argument(
        "--no-evaluation", action="store_true", help="fit only; half the time, and no figures"
    )
    parser.add_argument(
        "--tune",
        action="store_true",
        help="look for better parameters first; keep the default unless they surely gain",
    )
    parser.add_argument("--quiet", action="store_true", help="show no progress")
    _mlflow(parser, log=True)


def add(verbs: Any, verb: Verb, tables: Tables) -> None:
    """Add `promote`, `rollback`, `monitor`, `recalibrate` and `sync`."""
    parser = verb(
        verbs,
        "promote",
        "Make a version the champion, if it passes every gate. Exit code 1: a gate failed; 2: no verdict.",
        "leadlight promote --community community --tracking-uri http://localhost:5000",
        "promote",
        MODULE,
    )
    tables(parser)
    _mlflow(parser, name=True)
    parser.add_argument("--version", default="challenger", help="number or alias (default: challenger)")
    parser.add_argument("--share", type=float, help="capacity (default: that of the model's decision)")
    parser.add_argument(
        "--excuse", action="append", default=[], metavar="COLUMN", help="of the leakage audit"
    )
    _rows(parser)
    parser = verb(
        verbs,
        "rollback",
        "Make the version champion that was it before.",
        "leadlight rollback --tracking-uri http://localhost:5000",
        "rollback",
        MODULE,
    )
    _mlflow(parser, name=True)
    parser = verb(
        verbs,
        "monitor",
        "Compare the newest members with training. Exit code 0: nothing to do; 3: recalibrate; 4: retrain; 2: error.",
        "leadlight monitor --model models/mine --community community",
        "monitor",
        MODULE,
    )
    tables(parser)
    _model(parser)
    parser.add_argument("--at", metavar="DATE", help="default: just after the last known fact")
    _mlflow(parser, name=True, log=True, experiment=True)
    _rows(parser)
    parser = verb(
        verbs,
        "recalibrate",
        "Fit the probabilities, not the ranking, on the windows that have ended since training.",
        "leadlight recalibrate --model @champion --community community --out models/recalibrated",
        "recalibrate",
        MODULE,
    )
    tables(parser)
    _model(parser)
    parser.add_argument("--out", required=True, metavar="BUNDLE")
    _mlflow(parser, name=True, log=True, experiment=True)
    parser.add_argument("--every", default="30d", help="distance of cutoffs (default: 30d)")
    parser = verb(
        verbs,
        "sync",
        "Complete the runs that MLflow did not take. Exit code 1: something is still pending.",
        "leadlight sync models",
        "sync",
        MODULE,
    )
    parser.add_argument(
        "places", nargs="*", metavar="PLACE", help="bundles, or folders that hold them (default: .)"
    )
    parser.add_argument("--tracking-uri", metavar="URI", help="default: that of each run")
    parser.add_argument("--patience", type=float, default=600.0, help="seconds for each run (default: 600)")


def _model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model",
        required=True,
        metavar="BUNDLE",
        help="a bundle, or @champion, @challenger, @3 of the registry",
    )


def _rows(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--every", default="30d", help="distance of cutoffs (default: 30d)")
    parser.add_argument("--rounds", type=int, default=500, help="bootstrap draws of accounts (default: 500)")


def _mlflow(
    parser: argparse.ArgumentParser, *, name: bool = False, log: bool = False, experiment: bool = False
) -> None:
    group = parser.add_argument_group("MLflow")
    group.add_argument(
        "--tracking-uri", metavar="URI", help="default: MLFLOW_TRACKING_URI, else sqlite:///mlflow.db"
    )
    if name:
        group.add_argument("--name", default="leadlight", help="registered model (default: leadlight)")
    if experiment:
        group.add_argument("--experiment", default="leadlight", help="default: leadlight")
    if log:
        group.add_argument("--no-mlflow", action="store_true", help="log no run")
