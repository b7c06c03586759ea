"""Parts of the periods against each other: what agrees by construction, and what drifts by construction."""

from dataclasses import replace

import numpy as np
import pytest

from elasticity_assets.inference import natural_gradient
from elasticity_assets.inference.judging.split_samples import SplitSamples, block_periods, compare
from elasticity_assets.inference.natural_gradient.engine import Problem
from elasticity_assets.inference.options import NaturalGradientOptions
from elasticity_assets.inference.panel import Panel
from elasticity_assets.inference.priors import DEFAULT
from elasticity_assets.inference.simulate import Simulation, simulated_panels

SIMULATION = Simulation(products=30, weeks=104, categories=1, level_mean=2.5)


OPTIONS = NaturalGradientOptions()


def split(panel: Panel) -> SplitSamples:
    """Split samples of a panel, at the scales of its fit."""
    posterior = natural_gradient.fit(panel, DEFAULT, "negative_binomial", OPTIONS)
    problem = Problem(panel, DEFAULT, "negative_binomial", OPTIONS.max_passes)
    start = problem.start(posterior)
    return compare(panel, lambda weight: problem.under(weight).at_scales(start, OPTIONS))


def sales(seed: int) -> Panel:
    return simulated_panels(SIMULATION, seed)[0][0]


def drifting(seed: int, change: float) -> Panel:
    """Sales whose elasticities all change by so much in the second half."""
    panel = sales(seed)
    late = np.arange(panel.units.shape[1]) >= panel.n_periods / 2
    factor = np.exp(change * panel.centred_log_price() * late)
    return replace(panel, units=np.round(panel.units * factor).astype(np.float32))


@pytest.fixture(scope="module")
def steady() -> list[SplitSamples]:
    return [split(sales(seed)) for seed in range(3)]


def test_elasticities_that_stay_agree_as_often_as_their_intervals_promise(steady: list[SplitSamples]) -> None:
    differences = np.concatenate([part.block_difference / part.block_sd for part in steady])
    # 90 products: 90% give or take three standard errors.
    assert 0.8 < np.mean(np.abs(differences) < 1.645) < 0.99
    assert 0.75 < differences.std() < 1.25
    assert np.mean([part.agreement() for part in steady]) > 0.8
    assert sum(part.drifting().sum() for part in steady) <= 4


def test_elasticities_that_change_are_told(steady: list[SplitSamples]) -> None:
    part = split(drifting(0, -1.5))
    assert part.category_drift == pytest.approx(-1.5, abs=0.5)
    assert abs(part.category_drift) > 2.576 * part.category_drift_sd
    assert part.drifting().mean() > 0.25
    assert part.drift.mean() < -1.0
    # Blocks in turns hold as much of the one half as of the other.
    assert part.agreement() > 0.75
    assert np.abs(steady[0].category_drift) < 2.576 * steady[0].category_drift_sd


def test_a_product_with_sales_in_one_part_only_is_compared_all_the_same() -> None:
    panel = sales(1)
    weight = panel.weight.copy()
    weight[0, panel.n_periods // 2 :] = 0.0
    weight[1, :] = 0.0
    part = split(replace(panel, weight=weight))
    assert np.isfinite(part.drift).all()
    assert (part.drift_sd > 0).all()


@pytest.mark.parametrize(
    ("step", "periods"),
    [(np.timedelta64(7, "D"), 13), (np.timedelta64(1, "D"), 91), (np.timedelta64(30, "D"), 3)],
)
def test_a_block_is_a_quarter(step: np.timedelta64, periods: int) -> None:
    assert block_periods(np.datetime64("2024-01-01") + step * np.arange(20)) == periods


def test_a_single_period_is_a_block() -> None:
    assert block_periods(np.array(["2024-01-01"], "datetime64[D]")) == 1


def test_a_part_that_knows_nothing_does_not_disagree() -> None:
    """Prices that change in the second half only, or a single block: the other part is the prior, and no evidence."""
    panel = simulated_panels(replace(SIMULATION, global_elasticity=-4.0, category_spread=0.01), 3)[0][0]
    still = panel.log_price.copy()
    half = panel.n_periods // 2
    still[:, :half] = still[:, :half].mean(axis=1, keepdims=True)
    part = split(replace(panel, log_price=still))
    assert abs(part.category_drift) < 2.576 * part.category_drift_sd
    assert part.drifting().mean() < 0.1
    short = replace(
        panel, weight=panel.weight * (np.arange(panel.units.shape[1]) < 12), period=panel.period[:12]
    )
    assert split(short).agreement() > 0.75
