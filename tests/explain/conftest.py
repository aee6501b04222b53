"""A tiny report, a tiny call list and a tiny plan, all made by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from leadlight.decision import Capacity
from leadlight.evaluation import Audit, Report
from leadlight.plan import Column, Key, Plan, PlannedBehaviour
from leadlight.qualifier.scores import Scores
from leadlight.runtime import Reason

COLUMNS = ["value", "low", "high", "difference", "difference_low", "difference_high"]
NAN = float("nan")


def make_report(*, simulated: bool = False, behaviour: str = "forwards content", **changes) -> Report:
    rows = {
        ("leadlight", "average_precision"): [0.2, 0.1, 0.3, NAN, NAN, NAN],
        ("leadlight", "auc"): [0.8, 0.7, 0.9, NAN, NAN, NAN],
        ("leadlight", "false_negatives"): [9, 5, 14, NAN, NAN, NAN],
        ("leadlight", "false_positives"): [88, 80, 95, NAN, NAN, NAN],
        ("leadlight", "buyers_reached"): [12, 8, 16, NAN, NAN, NAN],
        ("leadlight", "observed_expected"): [0.5, 0.3, 0.8, NAN, NAN, NAN],
        ("points", "average_precision"): [0.1, 0.05, 0.2, 0.1, 0.02, 0.2],
        ("points", "auc"): [0.6, 0.5, 0.7, 0.2, 0.1, 0.3],
        ("points", "false_negatives"): [14, 9, 19, -5, -9, -1],
        ("points", "false_positives"): [93, 85, 99, -5, -9, -1],
        ("points", "buyers_reached"): [7, 4, 10, 5, 1, 9],
    }
    index = pd.MultiIndex.from_tuples(list(rows), names=["model", "metric"])
    grid = np.linspace(0, 1, 101)
    gains = pd.concat(
        [
            pd.DataFrame({"model": name, "called": grid, "reached": grid**power})
            for name, power in (("leadlight", 0.3), ("points", 0.6))
        ],
        ignore_index=True,
    )
    calibration = pd.DataFrame(
        {
            "predicted": [0.01, 0.1],
            "observed": [0.02, 0.08],
            "low": [0.0, 0.02],
            "high": [0.04, 0.15],
            "rows": [900, 100],
        }
    )
    worth = pd.DataFrame(
        {
            "hand_set": [5.0, 1.0],
            "deals_say": [1.2, NAN],
            "low": [0.3, NAN],
            "high": [2.0, NAN],
            "members": [0.4, 0.0],
        },
        index=pd.Index([behaviour, "searches"], name="behaviour"),
    )
    counts = pd.DataFrame(
        {"rows": [500, 500], "positive": [10, 11]},
        index=pd.to_datetime(["2024-01-01", "2024-02-01"], utc=True),
    )
    settings = {
        "share": 0.05,
        "rows": 1000,
        "positives": 21,
        "accounts": 300,
        "buyers": 20,
        "cutoffs": 2,
        "calls": 50.0,
        "base_rate": 0.021,
        "first_cutoff": "2024-01-01",
        "last_cutoff": "2024-02-01",
        "trained_until": "2023-12-01",
        "calibration_slope": 0.9,
        "simulated": simulated,
        "estimand": "P(won within 90 days) under present sales practice",
    }
    parts = {
        "table": pd.DataFrame(list(rows.values()), index=index, columns=COLUMNS),
        "curves": {"gains": gains, "calibration": calibration},
        "counts": counts,
        "settings": settings,
        "worth": worth,
        "audit": Audit(suspects={"last_visit": "its name speaks of a later state"}, checked=3),
    }
    return Report(**(parts | changes))


def make_scores(
    *, member: object = "ann", text: str = "forwarded 3 times", simulated: bool = False
) -> Scores:
    frame = pd.DataFrame(
        {
            "member_id": pd.Series([member, "bob", "cleo"], dtype=object),
            "account_id": pd.Series(["acme", None, "initech"], dtype=object),
            "at": pd.Timestamp("2024-03-01", tz="UTC"),
            "probability": [0.2, 0.03, 0.9],
            "low": [0.1, NAN, 0.8],
            "high": [0.3, NAN, 0.95],
            "percentile": [99.0, 60.0, 100.0],
            "grade": ["A", "C", "A"],
            "qualified": [True, False, True],
            "cold_start": [False, False, False],
            "reasons": [
                (Reason("forwards content", 0.7, text), Reason("visits", -0.2, "no visit lately")),
                (),
                (),
            ],
            "model_version": "0123456789ab",
            "customer": [False, False, True],
            "open_deal": [False, False, False],
            "recently_contacted": [False, False, False],
        }
    )
    return Scores(frame, Capacity(n=2), simulated=simulated)


def make_plan() -> Plan:
    return Plan(
        keys=(Key("forward"), Key("view")),
        columns=(
            Column("forward_count_7d", "count", (0,), (7,)),
            Column("view_count_7d", "count", (1,), (7,)),
            Column("forward_recency_days", "recency", (0,)),
        ),
        behaviours=(
            PlannedBehaviour("forwards", ("forward_count_7d", "forward_recency_days"), ()),
            PlannedBehaviour("reads", ("view_count_7d",), ()),
        ),
    )


@pytest.fixture
def report():
    return make_report()


@pytest.fixture
def report_with():
    return make_report


@pytest.fixture
def scores():
    return make_scores()


@pytest.fixture
def scores_with():
    return make_scores


@pytest.fixture
def plan():
    return make_plan()
