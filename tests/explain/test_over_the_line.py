"""What is tried happens after the cutoff, within what others do, and moves features as the real thing would."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from leadlight.behaviours import (
    Behaviour,
    Catalogue,
    Completeness,
    Count,
    Entropy,
    Peers,
    Recency,
    Share,
    Tenure,
    Trend,
    Visits,
)
from leadlight.community import Community
from leadlight.errors import InputError
from leadlight.explain.over_the_line import NOTE, _done, _Habits, _joined, _Trial, over_the_line
from leadlight.features import build_features
from leadlight.kernels.sweep import sweep
from leadlight.moments import DAY_US, moment_us
from leadlight.observations import Observations, population_at
from leadlight.plan import Key
from leadlight.runtime import Calibration, Linear, Model, Scorer

AT = "2024-04-01"
CATALOGUE = Catalogue(
    [
        Behaviour(
            "asks", (Count("question", window=("30d", "all")), Recency("question"), Trend("question")), ""
        ),
        Behaviour(
            "reads", (Count("view", window="30d", by="tag"), Entropy("tag"), Share("view", window="30d")), ""
        ),
        Behaviour("visits", (Visits(window="30d"), Visits(measure="last_visit"), Tenure()), ""),
        Behaviour("colleagues", (Peers(Count("question", window="30d")),), ""),
        Behaviour("meets", (Count("connect", by="role", window="90d"), Count("answer", side="received")), ""),
        Behaviour("profile", (Completeness(),), ""),
    ]
)
ROWS = [
    *({"member_id": f"m{i:02d}", "action": a, "occurred_at": f"2024-03-{day:02d}T0{i % 9}:00:00", **more}
      for i in range(30)
      for a, day, more in (
          ("view", 3, {"tags": ["visa"], "duration_s": 40.0}),
          ("view", 9, {"tags": ["tax"], "known_at": "2024-03-20"}),
          ("question", 12, {"group_id": "beta"}),
          ("question", 15, {}),
          ("connect", 20, {"other_member_id": f"m{(i + 1) % 30:02d}", "other_role": "buyer"}),
          ("answer", 21, {"other_member_id": f"m{(i + 2) % 30:02d}"}),
      )),
    *({"member_id": f"m{i:02d}", "action": "profile_update", "occurred_at": "2024-03-25", "field": "photo", "value": "x"}
      for i in range(20)),
    {"member_id": "m29", "action": "view", "occurred_at": "2024-01-05", "tags": ["visa"]},
    # Nobody knew of it at the cutoff, and nothing of the future is known.
    {"member_id": "m29", "action": "question", "occurred_at": "2024-03-29", "known_at": "2024-04-02"},
    {"member_id": "m29", "action": "question", "occurred_at": "2024-04-20"},
]  # fmt: skip
PEOPLE = [
    {"member_id": f"m{i:02d}", "account_id": f"a{i // 3}", "joined_at": "2024-01-01"} for i in range(30)
]


@pytest.fixture(scope="module")
def community():
    return Community(ROWS, PEOPLE)


@pytest.fixture(scope="module")
def plan(community):
    return CATALOGUE.compile(community, AT, min_members=1)


def scorer_of(plan, column, coef=1.0, threshold=0.8, intercept=-3.0):
    """A model that reads one column."""
    width = len(plan.columns)
    weights = np.zeros(width)
    weights[plan.column_names.index(column)] = coef
    linear = Linear(np.zeros(width), np.ones(width), weights, np.zeros(width), np.zeros(width), intercept)
    model = Model(plan.column_names, None, linear, 0.0, 1.0, Calibration(1.0, 0.0), np.empty(0), threshold)
    return Scorer(model, plan)


@pytest.fixture(scope="module")
def rows(community):
    return population_at(community, AT)


def test_features_move_as_if_it_had_happened(community, plan, same):
    """The trial's log gives what a community gives in which the same rows stand in the table."""
    at, span = moment_us(AT), 30 * DAY_US
    code = int(community.codes(["m29"])[0])
    trial = _Trial.of(scorer_of(plan, "visit_count_30d"), community, code, at, span)
    key = Key("view", "given", "tag", "tax")
    log = _joined(trial.going_on, _done(trial.going_on, code, key, 2, at, at + span))
    found = sweep(
        plan, log, np.array([code]), np.array([at + span]), account_of=trial.account_of, joined=trial.joined
    )
    known = [r for r in ROWS if pd.Timestamp(r.get("known_at") or r["occurred_at"]) < pd.Timestamp(AT)]
    again = [
        {**r, "occurred_at": str(pd.Timestamp(r["occurred_at"]) + pd.Timedelta(days=30)), "known_at": None}
        for r in known
        if pd.Timestamp(r["occurred_at"]) >= pd.Timestamp(AT) - pd.Timedelta(days=30)
    ]
    tried = [
        {"member_id": "m29", "action": "view", "occurred_at": f"2024-04-{d}", "tags": ["tax"]}
        for d in ("11T00:00:00", "21T00:00:00")
    ]
    told = Community(known + again + tried, PEOPLE)
    one = Observations.from_frame([{"member_id": "m29", "cutoff": "2024-05-01"}])
    expected = build_features(told, one, plan)
    differing = [
        name
        for name, a, b in zip(plan.column_names, found[0], expected.to_numpy()[0], strict=True)
        if not same(a, b)
    ]
    assert differing == []


