"""What price tests elsewhere found, as Gaussian factors of elasticities: they count as so much more data.

A result m with standard error s multiplies the density by N(beta; m, s^2), of a product's elasticity or of the
category's; several results of one elasticity by that of their weighted mean.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from elasticity_assets.inference.panel import Panel


@dataclass(frozen=True)
class Experiment:
    """One result.

    Attributes
    ----------
    product : str
        Its code; empty for the category's elasticity.
    elasticity, sd : float
        What was found, and its standard error, above 0.
    """

    product: str
    elasticity: float
    sd: float


def with_experiments(panel: Panel, results: Sequence[Experiment]) -> Panel:
    """Give a panel the results of its own products and of its category; of products that it has not, nothing.

    Parameters
    ----------
    panel : Panel
        Without results.
    results : sequence of Experiment
        Of this category.
    """
    products, category = np.zeros((len(panel.units), 2)), np.zeros(2)
    place = {str(product): row for row, product in enumerate(panel.product)}
    for result in results:
        precision = result.sd**-2
        added = precision * np.array([result.elasticity, 1.0])
        if not result.product:
            category += added
        elif result.product in place:
            products[place[result.product]] += added
    products[:, 0] /= np.where(products[:, 1] > 0, products[:, 1], 1.0)
    category[0] /= category[1] or 1.0
    if not (products[:, 1].any() or category[1]):
        return panel
    return replace(panel, experiment=products, category_experiment=category)


def without_experiments(panel: Panel) -> Panel:
    """Take results from elsewhere out of a panel: its sales alone remain."""
    return replace(panel, experiment=np.zeros((0, 2)), category_experiment=np.zeros(2))
