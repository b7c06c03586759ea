"""Judging fits of products in zones: what they had not seen, and parts of the periods.

A product's periods are left out in all its zones at once: its zones' sales of the same week would predict each other.
"""

from elasticity_assets.inference.judging.heldout import (
    MOST,
    OPTIONS,
    SEED,
    Candidate,
    Effort,
    LeftOut,
    best_of,
    rivals_of,
    scored,
)
from elasticity_assets.inference.judging.scores import HeldOut
from elasticity_assets.inference.natural_gradient.zones.engine import Problem
from elasticity_assets.inference.options import Likelihood
from elasticity_assets.inference.priors import DEFAULT_ZONES, Priors, Zones
from elasticity_assets.inference.zoned_panel import ZonedPanel, some_products_and_zones
from elasticity_assets.inference.zoned_posterior import ZonedPosterior

MOST_ZONES = 8
"""Of those that a category is judged by: more say little more, as what a product's week has in common is left out."""


def evaluate(
    panel: ZonedPanel,
    priors: Priors,
    likelihood: Likelihood,
    posterior: ZonedPosterior | None = None,
    *,
    zones: Zones = DEFAULT_ZONES,
    rivals: bool = True,
    effort: Effort = MOST,
) -> HeldOut:
    """Predict every cell from those of other product-weeks, by the model and by its rivals.

    Rivals know nothing of zones: to them each row is a product.

    Parameters
    ----------
    panel : ZonedPanel
        Cells count in the fits by their weights; all are scored alike.
    priors : Priors
    likelihood : {'negative_binomial', 'poisson'}
    posterior : ZonedPosterior, optional
        Of the whole panel, to start from.
    zones : Zones
    rivals : bool
        Whether to judge the rivals as well.
    effort : Effort
        In a sample of zones, too.

    Returns
    -------
    HeldOut
        Cells of rows, under their products.
    """
    panel = some_products_and_zones(panel, effort.products(panel.rows.n_periods), MOST_ZONES, SEED)
    left_out = LeftOut.of(panel.rows, panel.product_of_row, effort.folds)
    models = [Candidate(lambda: Problem(panel, priors, zones, likelihood, OPTIONS.max_passes), posterior)]
    if rivals:
        models += rivals_of(panel.rows, priors, likelihood, None)
    return scored(panel.rows, panel.product, panel.product_of_row, left_out, models)


def choose_likelihood(
    panel: ZonedPanel, priors: Priors, candidates: tuple[Likelihood, ...], zones: Zones = DEFAULT_ZONES
) -> tuple[Likelihood, dict[Likelihood, float]]:
    """Choose the likelihood that predicts held-out cells best; returns as of `heldout.choose_likelihood`."""
    return best_of(candidates, lambda name: evaluate(panel, priors, name, zones=zones, rivals=False))
