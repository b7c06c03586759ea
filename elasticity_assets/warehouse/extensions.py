"""DuckDB's extensions: from Python packages where they are installed, else as DuckDB installs them."""

from collections.abc import Sequence
from importlib.resources import files
from importlib.util import find_spec

import duckdb

from elasticity_assets.warehouse.file import WarehouseError
from elasticity_assets.warehouse.sql import quoted, statement
from elasticity_assets.words import in_one_line


def load_extensions(connection: duckdb.DuckDBPyConnection, names: Sequence[str], remedy: str) -> None:
    """Load extensions.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
    names : sequence of str
    remedy : str
        What a user can do where one cannot be loaded.

    Raises
    ------
    WarehouseError
        If one cannot be loaded.
    """
    for name in names:
        try:
            connection.execute(
                statement("load_extension", extension=_packaged(name) or _downloaded(connection, name))
            )
        except duckdb.Error as error:
            raise WarehouseError(
                f"DuckDB's extension {name} cannot be loaded: {in_one_line(error)}; {remedy}"
            ) from None


def _packaged(name: str) -> str | None:
    """File of an extension that came as a Python package, quoted."""
    package = f"duckdb_extension_{name}"
    if find_spec(package) is None:
        return None
    file = files(package) / "extensions" / f"v{duckdb.__version__}" / f"{name}.duckdb_extension"
    return quoted(str(file), "'") if file.is_file() else None


def _downloaded(connection: duckdb.DuckDBPyConnection, name: str) -> str:
    """Let DuckDB install an extension; its name, quoted."""
    connection.execute(statement("install_extension", extension=quoted(name)))
    return quoted(name)
