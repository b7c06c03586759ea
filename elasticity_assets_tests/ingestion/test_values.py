"""Values as people and programs write them: numbers, dates, periods, product codes, discounts, flags."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from elasticity_assets.ingestion import SalesFileError, take_in_files
from elasticity_assets.ingestion.accounts import CurrencyMark
from elasticity_assets.ingestion.currencies import one_currency
from elasticity_assets.ingestion.delivered_column import DeliveredColumn, create_reading_macros
from elasticity_assets.ingestion.month_names import is_month
from elasticity_assets.settings import SettingsError
from elasticity_assets_tests.support.sales_files import (
    ingest,
    rejected,
    sales_settings,
    weekly_sales,
    write_lines,
)

pytestmark = pytest.mark.quick

MONDAY = date(2024, 1, 1)


@pytest.fixture(scope="module")
def macros() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        create_reading_macros(connection)
        connection.execute("CREATE TABLE t (x VARCHAR)")
        yield connection


def understood(
    macros: duckdb.DuckDBPyConnection, text: str, decimal: str = ".", thousands: str | None = None
) -> float | None:
    """Read one text as the number of a column."""
    macros.execute("DELETE FROM t")
    macros.execute("INSERT INTO t VALUES (?)", [text])
    column = DeliveredColumn("t.x", "VARCHAR", decimal, thousands)
    return macros.execute(f"SELECT {column.number} FROM t").fetchall()[0][0]


READ = [
    ("1,97 €", ",", 1.97),
    ("€1.97", ".", 1.97),
    ("$1,265.95", ".", 1265.95),
    ("1.265,95 EUR", ",", 1265.95),
    ("US$ 1,003", ".", 1003),
    ("$5.00 USD", ".", 5),
    ("12,50 kr", ",", 12.5),
    ("kr. 12,50", ",", 12.5),
    ("12,50 zł", ",", 12.5),
    ("CHF 1'234.50", ".", 1234.5),
    ("Fr. 1’234.50", ".", 1234.5),
    ("￥1,200", ".", 1200),
    ("₹1,23,456.50", ".", 123456.5),
    ("1 234,5", ",", 1234.5),
    ("1\u00a0234\u202f567", ".", 1234567),
    ("\ufeff5\u00a0", ".", 5),
    ("(5.50)", ".", -5.5),
    ("($1,265.95)", ".", -1265.95),
    ("5-", ".", -5),
    ("1.234,50- €", ",", -1234.5),
    ("-$5", ".", -5),
    ("$-5", ".", -5),
    ("\u22125", ".", -5),
    ("1e3", ".", 1000),
    ("1,5e3", ",", 1500),
    (".5", ".", 0.5),
    ("1.003", ",", 1003),
    ("1,003", ".", 1003),
]
NOT_READ = [
    ("1,5", "."),
    ("1.5", ","),
    ("0,750", "."),
    ("1,23", "."),
    ("1,2345", "."),
    ("1,234,56", "."),
    ("1.234.567", "."),
    ("1,234,567", ","),
    ("1,234 567", "."),
    ("1,234.567,8", "."),
    ("1 2", "."),
    ("--5", "."),
    ("-(5)", "."),
    ("(5", "."),
    ("5)", "."),
    ("99¢", "."),
    ("5$50", "."),
    ("5%", "."),
    ("5 pieces", "."),
    ("1_000", "."),
    ("€", "."),
    ("-", "."),
    ("inf", "."),
    ("1e400", "."),
    ("9" * 400, "."),
]


@pytest.mark.parametrize(("text", "decimal", "number"), READ)
def test_a_number_is_read_as_people_write_it(macros, text: str, decimal: str, number: float) -> None:
    assert understood(macros, text, decimal) == number


@pytest.mark.parametrize(("text", "decimal"), NOT_READ)
def test_a_number_that_is_none_or_in_doubt_is_not_read(macros, text: str, decimal: str) -> None:
    assert understood(macros, text, decimal) is None


def test_only_the_mark_of_thousands_that_is_set_is_one(macros) -> None:
    for mark in (",", " ", "'"):
        for other in (",", " ", "'"):
            assert understood(macros, f"1{other}003", ".", mark) == (1003 if other == mark else None)
    assert understood(macros, "1.003,5", ",", ".") == 1003.5


CURRENCIES = ["€", "$", "£", "¥", "₺", "R$", "EUR", "usd", "CHF", "kr", "zł", "Kč"]
MARKS = {".": [None, ",", " ", "\u00a0", "\u202f", "'", "’"], ",": [None, ".", " ", "\u00a0", "\u202f", "'"]}


@st.composite
def written(draw: st.DrawFn) -> tuple[str, str, float]:
    """Draw a number, and print it as somebody might: text, decimal mark, number."""
    whole = draw(st.integers(0, 10**9))
    fraction = draw(st.one_of(st.just(""), st.integers(0, 9999).map(str)))
    decimal = draw(st.sampled_from(sorted(MARKS)))
    mark = draw(st.sampled_from(MARKS[decimal]))
    text = str(whole) if mark is None else f"{whole:,}".replace(",", mark)
    if mark == "," and draw(st.booleans()) and whole >= 1000:  # Indian
        head, tail = str(whole)[:-3], str(whole)[-3:]
        pairs = [head[max(i - 2, 0) : i] for i in range(len(head), 0, -2)][::-1]
        text = ",".join([*pairs, tail])
    text += decimal + fraction if fraction else ""
    space = draw(st.sampled_from(["", " ", "\u00a0"]))
    currency = draw(st.one_of(st.none(), st.sampled_from(CURRENCIES)))
    if currency is not None:
        text = draw(st.sampled_from([f"{currency}{space}{text}", f"{text}{space}{currency}"]))
    sign = draw(st.sampled_from(["{}", "{}", "{}", "-{}", "- {}", "{}-", "({})", "\u2212{}", " {} "]))
    number = float(f"{whole}.{fraction}" if fraction else whole)
    return sign.format(text), decimal, number if sign.strip() == "{}" else -number


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(written())
def test_any_number_printed_in_a_dialect_is_read_back(macros, printed: tuple[str, str, float]) -> None:
    text, decimal, number = printed
    assert understood(macros, text, decimal) == number


def test_columns_with_currency_signs_and_thousands_are_read(connection, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "sales.csv", 'A,2024-01-01,"1,003","2,50 €"')
    ingest(connection, sales_settings(path, decimal=","))
    assert weekly_sales(connection, "units, price") == [(1.003, 2.5)]
    path.write_text('product,date,units,price\nA,2024-01-01,"1,003",$2.50\n')
    ingest(connection, sales_settings(path))
    assert weekly_sales(connection, "units, price") == [(1003.0, 2.5)]


def test_a_message_names_the_column_and_shows_a_value(connection, tmp_path: Path) -> None:
    path = write_lines(
        tmp_path / "sales.csv",
        "A;2024-01-01;1;2,5 €/kg",
        "A;2024-01-08;1;3",
        header="product;date;units;Preis",
    )
    columns = {"price": "preis"}
    files, weekly = ingest(connection, sales_settings(path, columns, decimal=","))
    expected = {"price unreadable": "column 'preis', such as '2,5 €/kg'"}
    assert (files.examples, weekly.examples) == (expected, expected)
    path.write_text("product;date;units;Preis\nA;2024-01-01;1;2,5 €/kg\n")
    with pytest.raises(SalesFileError, match=r"1 price unreadable \(column 'preis', such as '2,5 €/kg'\)"):
        take_in_files(connection, sales_settings(path, columns, decimal=","))


@pytest.mark.parametrize(
    ("text", "others", "day"),
    [
        ("45292", {"date_format": "excel"}, MONDAY),
        ("45292.75", {"date_format": "excel"}, MONDAY),
        ("60", {"date_format": "excel"}, None),
        ("2024-01-01", {"date_format": "excel"}, None),
        ("45292", {}, None),
        ("01/01/24", {"date_format": "%d/%m/%y"}, MONDAY),
        ("2024-01-01T23:30:00+02:00", {}, MONDAY),
        ("2024-01-01T23:30:00-05:00", {}, date(2024, 1, 2)),
        ("2024-01-01T23:30:00-05:00", {"timezone": "America/New_York"}, MONDAY),
        ("2024-01-01T23:30:00Z", {"timezone": "Europe/Berlin"}, date(2024, 1, 2)),
        ("2024-01-01T23:30:00", {"timezone": "Europe/Berlin"}, MONDAY),
        ("01.01.2024 23:30 +0000", {"date_format": "%d.%m.%Y %H:%M %z", "timezone": "Asia/Tokyo"}, date(2024, 1, 2)),
    ],
)  # fmt: skip
def test_a_date_is_read(connection, tmp_path: Path, text: str, others: dict, day: date | None) -> None:
    path = write_lines(tmp_path / "sales.csv", f"A,{text},1,1", "Z,,1,1", f"B,{text},1,1")
    if day is None:
        with pytest.raises(SalesFileError, match="2 period unreadable"):
            take_in_files(connection, sales_settings(path, **others))
        return
    ingest(connection, sales_settings(path, period="day", **others))
    assert weekly_sales(connection, "period_start") == [(day,), (day,)]


@pytest.mark.parametrize(
    ("label", "period", "others", "day"),
    [
        ("2024-W01", "week", {}, MONDAY),
        ("2024W1", "week", {}, MONDAY),
        ("KW 1 2024", "week", {}, MONDAY),
        ("W01-2024", "week", {}, MONDAY),
        ("202401", "week", {}, MONDAY),
        ("2020-W53", "week", {}, date(2020, 12, 28)),
        ("2021-W53", "week", {}, None),
        ("2021-W53", "week", {"first_week": "january_1"}, date(2021, 12, 27)),
        ("2022-W01", "week", {"first_week": "january_1"}, date(2021, 12, 27)),
        ("2023-W01", "week", {"first_week": "january_1"}, date(2023, 1, 2)),
        ("2024-W00", "week", {}, None),
        ("01/2024", "week", {}, None),
        ("2024/1", "month", {}, MONDAY),
        ("01/2024", "month", {}, MONDAY),
        ("2024M01", "month", {}, MONDAY),
        ("2024-13", "month", {}, None),
        ("2024-Q1", "quarter", {}, MONDAY),
        ("2024Q1", "quarter", {}, MONDAY),
        ("Q1 2024", "quarter", {}, MONDAY),
        ("2024-Q5", "quarter", {}, None),
        ("H2 2024", "quarter", {}, date(2024, 7, 1)),
        ("2024-S1", "quarter", {}, MONDAY),
        ("2. Halbjahr 2024", "quarter", {}, date(2024, 7, 1)),
        ("1er semestre 2024", "quarter", {}, MONDAY),
        ("2024-H3", "quarter", {}, None),
        ("2024-H1", "month", {}, None),
        ("enero 2024", "month", {"date_format": "%B %Y"}, MONDAY),
        ("1. März 2024", "month", {"date_format": "%d. %B %Y"}, date(2024, 3, 1)),
        ("1. Ma\u0308rz 2024", "month", {"date_format": "%d. %B %Y"}, date(2024, 3, 1)),
        ("03-ENE-24", "month", {"date_format": "%d-%b-%y"}, MONDAY),
        ("1 de agosto de 2024", "month", {"date_format": "%d de %B de %Y"}, date(2024, 8, 1)),
        ("15 de abri de 2024", "month", {"date_format": "%d de %B de %Y"}, None),
        ("2024-05-15", "quarter", {}, date(2024, 4, 1)),
    ],
)
def test_a_periods_label_is_read(
    connection, tmp_path: Path, label: str, period: str, others: dict, day
) -> None:
    path = write_lines(tmp_path / "sales.csv", f"A,{label},1,1")
    named = sales_settings(path, period=period, **others)
    if day is None:
        with pytest.raises(SalesFileError, match="1 period unreadable"):
            take_in_files(connection, named)
        return
    ingest(connection, named)
    assert weekly_sales(connection, "period_start") == [(day,)]


@pytest.mark.parametrize(
    ("period", "cells", "days"),
    [
        ("week", ["2023,1", "2023,52", "2024,1"], [date(2023, 1, 2), date(2023, 12, 25), MONDAY]),
        ("week", ["2024.0,1.0", "2024,W02"], [MONDAY, date(2024, 1, 8)]),
        ("month", ["2023,1", "2024,01", "2024,Feb", "2024,March", "2024,abr.", "2024,MAI", "2025,Jän"],
         [date(2023, 1, 1), *(date(2024, month, 1) for month in (1, 2, 3, 4, 5)), date(2025, 1, 1)]),
        ("quarter", ["2023,4", "2024,Q1"], [date(2023, 10, 1), MONDAY]),
    ],
)  # fmt: skip
def test_a_year_and_a_number_are_one_period(connection, tmp_path: Path, period, cells, days) -> None:
    lines = [f"A,{cell},1,1" for cell in [*cells, "2024,99", "24,1", ",1", "2024,"]]
    path = write_lines(tmp_path / "sales.csv", *lines, header="product,year,number,units,price")
    ingest(connection, sales_settings(path, {"period": "number", "year": "year"}, period=period))
    assert weekly_sales(connection, "period_start") == [(day,) for day in days]
    reasons = [reason for _, reason in rejected(connection)]
    assert reasons == ["period unreadable", "period unreadable", "no period", "no period"]


def test_names_of_months_are_told_from_other_words() -> None:
    for name in (
        "January",
        "Jän",
        "Jänner",
        "enero",
        "Ene.",
        "März",
        "mars",
        "août",
        "SETTEMBRE",
        "mei",
        "Dez",
    ):
        assert is_month(name)
    for word in ("", "de", "marzipan", "Q", "mayor", "general"):
        assert not is_month(word)


def test_a_zoned_time_of_parquet_has_its_date_where_the_settings_say(
    connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moment = datetime(2024, 1, 1, 23, 30, tzinfo=UTC)
    path = tmp_path / "sales.parquet"
    times = pa.array([moment], pa.timestamp("us", tz="America/New_York"))
    pq.write_table(pa.table({"product": ["A"], "date": times, "units": [1], "price": [1.0]}), path)
    for machine in ("Pacific/Kiritimati", "America/New_York"):
        connection.execute(f"SET TimeZone = '{machine}'")
        for zone, day in (("UTC", 1), ("Europe/Berlin", 2), ("America/New_York", 1)):
            ingest(connection, sales_settings(path, period="day", timezone=zone))
            assert weekly_sales(connection, "period_start") == [(date(2024, 1, day),)]
            connection.execute(f"SET TimeZone = '{machine}'")


def test_time_zones_need_no_download() -> None:
    with duckdb.connect(config={"autoinstall_known_extensions": False}) as connection:
        found = connection.execute(
            "SELECT install_mode FROM duckdb_extensions() WHERE extension_name = 'icu'"
        ).fetchone()
    assert found == ("STATICALLY_LINKED",)


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        (pa.array([Decimal(12345678901234567890123)], pa.decimal128(38, 0)), "12345678901234567890123"),
        (pa.array([Decimal("4006381333931.00")], pa.decimal128(20, 2)), "4006381333931"),
        (pa.array([Decimal("12.50")], pa.decimal128(20, 2)), "12.5"),
        (pa.array([9007199254740993], pa.int64()), "9007199254740993"),
        (pa.array([18446744073709551615], pa.uint64()), "18446744073709551615"),
        (pa.array([5012345678901.0], pa.float64()), "5012345678901"),
        (pa.array([1e19], pa.float64()), "10000000000000000000"),
        (pa.array(["00123"]), "00123"),
    ],
)
def test_a_product_code_keeps_every_digit(connection, tmp_path: Path, codes: pa.Array, expected: str) -> None:
    path = tmp_path / "sales.parquet"
    pq.write_table(pa.table({"product": codes, "date": [MONDAY], "units": [1], "price": [1.0]}), path)
    ingest(connection, sales_settings(path))
    assert weekly_sales(connection, "product") == [(expected,)]


def test_product_codes_that_a_spreadsheet_changed_are_named(connection, tmp_path: Path) -> None:
    codes = ["5.01234E+12", "00123", "123", "456", "0456A", "77", "77.0", "9"]
    path = write_lines(tmp_path / "sales.csv", *[f"{code},2024-01-01,1,1" for code in codes])
    _, weekly = ingest(connection, sales_settings(path))
    assert weekly.mangled_codes == (
        ("00123", "the same number as 123"),
        ("5.01234E+12", "digits are lost"),
        ("77.0", "the same number as 77"),
    )


@pytest.mark.parametrize(
    "code", ['P1"', "'P1'", "\u201eP1\u201c", "P1;", "\\P1", "P1\\", "\u200bp1", "\u2019P1", "\u00abP1\u00bb"]
)
def test_codes_that_differ_by_marks_at_their_ends_are_named(connection, tmp_path: Path, code: str) -> None:
    rows = pd.DataFrame({"product": ["P1", code, '12"', "P2"], "date": MONDAY, "units": 1, "price": 1})
    rows.to_parquet(tmp_path / "sales.parquet")
    _, weekly = ingest(connection, sales_settings(tmp_path / "sales.parquet"))
    assert weekly.mangled_codes == ((code, "but for marks at its ends the same as P1"),)


def test_a_code_with_a_stray_quote_is_named(connection, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "sales.csv", "P1,2024-01-01,1,1", 'P1",2024-01-08,1,1', "P2,2024-01-01,1,1")
    _, weekly = ingest(connection, sales_settings(path))
    assert weekly.mangled_codes == (('P1"', "but for marks at its ends the same as P1"),)


def test_a_stray_mark_that_hardly_another_code_has_is_named(connection, tmp_path: Path) -> None:
    codes = [f"P{number:03}" for number in range(57)]
    fine = ['TV 42"', '12"', 'Game "Risk"']
    marked = ['Q1"', "Q2;", "\u200bQ3"]
    rows = pd.DataFrame({"product": [*codes, *fine, *marked], "date": MONDAY, "units": 1, "price": 1})
    rows.to_parquet(tmp_path / "sales.parquet")
    _, weekly = ingest(connection, sales_settings(tmp_path / "sales.parquet"))
    assert dict(weekly.mangled_codes) == dict.fromkeys(
        marked, "a mark at its end, as hardly another code has"
    )


def test_marks_that_many_codes_have_are_how_they_are_written(connection, tmp_path: Path) -> None:
    rows = pd.DataFrame({"product": ["P1;", "P2;", "P3", "P4"], "date": MONDAY, "units": 1, "price": 1})
    rows.to_parquet(tmp_path / "sales.parquet")
    _, weekly = ingest(connection, sales_settings(tmp_path / "sales.parquet"))
    assert weekly.mangled_codes == ()


@pytest.mark.parametrize(
    ("marks", "one"),
    [
        (["€", "EUR", "EURO"], True),
        (["$", "USD", "US$", "$USD"], True),
        (["$", "CAD"], True),
        (["KR", "NOK"], True),
        (["$", "USD", "CAD"], False),
        (["€", "$"], False),
        (["CHF", "EUR"], False),
        (["R$", "US$"], False),
        (["£"], True),
        ([], True),
    ],
)
def test_marks_of_one_currency_are_one(marks: list[str], one: bool) -> None:
    assert one_currency(marks) == one


def test_prices_in_several_currencies_are_named(connection, tmp_path: Path) -> None:
    rows = [("Bern", "12.50 CHF"), ("Köln", "€11"), ("Köln", "EUR 10.50"), ("Rom", "10"), ("Rom", "5 USD/kg")]
    lines = [f"P{n},2024-01-01,1,{price},{store}" for n, (store, price) in enumerate(rows)]
    path = write_lines(tmp_path / "sales.csv", *lines, header="product,date,units,price,store")
    _, weekly = ingest(connection, sales_settings(path, {"store": "store"}))
    assert weekly.currencies == (
        CurrencyMark("CHF", 1, "store 'Bern'", f"{path}, line 2: product 'P0' at 12.5"),
        CurrencyMark("EUR", 1, "store 'Köln'", f"{path}, line 4: product 'P2' at 10.5"),
        CurrencyMark("€", 1, "store 'Köln'", f"{path}, line 3: product 'P1' at 11"),
    )


def test_revenues_of_files_in_several_currencies_are_named(connection, tmp_path: Path) -> None:
    for name, revenue in (("a", "£ 2"), ("b", "2 PLN")):
        write_lines(tmp_path / f"{name}.csv", f"{name},2024-01-01,1,{revenue}", f"{name},2024-01-08,1,3")
    settings = sales_settings(tmp_path / "?.csv", {"price": None, "revenue": "price"})
    _, weekly = ingest(connection, settings)
    assert [(found.mark, found.n_rows, found.only_in) for found in weekly.currencies] == [
        ("PLN", 1, f"file '{tmp_path}/b.csv'"),
        ("£", 1, f"file '{tmp_path}/a.csv'"),
    ]
    write_lines(tmp_path / "b.csv", "b,2024-01-01,1,2 GBP")
    assert ingest(connection, settings)[1].currencies == ()


DISCOUNTED = {"price": "list", "discount": "off"}


@pytest.mark.parametrize(
    ("discounts", "others", "prices"),
    [
        (["24", "0", ""], {}, [1.52, 2.0, 2.0]),
        (["0.24", "0", ""], {}, [1.52, 2.0, 2.0]),
        (["24%", "0%", "0.5 %"], {}, [1.52, 2.0, 1.99]),
        (["1", "0", "0"], {"discount_unit": "percent"}, [1.98, 2.0, 2.0]),
        (["0.5", "0", "0"], {"discount_unit": "percent"}, [1.99, 2.0, 2.0]),
    ],
)
def test_a_discount_is_taken_off_the_list_price(
    connection, tmp_path: Path, discounts, others, prices
) -> None:
    lines = [f"{product},2024-01-01,1,$2.00,{off}" for product, off in zip("ABC", discounts, strict=True)]
    path = write_lines(tmp_path / "sales.csv", *lines, header="product,date,units,list,off")
    ingest(connection, sales_settings(path, DISCOUNTED, **others))
    found = weekly_sales(connection, "price, regular_price")
    assert [price for price, _ in found] == pytest.approx(prices)
    assert [regular for _, regular in found] == [2.0] * 3


def test_a_discount_that_cannot_be_is_rejected(connection, tmp_path: Path) -> None:
    lines = [f"A,2024-01-01,1,2,{off}" for off in ("24", "-5", "101", "half", "100")]
    path = write_lines(tmp_path / "sales.csv", *lines, header="product,date,units,list,off")
    ingest(connection, sales_settings(path, DISCOUNTED))
    assert rejected(connection) == [
        (3, "discount not from 0% to 100%"),
        (4, "discount not from 0% to 100%"),
        (5, "discount unreadable"),
        (6, "price not positive"),
    ]


def test_discounts_of_two_meanings_are_refused(connection, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "sales.csv", "A,2024-01-01,1,2,1", header="product,date,units,list,off")
    with pytest.raises(SettingsError, match=r"sales\.discount_unit: .* 'off' holds only 0 and 1"):
        take_in_files(connection, sales_settings(path, DISCOUNTED))


def test_cost_is_carried_as_its_mean(connection, tmp_path: Path) -> None:
    header = "product,date,units,price,unit cost"
    lines = ["A,2024-01-01,1,2,€1.00", "A,2024-01-02,9,2,€1.50", "A,2024-01-03,9,2,"]
    path = write_lines(tmp_path / "sales.csv", *lines, header=header)
    ingest(connection, sales_settings(path, {"cost": "unit cost"}, incomplete_periods="keep"))
    assert weekly_sales(connection, "cost") == [(1.25,)]


def test_a_product_period_is_randomized_where_all_its_sales_are(connection, tmp_path: Path) -> None:
    lines = [
        *("A,2024-01-01,1,2,yes", "A,2024-01-02,1,2,1", "A,2024-01-03,-1,2,"),
        *("A,2024-01-08,1,2,TRUE", "A,2024-01-09,1,2,0", "A,2024-01-15,1,2,"),
        *("A,2024-01-22,1,2,maybe", "A,2024-01-22,1,2,2", "A,2024-01-22,1,2,ja"),
    ]
    path = write_lines(tmp_path / "sales.csv", *lines, header="product,date,units,price,test")
    _, weekly = ingest(connection, sales_settings(path, {"randomized": "test"}, incomplete_periods="keep"))
    assert weekly_sales(connection, "randomized") == [(True,), (False,), (False,), (True,)]
    assert weekly.rejected == {"randomized neither yes nor no": 2}
    assert weekly.examples == {"randomized neither yes nor no": "column 'test', such as 'maybe'"}


def test_prices_that_differ_between_stores_are_not_random(connection, tmp_path: Path) -> None:
    lines = [
        *(
            "A,n,2024-01-01,1,2,1",
            "A,s,2024-01-01,9,2.001,1",
            "A,n,2024-01-08,1,2,1",
            "A,s,2024-01-08,9,1.8,1",
        ),
        *("A,n,2024-01-15,1,2,1", "A,s,2024-01-15,9,1.8,0"),
    ]
    path = write_lines(tmp_path / "sales.csv", *lines, header="product,store,date,units,price,test")
    columns = {"randomized": "test", "store": "store"}
    _, weekly = ingest(connection, sales_settings(path, columns, incomplete_periods="keep"))
    assert weekly_sales(connection, "randomized") == [(True,), (False,), (False,)]
    assert weekly.randomized_at_several_prices == 1


def test_a_price_test_may_stand_in_a_table_beside_the_sales(connection, tmp_path: Path) -> None:
    lines = [f"{product},2024-01-{day:02},3,2" for product in "AB" for day in (1, 8)]
    path = write_lines(tmp_path / "sales.csv", *lines)
    beside = write_lines(tmp_path / "test.csv", "A,2024-01-08,yes", header="product,date,randomized")
    join = [{"path": str(beside), "on": ["product", "date"]}]
    settings = sales_settings(path, {"randomized": "randomized"}, join=join, incomplete_periods="keep")
    _, weekly = ingest(connection, settings)
    assert weekly_sales(connection, "randomized") == [(False,), (True,), (False,), (False,)]
    assert weekly.rejected == {}


@pytest.mark.parametrize(
    ("yes", "no"),
    [("Yes", "No"), ("1", "0"), ("TRUE", "false"), ("ja", "nein"), ("ja", "nee"), ("oui", "non"), ("sí", "no"),
     ("Sim", "Não"), ("x", "")],
)  # fmt: skip
def test_a_flag_is_a_control(connection, tmp_path: Path, yes: str, no: str) -> None:
    lines = [f"A,2024-01-01,1,1,{yes}", f"B,2024-01-01,1,1,{no}"]
    path = write_lines(tmp_path / "sales.csv", *lines, header="product,date,units,price,Promo")
    ingest(connection, sales_settings(path, controls=["Promo"]))
    assert weekly_sales(connection, "Promo") == [(1.0,), (None if no == "" else 0.0,)]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1" + 14 * "0", 1e14), ("1" + 15 * "0", None), (16 * "9", None), (60 * "9", None), ("-" + 20 * "9", None),
        ("999,999,999,999,999", 1e15 - 1), ("1,000,000,000,000,000", None), ("$" + 16 * "9", None),
        (18 * "9" + "%", None), ("1e15", None),
    ],
)  # fmt: skip
def test_a_control_is_a_number_that_can_be_added_up_or_not_given(
    macros, text: str, number: float | None
) -> None:
    macros.execute("DELETE FROM t")
    macros.execute("INSERT INTO t VALUES (?)", [text])
    column = DeliveredColumn("t.x", "VARCHAR", ".", None)
    assert macros.execute(f"SELECT {column.number_or_flag} FROM t").fetchall() == [(number,)]


def test_a_text_makes_controls(connection, tmp_path: Path) -> None:
    kinds = {"A": "Coupon", "B": "None", "C": "", "D": " COUPON ", "E": "BOGO"}
    lines = [f"{product},2024-01-01,1,1,{kind}" for product, kind in kinds.items()]
    path = write_lines(tmp_path / "sales.csv", *lines, header="product,date,units,price,Promo Type")
    ingest(connection, sales_settings(path, controls=["promo type=Coupon", "Promo Type=BOGO"]))
    found = weekly_sales(connection, '"promo type=Coupon", "Promo Type=BOGO"')
    assert found == [(1, 0), (0, 0), (0, 0), (1, 0), (0, 1)]


def test_a_row_of_the_future_counts_once_its_day_has_come(
    connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tomorrow = datetime.now(UTC).date() + timedelta(days=2)
    path = write_lines(tmp_path / "sales.csv", "A,2024-01-01,1,1", f"A,{tomorrow},1,1")
    named = sales_settings(path, period="day")
    _, weekly = ingest(connection, named)
    assert rejected(connection) == [(3, "period in the future")]
    assert weekly.unusable.rows == 1
    monkeypatch.setattr("elasticity_assets.ingestion.weekly.latest_today", lambda: tomorrow)
    files, weekly = ingest(connection, named)
    assert (files.unchanged, weekly.rows_used) == ((str(path),), 2)
