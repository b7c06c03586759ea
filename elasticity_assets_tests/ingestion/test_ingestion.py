"""Bad and odd input, one by one."""

import gzip
import json
import unicodedata
import zipfile
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest

from elasticity_assets.inference.panel import CategorySales, panel_from_sales
from elasticity_assets.inference.simulate import Simulation, simulate
from elasticity_assets.ingestion import (
    SalesFileError,
    all_periods,
    build_weekly_sales,
    categories,
    missing_periods,
    read_category,
    read_category_in_parts,
    take_in_files,
)
from elasticity_assets.ingestion import weekly as adding_up
from elasticity_assets.ingestion.category import substitute_groups
from elasticity_assets.settings import SalesSettings, SettingsError, load_settings
from elasticity_assets.words import memory_ran_out
from elasticity_assets_tests.support.both_warehouses import on_both
from elasticity_assets_tests.support.sales_files import (
    REPOSITORY,
    ingest,
    rejected,
    sales_settings,
    weekly_sales,
    write_lines,
)

pytestmark = pytest.mark.quick

MONDAY = date(2024, 1, 1)
GOOD = "A,2024-01-01,5,2.5"


def test_a_product_has_the_most_frequent_value_of_each_attribute_and_group(
    connection, tmp_path: Path
) -> None:
    file = write_lines(
        tmp_path / "sales.csv",
        "A,2024-01-01,5,2.5,Acme, 1 l ,soup",
        "a,2024-01-08,5,2.5,Acme,,soup",
        "A,2024-01-15,5,2.5,acme,2 l,broth",
        "B,2024-01-08,5,2.5,,,",
        header="product,date,units,price,Brand,Size,name",
    )
    settings = sales_settings(file, {"description": "name"}, attributes=["brand", "size"])
    ingest(connection, settings)
    found = connection.execute("SELECT product, product_description, attributes FROM products").fetchall()
    assert found == [
        ("A", "soup", {"brand": "Acme", "size": "2 l"}),
        ("B", None, {"brand": None, "size": None}),
    ]
    assert substitute_groups(connection, "all") == {}
    ingest(connection, sales_settings(file, {"substitutes": "size"}, attributes=["brand"]))
    assert substitute_groups(connection, "all") == {"A": "2 l"}
    found = connection.execute("SELECT product_description, attributes FROM products").fetchall()
    assert found == [(None, {"brand": "Acme"}), (None, {"brand": None})]
    ingest(connection, sales_settings(file))
    assert substitute_groups(connection, "all") == {}
    assert (
        connection.execute("SELECT product_description, attributes FROM products").fetchall()
        == [(None, {})] * 2
    )
    with pytest.raises(SettingsError, match=r"sales.attributes.colour: .* has no column 'colour'"):
        take_in_files(connection, sales_settings(file, attributes=["colour"]))
    with pytest.raises(SettingsError, match=r"sales.attributes: 'flag' is a column of product_elasticity"):
        take_in_files(connection, sales_settings(file, attributes=["flag"]))


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (",2024-01-01,5,2.5", "no product"),
        ('"  ",2024-01-01,5,2.5', "no product"),
        ("A,,5,2.5", "no period"),
        ("A,someday,5,2.5", "period unreadable"),
        ("A,2024-02-30,5,2.5", "period unreadable"),
        ("A,01/02/2024,5,2.5", "period unreadable"),
        ("A,45292,5,2.5", "period unreadable"),
        ("A,0001-01-01,5,2.5", "period unreadable"),
        ("A,2024-01-01,,2.5", "no units"),
        ("A,2024-01-01,many,2.5", "units unreadable"),
        ('A,2024-01-01,"1,5",2.5', "units unreadable"),
        ("A,2024-01-01,inf,2.5", "units unreadable"),
        ("A,2024-01-01,nan,2.5", "units unreadable"),
        ("A,2024-01-01,5,", "no price"),
        ("A,2024-01-01,1e308,2.5", "units too large"),
        ("A,2024-01-01,1e-300,2.5", "units too small"),
        ("A,2024-01-01,5,2 pieces", "price unreadable"),
        ("A,2024-01-01,5,1e-7", "price too small"),
        ("A,2024-01-01,5,1e308", "price too large"),
        ("A,2024-01-01,0.00001,0.01", "revenue too small"),
        ("A,2124-01-01,5,2.5", "period in the future"),
        ("A,2024-01-01,5,0", "price not positive"),
        ("A,2024-01-01,5,-1", "price not positive"),
        ("POST,2024-01-01,5,2.5", "not a product"),
        ("bank charges,2024-01-01,5,2.5", "not a product"),
        ("A,2024-01-01,5", "malformed line: missing columns"),
        ("A,2024-01-01,5,2.5,6,7", "malformed line: too many columns"),
        ('A,2024-01-01,5,2.5"x', None),
        ("A,2024-01-01,-6,2.5", "more returned than sold"),
    ],
)
def test_a_bad_row_is_rejected_with_its_reason(
    connection, tmp_path: Path, line: str, reason: str | None
) -> None:
    path = write_lines(tmp_path / "sales.csv", "B,2024-01-01,1,1", line, "B,2024-01-08,2,1")
    settings = sales_settings(path, not_products=["POST", "BANK .*"])
    _, weekly = ingest(connection, settings)
    assert weekly.rows_in == 3
    assert [row[0] for row in weekly_sales(connection, "product")] == ["B", "B"]
    (found,) = connection.execute('SELECT file, line, reason, "row" FROM rejected_sales').fetchall()
    assert found[:2] == (str(path), 3)
    assert reason is None or found[2] == reason
    json.loads(found[3])


