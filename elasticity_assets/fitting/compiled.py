"""Compiled programs: kept in one folder for all processes, and in memory as far as there is room.

jax locks the folder where it has a size to keep to, and not otherwise; two processes that write at once would then
leave entries that neither can read.
"""

import os
from pathlib import Path

from filelock import FileLock

from elasticity_assets.atomic_write import remove_unfinished
from elasticity_assets.words import reason

COMPILED_BYTES = 1024**3
"""Some 4,000 programs: a first refit adds ten megabytes, an upgrade makes all anew. jax looks at all of
them for each that it writes, which in a larger folder would take longer than compiling does."""

CHECKED_BYTES = 100 * 10**6
"""How many bytes of programs a process looks through for damaged ones, those last used first: a second."""

LOCK_SECONDS = 10.0
"""How long the folder's lock is waited for: as long as jax waits."""

MOST_MEMORY_MAPS = 0.5
"""Share of the memory maps that Linux allows a process, from which programs are forgotten."""


def keep_compiled(folder: str) -> None:
    """Let jax keep compiled programs; where the folder cannot be used, warn, and let it compile anew.

    Parameters
    ----------
    folder : str
        Their folder, unless JAX_COMPILATION_CACHE_DIR names another. That one may hold other programs' entries, so
        that it is left to jax: its size too.
    """
    import jax  # noqa: PLC0415

    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
    if "JAX_COMPILATION_CACHE_DIR" in os.environ:
        return
    ours_to_limit = "JAX_COMPILATION_CACHE_MAX_SIZE" not in os.environ
    try:
        Path(folder).mkdir(mode=0o700, parents=True, exist_ok=True)
        if ours_to_limit:  # by any other limit, an entry without a time of use may be whole
            forget_unfinished(Path(folder))
            forget_damaged(Path(folder))
        remove_unfinished(Path(folder) / "traced")  # whose writer is alive keeps its program for itself
    except OSError as error:  # the lock's Timeout is one
        import dagster as dg  # noqa: PLC0415

        dg.get_dagster_logger().warning(
            f"compiled programs are not kept: {folder} cannot be used ({reason(error)}); "
            "make it writable, or set JAX_COMPILATION_CACHE_DIR"
        )
        return
    jax.config.update("jax_compilation_cache_dir", folder)
    if ours_to_limit:
        jax.config.update("jax_compilation_cache_max_size", COMPILED_BYTES)


def forget_unfinished(folder: Path) -> None:
    """Remove entries without a time of use: of a process killed while writing, or written without a size.

    jax would fail at each later entry that it writes.

    Parameters
    ----------
    folder : Path
        Made where it is missing.

    Raises
    ------
    OSError
        If it cannot be written, or if another process keeps its lock for LOCK_SECONDS.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lockfile", timeout=LOCK_SECONDS):  # jax's own
        for entry in folder.glob("*-cache"):
            if not entry.with_name(f"{entry.name.removesuffix('-cache')}-atime").exists():
                entry.unlink()


def forget_damaged(folder: Path) -> None:
    """Remove programs that cannot be unpacked, among those last used: jax would warn of them each time, and keep them.

    Parameters
    ----------
    folder : Path
        It exists.

    Raises
    ------
    OSError
        If it cannot be written, or if another process keeps its lock for LOCK_SECONDS.
    """
    from jax._src.compilation_cache import decompress_executable  # noqa: PLC0415  (nothing public unpacks them)

    left = CHECKED_BYTES
    with FileLock(folder / ".lockfile", timeout=LOCK_SECONDS):
        for used in sorted(folder.glob("*-atime"), key=lambda file: file.stat().st_mtime_ns, reverse=True):
            entry = used.with_name(f"{used.name.removesuffix('-atime')}-cache")
            if not entry.exists() or (left := left - entry.stat().st_size) < 0:
                continue
            try:
                decompress_executable(entry.read_bytes())
            except Exception:  # what it raises depends on which library packs them
                entry.unlink()
                used.unlink()


def forget_programs(most: float = MOST_MEMORY_MAPS) -> bool:
    """Let jax forget the programs in memory, where the process has used much of the memory maps that Linux allows it.

    A fit's program takes one to two thousand of usually 65,530: where categories come in many sizes, they run out, and
    the process dies as it compiles. Programs that run go on; those needed again are read from the folder.

    Parameters
    ----------
    most : float
        Share of the maps that may be used.

    Returns
    -------
    forgotten : bool
        False also where the system has no such limit.
    """
    try:
        allowed = int(Path("/proc/sys/vm/max_map_count").read_text())
        used = Path("/proc/self/maps").read_bytes().count(b"\n")
    except OSError:
        return False
    if used <= most * allowed:
        return False
    import jax  # noqa: PLC0415

    jax.clear_caches()
    return True
