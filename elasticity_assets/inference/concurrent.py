"""Several fits at once: one keeps a core busy only in part."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")


def run_each(work: Callable[[Task], Result], tasks: Iterable[Task]) -> Iterator[tuple[Task, Future[Result]]]:
    """Do `work` on as many tasks at once as there are cores, in threads: jax lets others run while it computes.

    Tasks are taken from their iterable only as places become free, so that few are in memory.

    Yields
    ------
    task, done
        In the order of `tasks`; `done.result()` returns what `work` returned, or raises what it raised.
    """
    cores = os.cpu_count() or 1
    with ThreadPoolExecutor(cores) as threads:
        under_way: deque[tuple[Task, Future[Result]]] = deque()
        for task in tasks:
            under_way.append((task, threads.submit(work, task)))
            if len(under_way) > cores:
                yield _ended(under_way)
        while under_way:
            yield _ended(under_way)


def _ended(under_way: deque[tuple[Task, Future[Result]]]) -> tuple[Task, Future[Result]]:
    task, done = under_way.popleft()
    done.exception()  # waits
    return task, done
