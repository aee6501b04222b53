"""Who was approached decides which labels mean no."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from leadlight import LeadQualifier, Observations, observe
from leadlight.errors import InputError, LeadlightWarning
from leadlight.qualifier.selection import choose, training_weight


def rows(contacted, label=(1, 1, 0, 0), weight=(0.5, 1.0, 1.0, 1.0)):
    frame = [
        {"member_id": f"m{i}", "cutoff": "2024-01-01", "label": one, "weight": w}
        for i, (one, w) in enumerate(zip(label, weight, strict=True))
    ]
    found = Observations.from_frame(frame)
    found.frame["contacted"] = contacted
    return found


KNOWN, UNKNOWN = rows([True, False, True, False]), rows([None] * 4)


@pytest.mark.parametrize(
    ("selection", "expected"),
    [("none", [0.5, 1, 1, 1]), ("discount", [0.5, 1, 1, 0.1]), ("contacted-only", [0.5, 1, 1, 0])],
)
def test_whom_nobody_asked_weighs_less(selection, expected):
    assert training_weight(selection, KNOWN).tolist() == expected
    assert KNOWN.weight.tolist() == [0.5, 1, 1, 1]


def test_auto_discounts_where_it_is_known_who_was_asked():
    assert choose("auto", KNOWN) == "discount"
    assert choose("auto", UNKNOWN) == "none"


@pytest.mark.parametrize("selection", ["discount", "contacted-only"])
def test_without_contacts_there_is_nothing_to_discount_by(selection):
    with pytest.raises(InputError, match="contacts table"):
        choose(selection, UNKNOWN)


def test_an_unknown_selection_is_an_error():
    with pytest.raises(InputError, match="'most'"):
        choose("most", KNOWN)


@pytest.mark.parametrize(
    ("selection", "asked"), [("auto", True), ("discount", True), ("contacted-only", True), ("none", False)]
)
def test_the_estimand_says_what_was_calibrated_on(community, catalogue, selection, asked):
    every = observe(community, every="120d")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LeadlightWarning)
        fitted = LeadQualifier(catalogue, selection=selection).fit(community, every)
    assert ("| approached" in fitted.estimand_) is asked
    assert ("present sales practice" in fitted.estimand_) is not asked
    assert fitted.scorer_.estimand == fitted.estimand_
    p = 1 / (1 + np.exp(-fitted.classifier_.oof_log_odds_))
    label = (every.frame["label"] == 1).to_numpy()
    base = (every.frame["contacted"] == True).to_numpy(bool) if asked else np.ones(len(label), bool)  # noqa: E712
    assert p[base].mean() == pytest.approx(label[base].mean(), rel=1e-3)
