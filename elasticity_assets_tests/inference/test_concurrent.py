"""Several tasks at once: order, errors, and how far ahead tasks are taken."""

import os
import threading
from collections.abc import Iterator

import pytest

from elasticity_assets.inference.concurrent import run_each

CORES = os.cpu_count() or 1


def test_results_come_in_order_and_errors_with_their_task() -> None:
    first_may_end = threading.Event()

    def work(number: int) -> int:
        if number == 0 and CORES > 1:
            assert first_may_end.wait(60), "the second task never ran beside the first"
        if number == 1:
            first_may_end.set()
        if number == 2:
            raise ValueError("two")
        return number * 10

    found = list(run_each(work, range(5)))
    assert [task for task, _ in found] == [0, 1, 2, 3, 4]
    assert [done.result() for task, done in found if task != 2] == [0, 10, 30, 40]
    with pytest.raises(ValueError, match="two"):
        found[2][1].result()


def test_takes_few_tasks_ahead() -> None:
    taken = 0

    def tasks() -> Iterator[int]:
        nonlocal taken
        for number in range(100):
            taken += 1
            yield number

    results = run_each(lambda number: number, tasks())
    for seen in range(1, 101):
        next(results)
        assert taken <= seen + CORES
    assert next(results, None) is None


def test_nothing_to_do() -> None:
    assert list(run_each(lambda task: task, [])) == []
