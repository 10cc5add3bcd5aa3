"""What the pages of the grading share: an HTML document that nothing can leave, and students' work.

Every page is one file under a Content-Security-Policy that forbids what the sanitizing of
`mlmusic.grading.pages.untrusted` should ever let slip through.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from mlmusic.grading.pages import untrusted

MOST_OUTPUT = 4_000_000  # characters that all outputs of a page may take
_MEDIA = re.compile(r"<(?:img|audio|svg|video|canvas|iframe)\b|!\[", re.I)
MOST_LINES = 8  # of an instructor's code that a page shows at once
# A line that prose doesn't have: a definition, an import, an assignment or a call by itself.
_CODE = re.compile(
    r"^[ \t]*(?:(?:def|class)\s+\w+.*:|import\s+[\w.]+|from\s+[\w.]+\s+import\b.*"
    r"|[A-Za-z_][\w.\[\]'\"]*\s*=\s*[^=\s].*|[A-Za-z_][\w.]*\(.*\);?)[ \t]*$",
    re.M,
)


def document(title: str, body: str, css: str, policy: str = "", head: str = "") -> str:
    """Return a whole HTML document that may use nothing but itself.

    Parameters
    ----------
    title, body
        HTML; the title without tags.
    css : str
        The only style that the page accepts.
    policy : str
        Further Content-Security-Policy directives, such as ``script-src 'nonce-…'``.
    head : str
        Further HTML for the head.
    """
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    policy = (
        "default-src 'none'; img-src data:; media-src data:; base-uri 'none'; form-action 'none'; "
        f"style-src 'sha256-{digest}'" + (f"; {policy}" if policy else "")
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f"<title>{title}</title>\n<style>{css}</style>\n{head}</head>\n"
        f"<body>\n{body}\n</body>\n</html>\n"
    )


@cache
def style(*names: str) -> str:
    """Return style sheets of this package, less their comments."""
    folder = files("mlmusic.grading.pages")
    text = "".join(folder.joinpath(name).read_text(encoding="utf-8") for name in names)
    return "\n" + re.sub(r"/\*.*?\*/\s*", "", text, flags=re.S).strip() + "\n"


class Outputs:
    """Shows saved outputs, until a page has enough of them."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._left = MOST_OUTPUT

    def show(self, outputs: Sequence[Mapping[str, Any]], about: str) -> str:
        """Return outputs as HTML; `about` (plain text) describes pictures that have no words."""
        shown = [self._one(output, about) for output in outputs]
        return "\n".join(f'<div class="output">{html}</div>' for html in shown if html)

    def _one(self, output: Mapping[str, Any], about: str) -> str:
        mime, data = str(output.get("mime", "")), str(output.get("data", ""))
        html: str | None
        if mime == "text/plain":
            html = f"<pre>{untrusted.text(data)}</pre>" if data.strip() else ""
        elif mime == "text/html":
            html = untrusted.rich(data, self._where) or _missing("An output that needs a script")
        elif mime == "text/markdown":
            html = f'<div class="prose">{untrusted.markdown(data, self._where)}</div>'
        elif mime == "text/latex":
            html = f"<p><code>{untrusted.text(data)}</code></p>"
        elif mime in ("image/png", "image/jpeg", "image/svg+xml"):
            alt = f"a picture from {self._where}: {about}"
            html = untrusted.picture(mime, data, alt) or _missing("A picture that is damaged")
        else:
            html = _missing(f"An output of another kind ({untrusted.text(mime, 60)})")
        if len(html) > self._left:
            return _missing("An output that is too large for this page")
        self._left -= len(html)
        return html


def answer(task: Mapping[str, Any], where: str = "your answer") -> str:
    """Return what a student wrote as HTML: highlighted code, or text with its Markdown."""
    source = str(task.get("answer") or "")
    if not source.strip():
        return '<p class="quiet">There is no answer to this task in the notebook.</p>'
    if not task.get("manual") or _is_code(source):
        return _code(source)
    return f'<div class="prose">{untrusted.markdown(source, where)}</div>'


def asked(parts: Sequence[Mapping[str, Any]]) -> str:
    """Return what an instructor wrote, text and code in its order, as HTML; long code is folded."""
    return "\n".join(
        _instructors_code(str(part["text"]))
        if part["kind"] == "code"
        else f'<div class="prose">{untrusted.markdown(str(part["text"]), "the assignment")}</div>'
        for part in parts
    )


def _instructors_code(source: str) -> str:
    lines = source.count("\n") + 1
    if lines <= MOST_LINES:
        return _code(source)
    return f"<details><summary>{lines} lines of code</summary>{_code(source)}</details>"


def unsaved(task: Mapping[str, Any], expected: str) -> str:
    """Say what a notebook lacks that its cells would have shown; "" if nothing is amiss.

    Parameters
    ----------
    task : mapping
        An item that is graded by hand, with its ``answer`` and ``outputs``.
    expected : str
        What it shows when everything was run: "picture", "picture or sound" or "".
    """
    if not expected or not str(task.get("answer") or "").strip():
        return ""
    if any(map(_is_media, task.get("outputs") or ())):
        return ""
    return f"no saved {expected}"


def _is_media(output: Mapping[str, Any]) -> bool:
    mime = str(output.get("mime", ""))
    return mime.startswith("image/") or (
        mime in ("text/html", "text/markdown") and bool(_MEDIA.search(str(output.get("data", ""))))
    )


def _code(source: str) -> str:
    return f'<pre class="code" tabindex="0"><code>{untrusted.code(source)}</code></pre>'


def _is_code(source: str) -> bool:
    """Whether an answer that is graded by hand is a program, such as one that plots."""
    return "```" not in source and bool(_CODE.search(source))


def _missing(what: str) -> str:
    return f'<p class="quiet">{what} is left out here.</p>'


def line(value: Any) -> str:
    """Return a name or a title as HTML, on one line."""
    return " ".join(untrusted.text(str(value), 200).split())
