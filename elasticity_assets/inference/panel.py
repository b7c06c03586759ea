"""One category's model input: a padded panel of products by periods."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

_UNITS = (1.0, 0.1, 0.01, 0.001)
_NEARLY_WHOLE = 1e-3  # counts
MOSTLY = 0.99
"""Share of units that have to be whole for all to count as whole."""
_MOST_COUNTS = 1e7  # float32 holds whole numbers up to 1.6e7


@dataclass(frozen=True)
class Panel:
    """Sales of one category, products down and periods across, padded to a fixed shape.

    N >= n rows and W >= T columns are multiples that few distinct shapes occur (see `padded_products`), so
    that a new category rarely compiles anew. Cells that are padding or were not observed have
    `observed` False and zeros elsewhere; so have those that do not count (`CategorySales.weight`).

    Attributes
    ----------
    category : str
    product : array of str, shape (n,)
        Product codes, sorted.
    period : array of datetime64[D], shape (T,)
        First day of each period, ascending.
    control : tuple of str, length K
    unit : float
        What one count stands for, in units of the files: 1, or less where they are fractional (`counting_unit`).
    units : float32 array, shape (N, W)
        Units sold, in counts of `unit`; those may be fractional yet.
    log_price : float32 array, shape (N, W)
        Natural log of the price paid a unit, not centred.
    controls : float32 array, shape (N, W, K)
    observed : bool array, shape (N, W)
    weight : float32 array, shape (N, W)
        How often each cell's likelihood counts: 0 where not observed, else 1 as the panel is laid out, less where sales
        are suspect. Held-out cells have 0; less than 1 where a cell is outlying, or partly repeats its neighbours
        (`weighing`).
    zero_truncated : bool
        True if the files drop product-periods without sales, so that units > 0 always.
    log_regular_price : float32 array, shape (N, W)
        Natural log of the price without promotion, not centred: never below `log_price`, and equal to it where no
        regular price is known. Shape (0, 0) where the files give none at all.
    log_cost : float32 array, shape (N, W)
        Natural log of the cost a unit; NaN where it is not known. Shape (0, 0) where the files give none at all.
    randomized : bool array, shape (N, W)
        Whether the price was drawn at random. Shape (0, 0) where the files mark no such sales.
    experiment : float64 array, shape (N, 2)
        What price tests elsewhere found of each product's elasticity, and its precision, 0 where nothing. Shape (0, 2)
        where there are no such results (`experiments`).
    category_experiment : float64 array, shape (2,)
        The same of the category's elasticity.
    """

    category: str
    product: np.ndarray
    period: np.ndarray
    control: tuple[str, ...]
    unit: float
    units: np.ndarray
    log_price: np.ndarray
    controls: np.ndarray
    observed: np.ndarray
    weight: np.ndarray
    zero_truncated: bool
    log_regular_price: np.ndarray
    log_cost: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    randomized: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), np.bool_))
    experiment: np.ndarray = field(default_factory=lambda: np.zeros((0, 2)))
    category_experiment: np.ndarray = field(default_factory=lambda: np.zeros(2))

    @property
    def n_products(self) -> int:
        """Number of products n, without padding."""
        return len(self.product)

    @property
    def n_periods(self) -> int:
        """Number of periods T, without padding."""
        return len(self.period)

    @property
    def n_obs(self) -> int:
        """Number of observed cells."""
        return int(self.observed.sum())

    @property
    def has_regular_price(self) -> bool:
        """Whether the files give regular prices."""
        return self.log_regular_price.size > 0

    @property
    def has_cost(self) -> bool:
        """Whether the files give costs."""
        return self.log_cost.size > 0

    @property
    def has_randomized(self) -> bool:
        """Whether the files mark sales at prices drawn at random."""
        return self.randomized.size > 0

    def experiments(self) -> np.ndarray:
        """Give what price tests elsewhere found of each row's elasticity, and its precision, float64, shape (N, 2)."""
        return self.experiment if self.experiment.size else np.zeros((len(self.units), 2))

    def log_discount(self) -> np.ndarray:
        """Log price paid minus log regular price, float32, shape (N, W): below 0 in a promotion, else 0."""
        return self.log_price - self.log_regular_price

    def mean_of_observed(self, values: np.ndarray) -> np.ndarray:
        """Mean of each row over its observed periods, float64, shape (N,); 0 without any.

        Parameters
        ----------
        values : float array, shape (N, W)
        """
        count = np.maximum(self.observed.sum(axis=1), 1)
        return np.where(self.observed, values, 0.0).sum(axis=1, dtype=np.float64) / count

    def centred(self, values: np.ndarray) -> np.ndarray:
        """Values minus the product's own mean, float32, shape (N, W); 0 where not observed.

        Centring by product removes the correlation (-0.98 on real sales) between a product's
        elasticity and its level.

        Parameters
        ----------
        values : float array, shape (N, W)
        """
        centred = values - self.mean_of_observed(values)[:, None]
        return np.where(self.observed, centred, 0.0).astype(np.float32)

    def mean_log_price(self) -> np.ndarray:
        """Mean log price of each row over its observed periods, float64, shape (N,); 0 without any."""
        return self.mean_of_observed(self.log_price)

    def centred_log_price(self) -> np.ndarray:
        """Log price minus the product's own mean, float32, shape (N, W); 0 where not observed."""
        return self.centred(self.log_price)


