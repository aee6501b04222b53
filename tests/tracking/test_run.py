"""A run holds what its judge needs and nothing of a member, and a failing MLflow costs a warning only."""

from __future__ import annotations

import json
import logging
import os
import socket
import subprocess
import sys
import threading
import time
import warnings
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import mlflow
import pandas as pd
import pytest
from mlflow import MlflowClient

import leadlight as ll
from leadlight.errors import InputError, LeadlightWarning, NotFittedError
from leadlight.tracking import pyfunc, quiet
from leadlight.tracking.pending import find, read
from leadlight.tracking.run import log_run

MARK = b"zq7"
NOBODY = "http://user:secret@127.0.0.1:9"


@pytest.fixture(scope="module")
def client(logged):
    return MlflowClient(tracking_uri=logged.uri)


@pytest.fixture(scope="module")
def run(client, logged):
    return client.get_run(logged.run.run_id)


def artifacts(logged) -> list[Path]:
    return [path for path in (logged.folder / "mlartifacts").rglob("*") if path.is_file()]


def pending_of(bundle: Path) -> dict:
    """The record that waits beside a bundle, and its files."""
    (folder,) = find(bundle)
    return {**json.loads((folder / "record.json").read_text()), "files": read(folder).record.files}


def state() -> dict:
    """What a call must leave as it was."""
    levels = {name: logging.getLogger(name).level for name in ("mlflow", "alembic", "")}
    filters = list(warnings.filters)
    uri = mlflow.get_tracking_uri(), mlflow.get_registry_uri()
    return {
        "env": dict(os.environ),
        "levels": levels,
        "filters": filters,
        "run": mlflow.active_run(),
        "uri": uri,
    }


