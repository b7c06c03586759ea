"""Finding how much each cell's likelihood counts: less where it is outlying, or repeats its neighbours.

A cell far out in the tail of its own prediction (a stock-out, a mistyped number) says nothing of prices and can
move an elasticity by several sds: such cells count less, the most outlying not at all, as in Tukey's redescending
weights (Huber and Ronchetti 2009, "Robust statistics", 4.8), found by refitting. In zones, a product's week is scored
as well: what is absurd in all zones at once would hide in the week's shock.

Where the likelihood counts neighbours' repetition, all weights of the category are divided by a factor
(`serial_correlation`), which widens every interval and the shrinkage with it; in zones little, where it is shocks
common to them that leave a product unknown. Derivation and what was tried: docs/model.md.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol, TypeVar

import numpy as np
from scipy.special import ndtri_exp

from elasticity_assets.inference.cell_weights import CellWeights, weighed
from elasticity_assets.inference.judging.prediction import of_cells
from elasticity_assets.inference.natural_gradient.engine import Mode, Problem
from elasticity_assets.inference.natural_gradient.result import FittedCells
from elasticity_assets.inference.natural_gradient.zones.engine import Mode as ZonedMode
from elasticity_assets.inference.natural_gradient.zones.engine import Problem as ZonedProblem
from elasticity_assets.inference.natural_gradient.zones.result import over_all_zones
from elasticity_assets.inference.options import Likelihood, NaturalGradientOptions
from elasticity_assets.inference.panel import Panel
from elasticity_assets.inference.posterior import CategoryPosterior
from elasticity_assets.inference.priors import Priors, Zones
from elasticity_assets.inference.serial_correlation import (
    serial_correlation_factor,
    zoned_serial_correlation_factor,
)
from elasticity_assets.inference.zoned_panel import ZonedPanel
from elasticity_assets.inference.zoned_posterior import ZonedPosterior

_FIRST_THRESHOLDS, _THRESHOLDS = (2.5, 3.5), (3.5, 5.0)
"""Tail scores from which a cell counts less, and from which not at all. The first round is stricter, since an outlying
cell hides behind the dispersion that it brought about."""
_ROUNDS = _FIRST_THRESHOLDS, *[_THRESHOLDS] * 5
_OPTIONS = NaturalGradientOptions(grid_points=1, tolerance=0.3)
"""Of a round's fit: a cell's own sd is many times its mean's, so that tail scores are known to a tenth."""
_SAME = 0.05  # shares
_ANOTHER = 0.2
"""By how much an old cell's share moves where sales are no longer what the earlier fit saw."""
_LEAST_VARIANCE = 1e-8
_SCREENED_FROM = (
    0.8  # of the first threshold: only cells whose deviance residual lies beyond get a tail score
)


@dataclass(frozen=True)
class Weighing:
    """What weighing found.

    Attributes
    ----------
    cell_weights : CellWeights
    mode : Mode
        The last fit: near the one under these weights.
    passes : int
        Over the data, of all fits.
    """

    cell_weights: CellWeights
    mode: Mode
    passes: int


@dataclass(frozen=True)
class ZonedWeighing:
    """What weighing found of products in zones; as of `Weighing`, the cells being those of rows."""

    cell_weights: CellWeights
    mode: ZonedMode
    passes: int


def weigh(
    panel: Panel,
    priors: Priors,
    likelihood: Likelihood,
    *,
    robust: bool = True,
    serial_correlation: bool = True,
    start: CategoryPosterior | None = None,
    max_passes: int = _OPTIONS.max_passes,
) -> Weighing:
    """Find the cells' weights, by fits of the natural-gradient engine at the mode of tau.

    Parameters
    ----------
    panel : Panel
    priors : Priors
    likelihood : {'negative_binomial', 'poisson'}
    robust : bool
        Whether outlying cells count less. They are always found under the negative binomial: to Poisson all sales
        that vary more than it allows are outlying.
    serial_correlation : bool
        Whether neighbouring periods' correlation counts.
    start : CategoryPosterior, optional
        An earlier posterior to start from: where one round confirms its cells' shares, they hold, and where that finds
        new cells outlying, or old shares somewhat off, the search goes on from there.
    max_passes : int
        Of each fit; what has not converged by then is scored as it is.

    Returns
    -------
    Weighing
    """
    carried = None
    if start is not None:
        carried = _Carried.to(panel, start.product, start.period, start.dispersion, CellWeights.of(start))

    def problem(family: Likelihood) -> Problem:
        return Problem(panel, priors, family, max_passes)

    def shares(_: Mode, cells: FittedCells, thresholds: np.ndarray) -> np.ndarray:
        return _shares(cells, panel.units, panel.weight > 0, thresholds, zero_truncated=panel.zero_truncated)

    share, mode, passes = _shares_of(panel, problem, shares, likelihood, start, carried, robust=robust)
    factor = 1.0
    if serial_correlation:
        panel = weighed(panel, CellWeights.of_shares(1.0, share))
        factor = serial_correlation_factor(mode, panel, likelihood)
    return Weighing(CellWeights.of_shares(factor, share), mode, passes)


