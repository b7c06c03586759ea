"""A warehouse that an earlier version made opens, keeps its rows, and gains what it lacks."""

import hashlib

import duckdb
import pytest

from elasticity_assets.ingestion.category import category_hash
from elasticity_assets.warehouse.file import Warehouse
from elasticity_assets.warehouse.fit_failures import fit_failures
from elasticity_assets.warehouse.migration import SCHEMA_VERSION
from elasticity_assets.warehouse.schema import create_table
from elasticity_assets.warehouse.tables import WAREHOUSE_TABLES

pytestmark = pytest.mark.quick

VERSION_2 = """
CREATE TABLE IF NOT EXISTS schema_version (
    version INTEGER NOT NULL,
    since TIMESTAMP NOT NULL DEFAULT current_localtimestamp()
);
CREATE TABLE IF NOT EXISTS sales_files (
    file_id INTEGER NOT NULL,
    file VARCHAR NOT NULL,
    content_hash VARCHAR NOT NULL,
    reading VARCHAR NOT NULL,
    place INTEGER NOT NULL,
    rows_in BIGINT NOT NULL,
    units_in DOUBLE NOT NULL,
    first_day DATE NOT NULL,
    last_day DATE NOT NULL
);
CREATE TABLE IF NOT EXISTS raw_sales (
    file_id INTEGER NOT NULL,
    line BIGINT NOT NULL,
    reason VARCHAR,
    "row" VARCHAR,
    product VARCHAR,
    category VARCHAR,
    store VARCHAR,
    day DATE,
    dated BOOLEAN,
    units DOUBLE,
    price DOUBLE,
    regular_price DOUBLE,
    description VARCHAR
);
CREATE TABLE IF NOT EXISTS unused_sales (
    file_id INTEGER NOT NULL,
    line BIGINT NOT NULL,
    reason VARCHAR NOT NULL
);
CREATE OR REPLACE VIEW rejected_sales AS
SELECT f.file, r.line, r.reason, r."row", r.units
FROM raw_sales AS r
JOIN sales_files AS f ON f.file_id = r.file_id
WHERE r.reason IS NOT NULL
UNION ALL
SELECT
    f.file,
    u.line,
    u.reason,
    CAST(to_json(struct_pack(
        product := r.product, category := r.category, store := r.store, day := r.day, units := r.units,
        price := r.price, regular_price := r.regular_price, description := r.description
    )) AS VARCHAR) AS "row",
    r.units
FROM unused_sales AS u
JOIN raw_sales AS r ON r.file_id = u.file_id AND r.line = u.line
JOIN sales_files AS f ON f.file_id = u.file_id;
CREATE TABLE IF NOT EXISTS products (
    product VARCHAR,
    category VARCHAR,
    product_description VARCHAR
);
CREATE TABLE IF NOT EXISTS weekly_sales (
    category VARCHAR,
    product VARCHAR,
    period_start DATE,
    units DOUBLE,
    revenue DOUBLE,
    price DOUBLE,
    regular_price DOUBLE,
    n_rows BIGINT,
    category_hash UBIGINT
);
CREATE TABLE IF NOT EXISTS fit_diagnostics (category VARCHAR NOT NULL, fit_id VARCHAR NOT NULL);
INSERT INTO fit_diagnostics VALUES ('soup', 'f');
INSERT INTO sales_files VALUES (1, 'a.csv', 'hash', '{}', 0, 2, 3, '2026-01-05', '2026-01-05');
INSERT INTO raw_sales (file_id, line, reason, "row", product, units)
    VALUES (1, 2, NULL, NULL, 'a', 1), (1, 3, 'no product', '{}', NULL, 2);
ALTER TABLE weekly_sales ADD COLUMN display DOUBLE;
INSERT INTO weekly_sales (category, product, units, display) VALUES ('soup', 'a', 1, 0.5);
INSERT INTO schema_version (version) VALUES (2)
"""


@pytest.fixture
def old(warehouse: Warehouse) -> Warehouse:
    """A warehouse of either kind as version 2 left it."""
    with warehouse.write() as connection:
        connection.execute("DROP VIEW rejected_sales")
        for name in ("schema_version", *(table.name for table in WAREHOUSE_TABLES)):
            connection.execute(f"DROP TABLE {name}")
        connection.execute(VERSION_2)
    return warehouse


def columns(connection: duckdb.DuckDBPyConnection, table: str) -> list[str]:
    return [name for name, *_ in connection.execute(f"DESCRIBE {table}").fetchall()]


def test_a_new_warehouse_has_all_tables_and_readers_make_none(warehouse: Warehouse) -> None:
    with warehouse.read() as connection:
        for table in WAREHOUSE_TABLES:
            assert columns(connection, table.name) == [column.name for column in table.columns]
            assert connection.table(table.name).fetchall() == []
        assert connection.table("rejected_sales").fetchall() == []
        assert connection.execute("SELECT version FROM schema_version").fetchall() == [(SCHEMA_VERSION,)]


