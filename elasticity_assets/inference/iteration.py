"""The natural-gradient iteration on one device's rows: passes over the data until nothing moves.

Everything here runs inside `jax.shard_map` over the mesh axis `AXIS`; a pass sends only sums of the shared
vector's size between devices. Each exchange waits for the last one, since processes that meet in several at once may
take them in different orders. Rows come in blocks that stay in cache, (blocks, ..., n), products last.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from elasticity_assets.inference import arrow, dispersion, scales
from elasticity_assets.inference.expectations import Expectations, Family, expectations
from elasticity_assets.inference.state import Found, Hyper, Run, State

AXIS = "products"  # the mesh axis that rows are spread over

_LARGEST_MOVE = 2.0  # of log expected units, in one step
_NEWTON_UNTIL = 3.0  # posterior sds: closer than this, the variance of eta matters
_MOST_NEWTON = 12
_COVARIANCE_PASSES = 5
_FAR_AWAY = 1e30
_LEAST_SHARE = 0.05
_LEAST_SHARE_OF_SCALES = 0.002  # a spread of dispersions near 0 is a narrow place
_SMALLEST_SD = 0.01  # log units; float32 holds no thousandth of less
_TAU_TOLERANCE = 0.02  # rough posterior sds
SCALE_TOLERANCE = 0.005  # rough posterior sds, of scales and dispersions


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
    """Iterate until converged: plain Newton steps first, then with expectations over eta and log r.

    Where `state` knows the variance (not all 0), it is used from the first pass.

    Parameters
    ----------
    rows : Rows
    hyper : Hyper
    state : State
    learning : array, shape ()
        1 learns scales and dispersions; 0 holds them.
    tolerance : array, shape ()
        Stop when no mean is expected to move more than this, in posterior sds.
    family : Family
        Static.
    max_passes : int
        Static.
    """

    def body(carry: Any) -> Any:
        state, last, passes, trace, gaussian, damping = carry
        before = state
        state, found = _pass(rows, hyper, count, learning, state, gaussian, damping, family)
        damping = damping.after(before, state, gaussian)
        # What is left to go if steps go on shrinking as they just did.
        ratio = jnp.where(last.move < _FAR_AWAY, jnp.clip(found.move / last.move, 0.1, 0.9), first_ratio)
        near = (found.move < _NEWTON_UNTIL) | (passes + 1 >= min(_MOST_NEWTON, max_passes // 2))
        newton = jnp.where(jnp.isfinite(found.move), _FAR_AWAY, found.move)
        found = found._replace(
            move=jnp.where(gaussian, found.move, newton),
            ahead=jnp.where(gaussian, found.move * ratio / (1.0 - ratio), newton),
        )
        return state, found, passes + 1, trace.at[passes].set(found.objective), gaussian | near, damping

    def moving(carry: Any) -> jax.Array:
        _, last, passes, *_ = carry
        settled = (last.ahead <= tolerance) & (last.scale_move <= SCALE_TOLERANCE)
        return ~settled & jnp.isfinite(last.move) & (passes < max_passes)

    count, known = jax.lax.psum(jnp.stack([jnp.sum(rows.real), jnp.any(state.var > 0.0)]), AXIS)
    # Going on from a neighbouring solution, variances are nearly right from the first pass.
    first_ratio = jnp.where(learning > 0.0, 0.5, 0.1)
    start = (
        state,
        _unknown(rows, state),
        jnp.zeros((), jnp.int32),
        jnp.full(max_passes, jnp.nan),
        known > 0.0,
        Damping.none(state),
    )
    state, found, passes, trace, *_ = jax.lax.while_loop(moving, body, start)
    return Run(state, found, passes, trace)


def covariance_at(rows: arrow.Rows, hyper: Hyper, state: State, *, family: Family) -> tuple[State, Found]:
    """Covariances at the means and scales of `state`, Var eta among its own; parameters as of `iterate`."""

    def settle(_: int, carry: tuple[State, Found]) -> tuple[State, Found]:
        state = carry[0]
        new, found = _pass(rows, hyper, count, jnp.zeros(()), state, jnp.asarray(True), undamped, family)
        return state._replace(var=new.var, size_var=new.size_var), found

    undamped = Damping.none(state)
    count = jax.lax.psum(jnp.sum(rows.real), AXIS)
    return jax.lax.fori_loop(0, _COVARIANCE_PASSES, settle, (state, _unknown(rows, state)))


class Damping(NamedTuple):
    """How much of each step is taken: undamped, a mean and its variance, or scales and effects, can chase each other.

    Attributes
    ----------
    variance, size, scales : arrays, shapes (blocks, n), (blocks, n) and (d + 2,)
        Shares of the steps of a product's Var eta, of the mean and variance of its log r_i, and of the scales.
    last_level, last_size, last_size_var, last_scales : arrays, of the same shapes
        The last steps of the products' levels, of the mean and variance of log r_i, and of the scales.
    """

    variance: jax.Array
    size: jax.Array
    scales: jax.Array
    last_level: jax.Array
    last_size: jax.Array
    last_size_var: jax.Array
    last_scales: jax.Array

    @classmethod
    def none(cls, state: State) -> "Damping":
        """Whole steps."""
        size, scales = state.log_size, state.log_scale
        return cls(
            *map(jnp.ones_like, (size, size, scales)), *map(jnp.zeros_like, (size, size, size, scales))
        )

    def after(self, before: State, now: State, gaussian: jax.Array) -> "Damping":
        """Damp more what turned round, and less what did not."""
        level = now.theta[:, -1] - before.theta[:, -1]
        size, size_var = now.log_size - before.log_size, now.size_var - before.size_var
        scales = now.log_scale - before.log_scale
        # Dispersions swing on their way in; only swings that hardly shrink are held back.
        swung = _turned(size, self.last_size, 0.7) | _turned(size_var, self.last_size_var, 0.7)
        return Damping(
            jnp.where(gaussian, _paced(self.variance, _turned(level, self.last_level, 0.3)), 1.0),
            jnp.where(gaussian, _paced(self.size, swung), 1.0),
            _paced(self.scales, _turned(scales, self.last_scales, 0.3), _LEAST_SHARE_OF_SCALES),
            level,
            size,
            size_var,
            scales,
        )


def _turned(step: jax.Array, last: jax.Array, share: float) -> jax.Array:
    """Whether a step undoes more than this share of the last one."""
    return step * last < -share * last**2


def _paced(share: jax.Array, turned: jax.Array, least: float = _LEAST_SHARE) -> jax.Array:
    return jnp.clip(share * jnp.where(turned, 0.5, 1.3), least, 1.0)


class _Seen(NamedTuple):
    """Sums over all rows at the current means: what the shared systems need, and E log p(y)."""

    corner: arrow.Corner
    centre: dispersion.Centre
    log_lik: jax.Array


class _Moved(NamedTuple):
    """Sums over all rows after a step.

    `squares`, `squares_before`: sum of E e_i^2 after and before the step; `freedom`: sum of
    (1 - Var(e_i)/prior variance)^2; shape (d + 1,), with log r_i - mu_r as the last deviation.
    """

    squares: jax.Array
    squares_before: jax.Array
    freedom: jax.Array


def _pass(  # noqa: PLR0915 - one equation a line, in the order of the derivation
    rows: arrow.Rows,
    hyper: Hyper,
    count: jax.Array,
    learning: jax.Array,
    state: State,
    gaussian: jax.Array,
    damping: Damping,
    family: Family,
) -> tuple[State, Found]:
    """One step of everything, of `count` products on all devices.

    `gaussian` tells whether expectations are over eta and log r or at their means.
    """
    d = state.theta.shape[1]
    lead = d + rows.controls.shape[1]
    precision = jnp.exp(-2.0 * state.log_scale[:d])
    mu, r_precision = state.dispersion_centre, jnp.exp(-2.0 * state.log_scale[d + 1])
    prior_var = _shared_var(hyper, state, lead)
    blocks = (rows, state.theta, state.var, state.log_size, state.size_var)

    def look(total: _Seen, block: Any) -> tuple[_Seen, Any]:
        data, theta, var, log_size, size_var = block
        eta = arrow.linear_predictor(data, theta, state.shared)
        # At the mean alone there is no ELBO yet: its log likelihoods, half the work, are left out.
        gradient, curvature, log_lik, evidence = jax.lax.cond(
            gaussian,
            lambda: _weighted(expectations(family, data.units, eta, var, log_size, size_var), data.weight),
            lambda: _weighted(
                expectations(family, data.units, eta, None, log_size, None)._replace(
                    log_lik=jnp.full_like(eta, jnp.nan)
                ),
                data.weight,
            ),
        )
        factor, corner = arrow.eliminate(data, theta, state.shared, gradient, curvature, precision)
        seen = _Seen(
            corner,
            dispersion.eliminate(log_size, mu, r_precision, evidence, data.real),
            log_lik,
        )
        return jax.tree.map(jnp.add, total, seen), (factor, evidence)

    nothing = _Seen(
        arrow.empty_corner(len(state.shared)),
        dispersion.Centre(*[jnp.zeros(())] * 3),
        jnp.zeros(()),
    )
    seen, factors = jax.lax.scan(look, _varying(nothing), blocks)
    seen = jax.lax.psum(seen, AXIS)
    shared = arrow.solve_shared(
        seen.corner, state.shared, hyper.shared_mean, 1.0 / prior_var, hyper.is_period
    )
    shared_step, shared_move = _shared_step(hyper, shared, lead)
    mu_step, mu_var = dispersion.solve_centre(seen.centre, mu, hyper.dispersion_mean, hyper.dispersion_sd)
    mu_step = learning * family.negative_binomial * mu_step

    def move(total: Any, block: Any) -> Any:
        (data, theta, var, log_size, size_var), (factor, evidence), (share, size_share) = block
        new_theta, theta_move = _step_products(data, theta, factor, shared_step)
        covariance = jax.lax.cond(
            gaussian,
            lambda: arrow.covariances(data, factor, shared.cov),
            lambda: arrow.rough_covariances(data, factor, shared.cov),
        )
        r = dispersion.step(log_size, mu, r_precision, evidence, mu_step, mu_var, learning * data.real)
        new_size = log_size + size_share * (r.log_size - log_size)
        before = arrow.deviation(data, theta, state.shared)
        after = arrow.deviation(data, new_theta, state.shared + shared_step)
        deviation_var = _append_row(covariance.deviation, r.deviation_var)
        shrunk = deviation_var * jnp.append(precision, r_precision)[:, None]
        moved = _Moved(
            (_append_row(after, new_size - mu - mu_step) ** 2 + deviation_var) @ data.real,
            (_append_row(before, log_size - mu) ** 2 + deviation_var) @ data.real,
            (1.0 - shrunk) ** 2 @ data.real,
        )
        total = jax.tree.map(jnp.add, total[0], moved), jnp.maximum(total[1], jnp.stack([theta_move, r.move]))
        var = jnp.where(gaussian, var + share * (covariance.eta - var), covariance.eta)
        size_var = jnp.where(gaussian, size_var + size_share * (r.var - size_var), r.var)
        return total, (new_theta, var, new_size, size_var, covariance.theta, covariance.theta_lead)

    still = (_Moved(*[jnp.zeros(d + 1)] * 3), jnp.zeros(2))
    (moved, moves), (theta, var, log_size, size_var, theta_cov, theta_lead) = jax.lax.scan(
        move, _varying(still), (blocks, factors, (damping.variance, damping.size))
    )
    by_device = jnp.zeros((jax.lax.axis_size(AXIS), 2)).at[jax.lax.axis_index(AXIS)].set(moves)
    moved, by_device = jax.lax.psum((moved, by_device), AXIS)
    moves = jnp.max(by_device, axis=0)

    gamma = _gamma_sums(hyper, state, shared, shared_step, lead)
    nb = float(family.negative_binomial)
    counts = jnp.stack([*[count] * d, gamma.terms, nb * count])
    scored = scales.score_scales(
        state.log_scale,
        hyper.scale,
        _insert(moved.squares, gamma.squares, nb),
        counts,
        _insert(moved.freedom, gamma.freedom, nb),
    )
    scale_step = scored.log_scale - state.log_scale
    scale_sds = jnp.abs(scale_step) * jnp.sqrt(scored.information)
    # tau is integrated over a grid around its mode, which needs no more digits.
    tolerances = jnp.where(jnp.arange(d + 2) < 1, _TAU_TOLERANCE, 0.5 * SCALE_TOLERANCE)
    scale_step = jnp.where(scale_sds > tolerances, damping.scales * scale_step, 0.0)
    scale_move = jnp.max(jnp.where(scale_sds > tolerances, scale_sds, 0.0))
    scale_move = jnp.maximum(scale_move, nb * jnp.maximum(moves[1], jnp.abs(mu_step) * jax.lax.rsqrt(mu_var)))
    new = State(
        theta,
        var,
        log_size,
        size_var,
        state.shared + shared_step,
        state.log_scale + learning * scale_step,
        mu + mu_step,
    )
    squares = _insert(moved.squares_before, gamma.squares_before, nb)
    objective = seen.log_lik + _log_prior(hyper, state, shared, prior_var, squares, counts, lead)
    objective = objective + _entropy(hyper, state, seen.corner, shared, counts, lead)
    objective = objective + 0.5 * nb * (count - seen.centre.log_det)
    found = Found(
        jnp.maximum(moves[0], shared_move),
        jnp.asarray(_FAR_AWAY),
        learning * scale_move,
        objective,
        scored.gradient[0],
        scored.information[0],
        theta_cov,
        theta_lead,
        jnp.diagonal(shared.cov),
        shared.cov[:lead, :lead],
    )
    return new, found


def _weighted(
    cells: Expectations, weight: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array, dispersion.Evidence]:
    """Gradient and curvature of the cells times their weights, and what is needed in sums alone."""
    evidence = dispersion.Evidence(
        arrow.over_periods(cells.dispersion_gradient * weight),
        arrow.over_periods(cells.dispersion_curvature * weight),
    )
    log_lik = jnp.sum(arrow.over_periods(cells.log_lik * weight))
    return cells.gradient * weight, cells.curvature * weight, log_lik, evidence


class _GammaSums(NamedTuple):
    """Sums over the period effects, as in `_Moved`; `terms` is one less than their number, as they sum to zero."""

    squares: jax.Array
    squares_before: jax.Array
    freedom: jax.Array
    terms: jax.Array


def _gamma_sums(hyper: Hyper, state: State, shared: arrow.Shared, step: jax.Array, lead: int) -> _GammaSums:
    own = hyper.is_period[lead:]
    var = jnp.diagonal(shared.cov)[lead:]
    count = jnp.maximum(jnp.sum(own) - 1.0, 0.0)
    before = state.shared[lead:]
    shrunk = var * jnp.exp(-2.0 * state.log_scale[-2])
    freedom = own @ (1.0 - shrunk) ** 2 * count / jnp.maximum(jnp.sum(own), 1.0)
    return _GammaSums(own @ ((before + step[lead:]) ** 2 + var), own @ (before**2 + var), freedom, count)


def _log_prior(
    hyper: Hyper,
    state: State,
    shared: arrow.Shared,
    prior_var: jax.Array,
    squares: jax.Array,
    counts: jax.Array,
    lead: int,
) -> jax.Array:
    """E log prior of theta, s and the dispersions, less terms in log(2 pi)."""
    value = -jnp.sum(0.5 * squares * jnp.exp(-2.0 * state.log_scale) + counts * state.log_scale)
    known = (state.shared - hyper.shared_mean)[:lead] ** 2 + jnp.diagonal(shared.cov)[:lead]
    return value - 0.5 * jnp.sum(known / prior_var[:lead] + jnp.log(prior_var[:lead]))


def _entropy(
    hyper: Hyper, state: State, corner: arrow.Corner, shared: arrow.Shared, counts: jax.Array, lead: int
) -> jax.Array:
    """Entropy of theta and s, less terms in log(2 pi)."""
    # log |C| holds the prior of padded periods, which are no part of the model.
    padding = -2.0 * jnp.sum(1.0 - hyper.is_period[lead:]) * state.log_scale[-2]
    return 0.5 * (jnp.sum(counts[:-1]) + lead - corner.log_det - shared.log_det + padding)


def _unknown(rows: arrow.Rows, state: State) -> Found:
    """Start with nothing known."""
    blocks, d, n = state.theta.shape
    S, lead = len(state.shared), d + rows.controls.shape[1]
    covariances = (jnp.zeros((blocks, d, d, n)), jnp.zeros((blocks, d, lead, n)))
    far = jnp.asarray(_FAR_AWAY)
    theta_cov, theta_lead = _varying(covariances)
    return Found(far, far, far, far, far, far, theta_cov, theta_lead, jnp.zeros(S), jnp.zeros((lead, lead)))


def _shared_var(hyper: Hyper, state: State, lead: int) -> jax.Array:
    """Prior variance of s: the mean of gamma over periods counts to the level's mean."""
    d = len(state.log_scale) - 2
    gamma = jnp.exp(2.0 * state.log_scale[d])
    of_mean = gamma / jnp.maximum(jnp.sum(hyper.is_period), 1.0)
    return hyper.shared_var.at[d - 1].add(of_mean).at[lead:].set(gamma)


