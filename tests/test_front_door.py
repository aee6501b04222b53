"""`import leadlight` is light, complete, and the same for people and for type checkers."""

from __future__ import annotations

import ast
import doctest
import importlib
import importlib.metadata
import inspect
import pydoc
import subprocess
import sys
from pathlib import Path

import pytest

import leadlight as ll

HEAVY = ("shap", "mlflow", "sklearn", "pandas", "lightgbm", "pyarrow", "duckdb", "matplotlib", "joblib")


MAKERS = [n for n in ll.__all__ if inspect.isclass(getattr(ll, n)) or inspect.isfunction(getattr(ll, n))]
"""Classes and functions of the front door."""

RETURNED = (
    "leadlight.qualifier:Leads",
    "leadlight.qualifier:Scores",
    "leadlight.evaluation:Report",
    "leadlight.evaluation:Audit",
    "leadlight.sources:CrmTables",
    "leadlight.simulate:Truth",
    "leadlight.runtime.predictions:Predictions",
    "leadlight.runtime.state:MemberState",
    "leadlight.explain:OverTheLine",
)
"""What they return without being of the front door."""

CONTRACT = {
    "data": "Community read_segment read_stackexchange simulate_community",
    "rows": "observe Observations build_features CommunityFeatures TemporalSplit",
    "behaviours": "Behaviour Catalogue CORPORATE_COMMUNITY QUESTION_COMMUNITY PASSIVE_CANDIDATE",
    "algebra": "Count Sum Recency FirstTime Tenure Trend Ratio Distinct Entropy Visits Completeness Surprise Peers",
    "model": "qualify LeadQualifier LeadClassifier PointsScorer Capacity Costs MissRate evaluate",
    "serving": "load Scorer Prediction Reason",
    "rooms": "evaluation testing tracking",
}
"""The names that users rely on; one more is a promise, one less a break."""


def returned(path):
    room, name = path.split(":")
    return getattr(importlib.import_module(room), name)


def public_members(kind):
    """Return (name, docstring) of the methods and properties that our classes add to a class."""
    found = {}
    for base in kind.__mro__:
        if base.__module__.startswith("leadlight."):
            for name, value in vars(base).items():
                told = inspect.isfunction(value) or isinstance(value, (property, classmethod, staticmethod))
                told |= type(value).__name__ == "cached_property"
                if told and not name.startswith("_"):
                    found.setdefault(
                        name,
                        inspect.getdoc(getattr(kind, name)) if inspect.isfunction(value) else value.__doc__,
                    )
    return found


def examples_of(text):
    """Return the statements of a docstring that are run."""
    found = doctest.DocTestParser().get_examples(text or "")
    return [example for example in found if not example.options.get(doctest.SKIP)]


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


def test_there_are_the_names_of_the_contract_and_no_more():
    assert set(ll.__all__) - {"__version__"} == set(" ".join(CONTRACT.values()).split())


def test_dir_lists_every_name():
    assert set(ll.__all__) <= set(dir(ll))


def test_a_misspelt_name_is_answered_with_the_nearest():
    with pytest.raises(AttributeError, match="did you mean 'LeadClassifier'"):
        _ = ll.LeadClasifier


def test_the_version_is_that_of_the_installed_package():
    assert ll.__version__ == importlib.metadata.version("leadlight")


@pytest.mark.parametrize("name", ll.__all__)
def test_every_name_says_what_it_is(name):
    thing = getattr(ll, name)
    assert isinstance(thing, str) or len(inspect.getdoc(thing) or "") > 20


@pytest.mark.parametrize("name", MAKERS)
def test_every_class_and_function_has_an_example_that_runs(name):
    """pytest runs them: `--doctest-modules`."""
    text = inspect.getdoc(getattr(ll, name))
    assert "Examples\n--------" in text
    assert len(examples_of(text)) >= 2 or name == "MissRate"


@pytest.mark.parametrize("name", ll.__all__)
def test_no_example_is_hidden_by_its_module(name):
    """An example is run where its object is defined, so that must be in the package."""
    thing = getattr(ll, name)
    assert getattr(thing, "__module__", "leadlight").startswith("leadlight")


@pytest.mark.parametrize("kind", [*(n for n in MAKERS if inspect.isclass(getattr(ll, n))), *RETURNED])
def test_every_public_method_says_what_it_does(kind):
    thing = returned(kind) if ":" in kind else getattr(ll, kind)
    assert [name for name, text in public_members(thing).items() if not text] == []


def test_help_is_a_first_page():
    """The short path first, then every name, in one screen and a half."""
    text = inspect.getdoc(ll)
    assert len(text.splitlines()) <= 60
    assert text.index("qualify(") < text.index("LeadClassifier")
    assert "leads = ll.qualify(" in pydoc.render_doc(ll, renderer=pydoc.plaintext)


@pytest.mark.parametrize("name", [n for n in ll.__all__ if not n.startswith("__")])
def test_help_names_every_name(name):
    """The algebra is named by its first members."""
    algebra = importlib.import_module("leadlight.behaviours.algebra")
    if hasattr(algebra, name):
        name = "Count"
    assert f"{name}`" in inspect.getdoc(ll) or f"ll.{name}" in inspect.getdoc(ll)


@pytest.mark.parametrize("name", ll.__all__)
def test_the_typed_example_uses_every_name(name):
    """What mypy and pyright see of it in `make types` is then all of the front door."""
    text = (Path(__file__).parents[1] / "examples" / "typed_front_door.py").read_text(encoding="utf-8")
    assert f"ll.{name}" in text


def test_without_the_training_stack_a_name_says_what_is_lacking(monkeypatch):
    """Where only NumPy is installed."""
    monkeypatch.setitem(sys.modules, "pandas", None)
    for name in [n for n in sys.modules if n.startswith("leadlight.community")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(vars(ll), "Community", raising=False)
    with pytest.raises(ImportError, match=r"leadlight\.Community needs pandas.*without --no-deps"):
        ll.Community  # noqa: B018
