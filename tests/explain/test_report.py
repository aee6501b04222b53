"""The page: what it says, what it leaves out, and that nothing in it runs or loads."""

from __future__ import annotations

import os
import re
from html.parser import HTMLParser

import pandas as pd
import pytest

from leadlight.errors import InputError
from leadlight.explain import importance, write_report

ATTACK = "<script>alert(1)</script>"
SHOWN = "&lt;script&gt;alert(1)&lt;/script&gt;"
VOID = {"meta", "br", "link", "img", "input", "hr"}


class Reader(HTMLParser):
    """Checks that tags close in the order in which they opened, and keeps what was read."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open or self.open[-1] not in ("style", "script"):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    return reader


@pytest.fixture
def write(tmp_path):
    def written(**arguments) -> str:
        return write_report(tmp_path / "page.html", **arguments).read_text(encoding="utf-8")

    return written


@pytest.fixture
def moved(plan):
    return importance(plan, [[0.1, 0.2, 0.3], [0.1, -0.2, 0.3]])


def test_tags_close_in_order(write, report, scores, moved):
    read(write(report=report, scores=scores, importance=moved, note="a", generated_for="b"))


@pytest.mark.parametrize("parts", [("report",), ("scores",), ("importance",), ("scores", "importance")])
def test_any_part_may_be_left_out(write, report, scores, moved, parts):
    given = {"report": report, "scores": scores, "importance": moved}
    assert "What it must not be used for" in read(write(**{name: given[name] for name in parts})).text


def test_nothing_to_report_is_refused(write):
    with pytest.raises(InputError, match="nothing to report"):
        write()


def test_a_folder_that_is_not_there_is_named(tmp_path, scores):
    with pytest.raises(InputError, match="nowhere"):
        write_report(tmp_path / "nowhere" / "page.html", scores=scores)


def test_a_member_named_like_a_script_is_shown(write, scores_with):
    page = write(scores=scores_with(member=ATTACK))
    assert SHOWN in page
    assert page.count("<script") == page.count('\n<script>"use strict";')


def test_a_tag_named_like_a_script_is_shown_in_the_reason(write, scores_with):
    page = write(scores=scores_with(text=f"2 times on {ATTACK} in 30 days"))
    assert f"2 times on {SHOWN} in 30 days" in page
    assert page.count("<script") == page.count('\n<script>"use strict";')


def test_a_behaviour_named_like_a_script_is_shown_in_text_and_plots(write, report_with):
    changed = pd.DataFrame({"mean_absolute": [1.0], "direction": [1]}, index=[ATTACK])
    page = write(report=report_with(behaviour=ATTACK), importance=changed)
    svg = re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL)
    assert SHOWN in page
    assert any("&lt;script&gt;" in figure for figure in svg)
    assert page.count("<script") == page.count('\n<script>"use strict";')


@pytest.mark.parametrize("name", ["title", "note", "generated_for"])
def test_words_of_the_caller_are_escaped(write, scores, name):
    page = write(scores=scores, **{name: ATTACK})
    assert SHOWN in page
    assert page.count("<script") == page.count('\n<script>"use strict";')


def test_an_attribute_cannot_be_broken_out_of(write, report_with):
    page = write(report=report_with(behaviour='" onload="alert(1)'))
    assert not any(name.startswith("on") for _, attributes in read(page).tags for name in attributes)


def test_nothing_is_loaded(write, report, scores, moved):
    page = write(report=report, scores=scores, importance=moved)
    links = [
        value
        for _, attributes in read(page).tags
        for name, value in attributes.items()
        if name in ("src", "href", "xlink:href", "srcset", "data", "action")
    ]
    assert links
    assert all(value.startswith("#") or value == "data:," for value in links)
    # Without an icon of its own a browser would ask the server for one.
    assert links.count("data:,") == 1
    assert "http://" not in page
    assert "https://" not in page
    assert "@import" not in page
    assert re.findall(r"url\((?!#)", page) == []


def test_the_browser_is_told_to_load_nothing(write, scores):
    policy = [a["content"] for t, a in read(write(scores=scores)).tags if "http-equiv" in a]
    assert len(policy) == 1
    assert policy[0].startswith(
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'sha256-"
    )


def test_every_link_inside_the_page_leads_somewhere_and_no_name_is_used_twice(write, report, scores, moved):
    page = write(report=report, scores=scores, importance=moved)
    tags = read(page).tags
    names = [a["id"] for _, a in tags if "id" in a]
    targets = {a["href"][1:] for t, a in tags if t == "a" and a["href"][0] == "#"} | set(
        re.findall(r"url\(#([^)]+)\)", page)
    )
    targets |= {name for _, a in tags for name in a.get("aria-labelledby", "").split()}
    assert len(names) == len(set(names))
    assert targets <= set(names)


@pytest.mark.parametrize("where", ["report", "scores"])
def test_simulated_is_stamped_in_heading_and_title(write, report_with, scores_with, where):
    made = {"report": report_with, "scores": scores_with}[where](simulated=True)
    page = write(**{where: made})
    assert "<title>SIMULATED: leadlight</title>" in page
    assert page.index("<strong>SIMULATED</strong>") < page.index("<h1>")


def test_what_is_real_is_not_stamped(write, report, scores):
    assert "SIMULATED" not in write(report=report, scores=scores)


def test_the_aggregate_page_names_no_member_account_or_reason(write, report, scores, moved):
    page = write(report=report, scores=scores, importance=moved, aggregate=True)
    for word in ("ann", "bob", "acme", "forwarded 3 times"):
        assert re.search(rf"\b{word}\b", page) is None
    assert "names no member" in page


def test_the_call_list_gives_place_chance_interval_and_reasons(write, scores):
    text = read(write(scores=scores)).text
    assert "1 ann acme 20% (10% to 30%) A forwarded 3 times against: no visit lately" in text


def test_customers_are_not_called(write, scores):
    assert "cleo" not in write(scores=scores)


def test_the_list_is_as_long_as_asked(write, scores):
    page = write(scores=scores, top=1)
    assert "ann" in page
    assert "bob" not in page


def test_integers_beyond_2_to_the_53_are_shown_in_full(write, scores_with):
    assert "9007199254740993" in write(scores=scores_with(member=9007199254740993))


def test_reached_and_missed_stand_beside_the_baseline(write, report):
    text = read(write(report=report)).text
    assert "this model 12 (8 to 16) 8 88 (80 to 95)" in text
    assert "your points 7 (4 to 10) 13 93 (85 to 99) 5 more (1 to 9)" in text
    assert "chance is an unlikely explanation" in text


def test_without_points_there_is_nothing_to_compare_them_with(write, report_with, report):
    page = write(report=report_with(table=report.table.loc[["leadlight"]], worth=None))
    assert "your points 7" not in read(page).text
    assert "What drives deals" not in page


@pytest.mark.parametrize(
    ("interval", "words"),
    [((-3.0, 9.0), "cannot tell yet which of the two is better"), ((-9.0, -1.0), "Do not use this model")],
)
def test_a_gain_that_could_be_chance_is_not_called_one(write, report, interval, words):
    report.table.loc[("points", "buyers_reached"), ["difference_low", "difference_high"]] = interval
    assert words in read(write(report=report)).text


def test_a_lost_comparison_is_told(write, report):
    report.table.loc[("points", "auc"), "difference_high"] = -0.01
    assert (
        "This model loses, by more than the interval, to: your points, by AUC."
        in read(write(report=report)).text
    )


def test_points_are_compared_in_a_sentence(write, report):
    text = read(write(report=report)).text
    assert "Your points gave “ forwards content ” 5; the deals say 1.2 (0.3 to 2): worth less." in text
    assert "Your points gave “ searches ” 1; the deals say nothing: nobody did it." in text


def test_chances_that_promise_too_much_are_called_too_high(write, report):
    assert "0.5 (0.3 to 0.8) came about: take the chances as too high" in read(write(report=report)).text


def test_what_was_checked_is_listed(write, report):
    text = read(write(report=report)).text
    for words in (
        "P(won within 90 days) under present sales practice",
        "The last training window ended on 2023-12-01",
        "Leakage audit: 3 columns checked, none flagged",
        "last_visit",
        "1,000 members at dates",
    ):
        assert words in text


def test_a_page_without_an_evaluation_says_so(write, scores):
    assert "has not been measured" in read(write(scores=scores)).text


def test_a_note_stands_above_the_result(write, report):
    page = write(report=report, note="The outcome is a proxy: first accepted answer.")
    assert page.index("The outcome is a proxy") < page.index('class="headline"')


def test_every_table_and_figure_says_what_it_is(write, report, scores, moved):
    tags = [tag for tag, _ in read(write(report=report, scores=scores, importance=moved)).tags]
    assert tags.count("caption") == tags.count("table")
    assert tags.count("figcaption") == tags.count("figure") == 5
    assert tags.count("desc") == 5
    assert tags.count("h1") == 1


def test_every_header_cell_has_a_scope(write, report, scores, moved):
    tags = read(write(report=report, scores=scores, importance=moved)).tags
    assert all(a.get("scope") in ("row", "col") for tag, a in tags if tag == "th")


def test_equal_inputs_give_equal_bytes(write, report, scores, moved):
    first = write(report=report, scores=scores, importance=moved)
    assert write(report=report, scores=scores, importance=moved) == first


def test_the_style_of_the_session_changes_nothing(write, report):
    import matplotlib as mpl

    first = write(report=report)
    with mpl.rc_context({"font.size": 30, "svg.fonttype": "path", "axes.facecolor": "red"}):
        assert write(report=report) == first


def test_plots_follow_the_colour_of_the_text(write, report):
    page = write(report=report)
    assert "currentColor" in page
    assert "#010203" not in page


def test_a_name_that_no_font_holds_is_written_all_the_same(write, report_with):
    assert "転送\U0001f4e8" in write(report=report_with(behaviour="転送\U0001f4e8"))


def test_a_half_character_does_not_stop_the_page(write, scores_with):
    assert "x?y" in write(scores=scores_with(text="x\ud800y"))


def test_a_failed_write_leaves_the_old_page_and_no_other_file(tmp_path, scores, monkeypatch):
    target = tmp_path / "page.html"
    target.write_text("old", encoding="utf-8")

    def full(*_):
        raise OSError("no space left")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="no space left"):
        write_report(target, scores=scores)
    assert target.read_text(encoding="utf-8") == "old"
    assert [found.name for found in tmp_path.iterdir()] == ["page.html"]


def test_a_full_page_is_well_formed_and_loads_nothing(write, full_report, scores, moved):
    page = write(report=full_report, scores=scores, importance=moved)
    tags = read(page).tags
    names = [a["id"] for _, a in tags if "id" in a]
    targets = {a["href"][1:] for t, a in tags if t == "a" and a["href"][0] == "#"} | set(
        re.findall(r"url\(#([^)]+)\)", page)
    )
    targets |= {name for _, a in tags for name in a.get("aria-labelledby", "").split()}
    assert len(names) == len(set(names))
    assert targets <= set(names)
    kinds = [tag for tag, _ in tags]
    assert kinds.count("figure") == kinds.count("figcaption") == kinds.count("desc") == 9
    assert kinds.count("caption") == kinds.count("table")
    assert "https://" not in page


def test_views_have_a_section_that_says_whom_they_hold_and_how_they_err(write, full_report):
    text = read(write(report=full_report)).text
    assert (
        "Approached at random 40 members at dates, 1 buyer (5.0% of the weighted rows). said of the view explored"
        in text
    )
    assert "It errs in favour of whatever chose the calls until now" in text
    assert "approached by sales your points 75% (38% to 100%) 8 (0 to 11) 0.70 (0.60 to 0.80)" in text


def test_a_view_that_holds_nobody_errs_in_no_direction(write, full_report):
    text = read(write(report=full_report)).text
    assert "Asked for sales themselves 0 members at dates. said of the view inbound" in text
    assert "follow visible activity" not in text


def test_without_contacts_there_is_no_section_of_views_but_what_is_not_known_is_told(
    write, full_report, views_with
):
    views = views_with("No contacts table.")
    alone = views[(views["view"] == "all labels") | (views["model"] == "population")]
    page = write(report=full_report.__class__(**{**vars(full_report), "views": alone}))
    assert 'id="views"' not in page
    assert "No contacts table. explored" in page
    assert 'id="views"' in write(report=full_report)


def test_weeks_of_warning_stand_beside_chance_and_the_points(write, full_report):
    text = read(write(report=full_report)).text
    assert "Of 8 buyers, 75% were on the list before their deal was opened." in text
    assert "The gain is 4.5 weeks (1.5 to 7.4): more than chance explains." in text
    assert "your points 50% 4 3 1 (\u22121 to 3)" in text
    assert "It does not promise" in text


@pytest.mark.parametrize(
    ("bounds", "words"),
    [((-1.0, 9.0), "cannot tell it from chance"), ((-9.0, -1.0), "Do not count on early warning")],
)
def test_a_warning_that_could_be_chance_is_not_called_one(write, full_report, bounds, words):
    full_report.warning.loc["leadlight", ["low", "high"]] = bounds
    text = read(write(report=full_report)).text
    assert words in text
    assert "more than chance explains" not in text


def test_without_deals_to_warn_of_there_is_no_section_of_warning(write, full_report_with):
    assert 'id="warning"' not in write(report=full_report_with(warning=None))
    assert 'id="warning"' in write(report=full_report_with())


def test_lift_and_profit_are_shown_where_they_were_made(write, full_report, report):
    text, plain = read(write(report=full_report)).text, read(write(report=report)).text
    assert "Tenth this model your points 1 4 3 2 2 1.5" in text
    assert "this model's calls bring 800 (200 to 1,400), those of your points 300 (\u2212100 to 700)." in text
    assert "Most, 900, comes of calling the best 5.0%" in text
    assert "How much better than chance" not in plain
    assert "What the calls bring in" not in plain


def test_costs_at_which_nothing_gains_are_told(write, full_report):
    full_report.settings["profit_best"] = 0.0
    assert "do not call by this list" in read(write(report=full_report)).text


def test_no_bound_of_a_count_lies_above_what_there_is_to_count(write, report):
    report.table.loc[("leadlight", "buyers_reached"), "high"] = 31
    text = read(write(report=report)).text
    assert "this model 12 (8 to 20) 8" in text
    assert "31" not in text


def test_words_of_a_view_and_names_of_models_are_escaped(write, full_report, views_with):
    views = views_with(ATTACK).replace({"model": {"points": ATTACK}, "view": {"contacted": ATTACK}})
    changed = {
        "views": views,
        "warning": full_report.warning.rename(index={"points": ATTACK}),
        "curves": {name: frame.replace({"points": ATTACK}) for name, frame in full_report.curves.items()},
    }
    page = write(report=full_report.__class__(**{**vars(full_report), **changed}))
    assert page.count(SHOWN) > 10
    assert page.count("<script") == page.count('\n<script>"use strict";')
    read(page)


def test_charts_are_told_to_those_who_do_not_see_them(write, full_report):
    page = write(report=full_report)
    told = dict(re.findall(r'<desc id="(\w+)-desc">(.*?)</desc>', page, flags=re.DOTALL))
    assert "this model 4, your points 3" in told["lift"]
    assert "this model 900 at 5.0%" in told["profit"]
    assert "approached by sales: this model 50%, your points 75%" in told["views"]
    assert "this model 4.5, your points 1" in told["warning"]
