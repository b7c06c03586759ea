"""The page from plain data."""

import re
from dataclasses import replace
from itertools import pairwise

import pandas as pd
import pytest

from elasticity_assets.inference.judging.observed_controls import ObservedControl
from elasticity_assets.report import product_table
from elasticity_assets.report.charts import Chart
from elasticity_assets.report.page import (
    MOST_ROWS,
    MOST_SECTIONS,
    Report,
    category_rows,
    product_lines,
    product_names,
    render,
)
from elasticity_assets.report.pictures import Picture
from elasticity_assets.report.sensitivity import sensitivity
from elasticity_assets.report.vega_lite import specification
from elasticity_assets_tests.report.made_up import (
    ADDRESS,
    IMAGE,
    NASTY,
    SCRIPT,
    evidence,
    product_elasticity,
    report,
)
from elasticity_assets_tests.report.test_charts import any_charts
from elasticity_assets_tests.support.pages import Page, needs_nothing
from elasticity_assets_tests.support.projects import CATEGORIES

pytestmark = pytest.mark.quick

ROWS = {"name": [NASTY, "</script><!--"], "mean": [-1.5, None], "low": [-2.0, None], "high": [-1.0, None]}
CHART = Chart("elasticities", {"rows": ROWS}, "two rows < three", title="<i>of</i>")
PICTURE = Picture("a < b", [CHART, CHART], "caption & more")
JAVASCRIPT = "window.vegaEmbed = async () => ({});"


def page_of(shown: Report) -> str:
    return render(shown, JAVASCRIPT)


def read(shown: Report) -> Page:
    return needs_nothing(page_of(shown), [ADDRESS])


def test_the_answer_comes_first() -> None:
    page = read(report())
    texts = page.texts
    assert texts.index("Raise 2 of 6 prices") < 6
    parts = ["changes", "kept", "careful", "since-last", "elasticities", "products", "appendix"]
    assert [name for name in page.ids if name in parts] == parts
    assert "Expected: revenue a week +3.25 (+5.4% of today's)." in texts


def test_names_are_escaped_and_nothing_is_loaded() -> None:
    shown = report(["soup", NASTY], pictures=[PICTURE])
    html = page_of(replace(shown, failed={CATEGORIES[1]: "no <luck>"}))
    page = needs_nothing(html, [ADDRESS])
    assert html.count("<script>") == 3  # Vega, what calls it, and the tables'
    assert "<!--" not in html
    assert "<b>" not in html
    assert {NASTY, CATEGORIES[1], ": no <luck>", "caption & more", IMAGE} <= set(page.texts)
    assert SCRIPT in page.texts
    assert "no sign that <prices> follow demand" in page.texts
    assert any("<b>cheap</b>" in text for text in page.texts)


def test_every_table_says_what_its_columns_are_and_headings_leave_no_level_out() -> None:
    html = page_of(report(["soup", NASTY], pictures=[PICTURE]))
    for head in re.findall("<thead>.*?</thead>", html, re.DOTALL):
        assert head.count("<th ") == head.count("<th scope=") > 0
    levels = [int(part[0]) for part in html.split("<h")[1:] if part[0].isdigit()]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(later <= earlier + 1 for earlier, later in pairwise(levels))


def test_charts_are_data_and_one_specification_a_kind() -> None:
    page = read(report(pictures=[PICTURE]))
    assert page.charts[2:] == [("elasticities", "two rows < three")] * 4
    assert "<i>of</i>" in page.texts
    *data, specifications = page.data
    assert data[2:] == [{"rows": ROWS}] * 4
    assert specifications == {kind: specification(kind) for kind in ("elasticities", "gains")}


def test_what_is_no_json_is_refused() -> None:
    chart = Chart("pit", {"rows": {"count": [float("nan")]}}, "")
    with pytest.raises(ValueError, match="not JSON compliant"):
        page_of(replace(report(), forest=Picture("", [chart], "")))


def test_without_a_recommendation_it_says_why() -> None:
    page = read(report(of=lambda rows: rows.assign(action="keep", prob_gain=None, binding_rule="cost")))
    assert "Change no price" in page.texts
    assert any("the sales have no cost" in text for text in page.texts)
    assert "Why no price changes" in page.texts
    assert "What to change" not in page.texts


def test_what_something_unseen_would_have_to_explain_stands_beside_what_a_known_control_does() -> None:
    alone = sensitivity(0.12, ObservedControl())
    assert alone.startswith(
        "Something unseen would have to explain 12% of what the model leaves of both prices"
    )
    assert (
        sensitivity(0.12, ObservedControl("display", 0.04, 0.09))
        == f"{alone}; display explains 9% of prices and 4% of sales"
    )


