"""The page on catalogues: its Python runs as written, and its tables are those of the code."""

from __future__ import annotations

import re
from pathlib import Path

import leadlight as ll

PAGE = (Path(__file__).parents[2] / "docs" / "catalogues.md").read_text(encoding="utf-8")


def test_the_python_of_the_page_runs_as_written():
    blocks = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert len(blocks) == 2
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, "catalogues.md", "exec"), names)
    assert [b.name for b in names["catalogue"]][-1] == "tries the product"


def test_the_behaviour_of_the_page_has_five_lines():
    found = re.search(r"^trials = .*?^\)", PAGE, re.DOTALL | re.MULTILINE)
    assert found is not None
    assert len(found[0].splitlines()) == 5


def test_the_tables_are_those_of_the_code():
    """Where one differs, put the output of `print(catalogue.to_markdown())` in its place."""
    shown = dict(re.findall(r"<!-- table: (\w+) -->\n((?:\|.*\n)+)", PAGE))
    assert shown == {name: getattr(ll, name).to_markdown() + "\n" for name in (
        "CORPORATE_COMMUNITY", "PASSIVE_CANDIDATE", "QUESTION_COMMUNITY",
    )}  # fmt: skip


def test_the_recruiting_page_says_what_it_must_not_be_used_for():
    section = PAGE.partition("### What it must not be used for")[2].partition("\n## ")[0]
    assert "Employment decisions without people" in section
    assert "One's own staff" in section
