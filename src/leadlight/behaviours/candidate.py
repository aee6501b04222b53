"""Passive candidates, the field's worked example in recruiting: a second catalogue is data only.

Not for employment decisions without a person, and not for watching one's own staff.
"""

from __future__ import annotations

from typing import Final

from leadlight.behaviours.algebra import Count, FirstTime, Peers, Recency, Surprise, Trend, Visits
from leadlight.behaviours.catalogue import Behaviour, Catalogue
from leadlight.behaviours.corporate import RECENT
from leadlight.plan import HandSetPoints

WEEK_AND_RECENT: Final = ("7d",) + RECENT
CONNECTS: Final = ("connect", "invite")
SIGNS: Final = ("view_jobs", "position_change", "description_change", "email_change")
TALKS: Final = ("question", "answer")

PASSIVE_CANDIDATE: Final = Catalogue(
    [
        Behaviour(
            "updates recommendations",
            (
                Count("recommend", window=WEEK_AND_RECENT, side="received"),
                Recency("recommend", side="received"),
                FirstTime("recommend", window="30d", side="received"),
                Surprise("recommend", window="30d", side="received"),
            ),
            reason=(
                "received the first recommendation in the last 30 days{recommend_received_first_time_30d:if}",
                "received {recommend_received_count_30d:recommendation|recommendations} in 30 days",
                "last received a recommendation {recommend_received_recency_days:ago}",
            ),
            points=HandSetPoints(5, (("recommend_received_count_30d", 1.0),), 3),
        ),
        Behaviour(
            "changes how often they come",
            (
                Visits(window=WEEK_AND_RECENT),
                Recency(),
                Trend(window=("7d", "30d")),
                Surprise(window=("7d", "30d")),
            ),
            reason=(
                "came for {visit_count_7d:visit|visits} in a week, more active than usual{activity_surprise_7d:more}",
                "came for {visit_count_30d:visit|visits} in 30 days, more active than usual{activity_surprise_30d:more}",
                "came for {visit_count_30d:visit|visits} in 30 days",
                "last seen {activity_recency_days:ago}",
            ),
            points=HandSetPoints(4, (("activity_surprise_30d", 1.0),), 3),
        ),
        Behaviour(
            "changed or ended a position",
            (Count("position_change", window=RECENT), Recency("position_change")),
            reason="changed or ended a position {position_change_recency_days:ago}",
            points=HandSetPoints(8, (("position_change_count_90d", 1.0),), 1),
        ),
        Behaviour(
            "changed the description",
            (Count("description_change", window=RECENT), Recency("description_change")),
            reason=(
                "changed the description {description_change_count_30d:time|times} in 30 days",
                "changed the description {description_change_recency_days:ago}",
            ),
            points=HandSetPoints(4, (("description_change_count_90d", 1.0),), 2),
        ),
        Behaviour(
            "changed the e-mail address",
            (Count("email_change", window=RECENT), Recency("email_change")),
            reason="changed the e-mail address {email_change_recency_days:ago}",
            points=HandSetPoints(4, (("email_change_count_90d", 1.0),), 1),
        ),
        Behaviour(
            "invites many",
            (
                Count(CONNECTS, window=WEEK_AND_RECENT),
                Trend(CONNECTS, window="30d"),
                Surprise(CONNECTS, window="30d"),
            ),
            reason=(
                "sent {connect_or_invite_count_30d:invitation|invitations} to connect in 30 days, more than usual"
                "{connect_or_invite_surprise_30d:more}",
                "sent {connect_or_invite_count_30d:invitation|invitations} to connect in 30 days",
            ),
            points=HandSetPoints(1, (("connect_or_invite_count_30d", 1.0),), 10),
        ),
        Behaviour(
            "visits the jobs page",
            (
                Count("view_jobs", window=WEEK_AND_RECENT),
                Recency("view_jobs"),
                FirstTime("view_jobs", window="30d"),
                Surprise("view_jobs", window="30d"),
            ),
            reason=(
                "looked at jobs for the first time in the last 30 days{view_jobs_first_time_30d:if}",
                "looked at jobs {view_jobs_count_30d:time|times} in 30 days",
                "last looked at jobs {view_jobs_recency_days:ago}",
            ),
            points=HandSetPoints(3, (("view_jobs_count_30d", 1.0),), 5),
        ),
        Behaviour(
            "joins groups",
            (
                Count("join_group", window=RECENT),
                Count("join_group", window="all", by="group"),
                Recency("join_group"),
                Surprise("join_group", window="90d"),
            ),
            reason=(
                "joined the group {group.*}",
                "joined {join_group_count_90d:group|groups} in 90 days",
                "last joined a group {join_group_recency_days:ago}",
            ),
            points=HandSetPoints(2, (("join_group_count_90d", 1.0),), 5),
        ),
        Behaviour(
            "began to ask and answer in groups",
            (
                Count(TALKS, window=RECENT),
                Count(TALKS, window=RECENT, by="group", top=200, total="group"),
                FirstTime(TALKS, window="90d", by="group", top=200, total="group"),
                Trend(TALKS, window="90d"),
            ),
            reason=(
                "asked or answered in a group for the first time in the last 90 days"
                "{group_question_or_answer_first_time_90d:if}",
                "asked or answered in groups {group_question_or_answer_count_90d:time|times} in 90 days",
                "asked or answered {question_or_answer_count_90d:time|times} in 90 days",
            ),
            points=HandSetPoints(2, (("group_question_or_answer_count_90d", 1.0),), 5),
        ),
        Behaviour(
            "has active colleagues",
            (Peers(Count(window=("30d", "90d"))), Peers(Count(SIGNS, window=("30d", "90d")))),
            reason=(
                "colleagues were active {peers_activity_count_30d:time|times} in 30 days",
                "colleagues were active {peers_activity_count_90d:time|times} in 90 days",
            ),
            points=HandSetPoints(0.1, (("peers_activity_count_30d", 1.0),), 20),
        ),
    ],
    name="passive candidate",
)
