"""All settings together."""

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    ByteSize,
    Field,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from elasticity_assets.settings.addresses import DUCKLAKE, check_arrays, check_lake_files, check_warehouse
from elasticity_assets.settings.fit import FitSettings
from elasticity_assets.settings.pricing import PricingSettings
from elasticity_assets.settings.sales import SalesSettings
from elasticity_assets.settings.schedule import CrossCheckSettings, ScheduleSettings
from elasticity_assets.settings.section import Strict

DEFAULT_WAREHOUSE_MEMORY = 4 * 10**9
"""Bytes."""


RESERVED_NAMES = frozenset({"", "memory", "system", "temp"})
"""Names that DuckDB gives databases of its own."""


class RaySettings(Strict):
    """The Ray cluster that categories are fitted on, and what a category's fit asks it for."""

    address: str = Field(default="auto", min_length=1)
    cpus: float = Field(default=1.0, gt=0.0, allow_inf_nan=False)
    gpus: float = Field(default=0.0, ge=0.0, allow_inf_nan=False)

    @field_validator("gpus")
    @classmethod
    def _whole_or_shared(cls, gpus: float) -> float:
        if gpus > 1.0 and gpus != int(gpus):
            raise ValueError(f"{gpus:g} GPUs: several are whole ones, a fraction shares one")
        return gpus


class Settings(BaseSettings):
    """All settings; paths are absolute once loaded by `load_settings`."""

    model_config = SettingsConfigDict(
        extra="forbid", frozen=True, env_prefix="ELASTICITY_", env_nested_delimiter="__"
    )

    sales: SalesSettings
    fit: FitSettings = FitSettings()
    schedule: ScheduleSettings = ScheduleSettings()
    cross_check: CrossCheckSettings = CrossCheckSettings()
    pricing: PricingSettings = PricingSettings()
    experiments: Path | None = None
    executor: Literal["in_process", "ray"] = "in_process"
    ray: RaySettings = RaySettings()
    warehouse: Annotated[str, AfterValidator(check_warehouse)] = "data/warehouse.duckdb"
    ducklake_files: Annotated[str, AfterValidator(check_lake_files)] = "data/ducklake"
    warehouse_memory: ByteSize = Field(default=ByteSize(DEFAULT_WAREHOUSE_MEMORY), ge=500 * 10**6)
    published: Path = Path("data/elasticity.duckdb")
    readers: Literal["owner", "group", "everyone"] = "everyone"
    arrays: Annotated[str, Field(min_length=1), AfterValidator(check_arrays)] | None = None
    keep: int = Field(default=8, ge=1)

    @field_validator("executor")
    @classmethod
    def _is_installed(cls, executor: str) -> str:
        if executor == "ray" and find_spec("ray") is None:
            raise ValueError("Ray is not installed; pip install 'elasticity_assets[ray]'")
        return executor

    @model_validator(mode="after")
    def _engine_takes_experiments(self) -> "Settings":
        if self.experiments is not None and (self.fit.engine == "svi" or self.fit.preset == "article"):
            raise ValueError(
                "experiments: the engine svi takes no results from elsewhere; set fit.engine: natural_gradient and no "
                "fit.preset, or remove experiments"
            )
        return self

    @model_validator(mode="after")
    def _engine_takes_zones(self) -> "Settings":
        if self.sales.columns.zone is None:
            return self
        if self.fit.engine != "natural_gradient" or self.fit.preset == "article":
            asked = "preset: article" if self.fit.preset == "article" else f"engine: {self.fit.engine}"
            raise ValueError(
                f"sales.columns.zone: fit.{asked} knows no zones; set fit.engine: natural_gradient and no fit.preset, "
                "or name no zone"
            )
        return self

    @model_validator(mode="after")
    def _databases_differ(self) -> "Settings":
        if os.path.normpath(self.warehouse_file) == os.path.normpath(self.published):
            raise ValueError(
                f"warehouse and published are both {str(self.published)!r}; give each a file of its own, such as "
                "data/warehouse.duckdb and data/elasticity.duckdb"
            )
        names = [database_name(file) for file in (self.warehouse_file, self.published)]
        if {name.casefold() for name in names} & RESERVED_NAMES or len({*map(str.casefold, names)}) < len(
            names
        ):
            raise ValueError(
                f"warehouse and published name the databases {names[0]!r} and {names[1]!r}; give the files "
                f"different names, none of them {', '.join(sorted(RESERVED_NAMES))}"
            )
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let the environment win over the file."""
        return env_settings, init_settings

    @property
    def on_ducklake(self) -> bool:
        """Whether the warehouse is a DuckLake, and not a file."""
        return self.warehouse.startswith(DUCKLAKE)

    @property
    def warehouse_file(self) -> Path:
        """The warehouse's file; of a DuckLake, what its file would be beside the published one."""
        return self.published.with_name("warehouse.duckdb") if self.on_ducklake else Path(self.warehouse)

    @property
    def published_mode(self) -> int:
        """Mode of the published file and the reports: what `readers` may do, and nobody may write."""
        return {"owner": 0o400, "group": 0o440, "everyone": 0o444}[self.readers]

    @property
    def own_folder(self) -> Path:
        """Folder for what can be made again, such as compiled programs."""
        return self.warehouse_file.parent

    @property
    def arrays_folder(self) -> str:
        """Folder of the stored arrays, model inputs and posteriors: a path or a URL, else beside the warehouse."""
        return self.arrays or str(self.warehouse_file.with_suffix(".arrays"))

    @property
    def reports(self) -> Path:
        """Folder of the refits' reports, REFIT_ID.html each, and latest.html."""
        return self.published.parent / "reports"


def database_name(file: Path) -> str:
    """Name that DuckDB gives the database in a file: the file's own up to its first dot."""
    return file.name.split(".")[0]
