"""The report of a refit: one HTML page that needs nothing beside itself."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from elasticity_assets.inference.demand_curve import is_fitted_to
from elasticity_assets.inference.judging.confounding import ConfoundingTests
from elasticity_assets.inference.judging.scores import HeldOut
from elasticity_assets.inference.judging.split_samples import SplitSamples
from elasticity_assets.inference.panel import Panel
from elasticity_assets.inference.posterior import CategoryPosterior
from elasticity_assets.inference.summaries import own_data_estimates
from elasticity_assets.published.verdict import verdict
from elasticity_assets.report.charts import Chart
from elasticity_assets.report.pictures import Picture, category_pictures
from elasticity_assets.report.tables import NOT_ESTIMATED, Cell, elasticity_text, number, percent, records

MOST_SECTIONS = 40
"""Categories with a section of their own; all others stand in the table."""
MOST_ROWS = 100
"""Products in a section's table."""


@dataclass(frozen=True)
class Section:
    """What the report says of one category.

    Attributes
    ----------
    category : str
    pictures : sequence of Picture
    products : sequence of ProductRow
        At most MOST_ROWS.
    left_out : int
        Products that the table leaves out.
    notes : sequence of str
        What to be careful about, and which pictures are missing.
    """

    category: str
    pictures: Sequence[Picture]
    products: Sequence["ProductRow"]
    left_out: int
    notes: Sequence[str]


@dataclass(frozen=True)
class ProductRow:
    """One product's line, as text."""

    product: str
    description: str
    elasticity: str
    own_data: str
    shrinkage: str
    flag: str


@dataclass(frozen=True)
class Report:
    """All that the page says.

    Attributes
    ----------
    refit_id, began : str
    facts : mapping of str to str
        The headline's numbers by name.
    everything : str
        The global elasticity with its interval.
    failed : mapping of str to str
        Why, by category whose fit failed.
    forest : Picture
    categories : mapping of str to mapping of str to Cell
        The table of categories.
    sections : sequence of Section
        At most MOST_SECTIONS.
    """

    refit_id: str
    began: str
    facts: Mapping[str, str]
    everything: str
    failed: Mapping[str, str]
    forest: Picture
    categories: Mapping[str, Mapping[str, Cell]]
    sections: Sequence[Section]

    def charts(self) -> Iterator[Chart]:
        """All charts of the page."""
        for picture in (self.forest, *(shown for section in self.sections for shown in section.pictures)):
            yield from picture.charts


def render(report: Report, javascript: str) -> str:
    """Write the report as HTML, every text escaped.

    Parameters
    ----------
    report : Report
    javascript : str
        What defines `vegaEmbed`, as from `javascript.vega`.
    """
    from elasticity_assets.report import vega_lite  # noqa: PLC0415 -- altair is slow

    drawn = {chart.kind for chart in report.charts()}
    anchors = {section.category: f"category-{place}" for place, section in enumerate(report.sections, 1)}
    columns = list(next(iter(report.categories.values()), {}))
    return _template().render(
        report=report,
        anchors=anchors,
        columns=columns,
        specifications={kind: vega_lite.specification(kind) for kind in sorted(drawn)},
        keys=vega_lite.KEYS,
        javascript=Markup(javascript),  # noqa: S704 -- our own
    )


def category_section(
    posterior: CategoryPosterior,
    products: pd.DataFrame,
    *,
    panel: Panel | None,
    heldout: HeldOut | None,
    samples: SplitSamples | None,
    confounding: ConfoundingTests | None,
    centred_price: bool,
) -> Section:
    """Put one category's section together.

    Parameters
    ----------
    posterior : CategoryPosterior
        Pooled.
    products : DataFrame
        The category's rows of product_elasticity.
    panel : Panel, optional
        Its sales.
    heldout, samples, confounding : HeldOut, SplitSamples and ConfoundingTests, optional
        Of this fit.
    centred_price : bool
        Whether the fit's log prices are centred by product.
    """
    notes = [f"Of this fit: {text}." for text in posterior.diagnostics.warnings]
    if not products["estimated"].any():
        notes.append(
            "Not estimated: no price ever changed, or nothing was sold; its elasticities are the prior's."
        )
    if panel is None or not is_fitted_to(posterior, panel):
        notes.append("No demand curves: the sales on file are not those that the category was fitted to.")
    if confounding is not None:
        said = verdict(confounding)
        notes.append(f"{said[:1].upper()}{said[1:]}.")
    if products["robustness"].notna().any():
        notes.append(
            f"Something unseen would have to explain {products['robustness'].median():.0%} of what the model leaves of "
            "both prices and sales to move the interval of half the products to −1 or 0."
        )
    notes += ["No held-out evaluation of this fit."] * (heldout is None)
    notes += ["No comparison of split samples of this fit."] * (samples is None)
    own = dict(zip(map(str, posterior.product), own_data_estimates(posterior)[0].tolist(), strict=True))
    pictures = category_pictures(
        posterior,
        product_names(posterior.product, products),
        panel=panel,
        heldout=heldout,
        samples=samples,
        centred_price=centred_price,
    )
    lines = product_lines(products, own)
    return Section(posterior.category, list(pictures), lines, len(products) - len(lines), notes)


def facts(refit: Mapping[str, object]) -> dict[str, str]:
    """Give the headline's numbers.

    Parameters
    ----------
    refit : mapping
        A row of refits.
    """
    names = {
        "n_files": "files",
        "rows_in": "rows in",
        "rows_used": "rows used",
        "rows_rejected": "rows rejected",
        "n_categories": "categories",
        "n_products": "products",
    }
    return {text: f"{refit[name]:,}" for name, text in names.items()}


def product_lines(products: pd.DataFrame, own: Mapping[str, float]) -> list[ProductRow]:
    """Lay one category's products out, those with most revenue first, at most MOST_ROWS.

    Parameters
    ----------
    products : DataFrame
        The category's rows of product_elasticity.
    own : mapping of str to float
        Estimates by the products' own data alone; NaN where there is none.
    """
    chosen = products.sort_values("revenue", ascending=False, kind="stable").head(MOST_ROWS)
    return [
        ProductRow(
            str(row["product"]),
            _text(row["product_description"]),
            _elasticity_text(row, of_category=bool(products["estimated"].any())),
            number(own.get(str(row["product"]), np.nan)),
            percent(row["shrinkage"]),
            _text(row["flag"]),
        )
        for row in records(chosen)
    ]


def _elasticity_text(row: Mapping[str, Any], *, of_category: bool) -> str:
    """Say what a product's elasticity is, or whose."""
    if row["estimated"]:
        return elasticity_text(row)
    return f"the category's: {elasticity_text(row)}" if of_category else NOT_ESTIMATED


def product_names(products: Iterable[str], described: pd.DataFrame) -> list[str]:
    """Name products by code and, where there is one, description.

    Parameters
    ----------
    products : iterable of str
    described : DataFrame
        Rows of product_elasticity.
    """
    descriptions = dict(zip(described["product"], map(_text, described["product_description"]), strict=True))
    return [f"{product} {descriptions.get(product, '')}".strip() for product in map(str, products)]


def _text(value: object) -> str:
    """Give nothing for NULL."""
    return value if isinstance(value, str) else ""


@cache
def _template() -> Template:
    loader = PackageLoader("elasticity_assets.report", ".")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.policies["json.dumps_kwargs"] = {
        "separators": (",", ":"),
        "ensure_ascii": False,
        "allow_nan": False,
    }
    return environment.get_template("report.html")
