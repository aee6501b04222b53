"""One long story with real servers: train, promote, serve, a server that dies, sync; and scores that are equal everywhere."""

from __future__ import annotations

import json
import threading
import time

import mlflow
import numpy as np
import pytest
from mlflow import MlflowClient
from tests.tracking.server import ask, scoring_server, tracking_server
from tests.tracking.small import job, made_up

import leadlight as ll
from leadlight.errors import LeadlightWarning
from leadlight.tracking import log_run, monitor, promote, sync, train
from leadlight.tracking.pending import find
from leadlight.tracking.sending import Sender, Timed

AT = "2025-03-01"


@pytest.mark.slow
def test_train_promote_serve_lose_the_server_sync(  # noqa: PLR0915  one story, told to its end
    small_community, tmp_path, monkeypatch
):
    community = small_community
    server = tracking_server(tmp_path)
    uri = f"http://127.0.0.1:{server.port}"
    with server:
        settings = {"tracking.uri": uri, "tracking.patience": 120}
        first = train(job(tmp_path, settings), community=community, show_progress=False)
        assert not first.run.pending
        verdict = promote(community, tracking_uri=uri, rounds=50)
        assert verdict.promoted, str(verdict)
        champion = "models:/leadlight@champion"

        qualifier = first.qualifier
        rows = ll.observe(community, "60d", start=AT, frozen_at=community.frozen_us).labelled()
        X = ll.build_features(community, rows, qualifier.plan_).reset_index(drop=True).head(60)
        expected = qualifier.predict_proba(X)[:, 1]
        alone = ll.load(first.bundle).predict_proba(X)[:, 1]
        mlflow.set_tracking_uri(uri)
        try:
            loaded = mlflow.pyfunc.load_model(champion).predict(X)["probability"]
        finally:
            mlflow.set_tracking_uri(None)

        log = community.activity.to_pandas()
        log = log[log["occurred_at"] < AT]
        member = log["member_id"].iloc[-1]
        mine = log[log["member_id"] == member]
        with scoring_server(tmp_path, champion, uri) as scoring:
            body = json.loads(X.to_json(orient="split", double_precision=15))
            served = ask(
                scoring.port, {"dataframe_split": {"columns": body["columns"], "data": body["data"]}}
            )
            records = json.loads(mine.to_json(orient="records", date_format="iso", date_unit="us"))
            by_events = ask(
                scoring.port,
                {"dataframe_records": records, "params": {"at": AT, "reasons": 1}},
            )
        for found in (alone, loaded, [row["probability"] for row in served]):
            assert np.abs(np.asarray(found) - expected).max() <= 1e-12
        online = ll.load(first.bundle).predict(mine, {"member_id": member}, at=AT)
        (answer,) = (row for row in by_events if row["member_id"] == member)
        assert abs(answer["probability"] - online.probability) <= 1e-12
        assert len(answer["reasons"]) <= 1
        assert answer["grade"] == online.grade

        # The server is killed when the second run has half of its files.
        real, gone = Sender._files, threading.Event()

        def dying(self, client, run_id):
            if not gone.is_set():
                client.log_artifact(run_id, str(first.bundle / "manifest.json"))
                server.kill()
                gone.set()
            real(self, client, run_id)

        monkeypatch.setattr(Sender, "_files", dying)
        with pytest.warns(LeadlightWarning, match="did not take the run"):
            second = train(
                job(
                    tmp_path, {**settings, "bundle": str(tmp_path / "models" / "two"), "decision.share": 0.1}
                ),
                community=community,
                show_progress=False,
            )
        assert second.run.pending
        assert second.logging_seconds < 60
        assert ll.load(second.bundle).digest == second.qualifier.scorer_.digest

        server.start()
        (sent,) = sync(tmp_path)
        assert sent.problem == ""
        assert not find(tmp_path)
        client = MlflowClient(tracking_uri=uri, registry_uri=uri)
        experiment = client.get_experiment_by_name("leadlight").experiment_id
        runs = [r for r in client.search_runs([experiment]) if "mlflow.parentRunId" not in r.data.tags]
        assert {r.info.run_id for r in runs} == {first.run.run_id, second.run.run_id, sent.run.run_id}
        assert sent.run.run_id == second.run.run_id
        assert {r.info.status for r in runs} == {"FINISHED"}
        assert str(client.get_model_version_by_alias("leadlight", "champion").version) == "1"
        challenger = client.get_model_version_by_alias("leadlight", "challenger")
        assert challenger.tags["model_digest"] == second.qualifier.scorer_.digest
        mlflow.set_tracking_uri(uri)
        try:
            again = mlflow.pyfunc.load_model("models:/leadlight@challenger").predict(X)["probability"]
        finally:
            mlflow.set_tracking_uri(None)
        assert np.abs(again - second.qualifier.predict_proba(X)[:, 1]).max() <= 1e-12

        watched = monitor(
            qualifier, community, log=True, beside=tmp_path / "watch", tracking_uri=uri, rounds=20
        )
        assert client.get_run(watched.run.run_id).data.tags["advice"] == watched.advice


@pytest.mark.slow
def test_fifty_trials_are_cheap_and_each_is_there_once_when_the_server_died_among_them(
    small_community, tmp_path, monkeypatch
):
    asked = {"tracking.enabled": False, "evaluation.enabled": False}
    done = train(job(tmp_path, asked), community=small_community, show_progress=False)
    server, tuning = tracking_server(tmp_path), made_up(50)
    common = {"bundle": done.bundle, "tracking_uri": f"http://127.0.0.1:{server.port}", "patience": 120.0}
    with server:
        seconds = []
        for some in (None, None, tuning):  # the first imports MLflow and makes the experiment
            began = time.monotonic()
            assert not log_run(done.qualifier, tuning=some, **common).pending
            seconds.append(time.monotonic() - began)
        print(
            f"logging a run: first {seconds[0]:.1f} s, then {seconds[1]:.1f} s, with 50 trials {seconds[2]:.1f} s"
        )
        assert seconds[2] - seconds[1] < 10

        real, made = Timed.__getattr__, []

        def dying(self, name):
            made.append(name)
            if made.count("create_run") == 20 and server.process is not None:
                server.kill()
            return real(self, name)

        monkeypatch.setattr(Timed, "__getattr__", dying)
        with pytest.warns(LeadlightWarning, match="did not take the run"):
            lost = log_run(done.qualifier, tuning=tuning, run_name="lost", **common)
        monkeypatch.undo()
        server.start()
        (sent,) = sync(tmp_path)
        assert (sent.problem, sent.run.run_id) == ("", lost.run_id)
        client = MlflowClient(tracking_uri=common["tracking_uri"])
        experiment = client.get_experiment_by_name("leadlight").experiment_id
        below = client.search_runs([experiment], f"tags.mlflow.parentRunId = '{lost.run_id}'")
        names = [run.info.run_name for run in below if run.info.run_name.startswith("trial")]
        assert len(names) == len(set(names)) == 51
        assert {run.info.status for run in below} == {"FINISHED"}
