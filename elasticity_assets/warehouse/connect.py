"""How DuckDB is opened, everywhere: no extension comes by itself; without Dagster, for `elasticity status`."""

from pathlib import Path

import duckdb

IN_MEMORY = ":memory:"


def connect(
    file: Path | str = IN_MEMORY, *, read_only: bool = False, **config: str | bool | int | float | list[str]
) -> duckdb.DuckDBPyConnection:
    """Open a DuckDB file, or a database in memory, that installs no extension by itself, and none of the community's.

    Parameters
    ----------
    file : Path or str
    read_only : bool
    **config
        DuckDB's own settings beside these.
    """
    without_extensions = {"autoinstall_known_extensions": False, "allow_community_extensions": False}
    return duckdb.connect(str(file), read_only=read_only, config={**without_extensions, **config})
