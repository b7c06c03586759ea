"""Another process that has the lock of a run."""

import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HOLDER = textwrap.dedent("""
    import sys
    from pathlib import Path
    from elasticity_assets.warehouse.run_lock import run_lock
    with run_lock(Path(sys.argv[1]), 10):
        print("held", flush=True)
        sys.stdin.readline()
""")


@contextmanager
def held_elsewhere(warehouse: Path) -> Iterator[subprocess.Popen[str]]:
    """Let another process hold the lock, until it reads a line."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(warehouse)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout
        assert holder.stdout.readline().strip() == "held"
        yield holder
    finally:
        holder.kill()
        holder.communicate()