def test_the_past_stays(community, plan):
    at, span = moment_us(AT), 30 * DAY_US
    code = int(community.codes(["m29"])[0])
    trial = _Trial.of(scorer_of(plan, "visit_count_30d"), community, code, at, span)
    log = _joined(trial.going_on, _done(trial.going_on, code, Key("question"), 3, at, at + span))
    assert (log.time[len(trial.log) :] >= at).all()
    assert (log.time[: len(trial.log)] < at).all()


def test_what_helps_comes_first_and_no_further_than_usual(community, plan, rows):
    scorer = scorer_of(plan, "question_count_30d", 1.5, 0.3)
    found = over_the_line(scorer, community, rows, "m29")
    frame = found.to_pandas()
    assert frame[["behaviour", "action", "usual"]].to_numpy().tolist() == [["asks", "question", 2]]
    row = frame.iloc[0]
    # The usual two a month go on; one or two more are tried. signed_log(x) = log1p(x).
    p = [1 / (1 + np.exp(3 - 1.5 * np.log1p(n))) for n in (2, 3, 4)]
    assert found.going_on == pytest.approx(p[0])
    assert row["times"] == (1 if p[1] >= 0.3 else 2)
    assert row["probability"] == pytest.approx(p[row["times"]])
    assert row["gain"] == pytest.approx(100 * (p[row["times"]] - p[0]))


def test_a_recency_can_be_moved(community, plan, rows):
    found = over_the_line(scorer_of(plan, "question_recency_days", -1.0, 0.4, 2.0), community, rows, "m29")
    assert found.frame["behaviour"].tolist() == ["asks"]
    assert bool(found.frame["probability"].iloc[0] > found.going_on)


@pytest.mark.parametrize("column", ["tenure_days", "peers_question_count_30d", "answer_received_count_all"])
def test_what_the_member_cannot_do_is_not_tried(community, plan, rows, column):
    found = over_the_line(scorer_of(plan, column, 0.5, 0.99), community, rows, "m29")
    assert not len(found.frame)
    assert "Nothing that members like this one do" in str(found)


def test_an_action_is_named_once_with_the_behaviour_that_names_it(community, plan, rows):
    """A question is a visit, too; but it is asking that was tried."""
    found = over_the_line(scorer_of(plan, "question_count_all", 1.0, 0.99), community, rows, "m29")
    assert found.frame["action"].is_unique
    found = over_the_line(scorer_of(plan, "visit_count_30d", 1.0, 0.99), community, rows, "m29")
    assert found.frame["action"].is_unique
    assert len(found.frame) > 2


def test_a_field_of_the_profile_is_filled_once(community, plan, rows):
    found = over_the_line(scorer_of(plan, "profile_completeness", 5.0, 0.5), community, rows, "m29")
    assert found.frame[["action", "times", "usual"]].to_numpy().tolist() == [["profile update: photo", 1, 1]]
    assert bool(found.frame["reaches"].iloc[0])


def test_only_the_members_own_actions_are_tried(community, plan, rows):
    """Not what others do towards it, nor what colleagues do, nor the passing of time."""
    habits = _Habits.of(community, plan, rows, 28, moment_us(AT), 30 * DAY_US)
    tried = {name: {(c.key.action, c.key.side) for c in habits.choices(name)} for name in habits.behaviours}
    assert tried["meets"] == {("connect", "given")}
    assert tried["colleagues"] == set()
    assert {side for choices in tried.values() for _, side in choices} == {"given"}


def test_what_few_do_is_not_tried(community, plan, rows):
    habits = _Habits.of(community, plan, rows, 0, moment_us(AT), 30 * DAY_US)
    assert habits._usual(Key("question")) == 2
    few = Community(
        [
            *ROWS,
            *({"member_id": f"m{i:02d}", "action": "refer", "occurred_at": "2024-03-11"} for i in range(9)),
        ],
        PEOPLE,
    )
    habits = _Habits.of(few, plan, rows, 28, moment_us(AT), 30 * DAY_US)
    assert habits._usual(Key("refer")) == 0


def test_it_says_that_it_is_no_promise(community, plan, rows):
    found = over_the_line(scorer_of(plan, "question_count_30d"), community, rows, "m29")
    assert found.note == NOTE
    assert str(found).endswith(NOTE)
    assert "A ranking, not a promise" in NOTE
    assert found.at == pd.Timestamp(AT, tz="UTC")
    assert found.until == pd.Timestamp("2024-05-01", tz="UTC")


def test_who_is_over_the_line_is_told_so(community, plan, rows):
    with pytest.raises(InputError, match="over the line already"):
        over_the_line(scorer_of(plan, "question_count_30d", 1.0, 0.01), community, rows, "m29")


def test_without_a_line_there_is_nothing_to_cross(community, plan, rows):
    with pytest.raises(InputError, match="no line"):
        over_the_line(scorer_of(plan, "question_count_30d", 1.0, float("nan")), community, rows, "m29")


def test_an_unknown_member_is_refused(community, plan, rows):
    with pytest.raises(InputError, match="not in the population"):
        over_the_line(scorer_of(plan, "question_count_30d"), community, rows, "nobody")
