"""The report's charts as plain data: what each one shows, in rows and in words; `vega_lite` says how it is drawn.

Everything is worked out here, so that a specification is the same for all charts of its kind: long lists are thinned,
outlying values are moved to the edge and marked, and numbers are rounded to what can be seen.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from elasticity_assets.inference.demand_curve import DemandCurve
from elasticity_assets.inference.judging.split_samples import SplitSamples
from elasticity_assets.inference.posterior import Summary
from elasticity_assets.words import in_one_line

MOST_ROWS = 40
"""Named rows that a chart shows at most."""
MOST_POINTS = 100
"""Products that a chart shows at most where they have no names."""
LONGEST_NAME = 60
"""Letters of a name; a browser with less room shows fewer, and dots."""
ROW_HEIGHT = 15
"""Of a named row; pixels."""
PLAIN_HEIGHT = 200
"""Of a chart without named rows; pixels."""
SMALL_HEIGHT = 120
"""Of one of several charts above each other; pixels."""
_DIGITS = 4
_NINETY = 1.645  # sds to either side of a 90% interval
_PIT_BARS = 20

Columns = Mapping[str, Sequence[Any]]


@dataclass(frozen=True)
class Chart:
    """One chart.

    Attributes
    ----------
    kind : str
        Key of `vega_lite.LAYERS`.
    data : mapping of str to Columns
        The data sets that its specification names, each by columns of equal length; None where a value is missing.
    description : str
        What it shows, for who cannot see it.
    height : int
        Of what is between the axes; pixels.
    title : str
        Of one of several charts under one caption.
    """

    kind: str
    data: Mapping[str, Columns]
    description: str
    height: int = PLAIN_HEIGHT
    title: str = ""


def evenly_by_rank(values: np.ndarray, most: int = MOST_ROWS) -> np.ndarray:
    """Order the values, ascending, as indices; of more than `most`, evenly spaced ones."""
    order = np.argsort(values, kind="stable")
    if len(order) > most:
        order = order[np.linspace(0, len(order) - 1, most).round().astype(int)]
    return order


def with_part(title: str, n_rows: int) -> str:
    """Give a title that says which rows are shown, where not all are."""
    return f"{title}: {MOST_ROWS} of {n_rows}, evenly spaced by rank" if n_rows > MOST_ROWS else title


def elasticities(names: Sequence[str], summary: Summary) -> Chart:
    """Show elasticities with their 90% credible intervals, the most elastic first; of many, evenly spaced ones.

    Parameters
    ----------
    names : sequence of str, length n
    summary : Summary
        Of n elasticities.
    """
    order = evenly_by_rank(summary.mean)
    rows: Columns = {
        "name": _names(names, order),
        "mean": _numbers(summary.mean[order]),
        "low": _numbers(summary.q05[order]),
        "high": _numbers(summary.q95[order]),
    }
    return Chart(
        "elasticities",
        {"rows": rows},
        f"Elasticities with 90% intervals, {len(names)} rows{_from_to(rows['name'], rows['mean'])}.",
        ROW_HEIGHT * max(len(order), 1),
    )


def shrinkage(names: Sequence[str], own: np.ndarray, summary: Summary, category: Summary) -> Chart:
    """Show products' elasticities by their own data alone and as published, and their category's.

    Outlying estimates by own data are moved to the edge.

    Parameters
    ----------
    names : sequence of str, length n
    own : float array, shape (n,)
        By the product's own data; NaN where they say next to nothing.
    summary : Summary
        Of the n published elasticities.
    category : Summary
        Of the category's, shape (1,).
    """
    order = evenly_by_rank(summary.mean)
    alone = np.asarray(own, np.float64)[order]
    low, high = _reach(summary.q05[order], summary.q95[order], category.q05, category.q95)
    shown = np.clip(alone, low, high)
    side = np.where(alone < low, "below", np.where(alone > high, "above", "within"))
    rows: Columns = {
        "name": _names(names, order),
        "mean": _numbers(summary.mean[order]),
        "low": _numbers(summary.q05[order]),
        "high": _numbers(summary.q95[order]),
        "own": _numbers(shown),
        "side": side.tolist(),
    }
    middle: Columns = {
        "mean": _numbers(category.mean),
        "low": _numbers(category.q05),
        "high": _numbers(category.q95),
    }
    return Chart(
        "shrinkage",
        {"rows": rows, "category": middle},
        f"Elasticities of {len(names)} products by their own data alone and as published"
        f"{_from_to(rows['name'], rows['mean'])}; their category's is {_text(category.mean[0])}.",
        ROW_HEIGHT * max(len(order), 1),
    )


def demand(curve: DemandCurve, certainty: str, name: str, summary: Summary, number: int) -> Chart:
    """Show a product's expected units against its price with their 90% interval, and the observed periods.

    Parameters
    ----------
    curve : DemandCurve
    certainty : str
        Such as 'most certain'.
    name : str
    summary : Summary
        Of all products' elasticities.
    number : int
        Index of the product.
    """
    # A single outlying period must not press all others flat.
    highest = np.max(curve.high, initial=0.0)
    if len(curve.observed_units):
        usual = min(np.max(curve.observed_units), 3.0 * np.quantile(curve.observed_units, 0.95))
        highest = max(highest, usual)
    periods: Columns = {
        "price": _numbers(curve.observed_price),
        "units": _numbers(np.minimum(curve.observed_units, highest)),
        "weight": np.where(curve.discounted, "counts less", "counts in full").tolist(),
        "side": np.where(curve.observed_units > highest, "above", "within").tolist(),
    }
    line: Columns = {
        "price": _numbers(curve.price),
        "units": _numbers(curve.units),
        "low": _numbers(curve.low),
        "high": _numbers(curve.high),
    }
    elasticity = (
        f"elasticity {_text(summary.mean[number])} "
        f"({_text(summary.q05[number])} to {_text(summary.q95[number])})"
    )
    title = f"{certainty}: {_short(name)}, {elasticity}"
    return Chart(
        "demand",
        {"curve": line, "periods": periods},
        f"Demand curve, {title}: {_text(curve.units[0])} units a period at a price of {_text(curve.price[0])}, "
        f"{_text(curve.units[-1])} at {_text(curve.price[-1])}; {len(curve.observed_units)} observed periods.",
        title=title,
    )


def drift(names: Sequence[str], samples: SplitSamples) -> Chart:
    """Show how much elasticities from the second half of the periods differ from the first half's.

    Parameters
    ----------
    names : sequence of str, length n
        Of the products of `samples`.
    samples : SplitSamples
    """
    order = evenly_by_rank(samples.drift)
    middle = np.append(samples.category_drift, samples.drift[order])
    half_width = _NINETY * np.append(samples.category_drift_sd, samples.drift_sd[order])
    drifts = samples.drifting()
    rows: Columns = {
        "name": ["the category", *_names(names, order)],
        "drift": _numbers(middle),
        "low": _numbers(middle - half_width),
        "high": _numbers(middle + half_width),
        "sort": ["category", *np.where(drifts[order], "drifts", "within chance").tolist()],
    }
    return Chart(
        "drift",
        {"rows": rows},
        f"Elasticities from the second half of the periods less those from the first: {int(drifts.sum())} of "
        f"{len(names)} products drift; the category's differs by {_text(samples.category_drift)}.",
        ROW_HEIGHT * (len(order) + 1),
    )


def pit(values: np.ndarray) -> Chart:
    """Show the histogram of probability integral transforms, and the band that chance gives its bars.

    Parameters
    ----------
    values : float array, shape (m,)
        Between 0 and 1.
    """
    counts, edges = np.histogram(values, _PIT_BARS, (0.0, 1.0))
    expected = len(values) / _PIT_BARS
    half_width = 1.96 * np.sqrt(expected * (1.0 - 1.0 / _PIT_BARS))
    low, high = max(expected - half_width, 0.0), expected + half_width
    outside = int(np.sum((counts < low) | (counts > high)))
    return Chart(
        "pit",
        {
            "bars": {"start": _numbers(edges[:-1]), "end": _numbers(edges[1:]), "count": counts.tolist()},
            "chance": {
                "low": _numbers(np.array([low])),
                "expected": _numbers(np.array([expected])),
                "high": _numbers(np.array([high])),
            },
        },
        f"Histogram of where {len(values)} held-out product-periods lie in their predictions: {outside} of "
        f"{_PIT_BARS} bars are outside the band of chance.",
    )


def coverage(share: np.ndarray, count: np.ndarray) -> Chart:
    """Show the products' coverage in its order, and the band that 95% of right predictions lie in.

    Parameters
    ----------
    share, count : arrays, shape (n,)
        Of each product's held-out periods; NaN and 0 without any.
    """
    seen = np.flatnonzero(count > 0)
    order = seen[np.argsort(share[seen], kind="stable")]
    rank = np.unique(np.linspace(0, max(len(order) - 1, 0), min(len(order), MOST_POINTS)).round().astype(int))
    chosen = order[rank]
    half_width = 1.96 * np.sqrt(0.09 / np.maximum(count[order], 1))
    below = int(np.sum(share[order] < 0.9 - half_width))
    products: Columns = {
        "rank": (rank + 1).tolist(),
        "coverage": _numbers(share[chosen]),
        "low": _numbers(0.9 - half_width[rank]),
        "high": _numbers(np.minimum(0.9 + half_width[rank], 1.0)),
    }
    return Chart(
        "coverage",
        {"products": products},
        f"Coverage of 90% intervals of {len(order)} products: {below} lie below the band of chance.",
    )


def elbo_trace(trace: np.ndarray) -> Chart:
    """Show how far below its last value the ELBO was while fitting.

    Parameters
    ----------
    trace : float array, shape (iterations kept,)
        In nats; may be empty (NUTS has none).
    """
    known = np.asarray(trace, np.float64)[np.isfinite(trace)]
    below = known[-1:] - known
    iterations: Columns = {"iteration": list(range(1, len(known) + 1)), "below": _numbers(below)}
    first = f": {_text(below[0])} nats below its last value at first" if len(known) else ""
    return Chart(
        "elbo_trace",
        {"iterations": iterations},
        f"Evidence lower bound over {len(known)} iterations{first}.",
    )


def prices(period: Sequence[str], price: np.ndarray) -> Chart:
    """Show a product's price in each period.

    Parameters
    ----------
    period : sequence of str, length T
        First days, as ISO dates, ascending.
    price : float array, shape (T,)
    """
    return Chart(
        "prices",
        {"periods": {"period": list(period), "price": _numbers(price)}},
        f"Price in {len(period)} periods{_from_to(period, _numbers(price))}.",
        SMALL_HEIGHT,
        title="price",
    )


def units(period: Sequence[str], sold: np.ndarray) -> Chart:
    """Show a product's units in each period.

    Parameters
    ----------
    period : sequence of str, length T
        First days, as ISO dates, ascending.
    sold : float array, shape (T,)
    """
    return Chart(
        "units",
        {"periods": {"period": list(period), "units": _numbers(sold)}},
        f"Units in {len(period)} periods{_from_to(period, _numbers(sold))}.",
        SMALL_HEIGHT,
        title="units",
    )


def refits(when: Sequence[str], mean: np.ndarray, low: np.ndarray, high: np.ndarray) -> Chart:
    """Show an elasticity as each refit published it, with its 90% interval.

    Parameters
    ----------
    when : sequence of str, length m
        When the refits began, as ISO times, ascending.
    mean, low, high : float arrays, shape (m,)
        NaN where a refit published no interval.
    """
    rows: Columns = {
        "refit": list(when),
        "mean": _numbers(mean),
        "low": _numbers(low),
        "high": _numbers(high),
    }
    return Chart(
        "refits",
        {"rows": rows},
        f"Elasticity with its 90% interval, {len(when)} refits{_from_to(when, rows['mean'])}.",
        SMALL_HEIGHT,
        title="elasticity, refit by refit",
    )


def gains(names: Sequence[str], mean: np.ndarray, low: np.ndarray, high: np.ndarray, what: str) -> Chart:
    """Show what changed prices bring a period, product by product, with 90% intervals, in the order given.

    Parameters
    ----------
    names : sequence of str, length n
    mean, low, high : float arrays, shape (n,)
        Expected change and the ends of its interval.
    what : str
        What changes, such as 'revenue a week'.
    """
    order = np.arange(min(len(names), MOST_ROWS))
    rows: Columns = {
        "name": _names(names, order),
        "mean": _numbers(mean[order]),
        "low": _numbers(low[order]),
        "high": _numbers(high[order]),
        "sort": np.where(low[order] > 0, "gains", np.where(high[order] < 0, "loses", "unsure")).tolist(),
    }
    return Chart(
        "gains",
        {"rows": rows},
        f"Change of {what} with 90% intervals, {len(order)} products{_from_to(rows['name'], rows['mean'])}.",
        ROW_HEIGHT * max(len(order), 1),
        title=f"change of {what}",
    )


def price_moves(
    change: np.ndarray, mean: np.ndarray, low: np.ndarray, high: np.ndarray, chosen: float, what: str
) -> Chart:
    """Show what a price, or all prices of a group, bring a period at each change of them, with 90% intervals.

    Parameters
    ----------
    change : float array, shape (G,)
        Fraction of the price, ascending.
    mean, low, high : float arrays, shape (G,)
    chosen : float
        The change that is looked at; NaN for none.
    what : str
        What changes, such as 'revenue a week'.
    """
    curve: Columns = {
        "change": _numbers(change),
        "mean": _numbers(mean),
        "low": _numbers(low),
        "high": _numbers(high),
    }
    places: Columns = {"change": _numbers(np.array([chosen])) if np.isfinite(chosen) else []}
    best = int(np.argmax(mean))
    return Chart(
        "price_moves",
        {"curve": curve, "chosen": places},
        f"Change of {what} at each change of the price: most, {_text(mean[best])}, at {change[best]:+.0%}.",
        title=f"change of {what}, at each change of the price",
    )


def _reach(*ends: np.ndarray) -> tuple[float, float]:
    """Smallest and largest of all ends, and half as far again to either side."""
    known = np.concatenate([np.ravel(end) for end in ends])
    known = known[np.isfinite(known)]
    low, high = (float(known.min()), float(known.max())) if len(known) else (-2.0, 0.0)
    room = 0.5 * (high - low) or 0.5
    return low - room, high + room


def _numbers(values: np.ndarray) -> list[float | None]:
    """Round to what can be seen; None for what is no number."""
    return [float(f"{value:.{_DIGITS}g}") if np.isfinite(value) else None for value in values]


def _names(names: Sequence[str], order: np.ndarray) -> list[str]:
    return [_short(names[place]) for place in order]


def _short(name: str) -> str:
    plain = in_one_line(name)
    return plain if len(plain) <= LONGEST_NAME else plain[: LONGEST_NAME - 1] + "…"


def _text(value: float) -> str:
    return f"{value:,.2f}".replace("-", "−")


def _from_to(names: Sequence[str], means: Sequence[float | None]) -> str:
    """Say which rows are at the ends; nothing without rows."""
    known = [(name, mean) for name, mean in zip(names, means, strict=True) if mean is not None]
    if not known:
        return ""
    (first, least), (last, most) = known[0], known[-1]
    return f", from {_text(least)} ({first}) to {_text(most)} ({last})"
