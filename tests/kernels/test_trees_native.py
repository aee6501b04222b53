"""The native trees against their reference: margins equal bit for bit, SHAP values to 1e-12, whatever the trees and rows."""

from __future__ import annotations

import copy
import dataclasses
import math
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.kernels.test_trees import TINY, random_model, stump

import leadlight.kernels.tree_shap as shap_module
import leadlight.kernels.trees as trees_module
from leadlight.errors import BundleError
from leadlight.kernels.native import VARIABLE, extension
from leadlight.kernels.tree_shap import ShapTables, prepare, shap
from leadlight.kernels.trees import Trees, margin
from leadlight.kernels.trees_native import native_margin, native_shap

built = pytest.mark.skipif(extension() is None, reason="the extension was not built")
THOROUGH = settings(derandomize=True, deadline=None, max_examples=150)
seeds = st.integers(0, 2**32 - 1)

AROUND_ZERO = tuple(
    sign * size
    for sign in (1.0, -1.0)
    for size in (0.0, 5e-324, TINY / 2, np.nextafter(TINY, 0.0), TINY, np.nextafter(TINY, 1.0))
)
EDGES = (*AROUND_ZERO, 1.0, 1.5, 31.0, 32.0, 64.5, -0.5, -1.0, 1e308, -1e308, 2.0**31, math.inf, -math.inf)
CELLS = (*EDGES, math.nan, math.nan, np.nextafter(1.0, 2.0), np.finfo(float).max, -np.finfo(float).max)
NUMERIC, CATEGORICAL = (0, 2, 4, 6, 8, 10), (1, 3, 5, 7, 9, 11)


def grown(rng, n_leaves, skew, width, categorical):
    """One tree by splitting a leaf at a time, the deepest with probability `skew`; links count from zero."""
    left, right, leaves = [], [], [(None, 0, 0)]
    root = -1
    for k in range(n_leaves - 1):
        deepest = max(range(len(leaves)), key=lambda i: leaves[i][2])
        above, side, depth = leaves.pop(deepest if rng.random() < skew else rng.integers(len(leaves)))
        left.append(0)
        right.append(0)
        if above is None:
            root = 0
        else:
            (left, right)[side][above] = k
        leaves += [(k, 0, depth + 1), (k, 1, depth + 1)]
    for i, (above, side, _) in enumerate(leaves):
        if above is not None:
            (left, right)[side][above] = ~i
    n = n_leaves - 1
    decision = rng.choice(CATEGORICAL + NUMERIC if categorical else NUMERIC, n)
    threshold = np.where(rng.random(n) < 0.5, rng.choice(EDGES, n), rng.normal(size=n).round(1))
    return root, np.array(left, int), np.array(right, int), rng.integers(0, width, n), threshold, decision


def counted(left, right, root, leaf_count):
    """Rows at each node; a parent is grown before its children."""
    count = np.zeros(len(left))
    for k in reversed(range(len(left))):
        count[k] = sum(count[c] if c >= 0 else leaf_count[~c] for c in (left[k], right[k]))
    return count


def made(seed):
    """Trees by hand, of every decision and up to 30 levels, and rows of special values."""
    rng = np.random.default_rng(seed)
    width, sets = int(rng.choice([1, 3, 40])), int(rng.integers(1, 4))
    parts = {
        name: [] for name in ("root", "left", "right", "feature", "threshold", "decision", "internal_count")
    }
    values, counts, nodes, leaves = [], [], 0, 0
    for _ in range(rng.integers(1, 30)):
        skew, size = rng.choice([0.0, 0.5, 1.0]), int(rng.choice([1, 2, 3, 8, 31]))
        root, left, right, feature, threshold, decision = grown(rng, size, skew, width, rng.random() < 0.3)
        threshold[decision % 2 == 1] = rng.integers(0, sets, (decision % 2 == 1).sum())
        leaf_count = rng.integers(1, 50, size).astype(float)
        parts["internal_count"].append(counted(left, right, root, leaf_count))
        for name, links in (("root", np.array([root])), ("left", left), ("right", right)):
            parts[name].append(np.where(links >= 0, links + nodes, links - leaves))
        for name, array in (("feature", feature), ("threshold", threshold), ("decision", decision)):
            parts[name].append(array)
        values.append(rng.choice([rng.normal(), 0.0, -0.0, 1e-300, 3e5], size) * rng.choice([1.0, 1e-9]))
        counts.append(leaf_count)
        nodes, leaves = nodes + size - 1, leaves + size
    lengths = rng.integers(1, 4, sets)
    arrays = {name: np.concatenate(arrays) for name, arrays in parts.items()}
    trees = Trees.from_arrays(
        {
            **arrays,
            "leaf_value": np.concatenate(values),
            "leaf_count": np.concatenate(counts),
            "category_offset": np.concatenate([[0], np.cumsum(lengths)]),
            "category_word": rng.integers(0, 2**32, lengths.sum(), dtype=np.uint64),
            "n_features": [width],
        }
    )
    X = rng.choice(CELLS, (int(rng.choice([0, 1, 7, 8, 9, 63, 65, 140])), width))
    return trees, np.where(rng.random(X.shape) < 0.4, rng.normal(size=X.shape).round(1), X)


