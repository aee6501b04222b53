"""What a question-and-answer community shows: questions, what comes back, milestones."""

from __future__ import annotations

from typing import Final

from leadlight.behaviours.algebra import (
    Count,
    FirstTime,
    Ratio,
    Recency,
    Surprise,
    Tenure,
    Trend,
    Visits,
)
from leadlight.behaviours.catalogue import Behaviour, Catalogue
from leadlight.behaviours.corporate import RECENT, STANDARD, decaying
from leadlight.plan import HandSetPoints

QUESTION_COMMUNITY: Final = Catalogue(
    [
        Behaviour(
            "asks questions",
            (
                Count("question", window=STANDARD),
                Recency("question"),
                FirstTime("question", window=("7d", "30d", "90d")),
                Trend("question", window=("30d", "90d")),
                Surprise("question", window="90d"),
            ),
            reason=(
                "asked {question_count_30d:question|questions} in 30 days",
                "asked {question_count_90d:question|questions} in 90 days",
                "has asked {question_count_all:question|questions}",
                "last asked {question_recency_days:ago}",
            ),
            points=decaying("question_count", each=4, cap=8),
        ),
        Behaviour(
            "has answered questions still open",
            (
                Count("first_answer", side="received", window=STANDARD),
                Recency("first_answer", side="received"),
                Ratio(
                    Count("first_answer", side="received", window="all"),
                    Count("question", window="all"),
                ),
            ),
            reason=(
                "a question of theirs got its first answer {first_answer_received_recency_days:ago}",
                "{first_answer_received_count_30d:question|questions} answered in 30 days and not yet accepted",
                "{first_answer_received_count_all:question|questions} answered and not yet accepted",
            ),
            points=decaying("first_answer_received_count", each=3, cap=5),
        ),
        Behaviour(
            "receives answers and comments",
            (
                Count("answer", side="received", window=STANDARD),
                Recency("answer", side="received"),
                Count("comment", side="received", window=STANDARD),
                Recency("comment", side="received"),
                Ratio(Count("answer", side="received", window="all"), Count("question", window="all")),
            ),
            reason=(
                "received {answer_received_count_30d:answer|answers} in 30 days",
                "received {answer_received_count_all:answer|answers} so far",
                "received {comment_received_count_30d:comment|comments} in 30 days",
                "received {comment_received_count_all:comment|comments} so far",
                "last answered by somebody {answer_received_recency_days:ago}",
                "last received a comment {comment_received_recency_days:ago}",
            ),
        ),
        Behaviour(
            "questions are noticed",
            (
                Count("upvote_question", side="received", window=RECENT),
                Count("downvote_question", side="received", window=RECENT),
                Recency("upvote_question", side="received"),
                Count("favourite", side="received", window=RECENT),
                Count("noticed", side="received", window=("90d", "all")),
                Count("question_scored", side="received", window=("90d", "all")),
                Recency("question_scored", side="received"),
                Ratio(
                    Count("upvote_question", side="received", window="all"), Count("question", window="all")
                ),
            ),
            reason=(
                "their questions drew {upvote_question_received_count_30d:vote|votes} in 30 days",
                "their questions drew {upvote_question_received_count_all:vote|votes} so far",
                "a question of theirs was voted for {upvote_question_received_recency_days:ago}",
                "first question voted up {question_scored_received_recency_days:ago}",
            ),
        ),
        Behaviour(
            "answers others",
            (
                Count("answer", window=STANDARD),
                Recency("answer"),
                Count("upvote_answer", side="received", window=RECENT),
                Count("accept", side="received", window=RECENT),
            ),
            reason=(
                "answered {answer_count_90d:question|questions} in 90 days",
                "has answered {answer_count_all:question|questions}",
                "last answered {answer_recency_days:ago}",
            ),
            points=decaying("answer_count", each=2, cap=10),
        ),
        Behaviour(
            "comments",
            (
                Count("comment", window=STANDARD),
                Recency("comment"),
                Trend("comment", window="30d"),
                Ratio(Count("comment", window="90d"), Count("question", window="90d")),
            ),
            reason=(
                "commented {comment_count_7d:time|times} in a week",
                "commented {comment_count_30d:time|times} in 30 days",
                "commented {comment_count_90d:time|times} in 90 days",
                "last commented {comment_recency_days:ago}",
            ),
            points=decaying("comment_count", each=1, cap=20),
        ),
        Behaviour(
            "saves and offers",
            (
                Count("favourite", window=("7d",) + RECENT),
                Recency("favourite"),
                Count("bounty", window=RECENT),
                Recency("bounty"),
                Count("self_accept", window="all"),
            ),
            reason=(
                "saved {favourite_count_90d:question|questions} in 90 days",
                "offered {bounty_count_90d:bounty|bounties} in 90 days",
                "last saved a question {favourite_recency_days:ago}",
            ),
            points=decaying("favourite_count", each=2, cap=5),
        ),
        Behaviour(
            "takes first steps",
            (
                Recency("first_upvote"),
                Count("first_upvote", window="all"),
                Recency("first_downvote"),
                Recency("first_edit"),
                Recency("tour"),
                Count("tour", window="all"),
            ),
            reason=(
                "gave their first vote {first_upvote_recency_days:ago}",
                "took the tour {tour_recency_days:ago}",
                "made their first edit {first_edit_recency_days:ago}",
            ),
            points=HandSetPoints(5, (("first_upvote_count_all", 1.0), ("tour_count_all", 1.0)), 2),
        ),
        Behaviour(
            "completes the profile",
            (
                Recency("profile_update"),
                Count("profile_update", window=("90d", "all")),
                Tenure(),
                Count("anniversary", side="received", window="all"),
            ),
            reason=(
                "filled in the profile {profile_update_recency_days:ago}",
                "joined {tenure_days:ago}",
            ),
            points=HandSetPoints(5, (("profile_update_count_all", 1.0),), 1),
        ),
        Behaviour(
            "visits",
            (
                Visits(window=STANDARD),
                Visits(measure="per_month"),
                Visits(measure="last_visit"),
                Recency(),
                Trend(window="30d"),
                Surprise(window="30d"),
                Count(window=("7d", "30d", "90d", "all")),
                Count("visit_streak_30", window="all"),
                Recency("visit_streak_30"),
                Count("visit_streak_100", window="all"),
            ),
            reason=(
                "came for {visit_count_30d:visit|visits} in 30 days",
                "came for {visit_count_all:visit|visits} so far",
                "last active {activity_recency_days:ago}",
            ),
            points=decaying("visit_count", each=1, cap=20),
        ),
        Behaviour(
            "forwards content",
            (Count("forward", window=RECENT), Recency("forward")),
            reason=(
                "shared links that drew visits {forward_count_all:time|times}",
                "last shared a link that drew visits {forward_recency_days:ago}",
            ),
            points=HandSetPoints(5, (("forward_count_all", 1.0),), 2),
        ),
    ],
    name="question-and-answer community",
)
