"""Small plots for the UI, as Markdown with the image inside."""

import base64
import io
import warnings

import dagster as dg
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from elasticity_assets.inference.posterior import Summary

MOST_BARS = 40
"""Elasticities a plot shows at most."""


def elbo_trace(trace: np.ndarray) -> dg.MarkdownMetadataValue:
    """Plot how far below its last value the ELBO was while fitting.

    Parameters
    ----------
    trace : float array, shape (iterations kept,)
        In nats; may be empty (NUTS has none).
    """
    figure = Figure(figsize=(6, 2.5), layout="constrained")
    axes = figure.subplots()
    known = np.asarray(trace, np.float64)[np.isfinite(trace)]
    axes.plot(np.arange(1, len(known) + 1), known[-1:] - known, lw=1)
    axes.set(xlabel="iteration", ylabel="nats below the last", title="ELBO while fitting")
    axes.set_yscale("symlog", linthresh=1.0)
    return _markdown(figure, "ELBO while fitting")


def elasticities(names: list[str], summary: Summary, title: str) -> dg.MarkdownMetadataValue:
    """Plot elasticities with their 90% credible intervals, sorted; of many, evenly spaced ones.

    Parameters
    ----------
    names : list of str, length n
    summary : Summary
        Of n elasticities.
    title : str
    """
    order = np.argsort(summary.mean)
    if len(order) > MOST_BARS:
        order = order[np.linspace(0, len(order) - 1, MOST_BARS).round().astype(int)]
        title = f"{title}: {MOST_BARS} of {len(names)}, evenly spaced by rank"
    figure = Figure(figsize=(6, 1.2 + 0.16 * len(order)), layout="constrained")
    axes = figure.subplots()
    at = np.arange(len(order))
    middle = summary.mean[order]
    axes.hlines(at, summary.q05[order], summary.q95[order], lw=2, color="tab:blue", alpha=0.5)
    axes.plot(middle, at, "o", ms=3, color="tab:blue")
    axes.axvline(-1.0, lw=0.8, ls=":", color="grey")
    axes.set_yticks(at, [_literal(names[i][:30]) for i in order], fontsize=6)
    axes.set_xlabel("elasticity, mean and 90% interval")
    axes.set_title(_literal(title), fontsize=8)
    return _markdown(figure, title)


def pit(values: np.ndarray, title: str) -> dg.MarkdownMetadataValue:
    """Plot the histogram of probability integral transforms: flat if the predictions are right.

    Parameters
    ----------
    values : float array, shape (m,)
        Between 0 and 1.
    title : str
    """
    figure = Figure(figsize=(6, 2.5), layout="constrained")
    axes = figure.subplots()
    draw_pit(axes, values)
    axes.set_title(_literal(f"{title}: held-out units among their predictions"), fontsize=8)
    return _markdown(figure, f"PIT of {title}")


def draw_pit(axes: Axes, values: np.ndarray) -> None:
    """Draw the histogram of probability integral transforms, and the band that chance gives its bars."""
    bars = 20
    counts, edges = np.histogram(values, bars, (0.0, 1.0))
    expected = len(values) / bars
    axes.bar(edges[:-1], counts, 1.0 / bars, align="edge", color="tab:blue", alpha=0.6)
    axes.axhline(expected, lw=0.8, color="grey")
    band = 1.96 * np.sqrt(expected * (1.0 - 1.0 / bars))
    axes.axhspan(max(expected - band, 0.0), expected + band, color="grey", alpha=0.2)
    axes.set(xlabel="probability integral transform", ylabel="product-periods", xlim=(0.0, 1.0))


def coverage_by_product(share: np.ndarray, count: np.ndarray, title: str) -> dg.MarkdownMetadataValue:
    """Plot how many held-out periods of each product lie in their 90% intervals.

    Parameters
    ----------
    share, count : arrays, shape (n,)
        Of each product's held-out periods; NaN and 0 without any.
    title : str
    """
    figure = Figure(figsize=(6, 2.5), layout="constrained")
    axes = figure.subplots()
    draw_coverage(axes, share, count)
    axes.set_title(_literal(f"{title}: coverage of 90% intervals by product"), fontsize=8)
    return _markdown(figure, f"coverage of {title}")


def draw_coverage(axes: Axes, share: np.ndarray, count: np.ndarray) -> None:
    """Draw the products' coverage in its order, and the band that 95% of right predictions lie in."""
    seen = count > 0
    order = np.argsort(share[seen], kind="stable")
    at = np.arange(len(order))
    half_width = 1.96 * np.sqrt(0.09 / np.maximum(count[seen][order], 1))
    axes.fill_between(at, 0.9 - half_width, np.minimum(0.9 + half_width, 1.0), color="grey", alpha=0.2)
    axes.axhline(0.9, lw=0.8, color="grey")
    axes.plot(at, share[seen][order], "o", ms=3, color="tab:blue")
    axes.set(xlabel="product, by coverage", ylabel="coverage of 90% intervals", ylim=(None, 1.02))


def _literal(text: str) -> str:
    """Keep matplotlib from reading dollars as mathematics."""
    return text.replace("$", r"\$")


def _markdown(figure: Figure, text: str) -> dg.MarkdownMetadataValue:
    image = io.BytesIO()
    with warnings.catch_warnings():
        # A name may hold letters that the font has not; they are drawn as boxes.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(image, format="png", dpi=80)
    encoded = base64.b64encode(image.getvalue()).decode()
    plain = text.replace("[", "(").replace("]", ")").replace("\n", " ")
    return dg.MarkdownMetadataValue(f"![{plain}](data:image/png;base64,{encoded})")
