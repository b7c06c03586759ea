"""One sales file into `raw_sales`: every row once, those that cannot be used with their reason."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb

from elasticity_assets.ingestion.accounts import SalesFileError
from elasticity_assets.ingestion.files import escaped, unreadable_told
from elasticity_assets.ingestion.header import folded
from elasticity_assets.ingestion.joins import JoinedTable, with_joined
from elasticity_assets.ingestion.layout import FileFormat
from elasticity_assets.ingestion.lines import SET_ASIDE, as_duckdb_reads, quoted_lines_of, write_copy
from elasticity_assets.ingestion.quotes import QuotedLines
from elasticity_assets.ingestion.reading import (
    Source,
    column_parts,
    delivered_columns,
    discount_unit,
    not_products_pattern,
    readability,
    row_source,
)
from elasticity_assets.ingestion.reasons import no_partner, reasons_of_rows, told
from elasticity_assets.ingestion.sources import SalesSource
from elasticity_assets.settings import SalesSettings, SettingsError
from elasticity_assets.warehouse.sql import quoted, statement

MOST_UNREADABLE = 0.01
"""Share of a control's values in a file that may be texts such as n/a, which count as not given."""

FEW = 0.01
"""A file has one line a product-period if at most this share of its product-periods has lines that differ."""
_SAMPLE_MASK, _SAMPLE_LEAST, _SURELY_MORE = 15, 1000, 3.0  # a sixteenth of the products


def read_file(
    connection: duckdb.DuckDBPyConnection,
    delivered: SalesSource,
    file_id: int,
    sales: SalesSettings,
    joined: Sequence[JoinedTable],
) -> tuple[int, dict[str, int]]:
    """Insert a file's rows into `raw_sales`.

    Returns
    -------
    n_rows : int
        How many it delivers, counted apart from the parser.
    without_partner : dict of str to int
        How many have no partner in each table beside the sales.

    Raises
    ------
    SettingsError
        If the file lacks a column, or a control is neither numbers nor yes and no.
    SalesFileError
        If it cannot be read or has no usable row.
    """
    from_joined = {folded(name) for table in joined for name in table.columns}
    columns = (name for name in sales.columns.model_dump().values() if name)
    named = [*columns, *itertools.chain(*sales.numbers.values()), *sales.attributes]
    wanted = [name for name in named if folded(name) not in from_joined]
    file = delivered.name
    with TemporaryDirectory(prefix="elasticity_sales.") as folder:
        layout = delivered.examine(connection, Path(folder), sales, wanted)
        reader = _Reader(connection, file, file_id, sales, joined)
        with unreadable_told(file):
            if layout.kind == "csv":
                n_rows = reader.read_csv(layout, Path(folder))
            else:
                reader.insert(layout)
                reader.judge(layout)
                n_rows = one_row(connection, "rows_of_parquet", {"path": escaped(layout.path)})[0]
    n_read, n_usable = one_row(connection, "file_rows", {"file_id": file_id})
    if not n_usable:
        reasons = told(*reasons_of_rows(connection, sales, file_id))
        raise SalesFileError(f"{file} has no usable row of {n_read}" + (f": {reasons}" if reasons else ""))
    return n_rows, reader.without_partner


@dataclass
class _Reader:
    """Reads one file into `raw_sales`.

    Attributes
    ----------
    without_partner : dict of str to int
        Filled by `judge`: rows without a partner, by the files of each table beside the sales.
    """

    connection: duckdb.DuckDBPyConnection
    file: str
    file_id: int
    sales: SalesSettings
    joined: Sequence[JoinedTable]
    without_partner: dict[str, int] = field(default_factory=dict)

    def read_csv(self, layout: FileFormat, folder: Path) -> int:
        """Insert the rows of a CSV file, each of its lines accounted for; return how many rows the lines hold."""
        plain, count, set_aside = as_duckdb_reads(layout, folder)
        n_rows = count.n_filled - layout.n_head
        self.insert(plain)
        if self._n_read() != n_rows:
            found = _quoted_lines(plain, self.sales)
            n_rows -= found.n_continued
            if found.stray:
                forget_file(self.connection, self.file_id)
                self.connection.execute(statement("drop_malformed_lines"))
                plain, set_aside = write_copy(layout, folder, found.stray)
                self.insert(plain)
        if (n_read := self._n_read()) != n_rows:
            raise SalesFileError(
                f"{self.file} holds {n_rows} rows by its lines, but {n_read} by its quotes; look at the quotes in it"
            )
        self.judge(plain)
        self.connection.execute(statement("shift_lines"), {"file_id": self.file_id})
        self.connection.execute(statement("store_malformed_lines"), {"file_id": self.file_id})
        self.connection.execute(statement("drop_malformed_lines"))
        for number, line in enumerate(set_aside):
            values = {"mark": f"{SET_ASIDE}{number}", "reason": line.reason, "row": line.text}
            self.connection.execute(statement("name_set_aside"), {"file_id": self.file_id, **values})
        return n_rows

    def insert(self, layout: FileFormat) -> None:
        """Insert the rows of a file of this layout, those apart that its parser does not understand."""
        layout, source, of_source = self._source(layout)
        sales = self.sales
        columns = delivered_columns(self.file, layout, sales, source["row"])
        not_products = not_products_pattern(self.connection, sales.not_products)
        unit = discount_unit(self.connection, self.file, source, of_source, columns, sales)
        values = {
            "file_id": self.file_id,
            "period": sales.period,
            "first_week": sales.first_week,
            "not_products": not_products,
            **of_source,
        }
        self.connection.execute(
            statement("read_file", **source, **column_parts(columns, sales, unit)), values
        )

    def judge(self, layout: FileFormat) -> None:
        """Refuse unreadable controls, reject duplicates, name missing partners: what a file's rows together tell."""
        own, (layout, source, of_source) = layout, self._source(layout)
        suspects = _scarce_numbers(self.connection, self.file_id, self.sales)
        if suspects:
            columns = delivered_columns(self.file, layout, self.sales, source["row"])
            asked = readability(columns[f"{key}.{name}"] for key, name in suspects)
            ask = statement("readability", **source, columns=asked)
            found = self.connection.execute(ask, of_source).fetchall()[0]
            _refuse_unreadable(self.file, dict(zip(suspects, found, strict=True)))
        place = "store" if self.sales.columns.zone is None else "store, zone"
        if _has_duplicates(self.connection, self.file_id, place):
            values = {"file_id": self.file_id, **of_source}
            self.connection.execute(statement("reject_duplicates", **source, place=place), values)
        if self.joined:
            self.connection.execute(statement("find_without_partner", **source), of_source)
            self._name_missing_partners(own)

    def _name_missing_partners(self, own: FileFormat) -> None:
        """Count the rows without a partner, and say so in the reason of those that lack a column for it."""
        counts = dict(self.connection.execute(statement("rows_without_partner")).fetchall())
        for number, table in enumerate(self.joined):
            if number not in counts:
                continue
            self.without_partner[table.files] = counts[number]
            missing = [
                f"no {'price' if role == 'revenue' else role}"
                for role, name in self.sales.columns
                if name is not None and own.find(name) is None and folded(name) in map(folded, table.columns)
            ]
            why = no_partner(table.files.split(", "))
            values = {"reasons": missing, "why": why, "number": number}
            self.connection.execute(statement("name_missing_partner"), {"file_id": self.file_id, **values})

    def _source(self, layout: FileFormat) -> tuple[FileFormat, Source, dict[str, Any]]:
        """Say where rows come from, those of the tables beside the sales joined to them."""
        source, of_source = row_source(layout)
        if self.joined:
            layout, source = with_joined(self.file, layout, source, self.joined, self.sales)
        return layout, source, of_source

    def _n_read(self) -> int:
        return one_row(self.connection, "rows_read", {"file_id": self.file_id})[0]


