"""ElasticityProject in somebody's own Dagster project, twice, beside other assets."""

import tomllib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest
from dagster.components.core.package_entry import (
    DG_PLUGIN_ENTRY_POINT_GROUP,
    get_package_objects_in_module,
)
from dagster.components.testing import create_defs_folder_sandbox

from elasticity_assets import ElasticityProject
from elasticity_assets.assets.column_lineage import LINEAGE
from elasticity_assets.automation.jobs import all_categories, refit_config
from elasticity_assets.automation.names import Names
from elasticity_assets.automation.partitions import partition_keys
from elasticity_assets.checks.every_check import EVERY_CHECK
from elasticity_assets.command.runs import ingest_and_refit
from elasticity_assets.definitions import build_definitions
from elasticity_assets.settings import SettingsError, settings_of
from elasticity_assets_tests.support.projects import CATEGORIES, settings_dict, simulated_sales

# Dagster's own components load by what it calls beta.
pytestmark = pytest.mark.filterwarnings("ignore::dagster_shared.utils.warnings.BetaWarning")

ROOT = Path(__file__).parents[1]
INLINE = {"sales": settings_dict()["sales"]}
FILE = (
    "sales: {path: ../sales/*.csv, roots: ../sales, "
    "columns: {product: product, period: week, units: units, price: price}}"
)


@dg.asset
def weekly_sales() -> int:
    """An asset of somebody's, called like one of ours."""
    return 1


@pytest.fixture
def project() -> Iterator[tuple[dg.Definitions, Path]]:
    """Definitions of a component with settings inline, of one with a file, and of somebody's; the project's root."""
    with create_defs_folder_sandbox() as sandbox:
        for name, settings in (("shops", INLINE), ("online", "elasticity.yaml")):
            sandbox.scaffold_component(
                component_cls=ElasticityProject,
                defs_path=name,
                defs_yaml_contents={
                    "type": "elasticity_assets.ElasticityProject",
                    "attributes": {"settings": settings},
                },
            )
        (sandbox.defs_folder_path / "online/elasticity.yaml").write_text(FILE)
        (sandbox.project_root / "sales").mkdir()
        simulated_sales().to_csv(sandbox.project_root / "sales/sales.csv", index=False)
        with sandbox.build_all_defs() as built:
            own = dg.Definitions(assets=[weekly_sales], resources={"settings": 1, "warehouse": 2})
            yield dg.Definitions.merge(built, own), sandbox.project_root


def test_two_stand_beside_each_other_and_beside_other_assets(
    project: tuple[dg.Definitions, Path], tmp_path: Path
) -> None:
    definitions, root = project
    dg.Definitions.validate_loadable(definitions)
    graph = definitions.resolve_asset_graph()
    keys = {key.to_user_string() for key in graph.get_all_asset_keys()}
    assert {"weekly_sales", "shops/weekly_sales", "shops/report", "online/raw_sales"} <= keys
    assert {node.group_name for node in graph.asset_nodes} >= {"default", "shops_1_sales", "online_2_fit"}
    assert {key.to_user_string() for key in graph.get(dg.AssetKey(["shops", "model_input"])).parent_keys} == {
        "shops/weekly_sales"
    }
    jobs = {job.name: job for job in definitions.resolve_all_job_defs()}
    assert {"shops_ingest", "online_ingest", "shops_refit", "online_check_ages"} <= set(jobs)
    assert {sensor.name for sensor in definitions.sensors or []} == {
        f"{name}_{sensor}"
        for name in ("shops", "online")
        for sensor in ("new_sales_files", "refit_after_ingest")
    }
    with dg.DagsterInstance.ephemeral(tempdir=str(tmp_path)) as instance:
        assert jobs["shops_ingest"].execute_in_process(instance=instance).success
        made = instance.get_latest_materialization_event(dg.AssetKey(["shops", "weekly_sales"]))
        assert made
        assert made.asset_materialization
        lineage, tags = made.asset_materialization.metadata[LINEAGE], made.asset_materialization.tags
        assert isinstance(lineage, dg.TableColumnLineageMetadataValue)
        assert lineage.value.deps_by_column["cost"] == [
            dg.TableColumnDep(dg.AssetKey(["shops", "raw_sales"]), "cost")
        ]
        assert tags
        assert tags["dagster/code_version"] == graph.get(made.asset_materialization.asset_key).code_version
        warehouse = definitions.resources["shops_warehouse"]
        categories = partition_keys(instance, warehouse)
        assert sorted(categories) == sorted(CATEGORIES)
        assert partition_keys(instance, definitions.resources["online_warehouse"]) == []
        refitted = jobs["shops_refit"].execute_in_process(
            instance=instance,
            tags=all_categories(categories),
            run_config=refit_config(changed_only=True, names=Names(("shops",))),
        )
    assert refitted.success
    lineages = {
        made.asset_key: getattr(made.materialization.metadata.get(LINEAGE), "value", None)
        for made in refitted.get_asset_materialization_events()
    }
    assert all(lineage == graph.get(key).metadata.get(LINEAGE) for key, lineage in lineages.items() if key)
    assert sum(lineage is not None for lineage in lineages.values()) == 16
    assert (root / "data/shops/warehouse.arrays/model_input").is_dir()  # as the command names it
    with duckdb.connect(str(root / "data/shops/elasticity.duckdb"), read_only=True) as connection:
        found = connection.execute("SELECT category FROM category_elasticity").fetchall()
    assert sorted(category for (category,) in found) == sorted(CATEGORIES)
    with warehouse.read() as connection:  # `elasticity status` and the next refit know assets by their names
        assets = connection.execute("SELECT DISTINCT asset FROM check_results").fetchall()
    assert {"raw_sales", "report"} <= {asset for (asset,) in assets} <= {asset for _, asset in EVERY_CHECK}


