"""The natural-gradient iteration on one device's rows: passes over the data until nothing moves.

Everything here runs inside `jax.shard_map` over the mesh axis `AXIS`; a pass sends only sums of the shared
vector's size between devices. Rows come in blocks that stay in cache, (blocks, ..., n), products last.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from elasticity_assets.inference import arrow, scales
from elasticity_assets.inference.expectations import Family, expectations

AXIS = "products"  # the mesh axis that rows are spread over

_LARGEST_MOVE = 2.0  # of log expected units, in one step
_NEWTON_UNTIL = 0.5  # posterior sds: closer than this, the variance of eta matters
_MOST_NEWTON = 12
_COVARIANCE_PASSES = 5
_FAR_AWAY = 1e30
SCALE_TOLERANCE = 0.02  # rough posterior sds, of scales and dispersions
_LOG_DISPERSION_RANGE = (-7.0, 12.0)


class Hyper(NamedTuple):
    """Priors as arrays, so that changing them compiles nothing.

    Attributes
    ----------
    shared_mean, shared_var : float arrays, shape (S,)
        Prior of s = (c, alpha, gamma), without what sigma_gamma adds.
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
    """Where the iteration is.

    Attributes
    ----------
    theta : array, shape (blocks, d, n)
        Slopes and level, at the product's own mean price and controls.
    var : array, shape (blocks, W, n)
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


class Found(NamedTuple):
    """What a pass found besides the new state.

    Attributes
    ----------
    move : array, shape ()
        Largest step of a mean, in posterior sds given the rest.
    scale_move : array, shape ()
        Largest step of a scale or dispersion, in its rough sds; 0 where they are held.
    objective : array, shape ()
        ELBO before the step.
    tau_gradient, tau_information : arrays, shape ()
        d (ELBO + log prior + log tau)/d log tau of the first slope, and the expected information.
    theta_cov, theta_lead : arrays, shapes (blocks, d, d, n) and (blocks, d, d + K, n)
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


class Run(NamedTuple):
    """Where an iteration ended.

    Attributes
    ----------
    state : State
    found : Found
        By the last pass.
    passes : int array, shape ()
    trace : array, shape (max_passes,)
        The ELBO before each pass; unused entries are NaN.
    """

    state: State
    found: Found
    passes: jax.Array
    trace: jax.Array