@on_both
def test_the_rejected_row_is_kept_as_delivered(connection, tmp_path: Path) -> None:
    path = write_lines(
        tmp_path / "sales.csv",
        GOOD + ",",
        'A,2024-01-08, x ,2.5,"a ""b"" 😀; DROP"',
        header="Product,Date,UNITS,price,other note",
    )
    ingest(connection, sales_settings(path))
    (row,) = connection.execute('SELECT "row" FROM rejected_sales').fetchone()
    assert json.loads(row) == {
        "Product": "A",
        "Date": "2024-01-08",
        "UNITS": " x ",
        "price": "2.5",
        "other note": 'a "b" 😀; DROP',
    }


def test_lines_are_counted_past_malformed_ones(connection, tmp_path: Path) -> None:
    path = write_lines(
        tmp_path / "sales.csv", "A,1", GOOD, "A,1,1,1,1", "A,1", "B,2024-01-08,x,1", "C,1", "D,2024-01-08,1,0"
    )
    ingest(connection, sales_settings(path, period="day"))
    assert [line for line, _ in rejected(connection)] == [2, 4, 5, 6, 7, 8]
    assert rejected(connection)[3] == (6, "units unreadable")
    assert connection.execute("SELECT line FROM raw_sales WHERE reason IS NULL").fetchall() == [(3,)]


def test_a_blank_category_is_rejected(connection, tmp_path: Path) -> None:
    path = write_lines(
        tmp_path / "sales.csv",
        "A,2024-01-01,1,1,x",
        "B,2024-01-01,1,1, ",
        header="product,date,units,price,category",
    )
    ingest(connection, sales_settings(path, {"category": "category"}))
    assert rejected(connection) == [(3, "no category")]
    assert categories(connection) == ["x"]


def test_without_a_category_column_everything_is_one_category(connection, tmp_path: Path) -> None:
    ingest(connection, sales_settings(write_lines(tmp_path / "sales.csv", GOOD)))
    assert categories(connection) == ["all"]


def test_duplicates_are_rejected_where_a_file_has_one_line_a_product_period(
    connection, tmp_path: Path
) -> None:
    path = write_lines(tmp_path / "sales.csv", GOOD, "B,2024-01-01,5,2.5", GOOD, "A,2024-01-08,5,2.5", GOOD)
    ingest(connection, sales_settings(path))
    assert rejected(connection) == [(4, "duplicate row"), (6, "duplicate row")]


def test_equal_lines_of_transactions_are_separate_sales(connection, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "sales.csv", GOOD, GOOD, "A,2024-01-01,1,2.5")
    ingest(connection, sales_settings(path))
    assert weekly_sales(connection) == [("A", MONDAY, 11.0, 2.5)]


def test_rows_that_differ_in_any_column_are_no_duplicates(connection, tmp_path: Path) -> None:
    path = write_lines(
        tmp_path / "sales.csv", GOOD + ",1", GOOD + ",2", header="product,date,units,price,receipt"
    )
    ingest(connection, sales_settings(path))
    assert weekly_sales(connection) == [("A", MONDAY, 10.0, 2.5)]


def test_returns_net_against_the_sales_of_their_period(connection, tmp_path: Path) -> None:
    path = write_lines(
        tmp_path / "sales.csv",
        "A,2024-01-01,10,2", "A,2024-01-03,-4,2",
        "A,2024-01-08,-1,2", "A,2024-01-09,2,3", "A,2024-01-10,-3,3",
        "B,2024-01-02,4,1", "B,2024-01-03,-4,1",
    )  # fmt: skip
    _, weekly = ingest(connection, sales_settings(path))
    assert weekly_sales(connection) == [("A", MONDAY, 6.0, 2.0), ("B", MONDAY, 0.0, 1.0)]
    assert weekly.rejected == {"more returned than sold": 3}
    assert weekly.units_rejected == -2


def test_unit_value_and_median_price(connection, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "sales.csv", "A,2024-01-01,90,1", "A,2024-01-01,5,2", "A,2024-01-01,5,3")
    ingest(connection, sales_settings(path))
    assert weekly_sales(connection, "price, revenue") == [(1.15, 115.0)]
    ingest(connection, sales_settings(path, price_rule="median"))
    assert weekly_sales(connection, "price, revenue") == [(2.0, 115.0)]


