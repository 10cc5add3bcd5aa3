"""Pictures that a playhead can follow: the piano roll and the waveform, as SVG.

Drawn by hand rather than with matplotlib: a picture travels inside every player, so it has to be
a few kilobytes, the same bytes every time, and carry a map from time to place on the page.
"""

import math
from dataclasses import dataclass
from html import escape

import numpy as np

from mlmusic.score import Score

WIDTH = 760  # pixels: the width of a notebook's output; pictures scale with the page
GUTTER = 44  # room for pitch and voice labels
INK = "#222"

# Voices differ by colour (Paul Tol's bright scheme, safe for colour blindness), by filling, by
# thickness, and by the letter or name at their first note: any one of them is enough.
COLOURS = ("#4477AA", "#CC3311", "#228833", "#AA3377", "#997700", "#117799", "#555555")
FILLINGS = ("solid", "hollow", "hatched", "split", "dotted", "barred")


@dataclass(frozen=True)
class Row:
    """One line of a picture, from edge to edge: where each moment lies.

    Attributes
    ----------
    top, bottom
        Vertical extent in pixels.
    positions
        Increasing times, in quarter notes (scores) or seconds (waveforms).
    xs
        Their horizontal places in pixels; straight lines lie between them.
    """

    top: float
    bottom: float
    positions: list[float]
    xs: list[float]


@dataclass(frozen=True)
class Picture:
    """An SVG of `width` × `height` pixels, and the rows that a playhead runs along."""

    svg: str
    width: int
    height: int
    rows: list[Row]


def number(value: float) -> str:
    """Write a coordinate as short as a tenth of a pixel allows."""
    return f"{value:.1f}".rstrip("0").rstrip(".") if value % 1 else str(int(value))


def svg(width: int, height: int, body: str) -> str:
    """Wrap SVG elements into a document on white paper."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" font-family="system-ui,Helvetica,Arial,sans-serif" font-size="10">'
        f'<rect width="100%" height="100%" fill="#fff"/>{body}</svg>'
    )


def filling(voice_index: int) -> tuple[str, str]:
    """Return the `<defs>` pattern (may be empty) and the attributes that draw one voice's notes."""
    colour = COLOURS[voice_index % len(COLOURS)]
    style = FILLINGS[voice_index % len(FILLINGS)]
    name = f"f{voice_index}"
    marks = {
        "hatched": f'<path d="M-1 1l2-2M0 5l5-5M4 6l2-2" stroke="{colour}" stroke-width="1.6"/>',
        "dotted": f'<circle cx="2.5" cy="2.5" r="1.3" fill="{colour}"/>',
        "barred": f'<path d="M1.5 0v5" stroke="{colour}" stroke-width="2"/>',
    }.get(style)
    if marks:
        pattern = (
            f'<pattern id="{name}" width="5" height="5" patternUnits="userSpaceOnUse">'
            f'<rect width="5" height="5" fill="#fff"/>{marks}</pattern>'
        )
        return pattern, f'fill="url(#{name})" stroke="{colour}" stroke-width="1"'
    if style == "solid":
        return "", f'fill="{colour}" stroke="{colour}" stroke-width="1"'
    return "", f'fill="#fff" stroke="{colour}" stroke-width="{1.6 if style == "hollow" else 1}"'


def swatch(voice_index: int, drums: bool = False) -> str:
    """Return a small SVG of how one voice's notes look, for a legend."""
    defs, style = filling(voice_index)
    body = f"<defs>{defs}</defs>" + _notes([(2, 22, 7)], 8, voice_index, style, drums)
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 26 14" width="26" height="14">'
        f"{body}</svg>"
    )


def _notes(boxes: list[tuple[float, float, float]], height: float, index: int, style: str,
           drums: bool) -> str:  # fmt: skip
    """Draw boxes (x, width, middle y) of one voice as a single path: a few bytes a note."""
    half, steps = height / 2, []
    for x, width, y in boxes:
        if drums:
            steps.append(f"M{number(x)} {number(y - 4)}l4 4-4 4-4-4z")
        else:
            w = number(width)
            steps.append(f"M{number(x)} {number(y - half)}h{w}v{number(height)}h-{w}z")
    path = f'<path d="{"".join(steps)}" {style}/>'
    if FILLINGS[index % len(FILLINGS)] == "split" and not drums:  # a line through the middle
        line = "".join(f"M{number(x)} {number(y)}h{number(w)}" for x, w, y in boxes)
        colour = COLOURS[index % len(COLOURS)]
        path += f'<path d="{line}" stroke="{colour}" stroke-width="{number(height / 2.4)}"/>'
    return path


