"""Simulated sales as files: one category drawn and written at a time, so that any size fits in memory."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import pandas as pd

from elasticity_assets.atomic_write import atomic_write
from elasticity_assets.inference.departures import simulate_departure
from elasticity_assets.inference.simulate import Simulation, Truth, simulate_categories
from elasticity_assets.inference.simulate_zones import simulate_zoned_categories
from elasticity_assets.inference.twins import Confounding, simulate_twins
from elasticity_assets.warehouse.connect import connect
from elasticity_assets.warehouse.sql import quoted, statement

SUFFIXES = (".csv", ".parquet")


def write_simulated_sales(
    simulation: Simulation,
    seed: int,
    out: Path,
    truth: Path | None = None,
    departure: str | None = None,
    confounding: Confounding | None = None,
    zones: int | None = None,
) -> int:
    """Draw sales and write them to a file.

    Parameters
    ----------
    simulation : Simulation
    seed : int
    out : Path
        A .csv or .parquet file: category, product, week, units, price; of zones, zone and size too.
    truth : Path, optional
        A .csv or .parquet file for what was drawn: category, product, elasticity, level, dispersion and
        category_elasticity; of a departure, as `simulate_departure` has it, of twins, as `simulate_twins` has it,
        of zones, as `simulate_zoned_categories` has it.
    departure : str, optional
        How demand departs from the model's: one of `departures.DEPARTURES`.
    confounding : Confounding, optional
        Draw twin markets instead, whose prices follow demand, and do not.
    zones : int, optional
        Draw sales in so many zones instead.

    Returns
    -------
    int
        Rows of sales.

    Raises
    ------
    ValueError
        If a file's name ends otherwise, or its folder is missing.
    """
    n_rows = 0
    with ExitStack() as stack:
        sales_writer = stack.enter_context(_writer(out))
        truth_writer = stack.enter_context(_writer(truth)) if truth else None
        for rows, drawn in _categories(simulation, seed, departure, confounding, zones):
            sales_writer.write(rows)
            n_rows += len(rows)
            if truth_writer:
                truth_writer.write(drawn)
    return n_rows


def _categories(
    simulation: Simulation,
    seed: int,
    departure: str | None,
    confounding: Confounding | None,
    zones: int | None,
) -> Iterator[tuple[pd.DataFrame, pd.DataFrame]]:
    """Draw one category's sales, and what they were drawn from, after the other."""
    if confounding is not None:
        for sales, truth in simulate_twins(simulation, confounding, seed):
            yield pd.DataFrame(sales), pd.DataFrame(truth)
    elif zones is not None:
        for sales, truth in simulate_zoned_categories(simulation, zones, seed):
            yield pd.DataFrame(sales), pd.DataFrame(truth)
    elif departure is None:
        for sales, drawn in simulate_categories(simulation, seed):
            yield pd.DataFrame(sales), _truth_table(drawn)
    else:
        for sales, truth in simulate_departure(simulation, departure, seed):
            yield pd.DataFrame(sales), pd.DataFrame(truth)


def _truth_table(drawn: Truth) -> pd.DataFrame:
    by_category = dict(zip(drawn.category_name, drawn.category_elasticity, strict=True))
    return pd.DataFrame(
        {
            "category": drawn.category,
            "product": drawn.product,
            "elasticity": drawn.elasticity,
            "level": drawn.level,
            "dispersion": drawn.dispersion,
            "category_elasticity": [by_category[name] for name in drawn.category],
        }
    )


class _Writer:
    """Collects rows in a DuckDB file among the temporary ones, and writes them out at the end."""

    def __init__(self, connection: duckdb.DuckDBPyConnection):
        self._connection, self._begun = connection, False

    def write(self, rows: pd.DataFrame) -> None:
        """Add rows; all have the columns of the first."""
        self._connection.register("rows", rows)
        self._connection.execute(statement("add_rows" if self._begun else "first_rows"))
        if not self._begun and "week" in rows:  # pandas knows times only
            self._connection.execute(statement("weeks_are_dates"))
        self._begun = True

    def copy_to(self, file: Path, kind: str) -> None:
        """Write all rows to a file of this kind, 'csv' or 'parquet'."""
        self._connection.execute(statement(f"write_{kind}", file=quoted(str(file), "'")))


@contextmanager
def _writer(file: Path) -> Iterator[_Writer]:
    """Write beside the file, and move it there once all is written."""
    if file.suffix not in SUFFIXES:
        raise ValueError(f"{file}: the name must end in {' or '.join(SUFFIXES)}")
    if not file.parent.is_dir():
        raise ValueError(f"{file}: there is no folder {file.parent}; make it, or name another file")
    with (
        TemporaryDirectory(prefix="elasticity_simulation.") as folder,
        atomic_write(file) as beside,
        connect(Path(folder) / "rows.duckdb") as connection,
    ):
        writer = _Writer(connection)
        yield writer
        writer.copy_to(beside, file.suffix.removeprefix("."))
