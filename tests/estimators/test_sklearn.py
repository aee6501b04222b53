"""scikit-learn's own checks; what fails is expected, strictly, and for a reason."""

from __future__ import annotations

import warnings

from sklearn.utils.estimator_checks import parametrize_with_checks

from leadlight.errors import LeadlightWarning
from leadlight.estimators import LeadClassifier, PointsScorer

EXPECTED = {
    "LeadClassifier": {
        "check_sample_weight_equivalence_on_dense_data": (
            "bagging and folds draw rows: a row that is there twice is not a row of weight two"
        ),
    },
    "PointsScorer": {
        "check_sample_weight_equivalence_on_dense_data": (
            "without groups each row is its own: repeated rows reach the twenty positive groups that a slope needs"
        ),
    },
}


@parametrize_with_checks(
    [LeadClassifier(), PointsScorer()],
    expected_failed_checks=lambda estimator: EXPECTED[type(estimator).__name__],
)
def test_it_keeps_the_contract_of_scikit_learn(estimator, check):
    with warnings.catch_warnings():
        # The checks' tables are tiny, and a warning that says so is right.
        warnings.simplefilter("ignore", LeadlightWarning)
        check(estimator)
