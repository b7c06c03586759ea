import logging
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import dagster as dg
import duckdb
import pytest

from elasticity_assets.command.runs import what_failed
from elasticity_assets.settings import Settings
from elasticity_assets.warehouse import file as module
from elasticity_assets.warehouse.damage import DamagedFileError, last_copy
from elasticity_assets.warehouse.file import Warehouse, WarehouseError
from elasticity_assets.warehouse.migration import SCHEMA_VERSION
from elasticity_assets.warehouse.of_settings import warehouse_of
from elasticity_assets_tests.support.projects import settings_dict

spawn = multiprocessing.get_context("spawn")


def hold(path: str, ready, seconds: float) -> None:
    with Warehouse(path=path).write() as connection:
        connection.execute("CREATE OR REPLACE TABLE held AS SELECT 1 AS i")
        ready.set()
        time.sleep(seconds)


def replace_own_rows(kind: type[Warehouse], settings: dict, times: int) -> None:
    """Count to `times` in a row of this process's own, which each transaction replaces."""
    warehouse, own = kind(**settings), [os.getpid()]

    def count(connection: duckdb.DuckDBPyConnection) -> None:
        connection.execute("CREATE TABLE IF NOT EXISTS counted (pid BIGINT, n BIGINT)")
        (n,) = connection.execute("SELECT coalesce(max(n), 0) FROM counted WHERE pid = ?", own).fetchone()
        connection.execute("DELETE FROM counted WHERE pid = ?", own)
        connection.execute("INSERT INTO counted VALUES (?, ?)", [*own, n + 1])

    for _ in range(times):
        warehouse.in_transaction(count)


@pytest.fixture
def holder(warehouse_file: Warehouse):
    """Starts another process that holds the warehouse for some seconds; ends it afterwards."""
    started = []

    def start(seconds: float):
        ready = spawn.Event()
        process = spawn.Process(target=hold, args=(warehouse_file.path, ready, seconds))
        process.start()
        started.append(process)
        assert ready.wait(60)
        return process

    yield start
    for process in started:
        process.kill()
        process.join()
        process.close()


def test_a_new_file_has_the_tables_and_the_storage_format_that_texts_are_written_fastest_in(
    warehouse_file: Warehouse,
) -> None:
    with warehouse_file.read() as connection:
        tables = {row[0] for row in connection.execute("SHOW TABLES").fetchall()}
        assert {"sales_files", "raw_sales", "rejected_sales", "weekly_sales", "products"} <= tables
        assert connection.execute("SELECT version FROM schema_version").fetchall() == [(SCHEMA_VERSION,)]
        tags = connection.execute("SELECT tags FROM duckdb_databases() WHERE NOT internal").fetchone()[0]
        assert tags["storage_version"].startswith("v1.3.0")


def test_reading_does_not_write(warehouse: Warehouse) -> None:
    with warehouse.read() as connection, pytest.raises(duckdb.InvalidInputException, match="read-only"):
        connection.execute("DELETE FROM raw_sales")


def test_what_is_not_committed_is_rolled_back(warehouse: Warehouse) -> None:
    with warehouse.write() as connection:
        connection.execute("BEGIN")
        connection.execute("INSERT INTO products (product, category) VALUES ('a', 'b')")
    with warehouse.read() as connection:
        assert connection.execute("SELECT count(*) FROM products").fetchone() == (0,)


def test_waiting_for_another_process_names_it_and_succeeds_when_it_is_done(
    warehouse_file: Warehouse, holder, monkeypatch
) -> None:
    messages = []
    logger = logging.getLogger("waiting")
    monkeypatch.setattr(module.dg, "get_dagster_logger", lambda: logger)
    monkeypatch.setattr(logger, "info", lambda text, *values: messages.append(text % values))
    process = holder(2.0)
    with warehouse_file.read() as connection:
        assert connection.execute("SELECT i FROM held").fetchone() == (1,)
    assert messages
    assert f"(PID {process.pid})" in messages[0]


