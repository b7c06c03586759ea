"""Files for their owner alone, also those that DuckDB makes by itself: its logs, and what spills from memory."""

import os
import threading
from types import TracebackType


class _Private:
    """Takes from group and others, in all of this process, what files made meanwhile would give them.

    There is one mode for a process: it stays until the last thread that asked for it has ended.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked = 0
        self._before = 0

    def __enter__(self) -> None:
        with self._lock:
            if not self._asked:
                self._before = os.umask(0o077)
            self._asked += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        with self._lock:
            self._asked -= 1
            if not self._asked:
                os.umask(self._before)


PRIVATE = _Private()
"""While it is entered, whatever is made is its owner's alone: DuckDB has no setting for modes."""
