"""What the price of a product's substitute does to its units: the table cross_elasticity, of all pairs of a group."""

import duckdb

from elasticity_assets.inference.substitute_prices import SUBSTITUTE_PRICES
from elasticity_assets.warehouse.schema import qualified, typed_columns
from elasticity_assets.warehouse.sql import statement
from elasticity_assets.warehouse.tables import CROSS_ELASTICITY

MOST_OTHERS = 50
"""Of so many others of its group, those that sell most, a product has rows: pairs grow with the group's square."""


def replace_cross_elasticities(connection: duckdb.DuckDBPyConnection) -> int:
    """Write cross_elasticity anew from the effects, groups and sales in the warehouse; return its number of rows.

    DuckDB works it out without all rows in memory. The caller begins and commits the transaction.
    """
    table = qualified(CROSS_ELASTICITY)
    connection.execute(statement("delete_rows", table=table))
    columns, source = typed_columns(CROSS_ELASTICITY), f"({statement('cross_elasticity')})"
    insert = statement("insert_rows", table=table, columns=columns, source=source)
    connection.execute(insert, {"control": SUBSTITUTE_PRICES, "most_others": MOST_OTHERS})
    (count,) = connection.fetchall()[0]
    return int(count)
