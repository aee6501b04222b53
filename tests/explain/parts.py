"""What the page shows beside report and list, made by hand; `word` stands wherever text of the log can."""

from __future__ import annotations

from typing import Any

import pandas as pd

from leadlight.estimators.points_table import PointsTable
from leadlight.explain import OverTheLine

NAN = float("nan")
COLUMNS = ["value", "low", "high", "difference", "difference_low", "difference_high"]


def evidence(member: Any = "ann", word: str = "pricing") -> pd.DataFrame:
    """Two equal rows of one day, and one that counts twice; five more are not shown."""
    return pd.DataFrame(
        {
            "member_id": pd.Series([member] * 3, dtype=object),
            "behaviour": "forwards content",
            "occurred_at": pd.to_datetime(
                ["2024-02-28T10:00:00", "2024-02-28T09:00:00", "2024-02-01T23:59:59"], utc=True
            ),
            "action": word,
            "other_member_id": "the-other-one",
            "text": [f"forward: {word}", f"forward: {word}", f"{word}, in the group {word}"],
            "times": [1, 1, 2],
            "rows": 8,
            "left_out": 5,
        }
    )


def drivers(word: str = "reads by tag") -> pd.DataFrame:
    """One behaviour that is sure, one that is not."""
    return pd.DataFrame(
        {
            "effect": [0.43, 0.01],
            "low": [0.2, -0.1],
            "high": [0.66, 0.12],
            "speaks": ["more of it", "cannot tell yet"],
            "refits": 8,
        },
        index=pd.Index([word, "visits"], name="behaviour"),
    )


def points(word: str = "looked into pricing") -> PointsTable:
    """Two rules, the second of which a spreadsheet would run."""
    frame = pd.DataFrame(
        {
            "behaviour": ["reads by tag", "visits"],
            "rule": [word, "=1+1"],
            "points": [60, 40],
            "hand_set": [0.5, NAN],
            "members": [0.1, 0.25],
            "deals": [0.4, 0.5],
            "column": ["a", "b"],
            "at_least": [1.0, 1.0],
            "at_most": [NAN, NAN],
        }
    )
    return PointsTable((), (), frame)


def loss(low: float = -1.0) -> pd.DataFrame:
    """Of 20 buyers the full model reaches 12, learned points 10."""
    rows = {
        ("leadlight", "average_precision"): [0.2, 0.1, 0.3, NAN, NAN, NAN],
        ("leadlight", "auc"): [0.8, 0.7, 0.9, NAN, NAN, NAN],
        ("leadlight", "buyers_reached"): [12, 8, 26, NAN, NAN, NAN],
        ("leadlight", "buyers_missed"): [8, 4, 12, NAN, NAN, NAN],
        ("learned_points", "average_precision"): [0.15, 0.1, 0.3, 0.05, -0.1, 0.2],
        ("learned_points", "auc"): [0.75, 0.7, 0.9, 0.05, -0.1, 0.2],
        ("learned_points", "buyers_reached"): [10, 6, 14, 2, low, 5],
        ("learned_points", "buyers_missed"): [10, 6, 14, -2, -5, -low],
    }
    index = pd.MultiIndex.from_tuples(list(rows), names=["model", "metric"])
    return pd.DataFrame(list(rows.values()), index=index, columns=COLUMNS)


def below(member: Any = "dora", word: str = "view: pricing") -> tuple[OverTheLine, ...]:
    """One member that an action brings over the line, and one that none does."""
    frame = pd.DataFrame(
        {
            "behaviour": ["reads by tag", "visits"],
            "action": [word, "view"],
            "times": [3, 1],
            "usual": [4, 9],
            "probability": [0.06, 0.04],
            "gain": [3.0, 1.0],
            "reaches": [True, False],
        }
    )
    at, until = pd.Timestamp("2024-03-01", tz="UTC"), pd.Timestamp("2024-03-31", tz="UTC")
    return (
        OverTheLine(member, at, until, 0.04, 0.03, 0.05, frame),
        OverTheLine("emil", at, until, 0.035, 0.035, 0.05, frame.head(0)),
    )


def every_part(**changes: Any) -> dict[str, Any]:
    """All of them, as `write_report` takes them."""
    parts = {
        "evidence": evidence(),
        "drivers": drivers(),
        "points": points(),
        "points_loss": loss(),
        "below": below(),
    }
    return parts | changes


def hostile_parts(word: str) -> dict[str, Any]:
    """All of them, with a member, tags, groups, actions and behaviours of this name."""
    return every_part(
        evidence=evidence(word, word),
        drivers=drivers(word),
        points=points(word),
        below=below(word, word),
        left_out=(word,),
    )
