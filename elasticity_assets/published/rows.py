"""Rows of the published tables, from posteriors and sales. Pure functions, one a table."""

from collections.abc import Sequence
from datetime import datetime

import numpy as np
import pandas as pd

from elasticity_assets.fitting.stored_fits import FitRecord
from elasticity_assets.inference.hierarchy import Hierarchy
from elasticity_assets.inference.judging.confounding import ConfoundingTests
from elasticity_assets.inference.judging.scores import HeldOut
from elasticity_assets.inference.judging.split_samples import SplitSamples
from elasticity_assets.inference.posterior import CategoryPosterior, Summary, TwoSlopes, summarize
from elasticity_assets.inference.summaries import (
    bias_per_confounding,
    category_long_run_summary,
    category_move_summary,
    category_summary,
    later_summary,
    log_units_sd,
    long_run_summary,
    product_summary,
    robustness,
)
from elasticity_assets.inference.zoned_posterior import ZonedPosterior
from elasticity_assets.published.flags import ONE_PRICE, flags, zone_flags
from elasticity_assets.published.verdict import verdict
from elasticity_assets.warehouse.schema import Table
from elasticity_assets.warehouse.tables import HELDOUT_SCORES, ZONE_ELASTICITY


def product_rows(
    posterior: CategoryPosterior,
    record: FitRecord,
    sales: pd.DataFrame,
    min_periods: int,
    samples: SplitSamples | None = None,
    confounding: ConfoundingTests | None = None,
) -> pd.DataFrame:
    """Rows of product_elasticity of one category; products without sales are left out.

    Parameters
    ----------
    posterior : CategoryPosterior
        Pooled.
    record : FitRecord
    sales : DataFrame
        One row a product: product, product_description, n_periods, units, revenue; of the periods that count
        price_mean, price_min, price_max, log_price_sd, price_latest, price_latest_at and whether anything was sold;
        n_suspect, those that do not; n_fitted, those of the fit, among them periods without a row in which nothing was
        sold; units_per_period and revenue_per_period of late; tested, whether a price test elsewhere has a result of
        it; has_substitutes, whether others of its group of substitutes sold anything.
    min_periods : int
        Products with fewer periods are flagged.
    samples : SplitSamples, optional
        Of this fit: products that drift are flagged.
    confounding : ConfoundingTests, optional
        Of this fit: all products are flagged where prices follow demand.
    """
    summary = product_summary(posterior)
    bias, _ = bias_per_confounding(posterior, _of_fit(posterior, sales, "n_fitted"))
    of_fit = {
        "product": posterior.product,
        **_summary_columns("elasticity", summary),
        "prob_elastic": summary.prob_elastic,
        "shrinkage": posterior.shrinkage(),
        **_summary_columns("elasticity_long_run", long_run_summary(posterior)),
        **_confounding_columns(summary, bias),
        "log_units_sd": log_units_sd(posterior, _of_fit(posterior, sales, "units_per_period")),
    }
    place = _place(posterior, sales)
    sold = place >= 0
    own = sales.iloc[place[sold]].drop(columns="product")
    of_sales = {str(name): values.array for name, values in own.items()}
    rows = pd.DataFrame(
        {
            "category": posterior.category,
            **{name: values[sold] for name, values in of_fit.items()},
            "fit_id": record.fit_id,
            "fitted_at": record.fitted,
            **of_sales,
        }
    )
    rows["estimated"] = estimated(rows)
    rows["flag"] = flags(rows, posterior, min_periods, samples, confounding)
    return rows.drop(columns=["sold", "n_suspect", "n_fitted", "has_substitutes", "tested"])


def estimated(sales: pd.DataFrame) -> pd.Series:
    """Say of each product whether its own sales, or a test elsewhere, tell anything of its elasticity, bool.

    Parameters
    ----------
    sales : DataFrame
        As of `product_rows`.
    """
    known = (sales["log_price_sd"] >= ONE_PRICE) | sales["tested"].astype(bool)
    return known & sales["sold"].astype(bool)


