"""Programs that a run will need after its first fits, compiled beside them: compiling one keeps one core busy."""

import threading
from collections.abc import Sequence
from contextlib import suppress

import numpy as np

from elasticity_assets.inference.options import Likelihood, NaturalGradientOptions
from elasticity_assets.inference.panel import Panel
from elasticity_assets.inference.priors import Priors

_MOST_CELLS = 200_000
"""Of a panel fitted as a whole: a larger one's program would take as much memory again beside its fit."""
_begun = threading.Lock()
"""Held for good by the first who compiles ahead: later shapes' programs are compiled beside other categories' fits."""


def compile_ahead(
    panel: Panel,
    priors: Priors,
    likelihood: Likelihood,
    options: NaturalGradientOptions,
    *,
    judged: int,
    two_slopes: bool,
) -> None:
    """Begin to compile, in a thread, programs that follow a panel's fit; once a process, and on one device only.

    Held-out evaluation takes a sample of a large category's products, of another shape.

    Parameters
    ----------
    panel : Panel
    priors : Priors
    likelihood : {'negative_binomial', 'poisson'}
    options : NaturalGradientOptions
    judged : int
        How many categories held-out evaluation will judge next; its rivals have no slow demand.
    two_slopes : bool
        Whether both slopes of categories with regular prices will be fitted.
    """
    import jax  # noqa: PLC0415

    from elasticity_assets.inference.judging.heldout import Effort, rival_priors  # noqa: PLC0415
    from elasticity_assets.inference.natural_gradient.engine import Problem  # noqa: PLC0415

    if jax.device_count() > 1 or not _begun.acquire(blocking=False):
        return
    problems: list[tuple[Panel, Priors, Sequence[np.ndarray] | None]] = []
    if judged:
        part = Effort.for_each_of(judged).judged(panel)
        problems.append((part, rival_priors(priors)[0], None))
        if part.units.shape != panel.units.shape:
            problems.append((part, priors, None))
    if two_slopes and panel.has_regular_price and panel.units.size <= _MOST_CELLS:
        problems.append((panel, priors, (panel.log_regular_price, panel.log_discount())))

    def compile_all() -> None:
        for of_problem, own, regressors in problems:
            # Who needs the program meets the same error, and says so.
            with suppress(ArithmeticError, ValueError, MemoryError, jax.errors.JaxRuntimeError):
                problem = Problem(of_problem, own, likelihood, options.max_passes, regressors)
                problem.run(problem.start(None), 1.0, float("inf"))  # compiled, and no pass made

    if problems:
        threading.Thread(target=compile_all, name="compile ahead").start()
