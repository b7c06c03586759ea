"""Zones for the products of a small warehouse: halves of their sales, with elasticities of their own."""

import duckdb

NORTH, SOUTH = "north", "<b>south</b>"
SHIFT = {NORTH: 0.5, SOUTH: -4.0}
"""What a zone adds to every elasticity."""


def fill_zones(connection: duckdb.DuckDBPyConnection, category: str) -> None:
    """Write zone_elasticity and zone_sales of one category, from product_elasticity and weekly_sales."""
    zones = {"category": category, "zones": list(SHIFT), "shifts": list(SHIFT.values())}
    of_zones = "SELECT unnest($zones) AS zone, unnest($shifts) AS shift"
    for table in ("zone_elasticity", "zone_sales"):
        connection.execute(f"DELETE FROM {table}")
    connection.execute(
        f"""INSERT INTO zone_elasticity BY NAME
        SELECT
            category, product, zone,
            COLUMNS('^elasticity(_q.*)?$') + shift,
            elasticity_sd, prob_elastic, shrinkage, 0.05 AS shared_sd, price_latest, price_latest_at,
            units_per_period / 2 AS units_per_period, revenue_per_period / 2 AS revenue_per_period,
            flag, estimated, fit_id, fitted_at
        FROM product_elasticity, ({of_zones})
        WHERE category = $category""",
        zones,
    )
    connection.execute(
        f"""INSERT INTO zone_sales BY NAME
        SELECT category, category_hash, product, zone, period_start, units / 2 AS units, revenue / 2 AS revenue, price,
            regular_price, cost, n_rows
        FROM weekly_sales, ({of_zones})
        WHERE category = $category""",
        zones,
    )
