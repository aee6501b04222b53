"""What a catalogue measures of the tags that you mark as buying tags."""

from __future__ import annotations

from typing import Final

from leadlight.behaviours.algebra import Count, Distinct, FirstTime, Peers, Recency, Share, Surprise, Trend
from leadlight.behaviours.selection import Feature
from leadlight.errors import InputError

TOTAL: Final = "buying_tag"

REASONS: Final = (
    "asked {buying_tag_question_count_90d:question|questions} about buying topics in 90 days",
    "last looked into {tag.*} {tag.*_recency_days:ago}",
    "came to buying topics for the first time in the last 30 days{buying_tag_first_time_30d:if}",
    "came to buying topics {buying_tag_count_30d:time|times} in 30 days, more than usual{buying_tag_surprise_30d:more}",
    "came to buying topics {buying_tag_count_30d:time|times} in 30 days",
    "came to buying topics {buying_tag_count_90d:time|times} in 90 days",
    "colleagues came to buying topics {peers_buying_tag_count_30d:time|times} in 30 days",
    "colleagues came to buying topics {peers_buying_tag_count_90d:time|times} in 90 days",
)

UNITS: Final = (("buying_tag_count_7d", 2.0), ("buying_tag_count_30d", 1.5), ("buying_tag_count_90d", 1.5))
"""A use of a buying tag earns as much as five page views, and fades alike."""


def buying_features(tags: tuple[str, ...]) -> tuple[Feature, ...]:
    """Return what is measured of each buying tag, and of all of them together.

    Raises
    ------
    InputError
        There is no tag, or one is no text.
    """
    if not tags or not all(isinstance(tag, str) and tag for tag in tags):
        raise InputError(
            f"Buying tags are {tags!r}; name them one by one: with_buying_tags('pricing', 'migration')."
        )
    tags = tuple(dict.fromkeys(tags))
    return (
        Count(by="tag", only=tags, total=TOTAL, window=("7d", "30d", "90d", "365d", "all")),
        Count("question", by="tag", only=tags, total=TOTAL, window=("90d", "all")),
        Count(by="tag", only=tags, window=("90d", "all")),
        Recency(by="tag", only=tags),
        Share(by="tag", only=tags, total=TOTAL, window=("30d", "90d", "365d", "all")),
        Distinct("tag", only=tags, total=TOTAL, window=("30d", "90d", "all")),
        FirstTime(by="tag", only=tags, total=TOTAL, window=("30d", "90d")),
        Trend(by="tag", only=tags, total=TOTAL, window=("30d", "90d")),
        Surprise(by="tag", only=tags, total=TOTAL, window=("30d", "90d")),
        Peers(Count(by="tag", only=tags, total=TOTAL, window=("30d", "90d", "365d"))),
    )
