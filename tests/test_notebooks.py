"""The rules of the notebooks that need no run; `make notebooks` runs them."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))

each = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def cells(path, kind):
    found = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [(cell, "".join(cell["source"])) for cell in found if cell["cell_type"] == kind]


def test_the_five_of_the_front_page_are_there():
    first = {"quick_start", "own_data", "add_a_behaviour", "why_this_score", "how_good_is_it"}
    assert first <= {path.stem for path in NOTEBOOKS}


@each
def test_no_output_is_kept_in_git(path):
    code = [cell for cell, _ in cells(path, "code")]
    assert all(not cell["outputs"] and cell["execution_count"] is None for cell in code)


@each
def test_no_function_is_defined(path):
    for _, source in cells(path, "code"):
        plain = "\n".join(line for line in source.splitlines() if not line.startswith("%"))
        kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
        assert not [node for node in ast.walk(ast.parse(plain)) if isinstance(node, kinds)]


@each
def test_text_is_short(path):
    assert max(len(source) for _, source in cells(path, "markdown")) < 700


@each
def test_there_is_a_picture(path):
    code = "\n".join(source for _, source in cells(path, "code"))
    assert "Figure(" in code or "plot_" in code


@each
def test_what_is_simulated_says_so(path):
    """At the top, in what is printed, and in every label of a picture drawn here."""
    code = [source for _, source in cells(path, "code")]
    if not any("simulate_community" in source for source in code):
        return
    assert "simulated" in cells(path, "markdown")[0][1]
    for source in code:
        plain = "\n".join(line for line in source.splitlines() if not line.startswith("%"))
        calls = [ast.unparse(node) for node in ast.walk(ast.parse(plain)) if isinstance(node, ast.Call)]
        printed = [call for call in calls if call.startswith("print(")]
        assert all("imulated" in call or ".sentence" in call for call in printed)
        if "Figure(" in source and "xlabel" in source:
            assert "simulated" in source
