"""Buying tags are marked by the user and measured in the behaviour that reads tags."""

from __future__ import annotations

import numpy as np
import pytest

from leadlight.behaviours import CORPORATE_COMMUNITY, PASSIVE_CANDIDATE, Behaviour, Catalogue, Count
from leadlight.errors import InputError
from leadlight.features import build_features
from leadlight.observations import Observations
from leadlight.runtime.reasons import reasons
from leadlight.testing import assert_point_in_time

MARKED = CORPORATE_COMMUNITY.with_buying_tags("pricing", "migration")
LOG = (
    "ann view 2024-01-01 tags=intro; ann question 2024-02-20 tags=pricing; ann view 2024-02-21 tags=intro|migration;"
    "ann view 2024-02-21 tags=intro; bob view 2024-02-22 tags=pricing"
)
MEMBERS = [{"member_id": m, "account_id": "acme"} for m in ("ann", "bob")]


@pytest.fixture
def community(table):
    return table(LOG, members=MEMBERS)


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ("buying_tag_count_30d", 2),
        ("buying_tag_question_count_90d", 1),
        ("tag.pricing_count_90d", 1),
        ("tag.migration_recency_days", 9),
        ("buying_tag_share_all", 2 / 5),
        ("buying_tag_distinct_30d", 2),
        ("buying_tag_first_time_30d", 1),
        ("buying_tag_trend_30d", 3),
        ("buying_tag_surprise_30d", 2),
        ("peers_buying_tag_count_90d", 1),
    ],
)
def test_a_buying_tag_is_measured_whoever_else_uses_it(community, column, expected):
    plan = MARKED.compile(community, "2024-03-01", min_members=1)
    X = build_features(
        community, Observations.from_frame([{"member_id": "ann", "cutoff": "2024-03-01"}]), plan
    )
    assert X[column].iloc[0] == pytest.approx(expected)


def test_the_ten_stay_and_only_the_first_measures_more():
    assert [b.name for b in MARKED] == [b.name for b in CORPORATE_COMMUNITY]
    assert MARKED.behaviours[1:] == CORPORATE_COMMUNITY.behaviours[1:]
    assert MARKED.behaviours[0].features[: len(CORPORATE_COMMUNITY.behaviours[0].features)] == (
        CORPORATE_COMMUNITY.behaviours[0].features
    )


def test_marking_leaves_the_catalogue_as_it_was(community):
    assert not any("buying" in c for c in CORPORATE_COMMUNITY.compile(community).column_names)


def test_a_tag_named_twice_is_one_tag():
    assert CORPORATE_COMMUNITY.with_buying_tags("pricing", "migration", "pricing") == MARKED


def test_the_call_list_speaks_of_buying_topics(community):
    plan = MARKED.compile(community, "2024-03-01")
    X = build_features(
        community, Observations.from_frame([{"member_id": "ann", "cutoff": "2024-03-01"}]), plan
    )
    weights = np.zeros(len(plan.columns))
    weights[plan.column_names.index("buying_tag_question_count_90d")] = 1.0
    (reason,) = reasons(plan, X.to_numpy()[0], weights)
    assert reason.text == "asked 1 question about buying topics in 90 days"


def test_a_buying_tag_earns_points_where_tags_earn_points():
    plain, marked = CORPORATE_COMMUNITY.behaviours[0].points, MARKED.behaviours[0].points
    assert marked.units[: len(plain.units)] == plain.units
    assert {c for c, _ in marked.units[len(plain.units) :]} == {f"buying_tag_count_{w}d" for w in (7, 30, 90)}


def test_a_behaviour_without_points_gets_none():
    reads = Catalogue([Behaviour("reads", (Count(by="tag"),), reason="{tag.*}")])
    assert reads.with_buying_tags("pricing").behaviours[0].points is None


def test_buying_tags_know_nothing_before_their_time(community):
    assert_point_in_time(community, MARKED, cutoffs=["2024-02-21"])


@pytest.mark.parametrize(
    ("mark", "message"),
    [
        (CORPORATE_COMMUNITY.with_buying_tags, "one by one"),
        (lambda: CORPORATE_COMMUNITY.with_buying_tags(["pricing"]), "one by one"),
        (lambda: MARKED.with_buying_tags("contract"), "already"),
        (lambda: PASSIVE_CANDIDATE.with_buying_tags("pricing"), "reads tags"),
        (lambda: MARKED.extended("read by tag", (Count("x"),)), "did you mean 'reads by tag'"),
    ],
    ids=["none", "a list", "twice", "no tags read", "unknown behaviour"],
)
def test_what_cannot_be_marked_is_refused(mark, message):
    with pytest.raises(InputError, match=message):
        mark()


def test_tags_that_were_not_known_before_earn_no_points():
    learned = CORPORATE_COMMUNITY.with_buying_tags("pricing", points=False)
    assert learned.behaviours[0].points == CORPORATE_COMMUNITY.behaviours[0].points
    assert (
        learned.behaviours[0].features
        == CORPORATE_COMMUNITY.with_buying_tags("pricing").behaviours[0].features
    )


def test_a_catalogue_says_whether_it_reads_tags_and_knows_which_speak_of_buying():
    assert (PASSIVE_CANDIDATE.reads_tags, PASSIVE_CANDIDATE.knows_buying_tags) == (False, False)
    assert (CORPORATE_COMMUNITY.reads_tags, CORPORATE_COMMUNITY.knows_buying_tags) == (True, False)
    assert MARKED.knows_buying_tags
