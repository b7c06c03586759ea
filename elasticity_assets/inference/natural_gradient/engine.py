"""Engine: the best Gaussian posterior with full covariance, found by natural-gradient steps.

The posterior precision has the arrow shape of `arrow`, so that one pass over the data gives the exact step and
all covariances (`iteration`). Scales are learned in the same loop; the spread tau of the products'
elasticities is integrated over a grid (`tau_grid`). Derivation: docs/model.md.
"""

import time
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from elasticity_assets.inference import season
from elasticity_assets.inference.density.expectations import Family
from elasticity_assets.inference.density.likelihood import log_base
from elasticity_assets.inference.devices import (
    AXIS,
    Leaf,
    compiled_once_used,
    device_mesh,
    from_devices,
    to_devices,
)
from elasticity_assets.inference.natural_gradient import arrow, slow_demand, tau_grid
from elasticity_assets.inference.natural_gradient.blocks import Blocks
from elasticity_assets.inference.natural_gradient.first_state import first_state
from elasticity_assets.inference.natural_gradient.iteration import NEVER, covariance_at, iterate
from elasticity_assets.inference.natural_gradient.result import (
    FittedCells,
    dispersions,
    posterior_of_runs,
    tolerance_off_mode,
)
from elasticity_assets.inference.natural_gradient.state import Found, Hyper, Run, State
from elasticity_assets.inference.options import Likelihood, NaturalGradientOptions, Progress
from elasticity_assets.inference.panel import Panel
from elasticity_assets.inference.posterior import CategoryPosterior
from elasticity_assets.inference.priors import Priors


def fit(
    panel: Panel,
    priors: Priors,
    likelihood: Likelihood,
    options: NaturalGradientOptions,
    *,
    start: CategoryPosterior | State | None = None,
    on_progress: Progress | None = None,
) -> CategoryPosterior:
    """Fit one category.

    Parameters
    ----------
    panel : Panel
    priors : Priors
    likelihood : {'negative_binomial', 'poisson'}
    options : NaturalGradientOptions
    start : CategoryPosterior or State, optional
        An earlier posterior to start from, where products, periods and controls are matched by name; or where a
        fit of the same cells ended.
    on_progress : callable, optional
        Called with (passes done, ELBO), at the mode of tau and at each point of its grid.

    Returns
    -------
    CategoryPosterior
        With `diagnostics.converged` False, and a warning that says so, where it did not converge.
    """
    problem = Problem(panel, priors, likelihood, options.max_passes)
    return problem.fit(options, start, on_progress)


def with_arrow_covariances(
    posterior: CategoryPosterior, panel: Panel, priors: Priors, likelihood: Likelihood
) -> CategoryPosterior:
    """Keep a posterior's means and scales, and take its variances and covariances from the arrow at them.

    For engines whose own covariances leave out correlations: a mean-field sd of beta_c is a quarter too small.

    Parameters
    ----------
    posterior : CategoryPosterior
        One tau only; every mean is read.
    panel : Panel
        What it was fitted to.
    priors : Priors
    likelihood : {'negative_binomial', 'poisson'}

    Returns
    -------
    CategoryPosterior
        With new category_var, product_var, product_gain, control_cov, control_gain and product_control_cov.
    """
    problem = Problem(panel, priors, likelihood, max_passes=1)
    _, found = problem.covariance(problem.start(posterior))
    found = from_devices(found)
    theta_cov, theta_lead = (problem.blocks.by_product(part) for part in (found.theta_cov, found.theta_lead))
    shared_var, controls = found.shared_var.astype(np.float64), slice(2, 2 + len(panel.control))
    return replace(
        posterior,
        category_var=shared_var[:1],
        product_var=theta_cov[None, 0, 0],
        product_gain=theta_lead[None, 0, 0] / shared_var[0],
        control_cov=found.lead_cov[None, controls, controls].astype(np.float64),
        control_gain=found.lead_cov[None, 0, controls].astype(np.float64) / shared_var[0],
        product_control_cov=theta_lead[0, controls].T[None],
    )


@dataclass(frozen=True)
class Mode:
    """A fit at the mode of all scales.

    Attributes
    ----------
    posterior : CategoryPosterior
        With one tau.
    cells : FittedCells
    state : State
        To start from, for other weights of the same cells; it stays on the devices.
    problem : Problem
        What was fitted.
    """

    posterior: CategoryPosterior
    cells: FittedCells
    state: State
    problem: "Problem"

    @property
    def passes(self) -> int:
        """Over the data."""
        return self.posterior.diagnostics.iterations


