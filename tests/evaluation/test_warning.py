"""Weeks of warning."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from leadlight import Community, Observations
from leadlight.errors import InputError
from leadlight.evaluation.redraws import Redraws
from leadlight.evaluation.warning import WEEK_US, Demand, new_alerts, weeks_of_warning

START = pd.Timestamp("2024-01-01")


def week(k):
    return START + pd.Timedelta(weeks=k)


def community(deals):
    members = pd.DataFrame({"member_id": ["a1", "a2", "b", "c"], "account_id": ["A", "A", "B", "C"]})
    activity = pd.DataFrame(
        {"member_id": ["a1", "a2", "b", "c", "c"], "occurred_at": [START] * 4 + [week(90)], "action": "view"}
    )
    return Community(activity=activity, members=members, deals=pd.DataFrame(deals))


def rows(*weeks):
    pairs = [(m, week(k)) for k in weeks for m in ("a1", "a2", "b", "c")]
    frame = pd.DataFrame(pairs, columns=["member_id", "cutoff"])
    frame["account_id"] = frame["member_id"].str[0].str.upper()
    return Observations.from_frame(frame)


def demand(deals, observed):
    return Demand.of(community(deals), observed, Redraws(observed.groups, 0, 0).codes)


WON_B = {"account_id": "B", "outcome": "won", "opened_at": week(10), "closed_at": week(14)}


def test_the_lead_is_from_the_first_alert_to_the_opening():
    observed = rows(0, 4, 8)
    found = demand([WON_B], observed)
    alerted = (
        (observed.frame["member_id"] == "b") & (observed.frame["cutoff"] >= week(4).tz_localize("UTC"))
    ).to_numpy()
    assert found.lead(alerted).tolist() == [6.0]


def test_without_an_opening_the_deal_counts_from_its_close():
    observed = rows(0)
    found = demand([{k: v for k, v in WON_B.items() if k != "opened_at"}], observed)
    assert found.lead(np.ones(4, bool)).tolist() == [14.0]


def test_an_alert_of_any_member_whom_the_deal_reaches_warns():
    observed = rows(0, 4)
    found = demand([{**WON_B, "account_id": "A"}], observed)
    assert found.lead((observed.frame["member_id"] == "a2").to_numpy()).tolist() == [10.0]


def test_a_buyer_who_was_never_alerted_counts_as_nothing():
    observed = rows(0)
    found = demand([WON_B, {**WON_B, "account_id": "C"}], observed)
    assert found.lead((observed.frame["member_id"] == "c").to_numpy()).tolist() == [0.0, 10.0]


def test_lost_deals_late_alerts_and_old_alerts_do_not_count():
    lost = {**WON_B, "outcome": "lost"}
    assert not len(demand([lost], rows(0)).account)
    assert not len(demand([WON_B], rows(11)).account)
    old = {**WON_B, "opened_at": week(27), "closed_at": week(28)}
    assert not len(demand([old], rows(0)).account)


def test_of_two_deals_of_an_account_the_first_counts():
    later = {**WON_B, "opened_at": week(20), "closed_at": week(22)}
    found = demand([later, WON_B], rows(0))
    assert found.lead(np.ones(4, bool)).tolist() == [10.0]


def test_no_member_is_alerted_twice_within_the_rest():
    cutoff = np.repeat(np.arange(0, 60, 2), 4) * WEEK_US
    member = np.tile(np.array(["a", "b", "c", "d"], object), 30)
    alerted = new_alerts(np.tile([4.0, 3, 2, 1], 30), cutoff, member, 1)
    at = pd.DataFrame({"member": member, "week": cutoff // WEEK_US})[alerted]
    assert at["member"].tolist()[:4] == ["a", "b", "c", "d"]
    assert at["week"].tolist()[:4] == [0, 2, 4, 6]
    assert (at.groupby("member")["week"].diff().dropna() >= 26).all()


def test_the_budget_is_kept_at_each_cutoff():
    cutoff = np.repeat([0, 1, 2], 50) * WEEK_US
    alerted = new_alerts(np.ones(150), cutoff, np.tile(np.arange(50), 3), 7)
    assert np.bincount(cutoff[alerted] // WEEK_US).tolist() == [7, 7, 7]


def test_a_budget_of_nothing_is_an_error():
    with pytest.raises(InputError, match="at least 1"):
        new_alerts(np.ones(2), np.zeros(2, np.int64), np.arange(2), 0)


def test_a_perfect_alerter_is_ahead_of_chance_and_chance_is_not():
    observed = rows(0, 4, 8)
    redraws = Redraws(observed.groups, 50, 0)
    found = demand([WON_B], observed)
    perfect = (observed.frame["member_id"] == "b").to_numpy(float)
    table, draws = weeks_of_warning({"leadlight": perfect}, observed, found, 1, redraws, alerters=400)
    line = table.loc["leadlight"]
    assert line["weeks"] == 10
    # Without a second alert in 26 weeks, chance names b at each of the three cutoffs with 1 in 4.
    assert line["random"] == pytest.approx((10 + 6 + 2) / 4, abs=0.6)
    assert line["excess"] == pytest.approx(line["weeks"] - line["random"])
    assert draws["leadlight"][0] == line["excess"]


def test_two_random_alerters_differ_by_nothing():
    observed = rows(0, 4, 8)
    found = demand([WON_B, {**WON_B, "account_id": "C"}], observed)
    cutoff, member = observed.cutoff_us, observed.frame["member_id"].to_numpy(object)
    rng = np.random.default_rng(0)
    leads = [found.lead(new_alerts(rng.random(len(observed)), cutoff, member, 1)).mean() for _ in range(400)]
    gap = np.array(leads[::2]) - np.array(leads[1::2])
    assert gap.std() > 0
    assert abs(gap.mean()) < 3 * gap.std() / np.sqrt(200)
