"""Slow demand's algebra against dense matrices in float64."""

import jax
import numpy as np
import pytest

from elasticity_assets.inference.natural_gradient import slow_demand

SETTINGS = [(0.4, 0.8, 5.0), (1.0, 0.98, 200.0), (1e-3, 0.8, 5.0), (0.3, 0.3, 1e4), (0.4, 0.8, 0.0)]


def dense_prior(sd: float, persistence: float, W: int) -> np.ndarray:
    """Precision of an AR(1), (W, W)."""
    lag = np.abs(np.subtract.outer(np.arange(W), np.arange(W)))
    return np.linalg.inv(sd**2 * persistence**lag)


def drawn(
    sd: float, persistence: float, size: float, W: int = 40, n: int = 6
) -> tuple[slow_demand.Ar1, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Slow demand, regressors, gradient, curvature, and G of each product."""
    rng = np.random.default_rng(0)
    log_sd = np.log(sd) + rng.normal(0, 0.2, n)
    h = size * rng.gamma(2.0, 1.0, (W, n)) * (rng.random((W, n)) < 0.8)
    z = np.stack([rng.normal(0, 0.2, (W, n)), np.ones((W, n)), np.repeat(rng.random((W // 8, n)), 8, axis=0)])
    mean, g = rng.normal(0, sd, (W, n)), rng.normal(0, 1.0, (W, n)) * np.sqrt(h)
    G = np.stack(
        [np.linalg.inv(dense_prior(np.exp(log_sd[i]), persistence, W) + np.diag(h[:, i])) for i in range(n)]
    )
    own = slow_demand.Ar1(*(np.asarray(part, np.float32) for part in (mean, log_sd, persistence)))
    return own, z, g, h, G


def each(G: np.ndarray, values: np.ndarray) -> np.ndarray:
    return np.einsum("nst,tn->sn", G, values)


@pytest.mark.parametrize(("sd", "persistence", "size"), SETTINGS)
def test_what_is_eliminated_equals_dense_inverses(sd: float, persistence: float, size: float) -> None:
    own, z, g, h, G = drawn(sd, persistence, size)
    found = jax.jit(slow_demand.eliminate)(own, *(np.asarray(part, np.float32) for part in (z, g, h)))
    var = np.diagonal(G, axis1=1, axis2=2).T
    np.testing.assert_allclose(found.var, var, rtol=2e-4)
    W, n = h.shape
    for a in range(len(z)):
        left = z[a] - each(G, h * z[a])
        np.testing.assert_allclose(found.regressors[a], left, rtol=1e-3, atol=3e-4 * np.abs(left).max())
        taken = slow_demand.taken_up(found, np.asarray(z[a : a + 1], np.float32))[0]
        np.testing.assert_allclose(taken, each(G, h * z[a]), rtol=1e-3, atol=1e-5)
    Q = [dense_prior(np.exp(float(own.log_sd[i])), persistence, W) for i in range(n)]
    step = each(G, g - each(np.stack(Q), np.asarray(own.mean, float)))
    np.testing.assert_allclose(found.step, step, rtol=2e-3, atol=1e-3 * np.abs(step).max())
    log_det = [-np.linalg.slogdet(G[i])[1] - np.linalg.slogdet(Q[i])[1] for i in range(n)]
    np.testing.assert_allclose(found.log_det, log_det, rtol=1e-3, atol=2e-4)
    np.testing.assert_allclose(
        slow_demand.squared_sums(found, np.asarray(h, np.float32)[None])[0],
        each(G**2, h),
        rtol=2e-3,
        atol=1e-12,
    )
    whole = sum(h[:, i, None] * G[i] * h[:, i] for i in range(n))
    np.testing.assert_allclose(
        slow_demand.over_products(found), whole, rtol=5e-4, atol=1e-6 * max(np.abs(whole).max(), 1e-9)
    )