@pytest.mark.parametrize("rule", ["unit_value", "median"])
@pytest.mark.parametrize("others", [[], [0], [0, -2]], ids=["sales", "no sales", "returns"])
def test_a_row_that_is_alone_is_what_its_sum_would_be(
    connection, tmp_path: Path, rule: str, others: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    taken_alone = []
    sums_of_rows = adding_up._sums_of_rows

    def noted(sales: SalesSettings, *, several: bool, all_sold: bool) -> dict[str, str]:
        taken_alone.append(not several)
        return sums_of_rows(sales, several=several, all_sold=all_sold)

    monkeypatch.setattr(adding_up, "_sums_of_rows", noted)
    days = [day.date() for day in pd.date_range("2024-01-01", periods=40, freq="W-MON")]
    lines = [
        f"{product},{day},{[*others, 1, 3, 7][place % (len(others) + 3)]},{2 + place / 7},{place / 3},{place % 2}"
        for product in "AB"
        for place, day in enumerate(days)
    ]
    header = "product,date,units,price,cost,promotion"
    several = ["C,2024-01-01,1,2,1,0", "C,2024-01-01,2,3,1,0"]
    tables = []
    for more in ([], several):
        path = write_lines(tmp_path / "sales.csv", *lines, *more, header=header)
        settings = sales_settings(path, {"cost": "cost"}, controls=["promotion"], price_rule=rule)
        _, report = ingest(connection, settings)
        assert report.accounts_close
        tables.append(connection.execute("FROM weekly_sales WHERE product <> 'C' ORDER BY ALL").fetchall())
    assert taken_alone == [True, False]  # without C, and with it
    assert tables[0] == tables[1]
    assert len(tables[0]) == sum(not line.split(",")[2].startswith("-") for line in lines)


def test_returns_at_another_price_do_not_distort_the_unit_value(connection, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "sales.csv", "A,2024-01-01,10,2", "A,2024-01-02,-9,1")
    ingest(connection, sales_settings(path))
    assert weekly_sales(connection, "units, price") == [(1.0, 2.0)]


def test_price_from_revenue(connection, tmp_path: Path) -> None:
    path = write_lines(
        tmp_path / "sales.csv",
        "A,2024-01-01,4,10", "A,2024-01-01,-1,-2.5", "A,2024-01-08,0,0", "A,2024-01-08,1,-1",
        header="product,date,units,revenue",
    )  # fmt: skip
    ingest(connection, sales_settings(path, {"price": None, "revenue": "revenue"}))
    assert weekly_sales(connection) == [("A", MONDAY, 3.0, 2.5)]
    assert rejected(connection) == [(4, "no price"), (5, "price not positive")]


def test_codes_that_differ_in_case_or_blanks_are_one_product(connection, tmp_path: Path) -> None:
    path = write_lines(
        tmp_path / "sales.csv", "ab1,2024-01-01,1,1", " AB1 ,2024-01-01,2,1", "aB1,2024-01-08,3,1"
    )
    ingest(connection, sales_settings(path))
    assert weekly_sales(connection, "product, units") == [("aB1", 3.0), ("aB1", 3.0)]


def test_a_product_takes_its_latest_category(connection, tmp_path: Path) -> None:
    path = write_lines(
        tmp_path / "sales.csv", "A,2024-01-08,1,1,new", "A,2024-01-01,1,1,old", "B,2024-01-01,1,1,old",
        header="product,date,units,price,category",
    )  # fmt: skip
    _, weekly = ingest(connection, sales_settings(path, {"category": "category"}))
    assert weekly.changed_category == {"A": ("old", "new")}
    assert set(weekly_sales(connection, "product, category")) == {("A", "new"), ("B", "old")}
    assert [row[0] for row in weekly_sales(connection, "category")] == ["new", "new", "old"]


def test_rows_in_the_future_decide_no_spelling_and_no_category(connection, tmp_path: Path) -> None:
    path = write_lines(
        tmp_path / "sales.csv",
        "tea,2024-01-01,1,1,old", "TEA,2199-01-07,1,1,new", "TEA,2199-01-14,1,1,new", "X,2199-01-07,1,1,y",
        header="product,date,units,price,category",
    )  # fmt: skip
    _, weekly = ingest(connection, sales_settings(path, {"category": "category"}))
    assert weekly.rejected == {"period in the future": 3}
    assert weekly.changed_category == {}
    assert weekly_sales(connection, "product, category") == [("tea", "old")]


def test_descriptions_controls_and_regular_prices(connection, tmp_path: Path) -> None:
    path = write_lines(
        tmp_path / "sales.csv",
        "A,2024-01-01,9,1,1,2,tin", "A,2024-01-02,1,1,0,3,tin", "A,2024-01-03,1,1,,,TIN?",
        header="product,date,units,price,Display,base,name",
    )  # fmt: skip
    settings = sales_settings(path, {"regular_price": "base", "description": "NAME"}, controls=["display"])
    ingest(connection, settings)
    assert weekly_sales(connection, "display, regular_price, n_rows") == [(0.5, 2.5, 3)]
    assert connection.execute("SELECT product_description FROM products").fetchall() == [("tin",)]


def test_a_control_that_is_yes_or_no_counts_as_one_or_zero(connection, tmp_path: Path) -> None:
    """Every spelling in a file; a malformed line is still counted once."""
    values = ["yes", "NO", " True ", "false", "t", "F", "y", "n", "1", "0", "0.25", ""]
    lines = [f"{i:02d},2024-01-01,1,1,{value}" for i, value in enumerate(values)]
    path = write_lines(
        tmp_path / "sales.csv", *lines, "malformed,2024-01-01", header="product,date,units,price,promo"
    )
    ingest(connection, sales_settings(path, controls=["promo"]))
    expected = [1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 0.25, None]
    assert [row[0] for row in weekly_sales(connection, "promo")] == expected
    assert rejected(connection) == [(14, "malformed line: missing columns")]


def test_decimal_commas_and_flags_go_together(connection, tmp_path: Path) -> None:
    lines = ["A;2024-01-01;1;1;0,25", "B;2024-01-01;1;1;yes"]
    path = write_lines(tmp_path / "sales.csv", *lines, header="product;date;units;price;promo")
    ingest(connection, sales_settings(path, controls=["promo"], decimal=","))
    assert weekly_sales(connection, "promo") == [(0.25,), (1.0,)]


def test_booleans_of_a_parquet_file_are_one_and_zero(connection, tmp_path: Path) -> None:
    sales = pd.DataFrame(
        {
            "product": ["A", "A", "B", "C"],
            "date": pd.Timestamp("2024-01-01"),
            "units": 1,
            "price": 1.0,
            "promo": pd.array([True, False, True, None], dtype="boolean"),
        }
    )
    sales.to_parquet(tmp_path / "sales.parquet")
    ingest(connection, sales_settings(tmp_path / "sales.parquet", controls=["promo"]))
    assert weekly_sales(connection, "promo") == [(0.5,), (1.0,), (None,)]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_control_that_is_text_is_one_line(connection, tmp_path: Path, kind: str) -> None:
    sales = pd.DataFrame(
        {"product": ["A", "B"], "date": "2024-01-01", "units": 1, "price": 1.0, "colour": ["red\n'", "1"]}
    )
    file = tmp_path / f"sales.{kind}"
    sales.to_csv(file, index=False) if kind == "csv" else sales.to_parquet(file)
    with pytest.raises(SettingsError) as error:
        take_in_files(connection, sales_settings(file, controls=["colour"]))
    assert str(error.value) == (
        f"sales.controls: 'colour' has 1 values in {file} that are neither numbers nor yes or no, such as "
        f"{chr(34)}red\\n'{chr(34)}; leave it out, or deliver numbers"
    )
    assert connection.execute("SELECT count(*) FROM raw_sales").fetchone() == (0,)


def test_a_rare_text_in_a_control_counts_as_not_given(connection, tmp_path: Path) -> None:
    lines = [f"{i:03d},2024-01-01,1,1,{'n/a' if i == 7 else 2}" for i in range(100)]
    path = write_lines(tmp_path / "sales.csv", *lines, header="product,date,units,price,promo")
    ingest(connection, sales_settings(path, controls=["promo"]))
    assert [row[0] for row in weekly_sales(connection, "promo")].count(None) == 1


def test_a_control_that_is_a_date_is_one_line(connection, tmp_path: Path) -> None:
    sales = pd.DataFrame({"product": ["A"], "date": pd.Timestamp("2024-01-01"), "units": 1, "price": 1.0})
    sales.assign(start=sales["date"]).to_parquet(tmp_path / "sales.parquet")
    with pytest.raises(SettingsError, match="such as '2024-01-01 00:00:00'") as error:
        take_in_files(connection, sales_settings(tmp_path / "sales.parquet", controls=["start"]))
    assert "\n" not in str(error.value)


def test_columns_in_another_order_and_case(connection, tmp_path: Path) -> None:
    one = write_lines(tmp_path / "1.csv", GOOD)
    two = write_lines(tmp_path / "2.csv", "2.5,7,2024-01-08,A", header="PRICE,Units, Date ,Product")
    ingest(connection, sales_settings([one, two]))
    assert weekly_sales(connection, "units") == [(5.0,), (7.0,)]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"columns": {"units": "pieces"}}, "sales.columns.units: {file} has no column 'pieces'"),
        ({"controls": ["mailer"]}, "sales.controls.mailer: {file} has no column"),
        ({"controls": ["price"]}, "sales.controls: 'price' is a column of weekly_sales"),
        ({"controls": ["Mailer", "mailer"]}, "sales.controls: 'mailer' is named twice"),
        ({"date_format": "%Q"}, "sales.date_format: '%Q' cannot be used"),
        ({"path": "nothing.csv"}, "sales.path: there is no file"),
        ({"path": "*.parquet"}, "sales.path: there is no file"),
        ({"path": "."}, "is a folder"),
        ({"encoding": "klingon"}, "sales.encoding: 'klingon' is not known"),
        ({"not_products": ["(?=a)"]}, "sales.not_products: '(?=a)' cannot be used"),
    ],
)
def test_mistakes_in_the_settings_are_told_in_one_line(
    connection, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    file = write_lines(tmp_path / "sales.csv", GOOD)
    settings = sales_settings(tmp_path / changes.get("path", file.name), changes.get("columns"))
    # Copied, since reading the settings refuses some of them before.
    unread = {name: value for name, value in changes.items() if name not in ("path", "columns")}
    with pytest.raises(SettingsError) as error:
        take_in_files(connection, settings.model_copy(update=unread))
    assert message.format(file=file) in str(error.value)
    assert "\n" not in str(error.value)
    assert connection.execute("SELECT count(*) FROM raw_sales").fetchone() == (0,)


def zip_file(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("sales.csv", GOOD)


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda path: path.write_text("product,date,units,price\n"), "no usable row of 0"),
        (
            lambda path: write_lines(path, "A,x,5,1", "B,x,5,1", ",x,5,1"),
            "no usable row of 3: 2 period unreadable (column 'date', such as 'x'), 1 no product (column 'product')",
        ),
        (lambda path: path.write_bytes(b"PAR1 and nothing else"), "cannot be read as Parquet"),
        (
            lambda path: path.write_bytes("product,date,units,price,é\n".encode("latin-1")),
            "is not utf-8 text",
        ),
        (
            lambda path: path.write_bytes(gzip.compress(b"product,date,units,price\nA,2024")[:-9]),
            "cannot be read",
        ),
        (lambda path: path.write_bytes(b""), "has no header"),
        (lambda path: path.write_bytes(b"product,date\x00,units,price\n"), "is not utf-8 text"),
        (lambda path: path.write_text("product,date" * 20_000), "its header is no line of CSV"),
        (zip_file, "is a ZIP archive, or a workbook"),
    ],
)
def test_an_unusable_file_fails_with_one_line_and_everything_stays(
    connection, tmp_path: Path, write, message
) -> None:
    good = write_lines(tmp_path / "1.csv", GOOD)
    ingest(connection, sales_settings(good))
    before = connection.execute("FROM raw_sales").fetchall(), weekly_sales(connection)
    write_lines(good, GOOD, "B,2024-01-01,1,1")
    write(tmp_path / "2.csv")
    with pytest.raises(SalesFileError) as error:
        take_in_files(connection, sales_settings(tmp_path / "*.csv"))
    assert message in str(error.value)
    assert str(tmp_path / "2.csv") in str(error.value)
    assert "\n" not in str(error.value)
    assert (connection.execute("FROM raw_sales").fetchall(), weekly_sales(connection)) == before


