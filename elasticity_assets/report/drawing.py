"""Drawings of posteriors and their evidence on matplotlib's axes: the UI and the report show the same ones."""

import warnings
from collections.abc import Sequence
from typing import IO, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from elasticity_assets.inference.demand_curve import DemandCurve
from elasticity_assets.inference.judging.split_samples import SplitSamples
from elasticity_assets.inference.posterior import Summary

MOST_BARS = 40
"""Elasticities a drawing shows at most."""
LONGEST_NAME = 34
"""Letters of a name that are drawn."""
_OURS, _OTHERS, _ALARM = "tab:blue", "tab:orange", "tab:red"
_SMALL = 7  # points
_LONGEST_TITLE = 24  # letters of a name in one of two titles side by side
_MANY_NATS = 10.0  # more are drawn on a logarithmic scale
_NINETY = 1.645  # sds to either side of a 90% interval


def rows_height(n_rows: int) -> float:
    """Height in inches of a figure with so many named rows."""
    return 1.2 + 0.16 * min(n_rows, MOST_BARS)


def evenly_by_rank(values: np.ndarray) -> np.ndarray:
    """Order the values, ascending, as indices; of more than MOST_BARS, evenly spaced ones."""
    order = np.argsort(values, kind="stable")
    if len(order) > MOST_BARS:
        order = order[np.linspace(0, len(order) - 1, MOST_BARS).round().astype(int)]
    return order


def part_of(n_rows: int) -> str:
    """Say which of so many rows are drawn; empty if all are."""
    return f"{MOST_BARS} of {n_rows}, evenly spaced by rank" if n_rows > MOST_BARS else ""


def with_part(title: str, n_rows: int) -> str:
    """Give a title that says which rows are drawn, where not all are."""
    part = part_of(n_rows)
    return f"{title}: {part}" if part else title


