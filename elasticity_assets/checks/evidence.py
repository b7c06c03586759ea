"""Checks of the evidence: predictions hold what their intervals promise, and parts of the sales tell the same."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import dagster as dg

from elasticity_assets.checks.result import result_by_category, result_of_failures
from elasticity_assets.inference.judging.confounding import ConfoundingTests
from elasticity_assets.inference.judging.limits import (
    agreement_within_limits,
    coverage_within_limits,
    drift_within_limits,
    forecast_coverage_within_limits,
    lead_within_limits,
    nuts_converged,
    posterior_within_limits,
    spread_within_limits,
)
from elasticity_assets.inference.judging.scores import HeldOutSummary
from elasticity_assets.inference.judging.split_samples import SplitSamples
from elasticity_assets.published.verdict import verdict

if TYPE_CHECKING:  # it imports jax
    from elasticity_assets.inference.judging.cross_check import CrossCheck

HELDOUT_EVALUATION = [
    dg.AssetCheckSpec(
        "heldout_evaluation_succeeded",
        asset="heldout_evaluation",
        description="Every fitted category's held-out sales could be predicted.",
    ),
    dg.AssetCheckSpec(
        "heldout_coverage",
        asset="heldout_evaluation",
        description="In every category 85% to 95% of held-out product-periods lie in their 90% intervals.",
    ),
    dg.AssetCheckSpec(
        "heldout_coverage_by_volume",
        asset="heldout_evaluation",
        description="The same for the products that sell least, those in the middle, and those that sell most.",
    ),
    dg.AssetCheckSpec(
        "heldout_coverage_by_product",
        asset="heldout_evaluation",
        description="Coverage differs between products by at most 1.3 times what chance gives.",
    ),
    dg.AssetCheckSpec(
        "predicts_no_worse_than_rivals",
        asset="heldout_evaluation",
        description="In no category a simpler model predicts held-out sales better, beyond 2 standard errors.",
    ),
    dg.AssetCheckSpec(
        "forecast_coverage",
        asset="heldout_evaluation",
        description="In every category 85% to 95% of the last 8 periods lie in the 90% intervals of their forecast.",
    ),
    dg.AssetCheckSpec(
        "forecasts_no_worse_than_rivals",
        asset="heldout_evaluation",
        description="In no category a simpler model forecasts the last 8 periods better, beyond 2 standard errors.",
    ),
]

SPLIT_SAMPLES = [
    dg.AssetCheckSpec(
        "split_samples_succeeded",
        asset="split_samples",
        description="Every fitted category's parts of the periods could be compared.",
    ),
    dg.AssetCheckSpec(
        "split_samples_agree",
        asset="split_samples",
        description="In every category elasticities from alternate blocks of 13 weeks agree for 80% of the products.",
    ),
    dg.AssetCheckSpec(
        "elasticities_do_not_drift",
        asset="split_samples",
        description="In every category at most 10% of the elasticities differ between first and second half.",
    ),
]

CONFOUNDING_TESTS = [
    dg.AssetCheckSpec(
        "confounding_tests_succeeded",
        asset="confounding_tests",
        description="Every fitted category could be tested for prices that follow demand.",
    ),
    dg.AssetCheckSpec(
        "prices_do_not_follow_demand",
        asset="confounding_tests",
        description="In no category prices to come, or what costs leave of prices, have an effect on sales, beyond 3 "
        "standard errors.",
    ),
]

NUTS_CROSS_CHECK = [
    dg.AssetCheckSpec(
        "posteriors_match_nuts",
        asset="nuts_cross_check",
        description="Posterior means lie within 0.1 standard deviations of NUTS's (rms), and sds within 10% (median).",
    ),
]


def evidence_was_found(asset: str, judged: Iterable[str], failed: Mapping[str, str]) -> dg.AssetCheckResult:
    """Warn of categories that could not be judged; their columns of evidence are NULL.

    Parameters
    ----------
    asset : str
        'heldout_evaluation', 'split_samples' or 'confounding_tests'.
    judged : iterable of str
        Categories that were.
    failed : mapping of category to str
        Reasons.
    """
    categories = {**dict.fromkeys(judged, ""), **failed}
    return result_of_failures(f"{asset}_succeeded", categories, "not judged", "every category was judged")


def heldout_coverage(found: Mapping[str, HeldOutSummary]) -> dg.AssetCheckResult:
    """Warn of categories whose 90% predictive intervals hold too few or too many cells, beyond chance."""
    rows = {
        category: {
            "coverage": round(heldout.coverage, 4),
            "product-periods": heldout.cells,
            "passed": coverage_within_limits(heldout.coverage, heldout.cells),
        }
        for category, heldout in found.items()
    }
    return _result("heldout_coverage", rows, "90% intervals hold too few or too many product-periods")


def heldout_coverage_by_volume(found: Mapping[str, HeldOutSummary]) -> dg.AssetCheckResult:
    """Warn of categories where a third of the products by volume has the wrong coverage, beyond chance."""
    rows = {}
    for category, heldout in found.items():
        low, middle, high = heldout.coverage_by_third
        rows[category] = {
            "sells least": round(low, 4),
            "middle": round(middle, 4),
            "sells most": round(high, 4),
            "passed": all(map(coverage_within_limits, heldout.coverage_by_third, heldout.cells_by_third)),
        }
    return _result(
        "heldout_coverage_by_volume",
        rows,
        "90% intervals do not hold for every third of the products by volume",
    )


def heldout_coverage_by_product(found: Mapping[str, HeldOutSummary]) -> dg.AssetCheckResult:
    """Warn of categories where coverage differs between products by more than chance."""
    rows = {}
    for category, heldout in found.items():
        rows[category] = {
            "spread over chance": round(heldout.coverage_spread, 3),
            "lowest coverage": round(heldout.lowest_coverage, 4),
            "passed": spread_within_limits(heldout.coverage_spread, heldout.products),
        }
    return _result(
        "heldout_coverage_by_product", rows, "coverage differs between products by more than chance"
    )


def predicts_no_worse_than_rivals(found: Mapping[str, HeldOutSummary]) -> dg.AssetCheckResult:
    """Warn of categories where a rival's log score is higher by more than 2 paired standard errors."""
    rows = {category: _leads(heldout.leads) for category, heldout in found.items()}
    return _result("predicts_no_worse_than_rivals", rows, "a simpler model predicts better")


