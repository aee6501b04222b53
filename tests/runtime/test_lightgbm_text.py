"""Reading LightGBM's text: what is accepted, what is refused, and what damage does."""

from __future__ import annotations

import lightgbm
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadlight.errors import BundleError
from leadlight.kernels.tree_shap import shap
from leadlight.kernels.trees import Trees, margin
from leadlight.runtime.lightgbm_text import parse_lightgbm, parse_weighted

RNG = np.random.default_rng(3)
X = np.column_stack([RNG.integers(0, 40, 300), RNG.normal(size=(300, 2))])
X[RNG.random(X.shape) < 0.1] = np.nan
Y = (np.nan_to_num(X[:, 0]) % 3 == 0) ^ (np.nan_to_num(X[:, 1]) > 0.5)


def model(rounds=3, **parameters):
    quiet = {"objective": "binary", "verbosity": -1, "num_threads": 1, "deterministic": True, "num_leaves": 6}
    quiet |= {"min_data_in_leaf": 5, "min_data_per_group": 5, "cat_smooth": 1.0, "cat_l2": 1.0}
    table = lightgbm.Dataset(X, Y.astype(float), categorical_feature=[0])
    return lightgbm.train({**quiet, **parameters}, table, rounds)


@pytest.fixture(scope="module")
def text():
    return model().model_to_string()


def test_nodes_and_leaves_of_all_trees_are_concatenated(text):
    trees = parse_lightgbm(text)
    assert trees.n_features == 3
    assert len(trees.root) == 3
    assert len(trees.left) == 15
    assert len(trees.leaf_value) == 18
    assert trees.root.tolist() == [0, 5, 10]


def test_category_sets_are_numbered_over_all_trees(text):
    trees = parse_lightgbm(text)
    index = trees.threshold[trees.decision & 1 == 1]
    assert sorted(index) == list(range(len(trees.category_offset) - 1))
    assert len(index) >= 3


def test_several_texts_are_one_model_of_their_weighted_sum():
    boosters = [model(), model(rounds=2, num_leaves=3), model(min_data_in_leaf=290)]
    weights = [0.25, 2.0, 0.5]
    trees = parse_weighted([booster.model_to_string() for booster in boosters], weights)
    expected = sum(w * b.predict(X, raw_score=True) for w, b in zip(weights, boosters, strict=True))
    assert len(trees.root) == 6
    np.testing.assert_allclose(margin(trees, X), expected, atol=1e-12)


def test_texts_of_other_columns_do_not_add_up(text):
    wider = text.replace("max_feature_idx=2", "max_feature_idx=4")
    with pytest.raises(BundleError, match=r"read \[3, 5\] columns"):
        parse_weighted([text, wider], [1.0, 1.0])


@pytest.mark.parametrize("key", ["left_child", "leaf_value", "is_linear"])
def test_damage_in_a_later_tree_is_named_by_its_number(text, key):
    first, mark, rest = text.partition("Tree=2")
    with pytest.raises(BundleError, match="tree 2"):
        parse_lightgbm(first + mark + rest.replace(f"{key}=", f"{key}=z", 1))


def test_a_tree_of_one_leaf_has_a_leaf_for_a_root():
    trees = parse_lightgbm(model(min_data_in_leaf=290).model_to_string())
    assert trees.root.tolist() == [-1]
    assert len(trees.left) == 0


@pytest.mark.parametrize("count", ["", "0"])
def test_a_tree_of_one_leaf_needs_no_count(count):
    booster = model(min_data_in_leaf=290)
    trees = parse_lightgbm(booster.model_to_string().replace("leaf_count=300", f"leaf_count={count}"))
    assert margin(trees, X[:2]).tolist() == booster.predict(X[:2], raw_score=True).tolist()


