"""Compiled programs, kept in one folder for all processes.

jax locks the folder where it has a size to keep to, and not otherwise; two processes that write at once would then
leave entries that neither can read.
"""

import os
from pathlib import Path

from filelock import FileLock

COMPILED_BYTES = 1024**3
"""Some 4,000 programs: a first refit adds ten megabytes, an upgrade makes all anew. jax looks at all of
them for each that it writes, which in a larger folder would take longer than compiling does."""


def keep_compiled(folder: str) -> None:
    """Let jax keep compiled programs.

    Parameters
    ----------
    folder : str
        Their folder, unless JAX_COMPILATION_CACHE_DIR names another.
    """
    import jax  # noqa: PLC0415

    folder = os.environ.get("JAX_COMPILATION_CACHE_DIR", folder)
    jax.config.update("jax_compilation_cache_dir", folder)
    if "JAX_COMPILATION_CACHE_MAX_SIZE" not in os.environ:
        jax.config.update("jax_compilation_cache_max_size", COMPILED_BYTES)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
    if "://" not in folder:
        forget_unfinished(Path(folder))


def forget_unfinished(folder: Path) -> None:
    """Remove entries without a time of use: of a process killed while writing, or written without a size.

    jax would fail at each later entry that it writes.

    Parameters
    ----------
    folder : Path
        Made where it is missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lockfile"):  # jax's own
        for entry in folder.glob("*-cache"):
            if not entry.with_name(f"{entry.name.removesuffix('-cache')}-atime").exists():
                entry.unlink()
