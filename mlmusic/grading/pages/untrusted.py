"""What students wrote, drew and recorded, made safe to show in a page.

Nothing of a student's markup is ever copied. `rich` reads HTML and writes new HTML from scratch: a
few tags without attributes, escaped text, and pictures and sounds whose data were decoded, checked
and encoded anew. So a mistake in reading costs the student a line of layout, and can't let a script
through. It takes one pass: html5lib, and with it bleach, needs 16 s for 20,000 nested tags, which
would let one notebook hold up a whole class.
"""

from __future__ import annotations

import re
from html import escape, unescape

from mlmusic.grading.pages import media

MOST_TEXT = 20_000  # characters of one answer, of one output's text
DEEPEST = 30  # tags in tags

_BLOCKS = {"p", "h1", "h2", "h3", "h4", "h5", "h6", "section", "article", "figure", "center"}
_KEPT = {
    *("div blockquote pre ul ol li dl dt dd table caption thead tbody tfoot tr th td".split()),
    *("b strong i em code sub sup s audio".split()),
}
_ROWS = ("table", "thead", "tbody", "tfoot")
# Where a tag may stand, so that a browser never has to move what was written.
_PARENTS = {
    **dict.fromkeys(("caption", "thead", "tbody", "tfoot"), ("table",)),
    **{"tr": _ROWS, "th": ("tr",), "td": ("tr",), "li": ("ul", "ol"), "dt": ("dl",), "dd": ("dl",)},
}
_NO_TEXT = {*_ROWS, "tr", "ul", "ol", "dl", "audio"}  # nor anything else but their own children
_SKIPPED = (
    "script style title textarea select xmp iframe object noembed noframes noscript template"
    " svg math video"
).split()

_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]*)")
_ATTRIBUTE = re.compile(
    r"""[\s/]*([^\s/>=]+|=)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|(?!["'])([^\s>]*)|(?P<open>["'])))?"""
)
_CLOSE = re.compile(r"[\s/]*>")
_TURNS = re.compile("[\u202a-\u202e\u2066-\u2069]")
_CONTROLS = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")


def visible(text: str) -> str:
    """Return text in which nothing acts unseen: no terminal colours, no control characters.

    Characters that change the direction of what follows, and so could let code read as something
    else, are named instead, as ``[U+202E]``.
    """
    text = _ANSI.sub("", text).replace("\r\n", "\n")
    text = _TURNS.sub(lambda found: f"[U+{ord(found[0]):04X}]", text)
    return _CONTROLS.sub("\ufffd", text)


def text(value: str, most: int = MOST_TEXT) -> str:
    """Return plain text as HTML: visible, escaped, and cut where it becomes too long."""
    value = str(value)
    cut = f"\n… and {len(value) - most:,} more characters" if len(value) > most else ""
    return escape(visible(value[:most]) + cut)


def code(source: str) -> str:
    """Return Python source as highlighted HTML; the classes are Pygments'."""
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import PythonLexer

    source = visible(source[:MOST_TEXT]).strip("\n")
    return highlight(source, PythonLexer(stripnl=False), HtmlFormatter(nowrap=True)).rstrip("\n")


def markdown(source: str, where: str = "your answer") -> str:
    """Return Markdown as HTML; as plain paragraphs where nbconvert's mistune isn't installed."""
    source = visible(source[:MOST_TEXT])
    try:
        import mistune
    except ModuleNotFoundError:
        return "".join(f"<div>{escape(part)}</div>" for part in re.split(r"\n\s*\n", source))
    return rich(mistune.create_markdown(escape=True, plugins=["table"])(source), where)


def picture(mime: str, data: str, alt: str) -> str | None:
    """Return an ``<img>`` for a picture as notebooks save it: base64, or a drawing's own text.

    None if it isn't what it says it is.
    """
    address = media.image(mime, data)
    return address and f'<img alt="{text(alt, 2000)}" src="{address}">'


def rich(html: str, where: str = "your notebook") -> str:
    """Return HTML that shows what a student's HTML shows, as far as a still page can.

    Parameters
    ----------
    html : str
        Whatever it is.
    where : str
        Where it is from, as a description of pictures that have none.

    Returns
    -------
    str
        Tags from a short list, closed in order; the only attributes are ``src`` (checked ``data:``
        addresses of PNG, JPEG, SVG, MP3 and WAV), ``alt``, ``type``, ``controls`` and
        ``aria-label``. May be empty.
    """
    builder = _Builder(where)
    position, end = 0, len(html)
    while position < end:
        start = html.find("<", position)
        builder.text(html[position : start if start >= 0 else end])
        if start < 0:
            break
        tag = _TAG.match(html, start)
        if tag is None:
            position = _after_markup(html, start, builder)
            continue
        position, attributes = _attributes(html, tag.end())
        if position < 0:  # the input ends within the tag: browsers drop it, too
            break
        name = tag[2].lower()
        if tag[1]:
            builder.end(name)
        elif name in _SKIPPED:
            closing = re.compile(rf"</{name}[\s/>]", re.I).search(html, position)
            position = closing.start() if closing else end
        else:
            builder.start(name, attributes)
    return builder.finish()


