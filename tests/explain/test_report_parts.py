"""What the page shows beside the figures and the list: evidence, drivers, points, who is just below the line."""

from __future__ import annotations

import base64
import hashlib
import html
import re
from urllib.parse import unquote

import pytest
from tests.explain.parts import drivers, every_part, hostile_parts, loss

from leadlight.explain import plot_reached, reached_data, write_report

ATTACK = "<script>alert(1)</script>"


@pytest.fixture
def write(tmp_path):
    def written(**arguments) -> str:
        return write_report(tmp_path / "page.html", **arguments).read_text(encoding="utf-8")

    return written


def words(page: str) -> str:
    """The text of a page, without its tags."""
    body = re.sub(r"<(script|style)>.*?</\1>", " ", page, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", body)).split())


def test_a_reason_unfolds_to_its_rows_newest_first_and_equal_rows_are_one_line(write, scores):
    page = write(scores=scores, **every_part())
    (unfolded,) = re.findall(r'<details class="evidence">(.*?)</details>', page, flags=re.DOTALL)
    assert words(unfolded) == (
        "forwarded 3 times 2024-02-28 forward: pricing 2 times 2024-02-01 pricing, in the group pricing 2 times "
        "5 of 8 rows are not shown: the newest stand here, and some of the older ones."
    )


def test_the_other_party_of_a_row_is_not_named(write, scores):
    assert "the-other-one" not in write(scores=scores, **every_part())


def test_a_reason_without_rows_is_a_plain_line(write, scores):
    page = write(scores=scores, **every_part())
    assert '<li><span class="span">against:</span> <bdi>no visit lately</bdi></li>' in page


@pytest.mark.parametrize("aggregate", [False, True])
def test_text_of_the_log_is_shown_and_not_run(write, scores_with, full_report, aggregate):
    hostile = {"scores": scores_with(member=ATTACK, text=ATTACK), "report": full_report}
    page = write(**hostile, **hostile_parts(ATTACK), aggregate=aggregate)
    own = re.findall(r"<script>(.*?)</script>", page, flags=re.DOTALL)
    assert page.count("<script") == len(own) == (0 if aggregate else 1)
    assert page.count("&lt;script&gt;") >= 6
    assert not any("alert" in script for script in own)


def test_the_one_script_that_may_run_is_the_page_s_own(write, scores):
    page = write(scores=scores)
    (script,) = re.findall(r"<script>(.*?)</script>", page, flags=re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = html.unescape(re.findall(r'Content-Security-Policy" content="([^"]*)"', page)[0])
    assert f"script-src 'sha256-{digest}';" in policy
    assert policy.count("script-src") == 1


def test_a_page_without_a_call_list_runs_no_script(write, report):
    page = write(report=report)
    assert "<script" not in page
    assert "script-src" not in page
    assert "runs no script." in page


def test_the_aggregate_page_holds_no_member_and_no_evidence(write, scores, full_report):
    page = write(scores=scores, report=full_report, **every_part(), aggregate=True)
    names = ("ann", "bob", "cleo", "acme", "dora", "emil", "2024-02-28", "forwarded 3 times", "the-other-one")
    assert [name for name in names if re.search(rf"\b{name}\b", page)] == []
    assert '<details class="evidence"' not in page
    assert 'href="#below"' not in page
    assert "looked into pricing" in page


def test_what_drives_deals_is_said_and_what_is_not_sure_is_not(write):
    text = words(write(drivers=drivers()))
    assert "stand out from the others by: reads by tag (more of it)." in text
    assert "Of the other 1 behaviour these deals cannot tell yet" in text
    assert "over 8 refits" in text
    assert "reads by tag 0.43 (0.2 to 0.66) more of it" in text


def test_where_nothing_is_sure_nothing_is_said_to_drive_deals(write):
    text = words(write(drivers=drivers().tail(1)))
    assert "Nothing tells buyers from the others beyond doubt yet." in text
    assert "stand out" not in text


def test_points_can_be_taken_away_as_csv_that_no_spreadsheet_runs(write):
    page = write(**every_part())
    link = html.unescape(
        re.findall(r'download="points.csv" href="data:text/csv;charset=utf-8,([^"]*)"', page)[0]
    )
    copied = html.unescape(re.findall(r"<textarea[^>]*>\n(.*?)</textarea>", page, flags=re.DOTALL)[0])
    assert unquote(link) == copied == every_part()["points"].csv_text()
    assert copied.splitlines()[2].startswith("visits,'=1+1,40")


@pytest.mark.parametrize(("low", "doubt"), [(-1.0, True), (1.0, False)])
def test_what_points_lose_is_told_with_its_interval(write, low, doubt):
    text = words(write(**every_part(points_loss=loss(low))))
    assert "reach 10 of 20 buyers on the later dates, the full model 12: 2 more" in text
    assert ("which these deals cannot tell from none" in text) is doubt
    assert "the learned points 10 (6 to 14) 0.15 0.75" in text
    assert "this model 12 (8 to 20)" in text


def test_without_a_comparison_nothing_is_said_of_what_points_lose(write):
    assert "lose" not in words(write(**every_part(points_loss=None)))


def test_who_is_just_below_the_line_is_shown_as_a_ranking_and_no_promise(write, scores):
    text = words(write(scores=scores, **every_part()))
    assert "A ranking, not a promise" in text
    assert "dora 4.0% 3.0% view: pricing , 3 times: 6.0%, over the line view , once: 4.0% emil" in text
    assert "nothing that members like this one do would raise it" in text
    assert "the line is at 5.0%" in text


def test_what_is_left_out_is_told_why(write, report, scores):
    why = "What drives deals: 3 won accounts are too few."
    assert f"Not on this page {why}" in words(write(report=report, left_out=(why,)))
    assert f"Not on this page: {why}" in words(write(scores=scores, left_out=(why,)))


def test_before_the_first_deal_the_list_goes_by_points(write, scores):
    scores.frame["points"] = [7.0, 55.0, 1.0]
    scores.frame["probability"] = float("nan")
    text = words(write(scores=scores))
    assert "1 bob none known 55 C" in text
    assert "Points Grade" in text
    assert "no deal has been won to learn a chance from" in text
    assert "interval of the chance" not in text


def test_everybody_is_counted_and_the_list_is_cut(write, scores, report):
    text = words(write(scores=scores, report=report, top=1))
    assert "Members that qualify 2 of 3" in text
    assert "The 1 members most likely" not in text
    assert "bob" not in text


def test_bars_end_at_the_buyers_that_there_were(full_report):
    full_report.table.loc[("leadlight", "buyers_reached"), "high"] = 31
    data = reached_data(full_report)
    assert data.loc["leadlight"].tolist() == [12, 8, 20, 8]
    ax = plot_reached(full_report)
    assert ax.get_xlim() == (0, 20)
    assert [text.get_text() for text in ax.texts] == ["12 of 20", "7 of 20"]


def test_a_name_that_is_a_colour_of_the_plots_stays_a_name(write):
    page = write(drivers=drivers("#0072b2"))
    assert ">#0072b2</text>" in page
    assert "fill: #0072b2" not in page
