"""Every block of docs/serving.md runs as it stands."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from leadlight.cli import main

PAGE = Path(__file__).parents[2] / "docs" / "serving.md"


def test_the_blocks_of_the_page_run_in_order(scorer, tmp_path, monkeypatch, capsys):
    scorer.save(tmp_path / "models" / "mine")
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```(\w+)\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert {language for language, _ in blocks} == {"python", "sh"}
    names: dict[str, object] = {}
    for language, block in blocks:
        if language == "python":
            exec(compile(block, "serving.md", "exec"), names)
            continue
        for line in block.splitlines():
            program, *arguments = shlex.split(line)
            assert program == "leadlight"
            assert main(arguments) == 0
    assert names["prediction"].missing == ("member_id", "other_member_id")
    assert names["new"].cold_start
    assert (tmp_path / "card.md").read_text(encoding="utf-8") == scorer.card()
    said = capsys.readouterr().out
    assert "There is no bundle at models/other" in said
    assert "did you mean 'occured_at'" in said
    assert "say for which moment" in said
