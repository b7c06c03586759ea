"""Programs that are kept: the same program, not traced again, and only where all that decides it is the same."""

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import elasticity_assets
from elasticity_assets.inference import traced
from elasticity_assets.inference.devices import compiled_once_used

PACKAGE = Path(elasticity_assets.__file__).parent
VALUES = np.linspace(0.0, 1.0, 7, dtype=np.float32)

FITS = """
import hashlib
import sys

import jax
import numpy as np

from elasticity_assets.fitting.compiled import keep_compiled
from elasticity_assets.inference.natural_gradient import engine
from elasticity_assets.inference.natural_gradient.zones import engine as by_zones
from elasticity_assets.inference.priors import DEFAULT, DEFAULT_ZONES
from elasticity_assets.inference.simulate import Simulation, simulated_panels
from elasticity_assets.inference.simulate_zones import ZoneSimulation, simulate_zones

keep_compiled(sys.argv[1])
traced = set()


def noted(module, name):
    function = getattr(module, name)

    def call(*args, **kwargs):
        traced.add(name)
        return function(*args, **kwargs)

    setattr(module, name, call)


noted(engine, "iterate")
noted(engine, "covariance_at")
noted(by_zones, "one_pass")
panel = simulated_panels(Simulation(products=5, weeks=12, categories=1))[0][0]
problem = engine.Problem(panel, DEFAULT, "negative_binomial", 3)
run = problem.run(problem.start(None), 1.0, 1e-3)
found = [run, problem.covariance(run.state)]
zoned, _ = simulate_zones(ZoneSimulation(products=3, zones=2, weeks=12))
problem = by_zones.Problem(zoned, DEFAULT, DEFAULT_ZONES, "negative_binomial", 3)
found.append(problem.run(problem.start(None), 1.0, 1e-3))
leaves = jax.tree.leaves(jax.device_get(found))
print(hashlib.sha256(b"".join(np.asarray(leaf).tobytes() for leaf in leaves)).hexdigest(), *sorted(traced))
"""


def fits(folder: Path, package: Path = PACKAGE, **variables: str) -> list[str]:
    """Fit in a process of its own, by the package there; a hash of what was found, and what was traced."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("JAX_")}
    done = subprocess.run(
        [sys.executable, "-c", FITS, str(folder)],
        cwd=package.parent,
        env=environment | {"JAX_PLATFORMS": "cpu"} | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.split()


def test_fits_are_the_same_to_the_bit_and_traced_once(tmp_path: Path) -> None:
    all_traced = ["covariance_at", "iterate", "one_pass"]
    folder = tmp_path / "compiled"
    of_jax_alone = fits(tmp_path, JAX_COMPILATION_CACHE_DIR=str(tmp_path / "jax"))
    assert of_jax_alone[1:] == all_traced
    assert not (tmp_path / "jax" / "traced").exists()
    assert fits(folder) == of_jax_alone
    assert len(list((folder / "traced").iterdir())) == len(all_traced)
    assert fits(folder) == of_jax_alone[:1]

    package = tmp_path / "elasticity_assets"
    shutil.copytree(PACKAGE, package)
    with (package / "inference" / "natural_gradient" / "arrow.py").open("a") as file:
        file.write("\n# changed\n")
    assert fits(folder, package) == of_jax_alone
    assert len(list((folder / "traced").iterdir())) == 2 * len(all_traced)


class Pair(NamedTuple):
    total: jax.Array
    each: jax.Array


class Process:
    """Has traced nothing yet."""

    def __init__(self) -> None:
        self.traced = 0

    def of(self, values: np.ndarray, power: int = 2) -> Pair:
        """Run a program whose arguments are a tree, an array and a static one."""

        @compiled_once_used("power", results=(Pair,))
        def program(tree: dict[str, jax.Array], more: float, *, power: int) -> Pair:
            self.traced += 1
            return Pair(jnp.sum(tree["x"] ** power) + more, jnp.exp(tree["x"]))

        found: Pair = jax.device_get(program({"x": values}, np.float32(1.0), power=power))
        np.testing.assert_allclose(found.total, np.sum(values**power) + 1.0, rtol=1e-6)
        np.testing.assert_allclose(found.each, np.exp(values), rtol=1e-6)
        return found


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where programs are kept in this process, whose folder of compiled ones is not the project's."""
    monkeypatch.setattr(traced, "_folder", lambda: tmp_path / "traced")
    return tmp_path / "traced"


