"""A job that tunes: on the earlier rows alone, resumed where it stopped, each trial a child run, and the default unless beaten."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient
from tests.tracking.small import job, made_up

import leadlight as ll
from leadlight.errors import InputError, LeadlightWarning
from leadlight.evaluation import earlier_and_later
from leadlight.qualifier.tuning.windows import Window
from leadlight.tracking import TrainConfig, sending, sync, train
from leadlight.tracking.inputs import qualifier_of, rows_of
from leadlight.tracking.pending import find, read
from leadlight.tracking.sending import Sender
from leadlight.tracking.training import TrainedRun
from leadlight.tracking.trials import trial_runs
from leadlight.tracking.tuning import tuned_on_earlier

NOBODY = "http://127.0.0.1:9"
SMALL_SEARCH: dict[str, Any] = {
    "evaluation.enabled": False,
    "labels.until": "2025-06-01",
    "model.n_folds": 2,
    "model.blend": False,
    "tuning.enabled": True,
    "tuning.trials": 4,
    "tuning.windows": 1,
    "tuning.rounds": 100,
    "tuning.space": {"n_folds": [3, 4]},
}
"""Two folds by default; by `formula` three are better, and four are worse."""

UNTUNED = {"tuning.enabled": False, "tuning.space": {}}
AWAY = {2: 0.5, 3: 0.0, 4: 0.9}


def formula(window: Window, classifier: ll.LeadClassifier) -> np.ndarray:
    """Give a probability without a fit: what is known of the answer, less of it for worse settings."""
    sure = 3.0 * (1.0 - AWAY[classifier.n_folds])
    return 1 / (1 + np.exp(2 - sure * (2 * window.later_y - 1)))


def dying(at: int):
    """Return `formula`, which Ctrl-C ends at one fit."""
    fits = iter(range(1000))

    def probability(window: Window, classifier: ll.LeadClassifier) -> np.ndarray:
        if next(fits) == at:
            raise KeyboardInterrupt
        return formula(window, classifier)

    return probability


@pytest.fixture(scope="module", name="quick")
def _quick():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Window, "probability", formula)
        yield patch


def files_of(run: TrainedRun) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in run.bundle.iterdir()}


def of_one(record):
    """Return the trials among the children of a record, by name."""
    return {child["name"]: child for child in record.children if child["name"].startswith("trial")}


@pytest.fixture(scope="module")
def interrupted(small_community, tmp_path_factory, store, quick):
    """A job that Ctrl-C ended in its third trial (the second repeats the first), and that was run again."""
    folder = tmp_path_factory.mktemp("tuned")
    uri = store["tracking_uri"]
    settings = job(folder, {**SMALL_SEARCH, "tracking.uri": uri, "tracking.registered_model": None})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Window, "probability", dying(2))
        with pytest.raises(KeyboardInterrupt, match="goes on from there"):
            train(settings, community=small_community, show_progress=False)
    assert not (folder / "models" / "one").exists()
    with pytest.MonkeyPatch.context() as patch:
        said = list[str]()
        patch.setattr("leadlight.tracking.progress.Progress.say", lambda self, text: said.append(text))
        done = train(settings, community=small_community, show_progress=False)
    return done, MlflowClient(tracking_uri=uri), said


@pytest.fixture(scope="module")
def whole(small_community, tmp_path_factory, quick):
    """The same job, never interrupted and not logged."""
    folder = tmp_path_factory.mktemp("whole")
    settings = job(folder, {**SMALL_SEARCH, "tracking.enabled": False})
    return train(settings, community=small_community, show_progress=False)


@pytest.fixture(scope="module")
def waiting(small_community, tmp_path_factory, quick):
    """A job that keeps its default, and that nobody took."""
    folder = tmp_path_factory.mktemp("waiting")
    worse = {**SMALL_SEARCH, "tuning.space": {"n_folds": [4]}, "tracking.uri": NOBODY}
    with pytest.warns(LeadlightWarning, match="did not take"):
        done = train(job(folder, worse), community=small_community, show_progress=False)
    (found,) = find(folder)
    return done, read(found), folder


@pytest.fixture(scope="module")
def start(small_community):
    """The first cutoff of the test period."""
    rows = rows_of(TrainConfig.of({"labels": {"until": "2025-06-01"}}), small_community)
    return earlier_and_later(rows)[1].frame["cutoff"].min().tz_localize(None)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """One database for several records; what is not of children stays out."""
    folder = tmp_path_factory.mktemp("store")
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    return {"tracking_uri": uri, "artifact_root": folder.as_uri(), "tables": {}, "files": {}, "datasets": []}


def below(client: MlflowClient, run_id: str):
    experiment = client.get_experiment_by_name("leadlight").experiment_id
    found = client.search_runs([experiment], f"tags.mlflow.parentRunId = '{run_id}'")
    return {run.info.run_name: run for run in found}


class TestTheRun:
    def test_each_trial_is_a_child_run_with_its_state(self, interrupted):
        done, client, _ = interrupted
        children = below(client, done.run.run_id)
        trials = {name: run for name, run in children.items() if name.startswith("trial")}
        kept_names = ["trial 0, default", "trial 1", "trial 2", "trial 3", "trial 4"]
        assert sorted(trials) == sorted([*kept_names, "trial 3, attempt 1"])
        states = {name: run.data.tags["trial.state"] for name, run in trials.items()}
        assert states["trial 3, attempt 1"] == "died"
        died = {name for name, run in trials.items() if run.info.status == "FAILED"}
        assert died == {"trial 3, attempt 1"}
        kept = [states[name] for name in kept_names]
        assert kept == done.tuning.trials["state"].tolist()
        assert {"complete", "repeat"} <= set(kept)

    def test_a_child_run_holds_what_was_tried_and_what_came_of_it(self, interrupted):
        done, client, _ = interrupted
        children = below(client, done.run.run_id)
        for number, row in done.tuning.trials.iloc[1:].iterrows():
            run = children[f"trial {number}"]
            assert run.data.params == {"trial": str(number), "n_folds": str(row["n_folds"])}
            for shown, name in (("log_loss", "log_loss"), ("gain_low", "low"), ("average_precision",) * 2):
                assert run.data.metrics[f"trial.{shown}"] == row[name]
            assert run.data.metrics["trial.windows"] == 1
            seconds = run.data.metrics["trial.seconds"]
            assert abs((run.info.end_time - run.info.start_time) / 1000 - seconds) < 0.01
            assert 0 <= seconds < 60
        assert children["trial 0, default"].data.params["n_folds"] == "2"

    def test_a_child_run_is_no_training(self, interrupted):
        done, client, _ = interrupted
        kinds = {run.data.tags["leadlight.kind"] for run in below(client, done.run.run_id).values()}
        assert kinds == {"trial", "fold"}
        assert "mlflow.note.content" not in below(client, done.run.run_id)["trial 1"].data.tags

    def test_the_run_says_what_was_decided(self, interrupted):
        done, client, _ = interrupted
        run = client.get_run(done.run.run_id)
        assert (run.data.params["tuning.kept"], run.data.params["tuning.n_folds"]) == ("tuned", "3")
        assert run.data.params["tuning.why"] == done.tuning.sentence
        assert run.data.tags["tuning"] == "tuned"
        gain = [run.data.metrics[f"tuning.gain{part}"] for part in ("", "_low", "_high")]
        assert tuple(gain) == done.tuning.gain
        assert 0 < gain[1] < gain[0]
        assert (run.data.metrics["tuning.trials"], run.data.metrics["tuning.died"]) == (4, 1)
        assert run.data.metrics["seconds.tune"] > 0
        assert done.tuning.sentence in run.data.tags["mlflow.note.content"]
        names = {file.path for file in client.list_artifacts(done.run.run_id)}
        assert {"tuning.json", "tuning_windows.json"} <= names

    def test_a_job_that_goes_on_says_so(self, interrupted):
        done, client, said = interrupted
        assert said[0].startswith("the study goes on: 2 of 4 trials and the default are in ")
        assert done.tuning.resumed == client.get_run(done.run.run_id).data.metrics["tuning.resumed"] == 3


class TestTheModel:
    def test_it_is_made_with_the_tuned_parameters(self, whole, small_community, tmp_path):
        assert whole.qualifier.classifier_.n_folds == 3
        asked = {**SMALL_SEARCH, **UNTUNED, "tracking.enabled": False, "model.n_folds": 3}
        by_hand = train(job(tmp_path, asked), community=small_community, show_progress=False)
        tuned, same = files_of(whole), files_of(by_hand)
        # The manifest alone differs: it says how the parameters were found.
        assert {name for name in tuned if tuned[name] != same[name]} == {"manifest.json"}

    def test_the_bundle_says_how_its_parameters_were_found(self, whole):
        said = ll.load(whole.bundle).info["tuning"]
        assert (said["kept"], said["parameters"], said["trials"]) == ("tuned", {"n_folds": 3}, 4)
        assert said["gain"]["low"] == whole.tuning.gain[1]
        assert "tuning: Tuned: n" in ll.load(whole.bundle).card()

    def test_an_interrupted_job_makes_the_bundle_of_one_that_never_stopped(self, interrupted, whole):
        assert files_of(interrupted[0]) == files_of(whole)
        pd.testing.assert_frame_equal(interrupted[0].tuning.trials, whole.tuning.trials)

    def test_a_default_that_nothing_beats_is_kept_and_said(self, waiting):
        done, pending, _ = waiting
        assert done.qualifier.classifier_.n_folds == 2
        assert pending.record.parameters["tuning.kept"] == pending.record.tags["tuning"] == "default"
        assert pending.record.parameters["tuning.why"].startswith("The default is kept: ")
        assert ll.load(done.bundle).info["tuning"]["kept"] == "default"

    def test_what_cannot_be_tuned_is_trained_with_the_default_and_said(
        self, small_community, tmp_path, quick
    ):
        asked = {**SMALL_SEARCH, "tuning.windows": 12, "tracking.uri": NOBODY}
        with (
            pytest.warns(LeadlightWarning, match="could not be tuned .*Give fewer windows"),
            pytest.warns(LeadlightWarning, match="did not take the run"),
        ):
            done = train(job(tmp_path, asked), community=small_community, show_progress=False)
        assert done.tuning is None
        record = read(find(tmp_path)[0]).record
        assert record.parameters["tuning.kept"] == ll.load(done.bundle).info["tuning"]["kept"] == "default"
        assert record.tags["tuning"] == "default"
        for said in (record.parameters["tuning.why"], record.tags["mlflow.note.content"]):
            assert "could not be tuned" in said


class TestTheTestPeriod:
    @staticmethod
    def search(folder, community, **more):
        settings = job(folder, {**SMALL_SEARCH, "tuning.trials": 2, **more})
        (folder / "models").mkdir(parents=True, exist_ok=True)
        rows = rows_of(settings, community)
        return tuned_on_earlier(settings, qualifier_of(settings), community, rows, lambda text: None).tuning

    @staticmethod
    def with_deals(community, deals):
        numbers = range(900)
        members = pd.DataFrame(
            {"member_id": [f"m{k:04d}" for k in numbers], "account_id": [f"a{k // 2}" for k in numbers]}
        ).assign(joined_at="2024-01-01")
        return ll.Community(community.activity, members, deals)

    @staticmethod
    def deals_of(community):
        deals = community.deals
        return pd.DataFrame(
            {
                "deal_id": deals["deal_id"],
                "member_id": [f"m{k:04d}" for k in deals["member"]],
                "outcome": deals["outcome"],
                "closed_at": pd.to_datetime(deals["closed_us"], unit="us"),
            }
        )

    def test_its_labels_change_nothing_in_the_search(self, small_community, start, tmp_path, quick):
        deals = self.deals_of(small_community)
        before = self.search(tmp_path / "before", self.with_deals(small_community, deals))
        other = deals.assign(outcome=np.where(deals["closed_at"] >= start, "lost", deals["outcome"]))
        assert (other["outcome"] != deals["outcome"]).sum() > 20
        after = self.search(tmp_path / "after", self.with_deals(small_community, other))
        assert after.study == before.study  # a hash of all rows and features
        pd.testing.assert_frame_equal(after.trials, before.trials)
        pd.testing.assert_frame_equal(after.windows, before.windows)

    def test_labels_of_the_training_period_do_change_it(self, small_community, start, tmp_path, quick):
        deals = self.deals_of(small_community)
        other = deals.assign(outcome=np.where(deals["closed_at"] < start, "lost", deals["outcome"]))
        other.loc[::2, "outcome"] = deals["outcome"]
        before = self.search(tmp_path / "before", self.with_deals(small_community, deals))
        after = self.search(tmp_path / "after", self.with_deals(small_community, other))
        assert after.study != before.study

    def test_every_window_ends_before_it(self, small_community, start, tmp_path, quick):
        found = self.search(tmp_path, small_community)
        assert found.windows["last"].dt.tz_localize(None).max() + pd.Timedelta("90D") <= start


class TestPending:
    def test_the_trials_of_a_run_that_was_not_taken_are_sent_later_once(self, waiting, store):
        done, pending, folder = waiting
        assert done.run.pending
        uri = store["tracking_uri"]
        (sent,) = sync(folder, tracking_uri=uri)
        assert sent.problem == ""
        client = MlflowClient(tracking_uri=uri)
        children = below(client, sent.run.run_id)
        assert sorted(children) == sorted(child["name"] for child in pending.record.children)
        for name, child in of_one(pending.record).items():
            assert children[name].data.metrics == child["metrics"]
            assert children[name].info.start_time == child["started_ms"]
        assert sync(folder, tracking_uri=uri) == []
        assert len(below(client, sent.run.run_id)) == len(children)

    @pytest.mark.parametrize("step", ["create_run", "log_batch", "set_terminated"])
    @pytest.mark.parametrize("call", [2, 4])
    def test_a_child_that_was_half_made_is_completed_and_not_made_twice(
        self, waiting, store, step, call, monkeypatch
    ):
        """The answer to one call for a child is lost."""
        name = f"{step} {call}"
        record = replace(waiting[1].record, **store, record_id=name, experiment=name)
        real, count = sending.Timed.__getattr__, iter(range(1, 10_000))

        def losing(self, name):
            made = real(self, name)
            if name != step or next(count) != call:
                return made

            def lost(*a, **k):
                made(*a, **k)
                raise ConnectionError("the answer was lost")

            return lost

        monkeypatch.setattr(sending.Timed, "__getattr__", losing)
        with pytest.raises(ConnectionError):
            Sender(record, None).send()
        Sender(record, None).send()
        client = MlflowClient(tracking_uri=record.tracking_uri)
        experiment = client.get_experiment_by_name(name).experiment_id
        runs = {run.info.run_name: run for run in client.search_runs([experiment])}
        assert len(client.search_runs([experiment])) == len(runs) == 1 + len(record.children)
        for child in record.children:
            run = runs[child["name"]]
            assert run.info.status == child.get("status", "FINISHED")
            assert (run.data.params, run.data.metrics) == (child["parameters"], child["metrics"])

    def test_a_trial_costs_three_calls(self, waiting, store, monkeypatch):
        """So fifty of them cost a local server little; see the slow test of a server."""
        calls = list[str]()
        real = sending.Timed.__getattr__
        monkeypatch.setattr(
            sending.Timed, "__getattr__", lambda self, name: (calls.append(name), real(self, name))[1]
        )
        record = replace(waiting[1].record, **store)
        Sender(replace(record, record_id="first"), None).send()  # makes the experiment
        spent = []
        for children in (record.children[:1], record.children):
            calls.clear()
            Sender(replace(record, children=children, record_id=f"{len(children)}"), None).send()
            spent.append(len(calls))
        assert spent[1] - spent[0] == 3 * (len(record.children) - 1)


class TestBefore:
    """What is wrong is said before a table is read."""

    def test_optuna_is_not_installed(self, tmp_path, monkeypatch):
        monkeypatch.setitem(sys.modules, "optuna", None)
        with pytest.raises(InputError, match=r"pip install leadlight\[tune\]"):
            train(job(tmp_path, SMALL_SEARCH), show_progress=False)

    def test_the_storage_cannot_be_opened_and_its_password_is_not_told(self, tmp_path):
        asked = {**SMALL_SEARCH, "tuning.storage": "nosuch://me:secret@host/db"}
        with pytest.raises(InputError, match="cannot be opened") as caught:
            train(job(tmp_path, asked), show_progress=False)
        assert "secret" not in str(caught.value)
        assert caught.value.__cause__ is None

    def test_the_password_of_the_storage_is_no_parameter(self, tmp_path):
        asked = {**SMALL_SEARCH, "tuning.storage": "postgresql://me:secret@host/db"}
        assert not [value for value in job(tmp_path, asked).flat().values() if "secret" in value]


def test_new_data_begin_a_study_of_their_own(small_community, tmp_path, quick):
    search = TestTheTestPeriod.search
    first = search(tmp_path, small_community)
    other = search(tmp_path, small_community, **{"labels.until": "2025-07-01"})
    again = search(tmp_path, small_community)
    assert (other.resumed, again.resumed) == (0, 3)
    assert first.study == again.study != other.study


def test_a_pruned_trial_has_its_last_loss_and_no_gain():
    run = trial_runs(made_up(3))[3]
    assert (run["status"], run["tags"]["trial.state"]) == ("FINISHED", "pruned")
    assert run["metrics"] == {"trial.windows": 2.0, "trial.log_loss_so_far": 0.5, "trial.seconds": 1.5}
    assert run["ended_ms"] - run["started_ms"] == 1500


def test_a_setting_that_cannot_be_fitted_is_a_failed_run_and_does_not_end_the_job(
    small_community, tmp_path, quick, monkeypatch
):
    def failing(window: Window, classifier: ll.LeadClassifier) -> np.ndarray:
        if classifier.n_folds == 4:
            raise ValueError("m0001 is in the way")
        return formula(window, classifier)

    monkeypatch.setattr(Window, "probability", failing)
    with pytest.warns(LeadlightWarning, match="left out of the search, for it failed: n_folds=4"):
        found = TestTheTestPeriod.search(tmp_path, small_community, **{"tuning.trials": 4})
    assert found.accepted
    runs = {run["name"]: run for run in trial_runs(found)}
    (number,) = found.trials.index[found.trials["state"] == "failed"]
    assert runs[f"trial {number}"]["status"] == "FAILED"
    assert runs[f"trial {number}"]["tags"]["trial.state"] == "failed"
    assert "m0001" not in str(runs)


KILLED = """
import os, signal, sys
sys.path.insert(0, {root!r})
from pathlib import Path
from leadlight.qualifier.tuning.windows import Window
from leadlight.tracking import train
from tests.tracking.small import job, small_community
from tests.tracking.test_tuning import SMALL_SEARCH, formula
fits = iter(range(1000))

def probability(window, classifier):
    if next(fits) == {at}:
        os.kill(os.getpid(), signal.SIGKILL)
    return formula(window, classifier)

Window.probability = probability
asked = {{**SMALL_SEARCH, "tracking.enabled": False}}
train(job(Path({folder!r}), asked), community=small_community(), show_progress=False)
"""


@pytest.mark.slow
def test_a_job_that_was_killed_in_its_search_goes_on_in_another_process(whole, tmp_path):
    root = str(Path(__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": str(Path(ll.__file__).parents[1])}
    for at, code in ((2, -9), (99, 0)):
        program = KILLED.format(root=root, folder=str(tmp_path), at=at)
        command = [sys.executable, "-W", "ignore", "-c", program]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        assert done.returncode == code, done.stderr
        assert (tmp_path / "models" / "one").exists() == (code == 0)
    found = {p.name: p.read_bytes() for p in (tmp_path / "models" / "one").iterdir()}
    assert found == files_of(whole)