def test_sales_without_a_whole_period_fail_with_one_line(connection, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "sales.csv", *(f"A,2024-01-0{day},1,1" for day in range(1, 4)))
    take_in_files(connection, sales_settings(path, period="month"))
    with pytest.raises(
        SalesFileError, match="no month with sales is left of 3 rows: 3 incomplete last period"
    ):
        build_weekly_sales(connection, sales_settings(path, period="month"))


@on_both
def test_only_new_and_changed_files_are_read(connection, tmp_path: Path) -> None:
    one, two = write_lines(tmp_path / "1.csv", GOOD), write_lines(tmp_path / "2.csv", "A,2024-01-08,1,1")
    settings = sales_settings(tmp_path / "*.csv")
    assert take_in_files(connection, settings).new == (str(one), str(two))
    assert take_in_files(connection, settings).unchanged == (str(one), str(two))
    write_lines(two, "A,2024-01-08,2,1", "A,2024-01-15,x,1")
    report, _ = ingest(connection, settings)
    assert (report.changed, report.unchanged, report.new) == ((str(two),), (str(one),), ())
    assert weekly_sales(connection, "units") == [(5.0,), (2.0,)]
    assert rejected(connection) == [(3, "units unreadable")]


def test_changed_settings_for_reading_read_files_again(connection, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "sales.csv", GOOD, "B,2024-01-01,1,1")
    ingest(connection, sales_settings(path))
    report, _ = ingest(connection, sales_settings(path, not_products=["B"]))
    assert report.changed == (str(path),)
    assert rejected(connection) == [(3, "not a product")]


