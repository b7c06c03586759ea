"""What is published after each refit of the same sales, and what must not be left beside it."""

from pathlib import Path

import duckdb
import pandas as pd

OF_ITS_REFIT = ["fit_id", "refit_id", "fitted_at", "seconds"]
AGREEMENT = """
    SELECT 'several fits of a category: ' || category
    FROM (
        SELECT category, fit_id FROM product_elasticity
        UNION SELECT category, fit_id FROM category_elasticity
        UNION SELECT category, fit_id FROM fit_diagnostics
    )
    GROUP BY category HAVING count(*) <> 1
    UNION ALL
    SELECT 'not as in the history: ' || category || ', ' || product
    FROM product_elasticity AS p
    FULL JOIN (
        FROM elasticity_history WHERE refit_id = (FROM refits SELECT arg_max(refit_id, number))
    ) AS h USING (category, product)
    WHERE p.elasticity IS DISTINCT FROM h.elasticity
    UNION ALL
    SELECT 'recommendations of another refit: ' || category
    FROM recommended_prices
    WHERE refit_id <> (FROM refits SELECT arg_max(refit_id, number))
    UNION ALL
    SELECT 'refits counts other products'
    FROM (FROM refits ORDER BY number DESC LIMIT 1)
    WHERE n_products <> (SELECT count(*) FROM product_elasticity)
"""


def published(folder: Path) -> dict[str, pd.DataFrame]:
    """Tables that every refit of these sales must repeat; they agree with each other."""
    tables = {}
    with duckdb.connect(str(folder / "data/elasticity.duckdb"), read_only=True) as connection:
        for (table,) in connection.sql("SELECT table_name FROM duckdb_tables() ORDER BY ALL").fetchall():
            if table not in ("check_results", "elasticity_history", "refits", "rejected_sales"):
                rows = connection.sql(f'FROM "{table}" ORDER BY ALL').df()
                tables[table] = rows.drop(columns=OF_ITS_REFIT, errors="ignore")
        assert connection.execute(AGREEMENT).fetchall() == []
        assert connection.execute(
            "SELECT bool_and(rows_in = rows_used + rows_rejected) FROM refits"
        ).fetchone() == (True,)
    return tables


def assert_same(found: dict[str, pd.DataFrame], wanted: dict[str, pd.DataFrame]) -> None:
    assert list(found) == list(wanted)
    for table, rows in found.items():
        pd.testing.assert_frame_equal(rows, wanted[table], check_exact=True, obj=table)


def leftovers(folder: Path) -> list[str]:
    """Unfinished files of processes that are no more."""
    return sorted(
        str(file.relative_to(folder))
        for file in folder.rglob("*")
        if ".tmp" in file.name or ".wal" in file.name
    )