def weigh_zones(
    panel: ZonedPanel,
    priors: Priors,
    zones: Zones,
    likelihood: Likelihood,
    *,
    robust: bool = True,
    serial_correlation: bool = True,
    start: ZonedPosterior | None = None,
    max_passes: int = _OPTIONS.max_passes,
) -> ZonedWeighing:
    """Find the weights of the cells of products in zones; parameters as of `weigh`."""
    carried, rows = None, panel.rows
    if start is not None:
        carried = _Carried.to(
            rows, start.row, start.products.period, start.row_dispersion, start.cell_weights()
        )

    def problem(family: Likelihood) -> ZonedProblem:
        return ZonedProblem(panel, priors, zones, family, max_passes)

    def shares(mode: ZonedMode, cells: FittedCells, thresholds: np.ndarray) -> np.ndarray:
        return _zoned_shares(mode.posterior, cells, panel, thresholds)

    share, mode, passes = _shares_of(rows, problem, shares, likelihood, start, carried, robust=robust)
    factor = 1.0
    if serial_correlation:
        counted = replace(panel, rows=weighed(rows, CellWeights.of_shares(1.0, share)))
        factor = zoned_serial_correlation_factor(mode, counted, likelihood)
    return ZonedWeighing(CellWeights.of_shares(factor, share), mode, passes)


class _AnyMode(Protocol):
    """A fit at the mode of all scales."""

    @property
    def cells(self) -> FittedCells:
        """What it says of cells."""

    @property
    def state(self) -> Any:
        """Where others may start."""

    @property
    def passes(self) -> int:
        """Over the data."""


Mode_co = TypeVar("Mode_co", bound=_AnyMode, covariant=True)


class _AnyProblem(Protocol[Mode_co]):
    """A category's data and priors, with or without zones."""

    def under(self, weight: np.ndarray) -> "_AnyProblem[Mode_co]":
        """Under other weights of the same cells."""

    def mode(self, options: NaturalGradientOptions, start: Any) -> Mode_co:
        """Fit at the mode of all scales."""


def _shares_of(
    panel: Panel,
    problem_of: Callable[[Likelihood], _AnyProblem[Mode_co]],
    shares: Callable[[Mode_co, FittedCells, np.ndarray], np.ndarray],
    likelihood: Likelihood,
    start: CategoryPosterior | ZonedPosterior | None,
    carried: "_Carried | None",
    *,
    robust: bool,
) -> tuple[np.ndarray, Mode_co, int]:
    """Give the cells' shares, (n, T), all 1 unless `robust`, a fit near the one under them, and all fits' passes."""
    passes = 0
    family: Likelihood = "negative_binomial" if robust else likelihood
    problem = problem_of(family)

    def fit(share: np.ndarray, start: Any) -> Mode_co:
        nonlocal passes
        weight = weighed(panel, CellWeights.of_shares(1.0, share)).weight
        mode = problem.under(weight).mode(_OPTIONS, start)
        passes += mode.passes
        return mode

    share = np.ones((panel.n_products, panel.n_periods))
    rounds = _ROUNDS if robust else ()
    if robust and carried is not None:
        mode = fit(carried.share, start)
        share = carried.scored_again(mode.cells, partial(shares, mode))
        if _alike(carried.share, share):
            rounds = ()
        elif carried.largest_change(share) <= _ANOTHER:
            mode, rounds = fit(share, mode.state), rounds[1:]
        else:  # of sales that were corrected nothing must depend on what was there before
            share = np.ones(share.shape)
            mode = fit(share, mode.state)
    else:
        mode = fit(share, start)
    for thresholds in rounds:
        last, share = share, shares(mode, mode.cells, np.array(thresholds))
        if _alike(last, share):
            break
        mode = fit(share, mode.state)
    if family != likelihood:
        problem = problem_of(likelihood)
        mode = fit(share, mode.state)
    return share, mode, passes


