"""The `elasticity` command: thin, on top of the same definitions that Dagster loads."""

import errno
import functools
import gc
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from elasticity_assets.inference.departures import DEPARTURES
from elasticity_assets.settings import Settings, SettingsError, load_settings, settings_file
from elasticity_assets.words import in_one_line, memory_ran_out, utc_now


class OneLine(click.Group):
    """Commands that end with one line on stderr where a person can help.

    The status is 2 for a mistake in usage or settings, and 1 where a file, a lock or memory cannot be had.
    """

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except SettingsError as error:
            click.echo(in_one_line(error), err=True)  # a file's name may hold line breaks
            ctx.exit(2)
        except BrokenPipeError:  # click's own
            raise
        except Exception as error:
            if ran_out := memory_ran_out(type(error).__name__, str(error)):
                click.echo(f"{ctx.invoked_subcommand}: {ran_out}", err=True)
                ctx.exit(1)
            if not _is_of_the_world(error):
                raise
            click.echo(_what_to_do(error) if isinstance(error, OSError) else in_one_line(error), err=True)
            ctx.exit(1)


@click.group(cls=OneLine, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="elasticity_assets")
def main() -> None:
    """Price elasticities for every product, from sales files to DuckDB."""


@main.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
def init(paths: tuple[str, ...]) -> None:
    """Look at sales files, folders or globs, and write elasticity.yaml for them.

    Says what was decided and why. What cannot be told is open: it is marked in the file, with what is missing.
    """
    from elasticity_assets.ingestion import SalesFileError  # noqa: PLC0415
    from elasticity_assets.ingestion.initial_settings import named_files, propose_settings  # noqa: PLC0415

    named_files(paths)
    settings = settings_file()
    if settings.exists():
        raise SettingsError(
            f"{settings}: there already; move it away, or name another with ELASTICITY_CONFIG"
        )
    try:
        proposed = propose_settings(paths, settings.parent)
    except SalesFileError as error:
        raise SettingsError(str(error)) from None  # it is the argument that is wrong
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.write_text(proposed.text, encoding="utf-8")
    click.echo("\n".join(proposed.sentences))
    if proposed.open_keys:
        click.echo(
            f"{settings} is written, but open: {', '.join(proposed.open_keys)}; fill in what is marked OPEN, "
            "then run `elasticity refit`",
            err=True,
        )
    else:
        click.echo(f"written to {settings}; check it, then run `elasticity refit`")


