"""A catalogue says what it measures, in rows, Markdown and HTML."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from leadlight.behaviours import (
    CORPORATE_COMMUNITY,
    PASSIVE_CANDIDATE,
    QUESTION_COMMUNITY,
    Behaviour,
    Catalogue,
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
from leadlight.behaviours.describe import in_words
from leadlight.plan import HandSetPoints

ASKS = Catalogue(
    [
        Behaviour(
            "asks <b>",
            (Count("question", window=("7d", "all")), Recency("question")),
            reason="asked {question_count_7d:time|times}",
            points=HandSetPoints(4, (("question_count_7d", 0.5),), 8),
        )
    ]
)


@pytest.mark.parametrize(
    ("feature", "words"),
    [
        (Count("join_group", window=("7d", "all")), "count of join_group (7d, all)"),
        (Count(("post", "question"), window="30d", by="group"), "count of post or question by group (30d)"),
        (Count("answer", side="received"), "count of answer received (all)"),
        (Count("invite", same_domain=True), "count of invite within the own e-mail domain (all)"),
        (Count(by="tag", only=("a", "b"), total="buying_tag"), "count of all activity with any buying tag (a, b) (all)"),
        (Recency("connect", by="job_function"), "days since connect by job function"),
        (Sum("view", window="30d"), "seconds of view (30d)"),
        (FirstTime("question", window="7d"), "first question (7d)"),
        (Trend(), "trend of all activity (30d)"),
        (Surprise("post"), "surprise in post (30d)"),
        (Share("question", window="30d"), "share of question (30d)"),
        (Ratio(Count("answer", window="30d"), Count("question", window="30d")), "answer per question (30d)"),
        (Distinct("tag"), "number of different tags (90d)"),
        (Entropy("tag", action="view"), "entropy over tags of view (90d)"),
        (Visits(), "visits (30d)"),
        (Visits(measure="per_month"), "visits per month"),
        (Visits(measure="last_visit"), "seconds of the last visit"),
        (Completeness(), "share of the profile's fields that are filled"),
        (Tenure(), "days since joining"),
        (Peers(Count("view", window="90d")), "colleagues: count of view (90d)"),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)  # fmt: skip
def test_a_feature_is_put_into_words(feature, words):
    assert in_words(feature) == words


def test_a_feature_of_your_own_shows_as_it_is():
    @dataclass(frozen=True)
    class Mine:
        def columns(self, builder):
            return []

    assert in_words(Mine()).endswith("Mine()")


def test_a_row_says_what_is_measured_what_is_said_and_what_it_earns():
    assert ASKS.describe() == [
        {
            "behaviour": "asks <b>",
            "measures": "count of question (7d, all); days since question",
            "says": "asked {question_count_7d:time|times}",
            "points": "4 for each of 0.5 x question_count_7d; at most 8 units",
        }
    ]


def test_markdown_has_a_line_for_each_behaviour():
    assert ASKS.to_markdown().splitlines() == [
        "| behaviour | measures |",
        "| --- | --- |",
        "| asks <b> | count of question (7d, all); days since question |",
    ]


def test_a_notebook_shows_an_escaped_table():
    shown = ASKS._repr_html_()
    assert ">asks &lt;b&gt;</td>" in shown
    assert "<b>" not in shown


@pytest.mark.parametrize("catalogue", [CORPORATE_COMMUNITY, QUESTION_COMMUNITY, PASSIVE_CANDIDATE], ids=repr)
def test_every_feature_of_the_catalogues_has_words(catalogue):
    assert not any(in_words(f).startswith(type(f).__name__) for b in catalogue for f in b.features)
