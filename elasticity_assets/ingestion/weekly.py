"""`raw_sales` summed to `weekly_sales`: one line a product-period, with every row accounted for."""

import itertools

import duckdb

from elasticity_assets.ingestion.accounts import SalesFileError, Unusable, WeeklyReport
from elasticity_assets.ingestion.category import missing_periods
from elasticity_assets.ingestion.currencies import several_currencies
from elasticity_assets.ingestion.reasons import reasons_of_rows, told
from elasticity_assets.ingestion.suspects import find_suspects
from elasticity_assets.settings import SalesSettings
from elasticity_assets.warehouse.sales_tables import weekly_sales
from elasticity_assets.warehouse.schema import create_anew
from elasticity_assets.warehouse.sql import quoted, statement
from elasticity_assets.words import in_one_line, latest_today

BATCH_ROWS = 40_000_000
"""Rows that are added up at a time, about."""


def build_weekly_sales(connection: duckdb.DuckDBPyConnection, sales: SalesSettings) -> WeeklyReport:
    """Build `weekly_sales` and `products` anew from `raw_sales`, list the rows left out, and find suspect sales.

    Where files overlap, the later one (order in the settings, then name) has the product, store and date
    as delivered; incomplete first and last periods are left out, unless they are to be kept; returns
    are netted, and what is left negative is left out. Rows in equal rows used plus rows rejected, and so do units.

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
    until_today = {**period, "today": latest_today()}
    connection.execute(statement("clear_unused_sales"))
    connection.execute(statement("name_macros"))
    connection.execute(statement("product_facts"), until_today)
    connection.execute(statement("product_codes"))
    connection.execute(statement("leave_out_future"), until_today)
    connection.execute(statement("find_replaced"))
    connection.execute(statement("leave_out_replaced"))
    if sales.incomplete_periods == "leave_out":
        _leave_out_incomplete(connection, sales.period)
    _add_up(connection, sales)
    connection.execute(statement("leave_out_negative"), period)
    connection.execute(statement("drop_negative"))
    connection.execute(statement("clear_products"))
    connection.execute(statement("products"), {"attributes": sales.attributes})
    report = _report(connection, sales)
    if not report.n_product_periods:
        reasons = told(report.rejected, report.examples)
        raise SalesFileError(f"no {sales.period} with sales is left of {report.rows_in} rows: {reasons}")
    return report


def _leave_out_incomplete(connection: duckdb.DuckDBPyConnection, period: str) -> None:
    values = {"period": period, "today": latest_today()}
    first, last = connection.execute(statement("incomplete_periods"), values).fetchone() or (None, None)
    if first is not None or last is not None:
        incomplete = {"first_incomplete": first, "last_incomplete": last}
        connection.execute(statement("leave_out_incomplete"), {"period": period, **incomplete})


def _add_up(connection: duckdb.DuckDBPyConnection, sales: SalesSettings) -> None:
    """Fill `weekly_sales`, a batch of products at a time: adding up needs memory for its product-periods."""
    price = f"price_{sales.price_rule}"
    if price == "price_unit_value" and not connection.execute(statement("holds_returns")).fetchall()[0][0]:
        price = "price_unit_value_of_sales"
    names = [quoted(name) for name in sales.controls]
    connection.execute(create_anew(weekly_sales(sales.controls)))
    batches = connection.execute(statement("weekly_batches"), {"rows": BATCH_ROWS}).fetchall()
    add_up = statement(
        "weekly_sales",
        price=statement(price),
        regular_price=_mean("regular_price", sales.columns.regular_price or sales.columns.discount),
        cost=_mean("cost", sales.columns.cost),
        randomized=statement("all_randomized" if sales.columns.randomized else "none_randomized"),
        controls="".join(f", round(avg({name}), 9) AS {name}" for name in names),
        of_batch=statement("of_batch") if len(batches) > 1 else "",
    )
    for (first,), (following,) in itertools.pairwise([*batches, (None,)]):
        batch = {"first_code": first, "next_code": following} if len(batches) > 1 else {}
        connection.execute(add_up, {"period": sales.period, **batch})


def _mean(column: str, delivered: str | None) -> str:
    return f"round(avg({column}), 9)" if delivered else "CAST(NULL AS DOUBLE)"


def _report(connection: duckdb.DuckDBPyConnection, sales: SalesSettings) -> WeeklyReport:
    cursor = connection.execute(statement("accounts"))
    names = [column[0] for column in cursor.description or ()]
    accounts = dict(zip(names, cursor.fetchone() or (), strict=True))
    changed = connection.execute(statement("changed_categories")).fetchall()
    return WeeklyReport(
        **accounts,
        unusable=_unusable(connection),
        rejected=dict(connection.execute(statement("reasons")).fetchall()),
        examples=reasons_of_rows(connection, sales.columns)[1],
        changed_category={product: tuple(dict.fromkeys(categories)) for product, categories in changed},
        currencies=several_currencies(connection),
        mangled_codes=tuple(connection.execute(statement("mangled_codes")).fetchall()),
        missing_periods=missing_periods(connection, sales),
        faults=tuple(connection.execute(statement("weekly_contract"), {"today": latest_today()}).fetchall()),
        suspects=find_suspects(connection, sales),
        randomized_at_several_prices=_randomized_at_several_prices(connection, sales),
    )


def _randomized_at_several_prices(connection: duckdb.DuckDBPyConnection, sales: SalesSettings) -> int:
    if sales.columns.randomized is None:
        return 0
    found = connection.execute(statement("randomized_at_several_prices"), {"period": sales.period})
    return int(found.fetchall()[0][0])


def _unusable(connection: duckdb.DuckDBPyConnection) -> Unusable:
    """Count the rows that could not be used as delivered, and show one of the most frequent reason."""
    rows, of_rows, units, of_units = connection.execute(statement("unusable_rows")).fetchall()[0]
    one = connection.execute(statement("unusable_row")).fetchone() if rows else None
    example = in_one_line("{}, line {}: {}: {}".format(*one)) if one else ""
    return Unusable(rows, of_rows, units, of_units, example)
