"""The published file: built aside from the warehouse, checked, and moved over the old one in one step.

A reader never blocks a refit, a refit never blocks a reader, and no reader sees half a refit: whoever has
the file open keeps the old tables until all connections of that process are closed.
"""

import glob
import platform
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb

from elasticity_assets.atomic_write import move_over
from elasticity_assets.published.integrity import write_ahead_log
from elasticity_assets.published.price_scenarios import select_scenarios
from elasticity_assets.published.tables import MACRO_COMMENT, published_tables
from elasticity_assets.settings import database_name
from elasticity_assets.warehouse.connect import connect
from elasticity_assets.warehouse.file import Say, Warehouse
from elasticity_assets.warehouse.kept import DamagedCopyError, archive, file_hash, refit_numbers
from elasticity_assets.warehouse.private import PRIVATE
from elasticity_assets.warehouse.sales_tables import PRODUCTS, weekly_sales
from elasticity_assets.warehouse.schema import (
    Table,
    columns_there,
    comment_statements,
    create_table,
    qualified,
    typed_columns,
)
from elasticity_assets.warehouse.sql import quoted, statement
from elasticity_assets.warehouse.tables import (
    CATEGORY_ELASTICITY,
    CATEGORY_MOVE_ELASTICITY,
    CAUSAL_EVIDENCE,
    CONTROL_EFFECT,
    CROSS_ELASTICITY,
    ELASTICITY_HISTORY,
    FIT_DIAGNOSTICS,
    HELDOUT_SCORES,
    PRICE_SCENARIOS,
    PRODUCT_ELASTICITY,
    PROMOTION_ELASTICITY,
    RECOMMENDED_PRICES,
    RECOMMENDED_TESTS,
    REFITS,
    UNIFORM_PRICING,
    WITH_ATTRIBUTES,
    ZONE_ELASTICITY,
)
from elasticity_assets.words import in_one_line, latest_today, memory_ran_out

PACKAGES = ("elasticity_assets", "dagster", "duckdb", "jax", "numpyro", "optax", "numpy", "scipy")
"""Packages whose versions `refits` names, beside Python's."""

STORAGE_VERSION = "v1.2.0"
"""The published file's format: clients from DuckDB 1.2 on read it."""

BATCH_ROWS = 2_000_000
"""Rows of `weekly_sales` that are sorted and copied at once: all of them need not fit in memory."""

WRITTEN_BY_CATEGORY = (
    PRODUCT_ELASTICITY,
    ZONE_ELASTICITY,
    CATEGORY_MOVE_ELASTICITY,
    CROSS_ELASTICITY,
    CATEGORY_ELASTICITY,
    CONTROL_EFFECT,
    FIT_DIAGNOSTICS,
    HELDOUT_SCORES,
    CAUSAL_EVIDENCE,
    PRICE_SCENARIOS,
    PROMOTION_ELASTICITY,
    RECOMMENDED_PRICES,
    UNIFORM_PRICING,
    RECOMMENDED_TESTS,
)
"""Tables whose keys are checked; those of `weekly_sales` are a GROUP BY's."""


class PublishError(Exception):
    """The tables were not published; the published file is as it was. Told in one line."""


class UnknownRefitError(PublishError):
    """That refit is not among those kept."""


class TablesDisagreeError(PublishError):
    """The new file does not stand its checks."""

    def __init__(self, published: Path, problems: Sequence[str]) -> None:
        more = f"; and {len(problems) - 3} more" if len(problems) > 3 else ""
        super().__init__(f"{published} stays as it was: {'; '.join(problems[:3])}{more}")
        self.problems = tuple(problems)


@dataclass(frozen=True)
class Refit:
    """One publication.

    Attributes
    ----------
    refit_id : str
        Names it, and its files: letters, digits, `-` and `_`.
    began : datetime
        When the refit began, with its time zone.
    fitted : mapping of str to int
        Number of products of every category that was pooled.
    failed : sequence of str
        Categories whose fit failed: they keep their last rows, flagged as old.
    """

    refit_id: str
    began: datetime
    fitted: Mapping[str, int]
    failed: Sequence[str] = ()