@main.command()
@click.option(
    "--category",
    "categories",
    multiple=True,
    metavar="NAME",
    help="Fit this category, and else only those that gained or lost products; repeatable.",
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

    gc.disable()  # what is imported stays: to look through it for garbage takes a tenth of a refit that fits nothing
    from elasticity_assets.command import runs  # noqa: PLC0415
    from elasticity_assets.command import status as status_of  # noqa: PLC0415
    from elasticity_assets.command.interrupts import interruptible  # noqa: PLC0415
    from elasticity_assets.home import dagster_home  # noqa: PLC0415
    from elasticity_assets.report.files import LATEST  # noqa: PLC0415

    gc.freeze()  # nor is it looked through later
    gc.set_threshold(10_000)  # by the usual, a refit of the sample looks for garbage a thousand times
    gc.enable()

    home, say = dagster_home(), functools.partial(click.echo, err=True)

    def say_interrupted() -> None:
        say(
            "interrupted; what is published stays as it is, and the next `elasticity refit` goes on from here"
        )
        runs.end_own_runs(home)

    refitted = functools.partial(runs.ingest_and_refit, settings, home, categories, full=full, say=say)
    published, failed = interruptible(refitted, say_interrupted)
    if published:
        click.echo(status_of.elasticities_text(settings.published))
        click.echo(status_of.prices_text(settings.published, settings.pricing.objective))
        click.echo(f"tables: {settings.published}")
        click.echo(f"report: {settings.reports / LATEST}")
    _exit_if(failed)


def _departures() -> str:
    """Say of each departure that `simulate` can draw what it is."""
    lines = (f"  {name:<24} {make.__doc__}" for name, make in DEPARTURES.items())
    return "\b\nDepartures:\n" + "\n".join(lines)


@main.command(epilog=_departures())
@click.option("--products", type=click.IntRange(min=1), required=True, help="Products in all.")
@click.option("--weeks", type=click.IntRange(min=1), required=True)
@click.option("--categories", type=click.IntRange(min=1), required=True)
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), required=True, help="A .csv or .parquet file."
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option(
    "--departure",
    type=click.Choice(list(DEPARTURES)),
    metavar="NAME",
    help="How demand departs from the model's; see below.",
)
@click.option(
    "--confounded",
    is_flag=True,
    help="Twin markets, a category each: the same demand under prices that follow it, and under prices that do not, "
    "with costs, and some weeks of random prices.",
)
@click.option(
    "--zones",
    type=click.IntRange(min=2),
    help="Sales in so many zones, with prices and elasticities of their own, and the zone's size.",
)
@click.option(
    "--truth", type=click.Path(dir_okay=False, path_type=Path), help="Write what was drawn to this file, too."
)
def simulate(
    products: int,
    weeks: int,
    categories: int,
    out: Path,
    seed: int,
    departure: str | None,
    confounded: bool,
    zones: int | None,
    truth: Path | None,
) -> None:
    """Write sales drawn from the model, or from demand that departs from it, with known elasticities."""
    from elasticity_assets.command.simulated_sales import write_simulated_sales  # noqa: PLC0415
    from elasticity_assets.inference.simulate import Simulation  # noqa: PLC0415
    from elasticity_assets.inference.twins import Confounding  # noqa: PLC0415

    others = {"--confounded": confounded, "--departure": departure is not None, "--zones": zones is not None}
    given = [option for option, is_given in others.items() if is_given]
    if len(given) > 1:
        raise SettingsError(f"{' and '.join(given)}: give one of them")
    try:
        simulation = Simulation(products=products, weeks=weeks, categories=categories)
        confounding = Confounding() if confounded else None
        n_rows = write_simulated_sales(simulation, seed, out, truth, departure, confounding, zones)
    except ValueError as error:
        raise SettingsError(str(error)) from None
    click.echo(f"{n_rows:,} rows: {out}")


@main.command()
def status() -> None:
    """Show what is fitted, how old it is, which checks failed, and runs that failed, wait or are under way."""
    settings = load_settings()

    from elasticity_assets.command import past_runs  # noqa: PLC0415
    from elasticity_assets.command import status as status_of  # noqa: PLC0415
    from elasticity_assets.home import dagster_home  # noqa: PLC0415
    from elasticity_assets.published.integrity import what_was_changed  # noqa: PLC0415
    from elasticity_assets.warehouse.damage import DamagedFileError  # noqa: PLC0415

    home, now = dagster_home(), utc_now()
    if not settings.published.exists():
        click.echo(f"nothing is published yet at {settings.published}; run `elasticity refit`")
    else:
        click.echo(status_of.fits_text(settings.published, status_of.kept_refits(settings)))
    checks: list[status_of.FailedCheck] | None = []
    wrong: list[str] = []
    try:
        with status_of.reading(settings) as connection:
            checks = status_of.failed_checks(connection) if connection else None
            if connection and settings.published.exists():
                changed = what_was_changed(settings.published, connection)
                wrong += [changed] if changed else []
    except status_of.BeingWrittenError as error:
        click.echo(f"checks: {error}")
    except DamagedFileError as error:
        wrong.append(str(error))
    else:
        for check in checks or []:
            click.echo(check.line(now), err=check.severity == "error")
        if not checks:
            click.echo("no check was made yet" if checks is None else "no check failed")
    runs = past_runs.worth_showing(past_runs.last_runs(home))
    failed = [run.run_id for run in runs if past_runs.state_of(run) == "failed"]
    why = past_runs.reasons(home, failed) if failed else {}
    for run in runs:
        if past_runs.state_of(run) == "vanished" and (step := past_runs.last_step(home, run.run_id)):
            why[run.run_id] = step
    for line in status_of.runs_text(runs, why, now):
        click.echo(line, err=bool(failed))
    _exit_if(wrong)
    if failed or any(check.severity == "error" for check in checks or []):
        sys.exit(1)