def test_a_model_of_no_trees_has_margin_zero(text):
    head = text.split("tree_sizes=")[0]
    trees = parse_lightgbm(head + "tree_sizes=\n\nend of trees\n")
    assert margin(trees, X[:2]).tolist() == [0.0, 0.0]
    assert shap(trees, X[:2])[1] == 0.0


def test_early_stopping_keeps_the_best_iteration():
    booster = model(rounds=5)
    booster.best_iteration = 2
    trees = parse_lightgbm(booster.model_to_string())
    assert len(trees.root) == 2
    assert (margin(trees, X) == booster.predict(X, raw_score=True)).all()


def test_dart_is_read_like_gbdt():
    booster = model(rounds=8, boosting="dart", drop_rate=0.9)
    trees = parse_lightgbm(booster.model_to_string())
    assert (margin(trees, X) == booster.predict(X, raw_score=True)).all()


@pytest.mark.parametrize(
    ("parameters", "problem"),
    [
        ({"linear_tree": True}, "linear trees"),
        ({"boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.5}, "averages its trees"),
        ({"objective": "multiclass", "num_class": 3}, "num_class=3"),
    ],
)
def test_models_of_another_kind_are_refused(parameters, problem):
    with pytest.raises(BundleError, match=problem):
        parse_lightgbm(model(**parameters).model_to_string())


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("tree\n", "forest\n", "does not begin with 'tree'"),
        ("version=v4", "version=v5", "only 'v4' is read"),
        ("num_class=1\n", "", "num_class is missing"),
        ("max_feature_idx=2", "max_feature_idx=0", "feature is not in 0..0"),
        ("max_feature_idx=2", "max_feature_idx=two", "not a 64-bit integer"),
        ("tree_sizes=", "tree_sizes=9 ", "announces 4 trees and 3 follow"),
        ("Tree=1", "Tree=2", "numbered '2'"),
        ("num_leaves=6", "num_leaves=5", "left_child has 5 values instead of 4"),
        ("num_leaves=6", "num_leaves=0", "num_leaves is 0"),
        ("num_leaves=6", f"num_leaves={10**30}", "not a 64-bit integer"),
        ("leaf_value=", "leaf_value=x", "not a number"),
        ("leaf_value=", "leaf_value=nan ", "leaf_value has 7 values"),
        ("left_child=", "left_child=9", "a child is out of bounds"),
        ("cat_boundaries=0 ", "cat_boundaries=1 ", "cat_boundaries do not fit"),
        ("num_cat=", "num_cat=1", "cat_boundaries has"),
        ("num_cat=", "num_cat=-", "num_cat is -"),
        ("is_linear=0\n", "", "is_linear is missing"),
        ("shrinkage=1\n", "shrinkage=1\nshrinkage=1\n", "'shrinkage' twice"),
        ("end of trees", "end", "ends before 'end of trees'"),
    ],
)
def test_damage_is_named(text, old, new, problem):
    assert old in text
    with pytest.raises(BundleError, match=problem):
        parse_lightgbm(text.replace(old, new, 1))


def test_a_text_cut_before_its_end_is_refused(text):
    end = text.index("end of trees") + len("end of trees")
    for stop in range(0, end, 7):
        with pytest.raises(BundleError):
            parse_lightgbm(text[:stop])


@settings(derandomize=True, deadline=None, max_examples=300)
@given(st.data())
def test_an_edited_text_is_refused_or_gives_a_finite_model(text, data):
    end = text.index("end of trees")
    edited = text
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, end))
        new = data.draw(st.text("0123456789-+.e= \nnaif_", max_size=4))
        edited = edited[:start] + new + edited[start + data.draw(st.integers(0, 6)) :]
    try:
        trees = parse_lightgbm(edited)
    except BundleError:
        return
    assert isinstance(trees, Trees)
    if trees.n_features < 1000:
        rows = np.resize(X, (20, trees.n_features))
        assert np.isfinite(margin(trees, rows)).all()
        assert np.isfinite(shap(trees, rows)[0]).all()
