"""Engine: the best Gaussian posterior with full covariance where rows are products in zones.

Rows are eliminated first, then products, then what all share: an arrow within an arrow. Derivation: docs/model.md.
"""

import time
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from elasticity_assets.inference import season
from elasticity_assets.inference.density.expectations import Family
from elasticity_assets.inference.density.likelihood import log_base
from elasticity_assets.inference.devices import compiled_once_used
from elasticity_assets.inference.natural_gradient import slow_demand, tau_grid
from elasticity_assets.inference.natural_gradient.iteration import NEVER, is_moving, judge
from elasticity_assets.inference.natural_gradient.result import FittedCells, tolerance_off_mode
from elasticity_assets.inference.natural_gradient.state import FAR_AWAY, Found
from elasticity_assets.inference.natural_gradient.zones.first_state import first_state
from elasticity_assets.inference.natural_gradient.zones.one_pass import linear_predictor, one_pass
from elasticity_assets.inference.natural_gradient.zones.pace import Pace
from elasticity_assets.inference.natural_gradient.zones.result import posterior_of_runs
from elasticity_assets.inference.natural_gradient.zones.state import (
    ROW_SPREAD,
    TAU,
    ZONE_SPREAD,
    Hyper,
    Run,
    Spreads,
    State,
    layout_of,
)
from elasticity_assets.inference.natural_gradient.zones.tiles import Common, Tiles, Tiling
from elasticity_assets.inference.options import Likelihood, NaturalGradientOptions, Progress
from elasticity_assets.inference.priors import Priors, Zones
from elasticity_assets.inference.zoned_panel import ZonedPanel
from elasticity_assets.inference.zoned_posterior import ZonedPosterior

_WELL_KNOWN = 100.0  # information: a tenth of its size at most
_POINTS = 15


def fit(
    panel: ZonedPanel,
    priors: Priors,
    zones: Zones,
    likelihood: Likelihood,
    options: NaturalGradientOptions,
    *,
    start: ZonedPosterior | State | None = None,
    on_progress: Progress | None = None,
) -> ZonedPosterior:
    """Fit one category by product and zone.

    Parameters
    ----------
    panel : ZonedPanel
    priors : Priors
    zones : Zones
    likelihood : {'negative_binomial', 'poisson'}
    options : NaturalGradientOptions
    start : ZonedPosterior or State, optional
        An earlier posterior to start from, where products, zones, periods, controls and covariates are matched by
        name; or where a fit of the same cells ended.
    on_progress : callable, optional
        Called with (passes done, ELBO), at the mode of tau and at each point of its grid.

    Returns
    -------
    ZonedPosterior
        With `products.diagnostics.converged` False, and a warning that says so, where it did not converge.
    """
    began = time.perf_counter()
    problem = Problem(panel, priors, zones, likelihood, options.max_passes)
    mode = problem.run(problem.start(start), 1.0, options.tolerance)
    for place, power in ((ROW_SPREAD, 2.0), (ZONE_SPREAD, 1.25)):
        mode = problem.at_power_mean(mode, place, power, options)

    def run_at(near: Run, log_tau: float) -> Run:
        return problem.run_at(near, TAU, log_tau, tolerance_off_mode(options))

    most = tau_grid.most_points(options.grid_points, panel.n_products, problem.hyper.scale)
    runs, weight, mode_at = tau_grid.over_tau(run_at, mode, most, problem.log_base, on_progress)
    return problem.posterior(runs, weight, mode_at, options, began)


@dataclass(frozen=True)
class Mode:
    """A fit at the mode of all scales.

    Attributes
    ----------
    posterior : ZonedPosterior
        With one tau.
    cells : FittedCells
        Of rows.
    state : State
        To start from, for other weights of the same cells.
    """

    posterior: ZonedPosterior
    cells: FittedCells
    state: State

    @property
    def passes(self) -> int:
        """Over the data."""
        return self.posterior.products.diagnostics.iterations


