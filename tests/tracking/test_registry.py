"""The champion changes only through gates; it says which one failed; and it can be taken back."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from mlflow import MlflowClient
from tests.tracking.small import job

import leadlight as ll
from leadlight.errors import ImmatureLabelError, InputError
from leadlight.evaluation import Audit
from leadlight.tracking import comparison, promote, recalibrate, rollback, train
from leadlight.tracking.comparison import OBSERVED_EXPECTED, Span, compare
from leadlight.tracking.registry import opened
from leadlight.tracking.run import log_run

GATES = (
    "better at capacity",
    "calibration in bounds",
    "no large segment worse",
    "leakage audit clean",
    "bundle verified",
)


@pytest.fixture(scope="module")
def fitted(small_community, tmp_path_factory):
    """A good model, and one of another seed, trained until March; no run is logged."""
    folder = tmp_path_factory.mktemp("fitted")
    off = {"tracking.enabled": False, "evaluation.enabled": False}
    good = train(job(folder, off), community=small_community, show_progress=False).qualifier
    other = {**off, "model.random_state": 5, "bundle": str(folder / "models" / "other")}
    return good, train(job(folder, other), community=small_community, show_progress=False).qualifier


def worsened(qualifier, slope: float, shift: float = 0.0):
    """The same model with another line from margin to log-odds."""
    old = qualifier.scorer_
    line = replace(old.model.calibration, slope=slope, intercept=old.model.calibration.intercept + shift)
    made = recalibrated_copy(qualifier)
    made.scorer_ = ll.Scorer(replace(old.model, calibration=line), old.plan, dict(old.info))
    return made


def recalibrated_copy(qualifier):
    from leadlight.tracking.recalibration import _loaded

    return _loaded(qualifier, qualifier.scorer_)


@pytest.fixture
def store(tmp_path):
    return f"sqlite:///{tmp_path / 'mlflow.db'}"


def log(qualifier, store: str, folder: Path, name: str):
    bundle = folder / name
    return log_run(qualifier, bundle=bundle, tracking_uri=store, run_name=name, registered_model="leadlight")


def champion(store: str) -> str:
    return str(MlflowClient(tracking_uri=store).get_model_version_by_alias("leadlight", "champion").version)


class TestGates:
    def test_a_good_model_passes_every_gate(self, fitted, small_community):
        gates = compare(fitted[0], None, small_community, rounds=50).gates()
        assert [(g.name, g.passed) for g in gates] == [(name, True) for name in GATES[:4]]

    def test_an_equal_model_is_not_better(self, fitted, small_community):
        found = compare(fitted[1], fitted[0], small_community, rounds=50)
        assert found.against == "champion"
        assert not found.gates()[0].passed

    def test_a_model_that_ranks_backwards_is_not_better_and_worse_in_segments(self, fitted, small_community):
        found = compare(worsened(fitted[0], -1.0), fitted[0], small_community, rounds=50)
        gates = {g.name: g.passed for g in found.gates()}
        assert not gates["better at capacity"]
        assert not gates["no large segment worse"]
        assert found.gain.high < 0

    @pytest.mark.parametrize("shift", [-2.0, 2.0])
    def test_a_level_that_is_off_is_out_of_bounds(self, fitted, small_community, shift):
        found = compare(worsened(fitted[0], 1.0, shift), None, small_community, rounds=50)
        gates = {g.name: g.passed for g in found.gates()}
        assert gates["better at capacity"]
        assert not gates["calibration in bounds"]

    def test_a_slope_that_is_off_is_out_of_bounds(self, fitted, small_community):
        found = compare(fitted[0], None, small_community, rounds=50)
        low, high = OBSERVED_EXPECTED
        level = Span(1.0, low, high)
        assert not replace(found, observed_expected=level, slope=Span(3.0, 2.1, 4.0)).gates()[1].passed
        assert replace(found, observed_expected=level, slope=Span(3.0, 1.9, 4.0)).gates()[1].passed

    def test_a_flagged_column_fails_the_audit_gate(self, fitted, small_community):
        found = compare(fitted[0], None, small_community, rounds=50)
        assert not replace(found, audit=Audit({"a": "proof"})).gates()[3].passed

    def test_better_probabilities_of_the_same_calls_are_better(self, fitted, small_community):
        bad = worsened(fitted[0], fitted[0].scorer_.model.calibration.slope, -1.0)
        found = compare(fitted[0], bad, small_community, rounds=50)
        assert found.same_calls
        assert found.gates()[0].passed
        assert not compare(bad, fitted[0], small_community, rounds=50).gates()[0].passed

    def test_the_rows_are_later_than_what_either_was_trained_on(self, fitted, small_community):
        later = recalibrate(fitted[0], small_community, every="60d")
        rows = comparison.unseen_rows(small_community, [fitted[0]])
        assert rows.cutoff_us.min() >= fitted[0].trained_until_us_
        with pytest.raises(ImmatureLabelError, match="No verdict"):
            compare(fitted[0], later, small_community)


class TestPromotion:
    def test_the_first_champion_must_beat_hand_set_points(self, fitted, small_community, store, tmp_path):
        log(fitted[0], store, tmp_path, "one")
        verdict = promote(small_community, tracking_uri=store, rounds=50)
        assert verdict.promoted
        assert [g.name for g in verdict.gates] == list(GATES)
        assert (champion(store), verdict.champion) == ("1", None)
        tags = MlflowClient(tracking_uri=store).get_model_version("leadlight", "1").tags
        assert tags["verdict"] == "promoted"
        assert tags["gate.bundle_verified"].startswith("passed")

    def test_a_failed_gate_is_named_and_moves_nothing(self, fitted, small_community, store, tmp_path):
        log(fitted[0], store, tmp_path, "one")
        promote(small_community, tracking_uri=store, rounds=50)
        log(worsened(fitted[0], -1.0), store, tmp_path, "two")
        verdict = promote(small_community, tracking_uri=store, rounds=50)
        assert not verdict.promoted
        assert "better at capacity" in verdict.failed
        assert "Not promoted: better at capacity" in str(verdict)
        assert champion(store) == "1"
        tags = MlflowClient(tracking_uri=store).get_model_version("leadlight", "2").tags
        assert tags["gate.better_at_capacity"].startswith("FAILED")

    def test_the_way_back(self, fitted, small_community, store, tmp_path):
        bad = worsened(fitted[0], fitted[0].scorer_.model.calibration.slope, -0.6)
        log(bad, store, tmp_path, "one")
        assert promote(small_community, tracking_uri=store, rounds=50).promoted
        log(fitted[0], store, tmp_path, "two")
        assert promote(small_community, tracking_uri=store, rounds=50).promoted
        assert champion(store) == "2"
        assert rollback(tracking_uri=store) == ("2", "1")
        assert champion(store) == "1"
        with pytest.raises(InputError, match="Before version 1"):
            rollback(tracking_uri=store)

    def test_a_bundle_that_was_changed_in_the_store_is_refused(
        self, fitted, small_community, store, tmp_path
    ):
        log(fitted[0], store, tmp_path, "one")
        (bundle,) = (tmp_path / "mlartifacts").rglob("data/bundle")
        shutil.rmtree(bundle)
        fitted[1].save(bundle)
        verdict = promote(small_community, tracking_uri=store, rounds=50)
        assert verdict.failed == ("bundle verified",)

    def test_a_damaged_bundle_is_refused(self, fitted, small_community, store, tmp_path):
        log(fitted[0], store, tmp_path, "one")
        (path,) = (tmp_path / "mlartifacts").rglob("data/bundle/quantiles.npy")
        path.write_bytes(path.read_bytes()[:-1])
        with pytest.raises(InputError, match="not sound"):
            promote(small_community, tracking_uri=store, rounds=50)

    def test_a_verdict_on_immature_windows_is_refused(self, small_community, store, tmp_path):
        everything = {"labels.until": None, "evaluation.enabled": False}
        train(job(tmp_path, everything), community=small_community, show_progress=False)
        with pytest.raises(ImmatureLabelError, match="Wait until then"):
            promote(small_community, tracking_uri=store)
        assert "verdict" not in MlflowClient(tracking_uri=store).get_model_version("leadlight", "1").tags

    def test_a_version_that_is_not_there_is_an_error(self, small_community, store, fitted, tmp_path):
        log(fitted[0], store, tmp_path, "one")
        with pytest.raises(InputError, match="no version '7'"):
            promote(small_community, version="7", tracking_uri=store)
        with pytest.raises(InputError, match="no champion"):
            rollback(tracking_uri=store)

    def test_a_server_that_is_not_there_is_an_error(self, small_community, monkeypatch):
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        with pytest.raises(InputError, match=r"127\.0\.0\.1:9"):
            promote(small_community, tracking_uri="http://127.0.0.1:9")

    def test_a_version_opens_as_a_qualifier(self, fitted, store, tmp_path):
        log(fitted[0], store, tmp_path, "one")
        with opened("@challenger", store) as (found, name):
            assert found.scorer_.digest == fitted[0].scorer_.digest
        assert name == "leadlight version 1"


def test_a_span_holds_the_figure_of_the_sample():
    draws = np.array([3.0, 2.0, 4.0, 3.0, 3.5])
    span = Span.of(draws, 30)
    assert span.low < span.value == 3.0 < span.high
