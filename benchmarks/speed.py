"""How long a whole posterior takes, against the article's loop, regressions and the machine's limit.

    python benchmarks/speed.py --size small
    python benchmarks/speed.py --size small --likelihood negative_binomial
    python benchmarks/speed.py --steps-needed      # how many steps the article's loop needs (minutes)
    python benchmarks/speed.py --glmmtmb           # against R's glmmTMB, if installed
    python benchmarks/speed.py --gpboost [--likelihood negative_binomial]      # against GPBoost, if installed

Times are wall seconds on the devices that jax sees, medians of repeated runs where something is
compared; each ends in one JSON line.
"""

import argparse
import csv
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from article import ArticleLoop, flatten

from elasticity_assets.fitting.threads import cores, one_blas_thread, run_each
from elasticity_assets.inference import engines
from elasticity_assets.inference.hierarchy import message, pool, pooled
from elasticity_assets.inference.options import FitOptions
from elasticity_assets.inference.panel import Panel
from elasticity_assets.inference.posterior import CategoryPosterior, summarize
from elasticity_assets.inference.priors import ARTICLE, DEFAULT, Priors
from elasticity_assets.inference.simulate import Simulation, Truth, simulated_panels

SIZES = {"small": (10_000, 10), "medium": (100_000, 100), "large": (1_000_000, 1_000)}
WEEKS = 156


def simulated(size: str, likelihood: str) -> tuple[list[Panel], Truth]:
    """Sales of one of the article's sizes, a thousand products a category."""
    products, categories = SIZES[size]
    return simulated_panels(
        Simulation(products=products, categories=categories, weeks=WEEKS, likelihood=likelihood), seed=1
    )


def whole_posterior(
    panels: list[Panel], options: FitOptions, priors: Priors = DEFAULT
) -> list[CategoryPosterior]:
    """Fit every category and pool them, as a refit does."""
    with one_blas_thread():
        done = run_each(lambda panel: engines.fit(panel, priors, options), panels, cores())
        fits = [fit.result() for _, fit in done]
    hierarchy = pool([message(fit) for fit in fits], priors)
    return [pooled(fit, hierarchy) for fit in fits]


def seconds_of(work: Callable[[], object], repeats: int) -> float:
    """Median wall seconds."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def true_elasticities(product: np.ndarray, truth: Truth) -> np.ndarray:
    """Elasticities that these products were drawn with."""
    known = dict(zip(truth.product, truth.elasticity, strict=True))
    return np.array([known[code] for code in product])


def rmse(product: np.ndarray, mean: np.ndarray, truth: Truth) -> float:
    """Root mean square of what these products' elasticities are off by."""
    return float(np.sqrt(np.mean((mean - true_elasticities(product, truth)) ** 2)))


def coverage(fits: list[CategoryPosterior], truth: Truth) -> float:
    """Share of true elasticities inside their 90% intervals."""
    inside = []
    for fit in fits:
        summary = summarize(fit.weight, fit.product_mean, fit.product_var)
        true = true_elasticities(fit.product, truth)
        inside.append((summary.q05 <= true) & (true <= summary.q95))
    return float(np.concatenate(inside).mean())


def passes_of(panel: Panel, options: FitOptions) -> int:
    """Count the passes over a category's data in one fit, those of the tau grid included."""
    done = [0]
    engines.fit(panel, DEFAULT, options, on_progress=lambda passes, _: done.append(passes))
    return done[-1]


def blas_seconds(panels: list[Panel], passes: list[int]) -> float:
    """Seconds that the Schur products U'U alone would take: 2 rows a product, one product a pass."""
    total = 0.0
    timed: dict[tuple[int, int], float] = {}
    for panel, count in zip(panels, passes, strict=True):
        shape = (2 * panel.n_products, 2 + len(panel.control) + panel.n_periods)
        if shape not in timed:
            U = np.random.default_rng(0).normal(size=shape).astype(np.float32)
            timed[shape] = seconds_of(lambda U=U: U.T @ U, 101)
        total += count * timed[shape]
    return total


def cold_seconds(size: str, likelihood: str) -> float:
    """Time of the first fit in a new process whose compilation cache an earlier process filled."""
    with tempfile.TemporaryDirectory() as cache:
        environment = {
            **os.environ,
            "JAX_COMPILATION_CACHE_DIR": cache,
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        }
        command = [sys.executable, __file__, "--size", size, "--likelihood", likelihood, "--once"]
        for _ in range(2):
            run = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return json.loads(run.stdout.splitlines()[-1])["fit_seconds"]


