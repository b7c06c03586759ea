"""Stored dicts of arrays: one .npz file a partition, without pickle, in a local folder or an object store.

Partitioned assets write each partition as soon as it is ready and read partitions one at a time, so that
neither a killed run nor many categories cost more than a few categories' work or memory.
"""

import errno
import hashlib
import io
import json
import math
import re
import struct
import weakref
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from pathlib import Path

import dagster as dg
import numpy as np
from numpy.lib import format as npy_format
from numpy.lib.npyio import NpzFile
from upath import UPath
from upath.implementations.local import LocalPath

from elasticity_assets.atomic_write import atomic_write
from elasticity_assets.fitting.packing import content_hash
from elasticity_assets.words import in_one_line, reason

Arrays = Mapping[str, np.ndarray]


class UnreadableArraysError(ValueError):
    """A stored file is damaged, may not be read, or is gone: that of one category, as a rule.

    Attributes
    ----------
    told : str
        Which file, and why, in one line.
    """

    def __init__(self, told: str) -> None:
        super().__init__(f"{told}; make it readable, or delete it and run elasticity refit")
        self.told = told


class DamagedArraysError(UnreadableArraysError):
    """What a stored file holds is not what was written: once it is deleted, it can be made again."""


_CONTENT_HASHES = "content_hashes"
"""Name of the array, beside those stored, that has the hash of each: JSON."""
_SMALL_BYTES = 1_000_000
_NPY_1 = b"\x93NUMPY\x01\x00"
"""How an array of numpy's format 1.0 begins; the length of its header follows."""
_NPY_1_HEADER = struct.Struct("<H")


class LazyArrays(Mapping[str, np.ndarray]):
    """The arrays of one file, each read when it is asked for; the file is open as long as they are there.

    Raises
    ------
    DamagedArraysError
        On reading one that is not as it was written.
    """

    def __init__(self, file: UPath, arrays: NpzFile):
        self._file = file
        self._arrays = arrays
        # Where an error's traceback holds these arrays they end as garbage, which may take the file before its owner.
        weakref.finalize(self, arrays.close)
        self._names = [name for name in arrays if name != _CONTENT_HASHES]
        self._hashes: Mapping[str, str] | None = None  # until one is read
        # Not the error itself: its traceback would hold what the callers have open.
        self._damage: tuple[type[UnreadableArraysError], str] | None = None

    def __getitem__(self, name: str) -> np.ndarray:
        """Read one array; KeyError where the file has none of this name."""
        if name not in self._names:
            raise KeyError(name)
        if self._damage:
            kind, told = self._damage
            raise kind(told)
        try:
            with _unreadable(self._file):
                return self._checked(name)
        except UnreadableArraysError as damage:
            self._damage = type(damage), damage.told
            self._arrays.close()
            raise

    def _checked(self, name: str) -> np.ndarray:
        if self._hashes is None:  # files of earlier versions have none
            known = _CONTENT_HASHES in self._arrays
            self._hashes = json.loads(_member(self._arrays, _CONTENT_HASHES).item()) if known else {}
            if known and self._hashes.keys() != set(self._names):
                raise ValueError("arrays are missing")
        array = _member(self._arrays, name)
        if self._hashes and self._hashes.get(name) != content_hash({name: array}):
            raise ValueError(f"{name} is not as it was written")
        return array

    def __contains__(self, name: object) -> bool:
        """Whether there is such an array; none is read."""
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        """Iterate over the arrays' names."""
        return iter(self._names)

    def __len__(self) -> int:
        """Count the arrays."""
        return len(self._names)


