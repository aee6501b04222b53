"""What a scorer does when things are wrong: every kind of bad input that concerns prediction, as rows and as events.

Damaged bundles are in `test_bundle_fuzz` and `test_bundle_loading`, killed saves in `test_processes`.
"""

from __future__ import annotations

import datetime as dt
import math
import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from leadlight.behaviours import Behaviour, Catalogue, Count, Distinct, Recency
from leadlight.errors import ColumnTypeError, InputError, LeadlightError, LeadlightWarning, SchemaError
from leadlight.runtime import Linear, Scorer, load

AT = "2024-04-01"
ASK = {"occurred_at": "2024-03-20T10:00:00", "action": "question", "tags": ["visa"]}
TABLES = {
    "pandas": pd.DataFrame,
    "polars": lambda table: pl.DataFrame(table, strict=False),
    "arrow": pa.table,
    "dict": dict,
}


@pytest.fixture(params=TABLES)
def make(request):
    return TABLES[request.param]


@pytest.fixture(scope="module")
def table(scorer, X):
    return {name: X[:5, j] for j, name in enumerate(scorer.columns)}


def quietly(call):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return call()


# Feature rows.


def test_rows_with_reordered_columns_are_aligned_by_name(scorer, X, table, make):
    backwards = make(dict(reversed(table.items())))
    np.testing.assert_array_equal(scorer.predict_proba(backwards), scorer.predict_proba(X[:5]))


def test_a_renamed_column_of_rows_is_named_with_the_nearest(scorer, table, make):
    renamed = {name.replace("visit_count_30d", "visits_count_30d"): v for name, v in table.items()}
    with pytest.raises(SchemaError, match=r"lacks 1 .*'visit_count_30d' \(did you mean 'visits_count_30d'"):
        scorer.predict_proba(make(renamed))


def test_an_extra_column_of_rows_is_ignored_with_one_warning(scorer, X, table, make):
    with pytest.warns(LeadlightWarning, match="'shoe_size'") as seen:
        found = scorer.predict_proba(make(table | {"shoe_size": np.ones(5)}))
    assert len(seen) == 1
    np.testing.assert_array_equal(found, scorer.predict_proba(X[:5]))


@pytest.mark.parametrize(
    ("values", "what"),
    [
        ([dt.datetime(2024, 1, 1, tzinfo=dt.UTC)] * 5, "times"),
        ([dt.timedelta(1)] * 5, "times"),
        ([[1.0, 2.0]] * 5, "list|nested|ndarray"),
        (["much"] * 5, "text"),
    ],
)
def test_a_column_of_rows_that_is_no_number_is_named(scorer, table, make, values, what):
    with pytest.raises(ColumnTypeError, match=rf"'visit_count_30d' holds .*({what})"):
        scorer.predict_proba(make(table | {"visit_count_30d": values}))


@pytest.mark.parametrize("value", [math.inf, -math.inf])
def test_infinity_in_rows_is_an_error_or_missing_when_asked_for(scorer, table, make, value):
    def holding(other):
        return make(table | {"visit_count_30d": np.full(5, other)})

    with pytest.raises(InputError, match=r"5 values are infinite, in 'visit_count_30d'"):
        scorer.predict_proba(holding(value))
    found = scorer.predict_proba(holding(value), infinite="missing")
    np.testing.assert_array_equal(found, scorer.predict_proba(holding(math.nan)))


@pytest.mark.parametrize("nothing", [None, math.nan])
def test_nothing_in_rows_is_missing(scorer, X, table, make, nothing):
    missing = X[:5].copy()
    missing[:, scorer.columns.index("visit_count_30d")] = np.nan
    found = scorer.predict_proba(make(table | {"visit_count_30d": [nothing] * 5}))
    np.testing.assert_array_equal(found, scorer.predict_proba(missing))
    assert np.isfinite(found).all()


