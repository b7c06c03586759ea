"""The files that `elasticity init` is given: which hold sales, in which encoding, and their rows in one table."""

import codecs
import glob
import gzip
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from elasticity_assets.ingestion.accounts import SalesFileError
from elasticity_assets.ingestion.files import unreadable_told
from elasticity_assets.ingestion.initial_settings.column_names import name_strengths
from elasticity_assets.ingestion.initial_settings.header_lines import (
    MOST_LINES,
    csv_header_line,
    header_place,
)
from elasticity_assets.ingestion.layout import FileFormat, examine
from elasticity_assets.ingestion.lines import as_duckdb_reads, quoted_lines_of, write_copy
from elasticity_assets.ingestion.reading import row_source
from elasticity_assets.ingestion.workbook import sheet_tops
from elasticity_assets.settings import SettingsError
from elasticity_assets.warehouse.sql import quoted, statement
from elasticity_assets.words import in_one_line

ENDINGS = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".txt.gz", ".parquet", ".xlsx")
"""Files of a folder that may hold sales."""

MOST_BYTES = 2 * 10**9
"""Of larger files together, only as many are looked at."""

HEAD_BYTES = 1 << 18
"""Bytes of a text file among which its header is looked for."""

MOST_ROWS = 5_000_000
"""Rows of a file that are looked at; of a larger one, as many drawn by chance."""


@dataclass(frozen=True)
class DeliveredFile:
    """One file, as it is laid out.

    Attributes
    ----------
    path : Path
    layout : FileFormat
    encoding : str
        As the settings name it.
    sheet : str, optional
        Of a workbook with several.
    sheets_alike : tuple of str
        Its other sheets with the same columns.
    """

    path: Path
    layout: FileFormat
    encoding: str
    sheet: str | None = None
    sheets_alike: tuple[str, ...] = ()

    @property
    def columns(self) -> frozenset[str]:
        """Names of its columns, without regard to case."""
        return frozenset(name.strip().casefold() for name in self.layout.columns)


def named_files(paths: Sequence[str]) -> list[Path]:
    """List the files that arguments name: files, folders with what is in them, globs.

    Raises
    ------
    SettingsError
        If an argument names nothing.
    """
    found: dict[Path, None] = {}
    for path in paths:
        if Path(path).is_file():
            found[Path(path)] = None
            continue
        if Path(path).is_dir():
            inside = sorted(p for p in Path(path).iterdir() if _may_hold_sales(p))
            inside = inside or sorted(p for p in Path(path).rglob("*") if _may_hold_sales(p))
            if not inside:
                raise SettingsError(f"{path}: there is no file in it that ends with {', '.join(ENDINGS)}")
        else:
            inside = [Path(p) for p in sorted(glob.glob(path, recursive=True)) if Path(p).is_file()]
            if not inside:
                raise SettingsError(f"{path}: there is no such file, folder or glob")
        found |= dict.fromkeys(inside)
    return list(found)


def _may_hold_sales(path: Path) -> bool:
    return path.is_file() and not path.name.startswith(".") and path.name.casefold().endswith(ENDINGS)


def lay_out(connection: duckdb.DuckDBPyConnection, path: Path, folder: Path) -> DeliveredFile:
    """Find out how a file is laid out, its header below titles; `folder` takes a copy where DuckDB needs one.

    Raises
    ------
    SalesFileError
        If it cannot be read.
    """
    encoding = _encoding(path)
    if _is_workbook(path):
        return _workbook(connection, path, folder)
    header_line = csv_header_line(_head(path, encoding)) if _is_text(path) else None
    if header_line == 1:
        header_line = None
    layout = examine(connection, str(path), folder, encoding=encoding, header_line=header_line)
    if layout.kind == "csv":
        layout, count, _ = as_duckdb_reads(layout, folder)
        if path.stat().st_size <= MOST_BYTES:
            layout = _without_stray_quotes(connection, layout, count.n_filled - layout.n_head, folder)
    return DeliveredFile(path, layout, encoding)


