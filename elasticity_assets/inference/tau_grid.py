"""Integrating over tau: where to put the grid's points, and what each one weighs."""

from collections.abc import Callable

import numpy as np
from scipy.interpolate import CubicSpline

_NEGLIGIBLE = 6.0  # nats below the highest point


def default_points(products: int) -> int:
    """Most points of the grid: with many products tau is known well, and matters less."""
    return 15 if products < 100 else 7 if products < 500 else 3


def spacing(points: int, sd: float) -> float:
    """Distance between neighbouring points of a grid for a density of this sd.

    For a Gaussian it balances what the grid cuts off against what it steps over.
    """
    return float(np.sqrt(4.0 * np.pi / points) * sd)


def walk(
    gradient_at: Callable[[float], float], mode: float, step: float, most: int
) -> tuple[np.ndarray, np.ndarray]:
    """Lay points outwards from `mode` until the density is negligible.

    Parameters
    ----------
    gradient_at : callable
        d log posterior / d log tau at a log tau.
    mode : float
        log tau to start from.
    step : float
    most : int
        Points at most.

    Returns
    -------
    log_tau, gradient : arrays, shape (G,)
        Ascending.
    """
    log_tau, gradient = [mode], [gradient_at(mode)]
    drop = {1: 0.0, -1: 0.0}
    end = {1: (mode, gradient[0]), -1: (mode, gradient[0])}
    while len(log_tau) < most:
        open_sides = [side for side in (1, -1) if drop[side] < _NEGLIGIBLE]
        if not open_sides:
            break
        side = min(open_sides, key=drop.__getitem__)
        at, slope = end[side]
        point = at + side * step
        new = gradient_at(point)
        if not np.isfinite(new):
            drop[side] = np.inf
            continue
        log_tau.append(point)
        gradient.append(new)
        drop[side] -= side * step * 0.5 * (slope + new)
        end[side] = (point, new)
    order = np.argsort(log_tau)
    return np.array(log_tau)[order], np.array(gradient)[order]


def weights(log_tau: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    """Probabilities of evenly spaced points from the gradient of the log density, shape (G,).

    Parameters
    ----------
    log_tau : array, shape (G,)
        Ascending.
    gradient : array, shape (G,)
    """
    if len(log_tau) == 1:
        return np.ones(1)
    log_density = CubicSpline(log_tau, gradient, bc_type="natural").antiderivative()(log_tau)
    weight = np.exp(log_density - log_density.max())
    return weight / weight.sum()
