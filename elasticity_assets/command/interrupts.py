"""Ctrl-C ends the command at once, whatever its threads are fitting.

Work is done in a thread of its own, so that the main thread, which Python interrupts, has nothing to do but wait. The
process may end at any moment: tables are replaced in transactions, files are moved into place when they are whole.
"""

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

Result = TypeVar("Result")

INTERRUPTED = 130
"""Exit status of a program that Ctrl-C ended."""


def interruptible(work: Callable[[], Result], before_the_end: Callable[[], object]) -> Result:
    """Do some work, and on Ctrl-C end the process with status 130 without waiting for it.

    Parameters
    ----------
    work : callable
    before_the_end : callable
        Called on Ctrl-C, while the work goes on.

    Returns
    -------
    What `work` returned; it raises what `work` raised.
    """
    done: Future[Result] = Future()

    def run() -> None:
        try:
            done.set_result(work())
        except BaseException as error:  # raised again where it is waited for
            done.set_exception(error)

    try:
        threading.Thread(target=run, name="work", daemon=True).start()
        return done.result()
    except KeyboardInterrupt:
        try:
            before_the_end()
        finally:
            os._exit(INTERRUPTED)
