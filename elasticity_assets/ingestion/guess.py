"""Settings guessed from a sales file, for `elasticity init`.

Columns are recognised by their names, and only where their values fit; what was guessed is said in sentences.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import yaml

from elasticity_assets.ingestion.accounts import SalesFileError
from elasticity_assets.ingestion.layout import FileFormat, examine
from elasticity_assets.ingestion.lines import as_duckdb_reads
from elasticity_assets.ingestion.reading import DeliveredColumn, row_source
from elasticity_assets.warehouse.sql import quoted, statement
from elasticity_assets.words import in_one_line

SAMPLE_ROWS = 5_000
"""Rows looked at, drawn from the whole file."""

MOSTLY = 0.9
"""Share of a column's values that must fit what it is taken for."""

NAMES = {
    "period": "week date invoicedate day month period transactiondate saledate salesdate orderdate "
    "weekstart weekstartdate weekending weekno weeknumber yearweek yearmonth timestamp "
    "datetime datum time",
    "units": "units quantity qty unitssold salesunits unitsales soldunits sold volume move pieces "
    "demand menge",
    "price": "price unitprice sellingprice paidprice netprice salesprice actualprice averageprice "
    "avgprice preis",
    "revenue": "revenue salesvalue salesamount netsales turnover amount spend dollars sales totalprice "
    "total umsatz",
    "product": "product productid productcode productnumber sku skuid stockcode item itemid itemcode "
    "itemnumber article articleid articlenumber articleno upc ean gtin barcode material "
    "artikel artikelnummer productname",
    "category": "category productcategory categoryname department productgroup itemgroup commodity family "
    "class group segment subcategory warengruppe",
    "store": "store storeid storecode storenumber storenbr shop outlet branch location filiale",
    "regular_price": "regularprice baseprice listprice shelfprice fullprice originalprice rrp",
    "description": "description productdescription itemdescription itemname productname producttype name "
    "desc title",
}
"""What the columns are mostly called, the likeliest first, without case and punctuation."""

CONTROLS = "display feature mailer promo promotion onpromotion advert ad coupon holiday flyer"

DATE_FORMATS = (
    "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d-%m-%Y", "%m-%d-%Y", "%d/%m/%y", "%m/%d/%y",
    "%d/%m/%Y %H:%M", "%m/%d/%Y %H:%M", "%d.%m.%Y %H:%M", "%d/%m/%Y %H:%M:%S", "%m/%d/%Y %H:%M:%S",
    "%d-%b-%Y", "%d %b %Y", "%b %Y",
)  # fmt: skip


@dataclass(frozen=True)
class SalesFileGuess:
    """Settings guessed from a file.

    Attributes
    ----------
    sales : dict
        The section `sales` of the settings, without `path`.
    sentences : tuple of str
        What was guessed and why, to be shown and checked.
    """

    sales: dict[str, Any]
    sentences: tuple[str, ...]

    def settings_text(self, path: str) -> str:
        """Return elasticity.yaml for sales at `path`: the guess, and what users mostly change."""
        settings = {
            "sales": {"path": path, **self.sales},
            "fit": {"engine": "natural_gradient", "likelihood": "negative_binomial"},
            "schedule": {"cron": "0 6 * * 1", "timezone": "UTC"},
            "warehouse": "data/warehouse.duckdb",
            "published": "data/elasticity.duckdb",
            "keep": 8,
        }
        notes = "".join(f"# {sentence}\n" for sentence in self.sentences)
        body = yaml.safe_dump(settings, sort_keys=False, allow_unicode=True, width=110)
        return f"# Guessed from {in_one_line(path)}; check it, then run `elasticity refit`.\n{notes}{body}"


@dataclass(frozen=True)
class _Profile:
    """A column's values: counts among the sampled rows, as named by `profile_column` in `guess.sql`."""

    n: int
    n_distinct: int
    n_blank: int
    n_point: int
    n_comma: int
    n_dates: int
    n_week_labels: int
    n_month_labels: int
    n_numbers: int
    n_with_digit: int
    n_days: int
    n_weekdays: int
    n_month_days: int
    smallest: float | None
    largest: float | None
    n_by_format: list[int]

    def mostly(self, count: int) -> bool:
        return self.n > 0 and count >= MOSTLY * self.n

    @property
    def is_number(self) -> bool:
        return self.mostly(max(self.n_point, self.n_comma))

    @property
    def date_format(self) -> str | None:
        best = max(range(len(DATE_FORMATS)), key=self.n_by_format.__getitem__)
        return DATE_FORMATS[best] if self.mostly(self.n_by_format[best]) else None

    @property
    def is_period(self) -> bool:
        counts = (self.n_dates, self.n_week_labels, self.n_month_labels, self.n_numbers)
        return self.mostly(max(counts)) or self.date_format is not None


