"""How a sales file is laid out: its kind, header, columns, delimiter and encoding."""

import codecs
import csv
import gzip
import io
import re
import zlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

import duckdb

from elasticity_assets.ingestion.accounts import SalesFileError
from elasticity_assets.ingestion.files import escaped
from elasticity_assets.ingestion.header import MOST_TITLE_LINES, distinct, folded, n_found
from elasticity_assets.ingestion.workbook import write_sheet
from elasticity_assets.settings import SettingsError
from elasticity_assets.warehouse.sql import statement
from elasticity_assets.words import in_one_line

DELIMITERS = (",", ";", "\t", "|")

LONGEST_HEADER = 1 << 20
"""Bytes up to the end of a CSV file's header, at most."""

_MARKS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


@dataclass(frozen=True)
class FileFormat:
    """How a sales file is laid out.

    Attributes
    ----------
    path : str
        What DuckDB reads: the file itself, or a copy of it that DuckDB can read.
    kind : str
        csv or parquet; a workbook's sheet is read from a copy of it as Parquet.
    columns : dict of str to str
        Column names, each of its own, and their DuckDB types, in the file's order; VARCHAR in a CSV file.
    names : tuple of str
        Column names as they stand in the file, where some may be alike.
    header_line : int
        The line of a CSV file or workbook that holds them, counted from 1; 0 of a Parquet file.
    n_head : int
        Lines of a CSV file down to the first of its header that are not empty; names may go on in the next ones.
    quotes_above : bool
        Whether a line above a CSV file's header holds a quote.
    delimiter, encoding, compression : str
        Of a CSV file; the encoding in Python's words, the compression none or gzip.
    sheet : str, optional
        Of a workbook.
    """

    path: str
    kind: str
    columns: dict[str, str]
    names: tuple[str, ...]
    header_line: int = 0
    n_head: int = 0
    quotes_above: bool = False
    delimiter: str = ","
    encoding: str = "utf-8"
    compression: str = "none"
    sheet: str | None = None

    def find(self, name: str) -> str | None:
        """Return the file's column called `name`: exactly if there is one, else without regard to case.

        Raises
        ------
        ValueError
            If several are called so; told without the file's name.
        """
        for like in (str, folded):
            places = [place for place, found in enumerate(self.names) if like(found) == like(name)]
            if len(places) > 1:
                raise ValueError(
                    f"has {len(places)} columns called {name!r}, "
                    f"number {', '.join(str(place + 1) for place in places)} of line {self.header_line or 1}; "
                    "rename all but one"
                )
            if places:
                return list(self.columns)[places[0]]
        return name if name in self.columns else None


def python_encoding(name: str) -> str:
    """Name an encoding as Python does.

    Raises
    ------
    SettingsError
        If there is none of that name.
    """
    try:
        normal = codecs.lookup(name).name
        "".encode(normal)  # refuses what is no encoding of text
    except LookupError:
        raise SettingsError(
            f"sales.encoding: {name!r} is not known; use utf-8, latin-1, utf-16 or another, such as cp1252"
        ) from None
    return "utf-8" if normal in ("ascii", "utf-8-sig") else normal


