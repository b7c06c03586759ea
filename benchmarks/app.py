"""How fast the page for pricing teams answers, on a published file of made-up rows.

    python benchmarks/app.py
    python benchmarks/app.py --products 1_000_000 --categories 2_000 --weeks 8 --substitutes 5
    python benchmarks/app.py --browser

By default as many products and categories as the example has. The file has the project's own tables, written by their
definitions. Each question is asked of the file in a process that serves nobody else; medians of 5, after a first one.
With --browser the page is served, and Chromium measures it from the first byte to the answer on the screen; then --keep
FILE leaves the file. Ends in one JSON line.
"""

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd

from elasticity_assets.app import groups, products, recommendations
from elasticity_assets.app.published_file import PublishedFile
from elasticity_assets.app.recommendations import ACTIONS, Filters
from elasticity_assets.pricing.products import CrossEffects, Products
from elasticity_assets.pricing.together import outcomes
from elasticity_assets.published.recommended_prices import Priced, recommended
from elasticity_assets.published.tables import published_tables
from elasticity_assets.settings import PricingSettings
from elasticity_assets.warehouse.schema import create_table, qualified

REFITS = 8
REPEATS = 5
NOW = datetime(2026, 1, 5, 6)
Z = 1.645


def write_published(file: Path, n: int, categories: int, weeks: int, of_group: int) -> None:
    """Write a published file of made-up rows: n products, alike to those of a grocer, in groups of substitutes."""
    random = np.random.default_rng(1)
    place = np.arange(n)
    category = np.char.add("CATEGORY ", (place * categories // n).astype(str)).astype(object)
    product = np.char.add("p", (100_000 + place).astype(str)).astype(object)
    price = np.round(random.lognormal(1.0, 0.6, n), 2)
    slope, sd = random.normal(-1.7, 0.6, n), random.uniform(0.1, 0.5, n)
    units = random.lognormal(1.0, 1.2, n)

    def interval(name: str, mean: np.ndarray, sd: np.ndarray) -> dict[str, np.ndarray]:
        ends = {"": mean, "_sd": sd, "_q05": mean - Z * sd, "_q50": mean, "_q95": mean + Z * sd}
        return {f"{name}{end}": values for end, values in ends.items()}

    rows = pd.DataFrame(
        {
            "category": category,
            "product": product,
            "product_description": np.char.add("Beans of kind ", (place % 977).astype(str)),
            **interval("elasticity", slope, sd),
            **interval("elasticity_long_run", slope + 0.2, sd),
            "prob_elastic": 0.9,
            "shrinkage": random.uniform(0.2, 0.9, n),
            "n_periods": weeks,
            "units": units * weeks,
            "revenue": units * weeks * price,
            "price_mean": price,
            "price_min": 0.85 * price,
            "price_max": 1.1 * price,
            "log_price_sd": 0.1,
            "price_latest": price,
            "price_latest_at": NOW.date(),
            "units_per_period": units,
            "revenue_per_period": units * price,
            "flag": np.where(place % 7 == 0, "little price variation: 1.2%", None),
            "estimated": place % 11 != 0,
            "fit_id": "a fit",
            "fitted_at": NOW,
            "brand": np.char.add("brand ", (place % 40).astype(str)),
        }
    )
    known = Products(
        product=product,
        price=price,
        price_paid=price,
        units=units,
        cost=0.6 * price,
        elasticity=slope,
        elasticity_sd=sd,
        category=place * categories // n,
        index_effect=np.full(n, 0.8),
        index_effect_sd=np.full(n, 0.2),
        estimated=rows["estimated"].to_numpy(),
        confounded=np.zeros(n, bool),
        tested=np.ones(n, bool),
        price_min=0.85 * price,
        price_max=1.1 * price,
    )
    prices = recommended(Priced(category, known, CrossEffects.none()), PricingSettings(), "refit-1").rows
    names = pd.unique(category)
    whole = pd.DataFrame(
        {"category": names, **interval("elasticity", np.full(len(names), -1.7), np.full(len(names), 0.2))}
    )
    whole = whole.assign(product_spread=0.6, n_products=np.bincount(place * categories // n), n_periods=weeks)
    whole = whole.assign(n_obs=1, estimated=True, fit_id="a fit", fitted_at=NOW)
    effect = pd.DataFrame(
        {"category": names, "control": "category_price_index", "effect": 0.8, "effect_sd": 0.2}
    )
    effect = effect.assign(effect_q05=0.5, effect_q95=1.1)
    refit = {
        "refit_id": "refit-1",
        "refitted_at": NOW,
        "seconds": 1.0,
        "n_files": 1,
        "rows_in": 1,
        "rows_used": 1,
    }
    refit |= {"rows_rejected": 0, "n_categories": categories, "n_products": n, "failed": [], "number": 1}
    tables = {table.name: table for table in published_tables([], ["brand"])}
    with duckdb.connect(str(file)) as connection:
        for table in tables.values():
            connection.execute(create_table(table))

        def insert(name: str, source: str) -> None:
            connection.execute(f"INSERT INTO {qualified(tables[name])} BY NAME {source}")

        for name, frame in (
            ("product_elasticity", rows),
            ("recommended_prices", prices.assign(brand=rows["brand"])),
            ("category_elasticity", whole),
            ("control_effect", effect),
            ("refits", pd.DataFrame([refit | {"versions": None}]).drop(columns="versions")),
        ):
            connection.register("frame", frame)
            insert(name, "FROM frame" if name != "refits" else "SELECT *, MAP {} AS versions FROM frame")
            connection.unregister("frame")
        numbered = (
            "SELECT *, row_number() OVER (ORDER BY category, product) - 1 AS place FROM product_elasticity"
        )
        insert(
            "weekly_sales",
            f"""SELECT category, product, DATE '2025-01-06' + (7 * week)::INTEGER AS period_start,
                   price_latest * (1 - 0.1 * (hash(place + week) % 4 = 0)::INTEGER) AS price,
                   0.6 * price_latest AS cost, units_per_period AS units, units_per_period * price_latest AS revenue
               FROM product_elasticity, range({weeks}) AS t(week), LATERAL (SELECT hash(product) AS place)
               ORDER BY category, product, period_start""",
        )
        insert(
            "cross_elasticity",
            f"""SELECT a.category, a.product, b.product AS other_product, 0.02 AS elasticity, 0.01 AS elasticity_sd,
                   0.004 AS elasticity_q05, 0.036 AS elasticity_q95, a.fit_id
               FROM ({numbered}) AS a INNER JOIN ({numbered}) AS b
                   ON a.category = b.category AND a.place // {of_group} = b.place // {of_group}
               WHERE a.place <> b.place ORDER BY ALL""",
        )
        for number in range(REFITS):
            insert(
                "elasticity_history",
                f"""SELECT category, product, 'refit-{REFITS - number}' AS refit_id,
                       elasticity + 0.01 * {number} AS elasticity,
                       TIMESTAMP '{NOW - timedelta(weeks=number)}' AS refitted_at, elasticity_sd,
                       elasticity_q05, elasticity_q95, estimated FROM product_elasticity""",
            )


def milliseconds(ask: Callable[[], object]) -> float:
    """Median time of REPEATS, after a first one."""
    ask()
    times = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        ask()
        times.append(1000 * (time.perf_counter() - began))
    return round(statistics.median(times), 1)


def questions(file: Path) -> dict[str, float]:
    """Time what the page asks of the file; milliseconds."""
    published = PublishedFile(file)
    found = {}
    with published.reading() as connection:
        row = recommendations.page(connection, Filters(), ACTIONS, "largest gain").iloc[0]
        key = (row["category"], row["product"])
        changed = ("raise", "lower")
        group = groups.read_group(connection, *key, groups.SUBSTITUTES)
        size = len(group.group.products)
        for name, ask in {
            "first page: totals": lambda: recommendations.totals(connection, Filters()),
            "first page: rows": lambda: recommendations.page(connection, Filters(), changed, "largest gain"),
            "first page: values to filter by": lambda: recommendations.attributes(connection),
            "first page: what accepting all accepts": lambda: recommendations.keys(
                connection, Filters(), changed, 100_000
            ),
            "search in first page": lambda: recommendations.page(
                connection, Filters(text="kind 97"), ACTIONS, "product"
            ),
            "last page": lambda: recommendations.page(connection, Filters(), ACTIONS, "product", 1000),
            "search a product": lambda: products.search(connection, "kind 97"),
            "a product": lambda: products.read_product(connection, *key),
            f"what if: read a group of {size}": lambda: groups.read_group(
                connection, *key, groups.SUBSTITUTES
            ),
            f"what if: prices of {size} moved": lambda: outcomes(
                group.group, 1.05 * group.group.products.price
            ),
        }.items():
            found[name] = milliseconds(ask)
            print(f"{name:45} {found[name]:8.1f} ms", flush=True)
    found["peak memory, MB"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000)
    return found


def in_browser(file: Path) -> dict[str, float]:
    """Time the page in Chromium; milliseconds, from the click to what is on the screen."""
    from playwright.sync_api import expect, sync_playwright

    port = 8599
    folder = file.parent
    (folder / "elasticity.yaml").write_text(
        "sales: {path: '*.csv', columns: {product: p, category: c, period: w, units: u, price: r}}\n"
        f"published: {file}\n"
    )
    command = [sys.executable, "-c", "from elasticity_assets.command.cli import main; main()", "app"]
    command += ["--port", str(port)]
    server = subprocess.Popen(
        command, cwd=folder, env=os.environ | {"ELASTICITY_CONFIG": str(folder / "elasticity.yaml")}
    )
    found: dict[str, list[float]] = {}
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(120):
            try:
                urllib.request.urlopen(f"{address}/_stcore/health").close()
                break
            except OSError:
                time.sleep(0.5)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox"]
            )
            for _ in range(REPEATS + 1):
                page = browser.new_page(viewport={"width": 1400, "height": 900})
                page.set_default_timeout(60_000)
                began = time.perf_counter()
                page.goto(address)
                page.locator(".answer").wait_for()
                page.get_by_test_id("stDataFrame").wait_for()
                found.setdefault("first page in the browser", []).append(time.perf_counter() - began)
                page.close()
            with PublishedFile(file).reading() as connection:
                row = recommendations.page(connection, Filters(), ACTIONS, "largest gain").iloc[0]
            page = browser.new_page(viewport={"width": 1400, "height": 900})
            page.goto(f"{address}/what_if?category={row['category']}&product={row['product']}")
            page.get_by_role("radio", name="its substitutes").click()
            slider = page.get_by_role("slider", name="all prices")
            slider.wait_for(timeout=60_000)
            value = page.get_by_test_id("stMetricValue").first
            page.wait_for_timeout(3000)
            for _ in range(REPEATS + 1):
                before = value.inner_text()
                began = time.perf_counter()
                slider.press("ArrowRight")
                expect(value).not_to_have_text(before, timeout=30_000)
                found.setdefault("what if in the browser, a group of 50", []).append(
                    time.perf_counter() - began
                )
                page.wait_for_timeout(1000)
            browser.close()
    finally:
        server.terminate()
        server.wait()
    return {name: round(1000 * statistics.median(times[1:])) for name, times in found.items()}


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--products", type=int, default=67_810)
    parser.add_argument("--categories", type=int, default=302)
    parser.add_argument("--weeks", type=int, default=52)
    parser.add_argument("--substitutes", type=int, default=50, help="of each product")
    parser.add_argument("--browser", action="store_true")
    parser.add_argument("--keep", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        file = asked.keep.absolute() if asked.keep else Path(folder) / "elasticity.duckdb"
        if not file.exists():
            write_published(file, asked.products, asked.categories, asked.weeks, asked.substitutes + 1)
        print(f"{file.stat().st_size / 1e6:.0f} MB")
        found = questions(file)
        if asked.browser:
            found |= in_browser(file)
    print(json.dumps({"products": asked.products} | found))


if __name__ == "__main__":
    main()
