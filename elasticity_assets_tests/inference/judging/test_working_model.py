"""A fit's working model with further controls: the same numbers as all unknowns in one vector, and a score test."""

from dataclasses import replace

import numpy as np
import pytest

from elasticity_assets.inference.judging.working_model import WorkingModel

pytestmark = pytest.mark.quick

N, T, K, M = 3, 7, 1, 2
PERSISTENCE, SPREAD, LEVEL_SPREAD = 0.7, 0.4, 1.5


@pytest.fixture(scope="module")
def model() -> WorkingModel:
    """A model of slope and level, one control, two that might be added, and a cell that does not count."""
    rng = np.random.default_rng(1)
    precision = rng.uniform(0.5, 5.0, (N, T))
    precision[1, 2] = 0.0
    return WorkingModel(
        response=np.where(precision > 0, rng.normal(size=(N, T)), 0.0),
        precision=precision,
        own=np.stack([rng.normal(size=(N, T)), np.ones((N, T))], axis=2),
        controls=rng.normal(size=(N, T, K + M)),
        n_added=M,
        innovation_var=np.array([0.1, 0.3, 1e-6]),
        persistence=PERSISTENCE,
        own_precision=np.array([SPREAD**-2, LEVEL_SPREAD**-2]),
        shared_precision=np.concatenate([[0.2, 0.01], [1.0], [0.01, 0.01], np.full(T, 25.0)]),
        shared_mean=np.array([-2.0, *np.zeros(1 + K + M + T)]),
        experiment=np.array([[0.0, 0.0], [-3.0, 4.0], [0.0, 0.0]]),
        category_experiment=np.array([-1.0, 0.5]),
    )


def dense(model: WorkingModel, chosen: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of shared unknowns, products' own, and slow demand, all in one vector."""
    shared = [0, 1, *range(2, 2 + K), *(2 + K + m for m in chosen), *range(2 + K + M, 2 + K + M + T)]
    S = len(shared)
    size = S + 2 * N + N * T
    precision, pull = np.zeros((size, size)), np.zeros(size)
    precision[range(S), range(S)] = model.shared_precision[shared]
    pull[:S] = (model.shared_precision * model.shared_mean)[shared]
    found, known = model.category_experiment
    precision[0, 0] += known
    pull[0] += known * found
    for i in range(N):
        for d, place in enumerate((0, 1)):
            contrast = np.zeros(size)
            contrast[S + 2 * i + d], contrast[place] = 1.0, -1.0
            precision += model.own_precision[d] * np.outer(contrast, contrast)
        found, known = model.experiment[i]
        precision[S + 2 * i, S + 2 * i] += known
        pull[S + 2 * i] += known * found
        u = slice(S + 2 * N + i * T, S + 2 * N + (i + 1) * T)
        stationary = model.innovation_var[i] / (1.0 - PERSISTENCE**2)
        apart = np.abs(np.subtract.outer(np.arange(T), np.arange(T)))
        precision[u, u] += np.linalg.inv(stationary * PERSISTENCE**apart)
        for t in range(T):
            row = np.zeros(size)
            row[2 : 2 + K + len(chosen)] = model.controls[i, t, [*range(K), *(K + m for m in chosen)]]
            row[2 + K + len(chosen) + t] = 1.0
            row[S + 2 * i : S + 2 * i + 2] = model.own[i, t]
            row[S + 2 * N + i * T + t] = 1.0
            precision += model.precision[i, t] * np.outer(row, row)
            pull += model.precision[i, t] * row * model.response[i, t]
    cov = np.linalg.inv(precision)
    return cov @ pull, cov


@pytest.mark.parametrize("chosen", [[], [1], [0, 1]])
def test_it_is_the_regression_of_all_unknowns(model: WorkingModel, chosen: list[int]) -> None:
    mean, cov = dense(model, chosen)
    found, sd = model.solve(chosen), np.sqrt(np.diag(cov))
    effects = slice(2 + K, 2 + K + len(chosen))
    slopes = [2 + K + len(chosen) + T + 2 * i for i in range(N)]
    np.testing.assert_allclose(found.effect, mean[effects], rtol=1e-6)
    np.testing.assert_allclose(found.cov, cov[effects, effects], rtol=1e-6)
    np.testing.assert_allclose([found.category_mean, found.category_sd], [mean[0], sd[0]], rtol=1e-6)
    np.testing.assert_allclose(found.product_mean, mean[slopes], rtol=1e-6)
    np.testing.assert_allclose(found.product_sd, sd[slopes], rtol=1e-6)


def test_without_slow_demand_it_is_weighted_least_squares(model: WorkingModel) -> None:
    none = replace(model, innovation_var=np.zeros(0), persistence=0.0)
    little = replace(model, innovation_var=np.full(N, 1e-12))
    np.testing.assert_allclose(none.solve([0]).effect, little.solve([0]).effect, rtol=1e-6)


def test_of_sales_alone_nothing_found_elsewhere_counts(model: WorkingModel) -> None:
    none = replace(model, experiment=np.zeros((N, 2)), category_experiment=np.zeros(2))
    alone, expected = model.of_sales_alone().solve([0]), none.solve([0])
    assert alone.category_sd == expected.category_sd > model.solve([0]).category_sd
    assert none.of_sales_alone() is none


def test_products_in_parts_give_the_same(model: WorkingModel, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = model.solve([0, 1])
    monkeypatch.setattr("elasticity_assets.inference.judging.working_model._AT_ONCE", T**2)
    parts = replace(model).solve([0, 1])  # whose sums are not made yet
    np.testing.assert_allclose(parts.effect, whole.effect)
    np.testing.assert_allclose(parts.robust_cov, whole.robust_cov)


def test_z_takes_the_larger_standard_error(model: WorkingModel) -> None:
    found = model.solve([0, 1])
    both = np.ones(2)
    larger = max(found.cov.sum(), found.robust_cov.sum())
    assert found.z(both) == pytest.approx(found.effect.sum() / np.sqrt(larger))


def test_a_control_that_is_the_price_explains_all_of_it(model: WorkingModel) -> None:
    controls = model.controls.copy()
    controls[:, :, K] = model.own[:, :, 0]
    of_sales, of_prices = replace(model, controls=controls).strength(0)
    assert of_prices > 0.9
    assert 0.0 <= of_sales < 1.0
