"""scikit-learn's HistGradientBoostingClassifier in place of LightGBM, as the trees that serve."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from threadpoolctl import threadpool_limits

from leadlight.kernels.trees import Trees

Values = NDArray[np.float64]

_NUMERIC, _DEFAULT_LEFT, _MISSING_IS_NAN = 0, 2, 8


class HistGrower:
    """A HistGradientBoostingClassifier that can be grown further; see `leadlight.estimators.forest.Grower`."""

    def __init__(self, X: Values, y: Values, weight: Values, settings: dict[str, Any], seed: int) -> None:
        known = (np.isfinite(X) & (weight > 0)[:, None]).any(axis=0)
        # scikit-learn 1.9 cannot bin a column without a value. A constant one is not split either.
        self._rows = X if known.all() else np.where(known, X, 0.0), y, weight
        self.booster = HistGradientBoostingClassifier(
            learning_rate=settings["learning_rate"],
            max_leaf_nodes=settings["num_leaves"],
            min_samples_leaf=settings["min_data_in_leaf"],
            l2_regularization=settings["lambda_l2"],
            max_features=settings["feature_fraction"],
            max_bins=settings["max_bin"],
            monotonic_cst=settings.get("monotone_constraints"),
            early_stopping=False,
            warm_start=True,
            categorical_features=None,
            random_state=seed,
        )

    def grow(self, rounds: int) -> None:
        """Add trees until there are `rounds`."""
        if getattr(self.booster, "n_iter_", 0) < rounds:
            X, y, weight = self._rows
            # Folds share the cores already; on a busy machine its threads wait for each other.
            with threadpool_limits(1, "openmp"):
                self.booster.set_params(max_iter=rounds).fit(X, y, sample_weight=weight)

    def margin(self, X: Values) -> Values:
        """Return the raw margin."""
        with threadpool_limits(1, "openmp"):
            return np.asarray(self.booster.decision_function(X), float)

    def trees(self) -> Trees:
        """Return its trees; their margin is the booster's bit for bit."""
        return hist_trees(self.booster)


def hist_trees(booster: HistGradientBoostingClassifier) -> Trees:
    """Return the trees of a fitted binary booster on numeric columns.

    The first tree is a single leaf with the baseline, so that sums run as scikit-learn's do.
    """
    # scikit-learn has no public way to its trees.
    predictors = [stage[0].nodes for stage in booster._predictors]
    baseline = float(np.ravel(booster._baseline_prediction)[0])
    root, values, counts = [-1], [baseline], [1.0]
    left: list[int] = []
    right: list[int] = []
    feature: list[int] = []
    threshold: list[float] = []
    decision: list[int] = []
    internal: list[float] = []
    for nodes in predictors:
        leaf = nodes["is_leaf"].astype(bool)
        place = np.where(leaf, np.cumsum(leaf) - 1 + len(values), np.cumsum(~leaf) - 1 + len(left))
        link = np.where(leaf, ~place, place).astype(np.int64)
        inner = nodes[~leaf]
        root.append(int(link[0]))
        left += link[inner["left"].astype(np.int64)].tolist()
        right += link[inner["right"].astype(np.int64)].tolist()
        feature += inner["feature_idx"].tolist()
        threshold += inner["num_threshold"].tolist()
        missing = np.where(inner["missing_go_to_left"] != 0, _DEFAULT_LEFT, 0)
        decision += (_NUMERIC | _MISSING_IS_NAN | missing).tolist()
        internal += inner["count"].astype(float).tolist()
        values += nodes["value"][leaf].tolist()
        counts += nodes["count"][leaf].astype(float).tolist()
    return Trees.from_arrays(
        {
            "root": np.array(root),
            "left": np.array(left, dtype=np.int64),
            "right": np.array(right, dtype=np.int64),
            "feature": np.array(feature, dtype=np.int64),
            "threshold": np.array(threshold, dtype=np.float64),
            "decision": np.array(decision, dtype=np.int64),
            "internal_count": np.array(internal, dtype=np.float64),
            "leaf_value": np.array(values),
            "leaf_count": np.array(counts),
            "category_offset": np.zeros(1, dtype=np.int64),
            "category_word": np.zeros(0, dtype=np.int64),
            "n_features": int(booster.n_features_in_),
        }
    )
