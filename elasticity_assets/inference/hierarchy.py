"""Pooling: categories fitted alone become one hierarchy, without looking at data again.

Each category was fitted under its own prior N(m0, v0) of beta_c. Dividing that prior out of the
posterior leaves a message, a Gaussian factor exp(-precision x^2 / 2 + shift x) at each point of the tau
grid. Messages, beta_g and tau_c then give every category the prior that the other categories imply
(its cavity), and the products follow through Cov(beta_i, beta_c). With Gaussian messages and tau_c
fixed this is exact; otherwise a category sees the others through messages matched in mean and variance.
Derivation: docs/model.md, "Pooling".
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import logsumexp

from elasticity_assets.inference.posterior import CategoryPosterior, Summary, summarize
from elasticity_assets.inference.priors import Fixed, Priors
from elasticity_assets.inference.zoned_posterior import ZonedPosterior

SPREAD_POINTS = 256
"""Points of the tau_c grid: 2.5% apart, narrower than its posterior up to a thousand categories."""


@dataclass(frozen=True)
class CategoryMessage:
    """What pooling needs of one category's fit: fields of `CategoryPosterior`.

    Attributes
    ----------
    category : str
    prior_mean, prior_var : float
        The prior N(m0, v0) it was fitted under.
    weight, category_mean, category_var : float arrays, shape (G,)
        Posterior of beta_c at each point of the tau grid.
    """

    category: str
    prior_mean: float
    prior_var: float
    weight: np.ndarray
    category_mean: np.ndarray
    category_var: np.ndarray

    def __post_init__(self) -> None:
        for name in ("weight", "category_mean", "category_var"):
            object.__setattr__(self, name, np.asarray(getattr(self, name), np.float64))


@dataclass(frozen=True)
class Hierarchy:
    """The pooled upper levels: the global elasticity and every category's.

    Attributes
    ----------
    category : array of str, shape (C,)
    weight, mean, var : float arrays, shape (C, G)
        Pooled posterior of each beta_c on its tau grid; unused points have weight 0.
    prior_mean, prior_var : float arrays, shape (C,)
        Moments of the prior that all other categories imply for this one.
    category_spread : float array, shape (J,)
        Grid over tau_c, the sd of categories' elasticities around the global one.
    global_weight, global_mean, global_var : float arrays, shape (J,)
        Posterior of beta_g at each point of that grid.
    """

    category: np.ndarray
    weight: np.ndarray
    mean: np.ndarray
    var: np.ndarray
    prior_mean: np.ndarray
    prior_var: np.ndarray
    category_spread: np.ndarray
    global_weight: np.ndarray
    global_mean: np.ndarray
    global_var: np.ndarray

    def global_summary(self) -> Summary:
        """Summary of beta_g; arrays of shape (1,)."""
        return summarize(self.global_weight, self.global_mean[:, None], self.global_var[:, None])


@dataclass(frozen=True)
class _Factor:
    """Gaussian factors exp(-precision x^2 / 2 + shift x) of any shape."""

    precision: np.ndarray
    shift: np.ndarray

    def log_evidence(self, mean: np.ndarray | float, var: np.ndarray | float) -> np.ndarray:
        """Log of the factor's integral under N(mean, var); no division by var or precision."""
        scaled = 1.0 + self.precision * var
        quadratic = self.shift**2 * var + 2.0 * self.shift * mean - self.precision * mean**2
        return 0.5 * (quadratic / scaled - np.log(scaled))

    def times(self, mean: np.ndarray | float, var: np.ndarray | float) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance of the normalised product with N(mean, var)."""
        scaled = 1.0 + self.precision * var
        return (self.shift * var + mean) / scaled, var / scaled


def message(posterior: CategoryPosterior) -> CategoryMessage:
    """Extract what pooling needs of one category's posterior."""
    return CategoryMessage(
        posterior.category,
        posterior.prior_mean,
        posterior.prior_var,
        posterior.weight,
        posterior.category_mean,
        posterior.category_var,
    )


