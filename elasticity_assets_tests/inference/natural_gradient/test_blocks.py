"""A panel's products in blocks."""

from dataclasses import replace

import numpy as np
import pytest

from elasticity_assets.inference.natural_gradient.blocks import Blocks, room
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


def test_categories_of_any_size_fit_into_few_rooms() -> None:
    sizes = range(1, 2049)
    rooms = {room(products, 1, 64) for products in sizes}
    assert sorted(rooms) == [(1, 16), (1, 32), (1, 64), (8, 64), (16, 64), (32, 64)]
    for devices in (1, 3):
        for products in (*sizes, 5_000, 262_144):
            blocks, n = room(products, devices, 64)
            assert blocks * n >= products
            assert blocks % devices == 0


@pytest.mark.parametrize("devices", [2, 4])
def test_each_device_gets_its_share_of_products(devices: int) -> None:
    blocks, n = room(1_000, devices, 64)
    of_device = (blocks // devices) * n
    assert (devices - 1) * of_device < 1_000
