"""Sales in tables that exist already, in DuckDB, SQLite and PostgreSQL."""

import sqlite3
import uuid
from contextlib import closing
from datetime import date
from pathlib import Path

import duckdb
import pytest

from elasticity_assets.ingestion import SalesFileError, take_in_files
from elasticity_assets.ingestion.sources import attached
from elasticity_assets.settings import SalesSettings, SettingsError, load_settings
from elasticity_assets_tests.support.postgres import PASSWORD, Server
from elasticity_assets_tests.support.sales_files import COLUMNS, ingest, rejected, weekly_sales

pytestmark = pytest.mark.quick

CREATE = (
    'CREATE TABLE "weekly ""sales""" (product VARCHAR(9), date DATE, units INTEGER, price DOUBLE PRECISION)'
)
INSERT = (
    'INSERT INTO "weekly ""sales""" VALUES '
    "('A', '2024-01-01', 5, 2.5), ('A', '2024-01-08', 6, 2), (NULL, '2024-01-08', 6, 2)"
)
NAME = 'weekly "sales"'


def settings(database: str, name: str = NAME) -> SalesSettings:
    return SalesSettings.model_validate({"table": {"database": database, "name": name}, "columns": COLUMNS})


def execute(database: Path, *queries: str) -> None:
    if database.suffix == ".sqlite":
        with closing(sqlite3.connect(database)) as connection, connection:
            for query in queries:
                connection.execute(query)
    else:
        with duckdb.connect(str(database)) as connection:
            for query in queries:
                connection.execute(query)


@pytest.mark.parametrize("file", ["shop.duckdb", "shop 'a'.sqlite"])
def test_a_table_is_read_when_its_content_changed(connection, tmp_path: Path, file: str) -> None:
    database = tmp_path / file
    execute(database, CREATE, INSERT)
    named = settings(str(database))
    files, weekly = ingest(connection, named)
    assert files.new == (f"table {NAME} of {database}",)
    assert weekly_sales(connection) == [("A", date(2024, 1, 1), 5.0, 2.5), ("A", date(2024, 1, 8), 6.0, 2.0)]
    assert (weekly.rows_in, rejected(connection)) == (3, [(3, "no product")])
    files, _ = ingest(connection, named)
    assert (files.unchanged, files.vanished, files.not_named) == ((f"table {NAME} of {database}",), (), ())
    execute(database, 'UPDATE "weekly ""sales""" SET units = 7 WHERE units = 5')
    files, _ = ingest(connection, named)
    assert files.changed == (f"table {NAME} of {database}",)
    assert weekly_sales(connection, "units") == [(7.0,), (6.0,)]


def test_a_view_whose_name_has_a_point(connection, tmp_path: Path) -> None:
    database = tmp_path / "shop.duckdb"
    execute(database, CREATE, INSERT, 'CREATE VIEW "a.b" AS FROM "weekly ""sales"""')
    ingest(connection, settings(str(database), 'main."a.b"'))
    assert len(weekly_sales(connection)) == 2


@pytest.mark.parametrize(
    ("query", "is_refused"),
    [
        ("SELECT column0 FROM read_csv('/etc/passwd', header = false)", True),
        ("SELECT content FROM read_text('/etc/passwd')", True),
        ("SELECT file FROM glob('/etc/*')", True),
        ("FROM '{folder}/outside/sales.parquet'", True),
        ("FROM '{folder}/sales/sales.parquet'", False),
        ("FROM '{folder}/one/sales.parquet'", False),
    ],
)
def test_a_view_reads_what_sales_may_be_read_from(
    connection, tmp_path: Path, query: str, is_refused: bool
) -> None:
    for folder in ("sales", "one", "outside"):
        (tmp_path / folder).mkdir()
        duckdb.execute(
            "COPY (SELECT 'A' AS product, DATE '2024-01-01' AS date, 5 AS units, 2.5 AS price) "
            f"TO '{tmp_path / folder}/sales.parquet'"
        )
    database = tmp_path / "sales" / "shop.duckdb"
    execute(database, f"CREATE VIEW hostile AS {query.format(folder=tmp_path)}")
    named = settings(str(database), "hostile").model_copy(
        update={"roots": [str(tmp_path / "sales"), str(tmp_path / "one/sales.parquet")]}
    )
    if not is_refused:
        assert take_in_files(connection, named).rows_in == 1
        return
    with pytest.raises(SettingsError, match=r"allow its folder in sales\.roots") as error:
        take_in_files(connection, named)
    assert "root:" not in str(error.value)


