"""The README's Python runs as it stands, on two CSV files."""

import re
from pathlib import Path

import pandas as pd
import pytest

from leadlight.simulate import SimulationParameters, simulate_tables

README = Path(__file__).parents[1] / "README.md"


@pytest.fixture
def two_files(tmp_path, monkeypatch):
    """A log with e-mail addresses and a list of deals keyed by e-mail, in the current directory."""
    busy = SimulationParameters(score_contacts=0.008, random_contacts=0.001)
    tables, _ = simulate_tables(members=1_200, weeks=80, seed=11, parameters=busy)
    log, members = tables["activity"].to_pandas(), tables["members"].to_pandas()
    email = members.drop_duplicates("member_id").set_index("member_id")["email"]
    log["email"] = log["member_id"].map(email)
    log["tags"] = ["" if tags is None else "|".join(tags) for tags in log["tags"]]
    log[["member_id", "occurred_at", "action", "email", "tags", "group_id"]].to_csv(
        tmp_path / "activity.csv", index=False
    )
    deals = tables["deals"].to_pandas()
    deals[["email", "outcome", "closed_at"]].to_csv(tmp_path / "deals.csv", index=False)
    (tmp_path / "models").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.filterwarnings("ignore::leadlight.errors.LeadlightWarning")
def test_the_python_of_the_readme_runs_in_order(two_files, capsys):
    """From two files to a ranked list with reasons, an MLflow run and a prediction."""
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 4
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, "README.md", "exec"), names)
    called = pd.read_csv(two_files / "call_list.csv")
    assert 0 < len(called) <= 40
    assert called["probability"].is_monotonic_decreasing
    assert called["reason_1"].notna().all()
    assert 0 < names["prediction"].probability < 1
    assert not names["run"].pending
    assert "matched" in capsys.readouterr().out


def test_the_first_example_has_ten_lines_at_most():
    """From two CSV files to a ranked list with reasons."""
    first = re.search(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert len([line for line in first[1].splitlines() if line.strip()]) <= 10