def pool(messages: Sequence[CategoryMessage], priors: Priors) -> Hierarchy:
    """Join the categories' messages.

    Parameters
    ----------
    messages : sequence of CategoryMessage, at least one
    priors : Priors
        Of beta_g and tau_c.

    Raises
    ------
    ValueError
        If there are no messages, or a category occurs twice.
    """
    names = [m.category for m in messages]
    if not names:
        raise ValueError("no fitted category to pool; fit at least one")
    if len(set(names)) != len(names):
        raise ValueError("a category occurs twice among the fits to pool")
    spread, log_prior = _spread_grid(priors)
    whole = _moment_matched(messages)
    towards_global, log_scale = _towards_global(whole, spread)
    total = _Factor(towards_global.precision.sum(axis=0), towards_global.shift.sum(axis=0))
    weight, mean, var = _global_posterior(total, log_prior + log_scale.sum(axis=0), priors)

    points = max(len(m.weight) for m in messages)
    joined = np.zeros((3, len(names), points))
    joined[2] = 1.0
    cavity = np.zeros((2, len(names)))
    for c, own in enumerate(messages):
        others = _Factor(
            np.maximum(total.precision - towards_global.precision[c], 0.0),
            total.shift - towards_global.shift[c],
        )
        log_rest = log_prior + log_scale.sum(axis=0) - log_scale[c]
        u, global_mean, global_var = _global_posterior(others, log_rest, priors)
        prior_var = global_var + spread**2
        cavity[0, c] = u @ global_mean
        cavity[1, c] = u @ (prior_var + (global_mean - cavity[0, c]) ** 2)
        joined[:, c, : len(own.weight)] = _pool_one(own, u, global_mean, prior_var)
    return Hierarchy(
        np.array(names), joined[0], joined[1], joined[2], cavity[0], cavity[1], spread, weight, mean, var
    )


def pooled(posterior: CategoryPosterior, hierarchy: Hierarchy) -> CategoryPosterior:
    """Move one category's posterior, products included, to where the hierarchy puts it.

    At each point of the tau grid beta_c's moments are replaced by the pooled ones, and those of products and
    controls follow: mean += gain * change of mean, (co)variance += gain * gain * change of variance.

    Raises
    ------
    KeyError
        If the hierarchy does not hold this category.
    """
    (found,) = np.nonzero(hierarchy.category == posterior.category)
    if len(found) != 1:
        raise KeyError(f"category {posterior.category!r} is not in the hierarchy; pool again")
    c, points = found[0], len(posterior.weight)
    mean, var = hierarchy.mean[c, :points], hierarchy.var[c, :points]
    gain = np.asarray(posterior.product_gain, np.float64)
    control_gain = np.asarray(posterior.control_gain, np.float64)
    moved, widened = mean - posterior.category_mean, var - posterior.category_var
    return replace(
        posterior,
        prior_mean=float(hierarchy.prior_mean[c]),
        prior_var=float(hierarchy.prior_var[c]),
        weight=hierarchy.weight[c, :points],
        category_mean=mean,
        category_var=var,
        product_mean=posterior.product_mean + gain * moved[:, None],
        product_var=posterior.product_var + gain**2 * widened[:, None],
        control_mean=posterior.control_mean + control_gain * moved[:, None],
        control_cov=posterior.control_cov
        + control_gain[:, :, None] * control_gain[:, None, :] * widened[:, None, None],
        product_control_cov=posterior.product_control_cov
        + gain[:, :, None] * control_gain[:, None, :] * widened[:, None, None],
    )


def pooled_zones(posterior: ZonedPosterior, hierarchy: Hierarchy) -> ZonedPosterior:
    """Move one category's products, and its rows of products in zones, as `pooled` moves products.

    What zones add is no category's, and stays as it was fitted.

    Raises
    ------
    KeyError
        If the hierarchy does not hold this category.
    """
    products = pooled(posterior.products, hierarchy)
    gain = np.asarray(posterior.row_gain, np.float64)
    moved = products.category_mean - posterior.products.category_mean
    widened = products.category_var - posterior.products.category_var
    return replace(
        posterior,
        products=products,
        row_mean=posterior.row_mean + gain * moved[:, None],
        row_var=posterior.row_var + gain**2 * widened[:, None],
    )


