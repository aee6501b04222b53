"""One small community whose ids and addresses nothing else could contain, one model, one run in a SQLite store."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from tests.tracking.small import job, small_community

import leadlight as ll
import leadlight.errors
from leadlight.simulate import SimulationParameters, simulate_tables
from leadlight.tracking import LoggedRun, log_run, train
from leadlight.tracking.inputs import catalogues
from leadlight.tracking.pending import find, read
from leadlight.tracking.record import Record

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


EAGER = SimulationParameters(need_rate=0.3, score_contacts=0.05, account_rest_weeks=2, member_rest_weeks=8)


@pytest.fixture(scope="session")
def community() -> ll.Community:
    tables, _ = simulate_tables(members=1200, weeks=60, seed=1, parameters=EAGER)
    return ll.Community(**{name: marked(table) for name, table in tables.items()}, match="email")


@pytest.fixture(scope="session")
def trained(community: ll.Community) -> Trained:
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


@pytest.fixture(scope="session", name="small_community")
def _small_community(_small_catalogue: None) -> ll.Community:
    return small_community()


@pytest.fixture(scope="session", name="_small_catalogue")
def _keep_catalogues() -> Iterator[None]:
    """Give the other tests their catalogue back."""
    kept = dict(catalogues())
    yield
    catalogues().update(kept)


@pytest.fixture(scope="session")
def waiting(small_community: ll.Community, tmp_path_factory: pytest.TempPathFactory) -> tuple[Record, Path]:
    """A record and its bundle, as they wait for a server."""
    folder = tmp_path_factory.mktemp("waiting")
    settings = job(folder, {"tracking.uri": "http://127.0.0.1:9"})
    with pytest.warns(leadlight.errors.LeadlightWarning):
        train(settings, community=small_community, show_progress=False)
    (found,) = find(folder)
    return read(found).record, read(found).bundle
