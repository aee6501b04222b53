"""The Stack Exchange source, on a tiny site in both forms, and on the shipped tables."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.memory import PEAK_BYTES, needs_peak

from leadlight.community import Community
from leadlight.errors import ColumnTypeError, InputError, SchemaError
from leadlight.sources import stackexchange, stackexchange_dump
from leadlight.sources.stackexchange import read_stackexchange, stackexchange_tables

DATA = Path(__file__).parents[2] / "data"
ANN, BEN, CLEO = 10, 11, 12

# Question 1 is Ann's; answers: 2 her own, 3 Ben's (accepted), 4 of a user who is gone. Question 5 is Ben's;
# he accepts his own answer 6. Question 7 is the bot's, with Ben's answer 8. Post 9 is a tag wiki.
XML = {
    "Users": """<?xml version="1.0" encoding="utf-8"?>
<users>
  <row Id="-1" CreationDate="2020-01-01T00:00:00.000" Reputation="1" />
  <row Id="10" CreationDate="2020-01-01T10:00:00.000" Reputation="101" DisplayName="Ann &amp; Co" />
  <row Id="11" CreationDate="2020-01-01T11:00:00.000" Reputation="5" />
  <row Id="12" CreationDate="2020-01-01T12:00:00.123" Reputation="7" />
</users>""",
    "Posts": """<?xml version="1.0" encoding="utf-8"?>
<posts>
  <row Id="1" PostTypeId="1" AcceptedAnswerId="3" CreationDate="2020-01-02T09:00:00.000" OwnerUserId="10"
       Tags="&lt;visas&gt;&lt;c#&gt;" Body="&lt;p&gt;hi&lt;/p&gt;" ViewCount="9" />
  <row Id="2" PostTypeId="2" ParentId="1" CreationDate="2020-01-02T10:00:00.000" OwnerUserId="10" />
  <row Id="3" PostTypeId="2" ParentId="1" CreationDate="2020-01-02T11:00:00.500" OwnerUserId="11" />
  <row Id="4" PostTypeId="2" ParentId="1" CreationDate="2020-01-02T12:00:00.000" OwnerDisplayName="gone" />
  <row Id="5" PostTypeId="1" CreationDate="2020-01-03T09:00:00.000" OwnerUserId="11" Tags="&lt;hops&gt;" />
  <row Id="6" PostTypeId="2" ParentId="5" CreationDate="2020-01-03T10:00:00.000" OwnerUserId="11" />
  <row Id="7" PostTypeId="1" CreationDate="2020-01-04T09:00:00.000" OwnerUserId="-1" Tags="&lt;visas&gt;" />
  <row Id="8" PostTypeId="2" ParentId="7" CreationDate="2020-01-04T10:00:00.000" OwnerUserId="11" />
  <row Id="9" PostTypeId="4" CreationDate="2020-01-04T11:00:00.000" OwnerUserId="10" />
</posts>""",
    "Comments": """<?xml version="1.0" encoding="utf-8"?>
<comments>
  <row Id="1" PostId="3" Score="4" CreationDate="2020-01-02T11:30:00.000" UserId="10" />
  <row Id="2" PostId="1" Score="0" CreationDate="2020-01-02T11:40:00.000" UserId="10" />
  <row Id="3" PostId="1" Score="0" CreationDate="2020-01-02T11:50:00.000" UserDisplayName="gone" />
</comments>""",
    "Votes": """<?xml version="1.0" encoding="utf-8"?>
<votes>
  <row Id="1" PostId="3" VoteTypeId="1" CreationDate="2020-01-02T00:00:00.000" />
  <row Id="2" PostId="6" VoteTypeId="1" CreationDate="2020-01-03T00:00:00.000" />
  <row Id="3" PostId="8" VoteTypeId="1" CreationDate="2020-01-04T00:00:00.000" />
  <row Id="4" PostId="1" VoteTypeId="2" CreationDate="2020-01-05T00:00:00.000" />
  <row Id="5" PostId="3" VoteTypeId="3" CreationDate="2020-01-05T00:00:00.000" />
  <row Id="6" PostId="9" VoteTypeId="2" CreationDate="2020-01-05T00:00:00.000" />
  <row Id="7" PostId="1" VoteTypeId="5" UserId="12" CreationDate="2020-01-06T00:00:00.000" />
  <row Id="8" PostId="1" VoteTypeId="8" UserId="12" BountyAmount="50" CreationDate="2020-01-07" />
  <row Id="9" PostId="1" VoteTypeId="8" UserId="-1" BountyAmount="50" CreationDate="2020-01-07" />
  <row Id="10" PostId="99" VoteTypeId="5" UserId="12" CreationDate="2020-01-08T00:00:00.000" />
  <row Id="11" PostId="99" VoteTypeId="2" CreationDate="2020-01-08T00:00:00.000" />
  <row Id="12" PostId="1" VoteTypeId="16" CreationDate="2020-01-08T00:00:00.000" />