class Problem:
    """One category's data and priors.

    Parameters
    ----------
    panel : ZonedPanel
    priors : Priors
    zones : Zones
    likelihood : {'negative_binomial', 'poisson'}
    max_passes : int
    """

    def __init__(
        self, panel: ZonedPanel, priors: Priors, zones: Zones, likelihood: Likelihood, max_passes: int
    ) -> None:
        self.priors = priors.over(season.length(panel.rows.period))
        self.likelihood, self.max_passes = likelihood, max_passes
        self.tiling = Tiling.cut(panel, self.priors)
        self.hyper = Hyper.of(self.tiling, self.priors, zones)
        self.family = Family(likelihood == "negative_binomial", panel.rows.zero_truncated)

    @property
    def log_base(self) -> float:
        """Part of the log likelihood that holds no parameter."""
        tiles = self.tiling.tiles
        return float(np.asarray(_base(tiles.units, tiles.weight)).sum(dtype=np.float64))

    def under(self, weight: np.ndarray) -> "Problem":
        """Give the same problem under other weights of its rows' cells, shape (N, W)."""
        other = copy(self)
        other.tiling = self.tiling.under(weight)
        return other

    def mode(self, options: NaturalGradientOptions, start: ZonedPosterior | State | None = None) -> Mode:
        """Fit at the mode of all scales; `start` as of `fit`."""
        began = time.perf_counter()
        run = self.run(self.start(start), 1.0, options.tolerance)
        posterior = self.posterior([run], np.ones(1), 0, options, began)
        return Mode(posterior, self.cells(run.state), run.state)

    def passes(self, state: State, count: int) -> State:
        """Pass so many times over the data from `state`, scales and dispersions included."""
        passed: State = self.run(state, 1.0, NEVER, count).state
        return passed

    def cells(self, state: State) -> FittedCells:
        """Give what `state` says of each row's cells, on its way or at its end."""
        T, by_row = self.tiling.panel.rows.n_periods, self.tiling.by_row
        predictor = _linear_predictor(self.tiling.tiles, self.tiling.common, state)
        mean, var = (by_row(np.asarray(part))[:T].T for part in (predictor, state.var))
        size, size_sd = np.full(self.tiling.panel.n_rows, np.inf), np.zeros(self.tiling.panel.n_rows)
        if self.family.negative_binomial:
            size, size_sd = (
                np.exp(by_row(np.asarray(state.log_size))),
                np.sqrt(by_row(np.asarray(state.size_var))),
            )
        return FittedCells(mean, var, size, size_sd)

    def at_scales(self, state: State, options: NaturalGradientOptions) -> ZonedPosterior:
        """Fit from `state` with its scales and dispersions held, tau among them."""
        began = time.perf_counter()
        return self.posterior([self.run(state, 0.0, options.tolerance)], np.ones(1), 0, options, began)

    def posterior(
        self,
        runs: Sequence[Run],
        weight: np.ndarray,
        mode_at: int,
        options: NaturalGradientOptions,
        began: float,
    ) -> ZonedPosterior:
        """Put the points of tau's grid together; see `posterior_of_runs`."""
        # Var eta, the largest part, is not read any more.
        kept = [jax.device_get(run._replace(state=run.state._replace(var=None))) for run in runs]
        return posterior_of_runs(
            self.tiling,
            self.priors,
            self.likelihood,
            kept,
            weight,
            mode_at,
            options,
            log_base=self.log_base,
            began=began,
        )

    def run(self, state: State, learning: float, tolerance: float, most: int | None = None) -> Run:
        """Iterate to convergence, or for `most` passes; `learning` 0 holds scales and dispersions."""
        return _run(
            self.tiling.tiles,
            self.tiling.common,
            self.hyper,
            jax.tree.map(jnp.asarray, state),
            np.float32(learning),
            np.float32(tolerance),
            np.int32(self.max_passes if most is None else most),
            family=self.family,
            max_passes=self.max_passes,
        )

    def run_at(self, near: Run, place: int, log_scale: float, tolerance: float) -> Run:
        """Go on from another run with this scale elsewhere, all scales held."""
        logs = np.array(near.state.log_scale)
        logs[place] = log_scale
        return self.run(near.state._replace(log_scale=logs), 0.0, tolerance)

    def at_power_mean(self, mode: Run, place: int, power: float, options: NaturalGradientOptions) -> Run:
        """Put a scale that is hardly known at the posterior mean of a power of it, above which its log's mode lies.

        At the mode, effects would be drawn too little to 0. Where data say little of each effect, as of rows', its mean
        is linear in the scale's square; where they say much, as of zones', it grows more slowly.
        """
        centre = float(np.asarray(mode.state.log_scale)[place])
        information = float(np.asarray(mode.spreads.scale_information)[place])
        if not self.hyper.scale.learned[place] or not information < _WELL_KNOWN:
            return mode
        points = {centre: mode}

        def gradient_at(log_scale: float) -> float:
            if log_scale not in points:
                near = points[min(points, key=lambda known: abs(known - log_scale))]
                points[log_scale] = self.run_at(near, place, log_scale, tolerance_off_mode(options))
            return float(np.asarray(points[log_scale].spreads.scale_gradient)[place])

        chosen = tau_grid.power_mean(gradient_at, centre, information, power, _POINTS)
        run = self.run_at(mode, place, float(np.log(chosen)), options.tolerance)
        found = run.found._replace(scale_move=mode.found.scale_move)
        return run._replace(found=found, passes=mode.passes + run.passes, trace=mode.trace)

    def start(self, posterior: ZonedPosterior | State | None = None) -> State:
        """Where to start; see `first_state`. A state is where to start itself."""
        if isinstance(posterior, State):
            return posterior
        return first_state(self.tiling, self.priors, self.hyper, posterior)