def _shared_step(hyper: Hyper, shared: arrow.Shared, lead: int) -> tuple[jax.Array, jax.Array]:
    """Step of s, shortened if long, and how many posterior sds it was long."""
    var = jnp.diagonal(shared.cov)
    free = (var > 0.0) & ((jnp.arange(len(var)) < lead) | (hyper.is_period > 0.0))
    move = jnp.max(
        jnp.where(free, jnp.abs(shared.step), 0.0) / jnp.maximum(jnp.sqrt(jnp.abs(var)), _SMALLEST_SD)
    )
    return shared.step * _shortening(jnp.max(jnp.abs(shared.step[lead:]))), move


def _step_products(
    rows: arrow.Rows, theta: jax.Array, factor: arrow.Factor, shared_step: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Step of theta, each product's shortened if long, and the longest in posterior sds given s."""
    step = arrow.product_step(factor, shared_step) * rows.real
    longest = jnp.abs(step[-1])
    for a, slope in enumerate(rows.slopes):
        longest = longest + jnp.abs(step[a]) * jnp.max(jnp.abs(slope), axis=0)
    move = jnp.max(jnp.abs(step) / jnp.maximum(jnp.sqrt(arrow.conditional_var(factor)), _SMALLEST_SD))
    return theta + step * _shortening(longest), move


def _shortening(longest: jax.Array) -> jax.Array:
    return jnp.minimum(1.0, _LARGEST_MOVE / jnp.maximum(longest, 1e-30))


def _append_row(values: jax.Array, row: jax.Array) -> jax.Array:
    return jnp.concatenate([values, row[None]])


def _insert(of_rows: jax.Array, of_gamma: jax.Array, of_dispersion: float) -> jax.Array:
    """Put gamma's before the dispersion's, which counts by the factor given."""
    return jnp.concatenate([of_rows[:-1], jnp.stack([of_gamma, of_dispersion * of_rows[-1]])])


def _varying(tree: Any) -> Any:
    """Mark new arrays as differing between devices, as `shard_map` wants of what a loop carries."""
    return jax.tree.map(lambda leaf: jax.lax.pcast(leaf, AXIS, to="varying"), tree)
