"""Which line of a file holds the column names, below titles and blank lines."""

import csv
import io
from collections import Counter
from collections.abc import Sequence

DELIMITERS = (",", ";", "\t", "|")

MOST_LINES = 60
"""Lines that are looked at."""


def header_place(rows: Sequence[Sequence[str]]) -> int:
    """Return the place of the row of column names, counted from 0: the first one that is as wide as most rows below it.

    Parameters
    ----------
    rows : sequence of sequence of str
        A file's first rows, cell by cell.
    """
    filled = [sum(1 for cell in row if cell.strip()) for row in rows]
    width = _usual(filled)
    if width < 2:
        return next((place for place, n in enumerate(filled) if n), 0)
    for place, n in enumerate(filled):
        if n >= max(2, width - 1) and len({cell.strip() for cell in rows[place] if cell.strip()}) >= 2:
            return place
    return 0


def _usual(widths: Sequence[int]) -> int:
    """Return the most frequent width, the larger of two as frequent."""
    counts = Counter(widths)
    return max(counts, key=lambda width: (counts[width], width)) if counts else 0


def csv_header_line(head: str) -> int:
    """Return the line of a CSV file's header, counted from 1.

    Parameters
    ----------
    head : str
        The file's first lines.
    """
    best, most = 1, 0
    for delimiter in DELIMITERS:
        lines: list[int] = []
        rows: list[list[str]] = []
        reader = csv.reader(io.StringIO(head, newline=""), delimiter=delimiter)
        try:
            for row in reader:
                rows.append(row)
                lines.append(reader.line_num)
                if len(rows) == MOST_LINES:
                    break
        except csv.Error:
            continue
        width = _usual([sum(1 for cell in row if cell.strip()) for row in rows])
        if width > most and rows:
            place = header_place(rows)
            best, most = (lines[place - 1] + 1 if place else 1), width
    return best
