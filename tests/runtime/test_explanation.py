"""explain: arrays that add up to the score, and shap's own object where shap is."""

from __future__ import annotations

import builtins
import sys

import numpy as np
import pandas as pd
import pytest

from leadlight.errors import InputError, MissingDependencyError

EVENTS = [{"occurred_at": "2024-03-01T10:00:00", "action": "question"}]
AT = "2024-04-01"


def test_values_and_base_add_up_to_the_log_odds(scorer, X):
    found = scorer.explain(X)
    assert found.values.shape == found.data.shape == X.shape
    assert found.names == scorer.columns
    np.testing.assert_allclose(found.log_odds, scorer.model.log_odds(X), rtol=0, atol=1e-12)
    np.testing.assert_array_equal(found.values, scorer.explain_rows(X)[0])


def test_one_member_is_explained_from_events_states_or_a_row(scorer):
    member, peers = {"joined_at": "2024-01-01"}, {"peers_view_count_30d": 2}
    found = scorer.explain(EVENTS, member, peers, at=AT)
    assert len(found) == 1
    p = scorer.predict(EVENTS, member, peers, at=AT).probability
    assert 1 / (1 + np.exp(-found.log_odds[0])) == pytest.approx(p, abs=1e-12)
    state = scorer.state(member)
    state.update(EVENTS)
    for same in (
        scorer.explain(state, peers=peers, at=AT),
        scorer.explain(dict(zip(scorer.columns, found.data[0].tolist(), strict=True))),
        scorer.explain(found.data[0]),
        scorer.explain(pd.DataFrame(found.data, columns=list(scorer.columns))),
    ):
        np.testing.assert_array_equal(same.values, found.values)
        assert same.base == found.base


def test_behaviours_sum_their_columns(scorer, X):
    found = scorer.explain(X)
    sums = found.by_behaviour()
    assert found.behaviours == ("asks questions", "reads by tag", "visits")
    np.testing.assert_allclose(found.base + sums.sum(axis=1), found.log_odds, atol=1e-12)
    places = [scorer.columns.index(name) for name in scorer.plan.behaviours[1].columns]
    np.testing.assert_allclose(sums[:, 1], found.values[:, places].sum(axis=1), atol=1e-15)


def test_shap_gets_an_object_of_its_own(scorer, X):
    shap = pytest.importorskip("shap")
    found = scorer.explain(X[:5])
    made = found.to_shap()
    assert isinstance(made, shap.Explanation)
    assert made.feature_names == list(scorer.columns)
    np.testing.assert_array_equal(made.values, found.values)
    np.testing.assert_array_equal(made.base_values, np.full(5, found.base))
    np.testing.assert_array_equal(made.data, X[:5])


def test_without_shap_the_arrays_remain_and_the_error_says_what_to_do(scorer, X, monkeypatch):
    monkeypatch.setitem(sys.modules, "shap", None)
    found = scorer.explain(X[:5])
    with pytest.raises(MissingDependencyError, match="pip install shap"):
        found.to_shap()
    assert issubclass(MissingDependencyError, builtins.ImportError)


def test_rows_take_no_moment(scorer, X):
    with pytest.raises(InputError, match="leave out"):
        scorer.explain(X, at=AT)
