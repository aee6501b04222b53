"""Any table a user may hold gives the same community, whatever its names hold."""

from __future__ import annotations

import csv
import gzip
import io

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from leadlight.community import Community
from leadlight.errors import ColumnTypeError, InputError, SchemaError

NASTY = 'O\'Brien; "DROP" [x]*?|\x01\ttab\nline 雪'
ROWS = [
    {
        "member_id": "007",
        "occurred_at": "2024-03-01T10:00:00",
        "action": "view",
        "tags": "a|b",
        "group_id": NASTY,
    },
    {
        "member_id": NASTY,
        "occurred_at": "2024-03-02T10:00:00",
        "action": 'it\'s; "odd"',
        "tags": "b",
        "group_id": "beta",
    },
    {"member_id": "#7", "occurred_at": "2024-03-03", "action": "view", "tags": None, "group_id": None},
]


def csv_text(rows=ROWS, delimiter=","):
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), delimiter=delimiter, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def as_csv(folder):
    (folder / "log.csv").write_text(csv_text(), encoding="utf-8")
    return str(folder / "log.csv")


def as_gzip(folder):
    (folder / "log.csv.gz").write_bytes(gzip.compress(csv_text().encode()))
    return folder / "log.csv.gz"


def as_semicolons(folder):
    (folder / "log.csv").write_text(csv_text(delimiter=";"), encoding="utf-8")
    return folder / "log.csv"


def as_tsv(folder):
    (folder / "log.tsv").write_text(csv_text(delimiter="\t"), encoding="utf-8")
    return folder / "log.tsv"


def as_two_files(folder):
    (folder / "1.csv").write_text(csv_text(ROWS[:1]), encoding="utf-8")
    (folder / "2.csv").write_text(csv_text(ROWS[1:]), encoding="utf-8")
    return str(folder / "*.csv")


def as_list_of_files(folder):
    as_two_files(folder)
    return [folder / "2.csv", folder / "1.csv"]


def as_parquet(folder):
    pq.write_table(pa.Table.from_pylist(ROWS), folder / "log.parquet")
    return str(folder / "log.parquet")


def as_duckdb(folder):
    connection = duckdb.connect()
    connection.register("log", pa.Table.from_pylist(ROWS))
    return connection.table("log")