def fixed_effects_seconds(panels: list[Panel]) -> float | None:
    """Time pyfixest takes for one common slope, product and category-by-week effects absorbed."""
    try:
        import pandas as pd
        import pyfixest
    except ImportError:
        return None
    flat = flatten(panels)
    table = pd.DataFrame(
        {
            "units": flat.units.astype(float),
            "log_price": flat.log_price.astype(float),
            "product": flat.product,
            "category_period": flat.category_period,
        }
    )
    formula = "units ~ log_price | product + category_period"
    pyfixest.fepois(formula, table, vcov="iid")  # compiles
    return seconds_of(lambda: pyfixest.fepois(formula, table, vcov="iid"), 3)


def speed(size: str, likelihood: str, repeats: int) -> dict:
    """Measure one size."""
    options = FitOptions(likelihood=likelihood)
    panels, truth = simulated(size, likelihood)
    fits = whole_posterior(panels, options)  # compiles
    warm = seconds_of(lambda: whole_posterior(panels, options), repeats)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    passes = [passes_of(panel, options) for panel in panels]
    blas = blas_seconds(panels, passes)
    regression = fixed_effects_seconds(panels) if size == "small" else None
    article_panels = panels
    if size != "small":  # its memory, not its idea, is what grows
        article_panels = panels[: SIZES["small"][1]]
    loop = ArticleLoop(flatten(article_panels))
    steps = 60
    loop.run(steps)  # compiles
    rate = steps / statistics.median(loop.run(steps) for _ in range(3)) * len(article_panels) / len(panels)
    return {
        "size": size,
        "likelihood": likelihood,
        "article_steps_per_second": round(rate, 3),
        "article_seconds_for_1m_steps": round(1e6 / rate),
        "fit_seconds_cold": round(cold_seconds(size, likelihood), 3),
        "fit_seconds_warm": round(warm, 4),
        "speedup": round(1e6 / rate / warm),
        "passes": statistics.median(passes),
        "not_converged": sum(not fit.diagnostics.converged for fit in fits),
        "blas_limit_seconds": round(blas, 4),
        "fixed_effects_regression_seconds": None if regression is None else round(regression, 3),
        "coverage_90": round(coverage(fits, truth), 4),
        "peak_rss_mb": round(peak),
        "device": fits[0].diagnostics.device,
    }


def once(size: str, likelihood: str) -> dict:
    """Time the first fit of a process."""
    panels, _ = simulated(size, likelihood)
    start = time.perf_counter()
    whole_posterior(panels, FitOptions(likelihood=likelihood))
    return {"fit_seconds": time.perf_counter() - start}


def steps_needed(most: int) -> dict:
    """Count the steps after which the article's means stay within 0.1 posterior sd (rms); a small panel."""
    panels, _ = simulated_panels(
        Simulation(products=200, categories=2, weeks=WEEKS, likelihood="poisson"), seed=1
    )
    reference = whole_posterior(panels, FitOptions(likelihood="poisson"), ARTICLE)
    summaries = [summarize(fit.weight, fit.product_mean, fit.product_var) for fit in reference]
    mean = np.concatenate([s.mean for s in summaries])
    sd = np.concatenate([s.sd for s in summaries])
    loop, needed, distance = ArticleLoop(flatten(panels)), None, np.inf
    spent = 0.0
    while loop.steps_done < most:
        spent += loop.run(5_000)
        distance = float(np.sqrt(np.mean(((loop.elasticity()[0] - mean) / sd) ** 2)))
        if distance > 0.1:
            needed = None
        elif needed is None:
            needed = loop.steps_done
        elif loop.steps_done >= needed + 25_000:
            break
    sd_ratio = float(np.median(loop.elasticity()[1] / sd))
    return {
        "steps_needed_for_means_within_0.1_sd": needed,
        "steps_run": loop.steps_done,
        "rms_distance_in_sd": round(distance, 4),
        "article_sd_over_posterior_sd": round(sd_ratio, 4),
        "seconds": round(spent, 1),
    }


def one_category(likelihood: str) -> tuple[list[Panel], Truth]:
    """Sales of one category, 1,000 products x 156 weeks."""
    return simulated_panels(
        Simulation(products=1_000, categories=1, weeks=WEEKS, likelihood=likelihood), seed=1
    )


