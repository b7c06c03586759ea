"""What the iteration over products in zones carries: its priors, where it is, and what each pass found.

Shapes as in `products`: n products, Z zones, W periods, S shared numbers; rows in blocks of L.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from elasticity_assets.inference.devices import Leaf
from elasticity_assets.inference.natural_gradient import scales, slow_demand
from elasticity_assets.inference.natural_gradient.state import Found
from elasticity_assets.inference.natural_gradient.zones import products
from elasticity_assets.inference.natural_gradient.zones.products import Layout
from elasticity_assets.inference.natural_gradient.zones.tiles import Common, Tiles, Tiling
from elasticity_assets.inference.priors import Fixed, Priors, SlowDemand, Zones

TAU, ROW_SPREAD, ZONE_SPREAD, LEVEL_SPREAD, SEASON_SPREAD, PERIOD_SPREAD, DISPERSION_SPREAD = range(7)
"""Places of tau, tau_z, sigma_b, sigma_delta, sigma_w, sigma_gamma and s_r among the scales."""

SMALLEST_SD = 1e-6
"""Of effects that are there, but known to be nothing."""


LOG_SD_RANGE = (-7.0, 2.0)
"""Of log sigma_i and log nu_i."""


class Hyper(NamedTuple):
    """Priors as arrays, so that changing them compiles nothing.

    Attributes
    ----------
    shared_mean, shared_var : float arrays, shape (S,)
        Prior of s, without what sigma_b and sigma_gamma add.
    is_period : float array, shape (S,)
        1 for the category's own periods.
    scale : ScalePriors
        Of the seven scales.
    dispersion_mean, dispersion_sd : float arrays, shape ()
        Prior of mu_r.
    slow, shock : slow_demand.Prior
        Of slow demand, and of shocks, which have no persistence.
    """

    shared_mean: Leaf
    shared_var: Leaf
    is_period: Leaf
    scale: scales.ScalePriors
    dispersion_mean: Leaf
    dispersion_sd: Leaf
    slow: slow_demand.Prior
    shock: slow_demand.Prior

    @classmethod
    def of(cls, tiling: Tiling, priors: Priors, zones: Zones) -> "Hyper":
        """Priors of a panel; arrays of NumPy."""
        layout, rows = layout_of(tiling.tiles, tiling.common), tiling.panel.rows
        mean, var, is_period = np.zeros((3, layout.size), np.float32)
        mean[:2] = priors.category_mean, priors.level_mean
        var[:2] = priors.category_var, priors.level_sd**2
        var[layout.eta], var[layout.alpha] = zones.covariate_sd**2, priors.control_sd**2
        is_period[layout.period][: rows.n_periods] = 1.0
        spread = Fixed(1.0) if priors.season is None else priors.season.spread
        scale = scales.scale_priors(
            priors.product_spread,
            zones.row_spread,
            zones.zone_spread,
            priors.level_spread,
            spread,
            priors.period_spread,
            priors.log_dispersion_spread,
        )
        shock = SlowDemand(zones.log_shock_mean, zones.log_shock_sd, zones.log_shock_spread)
        return cls(
            mean,
            var,
            is_period,
            scale._replace(size=np.maximum(scale.size, np.float32(SMALLEST_SD))),
            np.float32(priors.log_dispersion_mean),
            np.float32(priors.log_dispersion_sd),
            slow_demand.Prior.of(priors.slow_demand),
            slow_demand.Prior.of(shock if zones.shocks else None),
        )


class State(NamedTuple):
    """Where the iteration is.

    Attributes
    ----------
    theta : array, shape (blocks, 2, L)
        e_iz and delta_iz - delta_c.
    var : array, shape (blocks, W, L)
        Var eta.
    log_size, size_var : arrays, shape (blocks, L)
        Mean and variance of log r_iz.
    slope : array, shape (n,)
        beta_i - beta_c.
    season : array, shape (n, q)
        w_i.
    periods : array, shape (n, W)
        a_i: slow demand and shocks together.
    log_sd, share : arrays, shape (2, n)
        log sigma_i and log nu_i, and how far they follow the steps of mu_u and mu_v.
    shared : array, shape (S,)
    log_scale : array, shape (7,)
    dispersion_centre : array, shape ()
        mu_r.
    slow_common, shock_common : slow_demand.Common
    """

    theta: Leaf
    var: Leaf
    log_size: Leaf
    size_var: Leaf
    slope: Leaf
    season: Leaf
    periods: Leaf
    log_sd: Leaf
    share: Leaf
    shared: Leaf
    log_scale: Leaf
    dispersion_centre: Leaf
    slow_common: slow_demand.Common
    shock_common: slow_demand.Common


class Spreads(NamedTuple):
    """Variances and covariances of elasticities, and what is known of scales.

    Attributes
    ----------
    row, row_category : arrays, shape (blocks, L)
        Var beta_iz, and Cov(beta_iz, beta_c).
    row_left : array, shape (blocks, L)
        Var(e_iz | all else) / tau_z^2.
    product : array, shape (n,)
        Var beta_i.
    together, together_lead : arrays, shapes (n,) and (n, 2 + q + K)
        Of a product in all its zones together, sum_z w_z beta_iz with its units' shares w: the variance, and the
        covariances with (beta_c, delta_c, eta, alpha).
    zone : array, shape (Z,)
        Var b_z.
    lead : array, shape (2 + q + K, 2 + q + K)
    scale_gradient, scale_information : arrays, shape (7,)
        d (ELBO + log prior + log sigma)/d log sigma of the scales, and the expected information.
    """

    row: Leaf
    row_category: Leaf
    row_left: Leaf
    product: Leaf
    together: Leaf
    together_lead: Leaf
    zone: Leaf
    lead: Leaf
    scale_gradient: Leaf
    scale_information: Leaf


class Run(NamedTuple):
    """Where an iteration ended; as the arrow's, with the spreads by the last pass.

    Attributes
    ----------
    state : State
    found : Found
    spreads : Spreads
    passes : int array, shape ()
    trace : array, shape (max_passes,)
    """

    state: State
    found: Found
    spreads: Spreads
    passes: Leaf
    trace: Leaf


def layout_of(tiles: Tiles, common: Common) -> Layout:
    """Where the parts of s lie."""
    Z, q = common.covariates.shape
    _, K, W, _ = tiles.controls.shape
    return Layout(q, K, Z, W)


def sds(state: State) -> jax.Array:
    """Scales, shape (7,)."""
    return jnp.maximum(jnp.exp(state.log_scale), SMALLEST_SD)


def period_sds(hyper: Hyper, state: State) -> tuple[jax.Array, jax.Array]:
    """sigma_i and nu_i, shape (n,), after products have followed mu_u and mu_v; 0 where the model has none."""
    both = []
    for k, (prior, common) in enumerate(((hyper.slow, state.slow_common), (hyper.shock, state.shock_common))):
        log_sd = jnp.clip(state.log_sd[k] + state.share[k] * common.centre_step, *LOG_SD_RANGE)
        both.append(jnp.where(prior.there, jnp.exp(log_sd), 0.0))
    return both[0], both[1]


def prior_of(common: Common, hyper: Hyper, state: State) -> products.Prior:
    """Products' prior at the scales of a state."""
    slow, shock = period_sds(hyper, state)
    sd = sds(state)
    return products.prior(
        common,
        jax.nn.sigmoid(state.slow_common.logit_persistence),
        sd[TAU],
        sd[SEASON_SPREAD],
        slow**2,
        shock**2,
    )


def zeta_of(prior: products.Prior, state: State) -> jax.Array:
    """Products' means in units of their priors' sds."""
    q = state.season.shape[1]
    in_basis = products.matmul(state.periods, prior.basis[:, q:])
    return jnp.concatenate([state.slope[:, None], state.season, in_basis], axis=1) / prior.sd


def shared_var_of(hyper: Hyper, state: State, layout: Layout) -> jax.Array:
    """Prior variance of s: the mean of gamma over periods counts to the level's mean."""
    sd = sds(state)
    gamma = sd[PERIOD_SPREAD] ** 2
    of_mean = gamma / jnp.maximum(jnp.sum(hyper.is_period), 1.0)
    var = hyper.shared_var.at[1].add(of_mean)
    return var.at[layout.zone].set(sd[ZONE_SPREAD] ** 2).at[layout.period].set(gamma)