def test_where_memory_runs_out_the_file_is_not_to_blame(connection, tmp_path: Path) -> None:
    write_lines(tmp_path / "sales.csv", *[GOOD] * 1000)
    connection.execute("SET memory_limit = '4MB'")  # less than reading a file takes
    with pytest.raises(duckdb.OutOfMemoryException) as error:
        take_in_files(connection, sales_settings(tmp_path / "sales.csv"))
    assert memory_ran_out("OutOfMemoryException", str(error.value)), "as it is told"


def test_a_vanished_file_is_reported_and_its_rows_stay(connection, tmp_path: Path) -> None:
    one, two = write_lines(tmp_path / "1.csv", GOOD), write_lines(tmp_path / "2.csv", "A,2024-01-08,1,1")
    settings = sales_settings(tmp_path / "*.csv")
    ingest(connection, settings)
    one.unlink()
    report, _ = ingest(connection, settings)
    assert report.vanished == (str(one),)
    assert len(weekly_sales(connection)) == 2
    two.unlink()
    assert take_in_files(connection, settings).vanished == (str(one), str(two))


def test_a_renamed_file_is_not_read_again(connection, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "1.csv", GOOD, "B,2024-01-01,x,1")
    ingest(connection, sales_settings(tmp_path / "*.csv"))
    path.rename(tmp_path / "moved.csv")
    report, _ = ingest(connection, sales_settings(tmp_path / "*.csv"))
    assert report.renamed == (str(tmp_path / "moved.csv"),)
    assert report.vanished == ()
    assert connection.execute("SELECT file FROM rejected_sales").fetchall() == [
        (str(tmp_path / "moved.csv"),)
    ]


def test_files_that_the_settings_name_no_more_keep_their_rows(connection, tmp_path: Path) -> None:
    one, two = write_lines(tmp_path / "1.csv", GOOD), write_lines(tmp_path / "2.csv", "A,2024-01-08,1,1")
    ingest(connection, sales_settings(one))
    report, _ = ingest(connection, sales_settings(two))
    assert report.not_named == (str(one),)
    assert len(weekly_sales(connection)) == 2


def test_a_file_that_changes_while_it_is_read_is_left_for_the_next_time(
    connection, tmp_path: Path, monkeypatch
) -> None:
    from elasticity_assets.ingestion import take_in

    path = write_lines(tmp_path / "sales.csv", GOOD)
    ingest(connection, sales_settings(path))
    write_lines(path, GOOD, "A,2024-01-08,1,1")
    original = take_in.read_file

    def read_while_written(connection, source, *others):
        found = original(connection, source, *others)
        with Path(source.name).open("a") as stream:
            stream.write("A,2024-01-15,1,1\n")
        return found

    monkeypatch.setattr(take_in, "read_file", read_while_written)
    assert take_in_files(connection, sales_settings(path)).still_written == (str(path),)
    assert connection.execute("SELECT count(*) FROM raw_sales").fetchone() == (1,)
    monkeypatch.setattr(take_in, "read_file", original)
    assert take_in_files(connection, sales_settings(path)).changed == (str(path),)
    assert connection.execute("SELECT count(*) FROM raw_sales").fetchone() == (3,)


def test_the_later_file_wins_at_the_date_as_delivered(connection, tmp_path: Path) -> None:
    early = write_lines(tmp_path / "b.csv", "A,2024-01-01,1,1", "A,2024-01-02,2,1", "B,2024-01-02,3,1")
    late = write_lines(tmp_path / "a.csv", "a,2024-01-02,20,1", "A,2024-01-03,30,1")
    ingest(connection, sales_settings([early, late]))
    assert rejected(connection) == [(3, f"replaced by {late}")]
    assert weekly_sales(connection, "product, units") == [("A", 51.0), ("B", 3.0)]
    ingest(connection, sales_settings([late, early]))
    assert rejected(connection) == [(2, f"replaced by {early}")]


def test_a_file_named_in_two_ways_is_one_file(connection, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "sales.csv", "A,2024-01-01,1,1")
    (tmp_path / "folder").mkdir()
    files, weekly = ingest(connection, sales_settings([path, tmp_path / "folder" / ".." / "sales.csv"]))
    assert files.new == (str(path),)
    assert (weekly.rows_in, weekly.rows_rejected) == (1, 0)


def test_monthly_files_split_a_week_and_both_halves_count(connection, tmp_path: Path) -> None:
    days = [date(2024, 1, 29 + n) if n < 3 else date(2024, 2, n - 2) for n in range(7)]
    write_lines(tmp_path / "1.csv", *(f"A,{day},1,1" for day in days if day.month == 1))
    write_lines(tmp_path / "2.csv", *(f"A,{day},1,1" for day in days if day.month == 2))
    _, weekly = ingest(connection, sales_settings(tmp_path / "*.csv"))
    assert weekly_sales(connection, "period_start, units") == [(date(2024, 1, 29), 7.0)]
    assert weekly.rows_rejected == 0


