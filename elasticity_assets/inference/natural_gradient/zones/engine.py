"""Engine: the best Gaussian posterior with full covariance where rows are products in zones.

Rows are eliminated first, then products, then what all share: an arrow within an arrow. Derivation: docs/model.md.
"""

import time
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
from elasticity_assets.inference.natural_gradient.result import tolerance_off_mode
from elasticity_assets.inference.natural_gradient.state import FAR_AWAY, Found
from elasticity_assets.inference.natural_gradient.zones.first_state import first_state
from elasticity_assets.inference.natural_gradient.zones.one_pass import one_pass
from elasticity_assets.inference.natural_gradient.zones.pace import Pace
from elasticity_assets.inference.natural_gradient.zones.result import posterior_of_runs
from elasticity_assets.inference.natural_gradient.zones.state import (
    TAU,
    Hyper,
    Run,
    Spreads,
    State,
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
    start: ZonedPosterior | None = None,
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
    start : ZonedPosterior, optional
        An earlier posterior to start from; products, zones, periods, controls and covariates are matched by name.
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
    kept = [jax.device_get(run._replace(state=run.state._replace(var=None))) for run in runs]
    return posterior_of_runs(
        problem.tiling,
        problem.priors,
        likelihood,
        kept,
        weight,
        mode_at,
        options,
        log_base=problem.log_base,
        began=began,
    )


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
        self.tiling = Tiling.cut(panel, self.priors)
        self.hyper = Hyper.of(self.tiling, self.priors, zones)
        self.family = Family(likelihood == "negative_binomial", panel.rows.zero_truncated)
        self.max_passes = max_passes
        tiles = self.tiling.tiles
        base = jax.jit(log_base)(tiles.units) * tiles.weight
        self.log_base = float(np.asarray(base).sum(dtype=np.float64))

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

    def start(self, posterior: ZonedPosterior | None = None) -> State:
        """Where to start; see `first_state`."""
        return first_state(self.tiling, self.priors, self.hyper, posterior)


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
