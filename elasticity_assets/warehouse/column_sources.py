"""Which columns each table's columns are computed from: what Dagster shows as column lineage.

A column's sources are those whose values its own are made of. Columns that only choose, join or order rows are not
named, nor are files and fits: an elasticity's sources are those of `weekly_sales` that its fit saw.
"""

from collections.abc import Sequence

_ELASTICITY = "elasticity elasticity_sd elasticity_q05 elasticity_q50 elasticity_q95"
_LONG_RUN = _ELASTICITY.replace("elasticity", "elasticity_long_run")
_LATER = _ELASTICITY.replace("elasticity", "elasticity_later")
_CONTROLS = "weekly_sales.{controls}"
_SEEN_BY_FITS = f"weekly_sales.period_start weekly_sales.units weekly_sales.price {_CONTROLS}"
_SEEN_BY_TWO_SLOPES = f"{_SEEN_BY_FITS} weekly_sales.regular_price"
_KEY = {"category": "weekly_sales.category", "product": "weekly_sales.product"}
_SIZES = {
    "n_products": "weekly_sales.product",
    "n_periods": "weekly_sales.period_start",
    "n_obs": "weekly_sales.product weekly_sales.period_start",
}

_PRICES_RECOMMENDED = (
    "product_elasticity.elasticity_long_run product_elasticity.elasticity_long_run_sd "
    "promotion_elasticity.regular_elasticity_long_run promotion_elasticity.regular_elasticity_long_run_sd "
    "product_elasticity.price_latest product_elasticity.units_per_period product_elasticity.estimated "
    "causal_evidence.prices_follow_demand causal_evidence.lead_z causal_evidence.hausman_z "
    "causal_evidence.randomized_gap_z "
    "cross_elasticity.elasticity cross_elasticity.elasticity_sd control_effect.effect control_effect.effect_sd "
    "product_elasticity.elasticity weekly_sales.units weekly_sales.price weekly_sales.cost "
    "weekly_sales.regular_price"
    " zone_elasticity.elasticity zone_elasticity.elasticity_sd zone_elasticity.price_latest "
    "zone_elasticity.units_per_period zone_elasticity.estimated"
)

