"""Rows of recommended_prices: what the warehouse knows in, prices with their reasons out."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from elasticity_assets.checks.pricing import pricing_rules_can_be_kept
from elasticity_assets.pricing.products import CrossEffects
from elasticity_assets.published.recommended_prices import Priced, read_products, recommended
from elasticity_assets.settings import PricingSettings
from elasticity_assets.warehouse.schema import replace_rows
from elasticity_assets.warehouse.tables import (
    CAUSAL_EVIDENCE,
    CROSS_ELASTICITY,
    RECOMMENDED_PRICES,
    UNIFORM_PRICING,
)
from elasticity_assets_tests.pricing.markets import market
from elasticity_assets_tests.published.test_rows import assert_fits
from elasticity_assets_tests.support.small_warehouse import NASTY, fill
from elasticity_assets_tests.support.zoned_prices import NORTH, SHIFT, SOUTH, fill_zones

pytestmark = pytest.mark.quick

RULES = PricingSettings(objective="revenue")


def rows_of(rules: dict, **products) -> pd.DataFrame:
    known = market(**products)
    priced = Priced(np.full(len(known), "soup", dtype=object), known, CrossEffects.none())
    rows = recommended(priced, PricingSettings(**rules), "refit-1").rows
    assert_fits(rows, RECOMMENDED_PRICES)
    return rows.set_index("product")


def test_each_row_says_what_its_change_brings_and_why() -> None:
    rows = rows_of(
        {},
        n=4,
        elasticity=[-0.5, -3.0, -3.0, -1.0],
        cost=[np.nan, np.nan, 1.9, 1.0],
        estimated=[True, True, True, False],
    )
    assert rows["action"].tolist() == ["raise", "keep", "raise", "keep"]
    first = rows.iloc[0]
    # By hand: 10% dearer sells 1.1^-0.5 = 4.7% fewer of 10 units of 2.00.
    assert first["units_change"] == pytest.approx(10 * (1.1**-0.5 - 1), rel=1e-2)
    assert first["revenue_change"] == pytest.approx(20 * (1.1**0.5 - 1), rel=1e-2)
    assert first["units_change_q05"] < first["units_change"] < first["units_change_q95"]
    assert rows["profit_change"].notna().tolist() == [False, False, True, True]
    assert rows["reason"].tolist() == [
        "revenue +0.98 a period expected, a gain with 100% probability; pricing.max_change allows no further change",
        "1.80 would bring more revenue, but without its cost no price below today's is recommended",
        "profit +1.25 a period expected, a gain with 100% probability; pricing.max_change allows no further change",
        "the elasticity is not the product's own: its price never changed, or nothing was sold",
    ]
    assert rows["binding_rule"].tolist() == ["max_change", "cost", "max_change", "not estimated"]
    assert (
        rows.loc[rows["action"] == "keep", ["units_change", "revenue_change"]].to_numpy().tolist()
        == [[0, 0]] * 2
    )


def test_the_rules_that_keep_a_price_are_told_in_words() -> None:
    rule = {"larger": "p0", "not_cheaper_per_unit_than": "p1"}
    rows = rows_of({"objective": "revenue", "groups": [rule]}, elasticity=[-3.0, -0.5])
    ruled = rows[rows["binding_rule"] == "groups"]["reason"].iloc[0]
    assert "but pricing.groups forbids it: {larger: p0, not_cheaper_per_unit_than: p1}" in ruled
    rows = rows_of({"objective": "revenue"}, n=20, elasticity=-0.5, index_effect=-3.0)
    assert (
        "would gain alone, but with the others' changes the category's prices would move, and lose"
        in rows["reason"].iloc[0]
    )
    rows = rows_of(
        {"objective": "revenue", "endings": [0.995]}, price=1.9, elasticity=-1.0, elasticity_sd=0.5
    )
    assert rows["reason"].iloc[0].startswith("1.995 would bring more")


def test_no_price_is_recommended_where_prices_follow_demand(warehouse_file) -> None:
    row = rows_of({"objective": "revenue"}, elasticity=-0.5, confounded=True).iloc[0]
    assert row[["action", "binding_rule"]].tolist() == ["keep", "prices follow demand"]
    assert row["reason"].startswith("prices of the category follow demand, which biases its elasticity")
    untested = rows_of({"objective": "revenue"}, elasticity=-0.5, tested=[True, False])["reason"]
    assert (
        untested.iloc[1] == f"{untested.iloc[0]}; whether prices of its category follow demand is not tested"
    )
    fill(warehouse_file)
    evidence = pd.DataFrame(
        {
            "category": ["soup", NASTY],
            **dict.fromkeys((column.name for column in CAUSAL_EVIDENCE.columns if column.nullable), np.nan),
            "prices_follow_demand": [True, False],
            "lead_z": [4.0, np.nan],
            "hausman_z": [np.nan, 0.5],
            "verdict": "in words",
            "fit_id": "a fit",
        }
    )
    warehouse_file.in_transaction(lambda connection: replace_rows(connection, CAUSAL_EVIDENCE, evidence))
    with warehouse_file.read() as connection:
        priced = read_products(connection)
    assert (priced.products.confounded == (priced.category == "soup")).all()
    assert priced.products.tested.all()
    warehouse_file.in_transaction(lambda connection: replace_rows(connection, CAUSAL_EVIDENCE, evidence[:1]))
    with warehouse_file.read() as connection:  # the other one's tests failed
        priced = read_products(connection)
    assert (priced.products.tested == (priced.category == "soup")).all()
    evidence["hausman_z"] = np.nan
    warehouse_file.in_transaction(lambda connection: replace_rows(connection, CAUSAL_EVIDENCE, evidence))
    with warehouse_file.read() as connection:  # the other one has nothing to go by
        priced = read_products(connection)
    assert (priced.products.tested == (priced.category == "soup")).all()


def test_a_price_never_charged_before_is_told() -> None:
    reason = rows_of({"objective": "revenue"}, elasticity=-0.5, price_max=2.1)["reason"].iloc[0]
    assert "never charged before: 1.50 to 2.10 was" in reason


def test_a_price_of_a_promotion_is_no_price_to_start_from(warehouse_file) -> None:
    fill(warehouse_file)
    with warehouse_file.write() as connection:
        connection.execute(
            "UPDATE weekly_sales SET regular_price = 2.5 WHERE product = '1' AND category = 'soup'"
        )
        connection.execute(
            "UPDATE weekly_sales SET regular_price = 9 WHERE product = '2' AND period_start < '2026-01-12'"
        )
        priced = read_products(connection)
    products = priced.products
    place = {
        product: number
        for number, product in enumerate(products.product)
        if priced.category[number] == "soup"
    }
    first, second = place["1"], place["2"]
    assert (products.price[first], products.price_paid[first]) == (2.5, 2.25)
    assert products.price[second] == 2.25  # of the last period none is known
    reasons = recommended(priced, PricingSettings(), "refit-1").rows["reason"]
    assert "price_now is the regular price, 2.25 was paid in the last period" in reasons[first]
    assert "regular" not in reasons[second]


def test_units_of_promotions_are_reckoned_to_todays_price(warehouse_file) -> None:
    fill(warehouse_file)
    with warehouse_file.write() as connection:
        connection.execute("UPDATE weekly_sales SET price = 2, regular_price = 3, units = 10")
        connection.execute(
            "UPDATE product_elasticity SET elasticity = -2, units_per_period = 9, price_latest = 2"
        )
        products = read_products(connection).products
        np.testing.assert_allclose(products.units, 9 * 1.5**-2)
        connection.execute("UPDATE weekly_sales SET price = 0.02 WHERE product = '1'")  # mistyped
        mistyped = read_products(connection).products
    assert (mistyped.units >= 9 * 2.0**-2 - 1e-9).all()


def test_a_regular_price_below_the_one_paid_is_none_as_in_the_fit(warehouse_file) -> None:
    fill(warehouse_file)
    with warehouse_file.write() as connection:
        connection.execute("UPDATE weekly_sales SET regular_price = 0.5")
        products = read_products(connection).products
    assert (products.price == products.price_paid).all()


def test_a_product_whose_regular_price_never_changed_has_no_slope_of_its_own(warehouse_file) -> None:
    fill(warehouse_file)
    with warehouse_file.write() as connection:
        before = read_products(connection)
        connection.execute(
            "UPDATE promotion_elasticity SET log_regular_price_sd = 0 WHERE category = 'soup' AND product = '1'"
        )
        after = read_products(connection)
    gone = (after.category == "soup") & (after.products.product == "1")
    assert before.products.estimated[gone].all()
    assert (after.products.estimated == before.products.estimated & ~gone).all()


def test_what_counts_is_the_slope_of_a_price_that_lasts_as_in_price_scenarios(warehouse_file) -> None:
    fill(warehouse_file)
    with warehouse_file.write() as connection:
        connection.execute(
            "UPDATE promotion_elasticity SET log_regular_price_sd = 0 WHERE category <> 'soup'"
        )
        products = read_products(connection).products
        lasting = connection.execute(
            """SELECT ln(1 + lasting_units_change) / ln(1.1) AS lasting FROM price_scenarios WHERE price_change = 0.1
            ORDER BY category, product"""
        ).fetchnumpy()["lasting"]
        regular = connection.execute(
            """SELECT category = 'soup' AS is_regular, elasticity_long_run, regular_elasticity_long_run
            FROM product_elasticity JOIN promotion_elasticity USING (category, product) ORDER BY category, product"""
        ).fetchnumpy()
    moved = regular["is_regular"]
    np.testing.assert_allclose(products.elasticity[moved], regular["regular_elasticity_long_run"][moved])
    np.testing.assert_allclose(products.elasticity[~moved], regular["elasticity_long_run"][~moved])
    np.testing.assert_allclose(products.elasticity[moved], lasting[moved])


def test_every_product_of_the_warehouse_is_priced_by_its_last_cost_and_long_run_elasticity(
    warehouse_file,
) -> None:
    fill(warehouse_file)
    with warehouse_file.write() as connection:
        connection.execute(
            "UPDATE weekly_sales SET cost = CASE period_start WHEN '2026-01-05' THEN 1 ELSE 1.5 END WHERE product = '2'"
        )
        connection.execute(
            "UPDATE product_elasticity SET elasticity_long_run = -1.2, elasticity_long_run_sd = 0.3 WHERE product = '3'"
        )
        connection.execute("UPDATE promotion_elasticity SET log_regular_price_sd = 0")
        connection.execute(
            "UPDATE product_elasticity SET price_latest = NULL, units_per_period = NULL WHERE product = '3'"
        )
        products = read_products(connection).products
    place = {product: number for number, product in enumerate(products.product)}
    assert products.cost[place["2"]] == 1.5
    assert np.isnan(products.cost[place["1"]])
    assert products.price[place["1"]] == 2.25
    third = place["3"]
    assert (products.elasticity[third], products.elasticity_sd[third]) == (-1.2, 0.3)
    assert (products.price[third], products.units[third]) == (2.0, 0.0)


def test_what_the_warehouse_says_of_substitutes_counts(warehouse_file) -> None:
    fill(warehouse_file)
    with warehouse_file.write() as connection:
        effects = pd.DataFrame(
            [
                ("soup", "1", "3", 0.4),
                ("soup", "2", "3", 0.5),
                ("soup", "3", "1", 0.2),
                (NASTY, "1", NASTY, 0.7),
            ],
            columns=["category", "product", "other_product", "elasticity"],
        ).assign(elasticity_sd=0.1, elasticity_q05=0.2, elasticity_q95=0.8, fit_id="fit")
        replace_rows(connection, CROSS_ELASTICITY, effects)
        priced = read_products(connection)
    cross, names = priced.cross, list(zip(priced.category, priced.products.product, strict=True))
    found = {
        (names[affected], names[changed]): (mean, sd)
        for changed, affected, mean, sd in zip(
            cross.changed, cross.affected, cross.elasticity, cross.elasticity_sd, strict=True
        )
    }
    assert found == {
        (("soup", "1"), ("soup", "3")): (0.4, 0.1),
        (("soup", "2"), ("soup", "3")): (0.5, 0.1),
        (("soup", "3"), ("soup", "1")): (0.2, 0.1),
        ((NASTY, "1"), (NASTY, NASTY)): (0.7, 0.1),
    }
    assert (np.diff(cross.changed) >= 0).all()

    def rows(effects: CrossEffects) -> pd.DataFrame:
        rules = PricingSettings(objective="revenue", confidence=0.5)
        found = recommended(replace(priced, cross=effects), rules, "refit-1").rows
        return found.set_index(["category", "product"])

    alone, together = rows(CrossEffects.none()), rows(cross)
    third = (
        "soup",
        "3",
    )  # its elasticity is -1.8; to the other two, which sell as much, its price is worth 0.9
    assert alone.loc[third, "action"] == "lower"
    assert together.loc[third, "action"] == "raise"
    assert together.loc[("soup", "1"), "reason"].startswith("revenue with its substitutes' +")
    assert together.loc[("soup", "2"), "reason"].startswith("revenue +")  # takes from none


def test_rules_that_collide_and_unknown_products_are_named() -> None:
    assert pricing_rules_can_be_kept([], [], []).passed
    found = pricing_rules_can_be_kept(["p1"], ["p2"], ["x"])
    assert not found.passed
    assert "'p1'" in found.description
    assert "'p2'" in found.description
    assert "'x'" in found.description


def test_zones_have_prices_of_their_own_beside_the_one_everywhere(warehouse_file) -> None:
    fill(warehouse_file)
    with warehouse_file.write() as connection:
        before = recommended(read_products(connection), RULES, "refit-1")
        fill_zones(connection, "soup")
        connection.execute(
            "UPDATE zone_sales SET regular_price = 2.5 WHERE product = '1' AND zone = ?", [NORTH]
        )
        priced = read_products(connection)
    assert before.uniform.empty
    found = recommended(priced, RULES, "refit-1")
    assert_fits(found.rows, RECOMMENDED_PRICES)
    assert_fits(found.uniform, UNIFORM_PRICING)
    everywhere = found.rows[found.rows["zone"].isna()]
    pd.testing.assert_frame_equal(everywhere, before.rows)  # zones change nothing of it
    rows = found.rows[found.rows["zone"].notna()].set_index(["product", "zone"])
    assert len(rows) == 6
    # To changes that last: -2 and 0.9 of the regular price's slope, and the zone's own.
    zones = priced.zones
    assert zones is not None
    at = {key: number for number, key in enumerate(zip(zones.rows.product, zones.zone, strict=True))}
    assert zones.rows.elasticity[at["1", NORTH]] == pytest.approx(-2.0 + 0.9 + SHIFT[NORTH])
    assert zones.rows.price[at["1", NORTH]] == 2.5
    assert zones.rows.price[at["1", SOUTH]] == 2.25
    assert zones.rows.units[at["2", SOUTH]] == pytest.approx(7.5 * (2.25 / 2.0) ** (-2.1 + SHIFT[SOUTH]))
    assert rows.loc[("1", NORTH), "action"] == "raise"
    assert rows.loc[("1", SOUTH), "action"] == "lower"
    assert rows.loc[("1", NORTH), "reason"].startswith("revenue +")
    uniform = found.uniform.set_index("product")
    assert uniform["cost"].tolist()[:3] == pytest.approx(
        (uniform["gain_by_zone"] - uniform["gain_everywhere"]).tolist()[:3]
    )
    assert (uniform["cost"] > 0).all()
    assert uniform.index.isna().sum() == 1
    assert uniform["cost"].iloc[3] == pytest.approx(uniform["cost"].iloc[:3].sum())


@pytest.mark.parametrize("zone", [None, NORTH])
def test_suspect_prices_are_none_that_a_zone_charged(warehouse_file, zone) -> None:
    fill(warehouse_file)
    with warehouse_file.write() as connection:
        fill_zones(connection, "soup")
        most = connection.execute("SELECT max(price) FROM zone_sales WHERE product = '1'").fetchone()
        connection.execute(
            """INSERT INTO zone_sales BY NAME
            SELECT * REPLACE (DATE '2020-01-06' AS period_start, 99 AS price)
            FROM zone_sales WHERE product = '1' AND zone = ? LIMIT 1""",
            [NORTH],
        )
        before = read_products(connection).zones
        connection.execute(
            "INSERT INTO suspect_sales VALUES ('soup', '1', ?, '2020-01-06', 'price', 99, 2, 0)", [zone]
        )
        found = read_products(connection).zones
    assert most is not None
    assert before is not None
    assert found is not None
    there = (found.rows.product == "1") & (found.zone == NORTH)
    assert before.rows.price_max[there] == 99.0
    assert found.rows.price_max[there] == most[0]
