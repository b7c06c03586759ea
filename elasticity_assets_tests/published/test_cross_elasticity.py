"""cross_elasticity: all pairs of a group, from the effect of the others' mean price."""

from collections.abc import Iterator

import duckdb
import pandas as pd
import pytest

from elasticity_assets.published.cross_elasticity import MOST_OTHERS, replace_cross_elasticities
from elasticity_assets.warehouse.sales_tables import PRODUCTS, SUSPECT_SALES, weekly_sales
from elasticity_assets.warehouse.schema import bring_up_to_date
from elasticity_assets.warehouse.tables import CONTROL_EFFECT, CROSS_ELASTICITY, PRODUCT_ELASTICITY

pytestmark = pytest.mark.quick

TABLES = (PRODUCTS, SUSPECT_SALES, weekly_sales(), CONTROL_EFFECT, CROSS_ELASTICITY, PRODUCT_ELASTICITY)


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        bring_up_to_date(connection, TABLES)
        for table in TABLES:
            for column in table.columns:
                connection.execute(f'ALTER TABLE {table.name} ALTER "{column.name}" DROP NOT NULL')
        yield connection


def fill(connection: duckdb.DuckDBPyConnection, products: pd.DataFrame, effects: pd.DataFrame) -> None:
    """Write products (category, product, substitutes, units in one period) and effects of the others' prices."""
    connection.register("given", products)
    connection.execute("INSERT INTO products BY NAME SELECT category, product, substitutes FROM given")
    connection.execute(
        "INSERT INTO weekly_sales BY NAME SELECT category, product, units, DATE '2026-01-05' AS period_start FROM given"
    )
    connection.execute(
        "INSERT INTO product_elasticity BY NAME SELECT category, product, 'fit of ' || category AS fit_id FROM given"
    )
    connection.register("effects", effects)
    connection.execute("INSERT INTO control_effect BY NAME FROM effects")


EFFECTS = pd.DataFrame(
    {
        "category": ["tea", "tea"],
        "control": ["substitute_prices", "display"],
        "effect": [0.9, 5.0],
        "effect_sd": [0.3, 1.0],
        "effect_q05": [0.4, 3.0],
        "effect_q95": [1.4, 7.0],
    }
)


def test_each_other_has_its_share_of_the_others_units(connection: duckdb.DuckDBPyConnection) -> None:
    rows = [
        ("tea", "a", "green", 10.0),
        ("tea", "b", "green", 20.0),
        ("tea", "c", "green", 40.0),
        ("tea", "d", "black", 30.0),
        ("tea", "e", None, 30.0),
        ("tea", "f", "green", 0.0),
        ("coffee", "g", "green", 10.0),
        ("coffee", "h", "green", 10.0),
    ]
    fill(connection, pd.DataFrame(rows, columns=["category", "product", "substitutes", "units"]), EFFECTS)
    # A period that counts for nothing is no part of the shares.
    connection.execute(
        "INSERT INTO weekly_sales BY NAME "
        "SELECT 'tea' AS category, 'a' AS product, 1000 AS units, DATE '2026-01-12' AS period_start"
    )
    connection.execute(
        "INSERT INTO suspect_sales BY NAME "
        "SELECT 'tea' AS category, 'a' AS product, DATE '2026-01-12' AS period_start, 0.0 AS weight"
    )
    assert replace_cross_elasticities(connection) == 9
    found = {
        (product, other): values
        for _, product, other, *values, fit_id in connection.table("cross_elasticity").fetchall()
        if fit_id == "fit of tea"
    }
    units = {"a": 10.0, "b": 20.0, "c": 40.0}
    expected = {
        (product, other): units[other] / (70.0 - units.get(product, 0.0))
        for product in (*units, "f")
        for other in units
        if product != other
    }
    assert found.keys() == expected.keys()
    for pair, share in expected.items():
        assert found[pair] == pytest.approx([0.9 * share, 0.3 * share, 0.4 * share, 1.4 * share])


def test_of_a_large_group_each_product_has_the_others_that_sell_most(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    n = MOST_OTHERS + 10
    names = [f"p{i:03d}" for i in range(n)]
    products = pd.DataFrame({"category": "tea", "product": names, "substitutes": "green"})
    fill(connection, products.assign(units=[float(n - i) for i in range(n)]), EFFECTS)
    assert replace_cross_elasticities(connection) == n * MOST_OTHERS
    assert replace_cross_elasticities(connection) == n * MOST_OTHERS  # in place of the last
    last = connection.execute(
        "SELECT product, max(other_product), sum(elasticity) FROM cross_elasticity GROUP BY product ORDER BY product"
    ).fetchall()
    assert last[0][:2] == (names[0], names[MOST_OTHERS])
    assert last[-1][:2] == (names[-1], names[MOST_OTHERS - 1])
    assert all(0.8 < total < 0.9 for *_, total in last)


def test_without_groups_there_is_none(connection: duckdb.DuckDBPyConnection) -> None:
    products = pd.DataFrame({"category": "tea", "product": ["a", "b"], "substitutes": None, "units": 1.0})
    fill(connection, products, EFFECTS)
    assert replace_cross_elasticities(connection) == 0
