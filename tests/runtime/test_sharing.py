"""One scorer in many threads and in forked children: the same answers, and no lock that a child could wait for."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import leadlight
from leadlight.runtime import load

EVENTS = [{"occurred_at": "2024-03-01T10:00:00", "action": "question", "tags": ["visa"]}]
AT = "2024-04-01"
FORKING = """
import os, signal, sys, threading
from leadlight.runtime import load

events = [{"occurred_at": "2024-03-01T10:00:00", "action": "question", "tags": ["visa"]}]
scorer = load(sys.argv[1])
expected = load(sys.argv[1]).predict(events, at="2024-04-01")
stop = threading.Event()

def ask():
    while not stop.is_set():
        scorer.predict(events, at="2024-04-01")

threads = [threading.Thread(target=ask, daemon=True) for _ in range(4)]
for thread in threads:
    thread.start()
codes = []
for _ in range(30):
    child = os.fork()
    if child == 0:
        signal.alarm(10)  # a child that waits for a lock is ended, and seen
        right = scorer.predict(events, at="2024-04-01") == expected
        os._exit(0 if right else 1)
    codes.append(os.waitpid(child, 0)[1])
stop.set()
for thread in threads:
    thread.join()
print(codes)
"""


def score_in_a_child(path):
    return load(path).predict(EVENTS, at=AT).probability


@pytest.fixture
def bundle(scorer, tmp_path):
    scorer.save(tmp_path / "model")
    return tmp_path / "model"


def test_eight_threads_give_the_answers_of_one(bundle, X):
    many = np.tile(X, (10, 1))
    alone = load(bundle)
    expected, one = alone.predict_proba(many), alone.predict(EVENTS, at=AT)
    # A fresh one, so that the threads meet it before anything was asked.
    shared = load(bundle)
    with ThreadPoolExecutor(8) as pool:
        rows = list(pool.map(lambda _: shared.predict_proba(many), range(8)))
        members = list(pool.map(lambda _: shared.predict(EVENTS, at=AT), range(200)))
    assert all(np.array_equal(found, expected) for found in rows)
    assert set(map(repr, members)) == {repr(one)}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_children_forked_while_threads_predict_answer(bundle):
    done = subprocess.run(
        [sys.executable, "-c", FORKING, str(bundle)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(Path(leadlight.__file__).parents[1])},
    )
    assert done.stdout.strip() == str([0] * 30)


def test_spawned_children_answer(bundle):
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        found = pool.submit(score_in_a_child, bundle).result(timeout=60)
    assert found == score_in_a_child(bundle)


def test_after_loading_nothing_is_left_to_be_made_at_the_first_call(bundle):
    scorer = load(bundle)
    made = [set(vars(part)) for part in (scorer, scorer.model, scorer.model.trees, scorer.model.linear)]
    scorer.predict(EVENTS, at=AT)
    scorer.explain(np.zeros((3, len(scorer.columns))))
    assert scorer.version
    assert [
        set(vars(part)) for part in (scorer, scorer.model, scorer.model.trees, scorer.model.linear)
    ] == made
