"""The published file is opened anew when a refit publishes another; mistakes are told in one line."""

from pathlib import Path

import duckdb
import pytest

from elasticity_assets.app.published_file import NothingPublishedError, PublishedFile
from elasticity_assets.app.recommendations import refit_shown
from elasticity_assets.warehouse.damage import DamagedFileError
from elasticity_assets_tests.support.prices_to_change import publish_prices

pytestmark = pytest.mark.quick


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("published")


@pytest.fixture(scope="module")
def published(folder: Path) -> Path:
    return publish_prices(folder)


def test_a_new_file_is_read_at_once_and_the_old_one_to_its_end(folder: Path, published: Path) -> None:
    file = PublishedFile(published)
    before = file.stamp()
    with file.reading() as old:
        assert refit_shown(old)[0] == "refit-1"
        publish_prices(folder, 2)
        assert file.stamp() != before
        with file.reading() as new:
            assert refit_shown(new)[0] == "refit-2"
        assert refit_shown(old)[0] == "refit-1"


def test_who_reads_cannot_write_nor_read_other_files(tmp_path: Path, published: Path) -> None:
    (tmp_path / "other.csv").write_text("a\n1\n")
    with PublishedFile(published).reading() as connection:
        with pytest.raises(duckdb.Error, match="read-only"):
            connection.execute("DELETE FROM refits")
        with pytest.raises(duckdb.Error, match="disabled"):
            connection.execute(f"FROM '{tmp_path}/other.csv'")


def test_without_a_file_it_says_what_to_do(tmp_path: Path) -> None:
    with (
        pytest.raises(NothingPublishedError, match=r"nothing is published yet.*elasticity refit"),
        PublishedFile(tmp_path / "elasticity.duckdb").reading(),
    ):
        pass


def test_a_file_of_an_earlier_version_and_a_damaged_one(tmp_path: Path) -> None:
    old = tmp_path / "old.duckdb"
    with duckdb.connect(str(old)) as connection:
        connection.execute("CREATE TABLE refits (refit_id VARCHAR)")
    with pytest.raises(NothingPublishedError, match="an earlier version"), PublishedFile(old).reading():
        pass
    without = publish_prices(tmp_path)
    without.chmod(0o644)
    with duckdb.connect(str(without)) as connection:
        connection.execute("DROP TABLE causal_evidence")
    message = r"no table causal_evidence: an earlier version published it; run `elasticity refit`"
    with pytest.raises(NothingPublishedError, match=message), PublishedFile(without).reading():
        pass
    damaged = tmp_path / "damaged.duckdb"
    damaged.write_text("no database " * 1000)
    with pytest.raises(DamagedFileError, match="elasticity refit"), PublishedFile(damaged).reading():
        pass
