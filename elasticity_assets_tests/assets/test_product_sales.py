"""What products sold of late, and at which price: from rows of weekly_sales by hand."""

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from elasticity_assets.assets.elasticity import product_sales
from elasticity_assets.automation.partitions import partition_key
from elasticity_assets.ingestion import categories
from elasticity_assets.settings import SalesSettings
from elasticity_assets.warehouse.migration import migrate
from elasticity_assets.warehouse.sales_tables import check_controls
from elasticity_assets_tests.support.sales_files import ingest, sales_settings, write_lines

pytestmark = pytest.mark.quick

LAST = date(2024, 7, 1)


@pytest.fixture
def warehouse() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        migrate(connection)
        yield connection


def sold(
    connection: duckdb.DuckDBPyConnection, product: str, by_weeks_ago: dict[int, tuple[float, float]]
) -> None:
    """Add rows of a product: weeks before the last one -> units and price."""
    for weeks, (units, price) in by_weeks_ago.items():
        connection.execute(
            "INSERT INTO weekly_sales BY NAME SELECT 'c' AS category, md5_number_lower('c') AS category_hash, "
            "? AS product, ?::DATE AS period_start, ?::DOUBLE AS units, ?::DOUBLE AS price, units * price AS revenue, "
            "1 AS n_rows",
            [product, LAST - timedelta(weeks=weeks), units, price],
        )


def read(connection: duckdb.DuckDBPyConnection, **settings: str) -> pd.DataFrame:
    sales: SalesSettings = sales_settings("sales.csv", **settings)
    key = partition_key("c")
    return product_sales(connection, [key], sales)[key].set_index("product")


@pytest.mark.parametrize(
    ("missing", "units"), [("unobserved", 9.0), ("zero", 27 / 13), ("truncated", 27 / 13)]
)
def test_recent_units_are_those_of_13_weeks_by_what_a_missing_week_means(warehouse, missing, units):
    sold(warehouse, "every", dict.fromkeys(range(20), (5.0, 1.0)))
    sold(warehouse, "some", {0: (8.0, 2.0), 3: (9.0, 3.0), 12: (10.0, 4.0), 13: (1000.0, 5.0)})
    sold(warehouse, "gone", {15: (7.0, 6.0)})
    rows = read(warehouse, missing_periods=missing)
    assert rows.loc["every", "units_per_period"] == 5.0
    some = rows.loc["some"]
    assert some["units_per_period"] == pytest.approx(units)
    assert (some["price_latest"], some["price_latest_at"].date()) == (2.0, LAST)
    assert some["revenue_per_period"] == pytest.approx(2.0 * units)
    gone = rows.loc["gone"]
    assert gone["units_per_period"] == gone["revenue_per_period"] == 0.0
    assert (gone["price_latest"], gone["price_latest_at"].date()) == (6.0, LAST - timedelta(weeks=15))


def test_weeks_before_a_products_first_and_suspect_ones_do_not_count(warehouse):
    sold(warehouse, "every", dict.fromkeys(range(20), (5.0, 1.0)))
    sold(warehouse, "new", {0: (1.0, 100.0), 1: (4.0, 2.0), 3: (5.0, 1.0)})
    warehouse.execute("INSERT INTO suspect_sales VALUES ('c', 'new', NULL, ?, 'price', 100, 2, 0)", [LAST])
    new = read(warehouse, missing_periods="zero").loc["new"]
    assert new["units_per_period"] == 3.0  # 9 in the three weeks that count
    assert (new["price_latest"], new["price_latest_at"].date()) == (2.0, LAST - timedelta(weeks=1))


