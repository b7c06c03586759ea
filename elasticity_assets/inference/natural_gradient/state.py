"""What the natural-gradient iteration carries: its priors, where it is, and what each pass found.

Rows come in blocks of n products, products last; W periods, d numbers a product, S shared ones, m means among them (see
`arrow`).
"""

from typing import Any, NamedTuple, Protocol

import numpy as np

from elasticity_assets.inference.devices import Leaf
from elasticity_assets.inference.natural_gradient import scales, slow_demand
from elasticity_assets.inference.panel import Panel, padded_size
from elasticity_assets.inference.priors import Priors

_FEW_CONTROLS = 8

FAR_AWAY = 1e30
"""How far there is to go where it is not known, in posterior sds."""


def room_for_controls(controls: int) -> int:
    """Round a number of controls up to one of few, so that few programs are compiled: 0, 8, 12, 16, ...

    What is not used is 0 in all cells.
    """
    return padded_size(controls, 4) if controls > _FEW_CONTROLS else _FEW_CONTROLS * bool(controls)


class Hyper(NamedTuple):
    """Priors as arrays, so that changing them compiles nothing.

    Attributes
    ----------
    shared_mean, shared_var : float arrays, shape (S,)
        Prior of s = (c, alpha, gamma), without what sigma_gamma adds; what was found elsewhere of the category's
        elasticity, the first of c, is part of it.
    is_period, is_level : float arrays, shape (S,)
        1 for the category's own periods, and for the level's mean.
    scale : ScalePriors
        Of tau (one a slope), sigma_w (twice, of a season's sine and cosine), sigma_delta, sigma_gamma and s_r.
    is_season : float array, shape (d + 2,)
        1 for sigma_w.
    dispersion_mean, dispersion_sd : float arrays, shape ()
        Prior of mu_r.
    slow : slow_demand.Prior
    """

    shared_mean: Leaf
    shared_var: Leaf
    is_period: Leaf
    is_level: Leaf
    scale: scales.ScalePriors
    is_season: Leaf
    dispersion_mean: Leaf
    dispersion_sd: Leaf
    slow: slow_demand.Prior

    @classmethod
    def of(cls, panel: Panel, priors: Priors, slopes: int) -> "Hyper":
        """Priors of this many slopes a product, all alike, and of its season, if any; arrays of NumPy."""
        K, W = room_for_controls(len(panel.control)), panel.units.shape[1]
        lead = slopes + 1 + K
        mean = np.zeros(lead + W, np.float32)
        mean[:slopes], mean[slopes] = priors.category_mean, priors.level_mean
        var = np.full(lead + W, priors.control_sd**2, np.float32)
        var[:slopes], var[slopes] = priors.category_var, priors.level_sd**2
        found, precision = panel.category_experiment
        var[0] = 1.0 / (1.0 / priors.category_var + precision)
        mean[0] = var[0] * (priors.category_mean / priors.category_var + precision * found)
        is_period, is_level = np.zeros((2, lead + W), np.float32)
        is_period[lead : lead + panel.n_periods] = is_level[slopes] = 1.0
        season = [] if priors.season is None else [priors.season.spread] * 2
        is_season = np.zeros(slopes + len(season) + 3, np.float32)
        is_season[slopes : slopes + len(season)] = 1.0
        scale = scales.scale_priors(
            *[priors.product_spread] * slopes,
            *season,
            priors.level_spread,
            priors.period_spread,
            priors.log_dispersion_spread,
        )
        centre, spread = np.float32(priors.log_dispersion_mean), np.float32(priors.log_dispersion_sd)
        slow = slow_demand.Prior.of(priors.slow_demand)
        return cls(mean, var, is_period, is_level, scale, is_season, centre, spread, slow)


class State(NamedTuple):
    """Where the iteration is.

    Attributes
    ----------
    theta : array, shape (blocks, d, n)
        Slopes, season and level, this at the product's own mean price and controls.
    var : array, shape (blocks, W, n)
        Var eta_it.
    log_size, size_var : arrays, shape (blocks, n)
        Mean and variance of log r_i.
    shared : array, shape (S,)
    log_scale : array, shape (d + 2,)
        log of tau (one a slope), sigma_w (twice, where products have seasons), sigma_delta, sigma_gamma, s_r.
    dispersion_centre : array, shape ()
        mu_r.
    slow : slow_demand.OfRows
        The products' slow demand.
    slow_common : slow_demand.Common
        What it shares.
    """

    theta: Leaf
    var: Leaf
    log_size: Leaf
    size_var: Leaf
    shared: Leaf
    log_scale: Leaf
    dispersion_centre: Leaf
    slow: slow_demand.OfRows
    slow_common: slow_demand.Common


class Found(NamedTuple):
    """What a pass found besides the new state.

    Attributes
    ----------
    move : array, shape ()
        Largest step of a mean, in posterior sds given the rest.
    ahead : array, shape ()
        How far a mean is expected to move yet.
    scale_move : array, shape ()
        Largest step of a scale or dispersion, in its rough sds; 0 where they are held.
    objective : array, shape ()
        ELBO before the step; NaN where that was plain Newton's.
    tau_gradient, tau_information : arrays, shape ()
        d (ELBO + log prior + log tau)/d log tau of the first slope, and the expected information.
    theta_cov, theta_lead : arrays, shapes (blocks, d, d, n) and (blocks, d, m + K, n)
        Cov(theta_i) and Cov(theta_i, (c, alpha)).
    shared_var : array, shape (S,)
    lead_cov : array, shape (m + K, m + K)
        Cov((c, alpha)).
    """

    move: Leaf
    ahead: Leaf
    scale_move: Leaf
    objective: Leaf
    tau_gradient: Leaf
    tau_information: Leaf
    theta_cov: Leaf
    theta_lead: Leaf
    shared_var: Leaf
    lead_cov: Leaf


class AnyRun(Protocol):
    """What an iteration of this kind ends with, whatever its state holds; as of `Run`."""

    @property
    def state(self) -> Any:
        """Where it ended."""

    @property
    def found(self) -> Found:
        """By the last pass."""

    @property
    def passes(self) -> Leaf:
        """Number of passes."""


class Run(NamedTuple):
    """Where an iteration ended.

    Attributes
    ----------
    state : State
    found : Found
        By the last pass.
    passes : int array, shape ()
    trace : array, shape (max_passes,)
        The ELBO before each pass; NaN before plain Newton steps and where unused.
    """

    state: State
    found: Found
    passes: Leaf
    trace: Leaf
