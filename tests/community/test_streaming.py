"""A log that is read in batches and kept in files is the log that is read at once and kept in memory."""

from __future__ import annotations

import gc
import io
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import fields
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.memory import PEAK_BYTES, needs_peak

from leadlight.community import Community, reading, spool
from leadlight.errors import InputError

MAPS = Path("/proc/self/maps")

HOSTILE = [
    {"member_id": "1", "occurred_at": "2024-03-01", "action": "view", "event_id": "1", "tags": "b|a;b"},
    {"member_id": "30", "occurred_at": "2024-03-01T10:00:00", "action": 'q"; --', "event_id": "7", "tags": None},
    {"member_id": "2", "occurred_at": "yesterday", "action": "view", "event_id": None, "tags": '["x;y", "a"]'},
    {"member_id": "1", "occurred_at": "2024-03-02T10:00:00.123456789+02:00", "action": "雪", "event_id": "1", "tags": "[bad"},
    {"member_id": None, "occurred_at": "2024-03-02", "action": "view", "event_id": "e", "tags": ""},
    {"member_id": "2", "occurred_at": "2024-03-03T01:00:00", "action": "", "event_id": "1", "tags": "|"},
    {"member_id": "2", "occurred_at": "2024-03-03T01:00:00", "action": "post", "event_id": "7", "tags": " a "},
    {"member_id": "late text", "occurred_at": "20240304", "action": "view", "event_id": "é", "tags": "c"},
]  # fmt: skip
MORE = {
    "known_at": [
        "2024-04-01",
        None,
        "",
        "2024-03-09T00:00:00",
        None,
        None,
        "2024-03-10",
        "2024-03-01T00:00:00",
    ],
    "other_member_id": [None, "2", "1", "2", "2", "2", "zed", None],
    "group_id": ["g2", "g1", None, "", "g1", "g1", "g3", "g1"],
    "other_role": [None, "r", "r", "r", "r", "r", "q", "r"],
    "other_domain": ["x.example", None, None, "https://www.Y.example/", None, None, "?", "x.example"],
    "duration_s": ["1.5", "3", "x", "9007199254740993", "1", "1", "2", "1e3"],
    "content_id": ["5", "6", "5", "6", "5", "6", "5", None],
    "field": ["f", None, None, None, None, None, "g", "f"],
    "value": ["v", None, None, None, None, None, "", None],
    "source": ["web"] * 7 + ["simulated"],
    "email": ["Ann <a@x.example>", "b@y.example", None, "a+1@x.example", None, None, "none", "c@x.example"],
}
ROWS = [{**row, **{name: values[i] for name, values in MORE.items()}} for i, row in enumerate(HOSTILE)]
DEALS = [
    {"deal_id": d, "email": e, "outcome": "won", "closed_at": "2024-03-05"}
    for d, e in (("p", "A@X.example"), ("q", "b@y.example"), ("r", "who@z.example"), ("s", "no address"))
]
MEMBERS = [{"member_id": "2", "email": "c@x.example", "account_id": "k"}]


def facts(community):
    """All that a community holds, in plain values."""
    log = community.log
    arrays = {f.name: getattr(log, f.name) for f in fields(log) if f.name != "dictionaries"}
    return {
        **{name: None if a is None else a.tolist() for name, a in arrays.items()},
        "dictionaries": dict(log.dictionaries),
        "activity": community.activity.to_pylist(),
        "rejects": community.rejects.to_dict("records"),
        "matches": community.matches.astype(str).to_dict("records"),
        "deals": community.deals.astype(str).to_dict("records"),
        "members": community.members.facts.astype(str).reset_index().to_dict("records"),
        "known": (community.fingerprint, community.frozen_us, community.start_us, repr(community)),
        "repeated": community.repeated_events,
        "words": [community.vocabulary(a, min_members=1) for a in ("tag", "group", "role", "field")],
    }


def in_batches(monkeypatch, rows=1, spilled=True):
    monkeypatch.setattr(reading, "BATCH_ROWS", rows)
    monkeypatch.setattr(spool, "BLOCK_ROWS", 2)
    monkeypatch.setattr(spool, "SPILL_ROWS", 0 if spilled else 1000)


