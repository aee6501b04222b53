"""What a learned points table loses against the full model."""

from __future__ import annotations

import numpy as np
import pytest

from leadlight.errors import InputError, LeakageError
from leadlight.evaluation import compare_points
from leadlight.evaluation.compare_points import LEARNED, METRICS


@pytest.fixture(scope="module")
def points(qualifier):
    return qualifier.points_table(most=5)


@pytest.fixture(scope="module")
def compared(points, qualifier, community, split):
    return compare_points(points, qualifier, community, split[1], rounds=60)


def test_three_lists_are_compared_by_every_metric(compared):
    assert set(compared.index) == {(m, k) for m in ("leadlight", LEARNED, "points") for k in METRICS}
    own = compared.loc["leadlight"]
    for name in (LEARNED, "points"):
        assert np.allclose(compared.loc[name, "difference"], own["value"] - compared.loc[name, "value"])
    assert ((compared["low"] <= compared["value"]) & (compared["value"] <= compared["high"])).all()


def test_model_and_hand_set_points_have_the_figures_of_the_report(compared, report):
    for model in ("leadlight", "points"):
        for metric in METRICS:
            assert compared.loc[(model, metric), "value"] == report.table.loc[(model, metric), "value"]


def test_cutoffs_within_training_are_refused(points, qualifier, community, split):
    with pytest.raises(LeakageError, match="Test on later cutoffs"):
        compare_points(points, qualifier, community, split[0])


@pytest.mark.parametrize("more", [{"share": 0.0}, {"share": 1.5}, {"rounds": -1}])
def test_parameters_out_of_range_are_refused(points, qualifier, community, split, more):
    with pytest.raises(InputError, match="share is"):
        compare_points(points, qualifier, community, split[1], **more)
