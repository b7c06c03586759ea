"""What is suspect decides no elasticity."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from elasticity_assets.inference.engines import fit
from elasticity_assets.inference.judging.heldout import evaluate
from elasticity_assets.inference.options import FitOptions
from elasticity_assets.inference.panel import Panel
from elasticity_assets.inference.posterior import CategoryPosterior
from elasticity_assets.inference.priors import DEFAULT
from elasticity_assets.inference.summaries import product_summary
from elasticity_assets.ingestion.panels import category_panels
from elasticity_assets.settings import FitSettings
from elasticity_assets.warehouse.file import Warehouse
from elasticity_assets_tests.ingestion.test_suspects import shop, totals
from elasticity_assets_tests.support.sales_files import ingest, sales_settings

FACTORS = {"as it was": 1.0, "x10": 10.0, "x100": 100.0, "x1000": 1000.0, "/100": 0.01}
WRONG = 17


def panels_of(warehouse: Warehouse, folder: Path, sales: pd.DataFrame) -> list[Panel]:
    """Take sales in, and lay their categories out as a refit does."""
    dated = sales.assign(
        date=(pd.Timestamp("2023-01-02") + pd.to_timedelta(sales["week"] * 7, unit="D")).dt.date
    )
    dated.drop(columns="week").to_csv(folder / "sales.csv", index=False)
    settings = sales_settings(folder / "sales.csv", {"category": "category"})
    with warehouse.write() as connection:
        ingest(connection, settings)
        names = [
            name
            for (name,) in connection.execute(
                "SELECT DISTINCT category FROM weekly_sales ORDER BY 1"
            ).fetchall()
        ]
        return [panels.panel for panels in category_panels(connection, settings, FitSettings(), names)]


def moments(posterior: CategoryPosterior) -> tuple[np.ndarray, np.ndarray]:
    summary = product_summary(posterior)
    return summary.mean, summary.sd


def test_one_mistyped_price_moves_the_elasticity_by_less_than_a_posterior_sd(
    warehouse_file: Warehouse, tmp_path: Path
) -> None:
    categories = []
    for name, factor in FACTORS.items():
        sales = shop(T=60, category=name)
        sales.loc[WRONG, "price"] = round(sales["price"][WRONG] * factor, 4)
        categories.append(sales)
    panels = {panel.category: panel for panel in panels_of(warehouse_file, tmp_path, pd.concat(categories))}
    (usual, sd), *others = (moments(fit(panels[name])) for name in FACTORS)
    for mean, _ in others:
        assert np.abs(mean - usual).max() < 0.5 * sd.max()
        assert np.all(np.abs(mean - usual) < sd)
    for name in list(FACTORS)[1:]:
        assert not panels[name].observed[0, WRONG]
        heldout = evaluate(panels[name], DEFAULT, "negative_binomial", rivals=False)
        assert not np.any((heldout.row == 0) & (heldout.column == WRONG))


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["natural_gradient", "svi", "nuts"])
def test_a_product_of_which_nothing_counts_moves_no_other(
    warehouse_file: Warehouse, tmp_path: Path, engine: str
) -> None:
    sales = shop(5, 40)
    (without,) = panels_of(warehouse_file, tmp_path, sales)
    (beside,) = panels_of(warehouse_file, tmp_path, pd.concat([sales, totals(sales, "TOTAL", "tea")]))
    number = list(beside.product).index("TOTAL")
    assert not beside.observed[number].any()
    options = FitOptions(engine=engine)  # type: ignore[arg-type]
    usual, sd = moments(fit(without, options=options))
    mean, spread = moments(fit(beside, options=options))
    assert np.all(np.abs(np.delete(mean, number) - usual) < 0.2 * sd)
    assert np.isfinite(spread[number])
    assert spread[number] > sd.max()
