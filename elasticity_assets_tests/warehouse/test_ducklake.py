"""A warehouse that many machines share: the run's lock, snapshots, and what is said when something is missing."""

import multiprocessing
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import psycopg2
import pytest

from elasticity_assets.settings import DUCKLAKE
from elasticity_assets.warehouse import ducklake as module
from elasticity_assets.warehouse import postgres_lock as lock_module
from elasticity_assets.warehouse.ducklake import DuckLakeWarehouse, close_connections
from elasticity_assets.warehouse.file import WarehouseError
from elasticity_assets.warehouse.migration import SCHEMA_VERSION
from elasticity_assets.warehouse.postgres_lock import postgres_lock
from elasticity_assets.warehouse.run_lock import RunLockError
from elasticity_assets_tests.support.ports import free_port
from elasticity_assets_tests.support.postgres import Server, running_server
from elasticity_assets_tests.support.projects import make_project, same_numbers
from elasticity_assets_tests.support.waiting import until

spawn = multiprocessing.get_context("spawn")


def catalog_of(warehouse: DuckLakeWarehouse) -> str:
    return warehouse.path.removeprefix(DUCKLAKE)


def hold_lock(catalog: str, held, release) -> None:
    with postgres_lock(catalog):
        held.set()
        release.wait(60)


@pytest.fixture
def holder(ducklake: DuckLakeWarehouse):
    """Another process that has the lock until told to let it go."""
    held, release = spawn.Event(), spawn.Event()
    process = spawn.Process(target=hold_lock, args=(catalog_of(ducklake), held, release))
    process.start()
    assert held.wait(60)
    yield process, release
    process.kill()
    process.join()


def test_a_run_waits_for_another_processes_and_says_whose(ducklake: DuckLakeWarehouse, holder) -> None:
    process, release = holder
    said: list[str] = []

    def let_go(line: str) -> None:
        said.append(line)
        release.set()

    with ducklake.run_lock(let_go):
        pass
    assert len(said) == 1
    assert f"elasticity process {process.pid} on " in said[0]


def test_a_run_that_waits_in_vain_says_who_has_the_warehouse(ducklake: DuckLakeWarehouse, holder) -> None:
    process, _ = holder
    with (
        pytest.raises(RunLockError, match=f"elasticity process {process.pid} on .* waited 0.5 s"),
        postgres_lock(catalog_of(ducklake), wait_seconds=0.5),
    ):
        pass


def test_a_killed_process_frees_the_lock(ducklake: DuckLakeWarehouse, holder) -> None:
    process, _ = holder
    process.kill()
    with postgres_lock(catalog_of(ducklake), wait_seconds=30):
        pass


def test_the_server_soon_notices_a_machine_that_vanished(ducklake: DuckLakeWarehouse) -> None:
    catalog = catalog_of(ducklake)
    with postgres_lock(catalog), lock_module._turns[catalog].session.cursor() as cursor:
        cursor.execute("SHOW tcp_keepalives_idle")
        assert cursor.fetchone() == ("60",)


def test_a_run_that_lost_its_lock_goes_no_further(ducklake: DuckLakeWarehouse) -> None:
    with ducklake.run_lock():
        with psycopg2.connect(catalog_of(ducklake)) as other:
            of_lock = "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'elasticity process %'"
            other.cursor().execute(f"SELECT pg_terminate_backend(pid) FROM ({of_lock}) AS sessions")
        other.close()
        with pytest.raises(RunLockError, match="the lock was lost"), ducklake.run_lock():
            pass


def test_each_connection_has_a_folder_of_its_own_for_what_does_not_fit_into_memory(
    ducklake: DuckLakeWarehouse,
) -> None:
    folders = set()
    for use in (ducklake.write, ducklake.read):
        with use() as connection:
            folders |= set(connection.execute("SELECT current_setting('temp_directory')").fetchall())
    assert len(folders) == 2
    assert all(Path(folder).is_dir() for (folder,) in folders)
    close_connections()
    assert not any(Path(folder).exists() for (folder,) in folders)


