import pytest

from elasticity_assets.report import javascript


def test_vega_is_put_together_once_and_kept(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = javascript.vega(tmp_path / "data")
    assert "window.vegaEmbed=" in script
    assert "</script" not in script.lower()
    assert "<!--" not in script
    assert len(script) < 1_200_000
    (file,) = (tmp_path / "data").iterdir()
    assert file.match("report-vega-*-*.js")
    monkeypatch.setattr(javascript, "_bundle", lambda: pytest.fail("put together again"))
    assert javascript.vega(tmp_path / "data") == script


@pytest.mark.parametrize("change", ["version", "_SNIPPET", "_ESCAPED"])
def test_what_was_put_together_otherwise_is_replaced(
    tmp_path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    monkeypatch.setattr(javascript, "_bundle", lambda: "old")
    assert javascript.vega(tmp_path) == "old"
    (old,) = tmp_path.iterdir()
    own = tmp_path / "vega.js"
    own.write_text("somebody's own")
    monkeypatch.setattr(javascript, change, "0" if change != "version" else lambda package: "0")
    monkeypatch.setattr(javascript, "_bundle", lambda: "new")
    assert javascript.vega(tmp_path) == "new"
    assert not old.exists()
    assert len(list(tmp_path.iterdir())) == 2
    assert own.exists()


@pytest.mark.parametrize("harm", [b"", b"window.vega", b"\xff\xfe", b"// 0\nold"])
def test_what_is_kept_and_damaged_is_put_together_again(
    tmp_path, monkeypatch: pytest.MonkeyPatch, harm: bytes
) -> None:
    monkeypatch.setattr(javascript, "_bundle", lambda: "script")
    javascript.vega(tmp_path)
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    file.write_bytes(harm)
    assert javascript.vega(tmp_path) == "script"
    assert file.read_bytes() == whole
