"""A member's state equals all events at once, whatever was folded, stored and loaded between; damage is one clear error."""

from __future__ import annotations

import copy
import json
import pickle
import zlib
from datetime import timedelta
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.features.conftest import KERNELS
from tests.features.generated import CUTOFFS_US, EVERY_OPERATION, START, busy, examples
from tests.features.generated import events as any_event
from tests.features.test_parity import scorer_of

import leadlight.runtime.state as state_module
from leadlight.errors import ColumnTypeError, InputError, LeadlightError, SchemaError
from leadlight.kernels.start import longest_window
from leadlight.moments import DAY_US, moment_us
from leadlight.plan import Column, Key, Plan
from leadlight.runtime import MemberState, Prediction
from leadlight.runtime.state_bytes import _HEAD, _LENGTH, _checksum, fingerprint

PLAN = EVERY_OPERATION.compile(busy(0, 0.0).community(), None, min_members=1)
SCORER = scorer_of(PLAN)
LONGEST = longest_window(PLAN)
ANN = {"member_id": "ann", "email_domain": "a.example", "joined_at": START}
OPTIONAL = (
    "known_at",
    "member_id",
    "tags",
    "group_id",
    "other_member_id",
    "other_role",
    "other_domain",
    "duration_s",
    "field",
    "value",
)
TWO_KEYS = Plan(
    (Key("view"), Key(None, "given", "tag", "visa")),
    (
        Column("view_count_7d", "count", (0,), (7 * DAY_US,)),
        Column("view_count_all", "count", (0,), (0,)),
        Column("visa_count_all", "count", (1,), (0,)),
        Column("visit_count_all", "visits", (), (0,)),
    ),
    (),
)
VIEWS = scorer_of(TWO_KEYS)


@pytest.fixture(params=KERNELS)
def kernel(request, monkeypatch):
    monkeypatch.setenv("LEADLIGHT_KERNELS", request.param)


def day(n: float, **more) -> dict:
    """A view n days after the start."""
    return {"occurred_at": START + timedelta(days=n), "action": "view", **more}


def ever(state, at=None) -> float:
    return VIEWS.features(state, at=at)[1]


def same(left, right) -> bool:
    return np.array_equal(left, right, equal_nan=True)


# ---- all events at once ----------------------------------------------------------------------------------------------

FORMS = ("list", "columns", "one")
AFTER = ("nothing", "nothing", "bytes", "pickle", "copy", "compact")

chunks = st.lists(
    st.tuples(
        st.lists(any_event, min_size=1, max_size=12),
        st.sampled_from(FORMS),
        st.frozensets(st.sampled_from(OPTIONAL), max_size=2),
        st.sampled_from(AFTER),
    ),
    min_size=1,
    max_size=6,
)
facts = st.sampled_from(
    (ANN, {"member_id": "ann"}, {"member_id": "ann", "email_domain": None, "joined_at": None})
)


def given_as(rows: list[dict], form: str):
    if form == "columns":
        return {name: [row[name] for row in rows] for name in rows[0]}
    return rows


def all_at_once(parts: list[list[dict]], me: str) -> list[dict]:
    """The events as one list: where some calls named members, the others were about this one."""
    rows = [row for rows in parts for row in rows]
    named = any("member_id" in row for row in rows)
    return [{"member_id": me, **row} if named else row for row in rows]


def after(state: MemberState, what: str, cutoff: int) -> MemberState:
    if what == "bytes":
        return MemberState.from_bytes(state.to_bytes(), PLAN)
    if what == "pickle":
        return pickle.loads(pickle.dumps(state))
    if what == "compact":
        state.compact(cutoff)
    return copy.deepcopy(state) if what == "copy" else state


def expect_same(state: MemberState, parts: list[list[dict]], member: dict, at) -> None:
    if state.oldest_at is not None and at is not None and at < state.oldest_at:
        with pytest.raises(InputError, match="the state answers from"):
            SCORER.features(state, at=at)
        return
    together = all_at_once(parts, "ann")
    if at is None and (not together or not state.events):
        return
    for name in KERNELS:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("LEADLIGHT_KERNELS", name)
            left = SCORER._features(state, None, None, at)
            right = SCORER._features(together, member, None, at)
        assert same(left[0], right[0]), [
            (n, a, b)
            for n, a, b in zip(PLAN.column_names, left[0], right[0], strict=True)
            if not (a == b or (a != a and b != b))
        ]
        assert (left[1].at_us, left[1].cold_start, left[1].unknown, left[2]) == (
            right[1].at_us,
            right[1].cold_start,
            right[1].unknown,
            right[2],
        )


