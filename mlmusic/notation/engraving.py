"""MEI → verovio → one compact SVG, with the place of each note on the page."""

from __future__ import annotations

import re
from html import escape
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from mlmusic.notation.writing import TICKS, mei
from mlmusic.pictures import WIDTH, Picture, Row
from mlmusic.score import Score

SVG = "{http://www.w3.org/2000/svg}"


def engrave(score: Score, width: int = WIDTH) -> Picture:
    """Engrave a score.

    Onsets and durations that notation can't write (anything but multiples of a sixty-fourth, or
    of a triplet sixteenth within a beat) are rounded to the nearest thirty-second, in the picture
    only. Four voices that look like a choir share two staves; other voices have one each.

    Parameters
    ----------
    score : Score
        At least one note.
    width : int
        Pixels; systems break to fit.

    Returns
    -------
    Picture
        Black on white; positions are quarter notes. The same bytes for the same score and the
        same version of verovio.

    Raises
    ------
    ValueError
        If there are no notes.
    """
    import verovio

    if not len(score):
        raise ValueError("this score has no notes to engrave")
    scale = 36  # per cent: a staff of about 26 pixels
    verovio.enableLog(verovio.LOG_OFF)
    # verovio remembers where its fonts are for the thread that imported it only, and Jupyter runs
    # the callbacks of widgets in another one.
    verovio.setDefaultResourcePath(str(Path(verovio.__file__).parent / "data"))
    toolkit = verovio.toolkit()
    toolkit.setOptions(
        {
            "inputFrom": "mei",
            "xmlIdSeed": 1,
            "scale": scale,
            "pageWidth": round(width * 100 / scale),
            "pageHeight": 60_000,
            "adjustPageHeight": True,
            "breaks": "auto",
            "header": "none",
            "footer": "none",
            "svgViewBox": True,
            "spacingSystem": 6,
            **{f"pageMargin{side}": 25 for side in ("Left", "Right", "Top", "Bottom")},
        }
    )
    if not toolkit.loadData(mei(score)):
        raise ValueError("verovio couldn't engrave this score")
    pages = [toolkit.renderToSVG(page + 1) for page in range(toolkit.getPageCount())]
    return _picture(pages, width)


def _picture(pages: list[str], width: int) -> Picture:
    """Join verovio's pages into one compact SVG, and find where each note stands."""
    symbols: dict[str, str] = {}
    body, rows, height, units = [], [], 0.0, 1.0
    for page in pages:
        root = ElementTree.fromstring(page)
        for symbol in root.iterfind(f"{SVG}defs/{SVG}g"):
            path = symbol[0]
            name = symbol.get("id", "").split("-")[0]
            symbols[name] = (
                f'<path id="{name}" transform="{path.get("transform")}" d="{path.get("d")}"/>'
            )
        canvas = root.find(f"{SVG}svg")
        _, _, wide, tall = map(float, canvas.get("viewBox").split())
        units = wide / width
        margin = canvas.find(f"{SVG}g[@class='page-margin']")
        left, top = map(float, re.findall(r"-?[\d.]+", margin.get("transform")))
        for system in margin.iterfind(f"{SVG}g[@class='system']"):
            rows.append(_row(system, left, top + height, units))
        shapes = _merge(_flatten(margin))
        body.append(f'<g transform="translate({left:g},{top + height:g})">{shapes}</g>')
        height += tall
    pixels = round(height / units)
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {round(units * width)} '
        f'{round(height)}" width="{width}" height="{pixels}" font-family="Times,serif">'
        f'<rect width="100%" height="100%" fill="#fff"/><defs>{"".join(symbols.values())}</defs>'
        f'<g stroke="#000">{"".join(body)}</g></svg>'
    )
    return Picture(svg, width, pixels, rows)


def _row(system: ElementTree.Element, left: float, top: float, units: float) -> Row:
    """Read one system: its height, and the places of its notes and its bar lines."""
    places: dict[float, float] = {}
    heights: list[float] = []
    end = 0
    right = 0.0
    for measure in system.iter(f"{SVG}g"):
        if measure.get("class") != "measure":
            continue
        begin, end = map(int, measure.get("id", "m0-0")[1:].split("-"))
        for staff in measure.iterfind(f"{SVG}g[@class='staff']"):
            for line in staff.iterfind(f"{SVG}path"):
                x0, y0, x1, _ = map(float, re.findall(r"-?[\d.]+", line.get("d")))
                heights.append(y0)
                places.setdefault(begin, x0)
                right = max(right, x1)
        if len(places) > 1:  # a bar line stands just before its bar's first note
            places[begin - TICKS / 100] = places[begin]
        for note in measure.iter(f"{SVG}g"):
            found = re.fullmatch(r"t(\d+)-[\d-]+", note.get("id", ""))
            head = note.find(f".//{SVG}g[@class='notehead']/{SVG}use") if found else None
            if head is not None:
                x = float(re.findall(r"-?[\d.]+", head.get("transform"))[0]) + 120
                tick = int(found[1])
                # A bar's first note takes the place of the bar's left edge.
                known = places.get(tick)
                places[tick] = x if known is None or tick == begin else min(known, x)
    places[end] = right
    order = sorted(places)
    xs = np.maximum.accumulate([places[tick] for tick in order])
    return Row(
        round((min(heights) + top) / units - 8, 1),
        round((max(heights) + top) / units + 8, 1),
        [round(tick / TICKS, 4) for tick in order],
        [round(float(x + left) / units, 1) for x in xs],
    )


KEEP = set(
    "x y d width height points transform stroke-width rx ry cx cy font-size font-style font-weight "
    "text-anchor stroke-linecap stroke-linejoin stroke-dasharray stroke-opacity fill fill-opacity"
    "".split()
)


def _flatten(element: ElementTree.Element) -> list[str]:
    """Write what an element draws, without the groups, ids and classes that only structure it."""
    drawn = []
    for child in element:
        tag = child.tag.removeprefix(SVG)
        if "placeholder" in child.get("class", "") or tag in ("title", "desc", "style"):
            continue
        if tag == "g" and not (KEEP & set(child.keys())):
            drawn += _flatten(child)
            continue
        names = {k: v for k, v in child.items() if k in KEEP}
        link = child.get("{http://www.w3.org/1999/xlink}href", "")
        if link:
            names = {"href": link.split("-")[0], **names}
        attributes = "".join(f' {k}="{escape(v)}"' for k, v in names.items())
        inside = escape((child.text or "").strip()) + "".join(_flatten(child))
        if tag == "text":
            attributes += ' stroke="none"'
        drawn.append(f"<{tag}{attributes}>{inside}</{tag}>" if inside else f"<{tag}{attributes}/>")
    return drawn


def _merge(shapes: list[str]) -> str:
    """Join neighbouring straight lines of one width into one path: staves are full of them."""
    line = re.compile(r'<path d="(M[-\d.]+ [-\d.]+ L[-\d.]+ [-\d.]+)" (stroke-width="\d+")/>')
    merged: list[str] = []
    lines: dict[str, list[str]] = {}
    for shape in shapes:
        found = line.fullmatch(shape)
        if found:
            lines.setdefault(found[2], []).append(found[1].replace(" L", "L"))
        else:
            merged.append(shape)
    paths = [f'<path d="{"".join(steps)}" {wide}/>' for wide, steps in lines.items()]
    return "".join(paths + merged)
