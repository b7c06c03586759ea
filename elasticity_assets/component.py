"""ElasticityProject: the whole pipeline as a component of somebody's own Dagster project."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg
from dagster.components import Scaffolder, ScaffoldRequest
from dagster.components.component_scaffolding import scaffold_component
from pydantic import Field

from elasticity_assets.automation.names import Names
from elasticity_assets.definitions import build_definitions
from elasticity_assets.settings import Settings, load_settings, settings_of

_EXAMPLE = {
    "settings": {
        "sales": {
            "path": "data/sales/*.csv",
            "columns": {
                "product": "product",
                "category": "category",
                "period": "week",
                "units": "units",
                "price": "price",
            },
        }
    }
}


class ElasticityProjectScaffolder(Scaffolder):
    """Writes a defs.yaml with settings to fill in."""

    def scaffold(self, request: ScaffoldRequest) -> None:
        """Write it."""
        scaffold_component(request, _EXAMPLE)


@dg.scaffold_with(ElasticityProjectScaffolder)
class ElasticityProject(dg.Component, dg.Model, dg.Resolvable):
    """Price elasticities of every product, from sales to a DuckDB file for analysts.

    All that it makes is prefixed, so that it stands beside other definitions, those of another such component, too.
    """

    settings: str | Mapping[str, Any] = Field(
        description="A settings file, its path relative to this folder; or its content, as `elasticity.yaml` has it, "
        "its paths relative to the project's root.",
        examples=["elasticity.yaml", _EXAMPLE["settings"]],
    )
    key_prefix: list[str] | None = Field(
        default=None, description="Prefix of the assets' keys; by default this folder's name."
    )

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Bind the pipeline to its settings."""
        folder = context.path if context.path.is_dir() else context.path.parent
        names = Names(tuple(self.key_prefix or [folder.name]))
        return build_definitions(self._settings(folder, context.project_root, names), names=names)

    def _settings(self, folder: Path, root: Path, names: Names) -> Settings:
        if isinstance(self.settings, str):
            return load_settings(folder / self.settings)
        own = Path("data", *names.prefix)
        files = {"warehouse": str(own / "warehouse.duckdb"), "published": str(own / "elasticity.duckdb")}
        return settings_of({**files, **self.settings}, root, f"{folder / 'defs.yaml'}: settings")
