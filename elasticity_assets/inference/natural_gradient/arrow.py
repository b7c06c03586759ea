"""Algebra of the arrow-shaped precision: a small block a product, one dense corner for what they share.

Product i has theta_i = (slopes..., season..., level), d numbers; all share s = (c, alpha, gamma): the means of
slopes and level over products, m numbers (season's are 0), K control effects and W period effects, S = m + K + W in
all, with
    eta_it = z_it' theta_i + z_alpha,it' alpha + gamma_t,    z_it = (slope regressors, season_t, 1).
Given s, products are independent. With h_it the curvature of the log likelihood, the precision has blocks
A_i (d x d) on the diagonal, borders B_i (d x S), and after their elimination C = D - sum_i B_i' A_i^-1 B_i.

Regressors are centred by product; the prior speaks of the uncentred model through the means that were
subtracted: e_i = R_i theta_i - E_i (c, alpha) ~ N(0, 1/Lambda). R_i takes the slopes times their means from
the level, and E_i = [I | the controls' means in the level's row]. Where prior and data would cancel in float32,
the equivalent form that does not is used. The mean of gamma over periods counts to the level's mean c, and
gamma itself sums to zero: otherwise large volumes drown the prior in that direction.

Where products have a slow demand u_i of their own in eta, it is eliminated first (`slow_demand`): H becomes
H - H G H, so that regressors count by what slow demand cannot take up of them, z~ = (I - G H) z.

Arrays of a block of n rows have the products last: (W, n), (d, W, n).
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from elasticity_assets.inference.devices import Leaf
from elasticity_assets.inference.natural_gradient import slow_demand
from elasticity_assets.inference.natural_gradient.small_matrices import (
    apply,
    cholesky,
    identity,
    solve,
    solve_lower,
    solve_upper,
    times,
    transpose,
)

_MAIN_PARTS = 2
"""Of the period effects' regression on what else products share."""


class Rows(NamedTuple):
    """Data of n products; padding is all zeros.

    Attributes
    ----------
    units, weight : float arrays, shape (W, n)
        Units are 0 where the weight is.
    slopes : float array, shape (m - 1, W, n)
        Regressors with a coefficient a product, less `slope_mean`.
    controls : float array, shape (K, W, n)
        Regressors with a common coefficient, less `control_mean`.
    slope_mean : float array, shape (m - 1, n)
        0 where the model itself is centred.
    control_mean : float array, shape (K, n)
    real : float array, shape (n,)
        1, or 0 for padding.
    season : float array, shape (d - m, W, 1)
        Regressors with a coefficient a product whose mean over products is 0.
    experiment : float array, shape (2, n)
        What was found elsewhere of the first slope, and its precision, 0 where nothing: a Gaussian factor.
    """

    units: Leaf
    weight: Leaf
    slopes: Leaf
    controls: Leaf
    slope_mean: Leaf
    control_mean: Leaf
    real: Leaf
    season: Leaf
    experiment: Leaf


class Factor(NamedTuple):
    """The eliminated product blocks of n rows.

    Attributes
    ----------
    cholesky : array, shape (d, d, n)
        L with A = L L'.
    border : tuple of d arrays, shape (S + 1, n)
        U = L^-1 B, a row of theta each, and behind it L^-1 times the gradient by theta.
    deviation_border : array, shape (d, m + K, n)
        V = L^-1 (B + A R^-1 E), what U is for e_i in place of theta_i: E(e_i | s) = -R L^-T V (c, alpha) + ...
    slow : Eliminated or None
        The products' slow demand, where they have one.
    """

    cholesky: jax.Array
    border: tuple[jax.Array, ...]
    deviation_border: jax.Array
    slow: slow_demand.Eliminated | None


class Corner(NamedTuple):
    """What rows add to the shared system C ds = rhs; its parts sum over blocks.

    Attributes
    ----------
    matrix : array, shape (S, S)
        C, without the prior of s.
    rhs : array, shape (S,)
    log_det : array, shape ()
        Sum of log |A_i|, and of log |Q_i + H_i| - log |Q_i|.
    """

    matrix: jax.Array
    rhs: jax.Array
    log_det: jax.Array


