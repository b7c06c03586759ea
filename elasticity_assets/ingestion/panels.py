"""Categories' panels, from the warehouse and the settings."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb
import numpy as np

from elasticity_assets.holiday_control import HOLIDAYS, holidays_in_periods
from elasticity_assets.inference.category_price_index import with_category_price_index
from elasticity_assets.inference.experiments import with_experiments
from elasticity_assets.inference.instrument import with_price_residual
from elasticity_assets.inference.panel import Panel, panel_from_sales, with_control
from elasticity_assets.inference.price_lags import bearable_lags, with_price_lags
from elasticity_assets.inference.priors import Season
from elasticity_assets.inference.randomized_prices import with_price_not_random
from elasticity_assets.inference.season import with_price_season
from elasticity_assets.inference.substitute_prices import with_substitute_prices
from elasticity_assets.inference.zoned_panel import ZonedPanel, zoned_panel_from_sales
from elasticity_assets.ingestion.category import (
    GIVEN,
    all_periods,
    has_zones,
    missing_periods,
    read_category,
    read_zones,
    substitute_groups,
    zone_covariates,
)
from elasticity_assets.ingestion.experiments import read_experiments
from elasticity_assets.settings import FitSettings, SalesSettings


@dataclass(frozen=True)
class CategoryPanels:
    """One category's model input.

    Attributes
    ----------
    panel : Panel
        Its products, sales in all zones together.
    zoned : ZonedPanel or None
        The same sales by product and zone, fitted in the panel's place; None where settings name no zones, or no
        product of the category is sold in several.
    """

    panel: Panel
    zoned: ZonedPanel | None = None


def category_panels(
    connection: duckdb.DuckDBPyConnection,
    sales: SalesSettings,
    fit: FitSettings,
    categories: Sequence[str],
    experiments: Path | None = None,
) -> Generator[CategoryPanels, None, None]:
    """Lay out one category after the other, with the controls that the settings ask for.

    Parameters
    ----------
    connection : duckdb connection
        To the warehouse, open until the last panel is there.
    sales : SalesSettings
    fit : FitSettings
    categories : sequence of str
    experiments : Path, optional
        File of what price tests elsewhere found: of products and categories, not of zones.
    """
    # Poisson has no dispersion that could make up for what is counted.
    unit = 1.0 if fit.likelihood == "poisson" or fit.preset == "article" else None
    periods, absent = all_periods(connection), missing_periods(connection, sales)
    results = {} if experiments is None else read_experiments(connection, experiments, sales)
    holidays = None
    if sales.holidays is not None:
        holidays = holidays_in_periods(sales.holidays, periods, sales.period)
    zones, covariates = has_zones(connection), zone_covariates(connection)
    given = _given(sales, fit)
    for category in categories:
        asked = connection, category, sales.controls
        found = read_category(*asked, periods=periods, missing_periods=absent, given=given)
        panel = panel_from_sales(found, unit=unit)
        substitutes = (
            substitute_groups(connection, category) if sales.columns.substitutes is not None else None
        )
        group = None
        if substitutes is not None:
            group = np.array([substitutes.get(product, "") for product in panel.product], dtype=str)
        panel = _with_controls(panel, fit, holidays, group)
        by_zone, zoned = None, None
        if zones:
            by_zone = read_zones(*asked, periods=periods, missing_periods=absent, given=given)
        if by_zone is not None:
            rows, zone = by_zone
            zoned = zoned_panel_from_sales(rows, zone, covariates, unit=unit)
            if substitutes is not None:  # those of the same zone
                group = zoned.within_zones([substitutes.get(product, "") for product in zoned.product])
            zoned = replace(
                zoned, rows=_with_controls(zoned.rows, fit, holidays, group, zoned.product_of_row)
            )
        yield CategoryPanels(with_experiments(panel, results.get(category, ())), zoned)


def _given(sales: SalesSettings, fit: FitSettings) -> list[str]:
    """Name the columns to read of those that files may have or not: the others are empty, or of no use to the fit."""
    used = ["regular_price"] if fit.instrument == "none" else GIVEN
    return [name for name in used if getattr(sales.columns, name) is not None]


def _with_controls(
    panel: Panel,
    fit: FitSettings,
    holidays: np.ndarray | None,
    group: np.ndarray | None,
    product_of_row: np.ndarray | None = None,
) -> Panel:
    """Add the controls that are made: holidays by period, and what sales themselves give.

    Parameters
    ----------
    panel : Panel
    fit : FitSettings
    holidays : array, shape (T,), optional
    group : array of str, shape (n,), optional
        Each product's group of substitutes.
    product_of_row : int array, shape (n,), optional
        Which product each row is, where rows are products in zones.
    """
    if holidays is not None:
        panel = with_control(panel, HOLIDAYS, holidays)
    if fit.preset == "article":
        return panel
    lags = bearable_lags(fit.lags, panel.n_periods)
    panel = with_price_lags(with_category_price_index(panel, lags, product_of_row), lags)
    if fit.season and fit.engine != "svi":
        panel = with_price_season(panel, Season.least_days if fit.season == "auto" else 0)
    if group is not None:
        panel = with_substitute_prices(panel, group)
    if fit.instrument == "use":
        # Prices drawn at random say more than costs.
        by_random_prices = with_price_not_random(panel)
        panel = by_random_prices if by_random_prices is not panel else with_price_residual(panel)
    return panel
