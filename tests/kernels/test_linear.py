"""The linear margin, its contributions and the sigmoid."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadlight.errors import InputError
from leadlight.kernels.linear import linear_contributions, linear_margin, sigmoid, signed_log


def problem(seed, n=40, width=7):
    """Return features with gaps and the six parameters."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, width)) * 10.0 ** rng.integers(-3, 9, width)
    X[rng.random(X.shape) < 0.3] = np.nan
    mean, coef, missing_coef = rng.normal(size=(3, width))
    return X, (mean, rng.uniform(0.1, 3, width), coef, missing_coef, rng.random(width))


def by_hand(row, parameters, intercept):
    """Return the sum from the intercept onwards, one column at a time."""
    total = intercept
    for x, mean, scale, coef, missing_coef, rate in zip(row, *parameters, strict=True):
        z = 0.0 if math.isnan(x) else (float(np.sign(x) * np.log1p(abs(x))) - mean) / scale
        total += coef * z + missing_coef * (math.isnan(x) - rate)
    return total


def test_signed_log_is_odd_and_keeps_missing():
    values = signed_log([0.0, math.e - 1, 1 - math.e, math.nan])
    assert values[:3].tolist() == pytest.approx([0.0, 1.0, -1.0])
    assert math.isnan(values[3])


@settings(derandomize=True, deadline=None, max_examples=30)
@given(st.integers(0, 10**6))
def test_margin_is_the_sum_in_column_order(seed):
    X, parameters = problem(seed)
    margins = linear_margin(X, *parameters, 0.3)
    assert margins.tolist() == [by_hand(row, parameters, 0.3) for row in X]


def test_a_row_alone_has_the_bits_of_the_row_in_a_batch():
    X, parameters = problem(1, n=3000, width=250)
    margins, contributions = linear_margin(X, *parameters, 0.3), linear_contributions(X, *parameters)
    for i in (0, 1, 1043, 1044, 1045, 2999):
        assert linear_margin(X[i : i + 1], *parameters, 0.3).tobytes() == margins[i : i + 1].tobytes()
        assert linear_contributions(X[i : i + 1], *parameters).tobytes() == contributions[i].tobytes()


def test_contributions_and_intercept_sum_to_the_margin():
    X, parameters = problem(2)
    terms = np.column_stack([np.full(len(X), 0.3), linear_contributions(X, *parameters)])
    total = np.add.accumulate(terms, axis=1)
    assert total[:, -1].tolist() == linear_margin(X, *parameters, 0.3).tolist()


def test_a_missing_value_counts_only_through_its_indicator():
    X = np.array([[np.nan, 0.0]])
    one = np.ones(2)
    shares = linear_contributions(X, one, 2 * one, 4 * one, 8 * one, 0.25 * one)
    assert shares.tolist() == [[8 * 0.75, 4 * -0.5 - 8 * 0.25]]


def test_no_columns_leave_the_intercept():
    nothing = np.zeros(0)
    assert linear_margin(np.zeros((2, 0)), *[nothing] * 5, 1.5).tolist() == [1.5, 1.5]


def test_no_rows_give_no_rows():
    X, parameters = problem(3)
    assert linear_margin(X[:0], *parameters, 0.0).shape == (0,)
    assert linear_contributions(X[:0], *parameters).shape == (0, 7)


def test_parameters_of_another_length_are_refused():
    X, parameters = problem(4)
    for call in (
        lambda X: linear_margin(X, *parameters, 0.0),
        lambda X: linear_contributions(X, *parameters),
    ):
        with pytest.raises(InputError, match=r"X has shape \(40, 6\)"):
            call(X[:, :6])
        with pytest.raises(InputError, match=r"X has shape \(7,\)"):
            call(X[0])


def test_one_parameter_of_another_length_is_refused():
    X, (mean, *others) = problem(5)
    with pytest.raises(InputError, match="one value of each parameter per feature"):
        linear_margin(X, mean[:1], *others, 0.0)


def test_sigmoid_neither_overflows_nor_rounds_small_chances_to_zero():
    with np.errstate(all="raise", under="ignore"):
        values = sigmoid([0.0, 700.0, -700.0, 1e308, -1e308, math.inf, -math.inf])
    assert values.tolist() == [0.5, 1.0, math.exp(-700.0), 1.0, 0.0, 1.0, 0.0]
    assert math.isnan(sigmoid(math.nan))


@settings(derandomize=True, deadline=None)
@given(st.floats(-30, 30))
def test_sigmoid_inverts_log_odds(s):
    p = float(sigmoid(s))
    assert p + float(sigmoid(-s)) == pytest.approx(1.0, abs=1e-15)
    assert math.log(p) - math.log(float(sigmoid(-s))) == pytest.approx(s, abs=1e-12)
