"""A category by product and zone, made up: no engine is compiled for it."""

import numpy as np

from elasticity_assets.inference.simulate_zones import ZoneSimulation, simulate_zones
from elasticity_assets.inference.zoned_panel import ZonedPanel
from elasticity_assets.inference.zoned_posterior import ZonedPosterior
from elasticity_assets_tests.published.test_rows import posterior


def zoned_panel() -> ZonedPanel:
    """Three products in three zones for 40 weeks."""
    return simulate_zones(ZoneSimulation(products=3, zones=3, weeks=40))[0]


def zoned_posterior() -> ZonedPosterior:
    """One grid point, products p0 and p1 in zones north and south: row (i, z) is N(-1 - i - z/2, 0.3^2)."""
    product, zone = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
    return ZonedPosterior(
        products=posterior(),
        row=np.array(["p0 @ north", "p0 @ south", "p1 @ north", "p1 @ south"]),
        zone=np.array(["north", "south"]),
        product_of_row=product,
        zone_of_row=zone,
        covariate=("income",),
        usual_mean=-1.0 - np.arange(2.0)[None],
        usual_var=np.full((1, 2), 0.05),
        row_mean=(-1.0 - product - 0.5 * zone)[None],
        row_var=np.full((1, 4), 0.09),
        row_gain=np.full((1, 4), 0.4),
        row_shrinkage=np.array([0.1, 0.2, 0.3, 0.95]),
        zone_mean=np.array([[0.0, -0.5]]),
        zone_var=np.full((1, 2), 0.04),
        covariate_mean=np.array([[0.1]]),
        covariate_var=np.array([[0.01]]),
        row_level=np.zeros(4),
        row_dispersion=np.full(4, 3.0),
        row_log_dispersion_sd=np.full(4, 0.1),
        periods=np.zeros((2, 2), np.float32),
        zone_spread=0.2,
        row_spread=0.1,
        shock_sd=np.full(2, 0.1),
    )
