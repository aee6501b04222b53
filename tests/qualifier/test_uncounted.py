"""A log that calls its actions otherwise than the catalogue."""

from __future__ import annotations

import pytest

import leadlight as ll
from leadlight.errors import InputError
from leadlight.qualifier.no_deal import why_no_deal
from leadlight.qualifier.uncounted import uncounted

ASKS = ll.Catalogue([ll.Behaviour("asks", (ll.Count("question"),), reason="asked")])


def log(**rows):
    """So many rows of each action."""
    return [
        {"member_id": f"m{i % 7}", "occurred_at": f"2025-03-{1 + i % 28:02}", "action": action}
        for action, count in rows.items()
        for i in range(count)
    ]


def said(catalogue, **rows):
    community = ll.Community(log(**rows))
    return uncounted(catalogue.name, catalogue.compile(community), community)


def test_a_log_without_any_action_of_the_catalogue_is_told_with_what_to_write():
    told = said(ASKS, topic_viewed=300, topic_created=40)
    assert "It counts question; the log has topic_viewed (300), topic_created (40)." in told
    assert "values={'action': {'topic_viewed': 'question'}}" in told


def test_a_catalogue_of_many_actions_that_sees_less_than_half_is_told():
    assert "counts less than half" in said(ll.CORPORATE_COMMUNITY, topic_viewed=300, question=200)


@pytest.mark.parametrize(
    ("catalogue", "rows"),
    [
        (ASKS, {"view": 300, "question": 1}),
        (ASKS, {"topic_viewed": 30}),
        (ll.CORPORATE_COMMUNITY, {"view": 300, "badge_earned": 290}),
        (ll.Catalogue([ll.Behaviour("comes", (ll.Visits("30d"),), reason="came")]), {"topic_viewed": 300}),
    ],
)
def test_a_log_that_fits_is_not(catalogue, rows):
    assert said(catalogue, **rows) == ""


@pytest.mark.parametrize(
    ("deals", "why"),
    [
        (None, "no deals were given"),
        ([{"member_id": "m1", "outcome": "lost", "closed_at": "2025-03-05"}], "none of them is won"),
        ([{"member_id": "m1", "outcome": "won", "closed_at": "2020-03-05"}], "1 won deals found their member, closed 2020-03-05 to"),
    ],
)  # fmt: skip
def test_why_there_is_no_deal_is_said(deals, why):
    community = ll.Community(log(view=60), deals=deals)
    rows = ll.observe(community, every="7d", horizon="7d")
    assert why in why_no_deal(community, rows)


@pytest.mark.filterwarnings("ignore::leadlight.errors.LeadlightWarning")
@pytest.mark.parametrize(
    ("deal", "why"),
    [
        ({"member_id": "nobody", "outcome": "won", "closed_at": "2025-03-05"}, "none of 1 deals found its member"),
        ({"member_id": "m1", "outcome": "Signed", "closed_at": "2025-03-05"}, "none of 1 deals can be used, see community.rejects"),
    ],
)  # fmt: skip
def test_where_to_look_is_said(deal, why):
    community = ll.Community(log(view=60), deals=[deal])
    assert why in why_no_deal(community, ll.observe(community, every="7d", horizon="7d"))


def test_nobody_to_rank_says_when_the_log_ends():
    deal = {"member_id": "m1", "outcome": "won", "closed_at": "2030-03-05"}
    with pytest.raises(InputError, match=r"within 180d before 2030-03-06, and the log ends on 2025-03-28"):
        ll.qualify(ll.Community(log(view=60), deals=[deal]))


def test_no_reason_speaks_of_what_nobody_can_do():
    """A platform without questions: "asked no questions" is no reason."""
    catalogue = ll.Catalogue(
        [
            ll.Behaviour(
                "writes",
                (ll.Count("question", window="30d"), ll.Count("post", window="30d")),
                reason=(
                    "asked {question_count_30d:question|questions}",
                    "posted {post_count_30d:time|times}",
                ),
            )
        ]
    )
    (behaviour,) = catalogue.compile(ll.Community(log(post=3))).behaviours
    assert behaviour.reasons == ("posted {post_count_30d:time|times}",)
    (behaviour,) = catalogue.compile(ll.Community(log(post=3, question=1))).behaviours
    assert len(behaviour.reasons) == 2
