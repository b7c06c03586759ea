"""One pass over the data in its parts: look at all rows, solve what they share, move all rows, settle the scales.

`iteration` passes over rows in memory, `streaming` over rows that are read a part at a time; both add up what `look`
and `move` give for each part of the rows, over devices too. Rows come in blocks that stay in cache, (blocks, ..., n),
products last. Everything here runs inside `jax.shard_map` over the mesh axis `AXIS`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from elasticity_assets.inference.density.expectations import Expectations, Family, expectations
from elasticity_assets.inference.devices import AXIS
from elasticity_assets.inference.natural_gradient import arrow, dispersion, scales, slow_demand
from elasticity_assets.inference.natural_gradient.damping import OfRows, OfScales
from elasticity_assets.inference.natural_gradient.state import FAR_AWAY, Found, Hyper, State

_LARGEST_MOVE = 2.0  # of log expected units, in one step
_SMALLEST_SD = 0.01  # log units; float32 holds no thousandth of less
_TAU_TOLERANCE = 0.02  # rough posterior sds
_SCALE_TOLERANCE = 0.0025  # rough posterior sds: shorter steps of scales and dispersions are not taken
LONGEST = 3


class Seen(NamedTuple):
    """Sums over rows at the current means; they add up over parts of the rows.

    Attributes
    ----------
    corner : Corner
    centre : Centre
    log_lik : array, shape ()
        E log p(y), less `log_base`.
    products : array, shape ()
        Their number.
    """

    corner: arrow.Corner
    centre: dispersion.Centre
    log_lik: jax.Array
    products: jax.Array


class Kept(NamedTuple):
    """What `move` needs of what `look` saw of the same rows, by block."""

    factor: arrow.Factor
    size_derivatives: dispersion.SizeDerivatives


class Solved(NamedTuple):
    """The steps of what all rows share.

    Attributes
    ----------
    shared : Shared
    step : array, shape (S,)
        Of s, shortened if long.
    move : array, shape ()
        Its longest, in posterior sds.
    centre_step, centre_var : arrays, shape ()
        Of mu_r.
    """

    shared: arrow.Shared
    step: jax.Array
    move: jax.Array
    centre_step: jax.Array
    centre_var: jax.Array


class Moved(NamedTuple):
    """Sums over rows after a step; they add up over parts of the rows. The last deviation is log r_i - mu_r.

    Attributes
    ----------
    squares, squares_before : arrays, shape (d + 1,)
        Sum of E e_i^2 after and before the step.
    freedom : array, shape (d + 1,)
        Sum of (1 - Var(e_i)/prior variance)^2.
    experiments : array, shape ()
        E log of what was found elsewhere, before the step, less terms that hold no parameter.
    slow : slow_demand.Moved
    """

    squares: jax.Array
    squares_before: jax.Array
    freedom: jax.Array
    experiments: jax.Array
    slow: slow_demand.Moved


class MovedRows(NamedTuple):
    """Rows after a step; arrays as of `State` and `Found`."""

    theta: jax.Array
    var: jax.Array
    log_size: jax.Array
    size_var: jax.Array
    theta_cov: jax.Array
    theta_lead: jax.Array
    slow: slow_demand.OfRows


def look(
    rows: arrow.Rows, state: State, kept: Kept, gaussian: jax.Array, family: Family
) -> tuple[Seen, Kept]:
    """See what rows say at the current means.

    Parameters
    ----------
    rows : Rows
    state : State
    kept : Kept
        Of another pass, or `nothing_kept`: written over.
    gaussian : array, shape ()
        Whether expectations are over eta and log r.
    family : Family
    """
    d = state.theta.shape[1]
    precision = jnp.exp(-2.0 * state.log_scale[:d])
    mu, r_precision = state.dispersion_centre, jnp.exp(-2.0 * state.log_scale[d + 1])

    def of_block(total: Seen, block: Any) -> tuple[Seen, Kept]:
        data, theta, var, log_size, size_var, slow = block
        eta = arrow.linear_predictor(data, theta, state.shared)
        own = _slow_demand(slow, state)
        if own is not None:
            eta = eta + own.mean
        # Few nodes will do for what has been observed, of other cells less is known; and one at the mean alone, where
        # there is no ELBO yet.
        var = jnp.where(gaussian & (data.weight > 0), var, 0.0)
        size_var = jnp.where(gaussian, size_var, 0.0)
        gradient, curvature, log_lik, size_derivatives = _weighted(
            expectations(family, data.units, eta, var, log_size, size_var), data.weight
        )
        log_lik = jnp.where(gaussian, log_lik, jnp.nan)
        factor, corner = arrow.eliminate(data, theta, state.shared, gradient, curvature, precision, own)
        centre = dispersion.eliminate(log_size, mu, r_precision, size_derivatives, data.real)
        seen = Seen(corner, centre, log_lik, jnp.sum(data.real))
        return jax.tree.map(jnp.add, total, seen), Kept(factor, size_derivatives)

    nothing = _varying(nothing_seen(len(state.shared)))
    return _over_blocks(of_block, nothing, kept, (rows, *_of_rows(state)), rows.real)


def _of_rows(state: State) -> tuple[Any, ...]:
    """Take what each block has of its own."""
    return state.theta, state.var, state.log_size, state.size_var, state.slow


def _slow_demand(rows: slow_demand.OfRows, state: State) -> slow_demand.Ar1 | None:
    """Slow demand of a block; None where the model has none."""
    return slow_demand.at_hand(rows, state.slow_common) if len(rows.mean) else None


def nothing_seen(size: int) -> Seen:
    """Begin with sums over no rows; `size` is S."""
    return Seen(
        arrow.empty_corner(size), dispersion.Centre(*[jnp.zeros(())] * 3), jnp.zeros(()), jnp.zeros(())
    )


def nothing_kept(rows: arrow.Rows, state: State) -> Kept:
    """Make room for what `look` keeps, which takes as long as a tenth of a pass."""
    blocks, d, n = state.theta.shape
    W, S = rows.units.shape[1], len(state.shared)
    slow = None
    if state.slow.mean.shape[1]:
        cells = jnp.zeros((blocks, W, n))
        left = jnp.zeros((blocks, d + rows.controls.shape[1], W, n))
        of_product = jnp.zeros((blocks, n))
        slow = slow_demand.Eliminated(jnp.zeros((blocks, W, 2, n)), cells, cells, left, cells, of_product)
    border = (jnp.zeros((blocks, S + 1, n)),) * d
    factor = arrow.Factor(jnp.zeros((blocks, d, d, n)), border, jnp.zeros((blocks, d, S - W, n)), slow)
    kept = Kept(factor, dispersion.SizeDerivatives(*[jnp.zeros((blocks, n))] * 2))
    return _varying(kept)


def solve(hyper: Hyper, state: State, lead: int, seen: Seen, learning: jax.Array, family: Family) -> Solved:
    """Solve for what all rows share; `seen` sums over all, and `lead` is m + K."""
    shared = arrow.solve_shared(
        seen.corner,
        state.shared,
        hyper.shared_mean,
        1.0 / _shared_var(hyper, state, lead),
        hyper.is_period,
    )
    step, move = _shared_step(hyper, shared, lead)
    centre_step, centre_var = dispersion.solve_centre(
        seen.centre, state.dispersion_centre, hyper.dispersion_mean, hyper.dispersion_sd
    )
    return Solved(shared, step, move, learning * family.negative_binomial * centre_step, centre_var)


def move(
    rows: arrow.Rows,
    state: State,
    kept: Kept,
    solved: Solved,
    damping: OfRows,
    gaussian: jax.Array,
    learning: jax.Array,
    slow_share: jax.Array,
    is_period: jax.Array,
) -> tuple[Moved, jax.Array, MovedRows]:
    """Move rows by the step that goes with what all share.

    Returns
    -------
    moved : Moved
    longest : array, shape (LONGEST,)
        Longest steps of a mean, of a dispersion, and of an sd of slow demand, in posterior sds.
    rows : MovedRows
    """
    d = state.theta.shape[1]
    lead = len(is_period) - rows.units.shape[1]
    precision = jnp.exp(-2.0 * state.log_scale[:d])
    mu, r_precision = state.dispersion_centre, jnp.exp(-2.0 * state.log_scale[d + 1])
    cov = arrow.shared_covariance(solved.shared.cov, lead, slow_demand=kept.factor.slow is not None)

    def of_block(total: Any, block: Any) -> Any:
        (data, theta, var, log_size, size_var, slow), kept, (share, size_share) = block
        factor, size_derivatives = kept
        new_theta, slow_step, theta_move = _step_products(data, theta, factor, solved.step)
        covariance = jax.lax.cond(
            gaussian,
            lambda: arrow.covariances(data, factor, cov),
            lambda: arrow.rough_covariances(data, factor, solved.shared.cov),
        )
        r = dispersion.step(
            log_size,
            mu,
            r_precision,
            size_derivatives,
            solved.centre_step,
            solved.centre_var,
            learning * data.real,
        )
        new_size = log_size + size_share * (r.log_size - log_size)
        before = arrow.deviation(data, theta, state.shared)
        after = arrow.deviation(data, new_theta, state.shared + solved.step)
        deviation_var = _append_row(covariance.deviation, r.deviation_var)
        shrunk = deviation_var * jnp.append(precision, r_precision)[:, None]
        slow_moved, slow, slow_move = _move_slow_demand(
            factor,
            slow,
            slow_step,
            covariance,
            state.slow_common,
            is_period[lead:],
            data,
            learning * slow_share,
        )
        moved = Moved(
            (_append_row(after, new_size - mu - solved.centre_step) ** 2 + deviation_var) @ data.real,
            (_append_row(before, log_size - mu) ** 2 + deviation_var) @ data.real,
            (1.0 - shrunk) ** 2 @ data.real,
            -0.5 * data.experiment[1] @ ((theta[0] - data.experiment[0]) ** 2 + covariance.theta[0, 0]),
            slow_moved,
        )
        longest = jnp.stack([theta_move, r.move, slow_move])
        total = jax.tree.map(jnp.add, total[0], moved), jnp.maximum(total[1], longest)
        var = jnp.where(gaussian, var + share * (covariance.eta - var), covariance.eta)
        size_var = jnp.where(gaussian, size_var + size_share * (r.var - size_var), r.var)
        return total, MovedRows(
            new_theta, var, new_size, size_var, covariance.theta, covariance.theta_lead, slow
        )

    theta_cov, theta_lead = no_covariances(state, lead)
    unmoved = MovedRows(
        state.theta, state.var, state.log_size, state.size_var, theta_cov, theta_lead, state.slow
    )
    (moved, longest), moved_rows = _over_blocks(
        of_block,
        _varying((nothing_moved(d), jnp.zeros(LONGEST))),
        unmoved,
        (
            (rows, *_of_rows(state)),
            kept,
            (damping.variance, damping.size),
        ),
        rows.real,
    )
    return moved, longest, moved_rows


def no_covariances(state: State, lead: int) -> tuple[jax.Array, jax.Array]:
    """Make room for the products' covariances, as of `Found`; `lead` is m + K."""
    blocks, d, n = state.theta.shape
    theta_cov, theta_lead = _varying((jnp.zeros((blocks, d, d, n)), jnp.zeros((blocks, d, lead, n))))
    return theta_cov, theta_lead


