"""What a fitted qualifier says of its reasons: what is typical, the rows behind them, drivers, points, the line."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from leadlight import LeadQualifier
from leadlight.errors import InputError
from leadlight.explain import drivers, drivers_data, evidence, plot_drivers
from leadlight.explain.drivers import COLUMNS, LESS, MIXED, MORE, UNSURE
from leadlight.features import build_features
from leadlight.observations import population_at
from leadlight.qualifier.typical import typical


def test_what_is_typical_is_the_median_of_the_latest_training_cutoff(qualifier, observations):
    X, cutoffs = qualifier.training_[0], observations.labelled().cutoff_us
    kept = qualifier.scorer_.info["typical"]
    assert kept == typical(X, cutoffs == cutoffs.max())
    assert kept != typical(X, cutoffs > 0)
    latest = X["view_count_30d"][cutoffs == cutoffs.max()]
    assert kept["view_count_30d"] == np.quantile(latest, 0.5, method="inverted_cdf")


def test_sentences_say_what_is_typical(scores):
    texts = [r.text for reasons in scores.frame["reasons"] for r in reasons]
    assert sum(", typical is " in t for t in texts) > len(texts) / 3


def test_the_median_of_few_members_is_not_kept():
    X = pd.DataFrame({"a": np.arange(20.0), "b": [np.nan] * 11 + [1.0] * 9})
    assert typical(X, np.ones(20, bool)) == {"a": 9.0}
    assert typical(X, np.arange(20) < 19) == {}


def test_the_evidence_of_a_call_list_is_that_of_its_reasons(qualifier, community, at, scores):
    found = qualifier.evidence(community, at)
    pd.testing.assert_frame_equal(found, evidence(community, qualifier.plan_, scores.top()))
    assert set(found["member_id"]) <= set(scores.top().frame["member_id"])
    assert (found["occurred_at"] < pd.Timestamp(at, unit="us", tz="UTC")).all()


def test_evidence_of_members_comes_in_their_order(qualifier, community, at, scores):
    chosen = scores.frame["member_id"].iloc[[40, 7]].tolist()
    found = qualifier.evidence(community, at, members=chosen, reasons=1)
    assert list(dict.fromkeys(found["member_id"])) == [m for m in chosen if m in set(found["member_id"])]
    assert found.groupby("member_id")["behaviour"].nunique().max() == 1


def test_a_count_in_a_reason_is_the_number_of_its_rows(qualifier, community, at, scores):
    called = scores.top()
    found = qualifier.evidence(community, at).groupby(["member_id", "behaviour"])["rows"].first()
    X = build_features(community, population_at(community, at, qualifier.windows_), qualifier.plan_)
    X.index = X.index.get_level_values("member_id")
    checked = 0
    for row in called.frame.itertuples():
        for reason in row.reasons:
            if reason.columns == ("view_count_30d",) and reason.contribution > 0:
                assert found[row.member_id, reason.behaviour] == X.loc[row.member_id, "view_count_30d"]
                checked += 1
    assert checked > 3


def test_who_is_not_in_the_population_has_no_evidence(qualifier, community, at):
    with pytest.raises(InputError, match="not in the population"):
        qualifier.evidence(community, at, members=["nobody"])


@pytest.fixture(scope="module")
def driven(qualifier):
    return drivers(qualifier, rounds=4)


def test_every_behaviour_has_an_effect_with_an_interval(driven, qualifier):
    assert list(driven.columns) == COLUMNS
    assert set(driven.index) == {b.name for b in qualifier.plan_.behaviours}
    assert ((driven["low"] <= driven["effect"]) & (driven["effect"] <= driven["high"])).all()
    assert driven["effect"].is_monotonic_decreasing
    assert driven["direction"].between(-1, 1).all()
    assert (driven["refits"] == 4).all()
    assert set(driven["speaks"]) <= {MORE, LESS, MIXED, UNSURE}
    assert (driven["speaks"].eq(UNSURE) == (driven["low"] <= 0)).all()


def test_drivers_repeat_themselves_whatever_the_jobs(driven, qualifier):
    pd.testing.assert_frame_equal(drivers(qualifier, rounds=4, n_jobs=2), driven)


def test_drivers_are_drawn_as_they_are(driven):
    ax = plot_drivers(driven)
    assert [label.get_text() for label in ax.get_yticklabels()] == list(drivers_data(driven).index)
    drawn = sorted(x for line in ax.lines[1:] for x in np.atleast_1d(line.get_xdata()))
    assert drawn == pytest.approx(sorted(driven["effect"]))


def test_a_loaded_qualifier_has_no_drivers_and_no_points_table(qualifier, tmp_path):
    qualifier.save(tmp_path / "m")
    loaded = LeadQualifier.load(tmp_path / "m")
    with pytest.raises(InputError, match="keeps no rows"):
        drivers(loaded)
    with pytest.raises(InputError, match="keeps no training rows"):
        loaded.points_table()


@pytest.mark.parametrize("rounds", [2, True])
def test_an_interval_needs_three_refits(qualifier, rounds):
    with pytest.raises(InputError, match="at least 3 refits"):
        drivers(qualifier, rounds=rounds)


def test_a_points_table_is_learned_from_the_training_rows(qualifier, tmp_path):
    table = qualifier.points_table(most=4)
    assert 0 < len(table) <= 4
    assert all(isinstance(p, int) and p > 0 for p in table.points)
    X = qualifier.training_[0]
    by_hand = sum(
        points * rule.met(X[rule.column].to_numpy(float))
        for rule, points in zip(table.rules, table.points, strict=True)
    )
    assert np.array_equal(table.points_for(X), by_hand)
    table.to_csv(tmp_path / "points.csv")
    assert pd.read_csv(tmp_path / "points.csv")["points"].tolist() == list(table.points)


@pytest.fixture(scope="module")
def below(scores):
    """The best of those who are not qualified."""
    frame = scores.frame[~scores.frame["qualified"]]
    return frame.sort_values("probability", ascending=False)["member_id"].iloc[0]


def test_what_would_bring_a_member_over_the_line_is_a_ranking(qualifier, community, at, below, scores):
    found = qualifier.over_the_line(community, at, below)
    assert found.probability == scores.frame.set_index("member_id").loc[below, "probability"]
    assert found.threshold == qualifier.threshold_
    frame = found.to_pandas()
    assert len(frame)
    assert set(frame["behaviour"]) <= {b.name for b in qualifier.plan_.behaviours}
    assert (frame["times"] <= frame["usual"]).all()
    assert (frame["probability"] > found.going_on).all()
    assert (frame["reaches"] == (frame["probability"] >= found.threshold)).all()
    rank = list(zip(~frame["reaches"], -frame["probability"], strict=True))
    assert [r for r, _ in rank] == sorted(r for r, _ in rank)
    assert "A ranking, not a promise" in str(found)


def test_who_is_over_the_line_needs_nothing(qualifier, community, at, scores):
    best = scores.top(1, include=("customers", "open_deals")).frame["member_id"].iloc[0]
    with pytest.raises(InputError, match="over the line already"):
        qualifier.over_the_line(community, at, best)


def test_who_is_not_in_the_population_has_no_line(qualifier, community, at):
    with pytest.raises(InputError, match="not in the population"):
        qualifier.over_the_line(community, at, "nobody")
