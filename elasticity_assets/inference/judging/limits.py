"""Limits that the judging holds a fit to: whether a figure is within them, or no further off than chance explains."""

import numpy as np

LOWEST_COVERAGE, HIGHEST_COVERAGE = 0.85, 0.95
"""Of 90% intervals, in a category or a third of its products."""
LARGEST_SPREAD = 1.3
"""Of coverage between products, over what chance gives."""
LEAST_AGREEMENT = 0.8
"""Share of products whose alternate blocks agree; 90% do if the intervals are right."""
MOST_DRIFTING = 0.1
"""Share of products whose halves differ by more than `DRIFT_SDS`; 1% would by chance."""
DRIFT_SDS = 2.576
"""Beyond so many sds, which 1 in 100 has by chance, a difference of halves counts as drift."""
FOLLOW_SDS = 3.0
"""Beyond so many standard errors, which 1 in 370 has by chance, prices are said to follow demand."""
GAP_SDS = 2.0
"""The same of random prices' slope, a test that was planned and asks one thing: 1 in 22 has it by chance."""
VAGUE_SD = 0.5
"""Sd of an elasticity beyond which random prices that agree support nothing."""
CHANCE_SDS = 2.0
"""Standard errors that chance alone is taken to explain."""
LEAST_LEAD = 0.005
"""Nats a product-period by which a rival has to predict better: less is of no consequence."""
LARGEST_R_HAT, LEAST_DRAWS = 1.05, 100.0
"""Beyond, NUTS itself has failed."""
LARGEST_MEAN_DIFFERENCE, LARGEST_SD_DIFFERENCE = 0.1, 0.1
"""Between a posterior and NUTS's: of means in sds (rms), of sds as a share (median)."""


def coverage_within_limits(share: float, cells: int) -> bool:
    """Whether a coverage of 90% intervals is within bounds, or no further from 90% than chance explains.

    Parameters
    ----------
    share : float
        Of the cells, inside their intervals; NaN, where there are none, is within limits.
    cells : int
    """
    within = LOWEST_COVERAGE <= share <= HIGHEST_COVERAGE
    return bool(within or np.isnan(share) or abs(share - 0.9) <= CHANCE_SDS * np.sqrt(0.09 / max(cells, 1)))


def forecast_coverage_within_limits(share: float, error: float) -> bool:
    """Whether a coverage of forecasts' 90% intervals is within bounds, or no further from 90% than chance explains.

    Parameters
    ----------
    share, error : float
        Of the cells, inside their intervals, and its standard error; NaN, where there are none, is within limits.
    """
    within = LOWEST_COVERAGE <= share <= HIGHEST_COVERAGE
    return bool(within or np.isnan(share) or abs(share - 0.9) <= CHANCE_SDS * error)


def spread_within_limits(spread: float, products: int) -> bool:
    """Whether coverage differs between products by little more than chance gives.

    Parameters
    ----------
    spread : float
        Over what chance gives. That of n products itself varies by some 1/sqrt(2 n).
    products : int
    """
    return bool(not spread > max(LARGEST_SPREAD, 1.0 + CHANCE_SDS / np.sqrt(2.0 * max(products, 1))))


def lead_within_limits(lead: float, error: float) -> bool:
    """Whether a rival's log score is no higher than chance explains, or by next to nothing.

    Parameters
    ----------
    lead, error : float
        Mean log score above the rival's, nats a cell, and its standard error; NaN, without cells, is within limits.
    """
    return bool(np.isnan(lead) or lead >= -max(CHANCE_SDS * error, LEAST_LEAD))


def agreement_within_limits(share: float, products: int) -> bool:
    """Whether the elasticities from alternate blocks agree for enough products, or as many as chance explains.

    Parameters
    ----------
    share : float
        Of the products, in agreement.
    products : int
    """
    return bool(share >= LEAST_AGREEMENT or share >= 0.9 - CHANCE_SDS * np.sqrt(0.09 / max(products, 1)))


def drift_within_limits(drifting: int, products: int, category_sds: float) -> bool:
    """Whether few elasticities differ between the halves of the periods, and the category's does not.

    Parameters
    ----------
    drifting : int
        Products whose halves differ by more than `DRIFT_SDS`; one always may.
    products : int
    category_sds : float
        The category's own difference, in its sds.
    """
    return bool(drifting <= max(MOST_DRIFTING * products, 1.0) and not category_sds > DRIFT_SDS)


def nuts_converged(r_hat: float, effective_sample_size: float) -> bool:
    """Whether NUTS itself can be gone by."""
    return bool(r_hat <= LARGEST_R_HAT and effective_sample_size >= LEAST_DRAWS)


def posterior_within_limits(
    mean_difference_rms: float, sd_ratio_median: float, effective_sample_size: float
) -> bool:
    """Whether a posterior is NUTS's, or no further from it than three of NUTS's own standard errors.

    Parameters
    ----------
    mean_difference_rms : float
        In posterior sds.
    sd_ratio_median : float
    effective_sample_size : float
        Of NUTS's draws.
    """
    own_error = 3.0 / np.sqrt(max(effective_sample_size, 1.0))
    return bool(
        mean_difference_rms <= max(LARGEST_MEAN_DIFFERENCE, own_error)
        and abs(sd_ratio_median - 1.0) <= max(LARGEST_SD_DIFFERENCE, own_error)
    )


def follow_demand(z: float) -> bool:
    """Whether a test of prices that follow demand is beyond what chance explains.

    Parameters
    ----------
    z : float
        In standard errors; NaN, where there is nothing to test by, is no sign.
    """
    return bool(abs(z) > FOLLOW_SDS)


def gap_beyond_chance(z: float) -> bool:
    """Whether observed prices have another slope than random ones, beyond what chance explains.

    Parameters
    ----------
    z : float
        In standard errors; NaN, where no prices were drawn, is no sign.
    """
    return bool(abs(z) > GAP_SDS)
