import dagster as dg
import pytest

from elasticity_assets.assets.stored import pooled_fit
from elasticity_assets.fitting.stored_fits import new_record, pack_fit
from elasticity_assets.inference.hierarchy import message, pool
from elasticity_assets.inference.priors import DEFAULT
from elasticity_assets_tests.published.test_rows import posterior

pytestmark = pytest.mark.quick


def test_a_stored_fit_of_another_version_is_named_with_what_to_do() -> None:
    arrays = pack_fit(posterior(), new_record("hash", 7))
    del arrays["tau"]
    levels = pool([message(posterior())], DEFAULT)
    with pytest.raises(
        dg.Failure, match=r"^the stored fit of 'A' is of another version; run elasticity refit$"
    ):
        pooled_fit("A", arrays, {}, levels)
