"""Read a notebook whoever saved it: any encoding, nbformat 3 or 4, with or without its metadata.

nbformat's own reader validates, and refuses or repairs what students hand in; it is also slow on
large outputs. Grading needs only the cells' text, their names and a few of their outputs, so this
reader takes what it can use and leaves the rest.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

MAX_BYTES = 200_000_000
MAX_CELLS = 5_000
MAX_OUTPUT = 2_000_000  # characters of one output
MAX_TEXT = 20_000  # characters of printed text that are shown

# The richest form of an output that a page can show. nbformat 3 has short names of its own.
_FORMS = {
    "image/png": "png",
    "image/jpeg": "jpeg",
    "image/svg+xml": "svg",
    "text/html": "html",
    "text/markdown": "markdown",
    "text/latex": "latex",
    "text/plain": "text",
}
_UTF_BOMS = {
    b"\xff\xfe\x00\x00": "utf-32",
    b"\x00\x00\xfe\xff": "utf-32",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}


class UnreadableNotebook(ValueError):
    """The file isn't a notebook; the message says why, in one line."""


@dataclass(frozen=True)
class Cell:
    """One cell: its text, and what may tell which cell of the assignment it was.

    Parameters
    ----------
    index : int
        Its place in the notebook, from 0.
    kind : str
        "code", "markdown" or "raw".
    source : str
        Its text; lines end as on Unix.
    id : str
        The cell's id, or "".
    marks : dict
        What nbgrader's metadata says about it.
    outputs : tuple of dict
        Its saved outputs, each ``{"mime", "data"}``: untrusted.
    """

    index: int
    kind: str
    source: str
    id: str = ""
    marks: dict[str, Any] = field(default_factory=dict)
    outputs: tuple[dict[str, str], ...] = ()

    @property
    def grade_id(self) -> str:
        """The name that nbgrader gave the cell, or ""."""
        name = self.marks.get("grade_id")
        return name if isinstance(name, str) else ""


@dataclass(frozen=True)
class Notebook:
    """The cells of a notebook, its metadata, and whether its encoding had to be guessed."""

    cells: tuple[Cell, ...]
    metadata: dict[str, Any]
    guessed_encoding: bool = False


def read_notebook(data: bytes) -> Notebook:
    """Read the bytes of a notebook.

    Parameters
    ----------
    data : bytes
        The file: UTF-8, UTF-16 or UTF-32, with or without a BOM; single bytes that aren't UTF-8
        are taken for Windows' Western European encoding.

    Returns
    -------
    Notebook
        Its cells, in order. Outputs that no page can show are left out.

    Raises
    ------
    UnreadableNotebook
        If it is no notebook at all: not JSON, cut off, nested too deeply, too large.
    """
    if len(data) > MAX_BYTES:
        raise UnreadableNotebook(f"larger than {MAX_BYTES // 1_000_000} MB")
    try:
        text, guessed = _text(data)
        # raw_decode: what stands behind the notebook's last brace doesn't matter.
        content, _ = _DECODER.raw_decode(text, re.match(r"\s*", text).end())
    except (ValueError, RecursionError, MemoryError) as error:
        raise UnreadableNotebook(_reason(data, error)) from None
    if not isinstance(content, dict):
        raise UnreadableNotebook("JSON, but not a notebook")
    cells = content.get("cells")
    if not isinstance(cells, list):  # nbformat 3 has sheets of cells
        sheets = content.get("worksheets")
        sheets = [s for s in sheets if isinstance(s, dict)] if isinstance(sheets, list) else []
        cells = [cell for s in sheets if isinstance(s.get("cells"), list) for cell in s["cells"]]
        if not sheets:
            raise UnreadableNotebook("JSON, but not a notebook: it has no cells")
    metadata = content.get("metadata")
    found = [cell for cell in cells if isinstance(cell, dict)][:MAX_CELLS]
    return Notebook(
        tuple(_cell(index, cell) for index, cell in enumerate(found)),
        metadata if isinstance(metadata, dict) else {},
        guessed,
    )


