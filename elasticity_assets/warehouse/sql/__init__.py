"""Every SQL statement of the project, one file each, and the one way to put names and literals into SQL.

Values are bound as parameters. What cannot be bound (identifiers, COMMENT texts, literals in views and
macros) goes through `quoted` and takes the place of a `{name}` in the statement's file.
"""

from functools import cache
from importlib.resources import files
from typing import Literal


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
def _text(name: str) -> str:
    return files(__package__).joinpath(f"{name}.sql").read_text(encoding="utf-8")


def statement(name: str, **parts: str) -> str:
    """Return the statement stored in `<name>.sql`, each `{part}` replaced.

    Parameters
    ----------
    name : str
        The file's name without `.sql`.
    **parts : str
        SQL text: an identifier or literal made by `quoted`, or a list of such.
    """
    text = _text(name)
    return text.format(**parts) if parts else text
