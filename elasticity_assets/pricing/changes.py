"""What the recommended prices do together: each product's units, revenue and profit a period."""

from dataclasses import dataclass

import numpy as np

from elasticity_assets.pricing.category_index import index_moves
from elasticity_assets.pricing.products import CrossEffects, Products

Z90 = 1.6448536269514722
"""Standard deviations from the middle of a central 90% interval to its ends."""


@dataclass(frozen=True)
class Changes:
    """What prices do a period, with 90% intervals; all arrays have shape (n,).

    Attributes
    ----------
    units, revenue, profit : tuple of three float arrays
        Expectation, 5% and 95% quantile of the product's change; profit is NaN where the cost is not known.
    """

    units: tuple[np.ndarray, np.ndarray, np.ndarray]
    revenue: tuple[np.ndarray, np.ndarray, np.ndarray]
    profit: tuple[np.ndarray, np.ndarray, np.ndarray]


def changes(products: Products, price: np.ndarray, cross: CrossEffects) -> Changes:
    """Work out what prices do, all of them changed at once.

    A product's units respond to its own price, to its substitutes', and to its category's price index.

    Parameters
    ----------
    products : Products
    price : float array, shape (n,)
        Each product's price from now on.
    cross : CrossEffects
        Of prices on other products' units. Those on one product's units are taken as shares of one slope, with one
        error, independent of that of the product's own elasticity. So is the effect of the category's price index.

    Returns
    -------
    Changes
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        log_ratio = np.where(price == products.price, 0.0, np.log(price / products.price))
    mean = products.elasticity * log_ratio
    of_other, n = log_ratio[cross.changed], len(products)
    mean += np.bincount(cross.affected, cross.elasticity * of_other, n)
    sd_of_others = np.bincount(cross.affected, cross.elasticity_sd * of_other, n)
    index = index_moves(products, log_ratio)
    mean += products.index_effect * index
    variance = (
        (products.elasticity_sd * log_ratio) ** 2 + sd_of_others**2 + (products.index_effect_sd * index) ** 2
    )
    factors = [
        np.exp(mean + 0.5 * variance),
        *(np.exp(mean + sign * Z90 * np.sqrt(variance)) for sign in (-1, 1)),
    ]

    def change(worth: np.ndarray, before: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        expected, *ends = (products.units * (worth * factor - before) for factor in factors)
        return (
            expected,
            np.minimum(*ends),
            np.maximum(*ends),
        )  # where a unit brings a loss, more of them is less

    one = np.ones_like(price)
    return Changes(
        change(one, one),
        change(price, products.price),
        change(price - products.cost, products.price - products.cost),
    )
