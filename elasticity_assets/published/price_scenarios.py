"""What price changes do to units and revenue: the table price_scenarios, and the macro for any other change.

Units change by (1 + p)^beta - 1 and revenue by (1 + p)^(1 + beta) - 1 at a price change p.
"""

import duckdb

from elasticity_assets.warehouse.schema import qualified
from elasticity_assets.warehouse.sql import statement
from elasticity_assets.warehouse.tables import (
    CATEGORY_ELASTICITY,
    CATEGORY_MOVE_ELASTICITY,
    PRICE_SCENARIOS,
    PRODUCT_ELASTICITY,
    PROMOTION_ELASTICITY,
)


def select_scenarios(changes: str, database: str | None = None) -> str:
    """Give the SQL text that works out all products' scenarios.

    Parameters
    ----------
    changes : str
        SQL text of a query with the column price_change.
    database : str, optional
        Where the products' elasticities are, if in an attached database.
    """
    return statement(
        "price_scenarios",
        products=qualified(PRODUCT_ELASTICITY, database),
        categories=qualified(CATEGORY_ELASTICITY, database),
        moves=qualified(CATEGORY_MOVE_ELASTICITY, database),
        slopes=qualified(PROMOTION_ELASTICITY, database),
        lasting=select_lasting_slopes(database),
        changes=changes,
    )


def select_lasting_slopes(database: str | None = None) -> str:
    """Give the SQL text of how all products' units respond to a price change that lasts.

    Parameters
    ----------
    database : str, optional
        As of `select_scenarios`.
    """
    return statement(
        "lasting_slopes",
        products=qualified(PRODUCT_ELASTICITY, database),
        slopes=qualified(PROMOTION_ELASTICITY, database),
    )


def replace_scenarios(connection: duckdb.DuckDBPyConnection) -> int:
    """Write price_scenarios anew from the elasticities in the warehouse; return its number of rows.

    DuckDB works it out without all rows in memory. The caller begins and commits the transaction.
    """
    table = qualified(PRICE_SCENARIOS)
    connection.execute(statement("delete_rows", table=table))
    source = f"({select_scenarios(statement('price_changes'))})"
    connection.execute(statement("insert_rows", table=table, columns="*", source=source))
    (count,) = connection.fetchall()[0]
    return int(count)
