import json
from dataclasses import replace
from pathlib import Path

import dagster as dg
import numpy as np
import pytest

from elasticity_assets.fitting.array_store import ArrayStore
from elasticity_assets.fitting.packing import pack, unpack
from elasticity_assets.fitting.stored_fits import (
    check_finite,
    check_finite_slopes,
    fit_record,
    new_record,
    of_fit,
    of_same_products,
    pack_fit,
    pack_panels,
    panel_hash,
    readable_fit,
    unpack_panels,
)
from elasticity_assets.inference.judging.split_samples import SplitSamples
from elasticity_assets.inference.panel import Panel
from elasticity_assets.inference.posterior import CategoryPosterior
from elasticity_assets.inference.simulate import Simulation, simulated_panels
from elasticity_assets.inference.zoned_posterior import ZonedPosterior
from elasticity_assets.ingestion.panels import CategoryPanels
from elasticity_assets_tests.published.test_rows import posterior, two_slopes
from elasticity_assets_tests.support.zones import zoned_panel, zoned_posterior

pytestmark = pytest.mark.quick


def packed(panel: Panel) -> dict[str, np.ndarray]:
    return pack_panels(CategoryPanels(panel))


def test_a_fit_is_stored_and_read_back() -> None:
    record = new_record("hash", 7)
    read = readable_fit(pack_fit(posterior(), record))
    assert read is not None
    again, same = read
    assert same == record
    assert all(np.array_equal(pack(again)[name], array) for name, array in pack(posterior()).items())


def test_a_fit_of_another_version_is_no_fit() -> None:
    stored = pack_fit(posterior(), new_record("hash", 7))
    assert readable_fit(stored) is not None
    how = json.loads(stored["diagnostics"].item())
    del how["zero_truncated"]
    assert readable_fit({**stored, "diagnostics": np.array(json.dumps(how))}) is None
    del stored["log_dispersion_sd"]
    assert readable_fit(stored) is None
    with pytest.raises(ValueError, match="log_dispersion_sd"):
        unpack(CategoryPosterior, stored)


def test_identities_are_read_without_the_arrays_beside_them(tmp_path: Path) -> None:
    record, panel = (
        new_record("hash", 7),
        simulated_panels(Simulation(products=4, weeks=20, categories=1))[0][0],
    )
    store, asset = ArrayStore(folder=str(tmp_path)), dg.AssetKey("stored")
    for arrays, read in ((pack_fit(posterior(), record), fit_record), (packed(panel), panel_hash)):
        broken = {name: np.array("no JSON") if name == "product" else array for name, array in arrays.items()}
        store.write(asset, broken, "a")
        assert read(store.read(asset, "a") or {}) == read(arrays)
    assert panel_hash(packed(panel)) != panel_hash(packed(replace(panel, zero_truncated=True)))
    with pytest.raises(ValueError, match="made by another version; refit"):
        panel_hash(pack(panel))


def test_panels_by_zone_are_stored_beside_those_of_products_under_one_hash() -> None:
    zoned = zoned_panel()
    panel = simulated_panels(Simulation(products=3, weeks=40, categories=1))[0][0]
    stored, alone = pack_panels(CategoryPanels(panel, zoned)), packed(panel)
    assert set(stored) > set(alone)
    again = unpack_panels(stored)
    assert again.zoned is not None
    for read, written in ((again.panel, panel), (again.zoned.rows, zoned.rows)):
        assert all(np.array_equal(pack(read)[name], array) for name, array in pack(written).items())
    assert (again.zoned.covariate, list(again.zoned.zone)) == (zoned.covariate, list(zoned.zone))
    assert unpack_panels(alone).zoned is None
    changed = replace(zoned, covariates=zoned.covariates + 1.0)
    hashes = {panel_hash(of) for of in (alone, stored, pack_panels(CategoryPanels(panel, changed)))}
    assert len(hashes) == 3


def test_a_fit_by_zone_is_stored_beside_that_of_its_products() -> None:
    stored = pack_fit(zoned_posterior(), new_record("hash", 7))
    assert all(np.array_equal(stored[name], array) for name, array in pack(posterior()).items())
    read = readable_fit(stored)
    assert read is not None
    again = read[0]
    assert isinstance(again, ZonedPosterior)
    assert all(np.array_equal(pack(again)[name], array) for name, array in pack(zoned_posterior()).items())
    assert check_finite(again) is again
    with pytest.raises(FloatingPointError, match="row_var"):
        check_finite(replace(again, row_var=again.row_var * np.nan))
    del stored["by_zone.row_gain"]
    assert readable_fit(stored) is None, "another version's"


def test_stored_panels_are_of_the_products_and_zones_of_a_fit() -> None:
    panel, zoned = simulated_panels(Simulation(products=2, weeks=20, categories=1))[0][0], zoned_panel()
    of_fit = replace(panel, product=posterior().product)
    rows = replace(zoned, rows=replace(zoned.rows, product=zoned_posterior().row))
    fits = [pack_fit(fit, new_record("", 1)) for fit in (posterior(), zoned_posterior())]
    for panels, same in (
        (CategoryPanels(panel), [False, False]),
        (CategoryPanels(of_fit), [True, False]),
        (CategoryPanels(of_fit, zoned), [False, False]),
        (CategoryPanels(of_fit, rows), [False, True]),
    ):
        assert [of_same_products(pack_panels(panels), fit) for fit in fits] == same


def test_what_was_found_of_another_fit_is_not_this_ones() -> None:
    record, other = new_record("hash", 7), new_record("hash", 7)
    stored = {"a": pack_fit(posterior(), record)}
    assert of_fit(CategoryPosterior, stored, "a", record) is not None
    assert of_fit(CategoryPosterior, stored, "a", other) is None
    assert of_fit(CategoryPosterior, stored, "b", record) is None
    assert of_fit(SplitSamples, stored, "a", record) is None


def test_records_differ_and_hold_utc_seconds() -> None:
    one, other = new_record("h", 1), new_record("h", 1)
    assert one.fit_id != other.fit_id
    assert one.fitted.tzinfo is None
    assert one.fitted.microsecond == 0


@pytest.mark.parametrize("name", ["product_mean", "category_var", "weight"])
def test_a_posterior_that_is_not_finite_is_refused(name: str) -> None:
    bad = posterior()
    getattr(bad, name)[0] = np.nan
    with pytest.raises(FloatingPointError, match=name):
        check_finite(bad)


def test_slopes_that_are_not_finite_are_refused() -> None:
    bad = two_slopes()
    bad.promotion.sd[0] = np.inf
    with pytest.raises(FloatingPointError, match="promotion slope"):
        check_finite_slopes(bad)
