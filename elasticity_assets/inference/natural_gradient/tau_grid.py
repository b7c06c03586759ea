"""Integrating over tau: where to put the grid's points, and what each one weighs."""

from collections.abc import Callable
from typing import TypeVar

import numpy as np

from elasticity_assets.inference.natural_gradient.scales import ScalePriors
from elasticity_assets.inference.natural_gradient.state import AnyRun, State
from elasticity_assets.inference.options import Progress

OneRun = TypeVar("OneRun", bound=AnyRun)

_NEGLIGIBLE = 6.0  # nats below the highest point


def default_points(products: int) -> int:
    """Most points of the grid: with many products tau is known well, and matters less."""
    return 15 if products < 100 else 7 if products < 500 else 3


def most_points(asked: int | None, products: int, scale: ScalePriors) -> int:
    """Most points of the grid: as many as asked for, or the default; one where tau is known."""
    return (asked or default_points(products)) if scale.learned[0] else 1


def at_tau(state: State, log_tau: float) -> State:
    """Put the first slope's tau elsewhere."""
    log_scale = np.array(state.log_scale)
    log_scale[0] = log_tau
    return state._replace(log_scale=log_scale)


def over_tau(
    run_at: Callable[[OneRun, float], OneRun],
    mode: OneRun,
    most: int,
    log_base: float,
    on_progress: Progress | None = None,
) -> tuple[list[OneRun], np.ndarray, int]:
    """Go over a grid of the first slope's tau, the other scales held at the mode.

    Parameters
    ----------
    run_at : callable
        Goes on from another run, near by, at a log tau.
    mode : Run
        At the mode of all scales.
    most : int
        Points at most.
    log_base : float
        Part of the log likelihood that holds no parameter.
    on_progress : callable, optional
        Called with (passes done, ELBO) at each point.

    Returns
    -------
    runs : list of Run
        One a point of the grid, by ascending tau.
    weight : array, shape (G,)
        The points' probabilities.
    mode_at : int
        Which point is the mode.
    """
    centre = float(np.asarray(mode.state.log_scale)[0])  # indexed on the device, it would be compiled
    points = {centre: mode}
    passes = 0

    def gradient_at(log_tau: float) -> float:
        nonlocal passes
        if log_tau not in points:
            near = points[min(points, key=lambda known: abs(known - log_tau))]
            points[log_tau] = run_at(near, log_tau)
        run = points[log_tau]
        passes += int(run.passes)
        if on_progress is not None:
            on_progress(passes, float(run.found.objective) + log_base)
        return float(run.found.tau_gradient)

    step = spacing(most, 1.0 / np.sqrt(float(mode.found.tau_information)))
    log_tau, gradient = walk(gradient_at, centre, step, most)
    runs = [points[point] for point in log_tau]
    return runs, weights(log_tau, gradient), list(log_tau).index(centre)


def power_mean(
    gradient_at: Callable[[float], float], log_scale: float, information: float, power: float, most: int
) -> float:
    """Posterior mean of a power of a scale, as a scale.

    Parameters
    ----------
    gradient_at : callable
        As of `walk`.
    log_scale : float
        The mode of its log.
    information : float
        Rough inverse of the log's posterior variance.
    power : float
    most : int
        Points at most.
    """
    at, gradient = walk(gradient_at, log_scale, spacing(most, 1.0 / np.sqrt(information)), most)
    return float((weights(at, gradient) @ np.exp(power * at)) ** (1.0 / power))


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
    log_density = integral(log_tau, gradient)
    weight = np.exp(log_density - log_density.max())
    return weight / weight.sum()


def integral(at: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Integrate the natural cubic spline through values at evenly spaced points, from the first to each, shape (G,).

    As `scipy.interpolate.CubicSpline`, whose import takes as long as a small fit.
    """
    points, step = len(at), (at[-1] - at[0]) / (len(at) - 1)
    bend = np.zeros(points)  # second derivatives times step^2
    system = 4.0 * np.eye(points - 2) + np.eye(points - 2, k=1) + np.eye(points - 2, k=-1)
    bend[1:-1] = np.linalg.solve(system, 6.0 * np.diff(values, 2))
    between = 0.5 * (values[1:] + values[:-1]) - (bend[1:] + bend[:-1]) / 24.0
    return np.append(0.0, np.cumsum(step * between))
