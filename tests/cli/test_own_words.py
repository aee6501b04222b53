"""Options that say what columns and words are called."""

from __future__ import annotations

import pytest

from leadlight.cli import main
from leadlight.cli.own_words import columns_of, values_of
from leadlight.errors import InputError
from leadlight.tracking.config import TrainConfig
from leadlight.tracking.inputs import open_community

LOG = 'User,When,Event,Labels\n17,03/04/2025 9:05 PM,topic_viewed,"a,b"\n'
COLUMNS = {"member_id": "User", "occurred_at": "When", "action": "Event", "tags": "Labels"}


def test_pairs_become_mappings():
    assert columns_of(["deals.email=Contact Email"]) == {"deals.email": "Contact Email"}
    assert values_of(["action.PM sent=connect", "action.a=b=view", "outcome.Proposal=open"]) == {
        "action": {"PM sent": "connect", "a=b": "view"},
        "outcome": {"Proposal": "open"},
    }


@pytest.mark.parametrize("text", ["view", "action=view", "action.=view", ".a=b", "action.topic_viewed"])
def test_what_is_no_word_of_a_column_is_refused(text):
    with pytest.raises(InputError, match=r"write COLUMN\.YOURS=OURS"):
        values_of([text])


def test_a_configuration_reads_an_export_as_it_comes(tmp_path):
    (tmp_path / "log.csv").write_text(LOG)
    data = {
        "activity": str(tmp_path / "log.csv"),
        "columns": COLUMNS,
        "values": {"action": {"topic_viewed": "view"}},
        "day_first": False,
        "tag_separator": ",",
    }
    community = open_community(TrainConfig.of({"data": data}).data)
    assert community.action_counts() == {"view": 1}
    assert community.activity["tags"].to_pylist() == [["a", "b"]]
    assert str(community.activity["occurred_at"][0].as_py())[:16] == "2025-03-04 21:05"


@pytest.mark.parametrize(
    ("key", "value"), [("values", {"action": {"a": "b"}}), ("day_first", True), ("tag_separator", ",")]
)
def test_the_spark_engine_says_that_it_reads_none_of_these(key, value):
    data = {"activity": "log.csv", "engine": "spark", key: value}
    with pytest.raises(InputError, match="spark engine reads neither"):
        open_community(TrainConfig.of({"data": data}).data)


@pytest.mark.parametrize("verb", ["evaluate", "train"])
def test_the_command_line_takes_them_as_options(verb, tmp_path, capsys):
    """The log is read; what it lacks is another matter."""
    (tmp_path / "log.csv").write_text(LOG)
    options = ["--activity", str(tmp_path / "log.csv"), "--first", "month", "--tag-separator", ","]
    options += [part for ours, own in COLUMNS.items() for part in ("--columns", f"{ours}={own}")]
    assert main([verb, *options, "--values", "action.topic_viewed=view"]) == 2
    told = capsys.readouterr().err
    assert "cannot be read" not in told
    assert main([verb, *options, "--values", "topic_viewed=view"]) == 2
    assert "COLUMN.YOURS=OURS" in capsys.readouterr().err
    assert main([verb, *options[:2], *options[6:]]) == 2
    assert "day_first=True) or the month" in capsys.readouterr().err
