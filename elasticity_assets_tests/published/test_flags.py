"""Every flag of product_elasticity, and nothing where nothing is known."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from elasticity_assets.inference.judging.split_samples import SplitSamples
from elasticity_assets.inference.posterior import CategoryPosterior
from elasticity_assets.published import rows as rows_of
from elasticity_assets_tests.published.test_rows import RECORD, posterior, sales

pytestmark = pytest.mark.quick


def flagged(
    changes: dict[str, float], fitted: CategoryPosterior, samples: SplitSamples | None = None
) -> list[str | None]:
    """Flags of two products, of which the first has other sales than usual."""
    of_sales = sales()
    for column, value in changes.items():
        of_sales[column] = of_sales[column].astype(type(value))
        of_sales.loc[0, column] = value
    return list(rows_of.product_rows(fitted, RECORD, of_sales, 8, samples)["flag"])


def samples(drift: float) -> SplitSamples:
    none, sd = np.zeros(2), np.full(2, 0.5)
    return SplitSamples("c", np.array(["p0", "p1"]), none, sd, np.array([drift, 0.5]), sd, 0.0, 0.1)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"log_price_sd": 1e-12}, ["one price only: the elasticity is the category's"]),
        ({"log_price_sd": 0.013}, ["little price variation: 1.3%"]),
        ({"n_suspect": 2}, ["suspect sales, which do not count, in 2 periods"]),
        (
            {"n_suspect": 3},
            ["suspect sales, which do not count, in 3 periods", "few periods: fewer than 8"],
        ),
        ({"n_periods": 7}, ["few periods: fewer than 8"]),
        ({"units": 0.0}, ["nothing sold"]),
        ({"units": 3.0}, ["sells few units: 0.3 a period"]),
        (
            {"n_periods": 7, "log_price_sd": 0.0},
            ["one price only: the elasticity is the category's", "few periods: fewer than 8"],
        ),
    ],
)
def test_sales_that_say_little(changes: dict[str, float], words: list[str]) -> None:
    assert flagged(changes, posterior()) == ["; ".join(words), None]


def test_a_category_that_is_not_estimated_is_the_priors() -> None:
    words = "not estimated: no price of the category ever changed, or nothing was sold; the elasticity is the prior's"
    of_sales = sales().assign(log_price_sd=[0.0, 0.1], sold=[True, False])
    found = rows_of.product_rows(posterior(), RECORD, of_sales, 8)["flag"]
    assert found.tolist() == [f"one price only: the elasticity is the category's; {words}", words]


def test_a_fit_that_did_not_converge_flags_all() -> None:
    fitted = posterior()
    fitted = replace(fitted, diagnostics=replace(fitted.diagnostics, converged=False))
    assert flagged({}, fitted) == ["the fit did not converge"] * 2


def test_a_number_that_is_mostly_the_categorys() -> None:
    # Var(beta_i | beta_c) = 0.24 of tau^2 = 0.25.
    var = np.array([[0.2425, 0.04]])
    assert flagged({}, replace(posterior(), product_var=var)) == ["mostly the category's number: 96%", None]


def test_zeros_dropped_matter_where_there_were_many() -> None:
    fitted = posterior()
    truncated = replace(fitted.diagnostics, zero_truncated=True)
    fitted = replace(fitted, diagnostics=truncated, level=np.log([0.7, 20.0]), dispersion=np.full(2, np.inf))
    assert flagged({}, fitted) == [
        f"zeros dropped from the files: it sold nothing in some {np.exp(-0.7):.0%} of periods",
        None,
    ]
    counted = replace(fitted, dispersion=np.array([2.0, 2.0]))
    assert flagged({}, counted)[0] == (
        f"zeros dropped from the files: it sold nothing in some {(1 + 0.7 / 2) ** -2:.0%} of periods"
    )


def test_drift_is_flagged_beyond_chance_only() -> None:
    assert flagged({}, posterior(), samples(drift=-1.6)) == ["drift: second half less first is -1.6", None]
    assert flagged({}, posterior(), samples(drift=1.2)) == [None, None]


def test_outlying_periods_are_counted() -> None:
    fitted = replace(
        posterior(), discounted=np.array([[1, 0], [1, 5]]), discounted_share=np.array([0.0, 0.5])
    )
    assert flagged({}, fitted) == [None, "absurd units, which count less, in 2 periods"]


def test_products_without_sales_do_not_shift_the_flags() -> None:
    fitted = replace(posterior(), discounted=np.array([[1, 0]]), discounted_share=np.zeros(1))
    rows = rows_of.product_rows(fitted, RECORD, sales().iloc[1:], 8)
    assert rows[["product", "flag"]].to_numpy().tolist() == [
        ["p1", "absurd units, which count less, in 1 periods"]
    ]
    assert isinstance(rows, pd.DataFrame)
