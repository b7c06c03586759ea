import dagster as dg
import pytest
from dagster._core.definitions.partitions.utils import raise_error_on_invalid_partition_key_substring
from hypothesis import given
from hypothesis import strategies as st

from elasticity_assets.automation.partitions import category_of, keep_in_step, partition_key, partition_keys
from elasticity_assets.warehouse.file import Warehouse

pytestmark = pytest.mark.quick


@given(st.text(st.characters(codec="utf-8")) | st.text("%.20AF\n\x00"))
def test_every_category_has_a_partition_key_and_is_found_again(category: str) -> None:
    key = partition_key(category)
    raise_error_on_invalid_partition_key_substring([key])
    assert category_of(key) == category


@given(st.sets(st.text("%.A0E\n2", max_size=6), min_size=2))
def test_different_categories_have_different_keys(categories: set[str]) -> None:
    assert len({partition_key(category) for category in categories}) == len(categories)


def test_plain_names_stay_as_they_are() -> None:
    for name in ("BAKED BREAD/BUNS/ROLLS", "100% juice", "crème; 🧀", "a..b"):
        assert partition_key(name) == name


def test_partitions_follow_the_categories(tmp_path) -> None:
    instance = dg.DagsterInstance.ephemeral(tempdir=str(tmp_path))
    warehouse, other = (Warehouse(path=str(tmp_path / name)) for name in ("one.duckdb", "two.duckdb"))
    assert keep_in_step(instance, warehouse, ["b", "a\nc"]) == (["a\nc", "b"], [])
    assert keep_in_step(instance, other, ["z"]) == (["z"], [])
    assert keep_in_step(instance, warehouse, ["b", "d"]) == (["d"], ["a\nc"])
    assert keep_in_step(instance, warehouse, ["b", "d"]) == ([], [])
    assert partition_keys(instance, warehouse) == ["b", "d"]
    assert partition_keys(instance, other) == ["z"]
    elsewhere = Warehouse(path=str(tmp_path / "two" / ".." / "one.duckdb"))
    assert partition_keys(instance, elsewhere) == ["b", "d"]
