"""The programs of `examples`, and a small model for them."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

from leadlight.behaviours import Behaviour, Catalogue, Count, Recency, Tenure
from leadlight.runtime import Calibration, Linear, Model, Scorer

EXAMPLES = Path(__file__).parents[2] / "examples"
CATALOGUE = Catalogue(
    [
        Behaviour(
            "asks questions",
            (Count("question", window=("30d", "all")), Recency("question")),
            reason="asked {question_count_30d:question|questions} in 30 days",
        ),
        Behaviour(
            "stays",
            (Tenure(), Count("answer", window="30d", side="received")),
            reason="a member for {tenure_days} days",
        ),
    ]
)


class Nobody:
    """What compilation asks of a community."""

    has_accounts = False

    def vocabulary(self, attribute, **_):
        return ()


def new_scorer(threshold: float = 0.5) -> Scorer:
    """Return a model that likes questions."""
    plan = CATALOGUE.compile(Nobody())
    width = len(plan.columns)
    ones, coef = np.ones(width), np.linspace(1.0, 0.2, width)
    linear = Linear(0.5 * ones, ones, coef, -0.1 * ones, 0.1 * ones, -1.0)
    calibration = Calibration(0.9, -0.2, ((0.04, 0.01), (0.01, 0.02)))
    model = Model(
        plan.column_names, None, linear, 0.0, 1.0, calibration, np.linspace(0.1, 0.9, 50), threshold
    )
    return Scorer(
        model, plan, {"estimand": "P(won within 90 days)", "data_fingerprint": "f" * 64, "simulated": True}
    )


@pytest.fixture
def scorer():
    return new_scorer()


@pytest.fixture
def bundle(scorer, tmp_path):
    scorer.save(tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture(scope="session")
def score_daily():
    path = EXAMPLES / "batch" / "score_daily.py"
    spec = importlib.util.spec_from_file_location("score_daily", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]
