"""Engine: the best Gaussian posterior with full covariance, found by natural-gradient steps.

The posterior precision has the arrow shape of `arrow`, so that one pass over the data gives the exact step and
all covariances (`iteration`). Scales are learned in the same loop; the spread tau of the products'
elasticities is integrated over a grid (`tau_grid`). Derivation: docs/model.md.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P

from elasticity_assets.inference import arrow, scales, tau_grid
from elasticity_assets.inference.devices import device_mesh, from_devices, to_devices
from elasticity_assets.inference.expectations import Family
from elasticity_assets.inference.iteration import AXIS, SCALE_TOLERANCE, covariance_at, iterate
from elasticity_assets.inference.likelihood import log_base
from elasticity_assets.inference.options import Likelihood, NaturalGradientOptions, Progress
from elasticity_assets.inference.panel import Panel
from elasticity_assets.inference.posterior import CategoryPosterior, FitDiagnostics
from elasticity_assets.inference.priors import Priors
from elasticity_assets.inference.state import Found, Hyper, Run, State

_BALANCING_TURNS = 2
_MOST_BY_PRICE = 3.0  # log units between a cell and its product's mean price, at the start
# Beside the mode of tau so many times the tolerance suffice, up to so many posterior sds: such points weigh less, and
# lie as far off to the one side as to the other.
_OFF_MODE, _LARGEST_OFF_MODE = 20.0, 0.02
# Products at a time: on a CPU so few that a block stays in cache, and that no part of its work is worth sharing out
# among threads to XLA, which costs more than it saves where fits run side by side.
_BLOCK_ON_CPU, _BLOCK_ON_ACCELERATOR = 64, 4096


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
    began = time.perf_counter()
    problem = Problem(panel, priors, likelihood, options.max_passes)
    mode = problem.run(problem.start(start), 1.0, options.tolerance)
    runs, weight, mode_at = over_tau(problem, mode, options, on_progress)
    return _posterior(problem, runs, weight, mode_at, options, began)


def over_tau(
    problem: "Problem", mode: Run, options: NaturalGradientOptions, on_progress: Progress | None = None
) -> tuple[list[Run], np.ndarray, int]:
    """Go over a grid of the first slope's tau, the other scales held at the mode.

    Parameters
    ----------
    problem : Problem
    mode : Run
        At the mode of all scales.
    options : NaturalGradientOptions
    on_progress : callable, optional
        As of `fit`.

    Returns
    -------
    runs : list of Run
        One a point of the grid, by ascending tau; arrays of NumPy, Var eta left out.
    weight : array, shape (G,)
        The points' probabilities.
    mode_at : int
        Which point is the mode.
    """
    centre = float(mode.state.log_scale[0])
    points = {centre: mode}
    passes = 0

    def gradient_at(log_tau: float) -> float:
        nonlocal passes
        if log_tau not in points:
            near = points[min(points, key=lambda known: abs(known - log_tau))].state
            log_scale = np.array(near.log_scale)
            log_scale[0] = log_tau
            near = near._replace(log_scale=log_scale)
            points[log_tau] = problem.run(near, 0.0, _tolerance_off_mode(options))
        run = points[log_tau]
        passes += int(run.passes)
        if on_progress is not None:
            on_progress(passes, float(run.found.objective) + problem.log_base)
        return float(run.found.tau_gradient)

    most = options.grid_points or tau_grid.default_points(problem.panel.n_products)
    if not problem.hyper.scale.learned[0]:
        most = 1
    step = tau_grid.spacing(most, 1.0 / np.sqrt(float(mode.found.tau_information)))
    log_tau, gradient = tau_grid.walk(gradient_at, centre, step, most)
    # Var eta, the largest part, is not read any more.
    kept = [run._replace(state=run.state._replace(var=None)) for run in map(points.__getitem__, log_tau)]
    return from_devices(kept), tau_grid.weights(log_tau, gradient), list(log_tau).index(centre)


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
        With new category_var, product_var, product_gain, control_var, control_gain and product_control_cov.
    """
    problem = Problem(panel, priors, likelihood, max_passes=1)
    _, found = problem.covariance(problem.start(posterior))
    found = from_devices(found)
    theta_cov, theta_lead = (problem.by_product(part) for part in (found.theta_cov, found.theta_lead))
    shared_var = found.shared_var.astype(np.float64)
    return replace(
        posterior,
        category_var=shared_var[:1],
        product_var=theta_cov[None, 0, 0],
        product_gain=theta_lead[None, 0, 0] / shared_var[0],
        control_var=shared_var[None, 2 : 2 + len(panel.control)],
        control_gain=found.lead_cov[None, 0, 2:].astype(np.float64) / shared_var[0],
        product_control_cov=theta_lead[0, 2:].T[None],
    )


