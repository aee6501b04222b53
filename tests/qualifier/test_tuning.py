"""Tuning: later windows, whole accounts, one study; and the default unless something surely beats it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.qualifier import searched
from tests.qualifier.searched import ASKS, RIDGES, formula, plain

import leadlight
from leadlight import Behaviour, Catalogue, Count, LeadClassifier, LeadQualifier, PointsScorer
from leadlight.errors import InputError, LeadlightWarning
from leadlight.moments import DAY_US
from leadlight.qualifier import tune
from leadlight.qualifier.tuning.windows import Judge, Window, validation_windows

FOLDS = {"n_folds": [2, 3, 4, 5, 6]}


@pytest.fixture(scope="module", name="asking")
def _asking():
    return searched.asking()


@pytest.fixture(scope="module", name="bought")
def _bought():
    return searched.bought()


@pytest.fixture(name="fits")
def _fits(monkeypatch):
    """Replace fits by a formula, and list their parameters."""
    fits = []

    def probability(window, classifier):
        fits.append(classifier.get_params())
        return formula(window, classifier)

    monkeypatch.setattr(Window, "probability", probability)
    return fits


def test_a_setting_that_surely_loses_less_than_the_default_is_taken(asking, bought):
    # Asking may never raise this default's score, although it should.
    wrong = plain(monotone={"question_count_30d": -1})
    found = tune(wrong, asking, bought, trials=1, space={"monotone": [None]}, windows=2)
    assert found.accepted
    assert found.best.monotone is None
    assert found.gain[1] > 0
    assert found.sentence.startswith("Tuned: monotone=None gains")
    assert not hasattr(found.best, "classes_")


def test_the_default_is_kept_unchanged_where_nothing_surely_beats_it(asking, bought):
    found = tune(plain(ridge=0.1), asking, bought, trials=2, space={"ridge": [0.09, 0.11]}, windows=2)
    assert not found.accepted
    assert found.best.get_params() == LeadClassifier(ridge=0.1).get_params()
    assert found.gain[1] <= 0
    assert found.sentence.startswith("The default is kept")
    assert str(found) == found.sentence


def test_labels_of_noise_keep_the_default_and_say_so(asking):
    noise = searched.bought(share_of_asking=0.2, share_of_others=0.2)
    space = {"blend": [True, False], "ridge": (0.001, 1.0)}
    found = tune(plain(n_folds=2), asking, noise, trials=5, space=space, windows=2)
    assert not found.accepted
    assert found.best.get_params() == LeadClassifier(n_folds=2).get_params()
    assert found.sentence.startswith("The default is kept: ")
    assert found.trials["state"].isin(["complete", "repeat"]).sum() >= 2


def test_training_windows_end_before_the_window_that_judges_them(asking, bought, monkeypatch):
    gaps = []

    def spy(window, classifier):
        later = window.later.index.get_level_values("cutoff").as_unit("us").asi8
        gaps.append((later.min() - window.times.max()) / DAY_US)
        return np.full(len(window.later_y), 0.2)

    monkeypatch.setattr(Window, "probability", spy)
    tune(plain(), asking, bought, trials=1, space=FOLDS)
    assert gaps == [90.0] * 6  # cutoffs lie 30 days apart, labels reach 70
    gaps.clear()
    tune(plain(), asking, bought, trials=1, space=FOLDS, windows=2, embargo="100d")
    assert gaps == [120.0] * 4


def test_two_searches_with_one_seed_are_the_same(asking, bought, fits):
    first, second, other = (
        tune(plain(), asking, bought, trials=6, space=RIDGES, seed=seed) for seed in (1, 1, 2)
    )
    pd.testing.assert_frame_equal(first.trials, second.trials)
    assert not first.trials["ridge"].equals(other.trials["ridge"])


def test_a_resumed_study_is_the_one_that_never_stopped(asking, bought, fits, tmp_path):
    whole = tune(plain(), asking, bought, trials=14, space=RIDGES)
    needed = len(fits)
    fits.clear()
    for trials in (1, 5, 14):
        found = tune(plain(), asking, bought, trials=trials, space=RIDGES, storage=tmp_path / "tuning.db")
    assert len(fits) == needed
    pd.testing.assert_frame_equal(found.trials, whole.trials)
    assert found.sentence == whole.sentence


def test_a_study_that_is_done_fits_nothing_more(asking, bought, fits, tmp_path):
    url = f"sqlite:///{tmp_path / 'tuning.db'}"
    first = tune(plain(), asking, bought, trials=3, space=RIDGES, storage=url)
    fits.clear()
    again = tune(plain(), asking, bought, trials=3, space=RIDGES, storage=url)
    assert not fits
    assert (first.resumed, again.resumed) == (0, 4)
    pd.testing.assert_frame_equal(again.trials, first.trials)


def test_what_a_study_holds_beyond_the_trials_asked_for_is_left_aside(asking, bought, fits, tmp_path):
    tune(plain(), asking, bought, trials=6, space=RIDGES, storage=tmp_path / "tuning.db")
    few = tune(plain(), asking, bought, trials=2, space=RIDGES)
    found = tune(plain(), asking, bought, trials=2, space=RIDGES, storage=tmp_path / "tuning.db")
    pd.testing.assert_frame_equal(found.trials, few.trials)
    assert found.sentence == few.sentence
    assert len(found.attempts) == 3


def test_a_study_without_a_name_is_named_by_what_it_is_of(asking, bought, fits, tmp_path):
    options = {"trials": 1, "space": FOLDS, "storage": tmp_path / "tuning.db", "study": None}
    first = tune(plain(), asking, bought, **options)
    other = tune(plain(), asking, bought.take(np.arange(len(bought) - 1)), **options)
    again = tune(plain(), asking, bought, **options)
    assert first.study == again.study != other.study
    assert (first.resumed, other.resumed, again.resumed) == (0, 0, 2)


def test_it_tells_how_many_trials_are_done(asking, bought, fits, tmp_path):
    seen = []
    options = {"space": RIDGES, "storage": tmp_path / "tuning.db", "watch": lambda *now: seen.append(now)}
    tune(plain(), asking, bought, trials=2, **options)
    tune(plain(), asking, bought, trials=3, **options)
    assert seen == [(0, 2), (1, 2), (2, 2), (3, 3)]


def test_attempts_are_all_that_was_run_also_what_died(asking, bought, fits, tmp_path, monkeypatch):
    options = {"trials": 5, "space": RIDGES, "storage": tmp_path / "tuning.db"}
    with monkeypatch.context() as patch:
        interrupted_at(3 * 3 + 1, patch)  # in the second window of the third trial
        assert tune(plain(), asking, bought, **options).interrupted
    found = tune(plain(), asking, bought, **options)
    assert not found.interrupted
    assert [a.trial for a in found.attempts] == [0, 1, 2, 3, 3, 4, 5]
    assert found.attempts[3].state == "died"
    assert found.attempts[3].windows == 1
    kept = [a for a in found.attempts if a.state != "died"]
    assert [a.state for a in kept] == found.trials["state"].tolist()
    assert all(a.seconds >= 0 and a.started.utcoffset().total_seconds() == 0 for a in found.attempts)
    for attempt, (_, row) in zip(kept[1:], found.trials.iloc[1:].iterrows(), strict=True):
        assert attempt.params == {name: row[name] for name in RIDGES}
        assert attempt.windows == row["windows"]


def test_a_study_does_not_go_on_with_something_else(asking, bought, fits, tmp_path):
    storage = tmp_path / "tuning.db"
    tune(plain(), asking, bought, trials=1, space=FOLDS, storage=storage)
    less = bought.take(np.arange(len(bought) - 1))
    more = Catalogue([Behaviour("asks", (Count("question", window=("30d", "90d")),), reason="asked")])
    for model, rows, changed, named in [
        (plain(), less, {}, "rows"),
        (plain(more), bought, {}, "rows, features"),
        (plain(), bought, {"space": {"n_folds": [2]}}, "space"),
        (plain(), bought, {"seed": 1}, "settings"),
        (plain(n_folds=7), bought, {}, "classifier"),
    ]:
        options = {"space": FOLDS, **changed}
        with pytest.raises(InputError, match=f"begun with other {named}:"):
            tune(model, asking, rows, trials=2, storage=storage, **options)
    tune(plain(n_folds=7), asking, bought, trials=1, space=FOLDS, storage=storage, study="another")


def test_a_killed_search_goes_on_from_its_storage(asking, bought, fits, tmp_path):
    storage, died_in = tmp_path / "tuning.db", 7
    source, root = Path(leadlight.__file__).parents[1], Path(__file__).parents[2]
    child = subprocess.run(
        [sys.executable, "-m", "tests.qualifier.searched", str(storage), str(died_in)],
        cwd=root,
        env={**os.environ, "PYTHONPATH": f"{source}{os.pathsep}{root}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert child.returncode == -signal.SIGKILL, child.stderr
    resumed = tune(plain(), asking, bought, trials=12, space=RIDGES, storage=storage)
    done = len(fits)
    fits.clear()
    whole = tune(plain(), asking, bought, trials=12, space=RIDGES)
    # Two trials of three windows were done; of the third one fit was, and is made again.
    assert done == len(fits) - 6
    pd.testing.assert_frame_equal(resumed.trials.reset_index(drop=True), whole.trials.reset_index(drop=True))
    assert resumed.sentence == whole.sentence


def interrupted_at(number, monkeypatch):
    usual, count = Window.probability, iter(range(10_000))

    def probability(window, classifier):
        if next(count) == number:
            raise KeyboardInterrupt
        return usual(window, classifier)

    monkeypatch.setattr(Window, "probability", probability)


def test_ctrl_c_keeps_what_is_done(asking, bought, fits, tmp_path, monkeypatch):
    whole = tune(plain(), asking, bought, trials=5, space=RIDGES)
    with monkeypatch.context() as patch:
        interrupted_at(3 * 3 + 1, patch)  # in the second window of the third trial
        part = tune(plain(), asking, bought, trials=5, space=RIDGES, storage=tmp_path / "tuning.db")
    assert part.sentence.endswith("Interrupted after 2 of 5 trials.")
    pd.testing.assert_series_equal(part.trials["log_loss"], whole.trials["log_loss"][:3])
    rest = tune(plain(), asking, bought, trials=5, space=RIDGES, storage=tmp_path / "tuning.db")
    pd.testing.assert_frame_equal(rest.trials, whole.trials)


def test_ctrl_c_before_the_default_is_judged_stops(asking, bought, fits, monkeypatch):
    interrupted_at(1, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        tune(plain(), asking, bought, trials=5, space=RIDGES)


def test_a_setting_that_comes_again_is_not_fitted_again(asking, bought, fits):
    found = tune(plain(), asking, bought, trials=6, space={"n_folds": [2, 3]}).trials
    assert len(fits) == 3 * 3
    assert found["state"].value_counts().to_dict() == {"repeat": 4, "complete": 2, "default": 1}
    assert found.groupby("n_folds")["log_loss"].nunique().eq(1).all()


def refusing(monkeypatch, error, folds):
    """Let fits with so many folds fail."""
    usual = Window.probability

    def probability(window, classifier):
        if classifier.n_folds == folds:
            raise error
        return usual(window, classifier)

    monkeypatch.setattr(Window, "probability", probability)


def test_a_setting_that_cannot_be_fitted_is_left_out_and_not_tried_again(
    asking, bought, fits, tmp_path, monkeypatch
):
    refusing(monkeypatch, ValueError("no"), 2)
    options = {"trials": 4, "space": {"n_folds": [2, 3]}, "storage": tmp_path / "tuning.db"}
    with pytest.warns(LeadlightWarning, match=r"for it failed: n_folds=2 \(ValueError: no\)"):
        found = tune(plain(), asking, bought, **options)
    assert found.trials["state"].value_counts()[["default", "failed", "complete"]].tolist() == [1, 1, 1]
    assert "1 setting left out that could not be fitted" in found.sentence
    fits.clear()
    again = tune(plain(), asking, bought, **options)
    assert not fits
    assert again.sentence == found.sentence
    pd.testing.assert_frame_equal(again.trials, found.trials)


@pytest.mark.parametrize(("error", "folds"), [(ValueError("no"), 5), (MemoryError(), 2), (OSError(), 2)])
def test_where_the_default_or_the_machine_fails_the_search_ends_and_goes_on_later(
    asking, bought, fits, tmp_path, monkeypatch, error, folds
):
    options = {"trials": 4, "space": {"n_folds": [2, 3]}, "storage": tmp_path / "tuning.db"}
    with monkeypatch.context() as patch:
        refusing(patch, error, folds)
        with pytest.raises(type(error)):
            tune(plain(), asking, bought, **options)
    found = tune(plain(), asking, bought, **options)
    whole = tune(plain(), asking, bought, **{**options, "storage": None})
    pd.testing.assert_frame_equal(found.trials, whole.trials)


def test_what_is_worse_than_most_after_a_window_is_pruned(asking, bought, fits):
    found = tune(plain(), asking, bought, trials=14, space=RIDGES).trials
    pruned = found[found["state"] == "pruned"]
    assert len(pruned)
    assert (pruned["windows"] < 3).all()
    assert pruned["log_loss"].isna().all()
    assert len(fits) == found["windows"].sum()


def test_the_objective_is_the_mean_of_the_windows(asking, bought, fits):
    found = tune(plain(), asking, bought, trials=1, space=FOLDS)
    assert found.windows["default"].mean() == pytest.approx(found.trials["log_loss"].iloc[0])
    assert found.windows["training_rows"].is_monotonic_increasing
    assert found.windows["rows"].sum() < len(bought)


def test_no_ridge_is_proposed_where_there_is_none(asking, bought, fits):
    space = {"ridge": (0.001, 1.0), "blend": [True, False]}
    found = tune(plain(), asking, bought, trials=8, space=space).trials.iloc[1:]
    assert found["ridge"].isna().eq(found["blend"] == False).all()  # noqa: E712 - a column


def test_the_interval_of_the_best_is_wider_the_more_were_tried(asking, bought):
    judge = Judge(validation_windows(plain(), asking, bought, 3, None), 500, 0)
    draws = np.random.default_rng(0).normal(size=(21, 501))
    draws[0] = 0.0
    draws[:, 0] = 0.0
    alone, many = judge.gains(draws[:2])[1], judge.gains(draws)[1]
    assert alone[0] == many[0] == 0.0
    # The largest of twenty independent normal deviates stays below 3.02 in 95 % of draws.
    assert many[2] == pytest.approx(alone[2] * 3.02 / 1.96, rel=0.1)


def test_accounts_are_redrawn_whole(asking, bought):
    windows = validation_windows(plain(), asking, bought, 3, None)
    judge = Judge(windows, 200, 0)
    assert judge.losses([np.full(len(w.later_y), 0.5) for w in windows]).shape == (3, 201)
    member = windows[0].later_groups == windows[0].later_groups[0]
    one_member = [np.where(w.later_groups == windows[0].later_groups[0], 0.9, 0.5) for w in windows]
    loss = judge.losses(one_member)[0]
    assert member.sum() > 1
    # Nothing but one member's rows differs, so it is drawn 0, 1, 2... times as a whole and few values occur.
    assert len(np.unique(loss.round(9))) < 10


def test_rows_weigh_as_the_qualifier_says(community, observations, catalogue):
    for selection, lightest in (("none", 0.2), ("discount", 0.1)):
        windows = validation_windows(
            LeadQualifier(catalogue, selection=selection), community, observations, 3, None
        )
        light = min(w.weight[w.y == 0].min() for w in windows)
        assert (light <= lightest) == (selection == "discount")


def test_windows_with_too_few_won_accounts_are_left_out_and_counted(community, observations, catalogue, fits):
    found = tune(LeadQualifier(catalogue), community, observations, trials=1, space=FOLDS)
    assert (found.windows["training_won"] >= 5).all()
    assert len(found.windows) == 2
    assert "2 of 3 later windows" in found.sentence
    assert "fewer than 20 won accounts" in found.sentence


def test_directions_of_behaviours_reach_the_fits(asking, bought, monkeypatch):
    seen = []
    usual = LeadClassifier.fit
    monkeypatch.setattr(
        LeadClassifier, "fit", lambda self, *a, **k: (seen.append(self.monotone), usual(self, *a, **k))[1]
    )
    model = LeadQualifier(ASKS, monotone={"asks": 1})
    found = tune(model, asking, bought, trials=1, space={"ridge": [0.1]}, windows=1)
    assert seen == [{"question_count_30d": 1}] * 2
    assert found.best.monotone is None


def test_a_classifier_alone_is_tuned_on_the_usual_catalogue(asking, bought, fits):
    assert tune(LeadClassifier(n_folds=4), asking, bought, trials=1, space=FOLDS).best.n_folds == 4
    assert fits[0]["n_folds"] == 4


def test_without_optuna_the_error_names_the_extra(asking, bought, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(InputError, match=r"pip install leadlight\[tune\]"):
        tune(plain(), asking, bought)


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"space": {}}, "space is empty"),
        ({"space": {"rigde": [0.1]}}, "did you mean 'ridge'"),
        ({"space": {"ridge": (0.0, 1.0)}}, "0 < low < high"),
        ({"space": {"ridge": 0.1}}, "list of choices"),
        ({"trials": 0}, "trials"),
        ({"rounds": 5}, "rounds"),
        ({"windows": 12}, "Give fewer windows"),
        ({"embargo": "300d"}, "Give fewer windows"),
        ({"embargo": "69d"}, "gap and horizon together, 70 days"),
        ({"storage": "no/such/folder/tuning.db"}, "cannot be opened"),
    ],
)
def test_what_cannot_be_tuned_is_an_error(asking, bought, options, what):
    with pytest.raises(InputError, match=what):
        tune(plain(), asking, bought, **options)


def test_another_classifier_is_sent_to_grid_search(asking, bought):
    with pytest.raises(InputError, match="GridSearchCV"):
        tune(PointsScorer(), asking, bought)


def test_rows_without_a_deal_are_an_error(asking, bought):
    none = bought.take(bought.label.to_numpy() == 0)
    with pytest.raises(InputError, match="won accounts to train on"):
        tune(plain(), asking, none)


def test_optuna_speaks_again_afterwards(asking, bought, fits):
    import optuna

    before = optuna.logging.get_verbosity()
    tune(plain(), asking, bought, trials=1, space=FOLDS)
    assert optuna.logging.get_verbosity() == before
