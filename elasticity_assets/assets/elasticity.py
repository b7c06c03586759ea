"""Tables of products, of categories, and price_scenarios: pooled posteriors as tables in the warehouse."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pandas as pd

from elasticity_assets.assets.column_lineage import own_column_lineage
from elasticity_assets.assets.metadata import (
    OWNERS,
    add_partition_metadata,
    column_schema,
    made_rows,
    stored_rows,
    table_spec,
)
from elasticity_assets.assets.stored import pooled_fit, replace_categories
from elasticity_assets.automation.names import own_key
from elasticity_assets.automation.partitions import CATEGORIES, category_of
from elasticity_assets.checks import fit as checks
from elasticity_assets.fitting.array_store import Arrays, StoredArrays
from elasticity_assets.fitting.packing import unpack
from elasticity_assets.fitting.stored_fits import FitRecord, Posterior, of_fit, products_of
from elasticity_assets.inference.hierarchy import Hierarchy
from elasticity_assets.inference.judging.confounding import ConfoundingTests
from elasticity_assets.inference.judging.scores import HeldOut
from elasticity_assets.inference.judging.split_samples import SplitSamples
from elasticity_assets.inference.zoned_posterior import ZonedPosterior
from elasticity_assets.ingestion.category import missing_periods
from elasticity_assets.ingestion.experiments import products_tested
from elasticity_assets.published import rows as rows_of
from elasticity_assets.published.cross_elasticity import replace_cross_elasticities
from elasticity_assets.published.price_scenarios import replace_scenarios
from elasticity_assets.report.files import LATEST
from elasticity_assets.settings import SalesSettings, Settings
from elasticity_assets.warehouse.file import Warehouse
from elasticity_assets.warehouse.fit_failures import fit_failures
from elasticity_assets.warehouse.schema import Table, qualified, replace_rows, typed_columns
from elasticity_assets.warehouse.sql import statement
from elasticity_assets.warehouse.suspects import weights_of_suspects
from elasticity_assets.warehouse.tables import (
    CATEGORY_ELASTICITY,
    CATEGORY_MOVE_ELASTICITY,
    CAUSAL_EVIDENCE,
    CONTROL_EFFECT,
    CROSS_ELASTICITY,
    FIT_DIAGNOSTICS,
    GLOBAL_ELASTICITY,
    HELDOUT_SCORES,
    PRICE_SCENARIOS,
    PRODUCT_ELASTICITY,
    PROMOTION_ELASTICITY,
    ZONE_ELASTICITY,
)

GROUP = "4_elasticity"
RECENT = {"day": "91 days", "week": "91 days", "month": "3 months", "quarter": "3 months"}
"""How long ago sales are recent, by the settings' period: 13 weeks, or 3 months."""
_POOLED_FITS = ("category_posterior", "hierarchy")
_INTERVAL = ("elasticity", "elasticity_q05", "elasticity_q95")
_PRODUCT_COLUMNS = (
    "product",
    "product_description",
    *_INTERVAL,
    "prob_elastic",
    "shrinkage",
    "revenue",
    "flag",
)
_ZONE_COLUMNS = ("product", "zone", *_INTERVAL, "shrinkage", "units_per_period", "flag")
_CATEGORY_MOVE_COLUMNS = ("product", *_INTERVAL)
_CROSS_COLUMNS = ("category", "product", "other_product", *_INTERVAL)
_CATEGORY_TABLES = {
    CATEGORY_ELASTICITY: ("category", *_INTERVAL, "product_spread", "n_products", "n_periods"),
    GLOBAL_ELASTICITY: (*_INTERVAL, "category_spread", "product_spread", "n_categories", "n_products"),
    CONTROL_EFFECT: ("category", "control", "effect", "effect_q05", "effect_q95"),
    FIT_DIAGNOSTICS: (
        "category",
        "engine",
        "likelihood",
        "iterations",
        "converged",
        "heldout_coverage_90",
        "heldout_wape",
        "forecast_wape",
    ),
    HELDOUT_SCORES: ("category", "cells", "model", "log_score", "wape", "n_cells"),
    CAUSAL_EVIDENCE: ("category", "lead_z", "hausman_z", "randomized_gap_z", "verdict"),
}
"""The tables of categories, each with the columns that its materialization shows."""
_SCENARIO_COLUMNS = (
    "category",
    "product",
    "price_change",
    "units_change",
    "units_change_q05",
    "units_change_q95",
    "revenue_change",
    "flag",
)


