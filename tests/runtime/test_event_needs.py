"""What a plan asks of events, remembered for the plan."""

from __future__ import annotations

import gc
from dataclasses import replace

from leadlight.plan import Column, Key, Plan
from leadlight.runtime import event_needs
from leadlight.runtime.event_needs import needs_of

PLAN = Plan(
    keys=(
        Key("view"),
        Key(attribute="tag", value="visa"),
        Key("answer", "received", "group", ""),
        Key("connect", "received", "same_domain", "yes"),
    ),
    columns=(
        Column("view_count_all", "count", (0,), (0,)),
        Column("visa_count_all", "count", (1,), (0,)),
        Column("peers_answer_count_all", "peers", (2,), (0,)),
    ),
    behaviours=(),
)


def test_needs_are_found_once_for_a_plan():
    assert needs_of(PLAN) is needs_of(PLAN)


def test_dictionaries_hold_what_keys_name_and_codes_leave_out_empty_text():
    needs = needs_of(PLAN)
    assert needs.dictionaries == {
        "action": ("view", "answer", "connect"),
        "tag": ("visa",),
        "group": ("",),
        "role": (),
        "job_function": (),
        "field": (),
    }
    assert needs.codes["action"] == {"view": 0, "answer": 1, "connect": 2}
    assert needs.codes["group"] == {}


def test_what_only_colleagues_are_asked_for_is_not_read():
    needs = needs_of(PLAN)
    assert needs.attributes == {"tag"}
    assert not needs.received


def test_columns_that_the_domain_of_others_decides_are_known_by_their_place():
    plan = replace(PLAN, columns=(*PLAN.columns, Column("connect_received_all", "count", (3,), (0,))))
    assert needs_of(plan).received_by_domain == (3,)


def test_a_plan_that_is_gone_is_forgotten():
    before = len(event_needs._found)
    plan = replace(PLAN)
    needs_of(plan)
    assert len(event_needs._found) == before + 1
    del plan
    gc.collect()
    assert len(event_needs._found) == before
