"""On Spark the features are those of one machine, with `==`."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from leadlight.behaviours import CORPORATE_COMMUNITY
from leadlight.community import Community
from leadlight.errors import InputError, SchemaError
from leadlight.features import build_features
from leadlight.observations import Observations, observe
from leadlight.simulate import SimulationParameters, simulate_community

pytestmark = [pytest.mark.spark, pytest.mark.filterwarnings("ignore")]
KEY = ["member_id", "cutoff"]


@pytest.fixture(scope="module")
def spark() -> Any:
    sql = pytest.importorskip("pyspark.sql")
    os.environ["PYSPARK_PYTHON"] = sys.executable
    builder = sql.SparkSession.builder.master("local[2]").appName("leadlight")
    options = {
        "spark.ui.enabled": "false",
        "spark.sql.shuffle.partitions": "4",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.sql.session.timeZone": "America/New_York",  # no result may depend on it
    }
    for name, value in options.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    yield session
    session.stop()


@pytest.fixture(scope="module")
def community() -> Community:
    return simulate_community(members=500, weeks=60, seed=3)[0]


@pytest.fixture(scope="module")
def rows(community: Community) -> Observations:
    return observe(community, every="60d", horizon="90d")


@pytest.fixture(scope="module")
def plan(community: Community) -> Any:
    return CORPORATE_COMMUNITY.compile(community, before=int(community.frozen_us), min_members=5)


def asked(spark: Any, rows: Observations) -> Any:
    """Return the observations as a Spark frame."""
    return spark.createDataFrame(pa.Table.from_pandas(rows.frame[KEY], preserve_index=False))


def same(found: Any, expected: pd.DataFrame) -> bool:
    """Whether a Spark frame holds the expected values, whatever the order of its rows."""
    frame = found.toArrow().to_pandas().set_index(KEY).reindex(expected.index)
    return list(frame.columns) == list(expected.columns) and np.array_equal(
        frame.to_numpy(np.float32), expected.to_numpy(), equal_nan=True
    )


@pytest.mark.parametrize("per_task", [2_000_000, 2_000], ids=["one-task", "many-tasks"])
def test_a_community_has_the_features_of_one_machine(spark, community, rows, plan, per_task):
    from leadlight.features.spark import build_features_spark

    tables = community._tables
    found = build_features_spark(
        spark.createDataFrame(tables["activity"]),
        asked(spark, rows),
        plan,
        members=spark.createDataFrame(tables["members"]),
        events_per_task=per_task,
    )
    assert same(found, build_features(community, rows, plan))


def test_without_accounts_a_company_is_told_by_its_domain(spark, community, rows, plan):
    from leadlight.features.spark import build_features_spark

    tables = community._tables
    members = tables["members"].drop_columns(["account_id"])
    alone = Community(activity=tables["activity"], members=members)
    found = build_features_spark(
        spark.createDataFrame(tables["activity"]),
        asked(spark, rows),
        plan,
        members=spark.createDataFrame(members),
        events_per_task=5_000,
    )
    assert same(found, build_features(alone, rows, plan))


def test_without_members_the_log_is_enough(spark, community, rows, plan):
    from leadlight.features.spark import build_features_spark

    log = community._tables["activity"]
    found = build_features_spark(spark.createDataFrame(log), asked(spark, rows), plan, events_per_task=5_000)
    assert same(found, build_features(Community(activity=log), rows, plan))


LARGE = 2**53
HOSTILE = "`x`'; DROP TABLE y; --\n"
LOG = pd.DataFrame(
    {
        "member_id": pd.array([LARGE, LARGE + 1, LARGE + 1, None, LARGE, LARGE], "Int64"),
        "occurred_at": pd.to_datetime(
            [
                "2024-03-01T10:00:00.123456789",
                "2024-03-02T10:00:00.999999999",
                "2024-03-03",
                "2024-03-03",
                None,
                "2024-03-31T23:59:59.999999999",
            ],
            format="ISO8601",
            utc=True,
        ),
        "action": ["question", "view", HOSTILE, "view", "view", "view"],
        "other_member_id": pd.array([LARGE + 1, None, LARGE, None, None, None], "Int64"),
        "account_id": None,
    }
)


def test_nulls_nanoseconds_and_large_identifiers_are_as_on_one_machine(spark, tmp_path):
    from leadlight.features.spark import build_features_spark

    path = tmp_path / "log.parquet"
    pq.write_table(pa.Table.from_pandas(LOG, preserve_index=False), path, version="2.6")
    one = Community(activity=str(path))
    cutoff = datetime(2024, 4, 1, tzinfo=UTC)
    rows = Observations.from_frame({"member_id": [LARGE, LARGE + 1], "cutoff": [cutoff, cutoff]})
    plan = CORPORATE_COMMUNITY.compile(one, before="2024-04-01", min_members=1)
    # Spark holds microseconds; a table that Arrow hands over is cut, as on one machine.
    table = pq.read_table(path)
    at = table.column_names.index("occurred_at")
    cut = table["occurred_at"].cast(pa.timestamp("us", tz="UTC"), safe=False)
    found = build_features_spark(
        spark.createDataFrame(table.set_column(at, "occurred_at", cut)), asked(spark, rows), plan
    )
    assert same(found, build_features(one, rows, plan))
    assert found.count() == 2


def test_one_member_with_most_of_the_log_has_a_task_alone(spark):
    from leadlight.features.spark import build_features_spark

    times = pd.date_range("2024-01-01", periods=4_000, freq="13min", tz="UTC")
    member = np.where(np.arange(4_000) % 20 == 0, np.arange(4_000) % 7 + 1, 0)
    log = pd.DataFrame({"member_id": member, "occurred_at": times.as_unit("us"), "action": "view"})
    one = Community(activity=log)
    rows = observe(one, every="7d", horizon="7d")
    plan = CORPORATE_COMMUNITY.compile(one, before="2024-02-01", min_members=1)
    table = spark.createDataFrame(pa.Table.from_pandas(log, preserve_index=False))
    found = build_features_spark(table, asked(spark, rows), plan, events_per_task=500)
    assert same(found, build_features(one, rows, plan))


def test_a_bundle_scores_as_on_one_machine(spark):
    from leadlight.features.spark_scores import score_spark
    from leadlight.qualifier import LeadQualifier

    busy = SimulationParameters(score_contacts=0.1, random_contacts=0.02)
    community, _ = simulate_community(900, 60, 8, parameters=busy)
    rows = observe(community, every="60d", horizon="90d")
    scorer = LeadQualifier().fit(community, rows).scorer_
    X = build_features(community, rows, scorer.plan)
    features = spark.createDataFrame(pa.Table.from_pandas(X.reset_index(), preserve_index=False))
    found = score_spark(scorer, features).toArrow().to_pandas().set_index(KEY).reindex(X.index)
    expected = scorer.predict_rows(X, reasons=0)
    for name in ("probability", "low", "high", "percentile"):
        np.testing.assert_array_equal(found[name], [getattr(p, name) for p in expected])
    assert found["grade"].tolist() == [p.grade for p in expected]
    assert found["qualified"].tolist() == [p.qualified for p in expected]
    with pytest.raises(SchemaError, match="lack"):
        score_spark(scorer, features.drop(scorer.columns[0]))


def test_what_cannot_be_done_is_said(spark, rows, plan):
    from leadlight.features.spark import build_features_spark

    log = spark.createDataFrame(
        pd.DataFrame({"member": [1], "occurred_at": [None], "action": ["view"]}),
        "member long, occurred_at timestamp, action string",
    )
    with pytest.raises(SchemaError, match=r"lacks 'member_id' \(did you mean 'member'\?\)"):
        build_features_spark(log, asked(spark, rows), plan)
    named = log.withColumnRenamed("member", "member_id")
    with pytest.raises(InputError, match="compile the catalogue"):
        build_features_spark(named, asked(spark, rows), CORPORATE_COMMUNITY)
    with pytest.raises(InputError, match="addresses in the table of members"):
        build_features_spark(named.selectExpr("*", "'a@b.c' AS email"), asked(spark, rows), plan)
