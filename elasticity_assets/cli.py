"""The `elasticity` command: thin, on top of the same definitions that Dagster loads."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import duckdb

from elasticity_assets.settings import Settings, SettingsError, load_settings


class OneLine(click.Group):
    """Commands whose mistakes in usage or settings end with one line on stderr and status 2."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except SettingsError as error:
            click.echo(str(error), err=True)
            ctx.exit(2)


@click.group(cls=OneLine, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="elasticity_assets")
def main() -> None:
    """Price elasticities for every product, from sales files to DuckDB."""


@main.command()
@click.option(
    "--category", "categories", multiple=True, metavar="NAME", help="Fit only this category; repeatable."
)
@click.option(
    "--sales",
    "more_sales",
    multiple=True,
    metavar="PATH",
    help="Add these files to those that the settings name; a glob, repeatable.",
)
@click.option("--full", is_flag=True, help="Fit every category anew, also where nothing changed.")
def refit(categories: tuple[str, ...], more_sales: tuple[str, ...], full: bool) -> None:
    """Take in sales files, fit what changed, pool all categories, and publish."""
    settings = _with_sales(load_settings(), more_sales)
    if full and categories:
        raise SettingsError("--full and --category exclude each other; name categories or refit all")

    import dagster as dg  # noqa: PLC0415

    from elasticity_assets import runs  # noqa: PLC0415
    from elasticity_assets.home import dagster_home  # noqa: PLC0415
    from elasticity_assets.partitions import category_of  # noqa: PLC0415

    home = dagster_home()
    with dg.DagsterInstance.from_config(str(home)) as instance, runs.only_refit(home):
        runs.end_dead_runs(instance)
        _exit_if(runs.what_failed(runs.run_ingest(settings, instance)))
        keys = instance.get_dynamic_partitions("category")
        known = [category_of(key) for key in keys]
        if unknown := sorted(set(categories) - set(known)):
            raise SettingsError(
                f"--category: no sales of {', '.join(unknown)}; known are {', '.join(sorted(known))}"
            )
        result = runs.run_refit(settings, instance, keys, full=full, categories=categories)
        failed = runs.what_failed(result)
    if result.success or any(line.startswith("category ") for line in failed):
        _show_categories(settings.published)
        click.echo(f"tables: {settings.published}")
    _exit_if(failed)


def _with_sales(settings: Settings, more: Sequence[str]) -> Settings:
    """Add sales files named on the command line, relative to where it was typed."""
    paths = [str(Path(path).absolute()) for path in more]
    for path in paths:
        folder = Path(path)
        if not any(Path(folder.anchor).glob(str(folder.relative_to(folder.anchor)))):
            raise SettingsError(f"--sales {path}: no such file")
    sales = settings.sales.model_copy(update={"path": [*settings.sales.path, *paths]})
    return settings.model_copy(update={"sales": sales})


def _show_categories(published: Path) -> None:
    with duckdb.connect(str(published), read_only=True) as connection:
        rows = connection.sql(
            "SELECT category, n_products, elasticity, elasticity_q05, elasticity_q95 FROM category_elasticity "
            "UNION ALL SELECT 'all categories', n_products, elasticity, elasticity_q05, elasticity_q95 "
            "FROM global_elasticity"
        ).fetchall()
    width = max(len(row[0]) for row in rows)
    click.echo(f"{'category':<{width}}  products  elasticity  90% interval")
    for name, n_products, mean, low, high in rows:
        click.echo(f"{name:<{width}}  {n_products:>8}  {mean:>10.2f}  {low:.2f} to {high:.2f}")


def _exit_if(failed: Sequence[str]) -> None:
    for line in failed:
        click.echo(line, err=True)
    if failed:
        sys.exit(1)
