"""What `elasticity init` decides, leaves open and says, kind by kind."""

import csv
import re
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from datetime import date, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest

from elasticity_assets.ingestion import SalesFileError
from elasticity_assets.ingestion.initial_settings import ProposedSettings, propose_settings
from elasticity_assets.settings import SettingsError, load_settings
from elasticity_assets.warehouse.file import Warehouse
from elasticity_assets_tests.support.sales_files import REPOSITORY, ingest, weekly_sales

ONLINE_RETAIL = REPOSITORY.parent / "shared" / "data" / "online_retail.parquet"
MONDAYS = [date(2022, 1, 3) + timedelta(7 * week) for week in range(20)]
TODAY = date(2024, 6, 1)
PRODUCTS = ("TEA", "SOAP", "RICE")


def write(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]], delimiter: str = ",") -> Path:
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream, delimiter=delimiter).writerows([header, *rows])
    return path


def sold(row: Callable[..., Sequence[object]], days: Sequence[date] = MONDAYS) -> list[Sequence[object]]:
    """Rows of three products in all periods: of the product, the day, the units and the price paid."""
    rng = np.random.default_rng(1)
    rows = []
    for number, product in enumerate(PRODUCTS):
        for day in days:
            price = round((1.97 + number) * float(rng.choice((1.0, 1.0, 0.9, 0.8))), 2)
            units = int(rng.poisson(60 * (number + 1) * (price / (1.97 + number)) ** -2)) + 1
            rows.append(row(product, day, units, price))
    return rows


def proposed(tmp_path: Path, header: str, row: Callable[..., Sequence[object]], **others) -> ProposedSettings:
    write(tmp_path / "sales.csv", header.split(","), sold(row, **others))
    return propose_settings([str(tmp_path / "sales.csv")], tmp_path, TODAY)


def read(connection, found: ProposedSettings, folder: Path):
    """Weekly sales of the proposed settings, which load and leave nothing open."""
    assert found.open_keys == []
    (folder / "elasticity.yaml").write_text(found.text, encoding="utf-8")
    _, weekly = ingest(connection, load_settings(folder / "elasticity.yaml").sales)
    return weekly


@pytest.fixture
def connection(warehouse_file: Warehouse) -> Iterator[duckdb.DuckDBPyConnection]:
    with warehouse_file.write() as connection:
        yield connection


def columns(found: ProposedSettings) -> dict[str, str]:
    return {d.key.removeprefix("columns."): d.value for d in found.decisions if d.key.startswith("columns.")}


def test_the_sample_is_read_as_its_settings_say(tmp_path: Path) -> None:
    file = next((REPOSITORY / "data" / "sample").glob("*.csv"))
    found = propose_settings([str(file)], tmp_path)
    (tmp_path / "elasticity.yaml").write_text(found.text, encoding="utf-8")
    ours = load_settings(REPOSITORY / "elasticity.yaml").sales
    assert (
        load_settings(tmp_path / "elasticity.yaml").sales.model_copy(
            update={"path": ours.path, "roots": ours.roots}
        )
        == ours
    )


