"""How close posteriors are to NUTS, whether their intervals hold the truth, and whether pooling is exact.

    python benchmarks/accuracy.py --part nuts           # against long NUTS runs (--draws keeps them)
    python benchmarks/accuracy.py --part calibration    # simulation-based calibration, 500 data sets
    python benchmarks/accuracy.py --part nuts --all-terms --ess 2000        # with slow demand, season, lags,
    python benchmarks/accuracy.py --part calibration --all-terms            # substitutes: what is fitted by default
    python benchmarks/accuracy.py --part pooling        # partitions and pooling against joint fits

Each ends in one JSON line. Calibration: Talts et al. (2018), "Validating Bayesian inference algorithms
with simulation-based calibration".
"""

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from numpyro.diagnostics import effective_sample_size
from numpyro.handlers import reparam
from numpyro.infer import MCMC, NUTS, init_to_median
from numpyro.infer.reparam import LocScaleReparam
from scipy.interpolate import CubicSpline
from scipy.special import expit
from scipy.stats import kstest, norm
from truth import ALL_TERMS, LAGS, sold

from elasticity_assets.fitting.packing import pack, unpack
from elasticity_assets.inference import natural_gradient, nuts
from elasticity_assets.inference.category_price_index import with_category_price_index
from elasticity_assets.inference.density.model import Model, stack_panels
from elasticity_assets.inference.departures import DEPARTURES, autoregression
from elasticity_assets.inference.hierarchy import message, pool, pooled
from elasticity_assets.inference.judging.dense import joint_poisson_fit
from elasticity_assets.inference.options import NaturalGradientOptions, NutsOptions
from elasticity_assets.inference.panel import CategorySales, Panel, panel_from_sales
from elasticity_assets.inference.posterior import CategoryPosterior, summarize
from elasticity_assets.inference.price_lags import bearable_lags, with_price_lags
from elasticity_assets.inference.priors import DEFAULT, Fixed, HalfNormal, Priors, Season, SlowDemand
from elasticity_assets.inference.season import sine_and_cosine, with_price_season
from elasticity_assets.inference.simulate import Simulation, simulated_panels, simulated_prices

ROOT = Path(__file__).parents[1]
SAMPLE = ROOT / "data/sample/complete_journey_8_categories.csv"
SAMPLER = NutsOptions(warmup=1000, chains=4, target_accept=0.9)
REAL = ("BAG SNACKS", "COLD CEREAL", "SOFT DRINKS", "YOGURT")


def sample_panels(controls: tuple[str, ...]) -> dict[str, Panel]:
    """Read the sample's categories as panels."""
    sales = pd.read_csv(SAMPLE)
    panels = {}
    for category, rows in sales.groupby("category"):
        panels[str(category)] = panel_from_sales(
            CategorySales(
                str(category),
                rows["product"].to_numpy().astype(str),
                rows["week"].to_numpy("datetime64[D]"),
                rows["units"].to_numpy(),
                rows["price"].to_numpy(),
                {name: rows[name].to_numpy() for name in controls},
            )
        )
    return panels


# --- against NUTS -----------------------------------------------------------------------------------


def comparisons() -> Iterator[tuple[str, Panel, str]]:
    """Yield the data sets to compare on: name, panel, likelihood."""
    for controls in ((), ("display", "mailer")):
        panels = sample_panels(controls)
        for likelihood in ("negative_binomial", "poisson"):
            for name in REAL:
                with_controls = " with controls" if controls else ""
                yield f"{name}{with_controls}, {likelihood}", panels[name], likelihood
    simulations = {
        "simulated 15 slow movers": Simulation(products=15, weeks=104, categories=1, level_mean=0.0),
        "simulated 40 with a control": Simulation(
            products=40, weeks=78, categories=1, control_effects=(0.5,), observed=0.85
        ),
        "simulated 100": Simulation(
            products=100, weeks=52, categories=1, likelihood="poisson", level_mean=1.5, product_spread=0.8
        ),
    }
    for seed, (name, simulation) in enumerate(simulations.items()):
        ((panel,), _) = simulated_panels(simulation, seed)
        yield f"{name}, {simulation.likelihood}", panel, simulation.likelihood


