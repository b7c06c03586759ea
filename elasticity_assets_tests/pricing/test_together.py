"""What moved prices of a group bring together: as the closed form where there is one, wider where errors are shared."""

from dataclasses import replace

import numpy as np
import pytest

from elasticity_assets.pricing.changes import changes
from elasticity_assets.pricing.products import CrossEffects
from elasticity_assets.pricing.together import Group, outcomes
from elasticity_assets_tests.pricing.markets import market

pytestmark = pytest.mark.quick


def group_of(n: int, shared: float = 0.0, cross: CrossEffects | None = None) -> Group:
    products = market(
        n,
        price=np.linspace(2.0, 3.0, n),
        units=np.linspace(10.0, 30.0, n),
        cost=1.0,
        elasticity=np.linspace(-2.5, -1.2, n),
        elasticity_sd=0.3,
        price_max=3.0,
    )
    return Group(products, cross or CrossEffects.none(), np.full(n, 0.3 * shared), 1 / n)


def test_each_product_is_as_the_recommendations_have_it() -> None:
    cross = CrossEffects(np.array([0, 1]), np.array([1, 0]), np.array([0.3, 0.2]), np.array([0.1, 0.1]))
    group = group_of(5, cross=cross)
    price = group.products.price * np.array([1.1, 0.9, 1.0, 1.05, 0.95])
    found, expected = outcomes(group, price), changes(group.products, price, cross)
    for name in ("units", "revenue", "profit"):
        ours = getattr(found, name)
        for one, other in zip((ours.change, ours.low, ours.high), getattr(expected, name), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)


def test_of_one_product_the_total_is_its_own() -> None:
    group = group_of(1)
    found = outcomes(group, group.products.price * 1.2)
    for outcome in (found.units, found.revenue, found.profit):
        own = np.array([outcome.change[0], outcome.low[0], outcome.high[0]])
        np.testing.assert_allclose(outcome.total, own, atol=0.04 * (own[2] - own[1]))


def test_todays_prices_change_nothing() -> None:
    group = group_of(4, shared=0.5)
    found = outcomes(group, group.products.price)
    for outcome in (found.units, found.revenue, found.profit):
        assert outcome.total == (0.0, 0.0, 0.0)
    assert found.revenue.total_before() == pytest.approx(group.products.price @ group.products.units)


def test_errors_that_products_share_do_not_cancel() -> None:
    price = group_of(40).products.price * 1.1
    alone, shared = (outcomes(group_of(40, shared), price).units for shared in (0.0, 1.0))
    width = [outcome.total[2] - outcome.total[1] for outcome in (alone, shared)]
    assert width[1] > 4 * width[0]  # about the square root of 40
    assert width[1] == pytest.approx(np.sum(shared.high - shared.low), rel=0.05)
    assert alone.total[0] == shared.total[0]
    np.testing.assert_allclose(alone.low, shared.low)


def test_a_whole_category_responds_less_than_each_product_alone() -> None:
    group = group_of(10)
    effects = {"index_effect": np.full(10, 0.8), "index_effect_sd": np.full(10, 0.1)}
    whole = replace(group, products=replace(group.products, **effects))
    price = group.products.price * 1.1
    fewer = outcomes(group, price).units.change / group.products.units
    fewest = outcomes(whole, price).units.change / group.products.units
    # A move of the whole category by 10% adds 0.8 to each elasticity, and the effect's variance.
    added = 1.1**0.8 * np.exp(0.5 * (0.1 * np.log(1.1)) ** 2)
    np.testing.assert_allclose(1 + fewest, (1 + fewer) * added)


def test_products_without_a_cost_are_left_out_of_profit_alone() -> None:
    group = group_of(3)
    cost = np.array([1.0, np.nan, 1.0])
    group = replace(group, products=replace(group.products, cost=cost))
    found = outcomes(group, group.products.price * 1.1)
    assert np.isnan(found.profit.change).tolist() == [False, True, False]
    assert found.profit.total[0] == pytest.approx(np.nansum(found.profit.change))
    assert found.revenue.total[0] == pytest.approx(np.sum(found.revenue.change))


def test_prices_never_charged_are_marked() -> None:
    group = group_of(3)
    assert outcomes(group, np.array([1.4, 2.9, 3.1])).extrapolated.tolist() == [True, False, True]


def test_the_same_question_has_the_same_answer() -> None:
    group = group_of(7, shared=0.7)
    price = group.products.price * 0.93
    assert outcomes(group, price).profit.total == outcomes(group, price).profit.total
