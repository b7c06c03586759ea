"""What a posterior says of its elasticities: the category's, the products', and what their own data alone say."""

import numpy as np

from elasticity_assets.inference.category_price_index import CATEGORY_PRICE_CHANGE, CATEGORY_PRICE_INDEX
from elasticity_assets.inference.posterior import CategoryPosterior, Summary, summarize
from elasticity_assets.inference.price_lags import is_lag
from elasticity_assets.inference.substitute_prices import SUBSTITUTE_PRICES

_LEAST_OWN_PRECISION = 0.05
"""Share of a product's posterior precision that has to be its own data's for these to have an estimate."""


def category_summary(posterior: CategoryPosterior) -> Summary:
    """Summary of the category's elasticity, shape (1,)."""
    return summarize(posterior.weight, posterior.category_mean[:, None], posterior.category_var[:, None])


def product_summary(posterior: CategoryPosterior) -> Summary:
    """Summary of the products' elasticities, shape (n,)."""
    return summarize(posterior.weight, posterior.product_mean, posterior.product_var)


def category_move_summary(
    posterior: CategoryPosterior, has_substitutes: np.ndarray | bool = False
) -> Summary:
    """Summary of the products' elasticities to the prices of their whole category, shape (n,).

    Those to their own prices, plus the effects of the category's price index and its change and of substitutes' prices,
    as far as these are among the controls: of a product alone, and in the article's model, none is.

    Parameters
    ----------
    posterior : CategoryPosterior
    has_substitutes : bool array, shape (n,), or bool
        Whether there are others in each product's group of substitutes.
    """
    index, substitutes = (
        np.array([name in added for name in posterior.control], float)
        for added in ((CATEGORY_PRICE_INDEX, CATEGORY_PRICE_CHANGE), (SUBSTITUTE_PRICES,))
    )
    grouped = np.broadcast_to(np.asarray(has_substitutes, float), len(posterior.product))
    return _with_effects(posterior, index + grouped[:, None] * substitutes)


def long_run_summary(posterior: CategoryPosterior) -> Summary:
    """Summary of the products' elasticities to a price change that lasts, once all lags see it, shape (n,)."""
    return _with_effects(posterior, np.tile(_lags(posterior), (len(posterior.product), 1)))


def category_long_run_summary(posterior: CategoryPosterior) -> Summary:
    """Summary of the category's elasticity to price changes that last, shape (1,)."""
    lags = _lags(posterior)
    effect, var = _sum_of_effects(posterior, lags)
    mean = posterior.category_mean + effect
    var = posterior.category_var * (1.0 + 2.0 * posterior.control_gain @ lags) + var
    return summarize(posterior.weight, mean[:, None], var[:, None])


def later_summary(posterior: CategoryPosterior) -> Summary | None:
    """Summary of what a period's price does in the periods after it, added up over them, shape (1,).

    The same for all products: the sum of the lags' effects. None where they are not among the controls.
    """
    lags = _lags(posterior)
    if not lags.any():
        return None
    mean, var = _sum_of_effects(posterior, lags)
    return summarize(posterior.weight, mean[:, None], var[:, None])


def _lags(posterior: CategoryPosterior) -> np.ndarray:
    """1 for the controls that are lags of the price, else 0; shape (K,)."""
    return np.array([is_lag(name) for name in posterior.control], float)


def _with_effects(posterior: CategoryPosterior, share: np.ndarray) -> Summary:
    """Summary of the products' elasticities plus shares of the controls' effects, (n, K); shape (n,)."""
    effect = posterior.control_mean @ share.T
    of_effects = np.einsum("nk,gkl,nl->gn", share, posterior.control_cov, share, optimize=True)
    common = np.einsum("gnk,nk->gn", posterior.product_control_cov, share)
    return summarize(
        posterior.weight, posterior.product_mean + effect, posterior.product_var + of_effects + 2.0 * common
    )


