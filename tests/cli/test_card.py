"""The verb card."""

from __future__ import annotations

import subprocess
import sys

import pytest
from tests.examples.conftest import new_scorer

from leadlight.cli import main


@pytest.fixture
def bundle(tmp_path):
    new_scorer().save(tmp_path / "model")
    return str(tmp_path / "model")


def test_a_card_is_printed_or_written(bundle, tmp_path, capsys):
    assert main(["card", bundle]) == 0
    printed = capsys.readouterr().out
    assert printed == new_scorer().card()
    assert main(["card", bundle, "--out", str(tmp_path / "card.md")]) == 0
    assert (tmp_path / "card.md").read_text(encoding="utf-8") == printed


def test_a_missing_bundle_is_one_line_and_code_two(tmp_path, capsys):
    assert main(["card", str(tmp_path / "nothing")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_card_needs_numpy_alone(bundle):
    program = (
        "import sys; from leadlight.cli import main\n"
        f"assert main(['card', {bundle!r}]) == 0\n"
        "print([n for n in ('pandas', 'pyarrow', 'sklearn', 'lightgbm', 'shap') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
