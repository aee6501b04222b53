"""LeadClassifier: learns, delegates, refuses what it should."""

from __future__ import annotations

import hashlib
import pickle
import subprocess
import sys
import warnings

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.base import clone
from sklearn.metrics import log_loss, roc_auc_score

from leadlight.errors import ColumnTypeError, InputError, LeadlightWarning, NotFittedError, SchemaError
from leadlight.estimators import LeadClassifier, folds
from leadlight.estimators import rows as rows_module

DATA = """
import numpy as np, pandas as pd
def data(n=1200, seed=0):
    rng = np.random.default_rng(seed)
    X = pd.DataFrame(rng.exponential(3, (n, 6)).round(1), columns=list("abcdef"))
    X = X.mask(rng.random(X.shape) < 0.1)
    groups = rng.integers(0, n // 4, n)
    log_odds = 1.2 * np.log1p(X["a"].fillna(0)) - 0.8 * np.log1p(X["b"].fillna(0)) - 1.5 + rng.normal(size=n // 4)[groups]
    y = (rng.random(n) < 1 / (1 + np.exp(-log_odds))).astype(int).to_numpy()
    return X, y, groups
"""
exec(DATA)


@pytest.fixture(scope="module", name="rows")
def _rows():
    return data()  # noqa: F821 - see DATA


@pytest.fixture(scope="module")
def fitted(rows):
    X, y, groups = rows
    return LeadClassifier().fit(X, y, groups=groups)


def test_it_learns(fitted):
    X, y, _ = data(seed=9)  # noqa: F821
    p = fitted.predict_proba(X)[:, 1]
    assert roc_auc_score(y, p) > 0.7
    assert log_loss(y, p) < log_loss(y, np.full(len(y), y.mean())) - 0.03


def test_probabilities_are_those_of_the_serving_model_bit_for_bit(fitted, rows):
    X = rows[0]
    served = fitted.model_.probability(X.to_numpy())
    assert np.array_equal(fitted.predict_proba(X)[:, 1], served)
    assert np.array_equal(fitted.predict_proba(X).sum(axis=1), np.ones(len(X)))


def test_the_trees_are_the_boosters_bit_for_bit(fitted, rows):
    from leadlight.kernels.trees import margin

    X = rows[0].to_numpy()
    assert np.array_equal(margin(fitted.model_.trees, X), fitted.booster_.predict(X, raw_score=True))
    assert fitted.booster_.feature_name() == [f"f{j}" for j in range(6)]


def test_a_pickled_classifier_has_its_booster_and_a_clone_has_none(fitted, rows):
    copy = pickle.loads(pickle.dumps(fitted))
    assert copy.booster_.model_to_string() == fitted.booster_.model_to_string()
    assert np.array_equal(copy.predict_proba(rows[0]), fitted.predict_proba(rows[0]))
    with pytest.raises(NotFittedError):
        clone(fitted).booster_  # noqa: B018


def test_a_second_fit_has_another_booster(rows):
    X, y = rows[0][:200], rows[1][:200]
    model = LeadClassifier().fit(X, y)
    first = model.booster_
    model.fit(X.iloc[:, :3], y)
    assert (first.num_feature(), model.booster_.num_feature()) == (6, 3)


def test_without_blend_there_is_no_linear_part(rows):
    X, y, groups = rows
    model = LeadClassifier(blend=False).fit(X, y, groups=groups)
    line = model.calibration_
    expected = line.slope * model.booster_.predict(X.to_numpy(), raw_score=True) + line.intercept
    assert model.blend_weight_ == 0.0
    assert model.model_.linear is None
    assert model.decision_function(X) == pytest.approx(expected, abs=1e-12)


def test_without_calibration_the_log_odds_are_the_margin(rows):
    X, y, groups = rows
    for blend in (True, False):
        model = LeadClassifier(calibration=None, blend=blend).fit(X, y, groups=groups)
        assert np.array_equal(model.decision_function(X), model.model_.margin(X.to_numpy()))
        assert np.isfinite(model.oof_log_odds_).all()


