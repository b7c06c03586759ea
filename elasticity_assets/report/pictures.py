"""Pictures of the report: each drawn as SVG, with a caption that says how to read it and what is a bad sign."""

import base64
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import matplotlib
from matplotlib.figure import Figure

from elasticity_assets.inference.demand_curve import demand_curve, is_fitted_to, most_and_least_certain
from elasticity_assets.inference.judging.scores import HeldOut
from elasticity_assets.inference.judging.split_samples import SplitSamples
from elasticity_assets.inference.panel import Panel
from elasticity_assets.inference.posterior import CategoryPosterior, Summary
from elasticity_assets.inference.summaries import category_summary, own_data_estimates, product_summary
from elasticity_assets.report import drawing

_WIDTH, _HEIGHT = 6.4, 2.7  # inches

SHRINKAGE = (
    "Each row is a product. The white circle is what its own sales say alone, the blue dot what is published, with its "
    "90% credible interval; the line between them shows how far the product was drawn to its category (grey line, its "
    "90% interval as a band). The weaker a product's own evidence, the longer the way. A triangle at the edge is an "
    "own estimate beyond it; a product without a circle has next to no evidence of its own. Left of the dotted line "
    "at −1 a lower price brings more revenue. Bad signs: a product with much evidence far from all others, or blue "
    "dots in two separate heaps: they may not belong to one category."
)
DEMAND = (
    "Line: units a period that the model expects at each price, at the product's usual level and average period and "
    "control effects; band: where its 90% credible interval of the elasticity puts them. Points: the observed periods, "
    "units adjusted for the effects of their period and controls; red crosses count less in the fit, since their "
    "units are absurd. Left the product whose elasticity is known best, right the one known least. Bad signs: points "
    "that bend away from the line at one end of the prices, or few prices that carry the whole slope."
)
TRUNCATED = (
    " The files drop periods without a sale: where a product sells less than a few units a period, the points lie "
    "above the line, which counts those periods too."
)
PIT = (
    "Where the units of product-periods that the fit had not seen lie within their predicted distributions. Flat, "
    "within the grey band of chance, is right. Bad signs: high at both ends, predictions are too sure; high in the "
    "middle, too unsure; a slope, they are biased."
)
COVERAGE = (
    "Each dot is a product: the share of its unseen periods inside their 90% predictive intervals, sorted. About 95 of "
    "100 dots should lie in the grey band around 90%. Bad sign: many dots below it, the intervals are too narrow for "
    "these products."
)
DRIFT = (
    "Each row is a product: its elasticity from the second half of the periods less that from the first, with its 90% "
    "interval; on top, the category's. If nothing changed, nine of ten bars cross zero. Bad signs: red bars (beyond "
    "2.58 sds, 1 of 100 by chance), or all bars on one side: the elasticities changed, the published ones are averages."
)
ELBO = (
    "How far the evidence lower bound stood below its last value, iteration by iteration. It should come to zero and "
    "stay there, within a nat or so. Bad sign: it still changes by nats at the right edge, the fit stopped too early."
)
FOREST = (
    "Each row is a category: the elasticity around which its products lie, with its 90% credible interval. Left of the "
    "dotted line at −1 a lower price brings more revenue. Bad signs: a category far from all others, or above zero."
)


@dataclass(frozen=True)
class Picture:
    """A picture as it stands in the report.

    Attributes
    ----------
    title : str
    source : str
        The image, as a data URI.
    caption : str
    """

    title: str
    source: str
    caption: str


def forest(names: Sequence[str], summary: Summary) -> Picture:
    """Draw the categories' elasticities.

    Parameters
    ----------
    names : sequence of str, length C
    summary : Summary
        Of C elasticities.
    """
    figure, axes = drawing.one_axes(1.4 * _WIDTH, drawing.rows_height(len(names)))
    drawing.draw_elasticities(axes, names, summary)
    return Picture(drawing.with_part("Elasticities of the categories", len(names)), _svg(figure), FOREST)


def category_pictures(
    posterior: CategoryPosterior,
    names: Sequence[str],
    *,
    panel: Panel | None,
    heldout: HeldOut | None,
    samples: SplitSamples | None,
    centred_price: bool,
) -> Iterator[Picture]:
    """Draw one category's pictures; those whose evidence is missing are left out.

    Parameters
    ----------
    posterior : CategoryPosterior
        Pooled.
    names : sequence of str, length n
        Of its products.
    panel : Panel, optional
        Its sales; demand curves are drawn if the fit is of these products and periods.
    heldout, samples : HeldOut and SplitSamples, optional
        Of this fit.
    centred_price : bool
        Whether the fit's log prices are centred by product.
    """
    summary = product_summary(posterior)
    own, _ = own_data_estimates(posterior)
    figure, axes = drawing.one_axes(_WIDTH, drawing.rows_height(len(names)) + 0.3)
    drawing.draw_shrinkage(axes, names, own, summary, category_summary(posterior))
    yield Picture(
        drawing.with_part("Products before and after shrinkage", len(names)), _svg(figure), SHRINKAGE
    )
    chosen = most_and_least_certain(summary)
    if chosen and panel is not None and is_fitted_to(posterior, panel):
        curves = [demand_curve(panel, posterior, i, centred_price=centred_price) for i in chosen.values()]
        titles = [drawing.curve_title(what, names[i], summary, i) for what, i in chosen.items()]
        figure = drawing.demand_figure(curves, titles, _WIDTH, _HEIGHT)
        yield Picture("Demand curves", _svg(figure), DEMAND + TRUNCATED * panel.zero_truncated)
    if samples is not None:
        own_names = dict(zip(posterior.product, names, strict=True))
        figure, axes = drawing.one_axes(_WIDTH, drawing.rows_height(len(samples.product) + 1))
        drawing.draw_drift(axes, [own_names.get(code, str(code)) for code in samples.product], samples)
        yield Picture(drawing.with_part("Drift", len(samples.product)), _svg(figure), DRIFT)
    if heldout is not None:
        folds = heldout.folds()
        figure, axes = drawing.one_axes(_WIDTH, _HEIGHT)
        drawing.draw_pit(axes, folds.pit)
        yield Picture("Held-out units among their predictions", _svg(figure), PIT)
        figure, axes = drawing.one_axes(_WIDTH, _HEIGHT)
        drawing.draw_coverage(axes, *folds.coverage_by_product())
        yield Picture("Coverage by product", _svg(figure), COVERAGE)
    if len(posterior.trace):
        figure, axes = drawing.one_axes(_WIDTH, _HEIGHT)
        drawing.draw_elbo_trace(axes, posterior.trace)
        yield Picture("The fit", _svg(figure), ELBO)


def _svg(figure: Figure) -> str:
    """Write a figure as a data URI; text stays text, so that the browser's fonts draw any letter."""
    image = io.BytesIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "elasticity"}):
        drawing.save(figure, image, format="svg", metadata={"Date": None, "Creator": None})
    return f"data:image/svg+xml;base64,{base64.b64encode(image.getvalue()).decode()}"