@dg.multi_asset(
    specs=[
        table_spec(PRODUCT_ELASTICITY, GROUP, [*_POOLED_FITS, "split_samples", "confounding_tests"]),
        table_spec(ZONE_ELASTICITY, GROUP, _POOLED_FITS),
        table_spec(CATEGORY_MOVE_ELASTICITY, GROUP, _POOLED_FITS),
    ],
    partitions_def=CATEGORIES,
    backfill_policy=dg.BackfillPolicy.single_run(),
    check_specs=checks.PRODUCT_ELASTICITY,
)
def product_tables(
    context: dg.AssetExecutionContext,
    category_posterior: StoredArrays,
    split_samples: StoredArrays,
    confounding_tests: StoredArrays,
    hierarchy: Arrays,
    settings: dg.ResourceParam[Settings],
    warehouse: Warehouse,
) -> Iterator[dg.MaterializeResult]:
    """Give every product its price elasticity, pooled within its category and over all categories, and in each zone.

    One transaction replaces the rows of all three tables. A category whose last fit failed keeps its last rows.
    """
    levels = unpack(Hierarchy, hierarchy)
    with warehouse.read() as connection:
        keys = _to_write(connection, category_posterior)
        sales = product_sales(connection, keys, settings.sales, settings.experiments)
        of_zones = product_sales(connection, keys, settings.sales, by_zone=True)
    page = dg.MetadataValue.path(str(settings.reports / LATEST))
    parts: list[pd.DataFrame] = []
    zones: list[pd.DataFrame] = []
    moves: list[pd.DataFrame] = []
    for key in keys:
        fit, record = pooled_fit(category_of(key), category_posterior[key], hierarchy, levels)
        posterior, own_sales = products_of(fit), _sales_of_fit(sales[key], fit)
        samples = of_fit(SplitSamples, split_samples, key, record)
        tests = of_fit(ConfoundingTests, confounding_tests, key, record)
        periods = settings.fit.min_periods
        parts.append(rows_of.product_rows(posterior, record, own_sales, periods, samples, tests))
        moves.append(rows_of.category_move_rows(posterior, record, own_sales))
        if isinstance(fit, ZonedPosterior):
            zones.append(rows_of.zone_rows(fit, record, of_zones[key], periods))
            _show(context, key, ZONE_ELASTICITY, made_rows(ZONE_ELASTICITY, zones[-1], _ZONE_COLUMNS))
        best_sold = parts[-1].sort_values("revenue", ascending=False, kind="stable")
        shown = made_rows(PRODUCT_ELASTICITY, best_sold, _PRODUCT_COLUMNS)
        _show(context, key, PRODUCT_ELASTICITY, {**shown, "charts of the last report": page})
        _show(
            context,
            key,
            CATEGORY_MOVE_ELASTICITY,
            made_rows(CATEGORY_MOVE_ELASTICITY, moves[-1], _CATEGORY_MOVE_COLUMNS),
        )
    rows = rows_of.concatenated(parts, PRODUCT_ELASTICITY)
    by_zone = rows_of.concatenated(zones, ZONE_ELASTICITY)
    moved = rows_of.concatenated(moves, CATEGORY_MOVE_ELASTICITY)

    def replace(connection: duckdb.DuckDBPyConnection) -> pd.DataFrame:
        changes = changes_since_last_refit(connection, rows)
        replace_categories(context, warehouse, connection, PRODUCT_ELASTICITY, rows, keys)
        replace_categories(context, warehouse, connection, ZONE_ELASTICITY, by_zone, keys)
        replace_categories(context, warehouse, connection, CATEGORY_MOVE_ELASTICITY, moved, keys)
        return changes

    changes = warehouse.in_transaction(replace)
    yield dg.MaterializeResult(
        asset_key=own_key(context, PRODUCT_ELASTICITY.name),
        metadata=own_column_lineage(context, PRODUCT_ELASTICITY.name),
        check_results=[checks.elasticities_are_negative(rows), checks.elasticities_keep_still(changes)],
    )
    for table in (ZONE_ELASTICITY, CATEGORY_MOVE_ELASTICITY):
        yield dg.MaterializeResult(
            asset_key=own_key(context, table.name), metadata=own_column_lineage(context, table.name)
        )


def _show(context: dg.AssetExecutionContext, key: str, table: Table, metadata: Mapping[str, Any]) -> None:
    add_partition_metadata(context, key, metadata, own_key(context, table.name))