def zone_rows(
    posterior: ZonedPosterior, record: FitRecord, sales: pd.DataFrame, min_periods: int
) -> pd.DataFrame:
    """Rows of zone_elasticity of one category; products without sales in a zone have none there.

    Parameters
    ----------
    posterior : ZonedPosterior
        Pooled.
    record : FitRecord
    sales : DataFrame
        One row a product and zone: `zone`, and the columns that `product_rows` takes.
    min_periods : int
        Products with fewer periods in a zone are flagged.
    """
    summary = summarize(posterior.products.weight, posterior.row_mean, posterior.row_var)
    of_zone = summarize(posterior.products.weight, posterior.zone_mean, posterior.zone_var)
    shrinkage = np.clip(posterior.row_shrinkage, 0.0, 1.0)
    rows = pd.DataFrame(
        {
            "category": posterior.products.category,
            "product": posterior.products.product[posterior.product_of_row],
            "zone": posterior.zone[posterior.zone_of_row],
            **_summary_columns("elasticity", summary),
            "prob_elastic": summary.prob_elastic,
            "shrinkage": shrinkage,
            "shared_sd": np.minimum(summary.sd, shrinkage * of_zone.sd[posterior.zone_of_row]),
            "fit_id": record.fit_id,
            "fitted_at": record.fitted,
        }
    ).merge(sales, on=["product", "zone"], how="inner", validate="one_to_one")
    rows["estimated"] = estimated(rows)
    rows["flag"] = zone_flags(rows, posterior, min_periods)
    return rows[[column.name for column in ZONE_ELASTICITY.columns]]


def category_move_rows(posterior: CategoryPosterior, record: FitRecord, sales: pd.DataFrame) -> pd.DataFrame:
    """Rows of category_move_elasticity of one category.

    Parameters
    ----------
    posterior : CategoryPosterior
        Pooled.
    record : FitRecord
    sales : DataFrame
        As of `product_rows`: products without sales are left out here too.
    """
    with_substitutes = _of_fit(posterior, sales, "has_substitutes") > 0
    of_fit = {
        "product": posterior.product,
        **_summary_columns("elasticity", category_move_summary(posterior, with_substitutes)),
    }
    sold = _place(posterior, sales) >= 0
    return pd.DataFrame(
        {
            "category": posterior.category,
            **{name: values[sold] for name, values in of_fit.items()},
            "fit_id": record.fit_id,
        }
    )


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
            **_summary_columns("regular_elasticity_long_run", slopes.regular_long_run),
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


def category_row(posterior: CategoryPosterior, record: FitRecord, sales: pd.DataFrame) -> pd.DataFrame:
    """Row of category_elasticity.

    Parameters
    ----------
    posterior : CategoryPosterior
        Pooled.
    record : FitRecord
    sales : DataFrame
        As of `product_rows`.
    """
    summary = category_summary(posterior)
    _, bias = bias_per_confounding(posterior, _of_fit(posterior, sales, "n_fitted"))
    return pd.DataFrame(
        {
            "category": posterior.category,
            **_summary_columns("elasticity", summary),
            **_summary_columns("elasticity_long_run", category_long_run_summary(posterior)),
            **_later_columns(posterior),
            "product_spread": posterior.product_spread(),
            "dispersion": _finite_median(posterior.dispersion),
            "n_products": len(posterior.product),
            "n_periods": len(posterior.period),
            "n_obs": record.n_obs,
            "estimated": bool(estimated(sales).any()),
            **_confounding_columns(summary, bias),
            "fit_id": record.fit_id,
            "fitted_at": record.fitted,
        }
    )


