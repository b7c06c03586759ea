"""A warehouse's tables: made once, and brought up to date where an earlier version made them."""

import duckdb

from elasticity_assets.warehouse.schema import bring_up_to_date
from elasticity_assets.warehouse.sql import statement
from elasticity_assets.warehouse.tables import WAREHOUSE_TABLES

SCHEMA_VERSION = 4
"""Version of `WAREHOUSE_TABLES`: it rises with every change of them, so that older warehouses follow."""


def version_of_tables(connection: duckdb.DuckDBPyConnection) -> int:
    """Version of a warehouse's tables, 0 for a new one."""
    try:
        row = connection.execute(statement("schema_version")).fetchone()
    except duckdb.CatalogException:
        return 0
    return row[0] if row else 0


def migrate(connection: duckdb.DuckDBPyConnection) -> None:
    """Make a new warehouse's tables, or those and the columns that an older one lacks, in one transaction."""
    connection.begin()
    bring_up_to_date(connection, WAREHOUSE_TABLES)
    connection.execute(statement("rejected_sales"))
    connection.execute(statement("hash_categories"))
    connection.execute(statement("number_refits"))
    connection.execute(statement("create_schema_version"))
    connection.execute(statement("set_schema_version"), {"version": SCHEMA_VERSION})
    connection.commit()
