import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from elasticity_assets.published.tables import REFITS, published_tables, weekly_sales
from elasticity_assets.warehouse.schema import (
    Column,
    Table,
    comment_statements,
    create_table,
    replace_rows,
)

pytestmark = pytest.mark.quick

ROOT = Path(__file__).parents[2]

# What users' queries rely on: the names of the published tables and their columns.
ELASTICITY = "elasticity elasticity_sd elasticity_q05 elasticity_q50 elasticity_q95"
COLUMNS = {
    "product_elasticity": f"""category product product_description {ELASTICITY} prob_elastic shrinkage
        n_periods units revenue price_mean price_min price_max log_price_sd flag fit_id fitted_at""",
    "category_move_elasticity": f"category product {ELASTICITY} fit_id",
    "category_elasticity": f"""category {ELASTICITY} product_spread dispersion n_products n_periods n_obs
        fit_id fitted_at""",
    "global_elasticity": f"""{ELASTICITY} category_spread product_spread dispersion n_categories n_products
        n_periods n_obs fit_id fitted_at""",
    "control_effect": "category control effect effect_sd effect_q05 effect_q95",
    "fit_diagnostics": """category engine likelihood device iterations converged elbo seconds n_products n_obs
        serial_correlation_factor n_discounted heldout_coverage_50 heldout_coverage_90
        heldout_coverage_90_low_volume heldout_coverage_90_mid_volume heldout_coverage_90_high_volume
        heldout_coverage_spread heldout_wape heldout_log_score forecast_coverage_90 forecast_wape forecast_log_score
        split_sample_agreement drift drift_sd warnings fit_id""",
    "heldout_scores": "category cells model log_score log_score_lead log_score_lead_se wape n_cells fit_id",
    "nuts_cross_check": """category checked_at n_products mean_difference_rms mean_difference_max sd_ratio_median
        sd_ratio_min sd_ratio_max r_hat effective_sample_size divergences fit_id""",
    "price_scenarios": """category product price_change units_change units_change_q05 units_change_q95
        revenue_change revenue_change_q05 revenue_change_q95 category_units_change category_units_change_q05
        category_units_change_q95 category_revenue_change category_revenue_change_q05 category_revenue_change_q95
        flag""",
    "promotion_elasticity": """category product regular_elasticity regular_elasticity_sd regular_elasticity_q05
        regular_elasticity_q50 regular_elasticity_q95 promotion_elasticity promotion_elasticity_sd
        promotion_elasticity_q05 promotion_elasticity_q50 promotion_elasticity_q95 n_promotion_periods
        log_regular_price_sd flag fit_id fitted_at""",
    "elasticity_history": "category product refit_id refitted_at elasticity elasticity_sd",
    "weekly_sales": "category product period_start units revenue price regular_price display",
    "rejected_sales": "file line reason row units",
    "refits": """refit_id refitted_at seconds n_files rows_in rows_used rows_rejected n_categories n_products
        failed versions""",
}

NASTY = 'it\'s "odd"; DROP TABLE x; --\n😀'
SHELF = Table(
    NASTY,
    f"Comment {NASTY}",
    ("category",),
    (
        Column("category", "VARCHAR", "text", "The category"),
        Column(NASTY, "DOUBLE", "units", f"Meaning {NASTY}"),
        Column("note", "VARCHAR", "text", "A note", nullable=True),
    ),
)


@pytest.fixture
def memory():
    with duckdb.connect() as connection:
        yield connection


def rows(**values: list) -> pd.DataFrame:
    return pd.DataFrame({"category": values["category"], NASTY: values["number"]})


def contents(connection: duckdb.DuckDBPyConnection) -> list[tuple]:
    name = NASTY.replace('"', '""')
    return connection.execute(f'FROM "{name}" ORDER BY ALL').fetchall()


def test_tables_and_columns_have_the_promised_names():
    found = {table.name: [column.name for column in table.columns] for table in published_tables(["display"])}
    assert found == {name: columns.split() for name, columns in COLUMNS.items()}


def test_every_comment_says_meaning_and_unit():
    for table in published_tables(["display"]):
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
            ):
                assert "relative-price elasticity" in column.comment


