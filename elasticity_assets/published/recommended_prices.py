"""Which price each product should have, everywhere and by zone, and why: recommended_prices, uniform_pricing."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import duckdb
import numpy as np
import pandas as pd

from elasticity_assets.inference.category_price_index import CATEGORY_PRICE_INDEX
from elasticity_assets.pricing.changes import changes
from elasticity_assets.pricing.choice import COLLIDING_GROUPS, COLLIDING_MARGIN, TOO_SLOW, Choice
from elasticity_assets.pricing.products import CrossEffects, Products
from elasticity_assets.pricing.reasons import reasons
from elasticity_assets.pricing.recommend import choose
from elasticity_assets.pricing.uniform import uniform_pricing
from elasticity_assets.pricing.zones import InZones, ZonePrices, choose_by_zone
from elasticity_assets.published.price_scenarios import select_lasting_slopes
from elasticity_assets.settings import PricingSettings
from elasticity_assets.warehouse.sql import quoted, statement
from elasticity_assets.warehouse.suspects import weights_of_suspects
from elasticity_assets.warehouse.tables import UNIFORM_PRICING


@dataclass(frozen=True)
class Priced:
    """Products to price, as the warehouse knows them.

    Attributes
    ----------
    category : str array, shape (n,)
    products : Products
    cross : CrossEffects
    zones : InZones, optional
        The products in their zones, where these are known.
    """

    category: np.ndarray
    products: Products
    cross: CrossEffects
    zones: InZones | None = None


@dataclass(frozen=True)
class Recommended:
    """Rows of recommended_prices and uniform_pricing, and what the rules left open.

    Attributes
    ----------
    rows, uniform : DataFrame
        The tables' columns.
    colliding : list of str
        Products whose rules collide.
    too_slow : list of str
        Products that rules join, too many to find prices in time.
    unknown : list of str
        Products that rules name and that are not there.
    """

    rows: pd.DataFrame
    uniform: pd.DataFrame
    colliding: list[str]
    too_slow: list[str]
    unknown: list[str]


def read_products(connection: duckdb.DuckDBPyConnection) -> Priced:
    """Read what is known of each product, and what each one's price does to its substitutes' units."""
    found = connection.execute(select_products()).fetchnumpy()
    effects = connection.execute(statement("cross_effects_to_price")).fetchnumpy()
    products = products_of(found)
    return Priced(
        np.asarray(found["category"], dtype=object),
        products,
        CrossEffects(**{name: np.asarray(values) for name, values in effects.items()}),
        _read_zones(connection, products),
    )


def _read_zones(connection: duckdb.DuckDBPyConnection, products: Products) -> InZones | None:
    """Read what is known of the products in their zones; None without zones."""
    lasting = select_lasting_slopes()
    counting = weights_of_suspects(by_zone=True)
    recent = statement(
        "at_todays_price", key="category, product, zone", counting="counting", sales="zone_sales"
    )
    zones = statement("zones_to_price", lasting=lasting, at_todays_price=recent, **counting)
    found = connection.execute(zones).fetchnumpy()
    place = np.asarray(found["place"], dtype=np.int64)
    if not len(place):
        return None
    shared_sd = statement("shared_sd", elasticity_sd="l.elasticity_sd")
    of_category = connection.execute(
        statement("errors_of_categories", lasting=lasting, shared_sd=shared_sd)
    ).fetchnumpy()
    names = ["price", "price_paid", "units", "cost", "elasticity", "elasticity_sd", "price_min", "price_max"]
    rows = replace(
        products.take(place),
        estimated=np.asarray(found["estimated"], dtype=bool),
        **{name: _numbers(found, name) for name in names},
    )
    return InZones(
        rows,
        place,
        np.asarray(found["zone"], dtype=object),
        _numbers(found, "shared_sd"),
        _numbers(of_category, "shared_sd"),
    )


def _numbers(found: Mapping[str, Any], name: str) -> np.ndarray:
    return np.ma.filled(np.ma.asarray(found[name], dtype=np.float64), np.nan)


def select_products() -> str:
    """Give the SQL text of what is known of all products."""
    recent = statement(
        "at_todays_price", key="category, product", counting="weekly_sales", sales="weekly_sales"
    )
    return statement(
        "products_to_price",
        lasting=select_lasting_slopes(),
        at_todays_price=recent,
        index=quoted(CATEGORY_PRICE_INDEX, "'"),
    )


def products_of(found: Mapping[str, Any]) -> Products:
    """Take products from the columns of rows of `select_products`."""
    names = ["price", "price_paid", "units", "cost", "elasticity", "elasticity_sd", "price_min", "price_max"]
    names += ["index_effect", "index_effect_sd"]
    of_products: dict[str, Any] = {name: _numbers(found, name) for name in names}
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
    products, zones = priced.products, priced.zones
    choice, unknown = choose(products, rules, priced.cross)
    rows = _rows(products, priced.category, choice, rules, priced.cross).assign(zone=None)
    uniform = pd.DataFrame(columns=[column.name for column in UNIFORM_PRICING.columns])
    if zones is not None:
        prices = choose_by_zone(products, zones, choice, rules, priced.cross)
        cross = zones.cross_effects(priced.cross)
        in_zones = _rows(zones.rows, priced.category[zones.place], prices.choice, rules, cross)
        rows = pd.concat([rows, in_zones.assign(zone=zones.zone)], ignore_index=True)
        uniform = _uniform_rows(priced, zones, prices, rules).assign(refit_id=refit_id)

    def ruled_by(*names: str) -> list[str]:
        return [str(product) for product in products.product[np.isin(choice.rule.astype(str), names)]]

    return Recommended(
        rows.assign(refit_id=refit_id),
        uniform,
        ruled_by(COLLIDING_GROUPS, COLLIDING_MARGIN),
        ruled_by(TOO_SLOW),
        unknown,
    )


def _rows(
    products: Products, category: np.ndarray, choice: Choice, rules: PricingSettings, cross: CrossEffects
) -> pd.DataFrame:
    """Rows of recommended_prices, everywhere or in zones, without the zone."""
    does = changes(products, choice.price, cross)
    ends = {
        f"{name}_change{end}": values
        for name in ("units", "revenue", "profit")
        for end, values in zip(("", "_q05", "_q95"), getattr(does, name), strict=True)
    }
    higher = choice.price > products.price
    return pd.DataFrame(
        {
            "category": category,
            "product": products.product,
            "price_now": products.price,
            "price_recommended": choice.price,
            "action": np.where(~choice.changed, "keep", np.where(higher, "raise", "lower")),
            **ends,
            "prob_gain": choice.probability,
            "binding_rule": [rule or None for rule in choice.rule],
            "reason": reasons(products, choice, rules, cross),
        }
    )


def _uniform_rows(priced: Priced, zones: InZones, prices: ZonePrices, rules: PricingSettings) -> pd.DataFrame:
    """Rows of uniform_pricing: of products that are sold in several zones, and of their categories."""
    products = priced.products
    of_products, of_categories = uniform_pricing(products, zones, prices, rules, priced.cross)
    several = np.bincount(zones.place, minlength=len(products)) > 1
    first = np.unique(products.category, return_index=True)[1]
    zoned = np.bincount(products.category, several) > 0
    return pd.concat(
        [
            pd.DataFrame(
                {
                    "category": priced.category[at],
                    "product": code,
                    "gain_everywhere": costs.gain_everywhere[which],
                    "gain_by_zone": costs.gain_by_zone[which],
                    "cost": costs.cost[which],
                    "cost_q05": costs.ends[0][which],
                    "cost_q95": costs.ends[1][which],
                    "prob_zones_gain": costs.prob_zones_gain[which],
                }
            )
            for costs, which, at, code in (
                (of_products, several, several, products.product[several]),
                (of_categories, zoned, first[zoned], None),
            )
        ],
        ignore_index=True,
    )
