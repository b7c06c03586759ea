"""Nothing is lost: rows in = used + rejected, units in = units in weekly_sales + units in rejected_sales."""

import csv
import math
from collections import Counter
from datetime import date
from pathlib import Path

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from elasticity_assets.warehouse.file import Warehouse
from elasticity_assets.warehouse.sql import statement
from elasticity_assets_tests.support.sales_files import REPOSITORY, ingest, sales_settings, write_lines

ONLINE_RETAIL = REPOSITORY.parent / "shared" / "data" / "online_retail.parquet"

products = st.sampled_from(["A", "a", " B", "b", "C1", "POST", "", "é'\"\n", "D,d"])
categories = st.sampled_from(["x", "X", "y", ""])
days = st.integers(1, 28).map(lambda day: f"2024-02-{day:02}")
dates = st.one_of(
    days, days, st.sampled_from(["2024-W06", "7", "", "soon", "2024-02-30", "2024-02-05 10:00"])
)
units = st.one_of(
    st.integers(-20, 60).map(str), st.sampled_from(["0", "0.125", "-1.5", "", "x", "1,5", "inf", "1e3"])
)
prices = st.one_of(st.sampled_from(["1", "2.5", "0.99"]), st.sampled_from(["0", "-1", "", "x", "nan"]))
rows = st.lists(st.tuples(products, categories, dates, units, prices), min_size=1, max_size=25)
files = st.lists(rows, min_size=1, max_size=3)
GOOD = [("G", "x", f"2024-{day}", "5", "2") for day in ("01-29", "02-01", "02-15", "02-29", "03-04")]
HEADER = ["product", "category", "date", "units", "price"]


def readable_units(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        return 0.0
    return number if math.isfinite(number) else 0.0


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    delivered=files,
    doubled=st.booleans(),
    period=st.sampled_from(["day", "week", "month"]),
    price_rule=st.sampled_from(["unit_value", "median"]),
)
def test_rows_and_units_are_accounted_for(tmp_path_factory, delivered, doubled, period, price_rule) -> None:
    folder: Path = tmp_path_factory.mktemp("sales")
    delivered = [[*lines, *GOOD] for lines in delivered]  # else a file may be refused, having no usable row
    for number, lines in enumerate(delivered):
        with (folder / f"{number}.csv").open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream, quoting=csv.QUOTE_ALL).writerows([HEADER, *lines, *(lines if doubled else [])])
    times = 2 if doubled else 1
    n_rows = times * sum(len(lines) for lines in delivered)
    units_in = times * math.fsum(readable_units(line[3]) for lines in delivered for line in lines)
    sales = sales_settings(
        folder / "*.csv",
        {"category": "category"},
        period=period,
        price_rule=price_rule,
        not_products=["POST"],
    )
    with Warehouse(path=str(folder / "warehouse.duckdb")).write() as connection:
        _, report = ingest(connection, sales)
        assert report.rows_in == n_rows
        assert report.units_in == pytest.approx(units_in)
        assert report.rows_used + report.rows_rejected == n_rows
        assert report.units_used + report.units_rejected == pytest.approx(units_in, abs=1e-9)
        once = connection.execute(
            "SELECT count(*), count(DISTINCT (file, line)) FROM rejected_sales"
        ).fetchone()
        assert once is not None
        assert once[0] == once[1], "no row is rejected twice"
        bad = connection.execute(
            "SELECT count(*) FROM weekly_sales WHERE units < 0 OR NOT price > 0"
        ).fetchone()
        assert bad == (0,)
        cells = connection.execute("SELECT product, period_start FROM weekly_sales").fetchall()
        assert len(cells) == len(set(cells))


@pytest.fixture(scope="module")
def online_retail() -> str:
    if not ONLINE_RETAIL.exists():
        pytest.skip(f"needs {ONLINE_RETAIL.name} beside the project, in ../shared/data")
    return str(ONLINE_RETAIL)