_SOURCES: dict[str, dict[str, str]] = {
    "weekly_sales": {
        "category category_hash": "raw_sales.category",
        "product": "raw_sales.product",
        "period_start": "raw_sales.day",
        "units": "raw_sales.units",
        "revenue price": "raw_sales.units raw_sales.price",
        "regular_price": "raw_sales.regular_price",
        "cost": "raw_sales.cost",
        "randomized": "raw_sales.randomized raw_sales.units raw_sales.price",
        "n_rows": "",
    },
    "product_elasticity": {
        **_KEY,
        "product_description": "raw_sales.description",
        f"{_ELASTICITY} {_LONG_RUN} prob_elastic shrinkage flag": _SEEN_BY_FITS,
        "n_periods": "weekly_sales.period_start",
        "units": "weekly_sales.units",
        "revenue": "weekly_sales.revenue",
        "price_mean price_min price_max log_price_sd price_latest": "weekly_sales.price",
        "price_latest_at": "weekly_sales.period_start",
        "units_per_period": "weekly_sales.units",
        "revenue_per_period": "weekly_sales.units weekly_sales.price",
        "estimated": "weekly_sales.units weekly_sales.price",
        "bias_per_confounding robustness log_units_sd": _SEEN_BY_FITS,
        "fit_id fitted_at": "",
    },
    "zone_elasticity": {
        **_KEY,
        "zone": "raw_sales.zone",
        f"{_ELASTICITY} prob_elastic shrinkage shared_sd flag": f"{_SEEN_BY_FITS} raw_sales.zone",
        "price_latest": "weekly_sales.price",
        "price_latest_at": "weekly_sales.period_start",
        "units_per_period": "weekly_sales.units",
        "revenue_per_period": "weekly_sales.units weekly_sales.price",
        "estimated": "weekly_sales.units weekly_sales.price",
        "fit_id fitted_at": "",
    },
    "category_move_elasticity": {**_KEY, _ELASTICITY: _SEEN_BY_FITS, "fit_id": ""},
    "cross_elasticity": {
        **_KEY,
        "other_product": "weekly_sales.product",
        "elasticity elasticity_sd elasticity_q05 elasticity_q95": f"{_SEEN_BY_FITS} raw_sales.substitutes",
        "fit_id": "",
    },
    "category_elasticity": {
        "category": "weekly_sales.category",
        f"{_ELASTICITY} {_LONG_RUN} {_LATER} product_spread dispersion": _SEEN_BY_FITS,
        **_SIZES,
        "estimated": "weekly_sales.units weekly_sales.price",
        "bias_per_confounding robustness": _SEEN_BY_FITS,
        "fit_id fitted_at": "",
    },
    "global_elasticity": {
        f"{_ELASTICITY} category_spread": _SEEN_BY_FITS,
        "product_spread": "category_elasticity.product_spread",
        "dispersion": "category_elasticity.dispersion",
        "n_categories": "category_elasticity.category",
        "n_products": "category_elasticity.n_products",
        "n_periods": "category_elasticity.n_periods",
        "n_obs": "category_elasticity.n_obs",
        "fit_id fitted_at": "",
    },
    "control_effect": {
        "category": "weekly_sales.category",
        "control": "",
        "effect effect_sd effect_q05 effect_q95": _SEEN_BY_FITS,
    },
    "fit_diagnostics": {
        "category": "weekly_sales.category",
        "engine likelihood device iterations converged seconds fit_id": "",
        "n_products": _SIZES["n_products"],
        "n_obs": _SIZES["n_obs"],
        "elbo serial_correlation_factor n_discounted heldout_coverage_50 heldout_coverage_90 "
        "heldout_coverage_90_low_volume heldout_coverage_90_mid_volume heldout_coverage_90_high_volume "
        "heldout_coverage_spread heldout_wape heldout_log_score forecast_coverage_90 forecast_wape "
        "forecast_log_score split_sample_agreement drift drift_sd warnings": _SEEN_BY_FITS,
    },
    "heldout_scores": {
        "category": "weekly_sales.category",
        "cells model fit_id": "",
        "log_score log_score_lead log_score_lead_se wape": _SEEN_BY_FITS,
        "n_cells": _SIZES["n_obs"],
    },
    "causal_evidence": {
        "category": "weekly_sales.category",
        "lead_effect lead_z": _SEEN_BY_FITS,
        "strongest_control strongest_control_of_sales strongest_control_of_prices": _SEEN_BY_FITS,
        "instrument_strength": f"weekly_sales.price weekly_sales.cost {_CONTROLS}",
        "instrumented_elasticity instrumented_elasticity_sd hausman_z prices_follow_demand verdict": (
            f"{_SEEN_BY_FITS} weekly_sales.cost weekly_sales.randomized"
        ),
        "randomized_elasticity randomized_elasticity_sd randomized_gap_z": f"{_SEEN_BY_FITS} weekly_sales.randomized",
        "fit_id": "",
    },
    "nuts_cross_check": {
        "category": "weekly_sales.category",
        "n_products": _SIZES["n_products"],
        "mean_difference_rms mean_difference_max sd_ratio_median sd_ratio_min sd_ratio_max r_hat "
        "effective_sample_size divergences": _SEEN_BY_FITS,
        "checked_at fit_id": "",
    },
    "promotion_elasticity": {
        **_KEY,
        f"{_ELASTICITY.replace('elasticity', 'regular_elasticity_long_run')} "
        "regular_elasticity regular_elasticity_sd regular_elasticity_q05 regular_elasticity_q50 "
        "regular_elasticity_q95 promotion_elasticity promotion_elasticity_sd promotion_elasticity_q05 "
        "promotion_elasticity_q50 promotion_elasticity_q95 flag": _SEEN_BY_TWO_SLOPES,
        "n_promotion_periods": "weekly_sales.price weekly_sales.regular_price",
        "log_regular_price_sd": "weekly_sales.regular_price",
        "fit_id fitted_at": "",
    },
    "recommended_prices": {
        "category": "product_elasticity.category",
        "product": "product_elasticity.product",
        "zone": "zone_elasticity.zone",
        "refit_id": "",
        "price_now": "product_elasticity.price_latest zone_elasticity.price_latest weekly_sales.regular_price",
        "price_recommended action units_change units_change_q05 units_change_q95 revenue_change revenue_change_q05 "
        "revenue_change_q95 profit_change profit_change_q05 profit_change_q95 prob_gain binding_rule reason": (
            _PRICES_RECOMMENDED
        ),
    },
    "uniform_pricing": {
        "category": "recommended_prices.category",
        "product": "recommended_prices.product",
        "gain_everywhere gain_by_zone cost cost_q05 cost_q95 prob_zones_gain": (
            f"recommended_prices.price_recommended {_PRICES_RECOMMENDED}"
        ),
        "refit_id": "",
    },
    "recommended_tests": {
        "category": "recommended_prices.category",
        "product": "recommended_prices.product",
        "zone refit_id": "",
        "price_now": "recommended_prices.price_now",
        "price_low price_high": "recommended_prices.price_now weekly_sales.cost",
        "elasticity": (
            "product_elasticity.elasticity_long_run promotion_elasticity.regular_elasticity_long_run"
        ),
        "periods elasticity_sd sd_after gain_per_period gain_per_period_of_testing rank reason": (
            "recommended_prices.price_now recommended_prices.price_recommended recommended_prices.binding_rule "
            "product_elasticity.elasticity_long_run product_elasticity.elasticity_long_run_sd "
            "promotion_elasticity.regular_elasticity_long_run promotion_elasticity.regular_elasticity_long_run_sd "
            "product_elasticity.units_per_period product_elasticity.estimated product_elasticity.log_units_sd "
            "product_elasticity.bias_per_confounding causal_evidence.prices_follow_demand "
            "causal_evidence.lead_z causal_evidence.hausman_z causal_evidence.randomized_gap_z "
            "cross_elasticity.elasticity cross_elasticity.elasticity_sd product_elasticity.elasticity "
            "weekly_sales.units weekly_sales.price weekly_sales.cost weekly_sales.regular_price"
        ),
    },
    "price_scenarios": {
        "category": "product_elasticity.category",
        "product": "product_elasticity.product",
        "price_change": "",
        "price": "product_elasticity.price_latest",
        "units_per_period": "product_elasticity.elasticity_q50 product_elasticity.units_per_period",
        "revenue_per_period": "product_elasticity.elasticity_q50 product_elasticity.revenue_per_period",
        "units_change revenue_change": "product_elasticity.elasticity_q50",
        "units_change_q05 units_change_q95 revenue_change_q05 revenue_change_q95": (
            "product_elasticity.elasticity_q05 product_elasticity.elasticity_q95"
        ),
        "lasting_units_change lasting_revenue_change": (
            "product_elasticity.elasticity_long_run_q50 promotion_elasticity.regular_elasticity_long_run_q50"
        ),
        "lasting_units_change_q05 lasting_units_change_q95 lasting_revenue_change_q05 lasting_revenue_change_q95": (
            "product_elasticity.elasticity_long_run_q05 product_elasticity.elasticity_long_run_q95 "
            "promotion_elasticity.regular_elasticity_long_run_q05 "
            "promotion_elasticity.regular_elasticity_long_run_q95"
        ),
        "promotion_units_change": (
            "product_elasticity.elasticity_q50 promotion_elasticity.promotion_elasticity_q50"
        ),
        "promotion_units_change_q05": (
            "product_elasticity.elasticity_q95 promotion_elasticity.promotion_elasticity_q95"
        ),
        "promotion_units_change_q95": (
            "product_elasticity.elasticity_q05 promotion_elasticity.promotion_elasticity_q05"
        ),
        "promotion_later_units_change": "category_elasticity.elasticity_later_q50",
        "promotion_later_units_change_q05": "category_elasticity.elasticity_later_q95",
        "promotion_later_units_change_q95": "category_elasticity.elasticity_later_q05",
        "category_units_change category_revenue_change": "category_move_elasticity.elasticity_q50",
        "category_units_change_q05 category_units_change_q95 category_revenue_change_q05 "
        "category_revenue_change_q95": (
            "category_move_elasticity.elasticity_q05 category_move_elasticity.elasticity_q95"
        ),
        "estimated": "product_elasticity.estimated",
        "extrapolated flag": (
            "product_elasticity.price_latest product_elasticity.price_min product_elasticity.price_max"
        ),
    },
}
"""By table: columns -> the columns that they are computed from, each by a space apart; every column is named."""


def column_sources(table: str, controls: Sequence[str] = ()) -> dict[str, list[tuple[str, str]]]:
    """Give the sources of each column of a table.

    Parameters
    ----------
    table : str
        Its name; a table without sources, such as `raw_sales`, has none.
    controls : sequence of str
        Controls that the settings name: columns of `weekly_sales` that fits see, too.

    Returns
    -------
    dict of str to list of (str, str)
        Column -> tables and columns.
    """
    found = {
        column: [place for source in sources.split() for place in _places(source, controls)]
        for columns, sources in _SOURCES.get(table, {}).items()
        for column in columns.split()
    }
    if table == "weekly_sales":
        found |= {control: [("raw_sales", control)] for control in controls}
    return found


def _places(source: str, controls: Sequence[str]) -> list[tuple[str, str]]:
    table, _, column = source.partition(".")
    return [(table, name) for name in (controls if source == _CONTROLS else [column])]
