"""Raw tables: what is a category, what trees and ridge read of it, and that no label reaches its own row."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.metrics import roc_auc_score

import leadlight as ll
from leadlight.errors import ColumnTypeError, InputError, LeadlightWarning, SchemaError
from leadlight.estimators import LeadClassifier
from leadlight.estimators.encoder import SMOOTHING, Encoder, TrainingRows, learn_levels, ordered_statistics
from leadlight.estimators.inputs import matrix


def leads(n=600, seed=0):
    """Leads whose source and age carry the signal; the id and the constant carry nothing."""
    rng = np.random.default_rng(seed)
    source = rng.choice(
        ["web", "fair", "mail", "phone", "friend", "ad"], n, p=[0.3, 0.25, 0.2, 0.1, 0.1, 0.05]
    )
    effect = dict(
        zip(["web", "fair", "mail", "phone", "friend", "ad"], [-1.5, -0.5, 0, 0.5, 1.5, 1], strict=True)
    )
    age = rng.exponential(3, n).round(1)
    log_odds = np.array([effect[s] for s in source]) + np.log1p(age) - 1.5
    X = pd.DataFrame(
        {
            "source": pd.Series(source).mask(rng.random(n) < 0.1),
            "age": age,
            "lead_id": [f"id-{i}" for i in rng.permutation(n)],
            "optin": rng.random(n) < 0.5,
            "country": "FR",
        }
    )
    return X, (rng.random(n) < 1 / (1 + np.exp(-log_odds))).astype(int)


@pytest.fixture(scope="module", name="raw")
def _raw():
    return leads()


@pytest.fixture(scope="module", name="fitted")
def _fitted(raw):
    return LeadClassifier().fit(*raw)


def test_a_raw_frame_is_learned_in_two_lines(fitted):
    X, y = leads(seed=7)
    p = fitted.predict_proba(X)[:, 1]
    assert roc_auc_score(y, p) > 0.72


def test_text_is_a_category_and_numbers_and_flags_are_not(fitted):
    assert [levels is not None for levels in fitted.levels_] == [True, False, True, False, True]
    assert fitted.levels_[0][0] == "web"
    assert fitted.levels_[2] == ()


def test_numbers_as_text_are_text_and_declared_categories_are_categories():
    frame = pd.DataFrame({"a": ["1", "2", "1", "2"], "b": [1, 2, 1, 2]}).astype({"b": "category"})
    assert learn_levels(frame) == (("1", "2"), ("1", "2"))


def test_levels_do_not_depend_on_the_order_of_rows(raw):
    X = raw[0]
    assert learn_levels(X) == learn_levels(X.sample(frac=1, random_state=1))


def test_a_row_sees_the_labels_of_earlier_groups_only():
    codes, order = np.zeros(4, np.int64), np.array([2, 0, 1, 1])
    y, one = np.array([1.0, 0.0, 1.0, 0.0]), np.ones(4)
    shrunk = (np.array([1.0, 0.0, 0.0, 0.0]) + SMOOTHING * 0.5) / (np.array([3.0, 0.0, 1.0, 1.0]) + SMOOTHING)
    found = next(ordered_statistics([codes], y, one, order))
    np.testing.assert_allclose(found, np.log(shrunk / (1 - shrunk)), atol=1e-12)


def test_statistics_are_those_of_counting_row_by_row():
    rng = np.random.default_rng(1)
    columns = [rng.integers(0, size, 150).astype(np.uint16) for size in (3, 40, 300)]
    y, weight = (rng.random(150) < 0.3).astype(float), rng.uniform(0.1, 3, 150)
    order = rng.permutation(60)[rng.integers(0, 60, 150)]
    base = np.average(y, weights=weight)
    for codes, found in zip(columns, ordered_statistics(columns, y, weight, order), strict=True):
        for i in range(150):
            earlier = (codes == codes[i]) & (order < order[i])
            won, rows = (weight * y)[earlier].sum(), weight[earlier].sum()
            p = (won + SMOOTHING * base) / (rows + SMOOTHING)
            assert found[i] == pytest.approx(np.log(p / (1 - p)) - np.log(base / (1 - base)), abs=1e-9)


def test_bags_differ_in_their_statistics_alone(raw):
    X, y = raw
    levels = learn_levels(X)
    values = matrix(X, tuple(X), "error", levels, quiet=True)
    encoder = Encoder(levels, values)
    one, groups = np.ones(len(y)), np.arange(len(y))
    served = encoder.encoding(values, y.astype(float), one).encode(values)[:, encoder.tree_columns]
    rows = TrainingRows(encoder, values, served, y.astype(float), one, groups)
    first, second = rows.rows(1), rows.rows(2)
    assert np.array_equal(first, rows.rows(1))
    differs = [not np.array_equal(*pair, equal_nan=True) for pair in zip(first.T, second.T, strict=True)]
    assert np.flatnonzero(differs).tolist() == encoder.statistics.tolist() == [0]
    others = np.delete(np.arange(first.shape[1]), encoder.statistics)
    assert np.array_equal(first[:, others], served[:, others], equal_nan=True)


def test_no_label_reaches_its_own_row_or_group():
    rng = np.random.default_rng(3)
    codes, groups = rng.integers(0, 5, 200), rng.integers(0, 60, 200)
    order = rng.permutation(60)[groups]
    y, one = (rng.random(200) < 0.4).astype(float), np.ones(200)
    before = next(ordered_statistics([codes], y, one, order))
    lost, won = next(
        (i, j)
        for i in range(200)
        for j in range(200)
        if groups[i] == groups[j] and y[i] < y[j] and codes[i] == codes[j] - 1
    )
    # Two labels of one group are exchanged, so that the base rate stays.
    swapped = y.copy()
    swapped[[lost, won]] = 1.0, 0.0
    group = groups == groups[lost]
    after = next(ordered_statistics([codes], swapped, one, order))
    assert np.array_equal(before[group], after[group])
    assert not np.array_equal(before, after)


def test_values_without_signal_do_not_learn_their_rows():
    rng = np.random.default_rng(0)
    X = pd.DataFrame({f"c{j}": rng.integers(0, 150, 600).astype(str) for j in range(4)})
    y = (rng.random(600) < 0.3).astype(int)
    late = pd.DataFrame({f"c{j}": rng.integers(0, 150, 600).astype(str) for j in range(4)})
    model = LeadClassifier().fit(X, y)
    assert abs(roc_auc_score(y, model.oof_log_odds_) - 0.5) < 0.08
    with pytest.warns(LeadlightWarning, match="unseen or rare in training, in 'c0', 'c1'"):
        spread = model.decision_function(late).std()
    assert spread < 0.35


def test_an_identifier_does_not_hurt(raw):
    X, y = raw
    late, truth = leads(2000, seed=5)
    auc = {}
    for name, columns in {"with": list(X), "without": [c for c in X if c != "lead_id"]}.items():
        model = LeadClassifier().fit(X[columns], y)
        auc[name] = roc_auc_score(truth, model.predict_proba(late[columns])[:, 1])
    assert auc["with"] > auc["without"] - 0.005


def test_missing_is_a_value_of_its_own():
    rng = np.random.default_rng(0)
    gap = rng.random(400) < 0.3
    X = pd.DataFrame({"source": np.where(gap, None, rng.choice(list("abcdef"), 400))})
    model = LeadClassifier().fit(X, gap.astype(int))
    p = model.predict_proba(pd.DataFrame({"source": [None, "a", np.nan]}))[:, 1]
    assert p[0] == p[2]
    assert p[0] > 0.8
    assert p[1] < 0.2


def test_explanations_are_by_raw_column_and_exact(fitted, raw):
    X = fitted._matrix(raw[0])
    values, base = fitted.model_.contributions(X)
    assert values.shape == raw[0].shape
    np.testing.assert_allclose(base + values.sum(axis=1), fitted.model_.log_odds(X), rtol=0, atol=1e-10)
    assert not values[:, 4].any()
    assert np.abs(values[:, 0]).mean() > 0.2


def test_a_loaded_bundle_scores_raw_rows_bit_for_bit(fitted, tmp_path):
    X, _ = leads(seed=3)
    fitted.save(tmp_path / "model")
    served = ll.load(tmp_path / "model").predict_proba(X[["age", "country", "source", "optin", "lead_id"]])
    assert np.array_equal(served, fitted.predict_proba(X))


def test_frames_of_other_libraries_and_categories_teach_the_same(fitted, raw):
    X, y = raw
    arrow = pa.table({c: pa.array(X[c], from_pandas=True) for c in X})
    for table in (pl.from_arrow(arrow), arrow, X.astype({"source": "category", "country": "category"})):
        model = LeadClassifier().fit(table, y)
        assert model.levels_ == fitted.levels_
        assert np.array_equal(model.oof_log_odds_, fitted.oof_log_odds_)


def test_an_array_of_objects_may_hold_text(raw):
    X, y = raw
    values = X[["source", "age"]].to_numpy(object)
    model = LeadClassifier().fit(values, y)
    assert model.levels_[0] is not None
    assert model.predict_proba(values).shape == (600, 2)


def test_the_booster_reads_tree_features(fitted, raw):
    from leadlight.kernels.trees import margin

    rows = fitted.tree_features(raw[0])
    encoded = fitted.model_.encoding.encode(fitted._matrix(raw[0]))
    assert np.array_equal(fitted.booster_.predict(rows, raw_score=True), margin(fitted.model_.trees, encoded))


@pytest.mark.parametrize(
    "column",
    [pd.to_datetime(["2024-01-01"]).repeat(600), [[1]] * 600, [{"a": 1}] * 600],
    ids=["time", "list", "dict"],
)
def test_times_and_nested_columns_are_named(raw, column):
    with pytest.raises(ColumnTypeError, match="'odd'"):
        LeadClassifier().fit(raw[0].assign(odd=column), raw[1])


def test_a_column_of_one_value_is_read_by_nobody(raw):
    X, y = raw
    model = LeadClassifier().fit(X[["country"]], y)
    assert np.ptp(model.predict_proba(X[["country"]])[:, 1]) == 0


def test_indicators_are_for_few_or_frequent_values():
    codes = np.repeat(np.arange(30), 10).astype(float)
    codes[:100] = 0
    encoder = Encoder((tuple(map(str, range(30))), ("a", "b")), np.column_stack([codes, np.arange(300) % 2]))
    kinds = [part.kind for part in encoder._parts]
    assert kinds.count("statistic") == 1
    # The one frequent value of the first column, and one of the two values of the second.
    assert encoder.tree_columns.tolist() == [0, 1, len(kinds) - 1]


def test_monotone_columns_rise(raw):
    X, y = raw
    late = pd.DataFrame({**{c: [X[c].iloc[0]] * 50 for c in X}, "age": np.linspace(0, 30, 50)})
    falling = LeadClassifier(monotone={"age": -1}).fit(X, y)
    rising = LeadClassifier(monotone={"age": 1}).fit(X, y)
    down, up = falling.decision_function(late), rising.decision_function(late)
    assert (np.diff(down) <= 1e-12).all()
    assert (np.diff(up) >= -1e-12).all()
    assert up[-1] > up[0]


@pytest.mark.parametrize(
    ("monotone", "error", "what"),
    [
        ({"agee": 1}, SchemaError, "did you mean 'age'"),
        ({"age": 2}, InputError, "is 2"),
        ({"source": 1}, InputError, "categories"),
    ],
)
def test_wrong_directions_are_errors(raw, monotone, error, what):
    with pytest.raises(error, match=what):
        LeadClassifier(monotone=monotone).fit(*raw)
