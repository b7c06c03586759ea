"""Rows of the published tables, from posteriors and sales. Pure functions, one a table."""

from collections.abc import Sequence
from datetime import datetime

import numpy as np
import pandas as pd

from elasticity_assets.fits import FitRecord
from elasticity_assets.inference.hierarchy import Hierarchy
from elasticity_assets.inference.posterior import CategoryPosterior, Summary, TwoSlopes, summarize
from elasticity_assets.schema import Table

PRICE_CHANGES = np.arange(-4, 5) * 5 / 100
"""Price changes of price_scenarios, fractions of the price."""

ONE_PRICE = 1e-6
"""Below this sd of log price a product had one price: rounding of unit values, no change."""


def product_rows(
    posterior: CategoryPosterior, record: FitRecord, sales: pd.DataFrame, min_periods: int
) -> pd.DataFrame:
    """Rows of product_elasticity of one category; products without sales are left out.

    Parameters
    ----------
    posterior : CategoryPosterior
        Pooled.
    record : FitRecord
    sales : DataFrame
        One row a product: product, product_description, n_periods, units, revenue, price_mean,
        price_min, price_max, log_price_sd.
    min_periods : int
        Products with fewer periods are flagged.
    """
    summary = product_summary(posterior)
    rows = pd.DataFrame(
        {
            "category": posterior.category,
            "product": posterior.product,
            **_summary_columns("elasticity", summary),
            "prob_elastic": summary.prob_elastic,
            "shrinkage": posterior.shrinkage(),
            "fit_id": record.fit_id,
            "fitted_at": record.fitted,
        }
    ).merge(sales, on="product", how="inner", validate="one_to_one")
    reasons = [
        (rows["log_price_sd"] < ONE_PRICE, "one price only: the elasticity is the category's"),
        (rows["n_periods"] < min_periods, f"few periods: fewer than {min_periods}"),
        (rows["units"] <= 0, "nothing sold"),
        (pd.Series(not posterior.diagnostics.converged, rows.index), "the fit did not converge"),
    ]
    rows["flag"] = _flags(reasons, rows.index)
    return rows


def two_slopes_rows(slopes: TwoSlopes, fit_id: str, fitted_at: datetime, min_periods: int) -> pd.DataFrame:
    """Rows of promotion_elasticity of one category.

    Parameters
    ----------
    slopes : TwoSlopes
    fit_id : str
    fitted_at : datetime
        Naive, in UTC.
    min_periods : int
        Products with fewer periods are flagged.
    """
    rows = pd.DataFrame(
        {
            "category": slopes.category,
            "product": slopes.product,
            **_summary_columns("regular_elasticity", slopes.regular),
            **_summary_columns("promotion_elasticity", slopes.promotion),
            "n_promotion_periods": slopes.n_promotion_periods,
            "log_regular_price_sd": slopes.log_regular_price_sd,
            "fit_id": fit_id,
            "fitted_at": fitted_at,
        }
    )
    reasons = []
    for sd, what, name in (
        (slopes.log_regular_price_sd, "regular price", "regular_elasticity"),
        (slopes.log_discount_sd, "discount", "promotion_elasticity"),
    ):
        constant = pd.Series(sd < ONE_PRICE, rows.index)
        said = f"the {what} never changed: {name} is the category's"
        if constant.all():
            said = f"no {what} of the category ever changed: {name} is the prior's"
        reasons.append((constant, said))
    reasons += [
        (pd.Series(slopes.n_periods < min_periods, rows.index), f"few periods: fewer than {min_periods}"),
        (pd.Series(bool(slopes.warnings), rows.index), "the fit of two slopes did not converge"),
    ]
    rows["flag"] = _flags(reasons, rows.index)
    return rows


def _flags(reasons: Sequence[tuple[pd.Series, str]], index: pd.Index) -> pd.Series:
    """Put what holds of each row into words; None where nothing does."""
    flags = ["; ".join(text for holds, text in reasons if holds[i]) or None for i in index]
    return pd.Series(flags, index, dtype=object)


def category_row(posterior: CategoryPosterior, record: FitRecord) -> pd.DataFrame:
    """Row of category_elasticity, from a pooled posterior."""
    return pd.DataFrame(
        {
            "category": posterior.category,
            **_summary_columns("elasticity", category_summary(posterior)),
            "product_spread": posterior.product_spread(),
            "dispersion": _finite_median(posterior.dispersion),
            "n_products": len(posterior.product),
            "n_periods": len(posterior.period),
            "n_obs": record.n_obs,
            "fit_id": record.fit_id,
            "fitted_at": record.fitted,
        }
    )


