"""A small warehouse whose tables agree with each other, to publish from."""

from datetime import UTC, datetime

import numpy as np
import pandas as pd

from elasticity_assets.ingestion.category import category_hash
from elasticity_assets.published.price_scenarios import replace_scenarios
from elasticity_assets.published.publish import Refit
from elasticity_assets.published.recommended_prices import read_products, recommended
from elasticity_assets.settings import PricingSettings
from elasticity_assets.warehouse.file import Warehouse
from elasticity_assets.warehouse.schema import replace_rows
from elasticity_assets.warehouse.sql import quoted
from elasticity_assets.warehouse.tables import (
    CATEGORY_ELASTICITY,
    CATEGORY_MOVE_ELASTICITY,
    CONTROL_EFFECT,
    FIT_DIAGNOSTICS,
    GLOBAL_ELASTICITY,
    PRODUCT_ELASTICITY,
    PROMOTION_ELASTICITY,
    RECOMMENDED_PRICES,
)

NASTY = 'Käse\'; DROP TABLE refits; --\n"🧀" {x}'
CATALOGUE = {"soup": ["1", "2", "3"], NASTY: ["1", NASTY]}
CONTROLS = ["display", 'odd "name"; 😀']
FITTED_AT = datetime(2026, 1, 5, 6)


def refit(number: int, failed: tuple[str, ...] = (), catalogue: dict[str, list[str]] = CATALOGUE) -> Refit:
    fitted = {category: len(products) for category, products in catalogue.items()}
    return Refit(f"refit-{number}", datetime(2026, 1, 4 + number, 6, tzinfo=UTC), fitted, failed)