class TestWhatIsLogged:
    def test_the_run_is_finished_and_not_pending(self, run, logged):
        assert (run.info.status, logged.run.pending) == ("FINISHED", False)
        assert run.info.run_name == "first"

    def test_parameters_say_how_the_model_was_made(self, run, trained):
        given = run.data.params
        assert given["plan_digest"] == trained.qualifier.plan_.digest
        assert given["data_fingerprint"] == trained.qualifier.scorer_.info["data_fingerprint"]
        assert (given["horizon"], given["gap"], given["active_within"]) == ("90d", "0d", "180d")
        assert given["library_version"] == ll.__version__
        assert float(given["blend_weight"]) == trained.qualifier.classifier_.blend_weight_
        assert int(given["trees.num_leaves"]) == trained.qualifier.classifier_.settings_["num_leaves"]
        assert (given["selection"], given["asked_by"]) == ("discount", "sales")
        assert given["selection_why"] == trained.qualifier.selection_report_["why"]
        assert "best-scored 5%" in given["decision"]

    @pytest.mark.parametrize("model", ["leadlight", "points", "recency", "logistic", "lightgbm", "random"])
    def test_every_model_has_its_figures_with_intervals(self, run, trained, model):
        name = f"{model}.average_precision"
        found = run.data.metrics
        assert found[name] == trained.report.metric("average_precision", model)
        assert (found[f"{name}_low"], found[f"{name}_high"]) == trained.report.interval(
            "average_precision", model
        )

    def test_tags_say_what_the_probability_is_of(self, run, trained):
        tags = run.data.tags
        assert tags["simulated"] == "true"
        assert tags["estimand"] == trained.qualifier.estimand_
        assert tags["model_version"] == trained.qualifier.scorer_.version
        described = tags["mlflow.note.content"]
        assert described.startswith("Small, and only a test.")
        assert trained.report.sentence in described

    def test_plots_page_tables_and_audit_are_artifacts(self, client, logged):
        names = {a.path for a in client.list_artifacts(logged.run.run_id)}
        names |= {a.path for a in client.list_artifacts(logged.run.run_id, "plots")}
        plots = {f"plots/{name}.png" for name in ("gains", "lift", "calibration", "worth")}
        assert names >= {"report.html", "counts.json", "worth.json", "leakage_audit.txt", *plots}

    def test_its_page_offers_points_and_says_what_is_left_out(self, logged, trained):
        page = next((logged.folder / "mlartifacts" / logged.run.run_id).rglob("report.html")).read_text()
        assert trained.qualifier.points_table().rules[0].text in page
        assert "no refits were asked for" in page

    def test_counts_per_cutoff_are_a_table(self, run, logged, trained):
        written = next((logged.folder / "mlartifacts" / logged.run.run_id).rglob("counts.json"))
        table = pd.DataFrame(
            **{name: v for name, v in json.loads(written.read_text()).items() if name != "index"}
        )
        assert table["rows"].tolist() == trained.report.counts["rows"].tolist()
        assert table["cutoff"].str[:10].tolist() == [f"{c:%Y-%m-%d}" for c in trained.report.counts.index]
        assert {"path": "counts.json", "type": "table"} in json.loads(run.data.tags["mlflow.loggedArtifacts"])

    def test_the_model_is_ready_and_carries_the_metrics(self, client, logged, trained):
        model = client.get_logged_model(logged.run.model_uri.removeprefix("models:/"))
        figures = {metric.key: metric.value for metric in model.metrics}
        assert (str(model.status), model.name) == ("READY", "leadlight")
        assert figures["leadlight.auc"] == trained.report.metric("auc")

    def test_nothing_is_pickled(self, logged):
        assert artifacts(logged)
        assert not [p for p in artifacts(logged) if p.suffix in (".pkl", ".pickle", ".joblib")]
        assert not [p for p in artifacts(logged) if p.read_bytes()[:2] in (b"\x80\x04", b"\x80\x05")]

    def test_no_member_or_account_is_in_any_artifact_or_the_database(self, logged, trained):
        assert MARK in trained.scores.frame["member_id"].iloc[0].encode()
        places = [*artifacts(logged), *logged.folder.glob("mlflow.db*")]
        assert not [path for path in places if MARK in path.read_bytes()]

    def test_no_path_of_the_machine_is_in_an_artifact(self, logged):
        folder = str(logged.folder.parent).encode()
        named = [p for p in artifacts(logged) if folder in p.read_bytes()]
        assert [p.name for p in named] in ([], ["MLmodel"])  # MLflow writes there where the model lies

    def test_members_are_named_where_that_is_asked_for(self, trained, logged):
        more = log_run(
            trained.qualifier,
            scores=trained.scores,
            bundle=logged.bundle,
            tracking_uri=logged.uri,
            experiment="with members",
            include_members=True,
        )
        page = next((logged.folder / "mlartifacts" / more.run_id).rglob("report.html"))
        assert MARK in page.read_bytes()

    def test_a_run_without_report_and_scores_holds_the_model(self, trained, logged, client):
        bare = log_run(trained.qualifier, bundle=logged.bundle, tracking_uri=logged.uri)
        found = client.get_run(bare.run_id).data
        assert (
            found.metrics["training_positives"]
            == trained.qualifier.scorer_.info["metrics"]["training_positives"]
        )
        assert {f.path for f in client.list_artifacts(bare.run_id)} == {
            "environment.json", "importance.json", "plots"
        }  # fmt: skip


