"""`raw_sales` summed to `weekly_sales`, and by zone to `zone_sales`: every row accounted for."""

import itertools
from dataclasses import dataclass

import duckdb

from elasticity_assets.ingestion.accounts import SalesFileError, Unusable, WeeklyReport
from elasticity_assets.ingestion.category import missing_periods
from elasticity_assets.ingestion.currencies import several_currencies
from elasticity_assets.ingestion.reasons import reasons_of_rows, told
from elasticity_assets.ingestion.suspects import find_suspects
from elasticity_assets.settings import SalesSettings
from elasticity_assets.warehouse.sales_tables import weekly_sales, zone_sales
from elasticity_assets.warehouse.schema import Table, create_anew, qualified
from elasticity_assets.warehouse.sql import quoted, statement
from elasticity_assets.words import in_one_line, latest_today

BATCH_ROWS = 20_000_000
"""Rows that are added up at a time, about."""


def build_weekly_sales(connection: duckdb.DuckDBPyConnection, sales: SalesSettings) -> WeeklyReport:
    """Build `weekly_sales` and `products` anew from `raw_sales`, list the rows left out, and find suspect sales.

    Where files overlap, the later one (order in the settings, then name) has the product, store, zone and date
    as delivered; incomplete first and last periods are left out, unless they are to be kept; returns
    are netted, and what is left negative is left out. Rows in equal rows used plus rows rejected, and so do units.

    Where the settings name zones, `zone_sales` and `zones` are built of the same rows, else emptied: returns are
    netted within the zone, and what a zone has left negative is left out of `weekly_sales` too.

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
    grain = _by_zone(sales) if sales.columns.zone else _by_product(sales)
    until_today = {**period, "today": latest_today()}
    connection.execute(statement("clear_unused_sales"))
    connection.execute(statement("name_macros"))
    connection.execute(statement("product_facts"), until_today)
    connection.execute(statement("product_codes"))
    connection.execute(statement("product_places"))
    connection.execute(statement("leave_out_future"), until_today)
    if sales.columns.zone:
        connection.execute(statement("zone_codes"))
        connection.execute(statement("leave_out_without_zone"))
    connection.execute(statement("find_replaced", **grain.parts))
    connection.execute(statement("leave_out_replaced", **grain.parts))
    if sales.incomplete_periods == "leave_out":
        _leave_out_incomplete(connection, sales.period)
    _build_zones(connection, sales)
    _add_up(connection, sales, _by_product(sales))
    connection.execute(statement("clear_products"))
    connection.execute(statement("products"), {"attributes": sales.attributes})
    report = _report(connection, sales, grain)
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


@dataclass(frozen=True)
class _Grain:
    """What sales are added up to.

    Attributes
    ----------
    table : Table
        To be filled.
    parts : dict of str to str
        Of statements: {sales}, the table's name; {zone}, a row's zone in a list of columns, {join_zones} what it is
        known from, {same_zone} the condition that it is that of the row d, {by_zone} the order by it.
    """

    table: Table
    parts: dict[str, str]


def _by_product(sales: SalesSettings) -> _Grain:
    table = weekly_sales(sales.controls)
    nothing = dict.fromkeys(("zone", "join_zones", "same_zone", "by_zone"), "")
    return _Grain(table, {"sales": qualified(table), **nothing})


def _by_zone(sales: SalesSettings) -> _Grain:
    table = zone_sales(sales.controls)
    parts = {"zone": "z.zone,", "same_zone": "AND d.zone = z.zone", "by_zone": "s.zone,"}
    return _Grain(table, {"sales": qualified(table), "join_zones": statement("join_zone_codes"), **parts})


def _build_zones(connection: duckdb.DuckDBPyConnection, sales: SalesSettings) -> None:
    """Fill `zone_sales` and `zones`, or empty them where the settings name no zones."""
    connection.execute(statement("clear_zones"))
    connection.execute(statement("clear_zone_sales"))
    if sales.columns.zone:
        _add_up(connection, sales, _by_zone(sales))
        numbers = range(1, len(sales.zones.covariates) + 1)
        of_store = "".join(f", avg(r.zone_covariates[{number}]) AS mean_{number}" for number in numbers)
        means = ", ".join(f"round(avg(mean_{number}), 9)" for number in numbers)
        fill = statement("zones", means=means, means_of_store=of_store)
        connection.execute(fill, {"covariates": sales.zones.covariates})


def _add_up(connection: duckdb.DuckDBPyConnection, sales: SalesSettings, grain: _Grain) -> None:
    """Fill a table of sales, a batch of products at a time: it needs memory for its product-periods."""
    several = connection.execute(
        statement("holds_several_rows", **grain.parts), {"period": sales.period}
    ).fetchall()[0][0]
    all_sold = (
        sales.price_rule == "unit_value"
        and not connection.execute(statement("holds_returns")).fetchall()[0][0]
    )
    sums = _sums_of_rows(sales, several=several, all_sold=all_sold)
    connection.execute(create_anew(grain.table))
    batches = connection.execute(statement("weekly_batches"), {"rows": BATCH_ROWS}).fetchall()
    of_batch = statement("of_batch") if len(batches) > 1 else ""
    add_up = statement("add_up", **grain.parts, **sums, of_batch=of_batch)
    for (first,), (following,) in itertools.pairwise([*batches, (None,)]):
        batch = {"first_place": first, "next_place": following} if len(batches) > 1 else {}
        connection.execute(add_up, {"period": sales.period, **batch})
    connection.execute(statement("leave_out_negative", **grain.parts), {"period": sales.period})
    connection.execute(statement("drop_negative", **grain.parts))


def _sums_of_rows(sales: SalesSettings, *, several: bool, all_sold: bool) -> dict[str, str]:
    """Give the parts of `add_up`.

    Parameters
    ----------
    sales : SalesSettings
    several : bool
        Whether product-periods have several rows: if not, each row is its own sum and mean.
    all_sold : bool
        Whether units are known to be above 0 in all rows.
    """
    total, mean, of_rows = ("sum", "avg", "") if several else ("", "", "_of_one_row")
    randomized = "all_randomized" if several else "one_randomized"
    return {
        "sum": total,
        "n_rows": "count(*)" if several else "CAST(1 AS BIGINT)",
        "price": statement(f"price_{sales.price_rule}{'_of_sales' if all_sold else of_rows}", sum=total),
        "randomized": statement(randomized if sales.columns.randomized else "none_randomized"),
        **_means(mean, sales),
        "group_by": "GROUP BY ALL" if several else "",
    }


def _means(mean: str, sales: SalesSettings) -> dict[str, str]:
    def of(column: str) -> str:
        return f"round({mean}({column}), 9)"

    nothing = "CAST(NULL AS DOUBLE)"
    names = [quoted(name) for name in sales.controls]
    return {
        "regular_price": of("regular_price")
        if sales.columns.regular_price or sales.columns.discount
        else nothing,
        "cost": of("cost") if sales.columns.cost else nothing,
        "controls": "".join(f", {of(f'r.{name}')} AS {name}" for name in names),
    }


def _report(connection: duckdb.DuckDBPyConnection, sales: SalesSettings, grain: _Grain) -> WeeklyReport:
    cursor = connection.execute(statement("accounts"))
    names = [column[0] for column in cursor.description or ()]
    accounts = dict(zip(names, cursor.fetchone() or (), strict=True))
    changed = connection.execute(statement("changed_categories")).fetchall()
    return WeeklyReport(
        **accounts,
        unusable=_unusable(connection),
        rejected=dict(connection.execute(statement("reasons")).fetchall()),
        examples=reasons_of_rows(connection, sales)[1],
        changed_category={product: tuple(dict.fromkeys(categories)) for product, categories in changed},
        currencies=several_currencies(connection),
        mangled_codes=tuple(connection.execute(statement("mangled_codes")).fetchall()),
        missing_periods=missing_periods(connection, sales),
        faults=tuple(_faults(connection, sales)),
        suspects=find_suspects(connection, sales),
        randomized_at_several_prices=_randomized_at_several_prices(connection, sales, grain),
    )


def _faults(connection: duckdb.DuckDBPyConnection, sales: SalesSettings) -> list[tuple[str, int, str]]:
    """Find what the tables of sales must never hold: by fault how many rows have it, and one of them."""
    today = {"today": latest_today()}
    found = connection.execute(statement("weekly_contract", **_by_product(sales).parts), today).fetchall()
    if sales.columns.zone:
        of_zones = connection.execute(statement("weekly_contract", **_by_zone(sales).parts), today).fetchall()
        found += [(f"in zone_sales {fault}", n, example) for fault, n, example in of_zones]
        found += connection.execute(statement("zones_add_up")).fetchall()
    return found


def _randomized_at_several_prices(
    connection: duckdb.DuckDBPyConnection, sales: SalesSettings, grain: _Grain
) -> int:
    if sales.columns.randomized is None:
        return 0
    count = statement("randomized_at_several_prices", **grain.parts)
    return int(connection.execute(count, {"period": sales.period}).fetchall()[0][0])


def _unusable(connection: duckdb.DuckDBPyConnection) -> Unusable:
    """Count the rows that could not be used as delivered, and show one of the most frequent reason."""
    rows, of_rows, units, of_units = connection.execute(statement("unusable_rows")).fetchall()[0]
    one = connection.execute(statement("unusable_row")).fetchone() if rows else None
    example = in_one_line("{}, line {}: {}: {}".format(*one)) if one else ""
    return Unusable(rows, of_rows, units, of_units, example)