def forecast_coverage(found: Mapping[str, HeldOutSummary]) -> dg.AssetCheckResult:
    """Warn of categories whose forecasts' 90% intervals hold too few or too many cells, beyond chance."""
    rows = {
        category: {
            "coverage": round(heldout.forecast_coverage, 4),
            "standard error": round(heldout.forecast_coverage_error, 4),
            "passed": forecast_coverage_within_limits(
                heldout.forecast_coverage, heldout.forecast_coverage_error
            ),
        }
        for category, heldout in found.items()
    }
    return _result("forecast_coverage", rows, "90% intervals of forecasts hold too few or too many")


def forecasts_no_worse_than_rivals(found: Mapping[str, HeldOutSummary]) -> dg.AssetCheckResult:
    """Warn of categories where a rival forecasts better by more than 2 standard errors of its log score."""
    rows = {category: _leads(heldout.forecast_leads) for category, heldout in found.items()}
    return _result("forecasts_no_worse_than_rivals", rows, "a simpler model forecasts better")


def _leads(leads: Mapping[str, tuple[float, float]]) -> dict[str, object]:
    """Show leads over rivals, and whether none lags."""
    return {
        **{name: f"{lead:+.4f} (se {error:.4f})" for name, (lead, error) in leads.items()},
        "passed": all(lead_within_limits(*lead) for lead in leads.values()),
    }


def split_samples_agree(found: Mapping[str, SplitSamples]) -> dg.AssetCheckResult:
    """Warn of categories whose elasticities from alternate blocks disagree for too many products, beyond chance."""
    rows = {}
    for category, samples in found.items():
        share = samples.agreement()
        rows[category] = {
            "agree": round(share, 4),
            "products": len(samples.product),
            "passed": agreement_within_limits(share, len(samples.product)),
        }
    return _result("split_samples_agree", rows, "elasticities depend on which weeks they are from")


def elasticities_do_not_drift(found: Mapping[str, SplitSamples]) -> dg.AssetCheckResult:
    """Warn of categories where elasticities of the second half differ from the first's."""
    rows = {}
    for category, samples in found.items():
        n, drifting = len(samples.product), int(samples.drifting().sum())
        sds = abs(samples.category_drift) / max(samples.category_drift_sd, 1e-12)
        rows[category] = {
            "products that drift": drifting,
            "products": n,
            "category's change": round(samples.category_drift, 3),
            "in sds": round(sds, 2),
            "passed": drift_within_limits(drifting, n, sds),
        }
    return _result("elasticities_do_not_drift", rows, "elasticities changed between the halves")


def prices_do_not_follow_demand(found: Mapping[str, ConfoundingTests]) -> dg.AssetCheckResult:
    """Warn of categories whose prices seem to follow demand: their elasticities are biased."""
    rows = {
        category: {
            "effect of prices to come": round(tests.lead_effect, 3),
            "in standard errors": round(tests.lead_z, 2),
            "message": verdict(tests) if tests.prices_follow_demand else "",
            "passed": not tests.prices_follow_demand,
        }
        for category, tests in found.items()
    }
    return _result("prices_do_not_follow_demand", rows, "prices follow demand, which biases elasticities")


def posteriors_match_nuts(
    found: Sequence["CrossCheck"], failed: Mapping[str, str] | None = None
) -> dg.AssetCheckResult:
    """Warn of categories whose posterior is not NUTS's, beyond NUTS's own error, or whose NUTS failed.

    Parameters
    ----------
    found : sequence of CrossCheck
    failed : mapping of category to str, optional
        Why others could not be checked.
    """
    rows = {}
    for check in found:
        decided = nuts_converged(check.r_hat, check.effective_sample_size)
        rows[check.category] = {
            "products": check.n_products,
            "means differ by, rms": round(check.mean_difference_rms, 3),
            "ratio of sds, median": round(check.sd_ratio_median, 3),
            "R-hat": round(check.r_hat, 3),
            "effective sample size": round(check.effective_sample_size),
            "NUTS": "converged" if decided else "did not converge: nothing is decided",
            "passed": decided
            and posterior_within_limits(
                check.mean_difference_rms, check.sd_ratio_median, check.effective_sample_size
            ),
        }
    blank = {"products": 0, "means differ by, rms": 0.0, "ratio of sds, median": 0.0, "R-hat": 0.0}
    for category, reason in (failed or {}).items():
        rows[category] = {**blank, "effective sample size": 0, "NUTS": reason, "passed": False}
    return _result("posteriors_match_nuts", rows, "the posterior is not known to be NUTS's")


def _result(name: str, rows: Mapping[str, Mapping[str, object]], trouble: str) -> dg.AssetCheckResult:
    return result_by_category(name, rows, trouble, f"holds in {len(rows)} categories")
