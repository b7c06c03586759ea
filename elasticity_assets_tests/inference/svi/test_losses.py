"""The closed-form ELBO against averages of draws."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpyro.infer import Trace_ELBO

from elasticity_assets.inference.density.likelihood import poisson
from elasticity_assets.inference.density.model import Model, linear_predictor, stack_panels
from elasticity_assets.inference.density.start import starting_values
from elasticity_assets.inference.priors import ARTICLE, DEFAULT, Fixed, Priors
from elasticity_assets.inference.simulate import Simulation, simulated_panels
from elasticity_assets.inference.svi import guides
from elasticity_assets.inference.svi.losses import ClosedFormELBO

LEARNED_AND_FIXED = replace(DEFAULT, level_spread=Fixed(1.5), level_mean=1.0)


@pytest.mark.parametrize(
    ("priors", "joint"),
    [(DEFAULT, True), (LEARNED_AND_FIXED, False), (replace(ARTICLE, centred_price=True), True)],
)
def test_closed_form_is_the_average_over_draws(priors: Priors, joint: bool) -> None:
    simulation = Simulation(
        products=10, weeks=12, categories=2, likelihood="poisson", level_mean=0.5, control_effects=(0.5,)
    )
    panels, _ = simulated_panels(simulation, 2)
    sales = stack_panels(panels, centred_price=priors.centred_price)
    model = Model(priors, "poisson", joint=joint, rows_scale=1.5)
    mean, sd = jax.jit(starting_values, static_argnums=0)(model, sales)
    params = guides.initial_params(
        "mean_field", sales, mean, jax.tree.map(lambda s: jnp.minimum(s, 0.2), sd), partly_centred=False
    )
    guide = guides.build("mean_field", model, partly_centred=False)
    closed = -ClosedFormELBO().loss(jax.random.key(0), params, model, guide, sales)

    @jax.jit
    def drawn(key):
        return -Trace_ELBO().loss(key, params, model, guide, sales)

    draws = np.asarray(jax.lax.map(drawn, jax.random.split(jax.random.key(1), 4000)))
    error = draws.std() / np.sqrt(len(draws))
    assert abs(float(closed) - draws.mean()) < 4 * error
    assert error < 0.002 * abs(float(closed))


def test_gradients_are_those_of_the_formula() -> None:
    """The sum over cells brings its own gradients; here jax derives them, cells beyond float32's range included."""
    simulation = Simulation(
        products=9, weeks=12, categories=2, likelihood="poisson", level_mean=0.5, control_effects=(0.5, -1.0)
    )
    panels, _ = simulated_panels(simulation, 2)
    rng = np.random.default_rng(3)
    with jax.enable_x64(True):
        sales = stack_panels(panels, centred_price=True)
        sales = sales._replace(weight=sales.weight * rng.random(sales.weight.shape))
        N, (C, W) = len(sales.units), sales.period.shape
        shapes = ((N,), (N,), (C, W), (C, 2))
        mean = tuple(rng.normal(0.0, 0.7, shape) for shape in shapes)
        mean[1][0] = 45.0
        var = tuple(rng.uniform(0.01, 0.3, shape) for shape in shapes)
        model = Model(DEFAULT, "poisson")

        def formula(mean, var):
            squared = sales._replace(log_price=sales.log_price**2, controls=sales.controls**2)
            m, v = linear_predictor(sales, *mean), linear_predictor(squared, *var)
            cells = poisson(sales.units, m + 0.5 * v) - 0.5 * sales.units * v
            return jnp.sum(sales.weight * cells) + jnp.sum(sales.log_base)

        found, expected = (
            jax.value_and_grad(lambda mean, var, of=of: 3.0 * of(mean, var), argnums=(0, 1))(mean, var)
            for of in (lambda mean, var: model.expected_poisson(sales, mean, var), formula)
        )
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-8)
