"""A dense, slow, plain reference for one category: the best full-covariance Gaussian, any likelihood, float64.

Log likelihoods are written as in a textbook and differentiated numerically, expectations taken by fine
quadrature, the precision is one matrix: nothing of the engine's algebra is repeated.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln

from elasticity_assets.inference.panel import Panel
from elasticity_assets.inference.priors import Fixed, HalfNormal, Priors
from elasticity_assets.inference.season import sine_and_cosine

_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(7)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()


@dataclass(frozen=True)
class DenseGaussian:
    """Moments of (beta_c, delta_c, alpha, gamma, beta_1, delta_1, beta_2, ..., slow demand), and the ELBO.

    With several slopes, each beta stands for as many numbers; behind a product's stands its season.
    """

    mean: np.ndarray
    cov: np.ndarray
    elbo: float
    n_controls: int
    n_periods: int
    n_products: int
    n_slopes: int = 1
    n_season: int = 0

    def beta(self, slope: int = 0) -> np.ndarray:
        """Places of the products' elasticities, or of another slope."""
        first = self.n_slopes + 1 + self.n_controls + self.n_periods
        return first + (self.n_slopes + self.n_season + 1) * np.arange(self.n_products) + slope

    def alpha(self) -> np.ndarray:
        """Places of the controls' effects."""
        return self.n_slopes + 1 + np.arange(self.n_controls)

    def slow_demand(self) -> np.ndarray:
        """Posterior mean, shape (n, T)."""
        return self.mean[-self.n_products * self.n_periods :].reshape(self.n_products, -1)


def log_likelihood(likelihood: str, truncated: bool, units: np.ndarray, r: np.ndarray) -> Callable:
    """Of every cell, as a function of eta."""

    def value(eta: np.ndarray) -> np.ndarray:
        mu = np.exp(eta)
        if likelihood == "poisson":
            log_p, log_zero = units * eta - mu - gammaln(units + 1), -mu
        else:
            log_p = gammaln(units + r) - gammaln(r) - gammaln(units + 1)
            log_p = log_p + units * np.log(mu / (mu + r)) + r * np.log(r / (mu + r))
            log_zero = r * np.log(r / (mu + r))
        return log_p - (np.log(-np.expm1(log_zero)) if truncated else 0.0)

    return value


def dense_gaussian(
    panel: Panel,
    priors: Priors,
    likelihood: str,
    r: np.ndarray | None = None,
    passes: int = 200,
    regressors: Sequence[np.ndarray] | None = None,
) -> DenseGaussian:
    """Fit at fixed scales; `r`, shape (n,), is the dispersion. Slow demand, if any, is as its priors' centres say.

    `regressors`, (n, T) each, have a slope a product; by default log price as the priors say.
    """
    n, T, K = panel.n_products, panel.n_periods, len(panel.control)
    if regressors is None:
        regressors = [panel.centred_log_price() if priors.centred_price else panel.log_price]
    D, q = len(regressors), 2 if priors.season else 0
    m, d = D + 1, D + q + 1
    S = m + K + T
    slow = priors.slow_demand
    size = S + d * n + (n * T if slow else 0)
    tau, sigma_delta, sigma_gamma = map(
        _value, (priors.product_spread, priors.level_spread, priors.period_spread)
    )
    prior_mean = np.zeros(size)
    prior_mean[:m] = [*[priors.category_mean] * D, priors.level_mean]
    variances = [
        *[priors.category_var] * D,
        max(priors.level_sd, 1e-5) ** 2,
        *[priors.control_sd**2] * K,
    ]
    precision = np.diag(1.0 / np.array(variances + [sigma_gamma**2] * T + [np.inf] * (size - S)))
    for i in range(n):
        for a, sd in enumerate([*[tau] * D, sigma_delta]):
            own = S + d * i + (a if a < D else D + q)
            prior_mean[own] = prior_mean[a]
            contrast = np.zeros(size)
            contrast[[a, own]] = -1.0, 1.0
            precision += np.outer(contrast, contrast) / sd**2
        for a in range(q):
            precision[S + d * i + D + a, S + d * i + D + a] += _value(priors.season.spread) ** -2
    if slow:
        persistence = 1.0 / (1.0 + np.exp(-slow.logit_persistence_mean))
        lag = np.abs(np.subtract.outer(np.arange(T), np.arange(T)))
        own = np.linalg.inv(np.exp(2.0 * slow.log_sd_mean) * persistence**lag)
        for i in range(n):
            places = S + d * n + i * T + np.arange(T)
            precision[np.ix_(places, places)] += own
    product, period = np.nonzero(panel.observed)
    X = np.zeros((len(product), size))
    cell = np.arange(len(product))
    X[:, m : m + K] = panel.controls[product, period]
    X[cell, m + K + period] = 1.0
    for a, x in enumerate(regressors):
        X[cell, S + d * product + a] = x[product, period]
    for a in range(q):
        X[cell, S + d * product + D + a] = sine_and_cosine(panel.period)[a, period]
    X[cell, S + d * product + D + q] = 1.0
    if slow:
        X[cell, S + d * n + product * T + period] = 1.0
    units = panel.units[product, period].astype(np.float64)
    value = log_likelihood(likelihood, panel.zero_truncated, units, None if r is None else r[product])

    mean, cov = prior_mean.copy(), np.zeros_like(precision)
    sold = np.array([units[product == i].mean() for i in range(n)]) + 0.1
    levels = np.arange(S + D + q, S + d * n, d)
    mean[levels] = np.log(sold)
    for a, x in enumerate(regressors):
        mean[levels] -= mean[levels - D - q + a] * [x[i][panel.observed[i]].mean() for i in range(n)]
    step_size = 1e-3
    curvature = None
    for k in range(passes):
        var = np.einsum("ij,jk,ik->i", X, cov, X) if k > 15 else np.zeros(len(X))
        eta = (X @ mean)[:, None] + np.sqrt(var)[:, None] * _NODES
        low, middle, high = (
            np.stack([value(c) for c in (eta + shift).T]).T for shift in (-step_size, 0, step_size)
        )
        gradient = ((high - low) / (2 * step_size)) @ _WEIGHTS
        new = -((high - 2 * middle + low) / step_size**2) @ _WEIGHTS
        curvature = new if curvature is None or k < 20 else 0.5 * (curvature + new)
        cov = np.linalg.inv(precision + (X.T * curvature) @ X)
        move = cov @ (X.T @ gradient - precision @ (mean - prior_mean))
        mean = mean + move * min(1.0, 1.0 / np.abs(X @ move).max())
        if k > 25 and np.abs(move).max() < 1e-9:
            break
    assert np.abs(move).max() < 1e-7, "the dense reference did not converge"
    away = mean - prior_mean
    log_det = np.linalg.slogdet(precision)[1] + np.linalg.slogdet(cov)[1]
    elbo = (middle @ _WEIGHTS).sum() - 0.5 * (away @ precision @ away + np.trace(precision @ cov))
    return DenseGaussian(mean, cov, elbo + 0.5 * (log_det + len(mean)), K, T, n, D, q)


def _value(scale: HalfNormal | Fixed) -> float:
    assert isinstance(scale, Fixed), "the dense reference takes fixed scales"
    return scale.value
