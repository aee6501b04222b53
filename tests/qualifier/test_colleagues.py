"""A won deal teaches of everybody of its account, and of nobody else."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

from leadlight import Behaviour, Catalogue, Community, Count, LeadQualifier, Observations, observe
from leadlight.errors import LeadlightWarning
from leadlight.qualifier.colleagues import with_colleagues
from leadlight.qualifier.selection import training_weight

FIRST, SECOND = "2024-01-01", "2024-02-01"


def rows(*entries):
    """Rows of (account, cutoff, label)."""
    frame = [
        {"member_id": f"m{i}", "account_id": account, "cutoff": cutoff, "label": label}
        for i, (account, cutoff, label) in enumerate(entries)
    ]
    return Observations.from_frame(frame)


def taught(*entries):
    found = rows(*entries)
    return with_colleagues(found, found.frame["label"].to_numpy(float))


def test_a_colleague_of_a_buyer_is_a_buyer():
    label, weight, colleague = taught(("a", FIRST, 1), ("a", FIRST, 0), ("a", FIRST, 0), ("b", FIRST, 0))
    assert label.tolist() == [1, 1, 1, 0]
    assert weight.tolist() == [1 / 3, 1 / 3, 1 / 3, 1]
    assert colleague.tolist() == [False, True, True, False]


def test_a_deal_teaches_of_its_own_window_only():
    label, weight, colleague = taught(("a", FIRST, 1), ("a", SECOND, 0))
    assert label.tolist() == [1, 0]
    assert weight.tolist() == [1, 1]
    assert not colleague.any()


def test_who_has_no_account_has_no_colleagues():
    label, weight, _ = taught((None, FIRST, 1), (None, FIRST, 0), ("a", FIRST, 0))
    assert label.tolist() == [1, 0, 0]
    assert weight.tolist() == [1, 1, 1]


def test_a_buyer_of_no_account_leaves_accounts_alone():
    label, _, _ = taught(
        (None, FIRST, 1), (None, FIRST, 0), ("a", FIRST, 0), ("b", FIRST, 1), ("b", FIRST, 0)
    )
    assert label.tolist() == [1, 0, 0, 1, 1]


def test_a_colleague_is_not_discounted_as_somebody_whom_nobody_asked():
    found = rows(("a", FIRST, 1), ("a", FIRST, 0), ("b", FIRST, 0))
    found.frame["contacted"] = [True, False, False]
    label, weight, _ = with_colleagues(found, found.frame["label"].to_numpy(float))
    assert training_weight("discount", found, label, weight).tolist() == [0.5, 0.5, 0.1]


@pytest.fixture(name="reading", scope="module")
def _reading():
    return Catalogue([Behaviour("reads", (Count("view", window="30d"),), reason="read")])


def accounts_of_two(**tables):
    """Both read much where one of them will sign."""
    rng = np.random.default_rng(0)
    activity, members, deals = [], [], []
    for account in range(60):
        buys = account < 25
        for who in ("signs", "reads"):
            member = f"{who}{account}"
            members.append({"member_id": member, "account_id": f"acct{account}"})
            views = int(rng.poisson(6 if buys else 2)) + 1
            activity += [
                {"member_id": member, "action": "view", "occurred_at": f"2024-01-{1 + k % 28:02d}"}
                for k in range(views)
            ]
        if buys:
            deals.append({"member_id": f"signs{account}", "outcome": "won", "closed_at": "2024-03-01"})
    activity.append({"member_id": "signs0", "action": "view", "occurred_at": "2024-12-01"})
    return Community(
        pd.DataFrame(activity), members=pd.DataFrame(members), deals=pd.DataFrame(deals), **tables
    )


@pytest.fixture(name="table_of_pairs", scope="module")
def _table_of_pairs():
    return accounts_of_two()


def observed(community):
    return observe(community, every="30d", horizon="60d", start="2024-02-01", end="2024-02-02")


@pytest.fixture(name="pairs", scope="module")
def _pairs(table_of_pairs):
    return observed(table_of_pairs)


def fitted(catalogue, community, pairs, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LeadlightWarning)
        return LeadQualifier(catalogue, **options).fit(community, pairs)


def test_the_qualifier_learns_from_colleagues_and_prices_by_whom_deals_name(table_of_pairs, pairs, reading):
    qualifier = fitted(reading, table_of_pairs, pairs)
    _, label, weight, _ = qualifier.training_
    assert label.sum() == 50
    assert weight[label == 1].sum() == pytest.approx(25)
    flagged = qualifier.classifier_.oof_log_odds_ >= np.log(qualifier.threshold_ / (1 - qualifier.threshold_))
    true = (flagged & (pairs.frame["label"] == 1).to_numpy()).sum()
    assert qualifier.decision_report_.false_per_true == pytest.approx((flagged.sum() - true) / true)


def test_whom_nobody_asked_is_discounted_unless_the_account_bought(reading):
    asked = [{"member_id": f"signs{k}", "contacted_at": "2024-02-10"} for k in range(60)]
    community = accounts_of_two(contacts=pd.DataFrame(asked))
    _, label, weight, _ = fitted(reading, community, observed(community)).training_
    assert sorted(set(weight[label == 1])) == [0.5]
    assert sorted(set(weight[label == 0])) == [0.1, 1.0]


def test_by_account_can_be_left_out(table_of_pairs, pairs, reading):
    assert fitted(reading, table_of_pairs, pairs, by_account=False).training_[1].sum() == 25


def test_probabilities_are_of_whom_deals_name(table_of_pairs, pairs, reading):
    qualifier = fitted(reading, table_of_pairs, pairs)
    label = pairs.frame["label"].to_numpy()
    named = ~with_colleagues(pairs, label.astype(float))[2]
    p = 1 / (1 + np.exp(-qualifier.classifier_.oof_log_odds_))
    assert p[named].mean() == pytest.approx(label[named].mean(), rel=1e-3)
