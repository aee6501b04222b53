"""Words, dates and tags as exports write them."""

from __future__ import annotations

import pandas as pd
import pytest

from leadlight.community import Community
from leadlight.errors import InputError, SchemaError

ROW = {"member_id": 17, "occurred_at": "2025-03-01T10:00:00", "action": "view"}
DEAL = {"member_id": 17, "outcome": "won", "closed_at": "2025-04-01"}


def times(*texts, **options):
    log = [ROW | {"occurred_at": text} for text in texts]
    return [str(t)[:19] for t in Community(log, **options).activity["occurred_at"].to_pylist()]


def test_your_words_for_actions_become_ours_and_others_stay():
    log = [ROW | {"action": a} for a in ("topic_viewed", " topic_viewed", "badge_earned")]
    community = Community(log, values={"action": {"topic_viewed": "view"}})
    assert community.action_counts() == {"view": 2, "badge_earned": 1}


def test_actions_are_counted_that_were_known_before_a_time():
    log = [ROW, ROW | {"action": "post", "known_at": "2026-01-01"}]
    assert Community(log).action_counts(before=1_750_000_000_000_000) == {"view": 1}


@pytest.mark.parametrize("word", ["Signed", 1, True])
def test_your_words_for_outcomes_become_ours_whatever_their_type(word):
    given = pd.DataFrame([DEAL | {"outcome": word}])
    words = {"Signed": "won", "1": "won", "true": "won"}
    assert Community([ROW], deals=given, values={"outcome": words}).deals["outcome"].tolist() == ["won"]


def test_a_stage_may_mean_an_open_deal():
    community = Community(
        [ROW], deals=[DEAL | {"outcome": "Proposal"}], values={"outcome": {"Proposal": "open"}}
    )
    assert community.deals["outcome"].tolist() == [None]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"actions": {"a": "b"}}, r"'actions', which is no column of words \(did you mean 'action'\?\)"),
        ({"occurred_at": {"a": "b"}}, "no column of words"),
        ({"email": {"a": "b"}}, "no column of words"),
        ({"action": ["view"]}, "give your words and ours"),
        ({"action": {1: "view"}}, "give your words and ours"),
    ],
)
def test_a_slip_in_values_is_answered(values, said):
    with pytest.raises(SchemaError, match=said):
        Community([ROW], values=values)


@pytest.mark.parametrize(
    ("text", "day_first", "expected"),
    [
        ("03/04/2025 9:05 PM", False, "2025-03-04 21:05:00"),
        ("03/04/2025 9:05 PM", True, "2025-04-03 21:05:00"),
        ("3/4/25 12:00 am", False, "2025-03-04 00:00:00"),
        ("3/4/25, 12:30 p.m.", False, "2025-03-04 12:30:00"),
        ("14.03.2025 21:05", True, "2025-03-14 21:05:00"),
        ("29-02-2024 21:05:59.25", True, "2024-02-29 21:05:59"),
        ("03/04/2025", False, "2025-03-04 23:59:59"),
        ("2025-03-04 21:05:00", False, "2025-03-04 21:05:00"),
    ],
)
def test_a_date_is_read_in_the_order_that_was_said(text, day_first, expected):
    assert times(text, day_first=day_first) == [expected]


@pytest.mark.parametrize(
    "text", ["14/03/2025", "02/30/2025", "00/10/2025", "03/04/2025 13:00 PM", "03/04/2025 24:00"]
)
def test_a_date_that_the_calendar_or_the_clock_lacks_is_not_read(text):
    with pytest.raises(InputError, match="occurred_at cannot be read"):
        times(text, day_first=False)


def test_the_zone_holds_for_dates_in_any_order():
    assert times("03/04/2025 9:05 PM", day_first=False, tz="America/New_York") == ["2025-03-05 02:05:00"]


@pytest.mark.parametrize("text", ["2025-03-04 21:05:00 UTC", "2025-03-04 21:05 GMT"])
def test_a_time_may_name_utc_as_rails_does(text):
    assert times(text, tz="America/New_York") == ["2025-03-04 21:05:00"]


@pytest.mark.parametrize(
    ("text", "separator", "tags"),
    [
        ("a, b", ",", ["a", "b"]),
        ("a, b|c", None, ["a, b", "c"]),
        ("['a', 'b']", None, ["a", "b"]),
        ('["a", "b"]', ",", ["a", "b"]),
    ],
)
def test_tags_in_one_text_are_parted(text, separator, tags):
    community = Community([ROW | {"tags": text}], tag_separator=separator)
    assert community.activity["tags"].to_pylist() == [tags]


@pytest.mark.parametrize("text", ["['a', 1]", "['a'", "[print('a')]"])
def test_what_is_no_list_of_text_is_not_read_as_one(text):
    with pytest.raises(InputError, match="tags cannot be read"):
        Community([ROW | {"tags": text}])


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("$18,000.50", 18000.5),
        ("€ 3.000,50", 3000.5),
        ("3000,5 EUR", 3000.5),
        ("1,200", 1200.0),
        ("-5.25", -5.25),
        ("by agreement", None),
        ("10 - 20", None),
        ("", None),
    ],
)
def test_an_amount_is_read_with_its_signs_and_never_costs_a_deal(text, amount):
    found = Community([ROW], deals=[DEAL | {"amount": text}]).deals["amount"]
    assert found.astype(object).where(found.notna(), None).tolist() == [amount]


@pytest.mark.parametrize("role", ["Employee", " EMPLOYEE "])
def test_the_case_of_a_role_does_not_put_staff_on_a_call_list(role):
    assert Community([ROW], members=[{"member_id": 17, "role": role}]).members.employee.tolist() == [True]


def test_two_tables_may_call_one_column_differently():
    columns = {"activity.email": "User Email", "deals.email": "Contact Email"}
    deal = {"Contact Email": "ann@acme.example", "outcome": "won", "closed_at": "2025-04-01"}
    community = Community([ROW | {"User Email": "ann@acme.example"}], deals=[deal], columns=columns)
    assert community.matches["by"].tolist() == ["email"]


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"deal.email": "mail"}, "names the table 'deal'; there are activity"),
        ({"deals.tags": "mail"}, "'deals.tags', which is no canonical column"),
        ({"activity.email": "mail"}, "'mail', which the activity table does not have"),
        ({"mail": "email"}, r"write columns=\{'email': 'mail'\}, our name first"),
    ],
)
def test_a_slip_in_the_columns_of_a_table_is_answered(columns, said):
    with pytest.raises(SchemaError, match=said):
        Community([ROW], deals=[DEAL | {"mail": "ann@acme.example"}], columns=columns)
