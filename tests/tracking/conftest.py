"""One small community whose ids and addresses nothing else could contain, one model, one run in a SQLite store."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest

import leadlight as ll
import leadlight.errors
from leadlight.simulate import SimulationParameters, simulate_tables
from leadlight.tracking import LoggedRun, log_run

MARK = "zq7"
"""Stands in every member id and account id."""

IDS = ("member_id", "other_member_id", "account_id")


@dataclass(frozen=True)
class Trained:
    qualifier: ll.LeadQualifier
    report: Any
    scores: Any
    X: pd.DataFrame


@dataclass(frozen=True)
class Logged:
    run: LoggedRun
    uri: str
    folder: Path
    bundle: Path


def marked(table: pa.Table) -> pa.Table:
    """Return the table with ids that are easy to find again."""
    for name in IDS:
        if name in table.column_names:
            text = pc.binary_join_element_wise(MARK, table[name].cast(pa.string()), MARK, "-")
            table = table.set_column(table.column_names.index(name), name, text)
    return table


@pytest.fixture(scope="session")
def trained() -> Trained:
    eager = SimulationParameters(
        need_rate=0.3, score_contacts=0.05, account_rest_weeks=2, member_rest_weeks=8
    )
    tables, _ = simulate_tables(members=1200, weeks=60, seed=1, parameters=eager)
    community = ll.Community(**{name: marked(table) for name, table in tables.items()}, match="email")
    rows = ll.observe(community, every="30d", horizon="90d").labelled()
    train, test = rows.split("2024-09-01", "2024-09-01")
    with pytest.warns(leadlight.errors.LeadlightWarning, match="may be calibrated on"):
        qualifier = ll.LeadQualifier(decision=ll.Capacity(share=0.05)).fit(community, train)
    report = ll.evaluate(qualifier, community, test, rounds=20)
    X = ll.build_features(community, test, qualifier.plan_)
    return Trained(qualifier, report, qualifier.score(community, "2025-01-20"), X)


@pytest.fixture(scope="session")
def logged(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Logged:
    folder = tmp_path_factory.mktemp("a store")
    bundle, uri = folder / "models" / "travel", f"sqlite:///{folder / 'mlflow.db'}"
    run = log_run(
        trained.qualifier,
        report=trained.report,
        scores=trained.scores,
        bundle=bundle,
        tracking_uri=uri,
        run_name="first",
        parameters={"asked_by": "sales"},
        note="Small, and only a test.",
    )
    return Logged(run, uri, folder, bundle)