@jax.jit
def _base(units: jax.Array, weight: jax.Array) -> jax.Array:
    """Sum `log_base` over each row's periods, (blocks, L)."""
    return jnp.sum(weight * log_base(units), axis=1)


@jax.jit
def _linear_predictor(tiles: Tiles, common: Common, state: State) -> jax.Array:
    layout = layout_of(tiles, common)
    return jax.lax.map(
        lambda block: linear_predictor(block[0], common, state, block[1], layout), (tiles, state.theta)
    )


@compiled_once_used("family", "max_passes", results=(Run, State, slow_demand.Common, Found, Spreads))
def _run(
    tiles: Tiles,
    common: Common,
    hyper: Hyper,
    state: State,
    learning: jax.Array,
    tolerance: jax.Array,
    most: jax.Array,
    *,
    family: Family,
    max_passes: int,
) -> Run:
    def body(carry: Any) -> Any:
        state, last, _, passes, trace, gaussian, pace = carry
        before = state
        state, found, spreads = one_pass(tiles, common, hyper, state, learning, gaussian, pace, family)
        pace = pace.after(before, state, gaussian)
        found, near = judge(found, last, passes, gaussian, learning, max_passes)
        trace = trace.at[passes].set(found.objective)
        return state, found, spreads, passes + 1, trace, gaussian | near, pace

    def moving(carry: Any) -> jax.Array:
        return is_moving(carry[1], carry[3], tolerance, most)

    shapes = jax.eval_shape(
        lambda: one_pass(
            tiles,
            common,
            hyper,
            state,
            learning,
            jnp.asarray(True),
            Pace.first(state),
            family,
        )
    )
    nothing: tuple[Found, Spreads] = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes[1:])
    far = jnp.asarray(FAR_AWAY)
    start = (
        state,
        nothing[0]._replace(move=far, ahead=far, scale_move=far),
        nothing[1],
        jnp.zeros((), jnp.int32),
        jnp.full(max_passes, jnp.nan),
        jnp.max(state.var) > 0.0,
        Pace.first(state),
    )
    state, found, spreads, passes, trace, *_ = jax.lax.while_loop(moving, body, start)
    return Run(state, found, spreads, passes, trace)
