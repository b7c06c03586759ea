"""Simulated sales as files: one category drawn and written at a time, so that any size fits in memory."""

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from elasticity_assets.atomic_write import atomic_write
from elasticity_assets.inference.simulate import Simulation, Truth, simulate_categories

SUFFIXES = (".csv", ".parquet")


def write_simulated_sales(simulation: Simulation, seed: int, out: Path, truth: Path | None = None) -> int:
    """Draw sales and write them to a file.

    Parameters
    ----------
    simulation : Simulation
    seed : int
    out : Path
        A .csv or .parquet file: category, product, week, units, price.
    truth : Path, optional
        A .csv or .parquet file for what was drawn: category, product, elasticity, level, dispersion and
        category_elasticity.

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
        for sales, drawn in simulate_categories(simulation, seed):
            table = pa.table(sales)
            sales_writer.write(table)
            n_rows += table.num_rows
            if truth_writer:
                truth_writer.write(_truth_table(drawn))
    return n_rows


def _truth_table(drawn: Truth) -> pa.Table:
    by_category = dict(zip(drawn.category_name, drawn.category_elasticity, strict=True))
    return pa.table(
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
    """Writes tables of one schema to a CSV or Parquet file."""

    def __init__(self, file: Path, kind: str):
        self._file, self._kind = file, kind
        self._writer: pyarrow.csv.CSVWriter | pyarrow.parquet.ParquetWriter | None = None

    def write(self, table: pa.Table) -> None:
        if self._writer is None:
            open_ = pyarrow.csv.CSVWriter if self._kind == ".csv" else pyarrow.parquet.ParquetWriter
            self._writer = open_(str(self._file), table.schema)
        self._writer.write_table(table)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()


@contextmanager
def _writer(file: Path) -> Iterator[_Writer]:
    """Write beside the file, and move it there once all is written."""
    if file.suffix not in SUFFIXES:
        raise ValueError(f"{file}: the name must end in {' or '.join(SUFFIXES)}")
    if not file.parent.is_dir():
        raise ValueError(f"{file}: there is no folder {file.parent}; make it, or name another file")
    with atomic_write(file) as beside, closing(_Writer(beside, file.suffix)) as writer:
        yield writer
