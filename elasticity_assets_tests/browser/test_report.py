"""A person reads a report: in a wide and a narrow window, and on paper. A real browser, Debian's Chromium.

Screenshots are kept in the folder that SCREENSHOTS names, or else in pytest's own.
"""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from elasticity_assets.report import charts
from elasticity_assets.report.javascript import vega
from elasticity_assets.report.page import render
from elasticity_assets.report.pictures import Picture
from elasticity_assets_tests.report import made_up
from elasticity_assets_tests.report.test_charts import any_charts, summary_of
from elasticity_assets_tests.support.small_warehouse import NASTY

CATEGORIES = ["BAKED BREAD/BUNS/ROLLS", "FRZN MEAT/MEAT DINNERS", NASTY]
WIDTHS = [1400, 390]
CUT = """
() => [...document.querySelectorAll(".chart svg")].flatMap((svg) => {
  const box = svg.getBoundingClientRect();
  const outside = (label) => {
    const of = label.getBoundingClientRect();
    return of.left < box.left - 1 || of.right > box.right + 1 || of.top < box.top - 1 || of.bottom > box.bottom + 1;
  };
  return [...svg.querySelectorAll("text")].filter((label) => label.textContent && outside(label))
    .map((label) => label.textContent);
})
"""
"""Labels that do not lie within their chart."""


