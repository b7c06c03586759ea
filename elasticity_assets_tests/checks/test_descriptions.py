"""Descriptions of failed checks are one line, whatever a category is called."""

import pytest

from elasticity_assets.checks import fit, model_input, published
from elasticity_assets.checks.model_input import PanelFacts

pytestmark = pytest.mark.quick

ODD = "two\nlines\r"


@pytest.mark.parametrize(
    "result",
    [
        fit.fits_succeeded([], {ODD: "no luck"}),
        fit.two_slopes_fitted([], {ODD: "no luck"}),
        published.every_section_made([ODD], {ODD: "no luck"}),
        published.every_category_refitted([], {ODD: "no luck"}),
        model_input.prices_vary(
            {ODD: PanelFacts(n_products=2, n_one_price=2, n_obs=4, unit=1.0, whole=True)}
        ),
        model_input.units_are_counts(
            {ODD: PanelFacts(n_products=2, n_one_price=2, n_obs=4, unit=0.1, whole=False)}
        ),
    ],
    ids=lambda result: result.check_name,
)
def test_a_name_of_two_lines_stays_in_one(result) -> None:
    assert not result.passed
    assert result.description.isprintable()
    assert "two" in result.description
