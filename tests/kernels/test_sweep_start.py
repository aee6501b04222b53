"""A sweep that starts from folded rows: equal to a sweep over all rows, for both kernels and any plan."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.kernels.test_sweep_native import (
    THOROUGH,
    built,
    cases,
    expect_equal,
    native,
    plans,
    quiet_reference,
)

from leadlight.kernels.log import EncodedLog
from leadlight.kernels.native import extension
from leadlight.kernels.start import NEVER, Start, fold, longest_window
from leadlight.kernels.sweep import sweep
from leadlight.moments import ALL, DAY_US
from leadlight.plan import Column, Key, Plan

HOUR = DAY_US // 24


def taken(log: EncodedLog, rows) -> EncodedLog:
    """Some rows of a log."""
    found = {}
    for field in dataclasses.fields(log):
        value = getattr(log, field.name)
        if isinstance(value, np.ndarray) and not field.name.startswith("tag_"):
            found[field.name] = value[rows]
    if log.tag_codes is None:
        found["tag_offsets"] = None
    else:
        lists = np.split(log.tag_codes, log.tag_offsets[1:-1]) if len(log) else []
        chosen = [lists[i] for i in rows]
        found["tag_offsets"] = np.cumsum([0, *map(len, chosen)], dtype=np.int64)
        found["tag_codes"] = np.concatenate([*chosen, np.empty(0, np.int32)])
    return dataclasses.replace(log, **found)


def shortened(plan: Plan) -> Plan:
    """The plan with windows of days for those of years, so that rows of a week leave them."""
    columns = tuple(
        dataclasses.replace(c, windows=tuple(w if w <= 2 * DAY_US else 12 * HOUR for w in c.windows))
        for c in plan.columns
    )
    return dataclasses.replace(plan, columns=columns)


@st.composite
def folded_cases(draw):
    """A plan, a log, the rows of member 0 that are folded in two steps, and cutoffs from which nobody sees them."""
    plan = shortened(draw(plans()))
    log, _, _, facts = draw(cases())
    log = dataclasses.replace(log, action=log.action.astype(np.int32))
    bound = draw(st.integers(-3, 10)) * DAY_US
    visible = log.time if log.visible_from is None else log.visible_from
    mine = log.actor == 0
    if log.other is not None:
        mine |= log.other == 0
    old = mine & (log.time < bound)
    earliest = max([bound + longest_window(plan), *(visible[old] + 1)])
    cutoff = earliest + np.array(draw(st.lists(st.integers(0, 60), max_size=6)), np.int64) * HOUR
    middle = bound - draw(st.integers(0, 3)) * DAY_US
    steps = [np.flatnonzero(old & (log.time < middle)), np.flatnonzero(old & (log.time >= middle))]
    joined = None if facts["joined"] is None else cutoff - DAY_US
    return plan, log, np.flatnonzero(~old), steps, cutoff, joined


@THOROUGH
@given(folded_cases())
def test_a_sweep_from_folded_rows_equals_one_over_all_rows(case):
    plan, log, rest, steps, cutoff, joined = case
    entity = np.zeros(len(cutoff), np.int64)
    start = Start.empty(plan)
    for rows in steps:
        start = fold(plan, start, taken(log, rows), 0)
    expected = quiet_reference(plan, log, entity, cutoff, joined=joined)
    left = taken(log, rest)
    expect_equal(quiet_reference(plan, left, entity, cutoff, joined=joined, start=start), expected)
    if extension() is not None:
        expect_equal(native(plan, left, entity, cutoff, joined=joined, start=start), expected)


def views(*days: int) -> EncodedLog:
    n = len(days)
    return EncodedLog(
        actor=np.zeros(n, np.int64),
        time=np.array(days, np.int64) * DAY_US,
        action=np.zeros(n, np.int32),
        dictionaries={"action": ("view",)},
    )


VIEWS = Plan(
    (Key("view"),),
    (Column("ever", "count", (0,), (ALL,)), Column("week", "count", (0,), (7 * DAY_US,))),
    (),
)


def test_folding_nothing_changes_nothing():
    start = fold(VIEWS, Start.empty(VIEWS), views(1, 2), 0)
    assert fold(VIEWS, start, views(), 0) is start
    assert fold(VIEWS, start, views(5), 1) is start


def test_a_start_knows_the_first_and_the_newest_of_what_was_folded():
    start = fold(VIEWS, fold(VIEWS, Start.empty(VIEWS), views(3, 1), 0), views(4), 0)
    assert (start.rows, start.visits, start.count.tolist(), start.last.tolist()) == (3, 3, [3], [4 * DAY_US])
    assert (start.first, start.newest, start.visit) == ((DAY_US, NEVER), 4 * DAY_US, 4 * DAY_US)


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 1, 0], [1, 2, 0]])
def test_of_rows_at_one_time_the_longest_then_the_filled_one_is_the_newest(order):
    log = dataclasses.replace(
        views(1, 1, 1),
        duration_ms=np.array([1, 5, 5]),
        filled=np.array([True, False, True]),
    )
    start = fold(VIEWS, Start.empty(VIEWS), taken(log, order), 0)
    assert (start.newest_duration_ms, start.filled.tolist(), start.duration_ms.tolist()) == (5, [True], [11])
    start = fold(VIEWS, Start.empty(VIEWS), taken(log, [i for i in order if i != 2]), 0)
    assert (start.newest_duration_ms, start.filled.tolist()) == (5, [False])


def test_the_longest_window_counts_both_halves_of_a_trend_and_not_what_colleagues_did():
    columns = (
        Column("trend", "trend", (0,), (7 * DAY_US,)),
        Column("peers", "peers", (0,), (365 * DAY_US,)),
        Column("ever", "count", (0,), (ALL,)),
    )
    assert longest_window(Plan((Key("view"),), columns, ())) == 14 * DAY_US
    assert longest_window(Plan((Key("view"),), columns[1:], ())) == 0


def test_a_start_is_of_one_member():
    with pytest.raises(ValueError, match="of one member"):
        sweep(VIEWS, views(1), np.array([0, 1]), np.array([5, 5]), start=Start.empty(VIEWS))


def test_a_start_of_another_plan_is_refused():
    other = Plan((*VIEWS.keys, Key("post")), VIEWS.columns, ())
    with pytest.raises(ValueError, match="start holds 2 keys; the plan has 1"):
        sweep(VIEWS, views(1), np.array([0]), np.array([5]), start=Start.empty(other))


@built
@pytest.mark.parametrize("count", [-1, 4])
def test_a_count_that_no_rows_can_give_is_refused(count):
    start = dataclasses.replace(
        fold(VIEWS, Start.empty(VIEWS), views(1, 2, 3), 0), count=np.array([count], np.int64)
    )
    with pytest.raises(ValueError, match="counts more rows than it was made of"):
        native(VIEWS, views(), np.array([0]), np.array([DAY_US * 9]), start=start)


@built
def test_more_folded_rows_than_the_kernel_counts_are_left_to_the_reference():
    many = np.array([2**33], np.int64)
    start = dataclasses.replace(fold(VIEWS, Start.empty(VIEWS), views(1), 0), rows=2**33, count=many)
    found = sweep(VIEWS, views(9), np.array([0]), np.array([10 * DAY_US]), start=start)
    assert found.tolist() == [[float(np.float32(2**33 + 1)), 1.0]]
