"""The settings that `elasticity init` proposes for some files."""

import os
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb

from elasticity_assets.ingestion.currencies import one_currency
from elasticity_assets.ingestion.delivered_column import DeliveredColumn, create_reading_macros
from elasticity_assets.ingestion.header import folded
from elasticity_assets.ingestion.initial_settings.amount_columns import AmountColumns, best_product
from elasticity_assets.ingestion.initial_settings.column_names import calendar_part, ideas, name_strengths
from elasticity_assets.ingestion.initial_settings.column_profiles import (
    ColumnProfile,
    amount,
    profile_columns,
)
from elasticity_assets.ingestion.initial_settings.controls import find_controls
from elasticity_assets.ingestion.initial_settings.costs import find_cost, find_regular_price
from elasticity_assets.ingestion.initial_settings.decision import Decision, Remark, example
from elasticity_assets.ingestion.initial_settings.delivered_files import (
    SalesFiles,
    load_delivered,
    named_files,
    roots_outside,
    settings_path,
    sort_out,
)
from elasticity_assets.ingestion.initial_settings.joined_tables import JoinedTable, join_tables
from elasticity_assets.ingestion.initial_settings.number_marks import decide_decimal
from elasticity_assets.ingestion.initial_settings.periods import find_period
from elasticity_assets.ingestion.initial_settings.price_tests import find_randomized, marks_some_of_a_product
from elasticity_assets.ingestion.initial_settings.prices import find_price
from elasticity_assets.ingestion.initial_settings.products import find_not_products, find_products
from elasticity_assets.ingestion.initial_settings.settings_text import settings_text
from elasticity_assets.ingestion.initial_settings.trial import try_settings
from elasticity_assets.ingestion.initial_settings.units import find_units
from elasticity_assets.ingestion.initial_settings.wide_files import find_wide, unpivoted
from elasticity_assets.ingestion.initial_settings.zones import (
    Priced,
    Zones,
    find_zones,
    names_zones,
    write_zones,
)
from elasticity_assets.warehouse.connect import connect
from elasticity_assets.warehouse.sql import quoted, statement
from elasticity_assets.words import in_one_line

MANY_VALUES = 0.4
"""Share of the column names that are values, in a file without a header."""


@dataclass(frozen=True)
class ProposedSettings:
    """What is known of some files, and what is open.

    Attributes
    ----------
    decisions : tuple of Decision
        Settings below `sales`.
    remarks : tuple of Remark
        What else is to be known.
    text : str
        The file `elasticity.yaml`.
    """

    decisions: tuple[Decision, ...]
    remarks: tuple[Remark, ...]
    text: str

    @property
    def open_keys(self) -> list[str]:
        """Settings that a person has to fill in."""
        return [f"sales.{decision.key}" for decision in self.decisions if decision.is_open]

    def value(self, key: str) -> Any:
        """Return what was decided for a key below `sales`; None where nothing was, or it is open."""
        return next((decision.value for decision in self.decisions if decision.key == key), None)

    @property
    def sentences(self) -> list[str]:
        """What was decided and why, a line each."""
        lines = [
            f"sales.{d.key}: OPEN: {d.why}" if d.is_open else f"sales.{d.key}: {_shown(d.value)}. {d.why}"
            for d in self.decisions
        ]
        return list(map(in_one_line, [*lines, *(remark.why for remark in self.remarks)]))


