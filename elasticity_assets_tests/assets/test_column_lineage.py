"""Column lineage is true: of columns that are there, of assets upstream, and as the statements compute."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest

from elasticity_assets.assets.column_lineage import LINEAGE, PUBLISHED, sources_of
from elasticity_assets.assets.elasticity import product_sales
from elasticity_assets.automation.names import STANDING_ALONE, Names
from elasticity_assets.automation.partitions import partition_key
from elasticity_assets.definitions import build_definitions
from elasticity_assets.ingestion import build_weekly_sales
from elasticity_assets.published.price_scenarios import replace_scenarios
from elasticity_assets.settings import Settings, settings_of
from elasticity_assets.warehouse.column_sources import column_sources
from elasticity_assets.warehouse.migration import migrate
from elasticity_assets.warehouse.sales_tables import weekly_sales
from elasticity_assets.warehouse.tables import WAREHOUSE_TABLES
from elasticity_assets_tests.support.projects import settings_dict

# Dagster calls parts of what renames assets beta.
pytestmark = [
    pytest.mark.quick,
    pytest.mark.filterwarnings("ignore::dagster_shared.utils.warnings.BetaWarning"),
]

CONTROLS = ["shelf display"]
DECLARED = {table.name: table for table in WAREHOUSE_TABLES} | {"weekly_sales": weekly_sales(CONTROLS)}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    content = settings_dict()
    content["sales"] |= {"controls": CONTROLS}
    content["sales"]["columns"] |= {"regular_price": "list", "cost": "cost", "description": "text"}
    content["sales"]["columns"] |= {"randomized": "test"}
    return settings_of(content, tmp_path, "here")


@pytest.fixture
def warehouse() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        migrate(connection)
        yield connection


@pytest.mark.parametrize("names", [STANDING_ALONE, Names(("shops",))], ids=["alone", "prefixed"])
def test_columns_upstream_are_there_and_their_assets_are_upstream(settings: Settings, names: Names) -> None:
    graph = build_definitions(settings, names=names).resolve_asset_graph()
    with_lineage = 0
    for key in graph.get_all_asset_keys():
        found = graph.get(key).metadata.get(LINEAGE)
        with_lineage += found is not None
        for column, of in (found.deps_by_column if found else {}).items():
            table, _, name = column.rpartition(".")
            assert name in _columns(table or key.path[-1]), (key, column)
            for source in of:
                assert source.asset_key in graph.get_ancestor_asset_keys(key), (key, column)
                assert source.column_name in _columns(source.asset_key.path[-1]), (key, column)
    assert with_lineage == 18


def _columns(table: str) -> list[str]:
    columns = [column.name for column in DECLARED[table].columns]
    return columns + CONTROLS if table == "raw_sales" else columns


def test_every_column_of_an_asset_that_is_a_table_is_accounted_for(settings: Settings) -> None:
    graph = build_definitions(settings).resolve_asset_graph()
    names = {key.to_user_string() for key in graph.get_all_asset_keys()} & set(DECLARED) - {"raw_sales"}
    assert len(names) == 17
    for name in names:
        assert sorted(column_sources(name, CONTROLS)) == sorted(_columns(name)), name


def test_the_published_file_shows_tables_as_they_are() -> None:
    found = sources_of(PUBLISHED, CONTROLS)
    assert found["weekly_sales.shelf display"] == [("weekly_sales", "shelf display")]
    assert found["price_scenarios.flag"] == [("price_scenarios", "flag")]
    assert "weekly_sales.n_rows" not in found  # the warehouse's own
    assert not {"refits", "nuts_cross_check"} & {name.partition(".")[0] for name in found}


def test_weekly_sales_are_computed_from_the_columns_named(
    warehouse: duckdb.DuckDBPyConnection, settings: Settings
) -> None:
    warehouse.execute('ALTER TABLE raw_sales ADD COLUMN "shelf display" DOUBLE')
    warehouse.execute(
        "INSERT INTO sales_files VALUES (1, 'a.csv', '', '', 0, 1, 3, '2024-01-01', '2024-01-01')"
    )
    warehouse.execute(
        "INSERT INTO raw_sales BY NAME SELECT 1::INTEGER AS file_id, 2 AS line, 'p' AS product, 'c' AS category, "
        "DATE '2024-01-01' AS day, false AS dated, 3.0 AS units, 2.0 AS price, 2.5 AS regular_price, 1.0 AS cost, "
        "false AS randomized, 'text' AS description, 0.0 AS \"shelf display\""
    )

    def build() -> dict[str, Any]:
        build_weekly_sales(warehouse, settings.sales)
        return _row(warehouse, "weekly_sales")

    values = {"product": "q", "category": "d", "day": date(2024, 1, 15), "price": 3.0, "regular_price": 4.0}
    values |= {"units": 5.0, "cost": 2.0, "randomized": True, "description": "other", "shelf display": 1.0}
    sources = column_sources("weekly_sales", CONTROLS)
    sources["price"].remove(("raw_sales", "units"))  # weighs several rows' prices; here is one
    for kind in ("units", "price"):  # leaves returns out, and several prices; here are none
        sources["randomized"].remove(("raw_sales", kind))
    _assert_computed_from(warehouse, build, "raw_sales", values, sources)


def test_facts_of_products_are_computed_from_the_columns_named(
    settings: Settings, warehouse: duckdb.DuckDBPyConnection
) -> None:
    warehouse.execute(
        "INSERT INTO weekly_sales BY NAME SELECT 'c' AS category, md5_number_lower('c') AS category_hash, "
        "'p' AS product, DATE '2024-01-01' AS period_start, 3.0 AS units, 6.0 AS revenue, 2.0 AS price, 1 AS n_rows"
    )

    def read() -> dict[str, Any]:
        key = partition_key("c")
        return product_sales(warehouse, [key], settings.sales)[key].iloc[0].to_dict()

    sources = column_sources("product_elasticity")
    facts = {name: sources[name] for name in ("units", "revenue", "price_mean", "price_min", "price_max")}
    facts |= {
        name: sources[name]
        for name in ("price_latest", "price_latest_at", "units_per_period", "revenue_per_period")
    }
    _assert_computed_from(
        warehouse,
        read,
        "weekly_sales",
        {"units": 4.0, "revenue": 7.0, "price": 3.0, "period_start": date(2024, 1, 8)},
        facts,
    )


def test_price_scenarios_are_computed_from_the_columns_named(warehouse: duckdb.DuckDBPyConnection) -> None:
    numbers = {"elasticity": -2.0, "elasticity_sd": 0.1, "elasticity_q05": -2.2, "elasticity_q50": -2.0}
    numbers |= {"elasticity_q95": -1.8}
    facts = {
        "prob_elastic": 1.0,
        "shrinkage": 0.5,
        "n_periods": 9,
        "units": 9.0,
        "revenue": 9.0,
        "price_mean": 2.0,
    }
    facts |= {"price_min": 1.9, "price_max": 2.1, "log_price_sd": 0.1, "estimated": True}
    facts |= {"price_latest": 2.0, "units_per_period": 1.0, "revenue_per_period": 2.0}
    facts |= {name.replace("elasticity", "elasticity_long_run"): value for name, value in numbers.items()}
    for table, more in (("product_elasticity", numbers | facts), ("category_move_elasticity", numbers)):
        row = {"category": "c", "product": "p", "fit_id": "f", **more}
        row |= {"fitted_at": "2024-01-01"} if table == "product_elasticity" else {}
        names, marks = ", ".join(row), ", ".join("?" * len(row))
        warehouse.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", list(row.values()))

    def build() -> dict[str, Any]:
        replace_scenarios(warehouse)
        return warehouse.table("price_scenarios").order("price_change").df().to_dict("list")

    own = {
        key: value
        for key, value in column_sources("price_scenarios").items()
        if key not in ("category", "product")
    }
    moved = {"elasticity_q05": -2.6, "elasticity_q50": -2.5, "elasticity_q95": -2.4, "elasticity": -3.0}
    prices = {"price_latest": 1.5, "price_min": 1.0, "price_max": 3.0, "price_mean": 1.5}
    prices |= {"units_per_period": 3.0, "revenue_per_period": 5.0}
    _assert_computed_from(warehouse, build, "product_elasticity", moved | prices | {"units": 1.0}, own)
    lasting = {name.replace("elasticity", "elasticity_long_run"): value for name, value in moved.items()}
    _assert_computed_from(warehouse, build, "product_elasticity", lasting, own)
    _assert_computed_from(warehouse, build, "category_move_elasticity", moved, own)
    later = {"elasticity_later_q05": 0.1, "elasticity_later_q50": 0.2, "elasticity_later_q95": 0.3}
    _insert(warehouse, "category_elasticity", later)
    changed = {name: value + 0.05 for name, value in later.items()}
    _assert_computed_from(warehouse, build, "category_elasticity", changed, own)
    slopes = {
        name.replace("elasticity", of): value
        for name, value in numbers.items()
        for of in ("regular_elasticity_long_run", "promotion_elasticity")
    }
    _insert(
        warehouse, "promotion_elasticity", slopes | {"log_regular_price_sd": 0.1, "n_promotion_periods": 3}
    )
    changed = {name: value - 0.5 for name, value in slopes.items()}
    _assert_computed_from(warehouse, build, "promotion_elasticity", changed, own)


def _insert(connection: duckdb.DuckDBPyConnection, table: str, values: dict[str, Any]) -> None:
    """Add a row of category c and product p; the columns not named are NULL."""
    for (column,) in connection.execute(
        "SELECT column_name FROM duckdb_columns() WHERE table_name = ? AND NOT is_nullable", [table]
    ).fetchall():
        connection.execute(f'ALTER TABLE {table} ALTER "{column}" DROP NOT NULL')
    given = {
        name: value for name, value in {"category": "c", "product": "p"}.items() if name in _columns(table)
    }
    row = given | values
    names, marks = ", ".join(row), ", ".join("?" * len(row))
    connection.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", list(row.values()))


def _row(connection: duckdb.DuckDBPyConnection, table: str) -> dict[str, Any]:
    (row,) = connection.table(table).df().to_dict("records")
    return {str(name): value for name, value in row.items()}


def _assert_computed_from(
    connection: duckdb.DuckDBPyConnection,
    build: Any,
    upstream: str,
    values: dict[str, Any],
    sources: dict[str, list[tuple[str, str]]],
) -> None:
    """A changed value upstream changes the columns whose sources name it, and no others."""
    before = build()
    for column, value in values.items():
        ((old,),) = connection.execute(f'SELECT "{column}" FROM {upstream}').fetchall()
        connection.execute(f'UPDATE {upstream} SET "{column}" = ?', [value])
        after = build()
        changed = {name for name in sources if str(after[name]) != str(before[name])}
        assert changed == {name for name, of in sources.items() if (upstream, column) in of}, column
        connection.execute(f'UPDATE {upstream} SET "{column}" = ?', [old])
