"""Held-out evaluation: how well the model predicts cells it has not seen, beside simple rivals on the same cells.

Every observed cell is left out once, in random folds of blocks of a product's neighbouring periods, which would
otherwise predict each other, and the last periods once more, as a forecast. All fits are
the natural-gradient engine's at the mode of tau, whatever engine found the posterior: they judge the model.

Without a fold, a fit is all but that of all cells: a few passes from there unlearn the fold, scales and dispersions
included. Their number is fixed, so that what they leave undone is alike in the model and its rivals.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from elasticity_assets.inference.experiments import without_experiments
from elasticity_assets.inference.judging.prediction import Predictive, of_cells, together
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
SEED = 0
OPTIONS = NaturalGradientOptions(tolerance=0.01, grid_points=1)
_PASSES, _FORECAST_PASSES = 3, 4
"""Without a fold, and without the last periods, of which no neighbours are left either."""
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
        return some_products(panel, self.products(panel.n_periods), SEED)


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
    left_out = LeftOut.of(panel, np.arange(panel.n_products), effort.folds)
    models = [Candidate(lambda: Problem(panel, priors, likelihood, OPTIONS.max_passes), posterior)]
    if rivals:
        models += rivals_of(panel, priors, likelihood, posterior)
    return scored(panel, panel.product, np.arange(panel.n_products), left_out, models)


class LeftOut(NamedTuple):
    """Which cells are left out together; shape (m,) each.

    Attributes
    ----------
    fold : int array
        From 0 on, or FORECAST of the last periods.
    row, column : int arrays
    """

    fold: np.ndarray
    row: np.ndarray
    column: np.ndarray

    @classmethod
    def of(cls, panel: Panel, product_of_row: np.ndarray, folds: int) -> "LeftOut":
        """Leave out all cells once, and the last periods' again where there are enough.

        Parameters
        ----------
        panel : Panel
        product_of_row : int array, shape (n,)
            Rows of the same product are left out together.
        folds : int
        """
        row, column = np.nonzero(panel.observed)
        blocks, block = np.unique(
            product_of_row[row] * panel.n_periods + column // BLOCK_PERIODS, return_inverse=True
        )
        fold = (np.random.default_rng(SEED).permutation(len(blocks)) % folds)[block]
        last = np.flatnonzero(column >= panel.n_periods - FORECAST_PERIODS)
        if panel.n_periods < 2 * FORECAST_PERIODS:
            last = last[:0]
        return cls(
            np.concatenate([fold, np.full(len(last), FORECAST)]),
            np.concatenate([row, row[last]]),
            np.concatenate([column, column[last]]),
        )


class Candidate(NamedTuple):
    """A model to judge.

    Attributes
    ----------
    problem : callable
        Makes its problem, a `Problem` with zones or without.
    start : posterior or None
    """

    problem: Callable[[], Any]
    start: Any


def rivals_of(
    panel: Panel, priors: Priors, likelihood: Likelihood, start: CategoryPosterior | None
) -> list[Candidate]:
    """Give the rivals of a model with these priors."""
    # Results from elsewhere are the model's: to a rival's slopes they mean nothing.
    known = without_experiments(panel)

    def rival(own: Priors) -> Candidate:
        return Candidate(lambda: Problem(known, own, likelihood, OPTIONS.max_passes), start)

    return [rival(own) for own in rival_priors(priors)]


def scored(
    panel: Panel,
    product: np.ndarray,
    product_of_row: np.ndarray,
    left_out: LeftOut,
    models: Sequence[Candidate],
) -> HeldOut:
    """Predict what is left out by each model, the one to judge first.

    Parameters
    ----------
    panel : Panel
    product : array of str
    product_of_row : int array, shape (n,)
        Which of them each row of the panel is of.
    left_out : LeftOut
    models : sequence of Candidate
    """
    by_fold = np.argsort(left_out.fold, kind="stable")
    units = panel.units[left_out.row, left_out.column].astype(np.float64)
    whole, sold = _mostly_whole(units), units[by_fold]
    log_probability, median = np.zeros((2, len(models), len(units)))
    pit = np.zeros(len(units))
    for m, model in enumerate(models):
        predictive = _predictions(panel, model, left_out)
        log_probability[m, by_fold] = predictive.log_probability(sold)
        median[m, by_fold] = predictive.median(whole=whole)
        if m == 0:
            rng = np.random.default_rng(SEED)
            pit[by_fold] = predictive.pit(sold, log_probability[m, by_fold], rng)
    return HeldOut(
        panel.category,
        product,
        (MODEL, *RIVALS)[: len(models)],
        left_out.fold,
        product_of_row[left_out.row],
        left_out.column,
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
    return best_of(candidates, lambda name: evaluate(panel, priors, name, rivals=False))


def best_of(
    candidates: tuple[Likelihood, ...], judged: Callable[[Likelihood], HeldOut]
) -> tuple[Likelihood, dict[Likelihood, float]]:
    """Choose the likelihood whose held-out evaluation is best; returns as of `choose_likelihood`."""
    scores = {name: judged(name).folds().log_score() for name in candidates}
    return max(scores, key=lambda name: scores[name]), scores


def _predictions(panel: Panel, model: Candidate, left_out: LeftOut) -> Predictive:
    """Predict each cell by a fit without its fold; one fold after the other."""
    problem = model.problem()
    whole = problem.run(problem.start(model.start), 1.0, OPTIONS.tolerance).state
    parts = []
    for number in np.unique(left_out.fold):
        of_fold = left_out.fold == number
        row, column = left_out.row[of_fold], left_out.column[of_fold]
        weight = panel.weight.copy()
        weight[row, column] = 0.0
        without = problem.under(weight)
        state = without.passes(whole, _FORECAST_PASSES if number == FORECAST else _PASSES)
        parts.append(of_cells(without.cells(state), row, column, zero_truncated=panel.zero_truncated))
    return together(parts)


def _mostly_whole(units: np.ndarray) -> bool:
    return bool(np.mean(units == np.round(units)) > 0.5)
