"""Algebra of products in zones: slope, season and period effects of a product, dense, before what all rows share.

Product i has zeta_i = (beta_i - beta_c, w_i, a_i) in units of their prior's sds, m = 1 + q + W numbers, q = 0 or 2 of
them a season. Slow demand and shocks are one effect a period, a_i ~ N(0, sigma_i^2 R(phi) + nu_i^2 I); in the
eigenvectors E of R their prior is diagonal for all products at once, and D_i = I + (what rows say) is never singular.

All share s = (beta_c, delta_c, eta, alpha, f, gamma), S numbers: f_z what zone z adds to slopes beyond its
covariates' W_z' eta. Columns of beta_c and eta are sums of those of f, so that rows only give those of
(delta_c, alpha, f, gamma), S' numbers.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from elasticity_assets.inference.natural_gradient import arrow
from elasticity_assets.inference.natural_gradient.zones.tiles import Common

_STRIP = 192  # columns


class Together(NamedTuple):
    """Products' elasticities over all their zones, as sums of effects: sum_z w_z beta_iz given all but e.

    Attributes
    ----------
    periods : array, shape (n, W)
        What they lose to psi.
    zone : array, shape (n, Z + 1)
        Their parts of b_iz.
    others : array, shape (n, p - 1)
        What they lose to (delta_c, alpha).
    var : array, shape (n,)
        Of e given all else.
    """

    periods: jax.Array
    zone: jax.Array
    others: jax.Array
    var: jax.Array

    @classmethod
    def none(cls, products: int, zones: int, periods: int, regressors: int) -> "Together":
        """Begin with no rows."""
        n = products
        return cls(
            jnp.zeros((n, periods)), jnp.zeros((n, zones + 1)), jnp.zeros((n, regressors - 1)), jnp.zeros(n)
        )


class Layout(NamedTuple):
    """Where the parts of s lie; all are ints, and static."""

    covariates: int
    controls: int
    zones: int
    periods: int

    @property
    def alpha(self) -> slice:
        """Effects of controls."""
        return slice(2 + self.covariates, 2 + self.covariates + self.controls)

    @property
    def eta(self) -> slice:
        """Effects of the zones' covariates."""
        return slice(2, 2 + self.covariates)

    @property
    def zone(self) -> slice:
        """F."""
        return slice(self.alpha.stop, self.alpha.stop + self.zones)

    @property
    def period(self) -> slice:
        """Gamma."""
        return slice(self.zone.stop, self.zone.stop + self.periods)

    @property
    def size(self) -> int:
        """S."""
        return self.period.stop


class Sums(NamedTuple):
    """What rows say to their products, with M = H - H G H of each row and rho = (x, 1, controls) its p regressors.

    Attributes
    ----------
    between : array, shape (n, W, W)
        N_i, the sum of M over a product's rows.
    by_zone : array, shape (n, Z + 1, W)
        M x of each zone's row; the last is of padding.
    slope : array, shape (n, Z + 1, p)
        rho' M x.
    slope_gradient : array, shape (n, Z + 1)
        x' g.
    others : array, shape (n, p - 1, W)
        Sum of M rho over rows, of the regressors beside x.
    gradient : array, shape (n, W)
        Sum of g over rows.
    others_between : array, shape (p - 1, p - 1)
        Sum of rho' M rho over all rows.
    others_gradient : array, shape (p - 1,)
    """

    between: jax.Array
    by_zone: jax.Array
    slope: jax.Array
    slope_gradient: jax.Array
    others: jax.Array
    gradient: jax.Array
    others_between: jax.Array
    others_gradient: jax.Array

    @classmethod
    def none(cls, products: int, zones: int, periods: int, regressors: int) -> "Sums":
        """Begin with sums over no rows."""
        n, Z, W, p = products, zones, periods, regressors
        zeros = jnp.zeros
        return cls(
            zeros((n, W, W)),
            zeros((n, Z + 1, W)),
            zeros((n, Z + 1, p)),
            zeros((n, Z + 1)),
            zeros((n, p - 1, W)),
            zeros((n, W)),
            zeros((p - 1, p - 1)),
            zeros(p - 1),
        )


