"""Features of a community: to the microsecond, and as SQL counts them."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leadlight.behaviours import CORPORATE_COMMUNITY, Behaviour, Catalogue, Count, Peers, Recency
from leadlight.errors import InputError
from leadlight.features import CommunityFeatures, build_features
from leadlight.observations import Observations, observe
from leadlight.sources.stackexchange import read_stackexchange
from leadlight.testing import assert_point_in_time

BEER = Path(__file__).parents[2] / "data" / "beer"
CUTOFF = datetime(2024, 3, 1)  # noqa: DTZ001 - texts in these tests are UTC


def moment(us: int, days: int = 0) -> str:
    return f"{CUTOFF + timedelta(days=days, microseconds=us):%Y-%m-%dT%H:%M:%S.%f}"


@pytest.mark.parametrize(("us", "counted"), [(-1, 1), (0, 0), (1, 0)])
@pytest.mark.parametrize(
    "text", ["ann view {}; ann post 2024-02-01", "ann view 2024-02-01 known={}; ann post 2024-02-01"]
)
def test_only_what_was_known_before_the_cutoff_counts(table, value, text, us, counted):
    assert value(table(text.format(moment(us))), Count("view"), cutoff="2024-03-01") == counted


@pytest.mark.parametrize(("us", "counted"), [(-1, 0), (0, 1), (1, 1)])
def test_a_window_holds_what_is_exactly_a_window_old(table, value, us, counted):
    community = table(f"ann view {moment(us, -30)}")
    assert value(community, Count("view", window="30d"), cutoff="2024-03-01") == counted


def test_windows_go_by_when_it_happened_not_by_when_it_was_known(table, value):
    community = table("ann view 2024-01-15 known=2024-02-20")
    assert value(community, Count("view", window="30d"), cutoff="2024-03-01") == 0
    assert value(community, Count("view", window="60d"), cutoff="2024-03-01") == 1
    assert value(community, Recency("view"), cutoff="2024-03-01") == 46


def test_a_day_alone_counts_from_the_next_midnight(table, value):
    community = table("ann view 2024-03-01 day=yes")
    assert value(community, Count("view"), cutoff="2024-03-01T23:59:59.999999") == 0
    assert value(community, Count("view"), cutoff="2024-03-02") == 1


def test_who_joins_an_account_later_is_no_colleague_yet(table, value):
    members = [
        {"member_id": "ann", "account_id": "acme", "valid_from": None},
        {"member_id": "bob", "account_id": "bolt", "valid_from": None},
        {"member_id": "bob", "account_id": "acme", "valid_from": "2024-03-01T00:00:00"},
    ]
    community = table("ann view 2024-02-01; bob view 2024-02-01; bob view 2024-02-02", members=members)
    assert value(community, Peers(Count("view")), cutoff="2024-03-01") == 0
    assert value(community, Peers(Count("view")), cutoff="2024-03-01T00:00:00.000001") == 2


def test_a_domain_is_that_of_the_time(table, value):
    members = [
        {"member_id": "ann", "email_domain": "acme.example", "valid_from": None},
        {"member_id": "bob", "email_domain": "bolt.example", "valid_from": None},
        {"member_id": "bob", "email_domain": "acme.example", "valid_from": "2024-02-10T00:00:00"},
    ]
    community = table("ann invite 2024-02-01 to=bob; ann invite 2024-02-20 to=bob", members=members)
    assert value(community, Count("invite", same_domain=True), cutoff="2024-03-01") == 1


def test_employees_are_counterparts_and_no_peers(table, value):
    members = [
        {"member_id": m, "account_id": "acme", "role": r} for m, r in (("ann", None), ("bob", "employee"))
    ]
    community = table("bob answer 2024-02-01 to=ann", members=members)
    assert value(community, Count("answer", side="received"), cutoff="2024-03-01") == 1
    assert value(community, Peers(Count("answer")), cutoff="2024-03-01") == 0


EVENT = st.tuples(
    st.sampled_from(["ann", "bob", "cid"]),
    st.sampled_from(["view", "question", "invite", "join_group", "profile_update"]),
    st.integers(0, 200),
    st.sampled_from([0, 0, 0, 30, 300]),
    st.sampled_from(["ann", "bob", "cid"]),
)


@settings(derandomize=True, deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(EVENT, min_size=2, max_size=20), st.integers(0, 9))
def test_nothing_that_was_not_known_moves_a_feature(table, drawn, seed):
    start = datetime(2024, 1, 1)  # noqa: DTZ001
    log = "; ".join(
        f"{m} {a} {start + timedelta(hours=6 * h):%Y-%m-%dT%H:%M:%S} known={start + timedelta(hours=6 * (h + late)):%Y-%m-%dT%H:%M:%S}"
        f" to={o} tags=t{h % 3} group=g{h % 2} role=r{h % 2} field=f{h % 2} value=x for={h}"
        for m, a, h, late, o in drawn
    )
    members = [
        {"member_id": m, "account_id": a, "email_domain": f"{a}.example"}
        for m, a in (("ann", "x"), ("bob", "x"), ("cid", "y"))
    ]
    assert_point_in_time(
        table(log, members=members), CORPORATE_COMMUNITY, members=["ann", "bob", "cid"], seed=seed
    )


def test_a_catalogue_is_compiled_before_the_latest_cutoff(table):
    community = table(
        "; ".join(f"m{i} view 2024-0{2 if i < 20 else 3}-05 tags=t{i // 20}" for i in range(40))
    )
    rows = Observations.from_frame([{"member_id": "m0", "cutoff": c} for c in ("2024-02-10", "2024-03-01")])
    asked = Catalogue([Behaviour("b", (Count(by="tag"),), reason="")])
    assert list(build_features(community, rows, asked).columns) == ["tag.t0_count_all"]


def test_rows_keep_the_order_of_the_observations(table):
    rows = Observations.from_frame(
        [{"member_id": m, "cutoff": c} for m, c in (("bob", "2024-03-02"), ("ann", "2024-03-01"))]
    )
    asked = Catalogue([Behaviour("b", (Count(),), reason="")])
    found = build_features(
        table("ann view 2024-02-01; bob view 2024-02-01; bob view 2024-02-01"), rows, asked
    )
    assert found["activity_count_all"].tolist() == [2, 1]
    assert found.dtypes.tolist() == [np.float32]
    assert found.index.equals(rows.index)


def test_a_stranger_is_an_error(table):
    with pytest.raises(InputError, match="'zoe'"):
        build_features(table("ann view 2024-02-01"), Observations.from_frame([{"member_id": "zoe", "cutoff": "2024-03-01"}]),
                       CORPORATE_COMMUNITY)  # fmt: skip


def test_what_is_no_plan_is_an_error(table):
    with pytest.raises(InputError, match="plan is a str"):
        build_features(
            table("ann view 2024-02-01"),
            Observations.from_frame([{"member_id": "ann", "cutoff": "2024-03-01"}]),
            "x",
        )


def test_a_transformer_gives_the_same_features(table):
    from sklearn.base import clone

    community = table("ann view 2024-02-01; bob question 2024-02-01")
    rows = pd.DataFrame({"member_id": ["bob", "ann"], "cutoff": ["2024-03-01", "2024-03-05"]})
    transformer = clone(CommunityFeatures(community)).fit(rows)
    expected = build_features(community, Observations.from_frame(rows), CORPORATE_COMMUNITY)
    pd.testing.assert_frame_equal(transformer.transform(rows), expected)
    pd.testing.assert_frame_equal(transformer.transform(expected[[]]), expected)
    assert transformer.get_feature_names_out().tolist() == list(expected.columns)


@pytest.mark.parametrize(
    "make", [lambda c: CommunityFeatures(), CommunityFeatures], ids=["community", "rows"]
)
def test_a_transformer_without_community_or_rows_is_an_error(table, make):
    with pytest.raises(InputError, match="CommunityFeatures"):
        make(table("ann view 2024-02-01")).fit(pd.DataFrame({"member_id": [], "cutoff": []}))


SQL = """
SELECT o.row, count(*) FILTER (WHERE a.row IS NOT NULL) AS n
FROM observation o LEFT JOIN event a
  ON a.member = o.member AND a.action = ? AND a.visible < o.cutoff AND a.time >= o.cutoff - ?
