"""Threads, children, killed saves and a million predictions, each in a process of its own; see `tests.runtime.processes`."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.runtime.conftest import rows

import leadlight
from leadlight.kernels.native import extension
from leadlight.runtime import Scorer, load
from leadlight.runtime.storage import write_files

ROOT = Path(__file__).parents[2]
GROWTH_MB = 5

posix = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and kill -9")
linux = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads its memory from /proc")


@pytest.fixture(scope="module")
def saved(scorer, model, plan, tmp_path_factory):
    """Two bundles that differ."""
    folder = tmp_path_factory.mktemp("saved")
    scorer.save(folder / "old")
    Scorer(replace(model, threshold=0.4), plan, scorer.info).save(folder / "new")
    return folder / "old", folder / "new"


def run(what, *paths, times=1):
    done = subprocess.run(
        [sys.executable, "-m", "tests.runtime.processes", what, *map(str, paths), "--times", str(times)],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={
            **os.environ,
            "PYTHONPATH": str(Path(leadlight.__file__).parents[1]),
            "OPENBLAS_NUM_THREADS": "1",
        },
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout)


# Threads and children.


@pytest.mark.parametrize("kernels", ["native", "reference"])
def test_eight_threads_say_of_ten_thousand_rows_what_one_says(scorer, plan, saved, monkeypatch, kernels):
    if kernels == "native" and extension() is None:
        pytest.skip("the native kernels were not built")
    monkeypatch.setenv("LEADLIGHT_KERNELS", kernels)
    X = rows(plan, 10_000, seed=4)
    alone = scorer.predict_proba(X), scorer.explain_rows(X[:200])[0]
    fresh = load(saved[0])  # what is made at first use is made by eight at once
    together = threading.Barrier(8)

    def work(_):
        together.wait(60)
        p = fresh.predict_proba(X)
        values = fresh.explain_rows(X[:200])[0]
        event = fresh.predict([{"occurred_at": "2024-03-01", "action": "question"}], at="2024-04-01")
        return p, values, event

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(work, range(8)))
    for p, values, event in found:
        np.testing.assert_array_equal(p, alone[0])
        np.testing.assert_array_equal(values, alone[1])
        assert event == found[0][2]


@posix
def test_forked_and_spawned_children_answer_as_their_parent(saved):
    found = run("children", saved[0])
    assert found == dict.fromkeys(found, True)
    assert {"threads", "fork", "spawn"} <= set(found)


# Memory.


@linux
def test_predictions_leave_no_memory_behind(saved):
    assert run("growth", saved[0], times=20_000)["grown_mb"] < GROWTH_MB


@linux
@pytest.mark.slow
def test_a_million_predictions_leave_no_memory_behind(saved):
    assert run("growth", saved[0], times=1_000_000)["grown_mb"] < GROWTH_MB


# Saves that are killed, and saves side by side.


@posix
@pytest.mark.parametrize("name", ["m", "m.zip"])
@pytest.mark.parametrize("times", [10, pytest.param(100, marks=pytest.mark.slow)])
def test_kill_9_while_saving_leaves_the_old_or_the_new_and_the_next_save_cleans_up(
    saved, tmp_path, name, times
):
    found = run("killed", *saved, tmp_path / name, times=times)
    assert found["old"] + found["new"] == times
    assert found["strays"] > 0, "no kill came while something was written"


@posix
@pytest.mark.parametrize("name", ["m", "m.zip"])
def test_savers_side_by_side_disturb_neither_each_other_nor_a_reader(saved, tmp_path, name):
    found = run("beside", *saved, tmp_path / name, times=10)
    assert found["failed"] == 0
    assert found["reads"] > 0
    assert [path.name for path in tmp_path.iterdir()] == [name]


def stray(folder, name):
    path = folder / f".{name}.{secrets.token_hex(8)}"
    path.mkdir()
    (path / "manifest.json").write_bytes(b"{}")
    return path


@posix
@pytest.mark.parametrize("name", ["m", "m.zip"])
def test_what_a_killed_save_left_is_removed_by_the_next_one_to_the_same_place(scorer, tmp_path, name):
    ours = [stray(tmp_path, name) for _ in range(3)]
    others = [stray(tmp_path, "n"), stray(tmp_path, f"{name}.old"), tmp_path / f".{name}.notes"]
    others[2].mkdir()
    scorer.save(tmp_path / name)
    assert not any(path.exists() for path in ours)
    assert all(path.exists() for path in others)


@posix
def test_what_is_still_being_written_is_left_alone(scorer, tmp_path):
    import fcntl

    busy = stray(tmp_path, "m")
    handle = os.open(busy, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        scorer.save(tmp_path / "m")
        assert busy.exists()
    finally:
        os.close(handle)
    scorer.save(tmp_path / "m")
    assert not busy.exists()


@posix
def test_where_there_are_no_locks_it_saves_all_the_same(scorer, tmp_path, monkeypatch):
    import fcntl

    def none(*_):
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", none)
    left = stray(tmp_path, "m")
    scorer.save(tmp_path / "m")
    assert load(tmp_path / "m").digest == scorer.digest
    assert left.exists()


def test_a_reader_of_an_old_name_sees_the_bundle_through_a_link(scorer, tmp_path):
    scorer.save(tmp_path / "v1")
    (tmp_path / "current").symlink_to("v1", target_is_directory=True)
    write_files(scorer._bundle, tmp_path / "current")
    assert (tmp_path / "current").is_symlink()
    assert load(tmp_path / "current").digest == scorer.digest