class Prior(NamedTuple):
    """Products' prior.

    Attributes
    ----------
    basis : array, shape (W, q + W)
        Season's regressors and eigenvectors E, in whose coordinates a product's period effects are independent.
    sd : array, shape (n, 1 + q + W)
        tau, sigma_w and the square roots of sigma_i^2 lambda + nu_i^2.
    eigenvalue : array, shape (W,)
        lambda.
    """

    basis: jax.Array
    sd: jax.Array
    eigenvalue: jax.Array


class Factor(NamedTuple):
    """The eliminated products.

    Attributes
    ----------
    cholesky : array, shape (n, m, m)
        L with D = L L'.
    border : array, shape (n, m, S + 1)
        U = L^-1 B, and behind it L^-1 times the gradient.
    """

    cholesky: jax.Array
    border: jax.Array


class Covariance(NamedTuple):
    """Posterior covariances of products, with psi = season + a_i + gamma and b_iz = beta_i + b_z.

    Attributes
    ----------
    own : array, shape (n, m, m)
        Cov(zeta_i).
    slope : array, shape (n, S)
        Cov(beta_i - beta_c, s).
    periods : array, shape (n, W, W)
        Cov(psi).
    periods_zone : array, shape (n, Z + 1, W)
        Cov(psi, b_iz).
    periods_others : array, shape (n, p, W)
        Cov(psi, (delta_c, alpha, beta_c)).
    zone : array, shape (n, Z + 1)
        Var b_iz.
    zone_others : array, shape (n, Z + 1, p)
        Cov(b_iz, (delta_c, alpha, beta_c)).
    """

    own: jax.Array
    slope: jax.Array
    periods: jax.Array
    periods_zone: jax.Array
    periods_others: jax.Array
    zone: jax.Array
    zone_others: jax.Array


def prior(
    common: Common,
    persistence: jax.Array,
    slope_sd: jax.Array,
    season_sd: jax.Array,
    slow_var: jax.Array,
    shock_var: jax.Array,
) -> Prior:
    """Products' prior; the last two are sigma_i^2 and nu_i^2, shape (n,)."""
    W = common.season.shape[1]
    value, vector = jnp.linalg.eigh(correlation(persistence, W))
    value = jnp.maximum(value, 0.0)
    of_periods = jnp.sqrt(jnp.maximum(slow_var[:, None] * value + shock_var[:, None], 1e-12))
    n = len(of_periods)
    first = jnp.concatenate([slope_sd[None], jnp.repeat(season_sd[None], len(common.season))])
    sd = jnp.concatenate([jnp.broadcast_to(first, (n, len(first))), of_periods], axis=1)
    return Prior(jnp.concatenate([common.season.T, vector], axis=1), sd, value)


def correlation(persistence: jax.Array, periods: int) -> jax.Array:
    """R(phi), shape (W, W)."""
    lag = jnp.abs(jnp.arange(periods) - jnp.arange(periods)[:, None])
    return persistence ** lag.astype(jnp.float32)


def eliminate(
    sums: Sums, prior: Prior, zeta: jax.Array, covariates: jax.Array, layout: Layout
) -> tuple[Factor, arrow.Corner]:
    """Eliminate products.

    Parameters
    ----------
    sums : Sums
        Over all rows.
    prior : Prior
    zeta : array, shape (n, m)
        Current means.
    covariates : array, shape (Z, q)
    layout : Layout
    """

    def of_product(product: tuple[jax.Array, ...]) -> Factor:
        between, by_zone, slope, slope_gradient, others, gradient, sd, zeta = product
        by_zone, slope = by_zone[:-1], slope[:-1]
        of_slope = jnp.concatenate([jnp.sum(slope[:, 1:], axis=0), slope[:, 0], jnp.sum(by_zone, axis=0)])
        of_periods = jnp.concatenate([others.T, by_zone.T, between], axis=1)
        border = jnp.concatenate([of_slope[None], matmul(prior.basis.T, of_periods)]) * sd[:, None]
        inner = matmul(border[1:, -len(between) :], prior.basis) * sd[1:]
        cross = matmul(of_slope[-len(between) :], prior.basis) * (sd[0] * sd[1:])
        corner = sd[0] ** 2 * jnp.sum(slope[:, 0])
        D = jnp.block([[corner[None, None], cross[None]], [cross[:, None], inner]])
        L = jnp.linalg.cholesky(0.5 * (D + D.T) + jnp.eye(len(D)), symmetrize_input=False)
        score = jnp.append(jnp.sum(slope_gradient[:-1]), matmul(gradient, prior.basis)) * sd - zeta
        right = jnp.concatenate([expand(border, covariates, layout), score[:, None]], axis=1)
        return Factor(L, jax.scipy.linalg.solve_triangular(L, right, lower=True))

    factor = jax.lax.map(of_product, (*sums[:6], prior.sd, zeta))
    log_det = 2.0 * jnp.sum(jnp.log(jnp.diagonal(factor.cholesky, axis1=1, axis2=2)))
    gram = _gram(factor.border.reshape(-1, layout.size + 1))
    matrix, rhs = _corner(sums, covariates, layout)
    return factor, arrow.Corner(matrix - gram[:-1, :-1], rhs - gram[-1, :-1], log_det)


