"""A search that costs nothing: tiny rows, and losses that a formula gives in place of fits.

Run as a program it searches and kills itself in the middle: `python -m tests.qualifier.searched STORAGE FIT`.
"""

from __future__ import annotations

import os
import signal
import sys

import numpy as np
import pandas as pd
from tests.conftest import table

from leadlight import Behaviour, Catalogue, Count, LeadClassifier, LeadQualifier, Observations
from leadlight.community import Community
from leadlight.qualifier.tuning.windows import Window

DAYS = pd.date_range("2024-01-01", periods=10, freq="30D")
ASKS = Catalogue([Behaviour("asks", (Count("question", window="30d"),), reason="asked")])
MEMBERS = [f"m{m}" for m in range(150)]
RIDGES = {"ridge": (0.001, 1.0), "n_folds": [2, 3]}


def asking() -> Community:
    """Members 0 to 29 ask before every cutoff, the others seldom."""
    rng = np.random.default_rng(2)
    joined = [f"{m} view 2023-12-01" for m in MEMBERS]
    asked = [
        f"{m} question {(day - pd.Timedelta('2D')).date()}T01:00:00"
        for k, m in enumerate(MEMBERS)
        for day in DAYS
        if k < 30 or rng.random() < 0.05
    ]
    return table("; ".join(joined + asked))


def bought(share_of_asking: float = 0.9, share_of_others: float = 0.02) -> Observations:
    """Who asked buys nine times in ten; labels reach 70 days, cutoffs lie 30 apart."""
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"member_id": MEMBERS * len(DAYS), "cutoff": np.repeat(DAYS, len(MEMBERS))})
    asks = frame["member_id"].str[1:].astype(int) < 30
    frame["label"] = (rng.random(len(frame)) < np.where(asks, share_of_asking, share_of_others)).astype(int)
    return Observations.from_frame(frame, horizon="60d", gap="10d")


def plain(catalogue: Catalogue = ASKS, **given: object) -> LeadQualifier:
    return LeadQualifier(catalogue, LeadClassifier(**given))


def formula(window: Window, classifier: LeadClassifier) -> np.ndarray:
    """Give a probability that is the worse the further the ridge is from .1."""
    away = 0.3 * abs(np.log10((classifier.ridge or 0.2) / 0.1)) + 0.01 * classifier.n_folds
    noise = np.random.default_rng(int(1e6 * away)).normal(size=len(window.later_y))
    return 1 / (1 + np.exp(2 - 4 * window.later_y + 3 * away + away * noise))


def main(storage: str, last: int) -> None:
    """Search until a fit, and die in it as a process does that the machine kills."""
    from leadlight.qualifier import tune

    fits = iter(range(10_000))

    def probability(window: Window, classifier: LeadClassifier) -> np.ndarray:
        if next(fits) == last:
            os.kill(os.getpid(), signal.SIGKILL)
        return formula(window, classifier)

    Window.probability = probability
    tune(plain(), asking(), bought(), trials=12, space=RIDGES, storage=storage)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
