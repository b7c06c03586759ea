"""Checks of the fits: each succeeded, each converged, and the elasticities make sense."""

from collections.abc import Mapping

import dagster as dg
import numpy as np
import pandas as pd

from elasticity_assets.checks.result import by_category, nothing_failed
from elasticity_assets.inference.posterior import CategoryPosterior

CATEGORY_POSTERIOR = [
    dg.AssetCheckSpec(
        "fits_succeeded", asset="category_posterior", description="No category's fit ended with an error."
    ),
    dg.AssetCheckSpec(
        "fits_converged", asset="category_posterior", description="Every fit met its stopping rule."
    ),
    dg.AssetCheckSpec(
        "fits_learned",
        asset="category_posterior",
        description="In every category the sales narrowed the prior of its elasticity, and of some products'.",
    ),
]

MOST_OF_PRIOR = 0.9
"""Posterior sd over prior sd of a category's elasticity from which nothing was learned."""
CATEGORY_ALONE = 0.99
"""Shrinkage from which a product has nothing of its own."""
LARGEST_JUMP = 4.0
"""Combined sds."""
MOST_POSITIVE = 0.05
"""Share of a category's elasticities that may be above 0; one product always may."""

PRODUCT_ELASTICITY = [
    dg.AssetCheckSpec(
        "elasticities_are_negative",
        asset="product_elasticity",
        description="At most 5% of a category's elasticities are positive, none surely: dearer, yet selling more.",
    ),
    dg.AssetCheckSpec(
        "elasticities_keep_still",
        asset="product_elasticity",
        description="No product's elasticity is more than 4 combined standard deviations from the last refit's.",
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
    return nothing_failed("fits_succeeded", failed, "failed", "no fit failed", dg.AssetCheckSeverity.ERROR)


def two_slopes_fitted(failed: Mapping[str, str]) -> dg.AssetCheckResult:
    """Warn of categories without rows in promotion_elasticity though they have regular prices.

    Parameters
    ----------
    failed : mapping of category to str
        Reasons.
    """
    return nothing_failed("two_slopes_fitted", failed, "without rows", "none is missing")


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


def fits_learned(posteriors: Mapping[str, CategoryPosterior]) -> dg.AssetCheckResult:
    """Warn of categories whose posterior is the prior: their sales tell nothing of prices.

    Parameters
    ----------
    posteriors : mapping of category to CategoryPosterior
        What was fitted in this run, before pooling.
    """
    rows = {}
    for category, posterior in posteriors.items():
        mean = posterior.weight @ posterior.category_mean
        var = posterior.weight @ (posterior.category_var + (posterior.category_mean - mean) ** 2)
        narrowing = float(np.sqrt(var / posterior.prior_var))
        rows[category] = {
            "sd over prior sd": round(narrowing, 3),
            "lowest shrinkage": round(float(posterior.shrinkage().min()), 3),
            "learned": bool(narrowing < MOST_OF_PRIOR and posterior.shrinkage().min() < CATEGORY_ALONE),
        }
    unlearned = [category for category, row in rows.items() if not row["learned"]]
    return dg.AssetCheckResult(
        check_name="fits_learned",
        passed=not unlearned,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"the sales tell nothing of prices in: {', '.join(map(repr, unlearned))}"
        if unlearned
        else f"{len(rows)} fits, all learned from the sales",
        metadata=by_category(rows),
    )


def elasticities_keep_still(rows: pd.DataFrame, before: pd.DataFrame) -> dg.AssetCheckResult:
    """Warn of products whose elasticity jumped since the last refit: by more than 4 combined sds.

    Parameters
    ----------
    rows, before : DataFrame
        Rows of product_elasticity, now and as the last refit left them.
    """
    both = rows.merge(before, on=["category", "product"], suffixes=("", "_before"))
    columns = ("elasticity", "elasticity_before", "elasticity_sd", "elasticity_sd_before")
    now, then, sd, sd_then = (both[name].to_numpy(np.float64) for name in columns)
    both = both.assign(sds=(now - then) / np.hypot(sd, sd_then))
    jumped = both[both["sds"].abs() > LARGEST_JUMP]
    worst = jumped.sort_values("sds", key=np.abs).drop_duplicates("category", keep="last")
    return dg.AssetCheckResult(
        check_name="elasticities_keep_still",
        passed=jumped.empty,
        severity=dg.AssetCheckSeverity.WARN,
        description=(
            f"{len(jumped)} of {len(both)} elasticities jumped since the last refit"
            if len(jumped)
            else f"none of {len(both)} elasticities jumped since the last refit"
        ),
        metadata=by_category(
            {
                str(row["category"]): {
                    "products": int((jumped["category"] == row["category"]).sum()),
                    "worst": str(row["product"]),
                    "from": round(float(row["elasticity_before"]), 3),
                    "to": round(float(row["elasticity"]), 3),
                    "in combined sds": round(float(row["sds"]), 3),
                }
                for row in worst.to_dict("records")
            }
        ),
    )


def elasticities_are_negative(rows: pd.DataFrame) -> dg.AssetCheckResult:
    """Warn of categories with positive elasticities: a control is missing, or the prices are wrong.

    Parameters
    ----------
    rows : DataFrame
        Rows of product_elasticity.
    """
    facts = {}
    for category, own in rows.groupby("category"):
        positive, surely = int((own["elasticity"] > 0).sum()), int((own["elasticity_q05"] > 0).sum())
        facts[str(category)] = {
            "products": len(own),
            "positive": positive,
            "surely positive": surely,
            "within limits": not surely and positive <= max(MOST_POSITIVE * len(own), 1.0),
        }
    beyond = [category for category, row in facts.items() if not row["within limits"]]
    return dg.AssetCheckResult(
        check_name="elasticities_are_negative",
        passed=not beyond,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"dearer seems to sell more for some products in: {', '.join(map(repr, beyond))}"
        if beyond
        else f"{len(rows)} products, next to none positive",
        metadata=by_category(facts),
    )