def nothing_moved(d: int) -> Moved:
    """Begin with sums over no rows of d numbers a product."""
    zeros = jnp.zeros(d + 1)
    return Moved(zeros, zeros, zeros, jnp.zeros(()), slow_demand.nothing_moved())


def settle(
    hyper: Hyper,
    state: State,
    lead: int,
    seen: Seen,
    solved: Solved,
    moved: Moved,
    longest: jax.Array,
    damping: OfScales,
    learning: jax.Array,
    family: Family,
) -> tuple[State, Found]:
    """Move the scales, and judge the pass; sums are over all rows.

    Returns
    -------
    state : State
        What all rows share after the step; the rows' own parts as before it.
    found : Found
        Without the products' covariances: empty.
    """
    d = len(state.log_scale) - 2
    nb = float(family.negative_binomial)
    shared = solved.shared
    gamma = _gamma_sums(hyper, state, shared, solved.step, lead)
    counts = jnp.stack([*[seen.products] * d, gamma.terms, nb * seen.products])
    scored = scales.score_scales(
        state.log_scale,
        hyper.scale,
        *(
            _tied(values, hyper.is_season)
            for values in (
                _insert(moved.squares, gamma.squares, nb),
                counts,
                _insert(moved.freedom, gamma.freedom, nb),
            )
        ),
    )
    scale_step = scored.log_scale - state.log_scale
    scale_sds = jnp.abs(scale_step) * jnp.sqrt(scored.information)
    # tau is integrated over a grid around its mode, which needs no more digits.
    tolerances = jnp.where(jnp.arange(d + 2) < 1, _TAU_TOLERANCE, _SCALE_TOLERANCE)
    scale_step = jnp.where(scale_sds > tolerances, damping.share[: d + 2] * scale_step, 0.0)
    scale_move = jnp.max(jnp.where(scale_sds > tolerances, scale_sds, 0.0))
    centre_sds = jnp.abs(solved.centre_step) * jax.lax.rsqrt(solved.centre_var)
    scale_move = jnp.maximum(scale_move, nb * jnp.maximum(longest[1], centre_sds))
    squares = _insert(moved.squares_before, gamma.squares_before, nb)
    prior_var = _shared_var(hyper, state, lead)
    objective = seen.log_lik + _log_prior(hyper, state, shared, prior_var, squares, counts, lead)
    objective = objective + _entropy(hyper, state, seen.corner, shared, counts, lead)
    objective = objective + 0.5 * nb * (seen.products - seen.centre.log_det)
    objective = objective - 0.5 * moved.slow.energy + moved.experiments
    slow_common, slow_move = slow_demand.settle(
        hyper.slow, state.slow_common, moved.slow, seen.products, damping.share[d + 2 :], learning
    )
    scale_move = jnp.maximum(scale_move, jnp.maximum(slow_move, longest[2]))
    found = Found(
        move=jnp.maximum(longest[0], solved.move),
        ahead=jnp.asarray(FAR_AWAY),
        scale_move=learning * scale_move,
        objective=objective,
        tau_gradient=scored.gradient[0],
        tau_information=scored.information[0],
        theta_cov=jnp.zeros(0),
        theta_lead=jnp.zeros(0),
        shared_var=jnp.diagonal(shared.cov),
        lead_cov=shared.cov[:lead, :lead],
    )
    state = state._replace(
        shared=state.shared + solved.step,
        log_scale=state.log_scale + learning * scale_step,
        dispersion_centre=state.dispersion_centre + solved.centre_step,
        slow_common=slow_common,
    )
    return state, found


