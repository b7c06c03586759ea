from pathlib import Path

import dagster as dg
import numpy as np
import pytest

from elasticity_assets.resources.array_store import ArrayStore

KEYS = ["a/b", "A/B", "..", "", "'; DROP TABLE x", "🧀" * 100]
ASSET = dg.AssetKey("numbers")
PARTITIONS = dg.StaticPartitionsDefinition(KEYS)


@pytest.fixture
def store(tmp_path: Path) -> ArrayStore:
    return ArrayStore(folder=str(tmp_path / "arrays"))


def test_any_partition_is_read_back_and_none_overwrites_another(store: ArrayStore, tmp_path: Path) -> None:
    for n, key in enumerate(KEYS):
        file = store.write(ASSET, {"n": np.array([n]), "text": np.array("ü")}, key)
        assert file.parent == tmp_path / "arrays" / "numbers"
    for n, key in enumerate(KEYS):
        arrays = store.read(ASSET, key)
        assert arrays is not None
        assert arrays["n"] == [n]
        assert arrays["text"] == "ü"


def test_what_was_never_stored_is_none(store: ArrayStore) -> None:
    assert store.read(ASSET, "a") is None


def test_writing_replaces_whole_and_leaves_no_other_file(store: ArrayStore) -> None:
    store.write(ASSET, {"n": np.arange(3), "m": np.arange(2)}, "a")
    file = store.write(ASSET, {"n": np.arange(4)}, "a")
    assert {name: len(array) for name, array in (store.read(ASSET, "a") or {}).items()} == {"n": 4}
    assert list(file.parent.iterdir()) == [file]


def test_an_object_array_is_refused_and_the_old_file_stays(store: ArrayStore) -> None:
    store.write(ASSET, {"n": np.arange(3)}, "a")
    with pytest.raises(TypeError, match="object array"):
        store.write(ASSET, {"n": np.array([None])}, "a")
    assert (store.read(ASSET, "a") or {})["n"].tolist() == [0, 1, 2]


def test_files_that_a_killed_run_left_are_removed_once_stale(store: ArrayStore) -> None:
    import os
    import time

    file = store.write(ASSET, {"n": np.arange(3)}, "a")
    fresh, stale = file.with_suffix(".1.tmp"), file.with_suffix(".2.tmp")
    for left in (fresh, stale):
        left.write_bytes(b"half")
    os.utime(stale, (time.time() - 7200,) * 2)
    store.write(ASSET, {"n": np.arange(3)}, "a")
    assert fresh.exists()
    assert not stale.exists()


def test_assets_hand_down_one_partition_many_or_none(store: ArrayStore, tmp_path) -> None:
    seen: dict[str, list[str]] = {}

    @dg.asset(partitions_def=PARTITIONS, io_manager_key="array_store")
    def numbers(
        context: dg.AssetExecutionContext, array_store: dg.ResourceParam[ArrayStore]
    ) -> dg.MaterializeResult:
        for key in context.partition_keys:
            array_store.write(context.asset_key, {"n": np.arange(len(key))}, key)
        return dg.MaterializeResult()

    @dg.asset(partitions_def=PARTITIONS, io_manager_key="array_store")
    def same(context: dg.AssetExecutionContext, numbers) -> dg.MaterializeResult:
        seen["same"] = list(numbers)
        return dg.MaterializeResult()

    @dg.asset(
        ins={"numbers": dg.AssetIn(partition_mapping=dg.AllPartitionMapping())}, io_manager_key="array_store"
    )
    def total(numbers) -> dg.MaterializeResult:
        return dg.MaterializeResult(value={"n": np.array(sum(len(part["n"]) for part in numbers.values()))})

    @dg.asset
    def after(total) -> dg.MaterializeResult:
        seen["total"] = [str(total["n"])]
        return dg.MaterializeResult()

    instance = dg.DagsterInstance.ephemeral(tempdir=str(tmp_path))
    resources = {"array_store": store, "io_manager": store}
    with instance:
        some = dg.materialize([numbers, same], partition_key=KEYS[0], instance=instance, resources=resources)
        assert some.success
        assert seen["same"] == [KEYS[0]]
        assert dg.materialize(
            [numbers, total, after], selection=[total, after], instance=instance, resources=resources
        ).success
    assert seen["total"] == [str(len(KEYS[0]))]
