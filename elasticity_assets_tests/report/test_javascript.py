import pytest

from elasticity_assets.report import javascript


def test_vega_is_put_together_once_and_kept(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = javascript.vega(tmp_path / "data")
    assert "window.vegaEmbed=" in script
    assert "</script" not in script.lower()
    assert "<!--" not in script
    assert len(script) < 1_200_000
    (file,) = (tmp_path / "data").iterdir()
    assert file.suffix == ".js"
    monkeypatch.setattr(javascript, "_bundle", lambda: pytest.fail("put together again"))
    assert javascript.vega(tmp_path / "data") == script
