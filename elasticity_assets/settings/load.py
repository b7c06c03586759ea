"""Settings read from a file, validated, their mistakes told in one line."""

import os
import re
from pathlib import Path

from pydantic import (
    ValidationError,
)
from pydantic_settings import SettingsError as EnvironmentValueError

from elasticity_assets.settings.addresses import is_database_file, is_url
from elasticity_assets.settings.sales import SalesSettings
from elasticity_assets.settings.section import SettingsError
from elasticity_assets.settings.settings import Settings
from elasticity_assets.yaml_file import YamlFileError, read_yaml

DEFAULT_FILE = "elasticity.yaml"


def settings_file() -> Path:
    """Path of the settings file in force, absolute."""
    return Path(os.environ.get("ELASTICITY_CONFIG", DEFAULT_FILE)).absolute()


def load_settings(file: Path | None = None) -> Settings:
    """Read and validate the settings.

    Raises
    ------
    SettingsError
        In one line: which key of which file is wrong and what to do.
    """
    file = file or settings_file()
    try:
        content = read_yaml(file)
    except FileNotFoundError:
        raise SettingsError(
            f"{file}: no such file; `elasticity init PATH` writes one, ELASTICITY_CONFIG names another"
        ) from None
    except YamlFileError as error:
        raise SettingsError(f"{file}: {error}") from None
    return settings_of(content, file.parent, str(file))


def settings_of(content: object, folder: Path, source: str) -> Settings:
    """Validate settings.

    Parameters
    ----------
    content : object
        As YAML has it: keys and sections.
    folder : Path
        Where relative paths start.
    source : str
        Where they stand, for messages.

    Raises
    ------
    SettingsError
        In one line: which key of which source is wrong and what to do.
    """
    if not isinstance(content, dict):
        raise SettingsError(f"{source}: expected keys such as `sales:`, found {type(content).__name__}")
    try:
        settings = Settings(**content)
    except ValidationError as error:
        raise SettingsError(f"{source}: {_mistakes(error)}") from None
    except EnvironmentValueError:
        names = [
            name for name in sorted(os.environ) if re.match("ELASTICITY_(?!CONFIG$)", name, re.IGNORECASE)
        ]
        raise SettingsError(
            f"environment: {', '.join(names)}: write lists and sections as JSON, such as '[\"display\"]'"
        ) from None
    except TypeError as error:  # a key that is not a string
        raise SettingsError(f"{source}: {error}") from None
    lake_files = settings.ducklake_files
    sales = _placed_sales(settings.sales, folder)
    arrays = settings.arrays
    placed = settings.model_copy(
        update={
            "sales": sales,
            "arrays": arrays if arrays is None or is_url(arrays) else str(folder / arrays),
            "warehouse": settings.warehouse if settings.on_ducklake else str(folder / settings.warehouse),
            "ducklake_files": lake_files if is_url(lake_files) else str(folder / lake_files),
            "published": folder / settings.published,
            "experiments": None if settings.experiments is None else folder / settings.experiments,
        }
    )
    if mistake := _misplaced(placed):
        raise SettingsError(f"{source}: {mistake}")
    return placed


def _placed_sales(sales: SalesSettings, folder: Path) -> SalesSettings:
    """Let relative paths start at the settings file's folder, and sales be read from there and `roots`."""

    def placed(paths: list[str]) -> list[str]:
        return [str(folder / path) for path in paths]

    table = sales.table
    if table is not None and is_database_file(table.database):
        table = table.model_copy(update={"database": str(folder / table.database)})
    join = [one.model_copy(update={"path": placed(one.path)}) for one in sales.join]
    roots = [str(folder), *placed(sales.roots)]
    return sales.model_copy(update={"path": placed(sales.path), "table": table, "join": join, "roots": roots})


def _misplaced(settings: Settings) -> str | None:
    """Say which path is of the wrong kind, or inside a folder whose files are not for others."""
    files = {"published": settings.published}
    if not settings.on_ducklake:
        files["warehouse"] = settings.warehouse_file
    folders = {} if is_url(settings.arrays_folder) else {"arrays": Path(settings.arrays_folder)}
    if settings.on_ducklake and not is_url(settings.ducklake_files):
        folders["ducklake_files"] = Path(settings.ducklake_files)
    for key, path in files.items():
        if path.is_dir():
            return f"{key}: {path} is a folder; name a file, such as {path / f'{key}.duckdb'}"
    for key, path in folders.items():
        if path.is_file():
            return f"{key}: {path} is a file; name a folder for it alone"
        for other, inside in {**files, "the reports": settings.reports}.items():
            if Path(os.path.normpath(inside)).is_relative_to(os.path.normpath(path)):
                return (
                    f"{key}: {path} has to be a folder for it alone, and {other} is at {inside}; name another"
                )
    return None


def _mistakes(error: ValidationError) -> str:
    parts = []
    for problem in error.errors():
        key = ".".join(str(part) for part in problem["loc"]) or "settings"
        if problem["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
            parts.append(f"unknown key {key}; remove it or correct its name")
        elif problem["type"] == "missing":
            parts.append(f"key {key} is missing")
        elif problem["type"] in ("byte_size", "byte_size_unit"):
            parts.append(f"{key}: {problem['input']!r} is no size; write one such as 4GB or 800MB")
        elif key == "warehouse_memory" and problem["type"] == "greater_than_equal":
            parts.append(f"{key}: {problem['input']!r} is too little; give 500MB or more, such as 4GB")
        else:
            parts.append(f"{key}: {problem['msg'].removeprefix('Value error, ')}")
    return "; ".join(parts)
