"""HTML pages as a browser takes them: their text, and what they ask for."""

import json
import re
from collections.abc import Iterable
from html.parser import HTMLParser
from typing import Any

VOID = {"meta", "img", "br", "link", "input", "hr"}


class Page(HTMLParser):
    """Text, links and charts of a page whose tags are all closed.

    Attributes
    ----------
    texts : list of str
        Of the body's elements, unescaped.
    links, ids : list of str
    charts : list of (kind, description)
    data : list
        What the page's JSON holds, unpacked.
    """

    def __init__(self, html: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.charts: list[tuple[str | None, str | None]] = []
        self.data: list[Any] = []
        self._open: list[str] = []
        self._holds_json = False
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in ("link", "iframe", "object", "img")
        if tag not in VOID:
            self._open.append(tag)
        given = dict(attrs)
        assert "src" not in given
        self._holds_json = given.get("type") == "application/json"
        if "href" in given:
            self.links.append(given["href"] or "")
        if "id" in given:
            self.ids.append(given["id"] or "")
        if given.get("class") == "chart":
            assert given["role"] == "img"
            self.charts.append((given["data-kind"], given["aria-label"]))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] == "style":
            assert "url(" not in data
            assert "@import" not in data
        elif self._open and self._open[-1] == "script":
            if self._holds_json:
                self.data.append(json.loads(data, parse_constant=_not_a_number))
        elif data.strip():
            self.texts.append(data.strip())


def needs_nothing(html: str, names: Iterable[str] = ()) -> Page:
    """Parse a page, and check that it names nothing elsewhere and links only within itself.

    Parameters
    ----------
    html : str
    names : iterable of str
        Addresses that stand in names of the sales, as text.
    """
    page = Page(html)
    assert all(link.removeprefix("#") in page.ids for link in page.links)
    outside_programs = re.sub(r"<script>.*?</script>", "", html, flags=re.DOTALL)
    for known in ("https://vega.github.io/schema/", *names):
        outside_programs = outside_programs.replace(known, "")
    assert "http" not in outside_programs
    return page


def _not_a_number(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON")