def _sum_of_effects(posterior: CategoryPosterior, share: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of a sum of shares of the controls' effects, (K,), at each point; shape (G,)."""
    return posterior.control_mean @ share, np.einsum("k,gkl,l->g", share, posterior.control_cov, share)


def own_data_estimates(posterior: CategoryPosterior) -> tuple[np.ndarray, np.ndarray]:
    """Estimate each product's elasticity from its own data alone, at the mode of tau.

    Given its category, a product's posterior N(m, V) is its prior N(beta_c, tau^2) times what its data say. Dividing
    the prior out leaves precision 1/V - 1/tau^2 and mean (m/V - beta_c/tau^2) over it, whatever beta_c is. Zones add to
    tau^2.

    Parameters
    ----------
    posterior : CategoryPosterior

    Returns
    -------
    mean, sd : float arrays, shape (n,)
        NaN where a product's own data say next to nothing.
    """
    mode = int(np.argmax(posterior.weight))
    prior_var, centre = posterior.own_prior_var()[mode], float(posterior.category_mean[mode])
    gain = np.asarray(posterior.product_gain[mode], np.float64)
    var = posterior.product_var[mode] - gain**2 * float(posterior.category_var[mode])
    with np.errstate(divide="ignore", invalid="ignore"):
        precision = 1.0 / var - 1.0 / prior_var
        known = (var > 0.0) & (precision * var >= _LEAST_OWN_PRECISION)
        mean = (posterior.product_mean[mode] / var - centre / prior_var) / precision
        sd = 1.0 / np.sqrt(precision)
    return np.where(known, mean, np.nan), np.where(known, sd, np.nan)


def log_units_sd(posterior: CategoryPosterior, units: np.ndarray) -> np.ndarray:
    """Give the sd of a period's log units around what the model explains, as prices that change each period meet it.

    Counting so many units, what dispersion adds, and slow demand as far as it changes from one period to the next: an
    AR(1) of sd sigma has the variance sigma^2 (1 - phi) / (1 + phi) at the frequency of a price that goes up and down.

    Parameters
    ----------
    posterior : CategoryPosterior
    units : float array, shape (n,)
        Sold a period; NaN is given where that is not above 0.

    Returns
    -------
    float array, shape (n,)
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        var = np.where(units > 0, 1.0 / units, np.nan) + 1.0 / posterior.dispersion
    if len(posterior.slow_demand_sd):
        phi = posterior.slow_demand_persistence
        var = var + posterior.slow_demand_sd**2 * (1.0 - phi) / (1.0 + phi)
    return np.sqrt(var)


def bias_per_confounding(posterior: CategoryPosterior, n_periods: np.ndarray) -> tuple[np.ndarray, float]:
    """Give by how much a confounder of strength 1 would move the elasticities; shape (n,), and the category's.

    Least squares of sales on prices is off by f times the sd of sales over that of prices, both around what the model
    explains, with f = sqrt(R_y^2 R_x^2 / (1 - R_x^2)) of the shares that the confounder explains of what is left of
    sales and of prices (Cinelli and Hazlett 2020). The ratio of sds is the standard error times the square root of
    the number of observations. A product's posterior follows its own bias and the category's by how far it leans on
    either.

    Parameters
    ----------
    posterior : CategoryPosterior
    n_periods : float array, shape (n,)
        Periods of each product that count in the fit.

    Returns
    -------
    product : float array, shape (n,)
    category : float
        Of products whose own data say nothing, too; NaN where those of none do.
    """
    _, sd = own_data_estimates(posterior)
    known = np.isfinite(sd) & (n_periods > 0)
    if not known.any():
        return np.full(len(sd), np.nan), np.nan
    own = np.where(known, sd, 0.0) * np.sqrt(n_periods / posterior.serial_correlation_factor)
    leans = posterior.shrinkage()
    weight = np.where(known, 1.0 - leans, 0.0)  # as beta_c weighs them
    category = float(weight @ own / weight.sum())
    return np.where(known, (1.0 - leans) * own + leans * category, category), category


def robustness(q05: np.ndarray, q95: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Share of both sales and prices that a confounder has to explain to move the 90% interval to -1, or to 0.

    Of what the model leaves of them; to whichever of the two is nearer and outside the interval, 0 where neither is.
    It solves f(R^2, R^2) bias = gap (Cinelli and Hazlett 2020).

    Parameters
    ----------
    q05, q95, bias : float arrays, shape (n,)
        Ends of the intervals, and bias by a confounder of strength 1.
    """
    gaps = [np.maximum(np.maximum(q05 - end, end - q95), 0.0) for end in (-1.0, 0.0)]
    nearest = np.min([np.where(gap > 0, gap, np.inf) for gap in gaps], axis=0)
    f = np.where(np.isfinite(nearest), nearest, 0.0) / bias
    return 0.5 * (np.sqrt(f**4 + 4.0 * f**2) - f**2)
