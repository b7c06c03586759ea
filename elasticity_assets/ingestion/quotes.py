"""Quotes that open a value and never close it: the lines that such a value seems to swallow are rows of their own."""

import re
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_QUOTED = re.compile(r'"(?:[^"]|"")*')


@dataclass(frozen=True)
class QuotedLines:
    """What quotes make of a CSV file's lines.

    Attributes
    ----------
    stray : frozenset of int
        Lines, counted from 1, with a quote that opens and does not close.
    n_continued : int
        Lines that go on with a quoted value that began before, empty ones apart.
    """

    stray: frozenset[int]
    n_continued: int


def fields(line: str, delimiter: str, *, inside: bool = False) -> tuple[list[str], bool]:
    """Split a line of CSV: its fields, and whether it ends inside a quoted value.

    Parameters
    ----------
    line : str
        Without its end.
    delimiter : str
    inside : bool
        Whether it begins inside a quoted value.
    """
    if inside:
        line = f'"{line}'
    found: list[str] = []
    start = 0
    while True:
        opens = _QUOTED.match(line, start)
        after = opens.end() if opens else start
        if opens and after == len(line):
            return [*found, line[start:]], True
        end = line.find(delimiter, after)
        if end < 0:
            return [*found, line[start:]], False
        found.append(line[start:end])
        start = end + len(delimiter)


def quoted_lines(lines: Iterable[str], delimiter: str, n_columns: int, digits: Sequence[int]) -> QuotedLines:
    """Tell quoted values with line breaks from quotes that do not close.

    A value that would hold a line that is a row by itself has swallowed it: then the quote that opens it is stray.

    Parameters
    ----------
    lines : iterable of str
        All lines of a file from its header on, without their ends.
    delimiter : str
    n_columns : int
    digits : sequence of int
        Places of columns that hold a digit in each row, such as units and prices.
    """

    def is_row(line: str) -> bool:
        found, inside = fields(line, delimiter)
        while inside:  # as if the quote that does not close were text
            more, inside = fields(found[-1][1:], delimiter)
            found = [*found[:-1], *more]
        return len(found) == n_columns and all(re.search(r"\d", found[place]) for place in digits)

    stray: set[int] = set()
    n_continued = number = 0
    ahead: deque[str] = deque()
    rest = iter(lines)
    while (line := ahead.popleft() if ahead else next(rest, None)) is not None:
        number += 1
        if '"' not in line or not fields(line, delimiter)[1]:
            continue
        # The lines that the value would hold, up to the one that closes it.
        held: list[str] = []
        closes = False
        while not closes and (following := ahead.popleft() if ahead else next(rest, None)) is not None:
            held.append(following)
            closes = not fields(following, delimiter, inside=True)[1]
            if is_row(following) and (not closes or (len(held) == 1 and is_row(line))):
                closes = False
                break
        if closes:
            n_continued += sum(1 for text in held if text)
            number += len(held)
        else:
            stray.add(number)
            ahead.extendleft(reversed(held))
    return QuotedLines(frozenset(stray), n_continued)
