"""Passive candidates, the field's worked example in recruiting: a second catalogue is data only.

Not for employment decisions without a person, and not for watching one's own staff.
"""

from __future__ import annotations

from typing import Final

from leadlight.behaviours.algebra import Count, FirstTime, Peers, Recency, Surprise, Trend, Visits
from leadlight.behaviours.catalogue import Behaviour, Catalogue
from leadlight.behaviours.corporate import RECENT
from leadlight.plan import HandSetPoints

PASSIVE_CANDIDATE: Final = Catalogue(
    [
        Behaviour(
            "updates recommendations",
            (Count("recommend", window=RECENT, side="received"), Recency("recommend", side="received")),
            reason="received {recommend_received_count_30d:recommendation|recommendations} in 30 days",
            points=HandSetPoints(5, (("recommend_received_count_30d", 1.0),), 3),
        ),
        Behaviour(
            "changes how often they come",
            (Visits(window=RECENT), Trend(window="30d"), Surprise(window="30d")),
            reason="{visit_count_30d:visit|visits} in 30 days, unlike before",
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
            reason="changed the description {description_change_recency_days:ago}",
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
            (Count("invite", window=("7d",) + RECENT), Surprise("invite", window="30d")),
            reason="sent {invite_count_30d:invitation|invitations} in 30 days",
            points=HandSetPoints(1, (("invite_count_30d", 1.0),), 10),
        ),
        Behaviour(
            "visits the jobs page",
            (Count("view_jobs", window=("7d",) + RECENT), Recency("view_jobs")),
            reason="looked at jobs {view_jobs_count_30d:time|times} in 30 days",
            points=HandSetPoints(3, (("view_jobs_count_30d", 1.0),), 5),
        ),
        Behaviour(
            "joins groups",
            (Count("join_group", window=RECENT), Recency("join_group")),
            reason="joined {join_group_count_90d:group|groups} in 90 days",
            points=HandSetPoints(2, (("join_group_count_90d", 1.0),), 5),
        ),
        Behaviour(
            "began to ask and answer in groups",
            (Count(("question", "answer"), window=RECENT), FirstTime(("question", "answer"), window="90d")),
            reason="asked or answered {question_or_answer_count_90d:time|times} in 90 days",
            points=HandSetPoints(2, (("question_or_answer_count_90d", 1.0),), 5),
        ),
        Behaviour(
            "has active colleagues",
            (Peers(Count(window=("30d", "90d"))),),
            reason="colleagues were active {peers_activity_count_30d:time|times} in 30 days",
        ),
    ],
    name="passive candidate",
)
