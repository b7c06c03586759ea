"""The answer says what to change, what that brings and how sure it is, or why nothing should change."""

import numpy as np
import pandas as pd
import pytest

from elasticity_assets.pricing import choice
from elasticity_assets.report.answer import KEPT, MOST_CHANGES, Answer, Objective, answer, recommendations
from elasticity_assets.report.uniform_pricing import uniform_pricing_of
from elasticity_assets_tests.report.made_up import IMAGE, product_elasticity, recommended

pytestmark = pytest.mark.quick


def answered(prices: pd.DataFrame, objective: Objective = "profit", **more) -> Answer:
    products = product_elasticity("soup", len(prices))
    return answer(recommendations(products.assign(**more), prices, objective), "week", frozenset({"bread"}))


def prices(n: int = 6) -> pd.DataFrame:
    return recommended(product_elasticity("soup", n))


def test_it_says_what_to_do_and_what_that_brings() -> None:
    found = answered(prices())
    assert found.headline == "Raise 2 of 6 prices"
    assert found.brings == "Expected: revenue a week +3.25 (+5.4% of today's)."
    assert found.sure == "Of the 2 changes, 1.8 are expected to gain, each with a probability of 92%."
    assert [(total.what, total.expected, total.ends) for total in found.totals] == [
        ("revenue a week", "+3.25", "−0.40 to +5.00"),
        ("units a week", "−1.0", "−2.0 to +0.2"),
    ]
    assert found.on_average == found.least_sure == "very likely, 92%"
    first = found.changes[0]
    assert (first.product, first.price_now, first.price_recommended, first.price_change) == (
        "p4",
        "1.00",
        "1.10",
        "+10%",
    )
    assert (first.gain, first.gain_interval, first.how_sure) == (
        "+2.00",
        "−0.20 to +2.50",
        "very likely, 92%",
    )
    assert first.why == "never charged before: 0.90 to 1.05 was; as far as pricing.max_change allows"
    assert found.picture is not None
    assert found.picture.charts[0].data["rows"]["name"] == ["p4 <b>cheap</b>", "p1 <b>cheap</b>"]


def test_both_ways_are_told_apart_and_the_best_comes_first() -> None:
    mixed = prices().assign(
        prob_gain=lambda rows: rows["prob_gain"] - np.where(rows["product"] == "p4", 0.1, 0.0)
    )
    mixed.loc[mixed["product"] == "p1", "action"] = "lower"
    found = answered(mixed)
    assert found.headline == "Change 2 of 6 prices: raise 1, lower 1"
    assert [row.product for row in found.changes] == ["p4", "p1"]
    assert found.sure == (
        "Of the 2 changes, 1.7 are expected to gain; the surest with a probability of 92%, the least sure with 82%."
    )
    assert (found.on_average, found.least_sure) == ("likely, 87%", "likely, 82%")


def test_a_single_change_is_said_as_one() -> None:
    found = answered(prices(3))
    assert found.headline == "Raise 1 of 3 prices"
    assert found.sure == "That it gains is very likely: 92%."
    assert found.picture is None


def test_of_many_changes_those_that_bring_most_are_named() -> None:
    found = answered(prices(90))
    assert len(found.changes) == MOST_CHANGES
    assert found.left_out == 20
    assert found.changes[0].product == "p88"


def test_profit_counts_where_costs_are_known_and_revenue_elsewhere() -> None:
    known = prices()
    profit = pd.DataFrame({f"profit_change{end}": [np.nan] * 4 + [9.0, 0.0] for end in ("", "_q05", "_q95")})
    found = answered(known.assign(**profit))
    assert found.totals[0].what == "profit a week of 2 products with a cost"
    assert (found.totals[0].expected, found.totals[0].share) == ("+9.00", "")
    assert [row.gain for row in found.changes] == ["+9.00 profit", "+1.25"]
    everywhere = known.assign(**profit.fillna(0.5))
    assert answered(everywhere).totals[0].what == "profit a week"
    in_revenue = answered(everywhere, "revenue")
    assert in_revenue.changes[0].gain == "+2.00"
    assert in_revenue.brings.startswith("Expected: revenue a week")
    assert in_revenue.totals[-1].what == "profit a week"
    assert answered(everywhere, "units").brings.startswith("Expected: units a week")
    assert answered(known, "units").changes[0].gain == "−0.50 units"
    assert answered(known, "units").totals[0].what == "units a week"


def test_whoever_should_be_careful_is_told() -> None:
    bread = recommended(product_elasticity("bread", 5))
    rows = recommendations(product_elasticity("bread", 5).assign(flag="few periods"), bread, "profit")
    assert {row.careful for row in answer(rows, "week", frozenset({"bread"})).changes} == {
        "few periods; its category has a warning"
    }


def test_why_prices_stay_is_said_by_reason_the_most_frequent_first() -> None:
    found = answered(prices(7))
    assert [(kept.n_products, kept.why) for kept in found.kept] == [("5", KEPT[choice.COST])]
    assert found.kept[0].example.startswith(f"{IMAGE}: 0.9 would bring more")
    other = prices(7)
    other.loc[other.index[-1], ["binding_rule", "reason"]] = ["a rule to come", ""]
    assert [(kept.why, kept.example) for kept in answered(other).kept][1:] == [("a rule to come", IMAGE)]


@pytest.mark.parametrize("rule", sorted(KEPT))
def test_without_a_change_it_says_why(rule: str) -> None:
    none = prices().assign(action="keep", binding_rule=rule or None)
    found = answered(none)
    assert found.headline == "Change no price"
    assert found.brings == f"Of 6 of 6 products: {KEPT[rule]}"
    assert (found.sure, found.totals, found.changes, found.picture) == ("", [], [], None)


def test_where_nothing_is_estimated_it_says_so() -> None:
    none = prices().assign(action="keep", binding_rule="not estimated")
    assert "nobody knows" in answered(none, estimated=False).brings


def test_without_any_recommendation_it_still_answers() -> None:
    found = answer(recommendations(product_elasticity("soup", 2), prices().iloc[:0], "profit"), "week")
    assert found.headline == "Change no price"
    assert found.kept[0].n_products == "2"


def test_a_product_s_detail_has_its_attributes() -> None:
    products = product_elasticity("soup", 2).assign(brand=["Ours", None])
    rows = recommendations(products, recommended(products), "profit").set_index("product")
    assert rows["detail"].to_dict() == {"p0": "<b>cheap</b> · Ours", IMAGE: "<b>cheap</b>"}


def test_it_says_what_uniform_pricing_costs() -> None:
    costs = pd.DataFrame({"cost": [3.0, 4.0], "cost_q05": [0.0, 0.0], "cost_q95": [6.0, 8.0]})
    told = uniform_pricing_of(costs, "margin_floor", "a week", has_costs=True)
    assert told == (
        "Prices by zone are expected to bring +7.00 revenue a week more than one change in all zones "
        "(90%: +2.00 to +12.00)."
    )
    assert "+7.00 profit" in uniform_pricing_of(costs, "profit", "a week", has_costs=True)
    assert uniform_pricing_of(costs, "profit", "a week", has_costs=False) == told
    assert uniform_pricing_of(costs.iloc[:0], "profit", "a week", has_costs=True) == ""
    assert "one change in all of them" in uniform_pricing_of(costs * 0, "profit", "a week", has_costs=True)