@pytest.mark.parametrize("n", [0, 1])
def test_no_row_and_one_row_work(scorer, X, table, make, n):
    few = make({name: values[:n] for name, values in table.items()})
    found = quietly(lambda: scorer.predict_proba(few))
    np.testing.assert_array_equal(found, scorer.predict_proba(X[:5])[:n])
    assert found.shape == (n, 2)
    assert len(scorer.predict_rows(few)) == n


def test_a_repeated_column_of_rows_is_an_error(scorer, X):
    frame = pd.DataFrame(np.hstack([X[:5], X[:5, :1]]), columns=[*scorer.columns, scorer.columns[0]])
    with pytest.raises(SchemaError, match=rf"more than one column '{scorer.columns[0]}'"):
        scorer.predict_proba(frame)


# Events.


def features(scorer, events, **more):
    return dict(zip(scorer.columns, scorer.features(events, at=AT, **more).tolist(), strict=True))


def same(scorer, events, others, **more):
    np.testing.assert_array_equal(
        scorer.features(events, at=AT, **more), scorer.features(others, at=AT, **more)
    )
    assert scorer.predict(events, at=AT, **more) == scorer.predict(others, at=AT, **more)


def test_events_with_reordered_and_extra_columns_count_alike(scorer, make):
    columns = {
        "occurred_at": [ASK["occurred_at"]] * 2,
        "action": ["question", "view"],
        "tags": [["visa"], ["c++"]],
    }
    backwards = dict(reversed(columns.items())) | {"shoe_size": [44, 45]}
    quietly(lambda: same(scorer, make(columns), make(backwards)))


def test_a_renamed_column_of_events_is_named_with_the_nearest(scorer):
    with pytest.raises(SchemaError, match=r"lack 'occurred_at' \(did you mean 'occured_at'"):
        scorer.predict([{"occured_at": "2024-03-01", "action": "view"}], at=AT)


def test_a_repeated_column_of_events_is_an_error(scorer):
    frame = pd.DataFrame([["2024-03-01", "view", "view"]], columns=["occurred_at", "action", "action"])
    with pytest.raises(SchemaError, match="more than one column 'action'"):
        scorer.predict(frame, at=AT)


def test_an_unseen_tag_changes_no_feature_of_a_known_one(scorer):
    found = features(scorer, [ASK, ASK | {"tags": ["never seen", "visa"]}])
    assert found["tag.visa_count_90d"] == 2
    assert found["tag.c%2B%2B_count_90d"] == 0
    assert found["question_count_30d"] == 2


def test_an_unseen_action_is_a_visit_and_nothing_else(scorer):
    found = features(scorer, [ASK | {"action": "levitate"}])
    assert found["question_count_30d"] == 0
    assert found["visit_count_30d"] == 1


def test_events_out_of_order_count_alike(scorer):
    events = [ASK | {"occurred_at": f"2024-03-{day:02d}T08:00:00"} for day in range(1, 29)]
    same(scorer, events, events[::-1])


def test_an_event_id_that_is_there_twice_counts_once_as_known_first(scorer):
    early = ASK | {"event_id": "e", "known_at": "2024-03-21"}
    late = early | {"known_at": "2024-05-01"}
    for events in ([early, late], [late, early]):
        assert features(scorer, events)["question_count_30d"] == 1


@pytest.mark.parametrize(
    "change",
    [{"known_at": "2024-04-01"}, {"occurred_at": "2024-04-01T00:00:00"}, {"occurred_at": "2031-01-01"}],
)
def test_what_is_known_or_done_at_the_cutoff_or_later_is_not_used(scorer, change):
    early = {"known_at": None} | ASK
    assert features(scorer, [early, early | change]) == pytest.approx(features(scorer, [early]), nan_ok=True)


def test_a_member_without_history_counts_zero_and_is_flagged(scorer):
    found = features(scorer, [])
    assert found["question_count_30d"] == found["visit_count_30d"] == 0
    assert math.isnan(found["question_recency_days"])
    assert scorer.predict([], at=AT).cold_start


def test_an_event_without_a_member_is_nobodys(scorer):
    mine = ASK | {"member_id": "ann"}
    assert features(scorer, [mine, mine | {"member_id": None}])["question_count_30d"] == 1


