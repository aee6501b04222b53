"""Contributions of columns become contributions of behaviours."""

import numpy as np
import pytest

from leadlight.errors import InputError
from leadlight.explain import by_behaviour, importance


def test_columns_of_a_behaviour_are_added_wherever_they_stand(plan):
    found = by_behaviour(plan, [[1.0, 10.0, 0.5], [0.0, -2.0, 0.25]])
    assert list(found.columns) == ["forwards", "reads"]
    assert found.to_numpy().tolist() == [[1.5, 10.0], [0.25, -2.0]]


def test_a_row_keeps_its_sum(plan):
    values = np.random.default_rng(0).normal(size=(20, 3))
    np.testing.assert_allclose(by_behaviour(plan, values).sum(axis=1), values.sum(axis=1), atol=1e-12)


def test_no_member_gives_no_row(plan):
    assert by_behaviour(plan, np.empty((0, 3))).shape == (0, 2)


@pytest.mark.parametrize("values", [[[1.0, 2.0]], [1.0, 2.0, 3.0]])
def test_values_of_another_shape_are_refused(plan, values):
    with pytest.raises(InputError, match="3 columns"):
        by_behaviour(plan, values)


def test_feature_values_with_gaps_are_not_contributions(plan):
    with pytest.raises(InputError, match="1 of the contributions are not finite"):
        by_behaviour(plan, [[1.0, float("nan"), 0.0]])


def test_the_behaviour_that_moves_scores_most_comes_first(plan):
    found = importance(plan, [[0.1, -3.0, 0.0], [0.1, 3.0, 0.0]])
    assert found.index.tolist() == ["reads", "forwards"]
    assert found["mean_absolute"].tolist() == pytest.approx([3.0, 0.1])


def test_few_that_gain_much_make_the_direction_upwards(plan):
    found = importance(plan, [[3.0, -3.0, 0.0], [-1.0, 1.0, 0.0], [-1.0, 1.0, 0.0], [-1.0, 1.0, 0.0]])
    assert found["direction"].to_dict() == {"forwards": 1, "reads": -1}
    assert found["raised"].to_dict() == {"forwards": 0.25, "reads": 0.75}


def test_a_behaviour_that_does_nothing_has_no_direction(plan):
    assert importance(plan, [[1.0, 0.0, 0.0]]).loc["reads", "direction"] == 0


def test_importance_needs_a_row(plan):
    with pytest.raises(InputError, match="no rows"):
        importance(plan, np.empty((0, 3)))