def chain(n):
    """One path of n features, a leaf at each step."""
    count = np.arange(1.0, n + 2)
    return Trees.from_arrays(
        {
            "root": [0],
            "left": -1 - np.arange(n),
            "right": [*range(1, n), -n - 1],
            "feature": np.arange(n),
            "threshold": np.zeros(n),
            "decision": np.full(n, 2),
            "internal_count": np.cumsum(count[::-1])[1:][::-1],
            "leaf_value": np.cos(np.arange(n + 1)),
            "leaf_count": count,
            "category_offset": [0],
            "category_word": [],
            "n_features": [n],
        }
    )


def by_reference(trees, X):
    """Return margins and SHAP values without the extension."""
    values, _ = shap_module._shap(trees, X, shap_module._tabulated(trees))
    return trees_module._margin(trees, X), values


def by_extension(trees, X, threads=1):
    tables = ShapTables(trees)
    explainer, _ = tables._native
    assert explainer is not None
    native = extension()
    return native_margin(native, trees, X, threads), native_shap(native, explainer, X, threads)


def check_equal(trees, X):
    """Equal margins, SHAP values and bases; values may differ by 1e-12 of the largest leaf sum."""
    (margins, values), (expected, reference) = by_extension(trees, X), by_reference(trees, X)
    assert margins.tobytes() == expected.tobytes()
    size = max(1.0, np.abs(expected).max(initial=0.0), np.abs(reference).max(initial=0.0))
    base = ShapTables(trees)._native[1]
    np.testing.assert_allclose(values, reference, rtol=0, atol=1e-12 * size)
    np.testing.assert_allclose(values.sum(axis=1) + base, expected, rtol=0, atol=1e-12 * size)
    assert base == pytest.approx(shap_module._tabulated(trees).base, rel=1e-13, abs=1e-13)


@built
@THOROUGH
@given(seeds.map(made))
def test_trees_by_hand_equal_their_reference(case):
    check_equal(*case)


@built
@settings(THOROUGH, max_examples=40)
@given(seeds.map(random_model))
def test_trained_trees_equal_their_reference_and_lightgbm(model):
    booster, trees, Q = model
    check_equal(trees, Q)
    margins, values = by_extension(trees, Q)
    assert margins.tobytes() == np.asarray(booster.predict(Q, raw_score=True), np.float64).tobytes()
    expected = booster.predict(Q, pred_contrib=True)[:, :-1]
    np.testing.assert_allclose(values, expected, rtol=0, atol=1e-12 * max(1.0, np.abs(margins).max()))


@built
@pytest.mark.parametrize("n", [1, 8, 9, 16, 17, 32, 33, 50, 64])
def test_paths_of_up_to_64_features_are_native_and_exact(n):
    X = np.random.default_rng(n).normal(size=(20, n))
    check_equal(chain(n), X)


@built
def test_longer_paths_are_done_by_the_reference():
    trees, X = chain(65), np.random.default_rng(1).normal(size=(3, 65))
    tables = prepare(trees)
    assert tables._native[0] is None
    assert shap(trees, X, tables)[0].tobytes() == by_reference(trees, X)[1].tobytes()


@built
def test_a_tree_of_a_thousand_levels_is_walked_to_its_end():
    trees = dataclasses.replace(chain(1000), feature=np.zeros(1000, np.int32), n_features=1)
    check_equal(trees, np.array([[-1.0], [1.0], [np.nan]] * 3))


@built
@pytest.mark.parametrize("rows", [1, 5, 8, 64, 65, 300])
def test_a_row_has_the_bits_that_it_has_in_any_batch(rows):
    trees, _ = made(7)
    X = np.random.default_rng(0).choice(CELLS, (300, trees.n_features))
    margins, values = by_extension(trees, X)
    for start in range(0, 300, rows):
        some, explained = by_extension(trees, X[start : start + rows])
        assert some.tobytes() == margins[start : start + rows].tobytes()
        assert explained.tobytes() == values[start : start + rows].tobytes()


@built
def test_eight_threads_equal_one():
    trees, _ = made(12)
    X = np.random.default_rng(3).choice(CELLS, (2500, trees.n_features))
    expected = by_extension(trees, X)
    for found, one in zip(by_extension(trees, X, threads=8), expected, strict=True):
        assert found.tobytes() == one.tobytes()
    fresh = Trees.from_arrays(trees.to_arrays())
    with ThreadPoolExecutor(8) as pool:
        for result in pool.map(lambda _: by_extension(fresh, X), range(8)):
            assert [part.tobytes() for part in result] == [part.tobytes() for part in expected]


@built
def test_no_threads_are_an_error():
    trees, _ = made(12)
    with pytest.raises(ValueError, match="at least 1"):
        by_extension(trees, np.zeros((300, trees.n_features)), threads=0)


