"""The tutorial prints what it says: its commands and queries are run again, one after the other."""

import re
import runpy
from itertools import zip_longest
from pathlib import Path

import duckdb
import pytest

ROOT = Path(__file__).parents[1]
MADE_UP = (
    r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",  # names of refits
    r"\d+\.\d s\b",
    r"just now|\d+ (second|minute)s? ago",
)
"""What no two runs have alike."""
NUMBER = r"-?\d[\d,]*\.?\d*"
WITHIN = 0.05


def words(text: str) -> list[str]:
    """Words and numbers of a document, without rulers and what no two runs have alike."""
    for pattern in MADE_UP:
        text = re.sub(pattern, "…", text)
    return re.sub(r"[│┌┐└┘├┤┬┴┼─]", " ", text).split()


def alike(one: str | None, other: str | None) -> bool:
    """Whether two words are the same, or numbers that differ little."""
    if one == other or one is None or other is None:
        return one == other
    numbers = [re.fullmatch(rf"{NUMBER}%?", word) for word in (one, other)]
    if not all(numbers):
        return False
    a, b = (float(word.rstrip("%").replace(",", "")) for word in (one, other))
    return abs(a - b) <= WITHIN * max(1.0, abs(a))


@pytest.mark.slow
def test_the_tutorial_prints_what_it_says(tmp_path):
    tutorial = runpy.run_path(str(ROOT / "docs" / "make_tutorial.py"))
    text = tutorial["TUTORIAL"].read_text(encoding="utf-8")
    project = tutorial["sample_project"](tmp_path.resolve() / "elasticity_assets")
    now = tutorial["carried_out"](text, project)
    differing = [pair for pair in zip_longest(words(text), words(now)) if not alike(*pair)]
    assert differing[:5] == [], "python docs/make_tutorial.py writes the tutorial anew"
    the_row_on_its_journey_ends_as_drawn(project / "data" / "elasticity.duckdb")


def the_row_on_its_journey_ends_as_drawn(published: Path) -> None:
    """Hold the picture in docs/architecture.md to what was published of the sample."""
    journey = runpy.run_path(str(ROOT / "docs" / "make_pictures.py"))["JOURNEY"]
    product = journey[0][2].split(",")[0]
    with duckdb.connect(str(published), read_only=True) as connection:
        row = connection.execute(
            "SELECT elasticity, elasticity_q05, elasticity_q95, shrinkage FROM product_elasticity WHERE product = $1",
            [product],
        ).fetchone()
        change = connection.execute(
            "SELECT 100 * units_change, 100 * units_change_q05, 100 * units_change_q95 "
            "FROM price_scenarios WHERE product = $1 AND price_change = -0.10",
            [product],
        ).fetchone()
    drawn = {asset: re.findall(r"−?\d+\.?\d*", text) for asset, _, text in journey}
    shown = [float(drawn["product_elasticity"][place].replace("−", "-")) for place in (0, 2, 3, 4)]
    assert list(row) == pytest.approx(shown, abs=0.015)  # another machine may round the last digit elsewhere
    assert [f"{number:.0f}" for number in change] == drawn["price_scenarios"][1:]


@pytest.mark.quick
def test_small_differences_of_numbers_are_none():
    assert words("│ x │ 0.5 s") == ["x", "…"]
    assert alike("-1.47", "-1.45")
    assert alike("6,843", "6,800")
    assert not alike("6,843", "5,000")
    assert not alike("SOUP", "YOGURT")
    assert not alike("SOUP", None)