def test_statements_create_and_comment_what_the_schema_says(memory):
    memory.execute(create_table(SHELF))
    memory.execute(create_table(SHELF))  # twice does no harm
    for statement in comment_statements(SHELF):
        memory.execute(statement)
    found = memory.execute(
        "SELECT column_name, data_type, comment, is_nullable FROM duckdb_columns() WHERE NOT internal"
    ).fetchall()
    assert found == [(column.name, column.type, column.comment, column.nullable) for column in SHELF.columns]
    assert memory.execute("SELECT table_name, comment FROM duckdb_tables()").fetchall() == [
        (NASTY, SHELF.comment)
    ]


def test_every_published_table_can_be_created(memory):
    memory.execute("ATTACH ':memory:' AS other")
    for table in published_tables(["display", NASTY]):
        memory.execute(create_table(table, "other"))
    found = memory.execute("SELECT table_name FROM duckdb_tables() WHERE database_name = 'other'").fetchall()
    assert {name for (name,) in found} == set(COLUMNS)


def test_replace_rows_replaces_only_the_named_categories(memory):
    replace_rows(memory, SHELF, rows(category=["a", "b", NASTY], number=[1, 2, 3]))
    replace_rows(memory, SHELF, rows(category=["a", NASTY], number=[10, 30]), ["a", NASTY, "gone"])
    assert contents(memory) == [("a", 10.0, None), ("b", 2.0, None), (NASTY, 30.0, None)]
    replace_rows(memory, SHELF, rows(category=[], number=[]), ["b"])
    assert [row[0] for row in contents(memory)] == ["a", NASTY]
    replace_rows(memory, SHELF, rows(category=["c"], number=[5]))
    assert contents(memory) == [("c", 5.0, None)]


def test_replace_rows_rolls_back_with_the_callers_transaction(memory):
    replace_rows(memory, SHELF, rows(category=["a"], number=[1]))
    memory.execute("BEGIN")
    replace_rows(memory, SHELF, rows(category=["a"], number=[2]))
    memory.execute("ROLLBACK")
    assert contents(memory) == [("a", 1.0, None)]


def test_replace_rows_refuses_what_does_not_fit(memory):
    with pytest.raises(ValueError, match=r"columns missing: \['category'\], unknown: \['other'\]"):
        replace_rows(memory, SHELF, pd.DataFrame({NASTY: [1.0], "other": [1]}))
    with pytest.raises(ValueError, match=r"rows of other categories: \['b'\]"):
        replace_rows(memory, SHELF, rows(category=["a", "b"], number=[1, 2]), ["a"])
    with pytest.raises(duckdb.ConstraintException):
        replace_rows(memory, SHELF, rows(category=["a"], number=[None]).astype({NASTY: float}))


def test_a_table_of_an_earlier_version_gains_its_new_columns(memory):
    replace_rows(memory, SHELF, rows(category=["a", "b"], number=[1, 2]))
    newer = replace(SHELF, columns=(*SHELF.columns, Column("n", "BIGINT", "shelves", "How many", before="7")))
    memory.execute("BEGIN")
    replace_rows(memory, newer, rows(category=["a"], number=[3]).assign(n=9), ["a"])
    memory.execute("COMMIT")
    assert contents(memory) == [("a", 3.0, None, 9), ("b", 2.0, None, 7)]


def test_lists_and_maps_are_stored(memory):
    row = pd.DataFrame(
        {
            "refit_id": ["r"],
            "refitted_at": pd.Timestamp("2026-01-05 06:00"),
            "seconds": 1.5,
            "failed": [[NASTY]],
        }
        | dict.fromkeys(["n_files", "rows_in", "rows_used", "rows_rejected", "n_categories", "n_products"], 1)
    ).assign(versions=[{"jax": "1", NASTY: "2"}])
    replace_rows(memory, REFITS, row)
    found = memory.execute("SELECT failed, versions, refitted_at FROM refits").fetchone()
    assert found == ([NASTY], {"jax": "1", NASTY: "2"}, row["refitted_at"][0].to_pydatetime())


def test_a_control_may_not_take_another_columns_name():
    assert [column.name for column in weekly_sales(["display"]).columns][-1] == "display"
    for name in ("price", "Units"):
        with pytest.raises(ValueError, match=f"control '{name}' has the name of another column"):
            weekly_sales([name])
    with pytest.raises(ValueError, match="rename it"):
        weekly_sales(["display", "DISPLAY"])


def test_document_is_in_step_with_the_schema():
    made = subprocess.run(
        [sys.executable, ROOT / "docs" / "make_tables.py"], check=True, capture_output=True, timeout=120
    )
    assert made.stdout == (ROOT / "docs" / "tables.md").read_bytes(), (
        "run python docs/make_tables.py > docs/tables.md"
    )