def oldest(rows: list[dict]) -> int:
    return min(row["occurred_at"] for row in rows)


def add(state: MemberState, rows: list[dict], form: str) -> list[dict]:
    """Add rows, one by one if the form says so; return those that the state took."""
    taken = []
    for some in [[row] for row in rows] if form == "one" else [rows]:
        try:
            state.update(some[0] if form == "one" else given_as(some, form))
        except InputError as error:
            # Nothing of the member's, or it happened before what is surely kept.
            older = state.oldest_at is not None and oldest(some) < state.oldest_at - LONGEST
            if "None of the" not in str(error) and not ("holds only sums" in str(error) and older):
                raise
            continue
        taken += some
    return taken


@examples(60)
@given(chunks, facts, st.sampled_from((None, "0h", "36h", "7d")), st.lists(st.sampled_from(CUTOFFS_US)))
def test_a_state_equals_all_events_at_once(parts, member, keep, cutoffs):
    state, taken = SCORER.state(member, keep=keep), []
    for rows, form, without, then in parts:
        less = [{name: row[name] for name in row if name not in without} for row in rows]
        taken.append(add(state, less, form))
        state = after(state, then, CUTOFFS_US[len(taken) % 3])
        expect_same(state, taken, member, None if state.oldest_at is None else state.oldest_at)
    for at in (None, *cutoffs, CUTOFFS_US[-1] + 40 * DAY_US):
        expect_same(state, taken, member, at)


def long_history(seed: int, late: float) -> list[dict]:
    """Rows of one busy member over months, so that most of them are folded; the order is that of knowing."""
    rng = np.random.default_rng(seed)
    rows = list(busy(seed, late, 500).events)
    for i, row in enumerate(rows):
        shift = int(rng.integers(-60, 60)) * DAY_US // 2
        row["occurred_at"] += shift
        row["known_at"] = None if row["known_at"] is None else row["known_at"] + shift
        row["member_id"] = "ann" if i % 3 else row["member_id"]
    return sorted(rows, key=lambda row: max(row["occurred_at"], row["known_at"] or 0))


@pytest.mark.parametrize("late", [0.0, 0.1])
def test_a_long_history_event_by_event_equals_all_at_once_at_every_step(late):
    state, taken = SCORER.state(ANN, keep="2d"), []
    for i, row in enumerate(long_history(1, late)):
        taken.append(add(state, [row], "one"))
        if i % 60 == 59:
            expect_same(state, taken, ANN, state.oldest_at)
            expect_same(state, taken, ANN, None)
            state = after(state, "bytes", 0)
    assert state.held < state.events / 2


identified = st.lists(
    st.tuples(any_event, st.integers(0, 5)).map(
        lambda drawn: {
            **drawn[0],
            "member_id": "ann" if drawn[1] % 2 else "bob",
            "other_member_id": "ann",
            "event_id": drawn[1],
        }
    ),
    min_size=2,
    max_size=14,
)


@examples(60)
@given(identified, st.integers(1, 13), st.sampled_from(FORMS), st.booleans())
def test_repeats_of_held_events_are_one_event(rows, middle, form, store):
    state = SCORER.state(ANN, keep=None)
    parts = [rows[:middle], rows[middle:]]
    for part in filter(None, parts):
        add(state, part, form)
        state = after(state, "bytes" if store else "nothing", 0)
    expect_same(state, parts, ANN, None)
    expect_same(state, parts, ANN, CUTOFFS_US[2])


@examples(200)
@given(
    any_event, st.frozensets(st.sampled_from(OPTIONAL), max_size=3), facts, st.sampled_from((None, 1, "x"))
)
def test_one_event_is_read_as_a_table_of_one_is(event, without, member, event_id):
    event = {name: value for name, value in event.items() if name not in without} | {"event_id": event_id}
    found = []
    for events in (event, {name: [value] for name, value in event.items()}):
        state = SCORER.state(member)
        try:
            state.update(events)
        except LeadlightError as error:
            found.append(str(error))
        else:
            found.append(state.to_bytes())
    assert found[0] == found[1]


PROFILE = Plan((Key(None, "given", "field", "photo"),), (Column("complete", "completeness", (0,)),), ())


