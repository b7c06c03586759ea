"""Prices by zone, and what uniform ones cost, on products whose posterior is made up."""

from dataclasses import replace

import numpy as np
import pytest

from elasticity_assets.pricing.choice import CONFIDENCE, EVERYWHERE, LOCKED, MAX_PRODUCTS
from elasticity_assets.pricing.products import CrossEffects, Products
from elasticity_assets.pricing.reasons import reasons
from elasticity_assets.pricing.recommend import choose
from elasticity_assets.pricing.uniform import common_variance, uniform_pricing
from elasticity_assets.pricing.zones import InZones, choose_by_zone
from elasticity_assets.settings import PricingSettings
from elasticity_assets_tests.pricing.markets import market

pytestmark = pytest.mark.quick

REVENUE = PricingSettings(objective="revenue")


def in_zones(n: int, n_zones: int, **values) -> InZones:
    """Rows of each product in zones z0, z1, ...; values are one, or one a row."""
    place = np.repeat(np.arange(n), n_zones)
    rows = market(
        n * n_zones,
        **{"product": [f"p{product}" for product in place], "category": [0] * len(place), **values},
    )
    zone = np.array([f"z{number}" for number in np.tile(np.arange(n_zones), n)])
    return InZones(rows, place, zone, np.zeros(len(rows)), np.zeros(n))


def all_zones(zones: InZones, **values) -> Products:
    """Give the products over all their zones."""
    n = zones.place[-1] + 1
    rows = zones.rows
    units = zones.of_products(rows.units)
    slope = zones.of_products(rows.units * rows.elasticity) / units
    return market(n, **{"units": units, "elasticity": slope, "category": [0] * n, **values})


def test_a_zone_has_its_own_price_where_that_brings_more() -> None:
    zones = in_zones(1, 3, elasticity=[-0.5, -0.9, -3.0])
    products = all_zones(zones)
    everywhere, _ = choose(products, REVENUE)
    assert everywhere.price[0] == pytest.approx(1.8)
    found = choose_by_zone(products, zones, everywhere, REVENUE)
    assert found.choice.price.tolist() == pytest.approx([2.2, 2.2, 1.8])
    assert found.everywhere.tolist() == pytest.approx([1.8] * 3)
    cost, of_category = uniform_pricing(products, zones, found, REVENUE)
    by_hand = 20 * (1.1**0.5 + 1.1**0.1 - 0.9**0.5 - 0.9**0.1)
    assert cost.cost[0] == pytest.approx(by_hand, rel=1e-2)
    assert cost.gain_by_zone[0] == pytest.approx(found.choice.gain.sum())
    assert of_category.cost.tolist() == pytest.approx(cost.cost.tolist())
    assert cost.prob_zones_gain[0] > 0.99


def test_one_price_everywhere_costs_nothing_where_zones_are_alike() -> None:
    zones = in_zones(2, 4, elasticity=-3.0)
    products = all_zones(zones)
    found = choose_by_zone(products, zones, choose(products, REVENUE)[0], REVENUE)
    assert (found.choice.price == found.everywhere).all()
    cost, _ = uniform_pricing(products, zones, found, REVENUE)
    assert cost.cost.tolist() == cost.cost_sd.tolist() == [0.0, 0.0]
    assert np.isnan(cost.prob_zones_gain).all()


def test_a_zone_that_says_too_little_changes_as_everywhere() -> None:
    """By its own sales the change is not sure there; nothing was sold; dearer sold better; the price never changed."""
    zones = in_zones(
        1,
        5,
        elasticity=[-3.0, -1.5, -3.0, 0.5, -0.5],
        elasticity_sd=[0.1, 3.0, 0.1, 0.1, 0.1],
        units=[100.0, 10.0, 0.0, 10.0, 10.0],
        estimated=[True, True, True, True, False],
    )
    products = all_zones(zones)
    found = choose_by_zone(products, zones, choose(products, REVENUE)[0], REVENUE)
    assert found.choice.price.tolist() == pytest.approx([1.8] * 5)
    assert found.choice.rule.tolist()[1:] == [EVERYWHERE] * 4
    assert len(set(found.choice.between.tolist()[1:])) == 4


