"""Rows that cannot be used are saved whole, with the reason."""

from __future__ import annotations

import json
import math

import pytest

from leadlight.community import Community, reading, spool
from leadlight.errors import InputError

HOSTILE = "a\"b;c,d\n\u202e'; DROP TABLE x; --\x01"
LOG = [
    {"member_id": "ann", "occurred_at": "2024-03-01T10:00:00", "action": "view", "value": 1.5},
    {"member_id": "ann", "occurred_at": HOSTILE, "action": HOSTILE, "value": math.nan},
    {"member_id": None, "occurred_at": "2024-03-02T10:00:00", "action": "view", "value": 2.0},
    {"member_id": "bob", "occurred_at": "2024-03-03T10:00:00", "action": "view", "value": None},
]
DEALS = [
    {"deal_id": 1, "member_id": "ann", "outcome": "won", "closed_at": "soon"},
    {"deal_id": 2, "member_id": "ann", "outcome": "won", "closed_at": None},
    {"deal_id": 3, "member_id": "ann", "outcome": "won", "closed_at": "2024-03-05"},
]


def saved(folder, name):
    return [json.loads(line) for line in (folder / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("rows", [1, 3, 100])
def test_refused_rows_are_saved_as_the_source_held_them(rows, tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "BATCH_ROWS", rows)
    monkeypatch.setattr(spool, "SPILL_ROWS", 0)
    community = Community(LOG, deals=DEALS, refused=tmp_path)
    found = saved(tmp_path, "activity")
    assert [(r["row"], r["reason"]) for r in found] == [
        (1, "occurred_at cannot be read"),
        (2, "member_id is null"),
    ]
    assert found[0]["values"]["occurred_at"] == found[0]["values"]["action"] == HOSTILE
    assert [(r["values"]["deal_id"], r["reason"]) for r in saved(tmp_path, "deals")] == [
        (1, "closed_at cannot be read"),
        (2, "closed without closed_at"),
    ]
    assert community.rejects["rows"].sum() == 4
    assert sorted(p.name for p in tmp_path.iterdir()) == ["activity.jsonl", "deals.jsonl"]


def test_rows_after_the_freeze_are_saved_too(tmp_path):
    log = [{**LOG[0], "occurred_at": f"2024-03-{1 + i:02}T10:00:00"} for i in range(25)] + [
        {**LOG[0], "occurred_at": "2099-01-01T00:00:00"}
    ]
    Community(log, frozen_at="2024-12-31", refused=tmp_path)
    (found,) = saved(tmp_path, "activity")
    assert (found["row"], found["reason"]) == (25, "after frozen_at")
    assert found["values"]["occurred_at"].startswith("2099-01-01")


def test_a_clean_reading_removes_the_files_of_an_earlier_one_and_no_other(tmp_path):
    (tmp_path / "mine.txt").write_text("kept")
    Community(LOG, refused=tmp_path)
    Community(LOG[:1], refused=tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


def test_a_reading_that_fails_leaves_the_files_of_an_earlier_one(tmp_path):
    Community(LOG, refused=tmp_path)
    before = saved(tmp_path, "activity")
    with pytest.raises(InputError, match="1 rows"):
        Community(LOG[:2], refused=tmp_path, strict=True)
    assert [p.name for p in tmp_path.iterdir()] == ["activity.jsonl"]
    assert saved(tmp_path, "activity") == before


def test_forgetting_writes_no_file(tmp_path):
    community = Community(LOG, deals=DEALS, refused=tmp_path)
    for path in tmp_path.iterdir():
        path.unlink()
    community.forget("bob")
    assert list(tmp_path.iterdir()) == []
