"""Several fits at once: one keeps a core busy only in part."""

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from threadpoolctl import threadpool_limits

Task = TypeVar("Task")
Result = TypeVar("Result")


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Hold BLAS to one thread: small factorizations need no more, and others would spin while they wait for work.

    A library that is loaded later would keep its own: SciPy's, which jax calls, is loaded here.
    """
    import scipy.linalg  # noqa: F401, PLC0415

    with threadpool_limits(limits=1, user_api="blas"):
        yield


def run_each(
    work: Callable[[Task], Result], tasks: Iterable[Task], workers: int
) -> Generator[tuple[Task, Future[Result]], None, None]:
    """Do `work` on several tasks at once, in threads: jax lets others run while it computes.

    Parameters
    ----------
    work : callable
    tasks : iterable
        Not read further ahead than one task more than there are workers.
    workers : int
        How many at once.

    Yields
    ------
    task, done
        In the order of `tasks`; `done.result()` returns what `work` returned, or raises what it raised. Who stops
        reading waits for the tasks under way; the others are not begun.
    """
    threads = ThreadPoolExecutor(workers)
    try:
        under_way: deque[tuple[Task, Future[Result]]] = deque()
        for task in tasks:
            under_way.append((task, threads.submit(work, task)))
            if len(under_way) > workers:
                yield _ended(under_way)
        while under_way:
            yield _ended(under_way)
    finally:
        threads.shutdown(cancel_futures=True)


def _ended(under_way: deque[tuple[Task, Future[Result]]]) -> tuple[Task, Future[Result]]:
    task, done = under_way.popleft()
    done.exception()  # waits
    return task, done
