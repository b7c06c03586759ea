"""What a pass over products in zones sums up, and the step that follows."""

from typing import NamedTuple

import jax

from elasticity_assets.inference.natural_gradient import dispersion
from elasticity_assets.inference.natural_gradient.zones import products


class Seen(NamedTuple):
    """Sums over rows at the current means.

    Attributes
    ----------
    sums : products.Sums
    centre : dispersion.Centre
    log_lik, log_det, rows : arrays, shape ()
        E log p(y) less its base, the sum of log |I + P Gamma|, and the number of rows.
    """

    sums: products.Sums
    centre: dispersion.Centre
    log_lik: jax.Array
    log_det: jax.Array
    rows: jax.Array


class Step(NamedTuple):
    """Step of all that rows share, in natural units.

    Attributes
    ----------
    shared : array, shape (S,)
    slope : array, shape (n,)
    season : array, shape (n, q)
    periods : array, shape (n, W)
        Of a_i.
    centre, centre_var : arrays, shape ()
        Step of mu_r, and its variance.
    """

    shared: jax.Array
    slope: jax.Array
    season: jax.Array
    periods: jax.Array
    centre: jax.Array
    centre_var: jax.Array


class Moved(NamedTuple):
    """Sums over rows, of e, l and log r_iz - mu_r: E square after and before a step, and freedom; shape (3,)."""

    squares: jax.Array
    squares_before: jax.Array
    freedom: jax.Array
