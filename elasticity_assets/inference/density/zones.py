"""The demand model where rows are products in zones, in NumPyro: what the engines fit, and NUTS samples.

All effects are non-centred: standard normals times their sds. Categories are fitted one by one.
"""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist

from elasticity_assets.inference.density.model import Array, Model, Sales, _scale, stack_panels
from elasticity_assets.inference.options import Likelihood
from elasticity_assets.inference.priors import Fixed, HalfNormal, Priors, Zones
from elasticity_assets.inference.zoned_panel import ZonedPanel


class Zoning(NamedTuple):
    """Which product and which zone each of N rows is, so that effects reach rows by products of matrices.

    Attributes
    ----------
    product : float array, shape (N, n)
        1 where the row is of the product; a padded row is all zeros.
    zone : float array, shape (N, Z)
    covariates : float array, shape (Z, q)
    """

    product: Array
    zone: Array
    covariates: Array

    @classmethod
    def of(cls, panel: ZonedPanel) -> "Zoning":
        """Rows of a panel; arrays of NumPy."""
        N, R = panel.rows.units.shape[0], panel.n_rows
        product, zone = np.zeros((N, panel.n_products)), np.zeros((N, panel.n_zones))
        product[np.arange(R), panel.product_of_row] = 1.0
        zone[np.arange(R), panel.zone_of_row] = 1.0
        dtype = jnp.result_type(float)
        return cls(product.astype(dtype), zone.astype(dtype), panel.covariates.astype(dtype))


@dataclass(frozen=True)
class ZonedModel:
    """A choice of model; hashable, so that compiled code is found again.

    Attributes
    ----------
    priors : Priors
    zones : Zones
    likelihood : {'negative_binomial', 'poisson'}
    zero_truncated : bool
    """

    priors: Priors
    zones: Zones
    likelihood: Likelihood
    zero_truncated: bool = False

    def __call__(self, sales: Sales, zoning: Zoning) -> None:
        """Declare the joint density of all latent variables and `sales`, as NumPyro sites."""
        priors, zones = self.priors, self.zones
        (N, W), K = sales.units.shape, sales.controls.shape[-1]
        n, Z, q = zoning.product.shape[1], zoning.zone.shape[1], zoning.covariates.shape[1]
        beta_c = numpyro.sample("beta_c", dist.Normal(priors.category_mean, priors.category_var**0.5))
        delta_c = numpyro.sample("delta_c", dist.Normal(priors.level_mean, priors.level_sd))
        beta = beta_c + _normals("beta", _scale("tau", priors.product_spread), n)
        zone = _normals("zone", _scale("sigma_b", zones.zone_spread), Z)
        if q:
            zone = zone + zoning.covariates @ _normals("eta", zones.covariate_sd, q)
        row = _normals("row", _scale("tau_z", zones.row_spread), N)
        delta = delta_c + _normals("delta", _scale("sigma_delta", priors.level_spread), N)
        gamma = _normals("gamma", _scale("sigma_gamma", priors.period_spread), W)
        alpha = _normals("alpha", priors.control_sd, K) if K else jnp.zeros(0)
        log_r = jnp.zeros(N)
        if self.likelihood == "negative_binomial":
            mu_r = numpyro.sample("mu_r", dist.Normal(priors.log_dispersion_mean, priors.log_dispersion_sd))
            log_r = mu_r + _normals("log_r", _scale("s_r", priors.log_dispersion_spread), N)
        own = jnp.zeros((n, W))
        if priors.slow_demand is not None:
            slow = priors.slow_demand
            sd = _sds("u", slow.log_sd_mean, slow.log_sd_sd, slow.log_sd_spread, n)
            logit = numpyro.sample(
                "logit_phi", dist.Normal(slow.logit_persistence_mean, slow.logit_persistence_sd)
            )
            own = own + sd[:, None] * _ar1(_normals("innovation", 1.0, (n, W)), jax.nn.sigmoid(logit))
        if zones.shocks:
            sd = _sds("v", zones.log_shock_mean, zones.log_shock_sd, zones.log_shock_spread, n)
            own = own + sd[:, None] * _normals("shock", 1.0, (n, W))
        if priors.season is not None:
            of_product = _normals("season", _scale("sigma_w", priors.season.spread), (n, 2))
            own = own + of_product @ sales.season
        beta = numpyro.deterministic("product_elasticity", beta)
        zone = numpyro.deterministic("zone_elasticity", zone)
        slope = numpyro.deterministic("row_elasticity", zoning.product @ beta + zoning.zone @ zone + row)
        numpyro.factor(
            "units",
            Model(priors, self.likelihood, self.zero_truncated).log_likelihood(
                sales, slope, delta, log_r, gamma[None], alpha[None], zoning.product @ own
            ),
        )


def sales_and_zoning(panel: ZonedPanel) -> tuple[Sales, Zoning]:
    """Lay a panel out as the model reads it."""
    return stack_panels([panel.rows], centred_price=True), Zoning.of(panel)


def _normals(name: str, sd: jax.Array | float, shape: int | tuple[int, ...]) -> jax.Array:
    """Independent effects around 0 from standard normals."""
    sizes = (shape,) if isinstance(shape, int) else shape
    return sd * numpyro.sample(name, dist.Normal().expand(sizes).to_event())


def _sds(letter: str, mean: float, sd: float, spread: HalfNormal | Fixed, n: int) -> jax.Array:
    """Sds a product, log-normal around a mean of their own."""
    centre = numpyro.sample(f"mu_{letter}", dist.Normal(mean, sd))
    return jnp.exp(centre + _normals(f"log_sd_{letter}", _scale(f"s_{letter}", spread), n))


def _ar1(innovation: jax.Array, phi: jax.Array) -> jax.Array:
    """Filter innovations (n, W) to AR(1) of variance 1."""
    W = innovation.shape[1]
    lag = jnp.arange(W) - jnp.arange(W)[:, None]
    scale = jnp.where(jnp.arange(W)[:, None] == 0, 1.0, jnp.sqrt(1.0 - phi**2))
    return innovation @ (jnp.where(lag >= 0, phi ** jnp.maximum(lag, 0), 0.0) * scale)
