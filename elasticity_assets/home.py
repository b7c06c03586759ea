"""DAGSTER_HOME: ./.dagster beside the settings file, for the command, `make demo` and `make dev` alike.

`python -m elasticity_assets.home` creates it and prints where it is.
"""

import os
import shutil
from importlib.resources import as_file, files
from pathlib import Path

from elasticity_assets.atomic_write import atomic_write, remove_unfinished
from elasticity_assets.settings import settings_file

_SECONDS_TO_COPY = 3600.0
"""After that long whoever began to write a file of settings is no more."""


def dagster_home() -> Path:
    """Return the folder of Dagster's instance, creating it with its dagster.yaml where it is missing.

    DAGSTER_HOME wins where it is set.

    Raises
    ------
    OSError
        If it cannot be created or written.
    """
    folder = Path(os.environ.get("DAGSTER_HOME") or settings_file().parent / ".dagster").absolute()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # runs show rows of sales
    if not os.access(folder, os.W_OK):  # SQLite would tell it in a page
        raise PermissionError(f"{folder} cannot be written; make it writable, or set DAGSTER_HOME")
    # Projects may share it, and no lock is held yet.
    remove_unfinished(folder, "dagster.yaml", older_than=_SECONDS_TO_COPY)
    if not (folder / "dagster.yaml").exists():
        template = files("elasticity_assets") / "dagster.yaml"
        with as_file(template) as source, atomic_write(folder / "dagster.yaml") as beside:
            beside.touch(mode=0o600)
            shutil.copyfile(source, beside)
    return folder


if __name__ == "__main__":
    print(dagster_home())
