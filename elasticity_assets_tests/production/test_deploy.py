"""The files in deploy/, as far as one machine without Docker's daemon can tell."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster_postgres import PostgresEventLogStorage, PostgresRunStorage, PostgresScheduleStorage

from elasticity_assets_tests import ray_cluster
from elasticity_assets_tests.postgres import PASSWORD, USER, running_server
from elasticity_assets_tests.projects import make_project
from elasticity_assets_tests.waiting import until

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"


def compose(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Let the program itself read the file."""
    program = shutil.which("docker-compose")
    if program is None:
        pytest.skip("docker-compose is not installed")
    command = [program, "-f", str(DEPLOY / "compose.yaml"), *arguments]
    return subprocess.run(
        command,
        check=False,
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_compose_reads_its_file() -> None:
    done = compose("config", POSTGRES_PASSWORD="secret", PROJECT="/srv/shop")
    assert done.returncode == 0, done.stderr
    services = yaml.safe_load(done.stdout)["services"]
    assert set(services) == {"postgres", "code_server", "daemon", "webserver"}
    assert {service["restart"] for service in services.values()} == {"unless-stopped"}
    published = [port for service in services.values() for port in service.get("ports", [])]
    assert [re.sub(r"/tcp$", "", str(port)) for port in published] == ["127.0.0.1:3000:3000"]
    assert any("/srv/shop" in str(volume) for volume in services["code_server"]["volumes"])
    (server,) = yaml.safe_load((DEPLOY / "workspace.yaml").read_text())["load_from"]
    command = services["code_server"]["command"]
    assert server["grpc_server"]["host"] in services
    assert int(command[command.index("--port") + 1]) == server["grpc_server"]["port"]


def test_compose_reads_the_file_for_a_gpu() -> None:
    environment = {"POSTGRES_PASSWORD": "secret", "PROJECT": "/srv/shop", "EXTRAS": "production,gpu"}
    done = compose("-f", str(DEPLOY / "compose.gpu.yaml"), "config", **environment)
    assert done.returncode == 0, done.stderr
    server = yaml.safe_load(done.stdout)["services"]["code_server"]
    assert server["build"]["args"] == {"EXTRAS": "production,gpu"}
    (device,) = server["deploy"]["resources"]["reservations"]["devices"]
    assert device["capabilities"] == ["gpu"]


@pytest.mark.parametrize("missing", ["POSTGRES_PASSWORD", "PROJECT"])
def test_compose_says_what_it_wants(missing: str) -> None:
    given = {"POSTGRES_PASSWORD": "secret", "PROJECT": "/srv/shop"}
    del given[missing]
    done = compose("config", **given)
    assert done.returncode != 0
    assert f"set {missing}" in done.stderr


def test_the_image_copies_what_there_is() -> None:
    copied = re.findall(r"^COPY (.+) \S+$", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)
    assert copied
    for source in " ".join(copied).split():
        assert (ROOT / source).exists(), source


def test_all_instances_are_set_up_alike_but_for_where_they_store_and_run() -> None:
    own = yaml.safe_load((files("elasticity_assets") / "dagster.yaml").read_text())
    production = yaml.safe_load((DEPLOY / "dagster.yaml").read_text())
    with_ray = yaml.safe_load((DEPLOY / "dagster.ray.yaml").read_text())
    del with_ray["run_launcher"]
    assert with_ray == production
    for key in ("storage", "local_artifact_storage", "compute_logs"):
        del production[key]
    assert production == own


def instance_of(file: str, folder: Path, **more: Any) -> dg.DagsterInstance:
    """Let Dagster load one of the files, with folders that are not the image's, and `more` in the place of its keys."""
    settings = yaml.safe_load((DEPLOY / file).read_text())
    for key in ("local_artifact_storage", "compute_logs"):
        settings[key]["config"]["base_dir"] = str(folder / key)
    settings = {key: value for key, value in {**settings, **more}.items() if value is not None}
    (folder / "dagster.yaml").write_text(yaml.safe_dump(settings))
    return dg.DagsterInstance.from_config(str(folder))


@pytest.fixture
def postgres(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Name a real PostgreSQL in the environment, as the image is told of its own."""
    with running_server() as server:
        for key, value in {
            "POSTGRES_HOST": "127.0.0.1",
            "POSTGRES_PORT": str(server.port),
            "POSTGRES_USER": USER,
            "POSTGRES_PASSWORD": PASSWORD,
            "POSTGRES_DB": "postgres",
        }.items():
            monkeypatch.setenv(key, value)
        yield


@dg.asset
def something() -> int:
    return 1


@pytest.mark.usefixtures("postgres")
def test_the_instance_keeps_its_runs_in_postgresql(tmp_path: Path) -> None:
    with instance_of("dagster.yaml", tmp_path) as instance:
        assert isinstance(instance.run_storage, PostgresRunStorage)
        assert isinstance(instance.event_log_storage, PostgresEventLogStorage)
        assert isinstance(instance.schedule_storage, PostgresScheduleStorage)
        assert dg.materialize([something], instance=instance).success
    with dg.DagsterInstance.from_config(str(tmp_path)) as again:
        (run,) = again.get_runs()
        assert run.status == dg.DagsterRunStatus.SUCCESS
        assert again.get_latest_materialization_event(dg.AssetKey("something"))
        assert again.run_retries_enabled


def test_dagster_loads_the_file_for_ray(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    launcher = pytest.importorskip("dagster_ray", reason="the extra `ray` is not installed").RayRunLauncher
    monkeypatch.setenv("RAY_API_SERVER_ADDRESS", "http://127.0.0.1:8265")
    with instance_of(
        "dagster.ray.yaml", tmp_path, storage=None
    ) as instance:  # SQLite: it is about the launcher
        assert isinstance(instance.run_launcher, launcher)
        assert instance.run_launcher.address == "http://127.0.0.1:8265"
        assert instance.run_monitoring_enabled


@ray_cluster.WANTS_RAY
def test_a_run_is_a_job_of_the_ray_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = make_project(tmp_path / "shop")
    monkeypatch.setenv("ELASTICITY_CONFIG", str(project.folder / "elasticity.yaml"))
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    with ray_cluster.ray_cluster(nodes=1, dashboard=True) as cluster:
        monkeypatch.setenv("RAY_API_SERVER_ADDRESS", cluster.dashboard)
        # At once: no daemon takes it from a queue.
        at_once = {"module": "dagster._core.run_coordinator", "class": "DefaultRunCoordinator"}
        with instance_of("dagster.ray.yaml", tmp_path, storage=None, run_coordinator=at_once) as instance:
            command = [sys.executable, "-m", "dagster", "job", "launch", "-j", "ingest"]
            command += ["-w", str(ROOT / "workspace.yaml")]
            done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
            assert done.returncode == 0, done.stdout + done.stderr

            def finished() -> dg.DagsterRun | None:
                (run,) = instance.get_runs()
                return run if run.is_finished else None

            run = until(finished, "the run", seconds=120)
            assert run.status == dg.DagsterRunStatus.SUCCESS, instance.all_logs(run.run_id)
            told = [entry.message for entry in instance.all_logs(run.run_id)]
            assert "Ray run job created" in " ".join(filter(None, told))
    assert project.settings.warehouse_file.exists()
