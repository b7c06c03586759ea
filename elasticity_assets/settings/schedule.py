"""When refits and cross-checks start."""

from typing import Annotated

from pydantic import (
    AfterValidator,
    Field,
)

from elasticity_assets.settings.section import Strict, TimeZone

_CRON_FIELDS = ((0, 59), (0, 23), (1, 28), (1, 12), (0, 6))  # minute, hour, day, month, weekday


def _is_simple_cron(cron: str) -> bool:
    """Whether each field is a number or a star, so that Dagster, which is slow to import, need not be asked."""
    return len(found := cron.split(" ")) == len(_CRON_FIELDS) and all(
        field == "*" or (field.isdecimal() and field.isascii() and low <= int(field) <= high)
        for field, (low, high) in zip(found, _CRON_FIELDS, strict=True)
    )


def _cron(cron: str) -> str:
    if _is_simple_cron(cron):
        return cron
    from dagster._utils.schedules import is_valid_cron_schedule  # noqa: PLC0415

    if not is_valid_cron_schedule(cron):
        raise ValueError(f"{cron!r} is not a cron schedule such as '0 6 * * 1'")
    return cron


Cron = Annotated[str, AfterValidator(_cron)]


class ScheduleSettings(Strict):
    """When the weekly refit starts."""

    cron: Cron = "0 6 * * 1"
    timezone: TimeZone = "UTC"
    max_age_days: float = Field(default=8.0, ge=1.0)
    keep_runs_days: int = Field(default=365, ge=1, le=36500)


class CrossCheckSettings(Strict):
    """When and how much is held against NUTS."""

    cron: Cron = "0 7 1 * *"
    categories: int = Field(default=3, ge=1)
