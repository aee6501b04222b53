"""`import leadlight` is light, complete, and the same for people and for type checkers."""

from __future__ import annotations

import ast
import importlib
import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest

import leadlight as ll

HEAVY = ("shap", "mlflow", "sklearn", "pandas", "lightgbm", "pyarrow", "duckdb", "matplotlib", "joblib")


def imported_by(code: str) -> set[str]:
    """Return the heavy packages that a fresh interpreter has loaded after `code`."""
    program = f"import sys\n{code}\nprint(*(name for name in {HEAVY!r} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def seen_by_type_checkers() -> set[str]:
    """Return the names that the front door imports under TYPE_CHECKING."""
    tree = ast.parse(Path(ll.__file__).read_text(encoding="utf-8"))
    guarded = next(node for node in tree.body if isinstance(node, ast.If))
    return {alias.name for node in guarded.body if isinstance(node, ast.ImportFrom) for alias in node.names}


def test_import_leadlight_imports_nothing_heavy():
    assert imported_by("import leadlight") == set()


def test_load_and_the_scorer_import_nothing_heavy():
    assert imported_by("import leadlight; leadlight.load; leadlight.Scorer; leadlight.Prediction") == set()


def test_behaviours_import_nothing_heavy():
    assert imported_by("import leadlight; leadlight.CORPORATE_COMMUNITY") == set()


@pytest.mark.parametrize("name", ll.__all__)
def test_every_promised_name_is_there(name):
    assert getattr(ll, name) is not None


@pytest.mark.parametrize("name", ["evaluation", "testing", "tracking"])
def test_these_rooms_are_reachable_as_attributes(name):
    assert getattr(ll, name) is importlib.import_module(f"leadlight.{name}")


def test_a_name_is_the_object_of_its_room():
    assert ll.Community is importlib.import_module("leadlight.community").Community


def test_evaluate_is_a_function_beside_the_module_evaluation():
    assert callable(ll.evaluate)
    assert not callable(ll.evaluation)


def test_type_checkers_see_the_same_names():
    assert seen_by_type_checkers() == set(ll.__all__) - {"__version__"}


def test_dir_lists_every_name():
    assert set(ll.__all__) <= set(dir(ll))


def test_a_misspelt_name_is_answered_with_the_nearest():
    with pytest.raises(AttributeError, match="did you mean 'LeadClassifier'"):
        _ = ll.LeadClasifier


def test_the_version_is_that_of_the_installed_package():
    assert ll.__version__ == importlib.metadata.version("leadlight")
