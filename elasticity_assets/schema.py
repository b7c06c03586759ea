"""What a table's schema is, and the statements that follow from it: create, comment, replace rows."""

from collections.abc import Iterable
from dataclasses import dataclass

import duckdb
import pandas as pd

from elasticity_assets.sql import quote_identifier, quote_literal


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes
    ----------
    name : str
    type : str
        DuckDB's type.
    unit : str
        Unit of the values, or the sort of text.
    meaning : str
        What it is, in a sentence without its unit.
    nullable : bool
        Whether NULL occurs; `meaning` says when.
    """

    name: str
    type: str
    unit: str
    meaning: str
    nullable: bool = False

    @property
    def comment(self) -> str:
        """Meaning and unit in one line."""
        return f"{self.meaning} [{self.unit}]"


@dataclass(frozen=True)
class Table:
    """One table.

    Attributes
    ----------
    name : str
    comment : str
        What one row is.
    key : tuple of str
        The columns that tell its rows apart, in their order; empty where rows may repeat.
    columns : tuple of Column
    """

    name: str
    comment: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]


def create_table(table: Table, database: str | None = None) -> str:
    """Give the statement that creates the table if it is not there.

    Parameters
    ----------
    table : Table
    database : str, optional
        An attached database; by default the connection's own.
    """
    columns = ", ".join(
        f"{quote_identifier(column.name)} {column.type}{'' if column.nullable else ' NOT NULL'}"
        for column in table.columns
    )
    return f"CREATE TABLE IF NOT EXISTS {_name(table, database)} ({columns})"


def comment_statements(table: Table, database: str | None = None) -> list[str]:
    """Give the statements that comment the table and each of its columns."""
    name = _name(table, database)
    return [f"COMMENT ON TABLE {name} IS {quote_literal(table.comment)}"] + [
        f"COMMENT ON COLUMN {name}.{quote_identifier(column.name)} IS {quote_literal(column.comment)}"
        for column in table.columns
    ]


def column_schema(table: Table) -> list[tuple[str, str, str, bool]]:
    """Name, type, comment and nullability of each column, for the UI."""
    return [(column.name, column.type, column.comment, column.nullable) for column in table.columns]


def replace_rows(
    connection: duckdb.DuckDBPyConnection,
    table: Table,
    rows: pd.DataFrame,
    categories: Iterable[str] | None = None,
) -> None:
    """Replace the table's rows of some categories, or all its rows, creating the table where it is missing.

    Several tables that belong together go into one transaction: the caller opens and commits it.

    Parameters
    ----------
    connection : duckdb connection
    table : Table
    rows : DataFrame
        The table's columns, in any order; a nullable column may be missing. Times are naive, in UTC.
    categories : iterable of str, optional
        Whose rows are replaced; by default all rows are.

    Raises
    ------
    ValueError
        If a column is missing or unknown, or a row belongs to another category.
    """
    known = {column.name: column for column in table.columns}
    missing = [name for name, column in known.items() if name not in rows and not column.nullable]
    unknown = [str(name) for name in rows if name not in known]
    if missing or unknown:
        raise ValueError(f"table {table.name}: columns missing: {missing}, unknown: {unknown}")
    connection.execute(create_table(table))
    name = _name(table)
    if categories is None:
        connection.execute(f"DELETE FROM {name}")  # noqa: S608
    else:
        categories = list(categories)
        if strangers := set(rows["category"]) - set(categories):
            raise ValueError(f"table {table.name}: rows of other categories: {sorted(strangers)}")
        these = "category IN (SELECT unnest($1::VARCHAR[]))"
        connection.execute(f"DELETE FROM {name} WHERE {these}", [categories])  # noqa: S608
    columns = ", ".join(
        f"{quote_identifier(column)}::{known[column].type} AS {quote_identifier(column)}"
        for column in map(str, rows)
    )
    connection.register("new_rows", rows)
    try:
        connection.execute(f"INSERT INTO {name} BY NAME SELECT {columns} FROM new_rows")  # noqa: S608
    finally:
        connection.unregister("new_rows")


def _name(table: Table, database: str | None = None) -> str:
    """Quoted name of the table, with its database where one is given."""
    name = quote_identifier(table.name)
    return name if database is None else f"{quote_identifier(database)}.main.{name}"
