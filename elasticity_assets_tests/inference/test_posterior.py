"""Summaries of mixtures of Gaussians, against draws, closed forms and bounds that must always hold."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from elasticity_assets.inference.posterior import mixture_quantile, summarize

pytestmark = pytest.mark.quick


def test_one_gaussian_has_its_own_quantiles() -> None:
    mean, var = np.array([[-2.0, 0.5]]), np.array([[0.25, 4.0]])
    summary = summarize(np.ones(1), mean, var)
    np.testing.assert_allclose(summary.mean, mean[0])
    np.testing.assert_allclose(summary.sd, np.sqrt(var[0]))
    np.testing.assert_allclose(summary.q05, norm.ppf(0.05, mean[0], np.sqrt(var[0])))
    np.testing.assert_allclose(summary.prob_elastic, norm.cdf(-1, mean[0], np.sqrt(var[0])))


def test_mixture_agrees_with_draws() -> None:
    rng = np.random.default_rng(0)
    weight, mean, sd = np.array([0.2, 0.5, 0.3]), np.array([-3.0, -1.0, 0.5]), np.array([0.3, 1.0, 0.1])
    point = rng.choice(3, p=weight, size=400_000)
    draws = rng.normal(mean[point], sd[point])
    summary = summarize(weight, mean[:, None], sd[:, None] ** 2)
    assert summary.mean[0] == pytest.approx(draws.mean(), abs=0.01)
    assert summary.sd[0] == pytest.approx(draws.std(), rel=0.01)
    for quantile, q in ((summary.q05, 0.05), (summary.q50, 0.5), (summary.q95, 0.95)):
        assert np.mean(draws < quantile[0]) == pytest.approx(q, abs=0.003)
    assert summary.prob_elastic[0] == pytest.approx(np.mean(draws < -1), abs=0.003)


positive = st.floats(1e-3, 10.0)


@given(
    weight=st.lists(positive, min_size=1, max_size=7),
    data=st.data(),
)
def test_summaries_are_always_proper(weight: list[float], data: st.DataObject) -> None:
    size = len(weight)
    mean = np.array(data.draw(st.lists(st.floats(-30, 30), min_size=size, max_size=size)))[:, None]
    var = np.array(data.draw(st.lists(positive, min_size=size, max_size=size)))[:, None] ** 2
    summary = summarize(np.array(weight) / np.sum(weight), mean, var)
    assert summary.q05[0] < summary.q50[0] < summary.q95[0]
    assert 0.0 <= summary.prob_elastic[0] <= 1.0
    assert summary.sd[0] > 0


@given(q=st.floats(0.01, 0.99), shift=st.floats(-5, 5))
def test_quantile_moves_with_the_mixture(q: float, shift: float) -> None:
    weight, mean, var = np.array([0.4, 0.6]), np.array([[0.0], [1.0]]), np.array([[1.0], [0.3]])
    moved = mixture_quantile(q, weight, mean + shift, var)
    np.testing.assert_allclose(moved, mixture_quantile(q, weight, mean, var) + shift, atol=1e-6)
