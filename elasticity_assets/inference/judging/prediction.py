"""What a fit predicts for cells: the distribution of their units, posterior uncertainty included.

Given eta and log r, units are Poisson or negative binomial; eta ~ N(m, v) and log r ~ N(., .) are averaged over by
Gauss-Hermite quadrature. Distribution functions are continued between whole numbers, where units are fractional:
P(Y <= y) is the regularized incomplete beta function I_p(r, y + 1), p = r/(r + mu), or the gamma function Q(y + 1, mu).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from scipy.special import betainc, gammainc, gammaincc, gammaln, ndtri

from elasticity_assets.inference.natural_gradient.result import FittedCells

_NODES = 7, 3  # of the quadratures over eta and log r
_COARSE = 3, 1  # enough for medians, which tails and the spread of r hardly move
_LARGEST_ETA = 40.0
_MOST_AT_ONCE = 20_000  # cells
_LOOKS = 4  # at the distribution function, to find a median
_LEAST = -7.0  # log(units + 1)
_SMALLEST = 1e-12  # probability
_MEDIAN_TOLERANCE = 5e-4  # units, and a fiftieth of it of the median
_OF_CELLS = "mean", "var", "log_size", "log_size_sd"


@dataclass(frozen=True)
class Predictive:
    """Predictive distributions of the units of m cells.

    Attributes
    ----------
    mean, var : float arrays, shape (m,)
        Of eta, log expected units.
    log_size, log_size_sd : float arrays, shape (m,)
        Of log r; infinite and 0 for Poisson.
    zero_truncated : bool
        Whether the units are known to be positive.
    """

    mean: np.ndarray
    var: np.ndarray
    log_size: np.ndarray
    log_size_sd: np.ndarray
    zero_truncated: bool

    def __getitem__(self, cells: np.ndarray | slice) -> "Predictive":
        """Take some of the cells."""
        return replace(self, **{name: getattr(self, name)[cells] for name in _OF_CELLS})

    def log_probability(self, units: np.ndarray) -> np.ndarray:
        """Log predictive probability of the units sold, shape (m,); a density where units are fractional."""
        return _in_chunks(_log_probability, self, units)

    def log_unsold(self) -> np.ndarray:
        """Log P(Y = 0) before truncation, shape (m,)."""
        return _in_chunks(_log_unsold, self, np.zeros(len(self.mean)))

    def cdf(self, units: np.ndarray) -> np.ndarray:
        """P(Y <= units), shape (m,), for units above -1."""
        return _in_chunks(_Nodes.cdf, self, units)

    def survival(self, units: np.ndarray) -> np.ndarray:
        """P(Y > units), shape (m,), exact where it is small."""
        return _in_chunks(_Nodes.survival, self, units)

    def median(self, *, whole: bool) -> np.ndarray:
        """Predictive median, shape (m,); a whole number if `whole`."""
        middle = _in_chunks(_median, self, self.mean, _COARSE)
        if not whole:
            return np.maximum(middle + 0.5, 0.0)
        resolution = _MEDIAN_TOLERANCE * (2.0 + 0.04 * middle)
        return np.maximum(np.ceil(middle - resolution), 1.0 if self.zero_truncated else 0.0)

    def pit(self, units: np.ndarray, log_probability: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Probability integral transform: uniform on (0, 1) if the predictions are right; shape (m,).

        Randomised for whole numbers (Czado, Gneiting and Held 2009, "Predictive model assessment for count data", 2.1);
        for others the continued distribution function, half a unit back.

        Parameters
        ----------
        units : array, shape (m,)
        log_probability : array, shape (m,)
            As `log_probability` of the same units gives it.
        rng : Generator
        """
        whole = units == np.round(units)
        below = self.cdf(units - np.where(whole, 0.0, 0.5))
        own = (1.0 - rng.random(len(units))) * np.exp(log_probability)
        return np.where(whole, np.maximum(below - own, 0.0), below)

    def tail_score(self, units: np.ndarray) -> np.ndarray:
        """How far out units lie, as a normal deviate of the smaller tail's probability, shape (m,); 0 at the median."""
        tail = np.full(len(units), 0.5)
        # Before truncation a median lies below the mean, or at most a third of a unit above.
        most = np.exp(np.minimum(self.mean + 0.5 * self.var, _LARGEST_ETA)) + 1.0
        low = np.flatnonzero((units <= most) | self.zero_truncated)
        tail[low] = self[low].cdf(units[low])
        # Only where P(Y <= units) exceeds a half can P(Y >= units) be less.
        high = np.flatnonzero((tail >= 0.5) & (units > 0))
        tail[high] = np.minimum(tail[high], self[high].survival(units[high] - 1.0))
        return -ndtri(np.clip(tail, 1e-300, 0.5))


