"""What is typical stands beside the member's own value; near ties keep their order; other languages have other words."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.runtime.test_reasons import plan
from tests.runtime.test_scorer import ANN, EVENTS

from leadlight.errors import BundleError, InputError
from leadlight.runtime import Scorer, load
from leadlight.runtime.reasons import TIE, Writer
from leadlight.runtime.words import Words

VISITS = plan(
    (
        "visits",
        {
            "visit_count_30d": "visits",
            "visit_recency_days": "recency",
            "last_visit_s": "last_visit",
            "question_share_30d": "ratio",
            "visit_first_time_30d": "first_time",
        },
        (
            "{visit_count_30d:visit|visits} this month",
            "last seen {visit_recency_days:ago}",
            "stayed {last_visit_s:duration}",
            "{question_share_30d:percent} questions",
            "came for the first time{visit_first_time_30d:if}",
        ),
    )
)
TYPICAL = {
    "visit_count_30d": 3.0,
    "visit_recency_days": 40.0,
    "last_visit_s": 300.0,
    "question_share_30d": 0.1,
    "visit_first_time_30d": 0.0,
}


def text(column, value, contribution=0.5, typical=TYPICAL, words=None):
    values, weights = np.full(5, np.nan), np.zeros(5)
    at = VISITS.column_names.index(column)
    values[at], weights[at] = value, contribution
    more = {} if words is None else {"words": words}
    ((reason,),) = Writer(VISITS, typical=typical, **more).write(values[None], weights[None])
    return reason.text


@pytest.mark.parametrize(
    ("column", "value", "expected"),
    [
        ("visit_count_30d", 14, "14 visits this month, typical is 3"),
        ("visit_count_30d", 1, "1 visit this month, typical is 3"),
        ("visit_recency_days", 5, "last seen 5 days ago, typical is 5 weeks ago"),
        ("last_visit_s", 1000, "stayed 16 minutes, typical is 5 minutes"),
        ("question_share_30d", 0.4, "40 % questions, typical is 10 %"),
        # Who does as others do needs no comparison, and what is no value has none.
        ("visit_count_30d", 3, "3 visits this month"),
        ("visit_first_time_30d", 1, "came for the first time"),
    ],
)
def test_a_sentence_says_the_members_own_value_and_what_is_typical(column, value, expected):
    assert text(column, value) == expected


def test_a_typical_count_of_zero_is_none():
    assert (
        text("visit_count_30d", 2, typical={"visit_count_30d": 0.0}) == "2 visits this month, typical is none"
    )


def test_against_a_member_the_typical_value_is_said_too():
    assert text("visit_count_30d", 0, -0.5) == "no visits this month, typical is 3"


def test_what_is_not_known_to_be_typical_is_not_said():
    assert text("visit_count_30d", 14, typical={}) == "14 visits this month"


def test_a_star_stands_for_the_typical_value_of_its_entry():
    tags = plan(
        (
            "reads",
            {"tag.visa_count_30d": "count", "tag.tax_count_30d": "count"},
            ("{tag.*}: {tag.*_count_30d}",),
        )
    )
    typical = {"tag.visa_count_30d": 1.0, "tag.tax_count_30d": 7.0}
    ((reason,),) = Writer(tags, typical=typical).write([[5.0, 4.0]], [[0.1, 0.9]])
    assert (reason.text, reason.columns) == ("tax: 4, typical is 7", ("tag.tax_count_30d",))


def test_that_most_members_never_touch_an_entry_is_not_said():
    tags = plan(("reads", {"tag.visa_count_30d": "count"}, ("{tag.*} {tag.*_count_30d:time|times}",)))
    ((reason,),) = Writer(tags, typical={"tag.visa_count_30d": 0.0}).write([[5.0]], [[0.1]])
    assert reason.text == "visa 5 times"


def test_a_reason_names_the_columns_that_it_speaks_of():
    asks = plan(
        (
            "asks",
            {"question_count_30d": "count", "question_surprise_30d": "surprise"},
            (
                "asked {question_count_30d}, more than usual{question_surprise_30d:more}",
                "asked {question_count_30d}",
            ),
        )
    )
    ((said,),) = Writer(asks).write([[3.0, 2.0]], [[0.5, 0.4]])
    assert said.columns == ("question_count_30d",)
    ((named,),) = Writer(asks).write([[np.nan, np.nan]], [[-0.5, 0.0]])
    assert (named.text, named.columns) == ("little sign of: asks", ())
    assert replace(said, columns=()) == said
    assert set(said.to_dict()) == {"behaviour", "contribution", "text"}


def test_an_entry_alone_speaks_of_the_column_that_weighs_most():
    tags = plan(
        ("reads", {"tag.visa_count_7d": "count", "tag.visa_count_90d": "count"}, ("looked into {tag.*}",))
    )
    ((reason,),) = Writer(tags, typical={"tag.visa_count_90d": 1.0}).write([[2.0, 9.0]], [[0.1, 0.9]])
    assert (reason.text, reason.columns) == ("looked into visa", ("tag.visa_count_90d",))


MANY = plan(*((f"b{i}", {f"c{i}_30d": "count"}, (f"did {{c{i}_30d}}",)) for i in range(6)))


def order(contributions):
    ((*found,),) = Writer(MANY).write(np.ones((1, 6)), np.array([contributions]), 6)
    return [r.behaviour for r in found]


@settings(derandomize=True, deadline=None, max_examples=200)
@given(
    st.lists(
        st.sampled_from([-0.5, -0.2, 0.1, 0.2, 0.2 + TIE / 3, 0.5, 0.5 - TIE / 3]), min_size=6, max_size=6
    ),
    st.lists(st.floats(-1e-7, 1e-7), min_size=6, max_size=6),
)
def test_a_tiny_change_reorders_no_near_ties(contributions, noise):
    assert order(contributions) == order(np.add(contributions, noise))


def test_clear_differences_still_rank():
    assert order([0.1, -0.3, 0.2, 0.2 + 2 * TIE, 0.0, 0.4]) == ["b5", "b1", "b3", "b2", "b0"]


def test_a_tiny_change_of_a_feature_keeps_the_reasons(scorer, X):
    """One unit in the last place of float32, in every column; nothing stays nothing."""
    rows = np.nan_to_num(X[:100]).astype(np.float32)
    nearby = np.where(rows == 0, 0, np.nextafter(rows, np.float32(np.inf))).astype(float)
    found, moved = scorer.predict_rows(rows.astype(float)), scorer.predict_rows(nearby)
    said = [[r.behaviour for r in p.reasons] for p in found]
    assert said == [[r.behaviour for r in p.reasons] for p in moved]


def test_of_sentences_that_weigh_alike_the_first_is_taken():
    asks = plan(("asks", {"a_30d": "count", "b_30d": "count"}, ("first {a_30d}", "second {b_30d}")))
    for noise in (-1e-8, 0.0, 1e-8):
        ((reason,),) = Writer(asks).write([[1.0, 1.0]], [[0.3, 0.3 + noise]])
        assert reason.text == "first 1"


@pytest.mark.parametrize("size", [0.0, 1e-12, -1e-12])
def test_what_adds_nothing_is_no_reason(size):
    assert order([size, 0.5, size, size, size, size]) == ["b1"]


GERMAN = Words(
    typical=", üblich: {}",
    none="keiner",
    little="wenig Anzeichen für: {}",
    days_ago="vor {} Tagen",
    weeks_ago="vor {} Wochen",
    minutes=("Minute", "Minuten"),
    decimal=",",
    names={"visits": "Besuche"},
)


@pytest.mark.parametrize(
    ("column", "value", "expected"),
    [
        ("visit_recency_days", 5, "last seen vor 5 Tagen, üblich: vor 5 Wochen"),
        ("last_visit_s", 1000, "stayed 16 Minuten, üblich: 5 Minuten"),
        ("visit_count_30d", 2.5, "2,5 visits this month, üblich: 3"),
    ],
)
def test_the_words_of_another_language_are_used(column, value, expected):
    assert text(column, value, words=GERMAN) == expected


def test_a_behaviour_has_a_name_in_another_language():
    ((reason,),) = Writer(VISITS, words=GERMAN).write(np.full((1, 5), np.nan), np.full((1, 5), -0.1))
    assert (reason.behaviour, reason.text) == ("visits", "wenig Anzeichen für: Besuche")


def test_a_scorer_takes_other_templates_and_stays_as_it_is(scorer):
    other = scorer.with_templates({b.name: "anders" for b in scorer.plan.behaviours}, GERMAN)
    assert {r.text for r in other.predict(EVENTS, ANN, at="2024-04-01").reasons} == {"anders"}
    assert "anders" not in {r.text for r in scorer.predict(EVENTS, ANN, at="2024-04-01").reasons}
    assert other.version == scorer.version
    with pytest.raises(InputError, match="does not have"):
        scorer.with_templates({"unknown": "x"})


def test_a_bundle_keeps_what_is_typical(model, plan, tmp_path):
    Scorer(model, plan, {"typical": {"visit_count_30d": 7.0, "question_count_30d": 7.0}}).save(tmp_path / "m")
    loaded = load(tmp_path / "m")
    texts = [r.text for r in loaded.predict(EVENTS, ANN, at="2024-03-21").reasons]
    assert any(t.endswith(", typical is 7") for t in texts), texts


@pytest.mark.parametrize(
    "typical",
    [
        [1.0],
        {"visit_count_30d": "7"},
        {"visit_count_30d": math.nan},
        {"visit_count_30d": math.inf},
        {"visit_count_30d": 10**400},
    ],
)
def test_typical_values_that_are_no_numbers_are_refused(model, plan, typical):
    with pytest.raises(BundleError, match="What is typical"):
        Scorer(model, plan, {"typical": typical})