@built
def test_used_trees_can_be_pickled_and_copied():
    trees, X = made(3)
    tables = prepare(trees)
    expected = margin(trees, X), shap(trees, X, tables)[0]
    for again in (copy.copy, copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))):
        assert "_forest" not in vars(again(trees))
        assert margin(again(trees), X).tobytes() == expected[0].tobytes()
        assert shap(trees, X, again(tables))[0].tobytes() == expected[1].tobytes()


def spoil(rng, trees):
    """Return the trees with random numbers in random places, unchecked."""
    arrays = {name: array.copy() for name, array in trees.to_arrays().items() if name != "n_features"}
    width = trees.n_features
    for _ in range(rng.integers(1, 6)):
        name = rng.choice([*arrays, "n_features", "cut"])
        if name == "n_features":
            width = int(rng.choice([-1, 0, 1, width + 1, width - 1, 2**31 - 1, 2**40]))
        elif name == "cut":
            cut = rng.choice(list(arrays))
            arrays[cut] = arrays[cut][: rng.integers(len(arrays[cut]) + 1)]
        elif len(array := arrays[name]):
            odd = [0, 1, len(arrays["left"]), len(arrays["leaf_value"]), *array[:3].tolist()]
            if array.dtype.kind == "i":
                odd += [-1, -2, ~len(arrays["leaf_value"]), 2**31 - 1, -(2**31)]
            if array.dtype.kind == "f":
                odd += [math.nan, math.inf, -math.inf, -1.0, 1e300, 5e-324, 0.5, 2.0**31]
            array[rng.integers(len(array))] = np.array(rng.choice(odd)).astype(array.dtype)
    return Trees(**arrays, n_features=width)


@built
@settings(THOROUGH, max_examples=400)
@given(seeds)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_damaged_trees_are_refused_or_give_numbers(seed):
    """Nobody has validated them, so what the extension does not refuse it must survive."""
    rng = np.random.default_rng(seed)
    trees = spoil(rng, made(seed)[0])
    rows = [rng.choice(CELLS, (n, trees.n_features)) for n in (1, 70) if 0 < trees.n_features < 100]
    try:
        forest = trees._forest
        explainer, _ = ShapTables(trees)._native
    except BundleError:
        return
    assert len(forest) == 3
    for X in rows:
        assert native_margin(extension(), trees, X, 1).shape == (len(X),)
        if explainer is not None:
            assert native_shap(extension(), explainer, X, 1).shape == X.shape


@built
@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"right": [-2, 1, -6]}, "reached twice"),
        ({"root": [0, -3, 0]}, "reached twice"),
        ({"left": [-1, -4, -7]}, "points nowhere"),
        ({"right": [-2, 3, -6]}, "points nowhere"),
        ({"feature": [0, 2, 0]}, "out of bounds"),
        ({"feature": [0, -1, 0]}, "out of bounds"),
        ({"decision": [2, 3, 2]}, "no category set"),
        ({"leaf_value": [0.5, math.nan, 2.0, 1.0, -1.0, 4.0]}, "leaf value is NaN"),
        ({"category_offset": [0, 2]}, "category sets do not fit"),
        ({"category_offset": []}, "category sets do not fit"),
    ],
)
def test_trees_that_nobody_validated_are_refused_by_the_extension(changes, problem):
    sound = Trees.from_arrays(stump()).to_arrays()
    arrays = {name: np.array(changes.get(name, array), array.dtype) for name, array in sound.items()}
    trees = Trees(**{**arrays, "n_features": 2})
    with pytest.raises(BundleError, match=problem):
        native_margin(extension(), trees, np.zeros((1, 2)), 1)


@built
def test_arrays_that_do_not_fit_are_refused_by_the_extension():
    trees = Trees.from_arrays(stump())
    native, forest, (explainer, _) = extension(), trees._forest[0], ShapTables(trees)._native
    good, out = np.zeros((3, 2)), np.zeros(3)
    for X, into in (
        (good[:2], out),
        (good.astype(np.float32), out),
        (good, out.astype(int)),
        (good, out[:2]),
    ):
        with pytest.raises(ValueError, match=r"X|out"):
            native.forest_margin(forest, X, into)
    for X, into in ((good[:2], good), (good, good[:1]), (good.astype(int), good)):
        with pytest.raises(ValueError, match=r"X|out"):
            native.forest_shap(explainer, X, into)
    with pytest.raises(ValueError, match="incorrect name"):
        native.forest_margin(explainer, good, out)


def test_the_variable_forces_the_reference(monkeypatch):
    trees, X = made(21)
    monkeypatch.setenv(VARIABLE, "reference")
    monkeypatch.setattr(trees_module, "native_margin", None)
    monkeypatch.setattr(shap_module, "native_shap", None)
    margins, values = by_reference(trees, X)
    assert margin(trees, X).tobytes() == margins.tobytes()
    assert shap(trees, X)[0].tobytes() == values.tobytes()
    assert shap(trees, X, prepare(trees))[0].tobytes() == values.tobytes()
