"""Files that are whole or as they were: written beside their place, and moved over it in one step."""

import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def atomic_write(target: Path) -> Iterator[Path]:
    """Yield a file beside the target to write to; when the block ends well, it takes the target's place.

    A killed process leaves `.NAME.*.tmp`, see `remove_unfinished`; a reader sees the old file or the new one.

    Parameters
    ----------
    target : Path
        In a folder that exists.
    """
    beside = target.with_name(f".{target.name}.{uuid.uuid4().hex}.tmp")
    try:
        yield beside
        move_over(beside, target)
    finally:
        beside.unlink(missing_ok=True)


def remove_unfinished(folder: Path, name: str = "*", older_than: float = 0.0) -> None:
    """Remove what killed processes left of files that they wrote with `atomic_write`.

    Parameters
    ----------
    folder : Path
        It need not exist.
    name : str
        A pattern of the files' names.
    older_than : float
        Seconds. Where others may be at work on such files, more than they take.
    """
    for left in folder.glob(f".{name}.{'[0-9a-f]' * 32}.tmp"):
        with suppress(FileNotFoundError):  # another has removed it
            if left.stat().st_mtime <= time.time() - older_than:
                left.unlink()


def move_over(new: Path, target: Path) -> None:
    """Put a file in another's place, in the same folder, in one step that survives a power cut."""
    with new.open("rb") as file:
        os.fsync(file.fileno())
    os.replace(new, target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