def test_stores_in_files_of_their_own_do_not_replace_each_other(connection, tmp_path: Path) -> None:
    for store in "XY":
        write_lines(
            tmp_path / f"{store}.csv", f"A,2024-01-01,1,1,{store}", header="product,date,units,price,shop"
        )
    ingest(connection, sales_settings(tmp_path / "*.csv", {"store": "shop"}))
    assert weekly_sales(connection, "units") == [(2.0,)]


def test_incomplete_first_and_last_weeks_are_left_out_where_days_are_summed(
    connection, tmp_path: Path
) -> None:
    days = pd.date_range("2024-01-03", "2024-01-24")
    path = write_lines(tmp_path / "sales.csv", *(f"A,{day.date()},1,1" for day in days))
    _, weekly = ingest(connection, sales_settings(path))
    assert weekly.rejected == {"incomplete first period": 5, "incomplete last period": 3}
    assert weekly_sales(connection, "period_start, units") == [
        (date(2024, 1, 8), 7.0),
        (date(2024, 1, 15), 7.0),
    ]


@pytest.mark.parametrize(
    ("period", "start"), [("month", "2024-12-01"), ("quarter", "2024-10-01"), ("week", "2024-12-30")]
)
def test_a_file_that_ends_on_30_december_keeps_its_last_period_where_settings_say_so(
    connection, tmp_path: Path, period: str, start: str
) -> None:
    days = pd.date_range("2024-01-01", "2024-12-30")
    path = write_lines(tmp_path / "sales.csv", *(f"A,{day.date()},1,1" for day in days))
    last = (days >= start).sum()
    _, weekly = ingest(connection, sales_settings(path, period=period))
    assert weekly.rejected == {"incomplete last period": last}
    _, weekly = ingest(connection, sales_settings(path, period=period, incomplete_periods="keep"))
    assert (weekly.rows_rejected, weekly.rows_used) == (0, len(days))
    assert weekly_sales(connection, "period_start, units")[-1] == (date.fromisoformat(start), float(last))


