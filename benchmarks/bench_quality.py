"""Who would have bought: LeadClassifier beside other learners on the same rows, with intervals over accounts.

Run: make bench, or python benchmarks/bench_quality.py: the two sites in their validation periods, which lie before
everything that the judge scores, and learners without a search. make bench-quality, or --judge --automl: all cases in the
judge's periods, for the end of a development and not to steer it by. See README.md beside this file; what is run is kept in build/quality, and a run that
was broken off goes on.
"""

import argparse
import sys
import time
from pathlib import Path

from peers.measure import machine
from quality import capped_points, lead_tables, tables
from quality.case import ROOT, Source
from quality.communities import BEER, TRAVEL, Simulator
from quality.environments import OURS
from quality.judgement import Judgement
from quality.runs import Contestant, Runs

import leadlight as ll

LEADS = ROOT.parent / "shared" / "data" / "leads"
VERSIONS = ("lightgbm", "scikit-learn", "pandas", "numpy")
PLAIN = ("LightGBM", "XGBoost", "CatBoost", "HistGradientBoosting", "ridge logistic")

QUICK = ("travel", "beer")
"""What make bench runs."""


def say(text: str) -> None:
    """Say on the other stream what is going on: the tables alone are the output."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def arguments() -> argparse.Namespace:
    found = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    period = found.add_mutually_exclusive_group()
    period.add_argument(
        "--validation", dest="period", action="store_const", const="validation", help="the default"
    )
    period.add_argument(
        "--judge", dest="period", action="store_const", const="judge", help="later than anything seen"
    )
    found.set_defaults(period="validation")
    found.add_argument(
        "--cases",
        help="begin of the names, divided by ';', with a $ the whole name: 'travel;simulator, 10;bank$', or 'all' "
        f"(default: all for --judge, else {' and '.join(QUICK)})",
    )
    found.add_argument(
        "--only", default="", help="contestants beside ours, divided by commas: 'CatBoost,FLAML'"
    )
    found.add_argument(
        "--automl", action="store_true", help="FLAML and AutoGluon, too, with our fit's time and with more"
    )
    found.add_argument("--automl-seconds", type=float, default=120.0, help="the longer budget")
    found.add_argument("--threads", type=int, default=2)
    found.add_argument("--leads", type=Path, default=LEADS, help="folder of the lead tables")
    found.add_argument("--retry", action="store_true", help="run again what failed in an earlier run")
    found.add_argument("--seeds", help="communities of 'capped points', in place of the period's: '301,302'")
    found.add_argument("--list", action="store_true", help="print the names of cases and contestants")
    found.add_argument("--out", type=Path, help="write the tables to this file, too")
    return found.parse_args()


def contestants(given: argparse.Namespace) -> list[Contestant]:
    found = [Contestant(name, name) for name in (OURS, *PLAIN)]
    if given.automl:
        for name in ("FLAML", "AutoGluon"):
            found.append(Contestant(f"{name}, our time", name, 0.0))
            found.append(Contestant(f"{name}, {given.automl_seconds:g} s", name, given.automl_seconds))
    wanted = [name.strip() for name in given.only.split(",") if name.strip()]
    return [c for c in found if not wanted or c.name == OURS or c.learner in wanted]


def among(name: str, wanted: list[str]) -> bool:
    """Return whether a case is asked for: by a part that it begins with, or by its whole name and a $; no names mean all."""
    return not wanted or any(f"{name}$".startswith(one) for one in wanted)


def main() -> None:
    given = arguments()
    sources: list[Source] = [TRAVEL, BEER, Simulator()]
    sources += [kind(given.leads) for kind in (lead_tables.XEducation, lead_tables.Olist, lead_tables.Bank)]
    asked = given.cases or ("all" if given.period == "judge" else ";".join(QUICK))
    wanted = [] if asked == "all" else [name.strip() for name in asked.split(";") if name.strip()]
    field = contestants(given)
    plan = {s: [name for name in s.case_names(given.period) if among(name, wanted)] for s in sources}
    if given.list:
        print(
            "\n".join(n for names in plan.values() for n in names),
            capped_points.NAME,
            *(c.name for c in field),
            sep="\n",
        )
        return
    lines: list[str] = []

    def show(found: list[str]) -> None:
        print("\n".join(found), flush=True)
        lines.extend(found)
        if given.out:
            given.out.write_text("\n".join(lines) + "\n", encoding="utf-8")

    runs, judgements = Runs(given.threads, say, retry=given.retry), []
    show([f"{machine(VERSIONS)}\nleadlight {ll.__version__}, learner {runs.code}; period: {given.period}"])
    for source, names in plan.items():
        if not names:
            continue
        if why := source.absent():
            show([f"\n### {source.name}\n\nLeft out: {why}."])
            continue
        for case in source.prepare(given.period, names, say):
            found = {c.name: [runs.get(draw, c) for draw in case.draws] for c in field}
            judgements.append(Judgement(case, found))
            show(tables.case_table(judgements[-1]))
    if judgements:
        show(tables.summary(judgements))
    if among(capped_points.NAME, wanted):
        seeds = (
            [int(seed) for seed in given.seeds.split(",")] if given.seeds else Simulator.SEEDS[given.period]
        )
        show(capped_points.table(seeds, given.threads, say))


if __name__ == "__main__":
    main()
