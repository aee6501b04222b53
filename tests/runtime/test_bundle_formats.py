"""Bundles that older versions wrote answer as they did then; each file of `formats` was written by the code of its time."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from leadlight.errors import BundleError
from leadlight.runtime import load
from leadlight.runtime.archive import zipped
from leadlight.runtime.bundle import pack, unpack
from leadlight.runtime.manifest import FORMAT, SEAL

FORMATS = Path(__file__).with_name("formats")
KEPT = sorted(path.stem for path in FORMATS.glob("*.zip"))


@pytest.mark.parametrize("name", KEPT)
def test_a_kept_bundle_answers_as_when_it_was_saved(name):
    answers = json.loads((FORMATS / f"{name}.json").read_text())
    scorer = load(FORMATS / f"{name}.zip", digest=f"sha256:{answers['digest']}")
    table = {column: np.array(values, dtype=object) for column, values in answers["rows"].items()}
    if "encoded" in name:
        with pytest.warns(UserWarning, match="unseen"):
            p = scorer.predict_proba(table)[:, 1]
    else:
        p = scorer.predict_proba(table)[:, 1]
        found = scorer.predict([{"occurred_at": "2024-03-01", "action": "question"}], at="2024-03-20")
        assert found.probability == pytest.approx(answers["event"]["probability"], rel=1e-9)
        texts = [reason["text"] for reason in answers["event"]["reasons"]]
        assert [reason.text for reason in found.reasons] == texts
    np.testing.assert_allclose(p, answers["probability"], rtol=1e-9)


@pytest.mark.parametrize("name", KEPT)
def test_a_kept_bundle_stays_what_it_is_when_it_is_saved_again(name, tmp_path):
    scorer = load(FORMATS / f"{name}.zip")
    scorer.save(tmp_path / "again")
    assert load(tmp_path / "again", digest=scorer.digest).digest == scorer.digest


def test_there_is_a_kept_bundle_of_every_format():
    written = {json.loads(load(FORMATS / f"{name}.zip")._bundle["manifest.json"])["format"] for name in KEPT}
    assert written == set(range(1, FORMAT + 1))


def test_what_is_saved_has_the_newest_format(scorer):
    files = pack(scorer.model, scorer.plan, scorer.info)
    assert json.loads(files["manifest.json"])["format"] == FORMAT


def test_a_bundle_cannot_be_passed_off_as_older_to_avoid_the_seal(scorer):
    files = pack(scorer.model, scorer.plan, scorer.info)
    text = files["manifest.json"].decode()
    older = text.replace(f'"format": {FORMAT}', '"format": 1')
    lines = [line for line in text.splitlines() if SEAL not in line]
    for edited in (older, "\n".join(lines)):
        with pytest.raises(BundleError, match=rf"edited|{SEAL}"):
            unpack(files | {"manifest.json": edited.encode()})


def test_a_newer_format_in_a_zip_says_what_to_install(tmp_path):
    path = tmp_path / "m.zip"
    path.write_bytes(zipped({"manifest.json": json.dumps({"format": FORMAT + 1}).encode()}))
    with pytest.raises(BundleError, match=rf"format {FORMAT + 1}.*reads up to {FORMAT}.*newer leadlight"):
        load(path, check_hashes=False)
