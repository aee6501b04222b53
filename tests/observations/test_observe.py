"""Cutoffs, populations, label windows: what is in, what is out, to the microsecond."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from leadlight.community import Community
from leadlight.errors import ImmatureLabelError, InputError, LeadlightWarning
from leadlight.observations import cutoff_iterator, observe, population_at
from leadlight.observations.outcomes import Outcomes

MICROSECOND = timedelta(microseconds=1)
CUTOFF = datetime(2024, 3, 1, tzinfo=UTC)
LOG = "ann question 2024-02-20; bob view 2024-02-21"


def one(community, **options):
    """Observe at one cutoff, 2024-03-01, with a horizon of ten days."""
    settings = {
        "every": "30d",
        "horizon": "10d",
        "start": CUTOFF,
        "end": "2024-03-02",
        "frozen_at": "2024-06-01",
    }
    return observe(community, **{**settings, **options})


def deal(member="ann", outcome="won", closed="2024-03-05T00:00:00", **more):
    return {"member_id": member, "outcome": outcome, "closed_at": closed, **more}


def frame_of(community, member="ann", **options):
    return one(community, **options).frame.set_index("member_id").loc[member]


def test_the_first_cutoff_is_the_first_midnight_after_the_first_activity(table):
    community = table("ann view 2024-01-01T10:00:00; ann view 2024-03-20")
    cutoffs = observe(community, every="7d", horizon="14d").frame["cutoff"]
    assert cutoffs.min() == pd.Timestamp("2024-01-02", tz="UTC")
    assert set(cutoffs.diff().dropna()) == {pd.Timedelta(days=7)}


def test_an_activity_at_midnight_has_its_first_cutoff_a_day_later(table):
    cutoffs = observe(table("ann view 2024-01-01; ann view 2024-03-20"), every="7d", horizon="14d").frame[
        "cutoff"
    ]
    assert cutoffs.min() == pd.Timestamp("2024-01-02", tz="UTC")


def test_end_is_exclusive(table):
    rows = observe(
        table(LOG), every="1d", horizon="1d", start="2024-03-01", end="2024-03-04", frozen_at="2024-06-01"
    )
    assert rows.frame["cutoff"].dt.day.unique().tolist() == [1, 2, 3]


def test_rows_are_sorted_by_cutoff_then_member(table):
    rows = observe(
        table(LOG), every="1d", horizon="1d", start="2024-03-01", end="2024-03-03", frozen_at="2024-06-01"
    )
    assert rows.frame["member_id"].tolist() == ["ann", "bob"] * 2


@pytest.mark.parametrize(("shift", "label"), [(-1, None), (0, 1), (1, 1)])
def test_a_label_window_begins_at_the_cutoff(table, shift, label):
    closed = CUTOFF + shift * MICROSECOND
    rows = one(table(LOG, deals=[deal(closed=closed)])).frame.set_index("member_id")
    if label is None:
        assert "ann" not in rows.index
    else:
        assert rows.loc["ann", "label"] == label


@pytest.mark.parametrize(("shift", "label"), [(-1, 1), (0, 0), (1, 0)])
def test_a_label_window_ends_before_its_bound(table, shift, label):
    closed = CUTOFF + timedelta(days=10) + shift * MICROSECOND
    assert frame_of(table(LOG, deals=[deal(closed=closed)]))["label"] == label


@pytest.mark.parametrize(("shift", "dropped"), [(-1, 1), (0, 0)])
def test_a_win_inside_the_gap_drops_the_row_and_is_counted(table, shift, dropped):
    closed = CUTOFF + timedelta(days=5) + shift * MICROSECOND
    rows = one(table(LOG, deals=[deal(closed=closed)]), gap="5d")
    assert rows.counts["won_in_gap"].tolist() == [dropped]
    assert len(rows) == 2 - dropped
    assert rows.counts["won"].tolist() == [1 - dropped]


@pytest.mark.parametrize(("shift", "rows"), [(-2, 0), (-1, 2), (0, 2)])
def test_a_row_is_mature_when_the_last_microsecond_of_its_window_is_known(table, shift, rows):
    frozen = CUTOFF + timedelta(days=10) + shift * MICROSECOND
    if rows:
        assert len(one(table(LOG), frozen_at=frozen)) == rows
    else:
        with pytest.raises(ImmatureLabelError, match="censored=True"):
            one(table(LOG), frozen_at=frozen)


def test_censored_rows_have_no_label_and_say_until_when_they_were_seen(table):
    frozen = CUTOFF + timedelta(days=4)
    community = table(LOG, deals=[deal(closed=CUTOFF + timedelta(days=2))])
    rows = one(community, frozen_at=frozen, censored=True)
    assert rows.label.isna().all()
    assert rows.label.dtype == "Int8"
    assert (rows.to_pandas()["observed_until"] == pd.Timestamp(frozen + MICROSECOND)).all()
    assert rows.frame["outcome"].tolist() == ["won", "none"]


def test_frozen_at_is_the_latest_of_activity_deals_and_contacts(table):
    assert table(LOG).frozen_us == table("bob view 2024-02-21").frozen_us
    later = table(
        LOG,
        deals=[deal(closed="2024-05-01T00:00:00")],
        contacts=[{"member_id": "bob", "contacted_at": CUTOFF}],
    )
    assert later.frozen_us == table("bob view 2024-05-01").frozen_us
    assert (
        table(LOG + "; ann view 2024-02-01 known=2024-07-01").frozen_us
        == table("b view 2024-07-01").frozen_us
    )


def test_the_date_an_open_deal_is_expected_to_close_is_no_fact(table):
    community = table(
        LOG, deals=[deal(outcome=None, closed="2030-01-01T00:00:00", opened_at="2024-02-01T00:00:00")]
    )
    assert community.frozen_us == table(LOG).frozen_us


@pytest.mark.parametrize(
    ("deals", "outcome", "open_deal"),
    [
        ([deal()], "won", False),
        ([deal(outcome="lost")], "lost", False),
        ([deal(outcome="lost"), deal(closed="2024-03-06T00:00:00")], "won", False),
        ([deal(outcome=None, closed=None, opened_at="2024-02-25T00:00:00")], "open", True),
        ([deal(outcome=None, closed=None, opened_at="2024-03-03T00:00:00")], "open", False),
        ([deal(outcome=None, closed=None, opened_at="2024-03-11T00:00:00")], "none", False),
        (
            [deal(outcome="lost", closed="2024-02-28T00:00:00", opened_at="2024-02-25T00:00:00")],
            "none",
            False,
        ),
        ([deal(closed="2024-04-01T00:00:00", opened_at="2024-02-25T00:00:00")], "open", True),
    ],
)
def test_an_outcome_says_what_became_of_the_deal_in_the_window(table, deals, outcome, open_deal):
    row = frame_of(table(LOG, deals=deals))
    assert (row["outcome"], row["open_deal"]) == (outcome, open_deal)
    assert row["label"] == (outcome == "won")


@pytest.mark.parametrize(("known", "label"), [("2024-06-01T00:00:00", 1), ("2024-06-01T00:00:00.000001", 0)])
def test_a_deal_that_becomes_known_after_the_freeze_is_still_open(table, known, label):
    row = frame_of(table(LOG, deals=[deal(known_at=known, opened_at="2024-02-25T00:00:00")]))
    assert row["label"] == label
    assert row["outcome"] == ("won" if label else "open")


def test_nobody_stays_after_the_first_won_deal(table):
    community = table(LOG, deals=[deal(closed="2024-03-05T00:00:00")])
    rows = one(community, every="1d", end="2024-03-09")
    assert rows.frame.loc[rows.frame["member_id"] == "ann", "cutoff"].dt.day.tolist() == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(("shift", "there"), [(-1, True), (0, True), (1, False)])
def test_a_buyer_comes_back_exactly_a_cool_off_after_the_deal(table, shift, there):
    closed = CUTOFF - timedelta(days=5) + shift * MICROSECOND
    rows = one(table(LOG, deals=[deal(closed=closed)]), cool_off="5d")
    assert ("ann" in rows.frame["member_id"].tolist()) == there
    assert rows.windows.cool_off_us == 5 * 86_400_000_000


def test_the_last_deal_counts_for_the_cool_off(table):
    deals = [deal(closed="2024-02-01T00:00:00"), deal(closed="2024-02-27T00:00:00")]
    assert one(table(LOG, deals=deals), cool_off="5d").frame["member_id"].tolist() == ["bob"]


def test_a_repeated_purchase_is_a_label(table):
    deals = [deal(closed="2024-02-01T00:00:00"), deal()]
    assert frame_of(table(LOG, deals=deals), cool_off="5d")["label"] == 1


def test_a_deal_of_an_account_keeps_all_its_members_out_for_the_cool_off(table):
    community = table(FOUR, members=ACCOUNT, deals=[account_deal(closed_at="2024-02-20T00:00:00")])
    assert one(community, cool_off="11d").frame["member_id"].tolist() == ["dee"]
    assert len(one(community, cool_off="10d")) == 4


def test_a_second_win_inside_the_gap_drops_the_row_too(table):
    deals = [deal(closed="2024-02-01T00:00:00"), deal(closed="2024-03-02T00:00:00")]
    assert one(table(LOG, deals=deals), cool_off="5d", gap="5d").counts["won_in_gap"].tolist() == [1]


@pytest.mark.parametrize(("days", "customer"), [(4, True), (5, False)])
def test_a_population_flags_who_bought_within_the_cool_off(table, days, customer):
    community = table(LOG, deals=[deal(closed=CUTOFF - timedelta(days=days))])
    windows = one(community, cool_off="5d").windows
    assert population_at(community, CUTOFF, windows).frame["customer"].tolist() == [customer, False]


@pytest.mark.parametrize(("known", "open_deal"), [(CUTOFF - MICROSECOND, False), (CUTOFF, True)])
def test_a_deal_is_open_at_the_cutoff_until_its_end_is_known(table, known, open_deal):
    closed = {"opened_at": "2024-02-22T00:00:00", "closed": "2024-02-25T00:00:00", "known_at": known}
    community = table(LOG, deals=[deal(outcome="lost", **closed)])
    assert frame_of(community)["open_deal"] == open_deal
    assert population_at(community, CUTOFF).frame["open_deal"].tolist() == [open_deal, False]


@pytest.mark.parametrize(("known", "open_deal"), [(CUTOFF - MICROSECOND, True), (CUTOFF, False)])
def test_an_open_deal_is_open_from_when_it_was_known(table, known, open_deal):
    deals = [deal(outcome=None, closed=None, opened_at="2024-02-22T00:00:00", known_at=known)]
    assert frame_of(table(LOG, deals=deals))["open_deal"] == open_deal


@pytest.mark.parametrize(
    "horizon", ["1h", "17520h", "104w", "99999w", timedelta(days=730), timedelta(microseconds=1)]
)
def test_a_horizon_may_be_of_any_length(table, horizon):
    rows = one(
        table(LOG, deals=[deal(closed=CUTOFF)]), horizon=horizon, frozen_at="2024-06-01", censored=True
    )
    assert rows.frame["outcome"].tolist() == ["won", "none"]


@pytest.mark.parametrize("option", ["horizon", "gap", "every", "active_within", "cool_off"])
def test_a_duration_beyond_all_logs_is_an_error(table, option):
    with pytest.raises(InputError, match=f"{option} is .*longer than any log"):
        one(table(LOG), **{option: timedelta.max})


@pytest.mark.parametrize(("shift", "there"), [(-1, False), (0, True)])
def test_active_within_ends_exactly_a_window_before(table, shift, there):
    at = CUTOFF - timedelta(days=5) + shift * MICROSECOND
    community = table(f"ann view {at:%Y-%m-%dT%H:%M:%S.%f}; bob view 2024-02-29")
    assert ("ann" in one(community, active_within="5d").frame["member_id"].tolist()) == there


@pytest.mark.parametrize(
    ("when", "there"), [("2024-02-29T23:59:59.999999", True), ("2024-03-01T00:00:00", False)]
)
def test_who_first_acts_at_the_cutoff_is_not_there_yet(table, when, there):
    community = table(f"ann view {when}; bob view 2024-02-29")
    assert ("ann" in one(community).frame["member_id"].tolist()) == there


def test_what_becomes_known_at_the_cutoff_makes_nobody_active(table):
    community = table("ann view 2024-02-20 known=2024-03-01; bob view 2024-02-20")
    assert one(community).frame["member_id"].tolist() == ["bob"]


def test_a_member_enters_with_the_first_action_asked_for(table):
    community = table(
        "ann view 2024-02-20; bob view 2024-02-20; bob question 2024-02-21; ann question 2024-03-01"
    )
    rows = one(community, enters_on="question")
    assert rows.frame["member_id"].tolist() == ["bob"]
    assert rows.windows.enters_on == ("question",)


def test_enters_on_takes_several_actions(table):
    community = table("ann view 2024-02-20; bob post 2024-02-20; cid question 2024-02-21")
    assert one(community, enters_on=("question", "post")).frame["member_id"].tolist() == ["bob", "cid"]


@pytest.mark.parametrize("option", ["enters_on", "on"])
def test_an_action_that_never_happens_is_an_error(table, option):
    with pytest.raises(InputError, match=r"questoin.*actions are"):
        one(table(LOG), **{option: "questoin"})


def test_who_joins_later_is_not_there_yet(table):
    members = [
        {"member_id": "ann", "joined_at": "2024-03-01T00:00:00"},
        {"member_id": "bob", "joined_at": None},
    ]
    assert one(table(LOG, members=members)).frame["member_id"].tolist() == ["bob"]


def test_on_puts_a_cutoff_one_microsecond_after_each_action(table):
    community = table(
        "ann question 2024-02-01; ann question 2024-02-05; ann view 2024-02-06; bob question 2024-02-05"
    )
    rows = observe(community, on="question", horizon="1d", frozen_at="2024-06-01")
    expected = [("2024-02-01", "ann"), ("2024-02-05", "ann"), ("2024-02-05", "bob")]
    got = [(f"{c - MICROSECOND:%Y-%m-%d}", m) for m, c in rows.index]
    assert got == expected


def test_on_goes_by_when_the_action_became_known(table):
    rows = observe(
        table("ann question 2024-02-01 known=2024-02-03"), on="question", horizon="1d", frozen_at="2024-06-01"
    )
    assert rows.frame["cutoff"].iloc[0] == pd.Timestamp("2024-02-03T00:00:00.000001", tz="UTC")


def test_an_end_alone_cuts_no_events_of_the_first_day(table):
    rows = observe(table("ann question 2024-02-01T08:00:00"), on="question", horizon="1d", end="2024-05-01",
                   frozen_at="2024-06-01")  # fmt: skip
    assert len(rows) == 1


def test_employees_and_members_who_refuse_are_out_and_counted(table):
    members = [
        {"member_id": "ann", "role": "employee", "consent": True},
        {"member_id": "bob", "role": None, "consent": False},
        {"member_id": "cid", "role": "prospect", "consent": None},
        {"member_id": "dee", "role": "prospect", "consent": True},
    ]
    community = table(
        "; ".join(f"{m} view 2024-02-20" for m in ("ann", "bob", "cid", "dee", "eve")), members=members
    )
    rows = one(community)
    assert rows.frame["member_id"].tolist() == ["dee"]
    assert rows.counts[["population", "employees", "refused"]].iloc[0].tolist() == [1, 1, 3]


@pytest.mark.parametrize(("shift", "customer"), [(-1, True), (0, False)])
def test_a_customer_is_flagged_as_of_the_cutoff(table, shift, customer):
    members = [
        {"member_id": "ann", "role": "prospect", "valid_from": None},
        {"member_id": "ann", "role": "customer", "valid_from": CUTOFF + shift * MICROSECOND},
    ]
    assert frame_of(table(LOG, members=members))["customer"] == customer


def test_an_undated_customer_is_flagged_always(table):
    assert frame_of(table(LOG, members=[{"member_id": "ann", "role": "customer"}]))["customer"]


ACCOUNT = [{"member_id": m, "account_id": "acme"} for m in ("ann", "bob", "cid")] + [
    {"member_id": "dee", "account_id": "b"}
]
FOUR = "ann view 2024-02-20; bob view 2024-02-20; cid view 2024-02-20; dee view 2024-02-20"


def account_deal(**more):
    return {
        "deal_id": "d1",
        "account_id": "acme",
        "outcome": "won",
        "closed_at": "2024-03-05T00:00:00",
        **more,
    }


def test_a_deal_of_an_account_reaches_all_its_members_and_shares_its_weight(table):
    rows = one(table(FOUR, members=ACCOUNT, deals=[account_deal()])).frame
    assert rows["label"].tolist() == [1, 1, 1, 0]
    assert rows["weight"].tolist() == [1 / 3, 1 / 3, 1 / 3, 1.0]
    assert rows["account_id"].tolist() == ["acme", "acme", "acme", "b"]


def test_deal_contacts_name_whom_a_deal_reaches(table):
    contacts = [{"deal_id": "d1", "member_id": "bob"}, {"deal_id": "d1", "member_id": "dee"}]
    rows = one(table(FOUR, members=ACCOUNT, deals=[account_deal()], deal_contacts=contacts)).frame
    assert rows["label"].tolist() == [0, 1, 0, 1]
    assert rows["weight"].tolist() == [1.0, 0.5, 1.0, 0.5]


def test_deal_contacts_rescue_a_deal_that_matches_nobody(table):
    deals = [
        {"deal_id": "d1", "email": "x@nowhere.example", "outcome": "won", "closed_at": "2024-03-05T00:00:00"}
    ]
    community = table(FOUR, deals=deals, deal_contacts=[{"deal_id": "d1", "member_id": "bob"}])
    assert one(community).frame["label"].tolist() == [0, 1, 0, 0]
    assert community.matches.loc[0, ["status", "by"]].tolist() == ["matched", "deal_contacts"]


def test_deals_without_identifiers_share_their_weight_each_alone(table):
    deals = [account_deal(deal_id=None), account_deal(deal_id=None, account_id="b")]
    rows = one(table(FOUR, members=ACCOUNT, deals=deals)).frame
    assert rows["weight"].tolist() == [1 / 3, 1 / 3, 1 / 3, 1.0]


def test_an_employee_takes_no_share_of_a_deal(table):
    members = [{**m, "role": "employee" if m["member_id"] == "cid" else "prospect"} for m in ACCOUNT]
    contacts = [{"deal_id": "d1", "member_id": m} for m in ("ann", "cid")]
    assert one(table(FOUR, members=members, deals=[account_deal()])).frame["weight"].tolist() == [
        0.5,
        0.5,
        1.0,
    ]
    named = one(table(FOUR, members=members, deals=[account_deal()], deal_contacts=contacts)).frame
    assert named["weight"].tolist() == [1.0, 1.0, 1.0]
    assert named["label"].tolist() == [1, 0, 0]


def test_of_two_deals_in_a_window_the_earlier_knowledge_counts(table):
    deals = [
        deal(closed="2024-03-03T00:00:00", known_at="2024-05-01T00:00:00"),
        deal(closed="2024-03-04T00:00:00"),
    ]
    row = frame_of(table(LOG, deals=deals))
    assert row["known_us"] == int(pd.Timestamp("2024-03-04").value // 1000)


def test_a_deal_with_a_day_only_is_closed_at_the_end_of_that_day(table):
    row = frame_of(table(LOG, deals=[deal(closed="2024-03-11")]))
    assert row["label"] == 0
    assert frame_of(table(LOG, deals=[deal(closed="2024-03-10")]))["label"] == 1


@pytest.mark.parametrize(
    ("when", "contacted"),
    [(CUTOFF - MICROSECOND, False), (CUTOFF, True), (CUTOFF + timedelta(days=10) - MICROSECOND, True),
     (CUTOFF + timedelta(days=10), False)],
)  # fmt: skip
def test_contacted_means_approached_within_the_window(table, when, contacted):
    rows = one(table(LOG, contacts=[{"member_id": "ann", "contacted_at": when}]))
    assert rows.frame["contacted"].tolist() == [contacted, False]
    assert rows.counts["contacted"].tolist() == [int(contacted)]


def test_contacted_is_null_without_a_table_of_contacts(table):
    assert one(table(LOG)).frame["contacted"].isna().all()


def test_counts_say_what_came_of_each_cutoff(table):
    deals = [deal(), deal("bob", "lost")]
    counts = one(table(LOG, deals=deals)).counts.iloc[0]
    assert counts[["population", "won", "lost", "open", "won_in_gap", "window_open"]].tolist() == [
        2,
        1,
        1,
        0,
        0,
        0,
    ]


def test_a_population_is_the_one_that_was_trained_on(table):
    community = table("ann question 2024-02-20; bob view 2024-02-21; cid question 2023-12-01")
    windows = one(community, enters_on="question", active_within="30d").windows
    assert population_at(community, CUTOFF, windows).frame["member_id"].tolist() == ["ann"]
    wider = replace(windows, active_within_us=200 * 86_400_000_000)
    assert population_at(community, CUTOFF, wider).frame["member_id"].tolist() == ["ann", "cid"]


def test_a_population_without_windows_was_active_within_180_days(table):
    community = table("ann view 2023-09-03; bob view 2023-09-02; cid view 2024-02-20")
    assert population_at(community, CUTOFF).frame["member_id"].tolist() == ["ann", "cid"]


def test_the_windows_of_own_rows_fall_back_to_180_days(table):
    from leadlight.observations import Observations

    own = Observations.from_frame([{"member_id": "ann", "cutoff": CUTOFF}])
    assert len(population_at(table(LOG), CUTOFF, own.windows)) == 2


def test_a_population_equals_the_rows_that_observe_gives(table):
    community = table(FOUR + "; eve view 2024-03-02", members=ACCOUNT)
    observed = one(community, enters_on="view")
    assert population_at(community, CUTOFF, observed.windows).frame["member_id"].tolist() == (
        observed.frame["member_id"].tolist()
    )


def test_a_population_keeps_buyers_and_flags_them(table):
    rows = population_at(table(LOG, deals=[deal(closed="2024-02-25T00:00:00")]), CUTOFF).frame
    assert rows["customer"].tolist() == [True, False]
    assert rows["label"].tolist() == [-1, -1]


def test_a_population_knows_nothing_of_the_cutoff_and_later(table):
    deals = [deal("ann", closed=CUTOFF), deal("bob", None, None, opened_at=CUTOFF)]
    rows = population_at(table(LOG + "; cid view 2024-03-01", deals=deals), CUTOFF).frame
    assert rows["member_id"].tolist() == ["ann", "bob"]
    assert not rows[["customer", "open_deal"]].to_numpy().any()
    assert rows["outcome"].tolist() == ["none", "none"]


def test_a_population_far_beyond_the_data_warns(table):
    with pytest.warns(LeadlightWarning, match="more than a month after"):
        population_at(table(LOG), "2024-06-01")


def test_a_population_of_an_empty_log_is_empty(table):
    empty = Community({"member_id": [], "occurred_at": [], "action": []})
    with pytest.warns(LeadlightWarning):
        assert len(population_at(empty, CUTOFF)) == 0


def test_cutoffs_come_in_time_order_with_their_rows(table):
    rows = observe(
        table(LOG), every="1d", horizon="1d", start="2024-03-01", end="2024-03-04", frozen_at="2024-06-01"
    )
    found = list(cutoff_iterator(rows))
    assert [c.day for c, _ in found] == [1, 2, 3]
    assert np.concatenate([r for _, r in found]).tolist() == list(range(6))


def check_that_features_and_labels_do_not_overlap(table):
    """A deal won within the day before the cutoff makes no label."""
    for hours in (1, 12, 23):
        rows = one(table(LOG, deals=[deal(closed=CUTOFF - timedelta(hours=hours))])).frame
        assert (rows["label"] == 0).all()


def test_label_windows_do_not_reach_into_feature_windows(table):
    check_that_features_and_labels_do_not_overlap(table)


def test_the_check_kills_a_label_window_that_begins_before_the_cutoff(table, monkeypatch):
    original = Outcomes.columns

    def early(self, member, cutoff, opens, closes):
        return original(self, member, cutoff, opens - 86_400_000_000, closes)

    monkeypatch.setattr(Outcomes, "columns", early)
    monkeypatch.setattr(Outcomes, "bought", lambda self, member, at, cool_off_us: np.zeros(len(member), bool))
    with pytest.raises(AssertionError):
        check_that_features_and_labels_do_not_overlap(table)


def test_the_check_kills_a_role_as_of_today(table, monkeypatch):
    from leadlight.community import Members

    monkeypatch.setattr(Members, "role_at", lambda self, code, at: self.facts["role"].to_numpy(object)[code])
    with pytest.raises(AssertionError):
        test_a_customer_is_flagged_as_of_the_cutoff(table, 0, False)
