"""What the sections of the settings have in common."""

from typing import Annotated, Any
from zoneinfo import available_timezones

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
)


class SettingsError(Exception):
    """A mistake in the settings, told in one line."""


def as_list(value: Any) -> Any:
    """Let a single value stand for a list of one, and nothing for an empty list."""
    if value is None:
        return []
    return [value] if isinstance(value, str) else value


StringList = Annotated[list[str], BeforeValidator(as_list)]


def _timezone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError(f"{name!r} is no time zone; use a name such as Europe/Berlin")
    return name


TimeZone = Annotated[str, AfterValidator(_timezone)]


class Strict(BaseModel):
    """A section of the settings; unknown keys are mistakes."""

    model_config = ConfigDict(extra="forbid", frozen=True)