@pytest.mark.parametrize("folded", [False, True])
@pytest.mark.parametrize("values", [False, True])
def test_a_field_counts_as_filled_where_no_event_ever_says_with_what(kernel, folded, values):
    scorer, rows = scorer_of(PROFILE), [day(1, field="photo"), day(9, field="title")]
    if values:
        rows[1]["value"] = "x"
    state = scorer.state(keep=None)
    for row in rows:
        state.update(row)
        if folded:
            state.compact()
    assert state.held == (0 if folded else 2)
    assert scorer.features(state, at="2024-02-01").tolist() == [0.0 if values else 1.0]
    assert scorer.features(rows, at="2024-02-01").tolist() == [0.0 if values else 1.0]


# ---- what is promised ------------------------------------------------------------------------------------------------


def test_every_form_of_events_gives_the_same_state():
    rows = [day(1, tags=["visa"]), day(3.5, tags=[])]
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    found = set()
    for events in (rows, columns, pd.DataFrame(columns), pa.table(columns)):
        state = VIEWS.state()
        state.update(events)
        found.add(state.to_bytes())
    one_by_one = VIEWS.state()
    for row in reversed(rows):
        one_by_one.update(row)
    assert found == {one_by_one.to_bytes()}


def test_a_prediction_from_a_state_equals_that_from_its_events(scorer):
    rows = [day(1, tags=["visa"]), day(3.5, action="question"), day(20, action="answer")]
    state = scorer.state({"member_id": 7, "joined_at": START})
    state.update(rows)
    peers = {"peers_view_count_30d": 4.0}
    for at in (None, "2024-01-30"):
        found = scorer.predict(state, peers=peers, at=at, reasons=2)
        assert isinstance(found, Prediction)
        assert found == scorer.predict(rows, {"member_id": 7, "joined_at": START}, peers, at=at, reasons=2)


def test_a_state_without_events_is_a_member_without_history(kernel):
    assert same(VIEWS.features(VIEWS.state(), at="2024-01-05"), VIEWS.features([], at="2024-01-05"))
    with pytest.raises(InputError, match="There are no events"):
        VIEWS.features(VIEWS.state())


def test_what_no_window_sees_is_folded_and_still_counts(kernel):
    state = VIEWS.state(keep="0h")
    state.update([day(n, tags=["visa"]) for n in range(100)])
    assert (state.events, state.held) == (100, 8)
    assert VIEWS.features(state).tolist() == [7, 100, 100, 100]


def test_many_single_updates_hold_a_bounded_number_of_events():
    state, most = VIEWS.state(keep="1d"), 0
    for n in range(2000):
        state.update(day(n / 4))
        most = max(most, state.held)
    assert state.events == 2000
    assert most <= (8 * 4 + 1) * 1.25 + 33


def test_the_moment_keep_before_the_newest_event_can_be_asked_for_and_none_before_it(kernel):
    state = VIEWS.state(keep="2d")
    state.update([day(n) for n in range(30)])
    bound = moment_us(START + timedelta(days=27))
    assert state.oldest_at == bound
    assert VIEWS.features(state, at=bound)[:2].tolist() == [7, 27]
    with pytest.raises(
        InputError, match=r"at is 2024-01-27T23:59:59.999999Z; the state answers from 2024-01-28 on"
    ):
        VIEWS.features(state, at=bound - 1)


def test_without_keep_any_moment_can_be_asked_for(kernel):
    state = VIEWS.state(keep=None)
    state.update([day(n) for n in range(100)])
    assert (state.held, state.oldest_at) == (100, None)
    assert ever(state, at="2024-01-03T12:00:00") == 3


def test_compact_folds_what_no_window_sees_at_the_moment_or_later():
    state = VIEWS.state(keep=None)
    state.update([day(n) for n in range(30)])
    state.compact("2024-01-21")
    assert (state.events, state.held, state.oldest_at) == (30, 17, moment_us("2024-01-21"))
    state.compact("2024-01-02")
    assert state.oldest_at == moment_us("2024-01-21")
    state.compact()
    assert (state.held, ever(state)) == (7, 30)


def test_an_event_within_what_is_kept_is_added_however_late_it_comes(kernel):
    state = VIEWS.state(keep="2d")
    state.update([day(n) for n in range(30)])
    state.update(day(27 - 7))
    assert ever(state) == 31