@dataclass(frozen=True)
class Mode:
    """A fit at the mode of all scales.

    Attributes
    ----------
    posterior : CategoryPosterior
        With one tau.
    log_mean, log_mean_var : float arrays, shape (n, T)
        Posterior of eta, log expected units, of every cell; those of weight 0 that have a price are predicted
        from the others.
    state : State
        To start from, for other weights of the same cells.
    """

    posterior: CategoryPosterior
    log_mean: np.ndarray
    log_mean_var: np.ndarray
    state: State


def fit_mode(
    panel: Panel,
    priors: Priors,
    likelihood: Likelihood,
    options: NaturalGradientOptions,
    *,
    start: CategoryPosterior | State | None = None,
) -> Mode:
    """Fit one category at the mode of all scales; parameters as of `fit`."""
    began = time.perf_counter()
    problem = Problem(panel, priors, likelihood, options.max_passes)
    run = from_devices(problem.run(problem.start(start), 1.0, options.tolerance))
    posterior = _posterior(problem, [run], np.ones(1), 0, options, began)
    mean, var = (problem.by_cell(part) for part in (problem.linear_predictor(run.state), run.state.var))
    return Mode(posterior, mean, var, run.state)


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
        self.panel, self.priors, self.likelihood, self.max_passes = panel, priors, likelihood, max_passes
        self.family = Family(likelihood == "negative_binomial", panel.zero_truncated)
        self.mesh = device_mesh(AXIS)
        self.host_rows = _rows(panel, priors, regressors, self.mesh.size)
        self.rows = to_devices(self.host_rows, self.mesh, _ROWS)
        self.hyper = _hyper(panel, priors, len(regressors))
        self._base_of_rows = _base_of_rows(self.rows.units, self.rows.weight)

    @property
    def log_base(self) -> float:
        """Part of the log likelihood that holds no parameter."""
        return float(from_devices(self._base_of_rows).sum(dtype=np.float64))

    def run(self, state: State, learning: float, tolerance: float) -> Run:
        """Iterate to convergence; see `iterate`."""
        # Wherever the state comes from, it lies on the devices alike, or the program would be compiled again.
        placed = [
            part if isinstance(part, jax.Array) else to_devices(part, self.mesh, spec)
            for part, spec in zip(state, _STATE_SPECS, strict=True)
        ]
        return _run(
            self.rows,
            self.hyper,
            State(*placed),
            np.float32(learning),
            np.float32(tolerance),
            mesh=self.mesh,
            family=self.family,
            max_passes=self.max_passes,
        )

    def linear_predictor(self, state: State) -> np.ndarray:
        """Give log expected units at the means, shape (blocks, W, n)."""
        return np.stack(
            [
                arrow.linear_predictor(arrow.Rows(*block), theta, state.shared)
                for *block, theta in zip(*self.host_rows, state.theta, strict=True)
            ]
        )

    def by_cell(self, blocks: np.ndarray) -> np.ndarray:
        """(blocks, W, n) of all rows to (products, periods)."""
        return self.by_product(blocks)[: self.panel.n_periods].T

    def by_product(self, blocks: np.ndarray) -> np.ndarray:
        """(blocks, ..., n) of all rows to (..., products)."""
        whole = np.moveaxis(blocks, 0, -2)
        whole = whole.reshape(*whole.shape[:-2], whole.shape[-2] * whole.shape[-1])
        return whole[..., : self.panel.n_products].astype(np.float64)

    def covariance(self, state: State) -> tuple[State, Found]:
        """Covariances at the means of `state`, Var eta among its own."""
        return _covariance(self.rows, self.hyper, state, mesh=self.mesh, family=self.family)

    def start(self, posterior: CategoryPosterior | State | None) -> State:
        """Where to start: levels and period effects that balance, or an earlier posterior where names match.

        All slopes start at the elasticity. A state is where to start itself.
        """
        if isinstance(posterior, State):
            return posterior
        rows, hyper, panel = self.host_rows, self.hyper, self.panel
        D, K = rows.slopes.shape[1], len(panel.control)  # slopes, controls
        lead = D + 1 + K
        slope_mean = self.by_product(rows.slope_mean).sum(axis=0)
        shared = hyper.shared_mean.copy()
        level, shared[lead:] = self._balance()
        beta = np.full(panel.n_products, self.priors.category_mean)
        log_size, size_sd = np.full((2, panel.n_products), [[self.priors.log_dispersion_mean], [0.0]])
        spread = np.minimum([*[0.5] * D, max(level.std(), 0.3), 0.3, 0.5], 2.0 * hyper.scale.size)
        centre = self.priors.log_dispersion_mean
        if posterior is not None:
            mode = int(np.argmax(posterior.weight))
            shared[:D], shared[D] = posterior.category_mean[mode], posterior.level_mean
            for k, name in enumerate(panel.control):
                if name in posterior.control:
                    shared[D + 1 + k] = posterior.control_mean[mode, posterior.control.index(name)]
            _, now, then = np.intersect1d(panel.period, posterior.period, return_indices=True)
            gamma = np.zeros(panel.n_periods)
            gamma[now] = posterior.period_effect[then]
            shift = gamma.mean()
            shared[D] += shift
            shared[lead : lead + panel.n_periods] = gamma - shift
            _, now, then = np.intersect1d(panel.product, posterior.product, return_indices=True)
            beta[:] = shared[0]
            beta[now] = posterior.product_mean[mode, then]
            # From the model's level to the one at the product's own mean price and controls.
            means = slope_mean * beta
            means = means + shared[D + 1 : lead] @ self.by_product(rows.control_mean)
            level[now] = (posterior.level[then] + shift) + means[now]
            spread = [
                *[posterior.tau[mode]] * D,
                posterior.level_spread,
                posterior.period_spread,
                posterior.log_dispersion_spread,
            ]
            if np.isfinite(posterior.dispersion).all():
                log_size[now] = np.log(posterior.dispersion[then])
                size_sd[now] = posterior.log_dispersion_sd[then]
                centre = posterior.log_dispersion_mean
        elif self.priors.level_sd > 0:
            shared[D] = np.mean(level - slope_mean * beta)
        log_scale = np.log(np.where(hyper.scale.learned > 0, np.maximum(spread, 1e-3), hyper.scale.size))
        theta, log_r = self._in_blocks(np.stack([*[beta] * D, level])), self._in_blocks(log_size)
        var = np.zeros_like(rows.units)
        if posterior is not None:
            var = self._rough_var(theta, log_r, shared, log_scale)
        return State(
            theta,
            var,
            log_r,
            self._in_blocks(size_sd**2),
            shared.astype(np.float32),
            log_scale.astype(np.float32),
            np.float32(centre),
        )

    def _balance(self) -> tuple[np.ndarray, np.ndarray]:
        """Levels (n,) and period effects (W,) that give products and periods their sales, at the prior's slope.

        Found in turns, as in iterative proportional fitting.
        """
        rows = self.host_rows
        log_price = np.sum(rows.slopes, axis=1)
        by_price = np.clip(self.priors.category_mean * log_price, -_MOST_BY_PRICE, _MOST_BY_PRICE)
        price_factor = np.exp(by_price) * rows.weight
        units = rows.weight * rows.units
        of_product, of_period = units.sum(1) + 0.5, units.sum((0, 2)) + 0.5
        period = np.ones(len(of_period), np.float32)
        for _ in range(_BALANCING_TURNS):
            product = of_product / (np.einsum("bwn,w->bn", price_factor, period) + 0.5)
            period = of_period / (np.einsum("bwn,bn->w", price_factor, product) + 0.5)
        own = self.hyper.is_period[-len(period) :] > 0
        shift = np.log(period[own]).mean()
        return self.by_product(np.log(product)) + shift, np.where(own, np.log(period) - shift, 0.0)

    def _rough_var(
        self, theta: np.ndarray, log_size: np.ndarray, shared: np.ndarray, log_scale: np.ndarray
    ) -> np.ndarray:
        """Var eta as if slopes, levels and period effects were independent, shape (blocks, W, n)."""
        rows = self.host_rows
        D = rows.slopes.shape[1]
        lead = D + 1 + len(self.panel.control)
        eta = theta[:, D, None] + np.einsum("bdwn,bdn->bwn", rows.slopes, theta[:, :D])
        eta = eta + shared[lead:, None]
        if lead > D + 1:
            eta = eta + np.tensordot(rows.controls, shared[D + 1 : lead], (1, 0))
        weight = np.exp(np.clip(eta, -20.0, 30.0))
        if self.family.negative_binomial:
            weight = weight / (1.0 + weight * np.exp(-log_size[:, None]))
        weight = weight * rows.weight
        prior = np.exp(-2.0 * log_scale)
        squares = rows.slopes**2
        of_slopes = 1.0 / (np.einsum("bwn,bdwn->bdn", weight, squares) + prior[:D, None])
        of_level = 1.0 / (np.sum(weight, axis=1, keepdims=True) + prior[D])
        of_period = 1.0 / (np.sum(weight, axis=(0, 2))[:, None] + prior[D + 1])
        by_slopes = np.einsum("bdwn,bdn->bwn", squares, of_slopes)
        return (by_slopes + of_level + of_period).astype(np.float32)

    def _in_blocks(self, values: np.ndarray) -> np.ndarray:
        """Undo `by_product`, with zeros for padding."""
        blocks, n = self.host_rows.real.shape
        padded = np.zeros((*values.shape[:-1], blocks * n), np.float32)
        padded[..., : values.shape[-1]] = values
        return np.moveaxis(padded.reshape(*values.shape[:-1], blocks, n), -2, 0)


