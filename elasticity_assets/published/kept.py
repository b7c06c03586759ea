"""The last published files, kept so that they can be published again."""

from pathlib import Path


def archive(published: Path) -> Path:
    """Folder of the last published files, REFIT_ID.duckdb each."""
    return published.with_suffix(".refits")


def kept_files(published: Path) -> list[Path]:
    """Kept files, the newest first."""
    return sorted(archive(published).glob("*.duckdb"), key=lambda file: file.stat().st_mtime_ns, reverse=True)