GROUP BY o.row ORDER BY o.row
"""


@pytest.mark.skipif(not BEER.exists(), reason="the sample of beer.stackexchange.com is not here")
def test_windowed_counts_equal_those_of_sql_on_a_real_community():
    community = read_stackexchange(BEER)
    rows = observe(community, every="90d", horizon="90d")
    log = community.log
    visible = log.time if log.visible_from is None else log.visible_from
    names = np.array(log.dictionaries["action"], object)[log.action]
    sides = {
        "given": log.actor,
        "received": np.where(log.other == log.actor, -1, log.other),
    }
    connection = duckdb.connect()
    connection.register("observation", pa.table({"row": np.arange(len(rows)), "member": community.codes(rows.frame["member_id"]),
                                                 "cutoff": rows.cutoff_us}))  # fmt: skip
    features = [(a, side, d) for a, side in (("question", "given"), ("comment", "given"), ("answer", "received"),
                ("upvote_question", "received")) for d in (7, 30, 365)]  # fmt: skip
    asked = [Count(a, side=side, window=f"{d}d") for a, side, d in features]
    found = build_features(community, rows, Catalogue([Behaviour("b", tuple(asked), reason="")]))
    assert len(rows) > 1_000
    for j, (action, side, days) in enumerate(features):
        connection.register("event", pa.table({"row": np.arange(len(log)), "member": sides[side], "time": log.time,
                                               "visible": visible, "action": pa.array(names)}))  # fmt: skip
        counted = connection.sql(SQL, params=[action, days * 86_400_000_000]).to_arrow_table()["n"].to_numpy()
        assert (found.iloc[:, j].to_numpy() == counted).all()
        assert counted.sum() > 0 or days == 7


def test_long_work_says_how_far_it_is_to_who_listens(community, observations, catalogue, caplog):
    """By Python's logging, so that it is quiet without a word from the caller."""
    with caplog.at_level("INFO", logger="leadlight"):
        build_features(community, observations, catalogue)
    assert f"features: {len(observations)} of {len(observations)} rows" in caplog.messages[-1]


def test_long_work_is_quiet_unless_asked(community, observations, catalogue, capfd):
    build_features(community, observations, catalogue)
    assert capfd.readouterr() == ("", "")