@pytest.mark.parametrize(
    ("event", "error", "what"),
    [
        ({"occurred_at": None}, InputError, "occurred_at of event 1 is empty"),
        ({"occurred_at": "yesterday"}, InputError, "occurred_at of event 1 is 'yesterday'"),
        ({"occurred_at": math.inf}, LeadlightError, "occurred_at of event 1"),
        ({"known_at": "soon"}, InputError, "known_at of event 1"),
        ({"action": None}, InputError, "Event 1 has no action"),
        ({"action": ["view"]}, ColumnTypeError, "action holds a list"),
        (
            {"tags": dt.datetime(2024, 1, 1, tzinfo=dt.UTC)},
            ColumnTypeError,
            "tags holds a datetime",
        ),
    ],
)
def test_an_event_that_cannot_be_read_is_named(scorer, event, error, what):
    with pytest.raises(error, match=what):
        scorer.predict([ASK, ASK | event], at=AT)


@pytest.mark.parametrize(
    ("peers", "error", "what"),
    [
        ({"peers_view_count_30d": math.inf}, InputError, "infinite, in 'peers_view_count_30d'"),
        ({"peers_view_count_30d": "many"}, ColumnTypeError, "'peers_view_count_30d' holds text"),
        ({"peer_view_count_30d": 1}, SchemaError, "did you mean 'peers_view_count_30d'"),
        ([1.0], InputError, "peers is a list"),
    ],
)
def test_peers_that_cannot_be_read_are_named(scorer, peers, error, what):
    with pytest.raises(error, match=what):
        scorer.predict([ASK], peers=peers, at=AT)


def test_missing_peers_and_none_are_alike_but_for_the_report(scorer):
    given = scorer.predict([ASK], peers={"peers_view_count_30d": None}, at=AT)
    left_out = scorer.predict([ASK], at=AT)
    assert given.probability == left_out.probability
    assert "peers_view_count_30d" in left_out.missing
    assert "peers_view_count_30d" not in given.missing


NAMES = [
    "Robert'); DROP TABLE members;--",
    'a "quoted" name',
    "line\nbreak\tand\x00nul",
    "{question_count_30d} {} %s",
    "../../etc/passwd",
    "=cmd|' /C calc'!A0",
    "名前 имя اسم 🦊",
    "_count_30d",
    "\u202eevil",
]


class Named:
    """A community in which one tag is known."""

    has_accounts = False

    def vocabulary(self, attribute, **_):
        return ()


@pytest.mark.parametrize("name", NAMES)
def test_a_name_of_any_characters_counts_like_any_other(model, name, tmp_path):
    def scorer_of(tag):
        catalogue = Catalogue(
            [
                Behaviour(
                    "reads",
                    (
                        Count(by="tag", window="90d", only=(tag, "other")),
                        Count(tag, window="30d"),
                        Recency(tag),
                        Distinct("tag", window="90d"),
                    ),
                    reason="{tag.*_count_90d:time|times} on {tag.*}",
                )
            ]
        )
        plan = catalogue.compile(Named())
        width = len(plan.columns)
        one, none = np.ones(width), np.zeros(width)
        linear = Linear(none, one, one, none, none, 0.1)
        return Scorer(
            replace(model, columns=plan.column_names, trees=None, tree_weight=0.0, linear=linear), plan
        )

    def answer(scorer, tag):
        event = {"occurred_at": "2024-03-20", "action": tag, "tags": [tag], "group_id": tag, "member_id": tag}
        return scorer.predict([event, event | {"tags": ["other", tag]}], {"member_id": tag}, at=AT)

    strange, plain = scorer_of(name), scorer_of("plain")
    strange.save(tmp_path / "m.zip")
    expected = answer(plain, "plain")
    for scorer in (strange, load(tmp_path / "m.zip")):
        found = answer(scorer, name)
        assert found.probability == expected.probability
        assert [r.contribution for r in found.reasons] == [r.contribution for r in expected.reasons]
        assert [r.text for r in found.reasons] == [r.text.replace("plain", name) for r in expected.reasons]
