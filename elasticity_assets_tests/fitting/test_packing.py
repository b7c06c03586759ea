import io
import json

import numpy as np
import pytest

from elasticity_assets.fitting.packing import pack, unpack
from elasticity_assets.inference.panel import CategorySales, Panel, panel_from_sales
from elasticity_assets.inference.posterior import CategoryPosterior, FitDiagnostics

pytestmark = pytest.mark.quick


def posterior() -> CategoryPosterior:
    rng = np.random.default_rng(0)
    grid, n, periods = 3, 4, 5
    return CategoryPosterior(
        category="Käse 🧀",
        product=np.array(["a", "b", "c", "ü"]),
        period=np.datetime64("2026-01-05") + 7 * np.arange(periods),
        control=("display", "mailer"),
        prior_mean=-2.0,
        prior_var=5.0,
        tau=rng.random(grid),
        weight=np.full(grid, 1 / grid),
        category_mean=rng.random(grid),
        category_var=rng.random(grid),
        product_mean=rng.random((grid, n)),
        product_var=rng.random((grid, n)),
        product_gain=rng.random((grid, n)),
        control_mean=rng.random((grid, 2)),
        control_cov=rng.random((grid, 2, 2)),
        control_gain=rng.random((grid, 2)),
        product_control_cov=rng.random((grid, n, 2)),
        level=rng.random(n),
        period_effect=rng.random(periods),
        dispersion=np.full(n, np.inf),
        log_dispersion_sd=np.zeros(n),
        level_mean=1.0,
        level_spread=float("nan"),
        period_spread=0.1,
        log_dispersion_mean=2.0,
        log_dispersion_spread=0.5,
        trace=np.empty(0),
        diagnostics=FitDiagnostics(
            "nuts", "poisson", True, "cpu", 9, True, float("nan"), 0.5, ("one", "two")
        ),
    )


def panel() -> Panel:
    days = np.array(["2026-01-05", "2026-01-12"], "datetime64[D]")
    return panel_from_sales(
        CategorySales(
            "c", np.array(["p", "p"]), days, np.array([1.0, 2]), np.array([1.0, 2]), {"k": np.ones(2)}
        )
    )


@pytest.mark.parametrize("record", [posterior(), panel()], ids=["posterior", "panel"])
def test_a_record_survives_a_file_without_pickle(record):
    file = io.BytesIO()
    np.savez(file, **pack(record))
    file.seek(0)
    with np.load(file, allow_pickle=False) as stored:
        found = unpack(type(record), stored)
    assert set(vars(found)) == set(vars(record))
    for name, value in vars(record).items():
        other = getattr(found, name)
        assert type(other) is type(value)
        if isinstance(value, np.ndarray):
            assert other.dtype == value.dtype
            np.testing.assert_array_equal(other, value)
        else:
            assert str(other) == str(value)  # NaN is not equal to itself


def test_a_missing_field_is_named():
    packed = pack(panel())
    del packed["units"]
    with pytest.raises(ValueError, match="no 'units' in the stored Panel"):
        unpack(Panel, packed)


def test_a_field_of_another_version_is_named():
    packed = pack(posterior())
    how = json.loads(packed["diagnostics"].item())
    del how["zero_truncated"]
    packed["diagnostics"] = np.array(json.dumps(how))
    with pytest.raises(ValueError, match="another 'diagnostics' in the stored CategoryPosterior: made by"):
        unpack(CategoryPosterior, packed)


def test_object_arrays_are_refused():
    with pytest.raises(TypeError, match=r"FitDiagnostics\.engine is an object array"):
        pack(FitDiagnostics(np.array(["a", None]), "poisson", False, "cpu", 1, True, 0.0, 0.0))
