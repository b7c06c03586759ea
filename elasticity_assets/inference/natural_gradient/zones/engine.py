"""Engine: the best Gaussian posterior with full covariance where rows are products in zones.

Rows are eliminated first, then products, then what all share: an arrow within an arrow. Derivation: docs/model.md.
"""

import time
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from elasticity_assets.inference import season
from elasticity_assets.inference.density.expectations import Family
from elasticity_assets.inference.density.likelihood import log_base
from elasticity_assets.inference.natural_gradient import tau_grid
from elasticity_assets.inference.natural_gradient.iteration import is_moving, judge
from elasticity_assets.inference.natural_gradient.result import FittedCells, tolerance_off_mode
from elasticity_assets.inference.natural_gradient.state import FAR_AWAY, Found
from elasticity_assets.inference.natural_gradient.zones.first_state import first_state
from elasticity_assets.inference.natural_gradient.zones.one_pass import linear_predictor, one_pass
from elasticity_assets.inference.natural_gradient.zones.pace import Pace
from elasticity_assets.inference.natural_gradient.zones.result import posterior_of_runs
from elasticity_assets.inference.natural_gradient.zones.state import (
    TAU,
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

    def run_at(near: Run, log_tau: float) -> Run:
        log_scale = np.array(near.state.log_scale)
        log_scale[TAU] = log_tau
        return problem.run(near.state._replace(log_scale=log_scale), 0.0, tolerance_off_mode(options))

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
        T = self.tiling.panel.rows.n_periods
        mean, var = (
            self.tiling.by_row(np.asarray(part))[:T].T
            for part in (_linear_predictor(self.tiling.tiles, self.tiling.common, run.state), run.state.var)
        )
        cells = FittedCells(mean, var, posterior.row_dispersion, posterior.row_log_dispersion_sd)
        return Mode(posterior, cells, run.state)

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

    def run(self, state: State, learning: float, tolerance: float) -> Run:
        """Iterate to convergence; `learning` 0 holds scales and dispersions."""
        return _run(
            self.tiling.tiles,
            self.tiling.common,
            self.hyper,
            jax.tree.map(jnp.asarray, state),
            np.float32(learning),
            np.float32(tolerance),
            family=self.family,
            max_passes=self.max_passes,
        )

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


@partial(jax.jit, static_argnames=("family", "max_passes"))
def _run(
    tiles: Tiles,
    common: Common,
    hyper: Hyper,
    state: State,
    learning: jax.Array,
    tolerance: jax.Array,
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
        return is_moving(carry[1], carry[3], tolerance, max_passes)

    shapes = jax.eval_shape(
        lambda: one_pass(
            tiles,
            common,
            hyper,
            state,
            learning,
            jnp.asarray(True),
            Pace.whole(state),
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
        Pace.whole(state),
    )
    state, found, spreads, passes, trace, *_ = jax.lax.while_loop(moving, body, start)
    return Run(state, found, spreads, passes, trace)
