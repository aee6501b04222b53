"""Objects show themselves in a notebook: what they hold, escaped, without colours and without anything fetched."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from tests.conftest import CATALOGUE, table
from tests.explain.conftest import make_report, make_scores

import leadlight as ll
from leadlight.evaluation import Audit
from leadlight.runtime import Reason
from leadlight.runtime.predictions import Predictions
from leadlight.runtime.showing import chance, escaped, facts, folded
from leadlight.sources import CrmTables

pytestmark = pytest.mark.filterwarnings("ignore::leadlight.errors.LeadlightWarning")

HOSTILE = "<script>alert('x')</script>"


def crm() -> CrmTables:
    deals = pd.DataFrame({"deal_id": ["1", "2"], "outcome": ["won", None]})
    stages = pd.DataFrame({"stage": [HOSTILE], "outcome": ["won"], "deals": [1]})
    refused = pd.DataFrame({"file": ["deals"], "row": [4], "reason": [f"no {HOSTILE}"], "values": [{}]})
    return CrmTables(deals, pd.DataFrame(), pd.DataFrame(), stages, refused)


def prediction(text: str = HOSTILE) -> ll.Prediction:
    return ll.Prediction(0.123, 0.08, 0.2, "A", True, (ll.Reason(text, 0.5, text),), False, "abc", 97.0)


def predictions(count: int = 1) -> Predictions:
    ones = np.full(count, 0.123)
    yes = np.ones(count, bool)
    names = tuple([HOSTILE] * count)
    reasons = [(Reason(HOSTILE, 0.5, HOSTILE),)] * count
    grades = np.array(["A"] * count)
    return Predictions(
        ones, ones, ones, ones, grades, yes, ~yes, reasons, [()] * count, "abc", member_id=names
    )


@pytest.fixture(scope="module")
def qualifier(community, observations):
    catalogue = ll.Catalogue(list(CATALOGUE), HOSTILE)
    return ll.LeadQualifier(catalogue, ll.LeadClassifier(n_folds=3, blend=False)).fit(community, observations)


@pytest.fixture(scope="module")
def shown(community, observations, qualifier):
    """The HTML of each kind of object, hostile texts in those that hold texts of others."""
    audit = Audit({HOSTILE: HOSTILE}, {"b": HOSTILE}, checked=2)
    log = table(f"{HOSTILE.replace(' ', '')} {HOSTILE} 2024-03-01; ann view soon")
    objects = {
        "Community": log,
        "Observations": observations,
        "Catalogue": ll.Catalogue([ll.Behaviour(HOSTILE, (ll.Count(HOSTILE),), reason=HOSTILE)], HOSTILE),
        "LeadQualifier": qualifier,
        "LeadQualifier, not fitted": ll.LeadQualifier(ll.Catalogue(list(CATALOGUE), HOSTILE)),
        "Scores": make_scores(member=HOSTILE, text=HOSTILE),
        "Report": make_report(audit=audit),
        "Audit": audit,
        "Scorer": qualifier.scorer_,
        "Prediction": prediction(),
        "Predictions": predictions(),
        "CrmTables": crm(),
    }
    return {name: found._repr_html_() for name, found in objects.items()}


KINDS = (
    "Community", "Observations", "Catalogue", "LeadQualifier", "LeadQualifier, not fitted", "Scores", "Report",
    "Audit", "Scorer", "Prediction", "Predictions", "CrmTables",
)  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_no_text_becomes_an_element(shown, kind):
    assert "<script" not in shown[kind]


@pytest.mark.parametrize("kind", ["Community", "Catalogue", "Scores", "Audit", "Prediction", "CrmTables"])
def test_the_text_itself_is_there_escaped(shown, kind):
    assert "&lt;script&gt;" in shown[kind]


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_fetched_and_no_colour_is_set(shown, kind):
    assert not re.search(r"(?i)\bsrc=|\bhref=|url\(|@import|color|background", shown[kind])


@pytest.mark.parametrize("kind", KINDS)
def test_every_element_is_closed(shown, kind):
    for name in set(re.findall(r"<([a-z]+)", shown[kind])) - {"br"}:
        assert len(re.findall(rf"<{name}[ >]", shown[kind])) == shown[kind].count(f"</{name}>")


def test_a_community_says_what_it_read_and_what_it_could_not_use():
    members = [{"member_id": "ann", "email": "ann@acme.example"}]
    deals = [
        {"email": "ann@acme.example", "outcome": "won", "closed_at": "2024-04-01"},
        {"email": "who@gmail.com", "outcome": "lost", "closed_at": "2024-04-01"},
    ]
    html = table(
        "ann view 2024-03-01; ann view 2024-03-02; ann question 2024-03-02; ann view soon",
        members=members,
        deals=deals,
    )._repr_html_()
    assert "3, 2024-03-01 to 2024-03-02" in html
    assert "view 2, question 1" in html
    assert "1 of 2 found their member or account: 1 won" in html
    assert "a free-mail domain names no company" in html
    assert "1 rows that could not be used" in html


def test_no_address_is_shown_of_a_community():
    deals = [{"email": "who@acme.example", "outcome": "won", "closed_at": "2024-04-01"}]
    html = table("ann view 2024-03-01", deals=deals)._repr_html_()
    assert "acme" not in html


def test_a_community_without_events_shows_itself():
    nothing = ll.Community({"member_id": [], "occurred_at": [], "action": []})
    assert "<th" in nothing._repr_html_()


def test_many_cutoffs_are_folded(community):
    html = ll.observe(community, every="14d", start="2024-06-01", end="2025-06-01")._repr_html_()
    assert "<details>" in html
    assert html.index("2025-05") < html.index("<details>") < html.index("2024-06")


def test_a_fitted_qualifier_says_what_it_learned_from_and_what_it_costs(qualifier, shown):
    html = shown["LeadQualifier"]
    assert f"{qualifier.scorer_.info['metrics']['training_rows']:,} rows" in html
    assert "of a simulated community" in html
    assert "it misses" in html
    assert qualifier.scorer_.version in html


def test_a_loaded_qualifier_shows_no_name_of_a_catalogue(qualifier, tmp_path):
    qualifier.save(tmp_path / "model")
    html = ll.LeadQualifier.load(tmp_path / "model")._repr_html_()
    assert "corporate" not in html
    assert qualifier.scorer_.version in html


def test_a_notebook_gets_our_page_of_a_qualifier_not_that_of_scikit_learn(qualifier):
    bundle = qualifier._repr_mimebundle_()
    assert bundle["text/html"] == qualifier._repr_html_()
    assert bundle["text/plain"] == str(qualifier)


def test_scores_show_the_interval_and_the_reasons():
    html = make_scores()._repr_html_()
    assert "20.0% (10.0% to 30.0%)" in html
    assert "forwarded 3 times" in html


def test_scores_of_a_simulated_community_say_so():
    assert "simulated community" in make_scores(simulated=True)._repr_html_()


def test_the_own_model_stands_out_in_a_report():
    assert "<strong>leadlight</strong>" in make_report()._repr_html_()


def test_a_report_of_a_simulated_community_says_so():
    assert "Simulated: " in make_report(simulated=True)._repr_html_()


def test_a_prediction_shows_chance_grade_and_reasons():
    html = prediction("came often")._repr_html_()
    assert "12.3% (8.0% to 20.0%)" in html
    assert "+0.50" in html
    assert "came often" in html


def test_many_predictions_are_cut():
    html = predictions(23)._repr_html_()
    assert "... and 3 more" in html
    assert html.count("<tr>") == 21


def test_a_decision_shows_what_was_set():
    assert repr(ll.Capacity(share=0.05)) == "Capacity(share=0.05)"
    assert repr(ll.Capacity()) == "Capacity()"


@pytest.mark.parametrize(
    ("value", "text"), [(None, ""), (1234567, "1,234,567"), (True, "True"), ("a<b", "a&lt;b")]
)
def test_values_as_text(value, text):
    assert escaped(value) == text


def test_empty_facts_are_left_out():
    assert facts({"a": "", "b": None, "c": 0}).count("<tr>") == 1


def test_nothing_is_not_folded():
    assert not folded("title", "")


def test_an_unknown_chance_is_no_number():
    assert chance(float("nan")) == ""
    assert chance(0.5) == "50.0%"
