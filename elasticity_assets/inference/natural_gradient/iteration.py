"""The natural-gradient iteration on one device's rows: passes over the data until nothing moves.

Everything here runs inside `jax.shard_map` over the mesh axis `AXIS`; a pass sends only sums of the shared
vector's size between devices. Each exchange waits for the last one, since processes that meet in several at once may
take them in different orders.
"""

from typing import Any

import jax
import jax.numpy as jnp

from elasticity_assets.inference.density.expectations import Family
from elasticity_assets.inference.devices import AXIS, Leaf
from elasticity_assets.inference.natural_gradient import arrow, one_pass
from elasticity_assets.inference.natural_gradient.damping import OfRows, OfScales
from elasticity_assets.inference.natural_gradient.state import FAR_AWAY, Found, Hyper, Run, State

_NEWTON_UNTIL = 3.0  # posterior sds: closer than this, the variance of eta matters
_MOST_NEWTON = 12
_COVARIANCE_PASSES = 5
NEVER = -1.0
"""A tolerance that no fit reaches: passes go on to the last that is allowed."""
OF_SCALES = 10.0
"""How many times more rough posterior sds than the means' tolerance a scale may have to go: it moves them far less."""


def iterate(
    rows: arrow.Rows,
    hyper: Hyper,
    state: State,
    learning: jax.Array,
    tolerance: jax.Array,
    most: jax.Array,
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
    most : int array, shape ()
        Passes to make at most, `max_passes` or fewer.
    family : Family
        Static.
    max_passes : int
        Static.
    """

    def body(carry: Any) -> Any:
        state, last, passes, trace, gaussian, of_rows, of_scales, kept = carry
        before = state
        state, found, kept = _pass(rows, hyper, learning, state, kept, gaussian, of_rows, of_scales, family)
        of_rows, of_scales = of_rows.after(before, state, gaussian), of_scales.after(before, state)
        found, near = judge(found, last, passes, gaussian, learning, max_passes)
        trace = trace.at[passes].set(found.objective)
        return state, found, passes + 1, trace, gaussian | near, of_rows, of_scales, kept

    def moving(carry: Any) -> jax.Array:
        _, last, passes, *_ = carry
        return is_moving(last, passes, tolerance, most)

    start = (
        state,
        _unknown(rows, state),
        jnp.zeros((), jnp.int32),
        jnp.full(max_passes, jnp.nan),
        jax.lax.pmax(jnp.max(state.var), AXIS) > 0.0,
        OfRows.first(state.log_size),
        OfScales.first(state.log_scale),
        one_pass.nothing_kept(rows, state),
    )
    state, found, passes, trace, *_ = jax.lax.while_loop(moving, body, start)
    return Run(state, found, passes, trace)


def judge(
    found: Found, last: Found, passes: jax.Array | int, gaussian: Leaf, learning: Leaf, max_passes: int
) -> tuple[Found, jax.Array]:
    """Estimate how far there is yet to go after a pass.

    Parameters
    ----------
    found, last : Found
        By this pass and the one before.
    passes : array, shape ()
        Done before this one.
    gaussian : array, shape ()
        Whether this one's expectations were over eta and log r.
    learning : array, shape ()
    max_passes : int

    Returns
    -------
    found : Found
        With `ahead`.
    near : array, shape ()
        Whether the next pass should take expectations over eta and log r.
    """
    # What is left to go if steps go on shrinking as they just did; going on from a neighbouring solution, variances are
    # nearly right from the first pass.
    first_ratio = jnp.where(learning > 0.0, 0.5, 0.1)
    ratio = jnp.where(last.move < FAR_AWAY, jnp.clip(found.move / last.move, 0.1, 0.9), first_ratio)
    near = (found.move < _NEWTON_UNTIL) | (passes + 1 >= min(_MOST_NEWTON, max_passes // 2))
    newton = jnp.where(jnp.isfinite(found.move), FAR_AWAY, found.move)
    found = found._replace(
        move=jnp.where(gaussian, found.move, newton),
        ahead=jnp.where(gaussian, found.move * ratio / (1.0 - ratio), newton),
    )
    return found, near


def is_moving(
    last: Found, passes: jax.Array | int, tolerance: jax.Array | float, most: jax.Array | int
) -> jax.Array:
    """Whether another pass is needed, and allowed; `last` as `judge` gave it."""
    settled = (last.ahead <= tolerance) & (last.scale_move <= OF_SCALES * tolerance)
    return ~settled & jnp.isfinite(last.move) & (passes < most)


def covariance_at(rows: arrow.Rows, hyper: Hyper, state: State, *, family: Family) -> tuple[State, Found]:
    """Covariances at the means and scales of `state`, Var eta among its own; parameters as of `iterate`."""

    def settle(_: int, carry: tuple[State, Found, one_pass.Kept]) -> tuple[State, Found, one_pass.Kept]:
        state, kept = carry[0], carry[2]
        new, found, kept = _pass(
            rows, hyper, jnp.zeros(()), state, kept, jnp.asarray(True), undamped, steps, family
        )
        return state._replace(var=new.var, size_var=new.size_var, slow=new.slow), found, kept

    undamped, steps = OfRows.first(state.log_size), OfScales.first(state.log_scale)
    start = state, _unknown(rows, state), one_pass.nothing_kept(rows, state)
    state, found, _ = jax.lax.fori_loop(0, _COVARIANCE_PASSES, settle, start)
    return state, found


def _pass(
    rows: arrow.Rows,
    hyper: Hyper,
    learning: jax.Array,
    state: State,
    kept: one_pass.Kept,
    gaussian: jax.Array,
    of_rows: OfRows,
    of_scales: OfScales,
    family: Family,
) -> tuple[State, Found, one_pass.Kept]:
    """One step of everything; `gaussian`: whether expectations are over eta and log r or at their means."""
    lead = len(state.shared) - rows.units.shape[1]
    seen, kept = one_pass.look(rows, state, kept, gaussian, family)
    seen = jax.lax.psum(seen, AXIS)
    solved = one_pass.solve(hyper, state, lead, seen, learning, family)
    moved, longest, now = one_pass.move(
        rows, state, kept, solved, of_rows, gaussian, learning, of_scales.share[-1], hyper.is_period
    )
    by_device = (
        jnp.zeros((jax.lax.axis_size(AXIS), one_pass.LONGEST)).at[jax.lax.axis_index(AXIS)].set(longest)
    )
    moved, by_device = jax.lax.psum((moved, by_device), AXIS)
    longest = jnp.max(by_device, axis=0)
    state, found = one_pass.settle(
        hyper, state, lead, seen, solved, moved, longest, of_scales, learning, family
    )
    state = state._replace(
        theta=now.theta, var=now.var, log_size=now.log_size, size_var=now.size_var, slow=now.slow
    )
    return state, found._replace(theta_cov=now.theta_cov, theta_lead=now.theta_lead), kept


def _unknown(rows: arrow.Rows, state: State) -> Found:
    """Start with nothing known."""
    S = len(state.shared)
    lead = S - rows.units.shape[1]
    theta_cov, theta_lead = one_pass.no_covariances(state, lead)
    far = jnp.asarray(FAR_AWAY)
    return Found(far, far, far, far, far, far, theta_cov, theta_lead, jnp.zeros(S), jnp.zeros((lead, lead)))