class Shared(NamedTuple):
    """The solved shared system.

    Attributes
    ----------
    cov : array, shape (S, S)
        Covariance of s.
    step : array, shape (S,)
    log_det : array, shape ()
        log |C| on the space where gamma sums to zero.
    """

    cov: jax.Array
    step: jax.Array
    log_det: jax.Array


class MainParts(NamedTuple):
    """The period effects' regression on (c, alpha), by its main parts: numbers of variance 1, each with a course.

    Attributes
    ----------
    course : array, shape (2, W)
    alone : array, shape (W,)
        Variance of the period effects given the parts.
    with_lead : array, shape (m + K, 2)
        Cov((c, alpha), parts).
    of_lead : array, shape (2, m + K)
        Each part's coefficients of (c, alpha).
    """

    course: jax.Array
    alone: jax.Array
    with_lead: jax.Array
    of_lead: jax.Array


class SharedCovariance(NamedTuple):
    """Cov(s) as all rows' covariances want it, worked out once for all of them.

    Attributes
    ----------
    matrix : array, shape (S, S)
    with_periods : array, shape (m + K, S + 1)
        Cov((c, alpha), gamma), and zeros that meet a border's other rows.
    of_periods : array, shape (S, S + 1)
        Cov(gamma), with zeros as well.
    main : MainParts or None
        Where products have a slow demand.
    """

    matrix: jax.Array
    with_periods: jax.Array
    of_periods: jax.Array
    main: MainParts | None


class Covariance(NamedTuple):
    """Posterior covariances of n rows.

    Attributes
    ----------
    theta : array, shape (d, d, n)
    theta_lead : array, shape (d, m + K, n)
        Cov(theta_i, (c, alpha)).
    eta : array, shape (W, n)
        Var eta_it.
    deviation : array, shape (d, n)
        Var e_i.
    slow_energy : array, shape (n,)
        What u's variance adds to E u' Q u, less the number of periods; 0 where there is no slow demand.
    """

    theta: jax.Array
    theta_lead: jax.Array
    eta: jax.Array
    deviation: jax.Array
    slow_energy: jax.Array


def empty_corner(size: int) -> Corner:
    """Begin with sums over no rows; `size` is S."""
    return Corner(jnp.zeros((size, size)), jnp.zeros(size), jnp.zeros(()))


def linear_predictor(rows: Rows, theta: jax.Array, shared: jax.Array) -> jax.Array:
    """eta, shape (W, n), of theta (d, n) and s (S,)."""
    m, K = len(rows.slopes) + 1, len(rows.controls)
    eta = _outer_sum(shared[m + K :], theta[-1])
    for a, z in enumerate(of_products(rows)):
        eta = eta + theta[a] * z
    for k in range(K):
        eta = eta + shared[m + k] * rows.controls[k]
    return eta


def of_products(rows: Rows) -> jax.Array:
    """Regressors with a coefficient a product, slopes' and season's, shape (d - 1, W, n)."""
    q, W, _ = rows.season.shape
    if not q:
        return rows.slopes
    season = _matmul(rows.season.reshape(q * W, 1), jnp.ones((1, rows.units.shape[1])))
    return jnp.concatenate([rows.slopes, season.reshape(q, W, -1)])


def regressors(rows: Rows) -> jax.Array:
    """Those of the slopes and the season, of the level, and of the controls, shape (d + K, W, n)."""
    return jnp.concatenate([of_products(rows), jnp.ones_like(rows.units)[None], rows.controls])


def uncentre(rows: Rows) -> tuple[jax.Array, jax.Array]:
    """R, shape (d, d, n), and E, shape (d, m + K, n), of e = R theta - E (c, alpha)."""
    slopes, K, n = len(rows.slopes), len(rows.controls), rows.units.shape[1]
    d, m = slopes + len(rows.season) + 1, slopes + 1
    R = identity(d, n).at[-1, :slopes].set(-rows.slope_mean)
    means = np.zeros((d, m + K), np.float32)
    means[np.arange(slopes), np.arange(slopes)] = means[-1, slopes] = 1.0
    return R, jnp.broadcast_to(means[:, :, None], (d, m + K, n)).at[-1, m:].set(rows.control_mean)