def test_a_web_shop_is_read(tmp_path: Path) -> None:
    if not ONLINE_RETAIL.exists():
        pytest.skip(f"needs {ONLINE_RETAIL.name} beside the project, in ../shared/data")
    found = propose_settings([str(ONLINE_RETAIL)], tmp_path)
    assert columns(found) == {
        "product": "StockCode", "period": "InvoiceDate", "units": "Quantity", "price": "UnitPrice",
        "description": "Description",
    }  # fmt: skip
    assert any("POST, DOT" in sentence for sentence in found.sentences)


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("date,article,Quantity,unit_price", lambda p, d, u, e: (d, p, u, f"{e:.2f} €".replace(".", ","))),
        ("Date,SKU,Units,Revenue", lambda p, d, u, e: (f"{d:%m/%d/%Y}", p, u, f"${u * e * 100:,.2f}")),
        ("date,sku,units,price", lambda p, d, u, e: (d, p, f"{u * 9:,}", round(e * 100))),
        ("CALENDAR_DATE,Item Description,Bottles Sold,Sale (Dollars)",
         lambda p, d, u, e: (f"{d:%m/%d/%y}", p, u, f"{u * e:.2f}")),
        ("Product,Order Date,Quantity,Price", lambda p, d, u, e: (p, f"{d:%d/%m/%y}", u, e)),
        ("Date,SKU,Units,Price", lambda p, d, u, e: ((d - date(1899, 12, 30)).days, p, u, e)),
        ("sku,year,week,units,price", lambda p, d, u, e: (p, d.isocalendar().year, d.isocalendar().week, u, e)),
        ("Kauf am,Erzeugnis,Verkaufte Stück,Erlös", lambda p, d, u, e: (f"{d:%d.%m.%Y}", p, u, f"{u * e:.2f}")),
    ],
    ids=["euro", "dollars", "thousands", "bottles", "two-digit year", "excel", "year and week", "german"],
)  # fmt: skip
def test_values_are_read_as_written(connection, tmp_path: Path, header: str, row: Callable) -> None:
    weekly = read(connection, proposed(tmp_path, header, row), tmp_path)
    assert (weekly.rows_used, weekly.n_products, weekly.n_periods) == (60, 3, 20)
    starts = sorted({row[1] for row in weekly_sales(connection)})
    assert starts[0].isocalendar()[:2] == MONDAYS[0].isocalendar()[:2]
    prices = [row[3] for row in weekly_sales(connection) if row[0] == "TEA"]
    ratio = max(prices) / min(prices)
    assert ratio == pytest.approx(1.25, rel=0.02)


