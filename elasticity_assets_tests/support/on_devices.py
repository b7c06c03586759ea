"""One small category fitted in a process of its own, over the devices that XLA_FLAGS asks for.

    python -m elasticity_assets_tests.support.on_devices alone ENGINE FOLDER
    python -m elasticity_assets_tests.support.on_devices counts CASE FOLDER DEVICES ...
    python -m elasticity_assets_tests.support.on_devices with-others CASE FILE.npz ADDRESS PROCESSES PROCESS

`alone` writes FOLDER/CASE xDEVICES.npz: what is compared of each of the engine's `CASES` over each of `counts_of` it,
the first so many of the process's devices; and FOLDER/NAME.txt: what XLA made over `PROGRAM_DEVICES` of each program
that the engine runs on the devices, and of programs that do what the engines' must not. `counts` writes the first of
one case, over the counts given. `with-others` fits one of `CASES` together with other processes, which meet at ADDRESS.
"""

import contextlib
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P

from elasticity_assets.inference import natural_gradient, svi
from elasticity_assets.inference.devices import AXIS
from elasticity_assets.inference.experiments import Experiment, with_experiments
from elasticity_assets.inference.natural_gradient import blocks, engine
from elasticity_assets.inference.options import NaturalGradientOptions, SviOptions
from elasticity_assets.inference.panel import Panel
from elasticity_assets.inference.posterior import CategoryPosterior, summarize
from elasticity_assets.inference.priors import DEFAULT, SlowDemand
from elasticity_assets.inference.simulate import Simulation, simulated_panels
from elasticity_assets.inference.svi import optimize

DEVICE_COUNTS = (1, 2, 4, 8)
FEW_COUNTS = {
    "natural_gradient": (1, 4),
    "natural_gradient, slow demand": (1, 8),
}  # each is a program to compile
PROGRAM_DEVICES = 4
PRODUCTS, WEEKS = 61, 30  # of the fits; devices have unequal numbers of products
# Of the programs: a device's rows of a block are more than the shared vector's length squared.
MORE_PRODUCTS, FEW_WEEKS, BLOCK, BATCH = 4096, 8, 512, 4096

EXACT = SviOptions(loss="closed_form")
FEW_STEPS = SviOptions(max_steps=200, num_particles=1, batch_products=32)
CASES: dict[str, Callable[[Panel], CategoryPosterior]] = {
    "natural_gradient": lambda panel: natural_gradient.fit(
        with_experiments(panel, [Experiment("p07", -5.0, 0.2), Experiment("", -1.0, 0.3)]),
        DEFAULT,
        "negative_binomial",
        NaturalGradientOptions(),
    ),
    "natural_gradient, slow demand": lambda panel: natural_gradient.fit(
        panel,
        replace(DEFAULT, slow_demand=SlowDemand()),
        "negative_binomial",
        NaturalGradientOptions(grid_points=1),
    ),
    "svi": lambda panel: svi.fit(panel, DEFAULT, "poisson", EXACT),
    "svi, mini-batches": lambda panel: svi.fit(panel, DEFAULT, "poisson", FEW_STEPS),
}


def counts_of(case: str) -> tuple[int, ...]:
    """Over how many devices a case is fitted."""
    return FEW_COUNTS.get(case, DEVICE_COUNTS)


def category(products: int, weeks: int) -> Panel:
    """Sales with a control."""
    simulation = Simulation(
        products=products, weeks=weeks, categories=1, control_effects=(0.5,), likelihood="poisson"
    )
    (panel,), _ = simulated_panels(simulation, 7)
    return panel


def compared(posterior: CategoryPosterior) -> dict[str, Any]:
    """Posterior means and sds of products' and shared effects, and how they were found."""
    summary = summarize(posterior.weight, posterior.product_mean, posterior.product_var)

    def shared(of_controls: np.ndarray, of_category: np.ndarray) -> np.ndarray:
        return posterior.weight @ np.column_stack([of_controls, of_category])

    return {
        "mean": np.append(summary.mean, shared(posterior.control_mean, posterior.category_mean)),
        "sd": np.append(summary.sd, shared(posterior.control_var, posterior.category_var) ** 0.5),
        "tau": posterior.product_spread(),
        "elbo": posterior.diagnostics.elbo,
        "iterations": posterior.diagnostics.iterations,
        "device": posterior.diagnostics.device,
    }


class _CaughtError(Exception):
    """A program has been compiled; there is no need to run it."""


