"""One category's sales, read from `weekly_sales` or `zone_sales` as arrays."""

import hashlib
from collections.abc import Collection, Iterator, Sequence

import duckdb
import numpy as np

from elasticity_assets.inference.panel import CategorySales
from elasticity_assets.settings import SalesSettings
from elasticity_assets.warehouse.sql import quoted, statement
from elasticity_assets.warehouse.suspects import weights_of_suspects

_WITHOUT_NULL = {
    "regular_price": "coalesce(w.regular_price, 'nan')",
    "cost": "coalesce(w.cost, 'nan')",
    "randomized": "coalesce(w.randomized, false)",
}
GIVEN = tuple(_WITHOUT_NULL)
"""Columns of sales that files may have or not."""


def categories(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Names of the categories in `weekly_sales`, sorted."""
    return [row[0] for row in connection.execute(statement("categories")).fetchall()]


def missing_periods(connection: duckdb.DuckDBPyConnection, sales: SalesSettings) -> str:
    """Say what an absent product-period means: truncated, zero or unobserved.

    `auto` is truncated where the files hold no zero at all, since then zeros were dropped, else unobserved.
    """
    if sales.missing_periods != "auto":
        return sales.missing_periods
    (holds_zero,) = connection.execute(statement("holds_zero")).fetchone() or (False,)
    return "unobserved" if holds_zero else "truncated"


def all_periods(connection: duckdb.DuckDBPyConnection) -> np.ndarray:
    """First days of all periods in `weekly_sales`, ascending, datetime64[D]: those of every category."""
    periods = connection.execute(statement("periods")).fetchnumpy()["period_start"]
    return np.asarray(periods, dtype="datetime64[D]")


def substitute_groups(connection: duckdb.DuckDBPyConnection, category: str) -> dict[str, str]:
    """Read the group of substitutes of each product of a category that is in one."""
    return dict(connection.execute(statement("substitute_groups"), {"category": category}).fetchall())


def read_category(
    connection: duckdb.DuckDBPyConnection,
    category: str,
    controls: Sequence[str],
    *,
    periods: np.ndarray,
    missing_periods: str,
    given: Collection[str] = GIVEN,
) -> CategorySales:
    """Read one category's product-periods.

    Where absent periods are truncated, product-periods whose returns cancel their sales are absent too:
    a zero-truncated likelihood knows no zero.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        To the warehouse.
    category : str
        One of `categories`; another has no rows.
    controls : sequence of str
        Control columns.
    periods : datetime64[D] array, shape (T,)
        From `all_periods`.
    missing_periods : str
        From `missing_periods`: truncated, zero or unobserved.
    given : collection of str
        Which of `GIVEN` to read; the others are None.

    Returns
    -------
    CategorySales
    """
    return _read(connection, category, controls, periods, missing_periods, given)[0]


def has_zones(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether the settings that the sales were added up by named zones."""
    return connection.execute(statement("has_zones")).fetchall()[0][0]


def read_zones(
    connection: duckdb.DuckDBPyConnection,
    category: str,
    controls: Sequence[str],
    *,
    periods: np.ndarray,
    missing_periods: str,
    given: Collection[str] = GIVEN,
) -> tuple[CategorySales, np.ndarray] | None:
    """Read one category's sales by product, zone and period; else as `read_category`.

    A product-period that is suspect is so in all of its zones; what is suspect in one zone is so there alone.

    Returns
    -------
    sales : CategorySales
        A row a product, zone and period.
    zone : array of str, shape (rows,)
        Zone of each.

    None where the settings that the sales were added up by named no zones, or no product of the category was sold in
    more than one.
    """
    what = {
        "category": category,
        "category_hash": category_hash(category),
        "without_zeros": missing_periods == "truncated",
    }
    if not connection.execute(statement("holds_zones"), what).fetchall()[0][0]:
        return None
    return _read(connection, category, controls, periods, missing_periods, given, by_zone=True)


def zone_covariates(connection: duckdb.DuckDBPyConnection) -> dict[str, dict[str, float]]:
    """Read what is known of zones: by covariate, then by zone; zones of which nothing is given are left out."""
    found: dict[str, dict[str, float]] = {}
    for covariate, zone, value in connection.execute(statement("zone_covariates")).fetchall():
        found.setdefault(covariate, {})[zone] = value
    return found


def read_category_in_parts(
    connection: duckdb.DuckDBPyConnection,
    category: str,
    controls: Sequence[str],
    *,
    periods: np.ndarray,
    missing_periods: str,
    products: int,
) -> Iterator[CategorySales]:
    """Read one category's product-periods, so many products at a time; else as `read_category`.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        To the warehouse.
    category, controls, periods, missing_periods
        As of `read_category`.
    products : int
        Of each part but the last.
    """
    what = {
        "category": category,
        "category_hash": category_hash(category),
        "without_zeros": missing_periods == "truncated",
        "products": products,
    }
    for first, last in connection.execute(statement("category_parts"), what).fetchall():
        yield _read(connection, category, controls, periods, missing_periods, GIVEN, first, last)[0]


def category_hash(category: str) -> int:
    """Give what `weekly_sales` has for a category in `category_hash`: DuckDB's md5_number_lower."""
    digest = hashlib.md5(category.encode(), usedforsecurity=False).digest()
    return int.from_bytes(digest[8:], "little")


def _read(
    connection: duckdb.DuckDBPyConnection,
    category: str,
    controls: Sequence[str],
    periods: np.ndarray,
    missing_periods: str,
    given: Collection[str],
    first: str | None = None,
    last: str | None = None,
    *,
    by_zone: bool = False,
) -> tuple[CategorySales, np.ndarray]:
    """Read the products from `first` to `last`, or all, by zone or over all zones; and the rows' zones, empty then."""
    products = connection.execute(statement("products_of_category"), {"category": category}).fetchnumpy()[
        "product"
    ]
    more = [f"{_WITHOUT_NULL[name]} AS {name}" for name in given]
    more += [f"coalesce(w.{name}, 'nan') AS {name}" for name in map(quoted, controls)]
    rows = connection.execute(
        statement(
            "category_sales",
            sales="zone_sales" if by_zone else "weekly_sales",
            zone="w.zone," if by_zone else "",
            more="".join(f", {column}" for column in more),
            **weights_of_suspects(by_zone=by_zone),
        ),
        {
            "category": category,
            "category_hash": category_hash(category),
            "first": first,
            "last": last,
            "without_zeros": missing_periods == "truncated",
        },
    ).fetchnumpy()
    columns = {name: np.asarray(values) for name, values in rows.items()}
    sales = CategorySales(
        category=category,
        product=np.asarray(products)[columns["product"]],
        period=np.asarray(columns["period_start"], dtype="datetime64[D]"),
        units=columns["units"],
        price=columns["price"],
        regular_price=columns.get("regular_price"),
        controls={name: columns[name] for name in controls},
        periods=periods,
        missing_periods=missing_periods,
        weight=columns["weight of suspects"],
        cost=columns.get("cost"),
        randomized=columns.get("randomized"),
    )
    return sales, np.asarray(columns["zone"] if by_zone else [], dtype=str)
