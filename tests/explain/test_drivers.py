"""What drives deals is found where it was put, with the way in which it speaks."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from leadlight.errors import InputError
from leadlight.estimators import LeadClassifier
from leadlight.explain import drivers, drivers_data, plot_drivers
from leadlight.explain.drivers import COLUMNS, LESS, MORE, UNSURE
from leadlight.plan import Column, Key, Plan, PlannedBehaviour

NAMES = ("question_count_30d", "view_count_30d", "visit_count_30d", "connect_recency_days")
PLAN = Plan(
    (Key(),),
    tuple(
        Column(n, "recency" if "recency" in n else "count", (0,), () if "recency" in n else (1,))
        for n in NAMES
    ),
    tuple(
        PlannedBehaviour(b, (n,), ())
        for b, n in zip(("asks", "reads", "visits", "connects"), NAMES, strict=True)
    ),
)


@pytest.fixture(scope="module")
def trained():
    """Questions speak for a deal, views against one, visits say nothing; who connected lately buys."""
    rng = np.random.default_rng(0)
    n = 2_400
    X = pd.DataFrame(rng.poisson(2.0, (n, 4)).astype(np.float32), columns=list(NAMES))
    X[NAMES[3]] = rng.uniform(0, 90, n).astype(np.float32)
    margin = -2.5 + 1.0 * X[NAMES[0]] - 1.0 * X[NAMES[1]] - 0.03 * (X[NAMES[3]] - 45)
    y = (rng.random(n) < 1 / (1 + np.exp(-margin))).astype(float).to_numpy()
    groups = np.arange(n) // 2
    classifier = LeadClassifier().fit(X, y, groups=groups)
    return SimpleNamespace(plan_=PLAN, classifier_=classifier, training_=(X, y, np.ones(n), groups))


@pytest.fixture(scope="module")
def found(trained):
    return drivers(trained, rounds=8)


def test_what_was_put_in_is_found(found):
    assert list(found.columns) == COLUMNS
    assert found["speaks"].to_dict() == {"asks": MORE, "reads": LESS, "connects": MORE, "visits": UNSURE}
    assert found.loc[["asks", "reads", "connects"], "low"].min() > 0.1
    assert found.loc["visits", "low"] <= 0 < found.loc["visits", "high"] + 0.1
    assert found.index[-1] == "visits"


def test_the_way_is_how_the_amount_goes_with_the_contribution(found):
    assert found.loc["asks", "direction_low"] > 0.8
    assert found.loc["reads", "direction_high"] < -0.8
    # Of a recency, the newer is the more.
    assert found.loc["connects", "direction_low"] > 0.8
    assert found[["direction", "direction_low", "direction_high"]].abs().max(axis=None) <= 1


def test_markers_show_the_way(found):
    ax = plot_drivers(found)
    drawn = {
        line.get_label(): line.get_marker() for line in ax.lines if not str(line.get_label()).startswith("_")
    }
    assert drawn == {MORE: "^", LESS: "v", UNSURE: "o"}
    assert [t.get_text() for t in ax.get_yticklabels()] == list(drivers_data(found).index)


def test_few_won_accounts_are_refused(trained):
    X, y, weight, groups = trained.training_
    few = np.where(groups < np.unique(groups[y > 0])[4], y, 0.0)
    with pytest.raises(InputError, match="4 won accounts"):
        drivers(
            SimpleNamespace(plan_=PLAN, classifier_=trained.classifier_, training_=(X, few, weight, groups))
        )


def test_another_frame_is_refused(found):
    with pytest.raises(InputError, match="lacks"):
        plot_drivers(found.drop(columns="speaks"))