def of_cells(
    fitted: FittedCells,
    row: np.ndarray,
    column: np.ndarray,
    *,
    zero_truncated: bool,
) -> Predictive:
    """Predictive distributions of some cells.

    Parameters
    ----------
    fitted : FittedCells
    row, column : int arrays, shape (m,)
        The cells' products and periods.
    zero_truncated : bool
        Whether they are known to have been sold.
    """
    size, size_sd = np.log(fitted.dispersion), fitted.log_dispersion_sd
    return Predictive(
        fitted.log_mean[row, column],
        fitted.log_mean_var[row, column],
        size[row],
        size_sd[row],
        zero_truncated,
    )


def together(parts: Sequence[Predictive]) -> Predictive:
    """Put the cells of several together, in their order; at least one, all truncated or none."""
    mean, var, log_size, log_size_sd = (
        np.concatenate([getattr(part, name) for part in parts]) for name in _OF_CELLS
    )
    return Predictive(mean, var, log_size, log_size_sd, parts[0].zero_truncated)


def _in_chunks(
    function: Callable[["_Nodes", np.ndarray], np.ndarray],
    cells: Predictive,
    units: np.ndarray,
    nodes: tuple[int, int] = _NODES,
) -> np.ndarray:
    """Apply to so many cells at a time that memory stays small."""
    units = np.asarray(units, np.float64)
    starts = range(0, len(units), _MOST_AT_ONCE)
    parts = [slice(start, start + _MOST_AT_ONCE) for start in starts]
    return np.concatenate(
        [function(_Nodes(cells[part], *nodes), units[part]) for part in parts] or [np.zeros(0)]
    )


