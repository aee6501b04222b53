"""The web service, asked over real HTTP in a process of its own."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.examples.conftest import EXAMPLES, new_scorer

import leadlight

EVENTS = [
    {"occurred_at": "2024-03-01T10:00:00Z", "action": "question"},
    {"occurred_at": "2024-03-09T10:00:00Z", "action": "question"},
]
AT = "2024-04-01T00:00:00Z"
STARTING_S = 30


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Client:
    def __init__(self, port: int) -> None:
        self.port = port

    def ask(self, method: str, path: str, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, path, json.dumps(body), {"content-type": "application/json"})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def predict(self, **body):
        return self.ask("POST", "/predict", body)


@contextmanager
def served(bundle, **environment):
    """Start the service in a child, wait until it answers, and end it."""
    port = free_port()
    source = str(Path(leadlight.__file__).parents[1])
    process = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", "service:app", "--port", str(port), "--log-level", "warning"],
        cwd=EXAMPLES / "service",
        env={**os.environ, "PYTHONPATH": source, "LEADLIGHT_MODEL": str(bundle), **environment},
        stderr=subprocess.PIPE,
        text=True,
    )
    client = Client(port)
    try:
        give_up = time.monotonic() + STARTING_S
        while True:
            try:
                client.ask("GET", "/health")
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > give_up:
                    raise AssertionError(f"the service did not start: {process.stderr.read()}") from None
                time.sleep(0.05)
        yield client
    finally:
        process.terminate()
        process.wait(timeout=10)
        process.stderr.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("service")
    new_scorer().save(folder / "model")
    return folder


@pytest.fixture(scope="module")
def client(folder):
    with served(folder / "model") as client:
        yield client


def test_the_answer_is_that_of_the_scorer(client):
    status, answer = client.predict(events=EVENTS, at=AT, member={"joined_at": "2024-01-01T00:00:00Z"})
    expected = new_scorer().predict(EVENTS, {"joined_at": "2024-01-01T00:00:00Z"}, at=AT)
    assert status == 200
    assert answer == expected.to_dict()


def test_health_names_the_model(client):
    scorer = new_scorer()
    status, answer = client.ask("GET", "/health")
    assert status == 200
    assert (answer["model_version"], answer["digest"]) == (scorer.version, scorer.digest)


def test_a_member_without_history_is_a_cold_start(client):
    status, answer = client.predict(events=[], at=AT)
    assert status == 200
    assert answer["cold_start"]


def test_what_was_not_sent_is_missing_and_what_is_null_is_known_to_be_none(client):
    _, without = client.predict(events=EVENTS, at=AT, member={})
    _, null = client.predict(events=EVENTS, at=AT, member={"joined_at": None})
    assert "joined_at" in without["missing"]
    assert "joined_at" not in null["missing"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"events": []}, "at="),
        ({"events": [{"occurred_at": "2024-03-01", "action": ""}], "at": AT}, "no action"),
        ({"events": EVENTS, "peers": {"peers_x": 1}}, "peers_x"),
        ({"events": [{"occured_at": "2024-03-01", "action": "view"}]}, "occured_at"),
        ({"events": EVENTS, "reasons": -1}, "reasons"),
        ({"events": [{"occurred_at": "yesterday", "action": "view"}]}, "occurred_at"),
    ],
)
def test_facts_that_cannot_be_used_are_named(client, body, said):
    status, answer = client.predict(**body)
    assert status == 422
    assert said in json.dumps(answer)


def test_many_requests_at_once_get_the_answer_of_one(client):
    _, expected = client.predict(events=EVENTS, at=AT)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: client.predict(events=EVENTS, at=AT), range(64)))
    assert found == [(200, expected)] * 64


def test_a_reload_takes_the_new_model_and_refuses_a_broken_one(tmp_path):
    new_scorer().save(tmp_path / "model")
    with served(tmp_path / "model") as client:
        other = new_scorer(threshold=0.01)
        other.save(tmp_path / "model")
        assert client.ask("POST", "/reload")[0] == 200
        assert client.predict(events=EVENTS, at=AT)[1]["model_version"] == other.version
        (tmp_path / "model" / "manifest.json").write_text("{")
        status, answer = client.ask("POST", "/reload")
        assert status == 409
        assert "old model stays" in answer["detail"]
        assert client.predict(events=EVENTS, at=AT)[1]["model_version"] == other.version


def test_another_model_than_the_expected_one_stops_the_start(folder):
    with pytest.raises(AssertionError, match="digest"), served(folder / "model", LEADLIGHT_DIGEST="0" * 12):
        pass


def test_the_process_imports_numpy_and_no_training_stack(folder):
    program = (
        "import sys, service; service.open_scorer()\n"
        "print([n for n in ('pandas', 'sklearn', 'lightgbm', 'shap', 'mlflow', 'pyarrow') if n in sys.modules])"
    )
    source = str(Path(leadlight.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=EXAMPLES / "service",
        env={**os.environ, "PYTHONPATH": source, "LEADLIGHT_MODEL": str(folder / "model")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"
