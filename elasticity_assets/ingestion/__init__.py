"""From sales files to `weekly_sales`, in DuckDB SQL.

    take_in_files(connection, sales) -> FilesReport          files -> raw_sales, rejected_sales
    build_weekly_sales(connection, sales) -> WeeklyReport    raw_sales -> weekly_sales, products, rejected_sales
    categories(connection) -> list[str]
    read_category(connection, category, sales) -> CategorySales

`connection` is a DuckDB connection to the warehouse (`resources.warehouse.Warehouse`), `sales` the
`SalesSettings`. The tables are described in `sql/schema.sql`.
"""

from elasticity_assets.ingestion.reports import CategorySales, FilesReport, SalesFileError, WeeklyReport

__all__ = ["CategorySales", "FilesReport", "SalesFileError", "WeeklyReport"]
