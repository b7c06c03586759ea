"""Last results of checks: a run over some categories, or one that failed, leaves the others' as they were."""

from functools import partial
from pathlib import Path

import dagster as dg
import pytest

from elasticity_assets.checks.result import result_of_failures
from elasticity_assets.warehouse.check_results import CheckResult, forget_other_checks, record
from elasticity_assets.warehouse.file import Warehouse
from elasticity_assets.words import utc_now


class Found(dg.Config):
    categories: dict[str, str]
    end: str = "well"


@dg.asset(
    check_specs=[dg.AssetCheckSpec("of_categories", asset="fits"), dg.AssetCheckSpec("of_all", asset="fits")]
)
def fits(config: Found, warehouse: Warehouse):
    if config.end == "before its checks":
        raise dg.Failure("no luck")
    yield result_of_failures("of_categories", config.categories, "not well", "all well")
    yield dg.AssetCheckResult(check_name="of_all", passed=True, description="all\nis well")
    if config.end == "after its checks":
        raise dg.Failure("no luck")
    yield dg.MaterializeResult()


@pytest.fixture
def materialize(warehouse: Warehouse, tmp_path: Path):
    with warehouse.write() as connection:
        connection.execute("INSERT INTO products (product, category) VALUES ('1', 'soup'), ('2', 'tea')")

    def materialize(categories: dict[str, str], end: str = "well") -> dict[tuple[str, str], bool]:
        """Run, and return whether each check and category passed when it was last looked at."""
        result = dg.materialize(
            [fits],
            resources={"warehouse": warehouse},
            run_config={"ops": {"fits": {"config": {"categories": categories, "end": end}}}},
            instance=instance,
            raise_on_error=False,
        )
        assert result.success == (end == "well")
        with warehouse.read() as connection:
            return {
                (check, category): passed
                for check, category, passed in connection.execute(
                    'SELECT "check", category, passed FROM check_results ORDER BY ALL'
                ).fetchall()
            }

    with dg.DagsterInstance.ephemeral(tempdir=str(tmp_path)) as instance:
        yield materialize


def test_a_check_of_one_category_says_nothing_of_the_others(materialize) -> None:
    every = {("of_all", ""): True, ("of_categories", "soup"): False, ("of_categories", "tea"): True}
    assert materialize({"soup": "cold", "tea": ""}) == every
    assert materialize({"tea": ""}) == every
    assert materialize({}) == every
    assert materialize({"soup": ""}) == every | {("of_categories", "soup"): True}


def test_a_failed_run_leaves_the_results_of_checks_that_it_did_not_reach(materialize) -> None:
    found = materialize({"soup": "cold"})
    assert materialize({"soup": ""}, end="before its checks") == found
    assert materialize({"soup": ""}, end="after its checks") == found | {("of_categories", "soup"): True}


def test_a_category_without_sales_has_no_results(materialize, warehouse: Warehouse) -> None:
    materialize({"soup": "cold", "tea": ""})
    with warehouse.write() as connection:
        connection.execute("DELETE FROM products WHERE category = 'soup'")
    assert ("of_categories", "soup") not in materialize({"tea": ""})


def test_every_column_says_what_was_found(materialize, warehouse: Warehouse) -> None:
    materialize({"soup": "cold"})
    with warehouse.read() as connection:
        rows = connection.execute(
            'SELECT "check", asset, category, passed, severity, message FROM check_results ORDER BY ALL'
        ).fetchall()
        assert connection.execute("SELECT count(DISTINCT refit_id) FROM check_results").fetchall() == [(1,)]
    assert rows == [
        ("of_all", "fits", "", True, "error", "all is well"),
        ("of_categories", "fits", "soup", False, "warning", "cold"),
    ]


@pytest.mark.parametrize("end", ["well", "after its checks"])
def test_where_results_cannot_be_read_a_run_ends_as_it_would(
    materialize, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    def broken(*_: object) -> None:
        raise OSError("no event log")

    found = materialize({"soup": ""})
    monkeypatch.setattr("elasticity_assets.warehouse.file.results_of_run", broken)
    assert materialize({"soup": "cold"}, end) == found


def test_a_check_of_everything_takes_the_place_of_its_results_of_categories_and_they_of_its(
    warehouse: Warehouse,
) -> None:
    def found(*categories: str, check: str = "ages") -> list[CheckResult]:
        return [CheckResult(check, "fits", name, False, "warning", "", utc_now(), "r") for name in categories]

    def kept() -> list[tuple[str, str]]:
        with warehouse.read() as connection:
            return connection.execute('SELECT "check", category FROM check_results ORDER BY ALL').fetchall()

    with warehouse.write() as connection:
        connection.execute("INSERT INTO products (product, category) VALUES ('1', 'soup'), ('2', 'tea')")
    warehouse.in_transaction(partial(record, results=found("", check="other")))
    for categories in ([""], ["soup", "tea"], [""]):
        warehouse.in_transaction(partial(record, results=found(*categories)))
        assert kept() == [*[("ages", category) for category in categories], ("other", "")]


def test_results_of_checks_that_are_made_no_more_are_dropped(materialize, warehouse: Warehouse) -> None:
    materialize({"soup": "cold"})
    warehouse.in_transaction(
        partial(forget_other_checks, known=[("of_all", "fits"), ("of_categories", "another asset")])
    )
    with warehouse.read() as connection:
        assert connection.execute('SELECT "check", asset FROM check_results').fetchall() == [
            ("of_all", "fits")
        ]