def piano_roll(score: Score, labels: dict[int, str], width: int = WIDTH) -> Picture:
    """Draw a score as a piano roll: bars from left to right, pitch upwards, wrapped into rows.

    Parameters
    ----------
    score
        At least one note.
    labels
        For each voice the short label that stands at its first note in each row.
    width
        Pixels.

    Returns
    -------
    Picture
        Positions are quarter notes.
    """
    notes = score.notes
    lines = np.asarray(score.bar_lines, dtype=float)
    pitched = [v for v in score.voices if score.programs.get(v, 0) != 128]
    sounding = notes["pitch"][np.isin(notes["voice"], pitched)] if pitched else notes["pitch"]
    low, high = int(sounding.min()) - 2, int(sounding.max()) + 2
    lane = max(3.0, min(9.0, 220 / (high - low + 1)))  # pixels a semitone
    # Drums have no pitch to speak of: a lane each, below the pitches.
    struck = notes["pitch"][~np.isin(notes["voice"], pitched)] if pitched else []
    drums_at = {pitch: 8 + 6 * i for i, pitch in enumerate(sorted(set(struck))[::-1])}
    drum_lane = 4 + 6 * len(drums_at) if drums_at else 0
    row_height = round(18 + lane * (high - low + 1) + drum_lane + 6)

    starts = _row_starts(lines)
    longest = max(b - a for a, b in starts)
    scale = (width - GUTTER - 8) / longest
    body, defs, rows = [], [], []
    boxes: dict[int, list] = {v: [] for v in score.voices}
    for r, (start, end) in enumerate(starts):
        top = r * row_height + 18
        bottom = top + lane * (high - low + 1)

        def y(pitch: float, bottom: float = bottom) -> float:
            return bottom - (pitch - low + 0.5) * lane

        def x(onset: float, start: float = start) -> float:
            return GUTTER + (onset - start) * scale

        right = x(end)
        rows.append(Row(top, bottom + drum_lane, [start, end], [GUTTER, right]))
        body.append(_lanes(low, high, lane, y, right))
        body.append(_bars(score, lines, start, end, x, top, bottom + drum_lane))
        places: list[tuple[float, int, str]] = []
        for index, voice in enumerate(score.voices):
            mine = notes[notes["voice"] == voice]
            ends = mine["onset"] + mine["duration"]
            mine = mine[(ends > start + 1e-9) & (mine["onset"] < end - 1e-9)]
            drums = voice not in pitched and bool(pitched)
            for note in mine:
                a = max(float(note["onset"]), start)
                b = min(float(note["onset"] + note["duration"]), end)
                middle = bottom + drums_at[note["pitch"]] if drums else y(int(note["pitch"]))
                boxes[voice].append((x(a), max(1.2, (b - a) * scale - 2.2), middle))
            if len(mine) and len(score.voices) > 1 and not drums:
                places.append((y(int(mine[0]["pitch"])) + 3.5, index, labels.get(voice, "")))
        body.append(_labels(places))
    for index, voice in enumerate(score.voices):
        pattern, style = filling(index)
        defs.append(pattern)
        # Later voices are thinner, so that a unison shows both.
        height = max(2.5, (lane - 0.8) * (1 - 0.12 * min(index, 4)))
        drums = score.programs.get(voice, 0) == 128
        body.append(_notes(boxes[voice], height, index, style, drums))
    height = row_height * len(starts)
    return Picture(
        svg(width, height, f"<defs>{''.join(defs)}</defs>{''.join(body)}"), width, height, rows
    )


def _labels(places: list[tuple[float, int, str]]) -> str:
    """Write voice labels (y, voice index, text) beside their first notes, none over another."""
    written, free = "", 0.0
    for y, index, text in sorted(places):
        at, free = max(y, free), max(y, free) + 10
        written += (
            f'<text x="{GUTTER - 5}" y="{number(at)}" text-anchor="end" font-weight="bold" '
            f'fill="{COLOURS[index % len(COLOURS)]}">{escape(text)}</text>'
        )
    return written


def _row_starts(lines: np.ndarray, quarters: float = 56.0) -> list[tuple[float, float]]:
    """Break bars into rows of about equal length, each at most `quarters` long where bars allow."""
    count = max(1, math.ceil((lines[-1] - lines[0]) / quarters))
    target = (lines[-1] - lines[0]) / count
    rows, start = [], 0
    for i in range(1, len(lines)):
        last = i == len(lines) - 1
        if last or lines[i + 1] - lines[start] > target + 1e-6:
            rows.append((float(lines[start]), float(lines[i])))
            start = i
    return rows


