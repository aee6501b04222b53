"""The program that mypy and pyright read also runs."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[2] / "examples" / "typed_front_door.py"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::leadlight.errors.LeadlightWarning")
def test_the_typed_example_runs(capsys):
    spec = importlib.util.spec_from_file_location("typed_front_door", PROGRAM)
    program = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(program)
    program.main()
    assert capsys.readouterr().out.startswith("Simulated: ")