def publish(
    warehouse: Warehouse,
    published: Path,
    refit: Refit,
    *,
    controls: Sequence[str] = (),
    keep: int = 8,
    mode: int = 0o444,
) -> dict[str, int]:
    """Publish the warehouse's tables.

    Publishing the same refit again replaces its rows in `elasticity_history` and `refits`.

    Parameters
    ----------
    warehouse : Warehouse
        Nobody may hold a connection of this thread to it.
    published : Path
        The file that analysts read. The macro names its database, as DuckDB does after the file.
    refit : Refit
    controls : sequence of str
        Control columns of `weekly_sales`.
    keep : int
        How many refits stay to be published again.
    mode : int
        The published file's: nobody is to write to it.

    Returns
    -------
    dict of str to int
        Number of rows by published table.

    Raises
    ------
    PublishError
        If a check fails (TablesDisagreeError) or a file cannot be written.
    RunLockError
        If another run has the warehouse.
    """
    if not refit.refit_id.replace("-", "").replace("_", "").isalnum():
        raise PublishError(
            f"refit_id {refit.refit_id!r} does not fit a file's name; use letters, digits, - and _"
        )
    with warehouse.run_lock():
        new = _beside(published, refit.refit_id)
        published.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(published)
        with _stays_as_it_was(published):
            values = _refit_values(refit)
            with warehouse.read() as connection, PRIVATE:  # until it is published
                connection.execute(statement("this_refit", row=statement("row_of_refit")), values)
                row_counts = _build(new, database_name(published), connection, controls)
            if problems := _problems(new, database_name(published), refit, warehouse.memory_bytes):
                raise TablesDisagreeError(published, problems)
            warehouse.keep_refit(new, published, refit.refit_id)
            _record(warehouse, refit.refit_id, {**values, "file_hash": file_hash(new)})
            _move(new, published, mode)
        warehouse.forget_refits(published, keep)
        warehouse.keep_copy()
    return row_counts


def publish_again(
    warehouse: Warehouse, published: Path, refit_id: str, say: Say = lambda line: None, *, mode: int = 0o444
) -> None:
    """Publish the tables of one of the kept refits; the next refit publishes anew.

    A file's were kept as a copy; a DuckLake shows its tables as they were.

    Parameters
    ----------
    warehouse : Warehouse
    published : Path
    refit_id : str
    say : callable, optional
        Told who has the warehouse, if that must be waited for.
    mode : int
        The published file's.

    Raises
    ------
    UnknownRefitError
        If that refit is not kept.
    PublishError
        If it cannot be read or put there.
    RunLockError
        If a run has the warehouse.
    """
    _check_kept(warehouse, published, refit_id)  # before a run is waited for
    with warehouse.run_lock(say), _stays_as_it_was(published):
        _check_kept(warehouse, published, refit_id)
        new = _beside(published, refit_id)

        def build(connection: duckdb.DuckDBPyConnection) -> None:
            connection.execute(statement("this_refit", row=statement("refit")), {"refit_id": refit_id})
            with PRIVATE:
                _build(new, database_name(published), connection, _controls(connection))

        warehouse.restore_refit(refit_id, published, new, build)
        with connect(new, read_only=True) as connection:
            refit_numbers(connection)  # or it is no file of ours
        values = {"refit_id": refit_id, "file_hash": file_hash(new)}
        warehouse.in_transaction(lambda connection: connection.execute(statement("set_file_hash"), values))
        _move(new, published, mode)


def _check_kept(warehouse: Warehouse, published: Path, refit_id: str) -> None:
    kept = warehouse.refits(published)
    if refit_id not in kept:
        known = f"kept are, newest first: {', '.join(kept)}" if kept else "none is kept"
        raise UnknownRefitError(f"no tables of refit {refit_id!r}; {known}")


@contextmanager
def _stays_as_it_was(published: Path) -> Iterator[None]:
    """Tell in one line what keeps a new file from being published, and leave nothing of it."""
    try:
        yield
    except (DamagedCopyError, duckdb.Error, OSError) as error:
        why = memory_ran_out(type(error).__name__, str(error)) or in_one_line(error)
        raise PublishError(f"{published} stays as it was: {why}") from error
    finally:
        _remove_leftovers(published)