def test_a_thread_may_take_its_lock_again_and_another_waits(ducklake: DuckLakeWarehouse) -> None:
    order = []

    def other() -> None:
        with ducklake.run_lock():
            order.append("other")

    with ducklake.run_lock():
        with ducklake.run_lock():
            thread = threading.Thread(target=other)
            thread.start()
            time.sleep(0.3)
        order.append("own")
    thread.join(30)
    assert order == ["own", "other"]


def test_a_server_that_is_not_there_is_told_in_one_line(tmp_path: Path) -> None:
    unused_port = free_port()
    catalog = f"host=127.0.0.1 port={unused_port} user=nobody dbname=none"
    warehouse = DuckLakeWarehouse(path=f"{DUCKLAKE}{catalog}", files=str(tmp_path / "files"))
    for use, error in ((warehouse.run_lock, RunLockError), (warehouse.read, WarehouseError)):
        with pytest.raises(error, match="Connection refused") as caught, use():
            pass
        assert "\n" not in str(caught.value)
        assert f"port={unused_port}" in str(caught.value)


def test_a_server_that_was_restarted_is_connected_to_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_server() as server:
        warehouse = lake_on(server, tmp_path, monkeypatch)
        with warehouse.write() as connection:
            connection.execute("INSERT INTO products (product, category) VALUES ('a', 'b')")
        server.stop()
        with pytest.raises((duckdb.Error, WarehouseError)), warehouse.read() as connection:
            connection.execute("FROM products").fetchall()
        server.start()

        def products() -> list[tuple]:
            with warehouse.read() as connection:
                return connection.execute("SELECT product, category FROM products").fetchall()

        until(lambda: _or_none(products) == [("a", "b")], "the rows", seconds=30)
        close_connections()


def _or_none(ask):
    try:
        return ask()
    except (duckdb.Error, WarehouseError):
        return None


def lake_on(server: Server, folder: Path, monkeypatch: pytest.MonkeyPatch) -> DuckLakeWarehouse:
    monkeypatch.setenv("PGPASSWORD", "secret")
    catalog = server.create_database("lake")
    return DuckLakeWarehouse(path=f"{DUCKLAKE}{catalog}", files=str(folder / "files"))


def test_only_the_last_refits_snapshots_and_the_present_one_are_kept(ducklake: DuckLakeWarehouse) -> None:
    for number in range(4):

        def add(connection: duckdb.DuckDBPyConnection, number: int = number) -> None:
            connection.execute("INSERT INTO products (product, category) VALUES (?, 'b')", [str(number)])
            ducklake.name_refit(connection, f"refit-{number}")

        ducklake.in_transaction(add)
    with ducklake.write() as connection:
        connection.execute("DELETE FROM products")
    published = Path("none.duckdb")  # of which nothing is asked
    ducklake.forget_refits(published, keep=2)
    assert ducklake.refits(published) == ["refit-3", "refit-2"]
    with ducklake.read() as connection:
        (n_snapshots,) = connection.execute("SELECT count(*) FROM warehouse.snapshots()").fetchone()
        assert connection.execute("SELECT count(*) FROM products").fetchone() == (0,)
    assert n_snapshots == 3
    with ducklake.as_of("refit-2") as connection:
        assert connection.execute("SELECT count(*) FROM products").fetchone() == (3,)


def test_transactions_are_given_up_after_a_while(ducklake: DuckLakeWarehouse) -> None:
    impatient = ducklake.model_copy(update={"wait_seconds": 3.0})
    tries = []

    def conflicting(connection: duckdb.DuckDBPyConnection) -> None:
        tries.append(1)
        raise duckdb.TransactionException("conflict")

    with pytest.raises(duckdb.TransactionException):
        impatient.in_transaction(conflicting)
    assert len(tries) > 1


