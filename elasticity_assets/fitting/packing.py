"""Dataclasses to dicts of plain arrays and back, for storage without pickle."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from typing import Any, TypeVar, cast

import numpy as np

T = TypeVar("T")

_OTHER_VERSION = "made by another version; refit"


def pack(record: Any) -> dict[str, np.ndarray]:
    """Turn a dataclass into a dict of arrays that `numpy.savez` stores without pickle.

    Arrays stay as they are; those of a dataclass within it get its field's name and a dot before theirs; every other
    field becomes a 0-d array of its JSON text.

    Parameters
    ----------
    record : dataclass instance
        Fields are arrays, dataclasses with arrays, or values that JSON can hold.
    """
    packed = {}
    for field in dataclasses.fields(record):
        value = getattr(record, field.name)
        if isinstance(value, np.ndarray):
            if value.dtype == object:
                raise TypeError(f"{type(record).__name__}.{field.name} is an object array; make it plain")
            packed[field.name] = value
        elif _has_arrays(field.type):
            packed |= with_prefix(f"{field.name}.", pack(value))
        else:
            plain = (
                dataclasses.asdict(value)
                if dataclasses.is_dataclass(value) and not isinstance(value, type)
                else value
            )
            packed[field.name] = np.array(json.dumps(plain))
    return packed


def holds(cls: type[Any], packed: Mapping[str, np.ndarray]) -> bool:
    """Whether `unpack` can rebuild a dataclass, without reading its arrays."""
    return all(
        holds(cast("type[Any]", field.type), without_prefix(f"{field.name}.", packed))
        if _has_arrays(field.type)
        else field.name in packed
        and (
            not dataclasses.is_dataclass(field.type)
            or _has_fields_of(field.type, json.loads(packed[field.name].item()))
        )
        for field in dataclasses.fields(cls)
    )


def with_prefix(prefix: str, packed: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Give arrays names that begin so, to stand beside others."""
    return {f"{prefix}{name}": array for name, array in packed.items()}


def without_prefix(prefix: str, packed: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Take the arrays whose names begin so, by the rest of their names; none of the others is read."""
    return {name.removeprefix(prefix): packed[name] for name in packed if name.startswith(prefix)}


def content_hash(packed: Mapping[str, np.ndarray]) -> str:
    """Hash of arrays: their names, types, shapes and values."""
    digest = hashlib.sha256()
    for name, array in packed.items():
        digest.update(f"{name} {array.dtype} {array.shape} ".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def unpack(cls: type[T], packed: Mapping[str, np.ndarray]) -> T:
    """Rebuild a dataclass from what `pack` made; no other arrays are read.

    Raises
    ------
    ValueError
        If a field is missing, or holds others: the file is not what `cls` stores.
    """
    values: dict[str, Any] = {}
    for field in dataclasses.fields(cls):  # type: ignore[arg-type]
        if _has_arrays(field.type):
            kind = cast("type[Any]", field.type)
            values[field.name] = unpack(kind, without_prefix(f"{field.name}.", packed))
            continue
        if field.name not in packed:
            raise ValueError(f"no {field.name!r} in the stored {cls.__name__}: {_OTHER_VERSION}")
        stored = np.asarray(packed[field.name])
        if field.type is np.ndarray:
            values[field.name] = stored
            continue
        value = json.loads(stored.item())
        if dataclasses.is_dataclass(field.type):
            if not _has_fields_of(field.type, value):
                raise ValueError(f"another {field.name!r} in the stored {cls.__name__}: {_OTHER_VERSION}")
            value = field.type(**value)  # type: ignore[operator]
        elif isinstance(value, list):
            value = tuple(value)
        values[field.name] = value
    return cls(**values)


def _has_arrays(kind: Any) -> bool:
    """Whether a field's type is a dataclass that holds arrays."""
    return dataclasses.is_dataclass(kind) and any(
        field.type is np.ndarray for field in dataclasses.fields(kind)
    )


def _has_fields_of(cls: Any, value: Mapping[str, Any]) -> bool:
    return value.keys() == {field.name for field in dataclasses.fields(cls)}
