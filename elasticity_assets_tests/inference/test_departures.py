"""Demand that departs from the model's: every departure draws sales, of any size, that are the seed's own."""

import numpy as np
import pytest

from elasticity_assets.inference.departures import DEPARTURES, simulate_departure
from elasticity_assets.inference.simulate import Simulation

pytestmark = pytest.mark.quick


@pytest.mark.parametrize("name", DEPARTURES)
@pytest.mark.parametrize(("products", "weeks"), [(1, 1), (9, 60)])
def test_a_departure_draws_sales_of_any_size_and_says_what_is_true(
    name: str, products: int, weeks: int
) -> None:
    simulation = Simulation(products=products, weeks=weeks, categories=1)
    ((sales, truth),) = simulate_departure(simulation, name, seed=3)
    assert {len(values) for values in sales.values()} == {products * weeks}
    assert {len(values) for values in truth.values()} == {products}
    assert (sales["price"] > 0).all()
    assert (sales["units"] >= 0).all()
    assert all(
        np.isfinite(truth[key]).all() for key in ("elasticity", "elasticity_long_run", "cross_elasticity")
    )
    ((again, _),) = simulate_departure(simulation, name, seed=3)
    assert all((again[key] == values).all() for key, values in sales.items())


def test_what_a_promotion_sells_is_in_part_taken_from_the_weeks_after() -> None:
    market = DEPARTURES["stockpiling"](np.random.default_rng(0), 3, 80)
    later = market.demand - DEPARTURES["base"](np.random.default_rng(0), 3, 80).demand
    x = market.centred
    lags = np.stack([np.pad(x, ((0, 0), (lag, 0)))[:, : x.shape[1]] for lag in range(1, 5)], axis=-1)
    for i in range(3):
        effects, *_ = np.linalg.lstsq(lags[i], later[i])
        assert effects.sum() == pytest.approx(market.later[i])
        assert market.long_run[i] == pytest.approx(0.46 * market.elasticity[i])