def test_an_event_older_than_the_sums_is_refused_and_changes_nothing():
    state = VIEWS.state(keep="0h")
    state.update([day(n) for n in range(30)])
    before = state.to_bytes()
    with pytest.raises(
        InputError, match="happened at 2024-01-11, and the state holds only sums of what happened until"
    ):
        state.update([day(40), day(10)])
    with pytest.raises(InputError, match="holds only sums"):
        state.update(day(21))
    assert state.to_bytes() == before


def test_a_history_may_come_in_any_order_before_anything_is_folded():
    state = VIEWS.state(keep=None)
    for n in reversed(range(300)):
        state.update(day(n))
    state.compact()
    assert (ever(state), state.held) == (300, 7)


def test_an_event_from_the_future_does_not_make_the_state_forget(monkeypatch):
    now = moment_us(START + timedelta(days=20)) * 1000
    monkeypatch.setattr(state_module, "clock", SimpleNamespace(time_ns=lambda: now))
    state = VIEWS.state(keep="2d")
    state.update([*(day(n) for n in range(20)), day(4000)])
    assert state.oldest_at == moment_us(START + timedelta(days=18))
    assert ever(state, at=state.oldest_at) == 18


def test_an_event_that_is_known_late_counts_from_then_on(kernel):
    state = VIEWS.state(keep="1d")
    state.update([*(day(n) for n in range(30)), day(2, known_at=START + timedelta(days=29.5))])
    state.update(day(30))
    assert ever(state, at="2024-01-30T12:00:00") == 30
    assert ever(state, at=moment_us("2024-01-30T12:00:00") + 1) == 31
    state.update(day(40))
    state.compact()
    assert (ever(state), state.held) == (33, 1)


def test_an_event_that_becomes_known_at_the_earliest_moment_that_can_be_asked_for_is_held(kernel):
    state = VIEWS.state(keep="0h")
    state.update([*(day(n) for n in range(30)), day(2, known_at=START + timedelta(days=30))])
    assert state.oldest_at == moment_us("2024-01-31")
    state.compact("2024-01-31")
    assert (ever(state, at="2024-01-31"), ever(state)) == (30, 31)


def test_of_repeats_known_at_one_moment_the_one_that_happened_first_counts():
    for first, second in ((1, 2), (2, 1)):
        state = VIEWS.state()
        state.update(day(first, event_id=1, known_at=START + timedelta(days=5)))
        state.update(day(second, event_id=1, known_at=START + timedelta(days=5)))
        answer = VIEWS.features(state, at="2024-01-09T12:00:00")
        assert answer[:2].tolist() == [0, 1]


def test_a_repeat_of_an_event_that_was_known_earlier_replaces_it():
    state = VIEWS.state()
    state.update(day(3, event_id=1))
    state.update(day(2, event_id="1"))
    state.update(day(4, event_id=1))
    assert (state.events, ever(state, at="2024-01-03T12:00:00")) == (1, 1)


def test_a_folded_event_is_forgotten_by_its_id():
    state = VIEWS.state(keep="0h")
    state.update([day(n, event_id=n) for n in range(30)])
    state = MemberState.from_bytes(state.to_bytes(), TWO_KEYS)
    state.update(day(29, event_id=29))
    assert state.events == 30
    state.update(day(29, event_id=1))
    assert state.events == 31


def test_rows_of_others_count_as_received_and_strangers_are_refused():
    state = SCORER.state({"member_id": "ann"})
    state.update({**day(1), "member_id": "bob", "other_member_id": "ann"})
    with pytest.raises(InputError, match="None of the 1 events is given or received"):
        state.update({**day(1), "member_id": "bob", "other_member_id": "cid"})
    assert state.events == 1


def test_what_the_member_received_says_which_columns_cannot_be_known():
    state = SCORER.state(ANN)
    row = {**day(1), "member_id": "ann", "other_member_id": "bob"}
    state.update(row)
    before = SCORER._features(state, None, None, None)[2]
    state.update({**row, "member_id": "bob", "other_member_id": "ann"})
    more = set(SCORER._features(state, None, None, None)[2]) - set(before)
    assert more
    assert all("same_domain" in name for name in more)


def test_the_first_events_name_the_member_if_nobody_else_did():
    state = VIEWS.state()
    with pytest.raises(InputError, match="name 2 members"):
        state.update([day(1, member_id="ann"), day(1, member_id="bob")])
    state.update(day(1, member_id="ann"))
    state = MemberState.from_bytes(state.to_bytes(), TWO_KEYS)
    with pytest.raises(InputError, match="None of the 1 events"):
        state.update(day(1, member_id="bob"))


