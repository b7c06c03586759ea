"""A posterior held against NUTS: the same density, sampled."""

from dataclasses import dataclass

import numpy as np

from elasticity_assets.inference.nuts import Draws
from elasticity_assets.inference.posterior import CategoryPosterior
from elasticity_assets.inference.summaries import product_summary


@dataclass(frozen=True)
class CrossCheck:
    """How far a category's posterior lies from NUTS's, over its products' elasticities.

    Attributes
    ----------
    category : str
    n_products : int
        Products compared.
    mean_difference_rms, mean_difference_max : float
        Of the posterior means, in NUTS's posterior sds: root mean square, and the largest.
    sd_ratio_median, sd_ratio_min, sd_ratio_max : float
        Posterior sd over NUTS's.
    r_hat, effective_sample_size : float
        The worst of NUTS's chains' own: R-hat is 1 where chains agree.
    divergences : int
        Transitions that NUTS could not follow.
    """

    category: str
    n_products: int
    mean_difference_rms: float
    mean_difference_max: float
    sd_ratio_median: float
    sd_ratio_min: float
    sd_ratio_max: float
    r_hat: float
    effective_sample_size: float
    divergences: int


def compare(posterior: CategoryPosterior, draws: Draws) -> CrossCheck:
    """Compare a posterior with draws from the same category's, product by product."""
    summary = product_summary(posterior)
    drawn = np.concatenate(draws.elasticity).astype(np.float64)
    sd = drawn.std(axis=0)
    difference = np.abs(summary.mean - drawn.mean(axis=0)) / sd
    ratio = summary.sd / sd
    return CrossCheck(
        posterior.category,
        len(posterior.product),
        float(np.sqrt(np.mean(difference**2))),
        float(difference.max()),
        float(np.median(ratio)),
        float(ratio.min()),
        float(ratio.max()),
        float(draws.r_hat().max()),
        float(draws.effective_sample_size().min()),
        draws.divergences,
    )
