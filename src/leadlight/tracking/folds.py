"""Each fold of a fit as its own result: what the child runs hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from leadlight.tracking.record import as_metrics

if TYPE_CHECKING:
    from leadlight.qualifier import LeadQualifier


def fold_rows(qualifier: LeadQualifier) -> list[NDArray[np.int64]]:
    """Return the positions of the training rows that each fold judged; none where there were no folds.

    The folds of a fit follow from its rows and its seed, so they are drawn again rather than kept.
    """
    from leadlight.estimators.folds import folds_of
    from leadlight.estimators.rows import Rows

    classifier = qualifier.classifier_
    X, label, weight, groups = qualifier.training_
    if np.isnan(classifier.oof_log_odds_).all():
        return []
    data = Rows.checked(
        X,
        label,
        weight,
        groups,
        None,
        None,
        names=classifier.columns_,
        levels=tuple(level for level in classifier.levels_ if level is not None) and classifier.levels_,
        infinite=classifier.infinite,
        seed=classifier.random_state,
    )
    splits = folds_of(data, classifier.n_folds, classifier.n_positive_groups_, classifier.random_state)
    kept = np.flatnonzero(data.kept)
    return [kept[test] for _, test in splits]


def fold_runs(qualifier: LeadQualifier) -> list[dict[str, Any]]:
    """Return name, parameters and metrics of each fold; a figure that needs both outcomes lacks where one is missing."""
    from leadlight.evaluation.metrics import Ranking, log_loss
    from leadlight.kernels.linear import sigmoid

    if not hasattr(qualifier, "training_") or not hasattr(qualifier, "classifier_"):
        return []
    _, label, weight, groups = qualifier.training_
    log_odds = qualifier.classifier_.oof_log_odds_
    found = []
    for number, rows in enumerate(fold_rows(qualifier), 1):
        y, score, ones = label[rows], log_odds[rows], np.ones(len(rows))
        ranking = Ranking(score, y)
        won = rows[y > 0]
        metrics = {
            "fold.rows": len(rows),
            "fold.positives": float(y.sum()),
            "fold.buyers": len(np.unique(groups[won].astype(str))),
            "fold.weight": float(np.sum(weight[rows])),
            "fold.average_precision": ranking.average_precision(ones),
            "fold.auc": ranking.auc(ones),
            "fold.log_loss": log_loss(sigmoid(score), y, ones) if len(rows) else float("nan"),
        }
        found.append(
            {
                "name": f"fold {number}",
                "parameters": {"fold": str(number)},
                "metrics": as_metrics(metrics),
                "tags": {"leadlight.kind": "fold"},
            }
        )
    return found
