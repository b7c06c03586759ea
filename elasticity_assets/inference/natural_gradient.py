"""Engine: the best Gaussian posterior with full covariance, found by natural-gradient steps.

The posterior precision has the arrow shape of `arrow`, so one pass over the data gives the exact Newton (v = 0) or
natural-gradient step and all covariances. Scales are learned in the same loop; the spread tau of the products'
elasticities is integrated over a grid. Derivation: docs/model.md.
"""

import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from elasticity_assets.inference import arrow, scales, tau_grid
from elasticity_assets.inference.expectations import Family, expectations
from elasticity_assets.inference.likelihood import log_base
from elasticity_assets.inference.options import Likelihood, NaturalGradientOptions
from elasticity_assets.inference.panel import Panel
from elasticity_assets.inference.posterior import CategoryPosterior, FitDiagnostics
from elasticity_assets.inference.priors import Priors

AXIS = "products"  # the mesh axis that rows are spread over
BLOCK = 256  # rows at a time, so that a block stays in cache
_LARGEST_MOVE = 2.0  # of log expected units, in one step
_LOG_DISPERSION_RANGE = (-7.0, 12.0)
_SCALE_TOLERANCE = 0.02  # posterior sds, of scales and dispersions


class Hyper(NamedTuple):
    """Priors as arrays, so that changing them compiles nothing.

    Attributes
    ----------
    shared_mean, shared_var : float arrays, shape (S,)
        Prior of s; the variances of period effects and of the levels' mean are completed by sigma_gamma.
    is_period : float array, shape (S,)
        1 for the category's own periods.
    scale : ScalePriors
        Of tau (one a slope), sigma_delta, sigma_gamma and s_r.
    dispersion_mean, dispersion_sd : float arrays, shape ()
        Prior of mu_r.
    """

    shared_mean: jax.Array
    shared_var: jax.Array
    is_period: jax.Array
    scale: scales.ScalePriors
    dispersion_mean: jax.Array
    dispersion_sd: jax.Array


class State(NamedTuple):
    """Where the iteration is; rows come in blocks, shape (blocks, n, ...).

    Attributes
    ----------
    theta : array, shape (blocks, n, d)
        Slopes and level, at the product's own mean price and controls.
    var : array, shape (blocks, n, W)
        Var eta_it.
    log_size : array, shape (blocks, n)
        log r_i.
    shared : array, shape (S,)
    log_scale : array, shape (d + 2,)
        log of tau (one a slope), sigma_delta, sigma_gamma, s_r.
    dispersion_centre : array, shape ()
        mu_r.
    """

    theta: jax.Array
    var: jax.Array
    log_size: jax.Array
    shared: jax.Array
    log_scale: jax.Array
    dispersion_centre: jax.Array


class Pass(NamedTuple):
    """What one pass found besides the new state.

    Attributes
    ----------
    move : array, shape ()
        Largest step of a mean, in posterior sds given the shared vector.
    scale_move : array, shape ()
        Largest step of a scale or dispersion, in its rough sds.
    objective : array, shape ()
        ELBO at the state before the step, the scales' log priors included.
    tau_gradient, tau_information : arrays, shape ()
        d (ELBO + log prior + log tau)/d log tau, and the expected information.
    theta_cov, theta_lead : arrays, shapes (blocks, n, d, d) and (blocks, n, d, d + K)
        Cov(theta_i) and Cov(theta_i, (c, alpha)).
    shared_cov : array, shape (S, S)
    """

    move: jax.Array
    scale_move: jax.Array
    objective: jax.Array
    tau_gradient: jax.Array
    tau_information: jax.Array
    theta_cov: jax.Array
    theta_lead: jax.Array
    shared_cov: jax.Array


