"""The files in deploy/, as far as one machine without Docker's daemon can tell."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

import dagster as dg
import psycopg2
import pytest
import yaml
from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.origin import JobPythonOrigin, RepositoryPythonOrigin
from dagster._grpc.types import ExecuteRunArgs
from dagster_postgres import PostgresEventLogStorage, PostgresRunStorage, PostgresScheduleStorage

from elasticity_assets.definitions import build_definitions
from elasticity_assets.settings import DUCKLAKE, load_settings
from elasticity_assets_tests.support import ray_cluster
from elasticity_assets_tests.support.postgres import PASSWORD, USER, running_server
from elasticity_assets_tests.support.projects import make_project
from elasticity_assets_tests.support.waiting import until

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
    base = "python:3.12-slim@sha256:0123"
    environment = {
        "POSTGRES_PASSWORD": "secret",
        "PROJECT": "/srv/shop",
        "EXTRAS": "production,gpu",
        "BASE_IMAGE": base,
    }
    done = compose("-f", str(DEPLOY / "compose.gpu.yaml"), "config", **environment)
    assert done.returncode == 0, done.stderr
    server = yaml.safe_load(done.stdout)["services"]["code_server"]
    assert server["build"]["args"] == {"BASE_IMAGE": base, "EXTRAS": "production,gpu"}
    (device,) = server["deploy"]["resources"]["reservations"]["devices"]
    assert device["capabilities"] == ["gpu"]


CLUSTER = {"POSTGRES_PASSWORD": "secret", "PROJECT": "/srv/shop", "RAY_AUTH_TOKEN": "token"}


def test_compose_reads_the_file_for_a_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    extras = "ducklake,production,ray"
    done = compose("-f", str(DEPLOY / "compose.cluster.yaml"), "config", EXTRAS=extras, **CLUSTER)
    assert done.returncode == 0, done.stderr
    services = yaml.safe_load(done.stdout)["services"]
    server, head, worker = (services[name] for name in ("code_server", "ray_head", "ray_worker"))
    assert server["build"]["args"]["EXTRAS"] == extras
    assert extras in (DEPLOY / "compose.cluster.yaml").read_text()
    assert {service["image"] for service in (head, worker)} == {server["image"]}
    # Only the UI is published: who reaches Ray's ports runs programs there.
    assert [name for name, service in services.items() if "ports" in service] == ["webserver"]
    for service in (server, head, worker):
        assert service["environment"]["RAY_AUTH_MODE"] == "token"
        assert service["environment"]["RAY_AUTH_TOKEN"] == "token"
    assert f"--address=ray_head:{option(head['command'], '--port')}" in worker["command"]
    # What the code server's environment says are settings, and name those services.
    project = make_project(tmp_path / "shop")
    for key, value in server["environment"].items():
        if key.startswith("ELASTICITY_"):
            monkeypatch.setenv(key, value)
    monkeypatch.delenv("ELASTICITY_WEBHOOK_URL")
    settings = load_settings(project.folder / "elasticity.yaml")
    assert settings.executor == "ray"
    assert settings.ray.address == f"ray://ray_head:{option(head['command'], '--ray-client-server-port')}"
    catalog = dict(word.split("=") for word in settings.warehouse.removeprefix(DUCKLAKE).split())
    assert catalog.pop("host") in services
    assert catalog == {"user": services["postgres"]["environment"]["POSTGRES_USER"], "dbname": "elasticity"}
    assert server["environment"]["PGPASSWORD"] == services["postgres"]["environment"]["POSTGRES_PASSWORD"]


def test_the_catalogs_database_is_made_once() -> None:
    done = compose("-f", str(DEPLOY / "compose.cluster.yaml"), "config", **CLUSTER)
    assert done.returncode == 0, done.stderr
    catalog = yaml.safe_load(done.stdout)["services"]["catalog"]
    with running_server() as server:
        server.create_database("dagster")
        environment = {**os.environ, **catalog["environment"], "PGPASSWORD": PASSWORD}
        environment |= {"PGHOST": "127.0.0.1", "PGPORT": str(server.port)}
        for _ in range(2):
            subprocess.run(shlex.split(catalog["command"]), check=True, env=environment, timeout=60)
        psycopg2.connect(server.connection_string("elasticity"), password=PASSWORD).close()


def test_compose_wants_the_token_of_a_cluster() -> None:
    given = {key: value for key, value in CLUSTER.items() if key != "RAY_AUTH_TOKEN"}
    done = compose("-f", str(DEPLOY / "compose.cluster.yaml"), "config", **given)
    assert done.returncode != 0
    assert "set RAY_AUTH_TOKEN" in done.stderr


def option(command: list[str], name: str) -> str:
    """Value of an option that is written as name=value."""
    (value,) = [word.partition("=")[2] for word in command if word.startswith(f"{name}=")]
    return value


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


def test_the_base_image_is_the_one_that_compose_builds_on_unless_told() -> None:
    (default,) = re.findall(r"^ARG BASE_IMAGE=(.+)$", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)
    server = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]["code_server"]
    assert server["build"]["args"]["BASE_IMAGE"] == f"${{BASE_IMAGE:-{default}}}"


def image_environment() -> dict[str, str]:
    """What the image sets for all its processes."""
    (line,) = re.findall(r"^ENV (.+)$", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)
    return dict(word.split("=") for word in line.split())


PROJECT_FOLDER = str(Path(image_environment()["ELASTICITY_CONFIG"]).parent)


@ray_cluster.WANTS_RAY
def test_ray_reads_the_file_for_its_launcher() -> None:
    """By Ray's own schema. `ray up` itself is not tried: it wants SSH and Docker on other machines."""
    from ray.autoscaler._private.util import prepare_config, validate_config
    from ray.scripts.scripts import start as ray_start

    written = yaml.safe_load((DEPLOY / "ray-cluster.yaml").read_text())
    assert written["provider"]["type"] == "local"
    config = prepare_config(written)
    validate_config(config)
    (node,) = config["available_node_types"].values()
    assert node["max_workers"] == len(written["provider"]["worker_ips"])
    # Each of the image's commands is a program that its Python packages bring, with options that it has.
    commands = config["head_start_ray_commands"] + config["worker_start_ray_commands"]
    started = [shlex.split(command) for command in commands if command != "ray stop"]
    known = {name for parameter in ray_start.params for name in parameter.opts}
    for words in started:
        assert words[:2] == ["ray", "start"]
        assert {word.partition("=")[0] for word in words[2:]} <= known
        assert "--disable-usage-stats" in words
    head, worker = started
    assert option(head, "--dashboard-host") == "127.0.0.1"
    assert option(worker, "--address") == f"$RAY_HEAD_IP:{option(head, '--port')}"
    # The image, its folder of the project, and what `ray up` runs in it.
    image = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]["code_server"]["image"]
    assert config["docker"]["image"] == image
    (volume,) = [o for o in config["docker"]["run_options"] if o.startswith("--volume=")]
    assert volume.endswith(f":{PROJECT_FOLDER}")
    dockerfile = (DEPLOY / "Dockerfile").read_text()
    packages = 'DEBIAN_PACKAGES="openssh-client rsync"'
    assert packages in dockerfile
    assert packages in (DEPLOY / "ray-cluster.yaml").read_text()
    assert "USER elasticity" in dockerfile
    assert "--create-home" in dockerfile  # Ray writes into ~