def _weighted(
    cells: Expectations, weight: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array, dispersion.SizeDerivatives]:
    """Gradient and curvature of the cells times their weights, and what is needed in sums alone."""
    size_derivatives = dispersion.SizeDerivatives(
        arrow.over_periods(cells.dispersion_gradient * weight),
        arrow.over_periods(cells.dispersion_curvature * weight),
    )
    log_lik = jnp.sum(arrow.over_periods(cells.log_lik * weight))
    return cells.gradient * weight, cells.curvature * weight, log_lik, size_derivatives


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


def _shared_var(hyper: Hyper, state: State, lead: int) -> jax.Array:
    """Prior variance of s: the mean of gamma over periods counts to the level's mean."""
    d = len(state.log_scale) - 2
    gamma = jnp.exp(2.0 * state.log_scale[d])
    of_mean = gamma / jnp.maximum(jnp.sum(hyper.is_period), 1.0)
    return (hyper.shared_var + hyper.is_level * of_mean).at[lead:].set(gamma)


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
) -> tuple[jax.Array, jax.Array | None, jax.Array]:
    """Step of theta and slow demand, each product's shortened if long, and theta's longest in posterior sds given s."""
    step = arrow.product_step(factor, shared_step) * rows.real
    move = jnp.max(jnp.abs(step) / jnp.maximum(jnp.sqrt(arrow.conditional_var(factor)), _SMALLEST_SD))
    longest = jnp.abs(step[-1])
    for a, z in enumerate(arrow.of_products(rows)):
        longest = longest + jnp.abs(step[a]) * jnp.max(jnp.abs(z), axis=0)
    if factor.slow is None:
        return theta + step * _shortening(longest), None, move
    slow_step = arrow.slow_step(rows, factor.slow, step, shared_step) * rows.real
    share = _shortening(longest + jnp.max(jnp.abs(slow_step), axis=0))
    return theta + step * share, slow_step * share, move


