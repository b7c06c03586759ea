"""Checks of the fits: each succeeded, each converged, and the elasticities make sense."""

from collections.abc import Iterable, Mapping

import dagster as dg
import numpy as np
import pandas as pd

from elasticity_assets.checks.result import result_by_category, result_of_failures
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


def fits_succeeded(fitted: Iterable[str], failed: Mapping[str, str]) -> dg.AssetCheckResult:
    """Fail where a fit ended with an error; the run goes on without it.

    Parameters
    ----------
    fitted : iterable of str
        Categories that were fitted, or whose last fit is of today's sales and settings.
    failed : mapping of category to str
        Reasons.
    """
    categories = {**dict.fromkeys(fitted, ""), **failed}
    return result_of_failures(
        "fits_succeeded", categories, "failed", "no fit failed", dg.AssetCheckSeverity.ERROR
    )


def two_slopes_fitted(others: Iterable[str], failed: Mapping[str, str]) -> dg.AssetCheckResult:
    """Warn of categories without rows in promotion_elasticity though they have regular prices.

    Parameters
    ----------
    others : iterable of str
        Categories that lack nothing.
    failed : mapping of category to str
        Reasons.
    """
    categories = {**dict.fromkeys(others, ""), **failed}
    return result_of_failures("two_slopes_fitted", categories, "without rows", "none is missing")


def fits_converged(posteriors: Mapping[str, CategoryPosterior]) -> dg.AssetCheckResult:
    """Warn of fits that gave up before they converged.

    Parameters
    ----------
    posteriors : mapping of category to CategoryPosterior
        What was fitted in this run.
    """
    rows = {
        category: {
            "passed": posterior.diagnostics.converged,
            "iterations": posterior.diagnostics.iterations,
            "seconds": round(posterior.diagnostics.seconds, 3),
            "warnings": "; ".join(posterior.diagnostics.warnings),
        }
        for category, posterior in posteriors.items()
    }
    return result_by_category("fits_converged", rows, "not converged", f"{len(rows)} fits, all converged")


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
            "passed": bool(narrowing < MOST_OF_PRIOR and posterior.shrinkage().min() < CATEGORY_ALONE),
        }
    return result_by_category(
        "fits_learned",
        rows,
        "the sales tell nothing of prices",
        f"{len(rows)} fits, all learned from the sales",
    )


def elasticities_keep_still(changes: pd.DataFrame) -> dg.AssetCheckResult:
    """Warn of products whose elasticity jumped since the last refit: by more than LARGEST_JUMP combined sds.

    Parameters
    ----------
    changes : DataFrame
        One row a category: category, n_products that were there before, n_jumped of them; of the one that moved most
        product, elasticity_before, elasticity, and sds, the change in combined standard deviations.
    """
    facts = {
        str(row["category"]): {
            "passed": not row["n_jumped"],
            "products that jumped": int(row["n_jumped"]),
            "largest change": str(row["product"]),
            "from": round(float(row["elasticity_before"]), 3),
            "to": round(float(row["elasticity"]), 3),
            "in combined sds": round(float(row["sds"]), 3),
        }
        for row in changes.to_dict("records")
    }
    n_products = int(changes["n_products"].sum())
    return result_by_category(
        "elasticities_keep_still",
        facts,
        f"{int(changes['n_jumped'].sum())} of {n_products} elasticities jumped since the last refit",
        f"none of {n_products} elasticities jumped since the last refit",
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
            "passed": not surely and positive <= max(MOST_POSITIVE * len(own), 1.0),
        }
    return result_by_category(
        "elasticities_are_negative",
        facts,
        "dearer seems to sell more for some products",
        f"{len(rows)} products, next to none positive",
    )
