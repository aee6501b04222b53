"""A plan is plain data: JSON without loss, a digest that every machine agrees on, and no reference out of bounds."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys

import pytest

from leadlight.behaviours import CORPORATE_COMMUNITY
from leadlight.errors import BundleError
from leadlight.plan import Column, HandSetPoints, Key, Plan, PlannedBehaviour
from leadlight.simulate import simulate_community

SMALL = Plan(
    keys=(Key("question"), Key("view", "received", "tag", "Q & A")),
    columns=(Column("question_count_30d", "count", (0,), (30,)), Column("r", "ratio", (0, 1), (30, 0), 1)),
    behaviours=(
        PlannedBehaviour("asks", ("question_count_30d", "r"), ("asked",), HandSetPoints(4, (("r", 1),), 2)),
    ),
    vocabularies={"tag": ("Q & A", "ü;'\"\x01")},
    compiled_before_us=5,
)

DIGEST = """
from leadlight.behaviours import CORPORATE_COMMUNITY
from leadlight.simulate import simulate_community
print(CORPORATE_COMMUNITY.compile(simulate_community(members=50, weeks=20, seed=0)[0], min_members=2).digest)
"""


def test_a_plan_survives_json():
    again = Plan.from_dict(json.loads(SMALL.to_json()))
    assert again == SMALL
    assert again.digest == SMALL.digest


def test_json_is_ascii_and_has_one_form():
    assert SMALL.to_json().isascii()
    assert SMALL.to_json() == json.dumps(json.loads(SMALL.to_json()), sort_keys=True, separators=(",", ":"))


def test_four_and_four_point_nought_make_one_digest():
    whole, real = HandSetPoints(4, (("r", 1),), 2), HandSetPoints(4.0, (("r", 1.0),), 2.0)
    assert repr(whole) == repr(real)


@pytest.mark.parametrize("seed", ["0", "1"])
def test_a_digest_is_the_same_in_another_process(seed):
    here = CORPORATE_COMMUNITY.compile(
        simulate_community(members=50, weeks=20, seed=0)[0], min_members=2
    ).digest
    environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", DIGEST], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == here


def test_columns_know_their_behaviour():
    assert SMALL.behaviour_of == {"question_count_30d": "asks", "r": "asks"}


def edited(*path, value):
    data = copy.deepcopy(SMALL.to_dict())
    at = data
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    return data


@pytest.mark.parametrize(
    "data",
    [
        {},
        edited("format", value=2),
        edited("keys", value=None),
        edited("keys", 0, "side", value="sideways"),
        edited("keys", 0, "attribute", value="colour"),
        edited("keys", 0, "action", value=5),
        edited("keys", 0, "more", value=5),
        edited("columns", 0, "operation", value="exec"),
        edited("columns", 0, "operation", value=["count"]),
        edited("columns", 0, "keys", value=[2]),
        edited("columns", 0, "keys", value=[-1]),
        edited("columns", 0, "windows", value=[-1]),
        edited("columns", 0, "windows", value=[2**62]),
        edited("columns", 0, "windows", value=[10**30]),
        edited("columns", 0, "windows", value=[]),
        edited("columns", 0, "name", value="r"),
        edited("columns", 1, "split", value=3),
        {**edited("columns", 0, "operation", value="recency"), **edited("columns", 0, "keys", value=[3])},
        edited(
            "columns", 0, value={"name": "x", "operation": "recency", "keys": [], "windows": [], "split": 0}
        ),
        edited("behaviours", 0, "columns", value=["gone"]),
        edited("behaviours", 0, "points", "units", value=[["gone", 1.0]]),
        edited("behaviours", 0, "points", "each", value=float("nan")),
        edited("behaviours", 0, "points", "cap", value="many"),
        edited("session_gap_us", value="long"),
        edited("session_gap_us", value=-1),
        edited("session_gap_us", value=10**30),
        edited("compiled_before_us", value="2024"),
        edited("compiled_before_us", value=True),
        edited("vocabularies", value=[]),
        edited("vocabularies", "tag", value=["visa", "visa"]),
    ],
)
def test_a_damaged_plan_is_refused(data):
    with pytest.raises(BundleError):
        Plan.from_dict(data)
