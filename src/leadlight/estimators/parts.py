"""The two parts of the learner: small boosted trees, and a ridge logistic regression on signed logs."""

from __future__ import annotations

import warnings
from typing import Any

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from leadlight.kernels.linear import signed_log
from leadlight.runtime.model import Linear

Values = NDArray[np.float64]

SMALL: dict[str, Any] = {
    "learning_rate": 0.05,
    "num_leaves": 8,
    "min_data_in_leaf": 60,
    "feature_fraction": 0.25,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "lambda_l2": 10.0,
    "max_bin": 63,
}
"""For few won deals; measured before a line was written, see docs/decisions."""

FEW, MANY = 1_000, 5_000
"""Won accounts between which the size of the trees grows."""


def tree_settings(won: int, rows: int) -> tuple[dict[str, Any], int]:
    """Return LightGBM's parameters and the number of trees: complexity follows won accounts, not rows."""
    grown = float(np.clip(np.log(max(won, 1) / FEW) / np.log(MANY / FEW), 0.0, 1.0))
    settings = dict(SMALL)
    settings["num_leaves"] = round(8 + grown * 42)
    settings["min_data_in_leaf"] = round(60 - grown * 20)
    settings["feature_fraction"] = 0.25 + grown * 0.25
    # Sixty rows a leaf leave nothing to split in a small table.
    settings["min_data_in_leaf"] = max(2, min(settings["min_data_in_leaf"], rows // 20))
    return settings, round(160 + grown * 140)


def fit_trees(
    X: Values, y: Values, weight: Values, settings: dict[str, Any], rounds: int, seed: int, threads: int
) -> lgb.Booster:
    """Fit boosted trees on columns f0..fn; deterministic for a seed and one machine."""
    parameters = {
        "objective": "binary",
        "verbosity": -1,
        "seed": seed,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": threads,
        **settings,
    }
    names = [f"f{j}" for j in range(X.shape[1])]
    data = lgb.Dataset(
        X, y, weight=weight, feature_name=names, params={"verbosity": -1, "max_bin": settings["max_bin"]}
    )
    return lgb.train(parameters, data, num_boost_round=rounds)


def fit_linear(X: Values, y: Values, weight: Values, strength: float) -> Linear:
    """Fit a ridge logistic regression on standardised signed logs, with an indicator for what is missing."""
    missing = np.isnan(X)
    logs = signed_log(X)
    rate = missing.mean(axis=0)
    present = np.maximum((~missing).sum(axis=0), 1)
    mean = np.where(missing, 0.0, logs).sum(axis=0) / present
    centred = np.where(missing, 0.0, logs - mean)
    scale = np.sqrt((centred**2).sum(axis=0) / present)
    varies = scale > 1e-9 * np.maximum(1.0, np.abs(mean))
    scale = np.where(varies, scale, 1.0)
    usable = (rate > 0) & (rate < 1)
    design = np.hstack([(centred / scale)[:, varies], (missing - rate)[:, usable]])
    columns = X.shape[1]
    coef, missing_coef = np.zeros(columns), np.zeros(columns)
    if design.shape[1] == 0:
        share = np.average(y, weights=weight)
        return Linear(mean, scale, coef, missing_coef, rate, float(np.log(share / (1 - share))))
    model = LogisticRegression(C=strength, solver="newton-cholesky", max_iter=100, tol=1e-5)
    with warnings.catch_warnings():
        # Stopping a little early moves a ridge-shrunk margin by less than its own noise.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(design, y, sample_weight=weight)
    coef[varies] = model.coef_[0, : int(varies.sum())]
    missing_coef[usable] = model.coef_[0, int(varies.sum()) :]
    return Linear(mean, scale, coef, missing_coef, rate, float(model.intercept_[0]))
