"""Points of the probability: they add up, and have the sign of the contribution."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadlight.errors import InputError
from leadlight.explain import probability_points
from leadlight.explain.probability import _pace
from leadlight.kernels.linear import sigmoid
from leadlight.plan import Column, Key, Plan, PlannedBehaviour

TWO = Plan(
    (Key(),),
    tuple(Column(f"c{i}", "count", (0,), (1,)) for i in range(3)),
    (PlannedBehaviour("asks", ("c0", "c2"), ()), PlannedBehaviour("reads", ("c1",), ())),
)
numbers = st.floats(-30, 30, allow_nan=False)


@settings(derandomize=True, deadline=None)
@given(st.lists(st.tuples(numbers, numbers, numbers), min_size=1, max_size=5), numbers)
def test_points_add_up_to_the_probability_and_have_the_sign_of_the_contribution(values, base):
    found = probability_points(TWO, values, base).to_numpy()
    parts = np.array([[a + c, b] for a, b, c in values])
    np.testing.assert_allclose(found.sum(axis=1), 100 * sigmoid(base + parts.sum(axis=1)), atol=1e-10, rtol=0)
    assert (found[:, 1:] * parts >= 0).all()


@settings(derandomize=True, deadline=None)
@given(st.lists(st.tuples(numbers, numbers, numbers), min_size=1, max_size=5), numbers, st.integers(0, 3))
def test_rounded_points_add_up_to_the_rounded_probability(values, base, digits):
    exact = probability_points(TWO, values, base).to_numpy()
    found = probability_points(TWO, values, base, digits).to_numpy()
    unit = 10.0**-digits
    total = np.rint(exact.sum(axis=1) / unit)
    assert np.rint(found.sum(axis=1) / unit).tolist() == total.tolist()
    assert np.abs(found - exact).max() <= unit * (1 + 1e-6)


def test_the_distance_from_the_base_is_divided_as_the_contributions_are():
    found = probability_points(TWO, [[1.0, 1.0, 0.5]], -2.0).iloc[0]
    p0, p = 100 * sigmoid(np.array([-2.0, 0.5]))
    assert found["base"] == pytest.approx(p0)
    assert found["asks"] == pytest.approx(1.5 / 2.5 * (p - p0))
    assert found["reads"] == pytest.approx(1.0 / 2.5 * (p - p0))


def test_where_nothing_changes_the_score_points_cancel():
    """The limit of (p - p0) / (s - s0) is p0 (1 - p0)."""
    found = probability_points(TWO, [[1.0, -1.0, 0.0]], 0.0).iloc[0]
    assert found.tolist() == pytest.approx([50.0, 25.0, -25.0])


def test_the_pace_is_exact_where_subtraction_is_not():
    start = np.full(4, -20.0)
    end = start + np.array([0.0, 1e-12, 1e-6, -1e-9])
    np.testing.assert_allclose(_pace(start, end), sigmoid(start) * sigmoid(-start), rtol=1e-6)


def test_the_largest_remainders_get_what_rounding_leaves():
    found = probability_points(TWO, [[0.0, 0.0, 0.0]], 0.0, digits=0)
    assert found.to_numpy().tolist() == [[50.0, 0.0, 0.0]]
    assert list(found.columns) == ["base", "asks", "reads"]


def test_no_member_gives_no_row():
    assert probability_points(TWO, np.empty((0, 3)), 0.0).shape == (0, 3)


@pytest.mark.parametrize("digits", [-1, 7, True])
def test_digits_out_of_range_are_refused(digits):
    with pytest.raises(InputError, match="0 to 6"):
        probability_points(TWO, [[0.0, 0.0, 0.0]], 0.0, digits)


def test_a_base_that_is_none_is_refused():
    with pytest.raises(InputError, match="base is nan"):
        probability_points(TWO, [[0.0, 0.0, 0.0]], float("nan"))


def test_a_behaviour_cannot_be_named_like_the_base():
    plan = Plan(TWO.keys, TWO.columns[:1], (PlannedBehaviour("base", ("c0",), ()),))
    with pytest.raises(InputError, match="rename it"):
        probability_points(plan, [[0.0]], 0.0)


def test_the_result_is_a_frame_of_floats():
    found = probability_points(TWO, [[0.0, 0.0, 0.0]], 0.0)
    assert isinstance(found, pd.DataFrame)
    assert (found.dtypes == np.float64).all()
