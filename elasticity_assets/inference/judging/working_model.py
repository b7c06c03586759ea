"""A fit's working linear model, solved with further controls: what they would change, without another fit.

Where a fit has converged, its likelihood is that of a Gaussian regression: of the working response eta + g/h, with
precisions h (iteratively reweighted least squares; McCullagh and Nelder 1989, 2.5). Scales, dispersions and slow
demand's persistence stay as the fit found them. Controls that the fit did not have then cost one solve, in closed form,
and their effects by their standard errors are a score test of whether it should have had them (Rao 1948).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from elasticity_assets.inference.cell_weights import CellWeights, weighed
from elasticity_assets.inference.panel import Panel
from elasticity_assets.inference.posterior import CategoryPosterior
from elasticity_assets.inference.priors import Priors
from elasticity_assets.inference.season import sine_and_cosine

_ADDED_VAR = 100.0
"""Prior variance of the effects of what is added: they speak for themselves."""
_AT_ONCE = 300_000
"""Numbers of regressors that are worked on together."""
_SMALLEST_SD = 1e-3  # of slow demand, log units
_LARGEST_ETA = 30.0


@dataclass(frozen=True)
class Solution:
    """The working model's posterior with some further controls.

    Attributes
    ----------
    effect : float array, shape (m,)
        Of the controls added.
    cov : float array, shape (m, m)
        Of the effects, under the model.
    robust_cov : float array, shape (m, m)
        The same where the errors of a product go together as they like (Liang and Zeger 1986).
    category_mean, category_sd : float
        Of the category's elasticity.
    product_mean, product_sd : float arrays, shape (n,)
        Of the products'.
    """

    effect: np.ndarray
    cov: np.ndarray
    robust_cov: np.ndarray
    category_mean: float
    category_sd: float
    product_mean: np.ndarray
    product_sd: np.ndarray

    def z(self, share: np.ndarray) -> float:
        """Give a weighted sum of the effects in standard errors, of which the larger counts.

        Parameters
        ----------
        share : float array, shape (m,)
        """
        var = max(share @ self.cov @ share, share @ self.robust_cov @ share)
        return float(share @ self.effect / np.sqrt(var))


@dataclass(frozen=True)
class WorkingModel:
    """The working model of one category, with all controls that might be added.

    Products have d unknowns of their own, theta_i: slope, season, level. Shared ones are s: the category's elasticity,
    the mean level, effects of controls, effects of what might be added, and period effects; S in all.

    Attributes
    ----------
    response : float array, shape (n, T)
        Working response; 0 in cells that do not count.
    precision : float array, shape (n, T)
        h, 0 in those cells.
    own : float array, shape (n, T, d)
        Regressors of theta_i.
    controls : float array, shape (n, T, K + m)
        Those of the fit, and those that might be added.
    n_added : int
        m.
    innovation_var : float array, shape (n,)
        sigma_i^2 (1 - phi^2) of slow demand; shape (0,) where the model has none.
    persistence : float
        phi.
    own_precision : float array, shape (d,)
        Prior precisions of theta_i, the first and the last around the category's elasticity and the mean level.
    shared_precision, shared_mean : float arrays, shape (S,)
        Prior of s.
    experiment : float array, shape (n, 2)
        What was found elsewhere of the products' elasticities, and its precision.
    category_experiment : float array, shape (2,)
        The same of the category's.
    """

    response: np.ndarray
    precision: np.ndarray
    own: np.ndarray
    controls: np.ndarray
    n_added: int
    innovation_var: np.ndarray
    persistence: float
    own_precision: np.ndarray
    shared_precision: np.ndarray
    shared_mean: np.ndarray
    experiment: np.ndarray
    category_experiment: np.ndarray

    @classmethod
    def of(
        cls, panel: Panel, posterior: CategoryPosterior, priors: Priors, added: Sequence[np.ndarray]
    ) -> "WorkingModel":
        """Take it from a fit.

        Parameters
        ----------
        panel : Panel
            What was fitted.
        posterior : CategoryPosterior
        priors : Priors
        added : sequence of float arrays, shape (n, T)
            Controls that might be added.
        """
        n, T = panel.n_products, panel.n_periods
        weight = weighed(panel, CellWeights.of(posterior)).weight[:n, :T].astype(np.float64)
        log_price = panel.centred_log_price() if priors.centred_price else panel.log_price
        parts = [log_price[:n, :T].astype(np.float64)]
        has_season = bool(len(posterior.season))
        parts += [np.tile(wave, (n, 1)) for wave in sine_and_cosine(panel.period) if has_season]
        own = np.stack([*parts, np.ones((n, T))], axis=2)
        given = panel.controls[:n, :T].astype(np.float64)
        season = posterior.season.T if has_season else ()
        at_mean = [posterior.weight @ posterior.product_mean, *season, posterior.level]
        eta = np.einsum("ntd,dn->nt", own, np.stack(at_mean)) + given @ (
            posterior.weight @ posterior.control_mean
        )
        eta = eta + posterior.period_effect + (posterior.slow_demand if posterior.slow_demand.size else 0.0)
        gradient, curvature = _derivatives(
            panel.units[:n, :T].astype(np.float64),
            np.minimum(eta, _LARGEST_ETA),
            posterior.dispersion[:, None],
            zero_truncated=panel.zero_truncated,
        )
        K, m = given.shape[2], len(added)
        var = np.concatenate(
            [
                [posterior.prior_var, max(priors.level_sd, _SMALLEST_SD) ** 2],
                np.full(K, priors.control_sd**2),
                np.full(m, _ADDED_VAR),
                np.full(T, max(posterior.period_spread, _SMALLEST_SD) ** 2),
            ]
        )
        mean = np.zeros(len(var))
        mean[:2] = posterior.prior_mean, priors.level_mean
        seasons = [posterior.season_spread] * (own.shape[2] - 2)
        spread = np.array([posterior.product_spread(), *seasons, posterior.level_spread])
        sd = np.maximum(posterior.slow_demand_sd, _SMALLEST_SD)
        return cls(
            np.where(weight > 0, eta + gradient / curvature, 0.0),
            weight * curvature,
            own,
            np.concatenate([given, *(np.asarray(values)[..., None] for values in added)], axis=2),
            m,
            sd**2 * (1.0 - posterior.slow_demand_persistence**2),
            posterior.slow_demand_persistence,
            np.maximum(spread, _SMALLEST_SD) ** -2,
            1.0 / var,
            mean,
            panel.experiments()[:n],
            panel.category_experiment,
        )

    def solve(self, chosen: Sequence[int] = ()) -> Solution:
        """Solve with some of the controls that might be added, by their numbers."""
        n, T, d = self.own.shape
        m, sums = self.n_added, self._sums
        K = self.controls.shape[2] - m
        columns = [*range(K), *(K + number for number in chosen)]
        # Those of s among all that there might be: beside the two means, controls and period effects.
        taken = [*columns, *range(K + m, K + m + T)]
        shared = [0, 1, *(2 + column for column in taken)]
        size = len(shared)
        prior = self.shared_precision[shared]
        total, pull = np.diag(prior), prior * self.shared_mean[shared]
        total[2:, 2:] += sums.total[np.ix_(taken, taken)]
        pull[2:] += sums.pull[taken]
        found, precision = self.category_experiment
        total[0, 0] += n * self.own_precision[0] + precision
        pull[0] += precision * found
        total[1, 1] += n * self.own_precision[-1]
        border = np.zeros((n, d, size))
        border[:, :, 2:] = sums.border[:, :, taken]
        border[:, 0, 0] -= self.own_precision[0]
        border[:, -1, 1] -= self.own_precision[-1]
        inverse, own_pull = sums.inverse, sums.own_pull
        solved = inverse @ border
        flat = border.reshape(n * d, size)
        total -= flat.T @ solved.reshape(n * d, size)
        pull -= np.einsum("nds,nd->s", solved, own_pull)
        cov = np.linalg.inv(total)
        s = cov @ pull
        theta = np.einsum("nde,ne->nd", inverse, own_pull) - solved @ s
        slope = solved[:, 0]
        var = inverse[:, 0, 0] + np.einsum("ns,st,nt->n", slope, cov, slope, optimize=True)
        middle = slice(2 + K, 2 + len(columns))
        return Solution(
            s[middle],
            cov[middle, middle],
            self._robust_cov(columns, cov[:, middle], solved, s, theta),
            float(s[0]),
            float(np.sqrt(cov[0, 0])),
            theta[:, 0],
            np.sqrt(var),
        )

    @cached_property
    def _sums(self) -> "_Sums":
        """What the data say, with all controls that there might be: every choice of them is solved from it."""
        n, T, d = self.own.shape
        K = self.controls.shape[2]
        inverse, border, own_pull = np.zeros((n, d, d)), np.zeros((n, d, K + T)), np.zeros((n, d))
        total, pull = np.zeros((K + T, K + T)), np.zeros(K + T)
        step = max(_AT_ONCE // (T * (d + K + 1)), 1)
        for rows in (slice(begin, begin + step) for begin in range(0, n, step)):
            own, controls = self.own[rows], self.controls[rows]
            values = np.concatenate([own, controls, self.response[rows][..., None]], axis=2)
            noise = self._noise(rows)
            of_own, of_controls, of_response = np.split(noise.precision_times(values), [d, d + K], axis=2)
            found, precision = self.experiment[rows].T
            block = np.swapaxes(own, 1, 2) @ of_own + np.diag(self.own_precision)
            block[:, 0, 0] += precision
            inverse[rows] = np.linalg.inv(block)
            border[rows, :, :K] = np.swapaxes(own, 1, 2) @ of_controls
            border[rows, :, K:] = np.swapaxes(of_own, 1, 2)
            own_pull[rows] = np.einsum("ntd,nt->nd", own, of_response[..., 0])
            own_pull[rows, 0] += precision * found
            with_controls = of_controls.sum(axis=0)
            total[:K, :K] += np.einsum("nta,ntb->ab", controls, of_controls, optimize=True)
            total[K:, :K] += with_controls
            total[:K, K:] += with_controls.T
            pull[:K] += np.einsum("nta,nt->a", controls, of_response[..., 0])
            pull[K:] += of_response[..., 0].sum(axis=0)
        total[K:, K:] += self._noise(slice(None)).total_precision()
        return _Sums(inverse, border, own_pull, total, pull)

    def strength(self, number: int) -> tuple[float, float]:
        """Shares that one of the added controls explains of what the rest leaves of sales and of prices.

        Partial R^2: of sales beside prices, t^2 / (t^2 + cells); of prices, the squared correlation of its effect with
        the elasticity, where all products have the same (Cinelli and Hazlett 2020).

        Parameters
        ----------
        number : int
            Of the control that might be added.
        """
        solved = self.solve([number])
        t_squared = float(solved.effect[0] ** 2 / solved.cov[0, 0])
        of_sales = t_squared / (t_squared + np.count_nonzero(self.precision))
        same = self.with_one_slope()
        alone, beside = same.solve(), same.solve([number])
        of_prices = 1.0 - (alone.category_sd / beside.category_sd) ** 2
        return of_sales, of_prices

    def of_sales_alone(self) -> "WorkingModel":
        """Give the model without what was found elsewhere; the model itself where nothing was."""
        if not (self.experiment[:, 1].any() or self.category_experiment[1]):
            return self
        return replace(self, experiment=np.zeros_like(self.experiment), category_experiment=np.zeros(2))

    def with_one_slope(self) -> "WorkingModel":
        """Give the model of the sales alone in which all products have the category's elasticity."""
        same = np.concatenate([[_SMALLEST_SD**-2], self.own_precision[1:]])
        return replace(self.of_sales_alone(), own_precision=same)

    def _robust_cov(
        self,
        columns: Sequence[int],
        of_effects: np.ndarray,
        solved: np.ndarray,
        s: np.ndarray,
        theta: np.ndarray,
    ) -> np.ndarray:
        """Sum of squares of what each product adds to the effects, by its errors; shape (m, m)."""
        n = len(theta)
        residual = self.response - np.einsum("ntd,nd->nt", self.own, theta) - s[2 + len(columns) :]
        residual = residual - self.controls[:, :, columns] @ s[2 : 2 + len(columns)]
        # What is left of each regressor, less what the others say of it.
        left = (
            self.controls[:, :, columns] @ of_effects[2 : 2 + len(columns)] + of_effects[2 + len(columns) :]
        )
        left = left - self.own @ (solved @ of_effects)
        weighted = self._noise(slice(None)).precision_times(residual[..., None])[..., 0]
        score = np.einsum("ntm,nt->nm", left, weighted)
        return score.T @ score * n / max(n - 1, 1)

    def _noise(self, rows: slice) -> "_Noise":
        var = self.innovation_var[rows] if len(self.innovation_var) else None
        return _Noise(self.precision[rows], var, self.persistence)


