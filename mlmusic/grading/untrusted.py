"""What students wrote, drew and recorded, made safe to show in a page.

Nothing of a student's markup is ever copied. `rich` reads HTML and writes new HTML from scratch: a
few tags without attributes, escaped text, and pictures and sounds whose data were decoded, checked
and encoded anew. So a mistake in reading costs the student a line of layout, and can't let a script
through. It takes one pass: html5lib, and with it bleach, needs 16 s for 20,000 nested tags, which
would let one notebook hold up a whole class.
"""

from __future__ import annotations

import base64
import binascii
import io
import re
from html import escape, unescape
from xml.etree import ElementTree

MOST_TEXT = 20_000  # characters of one answer, of one output's text
MOST_MEDIA = 3_000_000  # bytes of one picture or sound
MOST_PIXELS = 25_000_000  # a picture of a few kilobytes can unfold to gigabytes
MOST_REUSED = 200_000  # parts that a drawing refers to, however few it has
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
_DATA = re.compile(r"\s*data:([a-z]+/[a-z0-9.+-]+);base64,", re.I)
_IMAGES = {"image/png": "PNG", "image/jpeg": "JPEG"}
_SOUNDS = {
    **dict.fromkeys(("audio/mpeg", "audio/mp3"), "audio/mpeg"),
    **dict.fromkeys(("audio/wav", "audio/x-wav", "audio/wave", "audio/vnd.wave"), "audio/wav"),
}
_SVG = {
    *"svg g defs symbol use path rect circle ellipse line polyline polygon text tspan".split(),
    *"title desc pattern clipPath linearGradient radialGradient stop image style".split(),
}
_TURNS = re.compile("[\u202a-\u202e\u2066-\u2069]")
_CONTROLS = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_SVG_HEAD = re.compile(
    r"""\A\s*(<\?xml version=.1\.[01].( encoding=.utf-8.)?( standalone=.\w+.)?\s*\?>)?\s*"""
    r"""(<!DOCTYPE svg[^\[<>]*>)?""",
    re.I,
)
_LOADS = re.compile(r"url|@|\\", re.I)  # what a style sheet loads other things with
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
    if mime == "image/svg+xml" and "<" in data[:1000]:
        data = base64.b64encode(data.encode("utf-8", "replace")).decode()
    address = _image(mime, data)
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
        found = _DATA.match(attributes.get("src", ""))
        address = found and _image(found[1], attributes["src"][found.end() :])
        if address:
            self._parts.append(f'<img alt="{text(alt, 2000)}" src="{address}">')
        else:
            self._parts.append(f"[a picture is left out: {text(alt, 300)}]")

    def _audio(self, attributes: dict[str, str]) -> None:
        label = f"sound from {self._where}"
        address = _sound(attributes.get("src", ""))
        source = f' src="{address}"' if address else ""
        self._audio_at = len(self._parts)
        self._push("audio", f'<audio controls aria-label="{text(label)}"{source}>', "</audio>")

    def _source(self, attributes: dict[str, str]) -> None:
        address = _sound(attributes.get("src", ""))
        if address and self._open and self._open[-1][0] == "audio":
            self._parts.append(f'<source src="{address}">')


def _decoded(data: str) -> bytes | None:
    """Decode base64 with or without line breaks; None if it isn't, or is too much."""
    if len(data) > MOST_MEDIA * 3 // 2:
        return None
    try:
        return base64.b64decode("".join(unescape(data).split()), validate=True)
    except (binascii.Error, ValueError):
        return None


def _address(mime: str, data: bytes) -> str:
    return f"data:{mime};base64,{base64.b64encode(data).decode()}"


def _image(mime: str, data: str) -> str | None:
    """Return the address of a picture that was checked."""
    mime = mime.lower()
    content = _decoded(data)
    if not content:
        return None
    if mime == "image/svg+xml":
        drawing = _drawing(content)
        return drawing and _address(mime, drawing.encode())
    return _address(mime, content) if _is_picture(content, _IMAGES.get(mime)) else None


def _is_picture(content: bytes, format: str | None) -> bool:
    """Whether a file begins as its format does, and has a size that a browser can show."""
    from PIL import Image

    if format is None:
        return False
    try:
        with Image.open(io.BytesIO(content), formats=[format]) as image:
            width, height = image.size
            return image.format == format and 0 < width * height <= MOST_PIXELS
    except Exception:  # Pillow raises half a dozen kinds, SyntaxError among them
        return False


def _sound(source: str) -> str | None:
    """Return the address of a sound that was checked."""
    found = _DATA.match(source)
    mime = found and _SOUNDS.get(found[1].lower())
    content = _decoded(source[found.end() :]) if found and mime else None
    if not content:
        return None
    if mime == "audio/mpeg":  # a tag, or the eleven set bits that begin a frame
        fits = content.startswith(b"ID3") or (content[0] == 0xFF and content[1:2] >= b"\xe0")
    else:
        fits = content.startswith(b"RIFF") and content[8:12] == b"WAVE"
    return _address(mime, content) if fits else None


def _drawing(content: bytes) -> str | None:
    """Return an SVG that only draws, or None.

    Browsers run no script and load nothing in an ``<img>``, but people open pictures by
    themselves. Entities can unfold without end, and so can parts that reuse parts that reuse.
    """
    try:
        drawing = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None
    drawing = _SVG_HEAD.sub("", drawing, count=1)
    for start, end in (("<!--", "-->"), ("<metadata", "</metadata>")):  # matplotlib writes both
        drawing = _without(drawing, start, end)
    if "<?" in drawing or "<!" in drawing or "\0" in drawing:
        return None
    try:
        root = ElementTree.fromstring(drawing)
    except (ElementTree.ParseError, ValueError, RecursionError):
        return None
    sizes: dict[ElementTree.Element, int] = {}
    reuses: set[ElementTree.Element] = set()  # what refers to something, or has inside what does
    targets: dict[str, ElementTree.Element] = {}
    references: list[str] = []
    for element in reversed(list(root.iter())):  # children first
        found = _references(element)
        if found is None:
            return None
        references += found
        if found or any(child in reuses for child in element):
            reuses.add(element)
        sizes[element] = 1 + sum(sizes[child] for child in element)
        targets[element.get("id", "")] = element
    used = [targets[name] for name in references if name in targets]
    unfolds = any(element in reuses for element in used)
    return None if unfolds or sum(map(sizes.get, used)) > MOST_REUSED else drawing


def _references(element: ElementTree.Element) -> list[str] | None:
    """Return the ids that an SVG element refers to; None if it does anything but draw."""
    tag = element.tag.removeprefix("{http://www.w3.org/2000/svg}")
    if tag not in _SVG or (tag == "style" and _LOADS.search(element.text or "")):
        return None
    found: list[str] = []
    for name, value in element.items():
        name = name.rpartition("}")[2].lower()
        if name.startswith("on") or "\\" in value:
            return None
        if name == "href":
            inner = _DATA.match(value)
            if tag == "image" and inner and inner[1].lower() in _IMAGES:
                if _image(inner[1], value[inner.end() :]) is None:
                    return None
            elif value.startswith("#"):
                found.append(value[1:])
            else:
                return None
        found += re.findall(r"url\(['\"]?#?([^'\")]*)", value)
    return found


def _without(text: str, start: str, end: str) -> str:
    """Return text without the parts that begin and end so."""
    parts, position = [], 0
    while (found := text.find(start, position)) >= 0:
        closing = text.find(end, found + len(start))
        if closing < 0:
            break
        parts.append(text[position:found])
        position = closing + len(end)
    return "".join(parts) + text[position:]
