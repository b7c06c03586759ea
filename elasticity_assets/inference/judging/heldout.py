"""Held-out evaluation: how well the model predicts cells it has not seen, beside simple rivals on the same cells.

Every observed cell is left out once, in random folds of blocks of a product's neighbouring periods, which would
otherwise predict each other, and the last periods once more, as a forecast. All fits are
the natural-gradient engine's at the mode of tau, whatever engine found the posterior: they judge the model.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from elasticity_assets.inference.experiments import without_experiments
from elasticity_assets.inference.judging.prediction import Predictive, of_cells
from elasticity_assets.inference.judging.scores import FORECAST, MODEL, RIVALS, HeldOut
from elasticity_assets.inference.natural_gradient.engine import Problem
from elasticity_assets.inference.options import Likelihood, NaturalGradientOptions
from elasticity_assets.inference.panel import Panel, padded_products, some_products
from elasticity_assets.inference.posterior import CategoryPosterior
from elasticity_assets.inference.priors import Fixed, Priors

FORECAST_PERIODS = 8
BLOCK_PERIODS = 4
_FEW_CATEGORIES = 100
_FEWEST_PRODUCTS = 32
_SEED = 0
_OPTIONS = NaturalGradientOptions(grid_points=1)
_SAME, _APART = Fixed(0.01), Fixed(5.0)  # spreads of elasticities: none to speak of, and any


class Effort(NamedTuple):
    """How closely a category is judged.

    Attributes
    ----------
    cells : int
        Larger categories are judged by a random sample of products with about so many cells: a coverage of 90% of 3,000
        is known to 0.5%, that of a third of the products to 1%.
    folds : int
        In how many parts the cells are left out.
    """

    cells: int = 3_000
    folds: int = 10

    @classmethod
    def for_each_of(cls, categories: int) -> "Effort":
        """Choose for so many categories at once: with more than a hundred, each adds little to what all of them say."""
        most = cls()
        return most if categories <= _FEW_CATEGORIES else cls(most.cells // 2, most.folds // 2)

    def products(self, periods: int) -> int:
        """Give how many products of so many periods are enough; as many as a padded panel has room for."""
        return padded_products(max(_FEWEST_PRODUCTS, -(-self.cells // max(periods, 1))))

    def judged(self, panel: Panel) -> Panel:
        """Take the products that the category is judged by: a random sample, or all."""
        return some_products(panel, self.products(panel.n_periods), _SEED)


MOST = Effort()


def evaluate(
    panel: Panel,
    priors: Priors,
    likelihood: Likelihood,
    posterior: CategoryPosterior | None = None,
    *,
    rivals: bool = True,
    effort: Effort = MOST,
) -> HeldOut:
    """Predict every cell from the others, by the model and by its rivals.

    Parameters
    ----------
    panel : Panel
        Cells count in the fits by their weights; all are scored alike.
    priors : Priors
    likelihood : {'negative_binomial', 'poisson'}
    posterior : CategoryPosterior, optional
        Of the whole panel, to start from.
    rivals : bool
        Whether to judge the rivals as well.
    effort : Effort
    """
    panel = effort.judged(panel)
    fold, row, column = _folds(panel, effort.folds)
    judged = [priors, *(rival_priors(priors) if rivals else ())]
    units = panel.units[row, column].astype(np.float64)
    log_probability, median = np.zeros((2, len(judged), len(row)))
    pit = np.zeros(len(row))
    rng = np.random.default_rng(_SEED)
    for m, own in enumerate(judged):
        # Results from elsewhere are the model's: to a rival's slopes they mean nothing.
        known = panel if own is priors else without_experiments(panel)
        for cells, predictive in _predictions(known, own, likelihood, posterior, fold, row, column):
            log_probability[m, cells] = predictive.log_probability(units[cells])
            median[m, cells] = predictive.median(whole=_mostly_whole(units))
            if own is priors:
                pit[cells] = predictive.pit(units[cells], log_probability[m, cells], rng)
    return HeldOut(
        panel.category,
        panel.product,
        (MODEL, *RIVALS)[: len(judged)],
        fold,
        row,
        column,
        units,
        pit,
        log_probability,
        median,
    )


def rival_priors(priors: Priors) -> tuple[Priors, ...]:
    """Priors that turn the model into each of RIVALS: other elasticities, and neither slow demand nor season."""
    priors = replace(priors, slow_demand=None, season=None)
    return (
        replace(priors, product_spread=_SAME),
        replace(priors, product_spread=_APART),
        replace(priors, global_mean=0.0, global_sd=0.01, category_spread=_SAME, product_spread=_SAME),
    )


def choose_likelihood(
    panel: Panel, priors: Priors, candidates: tuple[Likelihood, ...]
) -> tuple[Likelihood, dict[Likelihood, float]]:
    """Choose the likelihood that predicts held-out cells best.

    Returns
    -------
    best : likelihood
    log_score : dict of likelihood to float
        Nats a cell.
    """
    scores = {name: evaluate(panel, priors, name, rivals=False).folds().log_score() for name in candidates}
    return max(scores, key=lambda name: scores[name]), scores


def _predictions(
    panel: Panel,
    priors: Priors,
    likelihood: Likelihood,
    posterior: CategoryPosterior | None,
    fold: np.ndarray,
    row: np.ndarray,
    column: np.ndarray,
) -> Iterator[tuple[np.ndarray, Predictive]]:
    """Fit without each fold and predict it: which cells, and their predictive distributions."""
    problem = Problem(panel, priors, likelihood, _OPTIONS.max_passes)
    whole = problem.mode(_OPTIONS, posterior)
    for left_out in np.unique(fold):
        cells = np.flatnonzero(fold == left_out)
        weight = panel.weight.copy()
        weight[row[cells], column[cells]] = 0.0
        fitted = problem.under(weight).mode(_OPTIONS, whole.state)
        yield cells, of_cells(fitted.cells, row[cells], column[cells], zero_truncated=panel.zero_truncated)


def _folds(panel: Panel, folds: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fold, row and column of every cell to predict: all once, and the last periods' again where there are enough."""
    row, column = np.nonzero(panel.observed)
    blocks, block = np.unique(row * panel.n_periods + column // BLOCK_PERIODS, return_inverse=True)
    fold = (np.random.default_rng(_SEED).permutation(len(blocks)) % folds)[block]
    last = np.flatnonzero(column >= panel.n_periods - FORECAST_PERIODS)
    if panel.n_periods < 2 * FORECAST_PERIODS:
        last = last[:0]
    return (
        np.concatenate([fold, np.full(len(last), FORECAST)]),
        np.concatenate([row, row[last]]),
        np.concatenate([column, column[last]]),
    )


def _mostly_whole(units: np.ndarray) -> bool:
    return bool(np.mean(units == np.round(units)) > 0.5)
