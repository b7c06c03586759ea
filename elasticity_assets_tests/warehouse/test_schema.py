from dataclasses import replace

import duckdb
import pandas as pd
import pytest

from elasticity_assets.warehouse.schema import (
    Column,
    Table,
    bring_up_to_date,
    comment_statements,
    create_table,
    replace_rows,
)
from elasticity_assets.warehouse.tables import REFITS

pytestmark = pytest.mark.quick

NASTY = 'it\'s "odd"; DROP TABLE x; --\n😀'
SHELF = Table(
    NASTY,
    f"Comment {NASTY}",
    ("category",),
    (
        Column("category", "VARCHAR", "text", "The category"),
        Column(NASTY, "DOUBLE", "units", f"Meaning {NASTY}"),
        Column("note", "VARCHAR", "text", "A note", nullable=True),
    ),
)


@pytest.fixture
def memory():
    with duckdb.connect() as connection:
        yield connection


@pytest.fixture
def shelf(memory):
    """A connection to a database with an empty shelf."""
    memory.execute(create_table(SHELF))
    return memory


def rows(**values: list) -> pd.DataFrame:
    return pd.DataFrame({"category": values["category"], NASTY: values["number"]})


def contents(connection: duckdb.DuckDBPyConnection) -> list[tuple]:
    name = NASTY.replace('"', '""')
    return connection.execute(f'FROM "{name}" ORDER BY ALL').fetchall()


def test_statements_create_and_comment_what_the_schema_says(memory):
    memory.execute(create_table(SHELF))
    memory.execute(create_table(SHELF))  # twice does no harm
    for statement in comment_statements(SHELF):
        memory.execute(statement)
    found = memory.execute(
        "SELECT column_name, data_type, comment, is_nullable FROM duckdb_columns() WHERE NOT internal"
    ).fetchall()
    assert found == [(column.name, column.type, column.comment, column.nullable) for column in SHELF.columns]
    assert memory.execute("SELECT table_name, comment FROM duckdb_tables()").fetchall() == [
        (NASTY, SHELF.comment)
    ]


def test_replace_rows_replaces_only_the_named_categories(shelf):
    replace_rows(shelf, SHELF, rows(category=["a", "b", NASTY], number=[1, 2, 3]))
    replace_rows(shelf, SHELF, rows(category=["a", NASTY], number=[10, 30]), ["a", NASTY, "gone"])
    assert contents(shelf) == [("a", 10.0, None), ("b", 2.0, None), (NASTY, 30.0, None)]
    replace_rows(shelf, SHELF, rows(category=[], number=[]), ["b"])
    assert [row[0] for row in contents(shelf)] == ["a", NASTY]
    replace_rows(shelf, SHELF, rows(category=["c"], number=[5]))
    assert contents(shelf) == [("c", 5.0, None)]


def test_replace_rows_rolls_back_with_the_callers_transaction(shelf):
    replace_rows(shelf, SHELF, rows(category=["a"], number=[1]))
    shelf.execute("BEGIN")
    replace_rows(shelf, SHELF, rows(category=["a"], number=[2]))
    shelf.execute("ROLLBACK")
    assert contents(shelf) == [("a", 1.0, None)]


def test_replace_rows_refuses_what_does_not_fit(shelf):
    with pytest.raises(ValueError, match=r"columns missing: \['category'\], unknown: \['other'\]"):
        replace_rows(shelf, SHELF, pd.DataFrame({NASTY: [1.0], "other": [1]}))
    with pytest.raises(ValueError, match=r"rows of other categories: \['b'\]"):
        replace_rows(shelf, SHELF, rows(category=["a", "b"], number=[1, 2]), ["a"])
    with pytest.raises(duckdb.ConstraintException):
        replace_rows(shelf, SHELF, rows(category=["a"], number=[None]).astype({NASTY: float}))


def test_a_table_of_an_earlier_version_gains_its_new_columns(shelf):
    replace_rows(shelf, SHELF, rows(category=["a", "b"], number=[1, 2]))
    newer = replace(SHELF, columns=(*SHELF.columns, Column("n", "BIGINT", "shelves", "How many", before="7")))
    shelf.execute("BEGIN")
    bring_up_to_date(shelf, [newer])
    replace_rows(shelf, newer, rows(category=["a"], number=[3]).assign(n=9), ["a"])
    shelf.execute("COMMIT")
    assert contents(shelf) == [("a", 3.0, None, 9), ("b", 2.0, None, 7)]


def test_lists_and_maps_are_stored(memory):
    row = pd.DataFrame(
        {
            "refit_id": ["r"],
            "refitted_at": pd.Timestamp("2026-01-05 06:00"),
            "seconds": 1.5,
            "failed": [[NASTY]],
        }
        | dict.fromkeys(["n_files", "rows_in", "rows_used", "rows_rejected", "n_categories", "n_products"], 1)
    ).assign(versions=[{"jax": "1", NASTY: "2"}])
    memory.execute(create_table(REFITS))
    replace_rows(memory, REFITS, row)
    found = memory.execute("SELECT failed, versions, refitted_at FROM refits").fetchone()
    assert found == ([NASTY], {"jax": "1", NASTY: "2"}, row["refitted_at"][0].to_pydatetime())