class StoredArrays(Mapping[str, Arrays]):
    """The stored partitions of one asset, by partition key; each is read when it is asked for.

    Partitions that were never stored are left out.
    """

    def __init__(self, files: Mapping[str, UPath]):
        self._files = files

    def __getitem__(self, key: str) -> Arrays:
        """Open one partition; each of its arrays is read when it is asked for.

        Raises
        ------
        UnreadableArraysError
            If its file is damaged, may not be read, or is gone since the names were listed.
        """
        file = self._files[key]
        try:
            return _read(file)
        except FileNotFoundError as error:
            raise _told(file, error) from None

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
        A path, or the URL of a folder in an object store, such as s3://bucket/folder.
    """

    folder: str

    def write(self, asset: dg.AssetKey, arrays: Arrays, partition: str | None = None) -> UPath:
        """Store one dict of arrays in one step, over what was there; return the file."""
        if unsafe := [name for name, array in arrays.items() if array.dtype == object]:
            raise TypeError(f"{asset.to_user_string()}: {unsafe} are object arrays; give them a plain dtype")
        file = self._file(asset, partition)
        _write(file, arrays)
        return file

    def read(self, asset: dg.AssetKey, partition: str | None = None) -> Arrays | None:
        """Open one dict of arrays, each read when it is asked for; None if it was never stored.

        Raises
        ------
        UnreadableArraysError
            If its file is damaged, or may not be read.
        """
        try:
            return _read(self._file(asset, partition))
        except FileNotFoundError:
            return None

    def read_whole(
        self, asset: dg.AssetKey, partition: str | None, say: Callable[[str], object]
    ) -> Arrays | None:
        """Read all arrays of a dict that can be made again; None if it was never stored, or is damaged.

        Parameters
        ----------
        asset : AssetKey
        partition : str or None
        say : callable
            Takes one line that names a damaged file; it is removed.

        Raises
        ------
        UnreadableArraysError
            If its file may not be read.
        """
        try:
            found = self.read(asset, partition)
            return None if found is None else dict(found) or None
        except DamagedArraysError as damage:
            self._file(asset, partition).unlink()
            say(f"{damage.told}; it is removed, and made again")
            return None

    def handle_output(self, context: dg.OutputContext, obj: Arrays) -> None:
        """Store an unpartitioned asset's dict of arrays."""
        file = self.write(context.asset_key, obj)
        context.add_output_metadata({"file": dg.MetadataValue.path(str(file))})

    def load_input(self, context: dg.InputContext) -> StoredArrays | Arrays:
        """Hand down a partitioned asset as `StoredArrays`, any other as its dict of arrays."""
        asset = context.asset_key
        if context.has_asset_partitions:
            folder = self._folder(asset)
            stored = _names(folder)
            names = {key: _file_name(key) for key in context.asset_partition_keys}
            return StoredArrays({key: folder / name for key, name in names.items() if name in stored})
        arrays = self.read(asset)
        if arrays is None:
            raise dg.Failure(f"{asset.to_user_string()} was never materialized; materialize it first")
        return dict(arrays)  # as its annotation says

    def _folder(self, asset: dg.AssetKey) -> UPath:
        root = UPath(self.folder)
        # file:///x is /x. What an object store holds may have been written by another machine just now.
        root = UPath(root.path) if isinstance(root, LocalPath) else UPath(root, use_listings_cache=False)
        return root.joinpath(asset.path[-1])  # whatever its prefix: the folder is one project's

    def _file(self, asset: dg.AssetKey, partition: str | None) -> UPath:
        folder = self._folder(asset)
        if partition is None:
            return folder.with_suffix(".npz")
        return folder / _file_name(partition)


def _file_name(partition: str) -> str:
    # Any text may be a category, so a readable beginning, and a hash that tells them apart.
    readable = re.sub(r"[^A-Za-z0-9]+", "_", partition)[:40].strip("_")
    digest = hashlib.sha256(partition.encode()).hexdigest()[:16]
    return f"{readable}-{digest}.npz"


def _write(file: UPath, arrays: Arrays) -> None:
    hashes = {name: content_hash({name: array}) for name, array in arrays.items()}
    arrays = {_CONTENT_HASHES: np.array(json.dumps(hashes)), **arrays}
    if isinstance(file, Path):
        _write_beside_and_move(file, arrays)
        return
    # Whole in memory first: a stream that breaks off would be stored as far as it came.
    content = io.BytesIO()
    np.savez(content, **arrays)  # type: ignore[arg-type]
    with _reaching(file):
        file.fs.pipe_file(file.path, content.getvalue())


def _read(file: UPath) -> Arrays:
    """Open one file; FileNotFoundError if there is none. Each array is read when it is asked for."""
    with _unreadable(file, FileNotFoundError), ExitStack() as on_error:
        stream = on_error.enter_context(file.open("rb") if isinstance(file, Path) else _fetch(file))
        opened = LazyArrays(file, NpzFile(stream, own_fid=True, allow_pickle=False))
        on_error.pop_all()  # from here on the end of the arrays closes it
        return opened


