"""Programs that a run will need after its first fits, compiled beside them: compiling one keeps one core busy."""

import threading
from collections.abc import Sequence
from contextlib import suppress

import numpy as np

from elasticity_assets.inference.options import Likelihood, NaturalGradientOptions
from elasticity_assets.inference.panel import Panel
from elasticity_assets.inference.priors import Priors

_begun = threading.Lock()
"""Held for good by the first who compiles ahead: later shapes' programs are compiled beside other categories' fits."""


def compile_ahead(
    panel: Panel,
    priors: Priors,
    likelihood: Likelihood,
    options: NaturalGradientOptions,
    *,
    rivals: bool,
    two_slopes: bool,
) -> None:
    """Begin to compile, in a thread, programs for a panel's shape; once a process, and on one device only.

    Not for panels of more products than held-out evaluation takes: its rivals have another shape then, and the one pass
    that compiles takes the memory of a fit.

    Parameters
    ----------
    panel : Panel
    priors : Priors
    likelihood : {'negative_binomial', 'poisson'}
    options : NaturalGradientOptions
    rivals : bool
        Whether held-out evaluation will follow, whose rivals have no slow demand.
    two_slopes : bool
        Whether both slopes of categories with regular prices will be fitted.
    """
    import jax  # noqa: PLC0415

    from elasticity_assets.inference.judging.heldout import MOST, rival_priors  # noqa: PLC0415
    from elasticity_assets.inference.natural_gradient.engine import Problem  # noqa: PLC0415

    if panel.n_products > MOST.products or jax.device_count() > 1 or not _begun.acquire(blocking=False):
        return
    problems: list[tuple[Priors, Sequence[np.ndarray] | None]] = []
    if rivals:
        problems.append((rival_priors(priors)[0], None))
    if two_slopes and panel.has_regular_price:
        problems.append((priors, (panel.log_regular_price, panel.log_discount())))

    def compile_all() -> None:
        for of_problem, regressors in problems:
            # Who needs the program meets the same error, and says so.
            with suppress(ArithmeticError, ValueError, MemoryError, jax.errors.JaxRuntimeError):
                problem = Problem(panel, of_problem, likelihood, options.max_passes, regressors)
                problem.run(problem.start(None), 1.0, float("inf"))  # one pass

    if problems:
        threading.Thread(target=compile_all, name="compile ahead").start()