def programs_of_natural_gradient() -> dict[str, str]:
    """Texts of the optimized programs, by name; and of programs that move rows."""
    panel = category(MORE_PRODUCTS, FEW_WEEKS)
    found = {}
    priors = replace(DEFAULT, slow_demand=SlowDemand())
    with mock.patch.object(blocks, "_BLOCK_ON_CPU", BLOCK):
        problem = engine.Problem(panel, priors, "negative_binomial", 50)
    state, one = problem.start(None), np.float32(1.0)
    known = {"mesh": problem.mesh, "family": problem.family}
    lowered = jax.jit(engine._run.__wrapped__, static_argnames=(*known, "max_passes")).lower
    run = lowered(problem.rows, problem.hyper, state, one, one, np.int32(50), **known, max_passes=50)
    found["natural_gradient, run"] = run.compile().as_text()
    lowered = jax.jit(engine._covariance.__wrapped__, static_argnames=tuple(known)).lower
    covariance = lowered(problem.rows, problem.hyper, state, **known)
    found["natural_gradient, covariance"] = covariance.compile().as_text()
    return found | programs_that_move_rows(problem.mesh)


def programs_of_svi() -> dict[str, str]:
    """Texts of the optimized programs, by name."""
    panel = category(MORE_PRODUCTS, FEW_WEEKS)
    found: dict[str, str] = {}
    for name, choice in (
        ("svi", EXACT),
        ("svi, mini-batches", SviOptions(num_particles=2, batch_products=BATCH)),
    ):
        chunk = optimize._run_chunk

        def catch(*arguments: object, chunk: Any = chunk, name: str = name) -> None:
            found[name] = chunk.lower(*arguments).compile().as_text()
            raise _CaughtError

        with mock.patch.object(optimize, "_run_chunk", catch), contextlib.suppress(_CaughtError):
            svi.fit(panel, DEFAULT, "poisson", choice)
    return found


def programs_that_move_rows(mesh: Mesh) -> dict[str, str]:
    """Programs that do what the engines' must not, one a kind of collective."""
    rows = jnp.zeros((MORE_PRODUCTS, FEW_WEEKS))
    moves: dict[str, Callable[[jax.Array], jax.Array]] = {
        "all-gather": lambda part: jax.lax.all_gather(part[:, 0], AXIS, tiled=True),
        "all-reduce": lambda part: jax.lax.psum(part[:, 0], AXIS),
        "all-to-all": lambda part: jax.lax.all_to_all(part, AXIS, 0, 0, tiled=True),
        "collective-permute": lambda part: jax.lax.ppermute(part[:, 0], AXIS, [(0, 1), (1, 0)]),
        "reduce-scatter": lambda part: jax.lax.psum_scatter(part[:, 0], AXIS, tiled=True),
    }
    found = {}
    for name, move in moves.items():
        moved = jax.shard_map(move, mesh=mesh, in_specs=P(AXIS), out_specs=P(AXIS), check_vma=False)
        found[f"moves rows, {name}"] = jax.jit(moved).lower(rows).compile().as_text()
    return found


@contextlib.contextmanager
def first_devices(count: int) -> Iterator[None]:
    """Let the engines know of so many devices alone."""
    with (
        mock.patch.object(jax, "devices", return_value=jax.devices()[:count]),
        mock.patch.object(jax, "device_count", return_value=count),
    ):
        yield


def over(case: str, folder: Path, counts: Iterable[int]) -> None:
    """Fit a case over so many devices."""
    panel = category(PRODUCTS, WEEKS)
    for count in counts:
        with first_devices(count):
            np.savez(folder / f"{case} x{count}.npz", **compared(CASES[case](panel)))


def alone(engine: str, folder: Path) -> None:
    """Fit the engine's cases over all numbers of devices, and keep its programs."""
    for case in (name for name in CASES if name.startswith(engine)):
        over(case, folder, counts_of(case))
    programs = {"natural_gradient": programs_of_natural_gradient, "svi": programs_of_svi}[engine]
    with first_devices(PROGRAM_DEVICES):
        for name, text in programs().items():
            (folder / f"{name}.txt").write_text(text)


if __name__ == "__main__":
    if sys.argv[1] == "alone":
        alone(sys.argv[2], Path(sys.argv[3]))
    elif sys.argv[1] == "counts":
        over(sys.argv[2], Path(sys.argv[3]), map(int, sys.argv[4:]))
    else:
        _, _, case, file, address, processes, process = sys.argv
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
        jax.distributed.initialize(address, int(processes), int(process))
        np.savez(file, **compared(CASES[case](category(PRODUCTS, WEEKS))))
