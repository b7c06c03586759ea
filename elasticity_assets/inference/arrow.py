"""Algebra of the arrow-shaped precision: a small block a product, one dense corner for what they share.

Product i has theta_i = (slopes..., level), d numbers; all share s = (c, alpha, gamma): the d means of
theta_i over products, K control effects and W period effects, S = d + K + W numbers. Within a row,
    eta_it = z_it' theta_i + z_alpha,it' alpha + gamma_t,    z_it = (slope regressors, 1).
Given s, products are independent, so with h_it the curvature of the log likelihood the precision is
    A_i (d x d) on the diagonal, B_i (d x S) as border, and C = D - sum_i B_i' A_i^-1 B_i after elimination.

Regressors are centred by product; the prior speaks of the uncentred model through the means that were
subtracted: e_i = R_i theta_i - E_i (c, alpha) ~ N(0, 1/Lambda), where R_i takes the slopes times their
means from the level, and E_i = [I | controls' means in the level's row]. Where terms would cancel in float32
(prior against data), they are put in the equivalent form that does not. The mean of gamma over periods
is part of the level's mean c: gamma itself sums to zero, which removes the direction in which large
volumes would drown the prior.

Arrays of a block of n rows keep the periods last: (n, W), (n, d, W).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

HIGHEST = jax.lax.Precision.HIGHEST  # a GPU would otherwise round factors to 10 bits


class Rows(NamedTuple):
    """Data of n products; padding is all zeros.

    Attributes
    ----------
    units, observed : float arrays, shape (n, W)
    slopes : float array, shape (n, d - 1, W)
        Regressors with a coefficient a product, less `slope_mean`.
    controls : float array, shape (n, K, W)
        Regressors with a common coefficient, less `control_mean`.
    slope_mean : float array, shape (n, d - 1)
        0 where the model itself is centred.
    control_mean : float array, shape (n, K)
    real : float array, shape (n,)
        1, or 0 for padding.
    """

    units: jax.Array
    observed: jax.Array
    slopes: jax.Array
    controls: jax.Array
    slope_mean: jax.Array
    control_mean: jax.Array
    real: jax.Array


class Factor(NamedTuple):
    """The eliminated product blocks of n rows.

    Attributes
    ----------
    cholesky : array, shape (n, d, d)
        L with A = L L'.
    border : array, shape (n, d, S)
        U = L^-1 B.
    gradient : array, shape (n, d)
        L^-1 times the gradient by theta.
    """

    cholesky: jax.Array
    border: jax.Array
    gradient: jax.Array


class Corner(NamedTuple):
    """What a block of rows adds to the shared system, C ds = rhs.

    Attributes
    ----------
    schur : array, shape (S, S)
    rhs : array, shape (S,)
    log_det : array, shape ()
        Sum of log |A_i|.
    """

    schur: jax.Array
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


class Covariance(NamedTuple):
    """Posterior covariances of n rows.

    Attributes
    ----------
    theta : array, shape (n, d, d)
    theta_lead : array, shape (n, d, d + K)
        Cov(theta_i, (c, alpha)).
    eta : array, shape (n, W)
        Var eta_it.
    deviation : array, shape (n, d)
        Var e_i.
    """

    theta: jax.Array
    theta_lead: jax.Array
    eta: jax.Array
    deviation: jax.Array


def regressors(rows: Rows) -> jax.Array:
    """z_it with periods last, shape (n, d, W)."""
    return jnp.concatenate([rows.slopes, jnp.ones_like(rows.units)[:, None]], axis=1)


def linear_predictor(rows: Rows, theta: jax.Array, shared: jax.Array) -> jax.Array:
    """eta, shape (n, W), of theta (n, d) and s (S,)."""
    d, K = theta.shape[-1], rows.controls.shape[1]
    eta = theta[:, -1:] + shared[d + K :]
    for a in range(d - 1):
        eta = eta + theta[:, a, None] * rows.slopes[:, a]
    for k in range(K):
        eta = eta + shared[d + k] * rows.controls[:, k]
    return eta


def uncentre(rows: Rows) -> tuple[jax.Array, jax.Array]:
    """R, shape (n, d, d), and E, shape (n, d, d + K), of e = R theta - E (c, alpha)."""
    n, d, K = rows.units.shape[0], rows.slopes.shape[1] + 1, rows.controls.shape[1]
    R = jnp.broadcast_to(jnp.eye(d, dtype=rows.units.dtype), (n, d, d)).at[:, -1, :-1].set(-rows.slope_mean)
    E = jnp.broadcast_to(jnp.eye(d, d + K, dtype=rows.units.dtype), (n, d, d + K))
    return R, E.at[:, -1, d:].set(rows.control_mean)


def deviation(rows: Rows, theta: jax.Array, shared: jax.Array) -> jax.Array:
    """Mean of e_i, how far theta_i lies from its prior mean, shape (n, d)."""
    R, E = uncentre(rows)
    lead = shared[: E.shape[-1]]
    return (jnp.sum(R * theta[:, None, :], axis=-1) - jnp.sum(E * lead, axis=-1)) * rows.real[:, None]


def eliminate(
    rows: Rows,
    theta: jax.Array,
    shared: jax.Array,
    gradient: jax.Array,
    curvature: jax.Array,
    precision: jax.Array,
) -> tuple[Factor, Corner]:
    """Eliminate the product blocks.

    Parameters
    ----------
    rows : Rows
    theta, shared : arrays, shapes (n, d) and (S,)
        Current means.
    gradient, curvature : arrays, shape (n, W)
        g and h of the log likelihood, 0 where not observed.
    precision : array, shape (d,)
        Lambda.
    """
    R, E = uncentre(rows)
    d, K = theta.shape[-1], rows.controls.shape[1]
    lead = d + K
    z = regressors(rows)
    hz = curvature[:, None] * z
    H = _gram(hz, z)
    weighted = _transpose(R) * precision  # R' Lambda
    L = cholesky(H + _times(weighted, R))
    to_prior = _times(weighted, E)
    to_alpha = jnp.pad(_gram(hz, rows.controls), ((0, 0), (0, 0), (d, 0)))

    e = deviation(rows, theta, shared)
    score = jnp.sum(gradient[:, None] * z, axis=-1)
    full_score = score - _apply(weighted, e)
    U = solve_lower(L, jnp.concatenate([to_alpha - to_prior, hz], axis=-1))
    factor = Factor(L, U, solve_lower(L, full_score[..., None])[..., 0])

    # Lambda - Lambda R A^-1 R' Lambda = R^-T H A^-1 R' Lambda; R differs from I in one row only.
    R_inverse = 2.0 * jnp.eye(d, dtype=R.dtype) - R
    kept = _times(_transpose(R_inverse), _times(H, _solve(L, weighted)))
    by_prior, by_alpha = _solve(L, to_prior), _solve(L, to_alpha)
    crossed = _times(_transpose(by_prior), to_alpha)
    corner = _times(_transpose(E), _times(kept, E)) + crossed + _transpose(crossed)
    corner = jnp.sum((corner - _times(_transpose(to_alpha), by_alpha)) * rows.real[:, None, None], axis=0)
    corner = 0.5 * (corner + corner.T)
    corner = corner.at[d:, d:].add(jnp.sum(_gram(curvature[:, None] * rows.controls, rows.controls), axis=0))
    rhs = _apply(_transpose(E), _apply(kept, e)) + _apply(_transpose(by_prior), score)
    rhs = jnp.sum((rhs - _apply(_transpose(by_alpha), full_score)) * rows.real[:, None], axis=0)
    rhs = rhs.at[d:].add(jnp.sum(gradient[:, None] * rows.controls, axis=(0, 2)))

    flat = U.reshape(-1, U.shape[-1])
    schur = -jnp.matmul(flat.T, flat, precision=HIGHEST)
    schur = schur.at[:lead, :lead].set(corner)
    alpha_gamma = jnp.sum(curvature[:, None] * rows.controls, axis=0)
    schur = schur.at[d:lead, lead:].add(alpha_gamma).at[lead:, d:lead].add(alpha_gamma.T)
    periods = jnp.arange(lead, schur.shape[0])
    schur = schur.at[periods, periods].add(jnp.sum(curvature, axis=0))
    explained = jnp.matmul(factor.gradient.reshape(-1), flat[:, lead:], precision=HIGHEST)
    log_det = 2.0 * jnp.sum(jnp.log(jnp.diagonal(L, axis1=1, axis2=2)) * rows.real[:, None])
    return factor, Corner(schur, jnp.concatenate([rhs, jnp.sum(gradient, axis=0) - explained]), log_det)


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
    C = corner.schur + jnp.diag(precision)
    rhs = corner.rhs - precision * (shared - mean)
    # Any precision of gamma's mean will do, since it is projected out below; one of the data's size.
    count = jnp.maximum(jnp.sum(is_period), 1.0)
    C = C + jnp.outer(is_period, is_period) * (jnp.sum(jnp.diagonal(C) * is_period) / count**2)
    size = jax.lax.rsqrt(jnp.diagonal(C))
    scaled = C * size[:, None] * size
    eye = jnp.eye(C.shape[0], dtype=C.dtype)
    L = jnp.linalg.cholesky(scaled)
    # Float32 can lose positive definiteness where volumes are huge; a little damping costs passes, not accuracy.
    L = jnp.where(jnp.all(jnp.isfinite(L)), L, jnp.linalg.cholesky(scaled + 1e-4 * eye))
    half = jax.scipy.linalg.solve_triangular(L, eye * size, lower=True)
    cov = jnp.matmul(half.T, half, precision=HIGHEST)
    toward = cov @ is_period
    total = jnp.where(jnp.sum(is_period) > 0, is_period @ toward, 1.0)
    cov = cov - jnp.outer(toward, toward) / total
    log_det = 2.0 * jnp.sum(jnp.log(jnp.diagonal(L)) - jnp.log(size)) + jnp.log(total / count)
    return Shared(cov, jnp.matmul(cov, rhs, precision=HIGHEST), log_det)


def product_step(factor: Factor, step: jax.Array) -> jax.Array:
    """Newton step of theta, shape (n, d), that goes with the step of s."""
    moved = jnp.einsum("nds,s->nd", factor.border, step, precision=HIGHEST)
    return solve_upper(factor.cholesky, (factor.gradient - moved)[..., None])[..., 0]


def covariances(rows: Rows, factor: Factor, cov: jax.Array) -> Covariance:
    """Posterior covariances of n rows from the factor and Cov(s)."""
    R, E = uncentre(rows)
    d, K = R.shape[-1], rows.controls.shape[1]
    lead = d + K
    L, U = factor.cholesky, factor.border
    P = jnp.matmul(U.reshape(-1, U.shape[-1]), cov, precision=HIGHEST).reshape(U.shape)
    eye = jnp.broadcast_to(jnp.eye(d, dtype=L.dtype), L.shape)
    half = solve_upper(L, eye + _gram(P, U))
    theta = solve_upper(L, _transpose(half))
    p = solve_upper(L, P)  # -Cov(theta_i, s)

    z = regressors(rows)
    period_var = jnp.diagonal(cov)[lead:]
    eta = jnp.broadcast_to(period_var, rows.units.shape)
    for a in range(d):
        inner = theta[:, a, a, None] * z[:, a] - 2.0 * p[:, a, lead:]
        for b in range(a):
            inner = inner + 2.0 * theta[:, a, b, None] * z[:, b]
        eta = eta + z[:, a] * inner
    for k in range(K):
        inner = 2.0 * cov[d + k, lead:] - 2.0 * jnp.sum(p[:, :, d + k, None] * z, axis=1)
        for j in range(K):
            inner = inner + cov[d + k, d + j] * rows.controls[:, j]
        eta = eta + rows.controls[:, k] * inner
    eta = jnp.maximum(eta, 0.0)

    p_lead = p[:, :, :lead]
    cross = jnp.sum(_times(R, p_lead) * E, axis=-1)
    own = jnp.sum(_times(R, theta) * R, axis=-1)
    centre = jnp.sum(jnp.matmul(E, cov[:lead, :lead], precision=HIGHEST) * E, axis=-1)
    deviation_var = jnp.maximum(own + 2.0 * cross + centre, 0.0)
    return Covariance(theta, -p_lead, eta, deviation_var)


def conditional_var(factor: Factor) -> jax.Array:
    """Var(theta_i | s), shape (n, d)."""
    eye = jnp.broadcast_to(jnp.eye(factor.cholesky.shape[-1]), factor.cholesky.shape)
    return jnp.sum(solve_lower(factor.cholesky, eye) ** 2, axis=1)


def conditional_deviation_var(rows: Rows, factor: Factor) -> jax.Array:
    """Var(e_i | s), shape (n, d): cheap, without the shared system."""
    R, _ = uncentre(rows)
    return jnp.sum(solve_lower(factor.cholesky, _transpose(R)) ** 2, axis=1)


def cholesky(A: jax.Array) -> jax.Array:
    """Lower Cholesky factors of n small matrices, shape (n, d, d), unrolled over d."""
    d = A.shape[-1]
    L: list[list[jax.Array]] = [[jnp.zeros_like(A[:, 0, 0])] * d for _ in range(d)]
    for a in range(d):
        for b in range(a + 1):
            rest = A[:, a, b] - sum((L[a][k] * L[b][k] for k in range(b)), jnp.zeros_like(A[:, 0, 0]))
            L[a][b] = jnp.sqrt(jnp.maximum(rest, 1e-7 * A[:, a, a])) if a == b else rest / L[b][b]
    return jnp.stack([jnp.stack(row, axis=-1) for row in L], axis=-2)


def solve_lower(L: jax.Array, b: jax.Array) -> jax.Array:
    """L^-1 b for L (n, d, d) and b (n, d, m)."""
    x: list[jax.Array] = []
    for a in range(L.shape[-1]):
        rest = b[:, a]
        for k in range(a):
            rest = rest - L[:, a, k, None] * x[k]
        x.append(rest / L[:, a, a, None])
    return jnp.stack(x, axis=1)


def solve_upper(L: jax.Array, b: jax.Array) -> jax.Array:
    """L^-T b for L (n, d, d) and b (n, d, m)."""
    d = L.shape[-1]
    x: list[jax.Array] = [b[:, 0]] * d
    for a in reversed(range(d)):
        rest = b[:, a]
        for k in range(a + 1, d):
            rest = rest - L[:, k, a, None] * x[k]
        x[a] = rest / L[:, a, a, None]
    return jnp.stack(x, axis=1)


def _gram(a: jax.Array, b: jax.Array) -> jax.Array:
    """a b' over the last axis: (n, p, W), (n, q, W) -> (n, p, q), small p and q."""
    return jnp.sum(a[:, :, None, :] * b[:, None, :, :], axis=-1)


def _times(a: jax.Array, b: jax.Array) -> jax.Array:
    """Products of n small matrices."""
    return jnp.sum(a[:, :, :, None] * b[:, None, :, :], axis=2)


def _apply(a: jax.Array, x: jax.Array) -> jax.Array:
    """n small matrices times n vectors."""
    return jnp.sum(a * x[:, None, :], axis=-1)


def _solve(L: jax.Array, b: jax.Array) -> jax.Array:
    """A^-1 b with A = L L'."""
    return solve_upper(L, solve_lower(L, b))


def _transpose(a: jax.Array) -> jax.Array:
    return jnp.swapaxes(a, -1, -2)
