"""Pictures and sounds of students: decoded, checked, and encoded anew for a page.

Everything becomes a ``data:`` address of a format that a page may show: PNG, JPEG, SVG, MP3, WAV.
"""

from __future__ import annotations

import base64
import binascii
import io
import re
from xml.etree import ElementTree

MOST_MEDIA = 3_000_000  # bytes of one picture or sound
MOST_PIXELS = 25_000_000  # a picture of a few kilobytes can unfold to gigabytes
MOST_REUSED = 200_000  # parts that a drawing refers to, however few it has

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
_SVG_HEAD = re.compile(
    r"""\A\s*(<\?xml version=.1\.[01].( encoding=.utf-8.)?( standalone=.\w+.)?\s*\?>)?\s*"""
    r"""(<!DOCTYPE svg[^\[<>]*>)?""",
    re.I,
)
_LOADS = re.compile(r"url|@|\\", re.I)  # what a style sheet loads other things with


def image(mime: str, data: str) -> str | None:
    """Return the address of a picture as notebooks save it; None if it isn't what it says it is.

    Parameters
    ----------
    mime : str
        image/png, image/jpeg or image/svg+xml.
    data : str
        Base64; a drawing (SVG) may also be its own text.
    """
    mime = mime.lower()
    if mime == "image/svg+xml" and "<" in data[:1000]:
        content = data.encode("utf-8", "replace")
    else:
        content = _decoded(data)
    if not content or len(content) > MOST_MEDIA:
        return None
    if mime == "image/svg+xml":
        drawing = _drawing(content)
        return drawing and _address(mime, drawing.encode())
    return _address(mime, content) if _is_picture(content, _IMAGES.get(mime)) else None


def image_at(address: str) -> str | None:
    """Return a picture's ``data:`` address, checked; None if it isn't one."""
    found = _DATA.match(address)
    return image(found[1], address[found.end() :]) if found else None


def sound_at(address: str) -> str | None:
    """Return a sound's ``data:`` address, checked; None if it isn't one."""
    found = _DATA.match(address)
    mime = found and _SOUNDS.get(found[1].lower())
    content = _decoded(address[found.end() :]) if found and mime else None
    if not content:
        return None
    if mime == "audio/mpeg":  # a tag, or the eleven set bits that begin a frame
        fits = content.startswith(b"ID3") or (content[0] == 0xFF and content[1:2] >= b"\xe0")
    else:
        fits = content.startswith(b"RIFF") and content[8:12] == b"WAVE"
    return _address(mime, content) if fits else None


def _decoded(data: str) -> bytes | None:
    """Decode base64 with or without line breaks; None if it isn't, or is too much."""
    if len(data) > MOST_MEDIA * 3 // 2:
        return None
    try:
        return base64.b64decode("".join(data.split()), validate=True)
    except (binascii.Error, ValueError):
        return None


def _address(mime: str, data: bytes) -> str:
    return f"data:{mime};base64,{base64.b64encode(data).decode()}"


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
                if image(inner[1], value[inner.end() :]) is None:
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