def gpboost(likelihood: str, repeats: int) -> dict:
    """Compare with the same random slopes, levels and week effects in GPBoost, by Laplace's approximation.

    Its elasticities and their variances are those at its scales, its dispersion one for all products.
    """
    panels, truth = one_category(likelihood)
    options = FitOptions(likelihood=likelihood)
    fits = whole_posterior(panels, options)
    ours = seconds_of(lambda: whole_posterior(panels, options), repeats)
    summary = summarize(fits[0].weight, fits[0].product_mean, fits[0].product_var)
    result = {
        "likelihood": likelihood,
        "fit_seconds_warm": round(ours, 4),
        "tau": round(fits[0].product_spread(), 4),
        "rmse": round(rmse(fits[0].product, summary.mean, truth), 4),
        "coverage_90": round(coverage(fits, truth), 4),
    }
    try:
        import gpboost as rival
    except ImportError:
        return {**result, "skipped": "gpboost is not installed (pip install gpboost)"}
    panel = panels[0]
    row, column = np.nonzero(panel.observed)
    log_price = panel.centred_log_price()[row, column].astype(np.float64)
    units = panel.units[row, column].astype(np.float64)

    def fit() -> rival.GPModel:
        model = rival.GPModel(
            group_data=np.column_stack([row, column]),
            group_rand_coef_data=log_price[:, None],
            ind_effect_group_rand_coef=[1],
            likelihood=likelihood,
        )
        model.fit(y=units, X=np.column_stack([np.ones(len(row)), log_price]))
        return model

    start = time.perf_counter()
    model = fit()
    theirs = time.perf_counter() - start
    effects = model.predict_training_data_random_effects(predict_var=True)
    of_product = np.unique(row, return_index=True)[1]
    slope = effects["Group_1_rand_coef_nb_1"].to_numpy()[of_product]
    sd = np.sqrt(effects["Group_1_rand_coef_nb_1_var"].to_numpy()[of_product])
    mean = model.get_coef().to_numpy()[0, 1] + slope
    scales = model.get_cov_pars().to_numpy()[0]
    true = true_elasticities(panel.product, truth)
    return {
        **result,
        "gpboost_seconds": round(theirs, 2),
        "gpboost_tau": round(float(np.sqrt(scales[2])), 4),
        "gpboost_rmse": round(rmse(panel.product, mean, truth), 4),
        "gpboost_coverage_90": round(float((np.abs(mean - true) <= 1.645 * sd).mean()), 4),
        "speedup": round(theirs / ours),
    }


def glmmtmb(repeats: int) -> dict:
    """Compare with the same model in glmmTMB: 1,000 products x 156 weeks, Poisson, scales learned."""
    panels, _ = one_category("poisson")
    options = FitOptions(likelihood="poisson")
    fits = whole_posterior(panels, options)
    ours = seconds_of(lambda: whole_posterior(panels, options), repeats)
    result = {"fit_seconds_warm": round(ours, 4), "tau": round(fits[0].product_spread(), 4)}
    if not shutil.which("Rscript"):
        return {**result, "skipped": "Rscript is not installed (Debian: r-cran-glmmtmb)"}
    panel = panels[0]
    x = panel.centred_log_price()
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "sales.csv"
        with table.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["product", "week", "lp", "units"])
            for i, t in np.argwhere(panel.observed):
                writer.writerow([i, t, x[i, t], int(panel.units[i, t])])
        script = Path(__file__).with_name("mixed_model.R")
        run = subprocess.run(["Rscript", script, table], check=True, capture_output=True, text=True)
    theirs = json.loads(run.stdout.splitlines()[-1])
    spreads = {
        "level_spread": round(fits[0].level_spread, 4),
        "period_spread": round(fits[0].period_spread, 4),
    }
    return {**result, **spreads, **theirs, "speedup": round(theirs["glmmtmb_seconds"] / ours)}


def main() -> None:
    """Parse the command line and print one JSON line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", choices=SIZES, default="small")
    parser.add_argument("--likelihood", choices=["poisson", "negative_binomial"], default="poisson")
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--once", action="store_true", help="time the first fit of this process only")
    parser.add_argument("--steps-needed", action="store_true")
    parser.add_argument("--most-steps", type=int, default=1_000_000)
    parser.add_argument("--glmmtmb", action="store_true")
    parser.add_argument("--gpboost", action="store_true")
    arguments = parser.parse_args()
    if arguments.once:
        result = once(arguments.size, arguments.likelihood)
    elif arguments.steps_needed:
        result = steps_needed(arguments.most_steps)
    elif arguments.glmmtmb:
        result = glmmtmb(arguments.repeats)
    elif arguments.gpboost:
        result = gpboost(arguments.likelihood, arguments.repeats)
    else:
        result = speed(arguments.size, arguments.likelihood, arguments.repeats)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