def _one_pass(
    rows: arrow.Rows,
    hyper: Hyper,
    state: State,
    mix: jax.Array,
    *,
    family: Family,
    gaussian: bool,
    hold: bool,
) -> tuple[State, Pass]:
    """One step of everything.

    Parameters
    ----------
    rows : Rows
        In blocks: (blocks, n, ...), those of this device.
    hyper : Hyper
    state : State
    mix : array, shape ()
        Share of the new Var eta taken over; less than 1 damps.
    family : Family
    gaussian : bool
        Whether expectations are taken over Var eta, or at the mean (plain Newton).
    hold : bool
        Whether scales and dispersions stay.
    """
    d = state.theta.shape[-1]
    K = rows.controls.shape[2]
    lead = d + K
    period_var = jnp.exp(2.0 * state.log_scale[d])
    periods = jnp.sum(hyper.is_period)
    shared_var = (
        hyper.shared_var.at[d - 1].add(period_var / jnp.maximum(periods, 1.0)).at[lead:].set(period_var)
    )
    precision = jnp.exp(-2.0 * state.log_scale[:d])

    def eliminate(total: Any, block: Any) -> Any:
        data, theta, var, log_size = block
        eta = arrow.linear_predictor(data, theta, state.shared)
        expected = expectations(family, data.units, eta, var if gaussian else None, log_size[:, None])
        seen = jax.tree.map(lambda cell: cell * data.observed, expected)
        factor, corner = arrow.eliminate(data, theta, state.shared, seen.gradient, seen.curvature, precision)
        by_product = jnp.sum(seen.dispersion_gradient, axis=1), jnp.sum(seen.dispersion_curvature, axis=1)
        total = jax.tree.map(jnp.add, total, (corner, jnp.sum(seen.log_lik)))
        return total, (factor, by_product)

    S = state.shared.shape[0]
    nothing = arrow.Corner(jnp.zeros((S, S)), jnp.zeros(S), jnp.zeros(())), jnp.zeros(())
    blocks = (rows, state.theta, state.var, state.log_size)
    total, (factors, dispersion) = jax.lax.scan(eliminate, _varying(nothing), blocks)
    corner, log_lik = jax.lax.psum(total, AXIS)
    shared = arrow.solve_shared(corner, state.shared, hyper.shared_mean, 1.0 / shared_var, hyper.is_period)
    in_use = jnp.where(jnp.arange(S) >= lead, hyper.is_period, 1.0)
    shared_sd = jnp.sqrt(jnp.maximum(jnp.diagonal(shared.cov), 0.0))
    longest = jnp.max(jnp.abs(shared.step[lead:]) * hyper.is_period[lead:], initial=0.0)
    shared_step = shared.step * jnp.minimum(1.0, _LARGEST_MOVE / (longest + 1e-30))
    shared_mean = state.shared + shared_step
    shared_move = jnp.max(in_use * jnp.abs(shared.step) / (shared_sd + 1e-12 + 1e6 * (shared_sd <= 0)))

    centre_r, spread_r = state.dispersion_centre, jnp.exp(2.0 * state.log_scale[d + 1])

    def step(total: Any, block: Any) -> Any:
        data, theta, var, log_size, factor, (r_gradient, r_curvature) = block
        move = arrow.product_step(factor, shared.step) * data.real[:, None]
        reach = jnp.concatenate(
            [jnp.max(jnp.abs(data.slopes), axis=-1), jnp.ones_like(log_size)[:, None]], axis=1
        )
        longest = jnp.sum(reach * jnp.abs(move), axis=1)
        taken = move * jnp.minimum(1.0, _LARGEST_MOVE / (longest + 1e-30))[:, None]
        sd = jnp.sqrt(arrow.conditional_var(factor))
        largest = jnp.max(jnp.abs(move) / sd)
        before = arrow.deviation(data, theta, state.shared)
        theta = theta + taken
        after = arrow.deviation(data, theta, shared_mean)
        if gaussian:
            covariance = arrow.covariances(data, factor, shared.cov)
            var = var + mix * (covariance.eta - var)
            deviation_var = covariance.deviation
            kept = covariance.theta, covariance.theta_lead
        else:
            deviation_var = arrow.conditional_deviation_var(data, factor)
            kept = ()
        real = data.real[:, None]
        shrink = deviation_var * precision
        squares = jnp.sum((after**2 + deviation_var) * real, axis=0)
        squares_before = jnp.sum((before**2 + deviation_var) * real, axis=0)
        freedom = jnp.sum((1.0 - shrink) ** 2 * real, axis=0)
        # log r_i, one Newton step; its posterior variance by the curvature.
        r_information = jnp.maximum(r_curvature, 0.0) + 1.0 / spread_r
        r_step = (
            jnp.clip((r_gradient - (log_size - centre_r) / spread_r) / r_information, -1.0, 1.0) * data.real
        )
        r_move = jnp.max(jnp.abs(r_step) * jnp.sqrt(r_information))
        if not hold:
            log_size = jnp.clip(log_size + r_step, *_LOG_DISPERSION_RANGE)
        r_var = 1.0 / r_information
        r_sums = jnp.stack(
            [
                jnp.sum(log_size * data.real),
                jnp.sum(((log_size - centre_r) ** 2 + r_var) * data.real),
                jnp.sum((1.0 - r_var / spread_r) ** 2 * data.real),
                jnp.sum(data.real),
            ]
        )
        sums, most = total
        sums = jax.tree.map(jnp.add, sums, (squares, squares_before, freedom, r_sums))
        return (sums, jnp.maximum(most, jnp.stack([largest, r_move]))), (theta, var, log_size, kept)

    nothing = (jnp.zeros(d), jnp.zeros(d), jnp.zeros(d), jnp.zeros(4)), jnp.zeros(2)
    (sums, most), (theta, var, log_size, kept) = jax.lax.scan(
        step, _varying(nothing), (*blocks, factors, dispersion)
    )
    squares, squares_before, freedom, r_sums = jax.lax.psum(sums, AXIS)
    largest, r_move = jax.lax.pmax(most, AXIS)

    n = r_sums[3]
    gamma_var = jnp.diagonal(shared.cov)[lead:]
    gamma_own = hyper.is_period[lead:]
    gamma_squares = jnp.sum(gamma_own * (shared_mean[lead:] ** 2 + gamma_var))
    gamma_count = jnp.maximum(periods - 1.0, 0.0)
    gamma_freedom = (
        jnp.sum(gamma_own * (1.0 - gamma_var / period_var) ** 2) * gamma_count / jnp.maximum(periods, 1.0)
    )
    count = jnp.concatenate([jnp.full(d, n), jnp.stack([gamma_count, n * family.negative_binomial])])
    scored = scales.score_scales(
        state.log_scale,
        hyper.scale,
        jnp.concatenate([squares, jnp.stack([gamma_squares, r_sums[1] * family.negative_binomial])]),
        count,
        jnp.concatenate([freedom, jnp.stack([gamma_freedom, r_sums[2] * family.negative_binomial])]),
    )
    centre_precision = n / spread_r + hyper.dispersion_sd**-2
    new_centre = (r_sums[0] / spread_r + hyper.dispersion_mean * hyper.dispersion_sd**-2) / centre_precision
    scale_steps = jnp.abs(scored.log_scale - state.log_scale) * jnp.sqrt(scored.information)
    scale_move = jnp.max(scale_steps)
    if family.negative_binomial:
        scale_move = jnp.maximum(
            scale_move, jnp.maximum(r_move, jnp.abs(new_centre - centre_r) * jnp.sqrt(centre_precision))
        )

    squares_all = jnp.concatenate(
        [squares_before, jnp.sum(gamma_own * (state.shared[lead:] ** 2 + gamma_var))[None]]
    )
    log_prior = -0.5 * jnp.sum(squares_all * jnp.exp(-2.0 * state.log_scale[: d + 1]))
    log_prior = log_prior - jnp.sum(count[: d + 1] * state.log_scale[: d + 1])
    known = state.shared[:lead] - hyper.shared_mean[:lead]
    lead_var = shared_var[:lead]
    known_squares = known**2 + jnp.diagonal(shared.cov)[:lead]
    log_prior = log_prior - 0.5 * jnp.sum(known_squares / lead_var + jnp.log(lead_var))
    # Padded periods: their prior precision is in log |C| and has to leave it.
    padded = jnp.sum(1.0 - gamma_own) * (-2.0 * state.log_scale[d])
    entropy = -0.5 * (corner.log_det + shared.log_det - padded) + 0.5 * (n * d + lead + gamma_count)
    objective = log_lik + log_prior + entropy

    new = State(
        theta,
        var,
        log_size,
        shared_mean,
        state.log_scale if hold else scored.log_scale,
        centre_r if hold or not family.negative_binomial else new_centre,
    )
    move = jnp.maximum(largest, shared_move)
    theta_cov, theta_lead = kept if gaussian else (jnp.zeros((0,)), jnp.zeros((0,)))
    return new, Pass(
        move,
        scale_move,
        objective,
        scored.gradient[0],
        scored.information[0],
        theta_cov,
        theta_lead,
        shared.cov,
    )