@main.command()
@click.option("--port", type=click.IntRange(1, 65535), default=8501, show_default=True)
@click.option(
    "--address",
    default="127.0.0.1",
    show_default=True,
    help="Address of this machine to serve; whoever reaches it sees what is published, without a password.",
)
def app(port: int, address: str) -> None:
    """Serve the page for pricing teams: prices to change, products, what-ifs; until Ctrl-C."""
    settings = load_settings()

    from elasticity_assets.app.published_file import NothingPublishedError  # noqa: PLC0415
    from elasticity_assets.app.serve import serve  # noqa: PLC0415

    try:
        serve(settings, port, address, functools.partial(click.echo, err=True))
    except NothingPublishedError as error:
        _exit_if([str(error)])


@main.command()
@click.argument("refit_id")
def rollback(refit_id: str) -> None:
    """Publish the tables of an earlier refit again, REFIT_ID, one of the last `keep`.

    The next refit publishes anew: turn the schedule and the sensor off until what was wrong is mended.
    """
    settings = load_settings()

    from elasticity_assets.published.publish import PublishError, UnknownRefitError, publish_again  # noqa: PLC0415
    from elasticity_assets.report.files import LATEST, show_again  # noqa: PLC0415
    from elasticity_assets.warehouse.of_settings import warehouse_of  # noqa: PLC0415

    try:
        publish_again(
            warehouse_of(settings),
            settings.published,
            refit_id,
            functools.partial(click.echo, err=True),
            mode=settings.published_mode,
        )
    except UnknownRefitError as error:
        raise SettingsError(f"REFIT_ID: {error}") from None
    except PublishError as error:
        _exit_if([str(error)])
    click.echo(f"tables of refit {refit_id}: {settings.published}")
    if show_again(settings.reports, refit_id):
        click.echo(f"report: {settings.reports / LATEST}")


def _with_sales(settings: Settings, more: Sequence[str]) -> Settings:
    """Add sales files named on the command line, relative to where it was typed."""
    from elasticity_assets.ingestion import find_files  # noqa: PLC0415

    paths = [str(Path(path).absolute()) for path in more]
    try:
        found = find_files(paths)
    except SettingsError as error:
        raise SettingsError(f"--sales: {str(error).removeprefix('sales.path: ')}") from None
    sales = settings.sales.model_copy(
        update={
            "path": [*settings.sales.path, *paths],
            "roots": [*settings.sales.roots, *found],  # who types a path may read it
        }
    )
    return settings.model_copy(update={"sales": sales})


def _is_of_the_world(error: Exception) -> bool:
    """Whether it comes from files, servers or locks, and not from a mistake in the program."""
    import duckdb  # noqa: PLC0415

    from elasticity_assets.command.run_history import RunHistoryError  # noqa: PLC0415
    from elasticity_assets.warehouse.damage import DamagedFileError  # noqa: PLC0415
    from elasticity_assets.warehouse.file import WarehouseError  # noqa: PLC0415
    from elasticity_assets.warehouse.run_lock import RunLockError  # noqa: PLC0415

    known = DamagedFileError | OSError | duckdb.Error | RunHistoryError | RunLockError | WarehouseError
    return isinstance(error, known)


def _what_to_do(error: OSError) -> str:
    """Say in one line which file the system refused, and what helps."""
    if error.filename is None or error.strerror is None:
        return in_one_line(error)
    helps = {
        errno.EACCES: "make it readable and writable for this user, or name another place in the settings",
        errno.EPERM: "make it writable for this user, or name another place in the settings",
        errno.EROFS: "the disk is read-only; name another place in the settings",
        errno.ENOSPC: "the disk is full; free some of it and run again",
        errno.ENOTDIR: "a part of that path is a file; name another place in the settings",
        errno.EISDIR: "it is a folder; name a file",
    }
    refusal = f"{error.filename}: {error.strerror.lower()}"
    return in_one_line("; ".join([refusal, *([helps[error.errno]] if error.errno in helps else [])]))


def _exit_if(failed: Sequence[str]) -> None:
    for line in failed:
        click.echo(line, err=True)
    if failed:
        sys.exit(1)
