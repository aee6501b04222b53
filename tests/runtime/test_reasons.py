"""Which behaviours are named, and in which words."""

from __future__ import annotations

import math

import numpy as np
import pytest

from leadlight.errors import InputError
from leadlight.plan import Column, Key, Plan, PlannedBehaviour
from leadlight.runtime.reasons import reasons, reasons_many
from leadlight.runtime.sentences import ago, duration, number

NAN = math.nan


def plan(*behaviours):
    """A plan of (name, {column: operation}, templates)."""
    columns = [
        Column(name, operation, (0,), () if operation in ("recency", "tenure") else (1,))
        for _, columns, _ in behaviours
        for name, operation in columns.items()
    ]
    planned = tuple(
        PlannedBehaviour(name, tuple(columns), tuple(templates)) for name, columns, templates in behaviours
    )
    return Plan((Key(),), tuple(columns), planned)


ASKS = plan(
    (
        "asks questions",
        {"question_count_30d": "count", "question_recency_days": "recency", "question_trend_30d": "trend"},
        (
            "asked {question_count_30d:question|questions} in 30 days",
            "last asked {question_recency_days:ago}",
        ),
    )
)


def text(plan, values, contributions, **more):
    (reason,) = reasons(plan, np.array(values, float), np.array(contributions, float), **more)
    return reason.text


@pytest.mark.parametrize(
    ("values", "contributions", "expected"),
    [
        ((3, 2, 1), (0.5, 0.1, 0), "asked 3 questions in 30 days"),
        ((1, 2, 1), (0.5, 0.1, 0), "asked 1 question in 30 days"),
        ((3, 0.5, 1), (0.1, 0.5, 0), "last asked today"),
        ((3, 1.5, 1), (0.1, 0.5, 0), "last asked yesterday"),
        # Zero never speaks for a member.
        ((0, 40, 1), (0.5, 0.1, 0), "last asked 5 weeks ago"),
        # Against a member it may.
        ((0, 40, 1), (-0.5, -0.1, 0), "asked no questions in 30 days"),
        ((0, 130, 1), (-0.1, -0.5, 0), "last asked 4 months ago"),
        ((0, NAN, 1), (-0.1, -0.5, 0), "asked no questions in 30 days"),
        # What cannot be said is not said.
        ((NAN, NAN, 1), (0.5, 0.1, 0), "asks questions"),
        ((NAN, NAN, 1), (-0.5, 0.1, 0), "little sign of: asks questions"),
        # The template of the heaviest column in the direction of the whole behaviour.
        ((3, 2, 1), (0.2, -0.1, 0.3), "asked 3 questions in 30 days"),
        ((3, 2, 1), (0.1, -0.3, -0.3), "last asked 2 days ago"),
    ],
)
def test_the_sentence_fits_the_member(values, contributions, expected):
    assert text(ASKS, values, contributions) == expected


def test_what_was_not_done_is_no_reason_to_call():
    """The model may gain from it; a salesperson cannot say it."""
    assert reasons(ASKS, np.array([0, NAN, 1.0]), np.array([0.5, 0.1, 0.0])) == ()


def test_nothing_of_a_profile_is_no_reason_to_call():
    profile = one("profile {x_30d:percent} complete", "completeness")
    assert reasons(profile, np.array([0.0]), np.array([0.5])) == ()
    assert text(profile, (0.5,), (0.5,)) == "profile 50 % complete"


TAGS = plan(
    (
        "reads by tag",
        {
            "tag.visa_count_30d": "count",
            "tag.c%2B%2B_count_30d": "count",
            "tag.visa_count_90d": "count",
            "tag_entropy_90d": "entropy",
        },
        (
            "{tag.*_count_30d:time|times} on {tag.*} in 30 days",
            "{tag.*_count_90d:time|times} on {tag.*} in 90 days",
        ),
    )
)


