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
    pack_fit,
    pack_panel,
    panel_hash,
    readable_fit,
)
from elasticity_assets.inference.judging.split_samples import SplitSamples
from elasticity_assets.inference.posterior import CategoryPosterior
from elasticity_assets.inference.simulate import Simulation, simulated_panels
from elasticity_assets_tests.published.test_rows import posterior, two_slopes

pytestmark = pytest.mark.quick


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
    for arrays, read in ((pack_fit(posterior(), record), fit_record), (pack_panel(panel), panel_hash)):
        broken = {name: np.array("no JSON") if name == "product" else array for name, array in arrays.items()}
        store.write(asset, broken, "a")
        assert read(store.read(asset, "a") or {}) == read(arrays)
    assert panel_hash(pack_panel(panel)) != panel_hash(pack_panel(replace(panel, zero_truncated=True)))
    with pytest.raises(ValueError, match="made by another version; refit"):
        panel_hash(pack(panel))


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
