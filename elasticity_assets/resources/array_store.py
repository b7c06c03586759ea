"""Stored dicts of arrays: one .npz file a partition, without pickle.

Partitioned assets write each partition as soon as it is ready and read partitions one at a time, so that
neither a killed run nor many categories cost more than a few categories' work or memory.
"""

import hashlib
import os
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import dagster as dg
import numpy as np

Arrays = Mapping[str, np.ndarray]

STALE_SECONDS = 3600
"""Age at which another process's unfinished file counts as left behind."""


class StoredArrays(Mapping[str, Arrays]):
    """The stored partitions of one asset, by partition key; each is read when it is asked for.

    Partitions that were never stored are left out.
    """

    def __init__(self, files: Mapping[str, Path]):
        self._files = {key: file for key, file in files.items() if file.exists()}

    def __getitem__(self, key: str) -> Arrays:
        """Read one partition."""
        return _read(self._files[key])

    def __iter__(self) -> Iterator[str]:
        """Iterate over the partition keys."""
        return iter(self._files)

    def __len__(self) -> int:
        """Count the stored partitions."""
        return len(self._files)


class ArrayStore(dg.ConfigurableIOManager):
    """Keeps dicts of arrays under one folder.

    As an IO manager it stores an unpartitioned asset's dict, and hands a partitioned asset down as
    `StoredArrays`, however many partitions are asked for.

    Attributes
    ----------
    folder : str
    """

    folder: str

    def write(self, asset: dg.AssetKey, arrays: Arrays, partition: str | None = None) -> Path:
        """Store one dict of arrays, beside its place first, then moved over it; return the file."""
        if unsafe := [name for name, array in arrays.items() if array.dtype == object]:
            raise TypeError(f"{asset.to_user_string()}: {unsafe} are object arrays; give them a plain dtype")
        file = self._file(asset, partition)
        file.parent.mkdir(parents=True, exist_ok=True)
        beside = file.with_suffix(f".{os.getpid()}.tmp")
        for left in file.parent.glob(f"{file.stem}.*.tmp"):  # by a killed run
            if left.stat().st_mtime < time.time() - STALE_SECONDS:
                left.unlink(missing_ok=True)
        try:
            with beside.open("wb") as stream:
                np.savez(stream, **arrays)  # type: ignore[arg-type]
            beside.replace(file)
        finally:
            beside.unlink(missing_ok=True)
        return file

    def read(self, asset: dg.AssetKey, partition: str | None = None) -> Arrays | None:
        """Read one dict of arrays; None if it was never stored."""
        file = self._file(asset, partition)
        return _read(file) if file.exists() else None

    def handle_output(self, context: dg.OutputContext, obj: Arrays) -> None:
        """Store an unpartitioned asset's dict of arrays."""
        file = self.write(context.asset_key, obj)
        context.add_output_metadata({"file": dg.MetadataValue.path(str(file))})

    def load_input(self, context: dg.InputContext) -> StoredArrays | Arrays:
        """Hand down a partitioned asset as `StoredArrays`, any other as its dict of arrays."""
        if context.has_asset_partitions:
            keys = context.asset_partition_keys
            return StoredArrays({key: self._file(context.asset_key, key) for key in keys})
        file = self._file(context.asset_key, None)
        if not file.exists():
            name = context.asset_key.to_user_string()
            raise dg.Failure(f"{name} was never materialized; materialize it first")
        return _read(file)

    def _file(self, asset: dg.AssetKey, partition: str | None) -> Path:
        folder = Path(self.folder).joinpath(*asset.path)
        if partition is None:
            return folder.with_suffix(".npz")
        # Any text may be a category, so a readable beginning, and a hash that tells them apart.
        readable = re.sub(r"[^A-Za-z0-9]+", "_", partition)[:40].strip("_")
        digest = hashlib.sha256(partition.encode()).hexdigest()[:16]
        return folder / f"{readable}-{digest}.npz"


def _read(file: Path) -> Arrays:
    with np.load(file, allow_pickle=False) as stored:
        return dict(stored)