def _move_slow_demand(
    factor: arrow.Factor,
    rows: slow_demand.OfRows,
    step: jax.Array | None,
    covariance: arrow.Covariance,
    common: slow_demand.Common,
    is_period: jax.Array,
    data: arrow.Rows,
    learning: jax.Array,
) -> tuple[slow_demand.Moved, slow_demand.OfRows, jax.Array]:
    """Move a block's slow demand; none stays none."""
    if step is None or factor.slow is None:
        nothing = jax.tree.map(lambda zero: zero * data.real[0], slow_demand.nothing_moved())
        return nothing, rows, 0.0 * data.real[0]
    eliminated, own = factor.slow, slow_demand.at_hand(rows, common)
    mean = own.mean + step
    own = own._replace(mean=mean)
    d = len(covariance.theta)
    taken = [
        z - left for z, left in zip([*arrow.of_products(data), 1.0], factor.slow.regressors[:d], strict=True)
    ]
    energy = slow_demand.energy_of_mean(own) + covariance.slow_energy
    energy = energy * data.real
    still = jax.tree.map(lambda zero: zero * data.real[0], slow_demand.nothing_moved())
    moved, log_sd, share, move = jax.lax.cond(
        learning > 0.0,
        lambda: slow_demand.move_scales(
            own,
            eliminated,
            common,
            arrow.given_shared(factor),
            taken,
            energy,
            is_period,
            data.real,
            learning,
        ),
        lambda: (still._replace(energy=jnp.sum(energy)), own.log_sd, rows.share, 0.0 * data.real[0]),
    )
    return moved, slow_demand.OfRows(mean, log_sd, share), move


