"""What uniform pricing costs, in words."""

import numpy as np
import pandas as pd

from elasticity_assets.pricing.changes import Z90
from elasticity_assets.report.numbers import amount, interval

_COUNTED = {"units": "units", "profit": "profit", "revenue": "revenue", "margin_floor": "revenue"}


def uniform_pricing_of(rows: pd.DataFrame, objective: str, per: str) -> str:
    """Say what one price change in all zones costs, summed over rows whose errors are their own.

    Parameters
    ----------
    rows : DataFrame
        Of uniform_pricing: one product's, or those of categories.
    objective : str
        The settings' pricing.objective.
    per : str
        Such as 'a week'.

    Returns
    -------
    str
        Empty without rows.
    """
    if rows.empty:
        return ""
    expected = float(rows["cost"].sum())
    sd = float(np.sqrt(np.square(rows["cost_q95"] - rows["cost_q05"]).sum())) / (2 * Z90)
    if not sd:
        return "Zones need no prices of their own: one change in all of them is the best in each."
    return (
        f"Prices by zone are expected to bring {amount(expected, 2, signed=True)} {_COUNTED[objective]} {per} more "
        f"than one change in all zones (90%: {interval(expected - Z90 * sd, expected + Z90 * sd, 2)})."
    )
