"""Rows of the published tables as a report takes them, made up, and the report of them."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from elasticity_assets.report import charts
from elasticity_assets.report.answer import answer, recommendations
from elasticity_assets.report.category_table import Cell
from elasticity_assets.report.check_warnings import check_warnings, warned_categories
from elasticity_assets.report.page import MOST_SECTIONS, Report, Section, category_rows, facts, product_lines
from elasticity_assets.report.pictures import Picture
from elasticity_assets.report.price_tests import price_tests
from elasticity_assets.report.product_table import product_rows
from elasticity_assets.report.published_rows import MOST_TESTS
from elasticity_assets.report.since_last import compared, since_last
from elasticity_assets.report.zones import zone_rows
from elasticity_assets_tests.report.test_charts import summary_of
from elasticity_assets_tests.support import small_warehouse

NASTY = small_warehouse.NASTY
ADDRESS = "http://a.b/c.png"
IMAGE = f"![x]({ADDRESS})"
SCRIPT = "<script>alert(1)</script>"


def product_elasticity(category: str, n: int) -> pd.DataFrame:
    """Rows of product_elasticity, later ones with more revenue; the last product's code is an image in Markdown."""
    return pd.DataFrame(
        {
            "category": category,
            "product": [*(f"p{i}" for i in range(n - 1)), IMAGE],
            "product_description": "<b>cheap</b>",
            "elasticity": -1.5,
            "elasticity_sd": 0.3,
            "elasticity_q05": -2.0,
            "elasticity_q95": -0.00001,
            "shrinkage": 0.25,
            "revenue": np.arange(float(n)),
            "price_min": 0.9,
            "price_max": 1.05,
            "price_latest": 1.0,
            "units_per_period": 10.0,
            "revenue_per_period": 10.0,
            "flag": [*[None] * (n - 1), SCRIPT],
            "estimated": True,
        }
    )


def recommended(products: pd.DataFrame) -> pd.DataFrame:
    """Rows of recommended_prices: one of three prices is raised, all others are kept for want of a cost."""
    n = len(products)
    raised = np.arange(n) % 3 == 1
    change = {
        name: np.where(raised, value, 0.0)
        for name, value in {
            "units_change": -0.5,
            "units_change_q05": -1.0,
            "units_change_q95": 0.1,
            "revenue_change": 1.0 + np.arange(n) / 4,
            "revenue_change_q05": -0.2,
            "revenue_change_q95": 2.5,
        }.items()
    }
    return pd.DataFrame(
        {
            "category": products["category"],
            "product": products["product"],
            "zone": None,
            "price_now": 1.0,
            "price_recommended": np.where(raised, 1.1, 1.0),
            "action": np.where(raised, "raise", "keep"),
            **change,
            "profit_change": np.nan,
            "profit_change_q05": np.nan,
            "profit_change_q95": np.nan,
            "prob_gain": np.where(raised, 0.92, np.nan),
            "binding_rule": np.where(raised, "max_change", "cost"),
            "reason": np.where(raised, "revenue +1.00 a period expected", f"0.9 would bring more {SCRIPT}"),
        }
    )


def recommended_tests(products: pd.DataFrame) -> pd.DataFrame:
    """Rows of recommended_tests: one of each product, with its description."""
    return products[["category", "product", "product_description", "elasticity"]].assign(
        zone=None,
        price_now=1.0,
        price_low=0.9,
        price_high=1.1,
        periods=12,
        elasticity_sd=0.8,
        sd_after=0.4,
        gain_per_period=3.456,
        reason=f"its own price never changed {SCRIPT}",
    )


def zone_elasticity(products: pd.DataFrame) -> pd.DataFrame:
    """Rows of zone_elasticity as the report reads them: one of each product, in a zone with a nasty name."""
    return products[["category", "product", "product_description"]].assign(
        zone=f"north {SCRIPT}",
        elasticity=-3.0,
        elasticity_q05=-3.5,
        elasticity_q95=-2.5,
        of_product=-1.5,
        of_product_q05=-2.0,
        of_product_q95=-1.0,
        flag="few periods: fewer than 8",
    )