def test_the_prices_to_test_next_are_told() -> None:
    page = page_of(report(categories=["soup"]))
    assert "Which prices to test next" in page
    assert "0.90 and 1.10" in page
    assert "−1.50 ± 0.80 → ± 0.40" in page
    assert "+3.46" in page
    assert "Which prices to test next" not in page_of(replace(report(), tests=[]))


def test_where_elasticities_differ_by_zone_is_told() -> None:
    texts = read(report(categories=["soup"])).texts
    assert "Where elasticities differ by zone" in texts
    assert {"−3.00 (−3.50 to −2.50)", "−1.50 (−2.00 to −1.00)", "few periods: fewer than 8"} <= set(texts)
    none = page_of(replace(report(), zones=[]))
    assert "Of 40 products in zones none surely differs" in none
    assert "by zone" not in page_of(replace(report(), zones=[], n_by_zone=0))


def test_the_first_refit_and_a_clean_one_say_so() -> None:
    texts = read(replace(report(), since_last=None, warnings=[], n_flagged=0)).texts
    assert "This is the first refit: there is none to compare it with." in texts
    assert "All checks passed." in texts


def test_the_page_says_which_categories_and_products_it_leaves_out() -> None:
    names = [f"category {i}" for i in range(300)]
    shown = report(["category 0", "category 1"])
    page = read(replace(shown, evidence=dict.fromkeys(names, evidence()), n_products=67_810))
    assert any("The 2 categories with most revenue" in text and "298" in text for text in page.texts)
    assert any("6 of 67,810" in text for text in page.texts)
    assert "elasticity.duckdb" in page.texts
    assert not any("of their own; the other" in text for text in read(report()).texts)


def test_a_page_of_300_categories_and_67_810_products_stays_small() -> None:
    names = [f"CATEGORY NUMBER {i} OF THE SHOP" for i in range(300)]
    pictures = [Picture("", [chart], "caption " * 50) for chart in [*any_charts(156)[1:], any_charts(156)[2]]]
    shown = report(names, n_products=226, pictures=pictures)
    assert shown.n_products >= 67_800
    assert (len(shown.sections), len(shown.products)) == (MOST_SECTIONS, product_table.MOST_ROWS)
    vega = 900_000
    assert len(page_of(shown).encode()) + vega < 3_000_000


def test_products_with_most_revenue_come_first_in_a_section() -> None:
    products = product_elasticity("soup", MOST_ROWS + 5)
    lines = product_lines(products, {"p0": -3.0})
    assert len(lines) == MOST_ROWS
    assert lines[0].product == products.iloc[-1]["product"]
    assert (lines[0].own_data, lines[0].shrinkage) == ("–", "25.0%")
    few = product_lines(products.assign(estimated=False).head(1), {"p0": -3.0})
    assert (few[0].own_data, few[0].elasticity) == ("−3.00", "not estimated")
    one_of_two = products.head(2).assign(estimated=[True, False])
    assert {line.elasticity for line in product_lines(one_of_two, {})} == {
        "−1.50 (−2.00 to 0.00)",
        "the category's: −1.50 (−2.00 to 0.00)",
    }


def test_categories_with_most_changes_come_first() -> None:
    products = pd.concat([product_elasticity(name, 2) for name in ("a", "b")])
    rows = products.assign(action=["keep", "keep", "raise", "keep"], flag=["f", None, None, None])
    categories = pd.DataFrame(
        {
            "category": ["a", "b"],
            "n_products": 2,
            "elasticity": -1.0,
            "elasticity_q05": -2.0,
            "elasticity_q95": 0.0,
            "estimated": [True, False],
        }
    )
    first, second = category_rows(categories, rows, {"a": "open"}, frozenset({"a"}))
    assert (first.category, first.changes, first.flagged, first.warns) == ("b", "1", "0", False)
    assert (second.category, second.elasticity, second.flagged, second.warns) == (
        "a",
        "−1.00 (−2.00 to 0.00)",
        "1",
        True,
    )
    assert first.elasticity == "not estimated"
    assert (first.verdict, second.verdict) == ("", "open")


@pytest.mark.parametrize(("description", "name"), [(None, "p0"), ("soup", "p0 soup")])
def test_products_are_named_by_code_and_description(description: str | None, name: str) -> None:
    described = product_elasticity("soup", 2).assign(product_description=description)
    assert product_names(["p0", "unknown"], described) == [name, "unknown"]
