"""Which warehouse the settings name."""

from elasticity_assets.settings import Settings
from elasticity_assets.warehouse.ducklake import DuckLakeWarehouse
from elasticity_assets.warehouse.file import Warehouse


def warehouse_of(settings: Settings, *, locks_runs: bool = True) -> Warehouse:
    """Describe the warehouse that the settings name; nothing is opened.

    Parameters
    ----------
    settings : Settings
    locks_runs : bool
        As of `Warehouse`.
    """
    arrays = settings.arrays_folder.removeprefix("file://")
    folders = [
        str(settings.reports),
        *([] if "://" in arrays else [arrays]),
    ]  # an object store has whole objects
    memory = int(settings.warehouse_memory)
    if settings.on_ducklake:
        return DuckLakeWarehouse(
            path=settings.warehouse,
            files=settings.ducklake_files,
            memory_bytes=memory,
            own_folders=folders,
            locks_runs=locks_runs,
        )
    return Warehouse(path=settings.warehouse, memory_bytes=memory, own_folders=folders, locks_runs=locks_runs)
