"""Small plots for the UI, as Markdown with the image inside."""

import base64
import io
from collections.abc import Sequence
from importlib.resources import files

import dagster as dg
import numpy as np
from matplotlib.figure import Figure

from elasticity_assets.inference.demand_curve import DemandCurve
from elasticity_assets.inference.posterior import Summary
from elasticity_assets.report import drawing

_WIDTH, _HEIGHT = 6.0, 2.5  # inches


def model_graph() -> dg.MarkdownMetadataValue:
    """Show the model's graph, as docs/make_model_graph.py drew it."""
    image = files("elasticity_assets.report").joinpath("model_graph.svg").read_bytes()
    return _image(image, "svg+xml", "the model")


def elbo_trace(trace: np.ndarray) -> dg.MarkdownMetadataValue:
    """Plot how far below its last value the ELBO was while fitting.

    Parameters
    ----------
    trace : float array, shape (iterations kept,)
        In nats; may be empty (NUTS has none).
    """
    figure, axes = drawing.one_axes(_WIDTH, _HEIGHT)
    drawing.draw_elbo_trace(axes, trace)
    return _markdown(figure, "ELBO while fitting")


def elasticities(names: Sequence[str], summary: Summary, title: str) -> dg.MarkdownMetadataValue:
    """Plot elasticities with their 90% credible intervals, sorted; of many, evenly spaced ones.

    Parameters
    ----------
    names : sequence of str, length n
    summary : Summary
        Of n elasticities.
    title : str
    """
    figure, axes = drawing.one_axes(_WIDTH, drawing.rows_height(len(names)))
    drawing.draw_elasticities(axes, names, summary)
    return _markdown(figure, drawing.with_part(title, len(names)))


def shrinkage(
    names: Sequence[str], own: np.ndarray, summary: Summary, category: Summary, title: str
) -> dg.MarkdownMetadataValue:
    """Plot products' elasticities before and after they lean on their category; of many, evenly spaced ones.

    Parameters
    ----------
    names : sequence of str, length n
    own : float array, shape (n,)
        By the product's own data; NaN where they say next to nothing.
    summary : Summary
        Of the n published elasticities.
    category : Summary
        Of the category's, shape (1,).
    title : str
    """
    figure, axes = drawing.one_axes(_WIDTH, drawing.rows_height(len(names)))
    drawing.draw_shrinkage(axes, names, own, summary, category)
    return _markdown(figure, drawing.with_part(title, len(names)))


def demand_curves(curves: Sequence[DemandCurve], titles: Sequence[str]) -> dg.MarkdownMetadataValue:
    """Plot demand curves side by side, with the observed periods.

    Parameters
    ----------
    curves : sequence of DemandCurve, at least one
    titles : sequence of str
        One a curve, as from `drawing.curve_title`.
    """
    return _markdown(drawing.demand_figure(curves, titles, _WIDTH, _HEIGHT), "demand curves")


def pit(values: np.ndarray, title: str) -> dg.MarkdownMetadataValue:
    """Plot the histogram of probability integral transforms: flat if the predictions are right.

    Parameters
    ----------
    values : float array, shape (m,)
        Between 0 and 1.
    title : str
    """
    figure, axes = drawing.one_axes(_WIDTH, _HEIGHT)
    drawing.draw_pit(axes, values)
    return _markdown(figure, f"{title}: held-out units among their predictions")


def coverage_by_product(share: np.ndarray, count: np.ndarray, title: str) -> dg.MarkdownMetadataValue:
    """Plot how many held-out periods of each product lie in their 90% intervals.

    Parameters
    ----------
    share, count : arrays, shape (n,)
        Of each product's held-out periods; NaN and 0 without any.
    title : str
    """
    figure, axes = drawing.one_axes(_WIDTH, _HEIGHT)
    drawing.draw_coverage(axes, share, count)
    return _markdown(figure, f"{title}: coverage of 90% intervals by product")


def _markdown(figure: Figure, title: str) -> dg.MarkdownMetadataValue:
    figure.suptitle(drawing.literal(title), fontsize=8)
    image = io.BytesIO()
    drawing.save(figure, image, format="png", dpi=80)
    return _image(image.getvalue(), "png", title)


def _image(image: bytes, kind: str, text: str) -> dg.MarkdownMetadataValue:
    encoded = base64.b64encode(image).decode()
    plain = text.replace("[", "(").replace("]", ")").replace("\n", " ")
    return dg.MarkdownMetadataValue(f"![{plain}](data:image/{kind};base64,{encoded})")
