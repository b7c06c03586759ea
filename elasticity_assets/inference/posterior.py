"""What every engine returns, and what everything downstream reads."""

from dataclasses import dataclass, field

import numpy as np
from scipy.special import ndtr, ndtri

from elasticity_assets.inference.options import Likelihood

_FLOAT32 = 1e-5  # of a variance: differences below are rounding


@dataclass(frozen=True)
class FitDiagnostics:
    """How a fit went.

    Attributes
    ----------
    engine : str
        'natural_gradient', 'svi' or 'nuts'.
    likelihood : {'negative_binomial', 'poisson'}
    zero_truncated : bool
        Whether it is conditioned on a sale.
    device : str
        Where it ran, as jax names it, e.g. 'cpu x2'.
    iterations : int
        Passes over the data until the mode of tau, optimizer steps, or draws.
    converged : bool
    elbo : float
        Evidence lower bound in nats, up to the same constants for all fits of one engine; NaN for NUTS.
    seconds : float
        Wall time of the fit, compilation included; fits that run side by side share the cores.
    warnings : tuple of str
        In words, what to be careful about.
    """

    engine: str
    likelihood: Likelihood
    zero_truncated: bool
    device: str
    iterations: int
    converged: bool
    elbo: float
    seconds: float
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        # JSON brings lists back.
        object.__setattr__(self, "warnings", tuple(self.warnings))

    @property
    def likelihood_text(self) -> str:
        """The likelihood as published: 'zero-truncated ' stands before one that is."""
        return f"zero-truncated {self.likelihood}" if self.zero_truncated else self.likelihood


@dataclass(frozen=True)
class CategoryPosterior:
    """Posterior of one category: a mixture of Gaussians over a grid of G values of tau.

    Given point k of the grid, the category's elasticity is N(category_mean[k], category_var[k]) and
    product i's is N(product_mean[k, i], product_var[k, i]); `product_gain` ties the two together, so
    that categories can be pooled afterwards.

    Attributes
    ----------
    category : str
    product : array of str, shape (n,)
    period : array of datetime64[D], shape (T,)
    control : tuple of str, length K
    prior_mean, prior_var : float
        The prior N(m0, v0) of the category's elasticity in this fit.
    tau : float array, shape (G,)
        Sd of the products' elasticities around the category's.
    weight : float array, shape (G,)
        Posterior probabilities of the grid's points; they sum to 1.
    category_mean, category_var : float arrays, shape (G,)
    product_mean, product_var : float arrays, shape (G, n)
    product_gain : float array, shape (G, n)
        Cov(beta_i, beta_c) / Var(beta_c) at each point.
    control_mean : float array, shape (G, K)
    control_cov : float array, shape (G, K, K)
        Cov(alpha) at each point.
    control_gain : float array, shape (G, K)
        Cov(alpha_k, beta_c) / Var(beta_c) at each point.
    product_control_cov : float array, shape (G, n, K)
        Cov(beta_i, alpha_k) at each point.
    level : float array, shape (n,)
        Posterior mean of delta_i, log units at the product's own usual price.
    period_effect : float array, shape (T,)
        Posterior mean of gamma_t.
    dispersion : float array, shape (n,)
        r_i of the negative binomial, variance = mean + mean^2 / r, at the posterior mean of log r_i; infinite for
        Poisson.
    log_dispersion_sd : float array, shape (n,)
        Posterior sd of log r_i; 0 for Poisson.
    level_mean : float
        Posterior mean of delta_c.
    level_spread, period_spread, log_dispersion_mean, log_dispersion_spread : float
        Point estimates of sigma_delta, sigma_gamma, mu_r and s_r.
    trace : float array, shape (iterations kept,)
        The ELBO while fitting, once there is one; empty for NUTS.
    diagnostics : FitDiagnostics
    slow_demand : float32 array, shape (n, T)
        Posterior mean of u_it; shape (0, 0) where the model has none.
    slow_demand_sd : float array, shape (n,)
        Point estimates of sigma_i; shape (0,) where the model has none.
    slow_demand_persistence, slow_demand_centre, slow_demand_spread : float
        Point estimates of phi, mu_u and s_u.
    season : float array, shape (n, 2)
        Posterior means of w_i: what sine and cosine of the year count; shape (0, 2) where the model has none.
    season_spread : float
        Point estimate of sigma_w.
    serial_correlation_factor : float
        By which neighbouring periods' correlation widened the variances; 1 where it was not looked at.
    discounted : int array, shape (m, 2)
        Product and period, as indices, of the cells that count less than the others.
    discounted_share : float array, shape (m,)
        What they count, 0 to 1.
    zones_prior_var : float array, shape (n,)
        What a product's zones add to tau^2, the prior variance of its elasticity given beta_c; [0] without zones.
    """

    category: str
    product: np.ndarray
    period: np.ndarray
    control: tuple[str, ...]
    prior_mean: float
    prior_var: float
    tau: np.ndarray
    weight: np.ndarray
    category_mean: np.ndarray
    category_var: np.ndarray
    product_mean: np.ndarray
    product_var: np.ndarray
    product_gain: np.ndarray
    control_mean: np.ndarray
    control_cov: np.ndarray
    control_gain: np.ndarray
    product_control_cov: np.ndarray
    level: np.ndarray
    period_effect: np.ndarray
    dispersion: np.ndarray
    log_dispersion_sd: np.ndarray
    level_mean: float
    level_spread: float
    period_spread: float
    log_dispersion_mean: float
    log_dispersion_spread: float
    trace: np.ndarray
    diagnostics: FitDiagnostics
    slow_demand: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    slow_demand_sd: np.ndarray = field(default_factory=lambda: np.zeros(0))
    slow_demand_persistence: float = 0.0
    slow_demand_centre: float = 0.0
    slow_demand_spread: float = 0.0
    season: np.ndarray = field(default_factory=lambda: np.zeros((0, 2)))
    season_spread: float = 0.0
    serial_correlation_factor: float = 1.0
    discounted: np.ndarray = field(default_factory=lambda: np.zeros((0, 2), np.int64))
    discounted_share: np.ndarray = field(default_factory=lambda: np.zeros(0))
    zones_prior_var: np.ndarray = field(default_factory=lambda: np.zeros(1, np.float32))

    @property
    def control_var(self) -> np.ndarray:
        """Var(alpha_k) at each point, shape (G, K)."""
        return np.diagonal(self.control_cov, axis1=1, axis2=2)

    def own_prior_var(self) -> np.ndarray:
        """Prior variance of products' elasticities given beta_c, at each point of the tau grid, shape (G, n or 1).

        tau^2, and what a product's zones add.
        """
        return self.tau[:, None] ** 2 + self.zones_prior_var

    def own_share(self) -> np.ndarray:
        """How far each product's own data decide, given its category, at each point of the tau grid, shape (G, n).

        1 - Var(beta_i | beta_c) / tau^2, and what zones add to tau^2. Where that is lost in float32 beside the variance
        of beta_c, it is 0.
        """
        prior_var = self.own_prior_var()
        conditional = self.product_var - self.product_gain**2 * self.category_var[:, None]
        share = np.clip(1.0 - conditional / prior_var, 0.0, 1.0)
        return np.where(prior_var > _FLOAT32 * self.product_var, share, 0.0)

    def shrinkage(self) -> np.ndarray:
        """How far each product leans on its category, shape (n,): 0 own data alone, 1 category alone.

        Var(beta_i | beta_c) / tau^2, and what zones add to tau^2, averaged over tau.
        """
        return np.clip(1.0 - self.weight @ self.own_share(), 0.0, 1.0)

    def product_spread(self) -> float:
        """Posterior mean of tau."""
        return float(self.weight @ self.tau)


