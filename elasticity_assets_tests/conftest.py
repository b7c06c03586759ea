"""Fixtures that several test modules share."""

import os
import shutil
import signal
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pytest

from elasticity_assets.fitting.compiled import COMPILED_BYTES, forget_unfinished
from elasticity_assets.settings import DUCKLAKE
from elasticity_assets.warehouse.ducklake import DuckLakeWarehouse, close_connections
from elasticity_assets.warehouse.file import Warehouse
from elasticity_assets_tests.support.both_warehouses import BOTH
from elasticity_assets_tests.support.postgres import PASSWORD, Server, running_server

if TYPE_CHECKING:  # it imports Dagster
    from elasticity_assets_tests.support.projects import Project

# The same programs are compiled in many tests and processes; jax, imported later, keeps them here for all of them. A
# size makes jax lock the folder.
_CACHE = Path(__file__).parents[1] / ".pytest_cache" / "jax"
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(_CACHE))
os.environ.setdefault("JAX_COMPILATION_CACHE_MAX_SIZE", str(COMPILED_BYTES))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.1")
forget_unfinished(Path(os.environ["JAX_COMPILATION_CACHE_DIR"]))
# XLA's older way to write kernels for a CPU takes two thirds of the time to compile, and tests' fits are short.
_QUICKLY_COMPILED = "--xla_cpu_use_fusion_emitters=false"
os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {_QUICKLY_COMPILED}".strip()

# A shell's background jobs ignore interrupts, and so would the processes that tests start, and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Linux's default is 65,530 maps a process.
_MANY_MAPS = 40_000


@pytest.fixture
def warehouse_file(tmp_path: Path) -> Warehouse:
    """A warehouse that is a DuckDB file."""
    return Warehouse(path=str(tmp_path / "warehouse.duckdb"), wait_seconds=60)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    with running_server() as server:
        yield server


@pytest.fixture
def new_ducklake(
    tmp_path: Path, postgres_server: Server, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[], DuckLakeWarehouse]]:
    """Makes warehouses that are DuckLakes, their catalogs in PostgreSQL."""
    monkeypatch.setenv("PGPASSWORD", PASSWORD)

    def make() -> DuckLakeWarehouse:
        name = uuid.uuid4().hex
        catalog = postgres_server.create_database(name)
        return DuckLakeWarehouse(
            path=f"{DUCKLAKE}{catalog}", files=str(tmp_path / f"ducklake-{name}"), wait_seconds=60
        )

    yield make
    close_connections()


@pytest.fixture(scope="session")
def empty_ducklake(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: Server
) -> Iterator[DuckLakeWarehouse]:
    """Make a DuckLake with all tables, for others to be copies of."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PGPASSWORD", PASSWORD)
        folder = tmp_path_factory.mktemp("empty-ducklake")
        lake = DuckLakeWarehouse(
            path=f"{DUCKLAKE}{postgres_server.create_database('empty')}", files=str(folder)
        )
        with lake.write():
            pass
        close_connections()  # PostgreSQL copies what nobody is connected to
        yield lake


@pytest.fixture
def ducklake(
    tmp_path: Path,
    postgres_server: Server,
    empty_ducklake: DuckLakeWarehouse,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[DuckLakeWarehouse]:
    """A warehouse that is a DuckLake, its catalog in PostgreSQL."""
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    folder = tmp_path / "ducklake"
    shutil.copytree(empty_ducklake.files, folder)
    catalog = postgres_server.create_database(uuid.uuid4().hex, template="empty")
    postgres_server.execute(
        catalog, "UPDATE ducklake_metadata SET value = %s WHERE key = 'data_path'", f"{folder}/"
    )
    yield DuckLakeWarehouse(path=f"{DUCKLAKE}{catalog}", files=str(folder), wait_seconds=60)
    close_connections()


@pytest.fixture(params=BOTH)
def warehouse(request: pytest.FixtureRequest) -> Warehouse:
    """A warehouse of either kind."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def connection(warehouse: Warehouse) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection for writing to a new warehouse."""
    with warehouse.write() as connection:
        yield connection


@pytest.fixture(scope="module", autouse=True)
def _few_memory_maps() -> Iterator[None]:
    """Forget compiled programs before they hold more memory maps than a process may have."""
    yield
    maps = Path("/proc/self/maps")
    if "jax" in sys.modules and maps.exists() and maps.read_bytes().count(b"\n") > _MANY_MAPS:
        sys.modules["jax"].clear_caches()


@pytest.fixture(scope="session")
def refitted_project(tmp_path_factory: pytest.TempPathFactory) -> "Project":
    """Make a project of two categories and refit it once, for all that only look at it, and to be copied."""
    from elasticity_assets_tests.support.projects import make_project, open_project

    folder = tmp_path_factory.mktemp("refitted")
    made = make_project(folder / "made")
    assert made.ingest().success
    assert made.refit().success
    return open_project(made.folder.rename(folder / "project"))


@pytest.fixture
def project(refitted_project: "Project", tmp_path: Path) -> "Project":
    """A refitted project of the test's own."""
    return refitted_project.copied_to(tmp_path / "project")


@pytest.fixture
def commands_as_users_start_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no variable of the tests reach `support.commands`: its processes have those of when the first begins."""
    for name in list(os.environ):
        if name.startswith(("JAX_", "DAGSTER_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")  # on a slow machine XLA complains of how long it compiles


@pytest.fixture(scope="session")
def s3_address() -> Iterator[str]:
    """Address of a server of S3's protocol, in this process."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3_environment(s3_address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let all S3 clients of the test go to that server, as a user would: by the environment."""
    import s3fs

    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_address)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "anyone")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "nothing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    s3fs.S3FileSystem.clear_instance_cache()  # one made by another test has that test's environment


@pytest.fixture
def bucket(s3_environment: None) -> str:
    """Name of a new bucket."""
    import boto3

    name = f"bucket-{uuid.uuid4().hex}"
    boto3.client("s3").create_bucket(Bucket=name)
    return name


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--at-length",
        action="store_true",
        help="kill a hundred runs, let eight processes refit for minutes, and deliver 52 weeks, read 2,000 dialects",
    )


@pytest.fixture(scope="session")
def at_length(pytestconfig: pytest.Config) -> bool:
    """Whether `make torture` or `make soak` asks for the long tests."""
    return bool(pytestconfig.getoption("--at-length"))
