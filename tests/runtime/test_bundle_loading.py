"""Loading runs nothing, imports nothing and opens nothing but the bundle; neither does predicting."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

import leadlight
from leadlight.errors import BundleError, InputError
from leadlight.runtime import load
from leadlight.runtime.archive import zipped

WATCHED = """
import json, os, sys

class Nothing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"pandas", "sklearn", "lightgbm", "shap", "mlflow", "pyarrow", "scipy", "polars", "duckdb"}:
            raise ImportError(name + " is not there")

sys.meta_path.insert(0, Nothing())
import numpy as np
from leadlight.runtime import load

KEPT_QUIET = {"builtins.id", "os.scandir", "object.__getattr__"}
seen, watching = [], [False]

def note(event, args):
    if watching[0] and event not in KEPT_QUIET:
        seen.append([event, *map(str, args)])

sys.addaudithook(note)
for planted in sys.argv[2:]:
    watching[0] = True
    exec(planted)
    watching[0] = False
events = [{"occurred_at": "2024-03-01", "action": "question", "tags": ["visa"]}]
watching[0] = True
scorer = load(sys.argv[1])
X = np.zeros((3, len(scorer.columns)))
found = [scorer.predict(events, at="2024-04-01", reasons=n) for n in (0, 3)]
scorer.predict([], at="2024-04-01")
scorer.predict_rows(X)
scorer.predict_proba(X)
scorer.explain_rows(X)
state = scorer.state()
state.update(events)
scorer.predict(state, at="2024-04-01")
watching[0] = False
print(json.dumps([seen, found[1].to_dict()]))
"""


def watched(path, kernels, *planted):
    """Load and predict in a new process with numpy alone; return the audit events and a prediction."""
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, str(path), *planted],
        capture_output=True,
        text=True,
        check=True,
        env={
            **os.environ,
            "PYTHONPATH": str(Path(leadlight.__file__).parents[1]),
            "LEADLIGHT_KERNELS": kernels,
        },
    )
    return json.loads(done.stdout)


@pytest.mark.parametrize("kernels", ["", "reference"])
@pytest.mark.parametrize("name", ["model", "model.zip"])
def test_loading_and_predicting_open_the_bundle_and_do_nothing_else(scorer, tmp_path, name, kernels):
    scorer.save(tmp_path / name)
    seen, answer = watched(tmp_path / name, kernels)
    own = {str(tmp_path / name), *(path.name for path in tmp_path.rglob("*"))}
    assert [event for event in seen if event[0] != "open" or event[1] not in own] == []
    assert any(event[0] == "open" for event in seen)
    events = [{"occurred_at": "2024-03-01", "action": "question", "tags": ["visa"]}]
    assert answer["probability"] == pytest.approx(scorer.predict(events, at="2024-04-01").probability)


@pytest.mark.parametrize(
    ("planted", "event"),
    [
        ("import colorsys", "import"),
        ("eval('1')", "compile"),
        ("import pickle; pickle.loads(b'cos\\ngetcwd\\n.')", "pickle.find_class"),
        ("open(os.devnull)", "open"),
        ("os.system('true')", "os.system"),
        ("import socket; socket.socket()", "socket.__new__"),
    ],
)
def test_the_watch_sees_what_it_is_for(scorer, tmp_path, planted, event):
    scorer.save(tmp_path / "m")
    seen, _ = watched(tmp_path / "m", "", planted)
    assert event in [name for name, *_ in seen]


# Archives.


def archive(tmp_path, members, **options):
    path = tmp_path / "m.zip"
    with zipfile.ZipFile(path, "w", **options) as file:
        for name, data in members:
            file.writestr(name, data)
    return path


@pytest.fixture
def files(scorer, tmp_path):
    scorer.save(tmp_path / "plain")
    return [(path.name, path.read_bytes()) for path in sorted((tmp_path / "plain").iterdir())]


def test_a_zip_has_fixed_dates_and_no_path(scorer, tmp_path):
    scorer.save(tmp_path / "m.zip")
    with zipfile.ZipFile(tmp_path / "m.zip") as file:
        entries = file.infolist()
    assert {entry.date_time for entry in entries} == {(1980, 1, 1, 0, 0, 0)}
    assert {entry.create_system for entry in entries} == {3}
    assert not any("/" in entry.filename or entry.extra or entry.comment for entry in entries)


def test_a_stored_zip_is_read(scorer, files, tmp_path):
    assert load(archive(tmp_path, files, compression=zipfile.ZIP_STORED)).digest == scorer.digest


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_compression_is_refused(files, tmp_path, method):
    with pytest.raises(BundleError, match="another way than deflate"):
        load(archive(tmp_path, files, compression=method))


def test_an_encrypted_file_is_refused(scorer, tmp_path):
    data = bytearray(zipped(dict(scorer._bundle)))
    for signature, at in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        data[data.find(signature) + at] |= 1
    (tmp_path / "m.zip").write_bytes(data)
    with pytest.raises(BundleError, match="encrypted"):
        load(tmp_path / "m.zip")


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("name", ["plan.json", "manifest.json"])
def test_a_file_that_is_there_twice_is_refused(files, tmp_path, name):
    with pytest.raises(BundleError, match=r"twice|2 files manifest\.json"):
        load(archive(tmp_path, [*files, (name, dict(files)[name])]))


def test_two_bundles_in_one_zip_are_refused(files, tmp_path):
    members = [(f"{folder}/{name}", data) for folder in "ab" for name, data in files]
    with pytest.raises(BundleError, match=r"2 files manifest\.json"):
        load(archive(tmp_path, members))


def test_names_that_lead_elsewhere_are_passed_over_and_nothing_is_written(scorer, files, tmp_path):
    members = [
        *files,
        ("../evil.npy", b"x"),
        ("/tmp/evil.npy", b"x"),
        ("sub/evil.npy", b"x"),
        ("C:\\evil.npy", b"x"),
    ]
    path = archive(tmp_path, members)
    before = sorted(tmp_path.rglob("*"))
    assert load(path).digest == scorer.digest
    assert sorted(tmp_path.rglob("*")) == before


def test_a_path_as_a_name_in_the_manifest_is_no_file_of_the_bundle(files, tmp_path):
    manifest = json.loads(dict(files)["manifest.json"])
    manifest["files"]["../plain/plan.json"] = "0" * 64
    path = archive(tmp_path, [*files[:0], *(dict(files) | {"manifest.json": json.dumps(manifest)}).items()])
    with pytest.raises(BundleError, match="lacks"):
        load(path, check_hashes=False)


def test_an_archive_behind_something_else_is_refused(scorer, tmp_path):
    scorer.save(tmp_path / "m.zip")
    (tmp_path / "both.zip").write_bytes(b"#!/bin/sh\n" + (tmp_path / "m.zip").read_bytes())
    with pytest.raises(BundleError, match="before the archive"):
        load(tmp_path / "both.zip")


def test_an_archive_of_very_many_files_is_refused_before_they_are_listed(tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "m.zip", "w") as file:
        for i in range(20_000):
            file.writestr(f"{i:050}", b"")
    monkeypatch.setattr(zipfile.ZipFile, "_RealGetContents", lambda _: pytest.fail("it was listed"))
    with pytest.raises(BundleError, match="more files"):
        load(tmp_path / "m.zip")


def test_a_member_that_unpacks_to_more_than_it_says_is_cut_off(files, tmp_path):
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in files:
            file.writestr(name, data if name != "golden_x.npy" else bytes(8 << 20))
    data = bytearray(bomb.getvalue())
    size = (8 << 20).to_bytes(4, "little")
    while (at := data.find(size)) >= 0:
        data[at : at + 4] = (4096).to_bytes(4, "little")
    (tmp_path / "m.zip").write_bytes(data)
    with pytest.raises(BundleError):
        load(tmp_path / "m.zip", max_bytes=1 << 20)


# Digests.


def test_a_digest_may_name_its_algorithm(scorer, tmp_path):
    scorer.save(tmp_path / "m")
    for digest in (
        scorer.digest,
        f"sha256:{scorer.digest}",
        f"SHA256:{scorer.digest.upper()}",
        scorer.version,
    ):
        assert load(tmp_path / "m", digest=digest).digest == scorer.digest
    with pytest.raises(BundleError, match="digest"):
        load(tmp_path / "m", digest=f"md5:{scorer.digest}")
    with pytest.raises(InputError, match="digest is a int"):
        load(tmp_path / "m", digest=5)


def test_an_expected_digest_has_the_hashes_checked_in_any_case(scorer, tmp_path):
    scorer.save(tmp_path / "m")
    path = tmp_path / "m" / "quantiles.npy"
    data = bytearray(path.read_bytes())
    data[-8:] = np.float64(1.0).tobytes()
    path.write_bytes(data)
    assert load(tmp_path / "m", check_hashes=False).version == scorer.version
    with pytest.raises(BundleError, match="quantiles"):
        load(tmp_path / "m", check_hashes=False, digest=scorer.digest)


@pytest.mark.parametrize(
    ("old", "new"),
    [('"threshold": 0.3', '"threshold": 0.2'), ("within 90 days", "within 30 days"), ("true", "false")],
)
def test_an_edited_manifest_is_found_without_a_digest(scorer, tmp_path, old, new):
    scorer.save(tmp_path / "m")
    path = tmp_path / "m" / "manifest.json"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(BundleError, match=r"manifest\.json is damaged or was edited"):
        load(tmp_path / "m")
    load(tmp_path / "m", check_hashes=False)


def test_an_infinite_number_in_the_manifest_is_no_number(scorer, tmp_path):
    scorer.save(tmp_path / "m")
    path = tmp_path / "m" / "manifest.json"
    path.write_text(path.read_text().replace('"average_precision": 0.25', '"average_precision": 1e999'))
    with pytest.raises(BundleError, match="1e999 is too large"):
        load(tmp_path / "m", check_hashes=False)
