"""What moved prices of a group bring together, with intervals: errors that its products share do not cancel.

A product's posterior leans on its category's elasticity, by its shrinkage: that part of its error is one for all of
them. So are the errors of the effects of substitutes' prices and of the category's price index, each one slope of the
category. What is left is each product's own. Sums have no closed form; quantiles come of draws with a fixed seed.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from elasticity_assets.pricing.changes import Z90
from elasticity_assets.pricing.products import CrossEffects, Products

DRAWS = 2000
"""The 5% quantile of a sum is known to 2% of its sd then."""
_SEED = 22


@dataclass(frozen=True)
class Group:
    """Products of one category whose prices are moved together.

    Attributes
    ----------
    products : Products
        n of them.
    cross : CrossEffects
        Among them.
    shared_sd : float array, shape (n,)
        The part of `products.elasticity_sd` that comes of their category's elasticity.
    index_weight : float
        Of one product in its category's price index: 1 over the category's number of products.
    """

    products: Products
    cross: CrossEffects
    shared_sd: np.ndarray
    index_weight: float


@dataclass(frozen=True)
class Outcome:
    """Units, revenue or profit a period: of each product and of all.

    Attributes
    ----------
    before : float array, shape (n,)
        At today's prices.
    change, low, high : float array, shape (n,)
        Expected change, and its 5% and 95% quantiles.
    total : tuple of three floats
        The same of the sum, over the products where it is known.
    """

    before: np.ndarray
    change: np.ndarray
    low: np.ndarray
    high: np.ndarray
    total: tuple[float, float, float]

    def total_before(self) -> float:
        """Sum at today's prices, over the products where it is known."""
        return float(np.nansum(self.before))


@dataclass(frozen=True)
class Outcomes:
    """What prices bring.

    Attributes
    ----------
    units, revenue, profit : Outcome
        Profit is NaN for products whose cost is not known.
    extrapolated : bool array, shape (n,)
        Whether the price lies outside the prices ever charged.
    """

    units: Outcome
    revenue: Outcome
    profit: Outcome
    extrapolated: np.ndarray


def outcomes(group: Group, price: np.ndarray) -> Outcomes:
    """Work out what prices bring, all of them changed at once.

    Parameters
    ----------
    group : Group
    price : float array, shape (n,)
        Each product's price from now on.
    """
    products, n = group.products, len(group.products)
    with np.errstate(divide="ignore", invalid="ignore"):
        log_ratio = np.where(price == products.price, 0.0, np.log(price / products.price))
    of_other = log_ratio[group.cross.changed]
    index = group.index_weight * log_ratio.sum()
    # Of each product's log units: the mean of their change, and how each error moves them.
    mean = (
        products.elasticity * log_ratio
        + np.bincount(group.cross.affected, group.cross.elasticity * of_other, n)
        + products.index_effect * index
    )
    shared = group.shared_sd * log_ratio
    own = np.sqrt(np.maximum(products.elasticity_sd**2 - group.shared_sd**2, 0.0)) * log_ratio
    others = np.bincount(group.cross.affected, group.cross.elasticity_sd * of_other, n)
    of_index = products.index_effect_sd * index
    sd = np.sqrt(shared**2 + own**2 + others**2 + of_index**2)
    normal = _normals(n)
    drawn = np.exp(
        mean
        + normal[:, 3:] * own
        + normal[:, [0]] * shared
        + normal[:, [1]] * others
        + normal[:, [2]] * of_index
    )
    factors = [np.exp(mean + 0.5 * sd**2), np.exp(mean - Z90 * sd), np.exp(mean + Z90 * sd)]

    def outcome(worth: np.ndarray, worth_before: np.ndarray) -> Outcome:
        before = products.units * worth_before
        known = np.isfinite(before) & np.isfinite(worth)
        change, *ends = (products.units * worth * factor - before for factor in factors)
        sums = drawn[:, known] @ (products.units * worth)[known] - before[known].sum()
        low, high = np.quantile(sums, (0.05, 0.95))
        return Outcome(
            before,
            change,
            np.minimum(*ends),
            np.maximum(*ends),
            (float(change[known].sum()), float(low), float(high)),
        )

    one = np.ones(n)
    rounding = 1e-9
    return Outcomes(
        outcome(one, one),
        outcome(price, products.price),
        outcome(price - products.cost, products.price - products.cost),
        (price < products.price_min * (1 - rounding)) | (price > products.price_max * (1 + rounding)),
    )


@lru_cache(maxsize=8)
def _normals(n: int) -> np.ndarray:
    """Draw the same standard normal numbers each time, shape (DRAWS, 3 + n): three errors shared, and one a product.

    In pairs of opposite sign, so that their means are 0.
    """
    half = np.random.default_rng(_SEED).standard_normal((DRAWS // 2, 3 + n))
    return np.concatenate([half, -half])
