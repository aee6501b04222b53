"""The Python of the documentation runs as it stands, page by page, on two CSV files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.test_readme import two_files

__all__ = ["two_files"]  # a fixture

DOCS = Path(__file__).parents[1] / "docs"
BLOCK = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
ELSEWHERE = ("explanations.md", "serving.md")  # with what they need, in tests/evaluation and tests/runtime
PAGES = sorted(
    page
    for page in DOCS.rglob("*.md")
    if page.name not in ELSEWHERE and BLOCK.search(page.read_text(encoding="utf-8"))
)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::leadlight.errors.LeadlightWarning")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(DOCS).as_posix())
def test_the_python_of_a_page_runs_in_order(page, two_files):
    names: dict[str, object] = {}
    for block in BLOCK.findall(page.read_text(encoding="utf-8")):
        exec(compile(block, str(page), "exec"), names)


def test_the_pages_that_people_start_from_are_among_them():
    assert {"application.md", "data_scientist.md", "training_job.md"} <= {page.name for page in PAGES}
    assert all((DOCS / name).is_file() for name in ELSEWHERE)
