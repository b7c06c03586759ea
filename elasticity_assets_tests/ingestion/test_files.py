"""Which files are sales files, and how they are laid out: paths, sheets, title rows, encodings, line ends."""

import datetime as dt
import gzip
import re
from pathlib import Path

import duckdb
import pytest
from openpyxl import Workbook

from elasticity_assets.ingestion import SalesFileError, find_files, take_in_files
from elasticity_assets.settings import SalesSettings, SettingsError, load_settings
from elasticity_assets_tests.support.sales_files import (
    ingest,
    rejected,
    sales_settings,
    weekly_sales,
    write_lines,
)

pytestmark = pytest.mark.quick

HEADER = "product,date,units,price"
MONDAY = dt.date(2024, 1, 1)


@pytest.mark.parametrize("name", ["sales[1].csv", "sa?es1.csv", "*1.csv"])
def test_a_literal_path_is_that_file(connection, tmp_path: Path, name: str) -> None:
    write_lines(tmp_path / "sales1.csv", "MILK,2024-01-01,99,9")
    write_lines(tmp_path / name, "TEA,2024-01-01,5,2")
    ingest(connection, sales_settings(tmp_path / name))
    assert weekly_sales(connection, "product") == [("TEA",)]
    ingest(connection, sales_settings(tmp_path / "s*1*.csv"))
    assert "MILK" in {row[0] for row in weekly_sales(connection, "product")}


def test_brackets_alone_make_no_pattern(tmp_path: Path) -> None:
    write_lines(tmp_path / "sales1.csv", "MILK,2024-01-01,99,9")
    with pytest.raises(SettingsError, match="there is no file"):
        find_files([str(tmp_path / "sales[1].csv")])
    assert find_files([str(tmp_path / "s*[12].csv")]) == {str(tmp_path / "sales1.csv"): 0}


@pytest.mark.parametrize("folder", ["Prices [2024]", "shop[1]", "What? a *star*"])
def test_a_projects_folder_may_have_any_name(connection, tmp_path: Path, folder: str) -> None:
    (tmp_path / "shop1").mkdir()
    write_lines(tmp_path / "shop1" / "sales.csv", "MILK,2024-01-01,99,9")
    (tmp_path / folder).mkdir()
    write_lines(tmp_path / folder / "sales.csv", "TEA,2024-01-01,5,2")
    for path in ("sales.csv", "*.csv"):
        file = tmp_path / folder / "elasticity.yaml"
        file.write_text(
            f"sales: {{path: '{path}', columns: {{product: product, period: date, units: units, price: price}}}}"
        )
        ingest(connection, load_settings(file).sales)
        assert weekly_sales(connection, "product") == [("TEA",)]