def _gram(values: jax.Array) -> jax.Array:
    """V'V in strips, so that what lies below the diagonal is hardly reckoned."""
    size = values.shape[1]
    gram = jnp.zeros((size, size), values.dtype)
    for start in range(0, size, _STRIP):
        stop = min(start + _STRIP, size)
        strip = matmul(values[:, start:stop].T, values[:, start:])
        gram = gram.at[start:stop, start:].set(strip).at[start:, start:stop].set(strip.T)
    return gram


def _corner(sums: Sums, covariates: jax.Array, layout: Layout) -> tuple[jax.Array, jax.Array]:
    """Add up what rows say of s before products are eliminated."""
    by_zone, slope = jnp.sum(sums.by_zone, axis=0)[:-1], jnp.sum(sums.slope, axis=0)[:-1]
    others = jnp.sum(sums.others, axis=0)
    matrix = jnp.block(
        [
            [sums.others_between, slope[:, 1:].T, others],
            [slope[:, 1:], jnp.diag(slope[:, 0]), by_zone],
            [others.T, by_zone.T, jnp.sum(sums.between, axis=0)],
        ]
    )
    matrix = expand(expand(matrix, covariates, layout).T, covariates, layout)
    of_slope = jnp.sum(sums.slope_gradient, axis=0)[:-1]
    rhs = jnp.concatenate([sums.others_gradient, of_slope, jnp.sum(sums.gradient, axis=0)])
    return 0.5 * (matrix + matrix.T), expand(rhs, covariates, layout)


def expand(values: jax.Array, covariates: jax.Array, layout: Layout) -> jax.Array:
    """Columns of s, (..., S), from those of (delta_c, alpha, f, gamma), (..., S').

    Those of beta_c and eta are sums of f's.
    """
    zone_at = 1 + layout.controls
    first, zone, gamma = jnp.split(values, [zone_at, zone_at + layout.zones], axis=-1)
    beta_c = jnp.sum(zone, axis=-1, keepdims=True)
    return jnp.concatenate(
        [beta_c, first[..., :1], matmul(zone, covariates), first[..., 1:], zone, gamma], axis=-1
    )


def of_zones(values: jax.Array, covariates: jax.Array, layout: Layout) -> jax.Array:
    """Add up values of s, (..., S), to those of beta_c + b_z, (..., Z)."""
    return values[..., :1] + matmul(values[..., layout.eta], covariates.T) + values[..., layout.zone]