def draw_elbo_trace(axes: Axes, trace: np.ndarray) -> None:
    """Draw how far below its last value the ELBO was while fitting.

    Parameters
    ----------
    axes : Axes
    trace : float array, shape (iterations kept,)
        In nats; may be empty (NUTS has none).
    """
    known = np.asarray(trace, np.float64)[np.isfinite(trace)]
    axes.plot(np.arange(1, len(known) + 1), known[-1:] - known, lw=1, marker=".", ms=4, color=_OURS)
    axes.set(xlabel="iteration", ylabel="nats below the last")
    if len(known) and np.ptp(known) > _MANY_NATS:
        axes.set_yscale("symlog", linthresh=1.0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def draw_elasticities(axes: Axes, names: Sequence[str], summary: Summary) -> None:
    """Draw elasticities with their 90% credible intervals, sorted; of many, evenly spaced ones.

    Parameters
    ----------
    axes : Axes
    names : sequence of str, length n
    summary : Summary
        Of n elasticities.
    """
    order = evenly_by_rank(summary.mean)
    at = np.arange(len(order))
    axes.hlines(at, summary.q05[order], summary.q95[order], lw=2, color=_OURS, alpha=0.5)
    axes.plot(summary.mean[order], at, "o", ms=3, color=_OURS)
    axes.axvline(-1.0, lw=0.8, ls=":", color="grey")
    _name_rows(axes, [names[i] for i in order])
    axes.set_xlabel("elasticity, mean and 90% interval")


def draw_shrinkage(
    axes: Axes, names: Sequence[str], own: np.ndarray, summary: Summary, category: Summary
) -> None:
    """Draw products' elasticities by their own data alone and as published, and their category's.

    Estimates by own data may be absurd; those far outside stand as triangles at the edge.

    Parameters
    ----------
    axes : Axes
    names : sequence of str, length n
    own : float array, shape (n,)
        By the product's own data; NaN where they say next to nothing.
    summary : Summary
        Of the n published elasticities.
    category : Summary
        Of the category's, shape (1,).
    """
    order = evenly_by_rank(summary.mean)
    at, alone, middle = np.arange(len(order)), own[order], summary.mean[order]
    low, high = _limits(summary.q05[order], summary.q95[order], category.q05, category.q95)
    reach = 0.5 * (high - low)
    with np.errstate(invalid="ignore"):
        near = alone[(alone > low - reach) & (alone < high + reach)]
    low, high = _limits(np.array([low, high]), near)
    edge = 0.02 * (high - low)
    drawn = np.clip(alone, low + edge, high - edge)

    axes.axvspan(
        category.q05[0], category.q95[0], color="grey", alpha=0.15, lw=0, label="category, 90% interval"
    )
    axes.axvline(category.mean[0], lw=0.8, color="grey", label="category")
    axes.axvline(-1.0, lw=0.8, ls=":", color="grey")
    axes.hlines(at, summary.q05[order], summary.q95[order], lw=2.5, color=_OURS, alpha=0.4)
    axes.hlines(at, np.minimum(drawn, middle), np.maximum(drawn, middle), lw=1, color=_OTHERS)
    for mark, where in (("o", drawn == alone), ("<", drawn > alone), (">", drawn < alone)):
        label = "own data alone" if mark == "o" else None
        axes.plot(drawn[where], at[where], mark, ms=4, mfc="white", color=_OTHERS, label=label)
    axes.plot(middle, at, "o", ms=4, color=_OURS, label="published, 90% interval")
    _name_rows(axes, [names[i] for i in order])
    axes.set(xlabel="elasticity", xlim=(low, high))
    _legend(axes)


def draw_demand_curve(axes: Axes, curve: DemandCurve) -> None:
    """Draw a product's expected units against its price with their 90% interval, and the observed periods.

    Parameters
    ----------
    axes : Axes
    curve : DemandCurve
    """
    axes.fill_between(curve.price, curve.low, curve.high, color=_OURS, alpha=0.2, lw=0)
    axes.plot(curve.price, curve.units, lw=1.5, color=_OURS)
    counts = ~curve.discounted
    axes.plot(
        curve.observed_price[counts], curve.observed_units[counts], "o", ms=2.5, color="dimgrey", alpha=0.6
    )
    axes.plot(curve.observed_price[~counts], curve.observed_units[~counts], "x", ms=4, color=_ALARM)
    # A single absurd period must not press all others flat.
    highest = np.max(curve.high, initial=0.0)
    if len(curve.observed_units):
        highest = max(
            highest, min(np.max(curve.observed_units), 3.0 * np.quantile(curve.observed_units, 0.95))
        )
    axes.set(xlabel="price", ylabel="units a period", ylim=(0.0, 1.05 * highest if highest > 0 else 1.0))


def draw_pit(axes: Axes, values: np.ndarray) -> None:
    """Draw the histogram of probability integral transforms, and the band that chance gives its bars.

    Parameters
    ----------
    axes : Axes
    values : float array, shape (m,)
        Between 0 and 1.
    """
    bars = 20
    counts, edges = np.histogram(values, bars, (0.0, 1.0))
    expected = len(values) / bars
    axes.bar(edges[:-1], counts, 1.0 / bars, align="edge", color=_OURS, alpha=0.6)
    axes.axhline(expected, lw=0.8, color="grey")
    band = 1.96 * np.sqrt(expected * (1.0 - 1.0 / bars))
    axes.axhspan(max(expected - band, 0.0), expected + band, color="grey", alpha=0.2, lw=0)
    axes.set(xlabel="probability integral transform", ylabel="product-periods", xlim=(0.0, 1.0))


def draw_coverage(axes: Axes, share: np.ndarray, count: np.ndarray) -> None:
    """Draw the products' coverage in its order, and the band that 95% of right predictions lie in.

    Parameters
    ----------
    axes : Axes
    share, count : arrays, shape (n,)
        Of each product's held-out periods; NaN and 0 without any.
    """
    seen = count > 0
    order = np.argsort(share[seen], kind="stable")
    at = np.arange(len(order))
    half_width = 1.96 * np.sqrt(0.09 / np.maximum(count[seen][order], 1))
    axes.fill_between(
        at, 0.9 - half_width, np.minimum(0.9 + half_width, 1.0), color="grey", alpha=0.2, step="mid", lw=0
    )
    axes.axhline(0.9, lw=0.8, color="grey")
    axes.plot(at, share[seen][order], "o", ms=3, color=_OURS)
    axes.set(xlabel="product, by coverage", ylabel="coverage of 90% intervals", ylim=(None, 1.02))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def draw_drift(axes: Axes, names: Sequence[str], samples: SplitSamples) -> None:
    """Draw how much elasticities from the second half of the periods differ from the first half's.

    Parameters
    ----------
    axes : Axes
    names : sequence of str, length n
        Of the products of `samples`.
    samples : SplitSamples
    """
    order = evenly_by_rank(samples.drift)
    at = np.arange(len(order))
    half_width, drifts = _NINETY * samples.drift_sd[order], samples.drifting()[order]
    axes.axvline(0.0, lw=0.8, color="grey")
    for rows, colour in ((~drifts, _OURS), (drifts, _ALARM)):
        middle = samples.drift[order][rows]
        axes.hlines(
            at[rows], middle - half_width[rows], middle + half_width[rows], lw=2, color=colour, alpha=0.4
        )
        axes.plot(middle, at[rows], "o", ms=3, color=colour)
    category = len(order)
    half = _NINETY * samples.category_drift_sd
    axes.hlines(
        [category],
        samples.category_drift - half,
        samples.category_drift + half,
        lw=2,
        color="dimgrey",
        alpha=0.4,
    )
    axes.plot([samples.category_drift], [category], "D", ms=4, color="dimgrey")
    _name_rows(axes, [*(names[i] for i in order), "the category"])
    axes.set_xlabel("elasticity, second half less first")


def literal(text: str) -> str:
    """Keep matplotlib from reading dollars as mathematics, and a name from breaking lines."""
    return " ".join(text.split()).replace("$", r"\$")


def one_axes(width: float, height: float) -> tuple[Figure, Axes]:
    """Make a figure of one drawing; inches."""
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    _smaller_text(axes)
    return figure, axes


def demand_figure(
    curves: Sequence[DemandCurve], titles: Sequence[str], width: float, height: float
) -> Figure:
    """Draw demand curves side by side.

    Parameters
    ----------
    curves : sequence of DemandCurve, at least one
    titles : sequence of str
        One a curve, as from `curve_title`.
    width, height : float
        Of the whole figure; inches.
    """
    figure = Figure(figsize=(width, height), layout="constrained")
    for axes, curve, title in zip(
        figure.subplots(1, len(curves), squeeze=False)[0], curves, titles, strict=True
    ):
        _smaller_text(axes)
        draw_demand_curve(axes, curve)
        axes.set_title(title, fontsize=_SMALL)
    return figure


def curve_title(certainty: str, name: str, summary: Summary, number: int) -> str:
    """Say in two lines which product a curve is of, and its elasticity.

    Parameters
    ----------
    certainty : str
        Such as 'most certain'.
    name : str
    summary : Summary
        Of all products' elasticities.
    number : int
        Index of the product.
    """
    mean, low, high = (
        f"{values[number]:.2f}".replace("-", "−") for values in (summary.mean, summary.q05, summary.q95)
    )
    return f"{certainty}: {literal(name[:_LONGEST_TITLE])}\nelasticity {mean} ({low} to {high})"


def save(figure: Figure, file: IO[bytes], **how: Any) -> None:
    """Write a figure; `how` is for `Figure.savefig`."""
    with warnings.catch_warnings():
        # A name may hold letters that the font has not; they are drawn as boxes.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        # Laid out here: savefig would draw the figure once more to do so.
        if layout := figure.get_layout_engine():
            layout.execute(figure)
            figure.set_layout_engine(None)
        figure.savefig(file, **how)


def _limits(*values: np.ndarray) -> tuple[float, float]:
    """Smallest and largest of all values that are numbers, with room to either side."""
    known = np.concatenate([np.ravel(part) for part in values])
    known = known[np.isfinite(known)]
    low, high = (float(known.min()), float(known.max())) if len(known) else (-2.0, 0.0)
    room = 0.03 * (high - low) or 0.5
    return low - room, high + room


def _smaller_text(axes: Axes) -> None:
    axes.tick_params(labelsize=_SMALL)
    axes.xaxis.label.set_fontsize(_SMALL + 1)
    axes.yaxis.label.set_fontsize(_SMALL + 1)
    axes.spines[["top", "right"]].set_visible(False)


def _name_rows(axes: Axes, names: Sequence[str]) -> None:
    axes.set_yticks(np.arange(len(names)), [literal(name[:LONGEST_NAME]) for name in names], fontsize=6)
    axes.set_ylim(-0.8, max(len(names) - 0.2, 0.8))


def _legend(axes: Axes) -> None:
    axes.legend(fontsize=6, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=4, frameon=False)
