"""Whether a category's elasticities are what prices did, or coincidence, in words: `causal_evidence.verdict`."""

from elasticity_assets.inference.judging.confounding import ConfoundingTests
from elasticity_assets.inference.judging.limits import follow_demand

NO_SIGN = "no sign of trouble"
SUPPORTED = "supported by cost"
FOLLOW = "prices follow demand"


def verdict(tests: ConfoundingTests) -> str:
    """Say what the tests come to, and what would settle what they leave open."""
    if tests.prices_follow_demand:
        return f"{FOLLOW}: treat {_number(tests.elasticity)} as {_bound(tests)}; {_to_settle(tests)}"
    if tests.instrument_used:
        return (
            f"{SUPPORTED}: the elasticity rests on what costs did to prices (first-stage F "
            f"{tests.instrument_strength:.0f}), and prices to come say nothing of sales beyond"
        )
    if tests.hausman_z == tests.hausman_z:
        return (
            f"{SUPPORTED}: what costs did to prices gives {_number(tests.instrumented_elasticity)} "
            f"(sd {tests.instrumented_elasticity_sd:.2f}), no further from {_number(tests.elasticity)} than chance"
        )
    if tests.lead_z != tests.lead_z:
        return "nothing to go by: prices never moved, or there are too few periods"
    return f"{NO_SIGN}: prices to come say nothing of sales{_weak(tests)}"


def _bound(tests: ConfoundingTests) -> str:
    """Which way the number is off, by the test that is further from chance."""
    by_costs = not tests.instrument_used and follow_demand(tests.hausman_z)
    by_costs = by_costs and not abs(tests.lead_z) > abs(tests.hausman_z)
    too_high = tests.instrumented_elasticity < tests.elasticity if by_costs else tests.lead_effect > 0
    if too_high:
        return "an upper bound: they are high when demand is, and units respond more than it says"
    return "a lower bound: they are low when demand is high, and units respond less than it says"


def _to_settle(tests: ConfoundingTests) -> str:
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


def _weak(tests: ConfoundingTests) -> str:
    """Say that costs are there and not gone by."""
    return f"; {tests.instrument_doubt}" if tests.instrument_doubt else ""


def _number(elasticity: float) -> str:
    return f"{elasticity:.2f}".replace("-", "−")