class TestBundleAndPlaces:
    def test_the_bundle_is_saved_before_mlflow_is_asked(self, trained, tmp_path):
        with pytest.warns(LeadlightWarning):
            log_run(trained.qualifier, bundle=tmp_path / "models" / "m", tracking_uri=NOBODY)
        assert ll.load(tmp_path / "models" / "m").digest == trained.qualifier.scorer_.digest

    def test_a_zip_is_logged_too(self, trained, tmp_path):
        made = log_run(
            trained.qualifier, bundle=tmp_path / "m.zip", tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}"
        )
        assert not made.pending
        assert list((tmp_path / "mlartifacts").rglob("data/bundle/manifest.json"))

    def test_another_model_at_the_path_is_an_error(self, trained, tmp_path):
        scorer = trained.qualifier.scorer_
        ll.Scorer(scorer.model, scorer.plan, {**scorer.info, "note": "another"}).save(tmp_path / "m")
        with pytest.raises(InputError, match="holds model"):
            log_run(trained.qualifier, bundle=tmp_path / "m", tracking_uri=NOBODY)

    def test_an_unfitted_qualifier_is_an_error(self, tmp_path):
        with pytest.raises(NotFittedError):
            log_run(ll.LeadQualifier(), bundle=tmp_path / "m")

    def test_a_parameter_that_every_run_has_is_an_error(self, trained, logged):
        with pytest.raises(InputError, match="repeats horizon"):
            log_run(trained.qualifier, bundle=logged.bundle, tracking_uri=NOBODY, parameters={"horizon": 1})

    def test_artifacts_lie_beside_a_relative_database_and_nothing_else_appears(
        self, trained, tmp_path, monkeypatch
    ):
        (tmp_path / "here").mkdir()
        monkeypatch.chdir(tmp_path / "here")
        made = log_run(
            trained.qualifier,
            bundle=tmp_path / "m",
            tracking_uri="sqlite:///../there/runs.db",
            experiment="a/b",
        )
        assert not made.pending
        assert list((tmp_path / "there" / "mlartifacts").rglob("MLmodel"))
        assert not list((tmp_path / "here").iterdir())

    def test_artifacts_go_where_the_caller_says(self, trained, tmp_path):
        uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
        log_run(
            trained.qualifier, bundle=tmp_path / "m", tracking_uri=uri, artifact_root=tmp_path / "big disk"
        )
        assert list((tmp_path / "big disk").rglob("MLmodel"))
        assert not (tmp_path / "mlartifacts").exists()