def _after_markup(html: str, start: int, builder: _Builder) -> int:
    """Return where reading goes on after a "<" that begins no tag."""
    if not html.startswith(("<!", "<?", "</"), start):
        builder.text("<")
        return start + 1
    closing = "-->" if html.startswith("<!--", start) else ">"
    found = html.find(closing, start + 2)
    return found + len(closing) if found >= 0 else len(html)


def _attributes(html: str, position: int) -> tuple[int, dict[str, str]]:
    """Read a tag's attributes; return where it ends, -1 if it doesn't. The first of a name wins."""
    attributes: dict[str, str] = {}
    while True:
        if closed := _CLOSE.match(html, position):
            return closed.end(), attributes
        found = _ATTRIBUTE.match(html, position)
        if found is None or found["open"]:
            return -1, attributes
        value = found[2] or found[3] or found[4] or ""
        attributes.setdefault(found[1].lower(), value)
        position = found.end()


class _Builder:
    """Writes well-nested HTML, whatever it is asked to."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._parts: list[str] = []
        self._audio_at = 0
        self._open: list[tuple[str, str]] = []  # name, and what to write at its end

    def text(self, raw: str) -> None:
        if raw and not (self._open and self._open[-1][0] in _NO_TEXT):
            self._parts.append(escape(visible(unescape(raw))))

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name in _PARENTS:
            depth = self._depth(_PARENTS[name])
            if depth < 0:
                return
            self._close(depth + 1)
        elif name == "source":
            self._source(attributes)
            return
        elif self._open and self._open[-1][0] in _NO_TEXT:
            return
        if name in ("br", "hr"):
            self._parts.append(f"<{name}>")
        elif name == "img":
            self._image(attributes)
        elif name == "a":
            address = unescape(attributes.get("href", ""))
            known = address.lower().startswith(("http:", "https:", "mailto:"))
            end = f" ({text(address, 300)})" if known else ""
            self._push("a", "<span>", f"{end}</span>")
        elif name in _BLOCKS:
            self._push(name, "<div>", "</div>")
        elif name == "audio":
            self._audio(attributes)
        elif name in _KEPT:
            self._push(name, f"<{name}>", f"</{name}>")

    def end(self, name: str) -> None:
        depth = self._depth((name,))
        if depth >= 0:
            self._close(depth)

    def finish(self) -> str:
        self._close(0)
        return "".join(self._parts).strip()

    def _depth(self, names: tuple[str, ...]) -> int:
        """Return the depth of the innermost open tag among names, -1 if there is none."""
        for depth in range(len(self._open) - 1, -1, -1):
            if self._open[depth][0] in names:
                return depth
        return -1

    def _push(self, name: str, start: str, end: str) -> None:
        if len(self._open) < DEEPEST:
            self._parts.append(start)
            self._open.append((name, end))

    def _close(self, depth: int) -> None:
        while len(self._open) > depth:
            name, end = self._open.pop()
            if name == "audio" and "src=" not in "".join(self._parts[self._audio_at :]):
                del self._parts[self._audio_at :]
                end = "[a sound is left out]"
            self._parts.append(end)

    def _image(self, attributes: dict[str, str]) -> None:
        alt = unescape(attributes.get("alt", "")) or f"a picture from {self._where}"
        address = media.image_at(unescape(attributes.get("src", "")))
        if address:
            self._parts.append(f'<img alt="{text(alt, 2000)}" src="{address}">')
        else:
            self._parts.append(f"[a picture is left out: {text(alt, 300)}]")

    def _audio(self, attributes: dict[str, str]) -> None:
        label = f"sound from {self._where}"
        address = media.sound_at(unescape(attributes.get("src", "")))
        source = f' src="{address}"' if address else ""
        self._audio_at = len(self._parts)
        self._push("audio", f'<audio controls aria-label="{text(label)}"{source}>', "</audio>")

    def _source(self, attributes: dict[str, str]) -> None:
        address = media.sound_at(unescape(attributes.get("src", "")))
        if address and self._open and self._open[-1][0] == "audio":
            self._parts.append(f'<source src="{address}">')
