"""Pictures of the report: charts with a caption that says how to read them and what is a bad sign."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from elasticity_assets.inference.demand_curve import demand_curve, is_fitted_to, most_and_least_certain
from elasticity_assets.inference.judging.scores import HeldOut
from elasticity_assets.inference.judging.split_samples import SplitSamples
from elasticity_assets.inference.panel import Panel
from elasticity_assets.inference.posterior import CategoryPosterior, Summary
from elasticity_assets.inference.summaries import category_summary, own_data_estimates, product_summary
from elasticity_assets.report import charts
from elasticity_assets.report.charts import Chart, with_part

SHRINKAGE = (
    "Each row is a product. The orange circle is what its own sales say alone, the blue dot what is published, "
    "with its 90% credible interval; the line between them shows how far the product was drawn to its category "
    "(grey line, its 90% interval as a band). The weaker a product's own evidence, the longer the way. A triangle "
    "at the edge is an own estimate beyond it; a product without a circle has next to no evidence of its own. "
    "Left of the dotted line at −1 a lower price brings more revenue. Bad signs: a product with much evidence far "
    "from all others, or blue dots in two separate heaps: they may not belong to one category."
)
DEMAND = (
    "Line: units a period that the model expects at each price, at the product's usual level and average period "
    "and control effects; band: where its 90% credible interval of the elasticity puts them. Points: the observed "
    "periods, units adjusted for the effects of their period and controls and for slow demand; red crosses count "
    "less in the fit, since their units are outlying; a triangle at the top edge lies beyond it. First the product "
    "whose elasticity is known best, then the one known least. Bad signs: points that bend away from the line at one "
    "end of the prices, or few prices that carry the whole slope."
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
    charts : sequence of Chart
    caption : str
    """

    title: str
    charts: Sequence[Chart]
    caption: str


def forest(names: Sequence[str], summary: Summary) -> Picture:
    """Show the categories' elasticities.

    Parameters
    ----------
    names : sequence of str, length C
    summary : Summary
        Of C elasticities.
    """
    title = with_part("Elasticities of the categories", len(names))
    return Picture(title, [charts.elasticities(names, summary)], FOREST)


def category_pictures(
    posterior: CategoryPosterior,
    names: Sequence[str],
    *,
    panel: Panel | None,
    heldout: HeldOut | None,
    samples: SplitSamples | None,
    centred_price: bool,
) -> Iterator[Picture]:
    """Show one category; pictures whose evidence is missing are left out.

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
    shrinkage = charts.shrinkage(names, own, summary, category_summary(posterior))
    yield Picture(with_part("Products before and after shrinkage", len(names)), [shrinkage], SHRINKAGE)
    chosen = most_and_least_certain(summary)
    if chosen and panel is not None and is_fitted_to(posterior, panel):
        curves = [
            charts.demand(
                demand_curve(panel, posterior, i, centred_price=centred_price), what, names[i], summary, i
            )
            for what, i in chosen.items()
        ]
        yield Picture("Demand curves", curves, DEMAND + TRUNCATED * panel.zero_truncated)
    if samples is not None:
        own_names = dict(zip(posterior.product, names, strict=True))
        judged = [own_names.get(code, str(code)) for code in samples.product]
        yield Picture(with_part("Drift", len(judged)), [charts.drift(judged, samples)], DRIFT)
    if heldout is not None:
        folds = heldout.folds()
        yield Picture("Held-out units among their predictions", [charts.pit(folds.pit)], PIT)
        yield Picture("Coverage by product", [charts.coverage(*folds.coverage_by_product())], COVERAGE)
    if len(posterior.trace):
        yield Picture("The fit", [charts.elbo_trace(posterior.trace)], ELBO)