def product_sales(
    connection: duckdb.DuckDBPyConnection,
    keys: Iterable[str],
    sales: SalesSettings,
    experiments: Path | None = None,
    *,
    by_zone: bool = False,
) -> dict[str, pd.DataFrame]:
    """Read what the products of some categories sold, and at which prices: by partition key, one row a product.

    Or, `by_zone`, one row a product and zone, with a column `zone`. The columns are those that `rows.product_rows`
    takes; `tested` are products of which `experiments` has results.
    """
    keys = list(keys)
    source = {
        "sales": "zone_sales" if by_zone else "weekly_sales",
        "key": "w.product, w.zone" if by_zone else "w.product",
        "order": "s.product, s.zone" if by_zone else "s.product",
    }
    select = statement("product_sales", **weights_of_suspects(by_zone=by_zone), **source)
    missing = missing_periods(connection, sales)
    values = {
        "categories": [category_of(key) for key in keys],
        "recent": RECENT[sales.period],
        "unobserved": missing == "unobserved",
        "zero": missing == "zero",
    }
    sold = connection.execute(select, values).df()
    sold["tested"] = sold["product"].isin(products_tested(connection, experiments, sales))
    category = sold.pop("category")
    of_category = dict(iter(sold.groupby(category)))
    return {key: of_category.get(category_of(key), sold.iloc[:0]) for key in keys}


def _sales_of_fit(sales: pd.DataFrame, fit: Posterior) -> pd.DataFrame:
    """Products' sales as the fit knew them: fits by zone do not use results of tests elsewhere."""
    return sales.assign(tested=False) if isinstance(fit, ZonedPosterior) else sales


def changes_since_last_refit(connection: duckdb.DuckDBPyConnection, rows: pd.DataFrame) -> pd.DataFrame:
    """Compare new rows of product_elasticity with those that stand in the warehouse.

    Parameters
    ----------
    connection : duckdb connection
    rows : DataFrame
        The new rows, not yet written.

    Returns
    -------
    DataFrame
        One row a category that has products in both: as `checks.elasticities_keep_still` takes them.
    """
    columns = typed_columns(PRODUCT_ELASTICITY, ("category", "product", "elasticity", "elasticity_sd"))
    connection.register("new_rows", rows)
    try:
        select = statement("changes_since_last_refit", columns=columns)
        return connection.execute(select, {"limit": checks.LARGEST_JUMP}).df()
    finally:
        connection.unregister("new_rows")


@dg.asset(
    group_name=GROUP,
    kinds={"duckdb"},
    owners=OWNERS,
    deps=[
        *(
            dg.AssetDep(table.name, partition_mapping=dg.AllPartitionMapping())
            for table in (PRODUCT_ELASTICITY, CATEGORY_MOVE_ELASTICITY)
        ),
        CATEGORY_ELASTICITY.name,
        PROMOTION_ELASTICITY.name,
    ],
    metadata=column_schema(PRICE_SCENARIOS),
)
def price_scenarios(context: dg.AssetExecutionContext, warehouse: Warehouse) -> dg.MaterializeResult:
    """Work out what units and revenue of every product do if its price, or its category's, changes by up to 20%.

    A product's own: in the period of the change, once it has lasted, and as a promotion of one period.
    """
    return _worked_out(context, warehouse, PRICE_SCENARIOS, _SCENARIO_COLUMNS, replace_scenarios)


@dg.asset(
    group_name=GROUP,
    kinds={"duckdb"},
    owners=OWNERS,
    deps=[
        "weekly_sales",
        dg.AssetDep(PRODUCT_ELASTICITY.name, partition_mapping=dg.AllPartitionMapping()),
        CONTROL_EFFECT.name,
    ],
    metadata=column_schema(CROSS_ELASTICITY),
)
def cross_elasticity(context: dg.AssetExecutionContext, warehouse: Warehouse) -> dg.MaterializeResult:
    """Work out what the price of each product's substitutes does to its units, pair by pair, where groups are named."""
    return _worked_out(context, warehouse, CROSS_ELASTICITY, _CROSS_COLUMNS, replace_cross_elasticities)


def _worked_out(
    context: dg.AssetExecutionContext,
    warehouse: Warehouse,
    table: Table,
    columns: Sequence[str],
    replace: Callable[[duckdb.DuckDBPyConnection], int],
) -> dg.MaterializeResult:
    """Let DuckDB write a whole table anew from others, and show some of its rows."""
    warehouse.in_transaction(replace)
    with warehouse.read() as connection:
        rows = stored_rows(connection, table, columns)
    return dg.MaterializeResult(metadata={**rows, **own_column_lineage(context, table.name)})


