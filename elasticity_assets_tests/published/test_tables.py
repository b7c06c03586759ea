import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from elasticity_assets.published.tables import published_tables
from elasticity_assets.warehouse.schema import create_table
from elasticity_assets.warehouse.tables import WAREHOUSE_TABLES, check_attributes

pytestmark = pytest.mark.quick

ROOT = Path(__file__).parents[2]

# What users' queries rely on: the names of the published tables and their columns.
ELASTICITY = "elasticity elasticity_sd elasticity_q05 elasticity_q50 elasticity_q95"
LONG_RUN = ELASTICITY.replace("elasticity", "elasticity_long_run")
LATER = ELASTICITY.replace("elasticity", "elasticity_later")
COLUMNS = {
    "product_elasticity": f"""category product product_description {ELASTICITY} prob_elastic shrinkage {LONG_RUN}
        n_periods units revenue price_mean price_min price_max log_price_sd price_latest price_latest_at
        units_per_period revenue_per_period flag estimated bias_per_confounding robustness log_units_sd
        fit_id fitted_at""",
    "zone_elasticity": f"""category product zone {ELASTICITY} prob_elastic shrinkage shared_sd price_latest
        price_latest_at units_per_period revenue_per_period flag estimated fit_id fitted_at""",
    "category_move_elasticity": f"category product {ELASTICITY} fit_id",
    "cross_elasticity": """category product other_product elasticity elasticity_sd elasticity_q05 elasticity_q95
        fit_id""",
    "category_elasticity": f"""category {ELASTICITY} {LONG_RUN} {LATER} product_spread dispersion
        n_products n_periods n_obs estimated bias_per_confounding robustness fit_id fitted_at""",
    "global_elasticity": f"""{ELASTICITY} category_spread product_spread dispersion n_categories n_products
        n_periods n_obs fit_id fitted_at""",
    "control_effect": "category control effect effect_sd effect_q05 effect_q95",
    "fit_diagnostics": """category engine likelihood device iterations converged elbo seconds n_products n_obs
        serial_correlation_factor n_discounted heldout_coverage_50 heldout_coverage_90
        heldout_coverage_90_low_volume heldout_coverage_90_mid_volume heldout_coverage_90_high_volume
        heldout_coverage_spread heldout_wape heldout_log_score forecast_coverage_90 forecast_wape forecast_log_score
        split_sample_agreement drift drift_sd warnings fit_id""",
    "heldout_scores": "category cells model log_score log_score_lead log_score_lead_se wape n_cells fit_id",
    "causal_evidence": """category lead_effect lead_z instrument_strength instrumented_elasticity
        instrumented_elasticity_sd hausman_z randomized_elasticity randomized_elasticity_sd randomized_gap_z
        strongest_control strongest_control_of_sales strongest_control_of_prices
        prices_follow_demand verdict fit_id""",
    "nuts_cross_check": """category checked_at n_products mean_difference_rms mean_difference_max sd_ratio_median
        sd_ratio_min sd_ratio_max r_hat effective_sample_size divergences fit_id""",
    "price_scenarios": """category product price_change price units_change units_change_q05 units_change_q95
        revenue_change revenue_change_q05 revenue_change_q95 units_per_period revenue_per_period
        lasting_units_change lasting_units_change_q05 lasting_units_change_q95
        lasting_revenue_change lasting_revenue_change_q05 lasting_revenue_change_q95
        promotion_units_change promotion_units_change_q05 promotion_units_change_q95
        promotion_later_units_change promotion_later_units_change_q05 promotion_later_units_change_q95
        category_units_change category_units_change_q05 category_units_change_q95
        category_revenue_change category_revenue_change_q05 category_revenue_change_q95
        estimated extrapolated flag""",
    "promotion_elasticity": """category product regular_elasticity regular_elasticity_sd regular_elasticity_q05
        regular_elasticity_q50 regular_elasticity_q95 regular_elasticity_long_run regular_elasticity_long_run_sd
        regular_elasticity_long_run_q05 regular_elasticity_long_run_q50 regular_elasticity_long_run_q95
        promotion_elasticity promotion_elasticity_sd
        promotion_elasticity_q05 promotion_elasticity_q50 promotion_elasticity_q95 n_promotion_periods
        log_regular_price_sd flag fit_id fitted_at""",
    "recommended_prices": """category product zone price_now price_recommended action units_change units_change_q05
        units_change_q95 revenue_change revenue_change_q05 revenue_change_q95 profit_change profit_change_q05
        profit_change_q95 prob_gain binding_rule reason refit_id""",
    "uniform_pricing": """category product gain_everywhere gain_by_zone cost cost_q05 cost_q95 prob_zones_gain
        refit_id""",
    "recommended_tests": """category product zone price_now price_low price_high periods elasticity elasticity_sd
        sd_after gain_per_period gain_per_period_of_testing rank reason refit_id""",
    "elasticity_history": """category product refit_id refitted_at elasticity elasticity_sd elasticity_q05
        elasticity_q95 estimated""",
    "check_results": "check asset category passed severity message evaluated_at refit_id",
    "weekly_sales": "category product period_start units revenue price regular_price cost randomized display",
    "suspect_sales": "category product zone period_start what value usual weight",
    "rejected_sales": "file line reason row units",
    "refits": """refit_id refitted_at seconds n_files rows_in rows_used rows_rejected n_categories n_products
        failed versions number""",
}