DEPARTED = {"slow_demand": (20, 60), "season_promoted": (15, 80), "substitutes_one": (16, 60)}
"""Simulated markets to compare all terms on, and their numbers of products and of weeks."""


def comparisons_of_all_terms() -> Iterator[tuple[str, Panel, str]]:
    """Yield the data sets to compare on with every term of the model: name, panel, likelihood."""
    for number, (departure, (products, weeks)) in enumerate(DEPARTED.items()):
        market = DEPARTURES[departure](np.random.default_rng(number), products, weeks)
        yield f"simulated {departure}, {products} products", sold(market), "negative_binomial"
    panels = sample_panels(("display", "mailer"))
    for name in REAL:
        lags = bearable_lags(LAGS, panels[name].n_periods)
        panel = with_price_lags(with_category_price_index(panels[name], lags), lags)
        yield name, panel, "negative_binomial"


def reference(
    panel: Panel, priors: Priors, likelihood: str, smallest_ess: int, folder: Path | None
) -> nuts.Draws:
    """Draw, or read the draws that an earlier run kept in `folder` for the same data and choices."""
    if folder is None:
        return long_run(panel, priors, likelihood, smallest_ess)
    digest = hashlib.sha256(f"{likelihood} {smallest_ess} {priors} {SAMPLER}".encode())
    for name, array in sorted(pack(panel).items()):
        digest.update(name.encode() + array.tobytes())
    file = folder / f"{digest.hexdigest()[:16]}.npz"
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = file.with_suffix(".unfinished.npz")
        np.savez_compressed(unfinished, **pack(long_run(panel, priors, likelihood, smallest_ess)))
        unfinished.replace(file)
    with np.load(file, allow_pickle=False) as arrays:
        return unpack(nuts.Draws, arrays)


def long_run(panel: Panel, priors: Priors, likelihood: str, smallest_ess: int) -> nuts.Draws:
    """Draw until every elasticity has the effective sample size asked for."""
    samples = smallest_ess // 2
    while True:
        options = replace(SAMPLER, samples=samples)
        draws = nuts.sample(panel, priors, likelihood, options)
        ess = draws.effective_sample_size()[: panel.n_products].min()
        if ess >= smallest_ess:
            return draws
        print(f"  smallest effective sample size {ess:.0f}: longer", file=sys.stderr)
        samples = int(samples * min(4.0, 1.2 * smallest_ess / ess))


def against_draws(fit: CategoryPosterior, elasticity: np.ndarray, ess: np.ndarray) -> dict:
    """Differences of a posterior from draws, shape (draws, n), in the draws' sds."""
    ours = summarize(fit.weight, fit.product_mean, fit.product_var)
    mean, sd = elasticity.mean(axis=0), elasticity.std(axis=0, ddof=1)
    ratio = ours.sd / sd
    quantiles = {}
    for name, q in (("q05", 0.05), ("q95", 0.95)):
        difference = (getattr(ours, name) - np.quantile(elasticity, q, axis=0)) / sd
        # A 5% quantile of `ess` independent normal draws has variance 4.5 / ess.
        quantiles[name] = float(np.sqrt(max(np.mean(difference**2 - 4.5 / ess), 0.0)))
    return {
        "mean_rms": round(float(np.sqrt(np.mean(((ours.mean - mean) / sd) ** 2))), 4),
        "sd_ratio_median": round(float(np.median(ratio)), 4),
        "sd_ratio_min": round(float(ratio.min()), 4),
        "sd_ratio_max": round(float(ratio.max()), 4),
        "q05_rms": round(quantiles["q05"], 4),
        "q95_rms": round(quantiles["q95"], 4),
    }


