"""What uniform pricing costs: what prices by zone are expected to gain over one price change in all zones.

Each row's gain is a function of its elasticity, all but linear over the prices of a ladder, so that a sum of gains is
all but normal: its variance is that of its linear part, whose slopes are expectations. Errors of elasticities do not
cancel out where they are shared: by a product's zones, with a covariance that follows from what is known of the product
over all its zones together; by products of a zone; and by a category's products, as everywhere.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from elasticity_assets.pricing.changes import Z90
from elasticity_assets.pricing.gains import expected_factor
from elasticity_assets.pricing.options import ladders_of
from elasticity_assets.pricing.products import CrossEffects, Products
from elasticity_assets.pricing.zones import InZones, ZonePrices
from elasticity_assets.settings import PricingSettings


@dataclass(frozen=True)
class UniformPricing:
    """What one price change in all zones costs, a period, in what the objective counts; all arrays have one shape.

    Attributes
    ----------
    gain_everywhere, gain_by_zone : float array
        Expected of the change that is recommended everywhere, in all zones, and of the prices by zone; the other
        products' prices as today.
    cost_sd : float array
        Standard deviation of their difference; 0 where prices by zone are the ones everywhere.
    """

    gain_everywhere: np.ndarray
    gain_by_zone: np.ndarray
    cost_sd: np.ndarray

    @property
    def cost(self) -> np.ndarray:
        """Expected of prices by zone over the change everywhere."""
        return self.gain_by_zone - self.gain_everywhere

    @property
    def ends(self) -> tuple[np.ndarray, np.ndarray]:
        """The 5% and the 95% quantile of the difference."""
        return self.cost - Z90 * self.cost_sd, self.cost + Z90 * self.cost_sd

    @property
    def prob_zones_gain(self) -> np.ndarray:
        """Probability that prices by zone gain more; NaN where they are the ones everywhere."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.cost_sd > 0, ndtr(self.cost / self.cost_sd), np.nan)


def uniform_pricing(
    products: Products,
    zones: InZones,
    prices: ZonePrices,
    rules: PricingSettings,
    cross: CrossEffects | None = None,
) -> tuple[UniformPricing, UniformPricing]:
    """Work out what one price change in all zones costs: of each product, shape (n,), and of each category.

    Parameters
    ----------
    products : Products
        All of them; those without rows have 0.
    zones : InZones
    prices : ZonePrices
    rules : PricingSettings
    cross : CrossEffects, optional
        Of products' prices on other products' units, in each zone.
    """
    rows = zones.rows
    of_rows = zones.cross_effects(cross or CrossEffects.none())
    laid_out = ladders_of(
        np.stack([prices.choice.price, prices.everywhere, rows.price], axis=1), rows, rules, of_rows, rows
    )
    value = laid_out.options(rows.elasticity, rows.elasticity_sd, rules.confidence).value
    sold = np.isfinite(value[:, :2]).all(axis=1) & (rows.units > 0)
    value = np.where(sold[:, None], value, 0.0)
    mean, sd = rows.elasticity[:, None], rows.elasticity_sd[:, None]
    slope = rows.units[:, None] * laid_out.worth * expected_factor(laid_out.log_ratio, mean, sd)
    slope = np.where(sold, np.diff(slope * laid_out.log_ratio)[:, 0], 0.0)
    others = np.where(sold, np.diff(np.sign(laid_out.log_ratio) * laid_out.from_others_sd)[:, 0], 0.0)
    common = common_variance(products, zones)
    alone = _variances(products, zones, slope, others, common, together=False)
    together = _variances(products, zones, slope, others, common, together=True)
    by_zone, everywhere = (zones.of_products(value[:, at]) for at in (0, 1))
    return (
        UniformPricing(everywhere, by_zone, np.sqrt(alone)),
        UniformPricing(
            np.bincount(products.category, everywhere),
            np.bincount(products.category, by_zone),
            np.sqrt(together),
        ),
    )


def common_variance(products: Products, zones: InZones) -> np.ndarray:
    """Covariance of a product's elasticities in any two of its zones, shape (n,).

    Over all zones together the elasticity is the mean of the zones', weighed by units: with one covariance of any two
    its variance tells it.
    """
    n, rows = len(products), zones.rows
    sold = zones.of_products(np.maximum(rows.units, 0.0))
    count = np.maximum(zones.of_products(np.ones(len(zones))), 1)
    share = np.where(sold > 0, 0.0, 1.0 / count)[zones.place]
    share = share + np.maximum(rows.units, 0.0) / np.where(sold > 0, sold, 1.0)[zones.place]
    variance = rows.elasticity_sd**2
    squares = zones.of_products(share**2)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = (products.elasticity_sd**2 - zones.of_products(share**2 * variance)) / (1.0 - squares)
    least = np.full(n, np.inf)
    np.minimum.at(least, zones.place, variance)
    least = np.where(np.isfinite(least), least, 0.0)
    return np.where(squares < 1.0 - 1e-9, np.clip(np.nan_to_num(found), 0.0, least), least)


def _variances(
    products: Products,
    zones: InZones,
    slope: np.ndarray,
    others: np.ndarray,
    common: np.ndarray,
    *,
    together: bool,
) -> np.ndarray:
    """Variances of sums of gains: of each product, or of each category's products together.

    Parameters
    ----------
    products : Products
    zones : InZones
    slope, others : float array, shape (R,)
        How a row's gain goes with its elasticity, and by how much with one sd of the effects on substitutes.
    common : float array, shape (n,)
    together : bool
    """
    own = np.maximum(zones.rows.elasticity_sd**2 - common[zones.place], 0.0)
    of_product, of_others = zones.of_products(slope), zones.of_products(others)
    if not together:
        return zones.of_products(own * slope**2) + common * of_product**2 + of_others**2
    category = products.category
    of_zone = np.minimum(zones.shared_sd**2, own)
    of_category = np.minimum(zones.category_sd**2, common)
    names, zone = np.unique(zones.zone, return_inverse=True)
    in_zone = np.bincount(
        category[zones.place] * len(names) + zone,
        np.sqrt(of_zone) * slope,
        (category.max(initial=-1) + 1) * len(names),
    )

    def summed(values: np.ndarray) -> np.ndarray:
        return np.bincount(category, values)

    return (
        summed(zones.of_products((own - of_zone) * slope**2))
        + (in_zone**2).reshape(-1, len(names)).sum(axis=1)
        + summed((common - of_category) * of_product**2)
        + summed(np.sqrt(of_category) * of_product) ** 2
        + summed(of_others) ** 2
    )