_ROWS, _SAME = P(AXIS), P()
_STATE_SPECS = State(_ROWS, _ROWS, _ROWS, _ROWS, _SAME, _SAME, _SAME)
_FOUND_SPECS = Found(_SAME, _SAME, _SAME, _SAME, _SAME, _SAME, _ROWS, _ROWS, _SAME, _SAME)


@jax.jit
def _base_of_rows(units: jax.Array, weight: jax.Array) -> jax.Array:
    """Sum `log_base` over each product's periods, (blocks, n)."""
    return jnp.sum(weight * log_base(units), axis=1)


@partial(jax.jit, static_argnames=("mesh", "family", "max_passes"))
def _run(
    rows: arrow.Rows,
    hyper: Hyper,
    state: State,
    learning: jax.Array,
    tolerance: jax.Array,
    *,
    mesh: Mesh,
    family: Family,
    max_passes: int,
) -> Run:
    return jax.shard_map(
        partial(iterate, family=family, max_passes=max_passes),
        mesh=mesh,
        in_specs=(_ROWS, _SAME, _STATE_SPECS, _SAME, _SAME),
        out_specs=Run(_STATE_SPECS, _FOUND_SPECS, _SAME, _SAME),
    )(rows, hyper, state, learning, tolerance)


@partial(jax.jit, static_argnames=("mesh", "family"))
def _covariance(
    rows: arrow.Rows, hyper: Hyper, state: State, *, mesh: Mesh, family: Family
) -> tuple[State, Found]:
    return jax.shard_map(
        partial(covariance_at, family=family),
        mesh=mesh,
        in_specs=(_ROWS, _SAME, _STATE_SPECS),
        out_specs=(_STATE_SPECS, _FOUND_SPECS),
    )(rows, hyper, state)


