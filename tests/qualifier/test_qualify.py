"""The short path, from two files to a call list."""

from __future__ import annotations

import pandas as pd
import pytest

import leadlight as ll
from leadlight.errors import InputError, LeadlightWarning

DAYS = pd.date_range("2024-01-01", periods=14, freq="30D")
SMALL = ll.Catalogue(
    [
        ll.Behaviour("asks", (ll.Count("question", window="30d"), ll.Recency("question")), reason="asked"),
        ll.Behaviour("reads", (ll.Count("view", window="30d"),), reason="read"),
    ]
)


def tables(won=60):
    """Members ask before they buy; deals know them by their e-mail address alone."""
    log, deals = [], []
    for m in range(240):
        person = {"member_id": f"m{m}", "email": f"p{m}@firm{m}.example"}
        log += [{**person, "occurred_at": f"{day:%Y-%m-%d}T09:00:00", "action": "view"} for day in DAYS]
        if m < won:
            bought = DAYS[1 + m % 13]
            log.append(
                {
                    **person,
                    "occurred_at": f"{bought - pd.Timedelta('2D'):%Y-%m-%d}T09:00:00",
                    "action": "question",
                }
            )
            deals.append(
                {
                    "email": f"P{m}@Firm{m}.example",
                    "outcome": "won",
                    "closed_at": f"{bought:%Y-%m-%d}T12:00:00",
                }
            )
    columns = ["email", "outcome", "closed_at"]
    return pd.DataFrame(log), pd.DataFrame(deals, columns=columns)


def test_two_files_and_ten_lines_give_a_call_list(tmp_path):
    log, deals = tables()
    log.to_csv(tmp_path / "log.csv", index=False)
    deals.to_csv(tmp_path / "deals.csv", index=False)

    community = ll.Community(tmp_path / "log.csv", deals=tmp_path / "deals.csv")
    leads = ll.qualify(community, top=15, catalogue=SMALL, rounds=10)
    leads.to_csv(tmp_path / "call_list.csv")

    assert (community.matches["status"] == "matched").all()
    assert 0 < len(leads.top) <= 15
    assert len(leads.scores) == 240
    assert not leads.top.frame["customer"].any()
    assert leads.report.sentence in str(leads)
    assert len(pd.read_csv(tmp_path / "call_list.csv")) == len(leads.top)
    assert "@" not in (tmp_path / "call_list.csv").read_text()


def test_a_date_in_the_past_sees_nothing_later():
    log, deals = tables()
    early = ll.qualify(ll.Community(log, deals=deals), at="2024-10-01", top=5, catalogue=SMALL, rounds=2)
    last = "2024-09-30T23:59:59.999999"
    known = log[log["occurred_at"] < "2024-10-01"], deals[deals["closed_at"] < "2024-10-01"]
    then = ll.qualify(
        ll.Community(known[0], deals=known[1], frozen_at=last),
        at="2024-10-01",
        top=5,
        catalogue=SMALL,
        rounds=2,
    )
    pd.testing.assert_frame_equal(
        early.scores.frame.drop(columns="model_version"), then.scores.frame.drop(columns="model_version")
    )


def test_without_a_deal_it_says_what_else_to_do():
    log, deals = tables(0)
    for table in (deals, None):
        with pytest.raises(InputError, match=r"No deal was won.*PointsScorer"):
            ll.qualify(ll.Community(log, deals=table), catalogue=SMALL)


def test_ten_deals_work_with_a_warning():
    log, deals = tables(10)
    with pytest.warns(LeadlightWarning, match="accounts or members are positive"):
        leads = ll.qualify(ll.Community(log, deals=deals), top=5, catalogue=SMALL, rounds=2)
    assert len(leads.top) == 5


def test_one_early_deal_ranks_and_says_that_nothing_was_measured():
    log, deals = tables(60)
    last = deals[deals["closed_at"].str[:10] == f"{DAYS[-4]:%Y-%m-%d}"].head(1)
    with (
        pytest.warns(LeadlightWarning, match="not evaluated"),
        pytest.warns(LeadlightWarning, match="Only 1 account"),
    ):
        leads = ll.qualify(ll.Community(log, deals=last), top=5, catalogue=SMALL, rounds=2)
    assert leads.report is None
    assert "Too few deals" in str(leads)


def test_a_gap_moves_the_label_windows():
    log, deals = tables()
    leads = ll.qualify(ll.Community(log, deals=deals), catalogue=SMALL, gap="14d", rounds=2)
    assert leads.observations.windows.gap_us == 14 * 86_400_000_000
