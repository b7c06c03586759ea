"""Sales by zone beside the sales of products: the same rows, twice added up."""

import datetime as dt
from pathlib import Path

import numpy as np
import pytest

from elasticity_assets.ingestion import (
    SalesFileError,
    all_periods,
    build_weekly_sales,
    read_category,
    read_zones,
    take_in_files,
    zone_covariates,
)
from elasticity_assets.settings import SettingsError
from elasticity_assets_tests.support.both_warehouses import on_both
from elasticity_assets_tests.support.sales_files import (
    ingest,
    rejected,
    sales_settings,
    weekly_sales,
    write_lines,
)

pytestmark = pytest.mark.quick

FIRST, SECOND = dt.date(2024, 1, 1), dt.date(2024, 1, 8)
HEADER = "product,date,units,price,region,income"
LINES = (
    "A,2024-01-01,4,2,North,10",
    "A,2024-01-01,6,3,South,20",
    "a,2024-01-08,5,2,NORTH,30",
    "B,2024-01-01,1,9,South,20",
)
BY_ZONE = {"columns": {"zone": "region"}, "zones": {"covariates": ["income"]}}


def zone_sales(connection, columns: str = "product, zone, period_start, units, price") -> list[tuple]:
    return connection.execute(
        f"SELECT {columns} FROM zone_sales ORDER BY product, zone, period_start"
    ).fetchall()


@on_both
def test_sales_are_added_up_by_zone_and_over_zones(connection, tmp_path: Path) -> None:
    """Spellings of a zone are one, as products' are."""
    path = write_lines(tmp_path / "sales.csv", *LINES, "A,2024-01-01,1,2,North,", header=HEADER)
    _, report = ingest(connection, sales_settings(path, **BY_ZONE))
    assert report.faults == ()
    assert weekly_sales(connection, "product, period_start, units, price, n_rows") == [
        ("A", FIRST, 11.0, pytest.approx(28 / 11), 3),
        ("A", SECOND, 5.0, 2.0, 1),
        ("B", FIRST, 1.0, 9.0, 1),
    ]
    assert zone_sales(connection, "product, zone, period_start, units, price, n_rows") == [
        ("A", "North", FIRST, 5.0, 2.0, 2),
        ("A", "North", SECOND, 5.0, 2.0, 1),
        ("A", "South", FIRST, 6.0, 3.0, 1),
        ("B", "South", FIRST, 1.0, 9.0, 1),
    ]
    assert zone_covariates(connection) == {"income": {"North": 20.0, "South": 20.0}}
    named = {"periods": all_periods(connection), "missing_periods": "truncated"}
    found = read_zones(connection, "all", [], **named)
    assert found is not None
    sales, zone = found
    assert list(zip(sales.product, zone, strict=True)) == [
        ("A", "North"), ("A", "North"), ("A", "South"), ("B", "South"),
    ]  # fmt: skip
    np.testing.assert_array_equal(sales.units, [5.0, 5.0, 6.0, 1.0])
    np.testing.assert_array_equal(sales.weight, 1.0)
    assert read_zones(connection, "another", [], **named) is None


def test_a_category_whose_products_are_in_one_zone_each_has_none(connection, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "sales.csv", *LINES[:1], *LINES[2:], header=HEADER)
    ingest(connection, sales_settings(path, **BY_ZONE))
    named = {"periods": all_periods(connection), "missing_periods": "truncated"}
    assert len(zone_sales(connection)) == 3
    assert read_zones(connection, "all", [], **named) is None


@on_both
def test_without_zones_any_more_their_tables_are_empty(connection, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "sales.csv", *LINES, header=HEADER)
    plain, by_zone = sales_settings(path, controls=["income"]), sales_settings(path, **BY_ZONE)
    ingest(connection, plain)
    before = weekly_sales(connection, "*")
    ingest(connection, sales_settings(path, {"zone": "region"}, controls=["income"]))
    assert zone_sales(connection, "income") == [(10.0,), (30.0,), (20.0,), (20.0,)]
    assert weekly_sales(connection, "*") == before
    files, _ = ingest(connection, by_zone)
    assert len(files.changed) == 1
    files, _ = ingest(connection, plain)
    assert len(files.changed) == 1, "without its zones the file is read as before"
    assert (zone_sales(connection), zone_covariates(connection)) == ([], {})
    assert weekly_sales(connection, "*") == before


def test_a_row_without_a_zone_is_rejected(connection, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "sales.csv", *LINES, "B,2024-01-08,2,9, ,20", header=HEADER)
    files, report = ingest(connection, sales_settings(path, **BY_ZONE))
    assert rejected(connection) == [(6, "no zone")]
    assert files.examples == {"no zone": "column 'region'"}
    assert (report.rows_used, report.unusable.rows) == (4, 1)


