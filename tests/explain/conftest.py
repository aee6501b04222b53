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


VIEW_FIGURES = {
    "all labels": ((1000, 21, 20, 0.021), {"leadlight": (0.45, 9), "points": (0.66, 13)}),
    "contacted": ((200, 12, 11, 0.06), {"leadlight": (0.5, 6), "points": (0.75, 8)}),
    "explored": ((40, 2, 1, 0.05), {"leadlight": (0.25, 1), "points": (1.0, 1)}),
    "inbound": ((0, 0, 0, NAN), {}),
}


def make_views(note: str = "said of the view") -> pd.DataFrame:
    lines = []
    for view, (held, models) in VIEW_FIGURES.items():
        for metric, value in zip(("rows", "positives", "buyers", "base_rate"), held, strict=True):
            lines.append((view, "population", metric, value, NAN, NAN))
        for model, (missed, buyers) in models.items():
            lines.append((view, model, "missed_share", missed, missed / 2, 1.0))
            lines.append((view, model, "buyers_missed", buyers, 0.0, 99.0))
            lines.append((view, model, "auc", 0.7, 0.6, 0.8))
    frame = pd.DataFrame(lines, columns=["view", "model", "metric", "value", "low", "high"])
    gaps = dict.fromkeys(COLUMNS[3:], NAN)
    return frame.assign(**gaps, note=f"{note} ").assign(note=lambda f: f["note"] + f["view"])


def make_full_report(**changes) -> Report:
    """The same with all that only some reports have: lift, profit, views, weeks of warning."""
    plain = make_report()
    tenth = np.arange(1, 11)
    lift = pd.concat(
        [
            pd.DataFrame({"model": name, "decile": tenth, "lift": first / tenth, "low": 0.5 / tenth})
            for name, first in (("leadlight", 4.0), ("points", 3.0))
        ],
        ignore_index=True,
    )
    lift = lift.assign(rows=100, positives=2.0, high=lift["lift"] * 4, cumulative=lift["lift"])
    called = np.linspace(0, 1, 201)
    profit = pd.concat(
        [
            pd.DataFrame({"model": name, "called": called, "profit": top - 1e4 * (called - 0.05) ** 2})
            for name, top in (("leadlight", 900.0), ("points", 400.0))
        ],
        ignore_index=True,
    ).assign(buyers=3.0, wasted=50.0)
    profit["best"] = np.tile(np.arange(201) == 10, 2)
    warning = pd.DataFrame(
        {
            "buyers": 8,
            "alerted": [0.75, 0.5],
            "weeks": [7.5, 4.0],
            "random": 3.0,
            "excess": [4.5, 1.0],
            "low": [1.5, -1.0],
            "high": [7.4, 3.0],
            "alerts": 100,
            "budget": 50,
        },
        index=pd.Index(["leadlight", "points"], name="model"),
    )
    table = pd.concat(
        [
            plain.table,
            pd.DataFrame(
                [[800.0, 200.0, 1400.0, NAN, NAN, NAN], [300.0, -100.0, 700.0, 500.0, -50.0, 1050.0]],
                index=pd.MultiIndex.from_tuples([("leadlight", "profit"), ("points", "profit")]),
                columns=COLUMNS,
            ),
        ]
    ).rename_axis(["model", "metric"])
    parts = {
        "table": table,
        "curves": plain.curves | {"lift": lift, "profit": profit},
        "settings": plain.settings | {"profit_best_share": 0.05, "profit_best": 900.0},
        "views": make_views(),
        "warning": warning,
    }
    return make_report(**(parts | changes))


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
def full_report():
    return make_full_report()


@pytest.fixture
def full_report_with():
    return make_full_report


@pytest.fixture
def views_with():
    return make_views


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
