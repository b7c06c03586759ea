"""The command's event log: Dagster's own files, opened once."""

import sqlite3
import sys
import threading
from collections import Counter
from contextlib import closing
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.instance.ref import InstanceRef

from elasticity_assets.command.event_log import EventLog, with_files_kept_open

pytestmark = pytest.mark.quick


def event_types(instance: dg.DagsterInstance, run_id: str) -> Counter[str]:
    return Counter(str(entry.dagster_event_type) for entry in instance.all_logs(run_id))


@pytest.mark.filterwarnings("ignore:Parameter `backfill_policy`")
def test_dagster_reads_what_was_logged_and_goes_on_with_it(tmp_path: Path) -> None:
    partitions = dg.StaticPartitionsDefinition(["a", "b"])

    @dg.asset(
        partitions_def=partitions,
        backfill_policy=dg.BackfillPolicy.single_run(),
        check_specs=[dg.AssetCheckSpec("fine", asset="numbers")],
    )
    def numbers(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        for key in context.partition_keys:
            context.add_asset_metadata({"key": key}, partition_key=key)
        return dg.MaterializeResult(check_results=[dg.AssetCheckResult(passed=True, check_name="fine")])

    job = dg.Definitions([numbers], jobs=[dg.define_asset_job("all")]).resolve_job_def("all")
    tags = {"dagster/asset_partition_range_start": "a", "dagster/asset_partition_range_end": "b"}
    own = InstanceRef.from_dir(str(tmp_path))
    with dg.DagsterInstance.from_ref(with_files_kept_open(own)) as instance:
        assert isinstance(instance.event_log_storage, EventLog)
        first = job.execute_in_process(instance=instance, tags=tags)
    with dg.DagsterInstance.from_ref(own) as instance:
        assert not isinstance(instance.event_log_storage, EventLog)
        second = job.execute_in_process(instance=instance, tags=tags)
        assert event_types(instance, first.run_id) == event_types(instance, second.run_id)
        found = instance.fetch_materializations(numbers.key, limit=10).records
        assert sorted((record.run_id, record.partition_key) for record in found) == sorted(
            (run, key) for run in (first.run_id, second.run_id) for key in ("a", "b")
        )
        assert [run.status for run in instance.get_runs()] == [dg.DagsterRunStatus.SUCCESS] * 2
        last = instance.get_latest_materialization_event(numbers.key)
        assert last is not None
        assert last.run_id == second.run_id
    with closing(sqlite3.connect(tmp_path / "history" / "runs" / "index.db")) as index:
        assert index.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        for table, of_run in (
            ("event_logs", "run_id"),
            ("asset_check_executions", "run_id"),
            ("asset_event_tags", "(SELECT run_id FROM event_logs AS e WHERE e.id = event_id)"),
        ):
            counted = f"SELECT {of_run} AS run, count(*) FROM {table} WHERE run IS NOT NULL GROUP BY run"
            rows = dict(index.execute(counted).fetchall())
            assert rows[first.run_id] == rows[second.run_id] > 0, table


@pytest.mark.filterwarnings("ignore:Parameter `backfill_policy`")
def test_a_batch_that_cannot_be_stored_is_stored_event_by_event_and_nothing_is_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    @dg.asset(
        partitions_def=dg.StaticPartitionsDefinition(["a", "b", "c"]),
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def numbers() -> None:
        pass

    refused = []

    def refuse(self: EventLog, *arguments: object) -> None:
        refused.append(arguments)
        raise OSError("the disk is full")

    monkeypatch.setattr(EventLog, "_store_asset_event_tags", refuse)
    monkeypatch.setattr(
        EventLog, "store_event", lambda self, event: (monkeypatch.undo(), self.store_event(event))
    )
    job = dg.Definitions([numbers], jobs=[dg.define_asset_job("all")]).resolve_job_def("all")
    tags = {"dagster/asset_partition_range_start": "a", "dagster/asset_partition_range_end": "c"}
    with dg.DagsterInstance.from_ref(with_files_kept_open(InstanceRef.from_dir(str(tmp_path)))) as instance:
        job.execute_in_process(instance=instance, tags=tags)
        found = instance.fetch_materializations(numbers.key, limit=10).records
    assert len(refused) == 1
    assert sorted(str(record.partition_key) for record in found) == ["a", "b", "c"]
    assert "storing" not in capfd.readouterr().err


def test_a_line_of_the_log_that_cannot_be_stored_is_lost_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = EventLog.store_event

    def refuse_lines(self: EventLog, event: dg.EventLogEntry) -> None:
        if not event.dagster_event:
            raise OSError("database is locked")
        store(self, event)

    @dg.op
    def says_something(context: dg.OpExecutionContext) -> None:
        context.log.info("something")

    @dg.job
    def work() -> None:
        says_something()

    monkeypatch.setattr(EventLog, "store_event", refuse_lines)
    with dg.DagsterInstance.from_ref(with_files_kept_open(InstanceRef.from_dir(str(tmp_path)))) as instance:
        done = work.execute_in_process(instance=instance)
        assert done.success
        said = [entry.user_message for entry in instance.all_logs(done.run_id) if not entry.dagster_event]
    assert said == []


def test_what_others_say_while_an_event_is_stored_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """As the main thread does, at Ctrl-C, while the one at work stores an event."""
    storing, said = threading.Event(), threading.Event()
    store = EventLog.store_event

    def slowly(self: EventLog, event: dg.EventLogEntry) -> None:
        storing.set()
        assert said.wait(60)
        store(self, event)

    @dg.op
    def nothing() -> None:
        pass

    @dg.job
    def work() -> None:
        nothing()

    with dg.DagsterInstance.from_ref(with_files_kept_open(InstanceRef.from_dir(str(tmp_path)))) as instance:
        monkeypatch.setattr(EventLog, "store_event", slowly)
        at_work = threading.Thread(target=work.execute_in_process, kwargs={"instance": instance})
        at_work.start()
        assert storing.wait(60)
        print("interrupted", file=sys.stderr)
        said.set()
        at_work.join()
    assert "interrupted" in capfd.readouterr().err


def test_a_storage_that_is_not_sqlite_stays(tmp_path: Path) -> None:
    (tmp_path / "dagster.yaml").write_text(
        "storage: {custom: {module: dagster._core.storage.noop, class: Other, config: {}}}"
    )
    own = InstanceRef.from_dir(str(tmp_path))
    assert with_files_kept_open(own) == own