def deviation(rows: Rows, theta: jax.Array, shared: jax.Array) -> jax.Array:
    """Mean of e_i, how far theta_i lies from its prior mean, shape (d, n)."""
    R, E = uncentre(rows)
    return (apply(R, theta) - apply(E, shared[: E.shape[1], None])) * rows.real


def eliminate(
    rows: Rows,
    theta: jax.Array,
    shared: jax.Array,
    gradient: jax.Array,
    curvature: jax.Array,
    precision: jax.Array,
    slow: slow_demand.Ar1 | None = None,
) -> tuple[Factor, Corner]:
    """Eliminate the product blocks.

    Parameters
    ----------
    rows : Rows
    theta, shared : arrays, shapes (d, n) and (S,)
        Current means.
    gradient, curvature : arrays, shape (W, n)
        g and h of the log likelihood, times the cells' weights.
    precision : array, shape (d,)
        Lambda.
    slow : Ar1, optional
        The products' slow demand.
    """
    R, E = uncentre(rows)
    d, K, lead = len(theta), len(rows.controls), E.shape[1]
    m, own, eliminated = lead - K, of_products(rows), None
    if slow is None:
        hz, h_controls = [curvature * z for z in own] + [curvature], curvature * rows.controls
    else:
        eliminated = slow_demand.eliminate(slow, regressors(rows), gradient, curvature)
        gradient = gradient - curvature * eliminated.step
        hz = [curvature * left for left in eliminated.regressors[:d]]
        h_controls = curvature * eliminated.regressors[d:]
    # What was found elsewhere is as one more cell, whose eta is the first slope alone.
    found, known = rows.experiment[0], rows.experiment[1]
    H = (
        _symmetric([[over_periods(hz[a], own, b) for b in range(a + 1)] for a in range(d)])
        .at[0, 0]
        .add(known)
    )
    weighted = transpose(R) * precision[None, :, None]  # R' Lambda
    L = cholesky(H + times(weighted, R))
    to_prior = times(weighted, E)
    # sum_t h z z_alpha'
    to_alpha = jnp.stack([_each_over_periods(hz[a] * rows.controls) for a in range(d)])
    to_alpha = jnp.concatenate([jnp.zeros_like(to_prior[:, :m]), to_alpha], axis=1)

    e = deviation(rows, theta, shared)
    score = (
        jnp.stack([over_periods(gradient, own, a) for a in range(d)]).at[0].add(known * (found - theta[0]))
    )
    full_score = score - apply(weighted, e)
    periods: list[jax.Array] = []
    for a in range(d):
        rest = hz[a]
        for b in range(a):
            rest = rest - L[a, b] * periods[b]
        periods.append(rest * (1.0 / L[a, a]))
    leading, descent = solve_lower(L, to_alpha - to_prior), solve_lower(L, full_score)
    # U, and as its last row the gradient: products with itself give U'U and U' times the gradient.
    border = tuple(jnp.concatenate([leading[a], periods[a], descent[None, a]]) for a in range(d))
    # B + A R^-1 E without the prior, which cancels: all that is left where tau is small.
    back = 2.0 * identity(d, R.shape[-1]) - R  # R^-1, as R differs from I in its last row only
    factor = Factor(L, border, solve_lower(L, to_alpha + times(H, times(back, E))), eliminated)
    gram = functools.reduce(jnp.add, [_matmul(border, border.T) for border in factor.border])

    # Lambda - Lambda R A^-1 R' Lambda = R^-T H A^-1 R' Lambda.
    kept = times(transpose(back), times(H, solve(L, weighted)))
    by_prior, by_alpha = solve(L, to_prior), solve(L, to_alpha)
    crossed = times(transpose(by_prior), to_alpha)
    corner = times(transpose(E), times(kept, E)) + crossed + transpose(crossed)
    corner = jnp.sum((corner - times(transpose(to_alpha), by_alpha)) * rows.real, axis=-1)
    rhs = apply(transpose(E), apply(kept, e)) + apply(transpose(by_prior), score)
    rhs = jnp.sum((rhs - apply(transpose(by_alpha), full_score)) * rows.real, axis=-1)
    total_h, total_g = _over_products(curvature), _over_products(gradient)
    crossing = -gram[:lead, lead:-1]
    if K:
        by_gradient, by_controls, by_periods = _of_controls(rows.controls, h_controls, gradient)
        rhs = rhs.at[m:].add(by_gradient)
        corner = corner.at[m:, m:].add(by_controls)
        crossing = crossing.at[m:].add(by_periods)
    between = jnp.diag(total_h) - gram[lead:-1, lead:-1]
    log_det = 2.0 * jnp.sum(jnp.stack([jnp.log(L[a, a]) for a in range(d)]) * rows.real)
    if eliminated is not None:
        between = between - slow_demand.over_products(eliminated)
        log_det = log_det + jnp.sum(eliminated.log_det * rows.real)
    matrix = jnp.block([[0.5 * (corner + corner.T), crossing], [crossing.T, between]])
    return factor, Corner(matrix, jnp.concatenate([rhs, total_g - gram[-1, lead:-1]]), log_det)


