"""`raw_sales` summed to `weekly_sales`: one line a product-period, with every row accounted for."""

import duckdb

from elasticity_assets.ingestion.category import missing_periods
from elasticity_assets.ingestion.reports import SalesFileError, WeeklyReport
from elasticity_assets.settings import SalesSettings
from elasticity_assets.sql import quoted, statement


def build_weekly_sales(connection: duckdb.DuckDBPyConnection, sales: SalesSettings) -> WeeklyReport:
    """Build `weekly_sales` and `products` anew from `raw_sales`, and list the rows left out.

    Where files overlap, the later one (order in the settings, then name) has the product, store and date
    as delivered; incomplete first and last periods are left out; returns are netted, and what is left
    negative is left out. Rows in equal rows used plus rows rejected, and so do units.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        To the warehouse, for writing, outside a transaction.
    sales : SalesSettings

    Returns
    -------
    WeeklyReport

    Raises
    ------
    SalesFileError
        If no product-period is left. The warehouse is then as it was before.
    """
    connection.execute("BEGIN")
    try:
        report = _build(connection, sales)
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
    return report


def _build(connection: duckdb.DuckDBPyConnection, sales: SalesSettings) -> WeeklyReport:
    period = {"period": sales.period}
    connection.execute(statement("clear_unused_sales"))
    connection.execute(statement("find_replaced"))
    connection.execute(statement("leave_out_replaced"))
    first, last = connection.execute(statement("incomplete_periods"), period).fetchone() or (None, None)
    incomplete = {"first_incomplete": first, "last_incomplete": last}
    if first is not None or last is not None:
        connection.execute(statement("leave_out_incomplete"), period | incomplete)
    connection.execute(statement("product_codes"))
    controls = "".join(f", round(avg({quoted(name)}), 9) AS {quoted(name)}" for name in sales.controls)
    price = statement(f"price_{sales.price_rule}")
    connection.execute(statement("weekly_sales", price=price, controls=controls), period)
    connection.execute(statement("leave_out_negative"), period)
    connection.execute(statement("drop_negative"))
    connection.execute(statement("products"))
    report = _report(connection, sales)
    if not report.n_product_periods:
        reasons = ", ".join(f"{n} {reason}" for reason, n in report.rejected.items())
        raise SalesFileError(f"no {sales.period} with sales is left of {report.rows_in} rows: {reasons}")
    return report


def _report(connection: duckdb.DuckDBPyConnection, sales: SalesSettings) -> WeeklyReport:
    cursor = connection.execute(statement("accounts"))
    names = [column[0] for column in cursor.description or ()]
    accounts = dict(zip(names, cursor.fetchone() or (), strict=True))
    changed = connection.execute(statement("changed_categories")).fetchall()
    return WeeklyReport(
        **accounts,
        rejected=dict(connection.execute(statement("reasons")).fetchall()),
        changed_category={product: tuple(dict.fromkeys(categories)) for product, categories in changed},
        missing_periods=missing_periods(connection, sales),
        faults=tuple(connection.execute(statement("weekly_contract")).fetchall()),
    )
