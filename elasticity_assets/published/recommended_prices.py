"""Which price each product should have, and why: the table recommended_prices."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np
import pandas as pd

from elasticity_assets.inference.category_price_index import CATEGORY_PRICE_INDEX
from elasticity_assets.pricing.changes import changes
from elasticity_assets.pricing.choice import COLLIDING_GROUPS, COLLIDING_MARGIN, TOO_SLOW
from elasticity_assets.pricing.products import CrossEffects, Products
from elasticity_assets.pricing.reasons import reasons
from elasticity_assets.pricing.recommend import choose
from elasticity_assets.published.price_scenarios import select_lasting_slopes
from elasticity_assets.settings import PricingSettings
from elasticity_assets.warehouse.sql import quoted, statement


@dataclass(frozen=True)
class Priced:
    """Products to price, as the warehouse knows them.

    Attributes
    ----------
    category : str array, shape (n,)
    products : Products
    cross : CrossEffects
    """

    category: np.ndarray
    products: Products
    cross: CrossEffects


@dataclass(frozen=True)
class Recommended:
    """Rows of recommended_prices, and what its rules left open.

    Attributes
    ----------
    rows : DataFrame
        The table's columns.
    colliding : list of str
        Products whose rules collide.
    too_slow : list of str
        Products that rules join, too many to find prices in time.
    unknown : list of str
        Products that rules name and that are not there.
    """

    rows: pd.DataFrame
    colliding: list[str]
    too_slow: list[str]
    unknown: list[str]


def read_products(connection: duckdb.DuckDBPyConnection) -> Priced:
    """Read what is known of each product, and what each one's price does to its substitutes' units."""
    found = connection.execute(select_products()).fetchnumpy()
    effects = connection.execute(statement("cross_effects_to_price")).fetchnumpy()
    return Priced(
        np.asarray(found["category"], dtype=object),
        products_of(found),
        CrossEffects(**{name: np.asarray(values) for name, values in effects.items()}),
    )


def select_products() -> str:
    """Give the SQL text of what is known of all products."""
    return statement(
        "products_to_price", lasting=select_lasting_slopes(), index=quoted(CATEGORY_PRICE_INDEX, "'")
    )


def products_of(found: Mapping[str, Any]) -> Products:
    """Take products from the columns of rows of `select_products`."""

    def numbers(name: str) -> np.ndarray:
        return np.ma.filled(np.ma.asarray(found[name], dtype=np.float64), np.nan)

    names = ["price", "price_paid", "units", "cost", "elasticity", "elasticity_sd", "price_min", "price_max"]
    names += ["index_effect", "index_effect_sd"]
    of_products: dict[str, Any] = {name: numbers(name) for name in names}
    category = np.asarray(found["category"], dtype=object)
    begins = category[1:] != category[:-1]  # rows stand by category
    return Products(
        product=np.asarray(found["product"], dtype=object),
        category=np.concatenate([np.zeros(min(1, len(category)), np.int64), np.cumsum(begins)]),
        estimated=np.asarray(found["estimated"], dtype=bool),
        confounded=np.asarray(found["confounded"], dtype=bool),
        tested=np.asarray(found["tested"], dtype=bool),
        **of_products,
    )


def recommended(priced: Priced, rules: PricingSettings, refit_id: str) -> Recommended:
    """Choose each product's price, and say what it does and why.

    Parameters
    ----------
    priced : Priced
    rules : PricingSettings
    refit_id : str
    """
    products = priced.products
    choice, unknown = choose(products, rules, priced.cross)
    does = changes(products, choice.price, priced.cross)
    ends = {
        f"{name}_change{end}": values
        for name in ("units", "revenue", "profit")
        for end, values in zip(("", "_q05", "_q95"), getattr(does, name), strict=True)
    }
    higher = choice.price > products.price
    rows = pd.DataFrame(
        {
            "category": priced.category,
            "product": products.product,
            "price_now": products.price,
            "price_recommended": choice.price,
            "action": np.where(~choice.changed, "keep", np.where(higher, "raise", "lower")),
            **ends,
            "prob_gain": choice.probability,
            "binding_rule": [rule or None for rule in choice.rule],
            "reason": reasons(products, choice, rules, priced.cross),
            "refit_id": refit_id,
        }
    )

    def ruled_by(*names: str) -> list[str]:
        return [str(product) for product in products.product[np.isin(choice.rule.astype(str), names)]]

    return Recommended(rows, ruled_by(COLLIDING_GROUPS, COLLIDING_MARGIN), ruled_by(TOO_SLOW), unknown)
