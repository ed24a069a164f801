"""`assay ui` as a person uses it, in Chromium: sorting, filtering, live curves, keys, light and dark."""

from __future__ import annotations

import json
import threading

import pytest

from assay.ui.server import open_server

expect = pytest.importorskip("playwright.sync_api", reason="pages are looked at with the package playwright").expect
FOCUSED = """(() => {
  const here = document.activeElement;
  return here.id || here.getAttribute("aria-label") || here.textContent.trim();
})()"""
UNNAMED = """[...document.querySelectorAll("button, a, input, select, svg")]
  .filter((each) => !(each.textContent.trim() || each.getAttribute("aria-label") || each.labels?.length)).length"""
READER = "fetch('/api/runs').then(() => { document.title = 'read'; }, () => { document.title = 'kept out'; });"


@pytest.fixture
def address(busy):
    """Where the workspace is served."""
    with open_server(busy, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server.url
        server.shutdown()
        thread.join()


@pytest.fixture
def page(address, look):
    opened = look(address)
    opened.wait_for_selector("#runs tbody tr")
    return opened


def names(page):
    return page.locator("#runs tbody th a, #runs tbody th > span:not(.span)").all_text_contents()


def head(page, title):
    return page.locator("#runs thead th", has_text=title)


def test_the_rows_tell_what_the_folder_holds(page):
    assert page.locator("h1").text_content().startswith("Runs in ")
    assert page.locator("#count").text_content() == "8 rows, 1 running."
    good = page.locator("#runs tbody tr", has=page.get_by_role("link", name="good", exact=True))
    text = good.inner_text()
    for part in ("done", "adult.csv", "0.9500", "0.9400 to 0.9600", "AUROC", "0.9254", "trees", "1 min 35 s", "2 kB"):
        assert part in text
    failed = page.locator("#runs tbody tr", has_text="seed-0").inner_text()
    assert "failed" in failed
    assert "out of memory" in failed


def test_a_click_sorts_and_a_second_one_turns_it_round(page):
    score = head(page, "Score")
    score.get_by_role("button").click()
    assert names(page)[:3] == ["good", "fair", "poor"]
    assert score.get_attribute("aria-sort") == "descending"
    score.get_by_role("button").click()
    assert names(page)[:3] == ["poor", "fair", "good"]
    assert page.locator("#runs th[aria-sort]").count() == 1
    assert "sorted by Score, ascending" in page.locator("#said").text_content()


def test_scores_of_which_less_is_better_are_sorted_best_first(page, busy, make_run):
    for name, value in (("small", 0.2), ("large", 0.4)):
        made = make_run(busy, name, value=value, label="Log loss")
        report = json.loads((made / "report.json").read_text())
        for model in report["scores"]:
            for score in model["scores"]:
                if score["name"] == report["primary"]:
                    score |= {"higher_is_better": False, "label": "Log loss"}
        (made / "report.json").write_text(json.dumps(report))
    page.reload()  # what the page read while the reports were being changed is of no use
    page.get_by_role("link", name="large", exact=True).wait_for()
    head(page, "Score").get_by_role("button").click()
    order = names(page)
    assert order.index("small") < order.index("large")
    assert order[:3] == ["good", "fair", "poor"]  # each metric by itself


def test_filters_work_together(page):
    page.get_by_label("Text").fill("letters")
    assert names(page) == ["fair"]
    assert page.locator("#count").text_content() == "1 of 8 rows, 1 running."
    page.get_by_role("button", name="Show all").click()
    expect(page.locator("#runs tbody tr")).to_have_count(8)
    page.get_by_label("Data set").select_option("adult.csv")
    assert set(names(page)) == {"good", "poor"}
    page.get_by_label("Text").fill("nobody")
    assert page.locator("#none").inner_text() == "No row fits the filter."
    page.get_by_role("button", name="Show all").click()
    page.get_by_label("State").select_option("damaged")
    assert names(page) == ["broken"]


def test_a_running_run_shows_its_curves_as_they_grow(page, appended, make_epoch):
    card = page.locator("article.card", has_text="busy")
    expect(card).to_contain_text("Epoch 2 of mlp")  # the card is there before its epochs are
    expect(card.locator("svg.chart")).to_have_count(2)
    before = card.locator("path.line").first.get_attribute("d")
    appended(make_epoch(3), make_epoch(4))
    expect(card).to_contain_text("Epoch 4 of mlp")
    assert card.locator("path.line").first.get_attribute("d") != before
    appended(make_epoch(1, "tabm"))
    expect(card).to_contain_text("Epoch 1 of tabm")
    card.get_by_label("network of busy").select_option("mlp")
    assert "Epoch 4 of mlp" in card.inner_text()


def test_curves_of_a_finished_run_open_and_close(page):
    button = page.get_by_role("button", name="curves of good", exact=True)
    button.click()
    card = page.locator("article.card", has_text="good")
    card.locator("path.line").first.wait_for()
    assert "Epoch 20 of mlp" in card.inner_text()
    assert button.get_attribute("aria-expanded") == "true"
    card.get_by_role("button", name="close").click()
    assert card.count() == 0
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "curves of good"


def test_a_run_that_comes_shows_up_by_itself(page, busy, make_run):
    make_run(busy, "later", started="2027-01-01T00:00:00Z")
    page.get_by_role("link", name="later", exact=True).wait_for()
    assert names(page)[0] == "later"


def test_reports_open_and_come_alive_in_their_sandbox(page, address):
    page.get_by_role("link", name="good", exact=True).click()
    page.wait_for_selector("html.scripted")
    assert page.url == f"{address}runs/good/report.html"
    assert page.evaluate("window.origin") == "null"
    assert page.locator("svg.readable").count() >= 3


def test_a_page_of_strangers_reaches_nothing(busy, address, browser):
    evil = f"<!doctype html><title>evil</title><script>{READER}</script>"
    (busy / "good" / "report.html").write_text(evil)
    context = browser.new_context()
    opened = context.new_page()
    opened.goto(f"{address}runs/good/report.html")
    expect(opened).to_have_title("kept out")
    context.close()


def test_the_keyboard_reaches_everything(page):
    page.get_by_role("button", name="close the curves of busy").wait_for()
    reached = []
    for _ in range(80):
        page.keyboard.press("Tab")
        reached.append(page.evaluate(FOCUSED))
        if page.evaluate("document.activeElement === document.body"):
            break
    assert reached[0] == "Skip to the runs"
    for wanted in (
        "theme",
        "text",
        "data",
        "kind",
        "state",
        "Show all",
        "Name",
        "Score",
        "good",
        "curves of good",
        "close the curves of busy",
        "model card",
    ):
        assert wanted in reached
    outline = "getComputedStyle(document.activeElement).outlineStyle"
    page.get_by_label("Text").focus()
    page.keyboard.press("Tab")
    assert page.evaluate(outline) == "solid"


def test_a_heading_sorts_by_the_keyboard_and_keeps_the_focus(page):
    head(page, "Time to fit").get_by_role("button").focus()
    page.keyboard.press("Enter")
    assert names(page)[:3] == ["poor", "fair", "good"]
    assert page.evaluate("document.activeElement.textContent") == "Time to fit"


def test_a_chart_is_read_by_arrow_keys(page):
    chart = page.locator("article.card svg.chart").first
    chart.wait_for()
    chart.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert page.locator("#said").text_content() == "epoch 2: training 0.25, validation 0.35"


def test_tables_and_pictures_have_names_for_screen_readers(page):
    assert page.get_by_role("table").count() == 1
    assert page.get_by_role("columnheader").count() == 10
    assert page.get_by_role("rowheader").count() == 8
    assert page.get_by_role("search", name="Filter the runs").count() == 1
    assert page.evaluate(UNNAMED) == 0


def test_light_and_dark_follow_the_reader_and_the_switch(address, look):
    paper = "getComputedStyle(document.body).backgroundColor"
    light, dark = look(address), look(address, scheme="dark")
    seen = [light.evaluate(paper), dark.evaluate(paper)]
    assert seen == ["rgb(252, 251, 249)", "rgb(20, 23, 27)"]
    light.get_by_role("button", name="Dark colours").click()
    assert light.evaluate(paper) == seen[1]
    light.reload()
    light.wait_for_selector("#runs tbody tr")
    assert light.evaluate(paper) == seen[1]  # the choice is kept


def test_an_empty_folder_says_so(tmp_path, look):
    with open_server(tmp_path, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        page = look(server.url)
        page.wait_for_selector("#none:not([hidden])")
        assert "There is no run in" in page.locator("#none").inner_text()
        server.shutdown()
        thread.join()


def test_a_narrow_window_does_not_scroll_sideways(address, look):
    page = look(address, width=380)
    page.wait_for_selector("#runs tbody tr")
    assert page.evaluate("document.documentElement.scrollWidth") <= 380
