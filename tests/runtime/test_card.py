"""The model card: one whole card, and what it says where a bundle says little or odd things."""

from __future__ import annotations

from pathlib import Path

import pytest

from leadlight.plan import Plan
from leadlight.runtime.card import card

GOLDEN = Path(__file__).with_name("card.md")
DIGEST = "0123456789ab" + "c" * 52
INFO = {
    "library_version": "0.1.0",
    "data_fingerprint": "f" * 64,
    "estimand": "P(won within 90 days) under present sales practice",
    "simulated": False,
    "selection": "discount",
    "terms": "exported under contract 7, to be deleted by 2027",
    "windows": {
        "active_within_us": 180 * 86_400_000_000,
        "enters_on": [],
        "trained_until_us": 1_500_000_000_000_000,
    },
    "decision": {
        "kind": "capacity",
        "parameters": {"share": 0.05},
        "text": "Qualified: the best-scored 5%.",
        "threshold": 0.02,
        "price": {
            "source": "out-of-fold",
            "rows": 12_000,
            "missed": 9,
            "buyers": 60,
            "missed_share": 0.15,
            "missed_low": 0.07,
            "missed_high": 0.27,
            "calls_per_buyer": 12.34,
        },
    },
    "metrics": {
        "training_rows": 12_000,
        "training_positives": 260,
        "positive_groups": 60,
        "test": {
            "sentence": "With 12 calls a week your points reach 20 of 53 buyers, this reaches 35.",
            "settings": {
                "rows": 5_000,
                "accounts": 800,
                "buyers": 53,
                "cutoffs": 6,
                "share": 0.05,
                "first_cutoff": "2017-01-01T00:00:00Z",
                "last_cutoff": "2017-06-01T00:00:00Z",
                "trained_until": "2016-12-01T00:00:00Z",
            },
            "figures": [
                {"model": "leadlight", "metric": "buyers_reached", "value": 35.0, "low": 28.0, "high": 44.0},
                {
                    "model": "leadlight",
                    "metric": "average_precision",
                    "value": 0.1721,
                    "low": 0.1321,
                    "high": 0.2141,
                },
                {"model": "leadlight", "metric": "lead_weeks", "value": 3.0, "low": 1.0, "high": 5.0},
                {"model": "points", "metric": "buyers_reached", "value": 20.0, "low": 13.0, "high": 27.0},
                {
                    "model": "points",
                    "metric": "average_precision",
                    "value": 0.1171,
                    "low": None,
                    "high": None,
                },
            ],
        },
    },
}


def made(plan, **changes):
    return card(INFO | changes, plan, plan.column_names or ("age", "city"), DIGEST)


def test_a_card_is_the_golden_one(plan):
    assert made(plan) == GOLDEN.read_text(encoding="utf-8")


def test_a_model_that_was_not_judged_says_so(plan):
    text = made(plan, metrics={"training_rows": 5})
    assert "It was not judged on later data" in text
    assert "|" not in text.split("## How good it is")[1].split("##")[0]


def test_few_buyers_are_pointed_out(plan):
    metrics = INFO["metrics"] | {"positive_groups": 7}
    assert "only 7 accounts or members had won" in made(plan, metrics=metrics)
    assert "had won" not in made(plan)


def test_simulated_data_are_named_first(plan):
    answers = made(plan, simulated=True).split("## What it answers")[1]
    assert answers.strip().startswith("**Made of simulated data")


def test_unknown_terms_are_said_to_be_unknown(plan):
    assert "the bundle does not say; ask who trained it" in made(plan, terms=None)


def test_text_of_a_bundle_stays_text(plan):
    text = made(plan, estimand="<script>alert(1)</script> | [x](http://y)", terms="# *a*\n## b")
    assert "<script>" not in text
    assert r"\<script\>" in text
    assert "\n## b" not in text


@pytest.mark.parametrize("metrics", [{}, {"test": {}}, {"test": {"figures": [{"model": "a"}]}}])
@pytest.mark.parametrize(
    "decision", [{"text": "", "threshold": None}, {"text": "", "threshold": 0.1, "price": {"buyers": 3}}]
)
def test_whatever_is_lacking_there_is_a_card(plan, metrics, decision):
    text = made(plan, metrics=metrics, decision=decision, windows={}, estimand="", data_fingerprint="")
    assert "A person decides" in text
    assert "None" not in text
    assert "nan" not in text


def test_a_model_of_a_plain_lead_table_names_its_columns():
    assert "2 columns of a lead table: `age`, `city`." in made(Plan((), (), ()))


def test_the_scorers_card_names_its_digest(scorer):
    assert f"`{scorer.digest}`" in scorer.card()
    assert scorer.card().startswith(f"# Model card: lead score {scorer.version}\n")
