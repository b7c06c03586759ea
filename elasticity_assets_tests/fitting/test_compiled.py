"""In a process of its own each: jax opens its folder of compiled programs once."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest
from filelock import FileLock

from elasticity_assets.fitting.compiled import forget_programs

COMPILE = """
import sys
import warnings
warnings.simplefilter("error")
from elasticity_assets.fitting import compiled
compiled.LOCK_SECONDS = 0.0 if "--at-once" in sys.argv else compiled.LOCK_SECONDS
compiled.keep_compiled(sys.argv[1])
import jax
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
jax.jit(lambda x: x * {factor})(1.0)
"""


def start(folder: Path, factor: float, *arguments: str, **variables: str) -> subprocess.Popen[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("JAX_")}
    return subprocess.Popen(
        [sys.executable, "-c", COMPILE.format(factor=factor), str(folder), *arguments],
        env=environment | {"JAX_PLATFORMS": "cpu"} | variables,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> str:
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    return errors


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


@pytest.mark.parametrize(
    "damage", [lambda content: b"garbage", lambda content: content[:-100], lambda content: b""]
)
def test_a_damaged_program_is_compiled_anew_without_a_warning(
    tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    finish(start(tmp_path, 2.0))
    for entry in tmp_path.glob("*-cache"):
        entry.write_bytes(damage(entry.read_bytes()))
    before = {file.name: file.read_bytes() for file in tmp_path.glob("*-cache")}
    assert finish(start(tmp_path, 2.0)) == ""  # a warning would be an error
    after = {file.name: file.read_bytes() for file in tmp_path.glob("*-cache")}
    assert after.keys() == before.keys()
    assert all(len(content) > len(before[name]) for name, content in after.items())
    assert entries(tmp_path, "-atime") == entries(tmp_path, "-cache")


@pytest.mark.parametrize("shared", [True, False])
def test_what_was_compiled_under_another_limit_or_by_others_stays(tmp_path: Path, shared: bool) -> None:
    others = tmp_path / "jit_f-0-cache"
    others.write_bytes(b"whole")
    if shared:
        finish(start(tmp_path / "ours", 2.0, JAX_COMPILATION_CACHE_DIR=str(tmp_path)))
        assert not (tmp_path / "ours").exists()
    else:
        finish(start(tmp_path, 2.0, JAX_COMPILATION_CACHE_MAX_SIZE="-1"))
    assert others.read_bytes() == b"whole"
    assert len(entries(tmp_path, "-cache")) >= 2


def test_a_folder_that_cannot_be_used_is_told_and_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    told = finish(start(tmp_path / "file" / "compiled", 2.0))
    assert "compiled programs are not kept: " in told
    assert "Traceback" not in told


def test_a_lock_that_another_process_keeps_is_told_and_stops_nothing(tmp_path: Path) -> None:
    with FileLock(tmp_path / ".lockfile"):
        told = finish(start(tmp_path, 2.0, "--at-once"))
    assert "compiled programs are not kept: " in told
    assert entries(tmp_path, "-cache") == set()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such limit")
def test_programs_are_forgotten_where_memory_maps_run_out() -> None:
    compiled_times = 0

    @jax.jit
    def program(x: jax.Array) -> jax.Array:
        nonlocal compiled_times
        compiled_times += 1
        return 2.0 * x

    assert program(jnp.ones(3)).sum() == 6.0
    assert not forget_programs(most=1.0)  # as many as earlier tests used
    assert program(jnp.ones(3)).sum() == 6.0
    assert compiled_times == 1
    assert forget_programs(most=0.0)
    assert program(jnp.ones(3)).sum() == 6.0
    assert compiled_times == 2
