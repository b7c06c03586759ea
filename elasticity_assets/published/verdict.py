"""Whether a category's elasticities are what prices did, or coincidence, in words: `causal_evidence.verdict`."""

from math import isnan

from elasticity_assets.inference.judging.confounding import ConfoundingTests
from elasticity_assets.inference.judging.limits import VAGUE_SD, follow_demand, gap_beyond_chance

NO_SIGN = "no sign of trouble"
SUPPORTED = "supported by cost"
SUPPORTED_AT_RANDOM = "supported by randomised prices"
FOLLOW = "prices follow demand"
_NO_OTHERS = "and hardly any other price moves that could say something else"
_CONTRADICTED = "are contradicted by prices to come: check the marks (sales.columns.randomized)"


def verdict(tests: ConfoundingTests) -> str:
    """Say what the tests come to, and what would settle what they leave open."""
    if tests.prices_follow_demand and tests.randomized_used:
        return f"{FOLLOW}: {_too_vague(tests)}; more of them would settle it"
    if tests.prices_follow_demand:
        return f"{FOLLOW}: treat {_number(tests.elasticity)} as {_bound(tests)}; {_to_settle(tests)}"
    if support := _support(tests):
        return support
    if isnan(tests.lead_z):
        return "nothing to go by: prices never moved, or there are too few periods"
    return f"{NO_SIGN}: prices to come say nothing of sales{_weak(tests)}"


def _support(tests: ConfoundingTests) -> str:
    """Say what supports the number, random prices before costs; empty where nothing does."""
    if tests.rests_on_random_prices:
        return f"{SUPPORTED_AT_RANDOM}: the elasticity rests on what prices drawn at random did{_gap(tests)}"
    if not tests.randomized_used and tests.randomized_elasticity_sd <= VAGUE_SD:
        return f"{SUPPORTED_AT_RANDOM}: they give {_at_random(tests)}"
    if tests.instrument_used:
        return (
            f"{SUPPORTED}: the elasticity rests on what costs did to prices (first-stage F "
            f"{tests.instrument_strength:.0f}), and prices to come say nothing of sales beyond"
        )
    if not isnan(tests.hausman_z):
        return (
            f"{SUPPORTED}: what costs did to prices gives {_number(tests.instrumented_elasticity)} "
            f"(sd {tests.instrumented_elasticity_sd:.2f}), no further from {_number(tests.elasticity)} than chance"
        )
    return ""


def _bound(tests: ConfoundingTests) -> str:
    """Which way the number is off: as random prices say, else by the test that is further from chance."""
    by_costs = not tests.instrument_used and follow_demand(tests.hausman_z)
    by_costs = by_costs and not abs(tests.lead_z) > abs(tests.hausman_z)
    if gap_beyond_chance(tests.randomized_gap_z):
        too_high = tests.randomized_gap_z > 0
    elif by_costs:
        too_high = tests.instrumented_elasticity < tests.elasticity
    else:
        too_high = tests.lead_effect > 0
    if too_high:
        return "an upper bound: they are high when demand is, and units respond more than it says"
    return "a lower bound: they are low when demand is high, and units respond less than it says"


def _to_settle(tests: ConfoundingTests) -> str:
    if gap_beyond_chance(tests.randomized_gap_z):
        return (
            f"randomised prices say {_number(tests.randomized_elasticity)} "
            f"(sd {tests.randomized_elasticity_sd:.2f}): fit.instrument: use publishes that"
        )
    if not _others_move(tests) and follow_demand(tests.lead_z):
        return f"prices marked as drawn at random, which leave no other price that moves, {_CONTRADICTED}"
    if not isnan(tests.randomized_gap_z):
        return f"randomised prices say {_at_random(tests)}; more of them would settle it"
    if tests.instrument_used:
        return "costs are in use and do not settle it; some periods of prices set by chance would"
    agree = not follow_demand(tests.lead_z) or tests.lead_effect * tests.hausman_z > 0
    if follow_demand(tests.hausman_z) and agree:
        return (
            f"costs give {_number(tests.instrumented_elasticity)} (sd {tests.instrumented_elasticity_sd:.2f}): "
            "fit.instrument: use publishes that; or promotions sell differently than regular prices do"
        )
    return (
        f"some periods of prices set by chance would settle it, or unit costs that move prices{_weak(tests)}"
    )


def _at_random(tests: ConfoundingTests) -> str:
    """Say what random prices that do not disagree give."""
    found = f"{_number(tests.randomized_elasticity)} (sd {tests.randomized_elasticity_sd:.2f})"
    if not _others_move(tests):
        return f"{found}, {_NO_OTHERS}"
    return f"{found}, no further from {_number(tests.elasticity)} than chance"


def _others_move(tests: ConfoundingTests) -> bool:
    """Whether there are other prices to hold against random ones."""
    return isnan(tests.randomized_elasticity) or not isnan(tests.randomized_gap_z)


def _too_vague(tests: ConfoundingTests) -> str:
    """Say that random prices give too little, whether the elasticity rests on them or not."""
    if tests.randomized_used:
        sd = f"sd {tests.randomized_elasticity_sd:.2f}"
        return f"{_number(tests.elasticity)} rests on what prices drawn at random did, too vague to support it ({sd})"
    return f"randomised prices give {_at_random(tests)}, too vague to support it"


def _gap(tests: ConfoundingTests) -> str:
    """Say whether the other prices would have given another number."""
    if not _others_move(tests):
        return f", {_NO_OTHERS}"
    if not gap_beyond_chance(tests.randomized_gap_z):
        return ", and the other prices do not contradict it"
    way = "nearer to" if tests.randomized_gap_z > 0 else "further from"
    return f"; the other prices follow demand, and would put it {way} 0"


def _weak(tests: ConfoundingTests) -> str:
    """Say that costs or random prices are there and not gone by."""
    doubts = [doubt for doubt in (tests.randomized_doubt, tests.instrument_doubt) if doubt]
    if tests.randomized_elasticity_sd > VAGUE_SD:
        doubts.insert(0, _too_vague(tests))
    return "".join(f"; {doubt}" for doubt in doubts)


def _number(elasticity: float) -> str:
    return f"{elasticity:.2f}".replace("-", "−")