class Problem:
    """One category's data and priors on the devices.

    Parameters
    ----------
    panel : Panel
    priors : Priors
        All slopes have the elasticity's.
    likelihood : {'negative_binomial', 'poisson'}
    max_passes : int
    regressors : sequence of float arrays, shape (N, W), optional
        What has a slope a product, not centred; by default log price alone. They add up to log price.
    """

    def __init__(
        self,
        panel: Panel,
        priors: Priors,
        likelihood: Likelihood,
        max_passes: int,
        regressors: Sequence[np.ndarray] | None = None,
    ) -> None:
        regressors = [panel.log_price] if regressors is None else regressors
        priors = priors.over(season.length(panel.period))
        self.panel, self.priors, self.likelihood, self.max_passes = panel, priors, likelihood, max_passes
        self.family = Family(likelihood == "negative_binomial", panel.zero_truncated)
        self.mesh = device_mesh()
        self.blocks = Blocks.cut(panel, priors, regressors, self.mesh.size)
        self.rows = to_devices(self.blocks.rows, self.mesh, P(AXIS))
        self.hyper = Hyper.of(panel, priors, len(regressors))
        self._base_of_rows = base_of_rows(self.rows.units, self.rows.weight)

    @property
    def log_base(self) -> float:
        """Part of the log likelihood that holds no parameter."""
        return float(from_devices(self._base_of_rows).sum(dtype=np.float64))

    def run(self, state: State, learning: float, tolerance: float, most: int | None = None) -> Run:
        """Iterate to convergence, or for `most` passes; see `iterate`."""
        # Wherever the state comes from, it lies on the devices alike, or the program would be compiled again; on one
        # device as a kept program's results do.
        several = self.mesh.size > 1

        def place(part: Leaf, spec: P) -> Leaf:
            spec = spec if several else _SAME
            there = getattr(part, "sharding", None) == NamedSharding(self.mesh, spec)
            return part if there else to_devices(part, self.mesh, spec)

        placed = jax.tree.map(place, state, STATE_SPECS)
        return _run(
            self.rows,
            self.hyper,
            placed,
            np.float32(learning),
            np.float32(tolerance),
            np.int32(self.max_passes if most is None else most),
            mesh=self.mesh,
            family=self.family,
            max_passes=self.max_passes,
        )

    def under(self, weight: np.ndarray) -> "Problem":
        """Give the same problem under other weights of its cells, shape (N, W): all else stays on the devices."""
        other = copy(self)
        other.blocks = self.blocks.under(weight)
        other.panel = other.blocks.panel
        units, weight = to_devices((other.blocks.rows.units, other.blocks.rows.weight), self.mesh, P(AXIS))
        other.rows = self.rows._replace(units=units, weight=weight)
        other._base_of_rows = base_of_rows(units, weight)
        return other

    def fit(
        self,
        options: NaturalGradientOptions,
        start: CategoryPosterior | State | None = None,
        on_progress: Progress | None = None,
    ) -> CategoryPosterior:
        """Fit, over all of tau; parameters as of the function `fit`."""
        began = time.perf_counter()
        mode = self.run(self.start(start), 1.0, options.tolerance)
        runs, weight, mode_at = self.over_tau(mode, options, on_progress)
        return self.posterior(runs, weight, mode_at, options, began)

    def mode(self, options: NaturalGradientOptions, start: CategoryPosterior | State | None = None) -> Mode:
        """Fit at the mode of all scales; `start` as of `fit`."""
        began = time.perf_counter()
        run = self.run(self.start(start), 1.0, options.tolerance)
        posterior = self.posterior([from_devices(run)], np.ones(1), 0, options, began)
        return Mode(posterior, self.cells(run.state), run.state, self)

    def passes(self, state: State, count: int) -> State:
        """Pass so many times over the data from `state`, scales and dispersions included."""
        passed: State = self.run(state, 1.0, NEVER, count).state
        return passed

    def cells(self, state: State) -> FittedCells:
        """Give what `state` says of each cell, on its way or at its end."""
        read = from_devices(state)
        mean, var = (self.blocks.by_cell(part) for part in (self.linear_predictor(read), read.var))
        of_rows = dispersions(self.blocks, read, negative_binomial=self.family.negative_binomial)
        return FittedCells(mean, var, *of_rows)

    def at_scales(self, state: State, options: NaturalGradientOptions) -> CategoryPosterior:
        """Fit from `state` with its scales and dispersions held, tau among them."""
        began = time.perf_counter()
        run = from_devices(self.run(state, 0.0, options.tolerance))
        return self.posterior([run], np.ones(1), 0, options, began)

    def linear_predictor(self, state: State) -> np.ndarray:
        """Give log expected units at the means, shape (blocks, W, n); `state` holds arrays of NumPy."""
        rows, theta, shared = self.blocks.rows, state.theta, state.shared
        slopes, K = rows.slopes.shape[1], rows.controls.shape[1]
        lead = slopes + 1 + K
        eta = theta[:, -1, None] + shared[lead:, None]
        for a in range(slopes):
            eta = eta + theta[:, a, None] * rows.slopes[:, a]
        for a in range(rows.season.shape[1]):
            eta = eta + theta[:, slopes + a, None] * rows.season[:, a]
        for k in range(K):
            eta = eta + shared[slopes + 1 + k] * rows.controls[:, k]
        if state.slow.mean.shape[1]:
            eta = eta + state.slow.mean
        return np.asarray(eta)

    def covariance(self, state: State) -> tuple[State, Found]:
        """Covariances at the means of `state`, Var eta among its own."""
        return _covariance(self.rows, self.hyper, state, mesh=self.mesh, family=self.family)

    def start(self, posterior: CategoryPosterior | State | None) -> State:
        """Where to start; see `first_state`. A state is where to start itself."""
        if isinstance(posterior, State):
            return posterior
        return first_state(
            self.blocks,
            self.priors,
            self.hyper,
            posterior,
            negative_binomial=self.family.negative_binomial,
        )

    def over_tau(
        self, mode: Run, options: NaturalGradientOptions, on_progress: Progress | None = None
    ) -> tuple[list[Run], np.ndarray, int]:
        """Go over a grid of the first slope's tau, the other scales held at the mode; see `tau_grid.over_tau`.

        The runs' arrays are of NumPy, and Var eta is left out.
        """

        def run_at(near: Run, log_tau: float) -> Run:
            return self.run(tau_grid.at_tau(near.state, log_tau), 0.0, tolerance_off_mode(options))

        most = tau_grid.most_points(options.grid_points, self.panel.n_products, self.hyper.scale)
        runs, weight, mode_at = tau_grid.over_tau(run_at, mode, most, self.log_base, on_progress)
        # Var eta, the largest part, is not read any more.
        kept = [run._replace(state=run.state._replace(var=None)) for run in runs]
        return from_devices(kept), weight, mode_at

    def posterior(
        self,
        runs: Sequence[Run],
        weight: np.ndarray,
        mode_at: int,
        options: NaturalGradientOptions,
        began: float,
    ) -> CategoryPosterior:
        """Put the points of tau's grid together; see `posterior_of_runs`."""
        return posterior_of_runs(
            self.blocks,
            self.priors,
            self.likelihood,
            runs,
            weight,
            mode_at,
            options,
            log_base=self.log_base,
            began=began,
        )


