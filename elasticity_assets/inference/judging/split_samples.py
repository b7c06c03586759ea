"""Split samples: whether elasticities of one part of the periods agree with those of the rest.

Held-out cells lie among the cells that they are predicted from, and cannot show what changes slowly. Two splits do:
blocks of 13 weeks in turns, where nothing should differ, and the first half against the second, where elasticities
that drift do. Both parts are fitted at the scales of the whole, and so lean on the same prior: their difference varies
less than two independent posteriors' would; its sd is taken from the model (`difference_sd`).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from elasticity_assets.inference.judging.limits import DRIFT_SDS
from elasticity_assets.inference.panel import Panel
from elasticity_assets.inference.posterior import CategoryPosterior

BLOCK_DAYS = 91
"""A block's length: 13 weeks."""
TOLERANCE = 0.05
"""Of the parts' fits, in posterior sds: differences are held against theirs."""
_NINETY = 1.6448536269514722  # normal quantile of 95%


@dataclass(frozen=True)
class SplitSamples:
    """Differences between elasticities from two parts of the periods.

    Attributes
    ----------
    category : str
    product : array of str, shape (n,)
    block_difference, block_sd : float arrays, shape (n,)
        Elasticity from the even blocks of 13 weeks less that from the odd ones, and the sd it should have.
    drift, drift_sd : float arrays, shape (n,)
        Elasticity from the second half less that from the first, and the sd it should have if nothing changed.
    category_drift, category_drift_sd : float
        The same of the category's elasticity.
    """

    category: str
    product: np.ndarray
    block_difference: np.ndarray
    block_sd: np.ndarray
    drift: np.ndarray
    drift_sd: np.ndarray
    category_drift: float
    category_drift_sd: float

    def agreement(self) -> float:
        """Share of products whose two elasticities from alternate blocks agree within 90% intervals."""
        return float(np.mean(np.abs(self.block_difference) <= _NINETY * self.block_sd))

    def drifting(self, sds: float = DRIFT_SDS) -> np.ndarray:
        """Which products' halves differ by more than so many sds (1% would by chance), bool, shape (n,)."""
        return np.abs(self.drift) > sds * self.drift_sd


def compare(panel: Panel, fit: Callable[[np.ndarray], CategoryPosterior]) -> SplitSamples:
    """Fit alternate blocks and halves, and compare.

    Parameters
    ----------
    panel : Panel
        Cells count by their weights, within their part.
    fit : callable
        Fits the panel under weights of its cells, shape (N, W), at the scales of the whole.
    """
    period = np.arange(panel.units.shape[1])

    def of_part(columns: np.ndarray) -> CategoryPosterior:
        return fit(np.where(columns, panel.weight, 0.0).astype(np.float32))

    odd_block = (period // block_periods(panel.period)) % 2 == 1
    even, odd = (of_part(part) for part in (~odd_block, odd_block))
    late = period >= (panel.n_periods + 1) // 2
    first, second = (of_part(part) for part in (~late, late))
    return SplitSamples(
        panel.category,
        even.product,
        even.weight @ even.product_mean - odd.weight @ odd.product_mean,
        difference_sd(even, odd),
        second.weight @ second.product_mean - first.weight @ first.product_mean,
        difference_sd(first, second),
        float(second.weight @ second.category_mean - first.weight @ first.category_mean),
        category_difference_sd(first, second),
    )


def block_periods(period: np.ndarray) -> int:
    """Periods to a block: 13 weeks, 3 months or 91 days.

    Parameters
    ----------
    period : array of datetime64[D], shape (T,)
    """
    if len(period) < 2:
        return 1
    days = float(np.median(np.diff(period).astype(np.float64)))
    return max(round(BLOCK_DAYS / days), 1)


def difference_sd(one: CategoryPosterior, other: CategoryPosterior) -> np.ndarray:
    """Sd of the difference of two posterior means from separate data under one prior, shape (n,).

    Given its category, a product's mean is (1 - k) c + k b with b its own data's estimate, V its variance and
    k = 1 - V/tau^2; b has variance V/k around beta_i. c, the category's own mean, is (1 - k_c) m0 + k_c b_c likewise.
    With beta_i ~ N(beta_c, tau^2), beta_c ~ N(m0, v0), g = Cov(beta_i, beta_c)/Var(beta_c), its variance is
    k V + k' V' + g^2 k_c V_c + g'^2 k_c' V_c' + (k - k')^2 tau^2 + (k + g k_c - k' - g' k_c')^2 v0. Where products have
    zones, tau^2 is with what these add.
    """
    parts = [_Pull.of(posterior) for posterior in (one, other)]
    tau_squared = 0.5 * (one.weight @ one.tau**2 + other.weight @ other.tau**2)
    tau_squared = tau_squared + 0.5 * (one.zones_prior_var + other.zones_prior_var)
    noise = parts[0].noise + parts[1].noise
    by_product = (parts[0].product - parts[1].product) ** 2 * tau_squared
    return np.sqrt(noise + by_product + (parts[0].category - parts[1].category) ** 2 * one.prior_var)


def category_difference_sd(one: CategoryPosterior, other: CategoryPosterior) -> float:
    """Sd of the difference of the category's own posterior means: k_c V_c + k_c' V_c' + (k_c - k_c')^2 v0."""
    (pull, noise), (other_pull, other_noise) = _category_pull(one), _category_pull(other)
    return float(np.sqrt(noise + other_noise + (pull - other_pull) ** 2 * one.prior_var))


@dataclass(frozen=True)
class _Pull:
    """How the products' posterior means follow their true elasticities, averaged over tau; shape (n,) each.

    `product`: the share of beta_i - beta_c that shows; `category`: of beta_c - m0; `noise`: variance by data's noise.
    """

    product: np.ndarray
    category: np.ndarray
    noise: np.ndarray

    @classmethod
    def of(cls, posterior: CategoryPosterior) -> "_Pull":
        gain, weight = posterior.product_gain, posterior.weight
        pull = posterior.own_share()
        conditional = (1.0 - pull) * posterior.own_prior_var()
        of_category = _pull_of_category(posterior)[:, None]
        noise = pull * conditional + gain**2 * of_category * posterior.category_var[:, None]
        return cls(weight @ pull, weight @ (pull + gain * of_category), weight @ noise)


def _pull_of_category(posterior: CategoryPosterior) -> np.ndarray:
    """k_c at each point of the grid, shape (G,)."""
    return np.clip(1.0 - posterior.category_var / posterior.prior_var, 0.0, 1.0)


def _category_pull(posterior: CategoryPosterior) -> tuple[float, float]:
    """k_c and k_c V_c, averaged over tau."""
    pull, weight = _pull_of_category(posterior), posterior.weight
    return float(weight @ pull), float(weight @ (pull * posterior.category_var))
