"""Lines are counted apart from the parser, and each is accounted for."""

import csv
import io
import json
import re
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elasticity_assets.ingestion.quotes import fields, quoted_lines
from elasticity_assets_tests.support.sales_files import ingest, rejected, sales_settings

pytestmark = pytest.mark.quick

HEADER = "product,date,units,price,note"
NAMES = {"description": "note"}


def week(number: int, note: str = "pan") -> str:
    return f"P{number:03},2024-01-01,5,2.5,{note}"


def test_a_stray_quote_swallows_no_line(connection, tmp_path: Path) -> None:
    """Two quotes that open and do not close, 500 lines apart; each line is a row."""
    lines = [week(n, '"12 inch pan' if n in (12, 512) else "pan") for n in range(1, 701)]
    (tmp_path / "sales.csv").write_text("\n".join([HEADER, *lines, ""]))
    _, weekly = ingest(connection, sales_settings(tmp_path / "sales.csv", NAMES))
    assert (weekly.rows_in, weekly.rows_used) == (700, 698)
    found = connection.execute('SELECT line, reason, "row" FROM rejected_sales ORDER BY line').fetchall()
    reason = "malformed line: quote that does not close"
    assert [(line, why, json.loads(row)) for line, why, row in found] == [
        (13, reason, lines[11]),
        (513, reason, lines[511]),
    ]


@pytest.mark.parametrize(
    ("lines", "bad"),
    [
        ([week(1), week(2, '"never closed'), week(3), week(4)], [3]),
        ([week(1, '"12 inch'), week(2, '"13 inch'), week(3)], [2, 3]),
        ([week(1, '"12 inch'), week(2, '"closed"'), week(3)], [2]),
        ([week(1).replace(",5", ',"5'), week(2).replace("5,", '5",'), week(3)], [2, 3]),
        ([week(1, '12" pan'), week(2, '"12" pan'), week(3, '12" pan')], [3]),
        ([week(1, '"a\nb, c\n\nd"'), week(2, '"12 inch'), week(3, '"e\nf"'), week(4), "x,y"], [3, 6]),
        ([week(1), "P2\0,2024-01-01,5,2.5,x", week(3, '"12 inch'), week(4)], [3, 4]),
        ([week(1, '"5"" wide"'), week(2, '"open'), week(3, '"5"" wide"'), "", week(4)], [3]),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_every_line_is_used_or_rejected_with_its_number(
    connection, tmp_path: Path, lines: list[str], bad: list[int], end: str
) -> None:
    (tmp_path / "sales.csv").write_text("\n".join([HEADER, *lines, ""]), newline=end)
    _, weekly = ingest(connection, sales_settings(tmp_path / "sales.csv", NAMES))
    assert weekly.rows_in == len([line for line in lines if line])
    assert [line for line, _ in rejected(connection)] == bad


def test_values_with_line_breaks_are_values(connection, tmp_path: Path) -> None:
    """Excel ends lines with both characters and breaks cells with one of them."""
    notes = ["pan\n12 inch, steel", "", 'tin "5"\n\n1, 2', "pot"]
    with (tmp_path / "sales.csv").open("w", newline="") as stream:
        rows = [[f"P{n}", "2024-01-01", 5, 2.5, note] for n, note in enumerate(notes)]
        csv.writer(stream).writerows([HEADER.split(","), *rows])
    _, weekly = ingest(connection, sales_settings(tmp_path / "sales.csv", NAMES))
    assert (weekly.rows_in, weekly.rows_used) == (4, 4)
    found = connection.execute("SELECT product_description FROM products ORDER BY product").fetchall()
    assert [text or "" for (text,) in found] == notes


TEXTS = st.text(alphabet='ab",\n 1', max_size=8).map(lambda text: text.replace("\r", ""))


@settings(max_examples=200, deadline=None)
@given(rows=st.lists(st.tuples(TEXTS, st.integers(0, 99), TEXTS), min_size=1, max_size=8))
def test_what_is_written_by_the_rules_has_no_stray_quote(rows) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    lines = text.getvalue().removesuffix("\n").split("\n")
    found = quoted_lines(lines, ",", 9, [1])
    assert not found.stray
    assert found.n_continued == len([line for line in lines if line]) - len(rows)


@given(st.lists(st.text(alphabet='ab",', max_size=5), min_size=2, max_size=4))
def test_fields_of_a_line(values: list[str]) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(values)
    found, inside = fields(text.getvalue(), ",")
    assert not inside
    plain = [
        re.sub('^"(.*)"$', r"\1", field).replace('""', '"') if field.startswith('"') else field
        for field in found
    ]
    assert plain == values


def test_line_numbers_occur_once(connection, tmp_path: Path) -> None:
    lines = [week(1), "", "x", week(2, '"a\nb"'), "y,y", week(3, '"open'), week(4), "z"]
    (tmp_path / "sales.csv").write_text("\n".join([HEADER, *lines]))
    ingest(connection, sales_settings(tmp_path / "sales.csv", NAMES))
    numbers = Counter(line for (line,) in connection.execute("SELECT line FROM raw_sales").fetchall())
    assert set(numbers.values()) == {1}
    assert len(numbers) == 7
