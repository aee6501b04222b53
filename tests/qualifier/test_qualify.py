"""The short path, from two files to a call list."""

from __future__ import annotations

import pandas as pd
import pytest

import leadlight as ll
from leadlight.errors import InputError, LeadlightWarning
from leadlight.plan import HandSetPoints

DAYS = pd.date_range("2024-01-01", periods=14, freq="30D")
SMALL = ll.Catalogue(
    [
        ll.Behaviour("asks", (ll.Count("question", window="30d"), ll.Recency("question")), reason="asked"),
        ll.Behaviour("reads", (ll.Count("view", window="30d"),), reason="read"),
    ]
)
POINTS = ll.Catalogue(
    [
        ll.Behaviour(
            "reads",
            (ll.Count("view", window="30d"),),
            reason="read {view_count_30d:page|pages}",
            points=HandSetPoints(2, (("view_count_30d", 1.0),), 10),
        )
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


def test_without_a_deal_and_without_points_it_says_what_is_missing():
    log, deals = tables(0)
    for table in (deals, None):
        with pytest.raises(
            InputError, match=r"No deal to learn from \(240 rows, 0 of them labelled.*HandSetPoints"
        ):
            ll.qualify(ll.Community(log, deals=table), catalogue=SMALL)


@pytest.mark.parametrize("days", [14, 2], ids=["a year", "a month, so that no window has ended"])
def test_without_a_deal_the_list_goes_by_points_and_says_so(days, tmp_path):
    log, deals = tables(0)
    log = log[log["occurred_at"] < f"{DAYS[days - 1]:%Y-%m-%dT23}"]
    with pytest.warns(LeadlightWarning, match="No deal to learn from: hand-set points"):
        leads = ll.qualify(ll.Community(log, deals=deals), top=5, catalogue=POINTS)
    assert len(leads.top) == 5
    assert leads.report is None
    assert leads.top.frame["probability"].isna().all()
    assert "No deal to learn from" in str(leads)
    assert "points" in str(leads)
    leads.to_csv(tmp_path / "list.csv")
    listed = pd.read_csv(tmp_path / "list.csv")
    assert listed["probability"].isna().all()
    assert (listed["points"] > 0).all()


def test_a_few_deals_too_late_for_any_window_leave_points():
    log, deals = tables(10)
    with pytest.warns(LeadlightWarning, match="every label window is still open"):
        leads = ll.qualify(ll.Community(log, deals=deals), top=5, catalogue=POINTS, horizon="900d")
    assert leads.top.frame["points"].is_monotonic_decreasing


def test_ten_deals_work_with_a_warning():
    log, deals = tables(10)
    with pytest.warns(LeadlightWarning, match="accounts or members are positive"):
        leads = ll.qualify(ll.Community(log, deals=deals), top=5, catalogue=SMALL, rounds=2)
    assert len(leads.top) == 5
    assert "Learned from 10 accounts that won, so the first may be anything from" in str(leads)
    assert (leads.top.frame["low"] < leads.top.frame["probability"]).all()


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


@pytest.mark.parametrize(("low", "said"), [(0.41, True), (0.62, False)])
def test_a_list_that_may_be_no_better_than_chance_says_so(low, said, monkeypatch):
    log, deals = tables()
    leads = ll.qualify(ll.Community(log, deals=deals), top=5, catalogue=SMALL, rounds=2)
    monkeypatch.setattr(type(leads.report), "interval", lambda *_: (low, 0.9))
    for text in (str(leads), leads._repr_html_()):
        assert ("not surely better than chance" in text) is said