def fill(warehouse: Warehouse, shift: float = 0.0, catalogue: dict[str, list[str]] = CATALOGUE) -> None:
    """Write small tables that agree with each other; `shift` moves every elasticity."""
    keys = pd.DataFrame(
        [(c, p) for c, products in catalogue.items() for p in products], columns=["category", "product"]
    )
    centre = shift - 2.0 - 0.1 * np.arange(len(keys))
    products = keys.assign(
        elasticity=centre,
        elasticity_sd=0.2,
        elasticity_q05=centre - 0.33,
        elasticity_q50=centre,
        elasticity_q95=centre + 0.33,
        prob_elastic=0.9,
        shrinkage=0.5,
        n_periods=2,
        units=30.0,
        revenue=60.0,
        price_mean=2.0,
        price_min=1.5,
        price_max=2.5,
        log_price_sd=0.3,
        price_latest=2.25,
        price_latest_at=datetime(2026, 1, 12),
        units_per_period=15.0,
        revenue_per_period=33.75,
        flag=None,
        estimated=True,
        bias_per_confounding=0.5,
        robustness=0.2,
        fit_id="fit of " + keys["category"],
        fitted_at=FITTED_AT,
    )
    products["flag"] = products["flag"].astype(object)
    two_slopes = keys.assign(
        n_promotion_periods=1,
        log_regular_price_sd=0.1,
        flag=None,
        fit_id=products["fit_id"],
        fitted_at=FITTED_AT,
    )
    two_slopes["flag"] = two_slopes["flag"].astype(object)
    for name, centre_of in (
        ("regular_elasticity", centre + 0.5),
        ("regular_elasticity_long_run", centre + 0.9),
        ("promotion_elasticity", centre - 0.5),
    ):
        two_slopes[name] = centre_of
        two_slopes[f"{name}_sd"] = 0.2
        two_slopes[f"{name}_q05"] = centre_of - 0.33
        two_slopes[f"{name}_q50"] = centre_of
        two_slopes[f"{name}_q95"] = centre_of + 0.33
    elasticity = {c: products[c].iloc[0] for c in products if c.startswith("elasticity")}
    # What a promotion sells is in part borrowed: 0.4 from the periods after.
    long_run = {
        c.replace("elasticity", "elasticity_long_run"): products[c] + 0.4 * (c != "elasticity_sd")
        for c in elasticity
    }
    products = products.assign(**long_run)
    later = dict(
        zip(
            [c.replace("elasticity", "elasticity_later") for c in elasticity],
            [0.4, 0.1, 0.23, 0.4, 0.57],
            strict=True,
        )
    )
    sizes = keys.groupby("category", sort=False)["product"].count()
    categories = pd.DataFrame({"category": sizes.index, "n_products": sizes.to_numpy()}).assign(
        **elasticity,
        **{c: values.iloc[0] for c, values in long_run.items()},
        **later,
        product_spread=0.4,
        dispersion=5.0,
        n_periods=2,
        estimated=True,
        bias_per_confounding=0.5,
        robustness=0.2,
        fitted_at=FITTED_AT,
    )
    categories = categories.assign(
        n_obs=2 * categories["n_products"], fit_id="fit of " + categories["category"]
    )
    whole = (
        categories.iloc[:1]
        .drop(columns=["category", "estimated", "bias_per_confounding", "robustness", *long_run, *later])
        .assign(n_categories=len(sizes), category_spread=0.3)
    )
    diagnostics = categories[["category", "n_products", "n_obs", "fit_id"]].assign(
        engine="svi",
        likelihood="poisson",
        device="cpu",
        iterations=9,
        converged=True,
        elbo=-1.0,
        seconds=0.5,
        serial_correlation_factor=1.0,
        n_discounted=0,
    )
    diagnostics["warnings"] = [["few products", NASTY]] * len(diagnostics)
    effects = pd.DataFrame([(c, k) for c in sizes.index for k in CONTROLS], columns=["category", "control"])
    effects = effects.assign(effect=0.5, effect_sd=0.1, effect_q05=0.3, effect_q95=0.7)
    # The first category alone has an index: its products' units fall by 0.8 less when all prices move.
    moves = products.loc[
        products["category"] == sizes.index[0], ["category", "product", *elasticity, "fit_id"]
    ]
    moves = moves.assign(**{name: moves[name] + 0.8 for name in elasticity if name != "elasticity_sd"})
    with warehouse.write() as connection:
        connection.execute("BEGIN")
        for table, rows in (
            (PRODUCT_ELASTICITY, products),
            (CATEGORY_ELASTICITY, categories),
            (GLOBAL_ELASTICITY, whole),
            (FIT_DIAGNOSTICS, diagnostics),
            (CONTROL_EFFECT, effects),
            (CATEGORY_MOVE_ELASTICITY, moves),
            (PROMOTION_ELASTICITY, two_slopes),
        ):
            replace_rows(connection, table, rows)
        replace_scenarios(connection)
        connection.execute("COMMIT")
        for control in CONTROLS:
            connection.execute(f"ALTER TABLE weekly_sales ADD COLUMN IF NOT EXISTS {quoted(control)} DOUBLE")
        for table in ("weekly_sales", "sales_files", "raw_sales"):
            connection.execute(f"DELETE FROM {table}")
        periods = keys.merge(
            pd.DataFrame({"period_start": pd.to_datetime(["2026-01-05", "2026-01-12"])}), how="cross"
        )
        sales = periods.assign(units=15.0, revenue=30.0, price=2.0, n_rows=1, **dict.fromkeys(CONTROLS, 0.25))
        sales["category_hash"] = [category_hash(category) for category in sales["category"]]
        connection.register("sales", sales)
        connection.execute("INSERT INTO weekly_sales BY NAME FROM sales")
        prices = recommended(read_products(connection), PricingSettings(objective="revenue"), "some run")
        connection.execute("BEGIN")
        replace_rows(connection, RECOMMENDED_PRICES, prices.rows)
        connection.execute("COMMIT")
        connection.execute(
            "INSERT INTO sales_files BY NAME SELECT 1 AS file_id, ? AS file, 'hash' AS content_hash, "
            "'{}' AS reading, 0 AS place, ? AS rows_in, 0 AS units_in, "
            "'2026-01-05' AS first_day, '2026-01-12' AS last_day",
            [NASTY, len(sales) + 1],
        )
        connection.execute(
            "INSERT INTO raw_sales BY NAME SELECT 1 AS file_id, 7 AS line, 'no units' AS reason, ? AS row",
            [NASTY],
        )
