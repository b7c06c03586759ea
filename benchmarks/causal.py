"""Do prices that follow demand show: twin markets, with the same demand, whose prices follow it and do not.

    python benchmarks/causal.py --sets 5 [--seed 100] [--show placebo sensitivity instrument randomized]

Simulated categories of 40 products and 104 weeks, through the pipeline's own path from sales to posterior.
`placebo`: share of markets whose prices are found to follow demand, of twins and of other departures. `sensitivity`:
bias that a confounder as strong as the true one has by `bias_per_confounding`, and the one measured. `instrument`: bias
and coverage of the plain and the instrumented elasticities, with strong and weak costs. `randomized`: the same where
prices are drawn at random in a tenth of the weeks, and how often the gap is beyond chance. CPU seconds of the tests
over those of the fit are of each.
"""

import argparse
import time
from dataclasses import replace

import numpy as np
import pandas as pd
from truth import OPTIONS, PRODUCTS, WEEKS, sold

from elasticity_assets.inference import engines
from elasticity_assets.inference.departures import DEPARTURES, Market
from elasticity_assets.inference.instrument import first_stage, with_price_residual
from elasticity_assets.inference.judging.confounding import look_for_confounding
from elasticity_assets.inference.judging.limits import follow_demand, gap_beyond_chance
from elasticity_assets.inference.judging.working_model import WorkingModel
from elasticity_assets.inference.panel import Panel
from elasticity_assets.inference.posterior import CategoryPosterior
from elasticity_assets.inference.priors import DEFAULT, Season, SlowDemand
from elasticity_assets.inference.randomized_prices import with_price_not_random
from elasticity_assets.inference.summaries import bias_per_confounding, product_summary
from elasticity_assets.inference.twins import Confounding, Twin, twins

PRIORS = replace(DEFAULT, slow_demand=SlowDemand(), season=Season())
INNOCENT = ("base", "slow_demand", "season_unrelated", "season_promoted", "stockpiling", "substitutes_one")


def fitted(
    market: Market, log_cost: np.ndarray | None = None, randomized: np.ndarray | None = None
) -> tuple[Panel, CategoryPosterior, float]:
    """Fit one market; CPU seconds come last."""
    panel = sold(market)
    if randomized is not None:
        marked = np.zeros(panel.units.shape, np.bool_)
        marked[: panel.n_products, : panel.n_periods] = randomized
        panel = replace(panel, randomized=marked)
    if log_cost is not None:
        padded = np.full(panel.units.shape, np.nan, np.float32)
        padded[: panel.n_products, : panel.n_periods] = log_cost
        panel = replace(panel, log_cost=padded)
    began = time.process_time()
    posterior = engines.fit(panel, PRIORS, OPTIONS)
    return panel, posterior, time.process_time() - began


def tested(panel: Panel, posterior: CategoryPosterior) -> tuple[float, bool, float]:
    """Z of the leads, whether prices are found to follow demand, and CPU seconds."""
    began = time.process_time()
    found = look_for_confounding(panel, posterior, PRIORS)
    return found.lead_z, found.prices_follow_demand, time.process_time() - began


def placebo(seeds: range) -> None:
    """Show how often prices are found to follow demand."""
    kinds = {f"twins, correlation {c}": c for c in (0.6, 0.3, -0.3, 0.0)} | dict.fromkeys(INNOCENT)
    for name, correlation in kinds.items():
        rows = []
        for seed in seeds:
            if correlation is None:
                market = DEPARTURES[name](np.random.default_rng(seed), PRODUCTS, WEEKS)
            else:
                how = Confounding(correlation=correlation, cost_share=0.0, randomized=0.0)
                market = twins(seed, PRODUCTS, WEEKS, how)[0].market
            panel, posterior, seconds = fitted(market)
            rows.append([*tested(panel, posterior), seconds])
        z, follows, own, fit = np.array(rows, float).T
        print(
            f"{name:<24} found {follows.mean():4.0%}  z {z.mean():5.1f} ({z.min():.1f} to {z.max():.1f})"
            f"  cost {np.median(own / fit):.0%}",
            flush=True,
        )


def sensitivity(seeds: range) -> None:
    """Show predicted and measured bias."""
    for correlation in (-0.3, 0.3, 0.6):
        how = Confounding(correlation=correlation, cost_share=0.0, randomized=0.0)
        rows = []
        for seed in seeds:
            one, other = twins(seed, PRODUCTS, WEEKS, how)
            panel, posterior, _ = fitted(one.market)
            _, without, _ = fitted(other.market)
            measured = np.mean(product_summary(posterior).mean - product_summary(without).mean)
            rows.append((predicted_bias(panel, posterior, one, correlation), measured))
        predicted, measured = np.mean(rows, axis=0)
        print(
            f"correlation {correlation:4}: predicted {predicted:5.2f}, measured {measured:5.2f}, ratio "
            f"{predicted / measured:.2f}",
            flush=True,
        )


