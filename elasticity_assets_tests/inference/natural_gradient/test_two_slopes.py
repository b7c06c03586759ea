"""Two slopes a product: against known slopes, NumPyro's sampler on the same density, and the fit of one slope."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpyro.infer import MCMC, NUTS
from numpyro.infer.reparam import LocScaleReparam

from elasticity_assets.inference import natural_gradient
from elasticity_assets.inference.natural_gradient import two_slopes
from elasticity_assets.inference.options import NaturalGradientOptions
from elasticity_assets.inference.panel import CategorySales, Panel, panel_from_sales
from elasticity_assets.inference.posterior import TwoSlopes
from elasticity_assets.inference.price_lags import with_price_lags
from elasticity_assets.inference.priors import DEFAULT, Fixed, Season, SlowDemand
from elasticity_assets.inference.summaries import long_run_summary, product_summary
from elasticity_assets_tests.support.dense_gaussian import dense_gaussian

N, T = 16, 40  # products and weeks, the same for all, so that everything is compiled once
OPTIONS = NaturalGradientOptions(tolerance=1e-3)


def draw(seed: int, *, discounts: bool = True) -> tuple[Panel, np.ndarray, np.ndarray]:
    """A panel of negative binomial sales, its beta and its phi; regular prices move, and some weeks are promoted."""
    rng = np.random.default_rng(seed)
    changes = rng.normal(0, 0.08, (N, T)) * (rng.random((N, T)) < 1 / 8)
    regular = rng.normal(1, 0.5, (N, 1)) + np.cumsum(changes, axis=1)
    promoted = discounts & (rng.random((N, T)) < 0.2)
    discount = np.where(promoted, np.log1p(-rng.uniform(0.1, 0.35, (N, T))), 0.0)
    beta, phi = rng.normal(-1.5, 0.5, N), rng.normal(-3.0, 0.4, N)
    eta = rng.normal(3.5, 0.7, (N, 1)) + rng.normal(0, 0.2, T) + phi[:, None] * discount
    eta = eta + beta[:, None] * (regular - regular.mean(axis=1, keepdims=True))
    size = np.exp(rng.normal(2.0, 0.5, (N, 1)))
    units = rng.poisson(np.exp(eta) * rng.gamma(size, 1 / size, (N, T)))
    product, period = np.indices((N, T)).reshape(2, -1)
    panel = panel_from_sales(
        CategorySales(
            "category",
            np.char.add("p", np.char.zfill(product.astype(str), 3)),
            np.datetime64("2024-01-01") + 7 * period,
            units.ravel(),
            np.exp(regular + discount).ravel(),
            regular_price=np.exp(regular).ravel(),
        )
    )
    return panel, beta, phi


def fitted(panel: Panel) -> TwoSlopes:
    one = natural_gradient.fit(panel, DEFAULT, "negative_binomial", replace(OPTIONS, grid_points=1))
    return two_slopes.fit(panel, DEFAULT, "negative_binomial", OPTIONS, one)


def test_both_slopes_are_recovered() -> None:
    """In small categories, where an interval is too narrow if tau is plugged in."""
    inside, errors = [], []
    for seed in range(20):
        panel, *truths = draw(seed)
        slopes = fitted(panel)
        assert slopes.warnings == ()
        for summary, truth in zip((slopes.regular, slopes.promotion), truths, strict=True):
            inside.append((summary.q05 < truth) & (truth < summary.q95))
            errors.append((summary.mean - truth) / summary.sd)
    for slope in (slice(0, None, 2), slice(1, None, 2)):
        assert 0.85 < np.mean(inside[slope]) < 0.95
        assert abs(np.mean(errors[slope])) < 0.25
        assert 0.85 < np.std(errors[slope]) < 1.2


def test_says_what_prices_there_were() -> None:
    panel, _, _ = draw(0)
    slopes = fitted(panel)
    discount, regular = panel.log_discount()[:N, :T], panel.log_regular_price[:N, :T]
    np.testing.assert_array_equal(slopes.n_promotion_periods, (discount < -0.05).sum(axis=1))
    assert (slopes.n_periods == T).all()
    np.testing.assert_allclose(slopes.log_discount_sd, discount.std(axis=1), rtol=1e-3)
    np.testing.assert_allclose(slopes.log_regular_price_sd, regular.std(axis=1), rtol=1e-3)
    with pytest.raises(ValueError, match="no regular prices"):
        two_slopes.fit(
            replace(panel, log_regular_price=np.zeros((0, 0), np.float32)),
            DEFAULT,
            "negative_binomial",
            OPTIONS,
            natural_gradient.fit(panel, DEFAULT, "negative_binomial", OPTIONS),
        )


def test_slow_demand_and_season_equal_dense_gaussian() -> None:
    """Two slopes whose scales are known, as those of slow demand and seasons."""
    panel, _, _ = draw(0)
    n = panel.n_products
    priors = replace(
        DEFAULT,
        product_spread=Fixed(0.5),
        level_spread=Fixed(0.7),
        period_spread=Fixed(0.2),
        log_dispersion_sd=1e-4,
        log_dispersion_spread=Fixed(1e-3),
        slow_demand=SlowDemand(np.log(0.3), 1e-3, Fixed(1e-3), 1.0, 1e-3),
        season=Season(Fixed(0.3), least_days=0),
    )
    start = natural_gradient.fit(
        panel, DEFAULT, "negative_binomial", OPTIONS
    )  # a program that others have compiled
    slopes = two_slopes.fit(panel, priors, "negative_binomial", OPTIONS, start)
    assert slopes.warnings == ()
    regressors = [panel.centred(values)[:n, :T] for values in (panel.log_regular_price, panel.log_discount())]
    size = np.full(n, np.exp(priors.log_dispersion_mean))
    dense = dense_gaussian(panel, priors, "negative_binomial", size, regressors=regressors)
    for slope, found in enumerate((slopes.regular, slopes.promotion)):
        places = dense.beta(slope)
        sd = np.sqrt(np.diag(dense.cov))[places]
        assert np.abs((found.mean - dense.mean[places]) / sd).max() < 0.01
        np.testing.assert_allclose(found.sd, sd, rtol=0.01)


def density(units: jax.Array, regular: jax.Array, discount: jax.Array) -> None:
    """The two-slope model, written down again."""
    effects = []
    for name in ("beta", "phi"):
        centre = numpyro.sample(f"{name}_c", dist.Normal(DEFAULT.category_mean, DEFAULT.category_var**0.5))
        tau = numpyro.sample(f"tau_{name}", dist.HalfNormal(1.0))
        effects.append(numpyro.sample(name, dist.Normal(jnp.full(N, centre), tau).to_event()))
    delta_c = numpyro.sample("delta_c", dist.Normal(0.0, 10.0))
    sigma_delta = numpyro.sample("sigma_delta", dist.HalfNormal(3.0))
    delta = numpyro.sample("delta", dist.Normal(jnp.full(N, delta_c), sigma_delta).to_event())
    sigma_gamma = numpyro.sample("sigma_gamma", dist.HalfNormal(1.0))
    gamma = numpyro.sample("gamma", dist.Normal(jnp.zeros(T), sigma_gamma).to_event())
    mu_r = numpyro.sample("mu_r", dist.Normal(2.0, 2.0))
    s_r = numpyro.sample("s_r", dist.HalfNormal(1.0))
    log_r = numpyro.sample("log_r", dist.Normal(jnp.full(N, mu_r), s_r).to_event())
    beta, phi = effects
    eta = delta[:, None] + gamma + beta[:, None] * regular + phi[:, None] * discount
    numpyro.sample("units", dist.NegativeBinomial2(jnp.exp(eta), jnp.exp(log_r)[:, None]), obs=units)


@pytest.mark.slow
def test_agrees_with_nuts() -> None:
    panel, _, _ = draw(0)
    slopes = fitted(panel)
    reparametrized = numpyro.handlers.reparam(
        density,
        config={"beta": LocScaleReparam(0.3), "phi": LocScaleReparam(0.3), "log_r": LocScaleReparam(0.0)},
    )
    sampler = MCMC(
        NUTS(reparametrized, target_accept_prob=0.8),
        num_warmup=300,
        num_samples=1000,
        num_chains=2,
        chain_method="vectorized",
        progress_bar=False,
    )
    regressors = panel.centred(panel.log_regular_price), panel.centred(panel.log_discount())
    sampler.run(jax.random.key(0), panel.units[:N, :T], *(values[:N, :T] for values in regressors))
    draws = sampler.get_samples()
    for name, summary in (("beta", slopes.regular), ("phi", slopes.promotion)):
        drawn = np.asarray(draws[name])
        sd = drawn.std(axis=0)
        assert np.abs((summary.mean - drawn.mean(axis=0)) / sd).max() < 0.1
        np.testing.assert_allclose(summary.sd / sd, 1.0, atol=0.1)


def test_without_discounts_the_regular_slope_is_the_one_slope() -> None:
    panel, _, _ = draw(2, discounts=False)
    assert not panel.log_discount().any()
    panel = with_price_lags(panel, 2)
    one = natural_gradient.fit(panel, DEFAULT, "negative_binomial", OPTIONS)
    slopes = two_slopes.fit(panel, DEFAULT, "negative_binomial", OPTIONS, one)
    for found, expected in (
        (slopes.regular, product_summary(one)),
        (slopes.regular_long_run, long_run_summary(one)),
    ):
        np.testing.assert_allclose((found.mean - expected.mean) / expected.sd, 0.0, atol=0.02)
        np.testing.assert_allclose(found.sd / expected.sd, 1.0, atol=0.01)
    assert np.abs(slopes.regular_long_run.mean - slopes.regular.mean).min() > 0.01
    assert slopes.warnings == ()
    assert not slopes.n_promotion_periods.any()
    # Nothing is known of discounts: the prior, N(-2, 5) of the category and tau around it.
    np.testing.assert_allclose(slopes.promotion.mean, DEFAULT.category_mean, atol=1e-2)
    assert (slopes.promotion.sd > DEFAULT.category_var**0.5).all()
