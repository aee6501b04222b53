"""explain() is a shap.Explanation, exact, and sums to behaviours and to points of the probability."""

from __future__ import annotations

import warnings

import joblib
import numpy as np
import pytest

from leadlight.errors import InputError
from leadlight.explain import by_behaviour


@pytest.fixture(scope="module")
def shap():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import shap as package
    return package


@pytest.fixture(scope="module")
def explanation(qualifier, community, at, shap):
    return qualifier.explain(community, at)


@pytest.fixture
def pyplot():
    import matplotlib.pyplot as plt

    with plt.ioff():
        plt.switch_backend("Agg")
        yield plt
        plt.close("all")


def test_it_is_what_shap_calls_an_explanation(explanation, shap):
    assert isinstance(explanation, shap.Explanation)
    assert isinstance(explanation.by_behaviour(), shap.Explanation)


def test_contributions_add_up_to_the_calibrated_log_odds(explanation, qualifier):
    total = explanation.base_values + explanation.values.sum(axis=1)
    log_odds = qualifier.scorer_.model.log_odds(explanation.data)
    np.testing.assert_allclose(total, log_odds, rtol=0, atol=1e-12)


def test_the_trees_of_it_are_what_shap_finds_in_the_booster(explanation, qualifier, shap):
    """The part of the trees, before blend and calibration, against shap's own explainer."""
    model = qualifier.scorer_.model
    X = explanation.data[:60]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        explainer = shap.TreeExplainer(qualifier.classifier_.booster_)
        found = explainer.shap_values(X, check_additivity=False)
    linear = model.linear_weight * model.linear.contributions(X)
    ours = (model.contributions(X)[0] / model.calibration.slope - linear) / model.tree_weight
    np.testing.assert_allclose(ours, found, rtol=0, atol=1e-9)


@pytest.mark.filterwarnings("ignore:.*")
@pytest.mark.parametrize("name", ["waterfall", "beeswarm", "bar", "scatter", "heatmap"])
def test_the_plots_of_shap_take_it(explanation, shap, pyplot, name):
    few = explanation[:80]
    drawn = {"waterfall": lambda: few[0], "scatter": lambda: few[:, 0]}.get(name, lambda: few)()
    getattr(shap.plots, name)(drawn, show=False)
    assert pyplot.gcf().axes


@pytest.mark.filterwarnings("ignore:.*")
@pytest.mark.parametrize("name", ["waterfall", "beeswarm", "bar", "heatmap"])
def test_the_plots_of_shap_take_behaviours(explanation, shap, pyplot, name):
    few = explanation[:80].by_behaviour()
    getattr(shap.plots, name)(few[0] if name == "waterfall" else few, show=False)
    assert pyplot.gcf().axes


def test_behaviours_add_up_to_the_same_score(explanation, qualifier):
    found = explanation.by_behaviour()
    assert list(found.feature_names) == [b.name for b in qualifier.plan_.behaviours]
    np.testing.assert_allclose(found.values.sum(axis=1), explanation.values.sum(axis=1), atol=1e-12)
    assert np.array_equal(found.base_values, explanation.base_values)
    assert np.array_equal(found.values, by_behaviour(qualifier.plan_, explanation.values).to_numpy())


def test_a_slice_knows_behaviours_too(explanation):
    whole = explanation.by_behaviour().values
    assert np.array_equal(explanation[3].by_behaviour().values, whole[3])
    assert np.array_equal(explanation[2:5].by_behaviour().values, whole[2:5])
    assert explanation[3].probability_points().shape == (1, 1 + whole.shape[1])


def test_columns_that_were_sliced_away_cannot_be_summed(explanation):
    with pytest.raises(InputError, match="columns"):
        explanation[:, :2].by_behaviour()


def test_points_add_up_to_the_probability_that_score_shows(explanation, scores):
    found = explanation.probability_points()
    p = 100 * scores.frame["probability"].to_numpy()
    np.testing.assert_allclose(found.sum(axis=1), p, rtol=0, atol=1e-10)
    rounded = explanation.probability_points(digits=2)
    np.testing.assert_allclose(rounded.sum(axis=1), np.round(p, 2), atol=1e-9)


def test_joblib_keeps_it(explanation, tmp_path):
    joblib.dump(explanation, tmp_path / "e")
    assert np.array_equal(
        joblib.load(tmp_path / "e").by_behaviour().values, explanation.by_behaviour().values
    )


def test_contributions_add_up_over_a_hundred_thousand_rows(qualifier, explanation):
    """Members of the batch with their features shuffled, so that no two rows are alike."""
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.choice(column, 100_000) for column in explanation.data.T])
    model = qualifier.scorer_.model
    values, base = model.contributions(X)
    np.testing.assert_allclose(base + values.sum(axis=1), model.log_odds(X), rtol=0, atol=1e-12)
