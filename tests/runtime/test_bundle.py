"""Saving and loading: the same bytes, the same answers, and one error for every damage."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import textwrap
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import leadlight
from leadlight.errors import BundleError, InputError
from leadlight.runtime import Scorer, load, storage
from leadlight.runtime.bundle import digest, pack, unpack
from leadlight.runtime.npy import from_npy, to_npy
from leadlight.runtime.storage import read_files, write_files


@pytest.fixture
def saved(scorer, tmp_path):
    scorer.save(tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture(scope="module")
def files(scorer):
    return pack(scorer.model, scorer.plan, scorer.info)


def contents(folder):
    return {p.name: p.read_bytes() for p in Path(folder).iterdir()}


def rehashed(files):
    """Give the manifest the hashes of the files as they are now."""
    manifest = json.loads(files["manifest.json"])
    manifest["files"] = {name: hashlib.sha256(files[name]).hexdigest() for name in manifest["files"]}
    return files | {"manifest.json": json.dumps(manifest).encode()}


def test_a_loaded_model_answers_as_the_saved_one(scorer, saved, X):
    loaded = load(saved)
    np.testing.assert_array_equal(loaded.predict_proba(X), scorer.predict_proba(X))
    np.testing.assert_array_equal(loaded.explain_rows(X)[0], scorer.explain_rows(X)[0])
    assert loaded.predict_rows(X[:20]) == scorer.predict_rows(X[:20])
    assert loaded.info == scorer.info
    assert loaded.plan == scorer.plan
    assert loaded.version == scorer.version


@pytest.mark.parametrize("name", ["model", "model.zip"])
def test_equal_models_give_equal_bytes(scorer, model, plan, tmp_path, name):
    places = [tmp_path / str(i) / name for i in range(3)]
    scorer.save(places[0])
    Scorer(model, plan, dict(reversed(scorer.info.items()))).save(places[1])
    load(places[0]).save(places[2])
    first, *others = [contents(p.parent if name.endswith("zip") else p) for p in places]
    assert others == [first, first]


def test_a_zip_answers_as_the_folder(saved, tmp_path, X):
    load(saved).save(tmp_path / "own.zip")
    shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path, "model")
    for name in ("own.zip", "packed.zip"):
        loaded = load(tmp_path / name)
        assert loaded.version == load(saved).version
        np.testing.assert_array_equal(loaded.predict_proba(X), load(saved).predict_proba(X))


def test_half_a_model_is_a_bundle(model, plan, tmp_path, X):
    Scorer(replace(model, linear=None, linear_weight=0.0, threshold=float("nan")), plan).save(tmp_path / "m")
    loaded = load(tmp_path / "m")
    assert loaded.model.linear is None
    assert not loaded.predict_rows(X[:1])[0].qualified


def test_the_bundle_names_no_machine(files):
    text = b"".join(files.values())
    for secret in (str(Path.cwd()), str(Path.home()), os.uname().nodename):
        assert len(secret) < 4 or secret.encode() not in text


def test_no_file_holds_a_pickle(saved):
    for path in saved.glob("*.npy"):
        np.load(path, allow_pickle=False)
    assert {p.suffix for p in saved.iterdir()} == {".json", ".npy"}


def test_numpys_own_writer_gives_the_same_arrays():
    for array in (np.arange(5.0), np.zeros((3, 2)), np.arange(3, dtype=np.uint8), np.zeros(0, np.int32)):
        data = to_npy(array)
        np.testing.assert_array_equal(np.load(io.BytesIO(data), allow_pickle=False), array)
        found = from_npy(data, "x")
        np.testing.assert_array_equal(found, array)
        assert found.dtype == array.dtype


SERVING = """
import json, sys

class Nothing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"pandas", "sklearn", "lightgbm", "shap", "mlflow", "pyarrow", "scipy", "polars", "duckdb"}:
            raise ImportError(name + " is not there")

sys.meta_path.insert(0, Nothing())
import numpy as np
from leadlight.runtime import load

