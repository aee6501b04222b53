"""evaluate and its report."""

from __future__ import annotations

import dataclasses
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from leadlight import Behaviour, Catalogue, Costs, Count, LeadQualifier, build_features, evaluate
from leadlight.errors import InputError, LeadlightWarning, LeakageError
from leadlight.evaluation import Report
from leadlight.evaluation.baselines import BASELINES


def test_figures_are_those_of_scikit_learn(report, qualifier, community, split):
    test = split[1].labelled()
    y = test.label.to_numpy()
    p = qualifier.predict_proba(build_features(community, test, qualifier.plan_))[:, 1]
    assert report.metric("average_precision") == pytest.approx(average_precision_score(y, p))
    assert report.metric("auc") == pytest.approx(roc_auc_score(y, p))
    assert report.metric("observed_expected") == pytest.approx(y.sum() / p.sum())
    calls = report.settings["calls"] * report.settings["cutoffs"]
    reached = y.sum() - report.metric("false_negatives")
    assert report.metric("false_positives") == calls - reached


def test_every_baseline_is_there_with_intervals(report):
    assert set(report.table.index.get_level_values("model")) == {"leadlight", *BASELINES}
    for model in ("leadlight", *BASELINES):
        low, high = report.interval("auc", model)
        assert low <= report.metric("auc", model) <= high
    assert report.metric("auc", "random") == pytest.approx(0.5, abs=0.15)


def test_differences_are_paired(report):
    row = report.table.loc[("lightgbm", "auc")]
    assert row["difference"] == pytest.approx(report.metric("auc") - report.metric("auc", "lightgbm"))
    assert row["difference_low"] <= row["difference"] <= row["difference_high"]


def test_a_model_does_not_differ_from_itself(qualifier, community, split, monkeypatch):
    import sys

    room = sys.modules["leadlight.evaluation.evaluate"]
    monkeypatch.setattr(
        room, "baseline_score", lambda name, plan, train, test: qualifier.predict_proba(test)[:, 1]
    )
    row = evaluate(qualifier, community, split[1], ("logistic",), rounds=20).table.loc[("logistic", "auc")]
    assert row[["difference", "difference_low", "difference_high"]].tolist() == [0.0, 0.0, 0.0]


def test_the_same_seed_gives_the_same_report(report, qualifier, community, split):
    again = evaluate(qualifier, community, split[1], rounds=60)
    pd.testing.assert_frame_equal(again.table, report.table)


def test_two_jobs_give_the_report_of_one(report, qualifier, community, split):
    two = evaluate(qualifier, community, split[1], rounds=60, n_jobs=2)
    pd.testing.assert_frame_equal(two.table, report.table, check_exact=True)
    pd.testing.assert_frame_equal(two.views, report.views, check_exact=True)


def test_the_sentence_names_calls_points_and_buyers(report):
    calls, reached = report.settings["calls"], report.metric("buyers_reached")
    assert report.settings["calls_per_week"] == pytest.approx(calls / 60 * 7)
    assert report.sentence.startswith(f"Simulated: With {calls / 60 * 7:.0f} calls a week your points reach ")
    assert f"of {report.settings['buyers']} buyers, this reaches {reached:.0f}. (" in report.sentence
    assert f"Calling the best 5% at each of 4 dates, {calls:.0f} calls each.)" in report.sentence
    assert report.sentence in str(report)


def test_irregular_dates_have_no_calls_a_week(qualifier, community, split):
    test = split[1]
    later = test.take(test.cutoff_us != np.unique(test.cutoff_us)[1])
    report = evaluate(qualifier, community, later, ("random",), rounds=3)
    assert "calls_per_week" not in report.settings
    assert "calls at each of 3 dates this reaches" in report.sentence


def test_buyers_missed_and_reached_are_all_buyers(report):
    for model in ("leadlight", "points", "random"):
        both = report.metric("buyers_reached", model) + report.metric("buyers_missed", model)
        assert both == report.settings["buyers"]


def test_lift_is_that_of_counting(report, qualifier, community, split):
    test = split[1].labelled()
    y = test.label.to_numpy()
    p = qualifier.predict_proba(build_features(community, test, qualifier.plan_))[:, 1]
    own = report.curves["lift"].query("model == 'leadlight'")
    assert own["rows"].sum() == len(y)
    assert own["positives"].sum() == y.sum()
    best = np.sort(p)[::-1][: own["rows"].iloc[0]]
    assert own["lift"].iloc[0] == pytest.approx(y[p >= best[-1]].sum() / len(best) / y.mean(), rel=0.05)
    assert own["cumulative"].iloc[-1] == pytest.approx(1)
    assert (own["low"] <= own["lift"]).all()
    assert (own["lift"] <= own["high"]).all()