def _member(arrays: NpzFile, name: str) -> np.ndarray:
    """Read one array as numpy does; of small ones most of the time would go into headers that were met before."""
    archive = arrays.zip
    if archive is None or (member := archive.getinfo(f"{name}.npy")).file_size > _SMALL_BYTES:
        return arrays[name]
    content = archive.read(member)
    if not content.startswith(_NPY_1):
        return arrays[name]
    first = len(_NPY_1)
    begin = first + _NPY_1_HEADER.size + _NPY_1_HEADER.unpack_from(content, first)[0]
    shape, in_columns, dtype = _npy_header(content[first:begin])
    if dtype.hasobject:
        raise ValueError("objects are not read")
    values = np.frombuffer(content, dtype, math.prod(shape), begin)
    return values.reshape(shape, order="F" if in_columns else "C").copy("K")


@lru_cache(maxsize=4096)
def _npy_header(header: bytes) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Parse a header: an array's shape, whether it lies column by column, and its type."""
    return npy_format.read_array_header_1_0(io.BytesIO(header))


@contextmanager
def _unreadable(file: UPath, *passed: type[Exception]) -> Iterator[None]:
    """Tell as one error, in one line, what numpy and zipfile raise for a file that cannot be read."""
    try:
        yield
    except passed:
        raise
    except MemoryError as error:
        if not _is_larger_than_its_file(error, file):
            raise  # nothing is wrong with the file
        raise DamagedArraysError(f"{file} cannot be read ({reason(error)})") from None
    except (
        zipfile.BadZipFile,
        zlib.error,
        struct.error,
        AttributeError,  # numpy's, of an array that is none
        EOFError,
        KeyError,
        NotImplementedError,
        OSError,
        OverflowError,
        TypeError,
        ValueError,
    ) as error:
        raise _told(file, error) from None


def _is_larger_than_its_file(error: MemoryError, file: UPath) -> bool:
    """Whether memory was asked for an array that cannot be in the file, which holds arrays as they are."""
    shape, dtype = getattr(error, "shape", None), getattr(error, "dtype", None)  # numpy's own say them
    if shape is None or dtype is None:
        return False
    return math.prod(shape) * dtype.itemsize > file.stat().st_size


def _told(file: UPath, error: Exception) -> UnreadableArraysError:
    # zipfile looks for what a damaged file says before its beginning.
    refused = isinstance(error, OSError) and error.errno not in (None, errno.EINVAL)
    kind = UnreadableArraysError if refused else DamagedArraysError
    return kind(f"{file} cannot be read ({reason(error)})")


def _write_beside_and_move(file: Path, arrays: Arrays) -> None:
    file.parent.parent.mkdir(mode=0o700, parents=True, exist_ok=True)  # it holds sales
    file.parent.mkdir(mode=0o700, exist_ok=True)
    with atomic_write(file) as beside:
        beside.touch(mode=0o600)
        with beside.open("wb") as stream:
            np.savez(stream, **arrays)  # type: ignore[arg-type]


def _fetch(file: UPath) -> io.BytesIO:
    # From 0 on is all of it by one request: asked for the whole, s3fs asks for the size first, and then for parts
    # of a large object, between which another could take its place.
    with _reaching(file, FileNotFoundError):
        return io.BytesIO(file.fs.cat_file(file.path, start=0))


def _names(folder: UPath) -> set[str]:
    """Names of the files in a folder, by one request a thousand; none if there is no such folder."""
    try:
        with _reaching(folder, FileNotFoundError):
            return {path.rsplit("/", 1)[-1] for path in folder.fs.ls(folder.path, detail=False)}
    except FileNotFoundError:
        return set()


@contextmanager
def _reaching(place: UPath, *passed: type[Exception]) -> Iterator[None]:
    """Tell in one line what a store's client raises, such as for want of a bucket or of credentials."""
    try:
        yield
    except passed:
        raise
    except Exception as error:  # each client has errors of its own
        raise dg.Failure(
            f"{place}: {in_one_line(error)}; check `arrays` in the settings, and the store's "
            "address and credentials in the environment"
        ) from None
