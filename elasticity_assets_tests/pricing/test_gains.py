"""Closed forms against draws and by hand."""

import numpy as np
import pytest

from elasticity_assets.pricing.changes import changes
from elasticity_assets.pricing.gains import BreakEven, expected_factor
from elasticity_assets.pricing.ladder import candidate_prices
from elasticity_assets.pricing.products import CrossEffects
from elasticity_assets_tests.pricing.markets import market

pytestmark = pytest.mark.quick

DRAWS = np.random.default_rng(0).normal(size=400_000)


def probability_of_gain(worth, needed, log_ratio, mean, sd, needed_sd=0.0):
    return BreakEven.of(*map(np.array, (worth, needed, log_ratio, needed_sd))).probability_of_gain(
        np.array(mean), np.array(sd)
    )


@pytest.mark.parametrize("ratio", [0.8, 1.1])
@pytest.mark.parametrize(
    ("worth", "needed"), [(1.2, 1.0), (0.3, 0.5), (1.0, -0.1), (-0.1, 0.2), (-0.2, -0.19), (0.0, -0.1)]
)
def test_expectations_and_probabilities_are_those_of_draws(ratio, worth, needed):
    mean, sd = -1.7, 0.6
    factor = ratio ** (mean + sd * DRAWS)
    log_ratio = np.log(ratio)
    assert expected_factor(log_ratio, mean, sd) == pytest.approx(factor.mean(), rel=2e-3)
    found = probability_of_gain(worth, needed, log_ratio, mean, sd)
    assert found == pytest.approx((worth * factor > needed).mean(), abs=3e-3)


def test_a_probability_is_there_wherever_a_price_changes() -> None:
    mean, sd = np.array([-1.0, -2.0, -0.5, np.nan, -1.0]), np.array([0.0, 0.0, 0.0, 0.1, np.nan])
    found = probability_of_gain(1.1, 1.0, np.log(1.1), mean, sd)
    assert found.tolist()[1:] == [0.0, 1.0, 0.0, 0.0]  # the first is a tie, but for rounding
    assert np.isfinite(found[0])
    assert np.isnan(probability_of_gain(1.0, 1.0, 0.0, -1.0, 0.1))


def test_what_is_needed_may_be_uncertain() -> None:
    mean, sd, needed, needed_sd, ratio = -1.7, 0.3, 0.95, 0.05, 1.1
    rng = np.random.default_rng(1)
    drawn = (1.1 * ratio ** (mean + sd * DRAWS) > rng.normal(needed, needed_sd, DRAWS.size)).mean()
    found = probability_of_gain(1.1, needed, np.log(ratio), mean, sd, needed_sd)
    assert found == pytest.approx(drawn, abs=5e-3)


def test_revenue_gains_where_a_rise_meets_an_elasticity_above_minus_one():
    found = probability_of_gain(1.1, 1.0, np.log(1.1), -1.0, 0.3)
    assert found == pytest.approx(0.5)


def test_changes_of_several_prices_at_once_are_those_of_draws():
    products = market(
        price=[2.0, 4.0],
        units=[10.0, 5.0],
        cost=[1.0, np.nan],
        elasticity=[-2.0, -1.0],
        elasticity_sd=[0.3, 0.2],
    )
    cross = CrossEffects(np.array([0]), np.array([1]), np.array([0.8]), np.array([0.4]))
    price = np.array([2.2, 4.0])
    found = changes(products, price, cross)
    rng = np.random.default_rng(1)
    own = 10 * 1.1 ** rng.normal(-2.0, 0.3, 400_000)
    other = 5 * 1.1 ** rng.normal(0.8, 0.4, 400_000)
    for number, units in enumerate((own, other)):
        before, cost = (10.0, 5.0)[number], products.cost[number]
        for part, drawn in (
            (found.units, units - before),
            (found.revenue, price[number] * units - products.price[number] * before),
            (found.profit, (price[number] - cost) * units - (products.price[number] - cost) * before),
        ):
            expected = [drawn.mean(), *np.quantile(drawn, [0.05, 0.95])]
            np.testing.assert_allclose([values[number] for values in part], expected, atol=0.02)


def test_what_several_substitutes_prices_do_has_one_error():
    products = market(3, elasticity_sd=0.0)
    cross = CrossEffects(
        np.array([0, 1]), np.array([2, 2]), np.array([0.3, 0.6]), np.array([0.1, 0.2])
    )  # shares of a slope of 0.9 with an sd of 0.3
    at_once = changes(products, np.array([2.2, 2.2, 2.0]), cross).units
    slope = CrossEffects(np.array([0]), np.array([2]), np.array([0.9]), np.array([0.3]))
    of_one = changes(products, np.array([2.2, 2.0, 2.0]), slope).units
    np.testing.assert_allclose([end[2] for end in at_once], [end[2] for end in of_one])


def test_effects_of_some_products_prices():
    cross = CrossEffects(np.array([0, 2, 2, 5]), np.array([2, 0, 5, 0]), np.arange(4.0), np.arange(4.0))
    found = cross.of(np.array([2, 3, 5]))
    assert found.changed.tolist() == [0, 0, 2]
    assert found.affected.tolist() == [0, 5, 0]
    assert found.elasticity.tolist() == found.elasticity_sd.tolist() == [1.0, 2.0, 3.0]
    assert not len(cross.of(np.array([], int)).changed)


def test_the_ladder_holds_whole_cents_within_the_change_and_todays_price_last():
    ladder = candidate_prices(np.array([2.0, 0.3, 1.8800000000000001]), 0.1)
    assert ladder[:, -1].tolist() == [2.0, 0.3, 1.8800000000000001]
    assert np.nanmin(ladder[0]), np.nanmax(ladder[0]) == (1.8, 2.2)
    assert {f"{price:.2f}" for price in ladder[1] if np.isfinite(price)} == {
        "0.27",
        "0.28",
        "0.29",
        "0.30",
        "0.31",
        "0.32",
        "0.33",
    }
    assert not np.isclose(ladder[2, :-1], 1.88).any()


def test_the_ladder_holds_the_endings_asked_for():
    ladder = candidate_prices(np.array([2.2, 0.7, 31.0]), 0.1, [0.99, 0.49])
    assert np.unique(ladder[0][:-1][np.isfinite(ladder[0][:-1])]).tolist() == [1.99]
    assert np.isnan(ladder[1, :-1]).all()
    found = np.unique(ladder[2, :-1][np.isfinite(ladder[2, :-1])])
    assert found.min() == 27.99
    assert found.max() == 33.99
    assert {round(price % 1, 2) for price in found} == {0.49, 0.99}


def test_endings_may_be_of_tenths_of_a_cent() -> None:
    ladder = candidate_prices(np.array([1.8, 1.995]), 0.12, [0.995])
    assert np.unique(ladder[0, :-1][np.isfinite(ladder[0, :-1])]).tolist() == [1.995]
    assert np.isnan(ladder[1, :-1]).all()  # it has its ending
