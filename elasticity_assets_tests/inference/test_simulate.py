"""Simulated sales have the properties they were asked for."""

import numpy as np
import pytest

from elasticity_assets.inference.simulate import (
    Simulation,
    simulate,
    simulate_categories,
    simulated_panels,
    simulated_prices,
)

pytestmark = pytest.mark.quick


def test_same_seed_same_sales() -> None:
    simulation = Simulation(products=12, weeks=20, categories=3)
    one, other, third = (simulate(simulation, seed) for seed in (5, 5, 6))
    for name, values in one[0].items():
        np.testing.assert_array_equal(values, other[0][name])
    np.testing.assert_array_equal(one[1].elasticity, other[1].elasticity)
    assert not np.array_equal(one[0]["units"], third[0]["units"])


def test_layout() -> None:
    sales, truth = simulate(Simulation(products=10, weeks=20, categories=3, control_effects=(0.5, -0.2)))
    assert set(sales) == {"category", "product", "week", "units", "price", "control_1", "control_2"}
    assert len(sales["units"]) == 10 * 20
    assert {len(column) for column in sales.values()} == {10 * 20}
    assert len(np.unique(truth.product)) == 10
    assert [int((truth.category == name).sum()) for name in truth.category_name] == [4, 3, 3]
    assert truth.control_effect.shape == (3, 2)
    assert truth.period_effect.shape == (3, 20)
    assert (np.diff(np.unique(sales["week"])) == np.timedelta64(7, "D")).all()
    assert (sales["price"] > 0).all()
    assert 0 <= sales["control_1"].min() <= sales["control_1"].max() <= 1


def test_categories_come_one_by_one() -> None:
    simulation = Simulation(products=9, weeks=10, categories=3)
    whole, _ = simulate(simulation, 3)
    parts = [sales for sales, _ in simulate_categories(simulation, 3)]
    np.testing.assert_array_equal(whole["units"], np.concatenate([part["units"] for part in parts]))


def test_log_linear_regression_finds_the_elasticities() -> None:
    """At 20,000 units a week, without other effects, the log of Poisson units is a straight line."""
    simulation = Simulation(
        products=30, weeks=150, categories=2, likelihood="poisson", level_mean=10.0, period_spread=0.0
    )
    panels, truth = simulated_panels(simulation, 1)
    slopes = []
    for panel in panels:
        x, y = panel.centred_log_price(), np.log(panel.units + ~panel.observed)
        slopes.append(((x * y).sum(axis=1) / np.maximum((x * x).sum(axis=1), 1e-9))[: panel.n_products])
    np.testing.assert_allclose(np.concatenate(slopes), truth.elasticity, atol=0.05)


def test_overdispersion() -> None:
    simulation = Simulation(
        products=200, weeks=100, categories=1, level_spread=0.0, product_spread=0.0, category_spread=0.0,
        global_elasticity=0.0, period_spread=0.0, log_dispersion_mean=np.log(4.0), log_dispersion_spread=0.0,
    )  # fmt: skip
    sales, _ = simulate(simulation, 2)
    mean = np.exp(simulation.level_mean)
    assert sales["units"].mean() == pytest.approx(mean, rel=0.02)
    assert sales["units"].var() == pytest.approx(mean + mean**2 / 4.0, rel=0.05)


def test_dropped_zeros_and_missing_cells() -> None:
    slow = Simulation(products=20, weeks=50, categories=1, level_mean=0.0, drop_zeros=True)
    panels, _ = simulated_panels(slow, 0)
    assert panels[0].zero_truncated
    assert panels[0].units[panels[0].observed].min() >= 1
    sales, _ = simulate(Simulation(products=20, weeks=50, categories=1, observed=0.6), 0)
    assert len(sales["units"]) == pytest.approx(600, abs=80)


def test_prices_vary_within_a_product() -> None:
    price, promoted = simulated_prices(np.random.default_rng(0), 200, 104)
    spread = np.log(price).std(axis=1)
    assert 0.05 < np.median(spread) < 0.3
    assert promoted.mean() == pytest.approx(0.16, abs=0.05)
    log_price = np.log(price)
    inside = (promoted.sum(axis=1) > 3) & (promoted.sum(axis=1) < 100)
    cut = [
        log_price[i, promoted[i]].mean() - log_price[i, ~promoted[i]].mean() for i in np.flatnonzero(inside)
    ]
    assert np.mean(cut) == pytest.approx(-0.25, abs=0.05)


@pytest.mark.parametrize("wrong", [{"categories": 5, "products": 4}, {"categories": 0}, {"weeks": 0}])
def test_impossible_simulations(wrong: dict) -> None:
    with pytest.raises(ValueError, match="give"):
        Simulation(**wrong)
