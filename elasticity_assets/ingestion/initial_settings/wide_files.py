"""Wide files, whose columns are periods: told apart, and written as long ones where they hold prices."""

import re
import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb

from elasticity_assets.ingestion.initial_settings.column_names import ideas, name_strengths
from elasticity_assets.ingestion.initial_settings.decision import Decision, example
from elasticity_assets.ingestion.initial_settings.delivered_files import SalesFiles, load_delivered
from elasticity_assets.ingestion.month_names import MONTHS, without_accents
from elasticity_assets.warehouse.sql import quoted, statement

FEWEST_PERIODS = 4
"""Columns that are periods, at least."""

_MONTH = rf"(?:{'|'.join(MONTHS)})"
_COUNTED = "w|wk|week|kw|woche|semaine|semana|settimana|month|monat|mois|mes|day|d|period|periode"
_NUMBERED = f"{_COUNTED}|s|sem|q|qtr|quarter|quartal|t|trimestre"
_PERIOD = re.compile(
    rf"(?P<date>(?:{_NUMBERED})[-_ ./]?\d{{1,2}}[-_ ./]\d{{4}}"
    r"|\d{4}[-/._]\d{1,2}[-/._]\d{1,2}|\d{1,2}[-/._]\d{1,2}[-/._]\d{2,4}|\d{8}"
    rf"|\d{{4}}[-_ ]?[wqm]\d{{1,2}}|\d{{4}}[-_/]\d{{1,2}}|\d{{6}}|{_MONTH}\.?[-_ ]?\d{{2,4}}|\d{{2,4}}[-_ ]?{_MONTH})"
    rf"|(?P<word>{_COUNTED})[-_ ]?(?P<number>\d{{1,4}})",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class WideFile:
    """A file whose columns are periods.

    Attributes
    ----------
    ids : list of str
        Columns that say what a row is of.
    measures : dict of str to dict of str to str
        By what is measured ('' where the names do not say it): period -> column.
    period_name : str
        What the periods are: date, or week and the like where they are counted.
    """

    ids: list[str]
    measures: dict[str, dict[str, str]]
    period_name: str

    @property
    def periods(self) -> list[str]:
        """The periods of the first measure, in the file's order."""
        return list(next(iter(self.measures.values())))

    def measure_of(self, role: str, ids: bool = True) -> str | None:
        """Return the measure, or the column, whose name says units or price."""
        named = [name for name in self.measures if name_strengths(name).get(role, 0) >= 2]
        columns = [name for name in self.ids if name_strengths(name).get(role, 0) >= 2] if ids else []
        return next(iter([*named, *columns]), None)

    @property
    def has_prices(self) -> bool:
        """Whether units and a price, or a revenue, can be had of it."""
        return bool(self.measure_of("price") or self.measure_of("revenue"))

    @property
    def sentence(self) -> str:
        """Say what the file is."""
        first, last = self.periods[0], self.periods[-1]
        return f"its columns {example(first)} to {example(last)} are {len(self.periods)} periods: a wide file"


def find_wide(columns: Collection[str]) -> WideFile | None:
    """Tell a wide file by its columns' names."""
    measures: dict[str, dict[str, str]] = {}
    ids, words = [], set()
    for column in columns:
        name = unicodedata.normalize("NFC", column)
        found = _PERIOD.search(without_accents(name))
        rest = ""
        if found is not None:
            before, after = name[: found.start()], name[found.end() :]
            if re.search(r"[a-z0-9]$", before.removeprefix("X"), re.IGNORECASE) or re.match(
                r"[a-z0-9]", after
            ):
                found = None
            rest = re.sub(r"^X$", "", f"{before} {after}".strip(" _-.:/|()[]"))
        if found is None:
            ids.append(column)
            continue
        # Beside févr. 2024 there is mars 2024: without the dots they are of one form.
        period = found["number"] or re.sub(
            r"(?<=[^\W\d])\.", "", name[found.start("date") : found.end("date")]
        )
        measures.setdefault(rest.strip(" _-.:/|()[]"), {})[period] = column
        words.add((found["word"] or "date").lower())
    measures = {name: periods for name, periods in measures.items() if len(periods) >= FEWEST_PERIODS}
    n = sum(map(len, measures.values()))
    if not measures or len(words) > 1 or n < 0.5 * len(columns):
        return None
    word = words.pop()
    name = {"w": "week", "wk": "week", "d": "day"}.get(word, word)
    return WideFile(ids, measures, name)


def unpivoted(
    connection: duckdb.DuckDBPyConnection, files: SalesFiles, wide: WideFile, folder: Path
) -> tuple[Path | None, list[Decision]]:
    """Write a wide file as a long one into a folder, if prices can be had; else say what is open and what would do.

    Prices are in the file itself, or in another of the same columns whose name says price.
    """
    of_prices = [file for file in files.sales if "price" in ideas(file.path.stem)]
    of_units = [file for file in files.sales if file not in of_prices]
    if wide.has_prices:
        load_delivered(connection, files.sales)
        source = "delivered"
    elif len(wide.measures) == 1 and len(of_prices) == 1 and of_units:
        load_delivered(connection, of_prices)
        connection.execute(statement("keep_prices"))
        load_delivered(connection, of_units)
        source, wide = "units_and_prices", _with_prices(connection, wide)
    else:
        return None, _open(wide)
    long = folder / f"{(of_units or files.sales)[0].path.stem}.long.csv"
    write_long(connection, source, wide, long)
    return long, []


def _open(wide: WideFile) -> list[Decision]:
    what = wide.sentence
    product = wide.ids[0] if len(wide.ids) == 1 else None
    of_product = (
        f"It is the only column that is no period: {wide.sentence}."
        if product
        else f"name the column of products among {example(*wide.ids)}"
    )
    return [
        Decision("columns.product", product, of_product),
        Decision(
            "columns.period",
            None,
            f"{what}; deliver one line a product and period instead, with a column of the period",
        ),
        Decision(
            "columns.units",
            None,
            "the numbers below the periods are of one kind, units or money; deliver units in a column",
        ),
        Decision(
            "columns.price",
            None,
            "there are no prices; give init a second file of the same columns with them, named "
            "such as prices.csv",
        ),
    ]


def _with_prices(connection: duckdb.DuckDBPyConnection, wide: WideFile) -> WideFile:
    """Put prices of the table `prices` beside the units of `delivered`."""
    columns = next(iter(wide.measures.values()))
    priced = {period: f"price of {column}" for period, column in columns.items()}
    listed = ", ".join(
        f"prices.{quoted(column)} AS {quoted(priced[period])}" for period, column in columns.items()
    )
    same = " AND ".join(
        f"trimmed(delivered.{quoted(name)}) = trimmed(prices.{quoted(name)})" for name in wide.ids
    )
    connection.execute(statement("units_and_prices", columns=listed, same=same))
    return WideFile(wide.ids, {"units": columns, "price": priced}, wide.period_name)


def write_long(connection: duckdb.DuckDBPyConnection, source: str, wide: WideFile, path: Path) -> None:
    """Write the rows of a wide table as a long CSV file, a line a row and period."""
    tables: dict[str, str] = {}
    names = {measure: measure or "units" for measure in wide.measures}
    for number, (measure, periods) in enumerate(wide.measures.items()):
        table = f"measure_{number}"
        parts = {"columns": ", ".join(map(quoted, periods.values())), "source": source}
        connection.execute(statement("unpivot_measure", table=table, measure=quoted(names[measure]), **parts))
        tables[measure] = table
    first = next(iter(tables.values()))
    joins = [
        _also(wide, first, next(iter(wide.measures)), measure, table)
        for measure, table in list(tables.items())[1:]
    ]
    columns: Mapping[str, str] = next(iter(wide.measures.values()))
    text = statement(
        "write_long",
        ids=", ".join(f"{source}.{quoted(name)}" for name in wide.ids) or "NULL AS nothing",
        period=quoted(wide.period_name),
        measures=", ".join(f"{table}.{quoted(names[measure])}" for measure, table in tables.items()),
        source=source,
        first=first,
        others=" ".join(joins),
        path=quoted(str(path), "'"),
    )
    connection.execute(text, {"columns": list(columns.values()), "periods": list(columns)})


def _also(wide: WideFile, first: str, first_measure: str, measure: str, table: str) -> str:
    """Join another measure by row and period."""
    own, others = wide.measures[first_measure], wide.measures[measure]
    pairs = ", ".join(
        f"({_text(column)}, {_text(others[period])})" for period, column in own.items() if period in others
    )
    same = f'({first}."column of file", {table}."column of file") IN ({pairs})'
    return f'LEFT JOIN {table} ON {table}."row of file" = {first}."row of file" AND {same}'


def _text(name: str) -> str:
    return quoted(name, "'")