@dataclass(frozen=True)
class _Carried:
    """What an earlier fit says of a panel's cells.

    Attributes
    ----------
    share : array, shape (n, T)
        That it gave the cells; 1 of those that it has not seen.
    seen : bool array, shape (n, T)
    dispersion : array, shape (n,)
        Of its products; NaN of others.
    """

    share: np.ndarray
    seen: np.ndarray
    dispersion: np.ndarray

    @classmethod
    def to(
        cls,
        panel: Panel,
        product: np.ndarray,
        period: np.ndarray,
        dispersion: np.ndarray,
        weights: CellWeights,
    ) -> "_Carried":
        """Match products, or rows, and periods by name."""
        row, column = _places(product, panel.product), _places(period, panel.period)
        share = np.ones((panel.n_products, panel.n_periods))
        seen = np.zeros(share.shape, bool)
        seen[np.ix_(row[row >= 0], column[column >= 0])] = True
        known = np.full(panel.n_products, np.nan)
        known[row[row >= 0]] = dispersion[row >= 0]
        row, column = row[weights.discounted[:, 0]], column[weights.discounted[:, 1]]
        here = (row >= 0) & (column >= 0)
        share[row[here], column[here]] = weights.discounted_share[here]
        return cls(share, seen, known)

    def scored_again(
        self, cells: FittedCells, shares: Callable[[FittedCells, np.ndarray], np.ndarray]
    ) -> np.ndarray:
        """Give all cells shares, (n, T); new ones under the dispersion from before them, behind which none hides."""
        new = np.isnan(self.dispersion)
        before = replace(cells, dispersion=np.where(new, cells.dispersion, self.dispersion))
        thresholds = np.where(new[:, None, None], _FIRST_THRESHOLDS, _THRESHOLDS)
        return np.where(self.seen, shares(cells, np.array(_THRESHOLDS)), shares(before, thresholds))

    def largest_change(self, share: np.ndarray) -> float:
        """By how much the share of a cell that the earlier fit saw has changed at most."""
        return float(np.abs(share - self.share)[self.seen].max(initial=0.0))


def _places(then: np.ndarray, now: np.ndarray) -> np.ndarray:
    """Where each name is now, or -1."""
    place = np.full(len(then), -1)
    _, before, after = np.intersect1d(then, now, return_indices=True)
    place[before] = after
    return place


def _alike(some: np.ndarray, other: np.ndarray) -> bool:
    return bool(np.abs(some - other).max() <= _SAME)


def _shares(
    fitted: FittedCells,
    units: np.ndarray,
    known: np.ndarray,
    thresholds: np.ndarray,
    *,
    zero_truncated: bool,
) -> np.ndarray:
    """Give cells shares by their tail scores, (n, T): 1 up to the first threshold, falling to 0 at the second.

    Periods without a sale are taken together where they follow each other: a stock-out lasts.

    Parameters
    ----------
    fitted : FittedCells
    units, known : arrays, shape (N, W)
        Padded or not; which cells count at all.
    thresholds : array, shape (2,) or (n, 1, 2)
    zero_truncated : bool
    """
    n, T = fitted.log_mean.shape
    units, known = units[:n, :T].astype(np.float64), known[:n, :T]
    residual = _deviance_residual(units, fitted.log_mean, fitted.dispersion[:, None])
    unsold = known & (units == 0) & (not zero_truncated)
    discounted_from, nothing_from = np.moveaxis(np.broadcast_to(thresholds, (n, T, 2)), -1, 0)
    score, log_probability = np.zeros((2, n, T))
    row, column = np.nonzero(known & (np.abs(residual) > _SCREENED_FROM * discounted_from) & ~unsold)
    cells = of_cells(fitted, row, column, zero_truncated=zero_truncated)
    score[row, column] = cells.tail_score(units[row, column])
    row, column = np.nonzero(unsold)
    cells = of_cells(fitted, row, column, zero_truncated=zero_truncated)
    log_probability[row, column] = cells.log_unsold()
    alone = -ndtri_exp(np.minimum(log_probability, np.log(0.5)))
    score = np.where(unsold, np.maximum(alone, _run_score(log_probability, unsold)), score)
    return np.clip((nothing_from - score) / (nothing_from - discounted_from), 0.0, 1.0) ** 2


