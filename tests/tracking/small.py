"""A community and a catalogue that are learned in seconds, and a job on them."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import leadlight as ll
from leadlight.behaviours import Behaviour, Catalogue, Count, Recency, Visits
from leadlight.plan import HandSetPoints
from leadlight.qualifier import Tuning
from leadlight.qualifier.tuning import Attempt
from leadlight.tracking.config import TrainConfig
from leadlight.tracking.inputs import catalogues

SMALL = Catalogue(
    [
        Behaviour(
            "reads",
            (Count("view", window=("30d", "90d")), Recency("view")),
            reason="viewed {view_count_30d:page|pages} in 30 days",
            points=HandSetPoints(0.2, (("view_count_30d", 1.0),), 50),
        ),
        Behaviour(
            "asks",
            (Count("question", window=("30d", "90d")), Count("question", by="tag", top=2, window="90d")),
            reason="asked {question_count_30d:question|questions} in 30 days",
        ),
        Behaviour(
            "comes back", (Visits(window="90d"),), reason="came {visit_count_90d:time|times} in 90 days"
        ),
    ],
    "small",
)

SMALL_JOB: dict[str, Any] = {
    "labels": {"every": "30d", "until": "2025-03-01"},
    "evaluation": {"rounds": 20, "baselines": ["points", "random"], "refits": 0},
}


@cache
def small_community(drifted_from: str | None = None) -> ll.Community:
    """Return a community in which who asks questions buys soon; hand-set points, which praise views, know nothing.

    From `drifted_from` on everybody asks ten questions a month.
    """
    rng = np.random.default_rng(7)
    month = np.datetime64("2024-01-03T00:00:00", "us") + np.arange(24) * np.timedelta64(30, "D")
    events, deals = [], []
    names = [f"m{k:04d}" for k in range(900)]
    for k, name in enumerate(names):
        bought = False
        for at in month:
            if bought:
                break
            shops = rng.random() < 0.03
            asks = rng.integers(3, 7) if shops else rng.random() < 0.02
            if drifted_from is not None and at >= np.datetime64(drifted_from):
                asks = 10
            for action, count in (("view", rng.poisson(3)), ("question", asks)):
                for _ in range(int(count)):
                    hours = np.timedelta64(int(rng.integers(0, 30 * 24)), "h")
                    events.append((name, at + hours, action, ["cloud" if k % 2 else "price"]))
            if shops and rng.random() < 0.7:
                won = at + np.timedelta64(int(rng.integers(40, 80)), "D")
                deals.append((f"d{k}", name, "won", won))
                bought = True
    activity = pd.DataFrame(events, columns=["member_id", "occurred_at", "action", "tags"])
    members = pd.DataFrame({"member_id": names, "account_id": [f"a{k // 2}" for k in range(len(names))]})
    members["job_function"] = np.where(np.arange(len(names)) % 3 == 0, "engineering", "sales")
    members["joined_at"] = "2024-01-01"
    columns = ["deal_id", "member_id", "outcome", "closed_at"]
    end = activity["occurred_at"].max()
    known = pd.DataFrame(deals, columns=columns)
    return ll.Community(activity, members, known[known["closed_at"] <= end])


def job(folder: Path, overrides: dict[str, Any]) -> TrainConfig:
    """Return the configuration of a job whose store and bundle lie in a folder; "corporate" is the small catalogue now."""
    import yaml

    catalogues()["corporate"] = SMALL

    given = {
        "bundle": str(folder / "models" / "one"),
        "tracking.uri": f"sqlite:///{folder / 'mlflow.db'}",
        **overrides,
    }
    lines = [f"{k}={yaml.safe_dump(v, default_flow_style=True).splitlines()[0]}" for k, v in given.items()]
    return TrainConfig.of(SMALL_JOB, lines)


def made_up(trials: int) -> Tuning:
    """Return a tuning that kept its default; of so many trials the last was pruned."""
    nan, at = float("nan"), datetime(2026, 1, 1, tzinfo=UTC)
    states = ["default", *["complete"] * (trials - 1), "pruned"]
    table = pd.DataFrame({"state": states, "n_folds": 5})
    for name in ("log_loss", "average_precision", "gain", "low", "high"):
        table[name] = [*[0.1] * trials, nan]
    attempts = tuple(Attempt(k, state, {"n_folds": 5}, 0.5, 2, at, 1.5) for k, state in enumerate(states))
    gain = (0.1, -0.1, 0.3)
    return Tuning(ll.LeadClassifier(), False, "The default is kept.", gain, table, table, attempts=attempts)