def test_real_dates_come_before_parts_of_the_calendar(connection, tmp_path: Path) -> None:
    months = [date(2021 + month // 12, month % 12 + 1, 1) for month in range(36)]
    found = proposed(
        tmp_path,
        "product_id,month_year,qty,unit_price,month,year",
        lambda p, d, u, e: (p, f"{d:%d-%m-%Y}", u, e, d.month, d.year),
        days=months,
    )
    assert (found.value("period"), found.value("date_format")) == ("month", "%d-%m-%Y")
    assert columns(found)["period"] == "month_year"
    assert read(connection, found, tmp_path).n_periods == 36


def test_a_bare_number_that_repeats_is_refused_with_the_reason(tmp_path: Path) -> None:
    days = [date(2021, 1, 4) + timedelta(7 * week) for week in range(104)]
    found = proposed(
        tmp_path, "sku,week,units,price", lambda p, d, u, e: (p, d.isocalendar().week, u, e), days=days
    )
    assert found.open_keys == ["sales.columns.period"]
    assert "would repeat every year" in found.text


@pytest.mark.parametrize(
    ("days", "date_format"),
    [
        ([date(2022, month, 1) for month in range(1, 13)], "%d/%m/%Y"),  # the months of a year
        ([date(2022, 1, 3) + timedelta(7 * week) for week in range(12)], "%d/%m/%Y"),
        ([date(2022, 3, 2), date(2022, 5, 3), date(2022, 6, 1), date(2022, 8, 4), date(2022, 9, 7)], None),
    ],
    ids=["twelve months", "weeks", "neither"],
)
def test_day_and_month_are_told_apart_by_evidence_or_left_open(
    tmp_path: Path, days: list[date], date_format: str | None
) -> None:
    found = proposed(
        tmp_path, "sku,date,units,price", lambda p, d, u, e: (p, f"{d:%d/%m/%Y}", u, e), days=days
    )
    assert found.value("date_format") == date_format
    if date_format is None:
        assert found.open_keys == ["sales.date_format"]
        assert "%d/%m/%Y" in found.text
        assert "%m/%d/%Y" in found.text


@pytest.mark.parametrize(
    ("label", "period"),
    [
        (lambda d: f"{d:%G-W%V}", "week"),
        (lambda d: f"W{d:%V} {d:%G}", "week"),
        (lambda d: f"{d:%Y%m}", "month"),
        (lambda d: f"Q{(d.month + 2) // 3} {d.year}", "quarter"),
    ],
)
def test_labels_of_periods_are_read(
    connection, tmp_path: Path, label: Callable[[date], str], period: str
) -> None:
    step = {"week": 7, "month": 31, "quarter": 92}[period]
    days = [date(2020, 1, 6) + timedelta(step * n) for n in range(20)]
    found = proposed(tmp_path, "sku,period,units,price", lambda p, d, u, e: (p, label(d), u, e), days=days)
    assert found.value("period") == period
    assert read(connection, found, tmp_path).n_periods == 20


def test_thousands_or_decimals_are_left_open_where_nothing_tells(tmp_path: Path) -> None:
    found = proposed(
        tmp_path, "sku,date,units,price", lambda p, d, u, e: (p, d, f"{1 + u % 9},{u:03}", round(e))
    )
    assert "sales.decimal" in found.open_keys
    assert "may be thousands or decimals" in found.text


def test_a_discount_is_taken_off_the_list_price_only(connection, tmp_path: Path) -> None:
    lists = dict(zip(PRODUCTS, (2.0, 3.0, 4.0), strict=True))
    found = proposed(
        tmp_path,
        "Product ID,Date,Units Sold,Price,Discount",
        lambda p, d, u, e: (p, d, u, lists[p], round(100 * (1 - e / lists[p]), 1)),
    )
    assert (columns(found)["discount"], found.value("discount_unit")) == ("Discount", "percent")
    read(connection, found, tmp_path)
    assert len({row[3] for row in weekly_sales(connection)}) > 3
    paid = proposed(
        tmp_path,
        "Product ID,Date,Units Sold,Price,Discount",
        lambda p, d, u, e: (p, d, u, e, round(100 * (1 - e / lists[p]), 1)),
    )
    assert "discount" not in columns(paid)
    assert any("it is what was paid" in sentence for sentence in paid.sentences)


def test_the_revenue_tells_what_was_paid(tmp_path: Path) -> None:
    found = proposed(
        tmp_path,
        "sku,date,qty,list price,sales",
        lambda p, d, u, e: (p, d, u, 1.97 + PRODUCTS.index(p), f"{u * e:.2f}"),
    )
    assert columns(found)["revenue"] == "sales"
    assert columns(found)["regular_price"] == "list price"


def test_arithmetic_tells_columns_without_speaking_names(tmp_path: Path) -> None:
    found = proposed(tmp_path, "sku,date,a,b,c", lambda p, d, u, e: (p, d, f"{u * e:.2f}", u, e))
    assert (columns(found)["units"], columns(found)["price"]) == ("b", "c")
    assert any("'b' x 'c' is 'a'" in sentence for sentence in found.sentences)


def test_the_total_of_a_line_is_no_price(tmp_path: Path) -> None:
    found = proposed(tmp_path, "sku,date,qty,price", lambda p, d, u, e: (p, d, u, f"{u * e:.2f}"))
    assert columns(found)["revenue"] == "price"


def test_sales_are_units_where_only_they_are_whole(tmp_path: Path) -> None:
    found = proposed(tmp_path, "sku,date,sales,price", lambda p, d, u, e: (p, d, u, e))
    assert columns(found)["units"] == "sales"
    revenue = proposed(tmp_path, "sku,date,sales,price", lambda p, d, u, e: (p, d, f"{u * e:.2f}", e))
    assert revenue.open_keys == ["sales.columns.units"]
    assert "so it is a revenue" in revenue.text


def test_promotions_become_controls_and_texts_are_offered(connection, tmp_path: Path) -> None:
    found = proposed(
        tmp_path,
        "date,sku,units,price,Promo,Promo Type",
        lambda p, d, u, e: (d, p, u, e, "Yes" if u % 3 else "No", "Leaflet" if u % 3 else "None"),
    )
    assert found.value("controls") == ["Promo"]
    assert any("Promo Type=Leaflet" in sentence for sentence in found.sentences)
    read(connection, found, tmp_path)


@pytest.mark.parametrize(
    ("name", "taken"),
    [("Randomised price", True), ("Club member", False), ("random_weight", False), ("Random Wt", False)],
)
def test_a_flag_whose_name_says_random_marks_a_price_test(
    connection, tmp_path: Path, name: str, taken: bool
) -> None:
    found = proposed(
        tmp_path,
        f"date,sku,units,price,{name}",
        lambda p, d, u, e: (d, p, u, e, int(u % 3 == 0)),
    )
    assert (found.value("columns.randomized") == name) is taken
    assert found.value("controls") is None
    read(connection, found, tmp_path)


def test_a_flag_of_products_marks_no_price_test(tmp_path: Path) -> None:
    header = "date,sku,units,price,Random"
    found = proposed(tmp_path, header, lambda p, d, u, e: (d, p, u, e, "yes" if p == PRODUCTS[0] else "no"))
    assert found.value("columns.randomized") is None


def test_totals_are_named_and_left_out(connection, tmp_path: Path) -> None:
    rows = sold(lambda p, d, u, e: (p, d, u, e))
    totals = [("Everything", day, sum(row[2] for row in rows if row[1] == day), 3.0) for day in MONDAYS]
    file = write(tmp_path / "sales.csv", ["sku", "date", "units", "price"], [*rows, *totals])
    found = propose_settings([str(file)], tmp_path, TODAY)
    assert found.value("not_products") == ["Everything"]
    assert read(connection, found, tmp_path).n_products == 3


def test_titles_above_and_totals_below_are_told_apart(connection, tmp_path: Path) -> None:
    rows = sold(lambda p, d, u, e: (d, p, u, e))
    lines = [
        ["Sales report", "", "", ""],
        ["", "", "", ""],
        ["Date", "SKU", "Units", "Price"],
        *rows,
        ["Grand Total", "", 9, ""],
    ]
    write(tmp_path / "sales.csv", lines[0], lines[1:])
    found = propose_settings([str(tmp_path / "sales.csv")], tmp_path, TODAY)
    weekly = read(connection, found, tmp_path)
    assert (weekly.rows_used, weekly.rejected) == (60, {"row of totals": 1})
    assert weekly.unusable.rows == 0
    frame = pd.DataFrame(lines)
    frame.to_excel(tmp_path / "sales.xlsx", index=False, header=False)
    found = propose_settings([str(tmp_path / "sales.xlsx")], tmp_path, TODAY)
    assert found.open_keys == []
    assert any("on line 3" in sentence for sentence in found.sentences)


def test_a_wide_file_is_told_apart_and_read_with_its_prices(connection, tmp_path: Path) -> None:
    rows = {product: [product] for product in PRODUCTS}
    prices = {product: [product] for product in PRODUCTS}
    for product, _, units, price in sold(lambda *values: values):
        rows[product].append(units)
        prices[product].append(price)
    header = ["product", *map(str, MONDAYS)]
    file = write(tmp_path / "sales.csv", header, list(rows.values()))
    found = propose_settings([str(file)], tmp_path, TODAY)
    assert "sales.columns.price" in found.open_keys
    assert "20 periods: a wide file" in found.text
    of_prices = write(tmp_path / "prices.csv", header, list(prices.values()))
    found = propose_settings([str(file), str(of_prices)], tmp_path, TODAY)
    assert read(connection, found, tmp_path).n_product_periods == 60


def test_tables_beside_the_sales_are_joined(tmp_path: Path) -> None:
    write(tmp_path / "sales.csv", ["sku", "week", "units"], sold(lambda p, d, u, e: (p, d, u)))
    write(tmp_path / "prices.csv", ["sku", "week", "price"], sold(lambda p, d, u, e: (p, d, e)))
    names = [(product, product.title(), "Food") for product in PRODUCTS]
    write(tmp_path / "products.csv", ["sku", "product name", "category"], names)
    found = propose_settings([str(tmp_path)], tmp_path, TODAY)
    assert found.value("path") == "sales.csv"
    assert [(table["path"], table["on"]) for table in found.value("join")] == [
        ("prices.csv", ["sku", "week"]),
        ("products.csv", ["sku"]),
    ]
    assert columns(found)["price"] == "price"
    assert columns(found)["description"] == "product name"


def test_files_elsewhere_are_allowed_by_roots(connection, tmp_path: Path) -> None:
    folder, there = tmp_path / "project", tmp_path / "delivered" / "sales"
    folder.mkdir()
    there.mkdir(parents=True)
    write(there / "sales.csv", ["sku", "week", "units"], sold(lambda p, d, u, e: (p, d, u)))
    write(
        tmp_path / "delivered" / "prices.csv",
        ["sku", "week", "price"],
        sold(lambda p, d, u, e: (p, d, e)),
    )
    (folder / "linked.csv").symlink_to(there / "sales.csv")
    for sales, roots in [(there / "sales.csv", ["../delivered"]), (folder / "linked.csv", ["../delivered"])]:
        found = propose_settings([str(sales), str(tmp_path / "delivered" / "prices.csv")], folder, TODAY)
        assert found.value("roots") == roots
        assert any(line.startswith("sales.roots: ../delivered. Outside") for line in found.sentences)
        assert read(connection, found, folder).rows_used == 60


def test_files_of_one_shape_are_one_glob(connection, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    rows = sold(lambda p, d, u, e: (p, d, u, e))
    for number in range(3):
        write(tmp_path / "in" / f"{number}.csv", ["sku", "date", "units", "price"], rows[number::3])
    found = propose_settings([str(tmp_path / "in")], tmp_path, TODAY)
    assert found.value("path") == "in/*.csv"
    assert read(connection, found, tmp_path).rows_used == 60


@pytest.mark.parametrize(
    ("header", "row", "said"),
    [
        ("sku,price", lambda p, d, u, e: (p, e), "a mere price list"),
        ("sku,date,price", lambda p, d, u, e: (p, d, e), "each line is one item sold"),
        ("sku,date,units", lambda p, d, u, e: (p, d, u), "no column of prices or revenue"),
        ("date,units,price", lambda p, d, u, e: (d, u, e), "no column of products"),
    ],
    ids=["price list", "items", "no price", "no product"],
)
def test_a_file_of_another_shape_is_told_what_would_do(
    tmp_path: Path, header: str, row: Callable, said: str
) -> None:
    found = proposed(tmp_path, header, row)
    assert found.open_keys
    assert said in found.text
    (tmp_path / "elasticity.yaml").write_text(found.text, encoding="utf-8")
    with pytest.raises(SettingsError, match=r"line \d+: sales\.[a-z_.]+ is open: ") as caught:
        load_settings(tmp_path / "elasticity.yaml")
    assert "\n" not in str(caught.value)


def test_a_discount_that_may_be_money_is_left_open(tmp_path: Path) -> None:
    lists = dict(zip(PRODUCTS, (50.0, 60.0, 70.0), strict=True))
    found = proposed(
        tmp_path,
        "sku,date,units,price,discount",
        lambda p, d, u, e: (p, d, u, lists[p], round(lists[p] * (u % 3) / 10)),
    )
    assert found.open_keys == ["sales.columns.discount"]
    assert "an amount of money" in found.text


def test_a_file_without_a_header_is_told(tmp_path: Path) -> None:
    first, *rows = sold(lambda p, d, u, e: (p, d, u, e, round(u * e, 2)))
    file = write(tmp_path / "sales.csv", list(map(str, first)), rows)
    found = propose_settings([str(file)], tmp_path, TODAY)
    assert found.open_keys == ["sales.path"]
    assert "is no header" in found.text


def test_what_is_no_table_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(SalesFileError, match=r"empty\.csv"):
        propose_settings([str(tmp_path / "empty.csv")], tmp_path)
    with pytest.raises(SettingsError, match="nowhere"):
        propose_settings([str(tmp_path / "nowhere*.csv")], tmp_path)


def test_which_mark_is_of_thousands_is_said(connection, tmp_path: Path) -> None:
    found = proposed(
        tmp_path, "sku,date,units,price", lambda p, d, u, e: (p, d, f"{u * 10:,}", round(e * 100))
    )
    assert found.value("decimal") == "."
    assert re.search(
        r"sales\.decimal: \.\. '\d,\d{3}' in 'units' is a thousand and more", "".join(found.sentences)
    )
    assert read(connection, found, tmp_path).rows_rejected == 0
    assert connection.sql("SELECT max(units) FROM weekly_sales").fetchall()[0][0] > 1000


def test_a_time_with_a_zone_is_said_to_be_read_in_utc(tmp_path: Path) -> None:
    found = proposed(tmp_path, "sku,sold_at,units,price", lambda p, d, u, e: (p, f"{d}T23:30:00-05:00", u, e))
    assert found.value("timezone") == "UTC"
    assert found.open_keys == []


def test_two_columns_of_one_name_are_told_as_the_file_calls_them(tmp_path: Path) -> None:
    found = proposed(tmp_path, "sku,date,units,price,Price", lambda p, d, u, e: (p, d, u, e, e + 1))
    assert found.open_keys == ["sales.columns.price"]
    assert "sales.csv has 2 columns called 'price'" in found.text


def test_a_header_without_rows_is_told(tmp_path: Path) -> None:
    file = write(tmp_path / "sales.csv", ["sku", "date", "units", "price"], [])
    found = propose_settings([str(file)], tmp_path, TODAY)
    assert found.open_keys == ["sales.path"]
    assert "no row below it" in found.text


@pytest.mark.parametrize("label", ["S{:02} 2023", "KW {}/2023", "Week {} 2023", "W{:02}-2023"])
def test_weeks_with_their_year_as_columns_are_a_wide_file(tmp_path: Path, label: str) -> None:
    header = ["sku", *(label.format(week) for week in range(1, 9))]
    file = write(tmp_path / "sales.csv", header, [[p, *range(8)] for p in PRODUCTS])
    found = propose_settings([str(file)], tmp_path, TODAY)
    assert "8 periods: a wide file" in found.text


@pytest.mark.parametrize("months", ["janvier févr. mars avril aou\u0302t déc.", "Jan Feb März Apr Mai Dez"])
def test_accented_months_as_columns_are_a_wide_file_that_is_read(
    connection, tmp_path: Path, months: str
) -> None:
    header = ["sku", *(f"{month} 2023" for month in months.split())]
    units = write(tmp_path / "sales.csv", header, [[p, *range(5, 4 + len(header))] for p in PRODUCTS])
    prices = write(tmp_path / "prices.csv", header, [[p, *range(2, 1 + len(header))] for p in PRODUCTS])
    found = propose_settings([str(units), str(prices)], tmp_path, TODAY)
    assert found.open_keys == []
    assert read(connection, found, tmp_path).n_product_periods == len(PRODUCTS) * len(months.split())


@pytest.mark.parametrize("name", ["shop.sqlite", "shop.duckdb"])
def test_a_database_is_told_where_it_belongs(tmp_path: Path, name: str) -> None:
    connect = sqlite3.connect if name.endswith("sqlite") else duckdb.connect
    database = connect(str(tmp_path / name))
    database.execute("CREATE TABLE weekly (sku TEXT)")
    database.close()
    with pytest.raises(SalesFileError, match=r"is a database: .*sales\.table"):
        propose_settings([str(tmp_path / name)], tmp_path)


def test_prices_in_several_currencies_are_left_open(tmp_path: Path) -> None:
    found = proposed(tmp_path, "sku,date,units,price", lambda p, d, u, e: (p, d, u, f"{'$£'[u % 2]}{e}"))
    assert found.open_keys == ["sales.columns.price"]
    assert "holds several currencies, '" in found.text


def test_a_sign_and_a_code_of_one_currency_are_one(tmp_path: Path) -> None:
    found = proposed(
        tmp_path, "sku,date,units,price", lambda p, d, u, e: (p, d, u, ("$%s", "%s CAD")[u % 2] % e)
    )
    assert found.open_keys == []


@pytest.mark.parametrize(
    ("header", "row", "period"),
    [
        (
            "sku,fecha,unidades,precio",
            lambda p, d, u, e: (p, f"{d.day} de {SPANISH[d.month - 1]} de {d.year}", u, e),
            "week",
        ),
        ("sku,Jahr,Monat,Menge,Preis", lambda p, d, u, e: (p, d.year, GERMAN[d.month - 1], u, e), "month"),
        (
            "sku,period,units,price",
            lambda p, d, u, e: (p, f"H{(d.month + 5) // 6} {d.year}", u, e),
            "quarter",
        ),
    ],
)
def test_months_are_named_in_several_languages_and_half_years_counted(
    connection, tmp_path: Path, header: str, row, period: str
) -> None:
    found = proposed(tmp_path, header, row)
    assert read(connection, found, tmp_path).rows_rejected == 0
    assert f"period: {period}" in found.text


SPANISH = [
    "enero",
    "febrero",
    "marzo",
    "abril",
    "mayo",
    "junio",
    "julio",
    "agosto",
    "septiembre",
    "octubre",
    "noviembre",
    "diciembre",
]
GERMAN = ["Jän", "Feb", "Mär", "Apr", "Mai", "Jun", "Jul", "Aug", "Sep", "Okt", "Nov", "Dez"]


def test_sheets_of_the_same_columns_are_left_open(tmp_path: Path) -> None:
    rows = pd.DataFrame(sold(lambda *row: row), columns=["sku", "date", "units", "price"])
    with pd.ExcelWriter(tmp_path / "sales.xlsx") as workbook:
        rows[:30].to_excel(workbook, sheet_name="2023", index=False)
        rows[30:].to_excel(workbook, sheet_name="2024", index=False)
    found = propose_settings([str(tmp_path / "sales.xlsx")], tmp_path, TODAY)
    assert found.open_keys == ["sales.sheet"]
    assert "'2023', '2024'" in found.text


def test_a_column_with_too_many_texts_is_told_by_its_name(tmp_path: Path) -> None:
    found = proposed(tmp_path, "sku,date,units,price", lambda p, d, u, e: (p, d, u if u % 3 else "n/a", e))
    assert "'units' holds too many values that are no numbers, such as 'n/a'" in found.text


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("year,week,sku,units,price", lambda p, d, u, e: (d.year, f"W{d.isocalendar().week:02}", p, u, e)),
        ("date,sku,units,price", lambda p, d, u, e: ((d - date(1899, 12, 30)).days + 0.75, p, u, e)),
    ],
    ids=["W05 beside a year", "Excel's days with a time"],
)
def test_parts_of_dates_are_read_as_delivered(connection, tmp_path: Path, header: str, row: Callable) -> None:
    read(connection, proposed(tmp_path, header, row), tmp_path)
    found = connection.sql("SELECT DISTINCT period_start FROM weekly_sales ORDER BY 1").fetchall()
    assert [day for (day,) in found] == MONDAYS


def test_stray_quotes_hide_no_rows_from_the_decisions(tmp_path: Path) -> None:
    rows = [",".join(map(str, row)) for row in sold(lambda p, d, u, e: (p, d, u, e))]
    rows[5], rows[45] = f'"{rows[5]}', f'"{rows[45]}'
    (tmp_path / "sales.csv").write_text("\n".join(["sku,date,units,price", *rows]))
    found = propose_settings([str(tmp_path / "sales.csv")], tmp_path, TODAY)
    assert "It has 3 products" in found.text


@pytest.mark.parametrize("header", ["sku,date,units (000),price", "sku,date,units,price"])
def test_units_that_may_be_thousands_are_left_open(tmp_path: Path, header: str) -> None:
    found = proposed(tmp_path, header, lambda p, d, u, e: (p, d, u / 1000, e))
    assert found.open_keys == ["sales.columns.units"]
    assert "may be thousands" in found.text


def test_a_day_beside_year_and_month_is_said_to_be_unused(tmp_path: Path) -> None:
    found = proposed(
        tmp_path, "year,month,day,sku,units,price", lambda p, d, u, e: (d.year, d.month, d.day, p, u, e)
    )
    assert "'day' is not used" in found.text


def by_place(folder: Path, place: str, rates: dict[str, float], **prices) -> ProposedSettings:
    """Settings for sales of three products in places, each at its rate times the price there."""
    rows = [
        (product, day, of_place, units, f"{price * rate:.2f}")
        for of_place, rate in rates.items()
        for product, day, units, price in sold(lambda *row: row, **prices)
    ]
    write(folder / "sales.csv", ("sku", "date", place, "units", "price"), rows)
    return propose_settings([str(folder / "sales.csv")], folder, TODAY)


@pytest.mark.parametrize("name", ["price_zone", "Region", "channel", "Preiszone"])
def test_a_column_of_zones_is_taken_where_prices_differ(connection, tmp_path: Path, name: str) -> None:
    found = by_place(tmp_path, name, {"3": 1.0, "7": 1.2})
    weekly = read(connection, found, tmp_path)
    assert columns(found)["zone"] == name
    assert (weekly.rows_used, connection.execute("SELECT count(*) FROM zone_sales").fetchone()) == (
        120,
        (120,),
    )
    (why,) = [sentence for sentence in found.sentences if sentence.startswith("sales.columns.zone")]
    assert re.search(r"In 100% of the cases .* 'TEA' on 2022-\d\d-\d\d: [\d.]+ in '3', [\d.]+ in '7'", why)


def test_a_zone_in_which_prices_are_the_same_is_none(tmp_path: Path) -> None:
    found = by_place(tmp_path, "zone", {"3": 1.0, "7": 1.0})
    assert "zone" not in columns(found)
    assert "'zone' is not taken for zones, as prices hardly differ between them." in found.sentences
    assert not [
        sentence
        for sentence in by_place(tmp_path, "Store", {"3": 1.0, "7": 1.0}).sentences
        if "zone" in sentence
    ]


def test_stores_with_prices_of_their_own_are_said_and_not_taken_for_zones(tmp_path: Path) -> None:
    found = by_place(tmp_path, "Store", {"S1": 1.0, "S2": 1.1, "S3": 1.2})
    assert found.open_keys == []
    assert (columns(found)["store"], "zone" in columns(found)) == ("Store", False)
    (why,) = [sentence for sentence in found.sentences if "columns.zone" in sentence]
    assert why.startswith(
        "In 100% of the cases the values of 'Store' had several prices of a product at a time"
    )
    assert "for those by store, name the column as columns.zone: Store" in why


def test_stores_that_share_their_prices_are_zones_in_a_table(connection, tmp_path: Path) -> None:
    """A refit reads the table; init writes over none."""
    rates = {"S1": 1.0, "S2": 1.2, "S3": 1.0, "S4": 1.2, "S5": 1.0}
    found = by_place(tmp_path, "Store", rates)
    read(connection, found, tmp_path)
    zones = (tmp_path / "zones.csv").read_text().splitlines()
    assert zones == ["Store,price_zone", "S1,zone 1", "S2,zone 2", "S3,zone 1", "S4,zone 2", "S5,zone 1"]
    assert columns(found)["zone"] == "price_zone"
    (why,) = [sentence for sentence in found.sentences if "the 5 stores are 2 zones" in sentence]
    assert "such as zone 1 with 3 stores, 'S1', 'S3', 'S5'" in why
    assert connection.execute("SELECT DISTINCT zone FROM zone_sales ORDER BY ALL").fetchall() == [
        ("zone 1",),
        ("zone 2",),
    ]
    (tmp_path / "zones.csv").write_text("mine\n")
    again = by_place(tmp_path, "Store", rates)
    assert "zone" not in columns(again)
    assert (tmp_path / "zones.csv").read_text() == "mine\n"
    assert any(sentence.startswith("zones.csv is there already") for sentence in again.sentences)


def test_prices_of_each_sale_are_none_of_stores(tmp_path: Path) -> None:
    """Where a product has several prices in one store at a time, stores do not set them."""
    rng = np.random.default_rng(2)
    rows = [
        (product, day, store, units, f"{price * rate:.2f}")
        for store in ("S1", "S2")
        for rate in rng.choice((1.0, 0.8, 0.7), 3)
        for product, day, units, price in sold(lambda *row: row)
    ]
    write(tmp_path / "sales.csv", ("sku", "date", "store", "units", "price"), rows)
    found = propose_settings([str(tmp_path / "sales.csv")], tmp_path, TODAY)
    assert columns(found)["store"] == "store"
    assert not [sentence for sentence in found.sentences if "zone" in sentence]