def test_every_line_of_a_web_shop_is_accounted_for(connection, online_retail: str) -> None:
    """Held against plain queries of the file."""
    charges = ["POST", "DOT", "M", "D", "S", "C2", "CRUK", "BANK CHARGES", "AMAZONFEE", "PADS", "B"]
    columns = {
        "product": "stockcode", "period": "invoicedate", "units": "quantity", "price": "unitprice",
        "description": "description",
    }  # fmt: skip
    sales = sales_settings(online_retail, columns, not_products=charges, price_rule="median")
    files, weekly = ingest(connection, sales)
    assert weekly.rows_in == files.rows_in == 541_909
    assert weekly.rows_used + weekly.rows_rejected == 541_909

    def count(condition: str) -> int:
        row = duckdb.execute(
            f"SELECT count(*) FROM read_parquet(?) WHERE {condition}", [online_retail]
        ).fetchone()
        assert row is not None
        return row[0]

    charge = "upper(StockCode) IN ({})".format(", ".join(f"'{code}'" for code in charges))
    assert weekly.rejected["not a product"] == count(charge)
    assert weekly.rejected["price not positive"] == count(f"UnitPrice <= 0 AND NOT {charge}")
    usable = f"UnitPrice > 0 AND NOT {charge}"
    assert weekly.rejected["incomplete first period"] == count(f"InvoiceDate < '2010-12-06' AND {usable}")
    assert weekly.rejected["incomplete last period"] == count(f"InvoiceDate >= '2011-12-05' AND {usable}")
    assert "duplicate row" not in weekly.rejected, "a file of transactions"
    assert weekly.n_periods == 51, "52 whole weeks, one without sales"
    codes = duckdb.execute(
        f"""SELECT upper(StockCode), CAST(date_trunc('week', InvoiceDate) AS DATE), sum(Quantity)
        FROM read_parquet(?)
        WHERE {usable} AND InvoiceDate >= '2010-12-06' AND InvoiceDate < '2011-12-05'
        GROUP BY ALL""",
        [online_retail],
    ).fetchall()
    sold = {(code, week): units for code, week, units in codes if units >= 0}
    found = connection.execute("SELECT upper(product), period_start, units FROM weekly_sales").fetchall()
    assert {(code, week): units for code, week, units in found} == sold
    returned = Counter(units for *_, units in codes if units < 0)
    in_rejected = connection.execute(
        "SELECT sum(units) FROM rejected_sales WHERE reason = 'more returned than sold'"
    ).fetchone()
    assert in_rejected == (sum(units * n for units, n in returned.items()),)


def test_rows_that_cannot_be_used_are_counted_with_an_example(connection, tmp_path: Path) -> None:
    """Not those that are no products or copies, nor those that weekly_sales leaves out."""
    lines = [
        "A,2024-01-01,5,2",
        "A,2024-01-01,5,2",
        "POST,2024-01-01,5,2",
        "B,2024-01-01,-7,2",
        "C,2024-01-01,12,?",
    ]
    path = write_lines(tmp_path / "sales.csv", *lines, "D,2024-01-08,6,2")
    _, weekly = ingest(connection, sales_settings(path, not_products=["POST"]))
    found = weekly.unusable
    assert (found.rows, found.of_rows, found.units, found.of_units) == (1, 6, 12.0, 40.0)
    assert found.share == 0.3
    assert found.example.startswith(f"{path}, line 6: price unreadable: ")


def test_each_fault_that_weekly_sales_may_have_is_counted_and_shown() -> None:
    rows = [
        "('c', 'p', DATE '2024-01-01', '1', '1')",
        "(' ', 'p', DATE '2024-01-08', '1', '1')",
        "('c', NULL, DATE '2024-01-08', '1', '1')",
        "('c', 'p', NULL, '1', '1')",
        "('c', 'p', DATE '2024-01-15', '1', '1')",
        "('c', 'p', DATE '2024-01-01', '-1', 'nan')",
        "('c', 'q', DATE '2024-01-01', 'inf', '0')",
    ]
    with duckdb.connect() as connection:
        connection.execute(
            f"""CREATE TABLE weekly_sales AS
            SELECT category, product, period_start, units::DOUBLE AS units, price::DOUBLE AS price
            FROM (VALUES {", ".join(rows)}) AS t (category, product, period_start, units, price)"""
        )
        found = connection.execute(
            statement("weekly_contract", sales="weekly_sales", zone=""), {"today": date(2024, 1, 14)}
        ).fetchall()
    assert [(fault, n) for fault, n, _ in found] == [
        ("a blank category", 1),
        ("a blank product", 1),
        ("a period in the future", 1),
        ("a price that is not positive or no number", 2),
        ("a product-period twice", 1),
        ("no period", 1),
        ("units that are negative or no number", 2),
    ]
    assert found[4][2] == "c, p, 2024-01-01"
