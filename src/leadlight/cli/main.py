"""Parse the command line and call the verb; errors of the family are one line, not a traceback."""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

from leadlight._version import __version__
from leadlight.cli import tracked_verbs
from leadlight.errors import LeadlightError, LeadlightWarning

if TYPE_CHECKING:
    Verbs = argparse._SubParsersAction[argparse.ArgumentParser]

CATALOGUES = ("corporate", "question", "candidate")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; return the exit code: 0, 2 with a message on standard error, or what the verb's help says."""
    parser = build_parser()
    arguments = parser.parse_args(argv)
    if not hasattr(arguments, "run"):
        parser.print_help()
        return 2
    with warnings.catch_warnings():
        # Other libraries' warnings are for who calls them, not for who reads a call list.
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", LeadlightWarning)
        warnings.showwarning = _show_warning
        try:
            code: int = arguments.run(arguments) or 0
        except (LeadlightError, OSError) as error:
            print(f"leadlight: {' '.join(str(error).split())}", file=sys.stderr)
            code = 2
    return code


def _show_warning(message: Warning | str, category: type[Warning], *rest: object, **more: object) -> None:
    if issubclass(category, LeadlightWarning):
        print(f"note: {message}", file=sys.stderr)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser with all verbs."""
    parser = argparse.ArgumentParser(
        prog="leadlight",
        description="Your community's log and your closed deals in; Monday's call list, a reason for each name, out.",
    )
    parser.add_argument("--version", action="version", version=f"leadlight {__version__}")
    verbs = parser.add_subparsers(title="verbs", metavar="VERB")
    _demo(verbs)
    _simulate(verbs)
    tracked_verbs.add_train(verbs, _verb, _tables)
    _evaluate(verbs)
    _score(verbs)
    _explain(verbs)
    _report(verbs)
    _card(verbs)
    tracked_verbs.add(verbs, _verb, _tables)
    return parser


def _verb(
    verbs: Verbs, name: str, text: str, example: str, function: str, module: str = "commands"
) -> argparse.ArgumentParser:
    def run(arguments: argparse.Namespace) -> int:
        # The verbs import pandas and LightGBM; --help should not wait for them.
        from importlib import import_module

        found = getattr(import_module(f"leadlight.cli.{module}"), function)
        code: int = found(arguments)
        return code

    parser = verbs.add_parser(
        name,
        help=text,
        description=text,
        epilog=f"example:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    return parser


def _tables(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("your data")
    group.add_argument(
        "--community",
        metavar="FOLDER",
        help="folder with activity, members, deals, contacts (CSV or Parquet)",
    )
    group.add_argument("--activity", metavar="FILE", help="the log: member_id, occurred_at, action, ...")
    group.add_argument("--members", metavar="FILE")
    group.add_argument(
        "--deals",
        metavar="FILE",
        help="deals: outcome, closed_at, and e-mail, domain, member_id or account_id",
    )
    group.add_argument("--deal-contacts", metavar="FILE")
    group.add_argument("--contacts", metavar="FILE")
    group.add_argument(
        "--stackexchange", metavar="FOLDER", help="a Stack Exchange dump instead, XML or Parquet"
    )
    group.add_argument(
        "--columns", action="append", default=[], metavar="CANONICAL=OWN", help="name your own columns"
    )
    group.add_argument(
        "--values",
        action="append",
        default=[],
        metavar="COLUMN.YOURS=OURS",
        help="what your words mean: action.topic_viewed=view, outcome.Proposal=open",
    )
    group.add_argument(
        "--first",
        choices=("day", "month"),
        help="what comes first in dates such as 03/04/2025 (default: such dates cannot be read)",
    )
    group.add_argument("--tag-separator", metavar="TEXT", help="what stands between tags (default: | or ;)")
    group.add_argument("--tz", default="UTC", help="zone of timestamps that name none (default: UTC)")


def _engine(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--engine",
        choices=("local", "spark"),
        default="local",
        help="where features are made: on this machine, or on the cluster that Spark's own settings name (default: local)",
    )


def _labels(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("labels")
    group.add_argument(
        "--catalogue", choices=CATALOGUES, help="default: corporate; question for --stackexchange"
    )
    group.add_argument("--every", default="30d", help="distance of cutoffs (default: 30d)")
    group.add_argument("--horizon", default="90d", help="length of the label window (default: 90d)")
    group.add_argument("--gap", default="0d", help="between cutoff and label window (default: 0d)")
    group.add_argument(
        "--active-within", default="180d", help="population: active in this time (default: 180d)"
    )
    group.add_argument("--enters-on", metavar="ACTION", help="population: members enter with this action")
    group.add_argument(
        "--share", type=float, default=0.05, help="share of members that sales can approach (default: .05)"
    )


def _costs(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("costs, to judge by profit; in one currency")
    group.add_argument("--cost-call", type=float, metavar="AMOUNT", help="an approach that had no chance")
    group.add_argument("--cost-missed", type=float, metavar="AMOUNT", help="a buyer whom nobody approached")


def _demo(verbs: Verbs) -> None:
    parser = _verb(
        verbs,
        "demo",
        "From a log and its deals to a call list: a real log where --data has one, and a simulated community.",
        "leadlight demo --out demo-output",
        "demo",
        "demo",
    )
    parser.add_argument(
        "--data", metavar="FOLDER", help="a Stack Exchange dump to run first, such as data/travel"
    )
    parser.add_argument(
        "--community", metavar="FOLDER", help="your own CSV files in place of the simulated community"
    )
    parser.add_argument(
        "--out", default="demo-output", metavar="FOLDER", help="where results go (default: demo-output)"
    )
    parser.add_argument(
        "--members", type=int, default=6_000, help="size of the simulated community (default: 6000)"
    )
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--top", type=int, default=10, help="names to show (default: 10)")
    parser.add_argument("--no-mlflow", action="store_true", help="log no run")


def _simulate(verbs: Verbs) -> None:
    parser = _verb(
        verbs,
        "simulate",
        "Write a simulated community with deals as CSV files.",
        "leadlight simulate --members 2000 --weeks 80 --out community",
        "simulate",
    )
    parser.add_argument("--members", type=int, default=6_000)
    parser.add_argument("--weeks", type=int, default=130)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", required=True, metavar="FOLDER")


def _evaluate(verbs: Verbs) -> None:
    parser = _verb(
        verbs,
        "evaluate",
        "Train on earlier windows, judge on later ones, beside the baselines.",
        "leadlight evaluate --community community --train-until 2025-09-01 --test-from 2025-12-01",
        "evaluate_",
    )
    _tables(parser)
    _labels(parser)
    _costs(parser)
    parser.add_argument("--train-until", metavar="DATE", help="default: the earlier 70 %% of the cutoffs")
    parser.add_argument("--test-from", metavar="DATE")
    parser.add_argument("--rounds", type=int, default=500, help="bootstrap draws of accounts (default: 500)")


def _score(verbs: Verbs) -> None:
    parser = _verb(
        verbs,
        "score",
        "Score everybody at a date with a saved bundle.",
        "leadlight score --model models/mine --community community --at 2026-06-01 --out call_list.csv",
        "score",
    )
    _tables(parser)
    _engine(parser)
    parser.add_argument("--model", required=True, metavar="BUNDLE")
    parser.add_argument("--at", metavar="DATE", help="default: just after the last known fact")
    parser.add_argument("--top", type=int, help="length of the call list; default: all qualified")
    parser.add_argument(
        "--everybody", action="store_true", help="write every member to --out, not the call list alone"
    )
    parser.add_argument("--out", metavar="CSV")


def _explain(verbs: Verbs) -> None:
    parser = _verb(
        verbs,
        "explain",
        "Say why one member has its score, by behaviour.",
        "leadlight explain --model models/mine --community community --member 42",
        "explain",
    )
    _tables(parser)
    parser.add_argument("--model", required=True, metavar="BUNDLE")
    parser.add_argument("--member", required=True)
    parser.add_argument("--at", metavar="DATE")


def _report(verbs: Verbs) -> None:
    parser = _verb(
        verbs,
        "report",
        "Evaluate, train, score, and write one HTML file that a sales manager reads.",
        "leadlight report --community community --out report.html",
        "report",
    )
    _tables(parser)
    _labels(parser)
    _costs(parser)
    parser.add_argument("--out", required=True, metavar="HTML")
    parser.add_argument("--at", metavar="DATE")
    parser.add_argument("--top", type=int, default=40)
    parser.add_argument("--title", default="leadlight", help="heading of the page (default: leadlight)")
    parser.add_argument(
        "--refits",
        type=int,
        default=8,
        help="refits that say how sure it is what drives deals; 0: leave that out (default: 8)",
    )
    parser.add_argument("--aggregate", action="store_true", help="leave out everything about single members")


def _card(verbs: Verbs) -> None:
    parser = _verb(
        verbs,
        "card",
        "Write a saved model's card: data, figures with intervals, limits, intended use.",
        "leadlight card models/mine --out card.md",
        "card",
        module="card",
    )
    parser.add_argument("model", metavar="BUNDLE")
    parser.add_argument("--out", metavar="FILE", help="default: print it")
