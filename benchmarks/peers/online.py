"""One member with 500 events: from encoded arrays, from a state, from a list of dicts and from a dict of arrays."""

import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np
from peers import community_log
from peers.cases import SEED, full_plan

from leadlight.kernels.log import EncodedLog
from leadlight.kernels.sweep import sweep
from leadlight.plan import Plan
from leadlight.runtime.model import Calibration, Linear, Model
from leadlight.runtime.scorer import Scorer

EVENTS, CALLS, ENOUGH_S = 500, 2_000, 20.0


class Call(NamedTuple):
    """What is timed, how many microseconds it may take, and what goes before each call and is not timed."""

    run: Callable[[], Any]
    limit: int
    before: Callable[[], Any] = lambda: None


def calls() -> dict[str, Call]:
    """Return the calls; all give the features of the same 500 rows."""
    people = community_log.draw_members(50, SEED)
    chunk = next(community_log.draw_chunks(EVENTS, people, SEED))
    chunk["actor"] = np.zeros(EVENTS, np.int64)
    log = community_log.encode(iter([chunk]), EVENTS)
    plan = full_plan()
    at = np.array([int(log.time.max()) + 1])
    entity, joined = np.zeros(1, np.int64), people.joined[:1].copy()
    scorer = _scorer(plan)
    events = _dicts(log)
    columns = {name: [event.get(name) for event in events] for name in events[0]}
    member = {"member_id": "m0", "email_domain": "a0.example", "joined_at": int(joined[0])}
    when = int(at[0])
    # A member who asks has not been seen before: each call has a log of its own.
    fresh = iter([replace(log) for _ in range(CALLS + 1)])
    most = scorer.state(member)
    most.update(events[:-1])
    state = [most]

    def update() -> None:
        state[0] = most.copy()
        state[0].update(events[-1])

    return {
        "encoded arrays": Call(lambda: sweep(plan, next(fresh), entity, at, joined=joined), 30),
        "a state straight after an event": Call(lambda: scorer.features(state[0], at=when), 50, update),
        "list of dicts": Call(lambda: scorer.features(events, member, at=when), 1_000),
        "dict of columns": Call(lambda: scorer.features(columns, member, at=when), 1_000),
    }


def microseconds(call: Call) -> tuple[float, int]:
    """Return the median of 2,000 calls, or of as many as fit into 20 seconds, and their number."""
    call.before()
    call.run()
    times, began = [], time.perf_counter()
    while len(times) < CALLS and time.perf_counter() - began < ENOUGH_S:
        call.before()
        start = time.perf_counter_ns()
        call.run()
        times.append(time.perf_counter_ns() - start)
    return statistics.median(times) / 1e3, len(times)


def _scorer(plan: Plan) -> Scorer:
    # Features alone are timed, so any model will do.
    zero = np.zeros(len(plan.columns))
    linear = Linear(zero, zero + 1.0, zero, zero, zero, 0.0)
    model = Model(plan.column_names, None, linear, 0.0, 1.0, Calibration(1.0, 0.0), np.empty(0), float("nan"))
    return Scorer(model, plan)


def _dicts(log: EncodedLog) -> list[dict[str, Any]]:
    """Return the rows as an application holds them: datetimes, texts, lists of texts."""

    def name(dictionary: str, codes: Any, i: int) -> str | None:
        return None if codes[i] < 0 else log.dictionaries[dictionary][codes[i]]

    tags = np.split(log.tag_codes, log.tag_offsets[1:-1])
    return [
        {
            "member_id": "m0",
            "occurred_at": datetime.fromtimestamp(int(log.time[i]) / 1e6, UTC),
            "action": name("action", log.action, i),
            "tags": [log.dictionaries["tag"][t] for t in tags[i]],
            "group_id": name("group", log.group, i),
            "other_member_id": None if log.other[i] < 0 else f"m{log.other[i]}",
            "other_role": name("role", log.role, i),
            "other_job_function": name("job_function", log.job_function, i),
            "other_domain": None if log.other[i] < 0 else "a1.example",
            "duration_s": log.duration_ms[i] / 1000.0,
            "field": name("field", log.field_code, i),
            "value": "given" if log.filled[i] else None,
        }
        for i in range(EVENTS)
    ]
