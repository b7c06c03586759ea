"""Copies of the last published files: what a warehouse in a file keeps of refits, to publish them again."""

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path

import duckdb

from elasticity_assets.atomic_write import atomic_write
from elasticity_assets.warehouse.sql import statement


class DamagedCopyError(Exception):
    """A kept file is not as it was published, told in one line."""


def archive(published: Path) -> Path:
    """Folder of the last published files, REFIT_ID.duckdb each."""
    return published.with_suffix(".refits")


def refit_numbers(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Refits that a warehouse or a published file knows, numbered in their order, its own last."""
    ask = statement("refit_numbers", refits=statement("numbered_refits"))
    return dict(connection.execute(ask).fetchall())


def kept_files(published: Path, numbers: Mapping[str, int]) -> list[Path]:
    """Kept files, the newest first.

    Parameters
    ----------
    published : Path
    numbers : mapping of refit_id to int
        Of `refit_numbers`. Refits that have none are of an earlier warehouse.
    """

    def order(file: Path) -> tuple[int, int]:
        return numbers.get(file.stem, -1), file.stat().st_mtime_ns

    return sorted(archive(published).glob("*.duckdb"), key=order, reverse=True)


def file_hash(file: Path) -> str:
    """SHA-256 of a file."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def copy_whole(source: Path, target: Path) -> None:
    """Copy a file whole or not at all, for its owner alone; not a link, since somebody may write to the other."""
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with atomic_write(target) as beside:
        beside.touch(mode=0o600)
        shutil.copyfile(source, beside)
