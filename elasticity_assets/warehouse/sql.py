"""Every SQL statement of the project, and the one way to put names and literals into SQL.

A module's statements stand beside it, in a `.sql` file of the module's name, each under a line `-- name: NAME`.
Values are bound as parameters. What cannot be bound (identifiers, COMMENT texts, literals in views and
macros) goes through `quoted` and takes the place of a `{name}` in the statement.
"""

from functools import cache
from pathlib import Path
from typing import Literal

_NAME = "-- name: "


def quoted(text: str, mark: Literal['"', "'"] = '"') -> str:
    """Quote text for SQL: an identifier by default, a string literal with mark `'`.

    Raises
    ------
    ValueError
        If the text holds a NUL character, which no SQL text can.
    """
    if "\0" in text:
        raise ValueError(f"{text!r} holds a NUL character; SQL cannot name it")
    return mark + text.replace(mark, mark * 2) + mark


@cache
def statements() -> dict[str, str]:
    """Read all statements of the package, by name.

    Raises
    ------
    ValueError
        If two have one name.
    """
    found: dict[str, str] = {}
    for file in sorted(Path(__file__).parents[1].rglob("*.sql")):
        for section in file.read_text(encoding="utf-8").split(_NAME)[1:]:
            name, _, text = section.partition("\n")
            if name in found:
                raise ValueError(f"{file}: a second statement is named {name}")
            found[name] = text.strip()
    return found


def statement(name: str, **parts: str) -> str:
    """Return the statement of this name, each `{part}` replaced.

    Parameters
    ----------
    name : str
        As after `-- name:` in its file.
    **parts : str
        SQL text: an identifier or literal made by `quoted`, or a list of such.
    """
    text = statements()[name]
    return text.format(**parts) if parts else text
