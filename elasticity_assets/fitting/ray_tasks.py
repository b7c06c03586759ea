"""Several tasks at once on a Ray cluster: what `threads.run_each` is in threads, in processes of many machines.

Ray is imported where it is used: the package works without it.
"""

import logging
import os
import pickle
import re
import signal
import socket
import threading
import time
import traceback
import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future
from importlib.metadata import version
from typing import Any, TypeVar

import dagster as dg
from tenacity import retry, retry_if_exception_message, stop_after_attempt

from elasticity_assets.fitting.threads import one_blas_thread
from elasticity_assets.words import in_one_line

Task = TypeVar("Task")
Result = TypeVar("Result")

BATCH_CELLS = 2_000
"""Categories that hold fewer cells together share a Ray task: its 3 ms are little beside one fit, but not beside many
tiny ones that were only read. More would leave machines idle: to evaluate so many cells may take seconds."""

MAX_RETRIES = 3
"""How often Ray begins a task again elsewhere when its machine or process died."""

_PACKAGE = "elasticity_assets"
_connected_here = threading.Event()
"""Whether `connect` made this process's connection, of which Ray has one at a time."""

_TRIES = 3
"""Of connections: the first fails about one time in ten, see `_init`."""
_REACH_SECONDS = 10.0
_JOIN_SECONDS = 120.0


class NotSentError(Exception):
    """What a task raised on a worker, in words: the error itself cannot be pickled."""


