"""The component in a new Dagster project, of create-dagster's layout, beside an asset that writes to DuckDB.

`dg`'s own commands and UI, in a real browser, Debian's Chromium. Screenshots are kept in the folder that SCREENSHOTS
names, or else in pytest's own.
"""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from playwright.sync_api import expect, sync_playwright

from elasticity_assets_tests.browser.test_ui import answers, materialize, wait_until_materialized
from elasticity_assets_tests.support.ports import free_port
from elasticity_assets_tests.support.projects import CATEGORIES, simulated_sales
from elasticity_assets_tests.support.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.server]

ROOT = Path(__file__).parents[2]
PATIENCE = 300.0  # seconds
PYPROJECT = """
[project]
name = "shop"
version = "0.1.0"

[tool.dg]
directory_type = "project"

[tool.dg.project]
root_module = "shop"
registry_modules = ["shop.components.*"]
"""
DEFINITIONS = """
from pathlib import Path

from dagster import definitions, load_from_defs_folder


@definitions
def defs():
    return load_from_defs_folder(path_within_project=Path(__file__).parent)
"""
UPSTREAM = """
import dagster as dg
import duckdb


@dg.asset(key=["retail", "weekly_sales"], kinds={"duckdb"})
def weekly_sales() -> None:
    with duckdb.connect("data/shop.duckdb") as connection:
        connection.execute("CREATE OR REPLACE TABLE weekly AS FROM 'sales.csv'")
"""
FIVE_LINES = """\
type: elasticity_assets.ElasticityProject
attributes:
  settings:
    sales: {asset: [retail, weekly_sales], table: {database: data/shop.duckdb, name: weekly},
            columns: {product: product, category: category, period: week, units: units, price: price}}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A new project with sales, whose only asset puts them into DuckDB."""
    folder = tmp_path / "shop"
    for file, text in {
        "pyproject.toml": PYPROJECT,
        "src/shop/__init__.py": "",
        "src/shop/components/__init__.py": "",
        "src/shop/definitions.py": DEFINITIONS,
        "src/shop/defs/__init__.py": "",
        "src/shop/defs/retail.py": UPSTREAM,
    }.items():
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text(text)
    (folder / "data").mkdir()
    simulated_sales().to_csv(folder / "sales.csv", index=False)
    return folder


@pytest.fixture
def environment(project: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What an activated virtual environment with the project and this package has."""
    home = project / ".dagster"
    home.mkdir()
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\nnux: {enabled: false}\n")
    return os.environ | {
        "DAGSTER_HOME": str(home),
        "DG_TELEMETRY_ENABLED": "0",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": f"{project / 'src'}{os.pathsep}{ROOT}",
    }


def dg(project: Path, environment: dict[str, str], *arguments: str) -> None:
    done = subprocess.run(
        ["dg", *arguments],
        check=False,
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def address(project: Path, environment: dict[str, str]) -> Iterator[str]:
    """`dg dev` on the project, once the component is in it."""
    dg(project, environment, "scaffold", "defs", "elasticity_assets.ElasticityProject", "sales_elasticity")
    content = project / "src/shop/defs/sales_elasticity/defs.yaml"
    assert content.read_text().startswith("type: elasticity_assets.ElasticityProject\n")
    content.write_text(FIVE_LINES)
    dg(project, environment, "check", "defs")
    port = free_port()
    with (project / "dev.log").open("wb") as log:
        dev = subprocess.Popen(
            ["dg", "dev", "--port", str(port)],
            cwd=project,
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        until(lambda: answers(f"http://127.0.0.1:{port}/server_info"), "the webserver", PATIENCE)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(dev.pid, signal.SIGINT)
        try:
            dev.wait(timeout=60)
        except subprocess.TimeoutExpired:
            os.killpg(dev.pid, signal.SIGKILL)
            dev.wait()


def test_five_lines_put_the_pipeline_behind_somebodys_asset(
    project: Path, address: str, tmp_path: Path
) -> None:
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("Chromium is not installed")
    shots = Path(os.environ.get("SCREENSHOTS", tmp_path))
    shots.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1600, "height": 1000}, base_url=address)
        page.set_default_timeout(60_000)
        expect.set_options(timeout=60_000)
        materialize(page, "retail/weekly_sales")
        # From here on by itself: the sensors start an ingest, and that a refit.
        wait_until_materialized(page, "sales_elasticity/report")
        page.goto("/assets/sales_elasticity/raw_sales?view=lineage")
        expect(page.get_by_text("weekly_sales").first).to_be_visible()
        page.wait_for_timeout(3000)
        page.screenshot(path=shots / "component_lineage.png")
        page.goto("/asset-groups")
        expect(page.get_by_text("sales_elasticity_1_sales", exact=True).first).to_be_visible()
        page.wait_for_timeout(3000)
        page.screenshot(path=shots / "component_graph.png")
        browser.close()
    published = project / "data/sales_elasticity/elasticity.duckdb"
    with duckdb.connect(str(published), read_only=True) as connection:
        categories = connection.execute("SELECT category FROM category_elasticity").fetchall()
    assert sorted(category for (category,) in categories) == sorted(CATEGORIES)
