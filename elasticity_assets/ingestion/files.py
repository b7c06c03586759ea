"""Sales files: which there are, whether they changed, what columns they have."""

import codecs
import csv
import fnmatch
import glob
import gzip
import hashlib
import io
import os
import zlib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

import duckdb

from elasticity_assets.ingestion.accounts import SalesFileError
from elasticity_assets.settings import SettingsError
from elasticity_assets.warehouse.sql import statement
from elasticity_assets.words import in_one_line

DELIMITERS = (",", ";", "\t", "|")

LONGEST_HEADER = 1 << 20
"""Bytes of a CSV file's header, at most."""


@dataclass(frozen=True)
class FileFormat:
    """How a sales file is laid out.

    Attributes
    ----------
    kind : str
        csv or parquet.
    columns : dict of str to str
        Column names and their DuckDB types, in the file's order; VARCHAR in a CSV file.
    delimiter, encoding, compression : str
        Of a CSV file, in DuckDB's words.
    """

    kind: str
    columns: dict[str, str]
    delimiter: str = ","
    encoding: str = "utf-8"
    compression: str = "none"

    def find(self, name: str) -> str | None:
        """Return the file's column called `name`: exactly if there is one, else without regard to case."""
        if name in self.columns:
            return name
        return {column.strip().casefold(): column for column in reversed(self.columns)}.get(
            name.strip().casefold()
        )


def find_files(patterns: list[str], known: Collection[str] = ()) -> dict[str, int]:
    """List the files that the settings name: full path -> index of the first pattern that names it.

    Raises
    ------
    SettingsError
        If a pattern names a folder; or no file there is, and none among those `known`.
    """
    found: dict[str, int] = {}
    for place, pattern in enumerate(patterns):
        # A name may hold brackets; it is a pattern only where no file has that very name.
        names = [pattern] if Path(pattern).exists() else sorted(glob.glob(pattern, recursive=True))
        if not names and not fnmatch.filter(known, os.path.abspath(pattern)):
            raise SettingsError(f"sales.path: there is no file {pattern}")
        for name in names:
            path = Path(os.path.abspath(name))  # one name a file, also where the pattern has `..`
            if path.is_file():
                found.setdefault(str(path), place)
            elif pattern == name:
                raise SettingsError(
                    f"sales.path: {name} is a folder; name its files, such as {name.rstrip('/')}/*.csv"
                )
    return found


def content_hash(file: str) -> str:
    """SHA-256 of a file's bytes, hexadecimal.

    Raises
    ------
    SalesFileError
        If the file cannot be read.
    """
    try:
        with Path(file).open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise SalesFileError(f"{file} cannot be read: {error.strerror}") from None


def duckdb_encoding(name: str) -> str:
    """Name an encoding as DuckDB does.

    Raises
    ------
    SettingsError
        If DuckDB does not read it.
    """
    try:
        normal = codecs.lookup(name).name
    except LookupError:
        normal = name
    known = {
        "utf-8": "utf-8",
        "utf-8-sig": "utf-8",
        "ascii": "utf-8",
        "iso8859-1": "latin-1",
        "utf-16": "utf-16",
    }
    if normal not in known:
        raise SettingsError(f"sales.encoding: {name!r} is not known; use utf-8, latin-1 or utf-16")
    return known[normal]


def examine(
    connection: duckdb.DuckDBPyConnection,
    file: str,
    *,
    encoding: str,
    delimiter: str | None = None,
    wanted: Collection[str] = (),
) -> FileFormat:
    """Find out how a file is laid out.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
    file : str
    encoding, delimiter : str
        Of a CSV file. Without a delimiter, the one that splits its header into most of the columns
        `wanted`, then into most columns.

    Raises
    ------
    SalesFileError
        If it is neither a Parquet file nor text in that encoding, or has no header.
    SettingsError
        If the encoding is not known.
    """
    of_csv = duckdb_encoding(encoding)
    try:
        with Path(file).open("rb") as stream:
            magic = stream.read(4)
            stream.seek(0)
            if magic == b"PAR1":
                return FileFormat("parquet", _parquet_columns(connection, file))
            if magic[:2] == b"PK":
                raise SalesFileError(f"{file} is a workbook or ZIP archive; save it as CSV or Parquet")
            zipped = magic[:2] == b"\x1f\x8b"
            with gzip.GzipFile(fileobj=stream) if zipped else stream as text:
                start = _start(cast(BinaryIO, text), of_csv)
    except (OSError, EOFError, zlib.error) as error:
        raise SalesFileError(f"{file} cannot be read: {error}") from None
    if "\0" in start:
        raise SalesFileError(
            f"{file} is not {encoding} text; save it as CSV or Parquet, or set sales.encoding"
        )
    try:
        delimiter = delimiter or _delimiter(start, wanted)
        names = _header(start, delimiter)
    except csv.Error as error:
        raise SalesFileError(f"{file} cannot be read: its header is no line of CSV: {error}") from None
    if not names:
        raise SalesFileError(f"{file} has no header: its first line is empty")
    if any("\ufffd" in name for name in names):
        raise SalesFileError(f"{file} is not {encoding} text; set sales.encoding, such as latin-1")
    compression = "gzip" if zipped else "none"
    return FileFormat("csv", dict.fromkeys(_distinct(names), "VARCHAR"), delimiter, of_csv, compression)


def _parquet_columns(connection: duckdb.DuckDBPyConnection, file: str) -> dict[str, str]:
    try:
        rows = connection.execute(statement("describe_parquet"), [file]).fetchall()
    except duckdb.Error as error:
        raise SalesFileError(f"{file} cannot be read as Parquet: {in_one_line(error)}") from None
    return {row[0]: row[1] for row in rows}


def _start(stream: BinaryIO, encoding: str) -> str:
    """Decode a file's first characters; what is not text in that encoding becomes U+FFFD."""
    start = stream.read(LONGEST_HEADER)
    return start.decode("utf-8-sig" if encoding == "utf-8" else encoding, errors="replace")


def _header(start: str, delimiter: str) -> list[str]:
    return next(csv.reader(io.StringIO(start), delimiter=delimiter), [])


def _delimiter(start: str, wanted: Collection[str]) -> str:
    folded = {name.strip().casefold() for name in wanted}

    def columns(delimiter: str) -> tuple[int, int]:
        names = _header(start, delimiter)
        return len(folded & {name.strip().casefold() for name in names}), len(names)

    return max(DELIMITERS, key=columns)


def _distinct(names: list[str]) -> list[str]:
    """Give every column a name of its own, without regard to case."""
    distinct: list[str] = []
    seen: set[str] = set()
    for number, name in enumerate(names, start=1):
        unique = name or f"column {number}"
        while unique.casefold() in seen:
            unique = f"{unique}_{number}"
        seen.add(unique.casefold())
        distinct.append(unique)
    return distinct
