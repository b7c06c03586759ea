"""Settings: one YAML file and the environment, validated.

`ELASTICITY_CONFIG` names the file (default ./elasticity.yaml); `ELASTICITY_FIT__ENGINE=svi` overrides
`fit.engine`, and so on. Relative paths start at the file's folder.
"""

from elasticity_assets.settings.addresses import DUCKLAKE, is_database_file
from elasticity_assets.settings.fit import FitSettings
from elasticity_assets.settings.load import DEFAULT_FILE, load_settings, settings_file, settings_of
from elasticity_assets.settings.pricing import PricingRule, PricingSettings
from elasticity_assets.settings.sales import Columns, Join, SalesSettings, SalesTable
from elasticity_assets.settings.schedule import CrossCheckSettings, ScheduleSettings
from elasticity_assets.settings.section import SettingsError, Strict
from elasticity_assets.settings.settings import (
    DEFAULT_WAREHOUSE_MEMORY,
    RESERVED_NAMES,
    RaySettings,
    Settings,
    database_name,
)

__all__ = [
    "DEFAULT_FILE",
    "DEFAULT_WAREHOUSE_MEMORY",
    "DUCKLAKE",
    "RESERVED_NAMES",
    "Columns",
    "CrossCheckSettings",
    "FitSettings",
    "Join",
    "PricingRule",
    "PricingSettings",
    "RaySettings",
    "SalesSettings",
    "SalesTable",
    "ScheduleSettings",
    "Settings",
    "SettingsError",
    "Strict",
    "database_name",
    "is_database_file",
    "load_settings",
    "settings_file",
    "settings_of",
]