@dataclass(frozen=True)
class Summary:
    """Mean, sd, quantiles and P(elasticity < -1) of one or many elasticities; every array has shape (n,)."""

    mean: np.ndarray
    sd: np.ndarray
    q05: np.ndarray
    q50: np.ndarray
    q95: np.ndarray
    prob_elastic: np.ndarray


@dataclass(frozen=True)
class TwoSlopes:
    """Two elasticities a product, and what variation of prices there was to estimate them from.

    Attributes
    ----------
    category : str
    product : array of str, shape (n,)
    regular : Summary
        Of beta_i, d log units / d log regular price at an unchanged discount; arrays of shape (n,).
    regular_long_run : Summary
        Of beta_i plus the effects of the lags of the price paid: of a regular price that lasts.
    promotion : Summary
        Of phi_i, d log units / d log price at an unchanged regular price.
    n_periods : int array, shape (n,)
        Observed periods.
    n_promotion_periods : int array, shape (n,)
        Those whose price was at least 1% below the regular price.
    log_regular_price_sd, log_discount_sd : float arrays, shape (n,)
        Standard deviations over the observed periods.
    warnings : tuple of str
        Why the fits are not to be trusted, in words.
    """

    category: str
    product: np.ndarray
    regular: Summary
    regular_long_run: Summary
    promotion: Summary
    n_periods: np.ndarray
    n_promotion_periods: np.ndarray
    log_regular_price_sd: np.ndarray
    log_discount_sd: np.ndarray
    warnings: tuple[str, ...]


def summarize(weight: np.ndarray, mean: np.ndarray, var: np.ndarray) -> Summary:
    """Summarize mixtures of Gaussians.

    Parameters
    ----------
    weight : array, shape (G,)
    mean, var : arrays, shape (G, n)
        Component moments of n mixtures that share their weights.
    """
    mean, var = np.asarray(mean, np.float64), np.asarray(var, np.float64)
    weight = np.asarray(weight, np.float64)
    centre = weight @ mean
    # Around the centre: the difference of raw moments would cancel.
    sd = np.sqrt(weight @ (var + (mean - centre) ** 2))
    q05, q50, q95 = (mixture_quantile(q, weight, mean, var) for q in (0.05, 0.5, 0.95))
    # Weights that sum to 1 but for rounding must not give a probability above 1.
    prob = np.clip(weight @ ndtr((-1.0 - mean) / np.sqrt(var)), 0.0, 1.0)
    return Summary(centre, sd, q05, q50, q95, prob)


def mixture_quantile(q: float, weight: np.ndarray, mean: np.ndarray, var: np.ndarray) -> np.ndarray:
    """Quantile `q` of n mixtures of G Gaussians, by bisection to 1e-9 of the bracket; shape (n,).

    Parameters
    ----------
    q : float
        In (0, 1).
    weight : array, shape (G,)
    mean, var : arrays, shape (G, n)
    """
    sd = np.sqrt(var)
    ends = mean + ndtri(q) * sd  # a mixture's quantile lies between its components'
    low, high = ends.min(axis=0), ends.max(axis=0)
    for _ in range(30 if len(weight) > 1 else 0):
        middle = 0.5 * (low + high)
        below = weight @ ndtr((middle - mean) / sd) < q
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return 0.5 * (low + high)
