"""The `elasticity` command in processes of their own, which begin with its modules imported: that takes longest."""

import multiprocessing
import os
import resource
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from elasticity_assets.command.cli import main

PROGRAM = "from elasticity_assets.command.cli import main; main()"
IMPORTED = [
    "elasticity_assets.command.runs",
    "elasticity_assets.command.status",
    "jax",
    "altair",
    "vl_convert",
]

forkserver = multiprocessing.get_context("forkserver")
forkserver.set_forkserver_preload(IMPORTED)


class Command:
    """One process.

    Parameters
    ----------
    folder : Path
        Of the project; what it prints is kept beside it.
    arguments : sequence of str
    environment : mapping of str to str
        Variables beside the usual ones, for a Python that is started anew.
    """

    def __init__(
        self, folder: Path, arguments: Sequence[str], environment: Mapping[str, str] | None = None
    ) -> None:
        name = f"command-{time.monotonic_ns()}"
        self._files = [folder.parent / f"{name}.{kind}" for kind in ("stdout", "stderr", "memory")]
        self._process = forkserver.Process(
            target=run_command, args=(folder, self._files, arguments, dict(environment or {}))
        )
        self._process.start()

    def wait(self, seconds: float) -> int | None:
        """Exit status; None if it goes on."""
        self._process.join(seconds)
        return self._process.exitcode

    def kill(self) -> None:
        self._process.kill()
        self._process.join()

    @property
    def output(self) -> str:
        return self._files[0].read_text()

    @property
    def errors(self) -> str:
        return self._files[1].read_text()

    @property
    def megabytes(self) -> float:
        """Most memory that it had, once it has ended by itself."""
        return float(self._files[2].read_text())


def run_command(
    folder: Path, files: Sequence[Path], arguments: Sequence[str], environment: Mapping[str, str]
) -> None:
    """Be the command."""
    for number, file in enumerate(files[:2], 1):
        with file.open("wb") as opened:
            os.dup2(opened.fileno(), number)
    os.chdir(folder)
    os.environ["ELASTICITY_CONFIG"] = str(folder / "elasticity.yaml")
    if environment:
        os.execve(sys.executable, [sys.executable, "-c", PROGRAM, *arguments], {**os.environ, **environment})
    try:
        main(arguments)
    finally:
        files[2].write_text(str(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3))
