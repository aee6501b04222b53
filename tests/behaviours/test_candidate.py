"""The recruiting catalogue is data only, and measures what its ten say."""

from __future__ import annotations

import pytest

from leadlight.behaviours import PASSIVE_CANDIDATE
from leadlight.features import build_features
from leadlight.observations import Observations
from leadlight.testing import assert_point_in_time

LOG = (
    "bob recommend 2024-02-20 to=ann; ann position_change 2024-02-10; ann view_jobs 2024-02-27;"
    "ann connect 2024-02-28; ann invite 2024-02-28; ann question 2024-01-01; ann answer 2024-02-15 group=beta;"
    "ann join_group 2024-02-14 group=beta; bob view_jobs 2024-02-01"
)
MEMBERS = [{"member_id": m, "account_id": "acme"} for m in ("ann", "bob")]


@pytest.fixture
def community(table):
    return table(LOG, members=MEMBERS)


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ("recommend_received_count_30d", 1),
        ("position_change_recency_days", 20),
        ("connect_or_invite_count_30d", 2),
        ("view_jobs_first_time_30d", 1),
        ("group.beta_joined_all", 1),
        # The question was asked outside groups.
        ("group_question_or_answer_count_all", 1),
        ("group_question_or_answer_first_time_90d", 1),
        ("peers_view_jobs_or_position_change_or_description_change_or_email_change_count_30d", 1),
    ],
)
def test_a_sign_is_measured(community, column, expected):
    plan = PASSIVE_CANDIDATE.compile(community, "2024-03-01", min_members=1)
    X = build_features(
        community, Observations.from_frame([{"member_id": "ann", "cutoff": "2024-03-01"}]), plan
    )
    assert X[column].iloc[0] == expected


def test_it_knows_nothing_before_its_time(community):
    assert_point_in_time(community, PASSIVE_CANDIDATE, cutoffs=["2024-02-15"])


def test_every_behaviour_has_points_to_start_with():
    assert all(b.points is not None for b in PASSIVE_CANDIDATE)
