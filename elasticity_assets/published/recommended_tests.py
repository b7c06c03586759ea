"""Which price test to run next: the table recommended_tests."""

from collections.abc import Collection
from dataclasses import dataclass

import duckdb
import numpy as np
import pandas as pd

from elasticity_assets.pricing.products import Products
from elasticity_assets.pricing.worth_of_a_test import PriceTests, believed_sd, price_tests
from elasticity_assets.published.recommended_prices import Priced, read_products
from elasticity_assets.settings import PricingSettings
from elasticity_assets.warehouse.sql import statement

_LEAST = 1e-4
"""Share of a product's revenue, or units, that a test has to be worth a period to be named."""


class NotPricedError(Exception):
    """Products have no recommended price yet; says what to do, in one line."""


@dataclass(frozen=True)
class Decided:
    """Products with their recommended prices, and how surely a test would tell their elasticities.

    Attributes
    ----------
    priced : Priced
    price : float array, shape (n,)
        Recommended.
    rule : object array of str, shape (n,)
        The binding rule; empty where there is none.
    log_units_sd : float array, shape (n,)
        Of a period's log units around what the model explains; NaN where it is not known.
    bias_per_confounding : float array, shape (n,)
        NaN where it is not known.
    """

    priced: Priced
    price: np.ndarray
    rule: np.ndarray
    log_units_sd: np.ndarray
    bias_per_confounding: np.ndarray


def read_decided(connection: duckdb.DuckDBPyConnection) -> Decided:
    """Read what is known of each product, and what is recommended for it.

    Raises
    ------
    NotPricedError
        If recommended_prices lacks a product: it is older than product_elasticity.
    """
    found = connection.execute(statement("products_to_test")).fetchnumpy()
    lacking = int((~np.asarray(found["has_price"], dtype=bool)).sum())
    if lacking:
        raise NotPricedError(
            f"recommended_prices lacks {lacking:,} of the products of product_elasticity; "
            "materialize recommended_prices first"
        )

    def numbers(name: str) -> np.ndarray:
        return np.ma.filled(np.ma.asarray(found[name], dtype=np.float64), np.nan)

    return Decided(
        read_products(connection),
        numbers("price_recommended"),
        np.asarray(found["binding_rule"], dtype=object),
        numbers("log_units_sd"),
        numbers("bias_per_confounding"),
    )


def recommended_tests_of(
    decided: Decided, rules: PricingSettings, refit_id: str, tested: Collection[str] = ()
) -> pd.DataFrame:
    """Give the rows of recommended_tests: the tests that are worth something, best first.

    Parameters
    ----------
    decided : Decided
    rules : PricingSettings
    refit_id : str
    tested : collection of str
        Products that have been tested already: their results are known.
    """
    products = decided.priced.products
    sd = believed_sd(products, decided.bias_per_confounding)
    tests = price_tests(products, decided.rule, decided.log_units_sd, sd, rules, decided.priced.cross)
    counted = products.units * (1.0 if rules.objective == "units" else products.price)
    is_tested = np.isin(products.product.astype(str), list(tested))
    (worth_it,) = np.nonzero((tests.gain > _LEAST * counted) & ~is_tested)
    best_first = worth_it[np.argsort(-tests.gain_per_period_of_testing[worth_it], kind="stable")]
    rows = pd.DataFrame(
        {
            "category": decided.priced.category,
            "product": products.product,
            "price_now": products.price,
            "price_low": tests.price_low,
            "price_high": tests.price_high,
            "periods": tests.periods,
            "elasticity": products.elasticity,
            "elasticity_sd": tests.sd_now,
            "sd_after": tests.sd_after,
            "gain_per_period": tests.gain,
            "gain_per_period_of_testing": tests.gain_per_period_of_testing,
        }
    ).iloc[best_first]
    return rows.assign(
        zone=None,
        rank=np.arange(1, len(rows) + 1),
        reason=_reasons(products, tests, decided.price)[best_first],
        refit_id=refit_id,
    ).reset_index(drop=True)


def _reasons(products: Products, tests: PriceTests, decided: np.ndarray) -> np.ndarray:
    """Say in words why each elasticity is not known well enough, object array of str, shape (n,)."""
    why = np.select(
        [~products.estimated, products.confounded, ~products.tested, products.elasticity >= 0],
        [
            "its own price never changed, or nothing was sold: the elasticity is not its own",
            "prices of its category follow demand: the elasticity may be off by much",
            "whether prices of its category follow demand is not tested",
            "the elasticity is not negative, as if dearer sold better",
        ],
        "its prices changed too little, or its sales vary too much, to be sure of its best price",
    ).astype(object)
    until = np.where(decided == products.price, "keeps", "changes").astype(object)
    return why + "; until it is known recommended_prices " + until + " its price"
