"""Chosen prices: the best there are, and never against a rule."""

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import OptimizeResult

from elasticity_assets.pricing.changes import changes
from elasticity_assets.pricing.choice import (
    CATEGORY_INDEX,
    COLLIDING_GROUPS,
    COLLIDING_MARGIN,
    CONFIDENCE,
    CONFOUNDED,
    COST,
    ENDINGS,
    GROUPS,
    LOCKED,
    MAX_CHANGE,
    MAX_PRODUCTS,
    MIN_MARGIN,
    NONE,
    NOT_ESTIMATED,
    NOT_SOLD,
    POSITIVE,
    TOO_SLOW,
)
from elasticity_assets.pricing.groups import PairRule, best_together
from elasticity_assets.pricing.options import margin_matters, options
from elasticity_assets.pricing.products import CrossEffects, Products
from elasticity_assets.pricing.recommend import Choice, choose, pair_rules
from elasticity_assets.settings import PricingSettings
from elasticity_assets_tests.pricing.markets import market

pytestmark = pytest.mark.quick


def chosen(products: Products, **rules: Any) -> Choice:
    return choose(products, PricingSettings(**rules))[0]


def test_revenue_is_raised_by_dearer_inelastic_and_cheaper_elastic_products() -> None:
    found = chosen(market(elasticity=[-0.3, -3.0, -1.0]), objective="revenue")
    assert found.price.tolist() == [2.2, 1.8, 2.0]
    assert found.rule.tolist() == [MAX_CHANGE, MAX_CHANGE, CONFIDENCE]
    assert (found.probability[:2] > 0.99).all()
    assert np.isnan(found.probability[2])


def test_profit_is_largest_where_the_margin_is_what_the_elasticity_says() -> None:
    # The best price of an elasticity of -3 is 1.5 times the cost: here 2.04.
    found = chosen(market(1, elasticity=-3.0, elasticity_sd=0.01, cost=1.36))
    assert found.price[0] == pytest.approx(2.04, abs=0.011)
    assert found.rule[0] == NONE


def test_without_a_cost_revenue_counts_and_no_price_falls() -> None:
    found = chosen(market(elasticity=[-0.3, -3.0]))
    assert found.price.tolist() == [2.2, 2.0]
    assert found.rule.tolist() == [MAX_CHANGE, COST]
    assert found.better[1] == 1.8


@pytest.mark.parametrize(
    ("products", "rules", "rule"),
    [
        ({"estimated": False}, {}, NOT_ESTIMATED),
        ({"confounded": True}, {}, CONFOUNDED),
        ({"elasticity": 0.1}, {}, POSITIVE),
        ({"units": 0.0}, {}, NOT_SOLD),
        ({"elasticity": -0.5}, {"groups": [{"locked": ["p0", "p1"]}]}, LOCKED),
        ({"elasticity": -0.9, "elasticity_sd": 1.0}, {}, CONFIDENCE),
        ({"price": 0.3, "elasticity": -0.3}, {"endings": [0.99]}, ENDINGS),
        ({"price": 0.03, "elasticity": -0.3}, {}, MAX_CHANGE),
        ({"cost": 1.99}, {"min_margin": 0.2}, COLLIDING_MARGIN),
    ],
)
def test_a_price_that_stays_says_which_rule_keeps_it(products: dict, rules: dict, rule: str) -> None:
    found = chosen(market(**products), **{"objective": "revenue"} | rules)
    assert not found.changed.any()
    assert found.rule.tolist() == [rule, rule]


def test_a_margin_that_is_too_small_is_restored_even_where_that_loses() -> None:
    found = chosen(market(cost=1.7, elasticity=-6.0), objective="revenue", min_margin=0.2)
    assert found.price.tolist() == [2.13, 2.13]  # the nearest of the ladder with a margin of 20%
    assert found.rule.tolist() == [MIN_MARGIN, MIN_MARGIN]


