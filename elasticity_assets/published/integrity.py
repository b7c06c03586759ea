"""Whether the published file is what a refit published, or somebody has written to it since; without Dagster."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from elasticity_assets.warehouse.connect import connect
from elasticity_assets.warehouse.damage import damage_told
from elasticity_assets.warehouse.kept import file_hash
from elasticity_assets.warehouse.sql import statement


@contextmanager
def reading_published(published: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the published file to read it.

    Raises
    ------
    DamagedFileError
        Also while it is read.
    """
    with (
        damage_told(lambda why: f"{published} is damaged: {why}; `elasticity refit` publishes it anew"),
        connect(published, read_only=True) as connection,
    ):
        yield connection


def write_ahead_log(published: Path) -> Path:
    """Where DuckDB keeps what somebody, who ought not to, wrote to the published file; readers see it in the file."""
    return published.with_name(f"{published.name}.wal")


def what_was_changed(published: Path, warehouse: duckdb.DuckDBPyConnection) -> str | None:
    """Say in one line if the published file is not as it was published.

    Parameters
    ----------
    published : Path
        The file that analysts read; it exists.
    warehouse : duckdb connection
        To the warehouse, which has the hashes of the files that it published.

    Returns
    -------
    str or None
        None where nothing was changed, or where an earlier version published it.

    Raises
    ------
    DamagedFileError
        If the published file cannot be read.
    """
    remedy = "do not trust its numbers; `elasticity refit` publishes them anew, to be opened read-only"
    log = write_ahead_log(published)
    if log.exists():
        return f"{log}: somebody wrote to the published file, and readers see that; {remedy}"
    with reading_published(published) as connection:
        (refit_id, *_) = connection.execute(
            statement("last_refit", refits=statement("numbered_refits"))
        ).fetchone() or (None,)
    try:
        known = warehouse.execute(statement("file_hash"), {"refit_id": refit_id}).fetchone()
    except (duckdb.BinderException, duckdb.CatalogException):  # a warehouse of an earlier version
        return None
    if known and known[0] not in (None, file_hash(published)):
        return f"{published}: is not as refit {refit_id} published it; {remedy}"
    return None
