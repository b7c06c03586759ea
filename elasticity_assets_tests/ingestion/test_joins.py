"""Tables beside the sales: prices, products, calendars."""

import datetime as dt
from pathlib import Path

import pandas as pd
import pytest

from elasticity_assets.ingestion import SalesFileError, take_in_files
from elasticity_assets.settings import SalesSettings, SettingsError, load_settings
from elasticity_assets_tests.support.sales_files import ingest, rejected, weekly_sales

pytestmark = pytest.mark.quick

SALES = "sku,sold_on,qty\na1,2024-01-01,5\nA1,2024-01-08,6\nb2,2024-01-01,7\nC3,2024-01-01,8\n"
PRICES = "SKU,sold_on,price\nA1,2024-01-01,2.5\nA1,2024-01-08,2\nB2,2024-01-01,3\n"
COLUMNS = {"product": "sku", "period": "sold_on", "units": "qty", "price": "price"}


def settings(folder: Path, join: list[dict], columns: dict | None = None, **others) -> SalesSettings:
    for name, text in {"sales.csv": SALES, "prices.csv": PRICES}.items():
        if not (folder / name).exists():
            (folder / name).write_text(text)
    joins = [{**one, "path": str(folder / one["path"])} for one in join]
    return SalesSettings.model_validate(
        {
            "path": str(folder / "sales.csv"),
            "columns": {**COLUMNS, **(columns or {})},
            "join": joins,
            **others,
        }
    )


ON_BOTH = {"path": "prices.csv", "on": ["product", "period"]}


def test_prices_of_a_table_beside_the_sales(connection, tmp_path: Path) -> None:
    files, weekly = ingest(connection, settings(tmp_path, [ON_BOTH]))
    assert weekly_sales(connection, "product, period_start, units, price") == [
        ("A1", dt.date(2024, 1, 1), 5.0, 2.5),
        ("A1", dt.date(2024, 1, 8), 6.0, 2.0),
        ("b2", dt.date(2024, 1, 1), 7.0, 3.0),
    ]
    assert weekly.rows_in == 4
    assert rejected(connection) == [(5, "no price: no partner in prices.csv")]
    assert files.without_partner == {str(tmp_path / "prices.csv"): 1}
    (row,) = connection.execute('SELECT "row" FROM rejected_sales').fetchone()
    assert row == '{"sku":"C3","sold_on":"2024-01-01","qty":"8","price":null}'


def test_one_table_is_joined_by_a_column_of_another(connection, tmp_path: Path) -> None:
    """As where a calendar gives days their weeks, and prices are of weeks."""
    (tmp_path / "sales.csv").write_text("item,d,units\n7,d_1,5\n7,d_2,6\n8,d_2,1\n")
    calendar = pd.DataFrame(
        {"d": ["d_1", "d_2"], "date": pd.to_datetime(["2024-01-01", "2024-01-08"]), "week": [1, 2]}
    )
    calendar.assign(event=[0, 1]).to_parquet(tmp_path / "calendar.parquet")
    prices = pd.DataFrame({"item": [7.0, 7.0, 8.0], "week": [1.0, 2.0, 2.0], "price": [2.0, 3.0, 4.0]})
    prices.to_excel(tmp_path / "prices.xlsx", index=False)
    join = [{"path": "calendar.parquet", "on": ["d"]}, {"path": "prices.xlsx", "on": ["item", "week"]}]
    named = {"product": "item", "period": "date", "units": "units"}
    ingest(connection, settings(tmp_path, join, named, controls=["event"]))
    assert weekly_sales(connection, "product, period_start, units, price, event") == [
        ("7", dt.date(2024, 1, 1), 5.0, 2.0, 0.0),
        ("7", dt.date(2024, 1, 8), 6.0, 3.0, 1.0),
        ("8", dt.date(2024, 1, 8), 1.0, 4.0, 1.0),
    ]


def test_a_row_without_a_partner_is_used_where_nothing_needed_is_missing(connection, tmp_path: Path) -> None:
    (tmp_path / "names.csv").write_text("product,name\nA1,tin\n")
    join = [ON_BOTH, {"path": "names.csv", "on": ["product"]}]
    files, _ = ingest(connection, settings(tmp_path, join, {"description": "name"}))
    assert connection.execute(
        "SELECT product, product_description FROM products ORDER BY ALL"
    ).fetchall() == [
        ("A1", "tin"),
        ("b2", None),
    ]
    assert files.without_partner == {str(tmp_path / "prices.csv"): 1, str(tmp_path / "names.csv"): 2}


def test_copies_and_lines_are_found_behind_a_join(connection, tmp_path: Path) -> None:
    (tmp_path / "sales.csv").write_text(
        "sku,sold_on,qty\na1,2024-01-01,5\nx\na1,2024-01-01,5\nb2,2024-01-01,?\n"
    )
    ingest(connection, settings(tmp_path, [ON_BOTH]))
    assert rejected(connection) == [
        (3, "malformed line: missing columns"), (4, "duplicate row"), (5, "units unreadable"),
    ]  # fmt: skip


def test_a_changed_table_reads_the_sales_again(connection, tmp_path: Path) -> None:
    named = settings(tmp_path, [ON_BOTH])
    ingest(connection, named)
    assert take_in_files(connection, named).unchanged
    (tmp_path / "prices.csv").write_text(PRICES + "C3,2024-01-01,9\n")
    files, weekly = ingest(connection, named)
    assert files.changed == (str(tmp_path / "sales.csv"),)
    assert (weekly.rows_rejected, files.without_partner) == (0, {})


@pytest.mark.parametrize(
    ("prices", "join", "message"),
    [
        (
            PRICES + "a1,20240108,2\n",
            ON_BOTH,
            "prices.csv has 2 rows for product 'A1', period '20240108'; keep one",
        ),
        (
            PRICES,
            {**ON_BOTH, "on": ["product"]},
            "prices.csv has 2 rows for product 'A1'; keep one, or join by more",
        ),
        (PRICES, {**ON_BOTH, "on": ["shop"]}, "prices.csv has no column 'shop'; it has SKU, sold_on, price"),
        (PRICES + "x\n", ON_BOTH, "prices.csv has a malformed line 5: missing columns"),
        (
            PRICES + 'D,"2024-01-01,3\nE,2024-01-01",4\n',
            ON_BOTH,
            "prices.csv has a quote in line 5 that does not",
        ),
        (PRICES, {"path": "none.csv", "on": ["product"]}, "sales.join.path: there is no file"),
    ],
)
def test_mistakes_are_told_in_one_line(
    connection, tmp_path: Path, prices: str, join: dict, message: str
) -> None:
    (tmp_path / "prices.csv").write_text(prices)
    with pytest.raises((SalesFileError, SettingsError)) as error:
        take_in_files(connection, settings(tmp_path, [join]))
    assert message in str(error.value)
    assert str(error.value).startswith("sales.join")
    assert "\n" not in str(error.value)


def test_yaml_reads_the_key_on_as_true(tmp_path: Path) -> None:
    file = tmp_path / "elasticity.yaml"
    file.write_text(
        "sales:\n  path: sales.csv\n  columns: {product: sku, period: day, units: qty, price: price}\n"
        "  join:\n    - {path: prices.csv, on: [product, period]}\n"
    )
    (join,) = load_settings(file).sales.join
    assert (join.path, join.on) == ([str(tmp_path / "prices.csv")], ["product", "period"])
