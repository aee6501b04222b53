"""The ten behaviours that the field reads in a corporate community, first part of each."""

from __future__ import annotations

from typing import Final

from leadlight.behaviours.algebra import (
    Completeness,
    Count,
    Distinct,
    Entropy,
    FirstTime,
    Peers,
    Recency,
    Sum,
    Surprise,
    Tenure,
    Trend,
    Visits,
)
from leadlight.behaviours.catalogue import Behaviour, Catalogue
from leadlight.plan import HandSetPoints

STANDARD: Final = ("7d", "30d", "90d", "365d", "all")
RECENT: Final = ("30d", "90d", "all")


def decaying(stem: str, *, each: float, cap: float) -> HandSetPoints:
    """Return points that count a row fully for 7 days, .6 of it up to 30 and .3 of it up to 90."""
    units = ((f"{stem}_7d", 0.4), (f"{stem}_30d", 0.3), (f"{stem}_90d", 0.3))
    return HandSetPoints(each, units, cap)


CORPORATE_COMMUNITY: Final = Catalogue(
    [
        Behaviour(
            "reads by tag",
            (
                Count("view", window=STANDARD),
                Count(by="tag", window=("30d", "90d", "all"), top=40),
                Distinct("tag", window=("30d", "90d")),
                Entropy("tag", window=("90d", "all")),
                Count(("search", "download"), window=("7d", "30d", "90d")),
                Recency("view"),
                Trend("view", window="30d"),
                Surprise("view", window="30d"),
                Peers(Count("view", window=("30d", "90d"))),
            ),
            reason=(
                "looked into {tag.*} {tag.*_count_30d:time|times} in 30 days",
                "looked into {tag.*} {tag.*_count_90d:time|times} in 90 days",
                "viewed {view_count_30d:page|pages} in 30 days",
                "colleagues viewed {peers_view_count_30d:page|pages} in 30 days",
                "last read something {view_recency_days:ago}",
            ),
            points=decaying("view_count", each=0.2, cap=50),
        ),
        Behaviour(
            "joins groups",
            (
                Count("join_group", window=RECENT + ("7d",)),
                Count("join_group", window="all", by="group"),
                Recency("join_group"),
            ),
            reason=(
                "joined the group {group.*}",
                "joined {join_group_count_90d:group|groups} in 90 days",
                "last joined a group {join_group_recency_days:ago}",
            ),
            points=decaying("join_group_count", each=3, cap=5),
        ),
        Behaviour(
            "posts and asks",
            (
                Count("post", window=STANDARD),
                Count("question", window=STANDARD),
                Count(("answer", "comment"), window=("30d", "90d", "all")),
                Count(("post", "question"), window=("90d", "all"), by="group"),
                Recency("post"),
                Recency("question"),
                FirstTime("question", window="30d"),
                Trend("post", window="90d"),
                Trend("question", window="90d"),
                Count("answer", side="received", window=RECENT),
                Peers(Count("post", window="90d")),
                Peers(Count("question", window=("30d", "90d"))),
            ),
            reason=(
                "asked {question_count_30d:question|questions} in 30 days",
                "asked {question_count_90d:question|questions} in 90 days",
                "colleagues asked {peers_question_count_90d:question|questions} in 90 days",
                "last asked {question_recency_days:ago}",
                "posted {post_count_30d:time|times} in 30 days",
                "posted {post_count_90d:time|times} in 90 days",
                "wrote {answer_or_comment_count_90d:reply|replies} in 90 days",
                "last posted {post_recency_days:ago}",
            ),
            points=HandSetPoints(
                4,
                (
                    ("question_count_7d", 0.4),
                    ("question_count_30d", 0.3),
                    ("question_count_90d", 0.3),
                    ("post_count_30d", 0.3),
                    ("post_count_90d", 0.2),
                ),
                8,
            ),
        ),
        Behaviour(
            "connects by role",
            (
                Count("connect", window=("30d", "all"), by="role"),
                Count("connect", window=("all",), by="job_function"),
            ),
            reason=(
                "connected with {role.*} ({role.*_connect_count_all:time|times})",
                "connected with people in {job_function.*} ({job_function.*_connect_count_all:time|times})",
            ),
        ),
        Behaviour(
            "refers and invites",
            (
                Count(("invite", "refer"), window=("7d",) + RECENT),
                Count(("invite", "refer"), window=RECENT, same_domain=True),
                Recency("invite"),
                Recency("refer"),
            ),
            reason=(
                "invited {invite_or_refer_same_domain_count_90d:colleague|colleagues} of the same company in 90 days",
                "invited or referred {invite_or_refer_count_90d:person|people} in 90 days",
                "last invited somebody {invite_recency_days:ago}",
            ),
            points=decaying("invite_or_refer_count", each=5, cap=5),
        ),
        Behaviour(
            "completes the profile",
            (Completeness(), Count("profile_update", window=("30d", "90d", "all")), Tenure()),
            reason=(
                "profile {profile_completeness:percent} complete",
                "updated the profile {profile_update_count_90d:time|times} in 90 days",
                "joined {tenure_days:ago}",
            ),
            points=HandSetPoints(10, (("profile_completeness", 1.0),), 1),
        ),
        Behaviour(
            "has connections",
            (
                Count("connect", window=("7d",) + RECENT),
                Count("connect", window=RECENT, side="received"),
                Recency("connect"),
            ),
            reason=(
                "made {connect_count_30d:connection|connections} in 30 days",
                "has made {connect_count_all:connection|connections}",
                "was contacted by {connect_received_count_90d:member|members} in 90 days",
            ),
            points=decaying("connect_count", each=1, cap=10),
        ),
        Behaviour(
            "visits",
            (
                Visits(window=STANDARD),
                Visits(measure="per_month"),
                Recency(),
                Trend(window="30d"),
                Surprise(window="30d"),
                Peers(Count(window=("30d", "90d"))),
            ),
            reason=(
                "came for {visit_count_30d:visit|visits} in 30 days",
                "last seen {activity_recency_days:ago}",
                "colleagues were active {peers_activity_count_30d:time|times} in 30 days",
            ),
            points=decaying("visit_count", each=1, cap=20),
        ),
        Behaviour(
            "spends time on site",
            (Visits(measure="last_visit"), Sum(window=("30d", "90d"))),
            reason=("stayed {last_visit_s:duration} on the last visit",),
            points=HandSetPoints(5, (("last_visit_s", 1 / 1800),), 1),
        ),
        Behaviour(
            "forwards content",
            (
                Count(("forward", "recommend"), window=("7d",) + RECENT),
                Count("forward", window=("7d",) + RECENT),
                Recency("forward"),
            ),
            reason=(
                "forwarded content {forward_count_30d:time|times} in 30 days",
                "forwarded content {forward_count_90d:time|times} in 90 days",
                "last forwarded something {forward_recency_days:ago}",
            ),
            points=decaying("forward_count", each=5, cap=5),
        ),
    ],
    name="corporate community",
)
