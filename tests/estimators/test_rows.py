"""Training rows: very many negatives are thinned."""

from __future__ import annotations

import numpy as np
import pytest

from leadlight.estimators import rows


def test_very_many_negatives_are_thinned_and_keep_their_weight(monkeypatch):
    monkeypatch.setattr(rows, "ENOUGH_NEGATIVES", 300)
    monkeypatch.setattr(rows, "NEGATIVES_A_POSITIVE", 2)
    y = np.r_[np.ones(40), np.zeros(3000)]
    weight = np.random.default_rng(0).random(len(y)) + 0.5
    thin = rows.thinned(y, weight, 0)
    assert np.count_nonzero(thin[y == 0]) == 300
    assert thin[y == 0].sum() == pytest.approx(weight[y == 0].sum())
    assert np.array_equal(thin[y > 0], weight[y > 0])
