"""What checks warn of is said in plain words, with the categories and products concerned."""

import pandas as pd
import pytest

from elasticity_assets.checks.every_check import EVERY_CHECK
from elasticity_assets.report.answer import recommendations
from elasticity_assets.report.check_warnings import (
    MOST_CATEGORIES,
    MOST_PRODUCTS,
    PLAIN,
    CheckWarning,
    check_warnings,
    current,
    warned_categories,
)
from elasticity_assets_tests.report.made_up import check_results, product_elasticity, recommended

pytestmark = pytest.mark.quick

NONE = pd.DataFrame(columns=["category", "product", "what"])


def found_in(
    results: pd.DataFrame, suspects: pd.DataFrame = NONE, moved: pd.DataFrame = NONE, **more
) -> list[CheckWarning]:
    products = pd.concat([product_elasticity(name, 20) for name in ("soup", "bread")], ignore_index=True)
    rows = recommendations(products.assign(**more), recommended(products), "profit")
    return check_warnings(results, rows, suspects, moved)


def test_every_check_has_plain_words() -> None:
    assert {name for name, _ in EVERY_CHECK} == set(PLAIN)


def test_errors_come_first_and_then_what_concerns_most_categories() -> None:
    many = [("fits_learned", "category_posterior", f"c{i}", "warning") for i in range(MOST_CATEGORIES + 3)]
    results = check_results(
        ("prices_vary", "model_input", "soup", "warning"),
        *many,
        ("few_rows_are_rejected", "weekly_sales", "", "error"),
    )
    found = found_in(results)
    assert [warning.check for warning in found] == ["few_rows_are_rejected", "fits_learned", "prices_vary"]
    assert [warning.is_error for warning in found] == [True, False, False]
    assert found[0].categories == [("", "found in <few_rows_are_rejected>")]
    assert (len(found[1].categories), found[1].more_categories) == (MOST_CATEGORIES, 3)
    assert found[1].says == PLAIN["fits_learned"]
    assert warned_categories(results) == {"soup", *(f"c{i}" for i in range(MOST_CATEGORIES + 3))}
    assert found_in(check_results()) == []


@pytest.mark.parametrize(
    ("check", "more"),
    [
        ("elasticities_do_not_drift", {"flag": "few periods; drift: second half less first is -2.8"}),
        ("prices_vary", {"flag": "one price only: the elasticity is the category's"}),
        ("elasticities_are_negative", {"elasticity": 0.5}),
    ],
)
def test_products_concerned_are_those_of_the_categories_with_most_revenue_first(
    check: str, more: dict
) -> None:
    (warning,) = found_in(check_results((check, "", "bread", "warning")), **more)
    assert len(warning.products) == MOST_PRODUCTS
    assert warning.products[1] == "p18 <b>cheap</b>"
    assert warning.more_products == 20 - MOST_PRODUCTS
    (without,) = found_in(check_results((check, "", "bread", "warning")), flag=None)
    assert (without.products, without.more_products) == ([], 0)


@pytest.mark.parametrize(
    ("check", "what"),
    [("no_suspect_prices", "price"), ("no_suspect_units", "units"), ("elasticities_keep_still", "")],
)
def test_products_are_found_in_other_tables(check: str, what: str) -> None:
    one = pd.DataFrame({"category": ["soup"], "product": ["p3"], "what": [what]})
    (warning,) = found_in(check_results((check, "", "", "warning")), one, one)
    assert warning.products == ["p3 <b>cheap</b>"]
    other = one.assign(what="price" if what != "price" else "units")
    assert what == "" or found_in(check_results((check, "", "", "warning")), other)[0].products == []


def test_products_whose_rules_collide_are_named() -> None:
    products = product_elasticity("soup", 3)
    colliding = recommended(products).assign(binding_rule=["groups collide", "cost", None])
    rows = recommendations(products, colliding, "profit")
    (warning,) = check_warnings(
        check_results(("pricing_rules_can_be_kept", "", "", "warning")), rows, NONE, NONE
    )
    assert warning.products == ["p0 <b>cheap</b>"]


def test_what_is_known_of_the_refit_before_alone_is_left_out() -> None:
    results = check_results(
        ("every_section_made", "report", "soup", "warning"),
        ("fits_learned", "category_posterior", "bread", "warning"),
    ).assign(refit_id="refit-1")
    assert set(current(results, "refit-2")["check"]) == {"prices_vary", "fits_learned"}
    assert len(current(results, "refit-1")) == 3
