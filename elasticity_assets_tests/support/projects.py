"""Small projects to test on: simulated sales, settings, a Dagster instance, and runs of both jobs."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import numpy as np
import pandas as pd
import yaml

from elasticity_assets.automation.jobs import all_categories, refit_config
from elasticity_assets.automation.partitions import partition_keys
from elasticity_assets.definitions import build_definitions
from elasticity_assets.inference.simulate import Simulation, simulate
from elasticity_assets.settings import Settings, load_settings
from elasticity_assets.warehouse.of_settings import warehouse_of

CATEGORIES = ["CHEESE", "DAIRY & EGGS 'n' \"more\"; 🧀"]
"""The second one has all that SQL, file systems and plots might stumble over."""


def simulated_sales(n_categories: int = 2, seed: int = 0) -> pd.DataFrame:
    """Sales of 4 products a category over 20 weeks; the first categories have the names above.

    The regular price is the highest of the last eight weeks; the last product of each category has none.
    """
    simulation = Simulation(products=4 * n_categories, weeks=20, categories=n_categories)
    columns, truth = simulate(simulation, seed)
    sales = pd.DataFrame(columns)
    names = dict(zip(truth.category_name, CATEGORIES, strict=False))
    regular = sales.groupby("product")["price"].transform(lambda price: price.rolling(8, min_periods=1).max())
    last = sales["product"] == sales.groupby("category")["product"].transform("max")
    return sales.assign(
        category=sales["category"].map(lambda name: names.get(name, name)),
        regular_price=regular.mask(last),
    )


@dataclass
class Project:
    """A folder with settings, sales and a Dagster instance."""

    folder: Path
    settings: Settings
    instance: dg.DagsterInstance

    def partition_keys(self) -> list[str]:
        return list(partition_keys(self.instance, warehouse_of(self.settings)))

    def ingest(self, **more: Any) -> dg.ExecuteInProcessResult:
        job = build_definitions(self.settings).resolve_job_def("ingest")
        return job.execute_in_process(instance=self.instance, raise_on_error=False, **more)

    def refit(
        self,
        *,
        changed_only: bool = True,
        categories: Sequence[str] = (),
        resources: Mapping[str, Any] | None = None,
        partition_key: str | None = None,
        assets: Sequence[str] = (),
    ) -> dg.ExecuteInProcessResult:
        """Run `refit` over all categories, or over one partition; whole, or some assets and those made with them."""
        definitions = build_definitions(self.settings, resources)
        job = definitions.resolve_job_def("refit")
        wanted = dg.AssetSelection.assets(*assets).required_multi_asset_neighbors()
        keys = self.partition_keys()
        return job.execute_in_process(
            instance=self.instance,
            partition_key=partition_key,
            tags=None if partition_key else all_categories(keys),
            run_config=refit_config(changed_only=changed_only, categories=categories)
            if not assets or "category_posterior" in assets
            else None,
            asset_selection=list(wanted.resolve(definitions.resolve_asset_graph())) if assets else None,
            raise_on_error=False,
        )

    def copied_to(self, folder: Path) -> "Project":
        """Copy all files, and ingest: a new instance learns the categories, and the warehouse where the sales are now.

        Where they were there must be none any more, or they would be another file.
        """
        shutil.copytree(self.folder, folder)
        copy = open_project(folder)
        assert copy.ingest().success
        return copy

    def published(self, table: str) -> pd.DataFrame:
        with duckdb.connect(str(self.settings.published), read_only=True) as connection:
            return connection.table(table).df()

    def write_sales(self, sales: pd.DataFrame, name: str = "sales.csv") -> None:
        (self.folder / "sales").mkdir(exist_ok=True)
        sales.to_csv(self.folder / "sales" / name, index=False)


def settings_dict(**fit: Any) -> dict[str, Any]:
    """Return settings of `simulated_sales`, whose demand does not drift: slow demand is left out."""
    return {
        "sales": {
            "path": "sales/*.csv",
            "columns": {
                "product": "product",
                "category": "category",
                "period": "week",
                "units": "units",
                "price": "price",
                "regular_price": "regular_price",
            },
        },
        "fit": {"slow_demand": False} | fit,
        "warehouse": "data/warehouse.duckdb",
        "published": "data/elasticity.duckdb",
    }


def make_project(
    folder: Path, sales: pd.DataFrame | None = None, settings: Mapping[str, Any] | None = None, **fit: Any
) -> Project:
    """Make a project; `settings` are keys beside those of `settings_dict`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "elasticity.yaml").write_text(yaml.safe_dump({**settings_dict(**fit), **(settings or {})}))
    project = open_project(folder)
    project.write_sales(simulated_sales() if sales is None else sales)
    return project


def open_project(folder: Path) -> Project:
    """Read a project's settings, and give it a new instance."""
    settings = load_settings(folder / "elasticity.yaml")
    return Project(folder, settings, dg.DagsterInstance.ephemeral(tempdir=str(folder)))


def checks(result: dg.ExecuteInProcessResult) -> dict[str, dg.AssetCheckEvaluation]:
    return {evaluation.check_name: evaluation for evaluation in result.get_asset_check_evaluations()}


def same_numbers(one: pd.DataFrame, other: pd.DataFrame) -> bool:
    """Whether two tables agree but for what names a fit or a time."""
    drop = ["fit_id", "fitted_at", "refit_id", "refitted_at", "seconds"]
    one, other = (table.drop(columns=drop, errors="ignore") for table in (one, other))
    numeric = one.select_dtypes("number").columns
    return (
        list(one.columns) == list(other.columns)
        and one.drop(columns=numeric).astype(str).equals(other.drop(columns=numeric).astype(str))
        and np.array_equal(one[numeric], other[numeric], equal_nan=True)
    )
