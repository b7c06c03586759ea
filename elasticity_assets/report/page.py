"""The report of a refit: one HTML page that needs nothing beside itself."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from elasticity_assets.inference.demand_curve import is_fitted_to
from elasticity_assets.inference.judging.confounding import ConfoundingTests
from elasticity_assets.inference.judging.observed_controls import ObservedControl
from elasticity_assets.inference.judging.scores import HeldOut
from elasticity_assets.inference.judging.split_samples import SplitSamples
from elasticity_assets.inference.panel import Panel
from elasticity_assets.inference.posterior import CategoryPosterior
from elasticity_assets.inference.summaries import own_data_estimates
from elasticity_assets.published.verdict import verdict
from elasticity_assets.report import product_table
from elasticity_assets.report.answer import Answer
from elasticity_assets.report.category_table import Cell, category_text
from elasticity_assets.report.charts import Chart
from elasticity_assets.report.check_warnings import CheckWarning
from elasticity_assets.report.numbers import number, percent
from elasticity_assets.report.pictures import Picture, category_pictures
from elasticity_assets.report.price_tests import PriceTest
from elasticity_assets.report.published_rows import records, text
from elasticity_assets.report.sensitivity import sensitivity
from elasticity_assets.report.since_last import SinceLast
from elasticity_assets.report.zones import ZoneRow

MOST_SECTIONS = 30
"""Categories with a section of their own in the appendix; all others stand in the tables."""
MOST_ROWS = 25
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
    """How far one product's elasticity leans on its category, as text."""

    product: str
    description: str
    elasticity: str
    own_data: str
    shrinkage: str


@dataclass(frozen=True)
class CategoryRow:
    """One category's line beside its elasticity, as text."""

    category: str
    products: str
    elasticity: str
    estimated: bool
    changes: str
    flagged: str
    verdict: str
    warns: bool


@dataclass(frozen=True)
class Report:
    """All that the page says.

    Attributes
    ----------
    refit_id, began : str
    published : str
        Name of the published file, which has all that the page leaves out.
    period : str
        What sales are counted by, such as 'week'.
    failed : mapping of str to str
        Why, by category whose fit failed.
    answer : Answer
    tests : sequence of PriceTest
        The price tests to run first.
    zones : sequence of ZoneRow
        Products in zones that differ most from their products.
    n_by_zone : int
        Products in zones; 0 where there are no zones.
    warnings : sequence of CheckWarning
    since_last : SinceLast or None
        None where there was no refit before.
    everything : str
        The global elasticity with its interval.
    forest : Picture
    categories : sequence of CategoryRow
    products : sequence of product_table.ProductRow
    n_products, n_flagged : int
        Of all, in the table or not; of those that have a flag.
    facts : mapping of str to str
        Numbers of the sales by name.
    evidence : mapping of str to mapping of str to Cell
        The appendix's table of categories.
    sections : sequence of Section
        At most MOST_SECTIONS.
    """

    refit_id: str
    began: str
    published: str
    period: str
    failed: Mapping[str, str]
    answer: Answer
    tests: Sequence[PriceTest]
    zones: Sequence[ZoneRow]
    n_by_zone: int
    warnings: Sequence[CheckWarning]
    since_last: SinceLast | None
    everything: str
    forest: Picture
    categories: Sequence[CategoryRow]
    products: Sequence[product_table.ProductRow]
    n_products: int
    n_flagged: int
    facts: Mapping[str, str]
    evidence: Mapping[str, Mapping[str, Cell]]
    sections: Sequence[Section]

    def charts(self) -> Iterator[Chart]:
        """All charts of the page."""
        answers = [self.answer.picture] if self.answer.picture else []
        for picture in (
            *answers,
            self.forest,
            *(shown for section in self.sections for shown in section.pictures),
        ):
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
    columns = list(next(iter(report.evidence.values()), {}))
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
    notes = [f"Of this fit: {warning}." for warning in posterior.diagnostics.warnings]
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
        known = ObservedControl() if confounding is None else confounding.strongest_control
        notes.append(f"{sensitivity(products['robustness'].median(), known)}.")
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
    """Give the numbers of the sales behind a refit.

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
    return {name: f"{refit[column]:,}" for column, name in names.items()}


def category_rows(
    categories: pd.DataFrame,
    products: pd.DataFrame,
    verdicts: Mapping[str, str],
    warned: frozenset[str],
) -> list[CategoryRow]:
    """Lay out the categories, those with most changes of prices first.

    Parameters
    ----------
    categories : DataFrame
        Rows of category_elasticity.
    products : DataFrame
        From `answer.recommendations`.
    verdicts : mapping of str to str
        Whether a category's elasticities are what prices did.
    warned : frozenset of str
        Categories of which a check warns.
    """
    changes = (products["action"] != "keep").groupby(products["category"]).sum()
    flagged = products.groupby("category")["flag"].count()
    rows = [
        CategoryRow(
            str(row["category"]),
            f"{row['n_products']:,}",
            category_text(row),
            bool(row["estimated"]),
            f"{changes.get(row['category'], 0):,}",
            f"{flagged.get(row['category'], 0):,}",
            verdicts.get(row["category"], ""),
            row["category"] in warned,
        )
        for row in records(categories)
    ]
    return sorted(rows, key=lambda row: -int(changes.get(row.category, 0)))


def product_lines(products: pd.DataFrame, own: Mapping[str, float]) -> list[ProductRow]:
    """Lay out what one category's products lean on, those with most revenue first, at most MOST_ROWS.

    Parameters
    ----------
    products : DataFrame
        The category's rows of product_elasticity.
    own : mapping of str to float
        Estimates by the products' own data alone; NaN where there is none.
    """
    chosen = products.sort_values("revenue", ascending=False, kind="stable").head(MOST_ROWS)
    of_category = bool(products["estimated"].any())
    return [
        ProductRow(
            str(row["product"]),
            text(row["product_description"]),
            product_table.product_elasticity_text(row, of_category=of_category),
            number(own.get(str(row["product"]), np.nan)),
            percent(row["shrinkage"]),
        )
        for row in records(chosen)
    ]


def product_names(products: Iterable[str], described: pd.DataFrame) -> list[str]:
    """Name products by code and, where there is one, description.

    Parameters
    ----------
    products : iterable of str
    described : DataFrame
        Rows of product_elasticity.
    """
    descriptions = dict(zip(described["product"], map(text, described["product_description"]), strict=True))
    return [f"{product} {descriptions.get(product, '')}".strip() for product in map(str, products)]


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