def _shown(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def propose_settings(arguments: Sequence[str], folder: Path, today: date | None = None) -> ProposedSettings:
    """Propose settings for sales files.

    Parameters
    ----------
    arguments : sequence of str
        Files, folders or globs.
    folder : Path
        Of the settings file, for relative paths.
    today : date, optional
        Dates far beyond it are none of sales.

    Raises
    ------
    SettingsError
        If an argument names nothing.
    SalesFileError
        If no file can be read.
    """
    with connect() as connection, TemporaryDirectory() as scratch:
        create_reading_macros(connection)
        files = sort_out(connection, named_files(arguments), Path(scratch))
        wide = find_wide(files.sales[0].layout.columns)
        if wide is not None:
            long, reasons = unpivoted(connection, files, wide, folder)
            if long is None:
                decisions = [
                    Decision("path", settings_path(arguments, files.sales, folder), _of_files(files, 0)),
                    *_of_roots([file.path for file in files.sales], folder),
                    *reasons,
                ]
                return _proposed(decisions, [])
            again = propose_settings([str(long)], folder, today)
            why = (
                f"{files.sales[0].path.name}: {wide.sentence}, written as the long file {long.name}; "
                "run init again when it changes."
            )
            return _proposed(again.decisions, [Remark(why), *again.remarks])
        n_rows, is_sample = load_delivered(connection, files.sales)
        if not n_rows:
            names = example(*files.sales[0].layout.names[:4])
            why = f"{files.sales[0].path.name} has a header, {names}, and no row below it"
            return _proposed([Decision("path", None, why)], [])
        joined, not_joined = join_tables(connection, files.sales[0], files.beside)
        decisions = [
            Decision("path", settings_path(arguments, files.sales, folder), _of_files(files, n_rows))
        ]
        layout, remarks = _of_layout(files)
        decisions += layout
        remarks += [Remark(f"Left out: {why}.") for why in files.unreadable]
        if is_sample:
            remarks.append(Remark(f"Looked at are {n_rows:,} of the rows."))
        kinds = dict(files.sales[0].layout.columns)
        if _is_data(connection, kinds):
            why = f"the first line, {example(*list(kinds)[:4])}, is no header; write column names above it"
            return _proposed([Decision("path", None, why)], remarks)
        for table in joined:
            kinds |= table.columns
        found, notes, zones = _of_columns(connection, kinds, n_rows, today or date.today())
        decisions += [*_of_joins(joined, found, folder), *found]
    decisions, of_zones = _with_zones(decisions, zones, folder)
    remarks += [*notes, *of_zones, *not_joined]
    if not any(decision.is_open for decision in decisions):
        decisions, tried = try_settings(decisions, [file.path for file in files.sales], folder)
        remarks += tried
    joins = [one["path"] for d in decisions if d.key == "join" for one in d.value]
    read = [*(file.path for file in files.sales), *(Path(os.path.abspath(folder / path)) for path in joins)]
    decisions = [*decisions, *_of_roots(read, folder)]
    return _proposed(decisions, remarks)


def _proposed(decisions: Sequence[Decision], remarks: Sequence[Remark]) -> ProposedSettings:
    header = "Written by `elasticity init`; check it, then run `elasticity refit`."
    return ProposedSettings(tuple(decisions), tuple(remarks), settings_text(header, decisions, remarks))


def _of_files(files: SalesFiles, n_rows: int) -> str:
    first = files.sales[0]
    many = f"{len(files.sales)} files of the same columns" if len(files.sales) > 1 else first.path.name
    return f"{n_rows:,} rows in {many}." if n_rows else f"{many}."


def _of_roots(files: Sequence[Path], folder: Path) -> list[Decision]:
    roots = roots_outside(files, folder)
    why = "Outside of the settings' folder, sales are read from here only."
    return [Decision("roots", roots, why)] if roots else []


def _of_layout(files: SalesFiles) -> tuple[list[Decision], list[Remark]]:
    encodings = {file.encoding for file in files.sales if file.layout.kind == "csv"}
    decisions = []
    if len(encodings - {"utf-8"}) == 1 and (encoding := (encodings - {"utf-8"}).pop()) != "utf-16":
        decisions.append(Decision("encoding", encoding, "Its bytes are no UTF-8."))
    sheets = {file.sheet for file in files.sales if file.sheet}
    alike = dict.fromkeys(sheet for file in files.sales for sheet in file.sheets_alike if sheet not in sheets)
    if alike:
        why = (
            f"the sheets {example(*sorted(sheets), *alike)} have the same columns, and "
            "one sheet is read: name it, or put the rows of all into one"
        )
        decisions.append(Decision("sheet", None, why))
    elif len(sheets) == 1:
        decisions.append(Decision("sheet", sheets.pop(), "Its columns look most like sales."))
    first, name = files.sales[0].layout, files.sales[0].path.name
    remarks = [
        Remark(f"{name} has {n} columns called {column!r}, of which none can be used; rename all but one.")
        for column, n in Counter(map(folded, first.names)).items()
        if n > 1 and column
    ]
    if first.header_line > 1:
        remarks.append(Remark(f"The column names are on line {first.header_line} of {name}, below titles."))
    return decisions, remarks


def _of_joins(joined: Sequence[JoinedTable], found: Sequence[Decision], folder: Path) -> list[Decision]:
    """Name the joined tables whose columns are used."""
    used: set[str] = set()
    for decision in found:
        if decision.key.startswith("columns.") or decision.key == "controls":
            used |= set(decision.value if isinstance(decision.value, list) else [decision.value])
    needed = [table for table in joined if used & set(table.columns)]
    if not needed:
        return []
    value = [{"path": os.path.relpath(table.path.absolute(), folder), "on": table.on} for table in needed]
    why = "; ".join(
        f"{table.path.name} has {example(*sorted(used & set(table.columns)))}, and a row for "
        f"{table.share:.0%} of the sales' rows"
        for table in needed
    )
    return [Decision("join", value, f"Tables beside the sales: {why}.")]


def _with_zones(decisions: list[Decision], zones: Zones, folder: Path) -> tuple[list[Decision], list[Remark]]:
    """Name zones that no column has in a table beside the sales, which is written; and say so."""
    remarks = [zones.remark] if zones.remark is not None else []
    store = next((decision.value for decision in decisions if decision.key == "columns.store"), None)
    if not zones.of_store or store is None:
        return decisions, remarks
    table = write_zones(folder, store, zones.of_store)
    if table is None:
        why = "zones.csv is there already, and was not written anew: move it away and run init again for these zones."
        return decisions, [*remarks, Remark(why)]
    join = {"path": table.name, "on": [store]}
    before = next((decision for decision in decisions if decision.key == "join"), Decision("join", [], ""))
    why = (
        f"{before.why} {table.name} has the zone of each store, by the prices it had; change it as you price."
    )
    return [
        *(decision for decision in decisions if decision is not before),
        Decision("join", [*before.value, join], why.strip()),
        Decision("columns.zone", "price_zone", f"Elasticities are by zone: the stores' are in {table.name}."),
    ], remarks


def _of_columns(
    connection: duckdb.DuckDBPyConnection, kinds: dict[str, str], n_rows: int, today: date
) -> tuple[list[Decision], list[Remark], Zones]:
    profiles = profile_columns(connection, kinds)
    period = find_period(connection, profiles, today)
    left = {name: p for name, p in profiles.items() if name not in period.columns and not calendar_part(name)}
    randomized = find_randomized(left)
    if randomized is not None:
        del left[randomized.value]
    decimal = decide_decimal([p for p in left.values() if p.is_number and _is_amount(p)])
    mark = decimal.value if decimal is not None and decimal.value else "."
    _read_rows(connection, profiles, mark, period.day)
    day = '"period of row"' if period.day is not None else None
    things = find_products(connection, left, n_rows, day)
    if (
        randomized is not None
        and things.product is not None
        and not marks_some_of_a_product(connection, profiles[randomized.value], profiles[things.product])
    ):
        left[randomized.value], randomized = profiles[randomized.value], None
    taken = {d.value for d in things.decisions}
    amounts = AmountColumns(
        connection,
        {name: p for name, p in left.items() if name not in taken and not names_zones(p)},
        mark,
        things.product,
    )
    money, notes = _money(amounts)
    money = [_in_one_currency(connection, decision, kinds) for decision in money]
    decisions = [*things.decisions, *period.decisions, *money]
    remarks = [*things.remarks, *notes]
    decisions += [decision for decision in (randomized, decimal) if decision is not None]
    taken |= {d.value for d in money if isinstance(d.value, str)}
    controls, notes = find_controls({name: p for name, p in left.items() if name not in taken}, n_rows)
    remarks += notes
    if controls is not None:
        decisions.append(controls)
    if things.product is not None:
        units = next(d.value for d in money if d.key == "columns.units")
        totals, notes = find_not_products(connection, profiles[things.product], day, units, things.store)
        remarks += notes
        if totals is not None:
            decisions.append(totals)
    if things.category is None and things.product is not None:
        remarks.append(Remark("No column of categories is taken: everything is one category, 'all'."))
    zones = Zones()
    paid = _paid(money)
    if things.product is not None and day is not None and paid is not None:
        used = {
            name for d in decisions for name in (d.value if isinstance(d.value, list) else [d.value]) if name
        }
        zones = find_zones(Priced(connection, things.product, day, paid), left, things.store, used)
    if zones.decision is not None:
        decisions.append(zones.decision)
    return decisions, remarks, zones


def _is_data(connection: duckdb.DuckDBPyConnection, names: Collection[str]) -> bool:
    """Whether many of the column names are numbers or dates: a file without a header."""
    n = connection.execute(statement("names_that_are_values"), {"names": list(names)}).fetchall()[0][0]
    return n >= max(2, MANY_VALUES * len(names))


def _money(amounts: AmountColumns) -> tuple[list[Decision], list[Remark]]:
    """Decide units, price or revenue, and what goes with them."""
    product = best_product(amounts)
    if isinstance(product, str):
        units, product = Decision("columns.units", None, product), None
    else:
        units = find_units(amounts, product)
    price = find_price(amounts, units.value, product)
    decisions, remarks = [units, *price.decisions], list(price.remarks)
    value = {d.key.removeprefix("columns."): d.value for d in decisions}
    paid = _paid(decisions)
    if paid is None:
        return decisions, remarks
    taken = {name for name in value.values() if name}
    found = [find_cost(amounts, units.value, paid, taken)]
    if "regular_price" not in value and "discount" not in value:
        found.append(find_regular_price(amounts, paid, taken))
    decisions += [decision for decision, _ in found if decision is not None]
    return decisions, [*remarks, *(remark for _, notes in found for remark in notes)]


def _paid(money: Sequence[Decision]) -> str | None:
    """Express the price paid in `read_rows`; None where it, or the units, are open."""
    value = {d.key.removeprefix("columns."): d.value for d in money}
    if value.get("units") is None:
        return None
    if value.get("price"):
        return quoted(value["price"])
    return (
        f"({quoted(value['revenue'])} / nullif({quoted(value['units'])}, 0))"
        if value.get("revenue")
        else None
    )


def _in_one_currency(
    connection: duckdb.DuckDBPyConnection, decision: Decision, kinds: dict[str, str]
) -> Decision:
    """Leave a column of money open that holds several currencies."""
    if decision.key not in ("columns.price", "columns.revenue") or kinds.get(decision.value) != "VARCHAR":
        return decision
    ask = statement("currencies_of_column", column=quoted(decision.value))
    found = [currency for (currency,) in connection.execute(ask).fetchall()]
    if one_currency(found):
        return decision
    why = f"{decision.value!r} holds several currencies, {example(*found[:3])}; write all in one"
    return Decision(decision.key, None, why)


def _is_amount(profile: ColumnProfile) -> bool:
    """Whether its numbers may be units or money, and no codes."""
    strengths = name_strengths(profile.name)
    if "code" in ideas(profile.name) or names_zones(profile):
        return False
    if not strengths:
        return "place" not in ideas(profile.name)
    return bool(set(strengths) & {"units", "price", "revenue", "regular_price", "discount", "cost", "promo"})


def _read_rows(
    connection: duckdb.DuckDBPyConnection, profiles: dict[str, ColumnProfile], decimal: str, day: str | None
) -> None:
    """Make the table `read_rows`: amounts as numbers, all else as text, and each row's period."""
    columns = []
    for name, profile in profiles.items():
        column = DeliveredColumn(f"delivered.{quoted(name)}", profile.kind, decimal)
        is_amount = profile.is_number and _is_amount(profile)
        value = amount(column.place, profile.kind, decimal) if is_amount else column.text
        if profile.is_date_type:
            value = f"CAST({column.place} AS VARCHAR)"
        columns.append(f"{value} AS {quoted(name)}")
    columns.append(f'{day or "NULL"} AS "period of row"')
    connection.execute(statement("read_rows", columns=", ".join(columns)))
