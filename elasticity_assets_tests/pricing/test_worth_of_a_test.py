"""What price tests are worth: against drawn outcomes, and what they must not be."""

from dataclasses import replace

import numpy as np
import pytest

from elasticity_assets.pricing.choice import LOCKED, NONE
from elasticity_assets.pricing.ladder import candidate_prices
from elasticity_assets.pricing.products import Products
from elasticity_assets.pricing.recommend import choose
from elasticity_assets.pricing.worth_of_a_test import (
    _RUNGS,
    DOUBT,
    LONGEST,
    NO_SIGN,
    SHORTEST,
    PriceTests,
    _spread_out,
    believed_sd,
    price_tests,
)
from elasticity_assets.settings import PricingSettings
from elasticity_assets_tests.pricing.markets import market

pytestmark = pytest.mark.quick

REVENUE = PricingSettings(objective="revenue", confidence=0.5)


def worth_of(
    products: Products, rules: PricingSettings = REVENUE, log_units_sd: float = 0.2, bias: float = 0.0
) -> PriceTests:
    choice, _ = choose(products, rules)
    sd = believed_sd(products, np.full(len(products), bias))
    return price_tests(products, choice.rule, np.full(len(products), log_units_sd), sd, rules)


@pytest.mark.parametrize("elasticity", [-1.0, -0.8, -1.5])
def test_a_test_is_worth_what_the_best_price_after_drawn_outcomes_gains(elasticity: float) -> None:
    products = market(1, price=20.0, elasticity=elasticity, elasticity_sd=0.6)
    found = worth_of(products)
    ladder = candidate_prices(products.price, REVENUE.max_change)
    ladder = ladder[np.isfinite(ladder)]
    log_ratio, after = np.log(ladder / 20.0), found.sd_after[0]

    def gains(mean: np.ndarray, sd: float) -> np.ndarray:
        factor = np.exp(mean[:, None] * log_ratio + 0.5 * (sd * log_ratio) ** 2)
        return 10.0 * (ladder * factor - 20.0)

    rng = np.random.default_rng(0)
    means = elasticity + np.sqrt(0.36 - after**2) * rng.normal(size=200_000)
    drawn = np.where(means < 0, gains(means, after).max(axis=1), 0.0)  # whose price is kept is not negative
    expected = drawn.mean() - gains(np.array([elasticity]), 0.6).max()
    assert found.gain[0] == pytest.approx(expected, rel=0.05)


def test_it_takes_as_long_as_it_needs_to_halve_what_is_not_known() -> None:
    found = worth_of(market(1, elasticity=-1.0, elasticity_sd=0.9), log_units_sd=0.15)
    assert (found.price_low[0], found.price_high[0]) == (1.8, 2.2)
    step = 0.5 * np.log(2.2 / 1.8)
    needed = 3 * 0.15**2 / (0.9 * step) ** 2
    assert needed <= found.periods[0] < needed + 2
    assert found.periods[0] % 2 == 0
    assert found.sd_after[0] == pytest.approx((0.9**-2 + found.periods[0] * (step / 0.15) ** 2) ** -0.5)
    assert worth_of(market(1, elasticity_sd=0.1), log_units_sd=2.0).periods[0] == LONGEST
    assert worth_of(market(1, elasticity_sd=2.0), log_units_sd=0.01).periods[0] == SHORTEST


def test_what_no_outcome_changes_is_worth_nothing() -> None:
    assert worth_of(market(1, elasticity=-6.0, elasticity_sd=0.1)).gain[0] == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("kept", [{}, {"confounded": True}, {"estimated": False}, {"tested": False}])
@pytest.mark.parametrize("elasticity", [-3.0, -1.3, -0.5, 0.2])
def test_a_test_that_tells_nothing_is_worth_nothing_though_the_price_is_kept_today(
    elasticity: float, kept: dict[str, bool]
) -> None:
    products = market(1, price=20.0, elasticity=elasticity, elasticity_sd=0.3, cost=9.0, **kept)
    for rules in (REVENUE, PricingSettings()):
        gains = [worth_of(products, rules, noise, bias=1.0).gain[0] for noise in (0.2, 2.0, 20.0, 10_000.0)]
        assert gains[0] >= gains[-1]
        assert gains[-1] == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("price", [1.99, 0.35, 20.0])
