"""Sales by product and zone with known elasticities, drawn from the model of zones.

Part of the prices is the chain's, the same in all zones; a zone adds a level, changes and promotions of its own.
Shocks of a product's week are common to its zones.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from elasticity_assets.inference.panel import CategorySales
from elasticity_assets.inference.simulate import (
    FIRST_PERIOD,
    Simulation,
    categories_of_products,
    simulated_prices,
)
from elasticity_assets.inference.zoned_panel import ZonedPanel, zoned_panel_from_sales


@dataclass(frozen=True)
class ZoneSimulation:
    """What to simulate.

    Attributes
    ----------
    products, zones, weeks : int
    present : float
        Share of the zones that a product is in; it is in one at least.
    elasticity, product_spread, zone_spread, row_spread : float
        beta_c, tau, sigma_b and tau_z.
    covariate_effect : float
        eta of one covariate of the zones, a standard normal.
    level_mean, level_spread : float
        delta_c and sigma_delta.
    period_spread, shock_sd, slow_demand_sd, persistence : float
        sigma_gamma, nu, sigma and phi, the same for all products.
    log_dispersion_mean, log_dispersion_spread : float
        mu_r and s_r.
    own_prices : float
        How far a zone's own price changes and promotions go, 1 as far as the chain's; 0 is one price everywhere.
    """

    products: int = 11
    zones: int = 80
    weeks: int = 120
    present: float = 1.0
    elasticity: float = -2.0
    product_spread: float = 0.5
    zone_spread: float = 0.2
    row_spread: float = 0.2
    covariate_effect: float = 0.1
    level_mean: float = 2.0
    level_spread: float = 1.0
    period_spread: float = 0.15
    shock_sd: float = 0.3
    slow_demand_sd: float = 0.2
    persistence: float = 0.8
    log_dispersion_mean: float = 2.0
    log_dispersion_spread: float = 0.5
    own_prices: float = 0.5


@dataclass(frozen=True)
class ZoneTruth:
    """The parameters that sales were drawn from.

    Attributes
    ----------
    category : float
        beta_c.
    product : array, shape (n,)
        beta_i.
    zone : array, shape (Z,)
        b_z.
    row : array, shape (R,)
        beta_iz, rows in the panel's order.
    """

    category: float
    product: np.ndarray
    zone: np.ndarray
    row: np.ndarray

    def together(self, panel: ZonedPanel) -> np.ndarray:
        """Elasticities of products over all their zones, by their shares of units, shape (n,)."""
        return np.bincount(panel.product_of_row, panel.share_of_units() * self.row)


def simulate_zones(simulation: ZoneSimulation, seed: int = 0) -> tuple[ZonedPanel, ZoneTruth]:
    """Draw one category's sales by product and zone."""
    rng = np.random.default_rng(seed)
    sales, zone, size, truth = _sales(simulation, rng, _sizes(rng, simulation.zones))
    return zoned_panel_from_sales(sales, zone, {"size": size}), truth


