"""Several tasks at once on Ray: what `test_threads` asks of threads, and what only machines do."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from elasticity_assets.fitting import ray_tasks
from elasticity_assets_tests.support import ray_cluster
from elasticity_assets_tests.support.ports import free_port

pytestmark = [ray_cluster.WANTS_RAY, pytest.mark.slow]


@pytest.fixture(scope="module")
def cluster() -> Iterator[ray_cluster.RayCluster]:
    with ray_cluster.ray_cluster(nodes=2) as cluster:
        yield cluster
        ray_tasks.disconnect()


@pytest.fixture
def connected(cluster: ray_cluster.RayCluster) -> None:
    ray_tasks.connect(cluster.address)


def run(
    work: Callable[[Any], Any], tasks: Iterable[Any], cells: int = ray_tasks.BATCH_CELLS, **asked: float
) -> Any:
    return ray_tasks.run_each(work, tasks, lambda task: cells, **{"cpus": 1.0, "gpus": 0.0, **asked})


class UnsendableError(Exception):
    def __init__(self, one: int, two: int):
        super().__init__(f"{one} and {two}")


def ten_times(number: int) -> int:
    if number == 2:
        raise ValueError("two")
    if number == 3:
        raise UnsendableError(3, 4)
    return number * 10


@pytest.mark.usefixtures("connected")
@pytest.mark.parametrize("cells", [1, ray_tasks.BATCH_CELLS])
def test_results_come_in_order_and_errors_with_their_task(cells: int) -> None:
    found = list(run(ten_times, range(6), cells))
    assert [task for task, _ in found] == [0, 1, 2, 3, 4, 5]
    assert [done.result() for task, done in found if task not in (2, 3)] == [0, 10, 40, 50]
    with pytest.raises(ValueError, match="two") as raised:
        found[2][1].result()
    assert "in ten_times" in raised.value.__notes__[0]
    with pytest.raises(ray_tasks.NotSentError, match="UnsendableError: 3 and 4"):
        found[3][1].result()


@pytest.mark.usefixtures("connected")
def test_a_worker_of_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_tasks, "version", lambda package: "9.9")  # of this process
    with pytest.raises(
        dg.Failure, match=r" has elasticity_assets [\d.]+; install elasticity_assets 9\.9 on every"
    ):
        list(run(abs, range(3)))


AS_CLIENT = """
import sys
from elasticity_assets.fitting import ray_tasks
ray_tasks.connect(sys.argv[1])
print([done.result() for _, done in ray_tasks.run_each(abs, [-1, 2], lambda task: 1, cpus=1, gpus=0)])
ray_tasks.disconnect()
"""


def test_a_process_on_no_node_of_the_cluster_is_its_client(cluster: ray_cluster.RayCluster) -> None:
    command = [sys.executable, "-c", AS_CLIENT, cluster.client_address]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert done.stdout == "[1, 2]\n", done.stderr


def process_of_each(number: int) -> tuple[int, float]:
    time.sleep(0.2)
    return os.getpid(), time.time()


@pytest.mark.usefixtures("connected")
def test_machines_work_at_once_and_processes_are_used_again() -> None:
    processes = {done.result()[0] for _, done in run(process_of_each, range(12))}
    assert os.getpid() not in processes
    assert len(processes) == 2


def test_small_ones_share_a_task_and_a_big_one_has_its_own() -> None:
    most = ray_tasks.BATCH_CELLS
    sizes = [most // 2, most // 2, most // 2, 10 * most, 1, 1]
    assert list(ray_tasks._batches(sizes, lambda size: size)) == [
        [most // 2, most // 2],
        [most // 2],
        [10 * most],
        [1, 1],
    ]
    assert list(ray_tasks._batches([], lambda size: size)) == []


@pytest.mark.usefixtures("connected")
def test_takes_few_tasks_ahead() -> None:
    taken = 0

    def tasks() -> Iterator[int]:
        nonlocal taken
        for number in range(20):
            taken += 1
            yield number

    results = run(abs, tasks())
    for seen in range(1, 21):
        next(results)
        # Twice as many as the two CPUs, and the first of the next batch.
        assert taken <= seen + 2 * 2


def leaves_a_file(file: Path) -> None:
    file.touch()
    time.sleep(0.5)


@pytest.mark.usefixtures("connected")
def test_who_stops_reading_cancels_what_has_not_begun(tmp_path: Path) -> None:
    results = run(leaves_a_file, [tmp_path / str(number) for number in range(20)])
    next(results)
    results.close()
    # What is begun after it has its turn when those cancelled would have had theirs.
    list(run(abs, range(4)))
    assert len(list(tmp_path.iterdir())) <= 1 + 2 + 1


def ends_its_process(number: int) -> int:
    if number == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


@pytest.mark.usefixtures("connected")
def test_who_brings_its_process_down_harms_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_tasks, "MAX_RETRIES", 0)
    found = list(run(ends_its_process, range(3), cells=1))
    assert [task for task, done in found if done.exception()] == [1]


@pytest.mark.usefixtures("connected")
def test_says_where_no_machine_has_what_is_asked_for() -> None:
    with pytest.raises(
        dg.Failure, match=r"^ray.cpus 1 and ray.gpus 1: no machine of the cluster has so many"
    ):
        list(run(abs, range(3), gpus=1.0))
    assert ray_tasks._room(0.3, 0.0) == 2 * 3
    assert ray_tasks._room(2.0, 0.0) == 0


@pytest.mark.usefixtures("connected")
def test_connects_once_and_leaves_sigterm_alone(cluster: ray_cluster.RayCluster) -> None:
    def on_terminate(*_: object) -> None: ...

    before = signal.signal(signal.SIGTERM, on_terminate)
    try:
        ray_tasks.disconnect()
        assert ray_tasks.connect(cluster.address)
        assert signal.getsignal(signal.SIGTERM) is on_terminate
        assert not ray_tasks.connect(cluster.address)
    finally:
        signal.signal(signal.SIGTERM, before)


def test_ray_tells_nothing_of_machines_even_if_it_was_imported_before(
    cluster: ray_cluster.RayCluster, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from ray._private import ray_logging, worker

    monkeypatch.setattr(ray_logging.stdout_deduplicator, "skip_re", None)  # as an import elsewhere leaves it
    ray_tasks.disconnect()
    ray_tasks.connect(cluster.address)
    message = {"lines": ["the raylet of a node died\n+++ its log"], "pid": "raylet", "is_err": False}
    worker.print_to_stdstream(message, ignore_prefix=False)
    assert "raylet" not in "".join(capfd.readouterr())


@pytest.mark.parametrize("times", [2, 3])
def test_a_client_whose_server_died_at_its_start_asks_for_another(
    times: int, cluster: ray_cluster.RayCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ray

    init = ray.init
    died: list[str] = []

    def dying(address: str, **options: Any) -> None:
        if len(died) < times:
            died.append(address)
            raise ConnectionAbortedError(
                "Initialization failure from server:\nStarting Ray client server failed."
            )
        init(address, **options)

    ray_tasks.disconnect()
    monkeypatch.setattr(ray, "init", dying)
    if times < 3:
        assert ray_tasks.connect(cluster.address)
        assert [done.result() for _, done in run(abs, [-1])] == [1]
    else:
        with pytest.raises(dg.Failure, match="Starting Ray client server failed; start one"):
            ray_tasks.connect(cluster.address)
    assert died == times * [cluster.address]


@pytest.mark.parametrize("address", ["127.0.0.1:{port}", "ray://127.0.0.1:{port}", "nonsense", "auto"])
def test_says_at_once_where_no_cluster_is(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    ray_tasks.disconnect()
    address = address.format(port=free_port())
    if address == "auto":
        monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{free_port()}")
    began = time.monotonic()
    with pytest.raises(dg.Failure) as raised:
        ray_tasks.connect(address)
    assert time.monotonic() - began < 60
    told = str(raised.value.description)
    assert told.startswith(f"ray.address {address!r} cannot be reached: ")
    assert told.endswith("; start one (ray start --head) or correct ray.address")
    assert "\n" not in told
    assert not ray.is_initialized()
