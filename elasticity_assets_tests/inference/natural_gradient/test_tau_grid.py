"""What is reckoned from the gradient of a scale's log density alone."""

import numpy as np
import pytest
from scipy.interpolate import CubicSpline

from elasticity_assets.inference.natural_gradient.tau_grid import integral, power_mean

pytestmark = pytest.mark.quick


def test_means_of_powers_are_those_of_the_density() -> None:
    # log sigma ~ N(m, v): the mean of sigma^p is exp(p m + p^2 v/2).
    m, v = -1.5, 0.3
    for power in (1.0, 2.0):
        found = power_mean(lambda at: -(at - m) / v, m, 1.0 / v, power, 15)
        assert found == pytest.approx(np.exp(m + 0.5 * power * v), rel=0.01)
    # Half-normal, of which data say nothing: its log has the mode log(1), sigma the mean sqrt(2/pi).
    found = power_mean(lambda at: 1.0 - np.exp(2.0 * at), 0.0, 2.0, 1.0, 15)
    assert found == pytest.approx(np.sqrt(2.0 / np.pi), rel=0.03)


@pytest.mark.parametrize("points", [2, 3, 4, 15])
def test_the_integral_is_that_of_the_natural_cubic_spline(points: int) -> None:
    at, values = np.linspace(-2.0, 0.5, points), np.random.default_rng(points).normal(size=points)
    expected = CubicSpline(at, values, bc_type="natural").antiderivative()(at)
    np.testing.assert_allclose(integral(at, values), expected, rtol=0.0, atol=1e-13)
