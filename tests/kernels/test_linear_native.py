"""The native linear half, the search for infinities and the codes of text: equal to their references, bit for bit."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadlight.kernels import linear
from leadlight.kernels.native import extension
from leadlight.runtime.model import Linear

native = extension()
pytestmark = pytest.mark.skipif(native is None, reason="the extension was not built")


def half(seed, width):
    rng = np.random.default_rng(seed)
    mean, coef, missing_coef = rng.normal(size=(3, width))
    low = rng.normal(size=width) * 10.0 ** rng.integers(-3, 6, width)
    high = low + np.abs(rng.normal(size=width)) * 10.0 ** rng.integers(-3, 6, width)
    return Linear(mean, rng.uniform(0.1, 3, width), coef, missing_coef, rng.random(width), 0.3, low, high)


@settings(derandomize=True, deadline=None, max_examples=40)
@given(st.integers(0, 10**6), st.integers(1, 60), st.booleans())
def test_margin_and_terms_are_the_references(seed, width, held):
    own = half(seed, width)
    if not held:
        own = Linear(*own.arrays, own.intercept)
    rng = np.random.default_rng(seed + 1)
    X = rng.normal(size=(50, width)) * 10.0 ** rng.integers(-3, 9, width)
    X[rng.random(X.shape) < 0.2] = np.nan
    X[rng.random(X.shape) < 0.2] = 0.0
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LEADLIGHT_KERNELS", "reference")
        margin, terms = own.margin(X), own.contributions(X)
    np.testing.assert_array_equal(own.margin(X), margin)
    np.testing.assert_array_equal(own.contributions(X), terms)


def test_arrays_that_do_not_fit_are_refused():
    columns, X = half(0, 4).tabulated, np.zeros((3, 4))
    with pytest.raises(ValueError, match="X has 12 items instead of 8"):
        native.linear_margin(columns, 0.0, X, X, np.empty(2))
    with pytest.raises(ValueError, match="columns has 35 items"):
        native.linear_margin(columns.ravel()[:-1].copy(), 0.0, X, X, np.empty(3))
    with pytest.raises(ValueError, match="out does not fit"):
        native.linear_terms(columns, 0.0, X, X, np.empty(11))
    with pytest.raises(ValueError, match="logarithms holds items of 4 bytes"):
        native.linear_margin(columns, 0.0, X, X.astype(np.float32), np.empty(3))


@pytest.mark.parametrize("value", [np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, 7, 69_999])
def test_an_infinity_is_found_wherever_it_stands(value, place):
    X = np.random.default_rng(0).normal(size=70_000)
    X[::3] = np.nan
    assert not native.has_infinity(X)
    X[place] = value
    assert native.has_infinity(X)


def test_the_largest_numbers_are_no_infinities():
    assert not native.has_infinity(np.array([np.finfo(float).max, np.finfo(float).min, np.nan]))


@settings(derandomize=True, deadline=None, max_examples=60)
@given(st.lists(st.one_of(st.none(), st.text(max_size=3))), st.lists(st.text(max_size=3), unique=True))
def test_codes_of_text_are_those_of_the_dictionary(values, entries):
    codes = {entry: i for i, entry in enumerate(entries)}
    out = np.empty(len(values), np.int32)
    assert native.text_codes(values, codes, out)
    assert out.tolist() == [codes.get(value, -1) for value in values]


@pytest.mark.parametrize("odd", [1, 1.5, b"a", ["a"], np.str_("b"), {}])
def test_values_that_are_no_plain_text_are_left_to_the_reference(odd):
    assert not native.text_codes(["a", odd], {"a": 0}, np.empty(2, np.int32))


def test_codes_need_room_for_every_value():
    with pytest.raises(ValueError, match="out has 1 items instead of 2"):
        native.text_codes(["a", "b"], {}, np.empty(1, np.int32))


@settings(derandomize=True, deadline=None, max_examples=200)
@given(st.floats(-800, 800))
def test_the_sigmoid_of_a_number_has_the_bits_that_it_has_in_an_array(s):
    for size in (1, 3, 17):
        assert linear.sigmoid(np.full(size, s)).tolist() == [linear.sigmoid_of(s)] * size


lists_of_text = st.lists(
    st.one_of(st.none(), st.lists(st.one_of(st.none(), st.sampled_from("abcde")), max_size=9))
)


@settings(derandomize=True, deadline=None, max_examples=100)
@given(lists_of_text, st.permutations("abcd"))
def test_codes_of_lists_are_the_distinct_ones_of_each_in_order(values, entries):
    codes = {entry: i for i, entry in enumerate(entries)}
    offsets, out = np.empty(len(values) + 1, np.int64), np.empty(9 * len(values), np.int32)
    size = native.list_codes(values, codes, offsets, out)
    expected = [sorted({codes[v] for v in value or () if v in codes}) for value in values]
    assert [out[a:b].tolist() for a, b in pairwise(offsets)] == expected
    assert size == offsets[-1] == sum(map(len, expected))


@pytest.mark.parametrize(
    "odd", ["a|b", ["a", 1], {"a"}, [["a"]], ["a"] * 65], ids=["text", "number", "set", "nested", "long"]
)
def test_lists_that_are_no_plain_lists_of_text_are_left_to_the_reference(odd):
    assert native.list_codes([["a"], odd], {"a": 0}, np.empty(3, np.int64), np.empty(99, np.int32)) is None


def test_codes_of_lists_never_leave_their_room():
    out = np.full(3, 7, np.int32)
    assert native.list_codes([["a", "b"], ["a"]], {"a": 0, "b": 1}, np.empty(3, np.int64), out[:2]) is None
    assert out[2] == 7
    with pytest.raises(ValueError, match="offsets has 2 items instead of 3"):
        native.list_codes([[], []], {}, np.empty(2, np.int64), out)