def part_nuts(
    smallest_ess: int, folder: Path | None, *, all_terms: bool = False, only: str | None = None
) -> dict:
    """Compare the natural-gradient engine with NUTS on every data set, or on those whose names hold `only`."""
    results = {}
    priors = ALL_TERMS if all_terms else DEFAULT
    for name, panel, likelihood in comparisons_of_all_terms() if all_terms else comparisons():
        if only is not None and only not in name:
            continue
        draws = reference(panel, priors, likelihood, smallest_ess, folder)
        ess = draws.effective_sample_size()[: panel.n_products]
        fit = natural_gradient.fit(panel, priors, likelihood, NaturalGradientOptions())
        flat = draws.elasticity.reshape(-1, panel.n_products).astype(np.float64)
        results[name] = {
            **against_draws(fit, flat, ess),
            "converged": fit.diagnostics.converged,
            "smallest_ess": round(float(ess.min())),
            "largest_r_hat": round(float(draws.r_hat().max()), 4),
            "divergences": draws.divergences,
        }
        print(name, json.dumps(results[name]), file=sys.stderr, flush=True)
    return {
        "data_sets": len(results),
        "mean_rms_max": max(r["mean_rms"] for r in results.values()),
        "sd_ratio_median_range": [
            min(r["sd_ratio_median"] for r in results.values()),
            max(r["sd_ratio_median"] for r in results.values()),
        ],
        "sd_ratio_range": [
            min(r["sd_ratio_min"] for r in results.values()),
            max(r["sd_ratio_max"] for r in results.values()),
        ],
        "quantile_rms_max": max(max(r["q05_rms"], r["q95_rms"]) for r in results.values()),
        "smallest_ess": min(r["smallest_ess"] for r in results.values()),
        "by_data_set": results,
    }


# --- simulation-based calibration -------------------------------------------------------------------

CALIBRATION = Priors(level_mean=2.0, level_sd=1.5, level_spread=HalfNormal(1.0))
CALIBRATION_OF_ALL_TERMS = replace(
    CALIBRATION, slow_demand=SlowDemand(log_sd_sd=0.5, log_sd_spread=HalfNormal(0.3)), season=Season()
)
"""Tighter than the default where that would now and then draw millions of units."""


@dataclass(frozen=True)
class Drawn:
    """One data set drawn from the priors, and what it was drawn from."""

    panel: Panel
    elasticity: np.ndarray
    category_elasticity: float
    tau: float


def draw_from_priors(rng: np.random.Generator, priors: Priors, products: int, weeks: int) -> Drawn:
    """Draw every parameter from its prior and then sales, prices given.

    Where the priors have slow demand, there are the category's price index and lags, too; substitutes' prices are one
    more control, and left out, as their weights depend on what is sold.
    """

    def half_normal(prior: HalfNormal | Fixed) -> float:
        return prior.value if isinstance(prior, Fixed) else abs(rng.normal(0.0, prior.scale))

    beta_c = rng.normal(rng.normal(priors.global_mean, priors.global_sd), half_normal(priors.category_spread))
    tau = half_normal(priors.product_spread)
    beta = rng.normal(beta_c, tau, products)
    delta = rng.normal(
        rng.normal(priors.level_mean, priors.level_sd), half_normal(priors.level_spread), products
    )
    gamma = rng.normal(0.0, half_normal(priors.period_spread), weeks)
    mu_r = rng.normal(priors.log_dispersion_mean, priors.log_dispersion_sd)
    r = np.exp(rng.normal(mu_r, half_normal(priors.log_dispersion_spread), products))
    price, _ = simulated_prices(rng, products, weeks)
    product, week = np.divmod(np.arange(products * weeks), weeks)
    panel = panel_from_sales(
        CategorySales(
            "drawn",
            np.char.zfill(product.astype(str), 3),
            np.datetime64("2024-01-01") + 7 * week,
            np.ones(products * weeks),
            price.ravel(),
        )
    )
    if priors.slow_demand is not None:
        panel = with_price_lags(with_category_price_index(panel, LAGS), LAGS)
        panel = with_price_season(panel, Season.least_days)
    x, z = (part[:products, :weeks].astype(float) for part in (panel.centred_log_price(), panel.controls))
    eta = delta[:, None] + beta[:, None] * x + gamma
    eta = eta + z @ rng.normal(0.0, priors.control_sd, z.shape[2])
    if priors.slow_demand is not None:
        slow = priors.slow_demand
        centre, spread = rng.normal(slow.log_sd_mean, slow.log_sd_sd), half_normal(slow.log_sd_spread)
        sd = np.exp(rng.normal(centre, spread, (products, 1)))
        persistence = expit(rng.normal(slow.logit_persistence_mean, slow.logit_persistence_sd))
        eta = eta + sd * autoregression(rng, eta.shape, persistence)
    if priors.season is not None:
        wave = rng.normal(0.0, half_normal(priors.season.spread), (products, 2))
        eta = eta + wave @ sine_and_cosine(panel.period)
    units = np.zeros_like(panel.units)
    units[:products, :weeks] = rng.poisson(rng.gamma(r[:, None], np.exp(eta) / r[:, None]))
    return Drawn(replace(panel, units=units), beta, beta_c, tau)