def with_control(panel: Panel, name: str, values: np.ndarray) -> Panel:
    """Add a control to a panel.

    Parameters
    ----------
    panel : Panel
    name : str
    values : float array, shape (n, T) or (T,)
        Of each cell, or of each period for all products.
    """
    return with_controls(panel, {name: values})


def with_controls(panel: Panel, values: Mapping[str, np.ndarray]) -> Panel:
    """Add several controls to a panel at once, by name; each as of `with_control`."""
    n, T, K = panel.n_products, panel.n_periods, len(panel.control)
    controls = np.zeros((*panel.observed.shape, K + len(values)), np.float32)
    controls[..., :K] = panel.controls
    for k, of_control in enumerate(values.values(), start=K):
        np.copyto(controls[:n, :T, k], of_control, where=panel.observed[:n, :T], casting="same_kind")
    return replace(panel, control=(*panel.control, *values), controls=controls)


def numbered_controls(name: str, values: Iterable[np.ndarray]) -> dict[str, np.ndarray]:
    """Name the controls of one kind: `name`, then `name_1`, `name_2` and so on."""
    return {f"{name}_{number}" if number else name: of_control for number, of_control in enumerate(values)}


def counting_unit(units: np.ndarray) -> float:
    """Choose what to count in: 1 where units are whole, else the largest of 0.1, 0.01 and 0.001 that makes them so.

    The noise of counts depends on what is counted: kilograms to the gram, or sales averaged over ten stores, are no
    counts of whole units. In small enough counts the noise of counting vanishes, and the dispersions carry all of it.

    Parameters
    ----------
    units : float array, shape (rows,)
        As in the files; one in a hundred may be no multiple.
    """
    largest = float(np.max(units, initial=0.0))
    for unit in _UNITS:
        counts = units / unit
        whole = np.abs(counts - np.round(counts)) < _NEARLY_WHOLE
        if whole.mean() >= MOSTLY or 10.0 * largest / unit > _MOST_COUNTS:
            return unit
    return _UNITS[-1]


