"""Predictive distributions against draws, and against scipy's own where nothing is uncertain."""

import numpy as np
import pytest
from scipy.stats import nbinom, norm, poisson

from elasticity_assets.inference.judging.prediction import Predictive

pytestmark = pytest.mark.quick


def certain(mean: np.ndarray, size: np.ndarray, truncated: bool = False) -> Predictive:
    none = np.zeros(len(mean))
    return Predictive(np.log(mean), none, np.log(size), none, truncated)


MEAN = np.array([0.3, 2.0, 40.0, 5e6])
SIZE = np.array([0.5, 3.0, 20.0, 8.0])
UNITS = np.array([0.0, 3.0, 55.0, 4e6])


@pytest.mark.parametrize("family", ["negative_binomial", "poisson"])
def test_certain_parameters_give_scipys_distributions(family: str) -> None:
    size = SIZE if family == "negative_binomial" else np.full(4, np.inf)
    law = nbinom(SIZE, SIZE / (SIZE + MEAN)) if family == "negative_binomial" else poisson(MEAN)
    cells = certain(MEAN, size)
    np.testing.assert_allclose(cells.log_probability(UNITS), law.logpmf(UNITS), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(cells.cdf(UNITS), law.cdf(UNITS), rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(cells.survival(UNITS), law.sf(UNITS), rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(cells.median(whole=True), law.median(), rtol=1e-4)
    np.testing.assert_allclose(cells.log_unsold(), law.logpmf(0), rtol=1e-6)


def test_a_truncated_distribution_has_no_zero() -> None:
    cells = certain(MEAN[:2], SIZE[:2], truncated=True)
    law = nbinom(SIZE[:2], SIZE[:2] / (SIZE[:2] + MEAN[:2]))
    some = law.sf(0)
    np.testing.assert_allclose(cells.cdf(np.zeros(2)), 0.0, atol=1e-12)
    np.testing.assert_allclose(cells.cdf(np.full(2, 2.0)), (law.cdf(2) - law.pmf(0)) / some)
    np.testing.assert_allclose(cells.log_probability(np.ones(2)), law.logpmf(1) - np.log(some))
    assert (cells.median(whole=True) >= 1).all()


def test_uncertain_parameters_widen_as_draws_do() -> None:
    rng = np.random.default_rng(0)
    cells = Predictive(np.full(1, 2.0), np.full(1, 0.3), np.full(1, 1.0), np.full(1, 0.4), False)
    size = np.exp(rng.normal(1.0, 0.4, 400_000))
    mean = np.exp(rng.normal(2.0, np.sqrt(0.3), 400_000))
    drawn = rng.poisson(mean * rng.gamma(size) / size)
    for units in (0, 3, 10, 40):
        at = np.array([float(units)])
        assert cells.cdf(at)[0] == pytest.approx((drawn <= units).mean(), abs=0.003)
        assert np.exp(cells.log_probability(at)[0]) == pytest.approx((drawn == units).mean(), abs=0.002)
    assert cells.median(whole=True)[0] == np.median(drawn)


@pytest.mark.parametrize("unit", [1.0, 0.3])
def test_pit_is_uniform_where_the_prediction_is_right(unit: float) -> None:
    rng = np.random.default_rng(1)
    mean = np.exp(rng.normal(3.0 if unit < 1.0 else 0.5, 1.0, 20_000))
    cells = certain(mean, np.full(20_000, 4.0))
    units = rng.poisson(mean * rng.gamma(4.0, 0.25, 20_000)).astype(float)
    if unit < 1.0:  # fractional: between whole numbers, where the law is continued
        units = np.maximum(units + rng.uniform(-0.5, 0.5, 20_000), 0.0)
    counts, _ = np.histogram(cells.pit(units, cells.log_probability(units), rng), 10, (0.0, 1.0))
    assert np.abs(counts / 2000 - 1.0).max() < (0.1 if unit == 1.0 else 0.15)


@pytest.mark.parametrize("truncated", [False, True])
@pytest.mark.parametrize("spread", [0.0, 0.5])
def test_tail_score_is_of_the_smaller_tail(spread: float, truncated: bool) -> None:
    mean, size = (grid.ravel() for grid in np.meshgrid([0.05, 0.8, 3.0, 50.0], [0.02, 0.3, 5.0, np.inf]))
    of_size = np.where(np.isfinite(size), 0.3, 0.0)
    for units in (1.0, 2.0, 5.0, 40.0, 300.0) if truncated else (0.0, 0.4, 1.0, 2.0, 5.0, 40.0, 300.0):
        for some in (np.isfinite(size), np.isinf(size)):
            cells = Predictive(np.log(mean), np.full(len(mean), spread**2), np.log(size), of_size, truncated)[
                np.flatnonzero(some)
            ]
            at = np.full(len(cells.mean), units)
            above = cells.survival(at - 1.0) if units > 0 else 1.0
            tail = np.minimum(np.minimum(cells.cdf(at), above), 0.5)
            score = -norm.ppf(np.maximum(tail, 1e-300))
            np.testing.assert_allclose(cells.tail_score(at), score, rtol=1e-6, atol=1e-6)


def test_tail_score_tells_absurd_units() -> None:
    cells = certain(np.full(4, 30.0), np.full(4, 15.0))
    score = cells.tail_score(np.array([29.0, 45.0, 0.0, 3000.0]))
    assert score[0] < 0.2
    assert 1.0 < score[1] < 2.0
    assert (score[2:] > 4.0).all()
