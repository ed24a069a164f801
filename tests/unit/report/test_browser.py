"""The page in Chromium: what can be pointed at, sorted and filtered, and that it is whole without a script."""

from __future__ import annotations

import pytest


@pytest.fixture
def shown(pages, look, tmp_path):
    """Opens a shape of the report from a file, as people do."""

    def show(name="binary", **how):
        path = tmp_path / f"{name}.html"
        path.write_text(pages(name), encoding="utf-8")
        return look(path.as_uri(), **how)

    return show


def losses(page):
    return page.locator("#training svg[data-plot]").first


def test_every_shape_opens_without_a_complaint(shape, shown):
    page = shown(shape[0])
    assert page.locator("html.scripted").count() == 1
    assert page.locator(".card5 dt").count() == 5
    page.locator(".card5").scroll_into_view_if_needed()


def test_pointing_at_a_curve_tells_its_values(report, shown):
    page = shown()
    chart = losses(page)
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + box["height"] / 2)
    told = chart.locator(".cursor text").all_text_contents()
    number = int(told[0].removeprefix("epoch "))
    epoch = report.training.epochs[number - 1]
    assert told[1] == f"training {epoch.train_loss:.4g}"
    assert told[2] == f"validation {epoch.valid_loss:.4g}"
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] - 40)
    assert chart.locator(".cursor text").count() == 0


def test_arrow_keys_read_a_curve_aloud(report, shown):
    page = shown()
    losses(page).focus()
    page.keyboard.press("End")
    last = report.training.epochs[-1]
    assert page.locator("#said").text_content().startswith(f"epoch {last.epoch}: training {last.train_loss:.4g}")


def test_a_name_of_the_legend_hides_its_line(shown):
    page = shown()
    chart = losses(page)
    key = chart.get_by_role("button", name="show training")
    key.click()
    assert key.get_attribute("aria-pressed") == "false"
    assert not chart.locator('[data-name="training"]').is_visible()
    key.focus()
    page.keyboard.press("Enter")
    assert chart.locator('[data-name="training"]').is_visible()


def test_dragging_zooms_and_a_double_click_goes_back(shown):
    page = shown()
    chart = page.locator("#curves svg[data-plot]").first
    chart.scroll_into_view_if_needed()
    before = chart.locator(".axes").text_content()
    box = chart.bounding_box()
    page.mouse.move(box["x"] + 70, box["y"] + 30)
    page.mouse.down()
    page.mouse.move(box["x"] + 160, box["y"] + 140, steps=4)
    assert chart.locator("rect.zoom").count() == 1
    page.mouse.up()
    assert chart.locator("rect.zoom").count() == 0
    assert chart.locator(".axes").text_content() != before
    assert chart.locator(".field").get_attribute("transform").startswith("matrix(")
    chart.dblclick()
    assert chart.locator(".axes").text_content() == before


def test_plus_and_escape_zoom_by_the_keyboard(shown):
    page = shown()
    chart = losses(page)
    before = chart.locator(".axes").text_content()
    chart.focus()
    page.keyboard.press("+")
    assert chart.locator(".axes").text_content() != before
    page.keyboard.press("Escape")
    assert chart.locator(".axes").text_content() == before


def test_the_confusion_matrix_shows_counts_or_shares(report, shown):
    page = shown()
    figure = page.locator("#errors figure", has=page.locator(".square")).first
    first = figure.locator(".square").nth(1)
    (right, wrong), (other, _) = report.confusion

    def plain(text):
        return text.replace("\u202f", "")

    assert plain(first.locator(".count").text_content()) == str(wrong)
    figure.get_by_role("button", name="share of the true class").click()
    assert plain(first.locator(".count").text_content()) == f"{100 * wrong / (right + wrong):.3g}%"
    figure.get_by_role("button", name="share of the predicted class").click()
    down = figure.locator(".square").nth(0)
    assert plain(down.locator(".count").text_content()) == f"{100 * right / (right + other):.3g}%"
    figure.get_by_role("button", name="counts").click()
    assert plain(first.locator(".count").text_content()) == str(wrong)


