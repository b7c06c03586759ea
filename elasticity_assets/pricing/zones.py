"""The price of each product in each zone: a store, a region, a channel or a price zone.

A zone has the price change that is recommended everywhere, unless another one is expected to bring more there and gains
surely enough by what the zone's own sales say. So prices by zone are never expected to bring less than one change
everywhere, but for what `max_products` and the category's price index take back.
"""

from dataclasses import dataclass, fields, replace

import numpy as np

from elasticity_assets.pricing.category_index import too_many
from elasticity_assets.pricing.choice import (
    CATEGORY_INDEX,
    CONFOUNDED,
    EVERYWHERE,
    GROUPS,
    LOCKED,
    MAX_PRODUCTS,
    NONE,
    NOT_ESTIMATED,
    NOT_SOLD,
    POSITIVE,
    Choice,
    each_alone,
)
from elasticity_assets.pricing.groups import joined_by
from elasticity_assets.pricing.options import Options, options, worth_of_a_unit
from elasticity_assets.pricing.products import CrossEffects, Products
from elasticity_assets.pricing.recommend import asked_for, pair_rules, parts
from elasticity_assets.settings import PricingSettings

_STAYS = (NOT_ESTIMATED, POSITIVE, CONFOUNDED, NOT_SOLD, LOCKED)
"""What keeps a product's price, in all of its zones."""


@dataclass(frozen=True)
class InZones:
    """Products in zones, one row each; arrays have shape (R,) but for the last.

    Attributes
    ----------
    rows : Products
        What is known of a product in a zone. Codes repeat.
    place : int array
        Place of a row's product among all products, ascending.
    zone : str array
    shared_sd : float array
        The part of a row's `elasticity_sd` that it shares with the other products of its zone.
    category_sd : float array, shape (n,)
        The part of products' `elasticity_sd` that comes of their category's elasticity, one error for all of them.
    """

    rows: Products
    place: np.ndarray
    zone: np.ndarray
    shared_sd: np.ndarray
    category_sd: np.ndarray

    def __len__(self) -> int:
        return len(self.place)

    def of_products(self, values: np.ndarray) -> np.ndarray:
        """Sum rows' values over each product's zones, shape (n,)."""
        return np.bincount(self.place, values, len(self.category_sd))

    def cross_effects(self, cross: CrossEffects) -> CrossEffects:
        """Give what a price in a zone does to other products' units there: as everywhere.

        Parameters
        ----------
        cross : CrossEffects
            Of products.
        """
        _, zone = np.unique(self.zone, return_inverse=True)
        key = zone * len(self.category_sd) + self.place
        order = np.argsort(key)
        everywhere = cross.of(self.place)
        wanted = zone[everywhere.changed] * len(self.category_sd) + everywhere.affected
        at = np.minimum(np.searchsorted(key[order], wanted), len(self) - 1)
        there = key[order][at] == wanted  # in this zone, too
        return CrossEffects(
            everywhere.changed[there],
            order[at[there]],
            everywhere.elasticity[there],
            everywhere.elasticity_sd[there],
        )


@dataclass(frozen=True)
class ZonePrices:
    """Prices of products in zones.

    Attributes
    ----------
    choice : Choice
        Of each row: the best price there.
    everywhere : float array, shape (R,)
        Price of each row, were the product's price changed in all zones by the share that is recommended everywhere.
    """

    choice: Choice
    everywhere: np.ndarray


def choose_by_zone(
    products: Products,
    zones: InZones,
    everywhere: Choice,
    rules: PricingSettings,
    cross: CrossEffects | None = None,
) -> ZonePrices:
    """Choose each product's price in each zone, within the same rules as everywhere.

    What keeps a product's price keeps it in all zones. Products that rules between products join change everywhere
    alike. Of more than `max_products` products that change, those stay that gain most in all their zones.

    Parameters
    ----------
    products : Products
        All of them.
    zones : InZones
    everywhere : Choice
        Of `products`.
    rules : PricingSettings
    cross : CrossEffects, optional
        Of products' prices on other products' units, in each zone.
    """
    n, rows = len(products), zones.rows
    of_rows = zones.cross_effects(cross or CrossEffects.none())
    pairs, _, _ = pair_rules(products, rules)
    joined = np.isin(np.arange(n), np.concatenate([np.zeros(0, int), *joined_by(pairs, n)]))
    stays = np.where(np.isin(everywhere.rule.astype(str), _STAYS), everywhere.rule, NONE)[zones.place]
    why = _why_as_everywhere(rows, joined[zones.place])
    ratio = (everywhere.price / products.price)[zones.place]
    found, same = [], np.empty(len(zones))
    for part in parts(np.arange(len(zones))):
        ladder = options(rows.take(part), rules, of_rows.of(part), rows)
        column = _nearest(ladder, ratio[part] * rows.price[part])
        same[part] = ladder.price[np.arange(len(part)), column]
        found.append(_choose(ladder, column, rows.take(part), stays[part], why[part], rules))
    choice = Choice(
        *(np.concatenate([getattr(part, field.name) for part in found]) for field in fields(Choice))
    )
    _keep_as_everywhere(choice, everywhere, zones, rows.price / products.price[zones.place])
    _take_back(choice, products, zones, rules, joined)
    return ZonePrices(choice, same)


