"""Values are bound, names go through one quoting function: nothing else makes SQL."""

import ast
import re
from pathlib import Path

import duckdb
import pytest

import elasticity_assets
from elasticity_assets.warehouse.sql import quoted, statement

pytestmark = pytest.mark.quick

PACKAGE = Path(elasticity_assets.__file__).parent
STATEMENT = re.compile(
    r"^\s*(SELECT|INSERT INTO|DELETE FROM|UPDATE|CREATE|ALTER|DROP|ATTACH|COPY|COMMENT ON|FROM|SET)\s+\S",
    re.MULTILINE,
)
TEXT = re.compile(r"""["'](\w+)["']""")
RUNS_SQL = {"execute", "executemany", "sql", "query"}


@pytest.mark.parametrize(
    "name", ["plain", 'a "b" c', "it's; DROP TABLE x; --", "new\nline", "😀{x}%s$1", " ", "\\"]
)
def test_quoted_names_and_literals_come_back(name: str) -> None:
    literal = quoted(name, "'")
    cursor = duckdb.execute(f"SELECT {literal} AS {quoted(name)}")
    assert [column[0] for column in cursor.description or ()] == [name]
    assert cursor.fetchone() == (name,)


def test_a_text_that_no_sql_can_hold_is_refused() -> None:
    with pytest.raises(ValueError, match="NUL"):
        quoted("a\0b")


def test_parts_take_their_places() -> None:
    control = quoted('dis{p}"lay')
    assert control in statement("add_control", control=control)
    with pytest.raises(KeyError):
        statement("add_control", other=control)


def _built_by_hand(node: ast.AST) -> bool:
    """Whether an expression puts a text together: an f-string with values, +, %, or str.format."""
    if isinstance(node, ast.JoinedStr):
        return any(isinstance(part, ast.FormattedValue) for part in node.values)
    if isinstance(node, ast.BinOp):
        return isinstance(node.op, ast.Add | ast.Mod)
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "format"


def test_no_statement_is_built_by_hand() -> None:
    found, seen = [], 0
    for file in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in RUNS_SQL
            ):
                seen += 1
                if node.args and _built_by_hand(node.args[0]):
                    found.append(f"{file.relative_to(PACKAGE)}:{node.lineno}")
    assert seen > 20
    assert found == []


def _texts(tree: ast.AST) -> list[ast.Constant]:
    """Texts of a module, docstrings apart."""
    alone = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in alone
    ]


def test_statements_stand_in_files_of_their_own() -> None:
    found = [
        f"{file.relative_to(PACKAGE)}:{text.lineno}"
        for file in sorted(PACKAGE.rglob("*.py"))
        for text in _texts(ast.parse(file.read_text(encoding="utf-8")))
        if STATEMENT.search(text.value)
    ]
    assert found == []


def test_one_function_quotes() -> None:
    quotes = {"'", '"', "''", '""'}
    found = [
        file.relative_to(PACKAGE).as_posix()
        for file in sorted(PACKAGE.rglob("*.py"))
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and getattr(node.func, "attr", None) in ("replace", "translate", "join")
        and any(isinstance(part, ast.Constant) and part.value in quotes for part in node.args)
    ]
    assert found == [], "quoted() doubles marks by name, not by constant"


def test_every_statement_is_used_by_the_module_beside_it() -> None:
    """Names that begin with `price_` are put together with a rule's."""
    for file in sorted(PACKAGE.rglob("*.sql")):
        names = re.findall(r"^-- name: (\w+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
        assert names, file
        used = set(TEXT.findall(file.with_suffix(".py").read_text(encoding="utf-8")))
        in_room = {
            text
            for module in file.parent.glob("*.py")
            for text in TEXT.findall(module.read_text(encoding="utf-8"))
        }
        assert {name for name in names if not name.startswith(("price_", "write_"))} - in_room == set(), file
        assert used & set(names), file
