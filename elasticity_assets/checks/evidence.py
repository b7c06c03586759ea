"""Checks of the evidence: predictions hold what their intervals promise, and parts of the sales tell the same."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import dagster as dg
import numpy as np

from elasticity_assets.checks.result import by_category, nothing_failed
from elasticity_assets.inference.judging.scores import HeldOutSummary
from elasticity_assets.inference.judging.split_samples import DRIFT_SDS, SplitSamples

if TYPE_CHECKING:  # it imports jax
    from elasticity_assets.inference.judging.cross_check import CrossCheck

LOWEST_COVERAGE, HIGHEST_COVERAGE = 0.85, 0.95
"""Of 90% intervals, in a category or a third of its products."""
LARGEST_SPREAD = 1.3
"""Of coverage between products, over what chance gives."""
LEAST_AGREEMENT = 0.8
"""Share of products whose alternate blocks agree; 90% do if the intervals are right."""
MOST_DRIFTING = 0.1
"""Share of products whose halves differ by more than 2.58 sds; 1% would by chance."""
SURELY = 2.0
"""Standard errors that chance alone is taken to explain."""
LEAST_LEAD = 0.005
"""Nats a product-period by which a rival has to predict better: less is of no consequence."""
LARGEST_R_HAT, LEAST_DRAWS = 1.05, 100.0
"""Beyond, NUTS itself has failed."""

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


NUTS_CROSS_CHECK = [
    dg.AssetCheckSpec(
        "posteriors_match_nuts",
        asset="nuts_cross_check",
        description="Posterior means lie within 0.1 standard deviations of NUTS's (rms), and sds within 10% (median).",
    ),
]
LARGEST_DIFFERENCE, LARGEST_RATIO = 0.1, 0.1


def evidence_was_found(asset: str, failed: Mapping[str, str]) -> dg.AssetCheckResult:
    """Warn of categories that could not be judged; their columns of evidence are NULL.

    Parameters
    ----------
    asset : str
        'heldout_evaluation' or 'split_samples'.
    failed : mapping of category to str
        Reasons.
    """
    return nothing_failed(f"{asset}_succeeded", failed, "not judged", "every category was judged")


def heldout_coverage(found: Mapping[str, HeldOutSummary]) -> dg.AssetCheckResult:
    """Warn of categories whose 90% predictive intervals hold too few or too many cells, beyond chance."""
    rows = {
        category: {
            "coverage": round(heldout.coverage, 4),
            "product-periods": heldout.cells,
            "suits": coverage_suits(heldout.coverage, heldout.cells),
        }
        for category, heldout in found.items()
    }
    return _result("heldout_coverage", rows, "90% intervals hold too few or too many product-periods in")


def heldout_coverage_by_volume(found: Mapping[str, HeldOutSummary]) -> dg.AssetCheckResult:
    """Warn of categories where a third of the products by volume has the wrong coverage, beyond chance."""
    rows = {}
    for category, heldout in found.items():
        low, middle, high = heldout.coverage_by_third
        rows[category] = {
            "sells least": round(low, 4),
            "middle": round(middle, 4),
            "sells most": round(high, 4),
            "suits": all(map(coverage_suits, heldout.coverage_by_third, heldout.cells_by_third)),
        }
    return _result(
        "heldout_coverage_by_volume",
        rows,
        "90% intervals do not hold for every third of the products by volume in",
    )


def heldout_coverage_by_product(found: Mapping[str, HeldOutSummary]) -> dg.AssetCheckResult:
    """Warn of categories where coverage differs between products by more than chance."""
    rows = {}
    for category, heldout in found.items():
        # The spread of n coverages itself varies by some 1/sqrt(2 n).
        most = max(LARGEST_SPREAD, 1.0 + SURELY / np.sqrt(2.0 * max(heldout.products, 1)))
        rows[category] = {
            "spread over chance": round(heldout.coverage_spread, 3),
            "lowest coverage": round(heldout.lowest_coverage, 4),
            "suits": bool(not heldout.coverage_spread > most),
        }
    return _result(
        "heldout_coverage_by_product", rows, "coverage differs between products by more than chance in"
    )


def predicts_no_worse_than_rivals(found: Mapping[str, HeldOutSummary]) -> dg.AssetCheckResult:
    """Warn of categories where a rival's log score is higher by more than 2 paired standard errors."""
    rows = {
        category: {
            **{name: f"{lead:+.4f} (se {error:.4f})" for name, (lead, error) in heldout.leads.items()},
            "suits": all(lead_suits(*lead) for lead in heldout.leads.values()),
        }
        for category, heldout in found.items()
    }
    return _result("predicts_no_worse_than_rivals", rows, "a simpler model predicts better in")


