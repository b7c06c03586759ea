"""The season of prices: what it is, and that it takes what products' seasons leave to what prices did."""

from dataclasses import replace

import numpy as np
import pytest

from elasticity_assets.inference.departures import DEPARTURES
from elasticity_assets.inference.natural_gradient.engine import fit
from elasticity_assets.inference.options import NaturalGradientOptions
from elasticity_assets.inference.panel import CategorySales, Panel, panel_from_sales
from elasticity_assets.inference.price_lags import with_price_lags
from elasticity_assets.inference.priors import DEFAULT, Season
from elasticity_assets.inference.season import (
    PRICE_SEASON,
    price_season,
    sine_and_cosine,
    with_price_season,
)
from elasticity_assets.inference.summaries import later_summary

WEEKS = np.datetime64("2024-01-01") + 7 * np.arange(104)


def panel_of(units: np.ndarray, log_price: np.ndarray) -> Panel:
    n, T = log_price.shape
    row, week = np.divmod(np.arange(n * T), T)
    names = np.char.add("p", np.char.zfill(row.astype(str), 3))
    return panel_from_sales(CategorySales("c", names, WEEKS[week], units.ravel(), np.exp(log_price).ravel()))


def test_is_each_products_wave_of_prices_in_units_of_all_products() -> None:
    rng = np.random.default_rng(0)
    coefficient = rng.normal(0, 0.1, (30, 2))
    panel = panel_of(np.ones((30, 104)), coefficient @ sine_and_cosine(WEEKS) + 1.0)
    expected = coefficient @ sine_and_cosine(WEEKS) / np.sqrt(np.mean(coefficient**2))
    np.testing.assert_allclose(price_season(panel), expected, atol=0.02)


def test_weeks_that_do_not_count_say_nothing_and_few_weeks_little() -> None:
    rng = np.random.default_rng(1)
    log_price = rng.normal(0, 0.1, (3, 104))
    panel = panel_of(np.ones((3, 104)), log_price)
    weight = panel.weight.copy()
    weight[0, :104], weight[1, 3:104] = 0.0, 0.0
    found = price_season(replace(panel, weight=weight))
    assert not found[0].any()
    assert np.abs(found[1]).max() < 3 * np.abs(found[2]).max()


def test_is_a_control_where_periods_span_enough_and_prices_move() -> None:
    moving = panel_of(np.ones((2, 104)), np.random.default_rng(0).normal(0, 0.1, (2, 104)))
    assert with_price_season(moving, Season.least_days).control == (PRICE_SEASON,)
    assert with_price_season(moving, 729).control == ()
    assert with_price_season(panel_of(np.ones((2, 104)), np.ones((2, 104))), 0).control == ()


@pytest.mark.slow
def test_promotions_in_season_do_not_look_as_if_they_sold_later() -> None:
    later: dict[bool, list[float]] = {False: [], True: []}
    for seed in range(1000, 1004):
        market = DEPARTURES["season_promoted"](np.random.default_rng(seed), 40, 104)
        panel = with_price_lags(panel_of(market.units().astype(float), market.log_price), 4)
        for seasoned, given in ((False, panel), (True, with_price_season(panel, Season.least_days))):
            posterior = fit(
                given,
                replace(DEFAULT, season=Season()),
                "negative_binomial",
                NaturalGradientOptions(grid_points=1),
            )
            found = later_summary(posterior)
            assert found is not None
            later[seasoned].append(found.mean[0])
    assert np.mean(later[False]) < -0.15
    assert abs(np.mean(later[True])) < 0.5 * abs(np.mean(later[False]))
