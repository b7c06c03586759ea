"""The SVI engine: what it finds, and what must not change what it finds."""

from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pandas as pd
import pytest

from elasticity_assets.inference import options, svi
from elasticity_assets.inference.judging.dense import joint_poisson_fit
from elasticity_assets.inference.options import SviOptions
from elasticity_assets.inference.panel import CategorySales, Panel, panel_from_sales
from elasticity_assets.inference.posterior import CategoryPosterior, summarize
from elasticity_assets.inference.priors import ARTICLE, DEFAULT, Fixed, Season, SlowDemand
from elasticity_assets.inference.simulate import Simulation, simulated_panels

SAMPLE = Path(__file__).parents[3] / "data/sample/complete_journey_8_categories.csv"
EXACT = SviOptions(loss="closed_form")


@pytest.fixture(scope="module")
def soft_drinks() -> Panel:
    sales = pd.read_csv(SAMPLE, parse_dates=["week"]).query("category == 'SOFT DRINKS'")
    controls = {name: sales[name].to_numpy() for name in ("display", "mailer")}
    return panel_from_sales(
        CategorySales(
            "SOFT DRINKS",
            sales["product"].to_numpy(),
            sales["week"].to_numpy("datetime64[D]"),
            sales["units"].to_numpy(),
            sales["price"].to_numpy(),
            controls,
        )
    )


@pytest.fixture(scope="module")
def soft_drinks_poisson(soft_drinks: Panel) -> CategoryPosterior:
    return svi.fit(soft_drinks, DEFAULT, "poisson", EXACT)


def in_sds(one: CategoryPosterior, other: CategoryPosterior) -> np.ndarray:
    """Distance of the products' means, in posterior sds."""
    sd = summarize(other.weight, other.product_mean, other.product_var).sd
    return (one.weight @ one.product_mean - other.weight @ other.product_mean) / sd


def padded(panel: Panel, rows: int, columns: int) -> Panel:
    """The same panel in larger arrays."""

    def pad(array: np.ndarray) -> np.ndarray:
        return np.pad(array, [(0, rows), (0, columns)] + [(0, 0)] * (array.ndim - 2))

    names = ("units", "log_price", "controls", "observed", "weight")
    return replace(panel, **{name: pad(getattr(panel, name)) for name in names})