class _Nodes:
    """Nodes of the quadrature: expected units (m, e, 1), sizes (m, 1, s), and weights (e, s)."""

    def __init__(self, cells: Predictive, of_eta: int, of_size: int) -> None:
        self.cells = cells
        at, weight = _gauss(of_eta)
        self.poisson = not np.isfinite(cells.log_size).all()
        self.truncated = cells.zero_truncated
        eta = cells.mean[:, None] + np.sqrt(cells.var)[:, None] * at
        self.mu = np.exp(np.minimum(eta, _LARGEST_ETA))[..., None]
        self.size, self.weight = np.ones((1, 1, 1)), weight[:, None]
        if not self.poisson:
            at, of_sizes = _gauss(of_size)
            self.size = np.exp(cells.log_size[:, None] + cells.log_size_sd[:, None] * at)[:, None]
            self.weight = np.outer(weight, of_sizes)
        self.zero, self.some = np.zeros((1, 1, 1)), np.ones((1, 1, 1))
        if self.truncated:  # P(Y = 0) before truncation, and P(Y > 0)
            log_zero = self.log_zero()
            self.zero, self.some = np.exp(log_zero), -np.expm1(log_zero)

    def log_zero(self) -> np.ndarray:
        """Log probability of 0 units at the nodes, before truncation."""
        return -self.mu if self.poisson else -self.size * np.log1p(self.mu / self.size)

    def cdf(self, units: np.ndarray) -> np.ndarray:
        above = np.maximum(units, -1.0)[:, None, None] + 1.0
        if self.poisson:
            value = gammaincc(np.maximum(above, 1e-12), self.mu)
        else:
            value = betainc(self.size, np.maximum(above, 1e-12), self.size / (self.size + self.mu))
        return self._conditioned(np.where(above > 0, value, 0.0), self.zero)

    def survival(self, units: np.ndarray) -> np.ndarray:
        above = np.maximum(units, -1.0)[:, None, None] + 1.0
        if self.poisson:
            value = gammainc(np.maximum(above, 1e-12), self.mu)
        else:
            # 1 - I_p(r, y + 1), turned round: ten times as fast as betaincc, and as exact.
            value = betainc(np.maximum(above, 1e-12), self.size, self.mu / (self.size + self.mu))
        return self._conditioned(np.where(above > 0, value, 1.0), np.zeros((1, 1, 1)))

    def average(self, value: np.ndarray) -> np.ndarray:
        """Average over the nodes, shape (m,)."""
        return value.reshape(len(value), -1) @ self.weight.ravel()

    def _conditioned(self, value: np.ndarray, below: np.ndarray) -> np.ndarray:
        """Condition on a sale, where truncated, and average over the nodes."""
        if self.truncated:
            value = (value - below) / np.maximum(self.some, 1e-300)
        return self.average(np.clip(value, 0.0, 1.0))


@cache
def _gauss(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights of a standard normal."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(count)
    return nodes, weights / weights.sum()


def _log_probability(nodes: _Nodes, units: np.ndarray) -> np.ndarray:
    y, mu, r = units[:, None, None], nodes.mu, nodes.size
    if nodes.poisson:
        value = y * np.log(mu) - mu - gammaln(y + 1.0)
    else:
        value = gammaln(y + r) - gammaln(r) - gammaln(y + 1.0)
        value = value - r * np.log1p(mu / r) - y * np.log1p(r / mu)
    if nodes.truncated:
        value = value - np.log(np.maximum(nodes.some, 1e-300))
    return _log_average(nodes, value)


def _log_unsold(nodes: _Nodes, _units: np.ndarray) -> np.ndarray:
    return _log_average(nodes, nodes.log_zero())


def _log_average(nodes: _Nodes, value: np.ndarray) -> np.ndarray:
    """Average probabilities over the nodes by their logs."""
    highest = value.max(axis=(1, 2), keepdims=True)
    return highest[:, 0, 0] + np.log(nodes.average(np.exp(value - highest)))


def _median(nodes: _Nodes, _log_units: np.ndarray) -> np.ndarray:
    """Where the continued distribution function passes a half, by the secant method.

    The normal deviate of P(Y <= y) is all but linear in log(y + 1): a few looks find where it is 0.
    """
    mean, most = np.exp(nodes.cells.mean), np.log(3.0 * (nodes.mu[..., 0] @ nodes.weight.sum(axis=1)) + 4.0)
    of_size = np.log1p(np.exp(-nodes.cells.log_size))
    at = np.clip(np.log1p(mean * np.exp(-0.5 * of_size)), _LEAST, most)
    slope = 1.0 / np.sqrt(nodes.cells.var + of_size + np.log1p(1.0 / mean))

    def deviate(at: np.ndarray) -> np.ndarray:
        return ndtri(np.clip(nodes.cdf(np.expm1(at)), _SMALLEST, 1.0 - _SMALLEST))

    here = deviate(at)
    for _ in range(_LOOKS - 1):
        then = np.clip(at - here / slope, _LEAST, most)
        there = deviate(then)
        rise, run = there - here, then - at
        slope = np.where(rise * run > 0, rise / np.where(run == 0, 1.0, run), slope)
        at, here = then, there
    return np.expm1(np.clip(at - here / slope, _LEAST, most))
