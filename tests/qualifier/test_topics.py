"""Topics are learned from what accounts looked into before they bought, and only where that is no chance."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

from leadlight import CORPORATE_COMMUNITY, Behaviour, Catalogue, Community, Count, LeadQualifier, observe
from leadlight.errors import LeadlightWarning
from leadlight.qualifier.topics import telling_tags

READS = Catalogue([Behaviour("reads", (Count(by="tag", window="90d"),), reason="looked into {tag.*}")])


def community(buyers=30, more=0.8, keen=0, others=0, seed=0):
    """Buyers read about pricing more; `keen` of them read about boats a hundred times, `others` about pricing."""
    rng = np.random.default_rng(seed)
    activity, members, deals = [], [], []
    for k in range(150):
        buys, member = k < buyers, f"m{k}"
        members.append({"member_id": member, "account_id": f"a{k}"})
        tags = rng.choice(["intro", "news", "api"], 12).tolist()
        tags += ["pricing"] * int(rng.random() < 0.2) + ["boats"] * int(rng.random() < 0.2)
        tags += ["pricing"] * 2 * int(buys and rng.random() < more) + ["boats"] * 100 * (k < keen)
        tags += ["pricing"] * 400 * (k >= 150 - others)
        activity += [
            {"member_id": member, "action": "view", "occurred_at": f"2024-01-{1 + i % 28:02d}", "tags": [t]}
            for i, t in enumerate(tags)
        ]
        if buys:
            deals.append({"member_id": member, "outcome": "won", "closed_at": "2024-03-01"})
    activity.append({"member_id": "m0", "action": "view", "occurred_at": "2024-12-01", "tags": ["intro"]})
    return Community(pd.DataFrame(activity), members=pd.DataFrame(members), deals=pd.DataFrame(deals))


def learned(found, shuffled=None):
    rows = observe(found, every="30d", horizon="60d", start="2024-02-01", end="2024-02-02")
    label = rows.frame["label"].to_numpy(float)
    if shuffled is not None:
        label = np.random.default_rng(shuffled).permutation(label)
    return telling_tags(found, rows, label)


def test_what_buyers_read_more_is_found():
    assert learned(community()) == ("pricing",)


def test_one_keen_reader_does_not_make_a_topic():
    assert "boats" not in learned(community(keen=1))


def test_one_keen_reader_does_not_hide_a_topic():
    assert learned(community(others=1)) == ("pricing",)


def test_a_small_difference_makes_no_topic_however_sure_it_is(monkeypatch):
    monkeypatch.setattr("leadlight.qualifier.topics.RATIO", 100.0)
    assert learned(community()) == ()


def test_too_few_won_accounts_teach_no_topic():
    assert learned(community(buyers=19, more=1.0)) == ()


def test_without_a_difference_hardly_any_topic_is_found():
    found = community()
    assert sum(len(learned(found, shuffled=k)) for k in range(20)) <= 2


def test_a_log_without_tags_has_no_topics(observations, community_without_tags):
    assert telling_tags(community_without_tags, observations, np.ones(len(observations))) == ()


@pytest.fixture(name="community_without_tags")
def _community_without_tags(community, monkeypatch):
    monkeypatch.setattr(type(community), "vocabulary", lambda self, attribute, **_: ())
    return community


@pytest.fixture(name="fit", scope="module")
def _fit():
    found = community()
    rows = observe(found, every="30d", horizon="60d", start="2024-02-01", end="2024-02-02")

    def fit(catalogue, **options):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", LeadlightWarning)
            return LeadQualifier(catalogue, **options).fit(found, rows)

    return fit


def test_the_qualifier_measures_them_as_buying_tags(fit):
    qualifier = fit(READS)
    assert qualifier.topics_ == ("pricing",)
    assert "buying_tag_count_30d" in qualifier.plan_.column_names


def test_learned_topics_earn_no_hand_set_points(fit):
    earned = {b.name: b.points for b in fit(CORPORATE_COMMUNITY).plan_.behaviours}
    assert not any("buying_tag" in column for column, _ in earned["reads by tag"].units)


def test_marked_tags_are_not_replaced(fit):
    qualifier = fit(READS.with_buying_tags("api"))
    assert qualifier.topics_ == ()
    assert "tag.api_recency_days" in qualifier.plan_.column_names


@pytest.mark.parametrize(
    ("catalogue", "options"),
    [
        (READS, {"learn_topics": False}),
        (Catalogue([Behaviour("reads", (Count("view", window="90d"),), reason="read")]), {}),
    ],
)
def test_topics_are_not_learned_where_nobody_asks_for_tags(fit, catalogue, options):
    qualifier = fit(catalogue, **options)
    assert qualifier.topics_ == ()
    assert not any("buying" in c for c in qualifier.plan_.column_names)