def traced_again(values: np.ndarray = VALUES, power: int = 2) -> bool:
    """Run the program in place of a new process."""
    process = Process()
    process.of(values, power)
    return process.traced > 0


def test_a_kept_program_is_not_traced_again_for_the_same_shapes_and_static_arguments(folder: Path) -> None:
    assert traced_again()
    assert not traced_again()
    assert not traced_again(VALUES + 1.0)
    assert traced_again(VALUES[:3])
    assert traced_again(VALUES.astype(np.float16))
    assert traced_again(power=3)
    assert not traced_again()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.parametrize(("name", "other"), [("_IMPORTED", b"other"), ("version", lambda package: "other")])
def test_a_program_of_other_text_or_other_versions_is_traced_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, other: object
) -> None:
    assert traced_again()
    monkeypatch.setattr(traced, name, other)
    assert traced_again()


def test_a_program_under_other_settings_of_jax_is_traced_again(folder: Path) -> None:
    assert traced_again()
    before = jax.config.jax_default_matmul_precision
    jax.config.update("jax_default_matmul_precision", "highest")
    try:
        assert traced_again()
    finally:
        jax.config.update("jax_default_matmul_precision", before)
    assert not traced_again()


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: b"garbage",
        lambda content: content[:-100],
        lambda content: content[:1000] + b"?" + content[1001:],
    ],
)
def test_a_damaged_program_is_traced_and_kept_again(folder: Path, damage: Callable[[bytes], bytes]) -> None:
    assert traced_again()
    (file,) = folder.iterdir()
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    assert traced_again()
    assert not traced_again()


def test_a_program_in_another_s_place_is_not_taken_for_it(folder: Path) -> None:
    assert traced_again(power=3)
    (other,) = folder.iterdir()
    assert traced_again()
    (own,) = set(folder.iterdir()) - {other}
    shutil.copy(other, own)
    assert traced_again()
    assert not traced_again()


def test_a_folder_that_cannot_be_written_stops_nothing(folder: Path) -> None:
    folder.touch()
    assert traced_again()
    assert traced_again()


def test_programs_not_used_for_long_make_room(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traced, "MOST_KEPT", 2)
    assert traced_again(power=2)
    (first,) = folder.iterdir()
    assert traced_again(power=3)
    (second,) = set(folder.iterdir()) - {first}
    for age, file in enumerate([second, first]):  # the clock of files may be coarse
        os.utime(file, (0.0, age))
    assert not traced_again(power=2)
    assert traced_again(power=4)
    assert len(list(folder.iterdir())) == 2
    assert not traced_again(power=2)
    assert traced_again(power=3)


def test_many_at_once_find_the_same_and_leave_one_file(folder: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda _: Process().of(VALUES), range(24)))
    assert len({pair.total.tobytes() + pair.each.tobytes() for pair in found}) == 1
    assert len(list(folder.iterdir())) == 1
    assert not traced_again()


def test_programs_are_kept_in_the_project_s_folder_for_one_device_and_the_text_that_was_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = jax.config.jax_compilation_cache_dir
    jax.config.update("jax_compilation_cache_dir", str(tmp_path))
    try:
        assert "JAX_COMPILATION_CACHE_DIR" in os.environ  # by conftest.py
        assert traced._folder() is None
        monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR")
        assert traced._folder() == tmp_path / "traced"
        with monkeypatch.context() as of_many:
            of_many.setattr(jax, "device_count", lambda: 2)
            assert traced._folder() is None
        monkeypatch.setattr(traced, "_text", lambda: b"changed")
        assert traced._folder() is None
    finally:
        jax.config.update("jax_compilation_cache_dir", before)