def natural(prior: Prior, zeta: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Slopes' deviations, shape (n,), and season and period effects in eta, (n, W), of zeta (n, m)."""
    own = prior.sd * zeta
    return own[:, 0], matmul(own[:, 1:], prior.basis.T)


def step(factor: Factor, shared_step: jax.Array) -> jax.Array:
    """Newton step of zeta, shape (n, m), that goes with the step of s."""
    right = matmul(factor.border, jnp.append(-shared_step, 1.0))
    return jax.lax.map(
        lambda of: jax.scipy.linalg.solve_triangular(of[0].T, of[1], lower=False), (factor.cholesky, right)
    )


def covariances(
    factor: Factor,
    prior: Prior,
    cov: jax.Array,
    covariates: jax.Array,
    layout: Layout,
    exact: jax.Array | bool = True,
) -> Covariance:
    """Posterior covariances of products from their factor and Cov(s); those given s, unless `exact`."""
    return jax.lax.cond(
        exact,
        lambda: _covariances(factor, prior, cov, covariates, layout),
        lambda: _given_shared(factor, prior, layout),
    )


def _given_shared(factor: Factor, prior: Prior, layout: Layout) -> Covariance:
    """Posterior covariances of products, as if s was known."""
    n, Z, W, p = len(prior.sd), layout.zones, layout.periods, 2 + layout.controls

    def of_product(product: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
        L, sd = product
        half = jax.scipy.linalg.solve_triangular(L, jnp.eye(len(L)), lower=True)
        own = matmul(half.T, half)
        to_periods = prior.basis * sd[1:]
        with_slope = matmul(to_periods, own[1:, 0]) * sd[0]
        return own, matmul(to_periods, matmul(own[1:, 1:], to_periods.T)), with_slope, sd[0] ** 2 * own[0, 0]

    own, periods, with_slope, var = jax.lax.map(of_product, (factor.cholesky, prior.sd))
    zeros = jnp.zeros
    return Covariance(
        own,
        zeros((n, layout.size)),
        periods,
        jnp.broadcast_to(with_slope[:, None], (n, Z + 1, W)),
        zeros((n, p, W)),
        jnp.broadcast_to(var[:, None], (n, Z + 1)),
        zeros((n, Z + 1, p)),
    )


def _covariances(
    factor: Factor, prior: Prior, cov: jax.Array, covariates: jax.Array, layout: Layout
) -> Covariance:
    period = layout.period
    others = jnp.array([1, *range(layout.alpha.start, layout.alpha.stop), 0])
    to_zone = of_zones(cov, covariates, layout)
    zone_var = to_zone[0] + jnp.sum(covariates.T * to_zone[layout.eta], axis=0)
    zone_var = zone_var + jnp.diagonal(to_zone[layout.zone])
    zone_others = to_zone[others].T

    def of_product(product: tuple[jax.Array, ...]) -> Covariance:
        L, U, sd = product
        X = jax.scipy.linalg.solve_triangular(L.T, U[:, :-1], lower=False)
        Y = matmul(X, cov)
        half = jax.scipy.linalg.solve_triangular(L, jnp.eye(len(L)), lower=True)
        own = matmul(half.T, half) + matmul(Y, X.T)
        own = 0.5 * (own + own.T)
        to_periods = prior.basis * sd[1:]
        slope, psi = -sd[0] * Y[0], cov[period] - matmul(to_periods, Y[1:])
        between = psi[:, period] - matmul(Y[1:, period].T, to_periods.T)
        between = between + matmul(to_periods, matmul(own[1:, 1:], to_periods.T))
        with_slope = matmul(to_periods, own[1:, 0]) * sd[0] + slope[period]
        slope_zone = of_zones(slope, covariates, layout)
        return Covariance(
            own,
            slope,
            0.5 * (between + between.T),
            _padded((of_zones(psi, covariates, layout) + with_slope[:, None]).T),
            psi[:, others].T,
            _padded(zone_var + sd[0] ** 2 * own[0, 0] + 2.0 * slope_zone),
            _padded(zone_others + slope[others]),
        )

    return jax.lax.map(of_product, (*factor, prior.sd))


def together(
    parts: Together, factor: Factor, prior: Prior, cov: jax.Array, covariates: jax.Array, layout: Layout
) -> tuple[jax.Array, jax.Array]:
    """Variances of products over all their zones, shape (n,), and covariances with s, (n, S)."""

    def of_product(product: tuple[jax.Array, ...]) -> tuple[jax.Array, jax.Array]:
        periods, zone, others, var, L, U, sd = product
        zone = zone[:-1]
        of_shared = expand(jnp.concatenate([-others, zone, -periods]), covariates, layout)
        own = jnp.append(jnp.sum(zone), -matmul(periods, prior.basis)) * sd
        half = jax.scipy.linalg.solve_triangular(L, own, lower=True)
        # Given s, own effects are L^-T times standard normals; they give way to s by L^-T U.
        of_shared = of_shared - matmul(half, U[:, :-1])
        with_shared = matmul(cov, of_shared)
        return var + jnp.vdot(half, half) + jnp.vdot(of_shared, with_shared), with_shared

    return jax.lax.map(of_product, (*parts, *factor, prior.sd))


def _padded(of_zone: jax.Array) -> jax.Array:
    """Add a zone for padding."""
    return jnp.concatenate([of_zone, jnp.zeros_like(of_zone[:1])])


def matmul(a: jax.Array, b: jax.Array) -> jax.Array:
    """Product of matrices in full float32."""
    # A GPU would otherwise round the factors to 10 bits.
    return jnp.matmul(a, b, precision="highest")