def test_calibration_improves_trees_that_are_too_timid(rows):
    X, y, groups = rows
    late, truth, _ = data(seed=5)  # noqa: F821
    loss = {}
    for calibration in (None, "sigmoid"):
        model = LeadClassifier(calibration=calibration).fit(
            X, y, sample_weight=np.where(y, 1.0, 0.1), groups=groups
        )
        loss[calibration] = log_loss(truth, model.predict_proba(late)[:, 1])
    assert loss["sigmoid"] < loss[None] - 0.05


def test_out_of_fold_scores_are_calibrated_in_the_mean(fitted, rows):
    p = 1 / (1 + np.exp(-fitted.oof_log_odds_))
    assert p.mean() == pytest.approx(rows[1].mean(), abs=1e-6)


def test_out_of_fold_scores_do_not_know_their_row(rows):
    X, _, groups = rows
    y = (np.random.default_rng(0).random(groups.max() + 1) < 0.2)[groups].astype(int)
    model = LeadClassifier().fit(X, y, groups=groups)
    assert abs(roc_auc_score(y, model.oof_log_odds_) - 0.5) < 0.08


def test_no_group_stands_on_both_sides_of_a_fold(rows, monkeypatch):
    X, y, groups = rows
    seen = []
    fold = folds._fold

    def spy(data, train, test, *rest):
        seen.append((set(data.groups[train]), set(data.groups[test]), len(test)))
        return fold(data, train, test, *rest)

    monkeypatch.setattr(folds, "_fold", spy)
    LeadClassifier().fit(X, y, groups=np.array([f"account {g}" for g in groups], object))
    assert len(seen) == 5
    assert all(not train & test for train, test, _ in seen)
    assert sum(count for _, _, count in seen) == len(y)


def test_groups_and_times_come_from_the_index(rows):
    X, y, groups = rows
    days = pd.date_range("2024-01-01", periods=6, tz="UTC")[np.arange(len(y)) % 6]
    indexed = X.set_index(pd.MultiIndex.from_arrays([groups, days], names=["member_id", "cutoff"]))
    explicit = LeadClassifier().fit(X, y, groups=groups, times=days.asi8)
    assert np.array_equal(
        LeadClassifier().fit(indexed, y).decision_function(X), explicit.decision_function(X)
    )


