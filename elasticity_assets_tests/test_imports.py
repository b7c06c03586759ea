"""Which way imports go: `inference` knows nothing of the rest, and needs only numerical packages."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import elasticity_assets

pytestmark = pytest.mark.quick

PACKAGE = Path(elasticity_assets.__file__).parent
LAYERS = [
    "command",
    "component",
    "definitions",
    "assets",
    "checks",
    "app",
    "report",
    "automation",
    "published",
    "pricing",
    "fitting",
    "ingestion",
    "warehouse",
    "home",
    "settings",
    "holiday_control",
    "yaml_file",
    "words",
    "processes",
    "atomic_write",
    "inference",
]
"""From the top; a module imports nothing from a layer above its own. The other modules are below them all."""
ABSENT = "dagster duckdb pandas pyarrow pydantic pydantic_settings click tenacity filelock altair vl_convert jinja2"
INDEPENDENT = {"jax", "numpyro", "optax", "numpy", "scipy"}


def imported(file: Path) -> set[str]:
    """Full names of all modules that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def room(module: str) -> str:
    """First part below the package, e.g. 'assets'."""
    return module.removeprefix("elasticity_assets").strip(".").split(".")[0]


@pytest.mark.parametrize("file", sorted((PACKAGE / "inference").rglob("*.py")), ids=lambda file: file.stem)
def test_inference_imports_only_numerics(file: Path) -> None:
    for module in imported(file):
        top = module.split(".")[0]
        assert top in INDEPENDENT | {"elasticity_assets"} | sys.stdlib_module_names, module
        assert top != "elasticity_assets" or room(module) in ("", "inference"), module


@pytest.mark.parametrize("layer", LAYERS)
def test_nothing_imports_from_above(layer: str) -> None:
    above = set(LAYERS[: LAYERS.index(layer)])
    for file in list((PACKAGE / layer).rglob("*.py")) or [PACKAGE / f"{layer}.py"]:
        assert not {room(module) for module in imported(file)} & above, file


def test_inference_runs_where_nothing_else_is_installed() -> None:
    program = f"""
import sys
for name in {ABSENT.split()!r}:
    sys.modules[name] = None  # any import of it raises ImportError
import elasticity_assets.inference.engines, elasticity_assets.inference.hierarchy
import elasticity_assets.inference.simulate, elasticity_assets.fitting.packing
"""
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True, timeout=120)