def test_a_view_loads_no_extension_and_changes_no_setting(connection, tmp_path: Path) -> None:
    database = tmp_path / "shop.duckdb"
    execute(database, CREATE, INSERT)
    with attached(connection, settings(str(database)).table, [str(tmp_path)]) as (table,):
        for refused in (
            "INSTALL httpfs",
            "LOAD httpfs",
            "SET enable_external_access = true",
            "ATTACH '/tmp/x.duckdb'",
        ):
            with pytest.raises(duckdb.Error, match=r"disabled|locked"):
                table.connection.cursor().execute(refused)


@pytest.mark.parametrize(
    ("database", "name", "message"),
    [
        ("none.duckdb", "t", "sales.table.database: {folder}/none.duckdb cannot be read: No such file"),
        ("text.duckdb", "t", "sales.table.database: {folder}/text.duckdb cannot be opened: "),
        ("shop.duckdb", "none", "sales.table.name: {folder}/shop.duckdb has no table 'none': "),
        ("shop.duckdb", 'x"; DROP TABLE t; --', "sales.table.name: "),
    ],
)
def test_mistakes_are_told_in_one_line(
    connection, tmp_path: Path, database: str, name: str, message: str
) -> None:
    (tmp_path / "text.duckdb").write_text("x" * 10_000)
    execute(tmp_path / "shop.duckdb", CREATE)
    with pytest.raises(SettingsError) as error:
        take_in_files(connection, settings(str(tmp_path / database), name))
    assert message.format(folder=tmp_path) in str(error.value)
    assert "\n" not in str(error.value)


def test_an_empty_table_has_no_usable_row(connection, tmp_path: Path) -> None:
    execute(tmp_path / "shop.duckdb", CREATE)
    with pytest.raises(SalesFileError, match=r"shop.duckdb has no usable row of 0"):
        take_in_files(connection, settings(str(tmp_path / "shop.duckdb")))


def test_files_and_addresses_of_databases(tmp_path: Path) -> None:
    def loaded(database: str) -> str:
        file = tmp_path / "elasticity.yaml"
        columns = "{product: a, period: b, units: c, price: d}"
        file.write_text(f"sales: {{table: {{database: '{database}', name: t}}, columns: {columns}}}")
        table = load_settings(file).sales.table
        assert table is not None
        return table.database

    assert loaded("a.db") == loaded("sqlite:a.db") == str(tmp_path / "a.db")
    assert loaded("postgres:host=h dbname=d") == "postgres:host=h dbname=d"
    with pytest.raises(SettingsError, match="holds a password; give it in PGPASSWORD"):
        loaded("postgres:host=h password=secret")


@pytest.mark.server
def test_a_table_of_a_server(connection, postgres_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    database = postgres_server.create_database(uuid.uuid4().hex)
    for query in (CREATE, INSERT):
        postgres_server.execute(database, query)
    named = settings(f"postgres:{database}", f"public.{NAME}")
    _, weekly = ingest(connection, named)
    assert len(weekly_sales(connection)) == 2
    assert weekly.rows_in == 3
    assert take_in_files(connection, named).unchanged
    postgres_server.execute(database, 'UPDATE "weekly ""sales""" SET units = 7 WHERE units = 5')
    assert take_in_files(connection, named).changed
    with pytest.raises(SettingsError, match="cannot be opened"):
        take_in_files(connection, settings(f"postgres:{database}x"))