def test_a_margin_that_cannot_be_reached_is_named_with_the_best_feasible_price() -> None:
    found = chosen(market(1, cost=1.99), min_margin=0.2)
    assert found.better.tolist() == [2.2]


def test_only_so_many_prices_change_the_best_ones() -> None:
    products = market(elasticity=-0.3, units=[1.0, 5.0, 3.0, 4.0])
    found = chosen(products, objective="revenue", max_products=2)
    assert found.changed.tolist() == [False, True, False, True]
    assert found.rule.tolist() == [MAX_PRODUCTS, MAX_CHANGE, MAX_PRODUCTS, MAX_CHANGE]
    assert found.better.tolist()[0] == 2.2
    assert not chosen(products, objective="revenue", max_products=0).changed.any()


def test_of_so_many_changes_those_that_a_rule_only_bounds_do_not_come_first() -> None:
    # Both had better be cheaper; the first as far as its margin allows, the second, which brings more, at will.
    products = market(price=10.0, cost=[8.0, 1.0], elasticity=-3.0, units=[10.0, 20.0])
    found = chosen(products, objective="revenue", min_margin=0.15, max_products=1)
    assert found.changed.tolist() == [False, True]
    assert found.rule.tolist() == [MAX_PRODUCTS, MAX_CHANGE]


def test_of_so_many_changes_products_that_rules_join_say_why_they_stay() -> None:
    found = chosen(
        market(3, units=[10.0, 10.0, 30.0]),
        objective="revenue",
        max_products=1,
        groups=[{"cheaper": "p0", "than": "p1"}],
    )
    assert found.changed.tolist() == [False, False, True]
    assert found.rule.tolist() == [MAX_PRODUCTS, MAX_PRODUCTS, MAX_CHANGE]
    assert found.better[:2].tolist() == [1.8, 1.8]


def test_a_larger_size_is_never_cheaper_than_a_smaller_one() -> None:
    rule = {"larger": "p0", "not_cheaper_per_unit_than": "p1"}
    products = market(elasticity=[-3.0, -0.5])
    alone = chosen(products, objective="revenue")
    assert alone.price.tolist() == [1.8, 2.2]
    found = chosen(products, objective="revenue", groups=[rule])
    assert found.price[0] >= found.price[1]
    assert GROUPS in found.rule.tolist()


def test_rules_that_collide_change_nothing_and_name_the_nearest_prices() -> None:
    rule = {"larger": "p0", "not_cheaper_per_unit_than": "p1", "times": 2}
    found = chosen(market(), objective="revenue", groups=[rule])
    assert not found.changed.any()
    assert found.rule.tolist() == [COLLIDING_GROUPS] * 2
    assert found.better.tolist() == [2.2, 1.8]


def test_products_that_rules_name_and_that_are_not_there_are_told() -> None:
    rules = PricingSettings(groups=[{"locked": ["p0", "x"]}, {"cheaper": "p1", "than": "y"}])
    assert choose(market(), rules)[1] == ["x", "y"]


def test_what_a_price_takes_from_other_products_counts() -> None:
    products = market(elasticity=[-2.0, -1.0], cost=[1.0, 0.1], units=[10.0, 100.0])
    cross = CrossEffects(np.array([0]), np.array([1]), np.array([0.3]), np.array([0.05]))
    alone, together = (choose(products, PricingSettings(), effects)[0] for effects in (None, cross))
    assert together.price[0] > alone.price[0]
    assert together.gain[0] > alone.gain[0]


def test_substitutes_whose_cost_is_not_known_gain_no_profit_and_lose_their_full_price() -> None:
    products = market(elasticity=-2.0, cost=[1.0, np.nan], units=[10.0, 100.0])
    cross = CrossEffects(np.array([0]), np.array([1]), np.array([0.3]), np.array([0.001]))
    alone, together = (
        options(products, PricingSettings(), effects, products) for effects in (CrossEffects.none(), cross)
    )
    dearer, cheaper = (sign * (alone.price[0] - 2.0) > 0 for sign in (1, -1))
    np.testing.assert_allclose(together.value[0][dearer], alone.value[0][dearer])
    lost = 200 * ((together.price[0] / 2.0) ** 0.3 - 1)
    np.testing.assert_allclose((together.value - alone.value)[0][cheaper], lost[cheaper], rtol=1e-4)


