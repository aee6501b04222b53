"""A small model on a small plan, trained by LightGBM once."""

from __future__ import annotations

import lightgbm
import numpy as np
import pytest

from leadlight.behaviours import Behaviour, Catalogue, Count, Peers, Recency, Tenure, Visits
from leadlight.runtime import Calibration, Linear, Model, Scorer
from leadlight.runtime.lightgbm_text import parse_lightgbm

CATALOGUE = Catalogue(
    [
        Behaviour(
            "asks questions",
            (Count("question", window=("30d", "all")), Recency("question"), Count("answer", side="received")),
            reason=(
                "asked {question_count_30d:question|questions} in 30 days",
                "last asked {question_recency_days:ago}",
            ),
        ),
        Behaviour(
            "reads by tag",
            (Count(by="tag", window="90d", only=("visa", "c++")), Peers(Count("view", window="30d"))),
            reason="{tag.*_count_90d:time|times} on {tag.*} in 90 days",
        ),
        Behaviour(
            "visits",
            (Visits(window=("30d", "all")), Tenure()),
            reason="{visit_count_30d:visit|visits} in 30 days",
        ),
    ]
)
INFO = {
    "data_fingerprint": "f" * 64,
    "estimand": "The chance that a deal is won within 90 days.",
    "decision": {"kind": "capacity", "parameters": {"share": 0.05}, "text": "the best 5 %"},
    "simulated": True,
    "windows": {"horizon_us": 90 * 86_400_000_000},
    "metrics": {"average_precision": np.float64(0.25), "undefined": float("nan")},
}


class Community:
    """What compilation asks of a community, with nobody in it."""

    has_accounts = True

    def vocabulary(self, attribute, **_):
        return ()


@pytest.fixture(scope="session")
def plan():
    return CATALOGUE.compile(Community())


def rows(plan, n=400, seed=0):
    rng = np.random.default_rng(seed)
    X = np.floor(rng.exponential(3, (n, len(plan.columns))))
    X[rng.random(X.shape) < 0.15] = np.nan
    return X


@pytest.fixture(scope="session", name="X")
def features(plan):
    return rows(plan)


@pytest.fixture(scope="session")
def trees(plan, X):
    rng = np.random.default_rng(1)
    y = np.nan_to_num(X[:, 0]) - 0.3 * np.nan_to_num(X[:, 2]) + rng.normal(size=len(X)) > 2
    quiet = {"objective": "binary", "verbosity": -1, "num_threads": 1, "deterministic": True, "num_leaves": 6}
    booster = lightgbm.train(quiet, lightgbm.Dataset(X, y.astype(float)), 15)
    return parse_lightgbm(booster.model_to_string())


@pytest.fixture(scope="session")
def linear(plan):
    rng = np.random.default_rng(2)
    width = len(plan.columns)
    return Linear(
        mean=rng.random(width),
        scale=0.5 + rng.random(width),
        coef=rng.normal(size=width),
        missing_coef=rng.normal(size=width),
        missing_rate=rng.random(width),
        intercept=-0.7,
    )


@pytest.fixture(scope="session")
def model(plan, trees, linear):
    return Model(
        columns=plan.column_names,
        trees=trees,
        linear=linear,
        tree_weight=0.7,
        linear_weight=0.3,
        calibration=Calibration(0.9, -0.4, ((0.04, 0.01), (0.01, 0.02))),
        quantiles=np.linspace(0.01, 0.6, 60),
        threshold=0.3,
    )


@pytest.fixture(scope="session")
def scorer(model, plan):
    return Scorer(model, plan, INFO)
