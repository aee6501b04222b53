"""Rows by entry, together, or within the own domain: the names of their columns and what they measure."""

from __future__ import annotations

import math

import pytest

from leadlight.behaviours import (
    Behaviour,
    Catalogue,
    Count,
    Distinct,
    Entropy,
    FirstTime,
    Peers,
    Recency,
    Share,
    Surprise,
    Trend,
)
from leadlight.errors import InputError
from leadlight.testing import assert_point_in_time

BUYING = {"by": "tag", "only": ("pricing", "migration")}
LOG = (
    "ann view 2024-01-10 tags=pricing|intro group=beta role=customer domain=a.example;"
    "ann view 2024-02-20 tags=migration|pricing; ann view 2024-02-21 tags=intro;"
    "ann connect 2024-02-22 role=customer; ann connect 2024-02-23 role=partner;"
    "ann invite 2024-02-24 domain=a.example; ann invite 2024-02-25 domain=b.example;"
    "ann question 2024-02-26; bob view 2024-02-20 tags=pricing"
)
MEMBERS = [{"member_id": m, "account_id": "acme", "email_domain": "a.example"} for m in ("ann", "bob")]


@pytest.fixture
def community(table):
    return table(LOG, members=MEMBERS)


@pytest.mark.parametrize(
    ("feature", "column", "expected"),
    [
        (Count(**BUYING, total="buying"), "buying_count_all", 3),
        (Count("view", **BUYING, total="buying"), "buying_view_count_all", 3),
        (Count(**BUYING, total="buying", window="30d"), "buying_count_30d", 2),
        (FirstTime(**BUYING, total="buying"), "buying_first_time_30d", 0),
        (FirstTime("connect", by="role", only=("partner",)), "role.partner_connect_first_time_30d", 1),
        (FirstTime(), "activity_first_time_30d", 0),
        (Trend("connect", by="role", only=("customer",)), "role.customer_connect_trend_30d", 2),
        (Recency(**BUYING), "tag.pricing_recency_days", 10),
        (Recency("connect", by="role", only=("customer",)), "role.customer_connect_recency_days", 8),
        (Recency("invite", same_domain=True), "invite_same_domain_recency_days", 6),
        (Distinct("tag", only=("pricing", "migration"), total="buying"), "buying_distinct_90d", 2),
        (Entropy("tag", only=("pricing",), total="buying"), "buying_entropy_90d", 0),
        (Peers(Count(**BUYING, total="buying")), "peers_buying_count_all", 1),
        # Uses of tags: pricing 2, migration 1, intro 2.
        (Share(**BUYING, total="buying"), "buying_share_90d", 3 / 5),
        (Share(by="tag", only=("intro",)), "tag.intro_share_90d", 2 / 5),
        (Share(by="tag", only=("intro",), window="30d"), "tag.intro_share_30d", 1 / 3),
        (Share("connect", by="role", only=("customer",)), "role.customer_connect_share_90d", 1 / 2),
        (Share("invite", same_domain=True), "invite_same_domain_share_90d", 1 / 2),
        (Share("question"), "question_share_90d", 1 / 8),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)  # fmt: skip
def test_a_selection_is_measured_under_its_name(community, value, feature, column, expected):
    assert value(community, feature, cutoff="2024-03-01", column=column) == pytest.approx(expected)


def test_surprise_goes_by_the_rate_of_the_same_rows(community, value):
    """One use in the 21 days before the window expects 30/21 in it, of two buying tags on one page."""
    found = value(community, Surprise(**BUYING, total="buying"), cutoff="2024-03-01")
    expected = 1 * 30 / 21
    assert found == pytest.approx((2 - expected) / math.sqrt(expected + 1))


def test_a_share_counts_the_entries_of_only_even_where_few_members_use_them(community):
    plan = Catalogue([Behaviour("b", (Share(**BUYING, total="buying"),), reason="")]).compile(community)
    (column,) = plan.columns
    whole = [plan.keys[k].value for k in column.keys[column.split :]]
    assert whole == ["pricing", "migration"]


def test_entries_that_you_name_need_no_twenty_members(community):
    plan = Catalogue([Behaviour("b", (Count(**BUYING),), reason="")]).compile(community, min_members=20)
    assert plan.column_names == ("tag.pricing_count_all", "tag.migration_count_all")


def test_all_groups_together_are_one_column(table, value):
    community = table(
        "ann question 2024-02-01 group=beta; ann answer 2024-02-01 group=gamma; ann answer 2024-02-02"
    )
    together = Count(("question", "answer"), by="group", total="group")
    assert value(community, together, cutoff="2024-03-01", column="group_question_or_answer_count_all") == 2


def test_a_vocabulary_with_nothing_in_it_still_makes_its_total(table):
    community = table("ann answer 2024-02-01 group=beta")
    together = {"by": "group", "total": "group"}
    plan = Catalogue(
        [Behaviour("b", (Count(**together), Surprise(**together)), reason="{group_count_all}")]
    ).compile(community)
    plan.check()
    assert plan.column_names == ("group_count_all", "group_surprise_30d")
    assert [plan.keys[k].value for column in plan.columns for k in column.keys] == ["", ""]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Count(by="tag", only="pricing"), r"give a tuple: only=\('pricing',\)"),
        (lambda: Count(only=("pricing",)), "no by="),
        (lambda: Count("view", total="buying"), "total='buying' and by=None"),
        (lambda: Count(by="tag", total="Buying tags"), "small letters"),
        (lambda: Share(by="tag", same_domain=True), "Share takes by= or same_domain=True"),
        (lambda: Trend(side="taken"), "Trend has side='taken'"),
    ],
    ids=["a text", "no by", "total without by", "a name with spaces", "by and same_domain", "side"],
)
def test_what_makes_no_sense_is_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()


def test_every_selection_knows_nothing_before_its_time(community):
    assert_point_in_time(
        community,
        Behaviour(
            "b",
            (
                Count(**BUYING, total="buying"),
                Share(**BUYING, total="buying"),
                Share("invite", same_domain=True),
                Recency(**BUYING),
                Trend(**BUYING),
                Surprise(**BUYING, total="buying"),
                FirstTime("connect", by="role"),
            ),
            reason="",
        ),
        cutoffs=["2024-02-22"],
    )
