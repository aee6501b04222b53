"""The discrete-time view: open windows teach what they have seen, and nothing else."""

from __future__ import annotations

from random import Random

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadlight.errors import InputError
from leadlight.observations import Observations, PersonPeriods, observe

chances = st.integers(0, 10**9).map(Random)


def deal(member, closed, **more):
    return {"member_id": member, "outcome": "won", "closed_at": closed, **more}


def four(table, frozen="2024-01-31", **options):
    """Four members seen at one cutoff, 2024-01-01, whose windows of 30 days end later than 2024-01-21."""
    deals = [deal("ann", "2024-01-05T00:00:00"), deal("bob", "2024-01-15T00:00:00"),
             deal("cid", "2024-01-18T00:00:00", known_at="2024-03-01T00:00:00")]  # fmt: skip
    community = table("; ".join(f"{m} view 2023-12-20" for m in ("ann", "bob", "cid", "dee")), deals=deals)
    settings = {
        "every": "30d",
        "horizon": "30d",
        "start": "2024-01-01",
        "end": "2024-01-02",
        "censored": True,
    }
    return observe(community, **{**settings, "frozen_at": frozen, **options})


def test_a_member_is_at_risk_until_the_interval_in_which_it_buys(table):
    rows = four(table, frozen="2024-06-01").discrete_time("10d").to_pandas()
    by_member = rows.groupby("member_id")["won"].agg(list).to_dict()
    assert by_member == {"ann": [1], "bob": [0, 1], "cid": [0, 1], "dee": [0, 0, 0]}


def test_rows_say_when_their_interval_began_and_ended(table):
    last = four(table, frozen="2024-06-01").discrete_time("20d").to_pandas().iloc[-1]
    assert last["interval"] == 1
    assert last["starts"] == pd.Timestamp("2024-01-21", tz="UTC")
    # The horizon is no multiple of the interval: the last one is shorter.
    assert last["ends"] == pd.Timestamp("2024-01-31", tz="UTC")
    assert last["row"] == 3


def test_intervals_begin_after_the_gap(table):
    rows = four(table, frozen="2024-06-01", gap="3d").discrete_time("10d").to_pandas()
    assert rows["starts"].iloc[0] == pd.Timestamp("2024-01-04", tz="UTC")
    assert rows.groupby("member_id")["won"].agg(list)["ann"] == [1]


@pytest.mark.parametrize(
    ("frozen", "intervals"), [("2024-01-10T23:59:59.999998", 0), ("2024-01-10T23:59:59.999999", 1)]
)
def test_an_interval_counts_once_it_was_seen_to_its_end(table, frozen, intervals):
    assert len(four(table, frozen=frozen).discrete_time("10d")) == 4 * intervals


def test_a_win_in_an_interval_that_is_still_open_is_no_event_yet(table):
    periods = four(table, frozen="2024-01-16").discrete_time("10d")
    rows = periods.to_pandas()
    assert rows.groupby("member_id")["won"].agg(list).to_dict() == {
        "ann": [1],
        "bob": [0],
        "cid": [0],
        "dee": [0],
    }


def test_a_win_that_nobody_knew_of_is_no_event(table):
    rows = four(table, frozen="2024-02-20").discrete_time("10d").to_pandas()
    assert rows.groupby("member_id")["won"].agg(list)["cid"] == [0, 0, 0]


def two_cutoffs(table):
    """Six members, of whom two were seen for one interval of ten days and four for three."""
    early, late = ["ann", "bob", "cid", "dee"], ["eve", "fay"]
    log = [f"{m} view 2023-12-31" for m in early] + [f"{m} view 2024-01-20" for m in late]
    deals = [
        deal("ann", "2024-01-05T00:00:00"),
        deal("eve", "2024-01-22T00:00:00"),
        deal("bob", "2024-01-25T00:00:00"),
    ]
    return observe(table("; ".join(log), deals=deals), every="20d", horizon="30d", start="2024-01-01", end="2024-01-22",
                   active_within="2d", frozen_at="2024-01-30T23:59:59.999999", censored=True)  # fmt: skip


def test_the_life_table_is_that_of_a_hand_computation(table):
    hazards = two_cutoffs(table).discrete_time("10d").hazards()
    assert hazards["at_risk"].tolist() == [6, 3, 3]
    assert hazards["won"].tolist() == [2, 0, 1]
    assert hazards["hazard"].tolist() == [2 / 6, 0, 1 / 3]
    survival = [4 / 6, 4 / 6, 4 / 6 * 2 / 3]
    assert hazards["incidence"].tolist() == pytest.approx([1 - s for s in survival], abs=1e-15)
    assert hazards["ends_days"].tolist() == [10, 20, 30]


def test_open_windows_count_in_the_incidence(table):
    rows = two_cutoffs(table)
    assert rows.labelled().label.mean() == 0.5
    assert rows.discrete_time("10d").hazards()["incidence"].iloc[-1] == pytest.approx(5 / 9)


def test_an_interval_that_nobody_was_seen_in_has_no_estimate(table):
    hazards = four(table, frozen="2024-01-16").discrete_time("10d").hazards()
    assert hazards["incidence"].tolist()[0] == 0.25
    assert hazards.loc[1:, ["hazard", "incidence", "low", "high"]].isna().all(axis=None)