KINDS = {
    "csv": as_csv,
    "gzip": as_gzip,
    "semicolons": as_semicolons,
    "tabs": as_tsv,
    "glob": as_two_files,
    "files": as_list_of_files,
    "parquet": as_parquet,
    "duckdb": as_duckdb,
    "pandas": lambda folder: pd.DataFrame(ROWS),
    "polars": lambda folder: pl.DataFrame(ROWS),
    "arrow": lambda folder: pa.Table.from_pylist(ROWS),
    "columns": lambda folder: {k: [r[k] for r in ROWS] for k in ROWS[0]},
    "rows": lambda folder: ROWS,
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_table_gives_the_same_community(kind, tmp_path):
    community, expected = Community(KINDS[kind](tmp_path)), Community(ROWS)
    assert sorted(community.activity.to_pylist(), key=str) == sorted(expected.activity.to_pylist(), key=str)
    assert community.fingerprint == expected.fingerprint
    assert community.log.dictionaries == expected.log.dictionaries
    assert community.rejects.empty


@pytest.mark.parametrize(
    "name", ["a[1]", "st*r", "q'uote", 'dou"ble', "que?", "br{a,b}", "semi;colon", "with space", "雪"]
)
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_file_is_itself_whatever_its_name(tmp_path, name, suffix):
    folder = tmp_path / name
    folder.mkdir()
    for neighbour in ("a1", "staar", "quex", "bra"):
        (folder / f"{neighbour}{suffix}").write_text("member_id,occurred_at,action\nx,2024-01-01,view\n")
    path = folder / f"{name}{suffix}"
    if suffix == ".csv":
        path.write_text(csv_text(), encoding="utf-8")
    else:
        pq.write_table(pa.Table.from_pylist(ROWS), path)
    assert Community(str(path)).fingerprint == Community(ROWS).fingerprint


@pytest.mark.parametrize("text", ["member_id,occurred_at,action\nann,2024-03-01,view,more\n",
                                  "member_id,occurred_at,action\nann,2024-03-01\n"])  # fmt: skip
def test_a_line_with_too_many_or_too_few_fields_is_never_skipped_in_silence(tmp_path, text):
    (tmp_path / "log.csv").write_text(text)
    with pytest.raises(InputError, match="activity table cannot be read"):
        Community(tmp_path / "log.csv")


def test_a_file_that_is_no_text_is_one_error(tmp_path):
    (tmp_path / "log.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(InputError, match="activity table cannot be read"):
        Community(tmp_path / "log.parquet")


def test_no_file_is_an_error_that_says_where_it_looked(tmp_path):
    with pytest.raises(InputError, match=r"No file for the activity table at .*gone.csv; looked in"):
        Community(str(tmp_path / "gone.csv"))


def test_files_of_two_kinds_are_refused(tmp_path):
    as_csv(tmp_path), as_parquet(tmp_path)
    with pytest.raises(InputError, match="all CSV or all Parquet"):
        Community(str(tmp_path / "log.*"))


def test_what_is_no_table_is_refused():
    with pytest.raises(InputError, match="is a int; give a path"):
        Community(5)


def test_later_rows_may_hold_more_columns_than_the_first(rows):
    community = Community(rows("ann view 2024-03-01; ann view 2024-03-02 tags=visa"))
    assert community.log.dictionaries["tag"] == ("visa",)


def test_a_column_of_mixed_types_is_an_error_that_names_the_table():
    with pytest.raises(ColumnTypeError, match="activity table"):
        Community([{"member_id": i, "occurred_at": "2024-01-01", "action": "view"} for i in (1, "a")])


@pytest.mark.parametrize("make", [lambda f: pa.table([[1], [2]], names=["member_id", "member_id"]),
                                  lambda f: pd.DataFrame([[1, 2]], columns=["member_id", "member_id"])],
                         ids=["arrow", "pandas"])  # fmt: skip
def test_a_column_that_is_there_twice_is_an_error(make):
    with pytest.raises(SchemaError, match=r"twice: \['member_id'\]"):
        Community(make(None))


OWN = [{"user": "ann", "when": "2024-03-01T10:00:00", "verb": "view"}]
COLUMNS = {"member_id": "user", "occurred_at": "when", "action": "verb"}


def test_own_names_become_canonical():
    assert Community(OWN, columns=COLUMNS).fingerprint == Community(
        [{"member_id": "ann", "occurred_at": "2024-03-01T10:00:00", "action": "view"}]
    ).fingerprint  # fmt: skip


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({**COLUMNS, "occured_at": "when"}, "did you mean 'occurred_at'"),
        ({**COLUMNS, "tags": "labels"}, "maps 'labels', which no table has"),
        ({k: v for k, v in COLUMNS.items() if k != "action"}, "lacks 'action'"),
    ],
)
def test_a_typo_in_columns_is_an_error_that_helps(columns, message):
    with pytest.raises(SchemaError, match=message):
        Community(OWN, columns=columns)


def test_a_renamed_column_must_not_collide():
    both = [{**OWN[0], "action": "post"}]
    with pytest.raises(SchemaError, match="already has a column 'action'"):
        Community(both, columns=COLUMNS)


def test_a_mapping_from_a_column_that_no_table_has_is_an_error_where_the_canonical_one_is_there_too():
    log = [{"member_id": "ann", "occurred_at": "2024-03-01", "action": "view"}]
    with pytest.raises(SchemaError, match="maps 'user', which no table has"):
        Community(log, columns={"member_id": "user"})


def test_a_mapping_may_be_for_one_table_alone():
    members = [{"member_id": "ann", "account_id": "acme"}]
    assert Community(OWN, members=members, columns=COLUMNS).has_accounts


LATIN = "member_id,occurred_at,action\nJörg,2024-03-01,view\n"


@pytest.mark.parametrize(
    ("name", "held", "said"),
    [
        ("log.csv", b"", "which is empty"),
        ("log.csv", LATIN.encode("latin-1"), "is not UTF-8.*encoding='latin-1'"),
        ("log.csv", LATIN.encode("utf-16"), "is UTF-16.*encoding='utf-16'"),
        ("log.csv", b"member_id,occurred_at,action\na,2024-03-01,view\nb,2024-03-01\n", "line 3 of .* has 2 fields, the first line 3"),
        ("log.xlsx", b"PK", "pandas.read_excel"),
        ("folder.csv/log.csv", b"", r"give the files in it, such as 'folder/\*.csv'"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_read_says_how_it_can(tmp_path, name, held, said):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(held)
    with pytest.raises(InputError, match=said):
        Community(path if path.parent == tmp_path else path.parent)


def test_a_zipped_file_that_is_not_utf_8_says_so_too(tmp_path):
    path = tmp_path / "log.csv.gz"
    path.write_bytes(gzip.compress(LATIN.encode("latin-1")))
    with pytest.raises(InputError, match="is not UTF-8"):
        Community(path)