def test_a_zone_that_says_too_little_is_kept_by_the_rule_that_keeps_the_price_everywhere() -> None:
    """Without an elasticity of its own it says why its product has no other price anywhere."""
    zones = in_zones(1, 2, elasticity=-3.0, price=[2.0, 4.0], estimated=[True, False])
    products = all_zones(zones, elasticity=-3.0, elasticity_sd=5.0)
    everywhere, _ = choose(products, REVENUE)
    assert everywhere.rule.tolist() == [CONFIDENCE]
    choice = choose_by_zone(products, zones, everywhere, REVENUE).choice
    assert (choice.changed[1], choice.rule[1]) == (False, CONFIDENCE)
    assert choice.better[1] == pytest.approx(2 * everywhere.better[0])
    said = reasons(zones.rows, choice, REVENUE, CrossEffects.none())[1]
    assert said.startswith(
        f"{choice.better[1]:.2f} would bring more, but gains with less than 80% probability"
    )
    assert "as in all zones: the zone has no elasticity of its own" in said


def test_rules_hold_in_zones() -> None:
    random = np.random.default_rng(3)
    n, n_zones = 12, 5
    zones = in_zones(
        n,
        n_zones,
        elasticity=random.normal(-1.5, 1.0, n * n_zones),
        price=random.uniform(1.0, 9.0, n * n_zones),
        cost=random.uniform(0.5, 2.0, n * n_zones),
    )
    products = all_zones(zones, price=2.0, cost=1.0)
    rules = PricingSettings(
        max_change=0.2,
        endings=[0.99, 0.49],
        min_margin=0.3,
        max_products=3,
        groups=[{"locked": ["p1"]}, {"larger": "p3", "not_cheaper_per_unit_than": "p4"}],
    )
    everywhere, _ = choose(products, rules)
    choice = choose_by_zone(products, zones, everywhere, rules).choice
    price, today = choice.price[choice.changed], zones.rows.price[choice.changed]
    assert len(np.unique(zones.place[choice.changed])) == 3
    assert (np.abs(price / today - 1) <= 0.2 + 1e-9).all()
    assert np.isin(np.round(price % 1, 2), [0.99, 0.49]).all()
    assert (1 - zones.rows.cost[choice.changed] / price >= 0.3 - 1e-9).all()
    assert (choice.rule[zones.place == 1] == LOCKED).all()
    assert MAX_PRODUCTS in choice.rule.tolist()
    ratio = (choice.price / zones.rows.price)[np.isin(zones.place, [3, 4]) & choice.changed]
    assert not len(ratio) or everywhere.changed[[3, 4]].any()


def test_substitutes_count_in_the_same_zone() -> None:
    zones = in_zones(3, 2, elasticity=-1.0, units=[1, 2, 3, 4, 5, 6])
    zones = replace(
        zones,
        **{name: getattr(zones, name)[:5] for name in ("place", "zone", "shared_sd")},
        rows=zones.rows.take(slice(0, 5)),
    )
    cross = CrossEffects(np.array([0, 1, 1]), np.array([2, 0, 2]), np.array([0.2, 0.3, 0.4]), np.full(3, 0.1))
    found = zones.cross_effects(cross)
    # p2 is in z0 alone.
    pairs = list(zip(found.changed.tolist(), found.affected.tolist(), found.elasticity.tolist(), strict=True))
    assert sorted(pairs) == [(0, 4, 0.2), (2, 0, 0.3), (2, 4, 0.4), (3, 1, 0.3)]
    assert (np.diff(found.changed) >= 0).all()


