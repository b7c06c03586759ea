"""What a price brings, in closed form.

Units change by a factor r^b where r is the price over today's and b the elasticity, normal with mean m and sd s: with
L = log r the factor is log-normal, its expectation exp(m L + s^2 L^2 / 2), and monotone in b.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr


def expected_factor(log_ratio: np.ndarray, mean: np.ndarray, sd: np.ndarray) -> np.ndarray:
    """Give the expected factor by which units change; arrays are broadcast."""
    return np.exp(mean * log_ratio + 0.5 * (sd * log_ratio) ** 2)


@dataclass(frozen=True)
class BreakEven:
    """Elasticities at which prices bring what today's do; arrays have one shape, infinite or NaN where there is none.

    Attributes
    ----------
    elasticity, sd : float array
        And its standard deviation, to first order: what has to be brought may be uncertain.
    side : float array
        1 where a price above today's gains by elasticities above, -1 where one below today's by those below; 0 at
        today's.
    loses : bool array
        Whether a unit brings a loss: it is the other side that gains.
    open : bool array
        Whether it is the elasticity that decides; else `gains` says whether the price does.
    gains : bool array
    """

    elasticity: np.ndarray
    sd: np.ndarray
    side: np.ndarray
    loses: np.ndarray
    open: np.ndarray
    gains: np.ndarray

    @classmethod
    def of(
        cls,
        worth: np.ndarray,
        needed: np.ndarray,
        log_ratio: np.ndarray,
        needed_sd: np.ndarray | float = 0.0,
    ) -> "BreakEven":
        """Find where worth * r^b is what is needed; the arrays are broadcast.

        Parameters
        ----------
        worth : array
            What a unit brings at the price: its margin, its price, or 1.
        needed : array
            What all units have to bring together, for one unit sold today.
        log_ratio : array
            Log of the price over today's.
        needed_sd : array
            Standard deviation of `needed`; independent of the elasticity.
        """
        worth, needed, log_ratio = np.broadcast_arrays(worth, needed, log_ratio)
        with np.errstate(divide="ignore", invalid="ignore"):
            return cls(
                elasticity=np.log(needed / worth) / log_ratio,
                sd=needed_sd / np.abs(needed * log_ratio),
                side=np.sign(log_ratio),
                loses=~(worth > 0),
                open=needed * worth > 0,
                gains=worth > needed,
            )

    def probability_of_gain(self, mean: np.ndarray, sd: np.ndarray) -> np.ndarray:
        """Give P(worth * r^b > needed): that a price brings more than today's does.

        Parameters
        ----------
        mean, sd : array
            Of the elasticity's posterior.

        Returns
        -------
        float array
            Of the shape that all arrays have together; NaN where the price is today's, and nowhere else.
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            off = self.side * (mean - self.elasticity) / np.hypot(sd, self.sd)
        above = ndtr(np.fmax(off, -np.inf))  # which is taken for NaN
        found = np.where(self.loses, 1 - above, above)
        found = np.where(self.open, found, self.gains)
        found = np.where(np.isfinite(mean) & np.isfinite(sd), found, 0.0)  # nothing is known, nothing sure
        return np.where(self.side == 0, np.nan, found)
