"""Names of the controls that are made from sales: all of them, and no control of the files."""

import numpy as np
import pytest

from elasticity_assets.inference.category_price_index import with_category_price_index
from elasticity_assets.inference.instrument import with_price_residual
from elasticity_assets.inference.made_controls import MADE_BY, is_made
from elasticity_assets.inference.panel import CategorySales, panel_from_sales, with_control
from elasticity_assets.inference.price_lags import with_price_lags
from elasticity_assets.inference.randomized_prices import with_price_not_random
from elasticity_assets.inference.season import with_price_season
from elasticity_assets.inference.simulate import FIRST_PERIOD
from elasticity_assets.inference.substitute_prices import with_substitute_prices
from elasticity_assets.inference.twins import Confounding, twins

pytestmark = pytest.mark.quick

N, T, LAGS = 40, 104, 2


def test_every_control_that_is_made_is_known_as_such_and_none_of_the_files() -> None:
    twin, _ = twins(3, N, T, Confounding(cost_share=0.8, randomized=0.3))
    product, week = np.divmod(np.arange(N * T), T)
    panel = panel_from_sales(
        CategorySales(
            "c",
            product.astype(str),
            FIRST_PERIOD + 7 * week,
            twin.market.units().ravel(),
            np.exp(twin.market.log_price).ravel(),
            cost=np.exp(twin.log_cost).ravel(),
            randomized=twin.randomized[week],
        )
    )
    given = ("display", "price", "season", "holidays")
    for name in given:
        panel = with_control(panel, name, np.ones((N, T)))
    panel = with_price_lags(with_category_price_index(panel, LAGS), LAGS)
    panel = with_substitute_prices(with_price_season(panel, 0), np.where(np.arange(N) < 10, "some", ""))
    panel = with_price_not_random(with_price_residual(panel))
    made = [name for name in panel.control if name not in given]
    for by, makes in MADE_BY.items():
        assert any(makes(name) for name in made), by
    assert [name for name in made if not is_made(name)] == []
    assert len(made) == 4 + LAGS + (1 + 2 * LAGS) + (1 + LAGS)
    assert not any(map(is_made, given))