@pytest.mark.parametrize(
    ("values", "contributions", "expected"),
    [
        ((2, 5, 9, 1), (0.5, 0.1, 0.1, 0), "twice on visa in 30 days"),
        ((2, 5, 9, 1), (0.1, 0.5, 0.1, 0), "5 times on c++ in 30 days"),
        ((2, 1, 9, 1), (0.1, 0.2, 0.5, 0), "9 times on visa in 90 days"),
        ((2, 1, 9, 1), (0.1, -0.4, 0.1, 0), "once on c++ in 30 days"),
        # An entry that the member never touched is not named.
        ((2, 0, 9, 1), (0.1, 0.5, 0.1, 0), "twice on visa in 30 days"),
        ((0, 0, 0, 1), (-0.5, 0, 0, 0), "little sign of: reads by tag"),
    ],
)
def test_a_star_stands_for_the_heaviest_entry(values, contributions, expected):
    assert text(TAGS, values, contributions) == expected


def test_a_star_alone_takes_the_heaviest_column_of_its_kind():
    groups = plan(
        (
            "joins groups",
            {"group.a_joined_all": "count", "group.B%20b_joined_all": "count"},
            ("joined {group.*}",),
        )
    )
    assert text(groups, (1, 1), (0.1, 0.2)) == "joined B b"
    assert text(groups, (1, 0), (0.1, 0.2)) == "joined a"


def test_an_entry_is_inserted_as_it_is_and_not_read_again():
    name = "tag.%7Bview%5Fcount%5F30d%7D%3Cb%3E_count_30d"
    tricky = plan(
        ("reads", {name: "count", "view_count_30d": "count"}, ("{tag.*_count_30d:time|times} on {tag.*}",))
    )
    assert text(tricky, (2, 5), (1, 0)) == "twice on {view_count_30d}<b>"


UNUSUAL = plan(
    (
        "asks",
        {"question_count_30d": "count", "question_surprise_30d": "surprise", "question_first_time_30d": "first_time"},
        (
            "asked the first question{question_first_time_30d:if}",
            "asked {question_count_30d:question|questions}, more than usual{question_surprise_30d:more}",
            "asked {question_count_30d:question|questions}",
        ),
    ),
    (
        "meets",
        {"role.buyer_count_30d": "count", "role.buyer_surprise_30d": "surprise"},
        ("met the role {role.*}, more than usual{role.*_surprise_30d:more}", "met the role {role.*_count_30d} {role.*}"),
    ),
)  # fmt: skip


@pytest.mark.parametrize(
    ("values", "contributions", "expected"),
    [
        ((3, 1.5, 0), (0.1, 0.5, 0), "asked 3 questions, more than usual"),
        ((3, 1.0, 0), (0.1, 0.5, 0), "asked 3 questions"),
        ((3, -2.0, 0), (0.1, 0.5, 0), "asked 3 questions"),
        ((3, NAN, 0), (0.1, 0.5, 0), "asked 3 questions"),
        ((1, NAN, 1), (0.1, 0, 0.5), "asked the first question"),
        ((1, NAN, 0), (0.1, 0, 0.5), "asked 1 question"),
    ],
)
def test_a_condition_writes_nothing_and_says_when_a_sentence_fits(values, contributions, expected):
    assert text(UNUSUAL, (*values, 0, 0), (*contributions, 0, 0)) == expected


@pytest.mark.parametrize(
    ("surprise", "expected"), [(1.5, "met the role buyer, more than usual"), (0.5, "met the role 2 buyer")]
)
def test_a_condition_with_a_star_goes_by_the_chosen_entry(surprise, expected):
    assert text(UNUSUAL, (0, 0, 0, 2, surprise), (0, 0, 0, 0.1, 0.5)) == expected


def one(template, operation="count", name="x_30d"):
    return plan(("does x", {name: operation}, (template,)))