def test_spellings_of_one_name_are_one_product_and_one_category(
    connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    composed, apart = (unicodedata.normalize(form, "Crème Süß") for form in ("NFC", "NFD"))
    header = "category,product,date,units,price"
    weeks = [day.date() for day in pd.date_range("2024-01-01", periods=6, freq="7D")]
    spellings = [apart, apart, apart, composed, composed.upper(), f"  {composed.lower()} "]
    lines = [f"{name},{name},{week},2,1.5" for week, name in zip(weeks, spellings, strict=True)] + [
        f"{name},other,{week},1,2" for week, name in zip(weeks, reversed(spellings), strict=True)
    ]
    lines.append(f"tea,POSTAGE {apart},2024-01-01,1,1")
    write_lines(tmp_path / "a.csv", *lines, header=header)
    # Delivered once more, in another spelling: replaces its row.
    write_lines(tmp_path / "b.csv", f"{composed},{composed},{weeks[0]},7,1.5", header=header)
    monkeypatch.setattr(adding_up, "BATCH_ROWS", 2)
    settings = sales_settings(tmp_path / "*.csv", {"category": "category"}, not_products=["postage .*"])
    _, weekly = ingest(connection, settings)
    assert weekly.rejected == {"not a product": 1, f"replaced by {tmp_path / 'b.csv'}": 1}
    assert weekly.changed_category == {}
    assert (weekly.n_categories, weekly.n_products, weekly.accounts_close) == (1, 2, True)
    found = weekly_sales(connection, "category, product, units")
    assert (
        found
        == [(composed, composed, 7.0)] + [(composed, composed, 2.0)] * 5 + [(composed, "other", 1.0)] * 6
    )


def test_a_shop_closed_on_sundays_has_complete_weeks(connection, tmp_path: Path) -> None:
    days = [day for day in pd.date_range("2024-01-01", "2024-01-20") if day.weekday() < 6]
    path = write_lines(tmp_path / "sales.csv", *(f"A,{day.date()},1,1" for day in days))
    _, weekly = ingest(connection, sales_settings(path))
    assert weekly.rows_rejected == 0


def test_months_of_days(connection, tmp_path: Path) -> None:
    days = pd.date_range("2024-01-15", "2024-03-31")
    path = write_lines(tmp_path / "sales.csv", *(f"A,{day.date()},1,1" for day in days))
    _, weekly = ingest(connection, sales_settings(path, period="month"))
    assert weekly.rejected == {"incomplete first period": 17}
    assert weekly_sales(connection, "period_start, units") == [
        (date(2024, 2, 1), 29.0),
        (date(2024, 3, 1), 31.0),
    ]


@pytest.mark.parametrize(
    ("period", "labels", "starts"),
    [
        ("week", ["2024-01-06", "2024-01-13"], ["2024-01-01", "2024-01-08"]),
        ("week", ["2024-01-06 23:59:59", "2024-01-13T00:30:00+02:00"], ["2024-01-01", "2024-01-08"]),
        ("week", ["20240106", "2024/1/13"], ["2024-01-01", "2024-01-08"]),
        ("week", ["2024-W05", "2020-W53"], ["2020-12-28", "2024-01-29"]),
        ("week", ["2024-05", "202406", "2024-W7"], ["2024-01-29", "2024-02-05", "2024-02-12"]),
        ("week", ["1", "2", "54"], ["2000-01-03", "2000-01-10", "2001-01-08"]),
        ("month", ["2024-05", "202406", "2024-M07"], ["2024-05-01", "2024-06-01", "2024-07-01"]),
        ("month", ["1", "14"], ["2000-01-01", "2001-02-01"]),
        ("month", ["2024-01-31", "2024-02-29"], ["2024-01-01", "2024-02-01"]),
        ("day", ["2024-01-06", "2024-01-07"], ["2024-01-06", "2024-01-07"]),
        ("day", ["1", "32"], ["2000-01-01", "2000-02-01"]),
    ],
)
def test_periods(connection, tmp_path: Path, period: str, labels: list[str], starts: list[str]) -> None:
    path = write_lines(tmp_path / "sales.csv", *(f"A,{label},1,1" for label in labels))
    _, weekly = ingest(connection, sales_settings(path, period=period))
    assert weekly.rows_rejected == 0
    assert [str(start) for (start,) in weekly_sales(connection, "period_start")] == starts


@pytest.mark.parametrize(
    ("period", "label"),
    [
        ("week", "2024-W54"), ("week", "2024-W53"), ("week", "2024-00"), ("week", "1.5"),
        ("week", "2024-M05"), ("month", "2024-13"), ("month", "2024-W05"), ("day", "2024-05"),
    ],
)  # fmt: skip
def test_labels_that_fit_no_period_are_rejected(connection, tmp_path: Path, period: str, label: str) -> None:
    path = write_lines(tmp_path / "sales.csv", f"A,{label},1,1", "B,2024-01-01,1,1")
    ingest(connection, sales_settings(path, period=period))
    assert rejected(connection) == [(2, "period unreadable")]


def test_a_date_format_is_the_only_one_that_counts(connection, tmp_path: Path) -> None:
    path = write_lines(
        tmp_path / "sales.csv", "A,1/2/2024,1,1", "A,2024-01-01,1,1", "A,7,1,1", "A,31/1/2024,1,1"
    )
    ingest(connection, sales_settings(path, date_format="%d/%m/%Y", period="day"))
    assert rejected(connection) == [(3, "period unreadable"), (4, "period unreadable")]
    assert [row[0] for row in weekly_sales(connection, "period_start")] == [
        date(2024, 1, 31),
        date(2024, 2, 1),
    ]


@pytest.mark.parametrize(
    ("content", "others"),
    [
        ("\ufeffproduct,date,units,price\r\nÄ,2024-01-01,5,2.5\r\n".encode(), {}),
        ("product,date,units,price\nÄ,2024-01-01,5,2.5\n".encode("latin-1"), {"encoding": "ISO-8859-1"}),
        ("product,date,units,price\nÄ,2024-01-01,5,2.5\n".encode("utf-16"), {"encoding": "utf-16"}),
        (gzip.compress("product,date,units,price\nÄ,2024-01-01,5,2.5\n".encode(), mtime=0), {}),
        ("product;date;units;price\nÄ;2024-01-01;5,0;2,5\n".encode(), {"decimal": ","}),
        ("product\tdate\tunits\tprice\nÄ\t2024-01-01\t5\t2.5".encode(), {}),
        ('product,"date",units,"price"\n"Ä","2024-01-01","5","2.5"\n\n\n'.encode(), {}),
        ("product:date:units:price\nÄ:2024-01-01:5:2.5\n".encode(), {"delimiter": ":"}),
    ],
)
def test_ways_to_write_a_csv_file(connection, tmp_path: Path, content: bytes, others: dict) -> None:
    path = tmp_path / "sales.csv"
    path.write_bytes(content)
    ingest(connection, sales_settings(path, **others))
    assert weekly_sales(connection) == [("Ä", MONDAY, 5.0, 2.5)]


def test_thousands_are_not_taken_for_decimals(connection, tmp_path: Path) -> None:
    path = write_lines(
        tmp_path / "sales.csv",
        "A;2024-01-01;1.234;1",
        "B;2024-01-01;1,5;1",
        header="product;date;units;price",
    )
    ingest(connection, sales_settings(path, decimal=","))
    assert weekly_sales(connection, "units") == [(1234.0,), (1.5,)]


def test_parquet_with_types_of_its_own(connection, tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "product": [859010.0, 859010.0, np.nan, 7.0],
            "date": [datetime(2024, 1, 1, 12), pd.NaT, datetime(2024, 1, 1), datetime(2024, 1, 8)],
            "units": pd.array([1, 2, 3, None], dtype="Int64"),
            "price": [1.5, 1.5, 1.5, 1.5],
            "display": [True, False, False, False],
        }
    )
    frame.to_parquet(tmp_path / "sales.parquet")
    ingest(connection, sales_settings(tmp_path / "sales.parquet", controls=["display"]))
    assert weekly_sales(connection, "product, period_start, units, display") == [("859010", MONDAY, 1.0, 1.0)]
    assert rejected(connection) == [(2, "no period"), (3, "no product"), (4, "no units")]


def read(connection, category: str, sales: SalesSettings) -> CategorySales:
    """Read a category as `model_input` does."""
    absent = missing_periods(connection, sales)
    periods = all_periods(connection)
    return read_category(connection, category, sales.controls, periods=periods, missing_periods=absent)


def test_parts_of_a_category_add_up_to_the_whole(connection, tmp_path: Path) -> None:
    sales, _ = simulate(Simulation(products=23, categories=2, weeks=20, observed=0.7), seed=1)
    frame = pd.DataFrame(sales).rename(columns={"week": "date"})
    frame["display"] = np.arange(len(frame)) % 3 / 2
    frame.to_parquet(tmp_path / "sales.parquet")
    settings = sales_settings(tmp_path / "sales.parquet", {"category": "category"}, controls=["display"])
    ingest(connection, settings)
    whole = read(connection, "category_1", settings)
    parts = list(
        read_category_in_parts(
            connection,
            "category_1",
            settings.controls,
            periods=all_periods(connection),
            missing_periods=missing_periods(connection, settings),
            products=5,
        )
    )
    assert [len(np.unique(part.product)) for part in parts] == [5, 5, 2]
    for name in ("product", "period", "units", "price"):
        np.testing.assert_array_equal(
            np.concatenate([getattr(part, name) for part in parts]), getattr(whole, name)
        )
    np.testing.assert_array_equal(
        np.concatenate([part.controls["display"] for part in parts]), whole.controls["display"]
    )
    assert all(np.array_equal(part.periods, whole.periods) for part in parts)