class TestFailure:
    def test_an_unreachable_server_costs_a_warning_and_seconds(self, trained, tmp_path):
        before = trained.qualifier.predict_proba(trained.X)
        began = time.monotonic()
        with pytest.warns(LeadlightWarning, match="did not take the run"):
            found = log_run(trained.qualifier, bundle=tmp_path / "m", tracking_uri=NOBODY)
        assert time.monotonic() - began < 15
        assert (found.run_id, found.model_uri, found.pending) == (None, None, True)
        assert (trained.qualifier.predict_proba(trained.X) == before).all()

    def test_the_pending_record_holds_what_the_run_should_have_got(self, trained, run, tmp_path):
        with pytest.warns(LeadlightWarning):
            log_run(
                trained.qualifier,
                report=trained.report,
                scores=trained.scores,
                bundle=tmp_path / "m",
                tracking_uri=NOBODY,
                run_name="later",
                parameters={"asked_by": "sales"},
                note="Small, and only a test.",
            )
        kept = pending_of(tmp_path / "m")
        assert kept["parameters"] == run.data.params
        assert kept["metrics"] == run.data.metrics
        assert kept["tags"].items() <= run.data.tags.items()
        assert (kept["experiment"], kept["run_name"]) == ("leadlight", "later")
        assert kept["model_digest"] == trained.qualifier.scorer_.digest
        assert set(kept["tables"]) == {"counts.json", "worth.json", "importance.json", "metrics.json"}
        assert kept["files"]["plots/gains.png"].startswith(b"\x89PNG")
        assert kept["files"]["report.html"].startswith(b"<!DOCTYPE html>")

    def test_no_password_is_in_the_warning_or_the_record(self, trained, tmp_path):
        with pytest.warns(LeadlightWarning) as caught:
            log_run(trained.qualifier, bundle=tmp_path / "m", tracking_uri=NOBODY)
        assert not [w for w in caught if "secret" in str(w.message)]
        (folder,) = find(tmp_path / "m")
        assert not [p for p in folder.rglob("*") if p.is_file() and b"secret" in p.read_bytes()]

    def test_a_server_that_stops_in_the_middle_leaves_the_run_to_be_completed(self, trained, tmp_path):
        with server_of(answers=3) as port, pytest.warns(LeadlightWarning):
            found = log_run(trained.qualifier, bundle=tmp_path / "m", tracking_uri=f"http://127.0.0.1:{port}")
        assert (found.run_id, found.pending) == ("a-run", True)
        assert pending_of(tmp_path / "m")["run_id"] == "a-run"

    def test_a_server_that_never_answers_is_given_up(self, trained, tmp_path, monkeypatch):
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
        with socket.create_server(("127.0.0.1", 0)) as silent:
            began = time.monotonic()
            with pytest.warns(LeadlightWarning):
                log_run(
                    trained.qualifier,
                    bundle=tmp_path / "m",
                    tracking_uri=f"http://127.0.0.1:{silent.getsockname()[1]}",
                )
        assert time.monotonic() - began < 15

    def test_a_database_that_cannot_be_opened_is_not_tried_for_minutes(self, trained, tmp_path):
        (tmp_path / "folder.db").mkdir()
        began = time.monotonic()
        with pytest.warns(LeadlightWarning, match="unable to open"):
            log_run(
                trained.qualifier, bundle=tmp_path / "m", tracking_uri=f"sqlite:///{tmp_path / 'folder.db'}"
            )
        assert time.monotonic() - began < 60

    def test_a_file_that_is_no_database_is_said(self, trained, tmp_path):
        (tmp_path / "notes.db").write_text("no database " * 100)
        with pytest.warns(LeadlightWarning, match="not a database"):
            log_run(
                trained.qualifier, bundle=tmp_path / "m", tracking_uri=f"sqlite:///{tmp_path / 'notes.db'}"
            )

    def test_a_run_that_fails_half_way_is_marked_failed(self, trained, tmp_path, monkeypatch):
        uri = f"sqlite:///{tmp_path / 'mlflow.db'}"

        def full(*_args, **_more):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(pyfunc, "save", full)
        with pytest.warns(LeadlightWarning, match="No space left"):
            found = log_run(trained.qualifier, bundle=tmp_path / "m", tracking_uri=uri)
        client = MlflowClient(tracking_uri=uri)
        experiment = client.get_experiment_by_name("leadlight").experiment_id
        assert client.get_run(found.run_id).info.status == "FAILED"
        assert [str(m.status) for m in client.search_logged_models([experiment])] == ["FAILED"]

    def test_a_record_that_cannot_be_written_is_said_and_no_error(self, trained, tmp_path):
        trained.qualifier.save(tmp_path / "m")
        (tmp_path / "m.pending").write_text("in the way")
        with pytest.warns(LeadlightWarning, match="could not be written"):
            found = log_run(trained.qualifier, bundle=tmp_path / "m", tracking_uri=NOBODY)
        assert found.pending
        assert sorted(p.name for p in tmp_path.iterdir()) == ["m", "m.pending"]

    def test_a_later_success_for_the_same_model_takes_the_record_away(self, trained, tmp_path):
        with pytest.warns(LeadlightWarning):
            log_run(trained.qualifier, bundle=tmp_path / "m", tracking_uri=NOBODY)
        log_run(trained.qualifier, bundle=tmp_path / "m", tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}")
        assert not (tmp_path / "m.pending").exists()


