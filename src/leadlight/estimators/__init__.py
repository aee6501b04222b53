"""Scikit-learn estimators: the learner, the hand-set points, splits in time."""

from leadlight.estimators.classifier import LeadClassifier
from leadlight.estimators.points import PointsScorer
from leadlight.estimators.splits import TemporalSplit

__all__ = ["LeadClassifier", "PointsScorer", "TemporalSplit"]
