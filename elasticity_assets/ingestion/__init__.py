"""From sales files to `weekly_sales` and `zone_sales`, in DuckDB SQL.

    take_in_files(connection, sales) -> FilesReport          files -> sales_files, raw_sales
    build_weekly_sales(connection, sales) -> WeeklyReport    raw_sales -> weekly_sales, products, unused_sales,
                                                             suspect_sales, zone_sales, zones
    categories(connection) -> list[str]
    read_category(connection, category, controls, periods=..., missing_periods=...) -> CategorySales
    read_category_in_parts(connection, category, controls, ..., products=...) -> iterator of CategorySales
    read_zones(connection, category, controls, periods=..., missing_periods=...) -> CategorySales and zones, or None
    zone_covariates(connection) -> dict[str, dict[str, float]]
    find_files(patterns) -> dict[str, int]

`connection` is a DuckDB connection to the warehouse (`warehouse.file.Warehouse`), `sales` the
`SalesSettings`. `warehouse/sales_tables.py` describes the tables. `rejected_sales` is a view of all rows left out:
those that cannot be used (`raw_sales` with a reason) and those that `weekly_sales` leaves out.

How rows are understood (`delivered_column.sql`, `delivered_column.py`, `reading.py`, and `read_file.sql`):

- A date is ISO, 20240131, in `date_format` or Excel's number; sales are added up to weeks, from Monday, months or
  quarters.
- A label such as 2024-W05, 2024-05, 202405 or 2024-Q1 is a week, month or quarter, as `sales.period` says, and so are
  a year and a number in two columns.
- A bare number counts periods: number 1 is 2000-01-01, the week from Monday 2000-01-03, January 2000 or its first
  quarter.
- A number is what people write, in one way that `decimal` and `thousands` allow; what they leave in doubt is not read.
- `not_products` patterns match whole product codes, without regard to case (RE2 syntax).
- Lines are numbered by row: the header of a CSV file is line 1 (or lower, below title rows), blank lines below it do
  not count, and a quoted value with line breaks is one line with its row. The first row of a Parquet file is line 1.
- Rows delivered are counted apart from the parser: in a CSV file by its lines (`lines.py`, `quotes.py`).
- Where both a price and a revenue column are named, the price holds.

Mistakes in the settings raise `SettingsError`, unusable files `SalesFileError`; both are one line.
"""

from elasticity_assets.ingestion.accounts import FilesReport, SalesFileError, SuspectsReport, WeeklyReport
from elasticity_assets.ingestion.category import (
    all_periods,
    categories,
    missing_periods,
    read_category,
    read_category_in_parts,
    read_zones,
    zone_covariates,
)
from elasticity_assets.ingestion.files import find_files
from elasticity_assets.ingestion.take_in import take_in_files
from elasticity_assets.ingestion.weekly import build_weekly_sales

__all__ = [
    "FilesReport",
    "SalesFileError",
    "SuspectsReport",
    "WeeklyReport",
    "all_periods",
    "build_weekly_sales",
    "categories",
    "find_files",
    "missing_periods",
    "read_category",
    "read_category_in_parts",
    "read_zones",
    "take_in_files",
    "zone_covariates",
]
