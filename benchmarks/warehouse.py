"""How fast sales files become `weekly_sales` and panels, against DuckDB's own bare aggregation of the same files.

    python benchmarks/warehouse.py --rows 4_000_000
    python benchmarks/warehouse.py --rows 4_000_000 --kind csv

Files of transactions are generated first: a line a sale, with product, category, day, units and price. Each part runs
in a process of its own, so that its peak memory is its own; times are medians. Ends in one JSON line.
"""

import argparse
import json
import multiprocessing
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import duckdb

from elasticity_assets.inference.panel import panel_from_sales
from elasticity_assets.ingestion import (
    all_periods,
    build_weekly_sales,
    categories,
    read_category,
    take_in_files,
)
from elasticity_assets.settings import Columns, SalesSettings
from elasticity_assets.warehouse.file import Warehouse

FILES, DAYS, LINES_A_PRODUCT = 4, 728, 400
MEMORY = 2 * 10**9
"""Bytes that DuckDB may use for ingestion; the bare aggregation has all memory."""


def write_files(folder: Path, rows: int, kind: str) -> str:
    """Write transactions of as many rows in all; return the files' pattern."""
    products = max(rows // LINES_A_PRODUCT, 1)
    target = "(FORMAT parquet)" if kind == "parquet" else "(FORMAT csv, HEADER)"
    with duckdb.connect() as connection:
        for number in range(FILES):
            first, last = number * rows // FILES, (number + 1) * rows // FILES
            # Files follow each other in time, as deliveries do.
            connection.execute(
                f"""COPY (
                    SELECT
                        'p' || (hash(i) % {products})::VARCHAR AS product,
                        'c' || (hash(i) % {products} % 50)::VARCHAR AS category,
                        DATE '2023-01-02' + (i * {DAYS} // {rows})::INTEGER AS day,
                        1 + hash(i + 7) % 3 AS units,
                        round(2 + (hash(i) % {products} % 900) / 100 + (hash(i // 50) % 20) / 100, 2) AS price
                    FROM range({first}, {last}) AS t(i)
                ) TO '{folder}/sales_{number}.{kind}' {target}"""
            )
    return f"{folder}/*.{kind}"


def bare(pattern: str, folder: Path) -> dict[str, float]:
    """DuckDB's own reading and adding up, into a table."""
    kind = pattern.rsplit(".", 1)[1]
    with duckdb.connect(str(folder / "bare.duckdb")) as connection:
        began = time.perf_counter()
        connection.execute(
            f"""CREATE OR REPLACE TABLE weekly AS
                SELECT category, product, date_trunc('week', day)::DATE AS week, sum(units) AS units,
                       sum(units * price) AS revenue, count(*) AS n_rows
                FROM read_{kind}(?) GROUP BY ALL""",
            [pattern],
        )
        return {"seconds": time.perf_counter() - began}


def ingest(pattern: str, folder: Path) -> dict[str, float]:
    """Bring the files into a new warehouse, as the assets raw_sales and weekly_sales do."""
    (folder / "warehouse.duckdb").unlink(missing_ok=True)
    columns = Columns(product="product", category="category", period="day", units="units", price="price")
    sales = SalesSettings(path=[pattern], columns=columns)
    began = time.perf_counter()
    warehouse = Warehouse(path=str(folder / "warehouse.duckdb"), memory_bytes=MEMORY)
    with warehouse.write() as connection:
        take_in_files(connection, sales)
        taken = time.perf_counter()
        report = build_weekly_sales(connection, sales)
    ended = time.perf_counter()
    assert report.accounts_close
    return {"seconds": ended - began, "taking in": taken - began, "adding up": ended - taken}


def panels(pattern: str, folder: Path) -> dict[str, float]:
    """Every category's panel, from the warehouse that `ingest` left."""
    began, products = time.perf_counter(), 0
    with Warehouse(path=str(folder / "warehouse.duckdb")).read() as connection:
        periods = all_periods(connection)
        for category in categories(connection):
            sales = read_category(connection, category, (), periods=periods, missing_periods="unobserved")
            panel = panel_from_sales(sales)
            products += panel.n_products
    seconds = time.perf_counter() - began
    return {"seconds": seconds, "products a second": products / seconds}


def measured(
    part: Callable[[str, Path], dict[str, float]], pattern: str, folder: Path, repeats: int
) -> dict[str, float]:
    """Medians of several runs, each in a process of its own, and the largest peak memory, in GB."""
    context = multiprocessing.get_context("spawn")
    runs = []
    for _ in range(repeats):
        with context.Pool(1) as pool:
            runs.append(pool.apply(_with_memory, (part, pattern, folder)))
    found = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
    return {**found, "GB": max(run["GB"] for run in runs)}


def _with_memory(
    part: Callable[[str, Path], dict[str, float]], pattern: str, folder: Path
) -> dict[str, float]:
    found = part(pattern, folder)
    return {**found, "GB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=4_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--kind", choices=("parquet", "csv"), default="parquet")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pattern = write_files(folder, arguments.rows, arguments.kind)
        found = {
            part.__name__: measured(part, pattern, folder, arguments.repeats)
            for part in (bare, ingest, panels)
        }
    for part, values in found.items():
        print(part, {name: round(value, 3) for name, value in values.items()})
    times = found["ingest"]["seconds"] / found["bare"]["seconds"]
    print(
        json.dumps(
            {
                "rows": arguments.rows,
                "kind": arguments.kind,
                "rows_a_second": round(arguments.rows / found["ingest"]["seconds"]),
                "times_bare": round(times, 2),
                **{f"{part}_gb": round(values["GB"], 2) for part, values in found.items()},
                "products_a_second": round(found["panels"]["products a second"]),
            }
        )
    )


if __name__ == "__main__":
    main()