@pytest.mark.parametrize(
    ("sales", "key"),
    [
        ("path: ../elsewhere/sales.csv", "sales.path"),
        ("path: ['*.csv', '../elsewhere/*.csv']", "sales.path"),
        ("path: in/*.csv", "sales.path"),
        ("path: sales.csv, join: [{path: in/sales.csv, on: [product]}]", "sales.join.path"),
        ("table: {database: ../elsewhere/shop.duckdb, name: t}", "sales.table.database"),
    ],
)
def test_sales_are_read_from_the_settings_folder_and_its_roots_alone(
    connection, tmp_path: Path, sales: str, key: str
) -> None:
    folder, elsewhere = tmp_path / "project", tmp_path / "elsewhere"
    for path in (folder / "in", elsewhere):
        path.mkdir(parents=True)
    write_lines(folder / "sales.csv", "A,2024-01-01,5,2")
    write_lines(elsewhere / "sales.csv", "A,2024-01-01,5,2")
    with duckdb.connect(str(elsewhere / "shop.duckdb")) as shop:
        shop.execute(
            "CREATE TABLE t AS SELECT 'A' AS product, DATE '2024-01-01' AS date, 5 AS units, 2.0 AS price"
        )
    (folder / "in" / "sales.csv").symlink_to(elsewhere / "sales.csv")
    (tmp_path / "link").symlink_to(folder)

    def settings(roots: str) -> SalesSettings:
        columns = "{product: product, period: date, units: units, price: price}"
        (folder / "elasticity.yaml").write_text(f"sales: {{{sales}, {roots}columns: {columns}}}")
        return load_settings(tmp_path / "link" / "elasticity.yaml").sales  # itself reached by a link

    for roots in ("", "roots: ../else, "):
        with pytest.raises(SettingsError) as refused:
            take_in_files(connection, settings(roots))
        assert re.fullmatch(
            rf"{key}: \S+( is a link to \S+, which)? lies outside of the settings file's folder; "
            rf"if it holds sales, allow its folder: sales.roots: \['{elsewhere}'\]",
            str(refused.value),
        )
    for roots in ("roots: ../elsewhere, ", f"roots: [nowhere, '{tmp_path}'], "):
        ingest(connection, settings(roots))
        assert weekly_sales(connection, "product") == [("A",)]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_folders_never_become_columns(connection, tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "date=2024-06-03" / "units=7"
    folder.mkdir(parents=True)
    write_lines(folder / "part.csv", "A,2024-01-01,5,2")
    if kind == "parquet":
        connection.execute(
            f"COPY (FROM read_csv('{folder}/part.csv', hive_partitioning = false)) TO '{folder}/x.parquet'"
        )
    ingest(connection, sales_settings(tmp_path / "date=*" / "*" / f"*.{kind}"))
    assert weekly_sales(connection) == [("A", MONDAY, 5.0, 2.0)]


ROWS = ["Ä,2024-01-01,5,2", "B,2024-01-08,6,3", "C,2024-01-15,7,3"]
WAYS = {
    "mixed": HEADER + "\r\n" + ROWS[0] + "\n" + ROWS[1] + "\r\n" + ROWS[2],
    "one carriage return": HEADER + "\n" + ROWS[0] + "\r" + ROWS[1] + "\n" + ROWS[2],
    "carriage returns": "\r".join([HEADER, *ROWS, ""]),
    "titles": "Sales report\n\n,,,\nfrom 'tills', a \"week,\n" + "\n".join([HEADER, ROWS[0], "", *ROWS[1:]]),
    "quoted": "\n".join([HEADER, *('"' + row.replace(",", '","') + '"' for row in ROWS), ""]),
}
ENCODINGS = ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"]


@pytest.mark.parametrize(
    ("way", "encoding", "zipped"),
    [
        *((way, "utf-8", False) for way in WAYS),
        *(("mixed", encoding, False) for encoding in ENCODINGS),
        *((way, "utf-16", True) for way in WAYS),
    ],
)
def test_ways_to_write_lines(connection, tmp_path: Path, way: str, encoding: str, zipped: bool) -> None:
    marked = "\ufeff" + WAYS[way] if encoding in ("utf-16-le", "utf-16-be") else WAYS[way]
    data = marked.encode(encoding)
    (tmp_path / "sales.csv").write_bytes(gzip.compress(data) if zipped else data)
    named = {"encoding": encoding} if encoding == "cp1252" else {}
    files, _ = ingest(connection, sales_settings(tmp_path / "sales.csv", **named))
    assert files.rows_in == 3
    assert weekly_sales(connection, "product, units") == [("B", 6.0), ("C", 7.0), ("Ä", 5.0)]


def test_text_in_another_encoding_than_said_is_one_line(connection, tmp_path: Path) -> None:
    (tmp_path / "sales.csv").write_bytes(f"{HEADER}\nA,2024-01-01,5,2\n".encode("utf-16") + b"A")
    with pytest.raises(SalesFileError, match="is not utf-16 text") as error:
        take_in_files(connection, sales_settings(tmp_path / "sales.csv"))
    assert "\n" not in str(error.value)


def test_lines_are_numbered_from_the_top_of_a_file_with_title_rows(connection, tmp_path: Path) -> None:
    lines = [
        "Sales report 2022,,,",
        ",,,",
        HEADER,
        "A,2024-01-01,5,2",
        "A,x,5,2",
        "B,2024",
        "Grand Total,,5,",
    ]
    (tmp_path / "sales.csv").write_text("\n".join(lines))
    ingest(connection, sales_settings(tmp_path / "sales.csv"))
    assert rejected(connection) == [
        (5, "period unreadable"), (6, "malformed line: missing columns"), (7, "no period"),
    ]  # fmt: skip


def test_two_columns_of_one_name_are_refused_where_a_setting_names_them(connection, tmp_path: Path) -> None:
    path = write_lines(
        tmp_path / "sales.csv", "A,2024-01-01,5,6,2,x,y", header="product,date,units, Units,price,note,note"
    )
    ingest(connection, sales_settings(path))
    assert weekly_sales(connection, "units") == [(5.0,)], "one of that very name"
    for columns, message in [
        (
            {"units": "UNITS"},
            f"sales.columns.units: {path} has 2 columns called 'UNITS', number 3, 4 of line 1",
        ),
        (
            {"description": "note"},
            f"sales.columns.description: {path} has 2 columns called 'note', number 6, 7",
        ),
    ]:
        with pytest.raises(SettingsError) as error:
            take_in_files(connection, sales_settings(path, columns))
        assert message in str(error.value)


@pytest.mark.parametrize("columns", [{"product": "sku"}, {"units": "sold"}])
def test_headers_of_several_lines_and_long_names_are_told_in_one_line(
    connection, tmp_path: Path, columns: dict[str, str]
) -> None:
    many = ",".join(f"{number} {'x' * 300}" for number in range(60))
    path = write_lines(
        tmp_path / "sales.csv",
        "A,2024-01-01,5,2" + "," * 60,
        header=f'"pro\nduct",date,"units\n(pieces)",\x1b[31mprice,{many}',
    )
    with pytest.raises(SettingsError, match=r"has no column '(sku|sold)'; it has 'pro") as error:
        take_in_files(connection, sales_settings(path, {"product": "pro\nduct"} | columns))
    assert str(error.value).isprintable()
    assert str(error.value).endswith("and 24 more")
    assert len(str(error.value)) < 3000
    ingest(
        connection,
        sales_settings(path, {"product": "pro\nduct", "units": "units\n(pieces)", "price": "\x1b[31mprice"}),
    )
    assert weekly_sales(connection, "product, units") == [("A", 5.0)]


def write_sheets(path: Path, **sheets: list[list]) -> Path:
    workbook = Workbook()
    workbook.remove(workbook.active)
    for name, rows in sheets.items():
        sheet = workbook.create_sheet(name)
        for row in rows:
            sheet.append(row)
    workbook.save(path)
    return path


SHEET = [
    ["Sales of the year", None, None, None, None],
    [],
    ["SKU", "Week", "Units", "Price", "Promo"],
    [859010, dt.date(2024, 1, 1), 1234, 2.5, True],
    ["007", dt.datetime(2024, 1, 8, 13, 30), 6, 2, False],
    [],
    [12.5, dt.date(2024, 1, 15), 7, "n/a", False],
    ["Grand Total", None, 1247, None, None],
]
COLUMNS = {"product": "sku", "period": "week", "units": "units", "price": "price"}


@pytest.mark.parametrize("decimal", [".", ","])
def test_a_workbooks_sheet(connection, tmp_path: Path, decimal: str) -> None:
    path = write_sheets(tmp_path / "sales.xlsx", About=[["by", "me"]], Data=SHEET)
    files, _ = ingest(connection, sales_settings(path, COLUMNS, controls=["promo"], decimal=decimal))
    assert files.rows_in == 4
    assert weekly_sales(connection, "product, period_start, units, price, promo") == [
        ("007", dt.date(2024, 1, 8), 6.0, 2.0, 0.0),
        ("859010", MONDAY, 1234.0, 2.5, 1.0),
    ]
    assert rejected(connection) == [(6, "price unreadable"), (7, "no period")]


def test_a_sheet_is_named_where_several_hold_the_columns(connection, tmp_path: Path) -> None:
    later = [*SHEET[:3], [1, dt.date(2024, 1, 1), 3, 1, None]]
    path = write_sheets(tmp_path / "sales.xlsx", **{"2023": SHEET, "2024": later})
    with pytest.raises(SettingsError, match="has several sheets with the columns, '2023', '2024'; name one"):
        take_in_files(connection, sales_settings(path, COLUMNS))
    ingest(connection, sales_settings(path, COLUMNS, sheet="2024"))
    assert weekly_sales(connection, "product, units") == [("1", 3.0)]
    with pytest.raises(SettingsError, match="has no sheet 'May'; it has '2023', '2024'"):
        take_in_files(connection, sales_settings(path, COLUMNS, sheet="May"))
