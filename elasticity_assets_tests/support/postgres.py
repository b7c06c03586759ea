"""A real PostgreSQL of the tests' own, on loopback."""

import getpass
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg2
import pytest

from elasticity_assets_tests.support.ports import free_port

USER, PASSWORD = "dagster", "secret"


@dataclass(frozen=True)
class Server:
    """A running server; its one user is USER."""

    port: int
    folder: Path

    def create_database(self, name: str, template: str = "template1") -> str:
        """Make a database, a copy of `template`; return its connection string, without the password."""
        self.execute(self.connection_string("postgres"), f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return self.connection_string(name)

    def execute(self, database: str, statement: str, *values: str) -> None:
        """Run one statement in the database of a connection string."""
        session = psycopg2.connect(database, password=PASSWORD)
        session.autocommit = True
        session.cursor().execute(statement, values)
        session.close()

    def connection_string(self, database: str) -> str:
        return f"host=127.0.0.1 port={self.port} user={USER} dbname={database}"

    def run(self, program: str, *arguments: str) -> None:
        """Run one of PostgreSQL's programs on the server's data; they refuse to run as root."""
        as_postgres = ["runuser", "-u", "postgres", "--"] if getpass.getuser() == "root" else []
        command = [*as_postgres, str(_programs() / program), "-D", str(self.folder / "data"), *arguments]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=self.folder, timeout=120)

    def start(self) -> None:
        options = f"-p {self.port} -k {self.folder} -c listen_addresses=127.0.0.1 -c fsync=off"
        self.run("pg_ctl", "-w", "-l", str(self.folder / "log"), "-o", options, "start")

    def stop(self) -> None:
        self.run("pg_ctl", "-w", "-m", "immediate", "stop")


def _programs() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not found:
        pytest.skip("PostgreSQL is not installed")
    return found[-1]


@contextmanager
def running_server() -> Iterator[Server]:
    """Start a server in a new folder, and stop it afterwards."""
    _programs()
    with tempfile.TemporaryDirectory(prefix="pg", ignore_cleanup_errors=True) as name:
        server = Server(free_port(), Path(name))
        password = server.folder / "password"
        password.write_text(PASSWORD)
        if os.geteuid() == 0:
            for path in (server.folder, password):
                shutil.chown(path, "postgres")
        server.run("initdb", "-U", USER, "--auth=scram-sha-256", f"--pwfile={password}", "--no-sync")
        server.start()
        try:
            yield server
        finally:
            server.stop()
