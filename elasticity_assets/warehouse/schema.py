"""What a table's schema is, and the statements that follow from it: create, comment, replace rows."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import duckdb
import pandas as pd

from elasticity_assets.warehouse.sql import quoted, statement


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
    before : str
        SQL literal that rows have which were written before the table had this column; by default NULL.
    published : bool
        Whether analysts get it; else it is the warehouse's own.
    """

    name: str
    type: str
    unit: str
    meaning: str
    nullable: bool = False
    before: str = ""
    published: bool = True

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

    def with_columns(self, more: Iterable[Column]) -> "Table":
        """Give the table with further columns."""
        return replace(self, columns=(*self.columns, *more))

    def published(self) -> "Table":
        """Give the table as analysts get it."""
        return replace(self, columns=tuple(column for column in self.columns if column.published))


def qualified(table: Table, database: str | None = None) -> str:
    """Quoted name of a table, in an attached database where one is given."""
    return quoted(table.name) if database is None else f"{quoted(database)}.main.{quoted(table.name)}"


def typed_columns(table: Table, names: Iterable[str] | None = None) -> str:
    """Select list of the table's columns, or of some of them, each cast to its type."""
    wanted = None if names is None else set(names)
    return ", ".join(
        f"{quoted(column.name)}::{column.type} AS {quoted(column.name)}"
        for column in table.columns
        if wanted is None or column.name in wanted
    )


def create_table(table: Table, database: str | None = None) -> str:
    """Statement that creates the table if it is not there, in an attached database where one is given."""
    return statement("create_table", table=qualified(table, database), columns=_declared_columns(table))


def create_anew(table: Table) -> str:
    """Statement that creates the table, empty, in place of the one that is there."""
    return statement("create_table_anew", table=qualified(table), columns=_declared_columns(table))


def _declared_columns(table: Table) -> str:
    return ", ".join(
        f"{quoted(column.name)} {column.type}{'' if column.nullable else ' NOT NULL'}"
        for column in table.columns
    )


def columns_there(connection: duckdb.DuckDBPyConnection) -> dict[str, list[str]]:
    """Names of the columns of each table and view that the current database has."""
    found: dict[str, list[str]] = {}
    for table, column in connection.execute(statement("columns_there")).fetchall():
        found.setdefault(table, []).append(column)
    return found


def bring_up_to_date(connection: duckdb.DuckDBPyConnection, tables: Iterable[Table]) -> None:
    """Create the tables that are missing, and add the columns that others lack since an earlier version made them."""
    present = columns_there(connection)
    for table in tables:
        if table.name not in present:
            connection.execute(create_table(table))
            continue
        for column in table.columns:
            if column.name not in present[table.name]:
                connection.execute(
                    statement(
                        "add_column",
                        table=qualified(table),
                        column=quoted(column.name),
                        type=column.type,
                        default=f"DEFAULT {column.before}" if column.before else "",
                    )
                )


def comment_statements(table: Table, database: str | None = None) -> list[str]:
    """Statements that comment the table and each of its columns."""
    name = qualified(table, database)
    return [statement("comment_on_table", table=name, comment=quoted(table.comment, "'"))] + [
        statement(
            "comment_on_column", table=name, column=quoted(column.name), comment=quoted(column.comment, "'")
        )
        for column in table.columns
    ]


def replace_rows(
    connection: duckdb.DuckDBPyConnection,
    table: Table,
    rows: pd.DataFrame,
    categories: Iterable[str] | None = None,
) -> None:
    """Replace the table's rows of some categories, or all its rows.

    Tables that belong together go into one transaction: the caller begins and commits it.

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
    known = {column.name for column in table.columns}
    missing = [c.name for c in table.columns if c.name not in rows and not c.nullable]
    unknown = [str(name) for name in rows if name not in known]
    if missing or unknown:
        raise ValueError(f"table {table.name}: columns missing: {missing}, unknown: {unknown}")
    name = qualified(table)
    if categories is None:
        connection.execute(statement("delete_rows", table=name))
    else:
        categories = list(categories)
        if strangers := set(rows["category"].unique()) - set(categories):
            raise ValueError(f"table {table.name}: rows of other categories: {sorted(strangers)}")
        connection.execute(statement("delete_categories", table=name), {"categories": categories})
    connection.register("new_rows", rows)
    try:
        columns = typed_columns(table, map(str, rows))
        connection.execute(statement("insert_rows", table=name, columns=columns, source="new_rows"))
    finally:
        connection.unregister("new_rows")
