"""An asset's code version: a hash of the code that makes it, so that nobody has to remember to raise a number."""

import hashlib
import re
from functools import cache
from pathlib import Path

import dagster as dg
from dagster._core.definitions.decorators.op_decorator import DecoratedOpFunction

_ROOT = Path(__file__).parents[2]
_IMPORT_BY_NAME = re.compile(r'import_module\(f"(elasticity_assets[\w.]*)\.\{')
_IMPORT = re.compile(r"^\s*from (elasticity_assets[\w.]*) import (\([^)]*\)|.*)", re.MULTILINE)


def with_code_version(asset: dg.AssetsDefinition) -> dg.AssetsDefinition:
    """Let an asset have the version of the module that its function stands in."""
    function = asset.op.compute_fn
    if not isinstance(function, DecoratedOpFunction):
        raise TypeError(f"{asset.op.name} is no function")
    version = code_version(function.decorated_fn.__module__)
    return asset.map_asset_specs(lambda spec: spec.replace_attributes(code_version=version))


@cache
def code_version(module: str) -> str:
    """Hash a module of the package, all of the package that it imports, and the SQL statements beside these.

    Comments count, too: better a version too many than one too few.
    """
    files = sorted(file for file in _files(module) if file.exists())
    content = b"\0".join(file.read_bytes() for file in files)
    return hashlib.sha256(content).hexdigest()[:12]


def _files(module: str) -> set[Path]:
    found: set[Path] = set()
    wanted = {_file(module)}
    while wanted:
        file = wanted.pop()
        if file is None or file in found:
            continue
        found |= {file, file.with_suffix(".sql")}
        wanted |= _imported_by(file)
    return found


@cache  # most modules are imported by several
def _imported_by(file: Path) -> set[Path | None]:
    code = file.read_text(encoding="utf-8")
    found: set[Path | None] = set()
    for name, imported in _IMPORT.findall(code):
        found |= {_file(name), *(_file(f"{name}.{part}") for part in re.findall(r"\w+", imported))}
    for package in _IMPORT_BY_NAME.findall(code):  # such as of the engine that the settings name
        found |= set(_ROOT.joinpath(*package.split(".")).rglob("*.py"))
    return found


@cache
def _file(module: str) -> Path | None:
    """Where a module is; None where the name is no module's."""
    place = _ROOT.joinpath(*module.split("."))
    return next((file for file in (place.with_suffix(".py"), place / "__init__.py") if file.is_file()), None)
