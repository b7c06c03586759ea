"""What a price brings, in closed form.

Units change by a factor r^b where r is the price over today's and b the elasticity, normal with mean m and sd s: with
L = log r the factor is log-normal, its expectation exp(m L + s^2 L^2 / 2), and monotone in b.
"""

import numpy as np
from scipy.special import ndtr


def expected_factor(log_ratio: np.ndarray, mean: np.ndarray, sd: np.ndarray) -> np.ndarray:
    """Give the expected factor by which units change; arrays are broadcast."""
    return np.exp(mean * log_ratio + 0.5 * (sd * log_ratio) ** 2)


def probability_of_gain(
    worth: np.ndarray,
    needed: np.ndarray,
    log_ratio: np.ndarray,
    mean: np.ndarray,
    sd: np.ndarray,
    needed_sd: np.ndarray | float = 0.0,
) -> np.ndarray:
    """Give P(worth * r^b > needed): that a price brings more than today's does.

    Parameters
    ----------
    worth : array
        What a unit brings at the price: its margin, its price, or 1.
    needed : array
        What all units have to bring together, for one unit sold today.
    log_ratio : array
        Log of the price over today's.
    mean, sd : array
        Of the elasticity's posterior.
    needed_sd : array
        Standard deviation of `needed`, to first order; independent of the elasticity.

    Returns
    -------
    float array
        Of the shape that the arrays have together; NaN where the price is today's, and nowhere else.
    """
    worth, needed, log_ratio, mean, sd = np.broadcast_arrays(worth, needed, log_ratio, mean, sd)
    with np.errstate(divide="ignore", invalid="ignore"):
        # r^b beats needed / worth where b lies on one side of the break-even elasticity.
        break_even = np.log(needed / worth) / log_ratio
        off = np.sign(log_ratio) * (mean - break_even) / np.hypot(sd, needed_sd / (needed * log_ratio))
        above = ndtr(
            np.nan_to_num(off, nan=-np.inf, posinf=np.inf, neginf=-np.inf)
        )  # P(r^b > needed / worth)
    found = np.where(worth > 0, above, 1 - above)
    same_sign = needed * worth > 0
    found = np.where(same_sign, found, (worth * 1.0 > needed).astype(float))
    found = np.where(np.isfinite(mean) & np.isfinite(sd), found, 0.0)  # nothing is known, nothing sure
    return np.where(log_ratio == 0, np.nan, found)