def test_the_sales_are_what_an_upstream_asset_hands_over(tmp_path: Path) -> None:
    sales = simulated_sales()
    delivered = [sales, sales.sample(frac=1.0, random_state=0), sales.assign(units=sales["units"] + 1), 7]

    @dg.asset(key=["retail", "weekly_sales"])
    def upstream() -> Any:
        return delivered[0]

    columns = settings_dict()["sales"]["columns"]
    content = {"sales": {"asset": ["retail", "weekly_sales"], "columns": columns}}
    settings = settings_of(content, tmp_path, "here")
    ours = build_definitions(settings, names=Names(("shops",)))
    definitions = dg.Definitions.merge(ours, dg.Definitions(assets=[upstream]))
    raw_sales = dg.AssetKey(["shops", "raw_sales"])
    assert definitions.resolve_asset_graph().get(raw_sales).parent_keys == {upstream.key}
    job, sensor = (
        definitions.resolve_job_def("shops_ingest"),
        definitions.resolve_sensor_def("shops_new_sales_asset"),
    )
    outcomes = []
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        while delivered:
            assert dg.materialize([upstream], instance=instance).success
            with dg.build_sensor_context(instance=instance, definitions=definitions) as context:
                assert len(sensor.evaluate_tick(context).run_requests or []) == 1
            run = job.execute_in_process(instance=instance, raise_on_error=False)
            made = run.asset_materializations_for_node("shops_raw_sales")
            outcomes.append({"new", "changed", "unchanged"} & set(made[0].metadata) if made else run.success)
            delivered.pop(0)
        events = run.get_step_failure_events()
    assert outcomes == [{"new"}, set(), {"changed"}, False]
    (failure,) = events
    assert "sales.asset: retail/weekly_sales handed over a int" in str(failure.step_failure_data.error.cause)
    with pytest.raises(SettingsError, match="name the table"):
        ingest_and_refit(settings, tmp_path, [], full=False, say=print)


def test_mistakes_in_inline_settings_are_told_with_their_place() -> None:
    with create_defs_folder_sandbox() as sandbox:
        sandbox.scaffold_component(
            component_cls=ElasticityProject,
            defs_path="shops",
            defs_yaml_contents={
                "type": "elasticity_assets.ElasticityProject",
                "attributes": {"settings": {**INLINE, "fitt": {}}},
            },
        )
        with pytest.raises(Exception, match="Error while building") as caught, sandbox.build_all_defs():
            pass
    assert "defs.yaml: settings: unknown key fitt" in str(caught.value.__cause__)


def test_dg_finds_the_component_by_its_entry_point() -> None:
    content = tomllib.loads((ROOT / "pyproject.toml").read_text())
    (module,) = content["project"]["entry-points"][DG_PLUGIN_ENTRY_POINT_GROUP].values()
    assert dict(get_package_objects_in_module(import_module(module))) == {
        "ElasticityProject": ElasticityProject
    }
