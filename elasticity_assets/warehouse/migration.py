"""A warehouse's tables: made once, and brought up to date where an earlier version made them."""

import duckdb

from elasticity_assets.warehouse.sales_tables import RAW_SALES, weekly_sales
from elasticity_assets.warehouse.schema import bring_up_to_date, columns_there, qualified
from elasticity_assets.warehouse.sql import quoted, statement
from elasticity_assets.warehouse.tables import WAREHOUSE_TABLES

SCHEMA_VERSION = 7
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
    _forget_controls_of_same_name(connection)
    bring_up_to_date(connection, WAREHOUSE_TABLES)
    connection.execute(statement("rejected_sales"))
    connection.execute(statement("hash_categories"))
    connection.execute(statement("number_refits"))
    connection.execute(statement("create_schema_version"))
    connection.execute(statement("set_schema_version"), {"version": SCHEMA_VERSION})
    connection.commit()


def _forget_controls_of_same_name(connection: duckdb.DuckDBPyConnection) -> None:
    """Drop controls of an earlier version that are called like a column of another type that these tables have now.

    Controls are DOUBLE. Their files are read anew, since settings cannot name such controls any more.
    """
    there = {
        (table, column): kind
        for table, column, kind in connection.execute(statement("types_there")).fetchall()
    }
    for table in (RAW_SALES, weekly_sales()):
        for column in table.columns:
            if column.type != "DOUBLE" and there.get((table.name, column.name)) == "DOUBLE":
                connection.execute(
                    statement("drop_column", table=qualified(table), column=quoted(column.name))
                )


def show_as_present(connection: duckdb.DuckDBPyConnection, database: str) -> None:
    """Give tables that an earlier version left in a snapshot, which nobody can change, the columns they lack: as views.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        Whose current database the snapshot is; the views are this connection's own, and come before the tables.
    database : str
        Name of the snapshot.
    """
    present = columns_there(connection)
    for table in WAREHOUSE_TABLES:
        there = present.get(table.name, [])
        lacking = [column for column in table.columns if column.name not in there]
        if there and lacking:
            columns = ", ".join(
                f"CAST({column.before or 'NULL'} AS {column.type}) AS {quoted(column.name)}"
                for column in lacking
            )
            names = {"view": quoted(table.name), "table": qualified(table, database)}
            connection.execute(statement("show_as_present", **names, columns=columns))
