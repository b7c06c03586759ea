"""Code versions change with the code behind an asset, and with no other."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import elasticity_assets
from elasticity_assets.assets import code_version as tested
from elasticity_assets.definitions import build_definitions
from elasticity_assets.settings import settings_of
from elasticity_assets_tests.support.projects import settings_dict

pytestmark = pytest.mark.quick

STEPS = [
    "sales",
    "model_input",
    "posterior",
    "evidence",
    "elasticity",
    "promotion",
    "pricing",
    "published",
    "report",
]


def forget() -> None:
    """Forget what was read of a package before it changes."""
    for cached in (tested.code_version, tested._imported_by, tested._file):
        cached.cache_clear()


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the package, whose versions are asked for."""
    copy = tmp_path / "elasticity_assets"
    shutil.copytree(
        Path(elasticity_assets.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__")
    )
    monkeypatch.setattr(tested, "_ROOT", tmp_path)
    forget()
    yield copy
    forget()


def _versions() -> dict[str, str]:
    forget()
    return {step: tested.code_version(f"elasticity_assets.assets.{step}") for step in STEPS}


@pytest.mark.parametrize(
    ("file", "changed", "unchanged"),
    [
        ("ingestion/weekly.sql", {"sales"}, {"elasticity"}),
        ("ingestion/take_in.py", {"sales"}, {"elasticity"}),
        ("warehouse/tables.py", set(STEPS), set()),
        (
            "inference/svi/engine.py",
            {"posterior", "evidence", "promotion"},
            {"sales", "model_input", "elasticity"},
        ),
        ("published/price_scenarios.sql", {"elasticity", "published"}, {"sales", "posterior"}),
        ("published/recommended_prices.sql", {"pricing"}, {"sales", "posterior", "elasticity"}),
        ("published/recommended_tests.sql", {"pricing"}, {"sales", "posterior", "elasticity"}),
        ("pricing/ladder.py", {"pricing"}, set(STEPS) - {"pricing", "report"}),
        ("report/page.py", {"report"}, set(STEPS) - {"report"}),
        ("command/cli.py", set(), set(STEPS)),
    ],
)
def test_versions_follow_the_code(package: Path, file: str, changed: set[str], unchanged: set[str]) -> None:
    before = _versions()
    with (package / file).open("a") as stream:
        stream.write("\n")
    after = _versions()
    found = {step for step in STEPS if before[step] != after[step]}
    assert changed <= found
    assert not unchanged & found


def test_every_asset_has_one(tmp_path: Path) -> None:
    graph = build_definitions(settings_of(settings_dict(), tmp_path, "here")).resolve_asset_graph()
    versions = {key.to_user_string(): graph.get(key).code_version for key in graph.get_all_asset_keys()}
    assert all(versions.values())
    assert versions["raw_sales"] == tested.code_version("elasticity_assets.assets.sales")
    assert len(set(versions.values())) == len(STEPS)
