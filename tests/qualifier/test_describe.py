"""What an evaluation found travels with the bundle."""

from __future__ import annotations

import copy

import numpy as np
import pandas as pd
import pytest

from leadlight.errors import NotFittedError
from leadlight.evaluation import Report
from leadlight.qualifier import LeadQualifier
from leadlight.runtime import load

SETTINGS = {
    "share": 0.05,
    "rows": 90,
    "positives": 4,
    "accounts": 30,
    "buyers": 3,
    "cutoffs": 2,
    "calls": 2.0,
}


@pytest.fixture
def report():
    index = pd.MultiIndex.from_tuples(
        [("leadlight", "buyers_reached"), ("leadlight", "auc"), ("points", "auc")], names=["model", "metric"]
    )
    columns = ("value", "low", "high", "difference", "difference_low", "difference_high")
    values = np.array([[2.0, 0.0, 7.0], [0.8, 0.7, 0.9], [0.6, np.nan, np.nan]])
    table = pd.DataFrame(np.hstack([values, np.full((3, 3), np.nan)]), index, list(columns))
    return Report(table, {}, pd.DataFrame(), SETTINGS)


@pytest.fixture
def own(qualifier):
    return copy.copy(qualifier)


def test_figures_and_intervals_are_in_the_bundle_and_on_the_card(own, report, tmp_path):
    own.save(tmp_path / "model", report=report, terms="ours")
    scorer = load(tmp_path / "model")
    test = scorer.info["metrics"]["test"]
    assert test["settings"] == SETTINGS
    assert test["figures"][1] == {
        "model": "leadlight",
        "metric": "auc",
        "value": 0.8,
        "low": 0.7,
        "high": 0.9,
    }
    assert test["figures"][2]["low"] is None
    # A reader has so many buyers and no more.
    assert test["figures"][0]["high"] == SETTINGS["buyers"]
    assert "0.800 [0.700, 0.900]" in scorer.card()
    assert report.sentence in scorer.card()
    assert "terms: ours" in scorer.card()


def test_scores_name_the_version_that_is_saved(own, report, tmp_path, community, at):
    before = own.scorer_.version
    own.save(tmp_path / "model", report=report)
    assert before != own.scorer_.version == load(tmp_path / "model").version
    assert set(own.score(community, at).frame["model_version"]) == {own.scorer_.version}


def test_what_training_counted_is_kept(own, report):
    training = own.scorer_.info["metrics"]["training_rows"]
    assert own.describe(report=report).scorer_.info["metrics"]["training_rows"] == training


def test_without_anything_to_say_nothing_changes(own):
    before = own.scorer_.digest
    assert own.describe().scorer_.digest == before


def test_before_fit_it_says_so(report):
    with pytest.raises(NotFittedError):
        LeadQualifier().describe(report=report)