def test_below_twenty_positive_groups_it_warns_and_keeps_the_slope(rows):
    X, _, _ = rows
    y = np.arange(len(X)) < 30
    with pytest.warns(LeadlightWarning, match="Only 15 accounts") as caught:
        model = LeadClassifier().fit(X, y, groups=np.arange(len(X)) // 2)
    assert caught[0].filename == __file__
    assert model.calibration_.slope == 1.0
    low, high = model.model_.interval(X.to_numpy())
    assert (low < high).all()


def test_one_positive_group_warns_and_still_fits(rows):
    X, _, _ = rows
    y = np.arange(len(X)) < 5
    with pytest.warns(LeadlightWarning, match="Only 1 account"):
        model = LeadClassifier().fit(X, y, groups=np.where(y, 0, np.arange(len(X))))
    assert np.isnan(model.oof_log_odds_).all()
    assert np.isnan(model.model_.interval(X.to_numpy())[0]).all()


def test_one_class_is_an_error_with_the_count(rows):
    X, y, _ = rows
    with pytest.raises(InputError, match=r"1 class: 1200 labels, all 0"):
        LeadClassifier().fit(X, y * 0)


@pytest.mark.parametrize(
    "recode",
    [
        lambda y: np.where(y, "won", "lost"),
        lambda y: y.astype(bool),
        lambda y: y * 2 - 1,
        lambda y: pd.Series(y).astype("boolean"),
        lambda y: pd.Series(np.where(y, "yes", "no")).astype("category"),
        pl.Series,
        pa.array,
        lambda y: y.tolist(),
    ],
    ids=["text", "bool", "signs", "boolean", "category", "polars", "arrow", "list"],
)
def test_labels_of_any_kind_teach_the_same(fitted, rows, recode):
    X, y, groups = rows
    labels = recode(y)
    model = LeadClassifier().fit(X, labels, groups=groups)
    assert np.array_equal(model.predict_proba(X), fitted.predict_proba(X))
    assert model.predict(X)[0] in (labels[0], labels[1], "won", "lost", "yes", "no", True, False, 0, 1, -1)
    assert list(model.classes_) == sorted(set(np.asarray(labels, object).tolist()))


def test_rows_without_a_label_are_dropped_and_counted(rows):
    X, y, groups = rows
    unknown = np.arange(len(y)) % 7 == 0
    labels = pd.Series(y).astype("Int8").mask(unknown)
    model = LeadClassifier().fit(X, labels, groups=groups)
    alone = LeadClassifier().fit(X[~unknown], y[~unknown], groups=groups[~unknown])
    assert model.n_unlabelled_ == unknown.sum()
    assert np.array_equal(model.predict_proba(X), alone.predict_proba(X))
    assert np.array_equal(np.isnan(model.oof_log_odds_), unknown)


@pytest.mark.parametrize(
    ("weight", "what"),
    [(-1.0, "not negative"), (np.nan, "finite"), (np.inf, "finite"), (0.0, "all zero")],
)
def test_bad_weights_are_errors(rows, weight, what):
    X, y, _ = rows
    bad = np.full(len(y), weight) if weight == 0 else np.r_[weight, np.ones(len(y) - 1)]
    with pytest.raises(InputError, match=what):
        LeadClassifier().fit(X, y, sample_weight=bad)


def test_weights_that_leave_one_class_are_an_error(rows):
    X, y, _ = rows
    with pytest.raises(InputError, match="one class only"):
        LeadClassifier().fit(X, y, sample_weight=(y == 0).astype(float))


def test_rows_of_no_weight_do_not_touch_the_trees(rows):
    X, y, groups = rows
    weight = np.where((np.arange(len(y)) % 4 > 0) & (y == 0), 0.0, 1.0)
    used = weight > 0
    with_them = LeadClassifier().fit(X, y, sample_weight=weight, groups=groups)
    without = LeadClassifier().fit(X[used], y[used], groups=groups[used])
    assert with_them.settings_ == without.settings_
    assert with_them.booster_.model_to_string() == without.booster_.model_to_string()


@pytest.mark.parametrize("name", ["groups", "times", "calibrate_on"])
def test_arguments_by_row_must_have_one_entry_a_row(rows, name):
    X, y, _ = rows
    with pytest.raises(InputError, match=f"{name} has shape"):
        LeadClassifier().fit(X, y, **{name: np.ones(3)})


def test_infinities_are_refused_or_missing(rows):
    X, y, groups = rows
    wild = X.mask(X["a"] > 9, np.inf)
    with pytest.raises(InputError, match="infinite"):
        LeadClassifier().fit(wild, y)
    lenient = LeadClassifier(infinite="missing").fit(wild, y, groups=groups)
    plain = LeadClassifier().fit(wild.replace(np.inf, np.nan), y, groups=groups)
    assert np.array_equal(lenient.predict_proba(wild), plain.predict_proba(wild.replace(np.inf, np.nan)))


def test_columns_are_found_by_name_in_any_library(fitted, rows):
    X = rows[0]
    turned = X[list("fedcba")]
    expected = fitted.predict_proba(X)
    for table in (turned, pl.from_pandas(turned), pa.Table.from_pandas(turned), turned.to_dict("list")):
        assert np.array_equal(fitted.predict_proba(table), expected)
    assert np.array_equal(fitted.predict_proba(X.to_numpy()), expected)


def test_polars_and_arrow_frames_teach_the_same(fitted, rows):
    X, y, groups = rows
    for table in (pl.from_pandas(X), pa.Table.from_pandas(X)):
        model = LeadClassifier().fit(table, y, groups=groups)
        assert model.columns_ == tuple("abcdef")
        assert np.array_equal(model.predict_proba(table), fitted.predict_proba(X))


def test_a_missing_column_is_named_with_the_nearest(fitted, rows):
    with pytest.raises(SchemaError, match="'a'"):
        fitted.predict_proba(rows[0].drop(columns="a"))


def test_an_extra_column_gives_one_warning(fitted, rows):
    X = rows[0]
    with pytest.warns(LeadlightWarning, match="extra") as caught:
        found = fitted.predict_proba(X.assign(extra=1.0))
    assert len(caught) == 1
    assert np.array_equal(found, fitted.predict_proba(X))


def test_columns_of_one_name_are_an_error(rows):
    X, y, _ = rows
    with pytest.raises(SchemaError, match="'a'"):
        LeadClassifier().fit(X.rename(columns={"b": "a"}), y)


@pytest.mark.parametrize("column", [pd.Timestamp("2024-01-01"), pd.Timedelta("1D")], ids=["time", "span"])
def test_columns_that_are_no_numbers_are_named(rows, column):
    X, y, _ = rows
    with pytest.raises(ColumnTypeError, match="'odd'"):
        LeadClassifier().fit(X.assign(odd=column), y)


def test_a_column_called_columns_is_a_column(rows):
    X, y, groups = rows
    renamed = X.rename(columns={"a": "columns", "b": "column_names"})
    model = LeadClassifier().fit(renamed, y, groups=groups)
    assert model.columns_[:2] == ("columns", "column_names")


def test_errors_of_arrays_are_of_the_family(fitted, rows):
    X, y, _ = rows
    with pytest.raises(InputError, match="1D array"):
        LeadClassifier().fit(X["a"].to_numpy(), y)
    with pytest.raises(InputError, match="expecting 6 features"):
        fitted.predict_proba(X.to_numpy()[:, :4])


def test_no_rows_and_one_row_work(fitted, rows):
    X = rows[0]
    assert fitted.predict_proba(X.iloc[:0]).shape == (0, 2)
    assert fitted.predict(X.iloc[:0]).shape == (0,)
    assert np.array_equal(fitted.predict_proba(X.iloc[[3]]), fitted.predict_proba(X)[[3]])


def test_before_fit_both_families_of_errors_fit(rows):
    import sklearn.exceptions

    for kind in (NotFittedError, sklearn.exceptions.NotFittedError):
        with pytest.raises(kind):
            LeadClassifier().predict(rows[0])


def test_a_second_fit_forgets_the_names_of_the_first(rows):
    X, y, _ = rows
    model = LeadClassifier().fit(X, y).fit(X.to_numpy(), y)
    assert not hasattr(model, "feature_names_in_")


def test_thinning_keeps_the_base_rate(rows, monkeypatch):
    X, y, groups = rows
    monkeypatch.setattr(rows_module, "ENOUGH_NEGATIVES", 150)
    monkeypatch.setattr(rows_module, "NEGATIVES_A_POSITIVE", 0)
    model = LeadClassifier(calibration=None).fit(X, y, groups=groups)
    assert model.predict_proba(X)[:, 1].mean() == pytest.approx(y.mean(), abs=0.03)


def test_clone_pickle_and_joblib_keep_it(fitted, rows, tmp_path):
    X = rows[0]
    joblib.dump(fitted, tmp_path / "model")
    for copy in (pickle.loads(pickle.dumps(fitted)), joblib.load(tmp_path / "model")):
        assert np.array_equal(copy.predict_proba(X), fitted.predict_proba(X))
    assert not hasattr(clone(fitted), "model_")


def test_parameters_are_read_and_set():
    model = LeadClassifier(ridge=0.5).set_params(n_folds=3, blend=False)
    assert model.get_params() == {**LeadClassifier().get_params(), "ridge": 0.5, "n_folds": 3, "blend": False}
    assert clone(model).get_params() == model.get_params()


@pytest.mark.parametrize("wrong", [{"calibration": "isotonic"}, {"n_folds": 1}, {"infinite": "drop"}])
def test_wrong_parameters_are_errors(rows, wrong):
    X, y, _ = rows
    with pytest.raises(InputError, match=next(iter(wrong))):
        LeadClassifier(**wrong).fit(X, y)


def test_two_jobs_give_what_one_gives(fitted, rows):
    X, y, groups = rows
    assert np.array_equal(
        LeadClassifier(n_jobs=2).fit(X, y, groups=groups).oof_log_odds_, fitted.oof_log_odds_
    )


def test_a_fresh_process_gives_the_same_bytes(fitted, rows):
    code = DATA + (
        "import hashlib, leadlight as ll\nX, y, groups = data()\n"
        "m = ll.LeadClassifier().fit(X, y, groups=groups)\n"
        "print(hashlib.sha256(m.booster_.model_to_string().encode() + m.predict_proba(X).tobytes()).hexdigest())"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    here = fitted.booster_.model_to_string().encode() + fitted.predict_proba(rows[0]).tobytes()
    assert run.stdout.strip() == hashlib.sha256(here).hexdigest()


def test_calibration_reads_only_the_rows_it_is_told_to(rows):
    X, y, groups = rows
    asked = np.arange(len(y)) % 2 == 0
    flipped = np.where(asked, y, 0)
    model = LeadClassifier().fit(X, flipped, groups=groups, calibrate_on=asked)
    p = 1 / (1 + np.exp(-model.oof_log_odds_))
    assert p[asked].mean() == pytest.approx(flipped[asked].mean(), abs=1e-6)


def test_a_row_of_weight_three_counts_in_calibration_as_three(rows):
    X, y, groups = rows
    weight = np.where(np.arange(len(y)) % 2 == 0, 3.0, 1.0)
    model = LeadClassifier().fit(X, y, groups=groups, calibrate_on=weight)
    p = 1 / (1 + np.exp(-model.oof_log_odds_))
    assert np.average(p, weights=weight) == pytest.approx(np.average(y, weights=weight), abs=1e-6)
    assert p.mean() != pytest.approx(y.mean(), abs=1e-4)


def test_calibration_weights_matter_by_their_ratios_alone(rows):
    X, y, groups = rows
    asked = np.arange(len(y)) % 2 == 0
    flags = LeadClassifier().fit(X, y, groups=groups, calibrate_on=asked).calibration_
    found = LeadClassifier().fit(X, y, groups=groups, calibrate_on=asked * 8.0).calibration_
    assert (found.slope, found.intercept) == (flags.slope, flags.intercept)
    np.testing.assert_allclose(found.covariance, flags.covariance)


@pytest.mark.parametrize("wrong", [-1.0, np.nan, np.inf])
def test_a_calibration_weight_is_finite_and_not_negative(rows, wrong):
    X, y, _ = rows
    with pytest.raises(InputError, match="calibrate_on must be finite"):
        LeadClassifier().fit(X, y, calibrate_on=np.where(np.arange(len(y)) == 3, wrong, 1.0))


def test_calibrate_on_holds_no_text(rows):
    X, y, _ = rows
    with pytest.raises(InputError, match="calibrate_on holds"):
        LeadClassifier().fit(X, y, calibrate_on=np.full(len(y), "yes"))


def test_only_text_or_few_rows_bring_stumps(rows):
    X, y, _ = rows
    few = LeadClassifier().fit(X[:300], y[:300])
    rng = np.random.default_rng(0)
    many = rng.normal(size=(2_100, 2))
    label = (many[:, 0] + rng.normal(size=2_100) > 1.5).astype(float)
    text = {"a": many[:, 0], "b": np.where(many[:, 1] > 0, "up", "down")}
    numbers = LeadClassifier().fit(many, label)
    assert list(few.settings_["rounds"]) == ["plain", "extra", "stumps"]
    assert list(numbers.settings_["rounds"]) == ["plain", "extra"]
    assert numbers.weights_[2] == 0
    assert list(LeadClassifier().fit(pd.DataFrame(text), label).settings_["rounds"])[2:] == ["stumps"]


def test_fitting_is_quiet(rows):
    X, y, groups = rows
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        LeadClassifier().fit(X, y, groups=groups)


def test_a_few_positives_to_calibrate_on_warn_though_there_are_more(rows):
    X, y, groups = rows
    asked = (y == 0) | (np.cumsum(y) <= 10)
    with pytest.warns(
        LeadlightWarning, match=r"of the \d+ positive accounts or members may be calibrated on"
    ):
        model = LeadClassifier().fit(X, y, groups=groups, calibrate_on=asked)
    assert model.calibration_.slope == 1.0
