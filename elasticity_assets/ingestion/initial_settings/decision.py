"""What `elasticity init` decides about a setting, or leaves open."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Decision:
    """One setting with what speaks for it, or one left open.

    Attributes
    ----------
    key : str
        Key below `sales`, such as `columns.price`; of several alternatives, such as price or revenue, the first.
    value : Any
        What the setting is; None where it is open.
    why : str
        One sentence: what was decided and a value that shows why; or what is missing and what would do.
    """

    key: str
    value: Any
    why: str

    @property
    def is_open(self) -> bool:
        """Whether a person has to fill it in."""
        return self.value is None


@dataclass(frozen=True)
class Remark:
    """Something to be known about the files that decides no setting.

    Attributes
    ----------
    why : str
        One sentence.
    """

    why: str


def example(*values: object) -> str:
    """Show values in a sentence, long ones cut."""
    texts = [text if len(text := str(value)) <= 40 else text[:37] + "..." for value in values]
    return ", ".join(map(repr, texts))