def parquet(folder):
    pq.write_table(pa.Table.from_pylist(ROWS[:3]), folder / "1.parquet")
    pq.write_table(pa.Table.from_pylist(ROWS[3:]), folder / "2.parquet", row_group_size=2)
    return folder / "*.parquet"


def csv(folder):
    pd.DataFrame(ROWS[:5]).to_csv(folder / "1.csv", index=False)
    pd.DataFrame(ROWS[5:]).to_csv(folder / "2.csv", index=False)
    return str(folder / "*.csv")


def relation(folder):
    connection = duckdb.connect()
    connection.register("log", pa.Table.from_pylist(ROWS))
    return connection.table("log")


FORMS = {
    "parquet": parquet,
    "csv": csv,
    "duckdb": relation,
    "pandas": lambda folder: pd.DataFrame(ROWS),
    "objects": lambda folder: pd.DataFrame(ROWS, dtype=object),
    "categories": lambda folder: pd.DataFrame(ROWS).astype({"group_id": "category", "tags": "category"}),
    "polars": lambda folder: pl.DataFrame(ROWS),
    "arrow": lambda folder: pa.Table.from_pylist(ROWS),
    "reader": lambda folder: pa.Table.from_pylist(ROWS).to_reader(max_chunksize=3),
    "rows": lambda folder: ROWS,
}


@pytest.mark.parametrize("spilled", [False, True], ids=["memory", "files"])
@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("form", FORMS)
def test_batches_of_any_form_give_the_community_of_the_whole(form, rows, spilled, tmp_path, monkeypatch):
    options = {"members": MEMBERS, "deals": DEALS, "frozen_at": "2024-12-31"}
    expected = facts(Community(ROWS, **options))
    in_batches(monkeypatch, rows, spilled)
    assert facts(Community(FORMS[form](tmp_path), **options)) == expected


def test_what_is_set_aside_for_the_freeze_and_for_repeats_is_the_same(monkeypatch):
    log = [{**ROWS[0], "event_id": str(i % 25), "occurred_at": f"2024-03-01T10:{i:02}:00"} for i in range(40)]
    log[3]["occurred_at"] = "2099-01-01"
    expected = facts(Community(log, frozen_at="2024-12-31"))
    assert expected["repeated"] == 14
    assert expected["rejects"][-1]["sample"] == [3]
    in_batches(monkeypatch)
    assert facts(Community(log, frozen_at="2024-12-31")) == expected


@pytest.mark.parametrize("gone", ["1", "2", "late text"])
def test_forgetting_is_the_same(gone, monkeypatch):
    whole = Community(ROWS, members=MEMBERS, deals=DEALS)
    count = whole.forget(gone)
    in_batches(monkeypatch)
    community = Community(ROWS, members=MEMBERS, deals=DEALS)
    assert community.forget(gone) == count
    assert facts(community) == facts(whole)


def test_a_row_that_repeated_one_of_a_forgotten_member_counts_again(monkeypatch):
    in_batches(monkeypatch)
    log = [
        {"member_id": m, "occurred_at": f"2024-03-0{d}", "action": "view", "event_id": 1}
        for m, d in (("ann", 1), ("bob", 2))
    ]
    community = Community(log)
    assert community.members.ids.tolist() == ["ann"]
    community.forget("ann")
    assert community.members.ids.tolist() == ["bob"]


def test_rows_that_are_set_aside_keep_their_places(monkeypatch):
    in_batches(monkeypatch)
    when = [f"2024-03-01T10:{i:02}:00" for i in range(50)]
    when[3] = when[7] = "2099-01-01"
    log = [{"member_id": f"m{i}", "occurred_at": t, "action": "view"} for i, t in enumerate(when)]
    community = Community(log, frozen_at="2024-12-31")
    community.forget("m5")
    assert community.rejects["sample"].tolist() == [[3, 6]]
    assert community._tables["activity"]["member_id"].to_pylist() == [f"m{i}" for i in range(50) if i != 5]


