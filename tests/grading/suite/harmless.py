"""What a page or a table must not hold when students choose the text."""

from __future__ import annotations

import csv
import io
from html.parser import HTMLParser
from pathlib import Path

_LOADS = {"src", "href", "action", "data", "formaction", "poster", "background", "xlink:href"}


class _Harm(HTMLParser):
    def __init__(self, word: str) -> None:
        super().__init__()
        self.word = word
        self.found: list[str] = []
        self.inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.inside = tag
        for name, value in attrs:
            value = (value or "").strip().casefold()
            if name.startswith("on") and self.word in value:
                self.found.append(f"<{tag} {name}={value}>")
            if name in _LOADS and value.startswith(("javascript:", "http:", "vbscript:")):
                self.found.append(f"<{tag} {name}={value}>")
            if name == "srcdoc" or (tag == "meta" and "refresh" in value):
                self.found.append(f"<{tag} {name}={value}>")

    def handle_data(self, data: str) -> None:
        if self.inside == "script" and self.word in data:
            self.found.append(f"<script>{data}")
        if self.inside == "style" and "@import" in data:
            self.found.append(f"<style>{data}")


def harm_in_page(page: str, word: str) -> list[str]:
    """Return the tags that would do something of the student's choice; ``word`` is in each."""
    parser = _Harm(word)
    parser.feed(page)
    return parser.found


def harm_in_table(path: Path) -> list[str]:
    """Return the cells of a CSV file that a spreadsheet takes for formulas."""
    text = path.read_bytes().decode("utf-8")
    found = []
    for row in csv.reader(io.StringIO(text, newline="")):
        for cell in row:
            number = cell.lstrip("-").replace(".", "", 1).isdigit()
            if cell.startswith(("=", "+", "-", "@", "\t", "\r")) and not number:
                found.append(cell)
    return found
