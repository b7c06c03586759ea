"""Learning scales: one scoring step of log sigma, given how far the effects lie from their centres."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from elasticity_assets.inference.devices import Leaf
from elasticity_assets.inference.priors import Fixed, HalfNormal

_LARGEST_STEP = 0.7


class ScalePriors(NamedTuple):
    """Priors of several scales.

    Attributes
    ----------
    size : float array, shape (m,)
        Scale of the half-normal, or the known value.
    learned : float array, shape (m,)
        1, or 0 where known.
    """

    size: Leaf
    learned: Leaf


class ScaleStep(NamedTuple):
    """What a step did; shape (m,) each.

    Attributes
    ----------
    log_scale : array
        After the step.
    gradient : array
        d (ELBO + log prior + log sigma) / d log sigma before it.
    information : array
        Expected information on log sigma, the prior's included: 1/sqrt(information) is its rough sd.
    """

    log_scale: jax.Array
    gradient: jax.Array
    information: jax.Array


def scale_priors(*priors: HalfNormal | Fixed) -> ScalePriors:
    """Priors as arrays."""
    size = [p.value if isinstance(p, Fixed) else p.scale for p in priors]
    learned = [0.0 if isinstance(p, Fixed) else 1.0 for p in priors]
    return ScalePriors(np.asarray(size, np.float32), np.asarray(learned, np.float32))


def score_scales(
    log_scale: jax.Array, priors: ScalePriors, squares: jax.Array, count: jax.Array, freedom: jax.Array
) -> ScaleStep:
    """Move log sigma towards the mode of ELBO + log prior + log sigma.

    The gradient Q / sigma^2 - n is exact at the best q for this sigma. The information 2 sum (1 - k)^2, with k
    an effect's posterior variance over sigma^2, makes the step as long as the data warrant, where
    expectation-maximization (information 2 n) crawls when data say little about each effect.

    Parameters
    ----------
    log_scale : array, shape (m,)
    priors : ScalePriors
    squares : array, shape (m,)
        Q, the sum of E[(effect - centre)^2].
    count : array, shape (m,)
        Number n of effects.
    freedom : array, shape (m,)
        Sum of (1 - k)^2.
    """
    var = jnp.exp(2.0 * log_scale)
    shrink = var / priors.size**2
    gradient = squares / var - count + 1.0 - shrink
    information = 2.0 * (freedom + shrink) + 0.1
    # Where most effects are known well, Q hardly depends on sigma, and where they are hardly there, the gradient is
    # 1 - c sigma^2: both have a zero at hand.
    step = gradient / information
    known = 0.5 * jnp.log(jnp.maximum(1.0 + 2.0 * step, 1e-30))
    hardly = -0.5 * jnp.log(jnp.maximum(1.0 - gradient, 1e-30))
    step = jnp.where(freedom > 0.5 * count, known, step)
    step = jnp.where(jnp.abs(hardly) < jnp.abs(step), hardly, step)
    step = jnp.clip(step, -_LARGEST_STEP, _LARGEST_STEP)
    return ScaleStep(log_scale + priors.learned * step, gradient, information)
