"""What a points table loses against the full model, on rows that neither has seen."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from leadlight.community import Community
from leadlight.errors import InputError
from leadlight.estimators import PointsScorer
from leadlight.estimators.points_table import PointsTable
from leadlight.evaluation.evaluate import check_later
from leadlight.evaluation.judge import OWN, Judge, tabulate
from leadlight.evaluation.metrics import tie_order, top_share
from leadlight.evaluation.redraws import Redraws
from leadlight.features import build_features
from leadlight.observations import Observations

LEARNED = "learned_points"
METRICS = ("average_precision", "auc", "buyers_reached", "buyers_missed", "false_positives")


def compare_points(
    table: PointsTable,
    qualifier: Any,
    community: Community,
    test: Observations,
    *,
    share: float = 0.05,
    rounds: int = 500,
    seed: int = 0,
) -> pd.DataFrame:
    """Measure a learned points table beside the full model and the hand-set points.

    Parameters
    ----------
    table : PointsTable
        Learned on the qualifier's training rows: `learn_points`.
    qualifier : LeadQualifier
        Fitted on rows earlier than `test`.
    community : Community
    test : Observations
        Labelled rows; rows without a label are left out.
    share : float
        Capacity: the best share of each cutoff is called; equal points by a fixed hash of the member.
    rounds, seed : int
        Bootstrap draws of whole accounts, the same for every model.

    Returns
    -------
    DataFrame
        As `Report.table`: index (model, metric) with models "leadlight", "learned_points" and, where there are any,
        "points"; value, low, high (95 %) and, but for "leadlight", how much more the full model has: difference,
        difference_low, difference_high. Average precision and AUC count rows, buyers count once.

    Raises
    ------
    LeakageError
        If a test cutoff lies before the end of a training window.
    InputError
        If `share` or `rounds` is out of range, or the test rows are all alike.
    """
    if not 0 < share <= 1 or isinstance(rounds, bool) or rounds < 0:
        raise InputError(
            f"share is {share} and rounds {rounds}; a share lies in (0, 1], rounds are 0 or more."
        )
    test = test.labelled()
    check_later(qualifier, test)
    y = test.label.to_numpy(float)
    if not 0 < y.sum() < len(y):
        raise InputError(
            f"The test rows hold {int(y.sum())} positives of {len(y)}; there is nothing to rank."
        )
    X = build_features(community, test, qualifier.plan_)
    scores = {OWN: qualifier.predict_proba(X)[:, 1], LEARNED: table.points_for(X)}
    by_hand = PointsScorer.from_plan(qualifier.plan_)
    if by_hand.rules:
        scores["points"] = by_hand.points_for(X)
    tie = tie_order(test.frame["member_id"])
    chosen = {name: top_share(score, test.cutoff_us, share, tie) for name, score in scores.items()}
    judge = Judge(y, Redraws(test.groups, rounds, seed), scores, chosen, scores[OWN], tie)
    evidence = judge.evidence()
    found = tabulate(judge.figures(), evidence, float(judge.buyers()[0]), float(y.sum()) / evidence)
    return found[np.isin(found.index.get_level_values("metric"), METRICS)]
