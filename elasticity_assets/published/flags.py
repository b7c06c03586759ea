"""Why to be careful with a product's elasticity, in words: the column `flag` of product_elasticity."""

from collections.abc import Iterable, Iterator

import numpy as np
import pandas as pd

from elasticity_assets.inference.judging.confounding import ConfoundingTests
from elasticity_assets.inference.judging.split_samples import SplitSamples
from elasticity_assets.inference.posterior import CategoryPosterior
from elasticity_assets.inference.zoned_posterior import ZonedPosterior

Reason = tuple[np.ndarray, str, np.ndarray | None]
"""Which rows a reason holds for, its text, and the number that each row has in it, if any."""

ONE_PRICE = 1e-6
"""Below this sd of log price a product had one price: rounding of unit values, no change."""
LITTLE_VARIATION = 0.02
"""Below this sd of log price, 2%, price changes hardly show in noisy sales."""
FEW_UNITS = 1.0
"""Fewer units a period than this are few."""
OFTEN_NOTHING = 0.05
"""Share of periods without a sale from which the dropping of zeros matters."""
MOSTLY_CATEGORY = 0.9
"""Shrinkage from which a number is the category's rather than the product's."""


def zone_flags(rows: pd.DataFrame, posterior: ZonedPosterior, min_periods: int) -> pd.Series:
    """Collect what is known against each row of zone_elasticity, as `flags` does of products.

    Parameters
    ----------
    rows : DataFrame
        Of zone_elasticity, one category's, with what its sales say; without the column `flag`.
    posterior : ZonedPosterior
        Their fit.
    min_periods : int
        Fewer are few.
    """
    shrinkage, spread = rows["shrinkage"].to_numpy(), rows["log_price_sd"].to_numpy()
    discounted = pd.Series(np.bincount(posterior.discounted[:, 0], minlength=len(posterior.row)))
    of_row = pd.MultiIndex.from_arrays(
        [posterior.products.product[posterior.product_of_row], posterior.zone[posterior.zone_of_row]]
    )
    outlying = discounted.set_axis(of_row)[pd.MultiIndex.from_frame(rows[["product", "zone"]])].to_numpy()
    reasons = [
        *_reasons_of_prices(rows, "one price only in this zone: the elasticity is the product's"),
        *_reasons_of_sales(rows, min_periods),
        (
            (spread >= ONE_PRICE) & (shrinkage > MOSTLY_CATEGORY),
            "mostly the product's number: {:.0%}",
            shrinkage,
        ),
        (outlying > 0, "absurd units, which count less, in {} periods", outlying),
        (np.full(len(rows), not posterior.products.diagnostics.converged), "the fit did not converge", None),
    ]
    return _told(rows, reasons)


def flags(
    rows: pd.DataFrame,
    posterior: CategoryPosterior,
    min_periods: int,
    samples: SplitSamples | None = None,
    confounding: ConfoundingTests | None = None,
) -> pd.Series:
    """Collect what is known against each row, separated by semicolons; None where nothing is.

    Parameters
    ----------
    rows : DataFrame
        Of product_elasticity, one category's, without the column `flag`, with `n_suspect`: periods that do not count.
    posterior : CategoryPosterior
        Their fit.
    min_periods : int
        Fewer are few.
    samples : SplitSamples, optional
        The fit's comparison of parts of the periods.
    confounding : ConfoundingTests, optional
        The fit's tests of whether prices follow demand.
    """
    place = pd.Series(np.arange(len(posterior.product)), posterior.product)[rows["product"]].to_numpy()
    return _told(rows, _reasons(rows, posterior, min_periods, samples, confounding, place))


def _told(rows: pd.DataFrame, reasons: Iterable[Reason]) -> pd.Series:
    """Put the reasons that hold for each row one after the other; None where none does."""
    parts: list[list[str]] = [[] for _ in range(len(rows))]
    for holds, text, numbers in reasons:
        for row in np.flatnonzero(holds):
            parts[row].append(text if numbers is None else text.format(numbers[row]))
    return pd.Series(["; ".join(part) or None for part in parts], rows.index, dtype=object)


def _reasons(
    rows: pd.DataFrame,
    posterior: CategoryPosterior,
    min_periods: int,
    samples: SplitSamples | None,
    confounding: ConfoundingTests | None,
    place: np.ndarray,
) -> Iterator[Reason]:
    """Why to be careful with rows of product_elasticity."""
    shrinkage, one_price = rows["shrinkage"].to_numpy(), rows["log_price_sd"].to_numpy() < ONE_PRICE
    yield from _reasons_of_prices(rows, "one price only: the elasticity is the category's")
    yield (
        np.full(len(rows), not rows["estimated"].any()),
        "not estimated: no price of the category ever changed, or nothing was sold; the elasticity is the prior's",
        None,
    )
    yield from _reasons_of_sales(rows, min_periods)
    if posterior.diagnostics.zero_truncated:
        nothing = _share_without_sale(posterior)[place]
        yield (
            nothing >= OFTEN_NOTHING,
            "zeros dropped from the files: it sold nothing in some {:.0%} of periods",
            nothing,
        )
    yield ~one_price & (shrinkage > MOSTLY_CATEGORY), "mostly the category's number: {:.0%}", shrinkage
    if samples is not None:
        drifts = pd.Series(samples.drifting(), samples.product).reindex(rows["product"], fill_value=False)
        change = pd.Series(samples.drift, samples.product).reindex(rows["product"])
        yield drifts.to_numpy(bool), "drift: second half less first is {:+.1f}", change.to_numpy()
    discounted = np.bincount(posterior.discounted[:, 0], minlength=len(posterior.product))[place]
    yield discounted > 0, "absurd units, which count less, in {} periods", discounted
    if confounding is not None:
        yield (
            np.full(len(rows), confounding.prices_follow_demand),
            "prices follow demand, which biases the elasticity: see causal_evidence",
            None,
        )
    yield np.full(len(rows), not posterior.diagnostics.converged), "the fit did not converge", None


def _reasons_of_prices(rows: pd.DataFrame, one_price_only: str) -> Iterator[Reason]:
    """Prices that did not vary."""
    spread = rows["log_price_sd"].to_numpy()
    one_price = spread < ONE_PRICE
    yield one_price & ~rows["tested"].to_numpy(bool), one_price_only, None
    yield ~one_price & (spread < LITTLE_VARIATION), "little price variation: {:.1f}%", 100 * spread


def _reasons_of_sales(rows: pd.DataFrame, min_periods: int) -> Iterator[Reason]:
    """Few periods, few units, suspect ones."""
    suspect = rows["n_suspect"].to_numpy()
    yield suspect > 0, "suspect sales, which do not count, in {} periods", suspect
    yield rows["n_periods"].to_numpy() - suspect < min_periods, f"few periods: fewer than {min_periods}", None
    sold = rows["units"].to_numpy(np.float64) / np.maximum(rows["n_periods"].to_numpy(), 1)
    yield sold <= 0, "nothing sold", None
    yield (sold > 0) & (sold < FEW_UNITS), "sells few units: {:.2g} a period", sold


def _share_without_sale(posterior: CategoryPosterior) -> np.ndarray:
    """P(no unit is sold) in an ordinary period, shape (n,)."""
    mean, size = np.exp(posterior.level), posterior.dispersion
    finite = np.where(np.isfinite(size), size, 1.0)
    return np.where(np.isfinite(size), np.exp(-finite * np.log1p(mean / finite)), np.exp(-mean))
