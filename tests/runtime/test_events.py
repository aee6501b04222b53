"""One member's events online against the same facts in a batch, and what is said when facts are missing."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from leadlight.behaviours import (
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
    Sum,
    Surprise,
    Tenure,
    Trend,
    Visits,
)
from leadlight.community import Community
from leadlight.errors import ColumnTypeError, InputError, SchemaError
from leadlight.features import build_features
from leadlight.kernels.sweep import sweep
from leadlight.moments import DAY_US, moment_us
from leadlight.observations import Observations
from leadlight.runtime import Calibration, Linear, Model, Scorer
from leadlight.runtime.events import encode_events

ALL = ("30d", "90d", "all")
EVERYTHING = Catalogue(
    [
        Behaviour(
            "does everything",
            (
                Count(window=ALL),
                Count("view", window=ALL),
                Count(("post", "question"), window=ALL),
                Count("answer", window=ALL, side="received"),
                Count(by="tag", window=ALL),
                Count("join_group", by="group", window="all"),
                Count("connect", by="role", window=ALL),
                Count("connect", by="job_function", window="all"),
                Count("invite", window=ALL, same_domain=True),
                Sum(window=ALL),
                Recency("view"),
                Recency("answer", side="received"),
                FirstTime("question"),
                Trend("view"),
                Surprise("view", window="90d"),
                Ratio(Count("post"), Count("view")),
                Distinct("tag"),
                Entropy("tag", window=("90d", "all")),
                Visits(window=ALL),
                Visits(measure="per_month"),
                Visits(measure="last_visit"),
                Completeness(),
                Tenure(),
            ),
            reason="",
        )
    ]
)
DOMAINS = ("acme.example", "www.Acme.example", "globex.example", None)
TAGS = ("visa", "jobs", "c++", "été", 'a "quoted"; one')
ACTIONS = ("view", "post", "question", "answer", "connect", "invite", "join_group", "profile_update")


def log_of_a_community(seed, members=12, rows=600):
    rng = np.random.default_rng(seed)
    start = datetime(2024, 1, 1, tzinfo=UTC)
    events = []
    for _ in range(rows):
        at = start + timedelta(seconds=int(rng.integers(0, 200 * 86_400)))
        action = str(rng.choice(ACTIONS))
        event = {
            "member_id": f"m{rng.integers(members)}",
            "occurred_at": at.date().isoformat() if rng.random() < 0.1 else at.isoformat(),
            "action": action,
            "known_at": (at + timedelta(days=int(rng.integers(1, 60)))).isoformat()
            if rng.random() < 0.1
            else None,
            "tags": [str(t) for t in rng.choice(TAGS, rng.integers(0, 4))],
            "group_id": str(rng.choice(["beta", "7"])) if action == "join_group" else None,
            "duration_s": None if rng.random() < 0.3 else float(rng.integers(0, 4000)) / 7,
            "field": str(rng.choice(["title", "photo", "city"])) if action == "profile_update" else None,
            "value": str(rng.choice(["x", ""])),
        }
        if action in ("answer", "connect", "invite"):
            domain = DOMAINS[rng.integers(4)]
            event |= {
                "other_member_id": f"m{rng.integers(members)}",
                "other_role": str(rng.choice(["prospect", "partner"])),
                "other_job_function": str(rng.choice(["sales", "R&D"])),
                "other_domain": "nowhere.example" if domain is None else domain,
            }
        events.append(event)
    keys = sorted({k for e in events for k in e})
    people = [
        {
            "member_id": f"m{i}",
            "email_domain": DOMAINS[i % 4],
            "joined_at": None if i % 5 == 0 else f"2023-12-{i + 1:02d}",
        }
        for i in range(members + 1)
    ]
    return [{k: e.get(k) for k in keys} for e in events], people


def batch(events, people, cutoffs, catalogue=EVERYTHING):
    community = Community(activity=pd.DataFrame(events), members=pd.DataFrame(people))
    plan = catalogue.compile(community, min_members=1)
    ids = [p["member_id"] for p in people]
    codes = np.repeat(community.codes(ids), len(cutoffs))
    times = np.tile(np.array([moment_us(c) for c in cutoffs]), len(ids))
    joined = community.members.joined_us[codes]
    account = community.peer_account if community.has_accounts else None
    values = sweep(plan, community.log, codes, times, account_of=account, joined=joined)
    return plan, values.reshape(len(ids), len(cutoffs), -1)


def online(plan, events, member, at):
    log, entity, info = encode_events(events, plan, member, at)
    return sweep(plan, log, entity, np.array([info.at_us]), joined=info.joined)[0]


@pytest.mark.parametrize("seed", range(4))
def test_online_features_equal_batch_features(seed):
    events, people = log_of_a_community(seed)
    cutoffs = ("2024-03-01", "2024-05-20T13:37:00", "2024-12-01")
    plan, expected = batch(events, people, cutoffs)
    for person, rows in zip(people, expected, strict=True):
        own = [e for e in events if person["member_id"] in (e["member_id"], e["other_member_id"])]
        for at, row in zip(cutoffs, rows, strict=True):
            np.testing.assert_array_equal(online(plan, own, person, at), row, err_msg=f"{person} {at}")


def test_a_scorer_computes_the_rows_of_build_features():
    events, people = log_of_a_community(11)
    community = Community(activity=pd.DataFrame(events), members=pd.DataFrame(people))
    peers = Behaviour("has colleagues", (Peers(Count("view", window=("30d", "90d"))),), reason="")
    plan = Catalogue([*EVERYTHING, peers]).compile(community, min_members=1)
    frame = pd.DataFrame(
        {"member_id": [p["member_id"] for p in people], "cutoff": pd.Timestamp("2024-05-01", tz="UTC")}
    )
    expected = build_features(community, Observations.from_frame(frame), plan)
    width = len(plan.columns)
    linear = Linear(*np.zeros((1, width)), np.ones(width), *np.zeros((3, width)), intercept=0.0)
    model = Model(plan.column_names, None, linear, 0.0, 1.0, Calibration(1.0, 0.0), np.zeros(0), 0.5)
    scorer = Scorer(model, plan)
    for person, (_, row) in zip(people, expected.iterrows(), strict=True):
        own = [e for e in events if person["member_id"] in (e["member_id"], e["other_member_id"])]
        colleagues = row[[name for name in row.index if name.startswith("peers_")]].to_dict()
        found = scorer.features(own, person, colleagues, at="2024-05-01")
        np.testing.assert_array_equal(found, row.to_numpy(), err_msg=str(person))


@pytest.mark.parametrize(
    "feature",
    [
        Completeness(),
        Visits(measure="last_visit"),
        Count("connect", side="received"),
        Distinct("tag"),
        Tenure(),
    ],
)
def test_a_plan_of_one_feature_reads_all_that_this_feature_needs(feature):
    events, people = log_of_a_community(6, members=4)
    # Updates at one time: what was filled last is told by the durations.
    same = {"occurred_at": "2024-04-02T10:00:00", "action": "profile_update", "field": "title"}
    for i, person in enumerate(people):
        for seconds, text in ((5.0, "x"), (9.0, ""))[:: 1 if i % 2 else -1]:
            given = {**same, "member_id": person["member_id"], "duration_s": seconds, "value": text}
            events.append({key: given.get(key) for key in events[0]})
    plan, expected = batch(
        events, people, ("2024-05-01",), Catalogue([Behaviour("acts", (feature,), reason="")])
    )
    found = [online(plan, events, person, "2024-05-01") for person in people]
    np.testing.assert_array_equal(found, expected[:, 0])


def test_events_of_others_change_nothing():
    events, people = log_of_a_community(9)
    plan, _ = batch(events, people, ("2024-05-01",))
    own = [e for e in events if "m3" in (e["member_id"], e["other_member_id"])]
    everything = online(plan, events, people[3], "2024-05-01")
    np.testing.assert_array_equal(everything, online(plan, own, people[3], "2024-05-01"))


def test_the_order_of_events_changes_nothing():
    events, people = log_of_a_community(5)
    plan, _ = batch(events, people, ("2024-05-01",))
    forward = online(plan, events, people[2], "2024-05-01")
    np.testing.assert_array_equal(forward, online(plan, events[::-1], people[2], "2024-05-01"))


@pytest.mark.parametrize("form", ["dict", "pandas", "polars", "arrow", "relation"])
def test_tables_and_dicts_give_the_same_features(form):
    events, people = log_of_a_community(3)
    plan, _ = batch(events, people, ("2024-05-01",))
    table = {k: [e[k] for e in events] for k in events[0]}
    if form == "relation":
        import duckdb

        given = duckdb.connect().from_arrow(pa.table(table))
    else:
        given = {"dict": dict, "pandas": pd.DataFrame, "polars": pl.DataFrame, "arrow": pa.table}[form](table)
    expected = online(plan, events, people[1], "2024-05-01")
    np.testing.assert_array_equal(online(plan, given, people[1], "2024-05-01"), expected)


SMALL = Catalogue(
    [
        Behaviour(
            "asks",
            (
                Count("question", window=("30d", "all")),
                Count("answer", side="received", window="all"),
                Recency("question"),
                Count(by="tag", window="all", only=("visa",)),
                Count("invite", same_domain=True),
                Sum(window="all"),
                Tenure(),
                Peers(Count("view", window="30d")),
            ),
            reason="",
        )
    ]
)


class Nothing:
    has_accounts = True

    def vocabulary(self, attribute, **_):
        return ()


@pytest.fixture(scope="module")
def plan():
    return SMALL.compile(Nothing())


def value(plan, column, events, member=None, at="2024-04-01"):
    return float(online(plan, events, member, at)[plan.column_names.index(column)])


def ask(at, **more):
    return {"occurred_at": at, "action": "question", **more}


def test_no_history_counts_zero_and_has_no_recency(plan):
    found = dict(zip(plan.column_names, online(plan, [], None, "2024-04-01"), strict=True))
    assert found["question_count_all"] == 0
    assert found["answer_received_count_all"] == 0
    assert found["tag.visa_count_all"] == 0
    assert np.isnan(found["question_recency_days"])
    assert encode_events([], plan, None, "2024-04-01")[2].cold_start


def test_no_history_needs_a_cutoff(plan):
    with pytest.raises(InputError, match="at="):
        encode_events([], plan)


def test_what_no_column_of_the_plan_reads_is_not_looked_at(plan):
    ignored = ask("2024-03-30", group_id=["a"], field={}, value={})
    assert value(plan, "question_count_all", [ignored]) == 1


def test_all_logs_of_a_plan_have_the_same_dictionaries(plan):
    first = encode_events([ask("2024-03-30", tags=["visa", "jobs"])], plan)[0].dictionaries
    again = encode_events([{"occurred_at": 1, "action": "view"}], plan)[0].dictionaries
    assert first is again
    assert first["tag"] == ("visa",)


def test_a_single_event_is_no_table(plan):
    with pytest.raises(ColumnTypeError, match=r"'occurred_at' of the events is a str.*list of one dict"):
        encode_events(ask("2024-03-30"), plan)


def test_a_table_without_rows_is_no_history(plan):
    assert value(plan, "tag.visa_count_all", pd.DataFrame({"occurred_at": [], "action": []})) == 0


def test_what_is_not_given_is_missing_and_named(plan):
    events = [ask("2024-03-30")]
    for column in (
        "answer_received_count_all",
        "tag.visa_count_all",
        "activity_duration_s_all",
        "tenure_days",
    ):
        assert np.isnan(value(plan, column, events)), column
    missing = encode_events(events, plan, None, "2024-04-01")[2].missing
    assert missing == (
        "tags",
        "other_domain",
        "email_domain",
        "member_id",
        "other_member_id",
        "duration_s",
        "joined_at",
    )


def test_facts_known_to_be_unknown_are_not_named(plan):
    facts = {"member_id": "a", "email_domain": None, "joined_at": None}
    event = ask(
        "2024-03-30", member_id="a", other_member_id=None, other_domain=None, tags=None, duration_s=None
    )
    assert encode_events([event], plan, facts, "2024-04-01")[2].missing == ()
    assert value(plan, "invite_same_domain_count_all", [event], facts) == 0


def test_the_default_cutoff_is_just_after_the_newest_event(plan):
    late = ask("2024-03-01T10:00:00", known_at="2024-03-02T00:00:00")
    assert encode_events([late], plan)[2].at_us == moment_us("2024-03-02") + 1
    assert value(plan, "question_count_all", [late], at=None) == 1


@pytest.mark.parametrize(("shift", "count"), [(-1, 1), (0, 0), (1, 0)])
def test_an_event_at_the_cutoff_is_not_counted(plan, shift, count):
    events = [ask(moment_us("2024-04-01") + shift)]
    assert value(plan, "question_count_all", events) == count


@pytest.mark.parametrize(
    "when",
    [
        "2024-03-01T10:00:00",
        "2024-03-01T12:00:00+02:00",
        datetime(2024, 3, 1, 10),  # noqa: DTZ001
        datetime(2024, 3, 1, 10, tzinfo=UTC),
        pd.Timestamp("2024-03-01T10:00:00Z"),
        np.datetime64("2024-03-01T10:00:00"),
        np.datetime64("2024-03-01T10:00:00", "ns"),
        moment_us("2024-03-01T10:00:00"),
    ],
)
def test_a_time_may_come_in_many_forms(plan, when):
    assert encode_events([ask(when)], plan)[2].at_us == moment_us("2024-03-01T10:00:00") + 1


@pytest.mark.parametrize(
    "day", ["2024-03-01", " 2024-03-01 ", "20240301", date(2024, 3, 1), np.datetime64("2024-03-01")]
)
def test_a_day_alone_is_its_last_microsecond(plan, day):
    assert encode_events([ask(day)], plan)[2].at_us == moment_us("2024-03-01") + DAY_US


def test_members_are_told_apart_whatever_the_type_of_their_ids(plan):
    events = [ask("2024-03-01", member_id=7), ask("2024-03-01", member_id=8)]
    assert value(plan, "question_count_all", events, {"member_id": "7"}) == 1


def test_one_event_id_counts_once(plan):
    events = [
        ask("2024-03-01", event_id=1),
        ask("2024-03-01", event_id="1"),
        ask("2024-03-01", event_id=None),
    ]
    assert value(plan, "question_count_all", events) == 2


def test_what_a_member_does_to_itself_is_not_received(plan):
    answer = {"occurred_at": "2024-03-01", "action": "answer", "member_id": "a", "other_member_id": "a"}
    assert value(plan, "answer_received_count_all", [answer], {"member_id": "a"}) == 0


def test_only_received_events_are_a_cold_start(plan):
    answer = {"occurred_at": "2024-03-01", "action": "answer", "member_id": "b", "other_member_id": "a"}
    assert encode_events([answer], plan, {"member_id": "a"})[2].cold_start


def test_received_rows_by_domain_are_missing_not_zero():
    by_domain = Count("connect", side="received", same_domain=True)
    plan = Catalogue([Behaviour("is met", (by_domain,), reason="")]).compile(Nothing())
    event = {"occurred_at": "2024-03-01", "action": "connect", "member_id": "b", "other_member_id": "a"}
    info = encode_events(
        [event | {"other_domain": "x.example"}], plan, {"member_id": "a", "email_domain": "x.example"}
    )[2]
    assert info.unknown == (0,)
    assert info.missing == ("connect_received_same_domain_count_all",)


@pytest.mark.parametrize(
    ("events", "member", "error", "message"),
    [
        ([{"occured_at": 1, "action": "view"}], None, SchemaError, "did you mean 'occured_at'"),
        ([{"occurred_at": "soon", "action": "view"}], None, InputError, "occurred_at of event 0"),
        ([{"occurred_at": None, "action": "view"}], None, InputError, "empty"),
        ([{"occurred_at": 1, "action": ""}], None, InputError, "Event 0 has no action"),
        ([ask(1, member_id="a"), ask(1, member_id="b")], None, InputError, "2 members"),
        ([ask(1, member_id="a")], {"member_id": "b"}, InputError, "None of the 1 events"),
        ([ask(1)], {"memberid": "b"}, InputError, "did you mean 'member_id'"),
        ([ask(1)], "b", InputError, "give a dict"),
        ([ask(1, tags=5)], None, ColumnTypeError, "tags holds a int"),
        ([ask(1), ask(1, duration_s="long")], None, InputError, "duration_s holds a str that is no number"),
        ([ask(1), ask("2024-03-01"), ask("soon")], None, InputError, "occurred_at of event 2 is 'soon'"),
        ([ask(1), ask(1.5)], None, InputError, "occurred_at of event 1"),
        ([ask(1, known_at=None), ask(1, known_at="soon")], None, InputError, "known_at of event 1"),
        ([ask(pd.Timestamp(1)), ask(pd.NaT)], None, InputError, "occurred_at of event 1 is empty"),
        ([ask(1), {"occurred_at": 1}], None, InputError, "Event 1 has no action"),
        ([ask(1) | {"action": ["view"]}], None, ColumnTypeError, "action holds a list; give text"),
        ([ask(1, member_id="a"), ask(1, member_id=1.5)], None, ColumnTypeError, "member_id holds fractions"),
        ([ask(1, member_id=1), ask(1, member_id=True)], None, ColumnTypeError, "member_id holds a bool"),
        (["view"], None, ColumnTypeError, "Event 0 is a str"),
        ("view", None, ColumnTypeError, "events is a str"),
        ({"occurred_at": [1, 2], "action": ["view"]}, None, SchemaError, "different lengths"),
    ],
)
def test_an_error_says_what_is_wrong(plan, events, member, error, message):
    with pytest.raises(error, match=message):
        encode_events(events, plan, member, "2024-04-01")
