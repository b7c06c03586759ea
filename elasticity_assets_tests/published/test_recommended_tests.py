"""Rows of recommended_tests: what the warehouse knows in, the tests to run first out."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest

from elasticity_assets.pricing.products import CrossEffects, Products
from elasticity_assets.pricing.recommend import choose
from elasticity_assets.published.recommended_prices import Priced
from elasticity_assets.published.recommended_tests import (
    Decided,
    NotPricedError,
    read_decided,
    recommended_tests_of,
)
from elasticity_assets.settings import PricingSettings
from elasticity_assets.warehouse.tables import RECOMMENDED_TESTS
from elasticity_assets_tests.pricing.markets import market
from elasticity_assets_tests.published.test_rows import assert_fits
from elasticity_assets_tests.support.small_warehouse import fill

pytestmark = pytest.mark.quick

RULES = PricingSettings(objective="revenue")


def rows_of(products: Products, bias: float = 2.0, tested: Sequence[str] = ()) -> pd.DataFrame:
    n = len(products)
    choice, _ = choose(products, RULES)
    priced = Priced(np.full(n, "soup", dtype=object), products, CrossEffects.none())
    decided = Decided(priced, choice.price, choice.rule, np.full(n, 0.3), np.full(n, bias))
    rows = recommended_tests_of(decided, RULES, "refit-1", tested)
    assert_fits(rows, RECOMMENDED_TESTS)
    return rows


def test_the_best_test_comes_first_and_each_says_why() -> None:
    products = market(
        5,
        elasticity=[-1.2, -1.2, -1.2, -1.2, 0.3],
        elasticity_sd=[0.2, 0.2, 0.9, 0.2, 0.9],
        confounded=[False, True, False, False, False],
        estimated=[True, True, False, True, True],
        tested=[True, True, True, False, True],
        units=[10, 10, 10, 1000, 10],
    )
    rows = rows_of(products)
    assert rows["rank"].tolist() == list(range(1, len(rows) + 1))
    assert rows["gain_per_period_of_testing"].is_monotonic_decreasing
    np.testing.assert_allclose(rows["gain_per_period"], rows["gain_per_period_of_testing"] * rows["periods"])
    assert rows["product"].iloc[0] == "p3"  # it sells a hundred times as much
    reason = rows.set_index("product")["reason"]
    assert reason["p3"].startswith("whether prices of its category follow demand is not tested")
    assert reason["p1"].startswith("prices of its category follow demand: the elasticity may be off by much")
    assert reason["p2"].startswith("its own price never changed, or nothing was sold")
    assert reason["p4"].startswith("the elasticity is not negative")
    assert reason["p1"].endswith("; until it is known recommended_prices keeps its price")
    sds = rows.set_index("product")[["elasticity_sd", "sd_after"]]
    assert (sds["sd_after"] < sds["elasticity_sd"]).all()
    assert sds.loc["p1", "elasticity_sd"] == pytest.approx(np.hypot(0.2, 1.0))


def test_products_that_were_tested_are_not_named_again() -> None:
    products = market(2, elasticity=-1.2, elasticity_sd=0.9)
    assert rows_of(products)["product"].tolist() == ["p0", "p1"]
    assert rows_of(products, tested=["p0"])["product"].tolist() == ["p1"]


def test_without_tests_that_are_worth_something_the_table_is_empty() -> None:
    assert not len(rows_of(market(2, elasticity=-6.0, elasticity_sd=0.1), bias=0.0))
    assert not len(rows_of(market(2, units=0.0)))


def test_products_of_the_warehouse_come_with_their_decisions_and_noise(warehouse_file) -> None:
    fill(warehouse_file)
    with warehouse_file.write() as connection:
        connection.execute("UPDATE product_elasticity SET log_units_sd = 0.25 WHERE product = '1'")
        decided = read_decided(connection)
        known = connection.execute(
            "SELECT price_recommended, binding_rule FROM recommended_prices ORDER BY category, product"
        ).fetchnumpy()
    ones = decided.priced.products.product == "1"
    np.testing.assert_array_equal(decided.log_units_sd[ones], 0.25)
    assert np.isnan(decided.log_units_sd[~ones]).all()
    np.testing.assert_array_equal(decided.price, known["price_recommended"])
    assert set(decided.bias_per_confounding) == {0.5}
    rows = recommended_tests_of(decided, RULES, "refit-1")
    assert set(rows["product"]) <= {"1"}
    with warehouse_file.write() as connection:
        connection.execute("DELETE FROM recommended_prices WHERE product = '1'")
        with pytest.raises(NotPricedError, match=r"lacks \d of .*; materialize recommended_prices first"):
            read_decided(connection)
