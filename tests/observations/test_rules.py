"""`observe` against a slow reading of its rules, with every option, and rules that hold whatever the data."""

from __future__ import annotations

from datetime import timedelta
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedGroupKFold

from leadlight.errors import ImmatureLabelError
from leadlight.moments import DAY_US
from leadlight.observations import observe, population_at
from leadlight.observations.outcomes import Outcomes, _Timeline
from leadlight.observations.population import Population

chances = st.integers(0, 10**9).map(Random)
COLUMNS = ("label", "outcome", "contacted", "open_deal", "customer", "weight")
REASONS = ("won_in_gap", "after_won", "inactive", "not_entered", "employees", "refused")


def micros(times):
    return times.to_numpy("datetime64[us]").astype(np.int64)


def check_rows(rows, expected):
    """Equal rows in equal order, with equal facts."""
    assert list(zip(micros(rows.frame["cutoff"]).tolist(), rows.frame["member_id"], strict=True)) == list(
        expected
    )
    for name in COLUMNS:
        assert rows.frame[name].tolist() == [row[name] for row in expected.values()], name
    assert micros(rows.frame["observed_until"]).tolist() == [
        row["observed_until"] for row in expected.values()
    ]


def check_counts(rows, slow):
    """Each cutoff's counts are those of the slow reading, and add up."""
    counts = rows.counts
    found = {(int(c), n): int(v) for c, line in zip(micros(counts.index), counts.to_dict("records"), strict=True)
             for n, v in line.items() if v}  # fmt: skip
    expected: dict[tuple[int, str], int] = {}

    def add(cutoff, name):
        expected[cutoff, name] = expected.get((cutoff, name), 0) + 1

    for member, cutoff in slow.cutoffs():
        reason = slow.reason(member, cutoff)
        if reason:
            add(cutoff, reason)
    for (cutoff, _), row in slow.rows().items():
        add(cutoff, "window_open" if row["label"] < 0 else row["outcome"])
        if row["label"] >= 0 and row["contacted"]:
            add(cutoff, "contacted")
    for cutoff, name in list(expected):
        if name in ("won", "lost", "open", "none", "won_in_gap", "window_open"):
            expected[cutoff, "population"] = expected.get((cutoff, "population"), 0) + expected[cutoff, name]
    assert found == expected