def test_tables_of_version_2_keep_their_rows_and_gain_what_they_lack(old: Warehouse) -> None:
    with old.read() as connection:
        assert connection.execute("SELECT max(version) FROM schema_version").fetchone() == (SCHEMA_VERSION,)
        for table in WAREHOUSE_TABLES:
            assert {column.name for column in table.columns} <= set(columns(connection, table.name))
        found = connection.execute(
            "SELECT category, serial_correlation_factor, n_discounted, elbo FROM fit_diagnostics"
        ).fetchall()
        assert found == [("soup", 1.0, 0, None)]
        assert connection.execute("SELECT line, reason FROM rejected_sales").fetchall() == [(3, "no product")]
        assert connection.execute("SELECT units, display FROM weekly_sales").fetchall() == [(1.0, 0.5)]
        assert fit_failures(connection) == {}


def test_tables_of_version_1_gain_the_hash_by_which_categories_are_found(old: Warehouse) -> None:
    with old.write() as connection:
        connection.execute("ALTER TABLE weekly_sales DROP COLUMN category_hash")
        connection.execute("DELETE FROM schema_version")
        connection.execute("INSERT INTO schema_version (version) VALUES (1)")
    with old.read() as connection:
        found = connection.execute("SELECT category_hash FROM weekly_sales").fetchall()
    assert found == [(category_hash("soup"),)]


def test_a_control_of_version_5_that_is_called_randomized_gives_way_to_the_marks(
    warehouse: Warehouse,
) -> None:
    with warehouse.write() as connection:
        connection.execute("INSERT INTO raw_sales (file_id, line, units) VALUES (1, 2, 3)")
        for table in ("raw_sales", "weekly_sales"):
            connection.execute(f"ALTER TABLE {table} DROP COLUMN randomized")
            connection.execute(f"ALTER TABLE {table} ADD COLUMN randomized DOUBLE")
        connection.execute("UPDATE raw_sales SET randomized = 0.5")
        connection.execute("DELETE FROM schema_version")
        connection.execute("INSERT INTO schema_version (version) VALUES (5)")
    with warehouse.read() as connection:
        for table in ("raw_sales", "weekly_sales"):
            kinds = {name: kind for name, kind, *_ in connection.execute(f"DESCRIBE {table}").fetchall()}
            assert kinds["randomized"] == "BOOLEAN"
        assert connection.execute("SELECT units, randomized FROM raw_sales").fetchall() == [(3.0, None)]


def test_tables_of_version_6_gain_zones_and_a_control_called_zone_gives_way(warehouse: Warehouse) -> None:
    with warehouse.write() as connection:
        connection.execute("DROP TABLE zone_sales; DROP TABLE zones; DROP VIEW rejected_sales")
        for column in ("zone", "zone_covariates"):
            connection.execute(f"ALTER TABLE raw_sales DROP COLUMN {column}")
        connection.execute("ALTER TABLE suspect_sales DROP COLUMN zone")
        connection.execute("INSERT INTO suspect_sales VALUES ('c', 'p', '2024-01-01', 'price', 40, 4, 0)")
        connection.execute("ALTER TABLE raw_sales ADD COLUMN zone DOUBLE")
        connection.execute("INSERT INTO raw_sales (file_id, line, units, zone) VALUES (1, 2, 3, 0.5)")
        connection.execute("DELETE FROM schema_version")
        connection.execute("INSERT INTO schema_version (version) VALUES (6)")
    with warehouse.read() as connection:
        found = connection.execute("SELECT units, zone, zone_covariates FROM raw_sales").fetchall()
        assert found == [(3.0, None, None)]
        assert connection.execute("SELECT * FROM zone_sales, zones, rejected_sales").fetchall() == []
        assert connection.execute("SELECT product, weight, zone FROM suspect_sales").fetchall() == [
            ("p", 0.0, None)
        ]


def test_a_warehouse_that_is_up_to_date_is_opened_once_to_read(
    warehouse_file: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    with warehouse_file.read():
        pass
    opened = []
    connect = duckdb.connect
    monkeypatch.setattr(
        duckdb, "connect", lambda *args, **kwargs: opened.append(args) or connect(*args, **kwargs)
    )
    with warehouse_file.read() as connection:
        connection.table("products").fetchall()
    assert len(opened) == 1


def test_a_change_of_the_tables_is_a_new_version() -> None:
    declared = "\n".join(map(create_table, WAREHOUSE_TABLES))
    digest = hashlib.sha256(declared.encode()).hexdigest()[:16]
    assert (SCHEMA_VERSION, digest) == (7, "acf07c01a1e9ac68"), (
        "raise SCHEMA_VERSION: older warehouses follow it"
    )