def guess_sales_file(file: str) -> SalesFileGuess:
    """Guess the settings that fit a sales file.

    Raises
    ------
    SalesFileError
        If the file cannot be read, or a column that is needed cannot be told.
    """
    with duckdb.connect() as connection, TemporaryDirectory() as folder:
        connection.execute(statement("reading_macros"))
        layout, encoding = _layout(connection, file, Path(folder))
        if layout.kind == "csv":
            layout, _, _ = as_duckdb_reads(layout, Path(folder))
        try:
            source, values = row_source(layout)
            connection.execute(statement("sample_rows", **source, rows=str(SAMPLE_ROWS)), values)
            profiles = {name: _profile(connection, name, kind) for name, kind in layout.columns.items()}
            columns = _columns(profiles)
            needed = [key for key in ("product", "period", "units") if key not in columns]
            if "price" not in columns and "revenue" not in columns:
                needed.append("price or revenue")
            if needed:
                raise SalesFileError(
                    f"{file}: cannot tell which column holds {', '.join(needed)}; it has "
                    f"{', '.join(layout.columns)}; rename some, or write elasticity.yaml by hand"
                )
            charges = _charges(connection, layout, columns["product"], profiles[columns["product"]])
        except duckdb.Error as error:
            raise SalesFileError(f"{file} cannot be read: {in_one_line(error)}") from None
    return _guess(layout, encoding, profiles, columns, charges)


def _layout(connection: duckdb.DuckDBPyConnection, file: str, folder: Path) -> tuple[FileFormat, str]:
    """Lay the file out as UTF-8, or as Latin-1 if its first rows are not."""
    try:
        layout = examine(connection, file, folder, encoding="utf-8")
        if layout.kind == "csv":
            with Path(file).open("rb") as stream:
                if layout.compression == "none":
                    stream.read(1 << 20).rsplit(b"\n", 1)[0].decode("utf-8")
        return layout, "utf-8"
    except (UnicodeDecodeError, SalesFileError):
        return examine(connection, file, folder, encoding="latin-1"), "latin-1"


def _profile(connection: duckdb.DuckDBPyConnection, name: str, kind: str) -> _Profile:
    literals = [quoted(date_format, "'") for date_format in DATE_FORMATS]
    formats = ", ".join(f"count(try_strptime(x, {literal}))" for literal in literals)
    column = DeliveredColumn(f"sampled_rows.{quoted(name)}", kind)
    date = f"CAST({column.place} AS DATE)" if column.is_date else "CAST(NULL AS DATE)"
    profile = statement("profile_column", text=column.text, date=date, formats=f"[{formats}]")
    return _Profile(*(connection.execute(profile).fetchone() or ()))


def _columns(profiles: dict[str, _Profile]) -> dict[str, str]:
    """Assign columns to what the settings name, the likeliest name first."""
    fits: dict[str, Callable[[_Profile], bool]] = {
        "period": lambda profile: profile.is_period,
        "units": lambda profile: profile.is_number,
        "price": lambda profile: profile.is_number,
        "revenue": lambda profile: profile.is_number,
        "regular_price": lambda profile: profile.is_number,
        "description": lambda profile: not profile.is_number,
        "product": lambda profile: profile.n_distinct > 1,
        "category": lambda profile: 0 < profile.n_distinct <= max(profile.n / 10, 1),
        "store": lambda profile: profile.n > 0,
    }
    plain = {name: re.sub(r"[\W_]", "", name.casefold()) for name in profiles}
    chosen: dict[str, str] = {}
    for key, names in NAMES.items():
        if key == "revenue" and "price" in chosen:
            continue
        for wanted in names.split():
            match = next(
                (name for name in profiles if plain[name] == wanted and name not in chosen.values()), None
            )
            if match is not None and fits[key](profiles[match]):
                chosen[key] = match
                break
    if "period" not in chosen:  # a column of dates needs no name
        dates = [name for name, profile in profiles.items() if profile.mostly(profile.n_dates)]
        if len(dates) == 1:
            chosen["period"] = dates[0]
    return chosen


