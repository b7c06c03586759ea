"""Copies of the last published files: what a warehouse in a file keeps of refits, to publish them again."""

import hashlib
import shutil
from pathlib import Path

from elasticity_assets.atomic_write import atomic_write


class DamagedCopyError(Exception):
    """A kept file is not as it was published, told in one line."""


def archive(published: Path) -> Path:
    """Folder of the last published files, REFIT_ID.duckdb each."""
    return published.with_suffix(".refits")


def kept_files(published: Path) -> list[Path]:
    """Kept files, the newest first."""
    return sorted(archive(published).glob("*.duckdb"), key=lambda file: file.stat().st_mtime_ns, reverse=True)


def file_hash(file: Path) -> str:
    """SHA-256 of a file."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def copy_whole(source: Path, target: Path) -> None:
    """Copy a file, in place whole or not at all: not a link, since a reader may open the published one for writing."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(target) as beside:
        shutil.copyfile(source, beside)