def test_tables_of_a_newer_version_are_refused(ducklake: DuckLakeWarehouse) -> None:
    with ducklake.write() as connection:
        connection.execute("INSERT INTO schema_version (version) VALUES (?)", [SCHEMA_VERSION + 1])
    with pytest.raises(WarehouseError, match="newer version"), ducklake.write():
        pass


def test_files_in_another_folder_than_the_catalogs_are_refused(
    ducklake: DuckLakeWarehouse, tmp_path: Path
) -> None:
    with ducklake.write():
        pass
    moved = ducklake.model_copy(update={"files": str(tmp_path / "elsewhere")})
    with pytest.raises(WarehouseError, match="does not match existing data path") as caught, moved.read():
        pass
    assert "\n" not in str(caught.value)


def test_files_may_lie_in_an_object_store(new_ducklake: Callable[[], DuckLakeWarehouse], bucket: str) -> None:
    import boto3

    in_s3 = new_ducklake().model_copy(update={"files": f"s3://{bucket}/lake/"})
    for statement in (
        "INSERT INTO products (product, category) SELECT i, 'b' FROM range(10000) AS numbers(i)",
        "DELETE FROM products WHERE CAST(product AS INTEGER) < 4000",
    ):
        in_s3.in_transaction(lambda connection, statement=statement: connection.execute(statement) and None)
    with in_s3.read() as connection:
        assert connection.execute("SELECT count(*) FROM products").fetchone() == (6000,)
    keys = [found["Key"] for found in boto3.client("s3").list_objects_v2(Bucket=bucket)["Contents"]]
    assert all(key.startswith("lake/") for key in keys)


def test_a_missing_extension_says_how_to_install_it(
    ducklake: DuckLakeWarehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_EXTENSIONS", ["no_such_extension"])
    with (
        pytest.raises(WarehouseError, match=r"pip install 'elasticity_assets\[ducklake\]'") as caught,
        ducklake.read(),
    ):
        pass
    assert "\n" not in str(caught.value)


def test_a_refit_publishes_what_it_does_on_a_file(ducklake: DuckLakeWarehouse, tmp_path: Path) -> None:
    of_file = make_project(tmp_path / "file")
    of_lake = make_project(
        tmp_path / "lake", settings={"warehouse": ducklake.path, "ducklake_files": ducklake.files}
    )
    for project in (of_file, of_lake):
        assert project.ingest().success
        assert project.refit().success
        assert project.refit().success  # again: nothing has changed
    for table in (
        "product_elasticity",
        "category_elasticity",
        "price_scenarios",
        "heldout_scores",
        "weekly_sales",
    ):
        assert same_numbers(of_file.published(table), of_lake.published(table)), table
    assert len(ducklake.refits(of_lake.settings.published)) == 2
    with ducklake.read() as connection:
        (rows,) = connection.execute("SELECT count(*) FROM product_elasticity").fetchone()
    assert rows == len(of_lake.published("product_elasticity"))


def end_at_once(path: str, files: str) -> None:
    """End as Ctrl-C ends the command."""
    with DuckLakeWarehouse(path=path, files=files).read():
        os._exit(130)


def test_spill_folders_of_processes_that_have_gone_are_removed(
    ducklake: DuckLakeWarehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    monkeypatch.setenv("TMPDIR", str(temporary))
    process = spawn.Process(target=end_at_once, args=(ducklake.path, ducklake.files))
    process.start()
    process.join(60)
    (left,) = temporary.glob("elasticity_warehouse.*")
    with ducklake.read() as connection:
        connection.execute("FROM products")
        own = set(temporary.glob("elasticity_warehouse.*"))
        assert len(own) == 1
        assert left not in own
        with ducklake.write():
            assert own < set(temporary.glob("elasticity_warehouse.*")), "whose process is there stays"
    close_connections()
