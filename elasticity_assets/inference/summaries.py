"""What a posterior says of its elasticities: the category's, the products', and what their own data alone say."""

import numpy as np

from elasticity_assets.inference.category_price_index import CATEGORY_PRICE_INDEX
from elasticity_assets.inference.posterior import CategoryPosterior, Summary, summarize
from elasticity_assets.inference.price_lags import is_lag

_LEAST_OWN_PRECISION = 0.05
"""Share of a product's posterior precision that has to be its own data's for these to have an estimate."""


def category_summary(posterior: CategoryPosterior) -> Summary:
    """Summary of the category's elasticity, shape (1,)."""
    return summarize(posterior.weight, posterior.category_mean[:, None], posterior.category_var[:, None])


def product_summary(posterior: CategoryPosterior) -> Summary:
    """Summary of the products' elasticities, shape (n,)."""
    return summarize(posterior.weight, posterior.product_mean, posterior.product_var)


def category_move_summary(posterior: CategoryPosterior) -> Summary:
    """Summary of the products' elasticities to the prices of their whole category, shape (n,).

    Those to their own prices where the category's price index is not among the controls: of a product alone, and in
    the article's model, they are the same.
    """
    if CATEGORY_PRICE_INDEX not in posterior.control:
        return product_summary(posterior)
    k = posterior.control.index(CATEGORY_PRICE_INDEX)
    mean = posterior.product_mean + posterior.control_mean[:, [k]]
    var = posterior.product_var + posterior.control_var[:, [k]] + 2.0 * posterior.product_control_cov[..., k]
    return summarize(posterior.weight, mean, var)


def long_run_summary(posterior: CategoryPosterior) -> Summary:
    """Summary of the products' elasticities to a price change that lasts, once all lags see it, shape (n,)."""
    lags = _lags(posterior)
    effect, effect_var = _sum_of_effects(posterior, lags)
    mean = posterior.product_mean + effect
    var = posterior.product_var + effect_var + 2.0 * posterior.product_control_cov[..., lags].sum(axis=-1)
    return summarize(posterior.weight, mean, var)


def category_long_run_summary(posterior: CategoryPosterior) -> Summary:
    """Summary of the category's elasticity to price changes that last, shape (1,)."""
    lags = _lags(posterior)
    effect, effect_var = _sum_of_effects(posterior, lags)
    shared = posterior.control_gain[:, lags].sum(axis=1, keepdims=True) * posterior.category_var[:, None]
    mean = posterior.category_mean[:, None] + effect
    return summarize(posterior.weight, mean, posterior.category_var[:, None] + effect_var + 2.0 * shared)


def later_summary(posterior: CategoryPosterior) -> Summary | None:
    """Summary of what a period's price does in the periods after it, added up over them, shape (1,).

    The same for all products: the sum of the lags' effects. None where they are not among the controls.
    """
    lags = _lags(posterior)
    return summarize(posterior.weight, *_sum_of_effects(posterior, lags)) if len(lags) else None


def _lags(posterior: CategoryPosterior) -> np.ndarray:
    return np.flatnonzero([is_lag(name) for name in posterior.control])


def _sum_of_effects(posterior: CategoryPosterior, controls: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of the sum of some controls' effects at each point, shape (G, 1)."""
    cov = posterior.control_cov[:, controls][:, :, controls]
    return posterior.control_mean[:, controls].sum(axis=1, keepdims=True), cov.sum(axis=(1, 2))[:, None]


def own_data_estimates(posterior: CategoryPosterior) -> tuple[np.ndarray, np.ndarray]:
    """Estimate each product's elasticity from its own data alone, at the mode of tau.

    Given its category, a product's posterior N(m, V) is its prior N(beta_c, tau^2) times what its data say. Dividing
    the prior out leaves precision 1/V - 1/tau^2 and mean (m/V - beta_c/tau^2) over it, whatever beta_c is.

    Parameters
    ----------
    posterior : CategoryPosterior

    Returns
    -------
    mean, sd : float arrays, shape (n,)
        NaN where a product's own data say next to nothing.
    """
    mode = int(np.argmax(posterior.weight))
    prior_var, centre = float(posterior.tau[mode]) ** 2, float(posterior.category_mean[mode])
    gain = np.asarray(posterior.product_gain[mode], np.float64)
    var = posterior.product_var[mode] - gain**2 * float(posterior.category_var[mode])
    with np.errstate(divide="ignore", invalid="ignore"):
        precision = 1.0 / var - 1.0 / prior_var
        known = (var > 0.0) & (precision * var >= _LEAST_OWN_PRECISION)
        mean = (posterior.product_mean[mode] / var - centre / prior_var) / precision
        sd = 1.0 / np.sqrt(precision)
    return np.where(known, mean, np.nan), np.where(known, sd, np.nan)
