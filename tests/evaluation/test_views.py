"""Four views of the test population."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from leadlight import Community, Observations, PointsScorer, build_features, observe, simulate_community
from leadlight.errors import InputError
from leadlight.evaluation.metrics import tie_order, top_share
from leadlight.evaluation.views import VIEWS, propensity_weights, view_weights
from leadlight.observations import cutoff_iterator
from leadlight.simulate import SimulationParameters


def day(k):
    return pd.Timestamp("2024-01-01") + pd.Timedelta(days=k)


def community(contacts):
    activity = pd.DataFrame({"member_id": ["a", "b", "c"], "occurred_at": day(-9), "action": "view"})
    return Community(activity=activity, contacts=None if contacts is None else pd.DataFrame(contacts))


def approach(member, when, chosen_by, propensity=np.nan):
    return {"member_id": member, "contacted_at": when, "chosen_by": chosen_by, "propensity": propensity}


def rows():
    frame = pd.DataFrame({"member_id": ["a", "b", "c"], "cutoff": day(0), "label": [1, 0, 0]})
    return Observations.from_frame(frame, horizon="28d", gap="7d")


def weights(contacts):
    return view_weights(community(contacts), rows())


def test_a_random_approach_weighs_one_over_its_propensity_and_the_weeks():
    found, _ = weights(
        [
            approach("a", day(3), "random", 0.1),
            approach("a", day(9), "random", 0.2),
            approach("b", day(3), "score"),
        ]
    )
    assert found["explored"].tolist() == pytest.approx([(1 / 0.1 + 1 / 0.2) / 5, 0, 0])
    assert found["contacted"].tolist() == [1, 1, 0]
    assert found["all labels"].tolist() == [1, 1, 1]


def test_whoever_chose_an_approach_its_logged_propensity_counts():
    logged = [approach("a", day(3), "score", 0.5), approach("a", day(9), "random", 0.2)]
    found = propensity_weights(community([*logged, approach("b", day(60), "score")]), rows())
    assert found.tolist() == pytest.approx([(1 / 0.5 + 1 / 0.2) / 5, 0, 0])


def test_one_approach_without_a_propensity_leaves_its_row_unknown():
    logged = [approach("a", day(3), "score", 0.5), approach("b", day(3), "random", 0.2)]
    found = propensity_weights(community([*logged, approach("a", day(4), "inbound")]), rows())
    assert np.isnan(found).tolist() == [True, False, False]


def test_a_propensity_that_is_no_chance_is_refused_of_any_approach():
    with pytest.raises(InputError, match="above 0 and at most 1"):
        propensity_weights(community([approach("a", day(3), "score", 1.5)]), rows())


def test_without_contacts_nobody_stands_for_anybody():
    assert propensity_weights(community(None), rows()).tolist() == [0, 0, 0]


def test_the_window_reaches_from_the_cutoff_to_the_end_of_the_horizon():
    found, _ = weights(
        [
            approach("a", day(0), "inbound"),
            approach("b", day(35), "inbound"),
            approach("c", day(-1), "inbound"),
        ]
    )
    assert found["inbound"].tolist() == [1, 0, 0]
    assert found["contacted"].tolist() == [1, 0, 0]


def test_without_random_approaches_a_quota_is_recommended():
    _, notes = weights([approach("a", day(3), "score")])
    assert "small random quota" in notes["explored"]
    assert "Biased" in notes["all labels"]


def test_without_a_contacts_table_the_views_are_empty_and_say_why():
    found, notes = weights(None)
    assert all(not found[name].any() for name in VIEWS[1:])
    assert "No contacts table" in notes["contacted"]
    assert "small random quota" in notes["explored"]


def test_unknown_propensities_are_said():
    found, notes = weights([approach("a", day(3), "random"), approach("b", day(3), "random")])
    assert found["explored"].tolist() == [1, 1, 0]
    assert "no propensity is known" in notes["explored"]


def test_a_propensity_is_a_chance():
    with pytest.raises(InputError, match="above 0"):
        weights([approach("a", day(3), "random", 0.0)])


def test_the_report_has_four_views_of_every_model(report):
    views = report.views
    assert list(dict.fromkeys(views["view"])) == list(VIEWS)
    own = views[(views["view"] == "all labels") & (views["metric"] == "auc")].set_index("model")["value"]
    for model in ("leadlight", "points", "random"):
        assert own[model] == pytest.approx(report.metric("auc", model))
    assert {"low", "high", "difference_low", "difference_high", "note"} <= set(views.columns)


def test_contacted_rows_are_those_of_the_counts(report):
    held = report.views.set_index(["view", "model", "metric"])["value"]
    assert held[("contacted", "population", "rows")] == report.counts["contacted"].sum()


def test_the_views_read_well(report):
    text = report.views_text()
    assert text.startswith("all labels: ")
    assert "Biased" in text
    assert "missed, share" in text
    assert dataclasses.replace(report, views=None).views_text() == "The views were not made."


def test_the_views_differ_in_the_known_direction(catalogue):
    """Sales approaches better than chance, and points find more of the deals that they made than of all buyers."""
    parameters = SimulationParameters(score_contacts=0.006, random_contacts=0.01)
    made, truth = simulate_community(4000, 90, 12, parameters=parameters)
    rows = observe(made, every="60d", start="2024-09-01").labelled()
    found, _ = view_weights(made, rows)
    label = rows.label.to_numpy(float)
    rate = {name: np.average(label, weights=weight) for name, weight in found.items() if weight.any()}
    assert rate["inbound"] > rate["contacted"] > rate["explored"]
    would = np.zeros(len(rows))
    for cutoff, at in cutoff_iterator(rows):
        known = truth.at(cutoff).set_index("member_id")["would_buy"]
        would[at] = known.reindex(rows.frame["member_id"].iloc[at]).to_numpy(float)
    assert would.mean() > label.mean()
    plan = catalogue.compile(made, "2024-09-01")
    score = PointsScorer.from_plan(plan).points_for(build_features(made, rows, plan))
    called = top_share(score, rows.cutoff_us, 0.05, tie_order(rows.frame["member_id"]))
    assert label[called].sum() / label.sum() > would[called].sum() / would.sum()