def split_samples_agree(found: Mapping[str, SplitSamples]) -> dg.AssetCheckResult:
    """Warn of categories whose elasticities from alternate blocks disagree for too many products, beyond chance."""
    rows = {}
    for category, samples in found.items():
        share = samples.agreement()
        rows[category] = {
            "agree": round(share, 4),
            "products": len(samples.product),
            "suits": agreement_suits(share, len(samples.product)),
        }
    return _result("split_samples_agree", rows, "elasticities depend on which weeks they are from in")


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
            "suits": bool(drifting <= max(MOST_DRIFTING * n, 1.0) and not sds > DRIFT_SDS),
        }
    return _result("elasticities_do_not_drift", rows, "elasticities changed between the halves in")


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
        own_error = 3.0 / np.sqrt(max(check.effective_sample_size, 1.0))
        decided = check.r_hat <= LARGEST_R_HAT and check.effective_sample_size >= LEAST_DRAWS
        rows[check.category] = {
            "products": check.n_products,
            "means differ by, rms": round(check.mean_difference_rms, 3),
            "ratio of sds, median": round(check.sd_ratio_median, 3),
            "R-hat": round(check.r_hat, 3),
            "effective sample size": round(check.effective_sample_size),
            "NUTS": "converged" if decided else "did not converge: nothing is decided",
            "suits": bool(
                decided
                and check.mean_difference_rms <= max(LARGEST_DIFFERENCE, own_error)
                and abs(check.sd_ratio_median - 1.0) <= max(LARGEST_RATIO, own_error)
            ),
        }
    blank = {"products": 0, "means differ by, rms": 0.0, "ratio of sds, median": 0.0, "R-hat": 0.0}
    for category, reason in (failed or {}).items():
        rows[category] = {**blank, "effective sample size": 0, "NUTS": reason, "suits": False}
    return _result("posteriors_match_nuts", rows, "the posterior is not known to be NUTS's in")


def coverage_suits(share: float, cells: int) -> bool:
    """Whether a coverage of 90% intervals is within bounds, or no further from 90% than chance explains."""
    within = LOWEST_COVERAGE <= share <= HIGHEST_COVERAGE
    return bool(within or np.isnan(share) or abs(share - 0.9) <= SURELY * np.sqrt(0.09 / max(cells, 1)))


def agreement_suits(share: float, products: int) -> bool:
    """Whether enough of so many products agree, or as many as chance explains."""
    return bool(share >= LEAST_AGREEMENT or share >= 0.9 - SURELY * np.sqrt(0.09 / max(products, 1)))


def lead_suits(lead: float, error: float) -> bool:
    """Whether a rival's log score is no higher than its standard error explains, or by next to nothing."""
    return bool(lead >= -max(SURELY * error, LEAST_LEAD))


def _result(name: str, rows: Mapping[str, Mapping[str, object]], trouble: str) -> dg.AssetCheckResult:
    unsuited = [category for category, row in rows.items() if not row["suits"]]
    return dg.AssetCheckResult(
        check_name=name,
        passed=not unsuited,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{trouble}: {', '.join(map(repr, unsuited))}"
        if unsuited
        else f"holds in {len(rows)} categories",
        metadata=by_category(rows),
    )
