"""A Ray cluster of several nodes on this machine, each with one CPU, that leaves no process behind."""

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest

from elasticity_assets_tests.support.ports import free_port

# Ray listens to the network, and runs what it is sent: only by who has the token. Read when ray is imported.
os.environ["RAY_AUTH_MODE"] = "token"
os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"

# Not `importorskip`: what `ray_tasks.connect` sets must be there when ray is imported.
WANTS_RAY = pytest.mark.skipif(find_spec("ray") is None, reason="the extra `ray` is not installed")


class RayCluster:
    """A running cluster.

    Attributes
    ----------
    address : str
        As `ray.init` takes it.
    client_address : str
        The same, for processes that are on none of its nodes.
    dashboard : str
        Where jobs are submitted.
    raylets : list of int
        Process ids of the nodes, the head's first.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.address = f"127.0.0.1:{free_port()}"
        self.client_port = free_port()
        self.dashboard_port = free_port()
        self.raylets: list[int] = []

    @property
    def client_address(self) -> str:
        return f"ray://127.0.0.1:{self.client_port}"

    @property
    def dashboard(self) -> str:
        return f"http://127.0.0.1:{self.dashboard_port}"

    def start(self, nodes: int, *, dashboard: bool) -> None:
        head = [
            "--head",
            f"--port={self.address.split(':')[1]}",
            f"--temp-dir={self.folder}",
            f"--include-dashboard={str(dashboard).lower()}",
            f"--dashboard-port={self.dashboard_port}",
            "--dashboard-host=127.0.0.1",
        ]
        # A job of the cluster starts `dagster`.
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        for number in range(nodes):
            command = [
                sys.executable,
                "-m",
                "ray.scripts.scripts",
                "start",
                "--num-cpus=1",
                "--disable-usage-stats",
            ]
            command += ["--node-ip-address=127.0.0.1", "--object-store-memory=100000000"]
            command += [
                "--ray-client-server-port",
                str(self.client_port if number == 0 else free_port()),
                "--dashboard-agent-listen-port",
                str(free_port()),
            ]
            command += head if number == 0 else [f"--address={self.address}"]
            done = subprocess.run(
                command,
                check=False,
                env={**os.environ, "PATH": path, "GRPC_ENABLE_FORK_SUPPORT": "false"},  # as the image has it
                capture_output=True,
                text=True,
                timeout=120,
            )
            assert done.returncode == 0, done.stdout + done.stderr
            self.raylets += [
                process.pid
                for process in self.processes()
                if process.name() == "raylet" and process.pid not in self.raylets
            ]

    def processes(self) -> list[psutil.Process]:
        """Its processes: each has the cluster's folder or address on its command line, or such a parent."""
        found = []
        for process in psutil.process_iter():
            try:
                words = " ".join(process.cmdline())
                if process.pid != os.getpid() and (str(self.folder) in words or self.address in words):
                    found += [process, *process.children(recursive=True)]
            except psutil.Error:
                continue
        return found

    def kill_node(self) -> None:
        """Kill the last node's raylet; its workers go with it."""
        os.kill(self.raylets[-1], signal.SIGKILL)

    def stop(self) -> None:
        for _ in range(10):  # what was being started meanwhile, too
            processes = self.processes()
            for process in processes:
                try:
                    process.kill()
                except psutil.NoSuchProcess:
                    continue
            if not psutil.wait_procs(processes, timeout=10)[1] and not self.processes():
                return
        raise AssertionError(f"still there: {self.processes()}")


@contextmanager
def ray_cluster(nodes: int, *, dashboard: bool = False) -> Iterator[RayCluster]:
    """Start a cluster, and stop it."""
    # Ray's sockets lie there, and a socket's path may have no more than some hundred letters.
    folder = Path(tempfile.mkdtemp(prefix="ray", dir="/tmp"))
    cluster = RayCluster(folder)
    try:
        cluster.start(nodes, dashboard=dashboard)
        yield cluster
    finally:
        cluster.stop()
        shutil.rmtree(folder, ignore_errors=True)
