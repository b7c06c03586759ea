"""Every kind of file that a project's folder holds, and ways to damage one."""

import os
import random
import re
from collections.abc import Callable
from pathlib import Path

KINDS = {
    "dagster.yaml": r"\.dagster/dagster\.yaml",
    "runs": r"\.dagster/history/runs\.db",
    "index of events": r"\.dagster/history/runs/index\.db",
    "events of a run": r"\.dagster/history/runs/[0-9a-f-]{36}\.db",
    "log of an SQLite file": r"\.dagster/.*\.db-(wal|shm|journal)",
    "schedules": r"\.dagster/schedules/schedules\.db",
    "lock": r"data/\.warehouse\.duckdb\.lock",
    "holder of the lock": r"data/\.warehouse\.duckdb\.holder",
    "lock of compiled programs": r"data/compiled/\.lockfile",
    "compiled program": r"data/compiled/[\w-]+-cache",
    "use of a compiled program": r"data/compiled/[\w-]+-atime",
    "traced program": r"data/compiled/traced/[0-9a-f]{64}",
    "published file": r"data/elasticity\.duckdb",
    "kept refit": r"data/elasticity\.refits/[0-9a-f-]{36}\.duckdb",
    "JavaScript": r"data/report-vega-[\w.-]+\.js",
    "report": r"data/reports/[0-9a-f-]{36}\.html",
    "latest report": r"data/reports/latest\.html",
    "model_input": r"data/warehouse\.arrays/model_input/[\w-]+\.npz",
    "category_posterior": r"data/warehouse\.arrays/category_posterior/[\w-]+\.npz",
    "heldout_evaluation": r"data/warehouse\.arrays/heldout_evaluation/[\w-]+\.npz",
    "split_samples": r"data/warehouse\.arrays/split_samples/[\w-]+\.npz",
    "confounding_tests": r"data/warehouse\.arrays/confounding_tests/[\w-]+\.npz",
    "hierarchy": r"data/warehouse\.arrays/hierarchy\.npz",
    "warehouse": r"data/warehouse\.duckdb",
    "copy of the warehouse": r"data/warehouse\.kept\.duckdb",
}
"""Patterns of what a refit leaves, by kind."""

OF_USERS = r"elasticity\.yaml|sales/.*"
UNFINISHED = r".*\.tmp(/.*|\.wal)?|.*\.duckdb\.wal"
"""What a process that was killed leaves until the next refit."""


def files_by_kind(folder: Path) -> dict[str, list[Path]]:
    """Every file of a project, by kind.

    Raises
    ------
    AssertionError
        If one is of no kind: name it in KINDS, so that it is damaged too.
    """
    found: dict[str, list[Path]] = {}
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = str(file.relative_to(folder))
        if re.fullmatch(rf"{OF_USERS}|{UNFINISHED}", name):
            continue
        kinds = [kind for kind, pattern in KINDS.items() if re.fullmatch(pattern, name)]
        assert len(kinds) == 1, f"{name} is of no kind that is known, or of several: {kinds}"
        found.setdefault(kinds[0], []).append(file)
    return found


def gone(file: Path, chance: random.Random) -> None:
    file.unlink()


def empty(file: Path, chance: random.Random) -> None:
    os.truncate(file, 0)


def cut(file: Path, chance: random.Random) -> None:
    os.truncate(file, chance.randrange(file.stat().st_size + 1))


def garbage(file: Path, chance: random.Random) -> None:
    overwrite(file, 0, chance.randbytes(max(file.stat().st_size, 100)))


def a_few_bytes(file: Path, chance: random.Random) -> None:
    """As a bad disk would: short runs of bytes that are others."""
    for _ in range(chance.randint(1, 8)):
        overwrite(file, chance.randrange(max(file.stat().st_size, 1)), chance.randbytes(16))


HARMS: list[Callable[[Path, random.Random], None]] = [gone, empty, cut, garbage, a_few_bytes]


def overwrite(file: Path, position: int, content: bytes) -> None:
    with file.open("r+b") as stream:
        stream.seek(position)
        stream.write(content)
