"""report: one HTML page that a person reads after a refit."""

from collections.abc import Mapping, Sequence

import dagster as dg

from elasticity_assets.assets.metadata import OWNERS
from elasticity_assets.assets.published import published_elasticity
from elasticity_assets.assets.stored import failed_categories, pooled_fit
from elasticity_assets.automation.old_runs import delete_old_runs
from elasticity_assets.automation.partitions import partition_key
from elasticity_assets.checks import published as checks
from elasticity_assets.fitting.array_store import Arrays, StoredArrays
from elasticity_assets.fitting.packing import unpack
from elasticity_assets.fitting.stored_fits import of_fit, products_of
from elasticity_assets.inference.hierarchy import Hierarchy
from elasticity_assets.inference.judging.confounding import ConfoundingTests
from elasticity_assets.inference.judging.scores import HeldOut
from elasticity_assets.inference.judging.split_samples import SplitSamples
from elasticity_assets.inference.panel import Panel
from elasticity_assets.inference.priors import PRESETS
from elasticity_assets.published.rows import summary_of
from elasticity_assets.report.answer import answer, recommendations
from elasticity_assets.report.category_table import NOT_ESTIMATED, category_cells, largest_categories
from elasticity_assets.report.check_warnings import check_warnings, current, warned_categories
from elasticity_assets.report.files import LATEST, write_report
from elasticity_assets.report.javascript import vega
from elasticity_assets.report.numbers import elasticity_text
from elasticity_assets.report.page import (
    MOST_SECTIONS,
    Report,
    Section,
    category_rows,
    category_section,
    facts,
    render,
)
from elasticity_assets.report.pictures import forest
from elasticity_assets.report.price_tests import price_tests
from elasticity_assets.report.product_table import product_rows
from elasticity_assets.report.published_rows import PublishedTables, read_published
from elasticity_assets.report.since_last import compared, since_last
from elasticity_assets.report.uniform_pricing import uniform_pricing_of
from elasticity_assets.report.zones import zone_rows
from elasticity_assets.settings import Settings
from elasticity_assets.warehouse.file import Warehouse
from elasticity_assets.words import in_one_line, reason


@dg.asset(
    group_name="5_published",
    kinds={"html"},
    owners=OWNERS,
    ins={
        name: dg.AssetIn(partition_mapping=dg.AllPartitionMapping())
        for name in (
            "model_input",
            "category_posterior",
            "heldout_evaluation",
            "split_samples",
            "confounding_tests",
        )
    },
    deps=[published_elasticity],
    check_specs=checks.REPORT,
)
def report(
    context: dg.AssetExecutionContext,
    model_input: StoredArrays,
    category_posterior: StoredArrays,
    heldout_evaluation: StoredArrays,
    split_samples: StoredArrays,
    confounding_tests: StoredArrays,
    hierarchy: Arrays,
    settings: dg.ResourceParam[Settings],
    warehouse: Warehouse,
) -> dg.MaterializeResult:
    """Show the last refit on one HTML page: elasticities, what they rest on, and how well they predict.

    The page needs nothing beside itself and can be sent around. It names the categories whose fit failed.
    """
    tables, failed = read_published(settings.published), failed_categories(context, warehouse)
    levels, centred = unpack(Hierarchy, hierarchy), PRESETS[settings.fit.preset].centred_price
    sections: dict[str, Section] = {}
    not_made: dict[str, str] = {}
    for category in largest_categories(tables, MOST_SECTIONS):
        key = partition_key(category)
        try:
            stored = category_posterior.get(key)
            if stored is None:
                raise dg.Failure("its fit is not stored")
            posterior, record = pooled_fit(category, stored, hierarchy, levels)
            sections[category] = category_section(
                products_of(posterior),
                tables.products[tables.products["category"] == category],
                panel=_panel(model_input, key),
                heldout=of_fit(HeldOut, heldout_evaluation, key, record),
                samples=of_fit(SplitSamples, split_samples, key, record),
                confounding=of_fit(ConfoundingTests, confounding_tests, key, record),
                centred_price=centred,
            )
        except Exception as error:  # the rest of the page, and the last check, are worth having
            context.log.exception(f"no section of {category!r} in the report")
            not_made[category] = in_one_line(error) if isinstance(error, dg.Failure) else reason(error)
            sections[category] = Section(category, [], [], 0, [f"No charts: {not_made[category]}"])
    page = render(report_of(tables, failed, list(sections.values()), settings), vega(settings.own_folder))
    file = write_report(page, settings.reports, tables.refit_ids, settings.keep, settings.published_mode)
    # The last asset of a refit. Beside others' assets only its own job's runs are the project's for certain.
    try:
        alone = context.asset_key.path == ["report"]
        deleted = delete_old_runs(
            context.instance,
            context.run,
            settings.schedule.keep_runs_days,
            None if alone else context.run.job_name,
        )
        if deleted:
            context.log.info(f"{deleted} runs older than schedule.keep_runs_days are deleted")
    except Exception as error:  # what is published counts more
        context.log.warning(f"old runs could not be deleted: {reason(error)}")
    return dg.MaterializeResult(
        metadata={
            "report": dg.MetadataValue.path(str(file)),
            "latest report": dg.MetadataValue.path(str(file.with_name(LATEST))),
            "bytes": len(page.encode()),
            **({"sections not made": ", ".join(map(repr, not_made))} if not_made else {}),
        },
        check_results=[
            checks.every_section_made(list(sections), not_made),
            checks.every_category_refitted(list(tables.categories["category"]), failed),
        ],
    )


def report_of(
    tables: PublishedTables, failed: Mapping[str, str], sections: Sequence[Section], settings: Settings
) -> Report:
    """Put together what the page says."""
    refit = tables.refit
    products = recommendations(tables.products, tables.recommended, settings.pricing.objective)
    found = current(tables.check_results, str(refit["refit_id"]))
    warned = warned_categories(found)
    both = compared(tables.before, tables.products)
    estimated = tables.categories[tables.categories["estimated"]]
    return Report(
        refit_id=str(refit["refit_id"]),
        began=f"{refit['refitted_at']:%Y-%m-%d %H:%M}",
        published=settings.published.name,
        period=settings.sales.period,
        failed=failed,
        answer=answer(
            products,
            settings.sales.period,
            warned,
            uniform_pricing_of(
                tables.uniform,
                settings.pricing.objective,
                f"a {settings.sales.period}",
                has_costs=bool(tables.recommended["profit_change"].notna().any()),
            ),
        ),
        tests=price_tests(tables.tests),
        zones=zone_rows(tables.zones),
        n_by_zone=tables.n_by_zone,
        warnings=check_warnings(found, products, tables.suspects, both[both["moved"]]),
        since_last=None
        if tables.last_refit is None
        else since_last(tables.last_refit, refit, tables.before, tables.products),
        everything=elasticity_text(tables.everything) if len(estimated) else NOT_ESTIMATED,
        forest=forest(list(estimated["category"]), summary_of(estimated)),
        categories=category_rows(tables.categories, products, tables.verdicts, warned),
        products=product_rows(products),
        n_products=len(products),
        n_flagged=int(products["flag"].count()),
        facts=facts(refit),
        evidence=category_cells(tables),
        sections=sections,
    )


def _panel(model_input: StoredArrays, key: str) -> Panel | None:
    """Read what a category would be fitted to; None where nothing is stored that this version reads."""
    if key not in model_input:
        return None
    try:
        return unpack(Panel, model_input[key])
    except ValueError:  # of another version
        return None