def _charges(
    connection: duckdb.DuckDBPyConnection, layout: FileFormat, name: str, profile: _Profile
) -> list[str]:
    """Codes without a digit, where nearly all codes have one: postage, charges and the like."""
    if not 0.95 * profile.n <= profile.n_with_digit:
        return []
    source, values = row_source(layout)
    text = DeliveredColumn(f"{source['row']}.{quoted(name)}", layout.columns[name]).text
    parts = {"source": source["source"], "row": source["row"], "text": text}
    return [
        row[0] for row in connection.execute(statement("codes_without_digit", **parts), values).fetchall()
    ]


def _guess(
    layout: FileFormat,
    encoding: str,
    profiles: dict[str, _Profile],
    columns: dict[str, str],
    charges: list[str],
) -> SalesFileGuess:
    order = [
        "product",
        "category",
        "period",
        "units",
        "price",
        "revenue",
        "store",
        "regular_price",
        "description",
    ]
    sales: dict[str, Any] = {"columns": {key: columns[key] for key in order if key in columns}}
    sentences = [f"{key} is column {name!r}." for key, name in sales["columns"].items()]
    if "category" not in columns:
        sentences.append("No column of categories found: everything is one category, 'all'.")
    if "revenue" in columns:
        sentences.append("The price is revenue / units, since no column of unit prices was found.")
    profile = profiles[columns["period"]]
    sales["period"], sentence = _period(profile, columns["period"])
    sentences.append(sentence)
    if (
        not profile.n_dates
        and profile.date_format
        and not DeliveredColumn(columns["period"], layout.columns[columns["period"]]).is_date
    ):
        sales["date_format"] = profile.date_format
        fitting = [
            form for form, n in zip(DATE_FORMATS, profile.n_by_format, strict=True) if profile.mostly(n)
        ]
        sentences.append(f"Dates are written like {' or '.join(fitting)}; taken is the first, so check it.")
    if layout.kind == "csv":
        sentences.append(f"The delimiter is {layout.delimiter!r}, the encoding {encoding}.")
        if encoding != "utf-8":
            sales["encoding"] = encoding
    numbers = [
        profiles[columns[key]] for key in ("units", "price", "revenue", "regular_price") if key in columns
    ]
    if any(number.n_comma > number.n_point for number in numbers):
        sales["decimal"] = ","
        sentences.append("Decimals are written with a comma.")
    controls = _controls(profiles, set(columns.values()))
    if controls:
        sales["controls"] = controls
        sentences.append(f"Controls, by their names: {', '.join(map(repr, controls))}.")
    if charges:
        sales["not_products"] = ["[^0-9]+"]
        shown = ", ".join(charges[:5]) + (", ..." if len(charges) > 5 else "")
        sentences.append(f"Codes without a digit are taken for charges, not products, and rejected: {shown}.")
    return SalesFileGuess(sales, tuple(map(in_one_line, sentences)))


def _period(profile: _Profile, name: str) -> tuple[str, str]:
    """Say which periods sales are added up to, and why."""
    if profile.mostly(profile.n_dates) and profile.n_month_days == 1 < profile.n_days:
        return "month", f"Every date in {name!r} is the same day of a month, so periods are months."
    if profile.mostly(profile.n_dates) and profile.n_weekdays == 1:
        return "week", f"Every date in {name!r} is the same weekday, so periods are weeks."
    if profile.date_format == "%b %Y" or "month" in name.casefold():
        return "month", f"{name!r} is taken for months."
    if profile.mostly(profile.n_dates) or profile.date_format:
        return "week", f"{name!r} holds dates; they are added up to weeks, from Monday."
    if profile.mostly(profile.n_numbers):
        period = "day" if "day" in name.casefold() else "week"
        return (
            period,
            f"{name!r} is taken for a {period}'s number; number 1 lies at the start of the year 2000.",
        )
    period = "month" if profile.n_month_labels == profile.n else "week"
    return period, f"The labels in {name!r} are taken for {period}s."


def _controls(profiles: dict[str, _Profile], taken: set[str]) -> list[str]:
    names = CONTROLS.split()
    return [
        name
        for name, profile in profiles.items()
        if name not in taken and profile.is_number and re.sub(r"[\W_]", "", name.casefold()) in names
    ]
