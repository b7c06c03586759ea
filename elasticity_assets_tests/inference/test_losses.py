"""The closed-form ELBO against averages of draws."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpyro.infer import Trace_ELBO

from elasticity_assets.inference import guides
from elasticity_assets.inference.losses import ClosedFormELBO
from elasticity_assets.inference.model import Model, stack_panels
from elasticity_assets.inference.priors import ARTICLE, DEFAULT, Fixed, Priors
from elasticity_assets.inference.simulate import Simulation, simulated_panels
from elasticity_assets.inference.start import starting_values

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
