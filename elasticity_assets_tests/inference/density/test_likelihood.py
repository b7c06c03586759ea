"""Log densities of units sold against scipy in float64, where float32 is hard."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from scipy.special import digamma, gammaln, polygamma, xlogy

from elasticity_assets.inference.density.likelihood import (
    log_base,
    log_of_positive,
    negative_binomial,
    poisson,
    size_terms,
    stirling_error,
)

UNITS = np.array([0, 1, 2, 7, 60, 1_000, 123_456, 10_000_000], float)
LOG_RATIO = np.array([-2.0, -0.3, 0.0, 1e-3, 0.4, 2.0])  # of expected to actual units
LOG_SIZE = np.array([-3.0, 0.0, 2.0, 5.0])


def grid() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    units, ratio, log_size = (a.ravel() for a in np.meshgrid(UNITS, LOG_RATIO, LOG_SIZE, indexing="ij"))
    # As float32 sees it, so that rounding of the inputs is no error of the formula.
    eta = (np.log(np.maximum(units, 0.3)) + ratio).astype(np.float32)
    return units, eta, log_size.astype(np.float32)


def exact_base(units: np.ndarray) -> np.ndarray:
    return xlogy(units, units) - units - gammaln(units + 1.0)


def test_part_without_parameters() -> None:
    units = np.concatenate([UNITS, [0.004, 0.25, 1.7, 33.3]])
    np.testing.assert_allclose(
        log_base(jnp.asarray(units, jnp.float32)), exact_base(units), atol=1e-5, rtol=1e-6
    )


def scipy_log_density(units, eta, log_size, likelihood: str, truncated: bool) -> np.ndarray:
    mean, size = np.exp(eta.astype(float)), np.exp(log_size.astype(float))
    frozen = stats.poisson(mean) if likelihood == "poisson" else stats.nbinom(size, size / (size + mean))
    value = frozen.logpmf(units)
    if truncated:
        log_zero = -mean if likelihood == "poisson" else size * np.log(size / (size + mean))
        value = value - np.log(-np.expm1(log_zero))
    return value


@pytest.mark.parametrize("truncated", [False, True])
@pytest.mark.parametrize("likelihood", ["poisson", "negative_binomial"])
def test_density_is_scipys(likelihood: str, truncated: bool) -> None:
    units, eta, log_size = grid()
    keep = units > 0 if truncated else np.isfinite(units)
    units, eta, log_size = units[keep], eta[keep], log_size[keep]
    if likelihood == "poisson":
        value = poisson(jnp.asarray(units, jnp.float32), eta, zero_truncated=truncated)
    else:
        value = negative_binomial(jnp.asarray(units, jnp.float32), eta, log_size, zero_truncated=truncated)
    assert value.dtype == jnp.float32
    expected = scipy_log_density(units, eta, log_size, likelihood, truncated)
    # eta itself is good to 1e-6 in float32, which at 1e7 units of Poisson is an error of its own.
    slope = np.abs(units - np.exp(eta.astype(float))) if likelihood == "poisson" else np.exp(log_size) + 1
    np.testing.assert_allclose(
        np.asarray(value) + exact_base(units), expected, rtol=2e-5, atol=2e-5 + 4e-6 * slope.max()
    )
    assert np.median(np.abs(np.asarray(value) + exact_base(units) - expected)) < 2e-5


@pytest.mark.parametrize("truncated", [False, True])
def test_fractional_units(truncated: bool) -> None:
    units, eta, r = np.array([0.25, 1.7, 33.3]), np.array([0.1, 0.5, 3.0], np.float32), 4.0
    value = negative_binomial(units, eta, np.log(r), zero_truncated=truncated) + exact_base(units)
    mean = np.exp(eta.astype(float))
    expected = gammaln(units + r) - gammaln(r) - gammaln(units + 1)
    expected += r * np.log(r / (r + mean)) + units * np.log(mean / (r + mean))
    if truncated:
        expected -= np.log1p(-((r / (r + mean)) ** r))
    np.testing.assert_allclose(value, expected, rtol=1e-5)


def test_gradients_agree_with_float64() -> None:
    units, eta, log_size = grid()

    def total(eta, log_size, dtype):
        return (
            negative_binomial(jnp.asarray(units, dtype), eta, log_size).sum()
            + poisson(jnp.asarray(units, dtype), eta).sum()
        )

    gradient = jax.jit(jax.grad(total, argnums=(0, 1)), static_argnums=2)
    single = gradient(jnp.asarray(eta), jnp.asarray(log_size), jnp.float32)
    with jax.enable_x64(True):
        double = gradient(jnp.asarray(eta, jnp.float64), jnp.asarray(log_size, jnp.float64), jnp.float64)
        for one, other in zip(single, double, strict=True):
            # A thousandth of the score's own sd at most.
            assert (np.abs(one - other) <= 2e-4 * np.abs(other) + 1e-3 * np.sqrt(units + 1)).all()


def test_gradient_by_log_size_is_smooth_where_size_equals_units() -> None:
    for y in (1.0, 7.0, 100.0, 1000.0):
        near = np.float32(np.log(y))
        away = np.float32(4e-7) * np.maximum(near, 1.0) * np.arange(-3, 4, dtype=np.float32)
        slope = jax.vmap(
            jax.grad(lambda log_r, y=y: negative_binomial(jnp.float32(y), jnp.log(y) + 0.1, log_r))
        )(jnp.asarray(near + away))
        # By log r, E of digamma's and the logarithms' differences in float64.
        mu, expected = y * np.exp(0.1), y * (digamma(2 * y) - digamma(y) - np.log1p(np.exp(0.1)))
        expected += y * (mu - y) / (y + mu)
        np.testing.assert_allclose(slope, expected, rtol=1e-3, atol=2e-3)


def test_terms_of_units_and_size_are_scipys() -> None:
    y, r = (
        a.ravel()
        for a in np.meshgrid([0.0, 0.02, 0.3, 1.0, 7.0, 60.0, 1e4, 1e7], np.geomspace(1e-3, 1e5, 33))
    )
    y, r = np.float32(y).astype(float), np.exp(np.log(np.float32(r)).astype(np.float32).astype(float))
    units, log_size = jnp.asarray(y, jnp.float32), jnp.asarray(np.log(r), jnp.float32)
    terms = size_terms(units, log_of_positive(units), log_size)
    near = digamma(y + r) - digamma(r) - np.log1p(y / r)
    np.testing.assert_allclose(r * terms.digamma, r * near, atol=2e-6)
    slope = polygamma(1, y + r) - polygamma(1, r) + y / (r * (y + r))
    np.testing.assert_allclose(r**2 * terms.trigamma, r**2 * slope, atol=5e-6)
    np.testing.assert_allclose(terms.by_size, np.log1p(y / r), rtol=1e-5, atol=1e-6)


def test_finite_far_away() -> None:
    for eta in (-80.0, 80.0):
        for truncated in (False, True):
            for density in (poisson, lambda y, e, **k: negative_binomial(y, e, 2.0, **k)):
                value, slope = jax.value_and_grad(
                    lambda e, d=density, t=truncated: d(3.0, e, zero_truncated=t)
                )(eta)
                assert np.isfinite(value)
                assert np.isfinite(slope)


def test_stirling_error() -> None:
    x = np.concatenate([np.geomspace(1e-3, 7.99, 40), np.geomspace(8.0, 1e6, 20)])
    expected = gammaln(x) - (x - 0.5) * np.log(x) + x - 0.5 * np.log(2 * np.pi)
    np.testing.assert_allclose(stirling_error(jnp.asarray(x, jnp.float32)), expected, rtol=1e-4, atol=1e-5)