def predicted_bias(panel: Panel, posterior: CategoryPosterior, twin: Twin, correlation: float) -> float:
    """Bias by `bias_per_confounding` and the true confounder's strength, were it observed."""
    shock = twin.shock - twin.shock.mean(axis=1, keepdims=True)
    model = WorkingModel.of(panel, posterior, PRIORS, [shock])
    of_sales, of_prices = model.strength(0)
    product, _ = bias_per_confounding(posterior, panel.observed[: panel.n_products].sum(axis=1))
    return float(np.sign(correlation) * np.sqrt(of_sales * of_prices / (1.0 - of_prices)) * product.mean())


def instrument(seeds: range) -> None:
    """Show bias and coverage, plain and instrumented."""
    for name, cost_share, correlation in (
        ("strong costs", 0.6, 0.6),
        ("weak costs", 0.05, 0.6),
        ("strong costs, prices that do not follow demand", 0.6, 0.0),
    ):
        rows = []
        for seed in seeds:
            how = Confounding(correlation=correlation, cost_share=cost_share, randomized=0.0)
            twin = twins(seed, PRODUCTS, WEEKS, how)[0]
            panel, posterior, seconds = fitted(twin.market, twin.log_cost)
            _, follows, own = tested(panel, posterior)
            first, used = first_stage(panel), posterior
            if first is not None and not first.doubt:
                used = engines.fit(with_price_residual(panel), PRIORS, OPTIONS)
            row = [0.0 if first is None else first.strength, used is not posterior, follows, own / seconds]
            for fit in (posterior, used):
                said, truth = product_summary(fit), twin.market.elasticity
                row += [np.mean(said.mean - truth), np.mean((said.q05 < truth) & (truth < said.q95))]
            rows.append(row)
        columns = ("F", "used", "found", "cost", "bias", "covered", "bias with", "covered with")
        print(name, pd.DataFrame(rows, columns=columns).astype(float).mean().round(2).to_dict(), flush=True)


def randomized(seeds: range) -> None:
    """Show bias and coverage, plain and resting on prices drawn at random, and how often the gap is beyond chance."""
    for correlation, width in ((0.6, 1.0), (0.3, 1.0), (0.0, 1.0), (0.3, 2.0)):
        rows = []
        for seed in seeds:
            how = Confounding(correlation=correlation, width=width)
            twin = twins(seed, PRODUCTS, WEEKS, how)[0]
            panel, posterior, seconds = fitted(twin.market, randomized=twin.randomized)
            began = time.process_time()
            found = look_for_confounding(panel, posterior, PRIORS)
            own = time.process_time() - began
            used = engines.fit(with_price_not_random(panel), PRIORS, OPTIONS)
            truth = twin.market.elasticity
            gap = abs(found.randomized_gap_z)
            row = [
                gap_beyond_chance(gap),
                follow_demand(found.lead_z),
                found.prices_follow_demand,
                own / seconds,
            ]
            for fit in (posterior, used):
                said = product_summary(fit)
                row += [np.mean(said.mean - truth), np.mean((said.q05 < truth) & (truth < said.q95))]
            off = found.randomized_elasticity - twin.market.category_elasticity
            rows.append([*row, off, found.randomized_elasticity_sd, found.randomized_gap_z])
        columns = (
            *("gap found", "placebo found", "any found", "cost", "bias", "covered", "bias with"),
            *("covered with", "category's error", "its sd", "gap z"),
        )
        shown = pd.DataFrame(rows, columns=columns).astype(float).mean().round(3).to_dict()
        print(f"correlation {correlation}, random prices {width:g} times as wide", shown, flush=True)


SHOWN = {
    "placebo": placebo,
    "sensitivity": sensitivity,
    "instrument": instrument,
    "randomized": randomized,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sets", type=int, default=5, help="of each kind")
    parser.add_argument("--seed", type=int, default=100, help="of the first set")
    parser.add_argument("--show", nargs="+", choices=SHOWN, default=list(SHOWN))
    arguments = parser.parse_args()
    for name in arguments.show:
        SHOWN[name](range(arguments.seed, arguments.seed + arguments.sets))


if __name__ == "__main__":
    main()
