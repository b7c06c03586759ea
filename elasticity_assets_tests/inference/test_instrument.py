"""Costs as an instrument: what they explain of prices, how surely, and what they leave."""

from dataclasses import replace

import numpy as np
import pytest

from elasticity_assets.inference.instrument import (
    PRICE_RESIDUAL,
    first_stage,
    is_price_residual,
    with_price_residual,
)
from elasticity_assets.inference.panel import CategorySales, Panel, panel_from_sales, with_control
from elasticity_assets.inference.price_lags import with_price_lags
from elasticity_assets.inference.season import PRICE_SEASON, price_season

pytestmark = pytest.mark.quick

N, T = 6, 40


def panel(slope: float, seed: int = 0) -> Panel:
    """Prices that follow costs by `slope`, each product's and period's own level apart; two cells are not sold."""
    rng = np.random.default_rng(seed)
    log_cost = rng.normal(0.0, 0.1, (N, T))
    log_price = slope * log_cost + rng.normal(0.0, 0.05, (N, T))
    log_price += rng.normal(size=(N, 1)) + 0.1 * rng.normal(size=T)
    product, period = np.divmod(np.arange(N * T), T)
    kept = np.arange(N * T) > 1
    return panel_from_sales(
        CategorySales(
            "c",
            product[kept].astype(str),
            (np.datetime64("2024-01-01") + 7 * period)[kept],
            np.full(N * T, 3.0)[kept],
            np.exp(log_price).ravel()[kept],
            cost=np.exp(log_cost + 1.0).ravel()[kept],
        )
    )


def test_what_costs_leave_of_prices_is_unrelated_to_them() -> None:
    sales = panel(0.8)
    found = first_stage(sales)
    assert found is not None
    assert not found.doubt
    left = found.residual[0][1:] - found.residual[0][1:].mean(axis=1, keepdims=True)
    cost = sales.log_cost[1:N, :T].astype(float)
    price = sales.centred_log_price()[1:N, :T]
    slope = ((price - left) * (cost - cost.mean(axis=1, keepdims=True))).sum() / (
        (cost - cost.mean(axis=1, keepdims=True)) ** 2
    ).sum()
    assert slope == pytest.approx(0.8, abs=0.1)


def test_a_cost_that_prices_do_not_follow_is_weak_and_not_used() -> None:
    sales = panel(0.0)
    found = first_stage(sales)
    assert found is not None
    assert found.doubt.startswith("costs are a weak instrument")
    assert with_price_residual(sales) is sales


def test_the_season_of_prices_is_no_control_of_the_first_stage() -> None:
    sales = panel(0.8)
    found, alike = first_stage(sales), first_stage(with_control(sales, PRICE_SEASON, price_season(sales)))
    assert found is not None
    assert alike is not None
    assert alike.strength == found.strength
    np.testing.assert_array_equal(alike.residual, found.residual)


def test_costs_reckoned_from_prices_are_no_instrument() -> None:
    sales = panel(0.8)
    cost = np.round(0.6 * np.exp(sales.log_price.astype(np.float64)), 2)
    found = first_stage(replace(sales, log_cost=np.log(np.maximum(cost, 0.01)).astype(np.float32)))
    assert found.explained > 0.98
    assert "as if reckoned from them" in found.doubt


def test_costs_of_few_products_are_not_gone_by() -> None:
    sales = panel(0.8)
    sales.log_cost[:2] = np.nan
    found = first_stage(sales)
    assert (found.products, round(found.share, 2)) == (4, 0.67)
    assert "4 products are too few" in found.doubt
    assert with_price_residual(sales) is sales
    assert "known for 50% of the sales" in replace(found, products=20, share=0.5).doubt


def test_a_cost_that_never_moves_says_nothing() -> None:
    sales = panel(0.8)
    constant = replace(sales, log_cost=np.ones_like(sales.log_cost))
    assert first_stage(constant).strength == 0.0


def test_without_costs_there_is_no_instrument() -> None:
    sales = replace(panel(0.8), log_cost=np.zeros((0, 0), np.float32))
    assert first_stage(sales) is None
    assert with_price_residual(sales) is sales


def test_products_without_costs_keep_their_prices_to_themselves() -> None:
    sales = panel(0.8)
    sales.log_cost[2] = np.nan
    found = first_stage(sales)
    assert not found.residual[:, 2].any()
    assert found.residual[:, 3].any()


def test_it_comes_with_lags_and_leads_as_many_as_the_price() -> None:
    lagged = with_price_lags(panel(0.8), 2)
    strength = first_stage(lagged).strength
    used = with_price_residual(lagged)
    own = [name for name in used.control if is_price_residual(name)]
    assert own == [PRICE_RESIDUAL, *(f"{PRICE_RESIDUAL}_{number}" for number in (1, 2, 3, 4))]
    now, before, _, after, _ = (used.controls[3, :T, used.control.index(name)] for name in own)
    np.testing.assert_array_equal(before[1:], now[:-1])
    np.testing.assert_array_equal(after[:-1], now[1:])
    assert first_stage(used).strength == strength  # its own controls are left out