@pytest.mark.parametrize(
    ("event", "error", "text"),
    [
        ({"action": "view"}, SchemaError, "lack 'occurred_at'"),
        ({"occurred_at": "2024-01-01"}, SchemaError, "lack 'action'"),
        ({"occurred_at": "soon", "action": "view"}, InputError, "soon"),
        ({"occurred_at": "2024-01-01", "action": None}, InputError, "Event 0 has no action"),
        ({"occurred_at": "2024-01-01", "action": "view", "tags": 3}, ColumnTypeError, "tags holds a int"),
        ({"occurred_at": 2**62, "action": "view"}, InputError, "years away"),
        (7, ColumnTypeError, "events is a int"),
    ],
)
def test_an_event_that_cannot_be_read_is_an_error_and_changes_nothing(event, error, text):
    state = VIEWS.state()
    state.update(day(1))
    before = state.to_bytes()
    with pytest.raises(error, match=text):
        state.update(event)
    for events in ([event], [event, day(2)]):
        with pytest.raises(LeadlightError):
            state.update(events)
    assert state.to_bytes() == before


def test_no_events_are_no_update():
    state = VIEWS.state()
    state.update([])
    assert state.to_bytes() == VIEWS.state().to_bytes()


def test_facts_are_given_to_the_state_and_not_to_the_question():
    state = VIEWS.state()
    with pytest.raises(InputError, match=r"scorer.state\(member=...\)"):
        VIEWS.features(state, {"member_id": 1}, at="2024-01-05")


@pytest.mark.parametrize("keep", ["soon", "-1d", timedelta(-1)])
def test_keep_is_a_duration(keep):
    with pytest.raises(InputError, match="keep is"):
        VIEWS.state(keep=keep)


def test_a_copy_shares_nothing_and_answers_alike():
    state = VIEWS.state({"member_id": 1})
    state.update([day(n, event_id=n) for n in range(5)])
    state.update(day(5, event_id=5))
    other = copy.copy(state)
    other.update(day(6, event_id=6))
    assert (ever(state), ever(other)) == (6, 7)
    state.update(day(7, event_id=6))
    assert (ever(state), ever(other)) == (7, 7)


# ---- bytes -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stored() -> bytes:
    state = SCORER.state(ANN, keep="2d")
    for row in long_history(2, 0.1)[:200]:
        add(state, [{**row, "event_id": str(row)}], "one")
    return state.to_bytes()


def test_bytes_do_not_depend_on_the_order_in_which_events_came():
    rows = [day(n % 7, tags=["visa"] * (n % 2), event_id=n) for n in range(20)]
    there, back = VIEWS.state(keep=None), VIEWS.state(keep=None)
    there.update(rows)
    for row in reversed(rows):
        back.update(row)
    assert there.to_bytes() == back.to_bytes()


def test_a_stored_state_is_stored_again_in_the_same_bytes(stored):
    assert MemberState.from_bytes(stored, PLAN).to_bytes() == stored


def test_a_stored_state_holds_no_text_of_an_event():
    state = SCORER.state({"member_id": "ann"})
    state.update({**day(1), "tags": ["visa", "private"], "group_id": "secret", "event_id": "evt-17"})
    plain = zlib.decompress(state.to_bytes()[_HEAD.size :])
    assert not any(text in plain for text in (b"visa", b"private", b"secret", b"evt-17"))
    assert b"ann" in plain


@pytest.mark.parametrize(("held", "most"), [(100, 2_600), (500, 9_500)])
def test_a_state_takes_few_bytes(held, most):
    rng = np.random.default_rng(0)
    times = np.sort(rng.integers(0, 300 * 86_400, held)) * 1_000_000 + moment_us(START)
    rows = [
        day(1, event_id=i, occurred_at=int(t), duration_s=int(rng.integers(0, 900)))
        for i, t in enumerate(times)
    ]
    state = SCORER.state(keep=None)
    state.update(rows)
    assert len(state.to_bytes()) < most


def test_a_state_of_another_plan_is_refused(stored):
    with pytest.raises(InputError, match="made for another plan"):
        MemberState.from_bytes(stored, TWO_KEYS)
    with pytest.raises(InputError, match="plan of another model"):
        VIEWS.features(MemberState.from_bytes(stored, PLAN))


