"""What is published, how old it is, which checks failed, and which runs did, wait or are under way.

Imports neither Dagster nor pandas: they would take longer than the answer.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

import duckdb
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_fixed

from elasticity_assets.command.past_runs import Run, state_of
from elasticity_assets.published.integrity import reading_published
from elasticity_assets.settings import Settings
from elasticity_assets.warehouse.connect import connect
from elasticity_assets.warehouse.damage import (
    NOT_THERE,
    DamagedFileError,
    damage_told,
    last_copy,
    read_all,
    way_back,
)
from elasticity_assets.warehouse.held import NoLocksError, has_no_locks, holder, is_held
from elasticity_assets.warehouse.kept import archive, kept_files, refit_numbers
from elasticity_assets.warehouse.sql import statement
from elasticity_assets.words import in_one_line, shown, utc_now

_MOST_PRICES = 5
_NOT_ESTIMATED = "not estimated"
_MOST_SHOWN = 5  # categories of one check
_WIDEST = 60  # characters of a name in a table
_SECONDS_TO_OPEN = 10.0


def table_text(header: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """Lay rows out in columns, text to the left and the rest to the right."""
    lines = [[str(value) for value in header]]
    texts = [True] * len(lines[0])
    for row in rows:
        values = list(row)
        texts = [text and isinstance(value, str) for text, value in zip(texts, values, strict=True)]
        lines.append([_cell(value) for value in values])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            value.ljust(width) if text else value.rjust(width)
            for value, width, text in zip(line, widths, texts, strict=True)
        ).rstrip()
        for line in lines
    )


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.2f}"
    return shown(str(value), _WIDEST)


def elasticities_text(published: Path) -> str:
    """Give the categories' elasticities, and the global one, as a table of text."""
    with reading_published(published) as connection:
        select = statement("published_elasticities", categories=statement("published_categories"))
        found = connection.execute(select).fetchall()
    rows = [
        (category, products, *((_NOT_ESTIMATED, "", "") if mean is None else (mean, low, high)))
        for category, products, mean, low, high in found
    ]
    return table_text(["category", "products", "elasticity", "q05", "q95"], rows)


def prices_text(published: Path, objective: str) -> str:
    """Give how many prices are recommended to change, and the changes that bring most, as text.

    Parameters
    ----------
    published : Path
    objective : str
        What they are to bring: `pricing.objective` of the settings.
    """
    with reading_published(published) as connection:
        asked = {"objective": objective, "most": _MOST_PRICES}
        found = connection.execute(statement("recommended_changes"), asked).fetchall()
        actions = dict(connection.execute(statement("recommended_actions")).fetchall())
    told = "recommended prices: " + ", ".join(
        f"{actions.get(action, 0):,} to {action}" for action in ("raise", "lower", "keep")
    )
    if not found:
        return told
    columns = ["category", "product", "price", "recommended", "gain", "in", "probability"]
    return f"{told}; those that bring most a period:\n{table_text(columns, found)}"


def fits_text(published: Path, kept: Sequence[str]) -> str:
    """Give each category's fit and its age, and the last refit, as text.

    Parameters
    ----------
    published : Path
    kept : sequence of str
        Refits that can be published again, the newest first.
    """
    with reading_published(published) as connection:
        refits, categories = statement("numbered_refits"), statement("published_categories")
        fits = connection.execute(
            statement("published_fits", refits=refits, categories=categories)
        ).fetchall()
        last = connection.execute(statement("last_refit", refits=refits)).fetchone()
    now = utc_now()
    rows = [
        (
            name,
            products,
            _NOT_ESTIMATED if mean is None else mean,
            age(now, fitted_at),
            engine,
            "yes" if converged else "no",
            "old" if old else "",
        )
        for name, products, mean, fitted_at, engine, converged, old in fits
    ]
    text = table_text(["category", "products", "elasticity", "fitted", "engine", "converged", "note"], rows)
    if last is None:
        return text
    refit_id, refitted_at, rows_in, rows_used, rows_rejected, failed = last
    lines = [
        text,
        f"last refit {refit_id}, {age(now, refitted_at)}: {rows_in:,} rows in, {rows_used:,} used, "
        f"{rows_rejected:,} rejected",
    ]
    if kept and kept[0] != refit_id:
        lines.append(f"newer, and not what is published: refit {kept[0]}")
    lines.append(f"kept for rollback: {', '.join(kept) or 'none'}")
    if failed:
        lines.append(f"not refitted: {', '.join(map(repr, failed))}")
    return "\n".join(lines)


