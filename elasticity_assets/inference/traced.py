"""Programs as jax traced them: kept beside the compiled ones, so that the next process need not trace them again.

Tracing a fit's program and lowering it keep Python busy for a second. What is kept is what jax exports; it is compiled,
or found among the compiled ones, as any other program.
"""

import hashlib
import os
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cache, wraps
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
from jax import export

MOST_KEPT = 256
"""Programs, of some 200 kB each: those last used."""

_PACKAGE = Path(__file__).parent
_DIGEST = 32  # bytes
_registering = threading.Lock()


def traced_once(function: Callable[..., Any], results: Sequence[type]) -> Callable[..., Any]:
    """Give a function for `jax.jit` that is traced in no time where any process has traced it before.

    Where jax's folder of compiled programs is the project's own (see `fitting.compiled`), and for one device: over
    several, fits are long. Whether the program was kept makes no difference to it.

    Parameters
    ----------
    function : callable
        Of trees of arrays, by position, and of static arguments, by name, whose `repr` says all of them. What it does
        is up to those and to the text of this package.
    results : sequence of NamedTuple types
        All that are in what it returns.
    """

    @wraps(function)
    def traced(*args: Any, **static: Any) -> Any:
        folder = _folder()
        if folder is None:
            return function(*args, **static)
        with _registering:
            for kind in results:
                _register(kind)
        leaves, tree = jax.tree.flatten(args)
        shapes = [jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, weak_type=leaf.weak_type) for leaf in leaves]
        name = _name(function, tree, shapes, static)
        program = _read(folder / name)
        if program is None:

            def of_leaves(*leaves: Any) -> Any:
                return function(*jax.tree.unflatten(tree, leaves), **static)

            program = bytes(export.export(jax.jit(of_leaves))(*shapes).serialize())
            _write(folder / name, program)
        return export.deserialize(bytearray(program)).call(*leaves)

    return traced


def _folder() -> Path | None:
    """Where programs are kept; None where they are not."""
    compiled = jax.config.values["jax_compilation_cache_dir"]
    if not compiled or "JAX_COMPILATION_CACHE_DIR" in os.environ or jax.device_count() > 1:
        return None
    # Text that has changed since is not what was imported.
    return Path(compiled) / "traced" if _text() == _IMPORTED else None


def _text() -> bytes:
    """Hash the text of the package, some of whose modules may be imported later than this one."""
    content = hashlib.sha256()
    for file in sorted(_PACKAGE.rglob("*.py")):
        content.update(b"\0".join([str(file.relative_to(_PACKAGE)).encode(), file.read_bytes(), b""]))
    return content.digest()


_IMPORTED = _text()


def _name(
    function: Callable[..., Any], tree: Any, shapes: Sequence[jax.ShapeDtypeStruct], static: Mapping[str, Any]
) -> str:
    """Hash all that decides what tracing gives."""
    device = jax.devices()[0]
    decisive = (
        _IMPORTED,
        [version(package) for package in ("jax", "jaxlib", "numpy")],
        (device.platform, device.device_kind),
        sorted(jax.config.values.items()),
        (function.__module__, function.__qualname__),
        sorted(static.items()),
        (tree, shapes),
    )
    return hashlib.sha256(repr(decisive).encode()).hexdigest()


@cache
def _register(kind: type) -> None:
    export.register_namedtuple_serialization(kind, serialized_name=f"{kind.__module__}.{kind.__qualname__}")


def _read(file: Path) -> bytes | None:
    """Read a program; None where there is none that is whole."""
    try:
        content = file.read_bytes()
    except OSError:
        return None
    with suppress(OSError):
        os.utime(file)  # used now
    digest, program = content[:_DIGEST], content[_DIGEST:]
    return program if digest == _digest(file, program) else None


def _write(file: Path, program: bytes) -> None:
    """Keep a program, if it can be, and forget those that were not used for long."""
    folder = file.parent
    beside = file.with_name(f".{file.name}.{uuid.uuid4().hex}.tmp")
    with suppress(OSError):
        folder.mkdir(mode=0o700, exist_ok=True)
        try:
            beside.write_bytes(_digest(file, program) + program)
            os.replace(beside, file)
        finally:
            beside.unlink(missing_ok=True)
        by_use = sorted(folder.iterdir(), key=lambda other: other.stat().st_mtime_ns)
        for old in by_use[:-MOST_KEPT]:
            old.unlink()


def _digest(file: Path, program: bytes) -> bytes:
    """Hash a program with its file's name, so that one under another's name is not taken for it."""
    return hashlib.sha256(file.name.encode() + program).digest()