class _Sums(NamedTuple):
    """Sums over cells under their precision M, of products' regressors, and of controls and period effects.

    Attributes
    ----------
    inverse : float array, shape (n, d, d)
        Of the products' blocks, their prior included.
    border : float array, shape (n, d, K + m + T)
    own_pull : float array, shape (n, d)
    total : float array, shape (K + m + T, K + m + T)
    pull : float array, shape (K + m + T,)
    """

    inverse: np.ndarray
    border: np.ndarray
    own_pull: np.ndarray
    total: np.ndarray
    pull: np.ndarray


class _Noise:
    """Slow demand and the noise of the cells together: M = H - H (Q + H)^-1 H, of some products.

    Parameters
    ----------
    precision : float array, shape (n, T)
        h.
    innovation_var : float array, shape (n,), or None
        None where there is no slow demand: M = H.
    persistence : float
    """

    def __init__(self, precision: np.ndarray, innovation_var: np.ndarray | None, persistence: float) -> None:
        self.precision, self._unit, self._persistence = precision, innovation_var, persistence
        if innovation_var is None:
            return
        T = precision.shape[1]
        # Q + H in units of Q's own scale: tridiagonal, -phi beside the diagonal. A period alone is both ends.
        own = np.full(T, 1.0 + persistence**2)
        own[[0, -1]] = 1.0 if T > 1 else 1.0 - persistence**2
        self._pivot = own + innovation_var[:, None] * precision
        for t in range(1, T):
            self._pivot[:, t] -= persistence**2 / self._pivot[:, t - 1]

    def precision_times(self, values: np.ndarray) -> np.ndarray:
        """M times values, shape (n, T, c)."""
        weighted = self.precision[..., None] * values
        if self._unit is None:
            return weighted
        return weighted - self.precision[..., None] * self._smoothed(self._unit[:, None, None] * weighted)

    def total_precision(self) -> np.ndarray:
        """Sum of M over the products, shape (T, T).

        By the inverse's diagonal and the pivots' ratios (docs/model.md), which takes no solve a product.
        """
        total = np.diag(self.precision.sum(axis=0))
        if self._unit is None:
            return total
        # Products last: sums over them are of contiguous numbers.
        left, pivot = self.precision.T.copy(), np.ascontiguousarray(self._pivot.T)
        ratio, inverse = self._persistence / pivot, 1.0 / pivot
        for t in range(len(inverse) - 2, -1, -1):
            inverse[t] += ratio[t] ** 2 * inverse[t + 1]
        right = self._unit * inverse * left
        for lag in range(len(left)):
            if lag:
                left = left[:-1] * ratio[lag - 1 : -1]
            shared = np.einsum("tn,tn->t", left, right[lag:])
            period = np.arange(len(shared))
            total[period, period + lag] -= shared
            if lag:
                total[period + lag, period] -= shared
        return total

    def _smoothed(self, values: np.ndarray) -> np.ndarray:
        """Solve the tridiagonal equations, by elimination along the periods."""
        by_period = np.ascontiguousarray(np.moveaxis(values, 1, 0))
        pivot = self._pivot.T[..., None]
        ratio = self._persistence / pivot
        for t in range(1, len(by_period)):
            by_period[t] += ratio[t - 1] * by_period[t - 1]
        by_period[-1] /= pivot[-1]
        for t in range(len(by_period) - 2, -1, -1):
            by_period[t] = by_period[t] / pivot[t] + ratio[t] * by_period[t + 1]
        return np.moveaxis(by_period, 0, 1)


def _derivatives(
    units: np.ndarray, eta: np.ndarray, size: np.ndarray, *, zero_truncated: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Take the derivative of the log likelihood by eta, and its variance, the expected curvature."""
    mean = np.exp(eta)
    finite = np.where(np.isfinite(size), size, 1.0)
    share = np.where(np.isfinite(size), finite / (finite + mean), 1.0)
    var = mean + np.where(np.isfinite(size), mean**2 / finite, 0.0)
    if zero_truncated:
        log_zero = np.where(np.isfinite(size), -finite * np.log1p(mean / finite), -mean)
        some = -np.expm1(log_zero)
        truncated = mean / some
        var = (var + mean**2) / some - truncated**2
        mean = truncated
    return share * (units - mean), np.maximum(share**2 * var, 1e-12)
