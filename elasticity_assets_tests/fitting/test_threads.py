"""Several tasks at once: order, errors, how far ahead tasks are taken, and stopping early."""

import threading
from collections.abc import Iterator

import pytest

from elasticity_assets.fitting.threads import run_each

pytestmark = pytest.mark.quick


def test_results_come_in_order_and_errors_with_their_task() -> None:
    second_ran = threading.Event()

    def work(number: int) -> int:
        if number == 0:
            assert second_ran.wait(60), "the second task never ran beside the first"
        if number == 1:
            second_ran.set()
        if number == 2:
            raise ValueError("two")
        return number * 10

    found = list(run_each(work, range(5), workers=2))
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

    results = run_each(lambda number: number, tasks(), workers=3)
    for seen in range(1, 101):
        next(results)
        assert taken <= seen + 3
    assert next(results, None) is None


def test_one_worker_runs_one_at_a_time() -> None:
    running, most = 0, 0
    lock = threading.Lock()

    def work(_: int) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        threading.Event().wait(0.01)
        with lock:
            running -= 1

    assert len(list(run_each(work, range(5), workers=1))) == 5
    assert most == 1


def test_stopping_early_begins_nothing_more() -> None:
    begun = []
    before = set(threading.enumerate())
    results = run_each(begun.append, range(100), workers=1)
    next(results)
    results.close()
    count = len(begun)
    assert count <= 3
    assert set(threading.enumerate()) <= before
    assert len(begun) == count


def test_an_error_among_the_tasks_reaches_the_reader() -> None:
    def tasks() -> Iterator[int]:
        yield 1
        raise OSError("unreadable")

    with pytest.raises(OSError, match="unreadable"):
        list(run_each(lambda number: number, tasks(), workers=2))


def test_nothing_to_do() -> None:
    assert list(run_each(lambda task: task, [], workers=2)) == []
