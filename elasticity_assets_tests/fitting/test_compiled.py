"""In a process of its own each: jax opens its folder of compiled programs once."""

import os
import subprocess
import sys
from pathlib import Path

COMPILE = """
import sys
import warnings
warnings.simplefilter("error")
from elasticity_assets.fitting.compiled import keep_compiled
keep_compiled(sys.argv[1])
import jax
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
jax.jit(lambda x: x * {factor})(1.0)
"""


def start(folder: Path, factor: float) -> subprocess.Popen[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("JAX_")}
    return subprocess.Popen(
        [sys.executable, "-c", COMPILE.format(factor=factor), str(folder)],
        env=environment | {"JAX_PLATFORMS": "cpu"},
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> None:
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors


def entries(folder: Path, kind: str) -> set[str]:
    return {file.name.removesuffix(kind) for file in folder.glob(f"*{kind}")}


def test_processes_that_compile_at_once_keep_what_both_compiled(tmp_path: Path) -> None:
    for process in [start(tmp_path, 2.0), start(tmp_path, 3.0)]:
        finish(process)
    programs = entries(tmp_path, "-cache")
    assert len(programs) >= 2
    assert entries(tmp_path, "-atime") == programs


def test_an_entry_that_a_killed_process_left_stops_nothing(tmp_path: Path) -> None:
    unfinished = tmp_path / "jit_f-0-cache"
    unfinished.write_bytes(b"half")
    finish(start(tmp_path, 2.0))
    assert not unfinished.exists()
    assert entries(tmp_path, "-atime") == entries(tmp_path, "-cache") != set()
