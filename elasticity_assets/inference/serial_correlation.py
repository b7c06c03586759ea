"""By how much serial correlation, beyond what the model holds, raises the variance of the elasticities' scores.

Where residuals of neighbouring periods go with prices that also stay, the likelihood counts the same thing twice. The
Newey-West (1987) long-run variance of the elasticities' scores against their plain variance says by how much. What slow
demand explains is no such thing: each period's residual is taken less what the periods before it predict, and price
likewise (the Kalman filter's innovations), which leaves nothing correlated where the model is right. Residuals from the
posterior mean of slow demand would not do: that mean has seen them, so that neighbours' would correlate negatively.
"""

from functools import partial
from typing import NamedTuple

import jax
import numpy as np

from elasticity_assets.inference.density.expectations import Family, expectations
from elasticity_assets.inference.natural_gradient.engine import Mode
from elasticity_assets.inference.natural_gradient.result import FittedCells
from elasticity_assets.inference.natural_gradient.zones.engine import Mode as ZonedMode
from elasticity_assets.inference.options import Likelihood
from elasticity_assets.inference.panel import Panel
from elasticity_assets.inference.posterior import CategoryPosterior
from elasticity_assets.inference.zoned_panel import ZonedPanel

_BEYOND_CHANCE = 2.0
_LAGS = 8  # periods, at most a quarter of them


def serial_correlation_factor(mode: Mode, panel: Panel, likelihood: Likelihood) -> float:
    """By how much neighbouring periods' correlation raises the variance of the elasticities' scores; at least 1.

    1 + 2 sum_l (1 - l/(L + 1)) rho_l over lags l = 1..L (Newey and West 1987), with rho_l the autocorrelation of the
    scores' innovations over all products at once; without slow demand these are g_it x_it, g the derivative of the log
    likelihood by eta. Scores and not residuals: where prices come and go, correlated sales cost an elasticity no
    precision. As far as products have slopes of their own, their scores add up to zero, which lowers each rho_l by
    1/periods; that is put back. A factor that is no more than chance gives (two of its sds where nothing correlates) is
    taken for 1: widening for nothing also lowers the spread tau that products are given.
    """
    n, T = mode.cells.log_mean.shape
    weight = panel.weight[:n, :T].astype(np.float64)
    gradient, curvature = _derivatives(mode.cells, panel, likelihood)
    own = SlowDemandFound.of(mode.posterior)
    score = innovations(own, panel.centred_log_price()[:n, :T], weight * gradient, weight * curvature)
    return _factor(score, (weight > 0).sum(axis=1), 1.0 - mode.posterior.shrinkage())


def zoned_serial_correlation_factor(mode: ZonedMode, panel: ZonedPanel, likelihood: Likelihood) -> float:
    """By how much neighbouring periods' correlation raises the variance of scores of products in zones; at least 1.

    Scores fall in two parts that do not go together. What a product's zones say against each other: a row's price less
    the mean over the product's zones in that week, by cells' curvatures, times g; shocks and slow demand are no part
    of it. And what they say together: that mean price, and the zones' common residual, an observation of u_it of
    variance 1/(sum of h) + nu_i^2; here as in `serial_correlation_factor`.
    """
    fit, of_row, n = mode.posterior, panel.product_of_row, panel.n_products
    R, T = mode.cells.log_mean.shape
    weight = panel.rows.weight[:R, :T].astype(np.float64)
    gradient, curvature = (weight * part for part in _derivatives(mode.cells, panel.rows, likelihood))
    price = panel.rows.centred_log_price()[:R, :T].astype(np.float64)

    def by_product(of_cells: np.ndarray) -> np.ndarray:
        total = np.zeros((n, T))
        np.add.at(total, of_row, of_cells)
        return total

    known = by_product(curvature)
    safe = np.where(known > 0, known, 1.0)
    mean_price = by_product(curvature * price) / safe
    apart = price - mean_price[of_row]
    within = apart * gradient
    of_mean = known / (1.0 + fit.shock_sd[:, None] ** 2 * known)
    slow = SlowDemandFound.of(fit.products) or SlowDemandFound(np.zeros((0, 0)), np.zeros(n), 0.0)
    between = innovations(
        slow._replace(mean=fit.periods.astype(np.float64)),
        mean_price,
        of_mean * by_product(gradient) / safe,
        of_mean,
    )
    information = fit.row_spread**2 * (curvature * apart**2).sum(axis=1)
    return _factor(
        np.concatenate([within, between]),
        np.concatenate([(weight > 0).sum(axis=1), (known > 0).sum(axis=1)]),
        np.concatenate([information / (1.0 + information), 1.0 - fit.products.shrinkage()]),
    )