@pytest.mark.parametrize("endings", [(), (0.99, 0.49)])
def test_prices_that_rounding_takes_away_cost_a_ladder_neither_its_ends_nor_its_middle(
    price: float, endings: tuple[float, ...]
) -> None:
    ladder = candidate_prices(np.array([price, 1000.0]), 0.1, endings)
    found = np.take_along_axis(ladder, _spread_out(ladder), axis=1)
    assert found.shape == (2, _RUNGS + 1)
    np.testing.assert_array_equal(np.nanmin(found, axis=1), np.nanmin(ladder, axis=1))
    np.testing.assert_array_equal(np.nanmax(found, axis=1), np.nanmax(ladder, axis=1))
    np.testing.assert_array_equal(found[:, -1], ladder[:, -1])
    there = np.isfinite(ladder[:, :-1]).any(axis=1)
    assert np.isfinite(found[there]).all()


def test_no_price_is_tested_below_cost_nor_a_lower_one_where_the_cost_is_not_known() -> None:
    products = market(4, elasticity=-1.2, elasticity_sd=0.8, cost=[1.0, 1.95, 2.1, np.nan])
    np.testing.assert_array_equal(worth_of(products, PricingSettings()).price_low, [1.8, 1.95, 2.0, 2.0])
    np.testing.assert_array_equal(worth_of(products).price_low, [1.8, 1.95, 2.0, 1.8])


def test_tests_are_worth_most_where_prices_follow_demand_or_the_elasticity_is_not_its_own() -> None:
    plain = {"elasticity": -1.3, "elasticity_sd": 0.2}
    sure = worth_of(market(1, **plain), bias=2.0)
    doubted = worth_of(market(2, **plain, confounded=[True, False], tested=[True, False]), bias=2.0)
    assert sure.sd_now[0] == pytest.approx(np.hypot(0.2, 2 * NO_SIGN))
    np.testing.assert_allclose(doubted.sd_now, np.hypot(0.2, 2 * DOUBT))
    assert (doubted.gain > 2 * sure.gain[0]).all()
    not_its_own = worth_of(market(1, elasticity=-1.3, elasticity_sd=0.9, estimated=False))
    assert not_its_own.gain[0] > 2 * sure.gain[0]


def test_a_bias_that_is_not_known_is_taken_for_the_usual_one_and_not_for_none() -> None:
    products = market(3, elasticity_sd=0.2)
    sd = believed_sd(products, np.array([3.0, np.nan, 5.0]))
    assert sd[1] == pytest.approx(np.hypot(0.2, NO_SIGN * 4.0))
    np.testing.assert_array_equal(believed_sd(products, np.full(3, np.nan)), 0.2)


def test_prices_that_may_not_or_cannot_change_are_not_tested() -> None:
    products = market(
        4, elasticity=-1.0, elasticity_sd=0.8, units=[10, 0, 10, 10], price=[2.0, 2.0, 0.01, 2.0]
    )
    noise = np.array([0.2, 0.2, 0.2, np.nan])  # of the last nothing is known; the third has no other price
    rule = np.array([LOCKED, NONE, NONE, NONE], dtype=object)
    found = price_tests(products, rule, noise, products.elasticity_sd, REVENUE)
    assert not found.gain.any()
    assert not found.periods.any()
    np.testing.assert_array_equal(found.sd_after, found.sd_now)


def test_tests_keep_the_margin_and_are_never_worth_less_than_nothing() -> None:
    rng = np.random.default_rng(1)
    n = 300
    price = rng.uniform(1.0, 30.0, n).round(2)
    products = market(
        n,
        price=price,
        cost=np.where(rng.random(n) < 0.7, price * rng.uniform(0.3, 0.9, n), np.nan),
        units=rng.exponential(20.0, n),
        elasticity=rng.normal(-1.5, 1.0, n),
        elasticity_sd=rng.uniform(0.1, 1.0, n),
        confounded=rng.random(n) < 0.3,
    )
    rules = PricingSettings(min_margin=0.2)
    found = worth_of(products, rules, bias=1.0)
    low, high = found.price_low, found.price_high
    assert (np.isfinite(found.gain) & (found.gain >= 0)).all()
    assert found.gain.any()
    assert ((low <= price) & (price <= high)).all()
    assert ((low >= 0.9 * price - 1e-9) & (high <= 1.1 * price + 1e-9)).all()
    lower = (low < price) & np.isfinite(products.cost)
    assert ((low - products.cost)[lower] / low[lower] >= 0.2 - 1e-9).all()
    longer = worth_of(replace(products, elasticity_sd=products.elasticity_sd * 1.01), rules, bias=1.0)
    assert (found.sd_after <= found.sd_now).all()
    assert (longer.sd_now > found.sd_now).all()
