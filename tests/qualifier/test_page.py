"""What is gathered for the page, and what is left out of it."""

from __future__ import annotations

import pandas as pd
import pytest
from tests.qualifier.test_qualify import POINTS, tables

import leadlight as ll
from leadlight.evaluation import evaluate
from leadlight.explain import evidence, write_report
from leadlight.qualifier import page_parts

ASKS = ll.Catalogue(
    [
        ll.Behaviour(
            "asks",
            (ll.Count("question", window="30d"),),
            reason="asked {question_count_30d:question|questions}",
        ),
        ll.Behaviour("reads", (ll.Count("view", window="30d"),), reason="read"),
    ]
)


@pytest.fixture(scope="module")
def parts(qualifier, community, scores, at):
    return page_parts(qualifier, community, scores, at, top=10, refits=3, below=2)


def test_the_evidence_is_that_of_the_call_list(parts, qualifier, community, scores):
    pd.testing.assert_frame_equal(
        parts["evidence"], evidence(community, qualifier.plan_, scores.top(10), most=20)
    )


def test_who_is_below_the_line_comes_nearest_to_it_of_those_who_might_be_called(parts, qualifier, scores):
    free = scores.top(len(scores)).frame
    assert [one.member_id for one in parts["below"]] == free.loc[~free["qualified"], "member_id"].head(
        2
    ).tolist()
    assert all(one.probability < qualifier.threshold_ for one in parts["below"])


def test_all_of_it_goes_on_the_page(parts, scores, tmp_path):
    page = write_report(tmp_path / "page.html", scores=scores, top=10, **parts).read_text(encoding="utf-8")
    for name in ("approach", "below", "drives", "points"):
        assert f'id="{name}"' in page
    assert 'class="evidence"' in page


def test_an_aggregate_page_needs_nothing_of_a_member(qualifier, community, scores, at):
    found = page_parts(qualifier, community, scores, at, refits=0, aggregate=True)
    assert set(found) == {"importance", "drivers", "points", "left_out"}
    assert found["drivers"] is None
    assert found["left_out"] == ("What drives deals: no refits were asked for.",)


def test_what_is_refused_is_left_out_and_the_page_says_why(qualifier, community, scores, at, tmp_path):
    qualifier.save(tmp_path / "model")
    found = page_parts(ll.LeadQualifier.load(tmp_path / "model"), community, scores, at, top=3)
    assert found["drivers"] is None
    assert found["points"] is None
    assert [text.split(":")[0] for text in found["left_out"]] == ["What drives deals", "Points for your CRM"]
    assert "a bundle keeps no rows" in found["left_out"][0]


def test_without_a_deal_there_is_a_list_with_evidence_and_nothing_learned(tmp_path):
    log, deals = tables(won=0)
    community = ll.Community(log, deals=deals)
    with pytest.warns(ll.errors.LeadlightWarning):
        leads = ll.qualify(community, top=5, catalogue=POINTS)
    at = community.frozen_us + 1
    found = page_parts(leads.qualifier, community, leads.scores, at, top=5)
    assert "importance" not in found
    assert found["below"] == ()
    assert [text.split(":")[0] for text in found["left_out"]] == ["What drives deals", "Points for your CRM"]
    page = write_report(tmp_path / "page.html", scores=leads.scores, top=5, **found).read_text(
        encoding="utf-8"
    )
    assert "no deal has been won" in page
    assert 'class="evidence"' in page


def test_points_are_judged_on_the_rows_that_the_report_was_made_on():
    log, deals = tables()
    asks = log[(log["action"] == "view") & (log["member_id"].str[1:].astype(int) < 90)].assign(
        action="question"
    )
    log = pd.concat([log, asks])
    community = ll.Community(log, deals=deals)
    leads = ll.qualify(community, top=15, catalogue=ASKS, rounds=5)
    earlier, later = leads.tested
    again = evaluate(earlier, community, later, rounds=5)
    pd.testing.assert_frame_equal(again.table, leads.report.table)
    found = page_parts(
        leads.qualifier,
        community,
        leads.scores,
        community.frozen_us + 1,
        tested=leads.tested,
        refits=0,
        rounds=5,
    )
    pair = [("leadlight", "buyers_reached"), ("leadlight", "buyers_missed")]
    assert found["points_loss"].loc[pair, "value"].sum() == leads.report.settings["buyers"]
    assert found["points_loss"].loc[pair[0], "value"] == leads.report.metric("buyers_reached")
