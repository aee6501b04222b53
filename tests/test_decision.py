"""From probability to qualified."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
from scipy.stats import binom

from leadlight.decision import (
    Capacity,
    Costs,
    MissRate,
    Price,
    Priced,
    binomial_interval,
    decision_from,
    one_row_each,
)
from leadlight.errors import InputError

SCORES = np.random.default_rng(0).permutation(np.arange(1, 201) / 1000)


def test_capacity_takes_the_n_best():
    assert (Capacity(n=7).threshold(SCORES, None) <= SCORES).sum() == 7


def test_capacity_takes_a_share():
    assert (Capacity(share=0.1).threshold(SCORES, None) <= SCORES).sum() == 20
    assert Capacity().threshold(SCORES, None) == Capacity(share=0.05).threshold(SCORES, None)


def test_a_capacity_beyond_everybody_takes_everybody():
    assert Capacity(n=999).threshold(SCORES, None) == SCORES.min()


def test_a_small_share_still_takes_one():
    assert (Capacity(share=0.0001).threshold(SCORES, None) <= SCORES).sum() == 1


def test_members_tied_at_the_line_are_all_in():
    assert (
        np.array([0.9, 0.5, 0.5, 0.1]) >= Capacity(n=2).threshold(np.array([0.1, 0.5, 0.9, 0.5]), None)
    ).sum() == 3


def test_capacity_of_no_scores_qualifies_nobody():
    assert np.isnan(Capacity(n=5).threshold(np.empty(0), None))


@pytest.mark.parametrize(
    "wrong",
    [
        {"n": 5, "share": 0.1},
        {"n": 0},
        {"n": 2.5},
        {"n": True},
        {"share": 0.0},
        {"share": 1.5},
        {"share": float("nan")},
        {"per_account": 0},
        {"per_account": 1.5},
        {"not_contacted_within": "soon"},
    ],
)
def test_an_impossible_capacity_is_an_error(wrong):
    with pytest.raises(InputError):
        Capacity(**wrong)


def test_costs_set_the_line_where_gain_and_cost_meet():
    assert Costs(10, 90).threshold(SCORES, None) == 0.1


@pytest.mark.parametrize("pair", [(0, 1), (1, -1), (float("nan"), 1), (float("inf"), 1)])
def test_costs_are_positive_numbers(pair):
    with pytest.raises(InputError, match="positive"):
        Costs(*pair)


@pytest.mark.parametrize("at_most", [0.05, 0.1, 0.25, 0.5])
@pytest.mark.parametrize("confidence", [0.75, 0.8, 0.9, 0.95])
def test_misses_allowed_are_those_of_the_exact_binomial(at_most, confidence):
    rule = MissRate(at_most, confidence)
    for buyers in (1, 5, 21, 22, 40, 80):
        # The bound is below at_most when so few misses would be unlikely if the true rate were at_most.
        slow = max(
            (k for k in range(buyers) if binom.cdf(k, buyers, at_most) <= 1 - confidence + 1e-12), default=-1
        )
        assert rule.misses_allowed(buyers) == slow


@pytest.mark.parametrize(("at_most", "confidence"), [(0.1, 0.9), (0.05, 0.95), (0.5, 0.75), (0.2, 0.99)])
def test_the_number_of_buyers_needed_is_the_smallest_that_works(at_most, confidence):
    rule = MissRate(at_most, confidence)
    assert rule.misses_allowed(rule.buyers_needed) >= 0
    assert rule.misses_allowed(rule.buyers_needed - 1) == -1


def test_ten_percent_at_ninety_needs_22_buyers():
    assert MissRate(0.1, 0.9).buyers_needed == 22


def test_too_few_buyers_are_refused_with_the_number():
    with pytest.raises(InputError, match=r"21 buyers.*at least 22"):
        MissRate(0.1, 0.9).threshold(SCORES, SCORES[:21])
    with pytest.raises(InputError, match="0 buyers"):
        MissRate(0.1, 0.9).threshold(SCORES, None)


def test_the_line_misses_as_many_as_allowed():
    rule = MissRate(0.1, 0.9)
    buyers = SCORES[:60]
    missed = (buyers < rule.threshold(SCORES, buyers)).sum()
    assert missed == rule.misses_allowed(60) > 0


def test_the_promise_holds_on_new_buyers():
    rule, rng = MissRate(0.2, 0.9), np.random.default_rng(2)
    lines = np.array([rule.threshold(SCORES, rng.random(40)) for _ in range(2000)])
    assert (lines <= 0.2).mean() >= 0.88


@pytest.mark.parametrize("wrong", [(0.0, 0.9), (1.0, 0.9), (0.1, 1.0), (float("nan"), 0.9)])
def test_an_impossible_promise_is_an_error(wrong):
    with pytest.raises(InputError, match="shares"):
        MissRate(*wrong)


@pytest.mark.parametrize(
    "decision",
    [
        Capacity(n=5),
        Capacity(share=0.2, per_account=2, not_contacted_within="30d"),
        Costs(3, 400.0),
        MissRate(0.1, 0.8),
    ],
    ids=["n", "share", "costs", "miss rate"],
)
def test_a_decision_survives_the_bundle(decision):
    back = decision_from(decision.kind, decision.to_dict())
    assert back.to_dict() == decision.to_dict()
    assert back.describe(0.25) == decision.describe(0.25)


def test_a_quiet_time_comes_back_as_a_duration():
    back = decision_from("capacity", Capacity(n=1, not_contacted_within="2w").to_dict())
    assert back.not_contacted_within == timedelta(days=14)


def test_an_unknown_decision_is_an_error():
    with pytest.raises(InputError, match="'dice'"):
        decision_from("dice", {})


# Two dates. Account a: two members, found at both dates. b: missed at both. c: one row of two found.
PRICED = Priced(
    score=np.array([0.9, 0.8, 0.2, 0.7, 0.6, 0.1] + [0.9, 0.1, 0.1, 0.2]),
    label=np.array([1.0, 1, 1, 1, 0, 0] + [1, 1, 1, 0]),
    group=np.array(["a", "a", "b", "c", "d", "e"] + ["a", "b", "c", "d"], dtype=object),
    cutoff=np.array([1] * 6 + [2] * 4),
)


def test_a_price_by_hand():
    price = Price.of(PRICED, 0.5)
    assert (price.rows, price.dates, price.flagged, price.calls) == (10, 2, 0.5, 2.5)
    # Five calls: a and c at the first date, a at the second.
    assert price.calls_per_buyer == pytest.approx(5 / 3)
    assert price.false_per_true == pytest.approx(1 / 4)
    assert price.buyers == 3
    assert price.missed in {1, 2}
    assert (price.missed_low, price.missed_high) == binomial_interval(price.missed, 3)


def test_capacity_says_what_it_reaches():
    price = Capacity(n=3).price(PRICED, 0.5)
    assert f"reach {3 - price.missed} of 3 accounts that won" in str(price)


def test_costs_say_the_profit_by_outcomes_and_by_probabilities():
    price = Costs(1, 10).price(PRICED, 0.5)
    assert price.profit == (4 * 10 - 1) / 2
    assert price.expected_profit == pytest.approx((10 * 3.9 - 1.1) / 2)
    assert "19.5 by the outcomes" in str(price)


def test_a_bound_says_its_bound_and_the_share_it_flags():
    rule = MissRate(0.5, 0.9)
    buyers = Priced(np.arange(20.0), np.ones(20), np.arange(20), np.zeros(20), "held back")
    price = rule.price(buyers, rule.threshold(buyers.score, buyers.score))
    assert price.bound == rule.bound(price.missed, 20) <= 0.5
    assert rule.bound(price.missed + 1, 20) > 0.5
    assert f"flags {price.flagged:.0%} of all members" in str(price)


def test_without_a_deal_nobody_knows_what_is_missed():
    quiet = Priced(np.array([0.3, 0.1]), np.zeros(2), np.array(["a", "b"]), np.zeros(2))
    for decision in (Capacity(n=1), Costs(1, 9), MissRate(0.1)):
        price = decision.price(quiet, 0.2)
        assert np.isnan([price.missed_share, price.calls_per_buyer, price.false_per_true]).all()
        assert "not known" in str(price)


def test_a_call_list_that_reaches_nobody_says_so():
    assert "reached none" in str(Capacity().price(PRICED, 2.0))


def test_a_price_survives_plain_values():
    price = Costs(1, 10).price(PRICED, 0.5)
    back = Price.from_dict({**price.to_dict(), "of_a_later_version": 1})
    assert str(back) == str(price)
    assert price.to_dict()["bound"] is None
    assert np.isnan(back.bound)


def test_one_row_of_each_group_is_drawn_blind():
    group = np.repeat(["a", "b"], [4, 1])
    drawn = np.array([one_row_each(group, seed) for seed in range(400)])
    assert (drawn[:, 1] == 4).all()
    assert np.bincount(drawn[:, 0], minlength=4) == pytest.approx(100, abs=40)
    assert one_row_each(group, 7).tolist() == one_row_each(group, 7).tolist()


@pytest.mark.parametrize(("k", "n"), [(0, 10), (3, 10), (10, 10), (7, 60)])
def test_the_interval_of_a_share_is_exact(k, n):
    low, high = binomial_interval(k, n)
    if k:
        assert binom.sf(k - 1, n, low) == pytest.approx(0.025)
    if k < n:
        assert binom.cdf(k, n, high) == pytest.approx(0.025)
    assert (low == 0) == (k == 0)
    assert (high == 1) == (k == n)
    assert binomial_interval(0, 0) == (0, 1)
