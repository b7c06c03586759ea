"""Categories' panels, from the warehouse and the settings."""

from collections.abc import Generator, Sequence
from dataclasses import replace
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
from elasticity_assets.ingestion.category import (
    all_periods,
    missing_periods,
    read_category,
    substitute_groups,
)
from elasticity_assets.ingestion.experiments import read_experiments
from elasticity_assets.settings import FitSettings, SalesSettings


def category_panels(
    connection: duckdb.DuckDBPyConnection,
    sales: SalesSettings,
    fit: FitSettings,
    categories: Sequence[str],
    experiments: Path | None = None,
) -> Generator[Panel, None, None]:
    """Lay out one category after the other, with the controls that the settings ask for.

    Parameters
    ----------
    connection : duckdb connection
        To the warehouse, open until the last panel is there.
    sales : SalesSettings
    fit : FitSettings
    categories : sequence of str
    experiments : Path, optional
        File of what price tests elsewhere found.
    """
    # Poisson has no dispersion that could make up for what is counted.
    unit = 1.0 if fit.likelihood == "poisson" or fit.preset == "article" else None
    periods, absent = all_periods(connection), missing_periods(connection, sales)
    results = {} if experiments is None else read_experiments(connection, experiments, sales)
    holidays = None
    if sales.holidays is not None:
        holidays = holidays_in_periods(sales.holidays, periods, sales.period)
    for category in categories:
        found = read_category(connection, category, sales.controls, periods=periods, missing_periods=absent)
        if sales.columns.regular_price is None:  # the column is there, and empty
            found = replace(found, regular_price=None)
        if sales.columns.cost is None or fit.instrument == "none":
            found = replace(found, cost=None)
        if sales.columns.randomized is None or fit.instrument == "none":
            found = replace(found, randomized=None)
        panel = panel_from_sales(found, unit=unit)
        if holidays is not None:
            panel = with_control(panel, HOLIDAYS, holidays)
        if fit.preset != "article":
            lags = bearable_lags(fit.lags, len(periods))
            panel = with_price_lags(with_category_price_index(panel, lags), lags)
            if fit.season and fit.engine != "svi":
                panel = with_price_season(panel, Season.least_days if fit.season == "auto" else 0)
            if sales.columns.substitutes is not None:
                of_product = substitute_groups(connection, category)
                group = np.array([of_product.get(product, "") for product in panel.product], dtype=str)
                panel = with_substitute_prices(panel, group)
            if fit.instrument == "use":
                # Prices drawn at random say more than costs.
                by_random_prices = with_price_not_random(panel)
                panel = by_random_prices if by_random_prices is not panel else with_price_residual(panel)
        yield with_experiments(panel, results.get(category, ()))
