"""Checks of the fits: each succeeded, each converged, and the elasticities make sense."""

from collections.abc import Mapping

import dagster as dg
import pandas as pd

from elasticity_assets.checks.report import by_category
from elasticity_assets.inference.posterior import CategoryPosterior

CATEGORY_POSTERIOR = [
    dg.AssetCheckSpec(
        "fits_succeeded", asset="category_posterior", description="No category's fit ended with an error."
    ),
    dg.AssetCheckSpec(
        "fits_converged", asset="category_posterior", description="Every fit met its stopping rule."
    ),
]

PRODUCT_ELASTICITY = [
    dg.AssetCheckSpec(
        "elasticities_are_negative",
        asset="product_elasticity",
        description="For no product does the whole 90% interval lie above 0: dearer, yet selling more.",
    ),
]

PROMOTION_ELASTICITY = [
    dg.AssetCheckSpec(
        "two_slopes_fitted",
        asset="promotion_elasticity",
        description="Every category with regular prices has its two slopes, of the fit in product_elasticity.",
    ),
]


def fits_succeeded(failed: Mapping[str, str]) -> dg.AssetCheckResult:
    """Fail where a fit ended with an error; the run goes on without it.

    Parameters
    ----------
    failed : mapping of category to str
        Reasons.
    """
    return dg.AssetCheckResult(
        check_name="fits_succeeded",
        passed=not failed,
        description=f"failed: {', '.join(map(repr, failed))}" if failed else "no fit failed",
        metadata=by_category({category: {"reason": reason} for category, reason in failed.items()}),
    )


def two_slopes_fitted(failed: Mapping[str, str]) -> dg.AssetCheckResult:
    """Warn of categories without rows in promotion_elasticity though they have regular prices.

    Parameters
    ----------
    failed : mapping of category to str
        Reasons.
    """
    return dg.AssetCheckResult(
        check_name="two_slopes_fitted",
        passed=not failed,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"without rows: {', '.join(map(repr, failed))}" if failed else "none is missing",
        metadata=by_category({category: {"reason": reason} for category, reason in failed.items()}),
    )


def fits_converged(posteriors: Mapping[str, CategoryPosterior]) -> dg.AssetCheckResult:
    """Warn of fits that gave up before they converged.

    Parameters
    ----------
    posteriors : mapping of category to CategoryPosterior
        What was fitted in this run.
    """
    how = {category: posterior.diagnostics for category, posterior in posteriors.items()}
    unfinished = [category for category, diagnostics in how.items() if not diagnostics.converged]
    return dg.AssetCheckResult(
        check_name="fits_converged",
        passed=not unfinished,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"not converged: {', '.join(map(repr, unfinished))}"
        if unfinished
        else f"{len(how)} fits, all converged",
        metadata=by_category(
            {
                category: {
                    "converged": diagnostics.converged,
                    "iterations": diagnostics.iterations,
                    "seconds": round(diagnostics.seconds, 3),
                    "warnings": "; ".join(diagnostics.warnings),
                }
                for category, diagnostics in how.items()
            }
        ),
    )


def elasticities_are_negative(rows: pd.DataFrame) -> dg.AssetCheckResult:
    """Warn of products whose elasticity is surely positive: a control is missing, or the prices are wrong.

    Parameters
    ----------
    rows : DataFrame
        Rows of product_elasticity.
    """
    positive = rows[rows["elasticity_q05"] > 0]
    counts = positive.groupby("category").size()
    return dg.AssetCheckResult(
        check_name="elasticities_are_negative",
        passed=positive.empty,
        severity=dg.AssetCheckSeverity.WARN,
        description=(
            f"{len(positive)} of {len(rows)} products have an interval above 0"
            if len(positive)
            else f"none of {len(rows)} products has an interval above 0"
        ),
        metadata=by_category({str(category): {"products": int(n)} for category, n in counts.items()}),
    )
