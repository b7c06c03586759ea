"""Files of sales by product and zone with known elasticities."""

import numpy as np
import pandas as pd

from elasticity_assets.inference.simulate_zones import ZoneSimulation, ZoneTruth, simulate_zones


def zoned_sales(simulation: ZoneSimulation, seed: int = 0) -> tuple[pd.DataFrame, ZoneTruth]:
    """Rows as a file has them, with the size of the zone, and what they were drawn from."""
    panel, truth = simulate_zones(simulation, seed)
    rows = panel.rows
    row, week = np.nonzero(rows.observed[: panel.n_rows, : rows.n_periods])
    zone = panel.zone_of_row[row]
    sales = pd.DataFrame(
        {
            "product": panel.product[panel.product_of_row[row]],
            "zone": panel.zone[zone],
            "week": rows.period[week],
            "units": rows.units[row, week].astype(int),
            "price": np.exp(rows.log_price[row, week].astype(float)).round(4),
            "size": panel.covariates[zone, 0].round(4),
        }
    )
    return sales, truth
