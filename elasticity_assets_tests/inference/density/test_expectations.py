"""Expectations of the log likelihood against textbook densities, differentiated and integrated in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import gammaln

from elasticity_assets.inference.density.expectations import Expectations, Family, expectations
from elasticity_assets.inference.density.likelihood import log_base

FAMILIES = [Family(nb, truncated) for nb in (False, True) for truncated in (False, True)]
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(40)
WEIGHTS = WEIGHTS / WEIGHTS.sum()
STEP = 1e-3
compiled = jax.jit(expectations, static_argnums=0)


def log_density(family: Family, y: float, eta: np.ndarray, log_r: float) -> np.ndarray:
    mu, r = np.exp(eta), np.exp(log_r)
    if family.negative_binomial:
        value = gammaln(y + r) - gammaln(r) - gammaln(y + 1) - y * np.log1p(r / mu) - r * np.log1p(mu / r)
        zero = -r * np.log1p(mu / r)
    else:
        value, zero = y * eta - mu - gammaln(y + 1), -mu
    return value - (np.log(-np.expm1(zero)) if family.zero_truncated else 0.0)


def expected(
    family: Family, y: float, mean: float, var: float, log_r: float, size_var: float | None = None
) -> np.ndarray:
    """The fields of `Expectations`, one after the other; over log r by its two-point rule."""
    if size_var is not None:
        ends = (log_r - np.sqrt(size_var), log_r + np.sqrt(size_var))
        return np.mean([expected(family, y, mean, var, end) for end in ends], axis=0)
    eta = mean + np.sqrt(var) * NODES

    def at(d_eta: float, d_r: float) -> float:
        return float(WEIGHTS @ log_density(family, y, eta + d_eta, log_r + d_r))

    middle = at(0, 0)
    by_eta, by_r = (at(STEP, 0), at(-STEP, 0)), (at(0, STEP), at(0, -STEP))
    slopes = [(up - down) / (2 * STEP) for up, down in (by_eta, by_r)]
    bends = [-(up - 2 * middle + down) / STEP**2 for up, down in (by_eta, by_r)]
    if not family.negative_binomial:
        slopes[1] = bends[1] = 0.0
    return np.array([middle - float(log_base(np.array(y))), slopes[0], bends[0], slopes[1], bends[1]])


def found(
    family: Family, y: float, mean: float, var: float, log_r: float, size_var: float | None = None
) -> np.ndarray:
    cell = (jnp.full((1, 1), value, jnp.float32) for value in (y, mean, var))
    spread = None if size_var is None else jnp.full(1, size_var, jnp.float32)
    result: Expectations = compiled(family, *cell, jnp.full(1, log_r, jnp.float32), spread)
    return np.array([float(part[0, 0]) for part in result])


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("log_r", [-1.0, 0.0, 2.0, 5.0])
def test_equal_textbook_densities(family: Family, log_r: float) -> None:
    for y in (0.0, 0.3, 1.0, 7.0, 300.0):
        if y == 0.0 and family.zero_truncated:
            continue
        for away in (-2.0, -0.5, 0.0, 1.0):
            mean = np.log(max(y, 0.5)) + away
            for var in (1e-4, 0.03, 0.15, 0.35, 0.6):
                truth = expected(family, y, mean, var, log_r)
                size = np.abs(truth) + 1e-3 * (1.0 + y)
                error = np.abs(found(family, y, mean, var, log_r) - truth) / size
                assert error.max() < 3e-3, (y, mean, var, error)


@pytest.mark.parametrize("family", FAMILIES)
def test_dispersions_are_averaged_over(family: Family) -> None:
    for y, mean, var in ((1.0, 0.5, 0.1), (7.0, 1.5, 1e-4), (300.0, 5.5, 0.05)):
        truth = expected(family, y, mean, var, 1.0, 0.8)
        size = np.abs(truth) + 1e-3 * (1.0 + y)
        assert (np.abs(found(family, y, mean, var, 1.0, 0.8) - truth) / size).max() < 3e-3
        if family.negative_binomial:
            assert (np.abs(truth - expected(family, y, mean, var, 1.0)) / size).max() > 0.02


@pytest.mark.parametrize("family", [f for f in FAMILIES if not f.zero_truncated])
def test_nothing_cancels_at_large_volumes(family: Family) -> None:
    """At the best eta the gradient is 0 and the curvature y r / (y + r), whatever the volume."""
    for y in (1e4, 1e7):
        for log_r in (0.0, 5.0, 12.0):
            values = found(family, y, np.log(y), 0.0, log_r)
            size = y * np.exp(log_r) / (y + np.exp(log_r)) if family.negative_binomial else y
            assert abs(values[1]) < 3e-6 * size
            assert values[2] == pytest.approx(size, rel=1e-5)
            assert abs(values[3]) < 0.6  # about half a unit of information, not y


@pytest.mark.parametrize("family", [f for f in FAMILIES if f.zero_truncated])
def test_rare_sales_keep_a_positive_curvature(family: Family) -> None:
    """A product that sells once a year: nearly no zero is seen, and one unit says little about eta."""
    for eta in (-3.0, -6.0, -10.0):
        values = found(family, 1.0, eta, 0.0, 1.0)
        # Log P(1 | > 0) loses (r + 1)/(2 r) mu, or mu / 2.
        slope = np.exp(eta) * ((1 + np.exp(1.0)) / (2 * np.exp(1.0)) if family.negative_binomial else 0.5)
        assert values[2] == pytest.approx(slope, rel=0.05)


def test_quadrature_equals_the_mean_without_variance() -> None:
    for family in FAMILIES:
        units, mean = jnp.full((3, 2), 2.0), jnp.linspace(-1.0, 2.0, 6).reshape(3, 2)
        log_r = jnp.zeros(2)
        exact = expectations(family, units, mean, None, log_r, None)
        spread = expectations(family, units, mean, jnp.zeros((3, 2)), log_r, jnp.zeros(2))
        for one, other in zip(exact, spread, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