def examine(
    connection: duckdb.DuckDBPyConnection,
    file: str,
    folder: Path,
    *,
    encoding: str = "utf-8",
    delimiter: str | None = None,
    decimal: str = ".",
    wanted: Collection[str] = (),
    sheet: str | None = None,
    header_line: int | None = None,
) -> FileFormat:
    """Find out how a file is laid out.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
    file : str
    folder : Path
        Takes the copy of a workbook's sheet.
    encoding, delimiter : str
        Of a CSV file; a byte order mark overrules the encoding. Without a delimiter, the one that splits its
        header into most of the columns `wanted`, then into most columns.
    decimal : str
        Decimal mark of a workbook's numbers where a column holds text too.
    wanted : collection of str
        Column names: the header is the first line with most of them.
    sheet : str, optional
        Of a workbook; by default the only one that holds most of the columns `wanted`.
    header_line : int, optional
        Counted from 1; by default found.

    Raises
    ------
    SalesFileError
        If it is neither a Parquet file, a workbook nor text in that encoding, or has no header.
    SettingsError
        If the encoding is not known, or the sheet.
    """
    encoding = python_encoding(encoding)
    try:
        with Path(file).open("rb") as stream:
            magic = stream.read(4)
            if magic == b"SQLi" or stream.read(8)[4:] == b"DUCK":
                raise SalesFileError(
                    f"{file} is a database: instead of sales.path, write sales.table: "
                    f"{{database: {file}, name: the table's name}}"
                )
            stream.seek(0)
            if magic == b"PAR1":
                columns = _parquet_columns(connection, file)
                return FileFormat(file, "parquet", columns, tuple(columns))
            if magic in (b"PK\3\4", b"\xd0\xcf\x11\xe0"):
                written = write_sheet(
                    connection,
                    file,
                    folder,
                    sheet=sheet,
                    wanted=wanted,
                    header_line=header_line,
                    decimal=decimal,
                )
                return FileFormat(
                    written.path,
                    "parquet",
                    written.columns,
                    written.names,
                    written.header_line,
                    sheet=written.sheet,
                )
            zipped = magic[:2] == b"\x1f\x8b"
            with gzip.GzipFile(fileobj=stream) if zipped else stream as text:
                start = cast(BinaryIO, text).read(LONGEST_HEADER)
    except (OSError, EOFError, zlib.error) as error:
        raise SalesFileError(f"{file} cannot be read: {error}") from None
    encoding = next((marked for mark, marked in _MARKS.items() if start.startswith(mark)), encoding)
    head = start.decode("utf-8-sig" if encoding == "utf-8" else encoding, errors="replace")
    if "\0" in head.partition("\n")[0]:
        raise SalesFileError(
            f"{file} is not {encoding} text; save it as CSV or Parquet, or set sales.encoding"
        )
    lines = re.split("\r\n|\r|\n", head)
    try:
        line, found, names = _header(lines, [delimiter] if delimiter else DELIMITERS, wanted, header_line)
    except csv.Error as error:
        raise SalesFileError(f"{file} cannot be read: its header is no line of CSV: {error}") from None
    if not names:
        raise SalesFileError(f"{file} has no header: its first line is empty")
    if any("\ufffd" in name for name in names):
        raise SalesFileError(f"{file} is not {encoding} text; set sales.encoding, such as latin-1")
    columns = dict.fromkeys(distinct(names), "VARCHAR")
    return FileFormat(
        file,
        "csv",
        columns,
        tuple(names),
        line,
        n_head=sum(1 for text in lines[:line] if text),
        quotes_above=any('"' in text for text in lines[: line - 1]),
        delimiter=found,
        encoding=encoding,
        compression="gzip" if zipped else "none",
    )


def _parquet_columns(connection: duckdb.DuckDBPyConnection, file: str) -> dict[str, str]:
    try:
        rows = connection.execute(statement("describe_parquet"), [escaped(file)]).fetchall()
    except duckdb.Error as error:
        raise SalesFileError(f"{file} cannot be read as Parquet: {in_one_line(error)}") from None
    return {row[0]: row[1] for row in rows}


def _header(
    lines: Sequence[str], delimiters: Sequence[str], wanted: Collection[str], header_line: int | None
) -> tuple[int, str, list[str]]:
    """Find the header: its first line, counted from 1, the delimiter, and the column names."""
    first = next((number for number, line in enumerate(lines) if line.strip()), 0)
    places = range(first, first + MOST_TITLE_LINES) if header_line is None else [header_line - 1]
    best: tuple[int, str, list[str]] = (1, delimiters[0], [])
    most = (-1, 0, 0)
    for place in places:
        if place >= len(lines) or (place > first and not wanted and header_line is None):
            break
        # A quoted name may go on in the next lines.
        text = "\n".join(lines[place : place + MOST_TITLE_LINES])
        for delimiter in delimiters:
            reader = csv.reader(io.StringIO(text), delimiter=delimiter)
            try:
                names = next(reader, [])
            except csv.Error:
                if place == places[0]:
                    raise
                continue
            rank = (n_found(names, wanted), -place, len(names))
            if rank > most:
                best, most = (place + 1, delimiter, names), rank
    return best
