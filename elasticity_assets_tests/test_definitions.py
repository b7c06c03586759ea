"""Everything that Dagster loads resolves, and explains itself."""

import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
import yaml

from elasticity_assets.checks.every_check import EVERY_CHECK
from elasticity_assets.definitions import build_definitions
from elasticity_assets.settings import load_settings
from elasticity_assets_tests.support.projects import settings_dict

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def definitions(tmp_path_factory) -> dg.Definitions:
    file = tmp_path_factory.mktemp("project") / "elasticity.yaml"
    content = settings_dict() | {"schedule": {"cron": "30 5 * * 2", "timezone": "Europe/Berlin"}}
    file.write_text(yaml.safe_dump(content))
    return build_definitions(load_settings(file))


def test_the_jobs_cover_all_assets_between_them(definitions: dg.Definitions) -> None:
    dg.Definitions.validate_loadable(definitions)
    jobs = {job.name: job for job in definitions.resolve_all_job_defs() if not job.name.startswith("__")}
    covered = {
        name: {key.to_user_string() for key in job.asset_layer.selected_asset_keys}
        for name, job in jobs.items()
    }
    assert covered == {
        "ingest": {"raw_sales", "weekly_sales"},
        "refit": {
            "model_input",
            "category_posterior",
            "heldout_evaluation",
            "split_samples",
            "confounding_tests",
            "hierarchy",
            "product_elasticity",
            "zone_elasticity",
            "category_move_elasticity",
            "category_elasticity",
            "global_elasticity",
            "control_effect",
            "fit_diagnostics",
            "heldout_scores",
            "causal_evidence",
            "cross_elasticity",
            "price_scenarios",
            "promotion_elasticity",
            "recommended_prices",
            "uniform_pricing",
            "recommended_tests",
            "published_elasticity",
            "report",
        },
        "cross_check": {"nuts_cross_check"},
        "check_ages": set(),
    }
    assert {job.executor_def.name for job in jobs.values()} == {"in_process"}


def test_every_asset_has_an_owner_a_group_a_kind_and_a_description(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        assert node.owners, key
        assert node.group_name[0] in "12345", key
        assert node.kinds, key
        assert node.description, key
        assert "elasticity_assets" not in node.description, key


def test_partitioned_assets_run_all_their_partitions_in_one_run(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    partitioned = {key for key in graph.get_all_asset_keys() if graph.get(key).is_partitioned}
    assert {key.to_user_string() for key in partitioned} == {
        "model_input",
        "category_posterior",
        "heldout_evaluation",
        "split_samples",
        "confounding_tests",
        "product_elasticity",
        "zone_elasticity",
        "category_move_elasticity",
    }
    for key in partitioned:
        assert graph.get(key).backfill_policy == dg.BackfillPolicy.single_run()


def test_the_flow_goes_one_way_from_sales_to_the_report(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    order = [key.to_user_string() for level in graph.toposorted_asset_keys_by_level for key in sorted(level)]
    assert order[:4] == ["raw_sales", "weekly_sales", "model_input", "category_posterior"]
    assert order[-2:] == ["published_elasticity", "report"]


def test_tables_of_one_step_say_what_each_is_made_of(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    parents = {
        name: {key.to_user_string() for key in graph.get(dg.AssetKey(name)).parent_keys}
        for name in (
            "zone_elasticity",
            "category_move_elasticity",
            "global_elasticity",
            "control_effect",
            "price_scenarios",
            "cross_elasticity",
        )
    }
    assert parents == {
        "zone_elasticity": {"category_posterior", "hierarchy"},
        "category_move_elasticity": {"category_posterior", "hierarchy"},
        "global_elasticity": {"hierarchy", "category_elasticity"},
        "control_effect": {"category_posterior", "hierarchy"},
        "price_scenarios": {
            "product_elasticity",
            "category_move_elasticity",
            "category_elasticity",
            "promotion_elasticity",
        },
        "cross_elasticity": {"weekly_sales", "product_elasticity", "control_effect"},
    }
    assert {key.to_user_string() for key in graph.get(dg.AssetKey("published_elasticity")).parent_keys} >= {
        key.to_user_string()
        for key in graph.get_all_asset_keys()
        if graph.get(key).group_name == "4_elasticity"
    }


def test_the_last_check_blocks_and_all_describe_themselves(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    specs = [graph.get_check_spec(key) for key in graph.asset_check_keys]
    assert {spec.name for spec in specs if spec.blocking} == {
        "rows_and_units_add_up",
        "weekly_sales_keep_their_contract",
        "published_tables_agree",
        "every_category_refitted",
    }
    assert all(spec.description and spec.description.endswith(".") for spec in specs)


def test_tables_show_their_columns_before_they_are_materialized(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    tables = [key for key in graph.get_all_asset_keys() if graph.get(key).group_name == "4_elasticity"]
    assert len(tables) == 15
    for key in tables:
        schema = graph.get(key).metadata["dagster/column_schema"]
        assert isinstance(schema, dg.TableColumn | dg.TableSchema)
        assert all(column.description for column in schema.columns)


def test_the_schedule_follows_the_settings(definitions: dg.Definitions) -> None:
    schedule = definitions.resolve_schedule_def("weekly_refit")
    assert schedule.cron_schedule == "30 5 * * 2"
    assert schedule.execution_timezone == "Europe/Berlin"
    assert schedule.job_name == "ingest"


@pytest.mark.parametrize(
    "command",
    [["dagster", "definitions", "validate", "-w", "workspace.yaml"], ["dg", "check", "defs"]],
    ids=["dagster", "dg"],
)
def test_command_lines_find_nothing_wrong(command: list[str], tmp_path: Path) -> None:
    environment = os.environ | {"DAGSTER_HOME": str(tmp_path), "DG_TELEMETRY_ENABLED": "0"}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    done = subprocess.run(
        command, check=False, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=240
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    # Dagster calls its own command superseded.
    assert all("SupersessionWarning" in line for line in said.splitlines() if "Warning" in line), said


def test_every_check_is_known_to_what_forgets_the_others(definitions: dg.Definitions) -> None:
    made = {
        (key.name, key.asset_key.to_user_string())
        for key in definitions.resolve_asset_graph().asset_check_keys
    }
    assert made == set(EVERY_CHECK)
    assert len(made) == len(EVERY_CHECK)