def _quoted_lines(layout: FileFormat, sales: SalesSettings) -> QuotedLines:
    """Tell values with line breaks from stray quotes, by the columns that hold a digit in each row."""
    columns = sales.columns
    named = [columns.period, columns.units, columns.price or columns.revenue]
    found = [layout.find(name) for name in named if name]
    digits = [list(layout.columns).index(column) for column in found if column]
    return quoted_lines_of(layout, digits)


def _scarce_numbers(
    connection: duckdb.DuckDBPyConnection, file_id: int, sales: SalesSettings
) -> list[tuple[str, str]]:
    """Name the columns of numbers that so many rows of a file lack that too many of their values may be unreadable.

    Only these are worth a second scan of the file, which tells values not given from those unreadable. Each comes
    after the setting that names it.
    """
    stored = {("controls", name): quoted(name) for name in sales.controls}
    for number, name in enumerate(sales.zones.covariates, start=1):
        stored["zones.covariates", name] = f"zone_covariates[{number}]"
    if not stored:
        return []
    counts = ", ".join(f"count({column})" for column in stored.values())
    filled = statement("filled_numbers", counts=counts)
    n_rows, n_filled = connection.execute(filled, {"file_id": file_id}).fetchall()[0]
    return [named for named, n in zip(stored, n_filled, strict=True) if n_rows - n > MOST_UNREADABLE * n]


def _refuse_unreadable(file: str, readability_of: dict[tuple[str, str], dict[str, Any]]) -> None:
    """Refuse the first column with too many values that are neither numbers nor yes or no."""
    for (key, name), found in readability_of.items():
        if found["n_unreadable"] > MOST_UNREADABLE * found["n_given"]:
            raise SettingsError(
                f"sales.{key}: {name!r} has {found['n_unreadable']} values in {file} that are neither numbers "
                f"nor yes or no, such as {found['example']!r}; leave it out, or deliver numbers"
            )


def forget_file(connection: duckdb.DuckDBPyConnection, file_id: int) -> None:
    """Delete a file's rows."""
    for table in ("unused_sales", "raw_sales", "sales_files"):
        connection.execute(statement("forget_file", table=quoted(table)), {"file_id": file_id})


def _has_duplicates(connection: duckdb.DuckDBPyConnection, file_id: int, place: str) -> bool:
    """Whether the file has one line a product-period and place, and repeats some: then the copies are mistakes.

    In a file of transactions equal lines are separate sales.
    """
    lines = statement("repeated_lines", place=place)

    def repeated(mask: int) -> tuple:
        return connection.execute(lines, {"file_id": file_id, "mask": mask}).fetchall()[0]

    if not connection.execute(statement("repeats_days", place=place), {"file_id": file_id}).fetchall()[0][0]:
        return False
    # A few products tell a file of transactions, which most large files are.
    n, _, n_differing = repeated(_SAMPLE_MASK)
    if n >= _SAMPLE_LEAST and n_differing > _SURELY_MORE * FEW * n:
        return False
    n, n_repeated, n_differing = repeated(0)
    return n_repeated > 0 and n_differing <= FEW * n


def one_row(connection: duckdb.DuckDBPyConnection, name: str, values: dict[str, Any] | None = None) -> tuple:
    """Return the one row of the statement of this name."""
    row = connection.execute(statement(name), values or {}).fetchone()
    if row is None:
        raise RuntimeError(f"{name} returned no row")
    return row
