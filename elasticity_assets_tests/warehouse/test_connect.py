"""Whatever opens DuckDB, no extension is installed by itself, and none of the community's."""

import ast
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import duckdb
import pytest

import elasticity_assets
from elasticity_assets.app.published_file import PublishedFile
from elasticity_assets.command.status import reading
from elasticity_assets.ingestion.sources import attached
from elasticity_assets.published.integrity import reading_published
from elasticity_assets.settings import SalesTable, Settings
from elasticity_assets.warehouse.connect import connect
from elasticity_assets.warehouse.file import Warehouse
from elasticity_assets_tests.support.both_warehouses import on_both
from elasticity_assets_tests.support.prices_to_change import publish_prices
from elasticity_assets_tests.support.projects import settings_dict

pytestmark = pytest.mark.quick

PACKAGE = Path(elasticity_assets.__file__).parent
ASK = """
    SELECT
        current_setting('autoinstall_known_extensions'),
        current_setting('allow_community_extensions')
"""


def check(connection: duckdb.DuckDBPyConnection) -> None:
    assert connection.execute(ASK).fetchall() == [(False, False)]


@contextmanager
def of_sales_table(folder: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(str(folder / "shop.duckdb")) as shop:
        shop.execute("CREATE TABLE IF NOT EXISTS sold (units INTEGER)")
    table = SalesTable(database=str(folder / "shop.duckdb"), name="sold")
    with connect() as connection, attached(connection, table) as (found,):
        yield found.connection


def of_status(folder: Path) -> AbstractContextManager[duckdb.DuckDBPyConnection | None]:
    named = {"warehouse": str(folder / "warehouse.duckdb"), "published": folder / "elasticity.duckdb"}
    return reading(Settings(**{**settings_dict(), **named}))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("opened")
    return publish_prices(folder).parent


@pytest.mark.parametrize(
    "opened",
    [
        of_sales_table,
        of_status,
        lambda folder: reading_published(folder / "elasticity.duckdb"),
        lambda folder: PublishedFile(folder / "elasticity.duckdb").reading(),
    ],
    ids=["sales.table", "status", "published", "app"],
)
def test_none_comes_with_what_is_read(
    folder: Path, opened: Callable[[Path], AbstractContextManager[duckdb.DuckDBPyConnection]]
) -> None:
    with opened(folder) as connection:
        check(connection)


@on_both
def test_none_comes_with_the_warehouse(warehouse: Warehouse) -> None:
    with warehouse.write() as connection:
        check(connection)
    with warehouse.read() as connection:
        check(connection)


def test_nothing_opens_duckdb_otherwise() -> None:
    others = [
        file.relative_to(PACKAGE).as_posix()
        for file in sorted(PACKAGE.rglob("*.py"))
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Attribute)
        and node.attr in ("connect", "sql", "query", "execute", "read_csv", "read_parquet")
        and isinstance(node.value, ast.Name)
        and node.value.id == "duckdb"
    ]
    assert others == ["warehouse/connect.py"]
