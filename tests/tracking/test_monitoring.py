"""What drifted is said, what did not is not, and the advice follows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient
from tests.tracking.small import job, small_community

import leadlight as ll
from leadlight.errors import InputError, LeadlightWarning
from leadlight.qualifier.profile import profile_of, profiled_rows, shares
from leadlight.tracking import monitor, recalibrate, train
from leadlight.tracking.drift import behaviour_drift, column_drift, grade, stability
from leadlight.tracking.pending import find

SOON = "2025-06-01"


@pytest.fixture(scope="module")
def qualifier(small_community, tmp_path_factory):
    settings = job(tmp_path_factory.mktemp("m"), {"tracking.enabled": False, "evaluation.enabled": False})
    return train(settings, community=small_community, show_progress=False).qualifier


@pytest.fixture(scope="module")
def steady(qualifier, small_community):
    return monitor(qualifier, small_community, SOON, rounds=50)


@pytest.fixture(scope="module")
def drifted(qualifier, _small_catalogue):
    return monitor(qualifier, small_community("2025-03-01"), SOON, rounds=50)


class TestProfile:
    def test_shares_add_up_to_one(self):
        X = np.random.default_rng(0).normal(size=(500, 3))
        X[:50, 1] = np.nan
        profile = profile_of(X)
        assert profile[:, 9:].sum(axis=1) == pytest.approx(1.0)
        assert profile[1, -1] == 0.1

    def test_a_column_of_mostly_zeros_keeps_zero_and_more_apart(self):
        X = np.zeros((1000, 1))
        X[:40] = 3.0
        assert profile_of(X)[0, 9:11].tolist() == [0.96, 0.04]

    def test_a_value_at_an_edge_counts_below_it(self):
        edges = np.array([1.0] + [np.nan] * 8)
        assert shares(edges, np.array([1.0, 1.1, np.nan, 0.0]))[[0, 1, -1]].tolist() == [0.5, 0.25, 0.25]

    def test_few_rows_keep_no_profile(self):
        assert profile_of(np.zeros((199, 2))) is None

    def test_the_latest_cutoffs_that_hold_enough_rows_are_profiled(self):
        cutoffs = np.repeat([1, 2, 3], [5000, 700, 400])
        assert profiled_rows(cutoffs).sum() == 1100

    def test_the_bundle_keeps_it(self, qualifier, tmp_path):
        qualifier.save(tmp_path / "m")
        kept = ll.load(tmp_path / "m")
        assert np.array_equal(kept.model.profile, qualifier.scorer_.model.profile, equal_nan=True)
        assert kept.info["profile"]["rows"] > 1000

    def test_a_bundle_without_a_profile_is_still_one(self, qualifier, tmp_path):
        old = qualifier.scorer_
        bare = ll.Scorer(replace(old.model, profile=None), old.plan, dict(old.info))
        bare.save(tmp_path / "m")
        assert not (tmp_path / "m" / "profile.npy").exists()
        assert ll.load(tmp_path / "m").model.profile is None

    def test_no_score_depends_on_it(self, qualifier):
        old = qualifier.scorer_.model
        X = np.zeros((3, len(old.columns)))
        assert (replace(old, profile=None).probability(X) == old.probability(X)).all()

    def test_a_profile_of_another_shape_is_refused(self, qualifier):
        from leadlight.errors import BundleError

        with pytest.raises(BundleError, match="profile"):
            replace(qualifier.scorer_.model, profile=np.zeros((1, 20))).validate()


class TestStability:
    def test_equal_shares_are_stable(self):
        index, chance = stability(np.full(10, 0.1), np.full(10, 0.1), 1000, 1000)
        assert index == pytest.approx(0, abs=1e-12)
        assert grade(index, chance) == "stable"

    def test_the_index_is_the_usual_sum(self):
        p, q = np.array([0.5, 0.5]), np.array([0.8, 0.2])
        expected = float(((q - p) * np.log(q / p)).sum())
        assert stability(p, q, 1e9, 1e9)[0] == pytest.approx(expected, rel=1e-6)

    def test_what_chance_does_to_few_rows_is_no_drift(self):
        rng = np.random.default_rng(1)
        worst = 0.0
        for _ in range(200):
            now = np.bincount(rng.integers(0, 10, 40), minlength=10) / 40
            index, chance = stability(np.full(10, 0.1), now, 2000, 40)
            worst = max(worst, index / chance)
            assert grade(index, chance) != "drifted"
        assert worst > 0.3

    def test_a_shift_is_drift(self):
        before = np.full(10, 0.1)
        assert grade(*stability(before, np.append(np.zeros(5), np.full(5, 0.2)), 1000, 1000)) == "drifted"


class TestMonitor:
    def test_a_community_that_stayed_is_left_alone(self, steady):
        assert (steady.advice, steady.exit_code) == ("nothing", 0)
        assert set(steady.behaviours["verdict"]) <= {"stable", "moved"}
        assert steady.checks.loc["calibration", "verdict"] == "holds"

    def test_a_behaviour_that_everybody_took_up_asks_for_retraining(self, drifted):
        assert (drifted.advice, drifted.exit_code) == ("retrain", 4)
        assert drifted.behaviours.loc["asks", "verdict"] == "drifted"
        assert "asks" in drifted.reasons[0]
        assert drifted.checks.loc["score drift", "verdict"] == "drifted"

    def test_probabilities_that_are_off_ask_for_recalibration(self, qualifier, small_community):
        old = qualifier.scorer_
        line = replace(old.model.calibration, intercept=old.model.calibration.intercept + 1.5)
        from leadlight.tracking.recalibration import _loaded

        off = _loaded(qualifier, ll.Scorer(replace(old.model, calibration=line), old.plan, dict(old.info)))
        found = monitor(off, small_community, SOON, rounds=50)
        assert (found.advice, found.exit_code) == ("recalibrate", 3)
        again = monitor(recalibrate(off, small_community, every="60d"), small_community, SOON, rounds=50)
        assert again.checks.loc["calibration", "verdict"] == "unknown"  # no window that it has not seen

    def test_tags_that_the_plan_does_not_know_ask_for_retraining(self, qualifier, small_community):
        activity = small_community.activity.to_pandas()
        late = activity["occurred_at"] >= pd.Timestamp("2025-03-01", tz="UTC")
        activity.loc[late, "tags"] = pd.Series([["new"]] * int(late.sum()), index=activity.index[late])
        found = monitor(qualifier, ll.Community(activity), SOON, rounds=50)
        assert found.checks.loc["unseen tags", "verdict"] == "drifted"
        assert found.advice == "retrain"

    def test_volume_is_compared(self, qualifier, small_community):
        activity = small_community.activity.to_pandas()
        few = activity[activity["member_id"].isin(activity["member_id"].unique()[:100])]
        assert monitor(qualifier, ll.Community(few), SOON).checks.loc["volume", "verdict"] == "moved"

    def test_before_a_window_matured_calibration_is_unknown_and_says_when(self, qualifier, small_community):
        activity = small_community.activity.to_pandas()
        early = activity[activity["occurred_at"] < pd.Timestamp("2025-03-10", tz="UTC")]
        found = monitor(qualifier, ll.Community(early))
        assert found.checks.loc["calibration", "verdict"] == "unknown"
        assert "ends on" in found.checks.loc["calibration", "text"]

    def test_columns_add_up_to_behaviours(self, qualifier, drifted):
        X = np.zeros((50, len(qualifier.scorer_.columns)))
        columns = column_drift(qualifier.scorer_, X)
        behaviours = behaviour_drift(qualifier.scorer_, X, columns)
        assert behaviours["columns"].sum() == len(columns)
        assert behaviours["importance"].sum() == pytest.approx(1.0)

    def test_nobody_in_the_population_is_an_error(self, qualifier, small_community):
        with pytest.raises(InputError, match="Nobody"):
            monitor(qualifier, small_community, "2023-01-01")

    def test_a_bundle_without_profile_is_an_error(self, qualifier, small_community):
        from leadlight.tracking.recalibration import _loaded

        old = qualifier.scorer_
        bare = _loaded(qualifier, ll.Scorer(replace(old.model, profile=None), old.plan, dict(old.info)))
        with pytest.raises(InputError, match="no profile"):
            monitor(bare, small_community, SOON)

    def test_it_is_logged_as_a_run_with_tables_and_plots(self, qualifier, small_community, tmp_path):
        uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
        found = monitor(
            qualifier, small_community, SOON, rounds=20, log=True, tracking_uri=uri, beside=tmp_path / "w"
        )
        client = MlflowClient(tracking_uri=uri)
        run = client.get_run(found.run.run_id)
        assert run.data.tags["advice"] == "nothing"
        assert run.data.metrics["calibration.now"] == found.checks.loc["calibration", "now"]
        names = {f.path for f in client.list_artifacts(run.info.run_id)}
        assert names >= {"checks.json", "behaviours.json", "columns.json", "monitoring.txt", "plots"}
        assert not find(tmp_path)

    def test_a_server_that_is_absent_leaves_it_pending(self, qualifier, small_community, tmp_path):
        with pytest.warns(LeadlightWarning, match="did not take the run"):
            found = monitor(
                qualifier,
                small_community,
                SOON,
                rounds=20,
                log=True,
                tracking_uri="http://127.0.0.1:9",
                beside=tmp_path / "w",
            )
        assert found.run.pending
        assert len(find(tmp_path)) == 1


@pytest.fixture(scope="module")
def again(qualifier, small_community):
    return recalibrate(qualifier, small_community)


class TestRecalibration:
    def test_the_mean_probability_is_what_was_observed(self, qualifier, again, small_community):
        from leadlight.tracking.comparison import unseen_rows

        rows = unseen_rows(small_community, [qualifier])
        p = again.predict_proba(ll.build_features(small_community, rows, again.plan_))[:, 1]
        assert p.mean() == pytest.approx(rows.label.mean(), rel=1e-6)

    def test_ranking_grades_and_who_is_qualified_stay(self, qualifier, again, small_community):
        before, after = (q.score(small_community, SOON).frame for q in (qualifier, again))
        assert (before["probability"].rank() == after["probability"].rank()).all()
        assert before["qualified"].equals(after["qualified"])
        assert (before["grade"] == after["grade"]).mean() > 0.99

    def test_training_reaches_to_the_end_of_what_was_used(self, qualifier, again):
        assert again.trained_until_us_ > qualifier.trained_until_us_

    def test_it_is_saved_and_says_where_it_comes_from(self, qualifier, again, tmp_path):
        again.save(tmp_path / "m")
        found = ll.LeadQualifier.load(tmp_path / "m")
        assert found.scorer_.info["recalibrated"]["from_version"] == qualifier.scorer_.version
        assert found.trained_until_us_ == again.trained_until_us_
        assert found.scorer_.model.profile is not None
