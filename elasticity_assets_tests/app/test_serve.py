"""`elasticity app` says in one line what keeps it from serving."""

import socket
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from elasticity_assets.app import serve
from elasticity_assets.command.cli import main
from elasticity_assets.settings import SettingsError
from elasticity_assets_tests.support.prices_to_change import publish_prices


def app(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["app", *arguments])


def one_line(result: Result) -> str:
    assert result.output.count("\n") == 1
    return result.output


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("serve")
    publish_prices(folder)
    return folder


@pytest.fixture(autouse=True)
def folder(published: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ELASTICITY_CONFIG", str(published / "elasticity.yaml"))
    return published


def test_without_a_published_file(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "elasticity.yaml").write_text((folder / "elasticity.yaml").read_text())
    monkeypatch.setenv("ELASTICITY_CONFIG", str(tmp_path / "elasticity.yaml"))
    result = app()
    assert result.exit_code == 1
    assert "nothing is published yet" in one_line(result)
    assert "elasticity refit" in result.output


def test_with_a_port_that_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = app("--port", str(port))
    assert result.exit_code == 2
    assert f"127.0.0.1:{port}" in one_line(result)
    assert f"--port {port + 1}" in result.output


def test_without_its_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "find_spec", lambda name: None)
    result = app()
    assert result.exit_code == 2
    assert "pip install 'elasticity_assets[app]'" in one_line(result)


def test_with_an_address_of_no_machine_here() -> None:
    result = app("--address", "203.0.113.1")
    assert result.exit_code == 2
    assert "--address: 203.0.113.1:8501 cannot be had" in one_line(result)
    assert "--address 127.0.0.1" in result.output


def test_a_port_of_an_ipv6_address() -> None:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6) as taken:
            port = taken.getsockname()[1]
            with pytest.raises(SettingsError, match=rf"--port: \[::1\]:{port} cannot be had"):
                serve.check_port("::1", port)
    except OSError:
        pytest.skip("this machine has no IPv6")
    serve.check_port("::1", port)