def tau_rank(fit: CategoryPosterior, tau: float) -> float:
    """Posterior P(tau' < tau), the grid's density interpolated in log tau."""
    grid = np.log(fit.tau)
    fine = np.linspace(grid[0] - 0.5 * np.ptp(grid[:2]), grid[-1] + 0.5 * np.ptp(grid[-2:]), 2001)
    log_density = CubicSpline(grid, np.log(np.maximum(fit.weight, 1e-30) / np.gradient(grid)))(fine)
    density = np.exp(log_density - log_density.max())
    cumulative = np.concatenate([[0.0], np.cumsum(0.5 * (density[1:] + density[:-1]))])
    return float(np.interp(np.log(tau), fine, cumulative / cumulative[-1]))


def mixture_rank(weight: np.ndarray, mean: np.ndarray, var: np.ndarray, value: float) -> float:
    """Posterior P(parameter < value) under a mixture of Gaussians."""
    return float(weight @ norm.cdf((value - mean) / np.sqrt(var)))


def part_calibration(data_sets: int, *, all_terms: bool = False, first_seed: int = 2018) -> dict:
    """Fit data sets drawn from the priors and look where the truth falls."""
    priors = CALIBRATION_OF_ALL_TERMS if all_terms else CALIBRATION
    covered, ranks, failed = [], {"product": [], "category": [], "tau": []}, 0
    start = time.perf_counter()
    for seed in range(data_sets):
        rng = np.random.default_rng([first_seed, seed])
        drawn = draw_from_priors(rng, priors, int(rng.integers(20, 51)), 104)
        alone = natural_gradient.fit(drawn.panel, priors, "negative_binomial", NaturalGradientOptions())
        fit = pooled(alone, pool([message(alone)], priors))
        failed += not alone.diagnostics.converged
        summary = summarize(fit.weight, fit.product_mean, fit.product_var)
        covered.append(np.mean((summary.q05 <= drawn.elasticity) & (drawn.elasticity <= summary.q95)))
        i = rng.integers(drawn.panel.n_products)
        ranks["product"].append(
            mixture_rank(fit.weight, fit.product_mean[:, i], fit.product_var[:, i], drawn.elasticity[i])
        )
        ranks["category"].append(
            mixture_rank(fit.weight, fit.category_mean, fit.category_var, drawn.category_elasticity)
        )
        ranks["tau"].append(tau_rank(fit, drawn.tau))
        if (seed + 1) % 50 == 0:
            print(f"{seed + 1} data sets, coverage {np.mean(covered):.4f}", file=sys.stderr, flush=True)
    return {
        "data_sets": data_sets,
        "coverage_90": round(float(np.mean(covered)), 4),
        "coverage_standard_error": round(float(np.std(covered) / np.sqrt(data_sets)), 4),
        **{
            f"{name}_rank_p": round(float(kstest(values, "uniform").pvalue), 4)
            for name, values in ranks.items()
        },
        "not_converged": failed,
        "seconds": round(time.perf_counter() - start, 1),
    }


# --- pooling ----------------------------------------------------------------------------------------


def fit_and_pool(panels: list[Panel], priors: Priors, likelihood: str) -> list[CategoryPosterior]:
    """Fit each category alone, then pool."""
    alone = [natural_gradient.fit(panel, priors, likelihood, NaturalGradientOptions()) for panel in panels]
    hierarchy = pool([message(fit) for fit in alone], priors)
    return [pooled(fit, hierarchy) for fit in alone]


