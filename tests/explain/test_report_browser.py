"""The page in a real browser: what a reader can do with it, and that nothing else in it runs or loads."""

from __future__ import annotations

import json
import os
import shutil
from itertools import pairwise

import pytest
from tests.explain.conftest import make_full_report, make_scores
from tests.explain.parts import every_part, hostile_parts

from leadlight.explain import write_report

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
CHROMIUM, DRIVER = (shutil.which(name) for name in ("chromium", "chromedriver"))
pytestmark = pytest.mark.skipif(
    CHROMIUM is None or DRIVER is None, reason="chromium or chromedriver is not installed"
)

ATTACK = "<script>window.x = 1</script><img src=x onerror='window.x = 2'><svg onload='window.x = 3'>"
"""What would run by itself if any text were not escaped."""

FLAGS = (
    "headless=new",
    "no-sandbox",
    "disable-gpu",
    "disable-quic",
    "disable-dev-shm-usage",
    "no-first-run",
    "disable-background-networking",
    "disable-component-update",
    "disable-sync",
    "window-size=1200,900",
)

CONTRAST = """
const rgb = (color) => color.match(/[\\d.]+/g).map(Number);
const light = (color) => {
  const [r, g, b] = rgb(color).slice(0, 3).map((v) => (v /= 255) <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
  return .2126 * r + .7152 * g + .0722 * b;
};
const behind = (node) => {
  for (; node; node = node.parentElement) {
    const color = getComputedStyle(node).backgroundColor, parts = rgb(color);
    if (parts.length === 3 || parts[3] === 1) return color;
  }
  return "rgb(255, 255, 255)";
};
const found = [];
for (const node of document.querySelectorAll("body *")) {
  const own = [...node.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
  if (!own || node.closest("script, title, desc, .skip")) continue;
  const style = getComputedStyle(node), color = node.closest("svg") ? style.fill : style.color;
  const pair = [light(color), light(behind(node))];
  const ratio = (Math.max(...pair) + .05) / (Math.min(...pair) + .05);
  if (ratio < 4.5) found.push([node.outerHTML.slice(0, 80), color, behind(node), ratio]);
}
return found;
"""
"""Text with less contrast than WCAG AA asks of small text."""

