"""Products in zones: how often 90% intervals hold true elasticities, and what a fit costs.

python benchmarks/zones.py --shape 11x80x120 --sets 4
"""

import argparse
import resource
import time
from dataclasses import replace

import numpy as np

from elasticity_assets.fitting.threads import one_blas_thread
from elasticity_assets.inference import nuts_zones
from elasticity_assets.inference.natural_gradient.zones import engine
from elasticity_assets.inference.options import NaturalGradientOptions, NutsOptions
from elasticity_assets.inference.posterior import summarize
from elasticity_assets.inference.priors import DEFAULT, SlowDemand, Zones
from elasticity_assets.inference.simulate_zones import ZoneSimulation, simulate_zones
from elasticity_assets.inference.zoned_posterior import ZonedPosterior


def main() -> None:
    """Fit simulated sets, and print a line each and one for all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", default="11x80x120", help="products x zones x weeks")
    parser.add_argument("--sets", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1000)
    parser.add_argument("--present", type=float, default=1.0)
    parser.add_argument("--level", type=float, default=2.0)
    parser.add_argument("--no-shocks", action="store_true", help="fit without shocks common to zones")
    parser.add_argument("--max-passes", type=int, default=200)
    parser.add_argument("--grid", type=int)
    parser.add_argument("--nuts", type=int, help="draws")
    given = parser.parse_args()
    n, zones, weeks = (int(part) for part in given.shape.split("x"))
    simulation = ZoneSimulation(n, zones, weeks, given.present, level_mean=given.level)
    priors, zones_prior = replace(DEFAULT, slow_demand=SlowDemand()), Zones(shocks=not given.no_shocks)
    options = NaturalGradientOptions(max_passes=given.max_passes, grid_points=given.grid)
    held: dict[str, list[np.ndarray]] = {"product": [], "together": [], "row": [], "zone": [], "category": []}
    for k in range(given.sets):
        panel, truth = simulate_zones(simulation, given.seed + k)
        wall, cpu = time.perf_counter(), time.process_time()
        # As in a refit: BLAS' own threads spin where fits, or other work, run side by side.
        with one_blas_thread():
            found = engine.fit(panel, priors, zones_prior, "negative_binomial", options)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        products = found.products
        parts = {
            "product": (found.usual_mean, found.usual_var, truth.product),
            "together": (products.product_mean, products.product_var, truth.together(panel)),
            "row": (found.row_mean, found.row_var, truth.row),
            "zone": (found.zone_mean, found.zone_var, truth.zone),
            "category": (products.category_mean[:, None], products.category_var[:, None], truth.category),
        }
        line = []
        for name, (mean, var, true) in parts.items():
            summary = summarize(products.weight, mean, var)
            held[name].append(np.atleast_1d((summary.q05 <= true) & (true <= summary.q95)))
            error = np.sqrt(np.mean((summary.mean - true) ** 2))
            line.append(f"{name} {held[name][-1].mean():.2f} rmse {error:.3f} sd {summary.sd.mean():.3f}")
        print(
            f"set {k}: {'; '.join(line)}; {products.diagnostics.iterations} passes, {len(products.weight)} of tau, "
            f"{wall:.1f} s, cpu {cpu:.1f} s; tau {products.product_spread():.2f} tau_z {found.row_spread:.2f} "
            f"sigma_b {found.zone_spread:.2f} nu {found.shock_sd.mean():.2f} "
            f"sigma {products.slow_demand_sd.mean():.2f} phi {products.slow_demand_persistence:.2f} "
            f"eta {found.covariate_mean.mean():.2f} {products.diagnostics.warnings}",
            flush=True,
        )
        if given.nuts:
            drawn = NutsOptions(warmup=min(given.nuts, 1000), samples=given.nuts)
            against_nuts(found, nuts_zones.sample(panel, priors, zones_prior, "negative_binomial", drawn))
    whole = "; ".join(f"{name} {np.concatenate(parts).mean():.3f}" for name, parts in held.items())
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"all: {whole}; most memory {memory:.1f} GB")


def against_nuts(found: ZonedPosterior, draws: nuts_zones.ZonedDraws) -> None:
    """Print how far means and sds lie from those of draws."""
    weight = found.products.weight
    parts = {
        "product": (found.usual_mean, found.usual_var, draws.product),
        "row": (found.row_mean, found.row_var, draws.row),
        "zone": (found.zone_mean, found.zone_var, draws.zone),
        "category": (
            found.products.category_mean[:, None],
            found.products.category_var[:, None],
            draws.category[..., None],
        ),
    }
    for name, (mean, var, drawn) in parts.items():
        summary, flat = summarize(weight, mean, var), np.concatenate(drawn)
        off = (summary.mean - flat.mean(axis=0)) / flat.std(axis=0)
        ratio = summary.sd / flat.std(axis=0)
        print(
            f"  {name}: means off by {np.sqrt(np.mean(off**2)):.3f} sd (rms), sds' ratio {np.median(ratio):.3f} "
            f"({ratio.min():.3f} to {ratio.max():.3f})"
        )
    print(
        f"  R-hat {draws.r_hat():.3f}, effective draws {draws.effective_sample_size():.0f}, divergences "
        f"{draws.divergences}; means of tau {draws.tau.mean():.3f}, tau_z {draws.row_spread.mean():.3f}, sigma_b "
        f"{draws.zone_spread.mean():.3f}",
        flush=True,
    )


if __name__ == "__main__":
    main()