def test_the_calibration_table_has_intervals(report):
    found = report.curves["calibration_table"].set_index("metric")
    assert list(found.index) == ["observed_expected", "calibration_slope"]
    assert (found["low"] < found["value"]).all()
    assert (found["value"] < found["high"]).all()
    assert found.loc["calibration_slope", "value"] == report.settings["calibration_slope"]


def test_without_costs_there_is_no_profit(report):
    assert "profit" not in report.curves
    assert ("leadlight", "profit") not in report.table.index


def test_profit_counts_a_buyer_once_and_a_call_each_time(qualifier, community, split):
    report = evaluate(qualifier, community, split[1], ("random",), rounds=5, costs=Costs(10, 1000))
    for model in ("leadlight", "random"):
        reached, wasted = (report.metric(m, model) for m in ("buyers_reached", "false_positives"))
        assert report.metric("profit", model) == 1000 * reached - 10 * wasted
    curve = report.curves["profit"]
    assert (curve["profit"] == 1000 * curve["buyers"] - 10 * curve["wasted"]).all()
    own = curve[curve["model"] == "leadlight"]
    assert own["profit"].iloc[0] == 0
    assert own["buyers"].iloc[-1] == report.settings["buyers"]
    best = own.loc[own["profit"].idxmax()]
    assert best["best"]
    assert report.settings["profit_best_share"] == best["called"]


def test_weeks_of_warning_are_above_chance_alerts(report):
    warning = report.warning
    assert list(warning.index) == ["leadlight", *BASELINES]
    np.testing.assert_allclose(warning["excess"], warning["weeks"] - warning["random"], atol=1e-9)
    assert report.metric("lead_weeks", "points") == warning.loc["points", "excess"]
    assert report.interval("lead_weeks") == tuple(warning.loc["leadlight", ["low", "high"]])
    # As many new alerts as calls, since the dates are two months apart.
    assert warning["budget"].iloc[0] == round(report.settings["calls"])


def test_the_order_of_the_rows_changes_nothing(report, qualifier, community, split):
    mixed = split[1].take(np.random.default_rng(0).permutation(len(split[1])))
    again = evaluate(qualifier, community, mixed, ("points", "recency"), rounds=2)
    for model in ("leadlight", "points", "recency"):
        for metric in ("average_precision", "buyers_reached", "false_negatives"):
            assert again.metric(metric, model) == pytest.approx(report.metric(metric, model))


def test_an_embargo_keeps_training_further_away(community, observations, catalogue):
    found = []
    for embargo in (None, "60d"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", LeadlightWarning)
            report = evaluate(
                LeadQualifier(catalogue), community, observations, ("random",), rounds=2, embargo=embargo
            )
        gap = pd.Timestamp(report.settings["first_cutoff"]) - pd.Timestamp(report.settings["trained_until"])
        found.append(gap)
    assert found[0] >= pd.Timedelta(0)
    assert found[1] >= pd.Timedelta("60D")


def test_the_wide_table_has_a_row_for_each_model(report):
    wide = report.wide()
    assert list(wide.index) == ["leadlight", *BASELINES]
    assert "average precision" in wide.columns
    assert "[" in wide.loc["leadlight", "AUC"]
    assert wide.loc["random", "log loss"] in ("-", np.nan) or pd.isna(wide.loc["random", "log loss"])


def test_losses_name_the_baselines_that_win(report):
    table = report.table.copy()
    table.loc[("logistic", "auc"), "difference_high"] = -0.01
    table.loc[("points", "log_loss"), "difference_high"] = -0.01
    found = dataclasses.replace(report, table=table).losses()
    assert "logistic on auc" in found
    assert not any("log_loss" in loss for loss in found)


def test_counts_tell_what_came_of_the_rows(report, split):
    frame = split[1].frame
    assert report.counts["rows"].sum() == len(frame)
    assert report.counts["positive"].sum() == (frame["label"] == 1).sum()
    assert report.counts["contacted"].sum() == (frame["contacted"] == True).sum()  # noqa: E712


def test_worth_and_audit_are_part_of_it(report):
    assert set(report.worth.index) == {"reads", "asks questions"}
    assert report.audit.checked == 8
    assert report.audit.clean


def test_the_page_is_escaped(report):
    odd = dataclasses.replace(report, table=report.table.rename(index={"random": "<b>"}))
    assert "<b>" not in odd._repr_html_()


def test_cutoffs_that_training_reached_are_refused(qualifier, community, observations):
    with pytest.raises(LeakageError, match="test rows have cutoffs before"):
        evaluate(qualifier, community, observations)


def test_an_unfitted_qualifier_is_cloned_and_left_unfitted(community, observations, catalogue):
    qualifier = LeadQualifier(catalogue)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LeadlightWarning)
        report = evaluate(qualifier, community, observations, ("random",), rounds=5)
    assert isinstance(report, Report)
    assert not hasattr(qualifier, "plan_")
    assert report.settings["first_cutoff"] >= report.settings["trained_until"]