def causal_row(tests: ConfoundingTests, record: FitRecord) -> pd.DataFrame:
    """Row of causal_evidence."""
    return pd.DataFrame(
        {
            "category": [tests.category],
            "lead_effect": _finite(tests.lead_effect),
            "lead_z": _finite(tests.lead_z),
            "instrument_strength": _finite(tests.instrument_strength),
            "instrumented_elasticity": _finite(tests.instrumented_elasticity),
            "instrumented_elasticity_sd": _finite(tests.instrumented_elasticity_sd),
            "hausman_z": _finite(tests.hausman_z),
            "randomized_elasticity": _finite(tests.randomized_elasticity),
            "randomized_elasticity_sd": _finite(tests.randomized_elasticity_sd),
            "randomized_gap_z": _finite(tests.randomized_gap_z),
            "strongest_control": tests.strongest_control.name or None,
            "strongest_control_of_sales": _finite(tests.strongest_control.of_sales),
            "strongest_control_of_prices": _finite(tests.strongest_control.of_prices),
            "prices_follow_demand": tests.prices_follow_demand,
            "verdict": verdict(tests),
            "fit_id": record.fit_id,
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


def diagnostics_row(
    posterior: CategoryPosterior,
    record: FitRecord,
    heldout: HeldOut | None = None,
    samples: SplitSamples | None = None,
) -> pd.DataFrame:
    """Row of fit_diagnostics; columns of evidence that is missing stay NULL.

    Parameters
    ----------
    posterior : CategoryPosterior
    record : FitRecord
    heldout, samples : HeldOut and SplitSamples, optional
        Of this fit.
    """
    how = posterior.diagnostics
    evidence: dict[str, float] = {}
    if heldout is not None:
        folds, forecast = heldout.folds(), heldout.forecast()
        low, middle, high = folds.coverage_by_third()
        evidence |= {
            "heldout_coverage_50": folds.coverage(0.5),
            "heldout_coverage_90": folds.coverage(),
            "heldout_coverage_90_low_volume": low,
            "heldout_coverage_90_mid_volume": middle,
            "heldout_coverage_90_high_volume": high,
            "heldout_coverage_spread": folds.coverage_spread(),
            "heldout_wape": folds.wape(),
            "heldout_log_score": folds.log_score(),
            "forecast_coverage_90": forecast.coverage(),
            "forecast_wape": forecast.wape(),
            "forecast_log_score": forecast.log_score(),
        }
    if samples is not None:
        evidence |= {
            "split_sample_agreement": samples.agreement(),
            "drift": samples.category_drift,
            "drift_sd": samples.category_drift_sd,
        }
    return pd.DataFrame(
        {
            "category": [posterior.category],
            "engine": how.engine,
            "likelihood": how.likelihood_text,
            "device": how.device,
            "iterations": how.iterations,
            "converged": how.converged,
            "elbo": _finite(how.elbo),
            "seconds": how.seconds,
            "n_products": len(posterior.product),
            "n_obs": record.n_obs,
            "serial_correlation_factor": posterior.serial_correlation_factor,
            "n_discounted": len(posterior.discounted),
            **{name: _finite(value) for name, value in evidence.items()},
            "warnings": [list(how.warnings)],
            "fit_id": record.fit_id,
        }
    )


def heldout_rows(heldout: HeldOut, record: FitRecord) -> pd.DataFrame:
    """Rows of heldout_scores of one category; none for a forecast that was not made."""
    rows = []
    for cells, part in (("folds", heldout.folds()), ("forecast", heldout.forecast())):
        for number, model in enumerate(part.model if len(part.units) else ()):
            lead, error = part.lead(number)
            rows.append(
                {
                    "category": heldout.category,
                    "cells": cells,
                    "model": model,
                    "log_score": part.log_score(number),
                    "log_score_lead": lead,
                    "log_score_lead_se": error,
                    "wape": _finite(part.wape(number)),
                    "n_cells": len(part.units),
                    "fit_id": record.fit_id,
                }
            )
    return pd.DataFrame(rows, columns=[column.name for column in HELDOUT_SCORES.columns])


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


def _place(posterior: CategoryPosterior, sales: pd.DataFrame) -> np.ndarray:
    """Give the row of each product of the fit in the sales, shape (n,); -1 of those without sales."""
    return pd.Index(sales["product"]).get_indexer(posterior.product)


def _of_fit(posterior: CategoryPosterior, sales: pd.DataFrame, column: str) -> np.ndarray:
    """Give a column of the sales for each product of the fit, shape (n,); 0 of those without sales."""
    values = np.append(sales[column].to_numpy(np.float64), 0.0)  # the last is found by -1
    return values[_place(posterior, sales)]


def _confounding_columns(summary: Summary, bias: np.ndarray | float) -> dict[str, np.ndarray]:
    """Columns of what a confounder would do; NaN, which is NULL, where that is not known."""
    bias = np.broadcast_to(bias, summary.mean.shape)
    return {"bias_per_confounding": bias, "robustness": robustness(summary.q05, summary.q95, bias)}


def _later_columns(posterior: CategoryPosterior) -> dict[str, np.ndarray | None]:
    """Columns of what a price change does later on; NULL in a fit without lags."""
    summary = later_summary(posterior)
    if summary is None:
        return dict.fromkeys(f"elasticity_later{of}" for of in ("", "_sd", "_q05", "_q50", "_q95"))
    return dict(_summary_columns("elasticity_later", summary))


def _finite(value: float) -> float | None:
    """Give None, which is NULL, for what is no number."""
    return float(value) if np.isfinite(value) else None


def _finite_median(values: np.ndarray) -> float | None:
    """Median of what is finite; None if nothing is (Poisson has no dispersion)."""
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if len(finite) else None