def test_a_tag_counts_once_in_a_row_and_the_table_keeps_the_row_as_it_was(monkeypatch):
    in_batches(monkeypatch)
    community = Community([{**HOSTILE[0], "event_id": None, "tags": tags} for tags in ("b|a;b", None, "c")])
    assert community.activity["tags"].to_pylist() == [["b", "a", "b"], None, ["c"]]
    assert community.log.tag_offsets.tolist() == [0, 2, 2, 3]
    assert community.log.tag_codes.tolist() == [0, 1, 2]


@pytest.mark.parametrize("column", ["member_id", "event_id", "content_id"])
@pytest.mark.parametrize("late", ["x", "9223372036854775808", "007"])
def test_one_late_text_makes_all_identifiers_text(column, late, monkeypatch):
    in_batches(monkeypatch)
    log = [
        {"member_id": i, "event_id": i, "content_id": i, "occurred_at": "2024-03-01", "action": "view"}
        for i in ("1", "2", "9007199254740993")
    ]
    found = Community([*log, {**log[0], "event_id": "4", column: late}]).activity[column]
    assert sorted(found.to_pylist()) == sorted(["1", "2", "9007199254740993", late])


def test_whole_numbers_stay_numbers_where_some_batches_hold_none(monkeypatch):
    in_batches(monkeypatch)
    log = [
        {"member_id": "5", "event_id": e, "occurred_at": "2024-03-01", "action": "view"}
        for e in (None, "1", "", "2")
    ]
    assert Community(log).activity["event_id"].to_pylist() == [None, 1, None, 2]


def test_a_time_is_read_alike_whatever_stands_beside_it():
    """One time in nanoseconds must not make a date beyond their range unreadable."""
    log = [
        {"member_id": "a", "occurred_at": t, "action": "view"}
        for t in ("2024-03-01T10:00:00.123456789", "9998-01-01T00:00:00", "1500-01-01T00:00:00Z")
    ]
    community = Community(log)
    assert community.rejects.empty
    assert [t.year for t in community.activity["occurred_at"].to_pylist()] == [2024, 9998, 1500]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_files_without_rows_are_a_log(suffix, tmp_path, monkeypatch):
    in_batches(monkeypatch)
    empty = pd.DataFrame({"member_id": [], "occurred_at": [], "action": [], "tags": []}, dtype=str)
    for name in "ab":
        path = tmp_path / f"{name}.{suffix}"
        empty.to_csv(path, index=False) if suffix == "csv" else empty.to_parquet(path)
    assert len(Community(str(tmp_path / f"*.{suffix}")).log) == 0


def test_strict_names_the_first_rows_of_all_batches(monkeypatch):
    in_batches(monkeypatch)
    with pytest.raises(InputError, match=r"2 rows of the activity table: occurred_at.*rows \[1, 3\]"):
        Community(
            [{**ROWS[0], "occurred_at": t} for t in ("2024-01-01", "x", "2024-01-02", "y")], strict=True
        )


def test_a_bad_line_at_the_end_is_still_an_error(tmp_path, monkeypatch):
    in_batches(monkeypatch, rows=1000)
    lines = ["member_id,occurred_at,action", *["ann,2024-03-01,view"] * 5000, "ann,2024-03-01,view,more"]
    (tmp_path / "log.csv").write_text("\n".join(lines))
    with pytest.raises(InputError, match="activity table cannot be read"):
        Community(tmp_path / "log.csv")


def test_equal_digests_are_not_yet_equal_events(monkeypatch):
    from leadlight.community import repeats

    monkeypatch.setattr(
        repeats, "_digests", lambda ids: ((c, np.zeros(len(c), np.int64)) for c in ids.chunks)
    )
    in_batches(monkeypatch)
    log = [
        {"member_id": "a", "occurred_at": f"2024-03-0{1 + i}", "action": "view", "event_id": e}
        for i, e in enumerate("xyxzyx")
    ]
    assert Community(log).activity["event_id"].to_pylist() == ["x", "y", "z"]