def test_a_plan_with_other_windows_is_another_plan():
    columns = (Column("view_count_8d", "count", (0,), (8 * DAY_US,)), *TWO_KEYS.columns[1:])
    with pytest.raises(InputError, match="made for another plan"):
        MemberState.from_bytes(VIEWS.state().to_bytes(), Plan(TWO_KEYS.keys, columns, ()))


def test_a_state_serves_an_equal_plan_that_was_loaded_anew(stored):
    again = Plan.from_dict(json.loads(PLAN.to_json()))
    state = MemberState.from_bytes(stored, again)
    assert same(SCORER.features(state), SCORER.features(MemberState.from_bytes(stored, PLAN)))


def test_a_newer_format_is_named():
    data = bytearray(VIEWS.state().to_bytes())
    data[4] = 2
    with pytest.raises(InputError, match="has format 2; this version of leadlight reads 1"):
        MemberState.from_bytes(bytes(data), TWO_KEYS)


@pytest.mark.parametrize("data", [b"", b"LLMS", "text", None, b"x" * 200])
def test_what_is_no_state_is_refused(data):
    with pytest.raises(InputError, match=r"no member's state|give the bytes"):
        MemberState.from_bytes(data, TWO_KEYS)


def test_every_truncation_is_refused(stored):
    for length in range(len(stored)):
        with pytest.raises(InputError):
            MemberState.from_bytes(stored[:length], PLAN)
    with pytest.raises(InputError):
        MemberState.from_bytes(stored + b"x", PLAN)


def test_every_flipped_byte_is_refused(stored):
    rng = np.random.default_rng(0)
    for i in range(len(stored)):
        data = bytearray(stored)
        data[i] ^= int(rng.integers(1, 256))
        with pytest.raises(InputError):
            MemberState.from_bytes(bytes(data), PLAN)


def forged(plain: bytes, plan: Plan = PLAN) -> bytes:
    """Bytes with a checksum that fits."""
    body, mark = zlib.compress(plain), fingerprint(plan)
    return _HEAD.pack(b"LLMS", 1, _checksum(mark + body), mark) + body


def answers(data: bytes) -> bool:
    """Whether bytes are a state; one that is has finite answers, or says why not."""
    try:
        state = MemberState.from_bytes(data, PLAN)
    except InputError:
        return False
    for name in KERNELS:
        with pytest.MonkeyPatch.context() as patch, np.errstate(all="ignore"):
            patch.setenv("LEADLIGHT_KERNELS", name)
            try:
                SCORER.features(state, at=max(state.oldest_at or 0, CUTOFFS_US[-1]))
                state.copy().update(day(4000))
                state.to_bytes()
            except LeadlightError:
                pass
    return True


def test_an_edited_state_with_a_checksum_that_fits_never_crashes(stored):
    plain = zlib.decompress(stored[_HEAD.size :])
    assert answers(forged(plain))
    rng = np.random.default_rng(0)
    for i in (*range(len(plain))[:: max(1, len(plain) // 1500)], *range(400)):
        data = bytearray(plain)
        data[i] = int(rng.integers(0, 256))
        answers(forged(bytes(data)))
    for length in range(0, len(plain), 7):
        assert not answers(forged(plain[:length]))
    assert not answers(forged(plain + b"x"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("facts", {"member_id": 7}),
        ("facts", {"age": 7}),
        ("facts", []),
        ("names", ["colour"]),
        ("names", 3),
        ("keep", 1.5),
        ("oldest_at", "soon"),
        ("folded", [1, 2]),
        ("folded", [1, 2, 2**64]),
        ("folded", [2**62, 2, 3]),
        ("rows", 0),
        ("rows", -1),
        ("visits", 10**9),
        ("visit", None),
        ("newest", True),
    ],
)
def test_an_edited_header_is_refused(stored, name, value):
    plain = zlib.decompress(stored[_HEAD.size :])
    (size,) = _LENGTH.unpack(plain[: _LENGTH.size])
    header = json.loads(plain[_LENGTH.size :][:size])
    assert name in header
    text = json.dumps({**header, name: value}).encode()
    with pytest.raises(InputError, match="The state is damaged"):
        MemberState.from_bytes(forged(_LENGTH.pack(len(text)) + text + plain[_LENGTH.size + size :]), PLAN)


def test_bytes_that_unpack_to_far_too_many_are_refused():
    with pytest.raises(InputError, match="too early, or too late"):
        MemberState.from_bytes(forged(bytes(1 << 27), TWO_KEYS), TWO_KEYS)
