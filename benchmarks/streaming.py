"""One category of any size: in memory, and in parts that are read, used and dropped.

    python benchmarks/streaming.py --products 100_000
    python benchmarks/streaming.py --products 1_000_000 --only streaming

Sales are drawn a part at a time and written to files, which each way reads, in a process of its own, so that its peak
memory is its own. Where both ways run, their posteriors are compared. The matrix products U'U are timed by BLAS in the
same run. Ends in one JSON line.
"""

import argparse
import json
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from elasticity_assets.fitting.packing import pack, unpack
from elasticity_assets.fitting.threads import one_blas_thread
from elasticity_assets.inference.panel import Panel
from elasticity_assets.inference.posterior import CategoryPosterior

WEEKS = 156
PART = 4_096


def draw(products: int, likelihood: str, folder: Path) -> None:
    """Draw one category's sales: each part's products lie around the same category."""
    from elasticity_assets.inference.simulate import Simulation, simulated_panels

    for number, first in enumerate(range(0, products, PART)):
        simulation = Simulation(
            products=min(PART, products - first),
            categories=1,
            weeks=WEEKS,
            likelihood=likelihood,
            category_spread=0.0,
            period_spread=0.02,
        )
        panel = simulated_panels(simulation, seed=number)[0][0]
        panel = replace(panel, product=np.char.add(panel.product, f"_{number}"))
        np.savez(folder / f"{number:06}.npz", **pack(panel))


def read(folder: Path) -> Iterator[Panel]:
    """Read the parts that `draw` wrote."""
    for file in sorted(folder.glob("*.npz")):
        with np.load(file) as arrays:
            yield unpack(Panel, dict(arrays))


def joined(parts: list[Panel]) -> Panel:
    """Put parts together to one panel."""

    def together(name: str) -> np.ndarray:
        arrays = [getattr(part, name)[: part.n_products] for part in parts]
        return np.concatenate(arrays) if len(arrays[0]) else getattr(parts[0], name)

    names = ("units", "log_price", "log_regular_price", "controls", "observed", "weight")
    return replace(
        parts[0],
        product=np.concatenate([part.product for part in parts]),
        **{name: together(name) for name in names},
    )


def fit_in_memory(folder: Path, likelihood: str) -> dict:
    """Fit all at once."""
    from elasticity_assets.inference import natural_gradient
    from elasticity_assets.inference.options import NaturalGradientOptions
    from elasticity_assets.inference.priors import DEFAULT

    passes = [0]
    began = time.perf_counter()
    panel = joined(list(read(folder)))
    with one_blas_thread():
        fit = natural_gradient.fit(
            panel,
            DEFAULT,
            likelihood,
            NaturalGradientOptions(),
            on_progress=lambda done, _: passes.append(done),
        )
    return _result([fit], passes, began)


def fit_streaming(folder: Path, likelihood: str) -> dict:
    """Fit part by part."""
    from elasticity_assets.inference.natural_gradient import streaming
    from elasticity_assets.inference.options import NaturalGradientOptions
    from elasticity_assets.inference.priors import DEFAULT

    passes = [0]
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch, one_blas_thread():
        fits = streaming.fit(
            read(folder),
            DEFAULT,
            likelihood,
            NaturalGradientOptions(),
            Path(scratch),
            on_progress=lambda done, _: passes.append(done),
        )
        return _result(fits, passes, began)


def _result(
    fits: Iterator[CategoryPosterior] | list[CategoryPosterior], passes: list[int], began: float
) -> dict:
    """Summarize; of each product its mean and sd, for comparison."""
    mean, sd = [], []
    for fit in fits:
        centre = fit.weight @ fit.product_mean
        mean.append(centre.astype(np.float32))
        var = fit.weight @ (fit.product_var + (fit.product_mean - centre) ** 2)
        sd.append(np.sqrt(var).astype(np.float32))
    return {
        "seconds": time.perf_counter() - began,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "passes": passes[-1],
        "iterations": fit.diagnostics.iterations,
        "converged": fit.diagnostics.converged,
        "mean": np.concatenate(mean),
        "sd": np.concatenate(sd),
    }


def blas_seconds(products: int) -> float:
    """Seconds of the matrix product U'U of one pass, 2 rows a product, both cores."""
    rows, times = np.random.default_rng(0).normal(size=(2 * PART, WEEKS + 2)).astype(np.float32), []
    for _ in range(21):
        began = time.perf_counter()
        rows.T @ rows
        times.append(time.perf_counter() - began)
    return float(np.median(times)) * products / PART


def _alone(work: Callable[..., Any], *arguments: object) -> Any:
    """Work in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(work, arguments)


def main() -> None:
    """Parse the command line and print one JSON line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--products", type=int, default=100_000)
    parser.add_argument("--likelihood", choices=["poisson", "negative_binomial"], default="poisson")
    parser.add_argument("--only", choices=["memory", "streaming"])
    arguments = parser.parse_args()
    ways = {"memory": fit_in_memory, "streaming": fit_streaming}
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        sales = Path(folder)
        _alone(draw, arguments.products, arguments.likelihood, sales)
        for name, fit in ways.items():
            if arguments.only in (None, name):
                found[name] = _alone(fit, sales, arguments.likelihood)
    result: dict = {"products": arguments.products, "weeks": WEEKS, "likelihood": arguments.likelihood}
    result["blas_seconds_a_pass"] = round(blas_seconds(arguments.products), 3)
    if len(found) > 1:
        one, other = found["memory"], found["streaming"]
        result["means_apart_in_sd"] = float(np.abs((other["mean"] - one["mean"]) / one["sd"]).max())
        result["sds_apart"] = float(np.abs(other["sd"] / one["sd"] - 1.0).max())
    for name, way in found.items():
        del way["mean"], way["sd"]
        way["seconds_a_pass"] = way["seconds"] / way["passes"]
        result[name] = {
            key: round(value, 3) if isinstance(value, float) else value for key, value in way.items()
        }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
