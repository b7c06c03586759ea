"""Column names: which line of a file holds them, and what they are called where several are alike."""

from collections.abc import Collection, Iterable, Sequence

MOST_TITLE_LINES = 50
"""Lines above the header, at most."""


def folded(name: str) -> str:
    """Give a column's name without what does not count: case and outer blanks."""
    return name.strip().casefold()


def n_found(names: Iterable[str], wanted: Collection[str]) -> int:
    """Count the columns `wanted` that are among the names."""
    return len(set(map(folded, wanted)) & set(map(folded, names)))


def distinct(names: Sequence[str]) -> list[str]:
    """Give every column a name of its own, without regard to case."""
    found: list[str] = []
    seen: set[str] = set()
    for number, name in enumerate(names, start=1):
        unique = name or f"column {number}"
        while unique.casefold() in seen:
            unique = f"{unique}_{number}"
        seen.add(unique.casefold())
        found.append(unique)
    return found
