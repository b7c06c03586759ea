"""One run at a time on a warehouse, whoever starts it."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import dagster as dg
import pytest

from elasticity_assets.warehouse.file import Warehouse
from elasticity_assets.warehouse.run_lock import RunLockError, run_lock
from elasticity_assets_tests.support.locks import HOLDER, held_elsewhere


def test_another_process_is_waited_for_by_name_and_given_up_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "w.duckdb"
    said: list[str] = []
    with held_elsewhere(file) as holder:
        with (
            pytest.raises(RunLockError, match=rf"process {holder.pid} .*waited 0\.2 s") as error,
            run_lock(file, 0.2, said.append),
        ):
            pass
        assert "\n" not in str(error.value)
        (line,) = said
        assert f"process {holder.pid}" in line
        with run_lock(tmp_path / "other.duckdb", 0.2):
            pass  # a warehouse beside it has its own
    with run_lock(file, 5, said.append), run_lock(file, 5, said.append):
        assert len(said) == 1  # a killed holder's is free, and the same thread may take it twice


def test_another_thread_waits_too(tmp_path: Path) -> None:
    outcome: list[str] = []

    def take() -> None:
        try:
            with run_lock(tmp_path / "w.duckdb", 0.2):
                outcome.append("taken")
        except RunLockError as error:
            outcome.append(str(error))

    with run_lock(tmp_path / "w.duckdb"):
        thread = threading.Thread(target=take)
        thread.start()
        thread.join()
    assert f"process {os.getpid()}" in outcome[0]


def test_a_run_holds_it_from_its_first_step_to_its_last(tmp_path: Path) -> None:
    file = tmp_path / "w.duckdb"

    def is_held() -> bool:
        code = HOLDER.replace("10)", "0)").replace("sys.stdin.readline()", "pass")
        done = subprocess.run([sys.executable, "-c", code, str(file)], check=False, capture_output=True)
        return b"RunLockError" in done.stderr

    @dg.asset
    def first(warehouse: Warehouse) -> dg.MaterializeResult:
        return dg.MaterializeResult(metadata={"held": is_held()})

    @dg.asset(deps=[first])
    def between() -> dg.MaterializeResult:
        return dg.MaterializeResult(metadata={"held": is_held()})

    @dg.asset(deps=[between])
    def last(warehouse: Warehouse) -> dg.MaterializeResult:
        return dg.MaterializeResult(metadata={"held": is_held()})

    definitions = dg.Definitions(
        assets=[first, between, last],
        jobs=[dg.define_asset_job("all")],
        executor=dg.in_process_executor,
        resources={"warehouse": Warehouse(path=str(file))},
    )
    result = definitions.resolve_job_def("all").execute_in_process()
    held = [
        event.materialization.metadata["held"].value for event in result.get_asset_materialization_events()
    ]
    assert held == [True, True, True]
    assert not is_held()


WITHOUT_LOCKS = """
import errno, fcntl, os, sys
from pathlib import Path

def flock(file, operation):
    raise OSError(getattr(errno, sys.argv[2]), os.strerror(getattr(errno, sys.argv[2])))

fcntl.flock = flock  # as on a file system that has none
from elasticity_assets.warehouse.run_lock import RunLockError, run_lock
try:
    with run_lock(Path(sys.argv[1]), 0.3, lambda line: print(line, flush=True)):
        print("held", flush=True)
        sys.stdin.readline()
except RunLockError as error:
    sys.exit(str(error))
"""


def without_locks(file: Path, error: str = "ENOSYS") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", WITHOUT_LOCKS, str(file), error],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_file_stands_for_the_lock_where_there_are_none_and_goes_with_a_killed_process(
    tmp_path: Path,
) -> None:
    file = tmp_path / "w.duckdb"
    with without_locks(file) as first:
        assert first.stdout.readline() == "held\n"
        with without_locks(file) as second:
            told, errors = second.communicate(timeout=60)
        assert f"process {first.pid} on " in told
        assert f"if that process has gone, delete {file.with_name('.w.duckdb.lock')}" in errors
        assert errors.count("\n") == 1
        first.kill()
    with without_locks(file) as third:
        assert third.stdout.readline() == "held\n"
        _, errors = third.communicate("\n", timeout=60)
    assert errors == ""


def test_an_empty_file_of_a_process_that_has_gone_keeps_nobody_waiting(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    (tmp_path / ".w.duckdb.lock").touch()
    (tmp_path / ".w.duckdb.holder").write_text(f"process {gone.pid}")
    with without_locks(tmp_path / "w.duckdb") as process:
        assert process.stdout.readline() == "held\n"
        process.communicate("\n", timeout=60)


def test_a_file_system_that_refuses_locks_is_named_in_one_line(tmp_path: Path) -> None:
    with without_locks(tmp_path / "w.duckdb", "ENOLCK") as process:
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert errors.startswith(
        f"{tmp_path / '.w.duckdb.lock'}: No locks available: this file system has no locks"
    )
    assert errors.count("\n") == 1