def global_row(hierarchy: Hierarchy, record: FitRecord, categories: pd.DataFrame) -> pd.DataFrame:
    """Row of global_elasticity.

    Parameters
    ----------
    hierarchy : Hierarchy
    record : FitRecord
        Of the pooling.
    categories : DataFrame
        Rows of category_elasticity of the categories pooled.
    """
    return pd.DataFrame(
        {
            **_summary_columns("elasticity", hierarchy.global_summary()),
            "category_spread": float(hierarchy.global_weight @ hierarchy.category_spread),
            "product_spread": categories["product_spread"].mean(),
            "dispersion": _finite_median(categories["dispersion"].to_numpy(np.float64)),
            "n_categories": len(categories),
            "n_products": categories["n_products"].sum(),
            "n_periods": categories["n_periods"].max(),
            "n_obs": record.n_obs,
            "fit_id": record.fit_id,
            "fitted_at": record.fitted,
        }
    )


def control_rows(posterior: CategoryPosterior) -> pd.DataFrame:
    """Rows of control_effect of one category."""
    summary = summarize(posterior.weight, posterior.control_mean, posterior.control_var)
    return pd.DataFrame(
        {
            "category": posterior.category,
            "control": pd.Series(posterior.control, dtype=str),
            "effect": summary.mean,
            "effect_sd": summary.sd,
            "effect_q05": summary.q05,
            "effect_q95": summary.q95,
        }
    )


def diagnostics_row(posterior: CategoryPosterior, record: FitRecord) -> pd.DataFrame:
    """Row of fit_diagnostics; held-out columns stay NULL where nothing was held out."""
    how = posterior.diagnostics
    return pd.DataFrame(
        {
            "category": [posterior.category],
            "engine": how.engine,
            "likelihood": how.likelihood,
            "device": how.device,
            "iterations": how.iterations,
            "converged": how.converged,
            "elbo": how.elbo if np.isfinite(how.elbo) else None,
            "seconds": how.seconds,
            "n_products": len(posterior.product),
            "n_obs": record.n_obs,
            "warnings": [list(how.warnings)],
            "fit_id": record.fit_id,
        }
    )


def scenario_rows(products: pd.DataFrame) -> pd.DataFrame:
    """Rows of price_scenarios, from rows of product_elasticity.

    Units change by (1 + p)^beta - 1 and revenue by (1 + p)^(1 + beta) - 1 at a price change p. Both are
    monotone in beta, so their quantiles are those of beta, in reverse where the price rises falls; the
    middle one is the median.
    """
    repeated = products.loc[products.index.repeat(len(PRICE_CHANGES))].reset_index(drop=True)
    change = np.tile(PRICE_CHANGES, len(products))
    columns: dict[str, np.ndarray] = {"price_change": change}
    for name, added in (("units_change", 0.0), ("revenue_change", 1.0)):
        low, middle, high = (
            np.expm1((repeated[f"elasticity_{q}"].to_numpy() + added) * np.log1p(change))
            for q in ("q05", "q50", "q95")
        )
        columns[name] = middle
        columns[f"{name}_q05"] = np.minimum(low, high)
        columns[f"{name}_q95"] = np.maximum(low, high)
    return repeated[["category", "product"]].assign(**columns)


def product_summary(posterior: CategoryPosterior) -> Summary:
    """Summary of the products' elasticities, shape (n,)."""
    return summarize(posterior.weight, posterior.product_mean, posterior.product_var)


def category_summary(posterior: CategoryPosterior) -> Summary:
    """Summary of the category's elasticity, shape (1,)."""
    return summarize(posterior.weight, posterior.category_mean[:, None], posterior.category_var[:, None])


def summary_of(rows: pd.DataFrame) -> Summary:
    """Summary of the elasticities in rows of a table; P(elasticity < -1) is NaN where the table has none."""
    mean, sd, q05, q50, q95 = (
        rows[column].to_numpy(np.float64)
        for column in ("elasticity", "elasticity_sd", "elasticity_q05", "elasticity_q50", "elasticity_q95")
    )
    return Summary(mean, sd, q05, q50, q95, prob_elastic=np.full(len(rows), np.nan))


def concatenated(parts: Sequence[pd.DataFrame], table: Table) -> pd.DataFrame:
    """All rows of the parts; without any, an empty frame of the table's columns."""
    filled = [part for part in parts if len(part)]
    if not filled:
        return pd.DataFrame(columns=[column.name for column in table.columns])
    return pd.concat(filled, ignore_index=True)


def _summary_columns(name: str, summary: Summary) -> dict[str, np.ndarray]:
    return {
        name: summary.mean,
        f"{name}_sd": summary.sd,
        f"{name}_q05": summary.q05,
        f"{name}_q50": summary.q50,
        f"{name}_q95": summary.q95,
    }


def _finite_median(values: np.ndarray) -> float | None:
    """Median of what is finite; None if nothing is (Poisson has no dispersion)."""
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if len(finite) else None