def _why_as_everywhere(rows: Products, joined: np.ndarray) -> np.ndarray:
    """Say why a zone has no price change of its own; empty where it may."""
    why = np.full(len(rows), NONE, dtype=object)
    why[~rows.estimated] = (
        "the zone has no elasticity of its own: its price never changed there, or nothing was sold"
    )
    why[rows.elasticity >= 0] = "the elasticity there is not negative"
    why[~((rows.units > 0) & np.isfinite(rows.price))] = "nothing was sold there of late"
    why[joined] = "pricing.groups joins it with other products"
    return why


def _nearest(ladder: Options, price: np.ndarray) -> np.ndarray:
    """Columns of the prices that are nearest, shape (n,)."""
    distance = np.abs(ladder.price - price[:, None])
    return np.where(np.isfinite(distance), distance, np.inf).argmin(axis=1)


def _choose(
    ladder: Options,
    same: np.ndarray,
    rows: Products,
    stays: np.ndarray,
    why: np.ndarray,
    rules: PricingSettings,
) -> Choice:
    """Choose the prices of rows: what gains surely enough there, or as everywhere.

    Parameters
    ----------
    ladder : Options
    same : int array, shape (n,)
        Columns of the price as everywhere.
    rows : Products
    stays, why : object arrays of str, shape (n,)
        Rule by which a price stays, and why it changes as everywhere; empty where it may be another one.
    rules : PricingSettings
    """
    is_same = np.arange(ladder.price.shape[1]) == same[:, None]
    free = why == NONE
    choice = each_alone(
        replace(ladder, sure=np.where(free[:, None], ladder.sure | is_same, is_same)), rows, stays, rules
    )
    as_everywhere = choice.price == ladder.price[np.arange(len(same)), same]
    unsure = choice.changed & (choice.probability < rules.confidence)
    for of, words in (
        (free & unsure & as_everywhere, "its zones together gain surely enough"),
        (~free, why),
    ):
        named = of & as_everywhere & (stays == NONE)
        choice.rule[named] = EVERYWHERE
        choice.between[named] = np.broadcast_to(words, len(named))[named]
        choice.better[named] = np.nan
    return choice


def _keep_as_everywhere(choice: Choice, everywhere: Choice, zones: InZones, price_there: np.ndarray) -> None:
    """Give zones without a change of their own the rule that keeps their product's price everywhere.

    Parameters
    ----------
    choice : Choice
        Of rows.
    everywhere : Choice
        Of products.
    zones : InZones
    price_there : float array, shape (R,)
        A zone's price of today over its product's.
    """
    kept = (choice.rule == EVERYWHERE) & ~choice.changed & ~everywhere.changed[zones.place]
    choice.rule[kept] = everywhere.rule[zones.place][kept]
    choice.better[kept] = (everywhere.better[zones.place] * price_there)[kept]
    by_groups = kept & (choice.rule == GROUPS)
    choice.between[by_groups] = everywhere.between[zones.place][by_groups]


def _take_back(
    choice: Choice, products: Products, zones: InZones, rules: PricingSettings, joined: np.ndarray
) -> None:
    """Keep the prices of products that the category's price index and `max_products` do not allow to change."""
    rows = zones.rows
    log_ratio = np.where(choice.changed, np.log(choice.price / rows.price), 0.0)
    sold = zones.of_products(rows.units)
    moved = zones.of_products(rows.units * log_ratio) / np.where(sold > 0, sold, 1.0)
    asked = zones.of_products(asked_for(choice)) > 0
    back = too_many(
        products,
        moved,
        zones.of_products(choice.gain),
        np.where(products.units > 0, worth_of_a_unit(products, rules), 0.0),
        (moved != 0) & ~joined & ~asked,
    )
    choice.take_back(back[zones.place] & choice.changed, rows.price, CATEGORY_INDEX)
    if rules.max_products is None:
        return
    changes = zones.of_products(choice.changed) > 0
    gain = np.where(asked | joined, np.inf, zones.of_products(choice.gain))
    back = changes.copy()
    back[np.argsort(np.where(changes, -gain, np.inf), kind="stable")[: rules.max_products]] = False
    choice.take_back(back[zones.place] & choice.changed, rows.price, MAX_PRODUCTS)