def test_zones_share_what_is_known_of_the_product() -> None:
    units = np.array([1.0, 2.0, 5.0])
    zones = in_zones(1, 3, elasticity=-1.0, elasticity_sd=[0.3, 0.4, 0.5], units=units)
    share = units / 8
    cov = np.full((3, 3), 0.05) + np.diag([0.04, 0.11, 0.2])
    products = all_zones(zones, elasticity_sd=np.sqrt(share @ cov @ share))
    assert common_variance(products, zones) == pytest.approx([0.05])
    assert common_variance(all_zones(zones, elasticity_sd=9.0), zones) == pytest.approx([0.09])
    assert common_variance(all_zones(zones, elasticity_sd=0.01), zones) == pytest.approx([0.0])


@pytest.mark.parametrize("max_change", [0.1, 0.3])
def test_the_interval_holds_the_truth_though_prices_are_chosen_by_the_same_posterior(
    max_change: float,
) -> None:
    """Elasticities are drawn, then what is known of them, then prices are chosen: no winner's curse."""
    random = np.random.default_rng(11)
    n, n_zones, markets = 8, 6, 150
    spreads = {"category": 0.3, "product": 0.5, "zone": 0.3, "row": 0.3}
    noise = 0.4
    place, zone = np.repeat(np.arange(n), n_zones), np.tile(np.arange(n_zones), n)
    R = n * n_zones
    one = np.ones((R, R))
    same_product, same_zone = place[:, None] == place, zone[:, None] == zone
    prior = (
        spreads["category"] ** 2 * one
        + spreads["product"] ** 2 * same_product
        + spreads["zone"] ** 2 * same_zone
        + spreads["row"] ** 2 * np.eye(R)
    )
    gain = prior @ np.linalg.inv(prior + noise**2 * np.eye(R))
    posterior = prior - gain @ prior
    mix = np.kron(np.eye(n), np.full((1, n_zones), 1 / n_zones))
    # What rows of one zone share beyond what a product's zones share, and likewise of products.
    in_zone = posterior[same_zone & ~same_product].mean() - posterior[~same_zone & ~same_product].mean()
    shared = np.sqrt(max(posterior[~same_zone & ~same_product].mean(), 0.0))
    rules = PricingSettings(objective="revenue", max_change=max_change)
    off, sums, held = [], [], []
    for _ in range(markets):
        truth = -1.3 + np.linalg.cholesky(prior) @ random.standard_normal(R)
        mean = -1.3 + gain @ (truth + noise * random.standard_normal(R) + 1.3)
        units = random.uniform(5.0, 20.0, R)
        weight = mix * units
        weight /= weight.sum(axis=1, keepdims=True)
        zones = in_zones(n, n_zones, elasticity=mean, elasticity_sd=np.sqrt(np.diag(posterior)), units=units)
        zones = replace(zones, shared_sd=np.full(R, np.sqrt(in_zone)), category_sd=np.full(n, shared))
        products = all_zones(zones, elasticity_sd=np.sqrt(np.diag(weight @ posterior @ weight.T)))
        found = choose_by_zone(products, zones, choose(products, rules)[0], rules)
        cost, together = uniform_pricing(products, zones, found, rules)
        ratio, same = found.choice.price / 2.0, found.everywhere / 2.0
        true = zones.of_products(units * 2.0 * (ratio ** (1 + truth) - same ** (1 + truth)))
        differ = cost.cost_sd > 0
        off.append(((true - cost.cost) / np.where(differ, cost.cost_sd, 1.0))[differ])
        if differ.any():
            sums.append((true.sum() - together.cost[0]) / together.cost_sd[0])
        low, high = cost.ends
        held.append(((low <= true) & (true <= high))[differ])
    assert np.concatenate(held).mean() == pytest.approx(0.9, abs=0.02)
    assert np.concatenate(off).mean() == pytest.approx(0.0, abs=0.06)
    assert np.mean(sums) == pytest.approx(0.0, abs=0.2)
    assert np.std(sums) == pytest.approx(1.0, abs=0.12)
