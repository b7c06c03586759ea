"""From simulated sales files to published tables: each stage's time and peak memory.

    python benchmarks/pipeline.py --products 100_000
    python benchmarks/pipeline.py --products 1_000_000      # the article's large size
    python benchmarks/pipeline.py --week-later              # and again, with one more week of sales

`elasticity simulate` writes a Parquet file, and `elasticity refit` takes it from there, each in a process of its own.
Memory is the process's resident set, looked at five times a second; a stage's peak is the highest while it ran. Ends in
one JSON line; `scale.py` makes a cost model of several.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from pathlib import Path

import duckdb

SETTINGS = """
sales:
  path: sales/*.parquet
  columns: {product: product, category: category, period: week, units: units, price: price}
fit: {likelihood: LIKELIHOOD}
"""
_STAGE = re.compile(r"^(\w+)\s+([\d.]+) s$")


def elasticity(folder: Path, *arguments: str) -> dict[str, dict[str, float]]:
    """Run the command; return seconds and peak memory in MB of each stage that it names, and of all."""
    command = [Path(sys.executable).with_name("elasticity"), *arguments]
    environment = {**os.environ, "ELASTICITY_CONFIG": str(folder / "elasticity.yaml")}
    environment["DAGSTER_HOME"] = str(folder)
    began = time.perf_counter()
    run = subprocess.Popen(
        command, cwd=folder, env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )
    peak: dict[str, float] = defaultdict(float)

    def watch() -> None:
        while run.poll() is None:
            peak["now"] = max(peak["now"], _resident_mb(run.pid))
            time.sleep(0.2)

    watcher = threading.Thread(target=watch)
    watcher.start()
    stages: dict[str, dict[str, float]] = {}
    said = []
    for line in run.stderr or ():
        said.append(line)
        if match := _STAGE.match(line.strip()):
            stages[match[1]] = {"seconds": float(match[2]), "peak_mb": round(peak["now"])}
            peak["all"], peak["now"] = max(peak["all"], peak["now"]), 0.0
            print(line.strip(), stages[match[1]], file=sys.stderr)
    watcher.join()
    if run.wait() != 0:
        raise SystemExit(f"elasticity {arguments[0]} failed:\n{''.join(said)}")
    seconds = round(time.perf_counter() - began, 1)
    return {**stages, "all": {"seconds": seconds, "peak_mb": round(max(peak["all"], peak["now"]))}}


def _resident_mb(process: int) -> float:
    try:
        pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    except (FileNotFoundError, ProcessLookupError, IndexError):
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def coverage(folder: Path) -> float:
    """Share of the true elasticities inside their published 90% intervals."""
    with duckdb.connect(str(folder / "data/elasticity.duckdb"), read_only=True) as connection:
        found = connection.execute(
            """SELECT avg((truth.elasticity BETWEEN elasticity_q05 AND elasticity_q95)::INTEGER)
               FROM product_elasticity JOIN read_parquet(?) AS truth USING (product)""",
            [str(folder / "truth.parquet")],
        ).fetchone()
    assert found is not None
    return round(found[0], 4)


def deliver(folder: Path, which: str, weeks: str) -> None:
    """Put the simulated sales of weeks before the last ("<"), or of the last ("="), where settings look for them."""
    sales = duckdb.read_parquet(str(folder / "simulated.parquet"))
    last = sales.max("week").fetchone()
    assert last is not None
    column = duckdb.ColumnExpression("week")
    end = duckdb.ConstantExpression(last[0])
    sales.filter(column < end if weeks == "<" else column == end).write_parquet(str(folder / "sales" / which))


def pipeline(
    products: int, categories: int, weeks: int, likelihood: str, folder: Path, *, week_later: bool
) -> dict:
    """Measure one size."""
    (folder / "elasticity.yaml").write_text(SETTINGS.replace("LIKELIHOOD", likelihood))
    (folder / "sales").mkdir()
    simulated = elasticity(
        folder,
        "simulate",
        f"--products={products}",
        f"--weeks={weeks}",
        f"--categories={categories}",
        f"--out={'simulated.parquet' if week_later else 'sales/sales.parquet'}",
        "--truth=truth.parquet",
    )
    if week_later:
        deliver(folder, "weeks.parquet", "<")
    refit = elasticity(folder, "refit")
    later = {}
    if week_later:
        deliver(folder, "last.parquet", "=")
        later = elasticity(folder, "refit")
    return {
        "products": products,
        "weeks": weeks,
        "categories": categories,
        "likelihood": likelihood,
        "simulate": simulated["all"],
        "stages": {name: stage for name, stage in refit.items() if name != "all"},
        "refit": refit["all"],
        "week_later": later,
        "coverage_90": coverage(folder),
        "published_mb": round((folder / "data/elasticity.duckdb").stat().st_size / 1e6),
    }


def main() -> None:
    """Parse the command line and print one JSON line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--products", type=int, default=10_000)
    parser.add_argument("--categories", type=int, help="by default one for a thousand products")
    parser.add_argument("--weeks", type=int, default=156)
    parser.add_argument("--likelihood", choices=["poisson", "negative_binomial"], default="negative_binomial")
    parser.add_argument(
        "--week-later", action="store_true", help="refit again, with the last week as a new file"
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        categories = arguments.categories or max(arguments.products // 1_000, 1)
        found = pipeline(
            arguments.products,
            categories,
            arguments.weeks,
            arguments.likelihood,
            Path(folder),
            week_later=arguments.week_later,
        )
        print(json.dumps(found))


if __name__ == "__main__":
    main()
