"""Learning scales of effects known well, badly or not at all: where their steps end, and in how few."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from elasticity_assets.inference.natural_gradient.scales import scale_priors, score_scales
from elasticity_assets.inference.priors import HalfNormal

pytestmark = pytest.mark.quick

PRIOR = HalfNormal(0.5)
N = 200


def log_posterior(log_scale: float, estimate: np.ndarray, var: float) -> float:
    """Of log sigma, effects integrated out: estimates are N(0, sigma^2 + var)."""
    total = np.exp(2.0 * log_scale) + var
    of_data = -0.5 * np.sum(estimate**2 / total + np.log(total))
    return float(of_data - 0.5 * np.exp(2.0 * log_scale) / PRIOR.scale**2 + log_scale)


@pytest.mark.parametrize("start", [0.02, 0.1, 0.5])
@pytest.mark.parametrize("sd", [0.01, 0.1, 1.0])  # of an effect's own data
@pytest.mark.parametrize("true", [0.0, 0.1, 0.4])
def test_ends_at_the_mode_in_few_steps(true: float, sd: float, start: float) -> None:
    rng = np.random.default_rng(1)
    estimate = rng.normal(0.0, np.hypot(true, sd), N)
    at, one = jnp.log(jnp.array([start])), jnp.ones(1)
    step = jax.jit(lambda at, *sums: score_scales(at, scale_priors(PRIOR), *sums).log_scale)
    for _ in range(15):
        prior = np.exp(2.0 * float(at[0]))
        var = prior * sd**2 / (prior + sd**2)
        squares = np.sum((estimate * prior / (prior + sd**2)) ** 2) + N * var
        at = step(at, squares * one, N * one, N * (1.0 - var / prior) ** 2 * one)
    best = minimize_scalar(
        lambda log_scale: -log_posterior(log_scale, estimate, sd**2), bounds=(-9.0, 1.0), method="bounded"
    )
    assert float(at[0]) == pytest.approx(best.x, abs=0.05)