@pytest.fixture(name="folder")
def _folder(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_no_file_holds_an_address(folder, monkeypatch):
    """Files are given names that stay, for their bytes to be read."""
    monkeypatch.setattr(
        tempfile,
        "TemporaryFile",
        lambda prefix: open(tempfile.mkstemp(prefix=prefix, dir=folder)[1], "w+b"),  # noqa: PTH123, SIM115
    )
    in_batches(monkeypatch)
    log = [{**row, "member_id": f"{row['member_id']}@id.example"} for row in ROWS]
    community = Community(log, deals=DEALS)
    assert community.matches["status"].tolist()[:2] == ["matched", "matched"]
    assert len(community.log) == len(community.activity)
    written = b"".join(path.read_bytes() for path in folder.iterdir())
    assert b"simulated" not in written
    assert len(written) > 500
    assert b".example" not in written


def test_what_is_kept_for_forgetting_holds_no_address():
    community = Community(ROWS, members=MEMBERS, deals=DEALS)
    assert "a@x.example" not in str([t.to_pylist() for t in community._tables.values()])


@pytest.mark.skipif(not MAPS.exists(), reason="the system does not list what is mapped")
def test_files_have_no_name_and_go_with_the_community(folder, monkeypatch):
    in_batches(monkeypatch)
    community = Community(ROWS)
    assert len(community.log) == len(community.activity) > 0
    assert list(folder.iterdir()) == []
    assert str(folder) in MAPS.read_text()
    del community
    gc.collect()
    assert str(folder) not in MAPS.read_text()


KILLED = """
import os, signal, sys
from leadlight.community import Community, spool
spool.SPILL_ROWS = 0
community = Community([{"member_id": 1, "occurred_at": "2024-03-01", "action": "view"}] * 9)
assert len(community.log) == 9 and community._activity.spilled
if sys.argv[1] == "kill":
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("end", ["exit", "kill"])
def test_nothing_stays_of_a_process_that_ends(end, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", KILLED, end], env={**os.environ, "TMPDIR": str(tmp_path)}, check=False
    )
    assert done.returncode == (-signal.SIGKILL if end == "kill" else 0)
    assert list(tmp_path.iterdir()) == []


class Full(io.BytesIO):
    """A file on a disk without room."""

    def write(self, data):
        raise OSError(28, "No space left on device")


def test_a_full_disk_is_an_error_that_says_where(monkeypatch):
    in_batches(monkeypatch)
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda prefix: Full())
    with pytest.raises(InputError, match=r"No space left on device.*TMPDIR"):
        Community(ROWS)
    grown = spool.ArrowSpool(pa.string())
    grown.append(pa.array(["x"]))
    with pytest.raises(InputError, match="No space left on device"):
        grown.spill()


BOUNDED = f"""{PEAK_BYTES}
import sys
from leadlight.community import Community, reading, spool
reading.BATCH_ROWS, spool.SPILL_ROWS, spool.BLOCK_ROWS = (int(a) for a in sys.argv[2:])
small = Community(sys.argv[1] + "/small.csv")
before = peak()
community = Community(sys.argv[1] + "/large.csv")
assert len(community.log) == 600_000 and community.repeated_events == 0
print(peak() - before)
"""


@needs_peak
def test_a_csv_larger_than_the_memory_it_takes(tmp_path):
    """Read at once it takes more than its size, in batches what DuckDB needs for files of any size: 300 to 400 MB."""
    header = "member_id,occurred_at,action,event_id,value\n"
    text = "x" * 800
    with (tmp_path / "large.csv").open("w") as file:
        file.write(header)
        for i in range(600):
            file.writelines(
                f"m{j % 997},2024-03-01T10:00:00,view,event-{i}-{j},{text}\n" for j in range(1000)
            )
    (tmp_path / "small.csv").write_text(header + f"m,2024-03-01,view,e,{text}\n" * 1000)
    size = (tmp_path / "large.csv").stat().st_size

    def growth(*sizes):
        command = [sys.executable, "-c", BOUNDED, str(tmp_path), *map(str, sizes)]
        return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    assert 1.1 * growth(20_000, 20_000, 50_000) < size < growth(10**7, 10**7, 10**7)