@pytest.mark.parametrize(
    ("template", "operation", "value", "expected"),
    [
        ("posted {x_30d:time|times} in 30 days", "count", 0, "posted not once in 30 days"),
        ("posted {x_30d:time|times|never}", "count", 0, "posted never"),
        ("{x_30d:visit|visits} in 30 days", "visits", 0, "no visits in 30 days"),
        ("wrote {x_30d:reply|replies}", "count", 2, "wrote 2 replies"),
        ("asked {x_30d} questions in four weeks", "count", 0, "asked no questions in four weeks"),
        ("asked {x_30d} questions in four weeks", "count", 12, "asked 12 questions in four weeks"),
        ("visits: {x_30d}", "visits", 0, "visits: 0"),
        ("profile {x_30d:percent} complete", "completeness", 0.6, "profile 60 % complete"),
        ("stayed {x_30d:duration}", "last_visit", 0, "stayed under a second"),
        ("stayed {x_30d:duration}", "last_visit", 725.5, "stayed 12 minutes"),
        ("entropy {x_30d}", "entropy", float(np.float32(0.1)), "entropy 0.1"),
        ("{unknown} things", "count", 3, "little sign of: does x"),
        ("{y.*_count_30d:time|times} on {y.*}", "count", 3, "little sign of: does x"),
    ],
)
def test_numbers_are_put_into_words(template, operation, value, expected):
    assert text(one(template, operation), (value,), (-1,)) == expected


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        (0, "today"),
        (0.99, "today"),
        (1, "yesterday"),
        (3.9, "3 days ago"),
        (13.9, "13 days ago"),
        (14, "2 weeks ago"),
        (35, "5 weeks ago"),
        (60, "8 weeks ago"),
        (61, "2 months ago"),
        (122, "4 months ago"),
        (730, "23 months ago"),
        (731, "2 years ago"),
    ],
)
def test_days_read_as_time_past(days, expected):
    assert ago(days) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (1, "1 second"),
        (40, "40 seconds"),
        (60, "1 minute"),
        (7199, "119 minutes"),
        (7200, "2 hours"),
        (172_800, "2 days"),
    ],
)
def test_seconds_read_as_duration(seconds, expected):
    assert duration(seconds) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (3.0, "3"),
        (-2.0, "-2"),
        (0.3333333, "0.333"),
        (12.345, "12.3"),
        (0.000012345, "0.0000123"),
        (1234.5, "1234"),
        (2.0**30, "1073741824"),
    ],
)
def test_numbers_are_short(value, expected):
    assert number(value) == expected


THREE = plan(
    ("a", {"a1": "count", "a2": "count"}, ()),
    ("b", {"b1": "count"}, ()),
    ("c", {"c1": "count"}, ()),
)


def test_the_heaviest_behaviours_come_first_whatever_their_sign():
    found = reasons(THREE, np.ones(4), np.array([0.2, 0.2, -0.5, 0.1]))
    assert [(r.behaviour, round(r.contribution, 9)) for r in found] == [("b", -0.5), ("a", 0.4), ("c", 0.1)]


def test_a_behaviour_that_adds_nothing_is_never_a_reason():
    assert [r.behaviour for r in reasons(THREE, np.ones(4), np.array([0.5, -0.5, 0.0, 0.1]))] == ["c"]


def test_there_are_at_most_n_reasons():
    assert [r.behaviour for r in reasons(THREE, np.ones(4), np.array([0.1, 0.1, 0.2, 0.3]), n=2)] == [
        "c",
        "a",
    ]
    assert reasons(THREE, np.ones(4), np.ones(4), n=0) == ()


def test_a_row_alone_has_the_reasons_that_it_has_in_a_batch():
    rng = np.random.default_rng(0)
    X, C = rng.integers(0, 4, (50, 3)).astype(float), rng.normal(size=(50, 3))
    batch = reasons_many(ASKS, X, C)
    assert batch == [reasons(ASKS, x, c) for x, c in zip(X, C, strict=True)]


def test_templates_may_be_translated():
    german = {"asks questions": ("{question_count_30d:Frage|Fragen|keine Fragen} in 30 Tagen",)}
    assert text(ASKS, (2, 1, 1), (1, 0, 0), templates=german) == "2 Fragen in 30 Tagen"
    assert text(ASKS, (0, 1, 1), (-1, 0, 0), templates=german) == "keine Fragen in 30 Tagen"


def test_a_translation_of_an_unknown_behaviour_is_an_error():
    with pytest.raises(InputError, match="did you mean 'asks questions'"):
        reasons(ASKS, np.ones(3), np.ones(3), templates={"ask questions": ("x",)})


def test_rows_of_another_width_are_an_error():
    with pytest.raises(InputError, match="3 columns"):
        reasons(ASKS, np.ones(2), np.ones(2))
