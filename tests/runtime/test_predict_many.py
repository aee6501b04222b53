"""predict_many: many members at once are each answered as `predict` answers one."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from leadlight.errors import ColumnTypeError, InputError, SchemaError
from leadlight.runtime import MemberState, Prediction, Predictions

AT = "2024-04-01"
LOG = [
    {"member_id": who, "occurred_at": f"2024-03-{day:02d}T10:00:00", "action": action, "tags": tags, "other_member_id": other}
    for who, day, action, tags, other in (
        ("ann", 1, "question", ["visa"], None),
        ("bob", 2, "answer", ["visa"], "ann"),
        (None, 3, "answer", [], "ann"),
        ("ann", 9, "view", ["visa", "c++"], None),
        ("cid", 12, "visit", [], None),
        ("bob", 20, "question", [], "ann"),
        ("ann", 21, "question", [], "ann"),
        (None, 21, "answer", [], "eve"),
    )
]  # fmt: skip
MEMBERS = [
    {"member_id": "bob", "joined_at": "2024-01-01"},
    {"member_id": "dot", "joined_at": None},
    {"member_id": "ann", "joined_at": "2024-02-01"},
]
PEERS = {"ann": {"peers_view_count_30d": 4}}


def alone(scorer, name, member=None, at=AT, **more):
    member = {"member_id": name} | (member or {})
    events = [e for e in LOG if name in (e["member_id"], e["other_member_id"] if e["member_id"] else None)]
    return scorer.predict(events, member, at=at, **more)


def test_each_member_of_a_log_has_the_answer_of_predict(scorer):
    found = scorer.predict_many(events=LOG, at=AT)
    assert found.member_id == ("ann", "bob", "cid")
    assert list(found) == [alone(scorer, name) for name in ("ann", "bob", "cid")]


def test_members_say_who_is_scored_in_which_order_and_what_is_known_of_them(scorer):
    found = scorer.predict_many(events=LOG, members=MEMBERS, peers=PEERS, at=AT)
    assert found.member_id == ("bob", "dot", "ann")
    assert found[0] == alone(scorer, "bob", MEMBERS[0])
    assert found[1] == scorer.predict([], MEMBERS[1], at=AT)
    assert found[2] == alone(scorer, "ann", MEMBERS[2], peers=PEERS["ann"])
    assert found.cold_start.tolist() == [False, True, False]
    assert found.missing[2] == ()


def test_what_nobody_gave_nobody_received(scorer):
    found = scorer.predict_many(events=LOG, members=["eve"], at=AT)
    assert list(found) == [scorer.predict([], {"member_id": "eve"}, at=AT)]


def test_names_alone_say_who_is_scored(scorer):
    assert scorer.predict_many(events=LOG, members=["cid", "ann"], at=AT).member_id == ("cid", "ann")


@pytest.mark.parametrize(
    "kind", [pd.DataFrame, pl.DataFrame, pa.Table.from_pylist], ids=["pandas", "polars", "arrow"]
)
def test_tables_give_what_dicts_give(scorer, kind):
    members = [own for own in MEMBERS if own["joined_at"]]
    from_dicts = scorer.predict_many(events=LOG, members=members, at=AT)
    from_tables = scorer.predict_many(events=kind(LOG), members=kind(members), at=AT)
    assert list(from_tables) == list(from_dicts)


def test_without_a_moment_all_are_scored_just_after_the_newest_event(scorer):
    found = scorer.predict_many(events=LOG)
    at = pd.Timestamp("2024-03-21T10:00:00.000001", tz="UTC")
    assert list(found) == [alone(scorer, name, at=at) for name in found.member_id]


def test_states_have_the_answers_of_their_events(scorer):
    states = {}
    for name in ("ann", "bob"):
        states[name] = scorer.state({"member_id": name})
        states[name].update([e for e in LOG if e["member_id"] == name])
    found = scorer.predict_many(states=states, peers=PEERS, at=AT)
    assert found.member_id == ("ann", "bob")
    assert list(found) == [scorer.predict(s, peers=PEERS.get(n), at=AT) for n, s in states.items()]
    assert scorer.predict_many(states=list(states.values()), at=AT).member_id == ("0", "1")


def test_rows_have_the_answers_of_predict_rows(scorer, X):
    found = scorer.predict_many(X, reasons=2)
    assert isinstance(found, Predictions)
    assert found.member_id is None
    assert list(found) == [scorer.predict(row, reasons=2) for row in X]


def test_columns_hold_what_the_predictions_hold(scorer):
    found = scorer.predict_many(events=LOG, members=MEMBERS, at=AT)
    frame = pd.DataFrame(found.columns())
    assert len(frame) == 3
    assert frame["member_id"].tolist() == ["bob", "dot", "ann"]
    for name in (
        "probability",
        "low",
        "high",
        "percentile",
        "grade",
        "qualified",
        "cold_start",
        "model_version",
    ):
        assert frame[name].tolist() == [getattr(one, name) for one in found]
    assert frame["reasons"].tolist() == [[r.text for r in one.reasons] for one in found]
    assert frame["missing"].tolist() == [list(one.missing) for one in found]


def test_predictions_are_a_sequence(scorer):
    found = scorer.predict_many(events=LOG, at=AT)
    assert found[-1] == list(found)[-1]
    assert found[1:] == list(found)[1:]
    assert isinstance(found[0], Prediction)
    with pytest.raises(IndexError):
        found[3]
    assert repr(found) == f"Predictions(3 members, {int(found.qualified.sum())} qualified, {scorer.version})"


def test_nobody_gives_no_predictions(scorer, X):
    for found in (
        scorer.predict_many(events=[]),
        scorer.predict_many(events=LOG, members=[], at=AT),
        scorer.predict_many(states=[]),
        scorer.predict_many(X[:0]),
    ):
        assert list(found) == []
        assert len(found.columns()["reasons"]) == 0


@pytest.mark.parametrize("threads", [2, 5])
def test_the_answers_do_not_depend_on_the_threads(scorer, X, threads):
    many = np.tile(X, (6, 1))
    assert list(scorer.predict_many(many, threads=threads, reasons=1)) == list(
        scorer.predict_many(many, reasons=1)
    )
    np.testing.assert_array_equal(scorer.predict_proba(many, threads=threads), scorer.predict_proba(many))
    explained, alone = scorer.explain(many, threads=threads), scorer.explain(many)
    np.testing.assert_array_equal(explained.values, alone.values)


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        ({}, InputError, "got 0 of rows"),
        ({"events": LOG, "states": []}, InputError, "got 2 of rows"),
        ({"events": [{"occurred_at": 1, "action": "view"}]}, SchemaError, "'member_id'"),
        ({"events": LOG, "members": ["ann", "ann"]}, InputError, "'ann' is there twice"),
        ({"events": LOG, "members": ["ann", None]}, InputError, "Member 1 has no member_id"),
        ({"events": LOG, "members": {"member": ["ann"]}}, SchemaError, "did you mean 'member'"),
        ({"events": LOG, "members": 7}, ColumnTypeError, "members is a int"),
        ({"events": [], "members": ["ann"]}, InputError, "at="),
        ({"events": LOG, "peers": {"anne": {}}}, InputError, "did you mean 'ann'"),
        ({"events": LOG, "peers": {"bob": {"peers_view": 1}}}, SchemaError, "Member 'bob': peers has 'peers_view'"),
        ({"events": LOG, "members": [{"member_id": "bob", "joined_at": "soon"}]}, InputError, "Member 'bob': joined_at"),
        ({"states": ["ann"]}, ColumnTypeError, "The state of 0 is a str"),
        ({"states": 3}, ColumnTypeError, "states is a int"),
        ({"states": [], "members": []}, InputError, "state has the member's facts"),
        ({"events": LOG, "threads": 0}, InputError, "threads is 0"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_named(scorer, arguments, error, said):
    with pytest.raises(error, match=said):
        scorer.predict_many(**{"at": AT} | arguments if "members" not in arguments else arguments)


def test_rows_take_no_moment(scorer, X):
    with pytest.raises(InputError, match="leave out"):
        scorer.predict_many(X, at=AT)


def test_a_wrong_state_names_its_member(scorer):
    state = MemberState(scorer.plan)
    with pytest.raises(InputError, match="Member 'ann': There are no events"):
        scorer.predict_many(states={"ann": state})


def test_one_feature_row_is_scored_by_name_or_in_order(scorer, X):
    row = dict(zip(scorer.columns, X[0].tolist(), strict=True))
    expected = scorer.predict_rows(X[:1])[0]
    backwards = dict(reversed(row.items()))
    table = np.array([tuple(X[0])], [(name, float) for name in scorer.columns])
    for one in (
        row,
        backwards,
        X[0],
        X[:1],
        pd.DataFrame([row]),
        pl.DataFrame([row]),
        pa.Table.from_pylist([row]),
        table,
    ):
        assert scorer.predict(one) == expected


def test_a_row_as_a_dict_may_hold_none_and_whole_numbers(scorer):
    row = dict.fromkeys(scorer.columns, 3)
    row[scorer.columns[0]] = None
    plain = {name: math.nan if value is None else float(value) for name, value in row.items()}
    assert scorer.predict(row) == scorer.predict(plain)


@pytest.mark.parametrize(
    ("row", "more", "error", "said"),
    [
        ({"question_count_30d": 1}, {}, SchemaError, "lacks 9 of the model's 10 columns"),
        (np.zeros((2, 10)), {}, InputError, "2 feature rows; use predict_many"),
        (np.zeros(9), {}, SchemaError, "shape"),
        (np.zeros(10), {"at": AT}, InputError, "leave out"),
        (np.full(10, np.inf), {}, InputError, "infinite"),
    ],
)
def test_a_row_that_cannot_be_used_is_named(scorer, row, more, error, said):
    with pytest.raises(error, match=said):
        scorer.predict(row, **more)
