"""What the page says where the published file cannot be shown."""

from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

from elasticity_assets.app import drawing
from elasticity_assets.app.published_file import REFIT, NothingPublishedError, PublishedFile
from elasticity_assets.warehouse.damage import DamagedFileError


@contextmanager
def unreadable_told(file: PublishedFile) -> Iterator[None]:
    """Say on the page why the file cannot be read, and go on after the block."""
    try:
        yield
    except (NothingPublishedError, DamagedFileError) as error:
        drawing.paragraph(error, "warn")
    except duckdb.Error as error:
        why = str(error).partition("\n")[0]
        drawing.paragraph(
            f"{file.path} cannot be shown: {why}. Where an earlier version published it, {REFIT}.", "warn"
        )