def joint_draws(panels: list[Panel], likelihood: str, smallest_ess: int) -> tuple[np.ndarray, np.ndarray]:
    """NUTS on the joint model of all categories: draws (draws, products) and effective sample sizes."""
    sales = stack_panels(panels, centred_price=True)
    model = Model(DEFAULT, likelihood, joint=True)
    effects = ("beta", "gamma", "log_r") if likelihood == "negative_binomial" else ("beta", "gamma")
    noncentred = reparam(model, config={name: LocScaleReparam(0.0) for name in effects})
    sampler = MCMC(
        NUTS(noncentred, init_strategy=init_to_median(), target_accept_prob=0.85),
        num_warmup=1000,
        num_samples=smallest_ess // 2,
        num_chains=2,
        chain_method="vectorized",
        progress_bar=False,
    )
    sampler.run(jax.random.key(0), jax.tree.map(jnp.asarray, sales))
    beta = np.asarray(sampler.get_samples(group_by_chain=True)["beta"], np.float64)
    rows = np.flatnonzero(sales.member.sum(axis=1))
    return beta[..., rows].reshape(-1, len(rows)), effective_sample_size(beta[..., rows])


def part_pooling(smallest_ess: int) -> dict:
    """Compare partitions and pooling with one joint fit (fixed scales) and with joint NUTS (learned)."""
    panels = list(sample_panels(()).values())
    fixed = Priors(
        category_spread=Fixed(0.6),
        product_spread=Fixed(0.7),
        level_spread=Fixed(0.8),
        period_spread=Fixed(0.2),
    )
    together = fit_and_pool(panels, fixed, "poisson")
    joint = joint_poisson_fit(panels, fixed)
    mean = np.concatenate([fit.product_mean[0] for fit in together])
    sd = np.sqrt(np.concatenate([fit.product_var[0] for fit in together]))
    result = {
        "joint_fit_mean_max_difference_in_sd": round(
            float((np.abs(mean - joint.product_mean) / np.sqrt(joint.product_var)).max()), 5
        ),
        "joint_fit_sd_ratio_range": [
            round(float(f(sd / np.sqrt(joint.product_var))), 5) for f in (np.min, np.max)
        ],
    }
    start = time.perf_counter()
    draws, ess = joint_draws(panels, "negative_binomial", smallest_ess)
    result["joint_nuts_seconds"] = round(time.perf_counter() - start, 1)
    result["joint_nuts_smallest_ess"] = round(float(ess.min()))
    summaries = [
        summarize(fit.weight, fit.product_mean, fit.product_var)
        for fit in fit_and_pool(panels, DEFAULT, "negative_binomial")
    ]
    ratio = np.concatenate([s.sd for s in summaries]) / draws.std(axis=0)
    difference = (np.concatenate([s.mean for s in summaries]) - draws.mean(axis=0)) / draws.std(axis=0)
    return {
        **result,
        "joint_nuts_mean_rms": round(float(np.sqrt(np.mean(difference**2))), 4),
        "joint_nuts_mean_max": round(float(np.abs(difference).max()), 4),
        "joint_nuts_sd_ratio_median": round(float(np.median(ratio)), 4),
        "joint_nuts_sd_ratio_range": [round(float(f(ratio)), 4) for f in (np.min, np.max)],
    }


def main() -> None:
    """Parse the command line and print one JSON line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--part", choices=["nuts", "calibration", "pooling"], required=True)
    parser.add_argument("--data-sets", type=int, default=500, help="of the calibration")
    parser.add_argument("--seed", type=int, default=2018, help="of the calibration")
    parser.add_argument("--ess", type=int, default=4000, help="smallest effective sample size of NUTS")
    parser.add_argument("--draws", type=Path, help="folder that keeps NUTS's draws between runs")
    parser.add_argument(
        "--all-terms", action="store_true", help="slow demand, season, lags, substitutes, too"
    )
    parser.add_argument("--only", help="of NUTS: data sets whose names hold this")
    arguments = parser.parse_args()
    if arguments.part == "nuts":
        result = part_nuts(arguments.ess, arguments.draws, all_terms=arguments.all_terms, only=arguments.only)
    elif arguments.part == "calibration":
        result = part_calibration(
            arguments.data_sets, all_terms=arguments.all_terms, first_seed=arguments.seed
        )
    else:
        result = part_pooling(arguments.ess)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
