"""What is said of a table that cannot be read as it is."""

from __future__ import annotations

import pandas as pd
import pytest

from leadlight.community import Community
from leadlight.errors import InputError, LeadlightWarning, SchemaError

ROW = {"member_id": 17, "occurred_at": "2025-03-01T10:00:00", "action": "view"}
DEAL = {"member_id": 17, "outcome": "won", "closed_at": "2025-04-01"}


def test_names_that_exports_have_are_proposed():
    frame = pd.DataFrame({"User ID": ["17"], "Timestamp": ["2025-03-01"], "Event": ["view"]})
    said = (
        r"Perhaps columns=\{'activity.member_id': 'User ID', 'occurred_at': 'Timestamp', 'action': 'Event'\}"
    )
    with pytest.raises(SchemaError, match=said):
        Community(frame)


def test_what_is_proposed_works():
    frame = pd.DataFrame({"User ID": ["17"], "Timestamp": ["2025-03-01"], "Event": ["view"]})
    columns = {"activity.member_id": "User ID", "occurred_at": "Timestamp", "action": "Event"}
    assert len(Community(frame, columns=columns).activity) == 1


def test_all_that_deals_lack_is_proposed_at_once():
    deals = [{"Stage": "won", "Close Date": "2025-04-01", "Contact Email": "a@b.example"}]
    said = r"\{'outcome': 'Stage', 'closed_at': 'Close Date', 'deals.email': 'Contact Email'\}"
    with pytest.raises(SchemaError, match=said):
        Community([ROW], deals=deals)


def test_a_company_name_is_said_to_find_nobody():
    with pytest.raises(SchemaError, match=r"the name of a company is none of them; it has \['company'"):
        Community([ROW], deals=[{"company": "Acme", "outcome": "won", "closed_at": "2025-04-01"}])


def test_columns_of_all_tables_are_checked_before_a_log_is_read():
    with pytest.raises(SchemaError, match="deals table lacks 'outcome'"):
        Community([ROW | {"occurred_at": "soon"}], deals=[{"member_id": 17, "closed_at": "2025-04-01"}])


@pytest.mark.parametrize(
    ("when", "said"),
    [
        ("03/04/2025", "say whether the day comes first"),
        ("03/14/2025", "their second number is the day: day_first=False"),
        ("14/03/2025", "their first number is the day: day_first=True"),
        ("1709287200", "numbers of seconds or of days are no dates"),
        ("soon", "write dates as 2025-03-14"),
    ],
)
def test_a_log_of_which_no_row_can_be_used_is_an_error_that_shows_a_value(when, said):
    with pytest.raises(InputError, match=rf"None of the 2 rows.*such as '{when}': {said}"):
        Community([ROW | {"occurred_at": when}] * 2)


def test_a_wrong_order_of_dates_is_told_by_the_days_that_do_not_fit():
    log = [ROW | {"occurred_at": f"03/{day:02}/2025"} for day in range(1, 32)]
    with pytest.warns(LeadlightWarning, match="19 of 31 rows.*day_first=False"):
        Community(log, day_first=True)


def test_stages_that_are_no_outcomes_are_told_with_what_to_write():
    deals = [DEAL] * 20 + [DEAL | {"outcome": "Proposal"}] * 10
    with pytest.warns(
        LeadlightWarning,
        match=r"10 of 30 rows of the deals table.*values=\{'outcome': \{'Proposal': 'open'\}\}",
    ):
        Community([ROW], deals=deals)


def test_deals_of_which_none_can_be_read_are_told_however_few():
    with pytest.warns(LeadlightWarning, match="1 of 1 rows of the deals table"):
        Community([ROW], deals=[DEAL | {"outcome": "Proposal"}])


def test_a_few_rows_that_cannot_be_used_are_counted_without_a_word():
    community = Community([ROW] * 40 + [ROW | {"occurred_at": "soon"}])
    assert community.rejects["rows"].tolist() == [1]


def test_no_address_stands_in_a_message():
    with pytest.raises(InputError) as raised:
        Community([ROW | {"occurred_at": "ann@acme.example"}])
    assert "ann@" not in str(raised.value)


def test_strict_says_what_to_do_too():
    with pytest.raises(
        InputError, match=r"1 rows of the activity table.*'03/14/2025': their second.*rows \[1\]"
    ):
        Community([ROW, ROW | {"occurred_at": "03/14/2025"}], strict=True)


def test_a_warning_points_at_the_line_that_asked():
    with pytest.warns(LeadlightWarning) as warned:
        Community([ROW], deals=[DEAL | {"outcome": "Proposal"}])
    assert warned[0].filename == __file__
