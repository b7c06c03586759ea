"""A category in parts has the posterior of the whole, and takes no more memory for more parts."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from elasticity_assets.inference import natural_gradient
from elasticity_assets.inference.experiments import Experiment, with_experiments
from elasticity_assets.inference.natural_gradient import streaming
from elasticity_assets.inference.options import Likelihood, NaturalGradientOptions
from elasticity_assets.inference.panel import Panel, take_products
from elasticity_assets.inference.posterior import CategoryPosterior, summarize
from elasticity_assets.inference.priors import DEFAULT, Priors, Season, SlowDemand
from elasticity_assets.inference.simulate import Simulation, simulated_panels

OPTIONS = NaturalGradientOptions(tolerance=1e-3)
NEGATIVE_BINOMIAL: Likelihood = "negative_binomial"
RESULTS = [Experiment("p03", -4.0, 0.3), Experiment("p17", -1.0, 0.2), Experiment("", -1.0, 0.3)]
DRIFTING = replace(DEFAULT, slow_demand=SlowDemand(), season=Season(least_days=0))


def category(**changes: object) -> Panel:
    simulation = Simulation(products=20, weeks=24, categories=1, observed=0.9, **changes)  # type: ignore[arg-type]
    return simulated_panels(simulation, seed=5)[0][0]


def in_parts(panel: Panel, size: int) -> Iterator[Panel]:
    for first in range(0, panel.n_products, size):
        yield take_products(panel, np.arange(first, min(first + size, panel.n_products)))


def whole_of(parts: list[CategoryPosterior]) -> CategoryPosterior:
    """Put the parts' products together again."""
    names = (
        "product",
        "product_mean",
        "product_var",
        "product_gain",
        "level",
        "dispersion",
        "log_dispersion_sd",
    )
    names += ("slow_demand_sd",) if parts[0].slow_demand.size else ()
    joined = {name: np.concatenate([getattr(part, name) for part in parts], axis=-1) for name in names}
    joined["season"] = np.concatenate([part.season for part in parts])
    return replace(parts[0], **joined)


@pytest.mark.parametrize(
    ("likelihood", "controls", "priors"),
    [
        ("negative_binomial", (0.4, -0.2), DRIFTING),
        pytest.param("negative_binomial", (0.4, -0.2), DEFAULT, marks=pytest.mark.slow),
        pytest.param("negative_binomial", (), DRIFTING, marks=pytest.mark.slow),
        pytest.param("negative_binomial", (), DEFAULT, marks=pytest.mark.slow),
        pytest.param("poisson", (0.4, -0.2), DEFAULT, marks=pytest.mark.slow),
        pytest.param("poisson", (), DEFAULT, marks=pytest.mark.slow),
    ],
)
def test_parts_give_the_posterior_of_the_whole(
    tmp_path: Path, likelihood: Likelihood, controls: tuple[float, ...], priors: Priors
) -> None:
    panel = with_experiments(category(likelihood=likelihood, control_effects=controls), RESULTS)
    seen: list[tuple[int, float]] = []
    parts = list(
        streaming.fit(
            in_parts(panel, 8),
            priors,
            likelihood,
            OPTIONS,
            tmp_path,
            on_progress=lambda passes, elbo: seen.append((passes, elbo)),
        )
    )
    assert [len(part.product) for part in parts] == [8, 8, 4]
    found, expected = whole_of(parts), natural_gradient.fit(panel, priors, likelihood, OPTIONS)
    np.testing.assert_array_equal(found.product, expected.product)
    ours, theirs = (summarize(fit.weight, fit.product_mean, fit.product_var) for fit in (found, expected))
    # What drifts is learned to a twentieth of its sd, and where in it a fit ends depends on rounding.
    apart = 5e-3 if priors is DRIFTING else 1e-3
    assert np.abs((ours.mean - theirs.mean) / theirs.sd).max() < apart
    np.testing.assert_allclose(ours.sd, theirs.sd, rtol=apart)
    for name in (
        "tau",
        "category_mean",
        "category_var",
        "control_mean",
        "control_cov",
        "level",
        "dispersion",
    ):
        np.testing.assert_allclose(
            getattr(found, name), getattr(expected, name), rtol=2 * apart, err_msg=name
        )
    np.testing.assert_allclose(found.period_effect, expected.period_effect, atol=2e-3)
    np.testing.assert_allclose(found.product_gain, expected.product_gain, rtol=2e-3, atol=1e-4)
    np.testing.assert_allclose(found.slow_demand_sd, expected.slow_demand_sd, rtol=0.02)
    np.testing.assert_allclose(found.season, expected.season, atol=2e-3)
    assert found.diagnostics.converged
    assert abs(found.diagnostics.iterations - expected.diagnostics.iterations) <= 3
    assert found.diagnostics.elbo == pytest.approx(expected.diagnostics.elbo, abs=0.05)
    assert seen[-1][0] >= found.diagnostics.iterations


@pytest.mark.slow
def test_one_part_is_the_whole(tmp_path: Path) -> None:
    panel = category()
    (part,) = streaming.fit([panel], DEFAULT, NEGATIVE_BINOMIAL, OPTIONS, tmp_path)
    whole = natural_gradient.fit(panel, DEFAULT, NEGATIVE_BINOMIAL, OPTIONS)
    np.testing.assert_allclose(part.product_mean, whole.product_mean, rtol=1e-3)


def test_parts_that_do_not_fit_together_are_refused(tmp_path: Path) -> None:
    panel = category()
    first, second, _ = in_parts(panel, 8)
    shifted = replace(second, period=second.period + 7)
    with pytest.raises(
        ValueError, match="part 2 of category 'category_1' has other periods, controls or units"
    ):
        next(streaming.fit([first, shifted], DEFAULT, NEGATIVE_BINOMIAL, OPTIONS, tmp_path))
    with pytest.raises(ValueError, match="at least one part"):
        next(streaming.fit([], DEFAULT, NEGATIVE_BINOMIAL, OPTIONS, tmp_path))


MEMORY = """
import json, resource, sys
from pathlib import Path
from elasticity_assets.inference.natural_gradient import streaming
from elasticity_assets.inference.options import NaturalGradientOptions
from elasticity_assets.inference.priors import DEFAULT
from elasticity_assets.inference.simulate import Simulation, simulate_categories, simulated_panels
from elasticity_assets_tests.inference.natural_gradient.test_streaming import renamed

folder, count, options = Path(sys.argv[1]), int(sys.argv[2]), NaturalGradientOptions(max_passes=4, grid_points=1)
panel = simulated_panels(Simulation(products=512, weeks=52, categories=1, likelihood="poisson"), seed=0)[0][0]
total = 0
for part in streaming.fit(renamed(panel, count), DEFAULT, "poisson", options, folder):
    total += len(part.product)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"products": total, "peak": peak}))
"""


def renamed(panel: Panel, count: int) -> Iterator[Panel]:
    """Give one panel again and again, as so many parts of a category."""
    for part in range(count):
        yield replace(panel, product=np.char.add(panel.product, f"_{part}"))


@pytest.mark.slow
def test_more_parts_take_no_more_memory(tmp_path: Path) -> None:
    peaks = {}
    for count in (4, 64):
        folder = tmp_path / str(count)
        folder.mkdir()
        done = subprocess.run(
            [sys.executable, "-c", MEMORY, str(folder), str(count)],
            capture_output=True,
            text=True,
            env=os.environ,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout.splitlines()[-1])
        assert found["products"] == 512 * count
        peaks[count] = found["peak"]
    # 60 parts' sales alone are 19 MB, and what is known of them as much again.
    assert peaks[64] < peaks[4] + 12, peaks
