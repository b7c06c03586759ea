"""The lines of a CSV file, counted in its bytes apart from any parser; and copies of files that DuckDB cannot read."""

import gzip
import io
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np

from elasticity_assets.ingestion.accounts import SalesFileError
from elasticity_assets.ingestion.layout import FileFormat
from elasticity_assets.ingestion.quotes import QuotedLines, quoted_lines

CHUNK = 1 << 22
"""Bytes, or characters, read at a time."""

SET_ASIDE = "\x1a"
"""Begins the line of a copy that stands for one that no parser is to see; its number among them follows."""


@dataclass(frozen=True)
class LineCount:
    """What a CSV file's bytes say of its lines.

    Attributes
    ----------
    n_filled : int
        Lines that are not empty.
    ends_alike : bool
        Whether all lines end alike: with a line feed, or with a carriage return and a line feed.
    has_nul : bool
        Whether any line holds a NUL character.
    """

    n_filled: int
    ends_alike: bool
    has_nul: bool


@dataclass(frozen=True)
class SetAside:
    """A line that no parser is to see: why, and its text."""

    reason: str
    text: str


@contextmanager
def opened(layout: FileFormat) -> Iterator[BinaryIO]:
    """Yield a CSV file's bytes, unzipped."""
    with Path(layout.path).open("rb") as stream:
        if layout.compression == "none":
            yield stream
        else:
            with gzip.GzipFile(fileobj=stream) as unzipped:
                yield cast(BinaryIO, unzipped)


def count_lines(layout: FileFormat) -> LineCount:
    """Count the lines of a CSV file in UTF-8."""
    n_ends = n_empty = n_cr = n_both = 0
    has_nul, last = False, b"\n"
    with opened(layout) as stream:
        while chunk := stream.read(CHUNK):
            if chunk.endswith(b"\r"):
                chunk += stream.read(1)
            has_nul = has_nul or b"\0" in chunk
            if b"\r" in chunk:
                n_cr += chunk.count(b"\r")
                n_both += chunk.count(b"\r\n")
                chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
            n_ends += chunk.count(b"\n")
            n_empty += _n_empty(last + chunk)
            last = chunk[-1:]
    n_lines = n_ends + (last != b"\n")
    return LineCount(n_lines - n_empty, n_cr == n_both and n_both in (0, n_ends), has_nul)


def quoted_lines_of(layout: FileFormat, digits: Sequence[int] = ()) -> QuotedLines:
    """Tell a CSV file's quoted values with line breaks from quotes that do not close; see `quoted_lines`."""
    with opened(layout) as stream:
        lines = (line.decode("utf-8", errors="replace").rstrip("\r\n") for line in stream)
        return quoted_lines(lines, layout.delimiter, len(layout.columns), digits)


def _n_empty(text: bytes) -> int:
    """Count the line feeds that follow another at once."""
    if b"\n\n" not in text:
        return 0
    is_end = np.frombuffer(text, np.uint8) == ord("\n")
    return int(np.count_nonzero(is_end[1:] & is_end[:-1]))


def as_duckdb_reads(layout: FileFormat, folder: Path) -> tuple[FileFormat, LineCount, list[SetAside]]:
    """Copy a CSV file where DuckDB would not read it as it is, and count its lines; see `write_copy`."""
    if layout.encoding == "utf-8":
        count = count_lines(layout)
        if count.ends_alike and not count.has_nul and not layout.quotes_above:
            return layout, count, []
    copy, set_aside = write_copy(layout, folder)
    return copy, count_lines(copy), set_aside


def write_copy(
    layout: FileFormat, folder: Path, stray_quotes: Collection[int] = ()
) -> tuple[FileFormat, list[SetAside]]:
    """Copy a CSV file as DuckDB reads it: UTF-8, line feeds, and lines that no parser is to see set aside.

    Parameters
    ----------
    layout : FileFormat
    folder : Path
        Where to write.
    stray_quotes : collection of int
        Lines, counted from 1, with a quote that opens and does not close.

    Returns
    -------
    layout : FileFormat
        Of the copy.
    set_aside : list of SetAside
        Those lines, and those with a NUL character; in the copy each is one field, `SET_ASIDE` and its place here.

    Raises
    ------
    SalesFileError
        If the file is not text in its encoding.
    """
    file = folder / f"copy{len(list(folder.iterdir()))}.csv"
    set_aside: list[SetAside] = []
    utf_8 = layout.encoding == "utf-8"
    # What is no UTF-8 stays as it is: DuckDB rejects its line.
    errors = "surrogateescape" if utf_8 else "strict"
    encoding = "utf-8-sig" if utf_8 else layout.encoding
    try:
        with (
            opened(layout) as stream,
            io.TextIOWrapper(stream, encoding, errors, newline=None) as text,
            file.open("w", encoding="utf-8", errors=errors, newline="\n") as copy,
        ):
            number = layout.header_line - 1
            for _ in range(number):
                # A title's quotes would swallow the header.
                copy.write("-\n" if text.readline().strip("\n") else "\n")
            while lines := text.readlines(CHUNK):
                if stray_quotes or any("\0" in line for line in lines):
                    for place, line in enumerate(lines):
                        stray = number + place + 1 in stray_quotes
                        if stray or "\0" in line:
                            reason = "quote that does not close" if stray else "NUL character"
                            lines[place] = f"{SET_ASIDE}{len(set_aside)}\n"
                            set_aside.append(SetAside(f"malformed line: {reason}", line.rstrip("\n")))
                copy.writelines(lines)
                number += len(lines)
    except UnicodeError as error:
        raise SalesFileError(
            f"{layout.path} is not {layout.encoding} text: {error}; set sales.encoding"
        ) from None
    return replace(
        layout, path=str(file), encoding="utf-8", compression="none", quotes_above=False
    ), set_aside