def test_rows_of_a_file_that_is_gone_have_no_zone(connection, tmp_path: Path) -> None:
    """It cannot be read again by the settings that name zones."""
    gone = write_lines(tmp_path / "a.csv", "A,2024-01-08,2,9,South,20", header=HEADER)
    kept = write_lines(tmp_path / "b.csv", *LINES[:2], header=HEADER)
    ingest(connection, sales_settings([gone, kept]))
    gone.unlink()
    files, report = ingest(connection, sales_settings(tmp_path / "*.csv", **BY_ZONE))
    assert files.vanished == (str(gone),)
    assert rejected(connection) == [(2, "no zone")]
    assert report.unusable.rows == 1


@on_both
def test_returns_are_netted_within_the_zone(connection, tmp_path: Path) -> None:
    """A zone with more returned than sold is left out of both tables."""
    lines = ["A,2024-01-01,-7,2,South,20", "A,2024-01-08,-1,2,North,10"]
    path = write_lines(tmp_path / "sales.csv", *LINES, *lines, header=HEADER)
    _, report = ingest(connection, sales_settings(path, **BY_ZONE))
    assert report.faults == ()
    assert rejected(connection) == [(3, "more returned than sold"), (6, "more returned than sold")]
    assert zone_sales(connection) == [
        ("A", "North", FIRST, 4.0, 2.0),
        ("A", "North", SECOND, 4.0, 2.0),
        ("B", "South", FIRST, 1.0, 9.0),
    ]
    assert weekly_sales(connection) == [
        ("A", FIRST, 4.0, 2.0),
        ("A", SECOND, 4.0, 2.0),
        ("B", FIRST, 1.0, 9.0),
    ]
    (row,) = connection.execute('SELECT "row" FROM rejected_sales ORDER BY line LIMIT 1').fetchone()
    assert '"zone":"South"' in row


def test_where_files_overlap_a_zone_keeps_what_the_other_file_says_of_another(
    connection, tmp_path: Path
) -> None:
    write_lines(tmp_path / "a.csv", *LINES, header=HEADER)
    write_lines(tmp_path / "b.csv", "A,2024-01-01,9,2,North,10", header=HEADER)
    _, report = ingest(connection, sales_settings(tmp_path / "*.csv", **BY_ZONE))
    assert rejected(connection) == [(2, f"replaced by {tmp_path / 'b.csv'}")]
    assert ("A", "North", FIRST, 9.0, 2.0) in zone_sales(connection)
    assert report.units_used == 21.0


def test_a_copied_line_of_a_zone_is_a_copy(connection, tmp_path: Path) -> None:
    """The same sales in another zone are none."""
    lines = [f"{product},2024-01-01,4,2,{zone},1" for product in "ABCD" for zone in ("North", "South")]
    path = write_lines(tmp_path / "sales.csv", *lines, lines[-1], header=HEADER)
    ingest(connection, sales_settings(path, **BY_ZONE))
    assert rejected(connection) == [(10, "duplicate row")]


def test_prices_drawn_by_zone_are_random_in_the_zone(connection, tmp_path: Path) -> None:
    lines = ["A,2024-01-01,4,2,North,yes", "A,2024-01-01,6,3,South,yes", "A,2024-01-08,5,2,North,no"]
    path = write_lines(tmp_path / "sales.csv", *lines, header="product,date,units,price,region,random")
    columns = {"zone": "region", "randomized": "random"}
    _, report = ingest(connection, sales_settings(path, columns))
    assert zone_sales(connection, "randomized") == [(True,), (False,), (True,)]
    assert weekly_sales(connection, "randomized") == [(False,), (False,)]
    assert report.randomized_at_several_prices == 0


def stores(folder: Path, table: str, **others):
    sales = write_lines(
        folder / "sales.csv",
        *("A,2024-01-01,4,2,1", "A,2024-01-01,6,2,2", "A,2024-01-01,5,3,3", "B,2024-01-08,5,3,7"),
        header="product,date,units,price,Store",
    )
    (folder / "stores.csv").write_text(table)
    join = [{"path": str(folder / "stores.csv"), "on": ["store"]}]
    return sales_settings(sales, {"store": "store"}, join=join, **others)


def test_a_table_of_stores_brings_zones_and_what_is_known_of_them(connection, tmp_path: Path) -> None:
    """Each store counts once in a zone's mean."""
    table = "store,price_zone,income,urban\n1,East,10,yes\n2,East,20,no\n3,West,5,\n"
    zones = {"column": "price_zone", "covariates": ["Income", "urban"]}
    files, report = ingest(connection, stores(tmp_path, table, zones=zones))
    assert zone_sales(connection) == [("A", "East", FIRST, 10.0, 2.0), ("A", "West", FIRST, 5.0, 3.0)]
    assert weekly_sales(connection, "product, units") == [("A", 15.0)]
    assert zone_covariates(connection) == {"Income": {"East": 15.0, "West": 5.0}, "urban": {"East": 0.5}}
    assert rejected(connection) == [(5, "no zone: no partner in stores.csv")]
    assert report.examples == {"no zone: no partner in stores.csv": "store '7'"}
    assert files.without_partner == {str(tmp_path / "stores.csv"): 1}