def last_categories(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Categories that the last refit published, sorted; none before the first."""
    return [category for (category,) in connection.execute(statement("last_categories")).fetchall()]


def _build(
    new: Path, database: str, connection: duckdb.DuckDBPyConnection, controls: Sequence[str]
) -> dict[str, int]:
    """Write the new file from the warehouse's tables and `this_refit`, a row of `refits`; return its row counts."""
    name = quoted(database)
    new.unlink(missing_ok=True)
    connection.execute(
        statement(
            "attach_new_file", file=quoted(str(new), "'"), database=name, version=quoted(STORAGE_VERSION, "'")
        )
    )
    connection.execute("BEGIN")  # one commit, not one for each comment
    try:
        present = columns_there(connection)
        attributes = _attributes(connection, present)
        tables = published_tables(controls, attributes)
        row_counts = dict.fromkeys((table.name for table in tables), 0)
        for table in tables:
            connection.execute(create_table(table, database))
            for source in _sources(table, attributes, exists=table.name in present):
                row_counts[table.name] += _copy(connection, table, database, source)
            for comment in comment_statements(table, database):
                connection.execute(comment)
        scenarios = select_scenarios(statement("asked_price_change"), database)
        connection.execute(statement("create_macro", database=name, scenarios=scenarios))
        connection.execute(statement("comment_on_macro", database=name, comment=quoted(MACRO_COMMENT, "'")))
        connection.execute("COMMIT")
        connection.execute(statement("checkpoint", database=name))
    except BaseException:
        with suppress(duckdb.Error):
            connection.execute("ROLLBACK")
        raise
    finally:
        connection.execute(statement("detach", database=name))
    return row_counts


def _copy(connection: duckdb.DuckDBPyConnection, table: Table, database: str, source: str) -> int:
    """Copy rows into a table of the new file, in the order of its key; return how many."""
    copy = statement(
        "copy_table",
        target=qualified(table, database),
        columns=typed_columns(table),
        source=source,
        key=", ".join(map(quoted, table.key)) or "1",
    )
    batches: list[dict[str, object]] = [{}]
    if table.name == weekly_sales().name:
        connection.execute(statement("make_batches"), {"rows": BATCH_ROWS})
        batches = [{"batch": number} for (number,) in connection.execute(statement("batches")).fetchall()]
    return sum(connection.execute(copy, batch).fetchall()[0][0] for batch in batches)


def _controls(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Control columns of the warehouse's `weekly_sales`."""
    plain = {column.name for column in weekly_sales().columns}
    return [name for name in columns_there(connection)[weekly_sales().name] if name not in plain]


def _attributes(connection: duckdb.DuckDBPyConnection, present: Mapping[str, Sequence[str]]) -> list[str]:
    """Names of the attributes that the warehouse has of its products; a snapshot of an earlier version has none."""
    if "attributes" not in present.get(PRODUCTS.name, ()):
        return []
    found = connection.execute(statement("names_of_attributes")).fetchone()
    return found[0] if found else []


def _sources(table: Table, attributes: Sequence[str], *, exists: bool) -> list[str]:
    """List what the published table is copied from: tables, or queries in brackets."""
    own = [qualified(table)] if exists else []  # a snapshot of an earlier version has fewer tables
    earlier = [f"({statement('earlier_refits', table=name)})" for name in own]
    if table.name == REFITS.name:
        return [*earlier, "this_refit"]
    if table.name == ELASTICITY_HISTORY.name:
        return [*earlier, f"({statement('history_of_refit')})"]
    if table.name in (PRODUCT_ELASTICITY.name, ZONE_ELASTICITY.name, PROMOTION_ELASTICITY.name):
        own = [f"({statement('flag_old_fits', table=name)})" for name in own]
    if table.name == weekly_sales().name:
        own = [f"({statement('weekly_sales_of_batch', table=name)})" for name in own]
    if attributes and table.name in {of.name for of in WITH_ATTRIBUTES}:
        columns = "".join(
            f", map_extract(a.attributes, {of})[1] AS {quoted(name)}"
            for name, of in ((name, quoted(name, "'")) for name in attributes)
        )
        own = [f"({statement('with_attributes', table=name, columns=columns)})" for name in own]
    return own


def _refit_values(refit: Refit) -> dict[str, object]:
    """Parameters of the statement row_of_refit."""
    versions = {"python": platform.python_version()} | {package: version(package) for package in PACKAGES}
    return {
        "refit_id": refit.refit_id,
        "refitted_at": refit.began.astimezone(UTC).replace(tzinfo=None),
        "seconds": (datetime.now(UTC) - refit.began).total_seconds(),
        "failed": sorted(refit.failed),
        "packages": list(versions),
        "versions": list(versions.values()),
        "file_hash": None,  # until the file is there
    }


def _problems(new: Path, database: str, refit: Refit, memory_bytes: int) -> list[str]:
    """Reasons not to publish the new file, as it stands on disk."""
    with (
        TemporaryDirectory(prefix="elasticity_checks.") as spills,
        connect(memory_limit=f"{memory_bytes}B", temp_directory=spills) as connection,
    ):
        connection.execute(
            statement("attach_read_only", file=quoted(str(new), "'"), database=quoted(database))
        )
        connection.execute(statement("use_database", database=quoted(database)))
        problems = []
        for table in WRITTEN_BY_CATEGORY:
            key = ", ".join(map(quoted, table.key))
            repeated = statement("repeated_keys", table=qualified(table), key=key)
            (count,) = connection.execute(repeated).fetchall()[0]
            if count:
                problems.append(
                    f"{table.name} has {count} rows too many for its key ({', '.join(table.key)})"
                )
        contract = statement("weekly_contract", sales=weekly_sales().name, zone="")
        problems += [
            f"weekly_sales has {fault}: {count} rows, such as {example!r}"
            for fault, count, example in connection.execute(contract, {"today": latest_today()}).fetchall()
        ]
        values = {
            "refit_id": refit.refit_id,
            "fitted": list(refit.fitted),
            "n_products": list(refit.fitted.values()),
            "failed": list(refit.failed),
        }
        problems += [
            problem
            for (problem,) in connection.execute(statement("reasons_not_to_publish"), values).fetchall()
        ]
    return problems


def _record(warehouse: Warehouse, refit_id: str, values: Mapping[str, object]) -> None:
    """Append the refit to the warehouse's history, so that the next publication holds it too."""

    def record(connection: duckdb.DuckDBPyConnection) -> None:
        connection.execute(statement("this_refit", row=statement("row_of_refit")), values)
        for table, source in (
            (REFITS, "this_refit"),
            (ELASTICITY_HISTORY, f"({statement('history_of_refit')})"),
        ):
            name, columns = qualified(table), typed_columns(table)
            connection.execute(statement("delete_refit", table=name), {"refit_id": refit_id})
            connection.execute(statement("insert_rows", table=name, columns=columns, source=source))
        warehouse.name_refit(connection, refit_id)

    warehouse.in_transaction(record)


def _beside(published: Path, refit_id: str) -> Path:
    """Where a refit's file is built, until it is moved."""
    return published.with_name(f".{published.name}.{refit_id}.tmp")


def _move(new: Path, target: Path, mode: int) -> None:
    """Put a file in another's place in one step that survives a power cut."""
    new.chmod(mode)
    # Of somebody who opened the old file for writing; readers would replay it into the new one.
    write_ahead_log(target).unlink(missing_ok=True)
    move_over(new, target)
    write_ahead_log(target).unlink(missing_ok=True)  # of what was written meanwhile


def _remove_leftovers(published: Path) -> None:
    """Remove half-written files, of this publication or of one that was killed."""
    for folder, pattern in (
        (published.parent, f".{glob.escape(published.name)}.*.tmp*"),
        (archive(published), ".*.tmp"),
    ):
        for file in folder.glob(pattern):
            file.unlink(missing_ok=True)
