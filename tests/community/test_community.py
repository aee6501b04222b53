"""What a community does when rows are wrong, and what it keeps unchanged."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa
import pytest

from leadlight.behaviours import Count
from leadlight.community import Community
from leadlight.errors import ColumnTypeError, InputError, LeadlightWarning, SchemaError

LOG = "ann view 2024-03-01; bob question 2024-03-02"


def us(community):
    return sorted(community.log.time.tolist())


def stamp(text):
    return pd.Timestamp(text, tz="UTC").value // 1000


def at(when, **options):
    return Community([{"member_id": "ann", "occurred_at": when, "action": "view"}], **options)


def test_of_rows_with_one_event_id_the_one_known_first_stays(table):
    community = table(
        "ann view 2024-03-01 id=1 known=2024-03-05; ann post 2024-03-02 id=1; ann view 2024-03-03 id=2"
    )
    assert community.activity["action"].to_pylist() == ["post", "view"]
    assert community.repeated_events == 1


def test_which_repeated_row_stays_does_not_depend_on_their_order(rows):
    drawn = rows("ann view 2024-03-01 id=1; ann post 2024-03-01 id=1; bob post 2024-03-01 id=1")
    kept = {Community(drawn[i:] + drawn[:i]).activity["action"].to_pylist()[0] for i in range(3)}
    assert kept == {"post"}


def test_rows_without_an_event_id_are_all_kept(rows):
    drawn = rows("ann view 2024-03-01; ann view 2024-03-01; ann view 2024-03-01 id=1")
    assert Community(drawn).activity.num_rows == 3


@pytest.mark.parametrize("column", ["member_id", "occurred_at", "action"])
@pytest.mark.parametrize("null", [None, ""])
def test_a_null_in_a_required_column_rejects_the_row_and_counts_it(rows, column, null):
    drawn = rows(LOG)
    drawn[1][column] = null
    community = Community(drawn)
    assert community.activity.num_rows == 1
    assert community.rejects.to_dict("records") == [
        {"table": "activity", "reason": f"{column} is null", "rows": 1, "sample": [1]}
    ]


@pytest.mark.parametrize(
    "when", ["yesterday", "2024-13-01", "2024-03", "2024", "01/03/2024", "2024-03-01T25:00"]
)
def test_a_time_that_cannot_be_read_rejects_the_row_and_counts_it(rows, when):
    drawn = rows(LOG)
    drawn[0]["occurred_at"] = when
    assert Community(drawn).rejects.loc[0, ["reason", "rows", "sample"]].tolist() == [
        "occurred_at cannot be read",
        1,
        [0],
    ]


def test_strict_raises_and_names_the_rows(rows):
    drawn = rows(LOG)
    drawn[1]["occurred_at"] = "yesterday"
    with pytest.raises(InputError, match=r"1 rows of the activity table: occurred_at cannot be read.*\[1\]"):
        Community(drawn, strict=True)


def test_strict_raises_for_a_deal_that_closed_at_no_time(table):
    with pytest.raises(InputError, match="closed without closed_at"):
        table(LOG, deals=[{"member_id": "ann", "outcome": "won", "closed_at": None}], strict=True)


def test_rows_after_the_freeze_are_set_aside_and_counted(table):
    log = "; ".join(f"ann view 2024-03-01T10:00:{s:02}" for s in range(30))
    community = table(log + "; bob view 2099-01-01", frozen_at="2024-04-01")
    assert community.activity.num_rows == 30
    assert community.rejects.loc[0, ["reason", "rows"]].tolist() == ["after frozen_at", 1]


def test_many_rows_after_the_freeze_are_an_error(table):
    with pytest.raises(InputError, match="50% of the activity table lies after frozen_at=2024-03-01T12"):
        table(LOG, frozen_at="2024-03-01T12:00")


@pytest.mark.parametrize(
    "ids", [[2**53 + 1, 2**53 + 2], ["007", "8"], [2**63 - 1, -5], ["a", "A"], ["1", "01"]], ids=str
)
def test_identifiers_come_back_unchanged(ids):
    log = [{"member_id": i, "occurred_at": "2024-03-01", "action": "view"} for i in ids]
    assert set(Community(log).members.ids) == set(ids)


def test_a_csv_keeps_identifiers_beyond_2_to_the_53(tmp_path):
    (tmp_path / "log.csv").write_text("member_id,occurred_at,action\n9007199254740993,2024-03-01,view\n")
    assert Community(tmp_path / "log.csv").members.ids.tolist() == [9007199254740993]


def test_numbers_in_one_table_and_text_in_another_meet():
    community = Community(
        [
            {"member_id": "007", "occurred_at": "2024-03-01", "action": "view"},
            {"member_id": "8", "occurred_at": "2024-03-01", "action": "view"},
        ],
        members=pa.table({"member_id": [8], "role": ["customer"]}),
    )
    assert community.members.ids.tolist() == ["007", "8"]
    assert community.members.facts.loc["8", "role"] == "customer"


def test_a_column_of_nulls_does_not_make_numbers_into_text():
    log = {
        "member_id": [1, 2],
        "other_member_id": [None, None],
        "occurred_at": ["2024-03-01"] * 2,
        "action": ["view"] * 2,
    }
    deals = {"member_id": [None], "email": ["a@b.example"], "outcome": ["won"], "closed_at": ["2024-03-01"]}
    with pytest.warns(LeadlightWarning, match="None of the 1 deals"):
        community = Community(log, deals=deals)
    assert community.members.ids.tolist() == [1, 2]


@pytest.mark.parametrize("value", [1.5, 2.0**53 + 2])
def test_identifiers_that_floats_have_spoiled_are_refused(value):
    with pytest.raises(ColumnTypeError, match="identifiers as integers or text"):
        Community(pa.table({"member_id": [value], "occurred_at": ["2024-03-01"], "action": ["view"]}))


def test_whole_numbers_as_floats_are_identifiers_and_nan_is_null():
    log = pd.DataFrame({"member_id": [1.0, None], "occurred_at": "2024-03-01", "action": "view"})
    community = Community(log)
    assert community.members.ids.tolist() == [1]
    assert community.rejects["reason"].tolist() == ["member_id is null"]


NASTY = ["O'Brien", '"; DROP TABLE x; --', "tab\tline\n\x01", "a,b|c", "雪 😀", "*", "{x}", "%25"]


def test_nasty_names_count_like_any_other(table, value):
    plain = [{"member_id": "ann", "occurred_at": "2024-03-01T00:00:00", "action": f"a{i}", "tags": [f"t{i}"], "group_id": f"g{i}"}
             for i in range(len(NASTY))]  # fmt: skip
    nasty = [{**row, "action": n, "tags": [n], "group_id": n} for row, n in zip(plain, NASTY, strict=True)]
    for number, name in enumerate(NASTY):
        for by in ("tag", "group"):
            odd = value(Community(nasty), Count(name, by=by, only=(name,)), cutoff="2024-04-01")
            usual = value(
                Community(plain), Count(f"a{number}", by=by, only=(f"{by[0]}{number}",)), cutoff="2024-04-01"
            )
            assert odd == usual == 1


@pytest.mark.parametrize(
    ("when", "utc"),
    [
        ("2024-03-01", "2024-03-01T23:59:59.999999"),
        ("20240301", "2024-03-01T23:59:59.999999"),
        (" 2024-03-01 ", "2024-03-01T23:59:59.999999"),
        (pd.Timestamp("2024-03-02").date(), "2024-03-02T23:59:59.999999"),
        ("2024-03-01T00:00:00", "2024-03-01"),
        ("2024-03-01 10:00", "2024-03-01T10:00"),
        ("2024-03-01T10:00:00.123456789", "2024-03-01T10:00:00.123456"),
        ("2024-03-01T10:00:00+02:00", "2024-03-01T08:00"),
        ("2024-03-01T10:00:00+0200", "2024-03-01T08:00"),
        ("2024-03-01T10:00:00Z", "2024-03-01T10:00"),
        (pd.Timestamp("2024-03-01T10:00", tz="Europe/Berlin"), "2024-03-01T09:00"),
        (pd.Timestamp("2024-03-01T10:00"), "2024-03-01T10:00"),
    ],
    ids=str,
)
def test_a_time_is_read_as_utc_and_a_day_as_its_last_microsecond(when, utc):
    assert us(at(when)) == [stamp(utc)]


def check_that_a_day_is_known_at_its_end():
    assert us(at("2024-03-01"))[0] >= stamp("2024-03-01T23:59:59.999999")


def test_the_check_kills_a_day_that_is_known_at_its_midnight(monkeypatch):
    import leadlight.community.values as values_module

    check_that_a_day_is_known_at_its_end()
    monkeypatch.setattr(values_module, "DAY_US", 1)
    with pytest.raises(AssertionError):
        check_that_a_day_is_known_at_its_end()


@pytest.mark.parametrize(
    ("when", "utc"),
    [
        ("2024-03-01T10:00:00", "2024-03-01T09:00"),
        ("2024-03-01T10:00:00Z", "2024-03-01T10:00"),
        ("2024-07-01", "2024-07-01T21:59:59.999999"),
        ("2024-10-27T02:30:00", "2024-10-27T01:30"),  # twice: the later
        ("2024-03-31T02:30:00", "2024-03-31T01:00"),  # never: the next that is
    ],
)
def test_a_zone_is_that_of_times_that_name_none(when, utc):
    assert us(at(when, tz="Europe/Berlin")) == [stamp(utc)]


def test_a_zone_that_does_not_exist_is_an_error():
    with pytest.raises(InputError, match="tz is 'Europe/Berlinn'"):
        at("2024-03-01", tz="Europe/Berlinn")


def test_numbers_are_no_times():
    with pytest.raises(ColumnTypeError, match="not numbers"):
        at(1_709_251_200)


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("a|b", ("a", "b")),
        ("a; b", ("a", "b")),
        ('["x;y", "z"]', ("x;y", "z")),
        (["b", "a", "b"], ("a", "b")),
        ("", ()),
        (None, ()),
    ],
)
def test_tags_are_a_list_or_text_with_separators(tags, expected):
    log = [{"member_id": "ann", "occurred_at": "2024-03-01", "action": "view", "tags": tags}]
    assert Community(log).log.dictionaries["tag"] == expected


def test_the_order_of_rows_does_not_change_a_community(rows):
    drawn = rows("ann view 2024-03-01 tags=a|b; bob view 2024-03-01 tags=c; ann post 2024-02-01")
    assert Community(drawn).fingerprint == Community(drawn[::-1]).fingerprint


def test_an_empty_log_is_a_community():
    community = Community(
        {"member_id": [], "occurred_at": [], "action": [], "tags": []}, members=[{"member_id": "ann"}]
    )
    assert repr(community) == "Community(no events, 1 members, 0 deals)"
    assert len(community.log) == 0


def test_deals_need_a_date_and_a_buyer(table):
    with pytest.raises(SchemaError, match="closed_at or opened_at"):
        table(LOG, deals=[{"member_id": "ann", "outcome": "won"}])
    with pytest.raises(SchemaError, match="one of member_id"):
        table(LOG, deals=[{"outcome": "won", "closed_at": "2024-03-01"}])


def test_deal_contacts_need_deals_with_identifiers(table):
    with pytest.raises(SchemaError, match="deal_id"):
        table(LOG, deals=[{"member_id": "ann", "outcome": "won", "closed_at": "2024-03-01"}],
              deal_contacts=[{"deal_id": "d", "member_id": "ann"}])  # fmt: skip


@pytest.mark.parametrize(
    ("word", "outcome"),
    [("Closed Won", "won"), ("closed_lost", "lost"), ("open", None), (True, "won"), ("", None)],
)
def test_outcomes_are_read_as_sales_write_them(table, word, outcome):
    deals = table(LOG, deals=[{"member_id": "ann", "outcome": word, "closed_at": "2024-03-01"}]).deals
    assert deals["outcome"].tolist() == [outcome]


def test_an_outcome_that_is_none_rejects_the_row(table):
    community = table(
        LOG, deals=[{"member_id": "ann", "outcome": o, "closed_at": "2024-03-01"} for o in ("maybe", "won")]
    )
    assert community.rejects["reason"].tolist() == ["outcome cannot be read"]
    assert len(community.deals) == 1


@pytest.mark.parametrize(
    ("consent", "refused"),
    [(True, False), ("yes", False), (1, False), (False, True), ("no", True), (None, True), ("hm", True)],
)
def test_without_a_recorded_yes_there_is_no_consent(table, consent, refused):
    community = table(LOG, members=[{"member_id": "ann", "consent": consent}])
    assert community.members.refused[community.codes(["ann"])].tolist() == [refused]


def test_without_a_consent_column_all_have_consented(table):
    assert not table(LOG, members=[{"member_id": "ann"}]).members.refused.any()


def test_facts_join_as_of_a_time(table):
    members = [
        {"member_id": "ann", "account_id": "old", "valid_from": None},
        {"member_id": "ann", "account_id": "new", "valid_from": "2024-03-05T00:00:00"},
    ]
    community = table(LOG, members=members)
    accounts = [community.members.account_ids[community.members.account_at(stamp(t))[0]]
                for t in ("2024-03-05T00:00:00", "2024-03-05T00:00:00.000001")]  # fmt: skip
    assert accounts == ["old", "new"]
    assert community.members.facts.loc["ann", "account_id"] == "new"


def test_forgetting_erases_a_member_everywhere(table):
    log = "ann view 2024-03-01 to=bob; bob view 2024-03-02; cid view 2024-03-02"
    deals = [
        {"deal_id": m, "email": f"{m}@x.example", "outcome": "won", "closed_at": "2024-03-03"}
        for m in ("ann", "cid")
    ]
    members = [{"member_id": m, "email": f"{m}@x.example"} for m in ("ann", "bob", "cid")]
    contacts = [{"member_id": m, "contacted_at": "2024-03-03"} for m in ("ann", "cid")]
    community = table(log, members=members, deals=deals, contacts=contacts)
    assert community.forget("ann") == 4
    assert community.members.ids.tolist() == ["bob", "cid"]
    assert community.deals["deal_id"].tolist() == ["cid"]
    assert community.members.ids[community.contacts["member"]].tolist() == ["cid"]
    assert not any("ann" in str(t.to_pylist()) for t in community._tables.values())
    with pytest.raises(InputError, match="not of this community"):
        community.forget("ann")


def test_forgetting_one_loses_nothing_of_the_others(rows):
    log = [
        {**row, "email": f"{row['member_id']}@x.example"}
        for row in rows("ann view 2024-03-01; bob view 2024-03-02; bob view x")
    ]
    deals = [
        {"email": "bob@x.example", "outcome": o, "closed_at": c}
        for o, c in (("won", "2024-03-03"), ("lost", None))
    ]
    community = Community(log, deals=deals)
    before = community.rejects
    community.forget("ann")
    assert community.matches["status"].tolist() == ["matched", "matched"]
    pd.testing.assert_frame_equal(community.rejects, before)
