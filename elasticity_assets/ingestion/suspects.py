"""Sales that cannot be as they were delivered: mistyped, cents among euros, rows of totals, other units.

One such price decides a product's elasticity, since no other lies so far from its mean, and its units do not follow it.
Nothing is lost: `weekly_sales` and `zone_sales` keep every cell, `suspect_sales` names those in doubt, with what is
usual there, and by how much they count in a fit.
"""

from datetime import date
from typing import NamedTuple

import duckdb

from elasticity_assets.ingestion.accounts import SuspectsReport
from elasticity_assets.settings import SalesSettings
from elasticity_assets.warehouse.sql import statement


class _Cell(NamedTuple):
    """One suspect cell."""

    category: str
    product: str
    zone: str | None
    period_start: date
    value: float
    usual: float


class _Group(NamedTuple):
    """Suspect cells that are told in one line: of a file, of periods, of a product, or one cell."""

    what: str
    scope: str
    file: str | None
    n_cells: int
    n_products: int
    first: date
    last: date
    times: float
    example: _Cell


def find_suspects(connection: duckdb.DuckDBPyConnection, sales: SalesSettings) -> SuspectsReport:
    """Fill `suspect_sales` anew from `weekly_sales`, and from `zone_sales` where the settings name zones.

    A cell of weight 0 counts for nothing in a fit. Of prices that change for good, those of the longer time count; a
    product whose prices are all in another unit counts, since a constant factor changes no elasticity.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        To the warehouse, for writing, within the transaction that builds `weekly_sales` and `zone_sales`.
    sales : SalesSettings

    Returns
    -------
    SuspectsReport
    """
    period = {"period": sales.period}
    for name in ("clear_suspects", "suspect_macros", "store_macros", "no_suspect_files"):
        connection.execute(statement(name))
    for of_whom in ("category,", ""):
        for name in ("possible_totals", "suspect_totals"):
            connection.execute(statement(name, of_whom=of_whom))
    if _several_files(connection):
        connection.execute(statement("suspect_files"))
        connection.execute(statement("cells_of_suspect_files"), period)
        connection.execute(statement("suspect_of_files"))
    _find_in_series(connection, "series_of_products")
    connection.execute(statement("suspect_levels"))
    if sales.columns.zone:
        _find_in_series(connection, "series_of_zones")
    place = next((place for place in ("store", "zone") if getattr(sales.columns, place)), None)
    totals = connection.execute(statement("total_places", place=place), period).fetchall() if place else []
    lines: dict[str, list[str]] = {}
    for *facts, example in connection.execute(statement("suspects_in_words")).fetchall():
        group = _Group._make([*facts, _Cell._make(example)])
        lines.setdefault(group.what, []).append(_in_words(group, sales.period))
    return SuspectsReport(
        n_cells=dict(connection.execute(statement("suspect_counts")).fetchall()),
        lines={what: tuple(told) for what, told in lines.items()},
        totals={f"{place} {name!r}": why for name, why in totals},
    )


def _find_in_series(connection: duckdb.DuckDBPyConnection, series: str) -> None:
    """Find prices and units that lie far from the others of their series: a product's, or a product's in a zone."""
    steps = (
        "series_facts",
        "price_series",
        "price_steps",
        "level_series",
        "suspect_steps",
        "suspect_cells",
        "suspect_units",
    )
    for name in (series, *steps):
        connection.execute(statement(name))


def _several_files(connection: duckdb.DuckDBPyConnection) -> bool:
    return bool(connection.execute(statement("several_files")).fetchall()[0][0])


def _in_words(group: _Group, period: str) -> str:
    """Say in one line what is suspect, where, with an example."""
    found = group.example
    value, usual = _number(found.value), _number(found.usual)
    when = f"{group.first} to {group.last}" if group.first < group.last else f"{period} {group.first}"
    if group.what == "total row":
        where = f"{period} {found.period_start}"
        return f"product {found.product!r}: units are the sum of all others', such as {value} in {where}"
    said = {
        "price": f"price {value}, usually {usual}",
        "units": f"{value} units, usually {usual}",
        "unit of measure": f"price {value}, usually {usual}, and units the other way",
    }[group.what]
    of_zone = "" if found.zone is None else f", zone {found.zone!r}"
    if group.scope == "cell":
        return f"product {found.product!r}{of_zone}, {when}: {said}"
    many = f"{group.n_cells} product-{period}s {_times(group.times)}"
    if group.scope == "product":
        return f"product {found.product!r}{of_zone}, {when}: {many}, such as {said}"
    where = f"file {group.file}" if group.scope == "file" else when
    return f"{where}: {many}, such as product {found.product!r}, {period} {found.period_start}: {said}"


def _times(factor: float) -> str:
    """Say how far off most values are."""
    rounded = _number(float(f"{max(factor, 1 / factor):.2g}"))
    return f"at some {rounded} times the usual" if factor >= 1 else f"at some 1/{rounded} of the usual"


def _number(value: float) -> str:
    """Write a number with two decimals, or three digits of a small one."""
    return f"{value:.3g}" if 0 < abs(value) < 1 else f"{round(value, 2):.12g}"
