"""On Spark the features are those of one machine, with `==`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.spark import local_spark

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
    with local_spark(partitions=4) as session:
        yield session


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


def test_rows_with_oneself_and_with_employees_count_as_on_one_machine(spark):
    from leadlight.features.spark import build_features_spark

    people = ["ann", "bob", "eve", "joe"]
    log = pd.DataFrame(
        {
            "member_id": [people[i % 4] for i in range(80)],
            "occurred_at": pd.date_range("2024-01-01", periods=80, freq="19h", tz="UTC").as_unit("us"),
            "action": [("question", "answer", "view")[i % 3] for i in range(80)],
            "other_member_id": [(*people, None)[i % 5] for i in range(80)],
        }
    )
    members = pd.DataFrame(
        {
            "member_id": ["ann", "bob", "bob", "eve", "joe"],
            "valid_from": pd.to_datetime([None, None, "2024-02-01", None, None], utc=True),
            "role": ["prospect", "prospect", "employee", "employee", None],
            "email": ["a@x.example", "b@x.example", "b@x.example", "e@x.example", "j@gmail.com"],
            "account_id": [None, None, "late", None, None],
        }
    )
    one = Community(activity=log, members=members)
    rows = Observations.from_frame(
        {"member_id": people * 2, "cutoff": ["2024-01-20"] * 4 + ["2024-02-20"] * 4}
    )
    plan = CORPORATE_COMMUNITY.compile(one, before="2024-03-01", min_members=1)
    assert any(column.operation == "peers" for column in plan.columns)
    given = [spark.createDataFrame(pa.Table.from_pandas(t, preserve_index=False)) for t in (log, members)]
    found = build_features_spark(given[0], asked(spark, rows), plan, members=given[1], events_per_task=30)
    assert same(found, build_features(one, rows, plan))


def test_days_and_times_without_a_zone_are_read_as_on_one_machine(spark, tmp_path):
    """Never in the zone of the session."""
    from leadlight.features.spark import build_features_spark
    from leadlight.features.spark_log import read_log

    moments = [datetime(2024, 3, 1, 23, 30, tzinfo=UTC), datetime(2024, 3, 30, 2, 30, tzinfo=UTC)]
    times = pa.array(moments).cast(pa.timestamp("us"))
    for name, occurred in (("naive", times), ("days", times.cast(pa.date32()))):
        path = tmp_path / f"{name}.parquet"
        pq.write_table(pa.table({"member_id": [1, 2], "occurred_at": occurred, "action": ["view"] * 2}), path)
        one = Community(activity=str(path), tz="Europe/Berlin")
        rows = Observations.from_frame({"member_id": [1, 2], "cutoff": ["2024-03-30T01:30:00.000001"] * 2})
        plan = CORPORATE_COMMUNITY.compile(one, before="2024-04-01", min_members=1)
        log = read_log(spark, path, tz="Europe/Berlin")
        told = pa.Table.from_pandas(rows.frame[KEY].astype({"member_id": str}), preserve_index=False)
        found = build_features_spark(log.rows, spark.createDataFrame(told), plan)
        expected = build_features(one, rows, plan)
        frame = found.toArrow().to_pandas().sort_values("member_id")
        assert np.array_equal(
            frame.drop(columns=KEY).to_numpy(np.float32), expected.to_numpy(), equal_nan=True
        )


def test_a_cutoff_that_names_no_instant_is_refused(spark, plan):
    from leadlight.features.spark import build_features_spark

    log = spark.sql(
        "SELECT 1L AS member_id, TIMESTAMP'2024-03-01 10:00:00Z' AS occurred_at, 'view' AS action"
    )
    for cutoff in ("DATE'2024-04-01'", "TIMESTAMP_NTZ'2024-04-01 00:00:00'"):
        with pytest.raises(SchemaError, match="timestamp with a zone"):
            build_features_spark(log, spark.sql(f"SELECT 1L AS member_id, {cutoff} AS cutoff"), plan)


def test_a_partition_holds_one_task_at_a_time():
    from leadlight.features.spark import _by_task

    numbers = [[1, 1], [], [1, 2], [2, 2], [3], [3, 5, 6]]
    read = []

    def batches():
        for some in numbers:
            read.append(len(some))
            yield pa.record_batch([pa.array(some, pa.int32())], names=["task"])

    found = [(table["task"].to_pylist(), len(read)) for table in _by_task(batches())]
    assert found == [([1] * 3, 3), ([2] * 3, 5), ([3] * 2, 6), ([5], 6), ([6], 6)]