UNNAMED = """
return [...document.querySelectorAll("button, input, textarea, select, a[href], [role=region], summary")].filter((node) => {
  const by = node.getAttribute("aria-labelledby"), label = node.labels?.length ? node.labels[0].textContent : "";
  return !(node.getAttribute("aria-label") || (by && document.getElementById(by)) || label || node.textContent).trim()
    || (node.matches("textarea, input, select") && !label);
}).map((node) => node.outerHTML.slice(0, 80));
"""
"""What can be focused or is a landmark, but has no name."""


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """A browser that logs every request and every line of its console."""
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    profile = tmp_path_factory.mktemp("profile")
    for flag in (*FLAGS, f"user-data-dir={profile}"):
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    # Its own statistics are not ours, and no reason to look for a network.
    service = webdriver.ChromeService(
        DRIVER, env=os.environ | {"SE_AVOID_STATS": "true", "SE_OFFLINE": "true"}
    )
    driver = webdriver.Chrome(options=options, service=service)
    driver.set_page_load_timeout(60)
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Pages of a full report, by kind."""
    folder = tmp_path_factory.mktemp("pages")
    report, scores = make_full_report(), make_scores()
    plain = {"report": report, "scores": scores}
    hostile = {"report": report, "scores": make_scores(member=ATTACK, text=ATTACK)}
    return {
        "plain": write_report(folder / "plain.html", **plain, **every_part()),
        "aggregate": write_report(folder / "aggregate.html", **plain, **every_part(), aggregate=True),
        "hostile": write_report(
            folder / "hostile.html", **hostile, **hostile_parts(ATTACK), title=ATTACK, note=ATTACK
        ),
    }


@pytest.fixture
def show(browser, pages):
    """Open a page afresh, from its file, in a scheme and at a width."""

    def shown(kind="plain", *, scheme="light", media="screen", width=1200, scripts=True):
        emulate = browser.execute_cdp_cmd
        emulate("Emulation.setScriptExecutionDisabled", {"value": not scripts})
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        emulate("Emulation.setEmulatedMedia", {"media": media, "features": features})
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        emulate("Emulation.setDeviceMetricsOverride", size)
        for log in ("browser", "performance"):
            browser.get_log(log)
        browser.get(pages[kind].as_uri())
        return browser

    return shown


def members(browser) -> list[str]:
    return browser.execute_script(
        "return [...document.querySelectorAll('.calls tbody tr')].map((row) => row.cells[1].textContent)"
    )


def click(browser, header: str) -> str | None:
    """Click on the header of a column; return how the table says that it is sorted by it."""
    return browser.execute_script(
        """
        const head = [...document.querySelectorAll(".calls thead th")].find((th) => th.textContent.startsWith(arguments[0]));
        head.querySelector("button").click();
        return head.getAttribute("aria-sort");
        """,
        header,
    )


def requested(browser) -> list[str]:
    """The addresses of all requests since the page was asked for."""
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    return [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]


@pytest.mark.parametrize("kind", ["plain", "aggregate", "hostile"])
def test_nothing_is_requested_but_the_page_and_nothing_is_complained_of(show, pages, kind):
    browser = show(kind)
    assert [url for url in requested(browser) if not url.startswith("data:")] == [pages[kind].as_uri()]
    assert browser.get_log("browser") == []


def test_a_script_in_the_data_is_shown_and_not_run(show):
    browser = show("hostile")
    assert browser.execute_script("return window.x") is None
    assert ATTACK in members(browser)
    assert browser.execute_script("return document.querySelectorAll('script').length") == 1
    assert browser.execute_script("return document.querySelectorAll('main img').length") == 0


def test_a_script_that_got_in_all_the_same_would_not_run(show):
    browser = show()
    browser.execute_script(
        "document.body.insertAdjacentHTML('beforeend', '<img src=\"data:,\" onerror=\"window.x = 4\">')"
    )
    browser.execute_script(
        "document.body.append(Object.assign(document.createElement('script'), {text: 'window.x = 5'}))"
    )
    browser.execute_async_script("setTimeout(arguments[0], 200)")
    assert browser.execute_script("return window.x") is None


def test_a_click_sorts_and_another_turns_it_round(show):
    browser = show()
    assert members(browser) == ["ann", "bob"]
    assert click(browser, "Member") == "ascending"
    assert members(browser) == ["ann", "bob"]
    assert click(browser, "Member") == "descending"
    assert members(browser) == ["bob", "ann"]
    assert browser.execute_script("return document.querySelectorAll('.calls [aria-sort]').length") == 1


def test_chances_are_sorted_as_numbers_the_highest_first(show):
    browser = show()
    click(browser, "Place")
    click(browser, "Member")
    assert click(browser, "Chance") == "descending"
    assert members(browser) == ["ann", "bob"]
    assert click(browser, "Chance") == "ascending"
    assert members(browser) == ["bob", "ann"]


def test_an_unknown_account_comes_last_whichever_way(show):
    browser = show()
    for order in ("ascending", "descending"):
        assert click(browser, "Account") == order
        assert members(browser) == ["ann", "bob"]


def test_the_keyboard_reaches_the_headers_sorts_and_is_told(show):
    from selenium.webdriver.common.keys import Keys

    browser = show()
    for _ in range(60):
        browser.switch_to.active_element.send_keys(Keys.TAB)
        if browser.switch_to.active_element.text.startswith("Member"):
            break
    focused = browser.switch_to.active_element
    assert focused.tag_name == "button"
    assert focused.value_of_css_property("outline-style") == "solid"
    focused.send_keys(Keys.ENTER)
    focused.send_keys(Keys.SPACE)
    assert members(browser) == ["bob", "ann"]
    assert browser.execute_script("return document.querySelector('[role=status]').textContent") == (
        "Sorted by Member, descending."
    )


def test_a_reason_unfolds_by_keyboard_and_all_of_them_by_a_button(show):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    browser = show()
    row = browser.find_element(By.CSS_SELECTOR, ".evidence time")
    assert not row.is_displayed()
    browser.find_element(By.CSS_SELECTOR, ".evidence summary").send_keys(Keys.ENTER)
    assert row.is_displayed()
    every = browser.find_element(By.CSS_SELECTOR, "button.all")
    browser.execute_async_script("requestAnimationFrame(() => setTimeout(arguments[0]))")
    assert every.text == "Fold all evidence"
    every.click()
    assert not row.is_displayed()


def test_without_scripts_the_list_reads_the_same_and_evidence_unfolds(show):
    browser = show(scripts=False)
    texts = browser.execute_cdp_cmd("DOMSnapshot.captureSnapshot", {"computedStyles": []})["strings"]
    assert {"ann", "Whom to approach, and why", "forwarded 3 times"} <= set(texts)
    assert "Unfold all evidence" not in texts
    reason = browser.find_element("css selector", ".evidence summary")
    reason.click()
    assert browser.find_element("css selector", ".evidence time").is_displayed()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_in_both_schemes(show, scheme):
    browser = show(scheme=scheme)
    shade = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert (sum(int(part) for part in shade[4:-1].split(",")) < 200) is (scheme == "dark")
    browser.execute_script("document.querySelectorAll('details').forEach((one) => (one.open = true))")
    assert browser.execute_script(CONTRAST) == []


@pytest.mark.parametrize("kind", ["plain", "aggregate"])
def test_a_screen_reader_finds_its_way(show, kind):
    browser = show(kind)
    levels = browser.execute_script(
        "return [...document.querySelectorAll('h1, h2, h3, h4')].map((h) => +h.tagName[1])"
    )
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    sections = "return [...document.querySelectorAll('section')].map((s) => s.querySelector('h1, h2, h3, h4').tagName)"
    assert set(browser.execute_script(sections)) == {"H2"}
    assert browser.execute_script("return document.documentElement.lang") == "en"
    for landmark in ("header", "nav[aria-label]", "main", "footer"):
        assert browser.execute_script(f"return document.querySelectorAll('{landmark}').length") == 1
    assert browser.execute_script(UNNAMED) == []
    drawn = browser.execute_script(
        "return [...document.querySelectorAll('svg')].map((s) => [s.getAttribute('role'), s.getElementsByTagName('desc').length])"
    )
    assert drawn
    assert all(found == ["img", 1] for found in drawn)


def test_every_plot_has_its_figures_in_a_table_beside_it(show):
    browser = show()
    assert (
        browser.execute_script(
            """
        return [...document.querySelectorAll("figure")].map((figure) => {
          let next = figure.nextElementSibling;
          while (next && !next.matches("details, figure, h3")) next = next.nextElementSibling;
          return Boolean(next?.matches("details") && next.querySelector("table"));
        })
        """
        )
        == [True] * 11
    )


@pytest.mark.parametrize("width", [320, 400, 800])
def test_a_narrow_screen_scrolls_no_page_sideways(show, width):
    browser = show(width=width)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    assert click(browser, "Member") == "ascending"
    assert (
        browser.execute_script(
            "return document.querySelector('.calls th button').getBoundingClientRect().left"
        )
        >= 0
    )


def test_print_shows_what_was_unfolded_and_leaves_out_what_is_for_the_screen(show):
    browser = show(media="print", scheme="dark")
    shown = "return getComputedStyle(document.querySelector(arguments[0])).display !== 'none'"
    assert (
        browser.execute_script("return getComputedStyle(document.body).backgroundColor")
        == "rgb(255, 255, 255)"
    )
    for name in ("nav", ".skip", "button.all", "details.screen", "#reach ~ details"):
        assert not browser.execute_script(shown, name), name
    assert browser.execute_script(shown, ".evidence summary")
    browser.execute_script("document.querySelector('#reach ~ details').open = true")
    assert browser.execute_script(shown, "#reach ~ details")