def _spread_grid(priors: Priors) -> tuple[np.ndarray, np.ndarray]:
    """Grid over tau_c, shape (J,), and the log prior mass of its points."""
    prior = priors.category_spread
    if isinstance(prior, Fixed):
        return np.array([prior.value]), np.zeros(1)
    spread = prior.scale * np.geomspace(0.008, 4.5, SPREAD_POINTS)
    # Density in log tau_c, on equal steps: half-normal times tau_c.
    return spread, -0.5 * (spread / prior.scale) ** 2 + np.log(spread)


def _without_prior(mean: np.ndarray, var: np.ndarray, m0: float, v0: float) -> _Factor:
    """Divide N(m0, v0) out of N(mean, var); a fit that learned nothing gives a flat factor."""
    precision = 1.0 / var - 1.0 / v0
    learned = precision > 0
    return _Factor(np.where(learned, precision, 0.0), np.where(learned, mean / var - m0 / v0, 0.0))


def _moment_matched(messages: Sequence[CategoryMessage]) -> _Factor:
    """One factor a category, shape (C,), from the moments of its whole posterior."""
    factors = []
    for m in messages:
        mean = m.weight @ m.category_mean
        var = m.weight @ (m.category_var + (m.category_mean - mean) ** 2)
        factors.append(_without_prior(mean, var, m.prior_mean, m.prior_var))
    return _Factor(np.array([f.precision for f in factors]), np.array([f.shift for f in factors]))


def _towards_global(factor: _Factor, spread: np.ndarray) -> tuple[_Factor, np.ndarray]:
    """Integrate beta_c ~ N(beta_g, tau_c^2) out: factors in beta_g and their log scale, shape (C, J)."""
    precision, shift = factor.precision[:, None], factor.shift[:, None]
    scaled = 1.0 + precision * spread**2
    log_scale = 0.5 * (shift**2 * spread**2 / scaled - np.log(scaled))
    return _Factor(precision / scaled, shift / scaled), log_scale


def _global_posterior(
    factor: _Factor, log_weight: np.ndarray, priors: Priors
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights over the tau_c grid, and beta_g's mean and variance at each point; shape (J,)."""
    prior = priors.global_mean, priors.global_sd**2
    log_weight = log_weight + factor.log_evidence(*prior)
    mean, var = factor.times(*prior)
    return np.exp(log_weight - logsumexp(log_weight)), mean, var


def _pool_one(
    own: CategoryMessage, u: np.ndarray, prior_mean: np.ndarray, prior_var: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pooled weight, mean and variance of beta_c at each point of its tau grid, shape (G,)."""
    factor = _without_prior(own.category_mean, own.category_var, own.prior_mean, own.prior_var)
    alone = factor.log_evidence(own.prior_mean, own.prior_var)
    by_point = _Factor(factor.precision[:, None], factor.shift[:, None])
    with np.errstate(divide="ignore"):  # a weight of 0 stays 0
        log_weight = np.log(own.weight)[:, None] + np.log(u) - alone[:, None]
    log_weight = log_weight + by_point.log_evidence(prior_mean, prior_var)
    joint = np.exp(log_weight - logsumexp(log_weight))
    mean_kj, var_kj = by_point.times(prior_mean, prior_var)
    weight = joint.sum(axis=1)
    given = np.where(weight[:, None] > 0, joint / np.where(weight > 0, weight, 1.0)[:, None], u)
    mean = (given * mean_kj).sum(axis=1)
    var = (given * (var_kj + (mean_kj - mean[:, None]) ** 2)).sum(axis=1)
    return weight, mean, var