scorer = load(sys.argv[1])
X = np.load(sys.argv[2])
p = scorer.predict_proba(X)[:, 1].tolist()
scorer.predict_rows(X[:3])
one = scorer.predict([{"occurred_at": "2024-03-01", "action": "question"}], at="2024-04-01").to_dict()
print(json.dumps({"p": p, "one": one}))
"""


def test_a_new_process_with_numpy_alone_scores_alike(scorer, saved, tmp_path, X):
    np.save(tmp_path / "x.npy", X)
    source = str(Path(leadlight.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SERVING), str(saved), str(tmp_path / "x.npy")],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": source},
    )
    found = json.loads(done.stdout)
    np.testing.assert_allclose(found["p"], scorer.predict_proba(X)[:, 1], rtol=0, atol=1e-12)
    event = [{"occurred_at": "2024-03-01", "action": "question"}]
    assert found["one"] == scorer.predict(event, at="2024-04-01").to_dict()


# Damage.


def mutilated(files, rng):
    """Damage one file in one of many ways; return what was done and the files."""
    name = str(rng.choice(sorted(files)))
    data = bytearray(files[name])
    kind = str(rng.choice(["cut", "flip", "number", "splice", "zeros", "swap", "drop", "text"]))
    at = int(rng.integers(len(data)))
    if kind == "cut":
        data = data[:at]
    elif kind == "flip":
        data[at] ^= 1 << int(rng.integers(8))
    elif kind == "number" and name.endswith(".npy") and len(data) > 136:
        at = 128 + 8 * int(rng.integers((len(data) - 128) // 8))
        odd = [np.nan, np.inf, -1.0, 1e308, 1e-320, 2.0**31, 3.0]
        data[at : at + 8] = np.float64(rng.choice(odd)).tobytes()
    elif kind == "splice":
        other = files[str(rng.choice(sorted(files)))]
        data = data[:at] + other[int(rng.integers(len(other))) :]
    elif kind == "zeros":
        data[at : at + 40] = bytes(len(data[at : at + 40]))
    elif kind == "swap":
        data = bytearray(files[str(rng.choice(sorted(files)))])
    elif kind == "drop":
        return f"{kind} {name}", {n: d for n, d in files.items() if n != name}
    else:
        old, new = [(b'"', b"["), (b"1", b"9"), (b"0.", b"1e99"), (b"true", b"NaN"), (b",", b"")][
            rng.integers(5)
        ]
        data = bytearray(bytes(data).replace(old, new, int(rng.integers(1, 4))))
    return f"{kind} {name} at {at}", files | {name: bytes(data)}


def outcome(files, **options):
    """Return the model, or None after a BundleError; nothing else may happen."""
    try:
        return unpack(files, **options)
    except BundleError:
        return None


@pytest.mark.parametrize("mode", ["hashes", "no hashes", "new hashes"])
@pytest.mark.parametrize("seed", range(10))
def test_a_damaged_bundle_is_refused_or_sound(files, X, mode, seed):
    rng = np.random.default_rng([seed, len(mode)])
    for _ in range(20):
        what, damaged = mutilated(files, rng)
        if mode == "new hashes":
            try:
                damaged = rehashed(damaged)
            except (ValueError, KeyError, TypeError, AttributeError):
                continue
        parts = outcome(damaged, check_hashes=mode != "no hashes")
        if mode == "hashes" and damaged != files:
            changed = {n for n in files if damaged.get(n) != files[n]}
            assert parts is None or changed == {"manifest.json"}, what
        if parts is not None:
            scorer = Scorer(parts.model, parts.plan, parts.info)
            assert np.isfinite(scorer.model.log_odds(X)).all(), what
            values, base = scorer.explain_rows(X)
            np.testing.assert_allclose(
                base + values.sum(axis=1), scorer.model.log_odds(X), rtol=1e-9, atol=1e-9, err_msg=what
            )
            golden = from_npy(damaged["golden_x.npy"], "x")
            said = from_npy(damaged["golden_log_odds.npy"], "y")
            np.testing.assert_allclose(
                scorer.model.log_odds(golden), said, rtol=1e-9, atol=1e-9, err_msg=what
            )
            scorer.predict(
                [{"occurred_at": "2024-03-01", "action": "question", "tags": ["visa"]}], at="2024-04-01"
            )


def test_any_edited_array_is_found_by_its_hash(files):
    for name in files:
        if name != "manifest.json":
            damaged = files | {name: files[name][:-1] + bytes([files[name][-1] ^ 1])}
            with pytest.raises(BundleError, match=name):
                unpack(damaged)


@pytest.mark.parametrize("name", ["trees_leaf_value.npy", "linear_coef.npy"])
def test_an_edited_number_is_found_by_the_golden_rows(files, name):
    array = from_npy(files[name], name) * 1.5
    with pytest.raises(BundleError, match="does not repeat"):
        unpack(files | {name: to_npy(array)}, check_hashes=False)


def test_the_digest_pins_the_bundle(files, saved):
    found = digest(files)
    assert load(saved, digest=found).digest == found
    assert load(saved, digest=found[:12]).version == found[:12]
    for wrong in ("0" * 64, found[:11]):
        with pytest.raises(BundleError, match="digest"):
            load(saved, digest=wrong)


def test_a_newer_format_says_what_to_install(files):
    manifest = json.loads(files["manifest.json"]) | {"format": 3}
    with pytest.raises(BundleError, match="Install a newer leadlight"):
        unpack({"manifest.json": json.dumps({"format": manifest["format"]}).encode()})


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", "null", "[" * 100_000, '{"format": NaN}', '{"format": true}', '{"format": -1}']
)
def test_a_manifest_that_is_none_is_refused(files, text):
    with pytest.raises(BundleError):
        unpack(files | {"manifest.json": text.encode()})


def test_a_header_that_announces_more_than_there_is_allocates_nothing():
    data = to_npy(np.zeros(3)).replace(b"(3,), }", b"(999999999999,), }".ljust(7))
    with pytest.raises(BundleError, match="header"):
        from_npy(data, "x")


def test_a_missing_bundle_is_named(tmp_path):
    with pytest.raises(BundleError, match="nowhere"):
        load(tmp_path / "nowhere")


def test_a_folder_that_is_no_bundle_says_so(tmp_path):
    with pytest.raises(BundleError, match=r"no manifest\.json"):
        load(tmp_path)


def test_a_larger_bundle_than_allowed_is_not_read(saved, tmp_path):
    load(saved).save(tmp_path / "m.zip")
    for path in (saved, tmp_path / "m.zip"):
        with pytest.raises(BundleError, match="max_bytes"):
            load(path, max_bytes=3000)


def test_a_zip_cannot_unpack_to_more_than_it_announces(tmp_path):
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("manifest.json", b" " * 50_000_000)
    with pytest.raises(BundleError, match="max_bytes"):
        load(tmp_path / "bomb.zip", max_bytes=1 << 20)


@pytest.mark.parametrize("seed", range(40))
def test_a_damaged_zip_is_refused_or_whole(scorer, tmp_path, seed):
    rng = np.random.default_rng(seed)
    path = tmp_path / "m.zip"
    scorer.save(path)
    data = bytearray(path.read_bytes())
    for _ in range(int(rng.integers(1, 4))):
        data[rng.integers(len(data))] ^= 1 << int(rng.integers(8))
    path.write_bytes(data[: rng.integers(len(data))] if seed % 4 == 0 else data)
    with contextlib.suppress(BundleError):
        assert load(path).version == scorer.version


def test_a_pipe_in_the_folder_is_refused_and_not_waited_for(saved):
    (saved / "plan.json").unlink()
    os.mkfifo(saved / "plan.json")
    with pytest.raises(BundleError, match="no plain file"):
        load(saved)


# Replacing.


def other(files):
    return {"manifest.json": b"{}", "plan.json": b"new"}


def test_an_old_bundle_is_replaced_whole(files, tmp_path):
    write_files(files, tmp_path / "m")
    write_files(other(files), tmp_path / "m")
    assert contents(tmp_path / "m") == other(files)
    assert [p.name for p in tmp_path.iterdir()] == ["m"]


def test_files_that_are_no_bundle_are_not_deleted(files, tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.docx").write_text("years")
    (tmp_path / "photo.zip").write_text("a picture")
    (tmp_path / "note").write_text("text")
    for name in ("thesis", "photo.zip", "note"):
        with pytest.raises(InputError, match="left as it is"):
            write_files(files, tmp_path / name)
    assert (tmp_path / "thesis" / "chapter.docx").read_text() == "years"


class Killed(BaseException):
    """Stands for kill -9: no handler of ours may clean up after it."""


@pytest.mark.parametrize("name", ["m", "m.zip"])
@pytest.mark.parametrize("step", range(12))
def test_a_killed_save_leaves_the_old_or_the_new(scorer, model, plan, tmp_path, monkeypatch, name, step):
    """The process dies at the n-th call that changes the disk."""
    target = tmp_path / name
    scorer.save(target)
    new = Scorer(model, plan, dict(scorer.info) | {"estimand": "another"})
    left = [step]

    def dying(call):
        def wrapped(*args, **more):
            left[0] -= 1
            if left[0] < 0:
                raise Killed
            return call(*args, **more)

        return wrapped

    with monkeypatch.context() as patch:
        for owner, attribute in (
            (Path, "rename"),
            (Path, "replace"),
            (Path, "mkdir"),
            (Path, "unlink"),
            (shutil, "rmtree"),
        ):
            patch.setattr(owner, attribute, dying(getattr(owner, attribute)))
        patch.setattr(storage, "_flush", dying(storage._flush))
        with contextlib.suppress(Killed):
            new.save(target)
    assert load(target).version in (scorer.version, new.version)
    new.save(target)
    assert load(target).version == new.version
    assert sorted(p.name for p in tmp_path.iterdir() if p.name.endswith(".previous")) == []


def test_a_full_disk_leaves_the_old(scorer, saved, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            scorer.save(saved)
    assert load(saved).version == scorer.version
    assert [p.name for p in saved.parent.iterdir()] == ["model"]


def test_a_reader_finds_the_old_files_between_the_two_renames(files, tmp_path):
    write_files(files, tmp_path / ".m.previous")
    assert read_files(tmp_path / "m", 1 << 30) == files


def test_a_reader_of_old_files_that_are_just_removed_finds_the_new_ones(files, tmp_path, monkeypatch):
    write_files(files, tmp_path / ".m.previous")
    (tmp_path / ".m.previous" / "manifest.json").unlink()
    read = storage._read_folder

    def then_renamed(folder, max_bytes):
        found = read(folder, max_bytes)
        if folder.name == ".m.previous":
            write_files(files, tmp_path / "m")
        return found

    monkeypatch.setattr(storage, "_read_folder", then_renamed)
    assert read_files(tmp_path / "m", 1 << 30) == files


@pytest.mark.parametrize("gone", [True, False])
def test_a_saver_waits_for_another_that_is_replacing_the_same_bundle(files, tmp_path, monkeypatch, gone):
    target, real, looks = tmp_path / "m", Path.iterdir, []
    write_files(files, target)

    def while_replaced(folder):
        if folder != target or looks:
            return real(folder)
        looks.append(1)
        target.rename(tmp_path / "aside")
        if gone:
            return real(folder)
        write_files(files, target)
        return iter([folder / "plan.json"])

    monkeypatch.setattr(Path, "iterdir", while_replaced)
    write_files(files, target)
    assert looks
    assert read_files(target, 1 << 30) == files


def test_a_folder_that_has_lost_its_manifest_for_good_is_not_replaced(files, tmp_path):
    write_files(files, tmp_path / "m")
    (tmp_path / "m" / "manifest.json").unlink()
    with pytest.raises(InputError, match=r"no manifest\.json"):
        write_files(files, tmp_path / "m")


def test_a_place_that_never_comes_to_rest_is_not_written_to(files, tmp_path, monkeypatch):
    write_files(files, tmp_path / "m")

    def gone(folder):
        raise FileNotFoundError(folder)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "iterdir", gone)
        with pytest.raises(OSError, match="keep saving to the same place"):
            write_files({}, tmp_path / "m")
    assert read_files(tmp_path / "m", 1 << 30) == files