def _without_stray_quotes(
    connection: duckdb.DuckDBPyConnection, layout: FileFormat, n_rows: int, folder: Path
) -> FileFormat:
    """Set aside lines whose quote does not close, where quotes make fewer rows than there are lines."""
    source, values = row_source(layout)
    connection.execute(statement("forget_malformed_lines"))
    (n_read,) = connection.execute(statement("rows_of_file", **source), values).fetchall()[0]
    (n_malformed,) = connection.execute(statement("malformed_lines")).fetchall()[0]
    if n_read + n_malformed >= n_rows:
        return layout
    stray = quoted_lines_of(layout).stray
    return write_copy(layout, folder, stray)[0] if stray else layout


def _is_workbook(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(4) in (b"PK\3\4", b"\xd0\xcf\x11\xe0")


def _is_text(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(4) != b"PAR1"


def _head(path: Path, encoding: str) -> str:
    """Decode a text file's first lines."""
    with path.open("rb") as stream:
        zipped = stream.read(2) == b"\x1f\x8b"
    with gzip.open(path) if zipped else path.open("rb") as stream:
        start = stream.read(HEAD_BYTES)
    return start.decode("utf-8-sig" if encoding == "utf-8" else encoding, errors="replace")


def _workbook(connection: duckdb.DuckDBPyConnection, path: Path, folder: Path) -> DeliveredFile:
    """Lay out the sheet whose columns' names speak most for sales, or the first."""
    layouts = []
    for number, (sheet, rows) in enumerate(sheet_tops(str(path), MOST_LINES).items()):
        if any(rows):
            own = folder / f"sheet{number}"
            own.mkdir()
            line = header_place(rows) + 1
            layouts.append(examine(connection, str(path), own, sheet=sheet, header_line=line))
    if not layouts:
        raise SalesFileError(f"{path} has no sheet with a table")
    best = max(layouts, key=lambda layout: (speaks_for_sales(layout.columns), -layouts.index(layout)))
    alike = tuple(
        layout.sheet
        for layout in layouts
        if layout.sheet and layout is not best and set(layout.columns) == set(best.columns)
    )
    return DeliveredFile(path, best, "utf-8", best.sheet if len(layouts) > 1 else None, alike)


def _encoding(path: Path) -> str:
    """Tell the encoding of a text file from all its bytes: UTF-8 if it is that, else what its bytes allow."""
    with path.open("rb") as stream:
        start = stream.read(4096)
    if start[:4] == b"PAR1" or start[:2] == b"PK":
        return "utf-8"
    if start[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return "utf-16"
    zipped = start[:2] == b"\x1f\x8b"
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        with gzip.open(path) if zipped else path.open("rb") as stream:
            while chunk := stream.read(1 << 20):
                decoder.decode(chunk)
            decoder.decode(b"", final=True)
            return "utf-8"
    except UnicodeDecodeError:
        pass
    except (OSError, EOFError) as error:
        raise SalesFileError(f"{path} cannot be read: {error}") from None
    if start[1:400:2].count(0) > 0.3 * len(start[1:400:2]) or start[:400:2].count(0) > 0.3 * len(
        start[:400:2]
    ):
        return "utf-16"
    with gzip.open(path) if zipped else path.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            if any(
                0x80 <= byte <= 0x9F for byte in chunk
            ):  # signs such as € there, control characters in latin-1
                return "cp1252"
    return "latin-1"


@dataclass(frozen=True)
class SalesFiles:
    """Files of one shape, and others beside them.

    Attributes
    ----------
    sales : list of DeliveredFile
        Those of the sales: of the same columns.
    beside : list of DeliveredFile
        Others: price lists, product tables, calendars.
    unreadable : list of str
        Why others cannot be read.
    """

    sales: list[DeliveredFile]
    beside: list[DeliveredFile]
    unreadable: list[str]


def speaks_for_sales(columns: Iterable[str]) -> int:
    """Weigh how much columns' names speak for sales: units above all, then products, then money."""
    roles = {role for name in columns for role in name_strengths(name)}
    return 4 * ("units" in roles) + 2 * ("product" in roles) + bool(roles & {"price", "revenue"})


def sort_out(connection: duckdb.DuckDBPyConnection, paths: Sequence[Path], folder: Path) -> SalesFiles:
    """Group files by their columns; the sales are those whose columns' names speak most for sales, then the largest.

    Raises
    ------
    SalesFileError
        If none can be read.
    """
    files, unreadable = [], []
    for number, path in enumerate(paths):
        own = folder / str(number)
        own.mkdir()
        try:
            files.append(lay_out(connection, path, own))
        except (SalesFileError, SettingsError) as error:
            unreadable.append(in_one_line(error))
    if not files:
        raise SalesFileError(unreadable[0])
    groups: dict[frozenset[str], list[DeliveredFile]] = {}
    for file in files:
        groups.setdefault(file.columns, []).append(file)

    def weight(group: list[DeliveredFile]) -> tuple[int, int]:
        size = sum(file.path.stat().st_size for file in group)
        return speaks_for_sales(group[0].layout.columns), size

    sales = max(groups.values(), key=weight)
    return SalesFiles(sales, [file for file in files if file not in sales], unreadable)


def load_delivered(connection: duckdb.DuckDBPyConnection, files: Sequence[DeliveredFile]) -> tuple[int, bool]:
    """Put the rows of files into the table `delivered`, as they were delivered.

    Returns
    -------
    n_rows : int
    is_sample : bool
        Whether these are only some of the rows.
    """
    is_sample, n_bytes = False, 0
    for number, file in enumerate(files):
        if number and n_bytes > MOST_BYTES:
            is_sample = True
            break
        n_bytes += file.path.stat().st_size
        source, values = row_source(file.layout)
        target = "create_delivered" if number == 0 else "add_delivered"
        sample = f"USING SAMPLE reservoir({MOST_ROWS} ROWS) REPEATABLE (1)" if n_bytes > MOST_BYTES else ""
        is_sample = is_sample or bool(sample)
        columns = ", ".join(f"{source['row']}.{quoted(name)}" for name in file.layout.columns)
        parts = {"source": source["source"], "row": source["row"], "columns": columns, "sample": sample}
        with unreadable_told(str(file.path)):
            connection.execute(statement(target, **parts), values)
    return connection.execute(statement("count_delivered")).fetchall()[0][0], is_sample


def settings_path(arguments: Sequence[str], files: Sequence[DeliveredFile], folder: Path) -> str | list[str]:
    """Write the paths of the sales for the settings, relative to their folder: globs as given, else files.

    A folder of sales whose files all end alike becomes a glob, so that what is delivered later counts.
    """
    paths: dict[str, None] = {}
    names = {file.path for file in files}
    for argument in arguments:
        if Path(argument).is_dir():
            inside = named_files([argument])
            ending = next((e for e in ENDINGS if all(p.name.casefold().endswith(e) for p in inside)), None)
            flat = all(path.parent == Path(argument) for path in inside)
            if ending and flat and names >= set(inside):
                paths[os.path.join(_relative(Path(argument), folder), f"*{ending}").removeprefix("./")] = None
            else:
                paths |= {_relative(path, folder): None for path in inside if path in names}
        elif Path(argument).is_file():
            if Path(argument) in names:
                paths[_relative(Path(argument), folder)] = None
        elif {Path(p) for p in glob.glob(argument, recursive=True) if Path(p).is_file()} <= names:
            paths[os.path.relpath(os.path.abspath(argument), folder)] = None
        else:
            paths |= {_relative(path, folder): None for path in named_files([argument]) if path in names}
    listed = list(paths)
    return listed[0] if len(listed) == 1 else listed


def roots_outside(files: Iterable[Path], folder: Path) -> list[str]:
    """List the folders of files that lie outside of the settings' folder, as `sales.roots` has them."""
    own = folder.resolve()
    outside = {real.parent for file in files if not (real := file.resolve()).is_relative_to(own)}
    return [_relative(root, folder) for root in sorted(outside) if not outside & set(root.parents)]


def _relative(path: Path, folder: Path) -> str:
    return os.path.relpath(path.absolute(), folder)