def connect(address: str) -> bool:
    """Connect this process to a Ray cluster; return False if it was connected already.

    Not by dagster-ray's resource, which knows Ray Client only, tries for two minutes, and imports Ray Data.

    Parameters
    ----------
    address : str
        As `ray.init` takes it.

    Raises
    ------
    dagster.Failure
        In one line, if no cluster answers there.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault(
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0"
    )  # or Ray warns of what is its default soon
    import ray  # noqa: PLC0415

    if ray.is_initialized():
        return False
    _silence()
    on_terminate = signal.getsignal(signal.SIGTERM)
    try:
        _reach(address)
        _init(address)
    except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        raise dg.Failure(
            f"ray.address {address!r} cannot be reached: {in_one_line(error).rstrip('.')}; "
            "start one (ray start --head) or correct ray.address",
            allow_retries=False,
        ) from None
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, on_terminate)  # Ray's would end a cancelled run as failed
    _connected_here.set()
    return True


def disconnect() -> None:
    """Leave the cluster if `connect` made the connection; what this process began there ends."""
    if not _connected_here.is_set():
        return
    import ray  # noqa: PLC0415

    _connected_here.clear()
    ray.shutdown()


def _silence() -> None:
    """Keep Ray from telling of a dead machine on stdout, with pages of its log.

    Its setting for this, RAY_DEDUP_LOGS_SKIP_REGEX, is read when ray is imported, which a launcher may have done.
    """
    from ray._private.ray_logging import stdout_deduplicator  # noqa: PLC0415

    stdout_deduplicator.skip_re = re.compile("")


def _reach(address: str) -> None:
    """Raise OSError where nobody listens; Ray itself would try for many minutes."""
    from ray._private.services import canonicalize_bootstrap_address  # noqa: PLC0415

    _, is_client, client = address.rpartition("://")
    # 'auto' may be in the environment, or in a file that a killed cluster left; 'local' is none yet.
    server = client if is_client else canonicalize_bootstrap_address(address)
    host, _, port = (server or "").rpartition(":")
    if port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), timeout=_REACH_SECONDS).close()


# At ray:// Ray forks a server for each client, and now and then it dies at once (ray-project/ray#63202); another lives.
@retry(
    retry=retry_if_exception_message(match=r"(?s).*Starting Ray client server failed"),
    stop=stop_after_attempt(_TRIES),
    reraise=True,
)
def _init(address: str) -> None:
    import ray  # noqa: PLC0415

    with warnings.catch_warnings(action="ignore"):
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)


def run_each(
    work: Callable[[Task], Result],
    tasks: Iterable[Task],
    cells: Callable[[Task], int],
    *,
    cpus: float,
    gpus: float,
) -> Generator[tuple[Task, Future[Result]], None, None]:
    """Do `work` on several tasks at once, in Ray's worker processes; call `connect` first.

    Ray reuses the processes, so that compiled programs are kept there. Tasks whose machine dies are begun again
    elsewhere.

    Parameters
    ----------
    work : callable
        It and the tasks are pickled, and should be small; its module must be installed on every machine.
    tasks : iterable
        Consecutive ones are sent together while they hold less than BATCH_CELLS. Not read further ahead than twice as
        many batches as the cluster has room for.
    cells : callable
        Size of a task.
    cpus, gpus : float
        What each batch asks for.

    Yields
    ------
    task, done
        In the order of `tasks`; `done.result()` returns what `work` returned, or raises what it raised. Who stops
        reading cancels all others.

    Raises
    ------
    dagster.Failure
        If no machine of the cluster has so many CPUs and GPUs.
    """
    import ray  # noqa: PLC0415

    # max_calls=0: by default a process ends after each task that asked for a GPU, with its compiled programs.
    remote = ray.remote(num_cpus=cpus, num_gpus=gpus, max_retries=MAX_RETRIES, max_calls=0)(_do)
    under_way: deque[tuple[list[Task], Any]] = deque()

    def begun(batch: list[Task]) -> tuple[list[Task], Any]:
        # Bytes, not objects: their arrays would be read-only, and keep Ray's shared memory filled.
        return batch, remote.remote(version(_PACKAGE), ray.cloudpickle.dumps((work, batch)))

    def ended() -> Iterator[tuple[Task, Future[Result]]]:
        batch, reference = under_way[0]
        try:
            outcomes = pickle.loads(ray.get(reference))  # noqa: S301
        except ray.exceptions.RayTaskError as error:  # no machine's death: it could not even begin
            raise dg.Failure(
                f"a worker of the Ray cluster could not begin: {error.cause}; install {_PACKAGE} {version(_PACKAGE)} "
                "on every machine",
                allow_retries=False,
            ) from None
        except ray.exceptions.RayError as error:
            if len(batch) > 1:  # one of them may have brought the process down
                under_way.popleft()
                under_way.extendleft([begun([task]) for task in reversed(batch)])
                return
            outcomes = [(None, error)]
        under_way.popleft()
        for task, (result, raised) in zip(batch, outcomes, strict=True):
            done: Future[Result] = Future()
            if raised is None:
                done.set_result(result)
            else:
                done.set_exception(raised)
            yield task, done

    try:
        for batch in _batches(tasks, cells):
            if not under_way and not _room_in_a_while(cpus, gpus):
                raise dg.Failure(
                    f"ray.cpus {cpus:g} and ray.gpus {gpus:g}: no machine of the cluster has so many; lower them, "
                    "or add a machine",
                    allow_retries=False,
                )
            under_way.append(begun(batch))
            while under_way and len(under_way) >= 2 * _room(cpus, gpus):
                yield from ended()
        while under_way:
            yield from ended()
    finally:
        for _, reference in under_way:
            ray.cancel(reference)


def _batches(tasks: Iterable[Task], cells: Callable[[Task], int]) -> Iterator[list[Task]]:
    batch: list[Task] = []
    held = 0
    for task in tasks:
        size = cells(task)
        if batch and held + size > BATCH_CELLS:
            yield batch
            batch, held = [], 0
        batch.append(task)
        held += size
    if batch:
        yield batch


def _room_in_a_while(cpus: float, gpus: float) -> int:
    """Count as `_room` does, after waiting for the first machine that has CPUs at all: it may yet be joining."""
    deadline = time.monotonic() + _JOIN_SECONDS
    while not (room := _room(cpus, gpus)) and not _room(1e-3, 0.0) and time.monotonic() < deadline:
        time.sleep(1.0)
    return room


def _room(cpus: float, gpus: float) -> int:
    """Count the tasks that the cluster's machines have room for at once; machines may come and go."""
    import ray  # noqa: PLC0415

    asked = {name: amount for name, amount in (("CPU", cpus), ("GPU", gpus)) if amount > 0}
    return sum(
        min(int(node["Resources"].get(name, 0.0) / amount + 1e-6) for name, amount in asked.items())
        for node in ray.nodes()
        if node["Alive"]
    )


def _do(version_of_run: str, payload: bytes) -> bytes:
    """Do a batch, in a worker; return what came of each task: (result, None) or (None, error)."""
    from ray import cloudpickle  # noqa: PLC0415

    if version(_PACKAGE) != version_of_run:
        raise RuntimeError(f"{socket.gethostname()} has {_PACKAGE} {version(_PACKAGE)}")
    work, batch = pickle.loads(payload)  # noqa: S301
    outcomes: list[tuple[Any, Exception | None]] = []
    # As in `side_by_side`: BLAS's threads spin while they wait for work.
    with one_blas_thread():
        for task in batch:
            try:
                outcomes.append((work(task), None))
            except Exception as error:
                outcomes.append((None, _sendable(error)))
    return cloudpickle.dumps(outcomes)


def _sendable(error: Exception) -> Exception:
    """Add the worker's traceback, which is not sent, as a note; replace an error that cannot be sent."""
    from ray import cloudpickle  # noqa: PLC0415

    where = "".join(traceback.format_tb(error.__traceback__))
    try:
        pickle.loads(cloudpickle.dumps(error))  # noqa: S301
    except Exception:
        error = NotSentError(f"{type(error).__name__}: {error}")
    error.add_note(f"On a Ray worker:\n{where}")
    return error