def clean_text(value: Any) -> str:
    """Return text with ordinary line ends that any encoder can write; "" for what isn't text.

    Notebooks hold a cell's text as one string or as a list of lines.
    """
    if isinstance(value, list):
        value = "".join(line for line in value if isinstance(line, str))
    if not isinstance(value, str):
        return ""
    if not value.isascii():
        # Half of a surrogate pair, which JSON can spell and UTF-8 can't.
        value = value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return value.replace("\r\n", "\n").replace("\r", "\n")


def _text(data: bytes) -> tuple[str, bool]:
    for bom, encoding in _UTF_BOMS.items():
        if data.startswith(bom):
            return data.decode(encoding), False
    text = data.decode(json.detect_encoding(data[:4]).replace("-sig", ""), "surrogateescape")
    text = text.removeprefix("\ufeff")
    plain = re.sub("[\udc80-\udcff]", _western, text)
    return plain, plain != text


def _western(match: re.Match[str]) -> str:
    return bytes([ord(match[0]) - 0xDC00]).decode("cp1252", "replace")


def _reason(data: bytes, error: BaseException) -> str:
    if not data.strip():
        return "an empty file"
    if isinstance(error, RecursionError):
        return "nested too deeply"
    if isinstance(error, MemoryError):
        return "needs too much memory"
    if data.lstrip()[:1] != b"{" and not data.startswith(b"\xef\xbb\xbf"):
        return "not a notebook: its text isn't JSON"
    return "not a notebook, or cut off: its JSON is broken"


def _small_int(digits: str) -> int:
    return int(digits) if len(digits) < 20 else 0  # Python refuses to read very long ones


def _slim(item: dict[str, Any]) -> dict[str, Any]:
    """Drop the bulk of an output as soon as it is read."""
    if "output_type" not in item:
        return item
    kind = item["output_type"]
    if kind == "stream":
        return {"mime": "text/plain", "data": clean_text(item.get("text"))[:MAX_TEXT]}
    if kind in ("error", "pyerr"):
        words = [clean_text(item.get(key)) for key in ("ename", "evalue")]
        return {"mime": "text/plain", "data": ": ".join(filter(None, words))[:MAX_TEXT]}
    bundle = item.get("data")
    bundle = bundle if isinstance(bundle, dict) else item
    for mime, short in _FORMS.items():
        text = clean_text(bundle.get(mime) or bundle.get(short))
        limit = MAX_TEXT if mime == "text/plain" else MAX_OUTPUT
        if text and (len(text) <= limit or mime == "text/plain"):
            return {"mime": mime, "data": text[:limit]}
    return {}


_DECODER = json.JSONDecoder(object_hook=_slim, parse_int=_small_int, strict=False)


def _cell(index: int, cell: dict[str, Any]) -> Cell:
    kind = cell.get("cell_type")
    source = clean_text(cell.get("source", cell.get("input")))
    if kind == "heading":  # nbformat 3
        level = cell.get("level")
        kind, source = "markdown", f"{'#' * (level if level in range(1, 7) else 1)} {source}"
    metadata = cell.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    marks = metadata.get("nbgrader")
    name = cell.get("id", metadata.get("id"))  # Colab keeps its ids in the metadata
    outputs = cell.get("outputs")
    outputs = outputs if isinstance(outputs, list) else []
    return Cell(
        index=index,
        kind=kind if kind in ("code", "markdown") else "raw",
        source=source,
        id=name if isinstance(name, str) else "",
        marks=marks if isinstance(marks, dict) else {},
        outputs=tuple(
            {"mime": item["mime"], "data": item["data"]}
            for item in outputs
            if isinstance(item, dict)
            and isinstance(item.get("mime"), str)
            and item["mime"] in _FORMS
            and isinstance(item.get("data"), str)
            and 0 < len(item["data"]) <= MAX_OUTPUT
        ),
    )
