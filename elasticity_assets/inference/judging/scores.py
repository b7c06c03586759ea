"""Scores of held-out cells: how well a category's model predicted what it had not seen, beside its rivals."""

from dataclasses import dataclass, replace

import numpy as np

MODEL = "this model"
RIVALS = ("one slope for all products", "each product on its own", "no price effect")
FORECAST = -1
"""Stands for the fold of the last periods."""


@dataclass(frozen=True)
class HeldOut:
    """Scores of m held-out cells under the model and its R rivals.

    Attributes
    ----------
    category : str
    product : array of str, shape (n,)
        The products judged.
    model : tuple of str, length 1 + R
        MODEL, then RIVALS, if they were judged.
    fold : int array, shape (m,)
        From 0 on, or -1 for the forecast of the last periods.
    row, column : int arrays, shape (m,)
        Product (index into `product`) and period of each cell; several cells have both the same where products are in
        zones, and then go together in standard errors.
    units : float array, shape (m,)
        Counts sold.
    pit : float array, shape (m,)
        Probability integral transforms under the model.
    log_probability, median : float arrays, shape (1 + R, m)
        Log predictive probability of the units, and the predictive median.
    """

    category: str
    product: np.ndarray
    model: tuple[str, ...]
    fold: np.ndarray
    row: np.ndarray
    column: np.ndarray
    units: np.ndarray
    pit: np.ndarray
    log_probability: np.ndarray
    median: np.ndarray

    def __post_init__(self) -> None:
        # JSON brings lists back.
        object.__setattr__(self, "model", tuple(self.model))

    @property
    def in_folds(self) -> np.ndarray:
        """Which cells were left out at random, bool, shape (m,)."""
        return self.fold != FORECAST

    def forecast(self) -> "HeldOut":
        """Only the cells of the last periods."""
        return self._only(~self.in_folds)

    def folds(self) -> "HeldOut":
        """Only the cells left out at random."""
        return self._only(self.in_folds)

    def summary(self) -> "HeldOutSummary":
        """Sum up the cells left out at random, and the forecast."""
        folds, forecast = self.folds(), self.forecast()
        share, count = folds.coverage_by_product()
        low, middle, high = (float(part) for part in folds.coverage_by_third())
        return HeldOutSummary(
            len(folds.units),
            int((count > 0).sum()),
            folds.coverage(),
            (low, middle, high),
            tuple(np.bincount(folds._third(), minlength=3).tolist()),
            folds.coverage_spread(),
            float(np.nanmin(share, initial=1.0)),
            {name: folds.lead(rival) for rival, name in enumerate(folds.model) if rival},
            forecast.coverage(),
            forecast._clustered_error(forecast.inside()),
            {name: forecast.forecast_lead(rival) for rival, name in enumerate(folds.model) if rival},
        )

    def _only(self, cells: np.ndarray) -> "HeldOut":
        names = ("fold", "row", "column", "units", "pit")
        return replace(
            self,
            **{name: getattr(self, name)[cells] for name in names},
            log_probability=self.log_probability[:, cells],
            median=self.median[:, cells],
        )

    def inside(self, level: float = 0.9) -> np.ndarray:
        """Whether each cell lies in its central predictive interval, bool, shape (m,).

        By the randomised PIT, so that a right prediction holds exactly `level` of whole numbers too.
        """
        return np.abs(self.pit - 0.5) <= 0.5 * level

    def coverage(self, level: float = 0.9) -> float:
        """Share of cells in their central predictive intervals; NaN without cells."""
        return _mean(self.inside(level))

    def coverage_by_third(self, level: float = 0.9) -> np.ndarray:
        """Coverage of the third of products that sell least, the middle, and most, shape (3,)."""
        inside, third = self.inside(level), self._third()
        return np.array([_mean(inside[third == part]) for part in range(3)])

    def _third(self) -> np.ndarray:
        """Which third of the products by volume each cell belongs to: 0 sells least; shape (m,)."""
        sold = np.bincount(self.row, self.units, len(self.product))
        return (np.argsort(np.argsort(sold, kind="stable"), kind="stable") * 3 // max(len(sold), 1))[self.row]

    def coverage_by_product(self, level: float = 0.9) -> tuple[np.ndarray, np.ndarray]:
        """Coverage and number of cells of each product, shape (n,) each; NaN without cells."""
        count = np.bincount(self.row, minlength=len(self.product))
        inside = np.bincount(self.row, self.inside(level), len(self.product))
        return np.where(count > 0, inside / np.maximum(count, 1), np.nan), count

    def coverage_spread(self, level: float = 0.9) -> float:
        """Spread of coverage between products over what chance gives: about 1 if the model fits all of them alike."""
        share, count = self.coverage_by_product(level)
        seen = count > 0
        expected = np.mean(level * (1.0 - level) / count[seen]) if seen.any() else np.nan
        expected = expected * self._design_effect(self.inside(level).astype(np.float64))
        return float(np.sqrt(np.mean((share[seen] - level) ** 2) / expected)) if seen.any() else float("nan")

    def log_score(self, model: int = 0) -> float:
        """Mean log predictive probability a cell, nats."""
        return _mean(self.log_probability[model])

    def wape(self, model: int = 0) -> float:
        """Sum of absolute errors of the predictive median over the sum of units; NaN if nothing was sold."""
        sold = self.units.sum()
        return float(np.abs(self.units - self.median[model]).sum() / sold) if sold > 0 else float("nan")

    def lead(self, rival: int) -> tuple[float, float]:
        """Mean log score above a rival's, and its paired standard error."""
        lead = self.log_probability[0] - self.log_probability[rival]
        error = lead.std() / np.sqrt(max(len(lead), 1))
        return _mean(lead), float(error * np.sqrt(self._design_effect(lead)))

    def forecast_lead(self, rival: int) -> tuple[float, float]:
        """Give the same of a forecast, where those of a product, and of a period, go together."""
        lead = self.log_probability[0] - self.log_probability[rival]
        return _mean(lead), self._clustered_error(lead)

    def _by_product_period(self, values: np.ndarray) -> np.ndarray:
        """Sum the cells of the same product and period; the values themselves where no two are."""
        at = np.ravel_multi_index(
            (self.row, self.column), (len(self.product), self.column.max(initial=0) + 1)
        )
        cells, place = np.unique(2 * at + self.in_folds, return_inverse=True)
        return values if len(cells) == len(values) else np.bincount(place, values)

    def _design_effect(self, values: np.ndarray) -> float:
        """By how much cells of a product and period, going together, raise the variance of the mean; at least 1."""
        away = values - values.mean() if len(values) else values
        alone = np.sum(away**2)
        return float(max(np.sum(self._by_product_period(away) ** 2) / alone, 1.0)) if alone > 0 else 1.0

    def _clustered_error(self, values: np.ndarray) -> float:
        """Find the standard error of the cells' mean, those of a product or period going together; NaN without cells.

        By clusters of two ways (Cameron, Gelbach and Miller 2011), and no less than of independent cells.
        """
        if len(values) == 0:
            return float("nan")
        away = values - values.mean()
        of_products, of_periods = (np.sum(np.bincount(own, away) ** 2) for own in (self.row, self.column))
        of_cells = np.sum(self._by_product_period(away) ** 2)
        return float(np.sqrt(max(of_products + of_periods - of_cells, of_cells)) / len(values))


@dataclass(frozen=True)
class HeldOutSummary:
    """What checks need of one category's scores, without its cells.

    Attributes
    ----------
    cells, products : int
        Cells left out at random, and products that have any.
    coverage : float
        Share of cells in their 90% intervals.
    coverage_by_third : tuple of 3 floats
        The same of the products that sell least, the middle, and most.
    cells_by_third : tuple of 3 ints
    coverage_spread : float
        Spread of coverage between products over what chance gives.
    lowest_coverage : float
        Of a product.
    leads : dict of str to (float, float)
        Mean log score above each rival's, and its standard error.
    forecast_coverage, forecast_coverage_error : float
        Share of the last periods' cells in their 90% intervals, forecast, and its standard error; NaN without any.
    forecast_leads : dict of str to (float, float)
        As `leads`, of the forecast.
    """

    cells: int
    products: int
    coverage: float
    coverage_by_third: tuple[float, float, float]
    cells_by_third: tuple[int, ...]
    coverage_spread: float
    lowest_coverage: float
    leads: dict[str, tuple[float, float]]
    forecast_coverage: float
    forecast_coverage_error: float
    forecast_leads: dict[str, tuple[float, float]]


def _mean(values: np.ndarray) -> float:
    return float(np.mean(values)) if len(values) else float("nan")