def test_a_point_of_the_reliability_diagram_tells_its_rows(shown):
    told = shown().locator("#curves .told title").first.text_content()
    assert told.startswith("predicted 0.")
    assert told.endswith(" rows")


def test_the_leaderboard_sorts_by_its_headings(shown):
    page = shown("ensemble")
    board = page.locator("table.board")
    assert not page.locator("fieldset.choice").is_visible()
    fit = board.locator("thead th", has_text="Time to fit")
    fit.get_by_role("button").click()
    values = board.locator("tbody tr").evaluate_all("rows => rows.map(row => Number(row.cells[5].dataset.v))")
    tops = board.locator("tbody tr").evaluate_all("rows => rows.map(row => row.getBoundingClientRect().top)")
    assert values == sorted(values)
    assert tops == sorted(tops)
    assert fit.get_attribute("aria-sort") == "ascending"


def test_the_ledger_is_filtered_by_stage_outcome_and_text(report, shown):
    page = shown()
    told = page.locator('#ledger [data-ledger="shown"]')
    assert told.inner_text() == f"{len(report.ledger)} of {len(report.ledger)} practices shown"
    page.locator("#ledger").get_by_label("Text").fill("duplicates")
    rows = page.locator("#ledger tbody tr:visible")
    assert rows.count() > 0
    assert all("duplicates" in text.lower() for text in rows.all_inner_texts())
    page.locator("#ledger").get_by_label("Text").fill("")
    page.locator("#ledger").get_by_label("Stage").select_option("audit")
    assert page.locator("#ledger details:visible").count() == 1
    warned = sum(v.outcome == "warned" and v.practice.startswith("audit") for v in report.ledger)
    for box in page.locator("#ledger input[type=checkbox]").all():
        if box.get_attribute("id") != "show-warned":
            box.uncheck()
    assert page.locator("#ledger tbody tr:visible").count() == warned


def test_without_a_script_the_page_is_whole(shown, report):
    page = shown("ensemble", scripts=False)
    assert page.locator("svg.chart").count() >= 6
    assert page.locator("fieldset.choice").is_visible()
    assert not page.locator("button.theme").is_visible()
    assert not page.locator('#ledger [data-ledger="text"]').is_visible()
    assert page.locator("#ledger tbody tr:visible").count() == len(report.ledger)


def test_it_is_printed_in_daylight_without_what_only_a_screen_needs(shown):
    page = shown(scheme="dark")
    page.get_by_role("button", name="Dark colours").click()
    page.get_by_role("button", name="Dark colours").click()
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    for away in (".filter", ".tools", "button.theme", "nav"):
        assert not page.locator(away).first.is_visible()


def test_light_and_dark_turn_with_the_switch(shown):
    page = shown()
    paper = "getComputedStyle(document.body).backgroundColor"
    before = page.evaluate(paper)
    page.get_by_role("button", name="Dark colours").click()
    assert page.evaluate(paper) == "rgb(20, 23, 27)"
    page.get_by_role("button", name="Dark colours").click()
    assert page.evaluate(paper) == before


CONTRAST = """(() => {
  const curve = (v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  const share = [0.2126, 0.7152, 0.0722];
  const light = (rgb) => rgb.map((v) => curve(v / 255)).reduce((sum, v, at) => sum + v * share[at], 0);
  const of = (name) => {
    const probe = document.createElement("i");
    probe.style.color = `var(--${name})`;
    document.body.append(probe);
    const rgb = getComputedStyle(probe).color.match(/\\d+/g).map(Number).slice(0, 3);
    probe.remove();
    return light(rgb);
  };
  return ["ink", "soft", "faint", "blue", "red", "green", "amber"].map((name) => {
    const [a, b] = [of(name), of("paper")].sort((x, y) => y - x);
    return (a + 0.05) / (b + 0.05);
  });
})()"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_can_be_told_from_the_paper(shown, scheme):
    """Text has a contrast of 4.5 and more (WCAG 2.2, 1.4.3)."""
    assert min(shown(scheme=scheme).evaluate(CONTRAST)) >= 4.5


def test_a_narrow_window_does_not_scroll_sideways(shown):
    assert shown(width=380).evaluate("document.documentElement.scrollWidth") <= 380
