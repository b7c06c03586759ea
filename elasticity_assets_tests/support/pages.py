"""HTML pages as a browser takes them: their text, and what they ask for."""

from html.parser import HTMLParser

VOID = {"meta", "img", "br", "link", "input", "hr"}


class Page(HTMLParser):
    """Text, images and links of a page whose tags are all closed.

    Attributes
    ----------
    texts : list of str
        Of the body's elements, unescaped.
    sources, links, ids : list of str
    """

    def __init__(self, html: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.sources: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in ("script", "link", "iframe", "object")
        if tag not in VOID:
            self._open.append(tag)
        for name, value in attrs:
            if name == "src":
                self.sources.append(value or "")
            if name == "href":
                self.links.append(value or "")
            if name == "id":
                self.ids.append(value or "")

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] == "style":
            assert "url(" not in data
            assert "@import" not in data
        elif data.strip():
            self.texts.append(data.strip())


def needs_nothing(html: str) -> Page:
    """Parse a page, and check that it loads nothing from elsewhere and links only within itself."""
    page = Page(html)
    assert all(source.startswith("data:image/svg+xml;base64,") for source in page.sources)
    assert all(link.removeprefix("#") in page.ids for link in page.links)
    assert "http" not in html
    return page
