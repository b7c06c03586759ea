"""Generated files full of bad rows: each line is used or rejected with its reason, and no row stops an ingest."""

import csv
import random
from pathlib import Path

import duckdb
import pytest

from elasticity_assets.warehouse.file import Warehouse
from elasticity_assets_tests.support.sales_files import ingest, sales_settings

NUMBERS = [
    "", " ", "-", "0", "-0", "1e-7", "1e-300", "1e308", "-1e308", "1e400", "inf", "-inf", "nan", "NULL",
    "n/a", "0x1F", "1_000", "1e9", "1000000001", "1e15", "1e16", "9" * 400, "1,234.56", "1.234,56",
    "1'234", "(5)", "5-", "--5", "$", "€ 5", "5 €", "99¢", "5%", "100%", "101%", "-5%", "½", "٣", "５",
    "5\u00a0", "\ufeff5", "true", "no", "x", "=1+1", "#REF!", "#DIV/0!", "😀", "'", "1;2", "1\n2",
    "0.0000001", "1e-4", "1e-6", "5 pieces", "12:30", "2024-01-01", "{}", "[1]",
]  # fmt: skip
DATES = [
    "", " ", "2024-02-30", "0000-00-00", "0001-01-01", "9999-12-31", "2199-12-31", "2200-01-01",
    "1899-12-31", "2999-W01", "2024-W54", "2024-13", "99999", "-1", "0", "9999", "10000", "45292", "1e5",
    "infinity", "epoch", "2024-01-01T25:00", "2024-01-01T10:00:00+99:00", "2024-01-01 (BC)", "tomorrow",
    "2024-01-01T00:00:00Z", "Q1 2024", "20240101", "99999999", "2024-W05", "290000-01-01", "😀",
]  # fmt: skip
TEXTS = [
    "", " ", "A", "a", "00123", "123", "1.5E+12", "TOTAL", "é", "e\u0301", '"',
    "'; DROP TABLE raw_sales; --", "\u202e", "x" * 5000, "😀",
]  # fmt: skip
COLUMNS = ["product", "category", "date", "year", "units", "price", "list", "off", "cost", "Promo", "test"]


def bad_or_good(draw: random.Random, badness: float, bad: list[str], good: str) -> str:
    return draw.choice(bad) if draw.random() < badness else good


def line(draw: random.Random, badness: float, numbered: bool) -> list[str]:
    """Draw the values of COLUMNS."""
    number = [bad_or_good(draw, badness, NUMBERS, str(draw.randint(1, 90))) for _ in range(7)]
    day = str(draw.randint(1, 53)) if numbered else f"2024-{draw.randint(1, 12):02}-{draw.randint(1, 28):02}"
    texts = [bad_or_good(draw, badness, TEXTS, draw.choice("ABC")) for _ in range(2)]
    dates = [bad_or_good(draw, badness, DATES, good) for good in (day, str(draw.randint(2020, 2024)))]
    return [*texts, *dates, *number]


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory):
    path = tmp_path_factory.mktemp("bad") / "warehouse.duckdb"
    with Warehouse(path=str(path)).write() as connection:
        yield connection


def drawn_file(path: Path, draw: random.Random) -> tuple[dict, int]:
    """Write a file; return the settings to read it, and how many rows it has."""
    numbered = draw.random() < 0.3
    rows = [line(draw, draw.choice([0.0, 0.05, 0.5]), numbered) for _ in range(draw.randint(1, 40))]
    sure = ["S", "s", "1" if numbered else "2024-01-08", "2024", "5", "2", "2", "0", "1", "1", "1"]
    rows.insert(draw.randint(0, len(rows)), sure)  # else the file may be refused, having no usable row
    columns = {"category": draw.choice([None, "category"]), "cost": draw.choice([None, "cost"])}
    columns["randomized"] = draw.choice([None, "test"])
    if numbered:
        columns["year"] = "year"
    if draw.random() < 0.4:
        columns |= {"price": "list", "discount": "off"}
    if draw.random() < 0.3:
        columns |= {"price": None, "revenue": "price"}
        columns.pop("discount", None)
    others = {
        "period": draw.choice(["week", "month"] if not numbered else ["week"]),
        "decimal": draw.choice([".", ","]),
        "price_rule": draw.choice(["unit_value", "median"]),
        "discount_unit": draw.choice(["percent", "fraction"]),
        "controls": draw.choice([[], ["Promo=5"]]),
        "incomplete_periods": "keep",
        "delimiter": draw.choice([",", ";", "\t"]),
    }
    with path.open("w", newline="", encoding="utf-8") as stream:
        write = csv.writer(stream, delimiter=others["delimiter"], quoting=csv.QUOTE_ALL)
        write.writerows([COLUMNS, *rows])
    return {"columns": columns, **others}, len(rows)


def forget_all(connection: duckdb.DuckDBPyConnection) -> None:
    for table in ("unused_sales", "raw_sales", "sales_files"):
        connection.execute(f"DELETE FROM {table}")


def test_no_row_stops_an_ingest(connection, tmp_path: Path, at_length: bool) -> None:
    for seed in range(5000 if at_length else 40):
        path = tmp_path / f"{seed}.csv"
        named, n_rows = drawn_file(path, random.Random(seed))
        _, weekly = ingest(connection, sales_settings(path, **named))
        lines = connection.execute("SELECT count(*), count(DISTINCT line) FROM rejected_sales").fetchone()
        assert lines == (weekly.rows_rejected, weekly.rows_rejected), seed
        assert (weekly.rows_in, weekly.rows_used + weekly.rows_rejected) == (n_rows, n_rows), seed
        assert weekly.faults == (), seed
        reasons = connection.execute("SELECT count(*) FROM rejected_sales WHERE reason = ''").fetchone()
        assert reasons == (0,), seed
        finite = (
            "isfinite(units) AND isfinite(revenue) AND isfinite(price) AND coalesce(isfinite(cost), true)"
        )
        odd = connection.execute(f"SELECT count(*) FROM weekly_sales WHERE NOT ({finite})").fetchone()
        assert odd == (0,), seed
        forget_all(connection)
        path.unlink()
