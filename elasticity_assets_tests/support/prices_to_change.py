"""A small project with a published file that has prices to raise and to lower, and texts that mean harm."""

from pathlib import Path

import pandas as pd
import yaml

from elasticity_assets.pricing.products import CrossEffects
from elasticity_assets.published.publish import publish
from elasticity_assets.published.recommended_prices import read_products, recommended
from elasticity_assets.published.recommended_tests import read_decided, recommended_tests_of
from elasticity_assets.settings import PricingSettings
from elasticity_assets.warehouse.file import Warehouse
from elasticity_assets.warehouse.schema import replace_rows
from elasticity_assets.warehouse.tables import (
    CROSS_ELASTICITY,
    RECOMMENDED_PRICES,
    RECOMMENDED_TESTS,
    UNIFORM_PRICING,
)
from elasticity_assets_tests.support.small_warehouse import CONTROLS, fill, refit
from elasticity_assets_tests.support.zoned_prices import fill_zones

ELSEWHERE = "http://127.0.0.1:9"
"""Where nobody answers, and nothing should be asked for."""
IMAGE = f"![x]({ELSEWHERE}/image.png)"
HTML = f'<img src="{ELSEWHERE}/html.png" onerror="alert(1)"><b>bold</b>'
MARKDOWN = "**b** :red[r] $x^2$ :smile: [l](javascript:alert(1))"
FORMULA = "=1+1"
ATTRIBUTE = f"**brand** {IMAGE}"
SOUP, HOSTILE = "soup", f"tea {IMAGE} {HTML}"
CATALOGUE = {SOUP: ["tomato", "onion", "leek"], HOSTILE: [IMAGE, HTML, MARKDOWN, FORMULA]}
COSTS = {"tomato": 1.5, "onion": 1.5, "leek": 1.5, IMAGE: 0.65, HTML: 1.5, MARKDOWN: 1.5, FORMULA: 0.5}
"""All prices are best raised, but for one that is best kept (IMAGE) and one that is best lowered (FORMULA)."""


def publish_prices(folder: Path, number: int = 1) -> Path:
    """Publish such a file as refit `number`; give its place."""
    file = folder / "data" / "elasticity.duckdb"
    warehouse = Warehouse(path=str(folder / "data" / "warehouse.duckdb"))
    fill(warehouse, catalogue=CATALOGUE)
    with warehouse.write() as connection:
        connection.execute("BEGIN")
        connection.execute(
            "UPDATE product_elasticity SET product_description = 'Description of ' || product, log_units_sd = 0.3, "
            "bias_per_confounding = 4"
        )
        connection.execute(
            "UPDATE product_elasticity SET flag = 'careful: ' || category WHERE category <> 'soup'"
        )
        for product, cost in COSTS.items():
            connection.execute("UPDATE weekly_sales SET cost = ? WHERE product = ?", [cost, product])
        pairs = [(a, b) for a in CATALOGUE[SOUP] for b in CATALOGUE[SOUP] if a != b]
        effects = pd.DataFrame(pairs, columns=["product", "other_product"]).assign(
            category=SOUP,
            elasticity=0.3,
            elasticity_sd=0.1,
            elasticity_q05=0.14,
            elasticity_q95=0.46,
            fit_id="fit of soup",
        )
        replace_rows(connection, CROSS_ELASTICITY, effects)
        connection.execute("DELETE FROM products")
        connection.execute(
            "INSERT INTO products BY NAME SELECT product, category, "
            "MAP {?: if(product = 'leek', 'national', category)} AS attributes FROM product_elasticity",
            [ATTRIBUTE],
        )
        fill_zones(connection, SOUP)
        priced = read_products(connection)
        assert isinstance(priced.cross, CrossEffects)
        prices = recommended(priced, PricingSettings(), f"refit-{number}")
        replace_rows(connection, RECOMMENDED_PRICES, prices.rows)
        replace_rows(connection, UNIFORM_PRICING, prices.uniform)
        tests = recommended_tests_of(read_decided(connection), PricingSettings(), f"refit-{number}")
        replace_rows(connection, RECOMMENDED_TESTS, tests)
        # Only now, since no price is recommended where prices follow demand.
        connection.execute("DELETE FROM causal_evidence")
        for category, follows in ((SOUP, False), (HOSTILE, True)):
            connection.execute(
                "INSERT INTO causal_evidence BY NAME SELECT ? AS category, ? AS prices_follow_demand, ? AS verdict, "
                "? AS fit_id, 'display <b>' AS strongest_control, 0.04 AS strongest_control_of_sales, "
                "0.09 AS strongest_control_of_prices",
                [category, follows, f"a verdict on {category}", f"fit of {category}"],
            )
        connection.execute("COMMIT")
    publish(warehouse, file, refit(number, catalogue=CATALOGUE), controls=CONTROLS)
    content = {
        "sales": {
            "path": "*.csv",
            "columns": {"product": "p", "category": "c", "period": "w", "units": "u", "price": "r"},
        },
        "published": "data/elasticity.duckdb",
    }
    (folder / "elasticity.yaml").write_text(yaml.safe_dump(content))
    return file