def _zoned_shares(
    fit: ZonedPosterior, cells: FittedCells, panel: ZonedPanel, thresholds: np.ndarray
) -> np.ndarray:
    """Give rows' cells shares, (R, T): by their own scores, and by that of the product's week in all its zones.

    Cells are scored given the week's shock, which has taken in what is absurd in all of them. The week's units in all
    zones, of cells by their own shares, are therefore scored by what the product's other weeks say of its shock.
    """
    R, T = cells.log_mean.shape
    of_row, truncated = panel.product_of_row, panel.rows.zero_truncated
    units, known = panel.rows.units[:R, :T].astype(np.float64), panel.rows.weight[:R, :T] > 0
    share = _shares(cells, units, known, thresholds, zero_truncated=truncated)

    def by_product(of_cells: np.ndarray) -> np.ndarray:
        total = np.zeros((panel.n_products, T))
        np.add.at(total, of_row, np.where(known, share, 0.0) * of_cells)
        return total

    surprise, var = _shocks_from_other_weeks(fit)
    expected = np.exp(np.minimum(cells.log_mean - surprise[of_row], 40.0))
    weight = by_product(expected)
    safe = np.where(weight > 0, weight, 1.0)
    # A week that does not count is known no better than its cells.
    var = np.maximum(var, by_product(expected * cells.log_mean_var) / safe)
    if truncated:
        size = cells.dispersion[:, None]
        expected = expected / -np.expm1(-size * np.log1p(expected / size))
    _, dispersion = over_all_zones(fit.row_level, cells.dispersion, np.zeros(panel.n_products), of_row)
    week = FittedCells(
        np.log(np.where(weight > 0, by_product(expected), 1.0)),
        var,
        dispersion,
        fit.products.log_dispersion_sd,
    )
    if thresholds.ndim > 1:  # as of the product's first row
        thresholds = thresholds[np.unique(of_row, return_index=True)[1]]
    of_week = _shares(week, by_product(units), weight > 0, thresholds, zero_truncated=truncated)
    return np.minimum(share, of_week[of_row])


def _shocks_from_other_weeks(fit: ZonedPosterior) -> tuple[np.ndarray, np.ndarray]:
    """How far u_it + v_it lie from what the product's other weeks predict, and that prediction's variance, (n, T).

    With K their prior covariance, a's distance from the prediction is (K^-1 a)_t / (K^-1)_tt, its variance 1/(K^-1)_tt.
    """
    n, T = fit.periods.shape
    lag = np.abs(np.arange(T)[:, None] - np.arange(T))
    slow_sd = fit.products.slow_demand_sd if fit.products.slow_demand_sd.size else np.zeros(n)
    eigenvalue, basis = np.linalg.eigh(fit.products.slow_demand_persistence**lag)
    prior = np.maximum(slow_sd[:, None] ** 2 * eigenvalue + fit.shock_sd[:, None] ** 2, _LEAST_VARIANCE)
    precision = (1.0 / prior) @ basis.T**2
    return (fit.periods @ basis / prior) @ basis.T / precision, 1.0 / precision


def _run_score(log_probability: np.ndarray, of_run: np.ndarray) -> np.ndarray:
    """Tail scores of runs of neighbouring periods, from their probabilities' product, for each of their cells; (n, T).

    A run may begin in any of T periods: its probability counts T times.

    Parameters
    ----------
    log_probability : array, shape (n, T)
        Of each cell alone.
    of_run : bool array, shape (n, T)
        Cells that belong to a run.
    """
    # A last column that is in no run parts the rows.
    apart = np.pad(of_run, ((0, 0), (0, 1)))
    run = np.cumsum(~apart).reshape(apart.shape)[:, :-1]
    log_tail = np.bincount(run[of_run], log_probability[of_run], minlength=int(run.max(initial=0)) + 1)
    log_tail = np.minimum(log_tail + np.log(of_run.shape[1]), np.log(0.5))
    return np.where(of_run, -ndtri_exp(log_tail)[run], 0.0)


def _deviance_residual(units: np.ndarray, log_mean: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Signed root of the deviance, nearly a normal deviate (McCullagh and Nelder 1989, 2.4.3); any shape."""
    mean = np.exp(np.minimum(log_mean, 40.0))
    ratio = np.where(units > 0, np.maximum(units, 1e-300) / mean, 1.0)
    with np.errstate(invalid="ignore"):
        of_size = np.where(
            np.isfinite(size), (units + size) * np.log1p((units - mean) / (mean + size)), units - mean
        )
    deviance = 2.0 * (units * np.log(ratio) - of_size)
    return np.sign(units - mean) * np.sqrt(np.maximum(deviance, 0.0))
