"""The page from plain data."""

from dataclasses import replace

import pandas as pd
import pytest

from elasticity_assets.report.charts import Chart
from elasticity_assets.report.page import (
    MOST_ROWS,
    MOST_SECTIONS,
    Report,
    Section,
    facts,
    product_lines,
    product_names,
    render,
)
from elasticity_assets.report.pictures import Picture
from elasticity_assets.report.tables import Cell
from elasticity_assets.report.vega_lite import specification
from elasticity_assets_tests.report.test_charts import any_charts
from elasticity_assets_tests.support.pages import needs_nothing
from elasticity_assets_tests.support.projects import CATEGORIES
from elasticity_assets_tests.support.small_warehouse import NASTY

pytestmark = pytest.mark.quick

ROWS = {"name": [NASTY, "</script><!--"], "mean": [-1.5, None], "low": [-2.0, None], "high": [-1.0, None]}
CHART = Chart("elasticities", {"rows": ROWS}, "two rows < three", title="<i>of</i>")
PICTURE = Picture("a < b", [CHART, CHART], "caption & more")
JAVASCRIPT = "window.vegaEmbed = async () => ({});"


def products(n: int, description: str | None = "<b>cheap</b>") -> pd.DataFrame:
    return pd.DataFrame(
        {
            "product": [f"p{i}" for i in range(n - 1)] + [NASTY],
            "product_description": description,
            "elasticity": -1.5,
            "elasticity_q05": -2.0,
            "elasticity_q95": -0.00001,
            "shrinkage": 0.25,
            "revenue": range(n),
            "estimated": [True] * n,
            "flag": [None] * (n - 1) + ["<script>alert(1)</script>"],
        }
    )


def report(n_sections: int = 1, n_categories: int = 1, failed: dict[str, str] | None = None) -> Report:
    names = [f"category {i}" for i in range(n_categories - 1)] + [NASTY]
    lines = product_lines(products(4), {NASTY: -3.0})
    return Report(
        "refit-1",
        "2026-01-05 06:00",
        facts(
            dict.fromkeys(
                ["n_files", "rows_in", "rows_used", "rows_rejected", "n_categories", "n_products"], 12345
            )
        ),
        "−1.5 (−2 to −1)",
        failed or {},
        PICTURE,
        {
            name: {"products": Cell("4"), "elasticity": Cell("−1"), "drift": Cell("9", bad=True)}
            for name in names
        },
        [Section(name, [PICTURE], lines, 3, [f"note of {name}"]) for name in names[-n_sections:]],
    )


def page_of(shown: Report) -> str:
    return render(shown, JAVASCRIPT)


def test_names_are_escaped_and_nothing_is_loaded() -> None:
    html = page_of(report(failed={CATEGORIES[1]: "no <luck>"}))
    page = needs_nothing(html)
    assert html.count("<script>") == 2  # Vega, and what calls it
    assert "<!--" not in html
    assert NASTY in page.texts
    assert {CATEGORIES[1], ": no <luck>", "caption & more", "<b>cheap</b>", "12,345", "−3.00"} <= set(
        page.texts
    )
    assert "−1.50 (−2.00 to 0.00)" in page.texts
    assert "<script>alert(1)</script>" in page.texts


def test_charts_are_data_and_one_specification_a_kind() -> None:
    page = needs_nothing(page_of(report()))
    assert page.charts == [("elasticities", "two rows < three")] * 4
    assert "<i>of</i>" in page.texts
    *data, specifications = page.data
    assert data == [{"rows": ROWS}] * 4
    assert specifications == {"elasticities": specification("elasticities")}


def test_what_is_no_json_is_refused() -> None:
    chart = Chart("pit", {"rows": {"count": [float("nan")]}}, "")
    with pytest.raises(ValueError, match="not JSON compliant"):
        page_of(replace(report(), forest=Picture("", [chart], "")))


def test_the_page_says_which_categories_and_products_it_leaves_out() -> None:
    page = needs_nothing(page_of(report(n_sections=2, n_categories=300)))
    assert any("the 2 categories with most revenue" in text and "298" in text for text in page.texts)
    assert any("3 more are in the published file" in text for text in page.texts)
    assert len(page.links) == 2
    assert not any("of their own" in text for text in needs_nothing(page_of(report())).texts)


def test_a_page_of_most_sections_stays_small() -> None:
    pictures = [Picture("", [chart], "caption " * 50) for chart in [*any_charts(156), *any_charts(156)[2:3]]]
    lines = product_lines(products(MOST_ROWS), {})
    shown = report(n_sections=MOST_SECTIONS, n_categories=300)
    sections = [replace(section, pictures=pictures, products=lines) for section in shown.sections]
    vega = 900_000
    assert len(page_of(replace(shown, sections=sections)).encode()) + vega < 3_000_000


def test_products_with_most_revenue_come_first() -> None:
    lines = product_lines(products(MOST_ROWS + 5, None), {})
    assert len(lines) == MOST_ROWS
    assert lines[0].product == NASTY
    assert lines[0].own_data == "–"
    assert (lines[0].description, lines[1].flag) == ("", "")


@pytest.mark.parametrize(("description", "name"), [(None, "p0"), ("soup", "p0 soup")])
def test_products_are_named_by_code_and_description(description: str | None, name: str) -> None:
    assert product_names(["p0", "unknown"], products(2, description)) == [name, "unknown"]