def periods_of(at_risk, won, groups=None, intervals=4):
    n = len(at_risk)
    rows = pd.DataFrame(
        {"member_id": range(n), "account_id": None, "cutoff": pd.Timestamp("2024-01-01", tz="UTC")}
    )
    groups = np.arange(n) if groups is None else np.asarray(groups)
    return PersonPeriods(
        rows, np.zeros(n, np.int64), np.array(at_risk), np.array(won, bool), groups, 1, intervals
    )


def test_the_interval_is_greenwoods_where_nobody_drops_out_and_accounts_have_one_row():
    hazards = periods_of([1, 1, 2, 3, *[4] * 16], [1, 1, 1, 1, 1, *[0] * 15]).hazards()
    survival = 1 - hazards["incidence"]
    greenwood = (
        (hazards["won"] / (hazards["at_risk"] * (hazards["at_risk"] - hazards["won"]))).cumsum() * 20 / 19
    )
    error = 1.959963984540054 * np.sqrt(greenwood) / -np.log(survival)
    assert hazards["low"].to_numpy() == pytest.approx((1 - survival ** np.exp(-error)).to_numpy())
    assert hazards["high"].to_numpy() == pytest.approx((1 - survival ** np.exp(error)).to_numpy())


def test_rows_that_repeat_an_account_make_no_narrower_interval():
    stops, won = [1, 2, 4, 4, 4, 4, 4, 4], [1, 1, 1, 0, 0, 0, 0, 0]
    once = periods_of(stops, won).hazards()
    thrice = periods_of(stops * 3, won * 3, list(range(8)) * 3).hazards()
    for column in ("incidence", "low", "high"):
        assert thrice[column].to_numpy() == pytest.approx(once[column].to_numpy())


def test_while_nobody_has_bought_the_bound_is_the_exact_one_for_the_accounts():
    hazards = periods_of([4] * 30, [0] * 30, [*range(10)] * 3).hazards()
    assert hazards["low"].tolist() == [0] * 4
    assert hazards["high"].tolist() == pytest.approx([1 - 0.025**0.1] * 4)


def test_where_everybody_bought_or_one_account_was_seen_there_is_no_interval():
    assert periods_of([1, 2], [1, 1]).hazards().loc[1:, ["low", "high"]].isna().all(axis=None)
    assert periods_of([1, 2], [1, 1]).hazards()["incidence"].tolist() == [0.5, 1, 1, 1]
    assert periods_of([1, 4], [1, 0], [0, 0]).hazards()[["low", "high"]].isna().all(axis=None)


def test_accounts_may_be_summed_in_pieces(monkeypatch):
    random = np.random.default_rng(0)
    until, groups = random.integers(0, 5, 200), random.integers(0, 40, 200)
    won = (random.random(200) < 0.4) & (until > 0)
    whole = periods_of(until, won, groups).hazards()
    monkeypatch.setattr("leadlight.observations.periods.CELLS", 12)
    assert np.allclose(periods_of(until, won, groups).hazards(), whole, equal_nan=True)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 6), st.booleans()), min_size=1, max_size=60))
def test_with_all_windows_mature_the_incidence_is_the_share_exactly(stops):
    at_risk = [stop if won else 6 for stop, won in stops]
    won = [won for _, won in stops]
    assert periods_of(at_risk, won, intervals=6).hazards()["incidence"].iloc[-1] == np.mean(won)


@settings(max_examples=50, deadline=None)
@given(chances, st.sampled_from(["1d", "2d", "5d", "9999w"]))
def test_of_mature_rows_the_incidence_is_the_share_of_positives_exactly(draw, random, interval):
    _, community, options = draw(random)
    rows = observe(community, **options).labelled()
    if len(rows):
        assert rows.discrete_time(interval).hazards()["incidence"].iloc[-1] == rows.label.mean()


@settings(max_examples=50, deadline=None)
@given(chances, st.integers(1, 20))
def test_what_happens_after_the_freeze_changes_no_interval(draw, random, days):
    world, community, options = draw(random)
    options |= {
        "frozen_at": world.events[0]["at"] + days * 86_400_000_000,
        "enters_on": None,
        "on": None,
        "start": world.events[0]["at"],
    }
    before = observe(community, **options).discrete_time("1d").to_pandas()
    for sale in world.deals:
        if sale["outcome"] and max(sale["closed"], sale["known"] or 0) > options["frozen_at"]:
            sale["outcome"] = "lost" if sale["outcome"] == "won" else "won"
    after = observe(world.community(), **options).discrete_time("1d").to_pandas()
    assert before.equals(after)


def test_a_horizon_of_two_years_is_estimated_from_a_log_of_one(table):
    log = "; ".join(f"m{i} view 2024-01-{1 + i % 20:02d}" for i in range(40))
    deals = [deal(f"m{i}", f"2024-{2 + i:02d}-10T00:00:00") for i in range(8)]
    rows = observe(
        table(log, deals=deals), every="30d", horizon="730d", frozen_at="2025-01-01", censored=True
    )
    assert len(rows.labelled()) == 0
    incidence = rows.discrete_time("73d").hazards()["incidence"]
    assert 0.1 < incidence.dropna().iloc[-1] < 0.4
    assert incidence.isna().sum() > 0


def test_own_rows_do_not_say_when_a_deal_was_won():
    with pytest.raises(InputError, match=r"observe\(\)"):
        Observations.from_frame([{"member_id": "ann", "cutoff": "2024-01-01", "label": 1}]).discrete_time()


def test_periods_describe_themselves(table):
    periods = four(table, frozen="2024-06-01").discrete_time("10d")
    assert repr(periods) == "PersonPeriods(8 intervals of 10 days from 4 observations, 3 won)"