def test_a_product_has_substitutes_where_others_of_its_group_sold_in_periods_that_count(warehouse):
    for product, group, units in (
        ("a", "x", 5.0),
        ("b", "x", 5.0),
        ("c", "y", 5.0),
        ("d", "y", 5.0),
        ("e", None, 1.0),
    ):
        sold(warehouse, product, dict.fromkeys(range(3), (units, 1.0)))
        warehouse.execute(
            "INSERT INTO products BY NAME SELECT ? AS product, 'c' AS category, ? AS substitutes",
            [product, group],
        )
    for weeks in range(3):
        warehouse.execute(
            "INSERT INTO suspect_sales VALUES ('c', 'd', NULL, ?, 'price', 100, 2, 0)",
            [LAST - timedelta(weeks=weeks)],
        )
    found = read(warehouse)["has_substitutes"]
    assert found.to_dict() == {"a": True, "b": True, "c": False, "d": True, "e": False}


@pytest.mark.parametrize(("missing", "periods"), [("unobserved", 3), ("zero", 10), ("truncated", 3)])
def test_periods_of_the_fit_are_those_that_it_fills_too(warehouse, missing, periods):
    sold(warehouse, "every", dict.fromkeys(range(20), (5.0, 1.0)))
    sold(
        warehouse, "some", {2: (8.0, 2.0), 5: (9.0, 3.0), 8: (900.0, 3.0), 12: (10.0, 4.0), 15: (700.0, 3.0)}
    )
    warehouse.execute(
        "INSERT INTO suspect_sales BY NAME SELECT category, product, period_start, 'units' AS what, units AS value, "
        "9 AS usual, 0 AS weight FROM weekly_sales WHERE units >= 700"
    )
    rows = read(warehouse, missing_periods=missing)
    # Of the eleven weeks from the first that counts to the last one, all but the suspect one.
    assert rows["n_fitted"].to_dict() == {"every": 20, "some": periods}


def test_what_is_suspect_in_one_zone_is_left_out_there_alone(warehouse):
    sold(warehouse, "p", dict.fromkeys(range(20), (4.0, 1.0)))
    warehouse.execute(
        "INSERT INTO zone_sales BY NAME SELECT *, unnest(['north', 'south']) AS zone FROM weekly_sales"
    )
    warehouse.execute("INSERT INTO suspect_sales VALUES ('c', 'p', 'north', ?, 'price', 1, 9, 0)", [LAST])
    key = partition_key("c")
    found = product_sales(warehouse, [key], sales_settings("sales.csv"), by_zone=True)[key]
    assert found["zone"].tolist() == ["north", "south"]
    assert found["n_suspect"].tolist() == [1, 0]
    assert [at.date() for at in found["price_latest_at"]] == [LAST - timedelta(weeks=1), LAST]
    assert read(warehouse)["n_suspect"].tolist() == [0]


def test_controls_may_be_called_as_what_statements_name(tmp_path: Path) -> None:
    """A control is a column of `weekly_sales`, which DuckDB takes where a statement means a name of its own."""
    names = [
        "n",
        "total",
        "most",
        "others",
        "counts",
        "spelling",
        "place",
        "number",
        "months",
        "summed",
        "sold",
    ]
    days = [LAST - timedelta(weeks=weeks) for weeks in range(12)]
    units = {"a": 3, "b": 4, "c": 5, "all of them": 12, "d": 1}
    lines = [
        f"{product},{day},{n},{2 + place % 3}" + f",{place}" * len(names)
        for product, n in units.items()
        for place, day in enumerate(days)
    ]
    file = write_lines(tmp_path / "sales.csv", *lines, header=",".join(["product,date,units,price", *names]))
    settings = sales_settings(file, controls=names)
    with duckdb.connect() as connection:
        migrate(connection)
        ingest(connection, settings)
        (category,) = categories(connection)
        key = partition_key(category)
        found = product_sales(connection, [key], settings)[key].set_index("product")["units"]
    assert found.to_dict() == {name: 12.0 * n for name, n in units.items()}


def test_controls_may_not_be_called_as_what_is_read_of_files() -> None:
    for name in ("discount", "Period_Label", "delivered_date"):
        with pytest.raises(
            ValueError, match=f"'{name}' is a column of sales files as they are read; rename it"
        ):
            check_controls([name])
