"""What uniform pricing costs, in words."""

import numpy as np
import pandas as pd

from elasticity_assets.pricing.changes import Z90
from elasticity_assets.report.numbers import amount, interval


def uniform_pricing_of(rows: pd.DataFrame, objective: str, per: str, *, has_costs: bool) -> str:
    """Say what one price change in all zones costs, summed over rows whose errors are their own.

    Parameters
    ----------
    rows : DataFrame
        Of uniform_pricing: one product's, or those of categories.
    objective : str
        The settings' pricing.objective.
    per : str
        Such as 'a week'.
    has_costs : bool
        Whether any cost is known; without one it is revenue that a profit is counted as.

    Returns
    -------
    str
        Empty without rows.
    """
    if rows.empty:
        return ""
    counted = (
        "units" if objective == "units" else "profit" if objective == "profit" and has_costs else "revenue"
    )
    expected = float(rows["cost"].sum())
    sd = float(np.sqrt(np.square(rows["cost_q95"] - rows["cost_q05"]).sum())) / (2 * Z90)
    if not sd:
        return "Zones need no prices of their own: one change in all of them is the best in each."
    return (
        f"Prices by zone are expected to bring {amount(expected, 2, signed=True)} {counted} {per} more "
        f"than one change in all zones (90%: {interval(expected - Z90 * sd, expected + Z90 * sd, 2)})."
    )