def iterate(
    rows: arrow.Rows,
    hyper: Hyper,
    state: State,
    learning: jax.Array,
    tolerance: jax.Array,
    *,
    family: Family,
    max_passes: int,
) -> Run:
    """Iterate until converged: plain Newton steps first, then with expectations over eta's variance.

    Parameters
    ----------
    rows : Rows
    hyper : Hyper
    state : State
    learning : array, shape ()
        1 learns scales and dispersions and begins with Newton steps; 0 holds them and goes on from `state`.
    tolerance : array, shape ()
        Largest step to stop at, in posterior sds.
    family : Family
        Static.
    max_passes : int
        Static.
    """
    one_pass = partial(_pass, rows, hyper, learning, family=family)

    def newton(carry: Any) -> Any:
        state, _, passes, trace = carry
        state, found = one_pass(state, jnp.zeros(()), gaussian=False)
        return state, found.move, passes + 1, trace.at[passes].set(found.objective)

    def far(carry: Any) -> jax.Array:
        _, move, passes, _ = carry
        return (move > _NEWTON_UNTIL) & (passes < min(_MOST_NEWTON, max_passes // 2))

    def natural(carry: Any) -> Any:
        state, last, passes, trace, share = carry
        state, found = one_pass(state, share, gaussian=True)
        # Undamped, mean and variance can chase each other in a cycle.
        share = jnp.where(found.move > 0.7 * last.move, 0.5, share)
        return state, found, passes + 1, trace.at[passes].set(found.objective), share

    def moving(carry: Any) -> jax.Array:
        _, last, passes, _, _ = carry
        return ((last.move > tolerance) | (last.scale_move > SCALE_TOLERANCE)) & (passes < max_passes)

    trace = jnp.full(max_passes, jnp.nan)
    state, _, passes, trace = jax.lax.while_loop(
        far, newton, (state, _FAR_AWAY * learning, jnp.zeros((), jnp.int32), trace)
    )
    state, found, passes, trace, _ = jax.lax.while_loop(
        moving, natural, (state, _unknown(rows, state), passes, trace, jnp.ones(()))
    )
    return Run(state, found, passes, trace)


def covariance_at(rows: arrow.Rows, hyper: Hyper, state: State, *, family: Family) -> Found:
    """Covariances at the means and scales of `state`; parameters as of `iterate`."""

    def settle(_: int, carry: tuple[State, Found]) -> tuple[State, Found]:
        new, found = _pass(rows, hyper, jnp.zeros(()), carry[0], jnp.ones(()), family=family, gaussian=True)
        return carry[0]._replace(var=new.var), found

    return jax.lax.fori_loop(0, _COVARIANCE_PASSES, settle, (state, _unknown(rows, state)))[1]


class _RowSums(NamedTuple):
    """Sums over products after a step.

    `squares`, `squares_before`: sum of E e_i^2 after and before the step, `freedom`: sum of
    (1 - Var(e_i)/prior variance)^2, shape (d,); the same of log r_i, shape (), with `log_size` its sum.
    """

    squares: jax.Array
    squares_before: jax.Array
    freedom: jax.Array
    log_size: jax.Array
    log_size_squares: jax.Array
    log_size_freedom: jax.Array


def _pass(
    rows: arrow.Rows,
    hyper: Hyper,
    learning: jax.Array,
    state: State,
    share: jax.Array,
    *,
    family: Family,
    gaussian: bool,
) -> tuple[State, Found]:
    """One step of everything; `share` of the new variance of eta is taken over (less than 1 damps)."""
    d = state.theta.shape[1]
    lead = d + rows.controls.shape[1]
    precision = jnp.exp(-2.0 * state.log_scale[:d])
    prior_var = _shared_var(hyper, state, lead)

    def eliminate(total: Any, block: Any) -> Any:
        data, theta, var, log_size = block
        eta = arrow.linear_predictor(data, theta, state.shared)
        expected = expectations(family, data.units, eta, var if gaussian else None, log_size)
        seen = jax.tree.map(lambda cell: cell * data.observed, expected)
        factor, corner = arrow.eliminate(data, theta, state.shared, seen.gradient, seen.curvature, precision)
        dispersion = (jnp.sum(seen.dispersion_gradient, axis=0), jnp.sum(seen.dispersion_curvature, axis=0))
        return jax.tree.map(jnp.add, total, (corner, jnp.sum(seen.log_lik))), (factor, dispersion)

    blocks = (rows, state.theta, state.var, state.log_size)
    nothing = (arrow.empty_corner(lead, len(state.shared) - lead), jnp.zeros(()))
    total, factors = jax.lax.scan(eliminate, _varying(nothing), blocks)
    corner, log_lik = jax.lax.psum(total, AXIS)
    shared = arrow.solve_shared(corner, state.shared, hyper.shared_mean, 1.0 / prior_var, hyper.is_period)
    new_shared, shared_move = _step_shared(hyper, state.shared, shared, lead)
    r_centre, r_precision = state.dispersion_centre, jnp.exp(-2.0 * state.log_scale[d + 1])

    def step(total: Any, block: Any) -> Any:
        (data, theta, var, log_size), (factor, dispersion) = block
        before = arrow.deviation(data, theta, state.shared)
        theta, theta_move = _step_products(data, theta, factor, shared.step)
        after = arrow.deviation(data, theta, new_shared)
        if gaussian:
            covariance = arrow.covariances(data, factor, shared.cov)
            var = var + share * (covariance.eta - var)
            deviation_var, kept = covariance.deviation, (covariance.theta, covariance.theta_lead)
        else:
            deviation_var, kept = arrow.conditional_deviation_var(data, factor), ()
        log_size, r_var, r_move = _step_dispersion(
            log_size, *dispersion, r_centre, r_precision, learning * data.real
        )
        sums = _RowSums(
            _real_sum(data, after**2 + deviation_var),
            _real_sum(data, before**2 + deviation_var),
            _real_sum(data, (1.0 - deviation_var * precision[:, None]) ** 2),
            _real_sum(data, log_size),
            _real_sum(data, (log_size - r_centre) ** 2 + r_var),
            _real_sum(data, (1.0 - r_var * r_precision) ** 2),
        )
        sums = jax.tree.map(jnp.add, total[0], sums)
        return (sums, jnp.maximum(total[1], jnp.stack([theta_move, r_move]))), (theta, var, log_size, kept)

    no_sums = _RowSums(*[jnp.zeros(d)] * 3, *[jnp.zeros(())] * 3)
    (sums, moves), (theta, var, log_size, kept) = jax.lax.scan(
        step, _varying((no_sums, jnp.zeros(2))), (blocks, factors)
    )
    sums, moves = jax.lax.psum(sums, AXIS), jax.lax.pmax(moves, AXIS)
    count = jax.lax.psum(jnp.sum(rows.real), AXIS)

    gamma_var, own = jnp.diagonal(shared.cov)[lead:], hyper.is_period[lead:]
    n_gamma = jnp.maximum(jnp.sum(own) - 1.0, 0.0)  # gamma sums to zero
    shrunk = gamma_var * jnp.exp(-2.0 * state.log_scale[d])
    nb = jnp.float32(family.negative_binomial)
    counts = jnp.stack([*[count] * d, n_gamma, nb * count])
    scored = scales.score_scales(
        state.log_scale,
        hyper.scale,
        _append(sums.squares, own @ (new_shared[lead:] ** 2 + gamma_var), nb * sums.log_size_squares),
        counts,
        _append(
            sums.freedom,
            own @ (1.0 - shrunk) ** 2 * n_gamma / jnp.maximum(jnp.sum(own), 1.0),
            nb * sums.log_size_freedom,
        ),
    )
    mu_precision = count * r_precision + hyper.dispersion_sd**-2
    mu = (sums.log_size * r_precision + hyper.dispersion_mean * hyper.dispersion_sd**-2) / mu_precision
    mu_move = nb * (mu - r_centre)
    scale_step = scored.log_scale - state.log_scale
    scale_move = jnp.maximum(
        jnp.max(jnp.abs(scale_step) * jnp.sqrt(scored.information)),
        jnp.maximum(nb * moves[1], jnp.abs(mu_move) * jnp.sqrt(mu_precision)),
    )

    squares = _append(sums.squares_before, own @ (state.shared[lead:] ** 2 + gamma_var))
    known = (state.shared - hyper.shared_mean)[:lead] ** 2 + jnp.diagonal(shared.cov)[:lead]
    log_prior = -jnp.sum(0.5 * squares * jnp.exp(-2.0 * state.log_scale[: d + 1]))
    log_prior = log_prior - jnp.sum(counts[: d + 1] * state.log_scale[: d + 1])
    log_prior = log_prior - 0.5 * jnp.sum(known / prior_var[:lead] + jnp.log(prior_var[:lead]))
    # log |C| holds the prior of padded periods, which are no part of the model.
    padding = -2.0 * jnp.sum(1.0 - own) * state.log_scale[d]
    entropy = 0.5 * (count * d + lead + n_gamma - corner.log_det - shared.log_det + padding)

    new = State(
        theta,
        var,
        log_size,
        new_shared,
        state.log_scale + learning * scale_step,
        r_centre + learning * mu_move,
    )
    theta_cov, theta_lead = kept if gaussian else (jnp.zeros(0), jnp.zeros(0))
    return new, Found(
        jnp.maximum(moves[0], shared_move),
        learning * scale_move,
        log_lik + log_prior + entropy,
        scored.gradient[0],
        scored.information[0],
        theta_cov,
        theta_lead,
        shared.cov,
    )


def _unknown(rows: arrow.Rows, state: State) -> Found:
    """What is known before the first pass."""
    blocks, d, n = state.theta.shape
    S, lead = len(state.shared), d + rows.controls.shape[1]
    covariances = (jnp.zeros((blocks, d, d, n)), jnp.zeros((blocks, d, lead, n)))
    return Found(*[jnp.asarray(_FAR_AWAY)] * 5, *_varying(covariances), jnp.zeros((S, S)))


def _shared_var(hyper: Hyper, state: State, lead: int) -> jax.Array:
    """Prior variance of s: the mean of gamma over periods counts to the level's mean."""
    d = len(state.log_scale) - 2
    gamma = jnp.exp(2.0 * state.log_scale[d])
    of_mean = gamma / jnp.maximum(jnp.sum(hyper.is_period), 1.0)
    return hyper.shared_var.at[d - 1].add(of_mean).at[lead:].set(gamma)


def _step_shared(
    hyper: Hyper, mean: jax.Array, shared: arrow.Shared, lead: int
) -> tuple[jax.Array, jax.Array]:
    """Step of s, shortened if long, and how many posterior sds it is long."""
    var = jnp.diagonal(shared.cov)
    free = (var > 0.0) & ((jnp.arange(len(mean)) < lead) | (hyper.is_period > 0.0))
    move = jnp.max(jnp.where(free, jnp.abs(shared.step) * jax.lax.rsqrt(jnp.where(free, var, 1.0)), 0.0))
    longest = jnp.max(jnp.abs(shared.step[lead:] * hyper.is_period[lead:]))
    return mean + shared.step * _shortening(longest), move


def _step_products(
    rows: arrow.Rows, theta: jax.Array, factor: arrow.Factor, shared_step: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Step of theta, each product's shortened if long, and the longest in posterior sds given s."""
    step = arrow.product_step(factor, shared_step) * rows.real
    longest = jnp.abs(step[-1])
    for a, slope in enumerate(rows.slopes):
        longest = longest + jnp.abs(step[a]) * jnp.max(jnp.abs(slope), axis=0)
    move = jnp.max(jnp.abs(step) * jax.lax.rsqrt(arrow.conditional_var(factor)))
    return theta + step * _shortening(longest), move


def _shortening(longest: jax.Array) -> jax.Array:
    return jnp.minimum(1.0, _LARGEST_MOVE / jnp.maximum(longest, 1e-30))


def _step_dispersion(
    log_size: jax.Array,
    gradient: jax.Array,
    curvature: jax.Array,
    centre: jax.Array,
    precision: jax.Array,
    learning: jax.Array,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Newton step of log r_i, its posterior variance by the curvature, and the longest step in sds."""
    information = jnp.maximum(curvature, 0.0) + precision
    step = learning * jnp.clip((gradient - precision * (log_size - centre)) / information, -1.0, 1.0)
    moved = jnp.clip(log_size + step, *_LOG_DISPERSION_RANGE)
    return moved, 1.0 / information, jnp.max(jnp.abs(moved - log_size) * jnp.sqrt(information))


def _real_sum(rows: arrow.Rows, values: jax.Array) -> jax.Array:
    return jnp.sum(values * rows.real, axis=-1)


def _append(values: jax.Array, *more: jax.Array) -> jax.Array:
    return jnp.concatenate([values, jnp.stack(more)])


def _varying(tree: Any) -> Any:
    """Mark new arrays as differing between devices, as `shard_map` wants of what a loop carries."""
    return jax.tree.map(lambda leaf: jax.lax.pcast(leaf, AXIS, to="varying"), tree)
