"""What docs/deploy.md tells an operator to do, as far as one machine can do it."""

import re
import shutil
import subprocess
import textwrap
import tomllib
from pathlib import Path

import duckdb
import pytest
import yaml

from elasticity_assets.published.publish import publish, publish_again
from elasticity_assets.settings import DUCKLAKE
from elasticity_assets.warehouse.ducklake import DuckLakeWarehouse, close_connections
from elasticity_assets.warehouse.file import Warehouse
from elasticity_assets_tests.support.small_warehouse import CONTROLS, fill, refit

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
SETTINGS = {"path": "sales.csv", "columns": {"product": "p", "period": "d", "units": "u", "price": "e"}}


def published_refits(published: Path, table: str = "refits") -> set[str]:
    with duckdb.connect(str(published), read_only=True) as connection:
        return {refit_id for (refit_id,) in connection.execute(f"SELECT refit_id FROM {table}").fetchall()}


def publish_refits(warehouse: Warehouse, published: Path, *numbers: int, keep: int = 8) -> None:
    for number in numbers:
        fill(warehouse, shift=-0.1 * number)
        publish(warehouse, published, refit(number), controls=CONTROLS, keep=keep)


def test_the_history_of_a_file_moves_to_a_ducklake(
    ducklake: DuckLakeWarehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = tmp_path / "data" / "elasticity.duckdb"
    publish_refits(Warehouse(path=str(tmp_path / "data" / "warehouse.duckdb")), published, 1, 2)
    publish_refits(ducklake, published, 3)
    assert published_refits(published) == {"refit-3"}
    settings = {"sales": SETTINGS, "warehouse": ducklake.path, "ducklake_files": ducklake.files}
    (tmp_path / "elasticity.yaml").write_text(yaml.safe_dump(settings))
    monkeypatch.chdir(tmp_path)
    (program,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    for _ in range(2):
        exec(program, {})
    publish_refits(ducklake, published, 4)
    all_refits = {"refit-1", "refit-2", "refit-3", "refit-4"}
    for table in ("refits", "elasticity_history"):
        assert published_refits(published, table) == all_refits
    with ducklake.read() as connection:
        counts = connection.execute("SELECT count(*) FROM elasticity_history GROUP BY refit_id").fetchall()
    assert len(set(counts)) == 1


def test_the_catalogs_dump_and_files_copied_after_it_are_a_backup(
    ducklake: DuckLakeWarehouse, tmp_path: Path
) -> None:
    published = tmp_path / "data" / "elasticity.duckdb"
    catalog = ducklake.path.removeprefix(DUCKLAKE)
    publish_refits(ducklake, published, 1, 2)
    dump = subprocess.run(["pg_dump", catalog], check=True, capture_output=True, timeout=60).stdout
    publish_refits(ducklake, published, 3, 4, keep=1)  # gives up what the dump names
    shutil.copytree(ducklake.files, tmp_path / "backup")
    close_connections()
    shutil.rmtree(ducklake.files)
    server, database = catalog.split(" dbname=")
    for command in (f'DROP DATABASE "{database}"', f'CREATE DATABASE "{database}"'):
        subprocess.run(["psql", "-q", f"{server} dbname=postgres", "-c", command], check=True, timeout=60)

    shutil.copytree(tmp_path / "backup", ducklake.files)
    subprocess.run(
        ["psql", "-v", "ON_ERROR_STOP=1", catalog], input=dump, check=True, capture_output=True, timeout=60
    )
    publish_again(ducklake, published, "refit-1")
    assert published_refits(published) == {"refit-1"}
    publish_refits(ducklake, published, 5)
    assert ducklake.refits(published) == ["refit-5", "refit-2", "refit-1"]


def test_files_that_the_document_names_are_there() -> None:
    named = set(re.findall(r"deploy/[\w.-]+\.\w+|compose\.\w*\.?yaml|constraints\.txt", TEXT))
    assert {"deploy/ray-cluster.yaml", "deploy/helm-values.yaml", "compose.cluster.yaml"} <= named
    folders = {"compose": ROOT / "deploy"}
    missing = [name for name in named if not (folders.get(name.split(".")[0], ROOT) / name).exists()]
    assert missing == []


def test_extras_and_versions_that_the_document_names_are_the_projects() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = re.findall(r"EXTRAS=([\w,]+)|'\.\[([\w,]+)\]'", TEXT)
    assert named
    for extras in named:
        assert set("".join(extras).split(",")) <= set(project["optional-dependencies"])
    assert set(re.findall(r"elasticity_assets:(\d[\d.]*\d)", TEXT)) == {project["version"]}
    (dagster,) = re.findall(r"^dagster==(.+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert re.findall(r"helm (?:install|upgrade) .* --version (\S+)", TEXT) == [dagster, dagster]


def test_names_in_kubernetes_are_those_of_the_values() -> None:
    values = yaml.safe_load((ROOT / "deploy" / "helm-values.yaml").read_text())
    (deployment,) = values["dagster-user-deployments"]["deployments"]
    assert f"dagster-dagster-user-deployments-{deployment['name']}\n" in TEXT
    (volume,) = deployment["volumes"]
    claim, pod = yaml.safe_load_all(textwrap.dedent(re.findall(r"<<'EOF'\n(.*?) *EOF", TEXT, re.DOTALL)[0]))
    assert claim["metadata"]["name"] == volume["persistentVolumeClaim"]["claimName"]
    assert pod["spec"]["volumes"][0]["persistentVolumeClaim"] == volume["persistentVolumeClaim"]
    secrets = {values["global"]["postgresqlSecretName"], *(of["name"] for of in deployment["envSecrets"])}
    assert set(re.findall(r"create secret generic (\S+)", TEXT)) == secrets
