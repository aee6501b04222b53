"""The ten of the field: what each measures, on tiny tables and on a simulated community."""

from __future__ import annotations

import numpy as np
import pytest

from leadlight.behaviours import CORPORATE_COMMUNITY, PASSIVE_CANDIDATE, QUESTION_COMMUNITY, Catalogue
from leadlight.estimators import PointsScorer
from leadlight.features import build_features
from leadlight.observations import Observations
from leadlight.runtime.reasons import Writer
from leadlight.simulate import simulate_community

TEN = (
    "reads by tag",
    "joins groups",
    "posts and asks",
    "connects by role",
    "refers and invites",
    "completes the profile",
    "has connections",
    "visits",
    "spends time on site",
    "forwards content",
)
MEMBERS = [{"member_id": m, "account_id": "acme", "email_domain": "acme.example"} for m in ("ann", "bob")]


@pytest.fixture(scope="module")
def community():
    return simulate_community(members=2_500, weeks=70, seed=9)[0]


@pytest.fixture(scope="module")
def plan(community):
    return CORPORATE_COMMUNITY.compile(community)


@pytest.fixture(scope="module")
def features(community, plan):
    at = {"cutoff": "2025-04-01"}
    return build_features(
        community, Observations.from_frame([{"member_id": m, **at} for m in community.members.ids]), plan
    )


def row(community, catalogue=CORPORATE_COMMUNITY, member="ann", cutoff="2024-03-01"):
    plan = catalogue.compile(community, cutoff, min_members=1)
    return build_features(
        community, Observations.from_frame([{"member_id": member, "cutoff": cutoff}]), plan
    ).iloc[0]


def test_the_ten_stand_in_the_order_of_the_field():
    assert tuple(b.name for b in CORPORATE_COMMUNITY) == TEN


def test_with_full_vocabularies_there_are_about_three_hundred_columns(plan):
    assert 280 <= len(plan.columns) <= 340


def test_no_column_is_constant(features):
    constant = [c for c in features if features[c].nunique(dropna=False) < 2]
    assert constant == []


def test_no_column_repeats_another(features):
    seen: dict[bytes, str] = {}
    repeated = []
    for name in features:
        values = np.nan_to_num(features[name].to_numpy(), nan=-1e9).tobytes()
        if values in seen:
            repeated.append((seen[values], name))
        seen[values] = name
    assert repeated == []


@pytest.mark.parametrize(
    ("behaviour", "column"),
    [(i, c) for i, columns in enumerate((
        ("view_count_365d", "tag_entropy_90d", "tag_distinct_90d", "view_trend_30d", "view_surprise_30d",
         "view_recency_days", "search_or_download_first_time_30d", "peers_view_count_365d"),
        ("join_group_count_7d", "join_group_first_time_90d", "join_group_surprise_90d", "peers_join_group_count_90d"),
        ("post_count_365d", "post_first_time_90d", "question_first_time_7d", "question_share_90d",
         "question_surprise_30d", "question_trend_30d", "answer_received_recency_days",
         "answer_received_per_question_all", "tag_question_distinct_90d", "peers_question_count_7d"),
        ("role.customer_connect_count_90d", "role.customer_connect_recency_days", "job_function.finance_connect_count_all",
         "role.customer_connect_first_time_90d", "role.customer_connect_trend_90d", "role.customer_connect_surprise_90d",
         "role.customer_connect_share_all", "peers_role.customer_connect_count_90d"),
        ("invite_or_refer_same_domain_count_7d", "invite_or_refer_same_domain_share_all",
         "invite_same_domain_recency_days", "refer_same_domain_recency_days",
         "invite_or_refer_same_domain_first_time_90d", "peers_invite_or_refer_count_90d"),
        ("profile_completeness", "profile_update_count_365d", "profile_update_recency_days", "tenure_days"),
        ("connect_count_365d", "connect_received_count_7d", "connect_surprise_90d", "peers_connect_count_30d"),
        ("visit_count_365d", "visits_per_month", "activity_surprise_7d", "activity_first_time_30d"),
        ("last_visit_s", "activity_duration_s_7d"),
        ("forward_count_365d", "forward_same_domain_count_90d", "forward_surprise_90d", "peers_forward_count_90d"),
    )) for c in columns],
)  # fmt: skip
def test_a_behaviour_measures_what_the_field_asks_for(plan, behaviour, column):
    assert column in plan.behaviours[behaviour].columns