def check_results(*failed: tuple[str, str, str, str]) -> pd.DataFrame:
    """Rows of check_results, one that passed and those that failed: check, asset, category, severity."""
    rows: list[dict[str, Any]] = [
        {
            "check": check,
            "asset": asset,
            "category": category,
            "passed": False,
            "severity": severity,
            "message": f"found in <{check}>",
            "refit_id": "refit-2",
        }
        for check, asset, category, severity in failed
    ]
    passed = {
        "check": "prices_vary",
        "asset": "model_input",
        "category": "x",
        "passed": True,
        "severity": "warning",
    }
    return pd.DataFrame([{**passed, "message": "", "refit_id": "refit-2"}, *rows])


def history(products: pd.DataFrame, moved: float = 0.0) -> pd.DataFrame:
    """Rows of elasticity_history: each product's last elasticity, the first product's `moved` from today's."""
    columns = [
        "category",
        "product",
        "elasticity",
        "elasticity_sd",
        "elasticity_q05",
        "elasticity_q95",
        "estimated",
    ]
    before = products[columns].copy()
    before.loc[before.index[:1], ["elasticity", "elasticity_q05", "elasticity_q95"]] -= moved
    return before


def refits_row(number: int, **more: Any) -> dict[str, Any]:
    """A row of refits."""
    counts = {
        "n_files": 1,
        "rows_in": 12345,
        "rows_used": 12345,
        "rows_rejected": 0,
        "n_categories": 2,
        "n_products": 6,
    }
    began = pd.Timestamp("2026-01-05 06:00") + pd.Timedelta(weeks=number)
    return {"refit_id": f"refit-{number}", "refitted_at": began, "failed": [], **counts, **more}


def evidence() -> dict[str, Cell]:
    """A row of the appendix's table of categories."""
    names = (
        "coverage",
        "WAPE",
        "split samples agree",
        "drift",
        "serial correlation",
        "lead",
        "flagged",
        "fitted",
    )
    return {
        "products": Cell("3"),
        "elasticity": Cell("−1.50 (−2.00 to −1.00)"),
        **{name: Cell("90.0%") for name in names},
        "best rival": Cell("each product on its own", bad=True),
    }


def report(
    categories: Sequence[str] = ("soup", NASTY),
    n_products: int = 3,
    pictures: Sequence[Picture] = (),
    of: Callable[[pd.DataFrame], pd.DataFrame] = lambda rows: rows,
) -> Report:
    """A report of so many products a category, all of whose parts have something to say.

    Parameters
    ----------
    categories : sequence of str
    n_products : int
        A category.
    pictures : sequence of Picture
        Of each section of the appendix.
    of : callable
        Changes the rows of recommended_prices.
    """
    products = pd.concat([product_elasticity(name, n_products) for name in categories], ignore_index=True)
    rows = recommendations(products, of(recommended(products)), "profit")
    results = check_results(
        ("elasticities_do_not_drift", "split_samples", categories[0], "warning"),
        ("few_rows_are_rejected", "weekly_sales", "", "error"),
    )
    before = history(products, moved=2.0)
    both = compared(before, products)
    of_categories = pd.DataFrame(
        {
            "category": categories,
            "n_products": n_products,
            "elasticity": -1.5,
            "elasticity_q05": -2.0,
            "elasticity_q95": -1.0,
            "estimated": True,
        }
    )
    warned = warned_categories(results)
    sections = [
        Section(
            name, pictures, product_lines(products[products["category"] == name], {}), 3, [f"note of {name}"]
        )
        for name in categories[:MOST_SECTIONS]
    ]
    suspects = pd.DataFrame(columns=["category", "product", "what"])
    return Report(
        refit_id="refit-2",
        began="2026-01-19 06:00",
        published="elasticity.duckdb",
        period="week",
        failed={},
        answer=answer(rows, "week", warned),
        tests=price_tests(recommended_tests(products.head(MOST_TESTS))),
        zones=zone_rows(zone_elasticity(products.head(2))),
        n_by_zone=40,
        warnings=check_warnings(results, rows, suspects, both[both["moved"]]),
        since_last=since_last(refits_row(1, rows_used=12000), refits_row(2), before, products),
        everything="−1.5 (−2 to −1)",
        forest=Picture("forest", [charts.elasticities(categories, summary_of(len(categories)))], "caption"),
        categories=category_rows(
            of_categories, rows, {categories[0]: "no sign that <prices> follow demand"}, warned
        ),
        products=product_rows(rows),
        n_products=len(products),
        n_flagged=int(rows["flag"].count()),
        facts=facts(refits_row(2)),
        evidence={name: evidence() for name in categories},
        sections=sections,
    )