def check_all(draw, oracle, random):
    world, community, options = draw(random)
    slow = oracle(world, community, options)
    rows = observe(community, **options)
    check_rows(rows, slow.rows())
    check_counts(rows, slow)
    mature = {key: row for key, row in slow.rows().items() if row["label"] >= 0}
    check_rows(rows.labelled(), mature)
    for interval in (timedelta(hours=1), timedelta(days=3), timedelta(days=1000)):
        if options["horizon"] / interval > 200:
            continue
        periods = rows.discrete_time(interval)
        table = periods.to_pandas()
        keys = zip(micros(table["cutoff"]).tolist(), table["member_id"], table["interval"], strict=True)
        slow_periods = slow.periods(interval // timedelta(microseconds=1))
        assert dict(zip(keys, table["won"], strict=True)) == slow_periods
        assert len(periods) == len(slow_periods)


def check_many(draw, oracle, worlds):
    for seed in range(worlds):
        check_all(draw, oracle, Random(seed))


@settings(max_examples=150, deadline=None)
@given(chances)
def test_rows_counts_and_periods_are_those_of_a_slow_reading(draw, oracle, random):
    check_all(draw, oracle, random)


def later_by(us):
    original = Outcomes.columns
    return Outcomes, "columns", lambda s, m, c, o, e: original(s, m, c, o + us, e)


def tolerant(us):
    original = Outcomes.bought
    return Outcomes, "bought", lambda s, m, at, cool_off: original(s, m, at + us, cool_off)


def position_after():
    original = _Timeline.position
    return _Timeline, "position", lambda s, m, at: original(s, m, at + 1)


def known_at_is_ignored():
    original = Population.__post_init__

    def forgetful(self):
        original(self)
        self.visible = self.time

    return Population, "__post_init__", forgetful


def deals_come_out_of_the_future():
    original = Outcomes.__post_init__

    def forgetful(self):
        self.frozen_us += 30 * DAY_US
        original(self)
        self.frozen_us -= 30 * DAY_US

    return Outcomes, "__post_init__", forgetful


def active_too_long():
    original = Population.active_pairs

    def longer(self, cutoffs):
        self.time = self.time + 1
        return original(self, cutoffs)

    return Population, "active_pairs", longer


@pytest.mark.parametrize(
    "fault",
    [
        lambda: later_by(1),
        lambda: later_by(-1),
        lambda: tolerant(1),
        lambda: tolerant(-1),
        position_after,
        known_at_is_ignored,
        deals_come_out_of_the_future,
        active_too_long,
    ],
    ids=[
        "opens-late",
        "opens-early",
        "cool-off-late",
        "cool-off-early",
        "after",
        "known-at",
        "frozen",
        "active",
    ],
)
def test_the_slow_reading_kills_a_planted_fault(draw, oracle, monkeypatch, fault):
    monkeypatch.setattr(*fault())
    with pytest.raises(AssertionError):
        check_many(draw, oracle, 200)


@settings(max_examples=60, deadline=None)
@given(chances)
def test_without_censored_only_mature_rows_are_there_with_equal_counts(draw, random):
    _, community, options = draw(random)
    rows = observe(community, **options)
    try:
        mature = observe(community, **{**options, "censored": False})
    except ImmatureLabelError:
        assert not len(rows.labelled())
        return
    assert rows.labelled().frame.drop(columns="observed_until").equals(mature.frame)
    assert mature.counts.equals(rows.counts)


@settings(max_examples=150, deadline=None)
@given(chances, st.integers(3, 14), st.integers(0, 3), st.integers(0, 4), st.booleans())
def test_training_rows_are_as_had_the_data_been_frozen_then(draw, random, until, later, embargo, censored):
    world, community, options = draw(random)
    # Short windows and a late freeze, so that there is something on both sides.
    options |= {
        "horizon": min(options["horizon"], timedelta(days=3)),
        "frozen_at": None,
        "start": None,
        "end": None,
    }
    start = min(e["at"] for e in world.events) // DAY_US * DAY_US
    bound = start + until * DAY_US
    rows = observe(community, **options)
    try:
        train, test = rows.split(
            bound, bound + later * DAY_US, embargo=timedelta(days=embargo), censored=censored
        )
    except ImmatureLabelError:
        return
    bound = min(bound, bound + (later - embargo) * DAY_US)
    then = observe(community, **{**options, "frozen_at": bound - 1, "censored": True}).frame
    columns = ["label", "outcome", "contacted", "open_deal", "customer", "weight", "observed_until"]
    both = train.frame.merge(then, on=["cutoff", "member_id"], suffixes=("", "_then"))
    assert len(both) == len(train)
    for name in columns:
        assert both[name].tolist() == both[f"{name}_then"].tolist(), name
    reach = (options["gap"] + options["horizon"]) // timedelta(microseconds=1)
    labelled = train.labelled()
    assert (labelled.cutoff_us + reach <= bound).all()
    assert len(labelled) == 0 or labelled.cutoff_us.max() + reach + embargo * DAY_US <= test.cutoff_us.min()
    assert censored or len(labelled) == len(train)
    known = train.frame.loc[train.frame["label"] == 1, "known_us"]
    assert (known < bound).all()
    ends = micros(train.discrete_time("1d").to_pandas()["ends"])
    assert (ends <= bound).all()


@settings(max_examples=40, deadline=None)
@given(chances)
def test_no_account_stands_on_both_sides_of_a_fold(draw, random):
    _, community, options = draw(random)
    rows = observe(community, **options).labelled()
    groups = rows.groups
    # Labels that are mixed enough for two folds; the groups are what is tested.
    y = np.arange(len(rows)) % 2
    if len(set(groups)) < 2 or len(y) < 4:
        return
    # As LeadClassifier makes its folds.
    for one, other in StratifiedGroupKFold(2, shuffle=True, random_state=0).split(y, y, groups):
        for column in ("member_id", "account_id"):
            left, right = (set(rows.frame[column].iloc[side].dropna()) for side in (one, other))
            assert not left & right


@settings(max_examples=60, deadline=None)
@given(chances)
def test_a_population_is_the_rows_of_that_time_and_who_bought_is_flagged(draw, oracle, random):
    world, _, options = draw(random)
    for person in world.members:
        person["role"] = None if person["role"] == "customer" else person["role"]
    community = world.community()
    at = max(e["at"] for e in world.events)
    options |= {"on": None, "start": at, "end": at + 1, "frozen_at": at - 1}
    rows = observe(community, **options)
    found = population_at(community, at, rows.windows).frame
    assert found.loc[~found["customer"], "member_id"].tolist() == rows.frame["member_id"].tolist()
    slow = oracle(world, community, options)
    assert set(found.loc[found["customer"], "member_id"]) == {
        m for m in slow.people if slow.reason(m, at) == "after_won"
    }
    kept = found[~found["customer"]]
    assert kept["open_deal"].tolist() == rows.frame["open_deal"].tolist()


@settings(max_examples=60, deadline=None)
@given(chances, st.data())
def test_counts_of_a_part_add_up_to_the_whole(draw, random, data):
    _, community, options = draw(random)
    rows = observe(community, **options)
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows))), bool)
    part = rows.take(mask)
    assert set(part.counts.index) == set(part.frame["cutoff"])
    whole = rows.counts.loc[part.counts.index]
    assert part.counts["population"].equals(whole["population"])
    labelled = rows.frame["label"].to_numpy() >= 0
    here = rows.frame["cutoff"].isin(part.counts.index).to_numpy()
    assert part.counts["left_out"].sum() == (labelled & ~mask & here).sum()