class TestNothingIsLeftBehind:
    @pytest.fixture(autouse=True)
    def _plain_environment(self, monkeypatch):
        # One variable of each kind is the caller's own, the others are not set.
        for name in quiet.ALWAYS | quiet.UNLESS_SET:
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("DO_NOT_TRACK", "false")
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "7")

    def test_after_success(self, trained, logged):
        before = state()
        log_run(trained.qualifier, bundle=logged.bundle, tracking_uri=logged.uri)
        assert state() == before

    def test_after_failure(self, trained, tmp_path):
        before = state()
        with pytest.warns(LeadlightWarning):
            log_run(trained.qualifier, bundle=tmp_path / "m", tracking_uri=NOBODY)
        assert state() == before

    def test_after_an_interruption_which_passes_through(self, trained, logged, client, monkeypatch):
        def interrupted(*_args, **_more):
            raise KeyboardInterrupt

        monkeypatch.setattr(pyfunc, "save", interrupted)
        before = state()
        with pytest.raises(KeyboardInterrupt):
            log_run(trained.qualifier, bundle=logged.bundle, tracking_uri=logged.uri, experiment="stopped")
        assert state() == before
        experiment = client.get_experiment_by_name("stopped").experiment_id
        found = client.search_runs([experiment])
        parents = [r for r in found if "mlflow.parentRunId" not in r.data.tags]
        assert [r.info.status for r in parents] == ["FAILED"]

    def test_the_callers_own_run_and_store_stay(self, trained, logged, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
        mlflow.set_tracking_uri(f"sqlite:///{tmp_path / 'own.db'}")
        try:
            mlflow.set_experiment("own")
            with mlflow.start_run() as own:
                log_run(trained.qualifier, bundle=logged.bundle, tracking_uri=logged.uri)
                assert mlflow.active_run().info.run_id == own.info.run_id
                assert mlflow.get_tracking_uri().endswith("own.db")
            assert not mlflow.get_run(own.info.run_id).data.params
        finally:
            mlflow.set_tracking_uri(None)


WATCHED = """
import sys, time, warnings
calls = []
def watch(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        calls.append((event, arguments[1:]))
    elif event == "subprocess.Popen" and list(arguments[1])[:1] != ["uname"]:
        calls.append((event, arguments[1]))
sys.addaudithook(watch)
warnings.simplefilter("error")
import leadlight as ll
from types import SimpleNamespace
from leadlight.tracking import log_run
scorer = ll.load({bundle!r})
qualifier = SimpleNamespace(
    scorer_=scorer, plan_=scorer.plan, catalogue=SimpleNamespace(name="any"),
    classifier_=SimpleNamespace(blend_weight_=0.5, settings_={{}}))
for place in ("one", "two"):
    began = time.monotonic()
    assert not log_run(qualifier, bundle={bundle!r}, tracking_uri={folder!r} + place + ".db").pending
    print(time.monotonic() - began)
print(calls)
"""


def test_a_new_process_logs_quickly_and_quietly_and_asks_no_network(logged, tmp_path):
    hidden = ("PYTEST_CURRENT_TEST", "CI", "GITHUB_ACTIONS")  # where MLflow sends nothing anyway
    environment = {k: v for k, v in os.environ.items() if k not in hidden}
    environment["PYTHONPATH"] = str(Path(ll.__file__).parents[1])
    program = WATCHED.format(bundle=str(logged.bundle), folder=f"sqlite:///{tmp_path}/")
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        cwd=tmp_path,
    )
    assert (done.returncode, done.stderr) == (0, "")
    first, second, calls = done.stdout.splitlines()
    assert calls == "[]"
    assert float(second) < 60  # some seconds, where nothing else runs
    assert float(first) < 30  # imports MLflow; under 10 s on an idle machine
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mlartifacts", "one.db", "two.db"]


class server_of:  # noqa: N801 - reads as a word
    """A tracking server that answers so many requests and is gone then."""

    def __init__(self, answers: int) -> None:
        replies = [
            {"experiment": {"experiment_id": "1", "name": "leadlight", "lifecycle_stage": "active"}},
            {"runs": []},
            {
                "run": {
                    "info": {
                        "run_id": "a-run",
                        "run_uuid": "a-run",
                        "experiment_id": "1",
                        "status": "RUNNING",
                        "artifact_uri": "mlflow-artifacts:/1/a-run",
                        "lifecycle_stage": "active",
                    },
                    "data": {},
                }
            },
        ][:answers]

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                body = json.dumps(replies.pop(0)).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Connection", "close")
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = answer  # noqa: N815 - http.server finds them by these names

            def log_message(self, *_arguments) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self._serve, args=(answers,))

    def _serve(self, answers: int) -> None:
        for _ in range(answers):
            self.server.handle_request()
        self.server.server_close()

    def __enter__(self) -> int:
        self.thread.start()
        return self.server.server_port

    def __exit__(self, *_error) -> None:
        self.thread.join(10)