def test_giving_up_says_in_one_line_who_holds_the_file(warehouse_file: Warehouse, holder) -> None:
    process = holder(60.0)
    impatient = Warehouse(path=warehouse_file.path, wait_seconds=0.2)
    with pytest.raises(WarehouseError) as error, impatient.write():
        pass
    assert f"(PID {process.pid})" in str(error.value)
    assert warehouse_file.path in str(error.value)
    assert "\n" not in str(error.value)


def test_a_step_that_waited_in_vain_is_tried_again(warehouse_file: Warehouse, holder, monkeypatch) -> None:
    monkeypatch.setattr(module, "SECONDS_BEFORE_RETRY", 0.5)
    monkeypatch.setattr(module, "RETRIES", 1)

    @dg.asset
    def reading(warehouse: Warehouse) -> int:
        with warehouse.read() as connection:
            return connection.execute("SELECT i FROM held").fetchall()[0][0]

    impatient = {"warehouse": Warehouse(path=warehouse_file.path, wait_seconds=0.2)}
    process = holder(60.0)
    result = dg.materialize([reading], resources=impatient, raise_on_error=False)
    retried = [
        event for event in result.all_events if event.event_type == dg.DagsterEventType.STEP_UP_FOR_RETRY
    ]
    assert not result.success
    assert len(retried) == 1
    assert len(what_failed(result)) == 1
    assert f"{warehouse_file.path} is held by" in what_failed(result)[0]
    threading.Timer(0.5, process.kill).start()
    monkeypatch.setattr(module, "RETRIES", 9)
    assert dg.materialize([reading], resources=impatient).output_for_node("reading") == 1


def test_memory_is_bounded_and_a_killed_processes_temporary_files_go(
    warehouse_file: Warehouse, tmp_path
) -> None:
    small = Warehouse(path=warehouse_file.path, memory_bytes=500_000_000)
    with small.write() as connection:
        left = Path(connection.execute("SELECT current_setting('temp_directory')").fetchall()[0][0])
        assert connection.execute("SELECT current_setting('memory_limit')").fetchall() == [("476.8 MiB",)]
        assert left.name.startswith("warehouse.duckdb.")
    left.mkdir()
    (left / "duckdb_temp_storage_DEFAULT-0.tmp").touch()
    with small.read():
        assert left.exists(), "another process may be using it"
    with small.write():
        assert not left.exists()


BEGINS_FILES = r"""
import os, shutil, sys, time
from pathlib import Path
from threading import Thread
import dagster as dg
import numpy as np
from elasticity_assets.atomic_write import atomic_write
from elasticity_assets.fitting.array_store import ArrayStore
from elasticity_assets.report.files import write_report
from elasticity_assets.warehouse.damage import keep_copy

def half(target, *_, **__):
    (target if hasattr(target, "write") else Path(target).open("wb")).write(b"half")
    os.write(1, b"begun\n")  # whole, beside another thread's
    time.sleep(300)

shutil.copyfile = lambda source, target: half(target)
Path.write_text = np.savez = half
data = Path(sys.argv[1])
store = ArrayStore(folder=str(data / "warehouse.arrays"))
for begin in (
    lambda: keep_copy(data / "warehouse.duckdb"),
    lambda: store.write(dg.AssetKey("category_posterior"), {"n": np.arange(3)}, "a category that has gone since"),
    lambda: store.write(dg.AssetKey("global_posterior"), {"n": np.arange(3)}),
    lambda: write_report("page", data / "reports", ["1"], keep=1),
):
    Thread(target=begin, daemon=True).start()
time.sleep(300)
"""


