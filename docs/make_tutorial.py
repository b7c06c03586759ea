"""Run docs/tutorial.md and write what its commands print into it: python docs/make_tutorial.py.

Blocks of `console` hold commands after `$` and their output, blocks of `sql` a query of the published file, whose
result the block of `text` after it holds. All run in a folder of their own with a copy of the sample.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import duckdb

ROOT = Path(__file__).parents[1]
TUTORIAL = ROOT / "docs" / "tutorial.md"
SHOWN_AS = "/home/you/elasticity_assets"
"""What the folder is called in the tutorial."""


def sample_project(folder: Path) -> Path:
    """Copy what a clone has: the sample and its settings."""
    shutil.copytree(ROOT / "data" / "sample", folder / "data" / "sample")
    shutil.copy(ROOT / "elasticity.yaml", folder)
    return folder


def carried_out(text: str, project: Path) -> str:
    """Return the tutorial with what its commands and queries print now.

    Parameters
    ----------
    text : str
        Of the tutorial.
    project : Path
        Where it begins, as from `sample_project`.
    """
    here, parts, query = project, [], ""
    for part in re.split(r"(```\w+\n.*?```)", text, flags=re.DOTALL):
        language, _, body = part.removeprefix("```").removesuffix("```").partition("\n")
        if not part.startswith("```"):
            new = part
        elif language == "console":
            lines = []
            for command in re.findall(r"^\$ (.*)$", body, re.MULTILINE):
                lines.append(f"$ {command}")
                if command.startswith("cd "):
                    here = (here / command.removeprefix("cd ")).resolve()
                else:
                    lines += _printed(command, here).replace(str(project), SHOWN_AS).splitlines()
            new = "```console\n" + "".join(f"{line.rstrip()}\n" for line in lines) + "```"
        elif language == "text":
            with duckdb.connect(str(here / "data" / "elasticity.duckdb"), read_only=True) as connection:
                connection.execute("SET file_search_path = $folder", {"folder": str(here)})
                # DuckDB's tables end each row with a blank or two that Git would complain of.
                result = "\n".join(line.rstrip() for line in str(connection.sql(query)).strip().splitlines())
            new = f"```text\n{result}\n```"
        else:
            query, new = (body if language == "sql" else query), part
        parts.append(new)
    return "".join(parts)


def _printed(command: str, folder: Path) -> str:
    """All that a command prints, errors too."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ELASTICITY_")}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment.pop("DAGSTER_HOME", None)
    ran = subprocess.run(  # noqa: S603 what is in the tutorial
        ["/bin/sh", "-c", command],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return ran.stdout


def main() -> None:
    """Write the tutorial anew."""
    with tempfile.TemporaryDirectory() as folder:
        project = sample_project(Path(folder).resolve() / "elasticity_assets")
        TUTORIAL.write_text(carried_out(TUTORIAL.read_text(encoding="utf-8"), project), encoding="utf-8")


if __name__ == "__main__":
    main()