def test_counterparts_have_the_role_of_the_row_not_of_today(table):
    community = table("ann connect 2024-02-01 to=bob role=prospect; ann connect 2024-03-05 to=bob role=customer",
                      members=[*MEMBERS, {"member_id": "bob", "role": "customer", "valid_from": "2024-03-04"}])  # fmt: skip
    found = row(community)
    assert found["role.prospect_connect_count_all"] == 1
    assert "role.customer_connect_count_all" not in found


@pytest.mark.parametrize(("domain", "points"), [("acme.example", 10.0), ("b.example", 5.0)])
def test_a_referral_within_the_own_company_earns_twice_the_points(table, domain, points):
    community = table(
        f"ann refer 2024-02-28 domain={domain}; bob view 2024-02-01 domain=acme.example", members=MEMBERS
    )
    plan = CORPORATE_COMMUNITY.compile(community, "2024-03-01", min_members=1)
    X = build_features(
        community, Observations.from_frame([{"member_id": "ann", "cutoff": "2024-03-01"}]), plan
    )
    rules = {b.name: b.points for b in plan.behaviours if b.name == "refers and invites"}
    assert PointsScorer(rules).points_for(X).sum() == pytest.approx(points)


def test_a_question_without_an_answer_shows_as_newer_than_the_last_answer(table):
    found = row(table("ann question 2024-02-01; bob answer 2024-02-03 to=ann; ann question 2024-02-20"))
    assert found["question_recency_days"] < found["answer_received_recency_days"]
    assert found["answer_received_per_question_all"] == 0.5


@pytest.mark.parametrize("catalogue", [CORPORATE_COMMUNITY, QUESTION_COMMUNITY, PASSIVE_CANDIDATE], ids=repr)
def test_every_sentence_is_plain_ascii(catalogue):
    assert all(text.isascii() for b in catalogue for text in (b.name, *b.reasons))


def written(community, behaviour, column, count):
    """The sentence about a behaviour whose weight lies on one column."""
    plan = Catalogue(
        [b for b in (*CORPORATE_COMMUNITY, *PASSIVE_CANDIDATE) if b.name == behaviour][:1]
    ).compile(community, min_members=1)
    values = np.zeros(len(plan.columns))
    weights = np.zeros(len(plan.columns))
    at = plan.column_names.index(column)
    values[at], weights[at] = count, 1.0
    ((reason,),) = Writer(plan).write(values[None], weights[None], 1)
    return reason.text


@pytest.mark.parametrize(
    ("behaviour", "column", "one", "three"),
    [
        ("reads by tag", "tag.sso_count_90d", "looked into sso once in 90 days", "looked into sso 3 times in 90 days"),
        ("joins groups", "join_group_count_90d", "joined 1 group in 90 days", "joined 3 groups in 90 days"),
        ("posts and asks", "question_count_30d", "asked 1 question in 30 days", "asked 3 questions in 30 days"),
        ("connects by role", "role.customer_connect_count_30d", "connected with the role customer once in 30 days",
         "connected with the role customer 3 times in 30 days"),
        ("refers and invites", "invite_or_refer_same_domain_count_90d",
         "invited or referred 1 colleague of the same company in 90 days",
         "invited or referred 3 colleagues of the same company in 90 days"),
        ("completes the profile", "profile_update_count_30d", "updated the profile once in 30 days",
         "updated the profile 3 times in 30 days"),
        ("has connections", "connect_count_30d", "made 1 connection in 30 days", "made 3 connections in 30 days"),
        ("visits", "visit_count_7d", "came for 1 visit in a week", "came for 3 visits in a week"),
        ("visits", "visits_per_month", "1 visit per month so far", "3 visits per month so far"),
        ("spends time on site", "last_visit_s", "stayed 1 second on the last visit", "stayed 3 seconds on the last visit"),
        ("forwards content", "forward_count_90d", "forwarded content once in 90 days",
         "forwarded content 3 times in 90 days"),
        ("visits the jobs page", "view_jobs_count_30d", "looked at jobs once in 30 days",
         "looked at jobs 3 times in 30 days"),
        ("invites many", "connect_or_invite_count_30d", "sent 1 invitation to connect in 30 days",
         "sent 3 invitations to connect in 30 days"),
    ],
)  # fmt: skip
def test_the_sentence_reads_well_for_one_and_for_many(community, behaviour, column, one, three):
    assert written(community, behaviour, column, 1) == one
    assert written(community, behaviour, column, 3) == three