def test_tables_and_columns_have_the_promised_names():
    found = {table.name: [column.name for column in table.columns] for table in published_tables(["display"])}
    assert found == {name: columns.split() for name, columns in COLUMNS.items()}


def test_attributes_follow_what_the_product_is():
    columns = [column.name for column in published_tables(attributes=["brand", "size"])[0].columns]
    assert columns[:6] == ["category", "product", "product_description", "brand", "size", "elasticity"]


@pytest.mark.parametrize(
    ("names", "why"),
    [
        (["brand", "Brand"], "'Brand' is named twice; columns match without regard to case"),
        (["Units"], "'Units' is a column of product_elasticity; rename it in the files"),
    ],
)
def test_attributes_that_cannot_be_columns_are_refused(names, why):
    with pytest.raises(ValueError, match=why):
        check_attributes(names)


def test_every_comment_says_meaning_and_unit():
    for table in (*published_tables(["display"]), *WAREHOUSE_TABLES):
        assert table.comment.endswith(".")
        assert set(table.key) <= {column.name for column in table.columns}
        for column in table.columns:
            assert column.comment == f"{column.meaning} [{column.unit}]"
            assert min(len(column.meaning), len(column.unit)) > 1
            assert column.nullable == ("NULL" in column.meaning)


def test_elasticities_say_that_they_are_relative_price_elasticities():
    for table in published_tables():
        for column in table.columns:
            if column.name == "elasticity" and table.name not in (
                "elasticity_history",
                "category_move_elasticity",
                "cross_elasticity",
            ):
                assert "relative-price elasticity" in column.comment


def test_every_published_table_can_be_created():
    with duckdb.connect() as memory:
        memory.execute("ATTACH ':memory:' AS other")
        for table in published_tables(["display", 'it\'s "odd"']):
            memory.execute(create_table(table, "other"))
        tables = "SELECT table_name FROM duckdb_tables() WHERE database_name = 'other'"
        found = memory.execute(tables).fetchall()
    assert {name for (name,) in found} == set(COLUMNS)


def test_document_is_in_step_with_the_schema():
    made = subprocess.run(
        [sys.executable, ROOT / "docs" / "make_tables.py"], check=True, capture_output=True, timeout=120
    )
    assert made.stdout == (ROOT / "docs" / "tables.md").read_bytes(), (
        "run python docs/make_tables.py > docs/tables.md"
    )