CONTRASTS = """
() => {
  const luminance = (colour) => {
    const parts = colour.match(/[\\d.]+/g).slice(0, 3).map((part) => {
      const value = part / 255;
      return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
  };
  const behind = (element) => {
    const colour = getComputedStyle(element).backgroundColor;
    return colour === "rgba(0, 0, 0, 0)" ? behind(element.parentElement) : colour;
  };
  const contrast = (element) => {
    const [one, other] = [getComputedStyle(element).color, behind(element)].map(luminance);
    return (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
  };
  return [...document.querySelectorAll("main *, header *")]
    .filter((element) => element.checkVisibility() && !element.closest("svg"))
    .filter((element) => [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim()))
    .filter((element) => contrast(element) < 4.5)
    .map((element) => `${element.tagName} ${element.className} ${contrast(element).toFixed(1)}`);
}
"""
"""Texts that stand out less than WCAG's level AA asks for."""
expect.set_options(timeout=60_000)
ALL_CHARTS = 2 + len(CATEGORIES) * len(any_charts(3))


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of three categories, each with a chart of every kind."""
    return written(tmp_path_factory.mktemp("report"), CATEGORIES)


def written(
    folder: Path, categories: list[str], shown: list[charts.Chart] | None = None, n_products: int = 30
) -> Path:
    """Write a page of categories, each with these charts, or else one of every kind."""
    pictures = [Picture(chart.kind, [chart], "caption " * 40) for chart in shown or any_charts(30)]
    file = folder / "latest.html"
    made = made_up.report(categories, n_products, pictures)
    file.write_text(render(made, vega(folder)), encoding="utf-8")
    return file


@pytest.fixture
def complaints() -> list[str]:
    """What the page logs, throws, or asks for beside itself."""
    return []


@pytest.fixture
def page(browser: Browser, complaints: list[str]) -> Iterator[Page]:
    page = browser.new_page()
    page.set_default_timeout(120_000)
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: complaints.append(request.url))
    yield page
    page.close()


def opened(page: Page, report: Path, complaints: list[str], width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(report.as_uri())
    assert complaints == [report.as_uri()]
    complaints.clear()


def open_sections(page: Page) -> None:
    page.get_by_role("button", name="Open all").click()


def screenshot(page: Page, name: str, tmp_path: Path) -> None:
    folder = Path(os.environ.get("SCREENSHOTS", tmp_path))
    folder.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=folder / f"report_{name}.png")


@pytest.mark.parametrize("width", WIDTHS)
def test_charts_are_drawn_as_they_come_into_view(
    page: Page, report: Path, complaints: list[str], width: int, tmp_path: Path
) -> None:
    page.add_init_script(
        "window.requestIdleCallback = () => {};"
    )  # a browser that always has something to do
    opened(page, report, complaints, width)
    screenshot(page, f"{width}", tmp_path)
    page.locator(".chart").first.scroll_into_view_if_needed()
    expect(page.locator(".chart").first.locator("svg")).to_be_visible()
    open_sections(page)
    assert page.locator(".chart svg").count() < page.locator(".chart").count() == ALL_CHARTS
    for chart in page.locator(".chart").all():
        chart.scroll_into_view_if_needed()
        expect(chart.locator("svg")).to_be_visible()
        assert chart.locator("svg path").count() > 0
        box = chart.bounding_box()
        assert box is not None
        assert box["width"] > 250
    screenshot(page, f"{width}_end", tmp_path)
    assert page.evaluate(CUT) == []
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert complaints == []


@pytest.mark.parametrize("has_idle_time", [True, False], ids=["idle time", "Safari"])
def test_all_charts_are_drawn_without_being_scrolled_to(
    page: Page, report: Path, complaints: list[str], has_idle_time: bool
) -> None:
    if not has_idle_time:
        page.add_init_script("window.requestIdleCallback = undefined;")
    opened(page, report, complaints, 390)
    expect(page.locator(".chart svg").nth(1)).to_be_attached()  # in idle time there may be more already
    page.evaluate("document.querySelectorAll('.section').forEach((section) => { section.open = true; })")
    expect(page.locator(".chart svg")).to_have_count(ALL_CHARTS)
    assert page.evaluate("scrollY") == 0
    assert page.evaluate(CUT) == []
    assert complaints == []


def test_the_last_price_is_whole_wherever_it_falls(page: Page, complaints: list[str], tmp_path: Path) -> None:
    of_prices = any_charts(30)[2]

    def to(highest: float) -> charts.Chart:
        moved = {
            name: [2 + (highest - 2) * (price - 1) for price in columns["price"]]
            for name, columns in of_prices.data.items()
        }
        data = {name: {**columns, "price": moved[name]} for name, columns in of_prices.data.items()}
        return replace(of_prices, data=data)

    opened(page, written(tmp_path, ["a"], [to(2.3 + 0.01 * i) for i in range(20)]), complaints, 390)
    open_sections(page)
    expect(page.locator(".chart svg")).to_have_count(22)
    assert page.evaluate(CUT) == []


def test_a_chart_that_cannot_be_drawn_says_so(page: Page, complaints: list[str], tmp_path: Path) -> None:
    broken = [
        replace(chart, data={"rows": {}}) if chart.kind == "drift" else chart for chart in any_charts(30)
    ]
    opened(page, written(tmp_path, CATEGORIES, broken), complaints, 1400)
    open_sections(page)
    expect(page.locator(".chart svg")).to_have_count(ALL_CHARTS - 3)
    expect(page.get_by_text("This chart could not be drawn: ")).to_have_count(3)
    for chart in page.locator(".chart:not(:has(svg))").all():
        assert box_of(chart)["height"] < 100
    assert len(complaints) == 3


@pytest.mark.parametrize("width", WIDTHS)
def test_the_answer_is_on_the_first_screen(
    page: Page, report: Path, complaints: list[str], width: int
) -> None:
    opened(page, report, complaints, width)
    for found in (
        page.locator("h1"),
        page.locator(".answer"),
        page.locator("#changes"),
    ):
        assert box_of(found)["y"] < 900
    assert "of 90 prices" in page.locator("h1").inner_text()


@pytest.mark.parametrize("width", WIDTHS)
def test_wide_tables_scroll_in_their_own_box(
    page: Page, report: Path, complaints: list[str], width: int, tmp_path: Path
) -> None:
    opened(page, report, complaints, width)
    open_sections(page)
    expect(page.get_by_text("own data alone").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == width
    page.locator("#appendix").evaluate("heading => heading.scrollIntoView()")
    screenshot(page, f"{width}_appendix", tmp_path)
    if width < 500:
        box = page.locator(".scroll", has_text="serial correlation")
        assert box.evaluate("box => box.scrollWidth > box.clientWidth")
        for cards in page.locator(".scroll:has(.cards)").all():
            assert cards.evaluate("box => box.scrollWidth <= box.clientWidth")


def rows_of(page: Page) -> Locator:
    return page.locator(".products tbody tr")


@pytest.mark.parametrize("width", WIDTHS)
def test_products_are_searched(
    page: Page, report: Path, complaints: list[str], width: int, tmp_path: Path
) -> None:
    opened(page, report, complaints, width)
    expect(rows_of(page)).to_have_count(50)
    expect(page.get_by_role("status")).to_have_text("50 shown of 90")
    page.get_by_role("searchbox").fill("frzn P13")
    expect(rows_of(page)).to_have_count(1)
    expect(page.get_by_role("status")).to_have_text("1 shown of 1 found among 90")
    page.locator("#products").evaluate("heading => heading.scrollIntoView()")
    screenshot(page, f"{width}_search", tmp_path)
    page.get_by_role("searchbox").fill(made_up.IMAGE)
    expect(rows_of(page)).to_have_count(3)
    page.get_by_role("searchbox").fill("nothing of the kind")
    expect(rows_of(page)).to_have_count(0)
    page.get_by_role("searchbox").fill("")
    page.get_by_label("Show").select_option("to be careful with")
    expect(rows_of(page)).to_have_count(3)
    expect(page.get_by_text(made_up.SCRIPT).first).to_be_visible()
    page.get_by_label("Show").select_option("to raise")
    expect(rows_of(page)).to_have_count(30)
    page.get_by_label("Show").select_option("all")
    page.get_by_role("button", name="Show 50 more").click()
    expect(rows_of(page)).to_have_count(90)
    expect(page.get_by_role("button", name="Show all")).to_be_hidden()
    assert complaints == []


@pytest.mark.parametrize("width", WIDTHS)
def test_products_are_sorted_by_a_click_or_a_key(
    page: Page, report: Path, complaints: list[str], width: int, tmp_path: Path
) -> None:
    opened(page, report, complaints, width)
    head = page.locator(".products thead th", has_text="gain")
    first = rows_of(page).first.locator("td").nth(2)
    head.get_by_role("button").click()
    expect(head).to_have_attribute("aria-sort", "ascending")
    expect(first).to_contain_text("+1.25")
    head.get_by_role("button").press("Enter")
    expect(head).to_have_attribute("aria-sort", "descending")
    expect(first).to_contain_text("+23.00")
    expect(page.locator('.products [aria-sort="none"]')).to_have_count(8)
    page.locator(".products thead th", has_text="product").get_by_role("button").click()
    codes = (
        rows_of(page).locator("th").evaluate_all("found => found.map((code) => code.firstChild.textContent)")
    )
    assert codes[3:9] == ["p0"] * 3 + ["p1"] * 3
    page.locator(".categories thead th", has_text="category").get_by_role("button").press("Enter")
    expect(page.locator(".categories tbody tr").first).to_contain_text(CATEGORIES[0])
    page.locator("#products").evaluate("heading => heading.scrollIntoView()")
    screenshot(page, f"{width}_sorted", tmp_path)
    assert complaints == []


def test_a_link_to_a_closed_section_opens_it(page: Page, report: Path, complaints: list[str]) -> None:
    opened(page, report, complaints, 1400)
    expect(page.locator(".section[open]")).to_have_count(0)
    page.locator(".categories").get_by_role("link", name=CATEGORIES[1]).click()
    expect(page.locator(".section[open]")).to_have_count(1)
    expect(page.locator(".section[open] .chart svg").first).to_be_visible()


def test_a_category_is_named_in_full_beside_its_interval(
    page: Page, report: Path, complaints: list[str]
) -> None:
    opened(page, report, complaints, 1400)
    forest = page.locator(".chart").nth(1)
    for name in CATEGORIES[:2]:
        expect(forest.get_by_text(name, exact=True)).to_be_visible()
    expect(forest).to_have_attribute("aria-label", charts.elasticities(CATEGORIES, summary_of(3)).description)


def test_a_narrow_window_made_wide_has_room_for_the_names(
    page: Page, report: Path, complaints: list[str]
) -> None:
    opened(page, report, complaints, 390)
    forest = page.locator(".chart").nth(1)
    expect(forest.get_by_text("…").first).to_be_visible()
    page.set_viewport_size({"width": 1400, "height": 900})
    for name in CATEGORIES[:2]:
        expect(forest.get_by_text(name, exact=True)).to_be_visible()


@pytest.mark.parametrize("width", WIDTHS)
def test_all_charts_are_there_on_paper(
    browser: Browser, page: Page, report: Path, complaints: list[str], width: int, tmp_path: Path
) -> None:
    opened(page, report, complaints, width)
    expect(page.locator(".chart svg").nth(1)).to_be_attached()  # in idle time there may be more already
    closed = page.pdf(format="A4")
    open_sections(page)
    drawn = page.evaluate_handle(
        """() => {
          const seen = {};
          addEventListener("afterprint", () => { seen.charts = document.querySelectorAll(".chart svg").length; });
          return seen;
        }"""
    )
    printed = page.pdf(path=tmp_path / "report.pdf", format="A4")
    without_charts = browser.new_page(java_script_enabled=False)
    without_charts.goto(report.as_uri())
    assert len(printed) > 1.5 * len(without_charts.pdf(format="A4"))
    assert len(printed) > 1.5 * len(closed)
    without_charts.close()
    assert drawn.json_value() == {"charts": ALL_CHARTS}
    assert complaints == []


def test_a_tall_page_printed_at_once_has_all_its_charts(page: Page, tmp_path: Path) -> None:
    tall = written(tmp_path, [f"category {i}" for i in range(12)])
    page.set_viewport_size({"width": 1400, "height": 900})
    page.goto(tall.as_uri(), wait_until="domcontentloaded")
    open_sections(page)
    at_once = page.pdf(format="A4")
    expect(page.locator(".chart svg")).to_have_count(2 + 12 * len(any_charts(3)))
    assert len(at_once) > 0.98 * len(page.pdf(format="A4"))


def test_paper_holds_two_charts_side_by_side(
    page: Page, report: Path, complaints: list[str], tmp_path: Path
) -> None:
    opened(page, report, complaints, 1400)
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 718, "height": 1000})  # A4 within its margins
    page.evaluate("document.querySelectorAll('.section').forEach((section) => { section.open = true; })")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    expect(page.locator(".chart svg")).to_have_count(ALL_CHARTS)
    page.locator(".section").first.scroll_into_view_if_needed()
    screenshot(page, "print", tmp_path)
    lefts = {round(figure["x"]) for figure in map(box_of, page.locator(".pictures figure").all())}
    assert len(lefts) == 2
    assert page.evaluate(CUT) == []
    for chart in page.locator(".pictures .chart").all():
        assert box_of(chart)["width"] <= 330
        assert box_of(chart.locator("svg"))["width"] <= 330
    assert complaints == []


def box_of(found) -> dict[str, float]:
    box = found.bounding_box()
    assert box is not None
    return box


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_reads_by_day_and_in_the_dark(
    browser: Browser, report: Path, tmp_path: Path, scheme: Literal["light", "dark"]
) -> None:
    page = browser.new_page(color_scheme=scheme)
    page.goto(report.as_uri())
    label = page.locator(".chart svg text").first
    expect(label).to_be_visible()
    ink, paper = (
        page.evaluate("(name) => getComputedStyle(document.body)[name]", name)
        for name in ("color", "backgroundColor")
    )
    assert label.evaluate("label => getComputedStyle(label).fill") == ink != paper
    assert page.evaluate(CONTRASTS) == []
    screenshot(page, scheme, tmp_path)
    page.close()