def padded_size(size: int, smallest: int = 8) -> int:
    """Round `size` up to one of few sizes, wasting at most an eighth above 8 * `smallest`.

    Up to 8 * smallest, multiples of `smallest`; above, eight sizes to each doubling.
    """
    step = smallest
    while step * 16 < size:
        step *= 2
    return max(-(-size // step) * step, smallest)


def padded_products(n_products: int) -> int:
    """Round a number of products up to one of very few sizes: doublings up to 1024, then `padded_size`.

    To compile the fit of another size takes ten seconds, to fit a thousand products a tenth of one.
    """
    return padded_size(n_products) if n_products > 1024 else max(1 << (n_products - 1).bit_length(), 8)


@dataclass(frozen=True)
class CategorySales:
    """One category's sales, one row a product-period.

    Attributes
    ----------
    category : str
    product : array of str, shape (rows,)
        Laid out faster where a product's rows stand together.
    period : array of datetime64[D], shape (rows,)
        First day of the period.
    units, price : float64 arrays, shape (rows,)
        Units sold, returns netted; price paid a unit, positive.
    controls : mapping of str to float64 array of shape (rows,)
        NaN where unknown, which counts as 0.
    periods : array of datetime64[D], shape (T,), or None
        Every period of the panel, ascending; None for those that occur in `period`.
    missing_periods : {'unobserved', 'truncated', 'zero'}
        What an absent product-period means. 'zero': nothing was sold, at the last price before it; filled from a
        product's first to its last period, but not between rows of random prices: what was drawn there is not known.
    regular_price : float64 array, shape (rows,), or None
        Price a unit without promotion, None where files have none. Where it is missing (NaN) or below the price
        paid, it counts as the price paid: no promotion is known there.
    weight : float64 array, shape (rows,), or None
        How much each product-period counts, 0 to 1; None where all count. One of weight 0 is as good as not observed,
        but not absent either.
    cost : float64 array, shape (rows,), or None
        Cost a unit, None where files have none; NaN or not above 0 where it is not known.
    randomized : bool array, shape (rows,), or None
        Whether the price was drawn at random; None where files mark no such sales.
    """

    category: str
    product: np.ndarray
    period: np.ndarray
    units: np.ndarray
    price: np.ndarray
    controls: Mapping[str, np.ndarray] = field(default_factory=dict)
    periods: np.ndarray | None = None
    missing_periods: str = "unobserved"
    regular_price: np.ndarray | None = None
    weight: np.ndarray | None = None
    cost: np.ndarray | None = None
    randomized: np.ndarray | None = None


def panel_from_sales(sales: CategorySales, *, unit: float | None = None) -> Panel:
    """Lay one category's sales out as a padded panel.

    Parameters
    ----------
    sales : CategorySales
    unit : float, optional
        What to count in; by default `counting_unit` chooses. Poisson takes 1: it has no dispersion to make up for it.

    Returns
    -------
    Panel

    Raises
    ------
    ValueError
        If a product-period occurs twice, or a price is not positive.
    """
    missing_periods, controls = sales.missing_periods, dict(sales.controls)
    if missing_periods not in ("unobserved", "truncated", "zero"):
        raise ValueError(f"missing_periods is {missing_periods!r}; use unobserved, truncated or zero")
    units = np.asarray(sales.units, dtype=np.float64)
    price = np.asarray(sales.price, dtype=np.float64)
    if not (price > 0).all():
        raise ValueError(f"category {sales.category!r}: a price is not positive")
    codes, days, cell, delivered = _cells(sales)
    shape = delivered.shape
    # What does not count leaves nothing: no price to centre by or to carry on, no units to choose a unit by.
    share = np.ones(len(cell)) if sales.weight is None else np.asarray(sales.weight, dtype=np.float64)
    counts = share > 0
    cell, units, price, share = cell[counts], units[counts], price[counts], share[counts]
    if unit is None:
        unit = counting_unit(units) if len(units) else 1.0
    panel_units = _laid_out(shape, cell, units / unit)
    log_price = _laid_out(shape, cell, np.log(price))
    weight = _laid_out(shape, cell, share)
    observed = _laid_out(shape, cell, True, np.bool_)
    log_regular_price = np.zeros((0, 0), np.float32)
    if sales.regular_price is not None:
        known = np.asarray(sales.regular_price, dtype=np.float64)[counts]
        known = np.where(np.isfinite(known), np.maximum(known, price), price)
        log_regular_price = _laid_out(shape, cell, np.log(known))
    randomized = np.zeros((0, 0), np.bool_)
    if sales.randomized is not None:
        randomized = _laid_out(shape, cell, sales.randomized[counts], np.bool_)
    log_cost = np.zeros((0, 0), np.float32)
    if sales.cost is not None:
        log_cost = np.full(shape, np.nan, np.float32)
        log_cost.reshape(-1)[cell] = np.log(np.where(sales.cost > 0, sales.cost, np.nan)[counts])
    values = np.zeros((*shape, len(controls)), dtype=np.float32)
    for k, name in enumerate(controls):
        values.reshape(-1, len(controls))[cell, k] = np.nan_to_num(
            np.asarray(controls[name], dtype=np.float64)[counts]
        )
    if missing_periods == "zero":
        # The last observed column at or before each cell; -1 before a product's first sale.
        last = np.maximum.accumulate(np.where(observed, np.arange(shape[1]), -1), axis=1)
        still_sold = np.flip(np.maximum.accumulate(np.flip(observed, 1), axis=1), 1)
        absent = ~delivered & (last >= 0) & still_sold & ~_between(randomized, observed)
        for prices in (log_price, log_regular_price):
            if prices.size:
                prices[absent] = np.take_along_axis(prices, np.maximum(last, 0), axis=1)[absent]
        observed |= absent
        weight[absent] = 1.0
    return Panel(
        category=sales.category,
        product=codes,
        period=days,
        control=tuple(controls),
        unit=unit,
        units=panel_units,
        log_price=log_price,
        controls=values,
        observed=observed,
        weight=weight,
        zero_truncated=missing_periods == "truncated",
        log_regular_price=log_regular_price,
        log_cost=log_cost,
        randomized=randomized,
    )


def _cells(sales: CategorySales) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Say which cell of a padded panel, numbered row by row, each row of sales has.

    Returns
    -------
    codes, days : array
        Products and first days of periods, ascending.
    cell : int array, shape (rows,)
        Cell of each row of sales.
    delivered : bool array, shape (N, W)
        Cells that have one.
    """
    period = np.asarray(sales.period, dtype="datetime64[D]")
    codes, row = distinct_texts(sales.product)
    days = np.unique(period if sales.periods is None else np.asarray(sales.periods, dtype="datetime64[D]"))
    column = np.searchsorted(days, period)
    if len(row) and (column.max() >= len(days) or (days[column] != period).any()):
        raise ValueError(f"category {sales.category!r}: a sale lies in a period that is not among `periods`")
    shape = padded_products(len(codes)), padded_size(len(days))
    cell = row * shape[1] + column
    delivered = _laid_out(shape, cell, True, np.bool_)
    if np.count_nonzero(delivered) != len(cell):
        raise ValueError(f"category {sales.category!r}: a product-period occurs twice")
    return codes, days, cell, delivered


def distinct_texts(texts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distinct texts, sorted, and the place of each text among them; fast where equal ones stand together.

    Parameters
    ----------
    texts : array of str, shape (rows,)
    """
    begins = np.ones(len(texts), np.bool_)
    begins[1:] = texts[1:] != texts[:-1]
    distinct, place = np.unique(np.asarray(texts[begins], dtype=str), return_inverse=True)
    return distinct, place[np.cumsum(begins) - 1]


def _laid_out(
    shape: tuple[int, int], cell: np.ndarray, values: np.ndarray | bool, dtype: type = np.float32
) -> np.ndarray:
    """Put values into the cells, numbered row by row, of an array that is 0 elsewhere."""
    laid_out: np.ndarray = np.zeros(shape, dtype)
    laid_out.reshape(-1)[cell] = values
    return laid_out


def _between(marked: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """Whether the last observed cell at or before each, and the next, are both marked; bool, shape (N, W)."""
    if not marked.size:
        return np.zeros(observed.shape, np.bool_)

    def last_marked(marked: np.ndarray, observed: np.ndarray) -> np.ndarray:
        last = np.maximum.accumulate(np.where(observed, np.arange(observed.shape[1]), -1), axis=1)
        return np.take_along_axis(marked, np.maximum(last, 0), axis=1) & (last >= 0)

    return last_marked(marked, observed) & np.flip(last_marked(np.flip(marked, 1), np.flip(observed, 1)), 1)


def some_products(panel: Panel, most: int, seed: int) -> Panel:
    """Take a random sample of a panel's products, in their order; the panel itself if it has no more than `most`."""
    if panel.n_products <= most:
        return panel
    return take_products(panel, np.sort(np.random.default_rng(seed).permutation(panel.n_products)[:most]))


def take_products(panel: Panel, chosen: np.ndarray) -> Panel:
    """Take products by their numbers, int array, in that order."""

    def take(array: np.ndarray) -> np.ndarray:
        part = np.zeros((padded_products(len(chosen)), *array.shape[1:]), array.dtype)
        part[: len(chosen)] = array[chosen]
        return part

    return replace(
        panel,
        product=panel.product[chosen],
        units=take(panel.units),
        log_price=take(panel.log_price),
        log_regular_price=take(panel.log_regular_price)
        if panel.has_regular_price
        else panel.log_regular_price,
        log_cost=take(panel.log_cost) if panel.has_cost else panel.log_cost,
        randomized=take(panel.randomized) if panel.has_randomized else panel.randomized,
        experiment=take(panel.experiment) if panel.experiment.size else panel.experiment,
        controls=take(panel.controls),
        observed=take(panel.observed),
        weight=take(panel.weight),
    )