def test_what_a_killed_run_left_half_written_goes_when_the_next_begins(tmp_path: Path) -> None:
    def unfinished() -> set[str]:
        return {file.parent.name for file in tmp_path.rglob("*.tmp")}

    begun = [sys.executable, "-c", BEGINS_FILES, str(tmp_path)]
    with subprocess.Popen(begun, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert [process.stdout.readline() for _ in range(4)] == ["begun\n"] * 4
        process.kill()
    assert unfinished() == {tmp_path.name, "category_posterior", "warehouse.arrays", "reports"}
    somebodys = tmp_path / ".notes.tmp"
    somebodys.touch()

    @dg.op
    def begin(warehouse: Warehouse) -> None:
        pass

    files = {"warehouse": str(tmp_path / "warehouse.duckdb"), "published": tmp_path / "elasticity.duckdb"}
    settings = Settings(**{**settings_dict(), **files})

    @dg.job(resource_defs={"warehouse": warehouse_of(settings)})
    def of_a_run() -> None:
        begin()

    assert of_a_run.execute_in_process().success
    assert unfinished() == {tmp_path.name}
    assert somebodys.exists()


def test_a_killed_writer_leaves_a_file_that_opens(warehouse_file: Warehouse, holder) -> None:
    process = holder(60.0)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    with warehouse_file.read() as connection:
        assert connection.execute("SELECT i FROM held").fetchone() == (1,)


def test_processes_that_write_at_once_lose_nothing(warehouse: Warehouse) -> None:
    what = type(warehouse), {**warehouse.model_dump(), "wait_seconds": 120}, 10
    processes = [spawn.Process(target=replace_own_rows, args=what) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
        assert process.exitcode == 0
    with warehouse.read() as connection:
        rows = connection.execute("FROM counted").fetchall()
    assert sorted(rows) == sorted((process.pid, 10) for process in processes)


def test_threads_that_read_and_write_take_turns(warehouse_file: Warehouse) -> None:
    failures = []

    def work(number: int) -> None:
        try:
            for _ in range(5):
                with warehouse_file.write() as connection:
                    connection.execute("CREATE TABLE IF NOT EXISTS turns (thread INTEGER)")
                    connection.execute("INSERT INTO turns VALUES (?)", [number])
                with warehouse_file.read() as connection:
                    connection.execute("SELECT count(*) FROM turns").fetchone()
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    with warehouse_file.read() as connection:
        assert connection.execute("SELECT count(*) FROM turns").fetchone() == (20,)


def test_threads_read_at_the_same_time(warehouse_file: Warehouse) -> None:
    with warehouse_file.read() as one, warehouse_file.read() as other:
        assert one.execute("SELECT 1").fetchone() == other.execute("SELECT 1").fetchone()


def test_a_connection_asked_for_inside_a_writing_one_gives_up(warehouse_file: Warehouse) -> None:
    impatient = Warehouse(path=warehouse_file.path, wait_seconds=0.1)
    with impatient.write(), pytest.raises(WarehouseError, match="another thread"), impatient.read():
        pass


def test_a_file_of_a_newer_version_is_refused(warehouse_file: Warehouse) -> None:
    with warehouse_file.write() as connection:
        connection.execute("INSERT INTO schema_version (version) VALUES (?)", [SCHEMA_VERSION + 1])
    with pytest.raises(WarehouseError, match="newer version"), warehouse_file.write():
        pass


def test_a_file_that_is_no_database_is_refused(warehouse_file: Warehouse) -> None:
    Path(warehouse_file.path).write_text("not a database, " * 1000)
    with pytest.raises(DamagedFileError, match="is not a valid DuckDB"), warehouse_file.write():
        pass


@pytest.mark.parametrize("open_as", ["read", "write"])
def test_queries_that_take_long_print_nothing(warehouse, open_as):
    with getattr(warehouse, open_as)() as connection:
        (setting,) = connection.execute("SELECT current_setting('enable_progress_bar')").fetchone()
    assert setting is False


def test_what_holds_sales_is_its_owners_alone(warehouse_file: Warehouse) -> None:
    with warehouse_file.write():
        pass
    warehouse_file.keep_copy()
    file = Path(warehouse_file.path)
    assert {found.stat().st_mode & 0o777 for found in (file, last_copy(file))} == {0o600}


def test_no_extension_is_installed_by_itself(warehouse_file: Warehouse) -> None:
    with warehouse_file.write() as connection:
        found = [
            connection.execute(f"SELECT current_setting('{name}')").fetchone()[0]
            for name in ("autoinstall_known_extensions", "allow_community_extensions")
        ]
    assert found == [False, False]
