"""From sales files to `weekly_sales`, in DuckDB SQL.

    take_in_files(connection, sales) -> FilesReport          files -> sales_files, raw_sales
    build_weekly_sales(connection, sales) -> WeeklyReport    raw_sales -> weekly_sales, products, unused_sales
    categories(connection) -> list[str]
    read_category(connection, category, sales) -> CategorySales

`connection` is a DuckDB connection to the warehouse (`resources.warehouse.Warehouse`), `sales` the
`SalesSettings`. `sql/schema.sql` describes the tables. `rejected_sales` is a view of all rows left out:
those that cannot be used (`raw_sales` with a reason) and those that `weekly_sales` leaves out.

Mistakes in the settings raise `SettingsError`, unusable files `SalesFileError`; both are one line.
"""

from elasticity_assets.ingestion.category import categories, missing_periods, read_category
from elasticity_assets.ingestion.reports import CategorySales, FilesReport, SalesFileError, WeeklyReport
from elasticity_assets.ingestion.take_in import take_in_files
from elasticity_assets.ingestion.weekly import build_weekly_sales

__all__ = [
    "CategorySales",
    "FilesReport",
    "SalesFileError",
    "WeeklyReport",
    "build_weekly_sales",
    "categories",
    "missing_periods",
    "read_category",
    "take_in_files",
]
