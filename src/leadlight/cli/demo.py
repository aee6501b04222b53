"""`leadlight demo`: both roads, from the log to Monday's call list."""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from leadlight.behaviours import CORPORATE_COMMUNITY, QUESTION_COMMUNITY, Catalogue
from leadlight.cli.commands import write_csv
from leadlight.community import Community
from leadlight.decision import Capacity
from leadlight.estimators import LeadClassifier
from leadlight.evaluation import Report, evaluate, fit_on_earlier
from leadlight.explain.report import write_report
from leadlight.moments import moment_text
from leadlight.observations import Observations, cutoff_iterator, observe
from leadlight.qualifier import LeadQualifier, Scores, page_parts, qualify
from leadlight.qualifier.points import PointsOnly
from leadlight.simulate import SimulationParameters, Truth, simulate_tables
from leadlight.sources.stackexchange import read_stackexchange
from leadlight.tracking.inputs import community_files

PROXY = "No public community has real deals. The outcome here is a proxy, named for what it is: a member's first accepted answer."


@dataclass(frozen=True)
class Road:
    """One community on its way to a call list."""

    name: str
    title: str
    catalogue: Catalogue
    observe: dict[str, Any]
    split: tuple[str, str] | None
    note: str = ""


TRAVEL = Road(
    "travel",
    "A real log: travel.stackexchange, 2011 to 2017",
    QUESTION_COMMUNITY,
    # The start puts a cutoff on 2016-06-01, the first test day.
    {"every": "30d", "horizon": "90d", "enters_on": "question", "start": "2011-06-28"},
    ("2016-03-01", "2016-06-01"),
    PROXY,
)
BUSINESS = Road(
    "community",
    "A business-to-business community with deals (simulated)",
    CORPORATE_COMMUNITY,
    {"every": "30d", "horizon": "90d"},
    ("2025-07-01", "2025-07-01"),
    "This community, its members and its deals are simulated.",
)

REFITS = 5
"""Fewer than a report has: what drives deals is to be looked at here, not to be relied on."""

BUSY_SALES = SimulationParameters(score_contacts=0.005, random_contacts=0.0006)
"""Three times the approaches of the default, so that a small community holds enough deals to look at."""


def demo(arguments: argparse.Namespace) -> int:
    """Run the roads, print what a person wants to see, write the files."""
    out = Path(arguments.out)
    out.mkdir(parents=True, exist_ok=True)
    if arguments.data:
        _run(TRAVEL, read_stackexchange(arguments.data), out, arguments)
    if arguments.community:
        _run_own(Path(arguments.community), out, arguments)
        return 0
    folder = out / "community-csv"
    tables, truth = simulate_tables(
        members=arguments.members, weeks=130, seed=arguments.seed, parameters=BUSY_SALES
    )
    write_csv(tables, folder)
    _run(BUSINESS, Community(**community_files(folder)), out, arguments, truth)
    print(
        f"\nYour turn: put your own exports in place of the CSV files in {folder} (a log with a column email, and deals.csv,\n"
        f"are enough) and run: leadlight demo --community {folder}"
    )
    return 0


def _run_own(folder: Path, out: Path, arguments: argparse.Namespace) -> None:
    """The same for the user's files, of which nothing is known beforehand: dates, number of deals, whether any was won."""
    road = Road("community", f"Your own community: {folder}", CORPORATE_COMMUNITY, {}, None)
    community = Community(**community_files(folder))
    _print_data(road, community)
    leads = qualify(community, top=arguments.top, decision=Capacity(share=0.05))
    if leads.report is not None:
        _print_report(leads.report)
    at = community.frozen_us + 1
    print(f"\nWhom to approach, as of {moment_text(at)[:10]}:\n{leads.top}")
    if isinstance(leads.qualifier.scorer_, PointsOnly):
        leads.top.to_csv(out / "community-call-list.csv")
        parts = page_parts(leads.qualifier, community, leads.scores, at)
        page = write_report(out / "community-report.html", scores=leads.scores, title=road.title, **parts)
        print(f"\nReport: {page}\nCall list: {out / 'community-call-list.csv'}")
        return
    _write(
        road,
        "",
        community,
        leads.qualifier,
        leads.tested,
        leads.report,
        leads.scores,
        leads.top,
        at,
        out,
        arguments,
    )


def _print_data(road: Road, community: Community) -> None:
    print(f"\n{road.title}\n{'=' * len(road.title)}")
    if road.note:
        print(road.note)
    print(community)
    unmatched = int((community.matches["status"] != "matched").sum())
    print(
        f"Deals: {len(community.matches)}, {unmatched} without a member or account (community.matches says why)"
    )


