"""What can be chosen for a fit: plain values, importable without jax."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

Likelihood = Literal["negative_binomial", "poisson"]

Progress = Callable[[int, float], None]
"""Called now and then with the iterations done and the ELBO so far."""


@dataclass(frozen=True)
class SviOptions:
    """Choices of the SVI engine.

    Attributes
    ----------
    guide : {'mean_field', 'product_block', 'low_rank'}
        A Gaussian for every parameter alone, a joint one a product, or a low-rank one for all.
    loss : {'elbo', 'renyi', 'closed_form'}
        Monte Carlo ELBO, Renyi bound, or the exact expectation (Poisson and mean-field guide only).
    num_particles : int
        Draws a step of the Monte Carlo losses.
    optimizer : {'adam', 'adamw'}
        'adam' steps in units of each parameter's starting sd, and shortens its steps whenever the ELBO stands
        still; 'adamw' is optax's own, its step length falling by 1% every 1000 steps.
    learning_rate : float
        The first step length.
    eta_bounds : (float, float) or None
        Where log expected units are cut off; None, the default, is nowhere.
    max_steps : int
        Where to give up, saying so, if the stopping rule has not stopped.
    tolerance : float
        The ELBO stands still when it gains less than this many nats in a hundred steps.
    batch_products : int or None
        Products in a mini-batch; None is the full batch.
    seed : int
    """

    guide: Literal["mean_field", "product_block", "low_rank"] = "mean_field"
    loss: Literal["elbo", "renyi", "closed_form"] = "elbo"
    num_particles: int = 4
    optimizer: Literal["adam", "adamw"] = "adam"
    learning_rate: float = 0.3
    eta_bounds: tuple[float, float] | None = None
    max_steps: int = 20_000
    tolerance: float = 0.05
    batch_products: int | None = None
    seed: int = 0


@dataclass(frozen=True)
class NaturalGradientOptions:
    """Choices of the natural-gradient engine.

    Attributes
    ----------
    max_passes : int
        Passes over the data after which it gives up, saying so.
    tolerance : float
        Stop when no mean has further to go than this many posterior sds, and no scale than 10 times as many; 20 times
        as many, but no more than 0.02, at the points of tau's grid beside its mode.
    grid_points : int or None
        Points of the grid over tau; None chooses by the number of products.
    """

    max_passes: int = 200
    tolerance: float = 0.01
    grid_points: int | None = None

    def __post_init__(self) -> None:
        if self.max_passes < 2:
            raise ValueError(f"max_passes is {self.max_passes}; give at least 2")


@dataclass(frozen=True)
class NutsOptions:
    """Choices of the NUTS engine.

    Attributes
    ----------
    warmup, samples, chains : int
    target_accept : float
        In (0, 1): nearer 1 the steps are shorter, and fewer diverge.
    max_products : int
        Larger categories are refused: they would take hours.
    seed : int
    """

    warmup: int = 1000
    samples: int = 1000
    chains: int = 2
    target_accept: float = 0.85
    max_products: int = 300
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0.0 < self.target_accept < 1.0:
            raise ValueError(f"target_accept is {self.target_accept}; give a number between 0 and 1")


@dataclass(frozen=True)
class FitOptions:
    """One fit's choices.

    Attributes
    ----------
    engine : {'natural_gradient', 'svi', 'nuts'}
    likelihood : {'negative_binomial', 'poisson'}
    robust : bool
        Whether outlying product-periods count less (`weighing`).
    serial_correlation : bool
        Whether neighbouring periods' correlation widens the intervals (`weighing`).
    svi, natural_gradient, nuts
        The engines' own options.
    """

    engine: Literal["natural_gradient", "svi", "nuts"] = "natural_gradient"
    likelihood: Likelihood = "negative_binomial"
    robust: bool = False
    serial_correlation: bool = False
    svi: SviOptions = field(default_factory=SviOptions)
    natural_gradient: NaturalGradientOptions = field(default_factory=NaturalGradientOptions)
    nuts: NutsOptions = field(default_factory=NutsOptions)


ARTICLE = FitOptions(
    engine="svi",
    likelihood="poisson",
    svi=SviOptions(
        loss="renyi",
        num_particles=4,
        optimizer="adamw",
        learning_rate=0.01,
        eta_bounds=(-4.0, 20.0),
        max_steps=1_000_000,
    ),
)
"""The article's way of fitting, to go with `priors.ARTICLE`; the other settings do not matter then."""