def test_what_substitutes_gain_is_not_certain() -> None:
    products = market(elasticity=-2.0, cost=1.0, units=[10.0, 100.0])
    sure, unsure = (
        options(
            products,
            PricingSettings(),
            CrossEffects(np.array([0]), np.array([1]), np.array([0.1]), np.array([sd])),
            products,
        )
        for sd in (0.001, 0.3)
    )
    dearest = np.nanargmax(sure.price[0])
    draws = np.random.default_rng(0).normal(size=(2, 400_000))
    ratio = sure.price[0, dearest] / 2.0
    gain = 10 * (sure.price[0, dearest] - 1) * ratio ** (-2.0 + 0.1 * draws[0]) - 10
    gain += 100 * (ratio ** (0.1 + 0.3 * draws[1]) - 1)
    assert unsure.probability[0, dearest] == pytest.approx((gain > 0).mean(), abs=0.02)
    assert sure.probability[0, dearest] > 0.99


def test_prices_of_a_category_that_move_together_have_its_index_effect() -> None:
    products = market(3, category=[0, 0, 1], index_effect=[0.8, 0.8, 0.0], elasticity_sd=1e-6)
    units = changes(products, np.array([2.2, 2.2, 2.2]), CrossEffects.none()).units[0]
    np.testing.assert_allclose(units[:2], 10 * (1.1 ** (-2.0 + 0.8) - 1), rtol=1e-4)
    assert units[2] == pytest.approx(10 * (1.1**-2.0 - 1), rel=1e-4)
    half = changes(products, np.array([2.2, 2.0, 2.0]), CrossEffects.none()).units[0]
    assert half[1] == pytest.approx(10 * (1.1 ** (0.8 / 2) - 1), rel=1e-4)


def test_changes_that_only_gain_while_the_rest_of_the_category_stays_are_taken_back() -> None:
    elasticity = np.linspace(-0.9, -0.1, 10)
    products = market(
        elasticity=[*elasticity, *elasticity],
        category=[0] * 10 + [1] * 10,
        index_effect=[-0.7] * 10 + [0.7] * 10,
    )
    found = chosen(products, objective="revenue")
    kept, left = found.rule == CATEGORY_INDEX, found.changed
    assert not kept[10:].any()  # there, all that rise together lose fewer units
    assert kept[:10].any()
    assert left[:10].any()
    assert elasticity[kept[:10]].max() < elasticity[left[:10]].min()  # those that gain least
    assert (found.better[kept] > 2).all()

    def gain(changed: np.ndarray) -> float:
        price = np.where(changed, 2.2, 2.0)
        return changes(products, price, CrossEffects.none()).revenue[0][:10].sum()

    assert gain(left) > 0


def test_products_no_longer_sold_are_no_part_of_the_index() -> None:
    products = market(4, units=[10.0, 10.0, 0.0, 0.0], index_effect=0.8, elasticity_sd=1e-6)
    units = changes(products, np.array([2.2, 2.2, 2.0, 2.0]), CrossEffects.none()).units[0]
    np.testing.assert_allclose(units[:2], 10 * (1.1 ** (-2.0 + 0.8) - 1), rtol=1e-4)


def test_changes_that_the_index_takes_back_are_none_of_the_so_many() -> None:
    products = market(
        elasticity=[*[-0.8] * 10, *[-0.5] * 3],
        units=[*[100.0] * 10, *[10.0] * 3],
        category=[0] * 10 + [1] * 3,
        index_effect=[-0.7] * 10 + [0.0] * 3,
    )
    without_limit = chosen(products, objective="revenue").changed
    assert not without_limit[:10].all()
    assert without_limit[10:].all()
    limited = chosen(products, objective="revenue", max_products=int(without_limit.sum())).changed
    np.testing.assert_array_equal(limited, without_limit)


