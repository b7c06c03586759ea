import pytest

from elasticity_assets.warehouse.fit_failures import fit_failures, record_outcomes

pytestmark = pytest.mark.quick


def test_failures_stay_until_the_category_is_fitted(connection) -> None:
    assert fit_failures(connection) == {}
    record_outcomes(connection, ["a"], {"b": "no", "c'": "never"})
    record_outcomes(connection, ["a", "b"], {})
    assert {name: reason for name, (_, reason) in fit_failures(connection).items()} == {"c'": "never"}