def age(now: datetime, then: datetime) -> str:
    """Say how long ago something was, in its largest whole unit."""
    seconds = max((now - then).total_seconds(), 0.0)
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= length:
            n = int(seconds // length)
            return f"{n} {unit}{'s' if n > 1 else ''} ago"
    return "just now"


@dataclass(frozen=True)
class FailedCheck:
    """A check whose last result was negative: of everything, or of some categories.

    Attributes
    ----------
    check, asset, severity : str
        Severity is 'error' or 'warning'.
    categories, messages : list of str
        What was found in each category; of a check of everything, one category of no name.
    since : datetime
        When the oldest of these results was found; naive, in UTC.
    """

    check: str
    asset: str
    severity: str
    categories: list[str]
    messages: list[str]
    since: datetime

    def line(self, now: datetime) -> str:
        """Say in one line what was found, and how long ago."""
        found = [
            f"{category!r} {message}" if category else message
            for category, message in zip(self.categories, self.messages, strict=True)
        ]
        more = [f"and {len(found) - _MOST_SHOWN} more"] if len(found) > _MOST_SHOWN else []
        text = in_one_line("; ".join([*found[:_MOST_SHOWN], *more]))
        return f"{self.severity}: check {self.check} of {self.asset}, {age(now, self.since)}: {text}"


def failed_checks(connection: duckdb.DuckDBPyConnection) -> list[FailedCheck] | None:
    """Find the checks whose last result was negative, of any category, errors before warnings.

    Parameters
    ----------
    connection : duckdb connection
        To the warehouse.

    Returns
    -------
    list of FailedCheck, or None where no check was ever made
    """
    try:
        (last,) = connection.execute(statement("last_evaluation")).fetchall()[0]
    except duckdb.CatalogException:
        return None
    if last is None:
        return None
    return [FailedCheck(*row) for row in connection.execute(statement("failed_checks")).fetchall()]


class BeingWrittenError(Exception):
    """Another process writes the warehouse, said in one line."""


@contextmanager
def reading(settings: Settings) -> Iterator[duckdb.DuckDBPyConnection | None]:
    """Open the warehouse, waiting shortly where a run is writing; None where there is none yet.

    A file is opened without `Warehouse`, and so without Dagster, whose import takes longer than all the rest.

    Raises
    ------
    BeingWrittenError
        If a run writes all the time.
    DamagedFileError, NoLocksError
    """
    if settings.on_ducklake:
        from elasticity_assets.warehouse.of_settings import warehouse_of  # noqa: PLC0415

        with warehouse_of(settings).read() as connection:
            yield connection
        return
    if not settings.warehouse_file.exists():
        if last_copy(settings.warehouse_file).exists():
            raise DamagedFileError(way_back(settings.warehouse_file, NOT_THERE))
        yield None
        return
    tries = Retrying(
        retry=retry_if_exception(is_held),
        wait=wait_fixed(0.1),
        stop=stop_after_delay(_SECONDS_TO_OPEN),
        reraise=True,
    )
    file = settings.warehouse_file
    with damage_told(partial(way_back, file)):
        try:
            opened = tries(connect, file, read_only=True)
        except duckdb.IOException as error:
            if is_held(error):
                raise BeingWrittenError(
                    f"the warehouse is being written by {holder(error)}; for its checks, try again later"
                ) from None
            if has_no_locks(error):
                raise NoLocksError(file) from None
            raise
        with opened as connection:
            read_all(connection)
            yield connection


def kept_refits(settings: Settings) -> list[str]:
    """Refits that can be published again, the newest first."""
    if settings.on_ducklake:
        from elasticity_assets.warehouse.of_settings import warehouse_of  # noqa: PLC0415

        return warehouse_of(settings).refits(settings.published)
    with reading_published(settings.published) as connection:
        numbers = refit_numbers(connection)
    shown = next(reversed(numbers), None)
    for file in archive(settings.published).glob("*.duckdb"):
        if (
            file.stem not in numbers
        ):  # newer, and an earlier one was published again; or of an earlier warehouse
            with suppress(duckdb.Error), connect(file, read_only=True) as connection:
                own = refit_numbers(connection)
                numbers |= own if shown in own else {}
    return [file.stem for file in kept_files(settings.published, numbers)]


def runs_text(runs: Iterable[Run], why: Mapping[str, str], now: datetime) -> list[str]:
    """Say in one line each how runs ended or where they are.

    Parameters
    ----------
    runs : iterable of Run
    why : mapping of run_id to str
        Reasons of failed runs, and the last steps of those whose process has gone.
    now : datetime
    """
    lines = []
    for run in runs:
        state = state_of(run)
        record = "" if run.process_is_known else " by Dagster's record"
        where = f" at {why[run.run_id]}" if run.run_id in why else ""
        how = {
            "queued": f"waits{record}, asked for {age(now, run.since)}",
            "running": f"is under way{record}, started {age(now, run.since)}",
            "vanished": f"started {age(now, run.since)}, and its process has gone{where}; `elasticity refit` starts "
            "anew; if the system ended it for want of memory (its log says so), lower `warehouse_memory` or run on a "
            "machine with more",
            "failed": f"failed {age(now, run.since)}: {why.get(run.run_id, 'see the UI')}",
            "canceled": f"was canceled {age(now, run.since)}",
        }
        if state is not None:
            lines.append(f"run {run.run_id} of {run.job} {how[state]}")
    return lines