def _factor(score: np.ndarray, periods: np.ndarray, own_share: np.ndarray) -> float:
    """Estimate the factor from scores, shape (m, T), of so many periods and own shares, (m,) each."""
    plain = (score**2).sum()
    if not plain > 0.0:
        return 1.0
    lags = np.arange(1, min(_LAGS, int(np.median(periods)) // 4) + 1)
    tapered = 2.0 * (1.0 - lags / (len(lags) + 1))
    share = (own_share * (score**2).sum(axis=1)).sum() / plain
    rho = np.array([(score[:, lag:] * score[:, :-lag]).sum() / plain for lag in lags])
    rho = rho + share / periods[periods > 0].mean()
    # Of rho_l, where nothing correlates.
    variance = np.array([(score[:, lag:] ** 2 * score[:, :-lag] ** 2).sum() / plain**2 for lag in lags])
    factor, sd = 1.0 + tapered @ rho, np.sqrt(tapered**2 @ variance)
    return float(factor) if factor > 1.0 + _BEYOND_CHANCE * sd else 1.0


class SlowDemandFound(NamedTuple):
    """Slow demand as a fit found it.

    Attributes
    ----------
    mean : array, shape (n, T)
    sd : array, shape (n,)
    persistence : float
    """

    mean: np.ndarray
    sd: np.ndarray
    persistence: float

    @classmethod
    def of(cls, fit: CategoryPosterior) -> "SlowDemandFound | None":
        """None where the model has none."""
        if not fit.slow_demand.size:
            return None
        return cls(fit.slow_demand, fit.slow_demand_sd, fit.slow_demand_persistence)


def innovations(
    slow: SlowDemandFound | None, x: np.ndarray, gradient: np.ndarray, curvature: np.ndarray
) -> np.ndarray:
    """Parts of the scores by the slopes of x that neighbours do not predict, shape (n, T); they sum to the scores.

    A cell is an observation g/h + E u of u_it, of variance 1/h.

    Parameters
    ----------
    slow : SlowDemandFound or None
    x, gradient, curvature : arrays, shape (n, T)
        g and h of the log likelihood, times the cells' weights.
    """
    if slow is None:
        return x * gradient
    phi, stationary = slow.persistence, slow.sd**2
    score = np.zeros(x.shape)
    predicted, of_x, var = np.zeros(len(x)), np.zeros(len(x)), stationary
    for t in range(x.shape[1]):
        share = 1.0 / (1.0 + var * curvature[:, t])
        surprise = share * (gradient[:, t] + curvature[:, t] * (slow.mean[:, t] - predicted))
        rest = x[:, t] - of_x
        score[:, t] = rest * surprise
        predicted = phi * (predicted + var * surprise)
        of_x = phi * (of_x + var * share * curvature[:, t] * rest)
        var = phi**2 * var * share + (1.0 - phi**2) * stationary
    return score


def _derivatives(cells: FittedCells, panel: Panel, likelihood: Likelihood) -> tuple[np.ndarray, np.ndarray]:
    """Take each cell's derivative of the log likelihood by eta, and its expected curvature, shape (n, T)."""
    n, T = cells.log_mean.shape
    family = Family(likelihood == "negative_binomial", panel.zero_truncated)
    # In the panel's padded shape, of which there are few: each is compiled.
    eta, size = np.zeros(panel.units.shape, np.float32), np.zeros(len(panel.units), np.float32)
    eta[:n, :T], size[:n] = cells.log_mean, np.log(cells.dispersion)
    gradient, _ = _of_cells(family, panel.units.T, eta.T, size)
    # The curvature is linear in units, so that at their expectation it is its own.
    overdispersion = np.exp(eta.T - size) if family.negative_binomial else 0.0
    expected = panel.units.T - np.asarray(gradient) * (1.0 + overdispersion)
    _, curvature = _of_cells(family, expected, eta.T, size)
    return _cells(gradient, n, T), _cells(curvature, n, T)


def _cells(padded: jax.Array, n: int, T: int) -> np.ndarray:
    return np.asarray(padded, np.float64).T[:n, :T]


@partial(jax.jit, static_argnames="family")
def _of_cells(
    family: Family, units: jax.Array, eta: jax.Array, log_size: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Take first and negative second derivatives of the log likelihood by eta, shape (T, n)."""
    cells = expectations(family, units, eta, None, log_size, None)
    return cells.gradient, cells.curvature