def snake(values: Any) -> Any:
    """Keys as Dagster's own settings have them, from those of the Helm chart."""
    if not isinstance(values, dict):
        return values
    return {
        re.sub("([A-Z])", lambda m: f"_{m[1].lower()}", key): snake(value) for key, value in values.items()
    }


def test_values_of_the_helm_chart_agree_with_the_rest() -> None:
    """What can be told without the chart.

    Not tested: that the chart takes each key (its schema and templates were read when the file was written), what it
    makes of them, and that Kubernetes runs it. The image is not built.
    """
    values = yaml.safe_load((DEPLOY / "helm-values.yaml").read_text())
    (deployment,) = values["dagster-user-deployments"]["deployments"]
    # The code server is compose's.
    server = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]["code_server"]
    command = server["command"]
    assert deployment["image"]["repository"].endswith(f"/{server['image']}")
    assert deployment["image"]["tag"] == version("elasticity_assets")
    assert deployment["port"] == int(command[command.index("--port") + 1])
    module = command.index("--module-name")
    assert deployment["dagsterApiGrpcArgs"] == command[module : module + 2]
    # Folders and variables are the image's.
    (mount,) = deployment["volumeMounts"]
    (volume,) = deployment["volumes"]
    assert mount == {"name": volume["name"], "mountPath": PROJECT_FOLDER}
    assert values["global"]["dagsterHome"] == image_environment()["DAGSTER_HOME"]
    environment = {variable["name"]: variable.get("value") for variable in deployment["env"]}
    assert environment["ELASTICITY_CONFIG"] == image_environment()["ELASTICITY_CONFIG"]
    wanted = set(re.findall(r"env: (\w+)", (DEPLOY / "dagster.yaml").read_text()))
    assert set(environment) - {"ELASTICITY_CONFIG"} == wanted
    uid = re.search(r"--uid (\d+)", (DEPLOY / "Dockerfile").read_text())
    launcher = values["runLauncher"]["config"]["k8sRunLauncher"]
    run_pod = launcher["runK8sConfig"]["podSpecConfig"]["securityContext"]
    assert uid is not None
    assert deployment["podSecurityContext"] == run_pod == {"fsGroup": int(uid[1])}
    # One database, named twice; its password is nowhere.
    database = values["postgresql"]
    assert environment["POSTGRES_HOST"] == database["postgresqlHost"]
    assert environment["POSTGRES_PORT"] == str(database["service"]["port"])
    assert environment["POSTGRES_USER"] == database["postgresqlUsername"]
    assert environment["POSTGRES_DB"] == database["postgresqlDatabase"]
    storage = yaml.safe_load((DEPLOY / "dagster.yaml").read_text())["storage"]["postgres"]["postgres_db"]
    assert database["postgresqlScheme"] == storage["scheme"]
    secret = values["global"]["postgresqlSecretName"]
    (password,) = [variable for variable in deployment["env"] if "valueFrom" in variable]
    assert password["valueFrom"]["secretKeyRef"] == {"name": secret, "key": "postgresql-password"}
    assert not values["generatePostgresqlPasswordSecret"]
    assert "postgresqlPassword" not in database
    assert values["dagsterWebserver"]["service"]["type"] == "ClusterIP"
    # Dagster's own settings are the package's.
    own = yaml.safe_load((files("elasticity_assets") / "dagster.yaml").read_text())
    daemon = values["dagsterDaemon"]
    assert daemon["runCoordinator"]["type"] == "QueuedRunCoordinator"
    assert values["concurrency"].pop("enabled")
    assert values["retention"].pop("enabled")
    rendered = {
        "run_retries": snake(daemon["runRetries"]),
        "run_monitoring": snake(daemon["runMonitoring"]),
        **{key: snake(values[key]) for key in ("concurrency", "retention", "telemetry")},
        **values["additionalInstanceConfig"],
    }
    assert rendered == own


def test_a_runs_pod_needs_no_package_of_kubernetes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The image has no dagster-k8s: a run's process gets the chart's launcher in its settings, and never loads it."""
    project = make_project(tmp_path / "shop")
    monkeypatch.setenv("ELASTICITY_CONFIG", str(project.folder / "elasticity.yaml"))
    launcher = {"module": "no_such_package", "class": "K8sRunLauncher", "config": {}}
    with instance_of("dagster.yaml", tmp_path, storage=None, run_launcher=launcher) as instance:
        pointer = ModuleCodePointer("elasticity_assets.definitions", "defs", str(ROOT))
        origin = JobPythonOrigin("ingest", RepositoryPythonOrigin(sys.executable, pointer))
        job = build_definitions(project.settings).resolve_job_def("ingest")
        run = instance.create_run_for_job(job, job_code_origin=origin)
        command = ExecuteRunArgs(origin, run.run_id, instance.get_ref(), set_exit_code_on_failure=True)
        words = command.get_command_args()
        done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        after = instance.get_run_by_id(run.run_id)
        assert after is not None
        assert after.status == dg.DagsterRunStatus.SUCCESS


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
