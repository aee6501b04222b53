"""The Python of docs/explanations.md runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd

from leadlight.explain.over_the_line import NOTE

PAGE = Path(__file__).parents[2] / "docs" / "explanations.md"


def test_the_python_of_the_page_on_explanations_runs_in_order(
    qualifier, community, split, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 8
    names = {"qualifier": qualifier, "community": community, "at": community.frozen_us + 1, "test": split[1]}
    for block in blocks:
        exec(compile(block, PAGE.name, "exec"), names)
    p = names["scores"].frame["probability"].to_numpy()
    np.testing.assert_allclose(names["total"], np.log(p / (1 - p)), atol=1e-9)
    np.testing.assert_allclose(names["points"].sum(axis=1), np.round(100 * p, 2), atol=1e-9)
    assert names["shown"]["member_id"].nunique() == 3
    assert len(pd.read_csv("points.csv")) == len(names["table"])
    assert names["lost"].notna().all().all()
    assert 'class="evidence"' in Path("report.html").read_text(encoding="utf-8")
    assert 'class="evidence"' not in Path("to_share.html").read_text(encoding="utf-8")
    said = capsys.readouterr().out
    assert ", typical is " in said
    assert said.endswith(f"{NOTE}\n")
