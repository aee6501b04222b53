"""What a model is measured against: points, recency, a ridge, stock boosting, chance."""

from __future__ import annotations

from typing import Any

import lightgbm as lgb
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from leadlight.errors import InputError
from leadlight.estimators import PointsScorer
from leadlight.estimators.ridge import fit_linear
from leadlight.kernels.linear import linear_margin
from leadlight.plan import Plan

Values = NDArray[np.float64]

BASELINES = ("points", "recency", "logistic", "lightgbm", "random")
LABELS = {
    "points": "hand-set points",
    "recency": "most recently active first",
    "logistic": "ridge logistic regression",
    "lightgbm": "LightGBM, stock settings",
    "random": "random order",
}


def baseline_score(
    name: str, plan: Plan, train: tuple[pd.DataFrame, Values, Values], test: pd.DataFrame
) -> Values:
    """Return the baseline's score of each test row, higher is likelier.

    Parameters
    ----------
    name : {"points", "recency", "logistic", "lightgbm", "random"}
    plan : Plan
        Gives the hand-set points.
    train : (X, y, weight)
    test : DataFrame

    Raises
    ------
    InputError
        If the name is unknown.
    """
    X, y, weight = train
    if name == "points":
        return PointsScorer.from_plan(plan).points_for(test)
    if name == "recency":
        return _recency(test)
    if name == "logistic":
        part = fit_linear(X.to_numpy(float), y, weight, 0.02)
        return linear_margin(np.ascontiguousarray(test.to_numpy(float)), *part.arrays, part.intercept)
    if name == "lightgbm":
        model = lgb.LGBMClassifier(
            verbosity=-1, random_state=0, n_jobs=1, deterministic=True, force_row_wise=True
        )
        model.fit(X.to_numpy(float), y, sample_weight=weight)
        return np.asarray(model.booster_.predict(test.to_numpy(float), raw_score=True, num_threads=1), float)
    if name == "random":
        return np.random.default_rng(0).random(len(test))
    raise InputError(f"baselines names {name!r}; choose from {BASELINES}.")


def _recency(test: pd.DataFrame) -> Values:
    columns = [c for c in test.columns if c == "activity_recency_days"] or [
        c for c in test.columns if c.endswith("recency_days") and "received" not in c
    ]
    if not columns:
        return np.zeros(len(test))
    days: Any = test[columns].min(axis=1).to_numpy(float)
    recent: Values = -np.nan_to_num(days, nan=1e9)
    return recent
