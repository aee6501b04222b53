"""Margins and SHAP values of boosted trees, against LightGBM and against the definition."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import lightgbm
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadlight.errors import BundleError, InputError
from leadlight.kernels.tree_shap import prepare, shap
from leadlight.kernels.trees import Trees, go_left, margin
from leadlight.runtime.lightgbm_text import parse_lightgbm

QUIET = {"verbosity": -1, "num_threads": 1, "deterministic": True}
SMALL = {"min_data_in_leaf": 3, "min_data_in_bin": 1}
TINY = float(np.float32(1e-35))  # LightGBM reads values up to here as zero
ODD = (math.nan, 0.0, -0.0, TINY, -TINY, 2 * TINY, -2 * TINY, 1e308, -1e308, math.inf, -math.inf)
ODD_CODES = (math.nan, -1.0, -0.5, -1e-40, 0.9, 31.0, 32.0, 999.0, 2.0**31 - 1, 2.0**31, -(2.0**40), 1e300)
N_CATEGORICAL = 2


def data(rng, n, width):
    """Numbers with ties, zeros and gaps; the first two columns are codes."""
    X = rng.normal(size=(n, width)).round(1) * 10.0 ** rng.integers(-3, 8, width)
    X[rng.random((n, width)) < 0.2] = 0.0
    X[:, 0] = rng.integers(0, 70, n)
    X[:, 1] = rng.integers(0, 5, n)
    X[(rng.random((n, width)) < 0.15) & (rng.random(width) < 0.7)] = np.nan
    return X


def train(X, y, rounds=6, codes=N_CATEGORICAL, init=None, **parameters):
    table = lightgbm.Dataset(X, y, categorical_feature=list(range(codes)), init_score=init)
    return lightgbm.train({"objective": "binary", **QUIET, **SMALL, **parameters}, table, rounds)


def queries(rng, X, trees):
    """Rows of odd values, known rows, and rows exactly at, above and below thresholds."""
    Q = np.concatenate([rng.permuted(X, axis=0), rng.choice(ODD, X.shape)])
    Q[len(X) :, :N_CATEGORICAL] = rng.choice(ODD_CODES, (len(X), N_CATEGORICAL))
    for k in np.flatnonzero((trees.decision & 1 == 0) & np.isfinite(trees.threshold)):
        cut = trees.threshold[k]
        near = cut, np.nextafter(cut, np.inf), np.nextafter(cut, -np.inf)
        Q[rng.integers(len(Q), size=3), trees.feature[k]] = near
    return Q


def random_model(seed):
    """A trained booster, its parsed trees and rows to predict."""
    rng = np.random.default_rng(seed)
    X = data(rng, rng.choice([60, 400]), rng.integers(2, 9))
    present = np.nan_to_num(X)
    y = (present[:, -1] > 0) ^ (present[:, 0] % 3 == 0) ^ (rng.random(len(X)) < 0.1)
    booster = train(
        X,
        y.astype(float),
        rounds=rng.integers(1, 13),
        init=[None, np.full(len(X), 0.7)][rng.integers(2)],
        num_leaves=rng.choice([2, 3, 8, 40]),
        max_depth=rng.choice([-1, 1, 4]),
        min_data_per_group=rng.choice([1, 20]),
        max_cat_to_onehot=rng.choice([1, 8]),
        cat_smooth=1.0,
        min_gain_to_split=rng.choice([0.0, 0.0, 1.0, 15.0]),
        zero_as_missing=rng.random() < 0.3,
        use_missing=rng.random() < 0.7,
        bagging_freq=rng.integers(2),
        bagging_fraction=0.7,
        feature_fraction=rng.choice([0.5, 1.0]),
    )
    trees = parse_lightgbm(booster.model_to_string())
    return booster, trees, queries(rng, X, trees)


models = st.integers(0, 2**32 - 1).map(random_model)


@pytest.fixture(scope="module")
def trained():
    rng = np.random.default_rng(5)
    X = data(rng, 1100, 6)
    booster = train(X, (np.nan_to_num(X[:, 3]) > rng.normal(size=len(X))) * 1.0, rounds=20, num_leaves=12)
    return booster, parse_lightgbm(booster.model_to_string()), X


def stump(**changes):
    """Return the arrays of a split at 1.5 on column 0, a tree of one leaf, and a tree of two splits."""
    arrays = {
        "root": [0, -3, 1],
        "left": [-1, -4, -5],
        "right": [-2, 2, -6],
        "feature": [0, 1, 0],
        "threshold": [1.5, 0.0, 3.0],
        "decision": [2, 2, 2],
        "internal_count": [10.0, 10.0, 6.0],
        "leaf_value": [0.5, -0.25, 2.0, 1.0, -1.0, 4.0],
        "leaf_count": [6.0, 4.0, 10.0, 4.0, 3.0, 3.0],
        "category_offset": [0],
        "category_word": [],
        "n_features": [2],
    }
    return {**arrays, **changes}


@settings(derandomize=True, deadline=None, max_examples=60)
@given(models)
def test_margin_equals_lightgbm_bit_for_bit(model):
    booster, trees, Q = model
    expected = booster.predict(Q, raw_score=True)
    assert margin(trees, Q).tobytes() == np.asarray(expected, dtype=np.float64).tobytes()


@settings(derandomize=True, deadline=None, max_examples=40)
@given(models)
def test_shap_equals_lightgbm_and_sums_to_the_margin(model):
    booster, trees, Q = model
    values, base = shap(trees, Q)
    expected = booster.predict(Q, pred_contrib=True)
    tolerance = 1e-12 * max(1.0, np.abs(booster.predict(Q, raw_score=True)).max())
    np.testing.assert_allclose(values, expected[:, :-1], rtol=0, atol=tolerance)
    np.testing.assert_allclose(base, expected[:, -1], rtol=0, atol=tolerance)
    np.testing.assert_allclose(values.sum(axis=1) + base, margin(trees, Q), rtol=0, atol=tolerance)


def test_a_path_of_forty_features_is_exact():
    """A chain whose deepest leaf alone has a value, against Shapley's formula in rational numbers.

    LightGBM itself is no oracle here: its contributions miss their own sum by 1e-7 of it.
    """
    n, value = 40, 3.0
    count = np.arange(1.0, n + 2)  # of the leaf that leaves the chain at each node, and of the deepest
    trees = Trees.from_arrays(
        {
            "root": [0],
            "left": -1 - np.arange(n),
            "right": [*range(1, n), -n - 1],
            "feature": np.arange(n),
            "threshold": np.zeros(n),
            "decision": np.full(n, 2),
            "internal_count": np.cumsum(count[::-1])[1:][::-1],
            "leaf_value": [0.0] * n + [value],
            "leaf_count": count,
            "category_offset": [0],
            "category_word": [],
            "n_features": [n],
        }
    )
    row = np.ones(n)
    row[[3, 17]] = -1.0
    agree = [int(x > 0) for x in row]
    inside = [Fraction(int(a)) for a in trees.internal_count] + [Fraction(n + 1)]
    cover = [inside[i + 1] / inside[i] for i in range(n)]
    values, base = shap(trees, row[None, :])
    for j in range(n):
        # by_size[s]: sum over the sets of s other features of the leaf's weight when those are shown.
        by_size = [Fraction(1)]
        for i in set(range(n)) - {j}:
            shown, hidden = [0, *(agree[i] * w for w in by_size)], [*(cover[i] * w for w in by_size), 0]
            by_size = [a + b for a, b in zip(shown, hidden, strict=True)]
        mean = sum(w / (n * math.comb(n - 1, s)) for s, w in enumerate(by_size))
        exact = float(Fraction(value) * (agree[j] - cover[j]) * mean)
        assert values[0, j] == pytest.approx(exact, rel=1e-12)
    assert values.sum() + base == pytest.approx(margin(trees, row[None, :])[0], abs=1e-12)


def test_shap_is_the_shapley_value_of_the_covers(trained):
    """The definition: a mean over all sets of shown features; at a hidden one both branches are followed."""
    _, trees, X = trained
    n = trees.n_features

    def follow(row, shown, node):
        if node < 0:
            return trees.leaf_value[~node]
        feature, children = trees.feature[node], (trees.left[node], trees.right[node])
        if feature in shown:
            left = go_left(trees, np.array([node]), row[[feature]])[0]
            return follow(row, shown, children[0 if left else 1])
        count = [trees.leaf_count[~c] if c < 0 else trees.internal_count[c] for c in children]
        return sum(k * follow(row, shown, c) for k, c in zip(count, children, strict=True)) / sum(count)

    subsets = [frozenset(s) for size in range(n + 1) for s in itertools.combinations(range(n), size)]
    values, base = shap(trees, X[:2])
    for row, value in zip(X[:2], values, strict=True):
        worth = {shown: sum(follow(row, shown, root) for root in trees.root) for shown in subsets}
        assert base == pytest.approx(worth[frozenset()], abs=1e-12)
        for j in range(n):
            without = [shown for shown in subsets if j not in shown]
            gains = [(worth[s | {j}] - worth[s]) / (n * math.comb(n - 1, len(s))) for s in without]
            assert value[j] == pytest.approx(sum(gains), abs=1e-12)


def test_a_row_alone_has_the_bits_of_the_row_in_a_batch(trained):
    _, trees, X = trained
    tables = prepare(trees)
    margins, (values, _) = margin(trees, X), shap(trees, X, tables)
    for i in (0, 1, 511, 512, 700, len(X) - 1):
        alone = X[i : i + 1]
        assert margin(trees, alone).tobytes() == margins[i : i + 1].tobytes()
        assert shap(trees, alone, tables)[0].tobytes() == values[i : i + 1].tobytes()


def test_the_order_of_memory_does_not_matter(trained):
    _, trees, X = trained
    assert (margin(trees, np.asfortranarray(X)) == margin(trees, X)).all()


def test_no_rows_give_no_rows(trained):
    _, trees, X = trained
    assert margin(trees, X[:0]).shape == (0,)
    assert shap(trees, X[:0])[0].shape == (0, 6)


def test_trees_of_one_leaf_are_all_base():
    arrays = stump(root=[-1], left=[], right=[], feature=[], threshold=[], decision=[], internal_count=[])
    trees = Trees.from_arrays({**arrays, "leaf_value": [0.75], "leaf_count": [1.0]})
    values, base = shap(trees, np.ones((2, 2)))
    assert margin(trees, np.ones((2, 2))).tolist() == [0.75, 0.75]
    assert base == 0.75
    assert not values.any()


def test_small_trees_sum_as_by_hand():
    trees = Trees.from_arrays(stump())
    X = np.array([[1.5, 1.0], [2.0, -1.0], [4.0, 1.0]])
    assert margin(trees, X).tolist() == [0.5 + 2 - 1, -0.25 + 2 + 1, -0.25 + 2 + 4]


def test_arrays_come_back_as_they_went(trained):
    _, trees, X = trained
    again = Trees.from_arrays(trees.to_arrays())
    for name, array in trees.to_arrays().items():
        assert array.dtype == again.to_arrays()[name].dtype
        assert array.tobytes() == again.to_arrays()[name].tobytes()
    assert (margin(again, X) == margin(trees, X)).all()


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"right": [-2, 1, -6]}, "node is not reached exactly once"),
        ({"root": [0, -3, -4], "left": [-1, 2, -5], "right": [-2, -6, 1]}, "2 nodes form a cycle"),
        ({"left": [-1, -4, -4]}, "leaf is not reached exactly once"),
        ({"right": [-2, 3, -6]}, "points outside the 3 nodes"),
        ({"left": [-1, -4, -7]}, "points outside the 3 nodes"),
        ({"leaf_value": [0.5, -0.25, math.nan, 1.0, -1.0, 4.0]}, "leaf value is not finite"),
        ({"leaf_value": [0.5, -0.25, 1e308, 1.0, -1.0, 4.0]}, "leaf value is not finite or too large"),
        ({"threshold": [1.5, math.nan, 3.0]}, "threshold is NaN"),
        ({"threshold": [1.5, 0.0]}, "threshold has 2 values for 3 nodes"),
        ({"right": [-2, 2]}, "right has 2 values for 3 nodes"),
        ({"leaf_count": [6.0, 4.0]}, "leaf_count has 2 values for 6 leaves"),
        ({"feature": [0, 2, 0]}, "feature is not in 0..1"),
        ({"feature": [0, -1, 0]}, "feature is not in 0..1"),
        ({"n_features": [0]}, "n_features is 0"),
        ({"n_features": [2, 2]}, "n_features has 2 values"),
        ({"leaf_count": [6.0, 4.0, 0.0, 4.0, 3.0, 3.0]}, "leaf_count is not positive"),
        ({"internal_count": [10.0, math.inf, 6.0]}, "internal_count is not positive and finite"),
        ({"internal_count": [10.0, 11.0, 6.0]}, "not the sum of its children"),
        ({"decision": [2, 12, 2]}, "decision type is unknown"),
        ({"decision": [2, 1, 2]}, "names none of the 0 category sets"),
        ({"category_offset": [0, 2], "category_word": [7]}, "do not fit their offsets"),
        ({"category_offset": [0, 0]}, "do not fit their offsets"),
        ({"category_offset": []}, "do not fit their offsets"),
        ({"decision": [2, 300, 2]}, "do not fit uint8"),
        ({"feature": [0.0, 0.5, 0.0]}, "feature holds float64"),
        ({"leaf_value": ["0.5"] * 6}, "leaf_value holds"),
        ({"root": [[0, -3, 1]]}, "2 dimensions"),
    ],
)
def test_damaged_trees_are_refused(changes, problem):
    with pytest.raises(BundleError, match=problem):
        Trees.from_arrays(stump(**changes))


def test_missing_and_unknown_parts_are_named():
    arrays = stump(surplus=[1])
    del arrays["left"]
    with pytest.raises(BundleError, match=r"lack \['left'\].*unknown parts \['surplus'\]"):
        Trees.from_arrays(arrays)


@pytest.mark.parametrize("shape", [(3, 5), (3, 7), (6,)])
def test_a_matrix_of_another_width_is_refused(trained, shape):
    for call in (margin, shap):
        with pytest.raises(InputError, match=r"the trees need \(n, 6\)"):
            call(trained[1], np.zeros(shape))
