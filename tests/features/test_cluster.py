"""A community whose log is on a cluster learns and scores what one machine does, with `==`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.spark import local_spark

from leadlight.behaviours import CORPORATE_COMMUNITY
from leadlight.cli import main
from leadlight.community import Community
from leadlight.errors import InputError
from leadlight.observations import observe, population_at
from leadlight.qualifier import LeadQualifier
from leadlight.simulate import SimulationParameters, simulate_tables

pytestmark = [pytest.mark.spark, pytest.mark.filterwarnings("ignore")]
NAMES = ("activity", "members", "deals", "deal_contacts", "contacts")


@pytest.fixture(scope="module")
def spark() -> Any:
    with local_spark(partitions=2) as session:
        yield session


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Any:
    path = tmp_path_factory.mktemp("tables")
    busy = SimulationParameters(score_contacts=0.1, random_contacts=0.02)
    tables, _ = simulate_tables(members=700, weeks=60, seed=8, parameters=busy)
    tables["activity"] = late_and_repeated(tables["activity"])
    for name in NAMES:
        pq.write_table(tables[name], path / f"{name}.parquet")
    return path


def late_and_repeated(log: pa.Table) -> pa.Table:
    """Return the log with every seventh row known two weeks late, and every fiftieth under the event_id of another."""
    place = np.arange(len(log))
    time = log["occurred_at"].cast(pa.int64()).to_numpy()
    known = pa.array(time + 14 * 86_400_000_000 + 5, mask=place % 7 != 0).cast(log["known_at"].type)
    source = np.where(place % 50 == 49, place - 25, place)
    log = log.set_column(log.column_names.index("known_at"), "known_at", known)
    return log.set_column(
        log.column_names.index("event_id"), "event_id", log["event_id"].take(pa.array(source))
    )


@pytest.fixture(scope="module")
def one(folder) -> Community:
    return Community(**{name: folder / f"{name}.parquet" for name in NAMES})


@pytest.fixture(scope="module")
def there(spark, folder) -> Any:
    from leadlight.features.cluster import SparkCommunity

    return SparkCommunity(
        spark, **{name: folder / f"{name}.parquet" for name in NAMES}, events_per_task=20_000
    )


def test_it_says_of_itself_what_one_machine_says(one, there):
    assert repr(there) == repr(one)
    assert there.repeated_events == one.repeated_events > 100
    assert (there.fingerprint, there.frozen_us, there.start_us) == (
        one.fingerprint,
        one.frozen_us,
        one.start_us,
    )


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"every": "7d", "active_within": "20d", "censored": True},
        {
            "every": "36h",
            "horizon": "20d",
            "gap": "3d",
            "enters_on": ("question", "answer"),
            "cool_off": "30d",
        },
        {"frozen_at": "2025-02-03T07:00:00", "active_within": "45d"},
        {"start": "2024-06-01T05:00:00", "every": "11d", "end": "2024-12-24"},
    ],
    ids=["usual", "censored", "enters", "frozen", "start"],
)
def test_the_observations_are_those_of_one_machine(one, there, how):
    found, expected = observe(there, **how), observe(one, **how)
    pd.testing.assert_frame_equal(found.frame, expected.frame)
    pd.testing.assert_frame_equal(found.counts, expected.counts)


def test_the_plan_is_that_of_one_machine(one, there):
    compiled = [CORPORATE_COMMUNITY.compile(c, before="2024-11-01", min_members=5) for c in (there, one)]
    assert compiled[0] == compiled[1]


def test_the_bundle_has_the_bytes_of_one_machine_and_scores_alike(one, there, tmp_path):
    """Under one name, for a bundle holds none."""
    made = []
    for name, community in (("one", one), ("there", there)):
        fitted = LeadQualifier().fit(community, observe(community, every="60d"))
        fitted.save(tmp_path / name)
        made.append(fitted)
    files = sorted(p.relative_to(tmp_path / "one") for p in (tmp_path / "one").rglob("*") if p.is_file())
    assert len(files) > 2
    for file in files:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "there" / file).read_bytes(), file
    at = one.frozen_us + 1
    scores = [fitted.score(community, at).frame for fitted, community in zip(made, (one, there), strict=True)]
    assert len(scores[0]) > 100
    pd.testing.assert_frame_equal(scores[0], scores[1], check_exact=True)


def test_the_command_line_trains_judges_and_scores_alike(spark, folder, tmp_path, capsys):
    community = ["--community", str(folder)]
    for name, engine in (("one", []), ("there", ["--engine", "spark"])):
        model = str(tmp_path / name)
        assert (
            main(
                [
                    "train",
                    *community,
                    "--every",
                    "60d",
                    "--catalogue",
                    "question",
                    "--out",
                    model,
                    "--no-mlflow",
                    "--quiet",
                    *engine,
                ]
            )
            == 0
        )
        assert (
            main(["score", *community, "--model", model, "--out", f"{model}.csv", "--everybody", *engine])
            == 0
        )
    said = capsys.readouterr().out.replace("there", "one")
    assert "average precision" in said
    assert "Leakage audit" in said
    assert said[: len(said) // 2] == said[len(said) // 2 :]
    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "there.csv").read_bytes()


def test_what_rows_state_of_others_is_told_apart_at_the_same_times(one, there):
    rng = np.random.default_rng(3)
    bounds = rng.integers(0, len(one.members), 400), rng.integers(one.start_us, one.frozen_us, 400)
    for attribute in ("role", "job_function"):
        found, expected = (c.stated(attribute, bounds) for c in (there, one))
        assert len(expected) > expected.groupby(["member", "value"]).ngroups > 50
        assert expected["rows"].sum() == ((one.log.other >= 0) & (getattr(one.log, attribute) >= 0)).sum()
        # Bounds are counted for each member there, over all members here.
        pd.testing.assert_frame_equal(found.drop(columns="part"), expected.drop(columns="part"))


HOSTILE = pd.DataFrame(
    {
        "who": ["1", "007", "x'); DROP TABLE log; --", None, "1", "1", "2", "2", "2"],
        "occurred_at": [
            "2024-03-01",
            "2024-03-01T10:00:00.123456789+02:00",
            "2024-03-01T10:00:00",
            "2024-03-01",
            "yesterday",
            "2024-03-03",
            "2024-03-02T01:00:00",
            "2024-03-02T01:00:00",
            "2024-03-02T01:00:00",
        ],
        "action": ["view", "question", 'say "x"; --\n', "view", "view", "", "view", "view", "post"],
        "event_id": ["a", "b", "c", "d", "e", "f", "a", "g", "g"],
        "tags": ["x|y", '["c#", "a;b"]', None, "", "x", "x", "y;x", "x", "x"],
        "other_member_id": ["007", None, "1", "1", "1", "1", "1", "1", "1"],
    }
)


@pytest.mark.parametrize("tz", ["UTC", "Europe/Berlin"])
@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_hostile_rows_are_read_as_on_one_machine(spark, tmp_path, form, tz):
    from leadlight.features.cluster import SparkCommunity

    for part, rows in enumerate((HOSTILE[:4], HOSTILE[4:])):
        rows.to_csv(tmp_path / f"{part}.csv", index=False)
        rows.to_parquet(tmp_path / f"{part}.parquet")
    options = {"columns": {"member_id": "who"}, "tz": tz}
    expected = Community(str(tmp_path / f"*.{form}"), **options)
    found = SparkCommunity(spark, str(tmp_path / f"*.{form}"), **options)
    assert (repr(found), found.fingerprint) == (repr(expected), expected.fingerprint)
    assert found.repeated_events == expected.repeated_events == 2
    shown = ["table", "reason", "rows"]
    pd.testing.assert_frame_equal(
        found.rejects[shown].sort_values("reason", ignore_index=True),
        expected.rejects[shown].sort_values("reason", ignore_index=True),
    )
    refused = found.log_on_spark.refused.toPandas()
    assert "yesterday" in "".join(refused["row"])
    assert len(refused) == expected.rejects["rows"].sum()
    assert found.vocabulary("tag", min_members=1) == expected.vocabulary("tag", min_members=1)
    at = "2024-03-20"
    X = [_features(c, at) for c in (found, expected)]
    np.testing.assert_array_equal(X[0].to_numpy(), X[1].to_numpy())
    assert X[0].index.equals(X[1].index)


def _features(community: Any, at: Any) -> pd.DataFrame:
    from leadlight.features import build_features

    plan = CORPORATE_COMMUNITY.compile(community, before=at, min_members=1)
    return build_features(community, population_at(community, at), plan)


def test_nanoseconds_in_parquet_are_cut_as_on_one_machine(spark, tmp_path):
    from leadlight.features.cluster import SparkCommunity

    times = pa.array(
        [1709287200123456789, 1709373600999999999, 1709460000000000000], pa.timestamp("ns", tz="UTC")
    )
    log = pa.table({"member_id": ["a", "b", "a"], "occurred_at": times, "action": ["view", "view", "post"]})
    pq.write_table(log, tmp_path / "log.parquet", version="2.6")
    found, expected = SparkCommunity(spark, tmp_path / "log.parquet"), Community(tmp_path / "log.parquet")
    assert (repr(found), found.fingerprint) == (repr(expected), expected.fingerprint)
    with pytest.raises(InputError, match="nanoseconds"):
        SparkCommunity(spark, tmp_path / "log.parquet", tz="Europe/Berlin")


def test_facts_without_dates_are_facts(spark, one, tmp_path):
    from leadlight.features.cluster import SparkCommunity

    members = one._others["members"]
    undated = (
        members.select(["member_id", "account_id"]).group_by("member_id").aggregate([("account_id", "max")])
    )
    undated = undated.rename_columns(["member_id", "account_id"])
    pq.write_table(one.activity.slice(0, 3_000), tmp_path / "log.parquet")
    X = [
        _features(c, c.frozen_us + 1)
        for c in (
            SparkCommunity(spark, tmp_path / "log.parquet", undated, events_per_task=1_000),
            Community(tmp_path / "log.parquet", undated),
        )
    ]
    peers = [c for c in X[1].columns if c.startswith("peers_")]
    assert X[1][peers].notna().any(axis=None)
    np.testing.assert_array_equal(X[0].to_numpy(), X[1].to_numpy())


def test_what_needs_the_log_here_says_that_it_is_there(there, one):
    for ask in (
        lambda: there.log,
        lambda: there.activity,
        lambda: there.forget("x"),
        lambda: observe(there, on="question"),
    ):
        with pytest.raises(InputError, match="this machine"):
            ask()
    with pytest.raises(InputError, match="No file"):
        type(there)(there._spark, "/nowhere/log.parquet")


def test_the_code_of_the_page_on_scale_runs_in_order(spark, folder, tmp_path, monkeypatch):
    page = (Path(__file__).parents[2] / "docs" / "scale.md").read_text(encoding="utf-8")
    # Spark's own reader begins where its process was started, not where this one is.
    page = page.replace('spark.read.parquet("', f'spark.read.parquet("{tmp_path}/')
    blocks = re.findall(r"^```py\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    assert len(blocks) >= 2
    for name in NAMES:
        (tmp_path / f"{name}.parquet").symlink_to(folder / f"{name}.parquet")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for block in blocks:
        exec(compile(block, "scale.md", "exec"), names)
    assert names["probabilities"].count() == len(names["rows"])
