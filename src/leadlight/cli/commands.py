"""What each verb does."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute
import pyarrow.csv

from leadlight.behaviours import Catalogue
from leadlight.cli.own_words import DAY_FIRST, columns_of, values_of
from leadlight.community import Community
from leadlight.decision import Capacity, Costs
from leadlight.errors import InputError
from leadlight.evaluation import evaluate
from leadlight.explain import by_behaviour
from leadlight.explain.report import write_report
from leadlight.observations import Observations, observe
from leadlight.qualifier import LeadQualifier, page_parts, qualify
from leadlight.simulate import simulate_tables
from leadlight.tracking import inputs
from leadlight.tracking.config import DataConfig
from leadlight.tracking.inputs import TABLES, catalogues

CATALOGUES: dict[str, Catalogue] = catalogues()


def open_community(arguments: argparse.Namespace) -> Community:
    """Return the community that the arguments name."""
    given = {name: getattr(arguments, name) for name in ("community", "stackexchange", *TABLES)}
    engine: Any = getattr(arguments, "engine", "local")
    return inputs.open_community(
        DataConfig(
            **given,
            columns=columns_of(arguments.columns),
            values=values_of(arguments.values),
            day_first=DAY_FIRST[arguments.first],
            tag_separator=arguments.tag_separator,
            tz=arguments.tz,
            engine=engine,
        )
    )


def _catalogue(arguments: argparse.Namespace) -> Catalogue:
    return CATALOGUES[arguments.catalogue or ("question" if arguments.stackexchange else "corporate")]


def _costs(arguments: argparse.Namespace) -> Costs | None:
    call, missed = arguments.cost_call, arguments.cost_missed
    if (call is None) != (missed is None):
        raise InputError("Give --cost-call and --cost-missed together, or neither.")
    return None if call is None else Costs(false_positive=call, false_negative=missed)


def _observe(arguments: argparse.Namespace, community: Community) -> Observations:
    enters_on = arguments.enters_on or ("question" if arguments.stackexchange else None)
    return observe(
        community,
        arguments.every,
        arguments.horizon,
        arguments.gap,
        arguments.active_within,
        enters_on=enters_on,
        frozen_at=getattr(arguments, "until", None),
    )


def simulate(arguments: argparse.Namespace) -> int:
    """Write the tables of a simulated community."""
    folder = Path(arguments.out)
    tables, _ = simulate_tables(members=arguments.members, weeks=arguments.weeks, seed=arguments.seed)
    write_csv(tables, folder)
    rows = ", ".join(f"{table.num_rows} {name}" for name, table in tables.items())
    print(f"Simulated: {rows} in {folder}")
    return 0


def write_csv(tables: dict[str, Any], folder: Path) -> None:
    """Write tables as CSV files; lists of tags are joined by |."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        if "tags" in table.column_names:
            joined = pyarrow.compute.binary_join(table["tags"], "|")
            flat = table.set_column(table.column_names.index("tags"), "tags", joined)
        else:
            flat = table
        pyarrow.csv.write_csv(flat, folder / f"{name}.csv")


def evaluate_(arguments: argparse.Namespace) -> int:
    """Judge on later windows."""
    community = open_community(arguments)
    rows = _observe(arguments, community)
    qualifier = LeadQualifier(_catalogue(arguments), decision=Capacity(share=arguments.share))
    if (arguments.train_until is None) != (arguments.test_from is None):
        raise InputError("Give --train-until and --test-from together, or neither.")
    if arguments.train_until is not None:
        train_rows, rows = rows.split(arguments.train_until, arguments.test_from)
        qualifier.fit(community, train_rows)
    found = evaluate(
        qualifier, community, rows, share=arguments.share, rounds=arguments.rounds, costs=_costs(arguments)
    )
    print(f"{found}\n\n{found.views_text()}\n\n{found.audit}")
    return 0 if found.audit.clean else 1


def score(arguments: argparse.Namespace) -> int:
    """Score with a saved bundle."""
    community = open_community(arguments)
    qualifier = LeadQualifier.load(arguments.model)
    scores = qualifier.score(community, community.frozen_us + 1 if arguments.at is None else arguments.at)
    called = scores.top(arguments.top)
    print(called)
    if arguments.out:
        (scores if arguments.everybody else called).to_csv(arguments.out)
        print(f"Wrote {arguments.out}")
    return 0


def explain(arguments: argparse.Namespace) -> int:
    """Print one member's score by behaviour."""
    community = open_community(arguments)
    qualifier = LeadQualifier.load(arguments.model)
    at = community.frozen_us + 1 if arguments.at is None else arguments.at
    scores = qualifier.score(community, at)
    rows = np.flatnonzero(scores.frame["member_id"].astype(str) == arguments.member)
    if not len(rows):
        raise InputError(f"Member {arguments.member!r} is not in the population at that date.")
    row = int(rows[0])
    explanation = qualifier.explain(community, at)
    parts = (
        by_behaviour(qualifier.plan_, explanation.values[[row]]).iloc[0].sort_values(key=abs, ascending=False)
    )
    line = scores.frame.iloc[row]
    print(
        f"{line['member_id']}: {line['probability']:.2%} [{line['low']:.2%}, {line['high']:.2%}], grade {line['grade']}"
    )
    for reason in line["reasons"]:
        print(f"  {'+' if reason.contribution > 0 else '-'} {reason.text}")
    print("\nLog-odds by behaviour; with the base they add up to the score:")
    print(f"  {explanation.base_values[row]:+8.3f}  base")
    for name, value in parts.items():
        print(f"  {value:+8.3f}  {name}")
    return 0


def report(arguments: argparse.Namespace) -> int:
    """Write the HTML report."""
    community = open_community(arguments)
    leads = qualify(
        community,
        arguments.at,
        arguments.top,
        catalogue=_catalogue(arguments),
        decision=Capacity(share=arguments.share),
        every=arguments.every,
        horizon=arguments.horizon,
        gap=arguments.gap,
        active_within=arguments.active_within,
        enters_on=arguments.enters_on or ("question" if arguments.stackexchange else None),
        costs=_costs(arguments),
    )
    at = community.frozen_us + 1 if arguments.at is None else arguments.at
    parts = page_parts(
        leads.qualifier,
        community,
        leads.scores,
        at,
        tested=leads.tested,
        top=arguments.top,
        refits=arguments.refits,
        aggregate=arguments.aggregate,
        n_jobs=2,
    )
    write_report(
        arguments.out,
        report=leads.report,
        scores=leads.scores,
        title=arguments.title,
        aggregate=arguments.aggregate,
        top=arguments.top,
        **parts,
    )
    print(f"{leads}\nWrote {arguments.out}")
    return 0
