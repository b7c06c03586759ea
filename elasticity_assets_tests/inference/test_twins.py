"""Twin markets: the same demand, and prices that follow it or do not, as much as asked."""

import numpy as np
import pytest

from elasticity_assets.inference.simulate import Simulation
from elasticity_assets.inference.twins import Confounding, simulate_twins, twins

pytestmark = pytest.mark.quick


@pytest.mark.parametrize("correlation", [-0.3, 0.6])
def test_twins_differ_in_how_their_prices_come_about_alone(correlation: float) -> None:
    how = Confounding(correlation=correlation, randomized=0.0)
    following, twin = twins(0, 40, 104, how)
    np.testing.assert_array_equal(following.market.demand, twin.market.demand)
    np.testing.assert_array_equal(following.market.elasticity, twin.market.elasticity)
    np.testing.assert_array_equal(following.log_cost, twin.log_cost)
    for one, expected in ((following, correlation), (twin, 0.0)):
        found = np.corrcoef(one.market.log_price.ravel(), one.shock.ravel())[0, 1]
        assert found == pytest.approx(expected, abs=0.1)
        # The cost moves prices and not demand.
        assert abs(np.corrcoef(one.log_cost.ravel(), one.shock.ravel())[0, 1]) < 0.1
        assert np.corrcoef(one.log_cost.ravel(), one.market.log_price.ravel())[0, 1] > 0.35


def test_random_prices_do_not_follow_demand() -> None:
    following, _ = twins(0, 40, 104, Confounding(correlation=0.9, randomized=0.3))
    drawn = following.randomized
    assert 0.15 < drawn.mean() < 0.45
    prices, shock = following.market.log_price, following.shock
    assert abs(np.corrcoef(prices[:, drawn].ravel(), shock[:, drawn].ravel())[0, 1]) < 0.1
    assert np.corrcoef(prices[:, ~drawn].ravel(), shock[:, ~drawn].ravel())[0, 1] > 0.8


@pytest.mark.parametrize(("products", "weeks"), [(1, 1), (9, 60)])
def test_they_are_drawn_in_any_size_and_again_alike(products: int, weeks: int) -> None:
    simulation = Simulation(products=products, weeks=weeks, categories=1)
    both, again = (list(simulate_twins(simulation, Confounding(), seed=3)) for _ in range(2))
    assert [sales["category"][0] for sales, _ in both] == [
        "category_1, prices follow demand",
        "category_1, twin",
    ]
    for (sales, truth), (repeated, _) in zip(both, again, strict=True):
        assert {len(values) for values in sales.values()} == {products * weeks}
        assert (sales["price"] > 0).all()
        assert (sales["cost"] > 0).all()
        assert np.isfinite(truth["elasticity"]).all()
        assert all((repeated[key] == values).all() for key, values in sales.items())
    assert not set(both[0][1]["product"]) & set(both[1][1]["product"])
    np.testing.assert_array_equal(both[0][1]["elasticity"], both[1][1]["elasticity"])
