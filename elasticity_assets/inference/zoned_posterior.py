"""What an engine returns where rows are products in zones."""

from dataclasses import dataclass, field

import numpy as np

from elasticity_assets.inference.cell_weights import CellWeights
from elasticity_assets.inference.posterior import CategoryPosterior


@dataclass(frozen=True)
class ZonedPosterior:
    """Posterior of one category by product and zone: as of its products, a mixture over a grid of G values of tau.

    Attributes
    ----------
    products : CategoryPosterior
        Of products over all their zones together, sum_z w_z beta_iz with the zones' shares of their units: what units
        do when a price moves everywhere. Its `level` and `dispersion` are of units in all zones, shocks
        included; `slow_demand` holds slow demand and shocks together.
    row : array of str, shape (R,)
    zone : array of str, shape (Z,)
    product_of_row, zone_of_row : int arrays, shape (R,)
    covariate : tuple of str, length q
    usual_mean, usual_var : float arrays, shape (G, n)
        Of beta_i, products' elasticities in a zone like the others.
    row_mean, row_var, row_gain : float arrays, shape (G, R)
        Of beta_iz = beta_i + b_z + e_iz; the gain is Cov(beta_iz, beta_c) / Var(beta_c).
    row_shrinkage : float array, shape (R,)
        Var(beta_iz | beta_i, b_z) / tau_z^2: how far a row leans on its product and its zone; 0 own data alone, 1 none.
    zone_mean, zone_var : float arrays, shape (G, Z)
        Of b_z, what a zone adds to every product's elasticity.
    covariate_mean, covariate_var : float arrays, shape (G, q)
        Of eta, what the zones' covariates add.
    row_level : float array, shape (R,)
        Posterior mean of delta_iz.
    row_dispersion, row_log_dispersion_sd : float arrays, shape (R,)
        r_iz at the posterior mean of its log, infinite for Poisson, and the sd of that log.
    periods : float32 array, shape (n, T)
        Posterior mean of u_it + v_it, a product's slow demand and shocks, common to its zones.
    zone_spread, row_spread : float
        Point estimates of sigma_b and tau_z.
    shock_sd : float array, shape (n,)
        Point estimates of nu_i; 0 where the model has no shocks.
    discounted : int array, shape (m, 2)
        Row and period, as indices, of the cells that count less than the others; `products` names none.
    discounted_share : float array, shape (m,)
        What they count, 0 to 1.
    """

    products: CategoryPosterior
    row: np.ndarray
    zone: np.ndarray
    product_of_row: np.ndarray
    zone_of_row: np.ndarray
    covariate: tuple[str, ...]
    usual_mean: np.ndarray
    usual_var: np.ndarray
    row_mean: np.ndarray
    row_var: np.ndarray
    row_gain: np.ndarray
    row_shrinkage: np.ndarray
    zone_mean: np.ndarray
    zone_var: np.ndarray
    covariate_mean: np.ndarray
    covariate_var: np.ndarray
    row_level: np.ndarray
    row_dispersion: np.ndarray
    row_log_dispersion_sd: np.ndarray
    periods: np.ndarray
    zone_spread: float
    row_spread: float
    shock_sd: np.ndarray
    discounted: np.ndarray = field(default_factory=lambda: np.zeros((0, 2), np.int64))
    discounted_share: np.ndarray = field(default_factory=lambda: np.zeros(0))

    def cell_weights(self) -> CellWeights:
        """Weights of rows' cells that the fit was made under."""
        return CellWeights(self.products.serial_correlation_factor, self.discounted, self.discounted_share)
