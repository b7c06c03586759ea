"""A panel's products in blocks."""

from dataclasses import replace

import numpy as np
import pytest

from elasticity_assets.inference.natural_gradient.blocks import Blocks
from elasticity_assets.inference.priors import DEFAULT
from elasticity_assets.inference.simulate import Simulation, simulated_panels

pytestmark = pytest.mark.quick


def test_blocks_under_other_weights_are_those_of_the_panel_with_them() -> None:
    (panel,), _ = simulated_panels(Simulation(products=70, categories=1, weeks=20), seed=1)
    weight = panel.weight * np.random.default_rng(0).choice([0.0, 0.5, 1.0], panel.weight.shape)
    weight = weight.astype(np.float32)
    found = Blocks.cut(panel, DEFAULT, [panel.log_price], 1).under(weight)
    expected = Blocks.cut(replace(panel, weight=weight), DEFAULT, [panel.log_price], 1)
    for own, other in zip(found.rows, expected.rows, strict=True):
        np.testing.assert_array_equal(own, other)
    np.testing.assert_array_equal(found.panel.weight, weight)