</votes>""",
    "Badges": """<?xml version="1.0" encoding="utf-8"?>
<badges>
  <row Id="1" UserId="10" Name="Autobiographer" Date="2020-01-01T10:05:00.000" Class="3" TagBased="False" />
  <row Id="2" UserId="10" Name="Popular Question" Date="2020-01-09T10:05:00.000" Class="3" TagBased="False" />
  <row Id="3" UserId="10" Name="Scholar" Date="2020-01-02T10:05:00.000" Class="3" TagBased="False" />
  <row Id="4" UserId="11" Name="Editor" Date="2020-01-09T10:05:00.000" Class="3" TagBased="True" />
  <row Id="5" UserId="-1" Name="Supporter" Date="2020-01-09T10:05:00.000" Class="3" TagBased="False" />
</badges>""",
}

DAYS = [2, 3, 4, 5, 5, 5, 6, 7, 7, 8, 8, 8]
PARQUET = {
    "users": {
        "user_id": [-1, ANN, BEN, CLEO],
        "created_at": ["2020-01-01", "2020-01-01T10", "2020-01-01T11", "2020-01-01T12:00:00.123"],
        "reputation__snapshot": [1, 101, 5, 7],
    },
    "posts": {
        "post_id": [1, 2, 3, 4, 5, 6, 7, 8, 9],
        "post_type_id": [1, 2, 2, 2, 1, 2, 1, 2, 4],
        "parent_id": [None, 1, 1, 1, None, 5, None, 7, None],
        "accepted_answer_id__snapshot": [3, None, None, None, None, None, None, None, None],
        "created_at": [
            "2020-01-02T09", "2020-01-02T10", "2020-01-02T11:00:00.500", "2020-01-02T12", "2020-01-03T09",
            "2020-01-03T10", "2020-01-04T09", "2020-01-04T10", "2020-01-04T11",
        ],
        "owner_user_id": [ANN, ANN, BEN, None, BEN, BEN, -1, BEN, ANN],
        "tags": [["visas", "c#"], None, None, None, ["hops"], None, ["visas"], None, None],
    },
    "comments": {
        "post_id": [3, 1, 1],
        "created_at": ["2020-01-02T11:30", "2020-01-02T11:40", "2020-01-02T11:50"],
        "user_id": [ANN, ANN, None],
        "score__snapshot": [4, 0, 0],
    },
    "votes": {
        "vote_id": list(range(1, 13)),
        "post_id": [3, 6, 8, 1, 3, 9, 1, 1, 1, 99, 99, 1],
        "vote_type_id": [1, 1, 1, 2, 3, 2, 5, 8, 8, 5, 2, 16],
        "date": [f"2020-01-{day:02}" for day in DAYS],
        "user_id": [None] * 6 + [CLEO, CLEO, -1, CLEO, None, None],
    },
    "badges": {
        "user_id": [ANN, ANN, ANN, BEN, -1],
        "name": ["Autobiographer", "Popular Question", "Scholar", "Editor", "Supporter"],
        "awarded_at": ["2020-01-01T10:05", "2020-01-09T10:05", "2020-01-02T10:05"] + ["2020-01-09T10:05"] * 2,
        "tag_based": [False, False, False, True, False],
    },
}  # fmt: skip
MICROSECONDS = pa.timestamp("us")
TIMES = {"created_at", "date", "awarded_at"}


def write_xml(folder: Path, **changed: str) -> Path:
    for name, text in (XML | changed).items():
        (folder / f"{name}.xml").write_text(text, encoding="utf-8")
    return folder


def write_parquet(folder: Path, tables: dict[str, dict[str, list]] = PARQUET, time=MICROSECONDS) -> Path:
    for name, columns in tables.items():
        arrays = {
            column: pa.array([pd.Timestamp(v) for v in values], MICROSECONDS).cast(time)
            if column in TIMES
            else pa.array(values, pa.int64() if column.endswith("_id") else None)
            for column, values in columns.items()
        }
        pq.write_table(pa.table(arrays), folder / f"{name}.parquet")
    return folder


@pytest.fixture
def site(tmp_path: Path) -> Path:
    return write_parquet(tmp_path)


def rows(folder: Path, action: str) -> list[dict]:
    return [row for row in stackexchange_tables(folder)["activity"].to_pylist() if row["action"] == action]


def only(folder: Path, action: str) -> dict:
    (row,) = rows(folder, action)
    return row


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)


# The two forms of the dump


def test_the_xml_dump_and_its_parquet_form_give_the_same_tables(tmp_path):
    (tmp_path / "xml").mkdir()
    (tmp_path / "parquet").mkdir()
    from_xml = stackexchange_tables(write_xml(tmp_path / "xml"))
    from_parquet = stackexchange_tables(write_parquet(tmp_path / "parquet"))
    assert from_xml["activity"].num_rows == 18
    for name, table in from_xml.items():
        assert table.equals(from_parquet[name]), name


def test_tags_between_bars_read_like_tags_in_brackets(tmp_path):
    bars = XML["Posts"].replace("&lt;visas&gt;&lt;c#&gt;", "|visas|c#|").replace("&lt;hops&gt;", "")
    questions = rows(write_xml(tmp_path, Posts=bars), "question")
    assert [question["tags"] for question in questions] == [["visas", "c#"], None]


def test_xml_read_in_pieces_of_seven_bytes_gives_the_same_tables(tmp_path, monkeypatch):
    whole = stackexchange_tables(write_xml(tmp_path))
    monkeypatch.setattr(stackexchange_dump, "CHUNK_BYTES", 7)
    pieces = stackexchange_tables(tmp_path)
    assert all(table.combine_chunks().equals(pieces[name].combine_chunks()) for name, table in whole.items())


@pytest.mark.parametrize(
    "time", [pa.timestamp("ns"), pa.timestamp("ms"), pa.timestamp("us", "+02:00")], ids=str
)
def test_the_unit_and_zone_of_parquet_times_do_not_change_the_instant(site, tmp_path, time):
    plain = stackexchange_tables(site)
    (tmp_path / "other").mkdir()
    other = stackexchange_tables(write_parquet(tmp_path / "other", time=time))
    assert all(table.equals(other[name]) for name, table in plain.items())


def test_nanoseconds_are_cut_to_microseconds(site):
    table = pq.read_table(site / "users.parquet")
    joined = pa.array([1_577_836_800_000_001_999] * len(table), pa.timestamp("ns"))
    pq.write_table(table.set_column(1, "created_at", joined), site / "users.parquet")
    assert set(stackexchange_tables(site)["members"]["joined_at"].to_pylist()) == {
        utc(2020, 1, 1, 0, 0, 0, 1)
    }


def test_an_empty_list_of_tags_is_no_tags(tmp_path):
    posts = PARQUET["posts"] | {"tags": [[], None, None, None, ["hops"], None, None, None, None]}
    questions = rows(write_parquet(tmp_path, PARQUET | {"posts": posts}), "question")
    assert [question["tags"] for question in questions] == [None, ["hops"]]


# Refusals


@pytest.mark.parametrize(
    "declaration",
    [
        '<!DOCTYPE posts [<!ENTITY a "x"><!ENTITY b "&a;&a;">]>',
        '<!DOCTYPE posts SYSTEM "http://localhost/x.dtd">',
    ],
    ids=["entity", "external"],
)
def test_a_document_type_or_entity_is_refused(tmp_path, declaration):
    posts = f'<?xml version="1.0"?>\n{declaration}\n<posts/>'
    with pytest.raises(InputError, match=r"Posts\.xml, line 2: declares"):
        stackexchange_tables(write_xml(tmp_path, Posts=posts))


def test_a_truncated_xml_file_is_named_with_its_line(tmp_path):
    cut = "\n".join(XML["Votes"].splitlines()[:4]) + '\n  <row Id="3" Po'
    with pytest.raises(InputError, match=r"Votes\.xml, line 5: not well-formed"):
        stackexchange_tables(write_xml(tmp_path, Votes=cut))


def test_an_unreadable_value_is_named_with_its_line(tmp_path):
    users = XML["Users"].replace("2020-01-01T10:00:00.000", "yesterday")
    with pytest.raises(InputError, match=r"Users\.xml, line 4: CreationDate='yesterday'"):
        stackexchange_tables(write_xml(tmp_path, Users=users))


def test_an_unreadable_value_in_a_later_piece_is_named_with_its_line(tmp_path, monkeypatch):
    monkeypatch.setattr(stackexchange_dump, "CHUNK_BYTES", 100)
    users = XML["Users"].replace('Id="12"', 'Id="twelve"')
    with pytest.raises(InputError, match=r"Users\.xml, line 6: Id='twelve'"):
        stackexchange_tables(write_xml(tmp_path, Users=users))


def test_an_element_that_is_no_row_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"Badges\.xml, line 2: found <badge>"):
        stackexchange_tables(write_xml(tmp_path, Badges="<badges>\n<badge UserId='10'/></badges>"))


def test_an_element_without_end_does_not_fill_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(stackexchange_dump, "CHUNK_BYTES", 1 << 10)
    monkeypatch.setattr(stackexchange_dump, "LONGEST_ROW_BYTES", 1 << 12)
    endless = '<posts><row Id="1" Body="' + "a" * (1 << 14)
    with pytest.raises(InputError, match="one element exceeds"):
        stackexchange_tables(write_xml(tmp_path, Posts=endless))


def test_a_folder_without_posts_is_refused_with_what_it_holds(site):
    (site / "posts.parquet").unlink()
    with pytest.raises(SchemaError, match=r"neither posts\.parquet nor Posts\.xml \(found: badges\.parquet"):
        stackexchange_tables(site)


def test_a_renamed_column_is_named_with_the_closest_one(site):
    table = pq.read_table(site / "votes.parquet").rename_columns({"vote_type_id": "vote_type"})
    pq.write_table(table, site / "votes.parquet")
    with pytest.raises(SchemaError, match=r"lacks the column 'vote_type_id' \(did you mean 'vote_type'\?\)"):
        stackexchange_tables(site)


def test_a_column_of_another_type_is_named(site):
    table = pq.read_table(site / "users.parquet")
    pq.write_table(table.set_column(0, "user_id", pa.array(list("abcd"))), site / "users.parquet")
    with pytest.raises(ColumnTypeError, match="column 'user_id' is string"):
        stackexchange_tables(site)


def test_a_damaged_parquet_file_is_named(site):
    (site / "users.parquet").write_bytes(b"PAR1 and then nothing")
    with pytest.raises(InputError, match=r"users\.parquet cannot be read as Parquet"):
        stackexchange_tables(site)


def test_a_repeated_post_is_refused(site):
    table = pq.read_table(site / "posts.parquet")
    pq.write_table(pa.concat_tables([table, table.slice(2, 1)]), site / "posts.parquet")
    with pytest.raises(InputError, match=r"1 values of post_id are repeated, e\.g\. 3"):
        stackexchange_tables(site)


def test_an_unknown_deal_is_refused(site):
    with pytest.raises(InputError, match="'accepted_answer', 'bounty'"):
        stackexchange_tables(site, "upvote")


def test_a_path_that_is_no_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match="is not a folder"):
        stackexchange_tables(tmp_path / "absent")


# The log


def test_answers_comments_and_votes_take_tags_and_content_from_their_question(site):
    for action in ("accept", "downvote_answer", "first_answer", "bounty"):
        row = only(site, action)
        assert (row["tags"], row["content_id"]) == (["visas", "c#"], 1), action
    assert [(row["tags"], row["content_id"]) for row in rows(site, "comment")] == [(["visas", "c#"], 1)] * 2
    assert [row["content_id"] for row in rows(site, "answer")] == [1, 1, 5, 7]


def test_an_answer_is_addressed_to_the_asker_and_a_comment_to_the_owner_of_its_post(site):
    assert (rows(site, "answer")[1]["member_id"], rows(site, "answer")[1]["other_member_id"]) == (BEN, ANN)
    assert (rows(site, "comment")[0]["member_id"], rows(site, "comment")[0]["other_member_id"]) == (ANN, BEN)


def test_nobody_is_the_counterpart_of_himself(site):
    own_answer, own_comment = rows(site, "answer")[0], rows(site, "comment")[1]
    assert own_answer["member_id"] == own_comment["member_id"] == ANN
    assert own_answer["other_member_id"] is own_comment["other_member_id"] is None


def test_a_vote_is_known_at_the_last_microsecond_of_its_day(site):
    assert only(site, "upvote_question")["occurred_at"] == utc(2020, 1, 5, 23, 59, 59, 999999)
    assert only(site, "accept")["occurred_at"] == utc(2020, 1, 2, 23, 59, 59, 999999)


def test_posts_and_badges_keep_their_time(site):
    assert rows(site, "answer")[1]["occurred_at"] == utc(2020, 1, 2, 11, 0, 0, 500000)
    assert only(site, "profile_update")["occurred_at"] == utc(2020, 1, 1, 10, 5)


def test_the_first_answer_is_the_earliest_by_somebody_else_and_done_by_nobody(site):
    row = only(site, "first_answer")
    assert (row["member_id"], row["other_member_id"]) == (-1, ANN)
    assert row["occurred_at"] == utc(2020, 1, 2, 11, 0, 0, 500000)


def test_an_answer_by_a_deleted_user_is_a_first_answer(tmp_path):
    posts = PARQUET["posts"] | {"owner_user_id": [ANN, ANN, None, None, BEN, BEN, -1, BEN, ANN]}
    row = only(write_parquet(tmp_path, PARQUET | {"posts": posts}), "first_answer")
    assert (row["other_member_id"], row["occurred_at"].hour) == (ANN, 11)


def test_posts_and_comments_of_deleted_users_are_dropped(site):
    assert [row["member_id"] for row in rows(site, "answer")] == [ANN, BEN, BEN, BEN]
    assert len(rows(site, "comment")) == 2


def test_anonymous_votes_are_done_by_the_bot_and_received_by_the_owner(site):
    up, down = only(site, "upvote_question"), only(site, "downvote_answer")
    assert (up["member_id"], up["other_member_id"]) == (-1, ANN)
    assert (down["member_id"], down["other_member_id"]) == (-1, BEN)


def test_the_bot_has_no_activity_of_its_own(site):
    received = {"first_answer", "upvote_question", "downvote_answer", "noticed"}
    by_bot = [row for row in stackexchange_tables(site)["activity"].to_pylist() if row["member_id"] == -1]
    assert {row["action"] for row in by_bot} == received
    assert all(row["other_member_id"] in {ANN, BEN, CLEO} for row in by_bot)


def test_a_favourite_of_a_deleted_post_remains_what_the_member_did(site):
    row = rows(site, "favourite")[1]
    assert (row["member_id"], row["content_id"], row["other_member_id"], row["tags"]) == (
        CLEO,
        99,
        None,
        None,
    )


def test_badges_become_updates_and_notices_but_never_the_deal_under_another_name(site):
    update, notice = only(site, "profile_update"), only(site, "noticed")
    assert (update["member_id"], update["field"], update["value"]) == (ANN, "about", "filled")
    assert (notice["member_id"], notice["other_member_id"]) == (-1, ANN)
    at_scholar = utc(2020, 1, 2, 10, 5)
    assert at_scholar not in stackexchange_tables(site)["activity"]["occurred_at"].to_pylist()


def test_a_badge_for_a_tag_is_not_taken_for_a_badge_of_that_name(site):
    assert rows(site, "first_edit") == []


# Members and deals


def test_the_bot_is_an_employee_even_if_the_users_lack_it(tmp_path):
    users = {name: values[1:] for name, values in PARQUET["users"].items()}
    members = stackexchange_tables(write_parquet(tmp_path, PARQUET | {"users": users}))["members"].to_pylist()
    assert {row["member_id"]: row["role"] for row in members} == {
        ANN: "prospect",
        BEN: "prospect",
        CLEO: "prospect",
        -1: "employee",
    }


def test_accepting_the_own_answer_is_activity_and_no_deal(site):
    assert only(site, "self_accept")["member_id"] == BEN
    assert BEN not in stackexchange_tables(site)["deals"]["member_id"].to_pylist()


def test_an_accept_is_a_deal_of_the_asker_at_the_end_of_its_day(site):
    assert stackexchange_tables(site)["deals"].to_pylist() == [
        {
            "deal_id": 1,
            "member_id": ANN,
            "outcome": "won",
            "closed_at": utc(2020, 1, 2, 23, 59, 59, 999999),
            "known_at": None,
        }
    ]


def test_a_bounty_is_a_deal_of_the_member_who_pays_and_still_activity(site):
    tables = stackexchange_tables(site, "bounty")
    assert [(row["deal_id"], row["member_id"]) for row in tables["deals"].to_pylist()] == [(8, CLEO)]
    assert tables["activity"]["action"].to_pylist().count("bounty") == 1


def test_without_votes_there_are_posts_and_no_deals(site):
    (site / "votes.parquet").unlink()
    tables = stackexchange_tables(site)
    assert tables["deals"].num_rows == 0
    assert set(tables["activity"]["action"].to_pylist()) == {
        "question",
        "answer",
        "first_answer",
        "comment",
        "profile_update",
        "noticed",
    }


def test_a_site_without_rows_gives_empty_tables_and_the_bot(tmp_path):
    empty = {table: {name: [] for name in columns} for table, columns in PARQUET.items()}
    empty["badges"]["name"] = ["Editor"]
    empty["badges"] |= {"user_id": [None], "awarded_at": ["2020-01-01"], "tag_based": [False]}
    tables = stackexchange_tables(write_parquet(tmp_path, empty))
    assert {name: table.num_rows for name, table in tables.items()} == {
        "activity": 0,
        "members": 1,
        "deals": 0,
    }


def test_no_value_from_the_day_of_the_dump_changes_anything(site):
    before = stackexchange_tables(site)
    for file in site.glob("*.parquet"):
        table = pq.read_table(file)
        for name in [name for name in table.column_names if name.endswith("__snapshot")]:
            changed = pa.array([7_000_000] * len(table))
            table = table.set_column(table.column_names.index(name), name, changed)
        table = table.append_column("score__snapshot_of_today", pa.array(range(len(table))))
        pq.write_table(table, file)
    after = stackexchange_tables(site)
    assert all(table.equals(after[name]) for name, table in before.items())


# The shipped data

BEER = {
    "question": 885, "answer": 1977, "first_answer": 838, "comment": 2926, "favourite": 325,
    "bounty": 11, "accept": 517, "self_accept": 18, "upvote_question": 6054, "upvote_answer": 7285,
    "downvote_question": 172, "downvote_answer": 207, "profile_update": 2687, "first_upvote": 993,
    "first_downvote": 104, "first_edit": 311, "tour": 455, "visit_streak_30": 52,
    "visit_streak_100": 23, "forward": 2, "question_scored": 452, "noticed": 422, "anniversary": 261,
}  # fmt: skip


def test_the_beer_site_has_the_counts_of_its_dump():
    tables = stackexchange_tables(DATA / "beer")
    assert Counter(tables["activity"]["action"].to_pylist()) == BEER
    assert (tables["members"].num_rows, tables["deals"].num_rows) == (5622, 517)
    assert len(tables["deals"]["member_id"].unique()) == 247


@pytest.mark.parametrize("site_name", ["beer", "travel"])
def test_the_ids_of_a_shipped_site_do_not_follow_time(site_name):
    for table, time in (("users", "created_at"), ("posts", "created_at")):
        frame = pq.read_table(DATA / site_name / f"{table}.parquet").to_pandas()
        rank = frame[time].rank().corr(frame.iloc[:, 0].astype(float))
        assert abs(rank) < 0.1, (table, rank)


@pytest.mark.parametrize("site_name", ["beer", "travel"])
def test_a_shipped_site_holds_only_columns_that_are_read(site_name):
    for name, columns in stackexchange_dump.TABLES.items():
        schema = pq.read_schema(DATA / site_name / f"{name}.parquet")
        assert set(schema.names) <= {column.name for column in columns}, name


def test_preparing_a_site_renames_its_members_and_keeps_its_counts(site, tmp_path):
    spec = importlib.util.spec_from_file_location("prepare", DATA / "prepare.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    dest = tmp_path / "prepared"
    dest.mkdir()
    for name, table in script.prepare(stackexchange_dump.read_dump(site)).items():
        script.write(table, dest / f"{name}.parquet")
    before, after = stackexchange_tables(site), stackexchange_tables(dest)
    assert sorted(after["members"]["member_id"].to_pylist()) == [-1, 1, 2, 3]
    for name in ("action", "occurred_at"):
        assert Counter(after["activity"][name].to_pylist()) == Counter(before["activity"][name].to_pylist())
    assert (
        after["deals"]
        .drop_columns(["deal_id", "member_id"])
        .equals(before["deals"].drop_columns(["deal_id", "member_id"]))
    )
    (accept,) = (row for row in after["activity"].to_pylist() if row["action"] == "accept")
    assert after["deals"]["member_id"].to_pylist() == [accept["member_id"]]


def test_a_site_becomes_a_community(site):
    community = read_stackexchange(site, strict=True)
    assert community.activity.num_rows == 18
    assert community.matches["status"].tolist() == ["matched"]
    assert [community.members.ids[code] for code in community.deals["member"]] == [ANN]


@pytest.mark.parametrize("deal", ["accepted_answer", "bounty"])
@pytest.mark.parametrize("write", [write_xml, write_parquet])
def test_a_site_that_is_read_in_small_parts_is_the_whole_site(write, deal, tmp_path, monkeypatch):
    whole = Community(**stackexchange_tables(write(tmp_path), deal), match="id")
    monkeypatch.setattr(stackexchange_dump, "CHUNK_BYTES", 7)
    monkeypatch.setattr(stackexchange_dump, "PARQUET_ROWS", 1)
    monkeypatch.setattr(stackexchange, "ROWS_AT_ONCE", 2)
    parts = read_stackexchange(tmp_path, deal=deal)
    assert (repr(parts), parts.fingerprint) == (repr(whole), whole.fingerprint)
    assert len(parts.deals) > 0
    by = ["deal_id", "member", "closed_us"]
    assert parts.deals[by].sort_values(by).values.tolist() == whole.deals[by].sort_values(by).values.tolist()
    names = ["member_id", "occurred_at", "action", "other_member_id", "content_id", "field", "value"]
    held = [sorted(map(str, c.activity.select([*names, "tags"]).to_pylist())) for c in (parts, whole)]
    assert held[0] == held[1]


PEAK = f"""{PEAK_BYTES}
import sys
from leadlight.community import reading, spool
from leadlight.sources import stackexchange, stackexchange_dump
reading.BATCH_ROWS, spool.SPILL_ROWS, spool.BLOCK_ROWS = 20_000, 20_000, 50_000
stackexchange.ROWS_AT_ONCE, stackexchange_dump.CHUNK_BYTES = (int(a) for a in sys.argv[3:])
stackexchange.read_stackexchange(sys.argv[1])
before = peak()
community = stackexchange.read_stackexchange(sys.argv[2])
assert len(community.log) > 400_000
print(peak() - before)
"""


@needs_peak
def test_a_dump_takes_less_memory_than_its_size(tmp_path):
    """In parts it takes less than two thirds of its size, where the whole at once takes more than its size."""

    def write(folder: str, votes: int) -> int:
        path = tmp_path / folder
        path.mkdir()
        users = "".join(f'<row Id="{i}" CreationDate="2020-01-01T00:00:00.000" />' for i in range(1, 60))
        posts = "".join(
            f'<row Id="{i}" PostTypeId="1" CreationDate="2020-01-02T09:00:00.000" OwnerUserId="{i % 59 + 1}" '
            f'Tags="&lt;c#&gt;&lt;hops&gt;" Body="{"x" * 3000}" />'
            for i in range(1, votes // 50)
        )
        each = (
            f'<row Id="{i}" PostId="{i % (votes // 50 - 1) + 1}" VoteTypeId="2" CreationDate="2020-01-05T00:00:00.000" />\n'
            for i in range(1, votes)
        )
        (path / "Users.xml").write_text(f"<users>{users}</users>")
        (path / "Posts.xml").write_text(f"<posts>{posts}</posts>")
        with (path / "Votes.xml").open("w") as file:
            file.write("<votes>")
            file.writelines(each)
            file.write("</votes>")
        return sum(f.stat().st_size for f in path.iterdir())

    write("small", 20_000)
    size = write("large", 500_000)

    def growth(*parts: int) -> int:
        command = [
            sys.executable,
            "-c",
            PEAK,
            str(tmp_path / "small"),
            str(tmp_path / "large"),
            *map(str, parts),
        ]
        return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    some, whole = growth(20_000, 1 << 20), growth(10**9, 1 << 28)
    assert 1.5 * some < size < whole, (some, whole)


def test_a_prepared_site_becomes_a_community_without_rejected_rows():
    community = read_stackexchange(DATA / "beer", deal="bounty")
    assert len(community.rejects) == 0
    assert (community.activity.num_rows, len(community.deals)) == (sum(BEER.values()), 11)