@on_both
def test_names_with_quotes_newlines_and_emoji(connection, tmp_path: Path) -> None:
    name = "a\"b'; DROP TABLE raw_sales; --\n😀{x}"
    columns = {role: f"{role} {name}" for role in ("product", "category", "description")}
    frame = pd.DataFrame(
        {"date": ["2024-01-01", "x"], "units": 1, "price": 1.0, "delivered_row": 2.0}
        | dict.fromkeys(columns.values(), name)
    )
    path = tmp_path / 'a\'b; "c" 😀.parquet'
    frame.assign(**{name + "!": [0.5, 0.5]}).to_parquet(path)
    settings = sales_settings(path, columns, controls=[name + "!", "delivered_row"])
    ingest(connection, settings)
    assert categories(connection) == [name]
    sales = read(connection, name, settings)
    assert sales.product.tolist() == [name]
    assert sales.controls[name + "!"].tolist() == [0.5]


def test_what_absent_periods_mean(connection, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "sales.csv", "A,2024-01-01,1,1", "A,2024-01-08,1,1", "A,2024-01-09,-1,1")
    settings = sales_settings(path)
    _, weekly = ingest(connection, settings)
    assert weekly.missing_periods == missing_periods(connection, settings) == "truncated"
    assert read(connection, "all", settings).units.tolist() == [1.0], "a zero-truncated fit knows no zero"
    assert read(
        connection, "all", settings.model_copy(update={"missing_periods": "zero"})
    ).units.tolist() == [1, 0]
    write_lines(path, "A,2024-01-01,1,1", "A,2024-01-08,0,1")
    _, weekly = ingest(connection, settings)
    assert weekly.missing_periods == "unobserved"
    assert read(connection, "all", settings).units.tolist() == [1.0, 0.0]


def test_one_category_is_read_as_a_panel_takes_it(connection, tmp_path: Path) -> None:
    path = write_lines(
        tmp_path / "sales.csv", "B,1,3,1.5,2,1,x", "A,1,1,1,,,x", "A,2,2,1.25,,0,x", "C,3,1,1,,0,y",
        header="product,date,units,price,base,display,category",
    )  # fmt: skip
    settings = sales_settings(path, {"category": "category", "regular_price": "base"}, controls=["display"])
    ingest(connection, settings)
    sales = read(connection, "x", settings)
    assert sales.product.tolist() == ["A", "A", "B"]
    assert sales.period.tolist() == [date(2000, 1, 3), date(2000, 1, 10), date(2000, 1, 3)]
    np.testing.assert_array_equal(sales.price, [1, 1.25, 1.5])
    np.testing.assert_array_equal(sales.regular_price, [np.nan, np.nan, 2])
    np.testing.assert_array_equal(sales.controls["display"], [np.nan, 0, 1])
    assert len(sales.periods) == 3, "all periods of the retailer"
    panel = panel_from_sales(sales)
    assert (panel.n_products, panel.n_periods, panel.n_obs) == (2, 3, 3)


@on_both
def test_the_sample_is_used_whole(connection) -> None:
    settings = load_settings(REPOSITORY / "elasticity.yaml").sales
    files, weekly = ingest(connection, settings)
    assert weekly.rows_in == weekly.rows_used == files.rows_usable == 6161
    assert (weekly.n_categories, weekly.n_products, weekly.n_periods) == (8, 120, 53)


def test_ingesting_twice_gives_the_same_tables(connection) -> None:
    settings = load_settings(REPOSITORY / "elasticity.yaml").sales
    ingest(connection, settings)
    before = (
        connection.execute("FROM weekly_sales").fetchall(),
        connection.execute("FROM products").fetchall(),
    )
    ingest(connection, settings)
    assert (
        connection.execute("FROM weekly_sales").fetchall(),
        connection.execute("FROM products").fetchall(),
    ) == before


@pytest.mark.parametrize("copies", [False, True])
def test_large_files_are_told_apart_by_a_few_of_their_products(connection, tmp_path, copies):
    """A large file of transactions keeps equal lines; one of a line a product-day loses the copies."""
    n = 60_000
    product = [f"p{i % 2000}" for i in range(n)]
    day = np.datetime64("2024-01-01") + np.arange(n) // 2000
    units = np.ones(n, int)
    if not copies:  # two sales of different units a product and day
        day = np.datetime64("2024-01-01") + np.arange(n) // 4000
        units = 1 + np.arange(n) // 2000 % 2
    frame = pd.DataFrame({"product": product, "date": day.astype(str), "units": units, "price": 2.0})
    frame = pd.concat([frame, frame.head(50)])
    frame.to_csv(tmp_path / "sales.csv", index=False)
    settings = SalesSettings(
        path=[str(tmp_path / "sales.csv")],
        columns={"product": "product", "period": "date", "units": "units", "price": "price"},
        period="day",
    )
    report = take_in_files(connection, settings)
    assert report.rows_in == n + 50
    assert report.rejected == ({"duplicate row": 50} if copies else {})


@pytest.mark.parametrize("returns", [0, 1])
def test_batches_of_products_add_up_to_the_same_sales(
    connection, tmp_path: Path, monkeypatch, returns
) -> None:
    lines = [
        f"{code},2024-01-{day:02},{day % 3 + 1 - 2 * returns * (day % 5 == 0)},{2 + day % 2}"
        for code in ("a", "A", "b", "C", "c", "d")
        for day in range(1, 29)
    ]
    write_lines(tmp_path / "sales.csv", *lines)
    tables = []
    for rows in (adding_up.BATCH_ROWS, 30):
        monkeypatch.setattr(adding_up, "BATCH_ROWS", rows)
        _, report = ingest(connection, sales_settings(tmp_path / "*.csv"))
        assert report.accounts_close
        assert report.n_products == 4
        tables.append(connection.execute("FROM weekly_sales ORDER BY ALL").fetchall())
    assert tables[0] == tables[1]
    assert len(tables[0]) > 12