def test_rules_that_joined_too_many_products_to_be_kept_in_time_are_no_collision(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried = []

    def runs_out(*_: Any, **__: Any) -> OptimizeResult:
        tried.append(1)
        return OptimizeResult(x=None, status=1)

    monkeypatch.setattr("scipy.optimize.milp", runs_out)
    found = chosen(
        market(3, elasticity=-0.5),
        objective="revenue",
        max_products=1,
        groups=[{"cheaper": "p0", "than": "p1"}],
    )
    assert found.rule.tolist()[:2] == [TOO_SLOW] * 2
    assert found.changed.tolist() == [False, False, True]
    assert len(tried) == 1  # not again for each price of a change


def test_rules_between_products_force_as_few_unsure_changes_as_can_be() -> None:
    # p0 has to get cheaper than p1, which loses; p2 had better be dearer, but not surely, and no rule asks for it.
    products = market(
        3,
        elasticity=[-0.5, -0.5, -0.8],
        elasticity_sd=[0.05, 0.05, 1.0],
        index_effect=0.0,
        units=[10.0, 10.0, 1000.0],
    )
    found = chosen(
        products,
        objective="revenue",
        groups=[
            {"cheaper": "p0", "than": "p1", "by_at_least": 0.1},
            {"larger": "p2", "not_cheaper_per_unit_than": "p0"},
        ],
    )
    assert found.price[0] <= 0.9 * found.price[1] * (1 + 1e-6)
    assert found.rule.tolist()[0] == GROUPS
    assert not found.changed[2]
    assert (found.probability[found.changed] < 0.8).sum() == 1


def test_the_rule_that_forbids_a_better_price_is_named() -> None:
    rules = [
        {"larger": "p0", "not_cheaper_per_unit_than": "p1"},
        {"cheaper": "p0", "than": "p2", "by_at_most": 0.5},
    ]
    found = chosen(market(3, elasticity=[-3.0, -0.5, -0.5]), objective="revenue", groups=rules)
    ruled = found.rule == GROUPS
    assert ruled.any()
    assert set(found.between[ruled]) == {"{larger: p0, not_cheaper_per_unit_than: p1}"}
    assert (found.between[~ruled] == "").all()


def test_nothing_known_of_an_elasticity_is_nothing_sure() -> None:
    found = chosen(market(2, elasticity=[np.nan, -0.5], elasticity_sd=[0.1, np.nan], cost=2.5))
    assert not found.changed.any()


def test_no_products_have_no_prices() -> None:
    assert len(chosen(market().take(slice(0, 0))).price) == 0


@given(st.integers(0, 10**6))
@settings(max_examples=60, deadline=None)
def test_the_best_prices_together_are_those_of_all_choices(seed: int) -> None:
    rng = np.random.default_rng(seed)
    price = np.sort(rng.choice(np.arange(50, 150), (3, 4)) / 100, axis=1)
    value = rng.normal(size=price.shape)
    allowed = rng.random(price.shape) < 0.8
    pairs = [
        PairRule(0, 1, rng.uniform(0.7, 1.0), np.inf),
        PairRule(2, 1, 0.0, rng.uniform(0.7, 1.1)),
    ]
    found = best_together(price, value, allowed, pairs)
    row = np.arange(3)
    best = max(
        (
            value[row, columns].sum()
            for columns in map(list, itertools.product(range(4), repeat=3))
            if allowed[row, columns].all() and all(rule.is_kept(price[row, columns]) for rule in pairs)
        ),
        default=None,
    )
    if best is None:
        assert found is None
    else:
        assert found is not None
        assert value[row, found].sum() == pytest.approx(best)


PRODUCT = st.fixed_dictionaries(
    {
        "price": st.integers(5, 3000).map(lambda cents: cents / 100),
        "units": st.sampled_from([0.0, 0.3, 20.0]),
        "cost": st.sampled_from([np.nan, 0.3, 0.9, 1.2]),  # shares of the price
        "elasticity": st.sampled_from([-4.0, -1.5, -0.6, 0.2]),
        "elasticity_sd": st.sampled_from([0.0, 0.05, 0.8]),
        "category": st.sampled_from([0, 0, 1]),
        "estimated": st.sampled_from([True, True, False]),
    }
)
TWO = st.lists(st.integers(0, 5), min_size=2, max_size=2, unique=True).map(lambda two: [f"p{n}" for n in two])
RULE = st.one_of(
    TWO.map(lambda two: {"larger": two[0], "not_cheaper_per_unit_than": two[1]}),
    TWO.map(lambda two: {"larger": two[0], "not_dearer_per_unit_than": two[1], "times": 1.5}),
    TWO.map(lambda two: {"cheaper": two[0], "than": two[1], "by_at_least": 0.05, "by_at_most": 0.3}),
    TWO.map(lambda two: {"locked": two[:1]}),
)
RULES = st.fixed_dictionaries(
    {
        "objective": st.sampled_from(["profit", "revenue", "units", "margin_floor"]),
        "max_change": st.sampled_from([0.03, 0.1, 0.4]),
        "min_margin": st.sampled_from([None, 0.0, 0.25]),
        "endings": st.sampled_from([[], [0.99], [0.99, 0.49, 0.0], [0.995, 0.49]]),
        "max_products": st.sampled_from([None, 0, 1, 3]),
        "confidence": st.sampled_from([0.0, 0.8]),
        "groups": st.lists(RULE, max_size=4),
    }
)


@given(st.lists(PRODUCT, min_size=6, max_size=6), RULES)
@settings(max_examples=150, deadline=None)
def test_no_changed_price_ever_breaks_a_rule(rows: list[dict], asked: dict) -> None:
    columns = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    columns["cost"] = columns["cost"] * columns["price"]
    columns["category"] = np.sort(columns["category"])
    columns["index_effect"], columns["index_effect_sd"] = np.array([-0.6, 0.3])[columns["category"]], 0.3
    products, rules = market(**columns), PricingSettings(**asked)
    found, unknown = choose(products, rules)
    assert unknown == []
    pairs, locked, _ = pair_rules(products, rules)
    changed, price, today = found.changed, found.price, products.price
    assert (price[~changed] == today[~changed]).all()
    assert (price[changed] != today[changed]).all()
    assert (np.isnan(found.probability) == ~changed).all()
    assert not (
        changed & (locked | ~products.estimated | (products.elasticity >= 0) | (products.units <= 0))
    ).any()
    assert (np.abs(price - today) <= rules.max_change * today * (1 + 1e-6)).all()
    if rules.endings:
        endings = np.round(price[changed] % 1, 3)
        assert np.isin(endings, rules.endings).all()
    if margin_matters(rules):
        known = np.isfinite(products.cost)
        assert (price[changed & ~known] >= today[changed & ~known]).all()
        if rules.min_margin is not None:
            margin = (price - products.cost) / price
            assert (margin[changed & known] >= rules.min_margin - 1e-6).all()
    if rules.max_products is not None:
        assert changed.sum() <= rules.max_products
    for rule in pairs:
        both = [rule.product, rule.other]
        collide = np.isin(found.rule[both], [COLLIDING_GROUPS, MAX_PRODUCTS]) | ~_free(products, locked)[both]
        assert rule.is_kept(price) or (collide.any() and not changed[both].any())
    # And where nothing binds, no sure price within the rules brings more.
    ladders = options(products, rules, CrossEffects.none(), products)
    best = np.where(ladders.feasible & ladders.sure, ladders.value, -np.inf).max(axis=1)
    unbound = (found.rule == NONE) & np.isfinite(best)
    np.testing.assert_allclose(found.gain[unbound], best[unbound], atol=1e-9)


def _free(products: Products, locked: np.ndarray) -> np.ndarray:
    return ~locked & products.estimated & (products.elasticity < 0) & (products.units > 0)