def _shortening(longest: jax.Array) -> jax.Array:
    return jnp.minimum(1.0, _LARGEST_MOVE / jnp.maximum(longest, 1e-30))


def _append_row(values: jax.Array, row: jax.Array) -> jax.Array:
    return jnp.concatenate([values, row[None]])


def _tied(values: jax.Array, together: jax.Array) -> jax.Array:
    """Give scales that are one and the same what all of them sum to."""
    return jnp.where(together > 0.0, jnp.vdot(together, values), values)


def _insert(of_rows: jax.Array, of_gamma: jax.Array, of_dispersion: float) -> jax.Array:
    """Put gamma's before the dispersion's, which counts by the factor given."""
    return jnp.concatenate([of_rows[:-1], jnp.stack([of_gamma, of_dispersion * of_rows[-1]])])


def _over_blocks(
    of_block: Callable[[Any, Any], tuple[Any, Any]], total: Any, given: Any, blocks: Any, real: jax.Array
) -> tuple[Any, Any]:
    """Go over blocks as `jax.lax.scan` does, up to the last that has a product.

    The number of blocks is that of the program's room, of which there are few (`Blocks.cut`).

    Parameters
    ----------
    of_block : callable
    total : tree of arrays
        What is carried.
    given : tree of arrays
        Written over by what each block gives; of blocks without products it stays.
    blocks : tree of arrays
        What there is of each block.
    real : array, shape (blocks, n)
    """

    def step(block: jax.Array, carry: tuple[Any, Any]) -> tuple[Any, Any]:
        total, given = carry
        at = jax.tree.map(
            lambda all_of_it: jax.lax.dynamic_index_in_dim(all_of_it, block, keepdims=False), blocks
        )
        total, new = of_block(total, at)
        return total, jax.tree.map(
            lambda all_of_it, own: jax.lax.dynamic_update_index_in_dim(all_of_it, own, block, 0), given, new
        )

    used = jnp.max(jnp.where(jnp.any(real > 0, axis=1), jnp.arange(1, len(real) + 1), 0))
    return jax.lax.fori_loop(0, used, step, (total, given))


def _varying(tree: Any) -> Any:
    """Mark new arrays as differing between devices, as `shard_map` wants of what a loop carries."""
    return jax.tree.map(lambda leaf: jax.lax.pcast(leaf, AXIS, to="varying"), tree)