def test_covariates_must_be_numbers_that_are_there(connection, tmp_path: Path) -> None:
    table = "store,price_zone,income\n1,East,high\n2,East,low\n3,West,high\n7,West,low\n"
    for name, words in {
        "income": r"sales.zones.covariates: 'income' has 4 values in .*sales.csv that are neither numbers nor "
        r"yes or no, such as 'high'; leave it out, or deliver numbers",
        "age": r"sales.zones.covariates.age: .*sales.csv has no column 'age'; it has .*price_zone",
    }.items():
        settings = stores(tmp_path, table, zones={"column": "price_zone", "covariates": [name]})
        with pytest.raises(SettingsError, match=words):
            take_in_files(connection, settings)
    with pytest.raises(SettingsError, match=r"sales.columns.zone: .* has no column 'region'"):
        take_in_files(connection, stores(tmp_path, table, zones={"column": "region"}))
    with pytest.raises(SalesFileError, match="no usable row of 4: 4 no zone"):
        take_in_files(connection, stores(tmp_path, "store,region\n9,x\n", zones={"column": "region"}))


def test_each_store_may_be_a_zone(connection, tmp_path: Path) -> None:
    ingest(connection, stores(tmp_path, "store\n1\n2\n3\n7\n", zones={"column": "store"}))
    assert zone_sales(connection, "zone, units") == [("1", 4.0), ("2", 6.0), ("3", 5.0), ("7", 5.0)]


def test_suspect_product_periods_weigh_nothing_in_any_zone(connection, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "sales.csv", *LINES, header=HEADER)
    ingest(connection, sales_settings(path, **BY_ZONE))
    connection.execute("INSERT INTO suspect_sales VALUES ('all', 'A', NULL, ?, 'units', 1, 2, 0)", [FIRST])
    named = {"periods": all_periods(connection), "missing_periods": "unobserved"}
    found = read_zones(connection, "all", [], **named)
    assert found is not None
    for sales in (found[0], read_category(connection, "all", [], **named)):
        suspect = (sales.product == "A") & (sales.period == np.datetime64(FIRST))
        assert suspect.any()
        np.testing.assert_array_equal(sales.weight, np.where(suspect, 0.0, 1.0))


@pytest.mark.parametrize("n_zones", [6, 30])
def test_what_is_mistyped_in_one_zone_counts_for_nothing_there_alone(
    connection, tmp_path: Path, n_zones: int
) -> None:
    """Over all zones the price is a unit value, in which one zone's mistake is hardly seen."""
    rng = np.random.default_rng(0)
    lines, week, units_at, cents = [], FIRST + dt.timedelta(weeks=30), FIRST + dt.timedelta(weeks=20), []
    for product in "ABC":
        for at in range(60):
            day = FIRST + dt.timedelta(weeks=at)
            for zone in range(n_zones):
                price, units = round(4 * np.exp(rng.normal(0, 0.1)), 2), int(rng.poisson(20))
                if (product, zone, day) == ("A", 2, week):
                    price *= 10
                elif (product, zone, day) == ("B", 3, units_at):
                    units *= 10
                elif (product, zone) == ("C", 1) and at >= 50:
                    price *= 100
                    cents.append(("C", "z1", day, "price"))
                lines.append(f"{product},{day},{units},{price:.2f},z{zone},1")
    path = write_lines(tmp_path / "sales.csv", *lines, header=HEADER)
    settings = sales_settings(path, **BY_ZONE)
    _, report = ingest(connection, settings)
    found = connection.execute(
        "SELECT product, zone, period_start, what FROM suspect_sales WHERE zone IS NOT NULL ORDER BY ALL"
    ).fetchall()
    over_all = set(
        connection.execute("FROM suspect_sales SELECT product, period_start WHERE zone IS NULL").fetchall()
    )
    assert ("A", week) not in over_all
    assert ("B", units_at) not in over_all
    alone = [("A", "z2", week, "price"), ("B", "z3", units_at, "units")]
    assert found == alone + [cell for cell in cents if ("C", cell[2]) not in over_all]
    assert f"product 'A', zone 'z2', week {week}: price " in "".join(report.suspects.lines["price"])
    named = {"periods": all_periods(connection), "missing_periods": "unobserved"}
    read = read_zones(connection, "all", [], **named)
    assert read is not None
    sales, zone = read
    without = {
        (*key, moment)
        for *key, moment in zip(
            sales.product[sales.weight == 0],
            zone[sales.weight == 0],
            sales.period[sales.weight == 0].tolist(),
            strict=True,
        )
    }
    assert {cell[:3] for cell in found} <= without
    assert not any(product in "AB" for product, *_ in without - {cell[:3] for cell in found})
    of_products = read_category(connection, "all", [], **named)
    assert np.sum(of_products.weight == 0) == len(over_all)


def test_what_the_two_tables_say_is_compared(connection, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "sales.csv", *LINES, header=HEADER)
    settings = sales_settings(path, **BY_ZONE)
    take_in_files(connection, settings)
    connection.execute("CREATE OR REPLACE TEMP MACRO nfc_normalize(x) AS nullif(x, 'South')")
    report = build_weekly_sales(connection, settings)
    assert [fault for fault, *_ in report.faults] == ["zones that do not add up"]