def _rows(panel: Panel, priors: Priors, regressors: Sequence[np.ndarray], devices: int) -> arrow.Rows:
    """Cut the panel into blocks of products, (blocks, ..., n), as many a device; NumPy arrays."""
    seen = panel.observed
    slope_mean = np.stack([panel.mean_of_observed(values) for values in regressors], axis=-1)
    count = np.maximum(seen.sum(axis=1), 1)[:, None]
    control_mean = np.where(seen[..., None], panel.controls, 0.0).sum(axis=1, dtype=np.float64) / count
    controls = np.where(seen[..., None], panel.controls - control_mean[:, None], 0.0)
    if priors.centred_price:
        slope_mean = np.zeros_like(slope_mean)
    most = _BLOCK_ON_CPU if jax.default_backend() == "cpu" else _BLOCK_ON_ACCELERATOR
    n = min(most, -(-len(seen) // devices))
    blocks = -(-len(seen) // (n * devices)) * devices

    def cut(array: np.ndarray) -> np.ndarray:
        padded = np.zeros((blocks * n, *array.shape[1:]), np.float32)
        padded[: len(array)] = array
        padded = padded.reshape(blocks, n, *array.shape[1:])
        return np.ascontiguousarray(np.transpose(padded, (0, *range(padded.ndim - 1, 0, -1))))

    return arrow.Rows(
        units=cut(np.where(panel.weight > 0, panel.units, 0.0)),
        weight=cut(panel.weight),
        slopes=cut(np.stack([panel.centred(values) for values in regressors], axis=-1)),
        controls=cut(controls),
        slope_mean=cut(slope_mean),
        control_mean=cut(control_mean),
        real=cut(np.arange(len(seen)) < panel.n_products),
    )


def _hyper(panel: Panel, priors: Priors, slopes: int) -> Hyper:
    """Priors of this many slopes a product, all alike."""
    K, W = len(panel.control), panel.units.shape[1]
    lead = slopes + 1 + K
    mean = np.zeros(lead + W, np.float32)
    mean[:slopes], mean[slopes] = priors.category_mean, priors.level_mean
    var = np.full(lead + W, priors.control_sd**2, np.float32)
    var[:slopes], var[slopes] = priors.category_var, priors.level_sd**2
    is_period = np.zeros(lead + W, np.float32)
    is_period[lead : lead + panel.n_periods] = 1.0
    scale = scales.scale_priors(
        *[priors.product_spread] * slopes,
        priors.level_spread,
        priors.period_spread,
        priors.log_dispersion_spread,
    )
    centre, spread = np.float32(priors.log_dispersion_mean), np.float32(priors.log_dispersion_sd)
    return Hyper(mean, var, is_period, scale, centre, spread)


def _posterior(
    problem: Problem,
    runs: Sequence[Run],
    weight: np.ndarray,
    mode_at: int,
    options: NaturalGradientOptions,
    began: float,
) -> CategoryPosterior:
    """Put the grid's points of a problem with one slope together."""
    panel, priors, mode = problem.panel, problem.priors, runs[mode_at]
    K, n = len(panel.control), panel.n_products
    theta = np.stack([problem.by_product(run.state.theta) for run in runs])
    shared = np.stack([run.state.shared for run in runs]).astype(np.float64)
    var = np.stack([run.found.shared_var for run in runs]).astype(np.float64)
    theta_cov = np.stack([problem.by_product(run.found.theta_cov) for run in runs])
    theta_lead = np.stack([problem.by_product(run.found.theta_lead) for run in runs])
    lead_cov = np.stack([run.found.lead_cov for run in runs]).astype(np.float64)
    centre = weight @ shared
    # The model's level, from the one at the product's own mean price and controls.
    level = theta[:, 1] - problem.by_product(problem.host_rows.slope_mean)[0] * theta[:, 0]
    level = weight @ (level - shared[:, 2 : 2 + K] @ problem.by_product(problem.host_rows.control_mean))
    scale = np.exp(mode.state.log_scale.astype(np.float64))
    # What the level's mean holds of the periods' mean, by their shares of its prior variance.
    of_periods = scale[2] ** 2 / panel.n_periods
    shift = (centre[1] - priors.level_mean) * of_periods / (of_periods + priors.level_sd**2)
    dispersion, log_dispersion_sd = np.full(n, np.inf), np.zeros(n)
    if problem.family.negative_binomial:
        dispersion = np.exp(problem.by_product(mode.state.log_size))
        log_dispersion_sd = np.sqrt(problem.by_product(mode.state.size_var))
    passes, base = int(mode.passes), problem.log_base
    warnings = reasons_for_doubt(runs, mode, options)
    diagnostics = FitDiagnostics(
        engine="natural_gradient",
        likelihood=("zero-truncated " if panel.zero_truncated else "") + problem.likelihood,
        device=f"{jax.default_backend()} x{problem.mesh.size}",
        iterations=passes,
        converged=not warnings,
        elbo=float(mode.found.objective) + base,
        seconds=time.perf_counter() - began,
        warnings=warnings,
    )
    return CategoryPosterior(
        category=panel.category,
        product=panel.product,
        period=panel.period,
        control=panel.control,
        prior_mean=priors.category_mean,
        prior_var=priors.category_var,
        tau=np.exp([float(run.state.log_scale[0]) for run in runs]),
        weight=weight,
        category_mean=shared[:, 0],
        category_var=var[:, 0],
        product_mean=theta[:, 0],
        product_var=theta_cov[:, 0, 0],
        product_gain=theta_lead[:, 0, 0] / var[:, :1],
        control_mean=shared[:, 2 : 2 + K],
        control_var=var[:, 2 : 2 + K],
        control_gain=lead_cov[:, 0, 2:] / var[:, :1],
        product_control_cov=np.swapaxes(theta_lead[:, 0, 2:], 1, 2),
        level=level - shift,
        period_effect=centre[2 + K : 2 + K + panel.n_periods] + shift,
        dispersion=dispersion,
        log_dispersion_sd=log_dispersion_sd,
        level_mean=float(centre[1] - shift),
        level_spread=float(scale[1]),
        period_spread=float(scale[2]),
        log_dispersion_mean=float(mode.state.dispersion_centre),
        log_dispersion_spread=float(scale[3]),
        trace=mode.trace[np.isfinite(mode.trace)].astype(np.float64) + base,
        diagnostics=diagnostics,
    )


def _tolerance_off_mode(options: NaturalGradientOptions) -> float:
    return max(options.tolerance, min(_OFF_MODE * options.tolerance, _LARGEST_OFF_MODE))


def reasons_for_doubt(runs: Sequence[Run], mode: Run, options: NaturalGradientOptions) -> tuple[str, ...]:
    """Why a fit is not to be trusted, in words; empty if it is.

    Parameters
    ----------
    runs : sequence of Run
        At the points of tau's grid.
    mode : Run
        At its mode.
    options : NaturalGradientOptions
    """
    moves = np.array([float(run.found.ahead) for run in runs])
    if not np.isfinite(moves).all():
        return ("not converged: the iteration left the range of float32; look for absurd units or prices",)
    moving = [float(mode.found.ahead)] if float(mode.found.ahead) > options.tolerance else []
    moving += list(moves[moves > _tolerance_off_mode(options)])
    if moving:
        return (
            f"not converged: after {options.max_passes} passes a parameter still moved by {max(moving):.2g} "
            "posterior sds; raise max_passes",
        )
    if float(mode.found.scale_move) > SCALE_TOLERANCE:
        return (f"not converged: after {options.max_passes} passes a scale still moved; raise max_passes",)
    return ()
