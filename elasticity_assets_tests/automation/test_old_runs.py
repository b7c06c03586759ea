"""Old runs are deleted from a real instance's storage, and the space is given back."""

import sqlite3
from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.execution.api import execute_run
from dagster._core.instance.ref import InstanceRef
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin

from elasticity_assets.automation.old_runs import delete_old_runs
from elasticity_assets.command.event_log import with_files_kept_open

pytestmark = pytest.mark.quick


@dg.op
def say(context: dg.OpExecutionContext) -> None:
    for _ in range(20):
        context.log.info("x" * 20_000)
    context.log_event(dg.AssetMaterialization("sales", metadata={"rows": "y" * 100_000}))
    context.log_event(dg.AssetCheckEvaluation(dg.AssetKey("sales"), "rows_in", passed=True, metadata={}))


@dg.job(executor_def=dg.in_process_executor)
def refit() -> None:
    say()


def made(instance: dg.DagsterInstance, location: str | None, status: str = "SUCCESS") -> dg.DagsterRun:
    """One run of a code location, whose status is set to one."""
    origin = location and RemoteJobOrigin(
        RemoteRepositoryOrigin(RegisteredCodeLocationOrigin(location), "__repository__"), "refit"
    )
    run = instance.create_run_for_job(refit, remote_job_origin=origin or None)
    assert execute_run(InMemoryJob(refit), run, instance).success
    if status != "SUCCESS":
        set_in_storage(instance, run, "status", status)
    return run


def set_in_storage(instance: dg.DagsterInstance, run: dg.DagsterRun, column: str, value: str) -> None:
    file = Path(instance.root_directory) / "history" / "runs.db"
    with closing(sqlite3.connect(file)) as runs:
        runs.execute(f"UPDATE runs SET {column} = ? WHERE run_id = ?", [value, run.run_id])
        runs.commit()


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def rows_of(folder: Path, run_ids: Iterable[str]) -> Counter[str]:
    """How many rows name one of these runs, by table of all of Dagster's files."""
    found: Counter[str] = Counter()
    for file in folder.rglob("*.db"):
        with closing(sqlite3.connect(file)) as opened:
            columns = opened.execute(
                "SELECT m.name, c.name FROM sqlite_master AS m, pragma_table_info(m.name) AS c "
                "WHERE m.type = 'table'"
            ).fetchall()
            for table, column in columns:
                for run_id in run_ids:
                    like = f'SELECT count(*) FROM "{table}" WHERE CAST("{column}" AS TEXT) LIKE ?'
                    found[table] += opened.execute(like, [f"%{run_id}%"]).fetchone()[0]
    return +found


@pytest.mark.parametrize("kept_open", [False, True])
def test_old_runs_are_deleted_and_their_space_given_back(tmp_path: Path, kept_open: bool) -> None:
    own = InstanceRef.from_dir(str(tmp_path))
    with dg.DagsterInstance.from_ref(with_files_kept_open(own) if kept_open else own) as instance:
        old = [made(instance, "ours") for _ in range(4)]
        others = [made(instance, "theirs"), made(instance, "ours", status="STARTED"), made(instance, None)]
        for run in [*old, *others]:
            set_in_storage(instance, run, "create_timestamp", "2020-01-01 00:00:00.000000")
        recent, now = made(instance, "ours"), made(instance, "ours")
        before = size(tmp_path)
        assert delete_old_runs(instance, others[-1], 365) == 0, "a run of no code location"
        assert delete_old_runs(instance, now, 365, job="ingest") == 0
        assert delete_old_runs(instance, now, 10**4) == 0
        assert size(tmp_path) == before
        assert delete_old_runs(instance, now, 365) == 4
        assert delete_old_runs(instance, now, 365) == 0
        kept = {run.run_id for run in [*others, recent, now]}
        assert {run.run_id for run in instance.get_runs()} == kept
        assert {entry.run_id for entry in instance.all_logs(recent.run_id)} == {recent.run_id}
        assert {
            m.run_id for m in instance.fetch_materializations(dg.AssetKey("sales"), limit=99).records
        } == kept
        made(instance, "ours")  # storage goes on working
    assert size(tmp_path) < 0.75 * before
    assert rows_of(tmp_path, [recent.run_id]).keys() >= {"runs", "run_tags", "asset_check_executions"}
    assert not rows_of(tmp_path, [run.run_id for run in old])
    files = {path.name.partition(".")[0] for path in (tmp_path / "history" / "runs").iterdir()}
    assert not files & {run.run_id for run in old}
    assert not any((tmp_path / "storage" / run.run_id).exists() for run in old)
    with closing(sqlite3.connect(tmp_path / "history" / "runs" / "index.db")) as index:
        assert index.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        (unused,) = index.execute("PRAGMA freelist_count").fetchone()
        (pages,) = index.execute("PRAGMA page_count").fetchone()
        assert unused < 0.25 * pages
