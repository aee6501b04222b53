"""The ten behaviours that the field reads in a corporate community."""

from __future__ import annotations

from typing import Final

from leadlight.behaviours.algebra import (
    Completeness,
    Count,
    Distinct,
    Entropy,
    FirstTime,
    Peers,
    Ratio,
    Recency,
    Share,
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
COLLEAGUES: Final = ("30d", "90d", "365d")


def decaying(stem: str, *, each: float, cap: float) -> HandSetPoints:
    """Return points that count a row fully for 7 days, .6 of it up to 30 and .3 of it up to 90."""
    return HandSetPoints(each, fading(stem), cap)


def fading(stem: str) -> tuple[tuple[str, float], ...]:
    """Return weights on nested windows that let a row fade."""
    return ((f"{stem}_7d", 0.4), (f"{stem}_30d", 0.3), (f"{stem}_90d", 0.3))


SENDS = ("invite", "refer")
LOOKS = ("search", "download")
REPLIES = ("answer", "comment")
WRITES = ("post", "question")

CORPORATE_COMMUNITY: Final = Catalogue(
    [
        Behaviour(
            "reads by tag",
            (
                Count("view", window=STANDARD),
                Count(by="tag", window=("90d", "all"), top=30),
                Share(by="tag", window="90d", top=8),
                Distinct("tag", window=("30d", "90d", "365d")),
                Entropy("tag", window=("30d", "90d", "all")),
                Count(LOOKS, window=("7d", "30d", "90d")),
                Recency("view"),
                FirstTime(LOOKS, window="30d"),
                Trend("view", window=("30d", "90d")),
                Surprise("view", window=("30d", "90d")),
                Surprise(LOOKS, window="30d"),
                Peers(Count("view", window=COLLEAGUES)),
                Peers(Count(LOOKS, window=("30d", "90d"))),
            ),
            reason=(
                "looked into {tag.*} {tag.*_count_90d:time|times} in 90 days",
                "looked into {tag.*} {tag.*_count_all:time|times} so far",
                "{tag.*_share_90d:percent} of what they looked into in 90 days is {tag.*}",
                "looked into {tag_distinct_90d:topic|topics} in 90 days",
                "viewed {view_count_30d:page|pages} in 30 days, more than usual{view_surprise_30d:more}",
                "viewed {view_count_30d:page|pages} in 30 days",
                "searched or downloaded {search_or_download_count_30d:time|times} in 30 days",
                "colleagues viewed {peers_view_count_30d:page|pages} in 30 days",
                "colleagues searched or downloaded {peers_search_or_download_count_90d:time|times} in 90 days",
                "last read something {view_recency_days:ago}",
            ),
            points=decaying("view_count", each=0.2, cap=50),
        ),
        Behaviour(
            "joins groups",
            (
                Count("join_group", window=STANDARD),
                Count("join_group", window="all", by="group", top=12),
                Distinct("group", window=("90d", "all")),
                Recency("join_group"),
                FirstTime("join_group", window="90d"),
                Trend("join_group", window="90d"),
                Surprise("join_group", window="90d"),
                Peers(Count("join_group", window=("90d", "365d"))),
            ),
            reason=(
                "joined the group {group.*}",
                "joined their first group in the last 90 days{join_group_first_time_90d:if}",
                "joined {join_group_count_90d:group|groups} in 90 days, more than usual{join_group_surprise_90d:more}",
                "joined {join_group_count_90d:group|groups} in 90 days",
                "active in {group_distinct_90d:group|groups} in 90 days",
                "colleagues joined {peers_join_group_count_90d:group|groups} in 90 days",
                "last joined a group {join_group_recency_days:ago}",
            ),
            points=decaying("join_group_count", each=3, cap=5),
        ),
        Behaviour(
            "posts and asks",
            (
                Count("post", window=STANDARD),
                Count("question", window=STANDARD),
                Count(REPLIES, window=("30d", "90d", "all")),
                Count(WRITES, window="365d", by="group", top=10),
                Recency("post"),
                Recency("question"),
                FirstTime("post", window="90d"),
                FirstTime("question", window=("7d", "30d", "90d")),
                Trend("post", window="90d"),
                Trend("question", window=("30d", "90d")),
                Surprise("post", window="90d"),
                Surprise("question", window=("30d", "90d")),
                Share("question", window=("30d", "90d", "365d")),
                Distinct("tag", action="question", window=("90d", "all")),
                Count("answer", side="received", window=RECENT),
                Recency("answer", side="received"),
                Count("comment", side="received", window=("90d", "all")),
                Ratio(Count("answer", side="received", window="all"), Count("question", window="all")),
                Peers(Count("post", window=("90d", "365d"))),
                Peers(Count("question", window=("7d",) + COLLEAGUES)),
            ),
            reason=(
                "asked their first question in the last 30 days{question_first_time_30d:if}",
                "asked {question_count_30d:question|questions} in 30 days, more than usual{question_surprise_30d:more}",
                "asked {question_count_30d:question|questions} in 30 days",
                "asked {question_count_90d:question|questions} in 90 days",
                "{question_share_90d:percent} of what they did in 90 days was asking",
                "colleagues asked {peers_question_count_30d:question|questions} in 30 days",
                "colleagues asked {peers_question_count_90d:question|questions} in 90 days",
                "last asked {question_recency_days:ago}",
                "received {answer_received_count_90d:answer|answers} in 90 days",
                "last answered by somebody {answer_received_recency_days:ago}",
                "posted or asked {group.*_post_or_question_count_365d:time|times} in the group {group.*} within a year",
                "posted {post_count_30d:time|times} in 30 days",
                "posted {post_count_90d:time|times} in 90 days",
                "wrote {answer_or_comment_count_90d:reply|replies} in 90 days",
                "last posted {post_recency_days:ago}",
            ),
            points=HandSetPoints(
                4,
                (*fading("question_count"), ("post_count_30d", 0.3), ("post_count_90d", 0.2)),
                8,
            ),
        ),
        Behaviour(
            "connects by role",
            (
                Count("connect", window=RECENT, by="role"),
                Count("connect", window=("90d", "all"), by="job_function"),
                Recency("connect", by="role"),
                FirstTime("connect", window="90d", by="role"),
                Trend("connect", window="90d", by="role"),
                Surprise("connect", window="90d", by="role"),
                Share("connect", window="all", by="role"),
                Distinct("job_function", action="connect", window=("90d", "all")),
                Peers(Count("connect", window="90d", by="role")),
            ),
            reason=(
                "connected with the role {role.*} {role.*_connect_count_90d:time|times} in 90 days, more than usual"
                "{role.*_connect_surprise_90d:more}",
                "connected with the role {role.*} {role.*_connect_count_30d:time|times} in 30 days",
                "connected with the role {role.*} {role.*_connect_count_90d:time|times} in 90 days",
                "connected with the role {role.*} {role.*_connect_count_all:time|times} so far",
                "connected with the role {role.*} for the first time in the last 90 days{role.*_connect_first_time_90d:if}",
                "last connected with the role {role.*} {role.*_connect_recency_days:ago}",
                "connected with people in {job_function.*} {job_function.*_connect_count_90d:time|times} in 90 days",
                "connected with people in {job_function.*} {job_function.*_connect_count_all:time|times} so far",
                "colleagues connected with the role {peers_role.*} {peers_role.*_connect_count_90d:time|times} in 90 days",
            ),
        ),
        Behaviour(
            "refers and invites",
            (
                Count(SENDS, window=STANDARD),
                Count(SENDS, window=STANDARD, same_domain=True),
                Share(SENDS, window=("365d", "all"), same_domain=True),
                Recency("invite"),
                Recency("refer"),
                Recency("invite", same_domain=True),
                Recency("refer", same_domain=True),
                FirstTime(SENDS, window="90d"),
                FirstTime(SENDS, window="90d", same_domain=True),
                Trend(SENDS, window="90d"),
                Surprise(SENDS, window="90d"),
                Peers(Count(SENDS, window=("90d", "365d"))),
            ),
            reason=(
                "invited or referred {invite_or_refer_same_domain_count_30d:colleague|colleagues} of the same company in 30 days",
                "invited or referred {invite_or_refer_same_domain_count_90d:colleague|colleagues} of the same company in 90 days",
                "invited or referred the first colleague of the same company in the last 90 days"
                "{invite_or_refer_same_domain_first_time_90d:if}",
                "last invited a colleague of the same company {invite_same_domain_recency_days:ago}",
                "last referred a colleague of the same company {refer_same_domain_recency_days:ago}",
                "invited or referred {invite_or_refer_count_90d:person|people} in 90 days",
                "has invited or referred {invite_or_refer_count_all:person|people}",
                "colleagues invited or referred {peers_invite_or_refer_count_90d:person|people} in 90 days",
                "last invited somebody {invite_recency_days:ago}",
                "last referred somebody {refer_recency_days:ago}",
            ),
            # A colleague counts twice: as an invitation, and as one within the company.
            points=HandSetPoints(
                5, fading("invite_or_refer_count") + fading("invite_or_refer_same_domain_count"), 6
            ),
        ),
        Behaviour(
            "completes the profile",
            (
                Completeness(),
                Count("profile_update", window=STANDARD),
                Recency("profile_update"),
                FirstTime("profile_update", window="90d"),
                Trend("profile_update", window="90d"),
                Surprise("profile_update", window="90d"),
                Peers(Count("profile_update", window=("90d", "365d"))),
                Tenure(),
            ),
            reason=(
                "profile {profile_completeness:percent} complete",
                "updated the profile {profile_update_count_30d:time|times} in 30 days",
                "updated the profile {profile_update_count_90d:time|times} in 90 days",
                "began to fill in the profile in the last 90 days{profile_update_first_time_90d:if}",
                "last updated the profile {profile_update_recency_days:ago}",
                "colleagues updated their profiles {peers_profile_update_count_90d:time|times} in 90 days",
                "joined {tenure_days:ago}",
            ),
            points=HandSetPoints(10, (("profile_completeness", 1.0),), 1),
        ),
        Behaviour(
            "has connections",
            (
                Count("connect", window=STANDARD),
                Count("connect", side="received", window=STANDARD),
                Recency("connect"),
                Recency("connect", side="received"),
                FirstTime("connect", window="90d"),
                Trend("connect", window=("30d", "90d")),
                Surprise("connect", window=("30d", "90d")),
                Peers(Count("connect", window=COLLEAGUES)),
            ),
            reason=(
                "made {connect_count_30d:connection|connections} in 30 days, more than usual{connect_surprise_30d:more}",
                "made {connect_count_30d:connection|connections} in 30 days",
                "made {connect_count_90d:connection|connections} in 90 days",
                "has made {connect_count_all:connection|connections}",
                "made the first connection in the last 90 days{connect_first_time_90d:if}",
                "received {connect_received_count_90d:connection|connections} from others in 90 days",
                "colleagues made {peers_connect_count_90d:connection|connections} in 90 days",
                "last connected with somebody {connect_recency_days:ago}",
                "last received a connection {connect_received_recency_days:ago}",
            ),
            points=decaying("connect_count", each=1, cap=10),
        ),
        Behaviour(
            "visits",
            (
                Visits(window=STANDARD),
                Visits(measure="per_month"),
                Count(window=("30d", "all")),
                Recency(),
                FirstTime(window="30d"),
                Trend(window=("7d", "30d", "90d")),
                Surprise(window=("7d", "30d", "90d")),
                Peers(Count(window=("7d",) + COLLEAGUES)),
            ),
            reason=(
                "came for {visit_count_30d:visit|visits} in 30 days, more active than usual{activity_surprise_30d:more}",
                "came for {visit_count_7d:visit|visits} in a week",
                "came for {visit_count_30d:visit|visits} in 30 days",
                "came for {visit_count_90d:visit|visits} in 90 days",
                "came for the first time in the last 30 days{activity_first_time_30d:if}",
                "{visits_per_month:visit|visits} per month so far",
                "last seen {activity_recency_days:ago}",
                "colleagues were active {peers_activity_count_30d:time|times} in 30 days",
                "colleagues were active {peers_activity_count_90d:time|times} in 90 days",
            ),
            points=decaying("visit_count", each=1, cap=20),
        ),
        Behaviour(
            "spends time on site",
            (Visits(measure="last_visit"), Sum(window=STANDARD)),
            reason=(
                "stayed {last_visit_s:duration} on the last visit",
                "spent {activity_duration_s_30d:duration} on the site in 30 days",
                "spent {activity_duration_s_90d:duration} on the site in 90 days",
            ),
            points=HandSetPoints(5, (("last_visit_s", 1 / 1800),), 1),
        ),
        Behaviour(
            "forwards content",
            (
                Count("forward", window=STANDARD),
                Count("forward", window=RECENT, same_domain=True),
                Count("forward", side="received", window=("90d", "all")),
                Count("recommend", window=RECENT),
                Recency("forward"),
                Recency("recommend"),
                FirstTime("forward", window="90d"),
                Trend("forward", window="90d"),
                Surprise("forward", window="90d"),
                Peers(Count("forward", window=("90d", "365d"))),
            ),
            reason=(
                "forwarded content to {forward_same_domain_count_90d:colleague|colleagues} in 90 days",
                "forwarded content for the first time in the last 90 days{forward_first_time_90d:if}",
                "forwarded content {forward_count_90d:time|times} in 90 days, more than usual{forward_surprise_90d:more}",
                "forwarded content {forward_count_30d:time|times} in 30 days",
                "forwarded content {forward_count_90d:time|times} in 90 days",
                "was sent content {forward_received_count_90d:time|times} in 90 days",
                "recommended content {recommend_count_90d:time|times} in 90 days",
                "colleagues forwarded content {peers_forward_count_90d:time|times} in 90 days",
                "last forwarded something {forward_recency_days:ago}",
                "last recommended something {recommend_recency_days:ago}",
            ),
            points=decaying("forward_count", each=5, cap=5),
        ),
    ],
    name="corporate community",
)
