"""Sales files: which there are, and whether they changed."""

import fnmatch
import glob
import hashlib
import os
import re
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from elasticity_assets.ingestion.accounts import SalesFileError
from elasticity_assets.settings import SettingsError
from elasticity_assets.words import in_one_line


@contextmanager
def unreadable_told(sales: str) -> Iterator[None]:
    """Tell in one line that sales cannot be read, where DuckDB cannot; memory that runs out is no fault of theirs.

    Parameters
    ----------
    sales : str
        The file or table, as messages name it.

    Raises
    ------
    SalesFileError
    """
    try:
        yield
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error as error:
        raise SalesFileError(f"{sales} cannot be read: {in_one_line(error)}") from None


def find_files(
    patterns: list[str], known: Collection[str] = (), key: str = "sales.path", roots: Collection[str] = ()
) -> dict[str, int]:
    """List the files that the settings name: full path -> index of the first pattern that names it.

    A path is a pattern only by `*` and `?` (and then `[...]`), and only after its longest leading part that is
    there as it is called: a folder `Prices [2024]` is that folder.

    Parameters
    ----------
    patterns : list of str
        Paths, absolute or from the current folder.
    known : collection of str
        Files there once were, absolute: a pattern that names one of them is no mistake.
    key : str
        Of the settings, for messages.
    roots : collection of str
        Folders and files; see `check_roots`.

    Raises
    ------
    SettingsError
        If a pattern names a folder, or a file outside of `roots`; or no file there is, and none among those `known`.
    """
    found: dict[str, int] = {}
    for place, path in enumerate(patterns):
        pattern = _pattern(path)
        names = sorted(glob.glob(pattern, recursive=True))
        files = [name for name in names if Path(name).is_file()]
        if names and not files:
            raise SettingsError(
                f"{key}: {names[0]} is a folder; name its files, such as {names[0].rstrip('/')}/*.csv"
            )
        if not files and not fnmatch.filter(known, pattern):
            raise SettingsError(f"{key}: there is no file {path}")
        check_roots(files, roots, key)
        for file in files:
            found.setdefault(file, place)
    return found


def check_roots(files: Iterable[str], roots: Collection[str], key: str) -> None:
    """Refuse files that do not lie where sales may be read from, wherever links lead.

    Parameters
    ----------
    files : iterable of str
    roots : collection of str
        Folders below which files may lie, and single files; none means anywhere.
    key : str
        Of the settings, for messages.

    Raises
    ------
    SettingsError
        If one lies elsewhere.
    """
    if not roots:
        return
    allowed = [os.path.realpath(root) for root in roots]
    for file in files:
        real = Path(os.path.realpath(file))
        if not any(real.is_relative_to(root) for root in allowed):
            link = "" if os.path.abspath(file) == str(real) else f" is a link to {real}, which"
            raise SettingsError(
                f"{key}: {file}{link} lies outside of the settings file's folder; if it holds sales, allow its folder: "
                f"sales.roots: ['{real.parent}']"
            )


def _pattern(path: str) -> str:
    """Write a path as a pattern of `glob`, in which what is no pattern is escaped."""
    whole = Path(os.path.abspath(path))
    there = next(folder for folder in (whole, *whole.parents) if folder.exists())
    rest = str(whole.relative_to(there))
    if there == whole:
        return glob.escape(str(whole))
    return os.path.join(glob.escape(str(there)), rest if re.search(r"[*?]", rest) else glob.escape(rest))


def escaped(path: str) -> str:
    """Write a file's path so that DuckDB, which takes paths for patterns, reads that very file."""
    return glob.escape(path)


def content_hash(file: str) -> str:
    """SHA-256 of a file's bytes, hexadecimal.

    Raises
    ------
    SalesFileError
        If the file cannot be read.
    """
    try:
        with Path(file).open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise SalesFileError(f"{file} cannot be read: {error.strerror}") from None
