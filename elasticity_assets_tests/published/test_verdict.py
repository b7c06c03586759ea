"""What is said of a category's elasticities as causes."""

from dataclasses import replace

import numpy as np
import pytest

from elasticity_assets.inference.judging.confounding import ConfoundingTests
from elasticity_assets.published.verdict import verdict

pytestmark = pytest.mark.quick

QUIET = ConfoundingTests("c", -1.5, 0.05, 0.8, np.nan, "", False, np.nan, np.nan, np.nan)
WITH_COSTS = replace(
    QUIET,
    instrument_strength=300.0,
    instrumented_elasticity=-2.1,
    instrumented_elasticity_sd=0.1,
    hausman_z=1.2,
)
TESTED = replace(
    QUIET, randomized_elasticity=-2.1, randomized_elasticity_sd=0.2, randomized_gap_z=1.9, lead_effect=0.1
)


def test_nothing_found_is_no_sign_of_trouble() -> None:
    assert not QUIET.prices_follow_demand
    assert verdict(QUIET) == "no sign of trouble: prices to come say nothing of sales"


@pytest.mark.parametrize(("way", "bound"), [(1, "an upper bound"), (-1, "a lower bound")])
def test_leads_that_seem_to_sell_make_the_number_a_bound(way: int, bound: str) -> None:
    found = replace(QUIET, lead_effect=0.4 * way, lead_z=3.5 * way)
    assert found.prices_follow_demand
    said = verdict(found)
    assert said.startswith(f"prices follow demand: treat −1.50 as {bound}")
    assert "set by chance would settle it" in said


def test_costs_that_agree_support_it() -> None:
    assert verdict(WITH_COSTS) == (
        "supported by cost: what costs did to prices gives −2.10 (sd 0.10), no further from −1.50 than chance"
    )


def test_costs_that_disagree_say_which_way_and_by_how_much() -> None:
    found = replace(WITH_COSTS, hausman_z=5.0)
    assert found.prices_follow_demand
    said = verdict(found)
    assert "treat −1.50 as an upper bound" in said
    assert "costs give −2.10 (sd 0.10): fit.instrument: use publishes that" in said


def test_a_fit_that_has_the_instrument_is_judged_by_what_is_left() -> None:
    used = replace(WITH_COSTS, hausman_z=9.0, instrument_used=True)
    assert not used.prices_follow_demand
    assert verdict(used).startswith("supported by cost: the elasticity rests on what costs did to prices")
    assert replace(used, lead_z=4.0).prices_follow_demand


def test_weak_costs_are_said_and_not_gone_by() -> None:
    weak = replace(QUIET, instrument_strength=7.0, instrument_doubt="costs are a weak instrument")
    assert verdict(weak).endswith("of sales; costs are a weak instrument")


def test_of_two_tests_the_one_further_from_chance_says_which_way() -> None:
    leads_say_more = replace(
        WITH_COSTS, instrumented_elasticity=-1.2, lead_effect=0.9, lead_z=9.0, hausman_z=-3.1
    )
    said = verdict(leads_say_more)
    assert "treat −1.50 as an upper bound" in said
    assert "fit.instrument: use" not in said  # which would publish a number on the other side
    costs_say_more = replace(leads_say_more, lead_z=3.1, hausman_z=-9.0)
    assert "treat −1.50 as a lower bound" in verdict(costs_say_more)


def test_costs_that_agree_are_not_advised_where_leads_do_not() -> None:
    assert "fit.instrument: use" not in verdict(
        replace(WITH_COSTS, lead_effect=0.4, lead_z=3.5, hausman_z=0.4)
    )


def test_costs_in_use_are_not_advised_again() -> None:
    said = verdict(replace(WITH_COSTS, instrument_used=True, lead_effect=0.4, lead_z=4.0))
    assert "costs are in use and do not settle it" in said
    assert "unit costs that move prices" not in said


def test_prices_that_never_moved_say_nothing() -> None:
    nothing = replace(QUIET, lead_effect=np.nan, lead_z=np.nan)
    assert not nothing.prices_follow_demand
    assert verdict(nothing).startswith("nothing to go by")


def test_random_prices_that_agree_support_it_before_costs_do() -> None:
    assert verdict(TESTED) == (
        "supported by randomised prices: they give −2.10 (sd 0.20), no further from −1.50 than chance"
    )
    assert verdict(replace(TESTED, hausman_z=1.0)) == verdict(TESTED)


def test_random_prices_that_disagree_say_which_way_and_by_how_much() -> None:
    found = replace(TESTED, randomized_gap_z=2.1)
    assert found.prices_follow_demand
    said = verdict(found)
    assert said.startswith("prices follow demand: treat −1.50 as an upper bound")
    assert said.endswith("randomised prices say −2.10 (sd 0.20): fit.instrument: use publishes that")
    lower = replace(found, randomized_elasticity=-0.9, randomized_gap_z=-2.1, lead_z=3.5)
    assert "treat −1.50 as a lower bound" in verdict(lower)


def test_a_fit_that_rests_on_random_prices_is_supported_whatever_the_others_follow() -> None:
    used = replace(TESTED, randomized_used=True, lead_z=9.0)
    assert not used.prices_follow_demand
    assert verdict(used).startswith("supported by randomised prices: the elasticity rests on")
    assert verdict(replace(used, randomized_gap_z=4.0)).endswith(
        "the other prices follow demand, and would put it nearer to 0"
    )


def test_vague_random_prices_support_nothing() -> None:
    vague = replace(TESTED, randomized_elasticity_sd=0.9)
    assert verdict(vague).startswith("no sign of trouble")
    assert "randomised prices give −2.10 (sd 0.90)" in verdict(vague)
    assert verdict(vague).endswith("too vague to support it")
    assert verdict(replace(vague, lead_z=5.0)).endswith("more of them would settle it")


def test_a_fit_that_rests_on_vague_random_prices_is_not_supported_by_them() -> None:
    vague = replace(TESTED, randomized_used=True, elasticity=-2.1, randomized_elasticity_sd=0.9)
    told = "−2.10 rests on what prices drawn at random did, too vague to support it (sd 0.90)"
    assert not vague.prices_follow_demand
    assert verdict(vague) == f"no sign of trouble: prices to come say nothing of sales; {told}"
    for signs in ({"lead_z": 5.0}, {"randomized_gap_z": 3.0}):
        found = replace(vague, **signs)
        assert found.prices_follow_demand
        assert verdict(found) == f"prices follow demand: {told}; more of them would settle it"


def test_random_prices_without_others_agree_with_nothing() -> None:
    alone = replace(TESTED, randomized_gap_z=np.nan)
    told = "and hardly any other price moves that could say something else"
    assert verdict(alone) == f"supported by randomised prices: they give −2.10 (sd 0.20), {told}"
    assert verdict(replace(alone, randomized_used=True)).endswith(f"prices drawn at random did, {told}")
    assert verdict(replace(alone, lead_z=5.0)).endswith("check the marks (sales.columns.randomized)")


def test_too_few_random_prices_are_said() -> None:
    few = replace(QUIET, randomized_doubt="prices were drawn at random in 3 product-periods")
    assert verdict(few).endswith("of sales; prices were drawn at random in 3 product-periods")