@dg.multi_asset(
    specs=[
        table_spec(CATEGORY_ELASTICITY, GROUP, _POOLED_FITS),
        table_spec(GLOBAL_ELASTICITY, GROUP, ["hierarchy", CATEGORY_ELASTICITY.name]),
        table_spec(CONTROL_EFFECT, GROUP, _POOLED_FITS),
        table_spec(FIT_DIAGNOSTICS, GROUP, [*_POOLED_FITS, "heldout_evaluation", "split_samples"]),
        table_spec(HELDOUT_SCORES, GROUP, [*_POOLED_FITS, "heldout_evaluation"]),
        table_spec(CAUSAL_EVIDENCE, GROUP, [*_POOLED_FITS, "confounding_tests"]),
    ],
)
def category_tables(
    context: dg.AssetExecutionContext,
    category_posterior: StoredArrays,
    heldout_evaluation: StoredArrays,
    split_samples: StoredArrays,
    confounding_tests: StoredArrays,
    hierarchy: Arrays,
    settings: dg.ResourceParam[Settings],
    warehouse: Warehouse,
) -> Iterator[dg.MaterializeResult]:
    """Give every category its elasticity, beside the global one, controls' effects, diagnostics and evidence.

    One transaction replaces the rows of all six tables. A category whose last fit failed keeps its last rows.
    """
    levels, pooling = unpack(Hierarchy, hierarchy), unpack(FitRecord, hierarchy)
    with warehouse.read() as connection:
        keys = _to_write(connection, category_posterior)
        sales = product_sales(connection, keys, settings.sales, settings.experiments)
    parts: dict[Table, list[pd.DataFrame]] = {
        CATEGORY_ELASTICITY: [],
        CONTROL_EFFECT: [],
        FIT_DIAGNOSTICS: [],
        HELDOUT_SCORES: [],
        CAUSAL_EVIDENCE: [],
    }
    for key in keys:
        fit, record = pooled_fit(category_of(key), category_posterior[key], hierarchy, levels)
        posterior = products_of(fit)
        own_sales = _sales_of_fit(sales[key], fit)
        parts[CATEGORY_ELASTICITY].append(rows_of.category_row(posterior, record, own_sales))
        parts[CONTROL_EFFECT].append(rows_of.control_rows(posterior))
        heldout = of_fit(HeldOut, heldout_evaluation, key, record)
        samples = of_fit(SplitSamples, split_samples, key, record)
        parts[FIT_DIAGNOSTICS].append(rows_of.diagnostics_row(posterior, record, heldout, samples))
        if heldout is not None:
            parts[HELDOUT_SCORES].append(rows_of.heldout_rows(heldout, record))
        tests = of_fit(ConfoundingTests, confounding_tests, key, record)
        if tests is not None:
            parts[CAUSAL_EVIDENCE].append(rows_of.causal_row(tests, record))

    def replace(connection: duckdb.DuckDBPyConnection) -> dict[str, dict[str, Any]]:
        for table, rows in parts.items():
            replace_categories(context, warehouse, connection, table, rows_of.concatenated(rows, table), keys)
        every = {"categories": [str(category) for category in levels.category]}
        select = statement("categories_rows", table=qualified(CATEGORY_ELASTICITY))
        categories = connection.execute(select, every).df()
        replace_rows(connection, GLOBAL_ELASTICITY, rows_of.global_row(levels, pooling, categories))
        return {
            table.name: stored_rows(connection, table, columns) for table, columns in _CATEGORY_TABLES.items()
        }

    for name, rows in warehouse.in_transaction(replace).items():
        yield dg.MaterializeResult(
            asset_key=own_key(context, name), metadata={**rows, **own_column_lineage(context, name)}
        )


def _to_write(connection: duckdb.DuckDBPyConnection, keys: Iterable[str]) -> list[str]:
    """Partition keys to write: all but those that keep their last rows because their fit failed.

    Rows that a killed run left of different fits are none to keep: both steps write the stored fit then.
    """
    found = connection.execute(statement("whole_categories")).fetchall()
    kept = {category for (category,) in found} & fit_failures(connection).keys()
    return [key for key in keys if category_of(key) not in kept]