_ROWS, _SAME = P(AXIS), P()
STATE_SPECS = State(
    _ROWS,
    _ROWS,
    _ROWS,
    _ROWS,
    _SAME,
    _SAME,
    _SAME,
    slow_demand.OfRows(_ROWS, _ROWS, _ROWS),
    slow_demand.Common(*[_SAME] * len(slow_demand.Common._fields)),
)
_FOUND_SPECS = Found(_SAME, _SAME, _SAME, _SAME, _SAME, _SAME, _ROWS, _ROWS, _SAME, _SAME)
_OF_STATE = (State, slow_demand.OfRows, slow_demand.Common)


@jax.jit
def base_of_rows(units: jax.Array, weight: jax.Array) -> jax.Array:
    """Sum `log_base` over each product's periods, (blocks, n)."""
    return jnp.sum(weight * log_base(units), axis=1)


@compiled_once_used("mesh", "family", "max_passes", results=(Run, *_OF_STATE, Found))
def _run(
    rows: arrow.Rows,
    hyper: Hyper,
    state: State,
    learning: jax.Array,
    tolerance: jax.Array,
    most: jax.Array,
    *,
    mesh: Mesh,
    family: Family,
    max_passes: int,
) -> Run:
    return jax.shard_map(
        partial(iterate, family=family, max_passes=max_passes),
        mesh=mesh,
        in_specs=(_ROWS, _SAME, STATE_SPECS, _SAME, _SAME, _SAME),
        out_specs=Run(STATE_SPECS, _FOUND_SPECS, _SAME, _SAME),
    )(rows, hyper, state, learning, tolerance, most)


@compiled_once_used("mesh", "family", results=(*_OF_STATE, Found))
def _covariance(
    rows: arrow.Rows, hyper: Hyper, state: State, *, mesh: Mesh, family: Family
) -> tuple[State, Found]:
    return jax.shard_map(
        partial(covariance_at, family=family),
        mesh=mesh,
        in_specs=(_ROWS, _SAME, STATE_SPECS),
        out_specs=(STATE_SPECS, _FOUND_SPECS),
    )(rows, hyper, state)