def simulate_zoned_categories(
    simulation: Simulation, zones: int, seed: int = 0
) -> Iterator[tuple[dict[str, np.ndarray], dict[str, np.ndarray]]]:
    """Draw sales by product and zone, one category after the other.

    Parameters
    ----------
    simulation : Simulation
        Its products, weeks, categories, and the category's and product's elasticities count.
    zones : int
    seed : int

    Yields
    ------
    sales : dict of column name to array of shape (rows,)
        category, product, zone, week (datetime64[D]), units, price, and size of the zone.
    truth : dict of column name to array of shape (products x zones,)
        category, product, zone, elasticity; product_elasticity, over all zones by their units, and category_elasticity.
    """
    size = _sizes(np.random.default_rng(seed), zones)
    for c, (name, codes) in enumerate(categories_of_products(simulation)):
        rng = np.random.default_rng([seed, c])
        of_category = ZoneSimulation(
            products=len(codes),
            zones=zones,
            weeks=simulation.weeks,
            elasticity=rng.normal(simulation.global_elasticity, simulation.category_spread),
            product_spread=simulation.product_spread,
        )
        drawn, zone, of_zone, truth = _sales(of_category, rng, size)
        panel = zoned_panel_from_sales(drawn, zone)
        product = codes[np.unique(drawn.product, return_inverse=True)[1]]
        sales = {
            "category": np.full(len(zone), name),
            "product": product,
            "zone": zone,
            "week": drawn.period,
            "units": drawn.units.astype(np.int64),
            "price": np.maximum(drawn.price.round(2), 0.01),
            "size": np.array([of_zone[str(one)] for one in zone]).round(3),
        }
        together = truth.together(panel)
        yield (
            sales,
            {
                "category": np.full(panel.n_rows, name),
                "product": codes[panel.product_of_row],
                "zone": panel.zone[panel.zone_of_row],
                "elasticity": truth.row,
                "product_elasticity": together[panel.product_of_row],
                "category_elasticity": np.full(panel.n_rows, of_category.elasticity),
            },
        )


def _sizes(rng: np.random.Generator, zones: int) -> np.ndarray:
    size = rng.normal(0.0, 1.0, zones)
    return (size - size.mean()) / max(size.std(), 1e-9)


def _sales(
    simulation: ZoneSimulation, rng: np.random.Generator, size: np.ndarray
) -> tuple[CategorySales, np.ndarray, dict[str, float], ZoneTruth]:
    """Draw one category's sales, the zone of each row, the zones' sizes, and what they were drawn from."""
    s, n, Z, T = simulation, simulation.products, simulation.zones, simulation.weeks
    product = rng.normal(s.elasticity, s.product_spread, n)
    zone = s.covariate_effect * size + rng.normal(0.0, s.zone_spread, Z)
    there = rng.random((n, Z)) < s.present
    there[np.arange(n), rng.integers(Z, size=n)] = True
    of_product, of_zone = np.nonzero(there)
    row = product[of_product] + zone[of_zone] + rng.normal(0.0, s.row_spread, len(of_product))
    log_price = np.log(simulated_prices(rng, n, T)[0])[of_product]
    own = np.log(simulated_prices(rng, len(of_product), T)[0])
    log_price = log_price + s.own_prices * (own - own.mean(axis=1, keepdims=True))
    slow = np.empty((n, T))
    slow[:, 0] = rng.normal(0.0, s.slow_demand_sd, n)
    for t in range(1, T):
        step = rng.normal(0.0, s.slow_demand_sd * np.sqrt(1.0 - s.persistence**2), n)
        slow[:, t] = s.persistence * slow[:, t - 1] + step
    common = slow + rng.normal(0.0, s.shock_sd, (n, T)) + rng.normal(0.0, s.period_spread, T)
    eta = rng.normal(s.level_mean, s.level_spread, (len(row), 1)) + common[of_product]
    eta = eta + row[:, None] * (log_price - log_price.mean(axis=1, keepdims=True))
    r = np.exp(rng.normal(s.log_dispersion_mean, s.log_dispersion_spread, (len(row), 1)))
    units = rng.poisson(np.exp(np.minimum(eta, 20.0)) * rng.gamma(np.broadcast_to(r, eta.shape)) / r)
    width = len(str(n)), len(str(Z))
    codes = [
        np.char.add(letter, np.char.zfill(np.arange(count).astype(str), digits))
        for letter, count, digits in (("p", n, width[0]), ("z", Z, width[1]))
    ]
    sales = CategorySales(
        "category",
        np.repeat(codes[0][of_product], T),
        np.tile(FIRST_PERIOD + 7 * np.arange(T), len(row)),
        units.ravel().astype(float),
        np.exp(log_price).ravel(),
    )
    of_zones = dict(zip(map(str, codes[1]), size, strict=True))
    return sales, np.repeat(codes[1][of_zone], T), of_zones, ZoneTruth(s.elasticity, product, zone, row)
