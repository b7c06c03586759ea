"""Column names: which line of a file holds them, and what they are called where several are alike."""

from collections.abc import Collection, Iterable, Sequence

from elasticity_assets.words import shown

MOST_TITLE_LINES = 50
"""Lines above the header, at most."""

_MOST_LISTED, _LONGEST_LISTED = 40, 60


def folded(name: str) -> str:
    """Give a column's name without what does not count: case and outer blanks."""
    return name.strip().casefold()


def listed(names: Sequence[str]) -> str:
    """List columns in a message: the first of many, long names cut."""
    more = f" and {len(names) - _MOST_LISTED} more" if len(names) > _MOST_LISTED else ""
    return ", ".join(shown(name, _LONGEST_LISTED) for name in names[:_MOST_LISTED]) + more


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