def _run(
    road: Road, community: Community, out: Path, arguments: argparse.Namespace, truth: Truth | None = None
) -> None:
    began = time.perf_counter()
    _print_data(road, community)
    rows = observe(community, **road.observe)
    qualifier = LeadQualifier(road.catalogue, LeadClassifier(n_jobs=2), Capacity(share=0.05))
    test = rows
    if road.split is not None:
        train, test = rows.split(*road.split)
        print(f"Training: {train}\nTest:     {test}")
        qualifier.fit(community, train)
    else:
        qualifier, test = fit_on_earlier(qualifier, community, rows)
    report = evaluate(qualifier, community, test)
    _print_report(report)
    tested = qualifier, test
    note = road.note
    if truth is not None:
        seen = _truth(qualifier, community, test, truth)
        print(f"\n{seen}")
        note = f"{note} {seen}"

    qualifier = LeadQualifier(road.catalogue, LeadClassifier(n_jobs=2), Capacity(share=0.05)).fit(
        community, rows
    )
    at = community.frozen_us + 1
    scores = qualifier.score(community, at)
    called = scores.top(arguments.top)
    print(
        f"\nWhom to approach, as of {moment_text(at)[:10]}: {len(called)} of {len(scores)} members\n{called}"
    )
    _write(road, note, community, qualifier, tested, report, scores, called, at, out, arguments)
    print(f"({time.perf_counter() - began:.0f} s)")


def _print_report(report: Report) -> None:
    print(
        f"\nHow well it tells, on {report.settings['rows']} later rows it had not seen (95 % intervals, accounts redrawn):\n"
    )
    with pd.option_context("display.width", 200, "display.max_columns", 20):
        print(report)
        if report.worth is not None:
            print(
                "\nWhat each behaviour is worth (points a unit; the learned ones spread members as widely as yours):"
            )
            for name, row in report.worth.iterrows():
                if pd.notna(row["deals_say"]):
                    interval = f"({row['low']:.1f} to {row['high']:.1f})"
                    print(
                        f"  your points gave {name!r} {row['hand_set']:g}; the deals say {row['deals_say']:.1f} {interval}"
                    )
    print(f"\n{report.audit}")


def _truth(qualifier: LeadQualifier, community: Community, test: Observations, truth: Truth) -> str:
    """Score the same rows against the simulator's truth, buyers whom nobody approached included."""
    frame = test.frame[["member_id", "account_id", "cutoff"]].copy()
    frame["label"] = 0
    for cutoff, rows in cutoff_iterator(test):
        known = truth.at(cutoff, "90d").set_index("member_id")["would_buy"]
        frame.loc[rows, "label"] = known.reindex(frame.loc[rows, "member_id"]).fillna(False).to_numpy(int)
    found = evaluate(qualifier, community, Observations.from_frame(frame), ("points", "random"), rounds=200)
    reached, points = found.metric("buyers_reached"), found.metric("buyers_reached", "points")
    low, high = found.bounded().loc[("points", "buyers_reached"), ["difference_low", "difference_high"]]
    return (
        f"What closed deals cannot show (simulated truth): {found.settings['buyers']} accounts or members would have bought "
        f"within 90 days if approached; the same calls by points reach {points:.0f} of them, this reaches {reached:.0f} "
        f"(difference {reached - points:+.0f}, {low:.0f} to {high:.0f})."
    )


def _write(
    road: Road,
    note: str,
    community: Community,
    qualifier: LeadQualifier,
    tested: tuple[LeadQualifier, Observations] | None,
    report: Report | None,
    scores: Scores,
    called: Scores,
    at: int,
    out: Path,
    arguments: argparse.Namespace,
) -> None:
    bundle = out / f"{road.name}-model"
    qualifier.save(bundle)
    scores.to_csv(out / f"{road.name}-scores.csv")
    called.to_csv(out / f"{road.name}-call-list.csv")
    parts = page_parts(qualifier, community, scores, at, tested=tested, refits=REFITS, n_jobs=2)
    page = write_report(
        out / f"{road.name}-report.html",
        report=report,
        scores=scores,
        title=road.title,
        note=note,
        **parts,
    )
    print(
        f"\nReport: {page}\nCall list: {out / f'{road.name}-call-list.csv'}\nModel: {bundle} ({qualifier.scorer_.version})"
    )
    if not arguments.no_mlflow:
        from leadlight.tracking import log_run

        store = (out / "mlflow.db").resolve()
        run = log_run(
            qualifier,
            report=report,
            bundle=bundle,
            tracking_uri=f"sqlite:///{store}",
            experiment="leadlight demo",
            run_name=road.name,
            note=note,
        )
        print(f"MLflow run: {run.run_id} (mlflow ui --backend-store-uri sqlite:///{store})")