def test_an_unknown_baseline_is_an_error_before_anything_is_fitted(community, observations, catalogue):
    for wrong in (("dice",), "points"):
        with pytest.raises(InputError, match="baselines"):
            evaluate(LeadQualifier(catalogue), community, observations, wrong)


def test_a_share_is_a_share(qualifier, community, split):
    with pytest.raises(InputError, match="share"):
        evaluate(qualifier, community, split[1], share=5)


def test_a_loaded_qualifier_cannot_be_judged_and_says_why(qualifier, community, split, tmp_path):
    qualifier.save(tmp_path / "model")
    with pytest.raises(InputError, match="no training rows"):
        evaluate(LeadQualifier.load(tmp_path / "model"), community, split[1])


def test_without_positives_there_is_nothing_to_rank(qualifier, community, split):
    test = split[1]
    with pytest.raises(InputError, match="0 positives"):
        evaluate(qualifier, community, test.take((test.frame["label"] == 0).to_numpy()))


def test_a_catalogue_without_points_has_no_points_to_beat(community, observations):
    plain = Catalogue([Behaviour("reads", (Count("view", window="30d"),), reason="read")])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LeadlightWarning)
        report = evaluate(LeadQualifier(plain), community, observations, ("points", "random"), rounds=5)
    assert set(report.table.index.get_level_values("model")) == {"leadlight", "random"}
    assert "points" not in report.sentence
    assert "hand-set points" in report.notes[0]


def test_no_bound_of_a_count_lies_above_what_there_is_to_count(report):
    buyers, rows, positives = (report.settings[name] for name in ("buyers", "rows", "positives"))
    table = report.table.copy()
    for metric in ("buyers_reached", "buyers_missed", "false_negatives", "false_positives"):
        table.loc[("points", metric), ["high", "difference_low", "difference_high"]] = 1e6, -1e6, 1e6
    wide = dataclasses.replace(report, table=table)
    assert wide.interval("buyers_reached", "points")[1] == buyers
    assert wide.interval("false_negatives", "points")[1] == positives
    assert wide.interval("false_positives", "points")[1] == rows - positives
    gap = wide.bounded().loc[("points", "buyers_missed"), ["difference_low", "difference_high"]]
    assert gap.tolist() == [-buyers, buyers]
    assert f", {buyers}]" in wide.wide().loc["points", "buyers reached"]
    assert wide.table.loc[("points", "buyers_reached"), "high"] == 1e6


def test_bounds_of_what_is_no_count_stay(report):
    for metric in ("auc", "observed_expected", "calibration_slope", "lead_weeks"):
        assert report.interval(metric) == tuple(report.table.loc[("leadlight", metric), ["low", "high"]])
    inside, raw = report.bounded(), report.table
    assert (inside["value"] == raw["value"]).all() or inside["value"].equals(raw["value"])
    assert ((inside["low"] <= inside["value"]) | inside["low"].isna()).all()
    assert ((inside["high"] >= inside["value"]) | inside["high"].isna()).all()


def test_no_view_misses_more_buyers_than_it_holds(report):
    views = report.views.copy()
    views.loc[views["metric"] == "buyers_missed", "high"] = 1e6
    found = dataclasses.replace(report, views=views).bounded_views()
    assert list(found.columns) == list(views.columns)
    for _, lines in found.groupby("view"):
        held = lines.loc[(lines["model"] == "population") & (lines["metric"] == "buyers"), "value"].iloc[0]
        assert (lines.loc[lines["metric"] == "buyers_missed", "high"] == held).all()
    assert "1000000" not in dataclasses.replace(report, views=views).views_text()