def _of_controls(
    controls: jax.Array, h_controls: jax.Array, gradient: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Sum controls (K, W, n) times the gradient, and h times controls by controls and by period."""
    K, W, n = controls.shape
    flat = controls.reshape(K, W * n)
    by_periods = _over_products(h_controls.reshape(K * W, n)).reshape(K, W)
    return _matmul(flat, gradient.reshape(-1)), _matmul(h_controls.reshape(K, W * n), flat.T), by_periods


def solve_shared(
    corner: Corner, shared: jax.Array, mean: jax.Array, precision: jax.Array, is_period: jax.Array
) -> Shared:
    """Solve the shared system under the prior N(mean, 1/precision) of s.

    Parameters
    ----------
    corner : Corner
        Sums over all rows.
    shared, mean, precision : arrays, shape (S,)
        Current s, and its prior.
    is_period : array, shape (S,)
        1 for the period effects that sum to zero; 0 elsewhere, padding included.
    """
    C = corner.matrix + jnp.diag(precision)
    rhs = corner.rhs - precision * (shared - mean)
    # Any precision of gamma's mean will do, since it is projected out below; one of the data's size.
    count = jnp.maximum(jnp.sum(is_period), 1.0)
    C = C + jnp.outer(is_period, is_period) * (jnp.sum(jnp.diagonal(C) * is_period) / count**2)
    size = jax.lax.rsqrt(jnp.diagonal(C))
    scaled = C * size[:, None] * size
    eye = jnp.eye(C.shape[0], dtype=C.dtype)
    # Rounding can cost positive definiteness where volumes are huge; then a little damping.
    L = jnp.linalg.cholesky(scaled, symmetrize_input=False)
    L = jnp.where(
        jnp.all(jnp.isfinite(L)), L, jnp.linalg.cholesky(scaled + 1e-4 * eye, symmetrize_input=False)
    )
    half = jax.scipy.linalg.solve_triangular(L, jnp.diag(size), lower=True)
    cov = _matmul(half.T, half)
    toward = _matmul(cov, is_period)
    total = jnp.where(jnp.sum(is_period) > 0, jnp.vdot(is_period, toward), 1.0)
    cov = cov - jnp.outer(toward, toward) / total
    log_det = 2.0 * jnp.sum(jnp.log(jnp.diagonal(L)) - jnp.log(size)) + jnp.log(total / count)
    return Shared(cov, _matmul(cov, rhs), log_det)


def product_step(factor: Factor, step: jax.Array) -> jax.Array:
    """Newton step of theta, shape (d, n), that goes with the step of s."""
    weights = jnp.append(-step, 1.0)  # the gradient's last
    return solve_upper(factor.cholesky, jnp.stack([_matmul(weights, border) for border in factor.border]))


def slow_step(rows: Rows, slow: slow_demand.Eliminated, step: jax.Array, shared_step: jax.Array) -> jax.Array:
    """Newton step of slow demand, shape (W, n), that goes with those of theta, (d, n), and of s."""
    return slow.step - slow_demand.taken_up(slow, linear_predictor(rows, step, shared_step)[None])[0]


def shared_covariance(cov: jax.Array, lead: int, *, slow_demand: bool) -> SharedCovariance:
    """Prepare Cov(s), shape (S, S), of which the first `lead` are (c, alpha), for `covariances`."""
    # The last row of a border is the gradient.
    with_periods = jnp.pad(cov, ((0, 0), (0, 1))).at[:, :lead].set(0.0)
    of_periods = with_periods.at[:lead].set(0.0)
    return SharedCovariance(
        cov, with_periods[:lead], of_periods, _main_parts(cov, lead) if slow_demand else None
    )


def _main_parts(cov: jax.Array, lead: int) -> MainParts:
    root = jnp.linalg.cholesky(cov[:lead, :lead] + jnp.diag(1e-6 * jnp.diagonal(cov)[:lead] + 1e-30))
    by_lead = jax.scipy.linalg.solve_triangular(root, cov[:lead, lead:], lower=True)  # gamma on (c, alpha)
    main = jnp.linalg.eigh(_matmul(by_lead, by_lead.T))[1][:, -_MAIN_PARTS:]
    course = _matmul(main.T, by_lead)
    alone = jnp.maximum(jnp.diagonal(cov)[lead:] - jnp.sum(course**2, axis=0), 0.0)
    of_lead = jax.scipy.linalg.solve_triangular(root.T, main, lower=False).T
    return MainParts(course, alone, _matmul(root, main), of_lead)


def covariances(rows: Rows, factor: Factor, shared: SharedCovariance) -> Covariance:
    """Posterior covariances of n rows from their factor and Cov(s)."""
    R, E = uncentre(rows)
    L, lead, cov = factor.cholesky, E.shape[1], shared.matrix
    d, _, n = L.shape
    u_lead = jnp.stack([border[:lead] for border in factor.border])
    by_periods = [_matmul(shared.of_periods, border) for border in factor.border]
    explained = _symmetric(
        [[over_periods(by_periods[a] * factor.border[b][:-1]) for b in range(a + 1)] for a in range(d)]
    )
    crossed = jnp.stack([_matmul(shared.with_periods, border) for border in factor.border])
    cov_lead = jnp.broadcast_to(cov[:lead, :lead, None], (lead, lead, n))

    def given_and_explained(of_lead: jax.Array) -> jax.Array:
        """Cov of L' theta_i, or of L' R^-1 e_i, by U's columns of the lead, or V."""
        across = times(of_lead, transpose(crossed + 0.5 * times(of_lead, cov_lead)))
        return identity(d, n) + explained + across + transpose(across)

    theta = solve_upper(L, transpose(solve_upper(L, given_and_explained(u_lead))))
    p_lead = solve_upper(L, crossed + times(u_lead, cov_lead))  # -Cov(theta_i, (c, alpha))
    P = [
        periods[lead:] + _matmul(cov[lead:, :lead], of_lead)
        for periods, of_lead in zip(by_periods, u_lead, strict=True)
    ]

    energy = jnp.zeros_like(rows.real)
    if factor.slow is not None and shared.main is not None:
        to_periods = -solve_upper(L, jnp.stack(P))  # Cov(theta_i, gamma)
        eta, energy = _with_slow_demand(rows, factor.slow, theta, -p_lead, to_periods, cov, shared.main)
        return Covariance(
            theta, -p_lead, eta, _deviation_var(L, R, given_and_explained(factor.deviation_border)), energy
        )
    # Var eta = Var(gamma) + Var(level) + z_a (...), each regressor's cross terms taken together.
    eta = _outer_sum(jnp.diagonal(cov)[lead:], theta[-1, -1])
    twice_inverse, to_lead = 2.0 * solve_upper(L, identity(d, n)), 2.0 * p_lead
    z = [*of_products(rows), 1.0]
    for a in range(d):
        inner = theta[a, a] * z[a] if a < d - 1 else 0.0
        for b in range(a):
            inner = inner + 2.0 * theta[a, b] * z[b]
        for b in range(a, d):
            inner = inner - twice_inverse[a, b] * P[b]
        eta = eta + inner * z[a]
    m, K = len(rows.slopes) + 1, len(rows.controls)
    for k in range(K):
        inner = _outer_sum(2.0 * cov[lead:, m + k], -to_lead[-1, m + k])
        for a in range(d - 1):
            inner = inner - to_lead[a, m + k] * z[a]
        for j in range(K):
            inner = inner + cov[m + k, m + j] * rows.controls[j]
        eta = eta + rows.controls[k] * inner

    deviation_var = _deviation_var(L, R, given_and_explained(factor.deviation_border))
    return Covariance(theta, -p_lead, jnp.maximum(eta, 0.0), deviation_var, energy)


def _deviation_var(L: jax.Array, R: jax.Array, scaled: jax.Array) -> jax.Array:
    """Var e_i from Cov L' R^-1 e_i.

    Not from Var theta: that and Var c, each far larger, would leave nothing but rounding where tau is small.
    """
    to_deviation = solve_lower(L, transpose(R))
    return jnp.sum(to_deviation * times(scaled, to_deviation), axis=0)


def _with_slow_demand(
    rows: Rows,
    slow: slow_demand.Eliminated,
    theta: jax.Array,
    theta_lead: jax.Array,
    theta_periods: jax.Array,
    cov: jax.Array,
    main: MainParts,
) -> tuple[jax.Array, jax.Array]:
    """Var eta, and what u's variance adds to E u' Q u less the number of periods.

    With x = Z theta + V s and x~ = (I - G H) x, eta is x~ and an independent part of variance G; the energy is that of
    G H x, with covariances h_t (Cov(x_t, x~_t) - Var(x~_t)), less h_t G_tt. Of the period effects, the main parts of
    their regression on (c, alpha) are exact, and the rest is taken for independent between periods: what is left out is
    of order 1/n.

    Parameters
    ----------
    rows : Rows
    slow : Eliminated
    theta, theta_lead, theta_periods : arrays, shapes (d, d, n), (d, m + K, n) and (d, W, n)
        Cov(theta_i), Cov(theta_i, (c, alpha)) and Cov(theta_i, gamma).
    cov : array, shape (S, S)
        Cov(s).
    main : MainParts
    """
    d, W, n = theta_periods.shape
    m, K = len(rows.slopes) + 1, len(rows.controls)
    lead = m + K
    course, alone, alpha_parts = main.course, main.alone, main.with_lead[m:]
    parts = len(course)
    theta_parts = jnp.stack([_matmul(main.of_lead, of_lead) for of_lead in theta_lead])
    # Regressors of alpha and of the parts, whose covariances are the same for all products.
    courses = jnp.broadcast_to(course[:, :, None], (parts, W, n))
    courses_left = courses - slow_demand.taken_up(slow, courses)
    z, left = regressors(rows), slow.regressors
    of_all, of_all_left = [*z[d:], *course[:, :, None]], [*left[d:], *courses_left]
    theta_all = jnp.concatenate([theta_lead[:, m:], theta_parts], axis=1)
    cov_all = jnp.block([[cov[m:lead, m:lead], alpha_parts], [alpha_parts.T, jnp.eye(parts)]])
    all_left = jnp.concatenate([slow.regressors[d:], courses_left])
    with_all = _matmul(cov_all, all_left.reshape(K + parts, W * n)).reshape(K + parts, W, n)
    twice = slow.curvature * slow.var
    squares = slow_demand.squared_sums(slow, (slow.curvature**2 * alone[:, None])[None])[0]
    var = alone[:, None] * (1.0 - 2.0 * twice) + squares
    cross = alone[:, None] * (1.0 - twice)
    for a in range(K + parts):
        var = var + of_all_left[a] * with_all[a]
        cross = cross + of_all[a] * with_all[a]
    for a in range(d):
        own = sum(theta[a, b] * left[b] for b in range(d))
        others_left = sum(theta_all[a, b] * of_all_left[b] for b in range(K + parts))
        others = sum(theta_all[a, b] * of_all[b] for b in range(K + parts))
        # What theta has to do with the rest of gamma, of which slow demand takes up its own period's.
        alone_too = theta_periods[a] - _matmul(course.T, theta_parts[a])
        var = var + left[a] * (own + 2.0 * (others_left + (1.0 - twice) * alone_too))
        cross = (
            cross + z[a] * (own + others_left + (1.0 - twice) * alone_too) + left[a] * (others + alone_too)
        )
    for k in range(K):
        alone_too = (cov[m + k, lead:] - _matmul(alpha_parts[k], course))[:, None]
        var = var + 2.0 * left[d + k] * (1.0 - twice) * alone_too
        cross = cross + (z[d + k] * (1.0 - twice) + left[d + k]) * alone_too
    var = jnp.maximum(var, 0.0)
    energy = over_periods(slow.curvature * (cross - var - slow.var))
    return var + slow.var, energy


def given_shared(factor: Factor) -> jax.Array:
    """Cov(theta_i | s), shape (d, d, n)."""
    return solve(factor.cholesky, identity(len(factor.border), factor.cholesky.shape[-1]))


def conditional_var(factor: Factor) -> jax.Array:
    """Var(theta_i | s), shape (d, n)."""
    return jnp.sum(
        solve_lower(factor.cholesky, identity(len(factor.border), factor.cholesky.shape[-1])) ** 2, axis=0
    )


def rough_covariances(rows: Rows, factor: Factor, cov: jax.Array) -> Covariance:
    """Approximate `covariances` by what needs no (S, S) product: variances given s, plus those of gamma."""
    L = factor.cholesky
    d, _, n = L.shape
    theta = solve(L, identity(d, n))
    energy = jnp.zeros_like(rows.real)
    if factor.slow is None:
        eta = _outer_sum(jnp.diagonal(cov)[-len(rows.units) :], theta[-1, -1])
        own = of_products(rows)
        for a, z in enumerate(own):
            inner = theta[a, a] * z + 2.0 * theta[a, -1]
            for b in range(a):
                inner = inner + 2.0 * theta[a, b] * own[b]
            eta = eta + inner * z
    else:
        slow, z = factor.slow, regressors(rows)
        eta = _outer_sum(jnp.diagonal(cov)[-len(rows.units) :], jnp.zeros_like(rows.real)) + slow.var
        energy = -slow.var
        for a in range(d):
            inner = sum(theta[a, b] * slow.regressors[b] for b in range(d))
            eta = eta + inner * slow.regressors[a]
            energy = energy + inner * (z[a] - slow.regressors[a])
        energy = over_periods(slow.curvature * energy)
    deviation_var = jnp.sum(solve_lower(L, transpose(uncentre(rows)[0])) ** 2, axis=0)
    unknown = jnp.stack([jnp.zeros_like(border[: -1 - len(rows.units)]) for border in factor.border])
    return Covariance(theta, unknown, jnp.maximum(eta, 0.0), deviation_var, energy)


def _outer_sum(of_periods: jax.Array, of_products: jax.Array) -> jax.Array:
    """Add a value a period and a value a product, shape (W, n).

    By a matrix product: XLA's CPU loops use no vectors where they spread a value along a row.
    """
    left = jnp.stack([of_periods, jnp.ones_like(of_periods)], axis=1)
    return _matmul(left, jnp.stack([jnp.ones_like(of_products), of_products]))


def over_periods(weighted: jax.Array, regressors: jax.Array | None = None, index: int = 0) -> jax.Array:
    """Sum over periods of `weighted` times one regressor, shape (n,); past the last stands for the constant."""
    if regressors is not None and index < len(regressors):
        weighted = weighted * regressors[index]
    return _matmul(jnp.ones(len(weighted), weighted.dtype), weighted)


def _each_over_periods(arrays: jax.Array) -> jax.Array:
    """Sum each of (m, W, n) over periods, shape (m, n)."""
    m, W, _ = arrays.shape
    return _matmul(jnp.ones((m, 1, W), arrays.dtype), arrays)[:, 0]


def _over_products(cells: jax.Array) -> jax.Array:
    """Sum over products, shape (W,); by a matrix product, which runs in vectors."""
    return _matmul(cells, jnp.ones(cells.shape[1], cells.dtype))


def _matmul(a: jax.Array, b: jax.Array) -> jax.Array:
    # A GPU would otherwise round the factors to 10 bits.
    return jnp.matmul(a, b, precision=jax.lax.Precision.HIGHEST)


def _symmetric(lower: list[list[jax.Array]]) -> jax.Array:
    """Fill (d, d, n) from its lower half."""
    d = len(lower)
    return jnp.stack([jnp.stack([lower[max(a, b)][min(a, b)] for b in range(d)]) for a in range(d)])