def _lanes(low: int, high: int, lane: float, y, right: float) -> str:
    """Shade the black keys, draw a line at each C, and name the Cs."""
    parts = []
    for pitch in range(low, high + 1):
        if pitch % 12 in (1, 3, 6, 8, 10):
            parts.append(f"M{GUTTER} {number(y(pitch) - lane / 2)}H{number(right)}v{number(lane)}"
                         f"H{GUTTER}z")  # fmt: skip
    grey = f'<path d="{"".join(parts)}" fill="#f1f1f3"/>'
    names = ""
    for pitch in range(low, high + 1):
        if pitch % 12 == 0:
            at = y(pitch) + lane / 2
            names += (
                f'<path d="M{GUTTER} {number(at)}H{number(right)}" stroke="#ccc"/>'
                f'<text x="2" y="{number(y(pitch) + 3.5)}" fill="#666">C{pitch // 12 - 1}</text>'
            )
    return grey + names


def _bars(score: Score, lines, start, end, x, top, bottom) -> str:
    """Draw bar lines with their numbers, and a faint line at each quarter note."""
    inside = [i for i, line in enumerate(lines) if start - 1e-9 <= line <= end + 1e-9]
    first_number = 0 if score.has_pickup else 1
    beats = "".join(
        f"M{number(x(beat))} {number(top)}V{number(bottom)}"
        for i in inside[:-1]
        for beat in np.arange(lines[i] + 1, lines[i + 1] - 1e-6)
    )
    bars = "".join(f"M{number(x(lines[i]))} {number(top)}V{number(bottom)}" for i in inside)
    spacing = (x(lines[inside[-1]]) - x(lines[inside[0]])) / max(1, len(inside) - 1)
    every = 1 if spacing > 18 else 2 if spacing > 9 else 4
    numbers = "".join(
        f'<text x="{number(x(lines[i]) + 2)}" y="{number(top - 4)}" fill="#666">'
        f"{i + first_number}</text>"
        for i in inside[:-1]
        if i + first_number and (i + first_number - 1) % every == 0
    )
    return f'<path d="{beats}" stroke="#eee"/><path d="{bars}" stroke="#999"/>{numbers}'


def waveform(wave: np.ndarray, rate: int, width: int = WIDTH, height: int = 150) -> Picture:
    """Draw a waveform: the extent of each pixel's samples, and their RMS in a darker tone.

    Parameters
    ----------
    wave
        (samples,) between −1 and 1.
    rate
        Samples per second.

    Returns
    -------
    Picture
        Positions are seconds.
    """
    columns = min(len(wave), width - GUTTER - 8)
    edges = np.linspace(0, len(wave), columns + 1).astype(int)[:-1]
    highest = np.maximum.reduceat(wave, edges)
    lowest = np.minimum.reduceat(wave, edges)
    counts = np.diff(np.append(edges, len(wave)))
    power = np.add.reduceat(wave.astype(np.float64) ** 2, edges) / counts
    top, bottom = 6, height - 20
    middle, half = (top + bottom) / 2, (bottom - top) / 2
    xs = GUTTER + np.arange(columns) * (width - GUTTER - 8) / columns
    seconds = len(wave) / rate

    def outline(upper: np.ndarray, lower: np.ndarray, colour: str) -> str:
        up = [f"{number(a)} {number(middle - half * b)}" for a, b in zip(xs, upper, strict=True)]
        down = [f"{number(a)} {number(middle - half * b)}" for a, b in zip(xs, lower, strict=True)]
        return f'<path d="M{"L".join(up + down[::-1])}z" fill="{colour}" stroke="{colour}"/>'

    rms = np.sqrt(power)
    right = width - 8
    step = _nice_step(seconds)
    ticks = "".join(
        f'<path d="M{number(at)} {top}V{bottom}" stroke="#ddd"/>'
        f'<text x="{number(at)}" y="{height - 6}" text-anchor="middle" fill="#555">{t:g} s</text>'
        for t in np.round(np.arange(0, seconds + 1e-9, step), 6)
        if (at := GUTTER + t / seconds * (right - GUTTER)) <= right - 8 or t == 0
    )
    frame = "".join(
        f'<path d="M{GUTTER} {number(middle - half * level)}H{right}" stroke="#ccc"/>'
        f'<text x="{GUTTER - 5}" y="{number(middle - half * level + 3.5)}" text-anchor="end" '
        f'fill="#555">{text}</text>'
        for level, text in ((1, "1"), (0, "0"), (-1, "−1"))
    )
    body = ticks + frame + outline(highest, lowest, "#99B4D1") + outline(rms, -rms, "#335C85")
    rows = [Row(top, bottom, [0.0, seconds], [GUTTER, right])]
    return Picture(svg(width, height, body), width, height, rows)


def _nice_step(seconds: float) -> float:
    """Return a round tick distance (1, 2 or 5 times a power of ten) that gives 4 to 10 ticks."""
    raw = seconds / 8
    power = 10 ** math.floor(math.log10(raw))
    return next(f * power for f in (1, 2, 5, 10) if f * power >= raw)
