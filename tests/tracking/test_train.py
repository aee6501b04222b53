"""The whole job: what the run holds, what waits where MLflow fails, and that nothing is made twice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from mlflow import MlflowClient
from tests.tracking.small import job

import leadlight as ll
from leadlight.errors import InputError, LeadlightWarning
from leadlight.tracking import sending, sync, train
from leadlight.tracking.config import TrainConfig
from leadlight.tracking.pending import find, read
from leadlight.tracking.sending import Sender

NOBODY = "http://127.0.0.1:9"


@pytest.fixture(scope="module")
def done(small_community, tmp_path_factory):
    folder = tmp_path_factory.mktemp("job")
    found = train(
        job(folder, {"tracking.run_name": "monday", "evaluation.refits": 3}),
        community=small_community,
        show_progress=False,
    )
    return found, MlflowClient(tracking_uri=f"sqlite:///{folder / 'mlflow.db'}"), folder


def parents(client: MlflowClient, name: str = "leadlight"):
    experiment = client.get_experiment_by_name(name).experiment_id
    found = client.search_runs([experiment], max_results=100)
    return [r for r in found if "mlflow.parentRunId" not in r.data.tags]


class TestTheRun:
    def test_the_bundle_is_there_and_is_the_model_of_the_run(self, done):
        found, client, _ = done
        assert ll.load(found.bundle).digest == found.qualifier.scorer_.digest
        version = client.get_model_version_by_alias("leadlight", "challenger")
        assert str(version.version) == found.run.version == "1"
        assert version.tags["model_digest"] == found.qualifier.scorer_.digest

    def test_it_holds_its_configuration(self, done):
        found, client, _ = done
        run = client.get_run(found.run.run_id)
        assert run.info.run_name == "monday"
        assert (run.data.params["config.labels.every"], run.data.params["horizon"]) == ("30d", "90d")
        page = Path(client.download_artifacts(run.info.run_id, "config.yaml")).read_text()
        assert TrainConfig.of(yaml.safe_load(page)).labels.every == "30d"

    def test_it_holds_counts_importance_and_environment(self, done):
        found, client, _ = done
        names = {f.path for f in client.list_artifacts(found.run.run_id)}
        assert names >= {
            "training_counts.json", "counts.json", "importance.json", "environment.json", "leakage_audit.json",
        }  # fmt: skip
        counts = json.loads(
            Path(client.download_artifacts(found.run.run_id, "training_counts.json")).read_text()
        )
        population = counts["columns"].index("population")
        assert [row[population] for row in counts["data"]] == found.observations.counts["population"].tolist()

    def test_its_page_says_what_drives_deals_and_offers_points(self, done):
        found, client, _ = done
        page = Path(client.download_artifacts(found.run.run_id, "report.html")).read_text(encoding="utf-8")
        assert "over 3 refits" in page
        assert found.qualifier.points_table().rules[0].text in page

    def test_it_holds_time_and_memory(self, done):
        found, client, _ = done
        metrics = client.get_run(found.run.run_id).data.metrics
        assert metrics["seconds.total"] == found.seconds
        assert 50 < metrics["peak_memory_mb"] < 1e6
        info = client.get_run(found.run.run_id).info
        assert abs((info.end_time - info.start_time) / 1000 - found.seconds) < 5

    def test_its_inputs_are_datasets_with_the_fingerprint(self, done):
        found, client, _ = done
        inputs = client.get_run(found.run.run_id).inputs.dataset_inputs
        contexts = {i.tags[0].value: i.dataset for i in inputs}
        assert set(contexts) == {"training", "evaluation"}
        fingerprint = found.qualifier.scorer_.info["data_fingerprint"]
        assert fingerprint.startswith(contexts["training"].digest)
        assert json.loads(contexts["training"].profile)["rows"] == len(found.observations)

    def test_each_fold_is_a_child_run(self, done):
        found, client, _ = done
        experiment = client.get_experiment_by_name("leadlight").experiment_id
        children = client.search_runs([experiment], f"tags.mlflow.parentRunId = '{found.run.run_id}'")
        assert sorted(c.info.run_name for c in children) == [f"fold {k}" for k in range(1, 6)]
        assert sum(c.data.metrics["fold.rows"] for c in children) == len(found.observations)
        assert {c.info.status for c in children} == {"FINISHED"}

    def test_no_account_stands_in_two_folds(self, done):
        from leadlight.tracking.folds import fold_rows

        groups = [
            set(found) for found in (done[0].qualifier.training_[3][r] for r in fold_rows(done[0].qualifier))
        ]
        assert len(set.union(*groups)) == sum(map(len, groups))

    def test_the_figures_of_the_report_are_metrics(self, done):
        found, client, _ = done
        metrics = client.get_run(found.run.run_id).data.metrics
        assert metrics["points.auc_low"] == found.report.interval("auc", "points")[0]

    def test_nothing_waits(self, done):
        assert not find(done[2])


def test_equal_data_and_configuration_give_byte_identical_bundles(small_community, done, tmp_path):
    again = train(
        job(tmp_path, {"tracking.enabled": False, "evaluation.enabled": False}),
        community=small_community,
        show_progress=False,
    )
    names = {p.name for p in again.bundle.iterdir()}
    assert names == {p.name for p in done[0].bundle.iterdir()}
    assert all((again.bundle / n).read_bytes() == (done[0].bundle / n).read_bytes() for n in names)


def test_without_a_deal_it_says_so(small_community, tmp_path):
    from leadlight.community import Community

    bare = Community(activity=small_community.activity)
    with pytest.warns(LeadlightWarning), pytest.raises(InputError, match="Hand-set points are not saved"):
        train(job(tmp_path, {}), community=bare, show_progress=False)


class TestPending:
    def test_a_run_that_was_not_taken_is_sent_later_once(self, small_community, tmp_path):
        with pytest.warns(LeadlightWarning, match="leadlight sync"):
            found = train(
                job(tmp_path, {"tracking.uri": NOBODY}), community=small_community, show_progress=False
            )
        assert found.run.pending
        uri = f"sqlite:///{tmp_path / 'later.db'}"
        (sent,) = sync(tmp_path, tracking_uri=uri)
        assert (sent.problem, sent.run.pending) == ("", False)
        client = MlflowClient(tracking_uri=uri)
        assert len(parents(client)) == 1
        version = client.get_model_version_by_alias("leadlight", "challenger")
        assert version.tags["model_digest"] == found.qualifier.scorer_.digest
        assert sync(tmp_path, tracking_uri=uri) == []
        assert not (tmp_path / "models" / "one.pending").exists()

    @pytest.mark.parametrize(
        "step", ["create_run", "log_batch", "log_artifact", "create_logged_model", "log_model_artifact",
                 "finalize_logged_model", "create_model_version", "set_registered_model_alias", "set_terminated"],
    )  # fmt: skip
    def test_wherever_it_stopped_it_is_completed_and_nothing_is_there_twice(
        self, waiting, step, tmp_path, monkeypatch
    ):
        """The first call of one kind is done, and its answer lost."""
        record, bundle = waiting
        uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
        real = sending.Timed.__getattr__
        lost = []

        def losing(self, name):
            call = real(self, name)
            if name != step or lost:
                return call

            def once(*a, **k):
                call(*a, **k)
                lost.append(name)
                raise ConnectionError("the answer was lost")

            return once

        monkeypatch.setattr(sending.Timed, "__getattr__", losing)
        record = replace(record, tracking_uri=uri, artifact_root=(tmp_path / "artifacts").as_uri())
        with pytest.raises(ConnectionError):
            Sender(record, bundle).send()
        model_uri = Sender(record, bundle).send()
        client = MlflowClient(tracking_uri=uri)
        experiment = client.get_experiment_by_name("leadlight").experiment_id
        (run,) = parents(client)
        assert run.info.status == "FINISHED"
        assert run.data.params == record.parameters
        assert run.data.metrics == record.metrics
        assert len(client.search_runs([experiment])) == 1 + len(record.children)
        (model,) = client.search_logged_models([experiment])
        assert (str(model.status), f"models:/{model.model_id}") == ("READY", model_uri)
        assert len(client.search_model_versions("name = 'leadlight'")) == 1
        assert len(client.get_metric_history(run.info.run_id, "seconds.total")) == 1

    def test_a_record_that_waited_does_not_push_a_newer_challenger_aside(self, waiting, tmp_path):
        record, bundle = waiting
        uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
        root = (tmp_path / "artifacts").as_uri()
        newer = replace(
            record, tracking_uri=uri, artifact_root=root, record_id="b", started_ms=record.started_ms + 1
        )
        Sender(newer, bundle).send()
        Sender(replace(record, tracking_uri=uri, artifact_root=root), bundle).send()
        client = MlflowClient(tracking_uri=uri)
        assert str(client.get_model_version_by_alias("leadlight", "challenger").version) == "1"
        assert len(client.search_model_versions("name = 'leadlight'")) == 2

    def test_two_at_a_time_send_it_once(self, small_community, tmp_path):
        with pytest.warns(LeadlightWarning):
            train(
                job(tmp_path, {"tracking.uri": NOBODY, "evaluation.enabled": False}),
                community=small_community,
                show_progress=False,
            )
        uri, found = f"sqlite:///{tmp_path / 'later.db'}", []
        threads = [
            threading.Thread(target=lambda: found.extend(sync(tmp_path, tracking_uri=uri))) for _ in range(2)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [one.problem for one in found] == [""]
        assert len(parents(MlflowClient(tracking_uri=uri))) == 1

    def test_the_waiting_bundle_survives_another_training_at_the_same_place(self, small_community, tmp_path):
        first = {"tracking.uri": NOBODY, "evaluation.enabled": False}
        with pytest.warns(LeadlightWarning):
            one = train(job(tmp_path, first), community=small_community, show_progress=False)
        with pytest.warns(LeadlightWarning):
            train(
                job(tmp_path, {**first, "decision.share": 0.1}),
                community=small_community,
                show_progress=False,
            )
        waiting = [read(folder) for folder in find(tmp_path)]
        assert len(waiting) == 2
        assert ll.load(waiting[0].bundle).digest == one.qualifier.scorer_.digest

    def test_a_slow_server_is_left_after_the_patience(self, waiting, tmp_path):
        record, bundle = waiting
        record = replace(record, tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}", artifact_root=None)
        with pytest.raises(TimeoutError, match="longer than 0 s"):
            Sender(record, bundle, patience=0.0).send()

    def test_a_damaged_record_is_said_and_the_others_are_sent(self, tmp_path):
        (tmp_path / "m.pending" / "x").mkdir(parents=True)
        (tmp_path / "m.pending" / "x" / "record.json").write_text("{")
        (one,) = sync(tmp_path)
        assert "damaged" in one.problem

    def test_a_record_without_its_password_asks_for_it(self, tmp_path, waiting, monkeypatch):
        from leadlight.tracking.pending import write_pending

        monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
        record, bundle = waiting
        write_pending(tmp_path / "m", replace(record, tracking_uri="http://me:secret@127.0.0.1:9"), bundle)
        (one,) = sync(tmp_path)
        assert "password" in one.problem


KILLED = """
import os, signal, sys
import leadlight.tracking.sending as sending
sys.path.insert(0, {root!r})
from tests.tracking.small import job, small_community
from leadlight.tracking import train
from pathlib import Path
sending.Sender.send = lambda self: os.kill(os.getpid(), signal.SIGKILL)
train(job(Path({folder!r}), {{"evaluation.enabled": False}}), community=small_community(), show_progress=False)
"""


def test_a_process_killed_while_sending_leaves_bundle_and_record(tmp_path):
    root = str(Path(__file__).parents[2])
    program = KILLED.format(root=root, folder=str(tmp_path))
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(ll.__file__).parents[1])},
    )
    assert done.returncode == -9, done.stderr
    (folder,) = find(tmp_path)
    kept = read(folder)
    assert (
        ll.load(kept.bundle).digest == ll.load(tmp_path / "models" / "one").digest == kept.record.model_digest
    )
