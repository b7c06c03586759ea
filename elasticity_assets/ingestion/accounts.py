"""What ingestion returns: reports of what was taken in, and one category's sales."""

from dataclasses import dataclass
from datetime import date


class SalesFileError(Exception):
    """A sales file that cannot be used, told in one line."""


@dataclass(frozen=True)
class FilesReport:
    """What `take_in_files` found and did.

    Attributes
    ----------
    new, changed, renamed, unchanged : tuple of str
        Files by what happened to them since the last time.
    vanished : tuple of str
        Files that are gone; their rows stay.
    not_named : tuple of str
        Files still there that the settings name no more; their rows stay.
    still_written : tuple of str
        Files that changed while they were read; left for the next time.
    rows_in : int
        Rows of all files in the warehouse, counted in the files apart from the parser.
    rejected : dict of str to int
        Rows rejected when their file was read, by reason, of all files in the warehouse.
    examples : dict of str to str
        Of reasons: the column in question and one of its values.
    without_partner : dict of str to int
        Rows of the files read that have no partner in a table beside the sales, by that table's files.
    """

    new: tuple[str, ...]
    changed: tuple[str, ...]
    renamed: tuple[str, ...]
    unchanged: tuple[str, ...]
    vanished: tuple[str, ...]
    not_named: tuple[str, ...]
    still_written: tuple[str, ...]
    rows_in: int
    rejected: dict[str, int]
    examples: dict[str, str]
    without_partner: dict[str, int]

    @property
    def rows_usable(self) -> int:
        """Rows in `raw_sales`."""
        return self.rows_in - sum(self.rejected.values())


@dataclass(frozen=True)
class Unusable:
    """Rows that could not be used as delivered; not those of `not_products`, nor copies of others.

    Attributes
    ----------
    rows, of_rows : int
        How many, and of how many rows in all.
    units, of_units : float
        Their units as far as they could be read, and those of all rows; returns count as positive.
    example : str
        File, line, reason and content of one with the most frequent reason; empty where there is none.
    """

    rows: int
    of_rows: int
    units: float
    of_units: float
    example: str

    @property
    def share(self) -> float:
        """Share of the rows or of the units, whichever is larger."""
        return max(self.rows / max(self.of_rows, 1), self.units / self.of_units if self.of_units else 0.0)


@dataclass(frozen=True)
class CurrencyMark:
    """What stands beside prices or revenues to name their currency, such as €.

    Attributes
    ----------
    mark : str
    n_rows : int
        Usable rows with it.
    only_in : str
        Such as "file b.csv", where all its rows are there and those of other marks are not; else empty.
    example : str
        File, line, product and price of one of its rows.
    """

    mark: str
    n_rows: int
    only_in: str
    example: str


@dataclass(frozen=True)
class SuspectsReport:
    """What `suspect_sales` holds.

    Attributes
    ----------
    n_cells : dict of str to int
        Rows by what is suspect of them: price, units, unit of measure, total row.
    lines : dict of str to tuple of str
        The same in words: a file, some periods, a product or one of its periods, in all zones or in one, a line; those
        that concern most first.
    totals : dict of str to str
        Such as "store 'All'": stores, or zones, that are the sum of the others, each with what tells it; their rows
        count, and so count twice.
    """

    n_cells: dict[str, int]
    lines: dict[str, tuple[str, ...]]
    totals: dict[str, str]


@dataclass(frozen=True)
class WeeklyReport:
    """What `build_weekly_sales` made, and where every row and unit went.

    Attributes
    ----------
    rows_in, rows_used : int
        Rows of all files, counted in them apart from the parser, and those behind `weekly_sales`.
    rejected : dict of str to int
        Rows in `rejected_sales` by reason, those rejected when their file was read included.
    examples : dict of str to str
        Of reasons: the column in question and one of its values.
    units_in, units_used, units_rejected : float
        Units of all rows whose units could be read, returns negative; in `weekly_sales`; in `rejected_sales`.
    unusable : Unusable
        Rows that could not be used as delivered.
    n_categories, n_products, n_periods, n_product_periods : int
        What `weekly_sales` holds.
    first_period, last_period : date
        First days of its first and last period.
    changed_category : dict of str to tuple of str
        Products that were delivered in several categories: the categories, the one in force last.
    mangled_codes : tuple of (str, str)
        Product codes that a spreadsheet or broken quoting seems to have changed, each with what speaks for it.
    currencies : tuple of CurrencyMark
        Where prices or revenues are in more than one currency: all their marks, the most frequent first.
    missing_periods : str
        What an absent product-period means: truncated, zero or unobserved.
    faults : tuple of (str, int, str)
        What `weekly_sales` and `zone_sales` must never hold and do: the fault, how many rows have it, and one of them.
    suspects : SuspectsReport
        What of `weekly_sales` is in doubt.
    randomized_at_several_prices : int
        Product-periods whose sales are all marked as at random prices, but not at one price: they do not count as such.
    """

    rows_in: int
    rows_used: int
    rejected: dict[str, int]
    examples: dict[str, str]
    units_in: float
    units_used: float
    units_rejected: float
    unusable: Unusable
    n_categories: int
    n_products: int
    n_periods: int
    n_product_periods: int
    first_period: date
    last_period: date
    changed_category: dict[str, tuple[str, ...]]
    mangled_codes: tuple[tuple[str, str], ...]
    currencies: tuple[CurrencyMark, ...]
    missing_periods: str
    faults: tuple[tuple[str, int, str], ...]
    suspects: SuspectsReport
    randomized_at_several_prices: int = 0

    @property
    def rows_rejected(self) -> int:
        """Rows in `rejected_sales`."""
        return sum(self.rejected.values())

    @property
    def accounts_close(self) -> bool:
        """Whether rows and units in equal those used plus those rejected."""
        gap = abs(self.units_in - self.units_used - self.units_rejected)
        scale = max(abs(self.units_in), abs(self.units_used), abs(self.units_rejected), 1.0)
        return self.rows_in == self.rows_used + self.rows_rejected and gap <= 1e-9 * scale