@pytest.mark.parametrize("truncated", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_recovers_elasticities(truncated: bool) -> None:
    simulation = Simulation(
        products=80, weeks=104, categories=1, control_effects=(0.8,), level_mean=1.0, drop_zeros=truncated
    )
    (panel,), truth = simulated_panels(simulation, 4)
    steps = []
    fit = svi.fit(
        panel, DEFAULT, "negative_binomial", SviOptions(), on_progress=lambda n, elbo: steps.append((n, elbo))
    )
    found = summarize(fit.weight, fit.product_mean, fit.product_var)
    z = (found.mean - truth.elasticity) / found.sd
    assert np.abs(z).max() < 5
    assert 0.8 < z.std() < 1.25  # 80 products: a fifth either way is 2.5 sds
    assert 0.80 <= ((found.q05 < truth.elasticity) & (truth.elasticity < found.q95)).mean() <= 0.98
    category = summarize(fit.weight, fit.category_mean[:, None], fit.category_var[:, None])
    assert abs(category.mean[0] - truth.category_elasticity[0]) < 3 * category.sd[0]
    assert abs(fit.control_mean[0, 0] - 0.8) < 3.5 * fit.control_var[0, 0] ** 0.5
    assert fit.product_spread() == pytest.approx(simulation.product_spread, abs=0.2)
    assert fit.level_spread == pytest.approx(simulation.level_spread, abs=0.3)
    assert fit.period_spread == pytest.approx(simulation.period_spread, abs=0.06)
    assert fit.log_dispersion_mean == pytest.approx(simulation.log_dispersion_mean, abs=0.3)
    assert np.corrcoef(fit.level, truth.level)[0, 1] > 0.95
    assert fit.diagnostics.converged
    assert fit.diagnostics.warnings == ()
    assert fit.diagnostics.likelihood_text == ("zero-truncated " if truncated else "") + "negative_binomial"
    assert fit.diagnostics.iterations == steps[-1][0]
    assert fit.diagnostics.elbo == max(elbo for _, elbo in steps)
    assert len(fit.trace) == fit.diagnostics.iterations // 10
    assert fit.trace[-20:].mean() > fit.trace[:3].mean()


@pytest.mark.slow
def test_padding_changes_nothing(soft_drinks: Panel) -> None:
    few = SviOptions(max_steps=300)
    one = svi.fit(soft_drinks, DEFAULT, "poisson", few)
    other = svi.fit(padded(soft_drinks, 8, 16), DEFAULT, "poisson", few)
    np.testing.assert_allclose(one.trace, other.trace, rtol=1e-4)
    assert np.abs(in_sds(one, other)).max() < 0.02  # rounding, carried along by 300 random steps
    np.testing.assert_allclose(one.product_var, other.product_var, rtol=0.02)


@pytest.mark.parametrize(
    "choice",
    [
        SviOptions(),
        pytest.param(SviOptions(guide="product_block"), marks=pytest.mark.slow),
        pytest.param(SviOptions(guide="low_rank"), marks=pytest.mark.slow),
        pytest.param(SviOptions(loss="renyi"), marks=pytest.mark.slow),
        SviOptions(batch_products=8),
    ],
    ids=["mean_field", "product_block", "low_rank", "renyi", "mini-batches"],
)
def test_guides_and_losses_agree(
    soft_drinks: Panel, soft_drinks_poisson: CategoryPosterior, choice: SviOptions
) -> None:
    fit = svi.fit(soft_drinks, DEFAULT, "poisson", choice)
    assert np.sqrt(np.mean(in_sds(fit, soft_drinks_poisson) ** 2)) < 0.35
    assert np.log(fit.product_spread() / soft_drinks_poisson.product_spread()) == pytest.approx(0.0, abs=0.15)
    # A richer guide has the larger bound; noise of the eight draws aside.
    assert fit.diagnostics.elbo > soft_drinks_poisson.diagnostics.elbo - 6


def test_warm_start_is_short(soft_drinks: Panel, soft_drinks_poisson: CategoryPosterior) -> None:
    """With a product gone and one more week, products and weeks are still matched."""
    kept = np.delete(np.arange(len(soft_drinks.units)), 3)
    smaller = replace(
        soft_drinks,
        product=np.delete(soft_drinks.product, 3),
        **{
            name: np.pad(
                getattr(soft_drinks, name)[kept], [(0, 1)] + [(0, 0)] * (getattr(soft_drinks, name).ndim - 1)
            )
            for name in ("units", "log_price", "controls", "observed", "weight")
        },
    )
    looks: dict[bool, list[float]] = {}
    for warm in (False, True):
        looks[warm] = []
        start = soft_drinks_poisson if warm else None
        svi.fit(
            smaller,
            DEFAULT,
            "poisson",
            EXACT,
            start=start,
            on_progress=lambda n, e, of=looks[warm]: of.append(e),
        )
    settled = max(map(max, looks.values()))
    steps_to = {
        warm: next(k for k, elbo in enumerate(of) if elbo > settled - 0.5) for warm, of in looks.items()
    }
    assert 3 * (steps_to[True] + 1) <= steps_to[False] + 1, steps_to
    assert len(looks[True]) < 0.7 * len(looks[False]), looks


def test_gives_up_in_words(soft_drinks: Panel) -> None:
    fit = svi.fit(soft_drinks, DEFAULT, "poisson", replace(EXACT, max_steps=100))
    assert not fit.diagnostics.converged
    assert fit.diagnostics.iterations == 100
    assert "raise max_steps" in fit.diagnostics.warnings[0]


def one_product() -> dict[str, np.ndarray]:
    return {"units": np.array([[3, 5, 2, 8, 4, 6.0]]), "price": np.array([[2, 1.8, 2, 1.5, 2, 1.9]])}


def grid(units: float = 5.0, price: float = 2.0) -> dict[str, np.ndarray]:
    return {"units": np.full((4, 6), units), "price": np.full((4, 6), price)}


def unlike() -> dict[str, np.ndarray]:
    """A product that sold ten million, one that sold nothing, one with fractions, one at its one price."""
    rng = np.random.default_rng(0)
    price = np.exp(rng.normal(0, 0.2, (4, 6)))
    price[3] = 2.0
    units = np.stack([1e7 * price[0] ** -2, np.zeros(6), rng.random(6), np.full(6, 3.0)])
    return {"units": units, "price": price}


@pytest.mark.parametrize("likelihood", ["poisson", pytest.param("negative_binomial", marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "cells",
    [one_product(), {k: v[:, :1] for k, v in grid().items()}, grid(), grid(units=0.0), unlike()],
    ids=["one product", "one period", "one price", "no sales", "unlike products"],
)
def test_extremes(cells: dict[str, np.ndarray], likelihood: str) -> None:
    n, T = cells["units"].shape
    product, week = np.meshgrid(np.arange(n).astype(str), np.arange(T) * 7, indexing="ij")
    panel = panel_from_sales(
        CategorySales(
            "odd",
            product.ravel(),
            week.ravel().astype("datetime64[D]"),
            *(cells[k].ravel() for k in ("units", "price")),
        )
    )
    fit = svi.fit(panel, DEFAULT, likelihood, SviOptions(max_steps=3000))
    found = summarize(fit.weight, fit.product_mean, fit.product_var)
    assert np.isfinite(found.sd).all()
    assert (found.sd > 0).all()
    assert np.isfinite(fit.diagnostics.elbo)
    no_price_change = np.ptp(panel.centred_log_price()[:n], axis=1) < 1e-6
    # Nothing to learn from: the prior, N(-2, 5) of the category and HalfNormal(1) of tau.
    if no_price_change.all():
        np.testing.assert_allclose(found.mean, -2.0, atol=0.35)
        np.testing.assert_allclose(found.sd, np.sqrt(5 + 1), rtol=0.25)
    if n == 4 and not no_price_change.all():
        assert found.mean[0] == pytest.approx(-2.0, abs=0.2 if likelihood == "poisson" else 1.0)


def test_joint_fit_is_the_joint_posterior() -> None:
    """With fixed scales the posterior is nearly Gaussian: means as by dense algebra on all parameters."""
    simulation = Simulation(products=20, weeks=40, categories=3, likelihood="poisson", level_mean=2.0)
    panels, _ = simulated_panels(simulation, 3)
    priors = replace(ARTICLE, centred_price=True, period_spread=Fixed(0.3))
    dense = joint_poisson_fit(panels, priors)
    joint = svi.fit_joint(panels, priors, "poisson", EXACT)
    with jax.enable_x64(True):
        double = svi.fit_joint(panels, priors, "poisson", EXACT)
    for fit in (joint, double):
        means = np.concatenate([posterior.product_mean[0] for posterior in fit.category])
        assert np.abs((means - dense.product_mean) / np.sqrt(dense.product_var)).max() < 0.15
        category = np.array([posterior.category_mean[0] for posterior in fit.category])
        assert np.abs((category - dense.category_mean) / np.sqrt(dense.category_var)).max() < 0.15
        assert fit.global_mean == pytest.approx(dense.global_mean, abs=0.15 * np.sqrt(dense.global_var))
        assert fit.category_spread == 1.0
    assert [posterior.category for posterior in joint.category] == [panel.category for panel in panels]
    single, exact = joint.category[0], double.category[0]
    assert np.abs(in_sds(single, exact)).max() < 0.02
    assert single.diagnostics.elbo == pytest.approx(exact.diagnostics.elbo, abs=0.05)


def test_the_articles_way() -> None:
    """All of it together: uncentred prices, clipped eta, Renyi bound, adamw; from data where it works."""
    simulation = Simulation(products=12, weeks=60, categories=2, likelihood="poisson", level_mean=4.0)
    panels, truth = simulated_panels(simulation, 5)
    joint = svi.fit_joint(panels, ARTICLE, "poisson", replace(options.ARTICLE.svi, max_steps=2000))
    found = np.concatenate([posterior.product_mean[0] for posterior in joint.category])
    assert np.corrcoef(found, truth.elasticity)[0, 1] > 0.8
    assert np.abs(found - truth.elasticity).mean() < 0.4
    assert all(posterior.tau == 2.0 for posterior in joint.category)
    assert all(posterior.level_mean == 0.0 for posterior in joint.category)


@pytest.mark.parametrize(
    ("likelihood", "choice", "message"),
    [
        ("negative_binomial", EXACT, "needs likelihood poisson"),
        ("poisson", replace(EXACT, guide="low_rank"), "needs guide mean_field"),
        ("poisson", SviOptions(guide="low_rank", batch_products=4), "all products at once"),
        ("poisson", SviOptions(batch_products=0), "at least 1"),
    ],
)
def test_options_that_do_not_go_together(
    soft_drinks: Panel, likelihood: options.Likelihood, choice: SviOptions, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        svi.fit(soft_drinks, DEFAULT, likelihood, choice)


def test_slow_demand_and_seasons_are_refused(soft_drinks: Panel) -> None:
    with pytest.raises(ValueError, match="svi knows no slow demand; take natural_gradient"):
        svi.fit(soft_drinks, replace(DEFAULT, slow_demand=SlowDemand()), "poisson", SviOptions())
    with pytest.raises(ValueError, match="svi knows no seasons; take natural_gradient"):
        svi.fit(soft_drinks, replace(DEFAULT, season=Season()), "poisson", SviOptions())


def test_truncated_and_not_do_not_go_together(soft_drinks: Panel) -> None:
    panels = [soft_drinks, replace(soft_drinks, zero_truncated=True)]
    with pytest.raises(ValueError, match="zero-truncated, or none"):
        svi.fit_joint(panels, DEFAULT, "poisson", SviOptions())
