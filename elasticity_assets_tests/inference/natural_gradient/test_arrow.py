"""The arrow's algebra against one dense precision matrix in float64."""

import jax
import numpy as np
import pytest

from elasticity_assets.inference.natural_gradient import arrow
from elasticity_assets.inference.natural_gradient.arrow import Rows
from elasticity_assets.inference.natural_gradient.slow_demand import Ar1
from elasticity_assets.inference.natural_gradient.small_matrices import (
    cholesky,
    solve,
    solve_lower,
    solve_upper,
)

N, W, PADDING = 5, 7, 2


class Problem:
    """Random regressors, derivatives and means; `m - 1` slopes a product, K controls, some cells missing.

    With `slow`, slow demand of that sd; with `season`, two numbers a product whose mean is 0.
    """

    def __init__(
        self,
        m: int,
        K: int,
        *,
        centred: bool = False,
        scale: float = 1.0,
        slow: float = 0.0,
        season: bool = False,
    ) -> None:
        rng = np.random.default_rng(m + 10 * K)
        n, q = N + PADDING, 2 if season else 0
        self.m, self.d, self.K, self.S = m, m + q, K, m + K + W
        d = self.d
        real = (np.arange(n) < N).astype(float)
        observed = (rng.random((W, n)) < 0.8) * real
        self.x = rng.normal(0.0, 0.4, (m - 1, W, n))
        self.season = rng.normal(0.0, 0.7, (q, W))
        self.z = rng.random((K, W, n))
        count = np.maximum(observed.sum(0), 1)
        x_mean, z_mean = (self.x * observed).sum(1) / count, (self.z * observed).sum(1) / count
        if centred:
            self.x = self.x - x_mean[:, None]
        self.rows = Rows(
            units=np.zeros((W, n)),
            weight=observed,
            slopes=(self.x - (0.0 if centred else x_mean[:, None])) * observed,
            controls=(self.z - z_mean[:, None]) * observed,
            slope_mean=np.zeros_like(x_mean) if centred else x_mean * real,
            control_mean=z_mean * real,
            real=real,
            season=self.season[:, :, None],
            experiment=np.stack([rng.normal(-1.0, 1.0, n), rng.gamma(2.0, 2.0, n)]) * real * (m > 1),
        )
        self.rows = Rows(*(np.asarray(part, np.float32) for part in self.rows))
        self.h = rng.gamma(2.0, scale, (W, n)) * observed
        self.g = rng.normal(0.0, 1.0, (W, n)) * observed
        self.precision = np.insert(np.array([2.0, 5.0, 3.0])[-m:], m - 1, [4.0] * q)
        self.theta = rng.normal(0.0, 1.0, (d, n)) * real
        self.shared = rng.normal(0.0, 1.0, self.S)
        self.shared[m + K :] -= self.shared[m + K :].mean()
        self.prior_mean = np.r_[rng.normal(0.0, 1.0, m + K), np.zeros(W)]
        self.prior_precision = np.r_[rng.gamma(2.0, 1.0, m + K), np.full(W, 4.0)]
        self.is_period = np.r_[np.zeros(m + K), np.ones(W)]
        self.slow = None
        if slow:
            sd, mean = slow * rng.gamma(4.0, 0.25, n), slow * rng.normal(0.0, 1.0, (W, n)) * real
            self.slow = Ar1(*(np.asarray(part, np.float32) for part in (mean, np.log(sd), 0.7)))

    def by_arrow(self) -> tuple[arrow.Factor, arrow.Shared, arrow.Covariance]:
        """Eliminate, solve and take covariances, in float32."""
        arrays = (self.theta, self.shared, self.g, self.h, self.precision)
        arrays = (np.asarray(array, np.float32) for array in arrays)
        prior = (self.prior_mean, self.prior_precision, self.is_period)
        prior = (np.asarray(array, np.float32) for array in prior)
        return _by_arrow(self.rows, *arrays, self.slow, *prior)

    def dense(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Step, covariance, and cells' design, of (s, theta_1, theta_2, ..., u) in the model's own coordinates."""
        m, d, K, S = self.m, self.d, self.K, self.S
        mean_of = [*range(m - 1), *[None] * (d - m), m - 1]  # where in s the mean of each number of theta is
        size = S + d * N + (N * W if self.slow else 0)
        # Of (s, own theta): the engine's level is at the product's mean regressors.
        level = np.zeros((N, size))
        precision = np.diag(np.r_[self.prior_precision, np.zeros(size - S)])
        pull = np.r_[self.prior_precision * (self.prior_mean - self.shared), np.zeros(size - S)]
        X, cells = [], []
        for i in range(N):
            own = S + d * i + np.arange(d)
            level[i, own[-1]] = 1.0
            theta = self.theta[:, i].copy()
            theta[-1] -= (
                self.rows.slope_mean[:, i] @ theta[: m - 1]
                + self.rows.control_mean[:, i] @ self.shared[m : m + K]
            )
            for a, mean in enumerate(mean_of):
                contrast = np.zeros(size)
                contrast[own[a]] = 1.0
                if mean is not None:
                    contrast[mean] = -1.0
                precision += self.precision[a] * np.outer(contrast, contrast)
                away = theta[a] - (0.0 if mean is None else self.shared[mean])
                pull -= self.precision[a] * contrast * away
            found, known = self.rows.experiment[:, i]
            precision[own[0], own[0]] += known
            pull[own[0]] += known * (found - theta[0])
            for t in np.flatnonzero(self.rows.weight[:, i]):
                row = np.zeros(size)
                row[own] = np.r_[self.x[:, t, i], self.season[:, t], 1.0]
                row[m : m + K] = self.z[:, t, i]
                row[m + K + t] = 1.0
                if self.slow:
                    row[S + d * N + i * W + t] = 1.0
                X.append(row)
                cells.append((t, i))
        for i in range(N if self.slow else 0):
            own = S + d * N + i * W + np.arange(W)
            lag = np.abs(np.subtract.outer(np.arange(W), np.arange(W)))
            prior = np.linalg.inv(np.exp(2.0 * float(self.slow.log_sd[i])) * 0.7**lag)
            precision[np.ix_(own, own)] += prior
            pull[own] -= prior @ self.slow.mean[:, i]
        X, where = np.array(X), tuple(np.array(cells).T)
        precision += (X.T * self.h[where]) @ X
        gradient = pull + X.T @ self.g[where]
        cov = np.linalg.inv(precision)
        is_period = np.r_[self.is_period, np.zeros(size - S)]
        along = cov @ is_period
        cov -= np.outer(along, along) / (along @ is_period)
        return cov @ gradient, cov, X


@jax.jit
def _by_arrow(
    rows: Rows,
    theta: jax.Array,
    shared: jax.Array,
    gradient: jax.Array,
    curvature: jax.Array,
    precision: jax.Array,
    slow: Ar1 | None,
    *prior: jax.Array,
) -> tuple[arrow.Factor, arrow.Shared, arrow.Covariance]:
    factor, corner = arrow.eliminate(rows, theta, shared, gradient, curvature, precision, slow)
    solved = arrow.solve_shared(corner, shared, *prior)
    lead = len(solved.cov) - rows.units.shape[1]
    cov = arrow.shared_covariance(solved.cov, lead, slow_demand=slow is not None)
    return factor, solved, arrow.covariances(rows, factor, cov)


@pytest.mark.parametrize(
    ("m", "K", "season"),
    [(2, 0, False), (2, 2, False), (3, 1, False), (1, 1, False), (2, 2, True), (3, 1, True)],
)
@pytest.mark.parametrize("centred", [True, False])
@pytest.mark.parametrize("slow", [0.0, 0.5, 3.0, 1e-3])
def test_step_and_covariances_equal_the_dense_ones(
    m: int, K: int, season: bool, centred: bool, slow: float
) -> None:
    problem = Problem(m, K, centred=centred, slow=slow, season=season)
    d = problem.d
    factor, solved, found = problem.by_arrow()
    step, cov, X = problem.dense()
    S = problem.S
    tight = {"rtol": 2e-4, "atol": 2e-5}
    np.testing.assert_allclose(solved.cov, cov[:S, :S], **tight)
    np.testing.assert_allclose(solved.step, step[:S], **tight)
    slopes = S + np.arange(d * N).reshape(N, d)[:, :-1]
    own_step = arrow.product_step(factor, solved.step)
    np.testing.assert_allclose(own_step[:-1, :N].T, step[slopes], **tight)
    for a in range(d - 1):
        for b in range(d - 1):
            np.testing.assert_allclose(found.theta[a, b, :N], cov[slopes[:, a], slopes[:, b]], **tight)
        np.testing.assert_allclose(found.theta_lead[a, :, :N].T, cov[slopes[:, a], : m + K], **tight)
    seen = problem.rows.weight.T[:N] > 0
    # With slow demand, what is left of the period effects given (c, alpha) is taken for independent between periods.
    loose = {"rtol": 0.08} if slow > 0.1 else tight
    np.testing.assert_allclose(
        np.asarray(found.eta).T[:N][seen], np.einsum("ij,jk,ik->i", X, cov, X), **loose
    )
    if problem.slow is not None:
        of_slow = arrow.slow_step(problem.rows, factor.slow, own_step, solved.step)
        expected = step[S + d * N :].reshape(N, W)
        np.testing.assert_allclose(np.asarray(of_slow).T[:N], expected, rtol=2e-3, atol=2e-4)
        energy = np.zeros(N)
        for i in range(N):
            own = S + d * N + i * W + np.arange(W)
            lag = np.abs(np.subtract.outer(np.arange(W), np.arange(W)))
            prior = np.linalg.inv(np.exp(2.0 * float(problem.slow.log_sd[i])) * 0.7**lag)
            energy[i] = np.trace(prior @ cov[np.ix_(own, own)]) - W
        np.testing.assert_allclose(found.slow_energy[:N], energy, rtol=0.05, atol=0.05)
    for a, mean in enumerate([*range(m - 1), *[None] * (d - m), m - 1]):
        own = S + d * np.arange(N) + a
        var = cov[own, own]
        if mean is not None:
            var = var - 2.0 * cov[own, mean] + cov[mean, mean]
        np.testing.assert_allclose(found.deviation[a, :N], var, **tight)


def test_strong_data_do_not_drown_the_prior() -> None:
    """1e7 units a week: prior and data differ by ten orders of magnitude, more than float32 holds."""
    problem = Problem(2, 1, scale=1e7)
    _, solved, found = problem.by_arrow()
    _, cov, _ = problem.dense()
    np.testing.assert_allclose(np.diag(solved.cov)[:2], np.diag(cov)[:2], rtol=1e-3)
    own = problem.S + 2 * np.arange(N)
    np.testing.assert_allclose(found.theta[0, 0, :N], cov[own, own], rtol=0.05)


def test_elasticities_that_are_nearly_the_same_deviate_by_the_prior() -> None:
    """A tau of 1e-4: deviations' variances are 1e-8, where those of elasticities and of their mean are 0.1."""
    problem = Problem(2, 1)
    problem.precision[0] = 1e8
    _, _, found = problem.by_arrow()
    np.testing.assert_allclose(found.deviation[0, :N] * problem.precision[0], 1.0, rtol=1e-5)


@pytest.mark.parametrize("d", [1, 2, 3, 4])
def test_small_matrices(d: int) -> None:
    rng = np.random.default_rng(d)
    half = rng.normal(size=(6, d, d))
    A = half @ half.transpose(0, 2, 1) + np.eye(d)
    b = rng.normal(size=(6, d, 3))
    last = lambda array: np.moveaxis(array, 0, -1).astype(np.float32)  # noqa: E731
    L = cholesky(last(A))
    expected = np.linalg.cholesky(A)
    np.testing.assert_allclose(L, last(expected), rtol=1e-4, atol=1e-5)
    for function, matrix in ((solve, A), (solve_lower, expected), (solve_upper, expected.transpose(0, 2, 1))):
        np.testing.assert_allclose(
            function(L, last(b)), last(np.linalg.solve(matrix, b)), rtol=1e-3, atol=1e-4
        )


def test_a_pivot_lost_to_rounding_leaves_finite_factors() -> None:
    A = np.array([[1.0, 1.0], [1.0, 1.0]], np.float32)[:, :, None]
    assert np.isfinite(jax.device_get(cholesky(A))).all()