class Run(NamedTuple):
    """Where an iteration ended.

    Attributes
    ----------
    state : State
    last : Pass
    passes : int array, shape ()
    trace : array, shape (max_passes,)
        The objective at each pass; unused entries are NaN.
    """

    state: State
    last: Pass
    passes: jax.Array
    trace: jax.Array


def _iterate(
    rows: arrow.Rows,
    hyper: Hyper,
    state: State,
    tolerance: jax.Array,
    *,
    family: Family,
    hold: bool,
    max_passes: int,
) -> Run:
    """Iterate to convergence: plain Newton first, then with expectations over eta's variance."""
    one = partial(_one_pass, rows, hyper, family=family, hold=hold)
    blocks, n, d = state.theta.shape
    S, K = state.shared.shape[0], rows.controls.shape[2]
    big = jnp.asarray(1e30, jnp.float32)
    trace = jnp.full(max_passes, jnp.nan)

    def newton(carry: Any) -> Any:
        state, _, passes, trace = carry
        state, found = one(state, jnp.zeros(()), gaussian=False)
        return state, found.move, passes + 1, trace.at[passes].set(found.objective)

    passes = jnp.zeros((), jnp.int32)
    if not hold:
        state, _, passes, trace = jax.lax.while_loop(
            lambda c: (c[1] > 0.5) & (c[2] < min(12, max_passes // 2)), newton, (state, big, passes, trace)
        )

    def natural(carry: Any) -> Any:
        state, last, passes, trace, mix = carry
        state, found = one(state, mix, gaussian=True)
        # The undamped iteration can cycle between two variances.
        mix = jnp.where((found.move > 0.7 * last.move) & (passes > 0), 0.5, mix)
        return state, found, passes + 1, trace.at[passes].set(found.objective), mix

    def going(carry: Any) -> jax.Array:
        _, last, passes, _, _ = carry
        moving = (last.move > tolerance) | (not hold and (last.scale_move > _SCALE_TOLERANCE))
        return moving & (passes < max_passes)

    start = Pass(
        big,
        big,
        big,
        big,
        big,
        _varying(jnp.zeros((blocks, n, d, d))),
        _varying(jnp.zeros((blocks, n, d, d + K))),
        jnp.zeros((S, S)),
    )
    state, last, passes, trace, _ = jax.lax.while_loop(
        going, natural, (state, start, passes, trace, jnp.ones(()))
    )
    return Run(state, last, passes, trace)


@partial(jax.jit, static_argnames=("mesh", "family", "hold", "max_passes"))
def _run(
    mesh: Mesh,
    rows: arrow.Rows,
    hyper: Hyper,
    state: State,
    tolerance: jax.Array,
    *,
    family: Family,
    hold: bool,
    max_passes: int,
) -> Run:
    spread, same = P(AXIS), P()
    state_specs = State(spread, spread, spread, same, same, same)
    last_specs = Pass(same, same, same, same, same, spread, spread, same)
    return jax.shard_map(
        partial(_iterate, family=family, hold=hold, max_passes=max_passes),
        mesh=mesh,
        in_specs=(spread, same, state_specs, same),
        out_specs=Run(state_specs, last_specs, same, same),
    )(rows, hyper, state, tolerance)


def fit(
    panel: Panel,
    priors: Priors,
    likelihood: Likelihood,
    options: NaturalGradientOptions,
    *,
    start: CategoryPosterior | None = None,
    on_progress: Callable[[int, float], None] | None = None,
) -> CategoryPosterior:
    """Fit one category.

    Parameters
    ----------
    panel : Panel
    priors : Priors
    likelihood : {'negative_binomial', 'poisson'}
    options : NaturalGradientOptions
    start : CategoryPosterior, optional
        An earlier posterior to start from; products and periods are matched by name.
    on_progress : callable, optional
        Called with (passes done, ELBO so far).

    Returns
    -------
    CategoryPosterior
        With `diagnostics.converged` False, and a warning that says so, where it did not converge.
    """
    clock = time.perf_counter()
    family = Family(likelihood == "negative_binomial", panel.zero_truncated)
    mesh = jax.make_mesh(
        (len(jax.local_devices()),), (AXIS,), axis_types=(AxisType.Auto,), devices=jax.local_devices()
    )
    rows = _rows(panel, priors, mesh.size)
    hyper = _hyper(panel, priors)
    state = _initial(panel, priors, rows, hyper, start)
    rows = jax.device_put(rows, NamedSharding(mesh, P(AXIS)))
    run = partial(_run, mesh, rows, hyper, family=family, max_passes=options.max_passes)
    tolerance = jnp.float32(options.tolerance)

    mode = run(state, tolerance, hold=False)
    if on_progress is not None:
        on_progress(int(mode.passes), float(mode.last.objective))
    points = {}

    def gradient_at(log_tau: float) -> float:
        if points:
            nearest = points[min(points, key=lambda known: abs(known - log_tau))].state
            scale = nearest.log_scale.at[0].set(log_tau)
            points[log_tau] = run(nearest._replace(log_scale=scale), tolerance, hold=True)
        else:
            points[log_tau] = mode
        return float(points[log_tau].last.tau_gradient)

    log_tau = float(mode.state.log_scale[0])
    most = 1 if hyper.scale.learned[0] == 0 else options.grid_points or _grid_points(panel.n_products)
    sd = 1.0 / np.sqrt(max(float(mode.last.tau_information), 1.0))
    u, gradient = tau_grid.walk(gradient_at, log_tau, tau_grid.spacing(most, sd), most)
    order = np.argsort(u)
    found = [points[k] for k in u[order]]
    return _posterior(
        panel,
        priors,
        likelihood,
        mesh,
        found,
        tau_grid.weights(u[order], gradient[order]),
        mode,
        clock,
        options,
    )


def _grid_points(products: int) -> int:
    return 15 if products < 100 else 7 if products < 500 else 3


def _rows(panel: Panel, priors: Priors, devices: int) -> arrow.Rows:
    """The panel in blocks of rows, (blocks, n, ...), blocks a multiple of the devices; NumPy arrays."""
    seen = panel.observed
    count = np.maximum(seen.sum(axis=1), 1)
    mean_log_price = panel.mean_log_price()
    control_mean = (
        np.where(seen[:, :, None], panel.controls, 0.0).sum(axis=1, dtype=np.float64) / count[:, None]
    )
    controls = np.where(seen[:, :, None], panel.controls - control_mean[:, None], 0.0)
    whole = arrow.Rows(
        units=np.where(seen, panel.units, 0.0),
        observed=seen.astype(np.float32),
        slopes=panel.centred_log_price()[:, None],
        controls=np.swapaxes(controls, 1, 2),
        slope_mean=(np.zeros_like(mean_log_price) if priors.centred_price else mean_log_price)[:, None],
        control_mean=control_mean,
        real=(np.arange(len(seen)) < panel.n_products).astype(np.float32),
    )
    per_device = -(-len(seen) // devices)
    block = min(BLOCK, per_device)
    blocks = -(-per_device // block) * devices

    def cut(array: np.ndarray) -> np.ndarray:
        padded = np.zeros((blocks * block, *array.shape[1:]), np.float32)
        padded[: len(array)] = array
        return padded.reshape(blocks, block, *array.shape[1:])

    return arrow.Rows(*map(cut, whole))


def _hyper(panel: Panel, priors: Priors) -> Hyper:
    K, W = len(panel.control), panel.units.shape[1]
    mean, var = np.zeros(2 + K + W, np.float32), np.ones(2 + K + W, np.float32)
    mean[:2] = priors.category_mean, priors.level_mean
    var[:2] = priors.category_var, priors.level_sd**2
    var[2 : 2 + K] = priors.control_sd**2
    is_period = np.zeros(2 + K + W, np.float32)
    is_period[2 + K : 2 + K + panel.n_periods] = 1.0
    scale = scales.scale_priors(
        priors.product_spread, priors.level_spread, priors.period_spread, priors.log_dispersion_spread
    )
    return Hyper(
        mean,
        var,
        is_period,
        scale,
        np.float32(priors.log_dispersion_mean),
        np.float32(priors.log_dispersion_sd),
    )


def _initial(
    panel: Panel, priors: Priors, rows: arrow.Rows, hyper: Hyper, start: CategoryPosterior | None
) -> State:
    shape = rows.real.shape
    K, W = rows.controls.shape[2], rows.units.shape[-1]
    count = np.maximum(rows.observed.sum(-1), 1.0)
    level = np.log((rows.units.sum(-1) + 0.5) / (count + 0.5))
    theta = (
        np.stack([np.full(shape, priors.category_mean), level], axis=-1).astype(np.float32)
        * rows.real[..., None]
    )
    shared = hyper.shared_mean.copy()
    n = max(panel.n_products, 1)
    real = rows.real > 0
    spread = np.array([0.5, max(level[real].std(), 0.3), 0.3, 0.5])
    log_scale = np.log(
        np.where(hyper.scale.learned > 0, np.minimum(spread, 2 * hyper.scale.size), hyper.scale.size)
    )
    lead_level = theta[..., 1] - rows.slope_mean[..., 0] * theta[..., 0]
    shared[1] = lead_level[real].sum() / n if priors.level_sd > 0 else priors.level_mean
    log_size = np.full(shape, priors.log_dispersion_mean, np.float32)
    return State(
        theta,
        np.zeros((*shape, W), np.float32),
        log_size,
        shared,
        log_scale.astype(np.float32),
        np.float32(priors.log_dispersion_mean),
    )


def _posterior(panel, priors, likelihood, mesh, found, weight, mode, clock, options) -> CategoryPosterior:
    n, T, K = panel.n_products, panel.n_periods, len(panel.control)
    found, mode = jax.device_get((found, mode))

    def rows(array: np.ndarray) -> np.ndarray:
        return array.reshape(-1, *array.shape[2:])[:n].astype(np.float64)

    theta = np.stack([rows(f.state.theta) for f in found])
    shared = np.stack([f.state.shared for f in found]).astype(np.float64)
    cov = np.stack([f.last.shared_cov for f in found]).astype(np.float64)
    product_var = np.stack([rows(f.last.theta_cov)[:, 0, 0] for f in found])
    with_category = np.stack([rows(f.last.theta_lead)[:, 0, 0] for f in found])
    category_var = cov[:, 0, 0]
    moves = [float(f.last.move) for f in found]
    converged = all(np.isfinite(m) and m <= options.tolerance for m in moves)
    warnings = []
    if not converged:
        warnings.append(
            f"not converged: after {int(mode.passes)} passes the largest step was {max(moves):.2g} posterior sds"
        )
    centre = weight @ shared
    device = jax.local_devices()[0].platform + f" x{mesh.size}"
    level = weight @ (theta[:, :, 1])
    base = float(np.where(panel.observed, log_base(panel.units), 0.0).sum())
    log_scale = mode.state.log_scale.astype(np.float64)
    nb = likelihood == "negative_binomial"
    elbo = float(mode.last.objective) + base
    return CategoryPosterior(
        category=panel.category,
        product=panel.product,
        period=panel.period,
        control=panel.control,
        prior_mean=priors.category_mean,
        prior_var=priors.category_var,
        tau=np.exp([float(f.state.log_scale[0]) for f in found]),
        weight=weight,
        category_mean=shared[:, 0],
        category_var=category_var,
        product_mean=theta[:, :, 0],
        product_var=product_var,
        product_gain=with_category / category_var[:, None],
        control_mean=shared[:, 2 : 2 + K],
        control_var=np.stack([np.diagonal(c)[2 : 2 + K] for c in cov]),
        level=level,
        period_effect=centre[2 + K : 2 + K + T],
        dispersion=np.exp(rows(mode.state.log_size)) if nb else np.full(n, np.inf),
        level_mean=float(centre[1]),
        level_spread=float(np.exp(log_scale[1])),
        period_spread=float(np.exp(log_scale[2])),
        log_dispersion_mean=float(mode.state.dispersion_centre),
        log_dispersion_spread=float(np.exp(log_scale[3])),
        trace=mode.trace[: int(mode.passes)].astype(np.float64) + base,
        diagnostics=FitDiagnostics(
            engine="natural_gradient",
            likelihood=("zero-truncated " if panel.zero_truncated else "") + likelihood,
            device=device,
            iterations=int(mode.passes),
            converged=converged,
            elbo=elbo,
            seconds=time.perf_counter() - clock,
            warnings=tuple(warnings),
        ),
    )


def _varying(tree: Any) -> Any:
    """Mark freshly made arrays as differing between devices, as `shard_map` wants of what a scan carries."""
    return jax.tree.map(lambda x: jax.lax.pcast(x, AXIS, to="varying"), tree)
