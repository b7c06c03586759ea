"""One YAML file, read with mistakes told by line and column."""

from pathlib import Path
from typing import Any

import yaml

from elasticity_assets.words import in_one_line

OPEN = "# OPEN:"
"""Begins the comment of a key that has no value yet, as `elasticity init` writes it where a person has to decide."""


class YamlFileError(ValueError):
    """A file is no YAML, or says something twice; told in one line, without the file's name."""


class _Loader(yaml.SafeLoader):
    """Refuses a key that a section has twice: YAML would take the last one in silence."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        lines: dict[Any, int] = {}
        for key_node, _ in node.value:
            line = key_node.start_mark.line + 1
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
            if key is not None and key != "<<" and key in lines:
                raise YamlFileError(
                    f"line {line}: key {key} is there already, on line {lines[key]}; keep one"
                )
            lines[key] = line
        return super().construct_mapping(node, deep=deep)


def read_yaml(file: Path) -> Any:
    """Read a YAML file.

    Parameters
    ----------
    file : Path

    Raises
    ------
    FileNotFoundError
    YamlFileError
        If it cannot be read, is not UTF-8, is no YAML, a section has a key twice, or a key is open.
    """
    try:
        content = file.read_bytes()
        text = content.decode("utf-8")
        read = yaml.load(text, _Loader)  # noqa: S506  (a SafeLoader)
        if OPEN in text and (found := _open_key(yaml.compose(text, yaml.SafeLoader), text.splitlines())):
            raise YamlFileError(found)
        return read
    except FileNotFoundError:
        raise
    except IsADirectoryError:
        raise YamlFileError("is a folder; name the file in it") from None
    except OSError as error:
        raise YamlFileError(f"cannot be read: {error.strerror}; look at its permissions") from None
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise YamlFileError(f"line {line}: cannot be read as UTF-8; save the file as UTF-8") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise YamlFileError(
            f"{place}cannot be read as YAML: {in_one_line(error.problem or error.context)}; "
            "write `key: value`, sections indented by blanks, and text with special signs in quotes"
        ) from None
    except yaml.YAMLError as error:  # a control character
        raise YamlFileError(
            f"cannot be read as YAML: {in_one_line(getattr(error, 'reason', error))}"
        ) from None


def _open_key(node: yaml.Node | None, lines: list[str], path: str = "") -> str | None:
    """Tell of the first key without a value that is marked as open."""
    if not isinstance(node, yaml.MappingNode):
        return None
    for key, value in node.value:
        name = f"{path}{key.value}" if isinstance(key, yaml.ScalarNode) else path
        if isinstance(value, yaml.ScalarNode) and not value.value:
            number = key.start_mark.line
            _, mark, why = lines[number].partition(OPEN)
            if mark:
                return f"line {number + 1}: {name} is open: {why.strip()}; write it there"
        elif found := _open_key(value, lines, f"{name}."):
            return found
    return None
