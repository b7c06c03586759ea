import gc
import io
import logging
import os
import re
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import boto3
import dagster as dg
import numpy as np
import pytest
from upath import UPath

from elasticity_assets.fitting.array_store import Arrays, ArrayStore, StoredArrays, UnreadableArraysError

KEYS = ["a/b", "A/B", "..", "", "'; DROP TABLE x", "🧀" * 100]
ASSET = dg.AssetKey("numbers")
PARTITIONS = dg.StaticPartitionsDefinition(KEYS)


@pytest.fixture(params=["path", "file URL", "S3"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "S3":
        return f"s3://{request.getfixturevalue('bucket')}/elasticity/arrays"
    return f"{'file://' if request.param == 'file URL' else ''}{tmp_path / 'arrays'}"


@pytest.fixture
def store(folder: str) -> ArrayStore:
    return ArrayStore(folder=folder)


@pytest.fixture
def s3_store(bucket: str) -> ArrayStore:
    return ArrayStore(folder=f"s3://{bucket}")


def names(folder: UPath) -> list[str]:
    """Names of the files in a folder, by a client that has seen nothing before."""
    if isinstance(folder, Path):
        return sorted(file.name for file in folder.iterdir())
    bucket, prefix = folder.path.split("/", 1)
    found = boto3.client("s3").list_objects_v2(Bucket=bucket, Prefix=f"{prefix}/")
    return sorted(stored["Key"].removeprefix(f"{prefix}/") for stored in found["Contents"])


def handed_down(store: ArrayStore, keys: list[str]) -> StoredArrays | Arrays:
    """What an asset downstream gets of these partitions."""
    context = dg.build_input_context(
        asset_key=ASSET,
        asset_partitions_def=dg.StaticPartitionsDefinition(keys),
        asset_partition_key_range=dg.PartitionKeyRange(keys[0], keys[-1]),
    )
    return store.load_input(context)


def test_any_partition_is_read_back_and_none_overwrites_another(store: ArrayStore, folder: str) -> None:
    for n, key in enumerate(KEYS):
        file = store.write(ASSET, {"n": np.array([n]), "text": np.array("ü")}, key)
        assert str(file.parent) == f"{folder.removeprefix('file://')}/numbers"
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
    assert names(file.parent) == [file.name]


def test_an_object_array_is_refused_and_the_old_file_stays(store: ArrayStore) -> None:
    store.write(ASSET, {"n": np.arange(3)}, "a")
    with pytest.raises(TypeError, match="object array"):
        store.write(ASSET, {"n": np.array([None])}, "a")
    assert (store.read(ASSET, "a") or {})["n"].tolist() == [0, 1, 2]


def test_a_write_that_fails_midway_leaves_the_old_file_alone(
    store: ArrayStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = store.write(ASSET, {"n": np.arange(3)}, "a")

    def broken(stream, **arrays) -> None:
        stream.write(b"half")
        raise OSError("the disk is full")

    monkeypatch.setattr(np, "savez", broken)
    with pytest.raises(OSError, match="the disk is full"):
        store.write(ASSET, {"n": np.arange(4)}, "a")
    assert (store.read(ASSET, "a") or {})["n"].tolist() == [0, 1, 2]
    assert names(file.parent) == [file.name]


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


def test_what_another_process_stores_or_removes_is_seen_at_once(store: ArrayStore, folder: str) -> None:
    program = f"""
import dagster as dg, numpy as np
from elasticity_assets.fitting.array_store import ArrayStore
store = ArrayStore(folder={folder!r})
for key in "ab":
    store.write(dg.AssetKey("numbers"), {{"n": np.array([2])}}, key)
"""
    first = store.write(ASSET, {"n": np.array([1])}, "a")
    assert list(handed_down(store, ["a", "b"])) == ["a"]
    assert store.read(ASSET, "b") is None
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True, timeout=120)
    assert (store.read(ASSET, "a") or {})["n"] == [2]
    assert {key: part["n"][0] for key, part in handed_down(store, ["a", "b"]).items()} == {"a": 2, "b": 2}
    if isinstance(first, Path):
        first.unlink()
    else:
        bucket, key = first.path.split("/", 1)
        boto3.client("s3").delete_object(Bucket=bucket, Key=key)
    assert list(handed_down(store, ["a", "b"])) == ["b"]
    assert store.read(ASSET, "a") is None


def test_s3_is_asked_once_for_the_names_and_once_a_partition(
    s3_store: ArrayStore, caplog: pytest.LogCaptureFixture
) -> None:
    keys = [str(n) for n in range(5)]
    for key in keys[:3]:
        s3_store.write(ASSET, {"n": np.arange(3)}, key)
    caplog.set_level(logging.INFO, "werkzeug")  # a line a request
    caplog.clear()
    parts = handed_down(s3_store, keys)
    assert sum(part["n"].sum() for part in parts.values()) == 9
    requests = [record.getMessage() for record in caplog.records if record.name == "werkzeug"]
    assert [re.search("list-type|npz", request).group() for request in requests] == [
        "list-type",
        *["npz"] * 3,
    ]


def test_a_store_that_cannot_be_reached_is_told_in_one_line(s3_environment: None) -> None:
    store = ArrayStore(folder="s3://no-such-bucket/arrays")
    with pytest.raises(dg.Failure) as caught:
        store.write(ASSET, {"n": np.arange(3)}, "a")
    message = str(caught.value)
    assert re.fullmatch(
        r"s3://no-such-bucket/arrays/numbers/a-\w+\.npz: .*bucket does not exist.*; check `arrays` in the .*",
        message,
    )
    assert caught.value.__suppress_context__


def test_without_credentials_reading_and_listing_fail_in_one_line(
    bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    store = ArrayStore(folder=f"s3://{bucket}")
    with pytest.raises(dg.Failure, match="Unable to locate credentials; check `arrays`"):
        store.read(ASSET)
    with pytest.raises(dg.Failure, match="Unable to locate credentials; check `arrays`"):
        handed_down(store, ["a"])


def beginning_lost(content: bytes) -> bytes:
    return content[:10]


def text(content: bytes) -> bytes:
    return b"text"


def middle_lost(content: bytes) -> bytes:
    """Nothing that opening looks at."""
    return content[:500] + b"?" * 100 + content[600:]


@pytest.mark.parametrize("damaged", [beginning_lost, text, middle_lost])
def test_a_damaged_file_is_told_in_one_line_when_it_is_opened_or_read(
    store: ArrayStore, damaged: Callable[[bytes], bytes]
) -> None:
    file = store.write(ASSET, {"n": np.arange(1000)}, "a")
    file.write_bytes(damaged(file.read_bytes()))
    for opened in (lambda: store.read(ASSET, "a"), lambda: handed_down(store, ["a", "b"])["a"]):
        with pytest.raises(
            UnreadableArraysError, match=r"numbers/a-\w+\.npz cannot be read \(.*\); make it"
        ) as told:
            opened()["n"].sum()
        assert "\n" not in str(told.value)


def test_memory_that_runs_out_is_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = ArrayStore(folder=str(tmp_path))
    file = store.write(ASSET, {"n": np.arange(200_000)}, "a")

    def run_out(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr("numpy.lib._npyio_impl.format.read_array", run_out)
    with pytest.raises(MemoryError):
        store.read_whole(ASSET, "a", print)
    assert file.exists()


def test_a_file_that_is_empty_gone_or_no_file_is_told(tmp_path: Path) -> None:
    store = ArrayStore(folder=str(tmp_path))
    file = store.write(ASSET, {"n": np.arange(3)}, "a")
    parts = handed_down(store, ["a", "b"])
    file.write_bytes(b"")
    with pytest.raises(UnreadableArraysError, match="BadZipFile"):
        parts["a"]
    file.unlink()
    with pytest.raises(UnreadableArraysError, match="FileNotFoundError"):
        parts["a"]
    file.mkdir()
    with pytest.raises(UnreadableArraysError, match="IsADirectoryError"):
        store.read(ASSET, "a")


def test_a_file_is_closed_with_its_arrays_where_they_end_as_garbage(tmp_path: Path) -> None:
    store = ArrayStore(folder=str(tmp_path))
    store.write(ASSET, {"n": np.arange(3)}, "a")
    held: list[object] = [store.read(ASSET, "a")]
    held.append(held)  # as an error's traceback holds itself
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        del held
        gc.collect()
    assert not told


def test_an_array_that_was_never_stored_is_no_damage(store: ArrayStore) -> None:
    store.write(ASSET, {"n": np.arange(3)}, "a")
    arrays = store.read(ASSET, "a") or {}
    assert "m" not in arrays
    assert arrays.get("m") is None


def test_whatever_byte_is_wrong_no_other_array_is_read(tmp_path: Path) -> None:
    store = ArrayStore(folder=str(tmp_path))
    arrays = {"n": np.arange(12.0).reshape(3, 4), "text": np.array(["a", "ü"]), "json": np.array("[1, 2]")}
    file = store.write(ASSET, arrays, "a")
    whole, rng = file.read_bytes(), np.random.default_rng(0)
    n_damaged = 0
    for position in range(len(whole)):
        harmed = bytearray(whole)
        harmed[position] ^= int(rng.integers(1, 256))
        file.write_bytes(bytes(harmed[: rng.integers(len(harmed))] if position % 5 == 0 else harmed))
        told: list[str] = []
        found = store.read_whole(ASSET, "a", told.append)
        if told:
            n_damaged += 1
            assert found is None
            assert not file.exists()
            assert "\n" not in told[0]
            assert told[0].endswith("it is removed, and made again")
        elif found is not None:  # a byte that nothing is read from
            assert {name: array.tolist() for name, array in found.items()} == {
                name: array.tolist() for name, array in arrays.items()
            }
    assert n_damaged > len(whole) / 2


def test_numbers_that_somebody_changed_are_damage(store: ArrayStore) -> None:
    file = store.write(ASSET, {"n": np.arange(3)}, "a")
    with file.open("rb") as stream, np.load(stream) as stored:
        changed = {**stored, "n": np.arange(3) + 1}
    content = io.BytesIO()
    np.savez(content, **changed)
    file.write_bytes(content.getvalue())
    with pytest.raises(UnreadableArraysError, match="n is not as it was written"):
        (store.read(ASSET, "a") or {})["n"]
    assert store.read_whole(ASSET, "a", print) is None
    assert store.read(ASSET, "a") is None


def test_arrays_of_an_earlier_version_are_read(store: ArrayStore) -> None:
    file = store.write(ASSET, {"n": np.arange(3)}, "a")
    content = io.BytesIO()
    np.savez(content, n=np.arange(4))
    file.write_bytes(content.getvalue())
    assert (store.read_whole(ASSET, "a", print) or {})["n"].tolist() == [0, 1, 2, 3]


def test_a_file_that_may_not_be_read_is_not_removed(tmp_path: Path) -> None:
    store = ArrayStore(folder=str(tmp_path))
    file = store.write(ASSET, {"n": np.arange(3)}, "a")
    file.unlink()
    file.mkdir()
    with pytest.raises(UnreadableArraysError, match="IsADirectoryError"):
        store.read_whole(ASSET, "a", print)
    assert file.exists()
